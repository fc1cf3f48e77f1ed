/* database.c — hands each call to the connection's engine. */
#include <string.h>

#include "store/engine.h"

bool database_is_remote(const char *place)
{
    return strncmp(place, "postgresql://", 13) == 0 || strncmp(place, "postgres://", 11) == 0;
}

bool database_open(const char *place, enum database_mode mode, struct database **database,
                   struct error *error)
{
    const struct engine *engine = database_is_remote(place) ? &engine_postgresql : &engine_sqlite;
    return engine->open(place, mode, database, error);
}

void database_close(struct database *database)
{
    if (database != NULL) {
        database->engine->close(database);
    }
}

enum dialect database_dialect(const struct database *database)
{
    return database->engine->dialect;
}

bool database_has_runs(const struct database *database)
{
    return database->engine->dialect == DIALECT_SQLITE;
}

bool database_packs_ids(const struct database *database)
{
    return database->engine->dialect == DIALECT_SQLITE;
}

bool database_packs_rows(const struct database *database)
{
    return database->engine->dialect == DIALECT_SQLITE;
}

struct run_view *database_runs(struct database *database)
{
    return &database->runs;
}

struct run_view *database_slice(struct database *database)
{
    return &database->slice;
}

bool database_run(struct database *database, const char *sql, struct error *error)
{
    return database->engine->run(database, sql, error);
}

bool database_copy(struct database *database, const char *sql, struct str bytes, struct error *error)
{
    return database->engine->copy(database, sql, bytes, error);
}

bool database_prepare(struct database *database, struct str sql, struct statement **statement,
                      struct error *error)
{
    return database->engine->prepare(database, sql, statement, error);
}

void statement_finalize(struct statement *statement)
{
    if (statement != NULL) {
        statement->engine->finalize(statement);
    }
}

/* ---- values ---- */

void bind_integer(struct statement *statement, int at, int64_t value)
{
    statement->engine->bind_integer(statement, at, value);
}

void bind_key(struct statement *statement, int at, uint64_t value)
{
    statement->engine->bind_integer(statement, at, (int64_t)value);
}

void bind_real(struct statement *statement, int at, double value)
{
    statement->engine->bind_real(statement, at, value);
}

void bind_text(struct statement *statement, int at, struct str text)
{
    if (text.at == NULL) {
        statement->engine->bind_null(statement, at);
    } else {
        statement->engine->bind_text(statement, at, text);
    }
}

void bind_bytes(struct statement *statement, int at, struct str bytes)
{
    if (bytes.at == NULL) {
        statement->engine->bind_null(statement, at);
    } else {
        statement->engine->bind_bytes(statement, at, bytes);
    }
}

void bind_null(struct statement *statement, int at)
{
    statement->engine->bind_null(statement, at);
}

void bind_value(struct statement *statement, int at, const struct store_value *value)
{
    switch (value->kind) {
    case STORE_VALUE_NULL:
        bind_null(statement, at);
        break;
    case STORE_VALUE_INTEGER:
        bind_integer(statement, at, value->integer);
        break;
    case STORE_VALUE_REAL:
        bind_real(statement, at, value->real);
        break;
    case STORE_VALUE_TEXT:
        bind_text(statement, at, value->text);
        break;
    case STORE_VALUE_BYTES:
        bind_bytes(statement, at, value->text);
        break;
    }
}

void bind_integers(struct statement *statement, int at, const int64_t *values, size_t count)
{
    statement->engine->bind_integers(statement, at, values, count);
}

void bind_reals(struct statement *statement, int at, const double *values, size_t count)
{
    statement->engine->bind_reals(statement, at, values, count);
}

void bind_texts(struct statement *statement, int at, const struct str *texts, size_t count)
{
    statement->engine->bind_texts(statement, at, texts, count);
}

void bind_blobs(struct statement *statement, int at, const struct str *blobs, size_t count)
{
    statement->engine->bind_blobs(statement, at, blobs, count);
}

void database_send(struct database *database)
{
    if (database->engine->send != NULL) {
        database->engine->send(database);
    }
}

int bind_count(struct statement *statement)
{
    return statement->engine->bind_count(statement);
}

const char *bind_name(struct statement *statement, int at)
{
    return statement->engine->bind_name(statement, at);
}

/* ---- running ---- */

void statement_stream(struct statement *statement)
{
    if (statement->engine->stream != NULL) {
        statement->engine->stream(statement);
    }
}

enum step statement_step(struct statement *statement, struct error *error)
{
    return statement->engine->step(statement, error);
}

void statement_reset(struct statement *statement)
{
    if (statement != NULL) {
        statement->engine->reset(statement);
    }
}

bool statement_run(struct statement *statement, struct error *error)
{
    enum step step = STEP_ROW;
    while (step == STEP_ROW) {
        step = statement->engine->step(statement, error);
    }
    statement->engine->reset(statement);
    return step == STEP_DONE;
}

bool statement_run_later(struct statement *statement, struct error *error)
{
    return statement->engine->run_later(statement, error);
}

int64_t column_integer(struct statement *statement, int at)
{
    return statement->engine->column_integer(statement, at);
}

uint64_t column_key(struct statement *statement, int at)
{
    return (uint64_t)statement->engine->column_integer(statement, at);
}

double column_real(struct statement *statement, int at)
{
    return statement->engine->column_real(statement, at);
}

bool column_is_null(struct statement *statement, int at)
{
    return statement->engine->column_kind(statement, at) == STORE_VALUE_NULL;
}

struct str column_bytes(struct statement *statement, int at)
{
    return statement->engine->column_bytes(statement, at);
}

enum store_value_kind column_kind(struct statement *statement, int at)
{
    return statement->engine->column_kind(statement, at);
}

int statement_columns(struct statement *statement)
{
    return statement->engine->columns(statement);
}

const char *statement_column_name(struct statement *statement, int at)
{
    return statement->engine->column_name(statement, at);
}

bool statement_is_read_only(struct statement *statement)
{
    return statement->engine->is_read_only(statement);
}

/* ---- the connection ---- */

bool database_is_fenced(const struct database *database)
{
    return database->engine->is_fenced(database);
}

bool database_in_transaction(struct database *database)
{
    return database->engine->in_transaction(database);
}

uint64_t database_changes(struct database *database)
{
    return database->engine->changes(database);
}

void database_set_deadline(struct database *database, int64_t deadline_us)
{
    database->engine->set_deadline(database, deadline_us);
}

void database_set_steps(struct database *database, uint64_t steps)
{
    database->engine->set_steps(database, steps);
}

void database_release(struct database *database)
{
    database->engine->release(database);
}

void database_fold_log(struct database *database, enum fold_mode mode)
{
    database->engine->fold_log(database, mode);
}

unsigned database_log_pages(const struct database *database)
{
    return database->engine->log_pages(database);
}

bool database_backup(struct database *database, const char *path, struct error *error)
{
    return database->engine->backup(database, path, error);
}

void database_lock_to_views(struct database *database, bool locked)
{
    database->engine->lock_to_views(database, locked);
}

void database_set_functions(struct database *database, int offset_minutes, uint64_t as_of_seq)
{
    database->engine->set_functions(database, offset_minutes, as_of_seq);
}
