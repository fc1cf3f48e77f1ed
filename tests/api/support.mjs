// What the interface tests share: the real program on a fresh folder with the invented world in it.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPatient, hospitals, initHospitals, patientFacts, peopleOf, startServer } from '../../scenarios/world.mjs';

export const program = process.env.SHANHAI_PROGRAM ?? 'build/release/src/shanhai';
export const phantomProgram = process.env.SHANHAI_PHANTOM ?? 'build/release/scenarios/shanhai-phantom';
export const shared = process.env.SHANHAI_SHARED ?? '../shared';
export const hasShared = existsSync(join(shared, 'suites'));

// The suite "postgresql" (tests/run.py) names a server: each folder of data then has a database of its own there.
export const postgresql = process.env.SHANHAI_TEST_POSTGRESQL;
export const runSql = (sql, url = postgresql) => execFileSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]).toString().trim();

export function makeDatabase(data) {
  const name = `test_${randomBytes(6).toString('hex')}`;
  runSql(`CREATE DATABASE ${name} TEMPLATE template0`);
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(join(data, 'store.url'), postgresql.replace(/\/\w+\?/, `/${name}?`), { mode: 0o600 });
  return name;
}

// {folder, data, base, dicomPort, doctor, …, patient, stop}. `more` are further hospitals: made[key] has their first administrator.
export async function startWorld({ people = true, more = {}, env = {}, data = undefined, requests = false, flags = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-test-'));
  data ??= join(folder, 'data');
  const database = postgresql && !existsSync(data) ? makeDatabase(data) : undefined;
  const made = initHospitals(program, data, { ...hospitals, ...more });
  const options = ['--port', '0', '--dicom-port', '0', '--dicom-peer', `*@127.0.0.1=Organization/${made.county.organization}`, ...flags];
  const server = await startServer(program, data, options, { env, requests });
  const world = { folder, data, made, server, base: server.base, dicomPort: server.dicomPort, options };
  try {
    if (people) {
      Object.assign(world, await peopleOf(server.base, made));
      world.patient = await createPatient(world.doctor);
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  world.stop = async () => {
    const status = await world.server.stop();
    if (!process.env.SHANHAI_KEEP) rmSync(folder, { recursive: true, force: true });
    if (database && !process.env.SHANHAI_KEEP) runSql(`DROP DATABASE ${database} WITH (FORCE)`);
    if (status !== 0) throw new Error(`the server ended with ${status}:\n${world.server.log()}`);
    if (/ERROR: (Address|Leak)Sanitizer|runtime error:/.test(world.server.log())) throw new Error(world.server.log());
  };
  return world;
}

export async function waitFor(what, look, seconds = 120) {
  for (const until = Date.now() + seconds * 1000; Date.now() < until;) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${seconds} s in vain: ${what}`);
}

export function makePhantom(folder, ...options) {
  execFileSync(phantomProgram, ['--out', folder, '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M',
    '--birth', patientFacts.birthDate.replaceAll('-', ''), ...options]);
  return folder;
}

// One STOW-RS request with these Part 10 files: {status, json}
export async function stow(person, files) {
  const boundary = 'shanhai-test-stow';
  const parts = files.flatMap((file) => [Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`), file, Buffer.from('\r\n')]);
  const response = await fetch(`${person.base}/dicom-web/studies`, {
    method: 'POST',
    body: Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]),
    headers: {
      Cookie: person.cookie, Origin: person.base, 'X-CSRF-Token': person.csrf, Accept: 'application/dicom+json',
      'Content-Type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
    },
  });
  return { status: response.status, json: await response.json().catch(() => undefined) };
}

export const issuesOf = (answer) => (answer.json?.issue ?? []).map((i) => i.details?.text ?? i.diagnostics ?? '');

// The process that measures a CT, a child of the server; undefined when none runs.
export const measuringProcess = (server) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
  try {
    const parent = Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')[1]);
    return parent === server && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0measure');
  } catch {
    return false; // it has ended meanwhile
  }
});

// Waits for one and holds it in the middle of its work, so that what can be done meanwhile is no matter of luck.
export async function holdMeasuring(server, seconds = 60) {
  for (const until = Date.now() + seconds * 1000; Date.now() < until;) {
    const pid = measuringProcess(server);
    if (pid) {
      process.kill(pid, 'SIGSTOP');
      return pid;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  throw new Error('waited in vain for a measuring process');
}
