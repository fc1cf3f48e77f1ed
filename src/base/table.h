/* table.h — a hash table from text to pointer, grown in an arena and never shrunk. Keys must outlive
 * the table (they are kept as slices). Order of insertion is kept for iteration. One writer, or many
 * readers once it no longer changes. */
#ifndef SHANHAI_BASE_TABLE_H
#define SHANHAI_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct table_entry {
    struct str key;
    void *value;
};

struct table {
    struct arena *arena;
    struct table_entry *entries; /* in order of insertion */
    uint32_t *slots;             /* index into entries plus 1; 0 is free */
    size_t count;
    size_t capacity; /* of entries; slots are twice as many, a power of two */
};

static inline struct table table_in(struct arena *arena)
{
    return (struct table){ .arena = arena };
}

/* The value, or NULL. */
void *table_get(const struct table *table, struct str key);

/* Sets or replaces. False when the arena is used up. */
bool table_set(struct table *table, struct str key, void *value);

#endif
