// A full disk and a wrong clock, seen from outside: writing is refused with a text that says why, in both languages; reading
// and its audit go on; when there is room (or the right time) again, writing goes on by itself. On a small file system of
// its own where that can be mounted, else with a library that refuses to make files longer.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../../scenarios/world.mjs';
import { canMount, Faults, hasShim } from './fault.mjs';
import { issuesOf, makePhantom, program, startWorld } from './support.mjs';

const MEGABYTE = 1 << 20;
const hasStorescu = spawnSync('storescu', ['--version']).status === 0;

const document = (w, i) => ({
  resourceType: 'Observation', status: 'final', code: { text: `第 ${i} 次` }, subject: { reference: `Patient/${w.patient.id}` },
  note: [{ text: crypto.getRandomValues(Buffer.alloc(48000)).toString('base64') }],
});

// Writes until the answer is not 201 and gives that; what was stored is added to the list.
async function writeUntilFull(w, stored) {
  for (let i = 0; i < 2000; i++) {
    const answer = await w.doctor.request('POST', '/fhir/Observation', document(w, i));
    if (answer.status !== 201) return answer;
    stored.push(answer.json);
  }
  throw new Error('the disk does not become full');
}

const part = (bytes) => Buffer.concat([Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), bytes, Buffer.from('\r\n')]);
const STOW = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' };

// `fill` makes the disk full, `free` gives room again.
async function scenario(t, w, { fill, free, restart }) {
  const ct = join(w.folder, 'ct');
  makePhantom(ct, '--slices', '12', '--size', '512');
  const slices = readdirSync(ct).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(ct, name)));
  const store = (bytes) => w.doctor.request('POST', '/dicom-web/studies', Buffer.concat([...bytes.map(part), Buffer.from('--b--\r\n')]), STOW);
  assert.equal((await store(slices.slice(0, 1))).status, 200);
  const stored = [await w.doctor.create(document(w, 0)), await w.doctor.create(document(w, 0))];
  await fill();
  const refusal = await writeUntilFull(w, stored);
  assert.equal(refusal.status, 507, refusal.text);
  assert.equal(refusal.json.issue[0].code, 'no-store');
  assert.match(issuesOf(refusal)[0], /服务器存储已满/);
  const english = await w.doctor.request('POST', '/fhir/Observation', document(w, 0), { 'Accept-Language': 'en' });
  assert.equal(english.status, 507);
  assert.match(issuesOf(english)[0], /the disk is full: nothing was stored; free space/);
  const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [1, 2, 3].map((i) => ({ resource: document(w, i), request: { method: 'POST', url: 'Observation' } })) };
  assert.equal((await w.doctor.request('POST', '/fhir', bundle)).status, 507);

  // Reads go on, and each is in the audit log.
  for (const one of stored.slice(-5)) assert.deepEqual(await w.doctor.read(`Observation/${one.id}`), one);
  assert.deepEqual(await w.doctor.read(`Patient/${w.patient.id}`), w.patient);
  const seen = await w.admins.county.must('GET', '/fhir/AuditEvent?_count=200');
  assert.ok(seen.entry.some((e) => JSON.stringify(e).includes(stored.at(-1).id)), 'the read of a moment ago is in the log');

  // Images: STOW says 507, C-STORE says out of resources; nothing of them is there.
  const stow = await store(slices);
  assert.ok([202, 507].includes(stow.status), `${stow.status} ${stow.text.slice(0, 200)}`);
  const last = await store(slices.slice(-1));
  assert.equal(last.status, 507, last.text);
  assert.match(issuesOf(last)[0], /服务器存储已满/);
  if (hasStorescu) {
    const sent = spawnSync('storescu', ['-v', '127.0.0.1', String(w.dicomPort), join(ct, readdirSync(ct).sort().at(-1))], { encoding: 'utf8' });
    assert.match(sent.stdout + sent.stderr, /Out ?Of ?Resources|0xa700/i);
  }
  // The process that is started on a full disk reads too.
  await restart();
  assert.deepEqual(await w.doctor.read(`Patient/${w.patient.id}`), w.patient);

  await free();
  const again = await w.doctor.request('POST', '/fhir/Observation', document(w, 1));
  assert.equal(again.status, 201, `writing goes on by itself: ${again.text}`);
  assert.equal((await store(slices)).status, 200);
  for (const one of stored) assert.deepEqual(await w.doctor.read(`Observation/${one.id}`), one);
  assert.equal(await w.server.stop(), 0, w.server.log());
  const checked = spawnSync(program, ['check', '--data', w.data], { encoding: 'utf8' });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  w.server = await startServer(program, w.data, w.options);
  t.diagnostic(`${stored.length} documents fitted`);
}

async function restarted(w, env) {
  assert.equal(await w.server.stop(), 0, w.server.log());
  w.server = await startServer(program, w.data, w.options, { env });
  w.base = w.server.base;
  w.dicomPort = w.server.dicomPort;
  for (const person of [w.doctor, w.admins.county]) person.base = w.base;
}

test('a small file system runs full', { skip: canMount ? false : 'left out: nothing can be mounted here', timeout: 120e3 }, async (t) => {
  const place = mkdtempSync(join(tmpdir(), 'shanhai-disk-'));
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', place]).status, 0);
  mkdirSync(join(place, 'data'), { mode: 0o700 });
  const w = await startWorld({ data: join(place, 'data') });
  try {
    await scenario(t, w, {
      fill: () => {
        const { bavail, bsize } = statfsSync(place);
        writeFileSync(join(place, 'filler'), Buffer.alloc(bavail * bsize - 6 * MEGABYTE));
      },
      free: () => rmSync(join(place, 'filler')),
      restart: () => restarted(w, {}),
    });
  } finally {
    await w.stop();
    spawnSync('umount', ['-l', place]);
    rmSync(place, { recursive: true, force: true });
  }
});

const simulate = !hasShim ? 'left out: the program was built with a sanitizer' : canMount && !process.env.SHANHAI_LONG ? 'left out: the small file system has shown it' : false;
test('every file refuses to become longer', { skip: simulate, timeout: 120e3 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-fault-'));
  const faults = new Faults(join(folder, 'control'));
  const w = await startWorld({ env: faults.env });
  await scenario(t, w, { fill: () => faults.diskFull(true), free: () => faults.diskFull(false), restart: () => restarted(w, faults.env) });
  await w.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('the clock is set back', { skip: hasShim ? false : 'left out: the program was built with a sanitizer', timeout: 120e3 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-fault-'));
  const faults = new Faults(join(folder, 'control'));
  const w = await startWorld({ env: faults.env });
  const small = { resourceType: 'Observation', status: 'final', code: { text: '体温' }, subject: { reference: `Patient/${w.patient.id}` } };
  const first = await w.doctor.create(small);
  faults.clockOffset(-4 * 60e3); // within five minutes: time stands still
  const second = await w.doctor.create(small);
  assert.ok(second.meta.lastUpdated >= first.meta.lastUpdated, `${second.meta.lastUpdated} after ${first.meta.lastUpdated}`);
  faults.clockOffset(-3600e3);
  const refused = await w.doctor.request('POST', '/fhir/Observation', small);
  assert.equal(refused.status, 503);
  assert.ok(refused.headers.has('retry-after'));
  assert.match(issuesOf(refused)[0], /时钟/);
  const english = await w.doctor.request('POST', '/fhir/Observation', small, { 'Accept-Language': 'en' });
  assert.match(issuesOf(english)[0], /the clock is \d+ s before the last stored change: set the clock right/);
  assert.deepEqual(await w.doctor.read(`Observation/${second.id}`), second);
  assert.ok((await w.doctor.search('Observation', { subject: `Patient/${w.patient.id}` })).length >= 2);
  await restarted(w, faults.env); // started under the wrong clock: still no write
  assert.deepEqual(await w.doctor.read(`Observation/${first.id}`), first);
  assert.equal((await w.doctor.request('POST', '/fhir/Observation', small)).status, 503);
  faults.clockOffset(0);
  const third = await w.doctor.create(small);
  assert.ok(third.meta.lastUpdated >= second.meta.lastUpdated);
  const history = await w.doctor.must('GET', '/fhir/Observation/_history?_count=50');
  const times = history.entry.map((e) => e.resource.meta.lastUpdated);
  assert.deepEqual(times, [...times].sort().reverse(), 'lastUpdated never goes back');
  await w.stop();
  rmSync(folder, { recursive: true, force: true });
});
