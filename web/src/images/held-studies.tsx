// 待匹配: studies whose patient fits nobody. A person compares and ties them; nothing is attached by itself.
import { LinkOutlined, StopOutlined, WarningOutlined } from '@ant-design/icons';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Alert, App, Button, Checkbox, Modal } from 'antd';
import { useState } from 'react';
import { usePatient } from '../consult/data';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { useDirectory } from '../directory';
import { callJson, sendJson } from '../fhir';
import { formatDate, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { idOf } from '../names';
import { Empty } from '../parts/empty';
import { isBarred, Problem, problemText, Trouble } from '../parts/problem';
import { toast } from '../parts/toast';
import { PatientPicker } from './patient-picker';

export interface HeldStudy {
  /** Study instance UID. */
  study: string;
  /** Images that came into a study which has its patient: which of them. */
  part?: string;
  /** Who sent them, with a part. */
  sender?: string;
  /** Why it is held: a code. */
  reason?: string;
  receivedAt?: string;
  modality?: string;
  instances?: number;
  /** As the images name the patient. */
  patient?: { id?: string; name?: string; birthDate?: string; gender?: string };
  /** Patients whose number or name it is, and in what they differ. */
  candidates?: { patient: string; differs: string[] }[];
}

function useHeld() {
  return useQuery({
    queryKey: ['held'],
    queryFn: async ({ signal }) => {
      const answer = await callJson<{ studies?: HeldStudy[] } | HeldStudy[]>('/studies/held', { signal });
      return Array.isArray(answer) ? answer : (answer.studies ?? []);
    },
    refetchInterval: 5_000, // a study comes to rest some seconds after its last image; nothing else tells
  });
}

interface HeldProps { patientId?: string; onMatched?: (studyUid: string) => void; compact?: boolean }

export function HeldStudies({ patientId, onMatched, compact = false }: HeldProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  const asked = useHeld();
  const { data } = asked;
  const [open, setOpen] = useState<HeldStudy>();
  const genderText = (study: HeldStudy) => (study.patient?.gender ? t(`gender.${study.patient.gender}`) : '');
  if (isBarred(asked)) return <Trouble asked={asked} />;
  if (!data || data.length === 0) return compact ? null : <Empty title={t('held.none')} help={t('held.noneHelp')} />;
  return (
    <div className="held">
      <Trouble asked={asked} />
      {compact ? <p className="hint">{t('held.hint', { n: data.length })}</p> : null}
      <div className="table-scroll">
        <table className="list-table list-simple">
          <thead>
            <tr>{['held.image', 'held.who', 'held.when', 'held.count'].map((key) => <th key={key} scope="col">{t(key)}</th>)}<th><span className="visually-hidden">{t('column.action')}</span></th></tr>
          </thead>
          <tbody>
            {data.map((study) => (
              <tr key={`${study.study} ${study.part ?? ''}`}>
                <td data-label={t('held.image')}>{study.modality || '—'}<span className="cell-sub held-why">{study.reason ? t(`held.why.${study.reason}`) : ''}</span>
                  {study.sender ? <span className="cell-sub">{t('held.sender', { name: directory.organizationName({ reference: study.sender }) })}</span> : null}</td>
                <td data-label={t('held.who')}>{study.patient?.name || '—'}<span className="cell-sub">{[study.patient?.id, genderText(study), study.patient?.birthDate].filter(Boolean).join(' · ')}</span></td>
                <td data-label={t('held.when')}>{formatTime(study.receivedAt, language) || '—'}</td>
                <td data-label={t('held.count')}>{study.instances ?? '—'}</td>
                <td className="cell-action">
                  <Button size="small" icon={<LinkOutlined />} onClick={() => setOpen(study)}>{t(study.part ? 'held.release' : 'held.match')}</Button>{' '}
                  <Reject study={study} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {open ? <MatchDialog key={`${open.study} ${open.part ?? ''}`} study={open} patientId={patientId} onClose={() => setOpen(undefined)} onMatched={onMatched} /> : null}
    </div>
  );
}

/** What is nobody's: seen by nobody, now and later. */
function Reject({ study }: { study: HeldStudy }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { modal } = App.useApp();
  const reject = useMutation({
    mutationFn: () => sendJson(`/studies/held/${study.study}/reject`, 'POST', study.part ? { part: study.part } : {}),
    onSuccess: () => toast.success(t('held.rejected')),
    onError: (failure) => toast.error(problemText(failure, t).title),
    onSettled: () => void client.invalidateQueries({ queryKey: ['held'] }),
  });
  const begin = () => void modal.confirm({
    title: t('held.rejectAsk', { n: study.instances ?? 0, who: study.patient?.name || t('held.nameless') }), content: t('held.rejectHelp'), okText: t('held.reject'), okButtonProps: { danger: true },
    onOk: () => reject.mutateAsync().catch(() => undefined),
  });
  return <Button size="small" danger icon={<StopOutlined />} loading={reject.isPending} onClick={begin}>{t('held.reject')}</Button>;
}

interface MatchProps { study: HeldStudy; patientId: string | undefined; onClose: () => void; onMatched: ((studyUid: string) => void) | undefined }

function MatchDialog({ study, patientId, onClose, onMatched }: MatchProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const client = useQueryClient();
  const [picked, setPicked] = useState(study.part ? idOf(study.candidates?.[0]?.patient) : (patientId ?? idOf(study.candidates?.[0]?.patient)));
  const [confirmed, setConfirmed] = useState(false);
  const { data: patient } = usePatient(picked ? `Patient/${picked}` : undefined);
  const match = useMutation({
    mutationFn: () => sendJson(`/studies/held/${study.study}/match`, 'POST', { patient: `Patient/${picked ?? ''}`, confirmed, ...(study.part ? { part: study.part } : {}) }),
    onSuccess: () => {
      toast.success(t(study.part ? 'held.released' : 'held.matched'));
      void client.invalidateQueries({ queryKey: ['held'] });
      void client.invalidateQueries({ queryKey: ['list', 'ImagingStudy'] });
      onMatched?.(study.study);
      onClose();
    },
  });
  const rows: { key: string; onImage: string | undefined; onRecord: string | undefined; asked: boolean }[] = [
    { key: 'patient.name', onImage: study.patient?.name, onRecord: patientName(patient), asked: true },
    { key: 'patient.gender', onImage: study.patient?.gender ? t(`gender.${study.patient.gender}`) : undefined, onRecord: patient ? t(genderKey(patient)) : undefined, asked: true },
    { key: 'patient.birthDate', onImage: formatDate(study.patient?.birthDate, language), onRecord: formatDate(patient?.birthDate, language), asked: true },
    { key: 'patient.inpatientNo', onImage: study.patient?.id, onRecord: inpatientNumber(patient), asked: false },
  ];
  const differs = (row: (typeof rows)[number]) => Boolean(row.onImage && row.onRecord && row.onImage !== row.onRecord);
  const contradicts = patient !== undefined && rows.some((row) => row.asked && differs(row));
  return (
    <Modal open title={t(study.part ? 'held.releaseTitle' : 'held.matchTitle')} okText={patient ? t('held.matchDo', { name: patientName(patient) }) : t('held.matchNobody')}
      okButtonProps={{ disabled: !patient || (contradicts && !confirmed), danger: contradicts }} cancelText={t('held.leave')} confirmLoading={match.isPending}
      onOk={() => match.mutate()} onCancel={onClose}>
      {study.reason ? <p className="held-reason">{t(`held.why.${study.reason}`)}</p> : null}
      {patientId || study.part ? null : <PatientPicker onPick={(id) => { setPicked(id); setConfirmed(false); }} />}
      <table className="compare">
        <thead><tr><th><span className="visually-hidden">{t('held.item')}</span></th><th scope="col">{t('held.onImage')}</th><th scope="col">{t('held.onRecord')}</th></tr></thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key} className={differs(row) ? 'compare-differs' : undefined}>
              <th scope="row">{t(row.key)}</th>
              <td>{row.onImage || '—'}</td>
              <td>{row.onRecord || '—'}{differs(row) ? <span className="compare-mark"><WarningOutlined aria-hidden /> {t('held.differs')}</span> : null}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {contradicts ? (
        <Alert type="warning" showIcon title={t('held.ask')}
          description={<Checkbox checked={confirmed} onChange={(event) => setConfirmed(event.target.checked)}>{t('held.confirm')}</Checkbox>} />
      ) : null}
      <p className="hint">{t(study.part ? 'held.releaseHelp' : 'held.compareHelp')}</p>
      {match.error ? <Problem error={match.error} /> : null}
    </Modal>
  );
}
