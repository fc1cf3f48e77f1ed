// The verdicts on images: reasons from the list, counted for the hospital that sent them, each figure traced to its studies.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { code, reference } from '../../scenarios/client.mjs';
import { draftConsult } from '../../scenarios/world.mjs';
import { issuesOf, makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
const studies = [];
const consults = [];

before(async () => {
  w = await startWorld();
  for (const seed of ['81', '82']) {
    const folder = mkdtempSync(join(tmpdir(), 'shanhai-quality-'));
    makePhantom(folder, '--slices', '3', '--size', '64', '--seed', seed);
    await stow(w.doctor, readdirSync(folder).filter((name) => name.endsWith('.dcm')).map((name) => readFileSync(join(folder, name))));
    rmSync(folder, { recursive: true, force: true });
  }
  const found = await waitFor('two studies', async () => {
    const list = await w.doctor.search('ImagingStudy', {});
    return list.length === 2 ? list : undefined;
  });
  for (const study of found) {
    studies.push(`ImagingStudy/${study.id}`);
    const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, shared: [studies.at(-1)] });
    await w.doctor.take(consult.task, 'submit');
    consults.push(consult.task);
  }
});
after(async () => w?.stop());

const today = () => new Date(Date.now() + 8 * 3600e3).toISOString().slice(0, 10);
const judge = (i, verdict, ...faults) =>
  w.coordinator.takeAnswer(consults[i], 'judge-images', { study: reference(studies[i]), verdict: code(verdict), ...(faults.length > 0 && { fault: faults.map(code) }) });

async function figures(person) {
  const { indicators } = await person.must('GET', `/indicators?date=${today()}`);
  return Object.fromEntries(indicators.filter((one) => one.code.startsWith('image')).map((one) => [one.code, one.value]));
}

describe('image quality', () => {
  test('a verdict that is not acceptable needs a reason, and one of the list', async () => {
    const without = await judge(0, 'limited');
    assert.equal(without.status, 422);
    assert.match(issuesOf(without).join(), /须选原因/);
    assert.equal((await judge(0, 'limited', 'ugly')).status, 422);
    assert.equal((await judge(0, 'excellent')).status, 422);
  });

  test('verdicts and reasons are counted for both hospitals, the last verdict on a study counts', async () => {
    assert.equal((await judge(0, 'unacceptable', 'missing-slices')).status, 200);
    assert.equal((await judge(0, 'limited', 'thick-slices', 'no-prior')).status, 200);
    assert.equal((await judge(1, 'acceptable')).status, 200);
    const expected = {
      'images-acceptable': 50, 'images-limited': 1, 'images-unacceptable': 0, 'image-fault-thick-slices': 1, 'image-fault-missing-slices': 0,
      'image-fault-motion': 0, 'image-fault-range-incomplete': 0, 'image-fault-no-prior': 1,
    };
    for (const person of [w.doctor, w.coordinator, w.radiologist]) assert.deepEqual(await figures(person), expected, person.name);
  });

  test('a figure leads to the studies it counted, and the hospital reads why', async () => {
    const drill = await w.doctor.must('GET', `/indicators/image-fault-thick-slices/resources?date=${today()}`);
    assert.deepEqual([drill.total, drill.visible, drill.resources.map((one) => one.reference)], [1, 1, [studies[0]]]);
    const all = await w.coordinator.must('GET', `/indicators/images-acceptable/resources?date=${today()}`);
    assert.deepEqual(new Set(all.resources.map((one) => one.reference)), new Set(studies));
    const verdicts = await w.doctor.search('Observation', { code: 'urn:shanhai:codes:consult-observation|image-verdict' });
    assert.equal(verdicts.length, 3);
    const report = await w.commander.must('GET', `/reports/daily?date=${today()}`);
    assert.ok(JSON.stringify(report).includes('影像合格率'));
  });
});
