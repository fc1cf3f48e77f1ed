/* arena.h — everything a request needs, freed at once. Memory comes from blocks; nothing is freed one
 * by one. `bytes_max` is the request's hard limit: arena_alloc returns NULL beyond it (or when the
 * system has no memory), and the caller answers ERROR_TOO_LARGE. Cleanup functions run at reset, last
 * registered first, so that files and statements close themselves.
 *
 * One thread at a time; hand over only between requests. `struct arena arena = { .bytes_max = … }` is
 * a ready arena. */
#ifndef SHANHAI_BASE_ARENA_H
#define SHANHAI_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena_block;
struct arena_cleanup;

struct arena {
    struct arena_block *first;
    struct arena_cleanup *cleanups;
    size_t bytes_max;
    size_t bytes_total;
};

/* `size` bytes, not initialised, aligned for any type; NULL at the limit. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, alloc_size(2)));

/* The same, zeroed: `count` items of `size` bytes; NULL also when the product overflows. */
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* Copies; an allocation that fails gives STR_NONE (NULL). */
struct str arena_dup(struct arena *arena, struct str text);
char *arena_cstr(struct arena *arena, struct str text);
struct str arena_concat(struct arena *arena, struct str a, struct str b);
struct str arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs `run(data)` at the next reset. False when memory ran out (then run is called at once, so that
 * nothing leaks). */
bool arena_on_reset(struct arena *arena, void (*run)(void *data), void *data);

/* Runs the cleanups and frees the memory, but keeps one block for the next request. */
void arena_reset(struct arena *arena);

/* Frees everything. NULL is allowed. */
void arena_deinit(struct arena *arena);

#define ARENA_NEW(arena, type) ((type *)arena_calloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_calloc((arena), (count), sizeof(type)))

#endif
