/* sm2.h — SM2 keys and signatures through OpenSSL's EVP interface; the only file that sees it. A key is
 * carried as DER. Any thread. */
#ifndef SHANHAI_ACCESS_SM2_H
#define SHANHAI_ACCESS_SM2_H

#include <stdint.h>

#include "access/signing.h"

enum { SM2_PRIVATE_BYTES_MAX = 256, SM2_PUBLIC_BYTES_MAX = 128 };

struct sm2_key {
    uint8_t private_key[SM2_PRIVATE_BYTES_MAX]; /* PKCS #8; private_len 0: not known (any more) */
    size_t private_len;
    uint8_t public_key[SM2_PUBLIC_BYTES_MAX]; /* SubjectPublicKeyInfo */
    size_t public_len;
};

bool sm2_make(struct sm2_key *key, struct error *error) MUST_CHECK;
bool sm2_sign(const struct sm2_key *key, struct str data, struct signature *signature,
              struct error *error) MUST_CHECK;
/* *valid is false for any signature that does not fit, also for bytes that are no signature. */
bool sm2_verify(const struct sm2_key *key, struct str data, const struct signature *signature, bool *valid,
                struct error *error) MUST_CHECK;

#endif
