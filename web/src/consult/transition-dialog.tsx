// One dialog for every step. An act that cannot be taken back repeats whose record it is about.
import { useState } from 'react';
import { Form, Modal } from 'antd';
import { useNavigate } from 'react-router';
import { useTranslation } from '../i18n';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession } from '../session';
import type { Consult } from './data';
import { PatientLine } from './patient-line';
import { formToValues, knownValues, TransitionFields } from './transition-form';
import { LEAVING_STEPS, useTakeTransition, type InputValue, type Transition } from './transitions';
import { useRuleTime } from '../rule-times';

const FINAL = new Set(['deliver', 'sign-opinion', 'sign', 'decide', 'dissent', 'addendum', 'cancel', 'refuse', 'feedback', 'feedback-30', 'submit', 'submit-report', 'record-verbal', 'write-up-verbal']);

interface DialogProps {
  transition: Transition | undefined;
  consult: Consult;
  /** What the screen has chosen already: not asked again. */
  preset?: Record<string, InputValue>;
  onClose: () => void;
  onDone?: () => void;
}

export function TransitionDialog({ transition, consult, preset, onClose, onDone }: DialogProps) {
  const { t } = useTranslation();
  const limit = useRuleTime('consult', 'writeUpLimit');
  const navigate = useNavigate();
  const { post } = useSession();
  const [form] = Form.useForm<Record<string, unknown>>();
  const take = useTakeTransition(consult.task);
  const [shown, setShown] = useState(transition);
  if (transition && transition !== shown) setShown(transition);
  const current = transition ?? shown;
  if (!current) return null;

  const run = (fields: Record<string, unknown>) =>
    take.mutate(
      { transition: current, values: { ...knownValues(current, consult, post.id), ...formToValues(current, fields), ...preset } },
      {
        onSuccess: () => {
          toast.success(t('transition.done', { what: current.title }));
          onClose();
          onDone?.();
          if (LEAVING_STEPS.has(current.name)) void navigate('/consults');
        },
      },
    );

  return (
    <Modal
      open={transition !== undefined}
      title={current.title}
      okText={current.title}
      okButtonProps={{ danger: current.name === 'cancel' || current.name === 'refuse' }}
      confirmLoading={take.isPending}
      destroyOnHidden
      onOk={() => form.submit()}
      onCancel={onClose}
      afterClose={() => {
        take.reset();
        setShown(undefined);
      }}
    >
      <PatientLine consult={consult} strong={FINAL.has(current.name)} />
      {t(`transitionHelp.${current.name}`, { defaultValue: '' }) ? (
        <p className="hint">{t(`transitionHelp.${current.name}`, { limit })}</p>
      ) : null}
      <Form form={form} layout="vertical" preserve={false} requiredMark="optional" onFinish={run}>
        <TransitionFields transition={current} consult={consult} preset={preset} />
      </Form>
      {take.error ? <Problem error={take.error} /> : null}
    </Modal>
  );
}
