// A study that comes in pieces is measured once, with all its slices; what grew is measured anew, what a doctor reviewed
// stays.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stateOf } from '../../scenarios/client.mjs';
import { draftConsult } from '../../scenarios/world.mjs';
import { holdMeasuring, makePhantom, measuringProcess, startWorld, stow, waitFor, issuesOf } from './support.mjs';

const SLICES = 60;
let w;
let folder;
let files;

before(async () => {
  w = await startWorld();
  folder = mkdtempSync(join(tmpdir(), 'shanhai-measure-'));
  makePhantom(folder, '--slices', String(SLICES), '--size', '96', '--noise', '5');
  files = readdirSync(folder).filter((name) => name.endsWith('.dcm')).sort().map((name) => readFileSync(join(folder, name)));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await w?.stop();
});

const LIVE = ['queued', 'running', 'done'];
const tasks = () => w.doctor.search('Task', { code: 'urn:shanhai:codes:workflow|ct-measurement', _sort: 'authored-on', _count: '50' });
const reportOf = (task) => w.doctor.read(task.focus.reference);
const theStudy = async () => (await w.doctor.search('ImagingStudy', {}))[0];

// The one live measurement once it is done, with all others over.
async function measured(instances, but = []) {
  return waitFor(`a measurement of ${instances} images`, async () => {
    const study = await theStudy();
    const live = (await tasks()).filter((task) => LIVE.includes(stateOf(task)) && !but.includes(task.id));
    return study?.numberOfInstances === instances && live.length === 1 && stateOf(live[0]) === 'done' ? live[0] : undefined;
  }, 60);
}

// The worker says how many slices it measured in the mask it left, from feet to head.
const slicesOfMask = (task) => readFileSync(join(w.data, 'masks', `${task.id}.mask`)).readUInt16LE(10);

describe('a study in pieces', () => {
  let first;

  test('four requests make one live measurement, of all slices', async () => {
    for (let i = 0; i < 4; i++) {
      assert.equal((await stow(w.doctor, files.slice(i * 13, (i + 1) * 13))).status, 200);
    }
    first = await measured(52);
    assert.equal(slicesOfMask(first), 52);
    const all = await tasks();
    assert.ok(all.filter((task) => task.id !== first.id).every((task) => stateOf(task) === 'superseded'), all.map(stateOf).join());
    assert.equal((await reportOf(first)).status, 'preliminary');
  });

  test('more images: the measurement that nobody reviewed is superseded, with the reason', async () => {
    assert.equal((await stow(w.doctor, files.slice(52, 56))).status, 200);
    const second = await measured(56);
    assert.notEqual(second.id, first.id);
    const old = await w.doctor.read(`Task/${first.id}`);
    assert.deepEqual([stateOf(old), old.status], ['superseded', 'cancelled']);
    assert.match(old.statusReason.text, /新的影像/);
    const report = await reportOf(old);
    assert.equal(report.status, 'cancelled');
    const values = await w.doctor.search('Observation', { _id: report.result.map((one) => one.reference.split('/')[1]).join(), _count: '100' });
    assert.ok(values.length > 0 && values.every((one) => one.status === 'cancelled'));
    assert.equal((await w.doctor.takeAnswer(old.id, 'agree')).status, 422);
    first = second;
  });

  test('what a doctor reviewed stays beside the new one', async () => {
    await w.doctor.take(first.id, 'agree');
    assert.equal((await stow(w.doctor, files.slice(56))).status, 200);
    const third = await measured(SLICES, [first.id]);
    assert.equal(slicesOfMask(third), SLICES);
    assert.equal(stateOf(await w.doctor.read(`Task/${first.id}`)), 'reviewed');
    assert.equal((await reportOf(first)).status, 'final');
    assert.notEqual(third.focus.reference, first.focus.reference);
  });

  test('the same images again change nothing', async () => {
    const states = (await tasks()).map(stateOf);
    assert.equal((await stow(w.doctor, files.slice(0, 5))).status, 200);
    assert.deepEqual((await tasks()).map(stateOf), states);
  });

  test('no client supersedes a measurement', async () => {
    const live = (await tasks()).find((task) => stateOf(task) === 'done');
    const answer = await w.doctor.takeAnswer(live.id, 'supersede', { reason: [{ valueString: 'mine' }] });
    assert.ok([403, 422].includes(answer.status));
    assert.equal(stateOf(await w.doctor.read(`Task/${live.id}`)), 'done');
  });
});

describe('the measured area over the picture', () => {
  // A slice from the middle, with and without the mask: they differ for who may see the measurement.
  async function sees(person) {
    const study = await theStudy();
    const series = study.series[0];
    const at = `/dicom-web/studies/${study.identifier[0].value.replace('urn:oid:', '')}/series/${series.uid}/instances/${series.instance[30].uid}/rendered`;
    const picture = async (query) => {
      const response = await fetch(`${w.base}${at}?window=lung${query}`, { headers: { Cookie: person.cookie, Accept: 'image/png' } });
      assert.equal(response.status, 200);
      return Buffer.from(await response.arrayBuffer());
    };
    return !(await picture('')).equals(await picture('&overlay=mask'));
  }

  test('is seen in its own hospital before the review, by invited people after it', async () => {
    const live = (await tasks()).find((task) => stateOf(task) === 'done');
    const reviewed = (await tasks()).find((task) => stateOf(task) === 'reviewed');
    const study = await theStudy();
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, shared: [`ImagingStudy/${study.id}`] });
    await w.doctor.take(consult.task, 'submit');
    assert.equal(await sees(w.doctor), true);
    // The first one was reviewed: that is what the other hospital sees. Without it there is nothing to see there.
    assert.equal(await sees(w.coordinator), true);
    rmSync(join(w.data, 'masks', `${reviewed.id}.mask`));
    assert.equal(await sees(w.coordinator), false);
    assert.equal(await sees(w.doctor), true);
    await w.doctor.take(live.id, 'agree');
    assert.equal(await sees(w.coordinator), true);
  });
});

describe('a measurement that runs', () => {
  test('says how far it is, and a doctor of the hospital stops it', async () => {
    const before = new Set((await tasks()).map((task) => task.id));
    const other = mkdtempSync(join(tmpdir(), 'shanhai-measure-'));
    makePhantom(other, '--slices', '60', '--size', '256', '--seed', '78', '--date', '20261101');
    const pieces = readdirSync(other).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(other, name)));
    rmSync(other, { recursive: true, force: true });
    assert.equal((await stow(w.doctor, pieces)).status, 200);
    await holdMeasuring(w.server.child.pid);
    const task = (await tasks()).find((one) => !before.has(one.id) && stateOf(one) === 'running');
    const report = await reportOf(task);
    const study = await w.doctor.read(report.imagingStudy[0].reference);
    const path = `/studies/${study.identifier.find((one) => one.system === 'urn:dicom:uid').value.replace('urn:oid:', '')}/measurement`;
    const progress = await w.doctor.must('GET', path);
    assert.equal(progress.state, 'running');
    assert.ok(progress.percent >= 0 && progress.percent < 100, String(progress.percent));
    assert.equal((await w.expert.request('GET', path)).status, 404, 'who does not see the study learns nothing of it');
    assert.ok([403, 404].includes((await w.coordinator.takeAnswer(task.id, 'stop')).status));
    assert.equal(stateOf(await w.doctor.take(task.id, 'stop')), 'stopped');
    assert.equal((await reportOf(task)).status, 'cancelled');
    await waitFor('the end of the process', async () => (await w.doctor.must('GET', path)).state !== 'running', 30);
    assert.equal(measuringProcess(w.server.child.pid), undefined, 'it is gone, not left standing');
    assert.equal(stateOf(await w.doctor.read(`Task/${task.id}`)), 'stopped');
    assert.equal((await w.doctor.takeAnswer(task.id, 'agree')).status, 422);
    // Again by hand: by who may see the study and measure, once, and the stopped one stays what it is.
    assert.equal((await w.coordinator.request('POST', path, {})).status, 403);
    assert.equal((await w.doctor.request('POST', '/studies/1.2.3/measurement', {})).status, 404);
    const together = await Promise.all([w.doctor, w.radiologist, w.doctor, w.radiologist].map((person) => person.request('POST', path, {})));
    assert.deepEqual(together.map((one) => one.status).sort(), [202, 422, 422, 422], 'who press it together begin one');
    const twice = together.find((one) => one.status === 422);
    assert.match(issuesOf(twice).join(), /正在测量或已有测量结果/);
    const again = await waitFor('the new measurement', async () => (await tasks()).find((one) => !before.has(one.id) && one.id !== task.id && ['done', 'unfit'].includes(stateOf(one))), 60);
    assert.equal((await reportOf(again)).imagingStudy[0].reference, report.imagingStudy[0].reference);
    assert.equal(stateOf(await w.doctor.read(`Task/${task.id}`)), 'stopped');
    assert.equal((await w.doctor.request('POST', path, {})).status, stateOf(again) === 'unfit' ? 202 : 422);
  });
});
