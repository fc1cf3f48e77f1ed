/* database_sqlite.c — SQLite as the store's engine: the only file that knows it, beside its functions and the tables of
 * runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "store/database_functions.h"
#include "store/database_packed.h"
#include "store/database_runs.h"
#include "store/engine.h"
#include "store/sql.h"

enum {
    PROGRESS_STEPS = 4000, /* engine steps between two looks at the limits */
    BUSY_TIMEOUT_MS = 5000,
    HIDDEN_BYTES_MAX = 64 * 1024,
};

#define MAPPED_BYTES "2147418112"

struct sqlite {
    struct database base;
    sqlite3 *engine;
    int64_t deadline_us;
    uint64_t steps_left;
    bool steps_bound;
    unsigned log_pages; /* length of the write-ahead log after the last commit */
    struct database_functions functions;
    bool mapped;       /* reads through a mapping of the file */
    struct buf hidden; /* DATABASE_VIEWS: "\nname\nname\n" of the tables that no SQL may name */
};

struct sqlite_statement {
    struct statement base;
    sqlite3_stmt *engine;
    struct sqlite *database;
};

static struct sqlite *sqlite_of(struct database *database)
{
    return (struct sqlite *)database;
}

static sqlite3_stmt *engine_of(struct statement *statement)
{
    return ((struct sqlite_statement *)statement)->engine;
}

/* The kernel's reason for a failed write to the file or its log; the engine itself forgets it. */
static int file_errno(sqlite3 *engine)
{
    int reason = 0;
    sqlite3_file *log = NULL;
    (void)sqlite3_file_control(engine, "main", SQLITE_FCNTL_LAST_ERRNO, &reason);
    if (reason == 0 &&
        sqlite3_file_control(engine, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log != NULL && log->pMethods != NULL) {
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &reason);
    }
    return reason;
}

static bool fail_engine(struct sqlite *database, int code, struct error *error)
{
    sqlite3 *engine = database->engine;
    const char *text = engine == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(engine);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return FAIL(error, ERROR_FULL, "the disk is full: nothing was stored; free space and try again");
    case SQLITE_IOERR: {
        int system_errno = engine == NULL ? 0 : file_errno(engine);
        /* Of the log's index, which is mapped, the engine forgets the reason; there is no other. */
        bool no_room = code == SQLITE_IOERR_SHMSIZE;
        if (no_room || system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG) {
            return FAIL(error, ERROR_FULL, "the disk is full: nothing was stored; free space and try again");
        }
        return FAIL(error, ERROR_INTERNAL, "the disk failed (code %d, errno %d)", code, system_errno);
    }
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return FAIL(error, ERROR_BUSY, "the database is in use; try again");
    case SQLITE_INTERRUPT:
        return FAIL(error, ERROR_TOO_COSTLY,
                    "the search looks at too many rows: add a more selective criterion");
    case SQLITE_CONSTRAINT:
        return FAIL(error, ERROR_CONFLICT, "there is one already (%s)", text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return FAIL(error, ERROR_INTERNAL,
                    "the database file is damaged: run `shanhai check` and restore a backup");
    case SQLITE_AUTH:
        return FAIL(error, ERROR_INPUT, "the SQL may only read views");
    case SQLITE_NOMEM:
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    default:
        return FAIL(error, ERROR_INTERNAL, "database: %s (code %d)", text, code);
    }
}

static int look_at_limits(void *data)
{
    struct sqlite *database = data;
    if (database->steps_bound) {
        if (database->steps_left < PROGRESS_STEPS) {
            return 1;
        }
        database->steps_left -= PROGRESS_STEPS;
    }
    return database->deadline_us != 0 && clock_monotonic_us() > database->deadline_us ? 1 : 0;
}

static int note_log_length(void *data, sqlite3 *engine, const char *name, int pages)
{
    (void)engine;
    (void)name;
    struct sqlite *database = data;
    database->log_pages = pages > 0 ? (unsigned)pages : 0;
    return SQLITE_OK;
}

bool database_setup(struct error *error)
{
    /* +5 to 10 % with two threads (limits.md section 3). Fails harmlessly when the engine is started already. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_initialize() != SQLITE_OK) {
        return FAIL(error, ERROR_INTERNAL, "the database engine does not start");
    }
    return true;
}

static int hide(void *data, int count, char **values, char **names)
{
    (void)count;
    (void)names;
    struct sqlite *database = data;
    buf_add(&database->hidden, str_from_cstr(values[0]));
    buf_add_char(&database->hidden, '\n');
    return 0;
}

/* What indicator SQL gets: our functions, small values, and no other tables than views. */
static bool views_setup(struct sqlite *database, struct error *error)
{
    (void)sqlite3_limit(database->engine, SQLITE_LIMIT_LENGTH, LIMIT_RESOURCE_BYTES);
    database->hidden = (struct buf){ .bytes_max = HIDDEN_BYTES_MAX };
    buf_add(&database->hidden,
            STR("\nsqlite_master\nsqlite_schema\nsqlite_temp_master\nsqlite_temp_schema\n"));
    int code = database_functions_register(database->engine, &database->functions);
    if (code == SQLITE_OK) {
        code =
            sqlite3_exec(database->engine, sql_text(DIALECT_SQLITE, SQL_TABLE_NAMES), hide, database, NULL);
    }
    if (code != SQLITE_OK || database->hidden.failed) {
        return fail_engine(database, code, error);
    }
    return true;
}

static bool runs_setup(struct sqlite *database, enum database_mode mode, struct error *error)
{
    int code = SQLITE_OK;
    if (mode != DATABASE_VIEWS) {
        code = database_runs_register(database->engine, "run", &database->base.runs);
        code = code == SQLITE_OK ? database_packed_register(database->engine) : code;
    }
    if (code == SQLITE_OK && mode == DATABASE_WRITE) {
        code = database_runs_register(database->engine, "slice", &database->base.slice);
        code = code == SQLITE_OK ? database_packed_register_pack(database->engine) : code;
    }
    return code == SQLITE_OK || fail_engine(database, code, error);
}

static void sqlite_close(struct database *base)
{
    struct sqlite *database = sqlite_of(base);
    (void)sqlite3_close_v2(database->engine);
    buf_deinit(&database->hidden);
    memory_free(database);
}

static bool sqlite_run(struct database *base, const char *sql, struct error *error)
{
    struct sqlite *database = sqlite_of(base);
    int code = sqlite3_exec(database->engine, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || fail_engine(database, code, error);
}

static bool sqlite_open(const char *path, enum database_mode mode, struct database **out, struct error *error)
{
    assert(path != NULL);
    struct sqlite *database = MEMORY_NEW(struct sqlite);
    if (database == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
    flags |= mode == DATABASE_WRITE ? SQLITE_OPEN_CREATE : 0;
    int code = sqlite3_open_v2(path, &database->engine, flags, NULL);
    if (code == SQLITE_OK) {
        /* First of all: two connections opening at once otherwise fail with "locked" (limits.md section 3). */
        code = sqlite3_busy_timeout(database->engine, BUSY_TIMEOUT_MS);
    }
    if (code != SQLITE_OK) {
        (void)fail_engine(database, code, error);
        sqlite_close(&database->base);
        return false;
    }
    (void)sqlite3_extended_result_codes(database->engine, 1);
    (void)sqlite3_db_config(database->engine, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database->engine, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_db_config(database->engine, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    bool ok = false;
    database->mapped = mode != DATABASE_WRITE;
    switch (mode) {
    case DATABASE_WRITE:
        ok = sqlite_run(&database->base,
                        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                        "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=33554432;"
                        "PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF;",
                        error);
        (void)sqlite3_wal_hook(database->engine, note_log_length, database);
        break;
    case DATABASE_READ:
        ok = sqlite_run(&database->base,
                        "PRAGMA query_only=ON; PRAGMA mmap_size=" MAPPED_BYTES "; PRAGMA cache_size=-2048;"
                        "PRAGMA temp_store=MEMORY;",
                        error);
        break;
    case DATABASE_VIEWS: /* makes temporary SQL views, so query_only cannot be on; the authorizer guards it */
        ok = sqlite_run(
            &database->base,
            "PRAGMA mmap_size=" MAPPED_BYTES "; PRAGMA cache_size=-2048; PRAGMA temp_store=MEMORY;", error);
        break;
    }
    ok = ok && (mode != DATABASE_VIEWS || views_setup(database, error)) && runs_setup(database, mode, error);
    if (!ok) {
        sqlite_close(&database->base);
        return false;
    }
    sqlite3_progress_handler(database->engine, PROGRESS_STEPS, look_at_limits, database);
    database->base.engine = &engine_sqlite;
    *out = &database->base;
    return true;
}

static bool sqlite_prepare(struct database *base, struct str sql, struct statement **out, struct error *error)
{
    struct sqlite *database = sqlite_of(base);
    struct sqlite_statement *statement = MEMORY_NEW(struct sqlite_statement);
    if (statement == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    const char *tail = NULL;
    int code = sql.len > 1000000 ? SQLITE_TOOBIG
                                 : sqlite3_prepare_v3(database->engine, sql.at, (int)sql.len,
                                                      SQLITE_PREPARE_PERSISTENT, &statement->engine, &tail);
    if (code != SQLITE_OK) {
        memory_free(statement);
        /* The engine's parser takes about a hundred open brackets; only a chain of chains under rights gets there. */
        return code == SQLITE_ERROR && strcmp(sqlite3_errmsg(database->engine), "parser stack overflow") == 0
                   ? FAIL(error, ERROR_TOO_COSTLY,
                          "the search follows too many references at once: make it two")
                   : fail_engine(database, code, error);
    }
    if (statement->engine == NULL || !str_is_empty(str_trim(str_skip(sql, (size_t)(tail - sql.at))))) {
        (void)sqlite3_finalize(statement->engine);
        memory_free(statement);
        return FAIL(error, ERROR_INPUT, "exactly one SQL statement is expected");
    }
    statement->base.engine = &engine_sqlite;
    statement->database = database;
    *out = &statement->base;
    return true;
}

static void sqlite_finalize_statement(struct statement *statement)
{
    (void)sqlite3_finalize(engine_of(statement));
    memory_free(statement);
}

/* A position that does not exist is our own mistake, so binding asserts instead of returning an error. */
static void bound(int code)
{
    assert(code == SQLITE_OK || code == SQLITE_NOMEM || code == SQLITE_TOOBIG);
    (void)code;
}

static void sqlite_bind_integer(struct statement *statement, int at, int64_t value)
{
    bound(sqlite3_bind_int64(engine_of(statement), at, value));
}

static void sqlite_bind_real(struct statement *statement, int at, double value)
{
    bound(sqlite3_bind_double(engine_of(statement), at, value));
}

static void sqlite_bind_text(struct statement *statement, int at, struct str text)
{
    bound(sqlite3_bind_text64(engine_of(statement), at, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8));
}

static void sqlite_bind_bytes(struct statement *statement, int at, struct str bytes)
{
    bound(sqlite3_bind_blob64(engine_of(statement), at, bytes.at, bytes.len, SQLITE_STATIC));
}

static void sqlite_bind_null(struct statement *statement, int at)
{
    bound(sqlite3_bind_null(engine_of(statement), at));
}

static int sqlite_bind_count(struct statement *statement)
{
    return sqlite3_bind_parameter_count(engine_of(statement));
}

static const char *sqlite_bind_name(struct statement *statement, int at)
{
    const char *name = sqlite3_bind_parameter_name(engine_of(statement), at);
    return name == NULL ? "" : name;
}

static enum step sqlite_step(struct statement *statement, struct error *error)
{
    int code = sqlite3_step(engine_of(statement));
    if (code == SQLITE_ROW) {
        return STEP_ROW;
    }
    if (code == SQLITE_DONE) {
        return STEP_DONE;
    }
    (void)fail_engine(((struct sqlite_statement *)statement)->database, code, error);
    return STEP_FAILED;
}

static void sqlite_reset(struct statement *statement)
{
    (void)sqlite3_reset(engine_of(statement));
}

static int64_t sqlite_column_integer(struct statement *statement, int at)
{
    return sqlite3_column_int64(engine_of(statement), at);
}

static double sqlite_column_real(struct statement *statement, int at)
{
    return sqlite3_column_double(engine_of(statement), at);
}

static struct str sqlite_column_bytes(struct statement *statement, int at)
{
    const char *bytes = sqlite3_column_blob(engine_of(statement), at);
    int len = sqlite3_column_bytes(engine_of(statement), at);
    if (bytes == NULL) {
        return sqlite3_column_type(engine_of(statement), at) == SQLITE_NULL ? STR_NONE : STR("");
    }
    return (struct str){ bytes, (size_t)len };
}

static enum store_value_kind sqlite_column_kind(struct statement *statement, int at)
{
    switch (sqlite3_column_type(engine_of(statement), at)) {
    case SQLITE_INTEGER:
        return STORE_VALUE_INTEGER;
    case SQLITE_FLOAT:
        return STORE_VALUE_REAL;
    case SQLITE_TEXT:
        return STORE_VALUE_TEXT;
    case SQLITE_BLOB:
        return STORE_VALUE_BYTES;
    default:
        return STORE_VALUE_NULL;
    }
}

static int sqlite_columns(struct statement *statement)
{
    return sqlite3_column_count(engine_of(statement));
}

static const char *sqlite_column_name(struct statement *statement, int at)
{
    const char *name = sqlite3_column_name(engine_of(statement), at);
    return name == NULL ? "" : name;
}

static bool sqlite_is_read_only(struct statement *statement)
{
    return sqlite3_stmt_readonly(engine_of(statement)) != 0;
}

static bool sqlite_in_transaction(struct database *base)
{
    struct sqlite *database = sqlite_of(base);
    return sqlite3_get_autocommit(database->engine) == 0;
}

static uint64_t sqlite_changes(struct database *base)
{
    struct sqlite *database = sqlite_of(base);
    return (uint64_t)sqlite3_changes64(database->engine);
}

static void sqlite_set_deadline(struct database *base, int64_t deadline_us)
{
    struct sqlite *database = sqlite_of(base);
    database->deadline_us = deadline_us;
}

static void sqlite_set_steps(struct database *base, uint64_t steps)
{
    struct sqlite *database = sqlite_of(base);
    database->steps_bound = steps != 0;
    database->steps_left = steps;
}

static void sqlite_release(struct database *base)
{
    struct sqlite *database = sqlite_of(base);
    (void)sqlite3_db_release_memory(database->engine);
    if (database->mapped) { /* what was read stays mapped otherwise, once for each reader */
        (void)sqlite3_exec(database->engine, "PRAGMA mmap_size=0; PRAGMA mmap_size=" MAPPED_BYTES, NULL, NULL,
                           NULL);
    }
}

static void sqlite_fold_log(struct database *base, enum fold_mode mode)
{
    struct sqlite *database = sqlite_of(base);
    int how = mode == FOLD_ALL ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    (void)sqlite3_wal_checkpoint_v2(database->engine, NULL, how, NULL, NULL);
}

static unsigned sqlite_log_pages(const struct database *base)
{
    const struct sqlite *database = (const struct sqlite *)base;
    return database->log_pages;
}

static bool sqlite_backup(struct database *base, const char *path, struct error *error)
{
    struct sqlite *database = sqlite_of(base);
    struct sqlite copy = { 0 };
    int fd =
        open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* readable by its owner only, from the start */
    if (fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot make '%s'", path);
    }
    (void)close(fd);
    int code = sqlite3_open_v2(path, &copy.engine, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *backup = NULL;
    if (code == SQLITE_OK) {
        backup = sqlite3_backup_init(copy.engine, "main", database->engine, "main");
        code = backup == NULL ? sqlite3_errcode(copy.engine) : SQLITE_OK;
    }
    if (backup != NULL) {
        code = sqlite3_backup_step(backup, -1);
        int finished = sqlite3_backup_finish(backup);
        code = code == SQLITE_DONE ? finished : code;
    }
    bool ok = code == SQLITE_OK || fail_engine(&copy, code, error);
    (void)sqlite3_close_v2(copy.engine);
    return ok;
}

static bool is_hidden(const struct sqlite *database, const char *name)
{
    char line[128];
    int len = snprintf(line, sizeof line, "\n%s\n", name);
    if (len < 0 || (size_t)len >= sizeof line) {
        return true;
    }
    struct str hidden = buf_str(&database->hidden);
    return str_find(hidden, (struct str){ line, (size_t)len }) < hidden.len;
}

static int allow_views_only(void *data, int action, const char *a, const char *b, const char *schema,
                            const char *by)
{
    (void)by;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b != NULL && strcmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_READ:
        /* Views are temporary SQL views of this connection over tables whose names begin with "view_". A sub-query
         * has no schema, but neither has a table of which only rows are counted. */
        if (a == NULL || strncmp(a, "view_", 5) == 0) {
            return SQLITE_OK;
        }
        if (schema == NULL) {
            return is_hidden(data, a) ? SQLITE_DENY : SQLITE_OK;
        }
        return strcmp(schema, "temp") == 0 && strncmp(a, "sqlite_", 7) != 0 ? SQLITE_OK : SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

static void sqlite_lock_to_views(struct database *base, bool locked)
{
    struct sqlite *database = sqlite_of(base);
    (void)sqlite3_set_authorizer(database->engine, locked ? allow_views_only : NULL, database);
}

static void sqlite_set_functions(struct database *base, int offset_minutes, uint64_t as_of_seq)
{
    struct sqlite *database = sqlite_of(base);
    database->functions.offset_minutes = offset_minutes;
    database->functions.as_of_seq = as_of_seq;
}

static bool sqlite_run_statement(struct statement *statement, struct error *error)
{
    enum step step = STEP_ROW;
    while (step == STEP_ROW) {
        step = sqlite_step(statement, error);
    }
    sqlite_reset(statement);
    return step == STEP_DONE;
}

static bool sqlite_is_fenced(const struct database *database)
{
    (void)database;
    return false;
}

const struct engine engine_sqlite = {
    .dialect = DIALECT_SQLITE,
    .open = sqlite_open,
    .close = sqlite_close,
    .run = sqlite_run,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize_statement,
    .bind_integer = sqlite_bind_integer,
    .bind_real = sqlite_bind_real,
    .bind_text = sqlite_bind_text,
    .bind_bytes = sqlite_bind_bytes,
    .bind_null = sqlite_bind_null,
    .bind_count = sqlite_bind_count,
    .bind_name = sqlite_bind_name,
    .step = sqlite_step,
    .reset = sqlite_reset,
    .run_later = sqlite_run_statement,
    .column_integer = sqlite_column_integer,
    .column_real = sqlite_column_real,
    .column_bytes = sqlite_column_bytes,
    .column_kind = sqlite_column_kind,
    .columns = sqlite_columns,
    .column_name = sqlite_column_name,
    .is_read_only = sqlite_is_read_only,
    .in_transaction = sqlite_in_transaction,
    .changes = sqlite_changes,
    .set_deadline = sqlite_set_deadline,
    .set_steps = sqlite_set_steps,
    .release = sqlite_release,
    .fold_log = sqlite_fold_log,
    .log_pages = sqlite_log_pages,
    .backup = sqlite_backup,
    .is_fenced = sqlite_is_fenced,
    .lock_to_views = sqlite_lock_to_views,
    .set_functions = sqlite_set_functions,
};
