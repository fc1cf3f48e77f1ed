// The images, and beside them an earlier study of the same patient that scrolls and windows along.
import { ColumnWidthOutlined } from '@ant-design/icons';
import { Button, Select } from 'antd';
import { useCallback, useMemo, useState, type ComponentProps } from 'react';
import { studyTitle } from '../consult/texts';
import type { ImagingStudy } from '../fhir-types';
import { formatDate } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import type { Window } from './slices';
import { Viewer, type Followed, type SlicePlace } from './viewer';

type PairProps = ComponentProps<typeof Viewer> & {
  /** All studies of the patient that may be seen; the earlier ones of the same kind are offered. */
  studies: ImagingStudy[];
};

/** Earlier studies with the same modality, the latest first. */
export function priorsOf(study: ImagingStudy, studies: ImagingStudy[]): ImagingStudy[] {
  const kind = (one: ImagingStudy) => one.modality?.[0]?.code ?? one.series?.[0]?.modality.code;
  return studies
    .filter((one) => one.id !== study.id && (one.started ?? '') < (study.started ?? '') && kind(one) === kind(study))
    .sort((a, b) => (b.started ?? '').localeCompare(a.started ?? ''));
}

const nothing = () => undefined;

export function ViewerPair({ studies, onPlace, ...props }: PairProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const priors = useMemo(() => priorsOf(props.study, studies), [props.study, studies]);
  const [chosen, setChosen] = useState<string>();
  const [place, setPlace] = useState<SlicePlace>();
  const [window, setWindow] = useState<Window>();
  const prior = priors.find((one) => one.id === chosen);
  const placed = useCallback((next: SlicePlace) => {
    setPlace(next);
    onPlace?.(next);
  }, [onPlace]);
  const follow = useMemo((): Followed | undefined => (window ? { position: place?.position, window } : undefined), [place?.position, window]);
  const compare = priors.length === 0 ? undefined : priors.length === 1 || prior ? (
    <Button size="small" icon={<ColumnWidthOutlined />} type={prior ? 'primary' : 'default'} aria-pressed={prior !== undefined} data-action="compare"
      onClick={() => setChosen(prior ? undefined : priors[0]?.id)}>{t('viewer.compare', { date: formatDate((prior ?? priors[0])?.started?.slice(0, 10), language) })}</Button>
  ) : (
    <Select size="small" className="viewer-prior" placeholder={t('viewer.compareWith')} aria-label={t('viewer.compareWith')} value={undefined} onChange={setChosen}
      options={priors.map((one) => ({ value: one.id ?? '', label: studyTitle(one, language) }))} />
  );
  return (
    <div className={prior ? 'viewer-pair viewer-pair-on' : 'viewer-pair'}>
      <Viewer {...props} onPlace={placed} onWindow={setWindow} extra={compare} />
      {prior && follow ? (
        <div className="viewer-beside">
          <Viewer key={prior.id} study={prior} patient={props.patient} hasOverlay={false} overlay={false} onOverlay={nothing} follow={follow} />
          <p className="viewer-beside-title">{t('viewer.prior')} · {studyTitle(prior, language)}</p>
        </div>
      ) : null}
    </div>
  );
}
