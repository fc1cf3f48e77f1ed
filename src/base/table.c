#include "base/table.h"

#include <assert.h>

#include "base/hash.h"

static uint32_t *table_slot(const struct table *table, struct str key)
{
    size_t mask = table->capacity * 2 - 1;
    size_t at = (size_t)hash64(key, 0) & mask;
    while (table->slots[at] != 0 && !str_equal(table->entries[table->slots[at] - 1].key, key)) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

void *table_get(const struct table *table, struct str key)
{
    if (table->count == 0) {
        return NULL;
    }
    uint32_t slot = *table_slot(table, key);
    return slot == 0 ? NULL : table->entries[slot - 1].value;
}

static bool table_grow(struct table *table)
{
    size_t capacity = table->capacity == 0 ? 8 : table->capacity * 2;
    struct table grown = *table;
    grown.capacity = capacity;
    grown.entries = ARENA_ARRAY(table->arena, struct table_entry, capacity);
    grown.slots = ARENA_ARRAY(table->arena, uint32_t, capacity * 2);
    if (grown.entries == NULL || grown.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        grown.entries[i] = table->entries[i];
        *table_slot(&grown, grown.entries[i].key) = (uint32_t)i + 1;
    }
    *table = grown;
    return true;
}

bool table_set(struct table *table, struct str key, void *value)
{
    assert(table->arena != NULL);
    assert(value != NULL);
    if (table->count == table->capacity && !table_grow(table)) {
        return false;
    }
    uint32_t *slot = table_slot(table, key);
    if (*slot == 0) {
        table->entries[table->count++] = (struct table_entry){ .key = key };
        *slot = (uint32_t)table->count;
    }
    table->entries[*slot - 1].value = value;
    return true;
}
