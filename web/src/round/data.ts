// 一天一会诊: who is severe or critical today, and whose consult of the day is signed. The server counts; this only reads on.
import { useQuery } from '@tanstack/react-query';
import { machineOf, stateOf } from '../consult/data';
import { callJson, resourcesOf, search } from '../fhir';
import type { Observation, Patient, Task } from '../fhir-types';
import { codeOf, codes, idOf } from '../names';
import type { ConsultState } from '../states';
import type { Drill } from '../today/indicators';

export interface RoundRow {
  patient: Patient;
  severity: string | undefined;
  since: string | undefined;
  signed: boolean;
  /** The consult that was asked for today, if there is one. */
  task: Task | undefined;
  state: ConsultState | undefined;
}

export interface Round { total: number; rows: RoundRow[] }

const drillOf = (code: string, date: string, organization: string | undefined, signal: AbortSignal) =>
  callJson<Drill>(`/indicators/${code}/resources?date=${date}${organization ? `&org=${organization}` : ''}`, { signal });

/** `chart`: whether this person reads the chart, and with it how severe. */
async function loadRound(date: string, organization: string | undefined, chart: boolean, signal: AbortSignal): Promise<Round> {
  const drill = await drillOf('severe-patients', date, organization, signal);
  const ids = drill.resources.flatMap((one) => idOf(one.reference) ?? []);
  if (ids.length === 0) return { total: drill.total, rows: [] };
  const patients = ids.map((id) => `Patient/${id}`).join(',');
  const [people, severities, tasks] = await Promise.all([
    search('Patient', { _id: ids.join(','), _count: 500 }, signal),
    !chart ? undefined : search('Observation', { patient: patients, code: `${codes('case-observation')}|severity`, _sort: '-date', _count: 500 }, signal),
    search('Task', { code: `${codes('workflow')}|consult`, patient: patients, 'authored-on': `ge${date}`, _sort: '-authored-on', _count: 500 }, signal),
  ]);
  const byId = new Map(resourcesOf<Patient>(people, 'Patient').map((patient) => [patient.id, patient]));
  const rows = drill.resources.flatMap((one) => {
    const patient = byId.get(idOf(one.reference));
    if (!patient) return [];
    const mine = (reference: string | undefined) => idOf(reference) === patient.id;
    const severity = resourcesOf<Observation>(severities, 'Observation').find((each) => mine(each.subject?.reference));
    const task = resourcesOf<Task>(tasks, 'Task').find((each) => mine(each.for?.reference) && machineOf(each) === 'consult');
    return [{ patient, severity: codeOf(severity?.valueCodeableConcept, 'severity'), since: one.time, signed: Number(one.value) === 1, task, state: task && stateOf(task) }];
  });
  return { total: drill.total, rows: rows.sort((a, b) => Number(a.signed) - Number(b.signed)) };
}

export function useRound(date: string, organization: string | undefined, chart: boolean) {
  return useQuery({
    queryKey: ['indicators', 'round', date, organization, chart],
    queryFn: ({ signal }) => loadRound(date, organization, chart, signal),
    refetchInterval: 60_000,
  });
}

export interface HouseRow { id: string; name: string; severe: number; open: number }

/** For a command: the hospitals that it leads, each with its counts. */
export function useHouses(date: string, houses: { id: string; name?: string }[], enabled: boolean) {
  return useQuery({
    queryKey: ['indicators', 'round-houses', date, houses.map((house) => house.id)],
    queryFn: ({ signal }) => Promise.all(houses.map(async (house): Promise<HouseRow> => {
      const [severe, open] = await Promise.all(['severe-patients', 'severe-without-consult'].map((code) => drillOf(code, date, house.id, signal)));
      return { id: house.id, name: house.name ?? house.id, severe: severe?.total ?? 0, open: open?.total ?? 0 };
    })),
    enabled: enabled && houses.length > 0,
    refetchInterval: 60_000,
  });
}
