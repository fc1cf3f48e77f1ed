/* SMART App Launch 2.2 for people: what there is (.well-known), /auth/authorize, and the consent screen's two routes.
 * Only moves text between HTTP and access/app.h. */
#include "api/smart.h"

#include "access/audit.h"
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "http/query.h"

enum { LOCATION_BYTES_MAX = 8 * 1024 };

/* ---- addresses ---- */

struct str smart_base(struct http_request *request)
{
    return api_url(request, "%s", "");
}

struct str smart_url(struct http_request *request, const char *path)
{
    struct str base = smart_base(request);
    struct str origin = str_slice(base, 0, str_find_last_char(base, '/'));
    return arena_printf(&request->arena, "%.*s%s", STR_FMT(origin), path);
}

struct str smart_parameter(const struct http_request *request, struct str name, bool *twice)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (str_equal(request->pairs[i].name, name)) {
            *twice = *twice || found.at != NULL;
            found = request->pairs[i].value;
        }
    }
    return found;
}

bool smart_audit(struct http_request *request, const struct access_session *session, const char *operation,
                 enum audit_outcome outcome, struct error *error)
{
    struct api *api = api_of(request);
    struct access_act act = { .interaction = ACCESS_OPERATION, .operation = str_from_cstr(operation) };
    struct audit_record record = { .interaction = act.interaction, .operation = act.operation };
    if (api->audit == NULL) {
        return true;
    }
    if (session != NULL) {
        record = audit_record_of(session, act);
    }
    record.time_ms = clock_now_ms();
    record.route = str_from_cstr(request->route->template);
    record.outcome = outcome;
    record.count = 1;
    return audit_read_done(api->audit, &record, error);
}

/* ---- .well-known ---- */

static void add_texts(struct arena *arena, struct json *object, struct str name, const char *const *texts)
{
    struct json *list = json_add(object, name, json_new(arena, JSON_ARRAY));
    for (; *texts != NULL; texts++) {
        (void)json_append(list, json_new_string(arena, str_from_cstr(*texts)));
    }
}

static void add_endpoints(struct http_request *request, struct json *answer)
{
    struct arena *arena = &request->arena;
    (void)json_add_text(arena, answer, STR("issuer"), smart_base(request));
    (void)json_add_text(arena, answer, STR("jwks_uri"), smart_url(request, "/auth/jwks"));
    (void)json_add_text(arena, answer, STR("authorization_endpoint"), smart_url(request, "/auth/authorize"));
    (void)json_add_text(arena, answer, STR("token_endpoint"), smart_url(request, "/auth/token"));
    (void)json_add_text(arena, answer, STR("introspection_endpoint"), smart_url(request, "/auth/introspect"));
    (void)json_add_text(arena, answer, STR("revocation_endpoint"), smart_url(request, "/auth/revoke"));
    add_texts(arena, answer, STR("response_types_supported"), (const char *const[]){ "code", NULL });
    add_texts(arena, answer, STR("code_challenge_methods_supported"), (const char *const[]){ "S256", NULL });
    add_texts(arena, answer, STR("token_endpoint_auth_methods_supported"),
              (const char *const[]){ "client_secret_basic", "private_key_jwt", "none", NULL });
    add_texts(arena, answer, STR("token_endpoint_auth_signing_alg_values_supported"),
              (const char *const[]){ "RS384", "ES384", NULL });
}

enum http_verdict smart_configuration(struct http_request *request)
{
    static const char *const capabilities[] = { "launch-standalone",
                                                "launch-ehr",
                                                "context-standalone-patient",
                                                "context-ehr-patient",
                                                "context-ehr-encounter",
                                                "client-public",
                                                "client-confidential-symmetric",
                                                "client-confidential-asymmetric",
                                                "sso-openid-connect",
                                                "permission-offline",
                                                "permission-online",
                                                "permission-patient",
                                                "permission-user",
                                                "permission-v1",
                                                "permission-v2",
                                                NULL };
    struct arena *arena = &request->arena;
    struct json *answer = json_new(arena, JSON_OBJECT);
    add_endpoints(request, answer);
    add_texts(arena, answer, STR("grant_types_supported"),
              (const char *const[]){ "authorization_code", "refresh_token", "client_credentials", NULL });
    add_texts(arena, answer, STR("scopes_supported"),
              (const char *const[]){ "openid", "fhirUser", "launch", "launch/patient", "launch/encounter",
                                     "offline_access", "online_access", "patient/*.cruds", "user/*.cruds",
                                     "system/*.cruds", NULL });
    add_texts(arena, answer, STR("capabilities"), capabilities);
    http_add_header(request, STR("Cache-Control"), STR("no-cache"));
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

/* OpenID Connect Discovery, as far as a client needs it to check an id_token. */
enum http_verdict smart_openid_configuration(struct http_request *request)
{
    struct arena *arena = &request->arena;
    struct json *answer = json_new(arena, JSON_OBJECT);
    add_endpoints(request, answer);
    add_texts(arena, answer, STR("subject_types_supported"), (const char *const[]){ "public", NULL });
    add_texts(arena, answer, STR("id_token_signing_alg_values_supported"),
              (const char *const[]){ "RS256", NULL });
    add_texts(arena, answer, STR("scopes_supported"),
              (const char *const[]){ "openid", "fhirUser", "offline_access", NULL });
    http_add_header(request, STR("Cache-Control"), STR("no-cache"));
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict smart_keys(struct http_request *request)
{
    struct error error = { 0 };
    struct json *set = NULL;
    if (!app_key_set(api_of(request)->access, &request->arena, &set, &error)) {
        return api_fail(request, &error);
    }
    http_add_header(request, STR("Cache-Control"), STR("no-cache"));
    api_respond_json(request, 200, false, set);
    return HTTP_DONE;
}

/* ---- what an app asks for ---- */

static const char *oauth_word(const struct error *error)
{
    switch ((int)error->kind) {
    case ERROR_UNSUPPORTED:
        return "unsupported_response_type";
    case ERROR_RULE:
        return "invalid_scope";
    case ERROR_BUSY:
    case ERROR_TOO_MANY:
        return "temporarily_unavailable";
    case ERROR_INTERNAL:
        return "server_error";
    default:
        return "invalid_request";
    }
}

/* The app's address with what it is told in its query (RFC 6749 section 4.1.2). */
static struct str address_with(struct http_request *request, const struct app_ask *ask, const char *name,
                               struct str value)
{
    struct buf buf = { .bytes_max = LOCATION_BYTES_MAX };
    buf_add(&buf, ask->redirect);
    buf_printf(&buf, "%s%s=", str_find_char(ask->redirect, '?') < ask->redirect.len ? "&" : "?", name);
    percent_encode(&buf, value);
    buf_add(&buf, STR("&iss=")); /* RFC 9207: whose answer it is */
    percent_encode(&buf, smart_base(request));
    if (ask->state.len > 0) {
        buf_add(&buf, STR("&state="));
        percent_encode(&buf, ask->state);
    }
    struct str text = buf.failed ? STR_NONE : arena_dup(&request->arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static struct app_ask ask_of_query(struct http_request *request, bool *twice)
{
    return (struct app_ask){
        .app = smart_parameter(request, STR("client_id"), twice),
        .redirect = smart_parameter(request, STR("redirect_uri"), twice),
        .response_type = smart_parameter(request, STR("response_type"), twice),
        .scope = smart_parameter(request, STR("scope"), twice),
        .state = smart_parameter(request, STR("state"), twice),
        .aud = smart_parameter(request, STR("aud"), twice),
        .challenge = smart_parameter(request, STR("code_challenge"), twice),
        .challenge_method = smart_parameter(request, STR("code_challenge_method"), twice),
        .nonce = smart_parameter(request, STR("nonce"), twice),
        .launch = smart_parameter(request, STR("launch"), twice),
    };
}

static enum http_verdict go_to(struct http_request *request, struct str address)
{
    struct error error = { 0 };
    if (address.at == NULL) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "the address is too long");
        return api_fail(request, &error);
    }
    http_add_header(request, STR("Location"), address);
    http_respond(request, 302, STR_NONE, STR(""));
    return HTTP_DONE;
}

/* A page of ours asks the person: only from there does the browser send the session's cookie (SameSite=Strict). An app or
 * an address that is not registered is told on that page, and never gone to. */
enum http_verdict smart_authorize(struct http_request *request)
{
    struct error error = { 0 };
    struct app_asked asked = { 0 };
    bool twice = false;
    struct app_ask ask = ask_of_query(request, &twice);
    bool ok =
        app_check_ask(api_of(request)->access, &request->arena, &ask, smart_base(request), &asked, &error);
    if (ok && twice) {
        ok = FAIL(&error, ERROR_INPUT, "a parameter stands there twice");
    }
    if (!ok && asked.redirect_known) {
        return go_to(request, address_with(request, &ask, "error", str_from_cstr(oauth_word(&error))));
    }
    return go_to(request, arena_concat(&request->arena, STR("/allow?"), request->query));
}

/* ---- the consent screen ---- */

static struct str letters(struct arena *arena, unsigned acts)
{
    static const char names[] = "cruds";
    char text[6] = "";
    size_t len = 0;
    for (size_t i = 0; i < 5; i++) {
        if ((acts & (1u << i)) != 0) {
            text[len++] = names[i];
        }
    }
    return arena_dup(arena, (struct str){ text, len });
}

static struct json *scope_json(struct arena *arena, const struct access_session *session,
                               const struct scope *scope)
{
    static const char *const contexts[] = { "patient", "user", "system" };
    struct json *row = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, row, STR("scope"), scope->text);
    (void)json_add_text(arena, row, STR("context"), str_from_cstr(contexts[scope->context]));
    (void)json_add_text(arena, row, STR("type"), scope->type);
    (void)json_add_text(arena, row, STR("acts"), letters(arena, scope->acts));
    (void)json_add_text(arena, row, STR("within"), letters(arena, app_scope_within(session, scope)));
    if (scope->query.at != NULL) {
        (void)json_add_text(arena, row, STR("query"), scope->query);
    }
    return row;
}

enum http_verdict smart_consent_get(struct http_request *request)
{
    struct error error = { 0 };
    struct arena *arena = &request->arena;
    struct access *access = api_of(request)->access;
    const struct access_session *session = &call_of(request)->session;
    struct app_asked asked = { 0 };
    bool twice = false;
    struct app_ask ask = ask_of_query(request, &twice);
    if (!app_check_ask(access, arena, &ask, smart_base(request), &asked, &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(arena, JSON_OBJECT);
    struct json *app = json_add(answer, STR("app"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, app, STR("id"), ask.app);
    (void)json_add_text(arena, app, STR("name"), asked.name);
    (void)json_add_text(arena, answer, STR("address"), ask.redirect);
    struct json *list = json_add(answer, STR("scopes"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < asked.scopes.count; i++) {
        (void)json_append(list, scope_json(arena, session, &asked.scopes.scopes[i]));
    }
    struct app_context context = app_launch_context(access, arena, session, ask.launch);
    (void)json_add(answer, STR("identity"), json_new_bool(arena, asked.scopes.openid));
    (void)json_add(answer, STR("offline"), json_new_bool(arena, asked.scopes.offline));
    (void)json_add(answer, STR("needsPatient"), json_new_bool(arena, asked.scopes.launch_patient));
    if (context.patient.len > 0) {
        (void)json_add_text(arena, answer, STR("patient"), context.patient);
    }
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

static struct app_ask ask_of_body(struct arena *arena, const struct json *body)
{
    const struct json *query = JSON_GET(body, "query");
    return (struct app_ask){
        .app = JSON_TEXT(arena, query, "client_id"),
        .redirect = JSON_TEXT(arena, query, "redirect_uri"),
        .response_type = JSON_TEXT(arena, query, "response_type"),
        .scope = JSON_TEXT(arena, query, "scope"),
        .state = JSON_TEXT(arena, query, "state"),
        .aud = JSON_TEXT(arena, query, "aud"),
        .challenge = JSON_TEXT(arena, query, "code_challenge"),
        .challenge_method = JSON_TEXT(arena, query, "code_challenge_method"),
        .nonce = JSON_TEXT(arena, query, "nonce"),
        .launch = JSON_TEXT(arena, query, "launch"),
    };
}

/* The patient in context is one that the person may read. */
static bool patient_check(struct http_request *request, struct str patient, struct error *error)
{
    const struct fhir_wanted wanted = { .type = STR("Patient"), .id = patient };
    struct store_version version;
    struct json *resource = NULL;
    return patient.len == 0 || operation_read(request, &wanted, &version, &resource, error);
}

/* Of the patient in context, and one that the person may read. */
static bool encounter_check(struct http_request *request, const struct app_context *context,
                            struct error *error)
{
    const struct fhir_wanted wanted = { .type = STR("Encounter"), .id = context->encounter };
    struct store_version version;
    struct json *resource = NULL;
    if (context->encounter.len == 0) {
        return true;
    }
    if (context->patient.len == 0) {
        return FAIL(error, ERROR_INPUT, "an encounter is opened with its patient");
    }
    if (!operation_read(request, &wanted, &version, &resource, error)) {
        return false;
    }
    struct str subject = JSON_TEXT(&request->arena, JSON_GET(resource, "subject"), "reference");
    return str_equal(subject, arena_concat(&request->arena, STR("Patient/"), context->patient)) ||
           FAIL(error, ERROR_INPUT, "the encounter is another patient's");
}

static enum http_verdict answer_address(struct http_request *request, struct str address)
{
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, answer, STR("redirect"), address);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

static bool allow(struct http_request *request, const struct json *body, const struct app_ask *ask,
                  const struct app_asked *asked, struct str *code, struct error *error)
{
    struct arena *arena = &request->arena;
    struct access *access = api_of(request)->access;
    const struct access_session *session = &call_of(request)->session;
    bool declined[SCOPES_MAX] = { false };
    struct app_context context = app_launch_context(access, arena, session, ask->launch);
    struct app_choice choice = { .patient = context.patient,
                                 .encounter = context.encounter,
                                 .declined = declined };
    if (choice.patient.len == 0) {
        choice.patient = JSON_TEXT(arena, body, "patient");
    }
    if (!asked->scopes.launch_patient && !asked->scopes.launch) {
        choice.patient = STR_NONE; /* nobody asked for one */
        choice.encounter = STR_NONE;
    }
    JSON_EACH(one, JSON_GET(body, "declined")) {
        for (size_t i = 0; i < asked->scopes.count; i++) {
            declined[i] = declined[i] || json_equals_text(one, asked->scopes.scopes[i].text);
        }
    }
    return patient_check(request, choice.patient, error) &&
           app_allow(access, arena, session, ask, asked, &choice, code, error);
}

enum http_verdict smart_consent(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct app_asked asked = { 0 };
    struct str code = STR_NONE;
    const struct access_session *session = &call_of(request)->session;
    if (!api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    struct app_ask ask = ask_of_body(&request->arena, body);
    if (!app_check_ask(api_of(request)->access, &request->arena, &ask, smart_base(request), &asked, &error)) {
        return api_fail(request, &error);
    }
    if (!json_is_true(JSON_GET(body, "allow"))) {
        if (!smart_audit(request, session, "smart-deny", AUDIT_SUCCESS, &error)) {
            return api_fail(request, &error);
        }
        return answer_address(request, address_with(request, &ask, "error", STR("access_denied")));
    }
    struct access_session record = *session;
    record.app = ask.app;
    if (!allow(request, body, &ask, &asked, &code, &error) ||
        !smart_audit(request, &record, "smart-allow", AUDIT_SUCCESS, &error)) {
        return api_fail(request, &error);
    }
    return answer_address(request, address_with(request, &ask, "code", code));
}

/* ---- opened from the screens ---- */

/* Apps that can be opened from here. */
enum http_verdict smart_apps(struct http_request *request)
{
    struct error error = { 0 };
    struct arena *arena = &request->arena;
    struct json *all = NULL;
    struct json *answer = json_new(arena, JSON_OBJECT);
    struct json *list = json_add(answer, STR("apps"), json_new(arena, JSON_ARRAY));
    if (!app_list(api_of(request)->access, arena, &all, &error)) {
        return api_fail(request, &error);
    }
    JSON_EACH(app, all) {
        if (JSON_TEXT(arena, app, "launch").len > 0 && !json_is_true(JSON_GET(app, "disabled"))) {
            struct json *row = json_append(list, json_new(arena, JSON_OBJECT));
            (void)json_add_text(arena, row, STR("id"), JSON_TEXT(arena, app, "id"));
            (void)json_add_text(arena, row, STR("name"), JSON_TEXT(arena, app, "name"));
        }
    }
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict smart_launch(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct app_opened opened = { STR_NONE, STR_NONE };
    if (!api_read_json(request, &body, &error)) {
        return api_fail(request, &error);
    }
    const struct app_context context = { .patient = JSON_TEXT(&request->arena, body, "patient"),
                                         .encounter = JSON_TEXT(&request->arena, body, "encounter") };
    struct str app = JSON_TEXT(&request->arena, body, "app");
    struct access_session record = call_of(request)->session;
    record.app = app;
    if (!patient_check(request, context.patient, &error) || !encounter_check(request, &context, &error) ||
        !app_launch(api_of(request)->access, &request->arena, &call_of(request)->session, app, &context,
                    &opened, &error) ||
        !smart_audit(request, &record, "smart-launch", AUDIT_SUCCESS, &error)) {
        return api_fail(request, &error);
    }
    struct buf buf = { .bytes_max = LOCATION_BYTES_MAX };
    buf_add(&buf, opened.address);
    buf_add(&buf, str_find_char(opened.address, '?') < opened.address.len ? STR("&iss=") : STR("?iss="));
    percent_encode(&buf, smart_base(request));
    buf_add(&buf, STR("&launch="));
    buf_add(&buf, opened.launch);
    struct str whole = buf.failed ? STR_NONE : arena_dup(&request->arena, buf_str(&buf));
    buf_deinit(&buf);
    return answer_address(request, whole);
}
