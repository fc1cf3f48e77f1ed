// Says in the room that the patient's record is under legal hold, so that a refused edit is no surprise.
import { LockFilled } from '@ant-design/icons';
import { useTranslation } from '../i18n';
import { codes } from '../names';
import { useSession } from '../session';
import { holdNumber, useHolds } from './data';

export function HoldBadge({ patient }: { patient: string | undefined }) {
  const { t } = useTranslation();
  const { post } = useSession();
  const { data = [] } = useHolds({ patient, 'business-status': `${codes('legal-hold-state')}|active` }, patient !== undefined && post.role === 'county-doctor');
  const first = data[0];
  return first ? <span className="badge badge-act" title={first.task.reasonCode?.text}><LockFilled aria-hidden /> {t('hold.badge', { number: holdNumber(first.task) })}</span> : null;
}
