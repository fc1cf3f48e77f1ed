/* postgresql_statement.c — statements over a line that is always in pipeline mode: what needs no answer is sent and its result
 * taken later, together with the next answer that somebody wants or with COMMIT. */
#include "store/postgresql_statement.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"

enum {
    CURSOR_TEXT_MAX = 2 << 20,
    FETCH_ROWS = 200, /* of a cursor at a time */
};

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

bool postgresql_prepare(struct database *base, struct str sql, struct statement **out, struct error *error)
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

void postgresql_reset(struct statement *base)
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

void postgresql_finalize(struct statement *base)
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

/* ---- running ---- */

enum step postgresql_step(struct statement *base, struct error *error)
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

void postgresql_stream(struct statement *base)
{
    struct postgresql_statement *statement = statement_of(base);
    assert(!statement->running);
    statement->streams = statement->database->state == TRANSACTION_OPEN;
}

bool postgresql_run_later(struct statement *base, struct error *error)
{
    struct postgresql_statement *statement = statement_of(base);
    if (statement->database->state != TRANSACTION_OPEN) { /* nothing to be late with */
        enum step step = postgresql_step(base, error);
        postgresql_reset(base);
        return step != STEP_FAILED;
    }
    return execute(statement, true, error) && send(statement, error);
}

bool postgresql_is_read_only(struct statement *statement)
{
    return statement_of(statement)->database->mode != DATABASE_WRITE; /* the transaction is */
}
