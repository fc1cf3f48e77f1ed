/* feed.h — what happens after a commit: followers of the feed (live events), and work to be done later (jobs).
 * One thread follows the feed and tells the followers; a few threads run jobs. All of it stops at
 * feed_close, and nothing is lost by that: a follower says from where it goes on, a job that was running is taken
 * again at the next start. */
#ifndef SHANHAI_FEED_FEED_H
#define SHANHAI_FEED_FEED_H

#include "base/arena.h"
#include "base/error.h"
#include "store/jobs.h"
#include "store/read.h"

struct feed;

/* A kind of job (docs/modules/feed.md): what store_set.jobs queued under this name. */
struct job_kind {
    const char *name;
    void *data;
    /* Runs on a worker thread; may take long and blocks nobody but other jobs. True: done, *result for the row (may
     * stay absent). False: *error; ERROR_BUSY and ERROR_FULL are tried again later, all else is final after
     * attempts_max. */
    bool (*run)(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                struct error *error);
    /* Told once when the job is given up; may be NULL. */
    void (*given_up)(void *data, struct arena *arena, const struct store_job *job, const struct error *error);
    unsigned attempts_max; /* 0: 5 */
    bool
        is_lasting; /* may run for hours: the first worker never takes it, so that others do not wait for it */
};

/* Work that the program does by itself from time to time (timers of workflows, back-fill, sweeping). */
struct feed_chore {
    const char *name;
    void *data;
    int64_t every_ms;
    /* *again: there is more to do at once. */
    bool (*run)(void *data, bool *again, struct error *error);
};

struct feed_options {
    struct store *store;
    const struct job_kind *kinds;
    size_t kinds_count;
    const struct feed_chore *chores;
    size_t chores_count;
    unsigned workers; /* threads for jobs; 0: 1 */
};

/* The tables of the options must outlive the feed. */
bool feed_open(struct arena *arena, const struct feed_options *options, struct feed **feed,
               struct error *error) MUST_CHECK;
void feed_close(struct feed *feed); /* NULL is allowed */
/* For long jobs: the program ends, stop at a good place with ERROR_BUSY. NULL is no. Any thread. */
bool feed_is_stopping(struct feed *feed);

/* Told of each committed version, in order, on the feed's thread: short work only. `reader` sees a snapshot at or
 * after it. False: the follower is taken off the list (its `left` is called). */
struct feed_follower {
    void *data;
    bool (*deliver)(void *data, struct store_reader *reader, const struct store_version *version);
    /* What somebody says in passing about a resource, `subject` as it is now; NULL: hears nothing. Only who may read
     * the subject may be told. */
    bool (*hear)(void *data, struct store_reader *reader, const struct store_version *subject,
                 struct str text);
    void (*left)(void *data);   /* last call for this follower */
    uint64_t after_seq;         /* only versions after this one; 0: from now on */
    struct feed_follower *next; /* the feed's own */
    bool leaving;               /* the feed's own */
};

/* The follower is the caller's memory until `left` was called. ERROR_TOO_MANY over LIMIT_FEED_FOLLOWERS;
 * ERROR_GONE when after_seq is so far back that a client should rather read anew. */
bool feed_follow(struct feed *feed, struct feed_follower *follower, struct error *error) MUST_CHECK;

/* Said in passing and kept nowhere (what a presenter points at): told once to the followers that are there. Of what one
 * speaker says about one resource and waits, only the last is told. Copied. Any thread. ERROR_BUSY when too much waits. */
struct feed_word {
    struct str type; /* of the resource that it is about */
    struct str id;
    struct str speaker; /* any name that tells one from the other */
    struct str text;    /* at most LIMIT_FEED_WORD_BYTES */
};
bool feed_say(struct feed *feed, const struct feed_word *word, struct error *error) MUST_CHECK;

/* Takes it off from any thread; `left` is called soon, on the feed's thread. */
void feed_leave(struct feed *feed, struct feed_follower *follower);

#endif
