// The desks beside the consult, clicked through in Chromium: the duty list by who keeps it and who stands on it, the list
// handed over on paper, a measurement that runs, what the first page weighs on the line.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { createPatient, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { toAllocated } from '../api/play.mjs';
import { holdMeasuring, waitFor } from '../api/support.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import { eventually } from './people.mjs';

const PHONE = { width: 360, height: 740 };

describe('the desks through the screens', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  let w;

  before(async () => {
    await house.start();
    await house.hire({ key: 'affairs', hospital: 'helper', account: 'lvxin', name: '吕新', role: 'medical-affairs', title: 'associate-chief', specialty: '医务部', phone: '15400000023' });
    w = house.world;
    w.patient = await createPatient(w.doctor);
  });

  after(() => house.stop());

  step('medical affairs keeps the duty list: empty, a shift in the order of calling, its hours, its gaps', async () => {
    at.affairs = await house.signIn('affairs');
    const { page } = at.affairs;
    await page.locator('.nav-link').filter({ hasText: '值班表' }).click();
    await at.affairs.sees('本周没有排班');
    await at.affairs.sees('现在无人值班');
    await at.affairs.keep('80-duty-empty');
    await page.locator('.empty').getByRole('button', { name: '添加班次' }).click();
    const dialog = page.locator('.ant-modal:visible');
    await eventually(async () => assert.ok(await dialog.locator('.ant-modal-footer .ant-btn-primary').isDisabled(), 'no shift without anybody'));
    await dialog.getByText('全天 08–次日 08').click();
    for (const field of ['#from', '#to']) {
      await page.fill(field, '00:00');
      await page.keyboard.press('Enter');
    }
    await at.affairs.choose('called', named('lead').name);
    await at.affairs.choose('called', named('expert').name);
    await dialog.getByRole('button', { name: `${named('expert').name} 提前` }).click();
    await at.affairs.reads(dialog.locator('.call-order'), new RegExp(`${named('expert').name}.*${named('lead').name}`));
    await at.affairs.keep('81-duty-shift');
    await at.affairs.confirm();
    await page.locator('.duty-now li').filter({ hasText: named('expert').name }).getByText('首先联系').waitFor();
    await page.locator('.duty-now li').filter({ hasText: named('lead').name }).getByText('第 2 位').waitFor();
    await page.locator('.shift').filter({ hasText: '00:00–次日 00:00' }).waitFor();
    const [list] = await w.coordinator.search('Schedule', {});
    assert.deepEqual(list.actor.map((one) => one.reference), [w.expert.post, w.lead.post], 'the order is that of the record');
  });

  step('the week as a file, a line for each who is called', async () => {
    const { page } = at.affairs;
    const [week] = await Promise.all([page.waitForEvent('download'), at.affairs.press('CSV')]);
    assert.match(week.suggestedFilename(), /^会诊值班表-[-\d]+\.csv$/);
    const lines = readFileSync(await week.path(), 'utf8').trim().split('\r\n');
    assert.equal(lines[0].replace('\ufeff', ''), '"日期","时段","联系次序","姓名","专科","电话"');
    assert.match(lines[1], new RegExp(`^"\\d{4}-\\d\\d-\\d\\d","00:00–次日 00:00",1,"${named('expert').name}",".+","154\\d{8}"$`));
  });

  step('the week is copied into the next; only empty hours are filled', async () => {
    const { page } = at.affairs;
    await page.getByRole('button', { name: '下一周' }).click();
    await page.locator('[data-action=copy-week]:not([disabled])').click();
    await page.locator('.shift').first().waitFor();
    await at.affairs.sees('以下时段无人值班');
    await at.affairs.keep('82-duty-week');
    await eventually(async () => assert.ok(await page.locator('[data-action=copy-week]').isDisabled(), 'nothing is copied twice'));
    await page.locator('.shift').getByRole('button', { name: /修改班次/ }).click();
    await page.locator('[data-action=remove-shift]').click();
    await page.locator('.ant-popconfirm:visible .ant-btn-primary').click();
    await at.affairs.sees('本周没有排班');
  });

  step('an expert sees on the phone when it is his turn; he changes nothing', async () => {
    at.expert = await house.signIn('expert', { ...PHONE, name: 'expert on a phone' });
    await at.expert.go('/duty');
    await at.expert.page.locator('.shift-own').filter({ hasText: named('expert').name }).waitFor();
    await at.expert.settles();
    assert.equal(await at.expert.page.getByRole('button', { name: /添加|修改|复制上周/ }).count(), 0);
    await at.expert.fits();
    await at.expert.keep('83-duty-phone');
  });

  step('the coordinator adds a shift on the phone', async () => {
    at.phone = await house.signIn('coordinator', { ...PHONE, name: 'coordinator on a phone' });
    const { page } = at.phone;
    await at.phone.go('/duty');
    await page.getByRole('button', { name: '下一周' }).click();
    await page.getByRole('button', { name: '添加班次' }).first().click();
    await page.locator('.ant-modal:visible').getByText('白班 08–18').click();
    await at.phone.choose('called', named('lead').name);
    await at.phone.fits();
    await at.phone.keep('84-duty-phone-form');
    await at.phone.confirm();
    await page.locator('.shift').filter({ hasText: '08:00–18:00' }).waitFor();
    await at.phone.fits();
  });

  step('a question that fails when it is asked again leaves what was seen, with its time', async () => {
    const { page } = at.affairs;
    await at.affairs.go('/duty');
    await page.locator('.shift').first().waitFor();
    await at.affairs.sees('10 分钟未应答转下一位'); // as the rules in force say
    await page.route('**/fhir/**', (route) => route.abort());
    const [list] = await w.coordinator.search('Schedule', {});
    const { status } = await w.coordinator.request('PUT', `/fhir/Schedule/${list.id}`, list);
    assert.equal(status, 200, 'somebody touches the list, so that it is asked for again');
    await at.affairs.reads('.stale-note', /以下为截至 \d+月\d+日 \d\d:\d\d 的内容/);
    assert.ok(await page.locator('.shift').first().isVisible(), 'what was seen stays');
    await at.affairs.keep('89-stale');
    await page.unroute('**/fhir/**');
    await page.locator('.stale-note button').click();
    await page.locator('.stale-note').waitFor({ state: 'hidden' });
    at.affairs.faults = at.affairs.faults.filter((fault) => !fault.includes('ERR_FAILED'));
  });

  step('the administrator sees what runs in the background, why it failed, and tries it again', async () => {
    at.admin = await house.signIn('county');
    const { page } = at.admin;
    await page.locator('.nav-link').filter({ hasText: '后台任务' }).click();
    await at.admin.sees('没有后台任务');
    await at.admin.keep('85-jobs-empty');
    await house.hire({ key: 'steward', hospital: 'county', account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
    const ask = (path) => w.steward.must('GET', path, undefined, { Prefer: 'respond-async' });
    await ask('/fhir/$export?_type=Patient');
    await w.doctor.create({ resourceType: 'Patient', name: [{ family: '欧阳', given: ['一', '二'] }] });
    const view = { resourceType: 'ViewDefinition', name: 'given', status: 'active', resource: 'Patient', select: [{ column: [{ name: 'given', path: 'name.given' }] }] };
    await w.steward.must('POST', '/fhir/$viewdefinition-export', { resourceType: 'Parameters', parameter: [{ name: 'view', part: [{ name: 'viewResource', resource: view }] }] }, { Prefer: 'respond-async' });
    await page.locator('tr').filter({ hasText: '失败' }).getByText('视图中有一列取到多个值').waitFor();
    await page.locator('tr').filter({ hasText: '完成' }).getByText('100%').waitFor();
    await at.admin.keep('86-jobs');
    await page.locator('.ant-segmented-item').filter({ hasText: '失败' }).click();
    await at.admin.counts('tbody tr', 1, 'the one that failed');
    await at.admin.press('重试');
    await at.admin.sees('任务已重新排队');
    await page.setViewportSize(PHONE);
    await at.admin.fits();
    await at.admin.keep('87-jobs-phone');
  });

  step('the list is handed over on paper: every case of the tab, who and whom to call, room to sign', async () => {
    await toAllocated(w, { priority: 'stat' });
    at.coordinator = await house.signIn('coordinator', { width: 1366, height: 768 });
    const { page } = at.coordinator;
    await at.coordinator.go('/consults?tab=to-allocate');
    await page.locator('[data-action=handover]:not([disabled])').click();
    await page.waitForURL(/\/consults\/handover\?tab=to-allocate/);
    const row = page.locator('.handover tbody tr').filter({ hasText: patientFacts.name });
    await row.waitFor();
    await at.coordinator.reads(row, new RegExp(`特急.*${patientFacts.id}.*李敏 15400000001.*已分派`));
    await at.coordinator.sees('共 1 例，超时 0 例');
    await at.coordinator.sees('截至');
    await at.coordinator.sees('接班人');
    await at.coordinator.keep('85-handover');
    const paper = await page.pdf({ preferCSSPageSize: true });
    assert.equal(paper.toString('latin1').match(/\/Type \/Page\b/g).length, 1, 'one sheet');
    assert.match(paper.toString('latin1'), /\/MediaBox \[0 0 84[12]\.?\d* 59[45]/, 'A4, lying');
    await page.getByRole('button', { name: '返回' }).click();
    await page.waitForURL(/\/consults\?tab=to-allocate/);
  });

  step('a measurement shows how far it is and can be stopped', async () => {
    const folder = house.ct('measured', '--slices', '60', '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M', '--birth', '19620308', '--date', '20261121');
    await house.send(w.doctor, folder);
    await holdMeasuring(house.server.child.pid);
    const [study] = await w.doctor.search('ImagingStudy', {});
    at.radiologist = await house.signIn('radiologist');
    const { page } = at.radiologist;
    await at.radiologist.go('/images');
    const [list] = await Promise.all([page.waitForEvent('download'), at.radiologist.press('CSV')]);
    assert.match(list.suggestedFilename(), /^已收影像-[-\d]+\.csv$/);
    const uid = study.identifier.find((one) => one.system === 'urn:dicom:uid').value.replace('urn:oid:', '');
    const line = readFileSync(await list.path(), 'utf8').split('\r\n').find((one) => one.includes(uid));
    assert.ok(line?.startsWith(`"${patientFacts.name}","男","${patientFacts.id}"`) && line.includes(',60,'), line);
    await at.radiologist.keep('88-images');
    await at.radiologist.go(`/images/${study.id}`);
    await page.locator('.measurement-progress').filter({ hasText: '测量中' }).waitFor();
    await at.radiologist.reads('.measurement-progress', /\d/);
    await at.radiologist.keep('88-measuring');
    await at.radiologist.take('stop');
    await page.locator('.measurement .badge').filter({ hasText: '已停止测量' }).waitFor();
    await at.radiologist.counts('.measurement-progress', 0);
    await at.radiologist.keep('88-measuring-stopped');
    await page.locator('[data-action=measure-again]').click();
    await at.radiologist.sees('已开始重新测量');
    await page.locator('.measurement .badge').filter({ hasText: /测量中|待审核|未采用|不适合测量/ }).first().waitFor();
    await waitFor('a second measurement', async () => (await w.doctor.search('DiagnosticReport', { subject: study.subject.reference })).length === 2, 60);
  });

  step('the first page stays at 180 kB on the line, sign-in and list together', async () => {
    for (const [name, viewport] of [['desk', { width: 1440, height: 900 }], ['phone', PHONE]]) {
      const context = await house.browser.newContext({ locale: 'zh-CN', viewport });
      const page = await context.newPage();
      const line = await context.newCDPSession(page);
      await line.send('Network.enable');
      const sizes = [];
      line.on('Network.loadingFinished', ({ encodedDataLength }) => sizes.push(encodedDataLength));
      await page.goto(`${house.server.base}/consults`);
      await page.fill('#name', named('coordinator').account);
      await page.fill('#password', PASSWORD);
      await page.click('button[type=submit]');
      await page.locator('tbody tr').filter({ hasText: patientFacts.name }).first().waitFor();
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      console.log(`# first page on the line, ${name}: ${Math.round(bytes / 1024)} kB in ${sizes.length} answers`);
      assert.ok(sizes.length > 10 && bytes > 100 * 1024, 'it was measured');
      // A question asked twice, because something changed meanwhile, is 2 kB.
      assert.ok(bytes < 186 * 1024, `${name}: ${bytes} bytes`);
      await context.close();
    }
  });

  step('nobody was told an error', async () => {
    for (const person of Object.values(at)) await person.leave();
  });
});
