// 会诊值班表: each shift is a Schedule of the own hospital; who is called first stands first.
import { useQuery } from '@tanstack/react-query';
import { create, read, remove, resourcesOf, search, update } from '../fhir';
import type { Schedule } from '../fhir-types';
import { codes, concept } from '../names';
import { addDays, DAYS, midnight, type Shift } from './week';

const SHIFTS_MAX = 300;

const shiftOf = (schedule: Schedule): Shift => ({
  id: schedule.id ?? '', start: schedule.planningHorizon?.start ?? '', end: schedule.planningHorizon?.end ?? '',
  posts: schedule.actor.flatMap((actor) => actor.reference ?? []),
});

/** The shifts that touch the week and the one before, so that the last week can be copied. */
export function useShifts(monday: string) {
  return useQuery({
    queryKey: ['list', 'Schedule', monday],
    queryFn: async ({ signal }): Promise<Shift[]> => {
      const bundle = await search('Schedule', {
        'service-type': `${codes('duty')}|consult`, active: 'true',
        date: [`ge${midnight(addDays(monday, -DAYS))}`, `lt${midnight(addDays(monday, DAYS))}`], _count: SHIFTS_MAX,
      }, signal);
      return resourcesOf<Schedule>(bundle, 'Schedule').map(shiftOf).filter((shift) => shift.start && shift.end)
        .sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
    },
    refetchInterval: 300_000,
  });
}

export interface ShiftText { start: string; end: string; posts: string[] }

const scheduleOf = ({ start, end, posts }: ShiftText): Schedule => ({
  resourceType: 'Schedule', active: true, serviceType: [concept('duty', 'consult', '会诊值班')],
  actor: posts.map((reference) => ({ reference })), planningHorizon: { start, end },
});

export async function saveShift(id: string | undefined, text: ShiftText): Promise<void> {
  if (!id) return void (await create<Schedule>(scheduleOf(text)));
  const stored = await read<Schedule>(`Schedule/${id}`);
  await update<Schedule>({ ...stored, ...scheduleOf(text), id, meta: stored.meta });
}

export async function saveShifts(texts: ShiftText[]): Promise<void> {
  for (const text of texts) await create<Schedule>(scheduleOf(text));
}

export const removeShift = (id: string) => remove(`Schedule/${id}`);
