/* The reader: one pass, recursion bounded by LIMIT_JSON_DEPTH, 16 bytes of a string at a time where the
 * machine has SSE2. Prototype figures and the reasons for our own reader: docs/modules/json.md. */
#include "json/json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/limits.h"

struct reader {
    struct arena *arena;
    const char *start;
    const char *at;
    const char *end;
    const char *problem; /* NULL while all is well */
    int depth;
};

static bool read_value(struct reader *reader, struct json *value);

static bool reader_fail(struct reader *reader, const char *problem)
{
    if (reader->problem == NULL) {
        reader->problem = problem;
    }
    return false;
}

static inline void skip_space(struct reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    reader->at = at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Four hexadecimal digits at `at`, or -1. */
static int hex_unit(const char *at, const char *end)
{
    if (end - at < 4) {
        return -1;
    }
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

/* After a backslash at reader->at[0]; moves past the escape. */
static bool read_escape(struct reader *reader)
{
    const char *at = reader->at;
    if (reader->end - at < 2) {
        return reader_fail(reader, "a string is not closed");
    }
    if (at[1] != 'u') {
        if (at[1] == '\0' || strchr("\"\\/bfnrt", at[1]) == NULL) {
            return reader_fail(reader, "an unknown escape in a string");
        }
        reader->at = at + 2;
        return true;
    }
    int unit = hex_unit(at + 2, reader->end);
    if (unit < 0) {
        return reader_fail(reader, "\\u needs four hexadecimal digits");
    }
    reader->at = at + 6;
    if (unit >= 0xDC00 && unit <= 0xDFFF) {
        return reader_fail(reader, "an unpaired surrogate escape");
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        bool paired = reader->end - reader->at >= 6 && reader->at[0] == '\\' && reader->at[1] == 'u';
        int low = paired ? hex_unit(reader->at + 2, reader->end) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            return reader_fail(reader, "an unpaired surrogate escape");
        }
        reader->at += 6;
    }
    return true;
}

/* Length of a well-formed multi-byte sequence, or 0 (RFC 3629). */
static size_t utf8_length(const char *at, const char *end)
{
    unsigned char lead = (unsigned char)at[0];
    size_t need = lead >= 0xC2 && lead <= 0xDF   ? 2
                  : lead >= 0xE0 && lead <= 0xEF ? 3
                  : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                 : 0;
    if (need == 0 || (size_t)(end - at) < need) {
        return 0;
    }
    return str_is_utf8((struct str){ at, need }) ? need : 0;
}

/* Moves to the next byte of a string that needs a look: quote, backslash, control or non-ASCII. */
static inline const char *string_scan(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Bytes from 0x80 are negative as signed numbers, so "below space" finds them too. */
        __m128i special =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                         _mm_cmplt_epi8(bytes, space));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
        at += 16;
    }
#endif
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80) {
        at++;
    }
    return at;
}

/* reader->at is after the opening quote; ends after the closing one. */
static bool read_string(struct reader *reader, struct str *raw, bool *escaped)
{
    const char *from = reader->at;
    *escaped = false;
    for (;;) {
        reader->at = string_scan(reader->at, reader->end);
        if (reader->at >= reader->end) {
            return reader_fail(reader, "a string is not closed");
        }
        unsigned char c = (unsigned char)*reader->at;
        if (c == '"') {
            *raw = (struct str){ from, (size_t)(reader->at - from) };
            reader->at++;
            return true;
        }
        if (c == '\\') {
            *escaped = true;
            if (!read_escape(reader)) {
                return false;
            }
        } else if (c < 0x20) {
            return reader_fail(reader, "a control character in a string; write it as an escape");
        } else {
            size_t length = utf8_length(reader->at, reader->end);
            if (length == 0) {
                return reader_fail(reader, "the text is not UTF-8");
            }
            reader->at += length;
        }
    }
}

static size_t read_digits(struct reader *reader)
{
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        reader->at++;
    }
    return (size_t)(reader->at - from);
}

static bool reader_accept(struct reader *reader, char c)
{
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

static bool read_number(struct reader *reader, struct json *value)
{
    const char *from = reader->at;
    (void)reader_accept(reader, '-');
    bool zero = reader->at < reader->end && *reader->at == '0';
    size_t digits = read_digits(reader);
    if (digits == 0) {
        return reader_fail(reader, "a value was expected");
    }
    if (zero && digits > 1) {
        return reader_fail(reader, "a number must not start with 0");
    }
    if (reader_accept(reader, '.') && read_digits(reader) == 0) {
        return reader_fail(reader, "a number needs digits after the point");
    }
    if (reader_accept(reader, 'e') || reader_accept(reader, 'E')) {
        if (!reader_accept(reader, '-')) {
            (void)reader_accept(reader, '+');
        }
        if (read_digits(reader) == 0) {
            return reader_fail(reader, "a number needs digits in its exponent");
        }
    }
    value->kind = JSON_NUMBER;
    value->raw = (struct str){ from, (size_t)(reader->at - from) };
    return true;
}

static bool read_word(struct reader *reader, struct json *value, struct str word, enum json_kind kind)
{
    if ((size_t)(reader->end - reader->at) < word.len || memcmp(reader->at, word.at, word.len) != 0) {
        return reader_fail(reader, "a value was expected");
    }
    reader->at += word.len;
    value->kind = (uint8_t)kind;
    return true;
}

static struct json *reader_new(struct reader *reader)
{
    struct json *value = arena_calloc(reader->arena, 1, sizeof *value);
    if (value == NULL) {
        (void)reader_fail(reader, "");
    }
    return value;
}

static bool read_name(struct reader *reader, struct json *child)
{
    skip_space(reader);
    if (!reader_accept(reader, '"')) {
        return reader_fail(reader, "a member name in quotes was expected");
    }
    struct json name = { .kind = JSON_STRING };
    if (!read_string(reader, &name.raw, &name.escaped)) {
        return false;
    }
    child->name = json_text(reader->arena, &name);
    if (child->name.at == NULL) {
        return reader_fail(reader, "");
    }
    skip_space(reader);
    return reader_accept(reader, ':') || reader_fail(reader, "':' was expected after a member name");
}

static bool read_children(struct reader *reader, struct json *parent, char close)
{
    parent->first = NULL;
    parent->last = NULL;
    skip_space(reader);
    if (reader_accept(reader, close)) {
        return true;
    }
    do {
        struct json *child = reader_new(reader);
        if (child == NULL || (close == '}' && !read_name(reader, child))) {
            return false;
        }
        skip_space(reader);
        if (!read_value(reader, child)) {
            return false;
        }
        if (parent->last == NULL) {
            parent->first = child;
        } else {
            parent->last->next = child;
        }
        parent->last = child;
        parent->count++;
        skip_space(reader);
    } while (reader_accept(reader, ','));
    return reader_accept(reader, close) || reader_fail(reader, "',' or the closing bracket was expected");
}

static bool read_container(struct reader *reader, struct json *value, enum json_kind kind, char close)
{
    value->kind = (uint8_t)kind;
    reader->at++;
    if (++reader->depth > LIMIT_JSON_DEPTH) {
        return reader_fail(reader, "nested too deeply");
    }
    bool ok = read_children(reader, value, close);
    reader->depth--;
    return ok;
}

static bool read_value(struct reader *reader, struct json *value)
{
    if (reader->at >= reader->end) {
        return reader_fail(reader, "the text ends too early");
    }
    switch (*reader->at) {
    case '"':
        reader->at++;
        value->kind = JSON_STRING;
        return read_string(reader, &value->raw, &value->escaped);
    case '{':
        return read_container(reader, value, JSON_OBJECT, '}');
    case '[':
        return read_container(reader, value, JSON_ARRAY, ']');
    case 't':
        return read_word(reader, value, STR("true"), JSON_TRUE);
    case 'f':
        return read_word(reader, value, STR("false"), JSON_FALSE);
    case 'n':
        return read_word(reader, value, STR("null"), JSON_NULL);
    default:
        return read_number(reader, value);
    }
}

static bool reader_report(const struct reader *reader, struct error *error)
{
    if (reader->problem[0] == '\0') {
        return FAIL(error, ERROR_TOO_LARGE, "the document needs more memory than a request may use");
    }
    size_t line = 1;
    const char *line_start = reader->start;
    for (const char *at = reader->start; at < reader->at; at++) {
        if (*at == '\n') {
            line++;
            line_start = at + 1;
        }
    }
    return FAIL(error, ERROR_STRUCTURE, "not JSON: %s (line %zu, byte %zu)", reader->problem, line,
                (size_t)(reader->at - line_start) + 1);
}

bool json_read(struct arena *arena, struct str text, struct json **value, struct error *error)
{
    const char *start = text.at == NULL ? "" : text.at;
    struct reader reader = { .arena = arena, .start = start, .at = start, .end = start + text.len };
    struct json *root = reader_new(&reader);
    skip_space(&reader);
    bool ok = root != NULL && read_value(&reader, root);
    if (ok) {
        skip_space(&reader);
        ok = reader.at == reader.end || reader_fail(&reader, "something follows after the value");
    }
    if (!ok) {
        return reader_report(&reader, error);
    }
    *value = root;
    return true;
}
