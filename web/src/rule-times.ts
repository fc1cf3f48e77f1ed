// The times that the rules in force give: no screen has a number of its own.
import { useQuery } from '@tanstack/react-query';
import { callJson } from './fhir';
import { formatDuration } from './format';
import { useLanguage } from './i18n';

type Times = Record<string, { after: Record<string, string>; limits: Record<string, string> } | undefined>;

const HOUR = 3_600_000;
const UNITS: Record<string, number> = { minute: 60_000, hour: HOUR, day: 24 * HOUR };

/** Milliseconds of "15 minutes" or of "PT10M", "P7D". */
export function timeOf(text: string | undefined): number | undefined {
  const words = /^(\d+) (minute|hour|day)s?$/.exec(text ?? '');
  if (words) return Number(words[1]) * (UNITS[words[2] ?? ''] ?? 0);
  const iso = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(text ?? '');
  if (!iso) return undefined;
  const [days = 0, hours = 0, minutes = 0] = iso.slice(1).map((part) => Number(part ?? 0));
  return (days * 24 + hours) * HOUR + minutes * 60_000;
}

export const loadTimes = () => callJson<Times>('/workflows/times');

export const limitIn = (times: Times | undefined, machine: string, name: string) => timeOf(times?.[machine]?.limits[name] ?? times?.[machine]?.after[name]);

/** A limit or a step's time in words, "…" until it has come. */
export function useRuleTime(machine: string, name: string): string {
  const language = useLanguage();
  const { data } = useQuery({ queryKey: ['rule-times'], queryFn: loadTimes, staleTime: HOUR });
  const limit = limitIn(data, machine, name);
  return limit === undefined ? '…' : formatDuration(limit, language);
}
