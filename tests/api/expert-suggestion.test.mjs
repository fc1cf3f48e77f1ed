// Whom to invite: the server orders the hospital's experts by specialty, title, duty and what they have in hand, and says why.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { reference } from '../../scenarios/client.mjs';
import { dutyList, hire, toAllocated } from './play.mjs';
import { startWorld } from './support.mjs';

let w;
let onDuty;
let low;
before(async () => {
  w = await startWorld();
  onDuty = await hire(w, { account: 'qianer', name: '钱二', role: 'expert', title: 'chief', specialty: '呼吸与危重症医学科', phone: '15400000042' });
  low = await hire(w, { account: 'lisi', name: '李四', role: 'expert', title: 'attending', specialty: '呼吸与危重症医学科', phone: '15400000043' });
  await w.coordinator.create(dutyList([onDuty.post]));
});
after(async () => w?.stop());

async function suggested(person, task) {
  const parameters = await person.must('GET', `/fhir/Task/${task}/$transitions`);
  const offer = parameters.parameter.find((p) => p.part.some((x) => x.name === 'name' && x.valueCode === 'offer'));
  const lead = offer?.part.find((x) => x.name === 'input' && x.part.some((y) => y.name === 'name' && y.valueString === 'lead'));
  return (lead?.part ?? []).filter((x) => x.name === 'suggestion').map((x) => Object.fromEntries(x.part.map((y) => [y.name, y.valueString ?? y.valueInteger])));
}
const idOf = (person) => person.post.split('/')[1];

test('experts of the invited hospital, each with the reasons, best first', async () => {
  const { task } = await toAllocated(w);
  const list = await suggested(w.coordinator, task);
  assert.deepEqual(list.map((one) => one.post), [idOf(onDuty), idOf(w.lead), idOf(w.expert), idOf(low)]);
  assert.deepEqual(list[0], { post: idOf(onDuty), specialty: 1, title: 1, duty: 1, running: 0, asked: 0 });
  assert.deepEqual(list[2], { post: idOf(w.expert), specialty: 0, title: 1, duty: 0, running: 0, asked: 0 });
  assert.equal(list[3].title, 0, 'below the wanted title');
});

test('what they have in hand and who was asked before count', async () => {
  const first = await toAllocated(w);
  await w.coordinator.take(first.task, 'offer', { lead: reference(onDuty.post) });
  await onDuty.take(first.task, 'accept');
  const second = await toAllocated(w);
  assert.equal((await suggested(w.coordinator, second.task)).find((one) => one.post === idOf(onDuty)).running, 1);
  await w.coordinator.take(second.task, 'offer', { lead: reference(w.lead.post) });
  await w.lead.take(second.task, 'decline', { reason: { valueString: '手术' } });
  const again = await suggested(w.coordinator, second.task);
  const lead = again.find((one) => one.post === idOf(w.lead));
  assert.deepEqual([lead.asked, lead.running], [1, 0], 'a decline is no work in hand');
  assert.equal(again.at(-1).post, idOf(w.lead), 'asked before: last');
});

test('nobody but who may invite gets it; a post that ended is not suggested', async () => {
  const { task } = await toAllocated(w);
  for (const person of [w.doctor, w.duty]) assert.deepEqual(await suggested(person, task), [], person.name);
  assert.equal((await w.lead.request('GET', `/fhir/Task/${task}/$transitions`)).status, 404);
  const post = await w.admins.helper.read(low.post);
  await w.admins.helper.update({ ...post, active: false });
  assert.ok(!(await suggested(w.coordinator, task)).some((one) => one.post === idOf(low)));
});
