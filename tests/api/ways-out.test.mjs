// Everything that must stay in, against every way out. A secret is a word planted in a record with the people who may read
// it; everybody else asks every GET route of the route table with the record's id in it, searches for it in every manner,
// follows references to it, writes at it, listens to events, and must learn nothing: not the word, not that the record exists.
// "Not that it exists" is measured: the same question about a record that was never there must get the same answer.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { identity, Person, reference, text, time } from '../../scenarios/client.mjs';
import { addSignedIn, createPatient, draftConsult, signInAdmin } from '../../scenarios/world.mjs';
import { startWorld, waitFor } from './support.mjs';

const THIRD = { name: '石柱县示例医院', admin: 'admin-shizhu', adminName: '黎安' };
const word = (what) => `${what}${crypto.randomUUID().slice(0, 8)}`;
const numberOf = (n) => `6602431970010${String(Math.floor(Math.random() * 1e4)).padStart(4, '0')}${n}`;

let w;
let people; // key → Person; `nobody` is not signed in
let secrets; // [{name, type, id, word, seen: Set of keys}]
const counts = { requests: 0, pairs: 0 };

async function post(person, resource) {
  return (await person.create(resource)).id;
}

// A patient of `doctor`, with words in the name, the number, the telephone and the address.
async function plantPatient(doctor, name, national) {
  const made = await createPatient(doctor, { id: word('IN'), national, name, gender: 'female', birthDate: '1970-01-01' });
  return made.id;
}

const condition = (patient, words) => ({ resourceType: 'Condition', subject: { reference: `Patient/${patient}` }, code: { text: words } });
const opinion = (person, patient, encounter, words) => ({
  resourceType: 'ClinicalImpression', status: 'in-progress', code: { coding: [{ system: 'urn:shanhai:codes:opinion-kind', code: 'opinion' }] },
  subject: { reference: `Patient/${patient}` }, encounter: { reference: encounter }, assessor: { reference: person.post }, date: new Date().toISOString(),
  summary: words, finding: [{ itemCodeableConcept: { text: words }, basis: words }] });
const joint = (person, patient, encounter, words) => ({
  resourceType: 'Composition', status: 'preliminary', type: { coding: [{ system: 'urn:shanhai:codes:document', code: 'joint-opinion' }] },
  subject: { reference: `Patient/${patient}` }, encounter: { reference: encounter }, date: new Date().toISOString(), author: [{ reference: person.post }],
  title: words, section: [{ title: '一致意见', code: { coding: [{ system: 'urn:shanhai:codes:section', code: 'consensus' }] },
    text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><p>${words}</p></div>` } }] });

async function toOffered(patient, shared) {
  const consult = await draftConsult(w.doctor, { patient, invited: w.coordinator.organization, shared });
  await w.doctor.take(consult.task, 'submit');
  await w.coordinator.take(consult.task, 'allocate');
  await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
  return consult;
}

// What is planted, and who may read it: county = 彭水, helper = 聊城, third = 石柱, which has nothing to do with either.
async function plant() {
  const add = (name, type, id, secret, seen) => secrets.push({ name, type, id, word: secret, seen: new Set(seen.split(' ').filter(Boolean)) });
  const county = 'doctor duty radiologist';

  const alone = { name: word('密甲'), national: numberOf('1') };
  const alonePatient = await plantPatient(w.doctor, alone.name, alone.national);
  add('a patient in no consult', 'Patient', alonePatient, alone.name, county);
  const aloneWords = word('既往病史');
  add('a diagnosis of a patient in no consult', 'Condition', await post(w.doctor, condition(alonePatient, aloneWords)), aloneWords, 'doctor');
  const draftWords = await draftConsult(w.doctor, { patient: alonePatient, invited: w.coordinator.organization });
  add('a request not yet sent', 'ServiceRequest', draftWords.request, draftWords.request, county);
  add('a consent not yet sent', 'Consent', draftWords.consent, draftWords.consent, 'doctor duty');

  const live = { name: word('密乙'), national: numberOf('2') };
  const livePatient = await plantPatient(w.doctor, live.name, live.national);
  add('the name of a patient in a running consult', 'Patient', livePatient, live.name, `${county} coordinator lead expert`);
  const ticked = word('血气');
  const tickedId = await post(w.doctor, condition(livePatient, ticked));
  add('what was ticked', 'Condition', tickedId, ticked, 'doctor lead expert coordinator');
  const unticked = word('未勾选');
  add('what was not ticked', 'Condition', await post(w.doctor, condition(livePatient, unticked)), unticked, 'doctor');
  const consult = await toOffered(livePatient, [`Condition/${tickedId}`]);
  await w.lead.take(consult.task, 'accept');
  await w.expert.take(consult.task, 'accept');
  await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
  const started = await w.lead.take(consult.task, 'start', { identity: [identity('name', live.name), identity('id-number', live.national)] });
  const encounter = started.encounter.reference;
  const draft = word('草稿');
  add("the lead's draft opinion", 'ClinicalImpression', await post(w.lead, opinion(w.lead, livePatient, encounter, draft)), draft, 'lead');
  const jointDraft = word('联合草稿');
  add('the draft of the joint opinion', 'Composition', await post(w.lead, joint(w.lead, livePatient, encounter, jointDraft)), jointDraft, 'lead');
  const said = word('讨论');
  add('the discussion', 'Communication', await post(w.doctor, { resourceType: 'Communication', status: 'completed', encounter: { reference: encounter },
    subject: { reference: `Patient/${livePatient}` }, sender: { reference: w.doctor.post }, sent: new Date().toISOString(), payload: [{ contentString: said }] }),
  said, 'doctor coordinator lead expert');

  const over = { name: word('密丙'), national: numberOf('3') };
  const overPatient = await plantPatient(w.doctor, over.name, over.national);
  const overWords = word('已结束');
  const overCondition = await post(w.doctor, condition(overPatient, overWords));
  const ended = await toOffered(overPatient, [`Condition/${overCondition}`]);
  assert.equal((await w.lead.request('GET', `/fhir/Condition/${overCondition}`)).status, 200, 'open while it runs');
  await w.coordinator.take(ended.task, 'cancel', { reason: text('患者转院') });
  add('the patient of a cancelled consult', 'Patient', overPatient, over.name, county);
  add('what a cancelled consult had opened', 'Condition', overCondition, overWords, 'doctor');

  const other = { name: word('密丁'), national: numberOf('4') };
  const otherPatient = await plantPatient(people.thirdDoctor, other.name, other.national);
  add("a third hospital's patient", 'Patient', otherPatient, other.name, 'thirdDoctor');
  const otherWords = word('他院诊断');
  add("a third hospital's diagnosis", 'Condition', await post(people.thirdDoctor, condition(otherPatient, otherWords)), otherWords, 'thirdDoctor');
}

before(async () => {
  w = await startWorld({ more: { third: THIRD }, requests: true });
  const admin = await signInAdmin(w.base, THIRD, w.made.third.password);
  const organization = { reference: `Organization/${w.made.third.organization}`, name: THIRD.name };
  const there = (account, name, role, title) => addSignedIn(admin, organization,
    { account, name, role, title, specialty: '呼吸内科', phone: '15400000031' });
  people = { doctor: w.doctor, duty: w.duty, radiologist: w.radiologist, coordinator: w.coordinator, lead: w.lead, expert: w.expert,
    commander: w.commander, admin: w.admins.county, adminHelper: w.admins.helper, thirdAdmin: admin,
    thirdDoctor: await there('wuhan', '吴涵', 'county-doctor', 'attending'),
    thirdExpert: await there('qianlin', '钱林', 'expert', 'chief'),
    thirdCoordinator: await there('shiyu', '石雨', 'consult-coordinator', 'attending'),
    thirdCommander: await there('heping', '何平', 'commander', 'chief'), nobody: new Person(w.base, 'nobody') };
  secrets = [];
  await plant();
});
after(async () => { await w?.stop(); });

// A few at a time: the server answers 503 when too many wait, and then nothing would have been asked.
async function each(list, work, atOnce = 6) {
  const left = [...list];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left.length > 0) await work(left.pop());
  }));
}

const get = async (person, path) => {
  counts.requests += 1;
  return person.request('GET', path, undefined, { Accept: path.startsWith('/fhir') ? 'application/fhir+json' : 'application/json' });
};

// The answer without what differs between any two questions: the id or word asked for, times, ids of answers.
function same(answer, ...asked) {
  let body = answer.text;
  for (const one of asked) body = body.replaceAll(encodeURIComponent(one), '§').replaceAll(one, '§');
  return `${answer.status} ${body.replace(/\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)/g, 'T').replace(/"id":"[0-9a-f-]{16,36}"/g, '"id":""').replace(/_page=[^"&]+/g, '')}`;
}

// Every GET route of the route table (src/api/routes.c), so that a new route is asked without anybody thinking of it.
function routes() {
  const source = readFileSync(new URL('../../src/api/routes.c', import.meta.url), 'utf8');
  const names = Object.fromEntries([...source.matchAll(/#define (DICOM_\w+) (.*)/g)].map(([, name, value]) => [name, value]));
  const plain = (value) => value.replace(/\b(DICOM_\w+)\b/g, (name) => (names[name] ? plain(names[name]) : name)).replace(/"\s*"|"\s+|\s+"/g, '').replace(/"/g, '').trim();
  return [...source.matchAll(/\{\s*HTTP_(\w+),\s*((?:DICOM_\w+\s*)?"[^"]*"|DICOM_\w+)/g)].map(([, method, path]) => ({ method, path: plain(path) }));
}

const fill = (path, type, id) => path.replace('{type}', type).replace('{compartment}', 'Patient').replace('{id}', id).replace('{version}', '1')
  .replace(/\{\w+\*?\}/g, id);

// Questions that name the record, by id or by a word in it: [path with § for what is asked, what to put there].
function questions(secret) {
  const { type, id } = secret;
  const byId = [`/fhir/${type}?_id=§`, `/fhir/${type}?_id=§&_summary=count`, `/fhir/${type}?_id=§&_total=accurate`, `/fhir/${type}?_id=§&_elements=id`,
    `/fhir/${type}?_id=§,nothing&_sort=_lastUpdated`, `/fhir/${type}?_id=§&_include=*&_revinclude=*`, `/fhir?_type=${type}&_id=§`,
    `/fhir/Provenance?target=${type}/§`, `/fhir/Task?focus=${type}/§`, `/fhir/${type}/§/$transitions`, `/fhir/Task/§/$transitions`, `/fhir/${type}/§/_history?_count=1`,
    `/fhir/Consent?data=${type}/§`, `/dicom-web/studies/§`, `/indicators/consults-submitted/resources?org=§`];
  const ways = byId.map((path) => [path, id]);
  if (type === 'Patient') {
    ways.push(['/fhir/Patient/§/*', id], ['/fhir/Patient/§/*?_summary=count', id]);
    for (const child of ['Condition', 'Observation', 'Task', 'ServiceRequest', 'ImagingStudy', 'Encounter', 'ClinicalImpression', 'Composition', 'DiagnosticReport']) {
      ways.push([`/fhir/Patient/§/${child}`, id], [`/fhir/${child}?patient=§`, id], [`/fhir/${child}?patient=§&_total=accurate&_summary=count`, id]);
      ways.push([`/fhir/${child}?patient:Patient.name=§`, secret.word], [`/fhir/Organization?_has:Patient:organization:_has:${child}:patient:_id=§`, id]);
    }
    for (const parameter of ['name', 'name:contains', 'name:exact', 'family', 'given', 'phonetic', 'identifier', 'phone', '_content', '_text']) {
      ways.push([`/fhir/Patient?${parameter}=§`, secret.word]);
    }
    ways.push(['/fhir/Organization?_has:Patient:organization:name=§', secret.word], ['/fhir/Practitioner?_has:PractitionerRole:practitioner:_has:Task:owner:patient.name=§', secret.word],
      ['/dicom-web/studies?PatientName=§', secret.word]);
  } else {
    ways.push([`/fhir/Patient?_has:${type}:subject:_id=§`, id], [`/fhir/Patient?_has:${type}:patient:_id=§`, id], [`/fhir/${type}?_content=§`, secret.word],
      [`/fhir/${type}?code:text=§`, secret.word], [`/fhir/${type}?_text=§`, secret.word], [`/fhir/Encounter?_has:${type}:encounter:_id=§`, id]);
  }
  return ways;
}

// An id of the form that the server itself gives (UUID version 7): a PUT to it never creates, whether it is taken or not.
const likeOurs = () => crypto.randomUUID().replace(/^(.{14})4/, (_, head) => `${head}7`);
const blank = (value) => (/^[0-9a-f-]{36}$/.test(value) ? crypto.randomUUID() : word('无此人'));
const mayNot = (secret) => Object.entries(people).filter(([key]) => !secret.seen.has(key));
// The commander's policy shows states of consults and masked patients: there the record exists, its words do not.
const knowsOf = (key, secret) => key === 'commander' || secret.word === secret.id;

describe('no way out', () => {
  test('who may read a secret reads it, so that the rest of this file asks about something', async () => {
    for (const secret of secrets) {
      for (const key of secret.seen) {
        const answer = await get(people[key], `/fhir/${secret.type}/${secret.id}`);
        assert.equal(answer.status, 200, `${key}: ${secret.name}`);
        assert.ok(answer.text.includes(secret.word), `${key}: ${secret.name}`);
      }
    }
  });

  test('every GET route with the record in it', async (t) => {
    const gets = routes().filter((r) => r.method === 'GET' && r.path !== '/events').map((r) => r.path);
    assert.ok(gets.length >= 35, `the route table was read: ${gets.length} GET routes`);
    const wrong = [];
    for (const secret of secrets) {
      for (const [key, person] of mayNot(secret)) {
        await each(gets, async (route) => {
          const answer = await get(person, fill(route, secret.type, secret.id));
          if (answer.text.includes(secret.word) && secret.word !== secret.id) wrong.push(`${key} reads ${secret.name} at ${route}`);
          if (answer.status >= 500) wrong.push(`${key} ${route}: ${answer.status}`);
          counts.pairs += 1;
        });
      }
    }
    t.diagnostic(`${gets.length} routes, ${secrets.length} secrets, ${Object.keys(people).length} people, ${counts.pairs} questions`);
    assert.deepEqual(wrong.slice(0, 40), []);
  });

  test('a question about a secret gets the answer of a question about nothing', async (t) => {
    const wrong = [];
    let asked = 0;
    for (const secret of secrets) {
      for (const [key, person] of mayNot(secret)) {
        if (knowsOf(key, secret)) continue;
        await each(questions(secret), async ([path, value]) => {
          const nothing = blank(value);
          const about = await get(person, path.replace('§', encodeURIComponent(value)));
          const control = await get(person, path.replace('§', encodeURIComponent(nothing)));
          asked += 1;
          if (about.status >= 500) wrong.push(`${key} ${path}: ${about.status} ${about.text.slice(0, 150)}`);
          if (same(about, value) !== same(control, nothing)) wrong.push(`${key}, ${secret.name}: ${path} → ${same(about, value).slice(0, 150)} | ${same(control, nothing).slice(0, 150)}`);
        });
      }
    }
    t.diagnostic(`${asked} questions, each asked twice`);
    assert.deepEqual(wrong.slice(0, 40), []);
  });

  test('lists, totals, sorts, includes and histories of whole types hold nothing of it', async (t) => {
    const types = [...new Set(secrets.map((s) => s.type)), 'Task', 'Provenance', 'Encounter', 'Observation', 'Bundle', 'Appointment', 'ImagingStudy', 'DiagnosticReport'];
    const ways = types.flatMap((type) => ['', '?_count=1000', '?_total=accurate&_count=1', '?_sort=-_lastUpdated', '?_include=*&_revinclude=*&_count=200', '/_history', '/_history?_count=200']
      .map((tail) => `/fhir/${type}${tail}`)).concat(['/fhir', '/fhir/_history', '/fhir?_count=500', `/fhir?_type=${types.join()}`, '/dicom-web/studies', '/studies/held', '/admin/accounts',
      '/indicators', '/reports/daily', '/metrics', '/session', '/fhir/AuditEvent?_count=200']);
    const wrong = [];
    let read = 0;
    for (const [key, person] of Object.entries(people)) {
      for (const way of ways) {
        const answer = await get(person, way);
        read += 1;
        for (const secret of secrets) {
          if (!secret.seen.has(key) && secret.word !== secret.id && answer.text.includes(secret.word)) wrong.push(`${key} reads ${secret.name} at ${way}`);
          const listed = way.startsWith(`/fhir/${secret.type}`) && answer.text.includes(`"id":"${secret.id}"`);
          if (!secret.seen.has(key) && listed && !knowsOf(key, secret)) wrong.push(`${key} sees listed: ${secret.name} at ${way}`);
        }
      }
    }
    t.diagnostic(`${read} lists`);
    assert.deepEqual(wrong.slice(0, 40), []);
  });
});

describe('no way in', () => {
  test('who may not read cannot write, patch, delete or act, and is told no more than about nothing', async (t) => {
    const wrong = [];
    let asked = 0;
    const posts = routes().filter((r) => r.method === 'POST' && r.path.includes('{id}') && !r.path.endsWith('_search')).map((r) => r.path);
    for (const secret of secrets) {
      for (const [key, person] of mayNot(secret)) {
        const tries = [['PUT', '/fhir/{type}/{id}', { resourceType: secret.type, id: secret.id }], ['DELETE', '/fhir/{type}/{id}'],
          ['PATCH', '/fhir/{type}/{id}', [{ op: 'add', path: '/language', value: 'zh' }]], ...posts.map((path) => ['POST', path, { resourceType: 'Parameters', parameter: [] }])];
        for (const [method, path, body] of tries) {
          const nothing = method === 'PUT' ? likeOurs() : crypto.randomUUID();
          const headers = method === 'PATCH' ? { 'Content-Type': 'application/json-patch+json' } : {};
          const about = await person.request(method, fill(path, secret.type, secret.id), body, headers);
          asked += 1;
          if (about.status < 400 && ['PUT', 'PATCH'].includes(method)) wrong.push(`${key} ${method} ${path}: ${about.status} for ${secret.name}`);
          if (about.status >= 500 || (secret.word !== secret.id && about.text.includes(secret.word))) wrong.push(`${key} ${method} ${path}: ${about.status} ${about.text.slice(0, 120)}`);
          if (knowsOf(key, secret)) continue;
          const control = await person.request(method, fill(path, secret.type, nothing), method === 'PUT' ? { ...body, id: nothing } : body, headers);
          if (same(about, secret.id) !== same(control, nothing)) wrong.push(`${key} ${method} ${path}, ${secret.name}: ${same(about, secret.id).slice(0, 150)} | ${same(control, nothing).slice(0, 150)}`);
        }
      }
    }
    t.diagnostic(`${asked} tries`);
    assert.deepEqual(wrong.slice(0, 40), []);
    for (const secret of secrets) {
      const owner = people[[...secret.seen][0]];
      assert.ok((await owner.request('GET', `/fhir/${secret.type}/${secret.id}`)).status === 200, `${secret.name} still stands`);
    }
  });

  test('a valid PUT to an id that the server would give tells nothing: not by one, not in a bundle, not by $validate', async () => {
    const hidden = secrets.find((s) => s.name === "a third hospital's diagnosis");
    const own = await createPatient(w.doctor, { id: word('IN'), national: numberOf('9'), name: word('甲'), gender: 'male', birthDate: '1980-01-01' });
    for (const bundle of [false, true]) {
      const put = (id) => {
        const resource = { ...condition(own.id, 'x'), id };
        return bundle
          ? w.doctor.request('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry: [{ resource, request: { method: 'PUT', url: `Condition/${id}` } }] })
          : w.doctor.request('PUT', `/fhir/Condition/${id}`, resource);
      };
      const nothing = likeOurs();
      const about = await put(hidden.id);
      assert.equal(about.status, 404);
      assert.equal(same(about, hidden.id), same(await put(nothing), nothing));
      const mine = crypto.randomUUID();
      assert.equal((await put(mine)).status, bundle ? 200 : 201, 'an id of the client\'s own making');
    }
    const check = (id) => w.doctor.request('POST', `/fhir/Condition/${id}/$validate?mode=update`, { ...condition(own.id, 'x'), id });
    const nothing = likeOurs();
    assert.equal(same(await check(hidden.id), hidden.id), same(await check(nothing), nothing));
  });

  test('conditions and references do not tell what exists', async () => {
    const [alone] = secrets;
    const doctor = people.thirdDoctor;
    const stored = await w.doctor.read(`Patient/${alone.id}`);
    const national = stored.identifier[0].value;
    const twin = { resourceType: 'Patient', active: true, name: [{ text: '同号' }], gender: 'female', birthDate: '1970-01-01',
      identifier: [{ system: 'urn:shanhai:id:national', value: national }], managingOrganization: { reference: doctor.organization } };
    const made = await doctor.request('POST', '/fhir/Patient', twin, { 'If-None-Exist': `identifier=urn:shanhai:id:national|${national}` });
    assert.equal(made.status, 201, 'a condition sees only what the person sees');
    for (const person of [doctor, w.lead, w.coordinator]) {
      const refer = (id) => person.request('POST', '/fhir/Condition', condition(id, 'x'));
      const nothing = crypto.randomUUID();
      assert.equal(same(await refer(alone.id), alone.id), same(await refer(nothing), nothing), person.name);
      const bundle = (id) => person.request('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry: [
        { request: { method: 'GET', url: `Patient/${id}` } }, { request: { method: 'GET', url: `Condition?patient=${id}` } }, { request: { method: 'DELETE', url: `Patient/${id}` } }] });
      assert.equal(same(await bundle(alone.id), alone.id), same(await bundle(nothing), nothing), person.name);
    }
  });
});

describe('what goes out by itself', () => {
  test('events reach those who may read the record, nobody else', async () => {
    const [alone] = secrets;
    const streams = await Promise.all(Object.entries(people).filter(([key]) => key !== 'nobody').map(async ([key, person]) => {
      const stop = new AbortController();
      const stream = { key, heard: '', stop };
      const response = await fetch(`${w.base}/events`, { headers: { Cookie: person.cookie }, signal: stop.signal });
      assert.equal(response.status, 200, key);
      (async () => { for await (const piece of response.body) stream.heard += Buffer.from(piece).toString(); })().catch(() => {});
      return stream;
    }));
    const patient = await w.doctor.read(`Patient/${alone.id}`);
    await w.doctor.update({ ...patient, telecom: [{ system: 'phone', value: '15400000098' }] });
    // A change that everybody may see comes after it: who has heard that one has heard all before.
    const everybodys = await w.doctor.read(w.admins.county.organization);
    await w.admins.county.update({ ...everybodys, alias: [word('别名')] });
    const id = w.admins.county.organization.split('/')[1];
    await waitFor('the change that everybody sees', () => streams.every((s) => s.heard.includes(id)), 20);
    const heard = streams.filter((s) => s.heard.includes(alone.id)).map((s) => s.key).sort();
    for (const stream of streams) stream.stop.abort();
    assert.deepEqual(heard, [...alone.seen].sort());
  });

  test('no log line, no audit record and no file beside the store holds a name or what was searched', async () => {
    const words = secrets.filter((s) => s.word !== s.id).map((s) => s.word);
    assert.ok(w.server.log().includes('GET'), 'the requests were logged');
    for (const one of words) {
      assert.ok(!w.server.log().includes(one) && !w.server.log().includes(encodeURIComponent(one)), 'a log line');
    }
    const names = readdirSync(w.data, { recursive: true }).map((name) => join(w.data, name)).filter((path) => statSync(path).isFile() && !/\.(db|sqlite)(-wal|-shm)?$/.test(path));
    assert.ok(names.some((path) => path.includes('audit')), names.join());
    for (const path of names) {
      const bytes = readFileSync(path);
      for (const one of words) assert.ok(!bytes.includes(Buffer.from(one)), `${path} holds the words of a patient`);
    }
  });
});
