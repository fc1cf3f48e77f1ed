/* What a value written with so many digits may stand for: lowBoundary, highBoundary, precision,
 * comparable (FHIRPath trial use, as the R4 cases have them). */
#include "fhirpath/datetime.h"
#include "fhirpath/functions.h"
#include "fhirpath/units.h"

enum {
    DEFAULT_DECIMAL_DIGITS = 8,
    DEFAULT_DATE_DIGITS = 8,
    DEFAULT_DATETIME_DIGITS = 17,
    DEFAULT_TIME_DIGITS = 9,
    DIGITS_MAX = DECIMAL_SCALE_MAX,
};

/* Digits written down to each precision. */
static const uint8_t datetime_digits[] = { 4, 6, 8, 10, 12, 14, 17 };
static const uint8_t time_digits[] = { 0, 0, 0, 2, 4, 6, 9 };

/* Away from zero by half a unit of the last digit (or towards it), then to the digits asked for: the
 * nearer boundary is cut, the farther one rounded, as the R4 cases have it. */
static bool decimal_boundary(struct decimal value, bool high, int digits, struct decimal *boundary)
{
    struct decimal half = decimal_from_integer(5);
    if (value.scale >= DECIMAL_SCALE_MAX) {
        return false;
    }
    half.scale = (int16_t)(value.scale + 1);
    bool negative = value.negative;
    bool outward = high != negative;
    value.negative = false;
    struct decimal moved = { 0 };
    bool ok = outward ? decimal_add(value, half, &moved) : decimal_subtract(value, half, &moved);
    if (!ok || !decimal_rescale(moved, digits, outward ? DECIMAL_HALF_UP : DECIMAL_DOWN, &moved)) {
        return false;
    }
    *boundary = negative ? decimal_negate(moved) : moved;
    return true;
}

static bool precision_of_digits(const uint8_t table[7], int64_t digits, uint8_t *precision)
{
    for (uint8_t i = FHIRPATH_YEAR; i <= FHIRPATH_FRACTION; i++) {
        if (table[i] == digits && digits > 0) {
            *precision = i;
            return true;
        }
    }
    return false;
}

/* Fills the parts that are not known with their least or greatest value. */
static void fill(struct fhirpath_time *time, bool high)
{
    uint8_t known = time->precision;
    if (known < FHIRPATH_MONTH) {
        time->month = high ? 12 : 1;
    }
    if (known < FHIRPATH_DAY) {
        time->day = high ? (uint8_t)datetime_days_in_month(time->year, time->month) : 1;
    }
    if (known < FHIRPATH_HOUR) {
        time->hour = high ? 23 : 0;
    }
    if (known < FHIRPATH_MINUTE) {
        /* R4 has no time without minutes: the cases read T08 as T08:00. */
        time->minute = high && known != FHIRPATH_HOUR ? 59 : 0;
    }
    if (known < FHIRPATH_SECOND) {
        time->second = high ? 59 : 0;
    }
    if (known < FHIRPATH_FRACTION) {
        time->nanosecond = high ? 999000000 : 0;
        time->fraction_digits = 3;
    }
}

static bool time_boundary(const struct fhirpath_item *input, bool high, int64_t digits,
                          struct fhirpath_item *boundary)
{
    bool is_time = input->kind == FHIRPATH_TIME;
    uint8_t precision = 0;
    if (!precision_of_digits(is_time ? time_digits : datetime_digits, digits, &precision) ||
        (input->kind == FHIRPATH_DATE && precision > FHIRPATH_DAY)) {
        return false;
    }
    *boundary = *input;
    fill(&boundary->time, high);
    boundary->time.precision = precision;
    if (precision == FHIRPATH_FRACTION && boundary->time.fraction_digits < 3) {
        boundary->time.fraction_digits = 3;
    }
    if (precision >= FHIRPATH_HOUR && !is_time && !boundary->time.has_zone) {
        /* The first and the last zone of the earth. */
        boundary->time.has_zone = true;
        boundary->time.offset_minutes = high ? -12 * 60 : 14 * 60;
    }
    return true;
}

static int64_t default_digits(const struct fhirpath_item *input)
{
    switch (input->kind) {
    case FHIRPATH_DATE:
        return DEFAULT_DATE_DIGITS;
    case FHIRPATH_DATETIME:
        return DEFAULT_DATETIME_DIGITS;
    case FHIRPATH_TIME:
        return DEFAULT_TIME_DIGITS;
    default:
        return DEFAULT_DECIMAL_DIGITS;
    }
}

static bool add_boundary(struct call *call, const struct fhirpath_item *input, bool high, int64_t digits,
                         struct error *error)
{
    struct fhirpath_item moment = { 0 };
    struct decimal number = { 0 };
    switch (input->kind) {
    case FHIRPATH_DATE:
    case FHIRPATH_DATETIME:
    case FHIRPATH_TIME:
        return !time_boundary(input, high, digits, &moment) || list_add(call->run, call->out, &moment, error);
    case FHIRPATH_INTEGER:
    case FHIRPATH_DECIMAL:
        number = input->kind == FHIRPATH_DECIMAL ? input->decimal : decimal_from_integer(input->integer);
        return !decimal_boundary(number, high, (int)digits, &number) ||
               list_add_decimal(call->run, call->out, number, error);
    case FHIRPATH_QUANTITY:
        if (!decimal_boundary(input->quantity->value, high, (int)digits, &number)) {
            return true;
        }
        return list_add_quantity(call->run, call->out,
                                 (struct fhirpath_quantity){ .value = number,
                                                             .unit = input->quantity->unit,
                                                             .calendar = input->quantity->calendar },
                                 error);
    default:
        return call_fail(call, "a number, a date or a time is needed", error);
    }
}

static bool boundary(struct call *call, bool high, struct error *error)
{
    struct fhirpath_item input = { 0 };
    int64_t digits = 0;
    bool given = false;
    bool digits_given = false;
    if (!call_input(call, &input, &given, error) || !call_integer(call, 0, &digits, &digits_given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    digits = digits_given ? digits : default_digits(&input);
    if (digits < 0 || digits > DIGITS_MAX) {
        return true;
    }
    return add_boundary(call, &input, high, digits, error);
}

bool function_low_boundary(struct call *call, struct error *error)
{
    return boundary(call, false, error);
}

bool function_high_boundary(struct call *call, struct error *error)
{
    return boundary(call, true, error);
}

bool function_precision(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    bool given = false;
    if (!call_input(call, &input, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    switch (input.kind) {
    case FHIRPATH_INTEGER:
        return list_add_integer(call->run, call->out, 0, error);
    case FHIRPATH_DECIMAL:
        return list_add_integer(call->run, call->out, input.decimal.scale, error);
    case FHIRPATH_DATE:
    case FHIRPATH_DATETIME:
        return list_add_integer(call->run, call->out, datetime_digits[input.time.precision], error);
    case FHIRPATH_TIME:
        return list_add_integer(call->run, call->out, time_digits[input.time.precision], error);
    case FHIRPATH_QUANTITY:
        return list_add_integer(call->run, call->out, input.quantity->value.scale, error);
    default:
        return call_fail(call, "a number, a date or a time is needed", error);
    }
}

bool function_comparable(struct call *call, struct error *error)
{
    struct fhirpath_item a = { 0 };
    struct list other = { 0 };
    bool given = false;
    if (!call_input(call, &a, &given, error) || !call_argument(call, 0, &other, error)) {
        return false;
    }
    if (!given || other.count == 0) {
        return true;
    }
    struct fhirpath_item b = run_value(call->run, &other.items[0]);
    if (other.count > 1 || a.kind != FHIRPATH_QUANTITY || b.kind != FHIRPATH_QUANTITY) {
        return call_fail(call, "two quantities are needed", error);
    }
    return list_add_boolean(call->run, call->out, units_comparable(a.quantity->unit, b.quantity->unit),
                            error);
}
