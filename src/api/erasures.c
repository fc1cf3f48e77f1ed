/* $erase and /admin/erasures (feed/erasure.h): one person asks, another confirms or refuses; right "erase". Answers hold
 * counts, ids and codes, nothing of what is in the records. */
#include "api/handlers.h"
#include "api/operation.h"
#include "feed/erasure.h"

static bool audit(struct http_request *request, const char *operation, struct str type, struct str id,
                  struct error *error)
{
    const struct api_read read = {
        .act = { .interaction = ACCESS_OPERATION, .type = type, .operation = str_from_cstr(operation) },
        .type = type,
        .id = id,
        .patient = str_equal(type, STR("Patient")) ? id : STR_NONE
    };
    return api_audit_read(request, &call_of(request)->session, &read, error);
}

enum http_verdict erasures_ask(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct json *answer = NULL;
    struct erasure_ask ask = { .type = http_parameter(request, STR("type")),
                               .id = http_parameter(request, STR("id")) };
    bool ok = operation_body(request, &body, &error);
    ask.rule = ok ? operation_parameter(request, body, STR("rule")) : STR_NONE;
    ok = ok && audit(request, "$erase", ask.type, ask.id, &error) &&
         erasure_begin(api_of(request)->erasure, &call_of(request)->session, &request->arena, &ask, &answer,
                       &error);
    if (!ok) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 202, false, answer);
    return HTTP_DONE;
}

enum http_verdict erasures_list(struct http_request *request)
{
    struct error error = { 0 };
    struct json *answer = NULL;
    if (!erasure_list(api_of(request)->erasure, &call_of(request)->session, &request->arena, &answer,
                      &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict erasures_decide(struct http_request *request)
{
    struct error error = { 0 };
    struct json *answer = NULL;
    struct api *api = api_of(request);
    const struct access_session *session = &call_of(request)->session;
    struct str id = http_parameter(request, STR("id"));
    struct str action = http_parameter(request, STR("action"));
    bool confirms = str_equal(action, STR("confirm"));
    if (!confirms && !str_equal(action, STR("refuse"))) {
        (void)FAIL(&error, ERROR_NOT_FOUND, "a request to erase is confirmed or refused, nothing else");
        return api_fail(request, &error);
    }
    bool ok = audit(request, confirms ? "erase-confirm" : "erase-refuse", STR_NONE, id, &error) &&
              (confirms ? erasure_confirm(api->erasure, session, &request->arena, id, &answer, &error)
                        : erasure_refuse(api->erasure, session, &request->arena, id, &answer, &error));
    if (!ok) {
        return api_fail(request, &error);
    }
    api_respond_json(request, confirms ? 202 : 200, false, answer);
    return HTTP_DONE;
}
