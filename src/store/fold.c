/* fold.c — folds the write-ahead log back into the database beside the writer. Copying some thousand pages and the
 * sync after it take tens of milliseconds, in which nobody would be answered. So a thread with a connection of its own
 * copies what was in the log when it began, while the writer goes on; the writer then copies the little that came
 * meanwhile, and the log begins anew. */
#include "store/internal.h"

enum {
    FOLD_PAGES = 2048,      /* 8 MB of log: time to fold */
    FOLD_PAGES_MAX = 32768, /* 128 MB: the thread does not keep up; the writer folds and everybody waits */
};

static void *fold_run(void *data)
{
    struct fold *fold = data;
    (void)pthread_mutex_lock(&fold->lock);
    while (!fold->closing) {
        if (fold->state != FOLD_ASKED) {
            (void)pthread_cond_wait(&fold->asked, &fold->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&fold->lock);
        database_fold_log(fold->connection.database, FOLD_BESIDE);
        (void)pthread_mutex_lock(&fold->lock);
        fold->state = FOLD_DONE;
    }
    (void)pthread_mutex_unlock(&fold->lock);
    return NULL;
}

bool fold_start(struct store *store, struct error *error)
{
    struct fold *fold = &store->fold;
    if (!database_has_runs(store->writer.connection.database)) { /* a server folds its log by itself */
        return true;
    }
    if (!connection_open(&fold->connection, store->path, DATABASE_READ, error)) {
        return false;
    }
    if (pthread_create(&fold->thread, NULL, fold_run, fold) != 0) {
        return FAIL(error, ERROR_INTERNAL, "a thread could not be started");
    }
    fold->started = true;
    return true;
}

void fold_stop(struct store *store)
{
    struct fold *fold = &store->fold;
    if (fold->started) {
        (void)pthread_mutex_lock(&fold->lock);
        fold->closing = true;
        (void)pthread_cond_signal(&fold->asked);
        (void)pthread_mutex_unlock(&fold->lock);
        (void)pthread_join(fold->thread, NULL);
        fold->started = false;
    }
    connection_close(&fold->connection);
}

void fold_after_commit(struct store *store)
{
    struct fold *fold = &store->fold;
    struct database *database = store->writer.connection.database;
    if (!fold->started) {
        return;
    }
    unsigned pages = database_log_pages(database);
    bool rest = false;
    (void)pthread_mutex_lock(&fold->lock);
    if (fold->state == FOLD_DONE) {
        fold->state = FOLD_IDLE;
        rest = true;
    } else if (fold->state == FOLD_IDLE && pages >= FOLD_PAGES && pages >= fold->again_at) {
        fold->state = FOLD_ASKED;
        (void)pthread_cond_signal(&fold->asked);
    }
    (void)pthread_mutex_unlock(&fold->lock);
    if (rest || pages >= FOLD_PAGES_MAX) {
        database_fold_log(database, FOLD_PASSIVE);
        /* A reader may keep the log from beginning anew: do not try at every commit. */
        fold->again_at = pages + FOLD_PAGES / 4;
    }
    fold->again_at = pages < fold->pages_before ? 0 : fold->again_at; /* it has begun anew */
    fold->pages_before = pages;
}
