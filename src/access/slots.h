/* slots.h — items of one size that come and go (sessions, accounts, throttles), found by a 64-bit hash,
 * with a largest count given at birth. Memory comes from an arena and goes back to a free list. The
 * caller's struct begins with `struct slot`, and the caller compares keys: two items may share a hash.
 * One thread at a time: whoever owns the slots has a lock beside them. */
#ifndef SHANHAI_ACCESS_SLOTS_H
#define SHANHAI_ACCESS_SLOTS_H

#include <stdint.h>

#include "base/arena.h"

struct slot {
    struct slot *next; /* of the same bucket, or of the free list */
    uint64_t hash;
};

struct slots {
    struct arena *arena;
    size_t item_bytes; /* of the caller's struct */
    size_t items_max;
    struct slot **buckets;
    size_t buckets_count; /* a power of two, or 0 */
    size_t count;
    struct slot *free_items;
};

/* First item with this hash, and the next after it; NULL at the end. */
struct slot *slots_find(const struct slots *slots, uint64_t hash);
struct slot *slots_find_next(const struct slot *item);

/* A zeroed item under `hash`; NULL when items_max is reached or memory ran out. */
void *slots_add(struct slots *slots, uint64_t hash);

void slots_remove(struct slots *slots, struct slot *item);

/* Every item once: the first with after = NULL. Removing the item just given is allowed only after the
 * next one was asked for. */
struct slot *slots_each(const struct slots *slots, const struct slot *after);

#endif
