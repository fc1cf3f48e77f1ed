// The list as a file for a spreadsheet: what the rows show, with 截至.
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import type { Directory } from '../directory';
import { formatAge, formatTime, siteToday, type Language } from '../format';
import type { TFunction } from '../i18n';
import { identifierOf } from '../names';
import { csvOf, download } from '../parts/file';
import { isWaiting } from '../states';
import { isLate, priorityOf, waitsSince, type ConsultRow } from './list';

interface ExportOptions { t: TFunction; language: Language; directory: Directory; name: string }

const MINUTE = 60_000;

export function worklistTable(rows: ConsultRow[], { t, language, directory }: ExportOptions, now: number): (string | number | null)[][] {
  const head = ['consult.number', 'consult.urgency', 'column.patient', 'patient.genderAge', 'patient.inpatientNo', 'consult.purpose', 'consult.from', 'export.requester',
    'consult.wantedSpecialty', 'consult.wantedTime', 'export.submitted', 'export.waited', 'worklist.overdue', 'column.expert', 'column.state'].map((key) => t(key));
  const body = rows.map((row) => {
    const { request, patient, task } = row;
    const from = directory.post(task.requester ?? request?.requester);
    const since = waitsSince(row);
    const priority = priorityOf(row);
    return [
      identifierOf(request, 'consult') ?? '', priority ? t(`urgency.${priority}`) : '', patientName(patient),
      `${t(genderKey(patient))} ${formatAge(patient?.birthDate, language)}`.trim(), inpatientNumber(patient), request?.orderDetail?.[0]?.text ?? '',
      from?.organizationName ?? directory.organizationName(request?.requester), from?.name ?? '', request?.performerType?.text ?? '',
      formatTime(request?.occurrenceDateTime, language), formatTime(request?.authoredOn, language),
      since && isWaiting(row.state) ? Math.floor((now - Date.parse(since)) / MINUTE) : null, t(isLate(row, now) ? 'export.yes' : 'export.no'),
      directory.postName(task.owner), t(`state.${row.state}`),
    ];
  });
  return [[t('today.asOf', { time: formatTime(new Date(now).toISOString(), language) })], head, ...body];
}

export function exportRows(rows: ConsultRow[], options: ExportOptions): void {
  download(`${options.t('worklist.title')}-${options.name}-${siteToday()}.csv`, csvOf(worklistTable(rows, options, Date.now())));
}
