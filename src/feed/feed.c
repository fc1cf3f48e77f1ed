/* The follower thread, and starting and stopping. */
#include "feed/feed.h"

#include <assert.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "feed/feed_internal.h"

enum { FEED_PAGE_VERSIONS = 256, FEED_IDLE_MS = 1000 };

static void feed_on_commit(void *data, uint64_t seq_last)
{
    struct feed *feed = data;
    (void)pthread_mutex_lock(&feed->lock);
    feed->committed_seq = seq_last;
    if (feed->followers != NULL) {
        (void)pthread_cond_signal(&feed->followed);
    }
    uint64_t jobs_changes = store_jobs_changes(feed->options.store);
    if (jobs_changes != feed->jobs_changes) {
        feed->jobs_changes = jobs_changes;
        (void)pthread_cond_broadcast(&feed->jobs_changed);
    }
    (void)pthread_mutex_unlock(&feed->lock);
}

void feed_wait(struct feed *feed, pthread_cond_t *signal, int64_t until_ms)
{
    struct timespec until = clock_deadline(until_ms);
    (void)pthread_cond_timedwait(signal, &feed->lock, &until);
}

/* Takes leaving followers off the list. With the lock held; `left` is called without it. */
static void drop_leaving(struct feed *feed)
{
    struct feed_follower **link = &feed->followers;
    while (*link != NULL) {
        struct feed_follower *follower = *link;
        if (!follower->leaving) {
            link = &follower->next;
            continue;
        }
        *link = follower->next;
        feed->followers_count--;
        (void)pthread_mutex_unlock(&feed->lock);
        follower->left(follower->data);
        (void)pthread_mutex_lock(&feed->lock);
        link = &feed->followers; /* the list may have changed meanwhile */
    }
}

/* The sequence number that everybody has; UINT64_MAX without followers. With the lock held. */
static uint64_t slowest(const struct feed *feed)
{
    uint64_t seq = UINT64_MAX;
    for (const struct feed_follower *follower = feed->followers; follower != NULL;
         follower = follower->next) {
        seq = follower->after_seq < seq ? follower->after_seq : seq;
    }
    return seq;
}

static void deliver_page(struct feed *feed, struct store_reader *reader, const struct store_page *page,
                         uint64_t reached)
{
    /* Only this thread takes followers off the list, so walking it without the lock is safe; new ones are
     * put at its head. */
    (void)pthread_mutex_lock(&feed->lock);
    struct feed_follower *first = feed->followers;
    (void)pthread_mutex_unlock(&feed->lock);
    for (struct feed_follower *follower = first; follower != NULL; follower = follower->next) {
        bool wanted = true;
        for (size_t i = 0; wanted && i < page->count; i++) {
            if (page->versions[i].seq > follower->after_seq) {
                wanted = follower->deliver(follower->data, reader, &page->versions[i]);
            }
        }
        (void)pthread_mutex_lock(&feed->lock);
        follower->leaving |= !wanted;
        follower->after_seq = follower->after_seq < reached ? reached : follower->after_seq;
        (void)pthread_mutex_unlock(&feed->lock);
    }
}

static bool follow_step(struct feed *feed, uint64_t after_seq, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct store_reader *reader = NULL;
    struct store_page page = { 0 };
    if (!store_reader_begin(feed->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_read_feed(reader, &arena, after_seq, STR_NONE, FEED_PAGE_VERSIONS, true, &page, error);
    if (ok) {
        deliver_page(feed, reader, &page, page.more ? page.next_seq : store_reader_seq(reader));
    }
    store_reader_end(reader);
    arena_deinit(&arena);
    return ok;
}

static void *follow_thread(void *data)
{
    struct feed *feed = data;
    (void)pthread_mutex_lock(&feed->lock);
    while (!feed->stopping) {
        drop_leaving(feed);
        if (feed->words_count > 0) {
            feed_tell_word(feed);
            continue;
        }
        uint64_t after_seq = slowest(feed);
        if (after_seq >= feed->committed_seq) {
            feed_wait(feed, &feed->followed, clock_now_ms() + FEED_IDLE_MS);
            continue;
        }
        (void)pthread_mutex_unlock(&feed->lock);
        struct error error = { 0 };
        bool ok = follow_step(feed, after_seq, &error);
        (void)pthread_mutex_lock(&feed->lock);
        if (!ok) {
            LOG_WARNING("feed: %s", error.text);
            feed_wait(feed, &feed->followed, clock_now_ms() + FEED_IDLE_MS);
        }
    }
    for (struct feed_follower *follower = feed->followers; follower != NULL; follower = follower->next) {
        follower->leaving = true;
    }
    drop_leaving(feed);
    (void)pthread_mutex_unlock(&feed->lock);
    return NULL;
}

bool feed_follow(struct feed *feed, struct feed_follower *follower, struct error *error)
{
    assert(follower->deliver != NULL && follower->left != NULL);
    bool ok = true;
    (void)pthread_mutex_lock(&feed->lock);
    if (follower->after_seq == 0) {
        follower->after_seq = feed->committed_seq;
    }
    if (feed->followers_count >= LIMIT_FEED_FOLLOWERS) {
        ok = FAIL(error, ERROR_TOO_MANY, "too many live connections; try again later");
    } else if (follower->after_seq + LIMIT_FEED_RESUME_VERSIONS < feed->committed_seq) {
        ok = FAIL(error, ERROR_GONE, "the last event is too long ago: read anew");
    } else {
        follower->leaving = false;
        follower->next = feed->followers;
        feed->followers = follower;
        feed->followers_count++;
        (void)pthread_cond_signal(&feed->followed);
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return ok;
}

void feed_leave(struct feed *feed, struct feed_follower *follower)
{
    (void)pthread_mutex_lock(&feed->lock);
    follower->leaving = true;
    (void)pthread_cond_signal(&feed->followed);
    (void)pthread_mutex_unlock(&feed->lock);
}

static bool start_threads(struct feed *feed, struct error *error)
{
    unsigned workers = feed->options.workers == 0 ? 1 : feed->options.workers;
    workers = feed->options.kinds_count == 0 ? 0 : workers > FEED_WORKERS_MAX ? FEED_WORKERS_MAX : workers;
    feed->follow_running = pthread_create(&feed->follow_thread, NULL, follow_thread, feed) == 0;
    feed->chores_running = feed->options.chores_count > 0 &&
                           pthread_create(&feed->chore_thread, NULL, feed_chore_thread, feed) == 0;
    while (feed->workers_running < workers &&
           pthread_create(&feed->workers[feed->workers_running], NULL, feed_job_thread, feed) == 0) {
        feed->workers_running++;
    }
    bool all = feed->follow_running && (feed->chores_running || feed->options.chores_count == 0) &&
               feed->workers_running == workers;
    return all || FAIL(error, ERROR_INTERNAL, "the threads of the feed could not be started");
}

bool feed_open(struct arena *arena, const struct feed_options *options, struct feed **feed,
               struct error *error)
{
    struct feed *made = ARENA_NEW(arena, struct feed);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the feed");
    }
    *made = (struct feed){ .options = *options, .arena = arena, .committed_seq = store_seq(options->store) };
    (void)pthread_mutex_init(&made->lock, NULL);
    (void)pthread_cond_init(&made->followed, NULL);
    (void)pthread_cond_init(&made->jobs_changed, NULL);
    (void)pthread_cond_init(&made->stopped, NULL);
    if (!store_on_commit(options->store, feed_on_commit, made, error)) {
        return false;
    }
    if (!start_threads(made, error)) {
        feed_close(made);
        return false;
    }
    *feed = made;
    return true;
}

bool feed_is_stopping(struct feed *feed)
{
    if (feed == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&feed->lock);
    bool stopping = feed->stopping;
    (void)pthread_mutex_unlock(&feed->lock);
    return stopping;
}

void feed_close(struct feed *feed)
{
    if (feed == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&feed->lock);
    feed->stopping = true;
    (void)pthread_cond_broadcast(&feed->followed);
    (void)pthread_cond_broadcast(&feed->jobs_changed);
    (void)pthread_cond_broadcast(&feed->stopped);
    (void)pthread_mutex_unlock(&feed->lock);
    if (feed->follow_running) {
        (void)pthread_join(feed->follow_thread, NULL);
    }
    if (feed->chores_running) {
        (void)pthread_join(feed->chore_thread, NULL);
    }
    while (feed->workers_running > 0) {
        (void)pthread_join(feed->workers[--feed->workers_running], NULL);
    }
    /* The lock stays: the store may still call feed_on_commit until it is closed. */
    feed->follow_running = false;
    feed->chores_running = false;
}
