#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "store/internal.h"

/* ---- opening ---- */

static char *path_join(const char *folder, const char *name)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = memory_new(room);
    if (path != NULL) {
        (void)snprintf(path, room, "%s/%s", folder, name);
    }
    return path;
}

static bool paths_make(struct store *store, const char *folder, struct error *error)
{
    store->folder = path_join(folder, "");
    store->url_path = path_join(folder, "store.url");
    store->path = path_join(folder, "store.db");
    store->blob_folder = path_join(folder, "blobs");
    store->reserve_path = path_join(folder, "reserve");
    if (store->folder == NULL || store->path == NULL || store->blob_folder == NULL ||
        store->reserve_path == NULL || store->url_path == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory");
    }
    store->folder[strlen(folder)] = '\0';
    return true;
}

/* One process a folder: a second one would write with its own idea of the next sequence number. */
static bool folder_lock(struct store *store, struct error *error)
{
    char *path = path_join(store->folder, "lock");
    if (path == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory");
    }
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    memory_free(path);
    if (store->lock_fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot make the lock file in '%s'",
                       store->folder);
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return FAIL_OS(error, ERROR_CONFLICT, "'%s' is in use by another process: stop it first",
                       store->folder);
    }
    return true;
}

/* Room that is given up when the disk is full, so that deleting and checking still work. */
void reserve_make(struct store *store)
{
    int fd = open(store->reserve_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return;
    }
    struct stat state = { 0 };
    bool lacking = fstat(fd, &state) == 0 && state.st_size < LIMIT_STORE_RESERVE_BYTES;
    if (lacking && posix_fallocate(fd, 0, LIMIT_STORE_RESERVE_BYTES) != 0 && ftruncate(fd, 0) != 0) {
        errno = 0; /* too full for it even now: the next open tries again */
    }
    (void)close(fd);
}

void reserve_release(struct store *store)
{
    if (truncate(store->reserve_path, 0) != 0) {
        errno = 0; /* none there: nothing to give up */
    }
}

bool reserve_has_room(const struct store *store)
{
    struct statvfs state = { 0 };
    return statvfs(store->folder, &state) != 0 ||
           (uint64_t)state.f_bavail * state.f_frsize > 4 * (uint64_t)LIMIT_STORE_RESERVE_BYTES;
}

static bool locks_init(struct store *store, struct error *error)
{
    pthread_condattr_t attributes;
    bool ok = pthread_condattr_init(&attributes) == 0 &&
              pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_mutex_init(&store->readers_lock, NULL) == 0 &&
              pthread_mutex_init(&store->sql_places[0].lock, NULL) == 0 &&
              pthread_mutex_init(&store->sql_places[1].lock, NULL) == 0 &&
              pthread_mutex_init(&store->queue_lock, NULL) == 0 &&
              pthread_mutex_init(&store->runs_lock, NULL) == 0 &&
              pthread_mutex_init(&store->jobs_lock, NULL) == 0 &&
              pthread_mutex_init(&store->fold.lock, NULL) == 0 &&
              pthread_cond_init(&store->fold.asked, NULL) == 0 &&
              pthread_mutex_init(&store->seq_lock, NULL) == 0 &&
              pthread_cond_init(&store->readers_free, &attributes) == 0 &&
              pthread_cond_init(&store->queue_filled, &attributes) == 0 &&
              pthread_cond_init(&store->seq_grown, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return ok || FAIL(error, ERROR_INTERNAL, "locks could not be made");
}

/* Readable by its owner only; the engine gives the log the same mode. */
static bool database_file_make(struct store *store, struct error *error)
{
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "cannot make '%s'", store->path);
    }
    (void)close(fd);
    return true;
}

/* ---- a PostgreSQL database in the file's place ---- */

enum { URL_BYTES_MAX = 4096 };

/* What FOLDER/store.url says; *url is NULL when there is none. */
static bool url_read(struct store *store, char **url, struct error *error)
{
    char *text = memory_new(URL_BYTES_MAX);
    int fd = open(store->url_path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 || text == NULL ? 0 : read(fd, text, URL_BYTES_MAX - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        text[--len] = '\0';
    }
    *url = len > 0 ? text : NULL;
    if (len <= 0) {
        memory_free(text);
    }
    return len >= 0 && (fd < 0 || text != NULL) && (*url == NULL || database_is_remote(*url))
               ? true
               : FAIL(error, ERROR_INPUT, "'%s' holds no postgresql:// address", store->url_path);
}

/* Given, else kept in the folder, else the folder's own file. A folder belongs to one store. */
static bool place_choose(struct store *store, struct error *error)
{
    char *kept = NULL;
    struct stat state = { 0 };
    if (!url_read(store, &kept, error)) {
        return false;
    }
    const char *given = store->given_url;
    bool differs = given != NULL && kept != NULL && strcmp(given, kept) != 0;
    bool has_file = stat(store->path, &state) == 0 && state.st_size > 0;
    bool ok = true;
    if (given != NULL && !database_is_remote(given)) {
        ok = FAIL(error, ERROR_INPUT, "a store is named like postgresql://USER@HOST/DATABASE");
    } else if (differs) {
        ok = FAIL(error, ERROR_CONFLICT, "'%s' names another database: change it there if it has moved",
                  store->url_path);
    } else if ((given != NULL || kept != NULL) && has_file) {
        ok = FAIL(error, ERROR_CONFLICT,
                  "'%s' holds a store already: a PostgreSQL store wants a folder of its own", store->folder);
    } else if (given != NULL || kept != NULL) {
        const char *url = given != NULL ? given : kept;
        char *path = path_join(url, "");
        ok = path != NULL || FAIL(error, ERROR_BUSY, "out of memory");
        if (ok) {
            path[strlen(url)] = '\0';
            memory_free(store->path);
            store->path = path;
            store->is_remote = true;
        }
    }
    memory_free(kept);
    return ok;
}

static bool place_keep(struct store *store, struct error *error)
{
    if (!store->is_remote || access(store->url_path, F_OK) == 0) {
        return true;
    }
    int fd = open(store->url_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(store->path);
    bool ok = fd >= 0 && write(fd, store->path, len) == (ssize_t)len && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok || FAIL_OS(error, error_kind_from_errno(errno), "cannot write '%s'", store->url_path);
}

static bool files_open(struct store *store, const char *folder, struct error *error)
{
    if (!paths_make(store, folder, error)) {
        return false;
    }
    if (!place_choose(store, error)) {
        return false;
    }
    if (store->options.read_only) {
        if (!store->is_remote && access(store->path, R_OK) != 0) {
            return FAIL(error, ERROR_NOT_FOUND, "there is no store in '%s'", folder);
        }
    } else if (!folder_create(folder, error) || !folder_create(store->blob_folder, error) ||
               !folder_lock(store, error)) {
        return false;
    }
    if (!store->options.read_only && !place_keep(store, error)) {
        return false;
    }
    if (!store->options.read_only && !store->is_remote && !database_file_make(store, error)) {
        return false;
    }
    /* With no room even the engine's own files cannot be made: the reserve lets it start, read and be repaired. */
    if (!store->options.read_only && !reserve_has_room(store)) {
        reserve_release(store);
        store->writer.full = true;
    }
    if (!connection_open(&store->writer.connection, store->path,
                         store->options.read_only ? DATABASE_READ : DATABASE_WRITE, error)) {
        return false;
    }
    if (!store->options.read_only && !store->writer.full) {
        reserve_make(store);
    }
    return schema_prepare(store, error);
}

bool store_open(const struct store_options *options, struct store **out, struct error *error)
{
    assert(options != NULL && options->folder != NULL);
    if (!database_setup(error)) {
        return false;
    }
    struct store *store = MEMORY_NEW(struct store);
    if (store == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory");
    }
    store->options = *options;
    store->options.folder = NULL; /* the caller's; ours is store->folder */
    store->options.database = NULL;
    store->given_url = options->database;
    store->options.readers_max = options->readers_max == 0 ? LIMIT_STORE_READERS : options->readers_max;
    store->options.waiting_rows_max =
        options->waiting_rows_max == 0 ? LIMIT_STORE_WAITING_ROWS : options->waiting_rows_max;
    store->now_ms = options->now_ms == NULL ? clock_now_ms : options->now_ms;
    store->lock_fd = -1;
    store->queue_end = &store->queue_first;
    bool ok = locks_init(store, error) && codec_init(&store->codec, error) &&
              files_open(store, options->folder, error) && index_start(store, error) &&
              views_load(store, error);
    if (ok && !options->read_only) {
        ok = tables_prepare(store, error) && writer_start(store, error);
    }
    if (!ok) {
        store_close(store);
        return false;
    }
    store->given_url = NULL;
    *out = store;
    return true;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    writer_stop(store);
    assert(store->readers_out == 0);
    while (store->readers != NULL) {
        struct store_reader *reader = store->readers;
        store->readers = reader->next;
        connection_close(&reader->own);
        memory_free(reader);
    }
    connection_close(&store->sql_places[0].connection);
    connection_close(&store->sql_places[1].connection);
    if (store->writer.connection.database != NULL && !store->options.read_only) {
        database_fold_log(store->writer.connection.database, FOLD_ALL);
    }
    connection_close(&store->writer.connection);
    views_free(store);
    index_end(store);
    codec_deinit(&store->codec);
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd); /* lets the lock go */
    }
    (void)pthread_mutex_destroy(&store->readers_lock);
    (void)pthread_mutex_destroy(&store->sql_places[0].lock);
    (void)pthread_mutex_destroy(&store->sql_places[1].lock);
    (void)pthread_mutex_destroy(&store->queue_lock);
    (void)pthread_mutex_destroy(&store->runs_lock);
    (void)pthread_mutex_destroy(&store->jobs_lock);
    (void)pthread_mutex_destroy(&store->fold.lock);
    (void)pthread_mutex_destroy(&store->seq_lock);
    (void)pthread_cond_destroy(&store->readers_free);
    (void)pthread_cond_destroy(&store->queue_filled);
    (void)pthread_cond_destroy(&store->seq_grown);
    memory_free(store->reserve_path);
    memory_free(store->url_path);
    memory_free(store->blob_folder);
    memory_free(store->path);
    memory_free(store->folder);
    memory_free(store);
}

/* ---- state of the whole ---- */

const char *store_blob_folder(const struct store *store)
{
    return store->blob_folder;
}

uint64_t store_seq(const struct store *store)
{
    return atomic_load(&store->seq);
}

uint64_t store_definitions_epoch(const struct store *store)
{
    return atomic_load(&store->epoch);
}

uint64_t store_wait(struct store *store, uint64_t after_seq, int64_t timeout_ms)
{
    struct timespec until = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    (void)pthread_mutex_lock(&store->seq_lock);
    int waited = 0;
    while (atomic_load(&store->seq) <= after_seq && waited == 0) {
        waited = pthread_cond_timedwait(&store->seq_grown, &store->seq_lock, &until);
    }
    (void)pthread_mutex_unlock(&store->seq_lock);
    return atomic_load(&store->seq);
}

bool store_on_commit(struct store *store, void (*wake)(void *data, uint64_t seq_last), void *data,
                     struct error *error)
{
    (void)pthread_mutex_lock(&store->seq_lock);
    bool room = store->listeners_count < STORE_LISTENERS_MAX;
    if (room) {
        store->listeners[store->listeners_count].wake = wake;
        store->listeners[store->listeners_count].data = data;
        store->listeners_count++;
    }
    (void)pthread_mutex_unlock(&store->seq_lock);
    return room || FAIL(error, ERROR_INTERNAL, "more than %d listeners", STORE_LISTENERS_MAX);
}

const uint64_t store_group_bucket_us[STORE_GROUP_BUCKETS] = { 500,   1000,  2500,   5000,  10000,
                                                              25000, 50000, 100000, 500000 };

/* As the server says; false when it says nothing. */
static bool database_size(struct store *store, uint64_t *bytes)
{
    struct store_reader *reader = NULL;
    struct error error = { 0 };
    if (!store_reader_begin(store, &reader, &error)) {
        return false;
    }
    struct statement *statement = connection_statement(reader->connection, SQL_STORE_SIZE, &error);
    bool ok = statement != NULL && statement_step(statement, &error) == STEP_ROW;
    *bytes = ok ? column_key(statement, 0) : 0;
    statement_reset(statement);
    store_reader_end(reader);
    return ok;
}

void store_counts(struct store *store, struct store_counts *counts)
{
    *counts = (struct store_counts){
        .seq = atomic_load(&store->seq),
        .groups = atomic_load(&store->groups),
        .sets = atomic_load(&store->sets),
        .sets_refused = atomic_load(&store->sets_refused),
        .group_us_max = atomic_load(&store->group_us_max),
        .group_us_sum = atomic_load(&store->group_us_sum),
        .sync_us_sum = atomic_load(&store->sync_us_sum),
        .group_sets_max = atomic_load(&store->group_sets_max),
        .rows_waiting = atomic_load(&store->rows_waiting),
        .readers_max = store->options.readers_max,
    };
    for (size_t i = 0; i <= STORE_GROUP_BUCKETS; i++) {
        counts->group_us[i] = atomic_load(&store->group_us[i]);
    }
    (void)pthread_mutex_lock(&store->readers_lock);
    counts->readers_out = store->readers_out;
    (void)pthread_mutex_unlock(&store->readers_lock);
    (void)pthread_mutex_lock(&store->queue_lock);
    counts->queue_sets = store->queue_count;
    (void)pthread_mutex_unlock(&store->queue_lock);
    struct stat state = { 0 };
    if (store->is_remote) {
        counts->database_up = database_size(store, &counts->database_bytes);
    } else {
        counts->database_up = stat(store->path, &state) == 0;
        counts->database_bytes = (uint64_t)state.st_size;
    }
}

/* ---- settings and the epoch ---- */

bool store_setting_get(struct store *store, struct arena *arena, struct str area, struct str name,
                       struct str *value, struct error *error)
{
    struct store_reader *reader = NULL;
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    struct statement *statement = connection_statement(reader->connection, SQL_SETTING_GET, error);
    enum step step = STEP_FAILED;
    struct str found = STR_NONE;
    if (statement != NULL) {
        bind_text(statement, 1, area);
        bind_text(statement, 2, name);
        step = statement_step(statement, error);
        if (step == STEP_ROW) {
            found = column_dup(arena, statement, 0);
        }
        statement_reset(statement);
    }
    store_reader_end(reader);
    if (step == STEP_FAILED) {
        return false;
    }
    *value = found;
    return true;
}

static bool setting_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct str *parts = data; /* area, name, value */
    struct statement *statement =
        connection_statement(transaction->reader.connection, SQL_SETTING_SET, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, parts[0]);
    bind_text(statement, 2, parts[1]);
    bind_bytes(statement, 3, parts[2]);
    return statement_run(statement, error);
}

bool store_setting_set(struct store *store, struct str area, struct str name, struct str value,
                       struct error *error)
{
    struct str parts[3] = { area, name, value };
    return store_apply_and_wait(store, setting_apply, parts, STR_NONE, error);
}

static bool epoch_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    uint64_t *epoch = data;
    struct statement *statement = connection_statement(transaction->reader.connection, SQL_META_SET, error);
    if (statement == NULL) {
        return false;
    }
    /* Only the writer changes it, one set at a time, so reading and adding is safe here. */
    *epoch = atomic_load(&transaction->store->epoch) + 1;
    bind_text(statement, 1, STR("definitions_epoch"));
    bind_integer(statement, 2, (int64_t)*epoch);
    if (!statement_run(statement, error)) {
        return false;
    }
    atomic_store(&transaction->store->epoch, *epoch); /* a commit that fails leaves a harmless gap */
    return true;
}

bool store_raise_definitions_epoch(struct store *store, uint64_t *epoch, struct error *error)
{
    uint64_t raised = 0;
    if (!store_apply_and_wait(store, epoch_apply, &raised, STR_NONE, error)) {
        return false;
    }
    *epoch = raised;
    return true;
}

bool store_is_remote(const struct store *store)
{
    return store->is_remote;
}

bool store_backup(struct store *store, const char *path, struct error *error)
{
    struct stat state = { 0 };
    if (stat(path, &state) == 0) {
        return FAIL(error, ERROR_CONFLICT, "'%s' exists already", path);
    }
    struct connection connection = { 0 };
    bool ok = connection_open(&connection, store->path, DATABASE_READ, error) &&
              database_backup(connection.database, path, error);
    connection_close(&connection);
    return ok;
}
