// The turns that a consult may take beside its straight path, as the people at their screens take them.
import assert from 'node:assert/strict';
import { eventually } from './people.mjs';
import { RECORD } from './walk.mjs';

/** The county doctor asks without a consent: it waits for the duty head. Gives the Task's id. */
export async function askEmergency(doctor) {
  const { page } = doctor;
  await doctor.go('/consults/new');
  await doctor.paste('[data-field=record]', RECORD);
  await page.locator('[data-field=name]').and(page.locator('input')).waitFor();
  await page.locator('input[type=checkbox][data-field=identityConfirmed], [data-field=identityConfirmed] input').first().check();
  await page.locator('[role=group][aria-label=紧急程度]').getByText('特急').click();
  await page.fill('#ask-specialty', '呼吸与危重症');
  await page.keyboard.press('Escape');
  await page.fill('[data-field=reason]', '呼吸衰竭进展，随时可能插管');
  await page.locator('.chip').nth(2).click();
  await page.getByText('特急，无法取得同意').click();
  await doctor.sees('先保存，再请总值班批准');
  await doctor.sees('15400000002');
  await doctor.keep('21-emergency');
  await doctor.press('保存，等总值班批准');
  await page.waitForURL(/\/edit$/);
  return page.url().split('/').at(-2);
}

/** The duty head finds it under 待批准 and says why it may go without a consent. */
export async function approve(duty, name) {
  const { page } = duty;
  await duty.go('/consults');
  await page.locator('tr').filter({ hasText: name }).getByRole('button', { name: '批准' }).click();
  await page.locator('.ant-drawer-body .patient-line').waitFor();
  await duty.take('approve-emergency');
  await page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
  await duty.sees('请填写：理由');
  await page.fill('#reason', '昏迷，近亲属在外地，电话联系不上');
  await duty.keep('22-approval');
  await duty.confirm();
  await page.locator('button[data-transition=approve-emergency]').waitFor({ state: 'hidden' });
}

/** Back with all gaps at once; the doctor reads each of them, mends, and sends it again. */
export async function giveBack(coordinator, taskId, gaps) {
  const { page } = coordinator;
  await coordinator.go(`/consults?open=${taskId}`);
  await coordinator.take('return');
  await page.fill('#gap', gaps.join('\n'));
  await coordinator.keep('23-return');
  await coordinator.confirm();
  await coordinator.hasState('待补充');
}

export async function mend(doctor, name, gaps, summary) {
  const { page } = doctor;
  await doctor.go('/consults?tab=returned');
  await page.locator('tr').filter({ hasText: name }).getByRole('button', { name: '继续填写' }).click();
  await page.locator('.request-returned').waitFor();
  await eventually(async () => assert.deepEqual(await page.locator('.request-returned li').allInnerTexts(), gaps));
  await doctor.keep('24-returned');
  const written = page.locator('textarea[data-field=summary]');
  await written.fill((await written.inputValue()) + summary);
  await page.locator('button[data-action=submit]:not([disabled])').click();
  await page.waitForURL(/open=/);
  await doctor.hasState('待审核');
}

export async function offer(coordinator, taskId, { first = false, lead, experts = [] }) {
  await coordinator.go(`/consults?open=${taskId}`);
  if (first) await coordinator.take('allocate');
  await coordinator.take('offer');
  await coordinator.choose('lead', lead);
  for (const expert of experts) await coordinator.choose('expert', expert);
  await coordinator.confirm();
  await coordinator.hasState('待接受邀请');
}

/** Not without a reason; with one the record closes to him again. */
export async function decline(expert, taskId, reason) {
  const { page } = expert;
  await expert.go(`/consults?open=${taskId}`);
  await expert.take('decline');
  await page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
  await expert.sees('请填写：理由');
  await page.fill('#reason', reason);
  await expert.keep('25-decline');
  await expert.confirm();
  await page.waitForURL((url) => !url.searchParams.has('open'));
}

/** 图文会诊: identity is read back once, then each writes. */
export async function inWriting(lead, taskId, patient) {
  const { page } = lead;
  await lead.go(`/consults/${taskId}`);
  await lead.take('answer-in-writing');
  const values = page.locator('.ant-modal:visible .identity-row input[type=text]:not([role=combobox])');
  await values.nth(0).fill(patient.name);
  await values.nth(1).fill(patient.inpatient);
  await lead.confirm();
  await lead.hasState('书面答复中');
}

export async function dissent(expert, taskId, password, text, basis) {
  const { page } = expert;
  await expert.go(`/consults/${taskId}?tab=joint`);
  await page.locator('.joint button[data-transition=dissent]').click();
  const dialog = page.locator('.ant-modal:visible');
  await dialog.locator('#text').fill(text);
  await dialog.locator('#basis').fill(basis);
  await dialog.locator('#password').fill(password);
  await expert.keep('26-dissent');
  await expert.confirm();
  await page.locator('.joint .signed-dissent').filter({ hasText: text }).waitFor();
}

export async function addendum(expert, taskId, password, text) {
  const { page } = expert;
  await expert.go(`/consults/${taskId}?tab=joint`);
  await page.locator('.joint button[data-transition=addendum]').click();
  const dialog = page.locator('.ant-modal:visible');
  await dialog.locator('#text').fill(text);
  await dialog.locator('#password').fill(password);
  await expert.confirm();
  await page.locator('.document').filter({ hasText: text }).waitFor();
  await expert.keep('27-addendum');
}

/** A folder sent whose images fit nobody: it waits under 待匹配 until a person has compared both sides. */
export async function matchHeld(doctor, folder, onImage, patient) {
  const { page } = doctor;
  await doctor.go('/images?tab=send');
  await page.locator('.drop-zone input[webkitdirectory]').setInputFiles(folder);
  await page.locator('.upload-progress').waitFor();
  await page.locator('[role=tab][data-tab=held]').click();
  const row = page.locator('.held tr').filter({ hasText: onImage });
  await row.waitFor();
  await doctor.keep('28-held');
  await row.getByRole('button', { name: '匹配患者' }).click();
  const dialog = page.locator('.ant-modal:visible');
  await eventually(async () => assert.ok(await dialog.locator('.ant-modal-footer .ant-btn-primary').isDisabled(), 'nobody is matched before a patient is chosen'));
  await dialog.getByRole('combobox').fill(patient);
  await page.locator('.ant-select-dropdown:visible .ant-select-item-option').filter({ hasText: patient }).first().click();
  await dialog.locator('.compare td').filter({ hasText: patient }).last().waitFor();
  await dialog.getByText('影像与病历不一致。是同一个人吗？').waitFor();
  await doctor.keep('29-match');
  await dialog.getByRole('checkbox').check();
  await doctor.confirm();
  await doctor.sees('没有待匹配的影像');
  await page.locator('[role=tab][data-tab=received]').click();
  await page.locator('tr').filter({ hasText: patient }).first().waitFor();
}

export async function switchPost(person, role) {
  const { page } = person;
  await page.locator('.person').click();
  await page.locator('.menu:visible').getByText(role).click();
  await page.locator('.person').filter({ hasText: role }).waitFor();
}

/** No word of the screen itself (not names, not what people wrote) is Chinese once the English ones are there. */
export async function speaksEnglish(person, address) {
  await person.page.waitForSelector('html[lang=en]', { state: 'attached' });
  await person.settles();
  const chinese = () => person.page.evaluate(() => {
    const own = '.nav-link,h1,.page-note,.tab-label,[role=tab],th,.ant-btn,.lb,.segment,option,.badge,.figure-name,.figure-parts,.hint,.empty,.station-name,label,dt,.keys-note';
    return [...document.querySelectorAll(own)]
      .filter((element) => element.checkVisibility() && !element.closest('.person, .banner'))
      .map((element) => element.textContent.replace(/[\u4e00-\u9fff]+示例医院/g, '').trim())
      .filter((text) => /[\u4e00-\u9fff]/.test(text) && text !== '中文');
  });
  await eventually(async () => assert.deepEqual(await chinese(), [], `Chinese words at ${address}`));
}

/** The list by keys, by typing, by a saved view, as a file. */
export async function workList(coordinator, name) {
  const { page } = coordinator;
  await coordinator.go('/consults?tab=today');
  await page.locator('tbody tr').filter({ hasText: name }).waitFor();
  await page.keyboard.press('?');
  await coordinator.sees('肺窗、纵隔窗');
  await coordinator.keep('32-keys');
  await page.keyboard.press('Escape');
  await page.locator('.ant-modal:visible').waitFor({ state: 'hidden' });
  await page.keyboard.press('j');
  await coordinator.counts('tr.row-active', 1);
  await page.keyboard.press('Enter');
  await page.locator('.ant-drawer-body .patient-line').waitFor();
  await page.keyboard.press('Escape');
  await page.waitForURL((url) => !url.searchParams.has('open'));
  const field = page.locator('.worklist-filters input[type=search]');
  await field.fill('没有此人');
  await coordinator.sees('清除筛选条件后再看');
  await field.fill(name.slice(0, 2));
  await page.locator('tbody tr').filter({ hasText: name }).waitFor();
  await field.fill('');
  await page.waitForURL((url) => !url.searchParams.has('text'));
  const [file] = await Promise.all([page.waitForEvent('download'), coordinator.press('CSV', '.worklist-filters')]);
  assert.match(file.suggestedFilename(), /^会诊工作台-今日-[-\d]+\.csv$/);
  await page.locator('[data-action=views]').click();
  await page.locator('.menu:visible').getByText('保存当前视图').click();
  await page.fill('[data-field=view-name]', '今天的');
  await coordinator.confirm();
  await coordinator.open('/consults?tab=archived');
  await page.locator('[data-action=views]').filter({ hasText: '1' }).click();
  await page.locator('.menu:visible').getByText('今天的', { exact: true }).first().click();
  await page.waitForURL(/tab=today/);
}

/** What moved since the last visit; the mark is there after the page is loaded anew. */
export async function changes(coordinator, name) {
  const { page } = coordinator;
  await coordinator.go('/changes');
  await page.locator('.changed').filter({ hasText: name }).filter({ hasText: '签署联合意见' }).waitFor();
  await coordinator.keep('33-changes');
  await page.locator('[data-action=mark-seen]').click();
  await coordinator.sees('已标记');
  await coordinator.open('/changes');
  await coordinator.sees('这段时间没有变化');
}
