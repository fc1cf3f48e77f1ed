// A small picture of a series: its middle image in the window of its kind. Bytes enough for a look, never for reading.
import type { ImagingSeries, ImagingStudy } from '../fhir-types';
import { studyUid } from '../names';
import { PRESETS } from './presets';

/** The series that stands for a study: the one with most images. */
export const largestOf = (study: ImagingStudy): ImagingSeries | undefined =>
  (study.series ?? []).reduce<ImagingSeries | undefined>((best, one) => ((one.numberOfInstances ?? 0) > (best?.numberOfInstances ?? -1) ? one : best), undefined);

/** Nothing where the record lists no images (a very large study) or they are no pictures. */
export function Thumbnail({ study, series }: { study: ImagingStudy; series: ImagingSeries | undefined }) {
  const uid = studyUid(study);
  const middle = series?.instance?.[Math.floor((series.instance.length - 1) / 2)]?.uid;
  if (!uid || !series || !middle) return null;
  const lung = PRESETS[0]?.window;
  const window = series.modality.code === 'CT' && lung ? `&window=${lung.center},${lung.width},linear` : '';
  return (
    <img className="thumbnail" alt="" loading="lazy" decoding="async" width={44} height={44}
      src={`/dicom-web/studies/${uid}/series/${series.uid}/instances/${middle}/rendered?viewport=96,96&quality=50${window}`} />
  );
}
