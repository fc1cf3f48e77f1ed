/* views.c — the tables of views. Open rows are in view_NAME (resource, row, seq_from, columns); a view that keeps
 * what was known has closed rows in view_NAME_closed with seq_to beside. Plain figures so read a table that holds
 * nothing else. SQL is made from declarations, never from values. */
#include "store/views.h"

#include <stdio.h>

#include "base/memory.h"
#include "store/internal.h"

enum { SQL_TEXT_BYTES = 16 * 1024, VIEW_ARENA_BYTES = 64 * 1024 };

static void add(struct buf *buf, const char *text)
{
    buf_add(buf, str_from_cstr(text));
}

static bool name_is_valid(const char *name)
{
    size_t len = strlen(name);
    if (len < 1 || len > 41 || name[0] < 'a' || name[0] > 'z') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_')) {
            return false;
        }
    }
    return true;
}

/* ---- the registry in memory ---- */

struct view_table *view_find(const struct store *store, struct str name)
{
    for (struct view_table *view = store->writer.views; view != NULL; view = view->next) {
        if (!view->dropped && str_equal_cstr(name, view->name)) {
            return view;
        }
    }
    return NULL;
}

/* The next "name" of a registered column list ("a,b,c"). */
static bool column_next(struct str *rest, struct str *name)
{
    return str_split_next(rest, ',', name);
}

static struct str sql_add(struct view_table *view)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "INSERT INTO view_");
    add(&buf, view->name);
    add(&buf, " VALUES(?1, ?2, ?3");
    for (size_t i = 0; i < view->columns_count; i++) {
        add(&buf, ", ?");
    }
    add(&buf, ")");
    struct str text = arena_dup(&view->arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static struct str sql_delete(struct view_table *view)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "DELETE FROM view_");
    add(&buf, view->name);
    add(&buf, " WHERE resource = ?1");
    struct str text = arena_dup(&view->arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static struct str sql_forget(struct view_table *view)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "DELETE FROM view_");
    add(&buf, view->name);
    add(&buf, "_closed WHERE resource = ?1");
    struct str text = arena_dup(&view->arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

/* What goes before the rows of a version are replaced: kept with its end, or forgotten. */
static struct str sql_close(struct view_table *view)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add(&buf, "INSERT INTO view_");
    add(&buf, view->name);
    add(&buf, "_closed SELECT resource, row, seq_from, ?2");
    struct str rest = view->columns;
    struct str name = STR_NONE;
    while (column_next(&rest, &name)) {
        add(&buf, ", ");
        buf_add(&buf, name);
    }
    add(&buf, " FROM view_");
    add(&buf, view->name);
    add(&buf, " WHERE resource = ?1");
    struct str text = arena_dup(&view->arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static struct view_table *view_make(struct str name, struct str type, bool known, uint64_t digest,
                                    struct str columns, size_t columns_count, struct error *error)
{
    struct view_table *view = MEMORY_NEW(struct view_table);
    if (view == NULL || name.len >= sizeof view->name || type.len >= sizeof view->type) {
        memory_free(view);
        (void)FAIL(error, ERROR_INTERNAL, "a view could not be kept");
        return NULL;
    }
    memcpy(view->name, name.at, name.len);
    memcpy(view->type, type.at, type.len);
    view->known = known;
    view->digest = digest;
    view->columns_count = columns_count;
    view->arena = (struct arena){ .bytes_max = VIEW_ARENA_BYTES };
    view->columns = arena_dup(&view->arena, columns);
    view->sql_add = sql_add(view);
    view->sql_close = sql_close(view);
    view->sql_delete = sql_delete(view);
    view->sql_forget = sql_forget(view);
    if (view->columns.at == NULL || view->sql_add.at == NULL || view->sql_close.at == NULL ||
        view->sql_delete.at == NULL || view->sql_forget.at == NULL) {
        arena_deinit(&view->arena);
        memory_free(view);
        (void)FAIL(error, ERROR_INTERNAL, "a view could not be kept");
        return NULL;
    }
    return view;
}

static size_t columns_in(struct str columns)
{
    struct str name = STR_NONE;
    size_t count = 0;
    while (column_next(&columns, &name)) {
        count++;
    }
    return count;
}

bool views_load(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_VIEW_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        struct str columns = column_bytes(statement, 4);
        struct view_table *view = view_make(column_bytes(statement, 0), column_bytes(statement, 1),
                                            column_integer(statement, 2) != 0, column_key(statement, 3),
                                            columns, columns_in(columns), error);
        if (view == NULL) {
            statement_reset(statement);
            return false;
        }
        view->next = store->writer.views;
        store->writer.views = view;
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

/* After a rollback: what was defined or dropped in it did not happen. */
bool views_reload(struct store *store, struct error *error)
{
    for (struct view_table *view = store->writer.views; view != NULL; view = view->next) {
        view->dropped = true;
    }
    store->writer.changed_views = false;
    return views_load(store, error);
}

void views_free(struct store *store)
{
    while (store->writer.views != NULL) {
        struct view_table *view = store->writer.views;
        store->writer.views = view->next;
        arena_deinit(&view->arena);
        memory_free(view);
    }
}

/* ---- rows, in the writer ---- */

static bool run_composed(struct connection *connection, struct str text, uint64_t resource, uint64_t seq,
                         bool with_seq, struct error *error)
{
    struct statement *statement = connection_composed(connection, text, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, resource);
    if (with_seq) {
        bind_key(statement, 2, seq);
    }
    bool ok = statement_run_later(statement, error);
    connection_release(connection, statement);
    return ok;
}

bool view_close_rows(struct store *store, uint64_t resource, struct str type, uint64_t seq_to,
                     struct error *error)
{
    struct connection *connection = &store->writer.connection;
    for (struct view_table *view = store->writer.views; view != NULL; view = view->next) {
        if (view->dropped || !str_equal_cstr(type, view->type)) {
            continue;
        }
        if (view->known && !run_composed(connection, view->sql_close, resource, seq_to, true, error)) {
            return false;
        }
        if (!run_composed(connection, view->sql_delete, resource, 0, false, error)) {
            return false;
        }
    }
    return true;
}

bool view_add_rows(struct store *store, const struct store_view_rows *rows, uint64_t resource, uint64_t seq,
                   struct error *error)
{
    const struct view_table *view = view_find(store, rows->view);
    if (view == NULL || view->columns_count != rows->columns_count) {
        return FAIL(error, ERROR_INTERNAL, "rows for a view that is not defined");
    }
    struct connection *connection = &store->writer.connection;
    struct statement *statement = connection_composed(connection, view->sql_add, error);
    if (statement == NULL) {
        return false;
    }
    bool ok = true;
    for (size_t r = 0; ok && r < rows->rows_count; r++) {
        bind_key(statement, 1, resource);
        bind_integer(statement, 2, (int64_t)r);
        bind_key(statement, 3, seq);
        for (size_t c = 0; c < rows->columns_count; c++) {
            bind_value(statement, (int)c + 4, &rows->values[r * rows->columns_count + c]);
        }
        ok = statement_run_later(statement, error);
    }
    connection_release(connection, statement);
    return ok;
}

bool view_replace_rows(struct store *store, const struct store_view_rows *rows, uint64_t resource,
                       uint64_t seq, struct error *error)
{
    const struct view_table *view = view_find(store, rows->view);
    if (view == NULL) {
        return true; /* dropped while it was being filled */
    }
    return run_composed(&store->writer.connection, view->sql_delete, resource, 0, false, error) &&
           view_add_rows(store, rows, resource, seq, error);
}

/* What was true once of a resource that is erased. */
bool view_forget(struct store *store, uint64_t resource, struct str type, struct error *error)
{
    for (struct view_table *view = store->writer.views; view != NULL; view = view->next) {
        if (!view->dropped && view->known && str_equal_cstr(type, view->type) &&
            !run_composed(&store->writer.connection, view->sql_forget, resource, 0, false, error)) {
            return false;
        }
    }
    return true;
}

/* ---- defining ---- */

struct definition {
    const struct store_view *view;
    struct str columns; /* "a,b,c" */
    uint64_t filled_seq;
    bool unchanged;
};

static void add_table_sql(struct buf *buf, const struct store *store, const struct store_view *view,
                          bool closed)
{
    enum dialect dialect = database_dialect(store->writer.connection.database);
    char name[64];
    (void)snprintf(name, sizeof name, "view_%s%s", view->name, closed ? "_closed" : "");
    add(buf, "CREATE TABLE ");
    add(buf, name);
    add(buf, closed ? "(resource bigint, row bigint, seq_from bigint, seq_to bigint"
                    : "(resource bigint, row bigint, seq_from bigint");
    for (size_t i = 0; i < view->columns_count; i++) {
        add(buf, ", ");
        add(buf, view->columns[i].name);
        add(buf, " ");
        add(buf, sql_kind(dialect, view->columns[i].kind));
    }
    add(buf, closed ? ", PRIMARY KEY(resource, seq_from, row))" : ", PRIMARY KEY(resource, row))");
    if (dialect == DIALECT_SQLITE) {
        add(buf, " WITHOUT ROWID;");
    } else {
        sql_parts_postgresql(buf, name, "resource", store->partitions);
    }
}

static void add_drop_sql(struct buf *buf, const char *name)
{
    add(buf, "DROP TABLE IF EXISTS view_");
    add(buf, name);
    add(buf, "; DROP TABLE IF EXISTS view_");
    add(buf, name);
    add(buf, "_closed;");
}

static bool tables_make(struct store *store, const struct store_view *view, struct error *error)
{
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add_drop_sql(&buf, view->name);
    add_table_sql(&buf, store, view, false);
    if (view->known) {
        add_table_sql(&buf, store, view, true);
    }
    buf_add_char(&buf, '\0');
    bool ok = !buf.failed || FAIL(error, ERROR_INPUT, "view %s has too many columns", view->name);
    ok = ok && database_run(store->writer.connection.database, buf.at, error);
    buf_deinit(&buf);
    return ok;
}

static bool registered_read(struct connection *connection, struct definition *definition, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_VIEW_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        if (str_equal_cstr(column_bytes(statement, 0), definition->view->name)) {
            definition->unchanged = column_key(statement, 3) == definition->view->digest &&
                                    str_equal_cstr(column_bytes(statement, 1), definition->view->type) &&
                                    (column_integer(statement, 2) != 0) == definition->view->known &&
                                    str_equal(column_bytes(statement, 4), definition->columns);
            definition->filled_seq = column_key(statement, 5);
        }
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool register_write(struct connection *connection, const struct definition *definition,
                           uint64_t filled_seq, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_VIEW_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, str_from_cstr(definition->view->name));
    bind_text(statement, 2, str_from_cstr(definition->view->type));
    bind_integer(statement, 3, definition->view->known ? 1 : 0);
    bind_key(statement, 4, definition->view->digest);
    bind_text(statement, 5, definition->columns);
    bind_key(statement, 6, filled_seq);
    return statement_run(statement, error);
}

/* Sets that were made before the view existed bring no rows for it: a new epoch has them made again. */
static bool epoch_raise(struct store_transaction *transaction, struct error *error)
{
    struct statement *statement = connection_statement(transaction->reader.connection, SQL_META_SET, error);
    if (statement == NULL) {
        return false;
    }
    uint64_t epoch = atomic_load(&transaction->store->epoch) + 1;
    bind_text(statement, 1, STR("definitions_epoch"));
    bind_integer(statement, 2, (int64_t)epoch);
    if (!statement_run(statement, error)) {
        return false;
    }
    atomic_store(&transaction->store->epoch, epoch);
    return true;
}

static bool define_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct definition *definition = data;
    struct store *store = transaction->store;
    struct connection *connection = transaction->reader.connection;
    definition->unchanged = false;
    if (!registered_read(connection, definition, error) || definition->unchanged) {
        return definition->unchanged;
    }
    /* An empty store has nothing to fill in. */
    definition->filled_seq = store->writer.seq == 0 ? UINT64_MAX >> 1 : 0;
    const struct store_view *view = definition->view;
    if (!tables_make(store, view, error) ||
        !register_write(connection, definition, definition->filled_seq, error) ||
        !epoch_raise(transaction, error)) {
        return false;
    }
    struct view_table *made = view_make(str_from_cstr(view->name), str_from_cstr(view->type), view->known,
                                        view->digest, definition->columns, view->columns_count, error);
    if (made == NULL) {
        return false;
    }
    struct view_table *old = view_find(store, str_from_cstr(view->name));
    if (old != NULL) {
        old->dropped = true;
    }
    made->next = store->writer.views;
    store->writer.views = made;
    store->writer.changed_views = true;
    return true;
}

static bool view_is_valid(const struct store_view *view, struct error *error)
{
    if (!name_is_valid(view->name) || view->columns_count < 1 || view->columns_count > STORE_COLUMNS_MAX) {
        return FAIL(error, ERROR_INPUT, "a view needs a lower-case name and 1 to %d columns",
                    STORE_COLUMNS_MAX);
    }
    for (size_t i = 0; i < view->columns_count; i++) {
        const char *name = view->columns[i].name;
        if (!name_is_valid(name) || strcmp(name, "resource") == 0 || strcmp(name, "row") == 0 ||
            strcmp(name, "seq_from") == 0 || strcmp(name, "seq_to") == 0 ||
            strcmp(name, "resource_key") == 0) {
            return FAIL(error, ERROR_INPUT, "view %s: '%s' cannot be a column", view->name, name);
        }
    }
    return true;
}

/* Looks before it writes, so that a program whose definitions are the stored ones starts on a full disk too. */
static bool define_look(struct store *store, struct definition *definition, struct error *error)
{
    struct store_reader *reader = NULL;
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    bool ok = registered_read(reader->connection, definition, error);
    store_reader_end(reader);
    return ok;
}

bool store_view_define(struct store *store, const struct store_view *view, uint64_t *filled_seq,
                       struct error *error)
{
    if (!view_is_valid(view, error)) {
        return false;
    }
    struct buf columns = { .bytes_max = SQL_TEXT_BYTES };
    for (size_t i = 0; i < view->columns_count; i++) {
        add(&columns, i == 0 ? "" : ",");
        add(&columns, view->columns[i].name);
    }
    struct definition definition = { .view = view, .columns = buf_str(&columns) };
    bool ok = !columns.failed || FAIL(error, ERROR_INPUT, "view %s has too many columns", view->name);
    ok = ok && define_look(store, &definition, error) &&
         (definition.unchanged || store_apply_and_wait(store, define_apply, &definition, STR_NONE, error));
    buf_deinit(&columns);
    if (ok) {
        *filled_seq = definition.filled_seq;
    }
    return ok;
}

struct filled {
    struct str view;
    uint64_t seq;
};

static bool filled_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct filled *filled = data;
    struct statement *statement =
        connection_statement(transaction->reader.connection, SQL_VIEW_FILLED, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, filled->view);
    bind_key(statement, 2, filled->seq);
    return statement_run(statement, error);
}

bool store_view_set_filled(struct store *store, struct str view, uint64_t seq, struct error *error)
{
    struct filled filled = { view, seq };
    return store_apply_and_wait(store, filled_apply, &filled, STR_NONE, error);
}

static bool drop_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct str *name = data;
    struct view_table *view = view_find(transaction->store, *name);
    struct connection *connection = transaction->reader.connection;
    struct statement *statement = connection_statement(connection, SQL_VIEW_DROP, error);
    if (view == NULL || statement == NULL) {
        return view == NULL;
    }
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    add_drop_sql(&buf, view->name);
    buf_add_char(&buf, '\0');
    bind_text(statement, 1, *name);
    bool ok = statement_run(statement, error) && database_run(connection->database, buf.at, error) &&
              epoch_raise(transaction, error);
    buf_deinit(&buf);
    if (ok) {
        view->dropped = true;
        transaction->store->writer.changed_views = true;
    }
    return ok;
}

bool store_view_drop(struct store *store, struct str view, struct error *error)
{
    return store_apply_and_wait(store, drop_apply, &view, STR_NONE, error);
}
