// What the program reaches, each figure beside its ceiling measured in the same run; prints a table and writes it
// between the two marker lines of bench/README.md. A figure is the median of three short runs.
//
//     node bench/run.mjs [--only read,search,create,mixed,bundle,postgresql,ct,cstore,idle] [--no-write] [--folder DIR]
//     node bench/run.mjs --only curve [--sizes 1000,8000] [--folder DIR] [--no-write]
//
// The curve of searches over the number of patients (curve.mjs) is a run of its own with marker lines of its own; a folder that it
// filled is kept and used again.
// With --folder the server runs on DIR/data, which bench/store_load has filled; DIR/world.json has its organization and token.
// SHANHAI_PROGRAM (build/release/src/shanhai), SHANHAI_SHARED (the real CT), SHANHAI_BENCH_SECONDS (10).
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync, existsSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync,
} from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServer } from '../scenarios/world.mjs';
import { measureCurve } from './curve.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const program = process.env.SHANHAI_PROGRAM ?? 'build/release/src/shanhai';
const build = dirname(dirname(program));
const seconds = Number(process.env.SHANHAI_BENCH_SECONDS ?? 10);
const RUNS = 3;
const PATIENTS = 1000;
const SLICES = 300;
const BUNDLE = 100;
const WRITER_PAUSE_MS = 14;

const option = (name) => process.argv.includes(name) && process.argv[process.argv.indexOf(name) + 1];
const only = option('--only') ? option('--only').split(',') : null;
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const whole = (value) => Math.round(value).toLocaleString('en');
const percent = (value, of) => `${Math.round((100 * value) / of)} %`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const rows = [];

// The server's own work for a request, which other programs on the machine disturb less than the clock.
const cpuText = (made) => `${made.cpu < 20 ? made.cpu.toFixed(1) : whole(made.cpu)} µs`;

function row(work, figure, goal, ceiling, ratio, cpu = '') {
  rows.push([work, figure, cpu, goal, ceiling, ratio]);
  console.log(`${work}: ${figure} (goal ${goal}; ${ceiling}${ratio ? `: ${ratio}` : ''})${cpu && `, processor ${cpu}`}`);
}

// A folder with one doctor and his bearer token.
function makeFolder(data) {
  const made = JSON.parse(execFileSync(program, ['init', '--data', data, '--organization', '彭水县示例医院', '--account', 'admin', '--name', '罗平']));
  const added = execFileSync(program, ['user', 'add', 'limin', '--data', data, '--role', 'county-doctor', '--organization', made.organization,
    '--person', '李敏', '--title', 'attending'], { encoding: 'utf8' });
  const post = /post\s+(\S+)/.exec(added)[1];
  const token = execFileSync(program, ['user', 'token', 'limin', '--data', data, '--post', post], { encoding: 'utf8' });
  return { organization: made.organization, token: /shanhai_[0-9a-f]+/.exec(token)[0] };
}

const patient = (organization, i) => ({
  resourceType: 'Patient', active: true,
  identifier: [
    { use: 'official', system: 'urn:shanhai:id:inpatient', value: `B-${i}` },
    { use: 'usual', system: 'urn:shanhai:id:outpatient', value: `C-${i}` },
  ],
  name: [{ use: 'official', text: `示例${i}`, family: '示', given: [`例${i}`] }],
  telecom: [{ system: 'phone', value: `154${String(i).padStart(8, '0')}`, use: 'mobile' }], gender: i % 2 ? 'male' : 'female',
  birthDate: `19${40 + (i % 60)}-0${1 + (i % 9)}-1${i % 10}`,
  address: [{ use: 'home', text: `示例省示例县示例镇第${i}号`, state: '示例省', city: '示例县', line: [`示例镇第${i}号`] }],
  contact: [{ relationship: [{ text: '配偶' }], name: { text: `示例亲属${i}` }, telecom: [{ system: 'phone', value: '15400000098' }] }],
  maritalStatus: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-MaritalStatus', code: 'M', display: 'Married' }] },
  managingOrganization: { reference: `Organization/${organization}`, display: '彭水县示例医院' },
});

// About 1.4 KB: a blood pressure with two components, as a monitor sends it; the n-th has values and a minute of its own.
const observation = (subject, value, n = 0) => ({
  resourceType: 'Observation', status: 'final',
  identifier: [{ system: 'urn:shanhai:id:bench', value }],
  category: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs', display: 'Vital Signs' }] }],
  code: { coding: [{ system: 'http://loinc.org', code: '85354-9', display: 'Blood pressure panel with all children optional' }], text: '血压' },
  subject: { reference: `Patient/${subject}`, display: '示例' }, effectiveDateTime: `2026-11-${String(1 + (n % 22)).padStart(2, '0')}T${String(n % 24).padStart(2, '0')}:${String(n % 60).padStart(2, '0')}:00+08:00`, issued: '2026-11-22T08:30:05.000+08:00',
  interpretation: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation', code: 'N', display: 'Normal' }] }],
  bodySite: { text: '左上臂' }, method: { text: '示波法' },
  component: [['8480-6', 'Systolic blood pressure', 96 + (n % 83)], ['8462-4', 'Diastolic blood pressure', 52 + (n % 57)]].map(([code, display, number]) => ({
    code: { coding: [{ system: 'http://loinc.org', code, display }] },
    valueQuantity: { value: number, unit: 'mm[Hg]', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' },
    referenceRange: [{ high: { value: 140, unit: 'mm[Hg]', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' } }],
  })),
  note: [{ text: '静息 5 分钟后测量' }],
});

async function transaction(world, resources) {
  const entry = resources.map((resource) => ({ resource, fullUrl: `urn:uuid:${crypto.randomUUID()}`, request: { method: 'POST', url: resource.resourceType } }));
  const response = await fetch(`${world.base}/fhir`, {
    method: 'POST', body: JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }),
    headers: { Authorization: `Bearer ${world.token}`, 'Content-Type': 'application/fhir+json' },
  });
  const answer = await response.json();
  if (response.status !== 200) throw new Error(JSON.stringify(answer));
  return answer.entry.map((e) => e.response.location.split('/').at(-3));
}

// 1,000 patients with 20 observations each of the first 100.
async function fill(world) {
  world.patients = [];
  for (let i = 0; i < PATIENTS; i += 100) {
    world.patients.push(...await transaction(world, Array.from({ length: 100 }, (_, k) => patient(world.organization, i + k))));
  }
  for (const id of world.patients.slice(0, 100)) {
    await transaction(world, Array.from({ length: 20 }, (_, k) => observation(id, `${id}-${k}`)));
  }
}

// Processor time that the server has used, in µs; /proc counts in hundredths of a second.
function cpuOf(pid) {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
  return (Number(words[11]) + Number(words[12])) * 10000;
}

// Bytes that the server has handed to the disk.
const writtenBy = (pid) => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);

// What starts wrk over the given request lines; `pause` ms between two requests of a connection.
function wrkCall(world, lines, connections, { name = 'requests', pause = 0, latest = 2 } = {}) {
  const file = join(world.folder, `${name}.txt`);
  writeFileSync(file, lines.join('\n'));
  return ['wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', `${latest}s`, '--latency', '-s', join(here, 'requests.lua'), world.base],
    { encoding: 'utf8', env: { ...process.env, BENCH_REQUESTS: file, BENCH_TOKEN: world.token, BENCH_PAUSE: String(pause) } }];
}

// What wrk said: {count, perSecond, p99, longest}.
function wrkSaid(text) {
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? /Socket errors: (.*)/.exec(text);
  if (failed) throw new Error(`wrk: ${failed[0]}`);
  const time = (pattern) => {
    const [, number, unit] = pattern.exec(text);
    return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit];
  };
  return {
    count: Number(/(\d+) requests in/.exec(text)[1]), perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
    p99: time(/99%\s+([\d.]+)(us|ms|s)/), longest: time(/Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/),
  };
}

// One run of wrk: also the server's processor time a request in µs, and the bytes it handed to the disk for each.
function wrk(world, lines, connections, options) {
  const theirs = () => (world.backends?.() ?? []).reduce((sum, pid) => sum + cpuOf(pid), 0);
  const [before, written, database] = [cpuOf(world.pid), writtenBy(world.pid), theirs()];
  const made = spawnSync(...wrkCall(world, lines, connections, options));
  if (made.status !== 0) throw new Error(`wrk: ${made.stderr}`);
  const said = wrkSaid(made.stdout);
  return { ...said, cpu: (cpuOf(world.pid) - before) / said.count, written: (writtenBy(world.pid) - written) / said.count, database: (theirs() - database) / said.count };
}

// The figure and its ceiling in turns, so that a noisy neighbour meets both.
function inTurns(figure, ceiling) {
  const runs = Array.from({ length: RUNS }, () => [figure(), ceiling()]);
  return {
    perSecond: median(runs.map(([f]) => f.perSecond)), p99: median(runs.map(([f]) => f.p99)), longest: Math.max(...runs.map(([f]) => f.longest)), cpu: median(runs.map(([f]) => f.cpu)), written: median(runs.map(([f]) => f.written)), database: median(runs.map(([f]) => f.database ?? 0)),
    ceiling: median(runs.map(([, c]) => c)), ratio: median(runs.map(([f, c]) => f.perSecond / c)),
  };
}

// pwrite and fdatasync a second, over a file that is already there (as the store's log is, once it has been folded back).
function syncs(folder, bytes, forSeconds = 2) {
  const file = join(folder, 'probe');
  const block = Buffer.alloc(bytes, 1);
  const blocks = Math.ceil((32 << 20) / bytes);
  const fd = openSync(file, 'w');
  for (let i = 0; i < blocks; i++) writeSync(fd, block, 0, bytes, i * bytes);
  fdatasyncSync(fd);
  let count = 0;
  const begin = process.hrtime.bigint();
  const until = begin + BigInt(forSeconds * 1e9);
  while (process.hrtime.bigint() < until) {
    writeSync(fd, block, 0, bytes, (count++ % blocks) * bytes);
    fdatasyncSync(fd);
  }
  const perSecond = count / (Number(process.hrtime.bigint() - begin) / 1e9);
  closeSync(fd);
  rmSync(file);
  return perSecond;
}

function benchRead(world) {
  const health = wrk.bind(null, world, ['GET /health'], 64);
  const read = inTurns(() => wrk(world, world.patients.map((id) => `GET /fhir/Patient/${id}`), 64), () => health().perSecond);
  row('read by id, 64 connections', `${whole(read.perSecond)} /s, p99 ${read.p99.toFixed(1)} ms`, '≥ 40,000 /s, p99 < 5 ms',
    `/health ${whole(read.ceiling)} /s`, `${Math.round(100 * read.ratio)} %`, cpuText(read));
}

function benchSearch(world) {
  const search = inTurns(() => wrk(world, world.patients.slice(0, 100).map((id) => `GET /fhir/Observation?patient=${id}&_count=20`), 64),
    () => wrk(world, ['GET /health'], 64).perSecond);
  row('search, 20 hits, 64 connections', `${whole(search.perSecond)} /s, p99 ${search.p99.toFixed(1)} ms`, '≥ 4,000 /s',
    `/health ${whole(search.ceiling)} /s`, `${Math.round(100 * search.ratio)} %`, cpuText(search));
}

const createLines = (world) => world.patients.map((id, n) => `POST /fhir/Observation ${JSON.stringify(observation(id, 'B-%N', n))}`);

function benchCreate(world) {
  const lines = createLines(world);
  const stored = world.kept ? `, ${whole(world.stored)} stored` : '';
  for (const [connections, goal] of [[64, world.kept ? '≥ 12,000 /s, p99 < 30 ms, longest 50 ms' : '≥ 5,000 /s'], [1, '≥ 1,000 /s']]) {
    const made = inTurns(() => wrk(world, lines, connections), () => syncs(world.folder, 8192));
    row(`durable create, ${connections} ${connections > 1 ? 'connections' : 'connection'}${stored}`,
      `${whole(made.perSecond)} /s, p99 ${made.p99.toFixed(1)} ms, longest ${made.longest.toFixed(0)} ms, ${(made.written / 1024).toFixed(1)} KB written each`, goal,
      `pwrite 8 KB + fdatasync ${whole(made.ceiling)} /s`, `${made.ratio.toFixed(2)} × the syncs`, cpuText(made));
  }
}

// Reads while others write, about 5,000 a second: 100 connections that pause between two creates.
async function benchMixed(world) {
  const run = promisify(execFile);
  const reads = world.patients.map((id) => `GET /fhir/Patient/${id}`);
  const runs = [];
  for (let i = 0; i < RUNS; i++) {
    const both = await Promise.all([wrkCall(world, reads, 64), wrkCall(world, createLines(world), 100, { name: 'writes', pause: WRITER_PAUSE_MS })].map((call) => run(...call)));
    const [read, write] = both.map(({ stdout }) => wrkSaid(stdout));
    runs.push({ read, write, alone: wrk(world, reads, 64).perSecond });
  }
  const of = (pick) => median(runs.map(pick));
  row('reads by id beside creates', `${whole(of((r) => r.read.perSecond))} /s, p99 ${of((r) => r.read.p99).toFixed(1)} ms, beside ${whole(of((r) => r.write.perSecond))} creates/s, p99 ${of((r) => r.write.p99).toFixed(1)} ms`,
    '≥ 18,000 /s beside 5,000', `reads alone ${whole(of((r) => r.alone))} /s`, percent(of((r) => r.read.perSecond), of((r) => r.alone)));
}

const bundleLines = (world) => world.patients.slice(0, 20).map((id, n) => {
  const entry = Array.from({ length: BUNDLE }, (_, k) => ({ fullUrl: `urn:uuid:${crypto.randomUUID()}`, resource: observation(id, `T-%N-${k}`, BUNDLE * n + k), request: { method: 'POST', url: 'Observation' } }));
  return `POST /fhir ${JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry })}`;
});

// Transactions of a hundred creates, eight at a time.
function benchBundle(world) {
  const lines = bundleLines(world);
  const made = inTurns(() => wrk(world, lines, 8, { latest: 10 }), () => syncs(world.folder, 8192));
  row(`transactions of ${BUNDLE} creates, 8 connections`, `${whole(made.perSecond * BUNDLE)} resources/s, p99 of a transaction ${made.p99.toFixed(0)} ms, ${(made.written / 1024 / BUNDLE).toFixed(1)} KB written each`,
    '≥ 12,000 resources/s', `pwrite 8 KB + fdatasync ${whole(made.ceiling)} /s`, `${(made.ratio * BUNDLE).toFixed(2)} × the syncs`, `${whole(made.cpu / BUNDLE)} µs a resource`);
}

// The same with the folder on a memory file system: what is left when the disk costs nothing.
async function benchCreateInMemory() {
  const world = await openWorld('/dev/shm');
  try {
    const lines = createLines(world);
    for (const [connections, goal] of [[64, '≥ 5,000 /s'], [1, '≥ 1,000 /s']]) {
      const made = inTurns(() => wrk(world, lines, connections), () => wrk(world, ['GET /health'], connections).perSecond);
      row(`create on a memory file system, ${connections} ${connections > 1 ? 'connections' : 'connection'}`, `${whole(made.perSecond)} /s, p99 ${made.p99.toFixed(1)} ms`, goal,
        `/health ${whole(made.ceiling)} /s`, `${Math.round(100 * made.ratio)} %`, cpuText(made));
    }
  } finally {
    await closeWorld(world);
  }
}

// A PostgreSQL server of the machine's package with a sync a commit, for as long as `use` takes; gives it a database's address.
async function withPostgresql(parent, use) {
  const child = spawn('python3', [join(here, '../tests/postgresql.py'), 'bench', parent], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    const url = String((await Promise.race([once(child.stdout, 'data'), ended.then(() => { throw new Error('no PostgreSQL server'); })]))[0]).trim();
    execFileSync('psql', ['-X', '-q', '-d', url, '-c', 'CREATE DATABASE bench TEMPLATE template0']);
    await use(url.replace('/postgres?', '/bench?'));
  } finally {
    child.stdin.end();
    await ended;
  }
}

// The same work on a PostgreSQL store, in turns with the file's.
async function benchPostgresql(file) {
  await withPostgresql(dirname(file.folder), async (url) => {
    const folder = mkdtempSync(join(dirname(file.folder), 'shanhai-bench-'));
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    writeFileSync(join(folder, 'data', 'store.url'), url);
    const world = await openWorld(undefined, undefined, folder);
    const sql = (text) => execFileSync('psql', ['-X', '-A', '-t', '-q', '-d', url, '-c', text], { encoding: 'utf8' }).trim();
    world.backends = () => sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").split('\n').map(Number);
    const asOn = (work, goal, connections, lines, times, options) => {
      const made = inTurns(() => wrk(world, lines(world), connections, options), () => wrk(file, lines(file), connections, options).perSecond);
      const unit = times > 1 ? ' resources/s' : ' /s';
      row(`PostgreSQL: ${work}`, `${whole(made.perSecond * times)}${unit}, p99 ${made.p99.toFixed(1)} ms, longest ${made.longest.toFixed(0)} ms`, goal,
        `the server's sessions ${cpuText({ cpu: made.database / times })}, SQLite ${whole(made.ceiling * times)}${unit}`, `${Math.round(100 * made.ratio)} %`, cpuText({ cpu: made.cpu / times }));
    };
    try {
      asOn('read by id, 64 connections', '', 64, (w) => w.patients.map((id) => `GET /fhir/Patient/${id}`), 1);
      asOn('search, 20 hits, 64 connections', '', 64, (w) => w.patients.slice(0, 100).map((id) => `GET /fhir/Observation?patient=${id}&_count=20`), 1);
      asOn('durable create, 64 connections', '≥ 4,000 /s', 64, createLines, 1);
      asOn('durable create, 1 connection', '', 1, createLines, 1);
      asOn(`transactions of ${BUNDLE} creates, 8 connections`, '≥ 8,000 resources/s', 8, bundleLines, BUNDLE, { latest: 10 });
      const stored = Number(sql('SELECT count(*) FROM version'));
      row('PostgreSQL: size of the database', `${whole(Number(sql('SELECT pg_database_size(current_database())')) / stored)} bytes a resource`, '',
        `SQLite ${whole(statSync(join(file.data, 'store.db')).size / Number(execFileSync('sqlite3', [join(file.data, 'store.db'), 'SELECT max(seq) FROM version'], { encoding: 'utf8' })))} bytes`,
        `${whole(stored)} stored`);
    } finally {
      await closeWorld(world);
    }
  });
}

function benchCt() {
  const made = spawnSync('python3', [join(here, 'ct_bench.py'), '--build', build, '--runs', String(RUNS), '--slices', String(SLICES)], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  process.stderr.write(made.stderr);
  for (const line of made.stdout.trim().split('\n').map((l) => JSON.parse(l))) {
    row(`CT measurement, ${line.case}, ${line.slices} slices (${line.megabytes} MB)`, `${line.wall_s.toFixed(2)} s, ${line.peak_mb} MB`, `≤ ${line.goal_s} s`,
      `reading the files ${line.floor_read_s.toFixed(2)} s`, `decode ${line.load_s.toFixed(2)} + compute ${line.compute_s.toFixed(2)} s`);
  }
}

function benchStore(world) {
  const rates = [];
  const probes = [];
  const costs = [];
  let bytes = 0;
  for (let run = 0; run < RUNS; run++) {
    const folder = mkdtempSync(join(world.folder, 'slices-'));
    execFileSync(join(build, 'scenarios/shanhai-phantom'), ['--out', folder, '--slices', String(SLICES), '--seed', String(run + 1),
      '--patient-id', `B-${run}`, '--patient-name', `示例${run}`], { stdio: 'ignore' });
    const before = cpuOf(world.pid);
    const begin = process.hrtime.bigint();
    const sent = spawnSync('storescu', ['-aec', 'SHANHAI', '+sd', '127.0.0.1', String(world.dicomPort), folder], { encoding: 'utf8' });
    if (sent.status !== 0) throw new Error(sent.stderr);
    rates.push(SLICES / (Number(process.hrtime.bigint() - begin) / 1e9));
    costs.push((cpuOf(world.pid) - before) / SLICES);
    bytes = statSync(join(folder, execFileSync('ls', [folder], { encoding: 'utf8' }).split('\n')[0])).size;
    probes.push(syncs(world.folder, bytes));
    rmSync(folder, { recursive: true });
  }
  row(`C-STORE, ${SLICES} slices, storescu as it comes`, `${whole(median(rates))} /s`, '≥ 250 /s',
    `pwrite ${whole(bytes / 1024)} KB + fdatasync ${whole(median(probes))} /s`, percent(median(rates), median(probes)), cpuText({ cpu: median(costs) }));
}

async function benchIdle(world) {
  const rss = { 2: [], 15: [] }; // seconds after the start: with the index rows that waited, and when they are merged
  const anonymous = { 2: [], 15: [] };
  const starts = [];
  for (let run = 0; run < RUNS; run++) {
    const begin = process.hrtime.bigint();
    const server = await startServer(program, world.data, world.options);
    starts.push(Number(process.hrtime.bigint() - begin) / 1e6);
    for (const [after, wait] of [[2, 2000], [15, 13000]]) {
      await sleep(wait);
      const memory = readFileSync(`/proc/${server.child.pid}/smaps_rollup`, 'utf8');
      rss[after].push(Number(/^Rss:\s+(\d+)/m.exec(memory)[1]) / 1024);
      anonymous[after].push(Number(/^Anonymous:\s+(\d+)/m.exec(memory)[1]) / 1024);
    }
    if ((await server.stop()) !== 0) throw new Error(server.log());
  }
  const stored = (statSync(join(world.data, 'store.db')).size / 1e6).toFixed(0);
  const bare = [];
  for (let run = 0; run < RUNS; run++) {
    const begin = process.hrtime.bigint();
    spawnSync(program, ['--version']);
    bare.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  for (const after of [2, 15]) {
    row(`idle memory, ${after} s after the start`, `RSS ${median(rss[after]).toFixed(1)} MB, of it anonymous ${median(anonymous[after]).toFixed(1)} MB`, 'RSS ≤ 30 MB',
      `store of ${stored} MB`, '');
  }
  row('start after a clean stop, to the "ready" line', `${whole(median(starts))} ms`, '≤ 100 ms', `the program loaded and left ${median(bare).toFixed(0)} ms`, '');
  const stripped = join(world.folder, 'stripped');
  const isStripped = spawnSync('strip', ['-o', stripped, program]).status === 0;
  row('size of the program', `${((isStripped ? statSync(stripped) : statSync(program)).size / 1e6).toFixed(1)} MB${isStripped ? ' stripped' : ''}`, '≤ 15 MB',
    `with debug information ${(statSync(program).size / 1e6).toFixed(1)} MB`, '');
}

function firstLine(command, ...words) {
  const made = spawnSync(command, words, { encoding: 'utf8' });
  return `${made.stdout ?? ''}${made.stderr ?? ''}`.trim().split('\n')[0];
}

// Puts the text between two marker lines of bench/README.md.
function writeReadme(name, text) {
  const readme = join(here, 'README.md');
  if (process.argv.includes('--no-write') || !existsSync(readme)) return;
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const old = readFileSync(readme, 'utf8');
  const [head, tail] = [old.indexOf(begin), old.indexOf(end)];
  if (head < 0 || tail < head) throw new Error('bench/README.md has lost its marker lines');
  writeFileSync(readme, `${old.slice(0, head + begin.length)}\n\n${text}\n\n${old.slice(tail)}`);
}

const load = (values) => values.map((v) => v.toFixed(1)).join(' ');

function machine(before) {
  const kilobytes = Number(/MemTotal:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]);
  return [
    `Measured ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${firstLine('git', 'rev-parse', '--short', 'HEAD')}, ${cpus().length} × ${cpus()[0].model}, ${Math.round(kilobytes / 1e6)} GB, Linux ${release()},`,
    `load average ${load(before)} before and ${load(loadavg())} after (1, 5, 15 minutes).`,
  ];
}

function report(before) {
  const [where, when] = machine(before);
  const lines = [
    where, `${when} ${firstLine('wrk', '-v').split(' Copy')[0]}, Node ${process.versions.node},`,
    `${/v[\d.]+/.test(firstLine('storescu', '--version')) ? `dcmtk ${/v([\d.]+)/.exec(firstLine('storescu', '--version'))[1]}` : 'dcmtk'}, SQLite ${firstLine('sqlite3', '--version').split(' ')[0]}; each figure the median of ${RUNS} runs of ${seconds} s.`,
    '', '| work | figure | processor a request | goal | beside it, in the same run | ratio |', '|---|---|---|---|---|---|', ...rows.map((r) => `| ${r.join(' | ')} |`),
  ];
  return lines.join('\n');
}

// A running server on a fresh folder with patients and observations in it, or on one that was filled before.
async function openWorld(parent, kept, given) {
  const folder = kept || given || mkdtempSync(join(parent, 'shanhai-bench-'));
  const data = join(folder, 'data');
  const world = { folder, data, kept: Boolean(kept), ...(kept ? JSON.parse(readFileSync(join(kept, 'world.json'), 'utf8')) : makeFolder(data)) };
  if (kept) world.stored = Number(execFileSync('sqlite3', [join(data, 'store.db'), 'SELECT max(seq) FROM version'], { encoding: 'utf8' }));
  world.options = ['--port', process.env.SHANHAI_BENCH_PORT ?? '0', '--dicom-port', '0', '--dicom-peer', `*@127.0.0.1=Organization/${world.organization}`];
  world.server = await startServer(program, data, world.options);
  Object.assign(world, { base: world.server.base, dicomPort: world.server.dicomPort, pid: world.server.child.pid });
  await fill(world);
  return world;
}

async function closeWorld(world) {
  world.server.child.kill('SIGKILL');
  await sleep(200);
  if (!world.kept) rmSync(world.folder, { recursive: true, force: true });
}

async function main() {
  const before = loadavg();
  const want = (name) => only === null || only.includes(name);
  const world = await openWorld(process.env.SHANHAI_BENCH_FOLDER ?? tmpdir(), option('--folder'));
  try {
    if (want('read')) benchRead(world);
    if (want('search')) benchSearch(world);
    if (want('create')) benchCreate(world);
    if (want('mixed')) await benchMixed(world);
    if (want('bundle')) benchBundle(world);
    if (want('postgresql') && existsSync('/usr/lib/postgresql')) await benchPostgresql(world);
    if (want('cstore')) benchStore(world);
    if ((await world.server.stop()) !== 0) throw new Error(world.server.log());
    if (want('create') && !world.kept && existsSync('/dev/shm')) await benchCreateInMemory();
    if (want('ct')) benchCt();
    if (want('idle')) await benchIdle(world);
  } finally {
    await closeWorld(world);
  }
  const text = report(before);
  console.log(`\n${text}`);
  if (only === null) writeReadme('figures', text);
}

async function curve() {
  const before = loadavg();
  const kept = option('--folder');
  const folder = kept || mkdtempSync(join(process.env.SHANHAI_BENCH_FOLDER ?? tmpdir(), 'shanhai-curve-'));
  const shared = process.env.SHANHAI_SHARED ?? join(here, '../../shared');
  try {
    const table = await measureCurve({ program, folder, shared, sizes: (option('--sizes') || '1000,8000').split(',').map(Number) });
    const text = [...machine(before), '', table].join('\n');
    console.log(`\n${text}`);
    writeReadme('curve', text);
  } finally {
    if (!kept) rmSync(folder, { recursive: true, force: true });
  }
}

await (only?.includes('curve') ? curve() : main());
