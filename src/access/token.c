/* token.c — bearer tokens for programs: made once, kept as hashes, ended by date or by hand. */
#include "access/internal.h"
#include "access/row_json.h"
#include "base/uuid.h"

enum { TOKEN_ID_BYTES = 8, TOKEN_DAYS_MAX = 400 };

/* The post must be one of the account's person. */
static bool token_post_fits(struct access *access, struct arena *arena, const struct token_new *wanted,
                            struct account *account, struct error *error)
{
    struct post_info *posts = NULL;
    size_t count = 0;
    if (!account_copy(access, wanted->account, account, error) ||
        !posts_of(access, arena, str_from_cstr(account->practitioner), &posts, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (str_equal(posts[i].id, wanted->post)) {
            return true;
        }
    }
    return FAIL(error, ERROR_INPUT, "this person does not hold that post");
}

static bool token_fill(struct session *token, const struct token_new *wanted, const struct account *account,
                       int64_t now_ms)
{
    token->means = ACCESS_BY_TOKEN;
    token->created_ms = now_ms;
    token->used_ms = now_ms;
    token->used_saved_ms = now_ms;
    token->ends_ms = now_ms + (int64_t)wanted->days * 24 * 60 * 60 * 1000;
    return text_copy(str_from_cstr(account->name), token->account, sizeof token->account) &&
           text_copy(wanted->post, token->post, sizeof token->post) &&
           text_copy(wanted->label, token->label, sizeof token->label);
}

bool token_add(struct access *access, struct arena *arena, const struct token_new *wanted, struct str *text,
               struct error *error)
{
    struct account account;
    struct session token = { 0 };
    uint8_t random[ACCESS_TOKEN_RANDOM];
    struct rows_change change = { 0 };
    if (wanted->days < 1 || wanted->days > TOKEN_DAYS_MAX) {
        return FAIL(error, ERROR_INPUT, "a token is good for 1 to %d days", TOKEN_DAYS_MAX);
    }
    if (!token_post_fits(access, arena, wanted, &account, error) ||
        !random_bytes(random, sizeof random, error)) {
        return false;
    }
    struct str secret = hex_text(arena, random, sizeof random);
    if (secret.at == NULL || !token_fill(&token, wanted, &account, access_now_ms(access))) {
        return FAIL(error, ERROR_INPUT, "the label of a token has at most 64 bytes");
    }
    if (!hash_sha256(secret, token.key, error) || !session_row(arena, &token, &change, error) ||
        !access->options.rows.write(access->options.rows.context, &change, 1, error)) {
        return false;
    }
    uint64_t hash = 0;
    memcpy(&hash, token.key, sizeof hash);
    (void)pthread_mutex_lock(&access->lock);
    struct session *kept = slots_add(&access->tokens, hash);
    if (kept != NULL) {
        struct slot slot = kept->slot;
        token.number = ++access->sessions_made;
        *kept = token;
        kept->slot = slot;
    }
    (void)pthread_mutex_unlock(&access->lock);
    if (kept == NULL) {
        return FAIL(error, ERROR_TOO_MANY, "there are too many tokens: remove some");
    }
    *text = arena_concat(arena, STR(TOKEN_PREFIX), secret);
    return text->at != NULL ? true : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static struct json *text_json(struct arena *arena, const char *text)
{
    return json_new_string(arena, arena_dup(arena, str_from_cstr(text)));
}

bool token_list(struct access *access, struct arena *arena, struct json **tokens, struct error *error)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    (void)pthread_mutex_lock(&access->lock);
    for (struct slot *item = slots_each(&access->tokens, NULL); item != NULL;
         item = slots_each(&access->tokens, item)) {
        const struct session *token = (const struct session *)item;
        struct json *row = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add(row, STR("id"), json_new_string(arena, hex_text(arena, token->key, TOKEN_ID_BYTES)));
        (void)json_add(row, STR("account"), text_json(arena, token->account));
        (void)json_add(row, STR("post"), text_json(arena, token->post));
        (void)json_add(row, STR("label"), text_json(arena, token->label));
        (void)json_add(row, STR("createdAt"), row_time_json(arena, token->created_ms));
        (void)json_add(row, STR("endsAt"), row_time_json(arena, token->ends_ms));
    }
    size_t count = access->tokens.count;
    (void)pthread_mutex_unlock(&access->lock);
    if (list == NULL || list->count != count) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *tokens = list;
    return true;
}

bool token_remove(struct access *access, struct str id, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    uint8_t start[TOKEN_ID_BYTES];
    struct rows_change change = { 0 };
    bool found = false;
    bool ok = false;
    if (!hex_bytes(id, start, sizeof start)) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no such token");
        goto done;
    }
    (void)pthread_mutex_lock(&access->lock);
    struct slot *item = slots_each(&access->tokens, NULL);
    while (item != NULL && !found) {
        struct session *token = (struct session *)item;
        item = slots_each(&access->tokens, item);
        if (memcmp(token->key, start, sizeof start) == 0) {
            change = session_row_removed(&arena, token);
            session_drop(access, token);
            found = true;
        }
    }
    (void)pthread_mutex_unlock(&access->lock);
    ok = found ? access->options.rows.write(access->options.rows.context, &change, 1, error)
               : FAIL(error, ERROR_NOT_FOUND, "there is no such token");
done:
    arena_deinit(&arena);
    return ok;
}
