// 定量测量: the program's figures for a study, to be agreed with, edited or rejected by a doctor before others see them.
import { ExperimentOutlined, ReloadOutlined } from '@ant-design/icons';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Modal, Progress, Switch } from 'antd';
import { useState } from 'react';
import { formToValues, TransitionFields } from '../consult/transition-form';
import { useTakeTransition, useTransitions, type Transition } from '../consult/transitions';
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import { callJson, resourcesOf, search, sendJson } from '../fhir';
import type { DiagnosticReport, ImagingStudy, Observation, Task } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, codes, idOf, studyUid } from '../names';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { roleIs, useSession } from '../session';
import { MeasurementTable } from './measurement-table';

interface MeasurementProps {
  study: ImagingStudy | undefined;
  reports: DiagnosticReport[];
  hasOverlay: boolean;
  overlay: boolean;
  onOverlay: (on: boolean) => void;
  /** Opens the slice in the viewer beside. */
  onSlice: (sliceUid: string) => void;
}

export function MeasurementTab({ study, reports, hasOverlay, overlay, onOverlay, onSlice }: MeasurementProps) {
  const { t } = useTranslation();
  const mayMeasure = roleIs(useSession(), 'county-doctor', 'radiologist');
  const mine = reports
    .filter((report) => report.imagingStudy?.some((one) => idOf(one.reference) === study?.id))
    .sort((a, b) => (b.meta?.lastUpdated ?? '').localeCompare(a.meta?.lastUpdated ?? ''));
  const [newest, ...older] = mine;
  if (!study) return <Empty title={t('measurement.noStudy')} />;
  if (!newest) return <Empty title={t('measurement.none')} help={t('measurement.noneHelp')} />;
  return (
    <>
      {hasOverlay ? (
        <label className="overlay-switch"><Switch size="small" checked={overlay} onChange={onOverlay} /> {t('viewer.overlay')}</label>
      ) : null}
      <MeasurementReport report={newest} study={study} again={mayMeasure} onSlice={onSlice} />
      {older.length > 0 ? (
        <details className="older">
          <summary>{t('measurement.older', { n: older.length })}</summary>
          {older.map((report) => <MeasurementReport key={report.id} report={report} study={study} onSlice={onSlice} />)}
        </details>
      ) : null}
    </>
  );
}

function useMeasurement(report: DiagnosticReport) {
  return useQuery({
    queryKey: ['list', 'Observation', report.id, report.meta?.versionId],
    queryFn: async () => {
      const ids = (report.result ?? []).map((one) => idOf(one.reference)).filter(Boolean);
      const [observations, tasks] = await Promise.all([
        ids.length > 0 ? search('Observation', { _id: ids.join(','), _count: 200 }) : undefined,
        search('Task', { focus: `DiagnosticReport/${report.id ?? ''}`, code: `${codes('workflow')}|ct-measurement` }),
      ]);
      // In the order in which the report names them.
      const order = new Map(ids.map((id, index) => [id, index]));
      const found = resourcesOf<Observation>(observations, 'Observation').sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
      return { observations: found, task: resourcesOf<Task>(tasks, 'Task')[0] };
    },
  });
}

/** How far it is, asked anew while it runs; nothing once it is over. */
function MeasurementProgress({ study }: { study: ImagingStudy }) {
  const { t } = useTranslation();
  const { data } = useQuery({
    queryKey: ['measurement', studyUid(study)],
    queryFn: ({ signal }) => callJson<{ state: string; percent: number }>(`/studies/${studyUid(study) ?? ''}/measurement`, { signal }),
    refetchInterval: (query) => (['done', 'failed', 'none'].includes(query.state.data?.state ?? '') ? false : 1000),
    staleTime: 0,
  });
  if (!data || !['queued', 'running'].includes(data.state)) return null;
  return (
    <div className="measurement-progress" role="status">
      <span>{t(`measurement.state.${data.state}`)}</span>
      <Progress percent={data.percent} size="small" status="active" aria-label={t('measurement.progress')} />
    </div>
  );
}

/** For who may measure and is of the hospital that the images are of. */
function MeasureAgain({ study }: { study: ImagingStudy }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const begin = useMutation({
    mutationFn: () => sendJson(`/studies/${studyUid(study) ?? ''}/measurement`, 'POST', {}),
    onSuccess: () => {
      toast.success(t('measurement.begun'));
      void client.invalidateQueries({ queryKey: ['measurement'] });
      void client.invalidateQueries({ queryKey: ['list', 'DiagnosticReport'] });
    },
  });
  return (
    <div className="steps">
      <Button size="small" icon={<ReloadOutlined />} data-action="measure-again" loading={begin.isPending} onClick={() => begin.mutate()}>{t('measurement.again')}</Button>
      {begin.error ? <Problem error={begin.error} /> : null}
    </div>
  );
}

interface ReportProps { report: DiagnosticReport; study: ImagingStudy; again?: boolean; onSlice: (sliceUid: string) => void }

function MeasurementReport({ report, study, again = false, onSlice }: ReportProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { data, error, refetch } = useMeasurement(report);
  const state = codeOf(data?.task?.businessStatus, 'ct-measurement-state') ?? report.status;
  return (
    <article className="measurement">
      <header>
        <h2><ExperimentOutlined aria-hidden /> {t('measurement.title')}</h2>
        <span className={`badge badge-${report.status === 'final' || report.status === 'amended' ? 'done' : report.status === 'cancelled' ? 'off' : 'act'}`}>
          {['superseded', 'stopped', 'failed', 'unfit'].includes(state) ? t(`measurement.state.${state}`) : t(`measurement.status.${report.status}`, { defaultValue: state })}
        </span>
      </header>
      <p className="hint">{t('measurement.notDiagnosis')}</p>
      {report.conclusion ? <p className="pre conclusion">{report.conclusion}</p> : null}
      {error ? <Problem error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading /> : null}
      {report.status === 'registered' ? <MeasurementProgress study={study} /> : null}
      {data ? <MeasurementTable observations={data.observations} onSlice={onSlice} /> : null}
      <p className="hint">
        {[formatTime(report.issued, language), report.resultsInterpreter?.[0] ? t('measurement.by', { who: directory.postName(report.resultsInterpreter[0]) }) : ''].filter(Boolean).join(' · ')}
      </p>
      {data?.task ? <MeasurementSteps task={data.task} report={report} /> : null}
      {again && ['stopped', 'failed', 'unfit'].includes(state) ? <MeasureAgain study={study} /> : null}
    </article>
  );
}

function MeasurementSteps({ task, report }: { task: Task; report: DiagnosticReport }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const [form] = Form.useForm<Record<string, unknown>>();
  const { data: transitions = [] } = useTransitions(task, language);
  const take = useTakeTransition(task);
  const [open, setOpen] = useState<Transition>();
  const allowed = transitions.filter((transition) => transition.allowed);
  const run = (transition: Transition, fields: Record<string, unknown>) =>
    take.mutate({ transition, values: formToValues(transition, fields) }, {
      onSuccess: () => {
        setOpen(undefined);
        toast.success(t('transition.done', { what: transition.title }));
      },
    });
  if (allowed.length === 0) return null;
  const nothingShared = { studies: [], impressions: [], compositions: [] } as unknown as Consult;
  return (
    <div className="steps">
      {report.status === 'registered' ? null : <p className="hint">{t('measurement.review')}</p>}
      <div className="steps-row">
        {allowed.map((transition) => (
          <Button key={transition.name} size="small" type={transition.primary ? 'primary' : 'default'} data-transition={transition.name}
            danger={transition.name === 'reject'} loading={take.isPending}
            onClick={() => (transition.inputs.length > 0 ? setOpen(transition) : run(transition, {}))}>
            {transition.title}
          </Button>
        ))}
      </div>
      {take.error && !open ? <Problem error={take.error} /> : null}
      <Modal open={open !== undefined} title={open?.title} okText={open?.title} destroyOnHidden confirmLoading={take.isPending}
        onOk={() => form.submit()} onCancel={() => setOpen(undefined)} afterClose={() => take.reset()}>
        {open ? (
          <Form form={form} layout="vertical" preserve={false} initialValues={{ conclusion: report.conclusion }} onFinish={(fields) => run(open, fields)}>
            <TransitionFields transition={open} consult={nothingShared} />
          </Form>
        ) : null}
        {take.error ? <Problem error={take.error} /> : null}
      </Modal>
    </div>
  );
}
