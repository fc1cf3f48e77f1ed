/* Tokens by what terminology knows: :below and :above of a code, :in of an uploaded value set (R4 3.1.1.4.5). The codes
 * are written out, so the store sees nothing but keys. */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_internal.h"
#include "fhir/terminology.h"

struct terms {
    struct search_parse *parse;
    const struct search_target *target;
    bool with_system; /* Coding and its like; a code element has only the code */
    uint32_t parameter;
    struct search_values *list;
    struct error *error;
};

static bool add_code(struct terms *terms, struct str system, struct str code)
{
    const struct search_value value = { .test = SEARCH_TEST_KEY,
                                        .parameter = terms->parameter,
                                        .key =
                                            index_token_key(terms->with_system ? system : STR_NONE, code) };
    return search_values_add(terms->parse, terms->list, value, terms->error);
}

static bool take(void *data, const struct terminology_code *code)
{
    return add_code(data, code->system, code->code);
}

bool search_set_codes(struct search_parse *parse, const struct search_target *target, struct str url,
                      bool with_system, uint32_t parameter, struct search_values *list, bool *found,
                      struct error *error)
{
    const struct terminology_run *run = parse->options->terms;
    const struct json *set = NULL;
    struct error own = { 0 };
    struct terms terms = { parse, target, with_system, parameter, list, &own };
    *found = false;
    if (run == NULL || !terminology_find(run, STR("ValueSet"), url, &set, error)) {
        return run == NULL;
    }
    if (set == NULL) {
        return true;
    }
    *found = true;
    if (terminology_expand(run, set, take, &terms, error)) {
        return true;
    }
    if (own.kind != ERROR_NONE && error != NULL) {
        *error = own;
    }
    return false;
}

/* Every concept of the system that lies on the asked side. */
static bool add_concepts(struct terms *terms, const struct json *code_system, const struct json *concepts,
                         struct str system, struct str code, bool below, unsigned depth)
{
    const struct terminology_run *run = terms->parse->options->terms;
    if (depth > LIMIT_JSON_DEPTH) {
        return true;
    }
    JSON_EACH(concept, concepts) {
        struct str own = JSON_TEXT(terms->parse->arena, concept, "code");
        bool fits = own.len > 0 && (below ? terminology_is_below(run, code_system, code, own, true)
                                          : terminology_is_below(run, code_system, own, code, true));
        if (!terminology_may_go_on(run, terms->error) || (fits && !add_code(terms, system, own)) ||
            !add_concepts(terms, code_system, JSON_GET(concept, "concept"), system, code, below, depth + 1)) {
            return false;
        }
    }
    return true;
}

bool search_code_side(struct search_parse *parse, const struct search_target *target, struct str system,
                      struct str code, bool with_system, struct search_values *list, struct error *error)
{
    const struct terminology_run *run = parse->options->terms;
    const struct json *code_system = NULL;
    struct error own = { 0 };
    struct terms terms = { .parse = parse,
                           .target = target,
                           .with_system = with_system,
                           .parameter = hash_parameter(target->type, target->parameter->code),
                           .list = list,
                           .error = error != NULL ? error : &own };
    if (system.len == 0 || code.len == 0) {
        return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be system|code", STR_FMT(target->name));
    }
    if (run != NULL && !terminology_find(run, STR("CodeSystem"), system, &code_system, error)) {
        return false;
    }
    if (code_system == NULL || terminology_concept(run, code_system, code) == NULL) {
        return FAIL(error, ERROR_UNSUPPORTED, "the code of '%.*s' is in no code system that is known here",
                    STR_FMT(target->name));
    }
    return add_concepts(&terms, code_system, JSON_GET(code_system, "concept"), system, code,
                        str_equal(target->modifier, STR("below")), 0);
}
