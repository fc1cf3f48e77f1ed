// Writing: patches, conditions in place of ids, versions, preferences and formats; races that nobody loses.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d; // a county doctor
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const JSON_PATCH = { 'Content-Type': 'application/json-patch+json' };
const patient = (more = {}) => ({ resourceType: 'Patient', name: [{ family: '测试' }], gender: 'male', ...more });
const known = (value, more) => patient({ identifier: [{ system: 'urn:test:write', value }], ...more });
const where = (value) => `/fhir/Patient?identifier=urn:test:write%7C${value}`;
const isOutcome = (answer, status, code) => {
  assert.equal(answer.status, status, answer.text.slice(0, 300));
  assert.equal(answer.json.resourceType, 'OperationOutcome');
  if (code) assert.equal(answer.json.issue[0].code, code);
};
const operation = (type, path, more = []) => ({ name: 'operation',
  part: [{ name: 'type', valueCode: type }, { name: 'path', valueString: path }, ...more] });
const parameters = (...operations) => ({ resourceType: 'Parameters', parameter: operations });

describe('patch', () => {
  test('JSON Patch changes what it names and makes a version', async () => {
    const made = await d.create(patient({ extension: [{ url: 'urn:x', valueDecimal: 1.5 }] }));
    const path = `/fhir/Patient/${made.id}`;
    const patched = await d.request('PATCH', path, JSON.stringify([{ op: 'test', path: '/gender', value: 'male' },
      { op: 'replace', path: '/gender', value: 'female' }, { op: 'add', path: '/birthDate', value: '1980-01-02' }]), JSON_PATCH);
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual([patched.json.gender, patched.json.birthDate, patched.json.meta.versionId], ['female', '1980-01-02', '2']);
    assert.equal(patched.headers.get('etag'), 'W/"2"');
    assert.equal((await d.must('GET', path)).gender, 'female');
    assert.equal((await d.search('Patient', { _id: made.id, gender: 'female' })).length, 1);
    const history = await d.must('GET', `${path}/_history`);
    assert.deepEqual(history.entry.map((e) => e.request.method), ['PUT', 'POST']);
  });

  test('a patch that does not fit changes nothing', async () => {
    const made = await d.create(patient());
    const path = `/fhir/Patient/${made.id}`;
    const patch = (operations, headers = {}) => d.request('PATCH', path, JSON.stringify(operations), { ...JSON_PATCH, ...headers });
    isOutcome(await patch([{ op: 'test', path: '/gender', value: 'female' }]), 422);
    isOutcome(await patch([{ op: 'remove', path: '/nothing' }]), 422);
    isOutcome(await patch([{ op: 'jump', path: '/gender' }]), 400);
    isOutcome(await patch({ op: 'remove', path: '/gender' }), 400);
    isOutcome(await patch([{ op: 'add', path: '/nonsense', value: 1 }]), 400, 'structure');
    isOutcome(await patch([{ op: 'replace', path: '/id', value: 'other' }]), 400);
    isOutcome(await patch([{ op: 'replace', path: '/resourceType', value: 'Group' }]), 400);
    isOutcome(await patch([{ op: 'replace', path: '/gender', value: 'female' }], { 'If-Match': 'W/"7"' }), 412, 'conflict');
    isOutcome(await d.request('PATCH', path, '<diff/>', { 'Content-Type': 'application/xml-patch+xml' }), 415);
    isOutcome(await d.request('PATCH', path, patient()), 400);
    isOutcome(await d.request('PATCH', '/fhir/Patient/none', '[]', JSON_PATCH), 404);
    isOutcome(await w.lead.request('PATCH', path, '[]', JSON_PATCH), 403);
    assert.equal((await d.must('GET', path)).meta.versionId, '1');
    assert.equal((await patch([{ op: 'replace', path: '/gender', value: 'female' }], { 'If-Match': 'W/"1"' })).status, 200);
  });

  test('FHIRPath Patch', async () => {
    const made = await d.create(patient({ name: [{ family: '王' }, { family: '李' }] }));
    const path = `/fhir/Patient/${made.id}`;
    const patched = await d.request('PATCH', path, parameters(
      operation('replace', 'Patient.gender', [{ name: 'value', valueCode: 'female' }]),
      operation('add', 'Patient', [{ name: 'name', valueString: 'birthDate' }, { name: 'value', valueDate: '1970-05-06' }]),
      operation('delete', "Patient.name.where(family = '李')")));
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual([patched.json.gender, patched.json.birthDate, patched.json.name.length], ['female', '1970-05-06', 1]);
    isOutcome(await d.request('PATCH', path, parameters(operation('replace', 'Patient.nothing.where(', [{ name: 'value', valueCode: 'x' }]))), 400);
  });

  test('who sees a patient masked learns nothing by a patch', async () => {
    const task = await w.commander.request('GET', '/fhir/Task?_count=1');
    assert.equal(task.status, 200);
    isOutcome(await w.commander.request('PATCH', `/fhir/Patient/${w.patient.id}`, '[{"op":"test","path":"/gender","value":"male"}]', JSON_PATCH), 403);
  });

  test('patches that race are all done, one after the other', async () => {
    const made = await d.create(patient({ name: [{ family: '赛', given: ['甲'] }] }));
    const answers = await Promise.all([...'乙丙丁戊'].map((value) => d.request('PATCH', `/fhir/Patient/${made.id}`,
      JSON.stringify([{ op: 'add', path: '/name/0/given/-', value }]), JSON_PATCH)));
    assert.deepEqual(answers.map((a) => a.status), [200, 200, 200, 200]);
    const now = await d.must('GET', `/fhir/Patient/${made.id}`);
    assert.equal(now.name[0].given.length, 5);
    assert.equal(now.meta.versionId, '5');
  });
});

describe('conditions', () => {
  test('conditional update: none makes, one changes, several and another id are refused', async () => {
    const first = await d.request('PUT', where('u1'), known('u1'));
    assert.equal(first.status, 201, first.text);
    assert.match(first.headers.get('location'), new RegExp(`/Patient/${first.json.id}/_history/1$`));
    const second = await d.request('PUT', where('u1'), known('u1', { gender: 'female' }));
    assert.deepEqual([second.status, second.json.id, second.json.meta.versionId], [200, first.json.id, '2']);
    isOutcome(await d.request('PUT', where('u1'), known('u1', { id: 'another' })), 400);
    isOutcome(await d.request('PUT', where('u1'), known('u1'), { 'If-Match': 'W/"1"' }), 412);
    await d.create(known('u1'));
    isOutcome(await d.request('PUT', where('u1'), known('u1')), 412, 'conflict');
    const own = await d.request('PUT', where('u2'), known('u2', { id: 'own-id-u2' }));
    assert.deepEqual([own.status, own.json.id], [201, 'own-id-u2']);
    isOutcome(await d.request('PUT', '/fhir/Patient', known('u3')), 400);
    isOutcome(await d.request('PUT', '/fhir/Patient?nonsense=1', known('u3')), 400);
    isOutcome(await d.request('PUT', '/fhir/Patient?_count=1', known('u3')), 412);
  });

  test('conditional updates that race make one', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => d.request('PUT', where('race'), known('race'))));
    assert.deepEqual(answers.map((a) => a.status).sort(), [200, 200, 200, 201]);
    assert.equal(new Set(answers.map((a) => a.json.id)).size, 1);
    const created = await Promise.all([1, 2, 3, 4].map(() => d.request('POST', '/fhir/Patient', known('race2'), { 'If-None-Exist': 'identifier=urn:test:write|race2' })));
    assert.deepEqual(created.map((a) => a.status).sort(), [200, 200, 200, 201]);
    const made = await d.create(patient());
    const plain = await Promise.all([1, 2, 3, 4].map(() => d.request('PUT', `/fhir/Patient/${made.id}`, made)));
    assert.deepEqual(plain.map((a) => a.status), [200, 200, 200, 200]);
  });

  test('conditional patch and delete', async () => {
    await d.create(known('p1'));
    const patched = await d.request('PATCH', where('p1'), '[{"op":"replace","path":"/gender","value":"other"}]', JSON_PATCH);
    assert.deepEqual([patched.status, patched.json.gender], [200, 'other']);
    isOutcome(await d.request('PATCH', where('absent'), '[]', JSON_PATCH), 404);
    const admin = w.admins.county;
    const place = { resourceType: 'Location', name: '门诊', identifier: [{ system: 'urn:test:write', value: 'l1' }],
      managingOrganization: { reference: admin.organization } };
    const made = await admin.create(place);
    const path = '/fhir/Location?identifier=urn:test:write%7Cl1';
    assert.equal((await admin.request('DELETE', '/fhir/Location?identifier=urn:test:write%7Cnone')).status, 204);
    const two = await admin.create(place);
    isOutcome(await admin.request('DELETE', path), 412);
    assert.equal((await admin.request('DELETE', `/fhir/Location/${two.id}`)).status, 204);
    assert.equal((await admin.request('DELETE', path)).status, 204);
    isOutcome(await admin.request('GET', `/fhir/Location/${made.id}`), 410, 'deleted');
    isOutcome(await d.request('DELETE', where('p1')), 403);
  });

  test('a condition finds only what may be seen', async () => {
    const admin = w.admins.helper;
    const organization = { reference: w.admins.county.organization };
    const place = { resourceType: 'Location', name: '病房', managingOrganization: organization, identifier: [{ system: 'urn:test:write', value: 'foreign' }] };
    await w.admins.county.create(place);
    isOutcome(await admin.request('PUT', '/fhir/Location?identifier=urn:test:write%7Cforeign', place), 403);
    isOutcome(await admin.request('DELETE', '/fhir/Location?identifier=urn:test:write%7Cforeign'), 403);
    isOutcome(await w.commander.request('PUT', '/fhir/Patient?name=x', patient()), 403);
  });

  test('update-as-create, and not over what is there', async () => {
    const made = await d.request('PUT', '/fhir/Patient/chosen-by-client', patient({ id: 'chosen-by-client' }), { 'If-None-Match': '*' });
    assert.equal(made.status, 201);
    isOutcome(await d.request('PUT', '/fhir/Patient/chosen-by-client', made.json, { 'If-None-Match': '*' }), 412);
    assert.equal((await d.request('PUT', '/fhir/Patient/chosen-by-client', made.json)).status, 200);
  });
});

describe('reading again', () => {
  test('If-None-Match, If-Modified-Since, HEAD', async () => {
    const made = await d.create(patient());
    const path = `/fhir/Patient/${made.id}`;
    const read = await d.request('GET', path);
    const modified = read.headers.get('last-modified');
    const since = (date, more = {}) => d.request('GET', path, undefined, { 'If-Modified-Since': date, ...more });
    assert.equal((await since(modified)).status, 304);
    assert.equal((await since('Wed, 01 Jan 2020 00:00:00 GMT')).status, 200);
    assert.equal((await since('yesterday')).status, 200);
    assert.equal((await since(modified, { 'If-None-Match': 'W/"9"' })).status, 200);
    const head = await d.request('HEAD', path);
    assert.deepEqual([head.status, head.text, head.headers.get('etag')], [200, '', 'W/"1"']);
    assert.equal((await d.request('HEAD', '/fhir/Patient/none')).status, 404);
    assert.equal((await d.request('HEAD', '/fhir/Patient?_count=1')).status, 200);
  });

  test('only R4 and JSON are spoken', async () => {
    const ask = (accept) => d.request('GET', '/fhir/Patient?_count=1', undefined, { Accept: accept });
    assert.equal((await ask('application/fhir+json; fhirVersion=4.0; charset=utf-8')).status, 200);
    isOutcome(await ask('application/fhir+json; fhirVersion=5.0'), 406);
    isOutcome(await ask('application/fhir+json;q=0, application/fhir+xml'), 406);
    isOutcome(await d.request('POST', '/fhir/Patient', JSON.stringify(patient()), { 'Content-Type': 'application/fhir+json; fhirVersion=5.0' }), 415);
    const utf8 = await d.request('POST', '/fhir/Patient', JSON.stringify(patient()), { 'Content-Type': 'application/fhir+json;charset=UTF-8' });
    assert.equal(utf8.status, 201);
    assert.match((await ask('application/fhir+json')).headers.get('content-type'), /charset=utf-8/i);
    const wrong = await d.request('POST', '/fhir/Patient', patient({ gender: 'x' }), { 'Accept-Language': 'en' });
    assert.match(issuesOf(wrong)[0], /required value set/);
  });
});
