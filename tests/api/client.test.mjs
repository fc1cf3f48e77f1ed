// An independent client (fhir-kit-client) against the server: what it sends is what others send.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startWorld } from './support.mjs';

const entry = new URL('../../web/node_modules/fhir-kit-client/dist/index.js', import.meta.url);
const skip = !existsSync(fileURLToPath(entry)) && 'left out: fhir-kit-client is not installed (npm ci in web/)';

let w;
let client;
before(async () => {
  if (skip) return;
  const { Client } = await import(entry);
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
});
