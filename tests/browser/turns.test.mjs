// Off the main path, clicked through in Chromium: an emergency without consent, a return with every gap at once, an
// expert who declines, a dissent, an addendum, a study that fits nobody, a second post, the other language.
import { after, before, describe, it } from 'node:test';
import { createPatient, PASSWORD } from '../../scenarios/world.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import * as turn from './turns.mjs';
import * as walk from './walk.mjs';

const PATIENT = { name: '冉山茶', inpatient: 'ZY20261120' };
const GAPS = ['缺血气分析结果', '缺入院时胸部 CT', '病情摘要未写用药剂量'];
const OPINIONS = {
  expert: { summary: '重症肺炎，I 型呼吸衰竭', basis: '氧合指数下降，双肺磨玻璃影', advice: '经鼻高流量氧疗' },
  lead: { summary: '重症肺炎，肺栓塞不能除外', basis: 'D-二聚体升高，右下肢肿胀', advice: '完善 CTPA' },
};

describe('turns off the path through the screens', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  let task;

  before(async () => {
    await house.start();
    const { doctor, admins } = house.world;
    // Tonight the doctor is duty head too.
    await admins.county.create({
      resourceType: 'PractitionerRole', active: true, practitioner: { reference: `Practitioner/${doctor.session.person.id}` },
      organization: { reference: doctor.organization }, code: [{ coding: [{ system: 'urn:shanhai:codes:role', code: 'duty-head' }] }],
      specialty: [{ text: '总值班' }], period: { start: '2026-01-01' },
    });
    await createPatient(doctor, { id: 'ZY0007', national: '660243197701020017', name: '田大江', gender: 'male', birthDate: '1977-01-02' });
  });

  after(() => house.stop());

  step('an emergency without consent waits for the duty head, who says why', async () => {
    at.doctor = await house.signIn('doctor');
    task = await turn.askEmergency(at.doctor);
    at.duty = await house.signIn('duty');
    await turn.approve(at.duty, PATIENT.name);
    await at.doctor.sees('总值班已批准特急会诊');
    await at.doctor.page.locator('button[data-action=submit]:not([disabled])').click();
    await at.doctor.page.waitForURL(/open=/);
    await at.doctor.hasState('待审核');
    await at.doctor.sees('昏迷，近亲属在外地，电话联系不上');
  });

  step('it comes back with every gap at once and goes again', async () => {
    at.coordinator = await house.signIn('coordinator');
    await turn.giveBack(at.coordinator, task, GAPS);
    await turn.mend(at.doctor, PATIENT.name, GAPS, '\n血气：PaO2 55 mmHg（FiO2 41%）。莫西沙星 0.4 g 每日一次。');
  });

  step('the invited lead declines with a reason; the next is asked', async () => {
    at.lead = await house.signIn('lead');
    await turn.offer(at.coordinator, task, { first: true, lead: named('lead').name });
    await turn.decline(at.lead, task, '今晚连台手术');
    await at.lead.go(`/consults/${task}`);
    await at.lead.sees('未找到，或不在可查阅范围内');
    await at.lead.forgive('404');
    await at.coordinator.hasState('已分派');
    await at.coordinator.sees('今晚连台手术');
    await turn.offer(at.coordinator, task, { lead: named('expert').name, experts: [named('lead').name] });
    at.expert = await house.signIn('expert');
    await walk.accept(at.expert, task);
    await walk.accept(at.lead, task);
  });

  step('each answers in writing; one keeps a different view, with his name', async () => {
    await turn.inWriting(at.expert, task, PATIENT);
    await walk.opine(at.expert, task, PASSWORD, OPINIONS.expert, '26-opinion');
    await walk.opine(at.lead, task, PASSWORD, OPINIONS.lead, '26-opinion-second');
    await turn.dissent(at.lead, task, PASSWORD, '不同意单纯肺炎的结论，应先除外肺栓塞', 'D-二聚体 8.6 mg/L');
    await walk.signJoint(at.expert, task, PASSWORD, '重症肺炎，高流量氧疗并抗感染。');
    const kept = at.expert.page.locator('.document section').filter({ hasText: '应先除外肺栓塞' });
    await at.expert.reads(kept, new RegExp(`保留意见.*${named('lead').name}`), 'the dissent stands with its name');
  });

  step('what is written after the signature is an addendum', async () => {
    await turn.addendum(at.lead, task, PASSWORD, 'CTPA 如阳性，请立即电话联系。');
    await at.doctor.go(`/consults/${task}?tab=joint`);
    await at.doctor.sees('CTPA 如阳性，请立即电话联系。');
    await at.doctor.sees('应先除外肺栓塞');
  });

  step('a study that fits nobody is matched by a person who has compared both', async () => {
    const folder = house.ct('held', '--slices', '4', '--patient-name', '田大江', '--patient-id', 'X-4711', '--sex', 'M', '--birth', '19770201', '--date', '20261121');
    await turn.matchHeld(at.doctor, folder, 'X-4711', '田大江');
  });

  step('the doctor who is duty head tonight changes post', async () => {
    await turn.switchPost(at.doctor, '总值班');
    await at.doctor.sees('待批准');
    await at.doctor.keep('30-second-post');
    await at.doctor.counts(at.doctor.page.getByRole('button', { name: '新建会诊' }), 0, 'a duty head asks for no consult');
    await turn.switchPost(at.doctor, '经治医师');
    await at.doctor.page.getByRole('button', { name: '新建会诊' }).waitFor();
  });

  step('the coordinator goes through the list by keys, typing and saved views, and sees what has changed', async () => {
    await turn.workList(at.coordinator, PATIENT.name);
    await turn.changes(at.coordinator, PATIENT.name);
  });

  step('every screen speaks English too', async () => {
    await at.coordinator.go('/consults');
    await at.coordinator.speak('en');
    for (const address of ['/consults', '/changes', '/consults?tab=archived', `/consults/${task}`, '/images', '/today', '/daily']) {
      await at.coordinator.go(address);
      await turn.speaksEnglish(at.coordinator, address);
    }
    await at.coordinator.keep('31-english');
    await at.coordinator.speak('zh');
  });

  step('nobody was told an error', async () => {
    for (const person of Object.values(at)) await person.leave();
  });
});
