#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) char bytes[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*run)(void *data);
    void *data;
};

static struct arena_block *arena_add_block(struct arena *arena, size_t size)
{
    size_t block_size = size > LIMIT_ARENA_BLOCK_BYTES ? size : LIMIT_ARENA_BLOCK_BYTES;
    /* Blocks grow with the request, so that a large body is not thousands of blocks. */
    if (block_size < arena->bytes_total / 4) {
        block_size = arena->bytes_total / 4;
    }
    if (block_size > arena->bytes_max - arena->bytes_total) {
        block_size = size;
    }
    if (arena->bytes_total > arena->bytes_max || size > arena->bytes_max - arena->bytes_total) {
        return NULL;
    }
    struct arena_block *block = malloc(sizeof *block + block_size);
    if (block == NULL) {
        return NULL;
    }
    *block = (struct arena_block){ .next = arena->first, .size = block_size };
    arena->first = block;
    arena->bytes_total += block_size;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    assert(arena != NULL);
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = arena->first;
    if (block == NULL || block->size - block->used < size) {
        block = arena_add_block(arena, size);
        if (block == NULL) {
            return NULL;
        }
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *memory = arena_alloc(arena, bytes);
    if (memory != NULL) {
        memset(memory, 0, bytes);
    }
    return memory;
}

char *arena_cstr(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    copy[text.len] = '\0';
    return copy;
}

struct str arena_dup(struct arena *arena, struct str text)
{
    char *copy = arena_cstr(arena, text);
    return copy == NULL ? STR_NONE : (struct str){ copy, text.len };
}

struct str arena_concat(struct arena *arena, struct str a, struct str b)
{
    char *copy = arena_alloc(arena, a.len + b.len + 1);
    if (copy == NULL) {
        return STR_NONE;
    }
    if (a.len > 0) {
        memcpy(copy, a.at, a.len);
    }
    if (b.len > 0) {
        memcpy(copy + a.len, b.at, b.len);
    }
    copy[a.len + b.len] = '\0';
    return (struct str){ copy, a.len + b.len };
}

/* The text is made where it will stand; only what does not fit into the block at hand is made twice. */
struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    struct arena_block *block = arena->first;
    size_t room = block == NULL ? 0 : block->size - block->used;
    char *here = room == 0 ? NULL : block->bytes + block->used;
    int length = vsnprintf(here, room, format, arguments);
    va_end(arguments);
    struct str text = STR_NONE;
    if (length >= 0) {
        char *copy = arena_alloc(arena, (size_t)length + 1);
        if (copy != NULL && (copy != here || (size_t)length >= room)) {
            (void)vsnprintf(copy, (size_t)length + 1, format, again);
        }
        text = copy == NULL ? STR_NONE : (struct str){ copy, (size_t)length };
    }
    va_end(again);
    return text;
}

bool arena_on_reset(struct arena *arena, void (*run)(void *data), void *data)
{
    assert(run != NULL);
    struct arena_cleanup *cleanup = arena_alloc(arena, sizeof *cleanup);
    if (cleanup == NULL) {
        run(data);
        return false;
    }
    *cleanup = (struct arena_cleanup){ .next = arena->cleanups, .run = run, .data = data };
    arena->cleanups = cleanup;
    return true;
}

static void arena_release(struct arena *arena, struct arena_block *keep)
{
    while (arena->cleanups != NULL) {
        struct arena_cleanup *cleanup = arena->cleanups;
        arena->cleanups = cleanup->next;
        cleanup->run(cleanup->data);
    }
    struct arena_block *block = arena->first;
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (block != keep) {
            free(block);
        }
        block = next;
    }
    arena->first = keep;
    arena->bytes_total = 0;
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
        arena->bytes_total = keep->size;
    }
}

void arena_reset(struct arena *arena)
{
    assert(arena != NULL);
    struct arena_block *keep = arena->first;
    while (keep != NULL && keep->size > LIMIT_ARENA_BLOCK_BYTES) {
        keep = keep->next;
    }
    arena_release(arena, keep);
}

void arena_deinit(struct arena *arena)
{
    if (arena != NULL) {
        arena_release(arena, NULL);
    }
}
