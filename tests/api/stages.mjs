// How far a consult is played before a test begins: the steps that every test of a later step would repeat.
import { identity, reference, text, time } from '../../scenarios/client.mjs';
import { draftConsult, PASSWORD, patientFacts } from '../../scenarios/world.mjs';

export const readBack = () => [identity('name', patientFacts.name), identity('id-number', patientFacts.national)];

export function opinionOf(w, person, encounter, words) {
  return { resourceType: 'ClinicalImpression', status: 'in-progress', code: { coding: [{ system: 'urn:shanhai:codes:opinion-kind', code: 'opinion' }] },
    subject: { reference: `Patient/${w.patient.id}` }, encounter: { reference: encounter }, assessor: { reference: person.post }, date: new Date().toISOString(),
    summary: words, finding: [{ itemCodeableConcept: { text: words }, basis: `依据-${words}` }] };
}

export async function toSubmitted(w, options = {}) {
  const consult = await draftConsult(w.doctor, { patient: w.patient.id, invited: w.coordinator.organization, ...options });
  const task = await w.doctor.take(consult.task, 'submit');
  return { ...consult, encounter: task.encounter.reference };
}

export async function toSession(w, options) {
  const consult = await toSubmitted(w, options);
  await w.coordinator.take(consult.task, 'allocate');
  await w.coordinator.take(consult.task, 'offer', { lead: reference(w.lead.post), expert: reference(w.expert.post) });
  await w.lead.take(consult.task, 'accept');
  await w.expert.take(consult.task, 'accept');
  await w.coordinator.take(consult.task, 'schedule', { start: time(new Date(Date.now() + 60e3).toISOString()) });
  await w.lead.take(consult.task, 'start', { identity: readBack() });
  return consult;
}

export async function signOpinion(w, consult, person, words) {
  const made = await person.create(opinionOf(w, person, consult.encounter, words));
  return person.take(consult.task, 'sign-opinion', { opinion: reference(`ClinicalImpression/${made.id}`), password: text(PASSWORD) });
}

// Gives the consult with the reference of its signed document.
export async function toDelivered(w, options) {
  const consult = await toSession(w, options);
  await signOpinion(w, consult, w.lead, '病毒性肺炎');
  await signOpinion(w, consult, w.expert, '机化性肺炎可能');
  const joint = await w.lead.create({ resourceType: 'Composition', status: 'preliminary', type: { coding: [{ system: 'urn:shanhai:codes:document', code: 'joint-opinion' }] },
    subject: { reference: `Patient/${w.patient.id}` }, encounter: { reference: consult.encounter }, date: new Date().toISOString(), author: [{ reference: w.lead.post }],
    title: '远程会诊意见报告', section: [{ title: '一致意见', code: { coding: [{ system: 'urn:shanhai:codes:section', code: 'consensus' }] },
      text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>先按病毒性肺炎处理</p></div>' } }] });
  const signed = await w.lead.take(consult.task, 'sign', { composition: reference(`Composition/${joint.id}`), password: text(PASSWORD) });
  await w.coordinator.take(consult.task, 'deliver');
  return { ...consult, document: signed.output.find((o) => o.type.coding[0].code === 'joint-opinion').valueReference.reference };
}
