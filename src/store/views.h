/* views.h — tables of rows made from resources, changed in the transaction of the resource (view/ computes the
 * rows; the store keeps and closes them), and the read-only connection on which indicator SQL runs.
 *
 * A row knows the sequence numbers between which it was true: seq_from, seq_to. SQL sees a view under its plain
 * name: the open rows, or, with as_of_seq, the rows as known then (only views with `known` keep closed rows).
 * Beside its columns each view shows `resource_key` (of the resource the row was made from), which
 * store_resource_name turns into Type and id: what a figure counted.
 *
 * The SQL may call: median(x), percentile(x, p), ratio(a, b) (NULL when b is 0), days_between(from_ms, to_ms),
 * local_day(ms), one_of(x, list with blanks). It can read views and nothing else; it is stopped at a time limit. */
#ifndef SHANHAI_STORE_VIEWS_H
#define SHANHAI_STORE_VIEWS_H

#include "store/rows.h"

struct store_view {
    const char *name;                   /* [a-z][a-z0-9_]{0,40} */
    const char *type;                   /* resource type whose versions make its rows */
    const struct store_column *columns; /* since is not used here */
    size_t columns_count;
    bool known;      /* keep closed rows, for as_of_seq */
    uint64_t digest; /* of the definition: another one empties the table and it is filled again */
};

/* Makes the view's table or finds it unchanged; waits for the commit. *filled_seq: versions up to there have
 * their rows (0 for a new one): view/ fills the rest by store_set.refills and store_view_set_filled. From the
 * moment of this call writes bring their own rows. */
bool store_view_define(struct store *store, const struct store_view *view, uint64_t *filled_seq,
                       struct error *error) MUST_CHECK;
bool store_view_set_filled(struct store *store, struct str view, uint64_t seq,
                           struct error *error) MUST_CHECK;
bool store_view_drop(struct store *store, struct str view, struct error *error) MUST_CHECK;

/* All rows of one view that one version makes; they replace those of the version before. */
struct store_view_rows {
    struct str view;
    const struct store_value *values; /* rows_count times the view's columns_count */
    size_t columns_count;
    size_t rows_count; /* may be 0 */
};

struct store_sql_parameter {
    const char *name; /* without the colon */
    struct store_value value;
};

struct store_sql {
    struct str text; /* one SELECT over views, with :names */
    const struct store_sql_parameter *parameters;
    size_t parameters_count;
    uint64_t as_of_seq;  /* 0 = now */
    size_t rows_max;     /* more is ERROR_TOO_COSTLY; 0 = LIMIT_STORE_ROWS */
    int64_t time_ms_max; /* 0 = LIMIT_STORE_SNAPSHOT_MS */
    int offset_minutes;  /* of site.timezone, for local_day */
};

struct store_sql_result {
    const char **columns;
    size_t columns_count;
    const struct store_value *values;
    size_t rows_count;
    uint64_t seq; /* of the snapshot: what a published figure stores */
};

/* Runs it. ERROR_INPUT for SQL that does not prepare or touches what is no view. */
bool store_sql_run(struct store *store, struct arena *arena, const struct store_sql *sql,
                   struct store_sql_result *result, struct error *error) MUST_CHECK;

/* Prepares it only: for the loading of indicators. */
bool store_sql_check(struct store *store, struct str text, struct error *error) MUST_CHECK;

#endif
