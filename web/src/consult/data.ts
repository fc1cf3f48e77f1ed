// Everything that belongs to one consult, read in two round trips and kept as one object.
import { useQuery, useQueryClient, type QueryClient } from '@tanstack/react-query';
import { read, resourcesOf, searchMany, type SearchParameters } from '../fhir';
import type {
  Appointment, Bundle, ChargeItem, ClinicalImpression, Communication, Composition, Condition, Consent, DiagnosticReport, DocumentReference,
  Encounter, ImagingStudy, Invoice, Media, Observation, Patient, Provenance, QuestionnaireResponse, Reference, Resource, ServiceRequest, Task,
} from '../fhir-types';
import { codeOf, extensionOf, idOf, localReference } from '../names';
import type { ConsultState, Machine } from '../states';

export interface Consult {
  task: Task;
  machine: Machine;
  state: ConsultState;
  request: ServiceRequest | undefined;
  patient: Patient | undefined;
  encounter: Encounter | undefined;
  appointment: Appointment | undefined;
  consents: Consent[];
  observations: Observation[];
  impressions: ClinicalImpression[];
  communications: Communication[];
  compositions: Composition[];
  provenances: Provenance[];
  /** Signatures over single opinions. */
  signatures: Provenance[];
  studies: ImagingStudy[];
  /** Photos of film: never for diagnosis. */
  photos: Media[];
  reports: DiagnosticReport[];
  /** Of a remote diagnosis: what is written, handed in or signed. */
  diagnosis: DiagnosticReport[];
  conditions: Condition[];
  documents: DocumentReference[];
  bundles: { kind: string; bundle: Bundle }[];
  feedback: QuestionnaireResponse[];
  /** The fee as it stands: what is charged, how much of it is to be paid, by whom. */
  charge: ChargeItem | undefined;
  invoice: Invoice | undefined;
}

export const machineOf = (task: Task): Machine => (codeOf(task.code, 'workflow') === 'remote-diagnosis' ? 'remote-diagnosis' : 'consult');

export const stateOf = (task: Task): ConsultState => (codeOf(task.businessStatus, `${machineOf(task)}-state`) ?? 'draft') as ConsultState;

const ofType = <T extends Resource>(resources: Resource[], type: T['resourceType']) =>
  resources.filter((resource) => resource.resourceType === type) as T[];

/** Puts what came with a search into the one store of single resources, so that nobody asks for it again. */
export function remember(client: QueryClient, resources: Resource[]): void {
  for (const resource of resources) {
    if (resource.id) client.setQueryData(['fhir', resource.resourceType, resource.id], resource);
  }
}

/** The targets of a list of references, gathered into one search for each type. */
function searchesFor(references: (Reference | undefined)[]): { type: string; parameters: SearchParameters }[] {
  const ids = new Map<string, Set<string>>();
  for (const reference of references) {
    const [type, id] = (localReference(reference?.reference) ?? '').split('/');
    if (type && id) ids.set(type, (ids.get(type) ?? new Set()).add(id));
  }
  return [...ids].map(([type, set]) => ({ type, parameters: { _id: [...set].join(','), _count: 100 } }));
}

/** After closing the invited hospital reads its own copy of what the consult held, where the record itself is closed. */
function withArchive(read: Resource[]): Resource[] {
  const seen = new Set(read.map((resource) => `${resource.resourceType}/${resource.id ?? ''}`));
  const kept = ofType<Bundle>(read, 'Bundle').filter((bundle) => bundle.type === 'collection').flatMap((bundle) => resourcesOf(bundle));
  return [...read, ...kept.filter((resource) => !seen.has(`${resource.resourceType}/${resource.id ?? ''}`))];
}

async function loadConsult(taskId: string, client: QueryClient): Promise<Consult> {
  const task = await read<Task>(`Task/${taskId}`);
  const requestId = idOf(task.focus?.reference) ?? '';
  const encounter = task.encounter?.reference;
  const first = await searchMany([
    ...searchesFor([task.focus, task.for, task.encounter, ...(task.output ?? []).map((output) => output.valueReference)]),
    { type: 'Provenance', parameters: { target: `Task/${taskId}`, _count: 100 } },
    { type: 'Appointment', parameters: { 'based-on': `ServiceRequest/${requestId}`, _count: 20 } },
    { type: 'Consent', parameters: { data: `ServiceRequest/${requestId}`, _count: 20 } },
    ...(machineOf(task) === 'remote-diagnosis'
      ? [{ type: 'DiagnosticReport', parameters: { 'based-on': `ServiceRequest/${requestId}`, _count: 20 } },
         { type: 'Observation', parameters: { 'based-on': `ServiceRequest/${requestId}`, _count: 50 } }]
      : []),
    { type: 'QuestionnaireResponse', parameters: { 'based-on': `ServiceRequest/${requestId}`, _count: 20 } },
    ...(encounter
      ? [{ type: 'ChargeItem', parameters: { context: encounter, _count: 20 } },
        { type: 'Invoice', parameters: { subject: task.for?.reference, status: 'issued', _count: 50 } },
        ...['Observation', 'ClinicalImpression', 'Composition', 'Communication'].map((type) => ({
          type,
          parameters: { encounter, _count: 200 },
        }))]
      : []),
  ]);
  const known = withArchive(first.flat());
  const request = ofType<ServiceRequest>(known, 'ServiceRequest')[0];
  const opinions = ofType<ClinicalImpression>(known, 'ClinicalImpression').map((one) => `ClinicalImpression/${one.id ?? ''}`);
  const shared = (await searchMany([
    ...searchesFor(request?.supportingInfo ?? []),
    { type: 'DiagnosticReport', parameters: { patient: task.for?.reference, _count: 50 } },
    ...(opinions.length > 0 ? [{ type: 'Provenance', parameters: { target: opinions.join(','), _count: 50 } }] : []),
  ])).flat();
  remember(client, [task, ...known, ...shared]);
  return assemble(task, request, known, shared);
}

function assemble(task: Task, request: ServiceRequest | undefined, known: Resource[], shared: Resource[]): Consult {
  const byReference = new Map(known.map((resource) => [`${resource.resourceType}/${resource.id ?? ''}`, resource]));
  const at = <T extends Resource>(reference: Reference | undefined) =>
    byReference.get(localReference(reference?.reference) ?? '') as T | undefined;
  const studies = ofType<ImagingStudy>(shared, 'ImagingStudy');
  const studyIds = new Set(studies.map((study) => study.id));
  const appointments = ofType<Appointment>(known, 'Appointment').sort(newestFirst);
  const bundles = (task.output ?? []).flatMap((output) => {
    const bundle = at<Bundle>(output.valueReference);
    return bundle ? [{ kind: codeOf(output.type, 'consult-output') ?? '', bundle }] : [];
  });
  const unique = <T extends Resource>(resources: T[]) => [...new Map(resources.map((one) => [one.id, one])).values()];
  return {
    task,
    machine: machineOf(task),
    state: stateOf(task),
    request,
    // After the end the invited hospital has its archive copy only: the patient as the signed document holds him.
    patient: at<Patient>(task.for) ?? frozenPatient(bundles),
    encounter: at<Encounter>(task.encounter),
    appointment: appointments.find((appointment) => appointment.status !== 'cancelled') ?? appointments[0],
    consents: ofType<Consent>(known, 'Consent'),
    observations: ofType<Observation>(known, 'Observation'),
    impressions: ofType<ClinicalImpression>(known, 'ClinicalImpression'),
    communications: ofType<Communication>(known, 'Communication').sort((a, b) => (a.sent ?? '').localeCompare(b.sent ?? '')),
    compositions: ofType<Composition>(known, 'Composition'),
    provenances: ofType<Provenance>(known, 'Provenance').sort((a, b) => a.recorded.localeCompare(b.recorded)),
    signatures: ofType<Provenance>(shared, 'Provenance').filter((one) => (one.signature ?? []).length > 0),
    studies,
    photos: ofType<Media>(shared, 'Media'),
    reports: unique(ofType<DiagnosticReport>(shared, 'DiagnosticReport')).filter((report) =>
      codeOf(report.code, 'report-kind') !== 'remote-diagnosis' && report.imagingStudy?.some((reference) => studyIds.has(idOf(reference.reference) ?? '')),
    ),
    diagnosis: ofType<DiagnosticReport>(known, 'DiagnosticReport').sort(newestFirst),
    conditions: ofType<Condition>(shared, 'Condition'),
    documents: ofType<DocumentReference>(shared, 'DocumentReference'),
    bundles,
    feedback: ofType<QuestionnaireResponse>(known, 'QuestionnaireResponse'),
    charge: ofType<ChargeItem>(known, 'ChargeItem').find((one) => one.status !== 'aborted'),
    invoice: ofType<Invoice>(known, 'Invoice').find((one) => extensionOf(one, 'consult')?.valueReference?.reference === task.focus?.reference),
  };
}

/** For a dialog about a Task that is no consult: whose record it is, and nothing else of one. */
export function bareConsult(task: Task, patient: Patient | undefined): Consult {
  return assemble(task, undefined, patient ? [patient] : [], []);
}

const frozenPatient = (bundles: Consult['bundles']) =>
  bundles.flatMap(({ bundle }) => resourcesOf<Patient>(bundle, 'Patient'))[0];

const newestFirst = (a: Resource, b: Resource) => (b.meta?.lastUpdated ?? '').localeCompare(a.meta?.lastUpdated ?? '');

export function useConsult(taskId: string | undefined) {
  const client = useQueryClient();
  return useQuery({
    queryKey: ['consult', taskId],
    queryFn: () => loadConsult(taskId ?? '', client),
    enabled: taskId !== undefined,
  });
}

/** One patient, one store: whoever needs the patient reads this. */
export function usePatient(reference: string | undefined) {
  const id = idOf(reference);
  return useQuery({
    queryKey: ['fhir', 'Patient', id],
    queryFn: ({ signal }) => read<Patient>(`Patient/${id ?? ''}`, signal),
    enabled: id !== undefined,
  });
}
