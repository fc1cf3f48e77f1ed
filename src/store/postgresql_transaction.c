/* postgresql_transaction.c — transactions of a PostgreSQL store.
 *
 * The writer holds an advisory lock and a fence: a number raised at its open that every commit looks at (writer_step in
 * sql_postgresql.c), beside the number of the commit. Was the line cut in the middle of a COMMIT, that number tells
 * after connecting again whether it took place; nobody is answered before it is known. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/postgresql_line.h"

enum {
    DOUBT_US = 60000000, /* for a commit in doubt to be found out about */
    AGAIN_MS_MAX = 1000,
};

#define STEP_SQL "SELECT writer_step($1::bigint, $2::bigint)"

enum control transaction_control_of(const char *text)
{
    static const struct {
        const char *begins;
        enum control control;
    } controls[] = { { "BEGIN", CONTROL_BEGIN },         { "COMMIT", CONTROL_COMMIT },
                     { "ROLLBACK TO", CONTROL_UNDO },    { "ROLLBACK", CONTROL_ROLLBACK },
                     { "SAVEPOINT", CONTROL_SAVEPOINT }, { "RELEASE", CONTROL_RELEASE } };
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        if (strncmp(text, controls[i].begins, strlen(controls[i].begins)) == 0) {
            return controls[i].control;
        }
    }
    return CONTROL_NONE;
}

/* Forgets on the server what was finalized here. */
static bool drop_statements(struct postgresql *database, struct error *error)
{
    bool ok = true;
    bool any = database->dropped.len > 0;
    for (size_t at = 0; ok && at < database->dropped.len; at += strlen(database->dropped.at + at) + 1) {
        ok = line_send(database, database->dropped.at + at, error);
    }
    buf_clear(&database->dropped);
    return ok &&
           (!any || line_end(database, error)); /* a BEGIN behind them would stand inside their transaction */
}

static bool step_send(struct postgresql *database, struct error *error)
{
    char fence[24];
    char commit[24];
    (void)snprintf(fence, sizeof fence, "%" PRId64, database->fence);
    (void)snprintf(commit, sizeof commit, "%" PRId64, database->commits + 1);
    const char *values[] = { fence, commit };
    return line_room(database, error) &&
           line_queue(database, PQsendQueryParams(database->line, STEP_SQL, 2, NULL, values, NULL, NULL, 1),
                      error);
}

bool transaction_begin(struct postgresql *database, struct error *error)
{
    int64_t commits = 0;
    bool writes = database->mode == DATABASE_WRITE;
    if (database->fenced) {
        return FAIL(error, ERROR_CONFLICT, FENCED_TEXT);
    }
    bool ok = !line_is_lost(database) || line_again(database, &commits, error);
    ok = ok && (!writes || database->fence != 0 || line_fence(database, error));
    ok = ok && drop_statements(database, error) && line_send(database, database->begin, error);
    ok = ok && (!writes || database->fence == 0 || step_send(database, error));
    if (ok) {
        database->state = TRANSACTION_OPEN;
        database->savepoint = false;
        database->fresh = true;
    }
    return ok;
}

/* The line went while a COMMIT was on it: connects until the number of the last commit can be read. */
static bool commit_find_out(struct postgresql *database, struct error *error)
{
    int64_t until_us = clock_monotonic_us() + DOUBT_US;
    int wait_ms = 10;
    while (!database->fenced && clock_monotonic_us() < until_us) {
        struct error why = { 0 };
        int64_t commits = 0;
        if (line_again(database, &commits, &why)) {
            bool done = commits == database->commits + 1;
            database->commits = commits;
            return done || FAIL(error, ERROR_BUSY, "the database was lost: nothing was stored; try again");
        }
        line_pause(wait_ms);
        wait_ms = 2 * wait_ms > AGAIN_MS_MAX ? AGAIN_MS_MAX : 2 * wait_ms;
    }
    database->fenced = true;
    return FAIL(error, ERROR_BUSY, "the database was lost in the middle: read again what was stored");
}

static bool commit(struct postgresql *database, struct error *error)
{
    if (database->mode != DATABASE_WRITE) { /* nothing can fail that anybody wants to know: no waiting */
        database->state = TRANSACTION_NONE;
        return line_send(database, "COMMIT", error) && line_end(database, error);
    }
    bool numbered = database->fence != 0;
    bool was_lost = line_is_lost(database);
    bool ok = line_send(database, "COMMIT", error) && line_drain(database, NULL, error);
    if (!ok && !was_lost && line_is_lost(database) && numbered) {
        return commit_find_out(database, error);
    }
    if (ok) {
        database->state = TRANSACTION_NONE;
        database->commits += numbered ? 1 : 0;
    }
    return ok;
}

static bool rollback(struct postgresql *database, struct error *error)
{
    if (database->state == TRANSACTION_NONE) {
        return true;
    }
    database->state = TRANSACTION_NONE;
    database->savepoint = false;
    return line_send(database, "ROLLBACK", error) && line_drain(database, NULL, error);
}

bool transaction_control(struct postgresql *database, enum control control, const char *text,
                         struct error *error)
{
    if (control == CONTROL_BEGIN) {
        database->begin = text;
        return transaction_begin(database, error);
    }
    if (control == CONTROL_COMMIT) {
        return commit(database, error);
    }
    if (control == CONTROL_ROLLBACK) {
        return rollback(database, error);
    }
    if (!line_send(database, text, error) || !line_drain(database, NULL, error)) {
        return false;
    }
    database->fresh = false;
    database->savepoint = control != CONTROL_RELEASE;
    database->state = TRANSACTION_OPEN;
    return true;
}
