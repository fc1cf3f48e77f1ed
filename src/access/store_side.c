#include "access/store_side.h"

#include <assert.h>

#include "access/audit.h"
#include "fhir/search_query.h"
#include "store/body.h"
#include "store/rows.h"
#include "store/search.h"

enum { ROWS_AT_ONCE = 1000, ROWS_READ_BYTES_MAX = 16 * 1024 * 1024, SEARCH_PAGES_MAX = 64 };

static const struct store_column row_columns[] = {
    { "kind", STORE_VALUE_INTEGER, 1 },
    { "name", STORE_VALUE_TEXT, 1 },
    { "content", STORE_VALUE_TEXT, 1 },
};
static const struct store_table rows_table = {
    .name = "access_row", .version = 1, .columns = row_columns, .columns_count = 3, .key_columns = 2
};

const struct store_table *access_rows_table(void)
{
    return &rows_table;
}

/* ---- rows ---- */

/* One page of a kind after the key `after`; *last is the last key given. */
static bool rows_page(struct store_reader *reader, struct arena *arena, enum rows_kind kind, struct str after,
                      struct store_rows *rows, struct error *error)
{
    const struct store_where where[] = {
        { .column = "kind", .operator= STORE_EQUAL, .value = store_integer(kind) },
        { .column = "name", .operator= STORE_MORE, .value = store_text(after) },
    };
    const struct store_rows_query query = { .where = where, .where_count = 2, .limit = ROWS_AT_ONCE };
    return store_rows_find(reader, arena, &rows_table, &query, rows, error);
}

static bool rows_each(void *context, enum rows_kind kind,
                      bool (*row)(void *data, struct str key, struct str value, struct error *error),
                      void *data, struct error *error)
{
    struct arena arena = { .bytes_max = ROWS_READ_BYTES_MAX };
    struct arena last_key = { .bytes_max = 64 * 1024 };
    struct store_reader *reader = NULL;
    struct str after = STR("");
    bool more = true;
    bool ok = store_reader_begin(context, &reader, error);
    while (ok && more) {
        struct store_rows rows = { 0 };
        ok = rows_page(reader, &arena, kind, after, &rows, error);
        for (size_t i = 0; ok && i < rows.rows_count; i++) {
            struct str key = store_rows_value(&rows_table, &rows, i, "name")->text;
            ok = row(data, key, store_rows_value(&rows_table, &rows, i, "content")->text, error);
            if (ok && i + 1 == rows.rows_count) {
                arena_reset(&last_key);
                after = arena_dup(&last_key, key);
            }
        }
        more = ok && rows.rows_count == ROWS_AT_ONCE && after.at != NULL;
        arena_reset(&arena);
    }
    store_reader_end(reader);
    arena_deinit(&last_key);
    arena_deinit(&arena);
    return ok;
}

struct rows_batch {
    const struct rows_change *changes;
    size_t count;
};

static bool rows_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct rows_batch *batch = data;
    for (size_t i = 0; i < batch->count; i++) {
        const struct rows_change *change = &batch->changes[i];
        const struct store_value row[] = { store_integer(change->kind), store_text(change->key),
                                           store_text(change->value) };
        const struct store_where where[] = {
            { .column = "kind", .operator= STORE_EQUAL, .value = row[0] },
            { .column = "name", .operator= STORE_EQUAL, .value = row[1] },
        };
        const struct store_rows_query query = { .where = where, .where_count = 2 };
        bool ok = change->value.at == NULL ? store_rows_delete(transaction, &rows_table, &query, NULL, error)
                                           : store_rows_put(transaction, &rows_table, row, error);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool rows_write(void *context, const struct rows_change *changes, size_t count, struct error *error)
{
    struct rows_batch batch = { changes, count };
    return store_apply_and_wait(context, rows_apply, &batch, STR_NONE, error);
}

struct access_rows access_rows_of_store(struct store *store)
{
    return (struct access_rows){ .context = store, .each = rows_each, .write = rows_write };
}

/* ---- directory ---- */

static bool version_json(struct arena *arena, const struct store_version *version, struct json **resource,
                         struct error *error)
{
    struct str text = STR_NONE;
    return store_body_text(arena, version, &text, error) && json_read(arena, text, resource, error);
}

static bool directory_read(void *context, struct arena *arena, struct str type, struct str id,
                           struct json **resource, struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_version version;
    struct error missing = { 0 };
    bool ok = false;
    *resource = NULL;
    if (!store_reader_begin(context, &reader, error)) {
        return false;
    }
    if (store_read(reader, arena, type, id, &version, &missing)) {
        ok = version.method == STORE_METHOD_DELETED || version_json(arena, &version, resource, error);
    } else if (missing.kind == ERROR_NOT_FOUND || missing.kind == ERROR_INPUT) {
        ok = true;
    } else {
        *error = missing;
    }
    store_reader_end(reader);
    return ok;
}

static bool hits_append(struct arena *arena, const struct store_hits *hits, struct json *list,
                        struct error *error)
{
    for (size_t i = 0; i < hits->count; i++) {
        struct json *resource = NULL;
        if (!version_json(arena, &hits->hits[i].version, &resource, error)) {
            return false;
        }
        if (json_append(list, resource) == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    }
    return true;
}

static bool directory_search(void *context, struct arena *arena, const struct access_lookup *lookup,
                             struct json **resources, struct error *error)
{
    struct store_reader *reader = NULL;
    struct search_query query = { 0 };
    struct search_options options = { .type = lookup->type, .offset_minutes = 480 };
    const struct search_pair pairs[] = { { lookup->parameter, lookup->reference },
                                         { STR("_count"), STR("1000") } };
    struct json *list = json_new(arena, JSON_ARRAY);
    if (!search_query_parse(arena, &options, pairs, 2, &query, error) ||
        !store_reader_begin(context, &reader, error)) {
        return false;
    }
    struct store_search search = { .query = &query };
    bool ok = true;
    for (int page = 0; ok && page < SEARCH_PAGES_MAX; page++) {
        struct store_hits hits = { 0 };
        ok = store_search(reader, arena, &search, &hits, error) && hits_append(arena, &hits, list, error);
        search.cursor = hits.next_cursor;
        if (search.cursor.at == NULL) {
            break;
        }
    }
    if (ok && search.cursor.at != NULL) {
        ok = FAIL(error, ERROR_TOO_COSTLY, "the directory has more entries than a session can hold");
    }
    store_reader_end(reader);
    if (ok) {
        *resources = list;
    }
    return ok;
}

struct access_directory access_directory_of_store(struct store *store)
{
    return (struct access_directory){ .context = store, .read = directory_read, .search = directory_search };
}

struct store_audit_sink access_audit_sink(struct audit *audit)
{
    return (struct store_audit_sink){ .data = audit,
                                      .append = audit_append,
                                      .groups_durable = audit_groups_durable };
}
