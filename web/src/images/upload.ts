// A folder of images to the server: STOW-RS (PS3.18 10.5) in small requests, so that a broken line costs one of them
// and the progress "received n of m" is what the server has said it holds.
import { ApiError, call, LineError, send } from '../fhir';
import { countDirectoryRecords, readDicomHead, type DicomHead } from './dicom-header';

const BATCH_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_FILES_MAX = 400;
const TRIES = 4;
const WAIT_MS = 1_500;
const FILES_MAX = 20_000;

const DIRECTORY_BYTES_MAX = 32 * 1024 * 1024;

export interface Chosen {
  files: File[];
  /** Packed folders: the server unpacks them. */
  zips: File[];
  /** Files that are no images, the directory of a CD among them. */
  skipped: number;
  /** What the directory of the CD lists, when there is one. */
  expected?: number;
  heads: DicomHead[];
  bytes: number;
}

export interface UploadProgress {
  total: number;
  received: number;
  refused: number;
  skipped: number;
  waiting: boolean;
  expected?: number;
  already: number;
  /** Files of a ZIP that were refused, by name, with the server's code for the reason. */
  named: { name: string; code: string }[];
  /** Per cent of the ZIP on its way; 100: it is being unpacked. */
  zipPercent?: number;
  done: boolean;
}

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
  const chosen: Chosen = { files: [], zips: [], skipped: 0, heads: [], bytes: 0 };
  const heads = new Map<string, DicomHead>();
  for (const file of files) {
    if (await isZip(file)) {
      chosen.zips.push(file);
      chosen.bytes += file.size;
      continue;
    }
    const isDirectory = file.name.toUpperCase() === 'DICOMDIR';
    if (isDirectory && file.size <= DIRECTORY_BYTES_MAX) {
      chosen.expected = (chosen.expected ?? 0) + countDirectoryRecords(new Uint8Array(await file.arrayBuffer()));
    }
    const head = isDirectory ? undefined : await readDicomHead(file);
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

/** APPNOTE 4.3.7: a ZIP begins with a local header. Word processor files do too, so the name must say it. */
async function isZip(file: File): Promise<boolean> {
  if (!file.name.toLowerCase().endsWith('.zip')) return false;
  const first = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return first[0] === 0x50 && first[1] === 0x4b && first[2] === 0x03 && first[3] === 0x04;
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

export const nothingYet = (chosen: Chosen): UploadProgress => ({
  total: chosen.files.length, received: 0, refused: 0, skipped: chosen.skipped, waiting: false, expected: chosen.expected, already: 0, named: [], done: false,
});

interface ZipAnswer {
  files?: number; received?: number; already?: number; skipped?: number; refusedCount?: number; expected?: number;
  refused?: { name: string; code: string }[]; studies?: string[];
}

/** Sends all of it; gives the studies that were in ZIPs (of files they are known before). */
export async function upload(chosen: Chosen, onProgress: (progress: UploadProgress) => void, signal: AbortSignal): Promise<string[]> {
  const progress = nothingYet(chosen);
  await uploadFiles(chosen.files, progress, onProgress, signal);
  const studies: string[] = [];
  for (const zip of chosen.zips) studies.push(...await uploadZip(zip, progress, onProgress, signal));
  progress.done = true;
  onProgress({ ...progress });
  return studies;
}

async function uploadZip(zip: File, progress: UploadProgress, onProgress: (progress: UploadProgress) => void, signal: AbortSignal): Promise<string[]> {
  const onSent = (bytes: number) => onProgress({ ...progress, zipPercent: Math.floor((bytes / Math.max(1, zip.size)) * 100) });
  onSent(0);
  const answer = (await send('/studies/zip', zip, 'application/zip', onSent, signal)) as ZipAnswer;
  const refused = answer.refusedCount ?? 0;
  progress.received += answer.received ?? 0;
  progress.refused += refused;
  progress.skipped += answer.skipped ?? 0;
  progress.already += answer.already ?? 0;
  progress.total += (answer.received ?? 0) + refused;
  progress.named.push(...(answer.refused ?? []));
  if (answer.expected !== undefined) progress.expected = (progress.expected ?? 0) + answer.expected;
  onProgress({ ...progress });
  return answer.studies ?? [];
}

async function uploadFiles(files: File[], progress: UploadProgress, onProgress: (progress: UploadProgress) => void, signal: AbortSignal): Promise<void> {
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
}
