// A red line under the head of every page while a critical value waits; the live stream brings it at once.
import { Link } from 'react-router';
import { patientName } from '../consult/texts';
import { formatDuration } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { Countdown, useNow } from '../parts/countdown';
import { AlertFilled } from '../parts/icons';
import { useSession, type Role } from '../session';
import { lateness, openOnly, useCriticalValues } from './data';

const CONCERNED: Role[] = ['county-doctor', 'duty-head', 'radiologist', 'expert'];

export function CriticalNotice() {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const { data = [] } = useCriticalValues(openOnly, CONCERNED.includes(post.role));
  const now = useNow(10_000, data.length > 0);
  const first = data[0];
  if (!first) return null;
  const late = Math.max(...data.map((one) => lateness(one, now)));
  const ends = data.flatMap((one) => one.task.restriction?.period?.end ?? []).sort();
  return (
    <div className="critical-notice" role="alert">
      <AlertFilled aria-hidden /> <strong>{t('critical.waiting', { n: data.length })}</strong>
      <span>{[patientName(first.patient), first.value?.payload?.[0]?.contentString].filter(Boolean).join(t('common.colon'))}</span>
      {late > 0 ? <span>{t('critical.overdue', { late: formatDuration(late, language) })}</span> : <Countdown until={ends[0]} text={(left) => t('critical.left', { left })} />}
      <Link to="/critical">{t('critical.open')}</Link>
    </div>
  );
}
