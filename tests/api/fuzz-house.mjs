// The rows of the route table that are not FHIR's: images, jobs, apps, figures, live events, the screens. What
// endpoint-fuzz.test.mjs asks of them, nearly right; FHIR's own rows: fuzz.mjs.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { zip } from './zip.mjs';

// [{method, path}] of every row, with the table's own names put in. The count is held against the table's text, so that a row
// written in a new way is not passed over.
export function allRoutes(root) {
  const source = readFileSync(`${root}/src/api/routes.c`, 'utf8');
  const names = {};
  const textOf = (words) => words.match(/"[^"]*"|\w+/g).map((word) => (word[0] === '"' ? word.slice(1, -1) : names[word] ?? `?${word}`)).join('');
  for (const [, name, words] of source.matchAll(/^#define (DICOM_(?:WEB|STUDY|SERIES|INSTANCE)) (.+)$/gm)) names[name] = textOf(words);
  const table = source.slice(source.indexOf('routes[] = {'), source.indexOf('\n};'));
  const rows = [...table.matchAll(/[{(]\s*HTTP_(GET|POST|PUT|PATCH|DELETE|OPTIONS),\s*((?:"[^"]*"|[A-Z_]+)(?:\s*"[^"]*")*),/g)].map(([, method, words]) => ({ method, path: textOf(words) }));
  const written = (table.match(/\bHTTP_(GET|POST|PUT|PATCH|DELETE|OPTIONS),/g) ?? []).length;
  if (rows.length !== written || rows.some((row) => !row.path.startsWith('/'))) throw new Error(`routes.c is read wrongly: ${rows.length} of ${written} rows`);
  return rows;
}

export const isFhir = (route) => route.path.startsWith('/fhir');
export const isStream = (path) => /^\/events|\/\$stream/.test(path); // answers that end only when the client goes

const ODD = ['', ' ', 'x', '山', '%00', '..', '../../etc/passwd', '1.2.3', '0', '-1', '99999999999999999999', '1.'.repeat(40), 'a'.repeat(300), '%2e%2e', '*', '1\\2', "'", '1,2,3', '2.25.1/../2', '\u202e'];

export class House {
  // images: {study, series, sop, files: [Buffer]}; job: of some export; photo: a picture's bytes; spare: an account that may be harmed.
  constructor(fuzz, { images, job, document, spare, photo }) {
    Object.assign(this, { fuzz, chance: fuzz.chance, images, job, document, spare, photo });
  }

  odd() { return this.chance.pick(ODD); }

  // Some bytes of it changed: flipped, cut, doubled, put elsewhere.
  damaged(bytes) {
    const { chance } = this;
    let out = Buffer.from(bytes);
    for (let i = chance.one(4) ? 0 : 1 + chance.below(4); i > 0 && out.length > 0; i--) {
      const at = chance.below(out.length);
      const len = 1 + chance.below(chance.pick([1, 4, 64, 4096]));
      chance.pick([() => { out[at] = chance.below(256); }, () => { out = out.subarray(0, at); }, () => { out = Buffer.concat([out.subarray(0, at), out.subarray(at + len)]); },
        () => { out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + len), out.subarray(at)]); }, () => { out.fill(chance.pick([0, 0xff, 0x20]), at, Math.min(at + len, out.length)); },
        () => { out.writeUInt8(0xff, at); }])();
    }
    return out;
  }

  multipart(boundary) {
    const { chance } = this;
    const parts = chance.times(3).concat(1).flatMap(() => [`--${chance.one(8) ? this.odd() : boundary}\r\n`, chance.pick(['Content-Type: application/dicom\r\n', 'Content-Type: application/dicom\r\n', 'content-type:text/plain\r\n', '', `X-${'a'.repeat(9000)}: b\r\n`, 'Content-Type\r\n']), '\r\n', this.damaged(chance.pick(this.images.files)), '\r\n']);
    return Buffer.concat([...parts.map((p) => Buffer.from(p)), Buffer.from(chance.one(6) ? '' : `--${boundary}--\r\n`)]);
  }

  stow() {
    const { chance } = this;
    const boundary = chance.pick(['b', 'b', 'x'.repeat(70), 'a b']);
    const type = chance.pick([`multipart/related; type="application/dicom"; boundary="${boundary}"`, `multipart/related; type="application/dicom"; boundary="${boundary}"`, `multipart/related; boundary=${boundary}`, 'multipart/related', 'application/dicom', `multipart/related; type="application/dicom"; boundary=${'y'.repeat(80)}`]);
    return { type, body: chance.one(12) ? this.damaged(this.multipart(boundary)) : this.multipart(boundary) };
  }

  archive() {
    const { chance } = this;
    const names = ['IM1', '../../evil', 'a/'.repeat(200) + 'x', 'DICOMDIR', 'inner.zip', '', 'C:\\x', '山.dcm', 'a\0b'];
    const entries = chance.times(3).concat(1).map(() => ({ name: chance.pick(names), bytes: chance.one(5) ? Buffer.alloc(1 << 20) : this.damaged(chance.pick(this.images.files)), method: chance.pick([8, 8, 0, 12, 99]), flags: chance.pick([0, 0, 8, 1, 0x800]) }));
    const made = zip(entries);
    return chance.one(2) ? this.damaged(made) : made;
  }

  pairs(names, values = []) {
    const { chance } = this;
    return chance.times(5).map(() => `${encodeURIComponent(chance.pick(names))}=${chance.one(9) ? this.odd() : encodeURIComponent(chance.pick(values.concat(ODD)))}`).join('&');
  }

  queryOf(path) {
    const { chance } = this;
    const of = [
      [/^\/dicom-web.*rendered/, () => this.pairs(['window', 'viewport', 'quality', 'annotation', 'iccprofile'], ['40,400,linear', '40,400,sigmoid', '1e308,1e-308,linear', '0,0,linear', 'NaN,1,linear', '512,512', '99999,99999', '0,0', '-1,-1,5,5', '101', '0'])],
      [/^\/dicom-web/, () => this.pairs(['PatientID', '00100020', 'StudyDate', '00080020', 'ModalitiesInStudy', 'StudyInstanceUID', 'SOPInstanceUID', 'limit', 'offset', 'includefield', 'fuzzymatching', '00400275.00400007', 'nothing', '0010'], ['*', '?', 'a*b*c*d*', '*'.repeat(500), '20200101-', '-20200101', '20200101-20191231', '99999999', 'all', 'true', '-1', '18446744073709551616', this.images.study, 'DEMO\\X'])],
      [/^\/admin\/jobs/, () => this.pairs(['state', 'before', 'kind'], ['done', 'failed', 'waiting', '1', '9223372036854775808', '-1'])],
      [/^\/indicators|^\/reports/, () => this.pairs(['date', 'org', 'format', 'as_of', '_count'], ['2026-11-22', '2026-02-30', '0001-01-01', '9999-12-31', 'csv', `Organization/${this.fuzz.id('Organization')}`, '2026-11-22T00:00:00Z'])],
      [/^\/auth/, () => this.authPairs()],
      [/^\/photos/, () => this.pairs(['patient', 'taken', 'title', 'note'], [`Patient/${this.fuzz.id('Patient')}`, this.fuzz.id('Patient')])],
      [/^\/events/, () => this.pairs(['types', 'since', 'after'], ['Task', 'Task,Patient', '1', '18446744073709551616'])],
    ].find(([pattern]) => pattern.test(path));
    const text = of ? of[1]() : this.pairs(['a', '_format', 'path', 'limit'], ['json']);
    return text && `?${text}`;
  }

  authPairs() {
    const { chance } = this;
    const jwt = [{ alg: chance.pick(['none', 'RS384', 'ES384', 'HS256', 'x']), kid: 'a', typ: 'JWT' }, { iss: 'x', sub: 'x', aud: 'http://x', exp: chance.pick([1e12, -1, '1', 1e308]), jti: 'x' }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.') + chance.pick(['.', '', '.AAAA', '.!!', `.${'A'.repeat(9000)}`, '..']);
    return this.pairs(['client_id', 'client_assertion', 'client_assertion_type', 'grant_type', 'code', 'code_verifier', 'redirect_uri', 'scope', 'state', 'aud', 'response_type', 'code_challenge', 'code_challenge_method', 'nonce', 'launch', 'token', 'refresh_token', 'client_secret'],
      [jwt, jwt, 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', 'client_credentials', 'authorization_code', 'refresh_token', 'http://127.0.0.1/x', 'openid fhirUser patient/*.rs', 'system/*.cruds', `patient/Observation.rs?category=${'x'.repeat(3000)}`, 'patient/*.rs '.repeat(300), 'S256', 'code', 'http://x/fhir']);
  }

  bodyOf(path) {
    const { chance } = this;
    const json = (tree) => ({ type: 'application/json', body: chance.one(8) ? JSON.stringify(this.fuzz.mutate(tree)).slice(0, chance.below(200)) : JSON.stringify(chance.one(2) ? this.fuzz.mutate(tree) : tree) });
    const of = [
      [/^\/dicom-web/, () => this.stow()],
      [/^\/studies\/zip/, () => ({ type: chance.pick(['application/zip', 'application/zip', 'application/octet-stream']), body: this.archive() })],
      [/^\/photos/, () => ({ type: chance.pick(['image/jpeg', 'image/png', 'image/png', 'image/gif']), body: this.damaged(this.photo) })],
      [/\$import/, () => ({ type: chance.pick(['application/fhir+ndjson', 'application/fhir+ndjson', 'application/json']), body: this.damaged(Buffer.from([JSON.stringify(this.fuzz.resource('Patient')), '', '{}', '[', JSON.stringify({ resourceType: 'Basic', id: 'x' })].join(chance.pick(['\n', '\r\n', '\0'])))) })],
      [/^\/auth\/(token|introspect|revoke)/, () => ({ type: 'application/x-www-form-urlencoded', body: this.authPairs() })],
      [/^\/auth/, () => json({ client_id: this.odd(), redirect_uri: 'http://x', scope: 'openid', state: 'x', allow: true, patient: 'x', app: this.odd(), launch: 'x' })],
      [/^\/session\/post/, () => json({ post: chance.pick(['PractitionerRole/x', this.odd()]) })],
      [/^\/session\/password/, () => json({ old: this.odd(), new: this.odd() })], // `old` is never right
      [/^\/session/, () => json({ name: `nobody-${this.odd()}`, password: this.odd() })],
      [/^\/admin\/accounts/, () => json({ name: this.odd(), practitioner: this.odd(), password: this.odd() })],
      [/match$/, () => json({ patient: `Patient/${this.fuzz.id('Patient')}`, confirmed: true })],
      [/\$export/, () => json({ resourceType: 'Parameters', parameter: [{ name: '_type', valueString: 'Patient,Nothing' }, { name: '_since', valueInstant: '2020-02-30' }, { name: '_typeFilter', valueString: 'Patient?name=x' }, { name: 'patient', valueReference: { reference: 'Patient/x' } }] })],
      [/\$viewdefinition-export/, () => json({ resourceType: 'Parameters', parameter: [{ name: 'view', part: [{ name: 'viewResource', resource: this.fuzz.view().parameter[0].resource }] }, { name: '_format', valueCode: chance.pick(['csv', 'ndjson', 'x']) }] })],
    ].find(([pattern]) => pattern.test(path));
    const made = of ? of[1]() : json({ reason: '抢救', identifier: 'x', patient: 'x', state: 'x' });
    return chance.one(25) ? { ...made, body: gzipSync(made.body), encoding: 'gzip' } : made;
  }

  request(route) {
    const { chance, images } = this;
    const known = { study: images.study, series: images.series, sop: images.sop, job: this.job, id: this.fuzz.id('Patient'), code: chance.pick(['consults', 'daily', 'x']), document: this.document,
      name: this.spare, action: chance.pick(['enable', 'disable', 'password', 'cancel', 'retry']), frames: chance.pick(['1', '0', '1,1,1', '1-9', '99999999999', '1,'.repeat(500)]), tag: chance.pick(['7FE00010', '00400275', '7fe00010', 'x']),
      path: chance.pick(['index.html', 'assets/../../x', 'assets/x.js', '.well-known/x', 'index.html/']), file: chance.pick(['0', 'Patient.0.ndjson', 'error.ndjson']), mark: 'x', rest: 'x/y' };
    const path = route.path.replace(/\{(\w+)\*?\}/g, (_, name) => (chance.one(4) && name !== 'action' ? encodeURI(this.odd()) : known[name] ?? this.odd()));
    const headers = {};
    if (chance.one(4)) {
      const name = chance.pick(['Accept', 'Accept', 'Range', 'Range', 'If-Range', 'If-None-Match', 'Last-Event-ID', 'Accept-Encoding', 'Accept-Language', 'Authorization', 'Cookie', 'X-Forwarded-For', 'Prefer', 'Content-Disposition']);
      const value = chance.pick(['application/dicom+json', 'multipart/related; type="application/octet-stream"', 'multipart/related; type="application/octet-stream"; transfer-syntax=*', 'image/jpeg', 'image/png;q=0', '*/*;q=x', ','.repeat(2000), 'bytes=0-0', 'bytes=-1', 'bytes=5-2',
          'bytes=0-1,2-3', `bytes=${'0-0,'.repeat(1000)}`, 'bytes=18446744073709551615-', 'bytes=99999999-', '18446744073709551616', '-1', '"x"', 'gzip;q=0, *;q=0', 'Bearer x', `Bearer ${'A'.repeat(5000)}`, 'Basic eA==', 'respond-async', 'session=x; session=y', ';;;=']);
      headers[name] = name === 'Cookie' ? value.slice(0, 60) : value; // of a thousand cookies the line ends unanswered: wire.test.mjs
    }
    if (route.method === 'GET' || route.method === 'DELETE') return { method: route.method, path: path + this.queryOf(path), headers };
    const { type, body, encoding } = this.bodyOf(path);
    return { method: route.method, path: path + (chance.one(3) ? this.queryOf(path) : ''), headers: { ...headers, ...(type && { 'Content-Type': type }), ...(encoding && { 'Content-Encoding': encoding }) }, body };
  }
}
