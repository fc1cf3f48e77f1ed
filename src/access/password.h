/* password.h — argon2id through libsodium, one hash at a time: each takes 64 MiB and 0.1 s or more of a
 * core, so a flood of sign-ins queues up to a bound and is refused beyond it. Any thread. */
#ifndef SHANHAI_ACCESS_PASSWORD_H
#define SHANHAI_ACCESS_PASSWORD_H

#include <pthread.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    PASSWORD_HASH_BYTES = 128,
    PASSWORD_WAITING_MAX = 16, /* beyond it: ERROR_BUSY */
    PASSWORD_CHARACTERS_MIN = 10,
    PASSWORD_BYTES_MAX = 256
};

struct password_gate {
    pthread_mutex_t lock; /* guards running and waiting */
    pthread_cond_t turn;
    bool running;
    uint32_t waiting;
    unsigned long long operations;
    size_t memory_bytes;
};

bool password_gate_init(struct password_gate *gate, unsigned long long operations, size_t memory_bytes,
                        struct error *error) MUST_CHECK;
void password_gate_deinit(struct password_gate *gate);

/* The text form of argon2id (with its own salt) into `hash`. */
bool password_hash(struct password_gate *gate, struct str password, char hash[PASSWORD_HASH_BYTES],
                   struct error *error) MUST_CHECK;

/* *right tells whether the password fits. With hash = NULL (no such account) the same work is done and
 * *right is false. Fails only when the queue is full or memory ran out. */
bool password_verify(struct password_gate *gate, const char *hash, struct str password, bool *right,
                     struct error *error) MUST_CHECK;

/* ERROR_INPUT with what is wanted, when a new password is too short, too long, too common or holds the
 * account's name. */
bool password_acceptable(struct str password, struct str account, struct error *error) MUST_CHECK;

/* A password for people to type: 16 letters and digits in groups of four, none that look alike. */
bool password_make(struct arena *arena, struct str *password, struct error *error) MUST_CHECK;

#endif
