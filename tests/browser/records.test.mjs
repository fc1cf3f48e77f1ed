// What happens to a record beside the consult, clicked through in Chromium: opened in an emergency, sealed, images that come
// on a CD or fit nobody, a photo of film, the printed report that anyone may check, its fee, the consent to a recording.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPatient, draftConsult, hospitals, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { toDelivered, toSession } from '../api/stages.mjs';
import { directory, zip } from '../api/zip.mjs';
import { stow, waitFor } from '../api/support.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import { eventually, Person } from './people.mjs';

const PHONE = { width: 360, height: 740 };
const STRANGER = { id: 'ZY-900', national: '660243198001010028', name: '赵一', gender: 'female', birthDate: '1980-01-01' };
const TWIN = { id: 'ZY-0301', national: '660243197005050033', name: '杨柳', gender: 'female', birthDate: '1970-05-05' };

describe('records through the screens', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  let w;
  let consult;

  before(async () => {
    await house.start();
    await house.hire({ key: 'affairs', hospital: 'county', account: 'heyi', name: '何怡', role: 'medical-affairs', title: 'associate-chief', specialty: '医务部', phone: '15400000022' });
    await house.hire({ key: 'helperDuty', hospital: 'helper', account: 'qianli', name: '钱力', role: 'duty-head', title: 'chief', specialty: '总值班', phone: '15400000021' });
    w = house.world;
    w.patient = await createPatient(w.doctor);
    const stranger = await createPatient(w.doctor, STRANGER);
    await createPatient(w.doctor, TWIN);
    await w.doctor.create({ resourceType: 'AllergyIntolerance', patient: { reference: `Patient/${stranger.id}` }, code: { text: '青霉素过敏性休克' },
      clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical', code: 'active' }] } });
  });

  after(() => house.stop());

  step('a record is opened in an emergency: named exactly, with a reason, for the time that is shown', async () => {
    at.lead = await house.signIn('lead', { ...PHONE, name: 'lead on a phone' });
    const { page } = at.lead;
    await at.lead.go('/break-glass');
    await page.locator('[data-action=break-glass]').click();
    await at.lead.sees('请填写：调阅理由');
    await page.fill('#name', '赵二');
    await page.fill('#identifier', STRANGER.national);
    await page.fill('#reason', '急诊转运途中昏迷，需了解过敏史和用药史');
    await page.locator('[data-action=break-glass]').click();
    await at.lead.sees('没有姓名与号码都相符的患者');
    await at.lead.forgive('404');
    await page.fill('#name', STRANGER.name);
    await at.lead.fits();
    await at.lead.keep('60-break-glass-phone');
    await page.locator('[data-action=break-glass]').click();
    await page.waitForURL(/\/break-glass\/[0-9a-f-]{36}$/);
    await at.lead.sees('青霉素过敏性休克');
    const left = page.locator('[data-break-glass] .countdown');
    await at.lead.reads(left, /还剩 (59:\d\d|1:00:00)/);
    const before = await left.innerText();
    await page.waitForFunction((text) => document.querySelector('[data-break-glass] .countdown')?.textContent.trim() !== text.trim(), before);
    await at.lead.fits();
    await at.lead.keep('61-chart-phone');
  });

  step('both hospitals\' heads are told on whatever page they are; an objection ends it at once', async () => {
    at.duty = await house.signIn('duty');
    const notice = at.duty.page.locator('.glass-notice');
    await notice.filter({ hasText: '赵强' }).waitFor();
    await at.duty.reads(notice, /1 次紧急调阅待审阅.*聊城市示例医院 · 赵强：急诊转运途中昏迷/);
    await at.duty.keep('62-glass-notice');
    at.helperDuty = await house.signIn('helperDuty');
    await at.helperDuty.page.locator('.glass-notice a').click();
    await at.helperDuty.take('acknowledge');
    await at.helperDuty.confirm();
    await at.helperDuty.page.locator('.glass-notice').waitFor({ state: 'detached' });
    await at.duty.page.locator('.glass-notice a').click();
    await at.duty.sees('彭水县示例医院');
    assert.equal(await at.duty.page.getByText('青霉素').count(), 0, 'who reviews reads no chart by that');
    await at.duty.take('object');
    await at.duty.page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
    await at.duty.sees('请填写：');
    await at.duty.fill({ reason: '该患者未转往你院' });
    await at.duty.keep('63-object');
    await at.duty.confirm();
    await at.duty.sees('已审阅');
    await at.lead.sees('调阅已结束');
    await at.lead.counts(at.lead.page.getByText('青霉素过敏性休克'), 0, 'the chart is gone from the screen');
    at.lead.faults.length = 0; // what was open is refused from now on
  });

  step('medical affairs seals a record with a number and a reason; the room says so; it is lifted with a reason', async () => {
    consult = await toSession(w);
    at.affairs = await house.signIn('affairs');
    const { page } = at.affairs;
    await at.affairs.go('/holds');
    await page.locator('.patient-picker input').fill(patientFacts.name);
    await page.locator('.ant-select-dropdown:visible .ant-select-item-option').filter({ hasText: patientFacts.id }).click();
    await page.fill('#reason', '医疗纠纷，家属申请封存');
    await page.locator('[data-action=place-hold]').click();
    const card = page.locator('[data-hold]').filter({ hasText: '封存中' });
    await card.waitFor();
    const number = (await card.locator('strong').innerText()).trim();
    assert.match(number, /^FC\d{8}-[0-9A-F]{5}$/);
    await at.affairs.keep('64-hold');
    at.doctor = await house.signIn('doctor');
    await at.doctor.go(`/consults/${consult.task}`);
    await at.doctor.page.locator('.badge').filter({ hasText: `病历已封存 ${number}` }).waitFor();
    await at.doctor.keep('65-room-held');
    await at.affairs.takeIn(card, 'lift');
    await at.affairs.fill({ reason: '双方达成和解' });
    await at.affairs.confirm();
    await page.locator('[data-hold]').filter({ hasText: '双方达成和解' }).waitFor();
    await at.doctor.page.locator('.badge').filter({ hasText: '病历已封存' }).waitFor({ state: 'detached' });
  });

  step('recording only when all agree: consent, agreement, sign for everybody, withdrawal', async () => {
    const { page } = at.doctor;
    const bar = page.locator('.recording');
    assert.equal(await bar.locator('button[data-transition=start-recording]').count(), 0, 'not before everybody has agreed');
    await at.doctor.takeIn(bar, 'consent-recording');
    await at.doctor.fill({ signer: '王小东本人' });
    await page.locator('.ant-modal:visible #scope').getByText('仅存入病历').click();
    await at.doctor.confirm();
    for (const key of ['lead', 'expert']) {
      const person = await house.signIn(key, { name: `${key} in the session` });
      at[`${key}InSession`] = person;
      await person.go(`/consults/${consult.task}`);
      await person.takeIn(person.page.locator('.recording'), 'agree-recording');
      await person.page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
      await person.page.locator('.recording').getByText(`${named(key).name} 已同意`).waitFor();
    }
    await at.doctor.takeIn(bar, 'start-recording');
    await page.locator('.ant-modal:visible .ant-modal-footer .ant-btn-primary').click();
    await page.locator('.recording-on').getByText('录制中').waitFor();
    await at.expertInSession.page.locator('.recording-on').getByText('录制中').waitFor();
    await at.expertInSession.keep('66-recording');
    await at.expertInSession.takeIn(at.expertInSession.page.locator('.recording'), 'withdraw-recording');
    await at.expertInSession.fill({ reason: '不愿出镜' });
    await at.expertInSession.confirm();
    await page.locator('.recording').getByText('不愿出镜').waitFor();
    await at.doctor.counts('.recording-on', 0, 'it stops when one takes it back');
  });

  step('a CD as a ZIP: what is no image is left out, what the directory lists and is not there is told', async () => {
    const { page } = at.doctor;
    const folder = house.ct('cd', '--slices', '4', '--size', '64', '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M', '--birth', '19620308', '--date', '20261120', '--seed', '3');
    const images = readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => ({ name: `IMAGES/${name}`, bytes: readFileSync(join(folder, name)) }));
    const packed = join(house.folder, 'cd.zip');
    writeFileSync(packed, zip([{ name: 'DICOMDIR', bytes: directory(['PATIENT', 'STUDY', 'SERIES', ...Array(5).fill('IMAGE')]) }, { name: 'AUTORUN.INF', bytes: Buffer.from('[autorun]') },
      { name: 'IMAGES/scratched.dcm', bytes: images[0].bytes.subarray(0, 400) }, ...images]));
    await at.doctor.go('/images?tab=send');
    await page.locator('.drop-zone input[accept=".zip"]').setInputFiles(packed);
    await at.doctor.sees('跳过 2 个非影像文件');
    await at.doctor.sees('光盘目录列有 5 幅，还缺 1 幅');
    await page.locator('.upload-refused li').filter({ hasText: 'scratched.dcm' }).getByText('不是可读取的影像').waitFor();
    await at.doctor.keep('67-cd');
    const broken = join(house.folder, 'broken.zip');
    writeFileSync(broken, readFileSync(packed).subarray(0, 3000));
    await page.locator('.drop-zone input[accept=".zip"]').setInputFiles(broken);
    await at.doctor.sees('压缩包不完整，请重新上传');
    await at.doctor.forgive('400');
  });

  step('a name that fits with another birth date is held and asked, never attached by itself', async () => {
    const { page } = at.doctor;
    const folder = house.ct('twin', '--slices', '4', '--size', '64', '--patient-name', TWIN.name, '--patient-id', TWIN.id, '--sex', 'F', '--birth', '19700506', '--date', '20261120', '--seed', '4');
    await page.locator('.drop-zone input[webkitdirectory]').setInputFiles(folder);
    await at.doctor.sees('已收到 4 / 4 幅');
    await page.locator('[role=tab][data-tab=held]').click();
    const row = page.locator('.held tr').filter({ hasText: TWIN.name });
    await row.getByText('号码一致，出生日期不同').waitFor();
    await row.getByRole('button', { name: '匹配患者' }).click();
    const dialog = page.locator('.ant-modal:visible');
    await dialog.locator('.compare-differs').filter({ hasText: '出生日期' }).waitFor();
    await eventually(async () => assert.ok(await dialog.locator('.ant-modal-footer .ant-btn-primary').isDisabled(), 'not before a person has said so'));
    await at.doctor.keep('68-held');
    await dialog.getByRole('checkbox').check();
    await at.doctor.confirm();
    await page.locator('[role=tab][data-tab=received]').click();
    await page.locator('tr').filter({ hasText: TWIN.name }).first().waitFor();
  });

  step('what another hospital sent into a study is let in or refused by its own hospital', async () => {
    const { page } = at.doctor;
    await house.hire({ key: 'far', hospital: 'helper', account: 'yuanfang', name: '袁放', role: 'radiologist', title: 'chief', specialty: '影像科', phone: '15400000048' });
    const folder = house.ct('shared', '--slices', '6', '--size', '64', '--patient-name', TWIN.name, '--patient-id', TWIN.id, '--sex', 'F', '--birth', '19700505', '--date', '20261121', '--seed', '11');
    const files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).sort().map((name) => readFileSync(join(folder, name)));
    assert.equal((await stow(w.doctor, files.slice(0, 3))).status, 200);
    const known = () => w.doctor.search('ImagingStudy', { started: '2026-11-21' }).then((found) => found.find((one) => one.numberOfInstances >= 3));
    await waitFor('the study is joined', known, 60);
    assert.equal((await stow(w.far, files.slice(3))).status, 200);
    await waitFor('they are held', async () => (await w.doctor.must('GET', '/studies/held')).some((one) => one.part), 60);
    await page.locator('[role=tab][data-tab=held]').click();
    const row = page.locator('.held tr').filter({ hasText: '同一检查里又来了其他医院发送的影像' });
    await row.getByText(`发送方：${hospitals.helper.name}`).waitFor();
    await at.doctor.keep('68-held-part');
    await row.getByRole('button', { name: '不接收' }).click();
    await at.doctor.sees(`不接收${TWIN.name}的 3 幅图像？`);
    await at.doctor.keep('68-held-refuse');
    await page.locator('.ant-modal-confirm .ant-btn').filter({ hasText: /取\s*消/ }).click();
    await row.getByRole('button', { name: '核对并入' }).click();
    await at.doctor.sees('核对后并入这项检查');
    await at.doctor.keep('68-held-release');
    await at.doctor.confirm();
    await at.doctor.sees('已并入检查');
    assert.equal((await known()).numberOfInstances, 6);
  });

  step('a photo of film carries its mark wherever it is shown', async () => {
    const phone = await house.signIn('doctor', { ...PHONE, name: 'doctor on a phone' });
    at.phone = phone;
    const draft = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
    await phone.go(`/consults/${draft.task}/edit`);
    await phone.page.locator('.film-section input[type=file]').setInputFiles({ name: 'film.png', mimeType: 'image/png', buffer: await at.doctor.page.screenshot() });
    await phone.page.locator('.film-photo .film-over').filter({ hasText: '非诊断' }).waitFor();
    await phone.page.locator('.film-photo').click();
    await phone.page.locator('.film-large .film-over').filter({ hasText: '翻拍胶片，非诊断用途' }).waitFor();
    await phone.fits();
    await phone.keep('69-film-phone');
  });

  step('the fee and its payer are set; each printed copy is counted', async () => {
    consult = await toDelivered(w);
    at.coordinator = await house.signIn('coordinator');
    await at.coordinator.go(`/consults/${consult.task}`);
    await at.coordinator.take('set-fee');
    await at.coordinator.page.locator('.ant-modal:visible #item').getByText('远程会诊（多学科）').click();
    await at.coordinator.fill({ amount: '300' });
    await at.coordinator.page.locator('.ant-modal:visible #payer').getByText('对口支援免收').click();
    await at.coordinator.confirm();
    const { page } = at.doctor;
    await at.doctor.go(`/consults/${consult.task}/print`);
    await page.evaluate(() => { globalThis.print = () => { globalThis.printed = (globalThis.printed ?? 0) + 1; }; });
    await at.doctor.sees('已打印 0 份');
    await at.doctor.sees('应收 300.00 元，实收 0.00 元');
    await page.locator('[data-action=print]').click();
    await page.waitForFunction(() => globalThis.printed === 1);
    await at.doctor.reads(page.locator('.sheet:not(.sheet-measure)').last(), /第 1 份/);
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    await at.doctor.sees('已打印 1 份');
    await page.locator('[data-action=print]').click();
    await page.waitForFunction(() => globalThis.printed === 2);
    await at.doctor.reads(page.locator('.sheet:not(.sheet-measure)').last(), /第 2 份/);
    await page.locator('.sheet:not(.sheet-measure) .verify-code svg').first().waitFor();
    await at.doctor.keep('70-printed');
    await eventually(async () => assert.ok(await page.getByRole('radio', { name: '患者联' }).isDisabled(), 'the patient\'s copy comes after the decision'));
  });

  step('the patient\'s copy speaks to the patient and keeps single opinions to itself', async () => {
    const { page } = at.doctor;
    await w.doctor.take(consult.task, 'decide', { adoption: { valueCode: 'adopted' }, plan: { valueString: '高流量氧疗，48 小时复查 CT' }, password: { valueString: PASSWORD } });
    await at.doctor.go('/consults');
    await at.doctor.go(`/consults/${consult.task}/print`);
    await page.getByText('患者联', { exact: true }).click();
    await at.doctor.sees('就您的病情邀请');
    const text = () => page.locator('.sheet:not(.sheet-measure)').allInnerTexts();
    await eventually(async () => assert.match((await text()).join(), /先按病毒性肺炎处理[\s\S]*高流量氧疗，48 小时复查 CT[\s\S]*15400000001/));
    assert.doesNotMatch((await text()).join(), /机化性肺炎可能/, 'no single opinion');
    await at.doctor.keep('71-patient-copy');
  });

  step('anyone may check a sheet by its code, without signing in, and learns nothing of the patient', async () => {
    const document = await w.doctor.read(consult.document);
    const mark = document.signature.data.replace(/=+$/, '').slice(-16).replaceAll('+', '-').replaceAll('/', '_');
    const context = await house.browser.newContext({ locale: 'zh-CN', viewport: PHONE, reducedMotion: 'reduce' });
    const anybody = new Person('anybody', await context.newPage(), house.server.base);
    await anybody.open(`/check/${document.id}/${mark}?copy=2`);
    await anybody.page.locator('[data-genuine=true]').getByText('报告为真').waitFor();
    await anybody.sees('第 2 份');
    await anybody.sees(hospitals.helper.name);
    assert.equal(await anybody.page.getByText(patientFacts.name).count(), 0);
    await anybody.fits();
    await anybody.keep('72-genuine-phone');
    await anybody.open(`/check/${document.id}/${mark}?copy=9`);
    await anybody.page.locator('[data-genuine=false]').getByText('未能查验为真').waitFor();
    await anybody.keep('73-not-genuine-phone');
    await anybody.leave();
  });

  step('nobody was told an error', async () => {
    for (const person of Object.values(at)) await person.leave();
  });
});
