#include "fhirpath/units.h"

#include <math.h>
#include <stdio.h>

#include "fhirpath/units_table.h"

enum { DIMENSIONS_COUNT = 7, NESTING_MAX = 12, EXPONENT_MAX = 60 };

/* numerator / denominator * 10^exponent, over base dimensions and at most one arbitrary unit. */
struct unit {
    struct decimal numerator;
    struct decimal denominator;
    int exponent;
    int8_t dimensions[DIMENSIONS_COUNT];
    size_t arbitrary; /* row number plus 1; 0 is none */
    int8_t arbitrary_power;
    enum unit_kind scale; /* UNIT_CELSIUS or UNIT_FAHRENHEIT while it stands alone; else UNIT_DERIVED */
};

struct reader {
    struct str text;
    size_t at;
    int nesting;
};

static bool read_term(struct reader *reader, struct unit *unit);
static bool parse_unit(struct str code, int nesting, struct unit *unit);

/* ---- calendar words ---- */

static const struct {
    const char *word;
    const char *plural;
    const char *ucum;
    int64_t ms; /* in calendar arithmetic (N1 6.6.7) */
} calendar[] = {
    { "year", "years", "a", 31536000000 }, { "month", "months", "mo", 2592000000 },
    { "week", "weeks", "wk", 604800000 },  { "day", "days", "d", 86400000 },
    { "hour", "hours", "h", 3600000 },     { "minute", "minutes", "min", 60000 },
    { "second", "seconds", "s", 1000 },    { "millisecond", "milliseconds", "ms", 1 },
};
enum { CALENDAR_COUNT = sizeof calendar / sizeof calendar[0], CALENDAR_YEAR = 0, CALENDAR_MONTH = 1 };

bool units_calendar_word(struct str word, struct str *unit)
{
    for (size_t i = 0; i < CALENDAR_COUNT; i++) {
        if (str_equal_cstr(word, calendar[i].word) || str_equal_cstr(word, calendar[i].plural)) {
            *unit = str_from_cstr(calendar[i].word);
            return true;
        }
    }
    return false;
}

bool units_calendar_of_ucum(struct str code, struct str *unit)
{
    for (size_t i = 0; i < CALENDAR_COUNT; i++) {
        if (str_equal_cstr(code, calendar[i].ucum)) {
            *unit = str_from_cstr(calendar[i].word);
            return true;
        }
    }
    return false;
}

struct str units_ucum_of_calendar(struct str unit)
{
    for (size_t i = 0; i < CALENDAR_COUNT; i++) {
        if (str_equal_cstr(unit, calendar[i].word)) {
            return str_from_cstr(calendar[i].ucum);
        }
    }
    return unit;
}

/* ---- algebra ---- */

static struct unit unit_one(void)
{
    return (struct unit){ .numerator = decimal_from_integer(1),
                          .denominator = decimal_from_integer(1),
                          .scale = UNIT_DERIVED };
}

/* A decimal as a whole mantissa, its power of ten in *exponent. */
static struct decimal take_exponent(struct decimal value, int *exponent)
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
    for (size_t i = 0; i < DIMENSIONS_COUNT; i++) {
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
    struct decimal number;
    if (!parse_unit(str_from_cstr(found->units), nesting + 1, unit) ||
        !decimal_parse(str_from_cstr(found->number), &number)) {
        return false;
    }
    unit->scale = found->kind;
    return multiply_into(&unit->numerator, take_exponent(number, &unit->exponent));
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
    struct decimal number;
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
    struct unit component;
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
    if (code.len == 0 || code.len > 128 || nesting > NESTING_MAX) {
        return false;
    }
    return read_term(&reader, unit) && reader.at == code.len;
}

static bool same_dimension(const struct unit *a, const struct unit *b)
{
    return memcmp(a->dimensions, b->dimensions, sizeof a->dimensions) == 0 && a->arbitrary == b->arbitrary &&
           a->arbitrary_power == b->arbitrary_power;
}

/* ---- values ---- */

/* The value on a scale that starts at absolute zero. */
static bool from_zero(struct decimal value, enum unit_kind scale, struct decimal *out)
{
    static const struct decimal celsius = { .low = 27315, .scale = 2 };
    static const struct decimal fahrenheit = { .low = 45967, .scale = 2 };
    if (scale == UNIT_CELSIUS || scale == UNIT_FAHRENHEIT) {
        return decimal_add(value, scale == UNIT_CELSIUS ? celsius : fahrenheit, out);
    }
    *out = value;
    return true;
}

static double to_double(struct decimal value, const struct unit *unit)
{
    return decimal_to_double(value) * decimal_to_double(unit->numerator) /
           decimal_to_double(unit->denominator) * pow(10, unit->exponent);
}

static bool scale_by_ten(struct decimal *value, int exponent)
{
    if (exponent > DECIMAL_DIGITS_MAX) {
        return false;
    }
    for (; exponent > 0; exponent--) {
        if (!decimal_multiply(*value, decimal_from_integer(10), value)) {
            return false;
        }
    }
    return true;
}

/* a * na/da * 10^ea against b * nb/db * 10^eb, crosswise so that nothing is divided. */
static bool compare_exactly(struct decimal a, const struct unit *unit_a, struct decimal b,
                            const struct unit *unit_b, int *order)
{
    int exponent = unit_a->exponent - unit_b->exponent;
    a = take_exponent(a, &exponent);
    int exponent_b = 0;
    b = take_exponent(b, &exponent_b);
    exponent -= exponent_b;
    if (!multiply_into(&a, unit_a->numerator) || !multiply_into(&a, unit_b->denominator) ||
        !multiply_into(&b, unit_b->numerator) || !multiply_into(&b, unit_a->denominator) ||
        !scale_by_ten(&a, exponent) || !scale_by_ten(&b, -exponent)) {
        return false;
    }
    *order = decimal_compare(a, b);
    return true;
}

static int compare_in_units(struct decimal a, const struct unit *unit_a, struct decimal b,
                            const struct unit *unit_b)
{
    int order = 0;
    struct decimal left = a;
    struct decimal right = b;
    if (from_zero(a, unit_a->scale, &left) && from_zero(b, unit_b->scale, &right) &&
        compare_exactly(left, unit_a, right, unit_b, &order)) {
        return order;
    }
    double difference = to_double(left, unit_a) - to_double(right, unit_b);
    double size = fabs(to_double(left, unit_a)) + fabs(to_double(right, unit_b));
    return fabs(difference) <= size * 1e-15 ? 0 : (difference < 0 ? -1 : 1);
}

static size_t calendar_index(struct str unit)
{
    size_t i = 0;
    while (i < CALENDAR_COUNT && !str_equal_cstr(unit, calendar[i].word)) {
        i++;
    }
    return i;
}

/* Two calendar durations: years and months by twelve, else by their length in calendar arithmetic. */
static bool calendar_ratio(struct str a, struct str b, int64_t *factor_a, int64_t *factor_b)
{
    size_t index_a = calendar_index(a);
    size_t index_b = calendar_index(b);
    if (index_a >= CALENDAR_COUNT || index_b >= CALENDAR_COUNT) {
        return false;
    }
    if (index_a <= CALENDAR_MONTH && index_b <= CALENDAR_MONTH) {
        *factor_a = index_a == CALENDAR_YEAR ? 12 : 1;
        *factor_b = index_b == CALENDAR_YEAR ? 12 : 1;
    } else {
        *factor_a = calendar[index_a].ms;
        *factor_b = calendar[index_b].ms;
    }
    return true;
}

/* Both units as UCUM; false when one is not known or, strictly, a calendar year or month stands beside UCUM. */
static bool both_units(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b, bool strictly,
                       struct unit *unit_a, struct unit *unit_b)
{
    if (strictly && a->calendar != b->calendar &&
        calendar_index(a->calendar ? a->unit : b->unit) <= CALENDAR_MONTH) {
        return false;
    }
    struct str code_a = a->calendar ? units_ucum_of_calendar(a->unit) : a->unit;
    struct str code_b = b->calendar ? units_ucum_of_calendar(b->unit) : b->unit;
    return parse_unit(code_a, 0, unit_a) && parse_unit(code_b, 0, unit_b) && same_dimension(unit_a, unit_b);
}

enum units_answer units_compare(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b,
                                int *order)
{
    if (a->calendar == b->calendar && str_equal(a->unit, b->unit)) {
        *order = decimal_compare(a->value, b->value);
        return UNITS_KNOWN;
    }
    struct unit unit_a = unit_one();
    struct unit unit_b = unit_one();
    int64_t factor_a = 1;
    int64_t factor_b = 1;
    if (a->calendar && b->calendar && calendar_ratio(a->unit, b->unit, &factor_a, &factor_b)) {
        unit_a.numerator = decimal_from_integer(factor_a);
        unit_b.numerator = decimal_from_integer(factor_b);
    } else if (!both_units(a, b, true, &unit_a, &unit_b)) {
        return UNITS_UNCERTAIN;
    }
    *order = compare_in_units(a->value, &unit_a, b->value, &unit_b);
    return UNITS_KNOWN;
}

/* value of one unit expressed in another. */
static bool convert(struct decimal value, const struct unit *from, const struct unit *to, struct decimal *out)
{
    struct decimal result = value;
    int exponent = from->exponent - to->exponent;
    struct decimal divisor = to->numerator;
    if (!from_zero(value, from->scale, &result) || !multiply_into(&result, from->numerator) ||
        !multiply_into(&result, to->denominator) || !multiply_into(&divisor, from->denominator)) {
        return false;
    }
    if (exponent > 0 ? !scale_by_ten(&result, exponent) : !scale_by_ten(&divisor, -exponent)) {
        return false;
    }
    struct decimal zero = { 0 };
    if (!decimal_divide(result, divisor, &result) || !from_zero(decimal_from_integer(0), to->scale, &zero) ||
        !decimal_subtract(result, zero, &result)) {
        return false;
    }
    *out = result;
    return true;
}

/* How many digits after the point `value` has; below zero for 1200 in steps of 100 it is still 0. */
static bool round_like(struct decimal value, int scale, struct decimal *out)
{
    return decimal_rescale(value, scale < 0 ? 0 : scale, DECIMAL_HALF_UP, out);
}

bool units_equivalent(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b)
{
    struct unit unit_a = unit_one();
    struct unit unit_b = unit_one();
    bool same = str_equal(a->unit, b->unit) && a->calendar == b->calendar;
    if (!same && !both_units(a, b, false, &unit_a, &unit_b)) {
        return false;
    }
    /* The less precise one says what is compared: the one whose last digit is worth more. */
    struct decimal step_a = { .low = 1, .scale = decimal_strip(a->value).scale };
    struct decimal step_b = { .low = 1, .scale = decimal_strip(b->value).scale };
    struct unit plain_a = unit_a;
    struct unit plain_b = unit_b;
    plain_a.scale = UNIT_DERIVED;
    plain_b.scale = UNIT_DERIVED;
    bool a_is_coarse = compare_in_units(step_a, &plain_a, step_b, &plain_b) >= 0;
    struct decimal coarse = decimal_strip(a_is_coarse ? a->value : b->value);
    struct decimal fine = a_is_coarse ? b->value : a->value;
    struct decimal moved = fine;
    if (!same && !convert(fine, a_is_coarse ? &unit_b : &unit_a, a_is_coarse ? &unit_a : &unit_b, &moved)) {
        return false;
    }
    return round_like(moved, coarse.scale, &moved) && decimal_compare(moved, coarse) == 0;
}

bool units_comparable(struct str a, struct str b)
{
    struct unit unit_a;
    struct unit unit_b;
    struct str code_a = units_ucum_of_calendar(a);
    struct str code_b = units_ucum_of_calendar(b);
    return str_equal(a, b) || (parse_unit(code_a, 0, &unit_a) && parse_unit(code_b, 0, &unit_b) &&
                               same_dimension(&unit_a, &unit_b));
}

bool units_convert(const struct fhirpath_quantity *quantity, struct str unit, struct decimal *value)
{
    struct unit from = unit_one();
    struct unit to = unit_one();
    struct str word = STR_NONE;
    struct fhirpath_quantity target = { .unit = unit };
    target.calendar = units_calendar_word(unit, &word);
    target.unit = target.calendar ? word : unit;
    if (str_equal(quantity->unit, target.unit)) {
        *value = quantity->value;
        return true;
    }
    int64_t factor_from = 1;
    int64_t factor_to = 1;
    if (quantity->calendar && target.calendar &&
        calendar_ratio(quantity->unit, target.unit, &factor_from, &factor_to)) {
        from.numerator = decimal_from_integer(factor_from);
        to.numerator = decimal_from_integer(factor_to);
    } else if (!both_units(quantity, &target, true, &from, &to)) {
        return false;
    }
    return convert(quantity->value, &from, &to, value);
}

bool units_add(const struct fhirpath_quantity *a, const struct fhirpath_quantity *b, bool subtract,
               struct fhirpath_quantity *sum)
{
    struct fhirpath_quantity left = *a;
    struct fhirpath_quantity right = *b;
    struct decimal one = decimal_from_integer(1);
    struct fhirpath_quantity unit_a = { .value = one, .unit = a->unit, .calendar = a->calendar };
    struct fhirpath_quantity unit_b = { .value = one, .unit = b->unit, .calendar = b->calendar };
    int order = 0;
    if (units_compare(&unit_a, &unit_b, &order) != UNITS_KNOWN) {
        return false;
    }
    /* N1 6.6.1: in the more granular unit of the two. */
    bool ok = true;
    if (order > 0) {
        ok = units_convert(a, b->unit, &left.value);
        left.unit = b->unit;
        left.calendar = b->calendar;
    } else if (order < 0) {
        ok = units_convert(b, a->unit, &right.value);
    }
    *sum = left;
    return ok && (subtract ? decimal_subtract(left.value, right.value, &sum->value)
                           : decimal_add(left.value, right.value, &sum->value));
}

static struct str product_unit(struct arena *arena, struct str a, struct str b, bool divide)
{
    bool is_one_a = str_equal(a, STR("1"));
    bool is_one_b = str_equal(b, STR("1"));
    if (is_one_b) {
        return a;
    }
    if (is_one_a && !divide) {
        return b;
    }
    bool compound = str_find_char(b, '.') < b.len || str_find_char(b, '/') < b.len;
    return arena_printf(arena, "%.*s%s%s%.*s%s", STR_FMT(is_one_a ? STR("") : a), divide ? "/" : ".",
                        compound ? "(" : "", STR_FMT(b), compound ? ")" : "");
}

bool units_multiply(struct arena *arena, const struct fhirpath_quantity *a, const struct fhirpath_quantity *b,
                    bool divide, struct fhirpath_quantity *product)
{
    struct decimal value = a->value;
    bool ok =
        divide ? decimal_divide(a->value, b->value, &value) : decimal_multiply(a->value, b->value, &value);
    bool b_is_number = !b->calendar && str_equal(b->unit, STR("1"));
    bool a_is_number = !a->calendar && str_equal(a->unit, STR("1"));
    if (!ok) {
        return false;
    }
    if (b_is_number || (a_is_number && !divide)) {
        *product = b_is_number ? *a : *b;
        product->value = value;
        return true;
    }
    struct fhirpath_quantity right = *b;
    struct str unit_a = a->calendar ? units_ucum_of_calendar(a->unit) : a->unit;
    struct str unit_b = b->calendar ? units_ucum_of_calendar(b->unit) : b->unit;
    if (divide && units_comparable(a->unit, b->unit)) {
        /* The same dimension above and below: a plain number. */
        if (!units_convert(&right, a->unit, &right.value) || !decimal_divide(a->value, right.value, &value)) {
            return false;
        }
        *product = (struct fhirpath_quantity){ .value = value, .unit = STR("1") };
        return true;
    }
    *product =
        (struct fhirpath_quantity){ .value = value, .unit = product_unit(arena, unit_a, unit_b, divide) };
    struct unit check;
    return product->unit.at != NULL && parse_unit(product->unit, 0, &check);
}

bool units_canonical(struct arena *arena, struct decimal value, struct str code, double *canonical,
                     struct str *dimension)
{
    static const char *const names[DIMENSIONS_COUNT] = { "m", "s", "g", "rad", "K", "C", "cd" };
    struct unit unit;
    struct decimal moved = value;
    if (!parse_unit(code, 0, &unit) || !from_zero(value, unit.scale, &moved)) {
        return false;
    }
    struct str text = STR("");
    for (size_t i = 0; i < DIMENSIONS_COUNT; i++) {
        if (unit.dimensions[i] != 0) {
            text = arena_printf(arena, "%.*s%s%s%d", STR_FMT(text), text.len > 0 ? "." : "", names[i],
                                unit.dimensions[i]);
        }
    }
    if (unit.arbitrary != 0) {
        text = arena_printf(arena, "%.*s%s%s%d", STR_FMT(text), text.len > 0 ? "." : "",
                            unit_rows[unit.arbitrary - 1].code, unit.arbitrary_power);
    }
    if (text.at == NULL) {
        return false;
    }
    *canonical = to_double(moved, &unit);
    *dimension = text.len == 0 ? STR("1") : text;
    return true;
}
