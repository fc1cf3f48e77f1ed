#include <errno.h>

#include "http/internal.h"

static bool is_long(const struct http_exchange *exchange)
{
    return (exchange->request.route->flags & HTTP_ROUTE_LONG) != 0;
}

static struct http_exchange **place(const struct http_pool *pool, unsigned index)
{
    return &pool->queue[(pool->first + index) % pool->queue_max];
}

/* The first that may be begun now: long ones wait for each other, the others pass them. With `lock` held; NULL. */
static struct http_exchange *pool_take(struct http_pool *pool)
{
    unsigned found = 0;
    while (found < pool->queued && is_long(*place(pool, found)) &&
           pool->long_running >= pool->long_running_max) {
        found++;
    }
    if (found == pool->queued) {
        return NULL;
    }
    struct http_exchange *exchange = *place(pool, found);
    for (unsigned i = found; i > 0; i--) {
        *place(pool, i) = *place(pool, i - 1);
    }
    pool->first = (pool->first + 1) % pool->queue_max;
    pool->queued--;
    if (is_long(exchange)) {
        assert(pool->long_waiting > 0);
        pool->long_waiting--;
        pool->long_running++;
    }
    return exchange;
}

static void *pool_thread(void *data)
{
    struct http_pool *pool = data;
    (void)pthread_setname_np(pthread_self(), "http-pool");
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct http_exchange *exchange = pool_take(pool);
        if (exchange == NULL && pool->stopping && pool->queued == 0) {
            break;
        }
        if (exchange == NULL) {
            (void)pthread_cond_wait(&pool->work, &pool->lock);
            continue;
        }
        bool was_long = is_long(exchange); /* after its run it may be gone */
        (void)pthread_mutex_unlock(&pool->lock);
        pool->run(exchange);
        (void)pthread_mutex_lock(&pool->lock);
        pool->long_running -= was_long ? 1 : 0;
    }
    (void)pthread_cond_broadcast(&pool->work); /* who waits for the queue to be empty */
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

bool pool_start(struct http_pool *pool, struct arena *arena, const struct http_options *options,
                void (*run)(struct http_exchange *exchange), struct error *error)
{
    *pool = (struct http_pool){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .work = PTHREAD_COND_INITIALIZER,
        .queue_max = options->pool_queue_max,
        .long_waiting_max = options->pool_queue_max > 1 ? options->pool_queue_max / 2 : 1,
        .long_running_max = options->pool_threads > 1 ? options->pool_threads / 2 : 1,
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

bool pool_reserve(struct http_pool *pool, const struct http_exchange *exchange)
{
    (void)pthread_mutex_lock(&pool->lock);
    bool free = !pool->stopping && pool->queued + pool->reserved < pool->queue_max &&
                (!is_long(exchange) || pool->long_waiting < pool->long_waiting_max);
    pool->reserved += free ? 1 : 0;
    pool->long_waiting += free && is_long(exchange) ? 1 : 0;
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
