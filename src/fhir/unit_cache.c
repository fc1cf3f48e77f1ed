#include <pthread.h>

#include "fhir/index_internal.h"

enum { UNITS_MAX = 256, UNIT_BYTES = 24 };

struct known_unit {
    char code[UNIT_BYTES];
    size_t len;
    bool is_unit; /* false: no UCUM of ours */
    struct index_scale scale;
};

struct unit_cache {
    pthread_mutex_t lock; /* guards all below */
    size_t count;
    struct known_unit units[UNITS_MAX];
};

struct unit_cache *unit_cache_create(struct arena *arena)
{
    struct unit_cache *cache = ARENA_NEW(arena, struct unit_cache);
    if (cache != NULL && pthread_mutex_init(&cache->lock, NULL) != 0) {
        return NULL;
    }
    return cache;
}

void unit_cache_destroy(struct unit_cache *cache)
{
    if (cache != NULL) {
        (void)pthread_mutex_destroy(&cache->lock);
    }
}

/* Under the lock. */
static const struct known_unit *unit_find(const struct unit_cache *cache, struct str code)
{
    for (size_t i = 0; i < cache->count; i++) {
        const struct known_unit *unit = &cache->units[i];
        if (unit->len == code.len && memcmp(unit->code, code.at, code.len) == 0) {
            return unit;
        }
    }
    return NULL;
}

bool unit_cache_scale(struct unit_cache *cache, struct arena *arena, struct str system, struct str code,
                      struct index_scale *scale)
{
    if (cache == NULL || code.len == 0 || code.len > UNIT_BYTES ||
        !str_equal(system, STR("http://unitsofmeasure.org"))) {
        return index_scale_of(arena, system, code, scale);
    }
    (void)pthread_mutex_lock(&cache->lock);
    const struct known_unit *found = unit_find(cache, code);
    bool is_unit = found != NULL && found->is_unit;
    if (is_unit) {
        *scale = found->scale;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (found != NULL) {
        return is_unit;
    }
    struct known_unit made = { .len = code.len };
    memcpy(made.code, code.at, code.len);
    made.is_unit = index_scale_of(arena, system, code, &made.scale);
    (void)pthread_mutex_lock(&cache->lock);
    if (cache->count < UNITS_MAX && unit_find(cache, code) == NULL) {
        cache->units[cache->count++] = made;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (made.is_unit) {
        *scale = made.scale;
    }
    return made.is_unit;
}
