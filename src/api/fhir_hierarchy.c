/* What lies above and below a resource of a hierarchy (R4 3.1.1.4.14): asked of the store step by step, each time for all
 * resources of the step before, as far as the session sees them. A circle ends where it meets itself. */
#include "api/call.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_query.h"

struct hierarchy_run {
    const struct search_place_in *place;
    struct arena *arena;
    struct str *ids; /* the place itself, then step by step */
    size_t count;
};

static bool is_known(const struct hierarchy_run *run, struct str id)
{
    for (size_t i = 0; i < run->count; i++) {
        if (str_equal(run->ids[i], id)) {
            return true;
        }
    }
    return false;
}

static bool add_hits(struct hierarchy_run *run, const struct store_hits *hits, struct error *error)
{
    for (size_t i = 0; i < hits->count; i++) {
        struct str id = hits->hits[i].version.id;
        if (is_known(run, id)) {
            continue;
        }
        if (run->count == LIMIT_SEARCH_VALUES) {
            return FAIL(error, ERROR_TOO_COSTLY, "more than %d resources lie %s the one asked for",
                        LIMIT_SEARCH_VALUES, run->place->below ? "below" : "above");
        }
        run->ids[run->count] = arena_dup(run->arena, id);
        run->count++;
    }
    return true;
}

/* Those that refer to one of the ids from `first` on. */
static bool criteria_below(const struct hierarchy_run *run, size_t first, struct search_criteria *criteria)
{
    size_t count = run->count - first;
    struct search_value *values = ARENA_ARRAY(run->arena, struct search_value, count);
    for (size_t i = 0; values != NULL && i < count; i++) {
        values[i] = (struct search_value){ .test = SEARCH_TEST_KEY,
                                           .parameter = criteria->parameter,
                                           .key = hash_resource_key(run->place->type, run->ids[first + i]) };
    }
    criteria->kind = SEARCH_VALUES;
    criteria->values = values;
    criteria->values_count = count;
    return values != NULL;
}

/* Those that one of the ids refers to. */
static bool criteria_above(const struct hierarchy_run *run, size_t first, struct search_criteria *criteria)
{
    struct search_criteria *sources = ARENA_NEW(run->arena, struct search_criteria);
    struct search_link *link = ARENA_NEW(run->arena, struct search_link);
    if (sources == NULL || link == NULL) {
        return false;
    }
    *sources = (struct search_criteria){
        .kind = SEARCH_ID, .type = run->place->type, .ids = run->ids + first, .ids_count = run->count - first
    };
    *link = (struct search_link){ .type = run->place->type, .criteria = sources };
    criteria->kind = SEARCH_HAS;
    criteria->links = link;
    criteria->links_count = 1;
    return true;
}

static bool one_step(struct hierarchy_run *run, struct store_reader *reader,
                     const struct store_filter *filter, size_t first, struct error *error)
{
    struct search_criteria criteria = { .type = run->place->type,
                                        .rows = INDEX_KEY,
                                        .parameter = hash_parameter(run->place->type, run->place->code) };
    const struct search_query query = { .type = run->place->type,
                                        .criteria = &criteria,
                                        .count = LIMIT_SEARCH_COUNT,
                                        .has_count = true,
                                        .total = SEARCH_TOTAL_NONE };
    const struct store_search search = {
        .query = &query, .filter = filter, .now_ms = clock_now_ms(), .without_bodies = true
    };
    struct store_hits hits = { 0 };
    bool made =
        run->place->below ? criteria_below(run, first, &criteria) : criteria_above(run, first, &criteria);
    if (!made) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    return store_search(reader, run->arena, &search, &hits, error) && add_hits(run, &hits, error);
}

static bool find(void *data, struct arena *arena, const struct search_place_in *place, const struct str **ids,
                 size_t *count, struct error *error)
{
    struct http_request *request = data;
    struct hierarchy_run run = { .place = place, .arena = arena, .count = 1 };
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = place->type };
    const struct store_filter *filter = NULL;
    struct store_reader *reader = NULL;
    run.ids = ARENA_ARRAY(arena, struct str, LIMIT_SEARCH_VALUES);
    if (run.ids == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    run.ids[0] = place->id;
    if (!access_filter(&call_of(request)->session, act, arena, &filter, error) ||
        !store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    bool ok = true;
    for (size_t first = 0; ok && first < run.count;) {
        size_t next = run.count;
        ok = one_step(&run, reader, filter, first, error);
        first = next;
    }
    store_reader_end(reader);
    *ids = run.ids + 1;
    *count = run.count - 1;
    return ok;
}

const struct search_hierarchy *api_hierarchy(struct http_request *request)
{
    struct search_hierarchy *hierarchy = ARENA_NEW(&request->arena, struct search_hierarchy);
    if (hierarchy != NULL) {
        *hierarchy = (struct search_hierarchy){ .data = request, .find = find };
    }
    return hierarchy;
}
