// 病历封存: medical affairs seals the record of a patient and lifts the seal, each with a reason.
import { LockFilled, UnlockOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input } from 'antd';
import { useState } from 'react';
import { bareConsult } from '../consult/data';
import { inpatientNumber, patientName } from '../consult/texts';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import { formatTime } from '../format';
import { PatientPicker } from '../images/patient-picker';
import { useLanguage, useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession } from '../session';
import { holdNumber, placeHold, useHolds, type Hold } from './data';

export default function HoldsPage() {
  const { t } = useTranslation();
  const { post } = useSession();
  const { data, error, refetch } = useHolds();
  return (
    <Page title={t('hold.title')} note={t('hold.note')}>
      {post.role === 'medical-affairs' ? <PlaceForm /> : null}
      {error ? <Problem error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading /> : null}
      {data?.length === 0 ? <Empty title={t('hold.none')} help={t('hold.noneHelp')} /> : null}
      <div className="critical-list">{(data ?? []).map((hold) => <HoldCard key={hold.task.id} hold={hold} />)}</div>
    </Page>
  );
}

/** The picker as a field of the form. */
function PatientField({ onChange }: { onChange?: (patient: string) => void }) {
  return <PatientPicker onPick={(id) => onChange?.(`Patient/${id}`)} />;
}

function PlaceForm() {
  const { t } = useTranslation();
  const session = useSession();
  const client = useQueryClient();
  const [placed, setPlaced] = useState(0);
  const [form] = Form.useForm<{ patient: string; reason: string }>();
  const place = useMutation({
    mutationFn: ({ patient, reason }: { patient: string; reason: string }) => placeHold(session, patient, reason),
    onSuccess: (task) => {
      form.resetFields();
      setPlaced(placed + 1);
      toast.success(t('hold.placed', { number: holdNumber(task) }));
      void client.invalidateQueries({ queryKey: ['list', 'Task'] });
    },
  });
  return (
    <section className="panel break-glass-form" aria-label={t('hold.place')}>
      <Form form={form} layout="vertical" requiredMark="optional" onFinish={(fields) => place.mutate(fields)}>
        <Form.Item name="patient" label={t('hold.patient')} rules={[{ required: true, message: t('common.requiredOf', { what: t('hold.patient') }) }]}><PatientField key={placed} /></Form.Item>
        <Form.Item name="reason" label={t('hold.reason')} rules={[{ required: true, min: 4, message: t('common.requiredOf', { what: t('hold.reason') }) }]}>
          <Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} />
        </Form.Item>
        <p className="hint">{t('hold.effect')}</p>
        {place.error ? <Problem error={place.error} /> : null}
        <Button type="primary" htmlType="submit" icon={<LockFilled />} loading={place.isPending} data-action="place-hold">{t('hold.place')}</Button>
      </Form>
    </section>
  );
}

function HoldCard({ hold }: { hold: Hold }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { task, active, patient } = hold;
  const { data: transitions = [] } = useTransitions(active ? task : undefined, language);
  const [step, setStep] = useState<Transition>();
  const facts: [string, string][] = [
    ['patient', [patientName(patient), inpatientNumber(patient)].filter(Boolean).join(' · ')],
    ['since', [formatTime(task.authoredOn, language), directory.postName(task.requester)].join(' · ')],
    ['reason', task.reasonCode?.text ?? ''],
    ['lifted', active ? '' : [formatTime(task.executionPeriod?.end, language), task.statusReason?.text].filter(Boolean).join(' · ')],
  ];
  return (
    <article className="critical hold" data-hold={task.id}>
      <header>
        {active ? <LockFilled aria-hidden /> : <UnlockOutlined aria-hidden />}
        <strong>{holdNumber(task)}</strong>
        <span className={`badge ${active ? 'badge-act' : 'badge-off'}`}>{t(active ? 'hold.active' : 'hold.over')}</span>
      </header>
      <dl className="facts facts-tight critical-facts">
        {facts.filter(([, text]) => text).map(([key, text]) => <div key={key}><dt>{t(`hold.${key}`)}</dt><dd>{text}</dd></div>)}
      </dl>
      <div className="steps-row">
        {transitions.filter((one) => one.allowed).map((one) => <Button key={one.name} size="small" data-transition={one.name} onClick={() => setStep(one)}>{one.title}</Button>)}
      </div>
      <TransitionDialog transition={step} consult={bareConsult(task, patient)} onClose={() => setStep(undefined)} />
    </article>
  );
}
