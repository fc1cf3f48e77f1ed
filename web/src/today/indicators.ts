// Figures as the server counts them; each can name the resources that it counted.
import { useQuery } from '@tanstack/react-query';
import { callJson } from '../fhir';

export interface Indicator {
  code: string;
  name: { zh: string; en: string };
  unit: string | { zh: string; en: string };
  value: number | null;
  numerator?: number | null;
  denominator?: number | null;
  rule?: { zh: string; en: string };
  counted?: number;
  drill?: string;
}

export interface Figures { date: string; asOf: string; organization?: { id?: string; name?: string } | string; indicators: Indicator[] }

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
