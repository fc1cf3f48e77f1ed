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

static bool is_listed(const char *list, struct str name)
{
    struct str rest = str_from_cstr(list);
    struct str word = STR_NONE;
    while (rest.at != NULL && str_split_next(&rest, ' ', &word)) {
        if (str_equal(word, name)) {
            return true;
        }
    }
    return false;
}

static bool check_names(const struct terms *terms, const char *known, struct error *error)
{
    const struct http_request *request = terms->request;
    struct str other = STR_NONE;
    for (size_t i = 0; i < request->pairs_count; i++) {
        struct str name = request->pairs[i].name;
        bool fine = is_listed(known, name) || is_listed("_format _pretty", name);
        other = fine ? other : name;
    }
    JSON_EACH(parameter, JSON_GET(terms->body, "parameter")) {
        struct str name = JSON_TEXT(terms->arena, parameter, "name");
        other = is_listed(known, name) ? other : name;
    }
    return other.at == NULL || call_of(request)->lenient ||
           FAIL(error, ERROR_UNSUPPORTED, "'%.*s' is not a parameter of this operation here",
                STR_FMT(str_slice(other, 0, 40)));
}

static void prepare(struct terms *terms)
{
    struct arena *arena = &terms->request->arena;
    terms->arena = arena;
    terms->source = (struct terminology_source){ .data = terms, .find = find_uploaded };
    terms->memo = (struct terminology_memo){ .found = table_in(arena), .indexes = table_in(arena) };
    terms->run = (struct terminology_run){ .terminology = api_of(terms->request)->terminology,
                                           .source = &terms->source,
                                           .arena = arena,
                                           .regex_us = &terms->regex_us,
                                           .memo = &terms->memo };
}

bool terms_begin(struct http_request *request, const char *known, struct terms *terms, struct error *error)
{
    *terms = (struct terms){ .request = request };
    prepare(terms);
    return operation_body(request, &terms->body, error) && check_names(terms, known, error);
}

const struct terminology_run *api_terminology(struct http_request *request)
{
    struct terms *terms = ARENA_NEW(&request->arena, struct terms);
    if (terms == NULL || api_of(request)->terminology == NULL) {
        return NULL;
    }
    terms->request = request;
    prepare(terms);
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

bool terms_flag(const struct terms *terms, const char *name, bool *flag, struct error *error)
{
    struct str text = terms_asked(terms, name);
    *flag = str_equal(text, STR("true"));
    return *flag || text.at == NULL || str_equal(text, STR("false")) ||
           FAIL(error, ERROR_INPUT, "%s is true or false", name);
}

bool terms_find(struct terms *terms, const struct terms_names *names, const struct json **resource,
                struct error *error)
{
    struct str id = http_parameter(terms->request, STR("id"));
    struct str url = terms_asked(terms, names->url);
    struct str version = terms_asked(terms, names->version);
    if (id.at != NULL) {
        const struct fhir_wanted wanted = { .type = names->type, .id = id };
        struct store_version stored = { 0 };
        struct json *tree = NULL;
        bool ok = operation_read(terms->request, &wanted, &stored, &tree, error);
        *resource = tree;
        return ok;
    }
    *resource = names->sent == NULL ? NULL : terms_asked_value(terms, names->sent, "resource");
    if (*resource != NULL) {
        return true;
    }
    if (url.len == 0) {
        return FAIL(error, ERROR_INPUT, "the parameter '%s' is needed", names->url);
    }
    if (version.len > 0) {
        url = arena_printf(terms->arena, "%.*s|%.*s", STR_FMT(url), STR_FMT(version));
    }
    if (!terminology_find(&terms->run, names->type, url, resource, error)) {
        return false;
    }
    bool other = version.len > 0 && !json_equals_text(JSON_GET(*resource, "version"), version);
    return (*resource != NULL && !other) ||
           FAIL(error, ERROR_NOT_FOUND, "no %.*s of that url is known here", STR_FMT(names->type));
}

/* ---- what is said of a concept ---- */

bool terms_is_abstract(const struct json *concept)
{
    JSON_EACH(property, JSON_GET(concept, "property")) {
        if (json_equals_text(JSON_GET(property, "code"), STR("notSelectable")) &&
            json_is_true(JSON_GET(property, "valueBoolean"))) {
            return true;
        }
    }
    return false;
}

bool terms_is_inactive(struct arena *arena, const struct json *concept)
{
    JSON_EACH(property, JSON_GET(concept, "property")) {
        struct str code = JSON_TEXT(arena, property, "code");
        struct str status = JSON_TEXT(arena, property, "valueCode");
        bool ended = str_equal(status, STR("retired")) || str_equal(status, STR("inactive"));
        if ((str_equal(code, STR("inactive")) && json_is_true(JSON_GET(property, "valueBoolean"))) ||
            (str_equal(code, STR("status")) && ended)) {
            return true;
        }
    }
    return false;
}

/* "zh" asks for "zh-CN" too, "zh-CN" takes "zh" where there is nothing nearer. */
static bool speaks(struct str language, struct str asked)
{
    struct str whole = language.len >= asked.len ? language : asked;
    size_t len = language.len >= asked.len ? asked.len : language.len;
    return len > 0 && str_equal_ignore_case(str_slice(language, 0, len), str_slice(asked, 0, len)) &&
           (whole.len == len || whole.at[len] == '-');
}

struct str terms_display(struct arena *arena, const struct terminology_code *code, struct str language,
                         struct str otherwise)
{
    const struct json *owners[] = { code->listed, code->concept };
    for (size_t i = 0; language.len > 0 && i < 2; i++) {
        JSON_EACH(designation, JSON_GET(owners[i], "designation")) {
            if (speaks(JSON_TEXT(arena, designation, "language"), language)) {
                return JSON_TEXT(arena, designation, "value");
            }
        }
    }
    return otherwise;
}

bool terms_has_display(struct arena *arena, const struct json *concept, struct str text)
{
    if (str_equal_ignore_case(JSON_TEXT(arena, concept, "display"), text)) {
        return true;
    }
    JSON_EACH(designation, JSON_GET(concept, "designation")) {
        if (str_equal_ignore_case(JSON_TEXT(arena, designation, "value"), text)) {
            return true;
        }
    }
    return false;
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
