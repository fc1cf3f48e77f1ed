// ③ Images: those that the scanner has sent already are ticked; others come from a folder.
import { CameraOutlined, CheckCircleFilled } from '@ant-design/icons';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Checkbox } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { studyTitle } from '../consult/texts';
import { resourcesOf, search } from '../fhir';
import type { ImagingStudy, Media } from '../fhir-types';
import { useLanguage, useTranslation } from '../i18n';
import { DropZone } from '../images/drop-zone';
import { addFilmPhoto, FilmPhotos } from '../images/film-photos';
import { HeldStudies } from '../images/held-studies';
import { codes, studyUid } from '../names';
import { Problem } from '../parts/problem';
import type { SectionProps } from './request-page';
import { VerdictChoice } from './verdict-choice';

export function ImagesSection({ draft, change, ensurePatient }: SectionProps & { ensurePatient: () => Promise<string> }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const client = useQueryClient();
  const [sent, setSent] = useState<string[]>([]);
  const identified = draft.name !== '' && draft.gender !== '' && draft.birthDate !== '' && (draft.inpatientNo !== '' || draft.idNumber !== '');
  const studies = useQuery({
    queryKey: ['list', 'ImagingStudy', draft.patientId],
    queryFn: async ({ signal }) =>
      resourcesOf<ImagingStudy>(await search('ImagingStudy', { patient: `Patient/${draft.patientId ?? ''}`, _sort: '-started', _count: 50 }, signal), 'ImagingStudy'),
    enabled: draft.patientId !== undefined,
    // What was just sent is written a little later: look again until it is there.
    refetchInterval: (query) => (sent.some((uid) => !query.state.data?.some((study) => studyUid(study) === uid)) ? 2_000 : false),
  });

  const ticked = useRef(new Set<string>());
  useEffect(() => {
    const arrived = (studies.data ?? []).filter((study) => sent.includes(studyUid(study) ?? '') && !ticked.current.has(study.id ?? ''));
    if (arrived.length === 0) return;
    for (const study of arrived) ticked.current.add(study.id ?? '');
    change({ studyIds: [...new Set([...draft.studyIds, ...arrived.map((study) => study.id ?? '')])] });
  }, [studies.data, sent, draft.studyIds, change]);

  const tick = (id: string, on: boolean) => change({ studyIds: on ? [...draft.studyIds, id] : draft.studyIds.filter((one) => one !== id) });
  return (
    <section className="panel request-section" aria-labelledby="section-images">
      <h2 id="section-images"><span className="step-number">3</span>{t('request.images')}</h2>
      {studies.error ? <Problem error={studies.error} retry={() => void studies.refetch()} /> : null}
      {(studies.data ?? []).length > 0 ? (
        <ul className="study-ticks">
          {(studies.data ?? []).map((study) => (
            <li key={study.id}>
              <Checkbox checked={draft.studyIds.includes(study.id ?? '')} onChange={(event) => tick(study.id ?? '', event.target.checked)}>
                {studyTitle(study, language)}
              </Checkbox>
              {draft.machine === 'remote-diagnosis' && draft.studyIds.includes(study.id ?? '') ? <VerdictChoice studyId={study.id ?? ''} draft={draft} change={change} /> : null}
              {sent.includes(studyUid(study) ?? '') ? <span className="found"><CheckCircleFilled aria-hidden /> {t('request.justReceived')}</span> : null}
            </li>
          ))}
        </ul>
      ) : (
        <p className="hint">{t(draft.patientId ? 'request.noStudies' : 'request.patientFirst')}</p>
      )}
      {identified ? (
        <DropZone
          expected={{ name: draft.name, ids: [draft.inpatientNo, draft.idNumber].filter(Boolean) }}
          before={async () => void (await ensurePatient())}
          onDone={(uids) => {
            setSent((before) => [...before, ...uids]);
            void client.invalidateQueries({ queryKey: ['list', 'ImagingStudy'] });
            void client.invalidateQueries({ queryKey: ['held'] });
          }} />
      ) : (
        <p className="hint">{t('request.identifyFirst')}</p>
      )}
      {identified ? <FilmSection draft={draft} change={change} ensurePatient={ensurePatient} /> : null}
      {draft.patientId ? <HeldStudies patientId={draft.patientId} onMatched={(uid) => setSent((before) => [...before, uid])} compact /> : null}
    </section>
  );
}

/** Where only film exists: a photo of it, marked as not for diagnosis. */
function FilmSection({ draft, change, ensurePatient }: SectionProps & { ensurePatient: () => Promise<string> }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const input = useRef<HTMLInputElement>(null);
  const photos = useQuery({
    queryKey: ['list', 'Media', draft.patientId],
    queryFn: async ({ signal }) =>
      resourcesOf<Media>(await search('Media', { patient: `Patient/${draft.patientId ?? ''}`, type: `${codes('media-kind')}|film-photo`, _sort: '-created', _count: 50 }, signal), 'Media'),
    enabled: draft.patientId !== undefined,
  });
  const add = useMutation({
    mutationFn: async (files: File[]) => {
      const patientId = await ensurePatient();
      const added: string[] = [];
      for (const file of files) added.push((await addFilmPhoto(patientId, file)).id ?? '');
      return added;
    },
    onSuccess: (added) => {
      change({ photoIds: [...new Set([...draft.photoIds, ...added])] });
      void client.invalidateQueries({ queryKey: ['list', 'Media'] });
    },
  });
  const tick = (id: string, on: boolean) => change({ photoIds: on ? [...draft.photoIds, id] : draft.photoIds.filter((one) => one !== id) });
  return (
    <div className="film-section">
      <Button size="small" icon={<CameraOutlined />} loading={add.isPending} onClick={() => input.current?.click()}>{t('film.add')}</Button>
      <input ref={input} type="file" hidden multiple accept="image/jpeg,image/png" aria-label={t('film.add')}
        onChange={(event) => {
          add.mutate(Array.from(event.target.files ?? []));
          event.target.value = '';
        }} />
      <p className="hint">{t('film.help')}</p>
      {add.error ? <Problem error={add.error} /> : null}
      <FilmPhotos photos={photos.data ?? []} below={(photo) => (
        <Checkbox checked={draft.photoIds.includes(photo.id ?? '')} onChange={(event) => tick(photo.id ?? '', event.target.checked)}>{t('film.share')}</Checkbox>
      )} />
    </div>
  );
}
