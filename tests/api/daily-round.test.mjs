// 一天一会诊: every severe or critical patient without a consult signed today is told, for the county and its command.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createPatient } from '../../scenarios/world.mjs';
import { restart, toSigned } from './play.mjs';
import { startWorld, waitFor } from './support.mjs';

let w;
let critical;
let common;
before(async () => {
  w = await startWorld();
  critical = await createPatient(w.doctor, { id: 'R-1', national: '660243195001010023', name: '田一', gender: 'male', birthDate: '1950-01-01' });
  common = await createPatient(w.doctor, { id: 'R-2', national: '660243195501010031', name: '石二', gender: 'female', birthDate: '1955-01-01' });
});
after(async () => w?.stop());

const site = (days = 0) => new Date(Date.now() + 8 * 3600e3 + days * 864e5).toISOString().slice(0, 10);
const severity = (patient, code, at = new Date().toISOString()) => ({ resourceType: 'Observation', status: 'final',
  code: { coding: [{ system: 'urn:shanhai:codes:case-observation', code: 'severity', display: '病情程度' }] }, subject: { reference: `Patient/${patient.id}` },
  effectiveDateTime: at, performer: [{ reference: w.doctor.post }], valueCodeableConcept: { coding: [{ system: 'urn:shanhai:codes:severity', code }] } });
const condition = (patient, code, more = {}) => ({ resourceType: 'Condition', code: { text: '肺炎' }, subject: { reference: `Patient/${patient.id}` },
  severity: { coding: [{ system: 'urn:shanhai:codes:severity', code }] }, recordedDate: new Date().toISOString(), ...more });
async function counted(person, day = site(), org = '') {
  const { indicators } = await person.must('GET', `/indicators?date=${day}${org && `&org=${org}`}`);
  return ['severe-patients', 'severe-without-consult'].map((code) => indicators.find((one) => one.code === code).value);
}
const drill = (person, code = 'severe-patients') => person.must('GET', `/indicators/${code}/resources?date=${site()}`);

describe('who is on the list', () => {
  test('nobody is severe', async () => assert.deepEqual(await counted(w.doctor), [0, 0]));

  test('a diagnosis counts until a dated severity says otherwise; the last one holds', async () => {
    await w.doctor.create(condition(w.patient, 'severe'));
    await w.doctor.create(condition(w.patient, 'critical'));
    assert.deepEqual(await counted(w.doctor), [1, 1], 'two diagnoses, one patient');
    await w.doctor.create(severity(critical, 'critical'));
    await w.doctor.create(severity(common, 'severe', new Date(Date.now() - 36e5).toISOString()));
    await w.doctor.create(severity(common, 'common'));
    assert.deepEqual(await counted(w.doctor), [2, 2]);
    await w.doctor.create(condition(common, 'mild'));
    await w.doctor.create(condition(common, 'severe', { verificationStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-ver-status', code: 'entered-in-error' }] } }));
    assert.deepEqual(await counted(w.doctor), [2, 2]);
    assert.deepEqual(await counted(w.doctor, site(-2)), [0, 0], 'not the day before yesterday');
  });

  test('the list leads to the patients; a command sees counts, of the county it leads', async () => {
    const list = await drill(w.doctor);
    assert.deepEqual(list.resources.map((r) => r.reference).sort(), [`Patient/${w.patient.id}`, `Patient/${critical.id}`].sort());
    assert.deepEqual([list.total, list.visible], [2, 2]);
    const led = await drill(w.commander);
    assert.deepEqual([led.total, led.visible], [2, 0], 'states and figures, no chart');
    assert.deepEqual(await counted(w.commander, site(), w.doctor.organization.split('/')[1]), [2, 2]);
    assert.deepEqual(await counted(w.coordinator), [0, 0], 'the helping hospital has no patients of its own');
  });

  test('wrong days and other hospitals are refused', async () => {
    assert.equal((await w.doctor.request('GET', '/indicators/severe-patients/resources?date=2026-13-01')).status, 400);
    assert.equal((await w.doctor.request('GET', `/indicators?org=${w.coordinator.organization.split('/')[1]}`)).status >= 400, true);
    assert.equal((await w.admins.county.request('GET', '/indicators/severe-patients/resources')).status, 403);
    assert.ok([403, 404, 422].includes((await w.lead.request('POST', '/fhir/Observation', severity(critical, 'common'))).status), 'nobody else says how severe');
  });
});

describe('the consult of the day', () => {
  test('signed today it is done; asked for or running it is not', async () => {
    await toSigned(w);
    assert.deepEqual(await counted(w.doctor), [2, 1]);
    const open = await drill(w.doctor, 'severe-without-consult');
    assert.deepEqual(open.resources.map((r) => r.reference), [`Patient/${critical.id}`]);
    const all = await drill(w.doctor);
    assert.deepEqual(Object.fromEntries(all.resources.map((r) => [r.reference, Number(r.value)])), { [`Patient/${w.patient.id}`]: 1, [`Patient/${critical.id}`]: 0 });
    const report = await w.commander.must('GET', `/reports/daily?date=${site()}`);
    assert.ok(JSON.stringify(report).includes('severe-without-consult'));
  });

  test('who is better or has died is off the list', async () => {
    await w.doctor.create(severity(critical, 'resolved', new Date(Date.now() + 1000).toISOString()));
    assert.deepEqual(await counted(w.doctor), [1, 0]);
    await w.doctor.update({ ...(await w.doctor.read(`Patient/${w.patient.id}`)), deceasedBoolean: true });
    assert.deepEqual(await counted(w.doctor), [0, 0]);
    await w.doctor.update({ ...(await w.doctor.read(`Patient/${w.patient.id}`)), deceasedBoolean: false });
  });

  test('the next day all are due again', async () => {
    await restart(w, { aheadMinutes: 24 * 60, people: [w.doctor] });
    await waitFor('the day', async () => (await counted(w.doctor, site(1)))[1] === 1, 10);
    assert.deepEqual(await counted(w.doctor, site(1)), [1, 1]);
  });
});
