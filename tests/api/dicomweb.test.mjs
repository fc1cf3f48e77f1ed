// DICOMweb as a client sees it: what goes in by STOW-RS comes out by QIDO-RS and WADO-RS, bad parts are named, and who may
// not see the study does not learn that it exists.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makePhantom, startWorld, waitFor } from './support.mjs';

const SLICES = 24;
let w;
let folder;
let files;
let study;
let series;
let instances;

before(async () => {
  w = await startWorld();
  folder = mkdtempSync(join(tmpdir(), 'shanhai-dicomweb-'));
  makePhantom(folder, '--slices', String(SLICES), '--size', '64');
  files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).sort().map((name) => readFileSync(join(folder, name)));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await w?.stop();
});

const BOUNDARY = 'shanhai-test-boundary';
const STOW = { 'Content-Type': `multipart/related; type="application/dicom"; boundary=${BOUNDARY}`, Accept: 'application/dicom+json' };

function multipart(parts, type = 'application/dicom') {
  const pieces = parts.flatMap((part) => [Buffer.from(`--${BOUNDARY}\r\nContent-Type: ${type}\r\n\r\n`), Buffer.from(part), Buffer.from('\r\n')]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

// fetch without the JSON that Person expects: {status, headers, bytes, json}
async function ask(person, path, headers = {}, options = {}) {
  const response = await fetch(w.base + path, { ...options, headers: { Cookie: person?.cookie ?? '', Origin: w.base, 'X-CSRF-Token': person?.csrf ?? '', ...headers } });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  return { status: response.status, headers: response.headers, bytes, json: isJson && bytes.length > 0 ? JSON.parse(bytes) : undefined };
}

const store = (person, body, path = '/dicom-web/studies', headers = STOW) => ask(person, path, headers, { method: 'POST', body, duplex: 'half' });
const value = (row, tag) => row[tag]?.Value?.[0];

// The parts of a multipart/related answer: [{type, bytes}].
function partsOf(answer) {
  const boundary = /boundary="?([^";]+)/.exec(answer.headers.get('content-type'))[1];
  const parts = [];
  const delimiter = Buffer.from(`--${boundary}`);
  for (let at = answer.bytes.indexOf(delimiter); at >= 0;) {
    const from = at + delimiter.length + 2;
    const next = answer.bytes.indexOf(delimiter, from);
    if (next < 0) break;
    const part = answer.bytes.subarray(from, next - 2);
    const head = part.indexOf('\r\n\r\n');
    parts.push({ type: /content-type: ([^\r\n]+)/i.exec(part.subarray(0, head).toString())[1], bytes: part.subarray(head + 4) });
    at = next;
  }
  return parts;
}

const sha = (bytes) => createHash('sha256').update(bytes).digest('hex');

describe('storing', () => {
  test('a chunked body of many parts is stored, and every instance named', async () => {
    const body = multipart(files);
    const chunks = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 7001) controller.enqueue(body.subarray(at, at + 7001));
        controller.close();
      },
    });
    const answer = await store(w.doctor, chunks);
    assert.equal(answer.status, 200);
    instances = answer.json['00081199'].Value.map((item) => value(item, '00081155'));
    assert.equal(instances.length, files.length);
    assert.equal(answer.json['00081198'], undefined);
    const url = value(answer.json['00081199'].Value[0], '00081190');
    [, study, series] = /studies\/([\d.]+)\/series\/([\d.]+)\/instances/.exec(url);
    await waitFor('the ImagingStudy', async () => (await w.doctor.search('ImagingStudy', {})).length === 1);
  });

  test('the same again is fine; other bytes under the same UID are refused and named', async () => {
    assert.equal((await store(w.doctor, multipart(files.slice(0, 2)))).status, 200);
    const changed = Buffer.from(files[0]);
    changed[changed.length - 1] ^= 1;
    const answer = await store(w.doctor, multipart([changed, files[1]]));
    assert.equal(answer.status, 202);
    assert.equal(value(answer.json['00081198'].Value[0], '00081197'), 0xc111);
    assert.equal(answer.json['00081199'].Value.length, 1);
  });

  test('bad parts, bodies and places', async () => {
    const cut = files[3].subarray(0, files[3].length - 100);
    const refused = await store(w.doctor, multipart(['this is not DICOM, is it', cut]));
    assert.equal(refused.status, 409);
    assert.deepEqual(refused.json['00081198'].Value.map((item) => value(item, '00081197')), [0xc000, 0xc000]);
    assert.equal((await store(w.doctor, multipart([files[0]], 'text/plain'))).status, 409);
    assert.equal((await store(w.doctor, multipart([files[0]]), '/dicom-web/studies/1.2.3')).status, 409);
    assert.equal((await store(w.doctor, multipart([]))).status, 400);
    assert.equal((await store(w.doctor, multipart(files.slice(0, 1)).subarray(0, 500))).status, 400);
    assert.equal((await store(w.doctor, '{}', '/dicom-web/studies', { 'Content-Type': 'application/json' })).status, 415);
    assert.equal((await store(w.doctor, multipart(files), '/dicom-web/studies/..%2F..%2Fetc')).status, 400);
    assert.equal((await store(null, multipart(files))).status, 401);
    assert.equal((await store(w.expert, multipart(files))).status, 403);
  });
});

describe('searching', () => {
  test('studies, series and instances', async () => {
    const studies = await ask(w.doctor, '/dicom-web/studies?PatientID=DEMO-0001&ModalitiesInStudy=CT');
    assert.equal(studies.status, 200);
    assert.match(studies.headers.get('content-type'), /dicom\+json/);
    assert.equal(studies.json.length, 1);
    assert.equal(value(studies.json[0], '0020000D'), study);
    assert.equal(value(studies.json[0], '00201208'), SLICES);
    const rows = await ask(w.doctor, `/dicom-web/studies/${study}/series`);
    assert.deepEqual([rows.json.length, value(rows.json[0], '0020000E'), value(rows.json[0], '00080060')], [1, series, 'CT']);
    const page = await ask(w.doctor, `/dicom-web/studies/${study}/series/${series}/instances?limit=5&offset=20`);
    assert.equal(page.json.length, 4);
    const first = await ask(w.doctor, `/dicom-web/studies/${study}/instances?limit=5`);
    assert.match(first.headers.get('warning'), /more results/);
  });

  test('what does not fit, and what is not offered', async () => {
    for (const query of ['PatientID=other', 'StudyDate=19000101-19000102', 'ModalitiesInStudy=MR', 'PatientName=li*']) {
      assert.deepEqual((await ask(w.doctor, `/dicom-web/studies?${query}`)).json, [], query);
    }
    for (const query of ['Foo=1', 'StudyDate=yesterday', 'limit=-1', 'StudyInstanceUID=../etc', 'PatientWeight=70']) {
      const answer = await ask(w.doctor, `/dicom-web/studies?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal(answer.json.resourceType, 'OperationOutcome');
    }
    assert.equal((await ask(w.doctor, '/dicom-web/instances')).status, 422);
  });
});

describe('retrieving', () => {
  const at = (rest = '') => `/dicom-web/studies/${study}/series/${series}${rest}`;

  test('instances are the bytes that came', async () => {
    const answer = await ask(w.doctor, at(), { Accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' });
    assert.equal(answer.status, 200);
    const parts = partsOf(answer);
    assert.deepEqual(new Set(parts.map((part) => sha(part.bytes))), new Set(files.map(sha)));
    assert.match(parts[0].type, /^application\/dicom; transfer-syntax=1\.2\.840\.10008\.1\.2/);
    const single = await ask(w.doctor, at(`/instances/${instances[0]}`), { Accept: 'application/dicom; transfer-syntax=*' });
    assert.ok(files.some((file) => sha(file) === sha(single.bytes)));
    assert.equal((await ask(w.doctor, at(), { Accept: 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90' })).status, 406);
  });

  test('metadata is complete, compressed when asked for, and told unchanged by its tag', async () => {
    const answer = await ask(w.doctor, at('/metadata'));
    assert.equal(answer.json.length, SLICES);
    assert.equal(value(answer.json[0], '0020000E'), series);
    assert.match(answer.json[0]['7FE00010'].BulkDataURI, /\/bulkdata\/7FE00010$/);
    const again = await ask(w.doctor, at('/metadata'), { 'If-None-Match': answer.headers.get('etag') });
    assert.equal(again.status, 304);
    assert.deepEqual((await ask(w.doctor, at('/metadata'), { 'Accept-Encoding': 'identity' })).json, answer.json);
    assert.deepEqual((await ask(w.doctor, `/dicom-web/studies/${study}/metadata`)).json, answer.json);
    const one = await ask(w.doctor, at(`/instances/${instances[0]}/metadata`));
    assert.equal(value(one.json[0], '00080018'), instances[0]);
  });

  test('frames, bulk data and pictures', async () => {
    const frame = await ask(w.doctor, at(`/instances/${instances[0]}/frames/1`), { Accept: 'multipart/related; type="application/octet-stream"; transfer-syntax=*' });
    const [part] = partsOf(frame);
    assert.equal(part.bytes.length, 64 * 64 * 2);
    const bulk = await ask(w.doctor, at(`/instances/${instances[0]}/bulkdata/7FE00010`));
    assert.equal(sha(partsOf(bulk)[0].bytes), sha(part.bytes));
    assert.equal((await ask(w.doctor, at(`/instances/${instances[0]}/frames/2`))).status, 404);
    assert.equal((await ask(w.doctor, at(`/instances/${instances[0]}/frames/0`))).status, 400);
    const picture = await ask(w.doctor, at(`/instances/${instances[0]}/rendered?window=lung&viewport=32,32&quality=70`), { Accept: 'image/jpeg' });
    assert.equal(picture.headers.get('content-type'), 'image/jpeg');
    assert.deepEqual([...picture.bytes.subarray(0, 2)], [0xff, 0xd8]);
    const png = await ask(w.doctor, at(`/instances/${instances[0]}/frames/1/rendered?window=40,350`), { Accept: 'image/png' });
    assert.equal(png.bytes.subarray(1, 4).toString(), 'PNG');
    assert.equal(png.bytes.readUInt32BE(16), 64);
    assert.equal((await ask(w.doctor, at(`/instances/${instances[0]}/rendered?window=x`))).status, 400);
    assert.equal((await ask(w.doctor, at(`/instances/${instances[0]}/rendered?overlay=other`))).status, 400);
    assert.equal((await ask(w.doctor, at(`/instances/${instances[0]}/rendered`), { Accept: 'text/html' })).status, 406);
  });

  test('who may not see the study does not learn that it is there', async () => {
    const paths = ['', '/metadata', '/series', `/series/${series}`, `/series/${series}/metadata`, `/series/${series}/instances/${instances[0]}`,
      `/series/${series}/instances/${instances[0]}/metadata`, `/series/${series}/instances/${instances[0]}/frames/1`,
      `/series/${series}/instances/${instances[0]}/rendered`, `/series/${series}/instances/${instances[0]}/bulkdata/7FE00010`];
    for (const path of paths) {
      const mine = await ask(w.expert, `/dicom-web/studies/${study}${path}`);
      const absent = await ask(w.expert, `/dicom-web/studies/${study}9${path}`);
      assert.equal(mine.status, absent.status, path);
      assert.ok(mine.status === 404 || (mine.status === 200 && mine.json.length === 0), `${path} ${mine.status}`);
      assert.equal((await ask(null, `/dicom-web/studies/${study}${path}`)).status, 401);
    }
    assert.deepEqual((await ask(w.expert, '/dicom-web/studies')).json, []);
  });
});
