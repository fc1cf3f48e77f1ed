// What a ward does beside the straight path, clicked through in Chromium by those who do it: a diagnosis that one doctor
// writes and another signs, an opinion heard on the phone, a critical value, the round of the day, an earlier study beside.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { reference } from '../../scenarios/client.mjs';
import { createPatient, draftConsult, hospitals, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { dutyList, toAllocated, toSession } from '../api/play.mjs';
import { waitFor } from '../api/support.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import { eventually, PICTURES } from './people.mjs';
import { RECORD } from './walk.mjs';
import * as walk from './walk.mjs';

const REPORT = { findings: '双肺胸膜下多发斑片状磨玻璃影，右下叶为著；纵隔未见肿大淋巴结。', conclusion: '双肺炎症，病毒性肺炎可能大', advice: '结合病原学检查，3 日后复查' };
const PHONE = { width: 360, height: 740 };
const radiologist = (key, account, name, title, n) =>
  ({ key, hospital: 'helper', account, name, role: 'radiologist', title, specialty: '医学影像科', phone: `1540000005${n}` });

describe('the ward through the screens', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  let w;
  let task;
  let consult;

  before(async () => {
    await house.start();
    await house.hire(radiologist('reporter', 'fengshu', '冯舒', 'attending', 1));
    await house.hire(radiologist('reviewer', 'heqing', '何清', 'chief', 2));
    w = house.world;
    w.patient = await createPatient(w.doctor);
    const facts = ['--slices', '12', '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M', '--birth', '19620308'];
    for (const [name, date, seed] of [['earlier', '20261115', '5'], ['now', '20261121', '6']]) await house.send(w.doctor, house.ct(name, ...facts, '--date', date, '--seed', seed));
  });

  after(() => house.stop());

  step('a request that was begun is not lost by a click beside or by the back button', async () => {
    at.doctor = await house.signIn('doctor');
    const { page } = at.doctor;
    await at.doctor.press('新建会诊');
    await at.doctor.paste('[data-field=record]', RECORD);
    await page.locator('[data-field=name]').and(page.locator('input')).waitFor();
    await page.locator('.nav-link').filter({ hasText: '影像' }).click();
    await at.doctor.sees('离开后，本页填写的内容不会保留。');
    await at.doctor.keep('40-leave');
    await at.doctor.press('留在本页', '.ant-modal');
    await page.locator('.ant-modal:visible').waitFor({ state: 'hidden' });
    assert.equal(await page.inputValue('[data-field=name]'), '冉山茶', 'what was written is still there');
    await page.goBack();
    await at.doctor.sees('离开后，本页填写的内容不会保留。');
    await page.locator('.ant-modal:visible').getByRole('button', { name: '留在本页' }).click();
    await page.waitForURL(/\/consults\/new$/);
  });

  step('a diagnosis is asked for: the asking side answers for its images', async () => {
    const { page } = at.doctor;
    await page.locator('input[type=checkbox][data-field=identityConfirmed], [data-field=identityConfirmed] input').first().check();
    await page.locator('[role=group][aria-label=申请类型]').getByText('远程诊断').click();
    await page.fill('[data-field=reason]', '本院无影像科副高以上医师，请出具诊断报告');
    await page.locator('.chip').first().click();
    const folder = house.ct('diagnosis', '--slices', '8', '--patient-name', '冉山茶', '--patient-id', 'ZY20261120', '--sex', 'F', '--birth', '19680305', '--date', '20261121', '--seed', '9');
    await page.locator('.drop-zone input[webkitdirectory]').setInputFiles(folder);
    await page.locator('.verdict-choice').getByText('受限可用').click();
    await at.doctor.sees('选择原因');
    await page.locator('.verdict-choice').getByText('合格', { exact: true }).click();
    await page.locator('[data-field=consentFile]').setInputFiles({ name: '同意书.png', mimeType: 'image/png', buffer: walk.PICTURE });
    await page.fill('[data-field=consentSigner]', '冉大河（丈夫）');
    await at.doctor.keep('41-diagnosis-request');
    await page.locator('button[data-action=submit]:not([disabled])').click();
    await page.waitForURL(/open=/);
    await at.doctor.hasState('待审核');
    task = new URL(page.url()).searchParams.get('open');
  });

  step('reporting and reviewing doctor are two; one writes, the other sends back', async () => {
    at.coordinator = await house.signIn('coordinator');
    await at.coordinator.go(`/consults?open=${task}`);
    await at.coordinator.take('assign');
    await at.coordinator.choose('reporter', '冯舒');
    await at.coordinator.choose('reviewer', '冯舒');
    await at.coordinator.page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
    await at.coordinator.sees('报告医师与审核医师须为两名不同的');
    await at.coordinator.forgive('422');
    await at.coordinator.choose('reviewer', '何清');
    await at.coordinator.confirm();
    await at.coordinator.hasState('待书写报告');

    at.reporter = await house.signIn('reporter');
    const { page } = at.reporter;
    await at.reporter.page.locator('tr').filter({ hasText: '冉山茶' }).getByRole('button', { name: '写报告' }).click();
    for (const [name, text] of Object.entries(REPORT)) await page.fill(`textarea[data-field=report-${name}]`, text);
    await page.keyboard.press('Tab');
    await at.reporter.sees('已保存');
    await at.reporter.seesSlice('the images beside the report');
    await at.reporter.keep('42-report');
    await page.locator('.opinion-editor button[data-transition=submit-report]:not([disabled])').click();
    await at.reporter.confirm();
    await at.reporter.hasState('报告待审核');

    at.reviewer = await house.signIn('reviewer');
    await at.reviewer.go(`/consults/${task}`);
    await at.reviewer.sees(REPORT.conclusion);
    await at.reviewer.takeIn(at.reviewer.page.locator('.joint'), 'send-back');
    await at.reviewer.fill({ reason: '请补充纵隔淋巴结情况' });
    await at.reviewer.confirm();
    await at.reviewer.hasState('待书写报告');
  });

  step('it is mended and signed by the other; the asking doctor reads and files it', async () => {
    const { page } = at.reporter;
    await at.reporter.sees('请补充纵隔淋巴结情况');
    await page.fill('textarea[data-field=report-findings]', `${REPORT.findings}纵隔淋巴结短径均小于 1 cm。`);
    await page.keyboard.press('Tab');
    await at.reporter.sees('已保存');
    await page.locator('.opinion-editor button[data-transition=submit-report]:not([disabled])').click();
    await at.reporter.confirm();
    await at.reviewer.sees('短径均小于 1 cm');
    await at.reviewer.takeIn(at.reviewer.page.locator('.joint'), 'sign');
    await at.reviewer.fill({ password: PASSWORD });
    await at.reviewer.confirm();
    await at.reviewer.hasState('报告已签发');
    await at.reviewer.keep('43-report-signed');
    await at.reporter.counts('.opinion-editor', 0, 'nothing is edited after the signature');
    await at.doctor.go(`/consults/${task}`);
    const signed = at.doctor.page.locator('.document').filter({ hasText: REPORT.conclusion });
    await signed.waitFor();
    await at.doctor.reads(signed, /冯舒.*何清/, 'both names stand on the report');
    await at.doctor.take('acknowledge');
    await at.doctor.hasState('已归档');
  });

  step('特急 is told by a sound, on the page and on the desktop, without the patient', async () => {
    const stat = { patient: w.patient.id, invited: w.coordinator.organization, priority: 'stat' };
    const first = await draftConsult(w.doctor, stat);
    await w.doctor.take(first.task, 'submit');
    const person = await house.signIn('coordinator', { permissions: ['notifications'] });
    const { page } = person;
    await page.evaluate(() => {
      globalThis.told = [];
      globalThis.Notification = class {
        static permission = 'granted';
        static requestPermission = async () => 'granted';
        constructor(title, options) { globalThis.told.push(`${title} ${options.body}`); }
        close() {}
      };
    });
    await page.locator('.stat-ask').getByRole('button', { name: '开启提醒' }).click();
    await person.sees('已开启特急提醒');
    const second = await draftConsult(w.doctor, stat);
    await w.doctor.take(second.task, 'submit');
    await page.locator('.announcement').filter({ hasText: '特急会诊' }).waitFor();
    await person.keep('44-stat-notice');
    await eventually(async () => assert.deepEqual(await page.evaluate(() => globalThis.told), [`特急会诊 ${hospitals.county.name}，待审核`]));
    await page.locator('.announcement').getByRole('button', { name: '查看' }).click();
    await page.waitForURL((url) => url.searchParams.get('open') === second.task);
    await person.leave();
    for (const one of [first, second]) await w.doctor.take(one.task, 'cancel', { reason: { valueString: '演练' } });
  });

  step('an expert is suggested with reasons: specialty, title, on duty, in hand', async () => {
    await w.coordinator.create(dutyList([w.expert.post]));
    consult = await toAllocated(w);
    await at.coordinator.go(`/consults?open=${consult.task}`);
    await at.coordinator.take('offer');
    await at.coordinator.page.locator('#lead').click();
    const options = at.coordinator.page.locator('.ant-select-dropdown:has([id="lead_list"]) .ant-select-item-option');
    await at.coordinator.reads(options.filter({ hasText: named('lead').name }), /专业相符.*职称达到要求.*不在班.*在办 0 例/);
    await at.coordinator.reads(options.filter({ hasText: named('expert').name }), /其他专业.*职称达到要求.*在班/);
    if (PICTURES) await at.coordinator.photograph('45-suggestion');
    await options.filter({ hasText: named('lead').name }).click();
    await at.coordinator.confirm();
    await at.coordinator.hasState('待接受邀请');
  });

  step('Escape closes what is on top and gives the focus back; the browser\'s back button leads to the list', async () => {
    const { page } = at.coordinator;
    await at.coordinator.open('/consults?tab=today');
    const row = page.locator('tbody tr').filter({ hasText: patientFacts.name }).first();
    await row.locator('.link-button').focus();
    await page.keyboard.press('Enter');
    await page.locator('.ant-drawer-body .patient-line').waitFor();
    await page.locator('.ant-drawer-body button[data-transition=cancel]').click();
    await page.locator('.ant-modal:visible').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.ant-modal:visible').waitFor({ state: 'hidden' });
    assert.equal(await page.locator('.ant-drawer-body .patient-line').isVisible(), true, 'only the dialog was closed');
    await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('data-transition')), 'cancel', 'the focus is where it was'));
    await page.keyboard.press('Escape');
    await page.waitForURL((url) => !url.searchParams.has('open'));
    await page.waitForFunction((name) => document.activeElement?.textContent === name, patientFacts.name);
    await row.locator('.link-button').click();
    await page.locator('.drawer-enter').click();
    await page.waitForURL(/\/consults\/[0-9a-f-]{36}$/);
    await page.locator('.banner').waitFor();
    await page.goBack();
    await page.waitForURL(/\/consults\?tab=today/);
    await page.locator('tbody tr').first().waitFor();
  });

  step('a line that breaks is told, with what to do; the work goes on when it is back', async () => {
    const { page } = at.coordinator;
    await at.coordinator.go('/consults?tab=today');
    await page.locator('tbody tr').first().waitFor();
    await page.context().setOffline(true);
    await page.locator('.tabs-segmented').getByText('待审核').click();
    await at.coordinator.sees('检查网络后重试');
    if (PICTURES) await at.coordinator.photograph('52-line-broken');
    await page.context().setOffline(false);
    await at.coordinator.press('重试');
    await at.coordinator.sees('中没有会诊');
    await page.context().setOffline(true);
    await page.locator('.nav-link').filter({ hasText: '今日' }).click();
    await at.coordinator.sees('检查网络后重新载入');
    await page.context().setOffline(false);
    await at.coordinator.press('重新载入');
    await page.locator('.figure-card').first().waitFor();
    at.coordinator.faults = at.coordinator.faults.filter((fault) => !/ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED|dynamically imported module/.test(fault));
  });

  step('an opinion heard on the phone: recorded as heard and read back, confirmed, written up', async () => {
    at.phone = await house.signIn('doctor', { ...PHONE, name: 'doctor on a phone' });
    const { page } = at.phone;
    await at.phone.go(`/consults/${consult.task}?tab=opinion`);
    await page.locator('.verbal button[data-transition=record-verbal]').click();
    await at.phone.choose('expert', named('lead').name);
    await at.phone.fill({ phone: '15400000012', text: '先上高流量，两小时后复查血气', 'read-back': '先上高流量，两小时复查血气，对吗？' });
    await at.phone.fits();
    await at.phone.keep('46-verbal-phone');
    await at.phone.confirm();
    await at.phone.sees('先上高流量，两小时后复查血气');
    await at.phone.sees('前补记');
    await at.phone.fits();
    at.lead = await house.signIn('lead');
    await walk.accept(at.lead, consult.task);
    await at.lead.go(`/consults/${consult.task}?tab=opinion`);
    const heard = at.lead.page.locator('.verbal article').filter({ hasText: '先上高流量' });
    await at.lead.takeIn(heard, 'confirm-verbal');
    await at.lead.page.locator('.ant-modal:visible #answer').getByText('属实').click();
    await at.lead.confirm();
    await at.lead.takeIn(heard, 'write-up-verbal');
    await at.lead.fill({ text: '经鼻高流量氧疗 50 L/min，2 小时后复查血气。', basis: '氧合指数 160', password: PASSWORD });
    await at.lead.confirm();
    await heard.getByText('补记时间').waitFor();
    await at.lead.keep('47-verbal-written');
    await at.lead.counts('.verbal button[data-transition=write-up-verbal]', 0, 'once');
  });

  step('a critical value: on every page at once, counted down, phoned, read back, dealt with', async () => {
    const { page } = at.phone;
    await at.phone.go('/today');
    await at.lead.go(`/consults/${consult.task}`);
    await at.lead.take('report-critical');
    await at.lead.fill({ finding: '右侧张力性气胸，纵隔左移' });
    await at.lead.confirm();
    await page.locator('.critical-notice').filter({ hasText: '右侧张力性气胸' }).waitFor();
    const left = await at.phone.reads('.critical-notice .countdown', /还剩 1[345]:\d\d/);
    await page.waitForFunction((before) => document.querySelector('.critical-notice .countdown')?.textContent.trim() !== before.trim(), left);
    await page.locator('.critical-notice a').click();
    const card = page.locator('.critical').filter({ hasText: '右侧张力性气胸' });
    await card.waitFor();
    await at.phone.fits();
    await at.phone.keep('48-critical-phone');
    const found = at.lead.page.locator('.critical').filter({ hasText: '右侧张力性气胸' });
    await at.lead.takeIn(found, 'call');
    await at.lead.fill({ person: '李敏', phone: '15400000001' });
    await at.lead.confirm();
    await card.getByText('已通报，待复述').waitFor();
    await at.phone.takeIn(card, 'acknowledge');
    await at.phone.fill({ 'read-back': '右侧张力性气胸，立即处理' });
    await at.phone.confirm();
    await card.getByText('已复述，待处置').waitFor();
    await at.phone.counts('.critical-notice', 0, 'the line goes when it was read back');
    await at.phone.takeIn(card, 'close');
    await at.phone.fill({ action: '床旁胸腔闭式引流' });
    await at.phone.confirm();
    await card.getByText('已处置').waitFor();
    await at.lead.page.locator('[role=tab][data-tab=discussion]').click();
    await at.lead.page.fill('.discussion-write textarea', '请再看一下右侧');
    await at.lead.page.locator('.nav-link').filter({ hasText: '今日' }).click();
    await at.lead.sees('有未保存的内容');
    await at.lead.press('离开', '.ant-modal');
    await at.lead.page.waitForURL(/\/today/);
    await at.phone.reads(card, /电话通报.*赵强.*李敏.*15400000001.*复述确认.*李敏.*立即处理.*床旁胸腔闭式引流/);
  });

  step('an earlier study beside, the windows on 1 to 6, a link that opens the slice', async () => {
    const [earlier, now] = await waitFor('both studies', async () => {
      const found = await w.doctor.search('ImagingStudy', { patient: `Patient/${w.patient.id}`, _sort: 'started' });
      return found.length === 2 && found;
    });
    const shown = await toSession(w, { shared: [`ImagingStudy/${now.id}`, `ImagingStudy/${earlier.id}`] });
    const reader = await house.signIn('lead', { permissions: ['clipboard-read', 'clipboard-write'], name: 'lead who reads' });
    at.reader = reader;
    const { page } = reader;
    await reader.go(`/consults/${shown.task}?study=${now.id}`);
    await reader.seesSlice();
    const windows = ['W 1500 L -600', 'W 350 L 40', 'W 1800 L 400', 'W 400 L 50', 'W 800 L -700', 'W 2500 L 0'];
    await page.locator('.viewer-stage').first().focus();
    for (const [index, window] of windows.entries()) {
      await page.keyboard.press(String(index + 1));
      await page.locator('.corner-br').first().filter({ hasText: window }).waitFor();
    }
    await page.keyboard.press('1');
    await page.locator('[data-action=compare]').click();
    const beside = page.locator('.viewer-beside .viewer-stage canvas:not(.is-loading)');
    await beside.waitFor();
    const position = (nth) => page.locator('.corner-bl').nth(nth).locator('div').nth(1);
    await page.locator('.viewer-stage').first().focus();
    await page.keyboard.press('Home');
    await page.locator('.corner-bl').first().filter({ hasText: '1 / 12' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.locator('.corner-bl').first().filter({ hasText: '2 / 12' }).waitFor();
    const wanted = (await position(0).innerText()).split('mm')[0];
    await position(1).filter({ hasText: wanted }).waitFor();
    await page.locator('.corner-br').nth(1).filter({ hasText: 'W 1500 L -600' }).waitFor();
    await reader.keep('49-earlier-beside');
    await page.locator('[data-action=link]').first().click();
    await reader.sees('链接已复制');
    const link = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(link, /slice=/);
    await reader.go('/consults');
    await reader.open(link.slice(house.server.base.length));
    await page.locator('.corner-bl').first().filter({ hasText: '2 / 12' }).waitFor();
  });

  step('the round of the day: who is severe and has no signed consult; the command sees counts', async () => {
    await w.doctor.create({ resourceType: 'Condition', code: { text: '重症肺炎' }, subject: { reference: `Patient/${w.patient.id}` },
      severity: { coding: [{ system: 'urn:shanhai:codes:severity', code: 'severe' }] }, recordedDate: new Date().toISOString() });
    const { page } = at.phone;
    await at.phone.go('/round');
    const row = page.locator('tbody tr').filter({ hasText: patientFacts.name });
    await row.getByText('未完成').waitFor();
    await at.phone.sees('例重症、危重患者今日尚无已签署的会诊');
    await at.phone.sees('截至');
    await at.phone.fits();
    await at.phone.keep('50-round-phone');
    at.commander = await house.signIn('commander');
    await at.commander.go('/round');
    const county = at.commander.page.locator('[aria-label=各医院情况] tr').filter({ hasText: hospitals.county.name });
    await county.waitFor();
    await at.commander.reads(county, /1 1$/);
    assert.equal(await at.commander.page.getByText(patientFacts.name).count(), 0, 'a command reads no chart');
    await at.commander.keep('51-round-command');
    await row.locator('.severity-choice').click();
    await page.locator('.ant-select-dropdown:visible').getByText('已解除').click();
    await at.phone.sees('没有重症、危重患者');
  });

  step('nobody was told an error', async () => {
    for (const person of Object.values(at)) await person.leave();
  });
});
