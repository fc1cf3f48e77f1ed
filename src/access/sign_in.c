/* sign_in.c — the way in and out (sign_in.h). */
#include <assert.h>
#include <stdio.h>

#include "access/internal.h"
#include "access/row_json.h"

enum { FREE_FAILURES_ACCOUNT = 5, FREE_FAILURES_ADDRESS = 20 };

/* One text for every reason: who guesses names learns nothing. */
static bool refuse(struct error *error)
{
    return FAIL(error, ERROR_SIGN_IN, "the name or the password is wrong, or the account is disabled");
}

static struct str throttle_key(struct arena *arena, struct str kind, struct str text)
{
    char lower[ACCESS_ACCOUNT_BYTES];
    size_t len = text.len < sizeof lower ? text.len : sizeof lower;
    for (size_t i = 0; i < len; i++) {
        char c = text.at[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return arena_concat(arena, kind, (struct str){ lower, len });
}

/* The cookie's text. Strict: no other site can make a browser send it, not even by a link. */
static struct str cookie_text(struct arena *arena, struct str secret, bool tls)
{
    return arena_printf(arena, "%s=%.*s; Path=/; HttpOnly; SameSite=Strict%s", SESSION_COOKIE_NAME,
                        STR_FMT(secret), tls ? "; Secure" : "");
}

/* Which of the person's posts to begin with: the wanted one, else the last used, else the first. */
static const struct post_info *choose_post(const struct post_info *posts, size_t count, struct str wanted,
                                           struct str last)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(posts[i].id, wanted.len > 0 ? wanted : last)) {
            return &posts[i];
        }
    }
    return wanted.len == 0 && count > 0 ? &posts[0] : NULL;
}

/* A new session of the account under `post`: in memory, on disk, then its answer. */
static bool begin(struct access *access, struct arena *arena, struct account *account, struct str post,
                  bool tls, struct sign_in_answer *answer, struct error *error)
{
    struct rows_change changes[2] = { 0 };
    struct str secret = STR_NONE;
    if (!text_copy(post, account->last_post, sizeof account->last_post)) {
        return FAIL(error, ERROR_INPUT, "the post's id is too long");
    }
    struct session_start start = { .account = account,
                                   .post = post,
                                   .confirmed_ms = account->last_sign_in_ms };
    (void)pthread_mutex_lock(&access->lock);
    bool ok = session_begin(access, arena, &start, &secret, &changes[0], error);
    struct account *kept = ok ? account_find(access, str_from_cstr(account->name)) : NULL;
    if (kept != NULL) {
        memcpy(kept->last_post, account->last_post, sizeof kept->last_post);
        memcpy(kept->language, account->language, sizeof kept->language);
        if (account->last_sign_in_ms > kept->last_sign_in_ms) {
            kept->last_sign_in_ms = account->last_sign_in_ms;
        }
        ok = account_row(arena, kept, &changes[1], error);
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (!ok || kept == NULL) {
        return ok ? refuse(error) : false;
    }
    if (!access->options.rows.write(access->options.rows.context, changes, 2, error)) {
        return false;
    }
    answer->set_cookie = cookie_text(arena, secret, tls);
    struct session_request request = { .cookie = secret, .tls = tls };
    return session_of_request(access, arena, &request, &answer->session, error) &&
           session_info(access, &answer->session, arena, &answer->info, error);
}

struct attempt {
    struct str account_key;
    struct str address_key;
};

static bool attempt_allowed(struct access *access, const struct attempt *attempt, uint32_t *retry_after_s,
                            struct error *error)
{
    int64_t now_ms = access_now_ms(access);
    (void)pthread_mutex_lock(&access->lock);
    uint32_t by_account = throttle_wait_s(access, attempt->account_key, now_ms);
    uint32_t by_address = throttle_wait_s(access, attempt->address_key, now_ms);
    (void)pthread_mutex_unlock(&access->lock);
    uint32_t wait_s = by_account > by_address ? by_account : by_address;
    if (wait_s == 0) {
        return true;
    }
    *retry_after_s = wait_s;
    return FAIL(error, ERROR_TOO_MANY, "too many wrong passwords: wait %u seconds", wait_s);
}

static void attempt_ended(struct access *access, const struct attempt *attempt, bool right)
{
    int64_t now_ms = access_now_ms(access);
    (void)pthread_mutex_lock(&access->lock);
    if (right) {
        throttle_succeeded(access, attempt->account_key);
    } else {
        throttle_failed(access, attempt->account_key, FREE_FAILURES_ACCOUNT, now_ms);
        throttle_failed(access, attempt->address_key, FREE_FAILURES_ADDRESS, now_ms);
    }
    (void)pthread_mutex_unlock(&access->lock);
}

/* Checks name and password, with the limits of both keys; *account is a copy. */
static bool check_password(struct access *access, struct arena *arena, const struct sign_in *request,
                           struct account *account, uint32_t *retry_after_s, struct error *error)
{
    struct attempt attempt = { throttle_key(arena, STR("account:"), request->name),
                               throttle_key(arena, STR("address:"), request->address) };
    if (attempt.account_key.at == NULL || attempt.address_key.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!attempt_allowed(access, &attempt, retry_after_s, error)) {
        return false;
    }
    struct error ignored = { 0 };
    bool exists = account_copy(access, request->name, account, &ignored);
    bool right = false;
    if (!password_verify(&access->gate, exists ? account->password_hash : NULL, request->password, &right,
                         error)) {
        return false;
    }
    attempt_ended(access, &attempt, right);
    return right && !account->disabled ? true : refuse(error);
}

bool sign_in(struct access *access, struct arena *arena, const struct sign_in *request,
             struct sign_in_answer *answer, uint32_t *retry_after_s, struct error *error)
{
    struct account account;
    struct post_info *posts = NULL;
    size_t count = 0;
    *retry_after_s = 0;
    if (!check_password(access, arena, request, &account, retry_after_s, error) ||
        !posts_of(access, arena, str_from_cstr(account.practitioner), &posts, &count, error)) {
        return false;
    }
    const struct post_info *post = choose_post(posts, count, request->post, str_from_cstr(account.last_post));
    if (post == NULL) {
        return FAIL(error, ERROR_SIGN_IN,
                    count == 0 ? "this person has no active post: ask the administrator"
                               : "this person does not hold that post");
    }
    if (str_equal(request->language, STR("zh")) || str_equal(request->language, STR("en"))) {
        memcpy(account.language, request->language.at, 2);
    }
    account.last_sign_in_ms = access_now_ms(access);
    return begin(access, arena, &account, post->id, request->tls, answer, error);
}

bool session_switch_post(struct access *access, struct arena *arena, const struct access_session *session,
                         struct str post, bool tls, struct sign_in_answer *answer, struct error *error)
{
    struct account account;
    struct post_info *posts = NULL;
    size_t count = 0;
    if (!session_account(access, session, &account, error)) {
        return false;
    }
    if (!posts_of(access, arena, str_from_cstr(account.practitioner), &posts, &count, error)) {
        return false;
    }
    if (post.len == 0 || choose_post(posts, count, post, STR_NONE) == NULL) {
        return FAIL(error, ERROR_FORBIDDEN, "this person does not hold that post");
    }
    struct str ignored = STR_NONE;
    return begin(access, arena, &account, post, tls, answer, error) &&
           sign_out(access, arena, session, &ignored, error);
}

bool sign_out(struct access *access, struct arena *arena, const struct access_session *session,
              struct str *set_cookie, struct error *error)
{
    struct rows_change change = { 0 };
    if (session->means != ACCESS_BY_COOKIE) {
        return FAIL(error, ERROR_INPUT, "only a session of a screen can be signed out");
    }
    (void)pthread_mutex_lock(&access->lock);
    struct session *found = session_by_number(access, session);
    if (found != NULL) {
        change = session_row_removed(arena, found);
        session_drop(access, found);
    }
    (void)pthread_mutex_unlock(&access->lock);
    *set_cookie =
        arena_printf(arena, "%s=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", SESSION_COOKIE_NAME);
    return found == NULL || access->options.rows.write(access->options.rows.context, &change, 1, error);
}

bool session_state(struct access *access, const struct access_session *session, struct session *state,
                   struct error *error)
{
    (void)pthread_mutex_lock(&access->lock);
    const struct session *found =
        session->means == ACCESS_BY_MACHINE ? NULL : session_by_number(access, session);
    if (found != NULL) {
        *state = *found;
        state->actor = NULL; /* the copy has no reference */
    }
    (void)pthread_mutex_unlock(&access->lock);
    return found != NULL
               ? true
               : FAIL(error, ERROR_SIGN_IN, "not signed in, or the session has ended: sign in again");
}

bool session_account(struct access *access, const struct access_session *session, struct account *account,
                     struct error *error)
{
    struct session state;
    if (!session_state(access, session, &state, error) ||
        !account_copy(access, str_from_cstr(state.account), account, error)) {
        return false;
    }
    account->last_sign_in_ms = state.confirmed_ms; /* what a session begun from this one inherits */
    return true;
}

/* The password of somebody who is signed in already; wrong ones count like those at the door. */
static bool reconfirm(struct access *access, const struct access_session *session, struct str password,
                      struct account *account, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    bool ok = false;
    uint32_t retry_after_s = 0;
    if (!session_account(access, session, account, error)) {
        goto done;
    }
    struct sign_in request = { .name = str_from_cstr(account->name),
                               .password = password,
                               .address = STR("signed in") };
    ok = check_password(access, &arena, &request, account, &retry_after_s, error);
done:
    arena_deinit(&arena);
    return ok;
}

bool password_change(struct access *access, struct arena *arena, const struct access_session *session,
                     const struct password_change *change, struct sign_in_answer *answer, struct error *error)
{
    struct account account;
    char hash[PASSWORD_HASH_BYTES];
    if (session->means != ACCESS_BY_COOKIE) {
        return FAIL(error, ERROR_FORBIDDEN, "a password is changed by its person, at a screen");
    }
    if (!reconfirm(access, session, change->old_password, &account, error) ||
        !password_acceptable(change->new_password, str_from_cstr(account.name), error)) {
        return false;
    }
    if (str_equal(change->old_password, change->new_password)) {
        return FAIL(error, ERROR_INPUT, "the new password is the old one");
    }
    if (!password_hash(&access->gate, change->new_password, hash, error) ||
        !account_set_password(access, str_from_cstr(account.name), hash, error)) {
        return false;
    }
    if (!sessions_end_of(access, str_from_cstr(account.name), 0, false, error)) {
        return false;
    }
    account.must_change = false;
    account.last_sign_in_ms = access_now_ms(access);
    return begin(access, arena, &account, session->post, change->tls, answer, error);
}

bool session_confirm(struct access *access, const struct access_session *session, struct str password,
                     struct error *error)
{
    struct account account;
    int64_t now_ms = access_now_ms(access);
    if (session->means != ACCESS_BY_COOKIE) {
        return FAIL(error, ERROR_FORBIDDEN, "only a person at a screen can sign");
    }
    if (password.len == 0) {
        (void)pthread_mutex_lock(&access->lock);
        const struct session *found = session_by_number(access, session);
        bool recent =
            found != NULL && found->confirmed_ms != 0 && now_ms - found->confirmed_ms <= ACCESS_CONFIRM_MS;
        (void)pthread_mutex_unlock(&access->lock);
        return recent ? true : FAIL(error, ERROR_SIGN_IN, "the password is needed again before signing");
    }
    if (!reconfirm(access, session, password, &account, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct session *found = session_by_number(access, session);
    if (found != NULL) {
        found->confirmed_ms = now_ms;
    }
    (void)pthread_mutex_unlock(&access->lock);
    return true;
}
