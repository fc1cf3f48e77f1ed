/* row_json.h — rows of access as JSON objects: small helpers over json.h for account.c, session.c and
 * key.c. Reading copies text into fixed fields; what does not fit or is missing is ERROR_STRUCTURE. */
#ifndef SHANHAI_ACCESS_ROW_JSON_H
#define SHANHAI_ACCESS_ROW_JSON_H

#include "access/rows.h"
#include "json/json.h"

/* Copies with NUL; false when `text` does not fit into `size` bytes or holds a NUL. */
bool text_copy(struct str text, char *out, size_t size) MUST_CHECK;

/* A text member into a field of `size` bytes; an absent member gives "". */
bool row_text(const struct json *row, struct str name, char *out, size_t size,
              struct error *error) MUST_CHECK;

/* An integer member; an absent one is 0. */
bool row_integer(const struct json *row, struct str name, int64_t *value, struct error *error) MUST_CHECK;

/* The object's text as the value of a change; fails when any step of the building ran out of memory. */
bool row_change(struct arena *arena, const struct json *row, struct rows_change *change,
                struct error *error) MUST_CHECK;

/* A time for people and programs, as UTC instant. */
struct json *row_time_json(struct arena *arena, int64_t time_ms);

/* Bytes as lower-case hexadecimal in the arena, and back; STR_NONE, false on failure. */
struct str hex_text(struct arena *arena, const uint8_t *bytes, size_t len);
bool hex_bytes(struct str text, uint8_t *bytes, size_t len) MUST_CHECK;

#endif
