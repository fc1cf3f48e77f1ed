// One critical value: what was found, who called whom, who read it back, and the step that is waited for.
import { AlertFilled, CheckCircleFilled, PhoneOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { bareConsult } from '../consult/data';
import { patientName } from '../consult/texts';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import { formatDuration, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { idOf } from '../names';
import { Countdown, useNow } from '../parts/countdown';
import { lateness, OPEN_STATES, partsOf, type CriticalValue } from './data';

export function CriticalCard({ critical, withPatient = true }: { critical: CriticalValue; withPatient?: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { task, state, value, patient } = critical;
  const { data: transitions = [] } = useTransitions(state === 'closed' || state === 'withdrawn' ? undefined : task, language);
  const [open, setOpen] = useState<Transition>();
  const isOpen = (OPEN_STATES as readonly string[]).includes(state);
  const late = lateness(critical, useNow(10_000, isOpen));
  const call = partsOf(value, 'call');
  const readBack = partsOf(value, 'read-back');
  const consultId = idOf(task.partOf?.[0]?.reference);
  const finder = directory.post(task.requester);
  const facts: [string, string | undefined][] = [
    ['found', `${formatTime(task.authoredOn, language)} · ${[finder?.organizationName, finder?.name].filter(Boolean).join(' ')}`],
    ['call', call && [formatTime(call.time, language), directory.postName(call.by), `→ ${call.person ?? ''}`, call.phone].filter(Boolean).join(' ')],
    ['readBack', readBack && [formatTime(readBack.time, language), readBack.person ?? directory.postName(readBack.by), readBack.text].filter(Boolean).join(' · ')],
    ['action', value?.note?.[0]?.text],
  ];
  return (
    <article className={`critical ${isOpen ? 'critical-open' : ''}`} data-critical={task.id}>
      <header>
        {isOpen ? <AlertFilled aria-hidden /> : <CheckCircleFilled aria-hidden />}
        <strong>{t('critical.title')}{t('common.colon')}{value?.payload?.[0]?.contentString ?? ''}</strong>
        {withPatient ? <span>{consultId ? <Link to={`/consults/${consultId}`}>{patientName(patient)}</Link> : patientName(patient)}</span> : null}
        <span className={`badge ${isOpen ? 'badge-stop' : 'badge-done'}`}>{t(`critical.state.${state}`)}</span>
        {isOpen ? <Countdown until={task.restriction?.period?.end} text={(left) => t('critical.left', { left })} /> : null}
        {late > 0 && state !== 'withdrawn' ? <span className="badge badge-act">{t(isOpen ? 'critical.overdue' : 'critical.wasLate', { late: formatDuration(late, language) })}</span> : null}
      </header>
      <dl className="facts facts-tight critical-facts">
        {facts.filter(([, text]) => text).map(([name, text]) => <div key={name}><dt>{t(`critical.${name}`)}</dt><dd className="pre">{text}</dd></div>)}
      </dl>
      <div className="steps-row">
        {transitions.filter((one) => one.allowed).map((one) => (
          <Button key={one.name} size="small" type={one.primary ? 'primary' : 'default'} data-transition={one.name}
            icon={one.name === 'call' ? <PhoneOutlined /> : undefined} onClick={() => setOpen(one)}>{one.title}</Button>
        ))}
      </div>
      <TransitionDialog transition={open} consult={bareConsult(task, patient)} onClose={() => setOpen(undefined)} />
    </article>
  );
}
