// A PostgreSQL store whose place runs full, and a line that is cut just as a commit is on it. The place is a tablespace on a small file
// system; the line goes through a proxy that cuts it before or after the server has the commit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../../scenarios/world.mjs';
import { canMount } from './fault.mjs';
import { issuesOf, makeDatabase, postgresql, program, runSql, startWorld } from './support.mjs';

const MEGABYTE = 1 << 20;
const none = postgresql ? false : 'left out: no PostgreSQL server is named (tests/run.py --only postgresql)';

const observation = (w, text, note) => ({
  resourceType: 'Observation', status: 'final', code: { text }, subject: { reference: `Patient/${w.patient.id}` },
  identifier: [{ system: 'urn:shanhai:id:trouble', value: text }], ...(note && { note: [{ text: note }] }),
});
const large = (w, i) => observation(w, `第 ${i} 次`, crypto.getRandomValues(Buffer.alloc(48000)).toString('base64'));

async function restart(w) {
  assert.equal(await w.server.stop(), 0, w.server.log());
  w.server = await startServer(program, w.data, w.options);
  w.base = w.server.base;
  for (const person of [w.doctor, w.admins.county]) person.base = w.base;
}

test('the database\'s place runs full', { skip: none || (canMount ? false : 'left out: nothing can be mounted here'), timeout: 120e3 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-full-'));
  const place = join(folder, 'place');
  const name = `small_${process.pid}`;
  mkdirSync(place);
  chmodSync(folder, 0o755);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=80m,mode=777', 'tmpfs', place]).status, 0);
  const data = join(folder, 'data');
  const database = makeDatabase(data);
  let w;
  try {
    const tables = join(place, 'tables');
    mkdirSync(tables);
    const owner = spawnSync('stat', ['-c', '%U', process.env.SHANHAI_TEST_POSTGRESQL_DATA], { encoding: 'utf8' }).stdout.trim();
    assert.equal(spawnSync('chown', [owner, tables]).status, 0);
    runSql(`CREATE TABLESPACE ${name} LOCATION '${tables}'`);
    runSql(`ALTER DATABASE ${database} SET TABLESPACE ${name}`);
    w = await startWorld({ data });
    const stored = [await w.doctor.create(large(w, 0))];
    const { bavail, bsize } = statfsSync(place);
    writeFileSync(join(place, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - 6 * MEGABYTE)));
    let refusal;
    for (let i = 1; !refusal; i++) {
      assert.ok(i < 1000, 'it does not become full');
      const answer = await w.doctor.request('POST', '/fhir/Observation', large(w, i));
      if (answer.status === 201) stored.push(answer.json);
      else refusal = answer;
    }
    assert.equal(refusal.status, 507, refusal.text);
    assert.equal(refusal.json.issue[0].code, 'no-store');
    assert.match(issuesOf(refusal)[0], /服务器存储已满/);
    const english = await w.doctor.request('POST', '/fhir/Observation', large(w, 1), { 'Accept-Language': 'en' });
    assert.equal(english.status, 507);
    assert.match(issuesOf(english)[0], /the disk is full: nothing was stored; free space/);
    const entry = [1, 2, 3].map((i) => ({ resource: large(w, i), request: { method: 'POST', url: 'Observation' } }));
    assert.equal((await w.doctor.request('POST', '/fhir', { resourceType: 'Bundle', type: 'transaction', entry })).status, 507);

    for (const one of stored.slice(-5)) assert.deepEqual(await w.doctor.read(`Observation/${one.id}`), one);
    assert.equal((await w.doctor.search('Observation', { subject: `Patient/${w.patient.id}`, _count: 5 })).length, Math.min(5, stored.length));

    rmSync(join(place, 'filler'));
    const again = await w.doctor.request('POST', '/fhir/Observation', large(w, 1));
    assert.equal(again.status, 201, `writing goes on by itself: ${again.text}`);
    const all = await w.doctor.must('GET', `/fhir/Observation?subject=Patient/${w.patient.id}&_summary=count`);
    assert.equal(all.total, stored.length + 1, 'what was refused is not there');
    t.diagnostic(`${stored.length} documents fitted`);
  } finally {
    await w?.stop();
    runSql(`DROP DATABASE ${database} WITH (FORCE)`);
    runSql(`DROP TABLESPACE IF EXISTS ${name}`);
    spawnSync('umount', ['-l', place]);
    rmSync(folder, { recursive: true, force: true });
  }
});

// Between the program and the server. With `plan` set, the writer's COMMIT of what has the `word` is met so: "lost" it never arrives; "unsaid" it
// arrives and takes place, and its answer is dropped; "raced" it arrives and the line is cut at once. Then nobody can connect for `away` ms.
class Proxy {
  constructor(folder, target) {
    this.sockets = new Set();
    this.cuts = 0;
    this.until = 0;
    this.server = createServer((client) => {
      if (Date.now() < this.until) return client.destroy();
      const server = connect(target);
      const pair = [client, server];
      let writes = false;
      let drops = false;
      let armed = false;
      const end = () => pair.forEach((s) => s.destroy());
      for (const s of pair) {
        this.sockets.add(s);
        s.on('error', end);
        s.on('close', () => (this.sockets.delete(s), drops || end()));
      }
      client.on('data', (bytes) => {
        writes ||= bytes.includes('shanhai writer');
        armed ||= writes && this.plan && bytes.includes(this.word); // the writer has other commits too
        if (!armed || !bytes.includes('COMMIT\0')) return server.write(bytes);
        const { plan, away } = this;
        this.plan = undefined;
        this.cuts++;
        this.until = Date.now() + away;
        if (plan === 'lost') return end();
        if (plan === 'raced') return server.write(bytes, end);
        drops = true;
        server.removeAllListeners('data');
        server.on('data', (answer) => {
          if (answer.includes('COMMIT\0')) end(); // the command's tag: it has taken place
        });
        server.write(bytes);
      });
      server.on('data', (bytes) => client.write(bytes));
    });
    this.path = join(folder, '.s.PGSQL.5432');
    this.server.listen(this.path);
  }

  stop() {
    for (const s of this.sockets) s.destroy();
    this.server.close();
  }
}

test('a line that is cut at a commit: what is answered is true', { skip: none, timeout: 120e3 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-doubt-'));
  const data = join(folder, 'data');
  const database = makeDatabase(data);
  const url = readFileSync(join(data, 'store.url'), 'utf8');
  const host = /host=([^&]+)/.exec(url)[1];
  const proxy = new Proxy(folder, join(host, '.s.PGSQL.5432'));
  await once(proxy.server, 'listening');
  const w = await startWorld({ data });
  try {
    writeFileSync(join(data, 'store.url'), url.replace(host, folder));
    await restart(w);
    for (const [i, [plan, away]] of [['lost', 0], ['unsaid', 0], ['raced', 0], ['lost', 1500], ['unsaid', 1500], ['raced', 300], ['raced', 0], ['raced', 0]].entries()) {
      const text = `doubt${i}${crypto.randomUUID().slice(0, 8)}`;
      Object.assign(proxy, { plan, away, word: text, cuts: 0 });
      const answer = await w.doctor.request('POST', '/fhir/Observation', observation(w, text));
      assert.equal(proxy.cuts, 1, 'the line was cut');
      if (plan === 'lost') {
        assert.equal(answer.status, 503, answer.text);
        assert.match(answer.headers.get('retry-after'), /^\d+$/);
      } else if (plan === 'unsaid') {
        assert.equal(answer.status, 201, `it took place: ${answer.text}`);
      } else {
        assert.ok([201, 503].includes(answer.status), answer.text);
      }
      const there = Number(runSql(`SELECT count(*) FROM version WHERE id = '${answer.json.id ?? ''}'`, url));
      assert.equal(there, answer.status === 201 ? 1 : 0);
      const found = await w.doctor.must('GET', `/fhir/Observation?identifier=${encodeURIComponent(`urn:shanhai:id:trouble|${text}`)}`);
      assert.equal(found.total, answer.status === 201 ? 1 : 0, `${plan}: ${answer.status}`);
    }
    const history = await w.doctor.must('GET', '/fhir/Observation/_history?_count=50');
    assert.equal(new Set(history.entry.map((e) => e.resource.id)).size, history.entry.length, 'nothing is stored twice');
    assert.equal(await w.server.stop(), 0, w.server.log());
    writeFileSync(join(data, 'store.url'), url);
    const checked = spawnSync(program, ['check', '--data', data], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    w.server = await startServer(program, data, w.options);
  } finally {
    await w.stop();
    proxy.stop();
    runSql(`DROP DATABASE ${database} WITH (FORCE)`);
    rmSync(folder, { recursive: true, force: true });
  }
});
