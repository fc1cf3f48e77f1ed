// Search over the wire: what /metadata names is there, what is asked is answered from all of what one may see and
// nothing else, pages stay whole while data changes, and what costs too much ends early without harm to others.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { addSignedIn } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';

let w;
let d; // a county doctor
const RUN = `search-${Date.now()}`;
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const create = async (resource) => {
  const made = await d.request('POST', `/fhir/${resource.resourceType}`, resource);
  assert.equal(made.status, 201, made.text.slice(0, 400));
  return made.json;
};
const tagged = (resource) => ({ ...resource, meta: { tag: [{ system: 'urn:run', code: RUN }] } });
const observation = (patient, more = {}) => tagged({ resourceType: 'Observation', status: 'final', code: { text: '体温', coding: [{ system: 'http://loinc.org', code: '8310-5', display: 'Body temperature' }] },
  subject: { reference: `Patient/${patient.id}` }, effectiveDateTime: '2020-02-11', ...more });
const idsOf = (answer) => (answer.json.entry ?? []).filter((e) => e.search.mode === 'match').map((e) => e.resource.id);
const search = async (person, path) => {
  const answer = await person.request('GET', path);
  assert.equal(answer.status, 200, `${path}: ${answer.text.slice(0, 400)}`);
  return answer;
};

describe('what is asked', () => {
  let patient;
  let encounter;
  let notes;
  before(async () => {
    patient = await create(tagged({ resourceType: 'Patient', name: [{ family: '单', given: ['雄信'] }], gender: 'male', birthDate: '1960-01-01' }));
    encounter = await create(tagged({ resourceType: 'Encounter', status: 'finished', class: { code: 'IMP' }, subject: { reference: `Patient/${patient.id}` } }));
    notes = await create(observation(patient, { encounter: { reference: `Encounter/${encounter.id}` }, valueString: '双肺磨玻璃影', note: [{ text: '请复查，CT score 12' }] }));
  });

  test('names in characters, pinyin and initials, by every reading of the surname', async () => {
    for (const name of ['单', '单雄信', 'shan', 'shanxiong', 'shanxiongxin', 'sxx', 'dan', 'danxiongxin', 'dxx', '雄信', 'xiongxin', 'shan xiong xin']) {
      assert.deepEqual(idsOf(await search(d, `/fhir/Patient?_tag=urn:run|${RUN}&name=${encodeURIComponent(name)}`)), [patient.id], name);
    }
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient?_tag=urn:run|${RUN}&name=chan`)), []);
  });

  test('words in a resource, by GET and POST', async () => {
    for (const [parameter, found] of [['_content=磨玻璃', 1], ['_content=复查 score', 1], ['_content=玻璃磨', 0], ['code:text=体温', 1], ['code:text=body temp', 1], ['code:text=温', 1], ['_text=体温', 0],
      ['_filter=code eq http://loinc.org|8310-5 and date le 2020-02-11', 1], ['_filter=not (status eq final)', 0]]) {
      const [name, value] = [parameter.slice(0, parameter.indexOf('=')), parameter.slice(parameter.indexOf('=') + 1)];
      const query = new URLSearchParams({ _tag: `urn:run|${RUN}`, [name]: value }).toString();
      const answer = await d.request('POST', '/fhir/Observation/_search', query, { 'Content-Type': 'application/x-www-form-urlencoded' });
      assert.equal(answer.status, 200, answer.text.slice(0, 300));
      assert.deepEqual(idsOf(answer), found ? [notes.id] : [], parameter);
      assert.deepEqual(idsOf(await search(d, `/fhir/Observation?${query}`)), found ? [notes.id] : [], parameter);
    }
  });

  test('_sort by composites and by what components have, and by too much', async () => {
    const of = (code, value, component) => create({ resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${patient.id}` }, code: { coding: [{ system: 'urn:sort', code }] },
      ...(value && { valueQuantity: { value, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' } }),
      ...(component && { component: [{ code: { coding: [{ system: 'urn:sort', code: component[0] }] }, valueQuantity: { value: component[1], unit: 'kg' } }] }) });
    const made = { b7: await of('b', 7), a9: await of('a', 9), a2: await of('a', 2), c: await of('c', undefined, ['0', 5]) };
    const names = Object.fromEntries(Object.entries(made).map(([name, o]) => [o.id, name]));
    const order = async (sort) => idsOf(await search(d, `/fhir/Observation?combo-code=urn:sort|&_sort=${sort}`)).map((id) => names[id]).join(' ');
    assert.equal(await order('code-value-quantity'), 'a2 a9 b7 c');
    assert.equal(await order('-code-value-quantity'), 'c b7 a9 a2');
    assert.equal(await order('value-quantity'), 'a2 b7 a9 c');
    assert.equal(await order('combo-value-quantity'), 'a2 c b7 a9');
    assert.match(await order('combo-code'), /^c (a2 a9|a9 a2) b7$/);
    assert.equal(await order('combo-code-value-quantity'), 'c a2 a9 b7');
    for (const many of ['status,date,code,value-quantity,category', Array(9).fill('date').join()]) {
      assert.equal((await d.request('GET', `/fhir/Observation?_sort=${many}`)).status, 422, many);
    }
    assert.equal((await d.request('GET', '/fhir/Location?_sort=near')).status, 400);
  });

  test('_contained: resources within others, by what they are or by what holds them', async () => {
    const name = `内含${RUN}`;
    const holder = (more) => create({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${patient.id}` }, contained: more, performer: [{ reference: '#p' }] });
    const both = await holder([{ resourceType: 'Organization', id: 'p', name, address: [{ city: '彭水' }] }, { resourceType: 'Organization', id: 'q', name: `${name}二`, partOf: { reference: '#p' } }]);
    const one = await create({ resourceType: 'Patient', name: [{ text: '甲' }], contained: [{ resourceType: 'Organization', id: 'o', name, type: [{ coding: [{ system: 'urn:x', code: 'dept' }] }] }], managingOrganization: { reference: '#o' } });
    const ask = async (query, person = d) => (await search(person, `/fhir/Organization?name=${encodeURIComponent(name)}&${query}`)).json;
    const entries = (bundle) => (bundle.entry ?? []).map((e) => `${e.resource.resourceType}/${e.resource.id}`).sort();
    assert.deepEqual(entries(await ask('_contained=false')), []);
    const containers = await ask('_contained=true');
    assert.deepEqual(entries(containers), [`Observation/${both.id}`, `Patient/${one.id}`].sort());
    assert.equal(containers.total, 2);
    const inside = await ask('_contained=true&_containedType=contained');
    assert.deepEqual(entries(inside), ['Organization/o', 'Organization/p', 'Organization/q']);
    assert.ok(inside.entry.some((e) => e.fullUrl.endsWith(`/fhir/Observation/${both.id}#p`)));
    assert.deepEqual(entries(await ask('_contained=true&address-city=彭水')), [`Observation/${both.id}`]);
    assert.deepEqual(entries(await ask('_contained=true&_containedType=contained&type=urn:x|dept')), ['Organization/o']);
    assert.deepEqual(entries(await ask('_contained=both')), entries(containers));
    assert.deepEqual(entries(await ask('_contained=true', w.expert)), [], 'in what one does not see nothing is found');
    assert.ok((await search(d, '/fhir/Organization?_contained=both&_summary=count')).json.total > 2);
    for (const wrong of ['_contained=yes', '_contained=true&_containedType=x', '_contained=true&_include=Organization:partof', '_contained=true&_has:Organization:partof:name=x', '_contained=true&_list=x', '_contained=true&_cursor=inside.x.y', '_contained=true&_cursor=inside.0.ff']) {
      assert.equal((await d.request('GET', `/fhir/Organization?${wrong}`)).status, 400, wrong);
    }
    assert.equal((await w.commander.request('GET', '/fhir/Patient?_contained=true')).status, 403, 'masked');
  });

  describe('many contained resources', () => {
    const word = `众多${RUN}`;
    const made = [];
    let outside;
    before(async () => {
      outside = await w.admins.county.create({ resourceType: 'Organization', name: `上级${RUN}`, partOf: { reference: w.admins.county.organization } });
      for (let i = 0; i < 9; i++) {
        made.push(await create({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${patient.id}` }, performer: [{ reference: '#a' }, { reference: '#b' }], contained: [
          { resourceType: 'Organization', id: 'a', name: `${word}${(i * 4) % 9}`, ...(i === 2 && { partOf: { reference: `Organization/${outside.id}` } }) },
          { resourceType: 'Organization', id: 'b', name: `${word}z${i}`, partOf: { reference: '#a' }, address: i % 3 === 0 ? [{ city: `城${i}` }] : undefined }] }));
      }
    });
    const ask = (query) => search(d, `/fhir/Organization?name=${encodeURIComponent(word)}&${query}`);
    const hits = (answer) => (answer.json.entry ?? []).map((e) => (e.resource.resourceType === 'Organization' ? `${made.findIndex((m) => e.fullUrl.includes(m.id))}${e.resource.id}` : String(made.findIndex((m) => m.id === e.resource.id))));
    // All pages, something being written between two of them.
    const pages = async (query) => {
      const all = [];
      let answer = await ask(query);
      for (let count = 0; ; count++) {
        all.push(hits(answer));
        const next = answer.json.link.find((l) => l.relation === 'next');
        if (!next) return all;
        assert.ok(count < 30);
        const more = await create({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${patient.id}` }, performer: [{ reference: '#a' }], contained: [{ resourceType: 'Organization', id: 'a', name: `${word}0新`, address: [{ city: '城0新' }] }] });
        answer = await search(d, next.url.replace(w.base, ''));
        await create({ ...more, id: undefined, meta: undefined });
      }
    };

    test('pages of containers and of contained ones, each once, in order', async () => {
      assert.equal((await ask('_contained=true')).json.total, 9);
      assert.equal((await ask('_contained=true&_containedType=contained')).json.total, 18);
      assert.deepEqual(await pages('_contained=true&_count=4'), [['8', '7', '6', '5'], ['4', '3', '2', '1'], ['0']]);
      const before = made.length;
      const fresh = (list) => list.filter((h) => !h.startsWith('-1'));
      const flat = (await pages('_contained=true&_containedType=contained&_count=5')).map((p) => p.length <= 5 && p).flat();
      assert.deepEqual(fresh(flat), Array.from({ length: before }, (_, i) => [`${before - 1 - i}a`, `${before - 1 - i}b`]).flat());
      const counted = await ask(`_contained=true&_containedType=contained&_count=3&_total=accurate&name=${encodeURIComponent(`${word}z`)}`);
      assert.equal(counted.json.total, 9);
      assert.equal(hits(counted).length, 3);
      const only = await ask(`_contained=both&_summary=count&name=${encodeURIComponent(`${word}z`)}`);
      assert.equal(only.json.total, 9);
      assert.deepEqual(only.json.link.map((l) => l.relation), ['self']);
    });

    test('sorted by what the contained ones have', async () => {
      const named = `name:contains=${encodeURIComponent('众多')}&name:contains=z`;
      assert.deepEqual((await pages(`_contained=true&_containedType=contained&${named}&_sort=-name&_count=4`)).map((p) => p.join(' ')), ['8b 7b 6b 5b', '4b 3b 2b 1b', '0b']);
      assert.deepEqual((await pages(`_contained=true&${named}&_sort=address-city,-name&_count=5`)).map((p) => p.join(' ')), ['0 3 6 8 7', '5 4 2 1']);
      assert.equal((await ask(`_contained=true&${named}&_sort=name&_count=2`)).json.total, 9);
    });

    test('chains to what lies beside, and to what lies outside', async () => {
      for (const [query, found] of [[`partof.name=${encodeURIComponent(`${word}4`)}`, '1b'], [`partof:Organization.partof.name=${encodeURIComponent(`上级${RUN}`)}`, '2b'], [`partof.name=${encodeURIComponent(`上级${RUN}`)}`, '2a'],
        [`partof.name=nobody`, ''], [`_filter=${encodeURIComponent(`partof[name eq "${word}8"].name pr true or partof re Organization/${outside.id}`)}`, '2a 2b']]) {
        assert.equal(hits(await ask(`_contained=true&_containedType=contained&${query}`)).filter((h) => !h.startsWith('-1')).sort().join(' '), found, query);
      }
    });

    test('both: what stands by itself first, then what is contained', async () => {
      const alone = [];
      for (let i = 0; i < 3; i++) alone.push(await w.admins.county.create({ resourceType: 'Organization', name: `${word}z独${i}`, partOf: { reference: w.admins.county.organization } }));
      const query = `_contained=both&name=${encodeURIComponent(`${word}z`)}`;
      const seen = [];
      let answer = await ask(`${query}&_count=2&_total=accurate`);
      assert.equal(answer.json.total, 12);
      for (;;) {
        seen.push(...answer.json.entry.map((e) => e.resource.id));
        assert.ok(answer.json.entry.length <= 2);
        const next = answer.json.link.find((l) => l.relation === 'next');
        if (!next) break;
        answer = await search(d, next.url.replace(w.base, ''));
      }
      assert.deepEqual(seen, [...alone.map((o) => o.id).reverse(), ...made.map((m) => m.id).reverse()]);
      assert.equal((await ask(query)).json.total, 12);
    });
  });

  // R4 3.1.1.5.5: "A chained condition will be evaluated inside contained resources."
  test('chains look into contained resources', async () => {
    const code = (value) => ({ coding: [{ system: 'urn:inside', code: value }], text: `药${value}` });
    const order = (more) => create(tagged({ resourceType: 'MedicationRequest', status: 'active', intent: 'order', subject: { reference: `Patient/${patient.id}` }, medicationReference: { reference: '#m' }, ...more }));
    const house = { resourceType: 'Organization', id: 'h', name: `厂家${RUN}`, partOf: { reference: w.admins.county.organization } };
    const one = await order({ contained: [{ resourceType: 'Medication', id: 'm', code: code('a'), manufacturer: { reference: '#h' }, ingredient: [{ itemCodeableConcept: code('i') }], batch: { expirationDate: '2030-01-01' } }, house] });
    const two = await order({ contained: [{ resourceType: 'Medication', id: 'm', code: code('b') }] });
    const three = await order({ medicationReference: undefined, medicationCodeableConcept: code('a') });
    const names = { [one.id]: 'one', [two.id]: 'two', [three.id]: 'three' };
    const ask = async (query, person = d) => idsOf(await search(person, `/fhir/MedicationRequest?_tag=urn:run|${RUN}&${query}`)).map((id) => names[id]).filter(Boolean).sort().join(' ');
    for (const [query, found] of [['medication.code=urn:inside|a', 'one'], ['medication.code=a,b', 'one two'], ['medication:Medication.code=urn:inside|', 'one two'], ['medication.ingredient-code=i', 'one'], ['medication.code=c', ''],
      ['medication.code:not=a', 'two'], ['medication.manufacturer:missing=true', 'two'], ['medication.expiration-date=gt2029', 'one'], ['medication.code:text=药a', 'one'],
      [`medication.manufacturer.name=${encodeURIComponent(`厂家${RUN}`)}`, 'one'], [`medication.manufacturer.partof=${w.admins.county.organization}`, 'one'], [`medication.manufacturer.partof.name=${encodeURIComponent('彭水')}`, 'one'],
      [`medication.manufacturer.name=nobody`, ''], [`_filter=${encodeURIComponent('medication[ingredient-code eq i].code eq urn:inside|a')}`, 'one'], [`_filter=${encodeURIComponent('medication[ingredient-code eq i].code eq urn:inside|b')}`, ''],
      ['medication.code=a&medication.ingredient-code=i', 'one']]) {
      assert.equal(await ask(query), found, query);
    }
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient?_id=${patient.id}&_has:MedicationRequest:patient:medication.code=urn:inside|b`)), [patient.id]);
    const changed = await d.must('PUT', `/fhir/MedicationRequest/${one.id}`, { ...one, contained: [{ ...one.contained[0], code: code('z') }, house] });
    assert.equal(changed.meta.versionId, '2');
    assert.equal(await ask('medication.code=urn:inside|a'), '');
    assert.equal(await ask('medication.code=urn:inside|z'), 'one');
  });

  test('compartments of a patient and of an encounter, and none of that name', async () => {
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient/${patient.id}/Observation?code=8310-5`)), [notes.id]);
    assert.deepEqual(idsOf(await search(d, `/fhir/Encounter/${encounter.id}/Observation`)), [notes.id]);
    assert.deepEqual(idsOf(await search(d, `/fhir/Encounter/${encounter.id}/Encounter`)), [encounter.id]);
    assert.deepEqual(idsOf(await search(w.radiologist, '/fhir/Encounter/absent/Observation')), []);
    assert.equal((await d.request('GET', `/fhir/Organization/${w.made.county.organization}/Observation`)).status, 404);
    assert.equal((await d.request('GET', `/fhir/Encounter/${encounter.id}/Organization`)).status, 404);
  });

  test('a whole compartment at once, and whatever refers here', async () => {
    const patient = await create({ resourceType: 'Patient', name: [{ text: '全部' }] });
    const encounter = await create({ resourceType: 'Encounter', status: 'finished', class: { code: 'IMP' }, subject: { reference: `Patient/${patient.id}` } });
    const notes = await create({ ...observation(patient, { encounter: { reference: `Encounter/${encounter.id}` } }), meta: undefined });
    const whole = await search(d, `/fhir/Patient/${patient.id}/*?_lastUpdated=gt2020`);
    assert.deepEqual(idsOf(whole).sort(), [patient.id, encounter.id, notes.id].sort());
    assert.match(whole.json.link[0].url, /\/\*\?_lastUpdated=/);
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient/${patient.id}/*?_type=Observation`)), [notes.id]);
    const posted = await d.request('POST', `/fhir/Encounter/${encounter.id}/*/_search`, '_type=Observation,Encounter', { 'Content-Type': 'application/x-www-form-urlencoded' });
    assert.deepEqual(idsOf(posted).sort(), [encounter.id, notes.id].sort());
    for (const path of ['Foo/1/*', 'Observation/1/*', `Patient/${patient.id}/*?_type=Location`]) {
      const refused = await d.request('GET', `/fhir/${path}`);
      assert.ok([400, 404].includes(refused.status), `${path}: ${refused.status}`);
    }
    assert.deepEqual(idsOf(await search(w.admins.helper, `/fhir/Patient/${patient.id}/*`)), []);
    const included = (answer) => answer.json.entry.filter((e) => e.search.mode === 'include').map((e) => e.resource.id).sort();
    assert.deepEqual(included(await search(d, `/fhir/Patient?_id=${patient.id}&_revinclude=*`)), [encounter.id, notes.id].sort());
    const onward = included(await search(d, `/fhir/Encounter?_id=${encounter.id}&_revinclude=Observation:encounter&_include:iterate=*`));
    assert.deepEqual(onward, [patient.id, notes.id].sort());
  });

  test('a body that is no form is refused, not passed over', async () => {
    const answer = await d.request('POST', '/fhir/Patient/_search', 'gender=male', { 'Content-Type': 'application/fhir+json' });
    assert.equal(answer.status, 415);
    assert.match(issuesOf(answer).join(), /x-www-form-urlencoded/);
  });

  test('an operation that is not there is told as one', async () => {
    for (const path of ['$nothing', 'Patient/$nothing', `Patient/${patient.id}/$nothing`]) {
      const answer = await d.request('GET', `/fhir/${path}`);
      assert.equal(answer.status, 404);
      assert.match(JSON.stringify(answer.json), /no such operation/);
    }
  });

  test('codes below and above another, and in an uploaded value set', async () => {
    const act = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
    const visits = ['IMP', 'ACUTE', 'NONAC', 'AMB'];
    const made = {};
    for (const code of visits) {
      made[code] = (await create({ resourceType: 'Encounter', status: 'planned', class: { system: act, code }, subject: { reference: `Patient/${patient.id}` }, meta: { tag: [{ system: 'urn:run', code: `${RUN}-class` }] } })).id;
    }
    const found = async (query) => idsOf(await search(d, `/fhir/Encounter?_tag=urn:run|${RUN}-class&${query}`)).map((id) => visits.find((code) => made[code] === id)).sort();
    assert.deepEqual(await found(`class:below=${act}|IMP`), ['ACUTE', 'IMP', 'NONAC']);
    assert.deepEqual(await found(`class:above=${act}|ACUTE`), ['ACUTE', 'IMP']);
    assert.deepEqual(await found(`class:below=${act}|AMB`), ['AMB']);
    assert.equal((await d.request('GET', '/fhir/Encounter?class:below=urn:nowhere|IMP')).status, 400);
    assert.equal((await d.request('GET', '/fhir/Encounter?class:in=urn:absent')).status, 400);
    const set = await w.admins.county.request('POST', '/fhir/ValueSet', { resourceType: 'ValueSet', status: 'active', url: `urn:set:${RUN}`, compose: { include: [{ system: act, concept: [{ code: 'AMB' }, { code: 'NONAC' }] }] } });
    assert.equal(set.status, 201, set.text.slice(0, 300));
    assert.deepEqual(await found(`class:in=urn:set:${RUN}`), ['AMB', 'NONAC']);
    assert.deepEqual(await found(`class:not-in=urn:set:${RUN}`), ['ACUTE', 'IMP']);
  });

  test('several types at once, and a total three ways', async () => {
    const answer = await search(d, `/fhir?_type=Encounter,Observation&_tag=urn:run|${RUN}&patient=Patient/${patient.id}&_total=accurate`);
    assert.deepEqual(idsOf(answer).sort(), [encounter.id, notes.id].sort());
    assert.equal(answer.json.total, 2);
    assert.equal((await search(d, `/fhir/Observation?_tag=urn:run|${RUN}&_total=estimate&_count=0`)).json.total, 1);
    assert.ok(!('total' in (await search(d, '/fhir/Organization?_count=1&_total=none')).json));
  });

  test('what /metadata names can be asked, what is unknown cannot', async () => {
    const statement = (await search(d, '/fhir/metadata')).json;
    const refused = [];
    for (const resource of statement.rest[0].resource.filter((r) => ['Observation', 'Patient', 'Location', 'MolecularSequence', 'DiagnosticReport'].includes(r.type))) {
      assert.ok(resource.searchParam.some((p) => p.name === '_content') || resource.type === 'Binary');
      for (const parameter of resource.searchParam.filter((p) => p.type !== 'composite')) {
        const answer = await d.request('GET', `/fhir/${resource.type}?${parameter.name}:missing=true&_count=0`);
        if (![200, 403].includes(answer.status) && !parameter.name.startsWith('_')) refused.push(`${resource.type}.${parameter.name} ${answer.status}`);
      }
    }
    assert.deepEqual(refused, []);
    assert.equal((await d.request('GET', '/fhir/Patient?nmae=x')).status, 400);
    const lenient = await d.request('GET', '/fhir/Patient?nmae=x&_tag=none', undefined, { Prefer: 'handling=lenient' });
    assert.equal(lenient.status, 200);
    assert.equal(lenient.json.entry[0].search.mode, 'outcome');
  });

  test('a stranger finds nothing by any way to it', async () => {
    const stranger = w.expert; // of another hospital, without a grant
    for (const path of [`Observation?_tag=urn:run|${RUN}`, 'Observation?_content=磨玻璃', 'Observation?code:text=体温', `Observation?patient.name=shan`, '_filter', '_has', '_include', 'total', 'compartment', 'types']) {
      const full = { _filter: 'Observation?_filter=code eq 8310-5', _has: `Patient?_has:Observation:patient:_content=${encodeURIComponent('磨玻璃')}`, _include: `Encounter?_id=${encounter.id}&_revinclude=Observation:encounter&_include=Encounter:subject`,
        total: `Observation?_tag=urn:run|${RUN}&_total=accurate&_count=0`, compartment: `Encounter/${encounter.id}/Observation`, types: '?_type=Observation,Encounter&_content=磨玻璃' }[path] ?? path;
      const answer = await stranger.request('GET', `/fhir${full.startsWith('?') ? '' : '/'}${encodeURI(full).replaceAll('|', '%7C')}`);
      assert.ok([200, 403].includes(answer.status), `${full}: ${answer.status}`);
      if (answer.status === 200) {
        assert.equal((answer.json.entry ?? []).filter((e) => e.search.mode !== 'outcome').length, 0, full);
        assert.equal(answer.json.total ?? 0, 0, full);
      }
    }
    for (const path of ['Patient?_content=x', 'Patient?_text=x', 'Patient?_filter=gender eq male', 'Task?patient._content=x', '?_type=Patient,Task&_content=x', '?_type=Patient,Task&_filter=patient.name eq x']) {
      assert.ok([400, 403].includes((await w.commander.request('GET', `/fhir${path.startsWith('?') ? '' : '/'}${encodeURI(path)}`)).status), path);
    }
  });
});

describe('pages while data changes', () => {
  test('sorted and unsorted pages hold each hit once, whatever is written meanwhile', async () => {
    const patient = await create({ resourceType: 'Patient', name: [{ text: '翻页' }] });
    const tag = [{ system: 'urn:run', code: `${RUN}-pages` }];
    const made = [];
    for (let i = 0; i < 25; i++) made.push(await create({ ...observation(patient, i % 5 === 4 ? { effectiveDateTime: undefined } : { effectiveDateTime: `2020-03-${String(1 + (i * 7) % 20).padStart(2, '0')}` }), meta: { tag } }));
    for (const sort of ['', '&_sort=date', '&_sort=-date,_id', '&_sort=code,-date']) {
      const seen = [];
      let next = `/fhir/Observation?_tag=urn:run|${RUN}-pages&_count=4${sort}`;
      for (let page = 0; next; page++) {
        const answer = await search(d, next);
        seen.push(...idsOf(answer));
        const link = answer.json.link.find((l) => l.relation === 'next')?.url;
        next = link?.slice(link.indexOf('/fhir/'));
        const touched = made[(page * 11) % made.length];
        if (page < 3) {
          assert.equal((await d.request('PUT', `/fhir/Observation/${touched.id}`, { ...touched, effectiveDateTime: '2020-03-09', issued: `2020-04-0${page + 1}T00:00:00Z` })).status, 200);
          await create({ ...observation(patient, { effectiveDateTime: '2020-03-10' }), meta: { tag: [{ system: 'urn:run', code: `${RUN}-later` }] } });
        }
      }
      assert.equal(seen.length, 25, sort);
      assert.equal(new Set(seen).size, 25, sort);
      if (sort === '&_sort=date') {
        const dates = [];
        for (const id of seen) dates.push((await d.must('GET', `/fhir/Observation/${id}/_history/1`)).effectiveDateTime ?? '9999');
        assert.ok(dates.at(-1) === '9999' || !dates.includes('9999') || dates.slice(-1)[0] >= '2020-03-09', 'without a value last');
      }
    }
  });
});

describe('what R4 says of parameters as such', () => {
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
  let patient;
  let encounter;
  let seen;
  before(async () => {
    patient = await create(tagged({ resourceType: 'Patient', name: [{ text: '规则' }], _birthDate: { extension: [{ url: 'urn:x', valueString: '不详' }] }, telecom: [{ system: 'phone', value: '15400000077' }] }));
    encounter = await create(tagged({ resourceType: 'Encounter', status: 'finished', class: { code: 'IMP' }, subject: { reference: `Patient/${patient.id}` } }));
    seen = await create(observation(patient, { encounter: { reference: `Encounter/${encounter.id}` }, text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' } }));
  });
  const status = async (path) => (await d.request('GET', `/fhir/${path}`)).status;

  test('3.1.1.3: without a value one is ignored, told, and not in the self link; never where something is written', async () => {
    const answer = await search(d, `/fhir/Observation?_tag=urn:run|${RUN}&encounter=${encounter.id}&code=&_sort=`);
    assert.deepEqual(idsOf(answer), [seen.id]);
    const outcome = answer.json.entry.find((e) => e.search.mode === 'outcome').resource;
    assert.deepEqual(outcome.issue.map((i) => [i.severity, i.diagnostics]).sort(), [['warning', "'_sort' has no value and was left out"], ['warning', "'code' has no value and was left out"]]);
    assert.ok(!/code=|_sort=/.test(answer.json.link[0].url));
    assert.equal(await status('Observation?code=a,,b'), 400);
    assert.equal((await d.request('POST', '/fhir/Observation', observation(patient), { 'If-None-Exist': 'code=' })).status, 400);
    assert.equal((await d.request('PUT', '/fhir/Observation?code=', observation(patient))).status, 400);
  });

  test('3.1.1.4.4: an element with extensions and no value is missing', async () => {
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient?_id=${patient.id}&birthdate:missing=true`)), [patient.id]);
    assert.deepEqual(idsOf(await search(d, `/fhir/Patient?_id=${patient.id}&birthdate:missing=false`)), []);
  });

  test('3.1.1.4.9, 3.1.1.4.10: no bar where there is no system, nothing above or below a URN', async () => {
    assert.deepEqual(idsOf(await search(d, '/fhir/Patient?telecom=15400000077')), [patient.id]);
    for (const wrong of ['Patient?telecom=phone|15400000077', 'Patient?phone=|15400000077', 'Patient?active=x|true', 'ValueSet?url:below=urn:oid:1.2', 'ValueSet?url:above=urn:oid:1.2']) assert.equal(await status(wrong), 400, wrong);
  });

  test('3.1.1.4.22: several lists, and lists by what they are for', async () => {
    const list = (reference) => create({ resourceType: 'List', status: 'current', mode: 'working', entry: [{ item: { reference } }] });
    const [one, two] = [await list(`Patient/${patient.id}`), await list(`Encounter/${encounter.id}`)];
    assert.deepEqual(idsOf(await search(d, `/fhir/Encounter?_list=${one.id},${two.id}`)), [encounter.id]);
    assert.deepEqual(idsOf(await search(d, `/fhir/Encounter?_list=${two.id}&_list=${one.id}`)), []);
    assert.deepEqual(idsOf(await search(d, `/fhir/?_type=Patient,Encounter&_list=${one.id},${two.id}`)).sort(), [patient.id, encounter.id].sort());
    const refused = await d.request('GET', `/fhir/AllergyIntolerance?patient=${patient.id}&_list=$current-allergies`);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /current/);
  });

  test('3.1.1.5: what is said of the answer is said once, and fits together', async () => {
    for (const wrong of ['_type=Patient&_type=Encounter', '_type=Patient&_count=1&_count=2', '_type=Patient&_sort=_id&_sort=-_id', '_type=Patient&_summary=text&_include=*', '_type=Patient&_summary=text&_revinclude=Observation:subject', '_type=Patient&_sort=_score']) {
      assert.equal(await status(`?${wrong}`), 400, wrong);
    }
    const both = await d.request('POST', `/fhir/Observation/_search?_tag=urn:run|${RUN}&_count=1`, `encounter=${encounter.id}&_elements=status&_include=Observation:subject`, form);
    const [match, included] = both.json.entry.map((e) => e.resource);
    assert.deepEqual(Object.keys(match).sort(), ['code', 'id', 'meta', 'resourceType', 'status'], 'asked for, or mandatory');
    assert.deepEqual(match.meta.tag.at(-1).code, 'SUBSETTED');
    assert.equal(included.name[0].text, '规则', '_elements is not about what is included');
    assert.ok(!(included.meta.tag ?? []).some((t) => t.code === 'SUBSETTED'));
  });

  test('pages: self, next and first', async () => {
    const path = `/fhir/?_type=Patient,Encounter,Observation&_tag=urn:run|${RUN}&_count=1`;
    const links = (answer) => Object.fromEntries(answer.json.link.map((l) => [l.relation, l.url.replace(w.base, '')]));
    const first = await search(d, path);
    assert.deepEqual(Object.keys(links(first)), ['self', 'next']);
    const second = await search(d, links(first).next);
    assert.deepEqual(Object.keys(links(second)), ['self', 'first', 'next']);
    assert.deepEqual(idsOf(await search(d, links(second).first)), idsOf(first));
  });
});

describe('_filter (R4 3.1.3)', () => {
  const names = {};
  const add = async (name, resource) => { const made = await create(tagged(resource)); names[made.id] = name; return made; };
  const long = `${'很长的说明'.repeat(12)}结尾ENDS`;
  let far;
  before(async () => {
    far = await add('far', { resourceType: 'Patient', name: [{ family: 'Weber', given: ['Far'] }], gender: 'male', birthDate: '1950-05-05' });
    const near = await add('near', { resourceType: 'Patient', name: [{ family: 'Weberin', given: ['Near'] }, { text: 'Zweite' }], gender: 'female' });
    const of = (patient, more) => ({ resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'urn:f', code: 'a' }] }, subject: { reference: `Patient/${patient.id}` }, ...more });
    await add('o1', of(far, { effectivePeriod: { start: '2020-01-01', end: '2020-01-31' }, valueQuantity: { value: 5.4, unit: 'kg', system: 'http://unitsofmeasure.org', code: 'kg' } }));
    await add('o2', of(near, { effectiveDateTime: '2020-02-10', valueString: long, status: 'amended' }));
    await add('o3', { resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'urn:f', code: 'b' }, { system: 'urn:f', code: 'c' }] } });
    await add('set', { resourceType: 'Encounter', status: 'finished', class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'ACUTE' }, subject: { reference: `Patient/${far.id}` } });
  });
  const ask = async (type, filter) => {
    const answer = await d.request('POST', `/fhir/${type}/_search`, new URLSearchParams({ _tag: `urn:run|${RUN}`, _filter: filter, code: '', _count: '1000' }).toString(), { 'Content-Type': 'application/x-www-form-urlencoded' });
    return answer.status === 200 ? idsOf(answer).map((id) => names[id]).filter(Boolean).sort().join(' ') : `${answer.status} ${answer.text.slice(0, 300)}`;
  };

  test('operators', async () => {
    for (const [type, filter, found] of [
      ['Patient', 'family eq "weber"', 'far'], ['Patient', 'family eq web', ''], ['Patient', 'family sw web', 'far near'], ['Patient', 'family ew ER', 'far'], ['Patient', 'family ew in or given ew AR', 'far near'],
      ['Patient', 'family co ebe', 'far near'], ['Patient', 'birthdate pr true', 'far'], ['Patient', 'family sw web and birthdate pr false', 'near'], ['Patient', `id eq ${'ID'}`, 'far'],
      ['Patient', 'family sw web and birthdate ne 2000', 'far'], ['Patient', 'family sw web and gender ne male', 'near'], ['Patient', 'family sw web and not (birthdate eq 2000)', 'far near'],
      ['Observation', 'code in http://hl7.org/fhir/ValueSet/administrative-gender', ''], ['Observation', 'status ni http://hl7.org/fhir/ValueSet/administrative-gender and code eq urn:f|', 'o1 o2 o3'],
      ['Observation', 'value-quantity eq 5.4', 'o1'], ['Observation', 'value-quantity gt 5.3 and value-quantity lt 5.5', 'o1'], ['Observation', 'value-quantity ap 5', 'o1'], ['Observation', 'value-quantity ne 5.4', ''],
      ['Observation', 'date po 2020-01-15', 'o1'], ['Observation', 'date po 2020', 'o1 o2'], ['Observation', 'date po 2021', ''], ['Observation', 'code eq urn:f| and date sa 2020-01', 'o2'], ['Observation', 'code eq urn:f| and date eb 2020-02', 'o1'],
      ['Observation', 'value-string ew ends', 'o2'], ['Observation', 'value-string ew "结尾ends"', 'o2'], ['Observation', 'value-string ew 很长', ''], ['Observation', `value-string eq "${long}"`, 'o2'],
      ['Observation', 'code eq urn:f|c', 'o3'], ['Observation', 'code-value-quantity eq urn:f|a$gt5', 'o1'], ['Observation', 'status ss http://hl7.org/fhir/observation-status|amended and code eq urn:f|', 'o2'],
      ['Encounter', 'class sb http://terminology.hl7.org/CodeSystem/v3-ActCode|ACUTE', 'set'], ['Encounter', 'class ss http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP', 'set'],
    ]) assert.equal(await ask(type, filter.replace('ID', far.id)), found, `${type}: ${filter}`);
  });

  test('and, or, not from left to right', async () => {
    for (const [filter, found] of [['status eq amended or code eq urn:f|a and value-quantity gt 5', 'o1'], ['status eq amended or (code eq urn:f|a and value-quantity gt 5)', 'o1 o2'],
      ['code eq urn:f|a and status eq amended or code eq urn:f|b', 'o2 o3'], ['code eq urn:f|b or code eq urn:f|c and status eq final or status eq amended', 'o2 o3'], ['not (code eq urn:f|a) and code eq urn:f|', 'o3'],
      ['NOT (code eq urn:f|a or code eq urn:f|b) AND code eq urn:f|', '']]) {
      assert.equal(await ask('Observation', filter), found, filter);
    }
    assert.equal(await ask('Observation', Array.from({ length: 100 }, (_, i) => `code eq urn:f|${i === 99 ? 'c' : i}`).join(' or ')), 'o3', 'a hundred alternatives are not a hundred deep');
  });

  test('paths: over whatever the reference may lead to, with conditions on the same resource, the other way round', async () => {
    for (const [type, filter, found] of [['Observation', 'subject.name co "ebe"', 'o1 o2'], ['Observation', 'subject:Patient.family eq weberin', 'o2'], ['Observation', 'subject.gender ne male', 'o2'],
      ['Observation', 'patient[gender eq male].family co web', 'o1'], ['Observation', 'patient[gender eq male and birthdate pr true].name sw web', 'o1'], ['Observation', 'patient[gender eq male].family eq weberin', ''],
      ['Observation', 'code eq urn:f| and patient.birthdate pr false', 'o2 o3'], ['Observation', 'code eq urn:f| and patient.birthdate pr true', 'o1'],
      ['Observation', `patient.id eq ${far.id}`, 'o1'], ['Observation', `subject re Patient/${far.id}`, 'o1'],
      ['Patient', '_has:Observation:patient:code eq urn:f|a and gender eq female', 'near'], ['Patient', '_has:Observation:patient:_has:Provenance:target:recorded gt 2000', ''],
      ['Patient', '_has:Encounter:patient:status eq finished', 'far'], ['Encounter', 'subject._has:Observation:subject:value-quantity gt 5', 'set']]) {
      assert.equal(await ask(type, filter), found, `${type}: ${filter}`);
    }
    for (const wrong of ['subject.nothing eq x', 'patient[gender eq male] eq x', 'patient[gender eq male.name eq x', 'code gt 1', 'status co fin', 'name:exact eq x', 'subject.name co "x']) {
      assert.match(await ask('Observation', wrong), /^400 /, wrong);
    }
  });
});

describe('above and below', () => {
  let admin;
  const house = {};
  const names = {};
  const put = async (person, name, resource) => { const made = await person.create(resource); house[name] = made; names[made.id] = name; return made; };
  before(async () => {
    admin = w.admins.county;
    const place = (name, partOf) => put(admin, name, { resourceType: 'Location', name: `${name}${RUN}`, managingOrganization: { reference: admin.organization }, ...(partOf && { partOf: { reference: `Location/${house[partOf].id}` } }) });
    await place('building');
    await place('floor', 'building');
    await place('room', 'floor');
    await place('bed', 'room');
    await place('annex');
    const patient = await create({ resourceType: 'Patient', name: [{ text: '楼层' }] });
    const stay = (name, at, more) => put(d, name, { resourceType: 'Encounter', status: 'finished', class: { code: 'IMP' }, subject: { reference: `Patient/${patient.id}` }, ...(at && { location: [{ location: { reference: `Location/${house[at].id}` } }] }), ...more });
    await stay('eBuilding', 'building');
    await stay('eRoom', 'room');
    await stay('eAnnex', 'annex', { partOf: { reference: `Encounter/${house.eRoom.id}` } });
    await put(d, 'seen', observation(patient, { encounter: { reference: `Encounter/${house.eAnnex.id}` } }));
  });
  const ask = async (query, person = d) => idsOf(await search(person, `/fhir/${query}`)).map((id) => names[id] ?? id).sort().join(' ');

  test('R4 3.1.1.4.14: references over hierarchies, by id, type and address, in chains', async () => {
    for (const [query, found] of [
      [`Encounter?location:below=${house.building.id}`, 'eBuilding eRoom'], [`Encounter?location:below=Location/${house.floor.id}`, 'eRoom'], [`Encounter?location:below=${w.base}/fhir/Location/${house.bed.id}`, ''],
      [`Encounter?location:above=${house.bed.id}`, 'eBuilding eRoom'], [`Encounter?location:above=${house.floor.id}`, 'eBuilding'], [`Encounter?location:below=${house.annex.id},${house.room.id}`, 'eAnnex eRoom'],
      [`Location?partof:below=${house.building.id}`, 'bed floor room'], [`Location?partof:above=${house.room.id}`, 'bed floor room'],
      [`Observation?encounter:below=${house.eRoom.id}`, 'seen'], [`Encounter?part-of:below=${house.eRoom.id}`, 'eAnnex'], [`Observation?encounter.location:below=${house.annex.id}`, 'seen'],
      ['Encounter?location:below=nobody', ''], [`Location?_has:Encounter:location:part-of:below=${house.eRoom.id}`, 'annex'],
    ]) assert.equal(await ask(query), found, query);
    for (const wrong of [`Observation?subject:Patient:below=${house.room.id}`, `Observation?patient:below=${house.room.id}`, `Encounter?location:below=Patient/${house.room.id}`, 'Encounter?location:below=', 'Encounter?location:below=#x'].filter((q) => !q.endsWith('='))) {
      assert.equal((await d.request('GET', `/fhir/${wrong.replace('#', '%23')}`)).status, 400, wrong);
    }
  });

  test('a circle ends, and what is too wide is told', async () => {
    await admin.must('PUT', `/fhir/Location/${house.building.id}`, { ...house.building, partOf: { reference: `Location/${house.bed.id}` } });
    assert.equal(await ask(`Encounter?location:below=${house.room.id}`), 'eBuilding eRoom');
    const many = { resourceType: 'Bundle', type: 'transaction', entry: Array.from({ length: 501 }, (_, i) => ({ resource: { resourceType: 'Location', name: `${i}${RUN}`, managingOrganization: { reference: admin.organization }, partOf: { reference: `Location/${house.annex.id}` } }, request: { method: 'POST', url: 'Location' } })) };
    await admin.must('POST', '/fhir', many);
    assert.equal((await d.request('GET', `/fhir/Encounter?location:below=${house.annex.id}`)).status, 422);
  });

  test('R4 3.1.1.4.13: canonical URLs and their versions; 3.1.1.4.9: a URL with a version', async () => {
    const patient = await create({ resourceType: 'Patient', name: [{ text: '问卷' }] });
    const answers = (name, questionnaire) => put(d, name, { resourceType: 'QuestionnaireResponse', status: 'completed', questionnaire, subject: { reference: `Patient/${patient.id}` } });
    for (const [name, url] of [['q1', 'urn-x|1.0'], ['q11', 'urn-x|1.1.5'], ['q2', 'urn-x|2.0'], ['q10', 'urn-x|10.0'], ['q0', 'urn-x']]) await answers(name, `http://example.org/q/${RUN}/${url}`);
    const url = `http://example.org/q/${RUN}/urn-x`;
    for (const [query, found] of [[`questionnaire=${url}`, 'q0 q1 q10 q11 q2'], [`questionnaire:below=${url}`, 'q0 q1 q10 q11 q2'], [`questionnaire:below=${url}|1`, 'q1 q11'], [`questionnaire:below=${url}|1.1`, 'q11'], [`questionnaire:below=${url}|1.1.5`, 'q11'],
      [`questionnaire=${url}|1.0`, 'q1'], [`questionnaire=${url}|1`, ''], [`questionnaire:below=${url}|3,${url}|2`, 'q2']]) {
      assert.equal(await ask(`QuestionnaireResponse?${query}`), found, query);
    }
    assert.equal((await d.request('GET', `/fhir/QuestionnaireResponse?questionnaire:above=${url}|1`)).status, 400);
  });

  test('R4 3.1.1.4.10.1: MIME types without their parameters', async () => {
    const patient = await create({ resourceType: 'Patient', name: [{ text: '文件' }] });
    const document = (name, contentType) => put(d, name, { resourceType: 'DocumentReference', status: 'current', subject: { reference: `Patient/${patient.id}` }, content: [{ attachment: { contentType, url: 'http://example.org/x' } }] });
    await document('plain', 'text/xml');
    await document('utf8', 'text/xml; charset=UTF-8');
    await document('pdf', 'application/pdf');
    const of = `DocumentReference?patient=${patient.id}&contenttype`;
    assert.equal(await ask(`${of}=text/xml`), 'plain');
    assert.equal(await ask(`${of}:below=text/xml`), 'plain utf8');
    assert.equal(await ask(`${of}:below=text/html`), '');
  });
});

describe('$run of a ViewDefinition', () => {
  const view = (resource, column, more = {}) => ({ resourceType: 'ViewDefinition', resource, name: 'v', status: 'active', select: [{ column }], ...more });
  const run = (person, parameter, query = '') => person.request('POST', `/fhir/ViewDefinition/$run${query}`, { resourceType: 'Parameters', parameter });
  const columns = [{ name: 'id', path: 'getResourceKey()' }, { name: 'who', path: "subject.getReferenceKey(Patient)" }, { name: 'text', path: 'code.text' }];

  test('over resources sent along: JSON, NDJSON, CSV', async () => {
    const parameters = [{ name: 'viewResource', resource: view('Patient', [{ name: 'id', path: 'id' }, { name: 'name', path: 'name.text' }, { name: 'n', path: 'multipleBirth.ofType(integer)' }]) },
      { name: 'resource', resource: { resourceType: 'Patient', id: 'a', name: [{ text: '张"三",x' }], multipleBirthInteger: 2 } },
      { name: 'resource', resource: { resourceType: 'Basic', id: 'b' } }, { name: 'resource', resource: { resourceType: 'Patient', id: 'c' } }];
    assert.deepEqual((await run(d, parameters)).json, [{ id: 'a', name: '张"三",x', n: 2 }, { id: 'c', name: null, n: null }]);
    assert.equal((await run(d, parameters, '?_format=csv')).text, 'id,name,n\r\na,"张""三"",x",2\r\nc,,\r\n');
    assert.equal((await run(d, [...parameters, { name: 'header', valueBoolean: false }, { name: '_format', valueCode: 'text/csv' }, { name: '_limit', valueInteger: 1 }])).text, 'a,"张""三"",x",2\r\n');
    assert.equal((await run(d, parameters, '?_format=ndjson')).text.trim().split('\n').length, 2);
  });

  test('by name, of several patients and of a group', async () => {
    const steward = await addSignedIn(w.admins.county, { reference: d.organization, name: '彭水县示例医院' }, { account: 'steward', name: '数管', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000051' });
    const own = await create({ resourceType: 'Patient', name: [{ text: '一号' }], gender: 'female' });
    const other = await create({ resourceType: 'Patient', name: [{ text: '二号' }] });
    const group = await steward.create({ resourceType: 'Group', type: 'person', actual: true, member: [{ entity: { reference: `Patient/${own.id}` } }, { entity: { reference: `Patient/${other.id}` }, inactive: true }] });
    const byName = (await steward.request('GET', `/fhir/ViewDefinition/patient/$run?patient=Patient/${own.id}&_format=json`)).json;
    assert.deepEqual(byName.map((row) => row.id), [own.id]);
    assert.deepEqual((await run(steward, [{ name: 'viewReference', valueReference: { reference: 'ViewDefinition/patient' } }, { name: 'patient', valueReference: { reference: `Patient/${own.id}` } }])).json, byName);
    assert.deepEqual((await steward.request('GET', `/fhir/ViewDefinition/$run?viewReference=${w.base}/fhir/ViewDefinition/patient&group=Group/${group.id}`)).json, byName);
    const both = [{ name: 'viewResource', resource: view('Patient', [{ name: 'id', path: 'id' }]) }, ...[own, other].map((p) => ({ name: 'patient', valueReference: { reference: `Patient/${p.id}` } }))];
    assert.deepEqual((await run(steward, both)).json.map((row) => row.id).sort(), [own.id, other.id].sort());
    const posted = await steward.request('POST', '/fhir/ViewDefinition/patient/$run?_format=csv', { resourceType: 'Parameters', parameter: [{ name: 'group', valueReference: { reference: `Group/${group.id}` } }, { name: 'header', valueBoolean: false }] });
    assert.match(posted.text, new RegExp(`^${own.id},`));
    for (const [path, status] of [['ViewDefinition/nothing/$run', 404], ['ViewDefinition/$run?viewReference=ViewDefinition/x', 404], ['ViewDefinition/$run', 400], ['ViewDefinition/patient/$run?group=Group/nobody', 404],
      ['ViewDefinition/patient/$run?patient=Observation/1', 400], ['ViewDefinition/patient/$run?source=s3://x', 400], ['ViewDefinition/patient/$run?viewReference=ViewDefinition/patient', 400]]) {
      assert.equal((await steward.request('GET', `/fhir/${path}`)).status, status, path);
    }
    const stranger = await w.admins.helper.request('GET', `/fhir/ViewDefinition/patient/$run?patient=Patient/${own.id}`);
    assert.ok(stranger.status === 403 || (stranger.status === 200 && stranger.json.length === 0), stranger.text);
  });

  test('over what one may see, not more; what is wrong is told', async () => {
    const patient = await create({ resourceType: 'Patient', name: [{ text: '视图' }] });
    const one = await create(observation(patient));
    const parameters = [{ name: 'viewResource', resource: view('Observation', columns) }, { name: 'patient', valueString: `Patient/${patient.id}` }];
    assert.deepEqual((await run(d, parameters)).json, [{ id: one.id, who: patient.id, text: '体温' }]);
    const all = await run(d, [parameters[0]]);
    assert.ok(all.json.some((row) => row.id === one.id));
    const stranger = await run(w.expert, [parameters[0]]);
    assert.ok([200, 403].includes(stranger.status));
    if (stranger.status === 200) assert.ok(!stranger.text.includes(one.id));
    assert.equal((await run(w.commander, [{ name: 'viewResource', resource: view('Patient', [{ name: 'name', path: 'name.text' }]) }])).status, 403);
    assert.equal((await run(w.admins.county, [parameters[0]])).status, 403);
    assert.equal((await run(d, [{ name: 'viewResource', resource: view('Patient', [{ name: 'x', path: 'name..x' }]) }])).status, 400);
    assert.equal((await run(d, [])).status, 400);
    assert.equal((await run(d, [...parameters, { name: 'source', valueString: 's3://x' }])).status, 400);
    assert.equal((await run(d, parameters, '?_format=parquet')).status, 406);
    assert.equal((await run(d, [{ name: 'viewResource', resource: view('Patient', [{ name: 'x', path: 'id' }], { select: [{ repeat: ['$this', '$this'], column: [{ name: 'x', path: 'id' }] }] }) },
      { name: 'resource', resource: { resourceType: 'Patient', id: 'a' } }])).status, 422);
  });
});

describe('what costs too much', () => {
  const refused = async (path, statuses, body) => {
    const started = Date.now();
    const answer = body === undefined ? await d.request('GET', path) : await d.request('POST', path, body, { 'Content-Type': 'application/x-www-form-urlencoded' });
    assert.ok(statuses.includes(answer.status), `${path.slice(0, 80)}: ${answer.status} ${issuesOf(answer).join(' ').slice(0, 200)}`);
    assert.ok(Date.now() - started < 30000, 'ends by itself');
    return answer;
  };

  test('deep chains, long lists, wide pages and nested filters end in an answer', async () => {
    const chain = (depth) => `${'partof:Organization.'.repeat(depth)}name`;
    await refused(`/fhir/Organization?${chain(9)}=x`, [200]);
    await refused(`/fhir/Organization?${chain(12)}=x`, [422]);
    const has = (depth) => `${'_has:Organization:partof:'.repeat(depth)}name`;
    await refused(`/fhir/Organization?${has(9)}=x`, [200]);
    await refused(`/fhir/Organization?${has(12)}=x`, [422]);
    const wide = (depth) => `${'target._has:Provenance:target:'.repeat(depth)}target._id`;
    await refused(`/fhir/Provenance?${wide(1)}=x`, [200, 403, 422]);
    await refused(`/fhir/Provenance?${wide(4)}=x`, [403, 422]);
    await refused('/fhir/Observation/_search', [422], `code=${Array.from({ length: 10000 }, (_, i) => `c${i}`).join(',')}`);
    await refused('/fhir/Observation/_search', [200], `code=${Array.from({ length: 400 }, (_, i) => `c${i}`).join(',')}`);
    await refused('/fhir/Organization?_count=1000000000', [200]);
    await refused('/fhir/Organization?_count=-1', [400]);
    await refused(`/fhir/Patient?_filter=${encodeURIComponent(`${'('.repeat(60)}name eq x${')'.repeat(60)}`)}`, [422]);
    await refused('/fhir/Patient/_search', [400, 422], `_filter=${encodeURIComponent(Array.from({ length: 500 }, () => 'name eq x').join(' or '))}`);
    await refused('/fhir/Patient/_search', [400, 422], `_content=${encodeURIComponent('a '.repeat(200))}`);
    await refused(`/fhir/Patient?${Array.from({ length: 80 }, () => 'name:contains=a').join('&')}`, [422]);
  });

  test('others are served meanwhile', async () => {
    let done = false;
    const costly = Promise.all(Array.from({ length: 6 }, () => d.request('GET', `/fhir/Observation?${Array.from({ length: 20 }, (_, i) => `patient.name:contains=${i}`).join('&')}&_sort=code`))).then((answers) => { done = true; return answers; });
    for (let i = 0; i < 20; i++) assert.equal((await w.radiologist.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 200);
    for (const answer of await costly) assert.ok([200, 422, 429, 503].includes(answer.status), String(answer.status));
    assert.ok(done);
  });
});
