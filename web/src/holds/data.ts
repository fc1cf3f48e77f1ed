// 病历封存: each hold is a Task about a patient; its number is what the refusals name.
import { useQuery } from '@tanstack/react-query';
import { create, resourcesOf, search, type SearchParameters } from '../fhir';
import type { Patient, Task } from '../fhir-types';
import { codeOf, codes, concept, idOf } from '../names';
import type { Session } from '../session';

export interface Hold { task: Task; active: boolean; patient: Patient | undefined }

const CODE = `${codes('workflow')}|legal-hold`;

/** As the server's refusals write it (definitions/locks.json). */
export function holdNumber(task: Task): string {
  return `FC${(task.authoredOn ?? '').slice(0, 10).replaceAll('-', '')}-${(task.id ?? '').slice(-5).toUpperCase()}`;
}

export function useHolds(only: SearchParameters = {}, enabled = true) {
  return useQuery({
    queryKey: ['list', 'Task', 'legal-hold', only],
    queryFn: async ({ signal }): Promise<Hold[]> => {
      const bundle = await search('Task', { code: CODE, ...only, _include: 'Task:patient', _sort: '-authored-on', _count: 200 }, signal);
      const patients = resourcesOf<Patient>(bundle, 'Patient');
      return resourcesOf<Task>(bundle, 'Task').map((task) => ({
        task, active: codeOf(task.businessStatus, 'legal-hold-state') === 'active', patient: patients.find((one) => one.id === idOf(task.for?.reference)),
      }));
    },
    enabled,
  });
}

export const placeHold = (session: Session, patient: string, reason: string) =>
  create<Task>({
    resourceType: 'Task', status: 'in-progress', intent: 'order', code: concept('workflow', 'legal-hold'),
    businessStatus: concept('legal-hold-state', 'active'), focus: { reference: patient }, for: { reference: patient },
    requester: { reference: `PractitionerRole/${session.post.id}` }, authoredOn: new Date().toISOString(), reasonCode: { text: reason.trim() },
  });
