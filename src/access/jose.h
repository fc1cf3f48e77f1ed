/* jose.h — signed JSON Web Tokens (RFC 7515, 7517, 7518, 7519) through OpenSSL's EVP interface, as far as SMART asks:
 * RS384 and ES384 of others are verified, RS256 and RS384 are made with the server's own RSA key. No encryption, no
 * "none", no key from the token itself. Any thread. */
#ifndef SHANHAI_ACCESS_JOSE_H
#define SHANHAI_ACCESS_JOSE_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

enum { JOSE_TOKEN_BYTES_MAX = 8 * 1024, JOSE_KEY_SET_BYTES_MAX = 16 * 1024, JOSE_KEY_BYTES_MAX = 2048 };

/* base64url without padding (RFC 4648 section 5). STR_NONE when memory ran out; false for what is none. */
struct str jose_base64(struct arena *arena, const uint8_t *bytes, size_t len);
bool jose_base64_read(struct arena *arena, struct str text, struct str *bytes) MUST_CHECK;

/* A JWK set as clients register it: {"keys":[…]}, each with kid, kty and the numbers of a public key: RSA of 2048 to
 * 8192 bits, or EC on P-384. ERROR_INPUT says what is wrong; a private key is refused. */
bool jose_key_set_acceptable(struct arena *arena, const struct json *set, struct error *error) MUST_CHECK;

/* The claims of a token that one key of the set signed: the one that bears the token's kid and fits its algorithm. ERROR_SIGN_IN
 * for every other token. Says nothing of the claims themselves. */
bool jose_verify(struct arena *arena, struct str token, const struct json *set, struct json **claims,
                 struct error *error) MUST_CHECK;

/* The claims of a token that nobody has verified yet: to find out whose keys to verify it with. */
bool jose_claims_unverified(struct arena *arena, struct str token, struct json **claims,
                            struct error *error) MUST_CHECK;

/* A new RSA key of 3072 bits, as base64url of PKCS #8. Slow: some 100 ms. */
bool jose_key_make(struct arena *arena, struct str *key, struct error *error) MUST_CHECK;

/* Its public half as a JWK with kid and use, and a token signed by it ("RS256" or "RS384"). */
bool jose_public_jwk(struct arena *arena, struct str key, struct json **jwk, struct error *error) MUST_CHECK;
bool jose_sign(struct arena *arena, struct str key, struct str algorithm, const struct json *claims,
               struct str *token, struct error *error) MUST_CHECK;

#endif
