/* app_token.c — an app's access token in use: the session of a request, introspection, revocation. */
#include "access/actor.h"
#include "access/app_internal.h"

/* ---- the session of a request ---- */

struct found {
    struct app_grant grant; /* its scopes in the arena */
    uint64_t number;
    int64_t ends_ms;
    char language[3];
    struct access_actor *actor; /* a reference; NULL: to be made */
};

static bool account_open(struct access *access, const struct app_grant *grant, struct found *found)
{
    const struct account *account =
        grant->account[0] == '\0' ? NULL : account_find(access, str_from_cstr(grant->account));
    if (account != NULL) {
        memcpy(found->language, account->language, sizeof found->language);
    }
    return grant->account[0] == '\0' || (account != NULL && !account->disabled);
}

/* Whether the token is in force; then *found. */
static bool look(struct access *access, struct arena *arena, const uint8_t key[SHA256_BYTES],
                 struct found *found)
{
    bool ok = false;
    (void)pthread_mutex_lock(&access->lock);
    const struct app_access *token = app_token_find(access, key);
    struct app_grant *grant = token == NULL ? NULL : app_grant_find(access, str_from_cstr(token->family));
    if (grant != NULL && access_now_ms(access) < token->ends_ms &&
        app_find(access, str_from_cstr(grant->app)) != NULL && account_open(access, grant, found)) {
        found->grant = *grant;
        found->grant.actor = NULL;
        found->grant.scopes = arena_dup(arena, grant->scopes);
        found->number = token->number;
        found->ends_ms = token->ends_ms;
        bool usable = grant->actor != NULL && !actor_is_stale(access, grant->actor);
        found->actor = usable ? actor_ref(grant->actor) : NULL;
        ok = found->grant.scopes.at != NULL;
    }
    (void)pthread_mutex_unlock(&access->lock);
    return ok;
}

static bool actor_make(struct access *access, struct found *found, struct error *error)
{
    const struct actor_start start = { .practitioner = str_from_cstr(found->grant.practitioner),
                                       .post = str_from_cstr(found->grant.post),
                                       .scopes = found->grant.scopes,
                                       .patient = str_from_cstr(found->grant.patient) };
    if (!actor_create(access, &start, &found->actor, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_find(access, str_from_cstr(found->grant.family));
    if (grant != NULL) {
        actor_unref(grant->actor);
        grant->actor = actor_ref(found->actor);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return true;
}

bool app_session(struct access *access, struct arena *arena, struct str secret,
                 struct access_session *session, struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct found found = { 0 };
    if (!hash_sha256(secret, key, error)) {
        return false;
    }
    if (!look(access, arena, key, &found)) {
        actor_unref(found.actor);
        return FAIL(error, ERROR_SIGN_IN, "the app's token has ended or was revoked");
    }
    if (found.actor == NULL && !actor_make(access, &found, error)) {
        return false;
    }
    *session = (struct access_session){ .means = ACCESS_BY_APP,
                                        .number = found.number,
                                        .language = strcmp(found.language, "en") == 0 ? STR("en") : STR("zh"),
                                        .app = arena_dup(arena, str_from_cstr(found.grant.app)),
                                        .scopes = found.grant.scopes,
                                        .patient = arena_dup(arena, str_from_cstr(found.grant.patient)) };
    return actor_attach(arena, found.actor, session, error);
}

/* ---- introspection and revocation ---- */

static bool secret_of(struct str token, uint8_t key[SHA256_BYTES])
{
    struct error ignored = { 0 };
    static const struct str prefix = { APP_TOKEN_PREFIX, sizeof APP_TOKEN_PREFIX - 1 };
    return str_starts_with(token, prefix) && hash_sha256(str_skip(token, prefix.len), key, &ignored);
}

bool app_introspect(struct access *access, struct arena *arena, const struct app_client *client,
                    struct str token, struct json **answer, struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct found found = { 0 };
    struct json *made = json_new(arena, JSON_OBJECT);
    bool active = secret_of(token, key) && look(access, arena, key, &found) &&
                  str_equal_cstr(client->id, found.grant.app);
    actor_unref(found.actor);
    (void)json_add(made, STR("active"), json_new_bool(arena, active));
    if (active) {
        struct str patient = arena_dup(arena, str_from_cstr(found.grant.patient));
        struct str person = arena_dup(arena, str_from_cstr(found.grant.practitioner));
        (void)json_add_text(arena, made, STR("scope"), found.grant.scopes);
        (void)json_add_text(arena, made, STR("client_id"), client->id);
        (void)json_add_text(arena, made, STR("token_type"), STR("Bearer"));
        (void)json_add(made, STR("exp"), json_new_integer(arena, found.ends_ms / 1000));
        (void)json_add_text(arena, made, STR("sub"), person);
        if (str_find(found.grant.scopes, STR("fhirUser")) < found.grant.scopes.len) {
            (void)json_add_text(arena, made, STR("fhirUser"),
                                arena_concat(arena, STR("Practitioner/"), person));
        }
        if (patient.len > 0) {
            (void)json_add_text(arena, made, STR("patient"), patient);
        }
    }
    *answer = made;
    return made != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool app_revoke(struct access *access, struct arena *arena, const struct app_client *client, struct str token,
                struct error *error)
{
    static const struct str prefix = { APP_REFRESH_PREFIX, sizeof APP_REFRESH_PREFIX - 1 };
    uint8_t key[SHA256_BYTES];
    if (str_starts_with(token, prefix)) {
        return app_family_end(access, arena, str_skip(token, prefix.len), client->id, error);
    }
    if (!secret_of(token, key)) {
        return true;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_access *found = app_token_find(access, key);
    const struct app_grant *grant =
        found == NULL ? NULL : app_grant_find(access, str_from_cstr(found->family));
    if (grant != NULL && str_equal_cstr(client->id, grant->app)) {
        slots_remove(&access->app_tokens, &found->slot);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return true;
}
