/* $meta of a type and of the system (R4 operation Resource-meta): the profiles, labels and tags in use, as far as the session may
 * search the resources that have them. Walks over the different values in the index and looks at one resource of each. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/table.h"
#include "model/model.h"

enum { META_VALUES_MAX = 2000 };

struct meta_all {
    struct http_request *request;
    struct store_reader *reader;
    struct json *meta;
    struct table told; /* "tag system|code" */
    size_t values;     /* looked at so far */
};

static bool add_once(struct meta_all *all, struct str list_name, const struct json *value,
                     struct error *error)
{
    struct arena *arena = &all->request->arena;
    struct str name = value->kind == JSON_STRING
                          ? json_text(arena, value)
                          : arena_printf(arena, "%.*s|%.*s", STR_FMT(JSON_TEXT(arena, value, "system")),
                                         STR_FMT(JSON_TEXT(arena, value, "code")));
    struct str key = arena_printf(arena, "%.*s %.*s", STR_FMT(list_name), STR_FMT(name));
    if (table_get(&all->told, key) != NULL) {
        return true;
    }
    struct json *list = json_member(all->meta, list_name);
    list = list != NULL ? list : json_add(all->meta, list_name, json_new(arena, JSON_ARRAY));
    return (table_set(&all->told, key, all) && json_append(list, json_copy(arena, value, false)) != NULL) ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static bool add_meta(struct meta_all *all, const struct store_version *version, struct error *error)
{
    static const char *const lists[] = { "profile", "security", "tag" };
    struct arena *arena = &all->request->arena;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct str text = STR_NONE;
    struct json *resource = NULL;
    if (!fhir_text(&call_of(all->request)->session, arena, version, &view, &text, error) ||
        !json_read(arena, text, &resource, error)) {
        return false;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct str name = str_from_cstr(lists[i]);
        JSON_EACH(value, json_member(JSON_GET(resource, "meta"), name)) {
            if (!add_once(all, name, value, error)) {
                return false;
            }
        }
    }
    return true;
}

/* One resource that has the value and may be seen, if there is one. */
static bool look_at(struct meta_all *all, struct str type, struct str code, int64_t key,
                    const struct store_filter *filter, struct error *error)
{
    uint32_t parameter = hash_parameter(type, code);
    const struct search_value value = { .test = SEARCH_TEST_KEY,
                                        .parameter = parameter,
                                        .key = (uint64_t)key };
    const struct search_criteria criteria = { .kind = SEARCH_VALUES,
                                              .type = type,
                                              .code = code,
                                              .rows = INDEX_KEY,
                                              .parameter = parameter,
                                              .values = &value,
                                              .values_count = 1 };
    const struct search_query query = {
        .type = type, .criteria = &criteria, .has_count = true, .count = 1, .total = SEARCH_TOTAL_NONE
    };
    const struct store_search search = { .query = &query, .filter = filter, .now_ms = clock_now_ms() };
    struct store_hits hits = { 0 };
    all->values++;
    if (all->values > META_VALUES_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "there are more than %d different labels: ask for one type",
                    META_VALUES_MAX);
    }
    return access_query_allowed(&call_of(all->request)->session, &query, error) &&
           store_search(all->reader, &all->request->arena, &search, &hits, error) &&
           (hits.count == 0 || add_meta(all, &hits.hits[0].version, error));
}

static bool add_type(struct meta_all *all, struct str type, struct error *error)
{
    static const char *const codes[] = { "_profile", "_security", "_tag" };
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = type };
    struct arena *arena = &all->request->arena;
    const struct store_filter *filter = NULL;
    if (!access_filter(&call_of(all->request)->session, act, arena, &filter, error)) {
        return false;
    }
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct str code = str_from_cstr(codes[i]);
        int64_t key = INT64_MIN;
        bool found = true;
        while (found) {
            if (!store_next_key(all->reader, arena, hash_parameter(type, code), key, &key, &found, error) ||
                (found && !look_at(all, type, code, key, filter, error))) {
                return false;
            }
        }
    }
    return true;
}

static bool add_types(struct meta_all *all, struct str type, struct error *error)
{
    const struct access_session *session = &call_of(all->request)->session;
    size_t count = 0;
    const struct model_type *const *types = model_resources(&count);
    if (type.at != NULL) {
        return add_type(all, type, error);
    }
    for (size_t i = 0; i < count; i++) {
        const struct access_act act = { .interaction = ACCESS_SEARCH, .type = types[i]->name };
        if (access_has(session, act) && !add_type(all, types[i]->name, error)) {
            return false;
        }
    }
    return true;
}

enum http_verdict fhir_meta_all(struct http_request *request)
{
    struct error error = { 0 };
    struct api_call *call = call_of(request);
    struct arena *arena = &request->arena;
    struct meta_all all = { .request = request,
                            .meta = json_new(arena, JSON_OBJECT),
                            .told = table_in(arena) };
    const struct api_read read = {
        .act = { .interaction = ACCESS_SEARCH, .type = call->type },
        .type = call->type,
    };
    if (all.meta == NULL || !store_reader_begin(api_of(request)->store, &all.reader, &error)) {
        return api_fail(request, &error);
    }
    bool ok = add_types(&all, call->type, &error);
    store_reader_end(all.reader);
    if (!ok || !api_audit_read(request, &call->session, &read, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, true, operation_parameters_of_meta(arena, all.meta));
    return HTTP_DONE;
}
