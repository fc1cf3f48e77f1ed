#include "fhirpath/units.h"

#include <math.h>
#include <stdio.h>

#include "fhirpath/unit.h"

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

static bool same_dimension(const struct unit *a, const struct unit *b)
{
    return memcmp(a->dimensions, b->dimensions, sizeof a->dimensions) == 0 && a->arbitrary == b->arbitrary &&
           a->arbitrary_power == b->arbitrary_power;
}

/* ---- values ---- */

static bool multiply_into(struct decimal *target, struct decimal factor)
{
    return decimal_multiply(*target, factor, target);
}

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
    a = unit_take_exponent(a, &exponent);
    int exponent_b = 0;
    b = unit_take_exponent(b, &exponent_b);
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
    return unit_parse(code_a, unit_a) && unit_parse(code_b, unit_b) && same_dimension(unit_a, unit_b);
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
    struct unit unit_a = { 0 };
    struct unit unit_b = { 0 };
    struct str code_a = units_ucum_of_calendar(a);
    struct str code_b = units_ucum_of_calendar(b);
    return str_equal(a, b) ||
           (unit_parse(code_a, &unit_a) && unit_parse(code_b, &unit_b) && same_dimension(&unit_a, &unit_b));
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

/* One symbol: "m", "mm[Hg]"; no "m2", no "m/s". */
static bool is_symbol(struct str unit)
{
    bool is = unit.len > 0;
    for (size_t i = 0; i < unit.len && is; i++) {
        char c = unit.at[i];
        is = c != '.' && c != '/' && c != '(' && c != '{' && c != '*' && c != '-' && c != '+' &&
             !(c >= '0' && c <= '9');
    }
    return is;
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
    if (!divide && str_equal(a, b) && is_symbol(a)) {
        return arena_printf(arena, "%.*s2", STR_FMT(a)); /* m times m is m2 */
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
    struct unit check = { 0 };
    return product->unit.at != NULL && unit_parse(product->unit, &check);
}

bool units_canonical(struct arena *arena, struct decimal value, struct str code, double *canonical,
                     struct str *dimension)
{
    static const char *const names[UNIT_DIMENSIONS_COUNT] = { "m", "s", "g", "rad", "K", "C", "cd" };
    struct unit unit = { 0 };
    struct decimal moved = value;
    if (!unit_parse(code, &unit) || !from_zero(value, unit.scale, &moved)) {
        return false;
    }
    struct str text = STR("");
    for (size_t i = 0; i < UNIT_DIMENSIONS_COUNT; i++) {
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
