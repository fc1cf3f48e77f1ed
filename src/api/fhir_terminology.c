/* Terminology operations (R4 4.7, 4.8, 4.10): ValueSet $expand and $validate-code, CodeSystem $lookup, $subsumes and
 * $validate-code, ConceptMap $translate; over R4's own definitions and those the session may read. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "fhir/terminology.h"

enum { EXPAND_COUNT = 1000, MAPS_MAX = 50 };

struct terms {
    struct http_request *request;
    struct arena *arena;
    struct json *body; /* Parameters, or NULL */
    struct terminology_source source;
    struct terminology_run run;
    int64_t regex_us;
};

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

static bool begin(struct http_request *request, struct terms *terms, struct error *error)
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

static struct str asked(const struct terms *terms, const char *name)
{
    return operation_parameter(terms->request, terms->body, str_from_cstr(name));
}

static const struct json *asked_value(const struct terms *terms, const char *name, const char *member)
{
    JSON_EACH(parameter, JSON_GET(terms->body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), str_from_cstr(name))) {
            return json_member(parameter, str_from_cstr(member));
        }
    }
    return NULL;
}

/* By the id in the address, a resource in the body, or `url`. */
static bool find_asked(struct terms *terms, struct str type, const char *inline_name, const char *url_name,
                       const struct json **resource, struct error *error)
{
    struct str id = http_parameter(terms->request, STR("id"));
    struct str url = asked(terms, url_name);
    if (id.at != NULL) {
        const struct fhir_wanted wanted = { .type = type, .id = id };
        struct store_version version = { 0 };
        struct json *tree = NULL;
        bool ok = operation_read(terms->request, &wanted, &version, &tree, error);
        *resource = tree;
        return ok;
    }
    *resource = inline_name == NULL ? NULL : asked_value(terms, inline_name, "resource");
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

/* ---- Parameters that go out ---- */

static struct json *parameters(struct terms *terms)
{
    struct json *made = json_new(terms->arena, JSON_OBJECT);
    (void)json_add_text(terms->arena, made, STR("resourceType"), STR("Parameters"));
    (void)json_add(made, STR("parameter"), json_new(terms->arena, JSON_ARRAY));
    return made;
}

static struct json *add_part(struct terms *terms, struct json *list, const char *name)
{
    struct json *part = json_append(list, json_new(terms->arena, JSON_OBJECT));
    (void)json_add_text(terms->arena, part, STR("name"), str_from_cstr(name));
    return part;
}

static void add_text(struct terms *terms, struct json *made, const char *name, const char *member,
                     struct str text)
{
    if (text.at != NULL) {
        struct json *part = add_part(terms, JSON_GET(made, "parameter"), name);
        (void)json_add_text(terms->arena, part, str_from_cstr(member), text);
    }
}

static void add_flag(struct terms *terms, struct json *made, const char *name, bool value)
{
    struct json *part = add_part(terms, JSON_GET(made, "parameter"), name);
    (void)json_add(part, STR("valueBoolean"), json_new_bool(terms->arena, value));
}

static enum http_verdict finish(struct terms *terms, bool ok, const struct json *made,
                                const struct error *error)
{
    if (!ok) {
        return api_fail(terms->request, error);
    }
    api_respond_json(terms->request, 200, true, made);
    return HTTP_DONE;
}

/* ---- $expand ---- */

struct expansion {
    struct terms *terms;
    struct json *contains;
    struct str filter;
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

static bool take_code(void *data, const struct terminology_code *code)
{
    struct expansion *expansion = data;
    struct arena *arena = expansion->terms->arena;
    if (expansion->filter.len > 0 && !text_has(code->display, expansion->filter) &&
        !text_has(code->code, expansion->filter)) {
        return true;
    }
    uint64_t place = expansion->total++;
    if (place >= expansion->offset && place - expansion->offset < expansion->count) {
        struct json *item = json_append(expansion->contains, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, item, STR("system"), code->system);
        (void)json_add_text(arena, item, STR("code"), code->code);
        (void)json_add_text(arena, item, STR("display"),
                            code->display.at != NULL ? code->display : code->code);
    }
    return true;
}

static bool read_number(const struct terms *terms, const char *name, uint64_t *number, struct error *error)
{
    struct str text = asked(terms, name);
    return text.at == NULL || parse_uint64(text, 1000000, number) ||
           FAIL(error, ERROR_INPUT, "%s must be a number", name);
}

static void add_number(struct terms *terms, struct json *owner, const char *name, uint64_t number)
{
    struct json *value = NULL;
    struct str digits = arena_printf(terms->arena, "%llu", (unsigned long long)number);
    if (digits.at != NULL && json_read(terms->arena, digits, &value, NULL)) {
        (void)json_add(owner, str_from_cstr(name), value);
    }
}

static struct json *expanded(struct terms *terms, const struct json *value_set, struct expansion *expansion,
                             struct error *error)
{
    static const char *const kept[] = { "id", "url", "version", "name", "title", "status" };
    struct arena *arena = terms->arena;
    struct json *made = json_new(arena, JSON_OBJECT);
    char id[UUID_TEXT_BYTES];
    char time[INSTANT_BYTES];
    if (!uuid_v7(clock_now_ms(), id, error)) {
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
    struct json *expansion_json = json_add(made, STR("expansion"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, expansion_json, STR("identifier"), arena_printf(arena, "urn:uuid:%s", id));
    (void)json_add_text(arena, expansion_json, STR("timestamp"), arena_dup(arena, str_from_cstr(time)));
    add_number(terms, expansion_json, "total", expansion->total);
    add_number(terms, expansion_json, "offset", expansion->offset);
    if (expansion->contains->count > 0) {
        (void)json_add(expansion_json, STR("contains"), expansion->contains);
    }
    return made;
}

enum http_verdict fhir_expand(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    const struct json *value_set = NULL;
    struct json *made = NULL;
    bool ok = begin(request, &terms, &error);
    struct expansion expansion = { .terms = &terms, .count = EXPAND_COUNT };
    expansion.contains = json_new(&request->arena, JSON_ARRAY);
    ok = ok && find_asked(&terms, STR("ValueSet"), "valueSet", "url", &value_set, &error) &&
         read_number(&terms, "offset", &expansion.offset, &error) &&
         read_number(&terms, "count", &expansion.count, &error);
    expansion.filter = ok ? asked(&terms, "filter") : STR_NONE;
    ok = ok && terminology_expand(&terms.run, value_set, take_code, &expansion, &error);
    if (ok) {
        made = expanded(&terms, value_set, &expansion, &error);
        ok = made != NULL;
    }
    return finish(&terms, ok, made, &error);
}

/* ---- $validate-code ---- */

struct coding {
    struct terminology_code code;
    struct str display; /* given */
};

/* `code` with `system`, a `coding`, or the codings of a `codeableConcept`. */
static size_t asked_codings(const struct terms *terms, struct coding *codings, size_t max)
{
    struct arena *arena = terms->arena;
    const struct json *concept = asked_value(terms, "codeableConcept", "valueCodeableConcept");
    const struct json *single = asked_value(terms, "coding", "valueCoding");
    size_t count = 0;
    if (asked(terms, "code").at != NULL) {
        codings[count].code.system = asked(terms, "system");
        codings[count].code.code = asked(terms, "code");
        codings[count++].display = asked(terms, "display");
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

static struct str display_of(struct terms *terms, const struct terminology_code *code)
{
    const struct json *code_system = NULL;
    struct error ignored = { 0 };
    if (code->system.at == NULL ||
        !terminology_find(&terms->run, STR("CodeSystem"), code->system, &code_system, &ignored)) {
        return STR_NONE;
    }
    return JSON_TEXT(terms->arena, terminology_concept(&terms->run, code_system, code->code), "display");
}

static void say_result(struct terms *terms, struct json *made, bool valid, bool known,
                       const struct coding *coding)
{
    struct str display = valid ? display_of(terms, &coding->code) : STR_NONE;
    bool other =
        display.len > 0 && coding->display.len > 0 && !str_equal_ignore_case(display, coding->display);
    bool chinese = api_language(terms->request) == OUTCOME_CHINESE;
    add_flag(terms, made, "result", valid && !other);
    if (other) {
        add_text(terms, made, "message", "valueString",
                 chinese ? STR("代码存在，但显示名称不符")
                         : STR("the code is there, its display is another"));
    } else if (!valid) {
        add_text(terms, made, "message", "valueString",
                 known
                     ? (chinese ? STR("其中没有该代码") : STR("the code is not in it"))
                     : (chinese ? STR("代码系统未知，无法判断") : STR("the code system is not known here")));
    }
    add_text(terms, made, "display", "valueString", display);
}

enum http_verdict fhir_validate_code(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct coding codings[16] = { 0 };
    const struct json *value_set = NULL;
    bool valid = false;
    bool known = true;
    size_t at = 0;
    bool ok = begin(request, &terms, &error) &&
              find_asked(&terms, STR("ValueSet"), "valueSet", "url", &value_set, &error);
    size_t count = ok ? asked_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept"));
    for (size_t i = 0; ok && !valid && i < count; i++) {
        bool told = false;
        at = i;
        ok = terminology_has(&terms.run, value_set, &codings[i].code, &told, &valid, &error);
        known = known && told;
    }
    struct json *made = parameters(&terms);
    if (ok) {
        say_result(&terms, made, valid, known, &codings[at]);
    }
    return finish(&terms, ok, made, &error);
}

enum http_verdict fhir_validate_code_system(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct coding codings[16] = { 0 };
    const struct json *code_system = NULL;
    bool ok = begin(request, &terms, &error) &&
              find_asked(&terms, STR("CodeSystem"), "codeSystem", "url", &code_system, &error);
    size_t count = ok ? asked_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code, coding or codeableConcept"));
    bool valid = false;
    size_t at = 0;
    struct str own = JSON_TEXT(&request->arena, code_system, "url");
    for (size_t i = 0; ok && !valid && i < count; i++) {
        at = i;
        bool here = codings[i].code.system.at == NULL || str_equal(codings[i].code.system, own);
        valid = here && terminology_concept(&terms.run, code_system, codings[i].code.code) != NULL;
        codings[i].code.system = own;
    }
    struct json *made = parameters(&terms);
    if (ok) {
        say_result(&terms, made, valid, true, &codings[at]);
    }
    return finish(&terms, ok, made, &error);
}

/* ---- $lookup, $subsumes ---- */

static void add_details(struct terms *terms, struct json *made, const struct json *code_system,
                        const struct json *concept)
{
    struct arena *arena = terms->arena;
    struct str display = JSON_TEXT(arena, concept, "display");
    add_text(terms, made, "name", "valueString", JSON_TEXT(arena, code_system, "name"));
    add_text(terms, made, "version", "valueString", JSON_TEXT(arena, code_system, "version"));
    add_text(terms, made, "display", "valueString",
             display.at != NULL ? display : JSON_TEXT(arena, concept, "code"));
    struct str definition = JSON_TEXT(arena, concept, "definition");
    const char *named[] = { "designation", "property" };
    if (definition.at != NULL) {
        struct json *part = add_part(terms, JSON_GET(made, "parameter"), "property");
        struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
        (void)json_add_text(arena, add_part(terms, list, "code"), STR("valueCode"), STR("definition"));
        (void)json_add_text(arena, add_part(terms, list, "value"), STR("valueString"), definition);
    }
    for (size_t i = 0; i < 2; i++) {
        JSON_EACH(item, json_member(concept, str_from_cstr(named[i]))) {
            struct json *part = add_part(terms, JSON_GET(made, "parameter"), named[i]);
            struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
            JSON_EACH(member, item) {
                bool is_value = str_starts_with(member->name, STR("value"));
                struct str name = is_value ? STR("value") : member->name;
                struct str typed = str_equal(name, STR("code"))            ? STR("valueCode")
                                   : str_equal(name, STR("language"))      ? STR("valueCode")
                                   : str_equal(name, STR("use"))           ? STR("valueCoding")
                                   : str_equal(member->name, STR("value")) ? STR("valueString")
                                                                           : member->name;
                struct json *inner = json_append(list, json_new(arena, JSON_OBJECT));
                (void)json_add_text(arena, inner, STR("name"), name);
                (void)json_add(inner, typed, json_copy(arena, member, false));
            }
        }
    }
}

static bool system_of(struct terms *terms, struct str system, const struct json **code_system,
                      struct error *error)
{
    if (system.len == 0) {
        return FAIL(error, ERROR_INPUT, "the parameter 'system' is needed");
    }
    return terminology_find(&terms->run, STR("CodeSystem"), system, code_system, error) &&
           (*code_system != NULL || FAIL(error, ERROR_NOT_FOUND, "the code system is not known here"));
}

enum http_verdict fhir_lookup(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct coding codings[2] = { 0 };
    const struct json *code_system = NULL;
    const struct json *concept = NULL;
    bool ok = begin(request, &terms, &error);
    size_t count = ok ? asked_codings(&terms, codings, 1) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give system and code, or coding")) &&
         system_of(&terms, codings[0].code.system, &code_system, &error);
    concept = ok ? terminology_concept(&terms.run, code_system, codings[0].code.code) : NULL;
    ok = ok && (concept != NULL || FAIL(&error, ERROR_NOT_FOUND, "the code system has no such code"));
    struct json *made = parameters(&terms);
    if (ok) {
        add_details(&terms, made, code_system, concept);
    }
    return finish(&terms, ok, made, &error);
}

static struct str code_of(const struct terms *terms, const char *plain, const char *coding,
                          struct str *system)
{
    const struct json *given = asked_value(terms, coding, "valueCoding");
    struct str own = JSON_TEXT(terms->arena, given, "system");
    *system = own.at != NULL ? own : *system;
    return given != NULL ? JSON_TEXT(terms->arena, given, "code") : asked(terms, plain);
}

enum http_verdict fhir_subsumes(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    const struct json *code_system = NULL;
    bool ok = begin(request, &terms, &error);
    struct str system = ok ? asked(&terms, "system") : STR_NONE;
    struct str a = ok ? code_of(&terms, "codeA", "codingA", &system) : STR_NONE;
    struct str b = ok ? code_of(&terms, "codeB", "codingB", &system) : STR_NONE;
    struct str answer = STR("not-subsumed");
    ok = ok && ((a.len > 0 && b.len > 0) || FAIL(&error, ERROR_INPUT, "codeA and codeB are needed")) &&
         system_of(&terms, system, &code_system, &error) &&
         ((terminology_concept(&terms.run, code_system, a) != NULL &&
           terminology_concept(&terms.run, code_system, b) != NULL) ||
          FAIL(&error, ERROR_NOT_FOUND, "the code system has no such code"));
    if (ok && str_equal(a, b)) {
        answer = STR("equivalent");
    } else if (ok && terminology_is_below(&terms.run, code_system, a, b, false)) {
        answer = STR("subsumes");
    } else if (ok && terminology_is_below(&terms.run, code_system, b, a, false)) {
        answer = STR("subsumed-by");
    }
    struct json *made = parameters(&terms);
    add_text(&terms, made, "outcome", "valueCode", answer);
    return finish(&terms, ok, made, &error);
}

/* ---- $translate ---- */

static void add_match(struct terms *terms, struct json *made, struct str equivalence, struct str system,
                      struct str code)
{
    struct arena *arena = terms->arena;
    struct json *part = add_part(terms, JSON_GET(made, "parameter"), "match");
    struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
    (void)json_add_text(arena, add_part(terms, list, "equivalence"), STR("valueCode"), equivalence);
    struct json *concept =
        json_add(add_part(terms, list, "concept"), STR("valueCoding"), json_new(arena, JSON_OBJECT));
    if (system.at != NULL) {
        (void)json_add_text(arena, concept, STR("system"), system);
    }
    (void)json_add_text(arena, concept, STR("code"), code);
}

/* With `reverse` the map is read from its targets. True when one of the matches is more than "unmatched". */
static bool translate(struct terms *terms, const struct json *map, const struct coding *from, bool reverse,
                      struct json *made)
{
    struct arena *arena = terms->arena;
    bool found = false;
    JSON_EACH(group, JSON_GET(map, "group")) {
        struct str source = JSON_TEXT(arena, group, "source");
        struct str target = JSON_TEXT(arena, group, "target");
        struct str own = reverse ? target : source;
        struct str wanted = asked(terms, "targetsystem");
        struct str other = reverse ? source : target;
        if ((from->code.system.at != NULL && own.at != NULL && !str_equal(own, from->code.system)) ||
            (wanted.at != NULL && !str_equal(wanted, other))) {
            continue;
        }
        JSON_EACH(element, JSON_GET(group, "element")) {
            struct str code = JSON_TEXT(arena, element, "code");
            JSON_EACH(to, JSON_GET(element, "target")) {
                struct str there = JSON_TEXT(arena, to, "code");
                struct str how = JSON_TEXT(arena, to, "equivalence");
                bool none = str_equal(how, STR("unmatched")) || str_equal(how, STR("disjoint"));
                if (there.at != NULL && str_equal(reverse ? there : code, from->code.code)) {
                    add_match(terms, made, how, reverse ? source : target, reverse ? code : there);
                    found = found || !none;
                }
            }
        }
    }
    return found;
}

/* Without a map's address: any that goes between the value sets or to the system that are asked for. */
struct maps {
    struct terms *terms;
    const struct coding *codings;
    size_t codings_count;
    struct json *made;
    bool reverse;
    bool found;
};

static bool map_fits(struct terms *terms, const struct json *map)
{
    static const struct {
        const char *parameter;
        const char *members[2];
    } sides[] = { { "source", { "sourceUri", "sourceCanonical" } },
                  { "target", { "targetUri", "targetCanonical" } } };
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        struct str wanted = asked(terms, sides[i].parameter);
        struct str own = json_member_text(terms->arena, map, str_from_cstr(sides[i].members[0]));
        own = own.at != NULL ? own : json_member_text(terms->arena, map, str_from_cstr(sides[i].members[1]));
        if (wanted.at != NULL && !str_equal(wanted, str_slice(own, 0, str_find_char(own, '|')))) {
            return false;
        }
    }
    return true;
}

static void take_map(void *data, const struct json *map)
{
    struct maps *maps = data;
    for (size_t i = 0; map_fits(maps->terms, map) && i < maps->codings_count; i++) {
        maps->found =
            translate(maps->terms, map, &maps->codings[i], maps->reverse, maps->made) || maps->found;
    }
}

static bool uploaded_maps(struct maps *maps, struct error *error)
{
    struct terms *terms = maps->terms;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct search_pair pair = { .name = maps->reverse ? STR("target-system") : STR("source-system"),
                                .value = maps->codings[0].code.system };
    struct operation_search search = { .request = terms->request,
                                       .options = { .type = STR("ConceptMap"), .now_ms = clock_now_ms() },
                                       .pairs = &pair,
                                       .pairs_count = 1,
                                       .count = MAPS_MAX };
    if (!operation_search(&search, error)) {
        return false;
    }
    for (size_t i = 0; i < search.hits.matches_count; i++) {
        struct json *tree = NULL;
        struct str text = STR_NONE;
        if (!fhir_text(&call_of(terms->request)->session, terms->arena, &search.hits.hits[i].version, &view,
                       &text, error) ||
            !json_read(terms->arena, text, &tree, error)) {
            return false;
        }
        take_map(maps, tree);
    }
    return search.hits.next_cursor.at == NULL ||
           FAIL(error, ERROR_TOO_COSTLY, "more than %d concept maps: name one by url", MAPS_MAX);
}

static bool translate_by_any(struct maps *maps, struct error *error)
{
    if (maps->codings_count == 0 || maps->codings[0].code.system.len == 0) {
        return FAIL(error, ERROR_INPUT, "give url of a ConceptMap, or code with system");
    }
    if (!uploaded_maps(maps, error)) {
        return false;
    }
    terminology_each(maps->terms->run.terminology, STR("ConceptMap"), take_map, maps);
    return true;
}

enum http_verdict fhir_translate(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct coding codings[16] = { 0 };
    const struct json *map = NULL;
    bool found = false;
    bool ok = begin(request, &terms, &error);
    bool any = ok && http_parameter(request, STR("id")).at == NULL && asked(&terms, "url").at == NULL &&
               asked_value(&terms, "conceptMap", "resource") == NULL;
    ok = ok && (any || find_asked(&terms, STR("ConceptMap"), "conceptMap", "url", &map, &error));
    size_t count = ok ? asked_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept"));
    bool reverse = ok && str_equal(asked(&terms, "reverse"), STR("true"));
    struct json *matches = parameters(&terms);
    struct maps maps = { &terms, codings, count, matches, reverse, false };
    ok = ok && (!any || translate_by_any(&maps, &error));
    found = maps.found;
    for (size_t i = 0; ok && !any && i < count; i++) {
        found = translate(&terms, map, &codings[i], reverse, matches) || found;
    }
    struct json *made = parameters(&terms);
    add_flag(&terms, made, "result", found);
    struct json *next = NULL;
    for (struct json *match = JSON_GET(matches, "parameter")->first; match != NULL; match = next) {
        next = match->next;
        match->next = NULL;
        (void)json_append(JSON_GET(made, "parameter"), match);
    }
    return finish(&terms, ok, made, &error);
}
