// Critical values: each a Task of its own machine about a Communication. Open ones are asked for wherever a person is.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { resourcesOf, search, transaction, type SearchParameters } from '../fhir';
import type { Communication, Extension, ImagingStudy, Patient, Task } from '../fhir-types';
import { codeOf, codes, concept, extensionOf, extensionUrl, idOf } from '../names';
import { limitIn, loadTimes } from '../rule-times';
import type { Session } from '../session';

export const OPEN_STATES = ['found', 'called'] as const;

export interface CriticalValue { task: Task; state: string; value: Communication | undefined; patient: Patient | undefined }

export const stateOfCritical = (task: Task) => codeOf(task.businessStatus, 'critical-value-state') ?? 'found';

/** How late the read-back is; 0 or less while there is time. Computed here, stored nowhere. */
export function lateness(critical: CriticalValue, now = Date.now()): number {
  const due = critical.task.restriction?.period?.end;
  if (!due) return 0;
  const open = (OPEN_STATES as readonly string[]).includes(critical.state);
  const until = open ? now : Date.parse(critical.value?.received ?? due);
  return until - Date.parse(due);
}

export function useCriticalValues(only: SearchParameters, enabled = true) {
  const client = useQueryClient();
  return useQuery({
    queryKey: ['list', 'Task', 'critical-value', only],
    queryFn: async ({ signal }) => {
      const bundle = await search('Task', {
        code: `${codes('workflow')}|critical-value`, ...only, _include: ['Task:focus', 'Task:patient'], _sort: '-authored-on', _count: 100,
      }, signal);
      const found = resourcesOf(bundle);
      for (const one of found) if (one.id) client.setQueryData(['fhir', one.resourceType, one.id], one);
      const at = (reference: string | undefined) => found.find((one) => one.id === idOf(reference));
      return resourcesOf<Task>(bundle, 'Task').map((task): CriticalValue => ({
        task, state: stateOfCritical(task),
        value: at(task.focus?.reference) as Communication | undefined,
        patient: at(task.for?.reference) as Patient | undefined,
      }));
    },
    enabled,
    refetchInterval: 60_000,
  });
}

export const openOnly: SearchParameters = { 'business-status': OPEN_STATES.map((state) => `${codes('critical-value-state')}|${state}`).join(',') };

/** What a call or a read-back left in the record: person, text, time, by whom it was written. */
export function partsOf(value: Communication | undefined, name: string): { person?: string; phone?: string; text?: string; time?: string; by?: Extension['valueReference'] } | undefined {
  const parts = extensionOf(value, name)?.extension;
  if (!parts) return undefined;
  const part = (url: string) => parts.find((one) => one.url === url);
  return {
    person: part('person')?.valueString, phone: part('phone')?.valueString, text: part('text')?.valueString,
    time: part('time')?.valueDateTime, by: part('by')?.valueReference,
  };
}

/** Outside a consult the radiologist of the patient's own hospital reports it in one transaction. */
export async function reportCritical(session: Session, study: ImagingStudy, finding: string, found: string) {
  const limitMs = limitIn(await loadTimes(), 'critical-value', 'readBackLimit') ?? 0;
  const message = `urn:uuid:${crypto.randomUUID()}`;
  const post = { reference: `PractitionerRole/${session.post.id}` };
  const hospital = { reference: `Organization/${session.post.organization.id}` };
  const communication = {
    resourceType: 'Communication', status: 'in-progress', priority: 'stat', category: [concept('communication', 'critical-value')],
    subject: study.subject, about: [{ reference: `ImagingStudy/${study.id ?? ''}` }], sender: post, recipient: [hospital],
    payload: [{ contentString: finding }], extension: [{ url: extensionUrl('found-by'), valueReference: hospital }],
  };
  const task = {
    resourceType: 'Task', status: 'requested', intent: 'order', priority: 'stat', code: concept('workflow', 'critical-value'),
    businessStatus: concept('critical-value-state', 'found'), focus: { reference: message }, for: study.subject, requester: post,
    authoredOn: found, restriction: { period: { end: new Date(Date.parse(found) + limitMs).toISOString() } },
  };
  return transaction([
    { fullUrl: message, resource: communication, request: { method: 'POST', url: 'Communication' } },
    { resource: task, request: { method: 'POST', url: 'Task' } },
  ]);
}
