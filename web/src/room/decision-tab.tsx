// 决定: the treating doctor's own decision; that is what the record says.
import type { Consult } from '../consult/data';
import { isSignedUnseen } from '../consult/texts';
import { useTranslation } from '../i18n';
import { Empty } from '../parts/empty';
import { roleIs, useSession } from '../session';
import { DocumentView } from './document-view';
import { InlineTransition } from './inline-transition';

export function DecisionTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const session = useSession();
  const decisions = consult.bundles.filter((output) => output.kind === 'decision');
  const unseen = isSignedUnseen(consult, 'decision');
  const mine = consult.state === 'delivered' && roleIs(session, 'county-doctor');
  return (
    <>
      {decisions.map((output) => <DocumentView key={output.bundle.id} bundle={output.bundle} />)}
      {mine ? <InlineTransition name="decide" consult={consult} /> : null}
      {decisions.length === 0 && !mine ? <Empty title={t(unseen ? 'decision.unseen' : 'decision.none')} help={t(unseen ? 'room.unseenHelp' : 'decision.noneHelp')} /> : null}
    </>
  );
}
