/* Mathematics (N1 5.7). Roots, logarithms and exponents go through double: 15 digits. */
#include <math.h>

#include "fhirpath/functions.h"

/* The input as one number; a quantity gives its value and is kept in *quantity. */
static bool input_number(struct call *call, struct fhirpath_item *value, struct decimal *number, bool *given,
                         struct error *error)
{
    if (!call_input(call, value, given, error)) {
        return false;
    }
    if (!*given) {
        return true;
    }
    switch (value->kind) {
    case FHIRPATH_INTEGER:
        *number = decimal_from_integer(value->integer);
        return true;
    case FHIRPATH_DECIMAL:
        *number = value->decimal;
        return true;
    case FHIRPATH_QUANTITY:
        *number = value->quantity->value;
        return true;
    default:
        return call_fail(call, "a number is needed", error);
    }
}

static bool add_like(struct call *call, const struct fhirpath_item *input, struct decimal value,
                     struct error *error)
{
    int64_t integer = 0;
    if (input->kind == FHIRPATH_QUANTITY) {
        struct fhirpath_quantity quantity = *input->quantity;
        quantity.value = value;
        return list_add_quantity(call->run, call->out, quantity, error);
    }
    if (input->kind == FHIRPATH_INTEGER && decimal_to_integer(value, &integer)) {
        return list_add_integer(call->run, call->out, integer, error);
    }
    return list_add_decimal(call->run, call->out, value, error);
}

bool function_abs(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    bool given = false;
    if (!input_number(call, &input, &number, &given, error)) {
        return false;
    }
    number.negative = false;
    return !given || add_like(call, &input, number, error);
}

static bool to_whole(struct call *call, enum decimal_rounding rounding, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    int64_t integer = 0;
    bool given = false;
    if (!input_number(call, &input, &number, &given, error)) {
        return false;
    }
    if (!given || !decimal_rescale(number, 0, rounding, &number)) {
        return true;
    }
    if (input.kind == FHIRPATH_QUANTITY) {
        return add_like(call, &input, number, error);
    }
    if (!decimal_to_integer(number, &integer) || integer > INT32_MAX || integer < INT32_MIN) {
        return list_add_decimal(call->run, call->out, number, error);
    }
    return list_add_integer(call->run, call->out, integer, error);
}

bool function_ceiling(struct call *call, struct error *error)
{
    return to_whole(call, DECIMAL_CEILING, error);
}

bool function_floor(struct call *call, struct error *error)
{
    return to_whole(call, DECIMAL_FLOOR, error);
}

bool function_truncate(struct call *call, struct error *error)
{
    return to_whole(call, DECIMAL_DOWN, error);
}

bool function_round(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    int64_t digits = 0;
    bool given = false;
    bool digits_given = false;
    if (!input_number(call, &input, &number, &given, error) ||
        !call_integer(call, 0, &digits, &digits_given, error)) {
        return false;
    }
    if (digits_given && digits < 0) {
        return call_fail(call, "the number of digits is negative", error);
    }
    if (!given) {
        return true;
    }
    if (digits < number.scale && !decimal_rescale(number, (int)digits, DECIMAL_HALF_UP, &number)) {
        return true;
    }
    if (input.kind == FHIRPATH_QUANTITY) {
        return add_like(call, &input, number, error);
    }
    return list_add_decimal(call->run, call->out, number, error);
}

static bool add_double(struct call *call, double value, struct error *error)
{
    struct decimal number = { 0 };
    return !decimal_from_double(value, &number) || list_add_decimal(call->run, call->out, number, error);
}

/* As input_number, without quantities: N1 5.7 has no root or power of a unit. */
static bool input_plain(struct call *call, struct fhirpath_item *value, struct decimal *number, bool *given,
                        struct error *error)
{
    return input_number(call, value, number, given, error) &&
           (!*given || value->kind != FHIRPATH_QUANTITY || call_fail(call, "a number is needed", error));
}

bool function_exp(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    bool given = false;
    return input_plain(call, &input, &number, &given, error) &&
           (!given || add_double(call, exp(decimal_to_double(number)), error));
}

bool function_ln(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    bool given = false;
    return input_plain(call, &input, &number, &given, error) &&
           (!given || add_double(call, log(decimal_to_double(number)), error));
}

bool function_sqrt(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct decimal number = { 0 };
    bool given = false;
    return input_plain(call, &input, &number, &given, error) &&
           (!given || add_double(call, sqrt(decimal_to_double(number)), error));
}

static bool number_argument(struct call *call, struct fhirpath_item *value, struct decimal *number,
                            bool *given, struct error *error)
{
    struct list list = { 0 };
    *given = false;
    if (!call_argument(call, 0, &list, error)) {
        return false;
    }
    if (list.count == 0) {
        return true;
    }
    *value = run_value(call->run, &list.items[0]);
    if (list.count > 1 || (value->kind != FHIRPATH_INTEGER && value->kind != FHIRPATH_DECIMAL)) {
        return call_fail(call, "the argument must be one number", error);
    }
    *number = value->kind == FHIRPATH_INTEGER ? decimal_from_integer(value->integer) : value->decimal;
    *given = true;
    return true;
}

bool function_log(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct fhirpath_item base_item = { 0 };
    struct decimal number = { 0 };
    struct decimal base = { 0 };
    bool given = false;
    bool base_given = false;
    if (!input_plain(call, &input, &number, &given, error) ||
        !number_argument(call, &base_item, &base, &base_given, error)) {
        return false;
    }
    if (!given || !base_given) {
        return true;
    }
    return add_double(call, log(decimal_to_double(number)) / log(decimal_to_double(base)), error);
}

/* By repeated squaring, exact as far as the digits go; false when they do not. */
static bool whole_power(struct decimal base, int64_t exponent, struct decimal *power)
{
    struct decimal result = decimal_from_integer(1);
    struct decimal square = base;
    for (uint64_t left = (uint64_t)(exponent < 0 ? -exponent : exponent); left > 0; left >>= 1) {
        if ((left & 1) != 0 && !decimal_multiply(result, square, &result)) {
            return false;
        }
        if (left > 1 && !decimal_multiply(square, square, &square)) {
            return false;
        }
    }
    if (exponent < 0) {
        return decimal_divide(decimal_from_integer(1), result, power);
    }
    *power = result;
    return true;
}

bool function_power(struct call *call, struct error *error)
{
    struct fhirpath_item input = { 0 };
    struct fhirpath_item exponent_item = { 0 };
    struct decimal number = { 0 };
    struct decimal exponent = { 0 };
    bool given = false;
    bool exponent_given = false;
    if (!input_plain(call, &input, &number, &given, error) ||
        !number_argument(call, &exponent_item, &exponent, &exponent_given, error)) {
        return false;
    }
    if (!given || !exponent_given) {
        return true;
    }
    int64_t whole = 0;
    int64_t integer = 0;
    struct decimal power = { 0 };
    if (!decimal_to_integer(exponent, &whole) || whole > 100000 || whole < -100000) {
        return add_double(call, pow(decimal_to_double(number), decimal_to_double(exponent)), error);
    }
    if (!whole_power(number, whole, &power)) {
        return true;
    }
    if (input.kind == FHIRPATH_INTEGER && exponent_item.kind == FHIRPATH_INTEGER && whole >= 0) {
        return !decimal_to_integer(power, &integer) || integer > INT32_MAX || integer < INT32_MIN ||
               list_add_integer(call->run, call->out, integer, error);
    }
    return list_add_decimal(call->run, call->out, power, error);
}
