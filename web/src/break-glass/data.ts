// 紧急调阅: each is a Task about a patient; who opened it sees the chart for its time, both hospitals' heads see the Task.
import { useQuery } from '@tanstack/react-query';
import { read, resourcesOf, search, searchMany } from '../fhir';
import type { Extension, Patient, Resource, Task } from '../fhir-types';
import { codeOf, codes, extensionUrl, idOf } from '../names';

export interface Opened { task: Task; state: string; patient: Patient | undefined }
export interface Review { sides: string[]; answer: string; by: Extension['valueReference']; time?: string; text?: string }

export const REVIEWERS = ['duty-head', 'medical-affairs'];
export const OPENERS = ['county-doctor', 'expert', 'radiologist'];

export const stateOfGlass = (task: Task) => codeOf(task.businessStatus, 'break-glass-state') ?? 'asked';

/** Open and its time not yet over: the server ends what it shows by the clock, whether or not the Task was moved. */
export const isOpen = (one: Opened, now = Date.now()) => one.state === 'open' && Date.parse(one.task.restriction?.period?.end ?? '') > now;

export function reviewsOf(task: Task): Review[] {
  return (task.extension ?? []).filter((one) => one.url === extensionUrl('review')).map((one) => {
    const part = (name: string) => one.extension?.find((inner) => inner.url === name);
    return {
      sides: (one.extension ?? []).filter((inner) => inner.url === 'side').map((inner) => inner.valueCode ?? ''),
      answer: part('answer')?.valueCode ?? '', by: part('by')?.valueReference, time: part('time')?.valueDateTime, text: part('text')?.valueString,
    };
  });
}

export function useOpened(enabled = true) {
  return useQuery({
    queryKey: ['list', 'Task', 'break-glass'],
    queryFn: async ({ signal }): Promise<Opened[]> => {
      const bundle = await search('Task', { code: `${codes('workflow')}|break-glass`, _include: 'Task:patient', _sort: '-authored-on', _count: 100 }, signal);
      const patients = resourcesOf<Patient>(bundle, 'Patient');
      return resourcesOf<Task>(bundle, 'Task').filter((task) => stateOfGlass(task) !== 'asked').map((task) => ({
        task, state: stateOfGlass(task), patient: patients.find((one) => one.id === idOf(task.for?.reference)),
      }));
    },
    enabled,
    refetchInterval: 30_000,
  });
}

export interface Chart { patient: Patient | undefined; entries: { type: string; resources: Resource[] }[] }

const CHART_TYPES = ['Condition', 'AllergyIntolerance', 'MedicationRequest', 'MedicationStatement', 'Observation', 'DiagnosticReport', 'ImagingStudy', 'Procedure', 'DocumentReference'];

export function useChart(task: Task | undefined, open: boolean) {
  const patient = task?.for?.reference;
  return useQuery({
    queryKey: ['fhir', 'chart', patient],
    queryFn: async ({ signal }): Promise<Chart> => {
      const found = await searchMany(CHART_TYPES.map((type) => ({ type, parameters: { patient, _count: 50 } })));
      return {
        patient: await read<Patient>(patient ?? '', signal),
        entries: CHART_TYPES.map((type, index) => ({ type, resources: found[index] ?? [] })).filter((one) => one.resources.length > 0),
      };
    },
    enabled: open && patient !== undefined,
    gcTime: 0,
  });
}

