/* signing.h — electronic signatures over the canonical form of a document (json_write_canonical). `struct
 * signer` is what the rest of the program uses; the built-in one keeps an SM2 key pair for each
 * Practitioner (GB/T 32918, OpenSSL 3) and signs the SM3 digest with the standard user id
 * "1234567812345678". A hospital's own CA token is another `struct signer`.
 *
 * The caller confirms the person first (session_confirm in sign_in.h: the password, or one given in this
 * session within 10 minutes); a signer only ever sees an id and bytes.
 *
 * Built-in keys lie in a folder of the data (mode 0700): server.key (32 random bytes, mode 0600) seals the
 * private keys; each key is a file NUMBER.json with person, dates, public key and the sealed private key.
 * A key signs from `from` until `until`; verification takes the time of the signature, so old signatures
 * stay valid after a rotation. Private keys whose time is over are wiped from their file at the next
 * rotation, public ones stay for ever. Any thread. */
#ifndef SHANHAI_ACCESS_SIGNING_H
#define SHANHAI_ACCESS_SIGNING_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

enum { SIGNING_NUMBER_BYTES = 24, SIGNATURE_BYTES_MAX = 128 };

#define SIGNING_ALGORITHM "SM2-SM3" /* in Signature.sigFormat as application/x-sm2-sm3 */

struct signature {
    char number[SIGNING_NUMBER_BYTES]; /* of the key or certificate, printed on the report */
    int64_t time_ms;
    uint8_t bytes[SIGNATURE_BYTES_MAX]; /* DER: SEQUENCE { r, s } */
    size_t len;
};

struct signer {
    void *context;
    /* Signs `data` for a Practitioner (id); makes the person's key at the first time. */
    bool (*sign)(void *context, struct str practitioner, struct str data, struct signature *signature,
                 struct error *error);
    /* *valid: the bytes fit the key of this number and the key was in force at time_ms. An unknown number is
     * ERROR_NOT_FOUND. `practitioner`, when given, must be the key's person. */
    bool (*verify)(void *context, struct str practitioner, struct str data, const struct signature *signature,
                   bool *valid, struct error *error);
};

struct signing_keys; /* the built-in signer's keys */

struct signing_options {
    const char *folder;               /* "DATA/keys"; made when absent */
    int64_t (*now_ms)(void *context); /* NULL takes the wall clock */
    void *now_context;
};

bool signing_open(const struct signing_options *options, struct signing_keys **keys,
                  struct error *error) MUST_CHECK;
void signing_close(struct signing_keys *keys); /* wipes secrets; NULL is allowed */

/* The built-in signer over these keys. */
struct signer signing_signer(struct signing_keys *keys);

/* A new key for the person (id), or for everybody who has one (absent); the old one stays in force for
 * `overlap_days`. Renews server.key too when nobody is named. *count is the number of new keys. */
bool signing_rotate(struct signing_keys *keys, struct str practitioner, uint32_t overlap_days, size_t *count,
                    struct error *error) MUST_CHECK;

/* [{number, practitioner, from, until, algorithm, publicKey (base64 of SubjectPublicKeyInfo)}], for backup
 * and for whoever wants to verify without us. */
bool signing_public_keys(struct signing_keys *keys, struct arena *arena, struct json **list,
                         struct error *error) MUST_CHECK;

/* The text of a key's file without its sealed private key, for a backup: it verifies, and signs no more. */
bool signing_public_file(struct arena *arena, struct str file, struct str *public_file,
                         struct error *error) MUST_CHECK;

/* The bytes that are signed of a resource: json_write_canonical of it without `id`, `meta` and `signature`
 * at its top (docs/modules/signing.md). */
bool signing_canonical(struct arena *arena, const struct json *resource, struct str *bytes,
                       struct error *error) MUST_CHECK;

struct signing_verdict {
    bool valid;
    int64_t time_ms;                   /* Signature.when */
    char number[SIGNING_NUMBER_BYTES]; /* of the key */
};

/* Verifies an R4 Signature (Bundle.signature, Provenance.signature) over a resource. ERROR_STRUCTURE when
 * it is none of ours, ERROR_NOT_FOUND when its key is not known here. */
bool signing_verify(const struct signer *signer, struct arena *arena, const struct json *resource,
                    const struct json *signature, struct signing_verdict *verdict,
                    struct error *error) MUST_CHECK;

/* Base64 with padding, for Signature.data; STR_NONE when the arena is used up. And back. */
struct str signature_base64(struct arena *arena, const struct signature *signature);
bool signature_from_base64(struct str text, struct signature *signature) MUST_CHECK;

#endif
