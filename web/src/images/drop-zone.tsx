// A folder is dropped here or chosen; whose images they are is shown before anything is sent.
import { FolderOpenOutlined, WarningOutlined } from '@ant-design/icons';
import { Alert, Button, Progress } from 'antd';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { formatBytes } from '../format';
import { Problem } from '../parts/problem';
import { choose, filesOfDrop, upload, type Chosen, type UploadProgress } from './upload';

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

  const take = async (files: File[]) => {
    setError(undefined);
    setProgress(undefined);
    setReading(true);
    try {
      const next = await choose(files);
      setChosen(next);
      if (next.files.length > 0 && !differs(next, expected)) await send(next);
    } catch (failure) {
      setError(failure);
    } finally {
      setReading(false);
    }
  };

  const send = async (what: Chosen) => {
    abort.current = new AbortController();
    setError(undefined);
    setProgress({ total: what.files.length, received: 0, refused: 0, waiting: false });
    try {
      await before?.();
      const end = await upload(what.files, setProgress, abort.current.signal);
      setProgress(end);
      setChosen(undefined);
      onDone([...new Set(what.heads.map((head) => head.studyUid).filter(Boolean))]);
    } catch (failure) {
      if (!(failure instanceof DOMException)) setError(failure);
    } finally {
      abort.current = undefined;
    }
  };

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
      <Button size="small" disabled={sending || reading} onClick={() => input.current?.click()}>{t('upload.chooseFolder')}</Button>
      <input ref={input} type="file" hidden multiple aria-label={t('upload.chooseFolder')}
        {...({ webkitdirectory: '' } as Record<string, string>)}
        onChange={(event) => {
          void take(Array.from(event.target.files ?? []));
          event.target.value = '';
        }} />
      {chosen && chosen.files.length === 0 ? <Alert type="warning" showIcon title={t('upload.noDicom')} description={t('upload.noDicomHelp')} /> : null}
      {chosen && chosen.files.length > 0 && differs(chosen, expected) && !sending ? (
        <Alert type="warning" showIcon icon={<WarningOutlined />} title={t('upload.otherPatient')}
          description={chosen.heads.map((head) => `${head.patientName || '—'} · ${head.patientId || '—'}`).join('；')}
          action={<Button size="small" danger onClick={() => void send(chosen)}>{t('upload.sendAnyway')}</Button>} />
      ) : null}
      {progress ? (
        <div className="upload-progress" role="status">
          <Progress percent={Math.floor(((progress.received + progress.refused) / Math.max(1, progress.total)) * 100)}
            status={progress.refused > 0 ? 'exception' : undefined} aria-label={t('upload.progress')} />
          <p>
            {t('upload.received', { n: progress.received, m: progress.total })}
            {chosen && sending ? ` · ${formatBytes(chosen.bytes)}` : ''}
            {progress.refused > 0 ? ` · ${t('upload.refused', { n: progress.refused })}` : ''}
            {progress.waiting ? ` · ${t('upload.waiting')}` : ''}
          </p>
        </div>
      ) : null}
      {error && chosen ? <Problem error={error} retry={() => void send(chosen)} /> : error ? <Problem error={error} /> : null}
    </div>
  );
}

/** A folder is another's when none of its patient ids and names are the expected ones. */
function differs(chosen: Chosen, expected: DropZoneProps['expected']): boolean {
  if (!expected) return false;
  return chosen.heads.some((head) => !expected.ids.includes(head.patientId) && head.patientName.replace(/\s/g, '') !== expected.name);
}
