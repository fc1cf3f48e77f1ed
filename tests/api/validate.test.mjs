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
    assert.match(validate('--chinese', paths[1]).outcomes[0].issue[0].diagnostics, /值集/);
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
