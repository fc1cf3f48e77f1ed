/* What functions and operators stand on: lists, the budget, errors, arguments. */
#include "base/clock.h"
#include "fhirpath/engine.h"

/* A long text costs more than a short one, to read and to make. */
enum { STRING_BYTES_A_STEP = 256, MADE_BYTES_A_STEP = 64 };

/* ---- lists and budget ---- */

bool run_out_of_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "memory for evaluating the expression is used up");
}

bool run_spend(struct run *run, size_t steps, struct error *error)
{
    if (steps > run->steps_max - run->steps) {
        run->steps = run->steps_max;
        return FAIL(error, ERROR_TOO_COSTLY, "the expression takes more than %u steps", run->steps_max);
    }
    run->steps += (uint32_t)steps;
    return true;
}

int64_t run_now_ms(struct run *run)
{
    if (run->now_ms == 0) {
        run->now_ms = run->context->now_ms != 0 ? run->context->now_ms : clock_now_ms();
    }
    return run->now_ms;
}

struct fhirpath_item run_value(struct run *run, const struct fhirpath_item *item)
{
    struct fhirpath_item value = fhirpath_item_to_system(run->arena, item);
    /* The text of a string with escapes is made in the arena: it is absent only for want of memory. */
    if (value.kind == FHIRPATH_NODE && value.node.value != NULL && value.node.value->kind == JSON_STRING &&
        value.node.value->escaped) {
        run->exhausted = true;
    }
    return value;
}

static bool list_reserve(struct run *run, struct list *list, size_t count, struct error *error)
{
    if (list->count + count <= list->capacity) {
        return true;
    }
    size_t capacity = list->capacity < 2 ? 4 : list->capacity * 2;
    capacity = capacity < list->count + count ? list->count + count : capacity;
    struct fhirpath_item *items = arena_alloc(run->arena, capacity * sizeof *items);
    if (items == NULL) {
        return run_out_of_memory(error);
    }
    if (list->count > 0) {
        memcpy(items, list->items, list->count * sizeof *items);
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

bool list_add(struct run *run, struct list *list, const struct fhirpath_item *item, struct error *error)
{
    if (list->count == list->capacity && !list_reserve(run, list, 1, error)) {
        return false;
    }
    list->items[list->count++] = *item;
    return run_spend(run, 1, error);
}

bool list_add_all(struct run *run, struct list *list, const struct list *more, struct error *error)
{
    if (more->count == 0) {
        return true;
    }
    if (list->count == 0) {
        *list = (struct list){ .items = more->items, .count = more->count };
        return true;
    }
    if (!list_reserve(run, list, more->count, error)) {
        return false;
    }
    memcpy(list->items + list->count, more->items, more->count * sizeof *more->items);
    list->count += more->count;
    return run_spend(run, more->count, error);
}

bool list_add_boolean(struct run *run, struct list *list, bool value, struct error *error)
{
    return list_add(run, list, &(struct fhirpath_item){ .kind = FHIRPATH_BOOLEAN, .boolean = value }, error);
}

bool list_add_integer(struct run *run, struct list *list, int64_t value, struct error *error)
{
    return list_add(run, list, &(struct fhirpath_item){ .kind = FHIRPATH_INTEGER, .integer = value }, error);
}

bool list_add_decimal(struct run *run, struct list *list, struct decimal value, struct error *error)
{
    return list_add(run, list, &(struct fhirpath_item){ .kind = FHIRPATH_DECIMAL, .decimal = value }, error);
}

bool list_add_string(struct run *run, struct list *list, struct str text, struct error *error)
{
    if (text.at == NULL) {
        return run_out_of_memory(error);
    }
    return run_spend(run, text.len / MADE_BYTES_A_STEP, error) &&
           list_add(run, list, &(struct fhirpath_item){ .kind = FHIRPATH_STRING, .string = text }, error);
}

bool list_add_quantity(struct run *run, struct list *list, struct fhirpath_quantity quantity,
                       struct error *error)
{
    struct fhirpath_quantity *kept = ARENA_NEW(run->arena, struct fhirpath_quantity);
    if (kept == NULL) {
        return run_out_of_memory(error);
    }
    *kept = quantity;
    return list_add(run, list, &(struct fhirpath_item){ .kind = FHIRPATH_QUANTITY, .quantity = kept }, error);
}

/* ---- errors ---- */

static const char *expression_name(const struct expression *expression)
{
    static const char *const operators[] = {
        [OPERATION_MULTIPLY] = "*",    [OPERATION_DIVIDE] = "/",
        [OPERATION_DIV] = "div",       [OPERATION_MOD] = "mod",
        [OPERATION_ADD] = "+",         [OPERATION_SUBTRACT] = "-",
        [OPERATION_CONCATENATE] = "&", [OPERATION_IS] = "is",
        [OPERATION_AS] = "as",         [OPERATION_UNION] = "|",
        [OPERATION_LESS] = "<",        [OPERATION_LESS_EQUAL] = "<=",
        [OPERATION_GREATER] = ">",     [OPERATION_GREATER_EQUAL] = ">=",
        [OPERATION_EQUAL] = "=",       [OPERATION_NOT_EQUAL] = "!=",
        [OPERATION_EQUIVALENT] = "~",  [OPERATION_NOT_EQUIVALENT] = "!~",
        [OPERATION_IN] = "in",         [OPERATION_CONTAINS] = "contains",
        [OPERATION_AND] = "and",       [OPERATION_OR] = "or",
        [OPERATION_XOR] = "xor",       [OPERATION_IMPLIES] = "implies",
    };
    if (expression->kind == EXPRESSION_CALL) {
        return expression->function->name;
    }
    if (expression->kind == EXPRESSION_BINARY || expression->kind == EXPRESSION_TYPE) {
        return operators[expression->operation];
    }
    return expression->kind == EXPRESSION_ITEM ? "[]" : "expression";
}

bool run_fail(const struct run *run, const struct expression *at, const char *what, struct error *error)
{
    (void)run;
    return FAIL(error, ERROR_RULE, "FHIRPath, column %u: %s: %s", at->at + 1, expression_name(at), what);
}

bool call_fail(const struct call *call, const char *what, struct error *error)
{
    return run_fail(call->run, call->expression, what, error);
}

/* ---- arguments ---- */

bool call_argument(struct call *call, size_t index, struct list *out, struct error *error)
{
    return call_argument_on(call, index, call->scope, out, error);
}

bool call_argument_on(struct call *call, size_t index, const struct scope *scope, struct list *out,
                      struct error *error)
{
    *out = (struct list){ 0 };
    if (index >= call->expression->parts_count) {
        return true;
    }
    return evaluate(call->run, call->expression->parts[index], scope, out, error);
}

static bool single_value(struct call *call, const struct list *list, struct fhirpath_item *value, bool *given,
                         struct error *error)
{
    *given = false;
    if (list->count == 0) {
        return true;
    }
    if (list->count > 1) {
        return call_fail(call, "more than one item where one is allowed", error);
    }
    *value = run_value(call->run, &list->items[0]);
    *given = true;
    return true;
}

static bool is_without_value(const struct fhirpath_item *item)
{
    return item->kind == FHIRPATH_NODE && item->node.value == NULL;
}

static bool string_of(struct call *call, const struct list *list, struct str *text, bool *given,
                      struct error *error)
{
    struct fhirpath_item value = { 0 };
    if (!single_value(call, list, &value, given, error)) {
        return false;
    }
    if (!*given || is_without_value(&value)) {
        *given = false;
        return true;
    }
    if (value.kind != FHIRPATH_STRING) {
        return call_fail(call, "a string is needed", error);
    }
    *text = value.string;
    return run_spend(call->run, text->len / STRING_BYTES_A_STEP, error);
}

bool call_string(struct call *call, size_t index, struct str *text, bool *given, struct error *error)
{
    struct list list = { 0 };
    return call_argument(call, index, &list, error) && string_of(call, &list, text, given, error);
}

bool call_integer(struct call *call, size_t index, int64_t *value, bool *given, struct error *error)
{
    struct list list = { 0 };
    struct fhirpath_item item = { 0 };
    if (!call_argument(call, index, &list, error) || !single_value(call, &list, &item, given, error)) {
        return false;
    }
    if (!*given) {
        return true;
    }
    if (item.kind != FHIRPATH_INTEGER) {
        return call_fail(call, "an integer is needed", error);
    }
    *value = item.integer;
    return true;
}

bool call_input(struct call *call, struct fhirpath_item *value, bool *given, struct error *error)
{
    if (!single_value(call, call->in, value, given, error)) {
        return false;
    }
    *given = *given && !is_without_value(value);
    return true;
}

bool call_input_string(struct call *call, struct str *text, bool *given, struct error *error)
{
    return string_of(call, call->in, text, given, error);
}

bool list_truth(struct run *run, const struct expression *at, const struct list *list, enum truth *truth,
                struct error *error)
{
    if (list->count == 0) {
        *truth = TRUTH_EMPTY;
        return true;
    }
    if (list->count > 1) {
        return run_fail(run, at, "more than one item where a condition is needed", error);
    }
    struct fhirpath_item value = run_value(run, &list->items[0]);
    *truth = value.kind == FHIRPATH_BOOLEAN && !value.boolean ? TRUTH_FALSE : TRUTH_TRUE;
    return true;
}
