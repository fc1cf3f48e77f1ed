/* Locks: what no client may write by itself, whatever its role (definitions/locks.json). A lock is FHIRPath over
 * %resource (new), %previous (stored) and %hold (the patient's legal holds that stand); the workflow, which made
 * those records, is not asked. */
#include "base/clock.h"
#include "base/limits.h"
#include "change/change_internal.h"
#include "fhir/search_query.h"
#include "store/search.h"

enum { HOLDS_MAX = 20 };

/* A message, or with '=' the FHIRPath that makes it: then it can name the hold. */
static bool compile_message(struct arena *arena, struct str text, const struct fhirpath **path,
                            struct error *error)
{
    *path = str_starts_with(text, STR("=")) ? fhirpath_compile(arena, str_skip(text, 1), error) : NULL;
    return *path != NULL || !str_starts_with(text, STR("="));
}

static bool load_lock(struct arena *arena, const struct json *entry, struct change_lock *lock,
                      struct error *error)
{
    struct str when = JSON_TEXT(arena, entry, "when");
    *lock = (struct change_lock){
        .type = JSON_TEXT(arena, entry, "type"),
        .zh = JSON_TEXT(arena, JSON_GET(entry, "message"), "zh"),
        .en = JSON_TEXT(arena, JSON_GET(entry, "message"), "en"),
        .asks_hold = str_find(when, STR("%hold")) < when.len,
    };
    lock->when = fhirpath_compile(arena, when, error);
    if (lock->when == NULL || !compile_message(arena, lock->zh, &lock->zh_path, error) ||
        !compile_message(arena, lock->en, &lock->en_path, error)) {
        return false;
    }
    return (lock->type.at != NULL && lock->en.at != NULL) ||
           FAIL(error, ERROR_STRUCTURE, "a lock needs type, when and message");
}

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
        if (!load_lock(arena, entry, &change->locks[change->locks_count++], error)) {
            return false;
        }
    }
    return true;
}

/* ---- legal holds ---- */

/* The patient whom a stored record is about, as "Patient/id". */
static struct str patient_of(struct arena *arena, struct str type, const struct json *stored)
{
    static const char *const members[] = { "subject", "patient", "for", "individual", "beneficiary" };
    if (str_equal(type, STR("Patient"))) {
        return arena_printf(arena, "Patient/%.*s", STR_FMT(JSON_TEXT(arena, stored, "id")));
    }
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct json *member = json_member(stored, str_from_cstr(members[i]));
        struct str reference = JSON_TEXT(arena, member, "reference");
        if (str_starts_with(reference, STR("Patient/"))) {
            return reference;
        }
    }
    return STR_NONE;
}

static bool search_holds(const struct change *change, const struct change_lock_ask *ask, struct str patient,
                         struct store_hits *hits, struct error *error)
{
    struct search_query query = { 0 };
    struct search_options options = { .type = STR("Task"), .offset_minutes = change->options.offset_minutes };
    struct str text = arena_printf(ask->arena,
                                   "patient=%.*s&code=urn:shanhai:codes:workflow|legal-hold"
                                   "&business-status=urn:shanhai:codes:legal-hold-state|active",
                                   STR_FMT(patient));
    if (!search_query_parse_text(ask->arena, &options, text, &query, error)) {
        return false;
    }
    query.count = HOLDS_MAX;
    query.has_count = true;
    struct store_search search = { .query = &query, .now_ms = ask->now_ms };
    return store_search(ask->reader, ask->arena, &search, hits, error);
}

/* The holds that stand on the patient's record, as %hold. */
static bool read_holds(const struct change *change, const struct change_lock_ask *ask,
                       struct fhirpath_collection *holds, struct error *error)
{
    struct store_hits hits = { 0 };
    struct str patient = patient_of(ask->arena, ask->type, ask->previous);
    if (patient.at == NULL) {
        return true;
    }
    *ask->asks_hold = true;
    if (!search_holds(change, ask, patient, &hits, error)) {
        return false;
    }
    struct fhirpath_item *items = ARENA_ARRAY(ask->arena, struct fhirpath_item, hits.count + 1);
    if (items == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (size_t i = 0; i < hits.count; i++) {
        struct json *tree = NULL;
        if (!change_read_tree(ask->arena, &hits.hits[i].version, &tree, error)) {
            return false;
        }
        items[i] = fhirpath_item_of_resource(tree);
    }
    *holds = (struct fhirpath_collection){ .items = items, .count = hits.count };
    return true;
}

bool change_is_held(const struct change *change, struct store_reader *reader, struct arena *arena,
                    const struct store_version *version, bool *held, struct error *error)
{
    bool asks = false;
    struct json *tree = NULL;
    struct store_hits hits = { 0 };
    const struct change_lock_ask ask = {
        .reader = reader, .arena = arena, .type = version->type, .now_ms = clock_now_ms(), .asks_hold = &asks
    };
    *held = false;
    if (version->body.at == NULL) {
        return true;
    }
    if (!change_read_tree(arena, version, &tree, error)) {
        return false;
    }
    struct str patient = patient_of(arena, version->type, tree);
    if (patient.at != NULL && !search_holds(change, &ask, patient, &hits, error)) {
        return false;
    }
    *held = hits.count > 0;
    return true;
}

bool change_moves_hold(const struct change_entry *entry)
{
    JSON_EACH(coding, JSON_GET(JSON_GET(entry->resource, "code"), "coding")) {
        if (json_equals_text(JSON_GET(coding, "system"), STR("urn:shanhai:codes:workflow")) &&
            json_equals_text(JSON_GET(coding, "code"), STR("legal-hold"))) {
            return str_equal(entry->type, STR("Task"));
        }
    }
    return false;
}

/* ---- asking ---- */

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

static bool message_text(struct fhirpath_context *context, const struct fhirpath *path, struct str plain,
                         struct str *text, struct error *error)
{
    struct fhirpath_collection result = { 0 };
    *text = plain;
    if (path == NULL) {
        return true;
    }
    if (!fhirpath_evaluate(path, context, NULL, &result, error)) {
        return false;
    }
    *text = result.count == 0 ? STR("closed") : fhirpath_item_text(context->arena, &result.items[0]);
    return text->at != NULL || CHANGE_NO_MEMORY(error);
}

static bool add_issue(struct fhirpath_context *context, const struct change_lock *lock,
                      struct outcome *outcome, struct error *error)
{
    struct outcome_issue issue = { .severity = OUTCOME_ERROR, .code = "business-rule" };
    if (!message_text(context, lock->en_path, lock->en, &issue.text, error) ||
        !message_text(context, lock->zh_path, lock->zh, &issue.chinese, error)) {
        return false;
    }
    outcome_add(outcome, issue);
    return true;
}

bool change_check_locks(const struct change *change, const struct change_lock_ask *ask,
                        struct outcome *outcome, struct error *error)
{
    struct fhirpath_item items[2];
    struct fhirpath_variable before = variable_of(STR("previous"), ask->previous, &items[0]);
    struct fhirpath_variable after = variable_of(STR("resource"), ask->resource, &items[1]);
    struct fhirpath_variable hold = { .name = STR("hold") };
    bool has_read_holds = ask->previous == NULL || (ask->by_machine && ask->resource != NULL);
    before.next = &after;
    after.next = &hold;
    for (size_t i = 0; i < change->locks_count; i++) {
        const struct change_lock *lock = &change->locks[i];
        struct fhirpath_context context = { .arena = ask->arena,
                                            .variables = &before,
                                            .now_ms = ask->now_ms,
                                            .offset_minutes = change->options.offset_minutes,
                                            .has_offset = true };
        bool closed = false;
        if (!str_equal(lock->type, ask->type) && !str_equal(lock->type, STR("*"))) {
            continue;
        }
        if (lock->asks_hold && !has_read_holds) {
            has_read_holds = true;
            if (!read_holds(change, ask, &hold.value, error)) {
                return false;
            }
        }
        if (!fhirpath_test(lock->when, &context, NULL, &closed, error) ||
            (closed && !add_issue(&context, lock, outcome, error))) {
            return false;
        }
    }
    return true;
}
