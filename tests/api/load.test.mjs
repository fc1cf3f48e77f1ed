// Ten times the clients, and what is sent to wear the server out: memory stays flat, what is too much is told 429 or 503 with
// Retry-After, live events and jobs go on, and afterwards all is as before. 8 s, 30 minutes with SHANHAI_LONG=1.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runLoad, tell } from '../../bench/load.mjs';
import { makePhantom, startWorld, waitFor } from './support.mjs';

const SECONDS = process.env.SHANHAI_LONG ? 1800 : 8;
const MEGABYTE = 1 << 20;
let w;
before(async () => { w = await startWorld(); });
after(async () => { await w?.stop(); });

const anonymous = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${w.server.child.pid}/status`, 'latin1'))[1]) / 1024;
const isSanitized = () => readFileSync(`/proc/${w.server.child.pid}/maps`, 'latin1').includes('libasan');

test('640 clients', { timeout: (SECONDS + 300) * 1000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shanhai-load-'));
  makePhantom(folder, '--slices', '60', '--size', '64');
  const parts = readdirSync(folder).filter((n) => n.endsWith('.dcm')).flatMap((n) => [Buffer.from('--b\r\nContent-Type: application/dicom\r\n\r\n'), readFileSync(join(folder, n)), Buffer.from('\r\n')]);
  rmSync(folder, { recursive: true, force: true });
  const running = runLoad({ base: w.base, cookie: w.doctor.cookie, csrf: w.doctor.csrf, patient: w.patient.id, pid: w.server.child.pid, clients: 640, seconds: SECONDS });
  const stow = waitFor('the images are taken', async () => {
    const answer = await w.doctor.request('POST', '/dicom-web/studies', Buffer.concat([...parts, Buffer.from('--b--\r\n')]),
      { 'Content-Type': 'multipart/related; type="application/dicom"; boundary=b', Accept: 'application/dicom+json' });
    assert.ok([200, 503].includes(answer.status), answer.text);
    return answer.status === 200;
  });
  const load = await running;
  await stow;
  t.diagnostic(tell(load));
  const other = Object.keys(load.statuses).filter((status) => !['200', '201', '429', '503'].includes(status));
  assert.deepEqual(other, []);
  assert.equal(load.withoutRetryAfter, 0, 'each refusal says when to come again');
  assert.ok(load.statuses[200] > 100);
  assert.ok(load.statuses[201] > 20);
  assert.ok(load.events > 0, 'live events go on');
  assert.ok(isSanitized() || load.memory.at(-1).anonymous < 256, `${load.memory.at(-1).anonymous} MB`);
  await waitFor('the job is done', async () => (await w.doctor.search('ImagingStudy', { subject: `Patient/${w.patient.id}` })).length > 0);
  assert.equal((await w.doctor.request('GET', `/fhir/Patient/${w.patient.id}`)).status, 200);
});

test('a body of one gigabyte is refused before it is read', async () => {
  const before = anonymous();
  for (const path of ['/fhir/Patient', '/fhir', '/session']) {
    const { hostname, port } = new URL(w.base);
    const answer = await new Promise((resolve, reject) => {
      const asked = request({ hostname, port, path, method: 'POST', headers: { Cookie: w.doctor.cookie, Origin: w.base, 'X-CSRF-Token': w.doctor.csrf,
        'Content-Type': 'application/fhir+json', 'Content-Length': 1024 * MEGABYTE } }, (response) => { resolve(response.statusCode); asked.destroy(); });
      asked.on('error', reject);
      asked.write('{"resourceType":"Patient","name":[{"text":"');
    });
    assert.equal(answer, 413, path);
  }
  // The same without a length, in chunks: an answer is only possible after the body, so the rest is read and dropped, and at
  // 256 MB the line is cut.
  const answer = await new Promise((resolve) => {
    const { hostname, port } = new URL(w.base);
    let status;
    const asked = request({ hostname, port, path: '/fhir/Patient', method: 'POST', headers: { Cookie: w.doctor.cookie, Origin: w.base, 'X-CSRF-Token': w.doctor.csrf,
      'Content-Type': 'application/fhir+json' } }, (response) => { status = response.statusCode; response.resume(); });
    asked.on('error', () => {});
    asked.on('close', () => resolve(status));
    const piece = Buffer.alloc(MEGABYTE, 'a');
    let sent = 0;
    const push = () => {
      if (status !== undefined || sent++ > 1024 || asked.destroyed) { asked.destroy(); return; }
      asked.write(piece, push);
    };
    push();
  });
  assert.ok([413, undefined].includes(answer), String(answer));
  assert.ok(isSanitized() || anonymous() - before < 64, `${before} → ${anonymous()} MB`);
});

// What is written on a raw connection and what comes back until it ends.
const talk = (bytes, patience = 5000) => new Promise((resolve) => {
  const { hostname, port } = new URL(w.base);
  let out = '';
  const socket = connect(Number(port), hostname, () => socket.write(bytes));
  const timer = setTimeout(() => socket.destroy(), patience);
  socket.on('data', (data) => { out += data.toString('latin1'); });
  socket.on('error', () => {});
  socket.on('close', () => { clearTimeout(timer); resolve(out); });
});

test('floods of headers and addresses', async () => {
  const before = anonymous();
  const head = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
  const many = `${head}${Array.from({ length: 20000 }, (_, i) => `X-${i}: ${'a'.repeat(40)}`).join('\r\n')}\r\n\r\n`;
  const long = `${head}X-Long: ${'a'.repeat(2 * MEGABYTE)}\r\n\r\n`;
  const address = `GET /fhir/Patient?name=${'a'.repeat(MEGABYTE)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  for (const bytes of [many, long, address]) {
    for (const answer of await Promise.all(Array.from({ length: 20 }, () => talk(bytes)))) {
      assert.ok(answer === '' || /^HTTP\/1\.[01] (4\d\d) /.test(answer), answer.slice(0, 100));
    }
  }
  assert.ok(isSanitized() || anonymous() - before < 64, `${before} → ${anonymous()} MB`);
  assert.equal((await w.doctor.request('GET', '/health')).status, 200);
});

test('a thousand connections that say nothing keep nobody out for good', async () => {
  const { hostname, port } = new URL(w.base);
  const sockets = Array.from({ length: 1000 }, () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    return socket;
  });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal((await w.doctor.request('GET', '/health')).status, 200, 'who is connected already is served');
  sockets.forEach((socket) => socket.destroy());
  await waitFor('all is as before', async () => /^HTTP\/1\.1 200 /.test(await talk('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')), 20);
});
