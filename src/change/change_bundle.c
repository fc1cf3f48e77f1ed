/* Batch and transaction (R4 3.1.0.11). Entries are done in the standard's order: DELETE, POST, PUT and PATCH, GET and
 * HEAD; ids of what is made are chosen first, so that references between entries are rewritten before anything is
 * written. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "change/bundle.h"
#include "store/body.h"

static enum outcome_language language_of(const struct bundle_run *run)
{
    return run->request->chinese ? OUTCOME_CHINESE : OUTCOME_ENGLISH;
}

/* ---- answers ---- */

static const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "200 OK";
    case 201:
        return "201 Created";
    case 204:
        return "204 No Content";
    case 304:
        return "304 Not Modified";
    case 404:
        return "404 Not Found";
    default:
        return NULL;
    }
}

static struct json *set_response(struct bundle_run *run, struct bundle_entry *entry, int status)
{
    const char *text = status_text(status);
    struct str number = arena_printf(run->arena, "%d", status);
    entry->response = json_new(run->arena, JSON_OBJECT);
    struct json *response = json_add(entry->response, STR("response"), json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, response, STR("status"), text != NULL ? str_from_cstr(text) : number);
    return response;
}

static void answer_error(struct bundle_run *run, struct bundle_entry *entry, const struct error *cause,
                         const struct outcome *outcome)
{
    struct json *response = set_response(run, entry, error_http_status(cause->kind));
    bool told = outcome != NULL && outcome->count > 0;
    (void)json_add(response, STR("outcome"),
                   told ? outcome_to_json(outcome, language_of(run))
                        : outcome_of_error(run->arena, cause, language_of(run)));
}

static bool add_resource(struct bundle_run *run, struct bundle_entry *entry,
                         const struct store_version *version, struct error *error)
{
    const struct access_session *session = run->request->session;
    struct json *resource = NULL;
    if (!run->request->with_resources || version->body.at == NULL) {
        return true;
    }
    if (!change_read_tree(run->arena, version, &resource, error) ||
        (access_masks_type(session, version->type) && !access_mask(session, run->arena, resource, error))) {
        return false;
    }
    return json_add(entry->response, STR("resource"), resource) != NULL || CHANGE_NO_MEMORY(error);
}

static bool answer_version(struct bundle_run *run, struct bundle_entry *entry, int status,
                           const struct store_version *version, struct error *error)
{
    char time[INSTANT_BYTES];
    struct arena *arena = run->arena;
    struct json *response = set_response(run, entry, status);
    if (status == 204) {
        return true;
    }
    (void)instant_format(version->updated_ms, 0, time);
    (void)json_add_text(arena, response, STR("location"),
                        arena_printf(arena, "%.*s/%.*s/_history/%llu", STR_FMT(version->type),
                                     STR_FMT(version->id), (unsigned long long)version->version));
    (void)json_add_text(arena, response, STR("etag"),
                        arena_printf(arena, "W/\"%llu\"", (unsigned long long)version->version));
    (void)json_add_text(arena, response, STR("lastModified"), arena_dup(arena, str_from_cstr(time)));
    return add_resource(run, entry, version, error);
}

static bool answer_write(struct bundle_run *run, struct bundle_entry *entry,
                         const struct change_entry *written, struct error *error)
{
    const struct store_version version = { .type = written->type,
                                           .id = written->result.id,
                                           .version = written->result.version,
                                           .updated_ms = written->result.updated_ms,
                                           .body = written->result.body };
    return answer_version(run, entry, written->result.http_status, &version, error);
}

/* What needed no write: an ifNoneExist with a match, a delete of nothing. */
static bool answer_settled(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    if (entry->verb == BUNDLE_DELETE) {
        return answer_version(run, entry, 204, NULL, error);
    }
    const struct bundle_entry *same = entry->same_as;
    if (same != NULL && same->written != NULL) {
        struct change_entry again = *same->written;
        again.result.http_status = 200;
        return answer_write(run, entry, &again, error);
    }
    return answer_version(run, entry, 200, same != NULL ? &same->existing : &entry->existing, error);
}

/* ---- reading ---- */

/* What the operation answers stands as it would stand alone: a resource, or the outcome of its refusal. */
static bool answer_operation(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct json *resource = NULL;
    struct error cause = { 0 };
    int status = 0;
    const struct json *body = entry->verb == BUNDLE_POST ? entry->resource : NULL;
    if (run->request->operate == NULL) {
        return bundle_refuse(run, entry, ERROR_UNSUPPORTED, "operations are not offered here", error);
    }
    if (!run->request->operate(run->request->read_data, entry->url, body, &resource, &status, &cause)) {
        answer_error(run, entry, &cause, NULL);
        return true;
    }
    struct json *response = set_response(run, entry, status);
    if (resource != NULL && entry->verb != BUNDLE_HEAD) {
        (void)json_add(status >= 400 ? response : entry->response,
                       status >= 400 ? STR("outcome") : STR("resource"), resource);
    }
    return true;
}

static bool answer_get(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    if (entry->is_operation) {
        return answer_operation(run, entry, error);
    }
    struct json *resource = NULL;
    struct error cause = { 0 };
    int status = 0;
    if (run->request->read == NULL) {
        return bundle_refuse(run, entry, ERROR_UNSUPPORTED, "GET is not offered here", error);
    }
    if (!run->request->read(run->request->read_data, run->arena, entry->url, &resource, &status, &cause)) {
        answer_error(run, entry, &cause, NULL);
        return true;
    }
    struct str version = JSON_TEXT(run->arena, JSON_GET(resource, "meta"), "versionId");
    struct str etag = arena_printf(run->arena, "W/\"%.*s\"", STR_FMT(version));
    bool versioned = version.len > 0;
    bool unchanged = versioned && (str_equal(entry->if_none_match, etag) ||
                                   str_equal(entry->if_none_match, str_skip(etag, 2)));
    struct json *response = set_response(run, entry, unchanged ? 304 : status);
    if (versioned) {
        (void)json_add_text(run->arena, response, STR("etag"), etag);
        (void)json_add_text(run->arena, response, STR("lastModified"),
                            JSON_TEXT(run->arena, JSON_GET(resource, "meta"), "lastUpdated"));
    }
    if (!unchanged && entry->verb == BUNDLE_GET) {
        (void)json_add(entry->response, STR("resource"), resource);
    }
    return true;
}

static bool answer_gets(struct bundle_run *run, struct error *error)
{
    for (size_t i = 0; i < run->count; i++) {
        struct bundle_entry *entry = &run->entries[i];
        if (entry->verb >= BUNDLE_GET && entry->response == NULL && !answer_get(run, entry, error)) {
            return false;
        }
    }
    return true;
}

/* ---- writing ---- */

static struct change_entry entry_to_write(const struct bundle_entry *entry)
{
    static const enum change_kind kinds[BUNDLE_VERBS_COUNT] = { [BUNDLE_DELETE] = CHANGE_DELETE,
                                                                [BUNDLE_POST] = CHANGE_CREATE,
                                                                [BUNDLE_PUT] = CHANGE_UPDATE,
                                                                [BUNDLE_PATCH] = CHANGE_UPDATE };
    return (struct change_entry){
        .kind = kinds[entry->verb],
        .type = entry->type,
        .id = entry->id,
        .id_is_ours = entry->id_is_ours,
        .resource = entry->resource,
        .patch = entry->patch,
        .if_match = entry->if_match,
        .if_absent = entry->verb == BUNDLE_PUT && str_equal(entry->if_none_match, STR("*")),
    };
}

/* DELETE, POST, PUT and PATCH, GET and HEAD. */
static int step_of(enum bundle_verb verb)
{
    return verb == BUNDLE_PATCH ? BUNDLE_PUT : verb == BUNDLE_HEAD ? BUNDLE_GET : (int)verb;
}

/* "Condition.code" of entry 3 is Bundle.entry[3].resource.code; what is not about an element is about the entry. */
static struct str path_in_bundle(struct arena *arena, size_t index, struct str type, struct str path)
{
    struct str rest = str_skip(path, type.len);
    bool of_resource =
        str_starts_with(path, type) && (rest.len == 0 || rest.at[0] == '.' || rest.at[0] == '[');
    return path.len > 0 && of_resource
               ? arena_printf(arena, "Bundle.entry[%zu].resource%.*s", index, STR_FMT(rest))
               : arena_printf(arena, "Bundle.entry[%zu]", index);
}

/* The issues of one entry, named as it stands in the bundle. */
static void name_entry(struct bundle_run *run, const struct bundle_entry *entry, const struct change_set *set)
{
    const struct change_entry *refused = &set->entries[set->refused - 1];
    struct outcome *named = ARENA_NEW(run->arena, struct outcome);
    if (named == NULL) {
        return;
    }
    *named = outcome_in(run->arena);
    for (const struct outcome_issue *issue = set->outcome->first; issue != NULL; issue = issue->next) {
        struct outcome_issue copy = *issue;
        copy.next = NULL;
        copy.path = path_in_bundle(run->arena, (size_t)(entry - run->entries), refused->type, issue->path);
        outcome_add(named, copy);
    }
    run->outcome = named;
}

static bool write_transaction(struct bundle_run *run, struct change_entry *writes,
                              struct bundle_entry **sources, struct change_set *set, struct error *error)
{
    for (int step = BUNDLE_DELETE; step < BUNDLE_GET; step++) {
        for (size_t i = 0; i < run->count; i++) {
            struct bundle_entry *entry = &run->entries[i];
            if (step_of(entry->verb) == step && !entry->is_settled) {
                sources[set->entries_count] = entry;
                entry->written = &writes[set->entries_count];
                writes[set->entries_count++] = entry_to_write(entry);
            }
        }
    }
    if (set->entries_count > 0 && !change_apply(run->change, set, error)) {
        run->outcome = set->outcome;
        if (set->refused > 0) {
            name_entry(run, sources[set->refused - 1], set);
        }
        run->lost_race = error->kind == ERROR_PRECONDITION && run->has_conditions;
        return false;
    }
    return true;
}

static bool run_transaction(struct bundle_run *run, struct error *error)
{
    struct change_entry *writes = ARENA_ARRAY(run->arena, struct change_entry, run->count + 1);
    struct bundle_entry **sources = ARENA_ARRAY(run->arena, struct bundle_entry *, run->count + 1);
    struct change_set set = { .arena = run->arena,
                              .session = run->request->session,
                              .route = STR("/fhir"),
                              .operation = STR("transaction"),
                              .entries = writes,
                              .may_repeat = true };
    if (writes == NULL || sources == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    if (!bundle_settle(run, error)) {
        return false;
    }
    for (size_t i = 0; i < run->count; i++) {
        if (!bundle_rewrite(run, &run->entries[i], error)) {
            return false;
        }
    }
    set.conditions = run->conditions;
    set.conditions_count = run->conditions_count;
    if (!write_transaction(run, writes, sources, &set, error)) {
        return false;
    }
    for (size_t i = 0; i < set.entries_count; i++) {
        if (!answer_write(run, sources[i], &writes[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < run->count; i++) {
        struct bundle_entry *entry = &run->entries[i];
        if (entry->is_settled && !answer_settled(run, entry, error)) {
            return false;
        }
    }
    return answer_gets(run, error);
}

/* Each by itself: what is wrong with one is told in its place and harms no other. */
static bool run_batch_entry(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct error cause = entry->error;
    struct outcome own = outcome_in(run->arena);
    struct outcome *outcome = run->outcome;
    if (cause.kind == ERROR_NONE && entry->is_operation && entry->verb == BUNDLE_POST) {
        return answer_operation(run, entry, error);
    }
    run->outcome = &own;
    bool ok = cause.kind == ERROR_NONE && bundle_rewrite(run, entry, &cause);
    run->outcome = outcome;
    if (!ok) {
        answer_error(run, entry, &cause, NULL);
        return true;
    }
    struct change_entry write = entry_to_write(entry);
    if (entry->verb == BUNDLE_POST) {
        write.if_none_exist = entry->condition;
    } else {
        write.condition = entry->condition;
    }
    struct change_set set = { .arena = run->arena,
                              .session = run->request->session,
                              .route = STR("/fhir"),
                              .operation = STR("batch"),
                              .entries = &write,
                              .entries_count = 1,
                              .may_repeat = true };
    if (!change_apply(run->change, &set, &cause)) {
        answer_error(run, entry, &cause, set.outcome);
        return true;
    }
    return answer_write(run, entry, &write, error);
}

static bool run_batch(struct bundle_run *run, struct error *error)
{
    for (int step = BUNDLE_DELETE; step < BUNDLE_GET; step++) {
        for (size_t i = 0; i < run->count; i++) {
            struct bundle_entry *entry = &run->entries[i];
            if (step_of(entry->verb) == step && !run_batch_entry(run, entry, error)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < run->count; i++) {
        if (run->entries[i].verb >= BUNDLE_GET && run->entries[i].error.kind != ERROR_NONE) {
            answer_error(run, &run->entries[i], &run->entries[i].error, NULL);
        }
    }
    return answer_gets(run, error);
}

/* Whether an attempt may have to be made again from what was sent. */
static bool has_search(const struct json *bundle)
{
    JSON_EACH(entry, JSON_GET(bundle, "entry")) {
        const struct json *request = JSON_GET(entry, "request");
        const struct json *url = JSON_GET(request, "url");
        bool search = url != NULL && url->kind == JSON_STRING && str_find_char(url->raw, '?') < url->raw.len;
        bool reads = json_equals_text(JSON_GET(request, "method"), STR("GET"));
        if ((search && !reads) || JSON_GET(request, "ifNoneExist") != NULL) {
            return true;
        }
    }
    return false;
}

static bool run_once(struct bundle_run *run, struct error *error)
{
    run->ids = table_in(run->arena);
    run->outcome = ARENA_NEW(run->arena, struct outcome);
    struct json *bundle = run->request->bundle;
    bundle = has_search(bundle) ? json_copy(run->arena, bundle, false) : bundle;
    if (run->outcome == NULL || bundle == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *run->outcome = outcome_in(run->arena);
    return bundle_read_entries(run, bundle, error) &&
           (run->is_transaction ? run_transaction(run, error) : run_batch(run, error));
}

static struct json *response_bundle(const struct bundle_run *run)
{
    struct json *bundle = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, bundle, STR("resourceType"), STR("Bundle"));
    (void)json_add_text(run->arena, bundle, STR("type"),
                        run->is_transaction ? STR("transaction-response") : STR("batch-response"));
    struct json *entries = json_new(run->arena, JSON_ARRAY);
    for (size_t i = 0; i < run->count; i++) {
        (void)json_append(entries, run->entries[i].response);
    }
    if (run->count > 0) {
        (void)json_add(bundle, STR("entry"), entries);
    }
    return bundle;
}

/* Searches in place of ids may have other matches when the writer looks: then all is read and settled anew. */
bool change_bundle(struct change *change, const struct change_bundle *request, struct json **response,
                   struct outcome **outcome, struct error *error)
{
    struct bundle_run run = { 0 };
    struct error cause = { 0 };
    bool ok = false;
    for (int attempt = 0; attempt < CHANGE_ATTEMPTS && !ok; attempt++) {
        run = (struct bundle_run){ .change = change, .request = request, .arena = request->arena };
        cause = (struct error){ 0 };
        ok = run_once(&run, &cause);
        if (!run.lost_race) {
            break;
        }
    }
    *outcome = run.outcome;
    if (!ok) {
        if (run.outcome != NULL && run.outcome->errors_count == 0) {
            outcome_add_error(run.outcome, &cause);
        }
        if (error != NULL) {
            *error = cause;
        }
        return false;
    }
    *response = response_bundle(&run);
    return *response != NULL || CHANGE_NO_MEMORY(error);
}
