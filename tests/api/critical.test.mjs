// 危急值: found by a radiologist of either side, phoned, read back, both names and times kept, dealt with, counted.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Person, reference, stateOf, text, time } from '../../scenarios/client.mjs';
import { addPerson, hospitals, PASSWORD } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';
import { toSession, toSubmitted } from './stages.mjs';

let w;
let helperRadiologist;
before(async () => {
  w = await startWorld();
  const { first } = await addPerson(w.admins.helper, { reference: w.coordinator.organization, name: hospitals.helper.name },
    { account: 'gaofeng', name: '高峰', role: 'radiologist', title: 'associate-chief', specialty: '放射科', phone: '15400000015' });
  helperRadiologist = await new Person(w.base, 'gaofeng').signIn(first);
  await helperRadiologist.changePassword(PASSWORD);
});
after(async () => { await w?.stop(); });

const now = (minutes = 0) => time(new Date(Date.now() + minutes * 60e3).toISOString());
const report = (more = {}) => ({ finding: text('右侧张力性气胸，纵隔左移'), found: now(-3), ...more });
const openOf = async (person, patient = w.patient.id) =>
  (await person.search('Task', { code: 'urn:shanhai:codes:workflow|critical-value', patient: `Patient/${patient}`, _sort: '-_lastUpdated' }));
const call = { person: text('李敏'), phone: text('15400000001'), called: now(-1) };
const extension = (communication, name) => Object.fromEntries((communication.extension.find((e) => e.url === `urn:shanhai:ext:${name}`)?.extension ?? [])
  .map((e) => [e.url, e.valueString ?? e.valueDateTime ?? e.valueReference.reference]));

test('found by the helping side: the treating doctor sees it at once, both names and times are kept', async () => {
  const consult = await toSubmitted(w);
  const stream = await fetch(`${w.base}/events`, { headers: { Cookie: w.doctor.cookie, Accept: 'text/event-stream' } });
  const reader = stream.body.getReader();
  await helperRadiologist.take(consult.task, 'report-critical', report());
  const [task] = await openOf(w.doctor);
  let seen = '';
  while (!seen.includes(task.id)) {
    const { value, done } = await reader.read();
    assert.ok(!done, 'the stream ended without the event');
    seen += Buffer.from(value).toString();
  }
  await reader.cancel();
  assert.equal(stateOf(task), 'found');
  assert.equal(Date.parse(task.restriction.period.end) - Date.parse(task.authoredOn), 15 * 60e3);
  assert.equal((await openOf(w.duty)).length, 1, 'the duty head sees it');
  assert.equal((await openOf(w.commander)).length, 0);
  assert.equal((await w.admins.county.request('GET', `/fhir/Task/${task.id}`)).status, 403);

  assert.equal(stateOf(await helperRadiologist.take(task.id, 'call', call)), 'called');
  const early = await w.doctor.takeAnswer(task.id, 'close', { action: text('胸腔闭式引流') });
  assert.equal(early.status, 422, 'first read back');
  assert.equal(stateOf(await w.doctor.take(task.id, 'acknowledge', { 'read-back': text('右侧张力性气胸，立即处理') })), 'acknowledged');
  assert.equal(stateOf(await w.doctor.take(task.id, 'close', { action: text('床旁胸腔闭式引流') })), 'closed');
  const value = await helperRadiologist.read(task.focus.reference);
  assert.equal(value.status, 'completed');
  assert.equal(value.sender.reference, helperRadiologist.post);
  assert.deepEqual([extension(value, 'call').person, extension(value, 'call').phone, extension(value, 'call').by], ['李敏', '15400000001', helperRadiologist.post]);
  assert.equal(extension(value, 'read-back').by, w.doctor.post);
  assert.ok(value.sent <= value.received);
  assert.equal(value.note[0].text, '床旁胸腔闭式引流');
  const put = await helperRadiologist.request('PUT', `/fhir/${task.focus.reference}`, { ...value, payload: [{ contentString: '改' }] });
  assert.ok([403, 422].includes(put.status), String(put.status));
});

test('found by the county\'s own radiologist without a consult', async () => {
  const uuid = `urn:uuid:${crypto.randomUUID()}`;
  const found = now(-20).valueDateTime;
  const bundle = (communication = {}, task = {}) => ({ resourceType: 'Bundle', type: 'transaction', entry: [
    { fullUrl: uuid, request: { method: 'POST', url: 'Communication' }, resource: { resourceType: 'Communication', status: 'in-progress', priority: 'stat',
      category: [{ coding: [{ system: 'urn:shanhai:codes:communication', code: 'critical-value' }] }], subject: { reference: `Patient/${w.patient.id}` },
      sender: { reference: w.radiologist.post }, recipient: [{ reference: w.doctor.organization }], payload: [{ contentString: '主动脉夹层' }],
      extension: [{ url: 'urn:shanhai:ext:found-by', valueReference: { reference: w.radiologist.organization } }], ...communication } },
    { request: { method: 'POST', url: 'Task' }, resource: { resourceType: 'Task', status: 'requested', intent: 'order', priority: 'stat',
      code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'critical-value' }] },
      businessStatus: { coding: [{ system: 'urn:shanhai:codes:critical-value-state', code: 'found' }] }, focus: { reference: uuid },
      for: { reference: `Patient/${w.patient.id}` }, requester: { reference: w.radiologist.post }, authoredOn: found,
      restriction: { period: { end: new Date(Date.parse(found) + 15 * 60e3).toISOString() } }, ...task } }] });
  for (const wrong of [bundle({ payload: undefined }), bundle({ sender: { reference: w.doctor.post } }), bundle({ recipient: [{ reference: w.coordinator.organization }] }),
    bundle({}, { authoredOn: now(60).valueDateTime }), bundle({}, { restriction: undefined }), bundle({ received: found })]) {
    const answer = await w.radiologist.request('POST', '/fhir', wrong);
    assert.ok([400, 403, 422].includes(answer.status), String(answer.status));
  }
  assert.equal((await w.doctor.request('POST', '/fhir', bundle({ sender: { reference: w.doctor.post } }))).status, 403, 'no radiologist');
  await w.radiologist.must('POST', '/fhir', bundle());
  const task = (await openOf(w.doctor)).find((one) => stateOf(one) === 'found');
  assert.ok(Date.parse(task.restriction.period.end) < Date.now(), 'overdue is computed from the record');
  await w.radiologist.take(task.id, 'call', call);
  const answer = await w.radiologist.take(task.id, 'record-read-back', { person: text('李敏'), 'read-back': text('主动脉夹层') });
  assert.equal(stateOf(answer), 'acknowledged');
});

test('who may, and bad input', async () => {
  const consult = await toSession(w);
  for (const person of [w.doctor, w.duty, w.coordinator]) {
    assert.equal((await person.takeAnswer(consult.task, 'report-critical', report())).status, 403, person.name);
  }
  assert.equal((await w.expert.takeAnswer(consult.task, 'report-critical', report({ found: now(10) }))).status, 422);
  assert.equal((await w.expert.takeAnswer(consult.task, 'report-critical', report({ study: reference('ImagingStudy/not-shared') }))).status, 422);
  assert.equal((await w.expert.takeAnswer(consult.task, 'report-critical', { found: now() })).status, 422);
  await w.expert.take(consult.task, 'report-critical', report());
  const task = (await openOf(w.doctor)).find((one) => stateOf(one) === 'found');
  assert.equal((await w.doctor.takeAnswer(task.id, 'call', call)).status, 403);
  assert.equal((await w.lead.takeAnswer(task.id, 'withdraw', { reason: text('x') })).status, 403, 'only who found it');
  assert.equal((await w.expert.takeAnswer(task.id, 'acknowledge', { 'read-back': text('x') })).status, 403);
  const wrong = await w.expert.takeAnswer(task.id, 'call', { ...call, phone: text('?'), called: now(-60) });
  assert.equal(wrong.status, 422);
  assert.equal(issuesOf(wrong).length, 2);
  assert.equal((await w.doctor.takeAnswer(task.id, 'acknowledge', {})).status, 422, 'nothing read back');
  const forged = await w.expert.request('POST', '/fhir/Communication', { resourceType: 'Communication', status: 'in-progress',
    category: [{ coding: [{ system: 'urn:shanhai:codes:communication', code: 'critical-value' }] }], encounter: { reference: consult.encounter },
    sender: { reference: w.expert.post }, payload: [{ contentString: 'x' }] });
  assert.equal(forged.status, 422);
  assert.equal(stateOf(await w.expert.take(task.id, 'withdraw', { reason: text('误判：为皮肤皱褶影') })), 'withdrawn');
});

test('counted: how many, how fast, each traced to its records', async () => {
  // What was found twenty minutes ago may have been found yesterday.
  const day = (ago) => new Date(Date.now() + 8 * 3600e3 - ago * 86400e3).toISOString().slice(0, 10);
  const both = async (person, code) => Promise.all([1, 0].map(async (ago) =>
    (await person.must('GET', `/indicators?date=${day(ago)}`)).indicators.find((one) => one.code === code)));
  const sum = (list) => list.reduce((total, one) => total + (one ?? 0), 0);
  assert.equal(sum((await both(w.doctor, 'critical-values')).map((one) => one.value)), 2, 'the withdrawn one does not count');
  const times = (await both(w.doctor, 'critical-time-to-read-back')).filter((one) => one.value !== null && one.value !== undefined);
  assert.ok(times.length > 0 && times.every((one) => one.value >= 0 && one.value < 21), JSON.stringify(times.map((one) => one.value)));
  const drills = await Promise.all(times.map((one) => w.doctor.must('GET', one.drill)));
  assert.equal(sum(drills.map((drill) => drill.total)), 2);
  assert.equal(sum(drills.map((drill) => drill.visible)), 2);
  assert.equal(sum((await both(helperRadiologist, 'critical-values')).map((one) => one.value)), 1, 'the helping hospital counts what it found');
});
