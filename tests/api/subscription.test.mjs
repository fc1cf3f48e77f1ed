// Subscriptions: who asked is told of what happens, as far as he may see it, once it has happened and until he has it. The
// receiver is a server of its own, in this file.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { addSignedIn, createPatient, draftConsult, startServer } from '../../scenarios/world.mjs';
import { issuesOf, program, startWorld, waitFor } from './support.mjs';

const BACKPORT = 'http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/';
let w;
let hook;
let steward;

// Takes notifications down by path; `status` and `hold` make it a bad one.
async function startReceiver() {
  const receiver = { got: [], status: () => 200 };
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const status = receiver.status(request.url);
      receiver.got.push({ path: request.url, method: request.method, headers: request.headers, status, bundle: JSON.parse(Buffer.concat(chunks)) });
      response.writeHead(status, status === 302 ? { Location: `http://127.0.0.1:${receiver.port}/hook/elsewhere` } : {}).end('thank you');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.port = server.address().port;
  receiver.base = `http://127.0.0.1:${receiver.port}`;
  receiver.of = (path) => receiver.got.filter((g) => g.path === path).map((g) => notice(g.bundle));
  receiver.taken = (path) => receiver.got.filter((g) => g.path === path && g.status === 200).map((g) => notice(g.bundle));
  receiver.stop = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  return receiver;
}

// What a notification says, for reading in a test.
function notice(bundle) {
  assert.equal(bundle.resourceType, 'Bundle');
  assert.equal(bundle.type, 'history');
  const [first, ...rest] = bundle.entry;
  assert.equal(first.resource.resourceType, 'Parameters');
  assert.ok(bundle.entry.every((e) => e.request && e.response), 'bdl-3, bdl-4');
  const of = (name) => first.resource.parameter.find((p) => p.name === name);
  const events = first.resource.parameter.filter((p) => p.name === 'notification-event').map((p) => {
    const part = (name) => p.part.find((x) => x.name === name);
    return { number: Number(part('event-number').valueString), at: part('timestamp').valueInstant, focus: part('focus')?.valueReference.reference };
  });
  return {
    type: of('type').valueCode, status: of('status').valueCode, topic: of('topic').valueCanonical, total: Number(of('events-since-subscription-start').valueString),
    subscription: of('subscription').valueReference.reference, events, entries: rest, numbers: events.map((e) => e.number),
  };
}
const numbersOf = (notices) => notices.filter((n) => n.type === 'event-notification').flatMap((n) => n.numbers);
const eventsOf = (notices) => notices.filter((n) => n.type === 'event-notification').flatMap((n) => n.events);

function subscription({ topic = 'resource-changed', filters = ['Observation?status=final'], path = '/hook/a', content = 'id-only', more = {}, channel = {} } = {}) {
  return {
    resourceType: 'Subscription', status: 'requested', reason: '试验', criteria: `urn:shanhai:topic:${topic}`,
    _criteria: filters.length === 0 ? undefined : { extension: filters.map((valueString) => ({ url: `${BACKPORT}backport-filter-criteria`, valueString })) },
    channel: {
      type: 'rest-hook', endpoint: hook.base + path, payload: 'application/fhir+json',
      _payload: { extension: [{ url: `${BACKPORT}backport-payload-content`, valueCode: content }] }, ...channel,
    },
    ...more,
  };
}
const streamChannel = { type: undefined, endpoint: undefined, _type: { extension: [{ url: `${BACKPORT}backport-channel-type`, valueCoding: { system: 'urn:shanhai:codes:channel', code: 'server-sent-events' } }] } };

let observations = 0;
const observe = (person, patient, text = `体温 ${++observations}`, status = 'final') => person.create({ resourceType: 'Observation', status, code: { text },
  subject: { reference: `Patient/${patient}` }, valueQuantity: { value: 36.5, unit: '℃' } });
const statusOf = async (person, id) => (await person.read(`Subscription/${id}`)).status;
const active = (person, id) => waitFor('active', async () => (await statusOf(person, id)) === 'active', 30);
const told = (path, count) => waitFor(`${count} events at ${path}`, () => new Set(numbersOf(hook.taken(path))).size >= count, 30);

before(async () => {
  hook = await startReceiver();
  w = await startWorld({ flags: ['--subscription-endpoint', `${hook.base}/hook`] });
  steward = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
    { account: 'panyun', name: '潘芸', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000041' });
});
after(async () => {
  await w?.stop();
  await hook?.stop();
});

describe('a rest-hook', () => {
  test('handshake, then active, then what happens; numbers without a gap', async () => {
    const made = await w.doctor.create(subscription());
    assert.equal(made.status, 'requested');
    await active(w.doctor, made.id);
    const [handshake] = hook.of('/hook/a');
    assert.deepEqual([handshake.type, handshake.status, handshake.total, handshake.topic], ['handshake', 'requested', 0, 'urn:shanhai:topic:resource-changed']);
    assert.equal(handshake.subscription, `Subscription/${made.id}`);
    const seen = [];
    for (let i = 0; i < 5; i++) seen.push(await observe(w.doctor, w.patient.id));
    await observe(w.doctor, w.patient.id, '还没有完成', 'preliminary');
    seen.push(await w.doctor.update({ ...seen[0], valueQuantity: { value: 38.2, unit: '℃' } }));
    await told('/hook/a', 6);
    const events = eventsOf(hook.of('/hook/a'));
    assert.deepEqual(events.map((e) => e.number), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(events.map((e) => e.focus), seen.map((o) => `Observation/${o.id}`));
    const [{ headers, method }] = hook.got.filter((g) => g.path === '/hook/a');
    assert.equal(method, 'POST');
    assert.equal(headers['content-type'], 'application/fhir+json');
    const last = hook.of('/hook/a').at(-1);
    assert.equal(last.total, 6);
    assert.ok(last.entries.every((e) => e.resource === undefined && e.request.url.startsWith('Observation/')), 'id-only');
  });

  test('empty says that something happened, full says what; the headers go along', async () => {
    const header = ['Authorization: Bearer s3cret-of-the-endpoint'];
    const full = await w.doctor.create(subscription({ path: '/hook/full', content: 'full-resource', channel: { header } }));
    const empty = await w.doctor.create(subscription({ path: '/hook/empty', content: 'empty' }));
    await active(w.doctor, full.id);
    await active(w.doctor, empty.id);
    const made = await observe(w.doctor, w.patient.id);
    await told('/hook/full', 1);
    await told('/hook/empty', 1);
    const whole = hook.of('/hook/full').at(-1);
    assert.deepEqual(whole.entries.map((e) => e.resource), [await w.doctor.read(`Observation/${made.id}`)]);
    const bare = hook.of('/hook/empty').at(-1);
    assert.deepEqual([bare.entries.length, bare.events[0].focus, bare.total], [0, undefined, 1]);
    assert.ok(hook.got.filter((g) => g.path === '/hook/full').every((g) => g.headers.authorization === 'Bearer s3cret-of-the-endpoint'));
    // What is told was read: the audit log says so.
    const log = await w.admins.county.must('GET', '/fhir/AuditEvent?_count=200');
    const mine = log.entry.map((e) => e.resource).filter((e) => JSON.stringify(e).includes(`Observation/${made.id}`) && JSON.stringify(e).includes('subscription'));
    assert.ok(mine.length >= 1);
    assert.ok(!w.server.log().includes('s3cret'));
    for (const one of [full, empty]) await w.doctor.must('PUT', `/fhir/Subscription/${one.id}`, { ...(await w.doctor.read(`Subscription/${one.id}`)), status: 'off' });
  });

  test('a heartbeat comes when nothing else does; maxCount cuts; deletions are told', async () => {
    const made = await w.doctor.create(subscription({ path: '/hook/beat', filters: ['Condition?'], channel: { extension: [
      { url: `${BACKPORT}backport-heartbeat-period`, valueUnsignedInt: 1 }, { url: `${BACKPORT}backport-max-count`, valuePositiveInt: 2 },
      { url: `${BACKPORT}backport-timeout`, valueUnsignedInt: 5 }] } }));
    await active(w.doctor, made.id);
    await waitFor('a heartbeat', () => hook.of('/hook/beat').some((n) => n.type === 'heartbeat' && n.status === 'active' && n.events.length === 0), 30);
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry: Array.from({ length: 5 }, (_, i) => ({ request: { method: 'POST', url: 'Condition' },
      resource: { resourceType: 'Condition', subject: { reference: `Patient/${w.patient.id}` }, code: { text: `诊断 ${i}` } } })) };
    await w.doctor.must('POST', '/fhir', bundle);
    await told('/hook/beat', 5);
    const sizes = hook.of('/hook/beat').filter((n) => n.type === 'event-notification').map((n) => n.events.length);
    assert.ok(sizes.every((size) => size <= 2), sizes.join());
    await w.doctor.must('DELETE', `/fhir/Subscription/${made.id}`);
  });

  test('an endpoint that is away is tried until it is back; nothing is missing', async () => {
    const made = await w.doctor.create(subscription({ path: '/hook/away' }));
    await active(w.doctor, made.id);
    hook.status = (path) => (path === '/hook/away' ? 503 : 200);
    await observe(w.doctor, w.patient.id);
    await waitFor('error', async () => (await statusOf(w.doctor, made.id)) === 'error', 30);
    assert.equal((await w.doctor.read(`Subscription/${made.id}`)).error, 'the endpoint answered 503');
    for (let i = 0; i < 3; i++) await observe(w.doctor, w.patient.id);
    hook.status = () => 200;
    await told('/hook/away', 4);
    await active(w.doctor, made.id);
    assert.deepEqual([...new Set(numbersOf(hook.taken('/hook/away')))], [1, 2, 3, 4]);
    assert.equal((await w.doctor.read(`Subscription/${made.id}`)).error, undefined);
  });

  test('a redirect is no answer and is not followed', async () => {
    hook.status = (path) => (path === '/hook/moved' ? 302 : 200);
    const made = await w.doctor.create(subscription({ path: '/hook/moved' }));
    await waitFor('error', async () => (await statusOf(w.doctor, made.id)) === 'error', 30);
    assert.deepEqual(hook.of('/hook/elsewhere'), []);
    hook.status = () => 200;
    await w.doctor.must('DELETE', `/fhir/Subscription/${made.id}`);
  });
});

describe('topics', () => {
  test('a state that changes is an event, a note on the Task is none', async () => {
    const made = await w.doctor.create(subscription({ topic: 'task-state-changed', filters: ['Task?priority=stat'], path: '/hook/task' }));
    await active(w.doctor, made.id);
    const task = (priority) => ({ resourceType: 'Task', status: 'draft', intent: 'order', priority, requester: { reference: w.doctor.post }, for: { reference: `Patient/${w.patient.id}` } });
    await w.doctor.create(task('routine'));
    const first = await w.doctor.create(task('stat'));
    const noted = await w.doctor.update({ ...first, description: '补充说明' });
    await w.doctor.update({ ...noted, status: 'requested' });
    await told('/hook/task', 2);
    assert.deepEqual(eventsOf(hook.of('/hook/task')).map((e) => [e.number, e.focus]), [[1, `Task/${first.id}`], [2, `Task/${first.id}`]]);
  });

  test('they are listed', async () => {
    const { topics } = await w.doctor.must('GET', '/subscription-topics');
    const urls = topics.map((t) => t.url).sort();
    assert.deepEqual(urls, ['consult-opinion-signed', 'imaging-study-arrived', 'resource-changed', 'task-state-changed'].map((t) => `urn:shanhai:topic:${t}`));
    const statement = await w.doctor.must('GET', '/fhir/metadata');
    const own = statement.rest[0].resource.find((r) => r.type === 'Subscription');
    assert.deepEqual(own.extension.map((e) => e.valueCanonical).sort(), urls);
    assert.deepEqual(own.operation.map((o) => o.name).filter((n) => ['status', 'events', 'stream'].includes(n)).sort(), ['events', 'status', 'stream']);
  });
});

describe('$status and $events', () => {
  let made;
  before(async () => {
    made = await w.doctor.create(subscription({ path: '/hook/ask' }));
    await active(w.doctor, made.id);
    for (let i = 0; i < 4; i++) await observe(w.doctor, w.patient.id);
    await told('/hook/ask', 4);
  });
  const statusBundle = (answer) => answer.entry.map((e) => Object.fromEntries(e.resource.parameter.map((p) => [p.name, p.valueCode ?? p.valueString ?? p.valueReference?.reference ?? p.valueCanonical])));

  test('of one and of many', async () => {
    const [one] = statusBundle(await w.doctor.must('GET', `/fhir/Subscription/${made.id}/$status`));
    assert.deepEqual(one, { subscription: `Subscription/${made.id}`, topic: 'urn:shanhai:topic:resource-changed', status: 'active', type: 'query-status', 'events-since-subscription-start': '4' });
    const all = statusBundle(await w.doctor.must('GET', '/fhir/Subscription/$status'));
    assert.ok(all.length >= 4 && all.some((s) => s.subscription === `Subscription/${made.id}`));
    assert.deepEqual(statusBundle(await w.doctor.must('GET', `/fhir/Subscription/$status?id=${made.id}`)), [one]);
    assert.ok(statusBundle(await w.doctor.must('POST', '/fhir/Subscription/$status', { resourceType: 'Parameters', parameter: [{ name: 'status', valueCode: 'off' }] })).every((s) => s.status === 'off'));
    assert.equal((await w.doctor.must('GET', '/fhir/Subscription/$status?id=none')).total, 0);
    assert.equal((await w.doctor.request('GET', '/fhir/Subscription/$status?nonsense=1')).status, 400);
  });

  test('a range of the events, at another level', async () => {
    const ask = async (query) => notice(await w.doctor.must('GET', `/fhir/Subscription/${made.id}/$events${query}`));
    const all = await ask('');
    assert.deepEqual([all.type, all.numbers, all.total], ['query-event', [1, 2, 3, 4], 4]);
    const some = await ask('?eventsSinceNumber=2&eventsUntilNumber=3&content=full-resource');
    assert.deepEqual(some.numbers, [2, 3]);
    assert.deepEqual(some.entries.map((e) => `Observation/${e.resource.id}`), some.events.map((e) => e.focus));
    assert.deepEqual((await ask('?eventsSinceNumber=9')).numbers, []);
    assert.deepEqual((await ask('?content=empty')).events.map((e) => e.focus), [undefined, undefined, undefined, undefined]);
    const posted = notice(await w.doctor.must('POST', `/fhir/Subscription/${made.id}/$events`, { resourceType: 'Parameters', parameter: [{ name: 'eventsSinceNumber', valueString: '4' }] }));
    assert.deepEqual(posted.numbers, [4]);
    for (const query of ['?eventsSinceNumber=-1', '?eventsSinceNumber=x', '?content=everything']) {
      assert.equal((await w.doctor.request('GET', `/fhir/Subscription/${made.id}/$events${query}`)).status, 400, query);
    }
  });
});

describe('rights', () => {
  test('a subscription is its post\'s own: others find none, and do not see its headers', async () => {
    const made = await w.doctor.create(subscription({ path: '/hook/own', channel: { header: ['X-Key: abc'] } }));
    for (const person of [steward, w.lead, w.coordinator]) {
      assert.equal((await person.request('GET', `/fhir/Subscription/${made.id}`)).status, 404);
      assert.equal((await person.request('GET', `/fhir/Subscription/${made.id}/$status`)).status, 404);
      assert.equal((await person.request('GET', `/fhir/Subscription/${made.id}/$events`)).status, 404);
      assert.equal((await person.request('GET', `/fhir/Subscription/${made.id}/$stream`)).status, 404);
      assert.deepEqual(await person.search('Subscription'), []);
      assert.equal((await person.request('PUT', `/fhir/Subscription/${made.id}`, { ...made, reason: '改' })).status, 404);
    }
    for (const path of [`/fhir/Subscription/${made.id}`, `/fhir/Subscription/${made.id}/$events`, '/fhir/Subscription/$status']) {
      assert.equal((await w.admins.county.request('GET', path)).status, 403, path);
    }
    assert.equal((await w.admins.county.request('POST', '/fhir/Subscription', subscription())).status, 403);
    // It cannot be made over to somebody else, nor in his name.
    const taken = await w.doctor.update({ ...(await w.doctor.read(`Subscription/${made.id}`)), extension: [{ url: 'urn:shanhai:ext:subscriber', valueReference: { reference: w.lead.post } }] });
    assert.equal(taken.extension.find((e) => e.url === 'urn:shanhai:ext:subscriber').valueReference.reference, w.doctor.post);
    await w.doctor.must('DELETE', `/fhir/Subscription/${made.id}`);
    assert.equal((await w.doctor.request('GET', `/fhir/Subscription/${made.id}`)).status, 404);
  });

  test('not one event of what the subscriber may not see', async () => {
    const other = await w.lead.create(subscription({ path: '/hook/other', filters: ['Observation?', 'Patient?'], content: 'full-resource' }));
    const own = await steward.create(subscription({ path: '/hook/own-hospital', filters: ['Observation?', 'Patient?'], content: 'full-resource' }));
    await active(w.lead, other.id);
    await active(steward, own.id);
    const late = await createPatient(w.doctor, { id: 'SUBS', national: '660243197001010033', name: '秦远', gender: 'female', birthDate: '1970-01-01' });
    await observe(w.doctor, late.id);
    await told('/hook/own-hospital', 2);
    // Everything up to here has been looked at for the other as well: $status says how many there are for him.
    const status = await w.lead.must('GET', `/fhir/Subscription/${other.id}/$status`);
    assert.equal(status.entry[0].resource.parameter.find((p) => p.name === 'events-since-subscription-start').valueString, '0');
    assert.deepEqual(hook.of('/hook/other').map((n) => n.type), ['handshake']);
  });

  test('what is masked in reads is masked here, and cannot be filtered by', async () => {
    const refused = await w.commander.request('POST', '/fhir/Subscription', subscription({ filters: ['Patient?identifier=x'] }));
    assert.equal(refused.status, 403, refused.text);
    const made = await w.commander.create(subscription({ topic: 'task-state-changed', filters: [], path: '/hook/masked', content: 'full-resource' }));
    await active(w.commander, made.id);
    const ids = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.lead.organization });
    await told('/hook/masked', 1);
    const [{ resource }] = hook.of('/hook/masked').at(-1).entries;
    assert.equal(resource.id, ids.task);
    assert.deepEqual(resource, await w.commander.read(`Task/${ids.task}`), 'as his reads are');
    assert.ok(resource.meta.security.some((s) => s.code === 'MASKED'));
    assert.equal(resource.input, undefined);
    await w.commander.must('DELETE', `/fhir/Subscription/${made.id}`);
  });

  test('when the post ends, the subscription ends', async () => {
    const person = await addSignedIn(w.admins.county, { reference: `Organization/${w.made.county.organization}`, name: '彭水县示例医院' },
      { account: 'linxia', name: '林夏', role: 'data-steward', title: 'attending', specialty: '信息科', phone: '15400000042' });
    const made = await person.create(subscription({ path: '/hook/ends' }));
    await active(person, made.id);
    const post = await w.admins.county.read(person.post);
    await w.admins.county.update({ ...post, active: false });
    await observe(w.doctor, w.patient.id);
    // Nobody but the post itself may read it: the counts of the server say that it is off.
    await waitFor('off', async () => /shanhai_subscriptions\{status="off"\} [1-9]/.test((await w.admins.county.request('GET', '/metrics', undefined, { Accept: 'text/plain' })).text), 30);
    assert.deepEqual(numbersOf(hook.of('/hook/ends')), []);
  });
});

describe('what cannot be kept is refused', () => {
  const refused = async (resource, what) => {
    const answer = await w.doctor.request('POST', '/fhir/Subscription', resource);
    assert.ok(answer.status === 422 || answer.status === 400, `${what}: ${answer.status} ${answer.text}`);
    assert.ok(issuesOf(answer).join().length > 0);
  };
  test('topics, filters, endpoints, channels, payloads', async () => {
    await refused(subscription({ topic: 'nothing' }), 'topic');
    await refused(subscription({ more: { criteria: 'Observation?status=final' } }), 'criteria of R4');
    for (const filter of ['Observation?value-quantity=5', 'Observation?nonsense=1', 'Nothing?x=1', 'status=final', 'Observation?subject:Patient.name=王', 'Observation?_sort=date']) {
      await refused(subscription({ filters: [filter] }), filter);
    }
    await refused(subscription({ topic: 'task-state-changed', filters: ['Observation?status=final'] }), 'type of another topic');
    for (const endpoint of [`${hook.base}/other`, `${hook.base}/hooks`, 'http://127.0.0.1:1/hook', 'http://169.254.169.254/latest', 'file:///etc/passwd', `http://x@127.0.0.1:${hook.port}/hook`, `${hook.base}/hook/../x`, undefined]) {
      await refused(subscription({ channel: { endpoint } }), String(endpoint));
    }
    await refused(subscription({ channel: { header: ['Host: elsewhere'] } }), 'header');
    await refused(subscription({ channel: { header: ['X: a\r\nY: b'] } }), 'header of two lines');
    await refused(subscription({ channel: { payload: 'application/fhir+xml' } }), 'payload');
    await refused(subscription({ channel: { _payload: undefined } }), 'no content');
    await refused(subscription({ channel: { type: 'websocket' } }), 'websocket');
    await refused(subscription({ content: 'everything' }), 'content');
    await refused(subscription({ channel: { extension: [{ url: `${BACKPORT}backport-timeout`, valueUnsignedInt: 3600 }] } }), 'timeout');
    await refused(subscription({ channel: { extension: [{ url: `${BACKPORT}backport-heartbeat-period`, valueUnsignedInt: 0 }] } }), 'heartbeat');
  });
});

// Reads a stream of events until `enough` says so.
async function readStream(person, id, enough, headers = {}) {
  const control = new AbortController();
  const response = await fetch(`${person.base}/fhir/Subscription/${id}/$stream`, { headers: { Cookie: person.cookie, Accept: 'text/event-stream', ...headers }, signal: control.signal });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const events = [];
  let text = '';
  const watchdog = setTimeout(() => control.abort(), 30000);
  try {
    for await (const chunk of response.body) {
      text += Buffer.from(chunk).toString();
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const block = Object.fromEntries(text.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
        text = text.slice(end + 2);
        if (block.data) events.push({ id: block.id, event: block.event, ...notice(JSON.parse(block.data)) });
      }
      if (enough(events)) break;
    }
  } finally {
    clearTimeout(watchdog);
    control.abort();
  }
  return events;
}

describe('server-sent events', () => {
  test('a handshake, what was missed, what happens; Last-Event-ID goes on', async () => {
    const made = await w.doctor.create(subscription({ channel: streamChannel, content: 'full-resource' }));
    await active(w.doctor, made.id);
    for (let i = 0; i < 3; i++) await observe(w.doctor, w.patient.id);
    const first = await readStream(w.doctor, made.id, (events) => numbersOf(events).length >= 3);
    assert.equal(first[0].type, 'handshake');
    assert.deepEqual(numbersOf(first), [1, 2, 3]);
    assert.equal(first.at(-1).id, '3');
    assert.equal(first.at(-1).event, 'notification');
    assert.equal(first.at(-1).entries.at(-1).resource.resourceType, 'Observation');
    const live = readStream(w.doctor, made.id, (events) => numbersOf(events).includes(4), { 'Last-Event-ID': '1' });
    await observe(w.doctor, w.patient.id);
    assert.deepEqual([...new Set(numbersOf(await live))], [2, 3, 4]);
    // A rest-hook has no stream.
    const other = await w.doctor.create(subscription({ path: '/hook/no-stream' }));
    await active(w.doctor, other.id);
    assert.equal((await w.doctor.request('GET', `/fhir/Subscription/${other.id}/$stream`)).status, 422);
  });
});

describe('a killed server', () => {
  test('goes on where it was: every event at least once, each with its own number', async () => {
    const made = await w.doctor.create(subscription({ path: '/hook/kill', channel: { extension: [{ url: `${BACKPORT}backport-max-count`, valuePositiveInt: 3 }] } }));
    await active(w.doctor, made.id);
    const all = [];
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 10; i++) all.push(`Observation/${(await observe(w.doctor, w.patient.id)).id}`);
      w.server.child.kill('SIGKILL');
      await new Promise((resolve) => w.server.child.once('exit', resolve));
      w.server = await startServer(program, w.data, w.options);
      const stop = w.server.stop;
      w.server.stop = async () => stop();
      for (const person of [w.doctor, w.admins.county]) Object.assign(person, { base: w.server.base });
      await w.doctor.signIn(w.doctor.password);
    }
    await told('/hook/kill', all.length);
    const focus = new Map();
    for (const event of eventsOf(hook.of('/hook/kill'))) {
      assert.equal(focus.get(event.number) ?? event.focus, event.focus, `event ${event.number} is told of two things`);
      focus.set(event.number, event.focus);
    }
    assert.deepEqual([...focus.keys()].sort((a, b) => a - b), all.map((_, i) => i + 1));
    assert.deepEqual(all.map((_, i) => focus.get(i + 1)), all);
    assert.equal(await statusOf(w.doctor, made.id), 'active');
  });
});
