// History of an instance, a type and the system: exact pages, times, deletions, and nothing that may not be seen.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startWorld } from './support.mjs';

let w;
let d;
before(async () => { w = await startWorld(); d = w.doctor; });
after(async () => { await w?.stop(); });

const patient = (more = {}) => ({ resourceType: 'Patient', name: [{ family: '史' }], ...more });
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
const now = () => new Date().toISOString();
const versions = (bundle) => (bundle.entry ?? []).map((e) => e.resource?.meta.versionId ?? 'deleted');

async function pages(person, path) {
  const all = [];
  for (let at = path, i = 0; at; i += 1) {
    assert.ok(i < 60, 'pages without end');
    const page = await person.must('GET', at);
    all.push(page);
    at = page.link.find((l) => l.relation === 'next')?.url.slice(w.base.length);
  }
  return all;
}

describe('history', () => {
  test('of an instance: newest first, exact pages, deletion as an entry without resource', async () => {
    let made = await d.create({ resourceType: 'Task', status: 'draft', intent: 'order', requester: { reference: d.post }, for: { reference: `Patient/${w.patient.id}` } });
    const path = `/fhir/Task/${made.id}`;
    for (let i = 0; i < 4; i++) made = await d.must('PUT', path, { ...made, description: `${i}` });
    const whole = await d.must('GET', `${path}/_history`);
    assert.deepEqual(versions(whole), ['5', '4', '3', '2', '1']);
    assert.equal(whole.total, 5);
    const two = await pages(d, `${path}/_history?_count=2`);
    assert.deepEqual(two.map((p) => p.entry.length), [2, 2, 1]);
    assert.deepEqual(two.flatMap(versions), ['5', '4', '3', '2', '1']);
    assert.equal(two[0].total, undefined);
    const five = await pages(d, `${path}/_history?_count=5`);
    assert.deepEqual(five.map((p) => p.entry.length), [5]);
  });

  test('_since and _at', async () => {
    const made = await d.create(patient());
    const path = `/fhir/Patient/${made.id}`;
    const first = now();
    await pause();
    await d.must('PUT', path, { ...made, gender: 'male' });
    await pause();
    const second = now();
    await pause();
    await d.must('PUT', path, { ...made, gender: 'female' });
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_since=${second}`)), ['3']);
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_since=${first}`)), ['3', '2']);
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_at=${second}`)), ['2']);
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_at=${first}`)), ['1']);
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_at=2020`)), []);
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_at=${new Date().getFullYear()}`)), ['3', '2', '1']);
    for (const wrong of ['_since=yesterday', '_at=x', '_count=-1', '_count=x', '_cursor=x', '_sort=_id', '_list=1', '_sort=']) {
      assert.equal((await d.request('GET', `${path}/_history?${wrong}`)).status, 400, wrong);
    }
    assert.equal((await d.request('GET', '/fhir/Patient/none/_history')).status, 404);
  });

  test('_sort: the oldest first, pages too', async () => {
    let made = await d.create(patient());
    const path = `/fhir/Patient/${made.id}`;
    for (let i = 0; i < 4; i++) made = await d.must('PUT', path, { ...made, gender: ['male', 'female'][i % 2] });
    assert.deepEqual(versions(await d.must('GET', `${path}/_history?_sort=_lastUpdated`)), ['1', '2', '3', '4', '5']);
    const two = await pages(d, `${path}/_history?_sort=_lastUpdated&_count=2`);
    assert.deepEqual(two.map(versions), [['1', '2'], ['3', '4'], ['5']]);
    assert.deepEqual((await pages(d, `${path}/_history?_sort=-_lastUpdated&_count=3`)).map(versions), [['5', '4', '3'], ['2', '1']]);
    const ofType = (await pages(d, '/fhir/Patient/_history?_sort=_lastUpdated&_count=4')).flatMap((p) => p.entry);
    const times = ofType.map((e) => e.response.lastModified);
    assert.deepEqual(times, [...times].sort());
    assert.equal(ofType.filter((e) => e.fullUrl.endsWith(made.id)).length, 5);
    const system = await pages(d, '/fhir/_history?_sort=_lastUpdated&_count=50');
    assert.equal(system.flatMap((p) => p.entry).filter((e) => e.fullUrl.endsWith(made.id)).length, 5);
  });

  test('_list: the versions that a List names, and no other; a List that is not seen is not there', async () => {
    const [one, two, other] = [await d.create(patient()), await d.create(patient()), await d.create(patient())];
    await d.must('PUT', `/fhir/Patient/${one.id}`, { ...one, gender: 'male' });
    await d.must('PUT', `/fhir/Patient/${two.id}`, { ...two, gender: 'male' });
    await d.must('PUT', `/fhir/Patient/${other.id}`, { ...other, gender: 'male' });
    const list = await d.create({ resourceType: 'List', status: 'current', mode: 'working', entry: [`Patient/${one.id}`, `Patient/${two.id}/_history/1`, `Patient/${one.id}`, 'Patient/none']
      .map((reference) => ({ item: { reference } })) });
    const listed = (bundle) => bundle.entry.map((e) => `${e.resource.id === one.id ? 'one' : 'two'} ${e.resource.meta.versionId}`);
    assert.deepEqual(listed(await d.must('GET', `/fhir/Patient/_history?_list=${list.id}`)), ['one 2', 'two 1', 'one 1']);
    assert.deepEqual((await pages(d, `/fhir/_history?_list=List/${list.id}&_count=2&_sort=_lastUpdated`)).map(listed), [['one 1', 'two 1'], ['one 2']]);
    assert.equal((await d.must('GET', `/fhir/Observation/_history?_list=${list.id}`)).entry, undefined);
    assert.equal((await d.request('GET', `/fhir/Patient/${one.id}/_history?_list=${list.id}`)).status, 400);
    assert.ok([403, 404].includes((await w.expert.request('GET', `/fhir/Patient/_history?_list=${list.id}`)).status));
    assert.equal((await d.request('GET', '/fhir/Patient/_history?_list=none')).status, 404);
  });

  test('of a type and of the system: what may not be seen leaves no gap in the pages', async () => {
    // County and helper administrators write in turns; each sees the history of the own house only.
    const { county, helper } = w.admins;
    const place = (admin) => admin.create({ resourceType: 'Location', name: '史', managingOrganization: { reference: admin.organization } });
    const own = [];
    for (let i = 0; i < 5; i++) {
      own.unshift((await place(county)).id);
      await place(helper);
      await place(helper);
    }
    assert.equal((await county.request('DELETE', `/fhir/Location/${own[0]}`)).status, 204);
    for (const path of ['/fhir/Location/_history', '/fhir/_history']) {
      const all = await pages(county, `${path}?_count=3`);
      const sizes = all.map((p) => p.entry.length);
      assert.ok(sizes.slice(0, -1).every((n) => n === 3), `${path} ${sizes}`);
      const places = all.flatMap((p) => p.entry).filter((e) => e.fullUrl.includes('/Location/')).map((e) => [e.request.method, e.fullUrl.split('/').pop()]);
      assert.deepEqual(places.slice(0, 6), [['DELETE', own[0]], ...own.map((id) => ['POST', id])]);
      const stamps = all.flatMap((p) => p.entry).map((e) => e.response.lastModified);
      assert.deepEqual(stamps, [...stamps].sort().reverse());
      if (path === '/fhir/_history') assert.ok(all.length > 2);
    }
    const theirs = (await pages(helper, '/fhir/Location/_history?_count=4')).flatMap((p) => p.entry).map((e) => e.fullUrl);
    assert.ok(own.every((id) => !theirs.some((url) => url.endsWith(id))));
  });
});
