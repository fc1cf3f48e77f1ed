/* jobs.h — work to be done later, as rows: queued in the commit that causes it (store_set.jobs), taken by workers,
 * visible with progress, resumed after a crash (a job that was running when the program died is queued again).
 * Which kinds there are and who runs them is feed's affair. Workers sleep until store_on_commit tells of one. */
#ifndef SHANHAI_STORE_JOBS_H
#define SHANHAI_STORE_JOBS_H

#include "store/read.h"

enum store_job_state {
    STORE_JOB_QUEUED = 1,
    STORE_JOB_RUNNING = 2,
    STORE_JOB_DONE = 3,
    STORE_JOB_FAILED = 4
};

struct store_job {
    uint64_t id;
    struct str kind;
    struct str subject;
    struct str unique;
    enum store_job_state state;
    struct str input;
    struct str result; /* DONE: the kind's own; FAILED: a text for a person */
    unsigned progress; /* per mille */
    unsigned attempts; /* how often it was taken */
    int64_t run_after_ms;
    int64_t created_ms;
    int64_t updated_ms;
};

/* How many commits changed jobs since the store was opened: who has seen this number need not look again before the
 * next due time. Counted before the listeners of the commit are called. */
uint64_t store_jobs_changes(const struct store *store);

/* Takes the oldest due job of the kinds and marks it running. *found false when none is due. Waits for the commit. */
bool store_job_take(struct store *store, struct arena *arena, const struct str *kinds, size_t kinds_count,
                    struct store_job *job, bool *found, struct error *error) MUST_CHECK;

/* Progress, and the end: DONE, FAILED, or QUEUED again at run_after_ms. Ending a job that is not running is
 * ERROR_CONFLICT. The `_in` form ends it in the commit of its results (store_set.apply). */
bool store_job_progress(struct store *store, uint64_t id, unsigned per_mille, struct error *error) MUST_CHECK;

struct store_job_end {
    uint64_t id;
    enum store_job_state state;
    struct str result;
    int64_t run_after_ms;
    bool uncounted; /* QUEUED: this time was no attempt (the program stops) */
};
bool store_job_end(struct store *store, const struct store_job_end *end, struct error *error) MUST_CHECK;
bool store_job_end_in(struct store_transaction *transaction, const struct store_job_end *end,
                      struct error *error) MUST_CHECK;

/* An administrator's word: a failed job is queued anew, with its attempts counted from 0; one that waits is failed with the
 * text `why`. ERROR_CONFLICT when the job is not in that state. */
bool store_job_retry(struct store *store, uint64_t id, struct error *error) MUST_CHECK;
bool store_job_cancel(struct store *store, uint64_t id, struct str why, struct error *error) MUST_CHECK;

/* How many jobs there are of each kind in each state. */
struct store_job_count {
    struct str kind;
    enum store_job_state state;
    uint64_t count;
};
bool store_job_counts(struct store_reader *reader, struct arena *arena, struct store_job_count **counts,
                      size_t *count, struct error *error) MUST_CHECK;

bool store_job_get(struct store_reader *reader, struct arena *arena, uint64_t id, struct store_job *job,
                   struct error *error) MUST_CHECK; /* ERROR_NOT_FOUND */

/* Newest first; kind, subject absent and state 0 = any; ids below before_id (0 = from the newest). */
struct store_jobs_query {
    struct str kind;
    struct str subject;
    enum store_job_state state;
    uint64_t before_id;
    size_t count;
};
bool store_job_list(struct store_reader *reader, struct arena *arena, const struct store_jobs_query *query,
                    struct store_job **jobs, size_t *count, struct error *error) MUST_CHECK;

/* Takes away done jobs of all kinds but `kept` that ended before `before_ms`, some at a time; *more: there may be others.
 * Failed ones stay until somebody has seen to them. */
bool store_job_prune(struct store *store, int64_t before_ms, struct str kept, bool *more,
                     struct error *error) MUST_CHECK;

/* When the next queued job of the kinds is due; INT64_MAX when none. */
bool store_job_next_due(struct store_reader *reader, const struct str *kinds, size_t kinds_count,
                        int64_t *due_ms, struct error *error) MUST_CHECK;

#endif
