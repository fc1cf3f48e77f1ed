// What only a PostgreSQL store can meet: a second server, a writer that was followed by another, a line that is cut, a server
// that is killed. Runs in the suite "postgresql" of tests/run.py alone, which starts the server that is killed here.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startServer } from '../../scenarios/world.mjs';
import { makeDatabase, postgresql, program, runSql, waitFor } from './support.mjs';

const KILLS = 10;
const CLIENTS = 8;
const clusterData = process.env.SHANHAI_TEST_POSTGRESQL_DATA;
const skip = postgresql ? false : 'left out: no PostgreSQL server is named (tests/run.py --only postgresql)';
const flags = ['--port', '0', '--dicom-port', '-1'];

function makeFolder(data) {
  const made = JSON.parse(execFileSync(program, ['init', '--data', data, '--organization', '彭水县示例医院', '--account', 'admin', '--name', '罗平']));
  const tokenOf = (name, role, person) => {
    const added = execFileSync(program, ['user', 'add', name, '--data', data, '--role', role, '--organization', made.organization,
      '--person', person, '--title', 'attending'], { encoding: 'utf8' });
    const said = execFileSync(program, ['user', 'token', name, '--data', data, '--post', /post\s+(\S+)/.exec(added)[1]], { encoding: 'utf8' });
    return /shanhai_[0-9a-f]+/.exec(said)[0];
  };
  return { organization: made.organization, token: tokenOf('limin', 'county-doctor', '李敏'), scraper: tokenOf('monitor', 'administrator', '周磊') };
}

describe('a store in PostgreSQL', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-postgresql-'));
  const data = join(folder, 'data');
  let database;
  let url;
  let world;
  let server;

  before(async () => {
    database = makeDatabase(data);
    url = readFileSync(join(data, 'store.url'), 'utf8');
    world = makeFolder(data);
    server = await startServer(program, data, flags);
  });

  after(() => {
    server.child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    runSql(`DROP DATABASE ${database} WITH (FORCE)`);
  });

  async function send(method, path, body) {
    const response = await fetch(`${server.base}/fhir/${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { Authorization: `Bearer ${world.token}`, 'Content-Type': 'application/fhir+json' },
    });
    return { status: response.status, again: response.headers.get('retry-after'), json: await response.json().catch(() => undefined) };
  }

  async function metrics() {
    const response = await fetch(`${server.base}/metrics`, { headers: { Authorization: `Bearer ${world.scraper}` } });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return { text, figure: (name) => Number(new RegExp(`^shanhai_${name} (\\S+)$`, 'm').exec(text)?.[1] ?? NaN) };
  }

  const patient = (value) => ({
    resourceType: 'Patient', active: true, identifier: [{ system: 'urn:shanhai:id:killed', value }], name: [{ text: `示例${value.slice(0, 6)}` }],
    managingOrganization: { reference: `Organization/${world.organization}` },
  });

  test('the tables lie in the database, and no store in the folder', () => {
    assert.ok(Number(runSql('SELECT count(*) FROM version', url)) > 0);
    assert.throws(() => readFileSync(join(data, 'store.db')));
  });

  test('a second server on the same database refuses to start and says why', () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    const started = spawnSync(program, ['serve', '--data', other, '--store', url, ...flags], { encoding: 'utf8', timeout: 60e3 });
    assert.equal(started.status, 1);
    assert.match(started.stderr, /in use by another server/);
  });

  test('a folder belongs to one database', () => {
    const mine = join(folder, 'mine');
    mkdirSync(mine);
    writeFileSync(join(mine, 'store.url'), url);
    const started = spawnSync(program, ['check', '--data', mine, '--store', url.replace(database, 'another')], { encoding: 'utf8' });
    assert.equal(started.status, 1);
    assert.match(started.stderr, /names another database/);
    const wrong = spawnSync(program, ['check', '--data', join(folder, 'none'), '--store', 'mysql://x/y'], { encoding: 'utf8' });
    assert.match(wrong.stderr, /postgresql:\/\//);
  });

  test('a database that is not there is told, without its password', () => {
    const started = spawnSync(program, ['check', '--data', join(folder, 'none'), '--store', 'postgresql://u:secret@/no?host=/nowhere'], { encoding: 'utf8' });
    assert.equal(started.status, 1);
    assert.match(started.stderr, /cannot be reached/);
    assert.doesNotMatch(started.stderr, /secret/);
  });

  test('sessions that are cut are made again; a write is answered truly', async () => {
    for (let round = 0; round < 5; round++) {
      const value = crypto.randomUUID();
      runSql(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '${database}' AND pid <> pg_backend_pid()`);
      const answer = await send('POST', 'Patient', patient(value));
      assert.ok([201, 503].includes(answer.status), JSON.stringify(answer));
      const found = await waitFor('an answer', async () => {
        const read = await send('GET', `Patient?identifier=urn:shanhai:id:killed|${value}`);
        return read.status === 200 && read.json;
      });
      assert.equal(found.total, answer.status === 201 ? 1 : 0);
    }
  });

  test(`the database server is killed ${KILLS} times while ${CLIENTS} clients write`, { skip: !clusterData, timeout: 300e3 }, async () => {
    const told = { stored: [], refused: [], retry: 0 };
    let killing = true;
    const client = async () => {
      while (killing) {
        const value = crypto.randomUUID();
        const answer = await send('POST', 'Patient', patient(value));
        if (answer.status === 201) told.stored.push({ id: answer.json.id, value });
        else {
          assert.equal(answer.status, 503, JSON.stringify(answer.json));
          assert.ok(answer.again, '503 says when to come again');
          told.refused.push(value);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    assert.equal((await metrics()).figure('store_database_up'), 1);
    const clients = Array.from({ length: CLIENTS }, client);
    for (let i = 0; i < KILLS; i++) {
      const before = told.stored.length;
      await waitFor('writes go on', () => told.stored.length > before + 20);
      execFileSync('python3', ['tests/postgresql.py', 'kill', clusterData]);
      if (i % 3 === 2) { // long enough for a request to be told
        const read = await waitFor('a read that is refused', async () => {
          const answer = await send('GET', 'Patient?_count=1');
          return answer.status !== 200 && answer;
        });
        assert.equal(read.status, 503, JSON.stringify(read.json));
        assert.ok(read.again, '503 says when to come again');
        const away = await metrics();
        assert.equal(away.figure('store_database_up'), 0);
        assert.ok(away.figure('store_sequence') > 0, 'what the process knows is told');
        assert.ok(away.figure('store_commit_seconds_count') > 0);
        assert.doesNotMatch(away.text, /shanhai_jobs|database_bytes/, 'nothing is made up');
      }
      execFileSync('python3', ['tests/postgresql.py', 'start', clusterData]);
    }
    const before = told.stored.length;
    await waitFor('writes go on', () => told.stored.length > before + 20);
    killing = false;
    await Promise.all(clients);
    const back = await metrics();
    assert.equal(back.figure('store_database_up'), 1);
    assert.ok(back.figure('store_database_bytes') > 1e6);
    const lost = [];
    for (const { id, value } of told.stored) {
      const read = await send('GET', `Patient/${id}`);
      if (read.status !== 200 || read.json.identifier[0].value !== value) lost.push(id);
    }
    const lies = [];
    for (const value of told.refused) {
      const read = await send('GET', `Patient?identifier=urn:shanhai:id:killed|${value}`);
      if (read.json.total !== 0) lies.push(value);
    }
    // They share values, so they stand in blocks of the index: each is in its place, newest first, and none twice.
    const listed = new Set();
    for (let path = 'Patient?active=true&_count=500'; path;) {
      const { json } = await send('GET', path);
      for (const { resource } of json.entry ?? []) {
        assert.ok(!listed.has(resource.id), 'no hit comes twice');
        listed.add(resource.id);
      }
      path = json.link.find((l) => l.relation === 'next')?.url.replace(/^.*\/fhir\//, '');
    }
    assert.deepEqual(told.stored.filter(({ id }) => !listed.has(id)), [], 'a search finds all of them');
    console.log(`${KILLS} kills: ${told.stored.length} acknowledged, ${lost.length} lost; ${told.refused.length} refused, ${lies.length} of them there`);
    assert.deepEqual(lost, []);
    assert.deepEqual(lies, [], 'what was refused is not stored');
  });

  test('a writer that another has followed stores nothing more and ends', async () => {
    const before = Number(runSql('SELECT max(seq) FROM version', url));
    runSql('UPDATE writer SET fence = fence + 1', url); // what a second server does that got the lock
    const answer = await send('POST', 'Patient', patient(crypto.randomUUID()));
    assert.notEqual(answer.status, 201);
    const [status] = server.child.exitCode === null ? await once(server.child, 'exit') : [server.child.exitCode];
    assert.equal(status, 1);
    assert.match(server.log(), /another server has taken over/);
    assert.equal(Number(runSql('SELECT max(seq) FROM version', url)), before);
    server = await startServer(program, data, flags);
    assert.equal((await send('POST', 'Patient', patient(crypto.randomUUID()))).status, 201);
  });

  test('after all that the store checks clean', async () => {
    server.child.kill('SIGTERM');
    await once(server.child, 'exit');
    const checked = spawnSync(program, ['check', '--whole-index', '--data', data], { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    assert.match(checked.stdout, /store: \d+ resources, \d+ versions, 0 findings/);
    server = await startServer(program, data, flags);
  });
});
