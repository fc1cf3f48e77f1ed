/* postgresql_line.c — the line to a PostgreSQL server.
 *
 * A connection is always in pipeline mode: what needs no answer is sent and its result taken later, together with the
 * next answer that somebody wants (or with COMMIT), so that a group of writes costs a few round trips. A statement that
 * failed takes all after it along; outside a savepoint the transaction is rolled back at once.
 *
 * The writer holds an advisory lock of the database and a fence: a number raised at its open that every commit looks at
 * (writer_step in sql_postgresql.c), beside the number of the commit. Was the line cut in the middle of a COMMIT, the
 * number tells after connecting again whether it took place; nobody is answered before that is known. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "store/postgresql_line.h"
#include "store/postgresql_values.h"

enum {
    CONNECT_S = 5,         /* for a connection to be made */
    CANCEL_US = 2000000,   /* how long a cancelled statement may take to end */
    SILENCE_US = 60000000, /* a server that says nothing for so long is gone */
    LOCK_TRIES = 30,       /* with 100 ms between: a process that ended a moment ago still holds the lock */
};

/* 'SHAN' with the schema's hash: one writer a schema. */
#define LOCK_SQL "SELECT pg_try_advisory_lock(1397244238, hashtext(current_schema()))::int"
#define FENCE_SQL "UPDATE writer SET fence = fence + 1 RETURNING fence, commits"
#define END_SQL                                                                                              \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND pid <> pg_backend_pid()" \
    " AND application_name = 'shanhai writer' AND usename = current_user"
/* Where the server is set to answer before it has synced, we are not. */
#define SYNC_SQL                                                                                             \
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = "    \
    "'off'"
#define LOST_TEXT "the database cannot be reached; try again in a moment"

/* ---- errors ---- */

static bool state_is(const char *state, const char *wanted)
{
    return strncmp(state, wanted, strlen(wanted)) == 0;
}

/* The server's words are told only where they name parts of a statement (class 42); others may hold values. */
static bool fail_state(struct postgresql *database, const char *state, const char *text, struct error *error)
{
    if (state_is(state, "SH001")) {
        database->fenced = true;
        return FAIL(error, ERROR_CONFLICT, FENCED_TEXT);
    }
    if (state_is(state, "57014")) {
        return FAIL(error, ERROR_TOO_COSTLY,
                    "the search looks at too many rows: add a more selective criterion");
    }
    if (state_is(state, "53100")) {
        return FAIL(error, ERROR_FULL, "the disk is full: nothing was stored; free space and try again");
    }
    if (state_is(state, "22021")) {
        return FAIL(error, ERROR_INPUT, "a text is not UTF-8");
    }
    if (state_is(state, "54")) {
        return FAIL(error, ERROR_TOO_COSTLY, "the search has too many parts");
    }
    if (state_is(state, "23")) {
        return FAIL(error, ERROR_CONFLICT, "there is one already");
    }
    if (state_is(state, "25006") || state_is(state, "42501")) {
        return database->mode == DATABASE_VIEWS
                   ? FAIL(error, ERROR_INPUT, "the SQL may only read views")
                   : FAIL(error, ERROR_BUSY, "the database lets nobody write (code %.5s)", state);
    }
    if (state_is(state, "57P") || state_is(state, "08") || state_is(state, "53") || state_is(state, "40") ||
        state_is(state, "55")) {
        return FAIL(error, ERROR_BUSY, "the database is in use or starting (code %.5s); try again", state);
    }
    if (state_is(state, "42") || (database->mode == DATABASE_VIEWS && state_is(state, "22"))) {
        return FAIL(error, ERROR_INTERNAL, "database: %.120s (code %.5s)", text, state);
    }
    return FAIL(error, ERROR_INTERNAL, "database: code %.5s", state);
}

static bool fail_result(struct postgresql *database, const PGresult *result, struct error *error)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == NULL) { /* libpq's own: the line is gone */
        return FAIL(error, ERROR_BUSY, LOST_TEXT);
    }
    return fail_state(database, state, text == NULL ? "" : text, error);
}

bool line_is_lost(const struct postgresql *database)
{
    return database->line == NULL || PQstatus(database->line) != CONNECTION_OK;
}

bool line_fail(struct postgresql *database, struct error *error)
{
    if (database->line != NULL) {
        PQfinish(database->line);
        database->line = NULL;
    }
    database->queued = 0;
    database->state = TRANSACTION_NONE;
    database->savepoint = false;
    return FAIL(error, ERROR_BUSY, LOST_TEXT);
}

/* ---- taking results ---- */

/* Asks the server to stop what it does. */
static void cancel(struct postgresql *database)
{
    char text[256];
    PGcancel *handle = PQgetCancel(database->line);
    if (handle != NULL) {
        (void)PQcancel(handle, text, sizeof text);
        PQfreeCancel(handle);
    }
}

static int64_t until_us(const struct postgresql *database)
{
    int64_t until = database->deadline_us;
    if (database->steps_until_us != 0 && (until == 0 || database->steps_until_us < until)) {
        until = database->steps_until_us;
    }
    return until;
}

/* Waits until there is a result, no longer than the deadline: then the statement is cancelled, and its result is that. */
static bool wait_for_result(struct postgresql *database)
{
    int64_t until = until_us(database);
    int64_t silent_us = until == 0 ? INT64_MAX : clock_monotonic_us() + SILENCE_US;
    bool cancelled = false;
    while (PQisBusy(database->line)) {
        int64_t now = clock_monotonic_us();
        int64_t left = until == 0 ? SILENCE_US : until - now;
        if (left <= 0 && !cancelled) {
            cancel(database);
            cancelled = true;
            until = now + CANCEL_US;
            continue;
        }
        if ((left <= 0 && cancelled) || now > silent_us) {
            return false;
        }
        struct pollfd wait = { .fd = PQsocket(database->line), .events = POLLIN };
        int ready = poll(&wait, 1, (int)(left / 1000) + 1);
        if ((ready < 0 && errno != EINTR) || (ready > 0 && PQconsumeInput(database->line) != 1)) {
            return false;
        }
    }
    return true;
}

static PGresult *result_next(struct postgresql *database)
{
    if (line_is_lost(database) || !wait_for_result(database)) {
        return NULL;
    }
    return PQgetResult(database->line);
}

/* Takes the first of the queue. *out (may be NULL) gets the result, for the caller to clear. */
static bool queue_take(struct postgresql *database, PGresult **out, struct error *error)
{
    bool statement = database->queue[0];
    PGresult *result = result_next(database);
    if (result == NULL || PQresultStatus(result) == PGRES_FATAL_ERROR) {
        bool gone =
            result == NULL || PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL || line_is_lost(database);
        if (gone) {
            PQclear(result);
            return line_fail(database, error);
        }
    }
    database->queued--;
    memmove(database->queue, database->queue + 1, database->queued * sizeof *database->queue);
    bool ok = true;
    switch ((int)PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_SYNC:
        break;
    case PGRES_PIPELINE_ABORTED:
        ok = FAIL(error, ERROR_INTERNAL, "database: an earlier statement failed");
        break;
    default:
        ok = fail_result(database, result, error);
        break;
    }
    if (statement) { /* each statement's results end with NULL */
        PGresult *end = result_next(database);
        PQclear(end);
    }
    if (out != NULL && ok) {
        *out = result;
    } else {
        PQclear(result);
    }
    return ok;
}

static bool send_again(struct postgresql *database, const char *sql, struct error *error);

/* Ends the pipeline and takes all results; the last statement's goes to *out. The first failure is what is told. */
bool line_drain(struct postgresql *database, PGresult **out, struct error *error)
{
    struct error first = { 0 };
    bool ok = true;
    if (line_is_lost(database) || PQpipelineSync(database->line) != 1) {
        return line_fail(database, error);
    }
    database->queue[database->queued++] = false;
    while (database->queued > 0) {
        struct error why = { 0 };
        bool last = database->queued == 2 && database->queue[0];
        if (!queue_take(database, last ? out : NULL, &why)) {
            first = ok ? why : first;
            ok = false;
        }
    }
    if (ok) {
        return true;
    }
    if (out != NULL && *out != NULL) {
        PQclear(*out);
        *out = NULL;
    }
    if (!line_is_lost(database) && database->state == TRANSACTION_OPEN) {
        database->state = TRANSACTION_BROKEN;
        if (!database->savepoint) {
            database->state = TRANSACTION_NONE;
            (void)send_again(database, "ROLLBACK", NULL);
        }
    }
    if (error != NULL) {
        *error = first;
    }
    return false;
}

bool line_queue(struct postgresql *database, int sent, struct error *error)
{
    if (sent != 1) {
        return line_fail(database, error);
    }
    database->queue[database->queued++] = true;
    return true;
}

bool line_room(struct postgresql *database, struct error *error)
{
    if (database->queued >= QUEUE_MAX && !line_drain(database, NULL, error)) {
        return false;
    }
    return !line_is_lost(database) || line_fail(database, error);
}

bool line_end(struct postgresql *database, struct error *error)
{
    if (!line_room(database, error)) {
        return false;
    }
    if (PQpipelineSync(database->line) != 1 || PQflush(database->line) < 0) {
        return line_fail(database, error);
    }
    database->queue[database->queued++] = false;
    return true;
}

bool line_send(struct postgresql *database, const char *sql, struct error *error)
{
    if (!line_room(database, error)) {
        return false;
    }
    return line_queue(database, PQsendQueryParams(database->line, sql, 0, NULL, NULL, NULL, NULL, 1), error);
}

static bool send_again(struct postgresql *database, const char *sql, struct error *error)
{
    return line_send(database, sql, error) && line_drain(database, NULL, error);
}

/* The first row's whole numbers of a text without parameters. */
static bool ask(struct postgresql *database, const char *sql, int64_t *values, int count, bool *found,
                struct error *error)
{
    PGresult *result = NULL;
    if (!line_send(database, sql, error) || !line_drain(database, &result, error)) {
        return false;
    }
    *found = result != NULL && PQntuples(result) > 0;
    for (int i = 0; *found && i < count; i++) {
        values[i] = postgresql_integer(PQgetvalue(result, 0, i), (size_t)PQgetlength(result, 0, i), true);
    }
    PQclear(result);
    return true;
}

/* ---- connecting ---- */

static void ignore_notice(void *data, const PGresult *result)
{
    (void)data;
    (void)result;
}

/* Plans follow the order that the store has written (search_sql.h): nothing is joined by hashing whole tables. */
static const char *const settings[] = {
    [DATABASE_WRITE] = "SET application_name = 'shanhai writer'; "
                       "SET join_collapse_limit = 1; SET enable_seqscan = off; SET enable_hashjoin = off;"
                       "SET enable_mergejoin = off; SET enable_material = off; SET enable_sort = off; SET "
                       "enable_memoize = off; SET enable_bitmapscan = off; "
                       "SET plan_cache_mode = force_generic_plan; SET jit = off;"
                       "SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0;",
    [DATABASE_READ] = "SET application_name = 'shanhai'; SET default_transaction_read_only = on;"
                      "SET join_collapse_limit = 1; SET enable_seqscan = off; SET enable_hashjoin = off;"
                      "SET enable_mergejoin = off; SET enable_material = off; SET enable_sort = off; SET "
                      "enable_memoize = off;"
                      "SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off;",
    /* In brackets: clang takes two pieces in a list of texts for a forgotten comma. */
    [DATABASE_VIEWS] = ("SET application_name = 'shanhai figures'; SET default_transaction_read_only = on;"
                        "SET jit = off;"),
};

static bool line_open(struct postgresql *database, struct error *error)
{
    char seconds[8];
    (void)snprintf(seconds, sizeof seconds, "%d", CONNECT_S);
    const char *const names[] = { "dbname", "connect_timeout", "client_encoding", "fallback_application_name",
                                  NULL };
    const char *const values[] = { database->place, seconds, "UTF8", "shanhai", NULL };
    database->line = PQconnectdbParams(names, values, 1);
    if (line_is_lost(database)) {
        return line_fail(database, error);
    }
    (void)PQsetNoticeReceiver(database->line, ignore_notice, NULL);
    PGresult *result = PQexec(database->line, settings[database->mode]);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (ok && database->mode == DATABASE_WRITE) {
        result = PQexec(database->line, SYNC_SQL);
        ok = PQresultStatus(result) == PGRES_TUPLES_OK;
        PQclear(result);
    }
    if (!ok || PQenterPipelineMode(database->line) != 1) {
        return line_fail(database, error);
    }
    database->generation++;
    database->backend = PQbackendPID(database->line);
    buf_clear(&database->dropped);
    return true;
}

void line_pause(int ms)
{
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {}
}

static bool lock_take(struct postgresql *database, struct error *error)
{
    int64_t locked = 0;
    bool found = false;
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!ask(database, LOCK_SQL, &locked, 1, &found, error)) {
            return false;
        }
        if (locked != 0) {
            return true;
        }
        line_pause(100);
    }
    return FAIL(error, ERROR_CONFLICT, "the database is in use by another server: stop it first");
}

/* Raises the fence, once the tables are there. */
bool line_fence(struct postgresql *database, struct error *error)
{
    int64_t values[2] = { 0 };
    bool found = false;
    if (!ask(database, "SELECT (to_regclass('writer') IS NOT NULL)::int", values, 1, &found, error)) {
        return false;
    }
    if (values[0] == 0) {
        return true;
    }
    if (!ask(database, FENCE_SQL, values, 2, &found, error)) {
        return false;
    }
    database->fence = values[0];
    database->commits = values[1];
    return found || FAIL(error, ERROR_INTERNAL, "the database has no writer's row");
}

/* Our own earlier session may not have noticed that the line was cut, and still hold the lock. */
static bool backend_end(struct postgresql *database, int backend, struct error *error)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", backend);
    const char *values[] = { number };
    return line_room(database, error) &&
           line_queue(database, PQsendQueryParams(database->line, END_SQL, 1, NULL, values, NULL, NULL, 1),
                      error) &&
           line_drain(database, NULL, error);
}

bool line_first(struct postgresql *database, struct error *error)
{
    return line_open(database, error) &&
           (database->mode != DATABASE_WRITE || (lock_take(database, error) && line_fence(database, error)));
}

bool line_again(struct postgresql *database, int64_t *commits, struct error *error)
{
    int64_t values[2] = { 0 };
    int before = database->backend;
    bool found = false;
    struct error why = { 0 };
    if (database->fenced) {
        return FAIL(error, ERROR_CONFLICT, FENCED_TEXT);
    }
    if (!line_open(database, error)) {
        return false;
    }
    if (database->mode != DATABASE_WRITE) {
        return true;
    }
    if (!backend_end(database, before, error)) {
        return false;
    }
    if (!lock_take(database, &why) ||
        !ask(database, "SELECT fence, commits FROM writer", values, 2, &found, &why)) {
        database->fenced = database->fenced || why.kind == ERROR_CONFLICT;
        return FAIL(error, why.kind, "%.180s", why.text);
    }
    if (values[0] != database->fence) {
        database->fenced = true;
        return FAIL(error, ERROR_CONFLICT, FENCED_TEXT);
    }
    *commits = values[1];
    return true;
}

/* What failed outside the pipeline took the transaction along. False, for the caller to return. */
static bool after_failure(struct postgresql *database)
{
    if (database->state == TRANSACTION_OPEN) {
        database->state = database->savepoint ? TRANSACTION_BROKEN : TRANSACTION_NONE;
        if (!database->savepoint) {
            (void)send_again(database, "ROLLBACK", NULL);
        }
    }
    return false;
}

/* The one thing that the pipeline does not take. */
bool line_copy(struct postgresql *database, const char *sql, struct str bytes, struct error *error)
{
    if (line_is_lost(database) || !line_drain(database, NULL, error)) {
        return line_is_lost(database) ? line_fail(database, error) : false;
    }
    PGresult *result = PQexitPipelineMode(database->line) == 1 ? PQexec(database->line, sql) : NULL;
    bool ok = PQresultStatus(result) == PGRES_COPY_IN || fail_result(database, result, error);
    PQclear(result);
    if (ok) {
        bool sent = PQputCopyData(database->line, bytes.at, (int)bytes.len) == 1 &&
                    PQputCopyEnd(database->line, NULL) == 1;
        result = sent ? PQgetResult(database->line) : NULL;
        ok = PQresultStatus(result) == PGRES_COMMAND_OK || fail_result(database, result, error);
        while (result != NULL) {
            PQclear(result);
            result = PQgetResult(database->line);
        }
    }
    if (line_is_lost(database) || PQenterPipelineMode(database->line) != 1) {
        return line_fail(database, error);
    }
    return ok || after_failure(database);
}

/* Several statements at once go by the old way, outside the pipeline. They change tables: what was prepared is stale. */
bool line_run(struct postgresql *database, const char *sql, struct error *error)
{
    if (line_is_lost(database) || !line_drain(database, NULL, error)) {
        return line_is_lost(database) ? line_fail(database, error) : false;
    }
    PGresult *result = PQexitPipelineMode(database->line) == 1 ? PQexec(database->line, sql) : NULL;
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || fail_result(database, result, error);
    PQclear(result);
    database->generation++;
    if (line_is_lost(database) || PQenterPipelineMode(database->line) != 1) {
        return line_fail(database, error);
    }
    return ok || after_failure(database);
}
