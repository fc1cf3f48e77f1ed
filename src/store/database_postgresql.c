/* database_postgresql.c — PostgreSQL as the store's engine, over a line (postgresql_line.c) that is always in pipeline
 * mode: what needs no answer is sent and its result taken later, together with the next answer that somebody wants or
 * with COMMIT, so that a group of writes costs a few round trips. A statement that failed takes all after it along;
 * outside a savepoint the transaction is rolled back at once.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "store/postgresql_line.h"
#include "store/postgresql_values.h"

enum {
    STEPS_A_MS = 8000, /* engine steps of SQLite in a millisecond: the bound of a search becomes a time */
    ARRAY_BYTES_MAX = 1 << 30,
    CURSOR_TEXT_MAX = 2 << 20,
    FETCH_ROWS = 200, /* of a cursor at a time */
};

#define FUNCTIONS_SQL                                                                                        \
    "SELECT set_config('shanhai.offset_minutes', $1, true), set_config('shanhai.as_of_seq', $2, true)"

struct bound { /* a value, or an array in the engine's form */
    struct store_value value;
    struct buf array;
    bool is_array;
};

struct postgresql_statement {
    struct statement base;
    struct postgresql *database;
    struct postgresql_text text;
    enum control control;
    char name[24];
    uint64_t generation; /* of the connection that it is prepared on */
    PGresult *described;
    struct bound *values;
    PGresult *result;
    int row;
    bool running;
    bool streams; /* by a cursor of the statement's name */
    bool open;
};

static struct postgresql_statement *statement_of(struct statement *statement)
{
    return (struct postgresql_statement *)statement;
}

/* ---- statements ---- */

/* Has the server prepare it, unless it did so on this connection already. */
static bool ready(struct postgresql_statement *statement, struct error *error)
{
    struct postgresql *database = statement->database;
    if (statement->generation == database->generation && !line_is_lost(database)) {
        return true;
    }
    PGresult *described = NULL;
    const Oid first = POSTGRESQL_INT8; /* else the server takes the type from where it is used */
    bool unused = statement->text.parameters_count > 0 && !statement->text.uses_first;
    (void)snprintf(statement->name, sizeof statement->name, "s%" PRIu64, ++database->names);
    bool ok = line_room(database, error) &&
              line_queue(database,
                         PQsendPrepare(database->line, statement->name, statement->text.text.at,
                                       unused ? 1 : 0, unused ? &first : NULL),
                         error) &&
              line_queue(database, PQsendDescribePrepared(database->line, statement->name), error) &&
              line_drain(database, &described, error);
    if (!ok || described == NULL) {
        PQclear(described);
        return ok ? FAIL(error, ERROR_INTERNAL, "database: a statement has no description") : false;
    }
    PQclear(statement->described);
    statement->described = described;
    statement->generation = database->generation;
    return true;
}

struct parameters { /* as the library wants them */
    int count;
    const char **values;
    int *lengths;
    int *formats;
    Oid *types;
};

/* The statement, or the cursor over it. */
static int send_now(struct postgresql_statement *statement, const struct parameters *with)
{
    struct postgresql *database = statement->database;
    int format = database->mode == DATABASE_VIEWS ? 0 : 1;
    if (!statement->streams) {
        return PQsendQueryPrepared(database->line, statement->name, with->count, with->values, with->lengths,
                                   with->formats, format);
    }
    struct buf text = { .bytes_max = CURSOR_TEXT_MAX };
    buf_printf(&text, "DECLARE %s NO SCROLL CURSOR FOR ", statement->name);
    buf_add(&text, buf_str(&statement->text.text));
    int sent = text.failed ? 0
                           : PQsendQueryParams(database->line, text.at, with->count, with->types,
                                               with->values, with->lengths, with->formats, 1);
    buf_deinit(&text);
    statement->open = sent == 1;
    return sent;
}

static bool send(struct postgresql_statement *statement, struct error *error)
{
    enum { FEW = 16 };
    struct few {
        const char *values[FEW];
        char rooms[FEW][32];
        int lengths[FEW];
        int formats[FEW];
        Oid types[FEW];
    } few;
    size_t count = (size_t)statement->text.parameters_count;
    struct parameters with = { (int)count, few.values, few.lengths, few.formats, few.types };
    char(*rooms)[32] = few.rooms;
    void *many = NULL;
    if (count > FEW) {
        many = memory_new_array(count, sizeof few / FEW + 1);
        if (many == NULL) {
            return FAIL(error, ERROR_BUSY, "out of memory; try again");
        }
        with.values = many;
        rooms = (char(*)[32])(void *)(with.values + count);
        with.lengths = (int *)(void *)(rooms + count);
        with.formats = with.lengths + count;
        with.types = (Oid *)(with.formats + count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct bound *bound = &statement->values[i];
        bool binary = true;
        with.types[i] = PQparamtype(statement->described, (int)i);
        struct str bytes = bound->is_array
                               ? buf_str(&bound->array)
                               : postgresql_encode(&bound->value, with.types[i], rooms[i], &binary);
        with.values[i] = bytes.at;
        with.lengths[i] = (int)bytes.len;
        with.formats[i] = binary ? 1 : 0;
    }
    bool ok = line_room(statement->database, error) &&
              line_queue(statement->database, send_now(statement, &with), error);
    memory_free(many);
    return ok;
}

/* The next rows of a cursor. */
static bool fetch(struct postgresql_statement *statement, PGresult **result, struct error *error)
{
    char text[64];
    (void)snprintf(text, sizeof text, "FETCH %d FROM %s", FETCH_ROWS, statement->name);
    return line_send(statement->database, text, error) && line_drain(statement->database, result, error);
}

static bool execute_once(struct postgresql_statement *statement, struct error *error)
{
    struct postgresql *database = statement->database;
    PGresult *result = NULL;
    if (database->state == TRANSACTION_BROKEN) {
        return FAIL(error, ERROR_INTERNAL, "database: an earlier statement failed");
    }
    if (!ready(statement, error) || !send(statement, error) ||
        !(statement->streams ? fetch(statement, &result, error) : line_drain(database, &result, error))) {
        return false;
    }
    statement->result = result;
    return true;
}

/* A line that turns out to be gone before anything was done in the transaction: the server was started anew, or cut us
 * off while we were idle. Nothing is lost, so that we connect and begin again. */
static bool execute(struct postgresql_statement *statement, bool only_ready, struct error *error)
{
    struct postgresql *database = statement->database;
    bool fresh = database->fresh;
    bool ok = only_ready ? ready(statement, error) : execute_once(statement, error);
    if (!ok && fresh && line_is_lost(database) && !database->fenced && transaction_begin(database, error)) {
        ok = only_ready ? ready(statement, error) : execute_once(statement, error);
    }
    database->fresh = false;
    return ok;
}

static bool postgresql_prepare(struct database *base, struct str sql, struct statement **out,
                               struct error *error)
{
    struct postgresql_statement *statement = MEMORY_NEW(struct postgresql_statement);
    if (statement == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    statement->base.engine = &engine_postgresql;
    statement->database = postgresql_of(base);
    bool ok = postgresql_text_make(sql, &statement->text, error);
    if (ok) {
        statement->control = transaction_control_of(statement->text.text.at);
        statement->values =
            memory_new_array((size_t)statement->text.parameters_count + 1, sizeof *statement->values);
        ok = statement->values != NULL || FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    ok = ok && (statement->control != CONTROL_NONE || execute(statement, true, error));
    if (!ok) {
        statement_finalize(&statement->base);
        return false;
    }
    *out = &statement->base;
    return true;
}

static void postgresql_reset(struct statement *base)
{
    struct postgresql_statement *statement = statement_of(base);
    if (statement->open && statement->database->state == TRANSACTION_OPEN) {
        char text[64];
        (void)snprintf(text, sizeof text, "CLOSE %s", statement->name);
        if (!line_send(statement->database, text, NULL)) {
            statement->running = false; /* the line is gone, and the cursor with it */
        }
    }
    PQclear(statement->result);
    statement->result = NULL;
    statement->running = false;
    statement->streams = false;
    statement->open = false;
}

static void postgresql_finalize(struct statement *base)
{
    struct postgresql_statement *statement = statement_of(base);
    struct postgresql *database = statement->database;
    postgresql_reset(base);
    if (statement->described != NULL && statement->generation == database->generation) {
        buf_printf(&database->dropped, "DEALLOCATE %s", statement->name);
        buf_add_char(&database->dropped, '\0');
    }
    PQclear(statement->described);
    for (int i = 0; statement->values != NULL && i < statement->text.parameters_count; i++) {
        buf_deinit(&statement->values[i].array);
    }
    memory_free(statement->values);
    postgresql_text_free(&statement->text);
    memory_free(statement);
}

/* ---- values ---- */

static struct bound *bound_at(struct statement *statement, int at)
{
    assert(at >= 1 && at <= statement_of(statement)->text.parameters_count);
    struct bound *bound = &statement_of(statement)->values[at - 1];
    bound->is_array = false;
    return bound;
}

static void postgresql_bind_integer(struct statement *statement, int at, int64_t value)
{
    bound_at(statement, at)->value = store_integer(value);
}

static void postgresql_bind_real(struct statement *statement, int at, double value)
{
    bound_at(statement, at)->value = store_real(value);
}

static void postgresql_bind_text(struct statement *statement, int at, struct str text)
{
    struct bound *bound = bound_at(statement, at);
    bound->value = store_text(text);
    if (memchr(text.at, '\0', text.len) != NULL) {
        bound->array.bytes_max = ARRAY_BYTES_MAX;
        buf_clear(&bound->array);
        postgresql_text_add(&bound->array, text);
        bound->value = store_text(buf_str(&bound->array));
    }
}

static void postgresql_bind_bytes(struct statement *statement, int at, struct str bytes)
{
    bound_at(statement, at)->value = store_bytes(bytes);
}

static void postgresql_bind_null(struct statement *statement, int at)
{
    bound_at(statement, at)->value = (struct store_value){ 0 };
}

static struct buf *array_at(struct statement *statement, int at, unsigned type, size_t count)
{
    struct bound *bound = bound_at(statement, at);
    bound->is_array = true;
    bound->array.bytes_max = ARRAY_BYTES_MAX;
    buf_clear(&bound->array);
    postgresql_array_begin(&bound->array, type, count);
    return &bound->array;
}

static void postgresql_bind_integers(struct statement *statement, int at, const int64_t *values, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_INT8, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_integer(array, values[i]);
    }
}

static void postgresql_bind_reals(struct statement *statement, int at, const double *values, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_FLOAT8, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_real(array, values[i]);
    }
}

static void postgresql_bind_texts(struct statement *statement, int at, const struct str *texts, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_text(array, texts[i]);
    }
}

static void postgresql_bind_blobs(struct statement *statement, int at, const struct str *blobs, size_t count)
{
    struct buf *array = array_at(statement, at, POSTGRESQL_BYTES, count);
    for (size_t i = 0; i < count; i++) {
        postgresql_array_bytes(array, blobs[i]);
    }
}

static int postgresql_bind_count(struct statement *statement)
{
    return statement_of(statement)->text.parameters_count;
}

static const char *postgresql_bind_name(struct statement *statement, int at)
{
    const struct postgresql_text *text = &statement_of(statement)->text;
    return at <= text->names_count ? text->names[at - 1] : "";
}

/* ---- running ---- */

static enum step postgresql_step(struct statement *base, struct error *error)
{
    struct postgresql_statement *statement = statement_of(base);
    struct postgresql *database = statement->database;
    if (statement->control != CONTROL_NONE) {
        return transaction_control(database, statement->control, statement->text.text.at, error)
                   ? STEP_DONE
                   : STEP_FAILED;
    }
    if (!statement->running) {
        PQclear(statement->result);
        statement->result = NULL;
        if (!execute(statement, false, error)) {
            return STEP_FAILED;
        }
        struct str changes = str_from_cstr(PQcmdTuples(statement->result));
        database->changes =
            changes.len == 0 ? 0 : (uint64_t)postgresql_integer(changes.at, changes.len, false);
        statement->running = true;
        statement->row = -1;
    }
    statement->row++;
    if (statement->streams && statement->row == FETCH_ROWS) {
        PQclear(statement->result);
        statement->result = NULL;
        if (!fetch(statement, &statement->result, error)) {
            return STEP_FAILED;
        }
        statement->row = 0;
    }
    return statement->row < PQntuples(statement->result) ? STEP_ROW : STEP_DONE;
}

static void postgresql_stream(struct statement *base)
{
    struct postgresql_statement *statement = statement_of(base);
    assert(!statement->running);
    statement->streams = statement->database->state == TRANSACTION_OPEN;
}

static bool postgresql_run_later(struct statement *base, struct error *error)
{
    struct postgresql_statement *statement = statement_of(base);
    if (statement->database->state != TRANSACTION_OPEN) { /* nothing to be late with */
        enum step step = postgresql_step(base, error);
        postgresql_reset(base);
        return step != STEP_FAILED;
    }
    return execute(statement, true, error) && send(statement, error);
}

static const char *cell(struct statement *base, int at, size_t *len, bool *binary)
{
    struct postgresql_statement *statement = statement_of(base);
    *len = (size_t)PQgetlength(statement->result, statement->row, at);
    *binary = PQfformat(statement->result, at) == 1;
    return PQgetvalue(statement->result, statement->row, at);
}

static bool cell_is_null(struct statement *base, int at)
{
    struct postgresql_statement *statement = statement_of(base);
    return PQgetisnull(statement->result, statement->row, at) != 0;
}

static int64_t postgresql_column_integer(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    return cell_is_null(statement, at) ? 0 : postgresql_integer(bytes, len, binary);
}

static double postgresql_column_real(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    unsigned type = PQftype(statement_of(statement)->result, at);
    return cell_is_null(statement, at) ? 0 : postgresql_real(bytes, len, type, binary);
}

static struct str postgresql_column_bytes(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    return cell_is_null(statement, at) ? STR_NONE : (struct str){ bytes, len };
}

static enum store_value_kind postgresql_column_kind(struct statement *statement, int at)
{
    size_t len = 0;
    bool binary = false;
    const char *bytes = cell(statement, at, &len, &binary);
    unsigned type = PQftype(statement_of(statement)->result, at);
    return cell_is_null(statement, at) ? STORE_VALUE_NULL : postgresql_kind(type, bytes, len, binary);
}

static int postgresql_columns(struct statement *statement)
{
    return PQnfields(statement_of(statement)->described);
}

static const char *postgresql_column_name(struct statement *statement, int at)
{
    const char *name = PQfname(statement_of(statement)->described, at);
    return name == NULL ? "" : name;
}

static bool postgresql_is_read_only(struct statement *statement)
{
    return statement_of(statement)->database->mode != DATABASE_WRITE; /* the transaction is */
}

/* ---- the connection ---- */

static bool postgresql_open(const char *place, enum database_mode mode, struct database **out,
                            struct error *error)
{
    struct postgresql *database = MEMORY_NEW(struct postgresql);
    char *copy = memory_new(strlen(place) + 1);
    if (database == NULL || copy == NULL) {
        memory_free(database);
        memory_free(copy);
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    memcpy(copy, place, strlen(place) + 1);
    *database = (struct postgresql){
        .base.engine = &engine_postgresql, .place = copy, .mode = mode, .dropped = { .bytes_max = 1 << 20 }
    };
    if (!line_first(database, error)) {
        database_close(&database->base);
        return false;
    }
    *out = &database->base;
    return true;
}

static void postgresql_close(struct database *base)
{
    struct postgresql *database = postgresql_of(base);
    if (database->line != NULL) {
        PQfinish(database->line);
    }
    buf_deinit(&database->dropped);
    memory_free(database->place);
    memory_free(database);
}

static bool postgresql_run(struct database *database, const char *sql, struct error *error)
{
    return line_run(postgresql_of(database), sql, error);
}

static bool postgresql_copy(struct database *database, const char *sql, struct str bytes, struct error *error)
{
    return line_copy(postgresql_of(database), sql, bytes, error);
}

/* The library keeps up to 64 KB back. What cannot be sent now is, by the next that is. */
static void postgresql_send(struct database *base)
{
    struct postgresql *database = postgresql_of(base);
    if (!line_is_lost(database)) {
        (void)PQflush(database->line);
    }
}

static bool postgresql_in_transaction(struct database *base)
{
    const struct postgresql *database = postgresql_of(base);
    return database->state == TRANSACTION_OPEN ||
           (database->state == TRANSACTION_BROKEN && database->savepoint);
}

static uint64_t postgresql_changes(struct database *database)
{
    return postgresql_of(database)->changes;
}

static void postgresql_set_deadline(struct database *database, int64_t deadline_us)
{
    postgresql_of(database)->deadline_us = deadline_us;
}

static void postgresql_set_steps(struct database *database, uint64_t steps)
{
    postgresql_of(database)->steps_until_us =
        steps == 0 ? 0 : clock_monotonic_us() + (int64_t)(steps / STEPS_A_MS) * 1000;
}

static void postgresql_release(struct database *database)
{
    (void)database;
}

static void postgresql_fold_log(struct database *database, enum fold_mode mode)
{
    (void)database;
    (void)mode;
}

static unsigned postgresql_log_pages(const struct database *database)
{
    (void)database;
    return 0;
}

static bool postgresql_backup(struct database *database, const char *path, struct error *error)
{
    (void)database;
    (void)path;
    return FAIL(error, ERROR_UNSUPPORTED,
                "the store is a PostgreSQL database: it is copied by pg_dump (store_dump)");
}

static bool postgresql_is_fenced(const struct database *database)
{
    return ((const struct postgresql *)database)->fenced;
}

/* The tables of the store are not on the path: figures name them with their schema (sql_run.c), authors do not. */
static void postgresql_lock_to_views(struct database *database, bool locked)
{
    struct error error = { 0 };
    if (locked && !line_send(postgresql_of(database), "SET LOCAL search_path = shanhai_sql", &error)) {
        assert(error.kind == ERROR_BUSY); /* the line is gone, which the next statement will say */
    }
}

static void postgresql_set_functions(struct database *base, int offset_minutes, uint64_t as_of_seq)
{
    struct postgresql *database = postgresql_of(base);
    char offset[16];
    char seq[24];
    struct error error = { 0 };
    (void)snprintf(offset, sizeof offset, "%d", offset_minutes);
    (void)snprintf(seq, sizeof seq, "%" PRIu64, as_of_seq);
    const char *values[] = { offset, seq };
    if (!line_room(database, &error) ||
        !line_queue(database,
                    PQsendQueryParams(database->line, FUNCTIONS_SQL, 2, NULL, values, NULL, NULL, 1),
                    &error)) {
        assert(error.kind != ERROR_NONE); /* the same */
    }
}

const struct engine engine_postgresql = {
    .dialect = DIALECT_POSTGRESQL,
    .open = postgresql_open,
    .close = postgresql_close,
    .run = postgresql_run,
    .copy = postgresql_copy,
    .prepare = postgresql_prepare,
    .finalize = postgresql_finalize,
    .bind_integer = postgresql_bind_integer,
    .bind_real = postgresql_bind_real,
    .bind_text = postgresql_bind_text,
    .bind_bytes = postgresql_bind_bytes,
    .bind_null = postgresql_bind_null,
    .bind_integers = postgresql_bind_integers,
    .bind_reals = postgresql_bind_reals,
    .bind_texts = postgresql_bind_texts,
    .bind_blobs = postgresql_bind_blobs,
    .bind_count = postgresql_bind_count,
    .bind_name = postgresql_bind_name,
    .stream = postgresql_stream,
    .step = postgresql_step,
    .reset = postgresql_reset,
    .run_later = postgresql_run_later,
    .column_integer = postgresql_column_integer,
    .column_real = postgresql_column_real,
    .column_bytes = postgresql_column_bytes,
    .column_kind = postgresql_column_kind,
    .columns = postgresql_columns,
    .column_name = postgresql_column_name,
    .is_read_only = postgresql_is_read_only,
    .send = postgresql_send,
    .in_transaction = postgresql_in_transaction,
    .changes = postgresql_changes,
    .set_deadline = postgresql_set_deadline,
    .set_steps = postgresql_set_steps,
    .release = postgresql_release,
    .fold_log = postgresql_fold_log,
    .log_pages = postgresql_log_pages,
    .backup = postgresql_backup,
    .is_fenced = postgresql_is_fenced,
    .lock_to_views = postgresql_lock_to_views,
    .set_functions = postgresql_set_functions,
};
