/* Creating, updating, patching, deleting one resource (R4 3.1.0.4, 3.1.0.6, 3.1.0.7, 3.1.0.8). A plain write is
 * prepared on the network thread, queued for the writer, answered when the commit is on disk; a patch and what is
 * chosen by a search go to the pool. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/outcome.h"
#include "fhir/search_query.h"
#include "store/body.h"

/* "W/\"3\"", "\"3\"" or 3. A masked tag ("3-m") is not of a version that may be written. */
static bool read_if_match(const struct http_request *request, struct str *version, struct error *error)
{
    struct str text = str_trim(http_header(request, STR("If-Match")));
    uint64_t number = 0;
    if (text.at == NULL) {
        *version = STR_NONE;
        return true;
    }
    if (str_starts_with(text, STR("W/"))) {
        text = str_skip(text, 2);
    }
    if (text.len >= 2 && text.at[0] == '"' && text.at[text.len - 1] == '"') {
        text = str_slice(text, 1, text.len - 1);
    }
    if (!parse_uint64(text, UINT64_MAX, &number)) {
        return FAIL(error, ERROR_PRECONDITION, "If-Match is not the version of this resource: read it again");
    }
    *version = text;
    return true;
}

static bool check_resource(struct http_request *request, struct json *resource, struct error *error)
{
    struct api_call *call = call_of(request);
    if (resource->kind != JSON_OBJECT) {
        return FAIL(error, ERROR_STRUCTURE, "the body is no resource");
    }
    if (!json_equals_text(JSON_GET(resource, "resourceType"), call->type)) {
        return FAIL(error, ERROR_INPUT, "resourceType is not the type in the address");
    }
    return true;
}

/* ---- the answer after the commit ---- */

static void on_done(struct change_set *set, const struct error *error)
{
    struct http_request *request = set->data;
    struct api_call *call = call_of(request);
    call->failed = error != NULL;
    if (error != NULL) {
        call->error = *error;
    }
    http_resume(request);
}

static void respond_body(struct http_request *request, const struct change_entry *entry)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    struct str text = STR_NONE;
    struct store_version version = {
        .type = entry->type,
        .id = entry->result.id,
        .version = entry->result.version,
        .updated_ms = entry->result.updated_ms,
        .body = entry->result.body,
    };
    struct fhir_view view = { .pretty = call->pretty, .summary = SEARCH_SUMMARY_FALSE };
    if (fhir_text(&call->session, &request->arena, &version, &view, &text, &error)) {
        api_respond_text(request, entry->result.http_status, text);
    } else {
        http_respond_error(request, &error);
    }
}

static enum http_verdict answer_written(struct http_request *request)
{
    struct api_call *call = call_of(request);
    const struct change_entry *entry = &call->entry;
    if (call->failed) {
        api_respond_error(request, &call->error, NULL);
        return HTTP_DONE;
    }
    /* If-None-Exist had a match: what goes out was read. */
    struct error error = { 0 };
    const struct api_read read = { .act = { .interaction = ACCESS_READ, .type = entry->type },
                                   .type = entry->type,
                                   .id = entry->result.id,
                                   .patient =
                                       api_patient_of(entry->type, entry->result.id, entry->result.body) };
    bool existed = entry->kind == CHANGE_CREATE && entry->result.http_status == 200;
    if (existed && !api_audit_read(request, &call->session, &read, &error)) {
        return api_fail(request, &error);
    }
    if (entry->result.version > 0) {
        http_add_header(request, STR("ETag"), api_etag(&request->arena, entry->result.version, false));
        http_add_header(request, STR("Last-Modified"),
                        api_http_date(&request->arena, entry->result.updated_ms));
    }
    if (entry->kind != CHANGE_DELETE && entry->result.version > 0) {
        http_add_header(request, STR("Location"),
                        api_url(request, "/%.*s/%.*s/_history/%llu", STR_FMT(entry->type),
                                STR_FMT(entry->result.id), (unsigned long long)entry->result.version));
    }
    if (call->prefer == API_RETURN_OUTCOME) {
        struct outcome outcome = outcome_in(&request->arena);
        api_respond_json(request, entry->kind == CHANGE_DELETE ? 200 : entry->result.http_status, true,
                         outcome_to_json(&outcome, api_language(request)));
    } else if (call->prefer == API_RETURN_MINIMAL || entry->kind == CHANGE_DELETE ||
               entry->result.body.at == NULL) {
        http_respond(request, entry->kind == CHANGE_DELETE ? 204 : entry->result.http_status, STR_NONE,
                     STR(""));
    } else {
        respond_body(request, entry);
    }
    return HTTP_DONE;
}

static void fill_set(struct http_request *request)
{
    struct api_call *call = call_of(request);
    call->set = (struct change_set){
        .arena = &request->arena,
        .session = &call->session,
        .route = str_from_cstr(request->route->template),
        .entries = &call->entry,
        .entries_count = 1,
        .may_repeat = true,
        .data = request,
    };
}

/* On a pool thread: waits for the commit, and does again what lost a race. */
static enum http_verdict apply(struct http_request *request)
{
    struct api_call *call = call_of(request);
    call->error = (struct error){ 0 };
    fill_set(request);
    call->failed = !change_apply(api_of(request)->change, &call->set, &call->error);
    if (call->failed) {
        api_respond_error(request, &call->error, call->set.outcome);
        return HTTP_DONE;
    }
    return answer_written(request);
}

/* Somebody else was faster. Who asked for no version only wants it done: again, in the pool. */
static enum http_verdict answer_submitted(struct http_request *request)
{
    struct api_call *call = call_of(request);
    const struct change_entry *asked = &call->asked;
    bool repeat = call->failed && call->error.kind == ERROR_PRECONDITION && asked->if_match.at == NULL &&
                  !asked->if_absent;
    if (!repeat) {
        return answer_written(request);
    }
    request->next = NULL;
    call->entry = call->asked;
    return http_run_in_pool(request, apply);
}

static enum http_verdict submit(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct change *change = api_of(request)->change;
    struct error error = { 0 };
    bool is_search = call->entry.if_none_exist.at != NULL || call->entry.condition.at != NULL;
    bool is_long = call->entry.kind == CHANGE_DELETE && change_checks_references(change);
    if (is_search || is_long || call->entry.patch != NULL) {
        return http_run_in_pool(request, apply);
    }
    call->asked = call->entry;
    fill_set(request);
    call->set.done = on_done;
    if (!change_prepare(change, &call->set, &error)) {
        api_respond_error(request, &error, call->set.outcome);
        return HTTP_DONE;
    }
    /* From here on `done` may come at any moment, even before change_submit returns. */
    request->next = answer_submitted;
    if (!change_submit(change, &call->set, &error)) {
        request->next = NULL;
        return api_fail(request, &error);
    }
    return HTTP_LATER;
}

/* ---- handlers ---- */

/* PUT /Patient?identifier=…: the query as sent is the condition, without what is said to the server itself. */
static bool read_condition(struct http_request *request, struct str *condition, struct error *error)
{
    static const char *const own[] = { "_format", "_pretty" };
    struct buf kept = { .bytes_max = LIMIT_URL_BYTES };
    struct str rest = request->query;
    struct str pair = STR_NONE;
    while (rest.len > 0 && str_split_next(&rest, '&', &pair)) {
        struct str name = str_slice(pair, 0, str_find_char(pair, '='));
        bool skip = name.len == 0;
        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
            skip = skip || str_equal_cstr(name, own[i]);
        }
        if (!skip) {
            buf_add(&kept, kept.len > 0 ? STR("&") : STR(""));
            buf_add(&kept, pair);
        }
    }
    *condition = arena_dup(&request->arena, buf_str(&kept));
    bool none = kept.len == 0;
    buf_deinit(&kept);
    return !none ||
           FAIL(error, ERROR_INPUT, "name the resource by its id, or by search parameters after the type");
}

static bool read_target(struct http_request *request, struct change_entry *entry, struct error *error)
{
    entry->type = call_of(request)->type;
    entry->id = http_parameter(request, STR("id"));
    if (entry->id.at == NULL && !read_condition(request, &entry->condition, error)) {
        return false;
    }
    return read_if_match(request, &entry->if_match, error);
}

enum http_verdict fhir_create(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    struct json *resource = NULL;
    if (!api_read_json(request, &resource, &error) || !check_resource(request, resource, &error)) {
        return api_fail(request, &error);
    }
    call->entry = (struct change_entry){
        .kind = CHANGE_CREATE,
        .type = call->type,
        .resource = resource,
        .if_none_exist = http_header(request, STR("If-None-Exist")),
    };
    return submit(request);
}

enum http_verdict fhir_update(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    call->entry = (struct change_entry){ .kind = CHANGE_UPDATE };
    call->entry.if_absent = str_equal(str_trim(http_header(request, STR("If-None-Match"))), STR("*"));
    if (!api_read_json(request, &call->entry.resource, &error) ||
        !check_resource(request, call->entry.resource, &error) ||
        !read_target(request, &call->entry, &error)) {
        return api_fail(request, &error);
    }
    /* R4 3.1.0.4: the id is in the resource and is that of the address. */
    if (call->entry.id.at != NULL &&
        !json_equals_text(JSON_GET(call->entry.resource, "id"), call->entry.id)) {
        (void)FAIL(&error, ERROR_INPUT, "the resource's id must be there and be the one in the address");
        return api_fail(request, &error);
    }
    return submit(request);
}

/* R4 3.1.0.6: JSON Patch under its own media type, FHIRPath Patch as a Parameters resource. */
static bool read_patch(struct http_request *request, const struct json **patch, struct error *error)
{
    struct json *body = NULL;
    if (str_equal(http_content_type(request), STR("application/json-patch+json"))) {
        if (!json_read(&request->arena, request->body, &body, error)) {
            return false;
        }
        *patch = body;
        return body->kind == JSON_ARRAY ||
               FAIL(error, ERROR_STRUCTURE, "a JSON Patch is an array of operations");
    }
    if (!api_read_json(request, &body, error)) {
        if (error->kind == ERROR_MEDIA_TYPE) {
            return FAIL(error, ERROR_MEDIA_TYPE,
                        "a patch is application/json-patch+json, or Parameters as application/fhir+json");
        }
        return false;
    }
    *patch = body;
    return json_equals_text(JSON_GET(body, "resourceType"), STR("Parameters")) ||
           FAIL(error, ERROR_STRUCTURE, "a FHIRPath Patch is a Parameters resource");
}

enum http_verdict fhir_patch(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    call->entry = (struct change_entry){ .kind = CHANGE_UPDATE };
    if (!read_patch(request, &call->entry.patch, &error) || !read_target(request, &call->entry, &error)) {
        return api_fail(request, &error);
    }
    return submit(request);
}

enum http_verdict fhir_delete(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    call->entry = (struct change_entry){ .kind = CHANGE_DELETE };
    if (!read_target(request, &call->entry, &error)) {
        return api_fail(request, &error);
    }
    return submit(request);
}
