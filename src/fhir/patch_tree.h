/* patch_tree.h — inside of src/fhir: a tree changed in place. */
#ifndef SHANHAI_FHIR_PATCH_TREE_H
#define SHANHAI_FHIR_PATCH_TREE_H

#include "base/limits.h"
#include "json/json.h"

enum { PATCH_OPERATIONS_MAX = 1000 };

/* Puts a value without parent before the position; false when the array is shorter. */
static inline bool patch_insert(struct json *array, size_t index, struct json *value)
{
    if (index > array->count) {
        return false;
    }
    if (index == array->count) {
        return json_append(array, value) != NULL;
    }
    if (index == 0) {
        value->next = array->first;
        array->first = value;
    } else {
        struct json *before = json_at(array, index - 1);
        value->next = before->next;
        before->next = value;
    }
    array->count++;
    return true;
}

/* Gives a value another content at its place; its name stays. */
static inline void patch_replace(struct json *value, const struct json *with)
{
    struct json *next = value->next;
    struct str name = value->name;
    *value = *with;
    value->next = next;
    value->name = name;
}

/* Whether nothing nests deeper than JSON that is read may: looked at after each operation, since copies and additions
 * can pile up. */
static inline bool patch_depth_fits(const struct json *value, int levels)
{
    if (levels == 0) {
        return false;
    }
    JSON_EACH(child, value) {
        if (child->kind >= JSON_ARRAY && !patch_depth_fits(child, levels - 1)) {
            return false;
        }
    }
    return true;
}

#endif
