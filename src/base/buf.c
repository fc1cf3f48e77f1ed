#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *buf_reserve(struct buf *buf, size_t size)
{
    assert(buf != NULL);
    assert(buf->bytes_max > 0);
    if (buf->failed || size > buf->bytes_max - buf->len) {
        buf->failed = true;
        return NULL;
    }
    size_t need = buf->len + size;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity < 128 ? 256 : buf->capacity * 2;
        capacity = capacity < need ? need : capacity;
        capacity = capacity > buf->bytes_max ? buf->bytes_max : capacity;
        char *at = realloc(buf->at, capacity);
        if (at == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->at = at;
        buf->capacity = capacity;
    }
    return buf->at + buf->len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    size_t left = buf->failed ? 0 : buf->capacity - buf->len;
    int length = vsnprintf(left == 0 ? NULL : buf->at + buf->len, left, format, arguments);
    va_end(arguments);
    /* One byte more than the text: vsnprintf ends it with NUL. */
    bool fits = length >= 0 && (size_t)length < left;
    char *room = length < 0 ? NULL : fits ? buf->at + buf->len : buf_reserve(buf, (size_t)length + 1);
    if (room != NULL) {
        if (!fits) {
            (void)vsnprintf(room, (size_t)length + 1, format, again);
        }
        buf->len += (size_t)length;
    }
    va_end(again);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

void buf_deinit(struct buf *buf)
{
    if (buf != NULL) {
        free(buf->at);
        buf->at = NULL;
        buf->len = 0;
        buf->capacity = 0;
    }
}
