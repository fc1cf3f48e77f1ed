/* session.c — sessions and tokens in memory, their rows, and the session of a request. */
#include <assert.h>

#include "access/internal.h"
#include "access/row_json.h"
#include "base/uuid.h"

static uint64_t key_hash(const uint8_t key[SHA256_BYTES])
{
    uint64_t hash = 0;
    memcpy(&hash, key, sizeof hash); /* within this process only */
    return hash;
}

struct session *session_find(struct slots *slots, const uint8_t key[SHA256_BYTES])
{
    struct slot *slot = slots_find(slots, key_hash(key));
    while (slot != NULL && memcmp(((struct session *)slot)->key, key, SHA256_BYTES) != 0) {
        slot = slots_find_next(slot);
    }
    return (struct session *)slot;
}

struct session *session_by_number(struct access *access, const struct access_session *session)
{
    struct slots *slots = session->means == ACCESS_BY_TOKEN ? &access->tokens : &access->sessions;
    for (struct slot *item = slots_each(slots, NULL); item != NULL; item = slots_each(slots, item)) {
        if (((struct session *)item)->number == session->number) {
            return (struct session *)item;
        }
    }
    return NULL;
}

void session_drop(struct access *access, struct session *session)
{
    actor_unref(session->actor);
    session->actor = NULL;
    slots_remove(session->means == ACCESS_BY_TOKEN ? &access->tokens : &access->sessions, &session->slot);
}

bool session_has_ended(const struct access *access, const struct session *session, int64_t now_ms)
{
    if (now_ms >= session->ends_ms) {
        return true;
    }
    return session->means == ACCESS_BY_COOKIE &&
           now_ms - session->used_ms >= (int64_t)access->options.idle_seconds * 1000;
}

bool session_is_open(struct access *access, uint64_t number)
{
    for (struct slot *item = slots_each(&access->sessions, NULL); item != NULL && number != 0;
         item = slots_each(&access->sessions, item)) {
        const struct session *session = (const struct session *)item;
        if (session->number == number) {
            return !session_has_ended(access, session, access_now_ms(access));
        }
    }
    return false;
}

static bool load(struct access *access, struct slots *slots, struct str key_text, struct str value,
                 struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    bool ok = false;
    struct json *row = NULL;
    uint8_t key[SHA256_BYTES];
    if (!hex_bytes(key_text, key, sizeof key) || !json_read(&arena, value, &row, error)) {
        (void)FAIL(error, ERROR_STRUCTURE, "a stored session is damaged");
        goto done;
    }
    struct session *session = slots_add(slots, key_hash(key));
    if (session == NULL) {
        ok = true; /* more than we keep: the rest signs in again */
        goto done;
    }
    memcpy(session->key, key, sizeof key);
    session->means = slots == &access->tokens ? ACCESS_BY_TOKEN : ACCESS_BY_COOKIE;
    session->number = ++access->sessions_made;
    ok = row_text(row, STR("account"), session->account, sizeof session->account, error) &&
         row_text(row, STR("post"), session->post, sizeof session->post, error) &&
         row_text(row, STR("label"), session->label, sizeof session->label, error) &&
         row_integer(row, STR("created"), &session->created_ms, error) &&
         row_integer(row, STR("ends"), &session->ends_ms, error) &&
         row_integer(row, STR("used"), &session->used_ms, error);
    session->used_saved_ms = session->used_ms;
done:
    arena_deinit(&arena);
    return ok;
}

bool session_load(void *access, struct str key, struct str value, struct error *error)
{
    return load(access, &((struct access *)access)->sessions, key, value, error);
}

bool token_load(void *access, struct str key, struct str value, struct error *error)
{
    return load(access, &((struct access *)access)->tokens, key, value, error);
}

bool session_row(struct arena *arena, const struct session *session, struct rows_change *change,
                 struct error *error)
{
    struct json *row = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, row, STR("account"), str_from_cstr(session->account));
    (void)json_add_text(arena, row, STR("post"), str_from_cstr(session->post));
    (void)json_add_text(arena, row, STR("label"), str_from_cstr(session->label));
    (void)json_add(row, STR("created"), json_new_integer(arena, session->created_ms));
    (void)json_add(row, STR("ends"), json_new_integer(arena, session->ends_ms));
    (void)json_add(row, STR("used"), json_new_integer(arena, session->used_ms));
    change->kind = session->means == ACCESS_BY_TOKEN ? ROWS_TOKEN : ROWS_SESSION;
    change->key = hex_text(arena, session->key, sizeof session->key);
    return row_change(arena, row, change, error);
}

struct rows_change session_row_removed(struct arena *arena, const struct session *session)
{
    return (struct rows_change){ .kind = session->means == ACCESS_BY_TOKEN ? ROWS_TOKEN : ROWS_SESSION,
                                 .key = hex_text(arena, session->key, sizeof session->key) };
}

/* At the bound of one account its longest unused session makes room: a lost phone does not lock out. */
static void account_make_room(struct access *access, const char *account)
{
    struct session *oldest = NULL;
    uint32_t count = 0;
    for (struct slot *item = slots_each(&access->sessions, NULL); item != NULL;
         item = slots_each(&access->sessions, item)) {
        struct session *session = (struct session *)item;
        if (strcmp(session->account, account) == 0) {
            count++;
            oldest = oldest == NULL || session->used_ms < oldest->used_ms ? session : oldest;
        }
    }
    if (count >= ACCESS_SESSIONS_OF_ACCOUNT) {
        session_drop(access, oldest); /* its row goes with the next tick */
    }
}

bool session_begin(struct access *access, struct arena *arena, const struct session_start *start,
                   struct str *secret, struct rows_change *change, struct error *error)
{
    uint8_t random[ACCESS_TOKEN_RANDOM];
    uint8_t key[SHA256_BYTES];
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    struct str text = hex_text(arena, random, sizeof random);
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!hash_sha256(text, key, error)) {
        return false;
    }
    account_make_room(access, start->account->name);
    struct session *session = slots_add(&access->sessions, key_hash(key));
    if (session == NULL) {
        return FAIL(error, ERROR_BUSY, "too many people are signed in at once");
    }
    int64_t now_ms = access_now_ms(access);
    memcpy(session->key, key, sizeof key);
    session->means = ACCESS_BY_COOKIE;
    session->number = ++access->sessions_made;
    session->created_ms = now_ms;
    session->used_ms = now_ms;
    session->used_saved_ms = now_ms;
    session->confirmed_ms = start->confirmed_ms;
    session->ends_ms = now_ms + (int64_t)access->options.session_seconds * 1000;
    if (!text_copy(str_from_cstr(start->account->name), session->account, sizeof session->account) ||
        !text_copy(start->post, session->post, sizeof session->post)) {
        slots_remove(&access->sessions, &session->slot);
        return FAIL(error, ERROR_INPUT, "the post's id is too long");
    }
    if (!session_row(arena, session, change, error)) {
        slots_remove(&access->sessions, &session->slot);
        return false;
    }
    *secret = text;
    return true;
}

enum { ENDED_AT_ONCE_MAX = 4096 };

bool sessions_end_of(struct access *access, struct str account, uint64_t except, bool tokens,
                     struct error *error)
{
    struct arena arena = { .bytes_max = 2 * 1024 * 1024 };
    struct rows_change *changes = ARENA_ARRAY(&arena, struct rows_change, ENDED_AT_ONCE_MAX);
    size_t count = 0;
    bool ok = changes != NULL;
    (void)pthread_mutex_lock(&access->lock);
    for (int round = 0; ok && round < (tokens ? 2 : 1); round++) {
        struct slots *slots = round == 0 ? &access->sessions : &access->tokens;
        struct slot *item = slots_each(slots, NULL);
        while (item != NULL && count < ENDED_AT_ONCE_MAX) {
            struct session *session = (struct session *)item;
            item = slots_each(slots, item);
            if (str_equal_cstr(account, session->account) && session->number != except) {
                changes[count++] = session_row_removed(&arena, session);
                session_drop(access, session);
            }
        }
    }
    (void)pthread_mutex_unlock(&access->lock);
    ok =
        ok && (count == 0 || access->options.rows.write(access->options.rows.context, changes, count, error));
    arena_deinit(&arena);
    return ok;
}

/* ---- the session of a request ---- */

/* The CSRF token is derived from the secret that only the cookie holds: nothing more to store, and it
 * changes with each session id. */
bool session_csrf(struct arena *arena, struct str secret, struct str *csrf, struct error *error)
{
    uint8_t digest[SHA256_BYTES];
    struct str text = arena_concat(arena, STR("csrf:"), secret);
    if (text.at == NULL || !hash_sha256(text, digest, error)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *csrf = hex_text(arena, digest, (ACCESS_CSRF_HEX_BYTES - 1) / 2);
    return csrf->at != NULL ? true : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool text_equal_in_constant_time(struct str a, struct str b)
{
    unsigned char difference = a.len != b.len;
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        difference |= (unsigned char)(a.at[i] ^ b.at[i]);
    }
    return difference == 0;
}

/* Origin "https://host:port" must name the host that was asked, by the same scheme. */
static bool origin_is_same(const struct session_request *request)
{
    struct str scheme = request->tls ? STR("https://") : STR("http://");
    return request->host.len > 0 && str_starts_with(request->origin, scheme) &&
           str_equal_ignore_case(str_skip(request->origin, scheme.len), request->host);
}

static bool unsafe_is_allowed(const struct session_request *request, struct str csrf, struct error *error)
{
    if (!request->unsafe) {
        return true;
    }
    if (!origin_is_same(request)) {
        return FAIL(error, ERROR_FORBIDDEN, "the request does not come from this site (header Origin)");
    }
    if (!text_equal_in_constant_time(request->csrf, csrf)) {
        return FAIL(error, ERROR_FORBIDDEN, "the header X-CSRF-Token is missing or not that of this session");
    }
    return true;
}

/* Looks the session up and takes a reference of its actor; *fresh is NULL when the actor has to be made. */
static bool session_look(struct access *access, struct slots *slots, const uint8_t key[SHA256_BYTES],
                         bool is_use, struct session *copy, struct account *account,
                         struct access_actor **fresh, struct error *error)
{
    bool ok = false;
    int64_t now_ms = access_now_ms(access);
    (void)pthread_mutex_lock(&access->lock);
    struct session *session = session_find(slots, key);
    const struct account *owner =
        session == NULL ? NULL : account_find(access, str_from_cstr(session->account));
    if (session == NULL || session_has_ended(access, session, now_ms)) {
        (void)FAIL(error, ERROR_SIGN_IN, "not signed in, or the session has ended: sign in again");
    } else if (owner == NULL || owner->disabled) {
        (void)FAIL(error, ERROR_SIGN_IN, "the account is disabled");
    } else {
        if (is_use && now_ms > session->used_ms) {
            session->used_ms = now_ms;
        }
        *copy = *session;
        *account = *owner;
        bool usable = session->actor != NULL && !actor_is_stale(access, session->actor);
        *fresh = usable ? actor_ref(session->actor) : NULL;
        ok = true;
    }
    (void)pthread_mutex_unlock(&access->lock);
    return ok;
}

/* Hands a new actor to the session, unless it ended meanwhile; the caller keeps a reference of its own. */
static void session_take_actor(struct access *access, struct slots *slots, const uint8_t key[SHA256_BYTES],
                               struct access_actor *actor)
{
    (void)pthread_mutex_lock(&access->lock);
    struct session *session = session_find(slots, key);
    if (session != NULL) {
        actor_unref(session->actor);
        session->actor = actor_ref(actor);
    }
    (void)pthread_mutex_unlock(&access->lock);
}

static bool session_resolve(struct access *access, struct arena *arena, struct slots *slots,
                            struct str secret, bool is_use, struct access_session *session,
                            struct error *error)
{
    uint8_t key[SHA256_BYTES];
    struct session copy;
    struct account account;
    struct access_actor *actor = NULL;
    if (!hash_sha256(secret, key, error) ||
        !session_look(access, slots, key, is_use, &copy, &account, &actor, error)) {
        return false;
    }
    if (actor == NULL) {
        struct actor_start start = { .practitioner = str_from_cstr(account.practitioner),
                                     .post = str_from_cstr(copy.post) };
        if (!actor_create(access, &start, &actor, error)) {
            return false;
        }
        session_take_actor(access, slots, key, actor);
    }
    *session = (struct access_session){ .means = copy.means, .number = copy.number, .language = STR("zh") };
    if (strcmp(account.language, "en") == 0) {
        session->language = STR("en");
    }
    session->must_change_password = account.must_change && copy.means == ACCESS_BY_COOKIE;
    return actor_attach(arena, actor, session, error);
}

static bool is_secret(struct str text)
{
    uint8_t bytes[ACCESS_TOKEN_RANDOM];
    return hex_bytes(text, bytes, sizeof bytes);
}

bool session_of_request(struct access *access, struct arena *arena, const struct session_request *request,
                        struct access_session *session, struct error *error)
{
    static const struct str bearer = { "Bearer ", 7 };
    if (str_equal_ignore_case(str_slice(request->authorization, 0, bearer.len), bearer)) {
        struct str token = str_trim(str_skip(request->authorization, bearer.len));
        if (str_starts_with(token, STR(APP_TOKEN_PREFIX))) {
            struct str app_secret = str_skip(token, strlen(APP_TOKEN_PREFIX));
            return is_secret(app_secret)
                       ? app_session(access, arena, app_secret, session, error)
                       : FAIL(error, ERROR_SIGN_IN, "the bearer token is not one of this server");
        }
        if (!str_starts_with(token, STR(TOKEN_PREFIX)) || !is_secret(str_skip(token, strlen(TOKEN_PREFIX)))) {
            return FAIL(error, ERROR_SIGN_IN, "the bearer token is not one of this server");
        }
        return session_resolve(access, arena, &access->tokens, str_skip(token, strlen(TOKEN_PREFIX)),
                               !request->passive, session, error);
    }
    if (request->authorization.len > 0) {
        return FAIL(error, ERROR_SIGN_IN, "only 'Authorization: Bearer' is understood");
    }
    if (!is_secret(request->cookie)) {
        return FAIL(error, ERROR_SIGN_IN, "not signed in");
    }
    struct access_session found;
    struct str csrf = STR_NONE;
    if (!session_resolve(access, arena, &access->sessions, request->cookie, !request->passive, &found,
                         error) ||
        !session_csrf(arena, request->cookie, &csrf, error) || !unsafe_is_allowed(request, csrf, error)) {
        return false;
    }
    found.csrf = csrf;
    *session = found;
    return true;
}
