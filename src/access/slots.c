#include "access/slots.h"

#include <assert.h>

enum { SLOTS_BUCKETS_FIRST = 64 };

/* Old bucket arrays stay in the arena: doubling wastes at most as much as the last one holds. */
static bool slots_grow(struct slots *slots)
{
    size_t count = slots->buckets_count == 0 ? SLOTS_BUCKETS_FIRST : slots->buckets_count * 2;
    struct slot **buckets = ARENA_ARRAY(slots->arena, struct slot *, count);
    if (buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < slots->buckets_count; i++) {
        struct slot *item = slots->buckets[i];
        while (item != NULL) {
            struct slot *next = item->next;
            item->next = buckets[item->hash & (count - 1)];
            buckets[item->hash & (count - 1)] = item;
            item = next;
        }
    }
    slots->buckets = buckets;
    slots->buckets_count = count;
    return true;
}

static struct slot *with_hash(struct slot *item, uint64_t hash)
{
    while (item != NULL && item->hash != hash) {
        item = item->next;
    }
    return item;
}

struct slot *slots_find(const struct slots *slots, uint64_t hash)
{
    return slots->buckets_count == 0 ? NULL
                                     : with_hash(slots->buckets[hash & (slots->buckets_count - 1)], hash);
}

struct slot *slots_find_next(const struct slot *item)
{
    assert(item != NULL);
    return with_hash(item->next, item->hash);
}

void *slots_add(struct slots *slots, uint64_t hash)
{
    assert(slots->item_bytes >= sizeof(struct slot));
    if (slots->count >= slots->items_max) {
        return NULL;
    }
    if (slots->count >= slots->buckets_count && !slots_grow(slots)) {
        return NULL;
    }
    struct slot *item = slots->free_items;
    if (item != NULL) {
        slots->free_items = item->next;
    } else {
        item = arena_alloc(slots->arena, slots->item_bytes);
        if (item == NULL) {
            return NULL;
        }
    }
    memset(item, 0, slots->item_bytes);
    struct slot **bucket = &slots->buckets[hash & (slots->buckets_count - 1)];
    item->hash = hash;
    item->next = *bucket;
    *bucket = item;
    slots->count++;
    return item;
}

void slots_remove(struct slots *slots, struct slot *item)
{
    assert(slots->count > 0);
    struct slot **link = &slots->buckets[item->hash & (slots->buckets_count - 1)];
    while (*link != item) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = item->next;
    item->next = slots->free_items;
    slots->free_items = item;
    slots->count--;
}

struct slot *slots_each(const struct slots *slots, const struct slot *after)
{
    size_t bucket = 0;
    if (after != NULL) {
        if (after->next != NULL) {
            return after->next;
        }
        bucket = (size_t)(after->hash & (slots->buckets_count - 1)) + 1;
    }
    for (; bucket < slots->buckets_count; bucket++) {
        if (slots->buckets[bucket] != NULL) {
            return slots->buckets[bucket];
        }
    }
    return NULL;
}
