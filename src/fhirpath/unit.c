/* Reading of UCUM codes (UCUM section 2.1). */
#include "fhirpath/unit.h"

enum { NESTING_MAX = 12, EXPONENT_MAX = 60, CODE_BYTES_MAX = 128 };

struct reader {
    struct str text;
    size_t at;
    int nesting;
};

static bool read_term(struct reader *reader, struct unit *unit);
static bool parse_unit(struct str code, int nesting, struct unit *unit);

struct unit unit_one(void)
{
    return (struct unit){ .numerator = decimal_from_integer(1),
                          .denominator = decimal_from_integer(1),
                          .scale = UNIT_DERIVED };
}

/* A decimal as a whole mantissa, its power of ten in *exponent. */
struct decimal unit_take_exponent(struct decimal value, int *exponent)
{
    value = decimal_strip(value);
    *exponent -= value.scale;
    value.scale = 0;
    return value;
}

static bool multiply_into(struct decimal *target, struct decimal factor)
{
    return decimal_multiply(*target, factor, target);
}

/* unit *= other ^ sign */
static bool unit_multiply(struct unit *unit, const struct unit *other, int sign)
{
    bool ok = multiply_into(sign > 0 ? &unit->numerator : &unit->denominator, other->numerator) &&
              multiply_into(sign > 0 ? &unit->denominator : &unit->numerator, other->denominator);
    unit->exponent += sign * other->exponent;
    for (size_t i = 0; i < UNIT_DIMENSIONS_COUNT; i++) {
        unit->dimensions[i] = (int8_t)(unit->dimensions[i] + sign * other->dimensions[i]);
    }
    if (other->arbitrary != 0) {
        if (unit->arbitrary != 0 && unit->arbitrary != other->arbitrary) {
            return false;
        }
        unit->arbitrary = other->arbitrary;
        unit->arbitrary_power = (int8_t)(unit->arbitrary_power + sign * other->arbitrary_power);
        unit->arbitrary = unit->arbitrary_power == 0 ? 0 : unit->arbitrary;
    }
    unit->scale = UNIT_DERIVED;
    return ok && unit->exponent < 400 && unit->exponent > -400;
}

/* ---- reading (UCUM section 2.1) ---- */

static bool unit_of_row(size_t row, int nesting, struct unit *unit)
{
    const struct unit_row *found = &unit_rows[row];
    *unit = unit_one();
    if (found->kind == UNIT_BASE) {
        unit->dimensions[found->units[0] - '0'] = 1;
        return true;
    }
    if (found->kind == UNIT_ARBITRARY) {
        unit->arbitrary = row + 1;
        unit->arbitrary_power = 1;
        return true;
    }
    struct decimal number = { 0 };
    if (!parse_unit(str_from_cstr(found->units), nesting + 1, unit) ||
        !decimal_parse(str_from_cstr(found->number), &number)) {
        return false;
    }
    unit->scale = found->kind;
    return multiply_into(&unit->numerator, unit_take_exponent(number, &unit->exponent));
}

static bool find_row(struct str code, size_t *row)
{
    for (size_t i = 0; i < unit_rows_count; i++) {
        if (str_equal_cstr(code, unit_rows[i].code)) {
            *row = i;
            return true;
        }
    }
    return false;
}

/* A unit, or a prefix before one that takes prefixes. */
static bool unit_of_symbol(struct str code, int nesting, struct unit *unit)
{
    size_t row = 0;
    if (find_row(code, &row)) {
        return unit_of_row(row, nesting, unit);
    }
    for (size_t i = 0; i < unit_prefixes_count; i++) {
        struct str prefix = str_from_cstr(unit_prefixes[i].code);
        if (str_starts_with(code, prefix) && find_row(str_skip(code, prefix.len), &row) &&
            unit_rows[row].metric) {
            if (!unit_of_row(row, nesting, unit)) {
                return false;
            }
            unit->scale = UNIT_DERIVED;
            unit->exponent += unit_prefixes[i].exponent;
            return true;
        }
    }
    return false;
}

static char peek(const struct reader *reader)
{
    return reader->at < reader->text.len ? reader->text.at[reader->at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* (+|-)? digits; *value stays when there are none. */
static bool read_exponent(struct reader *reader, int *value)
{
    size_t start = reader->at;
    bool negative = peek(reader) == '-';
    if (peek(reader) == '-' || peek(reader) == '+') {
        reader->at++;
    }
    int read = 0;
    bool any = false;
    for (; is_digit(peek(reader)); reader->at++) {
        read = read * 10 + (peek(reader) - '0');
        any = true;
        if (read > EXPONENT_MAX) {
            return false;
        }
    }
    if (!any) {
        reader->at = start;
        return true;
    }
    *value = negative ? -read : read;
    return true;
}

/* {annotation} means nothing. */
static bool skip_annotation(struct reader *reader)
{
    if (peek(reader) != '{') {
        return true;
    }
    size_t end = str_find_char(str_skip(reader->text, reader->at), '}');
    reader->at += end + 1;
    return reader->at <= reader->text.len;
}

/* The letters of a unit; brackets may hold anything. 10* and 10^ begin with digits. */
static struct str read_symbol(struct reader *reader)
{
    struct str rest = str_skip(reader->text, reader->at);
    size_t start = reader->at;
    if (str_starts_with(rest, STR("10*")) || str_starts_with(rest, STR("10^"))) {
        reader->at += 3;
        return str_slice(reader->text, start, reader->at);
    }
    while (reader->at < reader->text.len) {
        char c = peek(reader);
        if (c == '[') {
            reader->at += str_find_char(str_skip(reader->text, reader->at), ']');
            reader->at += reader->at < reader->text.len ? 1 : 0;
            continue;
        }
        bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%' || c == '\'' || c == '_' ||
                    c == '"' || c == '^' || c == '*';
        if (!part) {
            break;
        }
        reader->at++;
    }
    return str_slice(reader->text, start, reader->at);
}

static bool read_number(struct reader *reader, struct unit *unit)
{
    size_t start = reader->at;
    while (is_digit(peek(reader))) {
        reader->at++;
    }
    struct decimal number = { 0 };
    *unit = unit_one();
    return decimal_parse(str_slice(reader->text, start, reader->at), &number) && !decimal_is_zero(number) &&
           multiply_into(&unit->numerator, number);
}

static bool raise(struct unit *unit, int power)
{
    struct unit base = *unit;
    if (power == 1) {
        return true;
    }
    *unit = unit_one();
    for (int i = 0; i < (power < 0 ? -power : power); i++) {
        if (!unit_multiply(unit, &base, power < 0 ? -1 : 1)) {
            return false;
        }
    }
    return true;
}

static bool read_component(struct reader *reader, struct unit *unit)
{
    *unit = unit_one();
    struct str rest = str_skip(reader->text, reader->at);
    if (peek(reader) == '{') {
        return skip_annotation(reader);
    }
    if (peek(reader) == '(') {
        reader->at++;
        if (++reader->nesting > NESTING_MAX || !read_term(reader, unit) || peek(reader) != ')') {
            return false;
        }
        reader->at++;
        return skip_annotation(reader);
    }
    bool is_ten = str_starts_with(rest, STR("10*")) || str_starts_with(rest, STR("10^"));
    if (is_digit(peek(reader)) && !is_ten) {
        return read_number(reader, unit) && skip_annotation(reader);
    }
    struct str symbol = read_symbol(reader);
    int power = 1;
    return symbol.len > 0 && unit_of_symbol(symbol, reader->nesting, unit) && read_exponent(reader, &power) &&
           raise(unit, power) && skip_annotation(reader);
}

static bool read_term(struct reader *reader, struct unit *unit)
{
    int sign = 1;
    struct unit component = { 0 };
    if (peek(reader) == '/') {
        reader->at++;
        sign = -1;
        *unit = unit_one();
        if (!read_component(reader, &component) || !unit_multiply(unit, &component, sign)) {
            return false;
        }
    } else if (!read_component(reader, unit)) {
        return false;
    }
    while (peek(reader) == '.' || peek(reader) == '/') {
        sign = peek(reader) == '/' ? -1 : 1;
        reader->at++;
        if (!read_component(reader, &component) || !unit_multiply(unit, &component, sign)) {
            return false;
        }
    }
    return true;
}

static bool parse_unit(struct str code, int nesting, struct unit *unit)
{
    struct reader reader = { .text = code, .nesting = nesting };
    if (code.len == 0 || code.len > CODE_BYTES_MAX || nesting > NESTING_MAX) {
        return false;
    }
    return read_term(&reader, unit) && reader.at == code.len;
}

bool unit_parse(struct str code, struct unit *unit)
{
    return parse_unit(code, 0, unit);
}
