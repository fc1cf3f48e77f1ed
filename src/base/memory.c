#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>

enum { LARGE_BYTES = 256 * 1024, HEAPS_MAX = 4, TOP_KEPT_BYTES = 1024 * 1024 };

void *memory_new(size_t size)
{
    return calloc(1, size);
}

void *memory_new_array(size_t count, size_t size)
{
    return calloc(count, size);
}

void *memory_resize(void *memory, size_t size)
{
    return realloc(memory, size);
}

void memory_free(void *memory)
{
    free(memory);
}

/* Left alone, the C library takes arrays of up to 32 MB from its heaps once one of that size was freed, and has up to
 * eight heaps a core: the runs of index rows (store/runs.h) then left holes in each. Large blocks come from the system
 * and go back to it. */
void memory_setup(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    (void)mallopt(M_ARENA_MAX, HEAPS_MAX);
    /* With the threshold fixed above, the end of a heap would go back to the system from 128 KB on: with nearly each bundle, to
     * be asked for and cleared again with the next. memory_give_back hands it over when the program rests. */
    (void)mallopt(M_TRIM_THRESHOLD, TOP_KEPT_BYTES);
}

void memory_give_back(void)
{
    (void)malloc_trim(0);
}
