// $erase: one person asks, another confirms, then nothing of a patient's record is left but what says that it was erased.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addSignedIn, createPatient, startServer } from '../../scenarios/world.mjs';
import { postgresql, program, startWorld, waitFor } from './support.mjs';

let w;
let affairs;
let admin;
before(async () => {
  w = await startWorld();
  admin = w.admins.county;
  affairs = await addSignedIn(admin, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'heyi', name: '何怡', role: 'medical-affairs', title: 'associate-chief', specialty: '医务科', phone: '15400000022' });
});
after(async () => { await w?.stop(); });

const rule = (code) => ({ resourceType: 'Parameters', parameter: [{ name: 'rule', valueCode: code }] });
const ask = (person, path, code = 'patient-request') => person.request('POST', `/fhir/${path}/$erase`, rule(code));
const decide = (person, id, action = 'confirm') => person.request('POST', `/admin/erasures/${id}/${action}`);
const stateOf = async (id) => (await affairs.must('GET', '/admin/erasures')).erasures.find((e) => e.id === id);
const done = (id) => waitFor('the erasure', async () => ((await stateOf(id)).state === 'done' ? stateOf(id) : undefined), 60);
const about = (patient, more = {}) => ({ resourceType: 'Observation', status: 'final', code: { text: '体温' }, subject: { reference: `Patient/${patient.id}` }, ...more });
const holdOf = (patient) => ({ resourceType: 'Task', status: 'in-progress', intent: 'order',
  code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'legal-hold' }] },
  businessStatus: { coding: [{ system: 'urn:shanhai:codes:legal-hold-state', code: 'active' }] },
  focus: { reference: `Patient/${patient}` }, for: { reference: `Patient/${patient}` }, requester: { reference: affairs.post },
  authoredOn: new Date().toISOString(), reasonCode: { text: '医疗纠纷，家属申请封存' } });
let number = 20;
const patientOf = (name) => createPatient(w.doctor, { id: `ERASE-${++number}`, national: `66024319700101${number}17`, name, gender: 'male', birthDate: '1970-01-01' });

describe('who may', () => {
  test('only with the right; the rule is named; records of the own hospital; only what is a patient\'s', async () => {
    const patient = await patientOf('凌云志');
    for (const person of [w.doctor, w.lead, w.commander, w.radiologist]) {
      assert.equal((await ask(person, `Patient/${patient.id}`)).status, 403, person.name);
      assert.equal((await person.request('GET', '/admin/erasures')).status, 403);
    }
    assert.equal((await ask(w.admins.helper, `Patient/${patient.id}`)).status, 404, 'another hospital');
    assert.equal((await ask(affairs, 'Patient/nobody')).status, 404);
    assert.equal((await ask(affairs, `Patient/${patient.id}`, 'because')).status, 400);
    assert.equal((await affairs.request('POST', `/fhir/Patient/${patient.id}/$erase`)).status, 400);
    assert.equal((await ask(affairs, `Organization/${w.made.county.organization}`)).status, 422);
  });

  test('another person confirms or refuses, once', async () => {
    const patient = await patientOf('凌云志');
    const asked = await ask(affairs, `Patient/${patient.id}`);
    assert.deepEqual([asked.status, asked.json.state, asked.json.records, asked.json.target], [202, 'asked', 1, `Patient/${patient.id}`]);
    const own = await decide(affairs, asked.json.id);
    assert.deepEqual([own.status, own.json.issue[0].details.coding[0].code], [403, 'erase-other']);
    assert.equal((await decide(w.admins.helper, asked.json.id)).status, 404);
    assert.equal((await decide(admin, asked.json.id, 'other')).status, 404);
    assert.equal((await decide(admin, asked.json.id, 'refuse')).json.state, 'refused');
    assert.equal((await decide(admin, asked.json.id)).status, 409);
    assert.equal((await w.doctor.read(`Patient/${patient.id}`)).id, patient.id);
  });
});

describe('what goes', () => {
  test('the patient, every version, the record, its binaries; texts that nobody else has; what stays says so', async () => {
    const patient = await patientOf('欧阳寻梅');
    const other = await patientOf('旁人');
    const note = '夜里常梦见断桥残雪';
    const binary = await w.doctor.create({ resourceType: 'Binary', contentType: 'text/plain', data: Buffer.from('secret').toString('base64') }).catch(() => null);
    const observation = await w.doctor.create(about(patient, { note: [{ text: note }], code: { text: '体温过高' } }));
    await w.doctor.must('PUT', `/fhir/Observation/${observation.id}`, { ...observation, meta: undefined, note: [{ text: `${note}，又一次` }] });
    const document = binary && await w.doctor.request('POST', '/fhir/DocumentReference', { resourceType: 'DocumentReference', status: 'current', subject: { reference: `Patient/${patient.id}` }, content: [{ attachment: { url: `Binary/${binary.id}` } }] });
    const kept = await w.doctor.create(about(other, { code: { text: '体温过高' } }));
    const found = async (query) => (await w.doctor.must('GET', `/fhir/${query}`)).entry?.map((e) => e.resource.id) ?? [];
    assert.deepEqual((await found(`Observation?code:text=${encodeURIComponent('体温过高')}`)).sort(), [observation.id, kept.id].sort());
    const asked = await ask(affairs, `Patient/${patient.id}`);
    assert.equal(asked.json.records, 2 + (binary && document.status === 201 ? 2 : 0));
    const confirmed = await decide(admin, asked.json.id);
    assert.deepEqual([confirmed.status, confirmed.json.state], [202, 'confirmed']);
    assert.ok((await done(asked.json.id)).ended);
    // Gone: 410, every version of it too, no history that tells anything; nothing is found.
    for (const path of [`Patient/${patient.id}`, `Patient/${patient.id}/_history/1`, `Observation/${observation.id}`, `Observation/${observation.id}/_history/1`, `Observation/${observation.id}/_history/2`]) {
      assert.equal((await w.doctor.request('GET', `/fhir/${path}`)).status, 410, path);
    }
    const history = await w.doctor.request('GET', `/fhir/Observation/${observation.id}/_history`);
    assert.ok(!history.text.includes(note));
    assert.deepEqual(await found(`Patient?name=${encodeURIComponent('欧阳寻梅')}`), []);
    assert.deepEqual(await found(`Observation?code:text=${encodeURIComponent('体温过高')}`), [kept.id], 'what another has is found by the same words');
    // The same words may come again.
    const again = await w.doctor.create(about(other, { note: [{ text: note }], code: { text: '断桥残雪' } }));
    assert.deepEqual(await found(`Observation?code:text=${encodeURIComponent('断桥残雪')}`), [again.id]);
    // The audit log has who asked, who confirmed and what the program deleted, and no name.
    const log = await admin.must('GET', `/fhir/AuditEvent?_count=200`);
    const text = JSON.stringify(log);
    for (const operation of ['$erase', 'erase-confirm']) assert.ok(text.includes(operation), operation);
    assert.ok(!text.includes('欧阳寻梅') && !text.includes(note));
    if (postgresql) return;
    w.server.child.kill('SIGTERM');
    await w.server.stop();
    const checked = spawnSync(program, ['check', '--data', w.data, '--whole-index'], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    const file = readFileSync(join(w.data, 'store.db'));
    assert.ok(!file.includes('欧阳寻梅'), 'the name is nowhere in the file');
    assert.ok(!file.includes('ouyangxunmei'), 'nor its pinyin');
    await restart();
  });

  test('one resource alone; of what is erased nothing can be erased again', async () => {
    const patient = await patientOf('单雄信');
    const observation = await w.doctor.create(about(patient));
    const asked = await ask(affairs, `Observation/${observation.id}`, 'entered-in-error');
    assert.equal(asked.json.records, 1);
    await decide(admin, asked.json.id);
    await done(asked.json.id);
    assert.equal((await w.doctor.request('GET', `/fhir/Observation/${observation.id}`)).status, 410);
    assert.equal((await w.doctor.read(`Patient/${patient.id}`)).id, patient.id);
    assert.equal((await ask(affairs, `Observation/${observation.id}`)).json.records, 0, 'there is nothing left');
  });
});

describe('what stops it', () => {
  test('a legal hold: when it is asked for, confirmed, and in the middle', async () => {
    const patient = await patientOf('甘守信');
    const asked = await ask(affairs, `Patient/${patient.id}`);
    assert.equal(asked.status, 202);
    await affairs.create(holdOf(patient.id));
    const refused = await ask(affairs, `Patient/${patient.id}`);
    assert.deepEqual([refused.status, refused.json.issue[0].details.text], [422, '该病历已封存，不能清除']);
    assert.equal((await decide(admin, asked.json.id)).status, 422);
    assert.equal((await stateOf(asked.json.id)).state, 'asked');
    assert.equal((await w.doctor.read(`Patient/${patient.id}`)).id, patient.id);
  });

  test('a kill in the middle: it goes on', async () => {
    const patient = await patientOf('程不识');
    const observations = [];
    for (let i = 0; i < 12; i++) observations.push(await w.doctor.create(about(patient)));
    const asked = await ask(affairs, `Patient/${patient.id}`);
    assert.equal(asked.json.records, 13);
    assert.equal((await decide(admin, asked.json.id)).status, 202);
    await waitFor('some to be gone', async () => (await w.doctor.request('GET', `/fhir/Observation/${observations[0].id}`)).status === 410);
    w.server.child.kill('SIGKILL');
    await w.server.stop();
    await restart();
    await done(asked.json.id);
    for (const { id } of observations) assert.equal((await w.doctor.request('GET', `/fhir/Observation/${id}/_history/1`)).status, 410);
    assert.equal((await w.doctor.request('GET', `/fhir/Patient/${patient.id}`)).status, 410);
  });
});

async function restart() {
  w.server = await startServer(program, w.data, w.options);
  w.base = w.server.base;
  for (const person of [affairs, admin, w.doctor, w.admins.helper]) {
    person.base = w.server.base;
    await person.signIn(person.password);
  }
}
