// No input gives a 5xx: every search parameter of every type with unfit values, damaged bodies, garbage on the wire. The order
// is by chance but always the same.
import assert from 'node:assert/strict';
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
