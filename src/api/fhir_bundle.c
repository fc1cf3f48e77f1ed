/* POST /fhir: batch and transaction (R4 3.1.0.11), and the workflow's operations on a Task. In the pool: they wait
 * for the commit. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/parse.h"
#include "fhir/outcome.h"
#include "model/model.h"

/* Five thousand entries may each be dear: the whole bundle has the time of one request, and who waits is told which
 * entries were not looked at. */
static bool in_time(const struct http_request *request, struct error *error)
{
    return clock_monotonic_us() < request->deadline_us ||
           FAIL(error, ERROR_TOO_COSTLY, "the bundle takes too long: ask for this entry in another");
}

/* As if it had been asked by itself: its row's rights, limits and audit. */
static bool operate_for_bundle(void *data, struct str url, const struct json *body, struct json **resource,
                               int *http_status, struct error *error)
{
    struct http_request *request = data;
    struct arena *arena = &request->arena;
    url = str_starts_with(url, STR("/")) ? str_skip(url, 1) : url;
    struct http_inside inside = { .method = body == NULL ? HTTP_GET : HTTP_POST,
                                  .target = arena_concat(arena, STR("/fhir/"), url),
                                  .content_type = STR("application/fhir+json"),
                                  .body = body == NULL ? STR("") : json_write_arena(arena, body) };
    if (inside.target.at == NULL || inside.body.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!in_time(request, error) || !http_request_inside(request, &inside, error)) {
        return false;
    }
    *http_status = inside.status;
    return inside.answer.len == 0 || json_read(arena, inside.answer, resource, error);
}

/* "Patient/1", "Patient/1/_history/2", "Patient?name=x": read here, on the bundle's own session. */
static bool is_plain_read(struct str url)
{
    struct str path = str_slice(url, 0, str_find_char(url, '?'));
    struct str parts[4] = { STR_NONE, STR_NONE, STR_NONE, STR_NONE };
    size_t count = 0;
    while (count < 4 && str_split_next(&path, '/', &parts[count])) {
        count++;
    }
    bool of_type = path.at == NULL && model_resource_find(parts[0]) != NULL;
    bool one = count == 2 && !str_starts_with(parts[1], STR("_"));
    return of_type && (count == 1 || one || (count == 4 && str_equal(parts[2], STR("_history"))));
}

/* Histories, compartments, searches over all types and /metadata go through their own rows. */
static bool read_for_bundle(void *data, struct arena *arena, struct str url, struct json **resource,
                            int *http_status, struct error *error)
{
    struct http_request *request = data;
    struct str path = str_starts_with(url, STR("/")) ? str_skip(url, 1) : url;
    if (is_plain_read(path)) {
        return in_time(request, error) &&
               fhir_get_url(request, &call_of(request)->session, arena, url, resource, http_status, error);
    }
    struct str type = str_slice(path, 0, str_find_char(path, '?'));
    bool of_all = type.len == 0 || str_equal(type, STR("metadata")) || str_equal(type, STR("_history"));
    if (!of_all && model_resource_find(str_slice(type, 0, str_find_char(type, '/'))) == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "R4 has no resource type of that name");
    }
    return operate_for_bundle(data, url, NULL, resource, http_status, error);
}

enum http_verdict fhir_bundle(struct http_request *request)
{
    struct error error = { 0 };
    struct json *bundle = NULL;
    struct json *response = NULL;
    struct outcome *outcome = NULL;
    if (!api_read_json(request, &bundle, &error)) {
        return api_fail(request, &error);
    }
    struct change_bundle asked = {
        .arena = &request->arena,
        .session = &call_of(request)->session,
        .bundle = bundle,
        .with_resources = call_of(request)->prefer_resources,
        .chinese = api_language(request) == OUTCOME_CHINESE,
        .read = read_for_bundle,
        .read_data = request,
        .operate = operate_for_bundle,
    };
    if (!change_bundle(api_of(request)->change, &asked, &response, &outcome, &error)) {
        api_respond_error(request, &error, outcome);
        return HTTP_DONE;
    }
    api_respond_json(request, 200, true, response);
    return HTTP_DONE;
}

/* "W/\"3\"" or "\"3\"": the version alone. */
static struct str if_match(const struct http_request *request)
{
    struct str text = str_trim(http_header(request, STR("If-Match")));
    text = str_starts_with(text, STR("W/")) ? str_skip(text, 2) : text;
    return text.len >= 2 && text.at[0] == '"' ? str_slice(text, 1, text.len - 1) : text;
}

static struct change_transition transition_of(struct http_request *request)
{
    return (struct change_transition){
        .arena = &request->arena,
        .session = &call_of(request)->session,
        .task_id = http_parameter(request, STR("id")),
        .if_match = if_match(request),
    };
}

enum http_verdict fhir_transitions(struct http_request *request)
{
    struct error error = { 0 };
    struct json *parameters = NULL;
    struct change_transition asked = transition_of(request);
    struct api_read read = {
        .act = { .interaction = ACCESS_OPERATION, .type = STR("Task"), .operation = STR("$transitions") },
        .type = STR("Task"),
        .id = asked.task_id,
    };
    if (!change_transitions(api_of(request)->change, &asked, &parameters, &error) ||
        !api_audit_read(request, &call_of(request)->session, &read, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, true, parameters);
    return HTTP_DONE;
}

enum http_verdict fhir_transition(struct http_request *request)
{
    struct error error = { 0 };
    struct json *parameters = NULL;
    struct json *task = NULL;
    struct outcome *outcome = NULL;
    struct change_transition asked = transition_of(request);
    if (!api_read_json(request, &parameters, &error)) {
        return api_fail(request, &error);
    }
    asked.parameters = parameters;
    if (!change_take(api_of(request)->change, &asked, &task, &outcome, &error)) {
        api_respond_error(request, &error, outcome);
        return HTTP_DONE;
    }
    struct str version = JSON_TEXT(&request->arena, JSON_GET(task, "meta"), "versionId");
    uint64_t number = 0;
    if (parse_uint64(version, UINT64_MAX, &number)) {
        http_add_header(request, STR("ETag"), api_etag(&request->arena, number, false));
    }
    api_respond_json(request, 200, true, task);
    return HTTP_DONE;
}
