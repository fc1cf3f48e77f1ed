// A folder, a CD or a ZIP is dropped here or chosen; whose images they are is shown before anything is sent, and what came of
// it afterwards: how many of how many, what was left out, what was refused and why.
import { FileZipOutlined, FolderOpenOutlined, WarningOutlined } from '@ant-design/icons';
import { Alert, Button, Progress } from 'antd';
import { useRef, useState } from 'react';
import { ApiError } from '../fhir';
import { formatBytes } from '../format';
import { useTranslation } from '../i18n';
import { Problem, problemText } from '../parts/problem';
import { choose, filesOfDrop, nothingYet, upload, type Chosen, type UploadProgress } from './upload';

interface DropZoneProps {
  /** Whose images are expected; a folder that says otherwise must be confirmed. */
  expected?: { name: string; ids: string[] };
  /** Runs before the first byte leaves, for example to make sure that the patient is there. */
  before?: () => Promise<void>;
  onDone: (studyUids: string[]) => void;
}

export function DropZone({ expected, before, onDone }: DropZoneProps) {
  const { t } = useTranslation();
  const [over, setOver] = useState(false);
  const [reading, setReading] = useState(false);
  const [chosen, setChosen] = useState<Chosen>();
  const [progress, setProgress] = useState<UploadProgress>();
  const [error, setError] = useState<unknown>();
  const abort = useRef<AbortController>(undefined);
  const input = useRef<HTMLInputElement>(null);
  const zipInput = useRef<HTMLInputElement>(null);

  const take = async (files: File[]) => {
    setError(undefined);
    setProgress(undefined);
    setReading(true);
    try {
      const next = await choose(files);
      setChosen(next);
      if (next.files.length + next.zips.length > 0 && !differs(next, expected)) await send(next);
    } catch (failure) {
      setError(failure);
    } finally {
      setReading(false);
    }
  };

  const send = async (what: Chosen) => {
    abort.current = new AbortController();
    setError(undefined);
    setProgress(nothingYet(what));
    try {
      await before?.();
      const packed = await upload(what, setProgress, abort.current.signal);
      setChosen(undefined);
      onDone([...new Set([...what.heads.map((head) => head.studyUid), ...packed].filter(Boolean))]);
    } catch (failure) {
      if (!(failure instanceof DOMException)) setError(failure);
    } finally {
      abort.current = undefined;
    }
  };

  // A ZIP that cannot be read is not sent again as it is.
  const zipRefused = error instanceof ApiError && [400, 413].includes(error.status) && (chosen?.zips.length ?? 0) > 0;
  const sending = abort.current !== undefined && progress !== undefined;
  return (
    <div
      className={`drop-zone ${over ? 'drop-over' : ''}`}
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void filesOfDrop(event.dataTransfer.items).then(take);
      }}
    >
      <FolderOpenOutlined aria-hidden className="drop-icon" />
      <p>{t(reading ? 'upload.reading' : 'upload.drop')}</p>
      <div className="drop-buttons">
        <Button size="small" icon={<FolderOpenOutlined />} disabled={sending || reading} onClick={() => input.current?.click()}>{t('upload.chooseFolder')}</Button>
        <Button size="small" icon={<FileZipOutlined />} disabled={sending || reading} onClick={() => zipInput.current?.click()}>{t('upload.chooseZip')}</Button>
      </div>
      <input ref={input} type="file" hidden multiple aria-label={t('upload.chooseFolder')}
        {...({ webkitdirectory: '' } as Record<string, string>)}
        onChange={(event) => {
          void take(Array.from(event.target.files ?? []));
          event.target.value = '';
        }} />
      <input ref={zipInput} type="file" hidden accept=".zip" aria-label={t('upload.chooseZip')}
        onChange={(event) => {
          void take(Array.from(event.target.files ?? []));
          event.target.value = '';
        }} />
      {chosen && chosen.files.length + chosen.zips.length === 0 ? <Alert type="warning" showIcon title={t('upload.noDicom')} description={t('upload.noDicomHelp')} /> : null}
      {chosen && chosen.files.length > 0 && differs(chosen, expected) && !sending ? (
        <Alert type="warning" showIcon icon={<WarningOutlined />} title={t('upload.otherPatient')}
          description={chosen.heads.map((head) => `${head.patientName || '—'} · ${head.patientId || '—'}`).join('；')}
          action={<Button size="small" danger onClick={() => void send(chosen)}>{t('upload.sendAnyway')}</Button>} />
      ) : null}
      {progress ? <UploadState progress={progress} bytes={chosen && sending ? chosen.bytes : undefined} /> : null}
      {zipRefused ? <Alert type="error" showIcon role="alert" title={problemText(error, t).lines.join(t('common.semicolon'))} description={t('upload.zipKept')} />
        : error ? <Problem error={error} retry={chosen ? () => void send(chosen) : undefined} /> : null}
    </div>
  );
}

function UploadState({ progress, bytes }: { progress: UploadProgress; bytes: number | undefined }) {
  const { t } = useTranslation();
  const total = Math.max(progress.total, progress.expected ?? 0);
  const missing = progress.done ? Math.max(0, (progress.expected ?? 0) - progress.received) : 0;
  const percent = progress.zipPercent !== undefined && !progress.done ? progress.zipPercent
    : Math.floor(((progress.received + progress.refused) / Math.max(1, total)) * 100);
  const words = [
    progress.zipPercent !== undefined && !progress.done
      ? t(progress.zipPercent < 100 ? 'upload.zipSending' : 'upload.zipUnpacking', { percent: progress.zipPercent })
      : t('upload.received', { n: progress.received, m: total }),
    bytes === undefined ? '' : formatBytes(bytes),
    progress.already > 0 ? t('upload.already', { n: progress.already }) : '',
    progress.skipped > 0 ? t('upload.skipped', { n: progress.skipped }) : '',
    progress.refused > 0 ? t('upload.refused', { n: progress.refused }) : '',
    progress.waiting ? t('upload.waiting') : '',
  ];
  return (
    <div className="upload-progress" role="status">
      <Progress percent={percent} status={progress.refused > 0 || missing > 0 ? 'exception' : undefined} aria-label={t('upload.progress')} />
      <p>{words.filter(Boolean).join(' · ')}</p>
      {missing > 0 ? <Alert type="warning" showIcon title={t('upload.missing', { n: missing, m: progress.expected })} description={t('upload.missingHelp')} /> : null}
      {progress.named.length > 0 ? (
        <ul className="upload-refused" aria-label={t('upload.refusedList')}>
          {progress.named.map((one, index) => <li key={`${one.name}-${String(index)}`}><code>{one.name}</code> {t(`upload.code.${one.code}`)}</li>)}
        </ul>
      ) : null}
    </div>
  );
}

/** A folder is another's when none of its patient ids and names are the expected ones. */
function differs(chosen: Chosen, expected: DropZoneProps['expected']): boolean {
  if (!expected) return false;
  return chosen.heads.some((head) => !expected.ids.includes(head.patientId) && head.patientName.replace(/\s/g, '') !== expected.name);
}
