/* The token endpoint of SMART (RFC 6749, 7523, 7636), introspection (RFC 7662) and revocation (RFC 7009). Errors are
 * OAuth's: {"error", "error_description"}. */
#include "api/handlers.h"
#include "api/smart.h"
#include "base/clock.h"

enum { ID_TOKEN_SECONDS = 5 * 60 };

static const char *oauth_word(enum error_kind kind)
{
    switch ((int)kind) {
    case ERROR_SIGN_IN:
        return "invalid_client";
    case ERROR_FORBIDDEN:
        return "invalid_grant";
    case ERROR_RULE:
        return "invalid_scope";
    case ERROR_UNSUPPORTED:
        return "unauthorized_client";
    case ERROR_METHOD:
        return "unsupported_grant_type";
    default:
        return "invalid_request";
    }
}

static enum http_verdict refuse(struct http_request *request, const struct error *error,
                                uint32_t retry_after_s)
{
    struct arena *arena = &request->arena;
    struct json *answer = json_new(arena, JSON_OBJECT);
    bool ours = error->kind == ERROR_TOO_MANY || error->kind == ERROR_BUSY || error->kind == ERROR_FULL ||
                error->kind == ERROR_INTERNAL;
    int status = ours ? error_http_status(error->kind) : error->kind == ERROR_SIGN_IN ? 401 : 400;
    if (status == 401) {
        http_add_header(request, STR("WWW-Authenticate"), STR("Basic realm=\"shanhai\""));
    }
    if (retry_after_s > 0) {
        http_add_header(request, STR("Retry-After"), arena_printf(arena, "%u", (unsigned)retry_after_s));
    }
    (void)json_add_text(arena, answer, STR("error"),
                        ours ? STR("temporarily_unavailable") : str_from_cstr(oauth_word(error->kind)));
    (void)json_add_text(arena, answer, STR("error_description"),
                        arena_dup(arena, str_from_cstr(error->text)));
    api_respond_json(request, status, false, answer);
    return HTTP_DONE;
}

/* Secrets are taken from the body only: a query ends up in logs of others. */
static bool form_check(struct http_request *request, struct error *error)
{
    static const struct str once[] = {
        { "grant_type", 10 },    { "code", 4 },           { "redirect_uri", 12 },
        { "code_verifier", 13 }, { "refresh_token", 13 }, { "client_id", 9 },
        { "scope", 5 },          { "token", 5 },          { "client_assertion", 16 }
    };
    bool twice = false;
    for (size_t i = 0; i < sizeof once / sizeof *once; i++) {
        (void)smart_parameter(request, once[i], &twice);
    }
    return (request->query.len == 0 && !twice &&
            str_equal(http_content_type(request), STR("application/x-www-form-urlencoded"))) ||
           FAIL(error, ERROR_INPUT, "parameters stand in a form body, each once");
}

static bool authenticate(struct http_request *request, struct app_client *client, uint32_t *retry_after_s,
                         struct error *error)
{
    const struct app_proof proof = {
        .authorization = http_header(request, STR("Authorization")),
        .client_id = http_query_value(request, STR("client_id")),
        .assertion_type = http_query_value(request, STR("client_assertion_type")),
        .assertion = http_query_value(request, STR("client_assertion")),
        .token_url = smart_url(request, "/auth/token"),
        .address = api_client_address(request),
    };
    if (!form_check(request, error)) {
        return false;
    }
    if (app_authenticate(api_of(request)->access, &request->arena, &proof, client, retry_after_s, error)) {
        return true;
    }
    struct error ignored = { 0 };
    (void)!smart_audit(request, NULL, "smart-client", AUDIT_REFUSED, &ignored);
    return false;
}

/* OpenID Connect Core section 2, and SMART's fhirUser. */
static bool id_token(struct http_request *request, const struct app_client *client,
                     const struct app_token *token, struct str *text, struct error *error)
{
    struct arena *arena = &request->arena;
    struct json *claims = json_new(arena, JSON_OBJECT);
    int64_t now_s = clock_now_ms() / 1000;
    struct str user = arena_printf(arena, "%.*s/Practitioner/%.*s", STR_FMT(smart_base(request)),
                                   STR_FMT(token->session.person));
    (void)json_add_text(arena, claims, STR("iss"), smart_base(request));
    (void)json_add_text(arena, claims, STR("sub"), token->session.person);
    (void)json_add_text(arena, claims, STR("aud"), client->id);
    (void)json_add(claims, STR("iat"), json_new_integer(arena, now_s));
    (void)json_add(claims, STR("exp"), json_new_integer(arena, now_s + ID_TOKEN_SECONDS));
    if (str_find(token->scopes, STR("fhirUser")) < token->scopes.len) {
        (void)json_add_text(arena, claims, STR("fhirUser"), user);
    }
    if (token->nonce.len > 0) {
        (void)json_add_text(arena, claims, STR("nonce"), token->nonce);
    }
    return app_sign(api_of(request)->access, arena, claims, text, error);
}

static enum http_verdict answer_token(struct http_request *request, const struct app_client *client,
                                      const struct app_token *token, bool with_identity)
{
    struct arena *arena = &request->arena;
    struct error error = { 0 };
    struct str identity = STR_NONE;
    struct json *answer = json_new(arena, JSON_OBJECT);
    if (with_identity && token->openid && !id_token(request, client, token, &identity, &error)) {
        return refuse(request, &error, 0);
    }
    (void)json_add_text(arena, answer, STR("access_token"), token->access_token);
    (void)json_add_text(arena, answer, STR("token_type"), STR("Bearer"));
    (void)json_add(answer, STR("expires_in"), json_new_integer(arena, token->expires_s));
    (void)json_add_text(arena, answer, STR("scope"), token->scopes);
    if (token->refresh_token.at != NULL) {
        (void)json_add_text(arena, answer, STR("refresh_token"), token->refresh_token);
    }
    if (identity.at != NULL) {
        (void)json_add_text(arena, answer, STR("id_token"), identity);
    }
    if (token->patient.len > 0) {
        (void)json_add_text(arena, answer, STR("patient"), token->patient);
    }
    if (token->encounter.len > 0) {
        (void)json_add_text(arena, answer, STR("encounter"), token->encounter);
    }
    http_add_header(request, STR("Pragma"), STR("no-cache"));
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

static bool grant_run(struct http_request *request, const struct app_client *client, struct app_token *token,
                      bool *with_identity, struct error *error)
{
    struct access *access = api_of(request)->access;
    struct str type = http_query_value(request, STR("grant_type"));
    struct str scope = http_query_value(request, STR("scope"));
    if (str_equal(type, STR("authorization_code"))) {
        const struct app_exchange exchange = { .code = http_query_value(request, STR("code")),
                                               .verifier = http_query_value(request, STR("code_verifier")),
                                               .redirect = http_query_value(request, STR("redirect_uri")) };
        *with_identity = true;
        return app_exchange_code(access, &request->arena, client, &exchange, token, error);
    }
    if (str_equal(type, STR("refresh_token"))) {
        struct str refresh = http_query_value(request, STR("refresh_token"));
        return app_refresh(access, &request->arena, client, refresh, scope, token, error);
    }
    if (str_equal(type, STR("client_credentials"))) {
        return app_own_token(access, &request->arena, client, scope, token, error);
    }
    return FAIL(error, ERROR_METHOD, "grant_type is authorization_code, refresh_token or client_credentials");
}

enum http_verdict smart_token(struct http_request *request)
{
    struct error error = { 0 };
    struct app_client client = { 0 };
    struct app_token token = { 0 };
    uint32_t retry_after_s = 0;
    bool with_identity = false;
    if (!authenticate(request, &client, &retry_after_s, &error)) {
        return refuse(request, &error, retry_after_s);
    }
    struct access_session who = { .means = ACCESS_BY_APP, .app = client.id };
    if (!grant_run(request, &client, &token, &with_identity, &error)) {
        struct error ignored = { 0 };
        (void)!smart_audit(request, &who, "smart-token", AUDIT_REFUSED, &ignored);
        return refuse(request, &error, 0);
    }
    if (!smart_audit(request, &token.session, "smart-token", AUDIT_SUCCESS, &error)) {
        return refuse(request, &error, 0);
    }
    return answer_token(request, &client, &token, with_identity);
}

enum http_verdict smart_introspect(struct http_request *request)
{
    struct error error = { 0 };
    struct app_client client = { 0 };
    struct json *answer = NULL;
    uint32_t retry_after_s = 0;
    if (!authenticate(request, &client, &retry_after_s, &error)) {
        return refuse(request, &error, retry_after_s);
    }
    if (client.is_public) {
        (void)FAIL(&error, ERROR_SIGN_IN, "introspection is for apps that prove who they are");
        return refuse(request, &error, 0);
    }
    if (!app_introspect(api_of(request)->access, &request->arena, &client,
                        http_query_value(request, STR("token")), &answer, &error)) {
        return refuse(request, &error, 0);
    }
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict smart_revoke(struct http_request *request)
{
    struct error error = { 0 };
    struct app_client client = { 0 };
    uint32_t retry_after_s = 0;
    if (!authenticate(request, &client, &retry_after_s, &error)) {
        return refuse(request, &error, retry_after_s);
    }
    struct access_session who = { .means = ACCESS_BY_APP, .app = client.id };
    if (!app_revoke(api_of(request)->access, &request->arena, &client,
                    http_query_value(request, STR("token")), &error) ||
        !smart_audit(request, &who, "smart-revoke", AUDIT_SUCCESS, &error)) {
        return refuse(request, &error, 0);
    }
    http_respond(request, 200, STR_NONE, STR(""));
    return HTTP_DONE;
}
