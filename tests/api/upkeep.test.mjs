// What an administrator and an operator see of the running program: jobs, figures, log lines, a stop that loses nothing, the check
// of the whole index.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { addSignedIn, startServer } from '../../scenarios/world.mjs';
import { postgresql, program, startWorld, waitFor } from './support.mjs';

let w;
let steward;
const ASYNC = { Prefer: 'respond-async' };
const at = (answer) => new URL(answer.headers.get('content-location'), w.base).pathname;
before(async () => {
  w = await startWorld({ requests: true, flags: ['--log-format', 'json'] });
  steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
});
after(async () => { await w?.stop(); });

const metrics = async () => (await w.admins.county.request('GET', '/metrics', undefined, { Accept: 'text/plain' })).text;
const figure = (text, name) => {
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  assert.ok(line, `${name} is not there`);
  return Number(line.slice(name.length + 1));
};
const jobs = async (admin, query = '') => (await admin.must('GET', `/admin/jobs${query}`)).jobs;
const importOf = (count, text = '批量') => Array.from({ length: count }, (_, i) => JSON.stringify({ resourceType: 'Observation', status: 'final', code: { text }, identifier: [{ system: 'urn:test', value: `u${i}` }] })).join('\n');
const imports = (text) => steward.request('POST', '/fhir/$import', text, { 'Content-Type': 'application/fhir+ndjson' });

describe('jobs', () => {
  test('the administrator sees them with state and progress, without what they are about', async () => {
    const asked = await imports(importOf(900, '不得出现'));
    await waitFor('the import', async () => (await steward.request('GET', at(asked))).status === 200);
    const [job] = await jobs(w.admins.county);
    assert.deepEqual([job.kind, job.state, job.perMille, job.attempts, job.actions], ['import', 'done', 1000, 1, []]);
    assert.ok(Date.parse(job.created) <= Date.parse(job.updated));
    assert.ok(!JSON.stringify(await w.admins.county.must('GET', '/admin/jobs')).includes('不得出现'));
    assert.deepEqual((await jobs(w.admins.county, '?state=failed')), []);
    assert.ok((await jobs(w.admins.county, '?state=done')).length >= 1);
    assert.equal((await w.admins.county.request('GET', '/admin/jobs?state=nonsense')).status, 400);
    assert.equal((await w.admins.county.must('GET', '/admin/jobs')).keptDays, 90);
  });

  test('not those of another hospital; nobody else at all', async () => {
    assert.deepEqual(await jobs(w.admins.helper), []);
    const [job] = await jobs(w.admins.county);
    for (const person of [w.doctor, steward, w.commander]) {
      assert.equal((await person.request('GET', '/admin/jobs')).status, 403);
      assert.equal((await person.request('POST', `/admin/jobs/${job.id}/cancel`)).status, 403);
    }
    assert.equal((await w.admins.helper.request('POST', `/admin/jobs/${job.id}/cancel`)).status, 404);
    assert.equal((await w.admins.county.request('POST', `/admin/jobs/${job.id}/cancel`)).status, 409, 'it is done');
    assert.equal((await w.admins.county.request('POST', `/admin/jobs/${job.id}/retry`)).status, 409);
    assert.equal((await w.admins.county.request('POST', `/admin/jobs/${job.id}/other`)).status, 404);
    assert.equal((await w.admins.county.request('POST', '/admin/jobs/999999/cancel')).status, 404);
  });

  test('one that fails says why and is tried again; one that runs is cancelled', async () => {
    await w.doctor.create({ resourceType: 'Patient', name: [{ family: '欧阳', given: ['一', '二'] }] });
    // Only the rows tell that a column has two values.
    const view = { resourceType: 'ViewDefinition', name: 'given', status: 'active', resource: 'Patient', select: [{ column: [{ name: 'given', path: 'name.given' }] }] };
    const asked = await steward.request('POST', '/fhir/$viewdefinition-export', { resourceType: 'Parameters', parameter: [{ name: 'view', part: [{ name: 'viewResource', resource: view }] }] }, ASYNC);
    assert.equal(asked.status, 202);
    const failed = await waitFor('the failure', async () => (await jobs(w.admins.county, '?state=failed'))[0]);
    assert.equal(failed.error, '视图中有一列取到多个值，但没有声明为集合');
    assert.equal((await w.admins.county.must('GET', '/admin/jobs?state=failed', undefined, { 'Accept-Language': 'en' })).jobs[0].error, "column 'given' has several values and is no collection");
    assert.deepEqual(failed.actions, ['retry']);
    assert.equal((await w.admins.county.request('POST', `/admin/jobs/${failed.id}/retry`)).status, 204);
    await waitFor('it to fail again', async () => (await jobs(w.admins.county, '?state=failed')).some((j) => j.id === failed.id && j.attempts === 1));
    const long = await imports(importOf(30000));
    const running = await waitFor('it to run', async () => (await jobs(w.admins.county)).find((j) => j.kind === 'import' && j.state === 'running'));
    assert.deepEqual(running.actions, ['cancel']);
    assert.equal((await w.admins.county.request('POST', `/admin/jobs/${running.id}/cancel`)).status, 204);
    const ended = await waitFor('its end', async () => (await jobs(w.admins.county)).find((j) => j.id === running.id && j.state === 'failed'));
    assert.deepEqual([ended.error, ended.actions], ['cancelled', []]);
    assert.equal((await steward.request('GET', at(long))).status, 404);
  });
});

describe('figures of the server', () => {
  test('everything that is promised is there, nothing of a record', async () => {
    await w.doctor.request('GET', '/fhir/Patient/none');
    const text = await metrics();
    for (const name of ['store_sequence', 'store_commits_total', 'store_group_sets_max', 'store_sets_queued', 'store_index_rows_waiting', 'store_readers_used',
      'store_commit_seconds_count', 'store_sync_seconds_total', 'memory_resident_bytes', 'memory_own_bytes', 'threads', 'dimse_associations_open', 'subscription_lag_versions',
      'subscription_events_waiting', 'http_requests_open', 'http_pool_queued', 'jobs{kind="import",state="done"}', 'subscriptions{status="active"}', 'view_filled_ratio{view="patient"}']) {
      assert.ok(figure(text, `shanhai_${name}`) >= 0, name);
    }
    assert.ok(figure(text, 'shanhai_memory_own_bytes') > 1e6);
    assert.ok(figure(text, 'shanhai_http_requests_total{method="GET",route="/fhir/{type}/{id}",status="4xx"}') >= 1);
    assert.equal(figure(text, 'shanhai_http_duration_seconds_bucket{method="GET",route="/fhir/{type}/{id}",le="+Inf"}'),
      figure(text, 'shanhai_http_duration_seconds_count{method="GET",route="/fhir/{type}/{id}"}'));
    assert.equal(figure(text, 'shanhai_store_commit_seconds_bucket{le="+Inf"}'), figure(text, 'shanhai_store_commit_seconds_count'));
    for (const word of ['王小东', w.patient.id, '潘芸', 'panyun']) assert.ok(!text.includes(word), word);
    // Every line is one of the format: a comment, or a name, labels and a number.
    for (const line of text.trimEnd().split('\n')) assert.match(line, /^(# (TYPE|HELP) shanhai_\S+ .+|shanhai_[a-z_]+(\{[^}]*\})?( \S+)?|shanhai_[a-z_]+\{.*\} \S+)$/);
  });

  test('refusals are counted', async () => {
    for (let i = 0; i < 8; i++) await fetch(`${w.base}/session`, { method: 'POST', headers: { 'Content-Type': 'application/json', Origin: w.base }, body: JSON.stringify({ name: 'nobody', password: 'wrong-password' }) });
    assert.ok(figure(await metrics(), 'shanhai_http_refused_total{method="POST",route="/session",status="429"}') >= 1);
  });

  test('only for who may see settings', async () => {
    assert.equal((await w.doctor.request('GET', '/metrics', undefined, { Accept: 'text/plain' })).status, 403);
    assert.equal((await fetch(`${w.base}/metrics`)).status, 401);
  });
});

describe('the log', () => {
  test('an object a line: routes, never paths, names or ids', async () => {
    await w.doctor.must('GET', `/fhir/Patient?name=${encodeURIComponent('王小东')}`);
    await waitFor('the line', () => w.server.log().includes('"route":"/fhir/{type}"'));
    const lines = w.server.log().trim().split('\n').map((line) => JSON.parse(line));
    const one = lines.find((l) => l.event === 'http' && l.route === '/fhir/{type}/{id}');
    assert.deepEqual(Object.keys(one), ['time', 'level', 'event', 'method', 'route', 'status', 'bytes', 'us', 'request']);
    assert.equal(typeof one.status, 'number');
    const log = w.server.log();
    for (const word of ['王小东', encodeURIComponent('王小东'), w.patient.id]) assert.ok(!log.includes(word), word);
    assert.equal(spawnSync(program, ['serve', '--log-format', 'xml']).status, 2);
  });
});

describe('settings', () => {
  const config = (args, env = {}) => spawnSync(program, ['config', ...args], { encoding: 'utf8', env: { ...process.env, ...env } });
  const valueOf = (run, name) => run.stdout.split('\n').find((line) => line.startsWith(`${name} = `))?.slice(name.length + 3).split('   # ');

  test('of a file, then the environment, then the command line; the last says all of it', () => {
    const file = `${w.folder}/shanhai.conf`;
    writeFileSync(file, '# of the house\nport = 8181   # where the proxy looks\nquiet = true\n\nsubscription-endpoint = https://a.example/x https://b.example\nstore = postgresql://me:s3cret@db.example/shanhai\n');
    assert.deepEqual(valueOf(config([]), 'port'), ['8080', 'as built']);
    const of = config(['--config', file]);
    assert.equal(of.status, 0, of.stderr);
    assert.deepEqual([valueOf(of, 'port'), valueOf(of, 'quiet'), valueOf(of, 'address')], [['8181', 'from the file'], ['true', 'from the file'], ['127.0.0.1', 'as built']]);
    assert.equal(valueOf(of, 'subscription-endpoint')[0], 'https://a.example/x https://b.example');
    assert.equal(valueOf(of, 'store')[0], 'postgresql://me:***@db.example/shanhai');
    assert.ok(!of.stdout.includes('s3cret'));
    const env = config([], { SHANHAI_CONFIG: file, SHANHAI_PORT: '8282', SHANHAI_QUIET: 'false' });
    assert.deepEqual([valueOf(env, 'port'), valueOf(env, 'quiet')], [['8282', 'from the environment'], ['false', 'from the environment']]);
    const flag = config(['--config', file, '--port', '8383', '--subscription-endpoint', 'https://c.example'], { SHANHAI_PORT: '8282' });
    assert.deepEqual([valueOf(flag, 'port'), valueOf(flag, 'subscription-endpoint')], [['8383', 'from the command line'], ['https://c.example', 'from the command line']]);
    // What it prints is such a file.
    writeFileSync(file, flag.stdout);
    assert.equal(valueOf(config(['--config', file]), 'port')[0], '8383');
    for (const [text, why] of [['nonsense = 1', /no setting 'nonsense'/], ['port', /name = value/], ['port = many', /--port wants a number/], ['quiet = perhaps', /true or false/]]) {
      writeFileSync(file, text);
      const bad = config(['--config', file]);
      assert.equal(bad.status, 2, text);
      assert.match(bad.stderr, why);
    }
    assert.equal(config(['--config', `${w.folder}/none`]).status, 2);
  });
});

describe('a stop', () => {
  test('ends streams, answers what is under way, puts jobs back; the next start goes on', async () => {
    const before = w.server.child;
    const stream = await fetch(`${w.base}/events`, { headers: { Cookie: w.doctor.cookie, Accept: 'text/event-stream' } });
    const ended = (async () => { for await (const chunk of stream.body) void chunk; return 'ended'; })();
    const asked = await imports(importOf(30000));
    await waitFor('it to be under way', async () => parseFloat((await steward.request('GET', at(asked))).headers.get('x-progress')) > 0);
    const writes = Array.from({ length: 20 }, (_, i) => w.doctor.request('POST', '/fhir/Observation', { resourceType: 'Observation', status: 'final', code: { text: `停机 ${i}` }, identifier: [{ system: 'urn:stop', value: `${i}` }] }).catch(() => ({ status: 0 })));
    await writes[0];
    before.kill('SIGTERM');
    const [code] = await new Promise((resolve) => before.once('exit', (...status) => resolve(status)));
    assert.equal(code, 0, w.server.log().slice(-2000));
    assert.equal(await ended, 'ended');
    const answers = await Promise.all(writes);
    w.server = await startServer(program, w.data, w.options, { requests: true });
    w.base = w.server.base;
    for (const person of [steward, w.doctor, w.admins.county]) {
      person.base = w.base;
      await person.signIn(person.password);
    }
    // What was answered 201 is there; what was not (refused, or the connection ended) may be.
    const stored = new Set((await w.doctor.search('Observation', { identifier: 'urn:stop|', _count: '100' })).map((o) => o.identifier[0].value));
    answers.forEach((answer, i) => assert.ok(answer.status !== 201 || stored.has(`${i}`), `write ${i} was acknowledged and is gone`));
    assert.ok(answers.every((a) => [0, 201, 503].includes(a.status)), answers.map((a) => a.status).join());
    const done = await waitFor('the import after the stop', async () => {
      const answer = await steward.request('GET', at(asked));
      return answer.status === 200 ? answer.json : undefined;
    });
    assert.deepEqual([done.stored, done.rejected], [30000, 0]);
    const job = (await jobs(w.admins.county)).find((j) => `/bulk/${j.id}` === at(asked));
    assert.equal(job.attempts, 1, 'a stop is no attempt');
  });
});

describe('finished jobs', () => {
  test('go after the days that the administrator is told; failed ones stay', async () => {
    const before = await jobs(w.admins.county);
    const failed = before.filter((job) => job.state === 'failed').map((job) => job.id);
    assert.ok(before.some((job) => job.state === 'done') && failed.length > 0, JSON.stringify(before));
    assert.equal(await w.server.stop(), 0);
    w.server = await startServer(program, w.data, [...w.options, '--jobs-kept', '3', '--clock-ahead', String(4 * 24 * 60)], { requests: true });
    const admin = w.admins.county;
    admin.base = w.server.base;
    await admin.signIn(admin.password);
    const left = await waitFor('the done jobs to go', async () => {
      const answer = await admin.must('GET', '/admin/jobs');
      assert.equal(answer.keptDays, 3);
      return answer.jobs.every((job) => job.state !== 'done') && answer.jobs;
    }, 30);
    assert.deepEqual(left.map((job) => job.id), failed);
  });
});

describe('shanhai check --whole-index', { skip: Boolean(postgresql) && 'the index is changed with the shell of SQLite' }, () => {
  test('compares every row, says how far it is on standard error, finds what was changed', async () => {
    await w.server.stop();
    const sound = spawnSync(program, ['check', '--data', w.data, '--whole-index'], { encoding: 'utf8' });
    assert.equal(sound.status, 0, sound.stdout);
    assert.match(sound.stderr, /index 100 %/);
    assert.doesNotMatch(sound.stdout, /index/);
    execFileSync('sqlite3', [`${w.data}/store.db`, 'DELETE FROM index_date WHERE seq = (SELECT max(seq) FROM index_date)']);
    const harmed = spawnSync(program, ['check', '--data', w.data, '--whole-index'], { encoding: 'utf8' });
    assert.equal(harmed.status, 1);
    assert.match(harmed.stdout, /the index of dates is not what the bodies say/);
    w.server = { stop: async () => 0, log: () => '' };
  });
});
