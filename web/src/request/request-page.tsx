// 新建会诊: paste the record, confirm what was found, say what is asked, add images and consent, submit. One page, with
// what is still missing always in view.
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Alert, Button } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';
import { useConsult, usePatient, type Consult } from '../consult/data';
import { idOf } from '../names';
import { create, read, resourcesOf, search, takeTransition, transaction } from '../fhir';
import type { DiagnosticReport, Parameters, Patient, Task } from '../fhir-types';
import { useTranslation } from '../i18n';
import { LeaveGuard } from '../parts/leave-guard';
import { Loading } from '../parts/loading';
import { Page } from '../parts/page';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession } from '../session';
import { AskSection } from './ask-section';
import { Checklist } from './checklist';
import { ConsentSection } from './consent-section';
import { ImagesSection } from './images-section';
import { draftOf, emptyDraft, gapsOf, identityOf, keptShared, returnedGaps, toPatient, toTransaction, verdictsOf, type RequestDraft, type Verdict } from './model';
import { RecordSection } from './record-section';
import { wantedTimeFor } from './wanted-time';

export default function RequestPage() {
  const { t } = useTranslation();
  const { taskId } = useParams();
  const { data: consult, error, refetch } = useConsult(taskId);
  if (taskId && error) return <Page title={t('request.editTitle')}><Problem error={error} retry={() => void refetch()} /></Page>;
  if (taskId && !consult) return <Loading what={t('room.loading')} />;
  return <RequestForm key={taskId ?? 'new'} consult={taskId ? consult : undefined} />;
}

/** Measurements that a doctor has agreed to go with their study; one that is agreed to later follows by itself. */
async function reviewedMeasurements(draft: RequestDraft): Promise<string[]> {
  if (!draft.patientId || draft.studyIds.length === 0) return [];
  const found = await search('DiagnosticReport', { patient: `Patient/${draft.patientId}`, status: 'final,amended', _count: 50 });
  return resourcesOf<DiagnosticReport>(found, 'DiagnosticReport')
    .filter((report) => report.imagingStudy?.some((study) => draft.studyIds.includes(idOf(study.reference) ?? '')))
    .flatMap((report) => [`DiagnosticReport/${report.id ?? ''}`, ...(report.result ?? []).flatMap((result) => (result.reference ? [result.reference] : []))]);
}

function verdictParameters(studyId: string, own: Verdict): Parameters {
  return {
    resourceType: 'Parameters',
    parameter: [
      { name: 'transition', valueCode: 'judge-images' }, { name: 'study', valueReference: { reference: `ImagingStudy/${studyId}` } },
      { name: 'verdict', valueCode: own.verdict },
      ...(own.verdict === 'acceptable' ? [] : own.faults.map((fault) => ({ name: 'fault', valueCode: fault }))),
    ],
  };
}

export interface SectionProps { draft: RequestDraft; change: (change: Partial<RequestDraft>) => void }

function RequestForm({ consult }: { consult: Consult | undefined }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [query] = useSearchParams();
  const client = useQueryClient();
  const { post } = useSession();
  const [draft, setDraft] = useState<RequestDraft>(() => (consult ? draftOf(consult) : emptyDraft(wantedTimeFor('routine'))));
  const change = useCallback((part: Partial<RequestDraft>) => setDraft((before) => ({ ...before, ...part })), []);
  const { data: named } = usePatient(!consult && query.get('patient') ? `Patient/${query.get('patient') ?? ''}` : undefined);
  useEffect(() => {
    if (named) change(identityOf(named));
  }, [named, change]);
  const hasConsent = (consult?.consents ?? []).some((consent) => consent.status === 'active');
  const { isDirty, markSaved } = useUnsaved(draft);
  const gaps = useMemo(() => gapsOf(draft, hasConsent), [draft, hasConsent]);

  /** The patient must be there before images can be tied to one. */
  const ensurePatient = async (): Promise<string> => {
    if (draft.patientId) return draft.patientId;
    const patient = await create<Patient>(toPatient(draft, post.organization.id));
    change({ patientId: patient.id });
    return patient.id ?? '';
  };

  const save = async (): Promise<string> => {
    const now = new Date().toISOString();
    const shared = [...keptShared(consult), ...(await reviewedMeasurements(draft))];
    const answer = await transaction(toTransaction(draft, { postId: post.id, organizationId: post.organization.id, consult, now, shared }));
    markSaved();
    void client.invalidateQueries({ queryKey: ['list'] });
    void client.invalidateQueries({ queryKey: ['consult'] });
    if (consult?.task.id) return consult.task.id;
    const location = answer.entry?.map((entry) => entry.response?.location).find((one) => one?.includes('Task/'));
    return idOf(location) ?? '';
  };

  const keep = useMutation({
    mutationFn: save,
    onSuccess: (taskId) => {
      toast.success(t('request.saved'));
      void navigate(`/consults/${taskId}/edit`, { replace: true });
    },
  });
  const submit = useMutation({
    mutationFn: async () => {
      const taskId = await save();
      try {
        for (const [id, own] of Object.entries(draft.verdicts)) {
          const known = consult ? verdictsOf(consult)[id] : undefined;
          const changed = JSON.stringify(known) !== JSON.stringify(own);
          if (draft.machine === 'remote-diagnosis' && draft.studyIds.includes(id) && changed) await takeTransition(await read<Task>(`Task/${taskId}`), verdictParameters(id, own));
        }
        const task = await read<Task>(`Task/${taskId}`);
        await takeTransition(task, { resourceType: 'Parameters', parameter: [{ name: 'transition', valueCode: 'submit' }] });
      } catch (error) {
        // It is kept as a draft; the person goes on in it with what the server has told.
        void navigate(`/consults/${taskId}/edit`, { replace: true });
        throw error;
      }
      return taskId;
    },
    onSuccess: (taskId) => {
      void client.invalidateQueries({ queryKey: ['list'] });
      toast.success(t('request.submitted'));
      void navigate(`/consults?tab=waiting&open=${taskId}`);
    },
  });

  const returned = returnedGaps(consult);
  const failure = submit.error ?? keep.error;
  return (
    <Page title={t(consult ? 'request.editTitle' : 'request.title')} note={t('request.note')}
      actions={<Button onClick={() => void navigate('/consults')}>{t('common.back')}</Button>}>
      <LeaveGuard isDirty={isDirty} />
      {returned.length > 0 ? (
        <Alert type="warning" showIcon className="request-returned" title={t('request.returned')}
          description={<ul className="plain-list">{returned.map((gap) => <li key={gap}>{gap}</li>)}</ul>} />
      ) : null}
      <div className="request">
        <div className="request-sections">
          <RecordSection draft={draft} change={change} fixedPatient={consult !== undefined} />
          <AskSection draft={draft} change={change} fixedMachine={consult !== undefined} />
          <ImagesSection draft={draft} change={change} ensurePatient={ensurePatient} />
          <ConsentSection draft={draft} change={change} consult={consult} />
        </div>
        <Checklist draft={draft} gaps={gaps} saving={keep.isPending} submitting={submit.isPending} onSave={() => keep.mutate()} onSubmit={() => submit.mutate()}
          problem={failure ? <Problem error={failure} /> : null} />
      </div>
    </Page>
  );
}

/** What a person writes by hand; choices are made again in a moment. */
const WRITTEN = ['recordText', 'name', 'summary', 'reason', 'purpose', 'diagnosis'] as const;

/** Whether something written is not on the server yet. */
function useUnsaved(draft: RequestDraft) {
  const now = useRef(draft);
  const saved = useRef(draft);
  useEffect(() => {
    now.current = draft;
  });
  const isDirty = useCallback(() => WRITTEN.some((field) => now.current[field] !== saved.current[field]), []);
  const markSaved = useCallback(() => {
    saved.current = now.current;
  }, []);
  return { isDirty, markSaved };
}
