// 一天一会诊、一人一案: every severe or critical patient; red is who has no signed consult today.
import { CheckCircleOutlined, DownloadOutlined, ExclamationCircleFilled } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, DatePicker, Select } from 'antd';
import dayjs from 'dayjs';
import { useNavigate, useSearchParams } from 'react-router';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { create } from '../fhir';
import type { Observation, Patient } from '../fhir-types';
import { formatAge, formatTime, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { concept } from '../names';
import { StateBadge } from '../parts/badges';
import { Empty } from '../parts/empty';
import { csvOf, download } from '../parts/file';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { isBarred, Problem, Trouble } from '../parts/problem';
import { roleIs, useSession } from '../session';
import { useFigures } from '../today/indicators';
import { useHouses, useRound, type RoundRow } from './data';

const SEVERITIES = ['critical', 'severe', 'common', 'mild', 'resolved'];

export default function RoundPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const session = useSession();
  const [query, setQuery] = useSearchParams();
  const date = query.get('date') ?? siteToday();
  const organization = query.get('org') ?? undefined;
  const leads = roleIs(session, 'commander');
  const asked = useRound(date, organization, roleIs(session, 'county-doctor'));
  const { data, isPending, dataUpdatedAt } = asked;
  const open = data?.rows.filter((row) => !row.signed).length ?? 0;
  const change = (name: string, value: string | undefined) => setQuery((before) => {
    if (value) before.set(name, value);
    else before.delete(name);
    return before;
  }, { replace: true });
  return (
    <Page title={t('round.title')} note={data ? `${t('round.note')} · ${t('today.asOf', { time: formatTime(new Date(dataUpdatedAt).toISOString(), language) })}` : t('round.note')}
      actions={<>{data && data.rows.length > 0 ? <ExportRound rows={data.rows} date={date} asOf={dataUpdatedAt} /> : null}<DatePicker value={dayjs(date)} allowClear={false} aria-label={t('today.date')} onChange={(picked) => change('date', picked ? picked.format('YYYY-MM-DD') : undefined)} /></>}>
      {leads ? <Houses date={date} active={organization} onOpen={(id) => change('org', id)} /> : null}
      <Trouble asked={asked} />
      {isPending ? <Loading /> : null}
      {data && !leads && open > 0 ? <p className="round-alarm" role="status"><ExclamationCircleFilled aria-hidden /> {t('round.open', { n: open })}</p> : null}
      {data && data.total > data.rows.length ? <p className="hint">{t('round.visible', { n: data.total, m: data.rows.length })}</p> : null}
      {data && data.total === 0 ? <Empty title={t('round.none')} help={t('round.noneHelp')} /> : null}
      {data && data.rows.length > 0 ? <Rows rows={data.rows} today={date === siteToday()} /> : null}
    </Page>
  );
}

/** The list as a file, with 截至. */
function ExportRound({ rows, date, asOf }: { rows: RoundRow[]; date: string; asOf: number }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const save = () => download(`${t('round.title')}-${date}.csv`, csvOf([
    [t('today.asOf', { time: formatTime(new Date(asOf).toISOString(), language) })],
    ['round.patient', 'patient.genderAge', 'patient.inpatientNo', 'round.severity', 'round.since', 'round.today', 'column.state'].map((key) => t(key)),
    ...rows.map((row) => [patientName(row.patient), `${t(genderKey(row.patient))} ${formatAge(row.patient.birthDate, language)}`.trim(), inpatientNumber(row.patient),
      t(`code.severity.${row.severity ?? 'diagnosis'}`), formatTime(row.since, language), t(row.signed ? 'round.signed' : 'round.unsigned'), row.state ? t(`state.${row.state}`) : '']),
  ]));
  return <Button icon={<DownloadOutlined />} title={t('common.exportCsv')} onClick={save}>CSV</Button>;
}

function Houses({ date, active, onOpen }: { date: string; active: string | undefined; onOpen: (id: string | undefined) => void }) {
  const { t } = useTranslation();
  const { data: figures } = useFigures(date, undefined);
  const asked = useHouses(date, figures?.organizations ?? [], figures !== undefined);
  const { data: rows } = asked;
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!rows) return <Loading />;
  return (
    <section className="panel" aria-label={t('round.houses')}>
      <Trouble asked={asked} />
      <div className="table-scroll">
        <table className="list-table">
          <thead><tr>{['house', 'severe', 'missing'].map((key) => <th key={key} scope="col">{t(`round.${key}`)}</th>)}</tr></thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} className={`${row.open > 0 ? 'row-stat' : ''} ${row.id === active ? 'row-active' : ''}`} onClick={() => onOpen(row.id === active ? undefined : row.id)}>
                <td data-label={t('round.house')}><button type="button" className="link-button" onClick={(event) => { event.stopPropagation(); onOpen(row.id === active ? undefined : row.id); }}>{row.name}</button></td>
                <td data-label={t('round.severe')}>{row.severe}</td>
                <td data-label={t('round.missing')} className={row.open > 0 ? 'text-red' : undefined}>{row.open > 0 ? <><ExclamationCircleFilled aria-hidden /> {row.open}</> : 0}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Rows({ rows, today }: { rows: RoundRow[]; today: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const session = useSession();
  const treats = roleIs(session, 'county-doctor');
  return (
    <section className="panel" aria-label={t('round.title')}>
      <div className="table-scroll">
        <table className="list-table">
          <thead>
            <tr>
              {['patient', 'severity', 'since', 'today'].map((key) => <th key={key} scope="col">{t(`round.${key}`)}</th>)}
              <th scope="col"><span className="visually-hidden">{t('column.action')}</span></th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.patient.id} className={row.signed ? '' : 'row-stat'}>
                <td data-label={t('round.patient')} className="cell-patient">
                  <strong>{patientName(row.patient)}</strong>
                  <span className="cell-sub">{t(genderKey(row.patient))} {formatAge(row.patient.birthDate, language)} {inpatientNumber(row.patient)}</span>
                </td>
                <td data-label={t('round.severity')}>
                  {treats && today ? <SeverityChoice patient={row.patient} value={row.severity} /> : treats ? t(`code.severity.${row.severity ?? 'diagnosis'}`) : '—'}
                </td>
                <td data-label={t('round.since')}>{formatTime(row.since, language) || '—'}</td>
                <td data-label={t('round.today')}>
                  {row.signed ? <span className="badge badge-done"><CheckCircleOutlined aria-hidden /> {t('round.signed')}</span>
                    : <span className="badge urgency-stat"><ExclamationCircleFilled aria-hidden /> {t('round.unsigned')}</span>}
                  {!row.signed && row.state ? <StateBadge state={row.state} /> : null}
                </td>
                <td className="cell-action">
                  {row.task ? <Button size="small" onClick={() => void navigate(`/consults/${row.task?.id ?? ''}`)}>{t('action.look')}</Button> : null}
                  {treats && today && !row.task ? <Button size="small" type="primary" onClick={() => void navigate(`/consults/new?patient=${row.patient.id ?? ''}`)}>{t('round.ask')}</Button> : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** A changed severity is a new dated record; the one before stays. */
function SeverityChoice({ patient, value }: { patient: Patient; value: string | undefined }) {
  const { t } = useTranslation();
  const { post } = useSession();
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: (severity: string) => create<Observation>({
      resourceType: 'Observation', status: 'final', code: concept('case-observation', 'severity', t('round.severity', { lng: 'zh' })),
      subject: { reference: `Patient/${patient.id ?? ''}` }, effectiveDateTime: new Date().toISOString(),
      performer: [{ reference: `PractitionerRole/${post.id}` }], valueCodeableConcept: concept('severity', severity, t(`code.severity.${severity}`, { lng: 'zh' })),
    }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['indicators'] }),
  });
  return (
    <>
      <Select size="small" className="severity-choice" value={value} loading={save.isPending} placeholder={t('code.severity.diagnosis')} aria-label={t('round.severityOf', { name: patientName(patient) })}
        onChange={(next: string) => save.mutate(next)} options={SEVERITIES.map((code) => ({ value: code, label: t(`code.severity.${code}`) }))} />
      {save.error ? <Problem error={save.error} /> : null}
    </>
  );
}
