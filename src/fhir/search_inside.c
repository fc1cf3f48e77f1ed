/* Chains that end in contained resources (R4 3.1.1.5.5). A container has the rows of what its references contain under numbers made
 * of the reference's parameter and their own (index_inside_parameter): the conditions of a link are asked of them too, under the
 * same numbers. What is asked of ids, lists and who refers to a resource is of no contained one. */
#include "base/limits.h"
#include "fhir/search_internal.h"

enum { CHAIN_INSIDE_MAX = 3 };

static bool map_values(struct search_parse *parse, struct search_criteria *criteria, uint32_t by)
{
    struct search_value *values = ARENA_ARRAY(parse->arena, struct search_value, criteria->values_count);
    for (size_t i = 0; values != NULL && i < criteria->values_count; i++) {
        values[i] = criteria->values[i];
        if (values[i].composite != 0) { /* its numbers are made from codings in the store */
            return false;
        }
        values[i].parameter = index_inside_parameter(by, values[i].parameter);
        for (size_t axis = 0; axis < 3; axis++) {
            values[i].axes[axis] = index_inside_parameter(by, values[i].axes[axis]);
        }
    }
    criteria->values = values;
    return values != NULL || criteria->values_count == 0;
}

static const struct search_criteria *mapped(struct search_parse *parse, const struct search_criteria *from,
                                            uint32_t by, bool *ok);

static bool map_links(struct search_parse *parse, struct search_criteria *criteria, uint32_t by)
{
    struct search_link *links = ARENA_ARRAY(parse->arena, struct search_link, criteria->links_count);
    bool ok = links != NULL;
    for (size_t i = 0; ok && i < criteria->links_count; i++) {
        links[i].type = STR_NONE; /* rows of the container are asked, whatever type it is */
        links[i].criteria = mapped(parse, criteria->links[i].criteria, by, &ok);
    }
    criteria->links = links;
    return ok;
}

static bool map_one(struct search_parse *parse, struct search_criteria *criteria, uint32_t by)
{
    switch (criteria->kind) {
    case SEARCH_VALUES:
        criteria->parameter = index_inside_parameter(by, criteria->parameter);
        return map_values(parse, criteria, by);
    case SEARCH_MISSING:
    case SEARCH_CHAIN: /* from a contained resource to one of the store */
        criteria->parameter = index_inside_parameter(by, criteria->parameter);
        return true;
    case SEARCH_GROUP:
        return map_links(parse, criteria, by);
    case SEARCH_ID:
    case SEARCH_UPDATED:
    case SEARCH_HAS:
    case SEARCH_LIST:
        break;
    }
    return false;
}

static const struct search_criteria *mapped(struct search_parse *parse, const struct search_criteria *from,
                                            uint32_t by, bool *ok)
{
    struct search_criteria *first = NULL;
    struct search_criteria *last = NULL;
    for (; *ok && from != NULL; from = from->next) {
        struct search_criteria *made = ARENA_NEW(parse->arena, struct search_criteria);
        *ok = made != NULL && ++parse->criteria_count <= LIMIT_SEARCH_CRITERIA;
        if (*ok) {
            *made = *from;
            made->next = NULL;
            *ok = map_one(parse, made, by);
            first = first == NULL ? made : first;
            if (last != NULL) {
                last->next = made;
            }
            last = made;
        }
    }
    return first;
}

/* That a contained resource of the type is what the reference leads to, and that it fits. */
static bool add_inside(struct search_parse *parse, const struct search_criteria *chain,
                       const struct search_link *link, struct search_criteria *group, struct error *error)
{
    bool ok = true;
    struct search_criteria *there = ARENA_NEW(parse->arena, struct search_criteria);
    struct search_value *value = ARENA_NEW(parse->arena, struct search_value);
    const struct search_criteria *inner = mapped(parse, link->criteria, chain->parameter, &ok);
    if (there == NULL || value == NULL) {
        return search_no_memory(error);
    }
    *value = (struct search_value){
        .test = SEARCH_TEST_KEY,
        .parameter = index_inside_parameter(chain->parameter, index_contained_parameter()),
        .key = index_contained_key(link->type),
    };
    *there = (struct search_criteria){ .next = inner,
                                       .type = chain->type,
                                       .code = chain->code,
                                       .rows = INDEX_KEY,
                                       .parameter = value->parameter,
                                       .values = value,
                                       .values_count = 1 };
    return !ok || search_group_add(parse, group, STR_NONE, there, error);
}

/* Links from here on. Each chain that looks inside says what follows twice, so only the last few of a long one do. */
static size_t links_from(const struct search_criteria *criteria)
{
    size_t most = 0;
    for (; criteria != NULL; criteria = criteria->next) {
        for (size_t i = 0; i < criteria->links_count; i++) {
            size_t links = links_from(criteria->links[i].criteria) + (criteria->kind == SEARCH_GROUP ? 0 : 1);
            most = links > most ? links : most;
        }
    }
    return most;
}

bool search_look_inside(struct search_parse *parse, struct search_criteria *criteria, struct error *error)
{
    const struct search_inside *inside = parse->options->inside;
    struct search_criteria *chain = ARENA_NEW(parse->arena, struct search_criteria);
    struct search_criteria group = { .type = criteria->type };
    if (inside == NULL || links_from(criteria) > CHAIN_INSIDE_MAX) {
        return true;
    }
    if (chain == NULL) {
        return search_no_memory(error);
    }
    *chain = *criteria;
    chain->next = NULL;
    if (!search_group_add(parse, &group, STR_NONE, chain, error)) {
        return false;
    }
    for (size_t i = 0; i < chain->links_count; i++) {
        if (inside->has(inside->data, parse->arena, chain->links[i].type) &&
            !add_inside(parse, chain, &chain->links[i], &group, error)) {
            return false;
        }
    }
    if (group.links_count > 1) {
        *criteria = group;
    }
    return true;
}
