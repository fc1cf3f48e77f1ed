/* view_set.h — the views whose rows are kept in the store: loaded from definitions/views, filled in the writer's
 * transaction from then on, back-filled for what was stored before. Filled at start (view_set_add), then read
 * by many threads; view_set_fill belongs to one worker thread. */
#ifndef SHANHAI_VIEW_VIEW_SET_H
#define SHANHAI_VIEW_VIEW_SET_H

#include "base/arena.h"
#include "base/error.h"
#include "store/views.h"
#include "view/view.h"

struct view_set;

/* `arena` keeps the definitions; offset_minutes is the site's zone, for dates without one. */
bool view_set_open(struct arena *arena, struct store *store, int offset_minutes, struct view_set **set,
                   struct error *error) MUST_CHECK;

/* Adds a view from the text of its file and defines its table. Columns: boolean and integer types become
 * integer; decimal real; date, dateTime and instant integer (UTC ms of its begin); all else text. `known: true`
 * beside the standard's members keeps closed rows. */
bool view_set_add(struct view_set *set, struct str text, struct error *error) MUST_CHECK;

/* The view of that name, or NULL. */
const struct view *view_set_find(const struct view_set *set, struct str name);

/* Its ViewDefinition as it was loaded, or NULL. */
const struct json *view_set_definition(const struct view_set *set, struct str name);

/* The rows that a resource gives in every view of its type, for store_write.view_rows. NULL resource: the empty rows
 * of a deletion. */
bool view_set_rows(const struct view_set *set, struct arena *arena, struct str type,
                   const struct json *resource, struct store_view_rows **rows, size_t *count,
                   struct error *error) MUST_CHECK;

/* One step of the back-fill (some hundred versions); *done when every view has all its rows. */
bool view_set_fill(struct view_set *set, bool *done, struct error *error) MUST_CHECK;

/* How far the back-fill of the `at`-th view is; false behind the last one. Any thread. */
bool view_set_progress(const struct view_set *set, size_t at, struct str *name, unsigned *per_mille);

#endif
