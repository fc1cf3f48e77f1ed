/* app_grant.c — what a person allows an app: first a code, then access tokens and a line of refresh tokens.
 *
 * A grant is found by its family, 128 random bits that stand in front of the code's and the refresh token's secret; the
 * secret itself is known by its hash only. A secret that is not the family's current one was used before, or
 * stolen and guessed on: the grant ends with all it gave. */
#include <assert.h>
#include <stdlib.h>

#include "access/actor.h"
#include "access/app_internal.h"
#include "base/uuid.h"

enum { ENDED_AT_ONCE_MAX = 4096 };

/* ---- secrets ---- */

bool app_secret_make(struct arena *arena, struct app_secret *secret, struct error *error)
{
    uint8_t random[ACCESS_TOKEN_RANDOM];
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    secret->text = hex_text(arena, random, sizeof random);
    return secret->text.at != NULL ? hash_sha256(secret->text, secret->key, error)
                                   : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* "FAMILY" + "SECRET", both hexadecimal. */
bool app_secret_split(struct str text, struct str *family, uint8_t key[SHA256_BYTES])
{
    uint8_t bytes[ACCESS_TOKEN_RANDOM];
    struct error ignored = { 0 };
    *family = str_slice(text, 0, (size_t)(2 * APP_FAMILY_BYTES));
    struct str secret = str_skip(text, (size_t)(2 * APP_FAMILY_BYTES));
    return hex_bytes(*family, bytes, APP_FAMILY_BYTES) && hex_bytes(secret, bytes, sizeof bytes) &&
           hash_sha256(secret, key, &ignored);
}

bool app_key_same(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES])
{
    return text_equal_in_constant_time((struct str){ (const char *)a, SHA256_BYTES },
                                       (struct str){ (const char *)b, SHA256_BYTES });
}

bool app_family_make(struct arena *arena, struct str *family, struct error *error)
{
    uint8_t random[APP_FAMILY_BYTES];
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    *family = hex_text(arena, random, sizeof random);
    return family->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* ---- grants and tokens in memory: with `lock` held ---- */

struct app_grant *app_grant_find(struct access *access, struct str family)
{
    struct slot *slot = slots_find(&access->app_grants, hash64(family, 6));
    while (slot != NULL && !str_equal_cstr(family, ((struct app_grant *)slot)->family)) {
        slot = slots_find_next(slot);
    }
    return (struct app_grant *)slot;
}

uint64_t app_key_hash(const uint8_t key[SHA256_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, key, sizeof hash);
    return hash;
}

struct app_access *app_token_find(struct access *access, const uint8_t key[SHA256_BYTES])
{
    struct slot *slot = slots_find(&access->app_tokens, app_key_hash(key));
    while (slot != NULL && memcmp(((struct app_access *)slot)->key, key, SHA256_BYTES) != 0) {
        slot = slots_find_next(slot);
    }
    return (struct app_access *)slot;
}

static void tokens_drop(struct access *access, const char *family)
{
    struct slot *item = slots_each(&access->app_tokens, NULL);
    while (item != NULL) {
        struct app_access *token = (struct app_access *)item;
        item = slots_each(&access->app_tokens, item);
        if (strcmp(token->family, family) == 0) {
            slots_remove(&access->app_tokens, &token->slot);
        }
    }
}

static struct rows_change row_removed(struct arena *arena, const struct app_grant *grant)
{
    return (struct rows_change){ .kind = ROWS_GRANT, .key = arena_dup(arena, str_from_cstr(grant->family)) };
}

void app_grant_drop(struct access *access, struct app_grant *grant)
{
    tokens_drop(access, grant->family);
    actor_unref(grant->actor);
    grant->actor = NULL;
    free((char *)(uintptr_t)grant->scopes.at);
    grant->scopes = STR_NONE;
    slots_remove(&access->app_grants, &grant->slot);
}

/* The oldest of one person and app gives way; so a lost device does not lock the app out. */
void app_grants_make_room(struct access *access, const char *account, struct str app)
{
    struct app_grant *oldest = NULL;
    size_t count = 0;
    for (struct slot *item = slots_each(&access->app_grants, NULL); item != NULL;
         item = slots_each(&access->app_grants, item)) {
        struct app_grant *grant = (struct app_grant *)item;
        if (!grant->offline && strcmp(grant->account, account) == 0 && str_equal_cstr(app, grant->app)) {
            count++;
            oldest = oldest == NULL || grant->created_ms < oldest->created_ms ? grant : oldest;
        }
    }
    if (count >= ACCESS_GRANTS_OF_ACCOUNT) {
        app_grant_drop(access, oldest);
    }
}

/* A new grant with its family and scopes; NULL when there are too many. */
struct app_grant *app_grant_add(struct access *access, struct str family, struct str scopes)
{
    char *copy = malloc(scopes.len + 1);
    struct app_grant *grant = copy == NULL ? NULL : slots_add(&access->app_grants, hash64(family, 6));
    if (grant != NULL && !text_copy(family, grant->family, sizeof grant->family)) {
        slots_remove(&access->app_grants, &grant->slot);
        grant = NULL;
    }
    if (grant == NULL) {
        free(copy);
        return NULL;
    }
    memcpy(copy, scopes.at, scopes.len);
    grant->scopes = (struct str){ copy, scopes.len };
    /* cppcheck-suppress memleak ; app_grant_drop frees it */
    return grant;
}

void app_sweep(struct access *access, struct arena *arena, struct rows_change *changes, size_t *count,
               size_t max)
{
    int64_t now_ms = access_now_ms(access);
    struct slot *item = slots_each(&access->app_grants, NULL);
    while (item != NULL && *count < max) {
        struct app_grant *grant = (struct app_grant *)item;
        item = slots_each(&access->app_grants, item);
        if (now_ms >= grant->ends_ms) {
            if (grant->offline) {
                changes[(*count)++] = row_removed(arena, grant);
            }
            app_grant_drop(access, grant);
        }
    }
    item = slots_each(&access->app_tokens, NULL);
    while (item != NULL) {
        struct app_access *token = (struct app_access *)item;
        item = slots_each(&access->app_tokens, item);
        if (now_ms >= token->ends_ms) {
            slots_remove(&access->app_tokens, &token->slot);
        }
    }
    struct slots *const lists[] = { &access->app_assertions, &access->app_launches };
    for (size_t i = 0; i < 2; i++) {
        item = slots_each(lists[i], NULL);
        while (item != NULL && *count < max) {
            struct app_once *once = (struct app_once *)item;
            item = slots_each(lists[i], item);
            if (now_ms < once->ends_ms) {
                continue;
            }
            if (i == 0) {
                changes[(*count)++] = (struct rows_change){ .kind = ROWS_ASSERTION,
                                                            .key = hex_text(arena, once->key, SHA256_BYTES) };
            }
            slots_remove(lists[i], &once->slot);
        }
    }
}

bool app_grants_end(struct access *access, struct str account, struct str app, struct error *error)
{
    struct arena arena = { .bytes_max = 2 * 1024 * 1024 };
    struct rows_change *changes = ARENA_ARRAY(&arena, struct rows_change, ENDED_AT_ONCE_MAX);
    size_t count = 0;
    bool ok = changes != NULL;
    (void)pthread_mutex_lock(&access->lock);
    struct slot *item = slots_each(&access->app_grants, NULL);
    while (ok && item != NULL && count < ENDED_AT_ONCE_MAX) {
        struct app_grant *grant = (struct app_grant *)item;
        item = slots_each(&access->app_grants, item);
        if ((account.len > 0 && str_equal_cstr(account, grant->account)) ||
            (app.len > 0 && str_equal_cstr(app, grant->app))) {
            if (grant->offline) {
                changes[count++] = row_removed(&arena, grant);
            }
            app_grant_drop(access, grant);
        }
    }
    (void)pthread_mutex_unlock(&access->lock);
    ok =
        ok && (count == 0 || access->options.rows.write(access->options.rows.context, changes, count, error));
    arena_deinit(&arena);
    return ok;
}

/* ---- rows ---- */

bool app_grant_row(struct arena *arena, const struct app_grant *grant, struct rows_change *change,
                   struct error *error)
{
    struct json *row = json_new(arena, JSON_OBJECT);
    const struct {
        struct str name;
        const char *text;
    } texts[] = { { STR("app"), grant->app },
                  { STR("account"), grant->account },
                  { STR("practitioner"), grant->practitioner },
                  { STR("post"), grant->post },
                  { STR("patient"), grant->patient },
                  { STR("encounter"), grant->encounter } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        (void)json_add_text(arena, row, texts[i].name, arena_dup(arena, str_from_cstr(texts[i].text)));
    }
    (void)json_add_text(arena, row, STR("scopes"), arena_dup(arena, grant->scopes));
    (void)json_add_text(arena, row, STR("refresh"), hex_text(arena, grant->refresh_key, SHA256_BYTES));
    (void)json_add(row, STR("created"), json_new_integer(arena, grant->created_ms));
    (void)json_add(row, STR("ends"), json_new_integer(arena, grant->ends_ms));
    *change =
        (struct rows_change){ .kind = ROWS_GRANT, .key = arena_dup(arena, str_from_cstr(grant->family)) };
    return row_change(arena, row, change, error);
}

bool app_grant_load(void *access, struct str key, struct str value, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    struct json *row = NULL;
    struct app_grant *grant = NULL;
    bool ok = json_read(&arena, value, &row, error);
    if (ok) {
        grant = app_grant_add(access, key, JSON_TEXT(&arena, row, "scopes"));
    }
    if (grant != NULL) {
        ok = row_text(row, STR("app"), grant->app, sizeof grant->app, error) &&
             row_text(row, STR("account"), grant->account, sizeof grant->account, error) &&
             row_text(row, STR("practitioner"), grant->practitioner, sizeof grant->practitioner, error) &&
             row_text(row, STR("post"), grant->post, sizeof grant->post, error) &&
             row_text(row, STR("patient"), grant->patient, sizeof grant->patient, error) &&
             text_copy(JSON_TEXT(&arena, row, "encounter"), grant->encounter, sizeof grant->encounter) &&
             hex_bytes(JSON_TEXT(&arena, row, "refresh"), grant->refresh_key, SHA256_BYTES) &&
             row_integer(row, STR("created"), &grant->created_ms, error) &&
             row_integer(row, STR("ends"), &grant->ends_ms, error);
        grant->offline = true;
        grant->code_used = true;
    }
    arena_deinit(&arena);
    return ok || FAIL(error, ERROR_STRUCTURE, "what a person allowed an app is stored damaged");
}

/* ---- without `lock` ---- */

/* A copy to look at without the lock; its scopes in the arena. */
bool app_grant_copy(struct access *access, struct arena *arena, struct str family, struct app_grant *copy)
{
    (void)pthread_mutex_lock(&access->lock);
    const struct app_grant *grant = app_grant_find(access, family);
    if (grant != NULL) {
        *copy = *grant;
        copy->actor = NULL;
        copy->scopes = arena_dup(arena, grant->scopes);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return grant != NULL && copy->scopes.at != NULL;
}

/* Ends a grant wherever it stands, its row too. */
bool app_grant_end(struct access *access, struct arena *arena, struct str family, struct error *error)
{
    struct rows_change change = { 0 };
    bool stored = false;
    (void)pthread_mutex_lock(&access->lock);
    struct app_grant *grant = app_grant_find(access, family);
    if (grant != NULL) {
        stored = grant->offline;
        change = row_removed(arena, grant);
        app_grant_drop(access, grant);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return !stored || access->options.rows.write(access->options.rows.context, &change, 1, error);
}

bool app_family_end(struct access *access, struct arena *arena, struct str refresh, struct str client,
                    struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct str family = STR_NONE;
    struct app_grant copy;
    if (!app_secret_split(refresh, &family, key) || !app_grant_copy(access, arena, family, &copy) ||
        !str_equal_cstr(client, copy.app) || !app_key_same(copy.refresh_key, key)) {
        return true;
    }
    return app_grant_end(access, arena, family, error);
}
