#include "fhirpath/text.h"

#include <unicode/uchar.h>

static bool is_continuation(struct str text, size_t at)
{
    return at < text.len && ((unsigned char)text.at[at] & 0xC0) == 0x80;
}

uint32_t text_next(struct str text, size_t *at)
{
    unsigned char first = (unsigned char)text.at[*at];
    size_t more = first < 0x80   ? 0
                  : first < 0xC2 ? 4
                  : first < 0xE0 ? 1
                  : first < 0xF0 ? 2
                  : first < 0xF5 ? 3
                                 : 4;
    *at += 1;
    if (more == 0) {
        return first;
    }
    if (more == 4) {
        return 0xFFFD;
    }
    uint32_t code = first & (0x3Fu >> more);
    for (size_t i = 0; i < more; i++) {
        if (!is_continuation(text, *at + i)) {
            return 0xFFFD;
        }
        code = code << 6 | ((unsigned char)text.at[*at + i] & 0x3Fu);
    }
    *at += more;
    return code;
}

size_t text_count(struct str text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; count++) {
        (void)text_next(text, &at);
    }
    return count;
}

size_t text_offset(struct str text, size_t index)
{
    size_t at = 0;
    for (; at < text.len && index > 0; index--) {
        (void)text_next(text, &at);
    }
    return at;
}

/* ICU's code points are signed; ours are below 0x110000. */
static uint32_t folded(uint32_t code)
{
    if (code < 0x80) {
        bool blank = code == ' ' || (code >= '\t' && code <= '\r');
        return blank ? ' ' : (code >= 'A' && code <= 'Z' ? code + 32 : code);
    }
    return u_isUWhiteSpace((UChar32)code) ? ' ' : (uint32_t)u_foldCase((UChar32)code, U_FOLD_CASE_DEFAULT);
}

bool text_equivalent(struct str a, struct str b)
{
    size_t at_a = 0;
    size_t at_b = 0;
    while (at_a < a.len && at_b < b.len) {
        if (folded(text_next(a, &at_a)) != folded(text_next(b, &at_b))) {
            return false;
        }
    }
    return at_a == a.len && at_b == b.len;
}

uint32_t text_upper(uint32_t code)
{
    return (uint32_t)u_toupper((UChar32)code);
}

uint32_t text_lower(uint32_t code)
{
    return (uint32_t)u_tolower((UChar32)code);
}
