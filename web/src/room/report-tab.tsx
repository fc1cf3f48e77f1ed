// 远程诊断报告: written by the reporting doctor, reviewed and signed by another; after signing it is read, not edited.
import { useQueryClient } from '@tanstack/react-query';
import { Button, Input } from 'antd';
import { useState } from 'react';
import type { Consult } from '../consult/data';
import { TransitionDialog } from '../consult/transition-dialog';
import { useTransitions, type Transition } from '../consult/transitions';
import { useDirectory } from '../directory';
import type { DiagnosticReport } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { codeOf, concept, extensionOf, extensionUrl, idOf } from '../names';
import { Empty } from '../parts/empty';
import { useSession } from '../session';
import { useAutosave } from './autosave';
import { DocumentView } from './document-view';
import { saveDraft } from './save-draft';
import { SaveNote } from './save-state';
import { useSigning } from './signing';

export interface ReportText { findings: string; conclusion: string; advice: string }
const FIELDS = [['findings', 6, true], ['conclusion', 3, true], ['advice', 2, false]] as const;

export const reportText = (report: DiagnosticReport | undefined): ReportText => ({
  findings: extensionOf(report, 'findings')?.valueString ?? '',
  conclusion: report?.conclusion ?? '',
  advice: extensionOf(report, 'advice')?.valueString ?? '',
});

/** Who reports and who reviews. */
export const doctorOf = (consult: Consult, role: 'reporter' | 'reviewer') =>
  consult.task.input?.find((input) => codeOf(input.type, 'diagnosis-role') === role)?.valueReference;

function withText(report: DiagnosticReport, text: ReportText): DiagnosticReport {
  const extension = (['findings', 'advice'] as const).filter((name) => text[name].trim())
    .map((name) => ({ url: extensionUrl(name), valueString: text[name].trim() }));
  const next: DiagnosticReport = { ...report, conclusion: text.conclusion.trim() || undefined };
  next.extension = extension.length > 0 ? extension : undefined;
  return next;
}

export function ReportTab({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const [open, setOpen] = useState<Transition>();
  const writes = consult.state === 'assigned' && idOf(doctorOf(consult, 'reporter')?.reference) === post.id;
  const handedIn = consult.diagnosis.find((report) => report.status === 'preliminary');
  const offered = transitions.filter((one) => ['send-back', 'sign', 'addendum'].includes(one.name) && one.allowed);
  const last = consult.provenances.filter((one) => codeOf(one.activity, 'transition') === 'send-back').at(-1);
  return (
    <div className="joint">
      <Doctors consult={consult} />
      {consult.bundles.map((output) => <DocumentView key={output.bundle.id} bundle={output.bundle} />)}
      {writes && last ? <p className="hint text-red">{t('report.sentBack', { reason: last.reason?.[0]?.text ?? '', time: formatTime(last.recorded, language) })}</p> : null}
      {writes ? <ReportEditor key={post.id} consult={consult} /> : null}
      {handedIn ? <ReportToReview report={handedIn} /> : null}
      {offered.length > 0 ? (
        <div className="editor-foot">
          {offered.map((transition) => (
            <Button key={transition.name} type={transition.name === 'sign' ? 'primary' : 'default'} data-transition={transition.name} onClick={() => setOpen(transition)}>
              {transition.title}
            </Button>
          ))}
        </div>
      ) : null}
      {consult.bundles.length === 0 && !writes && !handedIn ? <Empty title={t('report.none')} help={t('report.noneHelp')} /> : null}
      <TransitionDialog transition={open} consult={consult} onClose={() => setOpen(undefined)} />
    </div>
  );
}

function Doctors({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  if (!doctorOf(consult, 'reporter')) return null;
  return (
    <dl className="facts facts-tight">
      {(['reporter', 'reviewer'] as const).map((role) => {
        const who = directory.post(doctorOf(consult, role));
        return <div key={role}><dt>{t(`report.${role}`)}</dt><dd>{[who?.name, who?.title ? t(`title.${who.title}`) : '', who?.phone].filter(Boolean).join(' · ')}</dd></div>;
      })}
    </dl>
  );
}

function ReportToReview({ report }: { report: DiagnosticReport }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const text = reportText(report);
  return (
    <article className="document">
      <h2>{t('report.title')} <span className="badge badge-act">{t('report.unsigned')}</span></h2>
      {FIELDS.filter(([name]) => text[name]).map(([name]) => <section key={name}><h3>{t(`report.${name}`)}</h3><p className="pre">{text[name]}</p></section>)}
      <p className="signature">{t('report.by', { who: directory.postName(report.resultsInterpreter?.[0]), time: formatTime(report.issued, language) })}</p>
    </article>
  );
}

function ReportEditor({ consult }: { consult: Consult }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { post } = useSession();
  const client = useQueryClient();
  const isMine = (one: DiagnosticReport) => one.status === 'partial' && (one.resultsInterpreter ?? []).some((who) => idOf(who.reference) === post.id);
  const { data: transitions = [] } = useTransitions(consult.task, language);
  const save = (text: ReportText) =>
    saveDraft<DiagnosticReport>({
      client,
      taskId: consult.task.id ?? '',
      list: 'diagnosis',
      isMine,
      fresh: () => ({
        resourceType: 'DiagnosticReport',
        status: 'partial',
        code: concept('report-kind', 'remote-diagnosis', t('report.title', { lng: 'zh' })),
        basedOn: [{ reference: consult.task.focus?.reference }],
        subject: consult.task.for,
        ...(consult.studies.length > 0 ? { imagingStudy: consult.studies.map((study) => ({ reference: `ImagingStudy/${study.id ?? ''}` })) } : {}),
        resultsInterpreter: [{ reference: `PractitionerRole/${post.id}` }],
      }),
      write: (report) => withText(report, text),
    });
  const draft = useAutosave<ReportText>({ key: `report/${consult.task.id ?? ''}/${post.id}`, initial: reportText(consult.diagnosis.find(isMine)), save });
  const hand = transitions.find((transition) => transition.name === 'submit-report');
  const complete = draft.value.findings.trim() !== '' && draft.value.conclusion.trim() !== '';
  const signing = useSigning(draft.flush, consult.task.id, hand);
  return (
    <section className="opinion-editor" data-unsaved={draft.state.kind === 'failed'} onBlur={draft.rest} aria-label={t('report.title')}>
      <h2>{t('report.title')} <span className="badge badge-off">{t('opinion.draft')}</span></h2>
      <p className="hint">{t('report.invisible')}</p>
      {FIELDS.map(([name, rows, required]) => (
        <label key={name} className="field">
          <span className="field-label">{t(`report.${name}`)}{required ? <em className="required">{t('common.mustHave')}</em> : null}</span>
          <Input.TextArea value={draft.value[name]} autoSize={{ minRows: rows, maxRows: 18 }} data-field={`report-${name}`}
            onChange={(event) => draft.set({ [name]: event.target.value } as Partial<ReportText>)} />
        </label>
      ))}
      <div className="editor-foot">
        <SaveNote state={draft.state} />
        <Button type="primary" data-transition="submit-report" disabled={!complete || !hand} loading={signing.busy} onClick={signing.begin}>{t('report.handIn')}</Button>
      </div>
      <TransitionDialog transition={signing.open} consult={consult} onClose={signing.close} />
    </section>
  );
}
