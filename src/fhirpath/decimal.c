#include "fhirpath/decimal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 u128;

/* A product or a scaled coefficient before it is cut to 38 digits: below 2^256. */
struct wide {
    u128 high;
    u128 low;
};

static u128 coefficient(struct decimal value)
{
    return (u128)value.high << 64 | value.low;
}

static struct decimal make(u128 digits, int scale, bool negative)
{
    assert(scale >= 0);
    assert(scale <= DECIMAL_SCALE_MAX);
    return (struct decimal){ .high = (uint64_t)(digits >> 64),
                             .low = (uint64_t)digits,
                             .scale = (int16_t)scale,
                             .negative = negative && digits != 0 };
}

static u128 power_of_ten(int exponent)
{
    assert(exponent >= 0);
    assert(exponent <= DECIMAL_DIGITS_MAX);
    u128 power = 1;
    for (int i = 0; i < exponent; i++) {
        power *= 10;
    }
    return power;
}

static struct wide wide_multiply(u128 a, u128 b)
{
    const u128 mask = UINT64_MAX;
    u128 low = (a & mask) * (b & mask);
    u128 middle_1 = (a >> 64) * (b & mask);
    u128 middle_2 = (a & mask) * (b >> 64);
    u128 carry = ((low >> 64) + (middle_1 & mask) + (middle_2 & mask)) >> 64;
    struct wide product = { .low = low + (middle_1 << 64) + (middle_2 << 64) };
    product.high = (a >> 64) * (b >> 64) + (middle_1 >> 64) + (middle_2 >> 64) + carry;
    return product;
}

static int wide_compare(struct wide a, struct wide b)
{
    if (a.high != b.high) {
        return a.high < b.high ? -1 : 1;
    }
    return a.low == b.low ? 0 : (a.low < b.low ? -1 : 1);
}

static struct wide wide_add(struct wide a, struct wide b)
{
    struct wide sum = { .low = a.low + b.low };
    sum.high = a.high + b.high + (sum.low < a.low ? 1 : 0);
    return sum;
}

static struct wide wide_subtract(struct wide a, struct wide b)
{
    struct wide difference = { .low = a.low - b.low };
    difference.high = a.high - b.high - (a.low < b.low ? 1 : 0);
    return difference;
}

/* Binary long division; the divisor is below 2^127, so the remainder never overflows when doubled. */
static struct wide wide_divide(struct wide a, u128 divisor, u128 *remainder)
{
    assert(divisor != 0);
    assert(divisor >> 127 == 0);
    if (a.high == 0) {
        *remainder = a.low % divisor;
        return (struct wide){ .low = a.low / divisor };
    }
    struct wide quotient = { 0 };
    u128 rest = 0;
    for (int bit = 255; bit >= 0; bit--) {
        u128 next = bit >= 128 ? a.high >> (bit - 128) & 1 : a.low >> bit & 1;
        rest = rest << 1 | next;
        if (rest >= divisor) {
            rest -= divisor;
            if (bit >= 128) {
                quotient.high |= (u128)1 << (bit - 128);
            } else {
                quotient.low |= (u128)1 << bit;
            }
        }
    }
    *remainder = rest;
    return quotient;
}

static int digits_count(struct wide value)
{
    int count = 0;
    u128 rest = 0;
    const u128 limit = power_of_ten(DECIMAL_DIGITS_MAX);
    while (value.high != 0 || value.low >= limit) {
        value = wide_divide(value, 10, &rest);
        count++;
    }
    for (u128 low = value.low; low != 0; low /= 10) {
        count++;
    }
    return count;
}

/* Drops `drop` digits from the end, rounding half away from zero. */
static struct wide wide_round(struct wide value, int drop)
{
    u128 rest = 0;
    for (; drop > 1; drop--) {
        value = wide_divide(value, 10, &rest);
    }
    if (drop == 1) {
        value = wide_divide(value, 10, &rest);
        if (rest >= 5) {
            value = wide_add(value, (struct wide){ .low = 1 });
        }
    }
    return value;
}

/* Cuts to 38 digits and the largest scale; false when the whole part does not fit. */
static bool fit(struct wide value, int scale, bool negative, struct decimal *out)
{
    int drop = scale > DECIMAL_SCALE_MAX ? scale - DECIMAL_SCALE_MAX : 0;
    if (value.high != 0 || value.low >= power_of_ten(DECIMAL_DIGITS_MAX)) {
        int over = digits_count(value) - DECIMAL_DIGITS_MAX;
        drop = over > drop ? over : drop;
    }
    value = wide_round(value, drop);
    scale -= drop;
    if (value.high == 0 && value.low == power_of_ten(DECIMAL_DIGITS_MAX) && scale > 0) {
        value.low /= 10; /* rounding up made one digit more, a zero at the end */
        scale--;
    }
    if (scale < 0 && digits_count(value) - scale <= DECIMAL_DIGITS_MAX) {
        value.low *= power_of_ten(-scale);
        scale = 0;
    }
    if (scale < 0 || value.high != 0 || value.low >= power_of_ten(DECIMAL_DIGITS_MAX)) {
        return false;
    }
    *out = make(value.low, scale, negative);
    return true;
}

static bool parse_exponent(struct str text, int *exponent)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        text = str_skip(text, 1);
    }
    if (text.len == 0 || text.len > 4) {
        return false;
    }
    int value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        value = value * 10 + (text.at[i] - '0');
    }
    *exponent = negative ? -value : value;
    return true;
}

/* Reads digits and a point: the coefficient as far as 38 digits go, and how many digits stood after the
 * point. Digits beyond are cut after rounding by the first of them. */
static bool parse_digits(struct str text, u128 *digits, int *scale)
{
    bool point = false;
    bool any = false;
    bool cutting = false;
    *digits = 0;
    *scale = 0;
    const u128 limit = power_of_ten(DECIMAL_DIGITS_MAX - 1);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '.' && !point && any && i + 1 < text.len) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9') {
            return false;
        }
        any = true;
        if (*digits >= limit || cutting) {
            if (!point) {
                return false;
            }
            if (!cutting && c >= '5' && *digits < limit * 10 - 1) {
                *digits += 1;
            }
            cutting = true;
            continue;
        }
        *digits = *digits * 10 + (unsigned)(c - '0');
        *scale += point ? 1 : 0;
    }
    return any;
}

bool decimal_parse(struct str text, struct decimal *value)
{
    bool negative = text.len > 0 && text.at[0] == '-';
    if (text.len > 0 && (text.at[0] == '-' || text.at[0] == '+')) {
        text = str_skip(text, 1);
    }
    int exponent = 0;
    size_t e = 0;
    while (e < text.len && text.at[e] != 'e' && text.at[e] != 'E') {
        e++;
    }
    if (e < text.len && !parse_exponent(str_skip(text, e + 1), &exponent)) {
        return false;
    }
    u128 digits = 0;
    int scale = 0;
    if (!parse_digits(str_slice(text, 0, e), &digits, &scale)) {
        return false;
    }
    if (digits == 0 && exponent > 0) {
        exponent = 0;
    }
    return fit((struct wide){ .low = digits }, scale - exponent, negative, value);
}

struct decimal decimal_from_integer(int64_t value)
{
    uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    return make(magnitude, 0, value < 0);
}

bool decimal_from_double(double number, struct decimal *value)
{
    if (!isfinite(number) || fabs(number) >= 1e28) {
        return false;
    }
    char text[64];
    int length = snprintf(text, sizeof text, "%.15g", number);
    assert(length > 0);
    struct decimal read = { 0 };
    if (!decimal_parse((struct str){ text, (size_t)length }, &read)) {
        return false;
    }
    *value = decimal_strip(read);
    return true;
}

size_t decimal_format(struct decimal value, char out[DECIMAL_TEXT_BYTES])
{
    char reversed[DECIMAL_TEXT_BYTES];
    size_t count = 0;
    u128 digits = coefficient(value);
    for (int i = 0; i <= value.scale || digits != 0; i++) {
        if (i == value.scale && i > 0) {
            reversed[count++] = '.';
        }
        reversed[count++] = (char)('0' + (int)(digits % 10));
        digits /= 10;
    }
    size_t length = 0;
    if (value.negative) {
        out[length++] = '-';
    }
    while (count > 0) {
        out[length++] = reversed[--count];
    }
    assert(length < DECIMAL_TEXT_BYTES);
    out[length] = '\0';
    return length;
}

double decimal_to_double(struct decimal value)
{
    char text[DECIMAL_TEXT_BYTES];
    (void)decimal_format(value, text);
    return strtod(text, NULL); /* our own digits: the C locale is never changed */
}

bool decimal_to_integer(struct decimal value, int64_t *integer)
{
    u128 scale = power_of_ten(value.scale);
    u128 whole = coefficient(value) / scale;
    if (coefficient(value) % scale != 0 || whole > INT64_MAX) {
        return false;
    }
    *integer = value.negative ? -(int64_t)whole : (int64_t)whole;
    return true;
}

bool decimal_is_zero(struct decimal value)
{
    return value.high == 0 && value.low == 0;
}

/* Both magnitudes at the larger of the two scales. */
static void align(struct decimal a, struct decimal b, struct wide *wide_a, struct wide *wide_b)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;
    *wide_a = wide_multiply(coefficient(a), power_of_ten(scale - a.scale));
    *wide_b = wide_multiply(coefficient(b), power_of_ten(scale - b.scale));
}

int decimal_compare(struct decimal a, struct decimal b)
{
    if (a.negative != b.negative) {
        return a.negative ? -1 : 1;
    }
    struct wide wide_a = { 0 };
    struct wide wide_b = { 0 };
    align(a, b, &wide_a, &wide_b);
    int order = wide_compare(wide_a, wide_b);
    return a.negative ? -order : order;
}

struct decimal decimal_negate(struct decimal value)
{
    value.negative = !value.negative && !decimal_is_zero(value);
    return value;
}

bool decimal_add(struct decimal a, struct decimal b, struct decimal *sum)
{
    struct wide wide_a = { 0 };
    struct wide wide_b = { 0 };
    align(a, b, &wide_a, &wide_b);
    int scale = a.scale > b.scale ? a.scale : b.scale;
    if (a.negative == b.negative) {
        return fit(wide_add(wide_a, wide_b), scale, a.negative, sum);
    }
    if (wide_compare(wide_a, wide_b) >= 0) {
        return fit(wide_subtract(wide_a, wide_b), scale, a.negative, sum);
    }
    return fit(wide_subtract(wide_b, wide_a), scale, b.negative, sum);
}

bool decimal_subtract(struct decimal a, struct decimal b, struct decimal *difference)
{
    return decimal_add(a, decimal_negate(b), difference);
}

bool decimal_multiply(struct decimal a, struct decimal b, struct decimal *product)
{
    return fit(wide_multiply(coefficient(a), coefficient(b)), a.scale + b.scale, a.negative != b.negative,
               product);
}

bool decimal_divide(struct decimal a, struct decimal b, struct decimal *quotient)
{
    if (decimal_is_zero(b)) {
        return false;
    }
    u128 rest = 0;
    struct wide wide =
        wide_divide(wide_multiply(coefficient(a), power_of_ten(DECIMAL_DIGITS_MAX)), coefficient(b), &rest);
    int scale = DECIMAL_DIGITS_MAX + a.scale - b.scale;
    bool negative = a.negative != b.negative;
    /* An exact quotient has its zeros at the end taken off first, so that nothing of it is cut. */
    while (rest == 0 && scale > 0 && (wide.high != 0 || wide.low != 0)) {
        struct wide shorter = wide_divide(wide, 10, &rest);
        if (rest != 0) {
            rest = 0;
            break;
        }
        wide = shorter;
        scale--;
    }
    int digits = digits_count(wide);
    if (rest != 0 && digits > DECIMAL_DIVISION_DIGITS) {
        wide = wide_round(wide, digits - DECIMAL_DIVISION_DIGITS);
        scale -= digits - DECIMAL_DIVISION_DIGITS;
    }
    struct decimal result = { 0 };
    if (!fit(wide, scale, negative, &result)) {
        return false;
    }
    *quotient = decimal_strip(result);
    return true;
}

bool decimal_divide_whole(struct decimal a, struct decimal b, struct decimal *quotient,
                          struct decimal *remainder)
{
    if (decimal_is_zero(b)) {
        return false;
    }
    struct wide wide_a = { 0 };
    struct wide wide_b = { 0 };
    align(a, b, &wide_a, &wide_b);
    if (wide_b.high != 0 || wide_b.low >> 127 != 0) {
        /* The divisor alone passes 38 digits: then it is larger than what can be divided, or out of range. */
        if (wide_compare(wide_a, wide_b) >= 0) {
            return false;
        }
        *quotient = decimal_from_integer(0);
        *remainder = a;
        return true;
    }
    u128 rest = 0;
    struct wide whole = wide_divide(wide_a, wide_b.low, &rest);
    int scale = a.scale > b.scale ? a.scale : b.scale;
    struct decimal left = { 0 };
    if (!fit((struct wide){ .low = rest }, scale, a.negative, &left) ||
        !fit(whole, 0, a.negative != b.negative, quotient)) {
        return false;
    }
    *remainder = left;
    return true;
}

static bool rounds_up(enum decimal_rounding rounding, bool negative, int compared_to_half)
{
    switch (rounding) {
    case DECIMAL_DOWN:
        return false;
    case DECIMAL_HALF_UP:
        return compared_to_half >= 0;
    case DECIMAL_UP:
        return true;
    case DECIMAL_FLOOR:
        return negative;
    case DECIMAL_CEILING:
        return !negative;
    }
    return false;
}

bool decimal_rescale(struct decimal value, int scale, enum decimal_rounding rounding, struct decimal *out)
{
    if (scale < 0 || scale > DECIMAL_SCALE_MAX) {
        return false;
    }
    if (scale >= value.scale) {
        struct wide wide = wide_multiply(coefficient(value), power_of_ten(scale - value.scale));
        if (wide.high != 0 || wide.low >= power_of_ten(DECIMAL_DIGITS_MAX)) {
            return false;
        }
        *out = make(wide.low, scale, value.negative);
        return true;
    }
    u128 unit = power_of_ten(value.scale - scale);
    u128 digits = coefficient(value) / unit;
    u128 rest = coefficient(value) % unit;
    int compared_to_half = rest * 2 > unit ? 1 : (rest * 2 == unit ? 0 : -1);
    if (rest != 0 && rounds_up(rounding, value.negative, compared_to_half)) {
        digits += 1;
    }
    *out = make(digits, scale, value.negative);
    return true;
}

struct decimal decimal_strip(struct decimal value)
{
    u128 digits = coefficient(value);
    int scale = value.scale;
    while (scale > 0 && digits % 10 == 0) {
        digits /= 10;
        scale--;
    }
    return make(digits, scale, value.negative);
}
