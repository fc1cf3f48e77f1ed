// `shanhai fhirpath` and `shanhai view` as a user calls them, over every public case: output, exit status, standard
// input, and what happens to input that is none.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasShared, program, shared } from './support.mjs';

const folder = mkdtempSync(join(tmpdir(), 'shanhai-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

// {status, json, error}: what a command printed; json is undefined where nothing sensible stands.
function run(args, input) {
  const done = spawnSync(program, args, { input: input ?? '', encoding: 'utf8', timeout: 60000 });
  let json;
  if (done.status === 0) json = JSON.parse(done.stdout);
  return { status: done.status, json, text: done.stdout, error: done.stderr };
}

const file = (name, content) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

// The cases write every value as a text, dates with @.
const plain = (value) => value.replace(/^@T?/, '');
const textOf = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

// Numbers of the output with their digits: JSON.parse would lose 1.0.
function valuesOf(text) {
  return JSON.parse(text.replace(/("value":)(-?\d[\d.eE+-]*)/g, '$1"$2"'));
}

function caseFits(one, result) {
  if (one.invalid === 'syntax') return result.status === 2 && result.error !== '';
  if (one.invalid) return result.status === 3 && result.error !== '';
  if (result.status !== 0) return false;
  let items = valuesOf(result.text);
  if (one.predicate === 'true') items = [{ type: 'boolean', value: items.length === 1 ? items[0].value : items.length > 0 }];
  const fits = (item, want) => (want.type == null || item.type === want.type) &&
    (want.value == null || textOf(item.value) === plain(want.value));
  if (items.length !== one.output.length) return false;
  return one.output.every((want, i) => (one.ordered === 'false' ? items.some((item) => fits(item, want)) : fits(items[i], want)));
}

test('fhirpath: every official case by the command', { skip: !hasShared && 'left out: the public cases are not here' }, () => {
  const suite = join(shared, 'suites', 'fhirpath');
  const cases = JSON.parse(readFileSync(join(suite, 'cases.json'), 'utf8'));
  const failed = [];
  let passed = 0;
  for (const one of cases) {
    const input = join(suite, 'input', one.input ?? '');
    if (one.input && !existsSync(input)) continue;
    const result = run(['fhirpath', one.expression, ...(one.input ? [input] : [])]);
    if (caseFits(one, result)) passed++;
    else failed.push(`${one.name}: ${one.expression} → ${result.status} ${result.text}${result.error}`);
  }
  console.log(`FHIRPath cases by the command: ${passed} passed, ${failed.length} failed`);
  assert.deepEqual(failed, []);
  assert.ok(passed >= 611);
});

test('fhirpath: standard input, help, and each exit status with its reason', () => {
  const patient = '{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"张"}],"birthDate":"1974-12"}';
  assert.deepEqual(run(['fhirpath', 'name.family | birthDate | active', '-'], patient).json,
    [{ type: 'string', value: '张' }, { type: 'date', value: '1974-12' }, { type: 'boolean', value: true }]);
  assert.equal(run(['fhirpath', "name.where(family = '李')", '-'], patient).text, '[]\n');
  assert.equal(run(['fhirpath', '1.50 + 1.0']).text, '[{"type":"decimal","value":2.50}]\n');
  const syntax = run(['fhirpath', 'name..family', '-'], patient);
  assert.equal(syntax.status, 2);
  assert.match(syntax.error, /shanhai fhirpath: .+/);
  assert.equal(syntax.text, '');
  for (const expression of ['nme.family', 'nothing()', "'a'.single(1)", "(1 | 2).single()", "name.where(family.matches('(a+)+b'))",
    "repeat('x' + $this)"]) {
    const result = run(['fhirpath', expression, '-'], patient.replace('张', 'a'.repeat(60)));
    assert.ok(result.status === 3 || (result.status === 0 && expression.includes('matches')), `${expression}: ${result.status}`);
    if (result.status === 3) assert.match(result.error, /shanhai fhirpath: .+/);
  }
  assert.equal(run(['fhirpath', 'id', '-'], '{"resourceType":').status, 1);
  assert.equal(run(['fhirpath', 'id', join(folder, 'absent.json')]).status, 1);
  const help = spawnSync(program, ['fhirpath', '--help'], { encoding: 'utf8' });
  assert.equal(help.status, 0);
  assert.match(help.stdout, /usage: shanhai fhirpath EXPRESSION/);
});

// Decimals keep their digits on the way through JSON.parse: lowBoundary() of 1.0 is not that of 1.
const keepDigits = (text) => text.replace(/: (-?\d+\.\d+)(?=[,\s])/g, ': "digits $1"');
const giveDigits = (text) => text.replace(/"digits (-?[\d.]+)"/g, '$1');

// Numbers by value, absent and null alike, rows in any order.
function rowsFit(want, rows) {
  const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
  const rest = [...rows];
  return want.length === rest.length && want.every((row) => {
    const at = rest.findIndex((made) => Object.keys(row).every((key) => same(row[key], made[key])));
    if (at >= 0) rest.splice(at, 1);
    return at >= 0;
  });
}

test('view: every public ViewDefinition case by the command', { skip: !hasShared && 'left out: the public cases are not here' }, () => {
  const suite = join(shared, 'suites', 'sql-on-fhir');
  const failed = [];
  let passed = 0;
  for (const name of readdirSync(suite).filter((n) => n.endsWith('.json'))) {
    const { resources } = JSON.parse(keepDigits(readFileSync(join(suite, name), 'utf8')));
    const { tests } = JSON.parse(readFileSync(join(suite, name), 'utf8'));
    const lines = file('resources.ndjson', resources.map((r) => `${giveDigits(JSON.stringify(r))}\n`).join(''));
    for (const one of tests) {
      const result = run(['view', file('view.json', JSON.stringify(one.view)), lines]);
      const ok = one.expectError ? result.status === 2 && result.error !== '' : result.status === 0 && rowsFit(one.expect, result.json);
      if (ok) passed++;
      else failed.push(`${name}: ${one.title} → ${result.status} ${result.text}${result.error}`);
    }
  }
  console.log(`ViewDefinition cases by the command: ${passed} passed, ${failed.length} failed`);
  assert.deepEqual(failed, []);
  assert.ok(passed >= 92);
});

test('view: standard input, help, and each exit status with its reason', () => {
  const view = file('names.json', JSON.stringify({ resource: 'Patient', name: 'names', select: [{ column: [{ name: 'id', path: 'id' }] }] }));
  assert.deepEqual(run(['view', view, '-'], '{"resourceType":"Patient","id":"a"}\n\n{"resourceType":"Basic","id":"b"}\r\n{"resourceType":"Patient","id":"c"}').json,
    [{ id: 'a' }, { id: 'c' }]);
  assert.deepEqual(run(['view', view, '-'], '').json, []);
  const bad = run(['view', view, '-'], '{"resourceType":"Patient","id":"a"}\n{"resourceType"');
  assert.equal(bad.status, 1);
  assert.match(bad.error, /line 2/);
  assert.equal(run(['view', view, join(folder, 'absent.ndjson')]).status, 1);
  assert.equal(run(['view', join(folder, 'absent.json'), '-'], '').status, 1);
  for (const definition of ['', '[]', '7', 'null', '{}', '{"resource":"Patient"}', '{"resource":"Patient","select":[]}', '{"resource":"Patient","select":[7]}',
    '{"resource":"Patient","select":[{"column":[{"name":"a","path":"id.."}]}]}', '{"resource":"Nobody","select":[{"column":[{"name":"a","path":"id"}]}]}',
    '{"resource":"Patient","select":[{"column":[{"name":"a","path":"%absent"}]}]}',
    '{"resource":"Patient","select":[{"column":[{"name":"a","path":"nothing()"}]}]}',
    '{"resource":"Patient","select":[{"repeat":[],"column":[{"name":"a","path":"id"}]}]}',
    '{"resource":"Patient","where":[{"path":"id"}],"select":[{"column":[{"name":"a","path":"id"}]}]}']) {
    const result = run(['view', file('bad.json', definition), '-'], '{"resourceType":"Patient","id":"a"}\n');
    assert.equal(result.status, 2, `${definition}: ${result.status} ${result.text}`);
    assert.match(result.error, /shanhai view: .+/);
  }
  assert.equal(run(['view']).status, 1);
  const help = spawnSync(program, ['view', '--help'], { encoding: 'utf8' });
  assert.equal(help.status, 0);
  assert.match(help.stdout, /usage: shanhai view VIEW\.json/);
});
