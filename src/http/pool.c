#include <errno.h>

#include "http/internal.h"

static void *pool_thread(void *data)
{
    struct http_pool *pool = data;
    (void)pthread_setname_np(pthread_self(), "http-pool");
    for (;;) {
        (void)pthread_mutex_lock(&pool->lock);
        while (pool->queued == 0 && !pool->stopping) {
            (void)pthread_cond_wait(&pool->work, &pool->lock);
        }
        if (pool->queued == 0) {
            (void)pthread_mutex_unlock(&pool->lock);
            return NULL;
        }
        struct http_exchange *exchange = pool->queue[pool->first];
        pool->first = (pool->first + 1) % pool->queue_max;
        pool->queued--;
        (void)pthread_mutex_unlock(&pool->lock);
        pool->run(exchange);
    }
}

bool pool_start(struct http_pool *pool, struct arena *arena, const struct http_options *options,
                void (*run)(struct http_exchange *exchange), struct error *error)
{
    *pool = (struct http_pool){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .work = PTHREAD_COND_INITIALIZER,
        .queue_max = options->pool_queue_max,
        .run = run,
    };
    pool->queue = ARENA_ARRAY(arena, struct http_exchange *, options->pool_queue_max);
    pool->threads = ARENA_ARRAY(arena, pthread_t, options->pool_threads);
    if (pool->queue == NULL || pool->threads == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the thread pool");
    }
    for (unsigned i = 0; i < options->pool_threads; i++) {
        int failure = pthread_create(&pool->threads[i], NULL, pool_thread, pool);
        if (failure != 0) {
            errno = failure;
            (void)FAIL_OS(error, ERROR_INTERNAL, "cannot start a pool thread");
            pool_stop(pool);
            return false;
        }
        pool->threads_count++;
    }
    return true;
}

void pool_stop(struct http_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_count; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    pool->threads_count = 0;
}

bool pool_reserve(struct http_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool free = !pool->stopping && pool->queued + pool->reserved < pool->queue_max;
    pool->reserved += free ? 1 : 0;
    (void)pthread_mutex_unlock(&pool->lock);
    return free;
}

void pool_push(struct http_pool *pool, struct http_exchange *exchange)
{
    (void)pthread_mutex_lock(&pool->lock);
    assert(pool->reserved > 0);
    assert(pool->queued < pool->queue_max);
    pool->reserved--;
    pool->queue[(pool->first + pool->queued) % pool->queue_max] = exchange;
    pool->queued++;
    (void)pthread_cond_signal(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
}
