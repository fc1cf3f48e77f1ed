/* change_entry.c — one entry of a set becomes one write. The order of questions: is the type known, may the role do this
 * at all (403), is the resource valid (400), what was there before and may it be seen (404), do workflow and locks allow
 * it (422), may this instance be written (403). */
#include "base/hash.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "change/change_internal.h"
#include "fhir/index.h"
#include "fhir/validate.h"
#include "fhir/validation.h"
#include "model/model.h"
#include "store/body.h"
#include "store/search.h"
#include "view/view_set.h"
#include "workflow/workflow.h"

enum access_interaction change_interaction(enum change_kind kind)
{
    switch (kind) {
    case CHANGE_CREATE:
        return ACCESS_CREATE;
    case CHANGE_UPDATE:
        return ACCESS_UPDATE;
    case CHANGE_DELETE:
        return ACCESS_DELETE;
    }
    return ACCESS_UPDATE;
}

/* R4 2.24.0.1 id: [A-Za-z0-9\-\.]{1,64} */
static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.';
        if (!allowed) {
            return false;
        }
    }
    return id.len >= 1 && id.len <= 64;
}

static bool validate_entry(const struct preparing *at, const struct change_entry *entry, struct error *error)
{
    const struct change_options *change = &at->change->options;
    struct validate_options options = { .type = entry->type };
    const struct validation_options full = { .type = entry->type, .source = &at->change->profiles };
    if (entry->resource == NULL) {
        return entry->kind == CHANGE_DELETE || FAIL(error, ERROR_STRUCTURE, "a resource was expected");
    }
    bool in_full = change->validator != NULL && !at->set->by_workflow &&
                   (change->validate_full || validation_has_claim(entry->resource));
    bool valid = in_full ? validation_check(change->validator, entry->resource, &full, at->set->outcome)
                         : validate_resource(entry->resource, &options, at->set->outcome);
    if (!valid) {
        return FAIL(error, ERROR_STRUCTURE, "the resource is not valid R4");
    }
    struct str own_id = JSON_TEXT(at->set->arena, entry->resource, "id");
    bool named = entry->kind == CHANGE_UPDATE && entry->id.at != NULL && own_id.at != NULL;
    if (named && !str_equal(own_id, entry->id)) {
        return FAIL(error, ERROR_INPUT, "the id in the resource is not the id in the URL");
    }
    return true;
}

/* Ids of this form are the server's to give: a client's own names are of another. Else a PUT to a guessed id would tell by
 * 404 or 201 whether somebody has it (docs/rights.md). */
static bool may_name(const struct change_set *set, const struct change_entry *entry)
{
    return set->by_workflow || set->brings_ids || set->session->means == ACCESS_BY_MACHINE ||
           entry->id_is_ours || !uuid_is_v7(entry->id);
}

/* One text for what is not there and for what is not to be seen. */
static bool no_such(const struct change_entry *entry, struct error *error)
{
    return FAIL(error, ERROR_NOT_FOUND, "there is no such %.*s", STR_FMT(entry->type));
}

/* The stored version, for updates and deletes. Unseen is absent: a delete of it answers like one of what never was
 * (R4 3.1.0.7) and does nothing. */
static bool read_previous(const struct preparing *at, const struct change_entry *entry,
                          struct store_version *previous, struct json **tree, struct error *error)
{
    bool seen = true;
    *tree = NULL;
    if (entry->kind == CHANGE_CREATE) {
        *previous = (struct store_version){ 0 };
        return true;
    }
    if (!change_read_current(at->reader, at->set->arena, entry->type, entry->id, previous, error)) {
        return false;
    }
    if (previous->type.at == NULL) {
        return entry->kind == CHANGE_DELETE || may_name(at->set, entry) || no_such(entry, error);
    }
    if (!at->set->by_workflow && !store_matches(at->reader, previous, at->read_filter, &seen, error)) {
        return false;
    }
    if (!seen) {
        return entry->kind == CHANGE_DELETE || no_such(entry, error);
    }
    return change_read_tree(at->set->arena, previous, tree, error);
}

static bool check_workflow(const struct preparing *at, const struct change_entry *entry,
                           const struct json *previous, struct error *error)
{
    const struct workflow_set *workflows = at->change->options.workflows;
    if (at->set->by_workflow || !str_equal(entry->type, STR("Task"))) {
        return true;
    }
    const struct workflow_machine *before = workflow_of_task(workflows, previous);
    const struct workflow_machine *after = workflow_of_task(workflows, entry->resource);
    if (entry->kind == CHANGE_DELETE && before != NULL) {
        return FAIL(error, ERROR_RULE, "a Task with a workflow is not deleted; cancel it");
    }
    if (previous == NULL) {
        return after == NULL || workflow_check_new(after, entry->resource, at->set->session->role, error);
    }
    if (before != after) {
        return FAIL(error, ERROR_RULE, "the workflow of a Task cannot be changed");
    }
    return before == NULL || workflow_check_update(before, previous, entry->resource, error);
}

static bool ask_guard(const struct preparing *at, const struct change_entry *entry, struct error *error)
{
    const struct change_guard *guard = &at->change->options.guard;
    bool asked = guard->type != NULL && entry->resource != NULL && str_equal_cstr(entry->type, guard->type) &&
                 at->set->session->means != ACCESS_BY_MACHINE;
    return !asked || guard->allow(guard->data, at->set->arena, at->set->session, entry->resource, error);
}

static bool check_rights(const struct preparing *at, const struct change_entry *entry,
                         const struct store_version *previous, const struct json *tree, struct error *error)
{
    struct change_set *set = at->set;

    if (set->by_workflow) {
        return true;
    }
    const struct change_lock_ask ask = { .reader = at->reader,
                                         .arena = set->arena,
                                         .type = entry->type,
                                         .previous = tree,
                                         .resource = entry->resource,
                                         .by_machine = set->session->means == ACCESS_BY_MACHINE,
                                         .now_ms = at->now_ms,
                                         .asks_hold = at->asks_hold };
    if (!change_check_locks(at->change, &ask, set->outcome, error)) {
        return false;
    }
    if (set->outcome->errors_count > 0) {
        return FAIL(error, ERROR_RULE, "the record cannot be written in this way");
    }
    struct access_write write = {
        .act = { .interaction = tree == NULL ? ACCESS_CREATE : change_interaction(entry->kind),
                 .type = entry->type },
        .resource = entry->resource,
        .previous = tree,
        .previous_version = tree == NULL ? NULL : previous,
        .created = &at->written,
        .reader = at->reader,
        .now_ms = at->now_ms,
    };
    return access_may_write(set->session, &write, set->arena, error);
}

static bool precondition_of(const struct change_entry *entry, const struct store_version *previous,
                            struct store_write *write, struct error *error)
{
    uint64_t version = 0;
    if (entry->if_match.at == NULL) {
        write->expect = entry->kind == CHANGE_CREATE || previous->type.at == NULL ? STORE_EXPECT_ABSENT
                                                                                  : STORE_EXPECT_VERSION;
        write->version = previous->version;
        return true;
    }
    if (!parse_uint64(entry->if_match, UINT64_MAX, &version)) {
        return FAIL(error, ERROR_INPUT, "If-Match wants a version as in W/\"3\"");
    }
    if (previous->type.at == NULL || previous->version != version) {
        return FAIL(error, ERROR_PRECONDITION, "the record has changed meanwhile: read it again");
    }
    write->expect = STORE_EXPECT_VERSION;
    write->version = version;
    return true;
}

static bool index_entry(const struct preparing *at, const struct change_entry *entry,
                        struct store_write *write, struct error *error)
{
    struct arena *arena = at->set->arena;
    struct store_view_rows *view_rows = NULL;
    if (entry->kind != CHANGE_DELETE) {
        struct index_rows *rows = ARENA_NEW(arena, struct index_rows);
        if (rows == NULL) {
            return CHANGE_NO_MEMORY(error);
        }
        if (!fhir_index_rows(at->change->options.index, arena, entry->resource, rows, error)) {
            return false;
        }
        write->index = rows;
    }
    if (at->change->options.views != NULL &&
        !view_set_rows(at->change->options.views, arena, entry->type, entry->resource, &view_rows,
                       &write->view_rows_count, error)) {
        return false;
    }
    write->view_rows = view_rows;
    return true;
}

/* An app writes only what its scopes name, also by what is in it. */
static bool check_scopes(const struct preparing *at, const struct change_entry *entry,
                         const struct store_write *write, struct error *error)
{
    const struct access_act act = { .interaction =
                                        write->method == STORE_METHOD_CREATED ? ACCESS_CREATE : ACCESS_UPDATE,
                                    .type = entry->type };
    if (at->set->by_workflow || entry->kind == CHANGE_DELETE) {
        return true;
    }
    const struct search_subject subject = { .type = entry->type,
                                            .id = entry->id,
                                            .updated_ms = at->now_ms,
                                            .rows = write->index->rows,
                                            .rows_count = write->index->count };
    return access_may_keep(at->set->session, act, &subject, error);
}

static bool fill_write(const struct preparing *at, struct change_entry *entry,
                       const struct store_version *previous, struct store_write *write, struct error *error)
{
    const struct access_session *session = at->set->session;
    static const enum store_method methods[] = { [CHANGE_CREATE] = STORE_METHOD_CREATED,
                                                 [CHANGE_UPDATE] = STORE_METHOD_UPDATED,
                                                 [CHANGE_DELETE] = STORE_METHOD_DELETED };
    write->type = entry->type;
    write->id = entry->id;
    write->method = entry->kind == CHANGE_UPDATE && previous->type.at == NULL ? STORE_METHOD_CREATED
                                                                              : methods[entry->kind];
    if (!precondition_of(entry, previous, write, error)) {
        return false;
    }
    const struct str organization = STR("Organization/");
    bool given = at->set->by_workflow && str_starts_with(entry->custodian, organization);
    struct str keeper = given ? str_skip(entry->custodian, organization.len) : session->organization;
    if (previous->type.at == NULL && keeper.at != NULL) {
        write->custodian = hash_resource_key(STR("Organization"), keeper);
    }
    if (session->means != ACCESS_BY_MACHINE) {
        write->author = hash_resource_key(STR("PractitionerRole"), session->post);
    }
    if (entry->kind != CHANGE_DELETE) {
        (void)json_set(entry->resource, STR("id"), json_new_string(at->set->arena, entry->id));
        if (!store_body_from_json(at->set->arena, entry->resource, &write->body, error)) {
            return false;
        }
        entry->result.body = write->body;
    }
    return index_entry(at, entry, write, error) && check_scopes(at, entry, write, error);
}

static bool add_none_condition(struct preparing *at, const struct change_condition *condition)
{
    at->conditions[at->conditions_count++] = (struct store_condition){ .kind = STORE_CONDITION_QUERY,
                                                                       .type = condition->type,
                                                                       .query = condition->query,
                                                                       .filter = condition->filter };
    return true;
}

/* If-None-Exist: one visible hit is the answer, several are 412, none is a condition for the writer. */
static bool check_none_exists(struct preparing *at, struct change_entry *entry, bool *exists,
                              struct error *error)
{
    struct change_condition condition = {
        .session = at->set->session, .type = entry->type, .text = entry->if_none_exist, .now_ms = at->now_ms
    };
    *exists = false;
    if (entry->if_none_exist.at == NULL) {
        return true;
    }
    if (!change_find(at->change, at->reader, at->set->arena, &condition, error)) {
        return false;
    }
    if (condition.hit.type.at == NULL) {
        return add_none_condition(at, &condition);
    }
    entry->result.id = condition.hit.id;
    entry->result.version = condition.hit.version;
    entry->result.updated_ms = condition.hit.updated_ms;
    entry->result.http_status = 200;
    entry->result.body = condition.hit.body;
    *exists = true;
    return true;
}

/* R4 3.1.0.4.3: a conditional update without a match makes the resource, under its own id if it has one; with a
 * match it must not name another id. R4 3.1.0.7.1: a conditional delete of nothing is done. */
static bool find_by_condition(struct preparing *at, struct change_entry *entry, bool *done,
                              struct error *error)
{
    struct change_condition condition = {
        .session = at->set->session, .type = entry->type, .text = entry->condition, .now_ms = at->now_ms
    };
    if (!change_find(at->change, at->reader, at->set->arena, &condition, error)) {
        return false;
    }
    bool found = condition.hit.type.at != NULL;
    struct str own_id = JSON_TEXT(at->set->arena, entry->resource, "id");
    entry->id = found ? condition.hit.id : own_id;
    if (entry->kind == CHANGE_DELETE) {
        entry->result.http_status = found ? 0 : 204;
        *done = !found;
        return true;
    }
    if (found) {
        return own_id.at == NULL || str_equal(own_id, entry->id) ||
               FAIL(error, ERROR_INPUT, "the resource has another id than the match of the condition");
    }
    return entry->patch == NULL ? add_none_condition(at, &condition)
                                : FAIL(error, ERROR_NOT_FOUND, "the condition has no match");
}

static bool choose_id(const struct preparing *at, struct change_entry *entry, struct error *error)
{
    bool free_to_choose = entry->kind == CHANGE_CREATE || entry->condition.at != NULL;
    if (entry->id.at == NULL && free_to_choose) {
        char id[UUID_TEXT_BYTES];
        if (!uuid_v7(at->now_ms, id, error)) {
            return false;
        }
        entry->id = arena_dup(at->set->arena, str_from_cstr(id));
        entry->id_is_ours = true;
    }
    return is_id(entry->id) || FAIL(error, ERROR_INPUT, "an id has 1 to 64 letters, digits, '-' or '.'");
}

/* The patched resource takes the place of one that was sent. A role that sees something masked would learn it by the
 * tests of a patch. */
static bool patch_entry(const struct preparing *at, struct change_entry *entry, const struct json *stored,
                        struct error *error)
{
    if (stored == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such %.*s", STR_FMT(entry->type));
    }
    if (access_masks_type(at->set->session, entry->type)) {
        return FAIL(error, ERROR_FORBIDDEN, "who sees a %.*s masked cannot change it", STR_FMT(entry->type));
    }
    return change_patch(at->set->arena, stored, entry->patch, &entry->resource, error) &&
           validate_entry(at, entry, error);
}

/* Which resource is meant: its id, what is stored of it, and the content to be written. */
static bool settle_entry(struct preparing *at, struct change_entry *entry, struct store_version *previous,
                         struct json **tree, bool *done, struct error *error)
{
    bool patched = entry->patch != NULL;
    if (!patched && !validate_entry(at, entry, error)) {
        return false;
    }
    if (entry->condition.at != NULL && !find_by_condition(at, entry, done, error)) {
        return false;
    }
    if (*done) {
        return true;
    }
    if (!choose_id(at, entry, error) || !check_none_exists(at, entry, done, error)) {
        return false;
    }
    return *done || (read_previous(at, entry, previous, tree, error) &&
                     (!patched || patch_entry(at, entry, *tree, error)));
}

bool change_prepare_entry(struct preparing *at, struct change_entry *entry, struct store_write *write,
                          bool *needed, struct error *error)
{
    struct store_version previous = { 0 };
    struct json *tree = NULL;
    bool done = false;
    const struct access_act act = { .interaction = change_interaction(entry->kind), .type = entry->type };
    *needed = false;
    if (model_resource_find(entry->type) == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "R4 has no resource type of that name");
    }
    if (!at->set->by_workflow && !access_check(at->set->session, act, error)) {
        return false;
    }
    if (!settle_entry(at, entry, &previous, &tree, &done, error) || done) {
        return done;
    }
    if (entry->kind == CHANGE_DELETE && tree == NULL) {
        entry->result.http_status = 204; /* R4 3.1.0.7: deleting what is not there is no error */
        entry->result.id = entry->id;
        return true;
    }
    if (entry->if_absent && tree != NULL) {
        return FAIL(error, ERROR_PRECONDITION, "the resource exists already");
    }
    if (!check_workflow(at, entry, tree, error) || !ask_guard(at, entry, error) ||
        !check_rights(at, entry, &previous, tree, error)) {
        return false;
    }
    if (at->references != NULL && !change_references_check(at->references, at->reader, entry, error)) {
        return false;
    }
    *needed = true;
    return fill_write(at, entry, &previous, write, error);
}
