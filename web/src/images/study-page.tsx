// One study outside a consult: the viewer and its measurement, for the doctors of the hospital that made it.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useParams, useSearchParams } from 'react-router';
import { usePatient } from '../consult/data';
import { studyTitle } from '../consult/texts';
import { ReportCritical } from '../critical/report-critical';
import { read, resourcesOf, search } from '../fhir';
import type { DiagnosticReport, ImagingStudy } from '../fhir-types';
import { useLanguage, useTranslation } from '../i18n';
import { idOf } from '../names';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { isBarred, Trouble } from '../parts/problem';
import { PatientLine } from '../consult/patient-line';
import { MeasurementTab } from '../room/measurement-tab';
import { aimOf } from '../viewer/viewer';
import { ViewerPair } from '../viewer/viewer-pair';

export default function StudyPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const { studyId = '' } = useParams();
  const [overlay, setOverlay] = useState(false);
  const [query] = useSearchParams();
  const [target, setTarget] = useState(() => aimOf(query));
  const asked = useQuery({
    queryKey: ['fhir', 'ImagingStudy', studyId],
    queryFn: ({ signal }) => read<ImagingStudy>(`ImagingStudy/${studyId}`, signal),
  });
  const { data: study } = asked;
  const { data: patient } = usePatient(study?.subject?.reference);
  const { data: reports = [] } = useQuery({
    queryKey: ['list', 'DiagnosticReport', study?.subject?.reference],
    queryFn: async ({ signal }) => resourcesOf<DiagnosticReport>(await search('DiagnosticReport', { patient: study?.subject?.reference, _count: 50 }, signal), 'DiagnosticReport'),
    enabled: study?.subject?.reference !== undefined,
  });
  const { data: studies = [] } = useQuery({
    queryKey: ['list', 'ImagingStudy', study?.subject?.reference],
    queryFn: async ({ signal }) => resourcesOf<ImagingStudy>(await search('ImagingStudy', { patient: study?.subject?.reference, _count: 50 }, signal), 'ImagingStudy'),
    enabled: study?.subject?.reference !== undefined,
  });
  if (isBarred(asked)) return <Page title={t('images.title')}><Trouble asked={asked} /></Page>;
  if (!study) return <Loading />;
  const mine = reports.filter((report) => report.imagingStudy?.some((one) => idOf(one.reference) === study.id));
  const hasOverlay = mine.some((report) => report.status !== 'cancelled' && report.status !== 'registered');
  return (
    <Page title={studyTitle(study, language)} note={t('images.studyNote')}>
      <Trouble asked={asked} />
      <PatientLine consult={{ patient }} strong />
      <ReportCritical study={study} patient={patient} />
      <div className="study-parts">
        <ViewerPair key={study.id} studies={studies} study={study}
          linkOf={(at) => `${location.origin}/images/${studyId}?${new URLSearchParams({ series: at.seriesUid, slice: at.sliceUid }).toString()}`}
          patient={patient} hasOverlay={hasOverlay} overlay={overlay} onOverlay={setOverlay} target={target} />
        <section className="panel" aria-label={t('measurement.title')}>
          <MeasurementTab study={study} reports={mine} hasOverlay={hasOverlay} overlay={overlay} onOverlay={setOverlay} onSlice={(sliceUid) => setTarget({ sliceUid })} />
        </section>
      </div>
    </Page>
  );
}
