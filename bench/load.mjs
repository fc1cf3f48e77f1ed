// Ten times the clients: 640 connections that read, search, write and send, at once, for as long as said; beside them live
// events, a CT measurement and connections that do nothing or trickle. Prints what was answered, how long it took and what
// memory the server held: `node bench/load.mjs [--clients 640] [--seconds 30]`, SHANHAI_PROGRAM and SHANHAI_PHANTOM as in the
// tests. tests/api/load.test.mjs runs it short and asserts.
import { Agent, request } from 'node:http';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REFUSALS = new Set([429, 503]);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Of the server's own (anonymous) memory, in MB.
function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const member = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024;
  return { anonymous: member('RssAnon'), resident: member('VmRSS') };
}

export function quantile(sorted, share) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

class Load {
  constructor(options) {
    Object.assign(this, options);
    this.agent = new Agent({ keepAlive: true, maxSockets: this.clients });
    this.statuses = {};
    this.durations = [];
    this.withoutRetryAfter = 0;
    this.cut = 0;
    this.cuts = {}; // why, and how many
    this.events = 0;
    this.memory = [];
    this.until = Date.now() + this.seconds * 1000;
  }

  ask(method, path, body) {
    const started = performance.now();
    const unsafe = method !== 'GET';
    const type = body === undefined ? {} : { 'Content-Type': 'application/fhir+json', 'Content-Length': Buffer.byteLength(body) };
    return new Promise((resolve) => {
      const asked = request(this.base + path, { method, agent: this.agent,
        headers: { Cookie: this.cookie, Accept: '*/*', ...(unsafe && { Origin: this.base, 'X-CSRF-Token': this.csrf }), ...type } }, (answer) => {
        answer.resume();
        answer.on('end', () => {
          this.statuses[answer.statusCode] = (this.statuses[answer.statusCode] ?? 0) + 1;
          if (REFUSALS.has(answer.statusCode) && answer.headers['retry-after'] === undefined) this.withoutRetryAfter++;
          if (this.durations.length < 2e6) this.durations.push(performance.now() - started);
          resolve(answer.statusCode);
        });
      });
      asked.on('error', (error) => {
        this.cut++;
        const why = `${error.code ?? error.message}${asked.reusedSocket ? ' on a used connection' : ''}`;
        this.cuts[why] = (this.cuts[why] ?? 0) + 1;
        resolve(0);
      });
      asked.end(body);
    });
  }

  // Of ten requests six read, two search, one writes, one writes a transaction.
  async client(number) {
    const observation = () => ({ resourceType: 'Observation', status: 'final', code: { text: '血氧饱和度' }, subject: { reference: `Patient/${this.patient}` },
      effectiveDateTime: new Date().toISOString(), valueQuantity: { value: 90 + number % 10, unit: '%' } });
    for (let i = number; Date.now() < this.until; i++) {
      const kind = i % 10;
      let status;
      if (kind < 6) status = await this.ask('GET', `/fhir/Patient/${this.patient}`);
      else if (kind < 8) status = await this.ask('GET', `/fhir/Observation?subject=Patient/${this.patient}&_sort=-date&_count=10`);
      else if (kind === 8) status = await this.ask('POST', '/fhir/Observation', JSON.stringify(observation()));
      else {
        const entry = [1, 2, 3].map(() => ({ resource: observation(), request: { method: 'POST', url: 'Observation' } }));
        status = await this.ask('POST', '/fhir', JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }));
      }
      if (REFUSALS.has(status) || status === 0) await wait(1000); // as Retry-After says
    }
  }

  // A browser that listens; counts what it is told.
  listen() {
    const asked = request(`${this.base}/events`, { agent: false, headers: { Cookie: this.cookie } }, (answer) => {
      answer.on('data', (data) => { this.events += data.toString().split('\nid:').length - 1 || (data.includes('data:') ? 1 : 0); });
      answer.on('error', () => {});
    });
    asked.on('error', () => {});
    asked.end();
    return () => asked.destroy();
  }

  // Connections that say nothing, and some whose headers come byte by byte.
  bother(count) {
    const { hostname, port } = new URL(this.base);
    const sockets = Array.from({ length: count }, (_, i) => {
      const socket = connect(Number(port), hostname, () => { if (i % 2) socket.write('GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-Slow: '); });
      socket.on('error', () => {});
      return socket;
    });
    const timer = setInterval(() => sockets.forEach((socket, i) => { if (i % 2 && socket.writable) socket.write('a'); }), 2000);
    return () => { clearInterval(timer); sockets.forEach((socket) => socket.destroy()); };
  }

  async run() {
    const quiet = [this.listen(), this.listen(), this.bother(this.idle ?? 40)];
    const sampler = setInterval(() => this.memory.push(memoryOf(this.pid)), Math.max(500, this.seconds * 10));
    await Promise.all(Array.from({ length: this.clients }, (_, i) => this.client(i)));
    clearInterval(sampler);
    this.memory.push(memoryOf(this.pid));
    quiet.forEach((end) => end());
    this.agent.destroy();
    this.durations.sort((a, b) => a - b);
    return this;
  }
}

export const runLoad = (options) => new Load(options).run();

export function tell(load) {
  const total = Object.values(load.statuses).reduce((a, b) => a + b, 0);
  const anonymous = load.memory.map((m) => m.anonymous);
  const third = Math.max(1, Math.floor(anonymous.length / 3));
  const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  return `${load.clients} clients, ${load.seconds} s: ${total} answers (${Math.round(total / load.seconds)} /s) ${JSON.stringify(load.statuses)}, ${load.cut} cut ${JSON.stringify(load.cuts)}; ` +
    `p50 ${quantile(load.durations, 0.5).toFixed(0)} ms, p99 ${quantile(load.durations, 0.99).toFixed(0)} ms, longest ${(load.durations.at(-1) ?? 0).toFixed(0)} ms; ` +
    `own memory ${median(anonymous.slice(0, third)).toFixed(0)} MB in the first third, ${median(anonymous.slice(-third)).toFixed(0)} MB in the last, ` +
    `${Math.max(...anonymous).toFixed(0)} MB at most; ${load.events} live events`;
}

async function main() {
  const value = (name, otherwise) => { const at = process.argv.indexOf(`--${name}`); return at < 0 ? otherwise : Number(process.argv[at + 1]); };
  const { makePhantom, startWorld, waitFor } = await import('../tests/api/support.mjs');
  const w = await startWorld();
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-load-'));
  makePhantom(folder, '--slices', '120', '--size', '256');
  const parts = readdirSync(folder).filter((n) => n.endsWith('.dcm')).flatMap((n) => [Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), readFileSync(join(folder, n)), Buffer.from('\r\n')]);
  const running = runLoad({ base: w.base, cookie: w.doctor.cookie, csrf: w.doctor.csrf, patient: w.patient.id, pid: w.server.child.pid,
    clients: value('clients', 640), seconds: value('seconds', 30) });
  await wait(3000);
  let tries = 0;
  let stow;
  do { // a sender does as Retry-After says
    if (tries++ > 0) await wait(1000);
    stow = await w.doctor.request('POST', '/dicom-web/studies', Buffer.concat([...parts, Buffer.from('--b--\r\n')]),
      { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' }).catch(() => ({ status: 0 }));
  } while (REFUSALS.has(stow.status) || stow.status === 0);
  const sent = Date.now();
  console.log(tell(await running));
  // When it was written, not when somebody got to see it.
  const after = async (type) => {
    const [found] = await waitFor(type, async () => {
      const list = await w.doctor.search(type, { subject: `Patient/${w.patient.id}` });
      return list.length > 0 && list;
    }, 300);
    const history = await w.doctor.must('GET', `/fhir/${type}/${found.id}/_history`);
    return ((Date.parse(history.entry.at(-1).resource.meta.lastUpdated) - sent) / 1000).toFixed(1);
  };
  console.log(`a CT of 120 slices sent meanwhile: ${stow.status} at the ${tries}. try, joined to its patient after ${await after('ImagingStudy')} s, ` +
    `measured after ${await after('DiagnosticReport')} s`);
  rmSync(folder, { recursive: true, force: true });
  await w.stop();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
