// Referential integrity as a setting: what a record refers to exists, and what others refer to stays.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d;
let admin;
before(async () => {
  w = await startWorld({ flags: ['--check-references'] });
  d = w.doctor;
  admin = w.admins.county;
});
after(async () => { await w?.stop(); });

const place = (more = {}) => ({ resourceType: 'Location', name: '病区', managingOrganization: { reference: admin.organization }, ...more });
const within = (id) => place({ partOf: { reference: `Location/${id}` } });

describe('serve --check-references', () => {
  test('a reference to what does not exist is refused with its path', async () => {
    const answer = await admin.request('POST', '/fhir/Location', within('none'), { 'Accept-Language': 'en' });
    assert.equal(answer.status, 422, answer.text);
    assert.deepEqual([answer.json.issue[0].code, answer.json.issue[0].expression[0]], ['not-found', 'Location.partOf']);
    assert.match(issuesOf(answer)[0], /Location that does not exist/);
    const statement = await admin.must('GET', '/fhir/metadata');
    assert.deepEqual(statement.rest[0].resource[0].referencePolicy, ['literal', 'logical', 'enforced']);
    const whole = await admin.create(place());
    assert.equal((await admin.request('POST', '/fhir/Location', within(whole.id))).status, 201);
    assert.equal((await admin.request('POST', '/fhir/Location', within(`${whole.id}/_history/1`))).status, 201);
    const itself = place({ id: 'itself', partOf: { reference: 'Location/itself' } });
    assert.equal((await admin.request('PUT', '/fhir/Location/itself', itself)).status, 201);
    const elsewhere = place({ extension: [{ url: 'urn:x', valueReference: { reference: 'https://example.org/fhir/Location/1' } }] });
    assert.equal((await admin.request('POST', '/fhir/Location', elsewhere)).status, 201);
  });

  test('what may not be seen is not told apart from what is not there', async () => {
    const order = { resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: `Patient/${w.patient.id}` } }] };
    assert.equal((await d.request('POST', '/fhir/List', order)).status, 201);
    const foreign = await w.admins.helper.request('POST', '/fhir/Location', { ...place(), managingOrganization: { reference: w.admins.helper.organization },
      extension: [{ url: 'urn:x', valueReference: { reference: `Patient/${w.patient.id}` } }] });
    assert.equal(foreign.status, 422);
    assert.match(JSON.stringify(foreign.json), /Patient/);
    assert.ok(!foreign.text.includes(w.patient.id));
  });

  test('a delete is refused, naming who points here as far as it may be seen', async () => {
    const ward = await admin.create(place());
    const room = await admin.create(within(ward.id));
    const encounter = { resourceType: 'Encounter', status: 'planned', class: { code: 'IMP' }, subject: { reference: `Patient/${w.patient.id}` }, location: [{ location: { reference: `Location/${ward.id}` } }] };
    assert.equal((await d.request('POST', '/fhir/Encounter', encounter)).status, 201);
    const answer = await admin.request('DELETE', `/fhir/Location/${ward.id}`, undefined, { 'Accept-Language': 'en' });
    assert.equal(answer.status, 409, answer.text);
    assert.equal(answer.json.issue[0].code, 'conflict');
    assert.match(issuesOf(answer)[0], new RegExp(`Location/${room.id} \\(partof\\); 1 that you may not see`));
    assert.ok(!answer.text.includes('Encounter'));
    assert.equal((await admin.request('DELETE', `/fhir/Location/${room.id}`)).status, 204);
    assert.equal((await admin.request('DELETE', `/fhir/Location/${ward.id}`)).status, 409);
    assert.equal((await admin.request('GET', `/fhir/Location/${ward.id}`)).status, 200);
  });

  test('in a transaction both may go, and one entry may point to another', async () => {
    const ward = await admin.create(place());
    const room = await admin.create(within(ward.id));
    const entry = (method, url, resource, fullUrl) => ({ fullUrl, resource, request: { method, url } });
    const send = (...list) => admin.request('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry: list });
    const uuid = 'urn:uuid:0191f3d2-0000-7000-8000-00000000000b';
    assert.equal((await send(entry('POST', 'Location', place(), uuid), entry('POST', 'Location', { ...place(), partOf: { reference: uuid } }))).status, 200);
    const alone = await admin.create(place());
    assert.equal((await send(entry('DELETE', `Location/${alone.id}`), entry('POST', 'Location', within(alone.id)))).status, 422);
    assert.equal((await send(entry('DELETE', `Location/${ward.id}`), entry('DELETE', `Location/${room.id}`))).status, 200);
  });

  test('a write and a delete that race leave no reference to nothing', async () => {
    for (let i = 0; i < 5; i++) {
      const ward = await admin.create(place());
      const [made, gone] = await Promise.all([admin.request('POST', '/fhir/Location', within(ward.id)), admin.request('DELETE', `/fhir/Location/${ward.id}`)]);
      assert.ok((made.status === 201) !== (gone.status === 204), `${made.status} ${gone.status}`);
    }
  });
});
