/* Locks: what no client may write by itself, whatever its role (definitions/locks.json). A lock is FHIRPath over
 * %resource (new) and %previous (stored); the workflow, which made those records, is not asked. */
#include "base/limits.h"
#include "change/change_internal.h"

bool change_load_locks(struct change *change, struct arena *arena, struct error *error)
{
    struct json *list = NULL;
    struct str text = change->options.locks;
    if (text.at == NULL) {
        return true;
    }
    if (!json_read(arena, arena_dup(arena, text), &list, error)) {
        return false;
    }
    change->locks = ARENA_ARRAY(arena, struct change_lock, list->count + 1);
    if (change->locks == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    JSON_EACH(entry, list) {
        struct change_lock *lock = &change->locks[change->locks_count++];
        *lock = (struct change_lock){
            .type = JSON_TEXT(arena, entry, "type"),
            .zh = JSON_TEXT(arena, JSON_GET(entry, "message"), "zh"),
            .en = JSON_TEXT(arena, JSON_GET(entry, "message"), "en"),
        };
        lock->when = fhirpath_compile(arena, JSON_TEXT(arena, entry, "when"), error);
        if (lock->when == NULL || lock->type.at == NULL || lock->en.at == NULL) {
            return lock->when == NULL ? false
                                      : FAIL(error, ERROR_STRUCTURE, "a lock needs type, when and message");
        }
    }
    return true;
}

static struct fhirpath_variable variable_of(struct str name, const struct json *tree,
                                            struct fhirpath_item *item)
{
    struct fhirpath_variable variable = { .name = name };
    if (tree != NULL) {
        *item = fhirpath_item_of_resource(tree);
        variable.value = (struct fhirpath_collection){ .items = item, .count = 1 };
    }
    return variable;
}

bool change_check_locks(const struct change *change, struct arena *arena, struct str type,
                        const struct json *previous, const struct json *resource, struct outcome *outcome,
                        struct error *error)
{
    struct fhirpath_item items[2];
    struct fhirpath_variable before = variable_of(STR("previous"), previous, &items[0]);
    struct fhirpath_variable after = variable_of(STR("resource"), resource, &items[1]);
    before.next = &after;
    for (size_t i = 0; i < change->locks_count; i++) {
        const struct change_lock *lock = &change->locks[i];
        struct fhirpath_context context = { .arena = arena, .variables = &before };
        bool closed = false;
        if (!str_equal(lock->type, type)) {
            continue;
        }
        if (!fhirpath_test(lock->when, &context, NULL, &closed, error)) {
            return false;
        }
        if (closed) {
            outcome_add(outcome, (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                                         .code = "business-rule",
                                                         .text = lock->en,
                                                         .chinese = lock->zh });
        }
    }
    return true;
}
