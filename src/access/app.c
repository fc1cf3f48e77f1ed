/* app.c — registered apps, what ends with them, and the server's own key for id_tokens. */

#include <assert.h>
#include <stdlib.h>

#include "access/actor.h"
#include "access/app_internal.h"
#include "access/jose.h"
#include "base/uuid.h"

enum {
    NAME_BYTES_MAX = 100,
    REDIRECTS_MAX = 10,
    ROW_BYTES_MAX = 64 * 1024,
    KEY_SET_GOOD_MS = 10 * 60 * 1000,      /* then it is asked for again */
    KEY_SET_KEPT_MS = 24 * 60 * 60 * 1000, /* as long as it cannot be had */
    KEY_SET_AGAIN_MS = 5 * 1000
};

#define KEY_ROW "id-token"

static struct str text_keep(struct str text)
{
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return STR_NONE;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return (struct str){ copy, text.len };
}

static void text_drop(struct str *text)
{
    free((char *)(uintptr_t)text->at);
    *text = STR_NONE;
}

/* ---- the list in memory ---- */

static struct app *find(struct access *access, struct str id)
{
    struct slot *slot = slots_find(&access->apps, hash64(id, 5));
    while (slot != NULL && !str_equal_cstr(id, ((struct app *)slot)->id)) {
        slot = slots_find_next(slot);
    }
    return (struct app *)slot;
}

const struct app *app_find(struct access *access, struct str id)
{
    const struct app *app = id.len == 0 ? NULL : find(access, id);
    return app == NULL || app->disabled ? NULL : app;
}

/* With `lock` held, or at start: the row takes the place of the one before. */
static bool keep(struct access *access, struct str id, struct str row, struct error *error)
{
    struct arena arena = { .bytes_max = ROW_BYTES_MAX * 4 };
    struct json *tree = NULL;
    struct str copy = text_keep(row);
    bool ok = false;
    if (copy.at == NULL || !json_read(&arena, copy, &tree, error)) {
        (void)FAIL(error, ERROR_STRUCTURE, "a registered app is damaged");
        goto done;
    }
    struct app *app = find(access, id);
    if (app == NULL) {
        app = slots_add(&access->apps, hash64(id, 5));
    }
    if (app == NULL || !text_copy(id, app->id, sizeof app->id)) {
        (void)FAIL(error, ERROR_TOO_MANY, "at most %d apps are registered", ACCESS_APPS_MAX);
        goto done;
    }
    text_drop(&app->row);
    app->row = copy;
    app->disabled = json_is_true(JSON_GET(tree, "disabled"));
    copy = STR_NONE;
    ok = true;
done:
    text_drop(&copy);
    arena_deinit(&arena);
    return ok;
}

bool app_load(void *access, struct str key, struct str value, struct error *error)
{
    return keep(access, key, value, error);
}

static bool row_of(struct access *access, struct arena *arena, struct str id, bool disabled_too,
                   struct json **row, struct error *error)
{
    (void)pthread_mutex_lock(&access->lock);
    const struct app *app = id.len == 0 ? NULL : find(access, id);
    struct str text = app == NULL || (app->disabled && !disabled_too) ? STR_NONE : arena_dup(arena, app->row);
    (void)pthread_mutex_unlock(&access->lock);
    return text.at != NULL ? json_read(arena, text, row, error)
                           : FAIL(error, ERROR_NOT_FOUND, "no app is registered under this client_id");
}

bool app_row(struct access *access, struct arena *arena, struct str id, struct json **row,
             struct error *error)
{
    return row_of(access, arena, id, false, row, error);
}

static bool save(struct access *access, struct arena *arena, struct str id, const struct json *row,
                 struct error *error)
{
    struct rows_change change = { .kind = ROWS_APP, .key = id };
    if (!row_change(arena, row, &change, error) ||
        !access->options.rows.write(access->options.rows.context, &change, 1, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    bool ok = keep(access, id, change.value, error);
    (void)pthread_mutex_unlock(&access->lock);
    return ok;
}

/* ---- a key set by URL ---- */

/* What is kept, as long as it is good; *ask says that it is to be fetched. Nobody makes us ask more often than that. */
static struct str key_set_kept(struct access *access, struct arena *arena, struct str id, bool again,
                               bool *ask)
{
    int64_t now_ms = access_now_ms(access);
    struct str kept = STR_NONE;
    (void)pthread_mutex_lock(&access->lock);
    struct app *app = find(access, id);
    if (app != NULL) {
        bool good = app->key_set.at != NULL && now_ms - app->key_set_ms < KEY_SET_GOOD_MS;
        *ask = (again || !good) && now_ms - app->key_set_asked_ms >= KEY_SET_AGAIN_MS;
        app->key_set_asked_ms = *ask ? now_ms : app->key_set_asked_ms;
        kept = app->key_set.at != NULL && now_ms - app->key_set_ms < KEY_SET_KEPT_MS
                   ? arena_dup(arena, app->key_set)
                   : STR_NONE;
    }
    (void)pthread_mutex_unlock(&access->lock);
    return kept;
}

bool app_key_set_of(struct access *access, struct arena *arena, struct str id, const struct json *row,
                    bool again, struct json **set, struct error *error)
{
    const struct access_key_sets *source = &access->options.key_sets;
    struct str fetched = STR_NONE;
    struct error why = { 0 };
    bool ask = false;
    *set = json_member(row, STR("keys"));
    if (*set != NULL || JSON_GET(row, "keysUrl") == NULL) {
        return true;
    }
    struct str kept = key_set_kept(access, arena, id, again, &ask);
    if (ask && source->fetch != NULL &&
        source->fetch(source->context, arena, JSON_TEXT(arena, row, "keysUrl"), JOSE_KEY_SET_BYTES_MAX,
                      &fetched, &why) &&
        json_read(arena, fetched, set, &why) && jose_key_set_acceptable(arena, *set, &why)) {
        (void)pthread_mutex_lock(&access->lock);
        struct app *app = find(access, id);
        if (app != NULL) {
            text_drop(&app->key_set);
            app->key_set = text_keep(fetched);
            app->key_set_ms = access_now_ms(access);
        }
        (void)pthread_mutex_unlock(&access->lock);
        return true;
    }
    *set = NULL;
    return kept.at != NULL ? json_read(arena, kept, set, error)
                           : FAIL(error, ERROR_BUSY, "the app's key set cannot be had just now");
}

/* ---- registering ---- */

/* Over TLS, or to the person's own machine, or a scheme of the app's own (RFC 8252 section 7); without a fragment. */
static bool address_acceptable(struct str address)
{
    size_t scheme = str_find_char(address, ':');
    struct str rest = str_skip(address, scheme + 1);
    bool plain = address.len < ACCESS_REDIRECT_BYTES && scheme < address.len && rest.len > 2;
    for (size_t i = 0; i < address.len; i++) {
        unsigned char c = (unsigned char)address.at[i];
        plain = plain && c > ' ' && c < 0x7F && strchr("#\"<>\\^`{|}", c) == NULL;
    }
    bool loopback = str_starts_with(address, STR("http://127.0.0.1:")) ||
                    str_starts_with(address, STR("http://127.0.0.1/")) ||
                    str_starts_with(address, STR("http://localhost:")) ||
                    str_starts_with(address, STR("http://localhost/")) ||
                    str_starts_with(address, STR("http://[::1]"));
    bool own_scheme = str_find_char(str_slice(address, 0, scheme), '.') < scheme;
    return plain && (str_starts_with(address, STR("https://")) || loopback || own_scheme);
}

static bool redirects_add(struct arena *arena, struct json *row, const struct app_new *app,
                          struct error *error)
{
    struct json *list = json_add(row, STR("redirect"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < app->redirect_count; i++) {
        if (app->redirect_count > REDIRECTS_MAX || !address_acceptable(app->redirect[i])) {
            return FAIL(error, ERROR_INPUT,
                        "a redirect address is https://…, http://localhost…, or a scheme of the app's own "
                        "with a dot; at most %d",
                        REDIRECTS_MAX);
        }
        (void)json_append(list, json_new_string(arena, app->redirect[i]));
    }
    return list != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static bool keys_add(struct arena *arena, struct json *row, const struct app_new *app, struct error *error)
{
    struct json *set = NULL;
    if (app->keys_url.at != NULL) {
        bool plain = address_acceptable(app->keys_url) && (str_starts_with(app->keys_url, STR("https://")) ||
                                                           str_starts_with(app->keys_url, STR("http://")));
        if (!plain || app->key_set.at != NULL || app->secret) {
            return FAIL(error, ERROR_INPUT,
                        "a key set is https://… (http:// on this machine only), alone: no file, no secret");
        }
        (void)json_add_text(arena, row, STR("keysUrl"), app->keys_url);
        return true;
    }
    if (app->key_set.at == NULL) {
        return true;
    }
    if (app->key_set.len > JOSE_KEY_SET_BYTES_MAX || !json_read(arena, app->key_set, &set, error) ||
        !jose_key_set_acceptable(arena, set, error)) {
        return error->kind != ERROR_NONE ? false : FAIL(error, ERROR_INPUT, "the key set is too large");
    }
    return json_add(row, STR("keys"), set) != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static bool secret_add(struct arena *arena, struct json *row, struct str *secret, struct error *error)
{
    uint8_t random[ACCESS_TOKEN_RANDOM];
    uint8_t digest[SHA256_BYTES];
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    *secret = hex_text(arena, random, sizeof random);
    if (secret->at == NULL || !hash_sha256(*secret, digest, error)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    (void)json_add_text(arena, row, STR("secret"), hex_text(arena, digest, sizeof digest));
    return true;
}

static const char *kind_of(const struct app_new *app)
{
    bool keys = app->key_set.at != NULL || app->keys_url.at != NULL;
    return app->post.len > 0 ? "backend"
           : keys            ? "confidential-key"
           : app->secret     ? "confidential-secret"
                             : "public";
}

static bool new_acceptable(struct access *access, struct arena *arena, const struct app_new *app,
                           struct error *error)
{
    struct json *post = NULL;
    struct post_info info = { 0 };
    const struct access_directory *directory = &access->options.directory;
    struct scope_list scopes = { 0 };
    if (app->name.len == 0 || app->name.len > NAME_BYTES_MAX || !str_is_utf8(app->name)) {
        return FAIL(error, ERROR_INPUT, "an app has a name of at most %d bytes", NAME_BYTES_MAX);
    }
    if (!scope_list_read(arena, app->scopes, &scopes, error)) {
        return false;
    }
    if (scopes.ignored_count > 0) {
        return FAIL(error, ERROR_INPUT, "not a scope: %.*s", STR_FMT(str_slice(scopes.ignored[0], 0, 100)));
    }
    if (app->launch.len > 0 && !address_acceptable(app->launch)) {
        return FAIL(error, ERROR_INPUT, "the launch address is https://… or http://localhost…");
    }
    if (app->post.len == 0) {
        return app->redirect_count > 0 ||
               FAIL(error, ERROR_INPUT, "an app for people has a redirect address");
    }
    bool keys = app->key_set.at != NULL || app->keys_url.at != NULL;
    if (!keys || app->redirect_count > 0) {
        return FAIL(error, ERROR_INPUT, "a backend service has a post, keys and no redirect address");
    }
    if (!directory->read(directory->context, arena, STR("PractitionerRole"), app->post, &post, error) ||
        (post != NULL && !post_read(access, arena, post, &info, error))) {
        return false;
    }
    return info.usable || FAIL(error, ERROR_INPUT, "there is no post with this id in force");
}

bool app_add(struct access *access, struct arena *arena, const struct app_new *app, struct str *id,
             struct str *secret, struct error *error)
{
    char number[UUID_TEXT_BYTES];
    struct json *row = json_new(arena, JSON_OBJECT);
    error->kind = ERROR_NONE;
    *secret = STR_NONE;
    if (!new_acceptable(access, arena, app, error) || !uuid_v7(access_now_ms(access), number, error)) {
        return false;
    }
    (void)json_add_text(arena, row, STR("name"), app->name);
    (void)json_add_text(arena, row, STR("kind"), str_from_cstr(kind_of(app)));
    if (app->scopes.len > 0) {
        (void)json_add_text(arena, row, STR("scopes"), app->scopes);
    }
    if (app->post.len > 0) {
        (void)json_add_text(arena, row, STR("post"), app->post);
    }
    if (app->launch.len > 0) {
        (void)json_add_text(arena, row, STR("launch"), app->launch);
    }
    (void)json_add(row, STR("created"), json_new_integer(arena, access_now_ms(access)));
    if (!redirects_add(arena, row, app, error) || !keys_add(arena, row, app, error) ||
        (app->secret && !secret_add(arena, row, secret, error))) {
        return false;
    }
    *id = arena_dup(arena, str_from_cstr(number));
    return save(access, arena, *id, row, error);
}

static bool is_told(struct str member)
{
    static const struct str hidden[] = { { "secret", 6 }, { "keys", 4 }, { "created", 7 } };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        if (str_equal(member, hidden[i])) {
            return false;
        }
    }
    return true;
}

static bool list_one(struct arena *arena, struct json *list, const struct app *app)
{
    struct json *row = NULL;
    struct error ignored = { 0 };
    int64_t created_ms = 0;
    struct json *told = json_append(list, json_new(arena, JSON_OBJECT));
    if (!json_read(arena, arena_dup(arena, app->row), &row, &ignored) ||
        !row_integer(row, STR("created"), &created_ms, &ignored)) {
        return false;
    }
    (void)json_add_text(arena, told, STR("id"), arena_dup(arena, str_from_cstr(app->id)));
    JSON_EACH(member, row) {
        if (is_told(member->name)) {
            (void)json_add(told, member->name, json_copy(arena, member, false));
        }
    }
    return json_add(told, STR("createdAt"), row_time_json(arena, created_ms)) != NULL;
}

bool app_list(struct access *access, struct arena *arena, struct json **apps, struct error *error)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    bool ok = list != NULL;
    (void)pthread_mutex_lock(&access->lock);
    for (struct slot *item = slots_each(&access->apps, NULL); ok && item != NULL;
         item = slots_each(&access->apps, item)) {
        ok = list_one(arena, list, (const struct app *)item);
    }
    (void)pthread_mutex_unlock(&access->lock);
    *apps = list;
    return ok || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool app_set_disabled(struct access *access, struct str id, bool disabled, struct error *error)
{
    struct arena arena = { .bytes_max = ROW_BYTES_MAX * 8 };
    struct json *row = NULL;
    bool ok = false;
    if (!row_of(access, &arena, id, true, &row, error)) {
        goto done;
    }
    (void)json_set(row, STR("disabled"), json_new_bool(&arena, disabled));
    ok = save(access, &arena, id, row, error) && (!disabled || app_grants_end(access, STR_NONE, id, error));
done:
    arena_deinit(&arena);
    return ok;
}

/* ---- the server's own key ---- */

bool app_key_load(void *access, struct str key, struct str value, struct error *error)
{
    struct arena arena = { .bytes_max = ROW_BYTES_MAX };
    struct json *row = NULL;
    struct access *of = access;
    bool ok = !str_equal(key, STR(KEY_ROW));
    if (!ok && json_read(&arena, value, &row, error)) {
        of->id_token_key = text_keep(JSON_TEXT(&arena, row, "key"));
        ok = of->id_token_key.at != NULL;
    }
    arena_deinit(&arena);
    return ok || FAIL(error, ERROR_STRUCTURE, "the stored key for id_tokens is damaged");
}

/* With no key yet, the one who asked first makes it. Anybody may ask for the public half, and a key takes a second of a
 * processor: who comes meanwhile is told to come again instead of making one too. */
static bool own_key_begin(struct access *access, struct str *key, struct error *error)
{
    (void)pthread_mutex_lock(&access->lock);
    *key = access->id_token_key; /* never changes once it is there */
    bool busy = key->at == NULL && access->id_token_key_in_work;
    access->id_token_key_in_work = key->at == NULL;
    (void)pthread_mutex_unlock(&access->lock);
    return !busy ||
           FAIL(error, ERROR_BUSY, "the server's key is just being made: try again in a few seconds");
}

static bool own_key_make(struct access *access, struct arena *arena, struct str *made, struct error *error)
{
    struct rows_change change = { .kind = ROWS_KEY, .key = STR(KEY_ROW) };
    struct json *row = json_new(arena, JSON_OBJECT);
    if (!jose_key_make(arena, made, error)) {
        return false;
    }
    (void)json_add_text(arena, row, STR("key"), *made);
    return row_change(arena, row, &change, error) &&
           access->options.rows.write(access->options.rows.context, &change, 1, error);
}

/* Made when it is first needed, and written down before anything is signed with it. */
static bool own_key(struct access *access, struct arena *arena, struct str *key, struct error *error)
{
    struct str made = STR_NONE;
    if (!own_key_begin(access, key, error)) {
        return false;
    }
    if (key->at != NULL) {
        return true;
    }
    bool ok = own_key_make(access, arena, &made, error);
    (void)pthread_mutex_lock(&access->lock);
    access->id_token_key = ok ? text_keep(made) : STR_NONE;
    access->id_token_key_in_work = false;
    *key = access->id_token_key;
    (void)pthread_mutex_unlock(&access->lock);
    return ok && (key->at != NULL || FAIL(error, ERROR_BUSY, "no memory for a key"));
}

bool app_sign(struct access *access, struct arena *arena, const struct json *claims, struct str *token,
              struct error *error)
{
    struct str key = STR_NONE;
    return own_key(access, arena, &key, error) && jose_sign(arena, key, STR("RS256"), claims, token, error);
}

bool app_key_set(struct access *access, struct arena *arena, struct json **set, struct error *error)
{
    struct str key = STR_NONE;
    struct json *jwk = NULL;
    struct json *made = json_new(arena, JSON_OBJECT);
    struct json *list = json_add(made, STR("keys"), json_new(arena, JSON_ARRAY));
    if (!own_key(access, arena, &key, error) || !jose_public_jwk(arena, key, &jwk, error)) {
        return false;
    }
    (void)json_append(list, jwk);
    *set = made;
    return made != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

void apps_close(struct access *access)
{
    for (struct slot *item = slots_each(&access->apps, NULL); item != NULL;
         item = slots_each(&access->apps, item)) {
        text_drop(&((struct app *)item)->row);
        text_drop(&((struct app *)item)->key_set);
    }
    for (struct slot *item = slots_each(&access->app_grants, NULL); item != NULL;
         item = slots_each(&access->app_grants, item)) {
        struct app_grant *grant = (struct app_grant *)item;
        actor_unref(grant->actor);
        text_drop(&grant->scopes);
    }
    text_drop(&access->id_token_key);
}
