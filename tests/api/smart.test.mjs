// SMART App Launch 2.2 by independent clients (openid-client, jose): the whole code flow, everything that may be wrong with
// it, tokens that end, backend services, and scopes: what an app gets is what its post may see and its scopes name.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createPatient, startServer } from '../../scenarios/world.mjs';
import { program, startWorld } from './support.mjs';

const modules = new URL('../../web/node_modules/', import.meta.url);
const skip = !existsSync(fileURLToPath(new URL('openid-client', modules))) && 'left out: openid-client is not installed (npm ci in web/)';
const PLAIN = 'http://127.0.0.1:9/plain';
const ORIGIN = 'https://app.example';
const REDIRECT = 'http://127.0.0.1:9/callback?kept=1';

let w;
let oidc;
let jose;
let apps; // {publicApp, secretApp: {id, secret}, service: {id, keys}, …}
let patients; // the doctor's own two
let keySet; // an app's own server with its key set: {url, keys, asked, answer}

const challengeOf = (verifier) => createHash('sha256').update(verifier).digest('base64url');
const run = (...words) => execFileSync(program, ['app', ...words, '--data', w.data], { encoding: 'utf8' });
const added = (out) => ({ id: /client_id +(\S+)/.exec(out)[1], secret: /client_secret +(\S+)/.exec(out)?.[1] });

async function keyPair(alg, kid) {
  const pair = await jose.generateKeyPair(alg, { extractable: true });
  return { alg, kid, ...pair, jwk: { ...await jose.exportJWK(pair.publicKey), kid, alg } };
}

function registerApps(keys) {
  const file = join(w.folder, 'jwks.json');
  writeFileSync(file, JSON.stringify({ keys: keys.map((k) => k.jwk) }));
  const service = w.steward.post.split('/')[1];
  return {
    publicApp: added(run('add', '随访助手', '--redirect', REDIRECT, '--redirect', 'http://localhost:9/other', '--launch', 'https://app.example/launch')),
    secretApp: added(run('add', 'Risk calculator', '--redirect', PLAIN, '--secret')),
    keyApp: added(run('add', 'Keyed app', '--redirect', REDIRECT, '--keys', file)),
    narrowApp: added(run('add', 'Narrow', '--redirect', REDIRECT, '--scopes', 'openid user/Patient.rs')),
    byUrl: added(run('add', '定时上报', '--post', service, '--keys-url', keySet.url)),
    service: { ...added(run('add', '数据上报', '--post', service, '--keys', file)), keys },
  };
}

async function startKeySet(keys) {
  const set = { keys, asked: 0, answer: undefined };
  set.server = createServer((request, response) => {
    set.asked++;
    if (set.answer) return set.answer(response);
    return response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: set.keys.map((k) => k.jwk) }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => { set.server.once('listening', resolve); });
  set.url = `http://127.0.0.1:${set.server.address().port}/jwks.json`;
  return set;
}

// A world, with the server stopped in between: `shanhai app` works on the folder.
before(async () => {
  if (skip) return;
  jose = await import(new URL('jose/dist/webapi/index.js', modules));
  oidc = await import(new URL('openid-client/build/index.js', modules));
  w = await startWorld({ flags: ['--cors-origin', ORIGIN, '--key-sets-private'] });
  const { addSignedIn } = await import('../../scenarios/world.mjs');
  w.steward = await addSignedIn(w.admins.county, { reference: w.doctor.organization, name: '彭水县示例医院' },
    { account: 'steward', name: '数管', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000051' });
  patients = [w.patient, await createPatient(w.doctor, { id: 'SM-2', national: '660243197001010027', name: '李小南', gender: 'female', birthDate: '1970-01-01' })];
  for (const [i, patient] of patients.entries()) {
    for (const text of ['高血压', '糖尿病']) {
      await w.doctor.create({ resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` }, code: { coding: [{ system: 'urn:x', code: text === '高血压' ? 'htn' : 'dm' }], text: `${text}${i}` } });
    }
    await w.doctor.create({ resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${patient.id}` }, code: { text: `体温${i}` }, valueString: '37' });
  }
  await w.server.stop();
  keySet = await startKeySet([await keyPair('ES384', 'url-1')]);
  apps = registerApps([await keyPair('RS384', 'rsa-1'), await keyPair('ES384', 'ec-1')]);
  await restart();
});
after(async () => { keySet?.server.close(); await w?.stop(); });

async function restart() {
  w.server = await startServer(program, w.data, w.options);
  w.base = w.server.base;
  for (const person of [w.doctor, w.lead, w.steward, w.admins.county]) {
    person.base = w.base;
    await person.signIn(person.password);
  }
}

const queryOf = (overrides = {}) => ({ client_id: apps.publicApp.id, redirect_uri: REDIRECT, response_type: 'code', scope: 'openid fhirUser user/Patient.rs',
  state: 'state-1', aud: `${w.base}/fhir`, code_challenge: challengeOf('v'.repeat(43)), code_challenge_method: 'S256', ...overrides });
const authorize = (query) => fetch(`${w.base}/auth/authorize?${new URLSearchParams(query)}`, { redirect: 'manual' });
const form = (path, fields, headers = {}) => fetch(`${w.base}${path}`, { method: 'POST', body: new URLSearchParams(fields), headers })
  .then(async (r) => ({ status: r.status, headers: r.headers, json: await r.json().catch(() => undefined) }));
const basic = (app, secret = app.secret) => ({ Authorization: `Basic ${Buffer.from(`${app.id}:${secret}`).toString('base64')}` });

async function allow(person, query, more = {}) {
  const answer = await person.must('POST', '/auth/consent', { query, allow: true, ...more });
  return new URL(answer.redirect);
}

// The whole way for a public app: its token's answer.
async function tokenOf(person, scope, { app = apps.publicApp, headers = {}, ...more } = {}) {
  const verifier = randomBytes(32).toString('base64url');
  const query = queryOf({ client_id: app.id, scope, code_challenge: challengeOf(verifier) });
  const code = (await allow(person, query, more)).searchParams.get('code');
  const fields = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier, ...(!headers.Authorization && { client_id: app.id }) };
  const answer = await form('/auth/token', fields, headers);
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  return { ...answer.json, fields };
}

const bearer = (token, path, { method = 'GET', body, ...headers } = {}) => fetch(`${w.base}${path}`, { method,
  headers: { Authorization: `Bearer ${token}`, Accept: 'application/fhir+json', ...(body && { 'Content-Type': 'application/fhir+json' }), ...headers },
  body: body && JSON.stringify(body) }).then(async (r) => { const text = await r.text(); return { status: r.status, text, json: text.startsWith('{') ? JSON.parse(text) : undefined }; });
const typesIn = (bundle) => [...new Set((bundle?.entry ?? []).map((e) => e.resource?.resourceType).filter(Boolean))].sort();

describe('SMART App Launch', { skip }, () => {
  test('what there is', async () => {
    const found = await (await fetch(`${w.base}/fhir/.well-known/smart-configuration`, { headers: { Accept: 'text/html' } })).json();
    assert.equal(found.authorization_endpoint, `${w.base}/auth/authorize`);
    assert.deepEqual(found.code_challenge_methods_supported, ['S256']);
    for (const one of ['launch-standalone', 'permission-v2', 'sso-openid-connect', 'client-confidential-asymmetric']) assert.ok(found.capabilities.includes(one), one);
    const statement = await (await fetch(`${w.base}/fhir/metadata`)).json();
    const uris = statement.rest[0].security.extension.find((e) => e.url === 'http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris');
    assert.equal(uris.extension.find((e) => e.url === 'token').valueUri, `${w.base}/auth/token`);
    assert.equal(statement.rest[0].security.service[0].coding[0].code, 'SMART-on-FHIR');
  });

  test('an independent client goes the whole way: discovery, PKCE, code, id_token, refresh, revocation', async () => {
    const config = await oidc.discovery(new URL(`${w.base}/fhir`), apps.secretApp.id, undefined, oidc.ClientSecretBasic(apps.secretApp.secret), { execute: [oidc.allowInsecureRequests] });
    const verifier = oidc.randomPKCECodeVerifier();
    const [state, nonce] = [oidc.randomState(), oidc.randomNonce()];
    const url = oidc.buildAuthorizationUrl(config, { redirect_uri: PLAIN, scope: 'openid fhirUser offline_access user/Patient.rs user/Condition.rs', aud: `${w.base}/fhir`, state, nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
    const sent = await fetch(url, { redirect: 'manual' });
    assert.equal(sent.status, 302);
    assert.match(sent.headers.get('location'), /^\/allow\?/, 'a page of ours asks');
    const query = Object.fromEntries(url.searchParams);
    const screen = await w.doctor.must('GET', `/auth/consent?${url.searchParams}`);
    assert.equal(screen.app.name, 'Risk calculator');
    assert.deepEqual(screen.scopes.map((s) => [s.context, s.type, s.acts, s.within]), [['user', 'Patient', 'rs', 'rs'], ['user', 'Condition', 'rs', 'rs']]);
    const back = await allow(w.doctor, query);
    const tokens = await oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce });
    assert.equal(tokens.claims().sub, w.doctor.session.person.id);
    assert.equal(tokens.claims().fhirUser, `${w.base}/fhir/Practitioner/${w.doctor.session.person.id}`);
    const keys = jose.createRemoteJWKSet(new URL(`${w.base}/auth/jwks`));
    const { protectedHeader } = await jose.jwtVerify(tokens.id_token, keys, { issuer: `${w.base}/fhir`, audience: apps.secretApp.id });
    assert.equal(protectedHeader.alg, 'RS256');
    assert.ok(typesIn((await bearer(tokens.access_token, '/fhir/Patient')).json).includes('Patient'));
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(next.refresh_token, tokens.refresh_token, 'refresh tokens are used once');
    assert.equal((await bearer(next.access_token, '/fhir/Condition')).status, 200);
    const told = await oidc.tokenIntrospection(config, next.access_token);
    assert.deepEqual([told.active, told.client_id], [true, apps.secretApp.id]);
    await oidc.tokenRevocation(config, next.refresh_token);
    assert.equal((await bearer(next.access_token, '/fhir/Condition')).status, 401, 'revoking the line ends its tokens');
    assert.equal((await oidc.tokenIntrospection(config, next.access_token)).active, false);
  });

  test('refusals of the authorization request: told to the app only where the address is its own', async () => {
    const page = async (overrides) => (await authorize(queryOf(overrides))).headers.get('location');
    for (const overrides of [{ client_id: 'nobody' }, { redirect_uri: 'http://127.0.0.1:9/callback' }, { redirect_uri: `${REDIRECT}&x=1` }, { redirect_uri: 'https://evil.example/' }]) {
      assert.match(await page(overrides), /^\/allow\?/);
      const answer = await w.doctor.request('GET', `/auth/consent?${new URLSearchParams(queryOf(overrides))}`);
      assert.equal(answer.status, 404);
      assert.equal((await w.doctor.request('POST', '/auth/consent', { query: queryOf(overrides), allow: true })).status, 404);
    }
    const wrong = { unsupported_response_type: { response_type: 'token' }, invalid_scope: { scope: 'profile user/Nothing.rs user/Patient.sr' } };
    for (const [word, overrides] of Object.entries(wrong)) assert.equal(new URL(await page(overrides)).searchParams.get('error'), word);
    for (const overrides of [{ code_challenge_method: 'plain' }, { code_challenge: '' }, { aud: 'https://elsewhere.example/fhir' }, { state: '' }]) {
      const back = new URL(await page(overrides));
      assert.equal(back.searchParams.get('error'), 'invalid_request', JSON.stringify(overrides));
      assert.equal(back.searchParams.get('state') ?? '', overrides.state ?? 'state-1');
      assert.equal((await w.doctor.request('POST', '/auth/consent', { query: queryOf(overrides), allow: true })).status, 400);
    }
    assert.equal((await allow(w.doctor, queryOf())).searchParams.get('kept'), '1', 'the address keeps its own query');
    const denied = await w.doctor.must('POST', '/auth/consent', { query: queryOf(), allow: false });
    assert.equal(new URL(denied.redirect).searchParams.get('error'), 'access_denied');
    assert.equal((await fetch(`${w.base}/auth/consent?${new URLSearchParams(queryOf())}`)).status, 401, 'only who is signed in');
  });

  test('a code is good once, for its app, address and verifier; a second use ends what the first gave', async () => {
    const verifier = randomBytes(32).toString('base64url');
    const make = async () => (await allow(w.doctor, queryOf({ code_challenge: challengeOf(verifier) }))).searchParams.get('code');
    const fields = (code, more = {}) => ({ grant_type: 'authorization_code', client_id: apps.publicApp.id, redirect_uri: REDIRECT, code, code_verifier: verifier, ...more });
    const bad = async (sent, headers) => { const a = await form('/auth/token', sent, headers); return [a.status, a.json.error]; };
    assert.deepEqual(await bad(fields(await make(), { code_verifier: 'w'.repeat(43) })), [400, 'invalid_grant']);
    assert.deepEqual(await bad(fields(await make(), { redirect_uri: 'http://localhost:9/other' })), [400, 'invalid_grant']);
    const { client_id, ...without } = fields(await make());
    assert.deepEqual(await bad(without, basic(apps.secretApp)), [400, 'invalid_grant'], 'another app');
    assert.deepEqual(await bad(fields('0'.repeat(96))), [400, 'invalid_grant']);
    const spoiled = fields(await make());
    assert.deepEqual(await bad({ ...spoiled, code_verifier: 'w'.repeat(43) }), [400, 'invalid_grant']);
    assert.deepEqual(await bad(spoiled), [400, 'invalid_grant'], 'a wrong verifier uses the code up');
    const good = fields(await make());
    const first = await form('/auth/token', good);
    assert.equal(first.status, 200);
    assert.equal(first.json.refresh_token, undefined, 'only with offline_access');
    assert.equal((await bearer(first.json.access_token, '/fhir/Patient')).status, 200);
    assert.deepEqual(await bad(good), [400, 'invalid_grant']);
    assert.equal((await bearer(first.json.access_token, '/fhir/Patient')).status, 401);
  });

  test('apps must prove who they are', async () => {
    const code = { grant_type: 'authorization_code', code: '0'.repeat(96), redirect_uri: REDIRECT, code_verifier: 'v'.repeat(43) };
    for (const [fields, headers] of [[{ ...code, client_id: apps.secretApp.id }, {}], [code, basic(apps.secretApp, 'f'.repeat(64))], [code, {}], [code, basic(apps.keyApp, '')], [{ ...code, client_id: 'nobody' }, {}]]) {
      const answer = await form('/auth/token', fields, headers);
      assert.deepEqual([answer.status, answer.json.error], [401, 'invalid_client']);
    }
    const inQuery = await form(`/auth/token?client_id=${apps.publicApp.id}`, code);
    assert.deepEqual([inQuery.status, inQuery.json.error], [400, 'invalid_request']);
    const unknown = await form('/auth/token', { grant_type: 'password', username: 'x', password: 'y', client_id: apps.publicApp.id });
    assert.deepEqual([unknown.status, unknown.json.error], [400, 'unsupported_grant_type']);
  });

  test('a refresh token that comes twice ends the whole line; a restart ends access tokens, not the line', async () => {
    const scope = 'offline_access user/Patient.rs';
    const first = await tokenOf(w.doctor, scope);
    const refresh = (token) => form('/auth/token', { grant_type: 'refresh_token', refresh_token: token, client_id: apps.publicApp.id });
    const second = await refresh(first.refresh_token);
    assert.equal(second.status, 200);
    assert.equal((await refresh(first.refresh_token)).json.error, 'invalid_grant', 'used');
    assert.equal((await refresh(second.json.refresh_token)).json.error, 'invalid_grant', 'one of two holders is a thief');
    assert.equal((await bearer(second.json.access_token, '/fhir/Patient')).status, 401);
    const kept = await tokenOf(w.doctor, scope);
    await w.server.stop();
    await restart();
    assert.equal((await bearer(kept.access_token, '/fhir/Patient')).status, 401);
    const after = await refresh(kept.refresh_token);
    assert.equal(after.status, 200);
    assert.equal((await bearer(after.json.access_token, '/fhir/Patient')).status, 200);
    const wider = await form('/auth/token', { grant_type: 'refresh_token', refresh_token: after.json.refresh_token, client_id: apps.publicApp.id, scope: 'user/*.cruds' });
    assert.equal(wider.json.error, 'invalid_scope');
  });

  test('an app opened from the screens gets the patient of the screen', async () => {
    const list = await w.doctor.must('GET', '/auth/apps');
    assert.deepEqual(list.apps, [{ id: apps.publicApp.id, name: '随访助手' }]);
    const opened = new URL((await w.doctor.must('POST', '/auth/launch', { app: apps.publicApp.id, patient: patients[1].id })).redirect);
    assert.deepEqual([opened.origin, opened.searchParams.get('iss')], ['https://app.example', `${w.base}/fhir`]);
    const verifier = randomBytes(32).toString('base64url');
    const query = queryOf({ scope: 'launch patient/Condition.rs', launch: opened.searchParams.get('launch'), code_challenge: challengeOf(verifier) });
    const screen = await w.doctor.must('GET', `/auth/consent?${new URLSearchParams(query)}`);
    assert.equal(screen.patient, patients[1].id);
    const code = (await allow(w.doctor, query)).searchParams.get('code');
    const token = await form('/auth/token', { grant_type: 'authorization_code', client_id: apps.publicApp.id, redirect_uri: REDIRECT, code, code_verifier: verifier });
    assert.equal(token.json.patient, patients[1].id);
    const other = await w.lead.request('GET', `/auth/consent?${new URLSearchParams(query)}`);
    assert.equal(other.json.patient, undefined, "another person's launch");
    assert.equal((await w.lead.request('POST', '/auth/launch', { app: apps.publicApp.id, patient: patients[1].id })).status, 404, 'a patient that is not to be seen');
  });

  test('an encounter goes along with its patient, with no other', async () => {
    const encounter = await w.doctor.create({ resourceType: 'Encounter', status: 'in-progress', class: { code: 'IMP' }, subject: { reference: `Patient/${patients[0].id}` } });
    const open = (patient) => w.doctor.request('POST', '/auth/launch', { app: apps.publicApp.id, patient, encounter: encounter.id });
    assert.equal((await open(patients[1].id)).status, 400);
    assert.equal((await open(undefined)).status, 400);
    assert.equal((await w.doctor.request('POST', '/auth/launch', { app: apps.publicApp.id, patient: patients[0].id, encounter: 'nobody' })).status, 404);
    const launch = new URL((await open(patients[0].id)).json.redirect).searchParams.get('launch');
    const through = async (scope, more) => {
      const verifier = randomBytes(32).toString('base64url');
      const code = (await allow(w.doctor, queryOf({ scope, code_challenge: challengeOf(verifier), ...more }))).searchParams.get('code');
      return (await form('/auth/token', { grant_type: 'authorization_code', client_id: apps.publicApp.id, redirect_uri: REDIRECT, code, code_verifier: verifier })).json;
    };
    const token = await through('launch launch/encounter patient/Encounter.rs', { launch });
    assert.deepEqual([token.patient, token.encounter], [patients[0].id, encounter.id]);
    assert.match(token.scope, /launch\/encounter/);
    const without = await through('launch/encounter user/Patient.rs', {});
    assert.equal(without.encounter, undefined);
    assert.ok(!/launch\/encounter/.test(without.scope), 'what was not given is not granted');
  });

  test('online_access: refreshed while the person is signed in, and no longer', async () => {
    const refresh = (token) => form('/auth/token', { grant_type: 'refresh_token', refresh_token: token, client_id: apps.publicApp.id });
    const first = await tokenOf(w.doctor, 'online_access user/Patient.rs');
    assert.match(first.scope, /online_access/);
    const second = await refresh(first.refresh_token);
    assert.equal(second.status, 200);
    assert.equal((await bearer(second.json.access_token, '/fhir/Patient')).status, 200);
    assert.equal((await w.doctor.request('DELETE', '/session')).status, 204);
    assert.equal((await refresh(second.json.refresh_token)).json.error, 'invalid_grant', 'signed out');
    await w.doctor.signIn(w.doctor.password);
    assert.equal((await refresh(second.json.refresh_token)).json.error, 'invalid_grant', 'a later session is another');
    const both = await tokenOf(w.doctor, 'online_access offline_access user/Patient.rs');
    assert.ok(!/online_access/.test(both.scope));
  });
});

describe('pages of other origins', { skip }, () => {
  const from = (path, { origin = ORIGIN, method = 'GET', ...headers } = {}) => fetch(`${w.base}${path}`, { method, headers: { Origin: origin, ...headers } });
  const allowed = (answer) => answer.headers.get('access-control-allow-origin');

  test('those on the list may ask with a token, and read refusals; others may not', async () => {
    const { access_token: token } = await tokenOf(w.doctor, 'user/Patient.rs');
    const read = await from('/fhir/Patient', { Authorization: `Bearer ${token}` });
    assert.deepEqual([read.status, allowed(read), read.headers.get('access-control-allow-credentials')], [200, ORIGIN, null]);
    assert.match(read.headers.get('vary'), /Origin/);
    assert.match(read.headers.get('access-control-expose-headers'), /ETag.*Location/);
    const refused = await from('/fhir/Patient');
    assert.deepEqual([refused.status, allowed(refused)], [401, ORIGIN]);
    assert.equal(allowed(await from('/fhir/nothing/is/here', {})), ORIGIN);
    for (const origin of ['https://app.example.evil.net', 'http://app.example', 'https://app.example:444', 'null', 'https://APP.example']) assert.equal(allowed(await from('/fhir/Patient', { origin })), null, origin);
    for (const path of ['/session', '/admin/accounts', '/auth/consent', '/events', '/']) assert.equal(allowed(await from(path)), null, path);
  });

  test('a preflight says what may be sent', async () => {
    const ask = (path, origin) => from(path, { method: 'OPTIONS', origin, 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'authorization,if-match' });
    const answer = await ask('/fhir/Patient/1', ORIGIN);
    assert.deepEqual([answer.status, allowed(answer)], [204, ORIGIN]);
    assert.match(answer.headers.get('access-control-allow-methods'), /PUT/);
    assert.match(answer.headers.get('access-control-allow-headers'), /Authorization.*If-Match/);
    const other = await ask('/fhir/Patient/1', 'https://other.example');
    assert.deepEqual([allowed(other), other.headers.get('access-control-allow-methods')], [null, null]);
  });

  test('what is public anyway is open to any page', async () => {
    for (const path of ['/fhir/metadata', '/fhir/.well-known/smart-configuration', '/auth/jwks']) assert.equal(allowed(await from(path, { origin: 'https://anybody.example' })), '*', path);
    assert.equal((await (await from('/fhir/metadata')).json()).rest[0].security.cors, true);
    const token = await from('/auth/token', { method: 'POST' });
    assert.deepEqual([token.status, allowed(token)], [400, ORIGIN]);
  });
});

describe('scopes', { skip }, () => {
  test('user/Patient.rs gets nothing of any other type, by any way out', async () => {
    const { access_token: token, scope } = await tokenOf(w.doctor, 'user/Patient.rs');
    assert.equal(scope, 'user/Patient.rs');
    const id = patients[0].id;
    assert.equal((await bearer(token, `/fhir/Patient/${id}`)).status, 200);
    for (const path of ['/fhir/Patient', `/fhir/Patient?_id=${id}&_revinclude=*&_include=*`, `/fhir/Patient?_id=${id}&_revinclude=Condition:subject&_revinclude:iterate=*`, `/fhir?_id=${id}`, '/fhir?_type=Patient,Condition,Observation', `/fhir/_history`, `/fhir/Patient/_history`, `/fhir/Patient/${id}/_history`, `/fhir/Patient/${id}/$everything`]) {
      const answer = await bearer(token, path);
      assert.deepEqual(typesIn(answer.json).filter((t) => t !== 'Patient' && t !== 'OperationOutcome'), [], `${path}: ${answer.status}`);
      assert.ok(!/高血压|体温|示例医院/.test(answer.text), path);
    }
    for (const path of ['/fhir/Condition', '/fhir/Condition?_summary=count', `/fhir/Patient/${id}/Condition`, '/fhir/Observation/$lastn?patient=x&code=y', '/fhir/Organization', '/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender', '/fhir/AuditEvent',
      '/dicom-web/studies', '/indicators', '/reports/daily', '/studies/held', '/metrics', '/admin/accounts', '/session', '/auth/apps', '/fhir/Task/x/$transitions', '/fhir/$export', '/fhir/Patient/$export?_type=Condition']) {
      const answer = await bearer(token, path, { Prefer: 'respond-async', ...(path.startsWith('/fhir') ? {} : { Accept: 'application/json' }) });
      assert.equal(answer.status, 403, path);
    }
    assert.equal((await bearer(token, '/fhir/Patient?_has:Condition:subject:code=htn')).json?.total ?? 0, 0, 'what it may not search it may not search through');
    assert.equal(((await bearer(token, '/fhir/Patient?organization.name=彭水')).json?.entry ?? []).length, 0);
    for (const [method, path, body] of [['POST', '/fhir/Patient', { resourceType: 'Patient' }], ['PUT', `/fhir/Patient/${id}`, { resourceType: 'Patient', id }], ['PATCH', `/fhir/Patient/${id}`, []], ['DELETE', `/fhir/Patient/${id}`],
      ['POST', '/fhir/Condition', { resourceType: 'Condition', subject: { reference: `Patient/${id}` } }], ['POST', `/fhir/Patient/${id}/$meta-add`, { resourceType: 'Parameters' }], ['POST', '/fhir/Patient/$break-glass', { resourceType: 'Parameters' }],
      ['POST', '/session/post', { post: w.doctor.post }], ['POST', '/session/password', { old: 'x', new: 'y' }], ['DELETE', '/session'], ['POST', '/auth/consent', { query: queryOf(), allow: true }]]) {
      const answer = await bearer(token, path, { method, body, ...(method === 'PATCH' && { 'Content-Type': 'application/json-patch+json' }) });
      assert.equal(answer.status, 403, `${method} ${path}: ${answer.text.slice(0, 200)}`);
    }
    const batch = await bearer(token, '/fhir', { method: 'POST', body: { resourceType: 'Bundle', type: 'batch', entry: ['Condition', `Patient/${id}`, `Condition?subject=Patient/${id}`].map((url) => ({ request: { method: 'GET', url } })) } });
    assert.deepEqual(batch.json.entry.map((e) => e.response.status.slice(0, 3)), ['403', '200', '403']);
    const view = (resource) => ({ resourceType: 'Parameters', parameter: [{ name: 'viewResource', resource: { resourceType: 'ViewDefinition', status: 'active', resource, select: [{ column: [{ name: 'id', path: 'id' }] }] } }] });
    assert.equal((await bearer(token, '/fhir/ViewDefinition/$run', { method: 'POST', body: view('Condition'), Accept: 'application/json' })).status, 403);
    assert.equal((await bearer(token, '/fhir/ViewDefinition/$run', { method: 'POST', body: view('Patient'), Accept: 'application/json' })).status, 200);
  });

  test('events of an app are those of its scopes', async () => {
    const { access_token: token } = await tokenOf(w.doctor, 'user/Condition.rs');
    const stop = new AbortController();
    const stream = await fetch(`${w.base}/events`, { headers: { Authorization: `Bearer ${token}` }, signal: stop.signal });
    assert.equal(stream.status, 200);
    const observation = await w.doctor.create({ resourceType: 'Observation', status: 'final', subject: { reference: `Patient/${patients[0].id}` }, code: { text: 'x' } });
    const condition = await w.doctor.create({ resourceType: 'Condition', subject: { reference: `Patient/${patients[0].id}` }, code: { text: 'y' } });
    let heard = '';
    for await (const piece of stream.body) {
      heard += Buffer.from(piece).toString();
      if (heard.includes(condition.id)) break;
    }
    stop.abort();
    assert.ok(!heard.includes(observation.id));
  });

  test('an app does not subscribe: notifications go on when its token has ended', async () => {
    const { access_token: token } = await tokenOf(w.doctor, 'user/*.cruds');
    const body = { resourceType: 'Subscription', status: 'requested', reason: 'x', criteria: 'urn:shanhai:topic:record-changed', channel: { type: 'rest-hook', endpoint: 'http://127.0.0.1:9/x' } };
    const refused = await bearer(token, '/fhir/Subscription', { method: 'POST', body });
    assert.deepEqual([refused.status, /subscribe|订阅/.test(refused.text)], [422, true], refused.text);
    for (const operation of ['$events', '$status', '$stream']) assert.equal((await bearer(token, `/fhir/Subscription/x/${operation}`)).status, 403, operation);
  });

  test('a search in a scope narrows reads, searches, chains, history and writes', async () => {
    const { access_token: token } = await tokenOf(w.doctor, 'user/Patient.rs user/Condition.crus?code=urn:x|htn');
    const all = (await w.doctor.search('Condition', { _count: 100 })).filter((c) => c.code.coding);
    const found = (await bearer(token, '/fhir/Condition?_count=100&_total=accurate')).json;
    assert.deepEqual(found.entry.map((e) => e.resource.code.coding[0].code), ['htn', 'htn']);
    assert.equal(found.total, 2);
    const dm = all.find((c) => c.code.coding[0].code === 'dm');
    const htn = all.find((c) => c.code.coding[0].code === 'htn');
    assert.equal((await bearer(token, `/fhir/Condition/${dm.id}`)).status, 404);
    assert.equal((await bearer(token, `/fhir/Condition/${htn.id}`)).status, 200);
    assert.equal((await bearer(token, `/fhir/Condition/${dm.id}/_history`)).status, 404);
    assert.equal(((await bearer(token, '/fhir/Condition/_history')).json?.entry ?? []).filter((e) => e.resource?.code?.coding?.[0].code !== 'htn').length, 0);
    const has = async (code) => ((await bearer(token, `/fhir/Patient?_has:Condition:subject:code=${code}`)).json.entry ?? []).length;
    assert.deepEqual([await has('htn'), await has('dm')], [2, 0]);
    const write = (method, path, code, more = {}) => bearer(token, path, { method, body: { resourceType: 'Condition', subject: { reference: `Patient/${patients[0].id}` }, code: { coding: [{ system: 'urn:x', code }] }, ...more } });
    assert.equal((await write('POST', '/fhir/Condition', 'dm')).status, 403);
    assert.equal((await write('POST', '/fhir/Condition', 'htn')).status, 201);
    assert.equal((await write('PUT', `/fhir/Condition/${htn.id}`, 'dm', { id: htn.id })).status, 403, 'nor out of it');
    assert.equal((await write('PUT', `/fhir/Condition/${htn.id}`, 'htn', { id: htn.id })).status, 200);
    assert.equal((await write('PUT', `/fhir/Condition/${dm.id}`, 'htn', { id: dm.id })).status, 404);
    const transaction = await bearer(token, '/fhir', { method: 'POST', body: { resourceType: 'Bundle', type: 'transaction', entry: [
      { request: { method: 'POST', url: 'Condition' }, resource: { resourceType: 'Condition', subject: { reference: `Patient/${patients[0].id}` }, code: { coding: [{ system: 'urn:x', code: 'dm' }] } } }] } });
    assert.equal(transaction.status, 403);
  });

  test('patient/ scopes stay with the one patient', async () => {
    const query = queryOf({ scope: 'launch/patient patient/*.rs patient/Condition.c' });
    assert.equal((await w.doctor.request('POST', '/auth/consent', { query, allow: true })).status, 400, 'a patient is needed');
    assert.equal((await w.lead.request('POST', '/auth/consent', { query, allow: true, patient: patients[0].id })).status, 404, 'one that the person sees');
    const token = await tokenOf(w.doctor, query.scope, { patient: patients[0].id });
    assert.equal(token.patient, patients[0].id);
    const get = (path) => bearer(token.access_token, path);
    assert.deepEqual((await get('/fhir/Patient')).json.entry.map((e) => e.resource.id), [patients[0].id]);
    assert.equal((await get(`/fhir/Patient/${patients[1].id}`)).status, 404);
    const subjects = (await get('/fhir/Condition?_count=100')).json.entry.map((e) => e.resource.subject.reference);
    assert.deepEqual([...new Set(subjects)], [`Patient/${patients[0].id}`]);
    assert.equal((await get('/fhir/Organization')).status, 403, 'what is nobody’s is not in it');
    const create = (patient) => bearer(token.access_token, '/fhir/Condition', { method: 'POST', body: { resourceType: 'Condition', subject: { reference: `Patient/${patient.id}` }, code: { text: 'z' } } });
    assert.equal((await create(patients[0])).status, 201);
    assert.equal((await create(patients[1])).status, 403);
  });

  test('scopes wider than the post give no more; what the post has nothing of is not granted', async () => {
    const own = await tokenOf(w.lead, 'user/*.cruds');
    const asPerson = await w.lead.request('GET', '/fhir/Patient?_total=accurate');
    const asApp = await bearer(own.access_token, '/fhir/Patient?_total=accurate');
    assert.deepEqual([asApp.status, asApp.json.total], [asPerson.status, asPerson.json.total]);
    assert.equal((await bearer(own.access_token, `/fhir/Patient/${patients[0].id}`)).status, 404);
    assert.equal((await bearer(own.access_token, '/admin/accounts', { Accept: 'application/json' })).status, 403, 'rights for people only');
    const granted = await tokenOf(w.admins.county, 'user/Patient.rs user/Organization.rs');
    assert.equal(granted.scope, 'user/Organization.rs');
    const declined = await tokenOf(w.doctor, 'user/Patient.rs user/Condition.rs', { declined: ['user/Condition.rs'] });
    assert.equal(declined.scope, 'user/Patient.rs');
    assert.equal((await bearer(declined.access_token, '/fhir/Condition')).status, 403);
    const bound = await tokenOf(w.doctor, 'openid user/Patient.rs user/Condition.rs', { app: apps.narrowApp });
    assert.equal(bound.scope, 'openid user/Patient.rs', 'no more than it was registered for');
    const system = queryOf({ scope: 'system/*.cruds' });
    assert.equal(new URL((await authorize(system)).headers.get('location')).searchParams.get('error'), 'invalid_scope');
  });

  test('a disabled account or app ends its tokens', async () => {
    const account = await w.admins.county.create({ resourceType: 'Practitioner', active: true, name: [{ text: '黄平' }] });
    const { addSignedIn } = await import('../../scenarios/world.mjs');
    const gone = await addSignedIn(w.admins.county, { reference: w.doctor.organization }, { account: 'goner', name: '黄平', role: 'county-doctor', title: 'attending', specialty: '内科', phone: '15400000052' });
    assert.ok(account.id);
    const token = await tokenOf(gone, 'offline_access user/Patient.rs');
    assert.equal((await bearer(token.access_token, '/fhir/Patient')).status, 200);
    await w.admins.county.must('POST', '/admin/accounts/goner/disable', {});
    assert.equal((await bearer(token.access_token, '/fhir/Patient')).status, 401);
    await w.admins.county.must('POST', '/admin/accounts/goner/enable', {});
    assert.equal((await bearer(token.access_token, '/fhir/Patient')).status, 401, 'and stay ended');
    assert.equal((await form('/auth/token', { grant_type: 'refresh_token', refresh_token: token.refresh_token, client_id: apps.publicApp.id })).json.error, 'invalid_grant');
  });
});

describe('backend services', { skip }, () => {
  const assertion = (claims = {}, { key = apps.service.keys[0], kid = key.kid, expires = 240 } = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return new jose.SignJWT({ jti: randomBytes(16).toString('hex'), iss: apps.service.id, sub: apps.service.id, aud: `${w.base}/auth/token`, exp: now + expires, ...claims })
      .setProtectedHeader({ alg: key.alg, kid, typ: 'JWT' }).sign(key.privateKey);
  };
  const ask = (jwt, scope = 'system/Patient.rs') => form('/auth/token', { grant_type: 'client_credentials', scope, client_assertion: jwt,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' });

  test('a signed assertion gives a token for the service’s own post, by either algorithm', async () => {
    for (const key of apps.service.keys) {
      const answer = await ask(await assertion({}, { key }));
      assert.equal(answer.status, 200, `${key.alg} ${JSON.stringify(answer.json)}`);
      assert.ok(answer.json.expires_in <= 300 && !answer.json.refresh_token);
      assert.equal((await bearer(answer.json.access_token, '/fhir/Patient')).json.entry.length, 2);
      assert.equal((await bearer(answer.json.access_token, '/fhir/Condition')).status, 403);
    }
    const keyApp = await tokenOf(w.doctor, 'user/Patient.rs', { app: apps.keyApp, headers: {} }).catch((error) => error);
    assert.ok(keyApp instanceof Error, 'an app with keys is not let in by name');
  });

  test('a key set by URL is fetched, kept, and fetched again for a key it does not have', async () => {
    const own = { iss: apps.byUrl.id, sub: apps.byUrl.id };
    const as = async (key, kid = key.kid) => ask(await assertion(own, { key, kid }));
    const [first] = keySet.keys;
    assert.equal((await as(first)).status, 200);
    assert.equal((await as(first)).status, 200);
    assert.equal(keySet.asked, 1, 'kept');
    const next = await keyPair('RS384', 'url-2');
    keySet.keys = [next];
    assert.equal((await as(next)).json.error, 'invalid_client', 'not asked for again at once');
    assert.equal(keySet.asked, 1);
    await new Promise((resolve) => { setTimeout(resolve, 5200); });
    assert.equal((await as(next)).status, 200);
    assert.equal((await as(first)).json.error, 'invalid_client', 'withdrawn');
    assert.equal((await form('/auth/token', { grant_type: 'client_credentials', scope: 'system/Patient.rs', client_id: apps.byUrl.id })).json.error, 'invalid_client', 'not by name alone');
    for (const answer of [(r) => r.writeHead(302, { Location: `${keySet.url}?x` }).end(), (r) => r.end('x'.repeat(20000)), (r) => r.end('{"keys":[]}')]) {
      keySet.answer = answer;
      await w.server.stop();
      await restart();
      const refused = await as(next);
      assert.deepEqual([refused.status, refused.json.error], [503, 'temporarily_unavailable']);
    }
    keySet.answer = undefined;
    const { asked } = keySet;
    await w.server.stop();
    w.options = w.options.filter((o) => o !== '--key-sets-private');
    await restart();
    assert.equal((await as(next)).status, 503, 'a private address');
    assert.equal(keySet.asked, asked);
  });

  test('what is wrong with an assertion', async () => {
    const stranger = await keyPair('RS384', 'rsa-1');
    const used = await assertion();
    assert.equal((await ask(used)).status, 200);
    const wrong = {
      'comes again': used,
      'six minutes': await assertion({}, { expires: 600 }),
      'over': await assertion({}, { expires: -5 }),
      'for another': await assertion({ aud: `${w.base}/elsewhere` }),
      'of another': await assertion({ iss: apps.keyApp.id }),
      'no jti': await assertion({ jti: undefined }),
      'signed by another key of that name': await assertion({}, { key: stranger }),
      'unknown key': await assertion({}, { kid: 'rsa-9' }),
      'key of the other kind': await assertion({}, { kid: 'ec-1' }),
      'not signed': `${Buffer.from('{"alg":"none","kid":"rsa-1"}').toString('base64url')}.${(await assertion()).split('.')[1]}.`,
      'damaged': (await assertion()).replace(/.{6}$/, 'AAAAAA'),
      'no token': 'x.y.z',
    };
    for (const [name, jwt] of Object.entries(wrong)) {
      const answer = await ask(jwt);
      assert.deepEqual([answer.status, answer.json.error], [401, 'invalid_client'], name);
    }
    for (const scope of ['user/Patient.rs', '', 'openid']) assert.equal((await ask(await assertion(), scope)).json.error, 'invalid_scope', scope);
  });

  test('an assertion that was used stays used over a restart', async () => {
    const used = await assertion();
    assert.equal((await ask(used)).status, 200);
    const port = new URL(w.base).port;
    await w.server.stop();
    const options = w.options.map((o, i) => (w.options[i - 1] === '--port' ? port : o));
    w.server = await startServer(program, w.data, options);
    assert.equal((await ask(used)).json.error, 'invalid_client');
    assert.equal((await ask(await assertion())).status, 200);
    for (const person of [w.doctor, w.admins.county]) await person.signIn(person.password);
  });

  test('bulk export within the scopes; another app or the person does not get its files', async () => {
    const { access_token: token } = (await ask(await assertion(), 'system/Patient.rs system/Condition.rs?code=urn:x|htn')).json;
    const begun = await fetch(`${w.base}/fhir/$export`, { headers: { Authorization: `Bearer ${token}`, Prefer: 'respond-async', Accept: 'application/fhir+json' } });
    assert.equal(begun.status, 202, await begun.text());
    const at = new URL(begun.headers.get('content-location')).pathname;
    let status;
    for (let i = 0; i < 100; i += 1) {
      status = await fetch(`${w.base}${at}`, { headers: { Authorization: `Bearer ${token}` } });
      if (status.status !== 202) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const manifest = await status.json();
    assert.deepEqual(manifest.output.map((o) => o.type).sort(), ['Condition', 'Patient']);
    const lines = async (type) => (await (await fetch(`${w.base}${new URL(manifest.output.find((o) => o.type === type).url).pathname}`, { headers: { Authorization: `Bearer ${token}` } })).text()).trim().split('\n').map((l) => JSON.parse(l));
    assert.ok((await lines('Condition')).every((c) => c.code.coding[0].code === 'htn'));
    assert.equal((await lines('Patient')).length, 2);
    const other = (await ask(await assertion(), 'system/Patient.rs')).json.access_token;
    assert.equal((await fetch(`${w.base}${at}`, { headers: { Authorization: `Bearer ${other}` } })).status, 404);
    await w.steward.signIn(w.steward.password);
    assert.equal((await w.steward.request('GET', at)).status, 404);
  });

  test('all of it stands in the audit log, with the app', async () => {
    const bundle = await w.admins.county.must('GET', '/fhir/AuditEvent?_count=1000');
    const ofApp = bundle.entry.map((e) => e.resource).filter((r) => r.agent[1]?.altId === apps.service.id);
    assert.ok(ofApp.some((r) => JSON.stringify(r).includes('smart-token')), 'the token');
    assert.ok(ofApp.some((r) => r.subtype[0].code === 'search-type' && JSON.stringify(r).includes('Patient')), 'what it searched');
    assert.ok(ofApp.filter((r) => r.outcome === '0').every((r) => r.agent[0].altId === w.steward.post.split('/')[1]), 'under which post');
    const allowed = bundle.entry.map((e) => e.resource).find((r) => JSON.stringify(r).includes('smart-allow'));
    assert.equal(allowed.agent[0].who.reference, `Practitioner/${w.doctor.session.person.id}`);
  });
});

describe('shanhai app', { skip }, () => {
  test('what is not registered', () => {
    const refused = (...words) => { try { run(...words); return 0; } catch (error) { return error.status; } };
    return (async () => {
      await w.server.stop();
      try {
        assert.equal(refused('add', 'x', '--redirect', 'http://evil.example/cb'), 1, 'http elsewhere');
        assert.equal(refused('add', 'x', '--redirect', 'https://app.example/cb#part'), 1, 'a fragment');
        assert.equal(refused('add', 'x', '--redirect', 'javascript:alert(1)'), 1);
        assert.equal(refused('add', 'x', '--redirect', 'https://app.example/cb', '--scopes', 'user/Nothing.rs'), 1);
        assert.equal(refused('add', 'x'), 1, 'no address');
        assert.equal(refused('add', 'x', '--post', 'nothing', '--keys', join(w.folder, 'jwks.json')), 1, 'no such post');
        writeFileSync(join(w.folder, 'private.json'), JSON.stringify({ keys: [{ ...apps.service.keys[1].jwk, d: 'AAAA' }] }));
        assert.equal(refused('add', 'x', '--redirect', 'https://app.example/cb', '--keys', join(w.folder, 'private.json')), 1, 'a private key');
        assert.match(run('list'), /随访助手/);
        run('disable', apps.publicApp.id);
        assert.match(run('list'), /disabled/);
      } finally {
        await restart();
      }
      assert.equal((await w.doctor.request('GET', `/auth/consent?${new URLSearchParams(queryOf())}`)).status, 404);
    })();
  });
});
