/* index_columns.c — the index rows of a group as columns: one statement a kind, each with an array a column. The way of
 * PostgreSQL, where every statement costs the way to another process. Versions of the group that share a value become one
 * row, a block (schema_postgresql.c): each row costs the server a place in a table and in a B-tree, a further version of it
 * eight bytes. */
#include "base/memory.h"
#include "store/internal.h"
#include "store/postgresql_values.h"

enum {
    COPY_FROM = 1500, /* rows: an eighth less of the server's time, for three more ways there and back */
    COPY_BYTES_MAX = 1 << 30,
    BLOCK_VERSIONS_MAX = 128, /* so that a block is about a kilobyte */
};

struct columns {
    size_t count;
    int64_t *parameters;
    int64_t *firsts;  /* KEY: value; DATE: from_ms; NUMBER: unit */
    int64_t *seconds; /* DATE: to_ms */
    double *lows;
    double *highs;
    struct str *texts;
    int64_t *seqs;
    int64_t *resources;
    int64_t
        *since; /* of `more`: the further versions of the block are after the first `since`, up to `till` */
    int64_t *till;
    int64_t *more;
    size_t more_count;
    bool blocks; /* else each row by itself */
};

static bool columns_make(struct columns *columns, size_t count, void **memory, struct error *error)
{
    char *at = memory_new_array(count, 8 * sizeof(int64_t) + 2 * sizeof(double) + sizeof(struct str));
    *memory = at;
    if (at == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    columns->parameters = (int64_t *)(void *)at;
    columns->firsts = columns->parameters + count;
    columns->seconds = columns->firsts + count;
    columns->seqs = columns->seconds + count;
    columns->resources = columns->seqs + count;
    columns->since = columns->resources + count;
    columns->till = columns->since + count;
    columns->more = columns->till + count;
    columns->lows = (double *)(void *)(columns->more + count);
    columns->highs = columns->lows + count;
    columns->texts = (struct str *)(void *)(columns->highs + count);
    return true;
}

static void columns_add(struct columns *columns, const struct run_entry *entry)
{
    const struct index_row *row = entry->row;
    size_t at = columns->count;
    bool date = row->kind == INDEX_DATE;
    columns->parameters[at] = row->parameter;
    columns->firsts[at] = date ? row->from_ms : (int64_t)row->key;
    columns->seconds[at] = date ? row->to_ms : 0;
    columns->lows[at] = row->low;
    columns->highs[at] = row->high;
    columns->texts[at] = row->kind == INDEX_TEXT ? index_text_cut(row->text) : STR("");
    columns->seqs[at] = (int64_t)entry->seq;
    columns->resources[at] = (int64_t)entry->resource;
    columns->since[at] = (int64_t)columns->more_count;
    columns->till[at] = (int64_t)columns->more_count;
    columns->count++;
}

/* Whether the row is of the last block's value and may be one of its versions. Values come sorted, and within a value the
 * versions. */
static bool is_of_block(const struct columns *columns, const struct run_entry *entry)
{
    size_t last = columns->count - 1;
    const struct index_row *row = entry->row;
    int64_t first = row->kind == INDEX_DATE ? row->from_ms : (int64_t)row->key;
    return columns->blocks && columns->count > 0 && row->kind != INDEX_TEXT &&
           columns->parameters[last] == row->parameter && columns->firsts[last] == first &&
           (row->kind != INDEX_DATE || columns->seconds[last] == row->to_ms) &&
           (row->kind != INDEX_NUMBER ||
            (columns->lows[last] == row->low && columns->highs[last] == row->high)) &&
           columns->till[last] - columns->since[last] < BLOCK_VERSIONS_MAX - 1 &&
           (int64_t)entry->seq - columns->seqs[last] < STORE_BLOCK_REACH;
}

static void block_add(struct columns *columns, uint64_t seq)
{
    columns->more[columns->more_count] = (int64_t)seq;
    columns->more_count++;
    columns->till[columns->count - 1] = (int64_t)columns->more_count;
}

/* The further versions of a block as a field of COPY. */
static void copy_more(struct buf *buf, const struct columns *columns, size_t i)
{
    enum { ARRAY_HEAD = 20, ARRAY_VALUE = 12 };
    size_t count = (size_t)(columns->till[i] - columns->since[i]);
    if (count == 0) {
        postgresql_array_bytes(buf, STR_NONE);
        return;
    }
    postgresql_field_begin(buf, ARRAY_HEAD + count * ARRAY_VALUE);
    postgresql_array_begin(buf, POSTGRESQL_INT8, count);
    for (int64_t at = columns->since[i]; at < columns->till[i]; at++) {
        postgresql_array_integer(buf, columns->more[at]);
    }
}

/* One row of COPY, with the columns of its kind's table. */
static void copy_row(struct buf *buf, enum index_kind kind, const struct columns *columns, size_t i)
{
    static const unsigned counts[] = {
        [INDEX_KEY] = 5, [INDEX_TEXT] = 4, [INDEX_DATE] = 6, [INDEX_NUMBER] = 7
    };
    postgresql_copy_row(buf, counts[kind]);
    postgresql_array_integer(buf, columns->parameters[i]);
    if (kind == INDEX_TEXT) {
        postgresql_array_text(buf, columns->texts[i]);
    } else {
        postgresql_array_integer(buf, columns->firsts[i]);
    }
    if (kind == INDEX_DATE) {
        postgresql_array_integer(buf, columns->seconds[i]);
    } else if (kind == INDEX_NUMBER) {
        postgresql_array_real(buf, columns->lows[i]);
        postgresql_array_real(buf, columns->highs[i]);
    }
    postgresql_array_integer(buf, columns->seqs[i]);
    postgresql_array_integer(buf, columns->resources[i]);
    if (kind != INDEX_TEXT) {
        copy_more(buf, columns, i);
    }
}

static bool columns_copy(struct writer *writer, enum index_kind kind, const struct columns *columns,
                         struct error *error)
{
    static const enum sql copying[] = { [INDEX_KEY] = SQL_INDEX_KEY_COPY,
                                        [INDEX_TEXT] = SQL_INDEX_TEXT_COPY,
                                        [INDEX_DATE] = SQL_INDEX_DATE_COPY,
                                        [INDEX_NUMBER] = SQL_INDEX_NUMBER_COPY };
    struct buf buf = { .bytes_max = COPY_BYTES_MAX };
    postgresql_copy_begin(&buf);
    for (size_t i = 0; i < columns->count; i++) {
        copy_row(&buf, kind, columns, i);
    }
    postgresql_copy_end(&buf);
    bool ok = !buf.failed || FAIL(error, ERROR_BUSY, "out of memory; try again");
    ok = ok && database_copy(writer->connection.database, sql_text(DIALECT_POSTGRESQL, copying[kind]),
                             buf_str(&buf), error);
    buf_deinit(&buf);
    return ok;
}

static bool columns_send(struct writer *writer, enum index_kind kind, const struct columns *columns,
                         struct error *error)
{
    if (columns->count >= COPY_FROM && !writer->entries_again) {
        return columns_copy(writer, kind, columns, error);
    }
    static const enum sql adding[] = { [INDEX_KEY] = SQL_INDEX_KEY_ADD,
                                       [INDEX_TEXT] = SQL_INDEX_TEXT_ADD,
                                       [INDEX_DATE] = SQL_INDEX_DATE_ADD,
                                       [INDEX_NUMBER] = SQL_INDEX_NUMBER_ADD };
    static const enum sql again[] = { [INDEX_KEY] = SQL_INDEX_KEY_AGAIN,
                                      [INDEX_TEXT] = SQL_INDEX_TEXT_AGAIN,
                                      [INDEX_DATE] = SQL_INDEX_DATE_AGAIN,
                                      [INDEX_NUMBER] = SQL_INDEX_NUMBER_AGAIN };
    const enum sql which = writer->entries_again ? again[kind] : adding[kind];
    struct statement *statement = connection_statement(&writer->connection, which, error);
    size_t count = columns->count;
    int at = 1;
    if (statement == NULL) {
        return false;
    }
    bind_integers(statement, at++, columns->parameters, count);
    if (kind == INDEX_TEXT) {
        bind_texts(statement, at++, columns->texts, count);
    } else {
        bind_integers(statement, at++, columns->firsts, count);
    }
    if (kind == INDEX_DATE) {
        bind_integers(statement, at++, columns->seconds, count);
    } else if (kind == INDEX_NUMBER) {
        bind_reals(statement, at++, columns->lows, count);
        bind_reals(statement, at++, columns->highs, count);
    }
    bind_integers(statement, at++, columns->seqs, count);
    bind_integers(statement, at++, columns->resources, count);
    if (kind != INDEX_TEXT && !writer->entries_again) {
        bind_integers(statement, at++, columns->since, count);
        bind_integers(statement, at++, columns->till, count);
        bind_integers(statement, at, columns->more, columns->more_count);
    }
    return statement_run_later(statement, error);
}

bool index_add_columns(struct writer *writer, bool blocks, struct error *error)
{
    const struct run_entry *entries = writer->entries;
    size_t count = writer->entries_count;
    struct columns columns = { .blocks = blocks && !writer->entries_again };
    void *memory = NULL;
    bool ok = columns_make(&columns, count, &memory, error);
    for (size_t i = 0; ok && i < count; i++) { /* one kind after the other */
        bool again = columns.count > 0 && index_entries_compare(&entries[i - 1], &entries[i]) == 0;
        if (!again &&
            is_of_block(&columns, &entries[i])) { /* equal rows (two paths with one value) are one row */
            block_add(&columns, entries[i].seq);
        } else if (!again) {
            columns_add(&columns, &entries[i]);
        }
        if (i + 1 == count || entries[i + 1].row->kind != entries[i].row->kind) {
            ok = columns_send(writer, entries[i].row->kind, &columns, error);
            columns.count = 0;
            columns.more_count = 0;
        }
    }
    memory_free(memory);
    return ok;
}
