// Every default search parameter of every type, over the standard's own examples: what the program finds is what a plain reading
// of the parameter's expression finds (search-model.mjs). Which values are asked for is drawn by SHANHAI_SEED.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addSignedIn, hospitals, initHospitals, signInAdmin, startServer } from '../../scenarios/world.mjs';
import { Chance } from './fuzz.mjs';
import { Model, fits, questions } from './search-model.mjs';
import { hasShared, makeDatabase, postgresql, program, runSql, shared } from './support.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const seed = Number(process.env.SHANHAI_SEED ?? 20200211);
const QUESTIONS = process.env.SHANHAI_LONG === '1' ? 1000 : 3; // of a parameter
const LANES = 8;
const skip = !hasShared && 'left out: no suites';

const model = new Model(root);
let folder;
let server;
let database;
let reader;
let examples;

// A role that may write and search whatever there is.
function definitions() {
  const own = join(folder, 'definitions');
  mkdirSync(join(own, 'policies'), { recursive: true });
  const policy = JSON.parse(readFileSync(join(root, 'definitions/policies/data-steward.json'), 'utf8'));
  policy.rules = [{ types: model.resources, interactions: ['read', 'search', 'create', 'update'], custodian: 'own' }];
  writeFileSync(join(own, 'policies/data-steward.json'), JSON.stringify(policy));
  return own;
}

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'shanhai-model-'));
  const data = join(folder, 'data');
  database = postgresql ? makeDatabase(data) : undefined;
  const made = initHospitals(program, data, { county: hospitals.county });
  server = await startServer(program, data, ['--port', '0', '--dicom-port', '-1', '--definitions', definitions()]);
  const admin = await signInAdmin(server.base, hospitals.county, made.county.password);
  reader = await addSignedIn(admin, { reference: `Organization/${made.county.organization}`, name: hospitals.county.name },
    { account: 'steward', name: '数管', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000051' });
  const names = readdirSync(join(shared, 'suites/examples')).filter((name) => name.endsWith('.json') && name !== 'package.json');
  const all = names.map((name) => JSON.parse(readFileSync(join(shared, 'suites/examples', name), 'utf8'))).filter((r) => r.id && r.resourceType !== 'AuditEvent'); // the log of the program itself, not stored
  const loaded = [];
  for (let at = 0; at < all.length; at += 100) {
    const some = all.slice(at, at + 100);
    const answer = await reader.must('POST', '/fhir', { resourceType: 'Bundle', type: 'batch', entry: some.map((resource) => ({ resource, request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` } })) });
    answer.entry.forEach((entry, i) => {
      if (entry.response.status.startsWith('2')) loaded.push(some[i]);
    });
  }
  assert.ok(loaded.length >= all.length - 5, 'what the rules of the house refuse: an invitation, three signed documents, a topic that is not there');
  examples = Map.groupBy ? Map.groupBy(loaded, (r) => r.resourceType) : loaded.reduce((map, r) => map.set(r.resourceType, [...(map.get(r.resourceType) ?? []), r]), new Map());
});
after(async () => {
  if (skip) return;
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
  if (database) runSql(`DROP DATABASE ${database} WITH (FORCE)`);
});

// The ids of the examples among the hits: the world has a few resources of its own.
async function found(type, query) {
  const answer = await reader.request('GET', `/fhir/${type}?${query}&_count=1000&_elements=id`);
  if (answer.status !== 200) return `${answer.status} ${answer.json?.issue?.[0]?.diagnostics}`;
  const own = new Set(examples.get(type).map((r) => r.id));
  return (answer.json.entry ?? []).map((e) => e.resource.id).filter((id) => own.has(id)).sort().join(' ');
}

function questionsOf(chance, type, parameter) {
  const all = new Map();
  const add = (modifier, text) => { if (text.length < 1500) all.set(`${modifier} ${text}`, [modifier, text]); };
  for (const resource of examples.get(type)) {
    for (const value of model.values(parameter, resource)) {
      if (parameter.kind !== 'composite') for (const [modifier, text] of questions(parameter, value)) add(modifier, text);
      else {
        const of = parameter.components.map((c, i) => value[i].flatMap((item) => questions(model.find(type, c.code), item)).filter(([modifier]) => modifier === undefined));
        of[0] = of[0].filter(([, text]) => !text.endsWith('|')); // refused, see below
        if (of.every((list) => list.length > 0)) for (let i = 0; i < 8; i++) add(undefined, of.map((list) => chance.pick(list)[1]).join('$'));
      }
    }
  }
  const list = [...all.values()];
  const some = [];
  while (some.length < QUESTIONS && list.length > 0) some.push(...list.splice(chance.below(list.length), 1));
  return parameter.kind === 'composite' ? some : [['missing', 'true'], ['missing', 'false'], ...some];
}

describe('search parameters over the examples', { skip }, () => {
  test('each finds what its expression says', async (t) => {
    const chance = new Chance(seed);
    const asked = [];
    for (const type of model.resources.filter((name) => examples.has(name))) {
      for (const parameter of model.of(type)) {
        if (parameter.kind === 'special' || parameter.expression === '' || ['_id', '_lastUpdated'].includes(parameter.code)) continue;
        for (const [modifier, text] of questionsOf(chance, type, parameter)) asked.push({ type, parameter, modifier, text });
      }
    }
    const wrong = [];
    let answered = 0;
    let at = 0;
    await Promise.all(Array.from({ length: LANES }, async () => {
      while (at < asked.length) {
        const { type, parameter, modifier, text } = asked[at++];
        const name = modifier ? `${parameter.code}:${modifier}` : parameter.code;
        const expected = examples.get(type).filter((r) => fits(model, parameter, r, modifier, text)).map((r) => r.id).sort().join(' ');
        const got = await found(type, `${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
        answered++;
        if (got !== expected) wrong.push(`${type}?${name}=${text}  [${parameter.kind}: ${parameter.expression}]\n  found    ${got}\n  expected ${expected}`);
      }
    }));
    t.diagnostic(`${answered} questions of ${new Set(asked.map((a) => `${a.type}.${a.parameter.code}`)).size} parameters, ${wrong.length} answered wrongly`);
    assert.deepEqual(wrong.slice(0, 40), []);
  });

  // R4 3.1.1.4.5: :missing is of all parameters except combinations; and pairs are kept by codes, not by whole systems.
  test('of a composite neither :missing nor a whole system first is answered, rather than wrongly', async () => {
    for (const [query, status] of [['Observation?code-value-quantity:missing=true', 400], ['Observation?code-value-quantity=http://loinc.org|$gt1', 400],
      ['Observation?component-code-value-quantity=8480-6$gt100,http://loinc.org|$gt1', 400], ['MolecularSequence?referenceseqid-variant-coordinate=urn:x|$gt1$lt2', 400]]) {
      const answer = await reader.request('GET', `/fhir/${query}`);
      assert.equal(answer.status, status, query);
    }
  });

  // R4 3.1.1.4.9: of a canonical resource's url a |version is a search by its version too.
  test('a canonical resource by url|version', async () => {
    let asked = 0;
    for (const [type, list] of examples) {
      for (const one of list.filter((r) => r.url && r.version && model.find(type, 'url') && model.find(type, 'version')).slice(0, 2)) {
        const same = (version) => list.filter((r) => r.url === one.url && r.version === version).map((r) => r.id).sort().join(' ');
        const url = one.url.replace(/[\\,|$]/g, (c) => `\\${c}`);
        assert.equal(await found(type, `url=${encodeURIComponent(`${url}|${one.version}`)}`), same(one.version));
        assert.equal(await found(type, `url=${encodeURIComponent(`urn:x,${url}|${one.version}`)}`), same(one.version));
        assert.equal(await found(type, `url=${encodeURIComponent(`${url}|${one.version}x`)}`), '');
        asked++;
      }
    }
    assert.ok(asked > 10, String(asked));
  });
});
