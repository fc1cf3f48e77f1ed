/* Conditions: names with modifiers, chains and _has, resolved against the definitions (R4 3.1.1.4, 3.1.1.5). */
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/primitive.h"
#include "fhir/search_internal.h"

/* A parameter's name taken apart: "subject:Patient.name" */
struct search_name {
    struct str code;
    struct str modifier; /* absent when there is none */
    struct str rest;     /* after the dot of a chain; absent when it is none */
};

static struct search_name name_split(struct str name)
{
    struct search_name split = { .rest = STR_NONE };
    size_t dot = str_find_char(name, '.');
    struct str head = str_slice(name, 0, dot);
    if (dot < name.len) {
        split.rest = str_skip(name, dot + 1);
    }
    size_t colon = str_find_char(head, ':');
    split.code = str_slice(head, 0, colon);
    split.modifier = colon < head.len ? str_skip(head, colon + 1) : STR_NONE;
    return split;
}

static bool unknown_parameter(struct search_parse *parse, struct str type, struct str name,
                              struct error *error)
{
    parse->forgivable = true;
    return FAIL(error, ERROR_INPUT, "%.*s has no search parameter '%.*s'", STR_FMT(type), STR_FMT(name));
}

static bool not_offered(struct search_parse *parse, struct str name, struct error *error)
{
    parse->forgivable = true;
    return FAIL(error, ERROR_UNSUPPORTED, "searching by '%.*s' is not offered", STR_FMT(name));
}

/* ---- modifiers ---- */

static bool modifier_is_one_of(struct str modifier, const char *words)
{
    struct str rest = str_from_cstr(words);
    struct str word = STR_NONE;
    while (str_split_next(&rest, ' ', &word)) {
        if (str_equal(word, modifier)) {
            return true;
        }
    }
    return false;
}

/* R4 3.1.1.4.5: which modifiers a kind has, and which of them are offered here. */
static bool check_modifier(struct search_parse *parse, const struct search_target *target,
                           struct error *error)
{
    const char *offered = "missing";
    const char *known = "missing";
    switch (target->parameter->kind) {
    case MODEL_SEARCH_STRING:
        offered = known = parse->inside_filter ? "missing contains whole ends" : "missing exact contains";
        break;
    case MODEL_SEARCH_TOKEN:
        offered = known = "missing not in not-in of-type text above below";
        break;
    case MODEL_SEARCH_REFERENCE:
        offered = known = "missing identifier above below";
        break;
    case MODEL_SEARCH_URI:
        offered = known = parse->inside_filter ? "missing below contains ends" : "missing above below";
        break;
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_DATE:
    case MODEL_SEARCH_QUANTITY:
    case MODEL_SEARCH_SPECIAL:
        break;
    case MODEL_SEARCH_COMPOSITE:
        offered = known = "";
        break;
    }
    struct str modifier = target->modifier;
    bool is_type = target->parameter->kind == MODEL_SEARCH_REFERENCE && model_resource_find(modifier) != NULL;
    if (modifier.at == NULL || is_type || modifier_is_one_of(modifier, offered)) {
        return true;
    }
    if (modifier_is_one_of(modifier, known)) {
        return not_offered(parse, target->name, error);
    }
    parse->forgivable = true;
    return FAIL(error, ERROR_INPUT, "the modifier of '%.*s' does not fit the parameter",
                STR_FMT(target->name));
}

static enum index_kind rows_of(enum model_search_kind kind)
{
    switch (kind) {
    case MODEL_SEARCH_STRING:
        return INDEX_TEXT;
    case MODEL_SEARCH_DATE:
        return INDEX_DATE;
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
    case MODEL_SEARCH_SPECIAL: /* near */
        return INDEX_NUMBER;
    case MODEL_SEARCH_TOKEN:
    case MODEL_SEARCH_REFERENCE:
    case MODEL_SEARCH_URI:
    case MODEL_SEARCH_COMPOSITE:
        break;
    }
    return INDEX_KEY;
}

/* ---- _id, _lastUpdated, _list ---- */

static bool ids_parse(struct search_parse *parse, const struct search_pair *pair,
                      struct search_criteria *criteria, struct error *error)
{
    size_t count = 0;
    struct str rest = pair->value;
    struct str part = STR_NONE;
    while (str_split_next(&rest, ',', &part)) {
        count++;
    }
    struct str *ids = ARENA_ARRAY(parse->arena, struct str, count);
    if (ids == NULL || count > LIMIT_SEARCH_VALUES) {
        return FAIL(error, ERROR_TOO_COSTLY, "'%.*s' has more than %d alternatives", STR_FMT(pair->name),
                    LIMIT_SEARCH_VALUES);
    }
    rest = pair->value;
    for (size_t i = 0; str_split_next(&rest, ',', &part); i++) {
        if (!primitive_is_id(part)) {
            return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be an id", STR_FMT(pair->name));
        }
        ids[i] = part;
    }
    criteria->ids = ids;
    criteria->ids_count = count;
    return true;
}

static bool list_parse(struct search_parse *parse, const struct search_pair *pair,
                       struct search_criteria *criteria, struct error *error)
{
    criteria->kind = SEARCH_LIST;
    criteria->parameter = hash_parameter(STR("List"), STR("item"));
    if (str_starts_with(pair->value,
                        STR("$"))) { /* R4 3.1.1.4.22, 3.3.5: current lists by what they are for */
        parse->forgivable = true;
        return FAIL(error, ERROR_UNSUPPORTED,
                    "_list by function ($current-…) is not offered: name Lists by their ids");
    }
    return ids_parse(parse, pair, criteria, error);
}

/* ---- values ---- */

static bool values_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                         struct search_values *list, struct error *error)
{
    struct str rest = text;
    struct str part = STR_NONE;
    while (search_split(&rest, ',', &part)) {
        if (!search_value_parse(parse, target, part, list, error)) {
            return false;
        }
    }
    return true;
}

static bool is_offered(const struct model_search_parameter *parameter)
{
    return parameter->expression.len > 0;
}

/* A search over all types asks for the parameter under each type's number. */
static bool values_of_types(struct search_parse *parse, const struct search_pair *pair,
                            const struct search_name *name, struct search_values *list, struct error *error)
{
    size_t count = 0;
    const struct model_type *const *all = model_resources(&count);
    for (size_t i = 0; i < count; i++) {
        struct search_target target = { .name = pair->name,
                                        .type = all[i]->name,
                                        .modifier = name->modifier };
        target.parameter = model_search_find(target.type, name->code);
        if (target.parameter == NULL) {
            return unknown_parameter(parse, target.type, name->code, error);
        }
        if (!is_offered(target.parameter)) {
            return not_offered(parse, name->code, error);
        }
        if (!check_modifier(parse, &target, error) ||
            !values_parse(parse, &target, pair->value, list, error)) {
            return false;
        }
    }
    return true;
}

/* The values under the number of each parameter whose rows answer for this one. */
static bool values_of_aliases(struct search_parse *parse, const struct search_target *target,
                              struct str value, struct search_values *list, struct error *error)
{
    struct str aliases[INDEX_ALIASES_MAX];
    size_t count = index_aliases(parse->arena, target->type, target->parameter->code, aliases);
    for (size_t i = 0; i < count; i++) {
        struct search_target alias = *target;
        alias.parameter = model_search_find(target->type, aliases[i]);
        if (alias.parameter == NULL) {
            return unknown_parameter(parse, target->type, aliases[i], error);
        }
        if (!values_parse(parse, &alias, value, list, error)) {
            return false;
        }
    }
    return true;
}

static bool plain_parse(struct search_parse *parse, const struct search_pair *pair,
                        const struct search_name *name, struct search_criteria *criteria, struct error *error)
{
    struct search_values list = { 0 };
    struct search_target target = { .name = pair->name, .type = criteria->type, .modifier = name->modifier };
    criteria->kind = SEARCH_VALUES;
    criteria->negated = str_equal(name->modifier, STR("not")) || str_equal(name->modifier, STR("not-in"));
    if (criteria->type.len == 0 &&
        (parse->query->types_count > 0 || str_equal(name->modifier, STR("missing")))) {
        return search_group_of_types(parse, pair, 0, criteria, error);
    }
    if (criteria->type.len == 0) {
        if (!values_of_types(parse, pair, name, &list, error)) {
            return false;
        }
        goto done;
    }
    target.parameter = model_search_find(criteria->type, name->code);
    if (target.parameter == NULL) {
        return unknown_parameter(parse, criteria->type, name->code, error);
    }
    if (!is_offered(target.parameter)) {
        return not_offered(parse, name->code, error);
    }
    if (!check_modifier(parse, &target, error)) {
        return false;
    }
    struct str aliases[INDEX_ALIASES_MAX];
    (void)index_aliases(parse->arena, criteria->type, name->code, aliases);
    criteria->rows = rows_of(target.parameter->kind);
    criteria->parameter = hash_parameter(criteria->type, aliases[0]);
    if (str_equal(name->modifier, STR("missing"))) {
        return search_missing_parse(parse, &target, pair->value, criteria, error);
    }
    if (target.parameter->components_count > 2) {
        return search_composite_parse(parse, &target, pair->value, criteria, error);
    }
    bool canonical = target.parameter->kind == MODEL_SEARCH_URI && str_equal(name->code, STR("url")) &&
                     name->modifier.at == NULL && model_search_find(criteria->type, STR("version")) != NULL;
    if (canonical && str_find_char(pair->value, '|') < pair->value.len) {
        return search_versioned_parse(parse, &target, pair->value, criteria, error);
    }
    if (!values_of_aliases(parse, &target, pair->value, &list, error)) {
        return false;
    }
done:
    criteria->values = list.values;
    criteria->values_count = list.count;
    return true;
}

/* ---- chains ---- */

/* Types that the reference may lead to and that know the rest of the chain. */
static bool links_parse(struct search_parse *parse, struct str targets, const struct search_pair *rest,
                        size_t depth, struct search_criteria *criteria, struct error *error)
{
    size_t all_count = 0;
    const struct model_type *const *all = model_resources(&all_count);
    struct search_link *links = ARENA_ARRAY(parse->arena, struct search_link, all_count);
    if (links == NULL) {
        return search_no_memory(error);
    }
    bool any = targets.len == 0 || str_equal(targets, STR("Resource"));
    struct str code = name_split(rest->name).code;
    bool reverse = str_starts_with(rest->name, STR("_has:"));
    size_t count = 0;
    for (size_t i = 0; i < all_count; i++) {
        struct str type = all[i]->name;
        bool special = reverse || str_equal(code, STR("_id")) || str_equal(code, STR("_text")) ||
                       str_equal(code, STR("_content")) || str_equal(code, STR("_filter"));
        bool wanted = any || modifier_is_one_of(type, arena_cstr(parse->arena, targets));
        if (!wanted || (!special && model_search_find(type, code) == NULL)) {
            continue;
        }
        struct search_criteria *inner = NULL;
        if (!search_criteria_parse(parse, type, rest, depth + 1, &inner, error)) {
            return false;
        }
        links[count++] = (struct search_link){ .type = type, .criteria = inner };
    }
    if (count == 0) {
        return unknown_parameter(parse, any ? STR("Resource") : targets, code, error);
    }
    criteria->links = links;
    criteria->links_count = count;
    return true;
}

static bool chain_parse(struct search_parse *parse, const struct search_pair *pair,
                        const struct search_name *name, size_t depth, struct search_criteria *criteria,
                        struct error *error)
{
    const struct search_pair rest = { .name = name->rest, .value = pair->value };
    const struct model_search_parameter *parameter = model_search_find(criteria->type, name->code);
    if (parameter == NULL) {
        return unknown_parameter(parse, criteria->type, name->code, error);
    }
    if (parameter->kind != MODEL_SEARCH_REFERENCE) {
        return FAIL(error, ERROR_INPUT, "'%.*s' is no reference, so nothing can be chained to it",
                    STR_FMT(name->code));
    }
    struct str targets = parameter->targets;
    if (name->modifier.at != NULL) {
        if (model_resource_find(name->modifier) == NULL) {
            return FAIL(error, ERROR_INPUT, "'%.*s' names no resource type", STR_FMT(pair->name));
        }
        targets = name->modifier;
    }
    criteria->kind = SEARCH_CHAIN;
    criteria->rows = INDEX_KEY;
    criteria->parameter = hash_parameter(criteria->type, name->code);
    return links_parse(parse, targets, &rest, depth, criteria, error) &&
           search_look_inside(parse, criteria, error);
}

/* "_has:Observation:patient:code", the last part again a name, with modifiers, chains or _has. */
static bool has_parse(struct search_parse *parse, const struct search_pair *pair, size_t depth,
                      struct search_criteria *criteria, struct error *error)
{
    struct str rest = str_skip(pair->name, 5);
    size_t first = str_find_char(rest, ':');
    struct str type = str_slice(rest, 0, first);
    struct str after = str_skip(rest, first + 1);
    size_t second = str_find_char(after, ':');
    struct str code = str_slice(after, 0, second);
    const struct search_pair inner = { .name = str_skip(after, second + 1), .value = pair->value };
    if (model_resource_find(type) == NULL || second >= after.len || inner.name.len == 0) {
        return FAIL(error, ERROR_INPUT, "'%.*s' must be _has:Type:reference:parameter", STR_FMT(pair->name));
    }
    const struct model_search_parameter *parameter = model_search_find(type, code);
    if (parameter == NULL || parameter->kind != MODEL_SEARCH_REFERENCE) {
        return unknown_parameter(parse, type, code, error);
    }
    struct search_link *link = ARENA_NEW(parse->arena, struct search_link);
    struct search_criteria *found = NULL;
    if (link == NULL) {
        return search_no_memory(error);
    }
    if (!search_criteria_parse(parse, type, &inner, depth + 1, &found, error)) {
        return false;
    }
    *link = (struct search_link){ .type = type, .criteria = found };
    criteria->kind = SEARCH_HAS;
    criteria->rows = INDEX_KEY;
    criteria->code = code;
    criteria->parameter = hash_parameter(type, code);
    criteria->links = link;
    criteria->links_count = 1;
    return true;
}

/* ---- one condition ---- */

static bool updated_parse(struct search_parse *parse, const struct search_pair *pair,
                          const struct search_name *name, struct search_criteria *criteria,
                          struct error *error)
{
    const struct search_target target = { .name = pair->name,
                                          .type = STR("Resource"),
                                          .parameter =
                                              model_search_find(STR("Resource"), STR("_lastUpdated")) };
    struct search_values list = { 0 };
    assert(target.parameter != NULL);
    if (name->modifier.at != NULL) {
        return not_offered(parse, pair->name, error);
    }
    if (!values_parse(parse, &target, pair->value, &list, error)) {
        return false;
    }
    criteria->kind = SEARCH_UPDATED;
    criteria->values = list.values;
    criteria->values_count = list.count;
    return true;
}

static bool filter_parse(struct search_parse *parse, const struct search_pair *pair, size_t depth,
                         struct search_criteria *criteria, struct error *error)
{
    if (criteria->type.len == 0) {
        return parse->query->types_count > 0
                   ? search_group_of_types(parse, pair, depth, criteria, error)
                   : FAIL(error, ERROR_INPUT, "a search over all types by '_filter' must name them by _type");
    }
    return search_filter_parse(parse, criteria->type, pair->value, depth, criteria, error);
}

static bool words_parse(struct search_parse *parse, const struct search_pair *pair,
                        const struct search_name *name, size_t depth, struct search_criteria *criteria,
                        struct error *error)
{
    if (name->modifier.at != NULL) {
        return not_offered(parse, pair->name, error);
    }
    if (criteria->type.len > 0) {
        return search_words_parse(parse, criteria->type, pair, criteria, error);
    }
    return parse->query->types_count > 0
               ? search_group_of_types(parse, pair, depth, criteria, error)
               : FAIL(error, ERROR_INPUT, "a search over all types by '%.*s' must name them by _type",
                      STR_FMT(pair->name));
}

bool search_criteria_parse(struct search_parse *parse, struct str type, const struct search_pair *pair,
                           size_t depth, struct search_criteria **criteria, struct error *error)
{
    struct search_criteria *made = ARENA_NEW(parse->arena, struct search_criteria);
    if (made == NULL) {
        return search_no_memory(error);
    }
    if (++parse->criteria_count > LIMIT_SEARCH_CRITERIA) {
        return FAIL(error, ERROR_TOO_COSTLY,
                    "the search reaches too many types: name them, as in subject:Patient.name");
    }
    if (depth > LIMIT_SEARCH_CHAIN) {
        return FAIL(error, ERROR_TOO_COSTLY, "a chain has more than %d links", LIMIT_SEARCH_CHAIN);
    }
    struct search_name name = name_split(pair->name);
    made->type = type;
    made->code = name.code;
    made->modifier = name.modifier;
    bool ok = false;
    if (str_starts_with(pair->name, STR("_has:"))) {
        ok = type.len > 0 ? has_parse(parse, pair, depth, made, error)
                          : search_group_of_types(parse, pair, depth, made, error);
    } else if (name.rest.at != NULL) {
        ok = type.len > 0 ? chain_parse(parse, pair, &name, depth, made, error)
                          : search_group_of_types(parse, pair, depth, made, error);
    } else if (str_equal(name.code, STR("_id"))) {
        made->kind = SEARCH_ID;
        made->negated = str_equal(name.modifier, STR("not"));
        ok = name.modifier.at == NULL || made->negated ? ids_parse(parse, pair, made, error)
                                                       : not_offered(parse, pair->name, error);
    } else if (str_equal(name.code, STR("_lastUpdated"))) {
        ok = updated_parse(parse, pair, &name, made, error);
    } else if (str_equal(name.code, STR("_list"))) {
        ok = list_parse(parse, pair, made, error);
    } else if (str_equal(pair->name, STR("_filter"))) {
        ok = filter_parse(parse, pair, depth, made, error);
    } else if (str_equal(name.code, STR("_text")) || str_equal(name.code, STR("_content"))) {
        ok = words_parse(parse, pair, &name, depth, made, error);
    } else {
        ok = plain_parse(parse, pair, &name, made, error);
    }
    if (ok) {
        *criteria = made;
    }
    return ok;
}
