// Every page of five people (county doctor, expert, commander, administrator, medical affairs) at the three sizes they have:
// nothing runs over the edge, axe finds nothing, figures say 截至, English has no Chinese left.
import { after, before, describe, it } from 'node:test';
import { createPatient, patientFacts } from '../../scenarios/world.mjs';
import { dutyList, toAllocated, toDecided, toSession } from '../api/play.mjs';
import { waitFor } from '../api/support.mjs';
import { House, stepsOf, why } from './house.mjs';
import { PICTURES } from './people.mjs';
import { speaksEnglish } from './turns.mjs';

const SIZES = [['desk', 1920, 1080], ['small', 1366, 768], ['phone', 360, 740]];

describe('every page at three sizes', { skip: why, timeout: 900_000 }, () => {
  const house = new House();
  const at = {};
  const step = stepsOf(it, at);
  let w;
  let running;
  let decided;
  let study;

  before(async () => {
    await house.start();
    await house.hire({ key: 'affairs', hospital: 'county', account: 'heyi', name: '何怡', role: 'medical-affairs', title: 'associate-chief', specialty: '医务部', phone: '15400000022' });
    w = house.world;
    w.patient = await createPatient(w.doctor);
    await house.send(w.doctor, house.ct('ct', '--slices', '12', '--patient-name', patientFacts.name, '--patient-id', patientFacts.id, '--sex', 'M', '--birth', '19620308', '--date', '20261121'));
    await house.send(w.doctor, house.ct('held', '--slices', '3', '--size', '64', '--patient-name', '欧阳长风', '--patient-id', 'X-20261121-000047', '--sex', 'M', '--birth', '19620308', '--date', '20261121', '--seed', '7'));
    study = (await waitFor('the study', async () => (await w.doctor.search('ImagingStudy'))[0])).id;
    decided = await toDecided(w);
    running = await toSession(w, { priority: 'stat', shared: [`ImagingStudy/${study}`] });
    await toAllocated(w, { priority: 'urgent' });
    await w.coordinator.create(dutyList([w.lead.post, w.expert.post]));
    await w.doctor.create({ resourceType: 'Condition', code: { text: '重症社区获得性肺炎' }, subject: { reference: `Patient/${w.patient.id}` },
      severity: { coding: [{ system: 'urn:shanhai:codes:severity', code: 'critical' }] }, recordedDate: new Date().toISOString() });
    await w.lead.take(running.task, 'report-critical', { finding: { valueString: '右侧张力性气胸，纵隔左移' }, found: { valueDateTime: new Date().toISOString() } });
    await w.admins.county.create({ resourceType: 'Organization', active: true, name: '彭水县示例医院汉葭街道社区卫生服务中心', partOf: { reference: w.doctor.organization } });
  });

  after(() => house.stop());

  async function walk(key, pages, options = {}) {
    const person = await house.signIn(key);
    at[key] = person;
    for (const address of pages) {
      await person.go(address);
      await person.settles();
      const name = `${key}-${address.split('?')[0].replace(/[^a-z-]+/g, '-').replace(/^-|-$/g, '') || 'home'}${new URLSearchParams(address.split('?')[1]).get('tab') ?? ''}`;
      for (const [size, width, height] of SIZES) {
        await person.page.setViewportSize({ width, height });
        await person.fits();
        // What axe finds on the large screen it finds on the small one: there a picture is enough.
        if (size !== 'desk') await person.keep(`size-${size}-${name}`);
        else if (PICTURES) await person.photograph(`size-${size}-${name}`);
      }
    }
    if (options.english) {
      await person.speak('en');
      for (const address of pages.slice(0, options.english)) {
        await person.go(address);
        await speaksEnglish(person, address);
        await person.fits();
      }
    }
    await person.leave();
    delete at[key];
  }

  step('the county doctor', () => walk('doctor', ['/consults?tab=waiting', '/consults/new', `/consults/${running.task}?tab=discussion`, `/consults/${decided.task}?tab=feedback`, '/images?tab=held', '/images?tab=review', '/critical', '/round', '/changes', '/today']));
  step('the expert', () => walk('lead', ['/duty', `/consults/${running.task}?tab=opinion`, `/consults?open=${running.task}`, '/break-glass', '/critical'], { english: 2 }));
  step('the coordinator', async () => {
    const person = await house.signIn('coordinator');
    await person.go(`/consults/${decided.task}?tab=joint`);
    await person.sees('联合意见已签署');
    await person.sees('当前岗位只看状态和时间');
    await person.leave();
    await walk('coordinator', ['/consults?tab=today', '/consults/handover?tab=today', `/consults/${decided.task}?tab=joint`, '/daily']);
  });
  step('the commander', () => walk('commander', ['/screen', '/consults?tab=running', '/today', '/daily', '/round', '/changes'], { english: 5 }));
  step('medical affairs', () => walk('affairs', ['/holds', '/break-glass', '/duty', '/today'], { english: 3 }));
  step('the administrator', () => walk('county', ['/people', '/people?tab=posts', '/people?tab=organizations'], { english: 3 }));
});
