/* rows.h — tables of other modules (accounts, sessions, the image index): declared as data, so that SQL stays in
 * the store and both databases have them. A table is made or migrated at store_open from its declaration;
 * columns and indexes may only be added, with `since` = the version that brought them. Such tables are machinery:
 * no FHIR route, history or export shows them. Writing happens inside store_set.apply; reading with a reader. */
#ifndef SHANHAI_STORE_ROWS_H
#define SHANHAI_STORE_ROWS_H

#include "store/read.h"

enum store_value_kind {
    STORE_VALUE_NULL,
    STORE_VALUE_INTEGER,
    STORE_VALUE_REAL,
    STORE_VALUE_TEXT,
    STORE_VALUE_BYTES
};

struct store_value {
    enum store_value_kind kind;
    int64_t integer;
    double real;
    struct str text; /* TEXT, BYTES */
};

static inline struct store_value store_integer(int64_t integer)
{
    return (struct store_value){ .kind = STORE_VALUE_INTEGER, .integer = integer };
}
static inline struct store_value store_real(double real)
{
    return (struct store_value){ .kind = STORE_VALUE_REAL, .real = real };
}
static inline struct store_value store_text(struct str text)
{
    return (struct store_value){ .kind = text.at == NULL ? STORE_VALUE_NULL : STORE_VALUE_TEXT,
                                 .text = text };
}
static inline struct store_value store_bytes(struct str bytes)
{
    return (struct store_value){ .kind = bytes.at == NULL ? STORE_VALUE_NULL : STORE_VALUE_BYTES,
                                 .text = bytes };
}

struct store_column {
    const char *name; /* [a-z][a-z0-9_]{0,40}, no SQL keyword */
    enum store_value_kind kind;
    int since; /* version of the table that brought it; 1 = from the start */
};

struct store_table_index {
    const char *columns[4]; /* in order; NULL ends */
    bool unique;
    int since;
};

enum { STORE_COLUMNS_MAX = 48 };

struct store_table {
    const char *name; /* MODULE_thing, for example "access_session" */
    int version;
    const struct store_column *columns;
    size_t columns_count; /* at most STORE_COLUMNS_MAX */
    size_t key_columns;   /* the first so many are the primary key (at least 1) */
    const struct store_table_index *indexes;
    size_t indexes_count;
};

enum store_operator {
    STORE_EQUAL,
    STORE_NOT_EQUAL,
    STORE_LESS,
    STORE_AT_MOST,
    STORE_MORE,
    STORE_AT_LEAST,
    STORE_IS_NULL
};

struct store_where { /* all of them must hold */
    const char *column;
    enum store_operator operator;
    struct store_value value;
};

struct store_rows_query {
    const struct store_where *where;
    size_t where_count;   /* at most 8 */
    const char *order[3]; /* columns; NULL ends; none = by key */
    bool descending;
    size_t limit; /* 0 = LIMIT_STORE_ROWS; more rows than LIMIT_STORE_ROWS is ERROR_TOO_COSTLY, never cut */
    size_t offset;
};

struct store_rows {
    const struct store_value *values; /* rows_count times table->columns_count */
    size_t rows_count;
};

/* Value of a column by name; the table must have it. */
const struct store_value *store_rows_value(const struct store_table *table, const struct store_rows *rows,
                                           size_t row, const char *column);

/* One row by its key (key_columns values): *row is NULL when there is none. */
bool store_rows_get(struct store_reader *reader, struct arena *arena, const struct store_table *table,
                    const struct store_value *key, const struct store_value **row,
                    struct error *error) MUST_CHECK;
bool store_rows_find(struct store_reader *reader, struct arena *arena, const struct store_table *table,
                     const struct store_rows_query *query, struct store_rows *rows,
                     struct error *error) MUST_CHECK;

/* Inside store_set.apply. */
struct store_reader *
store_transaction_reader(struct store_transaction *transaction);             /* sees what was written */
int64_t store_transaction_time(const struct store_transaction *transaction); /* ms; becomes lastUpdated */

/* Adds a row (`columns_count` values); ERROR_CONFLICT when key or a unique index has it already. */
bool store_rows_insert(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_value *row, struct error *error) MUST_CHECK;
/* Adds or replaces by key. */
bool store_rows_put(struct store_transaction *transaction, const struct store_table *table,
                    const struct store_value *row, struct error *error) MUST_CHECK;
/* Sets columns of all rows that fit; *count may be NULL. */
struct store_change {
    const char *column;
    struct store_value value;
};
bool store_rows_update(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_rows_query *query, const struct store_change *changes,
                       size_t changes_count, uint64_t *count, struct error *error) MUST_CHECK;
bool store_rows_delete(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_rows_query *query, uint64_t *count, struct error *error) MUST_CHECK;

/* A set with nothing but `apply`, waited for: the short way for sign-in, tokens, settings. */
bool store_apply_and_wait(struct store *store,
                          bool (*apply)(void *data, struct store_transaction *transaction,
                                        struct error *error),
                          void *data, struct str audit_record, struct error *error) MUST_CHECK;

#endif
