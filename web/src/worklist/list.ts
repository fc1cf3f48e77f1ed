// What a tab of the worklist holds, in which order, and the last step of each case.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { remember, stateOf } from '../consult/data';
import { resourcesOf, search, searchMany, type SearchParameters } from '../fhir';
import type { Bundle, Patient, Provenance, Reference, ServiceRequest, Task } from '../fhir-types';
import { siteToday } from '../format';
import { codeOf, codes, idOf, localReference } from '../names';
import { isOverdue, isWaiting, RUNNING, WAIT_LIMIT_MS, type ConsultState, type Machine, type Tab } from '../states';

export interface ConsultRow {
  task: Task;
  state: ConsultState;
  request: ServiceRequest | undefined;
  patient: Patient | undefined;
}

export interface ListFilter { urgency?: string; text?: string }

export const PAGE_SIZE = 20;
const STEPS_MAX = 400;
const MACHINES: readonly Machine[] = ['consult', 'remote-diagnosis'];
export const WORKFLOW = MACHINES.map((machine) => `${codes('workflow')}|${machine}`).join(',');

export const statesParameter = (states: readonly string[]) => MACHINES.flatMap((machine) => states.map((state) => `${codes(`${machine}-state`)}|${state}`)).join(',');

function filterParameters(filter: ListFilter): SearchParameters {
  const text = filter.text?.trim();
  if (!text) return { priority: filter.urgency };
  const byNumber = /^[A-Za-z0-9-]+$/.test(text);
  return { priority: filter.urgency, ...(byNumber ? { 'focus:ServiceRequest.identifier': text } : { 'patient.name': text }) };
}

/** The searches whose results together are a tab; no case is in two of them. */
export function tabSearches(tab: Tab, filter: ListFilter, now: number): SearchParameters[] {
  const own = filterParameters(filter);
  const base = { code: WORKFLOW, 'business-status': statesParameter(tab.states), ...own };
  if (tab.only === 'stat') return [{ ...base, priority: 'stat' }];
  if (tab.only === 'today') {
    const rest = tab.states.filter((state) => !RUNNING.includes(state));
    return [
      { ...base, 'business-status': statesParameter(RUNNING) },
      { ...base, 'business-status': statesParameter(rest), 'authored-on': `ge${siteToday(new Date(now))}` },
    ];
  }
  if (tab.only !== 'overdue') return [base];
  return Object.entries(WAIT_LIMIT_MS)
    .filter(([priority]) => !filter.urgency || filter.urgency === priority)
    .map(([priority, limit]) => ({ ...base, priority, 'authored-on': `lt${new Date(now - limit).toISOString().slice(0, 16)}:00Z` }));
}

const PRIORITY_ORDER: Record<string, number> = { stat: 0, asap: 1, urgent: 1, routine: 2 };

export const priorityOf = (row: ConsultRow) => row.request?.priority ?? row.task.priority;
export const waitsSince = (row: ConsultRow) => row.request?.authoredOn ?? row.task.authoredOn;
export const isLate = (row: ConsultRow, now: number) => isOverdue(row.state, priorityOf(row), waitsSince(row), now);

/** 特急 that waits stands on top, then what is overdue, then by urgency; among equals the order of the server. */
export function inOrder(rows: ConsultRow[], now: number): ConsultRow[] {
  const rank = (row: ConsultRow) => {
    const priority = PRIORITY_ORDER[priorityOf(row) ?? 'routine'] ?? 2;
    if (priority === 0 && isWaiting(row.state)) return 0;
    return isLate(row, now) ? 1 + priority : 4 + priority;
  };
  return [...rows].sort((a, b) => rank(a) - rank(b));
}

export function rowsOf(bundles: Bundle[]): ConsultRow[] {
  const resources = bundles.flatMap((bundle) => resourcesOf(bundle));
  const byReference = new Map(resources.map((resource) => [`${resource.resourceType}/${resource.id ?? ''}`, resource]));
  const at = (reference: Reference | undefined) => byReference.get(localReference(reference?.reference) ?? '');
  return [...byReference.values()]
    .filter((one): one is Task => one.resourceType === 'Task')
    .map((task) => ({
      task,
      state: stateOf(task),
      request: at(task.focus) as ServiceRequest | undefined,
      patient: at(task.for) as Patient | undefined,
    }));
}

export const ROW_INCLUDES = ['Task:focus', 'Task:patient'];

async function searchRows(tab: Tab, filter: ListFilter, count: number, signal?: AbortSignal) {
  const newestOnTop = tab.key === 'archived' || tab.key === 'drafts' || tab.key === 'answered';
  const searches = tabSearches(tab, filter, Date.now());
  // However long the list is: a 特急 case is on its first page.
  const pinned = newestOnTop || filter.urgency ? [] : searches.slice(0, 1).map((one) => ({ ...one, priority: 'stat' }));
  const bundles = await Promise.all(
    [...searches, ...pinned].map((parameters) =>
      search('Task', { ...parameters, _include: ROW_INCLUDES, _sort: newestOnTop ? '-authored-on' : 'authored-on', _count: count, _total: 'accurate' }, signal),
    ),
  );
  const total = bundles.slice(0, searches.length).reduce((sum, bundle) => sum + (bundle.total ?? 0), 0);
  const rows = rowsOf(bundles);
  return { bundles, rows: newestOnTop ? rows : inOrder(rows, Date.now()), total: total || rows.length };
}

export function useConsultList(tab: Tab | undefined, filter: ListFilter, page: number) {
  const client = useQueryClient();
  return useQuery({
    queryKey: ['list', 'Task', 'consult', tab?.key, filter, page],
    queryFn: async ({ signal }) => {
      const { bundles, rows, total } = await searchRows(tab ?? { key: '', states: [] }, filter, PAGE_SIZE * page, signal);
      remember(client, bundles.flatMap((bundle) => resourcesOf(bundle)));
      return { rows, total };
    },
    enabled: tab !== undefined,
    placeholderData: (previous) => previous,
  });
}

const EXPORT_MAX = 1000;

/** All rows of a tab, for a file. */
export const allRows = async (tab: Tab, filter: ListFilter): Promise<ConsultRow[]> => (await searchRows(tab, filter, EXPORT_MAX)).rows;

export function useTabCounts(tabs: Tab[]) {
  return useQuery({
    queryKey: ['list', 'Task', 'counts', tabs.map((tab) => tab.key)],
    queryFn: async ({ signal }) => {
      const counts = await Promise.all(
        tabs.filter((tab) => tab.key !== 'archived').map(async (tab) => {
          const bundles = await Promise.all(
            tabSearches(tab, {}, Date.now()).map((parameters) => search('Task', { ...parameters, _summary: 'count' }, signal)),
          );
          return [tab.key, bundles.reduce((sum, bundle) => sum + (bundle.total ?? 0), 0)] as const;
        }),
      );
      return Object.fromEntries(counts) as Record<string, number>;
    },
    refetchInterval: 60_000,
  });
}

export interface LastStep { name: string; time: string; who: Reference | undefined }

/** The newest step of each row by the id of its Task; nothing for who may not read steps. */
export function useLastSteps(rows: ConsultRow[]): Map<string, LastStep> {
  const ids = rows.map((row) => row.task.id ?? '').sort();
  const { data } = useQuery({
    queryKey: ['list', 'Provenance', 'last', ids],
    queryFn: async () => {
      const [found = []] = await searchMany([
        { type: 'Provenance', parameters: { target: ids.map((id) => `Task/${id}`).join(','), _sort: '-recorded', _count: STEPS_MAX } },
      ]);
      const steps = new Map<string, LastStep>();
      for (const one of found as Provenance[]) {
        const name = codeOf(one.activity, 'transition');
        const task = one.target.map((target) => localReference(target.reference)).find((target) => target?.startsWith('Task/'));
        const id = idOf(task);
        if (name && id && !steps.has(id)) steps.set(id, { name, time: one.recorded, who: one.agent[0]?.who });
      }
      return steps;
    },
    enabled: ids.length > 0,
    placeholderData: (previous) => previous,
  });
  return data ?? new Map();
}
