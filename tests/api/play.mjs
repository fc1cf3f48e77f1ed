// Consults brought to a state over the public interfaces, and the program stopped and started with its clock ahead.
import { once } from 'node:events';
import { code, identity, Person, reference, text, time } from '../../scenarios/client.mjs';
import { addPerson, draftConsult, PASSWORD, patientFacts, startServer } from '../../scenarios/world.mjs';
import { program } from './support.mjs';

export const readBack = () => [identity('name', patientFacts.name), identity('id-number', patientFacts.national)];
const password = () => text(PASSWORD);

export const opinionOf = (person, patient, encounter, words) => ({ resourceType: 'ClinicalImpression', status: 'in-progress',
  code: { coding: [{ system: 'urn:shanhai:codes:opinion-kind', code: 'opinion' }] }, subject: { reference: `Patient/${patient}` },
  encounter: { reference: encounter }, assessor: { reference: person.post }, date: new Date().toISOString(), summary: words,
  finding: [{ itemCodeableConcept: { text: words }, basis: `依据-${words}` }] });

export const jointOf = (person, patient, encounter, words) => ({ resourceType: 'Composition', status: 'preliminary',
  type: { coding: [{ system: 'urn:shanhai:codes:document', code: 'joint-opinion' }] }, subject: { reference: `Patient/${patient}` },
  encounter: { reference: encounter }, date: new Date().toISOString(), author: [{ reference: person.post }], title: '远程会诊意见报告',
  section: [{ title: '一致意见', code: { coding: [{ system: 'urn:shanhai:codes:section', code: 'consensus' }] },
    text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml"><p>${words}</p></div>` } }] });

export async function toAllocated(w, options = {}) {
  const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, ...options });
  await w.doctor.take(consult.task, 'submit');
  for (const study of options.shared ?? []) {
    if (study.startsWith('ImagingStudy/')) await w.coordinator.take(consult.task, 'judge-images', { study: reference(study), verdict: code('acceptable') });
  }
  await w.coordinator.take(consult.task, 'allocate');
  return consult;
}

export async function toSession(w, options = {}) {
  const consult = await toAllocated(w, options);
  await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post) });
  await w.lead.take(consult.task, 'accept');
  await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + (options.aheadMinutes ?? 0) * 60e3 + 60e3).toISOString()) });
  const started = await w.lead.take(consult.task, 'start', { identity: readBack() });
  return { ...consult, encounter: started.encounter.reference };
}

export async function toSigned(w, options) {
  const consult = await toSession(w, options);
  const opinion = await w.lead.create(opinionOf(w.lead, w.patient.id, consult.encounter, '病毒性肺炎'));
  await w.lead.take(consult.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${opinion.id}`), password: password() });
  const joint = await w.lead.create(jointOf(w.lead, w.patient.id, consult.encounter, '按病毒性肺炎处理'));
  const signed = await w.lead.take(consult.task, 'sign', { composition: reference(`Composition/${joint.id}`), password: password() });
  return { ...consult, opinion: opinion.id, joint: joint.id, document: signed.output[0].valueReference.reference };
}

export async function toDecided(w, options) {
  const consult = await toSigned(w, options);
  await w.coordinator.take(consult.task, 'deliver');
  await w.doctor.take(consult.task, 'decide', { adoption: code('adopted'), plan: text('按意见执行'), password: password() });
  return consult;
}

// Stops the program (kill: without warning) and starts it on the same folder, its clock ahead; who is named signs in again.
// `before` runs while it stands still.
export async function restart(w, { aheadMinutes = 0, kill = false, people = [], before = () => {} } = {}) {
  if (kill) {
    const ended = once(w.server.child, 'exit');
    w.server.child.kill('SIGKILL');
    await ended;
  } else {
    const status = await w.server.stop();
    if (status !== 0) throw new Error(`the server ended with ${status}: ${w.server.log()}`);
  }
  before();
  w.server = await startServer(program, w.data, [...w.options, '--clock-ahead', String(aheadMinutes)]);
  w.base = w.server.base;
  for (const person of people) {
    person.base = w.base;
    person.cookie = '';
    await person.signIn(PASSWORD);
  }
}

// Names of the steps that were taken, in order.
export async function stepsOf(person, task) {
  const steps = await person.search('Provenance', { target: `Task/${task}`, _count: '100' });
  return steps.filter((p) => p.activity.coding[0].system === 'urn:shanhai:codes:transition' && p.activity.coding[0].code !== 'signature')
    .sort((a, b) => a.recorded.localeCompare(b.recorded));
}
export const stepNames = async (person, task) => (await stepsOf(person, task)).map((p) => p.activity.coding[0].code);

// One more person with a post at the helping hospital, signed in.
export async function hire(w, person) {
  const organization = { reference: w.coordinator.organization, name: '聊城市示例医院' };
  const { first } = await addPerson(w.admins.helper, organization, person);
  const signedIn = await new Person(w.base, person.account).signIn(first);
  await signedIn.changePassword(PASSWORD);
  return signedIn;
}

// The duty list: one Schedule a shift, its actors in the order in which they are called.
export const dutyList = (posts, hours = 48, from = Date.now()) => ({ resourceType: 'Schedule', active: true,
  serviceType: [{ coding: [{ system: 'urn:shanhai:codes:duty', code: 'consult', display: '会诊值班' }] }], actor: posts.map((reference) => ({ reference })),
  planningHorizon: { start: new Date(from - 3600e3).toISOString(), end: new Date(from + hours * 3600e3).toISOString() } });
