// The printed report: every copy a record with its number, a QR mark that the public may check, the fee and who pays it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { code, text } from '../../scenarios/client.mjs';
import { hospitals, PASSWORD, patientFacts } from '../../scenarios/world.mjs';
import { issuesOf, startWorld } from './support.mjs';
import { toDelivered, toSession } from './stages.mjs';

let w;
let consult;
let mark;
before(async () => {
  w = await startWorld();
  consult = await toDelivered(w);
  const document = await w.doctor.read(consult.document);
  mark = document.signature.data.replace(/=+$/, '').slice(-16).replaceAll('+', '-').replaceAll('/', '_');
});
after(async () => { await w?.stop(); });

const pages = (n) => ({ valueInteger: n });
const print = (person, variant = 'record', n = 2) => person.takeAnswer(consult.task, 'print', { variant: code(variant), pages: pages(n) });
const numberOf = (copy) => copy.extension.find((e) => e.url === 'urn:shanhai:ext:copy-number').valueInteger;
const copiesOf = async (person) => (await person.search('Communication', { encounter: consult.encounter, category: 'urn:shanhai:codes:communication|print-copy' }))
  .sort((a, b) => numberOf(a) - numberOf(b));
const id = () => consult.document.split('/')[1];
const ask = async (path) => {
  const response = await fetch(`${w.base}/verify/${path}`);
  return { status: response.status, headers: response.headers, text: await response.text() };
};

test('who may print, and what', async () => {
  for (const person of [w.coordinator, w.radiologist]) assert.equal((await print(person)).status, 403, person.name);
  for (const person of [w.commander, w.admins.county]) assert.ok([403, 404].includes((await print(person)).status), person.name);
  assert.equal((await print(w.doctor, 'record', 0)).status, 422);
  assert.equal((await print(w.doctor, 'record', 100)).status, 422);
  assert.equal((await print(w.doctor, 'poster')).status, 422);
  assert.match(issuesOf(await print(w.doctor, 'patient')).join(), /诊疗方案/, 'not before the treating doctor has decided');
  assert.match(issuesOf(await print(w.expert, 'patient')).join(), /邀请医院的医师/);
  assert.equal((await copiesOf(w.doctor)).length, 0);
});

test('each print is a record: who, when, which copy; numbers are never given twice', async () => {
  assert.equal((await print(w.doctor)).status, 200);
  const many = await Promise.all([print(w.doctor), print(w.lead), print(w.duty), print(w.expert)]);
  assert.ok(many.every((answer) => answer.status === 200), many.map((a) => a.status).join());
  const copies = await copiesOf(w.doctor);
  assert.deepEqual(copies.map(numberOf), [1, 2, 3, 4, 5]);
  assert.equal(copies[0].sender.reference, w.doctor.post);
  assert.ok(Math.abs(Date.parse(copies[0].sent) - Date.now()) < 60e3);
  const forged = await w.doctor.request('POST', '/fhir/Communication', { ...copies[0], id: undefined, meta: undefined });
  assert.ok([403, 422].includes(forged.status), String(forged.status));
  assert.ok([403, 422].includes((await w.doctor.request('PUT', `/fhir/Communication/${copies[0].id}`, { ...copies[0], sent: '2020-01-01T00:00:00Z' })).status));
  const state = (await w.doctor.read(`Task/${consult.task}`)).businessStatus.coding[0].code;
  assert.equal(state, 'delivered', 'printing moves nothing');
});

test('anyone may check a sheet, and learns nothing of the patient', async () => {
  const answer = await ask(`${id()}/${mark}?copy=1`);
  assert.equal(answer.status, 200);
  const genuine = JSON.parse(answer.text);
  assert.deepEqual(Object.keys(genuine).sort(), ['date', 'genuine', 'hospitals', 'pages']);
  assert.equal(genuine.genuine, true);
  assert.match(genuine.date, /^\d{4}-\d{2}-\d{2}$/);
  assert.deepEqual(genuine.hospitals.sort(), [hospitals.county.name, hospitals.helper.name].sort());
  assert.equal(genuine.pages, 2);
  for (const secret of [patientFacts.name, patientFacts.id, patientFacts.national, w.patient.id, '肺炎', '李敏', '赵强']) assert.ok(!answer.text.includes(secret), secret);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
});

test('wrong mark, unknown document, a copy never printed, another resource: not genuine, one answer, few tries', async () => {
  const other = `${mark.slice(0, -1)}${mark.endsWith('A') ? 'B' : 'A'}`;
  const tries = [`${id()}/${other}`, `${id()}/${mark.slice(0, 8)}`, `${crypto.randomUUID()}/${mark}`, `${id()}/${mark}?copy=77`, `${id()}/${mark}?copy=x`,
    `${w.patient.id}/${mark}`, `${consult.task}/${mark}`, `${id()}/${'-'.repeat(16)}`, `not-an-id/${mark}`];
  for (const path of tries) {
    const answer = await ask(path);
    assert.equal(answer.status, 200, path);
    assert.deepEqual(JSON.parse(answer.text), { genuine: false }, path);
  }
  await ask(`${id()}/${other}`);
  const late = await ask(`${id()}/${mark}`);
  assert.equal(late.status, 429);
  assert.ok(Number(late.headers.get('retry-after')) > 0);
});

test('the patient\'s copy, once decided, goes to the patient', async () => {
  await w.doctor.take(consult.task, 'decide', { adoption: code('adopted'), plan: text('按意见治疗'), password: text(PASSWORD) });
  assert.equal((await print(w.doctor, 'patient', 1)).status, 200);
  const copy = (await copiesOf(w.doctor)).at(-1);
  assert.equal(numberOf(copy), 6);
  assert.equal(copy.recipient[0].reference, `Patient/${w.patient.id}`);
});

test('the fee: price item, amount, payer; set anew it replaces the old one; 免收 is net nothing', async () => {
  const fee = (more = {}) => ({ item: code('multi'), amount: text('240.00'), payer: code('insurance'), ...more });
  const session = await toSession(w);
  for (const person of [w.doctor, w.lead, w.duty]) assert.equal((await person.takeAnswer(session.task, 'set-fee', fee())).status, 403, person.name);
  for (const wrong of [{ amount: text('-1') }, { amount: text('很多') }, { amount: text('1.234') }, { payer: code('friend') }, { item: code('x') }]) {
    assert.equal((await w.coordinator.takeAnswer(session.task, 'set-fee', fee(wrong))).status, 422, JSON.stringify(wrong));
  }
  await w.coordinator.take(session.task, 'set-fee', fee());
  const find = async (person) => (await person.search('Invoice', { subject: `Patient/${w.patient.id}`, status: 'issued' }));
  const [first] = await find(w.doctor);
  assert.equal(first.totalNet.value, 240);
  assert.equal(first.totalNet.currency, 'CNY');
  assert.equal(first.extension[0].valueCode, 'insurance');
  const charge = await w.doctor.read(first.lineItem[0].chargeItemReference.reference);
  assert.equal(charge.code.coding[0].code, 'multi');
  assert.equal(charge.status, 'billable');
  await w.coordinator.take(session.task, 'set-fee', fee({ payer: code('waived') }));
  const now = await find(w.coordinator);
  assert.equal(now.length, 1);
  assert.equal(now[0].totalNet.value, 0);
  assert.equal(now[0].totalGross.value, 240);
  assert.deepEqual(now[0].lineItem[0].priceComponent.map((one) => one.amount.value), [240, -240]);
  assert.equal((await w.doctor.read(first.lineItem[0].chargeItemReference.reference)).status, 'aborted');
  assert.equal((await w.commander.request('GET', `/fhir/Invoice/${now[0].id}`)).status, 403);
  assert.ok([403, 422].includes((await w.doctor.request('PUT', `/fhir/Invoice/${now[0].id}`, { ...now[0], status: 'balanced' })).status));
});
