// ZIP archives and the directory of a CD, made byte by byte so that a test may get any byte of them wrong.
import { crc32, deflateRawSync } from 'node:zlib';

export const u16 = (value) => Buffer.from([value & 255, value >> 8 & 255]);
export const u32 = (value) => Buffer.concat([u16(value & 65535), u16(value >>> 16)]);

// A ZIP as APPNOTE 4.3 has it: [{name, bytes, flags, method}]
export function zip(entries) {
  const pieces = entries.flatMap(({ name, bytes, flags = 0, method = 8 }) => {
    const packed = method === 8 ? deflateRawSync(bytes) : bytes;
    const title = Buffer.from(name);
    return [Buffer.from('PK\x03\x04'), u16(20), u16(flags), u16(method), u32(0), u32(crc32(bytes)), u32(packed.length), u32(bytes.length),
      u16(title.length), u16(0), title, packed];
  });
  return Buffer.concat([...pieces, Buffer.from('PK\x05\x06'), Buffer.alloc(18)]);
}

export const element = (group, number, vr, value) => {
  const even = value.length % 2 ? Buffer.concat([value, Buffer.from(vr === 'UI' ? '\0' : ' ')]) : value;
  return Buffer.concat([u16(group), u16(number), Buffer.from(vr), u16(even.length), even]);
};

// The directory of a CD (PS3.3 annex F) with these record types.
export function directory(types) {
  const items = types.map((type) => {
    const record = element(4, 0x1430, 'CS', Buffer.from(type));
    return Buffer.concat([u16(0xfffe), u16(0xe000), u32(record.length), record]);
  });
  const records = Buffer.concat(items);
  const meta = Buffer.concat([element(2, 2, 'UI', Buffer.from('1.2.840.10008.1.3.10')), element(2, 0x10, 'UI', Buffer.from('1.2.840.10008.1.2.1'))]);
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), meta, u16(4), u16(0x1220), Buffer.from('SQ\0\0'), u32(records.length), records]);
}
