// Who may ask what over the interfaces: every role against every kind of route, the way in, masks, and the audit log.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Person } from '../../scenarios/client.mjs';
import { draftConsult, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';

let w;
let roles;
let consult;
before(async () => {
  w = await startWorld();
  consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
  roles = { doctor: w.doctor, duty: w.duty, radiologist: w.radiologist, coordinator: w.coordinator, lead: w.lead, commander: w.commander,
    admin: w.admins.county, nobody: new Person(w.base, 'nobody') };
});
after(async () => { await w?.stop(); });

// One column a role, in the order of `roles`. 2 answers, 3 is 403, 4 is 404, 1 is 401.
const table = () => [
  // doctor duty radiologist coordinator lead commander admin nobody
  [`/fhir/Patient/${w.patient.id}`, '22244431'],
  [`/fhir/Patient/${w.patient.id}/_history`, '23233331'],
  ['/fhir/Patient', '22222231'],
  [`/fhir/Task/${consult.task}`, '22244231'],
  [`/fhir/Task/${consult.task}/_history`, '22244331'],
  [`/fhir/Task/${consult.task}/$transitions`, '22244231'],
  [`/fhir/ServiceRequest/${consult.request}`, '22244331'],
  ['/fhir/ServiceRequest', '22222331'],
  ['/fhir/Composition', '22232331'],
  ['/fhir/ClinicalImpression', '22332331'],
  ['/fhir/Condition', '22222331'],
  ['/fhir/Organization', '22222221'],
  ['/fhir/PractitionerRole', '22222221'],
  ['/fhir/PractitionerRole/nobody', '44444441'],
  ['/fhir/AuditEvent', '33333321'],
  ['/admin/accounts', '33333321'],
  ['/metrics', '33333321'],
  ['/studies/held', '23233331'],
  ['POST /studies/held/1.2.3/match', '43433331'],
  ['POST /studies/held/1.2.3/reject', '43433331'],
  ['/dicom-web/studies', '23222331'],
  ['/studies/1.2.3/measurement', '43444331'],
  ['POST /studies/1.2.3/measurement', '43433331'],
  ['/fhir/metadata', '22222222'],
  // Writes that change nothing, and operations.
  [`PATCH /fhir/Patient/${w.patient.id}`, '23333331'],
  [`PATCH /fhir/Task/${consult.task}`, '23333331'],
  ['PATCH /fhir/Patient?identifier=urn:none%7C1', '43333331'],
  ['PUT /fhir/Patient?identifier=urn:none%7C1', '23333331'],
  ['DELETE /fhir/Patient?identifier=urn:none%7C1', '33333331'],
  ['DELETE /fhir/Task?identifier=urn:none%7C1', '23333331'],
  ['DELETE /fhir/Location?identifier=urn:none%7C1', '33333321'],
  [`/fhir/Patient/${w.patient.id}/$validate`, '23333331'],
  [`/fhir/Patient/${w.patient.id}/$meta`, '22244431'],
  [`/fhir/Patient/${w.patient.id}/_history/1/$meta`, '22244431'],
  ['/fhir/Patient/$meta', '22222231'],
  ['/fhir/$meta', '22222221'],
  [`POST /fhir/Patient/${w.patient.id}/$meta-add`, '23333331'],
  [`POST /fhir/Patient/${w.patient.id}/$meta-delete`, '23333331'],
  [`/fhir/Patient/${w.patient.id}/$everything`, '23333331'],
  ['/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender', '22222221'],
  ['/fhir/ValueSet/none/$expand', '44444441'],
  ['/fhir/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/administrative-gender&system=http://hl7.org/fhir/administrative-gender&code=male', '22222221'],
  ['/fhir/CodeSystem/$validate-code?url=http://hl7.org/fhir/administrative-gender&code=male', '22222221'],
  ['/fhir/CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male', '22222221'],
  ['/fhir/CodeSystem/$subsumes?system=http://hl7.org/fhir/administrative-gender&codeA=male&codeB=male', '22222221'],
  ['/fhir/ConceptMap/$translate?url=http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3&code=male', '22222221'],
  ['/fhir/Encounter/none/$everything', '43333331'],
  ['/fhir/Composition/none/$document', '44434331'],
  [`/fhir/Observation/$lastn?patient=${w.patient.id}&category=x`, '22222331'],
];
const bodies = { PATCH: ['[]', { 'Content-Type': 'application/json-patch+json' }], PUT: [{ resourceType: 'Patient' }, {}], POST: [{ resourceType: 'Parameters', parameter: [{ name: 'meta', valueMeta: {} }] }, {}] };

const digit = (status) => ({ 401: '1', 403: '3', 404: '4' })[status] ?? (status < 300 ? '2' : String(status));

describe('roles and routes', () => {
  test('each role gets from each route what its policy says', async (t) => {
    let asked = 0;
    const wrong = [];
    for (const [path, wanted] of table()) {
      let got = '';
      const [method, address] = path.includes(' ') ? path.split(' ') : ['GET', path];
      const [body, headers] = bodies[method] ?? [undefined, {}];
      for (const person of Object.values(roles)) {
        const accept = { Accept: path.startsWith('/dicom') ? 'application/dicom+json' : 'application/json' };
        got += digit((await person.request(method, address, body, { ...accept, ...headers })).status);
        asked += 1;
      }
      t.diagnostic(`${got} ${path.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, '{id}')}`);
      if (got !== wanted) wrong.push(`${path}: ${got}, not ${wanted}`);
    }
    t.diagnostic(`${asked} requests`);
    assert.deepEqual(wrong, []);
  });

  test('who lacks the type cannot create, who lacks the record cannot refer to it', async () => {
    const condition = { resourceType: 'Condition', subject: { reference: `Patient/${w.patient.id}` }, code: { text: '肺炎' } };
    for (const key of ['duty', 'radiologist', 'coordinator', 'lead', 'commander', 'admin']) {
      assert.equal((await roles[key].request('POST', '/fhir/Condition', condition)).status, 403, key);
    }
    assert.equal((await w.doctor.request('POST', '/fhir/Condition', condition)).status, 201);
    const foreign = await w.doctor.request('POST', '/fhir/Condition', { ...condition, subject: { reference: 'Patient/none' } });
    assert.equal(foreign.status, 403);
    assert.match(issuesOf(foreign)[0], /患者/);
    const organization = { resourceType: 'Organization', name: '新医院' };
    assert.equal((await w.doctor.request('POST', '/fhir/Organization', organization)).status, 403);
    assert.equal((await w.admins.county.request('POST', '/fhir/Organization', organization)).status, 403);
    const ward = { ...organization, partOf: { reference: w.admins.county.organization } };
    assert.equal((await w.admins.county.request('POST', '/fhir/Organization', ward)).status, 201);
  });

  test('the commander sees a masked patient and cannot search by what is masked', async () => {
    await w.doctor.take(consult.task, 'submit'); // from now on the patient is one of a consult
    const answer = await w.commander.request('GET', `/fhir/Patient/${w.patient.id}`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('etag') ?? '', /^W\//);
    assert.equal(answer.json.name[0].text, `${patientFacts.name[0]}**`);
    assert.equal(answer.json.birthDate, patientFacts.birthDate.slice(0, 4));
    for (const secret of [patientFacts.name, patientFacts.national, patientFacts.id, '15400000099']) assert.ok(!answer.text.includes(secret));
    const list = await w.commander.request('GET', '/fhir/Patient');
    assert.ok(!list.text.includes(patientFacts.name));
    const tasks = await w.commander.request('GET', '/fhir/Task?_include=Task:patient');
    assert.equal(tasks.status, 200);
    assert.ok(!tasks.text.includes(patientFacts.name));
    for (const query of ['name=x', 'birthdate=1962', '_sort=birthdate', 'identifier=x']) {
      assert.equal((await w.commander.request('GET', `/fhir/Patient?${query}`)).status, 403, query);
    }
    for (const query of ['subject:Patient.name=x', 'patient.identifier=x', 'owner:PractitionerRole.practitioner.name=x&patient.birthdate=1962']) {
      assert.equal((await w.commander.request('GET', `/fhir/Task?${query}`)).status, 403, query);
    }
    assert.equal((await w.doctor.request('GET', '/fhir/Organization?_has:PractitionerRole:organization:role=x')).status, 200);
    assert.equal((await w.commander.request('GET', '/fhir/Organization?_has:Patient:organization:name=x')).status, 403);
    for (const query of ['_type=Patient,Person&name=x', '_type=Person,Patient&phonetic:missing=false', '_type=Task,Communication&subject:Patient.name=x',
      '_type=Patient,Practitioner&family=x&_sort=_id']) {
      assert.equal((await w.commander.request('GET', `/fhir?${query}`)).status, 403, query);
    }
    assert.equal((await w.commander.request('PUT', `/fhir/Patient/${w.patient.id}`, answer.json)).status, 403);
  });
});

describe('an administrator stays in the own house', () => {
  test('no post, no command and no place in another hospital', async () => {
    const admin = w.admins.county;
    const post = { resourceType: 'PractitionerRole', active: true, practitioner: { reference: `Practitioner/${admin.session.person.id}` },
      code: [{ coding: [{ system: 'urn:shanhai:codes:role', code: 'county-doctor' }] }] };
    assert.equal((await admin.request('POST', '/fhir/PractitionerRole', { ...post, organization: { reference: w.coordinator.organization } })).status, 403);
    const lead = await admin.read(w.lead.post);
    assert.equal((await admin.request('PUT', `/fhir/${w.lead.post}`, { ...lead, active: false })).status, 403);
    const command = { resourceType: 'OrganizationAffiliation', active: true, organization: { reference: admin.organization },
      participatingOrganization: { reference: w.coordinator.organization },
      code: [{ coding: [{ system: 'urn:shanhai:codes:affiliation', code: 'command' }] }] };
    assert.equal((await admin.request('POST', '/fhir/OrganizationAffiliation', command)).status, 403);
    const own = await admin.read(admin.organization);
    for (const change of [{ partOf: { reference: w.coordinator.organization } }, { type: [{ coding: [{ code: 'govt' }] }] }]) {
      assert.equal((await admin.request('PUT', `/fhir/${admin.organization}`, { ...own, ...change })).status, 403, JSON.stringify(change));
    }
    assert.equal((await admin.request('PUT', `/fhir/${admin.organization}`, { ...own, alias: ['彭水'] })).status, 200);
    const other = await admin.read(w.coordinator.organization);
    assert.equal((await admin.request('PUT', `/fhir/${w.coordinator.organization}`, { ...other, alias: ['x'] })).status, 403);
  });

  test('no account, no password and no log of another hospital', async () => {
    const admin = w.admins.county;
    const { accounts } = await admin.must('GET', '/admin/accounts');
    assert.ok(accounts.some((a) => a.name === 'limin'));
    assert.ok(!accounts.some((a) => a.name === 'zhaoqiang'));
    for (const action of ['password', 'disable', 'enable']) {
      assert.equal((await admin.request('POST', `/admin/accounts/zhaoqiang/${action}`, {})).status, 404, action);
    }
    const second = { name: 'second-way-in', practitioner: w.lead.session.person.id };
    assert.equal((await admin.request('POST', '/admin/accounts', second)).status, 403);
    const log = await admin.must('GET', `/fhir/AuditEvent?agent=Practitioner/${w.lead.session.person.id}`);
    assert.equal(log.entry, undefined);
  });
});

describe('the way in', () => {
  test('a write needs the token and the same origin', async () => {
    const condition = { resourceType: 'Condition', subject: { reference: `Patient/${w.patient.id}` } };
    for (const headers of [{ 'X-CSRF-Token': '0'.repeat(32) }, { 'X-CSRF-Token': '' }, { Origin: 'https://evil.example' }, { Origin: 'null' }]) {
      assert.equal((await w.doctor.request('POST', '/fhir/Condition', condition, headers)).status, 403, JSON.stringify(headers));
    }
  });

  test('a wrong password and an unknown name answer alike; too many wait', async () => {
    const origin = { Origin: w.base };
    const ask = (name) => new Person(w.base, name).request('POST', '/session', { name, password: 'wrong password' }, origin);
    const known = await ask('wanglan');
    const unknown = await ask('nobody-here');
    assert.equal(known.status, 401);
    assert.equal(unknown.status, 401);
    assert.deepEqual(issuesOf(known), issuesOf(unknown));
    let last = known;
    for (let i = 0; i < 5; i += 1) last = await ask('wanglan');
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get('retry-after')) > 0);
  });

  test('a session ends at sign-out; its cookie is HttpOnly and strict', async () => {
    const person = new Person(w.base, 'tanyue');
    const answer = await person.request('POST', '/session', { name: 'tanyue', password: PASSWORD });
    assert.match(answer.headers.get('set-cookie'), /; HttpOnly; SameSite=Strict/);
    person.csrf = answer.json.csrf;
    assert.equal((await person.request('GET', '/session')).status, 200);
    const kept = person.cookie;
    assert.ok((await person.request('DELETE', '/session')).status < 300);
    person.cookie = kept;
    assert.equal((await person.request('GET', '/session')).status, 401);
  });
});

describe('the audit log', () => {
  test('reads, writes and refusals are there, without a name or a value', async () => {
    const bundle = await w.admins.county.must('GET', `/fhir/AuditEvent?patient=Patient/${w.patient.id}&_count=200`);
    const actions = new Set(bundle.entry.map((e) => e.resource.action));
    assert.ok(actions.has('C') && actions.has('R'), [...actions].join());
    const refused = await w.admins.helper.must('GET', `/fhir/AuditEvent?agent=Practitioner/${w.lead.session.person.id}&_count=200`);
    assert.ok(refused.entry.some((e) => e.resource.outcome === '4' && e.resource.entity[0].what?.reference === `Patient/${w.patient.id}`));
    for (const secret of [patientFacts.name, patientFacts.national, '赵强']) {
      assert.ok(!JSON.stringify(bundle).includes(secret) && !JSON.stringify(refused).includes(secret), secret);
    }
    assert.equal((await w.admins.county.request('GET', '/fhir/AuditEvent?name=x')).status, 400);
    assert.equal((await w.admins.county.request('GET', '/fhir/AuditEvent?_cursor=x')).status, 400);
  });

  test('pages follow one another without a gap', async () => {
    const first = await w.admins.county.must('GET', '/fhir/AuditEvent?_count=5');
    assert.equal(first.entry.length, 5);
    const next = first.link.find((l) => l.relation === 'next').url;
    const second = await w.admins.county.must('GET', next.replace(/^https?:\/\/[^/]+/, ''));
    const ids = [...first.entry, ...second.entry].map((e) => e.resource.id);
    assert.equal(new Set(ids).size, 10);
    const places = ids.map((id) => Number(id.split('-')[1])); // newest first, as they lie in the log
    assert.ok(places.every((place, i) => i === 0 || places[i - 1] > place));
  });
});
