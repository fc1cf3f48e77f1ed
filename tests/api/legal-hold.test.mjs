// 病历封存: what was there before is not changed, nothing is deleted, until the same role lifts it with a reason.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Person, stateOf, text } from '../../scenarios/client.mjs';
import { addPerson, createPatient, draftConsult, hospitals, PASSWORD } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';
import { opinionOf, toSession } from './stages.mjs';

let w;
let affairs;
let other; // of the helping hospital
let condition;
before(async () => {
  w = await startWorld();
  const add = async (hospital, account, name) => {
    const admin = w.admins[hospital];
    const organization = hospital === 'county' ? w.doctor.organization : w.coordinator.organization;
    const { first } = await addPerson(admin, { reference: organization, name: hospitals[hospital].name },
      { account, name, role: 'medical-affairs', title: 'associate-chief', specialty: '医务科', phone: '15400000022' });
    const person = await new Person(w.base, account).signIn(first);
    await person.changePassword(PASSWORD);
    return person;
  };
  affairs = await add('county', 'heyi', '何怡');
  other = await add('helper', 'lvxin', '吕新');
  condition = await w.doctor.create({ resourceType: 'Condition', subject: { reference: `Patient/${w.patient.id}` }, code: { text: '肺炎' },
    clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }] } });
});
after(async () => { await w?.stop(); });

const holdOf = (person, patient, more = {}) => ({ resourceType: 'Task', status: 'in-progress', intent: 'order',
  code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'legal-hold' }] },
  businessStatus: { coding: [{ system: 'urn:shanhai:codes:legal-hold-state', code: 'active' }] },
  focus: { reference: `Patient/${patient}` }, for: { reference: `Patient/${patient}` }, requester: { reference: person.post },
  authoredOn: new Date().toISOString(), reasonCode: { text: '医疗纠纷，家属申请封存' }, ...more });
const put = (person, resource) => person.request('PUT', `/fhir/${resource.resourceType}/${resource.id}`, resource);

test('who may place one, and with what', async () => {
  for (const person of [w.doctor, w.duty, w.radiologist, w.coordinator, w.lead, w.commander, w.admins.county, w.admins.helper]) {
    const answer = await person.request('POST', '/fhir/Task', holdOf(person, w.patient.id));
    assert.ok([403, 404, 422].includes(answer.status), `${person.name}: ${answer.status}`);
  }
  assert.equal((await other.request('POST', '/fhir/Task', holdOf(other, w.patient.id))).status, 403, 'another hospital\'s patient');
  for (const more of [{ reasonCode: undefined }, { reasonCode: { text: ' ' } }, { authoredOn: '2020-01-01T00:00:00Z' }, { requester: { reference: w.doctor.post } },
    { businessStatus: { coding: [{ system: 'urn:shanhai:codes:legal-hold-state', code: 'lifted' }] } }]) {
    const answer = await affairs.request('POST', '/fhir/Task', holdOf(affairs, w.patient.id, more));
    assert.ok([400, 403, 422].includes(answer.status), String(answer.status));
  }
  assert.equal((await put(w.doctor, { ...condition, code: { text: '重症肺炎' } })).status, 200, 'nothing is held yet');
});

test('held: no edit of what was there, no delete, by any way; the text names the hold; care goes on', async () => {
  const running = await toSession(w);
  const draft = await w.lead.create(opinionOf(w, w.lead, running.encounter, '草稿'));
  const request = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
  const stored = await w.doctor.read(`Condition/${condition.id}`);
  const hold = await affairs.create(holdOf(affairs, w.patient.id));
  const number = `FC${hold.authoredOn.slice(0, 10).replaceAll('-', '')}-${hold.id.slice(-5).toUpperCase()}`;

  const edit = await put(w.doctor, { ...stored, code: { text: '改' } });
  assert.equal(edit.status, 422);
  assert.ok(issuesOf(edit).join().includes(number), issuesOf(edit).join());
  assert.match(issuesOf(edit).join(), /已封存.*医务部解除/);
  assert.equal((await put(w.doctor, { ...(await w.doctor.read(`Patient/${w.patient.id}`)), birthDate: '1970-01-01' })).status, 422);
  const patch = await w.doctor.request('PATCH', `/fhir/Condition/${condition.id}`, [{ op: 'replace', path: '/code/text', value: '改' }], { 'Content-Type': 'application/json-patch+json' });
  assert.equal(patch.status, 422);
  for (const type of ['batch', 'transaction']) {
    const bundle = await w.doctor.request('POST', '/fhir', { resourceType: 'Bundle', type, entry: [{ resource: { ...stored, code: { text: '改' } }, request: { method: 'PUT', url: `Condition/${stored.id}` } }] });
    assert.ok(bundle.text.includes(number), type);
  }
  assert.equal((await w.doctor.request('DELETE', `/fhir/Task/${request.task}`)).status, 422);
  const gone = await w.doctor.request('DELETE', `/fhir/ServiceRequest/${request.request}`);
  assert.equal(gone.status, 422, 'a draft is not deleted either');
  assert.ok(gone.text.includes(number));
  assert.equal((await w.lead.request('DELETE', `/fhir/ClinicalImpression/${draft.id}`)).status, 422, 'nor by the other hospital');
  assert.equal((await w.doctor.read(`Condition/${condition.id}`)).code.text, '重症肺炎');

  assert.equal((await put(w.lead, { ...draft, summary: '写完的意见' })).status, 200, 'unfinished work goes on');
  const fresh = await w.doctor.create({ ...stored, id: undefined, meta: undefined, code: { text: '低钾血症' } });
  assert.equal((await put(w.doctor, { ...fresh, code: { text: '低钾血症，已纠正' } })).status, 200, 'what is new may be mended');
  assert.equal((await w.doctor.request('DELETE', `/fhir/Condition/${fresh.id}`)).status, 403);
  await w.lead.take(running.task, 'fail-session', { reason: text('断线') });
  const neighbour = await createPatient(w.doctor, { id: 'P-3', national: '660243197001010035', name: '钱三', gender: 'male', birthDate: '1970-01-01' });
  assert.equal((await put(w.doctor, { ...neighbour, birthDate: '1970-01-02' })).status, 200, 'another patient is not held');

  const listed = await affairs.search('Task', { code: 'urn:shanhai:codes:workflow|legal-hold' });
  assert.deepEqual(listed.map((one) => one.id), [hold.id]);
  assert.equal((await w.doctor.read(`Task/${hold.id}`)).reasonCode.text, '医疗纠纷，家属申请封存', 'the treating doctors know of it');
  assert.equal((await other.search('Task', { code: 'urn:shanhai:codes:workflow|legal-hold' })).length, 0);

  for (const person of [w.doctor, w.admins.county, other, w.duty]) {
    assert.ok([403, 404].includes((await person.takeAnswer(hold.id, 'lift', { reason: text('x') })).status), person.name);
  }
  assert.equal((await affairs.takeAnswer(hold.id, 'lift', {})).status, 422, 'lifting has a reason');
  assert.ok([403, 422].includes((await put(affairs, { ...hold, reasonCode: { text: '改' } })).status));
  assert.ok([403, 422].includes((await affairs.request('DELETE', `/fhir/Task/${hold.id}`)).status));
  const second = await affairs.create(holdOf(affairs, w.patient.id, { reasonCode: { text: '法院调取' } }));
  assert.equal(stateOf(await affairs.take(hold.id, 'lift', { reason: text('双方达成和解') })), 'lifted');
  assert.equal((await put(w.doctor, { ...stored, code: { text: '改' } })).status, 422, 'the second hold stands');
  const lifted = await affairs.take(second.id, 'lift', { reason: text('法院已结案') });
  assert.equal(lifted.statusReason.text, '法院已结案');
  assert.equal((await put(w.doctor, { ...stored, code: { text: '肺炎' } })).status, 200);
  assert.equal((await w.doctor.request('DELETE', `/fhir/ServiceRequest/${request.request}`)).status < 300, true);
});

// A transaction that takes long to make ready sees the records as they were when it began; the hold comes between that and
// its turn to be written. Whichever is on disk first, what comes after the hold changes and deletes nothing.
test('a hold that is placed while others are writing holds them too', async (t) => {
  let between = 0;
  for (let round = 0; round < 6; round += 1) {
    const patient = await createPatient(w.doctor, { id: `HOLD-${round}`, national: `66024319700101${round}018`, name: `封存${round}`, gender: 'male', birthDate: '1970-01-01' });
    const make = () => ({ resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` }, code: { text: 'x' } });
    const made = await w.doctor.must('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry: Array.from({ length: 600 }, () => ({ resource: make(), request: { method: 'POST', url: 'Condition' } })) });
    const ids = made.entry.map((e) => e.response.location.split('/')[1]);
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: ids.map((id) => ({ resource: { ...make(), id, code: { text: 'y' } }, request: { method: 'PUT', url: `Condition/${id}` } })) };
    const writing = w.doctor.request('POST', '/fhir', bundle);
    await new Promise((resolve) => setTimeout(resolve, 15 * round));
    const hold = affairs.create(holdOf(affairs, patient.id));
    const answer = await writing;
    const held = await w.doctor.read(`Task/${(await hold).id}`);
    const after = await w.doctor.read(`Condition/${ids.at(-1)}`);
    assert.ok([200, 409, 412, 422].includes(answer.status), answer.text.slice(0, 200));
    assert.equal(after.code.text, answer.status === 200 ? 'y' : 'x');
    if (answer.status === 200) assert.ok(after.meta.lastUpdated <= held.meta.lastUpdated, 'written before the hold, or not at all');
    if (answer.status === 422) between += 1;
  }
  t.diagnostic(`${between} of 6 transactions met the hold`);
});
