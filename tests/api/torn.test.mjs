// Files that were torn, cut, lost or changed on disk: `shanhai check` finds and names each; the server starts and reads what is
// whole, or refuses and says what to do.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, openSync, closeSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { startServer } from '../../scenarios/world.mjs';
import { makePhantom, program, startWorld, waitFor } from './support.mjs';

let w;
let place;
let whole; // the folder of data as the stopped server left it
let killed; // as kill -9 left it, with a write-ahead log
let slices;
let acknowledged;
const STOW = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' };
const observation = (i) => ({ resourceType: 'Observation', status: 'final', code: { text: `第 ${i} 次` }, subject: { reference: `Patient/${w.patient.id}` },
  note: [{ text: crypto.randomUUID().repeat(60) }] });
const store = (person, list) => person.request('POST', '/dicom-web/studies',
  Buffer.concat([...list.flatMap((s) => [Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), s, Buffer.from('\r\n')]), Buffer.from('--b--\r\n')]), STOW);

before(async () => {
  w = await startWorld();
  place = mkdtempSync(join(tmpdir(), 'shanhai-torn-'));
  makePhantom(join(place, 'ct'), '--slices', '12', '--size', '64');
  slices = readdirSync(join(place, 'ct')).filter((n) => n.endsWith('.dcm')).sort().map((n) => readFileSync(join(place, 'ct', n)));
  await Promise.all(Array.from({ length: 150 }, (_, i) => w.doctor.create(observation(i))));
  assert.equal((await store(w.doctor, slices.slice(0, 8))).status, 200);
  await waitFor('the study is joined', async () => (await w.doctor.search('ImagingStudy', { subject: `Patient/${w.patient.id}` })).length > 0);
  assert.equal(await w.server.stop(), 0);
  whole = join(place, 'whole');
  cpSync(w.data, whole, { recursive: true });
  w.server = await startServer(program, w.data, w.options);
  for (const person of [w.doctor, w.admins.county]) person.base = w.server.base;
  acknowledged = [];
  for (let i = 0; i < 40; i++) acknowledged.push(await w.doctor.create(observation(i)));
  await waitFor('the audit log is on disk', () => new Promise((resolve) => setTimeout(() => resolve(true), 1200)));
  const ended = once(w.server.child, 'exit');
  w.server.child.kill('SIGKILL');
  await ended;
  killed = join(place, 'killed');
  cpSync(w.data, killed, { recursive: true });
});
after(() => {
  rmSync(place, { recursive: true, force: true });
  rmSync(w.folder, { recursive: true, force: true });
});

let number = 0;
function copyOf(folder) {
  const copy = join(place, `case-${number++}`);
  cpSync(folder, copy, { recursive: true });
  return copy;
}

function overwrite(path, at, bytes) {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

const check = (folder, ...more) => {
  const made = spawnSync(program, ['check', '--data', folder, ...more], { encoding: 'utf8' });
  return { status: made.status, said: made.stdout + made.stderr };
};

// Starts, lets the doctor do something, stops; the log.
async function serve(folder, work) {
  const server = await startServer(program, folder, w.options);
  for (const person of [w.doctor, w.admins.county]) person.base = server.base;
  try {
    await work();
  } finally {
    await server.stop();
  }
  return server.log();
}

const packOf = (folder) => {
  const images = join(folder, 'images');
  const sub = readdirSync(images).find((n) => /^[0-9a-f]{2}$/.test(n));
  return join(images, sub, readdirSync(join(images, sub)).find((n) => n.endsWith('.pack')));
};

test('whole folders are clean', () => {
  for (const folder of [whole, killed]) assert.equal(check(copyOf(folder)).status, 0);
});

test('a torn page of the store is named; what lies elsewhere is read', async () => {
  const folder = copyOf(whole);
  const pages = statSync(join(folder, 'store.db')).size / 4096;
  for (const page of [Math.floor(pages / 2), Math.floor(pages / 3), Math.floor(pages * 0.8)]) overwrite(join(folder, 'store.db'), page * 4096, Buffer.alloc(2048, 0xa5));
  const found = check(folder);
  assert.equal(found.status, 1, found.said);
  assert.match(found.said, /^store: (database: |version \d+ |resource )|damaged/m);
  try {
    await serve(folder, async () => {
      const answer = await w.doctor.request('GET', `/fhir/Patient/${w.patient.id}`);
      assert.ok([200, 500].includes(answer.status));
      if (answer.status === 500) assert.match(answer.text, /damaged|损坏/);
    });
  } catch (error) {
    assert.match(error.message, /ended with 1: .*(damaged|shanhai check|restore)/s);
  }
});

test('a store without its first page, or cut in half, is refused with what to do', async () => {
  for (const damage of [(path) => overwrite(path, 0, Buffer.alloc(4096, 0xa5)), (path) => truncateSync(path, Math.floor(statSync(path).size / 2 / 4096) * 4096 + 100)]) {
    const folder = copyOf(whole);
    damage(join(folder, 'store.db'));
    const found = check(folder);
    assert.equal(found.status, 1, found.said);
    assert.match(found.said, /damaged: run `shanhai check` and restore a backup|^store: /m);
    await assert.rejects(async () => {
      await serve(folder, async () => {
        const answer = await w.doctor.request('GET', `/fhir/Patient/${w.patient.id}`);
        throw new Error(answer.status === 500 ? `told: ${answer.text}` : `read: ${answer.status}`);
      });
    }, /ended with 1: .*(damaged|restore)|told: .*(damaged|restore)|read: (200|404)/s);
  }
});

test('a write-ahead log that was cut: the missing changes are told, not passed over', async () => {
  const folder = copyOf(killed);
  const log = join(folder, 'store.db-wal');
  assert.ok(existsSync(log) && statSync(log).size > 100000, 'kill -9 leaves a log');
  assert.equal(check(copyOf(killed)).status, 0, 'the whole log loses nothing');
  truncateSync(log, Math.floor(statSync(log).size * 0.6));
  const found = check(folder);
  assert.equal(found.status, 1, found.said);
  assert.match(found.said, /\d+ acknowledged commits are missing .* restore a backup, or go on/);
  await assert.rejects(serve(folder, async () => {}), /acknowledged commits are missing/);
  const accepted = check(folder, '--accept-lost-changes');
  assert.equal(accepted.status, 0, accepted.said);
  await serve(folder, async () => {
    assert.equal((await w.doctor.request('GET', `/fhir/Observation/${acknowledged.at(-1).id}`)).status, 404);
    const made = await w.doctor.create(observation(0));
    const entries = (await w.admins.county.must('GET', '/fhir/AuditEvent?_count=50')).entry;
    assert.ok(entries.some((e) => JSON.stringify(e).includes(`Observation/${made.id}`)), 'and its audit goes on');
  });
  assert.equal(check(folder).status, 0);
});

test('an old store put back beside a newer audit log is refused too', async () => {
  const folder = copyOf(killed);
  for (const name of readdirSync(folder).filter((n) => n.startsWith('store.db'))) rmSync(join(folder, name));
  cpSync(join(whole, 'store.db'), join(folder, 'store.db'));
  assert.match(check(folder).said, /acknowledged commits are missing/);
});

test('a pack file with a turned bit, cut, or gone is named; the rest goes on', async () => {
  const turned = copyOf(whole);
  overwrite(packOf(turned), 3000, Buffer.from('X'));
  const name = basename(packOf(turned), '.pack');
  const found = check(turned);
  assert.equal(found.status, 1);
  assert.match(found.said, new RegExp(`images: pack file ${name}: damaged`));

  const gone = copyOf(whole);
  rmSync(packOf(gone));
  assert.match(check(gone).said, new RegExp(`images: pack file ${name}: is missing`));

  const cut = copyOf(whole);
  truncateSync(packOf(cut), statSync(packOf(cut)).size - 2000);
  assert.match(check(cut).said, new RegExp(`images: pack file ${name}: damaged`));
  const log = await serve(cut, async () => {
    assert.deepEqual(await w.doctor.read(`Patient/${w.patient.id}`), w.patient);
    const refused = await store(w.doctor, slices.slice(8, 9));
    assert.ok(refused.status >= 400, refused.text);
    assert.equal((await w.doctor.request('POST', '/fhir/Observation', observation(0))).status, 201);
  });
  assert.match(log, new RegExp(`1 pack files of images .* ${name}: .*restore`));
  assert.match(check(cut).said, /damaged/, 'still named: nothing was forgotten in silence');
  assert.equal(check(cut, '--forget-lost-images').status, 0);
  await serve(cut, async () => {
    assert.equal((await store(w.doctor, slices)).status, 200, 'sent again');
  });
  assert.equal(check(cut).status, 0);
});

test('a lost or torn index of the images is made anew', async () => {
  for (const damage of [(path) => rmSync(path), (path) => overwrite(path, 0, Buffer.alloc(8192, 0xa5))]) {
    const folder = copyOf(whole);
    damage(join(folder, 'images', 'index.sqlite'));
    const found = check(folder);
    assert.equal(found.status, 0, found.said);
    assert.match(found.said, /images: 8 instances/);
  }
});

test('a turned bit in the audit log is named by file and record; the log goes on in a new file', async () => {
  const folder = copyOf(whole);
  const log = join(folder, 'audit', '000001.log');
  overwrite(log, Math.floor(statSync(log).size / 2), Buffer.from([0x5a, 0xa5]));
  const found = check(folder);
  assert.equal(found.status, 1);
  assert.match(found.said, /audit: .*BROKEN, audit file 000001, record \d+:/);
  await serve(folder, async () => {
    assert.deepEqual(await w.doctor.read(`Patient/${w.patient.id}`), w.patient);
    assert.equal((await w.doctor.request('POST', '/fhir/Observation', observation(0))).status, 201);
  });
  assert.ok(existsSync(join(folder, 'audit', '000002.log')));
});

test('a torn tail of the audit log that was never sealed is cut', async () => {
  const folder = copyOf(killed);
  const last = join(folder, 'audit', readdirSync(join(folder, 'audit')).filter((n) => n.endsWith('.log')).sort().at(-1));
  overwrite(last, statSync(last).size, Buffer.from('R\x10\x00torn'));
  const found = check(folder);
  assert.equal(found.status, 0, found.said);
});

// Ends of the sealed groups of a log: header 48 bytes, frames of kind, length (2), check (4), payload.
function sealsOf(log) {
  const bytes = readFileSync(log);
  const ends = [];
  for (let at = 48; at + 7 <= bytes.length;) {
    const next = at + 7 + bytes.readUInt16LE(at + 1);
    if (bytes[at] === 0x53) ends.push(next);
    at = next;
  }
  return ends;
}

test('whole sealed groups cut off the end of the audit log are found, and stay told', async () => {
  const folder = copyOf(whole);
  const log = join(folder, 'audit', '000001.log');
  assert.equal(check(folder).status, 0, 'whole before');
  const seals = sealsOf(log);
  assert.ok(seals.length > 10, String(seals.length));
  truncateSync(log, seals.at(-3));
  const found = check(folder);
  assert.equal(found.status, 1);
  assert.match(found.said, /audit: the end of the log was cut off: the seal at byte \d+ of audit file 000001 is not there/);
  assert.doesNotMatch(found.said, /BROKEN/, 'the chain that is left fits');
  await serve(folder, async () => {
    assert.equal((await w.doctor.request('POST', '/fhir/Observation', observation(0))).status, 201, 'care goes on');
  });
  const later = check(folder);
  assert.equal(later.status, 1, 'a log that goes on does not hide it');
  assert.match(later.said, /audit: the end of the log was cut off/);
});

test('an audit file taken away is found', async () => {
  const folder = copyOf(whole);
  rmSync(join(folder, 'audit', '000001.log'));
  const found = check(folder);
  assert.equal(found.status, 1);
  assert.match(found.said, /the end of the log was cut off|BROKEN/);
});
