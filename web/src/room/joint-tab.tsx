// 联合意见: the lead writes what all agree on; dissent stays with its name; after signing it is read, not edited.
import { useQueryClient } from '@tanstack/react-query';
import { Button, Input } from 'antd';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { narrativeText, textNarrative } from '../consult/texts';
import { isSignedUnseen } from '../consult/texts';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import type { Composition } from '../fhir-types';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, concept, idOf } from '../names';
import { Empty } from '../parts/empty';
import { useSession } from '../session';
import { useAutosave } from './autosave';
import { DocumentView } from './document-view';
import { OpinionList } from './opinion-tab';
import { saveDraft } from './save-draft';
import { SaveNote } from './save-state';
import { useSigning } from './signing';

export function JointTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const [open, setOpen] = useState<Transition>();
  const participant = consult.appointment?.participant.find((one) => idOf(one.actor?.reference) === post.id);
  const isLead = participant?.status === 'accepted' && codeOf(participant.type, 'consult-role') === 'lead';
  const documents = consult.bundles.filter((output) => output.kind === 'joint-opinion' || output.kind === 'addendum');
  const unseen = isSignedUnseen(consult, 'joint-opinion');
  const offered = transitions.filter((one) => (one.name === 'dissent' || one.name === 'addendum') && one.allowed);

  return (
    <div className="joint">
      {documents.map((output) => <DocumentView key={output.bundle.id} bundle={output.bundle} />)}
      {consult.state === 'drafted' && isLead ? <ConsensusEditor consult={consult} /> : null}
      {consult.state === 'drafted' && !isLead && participant ? <p className="hint">{t('joint.leadWrites')}</p> : null}
      {offered.map((transition) => (
        <Button key={transition.name} data-transition={transition.name} onClick={() => setOpen(transition)}>{transition.title}</Button>
      ))}
      {documents.length === 0 && consult.state !== 'drafted' ? <Empty title={t(unseen ? 'joint.unseen' : 'joint.none')} help={t(unseen ? 'room.unseenHelp' : 'joint.noneHelp')} /> : null}
      {consult.state === 'drafted' ? <OpinionList consult={consult} /> : null}
      <TransitionDialog transition={open} consult={consult} onClose={() => setOpen(undefined)} />
    </div>
  );
}

function ConsensusEditor({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const client = useQueryClient();
  const found = consult.compositions.find((one) => one.status === 'preliminary' && one.author.some((author) => idOf(author.reference) === post.id));
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const sectionText = narrativeText(found?.section?.find((section) => codeOf(section.code, 'section') === 'consensus')?.text?.div);

  const save = ({ text }: { text: string }) =>
    saveDraft<Composition>({
      client,
      taskId: consult.task.id ?? '',
      list: 'compositions',
      isMine: (one) => one.status === 'preliminary' && one.author.some((author) => idOf(author.reference) === post.id),
      fresh: () => ({
        resourceType: 'Composition',
        status: 'preliminary',
        type: concept('document', 'joint-opinion'),
        subject: consult.task.for,
        encounter: consult.task.encounter,
        date: new Date().toISOString(),
        author: [{ reference: `PractitionerRole/${post.id}` }],
        title: t('joint.title', { lng: 'zh' }),
      }),
      write: (composition) => ({ ...composition, section: sectionOf(text.trim()) }),
    });
  const sectionOf = (text: string) =>
    text ? [{ title: t('joint.consensus', { lng: 'zh' }), code: concept('section', 'consensus'), text: textNarrative(text) }] : undefined;
  const draft = useAutosave({ key: `joint/${consult.task.id ?? ''}/${post.id}`, initial: { text: sectionText }, save });
  const sign = transitions.find((transition) => transition.name === 'sign');
  const signing = useSigning(draft.flush, consult.task.id, sign);

  return (
    <section className="opinion-editor" data-unsaved={draft.state.kind === 'failed'} onBlur={draft.rest} aria-label={t('joint.consensus')}>
      <h2>{t('joint.consensus')} <span className="badge badge-off">{t('opinion.draft')}</span></h2>
      <p className="hint">{t('joint.help')}</p>
      <Input.TextArea value={draft.value.text} autoSize={{ minRows: 6, maxRows: 20 }} aria-label={t('joint.consensus')} data-field="consensus"
        placeholder={t('joint.placeholder')} onChange={(event) => draft.set({ text: event.target.value })} />
      <div className="editor-foot">
        <SaveNote state={draft.state} />
        <Button type="primary" data-transition="sign" disabled={!draft.value.text.trim() || !sign} loading={signing.busy} onClick={signing.begin}>{t('joint.sign')}</Button>
      </div>
      <TransitionDialog transition={signing.open} consult={consult} onClose={signing.close} />
    </section>
  );
}
