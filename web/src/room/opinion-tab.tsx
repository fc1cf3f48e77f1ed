// The own opinion, written and signed here; those of the others as far as the server shows them.
import { CheckCircleFilled, ClockCircleOutlined, EyeInvisibleOutlined } from '@ant-design/icons';
import { useQueryClient } from '@tanstack/react-query';
import { Button, Input } from 'antd';
import type { Consult } from '../consult/data';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions } from '../consult/transitions';
import { useDirectory } from '../directory';
import type { ClinicalImpression } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, concept, extensionOf, extensionUrl, idOf } from '../names';
import { Empty } from '../parts/empty';
import { useSession } from '../session';
import { useAutosave } from './autosave';
import { saveDraft } from './save-draft';
import { SaveNote } from './save-state';
import { useSigning } from './signing';
import { isWritten, VerbalOpinions } from './verbal-opinions';

export const NOTE_KINDS = ['advice', 'referral', 'follow-up'] as const;
type OpinionText = { summary: string; basis: string } & Record<(typeof NOTE_KINDS)[number], string>;

export function opinionText(impression: ClinicalImpression | undefined): OpinionText {
  const note = (kind: string) => impression?.note?.find((one) => extensionOf(one, 'note-kind')?.valueCode === kind)?.text ?? '';
  return {
    summary: impression?.summary ?? '',
    basis: impression?.finding?.[0]?.basis ?? '',
    advice: note('advice'),
    referral: note('referral'),
    'follow-up': note('follow-up'),
  };
}

function withText(impression: ClinicalImpression, text: OpinionText): ClinicalImpression {
  const next: ClinicalImpression = { ...impression };
  const notes = NOTE_KINDS.filter((kind) => text[kind].trim()).map((kind) => ({
    extension: [{ url: extensionUrl('note-kind'), valueCode: kind }],
    text: text[kind].trim(),
  }));
  next.summary = text.summary.trim() || undefined;
  const basis = text.basis.trim();
  next.finding = text.summary.trim() || basis
    ? [{ itemCodeableConcept: { text: text.summary.trim() || '—' }, ...(basis ? { basis } : {}) }]
    : undefined;
  next.note = notes.length > 0 ? notes : undefined;
  return next;
}

export function OpinionTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const { post } = useSession();
  const participant = consult.appointment?.participant.find((one) => idOf(one.actor?.reference) === post.id);
  const own = consult.impressions.find((one) => idOf(one.assessor?.reference) === post.id && codeOf(one.code, 'opinion-kind') !== 'dissent' && isWritten(one));
  const writing = consult.state === 'answering' || consult.state === 'in-session';
  const mayWrite = participant?.status === 'accepted' && writing && own?.status !== 'completed';
  return (
    <div className="opinions">
      {mayWrite ? <OpinionEditor key={post.id} consult={consult} own={own} /> : null}
      {participant && !mayWrite && own?.status !== 'completed' ? <p className="hint">{t('opinion.notYet')}</p> : null}
      <OpinionList consult={consult} />
      <VerbalOpinions consult={consult} />
    </div>
  );
}

function OpinionEditor({ consult, own }: { consult: Consult; own: ClinicalImpression | undefined }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const client = useQueryClient();
  const { data: transitions = [] } = useTransitions(consult.task, language);

  const save = (text: OpinionText) =>
    saveDraft<ClinicalImpression>({
      client,
      taskId: consult.task.id ?? '',
      list: 'impressions',
      isMine: (one) => one.status === 'in-progress' && idOf(one.assessor?.reference) === post.id,
      fresh: () => ({
        resourceType: 'ClinicalImpression',
        status: 'in-progress',
        code: concept('opinion-kind', 'opinion'),
        subject: consult.task.for ?? {},
        encounter: consult.task.encounter,
        assessor: { reference: `PractitionerRole/${post.id}` },
      }),
      write: (impression) => withText(impression, text),
    });
  const draft = useAutosave<OpinionText>({ key: `opinion/${consult.task.id ?? ''}/${post.id}`, initial: opinionText(own), save });
  const sign = transitions.find((transition) => transition.name === 'sign-opinion');
  const complete = draft.value.summary.trim() !== '' && draft.value.basis.trim() !== '';

  const signing = useSigning(draft.flush, consult.task.id, sign);

  const fields = [
    ['summary', 3, true], ['basis', 3, true], ['advice', 3, false], ['referral', 1, false], ['follow-up', 1, false],
  ] as const;
  return (
    <section className="opinion-editor" data-unsaved={draft.state.kind === 'failed'} onBlur={draft.rest} aria-label={t('opinion.own')}>
      <h2>{t('opinion.own')} <span className="badge badge-off">{t('opinion.draft')}</span></h2>
      <p className="hint">{t('opinion.invisible')}</p>
      {fields.map(([name, rows, required]) => (
        <label key={name} className="field">
          <span className="field-label">{t(`opinion.${name}`)}{required ? <em className="required">{t('common.mustHave')}</em> : null}</span>
          <Input.TextArea value={draft.value[name]} autoSize={{ minRows: rows, maxRows: 14 }} placeholder={t(`opinion.placeholder.${name}`)}
            data-field={name} onChange={(event) => draft.set({ [name]: event.target.value } as Partial<OpinionText>)} />
        </label>
      ))}
      <div className="editor-foot">
        <SaveNote state={draft.state} />
        <Button type="primary" data-transition="sign-opinion" disabled={!complete || !sign} loading={signing.busy} onClick={signing.begin}>{t('opinion.sign')}</Button>
      </div>
      {!complete ? <p className="hint">{t('opinion.incomplete')}</p> : null}
      <TransitionDialog transition={signing.open} consult={consult} onClose={signing.close} />
    </section>
  );
}

export function OpinionList({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const { post } = useSession();
  const participants = (consult.appointment?.participant ?? []).filter((one) => one.status !== 'declined');
  const signed = consult.impressions.filter((one) => one.status === 'completed' && isWritten(one));
  const signedAt = (postId: string | undefined) =>
    consult.provenances.find((one) => codeOf(one.activity, 'transition') === 'sign-opinion' && idOf(one.agent[0]?.who?.reference) === postId)?.recorded;

  if (participants.length === 0 && signed.length === 0) return <Empty title={t('opinion.nobody')} help={t('opinion.nobodyHelp')} />;
  const hidden = participants.filter((one) => {
    const id = idOf(one.actor?.reference);
    return id !== post.id && !signed.some((impression) => idOf(impression.assessor?.reference) === id);
  });
  return (
    <>
      {signed.map((impression) => <SignedOpinion key={impression.id} impression={impression} />)}
      {hidden.length > 0 ? (
        <ul className="waiting-list">
          {hidden.map((one) => {
            const id = idOf(one.actor?.reference);
            const time = signedAt(id);
            const lead = codeOf(one.type, 'consult-role') === 'lead';
            return (
              <li key={id}>
                <strong>{directory.postName(one.actor)}</strong> {lead ? <span className="badge badge-run">{t('opinion.lead')}</span> : null}
                <span className="waiting-state">
                  {time ? <><EyeInvisibleOutlined aria-hidden /> {t('opinion.hidden', { time: formatTime(time, language) })}</>
                    : <><ClockCircleOutlined aria-hidden /> {t(`opinion.${one.status === 'accepted' ? 'unsigned' : 'unanswered'}`)}</>}
                </span>
              </li>
            );
          })}
        </ul>
      ) : null}
    </>
  );
}

export function SignedOpinion({ impression }: { impression: ClinicalImpression }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const who = directory.post(impression.assessor);
  const text = opinionText(impression);
  const dissent = codeOf(impression.code, 'opinion-kind') === 'dissent';
  return (
    <article className={`signed-opinion ${dissent ? 'signed-dissent' : ''}`}>
      <header>
        <strong>{directory.postName(impression.assessor)}</strong>
        <span>{[who?.organizationName, who?.specialty, who?.title ? t(`title.${who.title}`) : ''].filter(Boolean).join(' · ')}</span>
        <span className="signed-mark"><CheckCircleFilled aria-hidden /> {t(dissent ? 'opinion.dissent' : 'opinion.signed')} {formatTime(impression.date, language)}</span>
      </header>
      <dl className="facts facts-tight">
        {(['summary', 'basis', ...NOTE_KINDS] as const).filter((name) => text[name]).map((name) => (
          <div key={name} className="fact-long"><dt>{t(dissent && name === 'summary' ? 'opinion.dissent' : `opinion.${name}`)}</dt><dd className="pre">{text[name]}</dd></div>
        ))}
      </dl>
    </article>
  );
}
