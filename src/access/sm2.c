#include "access/sm2.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/* GM/T 0009-2012 section 10: the user id where none is agreed on. */
static const char user_id[] = "1234567812345678";

static bool fail(struct error *error, const char *what)
{
    ERR_clear_error();
    return FAIL(error, ERROR_INTERNAL, "SM2: %s failed", what);
}

static bool key_export(EVP_PKEY *pair, struct sm2_key *key, struct error *error)
{
    bool ok = false;
    uint8_t *private_der = NULL;
    uint8_t *public_der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pair);
    int private_len = info == NULL ? 0 : i2d_PKCS8_PRIV_KEY_INFO(info, &private_der);
    int public_len = i2d_PUBKEY(pair, &public_der);
    if (private_len <= 0 || private_len > SM2_PRIVATE_BYTES_MAX || public_len <= 0 ||
        public_len > SM2_PUBLIC_BYTES_MAX) {
        (void)fail(error, "writing the key");
        goto done;
    }
    memcpy(key->private_key, private_der, (size_t)private_len);
    memcpy(key->public_key, public_der, (size_t)public_len);
    key->private_len = (size_t)private_len;
    key->public_len = (size_t)public_len;
    ok = true;
done:
    if (private_len > 0) {
        OPENSSL_clear_free(private_der, (size_t)private_len);
    }
    OPENSSL_free(public_der);
    PKCS8_PRIV_KEY_INFO_free(info);
    return ok;
}

bool sm2_make(struct sm2_key *key, struct error *error)
{
    bool ok = false;
    EVP_PKEY *pair = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "SM2", NULL);
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 || EVP_PKEY_keygen(context, &pair) != 1) {
        (void)fail(error, "making a key");
        goto done;
    }
    ok = key_export(pair, key, error);
done:
    EVP_PKEY_free(pair);
    EVP_PKEY_CTX_free(context);
    return ok;
}

/* A digest context for SM3 and our user id, ready for DigestSignInit or DigestVerifyInit. */
static EVP_MD_CTX *digest_context(EVP_PKEY *pair, EVP_PKEY_CTX **key_context)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    *key_context = EVP_PKEY_CTX_new_from_pkey(NULL, pair, NULL);
    if (digest != NULL && *key_context != NULL &&
        EVP_PKEY_CTX_set1_id(*key_context, user_id, sizeof user_id - 1) > 0) {
        EVP_MD_CTX_set_pkey_ctx(digest, *key_context);
        return digest;
    }
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(*key_context);
    *key_context = NULL;
    return NULL;
}

bool sm2_sign(const struct sm2_key *key, struct str data, struct signature *signature, struct error *error)
{
    bool ok = false;
    EVP_PKEY_CTX *key_context = NULL;
    EVP_MD_CTX *digest = NULL;
    const uint8_t *at = key->private_key;
    EVP_PKEY *pair = d2i_AutoPrivateKey(NULL, &at, (long)key->private_len);
    size_t len = sizeof signature->bytes;
    if (pair == NULL) {
        (void)fail(error, "reading the private key");
        goto done;
    }
    digest = digest_context(pair, &key_context);
    if (digest == NULL || EVP_DigestSignInit(digest, NULL, EVP_sm3(), NULL, pair) != 1 ||
        EVP_DigestSign(digest, signature->bytes, &len, (const uint8_t *)data.at, data.len) != 1) {
        (void)fail(error, "signing");
        goto done;
    }
    signature->len = len;
    ok = true;
done:
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(key_context);
    EVP_PKEY_free(pair);
    return ok;
}

bool sm2_verify(const struct sm2_key *key, struct str data, const struct signature *signature, bool *valid,
                struct error *error)
{
    bool ok = false;
    EVP_PKEY_CTX *key_context = NULL;
    EVP_MD_CTX *digest = NULL;
    const uint8_t *at = key->public_key;
    EVP_PKEY *pair = d2i_PUBKEY(NULL, &at, (long)key->public_len);
    if (pair == NULL) {
        (void)fail(error, "reading the public key");
        goto done;
    }
    digest = digest_context(pair, &key_context);
    if (digest == NULL || EVP_DigestVerifyInit(digest, NULL, EVP_sm3(), NULL, pair) != 1) {
        (void)fail(error, "verifying");
        goto done;
    }
    *valid =
        EVP_DigestVerify(digest, signature->bytes, signature->len, (const uint8_t *)data.at, data.len) == 1;
    ERR_clear_error();
    ok = true;
done:
    EVP_MD_CTX_free(digest);
    EVP_PKEY_CTX_free(key_context);
    EVP_PKEY_free(pair);
    return ok;
}
