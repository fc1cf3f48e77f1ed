#include "access/row_json.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"

bool text_copy(struct str text, char *out, size_t size)
{
    if (text.len >= size || (text.len > 0 && memchr(text.at, '\0', text.len) != NULL)) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.at, text.len);
    }
    out[text.len] = '\0';
    return true;
}

bool row_text(const struct json *row, struct str name, char *out, size_t size, struct error *error)
{
    const struct json *member = json_member(row, name);
    if (member == NULL) {
        out[0] = '\0';
        return true;
    }
    /* What we wrote ourselves never needs escapes: names, ids, hashes, hexadecimal. */
    if (member->kind != JSON_STRING || member->escaped || !text_copy(member->raw, out, size)) {
        return FAIL(error, ERROR_STRUCTURE, "a stored row of access is damaged at '%.*s'", STR_FMT(name));
    }
    return true;
}

bool row_integer(const struct json *row, struct str name, int64_t *value, struct error *error)
{
    const struct json *member = json_member(row, name);
    if (member == NULL) {
        *value = 0;
        return true;
    }
    if (member->kind != JSON_NUMBER || !parse_int64(member->raw, INT64_MIN, INT64_MAX, value)) {
        return FAIL(error, ERROR_STRUCTURE, "a stored row of access is damaged at '%.*s'", STR_FMT(name));
    }
    return true;
}

bool row_change(struct arena *arena, const struct json *row, struct rows_change *change, struct error *error)
{
    struct str text = row == NULL ? STR_NONE : json_write_arena(arena, row);
    if (text.at == NULL || change->key.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    change->value = text;
    return true;
}

struct json *row_time_json(struct arena *arena, int64_t time_ms)
{
    char text[INSTANT_BYTES];
    size_t len = instant_format(time_ms, 0, text);
    return json_new_string(arena, arena_dup(arena, (struct str){ text, len }));
}

struct str hex_text(struct arena *arena, const uint8_t *bytes, size_t len)
{
    char *text = arena_alloc(arena, len * 2 + 1);
    if (text == NULL) {
        return STR_NONE;
    }
    hash_hex(bytes, len, text);
    return (struct str){ text, len * 2 };
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_bytes(struct str text, uint8_t *bytes, size_t len)
{
    if (text.len != len * 2) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text.at[2 * i]);
        int low = hex_digit(text.at[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}
