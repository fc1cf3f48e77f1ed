#include "model/model.h"

#include "model/tables.h"

const struct model_type *model_type_find(struct str name)
{
    size_t low = 0;
    size_t high = model_types_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(model_types[middle].name, name);
        if (order == 0) {
            return &model_types[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct model_type *model_resource_find(struct str name)
{
    const struct model_type *type = model_type_find(name);
    bool concrete = type != NULL && type->kind == MODEL_RESOURCE && !str_equal(name, STR("Resource")) &&
                    !str_equal(name, STR("DomainResource"));
    return concrete ? type : NULL;
}

bool model_type_is_a(const struct model_type *type, struct str base)
{
    while (type != NULL && !str_equal(type->name, base)) {
        type = type->base;
    }
    return type != NULL;
}

const struct model_element *model_element_find(const struct model_type *type, struct str name)
{
    /* A type has some dozen members; lengths differ mostly, so a walk beats a table. */
    for (size_t i = 0; type != NULL && i < type->elements_count; i++) {
        if (str_equal(type->elements[i].name, name)) {
            return &type->elements[i];
        }
    }
    return NULL;
}

const struct model_element *model_choice_next(const struct model_type *type, struct str choice,
                                              const struct model_element *after)
{
    if (type == NULL || choice.len == 0) {
        return NULL;
    }
    size_t from = after == NULL ? 0 : (size_t)(after - type->elements) + 1;
    for (size_t i = from; i < type->elements_count; i++) {
        if (str_equal(type->elements[i].choice, choice)) {
            return &type->elements[i];
        }
    }
    return NULL;
}

const struct model_type *const *model_resources(size_t *count)
{
    *count = model_resource_list_count;
    return model_resource_list;
}

static bool codes_have(const struct model_codes *codes, struct str code)
{
    size_t low = 0;
    size_t high = codes->codes_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(codes->codes[middle], code);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

bool model_value_set_has(const struct model_value_set *set, struct str system, struct str code)
{
    for (size_t i = 0; i < set->systems_count; i++) {
        bool asked = system.at == NULL || str_equal(set->systems[i].system, system);
        if (asked && codes_have(&set->systems[i], code)) {
            return true;
        }
    }
    return set->systems_count == 0;
}

const struct model_value_set *model_value_set_find(struct str url)
{
    for (size_t i = 0; i < model_value_sets_count; i++) {
        if (str_equal(model_value_sets[i].url, url)) {
            return &model_value_sets[i];
        }
    }
    return NULL;
}

/* First parameter of a type in the sorted table; its count in *count. */
const struct model_search_parameter *model_search_list(struct str type, size_t *count)
{
    size_t low = 0;
    size_t high = model_search_parameters_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(model_search_parameters[middle].type, type) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < model_search_parameters_count && str_equal(model_search_parameters[end].type, type)) {
        end++;
    }
    *count = end - low;
    return *count == 0 ? NULL : &model_search_parameters[low];
}

static const struct model_search_parameter *search_of(struct str type, struct str code)
{
    size_t count = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    for (size_t i = 0; i < count; i++) {
        if (str_equal(list[i].code, code)) {
            return &list[i];
        }
    }
    return NULL;
}

const struct model_search_parameter *model_search_find(struct str type, struct str code)
{
    const struct model_search_parameter *found = search_of(type, code);
    if (found == NULL) {
        found = search_of(STR("DomainResource"), code);
    }
    return found != NULL ? found : search_of(STR("Resource"), code);
}

struct str model_compartment(struct str compartment, struct str type)
{
    for (size_t i = 0; i < model_compartments_count; i++) {
        const struct model_compartment_row *row = &model_compartments[i];
        if (str_equal(row->compartment, compartment) && str_equal(row->type, type)) {
            return row->parameters;
        }
    }
    return STR_NONE;
}

const struct model_invariant *model_invariants(size_t *count)
{
    *count = model_invariant_list_count;
    return model_invariant_list;
}
