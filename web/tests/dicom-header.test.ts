import { describe, expect, it } from 'vitest';
import { countDirectoryRecords, parseDicomHead } from '../src/images/dicom-header';

const encoder = new TextEncoder();

function element(group: number, number: number, vr: string, value: Uint8Array, implicit = false): number[] {
  const head = [group & 255, group >> 8, number & 255, number >> 8];
  const { length } = value;
  if (implicit) return [...head, length & 255, length >> 8, 0, 0, ...value];
  return [...head, ...encoder.encode(vr), length & 255, length >> 8, ...value];
}

function file(syntax: string, name: Uint8Array, characterSet: string): Uint8Array {
  const implicit = syntax === '1.2.840.10008.1.2';
  const even = (text: string) => encoder.encode(text.length % 2 ? `${text}\0` : text);
  return Uint8Array.from([
    ...new Array<number>(128).fill(0), ...encoder.encode('DICM'),
    ...element(2, 0x10, 'UI', even(syntax)),
    ...element(8, 5, 'CS', even(characterSet), implicit),
    ...element(8, 0x60, 'CS', even('CT'), implicit),
    ...element(0x10, 0x10, 'PN', name, implicit),
    ...element(0x10, 0x20, 'LO', even('ZY2026'), implicit),
    ...element(0x20, 0xd, 'UI', even('1.2.3.4'), implicit),
  ]);
}

const EXPLICIT = '1.2.840.10008.1.2.1';

describe('parseDicomHead', () => {
  it('reads explicit and implicit little endian', () => {
    for (const syntax of [EXPLICIT, '1.2.840.10008.1.2']) {
      const head = parseDicomHead(file(syntax, encoder.encode('Ran^Shancha=冉^山茶'), 'ISO_IR 192'));
      expect(head).toEqual({ patientName: '冉山茶', patientId: 'ZY2026', studyUid: '1.2.3.4', modality: 'CT', description: '' });
    }
  });

  it('reads a name in GB 18030', () => {
    const name = Uint8Array.from([0xc9, 0xbd, 0x5e, 0xba, 0xa3, 0x20]);
    expect(parseDicomHead(file(EXPLICIT, name, 'GB18030'))?.patientName).toBe('山 海');
  });

  it('refuses what is no DICOM file', () => {
    expect(parseDicomHead(new Uint8Array(10))).toBeUndefined();
    expect(parseDicomHead(new Uint8Array(4096))).toBeUndefined();
  });

  it('stops at a length that lies and at a file cut short', () => {
    const whole = file(EXPLICIT, encoder.encode('A^B '), 'ISO_IR 192');
    for (let length = 132; length < whole.length; length++) {
      const head = parseDicomHead(whole.slice(0, length));
      expect(head === undefined || typeof head.patientId === 'string').toBe(true);
    }
    const lying = whole.slice();
    lying[138] = 0xff;
    lying[139] = 0xff;
    expect(parseDicomHead(lying)?.studyUid).toBe('');
  });
});

describe('countDirectoryRecords', () => {
  const record = (type: string) => element(4, 0x1430, 'CS', encoder.encode(type.length % 2 ? `${type} ` : type));

  it('counts what names a stored object, not the levels above', () => {
    const bytes = Uint8Array.from([4, 4, 0, ...record('PATIENT'), ...record('STUDY'), ...record('SERIES'), ...record('IMAGE'), 0x30, ...record('IMAGE'), ...record('SR DOCUMENT')]);
    expect(countDirectoryRecords(bytes)).toBe(3);
  });

  it('takes what is cut short or no directory as it is', () => {
    const cut = Uint8Array.from(record('IMAGE')).slice(0, 7);
    expect(countDirectoryRecords(cut)).toBe(0);
    expect(countDirectoryRecords(new Uint8Array(0))).toBe(0);
    expect(countDirectoryRecords(encoder.encode('not a directory'))).toBe(0);
  });
});
