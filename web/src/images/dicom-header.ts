// Just enough of a DICOM file's head (PS3.10 7.1, PS3.5 7.1) to say whose it is before it is sent: a folder of another
// patient must be seen on this side of the line. The server reads the files properly.

export interface DicomHead { patientName: string; patientId: string; studyUid: string; modality: string; description: string }

const HEAD_BYTES = 64 * 1024;
const MAGIC_AT = 128;
const LONG_VR = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'UC', 'UN', 'UR', 'UT', 'SV', 'UV']);
const WANTED: Record<number, keyof DicomHead> = {
  0x00080060: 'modality', 0x00081030: 'description', 0x00100010: 'patientName', 0x00100020: 'patientId', 0x0020000d: 'studyUid',
};
const CHARACTER_SET = 0x00080005;
const TRANSFER_SYNTAX = 0x00020010;
const IMPLICIT = '1.2.840.10008.1.2';
const BIG_ENDIAN = '1.2.840.10008.1.2.2';
const DEFLATED = '1.2.840.10008.1.2.1.99';
const ELEMENTS_MAX = 2_000;

export async function readDicomHead(file: Blob): Promise<DicomHead | undefined> {
  return parseDicomHead(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
}

export function parseDicomHead(bytes: Uint8Array): DicomHead | undefined {
  if (bytes.length < MAGIC_AT + 4 || ascii(bytes, MAGIC_AT, 4) !== 'DICM') return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head: DicomHead = { patientName: '', patientId: '', studyUid: '', modality: '', description: '' };
  let at = MAGIC_AT + 4;
  let implicit = false;
  let decoder = new TextDecoder('gb18030');
  for (let count = 0; count < ELEMENTS_MAX && at + 8 <= bytes.length; count++) {
    const group = view.getUint16(at, true);
    const tag = group * 0x10000 + view.getUint16(at + 2, true);
    if (tag > 0x0020000d) break;
    const element = elementAt(view, bytes, at, implicit && group !== 2);
    // A sequence of unknown length ends what can be read without a full parser; so does a length past the end.
    if (!element || element.length === 0xffffffff || element.start + element.length > bytes.length) break;
    const text = () => decoder.decode(bytes.subarray(element.start, element.start + element.length)).replace(/[\0 ]+$/, '').trim();
    if (tag === TRANSFER_SYNTAX) {
      const syntax = text();
      if (syntax === BIG_ENDIAN || syntax === DEFLATED) return head;
      implicit = syntax === IMPLICIT;
    }
    if (tag === CHARACTER_SET) decoder = decoderOf(text());
    const member = WANTED[tag];
    if (member) head[member] = text();
    at = element.start + element.length;
  }
  head.patientName = readableName(head.patientName);
  return head;
}

function elementAt(view: DataView, bytes: Uint8Array, at: number, implicit: boolean): { start: number; length: number } | undefined {
  if (implicit) return { start: at + 8, length: view.getUint32(at + 4, true) };
  const vr = ascii(bytes, at + 4, 2);
  if (!/^[A-Z]{2}$/.test(vr)) return undefined;
  if (!LONG_VR.has(vr)) return { start: at + 8, length: view.getUint16(at + 6, true) };
  if (at + 12 > bytes.length) return undefined;
  return { start: at + 12, length: view.getUint32(at + 8, true) };
}

const ascii = (bytes: Uint8Array, at: number, length: number) => String.fromCharCode(...bytes.subarray(at, at + length));

/** PS3.3 C.12.1.1.2; undeclared text in Chinese hospitals is GB 18030 in practice. */
function decoderOf(characterSet: string): TextDecoder {
  if (characterSet.includes('192')) return new TextDecoder('utf-8');
  return new TextDecoder('gb18030');
}

/** "Ran^Shancha=冉^山茶" → "冉山茶". */
function readableName(name: string): string {
  const [alphabetic = '', ideographic = ''] = name.split('=');
  return (ideographic || alphabetic).replace(/\^+/g, ideographic ? '' : ' ').trim();
}

/**
 * How many objects a DICOMDIR (PS3.3 annex F, always explicit little endian) lists: its records but those of patient, study
 * and series. Goes by the bytes of Directory Record Type (0004,1430) CS; the server reads the file properly.
 */
export function countDirectoryRecords(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(0x04); at >= 0 && at + 8 <= bytes.length; at = bytes.indexOf(0x04, at + 1)) {
    if (bytes[at + 1] !== 0x00 || bytes[at + 2] !== 0x30 || bytes[at + 3] !== 0x14 || ascii(bytes, at + 4, 2) !== 'CS') continue;
    const length = (bytes[at + 6] ?? 0) + (bytes[at + 7] ?? 0) * 256;
    const type = ascii(bytes, at + 8, Math.min(length, bytes.length - at - 8)).replace(/[\0 ]+$/, '');
    if (type !== '' && !['PATIENT', 'STUDY', 'SERIES'].includes(type)) count++;
  }
  return count;
}
