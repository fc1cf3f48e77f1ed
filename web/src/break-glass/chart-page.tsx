// The record that was opened: only to be read, and only until its time is over.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { PatientLine } from '../consult/patient-line';
import { studyTitle } from '../consult/texts';
import { read } from '../fhir';
import type { CodeableConcept, ImagingStudy, Quantity, Resource, Task } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { textOf } from '../names';
import { useNow } from '../parts/countdown';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { OpenedCard } from './break-glass-page';
import { isOpen, stateOfGlass, useChart, type Opened } from './data';

/** What these types have in common for a line: what, how much, when. */
type Line = Resource & {
  code?: CodeableConcept; medicationCodeableConcept?: CodeableConcept; description?: string; conclusion?: string; valueString?: string;
  valueQuantity?: Quantity; valueCodeableConcept?: CodeableConcept; effectiveDateTime?: string; recordedDate?: string; authoredOn?: string; issued?: string;
  dosageInstruction?: { text?: string }[];
};

function lineOf(resource: Resource): { what: string; more: string; time: string | undefined } {
  const line = resource as Line;
  const quantity = line.valueQuantity ? `${line.valueQuantity.value ?? ''} ${line.valueQuantity.unit ?? ''}`.trim() : '';
  return {
    what: textOf(line.code ?? line.medicationCodeableConcept) || (line.description ?? ''),
    more: [quantity, line.valueString, line.valueCodeableConcept ? textOf(line.valueCodeableConcept) : '', line.conclusion, line.dosageInstruction?.[0]?.text].filter(Boolean).join(' '),
    time: line.effectiveDateTime ?? line.issued ?? line.recordedDate ?? line.authoredOn ?? line.meta?.lastUpdated,
  };
}

export default function ChartPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const { taskId = '' } = useParams();
  const now = useNow(5000);
  const { data: task, error } = useQuery({ queryKey: ['fhir', 'Task', taskId], queryFn: ({ signal }) => read<Task>(`Task/${taskId}`, signal) });
  const opened: Opened | undefined = task && { task, state: stateOfGlass(task), patient: undefined };
  const open = opened !== undefined && isOpen(opened, now);
  const { data: chart, error: shut } = useChart(task, open);
  if (error) return <div className="page"><Problem error={error} /></div>;
  if (!opened) return <Loading />;
  const shown = open ? chart : undefined;
  return (
    <Page title={t('breakGlass.title')} note={t('breakGlass.chartNote')}>
      {shown ? <PatientLine consult={{ patient: shown.patient }} strong /> : null}
      <OpenedCard opened={{ ...opened, patient: shown?.patient }} withLink={false} />
      {shut && open ? <Problem error={shut} /> : null}
      {!open ? <Empty title={t('breakGlass.over')} help={t('breakGlass.overHelp')} /> : null}
      {shown?.entries.map(({ type, resources }) => (
        <section key={type} className="panel chart-part" aria-label={t(`breakGlass.type.${type}`)}>
          <h2>{t(`breakGlass.type.${type}`)}</h2>
          <ul className="plain-list">
            {resources.map((one) => {
              const { what, more, time } = lineOf(one);
              return (
                <li key={one.id}>
                  {type === 'ImagingStudy' ? <Link to={`/images/${one.id ?? ''}`}>{studyTitle(one as ImagingStudy, language)}</Link> : <><strong>{what}</strong> {more}</>}
                  {time ? <span className="hint"> {formatTime(time, language)}</span> : null}
                </li>
              );
            })}
          </ul>
        </section>
      ))}
      {shown?.entries.length === 0 ? <Empty title={t('breakGlass.empty')} help={t('breakGlass.emptyHelp')} /> : null}
    </Page>
  );
}
