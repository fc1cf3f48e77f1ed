/* Which types resources of the store contain: chains look inside only where there is something. */
#include "api/call.h"
#include "fhir/index.h"
#include "fhir/search_query.h"

enum { TYPES_MAX = 64 };

struct inside_run {
    struct http_request *request;
    bool read;
    uint64_t keys[TYPES_MAX];
    size_t count;
    bool any; /* too many, or not known: look inside whatever type it is */
};

static void read_types(struct inside_run *run, struct arena *arena)
{
    struct store_reader *reader = NULL;
    struct error error = { 0 };
    int64_t key = INT64_MIN;
    bool found = true;
    run->read = true;
    run->any = !store_reader_begin(api_of(run->request)->store, &reader, &error);
    while (!run->any && found) {
        bool ok = store_next_key(reader, arena, index_contained_parameter(), key, &key, &found, &error);
        run->any = !ok || (found && run->count == TYPES_MAX);
        if (!run->any && found) {
            run->keys[run->count++] = (uint64_t)key; /* the bits of a key, as the store orders them */
        }
    }
    if (reader != NULL) {
        store_reader_end(reader);
    }
}

static bool has(void *data, struct arena *arena, struct str type)
{
    struct inside_run *run = data;
    if (!run->read) {
        read_types(run, arena);
    }
    uint64_t key = index_contained_key(type);
    for (size_t i = 0; i < run->count; i++) {
        if (run->keys[i] == key) {
            return true;
        }
    }
    return run->any;
}

const struct search_inside *api_inside(struct http_request *request)
{
    struct inside_run *run = ARENA_NEW(&request->arena, struct inside_run);
    struct search_inside *inside = ARENA_NEW(&request->arena, struct search_inside);
    if (run == NULL || inside == NULL) {
        return NULL;
    }
    run->request = request;
    *inside = (struct search_inside){ .data = run, .has = has };
    return inside;
}
