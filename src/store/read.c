#include "store/read.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "store/internal.h"
#include "store/upkeep.h"

enum {
    READER_WAIT_MS = 2000,
    SNAPSHOT_TRIES = 20,
    REST_SNAPSHOTS = 200, /* between two calls of store_rest: hardly anybody reads */
};

/* ---- readers ---- */

static struct store_reader *reader_make(struct store *store, struct error *error)
{
    struct store_reader *reader = MEMORY_NEW(struct store_reader);
    if (reader == NULL) {
        (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
        return NULL;
    }
    reader->store = store;
    reader->connection = &reader->own;
    if (!connection_open(&reader->own, store->path, DATABASE_READ, error)) {
        memory_free(reader);
        return NULL;
    }
    return reader;
}

/* A free reader, or NULL with *make set when a new one may be made. */
static struct store_reader *reader_take(struct store *store, bool *make)
{
    struct timespec until = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += READER_WAIT_MS / 1000;
    (void)pthread_mutex_lock(&store->readers_lock);
    int waited = 0;
    while (store->readers == NULL && store->readers_made == store->options.readers_max && waited == 0) {
        waited = pthread_cond_timedwait(&store->readers_free, &store->readers_lock, &until);
    }
    struct store_reader *reader = store->readers;
    store->snapshots++;
    *make = false;
    if (reader != NULL) {
        store->readers = reader->next;
        store->readers_out++;
    } else if (store->readers_made < store->options.readers_max) {
        store->readers_made++;
        store->readers_out++;
        *make = true;
    }
    (void)pthread_mutex_unlock(&store->readers_lock);
    return reader;
}

static void reader_give(struct store *store, struct store_reader *reader)
{
    (void)pthread_mutex_lock(&store->readers_lock);
    if (reader != NULL) {
        reader->next = store->readers;
        store->readers = reader;
    } else {
        store->readers_made--;
    }
    store->readers_out--;
    (void)pthread_cond_signal(&store->readers_free);
    (void)pthread_mutex_unlock(&store->readers_lock);
}

void store_rest(struct store *store)
{
    (void)pthread_mutex_lock(
        &store->readers_lock); /* held: whoever comes now waits rather than makes a reader */
    bool idle = store->snapshots - store->snapshots_rested <= REST_SNAPSHOTS;
    if (idle) {
        for (struct store_reader *reader = store->readers; reader != NULL; reader = reader->next) {
            database_release(reader->connection->database);
        }
    }
    store->snapshots_rested = store->snapshots;
    (void)pthread_mutex_unlock(&store->readers_lock);
    if (idle) {
        memory_give_back();
    }
}

static void snapshot_end(struct store_reader *reader)
{
    database_set_deadline(reader->connection->database, 0);
    if (database_in_transaction(reader->connection->database)) {
        connection_try(reader->connection, SQL_COMMIT);
    }
    database_runs(reader->connection->database)->count = 0;
    runs_unref(reader->runs);
    reader->runs = NULL;
}

static bool numbers_read(struct store_reader *reader, struct run_mark *mark, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_SNAPSHOT, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        reader->seq = column_key(statement, 0);
        reader->swept = column_key(statement, 4);
        reader->numbered = true;
        *mark =
            (struct run_mark){ column_key(statement, 1), column_key(statement, 2), column_key(statement, 3) };
    }
    statement_reset(statement);
    return step == STEP_ROW || (step == STEP_DONE && FAIL(error, ERROR_INTERNAL, "index_mark is empty"));
}

bool reader_numbers(struct store_reader *reader, struct error *error)
{
    struct run_mark mark = { 0 };
    return reader->numbered || numbers_read(reader, &mark, error);
}

/* The first look into the database fixes the snapshot: ask for the last sequence number at once, but where no index rows
 * wait in memory: there whatever is asked first fixes it, and the number is the snapshot's whenever it is asked for. */
static bool snapshot_begin(struct store_reader *reader, struct run_mark *mark, struct error *error)
{
    struct connection *connection = reader->connection;
    database_set_deadline(connection->database,
                          clock_monotonic_us() + LIMIT_STORE_SNAPSHOT_MS * INT64_C(1000));
    reader->numbered = false;
    return connection_do(connection, SQL_BEGIN_READ, error) &&
           (!database_has_runs(connection->database) || numbers_read(reader, mark, error));
}

/* Holds the runs that are published now. False when they lack one that the snapshot's main index does not have yet. */
static bool runs_take(struct store_reader *reader, const struct run_mark *mark)
{
    struct store *store = reader->store;
    (void)pthread_mutex_lock(&store->runs_lock);
    runs_ref(store->runs);
    reader->runs = store->runs;
    (void)pthread_mutex_unlock(&store->runs_lock);
    return runs_view(reader->runs, mark, reader->seq, database_runs(reader->connection->database));
}

/* First the snapshot, then the runs: those of a later moment have all that the snapshot needs, unless one was wholly
 * merged in between. Then a newer snapshot has it in the main index. */
static bool snapshot_with_runs(struct store_reader *reader, struct error *error)
{
    for (int i = 0; i < SNAPSHOT_TRIES; i++) {
        struct run_mark mark = { 0 };
        if (!snapshot_begin(reader, &mark, error)) {
            return false;
        }
        if (runs_take(reader, &mark)) {
            return true;
        }
        snapshot_end(reader);
    }
    return FAIL(error, ERROR_BUSY, "too many requests are writing; try again in a moment");
}

bool store_reader_begin(struct store *store, struct store_reader **out, struct error *error)
{
    bool make = false;
    struct store_reader *reader = reader_take(store, &make);
    if (reader == NULL && !make) {
        return FAIL(error, ERROR_BUSY, "too many requests are reading; try again in a moment");
    }
    if (make) {
        reader = reader_make(store, error);
        if (reader == NULL) {
            reader_give(store, NULL);
            return false;
        }
    }
    if (!snapshot_with_runs(reader, error)) {
        snapshot_end(reader);
        reader_give(store, reader);
        return false;
    }
    *out = reader;
    return true;
}

void store_reader_end(struct store_reader *reader)
{
    if (reader != NULL && !reader->inside_writer) {
        snapshot_end(reader);
        reader_give(reader->store, reader);
    }
}

uint64_t store_reader_seq(struct store_reader *reader)
{
    struct error error = { 0 };
    if (!reader_numbers(reader, &error)) {
        return 0; /* and so will all else fail in this snapshot */
    }
    return reader->seq;
}

/* ---- rows to versions ---- */

bool version_from_row(struct store_reader *reader, struct arena *arena, struct statement *statement,
                      bool without_body, struct store_version *out, struct error *error)
{
    struct store_version version = {
        .seq = column_key(statement, 0),
        .resource = column_key(statement, 1),
        .version = column_key(statement, 2),
        .type = store_type_name(reader->store, (uint32_t)column_integer(statement, 3)),
        .method = (enum store_method)column_integer(statement, 5),
        .updated_ms = column_integer(statement, 6),
        .custodian = column_key(statement, 7),
        .author = column_key(statement, 8),
        .ended_seq = column_key(statement, 9),
    };
    struct str id = column_bytes(statement, 4);
    bool packed = column_kind(statement, 4) == STORE_VALUE_BYTES;
    if (packed && id.len == 16) {
        if (!id_unpack(arena, id, &version.id)) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    } else {
        version.id = arena_dup(arena, id);
        if (version.id.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    }
    if (version.type.at == NULL) {
        return FAIL(error, ERROR_INTERNAL, "a version of an unknown type: run `shanhai check`");
    }
    if (!without_body && version.method != STORE_METHOD_DELETED &&
        !codec_unpack(&reader->store->codec, arena, column_bytes(statement, 10), &version.body, error)) {
        return false;
    }
    *out = version;
    return true;
}

/* The single row of a prepared statement that gives a version; *found false when there is none. */
static bool version_one(struct store_reader *reader, struct arena *arena, struct statement *statement,
                        bool without_body, struct store_version *version, bool *found, struct error *error)
{
    enum step step = statement_step(statement, error);
    bool ok = step != STEP_FAILED;
    *found = step == STEP_ROW;
    if (step == STEP_ROW) {
        ok = version_from_row(reader, arena, statement, without_body, version, error);
    }
    statement_reset(statement);
    return ok;
}

static bool not_found(struct error *error)
{
    return FAIL(error, ERROR_NOT_FOUND, "there is no resource with that id");
}

/* ---- single reads ---- */

struct statement *statement_by_key(struct store_reader *reader, uint64_t resource, struct error *error)
{
    bool waits = database_has_runs(reader->connection->database);
    uint64_t seq = waits ? index_head(reader, resource) : 0;
    struct statement *statement =
        connection_statement(reader->connection, seq != 0 ? SQL_VERSION_BY_SEQ : SQL_VERSION_BY_KEY, error);
    if (statement != NULL) {
        bind_key(statement, 1, seq != 0 ? seq : resource);
    }
    return statement;
}

struct name {
    struct str type;
    struct str id;
    bool without_body;
};

static bool read_key(struct store_reader *reader, struct arena *arena, uint64_t resource, bool without_body,
                     struct store_version *version, struct error *error)
{
    struct statement *statement = statement_by_key(reader, resource, error);
    if (statement == NULL) {
        return false;
    }
    bool found = false;
    return version_one(reader, arena, statement, without_body, version, &found, error) &&
           (found || not_found(error));
}

bool store_read_key(struct store_reader *reader, struct arena *arena, uint64_t resource,
                    struct store_version *version, struct error *error)
{
    return read_key(reader, arena, resource, false, version, error);
}

static bool read_named(struct store_reader *reader, struct arena *arena, struct name name,
                       struct store_version *out, struct error *error)
{
    struct str type = name.type;
    struct str id = name.id;
    struct store_version version = { 0 };
    if (!read_key(reader, arena, hash_resource_key(type, id), name.without_body, &version, error)) {
        return false;
    }
    /* A key is a hash: another name with the same one is not this resource. */
    if (!str_equal(version.type, type) || !str_equal(version.id, id)) {
        return not_found(error);
    }
    *out = version;
    return true;
}

bool store_read(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                struct store_version *out, struct error *error)
{
    return read_named(reader, arena, (struct name){ .type = type, .id = id }, out, error);
}

bool store_read_head(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                     struct store_version *out, struct error *error)
{
    return read_named(reader, arena, (struct name){ .type = type, .id = id, .without_body = true }, out,
                      error);
}

bool version_read(struct store_reader *reader, struct arena *arena, uint64_t seq, bool without_body,
                  struct store_version *version, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_VERSION_BY_SEQ, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, seq);
    bool found = false;
    return version_one(reader, arena, statement, without_body, version, &found, error) &&
           (found || not_found(error));
}

/* One number from the history; *seq 0 when there is none. */
static bool history_seq(struct store_reader *reader, enum sql which, uint64_t resource, uint64_t number,
                        uint64_t *seq, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, which, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, resource);
    bind_key(statement, 2, number);
    enum step step = statement_step(statement, error);
    *seq = step == STEP_ROW ? column_key(statement, 0) : 0;
    statement_reset(statement);
    return step != STEP_FAILED;
}

bool store_read_version(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                        uint64_t number, struct store_version *version, struct error *error)
{
    struct store_version latest = { 0 };
    if (!store_read(reader, arena, type, id, &latest, error)) {
        return false;
    }
    if (number == latest.version) {
        *version = latest;
        return true;
    }
    uint64_t seq = 0;
    return history_seq(reader, SQL_HISTORY_SEQ, latest.resource, number, &seq, error) &&
           (seq == 0 ? not_found(error) : version_read(reader, arena, seq, false, version, error));
}

bool store_read_as_of(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                      uint64_t as_of_seq, struct store_version *version, struct error *error)
{
    struct store_version latest = { 0 };
    if (!store_read(reader, arena, type, id, &latest, error)) {
        return false;
    }
    if (latest.seq <= as_of_seq) {
        *version = latest;
        return true;
    }
    uint64_t seq = 0;
    return history_seq(reader, SQL_HISTORY_AS_OF, latest.resource, as_of_seq, &seq, error) &&
           (seq == 0 ? not_found(error) : version_read(reader, arena, seq, false, version, error));
}

static bool versions_at_once(struct store_reader *reader, struct arena *arena, const uint64_t *seqs,
                             size_t count, bool without_bodies, struct store_version *versions,
                             struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_VERSIONS_BY_SEQ, error);
    if (statement == NULL) {
        return false;
    }
    bind_integers(statement, 1, (const int64_t *)seqs, count);
    size_t found = 0;
    bool ok = true;
    enum step step = statement_step(statement, error);
    while (ok && step == STEP_ROW && found < count) {
        ok = version_from_row(reader, arena, statement, without_bodies, &versions[found], error);
        found++;
        step = ok ? statement_step(statement, error) : step;
    }
    statement_reset(statement);
    return ok && step != STEP_FAILED && (found == count || not_found(error));
}

bool versions_read(struct store_reader *reader, struct arena *arena, const uint64_t *seqs, size_t count,
                   bool without_bodies, struct store_version *versions, struct error *error)
{
    if (count > 1 && database_dialect(reader->connection->database) == DIALECT_POSTGRESQL) {
        return versions_at_once(reader, arena, seqs, count, without_bodies, versions, error);
    }
    for (size_t i = 0; i < count; i++) {
        if (!version_read(reader, arena, seqs[i], without_bodies, &versions[i], error)) {
            return false;
        }
    }
    return true;
}

bool store_read_seqs(struct store_reader *reader, struct arena *arena, const uint64_t *seqs, size_t count,
                     struct store_version *versions, struct error *error)
{
    return versions_read(reader, arena, seqs, count, false, versions, error);
}

bool store_resource_name(struct store_reader *reader, struct arena *arena, uint64_t resource,
                         struct str *type, struct str *id, struct error *error)
{
    struct statement *statement = statement_by_key(reader, resource, error);
    if (statement == NULL) {
        return false;
    }
    enum step step = statement_step(statement, error);
    struct store_version version = { 0 };
    bool ok = step == STEP_ROW ? version_from_row(reader, arena, statement, true, &version, error)
                               : step == STEP_DONE && not_found(error);
    statement_reset(statement);
    if (ok) {
        *type = version.type;
        *id = version.id;
    }
    return ok;
}

/* ---- pages ---- */

static bool page_read(struct store_reader *reader, struct arena *arena, struct statement *statement,
                      size_t count, bool without_bodies, struct store_page *out, struct error *error)
{
    struct store_page page = { .versions = ARENA_ARRAY(arena, struct store_version, count) };
    if (page.versions == NULL) {
        statement_reset(statement);
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    bool ok = true;
    enum step step = statement_step(statement, error);
    while (ok && step == STEP_ROW) {
        if (page.count == count) {
            page.more = true;
            break;
        }
        ok = version_from_row(reader, arena, statement, without_bodies, &page.versions[page.count], error);
        if (ok) {
            page.next_seq = page.versions[page.count].seq;
            page.count++;
            step = statement_step(statement, error);
        }
    }
    statement_reset(statement);
    if (!ok || step == STEP_FAILED) {
        return false;
    }
    *out = page;
    return true;
}

/* Which statement a history needs, with what it asks for bound from position *at on. */
static struct statement *history_statement(struct store_reader *reader, const struct store_history *history,
                                           const enum sql kinds[3], int *at, struct error *error)
{
    struct statement *statement = NULL;
    *at = 1;
    if (history->id.at != NULL) {
        statement = connection_statement(reader->connection, kinds[0], error);
        if (statement != NULL) {
            bind_key(statement, (*at)++, hash_resource_key(history->type, history->id));
        }
    } else if (history->type.at != NULL) {
        statement = connection_statement(reader->connection, kinds[1], error);
        if (statement != NULL) {
            bind_integer(statement, (*at)++, store_type_number(reader->store, history->type));
        }
    } else {
        statement = connection_statement(reader->connection, kinds[2], error);
    }
    return statement;
}

bool store_read_history(struct store_reader *reader, struct arena *arena, const struct store_history *history,
                        struct store_page *page, struct error *error)
{
    static const enum sql newest[3] = { SQL_INSTANCE_BEFORE, SQL_TYPE_BEFORE, SQL_SYSTEM_BEFORE };
    static const enum sql oldest[3] = { SQL_INSTANCE_AFTER, SQL_TYPE_AFTER, SQL_SYSTEM_AFTER };
    assert(history->count > 0);
    int at = 0;
    const enum sql *kinds = history->oldest_first ? oldest : newest;
    struct statement *statement = history_statement(reader, history, kinds, &at, error);
    if (statement == NULL) {
        return false;
    }
    bool from_the_end = history->before_seq == 0 && !history->oldest_first;
    bind_integer(statement, at++, from_the_end ? INT64_MAX : (int64_t)history->before_seq);
    bind_integer(statement, at++, history->since_ms == 0 ? INT64_MIN : history->since_ms);
    bind_integer(statement, at++, history->until_ms == 0 ? INT64_MAX : history->until_ms);
    bind_integer(statement, at, (int64_t)history->count + 1);
    return page_read(reader, arena, statement, history->count, history->without_bodies, page, error);
}

bool store_count_history(struct store_reader *reader, const struct store_history *history, uint64_t *count,
                         struct error *error)
{
    static const enum sql kinds[3] = { SQL_INSTANCE_COUNT, SQL_TYPE_COUNT, SQL_SYSTEM_COUNT };
    int at = 0;
    struct statement *statement = history_statement(reader, history, kinds, &at, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, at++, history->since_ms == 0 ? INT64_MIN : history->since_ms);
    bind_integer(statement, at, history->until_ms == 0 ? INT64_MAX : history->until_ms);
    enum step step = statement_step(statement, error);
    if (step == STEP_ROW) {
        *count = column_key(statement, 0);
    }
    statement_reset(statement);
    return step == STEP_ROW;
}

bool store_read_feed(struct store_reader *reader, struct arena *arena, uint64_t after_seq, struct str type,
                     size_t count, bool without_bodies, struct store_page *page, struct error *error)
{
    assert(count > 0);
    struct statement *statement =
        connection_statement(reader->connection, type.at == NULL ? SQL_FEED : SQL_FEED_TYPE, error);
    if (statement == NULL) {
        return false;
    }
    int at = 1;
    if (type.at != NULL) {
        bind_integer(statement, at++, store_type_number(reader->store, type));
    }
    bind_key(statement, at++, after_seq);
    bind_integer(statement, at, (int64_t)count + 1);
    return page_read(reader, arena, statement, count, without_bodies, page, error);
}

/* Times of the sequence never go back, so the last version before a time is found by halving. */
bool store_seq_before(struct store_reader *reader, int64_t time_ms, uint64_t *seq, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_VERSION_TIME, error);
    if (statement == NULL || !reader_numbers(reader, error)) {
        return false;
    }
    uint64_t low = 0; /* its time is before; 0 stands for the beginning */
    uint64_t high = reader->seq + 1;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        bind_key(statement, 1, middle);
        enum step step = statement_step(statement, error);
        bool before = step == STEP_ROW && column_integer(statement, 1) < time_ms;
        statement_reset(statement);
        if (step == STEP_FAILED) {
            return false;
        }
        if (before) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *seq = low;
    return true;
}

/* ---- cursors ---- */

bool store_cursor_get(struct store_reader *reader, struct str name, uint64_t *seq, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_CURSOR_GET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, name);
    enum step step = statement_step(statement, error);
    if (step != STEP_FAILED) {
        *seq = step == STEP_ROW ? column_key(statement, 0) : 0;
    }
    statement_reset(statement);
    return step != STEP_FAILED;
}

struct cursor_change {
    struct str name;
    uint64_t seq;
};

static bool cursor_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct cursor_change *change = data;
    struct statement *statement = connection_statement(transaction->reader.connection, SQL_CURSOR_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, change->name);
    bind_key(statement, 2, change->seq);
    return statement_run(statement, error);
}

bool store_cursor_set(struct store *store, struct str name, uint64_t seq, struct error *error)
{
    struct cursor_change change = { name, seq };
    return store_apply_and_wait(store, cursor_apply, &change, STR_NONE, error);
}
