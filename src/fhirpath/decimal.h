/* decimal.h — exact decimals that keep their digits (1.00 is not written 1.0): a coefficient of up to
 * DECIMAL_DIGITS_MAX digits and a scale (digits after the point). FHIRPath asks for 28 digits; this holds
 * 38, in 128 bits. A result that does not fit loses fraction digits (rounded half away from zero), and
 * when its whole part does not fit the operation says so (false), which FHIRPath turns into empty.
 * Values only, no memory; any thread. */
#ifndef SHANHAI_FHIRPATH_DECIMAL_H
#define SHANHAI_FHIRPATH_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    DECIMAL_DIGITS_MAX = 38,
    DECIMAL_SCALE_MAX = 38,
    DECIMAL_DIVISION_DIGITS = 28, /* significant digits of a quotient that does not end */
    DECIMAL_TEXT_BYTES = 48,
};

struct decimal {
    uint64_t high; /* coefficient = high * 2^64 + low, below 10^38 */
    uint64_t low;
    int16_t scale; /* 0 … DECIMAL_SCALE_MAX */
    bool negative; /* never with coefficient 0 */
};

enum decimal_rounding { DECIMAL_DOWN, DECIMAL_HALF_UP, DECIMAL_UP, DECIMAL_FLOOR, DECIMAL_CEILING };

/* "-12.50", "+3", "1e-7", "2.5E3" (whole text). False when it is no number or its whole part is too long; fraction
 * digits beyond 38 in all are rounded off. */
bool decimal_parse(struct str text, struct decimal *value) MUST_CHECK;
struct decimal decimal_from_integer(int64_t value);
/* The double rounded to 15 significant digits, without trailing zeros; false for NaN, infinity, huge. */
bool decimal_from_double(double number, struct decimal *value) MUST_CHECK;

/* Digits as kept, without exponent: "-0.50". Writes at most DECIMAL_TEXT_BYTES with NUL, returns the length. */
size_t decimal_format(struct decimal value, char out[DECIMAL_TEXT_BYTES]);
double decimal_to_double(struct decimal value);
/* False when there is a fraction that is not zero, or it is out of range. */
bool decimal_to_integer(struct decimal value, int64_t *integer) MUST_CHECK;

bool decimal_is_zero(struct decimal value);
/* <0, 0, >0 by value: 1.0 equals 1.00. */
int decimal_compare(struct decimal a, struct decimal b);
struct decimal decimal_negate(struct decimal value);

bool decimal_add(struct decimal a, struct decimal b, struct decimal *sum) MUST_CHECK;
bool decimal_subtract(struct decimal a, struct decimal b, struct decimal *difference) MUST_CHECK;
bool decimal_multiply(struct decimal a, struct decimal b, struct decimal *product) MUST_CHECK;
/* False also for division by zero. Ending quotients are exact as far as the digits go. */
bool decimal_divide(struct decimal a, struct decimal b, struct decimal *quotient) MUST_CHECK;
/* Whole part of a / b, cut towards zero, and what is left over (sign of a). */
bool decimal_divide_whole(struct decimal a, struct decimal b, struct decimal *quotient,
                          struct decimal *remainder) MUST_CHECK;

/* The value with exactly `scale` fraction digits; false when the digits do not fit. */
bool decimal_rescale(struct decimal value, int scale, enum decimal_rounding rounding,
                     struct decimal *out) MUST_CHECK;
/* Without zeros at the end of the fraction. */
struct decimal decimal_strip(struct decimal value);

#endif
