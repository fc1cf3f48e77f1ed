/* Batch and transaction (R4 3.1.0.11). Entries are done in the standard's order: DELETE, POST, PUT, GET; ids of
 * what is made are chosen first, so that references between entries are rewritten before anything is written. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/table.h"
#include "base/uuid.h"
#include "change/change_internal.h"
#include "fhir/search_query.h"
#include "store/body.h"
#include "store/search.h"

enum verb { VERB_DELETE, VERB_POST, VERB_PUT, VERB_GET, VERBS_COUNT };

struct bundle_entry {
    const struct json *entry; /* in the request */
    struct json *resource;
    enum verb verb;
    struct str url;
    struct str type;
    struct str id;
    struct str if_match;
    struct str if_none_exist;
    struct json *response; /* the answer's entry */
};

struct bundle_run {
    struct change *change;
    const struct change_bundle *request;
    struct arena *arena;
    struct bundle_entry *entries;
    size_t count;
    bool is_transaction;
    struct table ids; /* fullUrl → "Type/id" (struct str *) */
    struct outcome *outcome;
};

static bool refuse_entry(struct bundle_run *run, size_t index, enum error_kind kind, const char *text,
                         struct error *error)
{
    outcome_add(run->outcome, (struct outcome_issue){
                                  .severity = OUTCOME_ERROR,
                                  .code = error_issue_code(kind),
                                  .path = arena_printf(run->arena, "Bundle.entry[%zu]", index),
                                  .text = arena_dup(run->arena, str_from_cstr(text)),
                              });
    return FAIL(error, kind, "Bundle.entry[%zu]: %s", index, text);
}

/* ETag form W/"3" to 3; else as it is. */
static struct str etag_version(struct str etag)
{
    if (str_starts_with(etag, STR("W/\"")) && str_ends_with(etag, STR("\""))) {
        return str_slice(etag, 3, etag.len - 1);
    }
    return etag;
}

static bool read_entry(struct bundle_run *run, size_t index, const struct json *given, struct error *error)
{
    static const char *const verbs[VERBS_COUNT] = { "DELETE", "POST", "PUT", "GET" };
    struct bundle_entry *entry = &run->entries[index];
    const struct json *request = JSON_GET(given, "request");
    struct str method = JSON_TEXT(run->arena, request, "method");
    entry->entry = given;
    entry->resource = JSON_GET(given, "resource");
    entry->url = JSON_TEXT(run->arena, request, "url");
    entry->if_match = etag_version(JSON_TEXT(run->arena, request, "ifMatch"));
    entry->if_none_exist = JSON_TEXT(run->arena, request, "ifNoneExist");
    if (request == NULL || entry->url.at == NULL) {
        return refuse_entry(run, index, ERROR_STRUCTURE, "request with method and url is needed", error);
    }
    while (entry->verb < VERBS_COUNT && !str_equal_cstr(method, verbs[entry->verb])) {
        entry->verb++;
    }
    if (entry->verb == VERBS_COUNT) {
        return refuse_entry(run, index, ERROR_UNSUPPORTED, "this method is not offered in bundles", error);
    }
    size_t end = str_find_char(entry->url, '?');
    bool conditional = end < entry->url.len && entry->verb != VERB_GET;
    size_t slash = str_find_char(entry->url, '/');
    entry->type = str_slice(entry->url, 0, slash < end ? slash : end);
    entry->id = slash < end ? str_slice(entry->url, slash + 1, end) : STR_NONE;
    bool id_fits = entry->verb == VERB_GET || (entry->verb == VERB_POST) == (entry->id.at == NULL);
    if (conditional || !id_fits) {
        return refuse_entry(run, index, ERROR_UNSUPPORTED,
                            "POST wants Type, PUT and DELETE want Type/id; conditional ones are not offered",
                            error);
    }
    return true;
}

static bool map_entry(struct bundle_run *run, struct bundle_entry *entry, struct error *error)
{
    struct str full_url = JSON_TEXT(run->arena, entry->entry, "fullUrl");
    if (entry->verb == VERB_POST) {
        char id[UUID_TEXT_BYTES];
        if (!uuid_v7(clock_now_ms(), id, error)) {
            return false;
        }
        entry->id = arena_dup(run->arena, str_from_cstr(id));
    }
    if (full_url.at == NULL || entry->verb == VERB_GET || entry->verb == VERB_DELETE) {
        return true;
    }
    struct str *target = ARENA_NEW(run->arena, struct str);
    if (target == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *target = arena_printf(run->arena, "%.*s/%.*s", STR_FMT(entry->type), STR_FMT(entry->id));
    return table_set(&run->ids, full_url, target) || CHANGE_NO_MEMORY(error);
}

/* "Patient?identifier=…" (R4 3.1.0.11.2.2): exactly one hit that the session may see. */
static bool resolve_conditional(struct bundle_run *run, struct str reference, struct str *target,
                                struct error *error)
{
    size_t mark = str_find_char(reference, '?');
    struct search_query query = { 0 };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    struct search_options options = { .type = str_slice(reference, 0, mark),
                                      .offset_minutes = run->change->options.offset_minutes };
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = options.type };
    struct store_search search = { .query = &query, .without_bodies = true };
    if (!access_check(run->request->session, act, error) ||
        !access_filter(run->request->session, act, run->arena, &search.filter, error) ||
        !search_query_parse_text(run->arena, &options, str_skip(reference, mark + 1), &query, error) ||
        !access_query_allowed(run->request->session, &query, error) ||
        !store_reader_begin(run->change->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_search(reader, run->arena, &search, &hits, error);
    store_reader_end(reader);
    if (ok && hits.matches_count != 1) {
        return FAIL(error, ERROR_PRECONDITION, "a conditional reference to %.*s must have exactly one hit",
                    STR_FMT(options.type));
    }
    if (ok) {
        const struct store_version *hit = &hits.hits[0].version;
        *target = arena_printf(run->arena, "%.*s/%.*s", STR_FMT(hit->type), STR_FMT(hit->id));
    }
    return ok;
}

/* Every Reference below `value`. Depth is bounded by the reader. */
static bool rewrite_references(struct bundle_run *run, struct json *value, struct error *error)
{
    struct json *reference = JSON_GET(value, "reference");
    struct str text = json_text(run->arena, reference);
    if (text.at != NULL) {
        const struct str *mapped = table_get(&run->ids, text);
        struct str target = mapped != NULL ? *mapped : STR_NONE;
        bool conditional =
            mapped == NULL && str_find_char(text, '?') < text.len && !str_starts_with(text, STR("http"));
        if (conditional && !resolve_conditional(run, text, &target, error)) {
            return false;
        }
        if (target.at != NULL &&
            json_set(value, STR("reference"), json_new_string(run->arena, target)) == NULL) {
            return CHANGE_NO_MEMORY(error);
        }
    }
    JSON_EACH(child, value) {
        if (!rewrite_references(run, child, error)) {
            return false;
        }
    }
    return true;
}

static void set_response(struct bundle_run *run, struct bundle_entry *entry, const char *status)
{
    entry->response = json_new(run->arena, JSON_OBJECT);
    struct json *response = json_add(entry->response, STR("response"), json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, response, STR("status"), str_from_cstr(status));
}

static void answer_write(struct bundle_run *run, struct bundle_entry *entry,
                         const struct change_entry *written)
{
    char time[INSTANT_BYTES];
    int status = written->result.http_status;
    set_response(run, entry, status == 201 ? "201 Created" : status == 204 ? "204 No Content" : "200 OK");
    struct json *response = JSON_GET(entry->response, "response");
    if (status == 204) {
        return;
    }
    (void)instant_format(written->result.updated_ms, 0, time);
    (void)json_add_text(run->arena, response, STR("location"),
                        arena_printf(run->arena, "%.*s/%.*s/_history/%llu", STR_FMT(entry->type),
                                     STR_FMT(written->result.id),
                                     (unsigned long long)written->result.version));
    (void)json_add_text(run->arena, response, STR("etag"),
                        arena_printf(run->arena, "W/\"%llu\"", (unsigned long long)written->result.version));
    (void)json_add_text(run->arena, response, STR("lastModified"),
                        arena_dup(run->arena, str_from_cstr(time)));
}

static struct change_entry entry_to_write(const struct bundle_entry *entry)
{
    static const enum change_kind kinds[] = {
        [VERB_DELETE] = CHANGE_DELETE, [VERB_POST] = CHANGE_CREATE, [VERB_PUT] = CHANGE_UPDATE
    };
    return (struct change_entry){
        .kind = kinds[entry->verb],
        .type = entry->type,
        .id = entry->id,
        .resource = entry->resource,
        .if_match = entry->if_match,
        .if_none_exist = entry->if_none_exist,
    };
}

static bool answer_get(struct bundle_run *run, size_t index, struct error *error)
{
    struct bundle_entry *entry = &run->entries[index];
    struct json *resource = NULL;
    struct error cause = { 0 };
    int status = 0;
    if (run->request->read == NULL) {
        return refuse_entry(run, index, ERROR_UNSUPPORTED, "GET is not offered here", error);
    }
    if (!run->request->read(run->request->read_data, run->arena, entry->url, &resource, &status, &cause)) {
        status = error_http_status(cause.kind);
        resource = outcome_of_error(run->arena, &cause, OUTCOME_ENGLISH);
    }
    set_response(run, entry, arena_printf(run->arena, "%d", status).at);
    (void)json_add(entry->response, STR("resource"), resource);
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
                              .entries = writes };
    if (writes == NULL || sources == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    for (int verb = VERB_DELETE; verb < VERB_GET; verb++) {
        for (size_t i = 0; i < run->count; i++) {
            if (run->entries[i].verb == (enum verb)verb) {
                sources[set.entries_count] = &run->entries[i];
                writes[set.entries_count++] = entry_to_write(&run->entries[i]);
            }
        }
    }
    if (set.entries_count > 0 && !change_apply(run->change, &set, error)) {
        run->outcome = set.outcome;
        return false;
    }
    for (size_t i = 0; i < set.entries_count; i++) {
        answer_write(run, sources[i], &writes[i]);
    }
    for (size_t i = 0; i < run->count; i++) {
        if (run->entries[i].verb == VERB_GET && !answer_get(run, i, error)) {
            return false;
        }
    }
    return true;
}

static bool run_batch(struct bundle_run *run, struct error *error)
{
    for (int verb = VERB_DELETE; verb < VERBS_COUNT; verb++) {
        for (size_t i = 0; i < run->count; i++) {
            struct bundle_entry *entry = &run->entries[i];
            struct error cause = { 0 };
            if (entry->verb != (enum verb)verb) {
                continue;
            }
            if (entry->verb == VERB_GET) {
                if (!answer_get(run, i, error)) {
                    return false;
                }
                continue;
            }
            struct change_entry write = entry_to_write(entry);
            struct change_set set = { .arena = run->arena,
                                      .session = run->request->session,
                                      .route = STR("/fhir"),
                                      .operation = STR("batch"),
                                      .entries = &write,
                                      .entries_count = 1 };
            if (change_apply(run->change, &set, &cause)) {
                answer_write(run, entry, &write);
                continue;
            }
            set_response(run, entry, arena_printf(run->arena, "%d", error_http_status(cause.kind)).at);
            (void)json_add(JSON_GET(entry->response, "response"), STR("outcome"),
                           outcome_to_json(set.outcome, OUTCOME_ENGLISH));
        }
    }
    return true;
}

static bool prepare_bundle(struct bundle_run *run, struct error *error)
{
    const struct json *bundle = run->request->bundle;
    const struct json *given = JSON_GET(bundle, "entry");
    struct str type = JSON_TEXT(run->arena, bundle, "type");
    run->is_transaction = str_equal(type, STR("transaction"));
    if (!json_equals_text(JSON_GET(bundle, "resourceType"), STR("Bundle")) ||
        !(run->is_transaction || str_equal(type, STR("batch")))) {
        return FAIL(error, ERROR_STRUCTURE, "a Bundle of type batch or transaction was expected");
    }
    size_t count = given == NULL ? 0 : given->count;
    if (count > LIMIT_BUNDLE_ENTRIES) {
        return FAIL(error, ERROR_TOO_LARGE, "a bundle has at most %d entries", LIMIT_BUNDLE_ENTRIES);
    }
    run->entries = ARENA_ARRAY(run->arena, struct bundle_entry, count + 1);
    if (run->entries == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    JSON_EACH(entry, given) {
        if (!read_entry(run, run->count, entry, error) || !map_entry(run, &run->entries[run->count], error)) {
            return false;
        }
        run->count++;
    }
    for (size_t i = 0; i < run->count; i++) {
        if (run->entries[i].resource != NULL && !rewrite_references(run, run->entries[i].resource, error)) {
            return false;
        }
    }
    return true;
}

bool change_bundle(struct change *change, const struct change_bundle *request, struct json **response,
                   struct outcome **outcome, struct error *error)
{
    struct bundle_run run = {
        .change = change, .request = request, .arena = request->arena, .ids = table_in(request->arena)
    };
    struct error cause = { 0 };
    run.outcome = ARENA_NEW(request->arena, struct outcome);
    if (run.outcome == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    *run.outcome = outcome_in(request->arena);
    bool ok = prepare_bundle(&run, &cause) &&
              (run.is_transaction ? run_transaction(&run, &cause) : run_batch(&run, &cause));
    *outcome = run.outcome;
    if (!ok) {
        if (run.outcome->errors_count == 0) {
            outcome_add_error(run.outcome, &cause);
        }
        if (error != NULL) {
            *error = cause;
        }
        return false;
    }
    struct json *bundle = json_new(run.arena, JSON_OBJECT);
    (void)json_add_text(run.arena, bundle, STR("resourceType"), STR("Bundle"));
    (void)json_add_text(run.arena, bundle, STR("type"),
                        run.is_transaction ? STR("transaction-response") : STR("batch-response"));
    struct json *entries = json_new(run.arena, JSON_ARRAY);
    for (size_t i = 0; i < run.count; i++) {
        (void)json_append(entries, run.entries[i].response);
    }
    if (run.count > 0) {
        (void)json_add(bundle, STR("entry"), entries);
    }
    *response = bundle;
    return bundle != NULL || CHANGE_NO_MEMORY(error);
}
