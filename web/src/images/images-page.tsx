// 影像: what the hospital has received, what waits for a patient, what waits for a doctor's look at the measurement.
import { DownloadOutlined } from '@ant-design/icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Button } from 'antd';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { resourcesOf, search } from '../fhir';
import type { DiagnosticReport, ImagingStudy, Media, Patient, Task } from '../fhir-types';
import { formatAge, formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codes, idOf, localReference, studyUid } from '../names';
import { Empty } from '../parts/empty';
import { csvOf, download } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { isBarred, Trouble } from '../parts/problem';
import { Tabs } from '../parts/tabs';
import { roleIs, useSession } from '../session';
import { DropZone } from './drop-zone';
import { FilmPhotos } from './film-photos';
import { HeldStudies } from './held-studies';

export default function ImagesPage() {
  const { t } = useTranslation();
  const session = useSession();
  const client = useQueryClient();
  const [query, setQuery] = useSearchParams();
  const owns = roleIs(session, 'county-doctor', 'radiologist');
  const tabs = [
    { key: 'received', label: t('images.received'), children: <ReceivedStudies /> },
    { key: 'film', label: t('film.title'), children: <FilmList /> },
    ...(owns ? [
      { key: 'review', label: t('images.review'), children: <ReviewList /> },
      { key: 'held', label: t('images.held'), children: <HeldStudies /> },
      { key: 'send', label: t('images.send'), children: (
        <DropZone onDone={() => {
          void client.invalidateQueries({ queryKey: ['list', 'ImagingStudy'] });
          void client.invalidateQueries({ queryKey: ['held'] });
        }} />
      ) },
    ] : []),
  ];
  return (
    <Page title={t('images.title')} note={t('images.note')}>
      <section className="panel">
        <Tabs activeKey={query.get('tab') ?? 'received'} onChange={(tab) => setQuery({ tab }, { replace: true })} items={tabs} label={t('images.title')} />
      </section>
    </Page>
  );
}

function PatientCell({ patient }: { patient: Patient | undefined }) {
  const { t } = useTranslation();
  const language = useLanguage();
  return (
    <>
      {patientName(patient) || '—'}
      <span className="cell-sub">{[t(genderKey(patient)), formatAge(patient?.birthDate, language), inpatientNumber(patient)].filter(Boolean).join(' · ')}</span>
    </>
  );
}

function ReceivedStudies() {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const asked = useQuery({
    queryKey: ['list', 'ImagingStudy', 'received'],
    queryFn: async ({ signal }) => resourcesOf(await search('ImagingStudy', { _include: 'ImagingStudy:patient', _sort: '-started', _count: 100 }, signal)),
  });
  const { data } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data) return <Loading />;
  const studies = data.filter((one): one is ImagingStudy => one.resourceType === 'ImagingStudy');
  const patients = new Map(data.filter((one): one is Patient => one.resourceType === 'Patient').map((one) => [one.id, one]));
  if (studies.length === 0) return <Empty title={t('images.none')} help={t('images.noneHelp')} />;
  return (
    <>
      <Trouble asked={asked} />
      <div className="tab-actions"><ExportStudies studies={studies} patients={patients} /></div>
      <div className="table-scroll">
        <table className="list-table list-simple">
          <thead><tr>{['column.patient', 'images.study', 'images.taken', 'images.count'].map((key) => <th key={key} scope="col">{t(key)}</th>)}<th><span className="visually-hidden">{t('column.action')}</span></th></tr></thead>
          <tbody>
            {studies.map((study) => (
              <tr key={study.id} onClick={() => void navigate(`/images/${study.id ?? ''}`)}>
                <td data-label={t('column.patient')}><PatientCell patient={patients.get(idOf(study.subject?.reference))} /></td>
                <td data-label={t('images.study')}>{[study.modality?.[0]?.code, study.description].filter(Boolean).join(' · ') || '—'}<span className="cell-sub">{t('images.series', { n: study.numberOfSeries ?? study.series?.length ?? 0 })}</span></td>
                <td data-label={t('images.taken')}>{formatTime(study.started, language) || '—'}</td>
                <td data-label={t('images.count')}>{study.numberOfInstances ?? '—'}</td>
                <td className="cell-action"><Link to={`/images/${study.id ?? ''}`} onClick={(event) => event.stopPropagation()}>{t('images.open')}</Link></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** The studies of the list as a file. */
function ExportStudies({ studies, patients }: { studies: ImagingStudy[]; patients: Map<string | undefined, Patient> }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const save = () => download(`${t('images.received')}-${siteToday()}.csv`, csvOf([
    [t('today.asOf', { time: formatTime(new Date().toISOString(), language) })],
    ['patient.name', 'patient.gender', 'patient.inpatientNo', 'images.study', 'images.taken', 'images.seriesCount', 'images.count', 'images.uid'].map((key) => t(key)),
    ...studies.map((study) => {
      const patient = patients.get(idOf(study.subject?.reference));
      return [patientName(patient), patient ? t(genderKey(patient)) : '', inpatientNumber(patient), [study.modality?.[0]?.code, study.description].filter(Boolean).join(' · '),
        formatTime(study.started, language), study.numberOfSeries, study.numberOfInstances, studyUid(study)];
    }),
  ]));
  return <Button icon={<DownloadOutlined />} title={t('common.exportCsv')} onClick={save}>CSV</Button>;
}

/** Photos of film of all patients that this post may see; they are added in a request. */
function FilmList() {
  const { t } = useTranslation();
  const asked = useQuery({
    queryKey: ['list', 'Media', 'film'],
    queryFn: async ({ signal }) =>
      resourcesOf(await search('Media', { type: `${codes('media-kind')}|film-photo`, _include: 'Media:patient', _sort: '-created', _count: 60 }, signal)),
  });
  const { data } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data) return <Loading />;
  const photos = data.filter((one): one is Media => one.resourceType === 'Media');
  const patients = new Map(data.filter((one): one is Patient => one.resourceType === 'Patient').map((one) => [one.id, one]));
  if (photos.length === 0) return <Empty title={t('film.none')} help={t('film.noneHelp')} />;
  return <><Trouble asked={asked} /><FilmPhotos photos={photos} below={(photo) => <PatientCell patient={patients.get(idOf(photo.subject?.reference))} />} /></>;
}

/** Measurements that wait for a doctor to agree, edit or reject. */
function ReviewList() {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const asked = useQuery({
    queryKey: ['list', 'Task', 'measurements'],
    queryFn: async ({ signal }) =>
      resourcesOf(await search('Task', {
        code: `${codes('workflow')}|ct-measurement`,
        'business-status': ['queued', 'running', 'done'].map((state) => `${codes('ct-measurement-state')}|${state}`).join(','),
        _include: ['Task:focus', 'Task:patient'], _sort: '-authored-on', _count: 50,
      }, signal)),
  });
  const { data } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data) return <Loading />;
  const tasks = data.filter((one): one is Task => one.resourceType === 'Task');
  const at = new Map(data.map((one) => [`${one.resourceType}/${one.id ?? ''}`, one]));
  if (tasks.length === 0) return <Empty title={t('images.reviewNone')} help={t('images.reviewNoneHelp')} />;
  return (
    <div className="table-scroll">
      <Trouble asked={asked} />
      <table className="list-table list-simple">
        <thead><tr>{['column.patient', 'images.arrived', 'column.state'].map((key) => <th key={key} scope="col">{t(key)}</th>)}<th><span className="visually-hidden">{t('column.action')}</span></th></tr></thead>
        <tbody>
          {tasks.map((task) => {
            const report = at.get(localReference(task.focus?.reference) ?? '') as DiagnosticReport | undefined;
            const study = idOf(report?.imagingStudy?.[0]?.reference);
            const state = task.businessStatus?.coding?.[0]?.code ?? '';
            return (
              <tr key={task.id}>
                <td data-label={t('column.patient')}><PatientCell patient={at.get(localReference(task.for?.reference) ?? '') as Patient | undefined} /></td>
                <td data-label={t('images.arrived')}>{formatTime(task.authoredOn ?? task.meta?.lastUpdated, language)}</td>
                <td data-label={t('column.state')}><span className={`badge badge-${state === 'done' ? 'act' : 'run'}`}>{t(`measurement.state.${state}`)}</span></td>
                <td className="cell-action">{study ? <Button size="small" type={state === 'done' ? 'primary' : 'default'} onClick={() => void navigate(`/images/${study}`)}>{t(state === 'done' ? 'images.reviewDo' : 'images.open')}</Button> : null}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
