// The slices of a series in the order of the body, from the series' DICOM JSON (PS3.18 10.4.1.1.2, PS3.18 F).
import { useQuery } from '@tanstack/react-query';
import { callJson } from '../fhir';

interface DicomElement { vr: string; Value?: unknown[] }
type DicomObject = Record<string, DicomElement | undefined>;

export interface Slice {
  uid: string;
  number: number;
  /** Millimetres along the normal of the slices; undefined when the images do not say where they lie. */
  position: number | undefined;
}

export interface SliceStack {
  slices: Slice[];
  thickness: number | undefined;
  window: { center: number; width: number } | undefined;
}

const SOP_INSTANCE_UID = '00080018';
const INSTANCE_NUMBER = '00200013';
const IMAGE_POSITION = '00200032';
const IMAGE_ORIENTATION = '00200037';
const SLICE_THICKNESS = '00180050';
const WINDOW_CENTER = '00281050';
const WINDOW_WIDTH = '00281051';

const numbers = (object: DicomObject, tag: string): number[] => (object[tag]?.Value ?? []).map(Number).filter(Number.isFinite);

/** Distance of a slice along the normal of its plane: the only order that survives missing or wrong instance numbers. */
function positionOf(object: DicomObject): number | undefined {
  const [px, py, pz] = numbers(object, IMAGE_POSITION);
  const [rx, ry, rz, cx, cy, cz] = numbers(object, IMAGE_ORIENTATION);
  if (px === undefined || py === undefined || pz === undefined) return undefined;
  if (rx === undefined || ry === undefined || rz === undefined || cx === undefined || cy === undefined || cz === undefined) return pz;
  return px * (ry * cz - rz * cy) + py * (rz * cx - rx * cz) + pz * (rx * cy - ry * cx);
}

export function stackOf(objects: DicomObject[]): SliceStack {
  const slices = objects.map((object, index) => ({
    uid: String(object[SOP_INSTANCE_UID]?.Value?.[0] ?? ''),
    number: numbers(object, INSTANCE_NUMBER)[0] ?? index + 1,
    position: positionOf(object),
  })).filter((slice) => slice.uid !== '');
  const placed = slices.every((slice) => slice.position !== undefined);
  // Head first, as a reader scrolls: the highest position (towards the head in LPS) is slice 1.
  slices.sort((a, b) => (placed ? (b.position ?? 0) - (a.position ?? 0) : a.number - b.number));
  const first = objects[0] ?? {};
  const center = numbers(first, WINDOW_CENTER)[0];
  const width = numbers(first, WINDOW_WIDTH)[0];
  return {
    slices,
    thickness: numbers(first, SLICE_THICKNESS)[0],
    window: center !== undefined && width !== undefined ? { center, width } : undefined,
  };
}

/** Index of the slice nearest to a position along the body; `otherwise` where slices have none. */
export function nearestSlice(stack: SliceStack, position: number, otherwise: number): number {
  let best = otherwise;
  let distance = Infinity;
  stack.slices.forEach((slice, index) => {
    const away = slice.position === undefined ? Infinity : Math.abs(slice.position - position);
    if (away < distance) [best, distance] = [index, away];
  });
  return best;
}

export function useSliceStack(studyUid: string | undefined, seriesUid: string | undefined) {
  return useQuery({
    queryKey: ['stack', studyUid, seriesUid],
    queryFn: async ({ signal }) =>
      stackOf(await callJson<DicomObject[]>(`/dicom-web/studies/${studyUid ?? ''}/series/${seriesUid ?? ''}/metadata`, {
        headers: { Accept: 'application/dicom+json' },
        signal,
      })),
    enabled: Boolean(studyUid && seriesUid),
    staleTime: 600_000,
  });
}
