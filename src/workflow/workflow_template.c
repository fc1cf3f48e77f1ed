/* Templates: JSON in which a string that begins with '=' is an expression. */
#include "workflow/workflow_internal.h"

#include "base/limits.h"

static bool expand_expression(struct workflow_run *run, struct str expression,
                              const struct fhirpath_item *input, struct json **value, struct error *error)
{
    struct fhirpath_collection result = { 0 };
    if (!workflow_evaluate(run, expression, input, &result, error)) {
        return false;
    }
    *value = NULL;
    if (result.count == 0) {
        return true;
    }
    const struct json *json = fhirpath_item_to_json(run->arena, &result.items[0]);
    if (json == NULL) {
        return true;
    }
    *value = json_copy(run->arena, json, false);
    if (*value == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    (*value)->name = STR_NONE;
    return true;
}

static bool expand_object(struct workflow_run *run, const struct json *template,
                          const struct fhirpath_item *input, struct json **value, struct error *error)
{
    struct json *object = json_new(run->arena, JSON_OBJECT);
    if (object == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    JSON_EACH(member, template) {
        struct json *child = NULL;
        if (str_equal(member->name, STR("$each"))) {
            continue;
        }
        if (!workflow_expand(run, member, input, &child, error)) {
            return false;
        }
        if (child != NULL) {
            (void)json_add(object, member->name, child);
        }
    }
    *value = object->count == 0 ? NULL : object;
    return true;
}

static bool expand_each(struct workflow_run *run, const struct json *template, struct json *array,
                        const struct fhirpath_item *input, struct error *error)
{
    struct fhirpath_collection items = { 0 };
    struct str expression = JSON_TEXT(run->arena, template, "$each");
    if (!workflow_evaluate(run, expression, input, &items, error)) {
        return false;
    }
    for (size_t i = 0; i < items.count; i++) {
        struct json *value = NULL;
        if (!expand_object(run, template, &items.items[i], &value, error)) {
            return false;
        }
        if (value != NULL) {
            (void)json_append(array, value);
        }
    }
    return true;
}

static bool expand_array(struct workflow_run *run, const struct json *template,
                         const struct fhirpath_item *input, struct json **value, struct error *error)
{
    struct json *array = json_new(run->arena, JSON_ARRAY);
    if (array == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    JSON_EACH(element, template) {
        if (JSON_GET(element, "$each") != NULL) {
            if (!expand_each(run, element, array, input, error)) {
                return false;
            }
            continue;
        }
        struct json *child = NULL;
        if (!workflow_expand(run, element, input, &child, error)) {
            return false;
        }
        if (child != NULL) {
            (void)json_append(array, child);
        }
    }
    *value = array->count == 0 ? NULL : array;
    return true;
}

bool workflow_expand(struct workflow_run *run, const struct json *template, const struct fhirpath_item *input,
                     struct json **value, struct error *error)
{
    /* Depth: a template was read from a file, so LIMIT_JSON_DEPTH bounds it. */
    switch ((enum json_kind) template->kind) {
    case JSON_OBJECT:
        return expand_object(run, template, input, value, error);
    case JSON_ARRAY:
        return expand_array(run, template, input, value, error);
    case JSON_STRING: {
        struct str text = json_text(run->arena, template);
        if (str_starts_with(text, STR("="))) {
            return expand_expression(run, str_skip(text, 1), input, value, error);
        }
        break;
    }
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
    case JSON_NUMBER:
        break;
    }
    *value = json_copy(run->arena, template, false);
    if (*value == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    (*value)->name = STR_NONE;
    return true;
}
