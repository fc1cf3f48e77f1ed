// An independent client (fhir-kit-client) against the server: what it sends is what others send.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { allRoutes } from './fuzz-house.mjs';
import { startWorld } from './support.mjs';

const entry = new URL('../../web/node_modules/fhir-kit-client/dist/index.js', import.meta.url);
const skip = !existsSync(fileURLToPath(entry)) && 'left out: fhir-kit-client is not installed (npm ci in web/)';

let w;
let client;
let kit;
before(async () => {
  if (skip) return;
  kit = await import(entry);
  const { Client } = kit;
  w = await startWorld();
  client = new Client({ baseUrl: `${w.base}/fhir`, customHeaders: { Cookie: w.doctor.cookie, Origin: w.base, 'X-CSRF-Token': w.doctor.csrf } });
});
after(async () => { await w?.stop(); });

describe('fhir-kit-client', { skip }, () => {
  const patient = { resourceType: 'Patient', name: [{ family: '独立' }], gender: 'male' };

  test('reads, writes, patches, and sees versions', async () => {
    assert.equal((await client.capabilityStatement()).fhirVersion, '4.0.1');
    const made = await client.create({ resourceType: 'Patient', body: patient });
    const changed = await client.update({ resourceType: 'Patient', id: made.id, body: { ...made, gender: 'female' } });
    assert.equal(changed.meta.versionId, '2');
    assert.equal((await client.vread({ resourceType: 'Patient', id: made.id, version: '1' })).gender, 'male');
    const patched = await client.patch({ resourceType: 'Patient', id: made.id, jsonPatch: [{ op: 'replace', path: '/gender', value: 'other' }] });
    assert.equal(patched.gender, 'other');
    assert.equal((await client.read({ resourceType: 'Patient', id: made.id })).gender, 'other');
    const history = await client.history({ resourceType: 'Patient', id: made.id });
    assert.deepEqual(history.entry.map((e) => e.resource.meta.versionId), ['3', '2', '1']);
    await assert.rejects(client.read({ resourceType: 'Patient', id: 'none' }), (e) => e.response.status === 404);
    await assert.rejects(client.create({ resourceType: 'Patient', body: { ...patient, gender: 'x' } }), (e) => e.response.status === 400);
  });

  test('conditional update, search with pages, operations', async () => {
    const identifier = { system: 'urn:test:kit', value: '1' };
    const body = { ...patient, identifier: [identifier] };
    const searchParams = { identifier: `${identifier.system}|${identifier.value}` };
    const first = await client.update({ resourceType: 'Patient', searchParams, body });
    const second = await client.update({ resourceType: 'Patient', searchParams, body: { ...body, gender: 'female' } });
    assert.equal(first.id, second.id);
    for (let i = 0; i < 3; i++) await client.create({ resourceType: 'Patient', body: patient });
    let page = await client.search({ resourceType: 'Patient', searchParams: { family: '独立', _count: 2 } });
    const seen = [];
    for (let i = 0; page && i < 5; i++) {
      seen.push(...page.entry.map((e) => e.resource.id));
      page = page.link.some((l) => l.relation === 'next') ? await client.nextPage({ bundle: page }) : null;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.length, 5);
    const outcome = await client.operation({ name: 'validate', resourceType: 'Patient', input: { ...patient, contact: [{ gender: 'male' }] } });
    assert.equal(outcome.issue[0].code, 'invariant');
  });

  test('transaction and batch', async () => {
    const url = 'urn:uuid:0191f3d2-0000-7000-8000-00000000000a';
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: [
      { fullUrl: url, resource: patient, request: { method: 'POST', url: 'Patient' } },
      { resource: { resourceType: 'Condition', subject: { reference: url }, code: { text: 'x' } }, request: { method: 'POST', url: 'Condition' } }] };
    const answer = await client.transaction({ body: bundle });
    assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['201', '201']);
    const batch = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Patient?_count=1' } }] } });
    assert.equal(batch.entry[0].resource.resourceType, 'Bundle');
  });

  const all = async (first) => {
    const pages = [];
    for (let page = first; page; page = await client.nextPage({ bundle: page })) {
      pages.push((page.entry ?? []).filter((e) => e.search === undefined || e.search.mode === 'match').map((e) => e.resource));
      assert.ok(pages.length < 40, 'pages without end');
    }
    return pages;
  };

  test('what the statement names is there: interactions, parameters, operations', async () => {
    const statement = await client.capabilityStatement();
    const tool = new kit.CapabilityTool(statement);
    for (const interaction of ['transaction', 'batch', 'search-system', 'history-system']) assert.ok(tool.serverCan(interaction), interaction);
    for (const interaction of ['read', 'vread', 'update', 'patch', 'delete', 'history-instance', 'history-type', 'create', 'search-type']) assert.ok(tool.resourceCan('Patient', interaction), interaction);
    assert.ok(!tool.resourceCan('Patient', 'nonsense'));
    assert.ok(tool.resourceSearch('Observation', 'code-value-quantity'));
    assert.ok(tool.supportFor({ resourceType: 'Patient', capabilityType: 'conditionalUpdate' }));
    const values = { date: '2020', number: '1', quantity: '5', token: 'x', string: 'x', reference: 'Patient/x', uri: 'urn:x', composite: null, special: null };
    const told = tool.resourceCapabilities({ resourceType: 'Observation' }).searchParam.filter((p) => values[p.type] && !p.name.startsWith('_'));
    assert.ok(told.length > 20);
    for (const { name, type } of told) assert.equal((await client.search({ resourceType: 'Observation', searchParams: { [name]: values[type], _count: 1 } })).type, 'searchset', name);
  });

  test('the statement tells every operation, include and compartment that the route table has, and no other', async () => {
    const statement = await client.capabilityStatement();
    const [rest] = statement.rest;
    const named = (list) => (list ?? []).map((o) => o.name);
    const routes = allRoutes(fileURLToPath(new URL('../..', import.meta.url))).filter((r) => r.path.startsWith('/fhir') && /\$[\w-]+$/.test(r.path) && !/break-glass/.test(r.path));
    assert.ok(routes.length > 40);
    const wanted = { system: new Set() };
    for (const { path } of routes) {
      const [, , owner] = path.split('/');
      const name = path.split('/').at(-1).slice(1);
      const key = owner.startsWith('$') || owner === 'ViewDefinition' ? 'system' : owner;
      (wanted[key] ??= new Set()).add(name);
    }
    assert.deepEqual(named(rest.operation).sort(), [...wanted.system].sort());
    for (const { type, operation, searchInclude } of rest.resource) {
      assert.deepEqual(named(operation).sort(), [...new Set([...(wanted[type] ?? []), ...wanted['{type}']])].sort(), type);
      assert.ok(operation.every((o) => /^(http|urn:)/.test(o.definition)), type);
      assert.equal(searchInclude[0], '*');
    }
    for (const one of rest.resource.find((r) => r.type === 'Observation').searchInclude) assert.equal((await client.search({ resourceType: 'Observation', searchParams: { _include: one, _count: 1 } })).type, 'searchset', one);
    assert.equal(rest.compartment.length, 5);
  });

  test('searches: by POST, sorted, of a compartment, of several types, included, page after page', async () => {
    const one = await client.create({ resourceType: 'Patient', body: { ...patient, name: [{ family: '翻页' }] } });
    const about = { subject: { reference: `Patient/${one.id}` } };
    const encounter = await client.create({ resourceType: 'Encounter', body: { resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' }, ...about } });
    const days = [];
    for (let i = 0; i < 7; i++) {
      days.push(`2020-01-0${i + 1}`);
      await client.create({ resourceType: 'Observation', body: { resourceType: 'Observation', status: 'final', code: { text: '体温' }, ...about, encounter: { reference: `Encounter/${encounter.id}` }, effectiveDateTime: days[i] } });
    }
    const pages = await all(await client.search({ resourceType: 'Observation', searchParams: { subject: `Patient/${one.id}`, _sort: '-date', _count: 3 } }));
    assert.deepEqual(pages.map((p) => p.length), [3, 3, 1]);
    assert.deepEqual(pages.flat().map((o) => o.effectiveDateTime), [...days].reverse());
    const posted = await client.search({ resourceType: 'Observation', searchParams: { 'subject:Patient.family': '翻页', date: ['ge2020-01-03', 'lt2020-01-05'] }, options: { postSearch: true } });
    assert.deepEqual(posted.entry.map((e) => e.resource.effectiveDateTime).sort(), ['2020-01-03', '2020-01-04']);
    const inside = await client.search({ resourceType: 'Observation', compartment: { resourceType: 'Encounter', id: encounter.id }, searchParams: { _summary: 'count' } });
    assert.equal(inside.total, 7);
    const included = await client.search({ resourceType: 'Observation', searchParams: { subject: `Patient/${one.id}`, _count: 2, _include: ['Observation:encounter', 'Observation:subject'] } });
    assert.deepEqual(included.entry.filter((e) => e.search.mode === 'include').map((e) => e.resource.resourceType).sort(), ['Encounter', 'Patient']);
    const several = await client.systemSearch({ searchParams: { _type: 'Patient,Encounter', _id: `${one.id},${encounter.id}` } });
    assert.equal(several.entry.length, 2);
    assert.equal((await client.resolve({ reference: `Patient/${one.id}` })).id, one.id);
    await assert.rejects(client.search({ resourceType: 'Patient', searchParams: { 'shoe-size': '44' } }), (e) => e.response.status === 400 && /shoe-size/.test(JSON.stringify(e.response.data)));
    await client.delete({ resourceType: 'Encounter', id: encounter.id }).catch((e) => assert.equal(e.response.status, 403)); // a doctor deletes no encounter
  });

  test('histories of an instance, a type and the system', async () => {
    let made = await client.create({ resourceType: 'Patient', body: patient });
    for (const gender of ['female', 'other', 'unknown']) made = await client.update({ resourceType: 'Patient', id: made.id, body: { ...made, gender } });
    const versions = (pages) => pages.flat().filter((r) => r.id === made.id).map((r) => r.meta.versionId);
    assert.deepEqual(versions(await all(await client.history({ resourceType: 'Patient', id: made.id }))), ['4', '3', '2', '1']);
    assert.deepEqual(versions(await all(await client.request(`Patient/${made.id}/_history?_count=2&_sort=_lastUpdated`))), ['1', '2', '3', '4']);
    assert.deepEqual(versions(await all(await client.history({ resourceType: 'Patient' }))), ['4', '3', '2', '1']);
    assert.deepEqual(versions(await all(await client.request('_history?_count=50'))), ['4', '3', '2', '1']);
  });

  test('a transaction is whole or nothing; conditions in entries', async () => {
    const identifier = [{ system: 'urn:test:kit', value: 'bundle' }];
    const body = { resourceType: 'Bundle', type: 'transaction', entry: [
      { fullUrl: 'urn:uuid:0191f3d2-0000-7000-8000-00000000000b', resource: { ...patient, identifier }, request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:test:kit|bundle' } },
      { resource: { resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: 'urn:uuid:0191f3d2-0000-7000-8000-00000000000b' } }, request: { method: 'POST', url: 'Observation' } }] };
    const first = await client.transaction({ body });
    const again = await client.transaction({ body });
    assert.deepEqual([first, again].map((b) => b.entry[0].response.status.slice(0, 3)), ['201', '200']);
    const broken = structuredClone(body);
    broken.entry[1].resource.status = 'nonsense';
    await assert.rejects(client.transaction({ body: broken }), (e) => e.response.status === 400 && e.response.data.issue.length > 0);
    const id = first.entry[0].response.location.split('/').at(-3);
    assert.equal((await client.search({ resourceType: 'Observation', searchParams: { subject: `Patient/${id}`, _summary: 'count' } })).total, 2);
  });

  test('operations by GET and POST, of a type, an instance, with parameters', async () => {
    const made = await client.create({ resourceType: 'Patient', body: { ...patient, name: [{ family: '操作' }] } });
    await client.create({ resourceType: 'Condition', body: { resourceType: 'Condition', subject: { reference: `Patient/${made.id}` }, code: { text: 'x' } } });
    const everything = await client.operation({ name: '$everything', resourceType: 'Patient', id: made.id, method: 'GET' });
    assert.deepEqual(everything.entry.map((e) => e.resource.resourceType).sort(), ['Condition', 'Patient']);
    const set = await client.operation({ name: '$expand', resourceType: 'ValueSet', method: 'GET', input: { url: 'http://hl7.org/fhir/ValueSet/administrative-gender' } });
    assert.deepEqual(set.expansion.contains.map((c) => c.code), ['male', 'female', 'other', 'unknown']);
    const parameters = (parameter) => ({ resourceType: 'Parameters', parameter });
    const looked = await client.operation({ name: '$lookup', resourceType: 'CodeSystem', input: parameters([{ name: 'system', valueUri: 'http://hl7.org/fhir/administrative-gender' }, { name: 'code', valueCode: 'male' }]) });
    assert.equal(looked.parameter.find((p) => p.name === 'display').valueString, 'Male');
    const meta = await client.operation({ name: '$meta-add', resourceType: 'Patient', id: made.id, input: parameters([{ name: 'meta', valueMeta: { tag: [{ system: 'urn:test', code: 'kit' }] } }]) });
    assert.equal(meta.parameter[0].valueMeta.tag[0].code, 'kit');
    assert.equal((await client.search({ resourceType: 'Patient', searchParams: { _tag: 'urn:test|kit' } })).entry.length, 1);
    await assert.rejects(client.operation({ name: '$nonsense', resourceType: 'Patient' }), (e) => [404, 405].includes(e.response.status));
  });
});
