// The program is killed (SIGKILL) at random moments while consults are taken from request to delivery, with signatures, and
// images come in. Each step that was acknowledged is there whole: the Task's state, one Provenance a step, the opinion, the
// frozen document; a step that was not answered happened as a whole or not at all; every acknowledged image is there.
// 8 kills, 1,000 with SHANHAI_LONG=1 (SHANHAI_KILLS says otherwise); SHANHAI_SEED repeats a run's choices.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { reference, stateOf, text, time } from '../../scenarios/client.mjs';
import { draftConsult, PASSWORD, startServer } from '../../scenarios/world.mjs';
import { jointOf, opinionOf, readBack, stepsOf } from './play.mjs';
import { makePhantom, program, startWorld, waitFor } from './support.mjs';

const KILLS = Number(process.env.SHANHAI_KILLS ?? (process.env.SHANHAI_LONG ? 1000 : 8));
const CONSULTS = 3; // at a time
const seed = Number(process.env.SHANHAI_SEED ?? Math.floor(Math.random() * 2 ** 31));
let random = seed;
const below = (limit) => { // xorshift
  random ^= random << 13; random ^= random >>> 17; random ^= random << 5;
  return (random >>> 0) % limit;
};

const password = () => text(PASSWORD);
const counts = { steps: 0, signatures: 0, documents: 0, images: 0, unheardDone: 0, unheardNot: 0 };
// Steps in order and the state after each.
const STATES = { submit: 'submitted', allocate: 'allocated', offer: 'offered', accept: 'accepted', schedule: 'scheduled', start: 'in-session',
  'sign-opinion': 'drafted', sign: 'signed', deliver: 'delivered' };

class Consult {
  constructor(w) {
    this.w = w;
    this.acknowledged = []; // steps
    this.unheard = undefined;
  }

  // The line may be cut at any await: what was asked and not answered stays in `unheard`.
  async take(person, step, inputs) {
    this.unheard = step;
    await person.take(this.task, step, inputs);
    this.unheard = undefined;
    this.acknowledged.push(step);
    counts.steps++;
  }

  async run() {
    const { w } = this;
    if (this.task === undefined) {
      const made = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization });
      this.task = made.task;
    }
    const done = new Set(this.acknowledged);
    if (!done.has('submit')) await this.take(w.doctor, 'submit');
    if (!done.has('allocate')) await this.take(w.coordinator, 'allocate');
    if (!done.has('offer')) await this.take(w.coordinator, 'offer', { lead: reference(w.lead.post) });
    if (!done.has('accept')) await this.take(w.lead, 'accept');
    if (!done.has('schedule')) await this.take(w.coordinator, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
    if (!done.has('start')) await this.take(w.lead, 'start', { identity: readBack() });
    const { encounter } = await w.lead.read(`Task/${this.task}`);
    if (!done.has('sign-opinion')) {
      this.opinion ??= (await w.lead.create(opinionOf(w.lead, w.patient.id, encounter.reference, '病毒性肺炎'))).id;
      await this.take(w.lead, 'sign-opinion', { opinion: reference(`ClinicalImpression/${this.opinion}`), password: password() });
      counts.signatures++;
    }
    if (!done.has('sign')) {
      this.joint ??= (await w.lead.create(jointOf(w.lead, w.patient.id, encounter.reference, '按病毒性肺炎处理'))).id;
      await this.take(w.lead, 'sign', { composition: reference(`Composition/${this.joint}`), password: password() });
      counts.signatures++;
    }
    if (!done.has('deliver')) await this.take(w.coordinator, 'deliver');
  }

  async verify() {
    if (this.task === undefined) return;
    const { w } = this;
    const task = await w.doctor.read(`Task/${this.task}`);
    if (this.unheard !== undefined) {
      const happened = stateOf(task) === STATES[this.unheard];
      counts[happened ? 'unheardDone' : 'unheardNot']++;
      if (happened) this.acknowledged.push(this.unheard);
      this.unheard = undefined;
    }
    assert.equal(stateOf(task), this.acknowledged.length === 0 ? 'draft' : STATES[this.acknowledged.at(-1)], `Task/${this.task}`);
    const steps = (await stepsOf(w.doctor, this.task)).map((p) => p.activity.coding[0].code);
    assert.deepEqual([...steps].sort(), [...this.acknowledged].sort(), `one Provenance a step of Task/${this.task}`);
    if (this.acknowledged.includes('sign-opinion')) assert.equal((await w.lead.read(`ClinicalImpression/${this.opinion}`)).status, 'completed');
    if (this.acknowledged.includes('sign')) {
      const document = await w.lead.read(task.output[0].valueReference.reference);
      assert.ok(document.signature?.data, 'the document is signed');
      assert.equal((await w.lead.read(`Composition/${this.joint}`)).status, 'final');
      counts.documents++;
    }
  }
}

const STOW = { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' };

class Sender {
  constructor(w, slices) {
    this.w = w;
    this.slices = slices;
    this.next = 0;
    this.acknowledged = new Set();
  }

  async send(count) {
    const list = this.slices.slice(this.next, this.next + count);
    this.next += count;
    if (list.length === 0) return;
    const body = Buffer.concat([...list.flatMap((s) => [Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), s, Buffer.from('\r\n')]), Buffer.from('--b--\r\n')]);
    const answer = await this.w.doctor.request('POST', '/dicom-web/studies', body, STOW);
    assert.equal(answer.status, 200, answer.text);
    for (const item of answer.json['00081199'].Value) this.acknowledged.add(item['00081155'].Value[0]);
    this.study ??= /studies\/([^/]+)/.exec(answer.json['00081199'].Value[0]['00081190'].Value[0])[1];
    counts.images += list.length;
  }

  async instances() {
    const answer = await this.w.doctor.request('GET', `/dicom-web/studies/${this.study}/instances?limit=10000`, undefined, { Accept: 'application/dicom+json' });
    return answer.status === 200 ? new Set(answer.json.map((row) => row['00080018'].Value[0])) : undefined;
  }

  async run(rounds) {
    const room = this.slices.length - this.next;
    for (let left = Math.max(1, Math.floor(room / Math.max(1, rounds))); left > 0; left--) await this.send(1 + below(3));
  }

  async verify() {
    const there = await this.instances();
    assert.ok(there, 'the study is still to be seen');
    for (const sop of this.acknowledged) assert.ok(there.has(sop), `image ${sop} was acknowledged; ${there.size} of ${this.acknowledged.size} are there: ${[...there].slice(0, 3)}`);
  }
}

test(`${KILLS} kills while consults are signed and images come in`, { timeout: KILLS * 60e3 }, async () => {
  const w = await startWorld();
  const place = mkdtempSync(join(tmpdir(), 'shanhai-crash-images-'));
  makePhantom(place, '--slices', KILLS > 100 ? '2000' : '200', '--size', '32');
  const sender = new Sender(w, readdirSync(place).filter((n) => n.endsWith('.dcm')).sort().map((n) => readFileSync(join(place, n))));
  rmSync(place, { recursive: true, force: true });
  await sender.send(2);
  await waitFor('the study is joined', async () => (await sender.instances())?.size > 0);
  const people = [w.doctor, w.coordinator, w.lead, w.expert, w.duty];
  let consults = Array.from({ length: CONSULTS }, () => new Consult(w));
  let finished = 0;
  let kills = 0;
  try {
    for (; kills < KILLS; kills++) {
      const clients = [...consults.map((c) => c.run()), sender.run(KILLS - kills)].map((p) => p.catch((error) => {
        if (!(error instanceof TypeError)) throw error; // fetch failed: the line is dead
      }));
      // On a busy machine the moment counts from the first step that was answered, so that something is going on.
      const before = counts.steps;
      for (const until = Date.now() + 3000; counts.steps === before && Date.now() < until;) await new Promise((resolve) => setTimeout(resolve, 5));
      await new Promise((resolve) => setTimeout(resolve, below(500)));
      const ended = once(w.server.child, 'exit');
      w.server.child.kill('SIGKILL');
      await ended;
      await Promise.all(clients);
      w.server = await startServer(program, w.data, w.options);
      w.base = w.server.base;
      for (const person of people) person.base = w.base;
      for (const one of consults) await one.verify();
      await sender.verify();
      finished += consults.filter((c) => c.acknowledged.includes('deliver')).length;
      consults = consults.map((c) => (c.acknowledged.includes('deliver') ? new Consult(w) : c));
    }
    assert.equal(await w.server.stop(), 0, w.server.log());
    const checked = spawnSync(program, ['check', '--data', w.data], { encoding: 'utf8' });
    console.log(`${kills} kills, ${counts.steps} steps acknowledged (${counts.signatures} signatures, ${finished} consults to the end), ` +
      `${counts.images} images, 0 lost; unanswered steps: ${counts.unheardDone} there whole, ${counts.unheardNot} absent; seed ${seed}`);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    assert.ok(counts.steps > KILLS / 2, `only ${counts.steps} steps`);
  } catch (error) {
    console.log(`seed ${seed}, after ${kills} kills, folder kept: ${w.data}`);
    w.server.child.kill('SIGKILL');
    throw error;
  }
  rmSync(w.folder, { recursive: true, force: true });
});
