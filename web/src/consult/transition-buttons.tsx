// The steps that may be taken now as buttons, the waited-for one first; why the others may not be taken, in words.
import { App, Button } from 'antd';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { useLanguage, useTranslation } from '../i18n';
import { Problem, problemText } from '../parts/problem';
import { toast } from '../parts/toast';
import type { Consult } from './data';
import { TransitionDialog } from './transition-dialog';
import { useTakeTransition, useTransitions, type Transition } from './transitions';

/** Steps that are taken inside a tab of the consult room, where their text is written. */
export const STEPS_OF_TABS: Record<string, string> = {
  'submit-report': 'report', 'sign-opinion': 'opinion', dissent: 'joint', sign: 'joint', decide: 'decision', feedback: 'feedback', 'feedback-30': 'feedback', addendum: 'joint',
  'record-verbal': 'opinion', 'confirm-verbal': 'opinion', 'write-up-verbal': 'opinion',
};

/** Steps that have a button of their own elsewhere in the room, or that the screens take by themselves. */
const STEPS_ELSEWHERE = new Set(['print', 'open-images', 'join', 'leave', 'show-images', 'stop-showing', 'consent-recording', 'agree-recording', 'start-recording', 'stop-recording', 'withdraw-recording']);

/** Steps without inputs that cannot be taken back: asked about, with the patient's name. */
const CONFIRMED_STEPS = new Set(['submit', 'deliver']);

/** Steps that end the consult: last in the row and quiet. */
const FINAL_STEPS = new Set(['cancel', 'refuse']);

interface ButtonsProps {
  consult: Consult;
  /** Opens the tab in which a step is written; without it the room is opened. */
  onTab?: (tab: string) => void;
  size?: 'small' | 'middle';
}

export function TransitionButtons({ consult, onTab, size = 'middle' }: ButtonsProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const { modal } = App.useApp();
  const { data: transitions = [], isPending, error, refetch } = useTransitions(consult.task, language);
  const take = useTakeTransition(consult.task);
  const [open, setOpen] = useState<Transition>();

  const begin = (transition: Transition) => {
    const written = consult.machine === 'remote-diagnosis' && (transition.name === 'sign' || transition.name === 'addendum');
    const tab = written ? 'report' : STEPS_OF_TABS[transition.name];
    if (tab && onTab) return onTab(tab);
    if (tab) return void navigate(`/consults/${consult.task.id ?? ''}?tab=${tab}`);
    if (transition.inputs.length > 0 || CONFIRMED_STEPS.has(transition.name)) return setOpen(transition);
    take.mutate({ transition, values: {} }, {
      onSuccess: () => toast.success(t('transition.done', { what: transition.title })),
      onError: (failure) => {
        const { title, lines } = problemText(failure, t);
        modal.error({ title, content: <ul className="plain-list">{lines.map((line) => <li key={line}>{line}</li>)}</ul> });
      },
    });
  };

  if (error) return <Problem error={error} retry={() => void refetch()} />;
  const allowed = transitions.filter((transition) => transition.allowed && !STEPS_ELSEWHERE.has(transition.name));
  const barred = transitions.filter((transition) => !transition.allowed && !STEPS_ELSEWHERE.has(transition.name) && transition.reasons.length > 0);
  // Of several that are waited for, the one further along: in 已预约 the session is begun, not booked again.
  const first = allowed.filter((transition) => transition.primary).at(-1);
  return (
    <div className="steps">
      <div className="steps-row">
        {allowed
          .slice()
          .sort((a, b) => Number(b === first) - Number(a === first) || Number(FINAL_STEPS.has(a.name)) - Number(FINAL_STEPS.has(b.name)))
          .map((transition) => (
            <Button key={transition.name} size={size} type={transition === first ? 'primary' : FINAL_STEPS.has(transition.name) ? 'text' : 'default'}
              danger={FINAL_STEPS.has(transition.name)} loading={take.isPending && take.variables?.transition === transition}
              data-transition={transition.name} onClick={() => begin(transition)}>
              {transition.title}
            </Button>
          ))}
        {allowed.length === 0 ? <span className="hint">{t(isPending ? 'common.loading' : 'transition.nothing')}</span> : null}
      </div>
      {barred.length > 0 ? (
        <details className="steps-barred">
          <summary>{t('transition.whyNot', { n: barred.length })}</summary>
          <dl>
            {barred.map((transition) => (
              <div key={transition.name}>
                <dt>{transition.title}</dt>
                <dd>{transition.reasons.join(t('common.semicolon'))}</dd>
              </div>
            ))}
          </dl>
        </details>
      ) : null}
      <TransitionDialog transition={open} consult={consult} onClose={() => setOpen(undefined)} />
    </div>
  );
}
