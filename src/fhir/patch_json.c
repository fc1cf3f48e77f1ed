/* JSON Patch (RFC 6902) with JSON pointers (RFC 6901). */
#include "base/parse.h"
#include "fhir/patch.h"
#include "fhir/patch_tree.h"

struct json_patch {
    struct arena *arena;
    struct json *root;
    size_t number; /* of the operation, from 1 */
};

/* Where a pointer leads: the parent, and the last part of the pointer. */
struct target {
    struct json *parent; /* NULL: the pointer is the root */
    struct str last;
};

static bool no_place(const struct json_patch *patch, struct error *error)
{
    return FAIL(error, ERROR_RULE, "operation %zu: the resource has no such place", patch->number);
}

/* ~1 is /, ~0 is ~. STR_NONE when the pointer is not well formed or memory ran out. */
static struct str part_decode(struct arena *arena, struct str part)
{
    char *out = arena_alloc(arena, part.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < part.len; i++) {
        char c = part.at[i];
        if (c == '~') {
            i++;
            if (i >= part.len || (part.at[i] != '0' && part.at[i] != '1')) {
                return STR_NONE;
            }
            c = part.at[i] == '0' ? '~' : '/';
        }
        out[len++] = c;
    }
    return out == NULL ? STR_NONE : (struct str){ out, len };
}

static bool too_large(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "the patch needs more memory than a request may use");
}

static bool index_read(struct str part, size_t max, size_t *index)
{
    uint64_t value = 0;
    bool padded = part.len > 1 && part.at[0] == '0';
    if (padded || !parse_uint64(part, max, &value)) {
        return false;
    }
    *index = (size_t)value;
    return true;
}

static struct json *child_of(struct json *parent, struct str part)
{
    size_t index = 0;
    if (parent != NULL && parent->kind == JSON_ARRAY) {
        return index_read(part, UINT32_MAX, &index) ? json_at(parent, index) : NULL;
    }
    return json_member(parent, part);
}

static bool pointer_follow(struct json_patch *patch, struct str pointer, struct target *target,
                           struct error *error)
{
    *target = (struct target){ .parent = NULL };
    if (pointer.len == 0) {
        return true;
    }
    if (pointer.at == NULL || pointer.at[0] != '/') {
        return FAIL(error, ERROR_INPUT, "operation %zu: a path begins with /", patch->number);
    }
    struct str rest = str_skip(pointer, 1);
    struct str part = STR_NONE;
    struct json *at = patch->root;
    while (str_split_next(&rest, '/', &part)) {
        struct str name = part_decode(patch->arena, part);
        if (name.at == NULL) {
            return FAIL(error, ERROR_INPUT, "operation %zu: the path is no JSON pointer", patch->number);
        }
        if (at == NULL || at->kind < JSON_ARRAY) {
            return no_place(patch, error);
        }
        *target = (struct target){ .parent = at, .last = name };
        at = child_of(at, name);
    }
    return true;
}

static struct json *target_value(const struct json_patch *patch, const struct target *target)
{
    return target->parent == NULL ? patch->root : child_of(target->parent, target->last);
}

static bool add_at(struct json_patch *patch, const struct target *target, struct json *value,
                   struct error *error)
{
    if (value == NULL) {
        return too_large(error);
    }
    if (target->parent == NULL) {
        patch->root = value;
        return true;
    }
    if (target->parent->kind == JSON_OBJECT) {
        return json_set(target->parent, target->last, value) != NULL || no_place(patch, error);
    }
    size_t index = target->parent->count;
    bool end = str_equal(target->last, STR("-"));
    if (!end && !index_read(target->last, target->parent->count, &index)) {
        return no_place(patch, error);
    }
    return patch_insert(target->parent, index, value) || no_place(patch, error);
}

static bool remove_at(struct json_patch *patch, const struct target *target, struct json **removed,
                      struct error *error)
{
    struct json *value = target_value(patch, target);
    if (value == NULL || target->parent == NULL || !json_remove(target->parent, value)) {
        return no_place(patch, error);
    }
    *removed = value;
    return true;
}

/* move and copy: the value at "from". */
static bool take_from(struct json_patch *patch, const struct json *operation, bool keep, struct str path,
                      struct json **value, struct error *error)
{
    struct str from = JSON_TEXT(patch->arena, operation, "from");
    struct target source;
    if (from.at == NULL) {
        return FAIL(error, ERROR_INPUT, "operation %zu needs 'from'", patch->number);
    }
    if (!pointer_follow(patch, from, &source, error)) {
        return false;
    }
    if (keep) {
        struct json *found = target_value(patch, &source);
        *value = found == NULL ? NULL : json_copy(patch->arena, found, false);
        return found == NULL ? no_place(patch, error) : *value != NULL || too_large(error);
    }
    /* RFC 6902 4.4: a value cannot be moved into itself. */
    bool inside = str_starts_with(path, from) && path.len > from.len && path.at[from.len] == '/';
    if (inside) {
        return FAIL(error, ERROR_INPUT, "operation %zu moves a value into itself", patch->number);
    }
    return remove_at(patch, &source, value, error);
}

static bool apply(struct json_patch *patch, const struct json *operation, struct error *error)
{
    struct str op = JSON_TEXT(patch->arena, operation, "op");
    struct str path = JSON_TEXT(patch->arena, operation, "path");
    const struct json *given = JSON_GET(operation, "value");
    bool needs_value =
        str_equal(op, STR("add")) || str_equal(op, STR("replace")) || str_equal(op, STR("test"));
    bool takes = str_equal(op, STR("move")) || str_equal(op, STR("copy"));
    if (path.at == NULL || (needs_value && given == NULL)) {
        return FAIL(error, ERROR_INPUT, "operation %zu needs %s", patch->number,
                    path.at == NULL ? "'path'" : "'value'");
    }
    struct json *value = given == NULL ? NULL : json_copy(patch->arena, given, false);
    if (takes && !take_from(patch, operation, str_equal(op, STR("copy")), path, &value, error)) {
        return false;
    }
    struct target target; /* after a move took its value away */
    if (!pointer_follow(patch, path, &target, error)) {
        return false;
    }
    struct json *there = target_value(patch, &target);
    if (str_equal(op, STR("add")) || takes) {
        return add_at(patch, &target, value, error);
    }
    if (str_equal(op, STR("remove"))) {
        struct json *removed = NULL;
        return remove_at(patch, &target, &removed, error);
    }
    if (!needs_value) {
        return FAIL(error, ERROR_INPUT, "operation %zu is none of add, remove, replace, move, copy, test",
                    patch->number);
    }
    if (there == NULL) {
        return no_place(patch, error);
    }
    if (str_equal(op, STR("test"))) {
        return json_equal(there, given) ||
               FAIL(error, ERROR_RULE, "operation %zu: the test failed", patch->number);
    }
    if (value == NULL) {
        return too_large(error);
    }
    patch_replace(there, value);
    return true;
}

bool patch_json(struct arena *arena, const struct json *resource, const struct json *patch,
                struct json **patched, struct error *error)
{
    struct json_patch state = { .arena = arena, .root = json_copy(arena, resource, false) };
    if (patch == NULL || patch->kind != JSON_ARRAY) {
        return FAIL(error, ERROR_INPUT, "a JSON patch is an array of operations");
    }
    if (patch->count > PATCH_OPERATIONS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "a patch has more than %d operations", PATCH_OPERATIONS_MAX);
    }
    if (state.root == NULL) {
        return too_large(error);
    }
    size_t bytes_before = arena->bytes_total;
    JSON_EACH(operation, patch) {
        state.number++;
        /* What is copied into itself doubles with each operation. */
        if (arena->bytes_total - bytes_before > LIMIT_PATCH_BYTES) {
            return too_large(error);
        }
        if (!apply(&state, operation, error)) {
            return false;
        }
        if (!patch_depth_fits(state.root, LIMIT_JSON_DEPTH)) {
            return FAIL(error, ERROR_RULE, "operation %zu: the resource would nest too deep", state.number);
        }
    }
    if (state.root->kind != JSON_OBJECT) {
        return FAIL(error, ERROR_RULE, "after the patch it is no resource");
    }
    *patched = state.root;
    return true;
}
