// Who knows the UID of another hospital's study may not add images to it unasked: they are held, and the owner is asked.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hire } from './play.mjs';
import { makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
let folder;
let slices;
let foreign;
before(async () => {
  w = await startWorld();
  folder = mkdtempSync(join(tmpdir(), 'shanhai-foreign-'));
  makePhantom(folder, '--slices', '12', '--size', '64');
  slices = readdirSync(folder).filter((n) => n.endsWith('.dcm')).sort().map((n) => readFileSync(join(folder, n)));
  foreign = await hire(w, { account: 'yuanfang', name: '袁放', role: 'radiologist', title: 'chief', specialty: '影像科', phone: '15400000048' });
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await w?.stop();
});

const studies = () => w.doctor.search('ImagingStudy', { subject: `Patient/${w.patient.id}` });
const held = (person) => person.must('GET', '/studies/held');
const heldNow = (person) => waitFor('the study is held', async () => (await held(person))[0], 30);

test('images of another hospital in our study are held and asked, not added', async () => {
  assert.equal((await stow(w.doctor, slices.slice(0, 6))).status, 200);
  await waitFor('the study is joined', async () => (await studies()).length > 0, 30);
  assert.equal((await stow(w.radiologist, slices.slice(6, 8))).status, 200);
  await waitFor('a colleague of the own hospital adds to it', async () => (await studies())[0].numberOfInstances === 8, 30);
  assert.equal((await stow(foreign, slices.slice(8))).status, 200);
  const one = await heldNow(w.doctor);
  assert.equal(one.reason, 'other-sender-in-study');
  assert.deepEqual(await held(foreign), [], 'the owner is asked, not the sender');
  assert.equal((await studies())[0].numberOfInstances, 8);
  assert.equal((await foreign.search('ImagingStudy')).length, 0, 'and the sender sees nothing of it');
});
