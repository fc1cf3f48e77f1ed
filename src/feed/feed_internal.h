/* feed_internal.h — the feed's threads share one lock; each has a signal of its own, so that a busy writer wakes only
 * whom it concerns. */
#ifndef SHANHAI_FEED_INTERNAL_H
#define SHANHAI_FEED_INTERNAL_H

#include <pthread.h>

#include "base/limits.h"
#include "feed/feed.h"

enum { FEED_WORKERS_MAX = 4, FEED_NAME_BYTES = 96 };

/* A word that waits: texts of its own. */
struct feed_waiting_word {
    char type[FEED_NAME_BYTES];
    char id[FEED_NAME_BYTES];
    char speaker[FEED_NAME_BYTES];
    char text[LIMIT_FEED_WORD_BYTES];
    size_t type_len;
    size_t id_len;
    size_t speaker_len;
    size_t text_len;
};

struct feed {
    struct feed_options options;
    struct arena *arena;
    pthread_mutex_t lock;        /* guards everything below */
    pthread_cond_t followed;     /* a commit while somebody follows, a new or a leaving follower, stopping */
    pthread_cond_t jobs_changed; /* a commit that changed jobs, stopping */
    pthread_cond_t stopped;
    bool stopping;
    uint64_t committed_seq;
    uint64_t jobs_changes; /* store_jobs_changes when jobs_changed was last signalled */
    struct feed_follower *followers;
    size_t followers_count;
    struct feed_waiting_word words[LIMIT_FEED_WORDS]; /* the oldest first */
    size_t words_count;
    pthread_t follow_thread;
    pthread_t chore_thread;
    pthread_t workers[FEED_WORKERS_MAX];
    unsigned workers_running;
    unsigned workers_begun; /* so that each knows its number */
    bool follow_running;
    bool chores_running;
};

/* Waits for the signal, at most until `until_ms` of the wall clock. With the lock held. */
void feed_wait(struct feed *feed, pthread_cond_t *signal, int64_t until_ms);

/* Tells the oldest word that waits. With the lock held, which it lets go meanwhile. On the followers' thread. */
void feed_tell_word(struct feed *feed);

void *feed_job_thread(void *feed);
void *feed_chore_thread(void *feed);

#endif
