// No input gives a 5xx: every search parameter of every type with unfit values, damaged bodies, garbage on the wire. The order
// is by chance but always the same.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startWorld } from './support.mjs';

let w;
let d;
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

let seed = 20261122;
const chance = (count) => { // xorshift
  seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5;
  return (seed >>> 0) % count;
};
const pick = (list) => list[chance(list.length)];

const values = ['', 'x', '1', '2020', '2020-13-45', 'gt2020-01', 'ne1', '|', 'a|b', '|||', 'Patient/1', 'http://x/Patient/1', '1e9999', '5.4|http://unitsofmeasure.org|mg',
  '$', 'a$b', '\\', '\\,', '%', '*', '-1', '山', 'a'.repeat(3000), ','.repeat(400), "' OR 1=1--", 'gt', '2020-02-30T25:61:00Z', 'ap100', '{}', 'null', '\u0001'];
const modifiers = ['', ':missing', ':exact', ':contains', ':not', ':text', ':in', ':below', ':above', ':identifier', ':of-type', ':Patient', ':bogus'];

async function refuses(path, method = 'GET', body = undefined, headers = {}) {
  const answer = await d.request(method, path, body, headers);
  assert.ok(answer.status < 500, `${method} ${path.slice(0, 200)} → ${answer.status} ${answer.text.slice(0, 300)}`);
  if (answer.status >= 400) assert.equal(answer.json?.resourceType, 'OperationOutcome', `${path.slice(0, 200)}: ${answer.text.slice(0, 200)}`);
  return answer.status;
}

describe('searches', () => {
  test('every parameter of every type with unfit values', async (t) => {
    const statement = await d.must('GET', '/fhir/metadata');
    let asked = 0;
    for (const resource of statement.rest[0].resource) {
      const paths = resource.searchParam.map((p) => `/fhir/${resource.type}?${p.name}${pick(modifiers)}=${encodeURIComponent(pick(values))}`);
      paths.push(`/fhir/${resource.type}?_sort=-${pick(resource.searchParam).name}`);
      await Promise.all(paths.map((path) => refuses(path)));
      asked += paths.length;
    }
    t.diagnostic(`${asked} searches`);
  });

  test('what costs too much or makes no sense', async () => {
    const many = (count, part, between) => Array(count).fill(part).join(between);
    for (const query of ['_include=*', '_revinclude=*', '_revinclude=Observation:subject', '_include=Observation:subject&_include:iterate=Patient:*', '_count=-1', '_count=0',
      '_count=99999999999999999999', '_total=bogus', '_cursor=zz', '_elements=,,', '_summary=x', '_sort=', '_sort=name,name,-name', `_id=${many(2000, 'a', ',')}`,
      many(300, 'name=a', '&'), `${many(10, '_has:Observation:patient', ':')}:code=1`, `${many(10, 'organization', '.')}.name=q`, '%', 'a=%zz', 'a=%00', '&&&', '=', '=x']) {
      await refuses(`/fhir/Patient?${query}`);
    }
    for (const path of ['/fhir/Patient/_history?_since=bogus', '/fhir/Patient/_history?_count=x', '/fhir/_history?_at=2026', '/fhir/_history?_cursor=99999999999999999999',
      '/fhir/Group/x/Observation', '/fhir//', '/fhir/Patient//_history', '/fhir/Patient/%00', '/fhir/Patient/%C3%28', '/fhir/Task/x/$transitions', '/indicators?date=x',
      '/indicators/none/resources', '/reports/none', '/indicators?org=../x', '/dicom-web/studies/..%2F..', '/dicom-web/studies?limit=-1', '/%2e%2e/%2e%2e/etc/passwd']) {
      await refuses(path);
    }
  });
});

describe('bodies', () => {
  test('damaged resources', async (t) => {
    const whole = Buffer.from('{"resourceType":"Patient","name":[{"family":"a","given":["b"]}],"active":true,"birthDate":"1980-01-01","multipleBirthInteger":2}');
    const pieces = ['[', '{', '"', '\\u0000', '1e400', 'null', ',', '\xff', '\\ud800'].map((p) => Buffer.from(p, 'latin1'));
    const statuses = {};
    for (let i = 0; i < 600; i++) {
      let body = Buffer.from(whole);
      for (let k = 0; k <= chance(3); k++) {
        const at = chance(body.length);
        body = Buffer.concat([body.subarray(0, at), pick([Buffer.alloc(0), Buffer.from([chance(256)]), pick(pieces)]), body.subarray(at + chance(2))]);
      }
      const status = await refuses('/fhir/Patient', 'POST', body, { 'Content-Type': 'application/fhir+json' });
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    t.diagnostic(JSON.stringify(statuses));
  });

  test('bundles that are none', async () => {
    const entries = [1, {}, { request: {} }, { request: { method: 'GET', url: '' } }, { request: { method: 'GET', url: '../../etc' } }, { request: { method: 'GET', url: 'Patient?nonsense=1' } },
      { request: { method: 'PATCH', url: 'Patient/1' } }, { request: { method: 'DELETE', url: 'Patient/nobody' } }, { request: { method: 'PUT', url: 'Patient/1' }, resource: { resourceType: 'Patient' } },
      { request: { method: 'POST', url: 'Patient' }, resource: [] }, { request: { method: 'POST', url: 'Patient' } }, { fullUrl: 'urn:uuid:x', request: { method: 'POST', url: 'Nothing' }, resource: { resourceType: 'Nothing' } }];
    for (const type of ['batch', 'transaction']) {
      for (const entry of entries) await refuses('/fhir', 'POST', { resourceType: 'Bundle', type, entry: [entry] });
    }
    for (const body of ['null', '[]', '{}', '{"resourceType":"Patient"}', '{"resourceType":"Bundle","type":"x"}', '{"resourceType":"Bundle","type":"batch","entry":{}}']) {
      await refuses('/fhir', 'POST', body, { 'Content-Type': 'application/fhir+json' });
    }
    for (const path of ['/session', '/session/post', '/session/password', '/admin/accounts', '/fhir/Task/x/$transition', '/studies/held/1.2/match']) {
      for (const body of ['null', '[]', '{}', '"x"', '{"name":1,"password":[]}']) {
        const status = await refuses(path, 'POST', body, { 'Content-Type': 'application/json' });
        assert.ok(status >= 400, `${path} ${body}`);
      }
    }
  });
});

// What memory the program has had at most, in bytes, as Linux counts it.
const peakOf = (pid) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

test('a chunked body of a gigabyte is told 413, with flat memory', { skip: !existsSync('/proc/self/status') && 'left out: no /proc here' }, async () => {
  const { hostname, port } = new URL(w.base);
  const before = peakOf(w.server.child.pid);
  const piece = Buffer.alloc(4 * 1024 * 1024, 0x20);
  const said = await new Promise((resolve, reject) => {
    const asked = request({ hostname, port, method: 'POST', path: '/session', headers: { 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' } }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    asked.on('error', reject);
    let left = 256;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!asked.write(piece)) return void asked.once('drain', more);
      }
      asked.end();
    };
    more();
  });
  assert.equal(said, 413);
  assert.ok(peakOf(w.server.child.pid) - before < 32 * 1024 * 1024, 'memory');
});

test('garbage on the wire', async () => {
  const { hostname, port } = new URL(w.base);
  const heads = ['GET /fhir/Patient HTTP/1.1\r\nHost: x\r\n', 'POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', 'POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n', ''];
  await Promise.all(Array.from({ length: 200 }, () => new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(Buffer.concat([Buffer.from(pick(heads)), Buffer.from(Array.from({ length: chance(200) }, () => chance(256))), Buffer.from('\r\n\r\n')]));
      setTimeout(() => socket.destroy(), 100);
    });
    socket.on('error', () => {});
    socket.on('close', resolve);
    socket.resume();
  })));
  assert.equal((await d.request('GET', '/health')).status, 200);
});

// The named cases, each with what exactly is answered. A full disk: disk-full.test.mjs; a gigabyte: load.test.mjs; images:
// image-attacks.test.mjs and lung_test.
describe('by name', () => {
  const FHIR = { 'Content-Type': 'application/fhir+json' };
  const post = (body, type = 'Patient') => d.request('POST', `/fhir/${type}`, body, FHIR);
  const told = (answer) => JSON.stringify(answer.json?.issue ?? answer.text);
  const countOf = async (text) => (await d.search('Patient', { 'name:exact': text })).length;

  test('JSON that is cut, nested without end, of wrong types, with unknown elements', async () => {
    for (const [body, pattern] of [
      ['{"resourceType":"Patient","name":[{"text":"坏"}', /./],
      ['{"resourceType":"Patient","extension":' + '[{"url":"u","extension":'.repeat(500) + '[]' + '}]'.repeat(500) + '}', /deep|层|嵌套/i],
      ['['.repeat(100000), /./],
      ['{"resourceType":"Patient","active":"yes","name":[{"text":"坏"}]}', /Patient\.active/],
      ['{"resourceType":"Patient","birthDate":19800101,"name":[{"text":"坏"}]}', /Patient\.birthDate/],
      ['{"resourceType":"Patient","name":{"text":"坏"}}', /Patient\.name/],
      ['{"resourceType":"Patient","nickname":"x","name":[{"text":"坏"}]}', /nickname/],
      ['{"resourceType":"Patient","gender":"male","gender":"female","name":[{"text":"坏"}]}', /gender|twice|重复/],
      ['{"resourceType":"Observation"}', /./],
    ]) {
      const answer = await post(body);
      assert.ok([400, 413, 422].includes(answer.status), `${answer.status} ${body.slice(0, 80)}`);
      assert.match(told(answer), pattern, body.slice(0, 80));
    }
    assert.equal(await countOf('坏'), 0, 'nothing of them is stored');
  });

  test('bytes that are no UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"resourceType":"Patient","name":[{"text":"'), Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]), Buffer.from('"}]}')]);
    const answer = await post(body);
    assert.equal(answer.status, 400);
    assert.match(told(answer), /UTF-8/i);
  });

  test('a decimal of 30 digits comes back with all of them; one that no decimal is does not go in', async () => {
    const decimal = '0.123456789012345678901234567890';
    const body = (value) => `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/${w.patient.id}"},"valueQuantity":{"value":${value}}}`;
    const made = await post(body(decimal), 'Observation');
    assert.equal(made.status, 201, made.text);
    const read = await d.request('GET', `/fhir/Observation/${made.json.id}`);
    assert.ok(read.text.includes(`"value":${decimal}`), read.text);
    for (const value of ['1.', '.5', '+1', '01', '1e', 'NaN', 'Infinity', '0x10', '"1"']) assert.equal((await post(body(value), 'Observation')).status, 400, value);
  });

  test('an id with a slash, a dot path, too long', async () => {
    for (const id of ['a%2Fb', '..%2F..%2Fetc', 'a b', 'x'.repeat(65), '%E5%B1%B1']) {
      const answer = await d.request('PUT', `/fhir/Patient/${id}`, { resourceType: 'Patient', id: decodeURIComponent(id) });
      assert.ok([400, 404, 405].includes(answer.status), `${id}: ${answer.status}`);
    }
    assert.equal((await d.request('PUT', '/fhir/Patient/abc', { resourceType: 'Patient', id: 'def' })).status, 400);
  });

  test('If-Match of another version changes nothing', async () => {
    const made = await d.create({ resourceType: 'Patient', name: [{ text: '前' }] });
    const answer = await d.request('PUT', `/fhir/Patient/${made.id}`, { ...made, name: [{ text: '后' }] }, { 'If-Match': 'W/"7"' });
    assert.equal(answer.status, 412, answer.text);
    assert.deepEqual(await d.read(`Patient/${made.id}`), made);
  });

  test('a transaction with one bad entry stores nothing', async () => {
    const name = `事务${Date.now()}`;
    const fine = () => ({ resource: { resourceType: 'Patient', name: [{ text: name }] }, request: { method: 'POST', url: 'Patient' } });
    for (const bad of [{ resource: { resourceType: 'Patient', gender: 'x' }, request: { method: 'POST', url: 'Patient' } },
      { request: { method: 'DELETE', url: 'Nothing/1' } }, { resource: { resourceType: 'Patient', id: 'zz' }, request: { method: 'PUT', url: 'Patient/zz', ifMatch: 'W/"9"' } }]) {
      const answer = await d.request('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry: [fine(), bad, fine()] });
      assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
      assert.ok(answer.json.issue.length > 0, answer.text);
      assert.equal(await countOf(name), 0, answer.text);
    }
  });

  test('an unknown search parameter is named', async () => {
    const answer = await d.request('GET', '/fhir/Patient?shoe-size=44');
    assert.equal(answer.status, 400);
    assert.match(told(answer), /shoe-size/);
  });

  test("another hospital's patient, and a signature of somebody who was not invited", async () => {
    const { draftConsult, PASSWORD } = await import('../../scenarios/world.mjs');
    assert.equal((await w.expert.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 404);
    assert.equal((await w.expert.request('GET', `/fhir/Observation?patient=${w.patient.id}`)).json.entry ?? 0, 0);
    const consult = await draftConsult(d, { patient: w.patient.id, invited: w.coordinator.organization });
    await d.take(consult.task, 'submit');
    await w.coordinator.take(consult.task, 'allocate');
    await w.coordinator.take(consult.task, 'offer', { lead: { valueReference: { reference: w.lead.post } } });
    for (const step of ['accept', 'sign-opinion', 'sign']) {
      const answer = await w.expert.takeAnswer(consult.task, step, { password: { valueString: PASSWORD } });
      assert.ok([403, 404, 409, 422].includes(answer.status), `${step}: ${answer.status}`);
    }
    assert.equal((await w.lead.takeAnswer(consult.task, 'accept')).status, 200);
  });

  test('a session that has expired', async () => {
    const { restart } = await import('./play.mjs');
    const { cookie } = d;
    await restart(w, { aheadMinutes: 13 * 60 });
    d.base = w.base;
    const answer = await d.request('GET', `/fhir/Patient/${w.patient.id}`);
    assert.equal(answer.status, 401, answer.text);
    assert.match(told(answer), /登录/);
    d.cookie = cookie;
    assert.equal((await d.request('POST', '/fhir/Patient', { resourceType: 'Patient' })).status, 401);
  });
});
