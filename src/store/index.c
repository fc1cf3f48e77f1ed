/* index.c — the one door through which index rows enter the store. Rows of a group are collected and inserted
 * sorted just before the commit (or before somebody searches inside the transaction): neighbours share pages, and
 * pages are what a durable create costs (limits.md section 3). Rows that wait in memory behind a watermark
 * (docs/design.md section 4) would be collected here too. */
#include <stdlib.h>

#include "base/memory.h"
#include "store/internal.h"

struct str index_text_cut(struct str text)
{
    size_t len = text.len;
    if (len > LIMIT_STORE_INDEX_TEXT_BYTES) {
        len = LIMIT_STORE_INDEX_TEXT_BYTES;
        while (len > 0 && ((unsigned char)text.at[len] & 0xc0) == 0x80) {
            len--; /* not inside a character */
        }
    }
    return (struct str){ text.at == NULL ? "" : text.at, len };
}

bool index_remember(struct writer *writer, const struct index_rows *index, uint64_t seq, struct error *error)
{
    if (index == NULL || index->count == 0) {
        return true;
    }
    if (writer->entries_count + index->count > writer->entries_capacity) {
        size_t capacity = writer->entries_capacity == 0 ? 4096 : writer->entries_capacity;
        while (capacity < writer->entries_count + index->count) {
            capacity *= 2;
        }
        struct index_entry *grown = memory_resize(writer->entries, capacity * sizeof *grown);
        if (grown == NULL) {
            return FAIL(error, ERROR_BUSY, "out of memory; try again");
        }
        writer->entries = grown;
        writer->entries_capacity = capacity;
    }
    for (size_t i = 0; i < index->count; i++) {
        writer->entries[writer->entries_count] = (struct index_entry){ &index->rows[i], seq };
        writer->entries_count++;
    }
    return true;
}

void index_forget(struct writer *writer)
{
    writer->entries_count = 0;
}

#define ORDER(a, b)                                                                                          \
    if ((a) != (b)) {                                                                                        \
        return (a) < (b) ? -1 : 1;                                                                           \
    }

static int compare_entries(const void *left, const void *right)
{
    const struct index_entry *x = left;
    const struct index_entry *y = right;
    const struct index_row *a = x->row;
    const struct index_row *b = y->row;
    ORDER(a->kind, b->kind)
    ORDER(a->parameter, b->parameter)
    switch (a->kind) {
    case INDEX_KEY:
        ORDER((int64_t)a->key, (int64_t)b->key)
        break;
    case INDEX_TEXT: {
        int order = str_compare(a->text, b->text);
        if (order != 0) {
            return order;
        }
        break;
    }
    case INDEX_DATE:
        ORDER(a->from_ms, b->from_ms)
        ORDER(a->to_ms, b->to_ms)
        break;
    case INDEX_NUMBER:
        ORDER((int64_t)a->key, (int64_t)b->key)
        ORDER(a->low, b->low)
        break;
    }
    ORDER(x->seq, y->seq)
    return 0;
}

static bool insert_entry(struct connection *connection, const struct index_entry *entry, struct error *error)
{
    static const enum sql adding[] = { [INDEX_KEY] = SQL_INDEX_KEY_ADD,
                                       [INDEX_TEXT] = SQL_INDEX_TEXT_ADD,
                                       [INDEX_DATE] = SQL_INDEX_DATE_ADD,
                                       [INDEX_NUMBER] = SQL_INDEX_NUMBER_ADD };
    const struct index_row *row = entry->row;
    struct statement *statement = connection_statement(connection, adding[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    int at = 1;
    bind_integer(statement, at++, row->parameter);
    switch (row->kind) {
    case INDEX_KEY:
        bind_key(statement, at++, row->key);
        break;
    case INDEX_TEXT:
        bind_text(statement, at++, index_text_cut(row->text));
        break;
    case INDEX_DATE:
        bind_integer(statement, at++, row->from_ms);
        bind_integer(statement, at++, row->to_ms);
        break;
    case INDEX_NUMBER:
        bind_key(statement, at++, row->key);
        bind_real(statement, at++, row->low);
        bind_real(statement, at++, row->high);
        break;
    }
    bind_key(statement, at, entry->seq);
    return statement_run(statement, error);
}

/* The same row by version: checks and sorts few candidates, follows references (search_sql.c). Other keys are only
 * reached by their value. */
static bool insert_by_version(struct connection *connection, const struct index_entry *entry,
                              struct error *error)
{
    static const enum sql adding[] = { [INDEX_KEY] = SQL_REFERENCE_OF_ADD,
                                       [INDEX_TEXT] = SQL_TEXT_OF_ADD,
                                       [INDEX_DATE] = SQL_DATE_OF_ADD,
                                       [INDEX_NUMBER] = SQL_NUMBER_OF_ADD };
    const struct index_row *row = entry->row;
    if (row->kind == INDEX_KEY && !row->reference) {
        return true;
    }
    struct statement *statement = connection_statement(connection, adding[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, entry->seq);
    bind_integer(statement, 2, row->parameter);
    switch (row->kind) {
    case INDEX_KEY:
        bind_key(statement, 3, row->key);
        break;
    case INDEX_TEXT:
        bind_text(statement, 3, index_text_cut(row->text));
        break;
    case INDEX_DATE:
        bind_integer(statement, 3, row->from_ms);
        bind_integer(statement, 4, row->to_ms);
        break;
    case INDEX_NUMBER:
        bind_key(statement, 3, row->key);
        bind_real(statement, 4, row->low);
        bind_real(statement, 5, row->high);
        break;
    }
    return statement_run(statement, error);
}

bool index_flush(struct writer *writer, struct error *error)
{
    if (writer->entries_count == 0) {
        return true;
    }
    /* By version first: entries still come in the order of their versions, which is where those trees grow. */
    for (size_t i = 0; i < writer->entries_count; i++) {
        if (!insert_by_version(&writer->connection, &writer->entries[i], error)) {
            return false;
        }
    }
    qsort(writer->entries, writer->entries_count, sizeof *writer->entries, compare_entries);
    for (size_t i = 0; i < writer->entries_count; i++) {
        if (!insert_entry(&writer->connection, &writer->entries[i], error)) {
            return false;
        }
    }
    writer->entries_count = 0;
    return true;
}
