#include "lung/lung_grid.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct parallel {
    atomic_size_t next;
    size_t count;
    void (*run)(void *context, size_t index);
    void *context;
};

static void *parallel_main(void *data)
{
    struct parallel *parallel = data;
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&parallel->next, 1, memory_order_relaxed);
        if (index >= parallel->count) {
            return NULL;
        }
        parallel->run(parallel->context, index);
    }
}

void lung_parallel(unsigned threads, size_t count, void (*run)(void *context, size_t index), void *context)
{
    assert(run != NULL);
    assert(threads >= 1 && threads <= LUNG_THREADS_MAX);
    struct parallel parallel = { .count = count, .run = run, .context = context };
    pthread_t helpers[LUNG_THREADS_MAX];
    unsigned helpers_count = 0;
    while (helpers_count + 1 < threads && helpers_count + 1 < count) {
        if (pthread_create(&helpers[helpers_count], NULL, parallel_main, &parallel) != 0) {
            break; /* fewer hands, same work */
        }
        helpers_count++;
    }
    (void)parallel_main(&parallel);
    for (unsigned i = 0; i < helpers_count; i++) {
        (void)pthread_join(helpers[i], NULL);
    }
}
