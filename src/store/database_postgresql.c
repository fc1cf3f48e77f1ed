/* database_postgresql.c — PostgreSQL as the store's engine, over a line (postgresql_line.c) that is always in pipeline
 * mode: what needs no answer is sent and its result taken later, together with the next answer that somebody wants or
 * with COMMIT, so that a group of writes costs a few round trips. A statement that failed takes all after it along;
 * outside a savepoint the transaction is rolled back at once. Statements: postgresql_statement.c, their values: postgresql_bind.c.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "store/postgresql_statement.h"

enum {
    STEPS_A_MS = 8000, /* engine steps of SQLite in a millisecond: the bound of a search becomes a time */
};

#define FUNCTIONS_SQL                                                                                        \
    "SELECT set_config('shanhai.offset_minutes', $1, true), set_config('shanhai.as_of_seq', $2, true)"

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
