// What people bring: a folder or CD as a ZIP, with its directory, its viewer program and its faults. What can be taken is
// taken, what cannot is told by its name, nothing harms.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { draftConsult, patientFacts, startServer } from '../../scenarios/world.mjs';
import { issuesOf, makePhantom, program, startWorld, stow, waitFor } from './support.mjs';
import { directory, zip } from './zip.mjs';

const SLICES = 24;
let w;
let folder;
let files;

before(async () => {
  w = await startWorld();
  folder = mkdtempSync(join(tmpdir(), 'shanhai-intake-'));
  makePhantom(folder, '--slices', String(SLICES), '--size', '64');
  files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).sort().map((name) => readFileSync(join(folder, name)));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await w?.stop();
});

async function sendZip(person, body, type = 'application/zip') {
  const headers = { 'Content-Type': type, Accept: 'application/json', 'Accept-Language': 'zh-CN', Cookie: person?.cookie ?? '', Origin: w.base, 'X-CSRF-Token': person?.csrf ?? '' };
  const response = await fetch(`${w.base}/studies/zip`, { method: 'POST', body, headers, duplex: 'half' });
  return { status: response.status, json: await response.json().catch(() => undefined) };
}

const codes = (answer) => Object.fromEntries(answer.json.refused.map((one) => [one.name, one.code]));

describe('a CD as a ZIP', () => {
  test('images are taken, the rest is left out and counted, the directory says how many there should be', async () => {
    const listed = ['PATIENT', 'STUDY', 'SERIES', ...files.map(() => 'IMAGE'), 'IMAGE', 'IMAGE'];
    const answer = await sendZip(w.doctor, zip([
      { name: 'DICOMDIR', bytes: directory(listed) },
      { name: 'AUTORUN.INF', bytes: Buffer.from('[autorun]\r\nopen=viewer.exe') },
      { name: 'VIEWER/viewer.exe', bytes: Buffer.concat([Buffer.from('MZ'), Buffer.alloc(100000, 0x90)]) },
      { name: 'IMAGES/', bytes: Buffer.alloc(0), method: 0 },
      ...files.map((bytes, i) => ({ name: `IMAGES/IM${i}`, bytes, method: i % 2 ? 0 : 8 })),
    ]));
    assert.equal(answer.status, 200);
    const { files: seen, received, already, skipped, refusedCount, expected, studies } = answer.json;
    assert.deepEqual({ seen, received, already, skipped, refusedCount, expected }, { seen: SLICES + 3, received: SLICES, already: 0, skipped: 3, refusedCount: 0, expected: SLICES + 2 });
    assert.equal(studies.length, 1);
    const study = await waitFor('the ImagingStudy', async () => (await w.doctor.search('ImagingStudy', {}))[0]);
    assert.equal(study.numberOfInstances, SLICES);
    assert.equal(study.subject.reference, `Patient/${w.patient.id}`);
  });

  test('the same again is told as there already', async () => {
    const answer = await sendZip(w.doctor, zip(files.slice(0, 4).map((bytes, i) => ({ name: `${i}.dcm`, bytes }))));
    assert.deepEqual([answer.status, answer.json.received, answer.json.already], [200, 4, 4]);
  });

  test('bad files are refused by their names, the others are taken', async () => {
    const changed = Buffer.from(files[0]);
    changed[changed.length - 1] ^= 1;
    const whole = zip([
      { name: 'secret.dcm', bytes: files[1], flags: 1 },
      { name: 'odd.dcm', bytes: files[1], method: 14 },
      { name: '../../../etc/evil.dcm', bytes: files[1] },
      { name: 'inner.zip', bytes: zip([{ name: 'x', bytes: files[1] }]) },
      { name: 'inner-without-name', bytes: zip([{ name: 'x', bytes: files[1] }]) },
      { name: 'cut.dcm', bytes: files[1].subarray(0, files[1].length - 500) },
      { name: '不同内容.dcm', bytes: changed },
      { name: 'fine.dcm', bytes: files[1] },
    ]);
    const answer = await sendZip(w.doctor, whole);
    assert.equal(answer.status, 200);
    assert.deepEqual(codes(answer), {
      'secret.dcm': 'encrypted', 'odd.dcm': 'method', '../../../etc/evil.dcm': 'path', 'inner.zip': 'nested', 'inner-without-name': 'nested',
      'cut.dcm': 'not-readable', '不同内容.dcm': 'other-content',
    });
    assert.equal(answer.json.received, 1);
  });

  test('a chunked body cut anywhere', async () => {
    const body = zip(files.slice(0, 3).map((bytes, i) => ({ name: `${i}`, bytes })));
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 997) controller.enqueue(body.subarray(at, at + 997));
        controller.close();
      },
    });
    const answer = await sendZip(w.doctor, chunks);
    assert.deepEqual([answer.status, answer.json.received], [200, 3]);
  });

  test('what is no ZIP, ends early, is a bomb, or comes from somebody else', async () => {
    assert.equal((await sendZip(w.doctor, Buffer.from('not a ZIP'))).status, 400);
    assert.equal((await sendZip(w.doctor, Buffer.alloc(0))).status, 400);
    const whole = zip([{ name: 'a.dcm', bytes: files[0] }]);
    const early = await sendZip(w.doctor, whole.subarray(0, whole.length - 200));
    assert.equal(early.status, 400);
    assert.equal(early.json.resourceType, 'OperationOutcome');
    assert.deepEqual(early.json.issue[0].details, { coding: [{ system: 'urn:shanhai:codes:error', code: 'zip-cut' }], text: '压缩包不完整，请重新上传' });
    const bomb = await sendZip(w.doctor, zip([{ name: 'bomb.dcm', bytes: Buffer.alloc(200 << 20) }]));
    assert.equal(bomb.status, 413);
    assert.equal((await sendZip(w.doctor, whole, 'text/plain')).status, 415);
    assert.equal((await sendZip(w.expert, whole)).status, 403);
    assert.equal((await sendZip(null, whole)).status, 401);
    const wrong = await fetch(`${w.base}/studies/zip`, { method: 'POST', body: whole, headers: { 'Content-Type': 'application/zip', Cookie: w.doctor.cookie, Origin: w.base } });
    assert.equal(wrong.status, 403);
    assert.equal((await w.doctor.request('GET', '/health')).status, 200);
  });
});

describe('whose images', () => {
  const compact = (date) => date.replaceAll('-', '');

  // A study of a patient as the images name him; gives its held entry.
  async function heldStudy(seed, ...facts) {
    const own = mkdtempSync(join(tmpdir(), 'shanhai-held-'));
    makePhantom(own, '--slices', '3', '--size', '64', '--seed', String(seed), ...facts);
    const sent = readdirSync(own).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(own, name)));
    rmSync(own, { recursive: true, force: true });
    const answer = await stow(w.doctor, sent);
    assert.equal(answer.status, 200);
    const [, uid] = /studies\/([\d.]+)\//.exec(answer.json['00081199'].Value[0]['00081190'].Value[0]);
    return waitFor('the held study', async () => (await w.doctor.must('GET', '/studies/held')).find((one) => one.study === uid));
  }
  const match = (study, body) => w.doctor.request('POST', `/studies/held/${study}/match`, body);
  const own = () => `Patient/${w.patient.id}`;

  test('number and name fit, sex and birth date differ: held, both sides shown, attached only when confirmed', async () => {
    const held = await heldStudy(71, '--sex', 'F', '--birth', '19700101');
    assert.equal(held.reason, 'birth-date-differs');
    assert.deepEqual(held.patient, { id: patientFacts.id, name: patientFacts.name, birthDate: '1970-01-01', gender: 'female' });
    assert.deepEqual(held.candidates, [{ patient: own(), differs: ['birthDate', 'gender'] }]);
    assert.equal((await w.doctor.search('ImagingStudy', { identifier: `urn:dicom:uid|urn:oid:${held.study}` })).length, 0);
    const unasked = await match(held.study, { patient: own() });
    assert.equal(unasked.status, 422);
    assert.match(issuesOf(unasked).join(), /请逐项核对后确认/);
    assert.equal((await match(held.study, { patient: own(), confirmed: true })).status, 200);
    const [study] = await w.doctor.search('ImagingStudy', { identifier: `urn:dicom:uid|urn:oid:${held.study}` });
    assert.equal(study.subject.reference, own());
    assert.ok(!(await w.doctor.must('GET', '/studies/held')).some((one) => one.study === held.study));
  });

  test('the name fits, the number is another: held, with the namesake to compare', async () => {
    const held = await heldStudy(72, '--patient-id', 'ELSEWHERE-1', '--birth', compact('1980-05-05'));
    assert.equal(held.reason, 'number-differs');
    assert.deepEqual(held.candidates, [{ patient: own(), differs: ['birthDate'] }]);
  });

  test('nobody fits', async () => {
    const held = await heldStudy(73, '--patient-id', 'NOBODY', '--patient-name', '无此人');
    assert.deepEqual([held.reason, held.candidates], ['no-patient', []]);
    assert.equal((await match(held.study, { patient: 'Patient/absent', confirmed: true })).status, 404);
    assert.equal((await match(held.study, { patient: 'Practitioner/1', confirmed: true })).status, 400);
    assert.equal((await match('1.2.3', { patient: own(), confirmed: true })).status, 404);
    assert.deepEqual(await w.expert.request('GET', '/studies/held').then((answer) => answer.status), 403);
  });
});

describe('a photo of film', () => {
  // A grey PNG (RFC 2083).
  function png(width, height, shade) {
    const chunk = (type, data) => {
      const body = Buffer.concat([Buffer.from(type), data]);
      const length = Buffer.alloc(4);
      const check = Buffer.alloc(4);
      length.writeUInt32BE(data.length);
      check.writeUInt32BE(crc32(body));
      return Buffer.concat([length, body, check]);
    };
    const head = Buffer.alloc(13);
    head.writeUInt32BE(width, 0);
    head.writeUInt32BE(height, 4);
    head[8] = 8;
    const rows = Buffer.alloc((width + 1) * height, shade);
    for (let row = 0; row < height; row++) rows[row * (width + 1)] = 0;
    return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
  }
  async function add(person, bytes, { patient = `Patient/${w.patient.id}`, type = 'image/png' } = {}) {
    const headers = { 'Content-Type': type, Accept: 'application/json', 'Accept-Language': 'zh-CN', Cookie: person?.cookie ?? '', Origin: w.base, 'X-CSRF-Token': person?.csrf ?? '' };
    const response = await fetch(`${w.base}/photos?patient=${encodeURIComponent(patient)}`, { method: 'POST', body: bytes, headers });
    return { status: response.status, json: await response.json().catch(() => undefined) };
  }
  async function bytesOf(person, id) {
    const response = await fetch(`${w.base}/photos/${id}`, { headers: { Cookie: person.cookie } });
    return { status: response.status, type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer()) };
  }
  const film = png(640, 480, 90);

  test('becomes a Media of the patient, marked as not for diagnosis, with hashes of its content', async () => {
    const answer = await add(w.doctor, film);
    assert.equal(answer.status, 201);
    const media = await w.doctor.read(`Media/${answer.json.id}`);
    assert.equal(media.subject.reference, `Patient/${w.patient.id}`);
    assert.equal(media.type.coding[0].code, 'film-photo');
    assert.match(media.note[0].text, /非诊断/);
    assert.deepEqual([media.width, media.height, media.content.contentType, media.content.size], [640, 480, 'image/png', film.length]);
    assert.equal(media.content.hash, createHash('sha1').update(film).digest('base64'));
    assert.equal(media.identifier[0].value, createHash('sha256').update(film).digest('hex'));
    assert.equal(media.operator.reference, w.doctor.post);
    const back = await bytesOf(w.doctor, media.id);
    assert.deepEqual([back.status, back.type, back.bytes.equals(film)], [200, 'image/png', true]);
  });

  test('is seen in the consult by whom it was shared with, by nobody else, and nobody can take the mark off', async () => {
    const { json: media } = await add(w.doctor, png(64, 64, 10));
    const { json: other } = await add(w.doctor, png(64, 64, 20));
    assert.equal((await bytesOf(w.coordinator, media.id)).status, 404);
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, shared: [`Media/${media.id}`] });
    await w.doctor.take(consult.task, 'submit');
    assert.equal((await bytesOf(w.coordinator, media.id)).status, 200);
    assert.equal((await bytesOf(w.coordinator, other.id)).status, 404);
    assert.equal((await bytesOf(w.expert, media.id)).status, 404);
    assert.equal((await fetch(`${w.base}/photos/${media.id}`)).status, 401);
    const stored = await w.doctor.read(`Media/${media.id}`);
    assert.equal((await w.doctor.request('PUT', `/fhir/Media/${media.id}`, { ...stored, type: undefined, note: undefined })).status, 422);
    // The content of another's photo is not to be had by naming its hash.
    const forged = { resourceType: 'Media', status: 'completed', subject: stored.subject, identifier: stored.identifier, content: { contentType: 'image/png' } };
    assert.equal((await w.doctor.request('POST', '/fhir/Media', forged)).status, 422);
  });

  test('what is no picture, lies about its kind, or is not for this person', async () => {
    assert.equal((await add(w.doctor, Buffer.from('GIF89a'), { type: 'image/gif' })).status, 415);
    assert.equal((await add(w.doctor, Buffer.from('<svg onload="x"/>'))).status, 415);
    assert.equal((await add(w.doctor, film.subarray(0, 20))).status, 400);
    assert.equal((await add(w.doctor, png(8, 8, 0))).status, 400);
    assert.equal((await add(w.doctor, film, { patient: 'Patient/absent' })).status, 404);
    assert.equal((await add(w.doctor, film, { patient: '../etc' })).status, 400);
    assert.equal((await add(w.doctor, Buffer.alloc(17 << 20))).status, 413);
    assert.equal((await add(w.expert, film)).status, 403);
    assert.equal((await add(null, film)).status, 401);
    assert.equal((await bytesOf(w.doctor, '..%2F..%2Fetc')).status, 400);
    assert.equal((await bytesOf(w.doctor, 'absent')).status, 404);
  });
});

describe('the photos on the disk', () => {
  test('a changed one is named by the check, a whole folder is clean', async () => {
    const check = () => {
      try {
        return { status: 0, out: execFileSync(program, ['check', '--data', w.data], { encoding: 'utf8' }) };
      } catch (error) {
        return { status: error.status, out: error.stdout };
      }
    };
    assert.equal(await w.server.stop(), 0);
    const whole = check();
    assert.deepEqual([whole.status, /photos: (\d+), 0 findings/.exec(whole.out)?.[1]], [0, '3']);
    const [name] = readdirSync(join(w.data, 'photos'), { recursive: true }).filter((one) => /[0-9a-f]{64}$/.test(one));
    appendFileSync(join(w.data, 'photos', name), 'x');
    const changed = check();
    assert.equal(changed.status, 1);
    assert.match(changed.out, /photos: photo [0-9a-f]{64}: its content has another hash/);
    w.server = await startServer(program, w.data, w.options);
  });
});
