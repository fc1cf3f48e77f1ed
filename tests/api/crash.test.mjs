// The program is killed (SIGKILL) at random moments while eight clients write, and started again on the same folder:
// what was acknowledged is there, word for word; a transaction is there whole or not at all; the store checks clean.
// 20 kills, 1,000 with SHANHAI_LONG=1 (SHANHAI_KILLS says otherwise); SHANHAI_SEED repeats a run's choices.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../../scenarios/world.mjs';
import { makeDatabase, postgresql, program, runSql } from './support.mjs';

const KILLS = Number(process.env.SHANHAI_KILLS ?? (process.env.SHANHAI_LONG ? 1000 : 20));
const CLIENTS = 8;
const SYSTEM = 'urn:shanhai:id:crash';
const seed = Number(process.env.SHANHAI_SEED ?? Math.floor(Math.random() * 2 ** 31));
let state = seed;

// mulberry32: the same choices for the same seed.
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const below = (limit) => Math.floor(random() * limit);

// A folder with one doctor and his bearer token.
function makeFolder(data) {
  const made = JSON.parse(execFileSync(program, ['init', '--data', data, '--organization', '彭水县示例医院', '--account', 'admin', '--name', '罗平']));
  const added = execFileSync(program, ['user', 'add', 'limin', '--data', data, '--role', 'county-doctor', '--organization', made.organization,
    '--person', '李敏', '--title', 'attending'], { encoding: 'utf8' });
  const post = /post\s+(\S+)/.exec(added)[1];
  const said = execFileSync(program, ['user', 'token', 'limin', '--data', data, '--post', post], { encoding: 'utf8' });
  return { organization: made.organization, token: /shanhai_[0-9a-f]+/.exec(said)[0] };
}

const without = ({ id, meta, ...rest }) => rest;
const mark = () => ({ system: SYSTEM, value: crypto.randomUUID() });

function observation(patient, identifier) {
  return {
    resourceType: 'Observation', identifier: [identifier], status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: '59408-5', display: '血氧饱和度' }] },
    subject: { reference: `Patient/${patient}` }, effectiveDateTime: new Date(1.7e12 + below(1e9) * 60).toISOString(),
    valueQuantity: { value: 80 + below(20) + below(10) / 10, unit: '%', system: 'http://unitsofmeasure.org', code: '%' },
    note: [{ text: '记录 "第一行"\n第二行 😀 '.repeat(1 + below(20)) }],
  };
}

const patient = (organization, identifier) => ({
  resourceType: 'Patient', active: true, identifier: [identifier], name: [{ text: `示例${below(1e6)}` }], gender: 'male',
  birthDate: `19${60 + below(40)}-0${1 + below(9)}-1${below(10)}`, managingOrganization: { reference: `Organization/${organization}` },
});

// What the clients were told, and what they asked without hearing the answer.
class Ledger {
  acknowledged = []; // {type, id, version, content}
  unheard = []; // {value, resources}: found whole by its identifier, or not at all
  counts = { creates: 0, updates: 0, transactions: 0 };
}

class Client {
  constructor(world, ledger) {
    this.world = world;
    this.ledger = ledger;
    this.patient = undefined;
    this.own = []; // observations whose current version is known: {id, version, content}
  }

  async send(method, path, body) {
    const response = await fetch(this.world.base + path, {
      method, body: JSON.stringify(body), signal: this.world.killed.signal,
      headers: { Authorization: `Bearer ${this.world.token}`, 'Content-Type': 'application/fhir+json', Prefer: 'return=minimal' },
    });
    return { status: response.status, etag: response.headers.get('etag'), location: response.headers.get('location'), text: await response.text() };
  }

  // Sends; what is not answered is noted and ends the round (by the throw).
  async ask(method, path, body, value, resources) {
    try {
      return await this.send(method, path, body);
    } catch (error) {
      this.ledger.unheard.push({ value, resources });
      throw error;
    }
  }

  accept(type, id, version, content) {
    this.ledger.acknowledged.push({ type, id, version, content });
    return { id, version, content };
  }

  async create(type, resource, identifier) {
    const answer = await this.ask('POST', `/fhir/${type}`, resource, identifier.value, [resource]);
    assert.equal(answer.status, 201, answer.text);
    const [, id, version] = /\/([^/]+)\/_history\/(\d+)$/.exec(answer.location);
    this.ledger.counts.creates++;
    return this.accept(type, id, Number(version), resource);
  }

  async update() {
    const at = below(this.own.length);
    const [old] = this.own.splice(at, 1); // back in the list when the answer has come
    const identifier = mark();
    const resource = observation(this.patient, identifier);
    const answer = await this.ask('PUT', `/fhir/Observation/${old.id}`, { ...resource, id: old.id }, identifier.value, [resource]);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.etag, `W/"${old.version + 1}"`);
    this.ledger.counts.updates++;
    this.own.push(this.accept('Observation', old.id, old.version + 1, resource));
  }

  // Four creates and an update under one identifier.
  async transaction() {
    const [old] = this.own.splice(below(this.own.length), 1);
    const identifier = mark();
    const resources = Array.from({ length: 5 }, () => observation(this.patient, identifier));
    const entry = resources.map((resource, i) => (i < 4
      ? { fullUrl: `urn:uuid:${crypto.randomUUID()}`, resource, request: { method: 'POST', url: 'Observation' } }
      : { resource: { ...resource, id: old.id }, request: { method: 'PUT', url: `Observation/${old.id}` } }));
    const answer = await this.ask('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry }, identifier.value, resources);
    assert.equal(answer.status, 200, answer.text);
    const { entry: told } = JSON.parse(answer.text);
    assert.equal(told.length, 5);
    this.ledger.counts.transactions++;
    for (const [i, one] of told.entries()) {
      const [, id, version] = /Observation\/([^/]+)\/_history\/(\d+)$/.exec(one.response.location) ?? [];
      assert.ok(id, JSON.stringify(one));
      this.own.push(this.accept('Observation', id, Number(version), resources[i]));
    }
    if (this.own.length > 40) this.own.splice(0, 20);
  }

  async run() {
    this.own = []; // after a kill nothing is known of the versions that were being written
    while (!this.world.killed.signal.aborted) {
      try {
        if (this.patient === undefined || below(20) === 0) {
          const identifier = mark();
          this.patient = (await this.create('Patient', patient(this.world.organization, identifier), identifier)).id;
        }
        const choice = below(10);
        if (choice < 5 || this.own.length === 0) {
          const identifier = mark();
          this.own.push(await this.create('Observation', observation(this.patient, identifier), identifier));
        } else if (choice < 8) {
          await this.update();
        } else {
          await this.transaction();
        }
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        return; // the line is dead
      }
    }
  }
}

async function read(world, path) {
  const response = await fetch(`${world.base}/fhir/${path}`, { headers: { Authorization: `Bearer ${world.token}` } });
  return { status: response.status, json: await response.json() };
}

// `width` at a time.
async function each(items, width, work) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < items.length) await work(items[next++]);
  }));
}

async function verify(world, acknowledged) {
  let lost = 0;
  await each(acknowledged, 16, async ({ type, id, version, content }) => {
    const { status, json } = await read(world, `${type}/${id}/_history/${version}`);
    try {
      assert.equal(status, 200);
      assert.equal(json.id, id);
      assert.equal(json.meta.versionId, String(version));
      assert.deepEqual(without(json), content);
    } catch (error) {
      lost++;
      console.log(`lost: ${type}/${id} version ${version}: ${error.message}`);
    }
  });
  return lost;
}

// The answer never came: the resources stand all or none, and exactly as sent.
async function verifyUnheard(world, unheard) {
  const found = { there: 0, absent: 0 };
  await each(unheard, 16, async ({ value, resources }) => {
    const type = resources[0].resourceType;
    const { status, json } = await read(world, `${type}?identifier=${SYSTEM}|${value}&_count=50`);
    assert.equal(status, 200);
    const contents = (json.entry ?? []).map((e) => JSON.stringify(without(e.resource))).sort();
    if (contents.length === 0) {
      found.absent++;
      return;
    }
    assert.deepEqual(contents, resources.map((r) => JSON.stringify(r)).sort(), `${contents.length} of ${resources.length} are there`);
    found.there++;
  });
  return found;
}

// A start that is killed too, while it recovers.
async function killStart(data) {
  const child = spawn(program, ['serve', '--data', data, '--quiet', '--port', '0', '--dicom-port', '-1'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await new Promise((resolve) => setTimeout(resolve, below(80)));
  child.kill('SIGKILL');
  await ended;
}

test(`${KILLS} kills while ${CLIENTS} clients write`, { timeout: KILLS * 30e3 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-crash-'));
  const data = join(folder, 'data');
  const database = postgresql && makeDatabase(data);
  const world = makeFolder(data);
  const ledger = new Ledger();
  const clients = Array.from({ length: CLIENTS }, () => new Client(world, ledger));
  const start = () => startServer(program, data, ['--port', '0', '--dicom-port', '-1']);
  const total = { kills: 0, starts: 0, lost: 0, there: 0, absent: 0 };
  let server = await start();
  let everything = [];
  try {
    for (let i = 0; i < KILLS; i++) {
      world.base = server.base;
      world.killed = new AbortController();
      const running = clients.map((client) => client.run());
      await new Promise((resolve) => setTimeout(resolve, 30 + below(900)));
      const ended = once(server.child, 'exit');
      server.child.kill('SIGKILL');
      await ended;
      setTimeout(() => world.killed.abort(), 50); // whatever was still on its way to a client has come
      await Promise.all(running);
      total.kills++;
      if (below(4) === 0) {
        await killStart(data);
        total.starts++;
      }
      server = await start();
      world.base = server.base;
      total.lost += await verify(world, ledger.acknowledged);
      const { there, absent } = await verifyUnheard(world, ledger.unheard);
      total.there += there;
      total.absent += absent;
      everything = everything.concat(ledger.acknowledged);
      ledger.acknowledged = [];
      ledger.unheard = [];
    }
    const sample = everything.filter(() => random() < 3000 / everything.length);
    total.lost += await verify(world, sample);
    assert.equal(await server.stop(), 0, server.log());
    const checked = spawnSync(program, ['check', '--data', data], { encoding: 'utf8' });
    console.log(`${total.kills} kills (${total.starts} more while starting), ${everything.length} acknowledged versions ` +
      `(${ledger.counts.creates} creates, ${ledger.counts.updates} updates, ${ledger.counts.transactions} transactions), ` +
      `${total.lost} lost; unanswered: ${total.there} there whole, ${total.absent} absent; seed ${seed}`);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    assert.equal(total.lost, 0);
    assert.ok(everything.length > KILLS * 20, `only ${everything.length} writes were acknowledged`);
  } catch (error) {
    console.log(`seed ${seed}, folder kept: ${folder}`);
    server.child.kill('SIGKILL');
    throw error;
  }
  rmSync(folder, { recursive: true, force: true });
  if (database) runSql(`DROP DATABASE ${database} WITH (FORCE)`);
});
