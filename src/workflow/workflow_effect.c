/* The kinds of effect: create, patch, grant, revoke, share, sign, document. */
#include "workflow/workflow_internal.h"

#include "base/parse.h"
#include "base/uuid.h"

bool workflow_make(struct workflow_run *run, struct json *resource, struct str as, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    if (resource == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    if (JSON_GET(resource, "id") != NULL) { /* given by the program itself, which refers to it elsewhere */
        bool kept = workflow_touch(run, resource, true) != NULL &&
                    (as.at == NULL || workflow_bind_json(run, as, resource));
        return kept || WORKFLOW_NO_MEMORY(error);
    }
    if (!uuid_v7(run->request->now_ms, id, error)) {
        return false;
    }
    struct str kept = arena_dup(run->arena, str_from_cstr(id));
    if (json_set(resource, STR("id"), json_new_string(run->arena, kept)) == NULL ||
        workflow_touch(run, resource, true) == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    return as.at == NULL || workflow_bind_json(run, as, resource) || WORKFLOW_NO_MEMORY(error);
}

static bool create_one(struct workflow_run *run, const struct json *effect, const struct fhirpath_item *input,
                       struct error *error)
{
    struct json *resource = NULL;
    struct str custodian = JSON_TEXT(run->arena, effect, "custodian");
    struct fhirpath_collection whose = { 0 };
    if (!workflow_expand(run, JSON_GET(effect, "create"), input, &resource, error) ||
        !workflow_make(run, resource, JSON_TEXT(run->arena, effect, "as"), error) ||
        (custodian.at != NULL && !workflow_evaluate(run, custodian, input, &whose, error))) {
        return false;
    }
    if (whose.count > 0) {
        workflow_touched(run, resource)->custodian = fhirpath_item_text(run->arena, &whose.items[0]);
    }
    return true;
}

static bool apply_create(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct str each = JSON_TEXT(run->arena, effect, "$each");
    struct fhirpath_collection items = { 0 };
    if (each.at == NULL) {
        return create_one(run, effect, NULL, error);
    }
    if (!workflow_evaluate(run, each, NULL, &items, error)) {
        return false;
    }
    for (size_t i = 0; i < items.count; i++) {
        if (!create_one(run, effect, &items.items[i], error)) {
            return false;
        }
    }
    return true;
}

/* Trees of a run are its own (workflow_host.read gives fresh ones), so what FHIRPath shows as const may be
 * changed here, and only here. */
static struct json *own_tree(const struct json *value)
{
    return (struct json *)(uintptr_t)value;
}

static bool patch_node(struct workflow_run *run, struct json *node, const struct json *effect,
                       const struct fhirpath_item *input, struct error *error)
{
    JSON_EACH(member, JSON_GET(effect, "set")) {
        struct json *value = NULL;
        if (!workflow_expand(run, member, input, &value, error)) {
            return false;
        }
        if (value != NULL && json_set(node, member->name, value) == NULL) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    JSON_EACH(member, JSON_GET(effect, "append")) {
        struct json *value = NULL;
        if (!workflow_expand(run, member, input, &value, error)) {
            return false;
        }
        struct json *array = json_member(node, member->name);
        if (array == NULL) {
            array = json_add(node, member->name, json_new(run->arena, JSON_ARRAY));
        }
        if (value != NULL && json_append(array, value) == NULL) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    return true;
}

static bool patch_resource(struct workflow_run *run, struct workflow_write *write, const struct json *effect,
                           struct error *error)
{
    struct fhirpath_item root = fhirpath_item_of_resource(write->resource);
    struct str at = JSON_TEXT(run->arena, effect, "at");
    write->changed = true;
    if (at.at == NULL) {
        return patch_node(run, write->resource, effect, &root, error);
    }
    struct fhirpath_collection nodes = { 0 };
    if (!workflow_evaluate(run, at, &root, &nodes, error)) {
        return false;
    }
    for (size_t i = 0; i < nodes.count; i++) {
        const struct fhirpath_item *item = &nodes.items[i];
        bool is_object =
            item->kind == FHIRPATH_NODE && item->node.value != NULL && item->node.value->kind == JSON_OBJECT;
        if (is_object && !patch_node(run, own_tree(item->node.value), effect, item, error)) {
            return false;
        }
    }
    return true;
}

static bool apply_patch(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct fhirpath_collection targets = { 0 };
    if (!workflow_evaluate(run, JSON_TEXT(run->arena, effect, "patch"), NULL, &targets, error)) {
        return false;
    }
    if (targets.count == 0) {
        return FAIL(error, ERROR_INTERNAL, "workflow %.*s: a patch has no target",
                    STR_FMT(run->machine->code));
    }
    for (size_t i = 0; i < targets.count; i++) {
        struct workflow_write *write = workflow_touched(run, targets.items[i].node.value);
        if (write == NULL) {
            return FAIL(error, ERROR_INTERNAL, "workflow %.*s: a patch must name whole resources",
                        STR_FMT(run->machine->code));
        }
        if (!patch_resource(run, write, effect, error)) {
            return false;
        }
    }
    return true;
}

static bool add_grant(struct workflow_run *run, struct workflow_grant wanted, struct error *error)
{
    for (const struct workflow_grant *grant = run->plan->grants; grant != NULL; grant = grant->next) {
        if (str_equal(grant->reference, wanted.reference) && str_equal(grant->principal, wanted.principal)) {
            return true;
        }
    }
    struct workflow_grant *grant = ARENA_NEW(run->arena, struct workflow_grant);
    if (grant == NULL || wanted.reference.at == NULL || wanted.principal.at == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    *grant = wanted;
    grant->next = run->plan->grants;
    run->plan->grants = grant;
    return true;
}

/* `until`: a FHIRPath time at which the grant ends by itself. It must be there: never an open end by accident. */
static bool read_until(struct workflow_run *run, const struct json *effect, int64_t *until_ms,
                       struct error *error)
{
    struct str expression = JSON_TEXT(run->arena, effect, "until");
    struct fhirpath_collection found = { 0 };
    struct date_span span = { 0 };
    *until_ms = 0;
    if (expression.at == NULL) {
        return true;
    }
    if (!workflow_evaluate(run, expression, NULL, &found, error)) {
        return false;
    }
    struct str text = found.count == 1 ? fhirpath_item_text(run->arena, &found.items[0]) : STR_NONE;
    if (text.at == NULL || !date_parse(text, run->request->offset_minutes, &span, NULL)) {
        return FAIL(error, ERROR_INTERNAL, "workflow %.*s: 'until' is no time", STR_FMT(run->machine->code));
    }
    *until_ms = span.from_ms;
    return true;
}

static bool apply_grant(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct fhirpath_collection references = { 0 };
    struct fhirpath_collection principals = { 0 };
    if (!workflow_evaluate(run, JSON_TEXT(run->arena, effect, "grant"), NULL, &references, error) ||
        !workflow_evaluate(run, JSON_TEXT(run->arena, effect, "to"), NULL, &principals, error)) {
        return false;
    }
    struct workflow_grant wanted = { .lasting = json_is_true(JSON_GET(effect, "lasting")) };
    if (!read_until(run, effect, &wanted.until_ms, error)) {
        return false;
    }
    for (size_t i = 0; i < references.count; i++) {
        wanted.reference = fhirpath_item_text(run->arena, &references.items[i]);
        for (size_t k = 0; wanted.reference.at != NULL && k < principals.count; k++) {
            wanted.principal = fhirpath_item_text(run->arena, &principals.items[k]);
            if (wanted.principal.at != NULL && !add_grant(run, wanted, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool add_revoke(struct workflow_run *run, struct str principal, struct error *error)
{
    struct workflow_revoke *revoke = ARENA_NEW(run->arena, struct workflow_revoke);
    if (revoke == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    *revoke = (struct workflow_revoke){ .next = run->plan->revokes, .principal = principal };
    run->plan->revokes = revoke;
    return true;
}

/* "all", or whom the expression names: nobody named, nothing may end by accident. */
static bool apply_revoke(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct str what = JSON_TEXT(run->arena, effect, "revoke");
    struct fhirpath_collection principals = { 0 };
    if (str_equal(what, STR("all"))) {
        return add_revoke(run, STR_NONE, error);
    }
    if (!workflow_evaluate(run, what, NULL, &principals, error)) {
        return false;
    }
    for (size_t i = 0; i < principals.count; i++) {
        struct str principal = fhirpath_item_text(run->arena, &principals.items[i]);
        if (principal.at != NULL && !add_revoke(run, principal, error)) {
            return false;
        }
    }
    return true;
}

/* Opens resources to whoever another one is open to: a measurement follows its study into the consult. */
static bool apply_share(struct workflow_run *run, const struct json *effect, struct error *error)
{
    struct fhirpath_collection references = { 0 };
    struct fhirpath_collection like = { 0 };
    const struct workflow_host *host = run->request->host;
    if (!workflow_evaluate(run, JSON_TEXT(run->arena, effect, "share"), NULL, &references, error) ||
        !workflow_evaluate(run, JSON_TEXT(run->arena, effect, "like"), NULL, &like, error)) {
        return false;
    }
    for (size_t i = 0; i < like.count; i++) {
        struct str *principals = NULL;
        size_t count = 0;
        struct str model = fhirpath_item_text(run->arena, &like.items[i]);
        if (!host->principals(host->data, run->arena, model, &principals, &count, error)) {
            return false;
        }
        for (size_t k = 0; k < references.count * count; k++) {
            struct workflow_grant wanted = { .reference =
                                                 fhirpath_item_text(run->arena, &references.items[k / count]),
                                             .principal = principals[k % count] };
            if (!add_grant(run, wanted, error)) {
                return false;
            }
        }
    }
    return true;
}

/* Whether `when` holds and `unless` does not. */
static bool effect_applies(struct workflow_run *run, const struct json *effect, bool *applies,
                           struct error *error)
{
    struct str when = JSON_TEXT(run->arena, effect, "when");
    struct str unless = JSON_TEXT(run->arena, effect, "unless");
    bool holds = true;
    bool refused = false;
    if ((when.at != NULL && !workflow_test(run, when, &holds, error)) ||
        (unless.at != NULL && !workflow_test(run, unless, &refused, error))) {
        return false;
    }
    *applies = holds && !refused;
    return true;
}

bool workflow_apply(struct workflow_run *run, const struct json *effect, struct error *error)
{
    static const struct {
        const char *name;
        bool (*apply)(struct workflow_run *run, const struct json *effect, struct error *error);
    } kinds[] = {
        { "create", apply_create },
        { "patch", apply_patch },
        { "grant", apply_grant },
        { "revoke", apply_revoke },
        { "share", apply_share },
        { "sign", workflow_sign_resource },
        { "document", workflow_make_document },
    };
    bool applies = false;
    if (!effect_applies(run, effect, &applies, error)) {
        return false;
    }
    for (size_t i = 0; applies && i < sizeof kinds / sizeof *kinds; i++) {
        if (json_member(effect, str_from_cstr(kinds[i].name)) != NULL) {
            return kinds[i].apply(run, effect, error);
        }
    }
    return true;
}
