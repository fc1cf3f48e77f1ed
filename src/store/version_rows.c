#include "store/version_rows.h"

#include "base/memory.h"

enum { VALUE_BYTES = 8, FIRST_VALUES = 256 };

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_BUSY, "out of memory; try again");
}

static bool column_push(struct version_column *column, const void *value)
{
    if (column->count == column->capacity) {
        size_t capacity = column->capacity == 0 ? FIRST_VALUES : 2 * column->capacity;
        void *grown = memory_resize(column->values, capacity * VALUE_BYTES);
        if (grown == NULL) {
            return false;
        }
        column->values = grown;
        column->capacity = capacity;
    }
    memcpy((char *)column->values + column->count * VALUE_BYTES, value, VALUE_BYTES);
    column->count++;
    return true;
}

static bool integer_push(struct version_column *column, int64_t value)
{
    static_assert(sizeof value == VALUE_BYTES, "as the columns have them");
    return column_push(column, &value);
}

static bool real_push(struct version_column *column, double value)
{
    static_assert(sizeof value == VALUE_BYTES, "as the columns have them");
    return column_push(column, &value);
}

static bool row_push(struct version_column *columns, const struct index_row *row)
{
    switch (row->kind) {
    case INDEX_KEY:
        return integer_push(&columns[VERSION_REFERENCES], row->parameter) &&
               integer_push(&columns[VERSION_REFERENCES], (int64_t)row->key);
    case INDEX_DATE:
        return integer_push(&columns[VERSION_DATES], row->parameter) &&
               integer_push(&columns[VERSION_DATES], row->from_ms) &&
               integer_push(&columns[VERSION_DATES], row->to_ms);
    case INDEX_NUMBER:
        return integer_push(&columns[VERSION_PARAMETERS], row->parameter) &&
               integer_push(&columns[VERSION_UNITS], (int64_t)row->key) &&
               real_push(&columns[VERSION_LOWS], row->low) && real_push(&columns[VERSION_HIGHS], row->high);
    case INDEX_TEXT:
        break;
    }
    return true;
}

static bool entries_room(struct version_rows_columns *columns, size_t count)
{
    if (count <= columns->entries_capacity) {
        return true;
    }
    struct run_entry *grown = memory_resize(columns->entries, 2 * count * sizeof *grown);
    columns->entries = grown == NULL ? columns->entries : grown;
    columns->entries_capacity = grown == NULL ? columns->entries_capacity : 2 * count;
    return grown != NULL;
}

/* Sorted, so that equal rows (two paths with one value) stand together and equal versions give equal bytes. */
static size_t entries_of(struct version_rows_columns *columns, const struct index_rows *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) {
        const struct index_row *row = &rows->rows[i];
        if (!row->derived && (row->kind == INDEX_KEY ? row->reference : row->kind != INDEX_TEXT)) {
            columns->entries[count] = (struct run_entry){ row, 0, 0 };
            count++;
        }
    }
    index_sort_entries(columns->entries, count);
    return count;
}

bool version_rows_add(struct version_rows_columns *columns, const struct index_rows *rows,
                      struct version_rows_part *part, struct error *error)
{
    struct version_column *all = columns->columns;
    *part = (struct version_rows_part){ .references_from = (int64_t)all[VERSION_REFERENCES].count,
                                        .dates_from = (int64_t)all[VERSION_DATES].count,
                                        .numbers_from = (int64_t)all[VERSION_LOWS].count };
    if (rows != NULL && !entries_room(columns, rows->count)) {
        return no_memory(error);
    }
    size_t count = rows == NULL ? 0 : entries_of(columns, rows);
    for (size_t i = 0; i < count; i++) {
        const struct index_row *row = columns->entries[i].row;
        if (i > 0 && index_entries_compare(&columns->entries[i - 1], &columns->entries[i]) == 0) {
            continue;
        }
        if (!row_push(all, row)) {
            return no_memory(error);
        }
        part->numbers_wide = row->kind == INDEX_NUMBER && row->low != row->high ? 1 : part->numbers_wide;
    }
    part->references_to = (int64_t)all[VERSION_REFERENCES].count;
    part->dates_to = (int64_t)all[VERSION_DATES].count;
    part->numbers_to = (int64_t)all[VERSION_LOWS].count;
    return true;
}

void version_rows_bind(struct statement *statement, int at, const struct version_rows_columns *columns)
{
    for (int i = 0; i < VERSION_COLUMNS; i++) {
        const struct version_column *column = &columns->columns[i];
        if (i == VERSION_LOWS || i == VERSION_HIGHS) {
            bind_reals(statement, at + i, column->values, column->count);
        } else {
            bind_integers(statement, at + i, column->values, column->count);
        }
    }
}

void version_rows_clear(struct version_rows_columns *columns)
{
    for (int i = 0; i < VERSION_COLUMNS; i++) {
        columns->columns[i].count = 0;
    }
}

void version_rows_free(struct version_rows_columns *columns)
{
    for (int i = 0; i < VERSION_COLUMNS; i++) {
        memory_free(columns->columns[i].values);
    }
    memory_free(columns->entries);
    *columns = (struct version_rows_columns){ 0 };
}

bool version_rows_set(struct writer *writer, const struct index_rows *rows, uint64_t seq, struct error *error)
{
    struct version_rows_columns columns = { 0 };
    struct version_rows_part part;
    struct statement *statement = connection_statement(&writer->connection, SQL_ROWS_SET, error);
    bool ok = statement != NULL && version_rows_add(&columns, rows, &part, error);
    if (ok) {
        bind_key(statement, 1, seq);
        version_rows_bind(statement, 2, &columns);
        for (int i = 0; i < VERSION_COLUMNS; i++) {
            if (columns.columns[i].count == 0 || (i == VERSION_HIGHS && part.numbers_wide == 0)) {
                bind_null(statement, 2 + i);
            }
        }
        ok = statement_run_later(statement, error);
    }
    version_rows_free(&columns);
    return ok;
}
