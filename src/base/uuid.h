/* uuid.h — ids of resources: UUID version 7 (RFC 9562 section 5.7), time first, so that new rows land
 * beside each other. Any thread. */
#ifndef SHANHAI_BASE_UUID_H
#define SHANHAI_BASE_UUID_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { UUID_TEXT_BYTES = 37 }; /* 36 characters and NUL */

bool uuid_v7(int64_t time_ms, char out[UUID_TEXT_BYTES], struct error *error) MUST_CHECK;

/* Whether the text has the form of such an id. */
bool uuid_is_v7(struct str text);

/* `len` random bytes from the system. */
bool random_bytes(void *out, size_t len, struct error *error) MUST_CHECK;

#endif
