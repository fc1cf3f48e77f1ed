/* app_issue.c — from a code, a refresh token or a service's own post to the next tokens. */
#include "access/actor.h"
#include "access/app_internal.h"
#include "access/jose.h"

enum {
    VERIFIER_BYTES_MIN = 43, /* RFC 7636 section 4.1 */
    VERIFIER_BYTES_MAX = 128,
    TOKENS_OF_GRANT_MAX = 10
};

static const int64_t day_ms = 24LL * 60 * 60 * 1000;

/* ---- tokens ---- */

static bool refuse_grant(struct error *error)
{
    return FAIL(error, ERROR_FORBIDDEN, "the code or token is not good, or no longer");
}

/* With `lock` held: one more access token of a grant. */
static bool access_token_add(struct access *access, const struct app_grant *grant,
                             const uint8_t key[SHA256_BYTES], int64_t ends_ms)
{
    size_t of_app = 0;
    size_t of_grant = 0;
    struct app_access *oldest = NULL;
    for (struct slot *item = slots_each(&access->app_tokens, NULL); item != NULL;
         item = slots_each(&access->app_tokens, item)) {
        struct app_access *token = (struct app_access *)item;
        const struct app_grant *of = app_grant_find(access, str_from_cstr(token->family));
        of_app += of != NULL && strcmp(of->app, grant->app) == 0;
        if (of == grant) {
            of_grant++;
            oldest = oldest == NULL || token->number < oldest->number ? token : oldest;
        }
    }
    if (of_grant >= TOKENS_OF_GRANT_MAX) {
        slots_remove(&access->app_tokens, &oldest->slot);
        of_app--;
    }
    struct app_access *token =
        of_app >= ACCESS_APP_TOKENS_OF_APP ? NULL : slots_add(&access->app_tokens, app_key_hash(key));
    if (token == NULL) {
        return false;
    }
    memcpy(token->key, key, SHA256_BYTES);
    memcpy(token->family, grant->family, sizeof token->family);
    token->ends_ms = ends_ms;
    token->number = ++access->sessions_made;
    return true;
}

static bool token_told(struct arena *arena, const struct app_grant *grant, const struct app_secret *secret,
                       uint32_t seconds, struct app_token *token)
{
    *token = (struct app_token){
        .access_token = arena_concat(arena, STR(APP_TOKEN_PREFIX), secret->text),
        .expires_s = seconds,
        .scopes = arena_dup(arena, grant->scopes),
        .patient = arena_dup(arena, str_from_cstr(grant->patient)),
        .encounter = arena_dup(arena, str_from_cstr(grant->encounter)),
        .nonce = arena_dup(arena, str_from_cstr(grant->nonce)),
        .session = { .means = ACCESS_BY_APP,
                     .person = arena_dup(arena, str_from_cstr(grant->practitioner)),
                     .post = arena_dup(arena, str_from_cstr(grant->post)),
                     .app = arena_dup(arena, str_from_cstr(grant->app)),
                     .scopes = arena_dup(arena, grant->scopes) },
    };
    struct scope_list list = { 0 };
    struct error ignored = { 0 };
    if (token->access_token.at == NULL || token->scopes.at == NULL ||
        !scope_list_read(arena, token->scopes, &list, &ignored)) {
        return false;
    }
    token->openid = list.openid;
    return true;
}

/* The post as it is now must still hold, and the account be open: else the grant gives nothing more. */
static bool grant_lives(struct access *access, struct arena *arena, const struct app_grant *grant,
                        struct str *organization, struct error *error)
{
    struct access_actor *actor = NULL;
    const struct actor_start start = { .practitioner = str_from_cstr(grant->practitioner),
                                       .post = str_from_cstr(grant->post),
                                       .scopes = grant->scopes,
                                       .patient = str_from_cstr(grant->patient) };
    (void)pthread_mutex_lock(&access->lock);
    const struct account *account =
        grant->account[0] == '\0' ? NULL : account_find(access, str_from_cstr(grant->account));
    bool open = grant->account[0] == '\0' || (account != NULL && !account->disabled);
    open = open && app_find(access, str_from_cstr(grant->app)) != NULL;
    (void)pthread_mutex_unlock(&access->lock);
    struct error ended = { 0 };
    if (!open || !actor_create(access, &start, &actor, &ended)) {
        return ended.kind == ERROR_NONE || ended.kind == ERROR_FORBIDDEN
                   ? refuse_grant(error)
                   : FAIL(error, ended.kind, "%.150s", ended.text);
    }
    *organization = arena_dup(arena, actor->organization);
    actor_unref(actor);
    return true;
}

static bool verifier_fits(struct arena *arena, const struct app_grant *grant, struct str verifier)
{
    uint8_t digest[SHA256_BYTES];
    struct error ignored = { 0 };
    return verifier.len >= VERIFIER_BYTES_MIN && verifier.len <= VERIFIER_BYTES_MAX &&
           hash_sha256(verifier, digest, &ignored) &&
           text_equal_in_constant_time(jose_base64(arena, digest, sizeof digest),
                                       str_from_cstr(grant->challenge));
}

/* Takes the code, once. False with nothing given away: what was wrong is not told. */
static bool code_take(struct access *access, struct arena *arena, const struct app_client *client,
                      const struct app_exchange *exchange, struct str family, struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct str ignored = STR_NONE;
    bool taken = false;
    bool theft = false;
    if (!app_secret_split(exchange->code, &ignored, key)) {
        return refuse_grant(error);
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_find(access, family);
    if (grant != NULL && app_key_same(grant->code_key, key) && str_equal_cstr(client->id, grant->app)) {
        taken = !grant->code_used && access_now_ms(access) < grant->code_ends_ms &&
                str_equal_cstr(exchange->redirect, grant->redirect) &&
                verifier_fits(arena, grant, exchange->verifier);
        theft = !taken;
        grant->code_used = true;
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (theft && !app_grant_end(access, arena, family, error)) {
        return false;
    }
    return taken || refuse_grant(error);
}

/* Tokens for a grant that was just proved; with offline_access a new refresh token, stored before it is told. */
static bool issue(struct access *access, struct arena *arena, struct str family, uint32_t seconds,
                  struct app_token *token, struct error *error)
{
    struct app_secret secret;
    struct app_secret refresh;
    struct app_grant copy;
    struct rows_change change = { 0 };
    struct scope_list list = { 0 };
    struct str organization = STR_NONE;
    int64_t now_ms = access_now_ms(access);
    int64_t ends_ms = now_ms + (int64_t)seconds * 1000;
    if (!app_grant_copy(access, arena, family, &copy) ||
        !grant_lives(access, arena, &copy, &organization, error)) {
        return error->kind != ERROR_NONE ? false : refuse_grant(error);
    }
    if (!app_secret_make(arena, &secret, error) || !app_secret_make(arena, &refresh, error) ||
        !scope_list_read(arena, copy.scopes, &list, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_find(access, family);
    bool ok = grant != NULL && access_token_add(access, grant, secret.key, ends_ms);
    bool online = false;
    if (ok) {
        online = list.online && !list.offline && session_is_open(access, grant->session_number);
        grant->offline = list.offline;
        grant->online = online;
        grant->ends_ms = list.offline ? grant->created_ms + APP_REFRESH_DAYS * day_ms
                         : online     ? grant->created_ms + day_ms /* a session ends before */
                                      : ends_ms;
        memcpy(grant->refresh_key, refresh.key, sizeof grant->refresh_key);
        ok = token_told(arena, grant, &secret, seconds, token) &&
             (!list.offline || app_grant_row(arena, grant, &change, error));
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (!ok) {
        return FAIL(error, ERROR_TOO_MANY, "too many tokens of this app are in force");
    }
    token->session.organization = organization;
    if (list.offline || online) {
        token->refresh_token =
            arena_printf(arena, APP_REFRESH_PREFIX "%.*s%.*s", STR_FMT(family), STR_FMT(refresh.text));
    }
    return !list.offline || access->options.rows.write(access->options.rows.context, &change, 1, error);
}

bool app_exchange_code(struct access *access, struct arena *arena, const struct app_client *client,
                       const struct app_exchange *exchange, struct app_token *token, struct error *error)
{
    struct str family = str_slice(exchange->code, 0, (size_t)(2 * APP_FAMILY_BYTES));
    error->kind = ERROR_NONE;
    return code_take(access, arena, client, exchange, family, error) &&
           issue(access, arena, family, APP_TOKEN_SECONDS, token, error);
}

bool app_refresh(struct access *access, struct arena *arena, const struct app_client *client,
                 struct str refresh, struct str scope, struct app_token *token, struct error *error)
{
    static const struct str prefix = { APP_REFRESH_PREFIX, sizeof APP_REFRESH_PREFIX - 1 };
    uint8_t key[SHA256_BYTES];
    struct str family = STR_NONE;
    struct app_grant copy;
    bool current = false;
    bool known = false;
    error->kind = ERROR_NONE;
    if (!str_starts_with(refresh, prefix) || !app_secret_split(str_skip(refresh, prefix.len), &family, key) ||
        !app_grant_copy(access, arena, family, &copy) || !str_equal_cstr(client->id, copy.app)) {
        return refuse_grant(error);
    }
    if (scope.len > 0 && !str_equal(scope, copy.scopes)) {
        return FAIL(error, ERROR_RULE,
                    "the scopes of a refresh are those that were granted: leave scope out");
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_find(access, family);
    bool refreshable = grant != NULL &&
                       (grant->offline || (grant->online && session_is_open(access, grant->session_number)));
    if (refreshable && access_now_ms(access) < grant->ends_ms) {
        known = true;
        current = app_key_same(grant->refresh_key, key);
        if (current) {
            memset(grant->refresh_key, 0,
                   sizeof grant->refresh_key); /* nobody else comes in with it meanwhile */
        }
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (!current) {
        return known && !app_grant_end(access, arena, family, error) ? false : refuse_grant(error);
    }
    return issue(access, arena, family, APP_TOKEN_SECONDS, token, error);
}

/* The person behind the app's own post. */
static bool own_practitioner(struct access *access, struct arena *arena, struct str post,
                             struct str *practitioner, struct error *error)
{
    struct json *resource = NULL;
    struct post_info info = { 0 };
    const struct access_directory *directory = &access->options.directory;
    if (!directory->read(directory->context, arena, STR("PractitionerRole"), post, &resource, error) ||
        (resource != NULL && !post_read(access, arena, resource, &info, error))) {
        return false;
    }
    *practitioner = info.practitioner;
    return info.usable || refuse_grant(error);
}

bool app_own_token(struct access *access, struct arena *arena, const struct app_client *client,
                   struct str scope, struct app_token *token, struct error *error)
{
    struct scope_list list = { 0 };
    struct str family = STR_NONE;
    struct str practitioner = STR_NONE;
    error->kind = ERROR_NONE;
    if (client->post.len == 0) {
        return FAIL(error, ERROR_UNSUPPORTED, "this app acts for people: authorization_code");
    }
    if (!scope_list_read(arena, scope, &list, error) ||
        !app_scopes_bound(arena, client->scopes, true, &list, error)) {
        return false;
    }
    list = (struct scope_list){ .scopes = list.scopes, .count = list.count };
    struct str scopes = scope_list_text(arena, &list, NULL);
    if (scopes.len == 0) {
        return FAIL(error, ERROR_RULE, "none of these scopes can be had by this app: it asks for system/…");
    }
    if (!own_practitioner(access, arena, client->post, &practitioner, error) ||
        !app_family_make(arena, &family, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_add(access, family, scopes);
    bool ok = grant != NULL && text_copy(client->id, grant->app, sizeof grant->app) &&
              text_copy(practitioner, grant->practitioner, sizeof grant->practitioner) &&
              text_copy(client->post, grant->post, sizeof grant->post);
    if (ok) {
        grant->created_ms = access_now_ms(access);
        grant->ends_ms = grant->created_ms + (int64_t)APP_SYSTEM_TOKEN_SECONDS * 1000;
        grant->code_used = true;
    } else if (grant != NULL) {
        app_grant_drop(access, grant);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return ok ? issue(access, arena, family, APP_SYSTEM_TOKEN_SECONDS, token, error)
              : FAIL(error, ERROR_BUSY, "too many apps are at work at once");
}
