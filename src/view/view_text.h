/* view_text.h — rows of a view as text: JSON (one array), NDJSON, CSV (RFC 4180, lines end in CR LF). */
#ifndef SHANHAI_VIEW_VIEW_TEXT_H
#define SHANHAI_VIEW_VIEW_TEXT_H

#include "base/buf.h"
#include "view/view.h"

enum view_format { VIEW_JSON, VIEW_NDJSON, VIEW_CSV, VIEW_FORMATS };

/* "json", "application/json", "ndjson", "application/x-ndjson", "csv", "text/csv"; absent is JSON. ERROR_NOT_ACCEPTABLE
 * else (Parquet among them: no library for it is kept). */
bool view_format_of(struct str text, enum view_format *format, struct error *error) MUST_CHECK;
const char *view_format_type(enum view_format format);   /* for Content-Type */
const char *view_format_suffix(enum view_format format); /* "json", "ndjson", "csv" */

/* The beginning and the end of a text; the header only in CSV. */
void view_text_begin(const struct view *view, enum view_format format, bool header, struct buf *out);
void view_text_end(enum view_format format, struct buf *out);
/* One row, the `number`-th from 0 of the text. False when request memory is used up. */
bool view_text_row(const struct view *view, enum view_format format, struct arena *arena,
                   const struct view_row *row, uint64_t number, struct buf *out) MUST_CHECK;

#endif
