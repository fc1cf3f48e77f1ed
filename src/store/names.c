/* names.c — types and ids in their stored form. */
#include "base/hash.h"
#include "store/internal.h"

uint32_t store_type_number(const struct store *store, struct str type)
{
    size_t count = atomic_load_explicit(&store->types_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        if (store->types[i].len == type.len && memcmp(store->types[i].name, type.at, type.len) == 0) {
            return (uint32_t)i + 1;
        }
    }
    return 0;
}

struct str store_type_name(const struct store *store, uint32_t number)
{
    size_t count = atomic_load_explicit(&store->types_count, memory_order_acquire);
    if (number == 0 || number > count) {
        return STR_NONE;
    }
    return (struct str){ store->types[number - 1].name, store->types[number - 1].len };
}

/* R4 2.24.0.1: [A-Za-z0-9\-\.]{1,64} */
bool id_is_valid(struct str id)
{
    if (id.len < 1 || id.len > 64) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.') {
            return false;
        }
    }
    return true;
}

bool type_is_valid(struct str type)
{
    if (type.len < 1 || type.len > 64 || type.at[0] < 'A' || type.at[0] > 'Z') {
        return false;
    }
    for (size_t i = 0; i < type.len; i++) {
        char c = type.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
            return false;
        }
    }
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

bool id_pack(struct str id, char packed[16])
{
    if (id.len != 36) {
        return false;
    }
    size_t out = 0;
    for (size_t i = 0; i < 36;) {
        if (is_dash_place(i)) {
            if (id.at[i] != '-') {
                return false;
            }
            i++;
            continue;
        }
        int high = hex_digit(id.at[i]);
        int low = hex_digit(id.at[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        packed[out] = (char)(high << 4 | low);
        out++;
        i += 2;
    }
    assert(out == 16);
    return true;
}

bool id_unpack(struct arena *arena, struct str packed, struct str *id)
{
    assert(packed.len == 16);
    char *text = arena_alloc(arena, 36);
    if (text == NULL) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < 36;) {
        if (is_dash_place(i)) {
            text[i] = '-';
            i++;
            continue;
        }
        unsigned char byte = (unsigned char)packed.at[at];
        at++;
        text[i] = "0123456789abcdef"[byte >> 4];
        text[i + 1] = "0123456789abcdef"[byte & 15];
        i += 2;
    }
    *id = (struct str){ text, 36 };
    return true;
}
