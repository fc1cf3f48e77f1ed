/* Terminology operations (R4 4.7, 4.8): ValueSet and CodeSystem $validate-code, CodeSystem $lookup and $subsumes. */
#include "api/handlers.h"
#include "api/terms.h"

/* ---- $validate-code ---- */

#define ASKED_ALIKE " display coding codeableConcept abstract displayLanguage"
#define ASKED_SET "url valueSet valueSetVersion code system systemVersion inferSystem" ASKED_ALIKE
#define ASKED_SYSTEM "url codeSystem version code" ASKED_ALIKE

enum { CODINGS_MAX = 16, CONCEPT_LEVELS = 32 };

/* What becomes of one question. */
struct answer {
    bool valid;
    bool known;              /* it can be told */
    bool is_abstract;        /* and asked to be none */
    bool is_ambiguous;       /* several systems of the set have the code */
    const struct json *code; /* the concept, where its system is known */
    struct str inferred;     /* the system that was not given */
};

static bool concept_of(struct terms *terms, const struct terminology_code *code, struct str version,
                       const struct json **concept, bool *has_version, struct error *error)
{
    const struct json *code_system = NULL;
    struct str url = code->system;
    *concept = NULL;
    *has_version = true;
    if (url.len == 0) {
        return true;
    }
    if (version.len > 0) {
        url = arena_printf(terms->arena, "%.*s|%.*s", STR_FMT(url), STR_FMT(version));
    }
    if (!terminology_find(&terms->run, STR("CodeSystem"), url, &code_system, error)) {
        return false;
    }
    *has_version = version.len == 0 || json_equals_text(JSON_GET(code_system, "version"), version);
    *concept = terminology_concept(&terms->run, code_system, code->code);
    return true;
}

static const char *message_of(const struct answer *answer, bool other, bool chinese)
{
    if (other) {
        return chinese ? "代码存在，但显示名称不符" : "the code is there, its display is another";
    }
    if (answer->is_ambiguous) {
        return chinese ? "不止一个代码系统有该代码，请给出 system"
                       : "several systems have the code: give its system";
    }
    if (answer->is_abstract) {
        return chinese ? "该代码只作分组用，不能单独使用" : "the code is abstract: it only groups others";
    }
    if (!answer->known) {
        return chinese ? "代码系统未知，无法判断" : "the code system is not known here";
    }
    return chinese ? "其中没有该代码" : "the code is not in it";
}

static void say_result(struct terms *terms, struct json *made, const struct answer *answer,
                       const struct terms_coding *coding)
{
    struct arena *arena = terms->arena;
    const struct terminology_code code = { .concept = answer->valid ? answer->code : NULL };
    struct str own = JSON_TEXT(arena, code.concept, "display");
    bool other =
        own.len > 0 && coding->display.len > 0 && !terms_has_display(arena, code.concept, coding->display);
    bool good = answer->valid && !other && !answer->is_abstract && !answer->is_ambiguous;
    bool chinese = api_language(terms->request) == OUTCOME_CHINESE;
    terms_add_flag(terms, made, "result", good);
    if (!good) {
        terms_add_text(terms, made, "message", "valueString",
                       str_from_cstr(message_of(answer, other, chinese)));
    }
    terms_add_text(terms, made, "display", "valueString",
                   terms_display(arena, &code, terms_asked(terms, "displayLanguage"), own));
    terms_add_text(terms, made, "system", "valueUri", good ? answer->inferred : STR_NONE);
}

/* The systems of a set that have a code. */
struct inferring {
    struct str code;
    struct str system;
    size_t count;
};

static bool take_system(void *data, const struct terminology_code *code)
{
    struct inferring *inferring = data;
    if (str_equal(code->code, inferring->code)) {
        inferring->system = code->system;
        inferring->count++;
    }
    return true;
}

/* R4 4.9.18.2: a code alone is understood where only one system can be meant. */
static bool infer_system(struct terms *terms, const struct json *value_set, struct terms_coding *coding,
                         struct answer *answer, struct error *error)
{
    bool infer = false;
    struct inferring inferring = { .code = coding->code.code };
    if (!terms_flag(terms, "inferSystem", &infer, error)) {
        return false;
    }
    if (!infer) {
        return FAIL(error, ERROR_INPUT, "give the system of the code, or inferSystem=true");
    }
    if (!terminology_expand(&terms->run, value_set, take_system, &inferring, error)) {
        return false;
    }
    answer->is_ambiguous = inferring.count > 1;
    coding->code.system = inferring.system;
    answer->inferred = inferring.system;
    return true;
}

static bool ask_set(struct terms *terms, const struct json *value_set, struct terms_coding *coding,
                    struct answer *answer, struct error *error)
{
    bool has_version = true;
    *answer = (struct answer){ 0 };
    if (coding->code.system.len == 0 && !infer_system(terms, value_set, coding, answer, error)) {
        return false;
    }
    if (!terminology_has(&terms->run, value_set, &coding->code, &answer->known, &answer->valid, error) ||
        !concept_of(terms, &coding->code, terms_asked(terms, "systemVersion"), &answer->code, &has_version,
                    error)) {
        return false;
    }
    answer->valid = answer->valid && has_version;
    answer->known = answer->known && has_version;
    return true;
}

static bool ask_system(struct terms *terms, const struct json *code_system, struct terms_coding *coding,
                       struct answer *answer)
{
    struct str own = JSON_TEXT(terms->arena, code_system, "url");
    bool here = coding->code.system.at == NULL || str_equal(coding->code.system, own);
    const struct json *concept = terminology_concept(&terms->run, code_system, coding->code.code);
    bool whole = json_equals_text(JSON_GET(code_system, "content"), STR("complete"));
    coding->code.system = own;
    *answer = (struct answer){ .valid = here && concept != NULL,
                               .known = whole || concept != NULL || !here,
                               .code = concept };
    return true;
}

/* Of several codings one that is valid is enough. */
static enum http_verdict validate(struct http_request *request, const char *known,
                                  const struct terms_names *names, bool of_set)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[CODINGS_MAX] = { 0 };
    struct answer answer = { 0 };
    const struct json *resource = NULL;
    bool abstract = false;
    size_t at = 0;
    bool ok = terms_begin(request, known, &terms, &error) && terms_find(&terms, names, &resource, &error) &&
              terms_flag(&terms, "abstract", &abstract, &error);
    size_t count = ok ? terms_codings(&terms, codings, CODINGS_MAX) : 0;
    ok = ok && (count > 0 || FAIL(&error, ERROR_INPUT, "give code and system, coding or codeableConcept"));
    for (size_t i = 0; ok && !answer.valid && i < count; i++) {
        at = i;
        ok = of_set ? ask_set(&terms, resource, &codings[i], &answer, &error)
                    : ask_system(&terms, resource, &codings[i], &answer);
    }
    /* Nothing said about it: both kinds of code are fine. */
    answer.is_abstract = answer.valid && terms_asked(&terms, "abstract").at != NULL && !abstract &&
                         terms_is_abstract(answer.code);
    struct json *made = terms_parameters(&terms);
    if (ok) {
        say_result(&terms, made, &answer, &codings[at]);
    }
    return terms_finish(&terms, ok, made, &error);
}

enum http_verdict fhir_validate_code(struct http_request *request)
{
    static const struct terms_names names = { { "ValueSet", 8 }, "valueSet", "url", "valueSetVersion" };
    return validate(request, ASKED_SET, &names, true);
}

enum http_verdict fhir_validate_code_system(struct http_request *request)
{
    static const struct terms_names names = { { "CodeSystem", 10 }, "codeSystem", "url", "version" };
    return validate(request, ASKED_SYSTEM, &names, false);
}

/* ---- $lookup, $subsumes ---- */

/* Whether a property is wanted: without any `property` all that the definition says are. */
static bool is_wanted(const struct terms *terms, struct str name)
{
    bool any = false;
    for (size_t i = 0; i < terms->request->pairs_count; i++) {
        const struct http_pair *pair = &terms->request->pairs[i];
        bool is_property = str_equal(pair->name, STR("property"));
        if (is_property && str_equal(pair->value, name)) {
            return true;
        }
        any = any || is_property;
    }
    JSON_EACH(parameter, JSON_GET(terms->body, "parameter")) {
        bool is_property = json_equals_text(JSON_GET(parameter, "name"), STR("property"));
        if (is_property && (json_equals_text(JSON_GET(parameter, "valueCode"), name) ||
                            json_equals_text(JSON_GET(parameter, "valueString"), name))) {
            return true;
        }
        any = any || is_property;
    }
    /* What lies above and below a code is looked for only when it is asked for. */
    return !any && !str_equal(name, STR("parent")) && !str_equal(name, STR("child"));
}

static void add_property(struct terms *terms, struct json *made, const char *code, const char *member,
                         struct str value)
{
    if (value.at == NULL || !is_wanted(terms, str_from_cstr(code))) {
        return;
    }
    struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), "property");
    struct json *list = json_add(part, STR("part"), json_new(terms->arena, JSON_ARRAY));
    (void)json_add_text(terms->arena, terms_add_part(terms, list, "code"), STR("valueCode"),
                        str_from_cstr(code));
    (void)json_add_text(terms->arena, terms_add_part(terms, list, "value"), str_from_cstr(member), value);
}

/* An item of concept.designation or concept.property with its members as parts. */
static void add_item(struct terms *terms, struct json *made, const char *name, const struct json *item)
{
    struct arena *arena = terms->arena;
    struct json *part = terms_add_part(terms, JSON_GET(made, "parameter"), name);
    struct json *list = json_add(part, STR("part"), json_new(arena, JSON_ARRAY));
    JSON_EACH(member, item) {
        bool is_value = str_starts_with(member->name, STR("value"));
        struct str typed = str_equal(member->name, STR("code"))       ? STR("valueCode")
                           : str_equal(member->name, STR("language")) ? STR("valueCode")
                           : str_equal(member->name, STR("use"))      ? STR("valueCoding")
                           : str_equal(member->name, STR("value"))    ? STR("valueString")
                                                                      : member->name;
        struct json *inner = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, inner, STR("name"), is_value ? STR("value") : member->name);
        (void)json_add(inner, typed, json_copy(arena, member, false));
    }
}

/* The concept right above a code in the nesting; NULL at the top. */
static const struct json *above(const struct json *owner, const struct json *concept, int levels)
{
    JSON_EACH(child, JSON_GET(owner, "concept")) {
        const struct json *found = child == concept ? owner : NULL;
        found = found == NULL && levels > 0 ? above(child, concept, levels - 1) : found;
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static void add_details(struct terms *terms, struct json *made, const struct json *code_system,
                        const struct json *concept)
{
    struct arena *arena = terms->arena;
    const struct terminology_code code = { .concept = concept };
    struct str display = terms_display(arena, &code, terms_asked(terms, "displayLanguage"),
                                       JSON_TEXT(arena, concept, "display"));
    terms_add_text(terms, made, "name", "valueString", JSON_TEXT(arena, code_system, "name"));
    terms_add_text(terms, made, "version", "valueString", JSON_TEXT(arena, code_system, "version"));
    /* R4 4.8.15: display is 1..1; a concept without one is shown by its code. */
    terms_add_text(terms, made, "display", "valueString",
                   display.at != NULL ? display : JSON_TEXT(arena, concept, "code"));
    JSON_EACH(item, JSON_GET(concept, "designation")) {
        struct str language = JSON_TEXT(arena, item, "language");
        if (is_wanted(terms, STR("designation")) ||
            is_wanted(terms, arena_printf(arena, "lang.%.*s", STR_FMT(language)))) {
            add_item(terms, made, "designation", item);
        }
    }
    add_property(terms, made, "definition", "valueString", JSON_TEXT(arena, concept, "definition"));
    JSON_EACH(item, JSON_GET(concept, "property")) {
        struct str name = JSON_TEXT(arena, item, "code");
        /* A parent that is written as a property is one of what the definition says. */
        if (is_wanted(terms, name) || (str_equal(name, STR("parent")) && is_wanted(terms, STR("")))) {
            add_item(terms, made, "property", item);
        }
    }
    const struct json *parent = above(code_system, concept, CONCEPT_LEVELS);
    add_property(terms, made, "parent", "valueCode",
                 parent == code_system ? STR_NONE : JSON_TEXT(arena, parent, "code"));
    JSON_EACH(child, JSON_GET(concept, "concept")) {
        add_property(terms, made, "child", "valueCode", JSON_TEXT(arena, child, "code"));
    }
}

static bool system_of(struct terms *terms, struct str system, const struct json **code_system,
                      struct error *error)
{
    struct str version = terms_asked(terms, "version");
    if (system.len == 0) {
        return FAIL(error, ERROR_INPUT, "the parameter 'system' is needed");
    }
    if (version.len > 0) {
        system = arena_printf(terms->arena, "%.*s|%.*s", STR_FMT(system), STR_FMT(version));
    }
    if (!terminology_find(&terms->run, STR("CodeSystem"), system, code_system, error)) {
        return false;
    }
    bool other = version.len > 0 && !json_equals_text(JSON_GET(*code_system, "version"), version);
    return (*code_system != NULL && !other) ||
           FAIL(error, ERROR_NOT_FOUND, "the code system is not known here");
}

enum http_verdict fhir_lookup(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    struct terms_coding codings[2] = { 0 };
    const struct json *code_system = NULL;
    const struct json *concept = NULL;
    bool ok = terms_begin(request, "code system version coding displayLanguage property", &terms, &error);
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

/* Of the CodeSystem in the address, or by `system`. */
static bool subsumes_system(struct terms *terms, struct str system, const struct json **code_system,
                            struct error *error)
{
    static const struct terms_names names = { { "CodeSystem", 10 }, NULL, "system", "version" };
    if (http_parameter(terms->request, STR("id")).at == NULL) {
        return system_of(terms, system, code_system, error);
    }
    if (!terms_find(terms, &names, code_system, error)) {
        return false;
    }
    return system.len == 0 || json_equals_text(JSON_GET(*code_system, "url"), system) ||
           FAIL(error, ERROR_INPUT, "the codes are of another system than the CodeSystem in the address");
}

enum http_verdict fhir_subsumes(struct http_request *request)
{
    struct error error = { 0 };
    struct terms terms = { 0 };
    const struct json *code_system = NULL;
    bool ok = terms_begin(request, "codeA codeB system version codingA codingB", &terms, &error);
    struct str system = ok ? terms_asked(&terms, "system") : STR_NONE;
    struct str a = ok ? code_of(&terms, "codeA", "codingA", &system) : STR_NONE;
    struct str b = ok ? code_of(&terms, "codeB", "codingB", &system) : STR_NONE;
    struct str answer = STR("not-subsumed");
    ok = ok && ((a.len > 0 && b.len > 0) || FAIL(&error, ERROR_INPUT, "codeA and codeB are needed")) &&
         subsumes_system(&terms, system, &code_system, &error) &&
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
