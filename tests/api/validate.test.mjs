// Validation asked for: $validate, `shanhai validate`, and writes that claim a profile.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasShared, program, shared, startWorld } from './support.mjs';

let w;
let d;
let folder;
before(async () => {
  w = await startWorld();
  d = w.doctor;
  folder = mkdtempSync(join(tmpdir(), 'shanhai-validate-'));
});
after(async () => {
  await w?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name, content) => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const validate = (...args) => {
  const made = spawnSync(program, ['validate', ...args], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const lines = made.stdout.split('\n').filter((line) => line.startsWith('{'));
  return { status: made.status, outcomes: lines.map((line) => JSON.parse(line)), error: made.stderr };
};
const errors = (outcome) => outcome.issue.filter((i) => i.severity === 'error' || i.severity === 'fatal');
const good = { resourceType: 'Patient', name: [{ family: '测试' }], gender: 'male' };


const profile = { ...{resourceType: 'StructureDefinition', url: 'urn:test:profile:patient', name: 'P', status: 'active', kind: 'resource', abstract: false, type: 'Patient', baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Patient', derivation: 'constraint'}, differential: { element: [
    {id: 'Patient', path: 'Patient', constraint: [{key: 't-1', severity: 'error', human: 'a birth date or an estimate', expression: 'birthDate.exists() or extension.exists()'}]},
    {id: 'Patient.extension', path: 'Patient.extension', slicing: {discriminator: [{type: 'value', path: 'url'}], rules: 'open'}},
    {id: 'Patient.extension:mother', path: 'Patient.extension', sliceName: 'mother', max: '1', type: [{code: 'Extension', profile: ['http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName']}]},
    {id: 'Patient.identifier', path: 'Patient.identifier', min: 1, slicing: {discriminator: [{type: 'value', path: 'system'}], rules: 'closed'}},
    {id: 'Patient.identifier:id', path: 'Patient.identifier', sliceName: 'id', min: 1, max: '1'},
    {id: 'Patient.identifier:id.system', path: 'Patient.identifier.system', min: 1, fixedUri: 'urn:id'},
    {id: 'Patient.identifier:id.value', path: 'Patient.identifier.value', min: 1, maxLength: 18},
    {id: 'Patient.identifier:card', path: 'Patient.identifier', sliceName: 'card', patternIdentifier: {system: 'urn:card'}},
    {id: 'Patient.maritalStatus', path: 'Patient.maritalStatus', patternCodeableConcept: {coding: [{system: 'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus', code: 'M'}]}},
    {id: 'Patient.deceased[x]', path: 'Patient.deceased[x]', type: [{code: 'dateTime'}]},
    {id: 'Patient.generalPractitioner', path: 'Patient.generalPractitioner', type: [{code: 'Reference', targetProfile: ['http://hl7.org/fhir/StructureDefinition/Practitioner']}]},
    {id: 'Patient.gender', path: 'Patient.gender', min: 1, fixedCode: 'male'},
    {id: 'Patient.photo', path: 'Patient.photo', max: '0'}] } };
const fits = {resourceType: 'Patient', id: 'x', gender: 'male', birthDate: '2000', extension: [{url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueString: 'x'}], identifier: [{system: 'urn:id', value: '1'}, {system: 'urn:card', value: '2'}], maritalStatus: {coding: [{system: 'urn:x', code: 'y'}, {system: 'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus', code: 'M', display: 'Married'}]}, deceasedDateTime: '2020', generalPractitioner: [{reference: 'Practitioner/1'}]};
const fitsNot = {resourceType: 'Patient', id: 'x', gender: 'female', extension: [{url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueBoolean: true}, {url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueString: 'y'}], identifier: [{system: 'urn:card', value: '2'}, {system: 'urn:other', value: '2'}, {system: 'urn:id', value: '1234567890123456789'}, {system: 'urn:id'}], maritalStatus: {coding: [{system: 'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus', code: 'S'}]}, deceasedBoolean: true, generalPractitioner: [{reference: 'Organization/1'}], photo: [{url: 'http://x'}]};
const pressure = {resourceType: 'Observation', id: 'bp', meta: {profile: ['http://hl7.org/fhir/StructureDefinition/bp']}, text: {status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}, status: 'final', category: [{coding: [{system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs'}]}], code: {coding: [{system: 'http://loinc.org', code: '85354-9'}]}, subject: {reference: 'Patient/1'}, effectiveDateTime: '2020-01-01', component: [{code: {coding: [{system: 'http://loinc.org', code: '8480-6'}]}, valueQuantity: {value: 120, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]'}}, {code: {coding: [{system: 'http://loinc.org', code: '8462-4'}]}, valueQuantity: {value: 80, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]'}}]};

describe('shanhai validate', () => {
  test('one outcome a file, 1 when one has an error', () => {
    const paths = [file('good.json', good), file('bad.json', { ...good, gender: 'x', foo: 1 }), file('none.json', '{"resourceType":'),
      file('rule.json', { ...good, contact: [{ gender: 'male' }] })];
    assert.equal(validate(paths[0]).status, 0);
    const all = validate(...paths);
    assert.equal(all.status, 1);
    assert.ok(all.outcomes.every((o) => o.resourceType === 'OperationOutcome'));
    assert.deepEqual(all.outcomes.map((o) => errors(o).length), [0, 2, 1, 1]);
    assert.deepEqual(errors(all.outcomes[1]).map((i) => i.expression[0]), ['Patient.gender', 'Patient.foo']);
    assert.deepEqual(errors(all.outcomes[3]).map((i) => [i.code, i.expression[0]]), [['invariant', 'Patient.contact[0]']]);
    assert.match(validate('--chinese', paths[1]).outcomes[0].issue[0].details.text, /值集/);
  });

  test('2 for wrong use and for a file that is not there', () => {
    assert.equal(validate().status, 2);
    assert.equal(validate('--what', 'x').status, 2);
    const none = validate(join(folder, 'absent.json'), file('good.json', good));
    assert.equal(none.status, 2);
    assert.equal(none.outcomes.length, 2);
    assert.equal(errors(none.outcomes[1]).length, 0);
    assert.equal(validate('--help').status, 0);
  });

  test('every official example is valid', { skip: !hasShared && 'left out: no suites' }, () => {
    const all = join(shared, 'suites/examples');
    const names = readdirSync(all).filter((n) => n.endsWith('.json') && n !== 'package.json');
    const made = validate(...names.map((n) => join(all, n)));
    const bad = made.outcomes.map((o, i) => [names[i], errors(o)]).filter(([, e]) => e.length);
    assert.deepEqual(bad, []);
    assert.equal(made.outcomes.length, names.length);
    assert.equal(made.status, 0);
  });

  test('a code outside an extensible binding is a warning', () => {
    const outcome = validate(file('warn.json', { ...good, maritalStatus: { coding: [{ system: 'urn:x', code: 'y' }] } }));
    assert.equal(outcome.status, 0);
    assert.deepEqual(outcome.outcomes[0].issue[0].severity, 'warning');
    assert.equal(outcome.outcomes[0].issue[0].expression[0], 'Patient.maritalStatus');
  });
});

describe('profiles', () => {
  const told = (outcome) => errors(outcome).map((i) => `${i.expression[0]} ${i.diagnostics}`);

  test("R4's own: claimed, with its base", () => {
    assert.equal(validate(file('bp.json', pressure)).status, 0);
    const broken = structuredClone(pressure);
    broken.category[0].coding[0].code = 'x';
    broken.component[0].valueQuantity.code = 'kPa';
    broken.component.pop();
    broken.effectiveDateTime = '2020';
    broken.valueQuantity = { value: 1 };
    delete broken.subject;
    const paths = told(validate(file('bp2.json', broken)).outcomes[0]);
    for (const wanted of [/^Observation.valueQuantity allows at most 0/, /^Observation.component needs at least 2/, /valueQuantity.code must be exactly "mm\[Hg\]"/,
      /^Observation.component slice 'DiastolicBP' needs/, /^Observation.category slice 'VSCat'/, /^Observation.subject needs/, /effectiveDateTime vs-1/,
      /valueQuantity no code of the required value set/]) {
      assert.ok(paths.some((p) => wanted.test(p)), `${wanted} in ${paths.join('; ')}`);
    }
    assert.equal(paths.length, 8);
  });

  test('own: cardinality, types, fixed and pattern, slices, targets, lengths, rules', () => {
    const args = ['--definitions', file('profile.json', profile), '--profile', profile.url];
    assert.deepEqual(told(validate(...args, file('fits.json', fits)).outcomes[0]), []);
    const paths = told(validate(...args, file('fits-not.json', fitsNot)).outcomes[0]);
    for (const wanted of [/^Patient.extension slice 'mother' allows at most 1/, /^Patient.extension\[0\].valueBoolean the type boolean/,
      /^Patient.identifier\[2\].value has more than 18/, /^Patient.identifier\[3\].value needs/, /^Patient.identifier slice 'id' allows at most 1/,
      /^Patient.identifier\[1\] fits none of the slices/, /^Patient.maritalStatus must have at least/, /^Patient.deceasedBoolean the type/,
      /^Patient.generalPractitioner\[0\] a reference to Organization is not allowed; allowed: Practitioner/, /^Patient.gender must be exactly "male"/,
      /^Patient.photo allows at most 0/]) {
      assert.ok(paths.some((p) => wanted.test(p)), `${wanted} in ${paths.join('; ')}`);
    }
    const { birthDate, extension, ...poor } = fits;
    assert.match(told(validate(...args, file('poor.json', poor)).outcomes[0]).join(), /^Patient t-1: a birth date or an estimate/);
    assert.match(told(validate('--profile', 'urn:none', file('fits.json', fits)).outcomes[0])[0], /upload its StructureDefinition/);
    assert.equal(validate('--definitions', join(folder, 'nowhere'), file('fits.json', fits)).status, 2);
  });

  test('own: least and most values, the order of slices', () => {
    const limits = { ...profile, url: 'urn:test:profile:limits', differential: { element: [
      { path: 'Patient.birthDate', minValueDate: '1900-01-01', maxValueDate: '2020-12-31' },
      { path: 'Patient.multipleBirth[x]', maxValueInteger: 5 },
      { path: 'Patient.identifier', slicing: { discriminator: [{ type: 'value', path: 'system' }], ordered: true, rules: 'openAtEnd' } },
      { id: 'Patient.identifier:a', path: 'Patient.identifier', sliceName: 'a' }, { id: 'Patient.identifier:a.system', path: 'Patient.identifier.system', fixedUri: 'urn:a' },
      { id: 'Patient.identifier:b', path: 'Patient.identifier', sliceName: 'b' }, { id: 'Patient.identifier:b.system', path: 'Patient.identifier.system', fixedUri: 'urn:b' }] } };
    const args = ['--definitions', file('limits.json', limits), '--profile', limits.url];
    const of = (more, ...systems) => told(validate(...args, file('p.json', { ...good, ...more, ...(systems.length > 0 && { identifier: systems.map((s, i) => ({ system: `urn:${s}`, value: `${i}` })) }) })).outcomes[0]);
    assert.deepEqual(of({ birthDate: '1900-01-01', multipleBirthInteger: 5 }, 'a', 'a', 'b', 'c'), []);
    assert.deepEqual(of({ birthDate: '2020' }), [], 'a year that reaches to the limit is not told');
    assert.match(of({ birthDate: '1899-12-31' }).join(), /^Patient.birthDate must be at least "1900-01-01"/);
    assert.match(of({ birthDate: '2021' }).join(), /^Patient.birthDate must be at most "2020-12-31"/);
    assert.match(of({ multipleBirthInteger: 6 }).join(), /^Patient.multipleBirthInteger must be at most 5/);
    assert.match(of({}, 'b', 'a').join(), /^Patient.identifier\[1\] stands behind a later slice/);
    assert.match(of({}, 'a', 'c', 'b').join(), /^Patient.identifier\[2\] stands behind what fits no slice/);
  });

  test('where an extension may stand', () => {
    const extension = (name, context, more = {}) => ({ resourceType: 'StructureDefinition', url: `urn:test:extension:${name}`, name: 'E', status: 'active', kind: 'complex-type', abstract: false, type: 'Extension',
      baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Extension', derivation: 'constraint', context, ...more, differential: { element: [{ path: 'Extension' }] } });
    const element = (...expressions) => expressions.map((expression) => ({ type: 'element', expression }));
    const own = [extension('contact', element('Patient.contact', 'Observation.value[x]')), extension('family', element('HumanName.family')), extension('any', element('Element')),
      extension('domain', element('DomainResource.text', 'Resource')), extension('inside', [{ type: 'extension', expression: 'urn:test:extension:contact' }]),
      extension('path', [{ type: 'fhirpath', expression: "Patient.name.where(use = 'official')" }]), extension('rule', element('Patient'), { contextInvariant: ["gender = 'male'"] })];
    const definitions = file('extensions.ndjson', '') && own.flatMap((one, i) => ['--definitions', file(`extension${i}.json`, one)]);
    const of = (resource) => told(validate(...definitions, file('e.json', resource)).outcomes[0]);
    const e = (name) => [{ url: `urn:test:extension:${name}`, valueString: 'x' }];
    const complex = (name, inner) => [{ url: `urn:test:extension:${name}`, extension: inner }];
    for (const [resource, wanted] of [
      [{ ...good, contact: [{ gender: 'male', extension: e('contact'), name: { text: 'x' } }] }, null], [{ ...good, extension: e('contact') }, /^Patient.extension\[0\] this extension may not stand here; it may on: Patient.contact, Observation.value\[x\]/],
      [{ ...good, name: [{ family: '测', _family: { extension: e('family') } }] }, null], [{ ...good, name: [{ text: '测', _text: { extension: e('family') } }] }, /^Patient.name\[0\].text.extension\[0\] this extension may not/],
      [{ ...good, name: [{ given: ['a', 'b'], _given: [null, { extension: e('any') }] }] }, null], [{ ...good, extension: e('any') }, /^Patient.extension\[0\] this extension may not/],
      [{ ...good, extension: e('domain') }, null], [{ ...good, contained: [{ resourceType: 'Organization', id: 'o', name: 'x', extension: e('domain') }], managingOrganization: { reference: '#o' } }, null],
      [{ ...good, contact: [{ name: { text: 'x' }, extension: complex('contact', e('inside')) }] }, null], [{ ...good, extension: e('inside') }, /^Patient.extension\[0\] this extension may not/],
      [{ ...good, name: [{ use: 'official', text: 'x', extension: e('path') }] }, null], [{ ...good, name: [{ use: 'usual', text: 'x', extension: e('path') }] }, /^Patient.name\[0\].extension\[0\] this extension may not/],
      [{ ...good, extension: e('rule') }, null], [{ ...good, gender: 'female', extension: e('rule') }, /^Patient.extension\[0\] this extension may stand here only where gender = 'male'/],
      [{ resourceType: 'Observation', status: 'final', code: { text: 'x' }, valueQuantity: { value: 1, extension: e('contact') } }, null],
      [{ ...good, _birthDate: { extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime', valueDateTime: '2000-01-01T10:00:00Z' }] }, birthDate: '2000-01-01' }, null],
      [{ ...good, extension: [{ url: 'http://hl7.org/fhir/StructureDefinition/patient-birthTime', valueDateTime: '2000-01-01T10:00:00Z' }] }, /may not stand here; it may on: Patient.birthDate/],
    ]) {
      const found = of(resource).filter((t) => /stand/.test(t));
      if (wanted === null) assert.deepEqual(found, [], JSON.stringify(resource));
      else assert.match(found.join(), wanted, JSON.stringify(resource));
    }
  });

  test('a binding to a value set that comes with the profile, or is R4\'s', () => {
    const bundle = { resourceType: 'Bundle', type: 'collection', entry: [
      { ...profile, url: 'urn:test:profile:bound', differential: { element: [
        { path: 'Patient.maritalStatus', binding: { strength: 'required', valueSet: 'urn:test:set' } },
        { path: 'Patient.identifier.type', binding: { strength: 'required', valueSet: 'http://terminology.hl7.org/ValueSet/v2-0203' } }] } },
      { resourceType: 'ValueSet', url: 'urn:test:set', compose: { include: [{ system: 'urn:c', filter: [{ property: 'concept', op: 'is-a', value: 'a' }] }] } },
      { resourceType: 'CodeSystem', url: 'urn:c', content: 'complete', concept: [{ code: 'a', concept: [{ code: 'b' }] }, { code: 'c' }] }].map((resource) => ({ resource })) };
    const args = ['--definitions', file('bundle.json', bundle), '--profile', 'urn:test:profile:bound'];
    const patient = (marital, type) => file(`${marital}-${type}.json`, { ...good, maritalStatus: { coding: [{ system: 'urn:c', code: marital }] },
      identifier: [{ value: '1', type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: type }] } }] });
    assert.deepEqual(told(validate(...args, patient('b', 'MR')).outcomes[0]), []);
    const paths = told(validate(...args, patient('c', 'nonsense')).outcomes[0]).map((t) => t.split(' ')[0]).sort();
    assert.deepEqual(paths, ['Patient.identifier[0].type', 'Patient.maritalStatus']);
  });

  test('uploaded: for $validate and for every write that claims it', async () => {
    const admin = w.admins.county;
    assert.equal((await d.request('POST', '/fhir/StructureDefinition', profile)).status, 403);
    await admin.create(profile);
    const { id, ...content } = fits;
    const ask = (resource) => d.must('POST', `/fhir/Patient/$validate?profile=${profile.url}`, resource);
    assert.deepEqual(told(await ask(content)), []);
    assert.ok(told(await ask({ ...content, gender: 'female' })).some((t) => /^Patient.gender/.test(t)));
    const meta = { profile: [profile.url] };
    assert.equal((await d.request('POST', '/fhir/Patient', { ...content, meta })).status, 201);
    const refused = await d.request('POST', '/fhir/Patient', { ...content, meta, gender: 'female' });
    assert.equal(refused.status, 400);
    assert.deepEqual(errors(refused.json).map((i) => i.expression[0]), ['Patient.gender']);
    assert.match(told(await d.must('POST', '/fhir/Patient/$validate?profile=urn:none', content))[0], /urn:none/);
  });
});

describe('$validate', () => {
  const ask = (path, body) => d.request('POST', path, body);
  const parameters = (resource, more = []) => ({ resourceType: 'Parameters', parameter: [{ name: 'resource', resource }, ...more] });

  test('on a type: the resource itself or Parameters; nothing is written', async () => {
    const before_ = (await d.must('GET', '/fhir/Patient?_summary=count')).total;
    const fine = await ask('/fhir/Patient/$validate', good);
    assert.equal(fine.status, 200);
    assert.equal(errors(fine.json).length, 0);
    const wrong = await ask('/fhir/Patient/$validate', parameters({ ...good, birthDate: '2020-13-01', contact: [{}] }));
    assert.equal(wrong.status, 200);
    assert.deepEqual(errors(wrong.json).map((i) => i.expression[0]).sort(), ['Patient.birthDate', 'Patient.contact[0]']);
    assert.equal(errors((await ask('/fhir/Patient/$validate', { resourceType: 'Condition' })).json)[0].code, 'invalid');
    const rule = await ask('/fhir/Patient/$validate', parameters({ ...good, contact: [{ gender: 'male' }] }));
    assert.equal(errors(rule.json)[0].code, 'invariant');
    assert.equal((await d.must('GET', '/fhir/Patient?_summary=count')).total, before_);
    assert.equal((await ask('/fhir/Patient/$validate', parameters(good, [{ name: 'nonsense', valueString: 'x' }]))).status, 400);
    assert.equal((await ask('/fhir/Patient/$validate', { resourceType: 'Parameters' })).status, 400);
    assert.equal((await ask('/fhir/Patient/$validate?mode=sometimes', good)).status, 400);
  });

  test('on an instance, with the mode of a write', async () => {
    const made = await d.create(good);
    const path = `/fhir/Patient/${made.id}/$validate`;
    assert.equal(errors(await d.must('GET', path)).length, 0);
    assert.equal(errors((await ask(path, { ...made, gender: 'female' })).json).length, 0);
    assert.equal(errors((await ask(path, { ...made, id: 'other' })).json).length, 1);
    assert.equal(errors((await ask(`${path}?mode=update`, made)).json).length, 0);
    // No role deletes a patient.
    const deleted = await ask(`${path}?mode=delete`, undefined);
    assert.equal(deleted.status, 200, deleted.text);
    assert.equal(errors(deleted.json)[0].code, 'forbidden');
    const foreign = { resourceType: 'Condition', subject: { reference: 'Patient/none' } };
    assert.equal(errors((await ask('/fhir/Condition/$validate', foreign)).json).length, 0);
    assert.equal(errors((await ask('/fhir/Condition/$validate?mode=create', foreign)).json)[0].code, 'forbidden');
    assert.equal((await ask('/fhir/Patient/none/$validate?mode=delete', undefined)).status, 404);
    assert.equal((await w.lead.request('GET', path)).status, 403);
  });
});

describe('a write that claims a profile', () => {
  test('is asked for the invariants too', async () => {
    const claim = { ...good, meta: { profile: ['urn:test:unknown'] } };
    assert.equal((await d.request('POST', '/fhir/Patient', claim)).status, 201);
    const broken = await d.request('POST', '/fhir/Patient', { ...claim, contact: [{ gender: 'male' }] });
    assert.equal(broken.status, 400);
    assert.equal(errors(broken.json)[0].code, 'invariant');
    assert.equal((await d.request('POST', '/fhir/Patient', { ...good, contact: [{ gender: 'male' }] })).status, 201);
  });
});
