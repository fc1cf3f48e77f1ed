/* app_internal.h — what the files of apps share: secrets, grants in memory and their rows. Nobody else includes it. */
#ifndef SHANHAI_ACCESS_APP_INTERNAL_H
#define SHANHAI_ACCESS_APP_INTERNAL_H

#include "access/app.h"
#include "access/internal.h"
#include "access/row_json.h"

enum { APP_FAMILY_BYTES = (ACCESS_FAMILY_BYTES - 1) / 2 };

struct app_secret {
    struct str text;
    uint8_t key[SHA256_BYTES]; /* SHA-256 of the text: all that is kept */
};

bool app_secret_make(struct arena *arena, struct app_secret *secret, struct error *error) MUST_CHECK;
/* "FAMILY" and "SECRET" beside each other, both hexadecimal. */
bool app_secret_split(struct str text, struct str *family, uint8_t key[SHA256_BYTES]) MUST_CHECK;
uint64_t app_key_hash(const uint8_t key[SHA256_BYTES]); /* within this process only */
bool app_key_same(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES]);
bool app_family_make(struct arena *arena, struct str *family, struct error *error) MUST_CHECK;

/* ---- with `lock` held ---- */

struct app_grant *app_grant_find(struct access *access, struct str family);
struct app_access *app_token_find(struct access *access, const uint8_t key[SHA256_BYTES]);
/* A new grant with its family and scopes; NULL when there are too many. */
struct app_grant *app_grant_add(struct access *access, struct str family, struct str scopes);
void app_grant_drop(struct access *access, struct app_grant *grant);
/* The oldest of one person and app gives way: a lost device does not lock the app out. */
void app_grants_make_room(struct access *access, const char *account, struct str app);
bool app_grant_row(struct arena *arena, const struct app_grant *grant, struct rows_change *change,
                   struct error *error) MUST_CHECK;

/* ---- without `lock` ---- */

/* A copy to look at, its scopes in the arena. False when there is none. */
bool app_grant_copy(struct access *access, struct arena *arena, struct str family,
                    struct app_grant *copy) MUST_CHECK;
/* Ends a grant wherever it stands, its row too. */
bool app_grant_end(struct access *access, struct arena *arena, struct str family,
                   struct error *error) MUST_CHECK;

/* The keys that an app proves itself with: registered, or fetched from its URL; NULL for an app that has none. With
 * `again` what was fetched is not good enough. ERROR_BUSY when it cannot be had. */
bool app_key_set_of(struct access *access, struct arena *arena, struct str id, const struct json *row,
                    bool again, struct json **set, struct error *error) MUST_CHECK;

/* Takes out of the list what the registration (`bound`) does not let the app ask for, and what is not of its kind. */
bool app_scopes_bound(struct arena *arena, struct str bound, bool system, struct scope_list *list,
                      struct error *error) MUST_CHECK;

#endif
