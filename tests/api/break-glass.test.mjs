// 紧急调阅: a named patient, a reason, an hour, both heads told; before, during, after, by every role and every way.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Person, stateOf, text } from '../../scenarios/client.mjs';
import { addPerson, createPatient, hospitals, PASSWORD, patientFacts, startServer } from '../../scenarios/world.mjs';
import { issuesOf, program, startWorld, waitFor } from './support.mjs';

let w;
let stranger; // of the county; the helping hospital has no consult about her
let condition;
const facts = { id: 'ZY-900', national: '660243198001010028', name: '赵一', gender: 'female', birthDate: '1980-01-01' };
const reason = '急诊转运途中昏迷，需过敏史和用药史';

async function addTo(hospital, person) {
  const organization = { reference: hospital === 'helper' ? w.coordinator.organization : w.doctor.organization, name: hospitals[hospital].name };
  const { first } = await addPerson(w.admins[hospital], organization, person);
  const added = await new Person(w.base, person.account).signIn(first);
  await added.changePassword(PASSWORD);
  return added;
}

before(async () => {
  w = await startWorld();
  w.helperDuty = await addTo('helper', { account: 'qianli', name: '钱力', role: 'duty-head', title: 'chief', specialty: '总值班', phone: '15400000021' });
  w.affairs = await addTo('county', { account: 'heyi', name: '何怡', role: 'medical-affairs', title: 'associate-chief', specialty: '医务科', phone: '15400000022' });
  stranger = await createPatient(w.doctor, facts);
  const subject = { reference: `Patient/${stranger.id}` };
  condition = await w.doctor.create({ resourceType: 'Condition', subject, code: { text: '青霉素过敏性休克史' },
    clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }] } });
  w.final = await w.doctor.create({ resourceType: 'Observation', status: 'final', subject, code: { text: '血钾' }, valueString: '6.8' });
  w.preliminary = await w.doctor.create({ resourceType: 'Observation', status: 'preliminary', subject, code: { text: '血钠' }, valueString: '120' });
});
after(async () => { await w?.stop(); });

const glass = (person, more = {}) => person.request('POST', '/fhir/Patient/$break-glass', { resourceType: 'Parameters',
  parameter: Object.entries({ identifier: facts.national, name: facts.name, reason, ...more }).filter(([, v]) => v !== undefined).map(([name, valueString]) => ({ name, valueString })) });

// Every way to the chart: which of them give it.
async function ways(person) {
  const seen = [];
  const has = async (name, path, id) => { if ((await person.request('GET', path)).text.includes(id)) seen.push(name); };
  await has('read', `/fhir/Patient/${stranger.id}`, stranger.id + '"');
  await has('search', `/fhir/Patient?identifier=${facts.national}`, facts.name);
  await has('condition', `/fhir/Condition/${condition.id}`, '过敏性休克');
  await has('conditions', `/fhir/Condition?patient=${stranger.id}`, '过敏性休克');
  await has('compartment', `/fhir/Patient/${stranger.id}/Condition`, '过敏性休克');
  await has('revinclude', `/fhir/Patient?_id=${stranger.id}&_revinclude=Condition:subject`, '过敏性休克');
  await has('observation', `/fhir/Observation?patient=${stranger.id}`, w.final.id);
  const batch = await person.request('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: `Condition?patient=${stranger.id}` } }] });
  if (batch.text.includes('过敏性休克')) seen.push('batch');
  return seen;
}

test('before: no way leads to the chart; wrong roles and bad input are refused', async () => {
  assert.deepEqual(await ways(w.lead), []);
  for (const person of [w.coordinator, w.commander, w.duty, w.helperDuty, w.affairs, w.admins.helper, w.admins.county]) {
    const answer = await glass(person);
    assert.equal(answer.status, 403, person.name);
    assert.ok(!answer.text.includes(stranger.id));
  }
  assert.equal((await fetch(`${w.base}/fhir/Patient/$break-glass`, { method: 'POST', body: '{}' })).status, 401);
  assert.match(issuesOf(await glass(w.lead, { reason: '急' })).join(), /理由/);
  assert.equal((await glass(w.lead, { reason: undefined })).status, 422);
  assert.equal((await glass(w.lead, { name: undefined })).status, 422);
  assert.equal((await glass(w.lead, { minutes: '600' })).status, 400, 'the time is not the asker\'s to say');
  const own = await glass(w.doctor);
  assert.equal(own.status, 422, 'who sees the patient anyway opens nothing');
  const forged = await w.lead.request('POST', '/fhir/Task', { resourceType: 'Task', status: 'requested', intent: 'order', code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'break-glass' }] },
    businessStatus: { coding: [{ system: 'urn:shanhai:codes:break-glass-state', code: 'asked' }] }, focus: { reference: `Patient/${stranger.id}` }, for: { reference: `Patient/${stranger.id}` }, requester: { reference: w.lead.post } });
  assert.ok([403, 404, 422].includes(forged.status), String(forged.status));
});

test('names are not to be guessed: name and number must both fit, and tries are few', async () => {
  for (const wrong of [{ name: '赵二' }, { identifier: '660243198001010036' }, { identifier: `${facts.national},${patientFacts.national}` }]) {
    const answer = await glass(w.expert, wrong);
    assert.equal(answer.status, 404);
    assert.match(issuesOf(answer).join(), /没有姓名与号码都相符的患者/);
  }
  const late = await glass(w.expert);
  assert.equal(late.status, 429);
  assert.ok(Number(late.headers.get('retry-after')) > 0);
});

let task;
test('during: the chart of this patient, for who opened it, and both heads are told at once', async () => {
  const answer = await glass(w.lead);
  assert.equal(answer.status, 201, answer.text);
  task = answer.json;
  assert.equal(stateOf(task), 'open');
  assert.equal(Date.parse(task.restriction.period.end) - Date.parse(task.restriction.period.start), 3600e3);
  assert.deepEqual(await ways(w.lead), ['read', 'search', 'condition', 'conditions', 'compartment', 'revinclude', 'observation', 'batch']);
  assert.equal((await w.lead.request('GET', `/fhir/Observation/${w.preliminary.id}`)).status, 404, 'nothing that is not final');
  assert.equal((await w.lead.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 404, 'no other patient');
  assert.ok([403, 404].includes((await w.lead.request('PUT', `/fhir/Condition/${condition.id}`, { ...condition, code: { text: '改' } })).status));
  assert.deepEqual(await ways(w.expert), [], 'not his colleague');
  assert.equal((await glass(w.lead)).status, 422, 'open already');

  for (const head of [w.duty, w.helperDuty, w.affairs]) {
    const [seen] = await head.search('Task', { code: 'urn:shanhai:codes:workflow|break-glass' });
    assert.equal(seen.id, task.id, head.name);
    assert.equal(seen.reasonCode.text, reason);
    const notices = await head.search('Communication', { category: 'urn:shanhai:codes:communication|break-glass' });
    assert.equal(notices.length, 1, head.name);
    assert.equal(notices[0].sender.reference, w.lead.post);
  }
  assert.deepEqual(await ways(w.helperDuty), [], 'who reviews does not see the chart by that');
  assert.equal((await w.coordinator.request('GET', `/fhir/Task/${task.id}`)).status, 404);
});

test('the audit log says who opened it and what was read under it', async () => {
  const events = await waitFor('the audit records', async () => {
    const bundle = await w.admins.helper.must('GET', `/fhir/AuditEvent?patient=${stranger.id}&_count=200`);
    const list = (bundle.entry ?? []).map((e) => e.resource);
    return list.some((e) => JSON.stringify(e.subtype).includes('$break-glass')) && list;
  });
  const marked = events.filter((e) => e.purposeOfEvent?.[0].coding[0].code === 'BTG');
  assert.ok(marked.some((e) => e.entity.some((x) => x.what?.reference === `Condition/${condition.id}`) || JSON.stringify(e.entity).includes('Patient')), 'reads are marked');
  assert.ok(marked.every((e) => e.agent[0].altId === w.lead.post.split('/')[1]));
  const ours = await w.admins.county.must('GET', `/fhir/AuditEvent?patient=${stranger.id}&_count=200`);
  assert.ok((ours.entry ?? []).every((e) => !e.resource.purposeOfEvent), 'the county doctor\'s own reads are not marked');
});

test('the review: each hospital once; an objection ends it at once; then all ways are shut', async () => {
  for (const person of [w.lead, w.doctor]) assert.ok([403, 404].includes((await person.takeAnswer(task.id, 'acknowledge')).status), person.name);
  assert.equal((await w.helperDuty.takeAnswer(task.id, 'object', {})).status, 422, 'an objection has a reason');
  assert.equal(stateOf(await w.helperDuty.take(task.id, 'acknowledge', { remark: text('情况属实') })), 'open');
  assert.equal((await w.helperDuty.takeAnswer(task.id, 'acknowledge')).status, 422, 'once');
  assert.ok((await ways(w.lead)).length > 0);
  const closed = await w.affairs.take(task.id, 'object', { reason: text('可电话询问经治医师，无需调阅') });
  assert.equal(stateOf(closed), 'closed');
  assert.deepEqual(await ways(w.lead), []);
  assert.equal((await w.duty.takeAnswer(task.id, 'acknowledge')).status, 422, 'the county has answered');
  const reviews = closed.extension.filter((e) => e.url === 'urn:shanhai:ext:review').map((e) => e.extension.find((x) => x.url === 'answer').valueCode);
  assert.deepEqual(reviews, ['acknowledged', 'objected']);
  const put = await w.lead.request('PUT', `/fhir/Task/${task.id}`, { ...closed, reasonCode: { text: '改' } });
  assert.ok([403, 422].includes(put.status), String(put.status));
});

test('counted in the figures of both hospitals, traced to the Task', async () => {
  const date = new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
  for (const head of [w.duty, w.helperDuty, w.affairs]) {
    const figure = (await head.must('GET', `/indicators?date=${date}`)).indicators.find((one) => one.code === 'break-glass-opened');
    assert.equal(figure.value, 1, head.name);
    const drill = await head.must('GET', figure.drill);
    assert.equal(drill.resources[0].reference, `Task/${task.id}`);
  }
});

test('who opened it ends it himself; it is reviewed afterwards', async () => {
  const again = (await glass(w.lead)).json;
  assert.ok((await ways(w.lead)).length > 0);
  assert.ok([403, 404].includes((await w.expert.takeAnswer(again.id, 'end')).status));
  assert.equal(stateOf(await w.lead.take(again.id, 'end')), 'ended');
  assert.deepEqual(await ways(w.lead), []);
  assert.equal(stateOf(await w.duty.take(again.id, 'acknowledge')), 'ended');
  assert.equal(stateOf(await w.helperDuty.take(again.id, 'acknowledge')), 'closed');
});

test('it ends by itself when the time is over, whoever forgets', async () => {
  const folder = join(w.folder, 'definitions', 'workflows');
  mkdirSync(folder, { recursive: true });
  const rule = readFileSync('definitions/workflows/break-glass.json', 'utf8');
  assert.equal(rule.split('60').length, 2, 'the time is said in one place');
  writeFileSync(join(folder, 'break-glass.json'), rule.replace('60 minutes', '3 seconds'));
  await w.server.stop();
  w.server = await startServer(program, w.data, [...w.options, '--definitions', join(w.folder, 'definitions')]);
  for (const person of [w.lead, w.helperDuty]) {
    person.base = w.server.base;
    await person.signIn(PASSWORD);
  }
  const opened = await glass(w.lead);
  assert.equal(opened.status, 201, opened.text);
  assert.ok((await ways(w.lead)).includes('condition'));
  await waitFor('the end of the time', async () => (await ways(w.lead)).length === 0, 20);
  await waitFor('the step that ends it', async () => stateOf(await w.helperDuty.read(`Task/${opened.json.id}`)) === 'ended', 60);
});
