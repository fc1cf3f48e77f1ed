/* Creating, updating, deleting one resource (R4 3.1.0.4, 3.1.0.7, 3.1.0.8). Prepared on the network thread,
 * queued for the writer, answered when the commit is on disk. */
#include "api/call.h"
#include "api/handlers.h"
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

static enum http_verdict answer_written(struct http_request *request);

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

static enum http_verdict submit(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct change *change = api_of(request)->change;
    struct error error = { 0 };
    call->set = (struct change_set){
        .arena = &request->arena,
        .session = &call->session,
        .route = str_from_cstr(request->route->template),
        .entries = &call->entry,
        .entries_count = 1,
        .done = on_done,
        .data = request,
    };
    if (!change_prepare(change, &call->set, &error)) {
        api_respond_error(request, &error, call->set.outcome);
        return HTTP_DONE;
    }
    /* From here on `done` may come at any moment, even before change_submit returns. */
    request->next = answer_written;
    if (!change_submit(change, &call->set, &error)) {
        request->next = NULL;
        return api_fail(request, &error);
    }
    return HTTP_LATER;
}

/* ---- handlers ---- */

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
    struct json *resource = NULL;
    struct str id = http_parameter(request, STR("id"));
    struct str if_match = STR_NONE;
    if (!api_read_json(request, &resource, &error) || !check_resource(request, resource, &error) ||
        !read_if_match(request, &if_match, &error)) {
        return api_fail(request, &error);
    }
    /* R4 3.1.0.4: the id is in the resource and is that of the address. */
    if (!json_equals_text(JSON_GET(resource, "id"), id)) {
        (void)FAIL(&error, ERROR_INPUT, "the resource's id must be there and be the one in the address");
        return api_fail(request, &error);
    }
    call->entry = (struct change_entry){
        .kind = CHANGE_UPDATE,
        .type = call->type,
        .id = id,
        .resource = resource,
        .if_match = if_match,
    };
    return submit(request);
}

enum http_verdict fhir_delete(struct http_request *request)
{
    struct api_call *call = call_of(request);
    struct error error = { 0 };
    struct str if_match = STR_NONE;
    if (!read_if_match(request, &if_match, &error)) {
        return api_fail(request, &error);
    }
    call->entry = (struct change_entry){
        .kind = CHANGE_DELETE,
        .type = call->type,
        .id = http_parameter(request, STR("id")),
        .if_match = if_match,
    };
    return submit(request);
}
