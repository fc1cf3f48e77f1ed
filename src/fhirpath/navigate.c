/* From a node to its children. A JSON array is many children; "_name" beside a primitive holds its id
 * and extensions (R4 2.6.1 JSON); value[x] is asked for as "value" and stands as "valueQuantity". */
#include "fhirpath/engine.h"
#include "fhirpath/types.h"

/* The members that together are one element. */
struct element {
    const struct json *value; /* "given" or NULL */
    const struct json *extra; /* "_given" or NULL */
    const struct model_type *type;
};

static const struct model_type *type_of_object(const struct json *value, const struct model_type *declared)
{
    if (value == NULL || value->kind != JSON_OBJECT ||
        (declared != NULL && declared->kind != MODEL_RESOURCE)) {
        return declared;
    }
    const struct json *name = JSON_GET(value, "resourceType");
    if (name == NULL || name->kind != JSON_STRING || name->escaped) {
        return declared;
    }
    const struct model_type *type = type_find(name->raw);
    return type != NULL ? type : declared;
}

/* Completes a node whose value, extra and index are set, and adds it unless there is nothing in it. */
static bool add_node(struct run *run, struct element element, struct fhirpath_item *node, struct list *out,
                     struct error *error)
{
    if (node->node.value != NULL && node->node.value->kind == JSON_NULL) {
        node->node.value = NULL;
    }
    if (node->node.extra != NULL && node->node.extra->kind != JSON_OBJECT) {
        node->node.extra = NULL;
    }
    if (node->node.value == NULL && node->node.extra == NULL) {
        return true;
    }
    node->kind = FHIRPATH_NODE;
    node->type = type_of_object(node->node.value, element.type);
    node->node.member = element.value != NULL ? element.value : element.extra;
    return list_add(run, out, node, error);
}

static bool add_array(struct run *run, const struct fhirpath_item *parent, struct element element,
                      struct list *out, struct error *error)
{
    const struct json *value = element.value != NULL ? element.value->first : NULL;
    const struct json *extra =
        element.extra != NULL && element.extra->kind == JSON_ARRAY ? element.extra->first : NULL;
    for (uint32_t index = 0; value != NULL || extra != NULL; index++) {
        struct fhirpath_item node = { .is_list = true,
                                      .index = index,
                                      .node = { .value = value, .extra = extra, .parent = parent } };
        if (!add_node(run, element, &node, out, error)) {
            return false;
        }
        value = value == NULL ? NULL : value->next;
        extra = extra == NULL ? NULL : extra->next;
    }
    return true;
}

static bool add_element(struct run *run, const struct fhirpath_item *parent, struct element element,
                        struct list *out, struct error *error)
{
    const struct json *shape = element.value != NULL ? element.value : element.extra;
    if (shape->kind == JSON_ARRAY) {
        return add_array(run, parent, element, out, error);
    }
    struct fhirpath_item node = { .node = {
                                      .value = element.value, .extra = element.extra, .parent = parent } };
    return add_node(run, element, &node, out, error);
}

static bool is_extra_of(struct str member, struct str name)
{
    return member.len == name.len + 1 && member.at[0] == '_' && str_equal(str_skip(member, 1), name);
}

/* The type of a member that may be a variant of a choice; NULL when it is none. */
static const struct model_type *variant_type(const struct model_type *type, struct str name,
                                             struct str member)
{
    if (type == NULL) {
        return type_of_choice(name, member);
    }
    const struct model_element *element = model_element_find(type, member);
    return element != NULL && str_equal(element->choice, name) ? element->type : NULL;
}

/* value[x]: the member (and its "_" twin) whose name is `name` and a type. */
static struct element find_choice(const struct model_type *parent, const struct json *object, struct str name)
{
    struct element element = { 0 };
    JSON_EACH(member, object) {
        bool is_extra = member->name.len > 0 && member->name.at[0] == '_';
        struct str plain = is_extra ? str_skip(member->name, 1) : member->name;
        const struct model_type *type =
            plain.len > name.len && str_starts_with(plain, name) ? variant_type(parent, name, plain) : NULL;
        if (type == NULL || (element.type != NULL && element.type != type)) {
            continue;
        }
        element.type = type;
        if (is_extra) {
            element.extra = member;
        } else {
            element.value = member;
        }
    }
    return element;
}

/* id and extension of a primitive stand in its "_name" object. */
static const struct json *object_of(const struct fhirpath_item *item)
{
    const struct json *value = item->node.value;
    return value != NULL && value->kind == JSON_OBJECT ? value : item->node.extra;
}

static struct element find_member(const struct json *object, struct str name)
{
    struct element element = { 0 };
    JSON_EACH(member, object) {
        if (str_equal(member->name, name)) {
            element.value = element.value == NULL ? member : element.value;
        } else if (is_extra_of(member->name, name)) {
            element.extra = member;
        }
    }
    return element;
}

bool node_children_known(struct run *run, const struct fhirpath_item *item, const struct model_element *known,
                         struct list *out, struct error *error)
{
    const struct json *object = object_of(item);
    struct element element = known->choice.len > 0 ? find_choice(item->type, object, known->choice)
                                                   : find_member(object, known->name);
    if (element.value == NULL && element.extra == NULL) {
        return true;
    }
    element.type = known->choice.len > 0 ? element.type : known->type;
    return add_element(run, item, element, out, error);
}

static bool node_child(struct run *run, const struct fhirpath_item *item, struct str name, struct list *out,
                       struct error *error)
{
    if (item->type != NULL) {
        const struct model_element *known = type_element(item->type, name);
        return known == NULL || node_children_known(run, item, known, out, error);
    }
    const struct json *object = object_of(item);
    struct element element = find_member(object, name);
    if (element.value == NULL && element.extra == NULL) {
        element = find_choice(NULL, object, name);
    }
    return (element.value == NULL && element.extra == NULL) || add_element(run, item, element, out, error);
}

bool node_children_named(struct run *run, const struct fhirpath_item *item, struct str name, struct list *out,
                         struct error *error)
{
    if (item->kind == FHIRPATH_NODE) {
        return node_child(run, item, name, out, error);
    }
    if (item->kind == FHIRPATH_TYPE) {
        bool is_space = str_equal(name, STR("namespace"));
        return (!is_space && !str_equal(name, STR("name"))) ||
               list_add_string(run, out, is_space ? item->info.space : item->info.name, error);
    }
    if (item->kind == FHIRPATH_QUANTITY) {
        if (str_equal(name, STR("value"))) {
            return list_add_decimal(run, out, item->quantity->value, error);
        }
        return !str_equal(name, STR("unit")) || list_add_string(run, out, item->quantity->unit, error);
    }
    return true;
}

/* Whether the member stands for itself: not "resourceType", not a "_name" whose "name" is there too. */
static bool is_child(const struct json *object, const struct json *member)
{
    if (str_equal(member->name, STR("resourceType"))) {
        return false;
    }
    return member->name.len == 0 || member->name.at[0] != '_' ||
           json_member(object, str_skip(member->name, 1)) == NULL;
}

static const struct json *find_extra(const struct json *object, struct str name)
{
    JSON_EACH(member, object) {
        if (is_extra_of(member->name, name)) {
            return member;
        }
    }
    return NULL;
}

bool node_children(struct run *run, const struct fhirpath_item *item, struct list *out, struct error *error)
{
    const struct json *object = item->kind == FHIRPATH_NODE ? object_of(item) : NULL;
    JSON_EACH(member, object) {
        if (!is_child(object, member)) {
            continue;
        }
        bool only_extra = member->name.len > 0 && member->name.at[0] == '_';
        struct str name = only_extra ? str_skip(member->name, 1) : member->name;
        const struct model_element *known = model_element_find(item->type, name);
        struct element element = { .value = only_extra ? NULL : member,
                                   .extra = only_extra ? member : NULL,
                                   .type = known == NULL ? NULL : known->type };
        if (!only_extra && (element.type == NULL || element.type->kind == MODEL_PRIMITIVE)) {
            element.extra = find_extra(object, name);
        }
        if (!run_spend(run, 1, error) || !add_element(run, item, element, out, error)) {
            return false;
        }
    }
    return true;
}

bool node_descendants(struct run *run, const struct list *in, struct list *out, struct error *error)
{
    for (size_t i = 0; i < in->count; i++) {
        if (!node_children(run, &in->items[i], out, error)) {
            return false;
        }
    }
    /* Each item found is a root of the next ones; a tree has an end. Items are copied before the list may
     * grow, but parents must not move: they point at the memory before, which the arena keeps. */
    for (size_t next = 0; next < out->count; next++) {
        if (!node_children(run, &out->items[next], out, error)) {
            return false;
        }
    }
    return true;
}
