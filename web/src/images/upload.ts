// A folder of images to the server: STOW-RS (PS3.18 10.5) in small requests, so that a broken line costs one of them
// and the progress "received n of m" is what the server has said it holds.
import { ApiError, call, LineError } from '../fhir';
import { readDicomHead, type DicomHead } from './dicom-header';

const BATCH_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_FILES_MAX = 400;
const TRIES = 4;
const WAIT_MS = 1_500;
const FILES_MAX = 20_000;

export interface Chosen { files: File[]; skipped: number; heads: DicomHead[]; bytes: number }
export interface UploadProgress { total: number; received: number; refused: number; waiting: boolean }

/** The files of a dropped folder, however deep. */
export async function filesOfDrop(items: DataTransferItemList): Promise<File[]> {
  const entries = Array.from(items).map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files: File[] = [];
  const walk = async (entry: FileSystemEntry): Promise<void> => {
    if (files.length >= FILES_MAX) return;
    if (entry.isFile) {
      files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (batch.length === 0) return;
      for (const child of batch) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return files;
}

/** Keeps what is DICOM, and says whose it is. */
export async function choose(files: File[]): Promise<Chosen> {
  const chosen: Chosen = { files: [], skipped: 0, heads: [], bytes: 0 };
  const heads = new Map<string, DicomHead>();
  for (const file of files) {
    const head = file.name.toUpperCase() === 'DICOMDIR' ? undefined : await readDicomHead(file);
    if (!head) {
      chosen.skipped++;
      continue;
    }
    chosen.files.push(file);
    chosen.bytes += file.size;
    heads.set(`${head.patientId}|${head.patientName}|${head.studyUid}`, head);
  }
  chosen.heads = [...heads.values()];
  return chosen;
}

function batches(files: File[]): File[][] {
  const all: File[][] = [];
  let bytes = Infinity;
  for (const file of files) {
    const last = all.at(-1);
    if (!last || bytes + file.size > BATCH_BYTES_MAX || last.length >= BATCH_FILES_MAX) {
      all.push([file]);
      bytes = file.size;
    } else {
      last.push(file);
      bytes += file.size;
    }
  }
  return all;
}

interface StoreAnswer { '00081198'?: { Value?: unknown[] }; '00081199'?: { Value?: unknown[] } }

async function store(files: File[], signal: AbortSignal): Promise<{ received: number; refused: number }> {
  const boundary = `shanhai-${Math.random().toString(36).slice(2)}${Date.now().toString(36)}`;
  const parts = files.flatMap((file) => [`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, '\r\n']);
  const response = await call('/dicom-web/studies', {
    method: 'POST',
    body: new Blob([...parts, `--${boundary}--\r\n`]),
    headers: { 'Content-Type': `multipart/related; type="application/dicom"; boundary=${boundary}`, Accept: 'application/dicom+json' },
    signal,
  });
  const answer = (await response.json().catch(() => ({}))) as StoreAnswer;
  const refused = answer['00081198']?.Value?.length ?? 0;
  return { received: answer['00081199']?.Value?.length ?? files.length - refused, refused };
}

export async function upload(files: File[], onProgress: (progress: UploadProgress) => void, signal: AbortSignal): Promise<UploadProgress> {
  const progress: UploadProgress = { total: files.length, received: 0, refused: 0, waiting: false };
  for (const batch of batches(files)) {
    for (let attempt = 1; ; attempt++) {
      try {
        const { received, refused } = await store(batch, signal);
        progress.received += received;
        progress.refused += refused;
        progress.waiting = false;
        break;
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) {
          progress.refused += batch.length;
          break;
        }
        if (!(error instanceof LineError) || attempt >= TRIES) throw error;
        progress.waiting = true;
        onProgress({ ...progress });
        await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt));
      }
    }
    onProgress({ ...progress });
  }
  return progress;
}
