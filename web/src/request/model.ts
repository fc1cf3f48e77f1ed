// A request while it is written, and its form on FHIR (docs/modules/consult.md, section 1).
import type {
  Attachment, BundleEntry, Condition, Consent, DocumentReference, Identifier, Patient, Priority, Resource, ServiceRequest, Task,
} from '../fhir-types';
import type { Consult } from '../consult/data';
import type { Machine } from '../states';
import { attachmentText } from '../room/history';
import { codeOf, codes, concept, extensionOf, extensionUrl, idOf, identifierOf, identifierSystem, localReference, textOf } from '../names';

export interface Verdict { verdict: string; faults: string[] }

export interface RequestDraft {
  machine: Machine;
  /** Of a diagnosis: what is to be read. */
  diagnosisKind: string;
  /** Of a diagnosis: the own verdict on each study. */
  verdicts: Record<string, Verdict>;
  recordText: string;
  patientId: string | undefined;
  name: string;
  gender: string;
  birthDate: string;
  inpatientNo: string;
  idNumber: string;
  phone: string;
  diagnosis: string;
  /** 病情程度 of the diagnosis: empty, severe or critical. */
  severity: string;
  summary: string;
  identityConfirmed: boolean;
  urgency: 'routine' | 'urgent' | 'stat';
  hospital: string;
  specialty: string;
  title: string;
  wantedTime: string;
  reason: string;
  purpose: string;
  studyIds: string[];
  photoIds: string[];
  shareRecord: boolean;
  consentKind: 'signed' | 'emergency';
  consentSigner: string;
  consentFile: Attachment | undefined;
  payer: string;
}

export const emptyDraft = (wantedTime: string): RequestDraft => ({
  machine: 'consult', diagnosisKind: 'imaging', verdicts: {}, recordText: '', patientId: undefined, name: '', gender: '', birthDate: '', inpatientNo: '', idNumber: '', phone: '', diagnosis: '', severity: '',
  summary: '', identityConfirmed: false, urgency: 'routine', hospital: '', specialty: '', title: 'associate-chief', wantedTime, reason: '', purpose: '',
  studyIds: [], photoIds: [], shareRecord: true, consentKind: 'signed', consentSigner: '', consentFile: undefined, payer: 'waived',
});

/** Who a known patient is, for a request that begins with the patient. */
export const identityOf = (patient: Patient): Partial<RequestDraft> => ({
  patientId: patient.id, name: patient.name?.[0]?.text ?? '', gender: patient.gender ?? '', birthDate: patient.birthDate ?? '',
  inpatientNo: identifierOf(patient, 'inpatient') ?? '', idNumber: identifierOf(patient, 'national') ?? '', phone: patient.telecom?.[0]?.value ?? '',
});

export function draftOf(consult: Consult): RequestDraft {
  const { request, patient } = consult;
  const record = consult.documents[0];
  return {
    ...emptyDraft(''),
    machine: consult.machine,
    diagnosisKind: codeOf(request?.category, 'diagnosis-kind') ?? 'imaging',
    verdicts: verdictsOf(consult),
    recordText: record ? (attachmentText(record) ?? '') : '',
    patientId: patient?.id,
    name: patient?.name?.[0]?.text ?? '',
    gender: patient?.gender ?? '',
    birthDate: patient?.birthDate ?? '',
    inpatientNo: identifierOf(patient, 'inpatient') ?? '',
    idNumber: identifierOf(patient, 'national') ?? '',
    phone: patient?.telecom?.[0]?.value ?? '',
    diagnosis: consult.conditions.map((condition) => textOf(condition.code)).join('\n'),
    summary: request?.note?.[0]?.text ?? '',
    identityConfirmed: true,
    urgency: request?.priority === 'stat' || request?.priority === 'urgent' ? request.priority : 'routine',
    hospital: idOf(request?.performer?.[0]?.reference) ?? '',
    specialty: request?.performerType?.text ?? '',
    title: extensionOf(request, 'wanted-title')?.valueCode ?? '',
    wantedTime: request?.occurrenceDateTime ?? '',
    reason: request?.reasonCode?.[0]?.text ?? '',
    purpose: request?.orderDetail?.[0]?.text ?? '',
    studyIds: consult.studies.flatMap((study) => (study.id ? [study.id] : [])),
    photoIds: consult.photos.flatMap((photo) => (photo.id ? [photo.id] : [])),
    consentKind: consult.consents.length === 0 && request?.priority === 'stat' ? 'emergency' : 'signed',
  };
}

/** The last verdict on each study. */
export function verdictsOf(consult: Consult): Record<string, Verdict> {
  const own = consult.observations.filter((one) => codeOf(one.code, 'consult-observation') === 'image-verdict')
    .sort((a, b) => (a.effectiveDateTime ?? '').localeCompare(b.effectiveDateTime ?? ''));
  return Object.fromEntries(own.map((one) => [idOf(one.focus?.[0]?.reference) ?? '', {
    verdict: codeOf(one.valueCodeableConcept, 'image-verdict') ?? '',
    faults: (one.component ?? []).flatMap((part) => codeOf(part.code, 'image-fault') ?? []),
  }]));
}

function verdictMissing(draft: RequestDraft): boolean {
  return draft.studyIds.some((id) => {
    const own = draft.verdicts[id];
    return !own?.verdict || (own.verdict !== 'acceptable' && own.faults.length === 0);
  });
}

/** What is missing, by the key of its line in the checklist. The server checks again and has the last word. */
export function gapsOf(draft: RequestDraft, hasConsent: boolean): string[] {
  const diagnosis = draft.machine === 'remote-diagnosis';
  const missing: [string, boolean][] = [
    ['studies', diagnosis && draft.diagnosisKind === 'imaging' && draft.studyIds.length === 0], ['verdicts', diagnosis && verdictMissing(draft)],
    ['name', draft.name === ''], ['gender', draft.gender === ''], ['birthDate', draft.birthDate === ''],
    ['identifier', draft.inpatientNo === '' && draft.idNumber === ''], ['identityConfirmed', !draft.identityConfirmed],
    ['summary', draft.summary.trim() === ''], ['hospital', draft.hospital === ''], ['specialty', !diagnosis && draft.specialty.trim() === ''], ['title', !diagnosis && draft.title === ''],
    ['wantedTime', draft.wantedTime === ''], ['reason', draft.reason.trim() === ''], ['purpose', draft.purpose.trim() === ''],
    ['consent', !hasConsent && draft.consentKind === 'signed' && (!draft.consentFile || draft.consentSigner.trim() === '')],
    ['emergency', !hasConsent && draft.consentKind === 'emergency'],
  ];
  return missing.filter(([, gap]) => gap).map(([key]) => key);
}

export function toPatient(draft: RequestDraft, organization: string): Patient {
  const identifier: Identifier[] = [];
  if (draft.inpatientNo) identifier.push({ system: identifierSystem('inpatient'), value: draft.inpatientNo.trim() });
  if (draft.idNumber) identifier.push({ system: identifierSystem('national'), value: draft.idNumber.trim().toUpperCase() });
  return {
    resourceType: 'Patient',
    ...(identifier.length > 0 ? { identifier } : {}),
    ...(draft.name ? { name: [{ text: draft.name.trim() }] } : {}),
    ...(draft.gender ? { gender: draft.gender as Patient['gender'] } : {}),
    ...(draft.birthDate ? { birthDate: draft.birthDate } : {}),
    managingOrganization: { reference: `Organization/${organization}` },
    ...(draft.phone ? { telecom: [{ system: 'phone', value: draft.phone.trim() }] } : {}),
  };
}

/** crypto.randomUUID is missing on plain http addresses of an intranet. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

const compact = <T extends object>(resource: T): T =>
  Object.fromEntries(Object.entries(resource).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))) as T;

const SCOPE = { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'treatment' }] };

export interface SaveOptions {
  postId: string;
  organizationId: string;
  consult?: Consult;
  now: string;
  /** References that are shared besides the studies and what the form itself makes. */
  shared: string[];
}

/** Everything that the draft needs written, as one transaction: all of it or nothing. */
export function toTransaction(draft: RequestDraft, options: SaveOptions): BundleEntry[] {
  const { consult, postId, now } = options;
  const entries: BundleEntry[] = [];
  const add = (resource: Resource): string => {
    const fullUrl = `urn:uuid:${uuid()}`;
    entries.push({ fullUrl, resource, request: { method: 'POST', url: resource.resourceType } });
    return fullUrl;
  };
  const replace = (resource: Resource) =>
    entries.push({
      fullUrl: `${resource.resourceType}/${resource.id ?? ''}`,
      resource,
      request: { method: 'PUT', url: `${resource.resourceType}/${resource.id ?? ''}`, ifMatch: `W/"${resource.meta?.versionId ?? ''}"` },
    });

  const subject = { reference: draft.patientId ? `Patient/${draft.patientId}` : add(toPatient(draft, options.organizationId)) };
  const shared = [...options.shared, ...draft.studyIds.map((id) => `ImagingStudy/${id}`), ...draft.photoIds.map((id) => `Media/${id}`)];
  if (!consult) shared.push(...newRecords(draft, subject, now).map(add));

  const request = compact<ServiceRequest>({
    ...(consult?.request ?? { resourceType: 'ServiceRequest', status: 'draft', intent: 'order', code: concept('consult-kind', draft.machine === 'consult' ? 'remote-consult' : draft.machine), subject }),
    subject,
    category: draft.machine === 'remote-diagnosis' ? [concept('diagnosis-kind', draft.diagnosisKind)] : undefined,
    priority: draft.urgency as Priority,
    requester: consult?.request?.requester ?? { reference: `PractitionerRole/${postId}` },
    performer: draft.hospital ? [{ reference: `Organization/${draft.hospital}` }] : undefined,
    performerType: draft.machine === 'consult' && draft.specialty.trim() ? { text: draft.specialty.trim() } : undefined,
    extension: draft.machine === 'consult' && draft.title ? [{ url: extensionUrl('wanted-title'), valueCode: draft.title }] : undefined,
    occurrenceDateTime: draft.wantedTime || undefined,
    reasonCode: draft.reason.trim() ? [{ text: draft.reason.trim() }] : undefined,
    orderDetail: draft.purpose.trim() ? [{ text: draft.purpose.trim() }] : undefined,
    note: draft.summary.trim() ? [{ text: draft.summary.trim() }] : undefined,
    supportingInfo: [...new Set(shared)].map((reference) => ({ reference })),
  });
  const requestReference = consult?.request ? (replace(request), `ServiceRequest/${request.id ?? ''}`) : add(request);
  if (draft.consentFile && draft.consentKind === 'signed') add(toConsent(draft, subject, requestReference, now));
  if (!consult) add(toTask(draft, subject, requestReference, postId, now));
  return entries;
}

function newRecords(draft: RequestDraft, subject: { reference: string }, now: string): Resource[] {
  const records: Resource[] = [];
  if (draft.diagnosis.trim()) {
    const condition: Condition = { resourceType: 'Condition', code: { text: draft.diagnosis.trim() }, subject, recordedDate: now,
      ...(draft.severity ? { severity: concept('severity', draft.severity) } : {}) };
    records.push(condition);
  }
  if (draft.recordText.trim() && draft.shareRecord) {
    const data = base64Of(new TextEncoder().encode(draft.recordText));
    const document: DocumentReference = {
      resourceType: 'DocumentReference', status: 'current', type: { text: '入院记录' }, subject, date: now,
      content: [{ attachment: { contentType: 'text/plain; charset=utf-8', data, title: '入院记录.txt' } }],
    };
    records.push(document);
  }
  return records;
}

function toConsent(draft: RequestDraft, subject: { reference: string }, request: string, now: string): Consent {
  return {
    resourceType: 'Consent',
    status: 'active',
    scope: SCOPE,
    category: [concept('consent-kind', 'remote-consult', '远程会诊知情同意书')],
    patient: subject,
    dateTime: now,
    performer: [{ ...subject, display: draft.consentSigner.trim() }],
    policyRule: { text: '远程会诊知情同意书' },
    sourceAttachment: draft.consentFile,
    provision: { data: [{ meaning: 'related', reference: { reference: request } }] },
    extension: [{ url: extensionUrl('payer'), valueCode: draft.payer }],
  } as Consent;
}

function toTask(draft: RequestDraft, subject: { reference: string }, request: string, postId: string, now: string): Task {
  return {
    resourceType: 'Task',
    code: { coding: [{ system: codes('workflow'), code: draft.machine }] },
    status: 'draft',
    intent: 'order',
    businessStatus: concept(`${draft.machine}-state`, 'draft'),
    priority: draft.urgency,
    focus: { reference: request },
    for: subject,
    requester: { reference: `PractitionerRole/${postId}` },
    authoredOn: now,
  };
}

/** Shared things of an existing request that this form does not show stay shared. */
export function keptShared(consult: Consult | undefined): string[] {
  return (consult?.request?.supportingInfo ?? [])
    .map((reference) => localReference(reference.reference))
    .filter((reference): reference is string => reference !== undefined && !/^(ImagingStudy|Media)\//.test(reference));
}

export function returnedGaps(consult: Consult | undefined): string[] {
  if (consult?.state !== 'returned') return [];
  const last = consult.provenances.filter((one) => codeOf(one.activity, 'transition') === 'return').at(-1);
  return (last?.reason ?? []).flatMap((reason) => (reason.text ?? '').split(/[；;\n]/)).filter(Boolean);
}
