// Files that were made to harm, by the names of what they did to other archives: each is refused or stored as what it is, the
// server goes on, nothing is written but instances, and a CT that lacks slices or mixes two series is not measured wrongly.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { stateOf } from '../../scenarios/client.mjs';
import { makePhantom, startWorld, stow, waitFor } from './support.mjs';

let w;
before(async () => { w = await startWorld(); });
after(async () => w?.stop());

// ---- data sets, right or wrong as the test wants ----

const EXPLICIT = '1.2.840.10008.1.2.1';
const CT = '1.2.840.10008.5.1.4.1.1.2';
const LONG = new Set(['OB', 'OW', 'SQ', 'UN', 'UT']);
const u16 = (value) => Buffer.from([value & 255, value >> 8 & 255]);
const u32 = (value) => Buffer.concat([u16(value & 65535), u16(value >>> 16)]);
const element = (group, number, vr, value, length) => {
  const raw = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  const even = raw.length % 2 ? Buffer.concat([raw, Buffer.from(vr === 'UI' ? '\0' : ' ')]) : raw;
  const size = length ?? even.length;
  return Buffer.concat([u16(group), u16(number), Buffer.from(vr), LONG.has(vr) ? Buffer.concat([u16(0), u32(size)]) : u16(size), even]);
};
const meta = (syntax, more = []) => Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), ...more, element(2, 0x10, 'UI', syntax)]);

let next = 100;
function dataset({ sop = `2.25.9${++next}`, study = '2.25.5000', series = `${study}.1`, classUid = CT, rows = element(0x28, 0x10, 'US', u16(4)), columns = element(0x28, 0x11, 'US', u16(4)),
  frames = '1', samples = 1, photometric = 'MONOCHROME2', pixels = element(0x7fe0, 0x10, 'OW', Buffer.alloc(32)), modality = 'CT', extra = [] } = {}) {
  return Buffer.concat([
    element(8, 0x16, 'UI', classUid), element(8, 0x18, 'UI', sop), element(8, 0x60, 'CS', modality), element(0x10, 0x10, 'PN', 'Nobody^Invented'),
    element(0x10, 0x20, 'LO', 'ATTACK-1'), element(0x20, 0x0d, 'UI', study), element(0x20, 0x0e, 'UI', series), element(0x28, 2, 'US', u16(samples)),
    element(0x28, 4, 'CS', photometric), element(0x28, 8, 'IS', frames), rows, columns, element(0x28, 0x100, 'US', u16(16)), element(0x28, 0x101, 'US', u16(16)),
    element(0x28, 0x102, 'US', u16(15)), element(0x28, 0x103, 'US', u16(0)), ...extra, pixels,
  ]);
}
const file = (options = {}) => Buffer.concat([meta(options.syntax ?? EXPLICIT, options.meta), dataset(options)]);

const reasonOf = (answer) => answer.json?.['00081198']?.Value?.[0]?.['00081197']?.Value?.[0];
async function refused(bytes, reason = 0xc000) {
  const answer = await stow(w.doctor, [bytes]);
  assert.equal(answer.status, 409);
  assert.equal(reasonOf(answer), reason, `${reasonOf(answer)?.toString(16)}`);
}
// What is stored and cannot be shown: a picture and a frame of it are a clear 4xx, never a 5xx.
async function shown([study, series, sop]) {
  const at = `/dicom-web/studies/${study}/series/${series}/instances/${sop}`;
  const ask = async (path, Accept) => (await fetch(w.base + path, { headers: { Cookie: w.doctor.cookie, Accept } })).status;
  assert.equal(await ask(`${at}/metadata`, 'application/dicom+json'), 200);
  return [await ask(`${at}/rendered`, 'image/jpeg'), await ask(`${at}/frames/1`, 'multipart/related; type="application/octet-stream"')];
}
const isRefusal = (status) => status >= 400 && status < 500;
const alive = async () => assert.equal((await w.doctor.request('GET', '/health')).status, 200);
const memoryKb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${w.server.child.pid}/status`, 'utf8'))[1]);

describe('data sets', () => {
  test('cut short, at every tenth byte', async () => {
    const whole = file();
    const cuts = [];
    for (let at = 1; at < whole.length; at += Math.ceil(whole.length / 10)) cuts.push(whole.subarray(0, at));
    const answer = await stow(w.doctor, cuts);
    assert.equal(answer.status, 409);
    assert.equal(answer.json['00081198'].Value.length, cuts.length);
  });
  test('an element with a lying length, and one of 4 GB', async () => {
    await refused(file({ extra: [element(0x28, 0x1054, 'LO', 'HU', 60000)] }));
    await refused(file({ pixels: element(0x7fe0, 0x10, 'OW', Buffer.alloc(32), 0xfffffffe) }));
  });
  test('read out of bounds in the meta header: its group length lies, it is cut inside', async () => {
    assert.equal((await stow(w.doctor, [Buffer.concat([meta(EXPLICIT, [element(2, 0, 'UL', u32(0xffffff00))]), dataset()])])).status, 200);
    await refused(meta(EXPLICIT, [element(2, 2, 'UI', CT, 0xfffe)]));
    await refused(Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), u16(2), u16(0)]));
  });
  test('path traversal: a UID that is a path', async () => {
    for (const uid of ['../../../../tmp/evil', '/etc/passwd', '1.2.3/../../x', '1.2.3\\..', '..', '1.2.3\n4', 'x'.repeat(64), `1.${'2'.repeat(80)}`]) {
      await refused(file({ sop: uid }));
      await refused(file({ study: uid, series: '2.25.5001' }));
      await refused(file({ series: uid }));
    }
    assert.ok(!existsSync('/tmp/evil'));
    assert.deepEqual(readdirSync(w.data).filter((name) => !/^[a-z0-9._-]+$/i.test(name)), []);
  });
  test('sequences nested without end, and elements without number', async () => {
    const open = Buffer.concat([u16(0x40), u16(0x275), Buffer.from('SQ\0\0'), u32(0xffffffff), u16(0xfffe), u16(0xe000), u32(0xffffffff)]);
    await refused(file({ extra: [Buffer.concat(Array.from({ length: 5000 }, () => open))] }), 0xa700);
    const many = Buffer.concat(Array.from({ length: 210000 }, () => element(0x29, 0x10, 'LO', '')));
    await refused(file({ extra: [many] }), 0xa700);
  });
  test('a series that says it belongs to two studies', async () => {
    assert.equal((await stow(w.doctor, [file({ study: '2.25.5100', series: '2.25.5109' })])).status, 200);
    await refused(file({ study: '2.25.5101', series: '2.25.5109' }));
    const both = await stow(w.doctor, [file({ study: '2.25.5102', series: '2.25.5108' }), file({ study: '2.25.5103', series: '2.25.5108' })]);
    assert.deepEqual([both.status, reasonOf(both)], [202, 0xc000]);
  });
  test('a private or unknown transfer syntax is refused by name, never unpacked', async () => {
    await refused(file({ syntax: '1.3.46.670589.33.1.4.1' }));
    await refused(file({ syntax: '1.2.840.113619.5.2' }));
  });
  test('a deflated data set that inflates to more than 256 MB', async () => {
    const bomb = Buffer.concat([meta('1.2.840.10008.1.2.1.99'), deflateRawSync(Buffer.alloc(300 << 20), { level: 9 })]);
    await refused(bomb, 0xa700);
    await alive();
  });
});

describe('images', () => {
  const item = (bytes) => Buffer.concat([u16(0xfffe), u16(0xe000), u32(bytes.length), bytes]);
  const broken = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xc3, 0, 4]), Buffer.alloc(58, 0xff)]);
  const fragments = Buffer.concat([element(0x7fe0, 0x10, 'OB', Buffer.alloc(0), 0xffffffff), item(Buffer.alloc(0)), item(broken), u16(0xfffe), u16(0xe0dd), u32(0)]);
  const none = Buffer.alloc(0);
  const noImage = { rows: none, columns: none, study: '2.25.6200' };
  const codecs = { baseline: '1.2.840.10008.1.2.4.50', lossless: '1.2.840.10008.1.2.4.70', jpegls: '1.2.840.10008.1.2.4.80', rle: '1.2.840.10008.1.2.5', jpeg2000: '1.2.840.10008.1.2.4.90' };
  const cases = {
    unsignedLong: { rows: element(0x28, 0x10, 'UL', u32(0x10000001)), columns: element(0x28, 0x11, 'UL', u32(0x10000001)) },
    huge: { rows: element(0x28, 0x10, 'US', u16(65535)), columns: element(0x28, 0x11, 'US', u16(65535)), samples: 3, photometric: 'RGB' },
    frames: { frames: '999999' },
    palette: { photometric: 'PALETTE COLOR', extra: [0x1101, 0x1102, 0x1103].map((tag) => element(0x28, tag, 'US', Buffer.concat([u16(65535), u16(65535), u16(16)]))) },
    ...Object.fromEntries(Object.entries(codecs).map(([name, syntax]) => [name, { syntax, pixels: fragments }])),
    report: { ...noImage, classUid: '1.2.840.10008.5.1.4.1.1.88.22', modality: 'SR', pixels: none },
    pdf: { ...noImage, series: '2.25.6200.2', classUid: '1.2.840.10008.5.1.4.1.1.104.1', modality: 'DOC', pixels: element(0x42, 0x11, 'OB', '%PDF-1.4') },
  };
  const places = {};

  // All in one request; only a study that is somebody's is shown at all, so each is matched.
  before(async () => {
    const answer = await stow(w.doctor, Object.entries(cases).map(([, options], i) => file({ study: `2.25.600${i}`, ...options })));
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    const urls = answer.json['00081199'].Value.map((one) => one['00081190'].Value[0]);
    for (const [i, name] of Object.keys(cases).entries()) places[name] = /studies\/([\d.]+)\/series\/([\d.]+)\/instances\/([\d.]+)/.exec(urls[i]).slice(1);
    const studies = [...new Set(Object.values(places).map(([study]) => study))];
    await waitFor('the held studies', async () => {
      const held = (await w.doctor.must('GET', '/studies/held')).map((one) => one.study);
      return studies.every((study) => held.includes(study));
    });
    for (const study of studies) await w.doctor.must('POST', `/studies/held/${study}/match`, { patient: `Patient/${w.patient.id}`, confirmed: true });
  });

  for (const [name, title] of [
    ['unsignedLong', 'Rows and Columns as UL, whose product overflows'], ['huge', '65535 x 65535 pixels of 3 samples'],
    ['baseline', 'a frame that is no JPEG'], ['lossless', 'a frame that is no lossless JPEG'], ['jpegls', 'a frame that is no JPEG-LS'],
    ['rle', 'a frame that is no RLE'], ['jpeg2000', 'a frame that is no JPEG 2000'],
  ]) {
    test(title, async () => {
      const statuses = await shown(places[name]);
      assert.ok(statuses.every(isRefusal), statuses.join());
    });
  }
  test('a million frames of nothing', async () => {
    const [picture] = await shown(places.frames);
    assert.ok(picture === 200 || isRefusal(picture), String(picture));
  });
  test('a palette whose indices and sizes lie', async () => {
    const [picture] = await shown(places.palette);
    assert.ok(isRefusal(picture), String(picture));
  });
  test('no image at all: a structured report and a PDF are kept, and told as what they are', async () => {
    for (const name of ['report', 'pdf']) assert.ok((await shown(places[name])).every(isRefusal));
    const [stored] = await w.doctor.search('ImagingStudy', { identifier: `urn:dicom:uid|urn:oid:${places.report[0]}` });
    assert.deepEqual(stored.modality.map((one) => one.code).sort(), ['DOC', 'SR']);
    assert.equal((await w.doctor.search('Task', { code: 'urn:shanhai:codes:workflow|ct-measurement' })).length, 0);
    await alive();
  });
});

describe('requests', () => {
  // A request by hand: what fetch would never send. Gives the status line, or '' when the connection was closed.
  const raw = (head, body = Buffer.alloc(0)) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(w.base);
    let answer = '';
    const socket = connect(Number(port), hostname, () => {
      socket.write(`POST /dicom-web/studies HTTP/1.1\r\nHost: ${hostname}:${port}\r\nCookie: ${w.doctor.cookie}\r\nOrigin: ${w.base}\r\nX-CSRF-Token: ${w.doctor.csrf}\r\n` +
        `Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n${head}\r\n\r\n`);
      socket.write(body);
      if (body.length === 0) setTimeout(() => socket.destroy(), 500);
    });
    socket.on('data', (data) => { answer += data; if (answer.includes('\r\n')) socket.destroy(); });
    socket.on('close', () => resolve(answer.split('\r\n')[0]));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? resolve('') : reject(error)));
  });
  test('Content-Length of 4 GB and more: nothing is allocated for it', async () => {
    const before = memoryKb();
    await Promise.all(['4294967295', '4294967296', '18446744073709551615', '99999999999999999999999'].map((length) => raw(`Content-Length: ${length}`)));
    assert.ok(memoryKb() < before + 64 * 1024);
    await alive();
  });
  test('a gzip bomb as the request: it is not unpacked', async () => {
    const before = memoryKb();
    const bomb = gzipSync(Buffer.alloc(256 << 20), { level: 9 });
    const status = await raw(`Content-Encoding: gzip\r\nContent-Length: ${bomb.length}`, bomb);
    assert.match(status, / 4\d\d /);
    assert.ok(memoryKb() < before + 64 * 1024);
    await alive();
  });
  test('QIDO with what no name is', async () => {
    for (const query of ['PatientName=%00', `PatientName=${'*'.repeat(300)}`, `PatientName=${encodeURIComponent('*?'.repeat(100))}x`, 'PatientID=%ff%fe', `StudyInstanceUID=${'1.'.repeat(400)}`, 'StudyDate=-', 'limit=99999999999999999999', 'offset=-9']) {
      const { status } = await fetch(`${w.base}/dicom-web/studies?${query}`, { headers: { Cookie: w.doctor.cookie, Accept: 'application/dicom+json' } });
      assert.ok(status < 500, `${query} ${status}`);
    }
    await alive();
  });
});

describe('a CT that must not be measured wrongly', () => {
  const cases = { gap: ['--gap', '3', '--seed', '91'], mixed: ['--mixed', '--seed', '92'] };
  const uids = {};
  before(async () => {
    for (const [name, faults] of Object.entries(cases)) {
      const folder = mkdtempSync(join(tmpdir(), 'shanhai-unfit-'));
      makePhantom(folder, '--slices', '60', '--size', '64', ...faults);
      const sent = readdirSync(folder).filter((one) => one.endsWith('.dcm')).map((one) => readFileSync(join(folder, one)));
      rmSync(folder, { recursive: true, force: true });
      const answer = await stow(w.doctor, sent);
      assert.equal(answer.status, 200);
      [, uids[name]] = /studies\/([\d.]+)\//.exec(answer.json['00081199'].Value[0]['00081190'].Value[0]);
    }
  });
  const verdictOf = (name) => waitFor(`the end of the measurement ${name}`, async () => {
    const [study] = await w.doctor.search('ImagingStudy', { identifier: `urn:dicom:uid|urn:oid:${uids[name]}` });
    if (!study) return undefined;
    for (const task of await w.doctor.search('Task', { code: 'urn:shanhai:codes:workflow|ct-measurement', _count: '50' })) {
      const report = await w.doctor.read(task.focus.reference);
      const isOver = ['unfit', 'failed', 'done'].includes(stateOf(task));
      if (isOver && report.imagingStudy[0].reference === `ImagingStudy/${study.id}`) return { state: stateOf(task), report };
    }
    return undefined;
  });
  test('slices are missing', async () => {
    const { state, report } = await verdictOf('gap');
    assert.deepEqual([state, report.status, report.result], ['unfit', 'cancelled', undefined]);
    assert.match(report.conclusion, /不适合测量：中间缺层，不予测量（3 层）/);
  });
  test('two series are mixed under one UID', async () => {
    const { state, report } = await verdictOf('mixed');
    assert.deepEqual([state, report.status, report.result], ['unfit', 'cancelled', undefined]);
    assert.match(report.conclusion, /混有两套图像/);
  });
});
