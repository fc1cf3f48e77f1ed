// A step whose text is long enough to be written in a tab instead of a dialog.
import { Button, Form } from 'antd';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { PatientLine } from '../consult/patient-line';
import { formToValues, knownValues, TransitionFields } from '../consult/transition-form';
import { useTakeTransition, useTransitions } from '../consult/transitions';
import { useLanguage, useTranslation } from '../i18n';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession } from '../session';

export function InlineTransition({ name, consult }: { name: string; consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const [touched, setTouched] = useState(false);
  const [form] = Form.useForm<Record<string, unknown>>();
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const take = useTakeTransition(consult.task);
  const transition = transitions.find((one) => one.name === name);
  if (!transition) return null;
  if (!transition.allowed) return transition.reasons.length > 0 ? <p className="hint">{transition.reasons.join(t('common.semicolon'))}</p> : null;

  const run = (fields: Record<string, unknown>) =>
    take.mutate(
      { transition, values: { ...knownValues(transition, consult, post.id), ...formToValues(transition, fields) } },
      { onSuccess: () => {
        setTouched(false);
        toast.success(t('transition.done', { what: transition.title }));
      } },
    );
  return (
    <section className="inline-step" aria-label={transition.title} data-unsaved={touched}>
      <h2>{transition.title}</h2>
      <PatientLine consult={consult} strong />
      {t(`transitionHelp.${name}`, { defaultValue: '' }) ? <p className="hint">{t(`transitionHelp.${name}`)}</p> : null}
      <Form form={form} layout="vertical" requiredMark="optional" onFinish={run} onValuesChange={() => setTouched(true)}>
        <TransitionFields transition={transition} consult={consult} />
        {take.error ? <Problem error={take.error} /> : null}
        <Button type="primary" htmlType="submit" loading={take.isPending} data-transition={name}>{transition.title}</Button>
      </Form>
    </section>
  );
}
