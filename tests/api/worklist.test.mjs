// What stands behind the worklist: Task.priority and the promised time, the opening of the images on record once, and
// what each person keeps alone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { reference } from '../../scenarios/client.mjs';
import { draftConsult } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';

let w;
let task;
before(async () => {
  w = await startWorld();
  ({ task } = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, priority: 'stat' }));
  await w.doctor.take(task, 'submit');
});
after(() => w.stop());

test('a submitted Task carries the urgency and the time of its request', async () => {
  const now = await w.coordinator.read(`Task/${task}`);
  assert.equal(now.priority, 'stat');
  assert.ok(Math.abs(Date.parse(now.authoredOn) - Date.now()) < 60_000);
  const found = await w.coordinator.search('Task', { code: 'urn:shanhai:codes:workflow|consult', priority: 'stat' });
  assert.deepEqual(found.map((one) => one.id), [task]);
});

test('who allocates promises an answer, for 特急 within the hour', async () => {
  const { restriction } = await w.coordinator.take(task, 'allocate');
  const minutes = (Date.parse(restriction.period.end) - Date.now()) / 60_000;
  assert.ok(minutes > 58 && minutes <= 60, `promised in ${minutes} minutes`);
});

test('that an expert has the images open is on record once, under his name', async () => {
  await w.coordinator.take(task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
  const before = await w.lead.read(`Task/${task}`);
  const opened = await w.lead.take(task, 'open-images');
  assert.deepEqual(opened.businessStatus, before.businessStatus);
  assert.deepEqual(opened.extension, before.extension, 'the time at which the next on duty is asked stays');
  assert.match(issuesOf(await w.lead.takeAnswer(task, 'open-images')).join(), /已记录/);
  await w.expert.take(task, 'open-images');
  const steps = await w.doctor.search('Provenance', { target: `Task/${task}` });
  const who = steps.filter((step) => step.activity.coding[0].code === 'open-images').map((step) => step.agent[0].who.reference).sort();
  assert.deepEqual(who, [w.lead.post, w.expert.post].sort());
  assert.equal((await w.doctor.takeAnswer(task, 'open-images')).status, 403, 'the asking side has no such step');
});

const personal = (person, more = {}) => ({
  resourceType: 'Basic', code: { coding: [{ system: 'urn:shanhai:codes:basic', code: 'personal' }] }, author: { reference: `Practitioner/${person.session.person.id}` },
  extension: [{ url: 'urn:shanhai:ext:seen', valueInstant: '2026-11-22T00:00:00Z' }], ...more,
});

test('what a person keeps is read and changed by that person only, and names no patient', async () => {
  const own = await w.doctor.create(personal(w.doctor));
  assert.equal((await w.doctor.update({ ...own, extension: [{ url: 'urn:shanhai:ext:seen', valueInstant: '2026-11-22T01:00:00Z' }] })).meta.versionId, '2');
  for (const other of [w.duty, w.lead, w.commander, w.admins.county]) {
    assert.equal((await other.request('GET', `/fhir/Basic/${own.id}`)).status, 404, other.name);
    assert.deepEqual(await other.search('Basic', {}), [], other.name);
    assert.ok([403, 404].includes((await other.request('PUT', `/fhir/Basic/${own.id}`, own)).status), other.name);
  }
  assert.equal((await w.lead.request('POST', '/fhir/Basic', personal(w.doctor))).status, 403);
  assert.equal((await w.doctor.request('PUT', `/fhir/Basic/${own.id}`, { ...own, author: personal(w.lead).author })).status, 403);
  assert.equal((await w.doctor.request('POST', '/fhir/Basic', personal(w.doctor, { subject: { reference: `Patient/${w.patient.id}` } }))).status, 403);
  assert.equal((await w.doctor.request('POST', '/fhir/Basic', { ...personal(w.doctor), code: { text: 'x' } })).status, 403);
});
