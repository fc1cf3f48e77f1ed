#include "fhirpath/set.h"

#include "base/hash.h"
#include "fhirpath/types.h"

enum { SMALL_COUNT = 12, SLOTS_FIRST = 64 };

/* ---- hashes: equal items have equal ones ---- */

static uint64_t hash_number(struct str digits)
{
    struct decimal number = { 0 };
    char text[DECIMAL_TEXT_BYTES];
    if (!decimal_parse(digits, &number)) {
        return hash64(digits, JSON_NUMBER);
    }
    size_t length = decimal_format(decimal_strip(number), text);
    return hash64((struct str){ text, length }, JSON_NUMBER);
}

/* Members in any order, array values in theirs. Depth is bounded by the reader. */
static uint64_t hash_json(struct arena *arena, const struct json *value)
{
    uint64_t hash = value->kind;
    switch ((enum json_kind)value->kind) {
    case JSON_NUMBER:
        return hash_number(value->raw);
    case JSON_STRING:
        return hash64(json_text(arena, value), JSON_STRING);
    case JSON_ARRAY:
        JSON_EACH(child, value) {
            hash = hash64_combine(hash, hash_json(arena, child));
        }
        return hash;
    case JSON_OBJECT:
        JSON_EACH(child, value) {
            hash += hash64_combine(hash64(child->name, JSON_OBJECT), hash_json(arena, child));
        }
        return hash;
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        break;
    }
    return hash64_combine(hash, hash);
}

/* 0 for what may equal an item of another kind. */
static uint64_t hash_item(struct arena *arena, const struct fhirpath_item *item)
{
    struct fhirpath_item value = fhirpath_item_to_system(arena, item);
    uint64_t hash = 0;
    if (value.kind == FHIRPATH_STRING) {
        hash = hash64(value.string, JSON_STRING) | 1;
    } else if (value.kind == FHIRPATH_BOOLEAN) {
        hash = value.boolean ? 3 : 5;
    } else if (value.kind == FHIRPATH_NODE && value.node.value != NULL) {
        hash = hash_json(arena, value.node.value) | 1;
    }
    return hash;
}

/* ---- looking ---- */

static bool find_one_by_one(struct item_set *set, const struct fhirpath_item *item, uint64_t hash, bool *has,
                            struct error *error)
{
    *has = false;
    for (size_t i = 0; i < set->items.count && !*has; i++) {
        if (set->slots == NULL || (hash == 0 && set->hashes[i] == 0)) {
            *has = item_equal(set->run, &set->items.items[i], item) == TRUTH_TRUE;
        }
    }
    return run_spend(set->run, set->slots == NULL ? set->items.count : set->unhashed, error);
}

static bool find(struct item_set *set, const struct fhirpath_item *item, uint64_t hash, bool *has,
                 struct error *error)
{
    if (set->slots == NULL || hash == 0) {
        return find_one_by_one(set, item, hash, has, error);
    }
    *has = false;
    size_t at = (size_t)hash & (set->slots_count - 1);
    while (set->slots[at] != 0 && !*has) {
        size_t index = set->slots[at] - 1;
        *has =
            set->hashes[index] == hash && item_equal(set->run, &set->items.items[index], item) == TRUTH_TRUE;
        at = (at + 1) & (set->slots_count - 1);
    }
    return run_spend(set->run, 1, error);
}

/* ---- growing ---- */

static void put(struct item_set *set, size_t index)
{
    size_t at = (size_t)set->hashes[index] & (set->slots_count - 1);
    while (set->slots[at] != 0) {
        at = (at + 1) & (set->slots_count - 1);
    }
    set->slots[at] = (uint32_t)index + 1;
}

/* Twice the room for hashes and slots; the first time all items get their hash. */
static bool grow(struct item_set *set, struct error *error)
{
    struct arena *arena = set->run->arena;
    size_t slots_count = set->slots_count == 0 ? SLOTS_FIRST : set->slots_count * 2;
    uint64_t *hashes = ARENA_ARRAY(arena, uint64_t, slots_count);
    uint32_t *slots = ARENA_ARRAY(arena, uint32_t, slots_count);
    if (hashes == NULL || slots == NULL) {
        return run_out_of_memory(error);
    }
    for (size_t i = 0; i < set->items.count; i++) {
        hashes[i] = set->slots != NULL ? set->hashes[i] : hash_item(arena, &set->items.items[i]);
        set->unhashed += set->slots == NULL && hashes[i] == 0 ? 1 : 0;
    }
    set->hashes = hashes;
    set->slots = slots;
    set->slots_count = slots_count;
    for (size_t i = 0; i < set->items.count; i++) {
        if (hashes[i] != 0) {
            put(set, i);
        }
    }
    return run_spend(set->run, set->items.count, error);
}

bool item_set_has(struct item_set *set, const struct fhirpath_item *item, bool *has, struct error *error)
{
    uint64_t hash = set->slots == NULL ? 0 : hash_item(set->run->arena, item);
    return find(set, item, hash, has, error);
}

bool item_set_add(struct item_set *set, const struct fhirpath_item *item, bool *added, struct error *error)
{
    bool has = false;
    uint64_t hash = set->slots == NULL ? 0 : hash_item(set->run->arena, item);
    if (!find(set, item, hash, &has, error)) {
        return false;
    }
    if (added != NULL) {
        *added = !has;
    }
    if (has) {
        return true;
    }
    if (!list_add(set->run, &set->items, item, error)) {
        return false;
    }
    if (set->slots != NULL) {
        set->hashes[set->items.count - 1] = hash;
        set->unhashed += hash == 0 ? 1 : 0;
        if (hash != 0) {
            put(set, set->items.count - 1);
        }
    }
    bool is_full = set->items.count * 2 >= set->slots_count;
    return set->items.count < SMALL_COUNT || !is_full || grow(set, error);
}

bool item_set_add_all(struct item_set *set, const struct list *more, struct error *error)
{
    for (size_t i = 0; i < more->count; i++) {
        if (!item_set_add(set, &more->items[i], NULL, error)) {
            return false;
        }
    }
    return true;
}
