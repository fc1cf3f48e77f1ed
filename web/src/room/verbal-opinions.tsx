// 口头意见: what was said on the phone as it was heard, whether the expert confirmed it, and his write-up beside it.
// Overdue is computed from the time that stands in the record, never stored.
import { CheckCircleFilled, ClockCircleOutlined, PhoneOutlined, WarningFilled } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import type { ClinicalImpression } from '../fhir-types';
import { formatDuration, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, extensionOf, idOf } from '../names';
import { useRuleTime } from '../rule-times';
import { useSession } from '../session';

const isKind = (impression: ClinicalImpression, kind: string) => codeOf(impression.code, 'opinion-kind') === kind;

/** Neither heard on the phone nor the write-up of that: an opinion that its author wrote and signs. */
export const isWritten = (impression: ClinicalImpression) => !isKind(impression, 'verbal') && !isKind(impression, 'write-up');

export function VerbalOpinions({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const [open, setOpen] = useState<{ transition: Transition; verbal?: string }>();
  const verbals = consult.impressions.filter((one) => isKind(one, 'verbal'));
  const record = transitions.find((one) => one.name === 'record-verbal' && one.allowed);
  if (verbals.length === 0 && !record) return null;
  return (
    <section className="verbal" aria-label={t('verbal.title')}>
      <h2>{t('verbal.title')}</h2>
      {verbals.map((verbal) => (
        <Verbal key={verbal.id} consult={consult} verbal={verbal} transitions={transitions}
          onStep={(transition) => setOpen({ transition, verbal: `ClinicalImpression/${verbal.id ?? ''}` })} />
      ))}
      {record ? <Button icon={<PhoneOutlined />} data-transition="record-verbal" onClick={() => setOpen({ transition: record })}>{record.title}</Button> : null}
      <TransitionDialog transition={open?.transition} consult={consult} preset={open?.verbal ? { verbal: open.verbal } : undefined}
        onClose={() => setOpen(undefined)} />
    </section>
  );
}

interface VerbalProps { consult: Consult; verbal: ClinicalImpression; transitions: Transition[]; onStep: (transition: Transition) => void }

function Verbal({ consult, verbal, transitions, onStep }: VerbalProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { post } = useSession();
  const writeUp = consult.impressions.find((one) => isKind(one, 'write-up') && idOf(one.previous?.reference) === verbal.id);
  const confirmation = consult.observations.find((one) =>
    codeOf(one.code, 'consult-observation') === 'verbal-confirmation' && one.focus?.some((focus) => idOf(focus.reference) === verbal.id));
  const due = extensionOf(verbal, 'write-up-due')?.valueDateTime;
  const next = idOf(verbal.assessor?.reference) !== post.id || writeUp ? undefined : confirmation ? 'write-up-verbal' : 'confirm-verbal';
  const step = transitions.find((one) => one.name === next && one.allowed);
  const facts = [
    ['heard', formatTime(verbal.effectiveDateTime, language)],
    ['recorded', formatTime(verbal.date, language)],
    ['phone', extensionOf(verbal, 'phone')?.valueString],
    ['text', verbal.summary],
    ['readBack', extensionOf(verbal, 'read-back')?.valueString],
  ] as const;
  const answer = codeOf(confirmation?.valueCodeableConcept, 'verbal-confirmation');
  return (
    <article className="signed-opinion verbal-opinion">
      <header>
        <strong>{directory.postName(verbal.assessor)}</strong>
        <span>{t('verbal.recordedBy', { who: directory.postName(extensionOf(verbal, 'recorder')?.valueReference) })}</span>
        <span className={answer ? 'signed-mark' : ''}>
          {answer ? <CheckCircleFilled aria-hidden /> : <ClockCircleOutlined aria-hidden />}{' '}
          {answer ? t(`verbal.${answer}`, { time: formatTime(confirmation?.effectiveDateTime, language) }) : t('verbal.unconfirmed')}
        </span>
      </header>
      <dl className="facts facts-tight">
        {facts.filter(([, value]) => value).map(([name, value]) => (
          <div key={name} className={name === 'text' || name === 'readBack' ? 'fact-long' : ''}><dt>{t(`verbal.${name}`)}</dt><dd className="pre">{value}</dd></div>
        ))}
        {writeUp ? (
          <>
            <div className="fact-long"><dt>{t('verbal.writtenUp')}</dt><dd className="pre">{writeUp.summary}</dd></div>
            <div className="fact-long"><dt>{t('opinion.basis')}</dt><dd className="pre">{writeUp.finding?.[0]?.basis}</dd></div>
          </>
        ) : null}
      </dl>
      <WriteUpState due={due} written={writeUp?.date} />
      {step ? <Button type="primary" data-transition={step.name} onClick={() => onStep(step)}>{step.title}</Button> : null}
    </article>
  );
}

function WriteUpState({ due, written }: { due: string | undefined; written: string | undefined }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const limit = useRuleTime('consult', 'writeUpLimit');
  const late = due ? (written ? Date.parse(written) : Date.now()) - Date.parse(due) : 0;
  if (written) {
    return (
      <p className="hint">
        {t('verbal.writtenAt', { time: formatTime(written, language) })}{' '}
        {late > 0 ? <span className="badge badge-act"><WarningFilled aria-hidden /> {t('verbal.writtenLate', { limit })}</span> : null}
      </p>
    );
  }
  return late > 0
    ? <p><span className="badge badge-stop" role="status"><WarningFilled aria-hidden /> {t('verbal.overdue', { late: formatDuration(late, language) })}</span></p>
    : <p className="hint"><ClockCircleOutlined aria-hidden /> {t('verbal.due', { time: formatTime(due, language) })}</p>;
}
