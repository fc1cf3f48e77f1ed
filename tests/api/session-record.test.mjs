// Who was in a session from when to when, which images were shown when, and what a presenter points at: seen by those who
// take part, by nobody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { code, reference, text, time } from '../../scenarios/client.mjs';
import { readBack, toSubmitted } from './stages.mjs';
import { issuesOf, makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
let consult;
let study;
before(async () => {
  w = await startWorld();
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-session-'));
  makePhantom(folder, '--slices', '3', '--size', '64');
  await stow(w.doctor, readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name))));
  rmSync(folder, { recursive: true, force: true });
  study = `ImagingStudy/${(await waitFor('the study', async () => (await w.doctor.search('ImagingStudy'))[0])).id}`;
  consult = await toSubmitted(w, { shared: [study] });
  await w.coordinator.take(consult.task, 'judge-images', { study: reference(study), verdict: code('acceptable') });
  await w.coordinator.take(consult.task, 'allocate');
  await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
  await w.lead.take(consult.task, 'accept');
  await w.expert.take(consult.task, 'accept');
  await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
  await w.lead.take(consult.task, 'start', { identity: readBack() });
});
after(async () => { await w?.stop(); });

const presence = async (person) => (await person.read(consult.encounter)).participant.filter((one) => one.period)
  .map((one) => [one.individual.reference, Boolean(one.period.start), Boolean(one.period.end)]);
const shown = async (person) => (await person.search('Communication', { encounter: consult.encounter }))
  .filter((one) => one.category?.[0]?.coding?.[0]?.code === 'image-shown').sort((a, b) => a.sent.localeCompare(b.sent) || a.id.localeCompare(b.id));

test('each who comes and goes is in the encounter with his times', async () => {
  assert.deepEqual(await presence(w.doctor), [[w.lead.post, true, false]], 'who began it is there');
  await w.lead.take(consult.task, 'join'); // he is in already: nothing more is written
  assert.equal((await presence(w.doctor)).length, 1);
  await w.doctor.take(consult.task, 'join');
  await w.expert.take(consult.task, 'join');
  await w.expert.take(consult.task, 'leave');
  await w.expert.take(consult.task, 'leave');
  assert.equal((await w.coordinator.takeAnswer(consult.task, 'leave')).status, 403, 'who never was in');
  await w.expert.take(consult.task, 'join');
  assert.deepEqual((await presence(w.lead)).sort(), [[w.doctor.post, true, false], [w.expert.post, true, false], [w.expert.post, true, true], [w.lead.post, true, false]].sort());
  for (const person of [w.duty, w.radiologist, w.commander]) {
    assert.ok([403, 404].includes((await person.takeAnswer(consult.task, 'join')).status), person.name);
  }
});

test('what is shown is on record from when to when, and only what was shared', async () => {
  assert.equal((await w.coordinator.takeAnswer(consult.task, 'show-images', { study: reference(study) })).status, 403, 'from outside the session');
  const foreign = await w.lead.takeAnswer(consult.task, 'show-images', { study: reference('ImagingStudy/none') });
  assert.match(issuesOf(foreign).join(), /只能展示申请时共享的影像/);
  assert.equal((await w.lead.takeAnswer(consult.task, 'show-images', { study: reference(study), slice: text('第 3 层') })).status, 422, 'no free text');
  await w.lead.take(consult.task, 'show-images', { study: reference(study), slice: text('1.2.3/1.2.3.4') });
  await w.expert.take(consult.task, 'show-images', { study: reference(study), slice: text('1.2.3/1.2.3.9') });
  await w.expert.take(consult.task, 'stop-showing');
  const [first, second] = await shown(w.doctor);
  assert.equal(first.sender.reference, w.lead.post);
  assert.equal(first.about[0].reference, study);
  assert.equal(first.about[0].extension[0].valueString, '1.2.3/1.2.3.4');
  assert.ok(first.sent && first.received, 'the next who shows ends the one before');
  assert.ok(second.sent && second.received);
  const forged = await w.expert.request('POST', '/fhir/Communication', { ...first, id: undefined, meta: undefined, sender: { reference: w.expert.post } });
  assert.ok(forged.status >= 400, `nobody writes it by hand: ${forged.status}`);
});

/** What this person hears until `enough` says so. */
async function hears(person, during, enough) {
  const stop = new AbortController();
  const heard = [];
  const response = await fetch(`${w.base}/events`, { headers: { Cookie: person.cookie }, signal: stop.signal });
  const reading = (async () => {
    let kept = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      kept += decoder.decode(chunk, { stream: true });
      const parts = kept.split('\n\n');
      kept = parts.pop();
      heard.push(...parts.filter((part) => part.startsWith('event: word')).map((part) => JSON.parse(/data: (.*)/.exec(part)[1])));
    }
  })().catch(() => undefined);
  await during();
  if (enough) await waitFor('the word', async () => enough(heard));
  stop.abort();
  await reading;
  return heard;
}
const point = (person, body, encounter = consult.encounter) => person.request('POST', `/live/${encounter}`, body);
const place = { from: 'tab-1', study: 'x', series: '1.2.3', slice: '1.2.3.4', center: -600, width: 1500, zoom: 1.5, x: 0, y: -12.5 };

test('what a presenter points at is heard by those who take part, by nobody else', async () => {
  const byAll = {};
  await Promise.all(['doctor', 'expert'].map(async (key) => {
    byAll[key] = await hears(w[key], async () => undefined, async (heard) => {
      assert.equal((await point(w.lead, place)).status, 204);
      return heard.length > 0;
    });
  }));
  for (const heard of Object.values(byAll)) assert.deepEqual(heard[0], { ...place, encounter: consult.encounter.split('/')[1], speaker: w.lead.post });
  const nothing = await hears(w.commander, () => hears(w.doctor, async () => undefined, async (heard) => {
    await point(w.lead, place);
    return heard.length > 0;
  }));
  assert.deepEqual(nothing, [], 'the commander sees states, no images');
});

test('only places pass, only from who may speak there, only while the session runs', async () => {
  for (const wrong of [{ note: '患者姓名' }, { series: '右下叶' }, { center: '1' }, [], { slice: 'x'.repeat(65) }, { zoom: null }]) {
    assert.equal((await point(w.lead, wrong)).status, 400, JSON.stringify(wrong));
  }
  assert.equal((await point(w.lead, { from: 'x'.repeat(2000) })).status, 413);
  assert.equal((await point(w.commander, place)).status, 403);
  assert.equal((await point(w.duty, place)).status, 403, 'who reads the record and takes no part');
  assert.equal((await point(w.commander, place, `Encounter/${crypto.randomUUID()}`)).status, 403, 'the same for what is not there');
  assert.equal((await point(w.lead, place, 'Encounter/none')).status, 404);
});

test('the end of the session ends every stay and every showing', async () => {
  await w.lead.take(consult.task, 'show-images', { study: reference(study) });
  await w.lead.take(consult.task, 'fail-session', { reason: text('网络中断') });
  assert.ok((await presence(w.lead)).every(([, start, end]) => start && end));
  assert.ok((await shown(w.lead)).every((one) => one.received));
  assert.equal((await w.doctor.takeAnswer(consult.task, 'join')).status, 422, 'no session, no place in it');
});
