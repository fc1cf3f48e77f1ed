/* rows.c — tables of other modules: SQL is made from their declarations, which are constants of the program, so
 * no value and nothing from outside ever becomes part of a statement's text. */
#include "store/rows.h"

#include "store/internal.h"

enum { SQL_TEXT_BYTES = 16 * 1024, WHERE_MAX = 8 };

static void add(struct buf *buf, const char *text)
{
    buf_add(buf, str_from_cstr(text));
}

static const struct store_column *column_find(const struct store_table *table, const char *name)
{
    for (size_t i = 0; i < table->columns_count; i++) {
        if (strcmp(table->columns[i].name, name) == 0) {
            return &table->columns[i];
        }
    }
    assert(false && "the table has such a column");
    return NULL;
}

/* Adds a column's name after having seen that the table has it. */
static void add_column(struct buf *buf, const struct store_table *table, const char *name)
{
    add(buf, column_find(table, name)->name);
}

static void add_columns(struct buf *buf, const struct store_table *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(buf, i == 0 ? "" : ", ");
        add(buf, table->columns[i].name);
    }
}

/* ---- making and migrating ---- */

static void table_create_sql(struct buf *buf, enum dialect dialect, const struct store_table *table)
{
    add(buf, "CREATE TABLE ");
    add(buf, table->name);
    add(buf, "(");
    for (size_t i = 0; i < table->columns_count; i++) {
        add(buf, table->columns[i].name);
        add(buf, " ");
        add(buf, sql_kind(dialect, table->columns[i].kind));
        add(buf, ", ");
    }
    add(buf, "PRIMARY KEY(");
    add_columns(buf, table, table->key_columns);
    add(buf, dialect == DIALECT_SQLITE ? ")) WITHOUT ROWID;" : "));");
}

static void table_columns_sql(struct buf *buf, enum dialect dialect, const struct store_table *table,
                              int from_version)
{
    for (size_t i = 0; i < table->columns_count; i++) {
        if (table->columns[i].since > from_version) {
            add(buf, "ALTER TABLE ");
            add(buf, table->name);
            add(buf, " ADD COLUMN ");
            add(buf, table->columns[i].name);
            add(buf, " ");
            add(buf, sql_kind(dialect, table->columns[i].kind));
            add(buf, ";");
        }
    }
}

static void table_indexes_sql(struct buf *buf, const struct store_table *table, int from_version)
{
    for (size_t i = 0; i < table->indexes_count; i++) {
        const struct store_table_index *index = &table->indexes[i];
        if (index->since <= from_version) {
            continue;
        }
        add(buf, index->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
        add(buf, table->name);
        for (size_t c = 0; c < 4 && index->columns[c] != NULL; c++) {
            add(buf, "_");
            add(buf, index->columns[c]);
        }
        add(buf, " ON ");
        add(buf, table->name);
        add(buf, "(");
        for (size_t c = 0; c < 4 && index->columns[c] != NULL; c++) {
            add(buf, c == 0 ? "" : ", ");
            add_column(buf, table, index->columns[c]);
        }
        add(buf, ");");
    }
}

static bool table_version(struct connection *connection, const char *name, int *version, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_TABLE_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    *version = 0;
    while (step == STEP_ROW) {
        if (str_equal_cstr(column_bytes(statement, 0), name)) {
            *version = (int)column_integer(statement, 1);
        }
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool table_prepare(struct store *store, const struct store_table *table, struct error *error)
{
    assert(table->columns_count <= STORE_COLUMNS_MAX);
    assert(table->key_columns >= 1 && table->key_columns <= table->columns_count);
    assert(table->version >= 1);
    struct connection *connection = &store->writer.connection;
    int version = 0;
    if (!table_version(connection, table->name, &version, error)) {
        return false;
    }
    if (version > table->version) {
        return FAIL(error, ERROR_INTERNAL,
                    "table %s has version %d, this program knows up to %d: use a newer program", table->name,
                    version, table->version);
    }
    if (version == table->version) {
        return true;
    }
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    if (version == 0) {
        table_create_sql(&buf, database_dialect(connection->database), table);
    } else {
        table_columns_sql(&buf, database_dialect(connection->database), table, version);
    }
    table_indexes_sql(&buf, table, version);
    buf_add_char(&buf, '\0');
    bool ok = !buf.failed || FAIL(error, ERROR_INTERNAL, "table %s is too large", table->name);
    ok = ok && database_run(connection->database, buf.at, error);
    buf_deinit(&buf);
    struct statement *set = ok ? connection_statement(connection, SQL_TABLE_SET, error) : NULL;
    if (set == NULL) {
        return false;
    }
    bind_text(set, 1, str_from_cstr(table->name));
    bind_integer(set, 2, table->version);
    return statement_run(set, error);
}

bool tables_prepare(struct store *store, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    bool ok = connection_do(connection, SQL_BEGIN_WRITE, error);
    for (size_t i = 0; ok && i < store->options.tables_count; i++) {
        ok = table_prepare(store, store->options.tables[i], error);
    }
    if (!ok) {
        connection_try(connection, SQL_ROLLBACK);
        return false;
    }
    return connection_do(connection, SQL_COMMIT, error);
}

/* ---- composing ---- */

static const char *operator_text(enum store_operator operator)
{
    switch (operator) {
    case STORE_EQUAL:
        return " = ?";
    case STORE_NOT_EQUAL:
        return " <> ?";
    case STORE_LESS:
        return " < ?";
    case STORE_AT_MOST:
        return " <= ?";
    case STORE_MORE:
        return " > ?";
    case STORE_AT_LEAST:
        return " >= ?";
    case STORE_IS_NULL:
        return " IS NULL";
    }
    assert(false && "an operator");
    return "";
}

static void add_where(struct buf *buf, const struct store_table *table, const struct store_rows_query *query)
{
    assert(query->where_count <= WHERE_MAX);
    for (size_t i = 0; i < query->where_count; i++) {
        add(buf, i == 0 ? " WHERE " : " AND ");
        add_column(buf, table, query->where[i].column);
        add(buf, operator_text(query->where[i].operator));
    }
}

/* Binds the conditions from position `at` on; gives the next one. */
static int bind_where(struct statement *statement, int at, const struct store_rows_query *query)
{
    for (size_t i = 0; i < query->where_count; i++) {
        if (query->where[i].operator!= STORE_IS_NULL) {
            bind_value(statement, at, &query->where[i].value);
            at++;
        }
    }
    return at;
}

static void add_order(struct buf *buf, const struct store_table *table, const struct store_rows_query *query)
{
    const char *direction = query->descending ? " DESC" : "";
    add(buf, " ORDER BY ");
    if (query->order[0] == NULL) {
        for (size_t i = 0; i < table->key_columns; i++) {
            add(buf, i == 0 ? "" : ", ");
            add(buf, table->columns[i].name);
            add(buf, direction);
        }
    }
    for (size_t i = 0; i < 3 && query->order[i] != NULL; i++) {
        add(buf, i == 0 ? "" : ", ");
        add_column(buf, table, query->order[i]);
        add(buf, direction);
    }
}

static struct statement *composed_take(struct connection *connection, struct buf *buf, struct error *error)
{
    struct statement *statement = NULL;
    if (buf->failed) {
        (void)FAIL(error, ERROR_INTERNAL, "a statement is too long");
    } else {
        statement = connection_composed(connection, buf_str(buf), error);
    }
    buf_deinit(buf);
    return statement;
}

/* ---- reading ---- */

bool column_value(struct arena *arena, struct statement *statement, int at, struct store_value *out,
                  struct error *error)
{
    struct store_value value = { .kind = column_kind(statement, at) };
    switch (value.kind) {
    case STORE_VALUE_NULL:
        break;
    case STORE_VALUE_INTEGER:
        value.integer = column_integer(statement, at);
        break;
    case STORE_VALUE_REAL:
        value.real = column_real(statement, at);
        break;
    case STORE_VALUE_TEXT:
    case STORE_VALUE_BYTES:
        value.text = arena_dup(arena, column_bytes(statement, at));
        if (value.text.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        break;
    }
    *out = value;
    return true;
}

bool rows_collect(struct arena *arena, struct statement *statement, size_t columns_count, size_t rows_max,
                  struct store_rows *out, struct error *error)
{
    size_t capacity = 16;
    struct store_value *values = ARENA_ARRAY(arena, struct store_value, capacity * columns_count);
    size_t count = 0;
    bool ok = values != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    enum step step = ok ? statement_step(statement, error) : STEP_FAILED;
    while (ok && step == STEP_ROW) {
        if (count == rows_max) {
            ok = FAIL(error, ERROR_TOO_COSTLY, "more than %zu rows: ask for less", rows_max);
            break;
        }
        if (count == capacity) {
            struct store_value *grown = ARENA_ARRAY(arena, struct store_value, 2 * capacity * columns_count);
            if (grown == NULL) {
                ok = FAIL(error, ERROR_TOO_LARGE, "request memory used up");
                break;
            }
            memcpy(grown, values, count * columns_count * sizeof *values);
            values = grown;
            capacity *= 2;
        }
        for (size_t c = 0; ok && c < columns_count; c++) {
            ok = column_value(arena, statement, (int)c, &values[count * columns_count + c], error);
        }
        count++;
        step = ok ? statement_step(statement, error) : step;
    }
    if (!ok || step == STEP_FAILED) {
        return false;
    }
    *out = (struct store_rows){ .values = values, .rows_count = count };
    return true;
}

const struct store_value *store_rows_value(const struct store_table *table, const struct store_rows *rows,
                                           size_t row, const char *column)
{
    assert(row < rows->rows_count);
    size_t at = (size_t)(column_find(table, column) - table->columns);
    return &rows->values[row * table->columns_count + at];
}

bool store_rows_find(struct store_reader *reader, struct arena *arena, const struct store_table *table,
                     const struct store_rows_query *query, struct store_rows *rows, struct error *error)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "SELECT ");
    add_columns(&buf, table, table->columns_count);
    add(&buf, " FROM ");
    add(&buf, table->name);
    add_where(&buf, table, query);
    add_order(&buf, table, query);
    add(&buf, " LIMIT ? OFFSET ?");
    struct statement *statement = composed_take(reader->connection, &buf, error);
    if (statement == NULL) {
        return false;
    }
    int at = bind_where(statement, 1, query);
    /* With a limit of the caller's the rest is his affair; without one, one row more tells that it was passed. */
    bool bounded = query->limit != 0 && query->limit <= LIMIT_STORE_ROWS;
    bind_integer(statement, at++, bounded ? (int64_t)query->limit : LIMIT_STORE_ROWS + 1);
    bind_integer(statement, at, (int64_t)query->offset);
    bool ok = rows_collect(arena, statement, table->columns_count, LIMIT_STORE_ROWS, rows, error);
    connection_release(reader->connection, statement);
    return ok;
}

bool store_rows_get(struct store_reader *reader, struct arena *arena, const struct store_table *table,
                    const struct store_value *key, const struct store_value **row, struct error *error)
{
    assert(table->key_columns <= WHERE_MAX);
    struct store_where where[WHERE_MAX];
    for (size_t i = 0; i < table->key_columns; i++) {
        where[i] = (struct store_where){ table->columns[i].name, STORE_EQUAL, key[i] };
    }
    struct store_rows_query query = { .where = where, .where_count = table->key_columns, .limit = 1 };
    struct store_rows rows = { 0 };
    if (!store_rows_find(reader, arena, table, &query, &rows, error)) {
        return false;
    }
    *row = rows.rows_count == 0 ? NULL : rows.values;
    return true;
}

/* ---- writing ---- */

struct store_reader *store_transaction_reader(struct store_transaction *transaction)
{
    return &transaction->reader;
}

int64_t store_transaction_time(const struct store_transaction *transaction)
{
    return transaction->now_ms;
}

static bool row_add(struct store_transaction *transaction, const struct store_table *table, bool replace,
                    const struct store_value *row, struct error *error)
{
    struct connection *connection = transaction->reader.connection;
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "INSERT INTO ");
    add(&buf, table->name);
    add(&buf, "(");
    add_columns(&buf, table, table->columns_count);
    add(&buf, ") VALUES(");
    for (size_t i = 0; i < table->columns_count; i++) {
        add(&buf, i == 0 ? "?" : ", ?");
    }
    add(&buf, ")");
    if (replace && table->key_columns == table->columns_count) {
        add(&buf, " ON CONFLICT DO NOTHING");
    } else if (replace) {
        add(&buf, " ON CONFLICT(");
        add_columns(&buf, table, table->key_columns);
        add(&buf, ") DO UPDATE SET ");
        for (size_t i = table->key_columns; i < table->columns_count; i++) {
            add(&buf, i == table->key_columns ? "" : ", ");
            add(&buf, table->columns[i].name);
            add(&buf, " = excluded.");
            add(&buf, table->columns[i].name);
        }
    }
    struct statement *statement = composed_take(connection, &buf, error);
    if (statement == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->columns_count; i++) {
        bind_value(statement, (int)i + 1, &row[i]);
    }
    bool ok = statement_run(statement, error);
    connection_release(connection, statement);
    return ok;
}

bool store_rows_insert(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_value *row, struct error *error)
{
    return row_add(transaction, table, false, row, error);
}

bool store_rows_put(struct store_transaction *transaction, const struct store_table *table,
                    const struct store_value *row, struct error *error)
{
    return row_add(transaction, table, true, row, error);
}

static bool change_run(struct connection *connection, struct statement *statement, uint64_t *count,
                       struct error *error)
{
    bool ok = statement_run(statement, error);
    connection_release(connection, statement);
    if (ok && count != NULL) {
        *count = database_changes(connection->database);
    }
    return ok;
}

bool store_rows_update(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_rows_query *query, const struct store_change *changes,
                       size_t changes_count, uint64_t *count, struct error *error)
{
    assert(changes_count > 0);
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "UPDATE ");
    add(&buf, table->name);
    add(&buf, " SET ");
    for (size_t i = 0; i < changes_count; i++) {
        add(&buf, i == 0 ? "" : ", ");
        add_column(&buf, table, changes[i].column);
        add(&buf, " = ?");
    }
    add_where(&buf, table, query);
    struct statement *statement = composed_take(transaction->reader.connection, &buf, error);
    if (statement == NULL) {
        return false;
    }
    for (size_t i = 0; i < changes_count; i++) {
        bind_value(statement, (int)i + 1, &changes[i].value);
    }
    (void)bind_where(statement, (int)changes_count + 1, query);
    return change_run(transaction->reader.connection, statement, count, error);
}

bool store_rows_delete(struct store_transaction *transaction, const struct store_table *table,
                       const struct store_rows_query *query, uint64_t *count, struct error *error)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "DELETE FROM ");
    add(&buf, table->name);
    add_where(&buf, table, query);
    struct statement *statement = composed_take(transaction->reader.connection, &buf, error);
    if (statement == NULL) {
        return false;
    }
    (void)bind_where(statement, 1, query);
    return change_run(transaction->reader.connection, statement, count, error);
}

bool store_apply_and_wait(struct store *store,
                          bool (*apply)(void *data, struct store_transaction *transaction,
                                        struct error *error),
                          void *data, struct str audit_record, struct error *error)
{
    struct store_set set = { .apply = apply, .data = data, .audit_record = audit_record };
    return store_write_and_wait(store, &set, error);
}
