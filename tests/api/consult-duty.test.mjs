// 特急: who does not answer within 10 minutes is passed over for the next on the duty list; nobody left, the coordinator sees it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Person, reference, stateOf, text } from '../../scenarios/client.mjs';
import { addPerson, PASSWORD } from '../../scenarios/world.mjs';
import { dutyList, hire, restart, stepsOf, toAllocated } from './play.mjs';
import { startWorld, waitFor } from './support.mjs';

let w;
let second;
let third;
let low;
let foreign; // a coordinator of the inviting hospital
let uncalled; // an expert whom only a foreign list names

// The rules without "own": a list as it may stand in a folder from before that rule, or from a hospital with rules of its own.
const loose = mkdtempSync(join(tmpdir(), 'shanhai-loose-'));
mkdirSync(join(loose, 'policies'));
const strict = readFileSync(new URL('../../definitions/policies/consult-coordinator.json', import.meta.url), 'utf8');
writeFileSync(join(loose, 'policies', 'consult-coordinator.json'), strict.replace(/,\s*"own": \["actor.reference"\]/, ''));

async function foreignList() {
  const { first } = await addPerson(w.admins.county, { reference: w.doctor.organization }, { account: 'xietiao', name: '谢条', role: 'consult-coordinator', title: 'attending', specialty: '医务科', phone: '15400000047' });
  foreign = await new Person(w.base, 'xietiao').signIn(first);
  await foreign.changePassword(PASSWORD);
  return foreign.create(dutyList([uncalled.post, low.post]));
}

before(async () => {
  w = await startWorld({ flags: ['--definitions', loose] });
  const expert = (account, name, title, n) => hire(w, { account, name, role: 'expert', title, specialty: '呼吸与危重症医学科', phone: `1540000004${n}` });
  second = await expert('qianer', '钱二', 'chief', 2);
  third = await expert('sunsan', '孙三', 'associate-chief', 3);
  low = await expert('lisi', '李四', 'attending', 4);
  uncalled = await expert('zhaowu', '赵五', 'chief', 5);
  await foreignList();
  w.options.splice(w.options.indexOf('--definitions'), 2);
  await restart(w, { people: [...everyone(), foreign, w.admins.helper, w.commander, w.radiologist, w.duty] });
});
after(async () => {
  await w?.stop();
  rmSync(loose, { recursive: true, force: true });
});

const everyone = () => [w.doctor, w.coordinator, w.lead, w.expert, second, third, low, uncalled];
const current = async (person, consult) => (await person.search('Appointment', { 'based-on': `ServiceRequest/${consult.request}`, 'status:not': 'cancelled' }))[0];
const lastStep = async (consult) => (await stepsOf(w.coordinator, consult.task)).at(-1);
const offered = (consult, person) => waitFor('the next offer', async () => (await w.coordinator.read(`Task/${consult.task}`)).owner.reference === person.post, 20);

// What a live connection tells, from an event id on, until `done`.
async function eventsAfter(person, lastId, done) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), 20000);
  const response = await fetch(`${person.base}/events`, { headers: { Cookie: person.cookie, ...(lastId && { 'Last-Event-ID': lastId }) }, signal: control.signal });
  assert.equal(response.status, 200);
  let told = '';
  try {
    for await (const chunk of response.body) {
      told += Buffer.from(chunk).toString();
      if (done(told)) return told;
    }
  } finally {
    clearTimeout(timer);
    control.abort();
  }
  return told;
}

describe('the duty list', () => {
  test('coordinator and medical affairs keep it; others do not write it', async () => {
    for (const person of [w.doctor, w.lead, w.commander, w.radiologist]) {
      const answer = await person.request('POST', '/fhir/Schedule', dutyList([person.post]));
      assert.equal(answer.status, 403, person.name);
    }
    const affairs = await hire(w, { account: 'lvxin', name: '吕新', role: 'medical-affairs', title: 'associate-chief', specialty: '医务部', phone: '15400000049' });
    const kept = await affairs.create(dutyList([second.post], 8, Date.now() + 90 * 864e5));
    assert.equal((await affairs.update({ ...kept, actor: [{ reference: third.post }] })).actor[0].reference, third.post, 'medical affairs keeps it too');
    const refused = await foreign.request('POST', '/fhir/Schedule', dutyList([second.post]));
    assert.equal(refused.status, 403, 'nobody of another hospital');
    assert.match(refused.text, /本院/);
    const ward = { ...dutyList([second.post]), serviceType: [{ coding: [{ system: 'urn:shanhai:codes:duty', code: 'ward' }] }] };
    assert.equal((await affairs.request('POST', '/fhir/Schedule', ward)).status, 403, 'no other list');
    assert.equal((await w.lead.request('GET', `/fhir/Schedule/${kept.id}`)).status, 200, 'who may be on it reads it');
    assert.ok([403, 404].includes((await w.lead.request('PUT', `/fhir/Schedule/${kept.id}`, kept)).status));
    assert.equal((await w.duty.request('GET', `/fhir/Schedule/${kept.id}`)).status, 404, 'another hospital does not');
    assert.ok((await affairs.request('DELETE', `/fhir/Schedule/${kept.id}`)).status < 300);
    const list = await w.coordinator.create(dutyList([low.post, second.post, third.post]));
    assert.deepEqual(list.actor.map((a) => a.reference), [low.post, second.post, third.post]);
    const changed = await w.coordinator.update({ ...list, actor: [...list.actor] });
    assert.equal(changed.id, list.id);
    assert.equal((await w.coordinator.request('POST', '/fhir/Schedule', { resourceType: 'Schedule', active: true })).status, 400, 'a list without anybody');
    // A shift that is over and one of another kind call nobody.
    await w.coordinator.create(dutyList([w.expert.post], 1, Date.now() - 72 * 3600e3));
    await w.coordinator.create({ ...dutyList([w.expert.post]), serviceType: [{ coding: [{ system: 'urn:shanhai:codes:duty', code: 'ward' }] }] });
  });
});

describe('nobody answers', () => {
  let consult;
  let ahead = 0;
  const later = async (minutes) => restart(w, { aheadMinutes: ahead += minutes, people: everyone() });

  test('only a 特急 offer has the 10 minutes', async () => {
    const urgent = await toAllocated(w, { priority: 'urgent' });
    const asked = await w.coordinator.take(urgent.task, 'offer', { lead: reference(w.lead.post) });
    assert.equal(asked.extension, undefined);
    consult = await toAllocated(w, { priority: 'stat' });
    const stat = await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
    const parts = stat.extension[0].extension;
    assert.equal(parts.find((p) => p.url === 'step').valueCode, 'offer-next');
    assert.equal(Date.parse(parts.find((p) => p.url === 'due').valueInstant) - Date.parse(stat.lastModified), 600e3);
    assert.equal((await w.coordinator.takeAnswer(consult.task, 'offer-next')).status, 403, 'taken by the program only');
  });

  test('one accepts, which does not begin the 10 minutes of the lead anew', async () => {
    const before = (await w.coordinator.read(`Task/${consult.task}`)).extension[0].extension.find((p) => p.url === 'due').valueInstant;
    const accepted = await w.expert.take(consult.task, 'accept');
    assert.equal(accepted.extension[0].extension.find((p) => p.url === 'due').valueInstant, before);
    await later(5);
    assert.equal((await w.coordinator.read(`Task/${consult.task}`)).owner.reference, w.lead.post);
  });

  test('after 10 minutes the next of enough title is asked, the earlier one has no right any more', async () => {
    const lastId = /id: ?(\d+)/.exec(await eventsAfter(second, '1', (told) => /id: ?\d+/.test(told)))?.[1];
    await later(6);
    await offered(consult, second);
    assert.equal(stateOf(await w.coordinator.read(`Task/${consult.task}`)), 'offered');
    const appointment = await current(w.coordinator, consult);
    assert.deepEqual(appointment.participant.map((p) => [p.actor.reference, p.type[0].coding[0].code, p.status]),
      [[second.post, 'lead', 'needs-action'], [w.expert.post, 'expert', 'accepted']]);
    for (const way of [`Task/${consult.task}`, `ServiceRequest/${consult.request}`, `Patient/${w.patient.id}`, `Consent/${consult.consent}`]) {
      const answer = await w.lead.request('GET', `/fhir/${way}`);
      const urgentOpen = way.startsWith('Patient/'); // the other, urgent consult of the same patient is still open to the lead
      assert.equal(answer.status, urgentOpen ? 200 : 404, way);
      assert.equal((await second.request('GET', `/fhir/${way}`)).status, 200, way);
      assert.equal((await w.expert.request('GET', `/fhir/${way}`)).status, 200, way);
      assert.equal((await third.request('GET', `/fhir/${way}`)).status, 404, way);
    }
    assert.equal((await w.lead.takeAnswer(consult.task, 'accept')).status, 404);
    const step = await lastStep(consult);
    assert.equal(step.activity.coding[0].code, 'offer-next');
    assert.equal(step.agent[0].who.display, 'system');
    assert.match(step.reason[0].text, /赵强.*钱二/);
    const told = await eventsAfter(second, lastId, (text) => text.includes(consult.task));
    assert.ok(told.includes(consult.task), 'the next one is told live');
  });

  test('the next too: then the one after, never one who was asked before; low titles are passed over', async () => {
    await later(11);
    await offered(consult, third);
    assert.equal((await second.takeAnswer(consult.task, 'accept')).status, 404);
    assert.equal((await low.request("GET", `/fhir/Task/${consult.task}`)).status, 404);
  });

  test('nobody is left: the coordinator has it back, marked, and invites again', async () => {
    await later(11);
    // 赵五 stands on a list that the inviting hospital keeps: it is not theirs to call the other's experts.
    await waitFor('nobody left', async () => stateOf(await w.coordinator.read(`Task/${consult.task}`)) === 'unanswered', 20);
    assert.match((await lastStep(consult)).reason[0].text, /孙三.*协调员/);
    assert.equal((await third.request('GET', `/fhir/ServiceRequest/${consult.request}`)).status, 404);
    const may = await w.coordinator.transitions(consult.task);
    for (const name of ['offer', 'refuse', 'cancel']) assert.equal(may.find((t) => t.name === name).allowed, true, name);
    const again = await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post) });
    assert.equal(stateOf(again), 'offered');
    assert.equal(stateOf(await w.lead.take(consult.task, 'accept')), 'accepted');
    await later(20);
    assert.equal(stateOf(await w.coordinator.read(`Task/${consult.task}`)), 'accepted', 'who has answered is left alone');
  });

  test('the lead has accepted, another expert is silent: it goes on without him', async () => {
    consult = await toAllocated(w, { priority: 'stat' });
    await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
    await w.lead.take(consult.task, 'accept');
    const both = await toAllocated(w, { priority: 'stat' });
    await w.coordinator.take(both.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
    await later(11);
    await offered(both, second);
    assert.match((await lastStep(both)).reason[0].text, /赵强.*王岚.*已转请值班专家钱二；不再等候王岚，需要时请协调员另邀/);
    assert.equal((await current(w.coordinator, both)).comment, '限时未答复，不再等候：王岚');
    await waitFor('the lead alone', async () => stateOf(await w.coordinator.read(`Task/${consult.task}`)) === 'accepted', 20);
    assert.deepEqual((await current(w.lead, consult)).participant.map((p) => [p.actor.reference, p.type[0].coding[0].code]), [[w.lead.post, 'lead']]);
    assert.equal((await current(w.lead, consult)).comment, '限时未答复，不再等候：王岚');
    assert.equal((await w.expert.request('GET', `/fhir/ServiceRequest/${consult.request}`)).status, 404);
  });

  test('a new invitation ends the rights of who was invited before', async () => {
    const other = await toAllocated(w, { priority: 'urgent' });
    await w.coordinator.take(other.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
    await w.lead.take(other.task, 'decline', { reason: text('当日手术') });
    await w.coordinator.take(other.task, 'offer', { lead: reference(second.post) });
    assert.equal((await w.expert.request('GET', `/fhir/ServiceRequest/${other.request}`)).status, 404);
  });
});
