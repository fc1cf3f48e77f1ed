// After closing: the invited hospital keeps its own copy (signed document, images shown, session record) and nothing more.
// And the invited hospital's radiologist, who may judge images, sees them for as long as they are to be judged.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { code, reference, stateOf, text } from '../../scenarios/client.mjs';
import { draftConsult, PASSWORD } from '../../scenarios/world.mjs';
import { hire, toSigned } from './play.mjs';
import { makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
let study;
let other;
let radiologist;
before(async () => {
  w = await startWorld();
  for (const seed of ['71', '72']) {
    const folder = mkdtempSync(join(tmpdir(), 'shanhai-archive-'));
    makePhantom(folder, '--slices', '3', '--size', '64', '--seed', seed);
    await stow(w.doctor, readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name))));
    rmSync(folder, { recursive: true, force: true });
  }
  [study, other] = await waitFor('two studies', async () => {
    const list = await w.doctor.search('ImagingStudy');
    return list.length === 2 ? list : undefined;
  });
  radiologist = await hire(w, { account: 'heqing', name: '何清', role: 'radiologist', title: 'chief', specialty: '医学影像科', phone: '15400000052' });
});
after(async () => w?.stop());

const get = async (person, path, headers) => (await person.request('GET', path, undefined, headers)).status;
const fhir = (person, way) => get(person, `/fhir/${way}`);
const uidOf = (one) => one.identifier.find((i) => i.system === 'urn:dicom:uid').value.replace('urn:oid:', '');
const dicom = async (person, one) => [
  (await person.request('GET', `/dicom-web/studies?StudyInstanceUID=${uidOf(one)}`, undefined, { Accept: 'application/dicom+json' })).json?.length ?? 0,
  await get(person, `/dicom-web/studies/${uidOf(one)}/metadata`, { Accept: 'application/dicom+json' }),
];

describe('the radiologist of the invited hospital', () => {
  test('sees what is to be judged, from submission to allocation, and no more', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, shared: [`ImagingStudy/${study.id}`] });
    assert.equal(await fhir(radiologist, `Task/${consult.task}`), 404, 'not before');
    await w.doctor.take(consult.task, 'submit');
    for (const way of [`Task/${consult.task}`, `ServiceRequest/${consult.request}`, `ImagingStudy/${study.id}`, `Patient/${w.patient.id}`]) {
      assert.equal(await fhir(radiologist, way), 200, way);
    }
    assert.deepEqual(await dicom(radiologist, study), [1, 200]);
    assert.deepEqual(await dicom(radiologist, other), [0, 404], 'what was not shared is not there');
    assert.equal(await fhir(radiologist, `Consent/${consult.consent}`), 404);
    const judged = await radiologist.take(consult.task, 'judge-images', { study: reference(`ImagingStudy/${study.id}`), verdict: code('limited'), fault: code('motion') });
    assert.equal(stateOf(judged), 'submitted');
    assert.equal((await radiologist.takeAnswer(consult.task, 'allocate')).status, 403);
    await w.coordinator.take(consult.task, 'allocate');
    for (const way of [`Task/${consult.task}`, `ImagingStudy/${study.id}`, `Patient/${w.patient.id}`]) assert.equal(await fhir(radiologist, way), 404, `after: ${way}`);
    assert.deepEqual(await dicom(radiologist, study), [0, 404]);
    await w.doctor.take(consult.task, 'cancel', { reason: text('测试') });
  });

  test('a return closes it too, the next submission opens it again', async () => {
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, shared: [`ImagingStudy/${study.id}`] });
    await w.doctor.take(consult.task, 'submit');
    await w.coordinator.take(consult.task, 'return', { gap: text('缺薄层') });
    assert.deepEqual(await dicom(radiologist, study), [0, 404]);
    await w.doctor.take(consult.task, 'submit');
    assert.deepEqual(await dicom(radiologist, study), [1, 200]);
    await w.doctor.take(consult.task, 'cancel', { reason: text('测试') });
    assert.deepEqual(await dicom(radiologist, study), [0, 404]);
  });
});

describe('the archive copy', () => {
  let c;
  let archive;
  let shared;
  let said;
  before(async () => {
    shared = [`ImagingStudy/${study.id}`];
    const finding = await w.doctor.create({ resourceType: 'Condition', code: { text: '肺炎' }, subject: { reference: `Patient/${w.patient.id}` } });
    shared.push(`Condition/${finding.id}`);
    c = await toSigned(w, { shared });
    said = await w.doctor.create({ resourceType: 'Communication', status: 'completed', encounter: { reference: c.encounter }, subject: { reference: `Patient/${w.patient.id}` },
      sender: { reference: w.doctor.post }, sent: new Date().toISOString(), payload: [{ contentString: '右下叶病灶是否为新发？' }] });
    await w.coordinator.take(c.task, 'deliver');
    await w.doctor.take(c.task, 'decide', { adoption: code('adopted'), plan: text('按意见执行'), password: text(PASSWORD) });
    const closed = await w.doctor.take(c.task, 'feedback', { outcome: code('improved'), followed: code('yes'), 'final-diagnosis': text('病毒性肺炎'), 'early-reason': text('已出院') });
    archive = closed.output.find((o) => o.type.coding[0].code === 'archive').valueReference.reference;
  });

  test('holds the session record as it was: who, when, identity, discussion, steps, the images\' list', async () => {
    const bundle = await w.lead.read(archive);
    assert.equal(bundle.type, 'collection');
    const of = (type) => bundle.entry.map((e) => e.resource).filter((r) => r.resourceType === type);
    assert.equal(of('Patient')[0].name[0].text, '王小东');
    assert.equal(of('Encounter')[0].status, 'finished');
    assert.deepEqual(of('ImagingStudy').map((s) => s.id), [study.id]);
    assert.equal(of('Communication')[0].payload[0].contentString, '右下叶病灶是否为新发？');
    assert.ok(of('Observation').some((o) => o.code.coding[0].code === 'identity-check'));
    assert.ok(of('Provenance').some((p) => p.activity.coding[0].code === 'sign'));
    assert.ok(!JSON.stringify(bundle).includes('ClinicalImpression"'), 'no opinion beside the signed document');
  });

  test('what the expert keeps', async () => {
    for (const way of [archive, c.document, `Task/${c.task}`, `ServiceRequest/${c.request}`, `ImagingStudy/${study.id}`]) assert.equal(await fhir(w.lead, way), 200, way);
    assert.deepEqual(await dicom(w.lead, study), [1, 200]);
  });

  test('and nothing more, whichever way is asked', async () => {
    const later = await w.doctor.create({ resourceType: 'Condition', code: { text: '出院后新诊断' }, subject: { reference: `Patient/${w.patient.id}` } });
    const closedWays = [`Patient/${w.patient.id}`, `Consent/${c.consent}`, c.encounter, shared[1], `Condition/${later.id}`, `Communication/${said.id}`, `ImagingStudy/${other.id}`];
    for (const way of closedWays) {
      assert.equal(await fhir(w.lead, way), 404, way);
      assert.ok([403, 404].includes(await fhir(w.lead, `${way}/_history`)), `${way}/_history`);
    }
    assert.deepEqual(await dicom(w.lead, other), [0, 404]);
    const lists = [`Condition?subject=Patient/${w.patient.id}`, `Patient?identifier=${w.patient.identifier[0].value}`, `Communication?encounter=${c.encounter}`,
      `ImagingStudy?_id=${study.id}&_include=ImagingStudy:patient`, `Task?_id=${c.task}&_include=*`, `ServiceRequest?_id=${c.request}&_include=ServiceRequest:patient`];
    for (const list of lists) {
      const answer = await w.lead.request('GET', `/fhir/${list}`);
      for (const id of [w.patient.id, later.id, said.id, shared[1].split('/')[1]]) {
        const given = (answer.json?.entry ?? []).some((e) => e.resource.id === id);
        assert.ok(!given, `${list} gives ${id}`);
      }
    }
    assert.ok([403, 404].includes(await fhir(w.lead, `Patient/${w.patient.id}/$everything`)));
    const write = await w.lead.request('POST', '/fhir/Communication', { resourceType: 'Communication', status: 'completed', encounter: { reference: c.encounter },
      subject: { reference: `Patient/${w.patient.id}` }, sender: { reference: w.lead.post }, payload: [{ contentString: '补一句' }] });
    assert.ok([403, 404, 422].includes(write.status), String(write.status));
  });

  test('it is the invited hospital\'s, for those who took part; nobody changes it', async () => {
    for (const person of [w.expert, radiologist, w.coordinator, w.commander, w.doctor, w.radiologist, w.admins.helper, w.admins.county]) {
      assert.ok([403, 404].includes(await fhir(person, archive)), person.name);
      assert.ok(!(await person.request('GET', '/fhir/Bundle?type=collection')).text.includes(archive.split('/')[1]), `${person.name} lists it`);
    }
    const bundle = await w.lead.read(archive);
    for (const person of [w.lead, w.doctor, w.admins.helper]) {
      assert.ok([403, 404, 422].includes((await person.request('PUT', `/fhir/${archive}`, { ...bundle, timestamp: '2020-01-01T00:00:00Z' })).status), person.name);
      assert.ok([403, 404, 422].includes((await person.request('DELETE', `/fhir/${archive}`)).status), person.name);
      assert.ok([403, 422].includes((await person.request('POST', '/fhir/Bundle', { ...bundle, id: undefined, meta: undefined })).status), person.name);
    }
  });
});
