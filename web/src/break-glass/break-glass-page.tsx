// 紧急调阅: who may open a record opens it here; the heads of both hospitals review what was opened.
import { LockOutlined, UnlockOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input } from 'antd';
import { useState } from 'react';
import { Link, useNavigate } from 'react-router';
import { bareConsult } from '../consult/data';
import { patientName } from '../consult/texts';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import { openGlass } from '../fhir';
import { extensionOf } from '../names';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Countdown, useNow } from '../parts/countdown';
import { Empty } from '../parts/empty';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { useSession } from '../session';
import { isOpen, OPENERS, reviewsOf, useOpened, type Opened } from './data';

export default function BreakGlassPage() {
  const { t } = useTranslation();
  const { post } = useSession();
  const { data, error, refetch } = useOpened();
  return (
    <Page title={t('breakGlass.title')} note={t('breakGlass.note')}>
      {OPENERS.includes(post.role) ? <OpenForm /> : null}
      {error ? <Problem error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Loading /> : null}
      {data?.length === 0 ? <Empty title={t('breakGlass.none')} help={t('breakGlass.noneHelp')} /> : null}
      <div className="critical-list">{(data ?? []).map((one) => <OpenedCard key={one.task.id} opened={one} />)}</div>
    </Page>
  );
}

interface Asked { name: string; identifier: string; reason: string }

function OpenForm() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [form] = Form.useForm<Asked>();
  const open = useMutation({
    mutationFn: openGlass,
    onSuccess: (task) => {
      void client.invalidateQueries({ queryKey: ['list', 'Task'] });
      void navigate(`/break-glass/${task.id ?? ''}`);
    },
  });
  const rules = (name: string) => [{ required: true, message: t('common.requiredOf', { what: t(`breakGlass.${name}`) }) }];
  return (
    <section className="panel break-glass-form" aria-label={t('breakGlass.open')}>
      <Form form={form} layout="vertical" requiredMark="optional" onFinish={(asked) => open.mutate(asked)}>
        <Form.Item name="name" label={t('breakGlass.name')} rules={rules('name')}><Input autoComplete="off" /></Form.Item>
        <Form.Item name="identifier" label={t('breakGlass.identifier')} rules={rules('identifier')}><Input autoComplete="off" /></Form.Item>
        <Form.Item name="reason" label={t('breakGlass.reason')} rules={rules('reason')}><Input.TextArea autoSize={{ minRows: 2, maxRows: 6 }} /></Form.Item>
        <p className="hint">{t('breakGlass.told')}</p>
        {open.error ? <Problem error={open.error} /> : null}
        <Button type="primary" danger htmlType="submit" icon={<UnlockOutlined />} loading={open.isPending} data-action="break-glass">{t('breakGlass.open')}</Button>
      </Form>
    </section>
  );
}

export function OpenedCard({ opened, withLink = true }: { opened: Opened; withLink?: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { post } = useSession();
  const { task, state, patient } = opened;
  const { data: transitions = [] } = useTransitions(state === 'closed' ? undefined : task, language);
  const [step, setStep] = useState<Transition>();
  const open = isOpen(opened, useNow(5000, state === 'open'));
  const who = directory.post(task.requester);
  const mine = task.requester?.reference === `PractitionerRole/${post.id}`;
  const name = patientName(patient) || t('breakGlass.notYours');
  const facts: [string, string][] = [
    ['who', [who?.organizationName, who?.specialty, who?.name].filter(Boolean).join(' · ')],
    ['patient', [name, directory.organizationName(extensionOf(task, 'custodian')?.valueReference)].filter(Boolean).join(' · ')],
    ['period', `${formatTime(task.restriction?.period?.start, language)} — ${formatTime(task.restriction?.period?.end, language)}`],
    ['reason', task.reasonCode?.text ?? ''],
    ...reviewsOf(task).map((review): [string, string] => ['review', [
      t(`breakGlass.answer.${review.answer}`), directory.postName(review.by), directory.post(review.by)?.organizationName, formatTime(review.time, language), review.text,
    ].filter(Boolean).join(' · ')]),
  ];
  return (
    <article className={`critical ${open ? 'critical-open' : ''}`} data-break-glass={task.id}>
      <header>
        {open ? <UnlockOutlined aria-hidden /> : <LockOutlined aria-hidden />}
        <strong>{withLink && mine && open ? <Link to={`/break-glass/${task.id ?? ''}`}>{name}</Link> : name}</strong>
        <span className={`badge ${open ? 'badge-stop' : state === 'closed' ? 'badge-done' : 'badge-act'}`}>{t(`breakGlass.state.${open || state !== 'open' ? state : 'ended'}`)}</span>
        {open ? <Countdown until={task.restriction?.period?.end} text={(left) => t('breakGlass.left', { left })} /> : null}
      </header>
      <dl className="facts facts-tight critical-facts">
        {facts.filter(([, text]) => text).map(([key, text], index) => <div key={`${key}${index}`}><dt>{t(`breakGlass.${key}`)}</dt><dd>{text}</dd></div>)}
      </dl>
      <div className="steps-row">
        {transitions.filter((one) => one.allowed).map((one) => (
          <Button key={one.name} size="small" type={one.primary ? 'primary' : 'default'} danger={one.name === 'object'} data-transition={one.name} onClick={() => setStep(one)}>{one.title}</Button>
        ))}
      </div>
      <TransitionDialog transition={step} consult={bareConsult(task, patient)} onClose={() => setStep(undefined)} />
    </article>
  );
}
