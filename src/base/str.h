/* str.h — a slice of bytes somebody else owns; UTF-8 where it is text. NUL-terminated only at system
 * calls (arena_cstr). Passed by value. A NULL `at` with len 0 is "absent"; STR("") is "empty".
 * Any thread. */
#ifndef SHANHAI_BASE_STR_H
#define SHANHAI_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){ "" literal "", sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* For printf: "%.*s", STR_FMT(name). Never for patient data in logs or errors. */
#define STR_FMT(s) (int)(s).len, (s).at == NULL ? "" : (s).at

static inline struct str str_from_cstr(const char *text)
{
    return text == NULL ? STR_NONE : (struct str){ text, strlen(text) };
}
static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}
/* Most names that are compared differ in length, first or last byte: only the rest is worth a call. */
static inline bool str_equal(struct str a, struct str b)
{
    if (a.len != b.len || a.len == 0) {
        return a.len == b.len;
    }
    return a.at[0] == b.at[0] && a.at[a.len - 1] == b.at[a.len - 1] && memcmp(a.at, b.at, a.len) == 0;
}
static inline bool str_equal_cstr(struct str a, const char *b)
{
    return str_equal(a, str_from_cstr(b));
}
static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || (s.at[0] == prefix.at[0] && memcmp(s.at, prefix.at, prefix.len) == 0));
}
static inline bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len) == 0);
}
/* The slice from `from` to before `to`, both cut to the length. */
static inline struct str str_slice(struct str s, size_t from, size_t to)
{
    to = to > s.len ? s.len : to;
    from = from > to ? to : from;
    return (struct str){ s.at == NULL ? NULL : s.at + from, to - from };
}
static inline struct str str_skip(struct str s, size_t count)
{
    return str_slice(s, count, s.len);
}

/* Byte order: <0, 0, >0. A shorter prefix comes first. */
int str_compare(struct str a, struct str b);

/* ASCII letters only; other bytes must be equal. */
bool str_equal_ignore_case(struct str a, struct str b);

/* Index of the first occurrence, or s.len when there is none. */
size_t str_find(struct str s, struct str needle);
size_t str_find_char(struct str s, char c);
size_t str_find_last_char(struct str s, char c);

/* White space (space, tab, CR, LF) at both ends cut. */
struct str str_trim(struct str s);

/* Takes the part before the next `separator` off *rest and gives it in *part. False when *rest is
 * used up (at == NULL). "a,,b" gives "a", "", "b"; "" gives "" once. */
bool str_split_next(struct str *rest, char separator, struct str *part);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

/* Writes a code point (below 0x110000) as UTF-8 and gives its length. */
enum { STR_UTF8_BYTES_MAX = 4 };
size_t str_put_utf8(uint32_t code, char out[STR_UTF8_BYTES_MAX]);

#endif
