// Batch and transaction as R4 3.1.0.11 writes them: every verb, the order, conditions, references, answers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d;
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const uuid = (n) => `urn:uuid:0191f3d2-0000-7000-8000-${String(n).padStart(12, '0')}`;
const patient = (value, more = {}) => ({ resourceType: 'Patient', name: [{ family: '包裹' }], gender: 'male', identifier: [{ system: 'urn:test:bundle', value }], ...more });
const condition = (reference, more = {}) => ({ resourceType: 'Condition', subject: { reference }, code: { text: 'x' }, ...more });
const entry = (method, url, resource, more = {}) => ({ ...(more.fullUrl && { fullUrl: more.fullUrl }), ...(resource && { resource }),
  request: { method, url, ...more.request } });
const bundle = (type, ...entries) => ({ resourceType: 'Bundle', type, entry: entries });
const send = (content, headers) => d.request('POST', '/fhir', content, headers);
const statuses = (answer) => answer.json.entry.map((e) => e.response.status.slice(0, 3));
const where = (value) => `Patient?identifier=urn:test:bundle|${value}`;
const count = async (value) => (await d.search('Patient', { identifier: `urn:test:bundle|${value}` })).length;
const idOf = (answer, i) => answer.json.entry[i].response.location.split('/')[1];
const patch = (operations) => ({ resourceType: 'Binary', contentType: 'application/json-patch+json', data: Buffer.from(JSON.stringify(operations)).toString('base64') });

describe('transaction', () => {
  test('every verb, answered in the order of the request', async () => {
    const kept = await d.create(patient('t1'));
    const changed = await d.create(patient('t2'));
    const request = await d.create({ resourceType: 'Task', status: 'draft', intent: 'order', requester: { reference: d.post }, for: { reference: `Patient/${kept.id}` } });
    const answer = await send(bundle('transaction',
      entry('GET', `Patient/${changed.id}`),
      entry('HEAD', `Patient/${kept.id}`),
      entry('PATCH', `Patient/${changed.id}`, patch([{ op: 'replace', path: '/gender', value: 'other' }])),
      entry('PUT', `Patient/${kept.id}`, { ...kept, gender: 'female' }, { request: { ifMatch: 'W/"1"' } }),
      entry('POST', 'Patient', patient('t3'), { fullUrl: uuid(1) }),
      entry('POST', 'Condition', condition(uuid(1))),
      entry('GET', 'Patient?identifier=urn:test:bundle|t3'),
      entry('DELETE', `Task/${request.id}`),
      entry('GET', `Patient/${kept.id}`, undefined, { request: { ifNoneMatch: 'W/"2"' } })));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.type, 'transaction-response');
    assert.deepEqual(statuses(answer), ['200', '200', '200', '200', '201', '201', '200', '204', '304']);
    const [first, head, patched, , made, , search, , unchanged] = answer.json.entry;
    assert.equal(first.resource.gender, 'other'); // GET comes after the writes
    assert.equal(first.response.etag, 'W/"2"');
    assert.ok(head.resource === undefined && head.response.etag === 'W/"2"' && unchanged.resource === undefined);
    assert.match(patched.response.location, /^Patient\/[^/]+\/_history\/2$/);
    assert.ok(made.response.lastModified && made.response.etag === 'W/"1"');
    assert.equal(search.resource.entry.length, 1);
    assert.equal((await d.read(`Condition/${idOf(answer, 5)}`)).subject.reference, `Patient/${idOf(answer, 4)}`);
    assert.equal((await d.request('GET', `/fhir/Task/${request.id}`)).status, 410);
  });

  test('conditions in place of ids, and references to what they find', async () => {
    const known = await d.create(patient('c1'));
    const answer = await send(bundle('transaction',
      entry('POST', 'Patient', patient('c1'), { fullUrl: uuid(2), request: { ifNoneExist: 'identifier=urn:test:bundle|c1' } }),
      entry('POST', 'Patient', patient('c2'), { fullUrl: uuid(3), request: { ifNoneExist: 'identifier=urn:test:bundle|c2' } }),
      entry('POST', 'Patient', patient('c2'), { fullUrl: uuid(4), request: { ifNoneExist: 'identifier=urn:test:bundle|c2' } }),
      entry('PUT', where('c3'), patient('c3'), { fullUrl: uuid(5) }),
      entry('DELETE', 'Task?identifier=urn:test:bundle|none'),
      ...[2, 3, 4, 5].map((n) => entry('POST', 'Condition', condition(uuid(n)))),
      entry('POST', 'Condition', condition(where('c1'))),
      entry('POST', 'Condition', condition(where('c3')))));
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(statuses(answer), ['200', '201', '200', '201', '204', '201', '201', '201', '201', '201', '201']);
    const subjects = [];
    for (let i = 5; i < 11; i++) subjects.push((await d.read(`Condition/${idOf(answer, i)}`)).subject.reference.split('/')[1]);
    assert.deepEqual(subjects, [known.id, idOf(answer, 1), idOf(answer, 1), idOf(answer, 3), known.id, idOf(answer, 3)]);
    assert.equal(await count('c2'), 1);
    const again = await send(bundle('transaction', entry('PUT', where('c3'), patient('c3', { gender: 'female' })), entry('PATCH', where('c2'), patch([{ op: 'remove', path: '/gender' }]))));
    assert.deepEqual(statuses(again), ['200', '200']);
    assert.equal(idOf(again, 0), idOf(answer, 3));
  });

  test('is nothing when one entry fails, which is named', async () => {
    const fails = async (status, pattern, ...entries) => {
      const answer = await d.request('POST', '/fhir', bundle('transaction', entry('POST', 'Patient', patient('f')), ...entries), { 'Accept-Language': 'en' });
      assert.equal(answer.status, status, answer.text);
      if (pattern) assert.match(`${answer.json.issue[0].expression?.[0]} ${issuesOf(answer)[0]}`, pattern);
    };
    await d.create(patient('twice'));
    await d.create(patient('twice'));
    await fails(412, /Bundle\.entry\[1\]/, entry('PUT', where('twice'), patient('twice')));
    await fails(412, /Bundle\.entry\[1\]/, entry('POST', 'Condition', condition(where('nobody'))));
    await fails(404, /Bundle\.entry\[1\]/, entry('PATCH', where('nobody'), patch([])));
    await fails(412, /^Bundle\.entry\[1\] /, entry('PUT', `Patient/${w.patient.id}`, w.patient, { request: { ifMatch: 'W/"99"' } }));
    await fails(400, /Bundle\.entry\[1\]/, entry('JUMP', 'Patient'));
    await fails(400, /Bundle\.entry\[1\]/, entry('PATCH', `Patient/${w.patient.id}`, { resourceType: 'Binary', contentType: 'text/plain', data: '????' }));
    await fails(400, /Bundle\.entry\[1\]/, entry('POST', 'Patient'));
    await fails(400, /Bundle\.entry\[2\].*same resource/, ...[1, 2].map(() => entry('PUT', 'Patient/same', patient('f', { id: 'same' }))));
    await fails(403, /^Bundle\.entry\[1\] /, entry('DELETE', `Patient/${w.patient.id}`));
    await fails(400, /^Bundle\.entry\[1\]\.resource\.gender /, entry('POST', 'Patient', { ...patient('f'), gender: 'x' }));
    // By their place in the bundle, not in the order in which entries are done.
    await fails(400, /^Bundle\.entry\[2\]\.resource\.name\[0\]\.(given|family)/, entry('POST', 'Patient', patient('g')), entry('PUT', 'Patient/wrong', { ...patient('f'), id: 'wrong', name: [{ given: 'one' }] }), entry('POST', 'Patient', patient('h')));
    await fails(404, /^Bundle\.entry\[1\] /, entry('PUT', 'Patient/01890000-0000-7000-8000-000000000000', { ...patient('f'), id: '01890000-0000-7000-8000-000000000000' }));
    assert.equal(await count('f'), 0);
  });

  test('addresses of entries are found also by a relative reference and in URIs', async () => {
    const answer = await send(bundle('transaction',
      entry('POST', 'Patient', patient('r1'), { fullUrl: 'http://example.org/fhir/Patient/old-id' }),
      entry('POST', 'Condition', condition('Patient/old-id', { extension: [{ url: 'urn:x', valueUri: uuid(9) }] }), { fullUrl: uuid(9) })));
    const made = await d.read(`Condition/${idOf(answer, 1)}`);
    assert.equal(made.subject.reference, `Patient/${idOf(answer, 0)}`);
    assert.equal(made.extension[0].valueUri, `Condition/${idOf(answer, 1)}`);
  });

  test('transactions that race for the same condition make one', async () => {
    const one = () => send(bundle('transaction', entry('POST', 'Patient', patient('race'), { fullUrl: uuid(1), request: { ifNoneExist: 'identifier=urn:test:bundle|race' } }),
      entry('POST', 'Condition', condition(uuid(1)))));
    const answers = await Promise.all([one(), one(), one()]);
    assert.deepEqual(answers.map((a) => a.status), [200, 200, 200]);
    assert.equal(await count('race'), 1);
    assert.equal(new Set(answers.map((a) => idOf(a, 0))).size, 1);
  });

  test('return=representation gives what was written', async () => {
    const answer = await send(bundle('transaction', entry('POST', 'Patient', patient('rep'))), { Prefer: 'return=representation' });
    assert.equal(answer.json.entry[0].resource.identifier[0].value, 'rep');
    assert.equal(answer.json.entry[0].resource.meta.versionId, '1');
    const minimal = await send(bundle('transaction', entry('POST', 'Patient', patient('rep2'))));
    assert.equal(minimal.json.entry[0].resource, undefined);
  });
});

describe('batch', () => {
  test('every entry by itself', async () => {
    const kept = await d.create(patient('b1'));
    const answer = await send(bundle('batch',
      entry('POST', 'Patient', patient('b2')),
      entry('POST', 'Patient', { ...patient('b2'), gender: 'x' }),
      entry('PUT', where('b1'), patient('b1', { gender: 'female' })),
      entry('PATCH', `Patient/${kept.id}`, { resourceType: 'Parameters', parameter: [{ name: 'operation',
        part: [{ name: 'type', valueCode: 'delete' }, { name: 'path', valueString: 'Patient.gender' }] }] }),
      entry('JUMP', 'Patient'),
      entry('DELETE', `Patient/${kept.id}`),
      entry('POST', 'Patient', patient('b2'), { request: { ifNoneExist: 'identifier=urn:test:bundle|b2' } }),
      entry('POST', 'Condition', condition(where('nobody'))),
      entry('GET', 'Patient/none'),
      entry('GET', `Patient/${kept.id}/_history/1`),
      entry('GET', 'Nothing/1')));
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(statuses(answer), ['201', '400', '200', '200', '400', '403', '200', '412', '404', '200', '404']);
    assert.equal(answer.json.entry[1].response.outcome.resourceType, 'OperationOutcome');
    assert.equal(answer.json.entry[8].response.outcome.issue[0].code, 'not-found');
    assert.equal(answer.json.entry[9].resource.meta.versionId, '1');
    assert.equal((await d.read(`Patient/${kept.id}`)).gender, undefined);
  });

  test('histories, compartments, searches over types and the statement are read as well', async () => {
    const one = await d.create(patient('reads'));
    await d.create(condition(`Patient/${one.id}`));
    const answer = await send(bundle('batch', entry('GET', `Patient/${one.id}/_history`), entry('GET', `Patient/${one.id}/Condition`), entry('GET', `?_type=Patient&_id=${one.id}`),
      entry('GET', 'metadata'), entry('GET', 'Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&_count=1'), entry('GET', `Nothing/${one.id}/Patient`)));
    assert.deepEqual(statuses(answer), ['200', '200', '200', '200', '200', '404'], answer.text.slice(0, 600));
    assert.deepEqual(answer.json.entry.slice(0, 4).map((e) => e.resource.type ?? e.resource.resourceType), ['history', 'searchset', 'searchset', 'CapabilityStatement']);
    assert.equal(answer.json.entry[1].resource.total, 1);
    assert.equal(answer.json.entry[2].resource.entry[0].resource.id, one.id);
  });

  test('an unseen record is not told apart from none', async () => {
    const answer = await w.lead.request('POST', '/fhir', bundle('batch', entry('GET', `Patient/${w.patient.id}`), entry('GET', 'Patient/none'),
      entry('PATCH', `Patient/${w.patient.id}`, patch([]))));
    assert.deepEqual(statuses(answer), ['404', '404', '403']);
  });
});

describe('operations in entries', () => {
  const parameters = (...parameter) => ({ resourceType: 'Parameters', parameter });

  test('of a batch, by GET and POST: each as if it had been asked by itself', async () => {
    const made = await d.create(patient('o1'));
    await d.create(condition(`Patient/${made.id}`));
    const answer = await send(bundle('batch',
      entry('GET', `Patient/${made.id}/$everything?_count=50`),
      entry('POST', 'Patient/$validate', { resourceType: 'Patient', contact: [{ gender: 'male' }] }),
      entry('POST', `Patient/${made.id}/$meta-add`, parameters({ name: 'meta', valueMeta: { tag: [{ system: 'urn:test', code: 'batch' }] } })),
      entry('GET', `Patient/${made.id}/$meta`),
      entry('GET', 'ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender'),
      entry('HEAD', 'ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender'),
      entry('GET', 'Patient/none/$everything'), entry('GET', `Patient/${made.id}/$nonsense`), entry('POST', 'ValueSet/$expand', parameters({ name: 'url', valueUri: 'urn:none' })),
      entry('GET', `Patient/${made.id}`)));
    assert.equal(answer.status, 200, answer.text.slice(0, 400));
    assert.deepEqual(statuses(answer), ['200', '200', '200', '200', '200', '200', '404', '404', '404', '200']);
    const [everything, outcome, , meta, set, head, none] = answer.json.entry;
    assert.deepEqual(everything.resource.entry.map((e) => e.resource.resourceType).sort(), ['Condition', 'Patient']);
    assert.equal(outcome.resource.issue[0].code, 'invariant');
    assert.equal(meta.resource.parameter[0].valueMeta.tag[0].code, 'batch', 'writes come before reads');
    assert.equal(set.resource.expansion.contains.length, 4);
    assert.equal(head.resource, undefined);
    assert.equal(none.response.outcome.resourceType, 'OperationOutcome');
    assert.equal(answer.json.entry[9].resource.meta.versionId, '2');
  });

  test('of a transaction by GET only; rights, streams and bundles in bundles stay outside', async () => {
    const made = await d.create(patient('o2'));
    const read = await send(bundle('transaction', entry('PUT', `Patient/${made.id}`, { ...made, gender: 'female' }), entry('GET', `Patient/${made.id}/$everything`)));
    assert.deepEqual(statuses(read), ['200', '200'], read.text);
    assert.equal(read.json.entry[1].resource.entry[0].resource.gender, 'female');
    const posted = await send(bundle('transaction', entry('POST', 'Patient', patient('o3')), entry('POST', `Patient/${made.id}/$meta-add`, parameters({ name: 'meta', valueMeta: { tag: [{ code: 'x' }] } }))));
    assert.equal(posted.status, 400, posted.text);
    assert.equal(await count('o3'), 0);
    const asked = bundle('batch', entry('GET', `Patient/${made.id}/$everything`), entry('POST', 'Patient/$validate', { resourceType: 'Patient' }), entry('POST', '$import', parameters()), entry('GET', '$export'), entry('GET', '../session?$'));
    const other = await w.expert.request('POST', '/fhir', asked);
    assert.equal(other.status, 200, other.text);
    for (const [i, status] of other.json.entry.map((e) => Number(e.response.status.slice(0, 3))).entries()) assert.ok(status >= 400 && status < 500, `${i}: ${status}`);
    assert.ok(!other.text.includes('包裹'), 'nothing of a patient that is not seen');
  });
});
