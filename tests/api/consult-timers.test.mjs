// Timed steps: taken by the program itself when their time has come, once, whatever stops the program meanwhile. The
// time is moved by starting the program with its clock ahead; no test waits.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { code, stateOf, text } from '../../scenarios/client.mjs';
import { draftConsult } from '../../scenarios/world.mjs';
import { restart, stepsOf, toDecided } from './play.mjs';
import { startWorld, waitFor } from './support.mjs';

const DAY = 24 * 60;
const timerOf = (task) => {
  const parts = task.extension?.find((e) => e.url === 'urn:shanhai:ext:timer')?.extension;
  return parts && { step: parts.find((p) => p.url === 'step').valueCode, due: parts.find((p) => p.url === 'due').valueInstant };
};

let w;
let consult;
before(async () => {
  w = await startWorld();
  consult = await toDecided(w);
});
after(async () => { await w?.stop(); });

const task = () => w.doctor.read(`Task/${consult.task}`);
const asked = async () => (await stepsOf(w.doctor, consult.task)).filter((p) => p.activity.coding[0].code === 'ask-feedback');
const moved = () => waitFor('the feedback to fall due', async () => stateOf(await task()) === 'feedback-due', 20);

describe('feedback falls due 7 days after the decision', () => {
  test('the Task says when', async () => {
    const decided = await task();
    const timer = timerOf(decided);
    assert.equal(timer.step, 'ask-feedback');
    assert.equal(Date.parse(timer.due) - Date.parse(decided.lastModified), 7 * DAY * 60e3);
  });

  test('nobody sets a timer by hand, nor takes the step in the program\'s name', async () => {
    const mine = await task();
    mine.extension[0].extension.find((p) => p.url === 'due').valueInstant = '2020-01-01T00:00:00+08:00';
    const put = await w.doctor.request('PUT', `/fhir/Task/${consult.task}`, mine);
    assert.ok([403, 422].includes(put.status), String(put.status));
    const taken = await w.doctor.takeAnswer(consult.task, 'ask-feedback');
    assert.equal(taken.status, 403);
    assert.equal((await w.coordinator.takeAnswer(consult.task, 'ask-feedback')).status, 403);
    const forged = { resourceType: 'Task', status: 'draft', intent: 'order', code: { coding: [{ system: 'urn:shanhai:codes:workflow', code: 'consult' }] },
      businessStatus: { coding: [{ system: 'urn:shanhai:codes:consult-state', code: 'draft' }] }, for: { reference: `Patient/${w.patient.id}` },
      focus: { reference: `ServiceRequest/${(await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization })).request}` },
      requester: { reference: w.doctor.post }, extension: mine.extension };
    assert.equal((await w.doctor.request('POST', '/fhir/Task', forged)).status, 422);
    assert.equal(stateOf(await task()), 'decided');
  });

  test('an addendum in between does not begin the time anew', async () => {
    const due = timerOf(await task()).due;
    await w.lead.take(consult.task, 'addendum', { text: text('复查时请带既往片'), password: text(w.lead.password) });
    assert.equal(timerOf(await task()).due, due);
  });

  test('before: nothing, whatever the number of starts', async () => {
    await restart(w, { aheadMinutes: 7 * DAY - 5, people: [w.doctor] });
    assert.equal(stateOf(await task()), 'decided');
    assert.equal((await asked()).length, 0);
  });

  test('after: the state is feedback-due, by the program, once, and stays after kill and restart', async () => {
    await restart(w, { aheadMinutes: 7 * DAY + 1, people: [w.doctor] });
    await moved();
    const [step] = await asked();
    assert.equal(step.agent[0].who.display, 'system');
    assert.equal(timerOf(await task()), undefined, 'the timer is gone with its step');
    for (const kill of [true, true, false]) await restart(w, { aheadMinutes: 8 * DAY, kill, people: [w.doctor] });
    assert.equal((await asked()).length, 1);
    assert.equal(stateOf(await task()), 'feedback-due');
  });

  test('the feedback then needs no reason', async () => {
    const closed = await w.doctor.take(consult.task, 'feedback', { outcome: code('improved'), followed: code('yes'), 'final-diagnosis': text('病毒性肺炎') });
    assert.equal(stateOf(closed), 'closed');
    assert.equal(timerOf(closed).step, 'ask-feedback-30');
  });
});

describe('day-30 feedback', () => {
  const answers = (more = {}) => ({ outcome: code('improved'), followed: code('yes'), agreement: code('agree'), 'final-diagnosis': text('甲型流感病毒性肺炎'), ...more });

  test('closing sets its time, 30 days after the decision', async () => {
    const closed = await task();
    const decide = (await stepsOf(w.doctor, consult.task)).find((p) => p.activity.coding[0].code === 'decide');
    const timer = timerOf(closed);
    assert.equal(timer.step, 'ask-feedback-30');
    assert.equal(Date.parse(timer.due) - Date.parse(decide.recorded), 30 * DAY * 60e3);
  });

  test('before: only with a reason; wrong persons and wrong input never', async () => {
    assert.equal((await w.doctor.takeAnswer(consult.task, 'feedback-30', answers())).status, 422);
    for (const wrong of [answers({ outcome: code('fine') }), answers({ agreement: code('yes') }), { outcome: code('improved') }]) {
      assert.equal((await w.doctor.takeAnswer(consult.task, 'feedback-30', { ...wrong, 'early-reason': text('复诊') })).status, 422);
    }
    await restart(w, { aheadMinutes: 29 * DAY, people: [w.doctor, w.lead, w.coordinator, w.duty] });
    assert.equal(stateOf(await task()), 'closed');
    for (const person of [w.lead, w.coordinator, w.duty]) assert.ok([403, 404].includes((await person.takeAnswer(consult.task, 'feedback-30', answers())).status), person.name);
  });

  test('after: it falls due once, is given once, and reaches the expert', async () => {
    await restart(w, { aheadMinutes: 30 * DAY + 10, kill: true, people: [w.doctor, w.lead, w.coordinator] });
    await waitFor('day 30', async () => stateOf(await task()) === 'day-30-due', 20);
    await restart(w, { aheadMinutes: 31 * DAY, kill: true, people: [w.doctor, w.lead, w.coordinator] });
    assert.equal((await stepsOf(w.doctor, consult.task)).filter((p) => p.activity.coding[0].code === 'ask-feedback-30').length, 1);
    const closed = await w.doctor.take(consult.task, 'feedback-30', answers());
    assert.equal(stateOf(closed), 'closed');
    assert.equal(timerOf(closed), undefined, 'nothing more falls due');
    assert.equal((await w.doctor.takeAnswer(consult.task, 'feedback-30', answers({ 'early-reason': text('再填') }))).status, 422);
    const seen = await w.lead.search('QuestionnaireResponse', { 'based-on': `ServiceRequest/${consult.request}` });
    assert.deepEqual(seen.map((r) => r.item.find((i) => i.linkId === 'day').answer[0].valueInteger).sort(), [30, 7]);
    const [late] = seen.filter((r) => r.item.find((i) => i.linkId === 'day').answer[0].valueInteger === 30);
    assert.equal(late.item.find((i) => i.linkId === 'agreement').answer[0].valueCoding.code, 'agree');
    assert.equal((await w.coordinator.search('QuestionnaireResponse')).length, 0, 'the coordinator never reads it');
    const put = await w.doctor.request('PUT', `/fhir/QuestionnaireResponse/${late.id}`, late);
    assert.ok([403, 422].includes(put.status), String(put.status));
  });

  test('who had died by day 7 is not asked for', async () => {
    const other = await toDecided(w, { aheadMinutes: 31 * DAY });
    const closed = await w.doctor.take(other.task, 'feedback', { outcome: code('died'), followed: code('yes'), 'final-diagnosis': text('肺炎'), 'early-reason': text('患者死亡') });
    assert.equal(timerOf(closed), undefined);
    assert.equal((await w.doctor.takeAnswer(other.task, 'feedback-30', answers({ 'early-reason': text('x') }))).status, 422);
  });
});

test('killed while many fall due at once: each is taken once', async () => {
  await restart(w, { aheadMinutes: 32 * DAY, people: [w.doctor, w.coordinator, w.lead] });
  const made = [];
  for (let i = 0; i < 4; i++) made.push((await toDecided(w, { aheadMinutes: 32 * DAY })).task);
  for (let i = 0; i < 3; i++) await restart(w, { aheadMinutes: 40 * DAY, kill: true, people: [] });
  await restart(w, { aheadMinutes: 40 * DAY, people: [w.doctor] });
  for (const id of made) {
    await waitFor('all to fall due', async () => stateOf(await w.doctor.read(`Task/${id}`)) === 'feedback-due', 20);
    const steps = await stepsOf(w.doctor, id);
    assert.equal(steps.filter((p) => p.activity.coding[0].code === 'ask-feedback').length, 1);
  }
});

test('a clock that is put ahead too far is refused at the command line', async () => {
  const { spawnSync } = await import('node:child_process');
  const { program } = await import('./support.mjs');
  for (const wrong of ['-1', 'tomorrow', '99999999']) {
    const run = spawnSync(program, ['serve', '--data', `${w.folder}/none`, '--clock-ahead', wrong], { encoding: 'utf8' });
    assert.equal(run.status, 2, run.stderr);
  }
});
