#include "access/password.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include <sys/mman.h>

#include <sodium.h>

#include "base/uuid.h"

static_assert(PASSWORD_HASH_BYTES >= crypto_pwhash_STRBYTES, "a hash's text fits");

/* What attackers try first, at our length; the short ones are refused by length. */
static const char *const common[] = {
    "1234567890",  "12345678910",  "0123456789",  "0987654321",   "1111111111",  "0000000000",
    "8888888888",  "6666666666",   "9876543210",  "1qaz2wsx3edc", "qwertyuiop",  "qwerty12345",
    "password123", "password1234", "passw0rd123", "admin12345",   "admin123456", "administrator",
    "abcdefghij",  "abcd123456",   "abc1234567",  "a123456789",   "aa123456789", "woaini1314",
    "woaini520",   "1q2w3e4r5t",   "qazwsxedcr",  "iloveyou123",  "letmein123",  "welcome123",
    "changeme123", "shanhai123",   "shanhai2026", "yiyuan12345",  "hospital123",
};

bool password_gate_init(struct password_gate *gate, unsigned long long operations, size_t memory_bytes,
                        struct error *error)
{
    if (sodium_init() < 0) {
        return FAIL(error, ERROR_INTERNAL, "libsodium did not start");
    }
    *gate = (struct password_gate){ .operations = operations, .memory_bytes = memory_bytes };
    int made = pthread_mutex_init(&gate->lock, NULL);
    assert(made == 0);
    made = pthread_cond_init(&gate->turn, NULL);
    assert(made == 0);
    return true;
}

void password_gate_deinit(struct password_gate *gate)
{
    (void)pthread_cond_destroy(&gate->turn);
    (void)pthread_mutex_destroy(&gate->lock);
}

static bool gate_enter(struct password_gate *gate, struct error *error)
{
    bool entered = false;
    (void)pthread_mutex_lock(&gate->lock);
    if (gate->waiting < PASSWORD_WAITING_MAX) {
        gate->waiting++;
        while (gate->running) {
            (void)pthread_cond_wait(&gate->turn, &gate->lock);
        }
        gate->waiting--;
        gate->running = true;
        entered = true;
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return entered ? true
                   : FAIL(error, ERROR_BUSY, "too many people sign in at once: try again in a few seconds");
}

static void gate_leave(struct password_gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    assert(gate->running);
    gate->running = false;
    (void)pthread_cond_signal(&gate->turn);
    (void)pthread_mutex_unlock(&gate->lock);
}

/* libsodium says only that it did not come to a result; errno says whether the kernel gave no memory. */
static bool cannot_hash(int reason, struct error *error)
{
    errno = reason;
    return reason == ENOMEM || reason == EAGAIN
               ? FAIL_OS(error, ERROR_BUSY, "no memory to hash a password: try again")
               : FAIL_OS(error, ERROR_BUSY, "a password could not be hashed (errno %d): try again", reason);
}

/* libsodium 1.0.18 tells "no memory" and "another password" alike. A right one must not count as a wrong one
 * because the machine was short: so what a hash takes is asked for once more, in the same turn. */
static int memory_lacks(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) {
        return errno;
    }
    (void)munmap(memory, bytes);
    return 0;
}

bool password_hash(struct password_gate *gate, struct str password, char hash[PASSWORD_HASH_BYTES],
                   struct error *error)
{
    if (password.len > PASSWORD_BYTES_MAX) {
        return FAIL(error, ERROR_INPUT, "a password has at most %d bytes", PASSWORD_BYTES_MAX);
    }
    if (!gate_enter(gate, error)) {
        return false;
    }
    errno = 0;
    int result = crypto_pwhash_str_alg(hash, password.at == NULL ? "" : password.at, password.len,
                                       gate->operations, gate->memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
    int reason = errno; /* the gate's lock may set it */
    gate_leave(gate);
    return result == 0 ? true : cannot_hash(reason, error);
}

/* A well-formed hash that no password has (its salt and digest are written down, not computed), so that
 * a name without an account costs as much as one with. */
static void hash_of_nobody(const struct password_gate *gate, char hash[PASSWORD_HASH_BYTES])
{
    int len = snprintf(hash, PASSWORD_HASH_BYTES, "$argon2id$v=19$m=%zu,t=%llu,p=1$%s$%s",
                       gate->memory_bytes / 1024, gate->operations, "c2hhbmhhaS1ub2JvZHktMQ",
                       "c2hhbmhhaSBoYXMgbm8gc3VjaCBhY2NvdW50IGhlcmU");
    assert(len > 0 && len < PASSWORD_HASH_BYTES);
}

bool password_verify(struct password_gate *gate, const char *hash, struct str password, bool *right,
                     struct error *error)
{
    char nobody[PASSWORD_HASH_BYTES];
    bool exists = hash != NULL;
    if (!exists) {
        hash_of_nobody(gate, nobody);
        hash = nobody;
    }
    if (password.len > PASSWORD_BYTES_MAX) {
        password.len = PASSWORD_BYTES_MAX; /* cannot be right: longer ones are never set */
        exists = false;
    }
    if (!gate_enter(gate, error)) {
        return false;
    }
    int result = crypto_pwhash_str_verify(hash, password.at == NULL ? "" : password.at, password.len);
    int reason = result == 0 ? 0 : memory_lacks(gate->memory_bytes);
    gate_leave(gate);
    if (reason != 0) {
        return cannot_hash(reason, error);
    }
    *right = exists && result == 0;
    return true;
}

static bool is_common(struct str password)
{
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        if (str_equal_ignore_case(password, str_from_cstr(common[i]))) {
            return true;
        }
    }
    return false;
}

/* Characters of UTF-8 text: bytes that do not continue another. */
static size_t characters_count(struct str text, bool *all_equal)
{
    size_t count = 0;
    *all_equal = true;
    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.at[i] & 0xC0) != 0x80;
        *all_equal = *all_equal && text.at[i] == text.at[0];
    }
    return count;
}

bool password_acceptable(struct str password, struct str account, struct error *error)
{
    bool all_equal = false;
    size_t count = characters_count(password, &all_equal);
    if (!str_is_utf8(password) || password.len > PASSWORD_BYTES_MAX) {
        return FAIL(error, ERROR_INPUT, "a password is text of at most %d bytes", PASSWORD_BYTES_MAX);
    }
    if (count < PASSWORD_CHARACTERS_MIN) {
        return FAIL(error, ERROR_INPUT, "a password needs at least %d characters", PASSWORD_CHARACTERS_MIN);
    }
    if (all_equal || is_common(password)) {
        return FAIL(error, ERROR_INPUT, "this password is among the first that are tried: choose another");
    }
    if (account.len > 0 && str_find(password, account) < password.len) {
        return FAIL(error, ERROR_INPUT, "a password must not hold the account's name");
    }
    return true;
}

bool password_make(struct arena *arena, struct str *password, struct error *error)
{
    static const char letters[32] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32: five bits each, no bias */
    unsigned char random[16];
    char *text = arena_alloc(arena, 20);
    if (text == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!random_bytes(random, sizeof random, error)) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < sizeof random; i++) {
        if (i > 0 && i % 4 == 0) {
            text[len++] = '-';
        }
        text[len++] = letters[random[i] & 31];
    }
    *password = (struct str){ text, len };
    return true;
}
