/* audit_format.h — the bytes of the audit log, shared by its writer and its readers.
 *
 *   file   = header frame*
 *   header = "SHAUDIT1" number:u64 seal:32          the seal that the file before ended with (zeros at first)
 *   frame  = kind:u8 len:u16 check:u32 payload:len  check = low half of hash64(payload, kind)
 *   record = kind 'R', payload as audit_record_encode writes it
 *   seal   = kind 'S', payload "SEAL" group:u64 records:u32 seal:32
 *
 * seal = SHA-256(seal before, frames of the records since then, group, records). All numbers are little
 * endian. `check` tells a torn frame; only the seal proves anything. `group` is the store's last commit
 * group in the log so far. Any thread. */
#ifndef SHANHAI_ACCESS_AUDIT_FORMAT_H
#define SHANHAI_ACCESS_AUDIT_FORMAT_H

#include "access/audit.h"
#include "base/buf.h"
#include "base/hash.h"

enum {
    AUDIT_HEADER_BYTES = 8 + 8 + SHA256_BYTES,
    AUDIT_FRAME_BYTES = 1 + 2 + 4,
    AUDIT_SEAL_PAYLOAD_BYTES = 4 + 8 + 4 + SHA256_BYTES,
    AUDIT_RECORD_BYTES_MAX = 1200,
    AUDIT_FRAME_RECORD = 'R',
    AUDIT_FRAME_SEAL = 'S'
};

struct audit_seal {
    uint64_t group;
    uint32_t records;
    uint8_t seal[SHA256_BYTES];
};

/* Appends; ERROR_INPUT when a field is longer than its kind may be. */
bool audit_record_encode(struct buf *buf, const struct audit_record *record, struct error *error) MUST_CHECK;

/* Texts of `record` lie in `arena`. False when the payload is not a record. */
bool audit_record_decode(struct arena *arena, struct str payload, struct audit_record *record) MUST_CHECK;

void audit_frame_add(struct buf *buf, char kind, struct str payload);
void audit_header_add(struct buf *buf, uint64_t number, const uint8_t seal[SHA256_BYTES]);
void audit_seal_add(struct buf *buf, const struct audit_seal *seal);

bool audit_header_read(struct str file, uint64_t *number, uint8_t seal[SHA256_BYTES]) MUST_CHECK;

/* The frame at *offset, which then moves behind it. False at the end and at bytes that are no whole frame:
 * *offset == file.len tells which. */
bool audit_frame_next(struct str file, size_t *offset, char *kind, struct str *payload) MUST_CHECK;
bool audit_seal_read(struct str payload, struct audit_seal *seal) MUST_CHECK;

/* The seal over `frames` after the seal `before`. */
bool audit_seal_compute(const uint8_t before[SHA256_BYTES], struct str frames, struct audit_seal *seal,
                        struct error *error) MUST_CHECK;

#endif
