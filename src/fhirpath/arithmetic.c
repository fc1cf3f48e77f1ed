/* + - * / div mod & and the signs (N1 6.6). */
#include "fhirpath/datetime.h"
#include "fhirpath/engine.h"
#include "fhirpath/units.h"

static bool is_number(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_INTEGER || value->kind == FHIRPATH_DECIMAL;
}

static struct decimal number_of(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_INTEGER ? decimal_from_integer(value->integer) : value->decimal;
}

/* N1 6.6: what does not fit the Integer (32 bits) is empty. */
static bool add_integer(struct run *run, struct list *out, int64_t value, struct error *error)
{
    return value > INT32_MAX || value < INT32_MIN || list_add_integer(run, out, value, error);
}

static bool add_decimal(struct run *run, struct list *out, bool fits, struct decimal value,
                        struct error *error)
{
    return !fits || list_add_decimal(run, out, value, error);
}

static bool integer_arithmetic(const struct operands *operands, int64_t a, int64_t b, struct error *error)
{
    struct run *run = operands->run;
    struct list *out = operands->out;
    /* Both are of 32 bits, so nothing overflows 64. */
    switch (operands->expression->operation) {
    case OPERATION_ADD:
        return add_integer(run, out, a + b, error);
    case OPERATION_SUBTRACT:
        return add_integer(run, out, a - b, error);
    case OPERATION_MULTIPLY:
        return add_integer(run, out, a * b, error);
    case OPERATION_DIV:
        return b == 0 || add_integer(run, out, a / b, error);
    case OPERATION_MOD:
        return b == 0 || add_integer(run, out, a % b, error);
    default:
        return FAIL(error, ERROR_INTERNAL, "not an operation of integers");
    }
}

static bool decimal_arithmetic(const struct operands *operands, struct decimal a, struct decimal b,
                               struct error *error)
{
    struct run *run = operands->run;
    struct list *out = operands->out;
    struct decimal result = { 0 };
    struct decimal rest = { 0 };
    int64_t whole = 0;
    switch (operands->expression->operation) {
    case OPERATION_ADD:
        return add_decimal(run, out, decimal_add(a, b, &result), result, error);
    case OPERATION_SUBTRACT:
        return add_decimal(run, out, decimal_subtract(a, b, &result), result, error);
    case OPERATION_MULTIPLY:
        return add_decimal(run, out, decimal_multiply(a, b, &result), result, error);
    case OPERATION_DIVIDE:
        return add_decimal(run, out, decimal_divide(a, b, &result), result, error);
    case OPERATION_DIV:
        return !decimal_divide_whole(a, b, &result, &rest) || !decimal_to_integer(result, &whole) ||
               add_integer(run, out, whole, error);
    case OPERATION_MOD:
        return add_decimal(run, out, decimal_divide_whole(a, b, &result, &rest), rest, error);
    default:
        return FAIL(error, ERROR_INTERNAL, "not an operation of decimals");
    }
}

static bool quantity_arithmetic(const struct operands *operands, const struct fhirpath_item *a,
                                const struct fhirpath_item *b, struct error *error)
{
    struct run *run = operands->run;
    const struct expression *expression = operands->expression;
    struct fhirpath_quantity left = { .value = is_number(a) ? number_of(a) : a->quantity->value,
                                      .unit = STR("1") };
    struct fhirpath_quantity right = { .value = is_number(b) ? number_of(b) : b->quantity->value,
                                       .unit = STR("1") };
    left = a->kind == FHIRPATH_QUANTITY ? *a->quantity : left;
    right = b->kind == FHIRPATH_QUANTITY ? *b->quantity : right;
    struct fhirpath_quantity result = { 0 };
    bool known = false;
    switch (expression->operation) {
    case OPERATION_ADD:
    case OPERATION_SUBTRACT:
        known = units_add(&left, &right, expression->operation == OPERATION_SUBTRACT, &result);
        break;
    case OPERATION_MULTIPLY:
    case OPERATION_DIVIDE:
        known = units_multiply(run->arena, &left, &right, expression->operation == OPERATION_DIVIDE, &result);
        break;
    default:
        return run_fail(run, expression, "this has no meaning for a quantity", error);
    }
    return !known || list_add_quantity(run, operands->out, result, error);
}

static bool is_time_like(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_DATE || value->kind == FHIRPATH_DATETIME || value->kind == FHIRPATH_TIME;
}

/* N1 6.6.7. A calendar word, or a UCUM code of a length that the calendar shares: 'a' and 'mo' are years and
 * months of fixed length, which no date can be moved by. */
static bool time_arithmetic(const struct operands *operands, const struct fhirpath_item *time,
                            const struct fhirpath_quantity *amount, struct error *error)
{
    struct run *run = operands->run;
    const struct expression *expression = operands->expression;
    struct fhirpath_item moved = *time;
    struct decimal value = amount->value;
    struct str unit = amount->unit;
    if (!amount->calendar) {
        bool is_word = units_calendar_word(amount->unit, &unit);
        if (!is_word && (!units_calendar_of_ucum(amount->unit, &unit) || str_equal(unit, STR("year")) ||
                         str_equal(unit, STR("month")))) {
            return run_fail(run, expression, "a date is moved by a calendar duration", error);
        }
        /* The R4 cases (testPlusDate19) take whole units of UCUM only. */
        if (!decimal_rescale(value, 0, DECIMAL_DOWN, &value)) {
            return true;
        }
    }
    if (time->kind == FHIRPATH_TIME && (str_equal(unit, STR("year")) || str_equal(unit, STR("month")) ||
                                        str_equal(unit, STR("week")) || str_equal(unit, STR("day")))) {
        return run_fail(run, expression, "a time of day is moved by hours or less", error);
    }
    if (expression->operation == OPERATION_SUBTRACT) {
        value = decimal_negate(value);
    }
    if (!datetime_add(&moved.time, (enum fhirpath_kind)time->kind, unit, value)) {
        return true;
    }
    return list_add(run, operands->out, &moved, error);
}

static bool concatenate(const struct operands *operands, struct error *error)
{
    struct run *run = operands->run;
    const struct list *sides[] = { operands->left, operands->right };
    struct str texts[] = { STR(""), STR("") };
    for (size_t i = 0; i < 2; i++) {
        if (sides[i]->count > 1) {
            return run_fail(run, operands->expression, "more than one item where one is allowed", error);
        }
        if (sides[i]->count == 1) {
            struct fhirpath_item value = run_value(run, &sides[i]->items[0]);
            bool is_empty = value.kind == FHIRPATH_NODE && value.node.value == NULL;
            if (value.kind != FHIRPATH_STRING && !is_empty) {
                return run_fail(run, operands->expression, "strings are needed", error);
            }
            texts[i] = is_empty ? STR("") : value.string;
        }
    }
    return list_add_string(run, operands->out, arena_concat(run->arena, texts[0], texts[1]), error);
}

/* Of 32 bits; a larger one, which only a caller's variable can be, counts as a decimal. */
static bool is_integer(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_INTEGER && value->integer >= INT32_MIN && value->integer <= INT32_MAX;
}

static bool arithmetic_on(const struct operands *operands, const struct fhirpath_item *a,
                          const struct fhirpath_item *b, struct error *error)
{
    struct run *run = operands->run;
    unsigned operation = operands->expression->operation;
    if (a->kind == FHIRPATH_STRING && b->kind == FHIRPATH_STRING && operation == OPERATION_ADD) {
        return list_add_string(run, operands->out, arena_concat(run->arena, a->string, b->string), error);
    }
    if (is_integer(a) && is_integer(b) && operation != OPERATION_DIVIDE) {
        return integer_arithmetic(operands, a->integer, b->integer, error);
    }
    if (is_number(a) && is_number(b)) {
        return decimal_arithmetic(operands, number_of(a), number_of(b), error);
    }
    if (is_time_like(a) && b->kind == FHIRPATH_QUANTITY &&
        (operation == OPERATION_ADD || operation == OPERATION_SUBTRACT)) {
        return time_arithmetic(operands, a, b->quantity, error);
    }
    bool quantities =
        (a->kind == FHIRPATH_QUANTITY || is_number(a)) && (b->kind == FHIRPATH_QUANTITY || is_number(b));
    if (quantities) {
        return quantity_arithmetic(operands, a, b, error);
    }
    return run_fail(run, operands->expression, "this has no meaning for values of these types", error);
}

static bool has_no_value(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_NODE && value->node.value == NULL;
}

bool evaluate_arithmetic(const struct operands *operands, struct error *error)
{
    const struct list *left = operands->left;
    const struct list *right = operands->right;
    if (operands->expression->operation == OPERATION_CONCATENATE) {
        return concatenate(operands, error);
    }
    if (left->count == 0 || right->count == 0) {
        return true;
    }
    if (left->count > 1 || right->count > 1) {
        return run_fail(operands->run, operands->expression, "more than one item where one is allowed",
                        error);
    }
    struct fhirpath_item a = run_value(operands->run, &left->items[0]);
    struct fhirpath_item b = run_value(operands->run, &right->items[0]);
    if (has_no_value(&a) || has_no_value(&b)) {
        return true;
    }
    return arithmetic_on(operands, &a, &b, error);
}

bool evaluate_sign(struct run *run, const struct expression *expression, const struct list *in,
                   struct list *out, struct error *error)
{
    if (in->count == 0) {
        return true;
    }
    if (in->count > 1) {
        return run_fail(run, expression, "more than one item where one is allowed", error);
    }
    struct fhirpath_item value = run_value(run, &in->items[0]);
    if (has_no_value(&value)) {
        return true;
    }
    bool minus = expression->kind == EXPRESSION_NEGATE;
    if (is_integer(&value)) {
        return list_add_integer(run, out, minus ? -value.integer : value.integer, error);
    }
    if (is_number(&value)) {
        struct decimal number = number_of(&value);
        return list_add_decimal(run, out, minus ? decimal_negate(number) : number, error);
    }
    if (value.kind == FHIRPATH_QUANTITY) {
        struct fhirpath_quantity quantity = *value.quantity;
        quantity.value = minus ? decimal_negate(quantity.value) : quantity.value;
        return list_add_quantity(run, out, quantity, error);
    }
    return run_fail(run, expression, "a sign stands before a number only", error);
}
