// Bulk data out and in: what is exported is what the post may read, whole and once; what is imported is told line by line;
// a kill in between costs nothing; nobody else sees the job.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { addSignedIn, createPatient, startServer } from '../../scenarios/world.mjs';
import { issuesOf, program, startWorld, waitFor } from './support.mjs';

let w;
let steward;
before(async () => {
  w = await startWorld();
  steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
});
after(async () => { await w?.stop(); });

const ASYNC = { Prefer: 'respond-async' };
const at = (answer) => new URL(answer.headers.get('content-location'), w.base).pathname;
const lines = (text) => text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));

async function exported(person, path, body) {
  const asked = await person.request(body ? 'POST' : 'GET', path, body, ASYNC);
  assert.equal(asked.status, 202, asked.text);
  const done = await waitFor(path, async () => {
    const answer = await person.request('GET', at(asked));
    assert.ok([200, 202].includes(answer.status), answer.text);
    return answer.status === 200 ? answer : undefined;
  }, 60);
  const files = {};
  for (const file of done.json.output) {
    const answer = await person.request('GET', new URL(file.url, w.base).pathname);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'application/fhir+ndjson');
    assert.equal(lines(answer.text).length, file.count);
    (files[file.type] ??= []).push(...lines(answer.text));
  }
  return { job: at(asked), manifest: done.json, files };
}

async function imported(person, text) {
  const asked = await person.request('POST', '/fhir/$import', text, { 'Content-Type': 'application/fhir+ndjson' });
  assert.equal(asked.status, 202, asked.text);
  const done = await waitFor('the import', async () => {
    const answer = await person.request('GET', at(asked));
    return answer.status === 200 ? answer.json : undefined;
  }, 60);
  return { job: at(asked), ...done };
}

describe('$export', () => {
  test('everything of the own hospital, as it is read, nothing of another', async () => {
    const observations = [];
    for (let i = 0; i < 12; i++) {
      observations.push(await w.doctor.create({ resourceType: 'Observation', status: 'final', code: { text: `体温 ${i}` },
        subject: { reference: `Patient/${w.patient.id}` }, valueQuantity: { value: 36.5, unit: '℃' } }));
    }
    const { manifest, files } = await exported(steward, '/fhir/$export');
    assert.equal(manifest.requiresAccessToken, true);
    assert.deepEqual(manifest.error, []);
    assert.match(manifest.request, /\/fhir\/\$export$/);
    assert.deepEqual(files.Patient, [await w.doctor.read(`Patient/${w.patient.id}`)]);
    assert.deepEqual(files.Observation.map((o) => o.id).sort(), observations.map((o) => o.id).sort());
    assert.ok(files.Organization.length >= 2, 'the directory is everybody\'s');
    assert.equal(files.AuditEvent, undefined);
  });

  test('_type, _since, _elements, _typeFilter; GET and POST say the same', async () => {
    const before = (await exported(steward, '/fhir/$export?_type=Patient')).manifest.transactionTime;
    const late = await createPatient(w.doctor, { id: 'LATE', national: '660243197001010017', name: '秦晚', gender: 'female', birthDate: '1970-01-01' });
    const since = await exported(steward, `/fhir/Patient/$export?_type=Patient&_since=${encodeURIComponent(before)}`);
    assert.deepEqual(since.files.Patient.map((p) => p.id), [late.id]);
    const some = await exported(steward, '/fhir/$export', { resourceType: 'Parameters', parameter: [{ name: '_type', valueString: 'Patient,Observation' },
      { name: '_elements', valueString: 'gender,status' }, { name: '_typeFilter', valueString: 'Patient?gender=female' }] });
    assert.deepEqual(Object.keys(some.files).sort(), ['Observation', 'Patient']);
    assert.equal(some.files.Patient.length, 1);
    assert.equal(some.files.Patient[0].gender, 'female');
    assert.equal(some.files.Patient[0].name, undefined);
    assert.equal(some.files.Patient[0].meta.tag[0].code, 'SUBSETTED');
  });

  test('several _typeFilter of a type: any of them; what is no condition is refused', async () => {
    const of = async (query) => ((await exported(steward, `/fhir/$export?_type=Patient,Observation&${query}`)).files.Patient ?? []).map((p) => p.gender).sort();
    assert.deepEqual(await of('_typeFilter=Patient?gender=female'), ['female']);
    assert.deepEqual(await of('_typeFilter=Patient?gender=female,Patient?gender=male'), ['female', 'male']);
    assert.deepEqual(await of('_typeFilter=Patient?gender=female&_typeFilter=Patient?gender=male'), ['female', 'male']);
    assert.deepEqual(await of(`_typeFilter=${encodeURIComponent('Patient?gender=female,male')}`), ['female', 'male'], 'a comma in a value');
    assert.deepEqual(await of(`_typeFilter=${encodeURIComponent('Patient?gender=female&birthdate=lt1960,Patient?name=王小东')}`), ['male']);
    assert.deepEqual(await of(`_typeFilter=${encodeURIComponent('Patient?gender=other,Observation?status=final')}`), []);
    for (const filter of ['Patient?_sort=name', 'Patient?_count=1', 'Patient?_include=Patient:organization', 'Patient?nonsense=1', 'Patient?gender=male,Patient?nonsense=1', 'Nothing?x=1', 'Patient?']) {
      const answer = await steward.request('GET', `/fhir/$export?_typeFilter=${encodeURIComponent(filter)}`, undefined, ASYNC);
      assert.equal(answer.status, 400, filter);
    }
  });

  test('a group\'s patients and theirs alone', async () => {
    const group = await steward.create({ resourceType: 'Group', type: 'person', actual: true, member: [{ entity: { reference: `Patient/${w.patient.id}` } }] });
    const { files } = await exported(steward, `/fhir/Group/${group.id}/$export?_type=Patient,Observation`);
    assert.deepEqual(files.Patient.map((p) => p.id), [w.patient.id]);
    assert.equal(files.Observation.length, 12);
  });

  test('what is wrong is told at once, not by the job', async () => {
    const ask = (query, headers = ASYNC) => steward.request('GET', `/fhir/$export${query}`, undefined, headers);
    assert.equal((await ask('', {})).status, 400, 'without Prefer: respond-async');
    assert.match(issuesOf(await ask('?_type=Nothing')).join(), /R4/);
    for (const query of ['?_since=yesterday', '?_typeFilter=Patient?nonsense=1', '?_typeFilter=Patient', '?nonsense=1', '?_outputFormat=csv']) {
      const status = (await ask(query)).status;
      assert.ok(status >= 400 && status < 500, `${query}: ${status}`);
    }
    assert.equal((await ask('?_type=Account')).status, 403);
    assert.equal((await steward.request('GET', '/fhir/Group/nobody/$export', undefined, ASYNC)).status, 404);
  });

  test('only who has the right asks; only who asked sees, takes away or ends it', async () => {
    for (const person of [w.doctor, w.lead, w.commander, w.admins.county]) {
      assert.equal((await person.request('GET', '/fhir/$export', undefined, ASYNC)).status, 403);
      assert.equal((await person.request('POST', '/fhir/$import', '', { 'Content-Type': 'application/fhir+ndjson' })).status, 403);
    }
    const { job, manifest } = await exported(steward, '/fhir/$export?_type=Patient');
    const file = new URL(manifest.output[0].url, w.base).pathname;
    for (const [method, path] of [['GET', job], ['GET', file], ['DELETE', job]]) {
      assert.equal((await w.doctor.request(method, path)).status, 404, path);
      assert.equal((await fetch(w.base + path, { method })).status, 401, path);
    }
    for (const name of ['state.json', 'input.ndjson', '..%2F..%2Fstore.db', 'Patient-1.ndjson.part', 'Patient-9.ndjson']) {
      assert.equal((await steward.request('GET', `${job}/${name}`)).status, 404, name);
    }
    assert.equal((await steward.request('DELETE', job)).status, 202);
    assert.equal((await steward.request('GET', job)).status, 404);
    assert.equal((await steward.request('GET', file)).status, 404);
  });
});

describe('$viewdefinition-export', () => {
  const view = (resource, columns, more = {}) => ({ resourceType: 'ViewDefinition', name: `of_${resource.toLowerCase()}`, status: 'active', resource, select: [{ column: columns }], ...more });
  const patients = view('Patient', [{ name: 'id', path: 'getResourceKey()' }, { name: 'gender', path: 'gender' }, { name: 'name', path: 'name.first().text' }]);
  const values = view('Observation', [{ name: 'id', path: 'getResourceKey()' }, { name: 'value', path: 'value.ofType(Quantity).value', type: 'decimal' }]);
  const asked = (views, more = []) => ({ resourceType: 'Parameters', parameter: [...views.map((v) => ({ name: 'view', part: [{ name: 'viewResource', resource: v }] })), ...more] });
  const outputs = (result) => result.parameter.filter((p) => p.name === 'output').map((o) => ({
    name: o.part.find((x) => x.name === 'name').valueString, files: o.part.filter((x) => x.name === 'location').map((x) => new URL(x.valueUri, w.base).pathname) }));
  const value = (result, name) => { const found = result.parameter.find((p) => p.name === name); return found?.valueCode ?? found?.valueString; };

  async function exportViews(person, body, path = '/fhir/$viewdefinition-export') {
    const kick = await person.request('POST', path, body, ASYNC);
    assert.equal(kick.status, 202, kick.text);
    assert.equal(value(kick.json, 'status'), 'accepted');
    const done = await waitFor('the rows', async () => {
      const answer = await person.request('GET', at(kick));
      assert.ok([200, 202].includes(answer.status), answer.text);
      return answer.status === 200 ? answer.json : undefined;
    }, 60);
    assert.equal(value(done, 'status'), 'completed');
    return { job: at(kick), done, outputs: outputs(done) };
  }

  test('rows of what the post may search, as NDJSON, JSON and CSV', async () => {
    const ids = (await steward.search('Patient', { _count: '100' })).map((p) => p.id).sort();
    const one = await exportViews(steward, asked([patients, values], [{ name: '_format', valueCode: 'ndjson' }, { name: 'clientTrackingId', valueString: 'nightly' }]));
    assert.deepEqual(one.outputs.map((o) => o.name), ['of_patient', 'of_observation']);
    assert.equal(value(one.done, 'clientTrackingId'), 'nightly');
    const file = await steward.request('GET', one.outputs[0].files[0]);
    assert.match(file.headers.get('content-type'), /^application\/x-ndjson/);
    const rows = lines(file.text);
    assert.deepEqual(rows.map((r) => r.id).sort(), ids);
    assert.deepEqual(Object.keys(rows[0]), ['id', 'gender', 'name']);
    assert.equal(lines((await steward.request('GET', one.outputs[1].files[0])).text).length, 12);
    const json = await exportViews(steward, asked([patients]), '/fhir/ViewDefinition/$viewdefinition-export');
    assert.deepEqual(JSON.parse((await steward.request('GET', json.outputs[0].files[0])).text), rows);
    const csv = await exportViews(steward, asked([patients], [{ name: '_format', valueCode: 'csv' }, { name: 'patient', valueReference: { reference: `Patient/${ids[0]}` } }]));
    const text = (await steward.request('GET', csv.outputs[0].files[0])).text.split('\r\n');
    assert.equal(text[0], 'id,gender,name');
    assert.deepEqual([text.length, text[1].split(',')[0]], [3, ids[0]]);
    // The same as $run gives, and nothing of another hospital.
    assert.deepEqual(JSON.parse((await steward.request('POST', '/fhir/ViewDefinition/$run', { resourceType: 'Parameters', parameter: [{ name: 'viewResource', resource: patients }] })).text)
      .sort((a, b) => (a.id < b.id ? -1 : 1)), [...rows].sort((a, b) => (a.id < b.id ? -1 : 1)));
    const other = await exportViews(w.lead, asked([patients], [{ name: '_format', valueCode: 'ndjson' }]));
    assert.equal((await w.lead.request('GET', other.outputs[0].files[0])).text, '');
    for (const path of [one.job, one.outputs[0].files[0]]) assert.equal((await w.doctor.request('GET', path)).status, 404);
    assert.equal((await steward.request('GET', `${one.job}/state.json`)).status, 404);
  });

  test('by reference to a view of the server, of patients and groups, since a time', async () => {
    const rows = async (made, at = 0) => (await Promise.all(made.outputs[at].files.map((f) => steward.request('GET', f)))).flatMap((f) => lines(f.text));
    const named = (name) => ({ name: 'view', part: [{ name: 'name', valueString: `my_${name}` }, { name: 'viewReference', valueReference: { reference: `ViewDefinition/${name}` } }] });
    const ndjson = { name: '_format', valueCode: 'ndjson' };
    const all = await exportViews(steward, { resourceType: 'Parameters', parameter: [named('patient'), ndjson] });
    assert.deepEqual(all.outputs.map((o) => o.name), ['my_patient']);
    const run = (await steward.request('GET', '/fhir/ViewDefinition/patient/$run?_format=json')).json;
    assert.deepEqual((await rows(all)).sort((a, b) => (a.id < b.id ? -1 : 1)), run.sort((a, b) => (a.id < b.id ? -1 : 1)));
    assert.ok(run.length >= 2);
    // More patients than one search of the job asks for, each once, also one that is named twice and by a group.
    const many = Array.from({ length: 230 }, (_, i) => `many-${i}`);
    await imported(steward, many.map((id) => `${JSON.stringify({ resourceType: 'Patient', id })}\n${JSON.stringify({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${id}` } })}`).join('\n'));
    const group = await steward.create({ resourceType: 'Group', type: 'person', actual: true, member: many.map((id) => ({ entity: { reference: `Patient/${id}` } })) });
    const whose = [{ name: 'group', valueReference: { reference: `Group/${group.id}` } }, { name: 'patient', valueReference: { reference: 'Patient/many-3' } }, { name: 'patient', valueReference: { reference: `Patient/${w.patient.id}` } }];
    const some = await exportViews(steward, asked([patients, values], [ndjson, ...whose]));
    assert.deepEqual((await rows(some)).map((r) => r.id).sort(), [...many, w.patient.id].sort());
    assert.equal((await rows(some, 1)).length, 230 + 12);
    const from = (await steward.read('Patient/many-229')).meta.lastUpdated;
    const late = await createPatient(w.doctor, { id: 'LATER', national: '660243197001010033', name: '秦更晚', gender: 'male', birthDate: '1970-01-01' });
    const since = await exportViews(steward, asked([patients], [ndjson, { name: '_since', valueInstant: from }]));
    assert.ok((await rows(since)).some((r) => r.id === late.id));
    assert.ok(!(await rows(since)).some((r) => r.id === w.patient.id));
    for (const [parameter, status] of [[[named('nothing')], 404], [[{ name: 'view', part: [...named('patient').part, { name: 'viewResource', resource: patients }] }], 400], [[{ name: 'view', part: [{ name: 'name', valueString: 'x' }] }], 400],
      [[named('patient'), { name: 'group', valueReference: { reference: 'Group/nobody' } }], 404], [[named('patient'), { name: 'patient', valueReference: { reference: 'Patient/1&_count=1' } }], 400],
      [[named('patient'), { name: 'source', valueString: 's3://x' }], 400]]) {
      const answer = await steward.request('POST', '/fhir/$viewdefinition-export', { resourceType: 'Parameters', parameter }, ASYNC);
      assert.equal(answer.status, status, answer.text);
    }
    const refused = await steward.request('GET', '/fhir/ViewDefinition/patient/$run?source=s3://x');
    assert.equal(refused.json.issue[0].details.coding[0].code, 'no-source');
  });

  test('what is wrong is told at once', async () => {
    const status = async (person, body, headers = ASYNC) => (await person.request('POST', '/fhir/$viewdefinition-export', body, headers)).status;
    assert.equal(await status(steward, asked([patients]), {}), 400, 'without Prefer: respond-async');
    assert.equal(await status(steward, asked([patients], [{ name: '_format', valueCode: 'parquet' }])), 406);
    assert.equal(await status(steward, asked([])), 400);
    assert.equal(await status(steward, asked([view('Patient', [{ name: 'x', path: '((' }])])), 400);
    assert.equal(await status(steward, asked([patients], [{ name: 'nonsense', valueString: 'x' }])), 400);
    assert.equal(await status(steward, asked([patients], [{ name: '_since', valueInstant: 'yesterday' }])), 400);
    assert.equal(await status(steward, asked([view('Account', [{ name: 'id', path: 'id' }])])), 403);
    assert.equal(await status(w.commander, asked([patients])), 403, 'what is masked for the role');
  });

  test('a kill in the middle: it goes on', async () => {
    const kick = await steward.request('POST', '/fhir/$viewdefinition-export', asked([patients, values, values], [{ name: '_format', valueCode: 'ndjson' }]), ASYNC);
    w.server.child.kill('SIGKILL');
    await w.server.stop();
    w.server = await startServer(program, w.data, w.options);
    w.base = w.server.base;
    for (const person of [steward, w.doctor, w.lead]) {
      person.base = w.server.base;
      await person.signIn(person.password);
    }
    const done = await waitFor('the rows after the kill', async () => {
      const answer = await steward.request('GET', at(kick));
      return answer.status === 200 ? answer.json : undefined;
    });
    for (const output of outputs(done).slice(1)) {
      const rows = (await Promise.all(output.files.map((f) => steward.request('GET', f)))).flatMap((f) => lines(f.text));
      assert.equal(new Set(rows.map((r) => r.id)).size, 12 + 230);
      assert.equal(rows.length, 12 + 230);
    }
  });
});

describe('$import', () => {
  const patient = (i) => JSON.stringify({ resourceType: 'Patient', id: `in-${i}`, name: [{ text: `甲${i}` }], gender: 'male' });

  test('good lines are stored, each bad one is told with its number', async () => {
    const good = Array.from({ length: 900 }, (_, i) => patient(i));
    const bad = { 11: '{"resourceType":"Patient","gender":"none"}', 450: '{"resourceType":', 800: '{"resourceType":"PractitionerRole"}' };
    const text = good.map((line, i) => (bad[i] ? `${bad[i]}\n${line}` : line)).join('\r\n');
    const { job, stored, rejected, error } = await imported(steward, `${text}\n\n{"resourceType":"Observation","status":"final","code":{"text":"无编号"}}\n`);
    assert.equal(stored, 901);
    assert.equal(rejected, 3);
    const told = lines((await steward.request('GET', new URL(error[0].url, w.base).pathname)).text);
    assert.deepEqual(told.map((o) => o.id), ['line-12', 'line-452', 'line-803']);
    assert.ok(told.every((o) => o.resourceType === 'OperationOutcome' && o.issue[0].severity === 'error'));
    assert.equal((await w.doctor.read('Patient/in-899')).name[0].text, '甲899');
    assert.equal((await w.doctor.search('Patient', { _summary: 'count', name: '甲450' })).length, 0);
    assert.equal((await w.lead.request('GET', '/fhir/Patient/in-1')).status, 404, 'it is the own hospital\'s');
    assert.equal((await steward.request('GET', `${job}/input.ndjson`)).status, 404);
  });

  test('another type of body is refused before it is read; an empty one is no error', async () => {
    assert.equal((await steward.request('POST', '/fhir/$import', '{}', { 'Content-Type': 'application/json' })).status, 415);
    assert.equal((await imported(steward, '')).stored, 0);
  });

  test('a kill in the middle: every line once, refused lines told once', async () => {
    const count = 12000;
    const text = Array.from({ length: count }, (_, i) => (i % 1000 === 500 ? '{"resourceType":"Patient","gender":"none"}'
      : JSON.stringify({ resourceType: 'Observation', status: 'final', code: { text: '批量' }, identifier: [{ system: 'urn:test', value: `k${i}` }] }))).join('\n');
    const asked = await steward.request('POST', '/fhir/$import', text, { 'Content-Type': 'application/fhir+ndjson' });
    const job = at(asked);
    await waitFor('it to be under way', async () => {
      const answer = await steward.request('GET', job);
      return answer.status === 200 || parseFloat(answer.headers.get('x-progress')) > 30;
    });
    w.server.child.kill('SIGKILL');
    await w.server.stop();
    w.server = await startServer(program, w.data, w.options);
    for (const person of [steward, w.doctor]) {
      person.base = w.server.base;
      await person.signIn(person.password);
    }
    w.base = w.server.base;
    const done = await waitFor('the import after the kill', async () => {
      const answer = await steward.request('GET', job);
      return answer.status === 200 ? answer.json : undefined;
    });
    assert.equal(done.stored, count - 12);
    assert.equal(done.rejected, 12);
    const told = lines((await steward.request('GET', new URL(done.error[0].url, w.base).pathname)).text);
    assert.equal(new Set(told.map((o) => o.id)).size, 12);
    const total = (await steward.must('GET', '/fhir/Observation?identifier=urn:test%7C&_summary=count')).total;
    assert.equal(total, count - 12);
  });
});
