/* Observation/$lastn (R4 operation Observation-lastn): of each code the most recent observations. The parameters are
 * those of a search by subject; `max` is how many of a code. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/table.h"
#include "base/uuid.h"

enum { LASTN_MAX = 100, LASTN_PAGES = 20, LASTN_PAGE = 500, LASTN_GROUPS = 2000 };

struct lastn {
    struct http_request *request;
    struct search_pair *pairs;
    size_t pairs_count;
    uint64_t max;
    bool has_subject;
    bool has_code;
    struct table groups; /* code → struct group */
    struct group *first;
    struct group *last;
    size_t groups_count;
};

struct group {
    struct group *next;
    const struct store_version *versions[LASTN_MAX];
    size_t count;
};

static bool add_pair(struct lastn *lastn, struct str name, struct str value, struct error *error)
{
    struct str plain = str_slice(name, 0, str_find_char(name, ':'));
    plain = str_slice(plain, 0, str_find_char(plain, '.'));
    if (str_equal(name, STR("max"))) {
        return (parse_uint64(value, LASTN_MAX, &lastn->max) && lastn->max > 0) ||
               FAIL(error, ERROR_INPUT, "max is a number from 1 to %d", LASTN_MAX);
    }
    if (str_equal(name, STR("_format")) || str_equal(name, STR("_pretty"))) {
        return true;
    }
    if (plain.len > 0 && plain.at[0] == '_') {
        return FAIL(error, ERROR_UNSUPPORTED, "$lastn does not take %.*s", STR_FMT(str_slice(plain, 0, 40)));
    }
    lastn->has_subject =
        lastn->has_subject || str_equal(plain, STR("subject")) || str_equal(plain, STR("patient"));
    lastn->has_code = lastn->has_code || str_equal(plain, STR("code")) || str_equal(plain, STR("category"));
    lastn->pairs[lastn->pairs_count++] = (struct search_pair){ .name = name, .value = value };
    return true;
}

static bool read_asked(struct lastn *lastn, const struct json *body, struct error *error)
{
    struct http_request *request = lastn->request;
    struct arena *arena = &request->arena;
    size_t posted = JSON_GET(body, "parameter") == NULL ? 0 : JSON_GET(body, "parameter")->count;
    lastn->pairs = ARENA_ARRAY(arena, struct search_pair, request->pairs_count + posted + 2);
    if (lastn->pairs == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (!add_pair(lastn, request->pairs[i].name, request->pairs[i].value, error)) {
            return false;
        }
    }
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        struct str name = JSON_TEXT(arena, parameter, "name");
        if (!add_pair(lastn, name, operation_parameter(request, body, name), error)) {
            return false;
        }
    }
    if (!lastn->has_subject || !lastn->has_code) {
        return FAIL(error, ERROR_INPUT, "$lastn wants patient or subject, and code or category");
    }
    lastn->pairs[lastn->pairs_count++] = (struct search_pair){ STR("_sort"), STR("-date") };
    lastn->pairs[lastn->pairs_count++] =
        (struct search_pair){ STR("_count"), arena_printf(arena, "%d", LASTN_PAGE) };
    return true;
}

/* The first coding that has both parts, else the text. */
static struct str group_key(struct arena *arena, const struct json *code)
{
    struct str text = JSON_TEXT(arena, code, "text");
    JSON_EACH(coding, JSON_GET(code, "coding")) {
        struct str value = JSON_TEXT(arena, coding, "code");
        if (value.len > 0) {
            return arena_printf(arena, "%.*s|%.*s", STR_FMT(JSON_TEXT(arena, coding, "system")),
                                STR_FMT(value));
        }
    }
    return arena_printf(arena, " %.*s", STR_FMT(text));
}

static bool take_hit(struct lastn *lastn, const struct store_version *version, struct error *error)
{
    struct arena *arena = &lastn->request->arena;
    struct json *resource = NULL;
    struct str text = STR_NONE;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    if (!fhir_text(&call_of(lastn->request)->session, arena, version, &view, &text, error) ||
        !json_read(arena, text, &resource, error)) {
        return false;
    }
    struct str key = group_key(arena, JSON_GET(resource, "code"));
    struct group *group = table_get(&lastn->groups, key);
    if (group == NULL) {
        group = ARENA_NEW(arena, struct group);
        if (group == NULL || lastn->groups_count == LASTN_GROUPS || !table_set(&lastn->groups, key, group)) {
            return FAIL(error, ERROR_TOO_COSTLY, "more than %d codes: ask for fewer", LASTN_GROUPS);
        }
        lastn->groups_count++;
        if (lastn->last != NULL) {
            lastn->last->next = group;
        } else {
            lastn->first = group;
        }
        lastn->last = group;
    }
    if (group->count < lastn->max) {
        group->versions[group->count++] = version;
    }
    return true;
}

static bool collect(struct lastn *lastn, struct error *error)
{
    struct str cursor = STR_NONE;
    for (int page = 0; page < LASTN_PAGES; page++) {
        struct operation_search search = { .request = lastn->request,
                                           .options = { .type = STR("Observation"),
                                                        .now_ms = clock_now_ms() },
                                           .pairs = lastn->pairs,
                                           .pairs_count = lastn->pairs_count,
                                           .cursor = cursor };
        if (!operation_search(&search, error)) {
            return false;
        }
        for (size_t i = 0; i < search.hits.matches_count; i++) {
            if (!take_hit(lastn, &search.hits.hits[i].version, error)) {
                return false;
            }
        }
        cursor = search.hits.next_cursor;
        if (cursor.at == NULL) {
            return true;
        }
    }
    return FAIL(error, ERROR_TOO_COSTLY, "more than %d observations: narrow by code or date",
                LASTN_PAGES * LASTN_PAGE);
}

static bool write_bundle(struct lastn *lastn, struct buf *out, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    size_t total = 0;
    if (!uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    for (const struct group *group = lastn->first; group != NULL; group = group->next) {
        total += group->count;
    }
    buf_printf(out, "{\"resourceType\":\"Bundle\",\"id\":\"%s\",\"type\":\"searchset\",\"total\":%zu", id,
               total);
    buf_add(out, total > 0 ? STR(",\"entry\":[") : STR(""));
    for (const struct group *group = lastn->first; group != NULL; group = group->next) {
        for (size_t i = 0; i < group->count; i++) {
            if (!operation_add_entry(lastn->request, group->versions[i], "match", out, error)) {
                return false;
            }
        }
    }
    out->len -= total > 0 ? 1 : 0;
    buf_add(out, total > 0 ? STR("]}") : STR("}"));
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the answer is too large: narrow by code or date");
}

enum http_verdict fhir_lastn(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct lastn lastn = { .request = request, .max = 1, .groups = table_in(&request->arena) };
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u };
    const struct api_read read = { .act = { .interaction = ACCESS_SEARCH, .type = STR("Observation") },
                                   .type = STR("Observation") };
    bool ok = operation_body(request, &body, &error) && read_asked(&lastn, body, &error) &&
              collect(&lastn, &error) && write_bundle(&lastn, &out, &error) &&
              api_audit_read(request, &call_of(request)->session, &read, &error);
    if (!ok) {
        buf_deinit(&out);
        return api_fail(request, &error);
    }
    api_respond_buf(request, &out, call_of(request)->pretty);
    return HTTP_DONE;
}
