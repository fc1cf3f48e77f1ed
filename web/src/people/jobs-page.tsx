// 后台任务: what the program does in the background, for the administrator. Kinds, states and progress; no record comes here.
import { ReloadOutlined } from '@ant-design/icons';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { App, Button, Progress, Segmented } from 'antd';
import { useState } from 'react';
import { callJson, sendJson } from '../fhir';
import { formatNumber, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';

const STATES = ['queued', 'running', 'done', 'failed'] as const;
const BADGES = { queued: 'wait', running: 'run', done: 'done', failed: 'stop' } as const;
const REFRESH_MS = 5000;

interface Job {
  id: string;
  kind: string;
  state: (typeof STATES)[number];
  perMille: number;
  attempts: number;
  created: string;
  updated: string;
  /** Waiting: when it is tried next. */
  next?: string;
  error?: string;
  actions: ('cancel' | 'retry')[];
}
interface JobsAnswer { jobs: Job[]; before?: string; keptDays: number; fills: { view: string; perMille: number }[] }

export default function JobsPage() {
  const { t } = useTranslation();
  const [state, setState] = useState('');
  const asked = useInfiniteQuery({
    queryKey: ['jobs', state],
    queryFn: ({ pageParam, signal }) =>
      callJson<JobsAnswer>(`/admin/jobs?${new URLSearchParams({ ...(state && { state }), ...(pageParam && { before: pageParam }) }).toString()}`, { signal }),
    initialPageParam: '',
    getNextPageParam: (last) => last.before,
    refetchInterval: REFRESH_MS,
  });
  const { data, refetch, hasNextPage, fetchNextPage } = asked;
  const jobs = data?.pages.flatMap((page) => page.jobs) ?? [];
  const fills = data?.pages[0]?.fills ?? [];
  const refresh = <Button icon={<ReloadOutlined />} onClick={() => void refetch()}>{t('jobs.refresh')}</Button>;
  return (
    <Page title={t('jobs.title')} note={[t('jobs.note'), data ? t('jobs.kept', { n: data.pages[0]?.keptDays }) : ''].join(' ')} actions={refresh}>
      {fills.length > 0 ? <Fills fills={fills} /> : null}
      <section className="panel">
        <div className="tab-actions">
          <Segmented aria-label={t('jobs.filter')} value={state} onChange={setState}
            options={[{ value: '', label: t('jobs.all') }, ...STATES.map((one) => ({ value: one, label: t(`jobs.state.${one}`) }))]} />
        </div>
        <Trouble asked={asked} />
        {!data && !asked.error ? <Loading /> : null}
        {data && jobs.length === 0 ? <Empty title={t(state ? 'jobs.noneState' : 'jobs.none')} help={state ? undefined : t('jobs.noneHelp')} /> : null}
        {jobs.length > 0 ? <JobsTable jobs={jobs} /> : null}
        {hasNextPage ? <div className="tab-actions"><Button onClick={() => void fetchNextPage()}>{t('jobs.more')}</Button></div> : null}
      </section>
    </Page>
  );
}

/** Views that were added later: until they are filled, their figures are not whole. */
function Fills({ fills }: { fills: JobsAnswer['fills'] }) {
  const { t } = useTranslation();
  return (
    <section className="panel">
      <h2>{t('jobs.fills')}</h2>
      <p className="page-note">{t('jobs.fillsHelp')}</p>
      {fills.map((fill) => <div key={fill.view}><code>{fill.view}</code><Progress percent={fill.perMille / 10} aria-label={fill.view} /></div>)}
    </section>
  );
}

function JobsTable({ jobs }: { jobs: Job[] }) {
  const { t } = useTranslation();
  return (
    <div className="table-scroll">
      <table className="list-table list-simple">
        <thead>
          <tr>
            {['jobs.kindTitle', 'column.state', 'jobs.progress', 'jobs.attempts', 'jobs.times'].map((key) => <th key={key} scope="col">{t(key)}</th>)}
            <th><span className="visually-hidden">{t('column.action')}</span></th>
          </tr>
        </thead>
        <tbody>{jobs.map((job) => <JobRow key={job.id} job={job} />)}</tbody>
      </table>
    </div>
  );
}

function JobRow({ job }: { job: Job }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const wasCancelled = job.error === 'cancelled';
  const reason = wasCancelled ? t('jobs.wasCancelled') : job.error;
  return (
    <tr>
      <td data-label={t('jobs.kindTitle')}>{t(`jobs.kind.${job.kind}`, { defaultValue: job.kind })}<span className="cell-sub">#{job.id}</span></td>
      <td data-label={t('column.state')}>
        <span className={`badge badge-${wasCancelled ? 'off' : BADGES[job.state]}`}>{t(`jobs.state.${job.state}`)}</span>
        {reason ? <span className="cell-sub">{reason}</span> : null}
      </td>
      <td data-label={t('jobs.progress')}>{formatNumber(job.perMille / 10, 1)}%</td>
      <td data-label={t('jobs.attempts')}>{job.attempts}</td>
      <td data-label={t('jobs.times')}>
        {t('jobs.created', { time: formatTime(job.created, language) })}
        <span className="cell-sub">
          {job.next && Date.parse(job.next) > Date.now() ? t('jobs.next', { time: formatTime(job.next, language) }) : t('jobs.updated', { time: formatTime(job.updated, language) })}
        </span>
      </td>
      <td className="cell-action">{job.actions.map((action) => <JobAction key={action} job={job} action={action} />)}</td>
    </tr>
  );
}

function JobAction({ job, action }: { job: Job; action: 'cancel' | 'retry' }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { modal } = App.useApp();
  const act = useMutation({
    mutationFn: () => sendJson(`/admin/jobs/${job.id}/${action}`, 'POST', {}),
    onSuccess: () => {
      toast.success(t(action === 'cancel' ? 'jobs.cancelled' : 'jobs.retried'));
      void client.invalidateQueries({ queryKey: ['jobs'] });
    },
    onError: (failure) => toast.error(problemText(failure, t).title),
  });
  const begin = () =>
    action === 'retry' ? act.mutate() : void modal.confirm({
      title: t('jobs.cancelAsk'), content: t('jobs.cancelHelp'), okText: t('jobs.cancel'), okButtonProps: { danger: true },
      onOk: () => act.mutateAsync().catch(() => undefined),
    });
  return <Button size="small" danger={action === 'cancel'} loading={act.isPending} onClick={begin}>{t(`jobs.${action}`)}</Button>;
}
