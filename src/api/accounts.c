/* /admin/accounts: the administrator's work on accounts (right "accounts"). In the pool: passwords are slow. */
#include "access/sign_in.h"

#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"

static bool audit_account(struct http_request *request, const char *operation, struct error *error)
{
    struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                      .operation = str_from_cstr(operation) } };
    return api_audit_read(request, &call_of(request)->session, &read, error);
}

enum http_verdict accounts_list(struct http_request *request)
{
    struct error error = { 0 };
    struct json *accounts = NULL;
    if (!account_list(api_of(request)->access, &request->arena, &call_of(request)->session, &accounts,
                      &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add(answer, STR("accounts"), accounts);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

static enum http_verdict answer_password(struct http_request *request, int status, struct str name,
                                         struct str password)
{
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, answer, STR("name"), name);
    (void)json_add_text(&request->arena, answer, STR("password"), password);
    api_respond_json(request, status, false, answer);
    return HTTP_DONE;
}

enum http_verdict accounts_add(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct str password = STR_NONE;
    if (!api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    struct str practitioner = JSON_TEXT(&request->arena, body, "practitioner");
    if (str_starts_with(practitioner, STR("Practitioner/"))) {
        practitioner = str_skip(practitioner, 13);
    }
    struct account_new account = {
        .name = JSON_TEXT(&request->arena, body, "name"),
        .password = JSON_TEXT(&request->arena, body, "password"),
        .practitioner = practitioner,
        .must_change_password = true,
    };
    if (!audit_account(request, "account-add", &error) ||
        !practitioner_within(api_of(request)->access, &request->arena, &call_of(request)->session,
                             practitioner, &error) ||
        !account_add(api_of(request)->access, &request->arena, &account, &password, &error)) {
        return api_fail(request, &error);
    }
    return answer_password(request, 201, account.name, password);
}

enum http_verdict accounts_act(struct http_request *request)
{
    struct error error = { 0 };
    struct access *access = api_of(request)->access;
    struct str name = http_parameter(request, STR("name"));
    struct str action = http_parameter(request, STR("action"));
    struct str password = STR_NONE;
    if (!account_within(access, &request->arena, &call_of(request)->session, name, &error)) {
        return api_fail(request, &error);
    }
    if (str_equal(action, STR("password"))) {
        if (!audit_account(request, "account-password", &error) ||
            !account_reset_password(access, &request->arena, name, &password, &error)) {
            return api_fail(request, &error);
        }
        return answer_password(request, 200, name, password);
    }
    bool disable = str_equal(action, STR("disable"));
    if (!disable && !str_equal(action, STR("enable"))) {
        (void)FAIL(&error, ERROR_NOT_FOUND, "accounts know password, disable and enable");
        return api_fail(request, &error);
    }
    if (!audit_account(request, disable ? "account-disable" : "account-enable", &error) ||
        !account_set_disabled(access, name, disable, &error)) {
        return api_fail(request, &error);
    }
    http_respond(request, 204, STR_NONE, STR(""));
    return HTTP_DONE;
}
