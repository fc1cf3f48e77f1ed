/* terms.c — what the terminology operations share: finding what is asked for, the Parameters that go out. */
#include "api/terms.h"

#include "api/handlers.h"
#include "base/clock.h"

/* ---- finding ---- */

/* Uploaded ones as the session may search them. */
static bool find_uploaded(void *data, struct arena *arena, struct str type, struct str url,
                          const struct json **resource, struct error *error)
{
    struct terms *terms = data;
    size_t bar = str_find_char(url, '|');
    struct str own = api_url(terms->request, "%s", "");
    struct str path = url; /* "ValueSet/1", or the same with our own base */
    if (own.len > 0 && str_starts_with(url, own)) {
        path = str_skip(url, own.len + 1);
    }
    struct search_pair pairs[3] = {
        { .name = STR("url"), .value = str_slice(url, 0, bar) },
        { .name = STR("_sort"), .value = STR("-_lastUpdated") },
        { .name = STR("version"), .value = str_skip(url, bar + 1) },
    };
    struct operation_search search = { .request = terms->request,
                                       .options = { .type = type, .now_ms = clock_now_ms() },
                                       .pairs = pairs,
                                       .pairs_count = bar + 1 < url.len ? 3 : 2,
                                       .count = 1 };
    if (str_starts_with(path, type) && path.len > type.len && path.at[type.len] == '/') {
        pairs[0] = (struct search_pair){ .name = STR("_id"), .value = str_skip(path, type.len + 1) };
        search.pairs_count = 2;
    }
    struct str text = STR_NONE;
    struct json *tree = NULL;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    bool plain = url.len > 0 && url.len < 500 && str_find_char(url, ',') == url.len &&
                 str_find_char(url, '\\') == url.len;
    if (!plain) {
        return true;
    }
    if (!operation_search(&search, error)) {
        return false;
    }
    if (search.hits.matches_count == 0) {
        return true;
    }
    if (!fhir_text(&call_of(terms->request)->session, arena, &search.hits.hits[0].version, &view, &text,
                   error) ||
        !json_read(arena, text, &tree, error)) {
        return false;
    }
    *resource = tree;
    return true;
}

bool terms_begin(struct http_request *request, struct terms *terms, struct error *error)
{
    *terms = (struct terms){ .request = request, .arena = &request->arena };
    terms->source = (struct terminology_source){ .data = terms, .find = find_uploaded };
    terms->run = (struct terminology_run){ .terminology = api_of(request)->terminology,
                                           .source = &terms->source,
                                           .arena = &request->arena,
                                           .regex_us = &terms->regex_us };
    return operation_body(request, &terms->body, error);
}

const struct terminology_run *api_terminology(struct http_request *request)
{
    struct terms *terms = ARENA_NEW(&request->arena, struct terms);
    if (terms == NULL || api_of(request)->terminology == NULL) {
        return NULL;
    }
    terms->request = request;
    terms->arena = &request->arena;
    terms->source = (struct terminology_source){ .data = terms, .find = find_uploaded };
    terms->run = (struct terminology_run){ .terminology = api_of(request)->terminology,
                                           .source = &terms->source,
                                           .arena = &request->arena,
                                           .regex_us = &terms->regex_us };
    return &terms->run;
}

struct str terms_asked(const struct terms *terms, const char *name)
{
    return operation_parameter(terms->request, terms->body, str_from_cstr(name));
}

const struct json *terms_asked_value(const struct terms *terms, const char *name, const char *member)
{
    JSON_EACH(parameter, JSON_GET(terms->body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), str_from_cstr(name))) {
            return json_member(parameter, str_from_cstr(member));
        }
    }
    return NULL;
}

/* By the id in the address, a resource in the body, or `url`. */
bool terms_find(struct terms *terms, struct str type, const char *inline_name, const char *url_name,
                const struct json **resource, struct error *error)
{
    struct str id = http_parameter(terms->request, STR("id"));
    struct str url = terms_asked(terms, url_name);
    if (id.at != NULL) {
        const struct fhir_wanted wanted = { .type = type, .id = id };
        struct store_version version = { 0 };
        struct json *tree = NULL;
        bool ok = operation_read(terms->request, &wanted, &version, &tree, error);
        *resource = tree;
        return ok;
    }
    *resource = inline_name == NULL ? NULL : terms_asked_value(terms, inline_name, "resource");
    if (*resource != NULL) {
        return true;
    }
    if (url.len == 0) {
        return FAIL(error, ERROR_INPUT, "the parameter '%s' is needed", url_name);
    }
    return terminology_find(&terms->run, type, url, resource, error) &&
           (*resource != NULL ||
            FAIL(error, ERROR_NOT_FOUND, "no %.*s of that url is known here", STR_FMT(type)));
}

/* `code` with `system`, a `coding`, or the codings of a `codeableConcept`. */
size_t terms_codings(const struct terms *terms, struct terms_coding *codings, size_t max)
{
    struct arena *arena = terms->arena;
    const struct json *concept = terms_asked_value(terms, "codeableConcept", "valueCodeableConcept");
    const struct json *single = terms_asked_value(terms, "coding", "valueCoding");
    size_t count = 0;
    if (terms_asked(terms, "code").at != NULL) {
        codings[count].code.system = terms_asked(terms, "system");
        codings[count].code.code = terms_asked(terms, "code");
        codings[count++].display = terms_asked(terms, "display");
    }
    if (single != NULL && count < max) {
        codings[count].code.system = JSON_TEXT(arena, single, "system");
        codings[count].code.code = JSON_TEXT(arena, single, "code");
        codings[count++].display = JSON_TEXT(arena, single, "display");
    }
    JSON_EACH(coding, JSON_GET(concept, "coding")) {
        if (count < max) {
            codings[count].code.system = JSON_TEXT(arena, coding, "system");
            codings[count].code.code = JSON_TEXT(arena, coding, "code");
            codings[count++].display = JSON_TEXT(arena, coding, "display");
        }
    }
    return count;
}

/* ---- Parameters that go out ---- */

struct json *terms_parameters(struct terms *terms)
{
    struct json *made = json_new(terms->arena, JSON_OBJECT);
    (void)json_add_text(terms->arena, made, STR("resourceType"), STR("Parameters"));
    (void)json_add(made, STR("parameter"), json_new(terms->arena, JSON_ARRAY));
    return made;
}

struct json *terms_add_part(struct terms *terms, struct json *list, const char *name)
{
    struct json *part = json_append(list, json_new(terms->arena, JSON_OBJECT));
    (void)json_add_text(terms->arena, part, STR("name"), str_from_cstr(name));
    return part;
}

void terms_add_text(struct terms *terms, struct json *made, const char *name, const char *member,
                    struct str text)
{
    if (text.at != NULL) {
        struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), name);
        (void)json_add_text(terms->arena, part, str_from_cstr(member), text);
    }
}

void terms_add_flag(struct terms *terms, struct json *made, const char *name, bool value)
{
    struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), name);
    (void)json_add(part, STR("valueBoolean"), json_new_bool(terms->arena, value));
}

enum http_verdict terms_finish(struct terms *terms, bool ok, const struct json *made,
                               const struct error *error)
{
    if (!ok) {
        return api_fail(terms->request, error);
    }
    api_respond_json(terms->request, 200, true, made);
    return HTTP_DONE;
}
