// Recording has a consent of its own: of the patient and of everybody who takes part; taken back, it ends at once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { code, stateOf, text } from '../../scenarios/client.mjs';
import { issuesOf, startWorld } from './support.mjs';
import { signOpinion, toSession } from './stages.mjs';

let w;
before(async () => { w = await startWorld(); });
after(async () => { await w?.stop(); });

const consentTo = (more = {}) => ({ signer: text('王大明（患者之子）'), scope: code('record'), ...more });
const recordingsOf = async (person, consult) => ((await person.read(consult.encounter)).extension ?? []).filter((e) => e.url === 'urn:shanhai:ext:recording')
  .map((e) => Object.fromEntries(e.extension.map((x) => [x.url, x.valueDateTime ?? x.valueReference?.reference])));
const consentOf = async (person, consult) => (await person.search('Consent', { data: `ServiceRequest/${consult.request}` }))
  .filter((one) => one.category[0].coding[0].code === 'recording').sort((a, b) => a.meta.lastUpdated.localeCompare(b.meta.lastUpdated)).at(-1);

test('without the patient\'s consent, or with somebody who has not agreed, nothing is recorded', async () => {
  const consult = await toSession(w);
  const none = await w.lead.takeAnswer(consult.task, 'start-recording');
  assert.equal(none.status, 422);
  assert.match(issuesOf(none).join(), /缺患者的录制同意/);
  assert.equal((await w.lead.takeAnswer(consult.task, 'agree-recording')).status, 422, 'the patient first');
  for (const person of [w.lead, w.expert, w.duty, w.coordinator]) {
    assert.equal((await person.takeAnswer(consult.task, 'consent-recording', consentTo())).status, 403, person.name);
  }
  assert.equal((await w.doctor.takeAnswer(consult.task, 'consent-recording', consentTo({ signer: undefined }))).status, 422);
  assert.equal((await w.doctor.takeAnswer(consult.task, 'consent-recording', consentTo({ scope: code('film') }))).status, 422);
  await w.doctor.take(consult.task, 'consent-recording', consentTo());
  assert.equal((await w.doctor.takeAnswer(consult.task, 'consent-recording', consentTo())).status, 422, 'once');
  await w.lead.take(consult.task, 'agree-recording');
  const early = await w.lead.takeAnswer(consult.task, 'start-recording');
  assert.match(issuesOf(early).join(), /尚未同意/);
  assert.equal((await w.lead.takeAnswer(consult.task, 'agree-recording')).status, 422, 'agreed once');
  assert.equal((await w.duty.takeAnswer(consult.task, 'agree-recording')).status, 403);
  await w.expert.take(consult.task, 'agree-recording');
  assert.equal((await w.expert.takeAnswer(consult.task, 'start-recording')).status, 403, 'the lead or the treating doctor');

  assert.equal(stateOf(await w.lead.take(consult.task, 'start-recording')), 'in-session');
  assert.equal((await w.doctor.takeAnswer(consult.task, 'start-recording')).status, 422, 'it is being recorded');
  const consent = await consentOf(w.expert, consult);
  assert.equal(consent.performer[0].display, '王大明（患者之子）');
  assert.equal(consent.provision.purpose[0].code, 'record');
  assert.deepEqual(consent.provision.actor.map((one) => one.reference.reference), [w.doctor.post, w.lead.post, w.expert.post]);
  assert.ok(consent.provision.actor.every((one) => one.extension[0].valueDateTime), 'when each agreed');
  const [running] = await recordingsOf(w.doctor, consult);
  assert.equal(running.by, w.lead.post);
  assert.equal(running.consent, `Consent/${consent.id}`);
  assert.equal(running.end, undefined);

  await w.doctor.take(consult.task, 'stop-recording');
  assert.ok((await recordingsOf(w.doctor, consult))[0].end);
  assert.equal((await w.doctor.takeAnswer(consult.task, 'stop-recording')).status, 422);
  await w.doctor.take(consult.task, 'start-recording');
  assert.equal((await w.expert.takeAnswer(consult.task, 'withdraw-recording', {})).status, 422, 'with a reason');
  await w.expert.take(consult.task, 'withdraw-recording', { reason: text('本人撤回') });
  const after = await recordingsOf(w.doctor, consult);
  assert.equal(after.length, 2);
  assert.ok(after.every((one) => one.end), 'withdrawal ends it');
  assert.equal((await w.doctor.read(`Consent/${consent.id}`)).status, 'inactive');
  assert.equal((await w.lead.takeAnswer(consult.task, 'start-recording')).status, 422);
});

test('neither the flag nor the consent is written but by the steps; it does not stand in for the consent to the consult', async () => {
  const consult = await toSession(w);
  const encounter = await w.doctor.read(consult.encounter);
  const flag = { url: 'urn:shanhai:ext:recording', extension: [{ url: 'start', valueDateTime: new Date().toISOString() }] };
  for (const person of [w.doctor, w.lead]) {
    const put = await person.request('PUT', `/fhir/${consult.encounter}`, { ...encounter, extension: [flag] });
    assert.ok([403, 422].includes(put.status), `${person.name}: ${put.status}`);
  }
  await w.doctor.take(consult.task, 'consent-recording', consentTo());
  const consent = await consentOf(w.doctor, consult);
  const forged = await w.doctor.request('POST', '/fhir/Consent', { ...consent, id: undefined, meta: undefined });
  assert.equal(forged.status, 422);
  const widened = await w.doctor.request('PUT', `/fhir/Consent/${consent.id}`, { ...consent, provision: { ...consent.provision, purpose: [{ system: 'urn:shanhai:codes:recording-scope', code: 'teaching' }] } });
  assert.equal(widened.status, 422);
});

test('the end of the session ends the recording', async () => {
  const consult = await toSession(w);
  await w.doctor.take(consult.task, 'consent-recording', consentTo({ scope: code('teaching') }));
  await w.lead.take(consult.task, 'agree-recording');
  await w.expert.take(consult.task, 'agree-recording');
  await w.doctor.take(consult.task, 'start-recording');
  await w.lead.take(consult.task, 'fail-session', { reason: text('断线') });
  assert.ok((await recordingsOf(w.doctor, consult))[0].end);
  const second = await toSession(w);
  await w.doctor.take(second.task, 'consent-recording', consentTo());
  await w.lead.take(second.task, 'agree-recording');
  await w.expert.take(second.task, 'agree-recording');
  await w.doctor.take(second.task, 'start-recording');
  await signOpinion(w, second, w.lead, '意见');
  await signOpinion(w, second, w.expert, '意见');
  await w.doctor.take(second.task, 'stop-recording');
  assert.ok((await recordingsOf(w.doctor, second))[0].end, 'also when all have signed already');
});
