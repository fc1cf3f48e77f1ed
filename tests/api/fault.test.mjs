// The n-th write, sync, allocation or new file of the running program fails, n by n, while it creates, updates, takes
// transactions and transitions, stores images and answers reads. After each: it still runs, the answer was no lie (what was
// acknowledged is there, what was refused is not), it goes on by itself, and in the end `shanhai check` is clean.
// A part of the n by default, all of them with SHANHAI_LONG=1.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stateOf } from '../../scenarios/client.mjs';
import { draftConsult, startServer } from '../../scenarios/world.mjs';
import { ERRNO, Faults, hasShim } from './fault.mjs';
import { makePhantom, program, startWorld, waitFor } from './support.mjs';

const PLACES = process.env.SHANHAI_LONG ? 4000 : 14; // of each kind
const options = { skip: hasShim ? false : 'left out: the program was built with a sanitizer', timeout: 3600e3 };
const SYSTEM = 'urn:shanhai:id:fault';

let w;
let faults;
let folder;
let slices;
let consult;
before(async () => {
  if (!hasShim) return;
  folder = mkdtempSync(join(tmpdir(), 'shanhai-fault-'));
  faults = new Faults(join(folder, 'control'));
  w = await startWorld({ env: faults.env });
  makePhantom(join(folder, 'ct'), '--slices', '400', '--size', '32');
  slices = readdirSync(join(folder, 'ct')).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, 'ct', name)));
  consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
});
after(async () => {
  if (!hasShim) return;
  faults.disarm();
  await w?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// The answer, or undefined when the connection was cut: then nobody was told anything.
async function ask(person, method, path, body, headers) {
  try {
    return await person.request(method, path, body, headers);
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function observation(value, words = '血氧饱和度') {
  return { resourceType: 'Observation', identifier: [{ system: SYSTEM, value }], status: 'final', code: { text: words },
    subject: { reference: `Patient/${w.patient.id}` }, effectiveDateTime: '2026-11-22T08:00:00+08:00', valueQuantity: { value: 93, unit: '%' } };
}

const REFUSALS = [413, 422, 500, 503, 507];
const without = ({ id, meta, ...rest }) => rest;

function expectHonest(answer, fine) {
  if (answer === undefined || answer.status === fine) return answer?.status === fine;
  assert.ok(REFUSALS.includes(answer.status), `${answer.status} ${answer.text.slice(0, 300)}`);
  if (answer.json) assert.equal(answer.json.resourceType, 'OperationOutcome', answer.text.slice(0, 300));
  return false;
}

const STOW = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' };
let sliceNext = 0;
const sent = new Set(); // slices that were acknowledged

async function storeSlice() {
  const slice = slices[sliceNext++ % slices.length];
  const body = Buffer.concat([Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), slice, Buffer.from('\r\n--b--\r\n')]);
  const answer = await ask(w.doctor, 'POST', '/dicom-web/studies', body, STOW);
  if (answer?.status === 200) {
    sent.add(answer.json['00081199'].Value[0]['00081155'].Value[0]);
  } else if (answer !== undefined) {
    assert.ok([409, ...REFUSALS].includes(answer.status), `${answer.status} ${answer.text.slice(0, 300)}`);
  }
}

let number = 0;
let current; // {id, version, content}: the resource that is updated

// One go: what was told is noted in `told`, what was asked under which mark in `marks`.
async function work(told, marks) {
  const value = `n${number++}`;
  marks.push({ value, count: 1 });
  const made = await ask(w.doctor, 'POST', '/fhir/Observation', observation(value));
  if (expectHonest(made, 201)) told.push({ value, count: 1 });
  if (current !== undefined) {
    const content = observation('current', `第 ${number} 次`);
    const put = await ask(w.doctor, 'PUT', `/fhir/Observation/${current.id}`, { ...content, id: current.id });
    if (expectHonest(put, 200)) current.content = content;
    else current.content = undefined; // unknown: read again
  }
  const together = `t${number++}`;
  marks.push({ value: together, count: 3 });
  const entry = [1, 2, 3].map(() => ({ resource: observation(together), request: { method: 'POST', url: 'Observation' } }));
  const bundle = await ask(w.doctor, 'POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry });
  if (expectHonest(bundle, 200)) told.push({ value: together, count: 3 });
  const read = await ask(w.doctor, 'GET', `/fhir/Patient/${w.patient.id}`);
  if (expectHonest(read, 200)) assert.deepEqual(read.json, w.patient);
  const found = await ask(w.doctor, 'GET', `/fhir/Observation?identifier=${SYSTEM}|first&_include=Observation:subject`);
  if (expectHonest(found, 200)) assert.equal(found.json.entry.length, 2);
  const page = await ask(w.doctor, 'GET', '/fhir/Observation?_sort=-date,code&_count=5');
  if (expectHonest(page, 200)) assert.equal(page.json.entry.length, 5);
  const step = number % 4 < 2 ? 'submit' : 'return';
  const person = step === 'submit' ? w.doctor : w.coordinator;
  const parameter = [{ name: 'transition', valueCode: step }, ...(step === 'return' ? [{ name: 'gap', valueString: '缺血气分析' }] : [])];
  const moved = await ask(person, 'POST', `/fhir/Task/${consult.task}/$transition`, { resourceType: 'Parameters', parameter });
  if (moved?.status === 200) consult.state = step === 'submit' ? 'submitted' : 'returned';
  else consult.state = undefined;
  await storeSlice();
}

// Another search each time: an equal one would only be counted in the audit log.
const goesOn = () => waitFor('reading goes on by itself', async () => (await w.doctor.request('GET', `/fhir/Observation?identifier=w${number++}`)).status === 200, 10);

// Nothing fails now: what was told must be true, and all must go on by itself.
async function look(told, marks) {
  for (const { value, count } of marks) {
    const answer = await w.doctor.request('GET', `/fhir/Observation?identifier=${SYSTEM}|${value}`);
    assert.equal(answer.status, 200, `${value}: ${answer.text}`);
    const there = answer.json.entry?.length ?? 0;
    if (told.some((t) => t.value === value)) assert.equal(there, count, `${value} was acknowledged`);
    else assert.ok(there === 0 || there === count, `${value}: ${there} of ${count} are there`);
  }
  if (current !== undefined) {
    const json = await w.doctor.read(`Observation/${current.id}`);
    if (current.content !== undefined) assert.deepEqual(without(json), current.content);
  }
  const task = await w.doctor.read(`Task/${consult.task}`);
  if (consult.state !== undefined) assert.equal(stateOf(task), consult.state);
  const one = await w.doctor.request('POST', '/fhir/Observation', observation('after'));
  assert.equal(one.status, 201, `writing goes on: ${one.text}`);
}

async function checkClean() {
  assert.equal(await w.server.stop(), 0, w.server.log());
  const checked = spawnSync(program, ['check', '--data', w.data], { encoding: 'utf8' });
  w.server = await startServer(program, w.data, w.options, { env: faults.env });
  w.base = w.server.base;
  for (const person of [w.doctor, w.coordinator, w.lead, w.expert, w.duty]) person.base = w.base;
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  const images = Number(/^images: (\d+) instances/m.exec(checked.stdout)[1]);
  assert.ok(images >= sent.size, `${images} of ${sent.size} acknowledged images`);
}

async function runKind(kind, { also, ...setting }, t) {
  if (current === undefined) {
    for (let i = 0; i < 5; i++) await w.doctor.create(observation(i === 0 ? 'first' : 'filler'));
    const made = await w.doctor.create(observation('current'));
    current = { id: made.id, content: without(made) };
  }
  await work([], []); // warm: caches are filled
  const before = faults.calls(kind);
  await work([], []);
  const calls = Math.max(faults.calls(kind) - before, 1);
  const step = Math.max(1, calls / PLACES);
  let fired = 0;
  let places = 0;
  for (let n = 1; n <= calls; n += step) {
    const told = [];
    const marks = [];
    if (also) faults.arm(also, 1, { ...setting, forever: true });
    faults.arm(kind, Math.floor(n), setting);
    await work(told, marks);
    fired += faults.disarm();
    places++;
    assert.equal(w.server.child.exitCode, null, w.server.log());
    assert.equal(w.server.child.signalCode, null, `${kind} ${Math.floor(n)}: ${w.server.log()}`);
    try {
      await goesOn();
      await look(told, marks);
    } catch (error) {
      error.message = `after ${kind} ${Math.floor(n)} of ${calls}: ${error.message}`;
      throw error;
    }
  }
  await checkClean();
  t.diagnostic(`${kind}: ${places} of ${calls} places, ${fired} failures made, nothing lost`);
  assert.ok(fired > 0);
}

describe('the n-th call fails', () => {
  test('write: no space left', options, (t) => runKind('write', { number: ERRNO.ENOSPC }, t));
  test('write: input/output error', options, (t) => runKind('write', { number: ERRNO.EIO }, t));
  test('write: half of it is written', options, (t) => runKind('write', { number: ERRNO.EIO, torn: true }, t));
  test('sync', options, (t) => runKind('sync', { number: ERRNO.EIO }, t));
  test('write: half of it is written and cannot be cut off', options, (t) => runKind('write', { number: ERRNO.EIO, torn: true, also: 'room' }, t));
  test('memory', options, (t) => runKind('memory', { number: ERRNO.ENOMEM }, t));
  test('every sync for two seconds: nothing is acknowledged, then all goes on', options, async () => {
    faults.arm('sync', 1, { forever: true });
    const marks = [];
    const told = [];
    for (const until = Date.now() + 2000; Date.now() < until;) await work(told, marks);
    assert.ok(faults.disarm() > 5);
    assert.deepEqual(told, []);
    await goesOn();
    await look(told, marks);
    await checkClean();
  });

  // A start that meets a fault either comes up or ends with a text and status 1, and the next one is fine.
  for (const [kind, setting] of [['write', { number: ERRNO.ENOSPC }], ['sync', {}], ['room', {}], ['name', {}], ['memory', { number: ERRNO.ENOMEM }]]) {
    test(`starting: ${kind}`, options, async (t) => {
      await w.server.stop();
      const start = () => startServer(program, w.data, w.options, { env: faults.env });
      const before = faults.calls(kind);
      await (await start()).stop();
      const calls = Math.max(faults.calls(kind) - before, 1);
      const counts = { started: 0, refused: 0 };
      for (let n = 1; n <= calls; n += Math.max(1, calls / (PLACES / 2))) {
        faults.arm(kind, Math.floor(n), setting);
        try {
          const server = await start();
          counts.started++;
          faults.disarm();
          assert.equal(await server.stop(), 0, server.log());
        } catch (error) {
          faults.disarm();
          assert.match(error.message, /^shanhai serve ended with 1: .*shanhai serve: \S/s, `${kind} ${Math.floor(n)} of ${calls}: ${error.message}`);
          counts.refused++;
        }
      }
      w.server = await start();
      w.base = w.server.base;
      for (const person of [w.doctor, w.coordinator, w.lead, w.expert, w.duty]) person.base = w.base;
      await look([], []);
      await checkClean();
      t.diagnostic(`${kind}: ${calls} places; ${counts.started} starts went on, ${counts.refused} were refused with a text`);
    });
  }
});
