/* feed_internal.h — the feed's threads share one lock and one signal. */
#ifndef SHANHAI_FEED_INTERNAL_H
#define SHANHAI_FEED_INTERNAL_H

#include <pthread.h>

#include "feed/feed.h"

enum { FEED_WORKERS_MAX = 4 };

struct feed {
    struct feed_options options;
    struct arena *arena;
    pthread_mutex_t lock;  /* guards everything below */
    pthread_cond_t signal; /* a commit, a new follower, stopping */
    bool stopping;
    uint64_t committed_seq;
    struct feed_follower *followers;
    size_t followers_count;
    pthread_t follow_thread;
    pthread_t chore_thread;
    pthread_t workers[FEED_WORKERS_MAX];
    unsigned workers_running;
    unsigned workers_begun; /* so that each knows its number */
    bool follow_running;
    bool chores_running;
};

/* Waits for the signal, at most until `until_ms` of the wall clock. With the lock held. */
void feed_wait(struct feed *feed, int64_t until_ms);

void *feed_job_thread(void *feed);
void *feed_chore_thread(void *feed);

#endif
