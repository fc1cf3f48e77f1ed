// State and urgency: colour, icon and word together, never colour alone.
import type { Priority } from '../fhir-types';
import { useTranslation } from '../i18n';
import { toneOf } from '../states';
import { AlertFilled, CheckCircleOutlined, ClockCircleOutlined, ExclamationCircleOutlined, MinusCircleOutlined, SyncOutlined, ThunderboltFilled } from './icons';

const TONE_ICONS = {
  wait: <ClockCircleOutlined aria-hidden />,
  run: <SyncOutlined aria-hidden />,
  act: <ExclamationCircleOutlined aria-hidden />,
  done: <CheckCircleOutlined aria-hidden />,
  off: <MinusCircleOutlined aria-hidden />,
};

export function StateBadge({ state }: { state: string }) {
  const { t } = useTranslation();
  const tone = toneOf(state);
  return (
    <span className={`badge badge-${tone}`}>
      {TONE_ICONS[tone]} {t(`state.${state}`)}
    </span>
  );
}

export function UrgencyBadge({ priority }: { priority: Priority | undefined }) {
  const { t } = useTranslation();
  // Who may not see the request (a commander) is told nothing rather than something wrong.
  if (!priority) return null;
  const urgency = priority === 'stat' ? 'stat' : priority === 'urgent' || priority === 'asap' ? 'urgent' : 'routine';
  return (
    <span className={`badge urgency-${urgency}`}>
      {urgency === 'stat' ? <AlertFilled aria-hidden /> : urgency === 'urgent' ? <ThunderboltFilled aria-hidden /> : null}{' '}
      {t(`urgency.${urgency}`)}
    </span>
  );
}
