// What is stored comes back with the same content: every official example, numbers by their digits, members in their order, odd
// numbers and long texts. What JSON (RFC 8259) or FHIR's JSON (R4 2.6.2) does not allow is refused.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addSignedIn, hospitals, initHospitals, signInAdmin, startServer } from '../../scenarios/world.mjs';
import { hasShared, makeDatabase, postgresql, program, runSql, shared } from './support.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
let folder;
let server;
let database;
let writer;

// A role that may write whatever there is.
function definitions(types) {
  const own = join(folder, 'definitions');
  mkdirSync(join(own, 'policies'), { recursive: true });
  const policy = JSON.parse(readFileSync(join(root, 'definitions/policies/data-steward.json'), 'utf8'));
  policy.rules = [{ types, interactions: ['read', 'search', 'create', 'update'], custodian: 'own' }];
  writeFileSync(join(own, 'policies/data-steward.json'), JSON.stringify(policy));
  return own;
}

const names = hasShared ? readdirSync(join(shared, 'suites/examples')).filter((name) => /^[A-Z].*\.json$/.test(name)) : [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shanhai-round-'));
  const data = join(folder, 'data');
  const types = [...new Set([...names.map((name) => name.split('-')[0]), 'Patient', 'Observation'])];
  database = postgresql ? makeDatabase(data) : undefined;
  const made = initHospitals(program, data, { county: hospitals.county });
  server = await startServer(program, data, ['--port', '0', '--dicom-port', '-1', '--definitions', definitions(types)]);
  const admin = await signInAdmin(server.base, hospitals.county, made.county.password);
  writer = await addSignedIn(admin, { reference: `Organization/${made.county.organization}`, name: hospitals.county.name },
    { account: 'steward', name: '数管', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000051' });
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
  if (database) runSql(`DROP DATABASE ${database} WITH (FORCE)`);
});

// A tree with every number as it is written, every object as a list of pairs: JSON.parse loses both.
function exact(text) {
  const token = /[\s]*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:])/gy;
  const next = () => token.exec(text)?.[1];
  const value = (first) => {
    if (first === '{') {
      const members = [];
      for (let name = next(); name !== '}'; name = next()) {
        if (name === ',') continue;
        next(); // :
        members.push([JSON.parse(name), value(next())]);
      }
      return { members };
    }
    if (first === '[') {
      const list = [];
      for (let item = next(); item !== ']'; item = next()) if (item !== ',') list.push(value(item));
      return list;
    }
    return first.startsWith('"') ? JSON.parse(first) : { digits: first };
  };
  return value(next());
}

// Without what the server gives: versionId and lastUpdated.
function content(text) {
  const tree = exact(text);
  for (const pair of tree.members) if (pair[0] === 'meta') pair[1].members = pair[1].members.filter(([name]) => !['versionId', 'lastUpdated'].includes(name));
  tree.members = tree.members.filter(([name, value]) => name !== 'meta' || value.members.length > 0);
  return tree;
}
const withoutMeta = (tree) => ({ members: tree.members.filter(([name]) => name !== 'meta') });
const metaOf = (tree) => tree.members.find(([name]) => name === 'meta')?.[1];

const put = (type, id, text) => writer.request('PUT', `/fhir/${type}/${id}`, Buffer.from(text), { 'Content-Type': 'application/fhir+json' });

describe('what is stored comes back', () => {
  test('every official example', { skip: !hasShared && 'left out: no suites' }, async (t) => {
    let kept = 0;
    const refused = [];
    const roundTrip = async (name) => {
      const text = readFileSync(join(shared, 'suites/examples', name), 'utf8');
      const { resourceType, id } = JSON.parse(text);
      if (resourceType === 'AuditEvent' || !id) return; // the log of the program itself is not stored
      const made = await put(resourceType, id, text);
      if (made.status >= 300) {
        refused.push(`${name} ${made.status} ${made.json?.issue[0].diagnostics}`);
        return;
      }
      const read = await writer.request('GET', `/fhir/${resourceType}/${id}`);
      const before = content(text);
      const back = content(read.text);
      assert.deepEqual(withoutMeta(back), withoutMeta(before), name);
      assert.deepEqual(metaOf(back), metaOf(before), name);
      kept++;
    };
    for (let at = 0; at < names.length; at += 16) await Promise.all(names.slice(at, at + 16).map(roundTrip));
    t.diagnostic(`${kept} equal; refused by the rules of the house: ${refused.join(', ')}`);
    assert.ok(kept >= 455, refused.join(', '));
    assert.ok(refused.length <= 5, refused.join(', '));
  });

  test('numbers by their digits', async () => {
    for (const number of ['1E+3', '1e3', '0.10', '10.0', '-0', '-0.0', '0e0', '1e-400', '1E400', '9223372036854775807', '9223372036854775808', '0.1234567890123456789012345678901234567890',
      '123456789012345678901234567890123456789012345']) {
      const text = `{"resourceType":"Observation","id":"n","status":"final","code":{"text":"x"},"valueQuantity":{"value":${number},"unit":"a"},"note":[{"text":"${number}"}]}`;
      const made = await put('Observation', 'n', text);
      assert.ok(made.status < 300, `${number}: ${made.text}`);
      assert.deepEqual(content((await writer.request('GET', '/fhir/Observation/n')).text), content(text), number);
    }
  });

  test('texts: escapes, planes beyond the first, a megabyte', async () => {
    for (const family of ['"\\u5c71\\u6d77"', '"\\uD83D\\uDE00😀"', '"a\\/b\\\\c\\"d"', '"\\t\\n"', '"\\u202e\\u00a0\\ufeff"', `"${'长'.repeat(340_000)}"`]) {
      const text = `{"resourceType":"Patient","id":"t","name":[{"family":${family}}]}`;
      const made = await put('Patient', 't', text);
      assert.ok(made.status < 300, `${family.slice(0, 40)}: ${made.text.slice(0, 300)}`);
      assert.deepEqual(content((await writer.request('GET', '/fhir/Patient/t')).text), content(text), family.slice(0, 40));
    }
  });

  test('the order of members and what stands beside a primitive; type and id go first', async () => {
    const text = '{"resourceType":"Patient","id":"o","gender":"male","_gender":{"extension":[{"valueCode":"x","url":"http://example.org/e"}]},"name":[{"given":[null,"b"],"_given":[{"extension":[{"url":"http://example.org/e","valueInteger":1}]},null],"family":"a"}],"active":true}';
    assert.ok((await put('Patient', 'o', text)).status < 300);
    assert.deepEqual(withoutMeta(content((await writer.request('GET', '/fhir/Patient/o')).text)), content(text));
  });
});

describe('what is refused', () => {
  const patient = (more) => `{"resourceType":"Patient","id":"r",${more}}`;
  const cases = {
    'half of a surrogate pair': patient('"name":[{"text":"\\ud83d"}]'),
    'the other half': patient('"name":[{"text":"\\ude00"}]'),
    'halves in the wrong order': patient('"name":[{"text":"\\ude00\\ud83d"}]'),
    'a member twice': patient('"active":true,"active":true'),
    'a member twice, once with an escape': patient('"active":true,"\\u0061ctive":true'),
    'a member twice, deeper': patient('"name":[{"text":"a","text":"b"}]'),
    'NUL as an escape': patient('"name":[{"text":"a\\u0000b"}]'),
    'NUL as a byte': patient('"name":[{"text":"a\u0000b"}]'),
    'NUL after the end': `${patient('"active":true')}\u0000`,
    'a bare control character': patient('"name":[{"text":"a\u0001b"}]'),
    'a comma too many': patient('"active":true,'),
    'a comment': patient('/* a */"active":true'),
    'single quotes': patient("'active':true"),
    'two values': `${patient('"active":true')}{}`,
    'nothing': '',
    'an array': `[${patient('"active":true')}]`,
    'an empty array': patient('"name":[]'),
    'an empty object': patient('"name":[{}]'),
    null: patient('"active":null'),
    'an empty text': patient('"name":[{"text":""}]'),
    'an integer of 33 bits': patient('"multipleBirthInteger":2147483648'),
    'an integer with a fraction': patient('"multipleBirthInteger":1.0'),
  };
  for (const [what, text] of Object.entries(cases)) {
    test(what, async () => {
      const answer = await put('Patient', 'r', text);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.json.resourceType, 'OperationOutcome');
      assert.ok(answer.json.issue[0].details?.text ?? answer.json.issue[0].diagnostics, answer.text);
      assert.equal((await writer.request('GET', '/fhir/Patient/r')).status, 404);
    });
  }

  test('a byte order mark is no part of the JSON: taken off or refused, never stored', async () => {
    const answer = await put('Patient', 'bom', `\ufeff${patient('"active":true').replace('"r"', '"bom"')}`);
    if (answer.status < 300) assert.ok((await writer.request('GET', '/fhir/Patient/bom')).text.startsWith('{'));
    else assert.equal(answer.status, 400, answer.text);
  });
});
