// 口头意见: recorded as heard, confirmed by who said it, written up with both times; the record itself is never edited.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { code, reference, text, time } from '../../scenarios/client.mjs';
import { PASSWORD } from '../../scenarios/world.mjs';
import { issuesOf, program, startWorld } from './support.mjs';
import { signOpinion, toDelivered, toSession, toSubmitted } from './stages.mjs';

let w;
before(async () => { w = await startWorld(); });
after(async () => { await w?.stop(); });

const ago = (minutes) => new Date(Date.now() - minutes * 60e3).toISOString();
const words = (more = {}) => ({ expert: reference(w.lead.post), phone: text('15400000012'), heard: time(ago(10)),
  text: text('先上高流量氧疗，甲泼尼龙 40 mg'), 'read-back': text('高流量氧疗，甲泼尼龙 40 毫克，对吗；答：对'), ...more });
const verbalsOf = async (person, consult) => (await person.search('ClinicalImpression', { encounter: consult.encounter }))
  .filter((one) => one.code.coding[0].code === 'verbal');

test('recorded as heard, confirmed, written up: both times kept, the record untouched', async () => {
  const consult = await toSubmitted(w);
  await w.doctor.take(consult.task, 'record-verbal', words());
  const [heard] = await verbalsOf(w.doctor, consult);
  assert.equal(heard.status, 'completed');
  assert.equal(heard.assessor.reference, w.lead.post);
  const extension = (name) => Object.entries(heard.extension.find((e) => e.url === `urn:shanhai:ext:${name}`)).find(([k]) => k.startsWith('value'))[1];
  assert.equal(extension('recorder').reference, w.doctor.post);
  assert.equal(extension('phone'), '15400000012');
  assert.equal(Date.parse(extension('write-up-due')) - Date.parse(heard.effectiveDateTime), 6 * 3600e3);
  assert.ok(Date.parse(heard.date) - Date.parse(heard.effectiveDateTime) >= 10 * 60e3, 'when it was written down is another time');

  const it = { verbal: reference(`ClinicalImpression/${heard.id}`) };
  const early = await w.lead.takeAnswer(consult.task, 'write-up-verbal', { ...it, text: text('x'), basis: text('y'), password: text(PASSWORD) });
  assert.match(issuesOf(early).join(), /先确认/);
  await w.lead.take(consult.task, 'confirm-verbal', { ...it, answer: code('confirmed') });
  assert.equal((await w.lead.takeAnswer(consult.task, 'confirm-verbal', { ...it, answer: code('differs') })).status, 422, 'answered once');
  const written = { ...it, text: text('高流量氧疗；甲泼尼龙 40 mg 静滴'), basis: text('氧合指数 180') };
  assert.equal((await w.lead.takeAnswer(consult.task, 'write-up-verbal', { ...written, password: text('wrong-password-1') })).status, 422);
  await w.lead.take(consult.task, 'write-up-verbal', { ...written, password: text(PASSWORD) });
  assert.equal((await w.lead.takeAnswer(consult.task, 'write-up-verbal', { ...written, password: text(PASSWORD) })).status, 422, 'written once');

  const all = await w.doctor.search('ClinicalImpression', { encounter: consult.encounter });
  const up = all.find((one) => one.code.coding[0].code === 'write-up');
  assert.equal(up.previous.reference, `ClinicalImpression/${heard.id}`);
  assert.equal(up.effectiveDateTime, heard.effectiveDateTime, 'when it was heard');
  assert.ok(Date.parse(up.date) > Date.parse(heard.date), 'when it was written');
  assert.deepEqual(await w.doctor.read(`ClinicalImpression/${heard.id}`), heard, 'the record stands as it was');
  for (const person of [w.doctor, w.lead]) {
    const put = await person.request('PUT', `/fhir/ClinicalImpression/${heard.id}`, { ...heard, summary: '改' });
    assert.ok([403, 422].includes(put.status), `${person.name}: ${put.status}`);
  }
  const signatures = await w.lead.search('Provenance', { target: `ClinicalImpression/${up.id}` });
  assert.equal(signatures.length, 1);

  const figures = await w.duty.must('GET', `/indicators?date=${new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10)}`);
  const figure = figures.indicators.find((one) => one.code === 'verbal-written-in-time');
  assert.equal(figure.numerator, 1);
  assert.equal(figure.value, 100);
});

test('who may: a doctor of the inviting hospital records, only who spoke confirms', async () => {
  const consult = await toSession(w);
  for (const person of [w.duty, w.radiologist, w.coordinator, w.lead]) {
    assert.equal((await person.takeAnswer(consult.task, 'record-verbal', words())).status, 403, person.name);
  }
  await w.doctor.take(consult.task, 'record-verbal', words());
  const [heard] = await verbalsOf(w.doctor, consult);
  const it = { verbal: reference(`ClinicalImpression/${heard.id}`), answer: code('confirmed') };
  for (const person of [w.expert, w.doctor, w.coordinator]) {
    assert.equal((await person.takeAnswer(consult.task, 'confirm-verbal', it)).status, 403, person.name);
  }
  assert.equal((await w.lead.takeAnswer(consult.task, 'confirm-verbal', { ...it, answer: code('maybe') })).status, 422);
  const forged = await w.doctor.request('POST', '/fhir/ClinicalImpression', { ...heard, id: undefined });
  assert.equal(forged.status, 403, 'not written but by the step');
});

test('bad input is told at once: no expert, a time to come, an old time, no phone', async () => {
  const consult = await toSubmitted(w);
  const answer = await w.doctor.takeAnswer(consult.task, 'record-verbal', words({ expert: reference(w.coordinator.post), phone: text('call me'),
    heard: time(new Date(Date.now() + 3600e3).toISOString()) }));
  assert.equal(answer.status, 422);
  const told = issuesOf(answer).join('\n');
  for (const word of ['不是受邀医院的会诊专家', '号码不正确', '晚于现在']) assert.match(told, new RegExp(word));
  assert.match(issuesOf(await w.doctor.takeAnswer(consult.task, 'record-verbal', words({ heard: time(ago(25 * 60)) }))).join(), /24 小时/);
  const { 'read-back': _, ...silent } = words();
  assert.match(issuesOf(await w.doctor.takeAnswer(consult.task, 'record-verbal', silent)).join(), /复述内容/);
});

test('seen as other opinions are: not by who has not signed, never by coordinator, administrator, commander', async () => {
  const consult = await toSession(w);
  await w.doctor.take(consult.task, 'record-verbal', words());
  const [heard] = await verbalsOf(w.doctor, consult);
  const see = async (person) => (await person.request('GET', `/fhir/ClinicalImpression/${heard.id}`)).status;
  assert.equal(await see(w.lead), 200);
  for (const person of [w.expert, w.coordinator, w.commander, w.admins.helper, w.admins.county, w.radiologist, w.duty]) {
    assert.ok([403, 404].includes(await see(person)), person.name);
  }
  await signOpinion(w, consult, w.expert, '意见');
  assert.equal(await see(w.expert), 200, 'who has signed sees it');
});

test('a verbal opinion does not stand in for the signed one', async () => {
  const consult = await toSession(w);
  await w.doctor.take(consult.task, 'record-verbal', words());
  const task = await signOpinion(w, consult, w.expert, '意见');
  assert.equal(task.businessStatus.coding[0].code, 'in-session', 'the lead has spoken, not signed');
  const drafted = await signOpinion(w, consult, w.lead, '意见');
  assert.equal(drafted.businessStatus.coding[0].code, 'drafted');
  const delivered = await toDelivered(w);
  await w.doctor.take(delivered.task, 'record-verbal', words({ expert: reference(w.expert.post) }));
  assert.equal((await verbalsOf(w.expert, delivered)).length, 1);
});

test('an extension that names what is not there stops the program at its start, with the file\'s name', () => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-test-'));
  mkdirSync(join(folder, 'workflows'));
  const tries = [
    [{ extends: 'nothing', transitions: [] }, /needs the workflow 'nothing'/],
    [{ extends: 'consult', transitions: [], also: { 'no-such-step': { effects: [] } } }, /names no transition/],
    [{ extends: 'consult', transitions: [], context: { patient: { value: '1' } } }, /'patient' is there already/],
    [{ extends: 'consult', transitions: [{ name: 'submit', from: ['draft'], who: [], inputs: [], guards: [], effects: [] }] }, /there twice/],
    [{ extends: 'consult', transitions: [{ name: 'x', from: ['nowhere'], who: [], inputs: [], guards: [], effects: [] }] }, /unknown state/],
  ];
  for (const [extension, told] of tries) {
    writeFileSync(join(folder, 'workflows', 'consult_zz.json'), JSON.stringify(extension));
    const run = spawnSync(program, ['serve', '--data', join(folder, 'data'), '--port', '0', '--dicom-port', '-1', '--definitions', folder], { encoding: 'utf8', timeout: 20_000 });
    assert.notEqual(run.status, 0);
    assert.match(run.stderr, told);
  }
  rmSync(folder, { recursive: true });
});
