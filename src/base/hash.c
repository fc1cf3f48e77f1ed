#include "base/hash.h"

#include <openssl/evp.h>

/* Odd constants with well-spread bits (golden ratio and two primes); 64 × 64 → 128 bit products mix them. */
static const uint64_t mix_a = 0x9E3779B97F4A7C15u;
static const uint64_t mix_b = 0xC2B2AE3D27D4EB4Fu;

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Little endian by shifts, so that a store moves between machines; the compiler makes one load of the first. */
static uint64_t load_le_8(const unsigned char *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static uint64_t load_le(const unsigned char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

uint64_t hash64(struct str text, uint64_t seed)
{
    const unsigned char *at = (const unsigned char *)text.at;
    uint64_t state = seed ^ mix_a;
    size_t left = text.len;
    for (; left >= 8; left -= 8, at += 8) {
        state = fold(state ^ load_le_8(at), mix_b);
    }
    return fold(state ^ load_le(at, left), mix_a ^ text.len);
}

uint64_t hash64_combine(uint64_t a, uint64_t b)
{
    return fold(a ^ mix_b, b ^ mix_a);
}

uint64_t hash_resource_key(struct str type, struct str id)
{
    uint64_t key = hash64_combine(hash64(type, 1), hash64(id, 2));
    return key == 0 ? 1 : key;
}

uint32_t hash_parameter(struct str type, struct str code)
{
    uint64_t key = hash64_combine(hash64(type, 3), hash64(code, 4));
    uint32_t number = (uint32_t)(key >> 33);
    return number == 0 ? 1 : number;
}

static bool digest_of(const EVP_MD *kind, struct str data, uint8_t *digest, struct error *error)
{
    unsigned int len = 0;
    if (EVP_Digest(data.at, data.len, digest, &len, kind, NULL) != 1 ||
        len != (unsigned int)EVP_MD_get_size(kind)) {
        return FAIL(error, ERROR_INTERNAL, "the digest could not be computed");
    }
    return true;
}

bool hash_sha256(struct str data, uint8_t digest[SHA256_BYTES], struct error *error)
{
    return digest_of(EVP_sha256(), data, digest, error);
}

bool hash_sha1(struct str data, uint8_t digest[SHA1_BYTES], struct error *error)
{
    return digest_of(EVP_sha1(), data, digest, error);
}

bool hash_sm3(struct str data, uint8_t digest[SM3_BYTES], struct error *error)
{
    return digest_of(EVP_sm3(), data, digest, error);
}

void hash_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}
