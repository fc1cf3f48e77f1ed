/* packed_rows.h — the index rows of one version as bytes, for its own column (docs/modules/store.md, "Index rows"): what
 * a search needs to test and sort a candidate, and to follow its references. References, texts, dates and numbers; other
 * keys are only reached by their value.
 *
 * Knows no SQL. A version has tens of rows that say little new: one value stands under several parameters, one unit with
 * several values. So values are varints, and a word or text that came a short while before is told by its distance.
 * Inside store/ only. */
#ifndef SHANHAI_STORE_PACKED_ROWS_H
#define SHANHAI_STORE_PACKED_ROWS_H

#include "base/arena.h"
#include "base/error.h"
#include "fhir/index.h"

/* The rows, sorted and each once, in the arena; STR_NONE when there is none to keep. Equal rows give equal bytes. */
bool packed_rows_make(struct arena *arena, const struct index_rows *rows, struct str *packed,
                      struct error *error) MUST_CHECK;

enum {
    PACKED_WORDS = 64,
    PACKED_TEXTS = 16
}; /* how far back a value is told by its distance; powers of two */

struct packed_reader {
    struct str rest;
    enum index_kind kind; /* of the group: rows of one kind and parameter */
    uint32_t parameter;
    bool flag;     /* DATE: in whole seconds; NUMBER: low and high are one */
    uint64_t left; /* rows of the group */
    uint64_t words[PACKED_WORDS];
    size_t words_count;
    struct str texts[PACKED_TEXTS];
    size_t texts_count;
};

enum packed { PACKED_DAMAGED, PACKED_ROW, PACKED_END };

/* Absent bytes have no rows. The bytes must outlive the reader, texts point into them. */
enum packed packed_rows_begin(struct packed_reader *reader, struct str bytes) MUST_CHECK;
enum packed packed_rows_next(struct packed_reader *reader, struct index_row *row) MUST_CHECK;

#endif
