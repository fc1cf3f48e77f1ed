/* hash.h — hashes of two kinds: a fast 64-bit one for index keys and tables (never for secrets; hits
 * are verified by whoever looks up), and digests by OpenSSL for content and chains.
 * hash64 is part of the store's format: changing it needs a new schema version. Any thread. */
#ifndef SHANHAI_BASE_HASH_H
#define SHANHAI_BASE_HASH_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { SHA1_BYTES = 20, SHA256_BYTES = 32, SM3_BYTES = 32, HASH_HEX_BYTES = 64 };

uint64_t hash64(struct str text, uint64_t seed);

/* One value of two, order matters. */
uint64_t hash64_combine(uint64_t a, uint64_t b);

/* The key by which index rows, grants, custodians and the store know a resource: of "Patient/123". The same
 * before the resource exists, so a reference is joined to its target by this number alone. Never 0, which means
 * "none". Two ids with one key are refused at the second's creation (store/). */
uint64_t hash_resource_key(struct str type, struct str id);

/* The number of a search parameter in index rows: of "Patient.birthdate". 31 bits, never 0; the loading of
 * search parameters refuses two names with one number. */
uint32_t hash_parameter(struct str type, struct str code);

bool hash_sha256(struct str data, uint8_t digest[SHA256_BYTES], struct error *error) MUST_CHECK;
/* Only where a standard asks for it (R4 Attachment.hash): never to tell contents apart. */
bool hash_sha1(struct str data, uint8_t digest[SHA1_BYTES], struct error *error) MUST_CHECK;
bool hash_sm3(struct str data, uint8_t digest[SM3_BYTES], struct error *error) MUST_CHECK;

/* Lower-case hexadecimal of `len` bytes into out[2 * len + 1], NUL-terminated. */
void hash_hex(const uint8_t *bytes, size_t len, char *out);

#endif
