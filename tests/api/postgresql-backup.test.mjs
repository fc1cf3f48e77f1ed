// `shanhai backup` and `restore` of a PostgreSQL store while clients write, into a second server: $export gives the same bytes.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { addSignedIn, startServer } from '../../scenarios/world.mjs';
import { canMount } from './fault.mjs';
import { postgresql, program, runSql, startWorld, waitFor } from './support.mjs';

const skip = postgresql ? false : 'left out: no PostgreSQL server is named (tests/run.py --only postgresql)';
const env = { ...process.env, SHANHAI_BACKUP_PASSPHRASE: 'correct horse 电池 staple' };
const run = (...args) => spawnSync(program, args, { encoding: 'utf8', env });
const runAside = async (...args) => { // this process goes on writing
  const child = spawn(program, args, { env });
  let said = '';
  for (const out of [child.stdout, child.stderr]) out.on('data', (data) => { said += data; });
  const [status] = await once(child, 'exit');
  return { status, said };
};

// Type → the bytes of its files, up to the moment that the manifest tells.
async function exported(base, person) {
  person.base = base;
  const asked = await person.request('GET', '/fhir/$export', undefined, { Prefer: 'respond-async' });
  assert.equal(asked.status, 202, asked.text);
  const job = new URL(asked.headers.get('content-location'), base).pathname;
  const done = await waitFor('the export', async () => {
    const answer = await person.request('GET', job);
    return answer.status === 200 && answer.json;
  });
  assert.deepEqual(done.error, []);
  const files = {};
  for (const file of done.output) files[file.type] = (files[file.type] ?? '') + (await person.request('GET', new URL(file.url, base).pathname)).text;
  return files;
}

describe('backup of a PostgreSQL store', { skip }, () => {
  let w;
  let steward;
  let place;
  let second;
  let url;
  before(async () => {
    place = mkdtempSync(join(tmpdir(), 'shanhai-backup-'));
    second = spawn('python3', ['tests/postgresql.py', 'another'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const told = once(second.stdout, 'data');
    w = await startWorld();
    steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
      { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
    url = String((await told)[0]).trim();
    runSql('CREATE DATABASE restored TEMPLATE template0', url);
    url = url.replace('/postgres?', '/restored?');
  });
  after(async () => {
    await w?.stop();
    second.stdin.end();
    await once(second, 'exit');
    rmSync(place, { recursive: true, force: true });
  });

  const observation = (i, text) => ({ resourceType: 'Observation', status: 'final', code: { text }, subject: { reference: `Patient/${w.patient.id}` },
    valueQuantity: { value: 36 + i % 10 / 10, unit: '℃' }, note: [{ text: '备注 '.repeat(1 + i % 50) }] });

  test('taken while clients write, restored into another server', { timeout: 300e3 }, async () => {
    const stored = [];
    for (let i = 0; i < 30; i++) stored.push(await w.doctor.create(observation(i, `体温 ${i}`)));
    for (let i = 0; i < 30; i += 3) stored[i] = await w.doctor.must('PUT', `/fhir/Observation/${stored[i].id}`, { ...stored[i], status: 'amended' });
    const original = await exported(w.base, steward);

    let running = true;
    let written = 0;
    const writers = Array.from({ length: 4 }, async () => {
      for (; running; written++) await w.doctor.create(observation(written, `later ${written}`));
    });
    await waitFor('load', () => written > 10);
    const file = join(place, 'one.backup');
    const made = await runAside('backup', '--data', w.data, '--to', file);
    const during = written;
    await waitFor('load goes on', () => written > during + 5);
    running = false;
    await Promise.all(writers);
    assert.equal(made.status, 0, made.said);
    assert.match(made.said, /^backup: \d+ files, \d+ bytes, changes up to number \d+, in /m);
    assert.ok(!existsSync(join(w.data, 'backup.copies')), 'no copy in clear is left');
    assert.ok(!readFileSync(file).includes('PGDMP'), 'encrypted');

    const folder = join(place, 'restored');
    const without = run('restore', '--from', file, '--data', folder, '--quiet');
    assert.equal(without.status, 1);
    assert.match(without.stderr, /name an empty one with --store/);
    rmSync(`${folder}.part`, { recursive: true });
    const secret = run('restore', '--from', file, '--data', folder, '--store', url.replace('shanhai@', 'shanhai:secret@'), '--quiet');
    assert.match(secret.stderr, /keep it in ~\/\.pgpass/);
    assert.doesNotMatch(secret.stderr, /secret/);
    rmSync(`${folder}.part`, { recursive: true });
    const restored = run('restore', '--from', file, '--data', folder, '--store', url, '--quiet');
    assert.equal(restored.status, 0, restored.stderr);
    assert.ok(!existsSync(join(folder, 'store.dump')));
    assert.equal(readFileSync(join(folder, 'store.url'), 'utf8'), url);
    const checked = run('check', '--data', folder);
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    const full = run('restore', '--from', file, '--data', join(place, 'again'), '--store', url, '--quiet');
    assert.equal(full.status, 1, 'a database that is not empty is left alone');

    const there = await startServer(program, folder, ['--port', '0', '--dicom-port', '-1']);
    try {
      const copy = await exported(there.base, steward);
      // What was stored before the backup began is the same to the byte; what came while it ran is whole or not there.
      const begun = (text) => text.split('\n').filter((line) => !line.includes('"later ')).join('\n');
      assert.deepEqual(Object.keys(copy).sort(), Object.keys(original).sort());
      for (const type of Object.keys(original)) assert.equal(begun(copy[type]), begun(original[type]), type);
      const late = copy.Observation.split('\n').filter((line) => line.includes('"later '));
      assert.ok(late.length >= 10, `${late.length} of the later ones were committed before the snapshot`);
      const now = new Set((await exported(w.base, steward)).Observation.split('\n'));
      for (const line of late) assert.ok(now.has(line), 'the same to the byte');
      w.doctor.base = there.base;
      await w.doctor.create(observation(1, 'after the restore'));
    } finally {
      w.doctor.base = w.base;
      steward.base = w.base;
      assert.equal(await there.stop(), 0, there.log());
    }
  });

  test('a dump that the server cuts short is no backup', { timeout: 120e3 }, async () => {
    const url = readFileSync(join(w.data, 'store.url'), 'utf8');
    const file = join(place, 'cut.backup');
    // The dump waits for a table that somebody holds, and is ended there.
    const holder = spawn('psql', ['-X', '-q', '-d', url], { stdio: ['pipe', 'ignore', 'ignore'] });
    holder.stdin.write('BEGIN; LOCK TABLE history IN ACCESS EXCLUSIVE MODE;\n');
    await waitFor('the lock', () => Number(runSql("SELECT count(*) FROM pg_locks WHERE relation = 'history'::regclass AND mode = 'AccessExclusiveLock' AND granted", url)) === 1);
    const made = runAside('backup', '--data', w.data, '--to', file);
    await waitFor('the dump', () => runSql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'pg_dump' AND datname = current_database() AND wait_event_type = 'Lock'", url).trim() !== '0');
    const { status, said } = await made;
    holder.stdin.end('ROLLBACK;\n');
    await once(holder, 'exit');
    assert.equal(status, 1, said);
    assert.match(said, /pg_dump did not succeed/);
    assert.ok(!existsSync(file), 'nothing that could be taken for a backup');
    assert.ok(!existsSync(join(w.data, 'backup.copies')), 'no copy in clear is left');
    const again = await runAside('backup', '--data', w.data, '--to', file);
    assert.equal(again.status, 0, again.said);
  });

  test('a full target is told, and what is there is no backup', { skip: canMount ? false : 'left out: nothing can be mounted here', timeout: 120e3 }, async () => {
    const small = join(place, 'small');
    mkdirSync(small);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]).status, 0);
    try {
      const file = join(small, 'full.backup');
      const made = await runAside('backup', '--data', w.data, '--to', file);
      assert.equal(made.status, 1, made.said);
      assert.match(made.said, /No space left|disk is full/);
      assert.ok(!existsSync(file), `no half backup: ${readdirSync(small)}`);
      assert.ok(!existsSync(join(w.data, 'backup.copies')), 'no copy in clear is left');
    } finally {
      spawnSync('umount', ['-l', small]);
    }
  });
});
