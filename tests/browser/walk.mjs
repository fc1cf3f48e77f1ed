// The whole path through the screens, from the pasted record to the closed consult, as the people of both hospitals.
import assert from 'node:assert/strict';
import { eventually } from './people.mjs';

export const RECORD = `              入 院 记 录
姓 名：冉山茶      性 别：女      年 龄：58岁
科 别：呼吸内科    床 号：12      住院号：ZY20261120
身份证号：660102196803051222      联系电话：15400001234
主 诉：咳嗽、咳痰10天，加重伴气促3天。
现病史：患者10天前受凉后出现咳嗽、咳黄痰，最高体温39.1℃；3天前活动后气促加重。
既往史：高血压病史5年。
体格检查：T 38.6℃ P 108次/分 R 28次/分 BP 138/84mmHg SpO2 90%，双肺可闻及湿啰音。
辅助检查：WBC 11.2×10^9/L，CRP 96 mg/L；胸部CT示双肺多发磨玻璃影。
初步诊断：1.重症肺炎
2.I型呼吸衰竭
                         医师签名：田医生`;

export const PICTURE = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64');

/** The county doctor: paste, confirm, ask, add images and consent, submit. Gives the Task's id. */
export async function ask(doctor, { folder, hospital, specialty }) {
  const { page } = doctor;
  await doctor.open('/consults');
  await doctor.press('新建会诊');
  await doctor.paste('[data-field=record]', RECORD);
  await page.locator('[data-field=name]').and(page.locator('input')).waitFor();
  await eventually(async () => {
    assert.equal(await page.inputValue('[data-field=name]'), '冉山茶');
    assert.equal(await page.inputValue('[data-field=birthDate]'), '1968-03-05');
    assert.match(await page.inputValue('[data-field=summary]'), /主诉：咳嗽[\s\S]*初步诊断：1\.重症肺炎/);
  });
  await page.locator('input[type=checkbox][data-field=identityConfirmed], [data-field=identityConfirmed] input').first().check();
  if (hospital) await doctor.choose('ask-hospital', hospital);
  await page.fill('#ask-specialty', specialty);
  await page.keyboard.press('Escape');
  await page.fill('[data-field=reason]', '本院难以明确诊断，病情进展快');
  await page.locator('.chip').first().click();
  await page.locator('.drop-zone input[webkitdirectory]').setInputFiles(folder);
  await doctor.sees('刚收到');
  await page.locator('[data-field=consentFile]').setInputFiles({ name: '同意书.png', mimeType: 'image/png', buffer: PICTURE });
  await page.fill('[data-field=consentSigner]', '冉大河（丈夫）');
  await doctor.keep('02-new-request');
  await page.locator('button[data-action=submit]:not([disabled])').click();
  await page.waitForURL(/open=/);
  await doctor.hasState('待审核');
  await doctor.keep('03-submitted');
  return new URL(page.url()).searchParams.get('open');
}

/** The invited hospital's coordinator: verdict on each study, allocation, invitation. */
export async function allocate(coordinator, taskId, { lead, expert }) {
  const { page } = coordinator;
  await coordinator.go(`/consults?open=${taskId}`);
  await page.locator('.ant-drawer-body .patient-line').waitFor();
  await coordinator.keep('04-coordinator');
  await coordinator.counts('.facts .fact-long li', 1, 'the one study that was ticked');
  await coordinator.take('judge-images');
  await page.locator('.ant-modal:visible #study label').click();
  await page.locator('.ant-modal:visible #verdict').getByText('合格', { exact: true }).click();
  await coordinator.confirm();
  await coordinator.take('allocate');
  await coordinator.hasState('已分派');
  await coordinator.take('offer');
  await coordinator.choose('lead', lead);
  if (expert) await coordinator.choose('expert', expert);
  await coordinator.confirm();
  await coordinator.hasState('待接受邀请');
}

export async function accept(expert, taskId) {
  await expert.go(`/consults?open=${taskId}`);
  await expert.take('accept');
  await expert.page.locator('button[data-transition=accept]').waitFor({ state: 'hidden' });
}

export async function schedule(coordinator, taskId) {
  await coordinator.go(`/consults?open=${taskId}`);
  await coordinator.take('schedule');
  await coordinator.page.locator('.ant-modal:visible #start').waitFor();
  // The calendar may have opened with the dialog; a click beside closes it.
  await coordinator.page.locator('.ant-modal-title:visible').click();
  await coordinator.page.locator('.ant-picker-dropdown').waitFor({ state: 'hidden' });
  await coordinator.confirm();
  await coordinator.hasState('已预约');
}

/** Two identifiers are read back before the session starts; a wrong one is refused. */
export async function start(lead, taskId) {
  const { page } = lead;
  await lead.go(`/consults/${taskId}`);
  await lead.take('start');
  const values = page.locator('.ant-modal:visible .identity-row input[type=text]:not([role=combobox])');
  await values.nth(0).fill('张三');
  await values.nth(1).fill('ZY20261120');
  await page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
  await lead.sees('身份核对未通过');
  await lead.forgive('422');
  await values.nth(0).fill('冉山茶');
  await lead.confirm();
  await lead.hasState('会诊中');
}

/** The line breaks in the middle of a sentence: the page says so, keeps the text, and saves it by itself when the line is back. */
export async function writeOnBrokenLine(expert, taskId, text) {
  const { page } = expert;
  await expert.open(`/consults/${taskId}?tab=opinion`);
  await page.fill('textarea[data-field=summary]', text);
  await page.keyboard.press('Tab');
  await expert.sees('已保存');
  await page.context().setOffline(true);
  await page.fill('textarea[data-field=basis]', text);
  await page.keyboard.press('Tab');
  await expert.sees('联网后自动保存');
  assert.equal(await page.locator('textarea[data-field=basis]').isVisible(), true, 'a broken line takes nobody out of the room');
  await expert.keep('07-line-broken');
  await page.context().setOffline(false);
  await expert.sees('已保存');
  await expert.open(`/consults/${taskId}?tab=opinion`);
  await eventually(async () => assert.equal(await page.inputValue('textarea[data-field=basis]'), text, 'nothing is lost'));
  expert.faults = expert.faults.filter((fault) => !/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED/.test(fault));
}

/** An opinion is written, saved by itself, and signed with the password. */
export async function opine(expert, taskId, password, texts, picture) {
  const { page } = expert;
  await expert.go(`/consults/${taskId}?tab=opinion`);
  for (const [field, text] of Object.entries(texts)) await page.fill(`textarea[data-field=${field}]`, text);
  await page.keyboard.press('Tab'); // the hand leaves the field: saved at once
  await expert.sees('已保存');
  await expert.keep(picture);
  await page.locator('.opinion-editor button[data-transition=sign-opinion]:not([disabled])').click();
  const dialog = page.locator('.ant-modal:visible');
  await dialog.waitFor();
  await expert.reads(dialog, /冉山茶/, 'the signing dialog repeats whose record it is');
  await dialog.locator('#password').fill(password);
  await expert.confirm();
  await page.locator('.signed-opinion').filter({ hasText: texts.summary }).waitFor();
}

export async function signJoint(lead, taskId, password, text) {
  const { page } = lead;
  await lead.go(`/consults/${taskId}?tab=joint`);
  await page.fill('textarea[data-field=consensus]', text);
  await page.keyboard.press('Tab');
  await lead.sees('已保存');
  await page.locator('.editor-foot button[data-transition=sign]:not([disabled])').click();
  await page.locator('.ant-modal:visible #password').fill(password);
  await lead.confirm();
  await lead.hasState('已签署');
  await page.locator('.document').filter({ hasText: text }).waitFor();
  await lead.keep('08-joint-opinion');
  await lead.take('deliver');
  await lead.confirm();
  await lead.hasState('已送达');
}

export async function decide(doctor, taskId, password) {
  const { page } = doctor;
  await doctor.open(`/consults/${taskId}`);
  await doctor.hasState('已送达');
  await page.locator('#adoption').getByText('部分采纳').click();
  await page.fill('#reason', '本院无抗病毒针剂，改用口服。');
  await page.fill('#plan', '高流量氧疗，莫西沙星联合口服抗病毒药，48 小时复查 CT。');
  await page.fill('#password', password);
  await doctor.keep('09-decision');
  await page.locator('form button[data-transition=decide]').click();
  await doctor.hasState('诊疗方案已定');
}

export async function feedBack(doctor, taskId) {
  const { page } = doctor;
  await doctor.go(`/consults/${taskId}?tab=feedback`);
  await doctor.choose('outcome', '好转');
  await page.locator('#followed').getByText('已执行').click();
  await page.fill('#final-diagnosis', '重症社区获得性肺炎');
  await page.fill('#early-reason', '患者提前出院');
  await page.locator('form button[data-transition=feedback]').click();
  await doctor.hasState('已归档');
}

/** Keys and wheel move the slices; presets change the window. */
export async function readImages(person, picture) {
  const { page } = person;
  await person.seesSlice();
  const place = page.locator('.corner-bl div').first();
  const before = await place.innerText();
  await page.locator('.viewer-stage').focus();
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction((text) => document.querySelector('.corner-bl div')?.textContent !== text, before);
  await page.keyboard.press('2');
  await page.locator('.corner-br').filter({ hasText: 'W 350 L 40' }).waitFor();
  await page.keyboard.press('1');
  await page.locator('.corner-br').filter({ hasText: 'W 1500 L -600' }).waitFor();
  await person.seesSlice('the slice is still a picture');
  if (picture) await person.keep(picture);
}


/** What one shows goes along on the other's screen, until he takes his own in hand; who was there and what was shown is on record. */
export async function present(presenter, follower, names) {
  const slice = (person) => person.page.locator('.corner-bl div').first();
  await presenter.seesSlice();
  await follower.seesSlice();
  await follower.reads('.session-strip', new RegExp(`在场 2 人.*${names.presenter}`));
  await presenter.page.locator('button[data-action=show]').click();
  await follower.sees('画面跟随中');
  await presenter.page.locator('.viewer-stage').focus();
  await presenter.page.keyboard.press('End');
  await presenter.page.keyboard.press('3');
  const last = (await presenter.reads(slice(presenter), /^(\d+) \/ \1/)).trim();
  await follower.reads(slice(follower), new RegExp(`^${last}`), 'the slice goes along');
  await follower.reads('.corner-br', /W 1800 L 400/, 'the window goes along');
  await follower.seesSlice('the picture that goes along');
  await follower.keep('06-following');
  await follower.page.locator('.viewer-stage').focus();
  await follower.page.keyboard.press('Home');
  await follower.sees('跟随演示');
  await follower.reads(slice(follower), /^1 \//, 'his own hand');
  await follower.page.locator('button[data-action=follow]').click();
  await follower.reads(slice(follower), new RegExp(`^${last}`), 'along again');
  await follower.page.locator('.ant-collapse-header').filter({ hasText: '会诊过程' }).click();
  await follower.reads('.session-history', new RegExp(`${names.follower}.*现在.*${names.presenter}展示.*CT`), 'who is there and what is shown, on record');
  await presenter.page.locator('button[data-action=show]').click();
  await follower.page.locator('button[data-action=follow]').waitFor({ state: 'hidden' });
}

/** The doctor of the hospital that made the images looks at the measurement and agrees. */
export async function review(radiologist) {
  const { page } = radiologist;
  await radiologist.go('/images?tab=review');
  await page.locator('.cell-action .ant-btn-primary').first().click({ timeout: 120_000 });
  await page.waitForURL(/\/images\//);
  await radiologist.seesSlice();
  await radiologist.sees('按六区');
  await radiologist.keep('05-measurement');
  await radiologist.take('agree');
  await radiologist.hasState('已审核');
}

export async function say(person, text) {
  const { page } = person;
  await page.locator('[role=tab][data-tab=discussion]').click();
  await page.fill('.discussion-write textarea', text);
  await page.locator('.discussion-send input[type=checkbox]').check();
  await person.press('发送', '.discussion-send');
  await page.locator('.said').filter({ hasText: text }).waitFor();
}

/** The report on paper: every sheet says whose it is and which of how many, without a watermark once signed. */
export async function print(doctor, taskId) {
  const { page } = doctor;
  await doctor.go(`/consults/${taskId}/print`);
  const sheets = page.locator('.sheet:not(.sheet-measure)');
  await eventually(async () => {
    const texts = await sheets.allInnerTexts();
    assert.ok(texts.length > 0, 'there are sheets');
    for (const [index, text] of texts.entries()) {
      assert.match(text, /冉山茶[\s\S]*女[\s\S]*58岁[\s\S]*ZY20261120/);
      assert.match(text, new RegExp(`第 ${index + 1} 页 / 共 ${texts.length} 页`));
    }
  });
  await doctor.counts('.watermark', 0, 'signed: no watermark');
  await sheets.last().getByText('会诊专用章').waitFor();
  await doctor.keep('11-report');
}

export async function figures(commander) {
  const { page } = commander;
  await commander.go('/today');
  await commander.sees('截至');
  await page.locator('.figure-card').first().waitFor();
  await commander.keep('12-today');
  await page.locator('.figure-card .ant-btn-link:not([disabled])').first().click();
  await page.locator('.drill li').first().waitFor();
  await commander.go('/daily');
  await page.locator('.daily-table').first().waitFor();
  await commander.keep('13-daily');
  const [file] = await Promise.all([page.waitForEvent('download'), commander.press('CSV')]);
  assert.match(file.suggestedFilename(), /\.csv$/);
}

export async function people(admin, doctor) {
  const { page } = admin;
  await page.waitForURL(/\/people/);
  await admin.sees(doctor.account);
  await admin.keep('16-people');
  await page.locator('[role=tab][data-tab=posts]').click();
  await admin.sees(doctor.name);
  await admin.settles();
  assert.equal(await page.getByText('冉山茶').count(), 0, 'an administrator sees no patient');
}

/** The agreed measurement beside the images, and its mask over them. */
export async function measured(expert, picture) {
  const { page } = expert;
  await page.locator('[role=tab][data-tab=measurement]').click();
  await expert.sees('按左右肺');
  await page.locator('.viewer-overlay button[role=switch]').click();
  await page.waitForFunction(() => {
    const canvas = document.querySelector('.viewer-stage canvas:not(.is-loading)');
    if (!canvas) return false;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) if (Math.abs(data[at] - data[at + 2]) > 30) return true;
    return false;
  });
  await expert.keep(picture);
}
