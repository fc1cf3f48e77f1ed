/* The way in: /session (docs/modules/consult.md section 3). Only moves text between HTTP and access/sign_in.h; in
 * the pool, since a password takes 50 to 300 ms. */
#include "access/sign_in.h"

#include "access/audit.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/log.h"

/* Sign-in and sign-out stand in the audit log, also when refused; who was refused is not known by name. */
static void audit_session(struct http_request *request, const struct access_session *session,
                          struct str operation, enum audit_outcome outcome)
{
    struct api *api = api_of(request);
    if (api->audit == NULL) {
        return;
    }
    struct access_act act = { .interaction = ACCESS_OPERATION, .operation = operation };
    struct audit_record record = { .interaction = act.interaction, .operation = act.operation };
    if (session != NULL) {
        record = audit_record_of(session, act);
    }
    record.time_ms = clock_now_ms();
    record.route = str_from_cstr(request->route->template);
    record.outcome = outcome;
    record.count = 1;
    struct error error = { 0 };
    if (!audit_read_done(api->audit, &record, &error)) {
        LOG_ERROR("the audit log cannot be written: %s", error.text);
    }
}

static struct str language_code(const struct http_request *request)
{
    return http_header(request, STR("Accept-Language")).at == NULL ? STR_NONE
           : api_language(request) == OUTCOME_ENGLISH              ? STR("en")
                                                                   : STR("zh");
}

static enum http_verdict answer_signed_in(struct http_request *request, const struct sign_in_answer *answer)
{
    http_add_header(request, STR("Set-Cookie"), answer->set_cookie);
    api_respond_json(request, 200, false, answer->info);
    return HTTP_DONE;
}

/* A page of another origin must not sign its visitor in as somebody else: the browser says where it comes from. */
static bool check_origin(const struct http_request *request, struct error *error)
{
    struct str origin = http_header(request, STR("Origin"));
    struct str host = http_header(request, STR("Host"));
    size_t scheme = str_find(origin, STR("://"));
    if (origin.at == NULL) {
        return true;
    }
    return (scheme < origin.len && str_equal_ignore_case(str_skip(origin, scheme + 3), host)) ||
           FAIL(error, ERROR_FORBIDDEN, "sign-in is taken from this server's own pages only");
}

/* Limits by address must see the person's, not the proxy's: the last entry is the trusted proxy's own word. */
struct str api_client_address(const struct http_request *request)
{
    struct str forwarded = http_header(request, STR("X-Forwarded-For"));
    if (!api_of(request)->tls || forwarded.len == 0) {
        return request->client_address;
    }
    size_t comma = str_find_last_char(forwarded, ',');
    return str_trim(comma == forwarded.len ? forwarded : str_skip(forwarded, comma + 1));
}

enum http_verdict session_sign_in(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct sign_in_answer answer = { 0 };
    uint32_t retry_after_s = 0;
    if (!check_origin(request, &error) || !api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    struct sign_in asked = {
        .name = JSON_TEXT(&request->arena, body, "name"),
        .password = JSON_TEXT(&request->arena, body, "password"),
        .post = JSON_TEXT(&request->arena, body, "post"),
        .address = api_client_address(request),
        .language = language_code(request),
        .tls = api_of(request)->tls,
    };
    if (asked.name.at == NULL || asked.password.at == NULL) {
        (void)FAIL(&error, ERROR_INPUT, "name and password are needed");
        return api_fail(request, &error);
    }
    if (!sign_in(api_of(request)->access, &request->arena, &asked, &answer, &retry_after_s, &error)) {
        audit_session(request, NULL, STR("sign-in"), AUDIT_REFUSED);
        if (retry_after_s > 0) {
            http_add_header(request, STR("Retry-After"),
                            arena_printf(&request->arena, "%u", (unsigned)retry_after_s));
        }
        return api_fail(request, &error);
    }
    audit_session(request, &answer.session, STR("sign-in"), AUDIT_SUCCESS);
    return answer_signed_in(request, &answer);
}

enum http_verdict session_get(struct http_request *request)
{
    struct error error = { 0 };
    struct json *info = NULL;
    if (!session_info(api_of(request)->access, &call_of(request)->session, &request->arena, &info, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, false, info);
    return HTTP_DONE;
}

enum http_verdict session_post(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct sign_in_answer answer = { 0 };
    if (!api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    struct str post = JSON_TEXT(&request->arena, body, "post");
    post = str_starts_with(post, STR("PractitionerRole/")) ? str_skip(post, 17) : post;
    if (!session_switch_post(api_of(request)->access, &request->arena, &call_of(request)->session, post,
                             api_of(request)->tls, &answer, &error)) {
        return api_fail(request, &error);
    }
    audit_session(request, &answer.session, STR("switch-post"), AUDIT_SUCCESS);
    return answer_signed_in(request, &answer);
}

enum http_verdict session_password(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct sign_in_answer answer = { 0 };
    if (!api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    struct password_change asked = {
        .old_password = JSON_TEXT(&request->arena, body, "old"),
        .new_password = JSON_TEXT(&request->arena, body, "new"),
        .tls = api_of(request)->tls,
    };
    if (!password_change(api_of(request)->access, &request->arena, &call_of(request)->session, &asked,
                         &answer, &error)) {
        audit_session(request, &call_of(request)->session, STR("password"), AUDIT_REFUSED);
        return api_fail(request, &error);
    }
    audit_session(request, &answer.session, STR("password"), AUDIT_SUCCESS);
    return answer_signed_in(request, &answer);
}

enum http_verdict session_delete(struct http_request *request)
{
    struct error error = { 0 };
    struct str cookie = STR_NONE;
    audit_session(request, &call_of(request)->session, STR("sign-out"), AUDIT_SUCCESS);
    if (!sign_out(api_of(request)->access, &request->arena, &call_of(request)->session, &cookie, &error)) {
        return api_fail(request, &error);
    }
    http_add_header(request, STR("Set-Cookie"), cookie);
    http_add_header(request, STR("Clear-Site-Data"), STR("\"cache\""));
    http_respond(request, 204, STR_NONE, STR(""));
    return HTTP_DONE;
}
