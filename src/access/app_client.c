/* app_client.c — which app asks: by its secret, by a signed assertion, or a public one by name alone. And what is good
 * only once: assertions, and launches from the screens. */
#include <assert.h>

#include <sodium.h>

#include "access/app_internal.h"
#include "access/jose.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "http/query.h"

enum { FAILURES_FREE = 20, JTI_BYTES_MAX = 255, LAUNCH_MS = 5 * 60 * 1000, CLOCK_APART_S = 60 };

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* ---- once ---- */

struct app_once *app_once_find(const struct slots *slots, const uint8_t key[SHA256_BYTES])
{
    struct slot *slot = slots_find(slots, app_key_hash(key));
    while (slot != NULL && memcmp(((struct app_once *)slot)->key, key, SHA256_BYTES) != 0) {
        slot = slots_find_next(slot);
    }
    return (struct app_once *)slot;
}

struct app_once *app_once_add(struct slots *slots, const uint8_t key[SHA256_BYTES], int64_t ends_ms)
{
    struct app_once *once = slots_add(slots, app_key_hash(key));
    if (once != NULL) {
        memcpy(once->key, key, SHA256_BYTES);
        once->ends_ms = ends_ms;
    }
    return once;
}

bool app_assertion_load(void *access, struct str key, struct str value, struct error *error)
{
    struct arena arena = { .bytes_max = 16 * 1024 };
    uint8_t digest[SHA256_BYTES];
    struct json *row = NULL;
    int64_t ends_ms = 0;
    bool ok = hex_bytes(key, digest, sizeof digest) && json_read(&arena, value, &row, error) &&
              row_integer(row, STR("ends"), &ends_ms, error);
    if (ok) {
        (void)app_once_add(&((struct access *)access)->app_assertions, digest, ends_ms);
    }
    arena_deinit(&arena);
    return ok || FAIL(error, ERROR_STRUCTURE, "a stored assertion is damaged");
}

static bool refuse(struct error *error)
{
    return FAIL(error, ERROR_SIGN_IN, "the app did not prove who it is");
}

/* On disk before it counts: a restart must not let it come twice. */
static bool use_once(struct access *access, struct arena *arena, struct str client, struct str jti,
                     int64_t ends_ms, struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct rows_change change = { .kind = ROWS_ASSERTION };
    struct json *row = json_new(arena, JSON_OBJECT);
    struct str text = arena_printf(arena, "%.*s\n%.*s", STR_FMT(client), STR_FMT(jti));
    if (text.at == NULL || !hash_sha256(text, key, error)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    (void)pthread_mutex_lock(&access->lock);
    bool used = app_once_find(&access->app_assertions, key) != NULL;
    bool kept = !used && app_once_add(&access->app_assertions, key, ends_ms) != NULL;
    (void)pthread_mutex_unlock(&access->lock);
    if (used || !kept) {
        return used ? refuse(error) : FAIL(error, ERROR_BUSY, "too many assertions within five minutes");
    }
    change.key = hex_text(arena, key, sizeof key);
    (void)json_add(row, STR("ends"), json_new_integer(arena, ends_ms));
    return row_change(arena, row, &change, error) &&
           access->options.rows.write(access->options.rows.context, &change, 1, error);
}

/* ---- assertions (RFC 7523 section 3, SMART "Asymmetric (public key)") ---- */

static bool audience_fits(struct arena *arena, const struct json *aud, struct str url)
{
    if (aud != NULL && aud->kind == JSON_STRING) {
        return str_equal(json_text(arena, aud), url);
    }
    JSON_EACH(one, aud) {
        if (json_equals_text(one, url)) {
            return true;
        }
    }
    return false;
}

static bool seconds_of(const struct json *claims, struct str name, int64_t *seconds)
{
    const struct json *value = json_member(claims, name);
    return value != NULL && value->kind == JSON_NUMBER &&
           parse_int64(str_slice(value->raw, 0, str_find_char(value->raw, '.')), 0, INT64_MAX / 1000 - 1000,
                       seconds);
}

static bool claims_fit(const struct access *access, struct arena *arena, const struct app_proof *proof,
                       const struct json *claims, int64_t *ends_ms)
{
    int64_t now_s = access_now_ms(access) / 1000;
    int64_t expires_s = 0;
    int64_t other_s = 0;
    struct str client = JSON_TEXT(arena, claims, "iss");
    struct str jti = JSON_TEXT(arena, claims, "jti");
    bool in_time = seconds_of(claims, STR("exp"), &expires_s) && expires_s > now_s &&
                   expires_s <= now_s + APP_ASSERTION_SECONDS + CLOCK_APART_S;
    if (seconds_of(claims, STR("nbf"), &other_s)) {
        in_time = in_time && other_s <= now_s + CLOCK_APART_S;
    }
    /* "No more than five minutes in the future": of when it was made, as far as it says so. */
    if (seconds_of(claims, STR("iat"), &other_s)) {
        in_time = in_time && expires_s - other_s <= APP_ASSERTION_SECONDS && other_s <= now_s + CLOCK_APART_S;
    } else {
        in_time = in_time && expires_s <= now_s + APP_ASSERTION_SECONDS;
    }
    *ends_ms = (expires_s + 1) * 1000;
    return in_time && client.len > 0 && str_equal(client, JSON_TEXT(arena, claims, "sub")) && jti.len > 0 &&
           jti.len <= JTI_BYTES_MAX && audience_fits(arena, JSON_GET(claims, "aud"), proof->token_url) &&
           (proof->client_id.len == 0 || str_equal(proof->client_id, client));
}

static bool has_keys(const struct json *row)
{
    return JSON_GET(row, "keys") != NULL || JSON_GET(row, "keysUrl") != NULL;
}

/* A key that a set by URL does not have may be new there. */
static bool verify(struct access *access, struct arena *arena, const struct app_proof *proof,
                   const struct json *row, struct str client, struct json **claims, struct error *error)
{
    struct error refused = { 0 };
    for (int again = 0; again < 2; again++) {
        struct json *set = NULL;
        if (!app_key_set_of(access, arena, client, row, again == 1, &set, error)) {
            return false;
        }
        if (set != NULL && jose_verify(arena, proof->assertion, set, claims, &refused)) {
            return true;
        }
    }
    return refuse(error);
}

static bool by_assertion(struct access *access, struct arena *arena, const struct app_proof *proof,
                         struct str *id, struct json **row, struct error *error)
{
    struct json *said = NULL;
    struct json *claims = NULL;
    int64_t ends_ms = 0;
    struct error unknown = { 0 };
    if (!str_equal(proof->assertion_type, STR(ASSERTION_TYPE)) ||
        !jose_claims_unverified(arena, proof->assertion, &said, error) ||
        !app_row(access, arena, JSON_TEXT(arena, said, "iss"), row, &unknown)) {
        return refuse(error);
    }
    if (!verify(access, arena, proof, *row, JSON_TEXT(arena, said, "iss"), &claims, error)) {
        return false;
    }
    if (!claims_fit(access, arena, proof, claims, &ends_ms)) {
        return refuse(error);
    }
    *id = JSON_TEXT(arena, claims, "iss");
    return use_once(access, arena, *id, JSON_TEXT(arena, claims, "jti"), ends_ms, error);
}

/* ---- secrets (RFC 6749 section 2.3.1) ---- */

static bool basic_read(struct arena *arena, struct str header, struct str *id, struct str *secret)
{
    struct str text = str_trim(str_skip(header, 6));
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    struct error ignored = { 0 };
    if (!str_equal_ignore_case(str_slice(header, 0, 6), STR("Basic ")) || out == NULL || text.len > 1024 ||
        sodium_base642bin((unsigned char *)out, text.len, text.at, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        return false;
    }
    struct str both = { out, len };
    size_t colon = str_find_char(both, ':');
    return colon < both.len && percent_decode(arena, str_slice(both, 0, colon), true, id, &ignored) &&
           percent_decode(arena, str_skip(both, colon + 1), true, secret, &ignored);
}

static bool by_secret(struct access *access, struct arena *arena, const struct app_proof *proof,
                      struct str *id, struct json **row, struct error *error)
{
    struct str secret = STR_NONE;
    uint8_t digest[SHA256_BYTES];
    struct error unknown = { 0 };
    if (!basic_read(arena, proof->authorization, id, &secret) ||
        (proof->client_id.len > 0 && !str_equal(proof->client_id, *id)) ||
        !app_row(access, arena, *id, row, &unknown) || !hash_sha256(secret, digest, error)) {
        return refuse(error);
    }
    struct str kept = JSON_TEXT(arena, *row, "secret");
    return (kept.len > 0 && text_equal_in_constant_time(kept, hex_text(arena, digest, sizeof digest))) ||
           refuse(error);
}

static bool by_name(struct access *access, struct arena *arena, const struct app_proof *proof, struct str *id,
                    struct json **row, struct error *error)
{
    struct error unknown = { 0 };
    *id = proof->client_id;
    return (app_row(access, arena, *id, row, &unknown) && JSON_GET(*row, "secret") == NULL &&
            !has_keys(*row)) ||
           refuse(error);
}

bool app_authenticate(struct access *access, struct arena *arena, const struct app_proof *proof,
                      struct app_client *client, uint32_t *retry_after_s, struct error *error)
{
    struct json *row = NULL;
    struct str id = STR_NONE;
    struct error refused = { 0 };
    /* Held against the address alone: nobody shall lock an app out by naming it. */
    struct str key = arena_printf(arena, "app-address:%.*s", STR_FMT(proof->address));
    if (!access_try_allowed(access, key, retry_after_s, error)) {
        return false;
    }
    bool two = proof->assertion.at != NULL && proof->authorization.at != NULL;
    bool ok = two                               ? refuse(&refused)
              : proof->assertion.at != NULL     ? by_assertion(access, arena, proof, &id, &row, &refused)
              : proof->authorization.at != NULL ? by_secret(access, arena, proof, &id, &row, &refused)
                                                : by_name(access, arena, proof, &id, &row, &refused);
    if (!ok) {
        if (refused.kind == ERROR_SIGN_IN) {
            access_try_failed(access, key, FAILURES_FREE);
        }
        *error = refused;
        return false;
    }
    *client = (struct app_client){
        .id = id,
        .name = JSON_TEXT(arena, row, "name"),
        .is_public = JSON_GET(row, "secret") == NULL && !has_keys(row),
        .post = JSON_TEXT(arena, row, "post"),
        .scopes = JSON_TEXT(arena, row, "scopes"),
    };
    return true;
}

/* ---- opened from the screens ---- */

bool app_launch(struct access *access, struct arena *arena, const struct access_session *session,
                struct str app, const struct app_context *context, struct app_opened *opened,
                struct error *error)
{
    struct json *row = NULL;
    uint8_t random[ACCESS_TOKEN_RANDOM];
    uint8_t key[SHA256_BYTES];
    if (!app_row(access, arena, app, &row, error)) {
        return false;
    }
    opened->address = JSON_TEXT(arena, row, "launch");
    if (opened->address.len == 0) {
        return FAIL(error, ERROR_RULE, "this app cannot be opened from here");
    }
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    opened->launch = hex_text(arena, random, sizeof random);
    if (opened->launch.at == NULL || !hash_sha256(opened->launch, key, error)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    (void)pthread_mutex_lock(&access->lock);
    struct app_once *once = app_once_add(&access->app_launches, key, access_now_ms(access) + LAUNCH_MS);
    bool ok = once != NULL && text_copy(session->person, once->person, sizeof once->person) &&
              text_copy(session->post, once->post, sizeof once->post) &&
              text_copy(context->patient, once->patient, sizeof once->patient) &&
              text_copy(context->encounter, once->encounter, sizeof once->encounter);
    (void)pthread_mutex_unlock(&access->lock);
    return ok || FAIL(error, ERROR_BUSY, "too many apps are being opened at once");
}

struct app_context app_launch_context(struct access *access, struct arena *arena,
                                      const struct access_session *session, struct str launch)
{
    uint8_t key[SHA256_BYTES];
    struct error ignored = { 0 };
    struct app_context context = { STR_NONE, STR_NONE };
    if (launch.len == 0 || !hash_sha256(launch, key, &ignored)) {
        return context;
    }
    (void)pthread_mutex_lock(&access->lock);
    const struct app_once *once = app_once_find(&access->app_launches, key);
    if (once != NULL && access_now_ms(access) < once->ends_ms &&
        str_equal_cstr(session->person, once->person) && str_equal_cstr(session->post, once->post)) {
        context.patient = arena_dup(arena, str_from_cstr(once->patient));
        context.encounter = arena_dup(arena, str_from_cstr(once->encounter));
    }
    (void)pthread_mutex_unlock(&access->lock);
    return context;
}
