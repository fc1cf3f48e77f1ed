/* buf.h — a growing byte buffer with a maximum given at birth, so that an unbounded one cannot be
 * written by accident. Additions after a failure do nothing; look at `failed` once, at the end.
 * Owned by whoever made it; buf_deinit frees. One thread at a time.
 *
 *     struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
 *     buf_add(&buf, STR("{\"resourceType\":"));
 *     if (buf.failed) … */
#ifndef SHANHAI_BASE_BUF_H
#define SHANHAI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
    char *at;
    size_t len;
    size_t capacity;
    size_t bytes_max;
    bool failed; /* limit or memory: the content is then not to be used */
};

void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for `size` more bytes at the end, to be written by the caller, who then adds to len. NULL on failure. */
char *buf_reserve(struct buf *buf, size_t size);

static inline void buf_add(struct buf *buf, struct str text)
{
    bool fits = !buf->failed && text.len <= buf->capacity - buf->len;
    char *room = text.len == 0 ? NULL : fits ? buf->at + buf->len : buf_reserve(buf, text.len);
    if (room != NULL) {
        memcpy(room, text.at, text.len);
        buf->len += text.len;
    }
}

static inline void buf_add_char(struct buf *buf, char c)
{
    bool fits = !buf->failed && buf->len < buf->capacity;
    char *room = fits ? buf->at + buf->len : buf_reserve(buf, 1);
    if (room != NULL) {
        *room = c;
        buf->len++;
    }
}

/* len becomes 0, the memory stays. */
void buf_clear(struct buf *buf);
void buf_deinit(struct buf *buf);

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){ buf->at == NULL ? "" : buf->at, buf->len };
}

#endif
