/* schema.c — makes an empty store, brings an older one forward, refuses a newer one, and reads what an open one needs.
 * A later version adds its step to sql.c; at open all steps run in one transaction, after a backup of the old store
 * that has been read through. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/uuid.h"
#include "store/dictionary.h"
#include "store/internal.h"

enum { SCHEMA_BYTES_MAX = 1 << 20 };

static bool meta_get(struct connection *connection, struct str name, int64_t *value, bool *found,
                     struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_META_GET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, name);
    enum step step = statement_step(statement, error);
    *found = step == STEP_ROW;
    *value = step == STEP_ROW ? column_integer(statement, 0) : 0;
    statement_reset(statement);
    return step != STEP_FAILED;
}

static bool meta_set(struct connection *connection, struct str name, int64_t value, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_META_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, name);
    bind_integer(statement, 2, value);
    return statement_run(statement, error);
}

static bool dictionary_add(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_DICTIONARY_ADD, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, 1);
    bind_null(statement, 2); /* for every type */
    bind_integer(statement, 3, store->now_ms());
    bind_bytes(statement, 4, (struct str){ (const char *)store_dictionary_1, store_dictionary_1_len });
    return statement_run(statement, error);
}

static bool schema_create(struct store *store, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    struct buf buf = { .bytes_max = SCHEMA_BYTES_MAX };
    bool remote = database_dialect(connection->database) == DIALECT_POSTGRESQL;
    if (remote) {
        sql_schema_postgresql(&buf, store->options.partitions);
    }
    buf_add_char(&buf, '\0');
    bool ok = (!buf.failed || FAIL(error, ERROR_INPUT, "too many partitions")) &&
              connection_do(connection, SQL_BEGIN_WRITE, error) &&
              database_run(connection->database, remote ? buf.at : sql_schema(), error) &&
              meta_set(connection, STR("partitions"), store->options.partitions, error) &&
              meta_set(connection, STR("schema_version"), STORE_SCHEMA_VERSION, error) &&
              meta_set(connection, STR("definitions_epoch"), 1, error) &&
              meta_set(connection, STR("created_ms"), store->now_ms(), error) &&
              dictionary_add(store, error) && connection_do(connection, SQL_COMMIT, error);
    buf_deinit(&buf);
    return ok;
}

static bool is_empty(struct connection *connection, bool *empty, struct error *error)
{
    struct statement *statement = connection_statement(connection, SQL_TABLES, error);
    if (statement == NULL || statement_step(statement, error) != STEP_ROW) {
        statement_reset(statement);
        return false;
    }
    *empty = column_integer(statement, 0) == 0;
    statement_reset(statement);
    return true;
}

static bool types_read(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_TYPE_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    size_t count = 0;
    while (step == STEP_ROW) {
        struct str name = column_bytes(statement, 1);
        if (count == STORE_TYPES_MAX || name.len >= sizeof store->types->name ||
            (size_t)column_integer(statement, 0) != count + 1) {
            statement_reset(statement);
            return FAIL(error, ERROR_INTERNAL, "the table of types is damaged: run `shanhai check`");
        }
        memcpy(store->types[count].name, name.at, name.len);
        store->types[count].len = name.len;
        count++;
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    atomic_store(&store->types_count, count);
    store->writer.types_count = count;
    return step == STEP_DONE;
}

static bool dictionaries_read(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_DICTIONARY_ALL, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        if (!codec_add_dictionary(&store->codec, (uint32_t)column_integer(statement, 0),
                                  column_bytes(statement, 1), column_bytes(statement, 2), error)) {
            statement_reset(statement);
            return false;
        }
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool position_read(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_SEQ_LAST, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        store->writer.seq = column_key(statement, 0);
        store->writer.updated_ms = column_integer(statement, 1);
        atomic_store(&store->seq, store->writer.seq);
    }
    statement_reset(statement);
    return step != STEP_FAILED;
}

/* ---- from an older version ---- */

static bool backup_check(const char *path, struct error *error)
{
    struct connection copy = { 0 };
    bool ok = connection_open(&copy, path, DATABASE_READ, error);
    struct statement *statement = ok ? connection_statement(&copy, SQL_CHECK_INTEGRITY, error) : NULL;
    ok = statement != NULL && statement_step(statement, error) == STEP_ROW;
    if (ok && !str_equal(column_bytes(statement, 0), STR("ok"))) {
        ok = FAIL(error, ERROR_INTERNAL,
                  "the store is damaged: run the older program's `shanhai check` first");
    }
    statement_reset(statement);
    connection_close(&copy);
    return ok;
}

/* A whole copy beside the store, which the operator deletes when he is content. One that is there already was cut
 * short, or is of an upgrade that did not end: the store is still the old one. */
static bool backup_make(struct store *store, int version, struct error *error)
{
    char path[512];
    int len = snprintf(path, sizeof path, "%s/store-version-%d.db", store->folder, version);
    if (len < 0 || (size_t)len >= sizeof path) {
        return FAIL(error, ERROR_INPUT, "the folder's name is too long");
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot replace '%s'", path);
    }
    bool ok = store_backup(store, path, error) && backup_check(path, error);
    if (!ok) {
        (void)unlink(path);
    }
    return ok;
}

static bool step_run(struct database *database, int from, struct error *error)
{
    struct buf buf = { .bytes_max = SCHEMA_BYTES_MAX };
    if (database_dialect(database) == DIALECT_POSTGRESQL) {
        sql_step_postgresql(&buf, from);
    } else if (sql_schema_step(from) != NULL) {
        buf_add(&buf, str_from_cstr(sql_schema_step(from)));
    }
    bool nothing = buf.len == 0;
    buf_add_char(&buf, '\0');
    bool ok = !buf.failed || FAIL(error, ERROR_BUSY, "out of memory; try again");
    ok = ok && (nothing || database_run(database, buf.at, error));
    buf_deinit(&buf);
    return ok;
}

static bool migrate(struct store *store, int version, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    if (version < 1) {
        return FAIL(error, ERROR_INTERNAL, "'%s' is no store of this program", store->path);
    }
    if (store->options.read_only) {
        return FAIL(error, ERROR_CONFLICT,
                    "the store is of an older version (%d): start `shanhai serve` once to bring it forward",
                    version);
    }
    bool ok = (store->is_remote || backup_make(store, version, error)) &&
              connection_do(connection, SQL_BEGIN_WRITE, error);
    for (int from = version; ok && from < STORE_SCHEMA_VERSION; from++) {
        ok = step_run(connection->database, from, error);
    }
    ok = ok && meta_set(connection, STR("schema_version"), STORE_SCHEMA_VERSION, error) &&
         connection_do(connection, SQL_COMMIT, error);
    if (!ok && database_in_transaction(connection->database)) {
        connection_try(connection, SQL_ROLLBACK);
    }
    return ok;
}

static bool version_check(struct store *store, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    int64_t version = 0;
    int64_t epoch = 0;
    bool found = false;
    if (!meta_get(connection, STR("schema_version"), &version, &found, error)) {
        return error != NULL && error->kind == ERROR_INTERNAL && strstr(error->text, "no such table") != NULL
                   ? FAIL(error, ERROR_INTERNAL, "'%s' is no store of this program", store->path)
                   : false;
    }
    if (!found) {
        return FAIL(error, ERROR_INTERNAL, "'%s' is no store of this program", store->path);
    }
    if (version > STORE_SCHEMA_VERSION) {
        return FAIL(
            error, ERROR_INTERNAL,
            "the store has version %d, this program knows up to %d: use a newer program or the backup "
            "from before the upgrade",
            (int)version, STORE_SCHEMA_VERSION);
    }
    if (version < STORE_SCHEMA_VERSION && !migrate(store, (int)version, error)) {
        return false;
    }
    if (!meta_get(connection, STR("definitions_epoch"), &epoch, &found, error)) {
        return false;
    }
    atomic_store(&store->epoch, (uint64_t)epoch);
    int64_t partitions = 0;
    if (!meta_get(connection, STR("partitions"), &partitions, &found, error)) {
        return false;
    }
    store->partitions = (unsigned)partitions;
    return true;
}

bool schema_prepare(struct store *store, struct error *error)
{
    bool empty = false;
    if (!is_empty(&store->writer.connection, &empty, error)) {
        return false;
    }
    if (empty && store->options.read_only) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no store in '%s'", store->folder);
    }
    if (empty && !schema_create(store, error)) {
        return false;
    }
    return version_check(store, error) && types_read(store, error) && dictionaries_read(store, error) &&
           position_read(store, error);
}
