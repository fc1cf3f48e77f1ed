// The main path clicked through in Chromium by the people of both hospitals, from a pasted record and a folder of
// images to the closed consult and the day's figures: no console error, axe clean, a picture of each screen.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hospitals, PASSWORD } from '../../scenarios/world.mjs';
import { House, named, stepsOf, why } from './house.mjs';
import { Person } from './people.mjs';
import * as walk from './walk.mjs';

describe('the path through the screens', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  const signIn = (key, options) => house.signIn(key, options);
  let folder;
  let task;

  before(async () => {
    await house.start();
    folder = house.ct('ct', '--slices', '60', '--patient-name', '冉山茶', '--patient-id', 'ZY20261120', '--sex', 'F', '--birth', '19680305', '--date', '20261121');
  });

  after(() => house.stop());

  step('refuses a wrong password and says what to do', async () => {
    const page = await (await house.browser.newContext({ locale: 'zh-CN', viewport: { width: 1440, height: 900 } })).newPage();
    const person = new Person('nobody', page, house.server.base);
    await person.open('/consults');
    await person.keep('01-sign-in');
    await page.fill('#name', named('doctor').account);
    await page.fill('#password', 'not the password');
    await page.click('button[type=submit]');
    await person.sees('账号或密码不正确');
    await person.forgive('401');
    await person.leave();
  });

  step('the county doctor pastes the record, adds the images and asks', async () => {
    at.doctor = await signIn('doctor');
    task = await walk.ask(at.doctor, { folder, hospital: hospitals.helper.name, specialty: '呼吸与危重症' });
    assert.match(task, /^[0-9a-f-]{36}$/);
  });

  step('the radiologist looks at the measurement and agrees', async () => {
    at.radiologist = await signIn('radiologist');
    await walk.review(at.radiologist);
  });

  step('the coordinator judges, allocates, invites; the experts accept; a time is set', async () => {
    at.coordinator = await signIn('coordinator');
    await walk.allocate(at.coordinator, task, { lead: named('lead').name, expert: named('expert').name });
    at.lead = await signIn('lead');
    at.expert = await signIn('expert');
    await walk.accept(at.lead, task);
    await walk.accept(at.expert, task);
    await walk.schedule(at.coordinator, task);
  });

  step('identity is read back, the images are read, a word is said', async () => {
    await walk.start(at.lead, task);
    await walk.readImages(at.lead);
    await walk.measured(at.lead, '06-room');
    await walk.say(at.lead, '右下叶请看这一层。');
    await at.doctor.open(`/consults/${task}?tab=discussion`);
    await at.doctor.sees('右下叶请看这一层。');
    await at.doctor.sees('看第');
    await walk.present(at.lead, at.doctor, { presenter: named('lead').name, follower: named('doctor').name });
  });

  step('each expert writes and signs without seeing the other first', async () => {
    const first = { summary: '重症肺炎，I 型呼吸衰竭', basis: '双肺多发磨玻璃影；氧合指数下降', advice: '经鼻高流量氧疗' };
    const second = { summary: '病毒性肺炎可能', basis: '胸膜下磨玻璃影', advice: '送检呼吸道病原核酸' };
    await walk.writeOnBrokenLine(at.lead, task, '双肺多发磨玻璃影');
    await walk.opine(at.lead, task, PASSWORD, first, '07-opinion');
    await at.expert.open(`/consults/${task}?tab=opinion`);
    await at.expert.sees('您签署后可见');
    assert.equal(await at.expert.page.getByText(first.summary).count(), 0, 'a signed opinion is not shown to who has not signed');
    await walk.opine(at.expert, task, PASSWORD, second, '07-opinion-second');
    await at.expert.sees(first.summary);
  });

  step('the lead signs the joint opinion; the county doctor decides and gives feedback', async () => {
    await walk.signJoint(at.lead, task, PASSWORD, '重症社区获得性肺炎，高流量氧疗并抗感染，48 小时复查。');
    await walk.decide(at.doctor, task, PASSWORD);
    await walk.print(at.doctor, task);
    await walk.feedBack(at.doctor, task);
    await at.doctor.keep('10-closed');
  });

  step('the command sees the day, the report and what was counted', async () => {
    at.commander = await signIn('commander');
    await walk.figures(at.commander);
  });

  step('the administrator sees people and posts, not patients', async () => {
    at.county = await signIn('county');
    await walk.people(at.county, named('doctor'));
  });

  step('the worklist and the room stand on a phone, in English too', async () => {
    const phone = await signIn('doctor', { width: 360, height: 780, name: 'doctor on a phone' });
    await phone.open('/consults?tab=archived');
    await phone.sees('冉山茶');
    await phone.keep('14-phone-worklist');
    await phone.open(`/consults/${task}`);
    await phone.hasState('已归档');
    await phone.fits();
    await phone.seesWhole('.parcel-stations [aria-current=step]');
    await phone.keep('15-phone-room');
    await phone.speak('en');
    await phone.sees('Closed');
    await phone.leave();
  });

  step('nobody was told an error', async () => {
    for (const person of Object.values(at)) await person.leave();
  });
});
