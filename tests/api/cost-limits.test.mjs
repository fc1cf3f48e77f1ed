// What costs without end, by name: texts that double, trees copied into themselves, rings of profiles, maps and codes, numbers
// of a million digits, answers larger than memory. Each ends in a 4xx with its reason or in an answer, never in a 5xx or a cut
// line, and somebody else's reads are all answered beside it. Counts, never times.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { addSignedIn } from '../../scenarios/world.mjs';
import { startWorld } from './support.mjs';

const FHIR = { 'Content-Type': 'application/fhir+json' };
const many = (count, part, between = '') => Array(count).fill(part).join(between);

let w;
let d;
let admin;
let steward;
let others; // what somebody else asked beside the attacks
before(async () => {
  w = await startWorld();
  d = w.doctor;
  admin = w.admins.county;
  steward = await addSignedIn(admin, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
  others = { goes: true, answered: 0, refused: [] };
  others.running = (async () => {
    while (others.goes) {
      for (const path of [`/fhir/Patient/${w.patient.id}`, `/fhir/ImagingStudy?subject=Patient/${w.patient.id}`]) {
        const { status } = await w.radiologist.request('GET', path);
        if (status === 200) others.answered++; else others.refused.push(status);
      }
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  })();
});
after(async () => {
  others.goes = false;
  await others.running;
  await w?.stop();
});

const told = (answer) => `${answer.status} ${answer.text.slice(0, 300)}`;
function refused(answer, pattern = /./) {
  assert.ok(answer.status >= 400 && answer.status < 500, told(answer));
  assert.equal(answer.json?.resourceType, 'OperationOutcome', told(answer));
  assert.match(answer.json.issue.map((i) => i.diagnostics ?? i.details?.text).join(), pattern, told(answer));
}
const answered = (answer) => assert.ok(answer.status < 500, told(answer));
const post = (path, tree, person = d) => person.request('POST', `/fhir${path}`, typeof tree === 'string' ? tree : JSON.stringify(tree), FHIR);
const form = (type, body) => d.request('POST', `/fhir/${type}/_search`, body, { 'Content-Type': 'application/x-www-form-urlencoded' });
const run = (select, resources = { resourceType: 'Patient', name: [{ family: 'a'.repeat(60), given: ['b'] }] }) => post('/ViewDefinition/$run', { resourceType: 'Parameters', parameter: [
  { name: 'viewResource', resource: { resourceType: 'ViewDefinition', status: 'active', resource: 'Patient', select: typeof select === 'string' ? [{ column: [{ name: 'x', path: select }] }] : select } },
  ...[resources].flat().map((resource) => ({ name: 'resource', resource }))] }, steward);
const names = { resourceType: 'Patient', name: Array(100).fill({ family: 'a' }) };
const leaves = { resourceType: 'Patient', extension: Array(300).fill({ url: 'u', valueString: 'x' }) };

describe('expressions', () => {
  test('texts and lists that double', async () => {
    const sixty = `(${many(60, '1', '.combine(')}${')'.repeat(59)})`;
    refused(await run(`${sixty}.aggregate($total & $total, 'xxxxxxxx').length()`));
    refused(await run(`name.family${many(14, ".replaceMatches('[a-z]', 'aaaaaaaa')")}.length()`), /too long/);
    refused(await run(`name.family${many(14, ".replace('', 'aaaaaaaa')")}.length()`), /too long/);
    refused(await run(`name.family${many(14, ".split('').join('aaaaaaaaa')")}.length()`));
    refused(await run("('a').repeat($this & 'a').count()"), /steps/);
    refused(await run('descendants().select(%resource.descendants()).select(%resource.descendants()).distinct().count()', leaves), /steps/);
  });

  test('regular expressions', async () => {
    for (const pattern of ['((((a*)*)*)*)*b', '(((a{1,999}){1,999}){1,999}){1,999}b', 'a{999999999}', `${'('.repeat(5000)}a${')'.repeat(5000)}`, `(${many(2000, 'a?', '|')})*b`]) {
      refused(await run(`name.family.matches('${pattern}')`), /regular expression/);
    }
  });

  test('numbers, dates and units beyond all measure are empty or refused', async () => {
    for (const path of ['(2).power(1000000000)', '(99999999.99999999).power(99999)', '(99999.0).exp()', '(1.5).lowBoundary(999999999)', "'1e999999'.toDecimal()", "(1 '10*999999999') = (2 'm999999999')", '@9999-12-31 + 99999999999 years', '@0001-01-01 - 1 year']) {
      const answer = await run(path);
      assert.deepEqual([answer.status, answer.text.trim()], [200, '[{"x":null}]'], path);
    }
    refused(await run(`${'9'.repeat(8000)} * ${'9'.repeat(7000)}`), /too many digits/);
    refused(await run('name[99999999999999999999]'), /index/);
    refused(await run(`${'iif(true, '.repeat(1000)}1${')'.repeat(1000)}`), /nested too deep/);
    answered(await run(`(1 '${many(3000, 'm', '.')}') < (2 '${many(3000, 'm', '.')}')`));
  });

  test('views whose rows multiply', async () => {
    const nested = (depth) => (depth === 0 ? { column: [{ name: 'x', path: '1' }] } : { forEach: '%resource.name', select: [nested(depth - 1)] });
    refused(await run([nested(6)], names), /10000 rows/);
    refused(await run(Array.from({ length: 8 }, (_, i) => ({ forEach: 'name', column: [{ name: `c${i}`, path: 'family' }] })), names), /10000 rows/);
    refused(await run([{ unionAll: Array(3000).fill({ forEach: 'name', column: [{ name: 'x', path: 'family' }] }) }], names), /10000 rows/);
    refused(await run([{ repeat: ['%resource'], column: [{ name: 'x', path: '1' }] }], names), /too deep/);
    refused(await run([{ column: Array.from({ length: 5000 }, (_, i) => ({ name: `c${i}`, path: 'name.family' })) }], names), /too many columns/);
  });
});

describe('bodies', () => {
  test('JSON ten thousand levels deep, wherever JSON is read', async () => {
    const deep = `{"resourceType":"Patient","extension":${'[{"extension":'.repeat(10000)}[]${'}]'.repeat(10000)}}`;
    for (const [person, method, path, type] of [[d, 'POST', '/fhir/Patient'], [d, 'POST', '/fhir'], [d, 'POST', '/fhir/Patient/$validate'], [d, 'POST', '/fhir/ValueSet/$expand'], [d, 'POST', `/fhir/Patient/${w.patient.id}/$meta-add`], [steward, 'POST', '/fhir/ViewDefinition/$run'],
      [d, 'PATCH', `/fhir/Patient/${w.patient.id}`], [d, 'PATCH', `/fhir/Patient/${w.patient.id}`, 'application/json-patch+json']]) {
      refused(await person.request(method, path, deep, { 'Content-Type': type ?? 'application/fhir+json' }), /deep|too|larger/);
    }
  });

  test('a JSON Patch that copies a list into itself is told so, and the line is not cut', async () => {
    const patient = await d.create({ resourceType: 'Patient', extension: [{ url: 'u', extension: [{ url: 'v', valueString: 'x'.repeat(100) }] }] });
    const patch = (operations) => d.request('PATCH', `/fhir/Patient/${patient.id}`, JSON.stringify(operations), { 'Content-Type': 'application/json-patch+json' });
    refused(await patch(Array(60).fill({ op: 'copy', from: '/extension/0/extension', path: '/extension/0/extension/-' })), /memory/);
    refused(await patch(Array(1001).fill({ op: 'test', path: '/id', value: patient.id })), /1000 operations/);
    assert.deepEqual(await d.read(`Patient/${patient.id}`), patient);
  });

  test('numbers without end are kept digit by digit, searched without harm', async () => {
    for (const value of ['1e999999', '1e-999999', `0.${'0'.repeat(100000)}1`, '9'.repeat(1000000)]) {
      const made = await post('/Observation', `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/${w.patient.id}"},"valueQuantity":{"value":${value},"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}`);
      assert.equal(made.status, 201, told(made).slice(0, 300));
      assert.ok((await d.request('GET', `/fhir/Observation/${made.json.id}`)).text.includes(`"value":${value},`), value.slice(0, 20));
    }
    for (const query of ['value-quantity=gt1e999999', `value-quantity=gt${'9'.repeat(200000)}`, 'date=gt99999-01-01', '_lastUpdated=gt-1']) refused(await form('Observation', query));
    for (const query of ['value-quantity=ap1e308', 'value-quantity=gt1e300', '_count=99999999999']) answered(await form('Observation', query));
  });

  test('more issues, index values, identifiers than one resource may have', async () => {
    const wrong = await post('/Patient', { resourceType: 'Patient', name: Array(20000).fill({ nonsense: 1 }) });
    refused(wrong, /no such element/);
    assert.ok(wrong.json.issue.length <= 51, `${wrong.json.issue.length} issues`);
    refused(await post('/Patient', { resourceType: 'Patient', identifier: Array.from({ length: 20000 }, (_, i) => ({ system: 'urn:x', value: `${i}` })) }), /values to search by/);
  });

  test('a body that says it is packed is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(50 << 20, 0x20));
    refused(await d.request('POST', '/fhir/Patient', bomb, { ...FHIR, 'Content-Encoding': 'gzip' }));
  });
});

describe('rings', () => {
  const uuid = (i) => `urn:uuid:00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;

  test('a transaction of 5,000 whose references make one ring', async () => {
    const entry = Array.from({ length: 5000 }, (_, i) => ({ fullUrl: uuid(i), resource: { resourceType: 'Basic', code: { text: 'x' }, subject: { reference: uuid((i + 1) % 5000) } }, request: { method: 'POST', url: 'Basic' } }));
    const answer = await post('/', { resourceType: 'Bundle', type: 'transaction', entry });
    assert.ok([200, 403].includes(answer.status), told(answer));
    const patients = entry.map((e) => ({ ...e, resource: { resourceType: 'Patient', link: [{ other: e.resource.subject, type: 'seealso' }] }, request: { method: 'POST', url: 'Patient' } }));
    const made = await post('/', { resourceType: 'Bundle', type: 'transaction', entry: patients });
    assert.equal(made.status, 200, told(made));
    assert.equal(made.json.entry.length, 5000);
    const one = await d.read(made.json.entry[4999].response.location.split('/').slice(0, 2).join('/'));
    assert.equal(one.link[0].other.reference, made.json.entry[0].response.location.split('/').slice(0, 2).join('/'));
  });

  test('profiles that ask for each other', async () => {
    const profile = (name, element, type = 'Observation') => admin.create({ resourceType: 'StructureDefinition', url: `urn:cost:${name}`, name: 'F', status: 'active', abstract: false, type,
      kind: type === 'Extension' ? 'complex-type' : 'resource', baseDefinition: `http://hl7.org/fhir/StructureDefinition/${type}`, derivation: 'constraint', ...(type === 'Extension' && { context: [{ type: 'element', expression: 'Element' }] }), differential: { element } });
    const rule = (expression) => [{ id: 'Observation', path: 'Observation', constraint: [{ key: 'f-1', severity: 'error', human: 'x', expression }] }];
    await profile('p1', rule("hasMember.resolve().all(conformsTo('urn:cost:p2'))"));
    await profile('p2', rule("hasMember.resolve().all(conformsTo('urn:cost:p1')) and conformsTo('urn:cost:p1')"));
    await profile('p3', [{ id: 'Observation.hasMember', path: 'Observation.hasMember', type: [{ code: 'Reference', targetProfile: ['urn:cost:p3'] }] }]);
    await profile('p4', [{ id: 'Observation.contained', path: 'Observation.contained', type: [{ code: 'Resource', profile: ['urn:cost:p4'] }] }]);
    await profile('ext', [{ id: 'Extension.extension', path: 'Extension.extension', type: [{ code: 'Extension', profile: ['urn:cost:ext'] }] }, { id: 'Extension.url', path: 'Extension.url', fixedUri: 'urn:cost:ext' }], 'Extension');
    const of = (id, to) => ({ resourceType: 'Observation', id, status: 'final', code: { text: 'x' }, hasMember: to.map((reference) => ({ reference })) });
    const ring = { ...of('r', ['#a', '#b']), contained: [of('a', ['#b', '#a']), of('b', ['#a', '#b'])] };
    let extension = { url: 'urn:cost:ext', valueString: 'x' };
    for (let i = 0; i < 25; i++) extension = { url: 'urn:cost:ext', extension: [extension] };
    const asked = [...['p1', 'p2', 'p3', 'p4'].map((name) => [`/Observation/$validate?profile=urn:cost:${name}`, ring]), ['/Patient/$validate', { resourceType: 'Patient', extension: Array(100).fill(extension) }],
      ['/Observation/$validate', { ...ring, meta: { profile: Array.from({ length: 5000 }, (_, i) => `urn:cost:p${i % 4 + 1}`) } }]];
    for (const [path, tree] of asked) {
      const answer = await post(path, tree);
      assert.equal(answer.json?.resourceType, 'OperationOutcome', told(answer));
      answered(answer);
    }
  });

  test('codes that are their own ancestors, maps that lead to themselves, filters without number', async () => {
    await admin.create({ resourceType: 'CodeSystem', status: 'active', url: 'urn:cost:ring', content: 'complete', hierarchyMeaning: 'is-a', property: [{ code: 'parent', type: 'code', uri: 'http://hl7.org/fhir/concept-properties#parent' }],
      concept: Array.from({ length: 3000 }, (_, i) => ({ code: `c${i}`, property: [{ code: 'parent', valueCode: `c${(i + 1) % 3000}` }] })) });
    const expand = (include, more = {}) => post('/ValueSet/$expand', { resourceType: 'Parameters', parameter: [{ name: 'valueSet', resource: { resourceType: 'ValueSet', status: 'active', compose: { include, ...more } } }] });
    const filter = (property, op, value) => [{ system: 'urn:cost:ring', filter: [{ property, op, value }] }];
    answered(await d.request('GET', '/fhir/CodeSystem/$subsumes?system=urn:cost:ring&codeA=c0&codeB=c2999'));
    const below = await expand(filter('concept', 'is-a', 'c5'));
    assert.equal(below.json?.expansion?.total, 3000, told(below));
    // Two parents each, forty levels: 2^40 ways up.
    await admin.create({ resourceType: 'CodeSystem', status: 'active', url: 'urn:cost:ways', content: 'complete', hierarchyMeaning: 'is-a', property: [{ code: 'parent', type: 'code' }],
      concept: Array.from({ length: 80 }, (_, i) => ({ code: `w${i}`, property: i < 2 ? undefined : [0, 1].map((k) => ({ code: 'parent', valueCode: `w${2 * (i >> 1) - 2 + k}` })) })).concat({ code: 'apart' }) });
    const outcome = async (a, b) => (await d.must('GET', `/fhir/CodeSystem/$subsumes?system=urn:cost:ways&codeA=${a}&codeB=${b}`)).parameter[0].valueCode;
    assert.equal(await outcome('apart', 'w79'), 'not-subsumed');
    assert.equal(await outcome('w0', 'w79'), 'subsumes');
    assert.equal(await outcome('w79', 'w1'), 'subsumed-by');
    refused(await expand(filter('code', 'regex', '(((c|c)*)*(.*)*)*x')), /regular expression/);
    answered(await expand(filter('code', 'regex', '((.{1,500}){1,500}){1,500}x')));
    answered(await expand(Array(1000).fill(filter('code', 'regex', 'c.*')[0])));
    answered(await expand([{ system: 'urn:cost:ring', filter: Array.from({ length: 1000 }, (_, i) => ({ property: 'concept', op: 'is-a', value: `c${i}` })) }]));
    answered(await expand([{ system: 'urn:cost:ring' }], { exclude: Array.from({ length: 1000 }, () => ({ system: 'urn:cost:ring', concept: Array.from({ length: 20 }, (_, k) => ({ code: `c${k}` })) })) }));
    await admin.create({ resourceType: 'ConceptMap', status: 'active', url: 'urn:cost:self', group: [{ source: 'urn:cost:ring', target: 'urn:cost:ring', element: [{ code: 'a', target: [{ code: 'x', equivalence: 'equal' }] }], unmapped: { mode: 'other-map', url: 'urn:cost:self' } }] });
    await admin.create({ resourceType: 'ConceptMap', status: 'active', url: 'urn:cost:large', group: [{ source: 'urn:cost:ring', target: 'urn:cost:ring', element: Array.from({ length: 1900 }, (_, i) => ({ code: `c${i}`, target: [{ code: 'x', equivalence: 'equal' }] })) }] });
    answered(await d.request('GET', '/fhir/ConceptMap/$translate?url=urn:cost:self&system=urn:cost:ring&code=zz'));
    const found = await d.must('GET', '/fhir/ConceptMap/$translate?url=urn:cost:large&system=urn:cost:ring&code=c1899');
    assert.equal(found.parameter.find((p) => p.name === 'result').valueBoolean, true);
  });
});

describe('searches', () => {
  test('lists without end', async () => {
    refused(await form('Patient', `_filter=${encodeURIComponent(many(10000, 'name co "a"', ' or '))}`));
    refused(await form('Patient', `_filter=${'not%20('.repeat(1000)}name%20eq%20x${')'.repeat(1000)}`), /deep/);
    refused(await form('Patient', `_elements=${many(30000, 'name', ',')}`));
    refused(await form('Patient', `_sort=${many(5000, 'name', ',')}`));
    refused(await form('Patient', many(200, '_include=Patient:organization', '&')), /64 parameters/);
    refused(await d.request('POST', '/fhir/_search', `_type=${many(20000, 'Patient', ',')}`, { 'Content-Type': 'application/x-www-form-urlencoded' }));
    answered(await form('Patient', `name:contains=${encodeURIComponent('张'.repeat(20000))}`));
    answered(await form('Patient', `_text=${encodeURIComponent('张三'.repeat(10000))}`));
  });

  test('a batch of 5,000 searches that each cost', async () => {
    const entry = Array.from({ length: 5000 }, (_, i) => ({ request: { method: 'GET', url: `Patient?_has:Observation:subject:_has:Observation:has-member:code=${many(100, 'a', ',')}&link.link.link.link.name=x${i}` } }));
    refused(await post('/', { resourceType: 'Bundle', type: 'batch', entry }));
  });
});

test('meanwhile somebody else was answered, each time', (t) => {
  t.diagnostic(`${others.answered} answers beside`);
  assert.ok(others.answered > 50, `${others.answered}`);
  assert.deepEqual(others.refused, []);
});
