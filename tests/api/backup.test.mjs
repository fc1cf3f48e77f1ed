// A backup taken while clients write and send images, restored elsewhere: everything that was acknowledged before it began is
// there, what is there is the same to the byte, signing, writing and its audit go on. A damaged or cut backup, and
// one whose passphrase is not known, is told and leaves no folder behind.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { text } from '../../scenarios/client.mjs';
import { PASSWORD, startServer } from '../../scenarios/world.mjs';
import { toSigned } from './play.mjs';
import { makePhantom, program, startWorld, waitFor } from './support.mjs';

const env = { ...process.env, SHANHAI_BACKUP_PASSPHRASE: 'correct horse 电池 staple' };
let w;
let place;
let slices;
before(async () => {
  w = await startWorld();
  place = mkdtempSync(join(tmpdir(), 'shanhai-backup-'));
  makePhantom(join(place, 'ct'), '--slices', '60', '--size', '128');
  slices = readdirSync(join(place, 'ct')).filter((n) => n.endsWith('.dcm')).sort().map((n) => readFileSync(join(place, 'ct', n)));
});
after(async () => {
  await w?.stop();
  rmSync(place, { recursive: true, force: true });
});

const run = (...args) => spawnSync(program, args, { encoding: 'utf8', env });
const observation = (i) => ({ resourceType: 'Observation', status: 'final', code: { text: `体温 ${i}` }, subject: { reference: `Patient/${w.patient.id}` },
  valueQuantity: { value: 36 + i % 10 / 10, unit: '℃' }, note: [{ text: '备注 '.repeat(1 + i % 50) }] });

const STOW = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' };
async function storeSlice(i) {
  const body = Buffer.concat([Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), slices[i], Buffer.from('\r\n--b--\r\n')]);
  const answer = await w.doctor.request('POST', '/dicom-web/studies', body, STOW);
  assert.equal(answer.status, 200, answer.text);
  return answer.json['00081199'].Value[0]['00081190'].Value[0];
}

// All versions that the person sees, "Type/id/version" → text, over pages of the history.
async function exportOf(base, person) {
  const out = new Map();
  for (let url = `${base}/fhir/_history?_count=200`; url;) {
    const answer = await person.request('GET', url.replace(/^https?:\/\/[^/]+/, ''));
    assert.equal(answer.status, 200, answer.text);
    for (const entry of answer.json.entry ?? []) {
      const { resource } = entry;
      if (resource) out.set(`${resource.resourceType}/${resource.id}/${resource.meta.versionId}`, JSON.stringify(resource));
    }
    url = answer.json.link?.find((l) => l.relation === 'next')?.url;
  }
  return out;
}

// The bytes of an instance as they were sent.
async function instanceOf(base, person, path) {
  const response = await fetch(base + new URL(path, base).pathname, { headers: { Cookie: person.cookie, Accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' } });
  assert.equal(response.status, 200, path);
  const bytes = Buffer.from(await response.arrayBuffer());
  return bytes.subarray(bytes.indexOf('\r\n\r\n') + 4, bytes.lastIndexOf('\r\n--'));
}

test('under load, restored elsewhere', { timeout: 300e3 }, async (t) => {
  const consult = await toSigned(w);
  const before = { resources: [], images: [] };
  for (let i = 0; i < 40; i++) before.resources.push(await w.doctor.create(observation(i)));
  for (let i = 0; i < 20; i++) before.images.push(await storeSlice(i));
  await waitFor('the study is joined to its patient', async () => (await w.doctor.search('ImagingStudy', { subject: `Patient/${w.patient.id}` })).length > 0);

  // A photo of film, as far as its head goes.
  const photo = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452000000200000002008000000000000000', 'hex'), Buffer.alloc(64, 7)]);
  const headers = { 'Content-Type': 'image/png', Accept: 'application/json', Cookie: w.doctor.cookie, Origin: w.base, 'X-CSRF-Token': w.doctor.csrf };
  const filed = await fetch(`${w.base}/photos?patient=Patient/${w.patient.id}`, { method: 'POST', body: photo, headers });
  assert.equal(filed.status, 201);
  const media = (await filed.json()).id;

  let running = true;
  let written = 0;
  const writers = Array.from({ length: 6 }, async (_, k) => {
    for (let i = 0; running; i++) {
      await w.doctor.create(observation(i * 7 + k));
      if (i % 5 === 0) await w.doctor.read(`Observation/${before.resources[i % 40].id}`);
      written++;
    }
  });
  const sender = (async () => {
    for (let i = 20; running && i < 60; i++) {
      await storeSlice(i);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await waitFor('load', () => written > 60);
  const file = join(place, 'one.backup');
  const child = spawn(program, ['backup', '--data', w.data, '--to', file], { env });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  child.stderr.on('data', (data) => { said += data; });
  const [status] = await once(child, 'exit');
  const during = written;
  await waitFor('load goes on', () => written > during + 20);
  running = false;
  await Promise.all([...writers, sender]);
  assert.equal(status, 0, said);
  assert.match(said, /^backup: \d+ files, \d+ bytes, changes up to number \d+, in /m);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(!existsSync(join(w.data, 'backup.copies')), 'no copy in clear is left');
  assert.ok(!readFileSync(file).includes('体温'), 'encrypted');
  assert.equal(run('backup', '--data', w.data, '--to', file, '--quiet').status, 1, 'an older backup is not overwritten');

  const folder = join(place, 'restored');
  const restored = run('restore', '--from', file, '--data', folder, '--quiet');
  assert.equal(restored.status, 0, restored.stderr);
  const checked = run('check', '--data', folder);
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
  for (const name of readdirSync(join(folder, 'keys'))) assert.match(readFileSync(join(folder, 'keys', name), 'latin1'), name.endsWith('.json') ? /"sealed":""/ : /^/, 'private keys stay at home');

  const restoredAt = new Date().toISOString();
  const there = await startServer(program, folder, ['--port', '0', '--dicom-port', '-1']);
  try {
    const originals = new Map([...(await exportOf(w.base, w.doctor)), ...(await exportOf(w.base, w.coordinator))]);
    const images = await Promise.all(before.images.map((path) => instanceOf(w.base, w.doctor, path)));
    for (const person of [w.doctor, w.coordinator, w.lead, w.admins.county]) person.base = there.base;
    const copies = new Map([...(await exportOf(there.base, w.doctor)), ...(await exportOf(there.base, w.coordinator))]);
    for (const one of before.resources) assert.ok(copies.has(`Observation/${one.id}/1`), 'acknowledged before the backup began');
    let same = 0;
    // The restored archive may tell of its study anew: the study, its measurement and the records of that are its own.
    const measuring = [...copies].filter(([key, content]) => key.startsWith('Task/') && content.includes('ct-measurement')).map(([key]) => key.split('/').slice(0, 2).join('/'));
    const isOwn = (key, content) => /^(ImagingStudy|Task|DiagnosticReport)\//.test(key) || (!originals.has(key) && /^(Observation|Device)\//.test(key) && content.includes('ct-measurement')) ||
      (!originals.has(key) && key.startsWith('Provenance/') && measuring.some((task) => content.includes(`${task}/`) || content.includes(`${task}"`)));
    for (const [key, content] of copies) {
      if (isOwn(key, content)) continue;
      assert.equal(content, originals.get(key), key);
      same++;
    }
    assert.ok(same > 100, `${same} versions compared`);
    for (const [i, path] of before.images.entries()) assert.ok((await instanceOf(there.base, w.doctor, path)).equals(images[i]), path);

    const kept = await fetch(`${there.base}/photos/${media}`, { headers: { Cookie: w.doctor.cookie } });
    assert.ok(Buffer.from(await kept.arrayBuffer()).equals(photo), 'the photo of film');

    // The private keys stayed at home: whoever signs now gets a new one.
    const document = await w.lead.read(consult.document);
    assert.ok(document.signature?.data);
    await w.lead.take(consult.task, 'addendum', { text: text('补充意见'), password: text(PASSWORD) });

    const made = await w.doctor.create(observation(1));
    const log = await w.admins.county.must('GET', '/fhir/AuditEvent?_count=100');
    assert.ok(log.entry.some((e) => JSON.stringify(e).includes(`Observation/${made.id}`)), 'what is written in the restored folder is in its audit log');
    t.diagnostic(`${copies.size} versions, ${same} compared to the byte, ${images.length} images, ${statSync(file).size} bytes; ${during} writes meanwhile`);
  } finally {
    for (const person of [w.doctor, w.coordinator, w.lead, w.admins.county]) person.base = w.base;
    assert.equal(await there.stop(), 0, there.log());
  }
  const again = run('check', '--data', folder);
  assert.equal(again.status, 0, again.stdout + again.stderr);
});

test('a damaged backup is named and restores nothing', { timeout: 120e3 }, async () => {
  const file = join(place, 'two.backup');
  assert.equal(run('backup', '--data', w.data, '--to', file, '--quiet').status, 0);
  const whole = readFileSync(file);
  assert.equal(run('restore', '--from', file, '--verify').status, 0);
  const bad = join(place, 'bad.backup');
  const folder = join(place, 'never');
  const expectRefused = (bytes, pattern, what) => {
    writeFileSync(bad, bytes);
    for (const to of [['--verify'], ['--data', folder]]) {
      const answer = run('restore', '--from', bad, '--quiet', ...to);
      assert.equal(answer.status, 1, what);
      assert.match(answer.stderr, pattern, what);
      assert.ok(!existsSync(folder), what);
      rmSync(`${folder}.part`, { recursive: true, force: true });
    }
  };
  assert.ok(whole.length > 600000, String(whole.length));
  for (const at of [300000, whole.length >> 1, whole.length - 3]) {
    const bytes = Buffer.from(whole);
    bytes[at] ^= 0x40;
    expectRefused(bytes, /damaged at byte \d+, in \S+|cut short at byte/, `byte ${at}`);
  }
  expectRefused(whole.subarray(0, whole.length - 40), /cut short at byte \d+, in /, 'cut short');
  expectRefused(Buffer.concat([whole.subarray(0, 72), whole.subarray(72 + 4 + 262144 + 17)]), /passphrase is not|damaged/, 'a chunk is missing');
  expectRefused(Buffer.concat([Buffer.from('X'), whole.subarray(1)]), /no backup of this program/, 'another file');
  expectRefused(Buffer.alloc(0), /no backup of this program/, 'empty');
  const wrong = spawnSync(program, ['restore', '--from', file, '--verify'], { encoding: 'utf8', env: { ...env, SHANHAI_BACKUP_PASSPHRASE: 'another passphrase' } });
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /passphrase/);
  const none = spawnSync(program, ['backup', '--data', w.data, '--to', join(place, 'x')], { encoding: 'utf8', env: { ...process.env, SHANHAI_BACKUP_PASSPHRASE: '' } });
  assert.equal(none.status, 1);
  assert.match(none.stderr, /a backup is encrypted/);
  assert.equal(run('restore', '--from', file, '--data', w.data).status, 1, 'never over a folder that is there');
  assert.equal(run('backup', '--data', join(place, 'nowhere'), '--to', join(place, 'y')).status, 1);
  assert.ok(!existsSync(join(place, 'y.part')));
});
