// FHIR REST as R4 writes it: versions, formats, preferences, conditions, pages, bundles, errors; and what stands around it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { get } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { Person } from '../../scenarios/client.mjs';
import { issuesOf, startWorld, waitFor } from './support.mjs';

let w;
let d; // a county doctor
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const patient = (more = {}) => ({ resourceType: 'Patient', name: [{ family: '测试' }], gender: 'male', birthDate: '1980-02-03', ...more });
const isOutcome = (answer, status, code) => {
  assert.equal(answer.status, status, answer.text.slice(0, 300));
  assert.equal(answer.json.resourceType, 'OperationOutcome');
  assert.equal(answer.json.id, answer.headers.get('x-request-id'));
  if (code) assert.equal(answer.json.issue[0].code, code);
};

describe('one resource', () => {
  test('create answers 201 with an address that can be read, byte for byte', async () => {
    const made = await d.request('POST', '/fhir/Patient', '{ "resourceType":"Patient", "multipleBirthInteger" : 2, "extension":[{"url":"urn:x","valueDecimal":1.00}]}',
      { 'Content-Type': 'application/fhir+json; charset=utf-8' });
    assert.equal(made.status, 201);
    assert.equal(made.headers.get('etag'), 'W/"1"');
    assert.match(made.headers.get('content-type'), /^application\/fhir\+json/);
    const location = made.headers.get('location');
    assert.ok(location.startsWith(`${w.base}/fhir/Patient/${made.json.id}/_history/1`), location);
    assert.ok(!Number.isNaN(Date.parse(made.headers.get('last-modified'))));
    const read = await d.request('GET', location.slice(w.base.length));
    assert.equal(read.text, made.text);
    assert.match(read.text, /"valueDecimal":1\.00\}/);
  });

  test('update by version, 412 for another, 304 for the same', async () => {
    const made = await d.create(patient());
    const path = `/fhir/Patient/${made.id}`;
    const updated = await d.request('PUT', path, { ...made, gender: 'female' }, { 'If-Match': 'W/"1"' });
    assert.equal(updated.status, 200);
    assert.equal(updated.json.meta.versionId, '2');
    isOutcome(await d.request('PUT', path, made, { 'If-Match': 'W/"1"' }), 412, 'conflict');
    isOutcome(await d.request('PUT', path, made, { 'If-Match': '"two"' }), 412);
    assert.equal((await d.request('GET', path, undefined, { 'If-None-Match': 'W/"2"' })).status, 304);
    assert.equal((await d.request('GET', path, undefined, { 'If-None-Match': 'W/"1"' })).status, 200);
    assert.equal((await d.must('GET', `${path}/_history/1`)).gender, 'male');
    isOutcome(await d.request('GET', `${path}/_history/3`), 404, 'not-found');
    isOutcome(await d.request('GET', `${path}/_history/x`), 404);
    const history = await d.must('GET', `${path}/_history`);
    assert.deepEqual(history.entry.map((e) => [e.request.method, e.response.status, e.resource.meta.versionId]), [['PUT', '200', '2'], ['POST', '201', '1']]);
    isOutcome(await d.request('GET', `${path}/_history?_sort=x`), 400);
  });

  test('the id in the address rules', async () => {
    const made = await d.create(patient());
    isOutcome(await d.request('PUT', `/fhir/Patient/${made.id}x`, made), 400, 'invalid');
    isOutcome(await d.request('PUT', `/fhir/Patient/${made.id}`, patient()), 400);
    isOutcome(await d.request('PUT', `/fhir/Observation/${made.id}`, made), 400);
    for (const id of ['a%2Fb', '..%2e', 'x'.repeat(65), '山']) isOutcome(await d.request('GET', `/fhir/Patient/${id}`), 404);
  });

  test('preferences', async () => {
    const minimal = await d.request('POST', '/fhir/Patient', patient(), { Prefer: 'return=minimal' });
    assert.deepEqual([minimal.status, minimal.text], [201, '']);
    const outcome = await d.request('POST', '/fhir/Patient', patient(), { Prefer: 'return=OperationOutcome' });
    assert.deepEqual([outcome.status, outcome.json.resourceType], [201, 'OperationOutcome']);
  });

  test('conditional create makes one', async () => {
    const one = patient({ identifier: [{ system: 'urn:test:once', value: '7' }] });
    const condition = { 'If-None-Exist': 'identifier=urn:test:once|7' };
    const answers = await Promise.all([1, 2, 3, 4].map(() => d.request('POST', '/fhir/Patient', one, condition)));
    assert.equal(answers.filter((a) => a.status === 201).length, 1);
    assert.equal(new Set(answers.filter((a) => a.status < 300).map((a) => a.json.id)).size, 1);
  });

  test('less than the whole is marked', async () => {
    const made = await d.create(patient({ active: true }));
    const some = await d.must('GET', `/fhir/Patient/${made.id}?_elements=gender`);
    assert.deepEqual(Object.keys(some).sort(), ['active', 'gender', 'id', 'meta', 'resourceType']);
    assert.equal(some.meta.tag.at(-1).code, 'SUBSETTED');
    isOutcome(await d.request('GET', `/fhir/Patient/${made.id}?_summary=some`), 400);
    const pretty = await d.request('GET', `/fhir/Patient/${made.id}?_pretty=true`);
    assert.match(pretty.text, /^\{\n {2}"resourceType"/);
  });
});

describe('formats and errors', () => {
  test('only JSON, told by 406 and 415', async () => {
    for (const accept of ['application/xml', 'application/fhir+xml, text/turtle']) isOutcome(await d.request('GET', '/fhir/Patient', undefined, { Accept: accept }), 406);
    for (const accept of ['*/*', 'text/html, application/json;q=0.5', 'application/fhir+json; fhirVersion=4.0']) {
      assert.equal((await d.request('GET', '/fhir/Patient', undefined, { Accept: accept })).status, 200);
    }
    isOutcome(await d.request('GET', '/fhir/Patient?_format=xml'), 406);
    assert.equal((await d.request('GET', '/fhir/Patient?_format=json', undefined, { Accept: 'application/xml' })).status, 200);
    isOutcome(await d.request('POST', '/fhir/Patient', '<Patient/>', { 'Content-Type': 'application/fhir+xml' }), 415);
    isOutcome(await d.request('POST', '/fhir/Patient', '{}', { 'Content-Type': 'application/fhir+json; charset=gbk' }), 415);
  });

  test('bad input is a 4xx that names its place', async () => {
    const post = (body) => d.request('POST', '/fhir/Patient', body, { 'Content-Type': 'application/fhir+json' });
    isOutcome(await post('{"resourceType":"Patient",'), 400, 'structure');
    isOutcome(await post(''), 400);
    isOutcome(await post('[]'), 400);
    isOutcome(await post('"Patient"'), 400);
    isOutcome(await post(`{"resourceType":"Patient","x":${'['.repeat(5000)}`), 400, 'structure');
    isOutcome(await post(Buffer.from('{"resourceType":"Patient","id":"\xff"}', 'latin1')), 400);
    const wrong = await post('{"resourceType":"Patient","foo":1,"gender":"x"}');
    isOutcome(wrong, 400);
    assert.ok(wrong.json.issue.some((i) => i.expression?.[0] === 'Patient.foo'));
    isOutcome(await post(`{"resourceType":"Patient","language":"${'x'.repeat(9 << 20)}"}`), 413, 'too-long');
    isOutcome(await d.request('GET', '/fhir/Patient?name=%zz'), 400);
    const unknown = await d.request('GET', '/fhir/Patient?nonsense=1');
    isOutcome(unknown, 400);
    assert.match(issuesOf(unknown)[0], /nonsense/);
    const lenient = await d.request('GET', '/fhir/Patient?nonsense=1', undefined, { Prefer: 'handling=lenient' });
    assert.equal(lenient.json.entry.at(-1).search.mode, 'outcome');
  });

  test('what does not exist', async () => {
    isOutcome(await d.request('GET', '/fhir/Nothing/1'), 404);
    isOutcome(await d.request('GET', '/fhir/Patient/1/$nothing'), 404);
    isOutcome(await d.request('GET', '/fhir/a/b/c/d/e'), 404);
    const post = await d.request('POST', '/fhir/Patient/1', patient());
    isOutcome(post, 405);
    assert.equal(post.headers.get('allow'), 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS');
  });
});

describe('many resources', () => {
  test('pages hold everything once while data changes', async () => {
    const family = `页${Date.now()}`;
    for (let i = 0; i < 7; i++) await d.create(patient({ name: [{ family }] }));
    const seen = [];
    let path = `/fhir/Patient?family=${encodeURIComponent(family)}&_count=3`;
    for (let pages = 0; path; pages++) {
      assert.ok(pages < 5);
      const page = await d.must('GET', path);
      seen.push(...page.entry.map((e) => e.resource.id));
      assert.ok(page.entry.every((e) => e.fullUrl === `${w.base}/fhir/Patient/${e.resource.id}`));
      path = page.link.find((l) => l.relation === 'next')?.url.slice(w.base.length);
      await d.create(patient({ name: [{ family: '别的' }] }));
    }
    assert.equal(seen.length, 7);
    assert.equal(new Set(seen).size, 7);
    assert.equal((await d.must('GET', `/fhir/Patient?family=${encodeURIComponent(family)}&_summary=count`)).total, 7);
    assert.equal((await d.search('Patient', { family, gender: 'male' })).length, 7);
    const all = await d.must('GET', `/fhir?_type=Patient&_lastUpdated=gt2020&_count=2`);
    assert.equal(all.entry.length, 2);
    const large = await d.request('GET', '/fhir/Patient?_count=50');
    assert.equal(large.headers.get('content-encoding'), 'gzip');
    const plain = await d.request('GET', '/fhir/Patient?_count=50', undefined, { 'Accept-Encoding': 'identity' });
    assert.equal(plain.headers.get('content-encoding'), null);
    assert.equal(plain.json.entry.length, large.json.entry.length);
  });

  test('a transaction is whole or nothing, a batch answers each', async () => {
    const family = `包${Date.now()}`;
    const entry = (resource, fullUrl) => ({ fullUrl, resource, request: { method: 'POST', url: resource.resourceType } });
    const url = 'urn:uuid:0191f3d2-0000-7000-8000-000000000001';
    const condition = (status) => ({ resourceType: 'Condition', subject: { reference: url }, code: { text: 'x' },
      clinicalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: status }] } });
    const bundle = (type, ...entries) => ({ resourceType: 'Bundle', type, entry: entries });
    const whole = await d.must('POST', '/fhir', bundle('transaction', entry(patient({ name: [{ family }] }), url), entry(condition('active'))));
    const made = await d.read(whole.entry[1].response.location.split('/_history')[0].replace(/^.*\/fhir\//, ''));
    assert.match(made.subject.reference, /^Patient\//);
    const bad = bundle('transaction', entry(patient({ name: [{ family }] }), url), entry({ ...condition('active'), onsetDateTime: 'yesterday' }));
    isOutcome(await d.request('POST', '/fhir', bad), 400);
    assert.equal((await d.search('Patient', { family })).length, 1);
    const batch = await d.must('POST', '/fhir', { ...bad, type: 'batch' });
    assert.match(batch.entry[0].response.status, /^201/);
    assert.match(batch.entry[1].response.status, /^400/);
    const read = await d.must('POST', '/fhir', bundle('batch', { request: { method: 'GET', url: `Patient?family=${encodeURIComponent(family)}` } }));
    assert.equal(read.entry[0].resource.entry.length, 2);
  });

  test('/metadata says what there is', async () => {
    const statement = await new Person(w.base, 'nobody').must('GET', '/fhir/metadata');
    assert.equal(statement.fhirVersion, '4.0.1');
    const of = (type) => statement.rest[0].resource.find((r) => r.type === type);
    assert.deepEqual(of('Patient').interaction.map((i) => i.code).sort(),
      ['create', 'delete', 'history-instance', 'history-type', 'patch', 'read', 'search-type', 'update', 'vread']);
    assert.deepEqual(of('Task').operation.map((o) => o.name).sort(), ['erase', 'meta', 'meta-add', 'meta-delete', 'transition', 'transitions', 'validate']);
    assert.ok(of('Patient').searchParam.some((p) => p.name === 'birthdate' && p.type === 'date'));
    assert.deepEqual(statement.rest[0].interaction.map((i) => i.code).sort(), ['batch', 'history-system', 'search-system', 'transaction']);
  });
});

describe('around FHIR', () => {
  test('no session, no CSRF token, another origin: refused', async () => {
    isOutcome(await new Person(w.base, 'nobody').request('GET', '/fhir/Patient'), 401, 'login');
    isOutcome(await d.request('GET', '/fhir/Patient', undefined, { Authorization: 'Bearer shanhai_no' }), 401);
    isOutcome(await d.request('POST', '/fhir/Patient', patient(), { 'X-CSRF-Token': 'x' }), 403);
    isOutcome(await d.request('POST', '/fhir/Patient', patient(), { Origin: 'http://elsewhere' }), 403);
    isOutcome(await d.request('GET', '/admin/accounts'), 403, 'forbidden');
    isOutcome(await d.request('GET', '/metrics'), 403);
  });

  test('events tell of what the session may see, and end with it', async () => {
    const own = await new Person(w.base, d.name).signIn(d.password);
    const response = await fetch(`${w.base}/events`, { headers: { Cookie: own.cookie } });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    let heard = '';
    let ended = false;
    (async () => { for await (const piece of response.body) heard += Buffer.from(piece); ended = true; })().catch(() => { ended = true; });
    const made = await d.create(patient());
    await waitFor('the event', () => heard.includes(made.id), 10);
    assert.match(heard, /id: \d+\nevent: change\ndata: \{"type":"Patient","id":"[^"]+","version":"1"\}\n\n/);
    await own.must('DELETE', '/session');
    await d.create(patient());
    await waitFor('the end', () => ended, 10);
  });

  test('the screens come compressed, unknown pages are the index, unknown files are not', async () => {
    const page = await fetch(`${w.base}/consults/1`, { headers: { Accept: 'text/html' } });
    assert.equal(page.status, 200);
    assert.equal(page.headers.get('content-encoding'), 'gzip');
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    assert.match(page.headers.get('content-security-policy'), /default-src 'self'.*frame-ancestors 'none'/);
    const again = await fetch(`${w.base}/`, { headers: { 'If-None-Match': page.headers.get('etag') } });
    assert.equal(again.status, 304);
    const plain = await fetch(`${w.base}/`, { headers: { 'Accept-Encoding': 'identity' } });
    assert.match(await plain.text(), /^<!doctype html>/i);
    const bytes = await new Promise((resolve, reject) => {
      get(`${w.base}/`, { headers: { Accept: 'text/html', 'Accept-Encoding': 'gzip, br' } }, (response) => {
        const pieces = [];
        response.on('data', (piece) => pieces.push(piece)).on('end', () => resolve({ coding: response.headers['content-encoding'], body: Buffer.concat(pieces) }));
      }).on('error', reject);
    });
    const unpack = { br: brotliDecompressSync, gzip: gunzipSync }[bytes.coding];
    assert.match(unpack(bytes.body).toString(), /^<!doctype html>/i, bytes.coding);
    assert.equal((await fetch(`${w.base}/assets/none.js`)).status, 404);
    assert.equal((await fetch(`${w.base}/anything`, { headers: { Accept: 'application/json' } })).status, 404);
  });
});

describe('what is told, in which language', () => {
  test('by Accept-Language with its weights; a person reads details.text, whoever looks for the cause diagnostics', async () => {
    const told = async (language) => (await w.doctor.request('GET', '/fhir/Patient?nonsense=1', undefined, { 'Accept-Language': language })).json.issue[0];
    const english = "Patient has no search parameter 'nonsense'";
    for (const language of ['en', 'en-GB,zh;q=0.5', 'fr, en;q=0.5', 'zh;q=0.4, en;q=0.9', 'zh;q=0, en']) {
      assert.deepEqual([(await told(language)).details.text, (await told(language)).diagnostics], [english, english], language);
    }
    for (const language of ['zh', 'zh-CN, en', 'fr', 'en;q=0', 'en;q=x', '']) {
      const issue = await told(language);
      assert.match(issue.details.text, /请求的内容有误/, language);
      assert.equal(issue.diagnostics, english);
    }
  });

  test('_format with a version and without a coded plus', async () => {
    const status = async (format) => (await w.doctor.request('GET', `/fhir/Patient/${w.patient.id}?_format=${format}`)).status;
    for (const format of ['json', 'application/json', 'application/fhir+json', 'application/fhir%2Bjson', 'application/fhir+json;fhirVersion=4.0', 'application/fhir%2Bjson; fhirVersion=4.0.1']) assert.equal(await status(format), 200, format);
    for (const format of ['xml', 'ttl', 'text/html', 'application/fhir+json;fhirVersion=3.0', 'application/fhir+xml']) assert.equal(await status(format), 406, format);
  });
});
