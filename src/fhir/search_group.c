/* Conditions that are put together from others on the same resource. */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_internal.h"

bool search_group_add(struct search_parse *parse, struct search_criteria *criteria, struct str type,
                      const struct search_criteria *inner, struct error *error)
{
    struct search_link *grown = ARENA_ARRAY(parse->arena, struct search_link, criteria->links_count + 1);
    if (grown == NULL) {
        return search_no_memory(error);
    }
    for (size_t i = 0; i < criteria->links_count; i++) {
        grown[i] = criteria->links[i];
    }
    grown[criteria->links_count] = (struct search_link){ .type = type, .criteria = inner };
    criteria->kind = SEARCH_GROUP;
    criteria->links = grown;
    criteria->links_count++;
    return true;
}

bool search_missing_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                          struct search_criteria *criteria, struct error *error)
{
    bool missing = str_equal(text, STR("true"));
    struct str aliases[INDEX_ALIASES_MAX];
    size_t count = index_aliases(parse->arena, target->type, target->parameter->code, aliases);
    struct search_criteria *parts = ARENA_ARRAY(parse->arena, struct search_criteria, 2 * count);
    if (parts == NULL) {
        return search_no_memory(error);
    }
    if (!missing && !str_equal(text, STR("false"))) {
        return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be true or false", STR_FMT(target->name));
    }
    for (size_t i = 0; i < 2 * count; i++) {
        bool own = i % 2 == 0;
        parts[i] = (struct search_criteria){
            .next = i + 1 < 2 * count ? &parts[i + 1] : NULL,
            .kind = SEARCH_MISSING,
            .type = target->type,
            .code = target->parameter->code,
            .rows = own ? criteria->rows : INDEX_KEY,
            .parameter = own ? hash_parameter(target->type, aliases[i / 2])
                             : index_parameter_with(target->type, aliases[i / 2], STR("missing")),
        };
    }
    criteria->negated = !missing;
    return search_group_add(parse, criteria, STR_NONE, parts, error);
}

bool search_versioned_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_criteria *criteria, struct error *error)
{
    struct str rest = text;
    struct str one = STR_NONE;
    while (search_split(&rest, ',', &one)) {
        struct search_criteria *parts = ARENA_ARRAY(parse->arena, struct search_criteria, 2);
        struct search_values url = { 0 };
        struct search_values version = { 0 };
        struct search_target other = *target;
        struct str address = STR_NONE;
        (void)search_split(&one, '|', &address);
        other.parameter = model_search_find(target->type, STR("version"));
        if (parts == NULL || other.parameter == NULL) {
            return search_no_memory(error);
        }
        if (!search_value_parse(parse, target, address, &url, error) ||
            (one.len > 0 && !search_value_parse(parse, &other, one, &version, error))) {
            return false;
        }
        parts[0] = (struct search_criteria){ .next = one.len > 0 ? &parts[1] : NULL,
                                             .type = target->type,
                                             .code = target->parameter->code,
                                             .values = url.values,
                                             .values_count = url.count };
        parts[1] = (struct search_criteria){ .type = target->type,
                                             .code = other.parameter->code,
                                             .values = version.values,
                                             .values_count = version.count };
        if (!search_group_add(parse, criteria, STR_NONE, parts, error)) {
            return false;
        }
    }
    return true;
}

/* What a search over several types asks of each: its own condition. */
bool search_group_of_types(struct search_parse *parse, const struct search_pair *pair, size_t depth,
                           struct search_criteria *criteria, struct error *error)
{
    const struct search_query *query = parse->query;
    size_t all_count = 0;
    const struct model_type *const *all = model_resources(&all_count);
    size_t count = query->types_count > 0 ? query->types_count : all_count;
    for (size_t i = 0; i < count; i++) {
        struct str type = query->types_count > 0 ? query->types[i] : all[i]->name;
        struct search_criteria *inner = NULL;
        if (!search_criteria_parse(parse, type, pair, depth + 1, &inner, error) ||
            !search_group_add(parse, criteria, type, inner, error)) {
            return false;
        }
    }
    return true;
}

/* One alternative of a composite of three, for one key of its first component: the rest in any of the repetitions. */
static bool composite_links(struct search_parse *parse, const struct search_target *target, uint32_t number,
                            const struct str *parts, struct search_criteria *criteria, struct error *error)
{
    for (size_t r = 0; r < INDEX_REPETITIONS_MAX; r++) {
        struct search_criteria *tests = ARENA_ARRAY(parse->arena, struct search_criteria, 2);
        if (tests == NULL) {
            return search_no_memory(error);
        }
        for (size_t c = 1; c < INDEX_COMPONENTS_MAX; c++) {
            struct search_target part = *target;
            struct search_values list = { 0 };
            part.parameter = model_search_find(target->type, target->parameter->components[c].code);
            if (part.parameter == NULL ||
                !search_part_parse(parse, &part, parts[c], index_composite_part(number, c, r), &list,
                                   error)) {
                return false;
            }
            tests[c - 1] = (struct search_criteria){ .next = c == 1 ? &tests[1] : NULL,
                                                     .kind = SEARCH_VALUES,
                                                     .type = target->type,
                                                     .code = target->parameter->code,
                                                     .values = list.values,
                                                     .values_count = list.count };
        }
        if (!search_group_add(parse, criteria, STR_NONE, tests, error)) {
            return false;
        }
    }
    return true;
}

bool search_composite_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_criteria *criteria, struct error *error)
{
    struct str rest = text;
    struct str value = STR_NONE;
    while (search_split(&rest, ',', &value)) {
        struct str parts[INDEX_COMPONENTS_MAX] = { STR_NONE, STR_NONE, STR_NONE };
        struct search_values firsts = { 0 };
        size_t count = 0;
        while (count < INDEX_COMPONENTS_MAX && search_split(&value, '$', &parts[count])) {
            count++;
        }
        if (count != INDEX_COMPONENTS_MAX || value.at != NULL) {
            return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be three values with $ between them",
                        STR_FMT(target->name));
        }
        if (!search_first_parse(parse, target, parts[0], &firsts, error)) {
            return false;
        }
        uint32_t own = hash_parameter(target->type, target->parameter->code);
        for (size_t i = 0; i < firsts.count; i++) {
            uint32_t number = index_composite_parameter(own, firsts.values[i].key);
            if (!composite_links(parse, target, number, parts, criteria, error)) {
                return false;
            }
        }
    }
    return true;
}
