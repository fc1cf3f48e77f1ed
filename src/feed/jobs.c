/* Workers and chores. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "feed/feed_internal.h"

enum {
    JOB_ATTEMPTS = 5,
    JOB_RETRY_MS = 5000,
    JOB_RETRY_MS_MAX = 10 * 60 * 1000,
    JOB_POLL_MS = 2000,
    JOB_KINDS_MAX = 16
};

static const struct job_kind *kind_of(const struct feed *feed, struct str name)
{
    for (size_t i = 0; i < feed->options.kinds_count; i++) {
        if (str_equal_cstr(name, feed->options.kinds[i].name)) {
            return &feed->options.kinds[i];
        }
    }
    return NULL;
}

static bool take_job(struct feed *feed, struct arena *arena, unsigned worker, struct store_job *job)
{
    struct str names[JOB_KINDS_MAX];
    struct error error = { 0 };
    bool found = false;
    bool takes_lasting = worker > 0 || feed->options.workers <= 1;
    size_t count = 0;
    for (size_t i = 0; i < feed->options.kinds_count && count < JOB_KINDS_MAX; i++) {
        if (takes_lasting || !feed->options.kinds[i].is_lasting) {
            names[count++] = str_from_cstr(feed->options.kinds[i].name);
        }
    }
    if (!store_job_take(feed->options.store, arena, names, count, job, &found, &error)) {
        LOG_WARNING("jobs: %s", error.text);
        return false;
    }
    return found;
}

/* Twice as long after each attempt. */
static int64_t retry_delay_ms(unsigned attempts)
{
    int64_t delay_ms = JOB_RETRY_MS;
    while (attempts-- > 1 && delay_ms < JOB_RETRY_MS_MAX) {
        delay_ms *= 2;
    }
    return delay_ms < JOB_RETRY_MS_MAX ? delay_ms : JOB_RETRY_MS_MAX;
}

static void run_job(struct feed *feed, struct arena *arena, const struct store_job *job)
{
    const struct job_kind *kind = kind_of(feed, job->kind);
    struct error error = { 0 };
    struct store_job_end end = { .id = job->id, .state = STORE_JOB_DONE };
    unsigned attempts_max = kind->attempts_max == 0 ? JOB_ATTEMPTS : kind->attempts_max;
    if (!kind->run(kind->data, arena, job, &end.result, &error)) {
        bool passing = error.kind == ERROR_BUSY || error.kind == ERROR_FULL || error.kind == ERROR_INTERNAL;
        bool put_back = error.kind == ERROR_BUSY && feed_is_stopping(feed);
        bool again = put_back || (passing && job->attempts < attempts_max);
        end.state = again ? STORE_JOB_QUEUED : STORE_JOB_FAILED;
        end.uncounted = put_back;
        end.run_after_ms = clock_now_ms() + (put_back ? 0 : retry_delay_ms(job->attempts));
        end.result = arena_dup(arena, str_from_cstr(error.text));
        LOG_WARNING("job %s %llu: %s%s", kind->name, (unsigned long long)job->id, error.text,
                    again ? " (will be tried again)" : "");
        if (!again && kind->given_up != NULL) {
            kind->given_up(kind->data, arena, job, &error);
        }
    }
    struct error end_error = { 0 };
    if (!store_job_end(feed->options.store, &end, &end_error)) {
        LOG_WARNING("job %s %llu could not be ended: %s", kind->name, (unsigned long long)job->id,
                    end_error.text);
    }
}

void *feed_job_thread(void *data)
{
    struct feed *feed = data;
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    (void)pthread_mutex_lock(&feed->lock);
    unsigned worker = feed->workers_begun++;
    while (!feed->stopping) {
        uint64_t seen = feed->jobs_changes; /* before looking: what is queued meanwhile is not slept over */
        (void)pthread_mutex_unlock(&feed->lock);
        struct store_job job = { 0 };
        bool found = take_job(feed, &arena, worker, &job);
        if (found) {
            run_job(feed, &arena, &job);
        }
        arena_reset(&arena);
        (void)pthread_mutex_lock(&feed->lock);
        if (!found && !feed->stopping && feed->jobs_changes == seen) {
            feed_wait(feed, &feed->jobs_changed, clock_now_ms() + JOB_POLL_MS);
        }
    }
    (void)pthread_mutex_unlock(&feed->lock);
    arena_deinit(&arena);
    return NULL;
}

void *feed_chore_thread(void *data)
{
    struct feed *feed = data;
    int64_t due_ms[16] = { 0 };
    size_t count = feed->options.chores_count < 16 ? feed->options.chores_count : 16;
    (void)pthread_mutex_lock(&feed->lock);
    while (!feed->stopping) {
        int64_t next_ms = INT64_MAX;
        for (size_t i = 0; i < count && !feed->stopping; i++) {
            const struct feed_chore *chore = &feed->options.chores[i];
            struct error error = { 0 };
            bool again = false;
            if (clock_now_ms() >= due_ms[i]) {
                (void)pthread_mutex_unlock(&feed->lock);
                if (!chore->run(chore->data, &again, &error)) {
                    LOG_WARNING("%s: %s", chore->name, error.text);
                }
                (void)pthread_mutex_lock(&feed->lock);
                due_ms[i] = again ? 0 : clock_now_ms() + chore->every_ms;
            }
            next_ms = due_ms[i] < next_ms ? due_ms[i] : next_ms;
        }
        while (!feed->stopping && clock_now_ms() < next_ms) {
            feed_wait(feed, &feed->stopped, next_ms);
        }
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return NULL;
}
