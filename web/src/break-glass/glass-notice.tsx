// A line under the head of every page of who reviews: a record was opened in an emergency and this hospital has not answered.
import { Link } from 'react-router';
import { useDirectory } from '../directory';
import { useTranslation } from '../i18n';
import { extensionOf, idOf } from '../names';
import { UnlockOutlined } from '../parts/icons';
import { useSession } from '../session';
import { REVIEWERS, reviewsOf, useOpened, type Opened } from './data';

/** The sides of this access that the hospital stands for: who opened is of it, or the record is. */
function sidesOf(opened: Opened, ownHospital: string, requesterHospital: string | undefined): string[] {
  return [
    ...(requesterHospital === ownHospital ? ['own'] : []),
    ...(idOf(extensionOf(opened.task, 'custodian')?.valueReference?.reference) === ownHospital ? ['custodian'] : []),
  ];
}

export function GlassNotice() {
  const { t } = useTranslation();
  const { post } = useSession();
  const directory = useDirectory();
  const reviews = REVIEWERS.includes(post.role);
  const { data = [] } = useOpened(reviews);
  const waiting = (reviews ? data : []).filter((one) => {
    const answered = reviewsOf(one.task).flatMap((review) => review.sides);
    const sides = sidesOf(one, post.organization.id, directory.post(one.task.requester)?.organizationId);
    return one.state !== 'closed' && sides.some((side) => !answered.includes(side));
  });
  const first = waiting[0];
  if (!first) return null;
  const who = directory.post(first.task.requester);
  return (
    <div className="critical-notice glass-notice" role="alert">
      <UnlockOutlined aria-hidden /> <strong>{t('breakGlass.waiting', { n: waiting.length })}</strong>
      <span>{[[who?.organizationName, who?.name].filter(Boolean).join(' · '), first.task.reasonCode?.text].filter(Boolean).join(t('common.colon'))}</span>
      <Link to="/break-glass">{t('breakGlass.goReview')}</Link>
    </div>
  );
}
