#include "store/jobs.h"

#include "base/hash.h"
#include "store/internal.h"

bool job_add(struct store *store, struct store_job_new *job, struct error *error)
{
    struct connection *connection = &store->writer.connection;
    store->writer.changed_jobs = true;
    if (job->unique.at != NULL) {
        struct statement *same = connection_statement(connection, SQL_JOB_UNIQUE, error);
        if (same == NULL) {
            return false;
        }
        bind_text(same, 1, job->unique);
        enum step step = statement_step(same, error);
        uint64_t id = step == STEP_ROW ? column_key(same, 0) : 0;
        statement_reset(same);
        if (step != STEP_DONE) {
            job->id = id;
            return step == STEP_ROW;
        }
    }
    struct statement *statement = connection_statement(connection, SQL_JOB_ADD, error);
    if (statement == NULL) {
        return false;
    }
    bind_text(statement, 1, job->kind);
    bind_text(statement, 2, job->subject);
    bind_text(statement, 3, job->unique);
    bind_bytes(statement, 4, job->input);
    bind_integer(statement, 5, job->run_after_ms);
    bind_integer(statement, 6, store->writer.transaction.now_ms);
    enum step step = statement_step(statement, error);
    if (step == STEP_ROW) {
        job->id = column_key(statement, 0);
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool job_from_row(struct arena *arena, struct statement *statement, struct store_job *out,
                         struct error *error)
{
    struct store_job job = {
        .id = column_key(statement, 0),
        .kind = column_dup(arena, statement, 1),
        .subject = column_dup(arena, statement, 2),
        .unique = column_dup(arena, statement, 3),
        .state = (enum store_job_state)column_integer(statement, 4),
        .input = column_dup(arena, statement, 5),
        .result = column_dup(arena, statement, 6),
        .progress = (unsigned)column_integer(statement, 7),
        .attempts = (unsigned)column_integer(statement, 8),
        .run_after_ms = column_integer(statement, 9),
        .created_ms = column_integer(statement, 10),
        .updated_ms = column_integer(statement, 11),
    };
    if (job.kind.at == NULL || (job.input.at == NULL && !column_is_null(statement, 5))) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *out = job;
    return true;
}

struct take {
    const struct str *kinds;
    size_t kinds_count;
    struct arena *arena;
    struct store_job job;
    bool found;
};

static bool take_kind(struct take *take, struct str kind, struct store_transaction *transaction,
                      struct error *error)
{
    struct connection *connection = transaction->reader.connection;
    struct statement *next = connection_statement(connection, SQL_JOB_NEXT, error);
    struct statement *start = connection_statement(connection, SQL_JOB_START, error);
    if (next == NULL || start == NULL) {
        return false;
    }
    bind_text(next, 1, kind);
    bind_integer(next, 2, transaction->now_ms);
    enum step step = statement_step(next, error);
    bool ok = step != STEP_FAILED;
    if (step == STEP_ROW) {
        struct store_job job = { 0 };
        ok = job_from_row(take->arena, next, &job, error);
        if (ok && (!take->found || job.id < take->job.id)) { /* the oldest of all kinds */
            take->job = job;
            take->found = true;
        }
    }
    statement_reset(next);
    return ok;
}

static bool take_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct take *take = data;
    take->found = false; /* a group that is tried again starts anew */
    for (size_t i = 0; i < take->kinds_count; i++) {
        if (!take_kind(take, take->kinds[i], transaction, error)) {
            return false;
        }
    }
    if (!take->found) {
        return true;
    }
    transaction->store->writer.changed_jobs = true;
    struct statement *start = connection_statement(transaction->reader.connection, SQL_JOB_START, error);
    if (start == NULL) {
        return false;
    }
    bind_key(start, 1, take->job.id);
    bind_integer(start, 2, transaction->now_ms);
    take->job.state = STORE_JOB_RUNNING;
    take->job.attempts++;
    take->job.updated_ms = transaction->now_ms;
    return statement_run(start, error);
}

static uint64_t kinds_hash(const struct str *kinds, size_t count)
{
    uint64_t hash = count + 1;
    for (size_t i = 0; i < count; i++) {
        hash = hash64(kinds[i], hash);
    }
    return hash;
}

/* Workers look after each commit: as long as nothing changed in the jobs, without asking the database. */
static bool looked_find(struct store *store, struct jobs_looked *asked)
{
    bool found = false;
    (void)pthread_mutex_lock(&store->jobs_lock);
    for (size_t i = 0; i < STORE_JOBS_LOOKED; i++) {
        const struct jobs_looked *looked = &store->jobs_looked[i];
        if (looked->kinds == asked->kinds && looked->changes == asked->changes) {
            asked->due_ms = looked->due_ms;
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&store->jobs_lock);
    return found;
}

static void looked_note(struct store *store, const struct jobs_looked *looked)
{
    (void)pthread_mutex_lock(&store->jobs_lock);
    size_t at = 0;
    while (at < STORE_JOBS_LOOKED && store->jobs_looked[at].kinds != looked->kinds) {
        at++;
    }
    if (at == STORE_JOBS_LOOKED) {
        at = store->jobs_looked_next++ % STORE_JOBS_LOOKED;
    }
    store->jobs_looked[at] = *looked;
    (void)pthread_mutex_unlock(&store->jobs_lock);
}

static bool jobs_look(struct store *store, const struct str *kinds, size_t kinds_count, int64_t *due_ms,
                      struct error *error)
{
    struct store_reader *reader = NULL;
    struct jobs_looked looked = { .kinds = kinds_hash(kinds, kinds_count),
                                  .changes = atomic_load(&store->jobs_changes) };
    if (!looked_find(store, &looked)) {
        if (!store_reader_begin(store, &reader, error)) {
            return false;
        }
        bool ok = store_job_next_due(reader, kinds, kinds_count, &looked.due_ms, error);
        store_reader_end(reader);
        if (!ok) {
            return false;
        }
        looked_note(store, &looked);
    }
    *due_ms = looked.due_ms;
    return true;
}

bool store_job_take(struct store *store, struct arena *arena, const struct str *kinds, size_t kinds_count,
                    struct store_job *job, bool *found, struct error *error)
{
    /* Looking first keeps idle workers from making empty commits. */
    int64_t due_ms = INT64_MAX;
    if (!jobs_look(store, kinds, kinds_count, &due_ms, error)) {
        return false;
    }
    if (due_ms > store->now_ms()) {
        *found = false;
        return true;
    }
    struct take take = { .kinds = kinds, .kinds_count = kinds_count, .arena = arena };
    if (!store_apply_and_wait(store, take_apply, &take, STR_NONE, error)) {
        return false;
    }
    *found = take.found;
    *job = take.job;
    return true;
}

uint64_t store_jobs_changes(const struct store *store)
{
    return atomic_load(&store->jobs_changes);
}

struct progress {
    uint64_t id;
    unsigned per_mille;
};

static bool progress_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct progress *progress = data;
    struct statement *statement =
        connection_statement(transaction->reader.connection, SQL_JOB_PROGRESS, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, progress->id);
    bind_integer(statement, 2, progress->per_mille);
    bind_integer(statement, 3, transaction->now_ms);
    return statement_run(statement, error);
}

bool store_job_progress(struct store *store, uint64_t id, unsigned per_mille, struct error *error)
{
    struct progress progress = { id, per_mille > 1000 ? 1000 : per_mille };
    return store_apply_and_wait(store, progress_apply, &progress, STR_NONE, error);
}

bool store_job_end_in(struct store_transaction *transaction, const struct store_job_end *end,
                      struct error *error)
{
    assert(end->state == STORE_JOB_DONE || end->state == STORE_JOB_FAILED || end->state == STORE_JOB_QUEUED);
    struct connection *connection = transaction->reader.connection;
    transaction->store->writer.changed_jobs = true;
    struct statement *statement = connection_statement(connection, SQL_JOB_END, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, end->id);
    bind_integer(statement, 2, end->state);
    bind_bytes(statement, 3, end->result);
    bind_integer(statement, 4, end->run_after_ms);
    bind_integer(statement, 5, transaction->now_ms);
    bind_integer(statement, 6, end->uncounted ? 1 : 0);
    if (!statement_run(statement, error)) {
        return false;
    }
    return database_changes(connection->database) == 1 ||
           FAIL(error, ERROR_CONFLICT, "the job is not running");
}

struct word {
    uint64_t id;
    struct str why; /* absent: try again */
};

static bool word_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct word *word = data;
    bool again = word->why.at == NULL;
    struct connection *connection = transaction->reader.connection;
    transaction->store->writer.changed_jobs = true;
    struct statement *statement =
        connection_statement(connection, again ? SQL_JOB_RETRY : SQL_JOB_CANCEL, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, word->id);
    if (again) {
        bind_integer(statement, 2, transaction->now_ms);
    } else {
        bind_bytes(statement, 2, word->why);
        bind_integer(statement, 3, transaction->now_ms);
    }
    if (!statement_run(statement, error)) {
        return false;
    }
    return database_changes(connection->database) == 1 ||
           FAIL(error, ERROR_CONFLICT,
                again ? "only a job that failed is tried again" : "only a job that waits can be taken back");
}

bool store_job_retry(struct store *store, uint64_t id, struct error *error)
{
    struct word word = { .id = id };
    return store_apply_and_wait(store, word_apply, &word, STR_NONE, error);
}

bool store_job_cancel(struct store *store, uint64_t id, struct str why, struct error *error)
{
    struct word word = { .id = id, .why = why };
    assert(why.at != NULL);
    return store_apply_and_wait(store, word_apply, &word, STR_NONE, error);
}

bool store_job_counts(struct store_reader *reader, struct arena *arena, struct store_job_count **counts,
                      size_t *count, struct error *error)
{
    enum { COUNTS_MAX = 256 };
    struct statement *statement = connection_statement(reader->connection, SQL_JOB_COUNTS, error);
    struct store_job_count *list = ARENA_ARRAY(arena, struct store_job_count, COUNTS_MAX);
    if (statement == NULL || list == NULL) {
        return statement != NULL && FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    size_t found = 0;
    enum step step = statement_step(statement, error);
    while (step == STEP_ROW && found < COUNTS_MAX) {
        list[found++] = (struct store_job_count){ .kind = column_dup(arena, statement, 0),
                                                  .state = (enum store_job_state)column_integer(statement, 1),
                                                  .count = (uint64_t)column_integer(statement, 2) };
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    *counts = list;
    *count = found;
    return step != STEP_FAILED;
}

static bool end_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    return store_job_end_in(transaction, data, error);
}

bool store_job_end(struct store *store, const struct store_job_end *end, struct error *error)
{
    struct store_job_end copy = *end;
    return store_apply_and_wait(store, end_apply, &copy, STR_NONE, error);
}

bool store_job_get(struct store_reader *reader, struct arena *arena, uint64_t id, struct store_job *job,
                   struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_JOB_GET, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, id);
    enum step step = statement_step(statement, error);
    bool ok = step == STEP_ROW ? job_from_row(arena, statement, job, error)
                               : step == STEP_DONE && FAIL(error, ERROR_NOT_FOUND, "there is no such job");
    statement_reset(statement);
    return ok;
}

bool store_job_list(struct store_reader *reader, struct arena *arena, const struct store_jobs_query *query,
                    struct store_job **out, size_t *count, struct error *error)
{
    assert(query->count > 0 && query->count <= LIMIT_STORE_ROWS);
    struct statement *statement = connection_statement(reader->connection, SQL_JOB_LIST, error);
    struct store_job *jobs = ARENA_ARRAY(arena, struct store_job, query->count);
    if (statement == NULL) {
        return false;
    }
    if (jobs == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    bind_text(statement, 1, query->kind);
    bind_text(statement, 2, query->subject);
    bind_integer(statement, 3, query->state);
    bind_integer(statement, 4, query->before_id == 0 ? INT64_MAX : (int64_t)query->before_id);
    bind_integer(statement, 5, (int64_t)query->count);
    size_t found = 0;
    bool ok = true;
    enum step step = statement_step(statement, error);
    while (ok && step == STEP_ROW) {
        ok = job_from_row(arena, statement, &jobs[found], error);
        found++;
        step = ok ? statement_step(statement, error) : step;
    }
    statement_reset(statement);
    if (!ok || step == STEP_FAILED) {
        return false;
    }
    *out = jobs;
    *count = found;
    return true;
}

bool store_job_next_due(struct store_reader *reader, const struct str *kinds, size_t kinds_count,
                        int64_t *due_ms, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_JOB_DUE, error);
    if (statement == NULL) {
        return false;
    }
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < kinds_count; i++) {
        bind_text(statement, 1, kinds[i]);
        enum step step = statement_step(statement, error);
        if (step == STEP_ROW && column_integer(statement, 0) < due) {
            due = column_integer(statement, 0);
        }
        statement_reset(statement);
        if (step == STEP_FAILED) {
            return false;
        }
    }
    *due_ms = due;
    return true;
}

enum { PRUNE_COUNT = 1000 };

struct pruning {
    int64_t before_ms;
    struct str kept;
    bool more;
};

static bool prune_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    struct pruning *pruning = data;
    struct connection *connection = transaction->reader.connection;
    struct statement *statement = connection_statement(connection, SQL_JOB_PRUNE, error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, pruning->before_ms);
    bind_text(statement, 2, pruning->kept);
    bind_integer(statement, 3, PRUNE_COUNT);
    bool ok = statement_run(statement, error);
    pruning->more = ok && database_changes(connection->database) == PRUNE_COUNT;
    return ok;
}

bool store_job_prune(struct store *store, int64_t before_ms, struct str kept, bool *more, struct error *error)
{
    struct pruning pruning = { .before_ms = before_ms, .kept = kept };
    bool ok = store_apply_and_wait(store, prune_apply, &pruning, STR_NONE, error);
    *more = ok && pruning.more;
    return ok;
}
