/* One run: variables, the context that the file names (read when an expression first needs it), and the
 * resources that were touched, each once. */
#include "workflow/workflow_internal.h"

#include <assert.h>

#include "http/query.h"

enum { CONTEXT_DEPTH_MAX = 8 };

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool workflow_bind(struct workflow_run *run, struct str name, struct fhirpath_collection value)
{
    struct fhirpath_variable *variable = ARENA_NEW(run->arena, struct fhirpath_variable);
    if (variable == NULL) {
        return false;
    }
    *variable = (struct fhirpath_variable){ .next = run->variables, .name = name, .value = value };
    run->variables = variable;
    run->context.variables = variable;
    return true;
}

static bool bind_item(struct workflow_run *run, struct str name, struct fhirpath_item item)
{
    struct fhirpath_item *kept = ARENA_NEW(run->arena, struct fhirpath_item);
    if (kept == NULL) {
        return false;
    }
    *kept = item;
    return workflow_bind(run, name, (struct fhirpath_collection){ .items = kept, .count = 1 });
}

bool workflow_bind_json(struct workflow_run *run, struct str name, const struct json *value)
{
    if (value == NULL) {
        return workflow_bind(run, name, (struct fhirpath_collection){ 0 });
    }
    return bind_item(run, name, fhirpath_item_of_resource(value));
}

static bool bind_text(struct workflow_run *run, struct str name, struct str text)
{
    if (text.at == NULL) {
        return workflow_bind(run, name, (struct fhirpath_collection){ 0 });
    }
    return bind_item(run, name, fhirpath_item_of_string(text));
}

struct workflow_write *workflow_touched(const struct workflow_run *run, const struct json *tree)
{
    struct workflow_write *write = run->resources;
    while (write != NULL && write->resource != tree) {
        write = write->next;
    }
    return write;
}

struct workflow_write *workflow_touched_reference(const struct workflow_run *run, struct str reference)
{
    for (struct workflow_write *write = run->resources; write != NULL; write = write->next) {
        bool same = reference.len == write->type.len + 1 + write->id.len &&
                    str_starts_with(reference, write->type) && reference.at[write->type.len] == '/' &&
                    str_ends_with(reference, write->id);
        if (same) {
            return write;
        }
    }
    return NULL;
}

struct workflow_write *workflow_touch(struct workflow_run *run, struct json *tree, bool made)
{
    struct workflow_write *write = ARENA_NEW(run->arena, struct workflow_write);
    if (write == NULL || tree == NULL) {
        return NULL;
    }
    *write = (struct workflow_write){
        .resource = tree,
        .type = JSON_TEXT(run->arena, tree, "resourceType"),
        .id = JSON_TEXT(run->arena, tree, "id"),
        .version = made ? STR_NONE : JSON_TEXT(run->arena, JSON_GET(tree, "meta"), "versionId"),
        .changed = made,
    };
    if (run->resources_last == NULL) {
        run->resources = write;
    } else {
        run->resources_last->next = write;
    }
    run->resources_last = write;
    return write;
}

bool workflow_read(struct workflow_run *run, struct str reference, struct workflow_write **found,
                   struct error *error)
{
    *found = workflow_touched_reference(run, reference);
    if (*found != NULL) {
        return true;
    }
    struct json *tree = NULL;
    const struct workflow_host *host = run->request->host;
    if (!host->read(host->data, run->arena, reference, &tree, error)) {
        return false;
    }
    if (tree != NULL) {
        *found = workflow_touch(run, tree, false);
        return *found != NULL || WORKFLOW_NO_MEMORY(error);
    }
    return true;
}

/* A collection of resources in the arena, filled one by one. */
struct gathered {
    struct fhirpath_item *items;
    size_t count;
    size_t capacity;
};

static bool gather(struct workflow_run *run, struct gathered *list, const struct workflow_write *write)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct fhirpath_item *items = ARENA_ARRAY(run->arena, struct fhirpath_item, capacity);
        if (items == NULL) {
            return false;
        }
        for (size_t i = 0; i < list->count; i++) {
            items[i] = list->items[i];
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = fhirpath_item_of_resource(write->resource);
    return true;
}

static bool load_by_reference(struct workflow_run *run, struct str expression, struct gathered *list,
                              struct error *error)
{
    struct fhirpath_collection references = { 0 };
    if (!workflow_evaluate(run, expression, NULL, &references, error)) {
        return false;
    }
    for (size_t i = 0; i < references.count; i++) {
        struct workflow_write *found = NULL;
        struct str reference = fhirpath_item_text(run->arena, &references.items[i]);
        if (reference.at == NULL) {
            continue;
        }
        if (!workflow_read(run, reference, &found, error)) {
            return false;
        }
        if (found != NULL && !gather(run, list, found)) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    return true;
}

/* "Type?a={expression}" with each expression replaced by its text, percent-encoded. *complete is false when one is empty:
 * then nothing can be found and the search is not asked. */
static bool fill_query(struct workflow_run *run, struct str template, struct str *query, bool *complete,
                       struct error *error)
{
    struct buf buf = { .bytes_max = 4096 };
    bool ok = true;
    *complete = true;
    for (struct str rest = template; ok && rest.len > 0;) {
        size_t open = str_find_char(rest, '{');
        buf_add(&buf, str_slice(rest, 0, open));
        rest = str_skip(rest, open + 1);
        if (open == rest.len + open) {
            break;
        }
        size_t close = str_find_char(rest, '}');
        struct fhirpath_collection value = { 0 };
        ok = workflow_evaluate(run, str_slice(rest, 0, close), NULL, &value, error);
        struct str text = ok && value.count > 0 ? fhirpath_item_text(run->arena, &value.items[0]) : STR_NONE;
        *complete = *complete && text.at != NULL;
        percent_encode(&buf, text);
        rest = str_skip(rest, close + 1);
    }
    *query = ok ? arena_dup(run->arena, buf_str(&buf)) : STR_NONE;
    ok = ok && (query->at != NULL || WORKFLOW_NO_MEMORY(error));
    buf_deinit(&buf);
    return ok;
}

/* Whose records an entry means: its `custodian`, references to organisations. */
static bool fill_keepers(struct workflow_run *run, const struct json *entry, struct workflow_query *query,
                         struct error *error)
{
    struct str expression = JSON_TEXT(run->arena, entry, "custodian");
    struct fhirpath_collection value = { 0 };
    if (expression.at == NULL) {
        return true;
    }
    if (!workflow_evaluate(run, expression, NULL, &value, error)) {
        return false;
    }
    struct str *keepers = ARENA_ARRAY(run->arena, struct str, value.count + 1);
    for (size_t i = 0; keepers != NULL && i < value.count; i++) {
        keepers[i] = fhirpath_item_text(run->arena, &value.items[i]);
    }
    query->kept = true;
    query->keepers = keepers;
    query->keepers_count = value.count;
    return keepers != NULL || WORKFLOW_NO_MEMORY(error);
}

static bool load_by_search(struct workflow_run *run, const struct json *entry, struct gathered *list,
                           struct error *error)
{
    struct workflow_query query = { 0 };
    bool complete = false;
    if (!fill_query(run, JSON_TEXT(run->arena, entry, "search"), &query.text, &complete, error) ||
        !fill_keepers(run, entry, &query, error)) {
        return false;
    }
    struct workflow_list hits = { 0 };
    const struct workflow_host *host = run->request->host;
    if (!complete) {
        return true;
    }
    if (!host->search(host->data, run->arena, &query, &hits, error)) {
        return false;
    }
    for (size_t i = 0; i < hits.count; i++) {
        struct str reference = arena_printf(run->arena, "%.*s/%.*s",
                                            STR_FMT(JSON_TEXT(run->arena, hits.items[i], "resourceType")),
                                            STR_FMT(JSON_TEXT(run->arena, hits.items[i], "id")));
        struct workflow_write *write = workflow_touched_reference(run, reference);
        if (write == NULL) {
            write = workflow_touch(run, hits.items[i], false);
        }
        if (write == NULL || !gather(run, list, write)) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    return true;
}

/* Keeps the resources of a context entry that its `where` accepts. */
static bool filter_where(struct workflow_run *run, struct str where, struct gathered *list,
                         struct error *error)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct fhirpath_collection result = { 0 };
        bool holds = false;
        if (!workflow_evaluate(run, where, &list->items[i], &result, error) ||
            !fhirpath_to_boolean(&result, &holds, error)) {
            return false;
        }
        if (holds) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
    return true;
}

static bool load_context(struct workflow_run *run, const struct json *entry, struct error *error)
{
    struct str search = JSON_TEXT(run->arena, entry, "search");
    struct str read = JSON_TEXT(run->arena, entry, "read");
    struct str value = JSON_TEXT(run->arena, entry, "value");
    struct str where = JSON_TEXT(run->arena, entry, "where");
    struct gathered list = { 0 };
    struct fhirpath_collection result = { 0 };
    if (++run->depth > CONTEXT_DEPTH_MAX) {
        return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: context entries need each other in a circle",
                    STR_FMT(run->machine->code));
    }
    bool ok = search.at != NULL ? load_by_search(run, entry, &list, error)
              : read.at != NULL ? load_by_reference(run, read, &list, error)
                                : workflow_evaluate(run, value, NULL, &result, error);
    if (ok && where.at != NULL) {
        ok = filter_where(run, where, &list, error);
    }
    run->depth--;
    if (!ok) {
        return false;
    }
    if (value.at == NULL) {
        result = (struct fhirpath_collection){ .items = list.items, .count = list.count };
    }
    return workflow_bind(run, entry->name, result) || WORKFLOW_NO_MEMORY(error);
}

static bool is_bound(const struct workflow_run *run, struct str name)
{
    const struct fhirpath_variable *variable = run->variables;
    while (variable != NULL && !str_equal(variable->name, name)) {
        variable = variable->next;
    }
    return variable != NULL;
}

/* Loads each context entry that the expression names as %name. A name that is not there yet but that an
 * effect will bind is empty until then (`unless: %encounter.exists()`). */
static bool load_named(struct workflow_run *run, struct str expression, struct error *error)
{
    for (size_t at = 0; at < expression.len; at++) {
        if (expression.at[at] != '%') {
            continue;
        }
        size_t end = at + 1;
        while (end < expression.len && is_name_char(expression.at[end])) {
            end++;
        }
        struct str name = str_slice(expression, at + 1, end);
        if (name.len == 0 || is_bound(run, name)) {
            continue;
        }
        const struct json *entry = json_member(run->machine->context, name);
        bool ok = entry != NULL ? load_context(run, entry, error)
                                : workflow_bind(run, name, (struct fhirpath_collection){ 0 });
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool workflow_evaluate(struct workflow_run *run, struct str expression, const struct fhirpath_item *input,
                       struct fhirpath_collection *result, struct error *error)
{
    const struct fhirpath *compiled = table_get(&run->machine->expressions, expression);
    if (compiled == NULL) {
        return FAIL(error, ERROR_INTERNAL, "workflow %.*s: an expression was not compiled at load",
                    STR_FMT(run->machine->code));
    }
    struct error cause = { 0 };
    if (!load_named(run, expression, error)) {
        return false;
    }
    if (!fhirpath_evaluate(compiled, &run->context, input, result, &cause)) {
        return FAIL(error, ERROR_INTERNAL, "workflow %.*s: '%.*s': %.90s", STR_FMT(run->machine->code),
                    STR_FMT(str_slice(expression, 0, 50)), cause.text);
    }
    return true;
}

bool workflow_test(struct workflow_run *run, struct str expression, bool *holds, struct error *error)
{
    struct fhirpath_collection result = { 0 };
    return workflow_evaluate(run, expression, NULL, &result, error) &&
           fhirpath_to_boolean(&result, holds, error);
}

/* "HZ20261122-7A3F2": short enough to be said on the phone; the tail is random (UUIDv7). */
static struct str consult_number(struct workflow_run *run)
{
    char now[INSTANT_BYTES];
    (void)instant_format(run->request->now_ms, run->request->offset_minutes, now);
    struct str id = JSON_TEXT(run->arena, run->request->task, "id");
    struct str tail = str_skip(id, id.len > 5 ? id.len - 5 : 0);
    struct str number = arena_printf(run->arena, "HZ%.4s%.2s%.2s-%.*s", now, now + 5, now + 8, STR_FMT(tail));
    char *at = number.at == NULL ? NULL : arena_cstr(run->arena, number);
    for (size_t i = 0; at != NULL && i < number.len; i++) {
        at[i] = at[i] >= 'a' && at[i] <= 'z' ? (char)(at[i] - 32) : at[i];
    }
    return (struct str){ at, at == NULL ? 0 : number.len };
}

static bool bind_actor(struct workflow_run *run)
{
    const struct workflow_actor *actor = run->request->actor;
    struct fhirpath_collection now = { 0 };
    const struct fhirpath *expression = table_get(&run->machine->expressions, STR("now()"));
    return fhirpath_evaluate(expression, &run->context, NULL, &now, NULL) &&
           workflow_bind(run, STR("now"), now) && bind_text(run, STR("postReference"), actor->post) &&
           bind_text(run, STR("organizationReference"), actor->organization) &&
           bind_text(run, STR("personReference"), actor->person) &&
           bind_text(run, STR("role"), actor->role) &&
           bind_text(run, STR("state"), workflow_state_of(run->request->task)) &&
           bind_text(run, STR("number"), consult_number(run));
}

bool workflow_run_begin(struct workflow_run *run, const struct workflow_request *request, struct arena *arena,
                        struct error *error)
{
    assert(request->machine != NULL);
    *run = (struct workflow_run){ .request = request, .machine = request->machine, .arena = arena };
    run->context = (struct fhirpath_context){
        .arena = arena,
        .now_ms = request->now_ms,
        .offset_minutes = request->offset_minutes,
        .has_offset = true,
    };
    struct workflow_write *task = workflow_touch(run, request->task, false);
    struct str focus = JSON_TEXT(arena, JSON_GET(request->task, "focus"), "reference");
    if (task == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    struct workflow_write *focus_write = NULL;
    if (focus.at == NULL || !workflow_read(run, focus, &focus_write, error)) {
        return focus.at == NULL ? FAIL(error, ERROR_RULE, "the Task has no focus") : false;
    }
    if (focus_write == NULL) {
        return FAIL(error, ERROR_RULE, "what the Task is about is no longer there");
    }
    bool bound = workflow_bind_json(run, STR("task"), request->task) &&
                 workflow_bind_json(run, STR("focus"), focus_write->resource) && bind_actor(run);
    return bound || WORKFLOW_NO_MEMORY(error);
}
