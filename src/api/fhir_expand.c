/* ValueSet $expand (R4 4.9.18.1). */
#include "api/handlers.h"
#include "api/terms.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/uuid.h"

enum { EXPAND_COUNT = 1000, VERSIONS_MAX = 20 };

/* Parameters that are repeated in the expansion, with the type of their values. */
static const struct {
    const char *name;
    const char *member;
} echoed[] = {
    { "filter", "valueString" },
    { "offset", "valueInteger" },
    { "count", "valueInteger" },
    { "includeDesignations", "valueBoolean" },
    { "includeDefinition", "valueBoolean" },
    { "activeOnly", "valueBoolean" },
    { "excludeNested", "valueBoolean" },
    { "displayLanguage", "valueCode" },
    { "system-version", "valueUri" },
};
#define ASKED                                                                                                \
    "url valueSet valueSetVersion filter offset count includeDesignations includeDefinition activeOnly "     \
    "excludeNested displayLanguage system-version"

struct expansion {
    struct terms *terms;
    struct json *contains;
    struct str filter;
    struct str language;
    bool active_only;
    bool designations;
    uint64_t offset;
    uint64_t count;
    uint64_t total;
};

static bool text_has(struct str text, struct str part)
{
    for (size_t i = 0; part.len <= text.len && i + part.len <= text.len; i++) {
        if (str_equal_ignore_case(str_slice(text, i, i + part.len), part)) {
            return true;
        }
    }
    return false;
}

/* The filter looks into the code, its display and its designations. */
static bool fits(const struct expansion *expansion, const struct terminology_code *code)
{
    const struct json *owners[] = { code->listed, code->concept };
    if (expansion->filter.len == 0 || text_has(code->display, expansion->filter) ||
        text_has(code->code, expansion->filter)) {
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        JSON_EACH(designation, JSON_GET(owners[i], "designation")) {
            if (text_has(JSON_TEXT(expansion->terms->arena, designation, "value"), expansion->filter)) {
                return true;
            }
        }
    }
    return false;
}

static void add_designations(struct expansion *expansion, struct json *item,
                             const struct terminology_code *code)
{
    struct arena *arena = expansion->terms->arena;
    const struct json *own = JSON_GET(code->listed, "designation");
    const struct json *list = own != NULL ? own : JSON_GET(code->concept, "designation");
    if (expansion->designations && list != NULL) {
        (void)json_add(item, STR("designation"), json_copy(arena, list, false));
    }
}

static bool take_code(void *data, const struct terminology_code *code)
{
    struct expansion *expansion = data;
    struct arena *arena = expansion->terms->arena;
    bool inactive = terms_is_inactive(arena, code->concept);
    if ((inactive && expansion->active_only) || !fits(expansion, code)) {
        return true;
    }
    uint64_t place = expansion->total++;
    if (place >= expansion->offset && place - expansion->offset < expansion->count) {
        struct json *item = json_append(expansion->contains, json_new(arena, JSON_OBJECT));
        struct str display = terms_display(arena, code, expansion->language, code->display);
        (void)json_add_text(arena, item, STR("system"), code->system);
        if (terms_is_abstract(code->concept)) {
            (void)json_add(item, STR("abstract"), json_new_bool(arena, true));
        }
        if (inactive) {
            (void)json_add(item, STR("inactive"), json_new_bool(arena, true));
        }
        (void)json_add_text(arena, item, STR("code"), code->code);
        if (display.at != NULL) {
            (void)json_add_text(arena, item, STR("display"), display);
        }
        add_designations(expansion, item, code);
    }
    return true;
}

static bool read_number(const struct terms *terms, const char *name, uint64_t *number, struct error *error)
{
    struct str text = terms_asked(terms, name);
    return text.at == NULL || parse_uint64(text, 1000000, number) ||
           FAIL(error, ERROR_INPUT, "%s must be a number", name);
}

static void add_raw(struct terms *terms, struct json *owner, const char *name, struct str text)
{
    struct json *value = NULL;
    if (text.at != NULL && json_read(terms->arena, text, &value, NULL)) {
        (void)json_add(owner, str_from_cstr(name), value);
    }
}

static void add_number(struct terms *terms, struct json *owner, const char *name, uint64_t number)
{
    add_raw(terms, owner, name, arena_printf(terms->arena, "%llu", (unsigned long long)number));
}

/* expansion.parameter: what was asked for, so that the expansion can be read by itself. */
static void add_echo(struct terms *terms, struct json *expansion)
{
    struct arena *arena = terms->arena;
    struct json *list = json_new(arena, JSON_ARRAY);
    for (size_t i = 0; i < sizeof echoed / sizeof echoed[0]; i++) {
        struct str text = terms_asked(terms, echoed[i].name);
        bool raw = str_equal_cstr(STR("valueBoolean"), echoed[i].member) ||
                   str_equal_cstr(STR("valueInteger"), echoed[i].member);
        if (text.at == NULL) {
            continue;
        }
        struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, parameter, STR("name"), str_from_cstr(echoed[i].name));
        if (raw) {
            add_raw(terms, parameter, echoed[i].member, text);
        } else {
            (void)json_add_text(arena, parameter, str_from_cstr(echoed[i].member), text);
        }
    }
    if (list != NULL && list->count > 0) {
        (void)json_add(expansion, STR("parameter"), list);
    }
}

static struct json *expanded(struct terms *terms, const struct json *value_set, struct expansion *expansion,
                             struct error *error)
{
    static const char *const kept[] = { "id", "url", "version", "name", "title", "status" };
    struct arena *arena = terms->arena;
    struct json *made = json_new(arena, JSON_OBJECT);
    bool definition = false;
    char id[UUID_TEXT_BYTES];
    char time[INSTANT_BYTES];
    if (!uuid_v7(clock_now_ms(), id, error) || !terms_flag(terms, "includeDefinition", &definition, error)) {
        return NULL;
    }
    (void)instant_format(clock_now_ms(), 0, time);
    (void)json_add_text(arena, made, STR("resourceType"), STR("ValueSet"));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        struct str text = json_member_text(arena, value_set, str_from_cstr(kept[i]));
        if (text.at != NULL) {
            (void)json_add_text(arena, made, str_from_cstr(kept[i]), text);
        }
    }
    if (JSON_GET(made, "status") == NULL) {
        (void)json_add_text(arena, made, STR("status"), STR("active"));
    }
    if (definition && JSON_GET(value_set, "compose") != NULL) {
        (void)json_add(made, STR("compose"), json_copy(arena, JSON_GET(value_set, "compose"), false));
    }
    struct json *told = json_add(made, STR("expansion"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, told, STR("identifier"), arena_printf(arena, "urn:uuid:%s", id));
    (void)json_add_text(arena, told, STR("timestamp"), arena_dup(arena, str_from_cstr(time)));
    add_number(terms, told, "total", expansion->total);
    add_number(terms, told, "offset", expansion->offset);
    add_echo(terms, told);
    if (expansion->contains->count > 0) {
        (void)json_add(told, STR("contains"), expansion->contains);
    }
    return made;
}

/* system-version, as often as wanted. */
static bool read_versions(struct terms *terms, struct error *error)
{
    struct str *versions = ARENA_ARRAY(terms->arena, struct str, VERSIONS_MAX);
    size_t count = 0;
    bool fit = versions != NULL;
    for (size_t i = 0; fit && i < terms->request->pairs_count; i++) {
        if (str_equal(terms->request->pairs[i].name, STR("system-version"))) {
            fit = count < VERSIONS_MAX;
            versions[fit ? count++ : 0] = terms->request->pairs[i].value;
        }
    }
    JSON_EACH(parameter, fit ? JSON_GET(terms->body, "parameter") : NULL) {
        if (fit && json_equals_text(JSON_GET(parameter, "name"), STR("system-version"))) {
            struct str uri = JSON_TEXT(terms->arena, parameter, "valueUri");
            fit = count < VERSIONS_MAX;
            versions[fit ? count++ : 0] =
                uri.at != NULL ? uri : JSON_TEXT(terms->arena, parameter, "valueCanonical");
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (str_find_char(versions[i], '|') >= versions[i].len) {
            return FAIL(error, ERROR_INPUT, "system-version is a system, a bar and a version");
        }
    }
    terms->run.versions = versions;
    terms->run.versions_count = count;
    return fit || FAIL(error, ERROR_INPUT, "at most %d versions of systems", VERSIONS_MAX);
}

static bool read_wishes(struct terms *terms, const struct json *value_set, struct expansion *expansion,
                        struct error *error)
{
    bool nested = false; /* an expansion is always a plain list here */
    const struct json *inactive = JSON_GET(JSON_GET(value_set, "compose"), "inactive");
    bool ok = read_number(terms, "offset", &expansion->offset, error) &&
              read_number(terms, "count", &expansion->count, error) &&
              terms_flag(terms, "activeOnly", &expansion->active_only, error) &&
              terms_flag(terms, "includeDesignations", &expansion->designations, error) &&
              terms_flag(terms, "excludeNested", &nested, error) && read_versions(terms, error);
    expansion->filter = terms_asked(terms, "filter");
    expansion->language = terms_asked(terms, "displayLanguage");
    /* R4 ValueSet.compose.inactive: the author may leave them out, the client can only do so too. */
    expansion->active_only = expansion->active_only || (inactive != NULL && !json_is_true(inactive));
    return ok;
}

enum http_verdict fhir_expand(struct http_request *request)
{
    static const struct terms_names names = { { "ValueSet", 8 }, "valueSet", "url", "valueSetVersion" };
    struct error error = { 0 };
    struct terms terms = { 0 };
    const struct json *value_set = NULL;
    struct json *made = NULL;
    bool ok = terms_begin(request, ASKED, &terms, &error);
    struct expansion expansion = { .terms = &terms, .count = EXPAND_COUNT };
    expansion.contains = json_new(&request->arena, JSON_ARRAY);
    ok = ok && terms_find(&terms, &names, &value_set, &error) &&
         read_wishes(&terms, value_set, &expansion, &error) &&
         terminology_expand(&terms.run, value_set, take_code, &expansion, &error);
    if (ok) {
        made = expanded(&terms, value_set, &expansion, &error);
        ok = made != NULL;
    }
    return terms_finish(&terms, ok, made, &error);
}
