#include "base/memory.h"

#include <malloc.h>
#include <stdlib.h>

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

void memory_give_back(void)
{
    (void)malloc_trim(0);
}
