// Figures as the server counts them; each can name the resources that it counted.
import { useQuery } from '@tanstack/react-query';
import { callJson } from '../fhir';
import { formatFixed } from '../format';

export interface Indicator {
  code: string;
  name: { zh: string; en: string };
  unit: string | { zh: string; en: string };
  value: number | null;
  /** The same figure of the day before; null when there was nothing to measure. */
  previous?: number | null;
  /** Digits behind the point, as the figure is shown. */
  decimals?: number;
  numerator?: number | null;
  denominator?: number | null;
  rule?: { zh: string; en: string };
  counted?: number;
  drill?: string;
}

export interface Figures {
  date: string;
  asOf: string;
  organization?: { id?: string; name?: string };
  /** Whose records count: the own hospital, and those that it leads. */
  organizations?: { id: string; name?: string }[];
  indicators: Indicator[];
}

/** A day that is not over yet is not compared with a whole one: its figure stands beside, without a difference. */
export function isWholeDay(date: string, asOf: string): boolean {
  return Date.parse(`${date}T00:00:00+08:00`) + 86_400_000 <= Date.parse(asOf);
}

export const valueText = (indicator: Indicator, value: number | null | undefined = indicator.value): string =>
  formatFixed(value, indicator.decimals ?? 0);

/** Against the day before: +2, −1.5, ±0; nothing when one of the two is not known. */
export function changeText(indicator: Indicator): string {
  const { value, previous } = indicator;
  if (value === null || previous === null || previous === undefined) return '—';
  const digits = indicator.decimals ?? 0;
  const difference = Number((value - previous).toFixed(digits));
  if (difference === 0) return '±0';
  return `${difference > 0 ? '+' : '−'}${formatFixed(Math.abs(difference), digits)}`;
}

export interface Drill { code: string; total: number; visible: number; resources: { reference: string; display?: string; time?: string; value?: number | string }[] }

const withOrganization = (path: string, organization: string | undefined) => (organization ? `${path}&org=${organization}` : path);

export function useFigures(date: string, organization: string | undefined) {
  return useQuery({
    queryKey: ['indicators', date, organization],
    queryFn: ({ signal }) => callJson<Figures>(withOrganization(`/indicators?date=${date}`, organization), { signal }),
    placeholderData: (previous) => previous,
    refetchInterval: 60_000,
  });
}

export function useDrill(path: string | undefined) {
  return useQuery({
    queryKey: ['indicators', 'drill', path],
    queryFn: ({ signal }) => callJson<Drill>(path ?? '', { signal }),
    enabled: path !== undefined,
  });
}
