// Terminology operations over R4's own code systems and uploaded ones.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d;
let admin;
before(async () => { w = await startWorld(); d = w.doctor; admin = w.admins.county; });
after(async () => { await w?.stop(); });

const core = (name) => encodeURIComponent(`http://hl7.org/fhir/${name}`);
const get = (path) => d.request('GET', `/fhir/${path}`);
const value = (answer, name) => {
  const found = answer.json.parameter.find((p) => p.name === name);
  return found && Object.entries(found).find(([key]) => key.startsWith('value'))?.[1];
};
const parameters = (...list) => ({ resourceType: 'Parameters', parameter: list });

describe("R4's own", () => {
  test('$expand writes a value set out, filters and pages', async () => {
    const all = await get(`ValueSet/$expand?url=${core('ValueSet/administrative-gender')}`);
    assert.equal(all.status, 200, all.text);
    assert.deepEqual(all.json.expansion.contains.map((c) => c.code), ['male', 'female', 'other', 'unknown']);
    assert.equal(all.json.expansion.contains[0].display, 'Male');
    assert.equal(all.json.expansion.total, 4);
    const some = await get(`ValueSet/$expand?url=${core('ValueSet/administrative-gender')}&filter=MALE&offset=1&count=1`);
    assert.deepEqual(some.json.expansion.contains.map((c) => c.code), ['female']);
    assert.equal(some.json.expansion.total, 2);
    const below = await get(`ValueSet/$expand?url=${encodeURIComponent('http://terminology.hl7.org/ValueSet/v3-ActEncounterCode')}`);
    assert.ok(below.json.expansion.contains.some((c) => c.code === 'AMB'));
    assert.ok(!below.json.expansion.contains.some((c) => c.code === 'OBS'));
    const unknown = await get(`ValueSet/$expand?url=${core('ValueSet/observation-codes')}`);
    assert.equal(unknown.status, 400);
    assert.match(issuesOf(unknown)[0] + unknown.text, /loinc/);
    assert.equal((await get('ValueSet/$expand?url=urn:none')).status, 404);
    assert.equal((await get('ValueSet/$expand')).status, 400);
  });

  test('$validate-code says yes, no, and why', async () => {
    const ask = (query) => get(`ValueSet/$validate-code?url=${core('ValueSet/administrative-gender')}&${query}`);
    const system = core('administrative-gender');
    assert.equal(value(await ask(`system=${system}&code=male`), 'result'), true);
    assert.equal(value(await ask(`system=${system}&code=male`), 'display'), 'Male');
    const no = await ask(`system=${system}&code=man`);
    assert.deepEqual([value(no, 'result'), typeof value(no, 'message')], [false, 'string']);
    assert.equal(value(await ask('system=urn:x&code=male'), 'result'), false);
    assert.equal(value(await ask(`system=${system}&code=male&display=Weiblich`), 'result'), false);
    assert.equal((await ask('x=y')).status, 400);
    const concept = parameters({ name: 'url', valueUri: 'http://hl7.org/fhir/ValueSet/administrative-gender' },
      { name: 'codeableConcept', valueCodeableConcept: { coding: [{ system: 'urn:x', code: 'y' }, { system: 'http://hl7.org/fhir/administrative-gender', code: 'other' }] } });
    assert.equal(value(await d.request('POST', '/fhir/ValueSet/$validate-code', concept), 'result'), true);
    assert.equal(value(await get(`CodeSystem/$validate-code?url=${system}&code=female`), 'result'), true);
    assert.equal(value(await get(`CodeSystem/$validate-code?url=${system}&code=x`), 'result'), false);
  });

  test('$lookup, $subsumes', async () => {
    const found = await get(`CodeSystem/$lookup?system=${core('administrative-gender')}&code=female`);
    assert.equal(value(found, 'display'), 'Female');
    assert.equal(value(found, 'name'), 'AdministrativeGender');
    assert.equal((await get(`CodeSystem/$lookup?system=${core('administrative-gender')}&code=x`)).status, 404);
    assert.equal((await get('CodeSystem/$lookup?system=http://loinc.org&code=1-8')).status, 404);
    assert.equal((await get('CodeSystem/$lookup?code=x')).status, 400);
    const posted = await d.request('POST', '/fhir/CodeSystem/$lookup', parameters({ name: 'coding', valueCoding: { system: 'http://hl7.org/fhir/administrative-gender', code: 'male' } }));
    assert.equal(value(posted, 'display'), 'Male');
    const act = encodeURIComponent('http://terminology.hl7.org/CodeSystem/v3-ActCode');
    const subsumes = async (a, b) => value(await get(`CodeSystem/$subsumes?system=${act}&codeA=${a}&codeB=${b}`), 'outcome');
    assert.equal(await subsumes('_ActEncounterCode', 'ACUTE'), 'subsumes');
    assert.equal(await subsumes('ACUTE', '_ActEncounterCode'), 'subsumed-by');
    assert.equal(await subsumes('AMB', 'AMB'), 'equivalent');
    assert.equal(await subsumes('AMB', 'EMER'), 'not-subsumed');
    assert.equal((await get(`CodeSystem/$subsumes?system=${act}&codeA=AMB&codeB=nothing`)).status, 404);
  });

  test('$translate by a map', async () => {
    const url = encodeURIComponent('http://hl7.org/fhir/ConceptMap/cm-administrative-gender-v3');
    const answer = await get(`ConceptMap/$translate?url=${url}&system=${core('administrative-gender')}&code=male`);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(value(answer, 'result'), true);
    const match = answer.json.parameter.find((p) => p.name === 'match').part;
    assert.equal(match.find((p) => p.name === 'concept').valueCoding.code, 'M');
    const back = await get(`ConceptMap/$translate?url=${url}&code=M&reverse=true`);
    assert.equal(back.json.parameter.find((p) => p.name === 'match').part.find((p) => p.name === 'concept').valueCoding.code, 'male');
    assert.equal(value(await get(`ConceptMap/$translate?url=${url}&code=nothing`), 'result'), false);
  });

  test('$translate without a map: by the value sets, or the system to go to', async () => {
    const v3 = 'http://terminology.hl7.org/ValueSet/v3-AddressUse';
    const codes = (answer) => (answer.json.parameter.filter((p) => p.name === 'match')).map((p) => p.part.find((x) => x.name === 'concept').valueCoding);
    const there = await get(`ConceptMap/$translate?system=${core('address-use')}&code=home&target=${v3}`);
    assert.equal(value(there, 'result'), true);
    assert.deepEqual([...new Set(codes(there).map((c) => c.system))], ['http://terminology.hl7.org/CodeSystem/v3-AddressUse']);
    const system = await get(`ConceptMap/$translate?system=${core('address-use')}&code=home&targetsystem=http://terminology.hl7.org/CodeSystem/v2-0190`);
    assert.deepEqual(codes(system).map((c) => c.code), ['H']);
    assert.equal(value(await get(`ConceptMap/$translate?system=${core('address-use')}&code=home&target=urn:nowhere`), 'result'), false);
    assert.equal((await get('ConceptMap/$translate?code=home')).status, 400);
  });
});

describe('uploaded', () => {
  const system = 'urn:test:codes:ward';
  const codes = { resourceType: 'CodeSystem', url: system, name: 'Ward', status: 'active', content: 'complete', concept: [
    { code: 'in', display: '内科', definition: '内科病房', concept: [{ code: 'resp', display: '呼吸科', property: [{ code: 'beds', valueInteger: 40 }] }, { code: 'card', display: '心内科' }] },
    { code: 'out', display: '外科' }] };
  const set = { resourceType: 'ValueSet', url: 'urn:test:set:inner', status: 'active', compose: {
    include: [{ system, filter: [{ property: 'concept', op: 'is-a', value: 'in' }] }], exclude: [{ system, concept: [{ code: 'card' }] }] } };

  test('are found by url and by id, with filters and excludes', async () => {
    await admin.create(codes);
    const made = await admin.create(set);
    for (const path of [`ValueSet/$expand?url=${set.url}`, `ValueSet/${made.id}/$expand`]) {
      assert.deepEqual((await get(path)).json.expansion.contains.map((c) => c.code), ['in', 'resp'], path);
    }
    const inline = await d.request('POST', '/fhir/ValueSet/$expand', parameters({ name: 'valueSet', resource: { resourceType: 'ValueSet', status: 'active',
      compose: { include: [{ valueSet: [set.url] }, { system, concept: [{ code: 'out' }] }] } } }, { name: 'filter', valueString: '科' }));
    assert.deepEqual(inline.json.expansion.contains.map((c) => c.display), ['内科', '呼吸科', '外科']);
    assert.equal(value(await get(`ValueSet/$validate-code?url=${set.url}&system=${system}&code=resp`), 'result'), true);
    assert.equal(value(await get(`ValueSet/$validate-code?url=${set.url}&system=${system}&code=card`), 'result'), false);
    const looked = await get(`CodeSystem/$lookup?system=${system}&code=resp`);
    assert.equal(value(looked, 'display'), '呼吸科');
    assert.equal(looked.json.parameter.find((p) => p.name === 'property').part.find((p) => p.name === 'value').valueInteger, 40);
    assert.equal(value(await get(`CodeSystem/$subsumes?system=${system}&codeA=in&codeB=resp`), 'outcome'), 'subsumes');
  });

  test('value sets that name themselves and filters that are not offered end in a 4xx', async () => {
    const loop = { resourceType: 'ValueSet', url: 'urn:test:set:loop', status: 'active', compose: { include: [{ valueSet: ['urn:test:set:loop'] }] } };
    await admin.create(loop);
    assert.equal((await get(`ValueSet/$expand?url=${loop.url}`)).status, 422);
    assert.equal((await get(`ValueSet/$validate-code?url=${loop.url}&code=x&system=y`)).status, 422);
    const odd = { resourceType: 'ValueSet', url: 'urn:test:set:odd', status: 'active', compose: { include: [{ system, filter: [{ property: 'display', op: 'regex', value: '(a+)+' }] }] } };
    await admin.create(odd);
    assert.deepEqual((await get(`ValueSet/$expand?url=${odd.url}`)).json.expansion.contains ?? [], []);
    const filtered = async (filter) => d.request('POST', '/fhir/ValueSet/$expand', { resourceType: 'Parameters', parameter: [{ name: 'valueSet', resource: { ...odd, url: 'urn:test:set:mine', compose: { include: [{ system, filter: [filter] }] } } }] });
    const codes = async (filter) => ((await filtered(filter)).json.expansion.contains ?? []).map((c) => c.code).sort();
    assert.deepEqual(await codes({ property: 'code', op: 'regex', value: '(in|resp)' }), ['in', 'resp']);
    assert.deepEqual(await codes({ property: 'code', op: 'regex', value: 'res' }), [], 'the whole value');
    assert.deepEqual(await codes({ property: 'display', op: 'regex', value: '.*科' }), await codes({ property: 'display', op: 'regex', value: '^.*科$' }));
    assert.deepEqual(await codes({ property: 'concept', op: 'generalizes', value: 'resp' }), ['in', 'resp']);
    assert.deepEqual(await codes({ property: 'concept', op: 'generalizes', value: 'in' }), ['in']);
    assert.equal((await filtered({ property: 'code', op: 'regex', value: '(((' })).status, 422);
    assert.equal((await filtered({ property: 'code', op: 'nonsense', value: 'x' })).status, 400);
    // Codes that cost: all expressions of a request share one budget.
    const slow = { resourceType: 'CodeSystem', url: 'urn:test:slow', status: 'active', content: 'complete', concept: Array.from({ length: 400 }, (_, i) => ({ code: `${'a'.repeat(24)}${i}` })) };
    await admin.create(slow);
    const bomb = await d.request('POST', '/fhir/ValueSet/$expand', { resourceType: 'Parameters', parameter: [{ name: 'valueSet', resource: { ...odd, compose: { include: [{ system: slow.url, filter: [{ property: 'code', op: 'regex', value: '(a+)+b' }] }] } } }] });
    assert.equal(bomb.status, 422, bomb.text.slice(0, 300));
  });

  test('bind elements of an uploaded profile', async () => {
    await admin.create({ resourceType: 'StructureDefinition', url: 'urn:test:profile:ward', name: 'W', status: 'active', kind: 'resource', abstract: false, type: 'Location',
      baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Location', derivation: 'constraint',
      differential: { element: [{ path: 'Location.physicalType', min: 1, binding: { strength: 'required', valueSet: set.url } }] } });
    const place = (code) => ({ resourceType: 'Location', name: '病房', meta: { profile: ['urn:test:profile:ward'] },
      managingOrganization: { reference: admin.organization }, physicalType: { coding: [{ system, code }] } });
    assert.equal((await admin.request('POST', '/fhir/Location', place('resp'))).status, 201);
    const refused = await admin.request('POST', '/fhir/Location', place('card'));
    assert.equal(refused.status, 400);
    assert.equal(refused.json.issue.find((i) => i.severity === 'error').code, 'code-invalid');
  });

  test('nobody without a session', async () => {
    assert.equal((await fetch(`${w.base}/fhir/ValueSet/$expand?url=${set.url}`)).status, 401);
  });
});
