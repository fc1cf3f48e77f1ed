/* account.c — accounts in memory and their rows. */
#include <assert.h>

#include "access/internal.h"
#include "access/row_json.h"

bool account_name_valid(struct str name)
{
    if (name.len < 2 || name.len >= ACCESS_ACCOUNT_BYTES) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
        if (!allowed) {
            return false;
        }
    }
    return true;
}

/* Names differ in case only by mistake: one hash for both, compared the same way. */
static uint64_t name_hash(struct str name)
{
    char lower[ACCESS_ACCOUNT_BYTES];
    size_t len = name.len < sizeof lower ? name.len : sizeof lower;
    for (size_t i = 0; i < len; i++) {
        char c = name.at[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return hash64((struct str){ lower, len }, 3);
}

struct account *account_find(struct access *access, struct str name)
{
    struct slot *slot = slots_find(&access->accounts, name_hash(name));
    while (slot != NULL && !str_equal_ignore_case(str_from_cstr(((struct account *)slot)->name), name)) {
        slot = slots_find_next(slot);
    }
    return (struct account *)slot;
}

static struct account *account_insert(struct access *access, struct str name, struct error *error)
{
    struct account *account = slots_add(&access->accounts, name_hash(name));
    if (account == NULL) {
        (void)FAIL(error, ERROR_TOO_MANY, "there are %zu accounts, the most that this program keeps",
                   access->accounts.count);
        return NULL;
    }
    bool fits = text_copy(name, account->name, sizeof account->name);
    assert(fits); /* account_name_valid said so */
    return account;
}

bool account_load(void *data, struct str key, struct str value, struct error *error)
{
    struct access *access = data;
    struct arena arena = { .bytes_max = 64 * 1024 };
    bool ok = false;
    struct json *row = NULL;
    int64_t flags = 0;
    if (!account_name_valid(key) || !json_read(&arena, value, &row, error)) {
        (void)FAIL(error, ERROR_STRUCTURE, "a stored account is damaged");
        goto done;
    }
    struct account *account = account_insert(access, key, error);
    if (account == NULL) {
        goto done;
    }
    ok = row_text(row, STR("practitioner"), account->practitioner, sizeof account->practitioner, error) &&
         row_text(row, STR("hash"), account->password_hash, sizeof account->password_hash, error) &&
         row_text(row, STR("lastPost"), account->last_post, sizeof account->last_post, error) &&
         row_text(row, STR("language"), account->language, sizeof account->language, error) &&
         row_integer(row, STR("flags"), &flags, error) &&
         row_integer(row, STR("created"), &account->created_ms, error) &&
         row_integer(row, STR("lastSignIn"), &account->last_sign_in_ms, error);
    account->disabled = (flags & 1) != 0;
    account->must_change = (flags & 2) != 0;
done:
    arena_deinit(&arena);
    return ok;
}

bool account_row(struct arena *arena, const struct account *account, struct rows_change *change,
                 struct error *error)
{
    struct json *row = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, row, STR("practitioner"), str_from_cstr(account->practitioner));
    (void)json_add_text(arena, row, STR("hash"), str_from_cstr(account->password_hash));
    (void)json_add_text(arena, row, STR("lastPost"), str_from_cstr(account->last_post));
    (void)json_add_text(arena, row, STR("language"), str_from_cstr(account->language));
    (void)json_add(row, STR("flags"),
                   json_new_integer(arena, (account->disabled ? 1 : 0) | (account->must_change ? 2 : 0)));
    (void)json_add(row, STR("created"), json_new_integer(arena, account->created_ms));
    (void)json_add(row, STR("lastSignIn"), json_new_integer(arena, account->last_sign_in_ms));
    change->kind = ROWS_ACCOUNT;
    change->key = arena_dup(arena, str_from_cstr(account->name));
    return row_change(arena, row, change, error);
}

/* Into memory only when it is on disk. */
bool account_save(struct access *access, const struct account *next, bool is_new, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    struct rows_change change = { 0 };
    bool ok = account_row(&arena, next, &change, error) &&
              access->options.rows.write(access->options.rows.context, &change, 1, error);
    if (ok) {
        (void)pthread_mutex_lock(&access->lock);
        struct account *account = account_find(access, str_from_cstr(next->name));
        if (account == NULL && is_new) {
            account = account_insert(access, str_from_cstr(next->name), error);
        }
        if (account == NULL) {
            ok = false;
        } else {
            struct slot slot = account->slot;
            *account = *next;
            account->slot = slot;
        }
        (void)pthread_mutex_unlock(&access->lock);
    }
    arena_deinit(&arena);
    return ok;
}

bool account_copy(struct access *access, struct str name, struct account *copy, struct error *error)
{
    (void)pthread_mutex_lock(&access->lock);
    const struct account *account = account_find(access, name);
    if (account != NULL) {
        *copy = *account;
    }
    (void)pthread_mutex_unlock(&access->lock);
    return account != NULL ? true : FAIL(error, ERROR_NOT_FOUND, "there is no such account");
}

bool account_acceptable(struct access *access, const struct account_new *wanted, struct error *error)
{
    if (!account_name_valid(wanted->name)) {
        return FAIL(error, ERROR_INPUT, "an account's name has 2 to 64 letters, digits, '.', '-' or '_'");
    }
    if (wanted->password.at != NULL && !password_acceptable(wanted->password, wanted->name, error)) {
        return false;
    }
    (void)pthread_mutex_lock(&access->lock);
    bool taken = account_find(access, wanted->name) != NULL;
    (void)pthread_mutex_unlock(&access->lock);
    return taken ? FAIL(error, ERROR_CONFLICT, "an account of this name exists") : true;
}

bool account_add(struct access *access, struct arena *arena, const struct account_new *wanted,
                 struct str *password, struct error *error)
{
    if (!account_acceptable(access, wanted, error)) {
        return false;
    }
    struct json *person = NULL;
    const struct access_directory *directory = &access->options.directory;
    if (!directory->read(directory->context, arena, STR("Practitioner"), wanted->practitioner, &person,
                         error)) {
        return false;
    }
    if (person == NULL) {
        return FAIL(error, ERROR_INPUT, "there is no such Practitioner: enter the person first");
    }
    struct str text = wanted->password;
    if (text.at == NULL && !password_make(arena, &text, error)) {
        return false;
    }
    struct account next = { .created_ms = access_now_ms(access),
                            .must_change = wanted->must_change_password };
    if (!password_hash(&access->gate, text, next.password_hash, error)) {
        return false;
    }
    if (!text_copy(wanted->name, next.name, sizeof next.name) ||
        !text_copy(wanted->practitioner, next.practitioner, sizeof next.practitioner) ||
        !text_copy(access->options.default_language, next.language, sizeof next.language)) {
        return FAIL(error, ERROR_INPUT, "the Practitioner's id is too long");
    }
    if (!account_save(access, &next, true, error)) {
        return false;
    }
    *password = text;
    return true;
}

static bool add_text(struct arena *arena, struct json *row, struct str name, const char *text)
{
    return json_add(row, name, json_new_string(arena, arena_dup(arena, str_from_cstr(text)))) != NULL;
}

/* All of them, while the lock is held: no store, no directory here. */
static bool accounts_copy(struct access *access, struct arena *arena, struct json *list)
{
    bool ok = list != NULL;
    (void)pthread_mutex_lock(&access->lock);
    for (struct slot *item = slots_each(&access->accounts, NULL); ok && item != NULL;
         item = slots_each(&access->accounts, item)) {
        const struct account *account = (const struct account *)item;
        struct json *row = json_append(list, json_new(arena, JSON_OBJECT));
        ok = add_text(arena, row, STR("name"), account->name) &&
             add_text(arena, row, STR("practitioner"), account->practitioner) &&
             json_add(row, STR("disabled"), json_new_bool(arena, account->disabled)) != NULL &&
             json_add(row, STR("mustChangePassword"), json_new_bool(arena, account->must_change)) != NULL &&
             json_add(row, STR("createdAt"), row_time_json(arena, account->created_ms)) != NULL &&
             (account->last_sign_in_ms == 0 ||
              json_add(row, STR("lastSignInAt"), row_time_json(arena, account->last_sign_in_ms)) != NULL);
    }
    (void)pthread_mutex_unlock(&access->lock);
    return ok;
}

bool account_list(struct access *access, struct arena *arena, const struct access_session *session,
                  struct json **accounts, struct error *error)
{
    struct json *all = json_new(arena, JSON_ARRAY);
    struct json *list = json_new(arena, JSON_ARRAY);
    if (!accounts_copy(access, arena, all) || list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct json *row = all->first;
    while (row != NULL) {
        struct json *next = row->next;
        struct error outside = { 0 };
        bool within = session == NULL || practitioner_within(access, arena, session,
                                                             JSON_TEXT(arena, row, "practitioner"), &outside);
        if (!within && outside.kind != ERROR_FORBIDDEN) {
            *error = outside;
            return false;
        }
        if (within) {
            (void)json_remove(all, row);
            (void)json_append(list, row);
        }
        row = next;
    }
    *accounts = list;
    return true;
}

bool practitioner_within(struct access *access, struct arena *arena, const struct access_session *session,
                         struct str practitioner, struct error *error)
{
    struct post_info *posts = NULL;
    size_t count = 0;
    if (!posts_of(access, arena, practitioner, &posts, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!str_equal(posts[i].tenant, session->tenant)) {
            return FAIL(error, ERROR_FORBIDDEN,
                        "this person holds a post at another hospital: its administrator decides");
        }
    }
    return true;
}

bool account_within(struct access *access, struct arena *arena, const struct access_session *session,
                    struct str name, struct error *error)
{
    struct account account;
    struct error outside = { 0 };
    if (!account_copy(access, name, &account, error)) {
        return false;
    }
    if (practitioner_within(access, arena, session, str_from_cstr(account.practitioner), &outside)) {
        return true;
    }
    if (outside.kind == ERROR_FORBIDDEN) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such account");
    }
    *error = outside;
    return false;
}

bool account_set_disabled(struct access *access, struct str name, bool disabled, struct error *error)
{
    struct account next;
    if (!account_copy(access, name, &next, error)) {
        return false;
    }
    next.disabled = disabled;
    return account_save(access, &next, false, error) &&
           (!disabled || (sessions_end_of(access, str_from_cstr(next.name), 0, true, error) &&
                          app_grants_end(access, str_from_cstr(next.name), STR_NONE, error)));
}

bool account_reset_password(struct access *access, struct arena *arena, struct str name, struct str *password,
                            struct error *error)
{
    struct account next;
    struct str text = STR_NONE;
    if (!account_copy(access, name, &next, error) || !password_make(arena, &text, error) ||
        !password_hash(&access->gate, text, next.password_hash, error)) {
        return false;
    }
    next.must_change = true;
    if (!account_save(access, &next, false, error) ||
        !sessions_end_of(access, str_from_cstr(next.name), 0, false, error) ||
        !app_grants_end(access, str_from_cstr(next.name), STR_NONE, error)) {
        return false;
    }
    *password = text;
    return true;
}

bool account_set_password(struct access *access, struct str name, const char *hash, struct error *error)
{
    struct account next;
    if (!account_copy(access, name, &next, error)) {
        return false;
    }
    bool fits = text_copy(str_from_cstr(hash), next.password_hash, sizeof next.password_hash);
    assert(fits);
    next.must_change = false;
    return account_save(access, &next, false, error);
}
