// What has changed since an instant, as far as this post may see it: the consults that moved, and their steps.
import { useQuery } from '@tanstack/react-query';
import { search, searchMany } from '../fhir';
import type { Communication, Provenance, Reference } from '../fhir-types';
import { codeOf, idOf, localReference } from '../names';
import { ROW_INCLUDES, rowsOf, WORKFLOW, type ConsultRow } from '../worklist/list';

export const CASES_MAX = 50;
const STEPS_MAX = 400;

export interface Step { name: string; time: string; who: Reference | undefined; reason: string | undefined }
export interface ChangedCase { row: ConsultRow; kind: 'new' | 'moved' | 'ended'; steps: Step[]; words: number }
export interface Changes { cases: ChangedCase[]; total: number; asOf: string }

const ENDED = new Set(['closed', 'declined', 'cancelled']);

function kindOf(row: ConsultRow, steps: Step[], since: string): ChangedCase['kind'] {
  if (ENDED.has(row.state)) return 'ended';
  const first = row.request?.authoredOn ?? row.task.authoredOn;
  if (steps.some((step) => step.name === 'submit') && first !== undefined && first >= since) return 'new';
  return 'moved';
}

async function loadChanges(since: string, signal: AbortSignal): Promise<Changes> {
  const asOf = new Date().toISOString();
  const bundle = await search('Task', {
    code: WORKFLOW, _lastUpdated: `gt${since}`, _sort: '-_lastUpdated', _count: CASES_MAX, _include: ROW_INCLUDES, _total: 'accurate',
  }, signal);
  const rows = rowsOf([bundle]).filter((row) => row.state !== 'draft');
  if (rows.length === 0) return { cases: [], total: 0, asOf };
  const encounters = rows.flatMap((row) => (row.task.encounter?.reference ? [row.task.encounter.reference] : []));
  const [steps = [], words = []] = await searchMany([
    { type: 'Provenance', parameters: { target: rows.map((row) => `Task/${row.task.id ?? ''}`).join(','), recorded: `gt${since}`, _sort: 'recorded', _count: STEPS_MAX } },
    ...(encounters.length > 0 ? [{ type: 'Communication', parameters: { encounter: encounters.join(','), sent: `gt${since}`, _count: STEPS_MAX } }] : []),
  ]);
  const cases = rows.map((row): ChangedCase => {
    const own = (steps as Provenance[])
      .filter((one) => one.target.some((target) => localReference(target.reference) === `Task/${row.task.id ?? ''}`))
      .map((one) => ({ name: codeOf(one.activity, 'transition') ?? '', time: one.recorded, who: one.agent[0]?.who, reason: one.reason?.[0]?.text }));
    const said = (words as Communication[]).filter((one) => idOf(one.encounter?.reference) === idOf(row.task.encounter?.reference)).length;
    return { row, kind: kindOf(row, own, since), steps: own.filter((step) => step.name), words: said };
  });
  return { cases, total: bundle.total ?? cases.length, asOf };
}

export function useChanges(since: string | undefined) {
  return useQuery({
    queryKey: ['list', 'Task', 'changes', since],
    queryFn: ({ signal }) => loadChanges(since ?? '', signal),
    enabled: since !== undefined,
    placeholderData: (previous) => previous,
  });
}

