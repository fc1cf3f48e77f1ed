#include "http/query.h"

#include "base/limits.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes into `out`, which has room for text.len bytes. */
static bool decode_bytes(struct str text, bool plus_is_space, char *out, size_t *out_len, struct error *error)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return FAIL(error, ERROR_INPUT,
                            "the address has a '%%' without two hexadecimal digits after it");
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            return FAIL(error, ERROR_INPUT, "the address has a NUL character");
        }
        out[len++] = c;
    }
    *out_len = len;
    return true;
}

bool percent_decode(struct arena *arena, struct str text, bool plus_is_space, struct str *out,
                    struct error *error)
{
    struct str decoded = text;
    bool plain = str_find_char(text, '%') == text.len && str_find_char(text, '\0') == text.len &&
                 (!plus_is_space || str_find_char(text, '+') == text.len);
    if (!plain) {
        char *bytes = arena_alloc(arena, text.len);
        if (bytes == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        decoded = (struct str){ bytes, 0 };
        if (!decode_bytes(text, plus_is_space, bytes, &decoded.len, error)) {
            return false;
        }
    }
    if (!str_is_utf8(decoded)) {
        return FAIL(error, ERROR_INPUT, "the address or form is not UTF-8");
    }
    *out = decoded;
    return true;
}

void percent_encode(struct buf *buf, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            buf_add_char(buf, c);
        } else {
            buf_printf(buf, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

static size_t pieces_count(struct str text)
{
    size_t count = 0;
    struct str piece = STR_NONE;
    while (str_split_next(&text, '&', &piece)) {
        count += piece.len > 0 ? 1 : 0;
    }
    return count;
}

bool query_parse(struct arena *arena, struct str text, const struct http_pair **pairs, size_t *count,
                 struct error *error)
{
    size_t max = text.len == 0 ? 0 : pieces_count(text);
    if (max > LIMIT_HTTP_PAIRS) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d parameters", (int)LIMIT_HTTP_PAIRS);
    }
    struct http_pair *list = ARENA_ARRAY(arena, struct http_pair, max);
    if (list == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    size_t used = 0;
    struct str piece = STR_NONE;
    while (max > 0 && str_split_next(&text, '&', &piece)) {
        if (piece.len == 0) {
            continue;
        }
        size_t equals = str_find_char(piece, '=');
        struct http_pair *pair = &list[used];
        if (!percent_decode(arena, str_slice(piece, 0, equals), true, &pair->name, error) ||
            !percent_decode(arena, str_skip(piece, equals + 1), true, &pair->value, error)) {
            return false;
        }
        used++;
    }
    *pairs = list;
    *count = used;
    return true;
}
