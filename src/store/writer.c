/* writer.c — the queue and the one writer thread: takes the waiting sets together, one transaction and one sync a
 * group, and answers only after the sync. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "store/internal.h"
#include "store/packed_rows.h"

enum {
    REST_MS = 2000,         /* nobody wrote for so long and nothing waits: memory is given back */
    IDLE_MS = 200,          /* nobody wrote for so long: index rows that wait are merged */
    IDLE_MERGE_ROWS = 8000, /* in one transaction: about 10 ms */
    CLOSING_MERGE_US = 1000000,
};

struct store_waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
    bool failed;
    struct error error;
};

/* ---- handing in ---- */

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool refuse_twice(const struct store_set *set, struct error *error)
{
    uint64_t *keys = ARENA_ARRAY(set->arena, uint64_t, set->writes_count);
    if (keys == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < set->writes_count; i++) {
        keys[i] = hash_resource_key(set->writes[i].type, set->writes[i].id);
    }
    qsort(keys, set->writes_count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < set->writes_count; i++) {
        if (keys[i] == keys[i - 1]) {
            return FAIL(error, ERROR_INPUT, "a resource may be in one transaction only once");
        }
    }
    return true;
}

static bool prepare_write(struct store *store, struct arena *arena, struct store_write *write,
                          struct error *error)
{
    if (!type_is_valid(write->type)) {
        return FAIL(error, ERROR_INPUT, "not a resource type");
    }
    if (!id_is_valid(write->id)) {
        return FAIL(error, ERROR_INPUT, "an id has 1 to 64 letters, digits, '-' or '.'");
    }
    write->result.seq = 0;
    if (write->method == STORE_METHOD_DELETED) {
        assert(write->index == NULL);
        return true;
    }
    assert(write->body.at != NULL);
    if (write->body.len > LIMIT_RESOURCE_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "a resource has at most %d bytes", LIMIT_RESOURCE_BYTES);
    }
    if (write->index != NULL && write->index->count > LIMIT_STORE_INDEX_ROWS) {
        return FAIL(error, ERROR_TOO_COSTLY, "the resource has more than %d values to search by",
                    LIMIT_STORE_INDEX_ROWS);
    }
    return (store->is_remote || packed_rows_make(arena, write->index, &write->packed_rows, error)) &&
           codec_pack(&store->codec, arena, write->type, write->body, &write->packed, error);
}

bool store_set_prepare(struct store *store, struct store_set *set, struct error *error)
{
    assert(set != NULL);
    assert(set->arena != NULL || set->writes_count == 0);
    if (set->prepared) {
        return true;
    }
    if (set->writes_count > LIMIT_BUNDLE_ENTRIES || set->refills_count > LIMIT_BUNDLE_ENTRIES) {
        return FAIL(error, ERROR_TOO_COSTLY, "at most %d entries in one transaction", LIMIT_BUNDLE_ENTRIES);
    }
    if (set->audit_record.len > LIMIT_RESOURCE_BYTES ||
        (set->audit_record.at != NULL && store->options.audit == NULL)) {
        return FAIL(error, ERROR_INTERNAL, "an audit record that nobody takes");
    }
    if (set->writes_count > 1 && !refuse_twice(set, error)) {
        return false;
    }
    for (size_t i = 0; i < set->writes_count; i++) {
        if (!prepare_write(store, set->arena, &set->writes[i], error)) {
            return false;
        }
    }
    set->prepared = true;
    return true;
}

static bool enqueue(struct store *store, struct store_set *set, struct error *error)
{
    if (store->options.read_only) {
        return FAIL(error, ERROR_FORBIDDEN, "the store is open for reading only");
    }
    if (!store_set_prepare(store, set, error)) {
        return false;
    }
    set->next = NULL;
    (void)pthread_mutex_lock(&store->queue_lock);
    bool room = store->queue_count < LIMIT_STORE_QUEUE_SETS && !store->closing;
    if (room) {
        *store->queue_end = set;
        store->queue_end = &set->next;
        store->queue_count++;
        if (store->queue_count == 1) {
            (void)pthread_cond_signal(&store->queue_filled);
        }
    }
    (void)pthread_mutex_unlock(&store->queue_lock);
    return room || FAIL(error, ERROR_BUSY, "too many writes are waiting; try again in a moment");
}

bool store_submit(struct store *store, struct store_set *set, struct error *error)
{
    assert(set->done != NULL);
    set->waiter = NULL;
    return enqueue(store, set, error);
}

static struct store_waiter *waiter_make(struct error *error)
{
    struct store_waiter *waiter = MEMORY_NEW(struct store_waiter);
    bool locked = waiter != NULL && pthread_mutex_init(&waiter->lock, NULL) == 0;
    if (!locked || pthread_cond_init(&waiter->ended, NULL) != 0) {
        if (locked) {
            (void)pthread_mutex_destroy(&waiter->lock);
        }
        memory_free(waiter);
        (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
        return NULL;
    }
    return waiter;
}

bool store_write_and_wait(struct store *store, struct store_set *set, struct error *error)
{
    struct store_waiter *waiter = waiter_make(error);
    if (waiter == NULL) {
        return false;
    }
    set->waiter = waiter;
    bool ok = enqueue(store, set, error);
    if (ok) {
        (void)pthread_mutex_lock(&waiter->lock);
        while (!waiter->done) {
            (void)pthread_cond_wait(&waiter->ended, &waiter->lock);
        }
        (void)pthread_mutex_unlock(&waiter->lock);
        ok = !waiter->failed;
        if (!ok && error != NULL) {
            *error = waiter->error;
        }
    }
    (void)pthread_cond_destroy(&waiter->ended);
    (void)pthread_mutex_destroy(&waiter->lock);
    memory_free(waiter);
    return ok;
}

/* After this the set is the caller's again and must not be touched. */
static void answer(struct store_set *set, const struct error *error)
{
    struct store_waiter *waiter = set->waiter;
    if (set->done != NULL) {
        set->done(set, error);
    }
    if (waiter != NULL) {
        (void)pthread_mutex_lock(&waiter->lock);
        waiter->done = true;
        waiter->failed = error != NULL;
        if (error != NULL) {
            waiter->error = *error;
        }
        (void)pthread_cond_signal(&waiter->ended);
        (void)pthread_mutex_unlock(&waiter->lock);
    }
}

/* ---- one group ---- */

static bool clock_check(struct store *store, struct error *error)
{
    struct writer *writer = &store->writer;
    int64_t now_ms = store->now_ms();
    if (now_ms < writer->updated_ms - LIMIT_STORE_CLOCK_BACK_MS) {
        return FAIL(
            error, ERROR_BUSY,
            "the clock is %d s before the last stored change: set the clock right, writing goes on then",
            (int)((writer->updated_ms - now_ms) / 1000));
    }
    writer->transaction.now_ms = now_ms > writer->updated_ms ? now_ms : writer->updated_ms;
    return true;
}

/* When the disk was found full, ordinary sets are told at once instead of filling the last room again. */
static bool full_check(struct store *store, const struct store_set *set, struct error *error)
{
    struct writer *writer = &store->writer;
    if (!writer->full) {
        return true;
    }
    if (reserve_has_room(store)) {
        writer->full = false;
        reserve_make(store);
        return true;
    }
    if (set->repair) {
        reserve_release(store);
        return true;
    }
    return FAIL(error, ERROR_FULL, "the disk is full: nothing was stored; free space and try again");
}

struct position { /* what a rollback takes back */
    uint64_t seq;
    int64_t updated_ms;
    size_t types_count;
};

static void take_back(struct store *store, struct position before)
{
    struct writer *writer = &store->writer;
    if (database_in_transaction(writer->connection.database)) {
        connection_try(&writer->connection, SQL_ROLLBACK);
    }
    writer->seq = before.seq;
    writer->updated_ms = before.updated_ms;
    writer->types_count = before.types_count;
    atomic_store_explicit(&store->types_count, before.types_count, memory_order_release);
    index_after_rollback(store);
    if (writer->changed_views && !views_reload(store, NULL)) {
        writer->changed_views = true; /* the database cannot even be read: writes will say so */
    }
}

/* Applies the sets of writer->group in one transaction. False: nothing of it is stored and *error says why. */
static bool try_group(struct store *store, size_t count, struct error *error)
{
    struct writer *writer = &store->writer;
    struct position before = { writer->seq, writer->updated_ms, writer->types_count };
    bool any = false;
    bool ok = clock_check(store, error) && connection_do(&writer->connection, SQL_BEGIN_WRITE, error) &&
              heads_prepare(store, count, error);
    for (size_t i = 0; ok && i < count; i++) {
        struct outcome_of_set *outcome = &writer->group[i];
        outcome->applied = false;
        outcome->error = (struct error){ 0 };
        if (!full_check(store, outcome->set, &outcome->error)) {
            continue;
        }
        switch (apply_set(store, outcome->set, &outcome->error)) {
        case APPLIED:
            outcome->applied = true;
            any = true;
            break;
        case REFUSED:
            break;
        case BROKEN:
            ok = false;
            *error = outcome->error;
            break;
        }
    }
    heads_forget(writer);
    if (ok && !any) {
        take_back(store, before);
        return true;
    }
    ok = ok && (store->options.audit == NULL || audit_add_group(store, count, error));
    ok = ok && index_before_commit(store, 0, error);
    int64_t commit_us = clock_monotonic_us();
    ok = ok && connection_do(&writer->connection, SQL_COMMIT, error);
    atomic_fetch_add(&store->sync_us_sum, (uint64_t)(clock_monotonic_us() - commit_us));
    if (!ok) {
        take_back(store, before);
        return false;
    }
    index_after_commit(store);
    atomic_fetch_add(&store->jobs_changes, writer->changed_jobs ? 1 : 0);
    writer->changed_jobs = false;
    writer->updated_ms = writer->transaction.now_ms;
    writer->changed_views = false;
    return true;
}

/* Nothing can be written any more: whoever opened the store is told, once. */
static void tell_lost(struct store *store, const struct error *error)
{
    struct writer *writer = &store->writer;
    if (!writer->told_lost && database_is_fenced(writer->connection.database)) {
        writer->told_lost = true;
        if (store->options.lost != NULL) {
            store->options.lost(store->options.lost_data, error->text);
        }
    }
}

static void refuse_all(struct writer *writer, size_t count, const struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        writer->group[i].applied = false;
        writer->group[i].error = *error;
    }
}

static void publish(struct store *store)
{
    (void)pthread_mutex_lock(&store->seq_lock);
    atomic_store(&store->seq, store->writer.seq);
    (void)pthread_cond_broadcast(&store->seq_grown);
    (void)pthread_mutex_unlock(&store->seq_lock);
}

static void answer_all(struct store *store, size_t count)
{
    struct writer *writer = &store->writer;
    for (size_t i = 0; i < count; i++) {
        struct outcome_of_set *outcome = &writer->group[i];
        atomic_fetch_add(outcome->applied ? &store->sets : &store->sets_refused, 1);
        if (outcome->applied) {
            outcome->set->seq_last = writer->seq;
        }
        answer(outcome->set, outcome->applied ? NULL : &outcome->error);
        outcome->set = NULL;
    }
}

static void count_group(struct store *store, size_t sets, uint64_t took_us)
{
    size_t bucket = 0;
    while (bucket < STORE_GROUP_BUCKETS && took_us > store_group_bucket_us[bucket]) {
        bucket++;
    }
    if (took_us > atomic_load(&store->group_us_max)) {
        atomic_store(&store->group_us_max, took_us);
    }
    if (sets > atomic_load(&store->group_sets_max)) {
        atomic_store(&store->group_sets_max, sets);
    }
    atomic_fetch_add(&store->group_us[bucket], 1);
    atomic_fetch_add(&store->group_us_sum, took_us);
    atomic_fetch_add(&store->groups, 1);
}

static void write_group(struct store *store, size_t count)
{
    struct writer *writer = &store->writer;
    struct error error = { 0 };
    int64_t start_us = clock_monotonic_us();
    bool ok = try_group(store, count, &error);
    if (!ok && error.kind != ERROR_FULL && error.kind != ERROR_BUSY && count > 1) {
        /* One of them broke the group: each gets its own, so that only the guilty one is refused. Sets move to
         * place 0 because the audit of a group is gathered from there. */
        struct outcome_of_set *group = writer->group;
        for (size_t i = 0; i < count; i++) {
            struct outcome_of_set kept = group[0];
            group[0].set = group[i].set;
            if (!try_group(store, 1, &error)) {
                refuse_all(writer, 1, &error);
            } else if (store->options.audit != NULL) {
                audit_hand_over(store, 1);
            }
            struct outcome_of_set result = group[0];
            group[0] = i == 0 ? result : kept;
            group[i] = result;
        }
    } else if (!ok) {
        writer->full = error.kind == ERROR_FULL && !store->is_remote;
        refuse_all(writer, count, &error);
        tell_lost(store, &error);
    } else if (store->options.audit != NULL) {
        audit_hand_over(store, count);
    }
    count_group(store, count, (uint64_t)(clock_monotonic_us() - start_us));
    publish(store);
    answer_all(store, count);
    for (size_t i = 0; i < store->listeners_count; i++) {
        store->listeners[i].wake(store->listeners[i].data, writer->seq);
    }
    fold_after_commit(store); /* after the answers: it is nobody's waiting time but the next group's */
}

/* ---- the thread ---- */

/* The waiting sets; none when the store closes, or when nothing came for `idle_ms` while index rows wait, or for REST_MS while
 * the pages of a burst are still kept. */
static size_t take_group(struct store *store, long idle_ms, bool *closing)
{
    struct writer *writer = &store->writer;
    size_t count = 0;
    size_t writes_count = 0;
    (void)pthread_mutex_lock(&store->queue_lock);
    int waited = 0;
    struct timespec until = { 0 };
    bool merges = index_waits(store);
    bool wakes = merges || !writer->rested;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (merges ? idle_ms : REST_MS) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (store->queue_first == NULL && !store->closing && waited == 0) {
        waited = wakes ? pthread_cond_timedwait(&store->queue_filled, &store->queue_lock, &until)
                       : pthread_cond_wait(&store->queue_filled, &store->queue_lock);
    }
    *closing = store->closing;
    while (store->queue_first != NULL && count < STORE_GROUP_SETS_MAX) {
        struct store_set *set = store->queue_first;
        size_t writes = set->writes_count + set->refills_count;
        if (count > 0 && writes_count + writes > LIMIT_STORE_GROUP_WRITES) {
            break;
        }
        writes_count += writes;
        store->queue_first = set->next;
        store->queue_count--;
        writer->group[count] = (struct outcome_of_set){ .set = set };
        count++;
    }
    if (store->queue_first == NULL) {
        store->queue_end = &store->queue_first;
    }
    (void)pthread_mutex_unlock(&store->queue_lock);
    return count;
}

/* Carries on merging when nobody writes. False when it does not go (a full disk): it is tried again later. */
static bool merge_some(struct store *store)
{
    struct writer *writer = &store->writer;
    struct error error = { 0 };
    bool ok = !writer->full && connection_do(&writer->connection, SQL_BEGIN_WRITE, &error) &&
              index_before_commit(store, IDLE_MERGE_ROWS, &error) &&
              connection_do(&writer->connection, SQL_COMMIT, &error);
    if (ok) {
        index_after_commit(store);
        fold_after_commit(store);
        return true;
    }
    if (database_in_transaction(writer->connection.database)) {
        connection_try(&writer->connection, SQL_ROLLBACK);
    }
    index_after_rollback(store);
    return false;
}

/* After a burst the pages and rows of it would stay with the program for good; also after one that left no rows to merge (a
 * re-index, a sweep, a job). */
static void rest(struct store *store)
{
    database_release(store->writer.connection.database);
    memory_give_back();
    store->writer.rested = true;
}

static void *writer_run(void *data)
{
    struct store *store = data;
    bool closing = false;
    bool idle = false; /* since some time: goes on merging without waiting again */
    for (;;) {
        size_t count = take_group(store, idle ? 0 : IDLE_MS, &closing);
        if (count > 0) {
            idle = false;
            store->writer.rested = false;
            write_group(store, count);
        } else if (closing) {
            break; /* and the queue is empty */
        } else {
            idle = index_waits(store) && merge_some(store);
            if (!index_waits(store)) {
                rest(store);
            }
        }
    }
    /* So that the next start has nothing to read; what is left after some time stays where it is. */
    int64_t until_us = clock_monotonic_us() + CLOSING_MERGE_US;
    while (index_waits(store) && clock_monotonic_us() < until_us && merge_some(store)) {}
    return NULL;
}

static bool jobs_revive(struct store *store, struct error *error)
{
    struct statement *statement = connection_statement(&store->writer.connection, SQL_JOB_REVIVE, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, store->now_ms());
    return statement_run(statement, error);
}

bool writer_start(struct store *store, struct error *error)
{
    struct writer *writer = &store->writer;
    writer->transaction.store = store;
    writer->transaction.reader = (struct store_reader){
        .store = store, .connection = &writer->connection, .inside_writer = true, .numbered = true
    };
    if (!audit_start(store, error) || !jobs_revive(store, error) || !fold_start(store, error)) {
        return false;
    }
    if (pthread_create(&writer->thread, NULL, writer_run, store) != 0) {
        return FAIL(error, ERROR_INTERNAL, "the writer thread could not be started");
    }
    writer->started = true;
    return true;
}

void writer_stop(struct store *store)
{
    if (!store->writer.started) {
        fold_stop(store);
        return;
    }
    (void)pthread_mutex_lock(&store->queue_lock);
    store->closing = true;
    (void)pthread_cond_signal(&store->queue_filled);
    (void)pthread_mutex_unlock(&store->queue_lock);
    (void)pthread_join(store->writer.thread, NULL);
    store->writer.started = false;
    fold_stop(store);
}
