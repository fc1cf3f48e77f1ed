/* Terminology operations (R4 4.7, 4.8): ValueSet $expand and $validate-code, CodeSystem $lookup, $subsumes and
 * $validate-code. */
#include "api/handlers.h"
#include "api/terms.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/uuid.h"

enum { EXPAND_COUNT = 1000 };

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
    struct str text = terms_asked(terms, name);
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
    bool ok = terms_begin(request, &terms, &error);
    struct expansion expansion = { .terms = &terms, .count = EXPAND_COUNT };
    expansion.contains = json_new(&request->arena, JSON_ARRAY);
    ok = ok && terms_find(&terms, STR("ValueSet"), "valueSet", "url", &value_set, &error) &&
         read_number(&terms, "offset", &expansion.offset, &error) &&
         read_number(&terms, "count", &expansion.count, &error);
    expansion.filter = ok ? terms_asked(&terms, "filter") : STR_NONE;
    ok = ok && terminology_expand(&terms.run, value_set, take_code, &expansion, &error);
    if (ok) {
        made = expanded(&terms, value_set, &expansion, &error);
        ok = made != NULL;
    }
    return terms_finish(&terms, ok, made, &error);
}

/* ---- $validate-code ---- */

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
                       const struct terms_coding *coding)
{
    struct str display = valid ? display_of(terms, &coding->code) : STR_NONE;
    bool other =
        display.len > 0 && coding->display.len > 0 && !str_equal_ignore_case(display, coding->display);
    bool chinese = api_language(terms->request) == OUTCOME_CHINESE;
    terms_add_flag(terms, made, "result", valid && !other);
    if (other) {
        terms_add_text(terms, made, "message", "valueString",
                       chinese ? STR("代码存在，但显示名称不符")
                               : STR("the code is there, its display is another"));
    } else if (!valid) {
        terms_add_text(
            terms, made, "message", "valueString",
            known ? (chinese ? STR("其中没有该代码") : STR("the code is not in it"))
                  : (chinese ? STR("代码系统未知，无法判断") : STR("the code system is not known here")));
    }
    terms_add_text(terms, made, "display", "valueString", display);
}

enum http_verdict fhir_validate_code(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[16] = { 0 };
    const struct json *value_set = NULL;
    bool valid = false;
    bool known = true;
    size_t at = 0;
    bool ok = terms_begin(request, &terms, &error) &&
              terms_find(&terms, STR("ValueSet"), "valueSet", "url", &value_set, &error);
    size_t count = ok ? terms_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept"));
    for (size_t i = 0; ok && !valid && i < count; i++) {
        bool told = false;
        at = i;
        ok = terminology_has(&terms.run, value_set, &codings[i].code, &told, &valid, &error);
        known = known && told;
    }
    struct json *made = terms_parameters(&terms);
    if (ok) {
        say_result(&terms, made, valid, known, &codings[at]);
    }
    return terms_finish(&terms, ok, made, &error);
}

enum http_verdict fhir_validate_code_system(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[16] = { 0 };
    const struct json *code_system = NULL;
    bool ok = terms_begin(request, &terms, &error) &&
              terms_find(&terms, STR("CodeSystem"), "codeSystem", "url", &code_system, &error);
    size_t count = ok ? terms_codings(&terms, codings, sizeof codings / sizeof codings[0]) : 0;
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
    struct json *made = terms_parameters(&terms);
    if (ok) {
        say_result(&terms, made, valid, true, &codings[at]);
    }
    return terms_finish(&terms, ok, made, &error);
}

/* ---- $lookup, $subsumes ---- */

static void add_details(struct terms *terms, struct json *made, const struct json *code_system,
                        const struct json *concept)
{
    struct arena *arena = terms->arena;
    struct str display = JSON_TEXT(arena, concept, "display");
    terms_add_text(terms, made, "name", "valueString", JSON_TEXT(arena, code_system, "name"));
    terms_add_text(terms, made, "version", "valueString", JSON_TEXT(arena, code_system, "version"));
    terms_add_text(terms, made, "display", "valueString",
                   display.at != NULL ? display : JSON_TEXT(arena, concept, "code"));
    struct str definition = JSON_TEXT(arena, concept, "definition");
    const char *named[] = { "designation", "property" };
    if (definition.at != NULL) {
        struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), "property");
        struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
        (void)json_add_text(arena, terms_add_part(terms, list, "code"), STR("valueCode"), STR("definition"));
        (void)json_add_text(arena, terms_add_part(terms, list, "value"), STR("valueString"), definition);
    }
    for (size_t i = 0; i < 2; i++) {
        JSON_EACH(item, json_member(concept, str_from_cstr(named[i]))) {
            struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), named[i]);
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
    struct terms_coding codings[2] = { 0 };
    const struct json *code_system = NULL;
    const struct json *concept = NULL;
    bool ok = terms_begin(request, &terms, &error);
    size_t count = ok ? terms_codings(&terms, codings, 1) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give system and code, or coding")) &&
         system_of(&terms, codings[0].code.system, &code_system, &error);
    concept = ok ? terminology_concept(&terms.run, code_system, codings[0].code.code) : NULL;
    ok = ok && (concept != NULL || FAIL(&error, ERROR_NOT_FOUND, "the code system has no such code"));
    struct json *made = terms_parameters(&terms);
    if (ok) {
        add_details(&terms, made, code_system, concept);
    }
    return terms_finish(&terms, ok, made, &error);
}

static struct str code_of(const struct terms *terms, const char *plain, const char *coding,
                          struct str *system)
{
    const struct json *given = terms_asked_value(terms, coding, "valueCoding");
    struct str own = JSON_TEXT(terms->arena, given, "system");
    *system = own.at != NULL ? own : *system;
    return given != NULL ? JSON_TEXT(terms->arena, given, "code") : terms_asked(terms, plain);
}

enum http_verdict fhir_subsumes(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    const struct json *code_system = NULL;
    bool ok = terms_begin(request, &terms, &error);
    struct str system = ok ? terms_asked(&terms, "system") : STR_NONE;
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
    struct json *made = terms_parameters(&terms);
    terms_add_text(&terms, made, "outcome", "valueCode", answer);
    return terms_finish(&terms, ok, made, &error);
}
