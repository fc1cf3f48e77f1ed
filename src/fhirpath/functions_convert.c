/* Conversion (N1 5.5): toX() is empty and convertsToX() is false where a value has no such form. */
#include "fhirpath/datetime.h"
#include "fhirpath/functions.h"
#include "fhirpath/units.h"

/* Tries to turn a value into another kind. False: it has no such form. */
typedef bool converter(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out);

static bool is_one_of(struct str text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_ignore_case(text, str_from_cstr(words[i]))) {
            return true;
        }
    }
    return false;
}

static bool as_boolean(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    static const char *const yes[] = { "true", "t", "yes", "y", "1", "1.0" };
    static const char *const no[] = { "false", "f", "no", "n", "0", "0.0" };
    (void)run;
    bool is_true = false;
    bool is_false = false;
    if (value->kind == FHIRPATH_BOOLEAN) {
        is_true = value->boolean;
        is_false = !value->boolean;
    } else if (value->kind == FHIRPATH_INTEGER) {
        is_true = value->integer == 1;
        is_false = value->integer == 0;
    } else if (value->kind == FHIRPATH_DECIMAL) {
        is_true = decimal_compare(value->decimal, decimal_from_integer(1)) == 0;
        is_false = decimal_is_zero(value->decimal);
    } else if (value->kind == FHIRPATH_STRING) {
        is_true = is_one_of(value->string, yes, sizeof yes / sizeof yes[0]);
        is_false = is_one_of(value->string, no, sizeof no / sizeof no[0]);
    }
    *out = fhirpath_item_of_boolean(is_true);
    return is_true || is_false;
}

/* (+|-)? digits (. digits)? */
static bool is_plain_number(struct str text, bool may_have_fraction)
{
    size_t at = text.len > 0 && (text.at[0] == '+' || text.at[0] == '-') ? 1 : 0;
    size_t digits = 0;
    bool point = false;
    for (; at < text.len; at++) {
        if (text.at[at] == '.' && may_have_fraction && !point && digits > 0) {
            point = true;
            digits = 0;
        } else if (text.at[at] >= '0' && text.at[at] <= '9') {
            digits++;
        } else {
            return false;
        }
    }
    return digits > 0;
}

static bool as_integer(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    (void)run;
    struct decimal number = { 0 };
    int64_t integer = 0;
    if (value->kind == FHIRPATH_INTEGER) {
        integer = value->integer;
    } else if (value->kind == FHIRPATH_BOOLEAN) {
        integer = value->boolean ? 1 : 0;
    } else if (value->kind != FHIRPATH_STRING || !is_plain_number(value->string, false) ||
               !decimal_parse(value->string, &number) || !decimal_to_integer(number, &integer) ||
               integer > INT32_MAX || integer < INT32_MIN) {
        return false;
    }
    *out = fhirpath_item_of_integer(integer);
    return true;
}

static bool as_decimal(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    (void)run;
    struct decimal number = { 0 };
    if (value->kind == FHIRPATH_DECIMAL) {
        number = value->decimal;
    } else if (value->kind == FHIRPATH_INTEGER) {
        number = decimal_from_integer(value->integer);
    } else if (value->kind == FHIRPATH_BOOLEAN) {
        number = decimal_from_integer(value->boolean ? 10 : 0);
        number.scale = 1; /* N1 5.5.6: 1.0 and 0.0 */
    } else if (value->kind != FHIRPATH_STRING || !is_plain_number(value->string, true) ||
               !decimal_parse(value->string, &number)) {
        return false;
    }
    *out = (struct fhirpath_item){ .kind = FHIRPATH_DECIMAL, .decimal = number };
    return true;
}

static bool as_string(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    if (value->kind == FHIRPATH_NODE || value->kind == FHIRPATH_TYPE) {
        return false;
    }
    *out = fhirpath_item_of_string(fhirpath_item_text(run->arena, value));
    run->exhausted = run->exhausted || out->string.at == NULL;
    return out->string.at != NULL;
}

static bool as_moment(const struct fhirpath_item *value, enum fhirpath_kind kind, struct fhirpath_item *out)
{
    struct fhirpath_time time = value->time;
    if (value->kind == FHIRPATH_STRING) {
        if (!datetime_parse(value->string, kind, &time) || (kind == FHIRPATH_TIME && time.has_zone)) {
            return false;
        }
    } else if (value->kind != kind && (kind == FHIRPATH_TIME ||
                                       (value->kind != FHIRPATH_DATE && value->kind != FHIRPATH_DATETIME))) {
        return false;
    }
    if (kind == FHIRPATH_DATE && time.precision > FHIRPATH_DAY) {
        time = (struct fhirpath_time){
            .year = time.year, .month = time.month, .day = time.day, .precision = FHIRPATH_DAY
        };
    }
    *out = (struct fhirpath_item){ .kind = (uint8_t)kind, .time = time };
    return true;
}

static bool as_date(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    (void)run;
    return as_moment(value, FHIRPATH_DATE, out); /* N1 5.5.4: a string of the form YYYY-MM-DD, no longer */
}

static bool as_datetime(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    (void)run;
    return as_moment(value, FHIRPATH_DATETIME, out);
}

static bool as_time(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    (void)run;
    return as_moment(value, FHIRPATH_TIME, out);
}

/* "4", "4 'mg'", "4 days" (N1 5.5.7). */
static bool quantity_of_text(struct str text, struct fhirpath_quantity *quantity)
{
    size_t end = 0;
    while (end < text.len && text.at[end] != ' ' && text.at[end] != '\'' &&
           !((text.at[end] | 32) >= 'a' && (text.at[end] | 32) <= 'z')) {
        end++;
    }
    struct str digits = str_slice(text, 0, end);
    struct str unit = str_trim(str_skip(text, end));
    if (!is_plain_number(digits, true) || !decimal_parse(digits, &quantity->value)) {
        return false;
    }
    quantity->calendar = false;
    quantity->unit = STR("1");
    if (unit.len == 0) {
        return text.len == end;
    }
    if (unit.len > 2 && unit.at[0] == '\'' && unit.at[unit.len - 1] == '\'') {
        quantity->unit = str_slice(unit, 1, unit.len - 1);
        return true;
    }
    quantity->calendar = units_calendar_word(unit, &quantity->unit);
    return quantity->calendar;
}

static bool as_quantity(struct run *run, const struct fhirpath_item *value, struct fhirpath_item *out)
{
    struct fhirpath_quantity quantity = { .unit = STR("1") };
    struct fhirpath_item number = { 0 };
    if (value->kind == FHIRPATH_QUANTITY) {
        quantity = *value->quantity;
    } else if (value->kind == FHIRPATH_STRING) {
        if (!quantity_of_text(value->string, &quantity)) {
            return false;
        }
    } else if (as_decimal(run, value, &number)) {
        quantity.value = number.decimal;
    } else {
        return false;
    }
    struct fhirpath_quantity *kept = ARENA_NEW(run->arena, struct fhirpath_quantity);
    if (kept == NULL) {
        run->exhausted = true;
        return false;
    }
    *kept = quantity;
    *out = (struct fhirpath_item){ .kind = FHIRPATH_QUANTITY, .quantity = kept };
    return true;
}

static bool convert(struct call *call, converter *to, bool only_ask, struct error *error)
{
    struct fhirpath_item value = { 0 };
    struct fhirpath_item out = { 0 };
    bool given = false;
    if (!call_input(call, &value, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    bool converts = to(call->run, &value, &out);
    if (only_ask) {
        return list_add_boolean(call->run, call->out, converts, error);
    }
    return !converts || list_add(call->run, call->out, &out, error);
}

bool function_to_boolean(struct call *call, struct error *error)
{
    return convert(call, as_boolean, false, error);
}

bool function_converts_to_boolean(struct call *call, struct error *error)
{
    return convert(call, as_boolean, true, error);
}

bool function_to_integer(struct call *call, struct error *error)
{
    return convert(call, as_integer, false, error);
}

bool function_converts_to_integer(struct call *call, struct error *error)
{
    return convert(call, as_integer, true, error);
}

bool function_to_decimal(struct call *call, struct error *error)
{
    return convert(call, as_decimal, false, error);
}

bool function_converts_to_decimal(struct call *call, struct error *error)
{
    return convert(call, as_decimal, true, error);
}

bool function_to_string(struct call *call, struct error *error)
{
    return convert(call, as_string, false, error);
}

bool function_converts_to_string(struct call *call, struct error *error)
{
    return convert(call, as_string, true, error);
}

bool function_to_date(struct call *call, struct error *error)
{
    return convert(call, as_date, false, error);
}

bool function_converts_to_date(struct call *call, struct error *error)
{
    return convert(call, as_date, true, error);
}

bool function_to_datetime(struct call *call, struct error *error)
{
    return convert(call, as_datetime, false, error);
}

bool function_converts_to_datetime(struct call *call, struct error *error)
{
    return convert(call, as_datetime, true, error);
}

bool function_to_time(struct call *call, struct error *error)
{
    return convert(call, as_time, false, error);
}

bool function_converts_to_time(struct call *call, struct error *error)
{
    return convert(call, as_time, true, error);
}

/* With a unit: the quantity in that unit, where it has one; a plain number takes the unit. */
static bool to_quantity(struct call *call, bool only_ask, struct error *error)
{
    struct str unit = STR_NONE;
    bool given = false;
    if (!call_string(call, 0, &unit, &given, error)) {
        return false;
    }
    if (!given) {
        return convert(call, as_quantity, only_ask, error);
    }
    struct fhirpath_item value = { 0 };
    struct fhirpath_item quantity = { 0 };
    bool has_input = false;
    if (!call_input(call, &value, &has_input, error)) {
        return false;
    }
    if (!has_input) {
        return true;
    }
    struct fhirpath_quantity converted = { .unit = unit };
    converted.calendar = units_calendar_word(unit, &converted.unit);
    bool ok = as_quantity(call->run, &value, &quantity);
    if (ok) {
        struct fhirpath_quantity from = *quantity.quantity;
        if (value.kind == FHIRPATH_INTEGER || value.kind == FHIRPATH_DECIMAL) {
            from.unit = converted.unit;
            from.calendar = converted.calendar;
        }
        ok = units_convert(&from, converted.unit, &converted.value);
    }
    if (only_ask) {
        return list_add_boolean(call->run, call->out, ok, error);
    }
    return !ok || list_add_quantity(call->run, call->out, converted, error);
}

bool function_to_quantity(struct call *call, struct error *error)
{
    return to_quantity(call, false, error);
}

bool function_converts_to_quantity(struct call *call, struct error *error)
{
    return to_quantity(call, true, error);
}
