/* FHIRPath Patch: operations in a Parameters resource (R4 fhirpatch.html). */
#include "base/parse.h"
#include "fhir/patch.h"
#include "fhir/patch_tree.h"
#include "fhirpath/fhirpath.h"
#include "model/model.h"

enum { PART_DEPTH_MAX = 16 };

struct fhirpath_patch {
    struct arena *arena;
    struct json *root;
    size_t number; /* of the operation, from 1 */
};

/* A value's place: the object or array that holds it. */
struct place {
    struct json *parent;
    struct json *value;
};

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "the patch needs more memory than a request may use");
}

static const struct json *part_find(const struct json *operation, struct str name)
{
    JSON_EACH(part, JSON_GET(operation, "part")) {
        if (json_equals_text(JSON_GET(part, "name"), name)) {
            return part;
        }
    }
    return NULL;
}

/* The text of a part's valueString, valueCode …; STR_NONE without. */
static struct str part_text(struct arena *arena, const struct json *operation, struct str name)
{
    JSON_EACH(member, part_find(operation, name)) {
        if (str_starts_with(member->name, STR("value"))) {
            return json_text(arena, member);
        }
    }
    return STR_NONE;
}

static bool part_index(struct fhirpath_patch *patch, const struct json *operation, struct str name,
                       size_t *index, struct error *error)
{
    const struct json *value = JSON_GET(part_find(operation, name), "valueInteger");
    uint64_t number = 0;
    if (value == NULL || value->kind != JSON_NUMBER || !parse_uint64(value->raw, UINT32_MAX, &number)) {
        return FAIL(error, ERROR_INPUT, "operation %zu needs '%.*s' as valueInteger", patch->number,
                    STR_FMT(name));
    }
    *index = (size_t)number;
    return true;
}

/* ---- values ---- */

static bool build_value(struct fhirpath_patch *patch, const struct json *part, const struct model_type *type,
                        struct str name, int depth, struct json *into, struct error *error);

/* The value[x] member of a part, or NULL when it has parts instead. */
static const struct json *part_value(const struct json *part)
{
    JSON_EACH(member, part) {
        if (str_starts_with(member->name, STR("value")) && member->name.len > 5) {
            return member;
        }
    }
    return JSON_GET(part, "resource");
}

/* An element whose type has no value[x] (backbone): an object of the part's own parts. */
static struct json *build_object(struct fhirpath_patch *patch, const struct json *part,
                                 const struct model_type *type, int depth, struct error *error)
{
    struct json *object = json_new(patch->arena, JSON_OBJECT);
    if (object == NULL || depth > PART_DEPTH_MAX) {
        (void)no_memory(error);
        return NULL;
    }
    JSON_EACH(member, JSON_GET(part, "part")) {
        struct str name = JSON_TEXT(patch->arena, member, "name");
        if (!build_value(patch, member, type, name, depth + 1, object, error)) {
            return NULL;
        }
    }
    return object;
}

/* The member of `type` that is called `name`, or for a choice its variant for "valueQuantity". */
static const struct model_element *element_for(struct fhirpath_patch *patch, const struct model_type *type,
                                               struct str name, const struct json *value)
{
    const struct model_element *element = model_element_find(type, name);
    if (element != NULL || value == NULL || value->name.len <= 5) {
        return element;
    }
    struct str variant =
        arena_printf(patch->arena, "%.*s%.*s", STR_FMT(name), STR_FMT(str_skip(value->name, 5)));
    return model_element_find(type, variant);
}

/* Adds the part's value to `into` under its name: appended to a list, or set where nothing is yet. */
static bool build_value(struct fhirpath_patch *patch, const struct json *part, const struct model_type *type,
                        struct str name, int depth, struct json *into, struct error *error)
{
    const struct json *given = part_value(part);
    const struct model_element *element = element_for(patch, type, name, given);
    if (element == NULL) {
        return FAIL(error, ERROR_RULE, "operation %zu: no such element in %.*s", patch->number,
                    type == NULL ? 7 : (int)type->name.len, type == NULL ? "nothing" : type->name.at);
    }
    struct json *value = given != NULL ? json_copy(patch->arena, given, false)
                                       : build_object(patch, part, element->type, depth, error);
    if (value == NULL) {
        return given != NULL ? no_memory(error) : false;
    }
    value->name = STR_NONE;
    struct json *there = json_member(into, element->name);
    if (!element->is_list) {
        if (there != NULL) {
            return FAIL(error, ERROR_RULE, "operation %zu: there is a value already; use replace",
                        patch->number);
        }
        return json_add(into, element->name, value) != NULL || no_memory(error);
    }
    if (there == NULL) {
        there = json_add(into, element->name, json_new(patch->arena, JSON_ARRAY));
    }
    return json_append(there, value) != NULL || no_memory(error);
}

/* ---- places ---- */

static bool place_find(struct json *parent, const struct json *value, struct place *place)
{
    JSON_EACH(child, parent) {
        if (child == value) {
            *place = (struct place){ .parent = parent, .value = child };
            return true;
        }
        if (child->kind >= JSON_ARRAY && place_find(child, value, place)) { /* as deep as JSON may nest */
            return true;
        }
    }
    return false;
}

static bool path_evaluate(struct fhirpath_patch *patch, const struct json *operation,
                          struct fhirpath_collection *items, struct error *error)
{
    struct str expression = part_text(patch->arena, operation, STR("path"));
    if (expression.len == 0) {
        return FAIL(error, ERROR_INPUT, "operation %zu needs 'path'", patch->number);
    }
    const struct fhirpath *path = fhirpath_compile(patch->arena, expression, error);
    struct fhirpath_context context = { .arena = patch->arena };
    return path != NULL && fhirpath_evaluate_on_resource(path, &context, patch->root, items, error);
}

/* The one node that the path leads to; *item stays NULL for none. */
static bool path_single(struct fhirpath_patch *patch, const struct json *operation,
                        const struct fhirpath_item **item, struct error *error)
{
    struct fhirpath_collection items = { 0 };
    if (!path_evaluate(patch, operation, &items, error)) {
        return false;
    }
    if (items.count > 1) {
        return FAIL(error, ERROR_RULE, "operation %zu: the path leads to more than one element",
                    patch->number);
    }
    if (items.count == 1 && (items.items[0].kind != FHIRPATH_NODE || items.items[0].node.value == NULL)) {
        return FAIL(error, ERROR_RULE, "operation %zu: the path leads to no element of the resource",
                    patch->number);
    }
    *item = items.count == 0 ? NULL : &items.items[0];
    return true;
}

static bool nothing_there(const struct fhirpath_patch *patch, struct error *error)
{
    return FAIL(error, ERROR_RULE, "operation %zu: the path leads to nothing", patch->number);
}

/* The array that insert and move work on. */
static bool path_array(struct fhirpath_patch *patch, const struct json *operation, struct json **array,
                       struct error *error)
{
    struct fhirpath_collection items = { 0 };
    struct place place;
    if (!path_evaluate(patch, operation, &items, error)) {
        return false;
    }
    if (items.count == 0 || items.items[0].kind != FHIRPATH_NODE || items.items[0].node.value == NULL ||
        !place_find(patch->root, items.items[0].node.value, &place) || place.parent->kind != JSON_ARRAY) {
        return FAIL(error, ERROR_RULE, "operation %zu: the path leads to no list", patch->number);
    }
    *array = place.parent;
    return true;
}

/* ---- operations ---- */

static bool apply_add(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    const struct fhirpath_item *item = NULL;
    struct str name = part_text(patch->arena, operation, STR("name"));
    const struct json *part = part_find(operation, STR("value"));
    struct place place = { .value = patch->root };
    if (name.len == 0 || part == NULL) {
        return FAIL(error, ERROR_INPUT, "operation %zu needs 'name' and 'value'", patch->number);
    }
    if (!path_single(patch, operation, &item, error)) {
        return false;
    }
    if (item == NULL) {
        return nothing_there(patch, error);
    }
    bool found = item->node.value == patch->root || place_find(patch->root, item->node.value, &place);
    if (!found || place.value->kind != JSON_OBJECT) {
        return nothing_there(patch, error);
    }
    return build_value(patch, part, item->type, name, 0, place.value, error);
}

/* The part's value as a value of the type of what stands at the place. */
static struct json *new_value(struct fhirpath_patch *patch, const struct json *operation,
                              const struct model_type *type, const struct json **given, struct error *error)
{
    const struct json *part = part_find(operation, STR("value"));
    *given = part == NULL ? NULL : part_value(part);
    if (part == NULL) {
        (void)FAIL(error, ERROR_INPUT, "operation %zu needs 'value'", patch->number);
        return NULL;
    }
    if (*given == NULL) {
        return build_object(patch, part, type, 0, error);
    }
    struct json *value = json_copy(patch->arena, *given, false);
    if (value == NULL) {
        (void)no_memory(error);
        return NULL;
    }
    value->name = STR_NONE;
    return value;
}

static bool apply_replace(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    const struct fhirpath_item *item = NULL;
    const struct json *given = NULL;
    struct place place;
    if (!path_single(patch, operation, &item, error)) {
        return false;
    }
    if (item == NULL || !place_find(patch->root, item->node.value, &place)) {
        return nothing_there(patch, error);
    }
    struct json *value = new_value(patch, operation, item->type, &given, error);
    if (value == NULL) {
        return false;
    }
    /* A choice takes the name of the new value's type: deceasedBoolean becomes deceasedDateTime. */
    const struct fhirpath_item *parent = item->node.parent;
    const struct model_element *element = parent == NULL || place.parent->kind != JSON_OBJECT
                                              ? NULL
                                              : model_element_find(parent->type, place.value->name);
    if (element != NULL && element->choice.len > 0 && given != NULL) {
        element = element_for(patch, parent->type, element->choice, given);
        if (element == NULL) {
            return FAIL(error, ERROR_RULE, "operation %zu: the element does not take a value of this type",
                        patch->number);
        }
        place.value->name = element->name;
    }
    patch_replace(place.value, value);
    return true;
}

static bool apply_delete(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    const struct fhirpath_item *item = NULL;
    struct place place;
    struct place outer;
    if (!path_single(patch, operation, &item, error)) {
        return false;
    }
    if (item == NULL) {
        return true; /* fhirpatch.html: deleting what is not there is no error */
    }
    if (!place_find(patch->root, item->node.value, &place)) {
        return nothing_there(patch, error);
    }
    (void)json_remove(place.parent, place.value);
    if (place.parent->kind == JSON_ARRAY && place.parent->count == 0 &&
        place_find(patch->root, place.parent, &outer)) {
        (void)json_remove(outer.parent, outer.value);
    } else if (place.parent->kind == JSON_OBJECT) { /* the extensions of a primitive go with it */
        struct str extra = arena_printf(patch->arena, "_%.*s", STR_FMT(place.value->name));
        (void)json_remove_member(place.parent, extra);
    }
    return true;
}

static bool apply_insert(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    struct json *array = NULL;
    const struct json *given = NULL;
    struct fhirpath_collection items = { 0 };
    size_t index = 0;
    if (!part_index(patch, operation, STR("index"), &index, error) ||
        !path_array(patch, operation, &array, error) || !path_evaluate(patch, operation, &items, error)) {
        return false;
    }
    struct json *value = new_value(patch, operation, items.items[0].type, &given, error);
    if (value == NULL) {
        return false;
    }
    return patch_insert(array, index, value) ||
           FAIL(error, ERROR_RULE, "operation %zu: the list is shorter than that", patch->number);
}

static bool apply_move(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    struct json *array = NULL;
    size_t from = 0;
    size_t to = 0;
    if (!part_index(patch, operation, STR("source"), &from, error) ||
        !part_index(patch, operation, STR("destination"), &to, error) ||
        !path_array(patch, operation, &array, error)) {
        return false;
    }
    struct json *value = json_at(array, from);
    if (value == NULL || to >= array->count) {
        return FAIL(error, ERROR_RULE, "operation %zu: the list is shorter than that", patch->number);
    }
    (void)json_remove(array, value);
    value->next = NULL;
    return patch_insert(array, to, value);
}

static bool apply(struct fhirpath_patch *patch, const struct json *operation, struct error *error)
{
    struct str type = part_text(patch->arena, operation, STR("type"));
    if (str_equal(type, STR("add"))) {
        return apply_add(patch, operation, error);
    }
    if (str_equal(type, STR("insert"))) {
        return apply_insert(patch, operation, error);
    }
    if (str_equal(type, STR("delete"))) {
        return apply_delete(patch, operation, error);
    }
    if (str_equal(type, STR("replace"))) {
        return apply_replace(patch, operation, error);
    }
    if (str_equal(type, STR("move"))) {
        return apply_move(patch, operation, error);
    }
    return FAIL(error, ERROR_INPUT, "operation %zu is none of add, insert, delete, replace, move",
                patch->number);
}

bool patch_fhirpath(struct arena *arena, const struct json *resource, const struct json *parameters,
                    struct json **patched, struct error *error)
{
    struct fhirpath_patch patch = { .arena = arena, .root = json_copy(arena, resource, false) };
    const struct json *list = JSON_GET(parameters, "parameter");
    if (!json_equals_text(JSON_GET(parameters, "resourceType"), STR("Parameters")) || list == NULL ||
        list->kind != JSON_ARRAY) {
        return FAIL(error, ERROR_INPUT, "a FHIRPath patch is a Parameters resource with operations");
    }
    if (list->count > PATCH_OPERATIONS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "a patch has more than %d operations", PATCH_OPERATIONS_MAX);
    }
    if (patch.root == NULL) {
        return no_memory(error);
    }
    JSON_EACH(operation, list) {
        patch.number++;
        if (!json_equals_text(JSON_GET(operation, "name"), STR("operation"))) {
            return FAIL(error, ERROR_INPUT, "parameter %zu is not called 'operation'", patch.number);
        }
        if (!apply(&patch, operation, error)) {
            return false;
        }
        if (!patch_depth_fits(patch.root, LIMIT_JSON_DEPTH)) {
            return FAIL(error, ERROR_RULE, "operation %zu: the resource would nest too deep", patch.number);
        }
    }
    *patched = patch.root;
    return true;
}
