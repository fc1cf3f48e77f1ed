// Whether the session is being recorded, who agreed to it, and the steps: agree, begin, stop, take back.
import { CheckCircleFilled, ClockCircleOutlined, VideoCameraOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import type { Extension } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, extensionOf, extensionUrl } from '../names';

export const RECORDING_STEPS = ['consent-recording', 'agree-recording', 'start-recording', 'stop-recording', 'withdraw-recording'];

const partOf = (extension: Extension | undefined, url: string) => extension?.extension?.find((one) => one.url === url);

export function Recording({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const [open, setOpen] = useState<Transition>();
  const consents = consult.consents.filter((one) => codeOf(one.category, 'consent-kind') === 'recording');
  const consent = consents.find((one) => one.status === 'active');
  const runs = (consult.encounter?.extension ?? []).filter((one) => one.url === extensionUrl('recording'));
  const running = runs.find((one) => !partOf(one, 'end'));
  const steps = transitions.filter((one) => RECORDING_STEPS.includes(one.name) && one.allowed);
  if (steps.length === 0 && consents.length === 0) return null;

  const agreed = new Map((consent?.provision?.actor ?? []).map((one) => [one.reference?.reference, extensionOf(one, 'agreed')?.valueDateTime]));
  const present = [consult.request?.requester, ...(consult.appointment?.participant ?? []).filter((one) => one.status === 'accepted').map((one) => one.actor)];
  return (
    <section className={`panel recording ${running ? 'recording-on' : ''}`} aria-label={t('recording.title')}>
      <header role="status">
        <VideoCameraOutlined aria-hidden />
        <strong>{running ? t('recording.on', { time: formatTime(partOf(running, 'start')?.valueDateTime, language) }) : t(consent ? 'recording.off' : 'recording.noConsent')}</strong>
        {consent ? (
          <>
            <span>{t('recording.patient', { who: consent.performer?.[0]?.display ?? '', scope: t(`code.scope.${consent.provision?.purpose?.[0]?.code ?? 'record'}`), time: formatTime(consent.dateTime, language) })}</span>
            {present.map((one) => (
              <span key={one?.reference} className={`badge ${agreed.has(one?.reference) ? 'badge-done' : 'badge-act'}`} title={formatTime(agreed.get(one?.reference), language)}>
                {agreed.has(one?.reference) ? <CheckCircleFilled aria-hidden /> : <ClockCircleOutlined aria-hidden />} {directory.postName(one)} {t(agreed.has(one?.reference) ? 'recording.agreed' : 'recording.notYet')}
              </span>
            ))}
          </>
        ) : null}
        {consents.filter((one) => one.status !== 'active').slice(-1).map((one) => {
          const withdrawn = extensionOf(one, 'withdrawn');
          return consent ? null : <span key={one.id}>{t('recording.withdrawn', { time: formatTime(partOf(withdrawn, 'time')?.valueDateTime, language), reason: partOf(withdrawn, 'reason')?.valueString ?? '' })}</span>;
        })}
      </header>
      <div className="steps-row">
        {steps.map((one) => (
          <Button key={one.name} size="small" data-transition={one.name} danger={one.name === 'withdraw-recording'} type={one.name === 'stop-recording' || one.name === 'agree-recording' ? 'primary' : 'default'}
            onClick={() => setOpen(one)}>{one.title}</Button>
        ))}
      </div>
      <TransitionDialog transition={open} consult={consult} onClose={() => setOpen(undefined)} />
    </section>
  );
}
