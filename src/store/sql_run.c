/* sql_run.c — figures: one SELECT over views on a connection that sees nothing else. A view's plain name is a
 * temporary SQL view of the connection: over the open rows, or over those that were open at a sequence number. In PostgreSQL,
 * where a temporary view would keep its table from being changed, it is a table named before the statement (WITH). */
#include "base/clock.h"
#include "base/hash.h"
#include "store/internal.h"
#include "store/postgresql_values.h"

enum { SQL_TEXT_BYTES = 256 * 1024 };

static void add(struct buf *buf, const char *text)
{
    buf_add(buf, str_from_cstr(text));
}

static void add_columns(struct buf *buf, struct str columns)
{
    struct str name = STR_NONE;
    add(buf, "SELECT resource AS resource_key");
    while (str_split_next(&columns, ',', &name)) {
        add(buf, ", ");
        buf_add(buf, name);
    }
}

/* The rows that a plain name stands for; `schema` is where the tables are. */
static void add_rows(struct buf *buf, struct str schema, struct str name, struct str columns, bool known,
                     bool as_of)
{
    for (int closed = 0; closed < (as_of && known ? 2 : 1); closed++) {
        add(buf, closed == 0 ? "" : " UNION ALL ");
        add_columns(buf, columns);
        add(buf, " FROM ");
        buf_add(buf, schema);
        add(buf, ".view_");
        buf_add(buf, name);
        add(buf, closed == 0 ? "" : "_closed");
        add(buf, as_of ? " WHERE seq_from <= as_of_seq()" : "");
        add(buf, closed == 0 ? "" : " AND seq_to > as_of_seq()");
    }
}

static void add_view(struct buf *buf, struct str name, struct str columns, bool known, bool as_of)
{
    add(buf, "DROP VIEW IF EXISTS temp.");
    buf_add(buf, name);
    add(buf, "; CREATE TEMP VIEW ");
    buf_add(buf, name);
    add(buf, " AS ");
    add_rows(buf, STR("main"), name, columns, known, as_of);
    add(buf, ";");
}

/* Makes the temporary views anew when the registry is another one than the last time. */
static bool views_show(struct sql_place *place, bool as_of, struct error *error)
{
    struct statement *statement = connection_statement(&place->connection, SQL_VIEW_ALL, error);
    if (statement == NULL) {
        return false;
    }
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    uint64_t digest = 1;
    enum step step = statement_step(statement, error);
    while (step == STEP_ROW) {
        struct str name = column_bytes(statement, 0);
        struct str columns = column_bytes(statement, 4);
        bool known = column_integer(statement, 2) != 0;
        digest = hash64_combine(digest, hash64(name, known ? 1 : 2));
        digest = hash64_combine(digest, hash64(columns, column_key(statement, 3)));
        add_view(&buf, name, columns, known, as_of);
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    bool ok = step == STEP_DONE;
    if (ok && digest != place->views_digest) {
        buf_add_char(&buf, '\0');
        ok = (!buf.failed || FAIL(error, ERROR_INTERNAL, "too many views")) &&
             database_run(place->connection.database, buf.at, error);
        place->views_digest = ok ? digest : 0;
    }
    buf_deinit(&buf);
    return ok;
}

/* ---- PostgreSQL ---- */

static bool is_remote(const struct sql_place *place)
{
    return database_dialect(place->connection.database) == DIALECT_POSTGRESQL;
}

/* All rows' first column of a statement, each between line ends. */
static bool names_read(struct connection *connection, enum sql which, struct buf *names, struct error *error)
{
    struct statement *statement = connection_statement(connection, which, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    add(names, "\n");
    while (step == STEP_ROW) {
        buf_add(names, column_bytes(statement, 0));
        add(names, "\n");
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool add_named_views(struct buf *buf, struct sql_place *place, struct str schema, bool as_of,
                            struct error *error)
{
    struct statement *statement = connection_statement(&place->connection, SQL_VIEW_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    bool any = false;
    while (step == STEP_ROW) {
        struct str name = column_bytes(statement, 0);
        add(buf, any ? ", " : "");
        buf_add(buf, name);
        add(buf, " AS NOT MATERIALIZED (");
        add_rows(buf, schema, name, column_bytes(statement, 4), column_integer(statement, 2) != 0, as_of);
        add(buf, ")");
        any = true;
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static struct str word_after(struct str text, struct str word)
{
    struct str rest = str_trim(text);
    bool same = rest.len > word.len;
    for (size_t i = 0; same && i < word.len; i++) {
        same = (rest.at[i] | 0x20) == word.at[i];
    }
    return same ? str_skip(rest, word.len) : STR_NONE;
}

/* The statement with what its plain names stand for before it. */
static bool text_with_views(struct sql_place *place, struct arena *arena, bool as_of, struct str text,
                            struct str *out, struct error *error)
{
    struct buf schemas = { .bytes_max = SQL_TEXT_BYTES };
    struct buf schema = { .bytes_max = SQL_TEXT_BYTES };
    struct buf buf = { .bytes_max = SQL_TEXT_BYTES };
    struct str own = word_after(text, STR("with"));
    struct str recursive = own.at == NULL ? STR_NONE : word_after(own, STR("recursive"));
    own = recursive.at == NULL ? own : recursive;
    bool ok = names_read(&place->connection, SQL_TABLE_NAMES, &schemas, error) &&
              names_read(&place->connection, SQL_SCHEMA, &schema, error) &&
              postgresql_figure_check(text, buf_str(&schemas), error);
    add(&buf, recursive.at == NULL ? "WITH " : "WITH RECURSIVE ");
    size_t before = buf.len;
    ok = ok && add_named_views(&buf, place, str_trim(buf_str(&schema)), as_of, error);
    if (ok && own.at != NULL) {
        add(&buf, buf.len == before ? "" : ", ");
        buf_add(&buf, own);
    } else if (ok) {
        buf.len = buf.len == before ? 0 : buf.len;
        add(&buf, " ");
        buf_add(&buf, text);
    }
    struct str made = ok && !buf.failed ? arena_dup(arena, buf_str(&buf)) : STR_NONE;
    ok = ok && (made.at != NULL || FAIL(error, ERROR_TOO_LARGE, "too many views"));
    *out = made;
    buf_deinit(&schemas);
    buf_deinit(&schema);
    buf_deinit(&buf);
    return ok;
}

static bool parameters_bind(struct statement *statement, const struct store_sql *sql, struct error *error)
{
    for (int at = 1; at <= bind_count(statement); at++) {
        const char *name = bind_name(statement, at);
        size_t i = 0;
        while (i < sql->parameters_count &&
               (name[0] != ':' || strcmp(name + 1, sql->parameters[i].name) != 0)) {
            i++;
        }
        if (i == sql->parameters_count) {
            return FAIL(error, ERROR_INPUT, "the SQL asks for '%.40s', which is not given", name);
        }
        bind_value(statement, at, &sql->parameters[i].value);
    }
    return true;
}

static bool columns_name(struct arena *arena, struct statement *statement, struct store_sql_result *result,
                         struct error *error)
{
    result->columns_count = (size_t)statement_columns(statement);
    result->columns = ARENA_ARRAY(arena, const char *, result->columns_count + 1);
    if (result->columns == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < result->columns_count; i++) {
        struct str name = arena_dup(arena, str_from_cstr(statement_column_name(statement, (int)i)));
        if (name.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        result->columns[i] = name.at;
    }
    return true;
}

/* An error of the SQL's author is not ours: "no such column" is ERROR_INPUT. */
static struct statement *sql_prepare(struct sql_place *place, struct str text, struct error *error)
{
    struct error why = { 0 };
    struct statement *statement = connection_composed(&place->connection, text, &why);
    if (statement == NULL) {
        why.kind = why.kind == ERROR_INTERNAL ? ERROR_INPUT : why.kind;
        if (error != NULL) {
            *error = why;
        }
        return NULL;
    }
    if (!statement_is_read_only(statement)) {
        connection_release(&place->connection, statement);
        (void)FAIL(error, ERROR_INPUT, "the SQL may only read views");
        return NULL;
    }
    return statement;
}

static bool sql_execute(struct sql_place *place, struct arena *arena, const struct store_sql *sql,
                        struct store_sql_result *result, struct error *error)
{
    struct str text = sql->text;
    if (is_remote(place) && !text_with_views(place, arena, sql->as_of_seq != 0, sql->text, &text, error)) {
        return false;
    }
    database_lock_to_views(place->connection.database, true);
    struct statement *statement = sql_prepare(place, text, error);
    if (statement == NULL) {
        return false;
    }
    size_t rows_max = sql->rows_max == 0 ? LIMIT_STORE_ROWS : sql->rows_max;
    struct store_rows rows = { 0 };
    bool ok = parameters_bind(statement, sql, error) && columns_name(arena, statement, result, error) &&
              rows_collect(arena, statement, result->columns_count, rows_max, &rows, error);
    connection_release(&place->connection, statement);
    result->values = rows.values;
    result->rows_count = rows.rows_count;
    return ok;
}

static bool place_begin(struct store *store, struct sql_place *place, bool as_of, uint64_t *seq,
                        struct error *error)
{
    struct connection *connection = &place->connection;
    if (connection->database == NULL && !connection_open(connection, store->path, DATABASE_VIEWS, error)) {
        return false;
    }
    if (!connection_do(connection, SQL_BEGIN_READ, error)) {
        return false;
    }
    struct statement *statement = connection_statement(connection, SQL_SEQ_LAST, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    *seq = step == STEP_ROW ? column_key(statement, 0) : 0;
    statement_reset(statement);
    return step != STEP_FAILED && (is_remote(place) || views_show(place, as_of, error));
}

static void place_end(struct sql_place *place)
{
    if (place->connection.database == NULL) {
        return;
    }
    database_lock_to_views(place->connection.database, false);
    database_set_deadline(place->connection.database, 0);
    if (database_in_transaction(place->connection.database)) {
        connection_try(&place->connection, SQL_COMMIT);
    }
}

bool store_sql_run(struct store *store, struct arena *arena, const struct store_sql *sql,
                   struct store_sql_result *out, struct error *error)
{
    bool as_of = sql->as_of_seq != 0;
    struct sql_place *place = &store->sql_places[as_of ? 1 : 0];
    struct store_sql_result result = { 0 };
    (void)pthread_mutex_lock(&place->lock);
    bool ok = place_begin(store, place, as_of, &result.seq, error);
    if (ok) {
        int64_t time_ms = sql->time_ms_max == 0 ? LIMIT_STORE_SNAPSHOT_MS : sql->time_ms_max;
        struct database *database = place->connection.database;
        database_set_deadline(database, clock_monotonic_us() + time_ms * 1000);
        database_set_functions(database, sql->offset_minutes, sql->as_of_seq);
        ok = sql_execute(place, arena, sql, &result, error);
    }
    place_end(place);
    (void)pthread_mutex_unlock(&place->lock);
    if (ok) {
        *out = result;
    }
    return ok;
}

bool store_sql_check(struct store *store, struct str text, struct error *error)
{
    struct sql_place *place = &store->sql_places[0];
    uint64_t seq = 0;
    (void)pthread_mutex_lock(&place->lock);
    bool ok = place_begin(store, place, false, &seq, error);
    if (ok) {
        struct arena arena = { .bytes_max = SQL_TEXT_BYTES };
        struct statement *statement = NULL;
        ok = !is_remote(place) || text_with_views(place, &arena, false, text, &text, error);
        if (ok) {
            database_lock_to_views(place->connection.database, true);
            statement = sql_prepare(place, text, error);
        }
        ok = statement != NULL;
        connection_release(&place->connection, statement);
        arena_deinit(&arena);
    }
    place_end(place);
    (void)pthread_mutex_unlock(&place->lock);
    return ok;
}
