#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>

#include "base/hash.h"

bool random_bytes(void *out, size_t len, struct error *error)
{
    unsigned char *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return FAIL_OS(error, ERROR_INTERNAL, "the system gave no random bytes");
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

bool uuid_v7(int64_t time_ms, char out[UUID_TEXT_BYTES], struct error *error)
{
    uint8_t bytes[16];
    if (!random_bytes(bytes, sizeof bytes, error)) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)((uint64_t)time_ms >> (40 - 8 * i));
    }
    bytes[6] = (uint8_t)(0x70 | (bytes[6] & 0x0F));
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3F));
    char hex[33];
    hash_hex(bytes, sizeof bytes, hex);
    size_t to = 0;
    for (size_t from = 0; from < 32; from++) {
        if (from == 8 || from == 12 || from == 16 || from == 20) {
            out[to++] = '-';
        }
        out[to++] = hex[from];
    }
    out[to] = '\0';
    return true;
}

bool uuid_is_v7(struct str text)
{
    if (text.len != UUID_TEXT_BYTES - 1 || text.at[14] != '7') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) {
            return false;
        }
    }
    return true;
}
