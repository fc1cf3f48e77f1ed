/* view.h — SQL-on-FHIR v2 ViewDefinitions: compiled once, turned into rows for a resource
 * (docs/modules/view.md). A view knows nothing of the store; view_set.h keeps rows in it.
 * A compiled view never changes and may be used by many threads. */
#ifndef SHANHAI_VIEW_VIEW_H
#define SHANHAI_VIEW_VIEW_H

#include "base/arena.h"
#include "base/error.h"
#include "fhirpath/fhirpath.h"
#include "json/json.h"

struct view;

struct view_column {
    struct str name;
    struct str type; /* FHIR type as declared, may be absent */
    bool collection; /* a list of values; only for JSON rows */
};

/* Compiles a ViewDefinition. ERROR_STRUCTURE for what the language forbids: unknown shape, a path that does not
 * compile, names that stand twice or are no SQL names, branches of a unionAll with different columns. The
 * definition must live as long as the view; everything else is in `arena`. */
bool view_compile(struct arena *arena, const struct json *definition, struct view **view,
                  struct error *error) MUST_CHECK;

struct str view_name(const struct view *view);
struct str view_resource(const struct view *view); /* resource type */
const struct view_column *view_columns(const struct view *view, size_t *count);

/* One row: a collection for each column (0 or 1 items unless `collection`). */
struct view_row {
    struct view_row *next;
    struct fhirpath_collection *values;
};

struct view_rows {
    struct view_row *first;
    struct view_row *last;
    size_t count;
};

/* The rows of one resource; none when it is of another type or `where` refuses it. ERROR_RULE when a path gives
 * several values for a column that holds one, ERROR_TOO_COSTLY over LIMIT_VIEW_ROWS. `now_ms` 0 is the clock. */
struct view_input {
    const struct json *resource;
    int offset_minutes;
    int64_t now_ms;
};
bool view_evaluate(const struct view *view, struct arena *arena, const struct view_input *input,
                   struct view_rows *rows, struct error *error) MUST_CHECK;

/* A row as a JSON object with a member for each column (null where there is no value). */
struct json *view_row_json(const struct view *view, struct arena *arena, const struct view_row *row);

#endif
