/* version_rows.h — the index rows of versions by themselves as columns of arrays, for the PostgreSQL table `version`
 * (schema_postgresql.c): references, dates and numbers, each row once. What search needs to test and sort a candidate, and to
 * follow its references. Belongs to the writer's thread. Inside store/ only. */
#ifndef SHANHAI_STORE_VERSION_ROWS_H
#define SHANHAI_STORE_VERSION_ROWS_H

#include "store/internal.h"

/* A column's values, of eight bytes each: int64_t or double. */
struct version_column {
    void *values;
    size_t count;
    size_t capacity;
};

enum {
    VERSION_REFERENCES,
    VERSION_DATES,
    VERSION_PARAMETERS,
    VERSION_UNITS,
    VERSION_LOWS,
    VERSION_HIGHS,
    VERSION_COLUMNS
};

/* The rows of several versions, one after the other. All zero: empty. */
struct version_rows_columns {
    struct version_column columns[VERSION_COLUMNS];
    struct run_entry *entries; /* of the version at hand */
    size_t entries_capacity;
};

/* Where those of one version are: after the first `from`, up to `to`. */
struct version_rows_part {
    int64_t references_from;
    int64_t references_to;
    int64_t dates_from;
    int64_t dates_to;
    int64_t numbers_from;
    int64_t numbers_to;
    int64_t numbers_wide; /* 1: some high is not the low */
};

/* Absent rows have an empty part. */
bool version_rows_add(struct version_rows_columns *columns, const struct index_rows *rows,
                      struct version_rows_part *part, struct error *error) MUST_CHECK;
/* As the parameters from `at` on, all of them. */
void version_rows_bind(struct statement *statement, int at, const struct version_rows_columns *columns);
void version_rows_clear(struct version_rows_columns *columns);
void version_rows_free(struct version_rows_columns *columns);

/* Of a version that is stored already: it has these rows and no others; NULL: none. */
bool version_rows_set(struct writer *writer, const struct index_rows *rows, uint64_t seq,
                      struct error *error) MUST_CHECK;

#endif
