/* One alternative of a reference parameter (R4 3.1.1.4.12): by id, by type, by address, by identifier, over a hierarchy, and
 * canonical URLs with versions (3.1.1.4.13). */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/primitive.h"
#include "fhir/search_internal.h"

struct reference_ask {
    struct search_parse *parse;
    const struct search_target *target;
    uint32_t parameter;
    struct search_values *list;
    struct error *error;
};

static bool add_key(const struct reference_ask *ask, uint32_t parameter, uint64_t key)
{
    const struct search_value value = { .test = SEARCH_TEST_KEY, .parameter = parameter, .key = key };
    return search_values_add(ask->parse, ask->list, value, ask->error);
}

static bool bad_value(const struct reference_ask *ask, const char *expected)
{
    return FAIL(ask->error, ERROR_INPUT, "the value of '%.*s' must be %s", STR_FMT(ask->target->name),
                expected);
}

static bool is_target(const struct search_target *target, struct str type)
{
    struct str rest = target->parameter->targets;
    struct str one = STR_NONE;
    bool found = rest.len == 0 || str_equal(rest, STR("Resource"));
    while (!found && str_split_next(&rest, ' ', &one)) {
        found = str_equal(one, type);
    }
    return found;
}

static bool id_of_any_target(const struct reference_ask *ask, struct str id)
{
    size_t count = 0;
    const struct model_type *const *all = model_resources(&count);
    for (size_t i = 0; i < count; i++) {
        struct str type = all[i]->name;
        if (is_target(ask->target, type) && !add_key(ask, ask->parameter, hash_resource_key(type, id))) {
            return false;
        }
    }
    return true;
}

/* ---- hierarchies ---- */

/* The parameter by which resources of a type are parts of another of the type; STR_NONE: they make no hierarchy. */
static struct str hierarchy_of(struct str type)
{
    static const struct str codes[] = { { "partof", 6 }, { "part-of", 7 }, { "parent", 6 } };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const struct model_search_parameter *parameter = model_search_find(type, codes[i]);
        const struct search_target target = { .parameter = parameter };
        if (parameter != NULL && parameter->kind == MODEL_SEARCH_REFERENCE && is_target(&target, type)) {
            return codes[i];
        }
    }
    return STR_NONE;
}

/* A resource, and what lies above or below it. */
static bool add_hierarchy(const struct reference_ask *ask, struct str type, struct str id)
{
    const struct search_hierarchy *hierarchy = ask->parse->options->hierarchy;
    const struct search_place_in place = { .type = type,
                                           .code = hierarchy_of(type),
                                           .id = id,
                                           .below = str_equal(ask->target->modifier, STR("below")) };
    const struct str *ids = NULL;
    size_t count = 0;
    if (!add_key(ask, ask->parameter, hash_resource_key(type, id)) ||
        !hierarchy->find(hierarchy->data, ask->parse->arena, &place, &ids, &count, ask->error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!add_key(ask, ask->parameter, hash_resource_key(type, ids[i]))) {
            return false;
        }
    }
    return true;
}

/* "Type/id" of our own, whatever way it is written; absent: of somebody else, or only an id. */
static bool own_reference(const struct reference_ask *ask, struct str value, struct str *type, struct str *id)
{
    struct str base = ask->parse->options->base_url;
    struct str rest = base.len > 0 && str_starts_with(value, base) ? str_skip(value, base.len + 1) : value;
    size_t slash = str_find_char(rest, '/');
    *type = str_slice(rest, 0, slash);
    *id = str_skip(rest, slash + 1);
    return slash < rest.len && model_resource_find(*type) != NULL && primitive_is_id(*id);
}

/* R4 3.1.1.4.14: over the parts of parts. */
static bool hierarchy_value(const struct reference_ask *ask, struct str value)
{
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    size_t count = 0;
    bool found = false;
    bool own = own_reference(ask, value, &type, &id);
    const struct model_type *const *all = model_resources(&count);
    for (size_t i = 0; i < count; i++) {
        struct str one = all[i]->name;
        bool meant = own ? str_equal(one, type) : is_target(ask->target, one);
        if (meant && hierarchy_of(one).len > 0) {
            found = true;
            if (!add_hierarchy(ask, one, own ? id : value)) {
                return false;
            }
        }
    }
    return found ||
           bad_value(ask, "of a type whose resources are parts of each other (Location, Organization …)");
}

/* R4 3.1.1.4.13: |1 finds the versions 1, 1.0 and 1.2.3; without a version all of them. */
static bool canonical_below(const struct reference_ask *ask, struct str url)
{
    uint32_t parts = index_parameter_with(ask->target->type, ask->target->parameter->code, STR("below"));
    uint64_t key = index_reference_key(url, ask->parse->options->base_url);
    return add_key(ask, ask->parameter, key) && add_key(ask, parts, key);
}

static bool side_value(const struct reference_ask *ask, struct str value)
{
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    bool canonical = !primitive_is_id(value) && !own_reference(ask, value, &type, &id);
    if (canonical && str_equal(ask->target->modifier, STR("above"))) {
        return bad_value(ask, "Type/id or an id: canonical URLs are only asked by :below");
    }
    if (canonical) {
        return canonical_below(ask, value);
    }
    if (ask->parse->options->hierarchy == NULL) {
        ask->parse->forgivable = true;
        return FAIL(ask->error, ERROR_UNSUPPORTED,
                    "'%.*s' is only offered where a search is asked for itself", STR_FMT(ask->target->name));
    }
    return hierarchy_value(ask, value);
}

bool search_reference_value(struct search_parse *parse, const struct search_target *target, struct str text,
                            uint32_t parameter, struct search_values *list, struct error *error)
{
    const struct reference_ask ask = { parse, target, parameter, list, error };
    struct str value = search_unescape(parse->arena, text);
    if (value.len == 0 || value.at[0] == '#') {
        return bad_value(&ask, "Type/id, an id or a URL");
    }
    if (str_equal(target->modifier, STR("below")) || str_equal(target->modifier, STR("above"))) {
        return side_value(&ask, value);
    }
    if (target->modifier.len > 0) { /* the name of a type */
        struct str own = arena_printf(parse->arena, "%.*s/", STR_FMT(target->modifier));
        struct str id = str_starts_with(value, own) ? str_skip(value, own.len) : value;
        return primitive_is_id(id) ? add_key(&ask, parameter, hash_resource_key(target->modifier, id))
                                   : bad_value(&ask, "an id");
    }
    return primitive_is_id(value)
               ? id_of_any_target(&ask, value)
               : add_key(&ask, parameter, index_reference_key(value, parse->options->base_url));
}
