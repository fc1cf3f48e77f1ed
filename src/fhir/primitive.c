#include "fhir/primitive.h"

#include "base/parse.h"

enum { STRING_BYTES_MAX = 1024 * 1024 }; /* R4 2.24.0.1: strings SHALL NOT exceed 1 MB */

enum primitive primitive_of(struct str name)
{
    static const struct {
        struct str name;
        enum primitive primitive;
    } table[] = {
        { { "string", 6 }, PRIMITIVE_STRING },
        { { "code", 4 }, PRIMITIVE_CODE },
        { { "uri", 3 }, PRIMITIVE_URI },
        { { "id", 2 }, PRIMITIVE_ID },
        { { "dateTime", 8 }, PRIMITIVE_DATETIME },
        { { "decimal", 7 }, PRIMITIVE_DECIMAL },
        { { "boolean", 7 }, PRIMITIVE_BOOLEAN },
        { { "date", 4 }, PRIMITIVE_DATE },
        { { "canonical", 9 }, PRIMITIVE_CANONICAL },
        { { "instant", 7 }, PRIMITIVE_INSTANT },
        { { "integer", 7 }, PRIMITIVE_INTEGER },
        { { "positiveInt", 11 }, PRIMITIVE_POSITIVE_INT },
        { { "unsignedInt", 11 }, PRIMITIVE_UNSIGNED_INT },
        { { "markdown", 8 }, PRIMITIVE_MARKDOWN },
        { { "xhtml", 5 }, PRIMITIVE_XHTML },
        { { "url", 3 }, PRIMITIVE_URL },
        { { "base64Binary", 12 }, PRIMITIVE_BASE64 },
        { { "time", 4 }, PRIMITIVE_TIME },
        { { "oid", 3 }, PRIMITIVE_OID },
        { { "uuid", 4 }, PRIMITIVE_UUID },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (str_equal(table[i].name, name)) {
            return table[i].primitive;
        }
    }
    return PRIMITIVE_NONE;
}

bool primitive_is_number(enum primitive primitive)
{
    return primitive == PRIMITIVE_DECIMAL || primitive == PRIMITIVE_INTEGER ||
           primitive == PRIMITIVE_POSITIVE_INT || primitive == PRIMITIVE_UNSIGNED_INT;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool primitive_is_id(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !is_digit(c) && c != '-' && c != '.') {
            return false;
        }
    }
    return text.len >= 1 && text.len <= 64;
}

/* Only controls that JSON let through as escapes can be here. */
static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] < 0x20 && !is_blank(text.at[i])) {
            return true;
        }
    }
    return false;
}

static bool has_blank(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] <= 0x20) {
            return true;
        }
    }
    return false;
}

/* [^\s]+(\s[^\s]+)* */
static bool is_code(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool edge = i == 0 || i + 1 == text.len || is_blank(text.at[i - 1]);
        if (is_blank(text.at[i]) && edge) {
            return false;
        }
    }
    return text.len > 0 && !has_control(text);
}

/* `count` digits as a number at *at, which moves on; -1 when they are not there. */
static int digits_at(struct str text, size_t *at, size_t count)
{
    int value = 0;
    if (*at + count > text.len) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        char c = text.at[*at + i];
        if (!is_digit(c)) {
            return -1;
        }
        value = value * 10 + (c - '0');
    }
    *at += count;
    return value;
}

static bool skip_char(struct str text, size_t *at, char c)
{
    if (*at < text.len && text.at[*at] == c) {
        (*at)++;
        return true;
    }
    return false;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* YYYY, YYYY-MM or YYYY-MM-DD at *at; *parts says how many. A real day of the calendar. */
static bool date_at(struct str text, size_t *at, int *parts)
{
    int year = digits_at(text, at, 4);
    if (year < 1) {
        return false;
    }
    *parts = 1;
    if (!skip_char(text, at, '-')) {
        return true;
    }
    int month = digits_at(text, at, 2);
    if (month < 1 || month > 12) {
        return false;
    }
    *parts = 2;
    if (!skip_char(text, at, '-')) {
        return true;
    }
    int day = digits_at(text, at, 2);
    *parts = 3;
    return day >= 1 && day <= days_in_month(year, month);
}

/* HH:MM:SS(.fraction); second 60 is a leap second. */
static bool time_at(struct str text, size_t *at)
{
    int hour = digits_at(text, at, 2);
    bool ok = hour >= 0 && hour <= 23 && skip_char(text, at, ':');
    int minute = ok ? digits_at(text, at, 2) : -1;
    ok = minute >= 0 && minute <= 59 && skip_char(text, at, ':');
    int second = ok ? digits_at(text, at, 2) : -1;
    if (second < 0 || second > 60) {
        return false;
    }
    if (skip_char(text, at, '.')) {
        size_t from = *at;
        while (*at < text.len && is_digit(text.at[*at])) {
            (*at)++;
        }
        return *at > from;
    }
    return true;
}

static bool zone_at(struct str text, size_t *at)
{
    if (skip_char(text, at, 'Z')) {
        return true;
    }
    if (!skip_char(text, at, '+') && !skip_char(text, at, '-')) {
        return false;
    }
    int hour = digits_at(text, at, 2);
    bool ok = hour >= 0 && skip_char(text, at, ':');
    int minute = ok ? digits_at(text, at, 2) : -1;
    return minute >= 0 && minute <= 59 && (hour < 14 || (hour == 14 && minute == 0));
}

static bool is_date_time(struct str text, bool whole)
{
    size_t at = 0;
    int parts = 0;
    if (!date_at(text, &at, &parts)) {
        return false;
    }
    if (parts == 3 && skip_char(text, &at, 'T')) {
        return time_at(text, &at) && zone_at(text, &at) && at == text.len;
    }
    return !whole && at == text.len;
}

static bool is_date(struct str text)
{
    size_t at = 0;
    int parts = 0;
    return date_at(text, &at, &parts) && at == text.len;
}

static bool is_time(struct str text)
{
    size_t at = 0;
    return time_at(text, &at) && at == text.len;
}

static bool is_integer(struct str digits, int64_t min, int64_t max)
{
    int64_t value = 0;
    bool padded = digits.len > 1 && digits.at[0] == '0';
    return !padded && parse_int64(digits, min, max, &value);
}

static bool is_oid(struct str text)
{
    if (!str_starts_with(text, STR("urn:oid:"))) {
        return false;
    }
    struct str rest = str_skip(text, 8);
    struct str part = STR_NONE;
    size_t count = 0;
    while (str_split_next(&rest, '.', &part)) {
        bool zero = str_equal(part, STR("0"));
        for (size_t i = 0; i < part.len; i++) {
            if (!is_digit(part.at[i])) {
                return false;
            }
        }
        if (part.len == 0 || (part.at[0] == '0' && !zero) ||
            (count == 0 && (part.len > 1 || part.at[0] > '2'))) {
            return false;
        }
        count++;
    }
    return count >= 2;
}

static bool is_uuid(struct str text)
{
    if (text.len != 45 || !str_starts_with(text, STR("urn:uuid:"))) {
        return false;
    }
    for (size_t i = 9; i < text.len; i++) {
        size_t place = i - 9;
        bool dash = place == 8 || place == 13 || place == 18 || place == 23;
        char c = text.at[i];
        bool hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (dash ? c != '-' : !hex) {
            return false;
        }
    }
    return true;
}

/* Groups of four with white space between; the padding only at the end. */
static bool is_base64(struct str text)
{
    size_t count = 0;
    size_t padding = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (is_blank(c)) {
            continue;
        }
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '+' || c == '/';
        if (c == '=') {
            padding++;
        } else if (!letter || padding > 0) {
            return false;
        }
        count++;
    }
    return count > 0 && count % 4 == 0 && padding <= 2;
}

/* R4 2.4.0: one <div>, no scripts, forms or outside content. Only what is cheap to see. */
static bool is_xhtml(struct str text)
{
    struct str trimmed = str_trim(text);
    if (!str_starts_with(trimmed, STR("<div")) || has_control(text)) {
        return false;
    }
    if (!str_ends_with(trimmed, STR("</div>")) && !str_ends_with(trimmed, STR("/>"))) {
        return false;
    }
    static const struct str refused[] = { { "<script", 7 }, { "<iframe", 7 }, { "<object", 7 },
                                          { "<embed", 6 },  { "<form", 5 },   { "<base", 5 },
                                          { "<link", 5 },   { "<frame", 6 },  { "javascript:", 11 } };
    for (size_t at = 0; at < trimmed.len; at++) {
        char c = trimmed.at[at];
        if (c != '<' && c != 'j' && c != 'J') {
            continue;
        }
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
            if (str_equal_ignore_case(str_slice(trimmed, at, at + refused[i].len), refused[i])) {
                return false;
            }
        }
    }
    return true;
}

const char *primitive_fault(enum primitive primitive, struct str text)
{
    if (text.len == 0) {
        return "not empty";
    }
    switch (primitive) {
    case PRIMITIVE_NONE:
    case PRIMITIVE_BOOLEAN:
    case PRIMITIVE_DECIMAL:
        return NULL; /* the kind of the JSON value says it all */
    case PRIMITIVE_INTEGER:
        return is_integer(text, INT32_MIN, INT32_MAX) ? NULL : "a whole number of 32 bits";
    case PRIMITIVE_POSITIVE_INT:
        return is_integer(text, 1, INT32_MAX) ? NULL : "a whole number from 1";
    case PRIMITIVE_UNSIGNED_INT:
        return is_integer(text, 0, INT32_MAX) ? NULL : "a whole number from 0";
    case PRIMITIVE_STRING:
    case PRIMITIVE_MARKDOWN:
        if (text.len > STRING_BYTES_MAX) {
            return "at most 1 MB long";
        }
        return has_control(text) ? "text without control characters" : NULL;
    case PRIMITIVE_CODE:
        return is_code(text) ? NULL : "a code without blanks at its ends and without two blanks in a row";
    case PRIMITIVE_ID:
        return primitive_is_id(text) ? NULL : "an id of 1 to 64 letters, digits, '-' and '.'";
    case PRIMITIVE_URI:
    case PRIMITIVE_URL:
    case PRIMITIVE_CANONICAL:
        return has_blank(text) ? "a URI without white space" : NULL;
    case PRIMITIVE_OID:
        return is_oid(text) ? NULL : "an OID such as urn:oid:1.2.3";
    case PRIMITIVE_UUID:
        return is_uuid(text) ? NULL : "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
    case PRIMITIVE_DATE:
        return is_date(text) ? NULL : "a real date, YYYY, YYYY-MM or YYYY-MM-DD";
    case PRIMITIVE_DATETIME:
        return is_date_time(text, false) ? NULL
                                         : "a real date, or date and time with seconds and zone, such as "
                                           "2020-02-11T14:30:00+08:00";
    case PRIMITIVE_INSTANT:
        return is_date_time(text, true) ? NULL
                                        : "a date and time with seconds and zone, such as "
                                          "2020-02-11T14:30:00.123+08:00";
    case PRIMITIVE_TIME:
        return is_time(text) ? NULL : "a time, hh:mm:ss";
    case PRIMITIVE_BASE64:
        return is_base64(text) ? NULL : "base64";
    case PRIMITIVE_XHTML:
        return is_xhtml(text) ? NULL : "one XHTML <div> without scripts, forms or embedded content";
    }
    return NULL;
}
