#include "store/postgresql_values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_BYTES_MAX = 2 * 1024 * 1024 };

/* ---- statement texts ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Where a text between quotes ends that begins at `from`; a doubled quote begins the next one. */
static size_t quoted_end(struct str sql, size_t from)
{
    size_t at = from + 1;
    while (at < sql.len && sql.at[at] != sql.at[from]) {
        at++;
    }
    return at < sql.len ? at + 1 : sql.len;
}

static size_t word_end(struct str sql, size_t from)
{
    while (from < sql.len && is_word(sql.at[from])) {
        from++;
    }
    return from;
}

/* The number of a named parameter, a new one at its first use. 0: too many or too long. */
static int name_number(struct postgresql_text *text, struct str name)
{
    for (int i = 0; i < text->names_count; i++) {
        if (str_equal_cstr(name, text->names[i] + 1)) {
            return i + 1;
        }
    }
    if (text->names_count == POSTGRESQL_NAMES_MAX || name.len + 2 > POSTGRESQL_NAME_BYTES) {
        return 0;
    }
    (void)snprintf(text->names[text->names_count], POSTGRESQL_NAME_BYTES, ":%.*s", STR_FMT(name));
    text->names_count++;
    return text->names_count;
}

/* The parameter that begins at `at`: its end and number (0: there is none). */
static size_t parameter_read(struct postgresql_text *text, struct str sql, size_t at, int *number)
{
    *number = 0;
    if (sql.at[at] == ':') {
        size_t end = word_end(sql, at + 1);
        *number = name_number(text, str_slice(sql, at + 1, end));
        return end;
    }
    size_t end = at + 1;
    while (end < sql.len && is_digit(sql.at[end]) && *number < POSTGRESQL_PARAMETERS_MAX) {
        *number = 10 * *number + (sql.at[end] - '0');
        end++;
    }
    if (end == at + 1) {
        *number = text->parameters_count + 1;
    }
    return end;
}

bool postgresql_text_make(struct str sql, struct postgresql_text *out, struct error *error)
{
    *out = (struct postgresql_text){ .text = { .bytes_max = TEXT_BYTES_MAX } };
    bool known = true;
    for (size_t at = 0; at < sql.len && known;) {
        char c = sql.at[at];
        size_t end = at + 1;
        int number = 0;
        if (c == '\'' || c == '"') {
            end = quoted_end(sql, at);
        } else if (c == ':' && end < sql.len && sql.at[end] == ':') {
            end++;
        } else if (c == '?' || (c == ':' && end < sql.len && is_word(sql.at[end]))) {
            end = parameter_read(out, sql, at, &number);
            known = number > 0 && number <= POSTGRESQL_PARAMETERS_MAX;
        }
        if (number > 0) {
            out->uses_first = out->uses_first || number == 1;
            bool tested = c == ':' && str_starts_with(str_trim(str_skip(sql, end)), STR("IS "));
            buf_printf(&out->text, tested ? "$%d::text" : "$%d", number);
            out->parameters_count = number > out->parameters_count ? number : out->parameters_count;
        } else {
            buf_add(&out->text, str_slice(sql, at, end));
        }
        at = end;
    }
    buf_add_char(&out->text, '\0');
    if (!known || out->text.failed) {
        postgresql_text_free(out);
        return FAIL(error, ERROR_TOO_COSTLY, "the SQL has too many parts");
    }
    return true;
}

void postgresql_text_free(struct postgresql_text *text)
{
    buf_deinit(&text->text);
}

/* ---- values ---- */

static void put_integer(char *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (char)(value >> (8 * (bytes - 1 - i)));
    }
}

static uint64_t get_integer(const char *from, size_t bytes)
{
    uint64_t value = bytes > 0 && ((unsigned char)from[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | (unsigned char)from[i];
    }
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static struct str as_text(char room[32], const struct store_value *value)
{
    int len = value->kind == STORE_VALUE_INTEGER ? snprintf(room, 32, "%" PRId64, value->integer)
                                                 : snprintf(room, 32, "%.17g", value->real);
    return (struct str){ room, (size_t)len };
}

static struct str encode_number(const struct store_value *value, unsigned type, char room[32], bool *binary)
{
    bool whole = value->kind == STORE_VALUE_INTEGER;
    *binary = true;
    if (type == POSTGRESQL_FLOAT8) {
        put_integer(room, bits_of(whole ? (double)value->integer : value->real), 8);
        return (struct str){ room, 8 };
    }
    if (type == POSTGRESQL_INT8 && whole) {
        put_integer(room, (uint64_t)value->integer, 8);
        return (struct str){ room, 8 };
    }
    if (type == POSTGRESQL_BOOL && whole) {
        room[0] = value->integer != 0 ? 1 : 0;
        return (struct str){ room, 1 };
    }
    *binary = false; /* the server reads it, and says when it does not fit */
    return as_text(room, value);
}

struct str postgresql_encode(const struct store_value *value, unsigned type, char room[32], bool *binary)
{
    switch (value->kind) {
    case STORE_VALUE_NULL:
        break;
    case STORE_VALUE_INTEGER:
    case STORE_VALUE_REAL:
        return encode_number(value, type, room, binary);
    case STORE_VALUE_TEXT:
    case STORE_VALUE_BYTES:
        *binary = true; /* a text's binary form is its bytes */
        return value->text;
    }
    *binary = true;
    return STR_NONE;
}

static void array_integer(struct buf *buf, uint64_t value, size_t bytes)
{
    char room[8];
    put_integer(room, value, bytes);
    buf_add(buf, (struct str){ room, bytes });
}

void postgresql_array_begin(struct buf *buf, unsigned type, size_t count)
{
    array_integer(buf, count > 0 ? 1 : 0, 4); /* dimensions */
    array_integer(buf, 0, 4);                 /* no NULL */
    array_integer(buf, type, 4);
    if (count > 0) {
        array_integer(buf, count, 4);
        array_integer(buf, 1, 4); /* the first has number 1 */
    }
}

void postgresql_array_integer(struct buf *buf, int64_t value)
{
    array_integer(buf, 8, 4);
    array_integer(buf, (uint64_t)value, 8);
}

void postgresql_array_real(struct buf *buf, double value)
{
    array_integer(buf, 8, 4);
    array_integer(buf, bits_of(value), 8);
}

void postgresql_array_text(struct buf *buf, struct str text)
{
    array_integer(buf, text.len, 4);
    postgresql_text_add(buf, text);
}

void postgresql_array_bytes(struct buf *buf, struct str bytes)
{
    array_integer(buf, bytes.at == NULL ? UINT32_MAX : bytes.len, 4); /* -1: NULL */
    buf_add(buf, bytes.at == NULL ? STR("") : bytes);
}

void postgresql_text_add(struct buf *buf, struct str text)
{
    size_t from = buf->len;
    buf_add(buf, text);
    for (size_t i = from; i < buf->len; i++) {
        buf->at[i] = buf->at[i] == '\0' ? '\1' : buf->at[i];
    }
}

void postgresql_copy_begin(struct buf *buf)
{
    buf_add(buf, (struct str){ "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19 });
}

void postgresql_copy_row(struct buf *buf, unsigned columns)
{
    array_integer(buf, columns, 2);
}

void postgresql_field_begin(struct buf *buf, size_t len)
{
    array_integer(buf, len, 4);
}

void postgresql_copy_end(struct buf *buf)
{
    array_integer(buf, UINT16_MAX, 2);
}

int64_t postgresql_integer(const char *bytes, size_t len, bool binary)
{
    if (binary) {
        return len == 1 ? bytes[0] : (int64_t)get_integer(bytes, len > 8 ? 8 : len);
    }
    if (len == 1 && (bytes[0] == 't' || bytes[0] == 'f')) {
        return bytes[0] == 't' ? 1 : 0;
    }
    errno = 0;
    long long value = strtoll(bytes, NULL, 10);
    return errno == ERANGE ? (value < 0 ? INT64_MIN : INT64_MAX) : value;
}

double postgresql_real(const char *bytes, size_t len, unsigned type, bool binary)
{
    if (!binary) {
        return strtod(bytes, NULL);
    }
    if (type == POSTGRESQL_FLOAT8 && len == 8) {
        uint64_t bits = get_integer(bytes, 8);
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return (double)postgresql_integer(bytes, len, true);
}

/* A sum of whole numbers is a decimal there; what has no point is a whole number here. */
static bool is_whole(const char *bytes, size_t len)
{
    return len < 19 && memchr(bytes, '.', len) == NULL && memchr(bytes, 'N', len) == NULL;
}

enum store_value_kind postgresql_kind(unsigned type, const char *bytes, size_t len, bool binary)
{
    switch (type) {
    case POSTGRESQL_BOOL:
    case POSTGRESQL_INT2:
    case POSTGRESQL_INT4:
    case POSTGRESQL_INT8:
        return STORE_VALUE_INTEGER;
    case POSTGRESQL_NUMERIC:
        return !binary && is_whole(bytes, len) ? STORE_VALUE_INTEGER : STORE_VALUE_REAL;
    case POSTGRESQL_FLOAT4:
    case POSTGRESQL_FLOAT8:
        return STORE_VALUE_REAL;
    case POSTGRESQL_BYTES:
        return STORE_VALUE_BYTES;
    default:
        return STORE_VALUE_TEXT;
    }
}

/* ---- what SQL of indicators may say ---- */

static bool is_listed(struct str word, const char *const *list)
{
    for (size_t i = 0; list[i] != NULL; i++) {
        if (str_equal_cstr(word, list[i])) {
            return true;
        }
    }
    return false;
}

/* Words that may stand before an open bracket: functions, and words of the language. */
static const char *const before_bracket[] = {
    "median",   "percentile", "ratio",  "days_between", "local_day", "one_of",     "count",        "sum",
    "min",      "max",        "avg",    "coalesce",     "nullif",    "abs",        "round",        "lower",
    "upper",    "length",     "substr", "cast",         "rank",      "row_number", "and",          "or",
    "not",      "in",         "exists", "any",          "all",       "as",         "on",           "using",
    "over",     "filter",     "select", "from",         "where",     "when",       "then",         "else",
    "case",     "by",         "having", "join",         "union",     "except",     "intersect",    "with",
    "distinct", "values",     "limit",  "between",      "like",      "is",         "materialized", NULL
};

/* `word` is lower case; `next` is what follows it. */
static bool word_check(struct str word, bool names, char next, bool after_dot, struct str schemas,
                       struct error *error)
{
    char line[POSTGRESQL_NAME_BYTES + 4];
    if (str_starts_with(word, STR("pg_")) || str_equal(word, STR("information_schema"))) {
        return FAIL(error, ERROR_INPUT, "the SQL may only read views");
    }
    if (next == '(' && !after_dot && !names && !is_listed(word, before_bracket)) {
        return FAIL(error, ERROR_INPUT, "the SQL may not call %.*s", STR_FMT(word));
    }
    int len = snprintf(line, sizeof line, "\n%.*s\n", STR_FMT(word));
    bool fits = len > 0 && (size_t)len < sizeof line;
    bool schema = fits && str_find(schemas, (struct str){ line, (size_t)len }) < schemas.len;
    if ((next == '(' && after_dot) || (next == '.' && (schema || !fits))) {
        return FAIL(error, ERROR_INPUT, "the SQL may only read views");
    }
    return true;
}

bool postgresql_figure_check(struct str sql, struct str schemas, struct error *error)
{
    char word[64];
    bool first = true;
    bool names = false; /* "WITH n(x) AS": a name, not a call */
    char last = ' ';
    if (str_find_char(sql, '\\') < sql.len) { /* E'\'' would end elsewhere than it seems */
        return FAIL(error, ERROR_INPUT, "the SQL may not have a backslash");
    }
    for (size_t at = 0; at < sql.len;) {
        char c = sql.at[at];
        size_t end = at + 1;
        if (c == '"' || c == ';' || c == '$' || (c == '-' && end < sql.len && sql.at[end] == '-') ||
            (c == '/' && end < sql.len && sql.at[end] == '*')) {
            return FAIL(error, ERROR_INPUT, "the SQL may not have '%c' here", c);
        }
        if (c == '\'') {
            end = quoted_end(sql, at);
        } else if (is_word(c) && !is_digit(c)) {
            end = word_end(sql, at);
            size_t next = end;
            while (next < sql.len && (sql.at[next] == ' ' || sql.at[next] == '\n' || sql.at[next] == '\t')) {
                next++;
            }
            size_t len = end - at < sizeof word ? end - at : sizeof word;
            for (size_t i = 0; i < len; i++) {
                char letter = sql.at[at + i];
                word[i] = (char)(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
            }
            struct str lower = { word, len };
            if (first && !str_equal(lower, STR("select")) && !str_equal(lower, STR("with"))) {
                return FAIL(error, ERROR_INPUT, "the SQL must be one SELECT");
            }
            first = false;
            if (last != ':' &&
                !word_check(lower, names, next < sql.len ? sql.at[next] : ' ', last == '.', schemas, error)) {
                return false;
            }
            names = str_equal(lower, STR("with")) || str_equal(lower, STR("recursive"));
        }
        last = c == ' ' || c == '\n' || c == '\t' ? last : sql.at[end - 1];
        at = end;
    }
    return !first || FAIL(error, ERROR_INPUT, "the SQL must be one SELECT");
}
