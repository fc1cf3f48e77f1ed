// 会诊交接班清单: a tab of the list on paper for whoever takes over, with room for remarks and both signatures.
import { ArrowLeftOutlined, PrinterOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button } from 'antd';
import { useNavigate, useSearchParams } from 'react-router';
import { genderKey, inpatientNumber, patientName, stepText } from '../consult/texts';
import { machineOf } from '../consult/data';
import { useDirectory } from '../directory';
import { formatAge, formatDuration, formatShort, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { identifierOf } from '../names';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { useSession } from '../session';
import { firstTabOf, isWaiting, tabsOf } from '../states';
import { allRows, isLate, priorityOf, useLastSteps, waitsSince, type ConsultRow } from './list';

const COLUMNS = ['consult.number', 'column.patient', 'column.from', 'column.purpose', 'column.state', 'column.waited', 'column.expert', 'handover.remark'];

export default function HandoverPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const session = useSession();
  const [query] = useSearchParams();
  const tabs = tabsOf(session.post.role);
  const tab = tabs.find((one) => one.key === query.get('tab')) ?? firstTabOf(tabs, undefined);
  const filter = { urgency: query.get('urgency') ?? undefined, text: query.get('text') ?? undefined };
  usePageTitle(t('handover.title'));
  const { data: rows, error, refetch, dataUpdatedAt } = useQuery({
    queryKey: ['list', 'Task', 'handover', tab?.key, filter],
    queryFn: () => allRows(tab ?? { key: '', states: [] }, filter),
    enabled: tab !== undefined,
  });
  const asOf = formatTime(new Date(dataUpdatedAt).toISOString(), language);
  return (
    <main className="print-page">
      <div className="print-bar">
        <Button icon={<ArrowLeftOutlined />} onClick={() => void navigate(`/consults?${query.toString()}`)}>{t('common.back')}</Button>
        <span className="hint">{t('handover.note')}</span>
        <Button type="primary" icon={<PrinterOutlined />} disabled={!rows} onClick={() => window.print()}>{t('print.do')}</Button>
      </div>
      {error ? <Problem error={error} retry={() => void refetch()} /> : null}
      {!rows && !error ? <Loading /> : null}
      {rows ? (
        <article className="handover" tabIndex={0} aria-label={t('handover.title')}>
          <h1>{t('handover.title')}</h1>
          <p>
            {session.post.organization.name} · {tab ? t(`tab.${tab.key}`) : ''} · {t('handover.count', { n: rows.length, m: rows.filter((row) => isLate(row, dataUpdatedAt)).length })} · {t('today.asOf', { time: asOf })}
          </p>
          {rows.length === 0 ? <Empty title={t('worklist.empty', { tab: tab ? t(`tab.${tab.key}`) : '' })} /> : <HandoverTable rows={rows} now={dataUpdatedAt} />}
          <p className="handover-signs">
            {['gives', 'takes', 'time'].map((key) => <span key={key}>{t(`handover.${key}`)}{t('common.colon')}<i /></span>)}
          </p>
          <p className="hint">{t('print.printedBy', { who: session.person.name, time: asOf })}</p>
        </article>
      ) : null}
    </main>
  );
}

function HandoverTable({ rows, now }: { rows: ConsultRow[]; now: number }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const steps = useLastSteps(rows);
  return (
    <table>
      <thead><tr>{COLUMNS.map((key) => <th key={key} scope="col">{t(key)}</th>)}</tr></thead>
      <tbody>
        {rows.map((row) => {
          const { request, patient, task } = row;
          const from = directory.post(task.requester ?? request?.requester);
          const expert = directory.post(task.owner);
          const since = waitsSince(row);
          const step = steps.get(task.id ?? '');
          const priority = priorityOf(row);
          return (
            <tr key={task.id}>
              <td>{identifierOf(request, 'consult') ?? '—'}{priority && priority !== 'routine' ? <b>{t(`urgency.${priority}`)}</b> : null}</td>
              <td><b>{patientName(patient)}</b>{[t(genderKey(patient)), formatAge(patient?.birthDate, language), inpatientNumber(patient)].filter(Boolean).join(' ')}</td>
              <td>{from?.organizationName ?? directory.organizationName(request?.requester)}<span>{[from?.name, from?.phone].filter(Boolean).join(' ')}</span></td>
              <td>{request?.orderDetail?.[0]?.text ?? '—'}</td>
              <td>{t(`state.${row.state}`)}{step ? <span>{formatShort(step.time, language)} {directory.postName(step.who)} {stepText(t, machineOf(task), step.name)}</span> : null}</td>
              <td>{since && isWaiting(row.state) ? formatDuration(now - Date.parse(since), language) : '—'}{isLate(row, now) ? <b>{t('worklist.overdue')}</b> : null}</td>
              <td>{expert?.name ?? '—'}<span>{expert?.phone}</span></td>
              <td />
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
