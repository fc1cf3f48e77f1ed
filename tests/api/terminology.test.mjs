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

  describe('all that the operations take', () => {
    const ward = 'urn:test:codes:bed';
    const beds = { resourceType: 'CodeSystem', url: ward, version: '2', name: 'Bed', status: 'active', content: 'complete', concept: [
      { code: 'group', display: '床位', property: [{ code: 'notSelectable', valueBoolean: true }], concept: [
        { code: 'icu', display: '监护床', designation: [{ language: 'en', value: 'Intensive care bed' }, { language: 'zh-CN', value: '重症监护床' }] },
        { code: 'old', display: '旧式床', property: [{ code: 'status', valueCode: 'retired' }] }] }] };
    const mine = { resourceType: 'ValueSet', url: 'urn:test:set:bed', version: '1', status: 'active', compose: { include: [{ system: ward }] } };
    const codes = (answer) => (answer.json.expansion.contains ?? []).map((c) => c.code);
    let system;
    let valueSet;
    before(async () => { system = await admin.create(beds); valueSet = await admin.create(mine); });

    test('$expand: inactive and abstract codes, designations, languages, versions', async () => {
      const expand = (query = '') => get(`ValueSet/$expand?url=${mine.url}${query}`);
      const all = await expand();
      assert.deepEqual(codes(all), ['group', 'icu', 'old']);
      assert.deepEqual(all.json.expansion.contains.map((c) => [c.abstract, c.inactive]), [[true, undefined], [undefined, undefined], [undefined, true]]);
      assert.equal(all.json.expansion.contains[1].designation, undefined);
      assert.equal(all.json.compose, undefined);
      assert.equal(all.json.expansion.parameter, undefined);
      const less = await expand('&activeOnly=true&includeDesignations=true&excludeNested=true&includeDefinition=true&count=2');
      assert.deepEqual(codes(less), ['group', 'icu']);
      assert.equal(less.json.expansion.contains[1].designation[0].value, 'Intensive care bed');
      assert.deepEqual(less.json.compose, mine.compose);
      assert.deepEqual(less.json.expansion.parameter, [{ name: 'count', valueInteger: 2 }, { name: 'includeDesignations', valueBoolean: true }, { name: 'includeDefinition', valueBoolean: true },
        { name: 'activeOnly', valueBoolean: true }, { name: 'excludeNested', valueBoolean: true }]);
      const display = async (language) => (await expand(`&displayLanguage=${language}`)).json.expansion.contains[1].display;
      assert.deepEqual([await display('en'), await display('en-GB'), await display('zh'), await display('fr')], ['Intensive care bed', 'Intensive care bed', '重症监护床', '监护床']);
      assert.deepEqual(codes(await expand('&filter=intensive')), ['icu'], 'a designation');
      assert.deepEqual(codes(await expand('&count=0')), []);
      assert.equal((await expand('&count=0')).json.expansion.total, 3);
      assert.deepEqual(codes(await d.request('POST', '/fhir/ValueSet/$expand', parameters({ name: 'valueSet', resource: { ...mine, compose: { ...mine.compose, inactive: false } } }))), ['group', 'icu']);
      // Versions: of the set, of the system in it.
      assert.equal((await expand('&valueSetVersion=1')).status, 200);
      assert.equal((await expand('&valueSetVersion=9')).status, 404);
      await admin.create({ ...beds, version: '3', concept: [{ code: 'icu', display: '三号' }] });
      assert.deepEqual(codes(await expand(`&system-version=${encodeURIComponent(`${ward}|2`)}`)), ['group', 'icu', 'old']);
      assert.deepEqual(codes(await expand(`&system-version=${encodeURIComponent(`${ward}|3`)}`)), ['icu']);
      assert.equal((await expand(`&system-version=${encodeURIComponent(`${ward}|4`)}`)).status, 400);
      assert.equal((await expand('&system-version=urn:x')).status, 400);
      const pinned = (version) => d.request('POST', '/fhir/ValueSet/$expand', parameters({ name: 'valueSet', resource: { resourceType: 'ValueSet', status: 'active', compose: { include: [{ system: ward, version }] } } }));
      assert.deepEqual(codes(await pinned('2')), ['group', 'icu', 'old']);
      assert.deepEqual(codes(await pinned('3')), ['icu']);
      // A code whose system nobody has here: no display is made up.
      const foreign = await d.request('POST', '/fhir/ValueSet/$expand', parameters({ name: 'valueSet', resource: { resourceType: 'ValueSet', status: 'active', compose: { include: [{ system: 'http://loinc.org', concept: [{ code: '1-8' }] }] } } }));
      assert.deepEqual(foreign.json.expansion.contains, [{ system: 'http://loinc.org', code: '1-8' }]);
    });

    test('what is not offered is refused, unless the client can do without', async () => {
      for (const path of [`ValueSet/$expand?url=${mine.url}&date=2020`, `ValueSet/$validate-code?url=${mine.url}&system=${ward}&code=icu&context=x`, `CodeSystem/$lookup?system=${ward}&code=icu&date=2020`,
        `CodeSystem/$subsumes?system=${ward}&codeA=icu&codeB=icu&x=y`, `ConceptMap/$translate?system=${ward}&code=icu&x=y`, `CodeSystem/$validate-code?url=${ward}&code=icu&date=2020`]) {
        const refused = await get(path);
        assert.deepEqual([refused.status, refused.json.issue[0].code], [400, 'not-supported'], path);
        assert.equal((await d.request('GET', `/fhir/${path}`, undefined, { Prefer: 'handling=lenient' })).status, 200, path);
      }
      assert.equal((await d.request('POST', '/fhir/ValueSet/$expand', parameters({ name: 'url', valueUri: mine.url }, { name: 'date', valueDateTime: '2020' }))).status, 400);
      assert.equal((await get(`ValueSet/$expand?url=${mine.url}&activeOnly=yes`)).status, 400);
    });

    test('$validate-code: displays, abstract codes, the system that is meant', async () => {
      const ask = async (query) => get(`ValueSet/$validate-code?url=${mine.url}&${query}`);
      const result = async (query) => value(await ask(query), 'result');
      assert.equal(await result(`system=${ward}&systemVersion=2&code=icu&display=${encodeURIComponent('重症监护床')}`), true);
      assert.equal(await result(`system=${ward}&systemVersion=2&code=icu&display=${encodeURIComponent('门诊')}`), false);
      assert.equal(await result(`system=${ward}&systemVersion=7&code=icu`), false);
      assert.equal(value(await ask(`system=${ward}&systemVersion=2&code=icu&displayLanguage=en`), 'display'), 'Intensive care bed');
      assert.equal((await ask('code=icu')).status, 400, 'no system');
      assert.deepEqual([value(await ask('code=icu&inferSystem=true'), 'result'), value(await ask('code=icu&inferSystem=true'), 'system')], [true, ward]);
      const two = parameters({ name: 'valueSet', resource: { resourceType: 'ValueSet', status: 'active', compose: { include: [{ system: 'urn:a', concept: [{ code: 'x' }] }, { system: 'urn:b', concept: [{ code: 'x' }] }] } } }, { name: 'code', valueCode: 'x' }, { name: 'inferSystem', valueBoolean: true });
      const ambiguous = await d.request('POST', '/fhir/ValueSet/$validate-code', two, { 'Accept-Language': 'en' });
      assert.deepEqual([value(ambiguous, 'result'), value(ambiguous, 'message')], [false, 'several systems have the code: give its system']);
      const abstract = async (flag) => value(await get(`CodeSystem/${system.id}/$validate-code?code=group${flag}`), 'result');
      assert.deepEqual([await abstract(''), await abstract('&abstract=true'), await abstract('&abstract=false')], [true, true, false]);
      assert.equal(value(await get(`ValueSet/${valueSet.id}/$validate-code?system=${ward}&code=icu`), 'result'), true);
    });

    test('$lookup of a version, with the properties asked for; $subsumes of one CodeSystem', async () => {
      const lookup = (query) => get(`CodeSystem/$lookup?system=${ward}&version=2&${query}`);
      const properties = (answer) => answer.json.parameter.filter((p) => p.name === 'property').map((p) => [p.part[0].valueCode, p.part[1].valueCode ?? p.part[1].valueString ?? p.part[1].valueBoolean]);
      assert.deepEqual(properties(await lookup('code=old')), [['status', 'retired']]);
      assert.deepEqual(properties(await lookup('code=old&property=parent')), [['parent', 'group']]);
      assert.deepEqual(properties(await lookup('code=group&property=child&property=notSelectable')), [['notSelectable', true], ['child', 'icu'], ['child', 'old']]);
      const designations = async (query) => (await lookup(query)).json.parameter.filter((p) => p.name === 'designation').length;
      assert.deepEqual([await designations('code=icu'), await designations('code=icu&property=parent'), await designations('code=icu&property=lang.en')], [2, 0, 1]);
      assert.equal(value(await lookup('code=icu&displayLanguage=en'), 'display'), 'Intensive care bed');
      assert.equal((await get(`CodeSystem/$lookup?system=${ward}&version=9&code=icu`)).status, 404);
      const path = `CodeSystem/${system.id}/$subsumes`;
      assert.equal(value(await get(`${path}?codeA=group&codeB=icu`), 'outcome'), 'subsumes');
      assert.equal(value(await d.request('POST', `/fhir/${path}`, parameters({ name: 'codeA', valueCode: 'icu' }, { name: 'codeB', valueCode: 'group' })), 'outcome'), 'subsumed-by');
      assert.equal((await get(`${path}?system=urn:other&codeA=group&codeB=icu`)).status, 400);
    });

    test('$translate: dependencies, products, what is done with the rest', async () => {
      const map = (unmapped, url) => ({ resourceType: 'ConceptMap', url, status: 'active', group: [{ source: 'urn:a', target: 'urn:b', unmapped, element: [
        { code: '1', target: [{ code: 'I', equivalence: 'equal', product: [{ property: 'urn:p', system: 'urn:c', value: 'more' }] },
          { code: 'II', equivalence: 'wider', dependsOn: [{ property: 'urn:sex', system: 'urn:s', value: 'f' }] }] },
        { code: '2', target: [{ equivalence: 'unmatched' }] }] }] });
      const translate = (resource, code, ...more) => d.request('POST', '/fhir/ConceptMap/$translate', parameters({ name: 'conceptMap', resource }, { name: 'system', valueUri: 'urn:a' }, { name: 'code', valueCode: code }, ...more));
      const matches = (answer) => answer.json.parameter.filter((p) => p.name === 'match').map((m) => [m.part.find((p) => p.name === 'equivalence').valueCode, m.part.find((p) => p.name === 'concept').valueCoding.code]);
      const dependency = (code) => ({ name: 'dependency', part: [{ name: 'element', valueUri: 'urn:sex' }, { name: 'concept', valueCodeableConcept: { coding: [{ system: 'urn:s', code }] } }] });
      const plain = await translate(map(undefined, 'urn:map:1'), '1');
      assert.deepEqual(matches(plain), [['equal', 'I']]);
      const parts = plain.json.parameter.find((p) => p.name === 'match').part;
      assert.deepEqual(parts.find((p) => p.name === 'product').part.map((p) => p.valueUri ?? p.valueCoding), ['urn:p', { system: 'urn:c', code: 'more' }]);
      assert.equal(parts.find((p) => p.name === 'source').valueUri, 'urn:map:1');
      assert.deepEqual(matches(await translate(map(), '1', dependency('f'))), [['equal', 'I'], ['wider', 'II']]);
      assert.deepEqual(matches(await translate(map(), '1', dependency('m'))), [['equal', 'I']]);
      assert.equal(value(await translate(map(), '9'), 'result'), false);
      assert.deepEqual(matches(await translate(map({ mode: 'provided' }), '9')), [['equivalent', '9']]);
      assert.deepEqual(matches(await translate(map({ mode: 'provided' }), '2')), [], 'it is in the map');
      assert.deepEqual(matches(await translate(map({ mode: 'fixed', code: '?' }), '9')), [['inexact', '?']]);
      await admin.create(map({ mode: 'fixed', code: 'other' }, 'urn:map:other'));
      await admin.create(map({ mode: 'other-map', url: 'urn:map:circle' }, 'urn:map:circle'));
      assert.deepEqual(matches(await translate(map({ mode: 'other-map', url: 'urn:map:other' }), '9')), [['inexact', 'other']]);
      assert.deepEqual(matches(await translate(map({ mode: 'other-map', url: 'urn:map:circle' }), '9')), []);
    });

    test('GET and POST everywhere; what there is is told by metadata?mode=terminology', async () => {
      const of = (object) => Object.entries(object).map(([name, valueString]) => ({ name, valueString }));
      for (const [path, query] of [['ValueSet/$expand', { url: mine.url }], [`ValueSet/${valueSet.id}/$expand`, {}], ['ValueSet/$validate-code', { url: mine.url, system: ward, code: 'icu' }],
        ['CodeSystem/$validate-code', { url: ward, code: 'icu' }], ['CodeSystem/$lookup', { system: ward, code: 'icu' }], ['CodeSystem/$subsumes', { system: ward, codeA: 'icu', codeB: 'icu' }],
        ['ConceptMap/$translate', { system: ward, code: 'icu' }]]) {
        const [got, posted] = [await get(`${path}?${new URLSearchParams(query)}`), await d.request('POST', `/fhir/${path}`, parameters(...of(query)))];
        assert.deepEqual([got.status, posted.status], [200, 200], path);
        const plain = (answer) => JSON.stringify(answer.json).replace(/urn:uuid:[^"]*|"timestamp":"[^"]*"/g, '');
        assert.equal(plain(posted), plain(got), path);
      }
      const told = await (await fetch(`${w.base}/fhir/metadata?mode=terminology`)).json();
      assert.equal(told.resourceType, 'TerminologyCapabilities');
      assert.ok(told.codeSystem.length > 900);
      assert.ok(told.expansion.parameter.some((p) => p.name === 'activeOnly'));
      const checked = await d.request('POST', '/fhir/TerminologyCapabilities/$validate', told);
      assert.ok(checked.status === 403 || issuesOf(checked).every((i) => !/error|fatal/.test(i)), checked.text);
      assert.equal((await (await fetch(`${w.base}/fhir/metadata?mode=full`)).json()).resourceType, 'CapabilityStatement');
      assert.equal((await fetch(`${w.base}/fhir/metadata?mode=other`)).status, 400);
    });
  });

  test('nobody without a session', async () => {
    assert.equal((await fetch(`${w.base}/fhir/ValueSet/$expand?url=${set.url}`)).status, 401);
  });
});
