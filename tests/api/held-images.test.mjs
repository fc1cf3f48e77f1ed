// Images that somebody else sent into a study, or that name another patient: no way out shows them, none counts them, no
// measurement takes them, until the study's hospital lets them in; what it refuses is never shown.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Person } from '../../scenarios/client.mjs';
import { addPerson, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { hire, restart } from './play.mjs';
import { makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
let folder;
let slices; // of one series of one study, 24 of them
let foreign;
let sibling;
let uids;

before(async () => {
  w = await startWorld();
  folder = mkdtempSync(join(tmpdir(), 'shanhai-held-'));
  makePhantom(folder, '--slices', '40', '--size', '64');
  slices = readdirSync(folder).filter((n) => n.endsWith('.dcm')).sort().map((n) => readFileSync(join(folder, n)));
  foreign = await hire(w, { account: 'yuanfang', name: '袁放', role: 'radiologist', title: 'chief', specialty: '影像科', phone: '15400000048' });
  const department = async (name) => {
    const made = await w.admins.county.create({ resourceType: 'Organization', active: true, name, partOf: { reference: w.admins.county.organization } });
    return { reference: `Organization/${made.id}`, name };
  };
  const { first } = await addPerson(w.admins.county, await department('发热门诊'), { account: 'liuying', name: '柳影', role: 'radiologist', title: 'chief', specialty: '影像科', phone: '15400000049' });
  sibling = await new Person(w.base, 'liuying').signIn(first);
  await sibling.changePassword(PASSWORD);
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await w?.stop();
});

const studies = () => w.doctor.search('ImagingStudy', { subject: `Patient/${w.patient.id}` });
const countIs = (n) => waitFor(`the study has ${n} images`, async () => (await studies())[0]?.numberOfInstances === n, 30);
const held = (person) => person.must('GET', '/studies/held');
const heldWith = (reason) => waitFor(`held: ${reason}`, async () => (await held(w.doctor)).find((one) => one.reason === reason), 30);
const send = async (person, ...numbers) => {
  const answer = await stow(person, numbers.map((n) => slices[n]));
  assert.equal(answer.status, 200);
  const found = answer.json['00081199'].Value.map((one) => /studies\/([\d.]+)\/series\/([\d.]+)\/instances\/([\d.]+)/.exec(one['00081190'].Value[0]));
  return { study: found[0][1], series: found[0][2], sops: found.map((one) => one[3]) };
};
const decide = (person, word, one, body = {}) => person.request('POST', `/studies/held/${one.study}/${word}`, { part: one.part, ...body });
const own = () => ({ patient: `Patient/${w.patient.id}` });
const otherPatient = (file) => Buffer.from(file.toString('latin1').replaceAll(patientFacts.id, patientFacts.id.replace(/.$/, (c) => String((Number(c) + 1) % 10))), 'latin1');

async function ask(path, accept = 'application/dicom+json') {
  const response = await fetch(w.base + path, { headers: { Cookie: w.doctor.cookie, Accept: accept } });
  return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
}

// Every DICOMweb address that names an instance, by what it answers for a hidden one.
const single = ({ study, series }, sop) => ['', '/metadata', '/frames/1', '/frames/1/rendered', '/rendered', '/rendered?viewport=32,32', '/thumbnail', '/rendered?overlay=mask', '/bulkdata/7FE00010']
  .map((tail) => `/dicom-web/studies/${study}/series/${series}/instances/${sop}${tail}`);

// All that DICOMweb, the record and the measurement say about the study: which instances, and all the counts.
async function seen({ study, series }) {
  const json = async (path) => JSON.parse((await ask(path)).bytes);
  const value = (row, tag) => row[tag]?.Value?.[0];
  const sops = (rows) => rows.map((row) => value(row, '00080018')).sort();
  const at = `/dicom-web/studies/${study}`;
  const lists = {};
  for (const path of [`${at}/instances`, `${at}/series/${series}/instances`, `/dicom-web/instances?StudyInstanceUID=${study}`, `/dicom-web/instances?StudyInstanceUID=${study}&SeriesInstanceUID=${series}`,
    `${at}/instances?PatientID=${patientFacts.id}`, `${at}/metadata`, `${at}/series/${series}/metadata`]) lists[path] = sops(await json(path));
  for (const path of [at, `${at}/series/${series}`]) {
    const { bytes } = await ask(path, 'multipart/related; type="application/dicom"; transfer-syntax=*');
    lists[path] = uids.filter((sop) => bytes.includes(`${sop}\0`) || bytes.includes(`${sop}\x08\0`)).sort();
  }
  const [row] = await json(`/dicom-web/studies?StudyInstanceUID=${study}`);
  const serieses = await json(`${at}/series`);
  const [record] = await studies();
  return { lists, counts: [value(row, '00201208'), serieses.reduce((sum, one) => sum + value(one, '00201209'), 0), record.numberOfInstances, record.series.reduce((sum, one) => sum + one.numberOfInstances, 0),
    record.series.reduce((sum, one) => sum + one.instance.length, 0)].map(Number), series: [value(row, '00201206'), serieses.length, record.numberOfSeries].map(Number) };
}

async function assertSeen(place, visible, hidden) {
  const { lists, counts, series } = await seen(place);
  for (const [path, list] of Object.entries(lists)) assert.deepEqual(list, [...visible].sort(), path);
  assert.deepEqual(counts, counts.map(() => visible.length));
  assert.deepEqual(series, [1, 1, 1]);
  for (const sop of hidden) {
    for (const path of single(place, sop)) assert.equal((await ask(path, '*/*')).status, 404, path);
    const { status, bytes } = await ask(`/dicom-web/instances?StudyInstanceUID=${place.study}&SOPInstanceUID=${sop}`);
    assert.deepEqual([status, JSON.parse(bytes)], [200, []]);
  }
  const paths = single(place, visible[0]).filter((path) => !path.includes('thumbnail'));
  for (const path of paths) assert.equal((await ask(path, '*/*')).status, 200, path);
}

test('what a department beside the first sends into the study is the hospital’s own', async () => {
  uids = (await send(w.doctor, 0, 1, 2, 3)).sops;
  await countIs(4);
  uids.push(...(await send(sibling, 4, 5)).sops);
  await countIs(6);
  assert.deepEqual(await held(w.doctor), []);
});

let place;
let hidden;
test('another hospital’s and another patient’s images are seen nowhere but in the list of who decides', async () => {
  place = await send(w.doctor, 0);
  hidden = [];
  hidden.push(...(await send(foreign, 6, 7)).sops);
  const elsewhere = await heldWith('other-sender-in-study');
  assert.deepEqual({ study: elsewhere.study, instances: elsewhere.instances, sender: elsewhere.sender, candidates: elsewhere.candidates },
    { study: place.study, instances: 2, sender: foreign.organization, candidates: [{ patient: own().patient, differs: [] }] });
  slices[8] = otherPatient(slices[8]);
  hidden.push(...(await send(w.radiologist, 8)).sops);
  const other = await heldWith('other-patient-in-study');
  assert.equal(other.instances, 1);
  assert.notEqual(other.patient.id, patientFacts.id);
  const all = [...uids, ...hidden];
  const visible = uids;
  uids = all;
  await assertSeen(place, visible, hidden);
  assert.deepEqual(await held(foreign), [], 'the owner is asked, not the sender');
  assert.equal((await foreign.search('ImagingStudy')).length, 0, 'and the sender sees nothing of it');
  assert.equal((await w.expert.request('GET', '/studies/held')).status, 403);
});

test('no measurement takes them, also not beside twenty slices of the study', async () => {
  uids.push(...(await send(w.doctor, ...Array.from({ length: 20 }, (_, i) => 20 + i))).sops);
  await countIs(26);
  const report = await waitFor('measured or found unfit', async () => (await w.doctor.search('DiagnosticReport', { subject: own().patient })).find((one) => one.status !== 'registered'), 60);
  assert.match(report.conclusion, /中间缺层.*14 层/, 'slices 6 to 19 are missing, those that are held among them');
  await assertSeen(place, uids.filter((sop) => !hidden.includes(sop)), hidden);
});

test('only who may decide decides, and a study has one patient', async () => {
  const [one] = (await held(w.doctor)).filter((x) => x.reason === 'other-sender-in-study');
  for (const word of ['match', 'reject']) {
    assert.equal((await decide(w.expert, word, one, own())).status, 403);
    assert.equal((await decide(foreign, word, one, own())).status, 404);
    assert.equal((await decide(w.doctor, word, { ...one, part: '0123456789abcdef' }, own())).status, 404);
    assert.equal((await decide(w.doctor, word, { study: one.study }, own())).status, 404, 'the study itself is not held');
  }
  const stranger = await w.doctor.create({ resourceType: 'Patient', name: [{ text: '田大江' }], identifier: [{ system: 'urn:shanhai:id:inpatient', value: 'X-2' }] });
  assert.equal((await decide(w.doctor, 'match', one, { patient: `Patient/${stranger.id}`, confirmed: true })).status, 422);
});

test('released images appear at once and are counted, rejected ones never, through a lost index and a crash', async () => {
  const [elsewhere] = (await held(w.doctor)).filter((x) => x.reason === 'other-sender-in-study');
  const [other] = (await held(w.doctor)).filter((x) => x.reason === 'other-patient-in-study');
  assert.equal((await decide(w.doctor, 'match', elsewhere, own())).status, 200);
  assert.equal((await decide(w.doctor, 'reject', other)).status, 200);
  assert.equal((await decide(w.doctor, 'reject', other)).status, 404, 'decided once');
  assert.equal((await decide(w.doctor, 'match', other, own())).status, 404);
  const never = hidden.slice(2);
  const visible = uids.filter((sop) => !never.includes(sop));
  await assertSeen(place, visible, never);
  slices[9] = otherPatient(slices[9]);
  never.push(...(await send(w.radiologist, 9)).sops);
  uids.push(never.at(-1));
  visible.push(...(await send(foreign, 10)).sops);
  uids.push(visible.at(-1));
  await countIs(visible.length);
  assert.deepEqual(await held(w.doctor), []);
  await assertSeen(place, visible, never);
  await restart(w, { kill: true, people: [w.doctor], before: () => {
    for (const name of readdirSync(join(w.data, 'images'))) if (name.startsWith('index.sqlite')) rmSync(join(w.data, 'images', name));
  } });
  await countIs(visible.length);
  await assertSeen(place, visible, never);
});

test('a study that is refused as a whole is nobody’s for good', async () => {
  const alone = mkdtempSync(join(tmpdir(), 'shanhai-refused-'));
  makePhantom(alone, '--slices', '2', '--size', '64', '--seed', '9', '--patient-id', 'NOBODY');
  const files = readdirSync(alone).filter((n) => n.endsWith('.dcm')).map((n) => readFileSync(join(alone, n)));
  rmSync(alone, { recursive: true, force: true });
  assert.equal((await stow(w.doctor, files.slice(0, 1))).status, 200);
  const one = await waitFor('held', async () => (await held(w.doctor))[0], 30);
  assert.equal(one.part, undefined);
  assert.equal((await w.doctor.request('POST', `/studies/held/${one.study}/reject`, {})).status, 200);
  assert.deepEqual(await held(w.doctor), []);
  assert.equal((await stow(w.doctor, files.slice(1))).status, 200);
  await new Promise((resolve) => setTimeout(resolve, 3500)); // at rest after 2.5 s: it is not asked again
  assert.deepEqual(await held(w.doctor), []);
  assert.equal((await ask(`/dicom-web/studies/${one.study}/metadata`)).status, 404);
  assert.equal((await w.doctor.request('POST', `/studies/held/${one.study}/match`, own())).status, 404);
});
