/* hash.h — hashes of two kinds: a fast 64-bit one for index keys and tables (never for secrets; hits
 * are verified by whoever looks up), and digests by OpenSSL for content and chains.
 * hash64 is part of the store's format: changing it needs a new schema version. Any thread. */
#ifndef SHANHAI_BASE_HASH_H
#define SHANHAI_BASE_HASH_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { SHA256_BYTES = 32, SM3_BYTES = 32, HASH_HEX_BYTES = 64 };

uint64_t hash64(struct str text, uint64_t seed);

/* One value of two, order matters. */
uint64_t hash64_combine(uint64_t a, uint64_t b);

bool hash_sha256(struct str data, uint8_t digest[SHA256_BYTES], struct error *error) MUST_CHECK;
bool hash_sm3(struct str data, uint8_t digest[SM3_BYTES], struct error *error) MUST_CHECK;

/* Lower-case hexadecimal of `len` bytes into out[2 * len + 1], NUL-terminated. */
void hash_hex(const uint8_t *bytes, size_t len, char *out);

#endif
