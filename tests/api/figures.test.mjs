// Whose figures one gets, the day before beside each, and errors in the language that was asked for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Person } from '../../scenarios/client.mjs';
import { createPatient, draftConsult, PASSWORD, people } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';

let w;
let ward;
const role = (code) => [{ coding: [{ system: 'urn:shanhai:codes:role', code }] }];
const accountOf = (key) => people.find((person) => person.key === key).account;

/** The same person under another post, made by the administrator of the house. */
async function secondPost(admin, key, code, organization) {
  const practitioner = `Practitioner/${w[key].session.person.id}`;
  const post = await admin.create({ resourceType: 'PractitionerRole', active: true, practitioner: { reference: practitioner },
    organization: { reference: organization }, code: role(code), period: { start: '2026-01-01' } });
  const person = await new Person(w.base, accountOf(key)).signIn(PASSWORD);
  person.session = await person.must('POST', '/session/post', { post: `PractitionerRole/${post.id}` });
  person.csrf = person.session.csrf;
  return person;
}

before(async () => {
  w = await startWorld();
  const { helper } = w.admins;
  ward = (await helper.create({ resourceType: 'Organization', active: true, name: '呼吸内科二病区', partOf: { reference: helper.organization } })).id;
  w.wardDoctor = await secondPost(helper, 'lead', 'county-doctor', `Organization/${ward}`);
  w.countyCommander = await secondPost(w.admins.county, 'duty', 'commander', w.admins.county.organization);
  // A consult inside the helping hospital: none of the county's business.
  const patient = await createPatient(w.wardDoctor, { id: 'W-1', national: '660243196001010017', name: '庹云飞', gender: 'male', birthDate: '1960-01-01' });
  const consult = await draftConsult(w.wardDoctor, { patient: patient.id, invited: w.coordinator.organization });
  await w.wardDoctor.take(consult.task, 'submit');
});
after(() => w.stop());

const submitted = (figures) => figures.indicators.find((one) => one.code === 'consults-submitted');
const figures = (person, query = '') => person.must('GET', `/indicators?${query}`);
const names = (answer) => answer.organizations.map((one) => one.name).sort();

test('without an organisation everybody gets the own hospital and what it leads, never the whole installation', async () => {
  for (const person of [w.countyCommander, w.doctor, w.radiologist]) {
    const answer = await figures(person);
    assert.equal(submitted(answer).value, 0, person.name);
    assert.deepEqual(names(answer), ['彭水县示例医院']);
  }
  const answer = await figures(w.commander);
  assert.equal(submitted(answer).value, 1);
  assert.deepEqual(names(answer), ['呼吸内科二病区', '彭水县示例医院', '聊城市示例医院'].sort());
  const report = await w.countyCommander.must('GET', '/reports/daily');
  assert.equal(report.sections[0].indicators[0].value, 0);
  const drill = await w.countyCommander.must('GET', '/indicators/consults-submitted/resources');
  assert.equal(drill.total, 0);
});

test('an organisation that is named counts with what is below it, and only one of the own', async () => {
  const org = (reference) => `org=${reference.split('/').pop()}`;
  assert.equal(submitted(await figures(w.commander, org(w.coordinator.organization))).value, 1);
  assert.equal(submitted(await figures(w.commander, `org=${ward}`)).value, 1);
  assert.equal(submitted(await figures(w.commander, org(w.doctor.organization))).value, 0);
  for (const asked of [org(w.coordinator.organization), `org=${ward}`, 'org=none']) {
    for (const path of ['/indicators', '/indicators/consults-submitted/resources', '/reports/daily']) {
      const refused = await w.countyCommander.request('GET', `${path}?${asked}`);
      assert.equal(refused.status, 403, `${path}?${asked}`);
    }
  }
  const drill = submitted(await figures(w.commander, `org=${ward}`)).drill;
  assert.equal((await w.commander.must('GET', drill)).total, 1);
});

test('the day before stands beside each figure; unknown is not 0', async () => {
  const today = await figures(w.commander);
  assert.deepEqual([submitted(today).previous, submitted(today).decimals], [0, 0]);
  const median = today.indicators.find((one) => one.code === 'consult-time-to-allocation');
  assert.deepEqual([median.value, median.previous, median.decimals], [null, null, 1]);
  const next = new Date(Date.parse(`${today.date}T00:00:00Z`) + 86400e3).toISOString().slice(0, 10);
  const tomorrow = await figures(w.commander, `date=${next}`);
  assert.deepEqual([submitted(tomorrow).value, submitted(tomorrow).previous], [0, 1]);
  const csv = await w.commander.request('GET', `/reports/daily?date=${next}&format=csv`);
  const [head, first] = csv.text.replace('\ufeff', '').split('\r\n');
  assert.equal(head, '日期,章节,指标,数值,前日,单位,计入数,口径,截至');
  assert.match(first, /^"[-\d]+","远程会诊","会诊申请数",0,1,"例",0,/);
});

test('an error is told in the language that was asked for', async () => {
  const told = async (language, method, path) => {
    const answer = await w.doctor.request(method, path, undefined, { 'Accept-Language': language });
    return [answer.status, issuesOf(answer)[0]];
  };
  assert.deepEqual(await told('zh-CN', 'DELETE', '/indicators'), [405, '这个地址不支持此操作方式']);
  assert.deepEqual(await told('en', 'DELETE', '/indicators'), [405, 'this method is not offered at this address']);
  assert.deepEqual(await told('zh-CN', 'GET', '/fhir/Patient/none'), [404, '没有这条记录，或不在您可查阅的范围内']);
  assert.deepEqual(await told('zh-CN', 'GET', '/indicators?date=x'), [400, '不是日期，应写作 2026-11-22']);
});
