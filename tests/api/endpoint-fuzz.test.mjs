// Every row of the route table with input that is nearly right (fuzz.mjs, fuzz-house.mjs) and with the methods it has not, and
// attacks by name: never a 5xx, never a stop, and meanwhile somebody else's reads are answered. The order is by chance but always the same.
//
//     SHANHAI_SEED=7 node --test tests/api/endpoint-fuzz.test.mjs      another order
//     SHANHAI_LONG=1 …, or `node tests/api/endpoint-fuzz.test.mjs --long`      for minutes
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addPerson, addSignedIn } from '../../scenarios/world.mjs';
import { hasShim } from './fault.mjs';
import { Chance, Fuzz } from './fuzz.mjs';
import { House, allRoutes, isFhir, isStream } from './fuzz-house.mjs';
import { hasShared, makePhantom, shared, startWorld, stow, waitFor } from './support.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const long = process.argv.includes('--long') || Boolean(process.env.SHANHAI_LONG);
const REQUESTS = Number(process.env.SHANHAI_REQUESTS ?? (long ? 60000 : 1200));
const LANES = 6;
const seed = Number(process.env.SHANHAI_SEED ?? 20261122);
const FHIR = { 'Content-Type': 'application/fhir+json' };

let w;
let steward;
before(async () => {
  w = await startWorld();
  steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
});
after(async () => { await w?.stop(); });

// Somebody else's normal work: a read and a search, one after the other, until it is told to stop. Counts, never times.
function otherWork() {
  let goes = true;
  let done = 0;
  let longest = 0;
  const running = (async () => {
    while (goes) {
      const begin = performance.now();
      assert.equal((await w.radiologist.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 200);
      assert.equal((await w.radiologist.request('GET', `/fhir/ImagingStudy?subject=Patient/${w.patient.id}`)).status, 200);
      longest = Math.max(longest, performance.now() - begin);
      done++;
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  })();
  return async () => { goes = false; await running; assert.ok(done > 0); return `somebody else read and searched ${done} times meanwhile, longest ${longest.toFixed(0)} ms`; };
}

const invented = () => [
  { resourceType: 'Patient', name: [{ family: '张', given: ['三'] }], gender: 'male', birthDate: '1980-01-01', contained: [{ resourceType: 'Organization', id: 'o', name: 'x' }], managingOrganization: { reference: '#o' } },
  { resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'http://loinc.org', code: '8302-2' }] }, subject: { reference: `Patient/${w.patient.id}` }, effectiveDateTime: '2020-02-11', valueQuantity: { value: 1.75, unit: 'm', system: 'http://unitsofmeasure.org', code: 'm' } },
  { resourceType: 'ValueSet', status: 'active', url: 'urn:fuzz:set', compose: { include: [{ system: 'http://hl7.org/fhir/administrative-gender', filter: [{ property: 'concept', op: 'is-a', value: 'male' }] }, { valueSet: ['urn:fuzz:set'] }] } },
  { resourceType: 'CodeSystem', status: 'active', url: 'urn:fuzz:codes', content: 'complete', concept: [{ code: 'a', concept: [{ code: 'b' }] }] },
  { resourceType: 'StructureDefinition', status: 'active', url: 'urn:fuzz:profile', name: 'P', kind: 'resource', abstract: false, type: 'Patient', baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Patient', derivation: 'constraint', differential: { element: [{ id: 'Patient.name', path: 'Patient.name', min: 1, constraint: [{ key: 'x', severity: 'error', human: 'x', expression: "family.matches('^a')" }] }] } },
  { resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference: `Patient/${w.patient.id}` } }] },
];

function material() {
  const folder = join(shared, 'suites/examples');
  if (!hasShared || !existsSync(folder)) return invented();
  const chance = new Chance(seed);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const some = Array.from({ length: 60 }, () => JSON.parse(readFileSync(join(folder, chance.pick(files)), 'utf8')));
  return [...invented(), ...some.filter((r) => JSON.stringify(r).length < 30000)];
}

// What each person may search: most requests are about that, or all would be 403.
async function typesOf(person, types) {
  const may = await Promise.all(types.map(async (type) => (await person.request('GET', `/fhir/${type}?_count=0`)).status === 200));
  return types.filter((_, i) => may[i]);
}

// Who has the right for rows that are not FHIR's; mostly it is he who asks, or all would be 403.
function holderOf(path) {
  if (/^\/(admin|metrics)|AuditEvent/.test(path)) return w.admins.county;
  if (/\$import|export$|^\/bulk/.test(path)) return steward;
  return w.doctor;
}

// What of the archive and the jobs is asked about.
async function house(fuzz) {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-fuzz-'));
  makePhantom(folder, '--slices', '2', '--size', '32');
  const files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name)));
  rmSync(folder, { recursive: true, force: true });
  const [, study, series, sop] = /studies\/([\d.]+)\/series\/([\d.]+)\/instances\/([\d.]+)/.exec((await stow(w.doctor, files)).json['00081199'].Value[0]['00081190'].Value[0]);
  await waitFor('the study is the patient\'s', async () => (await w.doctor.request('GET', `/dicom-web/studies/${study}/metadata`, undefined, { Accept: 'application/dicom+json' })).status === 200);
  const asked = await steward.request('GET', '/fhir/Patient/$export', undefined, { Prefer: 'respond-async' });
  const job = new URL(asked.headers.get('content-location'), w.base).pathname.split('/').at(-1);
  await addPerson(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'beiyong', name: '备用', role: 'county-doctor', title: 'attending', specialty: '内科', phone: '15400000049' });
  const photo = readFileSync(join(root, 'tests/fuzz/corpus/photo/small.png'));
  return new House(fuzz, { images: { study, series, sop, files }, job, document: 'x', spare: 'beiyong', photo });
}

// An answer's status, text and, where it says so, JSON; of a stream that never ends only its beginning.
async function ask(person, { method, path, body, headers }) {
  const away = new AbortController();
  const fhir = path.startsWith('/fhir');
  const response = await fetch(w.base + path, { method, redirect: 'manual', signal: away.signal, body,
    headers: { Accept: fhir ? 'application/fhir+json' : '*/*', Cookie: person.cookie, ...(method !== 'GET' && { Origin: w.base, 'X-CSRF-Token': person.csrf }), ...headers } });
  if (response.status === 200 && isStream(path)) {
    await response.body.getReader().read();
    away.abort();
    return { status: 200, text: '' };
  }
  const text = await response.text();
  return { status: response.status, text, json: /json\b/.test(response.headers.get('content-type') ?? '') && response.status >= 400 ? JSON.parse(text) : undefined };
}

// A refusal says why in FHIR's way; of OAuth's addresses in OAuth's (RFC 6749 5.2), of images file by file (PS3.18 10.5.3).
function assertRefusal(answer, path, said) {
  assert.ok(answer.status < 500 || answer.status === 503, `${answer.status} ${answer.text.slice(0, 500)}\n${said()}`);
  if (answer.status < 400) return;
  if (/^\/auth\/(token|introspect|revoke)/.test(path) && answer.json?.error) return;
  if (/^\/dicom-web/.test(path) && answer.status === 409 && answer.json?.['00081198']) return;
  assert.equal(answer.json?.resourceType, 'OperationOutcome', `${answer.status} ${answer.text.slice(0, 300)}\n${said()}`);
}

test('every route, nearly right', async (t) => {
  const statement = await w.doctor.must('GET', '/fhir/metadata');
  const made = [];
  for (const resource of invented()) if (['Patient', 'Observation', 'List'].includes(resource.resourceType)) made.push(await w.doctor.create(resource));
  const ids = { Patient: [w.patient.id, made[0].id], Observation: [made[1].id], List: [made[2].id] };
  const fuzz = new Fuzz(new Chance(seed), { statement, ids, resources: material() });
  const others = await house(fuzz);
  const routes = allRoutes(root);
  const people = [w.doctor, steward, w.admins.county];
  const types = [];
  for (const person of people) types.push(await typesOf(person, fuzz.all));
  const statuses = {};
  const answered = new Map(routes.map((route) => [route, 0])); // requests that were not refused at the door
  const slowest = [];
  const untouched = new Set(routes);
  const stop = otherWork();
  let at = 0;
  const lane = async () => {
    while (at < REQUESTS) {
      const number = at++;
      const route = number < 2 * routes.length ? routes[number % routes.length] : fuzz.chance.pick(routes);
      fuzz.types = types[number % people.length];
      const asked = isFhir(route) && !/\$import|export$/.test(route.path) ? fuzz.request(route) : others.request(route);
      const { method, path } = asked;
      if (method === 'DELETE' && path.startsWith('/session')) asked.headers = { Cookie: 'session=nobody' }; // the others go on
      // An administrator may take away hospitals and posts, and with them everybody's rights.
      const harms = method !== 'GET' && /Organization|Practitioner|fhir\/?$/.test(path);
      const one = isFhir(route) && !/export$|import$|AuditEvent/.test(route.path) || number % 4 === 0 ? people[number % people.length] : holderOf(route.path);
      const person = harms ? w.doctor : one;
      const said = () => `seed ${seed}, request ${number} as ${person.name}: ${method} ${path}\n${JSON.stringify(asked.headers)}\n${(asked.body ?? '').toString('latin1').slice(0, 4000).replace(/[^\x20-\x7e\n]+/g, '?')}`;
      let answer;
      const begin = performance.now();
      try {
        answer = await ask(person, asked);
      } catch (error) {
        if (error instanceof TypeError && /Invalid (URL|header)|Request cannot|ByteString|invalid header|Headers/.test(`${error.message} ${error.cause?.message}`)) continue; // fetch itself refuses it
        throw new Error(`no answer (${error.cause?.message ?? error.message}): ${said()}\n${w.server.log()}`);
      }
      slowest.push([Math.round(performance.now() - begin), `${number} ${method} ${path.slice(0, 150)} ${answer.status}`]);
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      untouched.delete(route);
      if (![401, 403, 429].includes(answer.status)) answered.set(route, answered.get(route) + 1);
      assertRefusal(answer, path, said);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  slowest.sort((a, b) => b[0] - a[0]).slice(0, long ? 20 : 3).forEach(([ms, what]) => t.diagnostic(`${ms} ms: ${what}`));
  t.diagnostic(`${routes.length} routes, ${JSON.stringify(statuses)}; ${await stop()}`);
  const never = [...answered].filter(([, count]) => count === 0).map(([r]) => `${r.method} ${r.path}`);
  if (never.length > 0) t.diagnostic(`only refused at the door: ${never.join(', ')}`);
  assert.deepEqual([...untouched].map((r) => `${r.method} ${r.path}`), []);
  assert.equal((await w.doctor.request('GET', '/health')).status, 200);
});

// Each template with every method that the table does not name for it: 404 or 405 with Allow, and HEAD wherever GET is.
test('methods that a route has not', async (t) => {
  const { hostname, port } = new URL(w.base);
  const bare = (method, path) => new Promise((resolve, reject) => {
    const asked = httpRequest({ hostname, port, method, path, headers: { Cookie: w.doctor.cookie, Origin: w.base, 'X-CSRF-Token': w.doctor.csrf, Accept: '*/*' } }, (answer) => {
      if (isStream(path)) { resolve({ status: answer.statusCode, headers: answer.headers, text: '' }); asked.destroy(); return; }
      let text = '';
      answer.setEncoding('latin1').on('data', (data) => { text += data; }).on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
    });
    asked.on('error', reject);
    asked.end();
  });
  const routes = allRoutes(root);
  const has = {};
  for (const { method, path } of routes) (has[path] ??= new Set()).add(method);
  const statuses = {};
  for (const [template, methods] of Object.entries(has)) {
    const path = template.replace(/\{(\w+)\*?\}/g, (_, name) => ({ type: 'Patient', compartment: 'Patient', id: 'none' }[name] ?? '1'));
    await Promise.all(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE'].map(async (method) => {
      if (methods.has(method) || /^\/session/.test(path)) return;
      const answer = await bare(method, path);
      const said = `${method} ${path} → ${answer.status} ${answer.text.slice(0, 200)}`;
      assert.ok(answer.status < 500 || (answer.status === 501 && ['TRACE', 'PROPFIND', 'PURGE'].includes(method)), said);
      if (method === 'HEAD') {
        assert.equal(answer.text, '', said);
      } else if (answer.status === 405) {
        assert.ok(answer.headers.allow, said);
        assert.ok(!answer.headers.allow.split(', ').includes(method), `${said}: ${answer.headers.allow}`);
      }
      statuses[`${method} ${answer.status}`] = (statuses[`${method} ${answer.status}`] ?? 0) + 1;
    }));
  }
  t.diagnostic(JSON.stringify(statuses));
});

// Each is refused (or ended) by a limit; meanwhile somebody else reads.
describe('by name', () => {
  const view = (path, more = {}) => ({ resourceType: 'Parameters', parameter: [{ name: 'viewResource', resource: { resourceType: 'ViewDefinition', status: 'active', resource: 'Patient', select: [{ column: [{ name: 'x', path }] }] } },
    { name: 'resource', resource: { resourceType: 'Patient', name: [{ family: 'a'.repeat(60), given: ['b', 'c'] }], ...more } }] });
  const run = (path, more) => steward.request('POST', '/fhir/ViewDefinition/$run', view(path, more));
  const form = (type, body) => w.doctor.request('POST', `/fhir/${type}/_search`, body, { 'Content-Type': 'application/x-www-form-urlencoded' });
  const many = (count, part, between) => Array(count).fill(part).join(between);
  const told = (answer) => `${answer.status} ${answer.text.slice(0, 300)}`;
  const refused = (answer, ...statuses) => {
    assert.ok(statuses.length > 0 ? statuses.includes(answer.status) : answer.status >= 400 && answer.status < 500, told(answer));
    assert.equal(answer.json.resourceType, 'OperationOutcome', told(answer));
    assert.ok(answer.json.issue[0].details?.text || answer.json.issue[0].diagnostics, told(answer));
  };
  // While an attack runs four times at once; twice with a sanitizer, which makes growing texts fifty times as slow: four
  // would keep every worker for longer than others are let wait, and they would rightly be told 503.
  const beside = (name, attack) => test(name, async (t) => {
    const stop = otherWork();
    const answers = await Promise.all(Array.from({ length: hasShim ? 4 : 2 }, attack));
    t.diagnostic(await stop());
    return answers;
  });

  beside('chains and _has deeper than the limit', async () => {
    refused(await w.doctor.request('GET', `/fhir/Patient?${many(11, 'organization:Organization.partof', '.')}.name=x`));
    refused(await form('Observation', `${many(40, 'subject:Patient.link:Patient', '.')}.name=x`));
    refused(await w.doctor.request('GET', `/fhir/Patient?${many(12, '_has:Observation:patient', ':')}:code=1`));
    assert.equal((await w.doctor.request('GET', `/fhir/Patient?organization.${many(8, 'partof', '.')}.name=x`)).status, 200);
  });

  beside('_filter of a thousand comparisons', async () => {
    for (const between of [' or ', ' and ']) {
      const answer = await form('Patient', `_filter=${encodeURIComponent(many(1000, 'name co "a"', between))}`);
      refused(answer, 422);
      assert.match(answer.text, /comparisons/);
    }
    assert.equal((await form('Patient', `_filter=${encodeURIComponent(many(100, 'name co "a"', ' or '))}`)).status, 200);
  });

  beside('texts that grow by encoding, and by doubling', async () => {
    refused(await run(`name.family${many(60, ".encode('hex')", '')}.length()`), 413, 422);
    refused(await run("name.given.combine(name.given).repeatAll($this).aggregate($total & $total, 'xxxxxxxx').length()"), 413, 422);
    refused(await run(`name.family${many(12, ".replace('a', 'aaaaaaaaaa')", '')}.length()`), 413, 422);
    assert.equal((await run("name.family.encode('hex').length()")).status, 200);
  });

  test('a bundle whose answers do not fit is told so, not cut off', async () => {
    for (let i = 0; i < 20; i++) await w.doctor.create({ resourceType: 'Condition', subject: { reference: `Patient/${w.patient.id}` }, extension: [{ url: 'urn:z', valueBase64Binary: 'zzzz'.repeat(50000) }] });
    const stop = otherWork();
    const entry = Array(120).fill({ request: { method: 'GET', url: 'Condition?_count=1000' } });
    refused(await w.doctor.request('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry }), 413);
    await stop();
  });

  beside('an OR of 10,000', async () => {
    refused(await form('Patient', `name=${Array.from({ length: 10000 }, (_, i) => `n${i}`).join(',')}`));
    refused(await form('Observation', `code=${Array.from({ length: 10000 }, (_, i) => i).join(',')}`));
    refused(await form('Patient', `_id=${Array.from({ length: 10000 }, (_, i) => i).join(',')}`));
    refused(await form('Patient', many(2000, 'name=a', '&')));
  });

  beside('a regular expression bomb', async () => {
    for (const path of ["name.family.matches('(a+)+$') and name.family.matches('(a|a)*b')", "name.family.matches('(a+)+b')", "name.family.replaceMatches('(a|aa)+$x', 'b')"]) refused(await run(path));
  });

  beside('repeat without end, combine that doubles', async () => {
    for (const path of ['(1).repeat($this + 1)', 'name.repeat(%resource.name | $this.given | %resource)', `(1|2)${many(30, '.select($this.combine($this))', '')}.count()`, `name${many(40, '.combine(%resource.name)', '').replace(/\.combine/g, '.select($this).combine')}.repeatAll($this)`,
      `${'('.repeat(200)}1${')'.repeat(200)}`, '1 + '.repeat(6000) + '1', "(1).aggregate($total & $total & 'x', 'x')".replace('(1)', `(${many(60, '1', '.combine(')}${')'.repeat(59)})`)]) {
      const answer = await run(path);
      assert.ok(answer.status < 500, told(answer));
      if (answer.status !== 200) refused(answer);
    }
    refused(await run('(1).repeat($this + 1)'));
    refused(await run(`(1|2)${many(30, '.select($this.combine($this))', '')}.count()`));
  });

  beside('a FHIRPath patch that costs', async () => {
    const patient = await w.doctor.create({ resourceType: 'Patient', name: [{ family: '补' }] });
    for (const path of ['Patient.repeat(%resource.repeat($this.combine($this)))', `Patient.name${many(40, '.select($this.combine($this))', '')}`, "Patient.name.where(family.matches('(.*)*x(.*)*y'))"]) {
      refused(await w.doctor.request('PATCH', `/fhir/Patient/${patient.id}`, { resourceType: 'Parameters', parameter: [{ name: 'operation', part: [{ name: 'type', valueCode: 'replace' }, { name: 'path', valueString: path }, { name: 'value', valueString: 'x' }] }] }, FHIR));
    }
    assert.deepEqual(await w.doctor.read(`Patient/${patient.id}`), patient);
  });

  beside('_filter nested a thousand times', async () => {
    refused(await form('Patient', `_filter=${encodeURIComponent(`${'('.repeat(1000)}name eq x${')'.repeat(1000)}`)}`));
    refused(await form('Patient', `_filter=${encodeURIComponent(`${'not ('.repeat(1000)}name eq x${')'.repeat(1000)}`)}`));
    refused(await form('Patient', `_filter=${encodeURIComponent(many(1000, 'name eq x', ' or '))}`));
  });

  beside('value sets that include each other', async (number) => {
    const set = (url, includes) => ({ resourceType: 'ValueSet', url, status: 'active', compose: { include: includes.map((u) => ({ valueSet: [u] })) } });
    const name = `urn:fuzz:cycle-${number}`;
    await w.admins.county.create(set(`${name}-a`, [`${name}-b`]));
    await w.admins.county.create(set(`${name}-b`, [`${name}-a`, `${name}-a`]));
    refused(await w.doctor.request('GET', `/fhir/ValueSet/$expand?url=${name}-a`));
    refused(await w.doctor.request('GET', `/fhir/ValueSet/$validate-code?url=${name}-a&system=urn:x&code=y`));
    refused(await w.doctor.request('GET', `/fhir/Observation?code:in=${name}-a`));
    for (let i = 0; i < 12; i++) await w.admins.county.create(set(`${name}-deep${i}`, [`${name}-deep${i + 1}`, `${name}-deep${i + 1}`]));
    refused(await w.doctor.request('GET', `/fhir/ValueSet/$expand?url=${name}-deep0`));
    refused(await w.doctor.request('POST', '/fhir/ValueSet/$expand', { ...set('urn:own', []), compose: { include: [{ system: 'urn:big', concept: Array.from({ length: 21000 }, (_, i) => ({ code: `${i}` })) }] } }));
  });

  beside('includes that go round and round; a _count beyond all', async () => {
    const a = await w.admins.county.create({ resourceType: 'Location', name: '环', managingOrganization: { reference: `Organization/${w.made.county.organization}` } });
    const b = await w.admins.county.create({ resourceType: 'Location', name: '环', partOf: { reference: `Location/${a.id}` }, managingOrganization: { reference: `Organization/${w.made.county.organization}` } });
    await w.admins.county.update({ ...a, partOf: { reference: `Location/${b.id}` } });
    const round = await w.admins.county.must('GET', `/fhir/Location?_id=${a.id}&_include:iterate=Location:partof&_revinclude:iterate=Location:partof&_include:iterate=Location:organization&_revinclude:iterate=Location:organization&_count=100000000`);
    const seen = round.entry.map((e) => e.fullUrl);
    assert.equal(new Set(seen).size, seen.length, 'each once');
    assert.ok(seen.some((url) => url.endsWith(b.id)));
    refused(await w.doctor.request('GET', '/fhir/Patient?_count=99999999999999999999999'), 400);
  });

  beside('bundles of too many entries, bundles in bundles', async () => {
    const entry = { request: { method: 'GET', url: 'Patient/none' } };
    refused(await w.doctor.request('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry: Array(5001).fill(entry) }));
    let nested = { resourceType: 'Bundle', type: 'batch', entry: [entry] };
    for (let i = 0; i < 30; i++) nested = { resourceType: 'Bundle', type: 'batch', entry: [{ resource: nested, request: { method: 'POST', url: '' } }] };
    refused(await w.doctor.request('POST', '/fhir', nested));
  });

  beside('a profile whose rules cost, and one that is its own base', async (number) => {
    const profile = (url, base, expression) => ({ resourceType: 'StructureDefinition', url, name: 'F', status: 'active', kind: 'resource', abstract: false, type: 'Patient', baseDefinition: base, derivation: 'constraint',
      differential: { element: [{ id: 'Patient', path: 'Patient', constraint: [{ key: 'f-1', severity: 'error', human: '规则', expression }] }] } });
    const url = `urn:fuzz:profile-${number}`;
    for (const one of [profile(`${url}-a`, `${url}-b`, 'true'), profile(`${url}-b`, `${url}-a`, 'true'), profile(`${url}-c`, 'http://hl7.org/fhir/StructureDefinition/Patient', '(1).repeat($this + 1).exists()')]) {
      const made = await w.admins.county.request('POST', '/fhir/StructureDefinition', one);
      assert.ok(made.status < 500, told(made));
    }
    for (const which of ['a', 'c']) {
      const answer = await w.doctor.request('POST', `/fhir/Patient/$validate?profile=${url}-${which}`, { resourceType: 'Patient', name: [{ family: 'x' }] });
      assert.ok(answer.status < 500, told(answer));
      assert.equal(answer.json.resourceType, 'OperationOutcome', told(answer));
      assert.ok(answer.json.issue.some((i) => ['error', 'warning', 'fatal'].includes(i.severity)), told(answer));
    }
  });
});
