#include "base/hash.h"
#include "base/memory.h"
#include "store/internal.h"

bool connection_open(struct connection *connection, const char *path, enum database_mode mode,
                     struct error *error)
{
    assert(connection != NULL);
    *connection = (struct connection){ 0 };
    return database_open(path, mode, &connection->database, error);
}

static void composed_drop(struct composed *composed)
{
    statement_finalize(composed->statement);
    memory_free((char *)(uintptr_t)composed->text.at); /* the text is the connection's own copy */
    *composed = (struct composed){ 0 };
}

void connection_close(struct connection *connection)
{
    for (size_t i = 0; i < SQL_COUNT; i++) {
        statement_finalize(connection->statements[i]);
    }
    for (size_t i = 0; i < STORE_COMPOSED_MAX; i++) {
        composed_drop(&connection->composed[i]);
    }
    database_close(connection->database);
    *connection = (struct connection){ 0 };
}

struct statement *connection_statement(struct connection *connection, enum sql which, struct error *error)
{
    assert(which < SQL_COUNT);
    struct statement **statement = &connection->statements[which];
    if (*statement == NULL &&
        !database_prepare(connection->database,
                          str_from_cstr(sql_text(database_dialect(connection->database), which)), statement,
                          error)) {
        return NULL;
    }
    return *statement;
}

bool connection_do(struct connection *connection, enum sql which, struct error *error)
{
    struct statement *statement = connection_statement(connection, which, error);
    return statement != NULL && statement_run(statement, error);
}

void connection_try(struct connection *connection, enum sql which)
{
    struct statement *statement = connection_statement(connection, which, NULL);
    if (statement != NULL && !statement_run(statement, NULL)) {
        assert(which == SQL_ROLLBACK || which == SQL_COMMIT || which == SQL_SAVEPOINT_UNDO ||
               which == SQL_SAVEPOINT_RELEASE);
    }
}

/* The place for a text: where it is, else a free one, else the one unused for longest. */
static struct composed *composed_place(struct connection *connection, struct str text)
{
    struct composed *oldest = NULL;
    for (size_t i = 0; i < STORE_COMPOSED_MAX; i++) {
        struct composed *composed = &connection->composed[i];
        if (composed->busy) {
            continue;
        }
        if (composed->statement != NULL && str_equal(composed->text, text)) {
            return composed;
        }
        if (oldest == NULL || composed->used < oldest->used) {
            oldest = composed;
        }
    }
    return oldest;
}

struct statement *connection_composed(struct connection *connection, struct str text, struct error *error)
{
    struct composed *composed = composed_place(connection, text);
    if (composed == NULL) {
        (void)FAIL(error, ERROR_TOO_COSTLY, "too many statements at once");
        return NULL;
    }
    if (composed->statement == NULL || !str_equal(composed->text, text)) {
        composed_drop(composed);
        char *copy = memory_new(text.len + 1);
        if (copy == NULL) {
            (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
            return NULL;
        }
        memcpy(copy, text.at, text.len);
        composed->text = (struct str){ copy, text.len };
        if (!database_prepare(connection->database, composed->text, &composed->statement, error)) {
            composed_drop(composed);
            return NULL;
        }
    }
    composed->used = ++connection->composed_clock;
    composed->busy = true;
    return composed->statement;
}

void connection_release(struct connection *connection, struct statement *statement)
{
    if (statement == NULL) {
        return;
    }
    statement_reset(statement);
    for (size_t i = 0; i < STORE_COMPOSED_MAX; i++) {
        if (connection->composed[i].statement == statement) {
            connection->composed[i].busy = false;
        }
    }
}

struct str column_dup(struct arena *arena, struct statement *statement, int at)
{
    struct str bytes = column_bytes(statement, at);
    return bytes.at == NULL ? STR_NONE : arena_dup(arena, bytes);
}
