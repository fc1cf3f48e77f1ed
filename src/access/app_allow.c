/* app_allow.c — what an app asks a person for, and the code that his yes becomes. */
#include "access/actor.h"
#include "access/app_internal.h"

enum { STATE_BYTES_MAX = 1024, CHALLENGE_BYTES = 43 /* base64url of SHA-256 */ };

/* ---- what is asked for ---- */

static bool redirect_is_known(struct arena *arena, const struct json *row, struct str address)
{
    JSON_EACH(one, JSON_GET(row, "redirect")) {
        if (address.len > 0 && str_equal(json_text(arena, one), address)) {
            return true;
        }
    }
    return false;
}

/* Without what the registration does not let it ask for, and without what is not for people. */
bool app_scopes_bound(struct arena *arena, struct str bound, bool system, struct scope_list *list,
                      struct error *error)
{
    struct scope_list most = { 0 };
    size_t kept = 0;
    if (!scope_list_read(arena, bound, &most, error)) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct scope *scope = &list->scopes[i];
        bool within = bound.len == 0;
        for (size_t k = 0; k < most.count && !within; k++) {
            within = most.scopes[k].context == scope->context &&
                     scope_covers(&most.scopes[k], scope->type, scope->acts, false) &&
                     (most.scopes[k].query.at == NULL || str_equal(most.scopes[k].query, scope->query));
        }
        if (within && (scope->context == SCOPE_SYSTEM) == system) {
            list->scopes[kept++] = *scope;
        }
    }
    list->count = kept;
    if (bound.len > 0) {
        list->online = list->online && (most.online || most.offline);
        list->offline = list->offline && most.offline;
        list->openid = list->openid && most.openid;
        list->fhir_user = list->fhir_user && most.fhir_user;
    }
    return true;
}

static bool is_challenge(struct str text)
{
    bool fits = text.len == CHALLENGE_BYTES;
    for (size_t i = 0; fits && i < text.len; i++) {
        char c = text.at[i];
        fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    }
    return fits;
}

bool app_check_ask(struct access *access, struct arena *arena, const struct app_ask *ask, struct str base,
                   struct app_asked *asked, struct error *error)
{
    struct json *row = NULL;
    *asked = (struct app_asked){ 0 };
    if (!app_row(access, arena, ask->app, &row, error)) {
        return false;
    }
    asked->name = JSON_TEXT(arena, row, "name");
    if (!redirect_is_known(arena, row, ask->redirect)) {
        return FAIL(error, ERROR_NOT_FOUND, "the redirect address is not one that this app registered");
    }
    asked->redirect_known = true;
    if (!str_equal(ask->response_type, STR("code"))) {
        return FAIL(error, ERROR_UNSUPPORTED, "response_type is code");
    }
    if (!str_equal(ask->challenge_method, STR("S256")) || !is_challenge(ask->challenge)) {
        return FAIL(error, ERROR_INPUT, "code_challenge with code_challenge_method S256 is needed");
    }
    if (ask->state.len > STATE_BYTES_MAX || ask->state.len == 0 || ask->nonce.len >= ACCESS_NONCE_BYTES) {
        return FAIL(error, ERROR_INPUT, "state is needed, of at most %d bytes; a nonce has at most %d",
                    STATE_BYTES_MAX, ACCESS_NONCE_BYTES - 1);
    }
    struct str aud = str_ends_with(ask->aud, STR("/")) ? str_slice(ask->aud, 0, ask->aud.len - 1) : ask->aud;
    if (!str_equal(aud, base)) {
        return FAIL(error, ERROR_INPUT, "aud is the address of this server's FHIR interface");
    }
    if (!scope_list_read(arena, ask->scope, &asked->scopes, error) ||
        !app_scopes_bound(arena, JSON_TEXT(arena, row, "scopes"), false, &asked->scopes, error)) {
        return false;
    }
    return asked->scopes.count > 0 || asked->scopes.openid ||
           FAIL(error, ERROR_RULE, "none of these scopes can be had by this app");
}

unsigned app_scope_within(const struct access_session *session, const struct scope *scope)
{
    static const struct {
        enum access_interaction interaction;
        unsigned act;
    } acts[] = { { ACCESS_READ, SCOPE_READ },
                 { ACCESS_SEARCH, SCOPE_SEARCH },
                 { ACCESS_CREATE, SCOPE_CREATE },
                 { ACCESS_UPDATE, SCOPE_UPDATE },
                 { ACCESS_DELETE, SCOPE_DELETE } };
    const struct access_actor *actor = session->actor;
    unsigned within = 0;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct access_act act = { .interaction = acts[i].interaction, .type = scope->type };
        bool has = access_has(session, act);
        for (size_t k = 0; str_equal(scope->type, STR("*")) && k < actor->rules_count && !has; k++) {
            has = actor->rules[k].parts_count > 0 && actor_rule_has_act(actor, &actor->rules[k], act);
        }
        within |= has ? acts[i].act : 0;
    }
    return within & scope->acts;
}

/* ---- allowing ---- */

static struct str granted_text(struct arena *arena, const struct access_session *session,
                               const struct app_asked *asked, const struct app_choice *choice)
{
    bool kept[SCOPES_MAX] = { false };
    struct scope_list list = asked->scopes;
    list.launch_encounter = list.launch_encounter && choice->encounter.len > 0;
    for (size_t i = 0; i < list.count; i++) {
        bool declined = choice->declined != NULL && choice->declined[i];
        kept[i] = !declined && app_scope_within(session, &list.scopes[i]) != 0;
    }
    return scope_list_text(arena, &list, kept);
}

static bool grant_fill(struct app_grant *grant, const struct access_session *session,
                       const struct account *account, const struct app_ask *ask,
                       const struct app_choice *choice)
{
    return text_copy(ask->app, grant->app, sizeof grant->app) &&
           text_copy(str_from_cstr(account->name), grant->account, sizeof grant->account) &&
           text_copy(session->person, grant->practitioner, sizeof grant->practitioner) &&
           text_copy(session->post, grant->post, sizeof grant->post) &&
           text_copy(choice->patient, grant->patient, sizeof grant->patient) &&
           text_copy(choice->encounter, grant->encounter, sizeof grant->encounter) &&
           text_copy(ask->redirect, grant->redirect, sizeof grant->redirect) &&
           text_copy(ask->challenge, grant->challenge, sizeof grant->challenge) &&
           text_copy(ask->nonce, grant->nonce, sizeof grant->nonce);
}

bool app_allow(struct access *access, struct arena *arena, const struct access_session *session,
               const struct app_ask *ask, const struct app_asked *asked, const struct app_choice *choice,
               struct str *code, struct error *error)
{
    struct account account;
    struct app_secret secret;
    struct str family = STR_NONE;
    int64_t now_ms = access_now_ms(access);
    struct str scopes = granted_text(arena, session, asked, choice);
    if (session->means != ACCESS_BY_COOKIE) {
        return FAIL(error, ERROR_FORBIDDEN, "a person allows an app, at a screen");
    }
    if (asked->scopes.launch_patient && choice->patient.len == 0) {
        return FAIL(error, ERROR_INPUT, "choose the patient first: the app asks for one patient's records");
    }
    if (scopes.len == 0) {
        return FAIL(error, ERROR_RULE, "nothing of what the app asks for is left to allow");
    }
    if (!session_account(access, session, &account, error) || !app_family_make(arena, &family, error) ||
        !app_secret_make(arena, &secret, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    app_grants_make_room(access, account.name, ask->app);
    struct app_grant *grant = app_grant_add(access, family, scopes);
    bool ok = grant != NULL && grant_fill(grant, session, &account, ask, choice);
    if (ok) {
        memcpy(grant->code_key, secret.key, sizeof grant->code_key);
        grant->created_ms = now_ms;
        grant->session_number = session->number;
        grant->code_ends_ms = now_ms + (int64_t)APP_CODE_SECONDS * 1000;
        grant->ends_ms = grant->code_ends_ms;
    } else if (grant != NULL) {
        app_grant_drop(access, grant);
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (!ok) {
        return FAIL(error, ERROR_BUSY, "too many apps are allowed at once");
    }
    *code = arena_concat(arena, family, secret.text);
    return code->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}
