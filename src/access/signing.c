/* signing.c — the built-in signer: which key a person signs with, and how keys lie on disk. */
#include "access/signing.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <sodium.h>

#include "access/row_json.h"
#include "access/sm2.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/uuid.h"

enum {
    SEAL_KEY_BYTES = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
    SEAL_NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    SEAL_TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    KEYS_BYTES_MAX = 256 * 1024 * 1024,
    KEY_FILE_BYTES_MAX = 8192,
    PERSON_BYTES = 65,
    PATH_BYTES = 4096,
    /* A signature bears the time at which its request began; the key may have been made for it a moment later. */
    KEY_EARLIER_MS = 60 * 1000
};

static const int64_t no_end_ms = INT64_MAX;
static const int64_t day_ms = 24LL * 60 * 60 * 1000;

struct key {
    struct key *next;
    char number[SIGNING_NUMBER_BYTES];
    char practitioner[PERSON_BYTES];
    int64_t from_ms;
    int64_t until_ms;
    uint8_t public_key[SM2_PUBLIC_BYTES_MAX];
    size_t public_len;
    uint8_t sealed[SEAL_NONCE_BYTES + SM2_PRIVATE_BYTES_MAX + SEAL_TAG_BYTES]; /* nonce, ciphertext */
    size_t sealed_len; /* 0: the private key was wiped */
};

struct signing_keys {
    struct arena arena;
    struct signing_options options;
    pthread_mutex_t lock; /* guards what follows */
    struct key *first;
    /* [0] seals; [1], when there, is the one before it: a rotation that was cut short leaves both in
     * server.key, and keys that were not sealed anew yet open with the old one. */
    uint8_t server_keys[2][SEAL_KEY_BYTES];
    size_t server_keys_count;
};

static int64_t wall_clock(void *context)
{
    (void)context;
    return clock_now_ms();
}

static struct str base64_text(struct arena *arena, const uint8_t *bytes, size_t len)
{
    size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = arena_alloc(arena, size);
    if (text == NULL) {
        return STR_NONE;
    }
    (void)sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
    return (struct str){ text, size - 1 };
}

/* ---- sealing ---- */

/* The person and the number are part of the seal: a sealed key moved to another name does not open. */
static size_t seal_context(const struct key *key, char out[PERSON_BYTES + SIGNING_NUMBER_BYTES])
{
    int len = snprintf(out, PERSON_BYTES + SIGNING_NUMBER_BYTES, "%s/%s", key->number, key->practitioner);
    assert(len > 0 && len < PERSON_BYTES + SIGNING_NUMBER_BYTES);
    return (size_t)len;
}

static bool key_seal(const struct signing_keys *keys, struct key *key, const struct sm2_key *pair,
                     struct error *error)
{
    char context[PERSON_BYTES + SIGNING_NUMBER_BYTES];
    size_t context_len = seal_context(key, context);
    unsigned long long len = 0;
    assert(pair->private_len <= SM2_PRIVATE_BYTES_MAX);
    if (!random_bytes(key->sealed, SEAL_NONCE_BYTES, error)) {
        return false;
    }
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(key->sealed + SEAL_NONCE_BYTES, &len, pair->private_key,
                                                     pair->private_len, (const uint8_t *)context, context_len,
                                                     NULL, key->sealed, keys->server_keys[0]);
    key->sealed_len = SEAL_NONCE_BYTES + (size_t)len;
    return true;
}

static bool key_unseal(const struct signing_keys *keys, const struct key *key, struct sm2_key *pair,
                       struct error *error)
{
    char context[PERSON_BYTES + SIGNING_NUMBER_BYTES];
    size_t context_len = seal_context(key, context);
    unsigned long long len = 0;
    bool opened = false;
    if (key->sealed_len >= SEAL_NONCE_BYTES + SEAL_TAG_BYTES) {
        for (size_t i = 0; i < keys->server_keys_count && !opened; i++) {
            opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
                         pair->private_key, &len, NULL, key->sealed + SEAL_NONCE_BYTES,
                         key->sealed_len - SEAL_NONCE_BYTES, (const uint8_t *)context, context_len,
                         key->sealed, keys->server_keys[i]) == 0;
        }
    }
    if (!opened) {
        return FAIL(error, ERROR_INTERNAL,
                    "signing key %s does not open with server.key: restore both from one backup",
                    key->number);
    }
    pair->private_len = (size_t)len;
    memcpy(pair->public_key, key->public_key, key->public_len);
    pair->public_len = key->public_len;
    return true;
}

/* ---- files ---- */

static bool path_of(const struct signing_keys *keys, const char *name, const char *ending,
                    char out[PATH_BYTES], struct error *error)
{
    int len = snprintf(out, PATH_BYTES, "%s/%s%s", keys->options.folder, name, ending);
    return len > 0 && len < PATH_BYTES ? true : FAIL(error, ERROR_INPUT, "the path of the keys is too long");
}

static bool key_write(const struct signing_keys *keys, const struct key *key, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    char path[PATH_BYTES];
    struct rows_change change = { .key = STR("key") };
    struct json *object = json_new(&arena, JSON_OBJECT);
    (void)json_add_text(&arena, object, STR("number"), str_from_cstr(key->number));
    (void)json_add_text(&arena, object, STR("practitioner"), str_from_cstr(key->practitioner));
    (void)json_add_text(&arena, object, STR("algorithm"), STR(SIGNING_ALGORITHM));
    (void)json_add(object, STR("from"), json_new_integer(&arena, key->from_ms));
    (void)json_add(object, STR("until"), json_new_integer(&arena, key->until_ms));
    (void)json_add_text(&arena, object, STR("public"), hex_text(&arena, key->public_key, key->public_len));
    (void)json_add_text(&arena, object, STR("sealed"), hex_text(&arena, key->sealed, key->sealed_len));
    bool ok = row_change(&arena, object, &change, error) &&
              path_of(keys, key->number, ".json", path, error) &&
              file_write_atomically(path, change.value, 0600, error);
    arena_deinit(&arena);
    return ok;
}

static bool hex_member(const struct json *object, struct str name, uint8_t *bytes, size_t bytes_max,
                       size_t *len)
{
    const struct json *member = json_member(object, name);
    if (member == NULL || member->kind != JSON_STRING || member->raw.len % 2 != 0 ||
        member->raw.len / 2 > bytes_max) {
        return false;
    }
    *len = member->raw.len / 2;
    return hex_bytes(member->raw, bytes, *len);
}

static bool key_read(struct signing_keys *keys, const char *path, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    struct str text = STR_NONE;
    struct json *object = NULL;
    bool ok = false;
    struct key *key = ARENA_NEW(&keys->arena, struct key);
    if (key == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "there are more signing keys than fit into memory");
        goto done;
    }
    if (!file_read_whole(&arena, path, KEY_FILE_BYTES_MAX, &text, error) ||
        !json_read(&arena, text, &object, error)) {
        goto done;
    }
    ok = row_text(object, STR("number"), key->number, sizeof key->number, error) &&
         row_text(object, STR("practitioner"), key->practitioner, sizeof key->practitioner, error) &&
         row_integer(object, STR("from"), &key->from_ms, error) &&
         row_integer(object, STR("until"), &key->until_ms, error);
    if (ok &&
        (!hex_member(object, STR("public"), key->public_key, sizeof key->public_key, &key->public_len) ||
         !hex_member(object, STR("sealed"), key->sealed, sizeof key->sealed, &key->sealed_len))) {
        ok = FAIL(error, ERROR_STRUCTURE, "the file of signing key %s is damaged", key->number);
    }
    if (ok) {
        key->next = keys->first;
        keys->first = key;
    }
done:
    arena_deinit(&arena);
    return ok;
}

bool signing_public_file(struct arena *arena, struct str file, struct str *public_file, struct error *error)
{
    struct json *object = NULL;
    if (!json_read(arena, file, &object, error)) {
        return false;
    }
    (void)json_set(object, STR("sealed"), json_new_string(arena, STR("")));
    struct str text = json_write_arena(arena, object);
    if (text.at == NULL || object->kind != JSON_OBJECT || json_member(object, STR("public")) == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "the file of a signing key is damaged");
    }
    *public_file = text;
    return true;
}

static bool keys_read(struct signing_keys *keys, struct error *error)
{
    bool ok = true;
    DIR *folder = opendir(keys->options.folder);
    if (folder == NULL) {
        return FAIL_OS(error, ERROR_INTERNAL, "the folder of the signing keys cannot be read");
    }
    for (struct dirent *entry = readdir(folder); ok && entry != NULL; entry = readdir(folder)) {
        char path[PATH_BYTES];
        if (str_ends_with(str_from_cstr(entry->d_name), STR(".json"))) {
            ok = path_of(keys, entry->d_name, "", path, error) && key_read(keys, path, error);
        }
    }
    (void)closedir(folder);
    return ok;
}

static bool server_keys_write(const struct signing_keys *keys, struct error *error)
{
    char path[PATH_BYTES];
    struct str content = { (const char *)keys->server_keys, keys->server_keys_count * SEAL_KEY_BYTES };
    return path_of(keys, "server", ".key", path, error) && file_write_atomically(path, content, 0600, error);
}

static bool server_keys_load(struct signing_keys *keys, struct error *error)
{
    struct arena arena = { .bytes_max = 64 * 1024 };
    char path[PATH_BYTES];
    struct str content = STR_NONE;
    bool ok = path_of(keys, "server", ".key", path, error);
    if (ok && access(path, F_OK) != 0) {
        keys->server_keys_count = 1;
        ok = random_bytes(keys->server_keys[0], SEAL_KEY_BYTES, error) && server_keys_write(keys, error);
    } else if (ok) {
        ok = file_read_whole(&arena, path, sizeof keys->server_keys, &content, error);
        if (ok && content.len != SEAL_KEY_BYTES && content.len != sizeof keys->server_keys) {
            ok = FAIL(error, ERROR_STRUCTURE, "server.key is damaged");
        }
        if (ok) {
            memcpy(keys->server_keys, content.at, content.len);
            keys->server_keys_count = content.len / SEAL_KEY_BYTES;
        }
    }
    arena_deinit(&arena);
    return ok;
}

bool signing_open(const struct signing_options *options, struct signing_keys **keys, struct error *error)
{
    struct arena arena = { .bytes_max = KEYS_BYTES_MAX };
    if (sodium_init() < 0) {
        return FAIL(error, ERROR_INTERNAL, "libsodium did not start");
    }
    struct signing_keys *made = ARENA_NEW(&arena, struct signing_keys);
    if (made == NULL) {
        return FAIL(error, ERROR_BUSY, "no memory for the signing keys");
    }
    made->options = *options;
    made->options.now_ms = options->now_ms == NULL ? wall_clock : options->now_ms;
    made->options.folder = arena_cstr(&arena, str_from_cstr(options->folder));
    made->arena = arena;
    (void)pthread_mutex_init(&made->lock, NULL);
    if (!folder_create(made->options.folder, error) || !server_keys_load(made, error) ||
        !keys_read(made, error)) {
        signing_close(made);
        return false;
    }
    *keys = made;
    return true;
}

void signing_close(struct signing_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    sodium_memzero(keys->server_keys, sizeof keys->server_keys);
    (void)pthread_mutex_destroy(&keys->lock);
    struct arena arena = keys->arena;
    arena_deinit(&arena);
}

/* ---- keys ---- */

static void key_number(const struct sm2_key *pair, char out[SIGNING_NUMBER_BYTES],
                       const uint8_t digest[SM3_BYTES])
{
    static const char letters[] = "0123456789ABCDEF";
    assert(pair->public_len > 0);
    memcpy(out, "SM2-", 4);
    for (size_t i = 0; i < 8; i++) {
        out[4 + 2 * i] = letters[digest[i] >> 4];
        out[5 + 2 * i] = letters[digest[i] & 15];
    }
    out[20] = '\0';
}

/* A new key of the person: sealed, on disk, then in the list. `lock` is held. */
static bool key_make(struct signing_keys *keys, struct str practitioner, int64_t now_ms, struct key **out,
                     struct error *error)
{
    bool ok = false;
    struct sm2_key pair = { 0 };
    uint8_t digest[SM3_BYTES];
    struct key *key = ARENA_NEW(&keys->arena, struct key);
    if (key == NULL || !text_copy(practitioner, key->practitioner, sizeof key->practitioner)) {
        return FAIL(error, ERROR_TOO_LARGE, "no room for another signing key");
    }
    if (!sm2_make(&pair, error) ||
        !hash_sm3((struct str){ (const char *)pair.public_key, pair.public_len }, digest, error)) {
        goto done;
    }
    key_number(&pair, key->number, digest);
    key->from_ms = now_ms - KEY_EARLIER_MS;
    key->until_ms = no_end_ms;
    memcpy(key->public_key, pair.public_key, pair.public_len);
    key->public_len = pair.public_len;
    if (!key_seal(keys, key, &pair, error) || !key_write(keys, key, error)) {
        goto done;
    }
    key->next = keys->first;
    keys->first = key;
    *out = key;
    ok = true;
done:
    sodium_memzero(&pair, sizeof pair);
    return ok;
}

/* The newest key in force of the person, or NULL. */
static struct key *key_of_person(const struct signing_keys *keys, struct str practitioner, int64_t now_ms)
{
    struct key *found = NULL;
    for (struct key *key = keys->first; key != NULL; key = key->next) {
        bool fits = str_equal_cstr(practitioner, key->practitioner) && key->sealed_len > 0 &&
                    key->from_ms <= now_ms && now_ms < key->until_ms;
        if (fits && (found == NULL || key->until_ms > found->until_ms ||
                     (key->until_ms == found->until_ms && key->from_ms > found->from_ms))) {
            found = key;
        }
    }
    return found;
}

static bool person_valid(struct str practitioner)
{
    for (size_t i = 0; i < practitioner.len; i++) {
        char c = practitioner.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '.')) {
            return false;
        }
    }
    return practitioner.len > 0 && practitioner.len < PERSON_BYTES;
}

static bool keys_sign(void *context, struct str practitioner, struct str data, struct signature *signature,
                      struct error *error)
{
    struct signing_keys *keys = context;
    struct sm2_key pair = { 0 };
    struct signature made = { 0 };
    if (!person_valid(practitioner)) {
        return FAIL(error, ERROR_INPUT, "only a Practitioner can sign");
    }
    int64_t now_ms = keys->options.now_ms(keys->options.now_context);
    (void)pthread_mutex_lock(&keys->lock);
    struct key *key = key_of_person(keys, practitioner, now_ms);
    bool ok = (key != NULL || key_make(keys, practitioner, now_ms, &key, error)) &&
              key_unseal(keys, key, &pair, error);
    if (ok) {
        memcpy(made.number, key->number, sizeof made.number);
    }
    (void)pthread_mutex_unlock(&keys->lock);
    made.time_ms = now_ms;
    ok = ok && sm2_sign(&pair, data, &made, error);
    sodium_memzero(&pair, sizeof pair);
    if (ok) {
        *signature = made;
    }
    return ok;
}

static bool keys_verify(void *context, struct str practitioner, struct str data,
                        const struct signature *signature, bool *valid, struct error *error)
{
    struct signing_keys *keys = context;
    struct sm2_key pair = { 0 };
    bool in_force = false;
    (void)pthread_mutex_lock(&keys->lock);
    const struct key *key = keys->first;
    while (key != NULL && strncmp(key->number, signature->number, sizeof key->number) != 0) {
        key = key->next;
    }
    if (key != NULL) {
        memcpy(pair.public_key, key->public_key, key->public_len);
        pair.public_len = key->public_len;
        in_force = key->from_ms <= signature->time_ms && signature->time_ms < key->until_ms &&
                   (practitioner.len == 0 || str_equal_cstr(practitioner, key->practitioner));
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (key == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "no signing key has this number here");
    }
    bool fits = false;
    if (!sm2_verify(&pair, data, signature, &fits, error)) {
        return false;
    }
    *valid = fits && in_force;
    return true;
}

struct signer signing_signer(struct signing_keys *keys)
{
    return (struct signer){ .context = keys, .sign = keys_sign, .verify = keys_verify };
}

/* ---- rotation ---- */

static bool key_retire(struct signing_keys *keys, struct key *key, int64_t until_ms, struct error *error)
{
    int64_t before = key->until_ms;
    key->until_ms = until_ms < before ? until_ms : before;
    if (key_write(keys, key, error)) {
        return true;
    }
    key->until_ms = before;
    return false;
}

static bool keys_wipe_ended(struct signing_keys *keys, int64_t now_ms, struct error *error)
{
    for (struct key *key = keys->first; key != NULL; key = key->next) {
        if (key->until_ms <= now_ms && key->sealed_len > 0) {
            sodium_memzero(key->sealed, sizeof key->sealed);
            key->sealed_len = 0;
            if (!key_write(keys, key, error)) {
                return false;
            }
        }
    }
    return true;
}

/* Seals every private key with server_keys[0]. */
static bool keys_seal_again(struct signing_keys *keys, struct error *error)
{
    struct sm2_key pair = { 0 };
    bool ok = true;
    for (struct key *key = keys->first; key != NULL && ok; key = key->next) {
        ok = key->sealed_len == 0 || (key_unseal(keys, key, &pair, error) &&
                                      key_seal(keys, key, &pair, error) && key_write(keys, key, error));
    }
    sodium_memzero(&pair, sizeof pair);
    return ok;
}

/* A new server key; both stand in server.key while the private keys are sealed again. Two from the start
 * mean that a renewal was cut short: it is finished first, else its older key would be forgotten. */
static bool server_key_renew(struct signing_keys *keys, struct error *error)
{
    if (keys->server_keys_count == 2 && !keys_seal_again(keys, error)) {
        return false;
    }
    memcpy(keys->server_keys[1], keys->server_keys[0], SEAL_KEY_BYTES);
    keys->server_keys_count = 2;
    if (!random_bytes(keys->server_keys[0], SEAL_KEY_BYTES, error) || !server_keys_write(keys, error) ||
        !keys_seal_again(keys, error)) {
        return false;
    }
    sodium_memzero(keys->server_keys[1], SEAL_KEY_BYTES);
    keys->server_keys_count = 1;
    return server_keys_write(keys, error);
}

bool signing_rotate(struct signing_keys *keys, struct str practitioner, uint32_t overlap_days, size_t *count,
                    struct error *error)
{
    int64_t now_ms = keys->options.now_ms(keys->options.now_context);
    size_t made = 0;
    (void)pthread_mutex_lock(&keys->lock);
    bool ok = keys_wipe_ended(keys, now_ms, error) && (practitioner.len > 0 || server_key_renew(keys, error));
    /* New keys are put before the first: this walk sees the list as it was. */
    for (struct key *key = keys->first; key != NULL && ok; key = key->next) {
        struct str person = str_from_cstr(key->practitioner);
        bool wanted = practitioner.len == 0 || str_equal(practitioner, person);
        if (!wanted || key->until_ms != no_end_ms || key_of_person(keys, person, now_ms) != key) {
            continue;
        }
        struct key *fresh = NULL;
        ok = key_make(keys, person, now_ms, &fresh, error) &&
             key_retire(keys, key, now_ms + (int64_t)overlap_days * day_ms, error);
        made++;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (ok) {
        *count = made;
    }
    return ok;
}

bool signing_public_keys(struct signing_keys *keys, struct arena *arena, struct json **list,
                         struct error *error)
{
    struct json *made = json_new(arena, JSON_ARRAY);
    uint32_t count = 0;
    (void)pthread_mutex_lock(&keys->lock);
    for (const struct key *key = keys->first; key != NULL; key = key->next) {
        struct json *row = json_append(made, json_new(arena, JSON_OBJECT));
        (void)json_add(row, STR("number"),
                       json_new_string(arena, arena_dup(arena, str_from_cstr(key->number))));
        (void)json_add(row, STR("practitioner"),
                       json_new_string(arena, arena_dup(arena, str_from_cstr(key->practitioner))));
        (void)json_add(row, STR("from"), row_time_json(arena, key->from_ms));
        if (key->until_ms != no_end_ms) {
            (void)json_add(row, STR("until"), row_time_json(arena, key->until_ms));
        }
        (void)json_add(row, STR("algorithm"), json_new_string(arena, STR(SIGNING_ALGORITHM)));
        (void)json_add(row, STR("publicKey"),
                       json_new_string(arena, base64_text(arena, key->public_key, key->public_len)));
        count++;
    }
    (void)pthread_mutex_unlock(&keys->lock);
    if (made == NULL || made->count != count) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *list = made;
    return true;
}

struct str signature_base64(struct arena *arena, const struct signature *signature)
{
    return base64_text(arena, signature->bytes, signature->len);
}

bool signature_from_base64(struct str text, struct signature *signature)
{
    size_t len = 0;
    if (sodium_base642bin(signature->bytes, sizeof signature->bytes, text.at, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        return false;
    }
    signature->len = len;
    return true;
}
