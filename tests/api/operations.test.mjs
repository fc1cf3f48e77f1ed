// Operations: $meta, $everything, $document, $lastn.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d;
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const subject = () => ({ reference: `Patient/${w.patient.id}` });
const observation = (code, value, date, more = {}) => ({ resourceType: 'Observation', status: 'final', subject: subject(), effectiveDateTime: date,
  category: [{ coding: [{ system: 'urn:test:category', code: 'vital' }] }], code: { coding: [{ system: 'urn:test:code', code }] }, valueQuantity: { value }, ...more });

describe('$meta', () => {
  const parameters = (meta) => ({ resourceType: 'Parameters', parameter: [{ name: 'meta', valueMeta: meta }] });
  const metaOf = (answer) => answer.parameter[0].valueMeta;

  test('tells, adds and deletes; the custodian is in it', async () => {
    const made = await d.create({ resourceType: 'Patient', name: [{ family: '元' }], meta: { tag: [{ system: 'urn:t', code: 'a' }] } });
    const path = `/fhir/Patient/${made.id}`;
    const told = metaOf(await d.must('GET', `${path}/$meta`));
    assert.deepEqual([told.versionId, told.tag.length], ['1', 1]);
    const custodian = told.extension.find((e) => e.url === 'urn:shanhai:extension:custodian');
    assert.equal(custodian.valueReference.reference, d.organization);
    const change = parameters({ tag: [{ system: 'urn:t', code: 'a' }, { system: 'urn:t', code: 'b' }], profile: ['urn:test:p'] });
    const added = metaOf(await d.must('POST', `${path}/$meta-add`, change));
    assert.deepEqual([added.tag.map((t) => t.code), added.profile, added.versionId], [['a', 'b'], ['urn:test:p'], '2']);
    assert.equal((await d.search('Patient', { _tag: 'urn:t|b' })).length, 1);
    assert.equal(metaOf(await d.must('POST', `${path}/$meta-add`, change)).versionId, '2'); // nothing new
    const less = metaOf(await d.must('POST', `${path}/$meta-delete`, parameters({ tag: [{ system: 'urn:t', code: 'a' }], profile: ['urn:test:p'] })));
    assert.deepEqual([less.tag.map((t) => t.code), less.profile, less.versionId], [['b'], undefined, '3']);
    assert.equal(metaOf(await d.must('GET', `${path}/_history/1/$meta`)).tag[0].code, 'a');
    const stored = await d.must('GET', path);
    assert.equal(stored.meta.extension, undefined);
    assert.equal(stored.name[0].family, '元');
    assert.equal((await d.request('POST', `${path}/$meta-add`, { resourceType: 'Parameters' })).status, 400);
    assert.equal((await d.request('GET', '/fhir/Patient/none/$meta')).status, 404);
    // What changes nothing is asked by POST too, and says the same.
    for (const of of [`${path}/$meta`, `${path}/_history/1/$meta`, '/fhir/Patient/$meta', '/fhir/$meta']) {
      assert.deepEqual((await d.must('POST', of)), await d.must('GET', of), of);
    }
    assert.equal((await w.lead.request('GET', `${path}/$meta`)).status, 404);
  });
});

describe('$meta of a type and of the system', () => {
  const metaOf = async (person, path) => (await person.must('GET', path)).parameter[0].valueMeta;
  const codes = (meta) => (meta.tag ?? []).filter((t) => t.system === 'urn:all').map((t) => t.code).sort();

  test('what is in use where one may look, and nothing of what one does not see', async () => {
    const of = (type, code, more = {}) => d.create({ resourceType: type, ...more, meta: { tag: [{ system: 'urn:all', code, display: 'x' }], security: [{ system: 'urn:all', code: `s-${code}` }] } });
    const one = await of('Patient', 'p1', { name: [{ family: '标' }] });
    await of('Patient', 'p1', { name: [{ family: '标' }] });
    await of('Patient', 'p2', { name: [{ family: '标' }] });
    await of('List', 'l1', { status: 'current', mode: 'working' });
    const ofType = await metaOf(d, '/fhir/Patient/$meta');
    assert.deepEqual(codes(ofType), ['p1', 'p2']);
    assert.deepEqual(ofType.security.filter((s) => s.system === 'urn:all').map((s) => s.code).sort(), ['s-p1', 's-p2']);
    assert.deepEqual(codes(await metaOf(d, '/fhir/$meta')), ['l1', 'p1', 'p2']);
    assert.deepEqual(codes(await metaOf(w.expert, '/fhir/$meta')), [], 'the other hospital sees none of these');
    assert.deepEqual(codes(await metaOf(w.expert, '/fhir/Patient/$meta')), []);
    await d.must('PUT', `/fhir/Patient/${one.id}`, { ...one, meta: { ...one.meta, tag: [{ system: 'urn:all', code: 'p3' }] } });
    assert.deepEqual(codes(await metaOf(d, '/fhir/Patient/$meta')), ['p1', 'p2', 'p3'], 'of current versions');
    assert.equal((await d.request('GET', '/fhir/Nothing/$meta')).status, 404);
  });
});

describe('$everything', () => {
  test('the patient and all of the compartment, page by page, each once', async () => {
    const patient = await d.create({ resourceType: 'Patient', name: [{ family: '全' }], generalPractitioner: [{ reference: d.post }] });
    const other = await d.create({ resourceType: 'Patient', name: [{ family: '别' }] });
    const about = { subject: { reference: `Patient/${patient.id}` } };
    const wanted = [`Patient/${patient.id}`];
    const encounter = await d.create({ resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' }, ...about });
    wanted.push(`Encounter/${encounter.id}`);
    for (let i = 0; i < 5; i++) {
      wanted.push(`Condition/${(await d.create({ resourceType: 'Condition', ...about, code: { text: `${i}` }, encounter: { reference: `Encounter/${encounter.id}` } })).id}`);
      wanted.push(`Observation/${(await d.create({ ...observation('x', i, '2020-01-01'), ...about })).id}`);
      await d.create({ resourceType: 'Condition', subject: { reference: `Patient/${other.id}` } });
    }
    const seen = [];
    let pages = 0;
    for (let path = `/fhir/Patient/${patient.id}/$everything?_count=3`; path; pages++) {
      assert.ok(pages < 20);
      const page = await d.must('GET', path);
      const matches = page.entry.filter((e) => e.search.mode === 'match');
      path = page.link.find((l) => l.relation === 'next')?.url.slice(w.base.length);
      assert.ok(path ? matches.length === 3 : matches.length <= 3);
      seen.push(...matches.map((e) => `${e.resource.resourceType}/${e.resource.id}`));
    }
    assert.deepEqual(seen.sort(), wanted.sort());
    assert.equal(pages, 4);
    const whole = await d.must('GET', `/fhir/Patient/${patient.id}/$everything`);
    assert.ok(whole.entry.some((e) => e.search.mode === 'include' && e.resource.resourceType === 'PractitionerRole'));
    assert.ok(!whole.entry.some((e) => e.resource.id === other.id));
    const some = await d.must('GET', `/fhir/Patient/${patient.id}/$everything?_type=Condition,Patient`);
    assert.deepEqual([...new Set(some.entry.filter((e) => e.search.mode === 'match').map((e) => e.resource.resourceType))].sort(), ['Condition', 'Patient']);
    const posted = await d.must('POST', `/fhir/Patient/${patient.id}/$everything`, { resourceType: 'Parameters', parameter: [{ name: '_count', valueInteger: 2 }] });
    assert.equal(posted.entry.filter((e) => e.search.mode === 'match').length, 2);
    const later = await d.must('GET', `/fhir/Patient/${patient.id}/$everything?_type=Condition&_since=2100-01-01`);
    assert.equal(later.entry, undefined);
    const ofYear = async (query) => (await d.must('GET', `/fhir/Patient/${patient.id}/$everything?${query}`)).entry.filter((e) => e.search.mode === 'match').map((e) => e.resource);
    const dated = await d.create({ resourceType: 'Observation', status: 'final', code: { text: '体温' }, subject: { reference: `Patient/${patient.id}` }, effectiveDateTime: '2019-05-01' });
    const timeless = await d.create({ resourceType: 'Observation', status: 'final', code: { text: '体温' }, subject: { reference: `Patient/${patient.id}` } });
    const has = (list, one) => list.some((r) => r.id === one.id);
    for (const [range, inside] of [['start=2019&end=2019-12', true], ['start=2019-05-01', true], ['end=2019-05', true], ['start=2019-05-02', false], ['end=2019-04-30', false]]) {
      const found = await ofYear(`${range}&_type=Observation`);
      assert.equal(has(found, dated), inside, range);
      assert.ok(has(found, timeless), `${range}: what has no date is kept`);
    }
    assert.ok(has(await ofYear('start=2019&end=2019&_count=50'), patient), 'the patient himself has no date of care');
    for (const wrong of ['start=yesterday', 'end=2019%20or%20date%20pr%20true', 'start=']) {
      assert.equal((await d.request('GET', `/fhir/Patient/${patient.id}/$everything?${wrong}`)).status, 400, wrong);
    }
    const visit = await d.must('GET', `/fhir/Encounter/${encounter.id}/$everything`);
    assert.deepEqual([...new Set(visit.entry.filter((e) => e.search.mode === 'match').map((e) => e.resource.resourceType))].sort(), ['Condition', 'Encounter']);
  });

  test('refuses what it does not offer, and who may not', async () => {
    const path = `/fhir/Patient/${w.patient.id}/$everything`;
    for (const wrong of ['start=x', '_count=0', '_cursor=x', 'nonsense=1']) assert.equal((await d.request('GET', `${path}?${wrong}`)).status, 400, wrong);
    assert.equal((await d.request('GET', '/fhir/Patient/none/$everything')).status, 404);
    for (const person of [w.lead, w.coordinator, w.commander, w.admins.county]) assert.equal((await person.request('GET', path)).status, 403);
  });
});

describe('$lastn', () => {
  test('the most recent of each code', async () => {
    for (const [code, value, date] of [['hr', 70, '2021-01-01'], ['hr', 75, '2021-03-01'], ['hr', 72, '2021-02-01'], ['t', 36, '2021-01-05'], ['t', 37, '2021-01-06']]) {
      await d.create(observation(code, value, date));
    }
    const ask = (query) => d.request('GET', `/fhir/Observation/$lastn?${query}`);
    const values = (answer) => answer.json.entry.map((e) => [e.resource.code.coding[0].code, e.resource.valueQuantity.value]);
    const one = await ask(`patient=Patient/${w.patient.id}&category=vital`);
    assert.equal(one.status, 200, one.text);
    assert.deepEqual(values(one), [['hr', 75], ['t', 37]]);
    const two = await ask(`subject=Patient/${w.patient.id}&code=urn:test:code%7Chr,urn:test:code%7Ct&max=2`);
    assert.deepEqual(values(two), [['hr', 75], ['hr', 72], ['t', 37], ['t', 36]]);
    assert.equal(two.json.total, 4);
    for (const wrong of ['category=vital', `patient=${w.patient.id}`, `patient=${w.patient.id}&category=vital&max=0`, `patient=${w.patient.id}&category=vital&_sort=date`]) {
      assert.equal((await ask(wrong)).status, 400, wrong);
    }
    const posted = await d.must('POST', '/fhir/Observation/$lastn', { resourceType: 'Parameters', parameter: [{ name: 'patient', valueReference: { reference: `Patient/${w.patient.id}` } },
      { name: 'category', valueString: 'vital' }, { name: 'max', valueInteger: 1 }] });
    assert.equal(posted.entry.length, 2);
    const unseen = await w.lead.request('GET', `/fhir/Observation/$lastn?patient=Patient/${w.patient.id}&category=vital`);
    assert.equal(unseen.json.entry, undefined);
  });
});

describe('strange input', () => {
  test('never ends in a 5xx', async () => {
    const id = w.patient.id;
    const p = (...parameter) => ({ resourceType: 'Parameters', parameter });
    const paths = [`Patient/${id}/$meta-add`, `Patient/${id}/$meta-delete`, `Patient/${id}/$everything`, 'Observation/$lastn', 'ValueSet/$expand', 'ValueSet/$validate-code',
      'CodeSystem/$validate-code', 'CodeSystem/$lookup', 'CodeSystem/$subsumes', 'ConceptMap/$translate', 'Patient/$validate', `Patient/${id}/$validate`, 'Composition/none/$document'];
    const deep = { resourceType: 'ValueSet', compose: { include: [{ valueSet: Array(200).fill('http://hl7.org/fhir/ValueSet/administrative-gender') }], exclude: [{ valueSet: [1, null, {}] }] } };
    const bodies = ['', '[]', '{}', 'null', p(), p(null), p({ name: 'meta', valueMeta: [] }), p({ name: 'meta', valueMeta: { tag: 'x', profile: { a: 1 }, security: [1, null, {}] } }),
      p({ name: 'url', valueUri: 'x'.repeat(5000) }), p({ name: 'url', valueUri: 'a,b|c|d\\' }), p({ name: 'code', valueCode: 1 }, { name: 'system', valueUri: {} }),
      p({ name: 'coding', valueCoding: [] }, { name: 'url', valueUri: 'http://hl7.org/fhir/ValueSet/administrative-gender' }),
      p({ name: 'codeableConcept', valueCodeableConcept: { coding: [1, 'x', null, {}] } }, { name: 'url', valueUri: 'http://hl7.org/fhir/administrative-gender' }),
      p({ name: 'valueSet', resource: deep }), p({ name: 'valueSet', resource: { compose: { include: 'x', exclude: { a: 1 } } } }), p({ name: 'valueSet', resource: [] }),
      p({ name: 'conceptMap', resource: { group: [{ element: [{ code: 'a', target: [{ code: 'a', equivalence: 1 }] }] }] } }, { name: 'code', valueCode: 'a' }),
      p({ name: 'codeSystem', resource: { url: 1, concept: [{ code: 1, concept: 'x' }, null] } }, { name: 'code', valueCode: 'a' }),
      p({ name: 'resource', resource: { resourceType: 'Patient', meta: { profile: [1, null, 'x|y|z', '\u0000', 'http://hl7.org/fhir/StructureDefinition/bp'] }, extension: [[], { url: 'http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName', valueString: 1 }] } }),
      p({ name: 'max', valueInteger: -1 }, { name: 'patient', valueString: id }, { name: 'category', valueString: '' }), p({ name: '_count', valueInteger: 1e99 })];
    let asked = 0;
    const bad = [];
    for (const path of paths) {
      for (const body of bodies) {
        const answer = await d.request('POST', `/fhir/${path}`, typeof body === 'string' ? body : JSON.stringify(body), { 'Content-Type': 'application/fhir+json' });
        if (answer.status >= 500) bad.push(`${path} ${answer.status} ${JSON.stringify(body).slice(0, 80)}`);
        asked += 1;
      }
      for (const query of ['url=%00', 'url=a&code=%F0%9F%8D%8E&system=', '_count=x&max=x&offset=-1&count=1e9', `code=${'a'.repeat(3000)}&codeA=x&codeB=x&system=http://hl7.org/fhir/administrative-gender`]) {
        const answer = await d.request('GET', `/fhir/${path}?${query}`);
        if (answer.status >= 500) bad.push(`GET ${path} ${answer.status} ${query.slice(0, 80)}`);
        asked += 1;
      }
    }
    assert.deepEqual(bad, []);
    assert.ok(asked > 300);
  });

  test('a profile that asks too much ends in the limit', async () => {
    const element = [{ path: 'Patient' }];
    for (let i = 0; i < 200; i++) element.push({ path: 'Patient.extension', sliceName: `s${i}`, type: [{ code: 'Extension', profile: ['urn:test:bomb', 'urn:test:bomb2'] }] });
    await w.admins.county.create({ resourceType: 'StructureDefinition', url: 'urn:test:bomb', name: 'B', status: 'active', kind: 'complex-type', abstract: false, type: 'Extension',
      baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Extension', derivation: 'constraint',
      differential: { element: element.map((e) => ({ ...e, path: e.path.replace('Patient', 'Extension') })) } });
    const nested = (levels) => ({ url: 'urn:test:bomb', ...(levels ? { extension: [nested(levels - 1), nested(levels - 1)] } : { valueString: 'x' }) });
    const answer = await d.request('POST', '/fhir/Patient/$validate', { resourceType: 'Patient', name: [{ family: 'x' }], extension: [nested(6)] });
    assert.equal(answer.status, 200);
    assert.ok(answer.json.issue.some((i) => i.severity === 'error'));
  });
});

describe('$document', () => {
  test('the composition and what it names, or a refusal', async () => {
    const composition = await w.lead.request('POST', '/fhir/Composition', { resourceType: 'Composition', status: 'preliminary', title: '意见', date: '2026-01-01',
      type: { text: 'x' }, author: [{ reference: w.lead.post }] });
    if (composition.status !== 201) return; // the policy decides who writes documents; the consult test has them
    const bundle = await w.lead.must('GET', `/fhir/Composition/${composition.json.id}/$document`);
    assert.equal(bundle.type, 'document');
    assert.deepEqual(bundle.entry.map((e) => e.resource.resourceType), ['Composition', 'PractitionerRole']);
    assert.ok(bundle.identifier.value.startsWith('urn:uuid:') && bundle.timestamp);
    assert.equal((await d.request('GET', `/fhir/Composition/${composition.json.id}/$document`)).status, 404);
    assert.equal((await w.lead.request('GET', `/fhir/Composition/${composition.json.id}/$document?persist=true`)).status, 405);
    assert.equal(issuesOf(await w.lead.request('GET', '/fhir/Composition/none/$document')).length, 1);
  });
});
