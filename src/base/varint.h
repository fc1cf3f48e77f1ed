/* varint.h — numbers of varying length in bytes that never leave the machine: small ones are short. Seven bits a byte, the
 * lowest first, all bytes but the last with the top bit. Any thread. */
#ifndef SHANHAI_BASE_VARINT_H
#define SHANHAI_BASE_VARINT_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

static inline void varint_add(struct buf *buf, uint64_t value)
{
    while (value >= 0x80) {
        buf_add_char(buf, (char)(value | 0x80));
        value >>= 7;
    }
    buf_add_char(buf, (char)value);
}

/* Small numbers of either sign as small numbers, and back. */
static inline uint64_t varint_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t varint_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static inline void bytes_add(struct buf *buf, const void *bytes, size_t len)
{
    buf_add(buf, (struct str){ bytes, len });
}

/* Takes `len` bytes off the front. False when there are fewer. */
static inline bool bytes_take(struct str *bytes, void *out, size_t len)
{
    if (bytes->len < len) {
        return false;
    }
    memcpy(out, bytes->at, len);
    *bytes = str_skip(*bytes, len);
    return true;
}

/* False when the bytes end in it or it has more than 64 bits' worth of them. */
static inline bool varint_take(struct str *bytes, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = 0;
        if (!bytes_take(bytes, &byte, 1)) {
            return false;
        }
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

#endif
