/* $meta, $meta-add, $meta-delete of a resource (R4 operations Resource-meta…). What is added or deleted makes a new
 * version: versions never change here. $meta also tells the custodian, the organisation that the record belongs to. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/parse.h"

#define CUSTODIAN_URL "urn:shanhai:extension:custodian"

/* design.md section 5: the custodian is a column of the version and goes out as an extension of meta. */
static bool add_custodian(struct http_request *request, const struct store_version *version,
                          struct json *meta, struct error *error)
{
    struct arena *arena = &request->arena;
    struct store_reader *reader = NULL;
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    struct error ignored = { 0 };
    if (version->custodian == 0) {
        return true;
    }
    if (!store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    bool named = store_resource_name(reader, arena, version->custodian, &type, &id, &ignored);
    store_reader_end(reader);
    if (!named) {
        return true; /* an organisation that is no resource here */
    }
    struct json *list = JSON_GET(meta, "extension");
    list = list != NULL ? list : json_add(meta, STR("extension"), json_new(arena, JSON_ARRAY));
    struct json *extension = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, extension, STR("url"), STR(CUSTODIAN_URL));
    struct json *value = json_add(extension, STR("valueReference"), json_new(arena, JSON_OBJECT));
    return json_add_text(arena, value, STR("reference"),
                         arena_printf(arena, "%.*s/%.*s", STR_FMT(type), STR_FMT(id))) != NULL ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static bool answer_meta(struct http_request *request, const struct fhir_wanted *wanted, struct error *error)
{
    struct store_version version = { 0 };
    struct json *resource = NULL;
    if (!operation_read(request, wanted, &version, &resource, error)) {
        return false;
    }
    struct json *meta = JSON_GET(resource, "meta");
    meta = meta != NULL ? meta : json_new(&request->arena, JSON_OBJECT);
    if (meta == NULL || !add_custodian(request, &version, meta, error)) {
        return meta != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    meta->next = NULL; /* was a member among others */
    api_respond_json(request, 200, true, operation_parameters_of_meta(&request->arena, meta));
    return true;
}

enum http_verdict fhir_meta(struct http_request *request)
{
    struct error error = { 0 };
    struct fhir_wanted wanted = { .type = call_of(request)->type, .id = http_parameter(request, STR("id")) };
    struct str number = http_parameter(request, STR("version"));
    bool known = number.at == NULL ||
                 (parse_uint64(number, UINT64_MAX, &wanted.version) && wanted.version > 0) ||
                 FAIL(&error, ERROR_NOT_FOUND, "there is no such version");
    return known && answer_meta(request, &wanted, &error) ? HTTP_DONE : api_fail(request, &error);
}

/* ---- adding and deleting ---- */

/* Profiles are the same by text, tags and labels by system and code. */
static bool is_same(const struct json *a, const struct json *b)
{
    if (a->kind == JSON_STRING || b->kind == JSON_STRING) {
        return json_equal(a, b);
    }
    const struct json *systems[] = { JSON_GET(a, "system"), JSON_GET(b, "system") };
    const struct json *codes[] = { JSON_GET(a, "code"), JSON_GET(b, "code") };
    bool system = systems[0] == NULL || systems[1] == NULL ? systems[0] == systems[1]
                                                           : json_equal(systems[0], systems[1]);
    return system && codes[0] != NULL && codes[1] != NULL && json_equal(codes[0], codes[1]);
}

static struct json *find_same(struct json *list, const struct json *wanted)
{
    JSON_EACH(item, list) {
        if (is_same(item, wanted)) {
            return item;
        }
    }
    return NULL;
}

/* True when something changed. */
static bool change_list(struct arena *arena, struct json *meta, const struct json *given, bool adds)
{
    bool changed = false;
    struct json *list = json_member(meta, given->name);
    JSON_EACH(wanted, given) {
        struct json *there = find_same(list, wanted);
        if (adds && there == NULL) {
            list = list != NULL ? list : json_add(meta, given->name, json_new(arena, JSON_ARRAY));
            changed = json_append(list, json_copy(arena, wanted, false)) != NULL || changed;
        } else if (!adds && there != NULL) {
            changed = json_remove(list, there) || changed;
        }
    }
    if (list != NULL && list->count == 0) {
        (void)json_remove(meta, list);
    }
    return changed;
}

static const struct json *given_meta(const struct json *body)
{
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), STR("meta"))) {
            return JSON_GET(parameter, "valueMeta");
        }
    }
    return NULL;
}

static bool change_meta(struct http_request *request, const struct fhir_wanted *wanted,
                        const struct json *given, bool adds, struct error *error)
{
    static const char *const lists[] = { "profile", "security", "tag" };
    struct arena *arena = &request->arena;
    struct store_version version = { 0 };
    struct json *resource = NULL;
    bool changed = false;
    if (access_masks_type(&call_of(request)->session, wanted->type)) {
        return FAIL(error, ERROR_FORBIDDEN, "who sees a %.*s masked cannot change it", STR_FMT(wanted->type));
    }
    if (!operation_read(request, wanted, &version, &resource, error)) {
        return false;
    }
    struct json *meta = JSON_GET(resource, "meta");
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const struct json *list = json_member(given, str_from_cstr(lists[i]));
        changed = (list != NULL && change_list(arena, meta, list, adds)) || changed;
    }
    if (!changed) {
        return true;
    }
    struct change_entry entry = { .kind = CHANGE_UPDATE,
                                  .type = wanted->type,
                                  .id = wanted->id,
                                  .resource = resource,
                                  .if_match =
                                      arena_printf(arena, "%llu", (unsigned long long)version.version) };
    struct change_set set = { .arena = arena,
                              .session = &call_of(request)->session,
                              .route = str_from_cstr(request->route->template),
                              .entries = &entry,
                              .entries_count = 1 };
    return change_apply(api_of(request)->change, &set, error);
}

static enum http_verdict run_change(struct http_request *request, bool adds)
{
    struct error error = { 0 };
    struct json *body = NULL;
    const struct fhir_wanted wanted = { .type = call_of(request)->type,
                                        .id = http_parameter(request, STR("id")) };
    bool ok = operation_body(request, &body, &error);
    const struct json *given = given_meta(body);
    ok =
        ok && (given != NULL || FAIL(&error, ERROR_INPUT, "the parameter 'meta' with a valueMeta is needed"));
    bool done = false;
    for (int attempt = 0; ok && !done && attempt < CHANGE_ATTEMPTS; attempt++) {
        error = (struct error){ 0 };
        done = change_meta(request, &wanted, given, adds, &error);
        ok = done || error.kind == ERROR_PRECONDITION; /* somebody was faster */
    }
    return done && answer_meta(request, &wanted, &error) ? HTTP_DONE : api_fail(request, &error);
}

enum http_verdict fhir_meta_add(struct http_request *request)
{
    return run_change(request, true);
}

enum http_verdict fhir_meta_delete(struct http_request *request)
{
    return run_change(request, false);
}
