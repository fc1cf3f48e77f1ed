#include "access/jose.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "base/hash.h"

enum {
    RSA_BITS = 3072,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    P384_BYTES = 48,
    KEYS_MAX = 16,
    KEY_ID_BYTES = 16,
    EC_DER_BYTES_MAX = 160
};

static bool fail(struct error *error, const char *what)
{
    ERR_clear_error();
    return FAIL(error, ERROR_INTERNAL, "JOSE: %s failed", what);
}

/* ---- base64url ---- */

struct str jose_base64(struct arena *arena, const uint8_t *bytes, size_t len)
{
    size_t size = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_alloc(arena, size);
    if (text == NULL) {
        return STR_NONE;
    }
    (void)sodium_bin2base64(text, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return (struct str){ text, size - 1 };
}

bool jose_base64_read(struct arena *arena, struct str text, struct str *bytes)
{
    size_t len = 0;
    uint8_t *out = arena_alloc(arena, text.len + 1);
    if (out == NULL || text.len == 0 ||
        sodium_base642bin(out, text.len, text.at, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
        return false;
    }
    *bytes = (struct str){ (const char *)out, len };
    return true;
}

static struct str member_bytes(struct arena *arena, const struct json *object, struct str name)
{
    struct str bytes = STR_NONE;
    return jose_base64_read(arena, json_member_text(arena, object, name), &bytes) ? bytes : STR_NONE;
}

/* ---- public keys of others ---- */

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(struct arena *arena, const struct json *jwk)
{
    struct str n = member_bytes(arena, jwk, STR("n"));
    struct str e = member_bytes(arena, jwk, STR("e"));
    EVP_PKEY *key = NULL;
    if (n.len > RSA_BITS_MAX / 8 + 1 || e.len > 8 || n.len == 0 || e.len == 0) {
        return NULL;
    }
    BIGNUM *modulus = BN_bin2bn((const uint8_t *)n.at, (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn((const uint8_t *)e.at, (int)e.len, NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (modulus != NULL && exponent != NULL && build != NULL && BN_num_bits(modulus) >= RSA_BITS_MIN &&
        BN_is_odd(exponent) && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = key_from("RSA", build);
    }
    OSSL_PARAM_BLD_free(build);
    BN_free(exponent);
    BN_free(modulus);
    return key;
}

static EVP_PKEY *ec_key(struct arena *arena, const struct json *jwk)
{
    uint8_t point[1 + 2 * P384_BYTES] = { 4 }; /* uncompressed */
    struct str x = member_bytes(arena, jwk, STR("x"));
    struct str y = member_bytes(arena, jwk, STR("y"));
    EVP_PKEY *key = NULL;
    if (!json_equals_text(JSON_GET(jwk, "crv"), STR("P-384")) || x.len != P384_BYTES || y.len != P384_BYTES) {
        return NULL;
    }
    memcpy(point + 1, x.at, P384_BYTES);
    memcpy(point + 1 + P384_BYTES, y.at, P384_BYTES);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "secp384r1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1) {
        key = key_from("EC", build);
    }
    OSSL_PARAM_BLD_free(build);
    return key;
}

/* NULL for what is no key of a kind that is taken. */
static EVP_PKEY *key_of(struct arena *arena, const struct json *jwk)
{
    EVP_PKEY *key = NULL;
    if (json_equals_text(JSON_GET(jwk, "kty"), STR("RSA"))) {
        key = rsa_key(arena, jwk);
    } else if (json_equals_text(JSON_GET(jwk, "kty"), STR("EC"))) {
        key = ec_key(arena, jwk);
    }
    ERR_clear_error();
    return key;
}

bool jose_key_set_acceptable(struct arena *arena, const struct json *set, struct error *error)
{
    const struct json *keys = JSON_GET(set, "keys");
    if (keys == NULL || keys->kind != JSON_ARRAY || keys->count == 0 || keys->count > KEYS_MAX) {
        return FAIL(error, ERROR_INPUT, "a key set is {\"keys\":[…]} with 1 to %d keys", KEYS_MAX);
    }
    JSON_EACH(jwk, keys) {
        EVP_PKEY *key = key_of(arena, jwk);
        EVP_PKEY_free(key);
        if (JSON_GET(jwk, "d") != NULL) {
            return FAIL(error, ERROR_INPUT, "the set holds a private key: give the public half only");
        }
        if (key == NULL || JSON_TEXT(arena, jwk, "kid").len == 0) {
            return FAIL(error, ERROR_INPUT,
                        "each key has a kid and is RSA of 2048 bits or more, or EC on P-384");
        }
        JSON_EACH(other, keys) {
            if (other != jwk && json_equals_text(JSON_GET(other, "kid"), JSON_TEXT(arena, jwk, "kid"))) {
                return FAIL(error, ERROR_INPUT, "two keys have one kid");
            }
        }
    }
    return true;
}

/* ---- tokens of others ---- */

struct pieces {
    struct str signed_text; /* header.claims as they came */
    struct json *header;
    struct json *claims;
    struct str signature;
};

static bool refuse(struct error *error)
{
    ERR_clear_error();
    return FAIL(error, ERROR_SIGN_IN, "the signed assertion is not acceptable");
}

static bool part_read(struct arena *arena, struct str text, struct json **value)
{
    struct str bytes = STR_NONE;
    struct error ignored = { 0 };
    return jose_base64_read(arena, text, &bytes) && json_read(arena, bytes, value, &ignored) &&
           (*value)->kind == JSON_OBJECT && !json_has_duplicates(*value);
}

static bool pieces_read(struct arena *arena, struct str token, struct pieces *pieces)
{
    size_t first = str_find_char(token, '.');
    size_t second = first + 1 + str_find_char(str_skip(token, first + 1), '.');
    if (token.len > JOSE_TOKEN_BYTES_MAX || first >= token.len || second >= token.len) {
        return false;
    }
    pieces->signed_text = str_slice(token, 0, second);
    return part_read(arena, str_slice(token, 0, first), &pieces->header) &&
           part_read(arena, str_slice(token, first + 1, second), &pieces->claims) &&
           jose_base64_read(arena, str_skip(token, second + 1), &pieces->signature);
}

/* RFC 7518 section 3.4: R and S of 48 bytes each, beside each other; OpenSSL wants them as DER. */
static int ec_signature_der(struct str raw, uint8_t out[EC_DER_BYTES_MAX])
{
    int len = -1;
    uint8_t *at = out;
    if (raw.len != (size_t)(2 * P384_BYTES)) {
        return -1;
    }
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const uint8_t *)raw.at, P384_BYTES, NULL);
    BIGNUM *s = BN_bin2bn((const uint8_t *)raw.at + P384_BYTES, P384_BYTES, NULL);
    if (signature != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(signature, r, s) == 1) {
        r = NULL; /* now the signature's */
        s = NULL;
        len = i2d_ECDSA_SIG(signature, NULL) <= EC_DER_BYTES_MAX ? i2d_ECDSA_SIG(signature, &at) : -1;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(signature);
    return len;
}

static bool signature_fits(EVP_PKEY *key, const struct pieces *pieces)
{
    uint8_t der[EC_DER_BYTES_MAX];
    struct str signature = pieces->signature;
    if (EVP_PKEY_is_a(key, "EC")) {
        int len = ec_signature_der(signature, der);
        if (len <= 0) {
            return false;
        }
        signature = (struct str){ (const char *)der, (size_t)len };
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool fits = digest != NULL && EVP_DigestVerifyInit(digest, NULL, EVP_sha384(), NULL, key) == 1 &&
                EVP_DigestVerify(digest, (const uint8_t *)signature.at, signature.len,
                                 (const uint8_t *)pieces->signed_text.at, pieces->signed_text.len) == 1;
    EVP_MD_CTX_free(digest);
    return fits;
}

bool jose_verify(struct arena *arena, struct str token, const struct json *set, struct json **claims,
                 struct error *error)
{
    struct pieces pieces = { 0 };
    if (!pieces_read(arena, token, &pieces)) {
        return refuse(error);
    }
    bool rsa = json_equals_text(JSON_GET(pieces.header, "alg"), STR("RS384"));
    bool ec = json_equals_text(JSON_GET(pieces.header, "alg"), STR("ES384"));
    struct str kid = JSON_TEXT(arena, pieces.header, "kid");
    const struct json *found = NULL;
    /* RFC 7515 section 4.1.11: what must be understood and is not. */
    if ((!rsa && !ec) || kid.len == 0 || JSON_GET(pieces.header, "crit") != NULL) {
        return refuse(error);
    }
    JSON_EACH(jwk, JSON_GET(set, "keys")) {
        if (json_equals_text(JSON_GET(jwk, "kid"), kid) &&
            json_equals_text(JSON_GET(jwk, "kty"), rsa ? STR("RSA") : STR("EC"))) {
            found = found == NULL ? jwk : set; /* two: none */
        }
    }
    EVP_PKEY *key = found == NULL || found == set ? NULL : key_of(arena, found);
    bool fits = key != NULL && signature_fits(key, &pieces);
    EVP_PKEY_free(key);
    if (!fits) {
        return refuse(error);
    }
    *claims = pieces.claims;
    return true;
}

bool jose_claims_unverified(struct arena *arena, struct str token, struct json **claims, struct error *error)
{
    struct pieces pieces = { 0 };
    if (!pieces_read(arena, token, &pieces)) {
        return refuse(error);
    }
    *claims = pieces.claims;
    return true;
}

/* ---- the server's own key ---- */

bool jose_key_make(struct arena *arena, struct str *key, struct error *error)
{
    bool ok = false;
    uint8_t *der = NULL;
    int len = 0;
    EVP_PKEY *pair = EVP_RSA_gen(RSA_BITS);
    PKCS8_PRIV_KEY_INFO *info = pair == NULL ? NULL : EVP_PKEY2PKCS8(pair);
    len = info == NULL ? 0 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    if (len <= 0 || len > JOSE_KEY_BYTES_MAX) {
        (void)fail(error, "making a key");
        goto done;
    }
    *key = jose_base64(arena, der, (size_t)len);
    ok = key->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
done:
    if (len > 0) {
        OPENSSL_clear_free(der, (size_t)len);
    }
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(pair);
    return ok;
}

static EVP_PKEY *own_key(struct arena *arena, struct str key)
{
    struct str der = STR_NONE;
    if (!jose_base64_read(arena, key, &der)) {
        return NULL;
    }
    const uint8_t *at = (const uint8_t *)der.at;
    return d2i_AutoPrivateKey(NULL, &at, (long)der.len);
}

static struct str number_text(struct arena *arena, EVP_PKEY *key, const char *name)
{
    uint8_t bytes[RSA_BITS_MAX / 8];
    BIGNUM *number = NULL;
    struct str text = STR_NONE;
    if (EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_num_bytes(number) <= (int)sizeof bytes) {
        text = jose_base64(arena, bytes, (size_t)BN_bn2bin(number, bytes));
    }
    BN_free(number);
    return text;
}

/* The key's number is a digest of its modulus: the same after a restart, another for another key. */
static bool key_number(struct arena *arena, struct str n, struct str *number, struct error *error)
{
    uint8_t digest[SHA256_BYTES];
    if (!hash_sha256(n, digest, error)) {
        return false;
    }
    *number = jose_base64(arena, digest, KEY_ID_BYTES);
    return number->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool jose_public_jwk(struct arena *arena, struct str key, struct json **jwk, struct error *error)
{
    EVP_PKEY *pair = own_key(arena, key);
    struct str n = pair == NULL ? STR_NONE : number_text(arena, pair, OSSL_PKEY_PARAM_RSA_N);
    struct str e = pair == NULL ? STR_NONE : number_text(arena, pair, OSSL_PKEY_PARAM_RSA_E);
    struct str kid = STR_NONE;
    struct json *made = json_new(arena, JSON_OBJECT);
    EVP_PKEY_free(pair);
    if (n.at == NULL || e.at == NULL) {
        return fail(error, "reading the key");
    }
    if (!key_number(arena, n, &kid, error)) {
        return false;
    }
    (void)json_add_text(arena, made, STR("kty"), STR("RSA"));
    (void)json_add_text(arena, made, STR("use"), STR("sig"));
    (void)json_add_text(arena, made, STR("kid"), kid);
    (void)json_add_text(arena, made, STR("n"), n);
    (void)json_add_text(arena, made, STR("e"), e);
    *jwk = made;
    return made != NULL && made->count == 5 ? true : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

static struct str json_part(struct arena *arena, const struct json *value)
{
    struct str text = json_write_arena(arena, value);
    return text.at == NULL ? STR_NONE : jose_base64(arena, (const uint8_t *)text.at, text.len);
}

bool jose_sign(struct arena *arena, struct str key, struct str algorithm, const struct json *claims,
               struct str *token, struct error *error)
{
    bool ok = false;
    struct json *jwk = NULL;
    uint8_t signature[RSA_BITS_MAX / 8];
    size_t len = sizeof signature;
    struct json *header = json_new(arena, JSON_OBJECT);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_PKEY *pair = own_key(arena, key);
    const EVP_MD *hash = str_equal(algorithm, STR("RS384")) ? EVP_sha384() : EVP_sha256();
    if (!jose_public_jwk(arena, key, &jwk, error)) {
        goto done;
    }
    (void)json_add_text(arena, header, STR("alg"), hash == EVP_sha384() ? STR("RS384") : STR("RS256"));
    (void)json_add_text(arena, header, STR("typ"), STR("JWT"));
    (void)json_add_text(arena, header, STR("kid"), JSON_TEXT(arena, jwk, "kid"));
    struct str text = arena_printf(arena, "%.*s.%.*s", STR_FMT(json_part(arena, header)),
                                   STR_FMT(json_part(arena, claims)));
    if (text.at == NULL || pair == NULL || digest == NULL ||
        EVP_DigestSignInit(digest, NULL, hash, NULL, pair) != 1 ||
        EVP_DigestSign(digest, signature, &len, (const uint8_t *)text.at, text.len) != 1) {
        (void)fail(error, "signing");
        goto done;
    }
    *token = arena_printf(arena, "%.*s.%.*s", STR_FMT(text), STR_FMT(jose_base64(arena, signature, len)));
    ok = token->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
done:
    EVP_PKEY_free(pair);
    EVP_MD_CTX_free(digest);
    return ok;
}
