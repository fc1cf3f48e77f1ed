/* internal.h — what the files of access/ share and nobody else includes.
 *
 * `lock` guards the slots and everything in them. It is never held while waiting for the store, for a
 * password or for the directory: look, let go, wait, look again. The gate has a lock of its own; the two
 * are never held together. */
#ifndef SHANHAI_ACCESS_INTERNAL_H
#define SHANHAI_ACCESS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "access/access_open.h"
#include "access/password.h"
#include "access/policy.h"
#include "access/sign_in.h"
#include "access/slots.h"
#include "base/hash.h"

#define TOKEN_PREFIX "shanhai_" /* so that a leaked token is recognised by scanners */
#define APP_TOKEN_PREFIX "shanhai_app_"
#define APP_REFRESH_PREFIX "shanhai_refresh_"

enum {
    ACCESS_ACCOUNT_BYTES = 65, /* name and NUL */
    ACCESS_TOKEN_RANDOM = 32,  /* 256 bits */
    ACCESS_TOKENS_MAX = 10000,
    ACCESS_SESSIONS_MAX = 20000,
    ACCESS_SESSIONS_OF_ACCOUNT = 20,
    ACCESS_ACCOUNTS_MAX = 200000,
    ACCESS_THROTTLES_MAX = 65536,
    ACCESS_POSTS_MAX = 32, /* of one person */
    ACCESS_MACHINES_MAX = 256,
    ACCESS_APPS_MAX = 1000,
    ACCESS_GRANTS_MAX = 20000,
    ACCESS_GRANTS_OF_ACCOUNT = 50, /* of one person and app: the oldest gives way */
    ACCESS_APP_TOKENS_MAX = 20000,
    ACCESS_APP_TOKENS_OF_APP = 2000,
    ACCESS_ASSERTIONS_MAX = 50000,
    ACCESS_LAUNCHES_MAX = 2000,
    ACCESS_FAMILY_BYTES = 33, /* 128 random bits in hexadecimal, and NUL */
    ACCESS_REDIRECT_BYTES = 512,
    ACCESS_NONCE_BYTES = 257,
    ACCESS_CONFIRM_MS = 10 * 60 * 1000
};

struct account {
    struct slot slot; /* hash of the name */
    char name[ACCESS_ACCOUNT_BYTES];
    char practitioner[ACCESS_ID_BYTES];
    char last_post[ACCESS_ID_BYTES];
    char password_hash[PASSWORD_HASH_BYTES];
    char language[3];
    bool disabled;
    bool must_change;
    int64_t created_ms;
    int64_t last_sign_in_ms; /* 0: never */
};

/* A session of a screen, or a token of a program: both end, both have one post. */
struct session {
    struct slot slot;          /* first 8 bytes of key */
    uint8_t key[SHA256_BYTES]; /* SHA-256 of the cookie's or token's bytes */
    enum access_means means;
    char account[ACCESS_ACCOUNT_BYTES];
    char post[ACCESS_ID_BYTES];
    char label[ACCESS_ID_BYTES]; /* of a token */
    uint64_t number;
    int64_t created_ms;
    int64_t ends_ms;
    int64_t used_ms;
    int64_t used_saved_ms;      /* as the row has it */
    int64_t confirmed_ms;       /* last password given; 0 after a restart: memory only */
    struct access_actor *actor; /* NULL until first used; one reference */
};

/* Wrong passwords of one account name or one address. */
struct throttle {
    struct slot slot;
    uint64_t check; /* a second hash of the key, so that a clash does not lock somebody else out */
    uint32_t failures;
    int64_t first_ms; /* of this run of failures */
    int64_t until_ms; /* refused before this */
};

/* A registered app: its row as it is stored, read when it is needed. */
struct app {
    struct slot slot; /* hash of the id */
    char id[ACCESS_ID_BYTES];
    bool disabled;
    struct str row; /* malloc */
    /* Of a key set by URL, memory only: what was last fetched, and when it was last asked for. */
    struct str key_set; /* malloc */
    int64_t key_set_ms;
    int64_t key_set_asked_ms;
};

/* What one authorisation gave: first behind a code, then behind tokens. With offline_access it is a row too. */
struct app_grant {
    struct slot slot; /* hash of the family */
    char family[ACCESS_FAMILY_BYTES];
    char app[ACCESS_ID_BYTES];
    char account[ACCESS_ACCOUNT_BYTES]; /* "": the app's own post */
    char practitioner[ACCESS_ID_BYTES];
    char post[ACCESS_ID_BYTES];
    char patient[ACCESS_ID_BYTES];
    char encounter[ACCESS_ID_BYTES];
    struct str scopes; /* malloc */
    bool offline;
    bool online;             /* refreshed while the session lives under which it was allowed; memory only */
    uint64_t session_number; /* that session; 0 for what was read from a row */
    int64_t created_ms;
    int64_t ends_ms;
    uint8_t refresh_key[SHA256_BYTES]; /* SHA-256 of the current refresh token's secret */
    /* until it is exchanged: */
    uint8_t code_key[SHA256_BYTES];
    int64_t code_ends_ms;
    bool code_used;
    char challenge[44]; /* base64url of SHA-256 */
    char redirect[ACCESS_REDIRECT_BYTES];
    char nonce[ACCESS_NONCE_BYTES];
    struct access_actor *actor; /* NULL until first used; one reference */
};

/* An access token: memory only, a restart ends it. */
struct app_access {
    struct slot slot;
    uint8_t key[SHA256_BYTES];
    char family[ACCESS_FAMILY_BYTES];
    int64_t ends_ms;
    uint64_t number;
};

/* A used assertion, or a launch from the screens. */
struct app_once {
    struct slot slot;
    uint8_t key[SHA256_BYTES];
    int64_t ends_ms;
    char person[ACCESS_ID_BYTES];
    char post[ACCESS_ID_BYTES];
    char patient[ACCESS_ID_BYTES];
    char encounter[ACCESS_ID_BYTES];
};

struct machine {
    struct slot slot;
    char role[ACCESS_ID_BYTES];
    char organization[ACCESS_ID_BYTES];
    struct access_actor *actor;
};

struct access {
    struct arena arena; /* lives as long as the module */
    struct access_options options;
    struct policy_set policies;
    struct password_gate gate;
    _Atomic uint64_t directory_epoch;
    pthread_mutex_t lock;
    struct slots accounts;
    struct slots sessions;
    struct slots tokens;
    struct slots throttles;
    struct slots machines;
    struct slots apps;
    struct slots app_grants;
    struct slots app_tokens;
    struct slots app_assertions;
    struct slots app_launches;
    struct str id_token_key;   /* malloc; absent until it is needed */
    bool id_token_key_in_work; /* somebody is making it */
    uint64_t sessions_made;    /* the next session's number */
};

static inline int64_t access_now_ms(const struct access *access)
{
    return access->options.now_ms(access->options.now_context);
}

/* ---- account.c: all with `lock` held, except where said ---- */

struct account *account_find(struct access *access, struct str name);
bool account_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
/* The account's row, with the text in `arena`. */
bool account_row(struct arena *arena, const struct account *account, struct rows_change *change,
                 struct error *error) MUST_CHECK;
bool account_name_valid(struct str name);
/* Without `lock`: a new hash, and no longer to be changed. */
bool account_set_password(struct access *access, struct str name, const char *hash,
                          struct error *error) MUST_CHECK;
/* Without `lock`: writes `next` down, then takes it into memory. */
bool account_save(struct access *access, const struct account *next, bool is_new,
                  struct error *error) MUST_CHECK;
/* Without `lock`: a copy to look at; ERROR_NOT_FOUND. */
bool account_copy(struct access *access, struct str name, struct account *copy,
                  struct error *error) MUST_CHECK;

/* ---- session.c: all with `lock` held ---- */

bool session_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
bool token_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
bool session_row(struct arena *arena, const struct session *session, struct rows_change *change,
                 struct error *error) MUST_CHECK;
struct rows_change session_row_removed(struct arena *arena, const struct session *session);
struct session *session_find(struct slots *slots, const uint8_t key[SHA256_BYTES]);
/* Whether somebody is still signed in under a session's number; never true for 0. */
bool session_is_open(struct access *access, uint64_t number);
struct session *session_by_number(struct access *access, const struct access_session *session);
void session_drop(struct access *access, struct session *session);
bool session_has_ended(const struct access *access, const struct session *session, int64_t now_ms);

/* A new session in memory and its row in *change (not yet written); *secret is the cookie's text. */
struct session_start {
    const struct account *account;
    struct str post;
    int64_t confirmed_ms;
};
bool session_begin(struct access *access, struct arena *arena, const struct session_start *start,
                   struct str *secret, struct rows_change *change, struct error *error) MUST_CHECK;

/* Without `lock`: ends the account's sessions but the one numbered `except`, and its tokens too. */
bool sessions_end_of(struct access *access, struct str account, uint64_t except, bool tokens,
                     struct error *error) MUST_CHECK;
/* Without `lock`: a copy of the session itself. ERROR_SIGN_IN when it has ended. */
bool session_state(struct access *access, const struct access_session *session, struct session *state,
                   struct error *error) MUST_CHECK;
/* Without `lock`: a copy of the account behind a session; its last_sign_in_ms says when the password was
 * last given in this session. ERROR_SIGN_IN when the session has ended. */
bool session_account(struct access *access, const struct access_session *session, struct account *account,
                     struct error *error) MUST_CHECK;
/* Any time: the CSRF token that belongs to a cookie's secret. */
bool session_csrf(struct arena *arena, struct str secret, struct str *csrf, struct error *error) MUST_CHECK;

/* ---- app.c, app_client.c, app_grant.c ---- */

bool app_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
bool app_key_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
bool app_assertion_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
bool app_grant_load(void *access, struct str key, struct str value, struct error *error) MUST_CHECK;
/* With `lock` held: NULL when there is none or it is disabled. */
const struct app *app_find(struct access *access, struct str id);
/* Without `lock`: the app's row; ERROR_NOT_FOUND also when it is disabled. */
bool app_row(struct access *access, struct arena *arena, struct str id, struct json **row,
             struct error *error) MUST_CHECK;
/* Without `lock`: ends what an account, or an app, holds. */
bool app_grants_end(struct access *access, struct str account, struct str app,
                    struct error *error) MUST_CHECK;
/* With `lock` held: what has ended goes; rows to remove are added to *changes. */
void app_sweep(struct access *access, struct arena *arena, struct rows_change *changes, size_t *count,
               size_t max);
void apps_close(struct access *access);
/* Without `lock`: ends the line of a client's refresh token (without its prefix), when it is its current one. */
bool app_family_end(struct access *access, struct arena *arena, struct str refresh, struct str client,
                    struct error *error) MUST_CHECK;
/* Without `lock`: the session of a request by an access token of an app, `secret` behind the prefix. */
bool app_session(struct access *access, struct arena *arena, struct str secret,
                 struct access_session *session, struct error *error) MUST_CHECK;
/* With `lock` held: an item whose key is the SHA-256 of a secret; NULL. */
struct app_once *app_once_find(const struct slots *slots, const uint8_t key[SHA256_BYTES]);
struct app_once *app_once_add(struct slots *slots, const uint8_t key[SHA256_BYTES], int64_t ends_ms);

/* Any time: whether two texts are the same, in a time that does not tell where they differ. */
bool text_equal_in_constant_time(struct str a, struct str b);

/* ---- throttle.c: with `lock` held ---- */

/* 0 when the key may try, else the seconds to wait. */
uint32_t throttle_wait_s(struct access *access, struct str key, int64_t now_ms);
void throttle_failed(struct access *access, struct str key, uint32_t failures_free, int64_t now_ms);
void throttle_succeeded(struct access *access, struct str key);

/* ---- post.c: without `lock` ---- */

enum { ACCESS_LINE_MAX = 12 };

struct post_info {
    bool usable; /* in force now, with a role that has a policy, at an organisation that exists */
    struct str id;
    struct str practitioner;
    const struct policy_role *role;
    struct str organization;
    struct str organization_name;
    struct str tenant;
    struct str tenant_name;
    struct str line[ACCESS_LINE_MAX]; /* from the organisation up to the tenant */
    size_t line_count;
    int64_t ends_ms;
};

/* What a PractitionerRole says. */
bool post_read(struct access *access, struct arena *arena, const struct json *resource,
               struct post_info *info, struct error *error) MUST_CHECK;

/* The usable posts of a person, the oldest first. */
bool posts_of(struct access *access, struct arena *arena, struct str practitioner, struct post_info **posts,
              size_t *count, struct error *error) MUST_CHECK;
struct json *post_json(struct arena *arena, const struct post_info *post);

/* "Organization/x" in a Reference → x; STR_NONE for anything else. */
struct str reference_id(struct arena *arena, const struct json *reference, struct str type);

/* ---- actor.c ---- */

struct actor_start {
    struct str practitioner; /* absent for machines */
    struct str post;
    struct str role; /* machines only: role and organisation are given, not looked up */
    struct str organization;
    struct str scopes;  /* an app's; absent: not an app */
    struct str patient; /* in its context */
};
/* A new actor with one reference, without `lock` held. ERROR_FORBIDDEN when the post is gone, ended, not of
 * this person, or its role has no policy. */
bool actor_create(struct access *access, const struct actor_start *start, struct access_actor **actor,
                  struct error *error) MUST_CHECK;
struct access_actor *actor_ref(struct access_actor *actor);
void actor_unref(struct access_actor *actor); /* NULL is allowed */
bool actor_is_stale(const struct access *access, const struct access_actor *actor);
/* Fills what the session says about its actor and ties one reference (taken over) to the arena. */
bool actor_attach(struct arena *arena, struct access_actor *actor, struct access_session *session,
                  struct error *error) MUST_CHECK;

#endif
