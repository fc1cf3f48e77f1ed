/* = ~ < and what is built on them (N1 6.1, 6.2). */
#include "fhirpath/datetime.h"
#include "fhirpath/engine.h"
#include "fhirpath/set.h"
#include "fhirpath/text.h"
#include "fhirpath/types.h"
#include "fhirpath/units.h"

/* What a comparison may use. Each look at a JSON value costs a step of the run; when they are used up the answer is
 * "no", and the next run_spend ends the evaluation. */
struct comparison {
    struct arena *arena;
    const int *zone; /* NULL: not known */
    struct run *run; /* NULL: without budget, for the public functions */
};

static bool spend(const struct comparison *comparison)
{
    struct run *run = comparison->run;
    if (run == NULL) {
        return true;
    }
    if (run->steps >= run->steps_max) {
        return false;
    }
    run->steps++;
    return true;
}

/* ---- complex nodes: by content ---- */

static bool json_value_equal(const struct comparison *comparison, const struct json *a, const struct json *b,
                             bool loosely);

static bool number_equal(const struct json *a, const struct json *b)
{
    struct decimal left = { 0 };
    struct decimal right = { 0 };
    if (!decimal_parse(a->raw, &left) || !decimal_parse(b->raw, &right)) {
        return str_equal(a->raw, b->raw);
    }
    return decimal_compare(left, right) == 0;
}

static bool json_string_equal(const struct comparison *comparison, const struct json *a, const struct json *b)
{
    struct str left = json_text(comparison->arena, a);
    struct str right = json_text(comparison->arena, b);
    bool exhausted = left.at == NULL || right.at == NULL;
    if (exhausted && comparison->run != NULL) {
        comparison->run->exhausted = true;
    }
    return !exhausted && str_equal(left, right);
}

/* Loosely: in any order. */
static bool array_equal(const struct comparison *comparison, const struct json *a, const struct json *b,
                        bool loosely)
{
    const struct json *in_place = b->first;
    if (a->count != b->count) {
        return false;
    }
    for (const struct json *left = a->first; left != NULL; left = left->next) {
        bool found = json_value_equal(comparison, left, in_place, loosely);
        const struct json *right = loosely && !found ? b->first : NULL;
        for (; right != NULL && !found; right = right->next) {
            found = json_value_equal(comparison, left, right, true);
        }
        if (!found) {
            return false;
        }
        in_place = in_place->next;
    }
    return true;
}

static bool object_equal(const struct comparison *comparison, const struct json *a, const struct json *b,
                         bool loosely)
{
    if (a->count != b->count) {
        return false;
    }
    for (const struct json *left = a->first; left != NULL; left = left->next) {
        const struct json *right = json_member(b, left->name);
        if (right == NULL || !json_value_equal(comparison, left, right, loosely)) {
            return false;
        }
    }
    return true;
}

/* Depth is bounded by the reader's LIMIT_JSON_DEPTH. */
static bool json_value_equal(const struct comparison *comparison, const struct json *a, const struct json *b,
                             bool loosely)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL || a->kind != b->kind || !spend(comparison)) {
        return false;
    }
    switch ((enum json_kind)a->kind) {
    case JSON_NUMBER:
        return number_equal(a, b);
    case JSON_STRING:
        return json_string_equal(comparison, a, b);
    case JSON_ARRAY:
        return array_equal(comparison, a, b, loosely);
    case JSON_OBJECT:
        return object_equal(comparison, a, b, loosely);
    case JSON_NULL:
    case JSON_TRUE:
    case JSON_FALSE:
        break;
    }
    return true;
}

/* ---- values ---- */

static const int *run_zone(const struct fhirpath_context *context)
{
    return context != NULL && context->has_offset ? &context->offset_minutes : NULL;
}

static bool is_moment(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_DATE || value->kind == FHIRPATH_DATETIME;
}

static bool is_number(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_INTEGER || value->kind == FHIRPATH_DECIMAL;
}

static struct decimal number_of(const struct fhirpath_item *value)
{
    return value->kind == FHIRPATH_INTEGER ? decimal_from_integer(value->integer) : value->decimal;
}

/* A number beside a quantity is a quantity of '1' (N1 5.5 implicit conversion). */
static bool quantity_of(const struct fhirpath_item *value, struct fhirpath_quantity *quantity)
{
    if (value->kind == FHIRPATH_QUANTITY) {
        *quantity = *value->quantity;
        return true;
    }
    if (!is_number(value)) {
        return false;
    }
    *quantity = (struct fhirpath_quantity){ .value = number_of(value), .unit = STR("1") };
    return true;
}

/* The text of an element whose type is not known may be a date; beside a date it is taken as one. */
static void take_text_as_moment(struct fhirpath_item *text, const struct fhirpath_item *node,
                                const struct fhirpath_item *other)
{
    struct fhirpath_time time = { 0 };
    if (text->kind != FHIRPATH_STRING || node->kind != FHIRPATH_NODE || node->type != NULL) {
        return;
    }
    if ((is_moment(other) || other->kind == FHIRPATH_TIME) &&
        datetime_parse(text->string, (enum fhirpath_kind)other->kind, &time)) {
        *text = (struct fhirpath_item){ .kind = other->kind, .time = time };
    }
}

static void both_to_system(const struct comparison *comparison, const struct fhirpath_item *a,
                           const struct fhirpath_item *b, struct fhirpath_item *left,
                           struct fhirpath_item *right)
{
    bool has_run = comparison->run != NULL;
    *left = has_run ? run_value(comparison->run, a) : fhirpath_item_to_system(comparison->arena, a);
    *right = has_run ? run_value(comparison->run, b) : fhirpath_item_to_system(comparison->arena, b);
    take_text_as_moment(left, a, right);
    take_text_as_moment(right, b, left);
}

static enum truth truth_of(bool value)
{
    return value ? TRUTH_TRUE : TRUTH_FALSE;
}

static enum truth times_equal(const int *zone, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    int order = 0;
    if ((a->kind == FHIRPATH_TIME) != (b->kind == FHIRPATH_TIME)) {
        return TRUTH_FALSE;
    }
    return datetime_compare(&a->time, &b->time, zone, &order) ? truth_of(order == 0) : TRUTH_EMPTY;
}

static enum truth quantities_equal(const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    struct fhirpath_quantity left = { 0 };
    struct fhirpath_quantity right = { 0 };
    int order = 0;
    if (!quantity_of(a, &left) || !quantity_of(b, &right)) {
        return TRUTH_FALSE;
    }
    return units_compare(&left, &right, &order) == UNITS_KNOWN ? truth_of(order == 0) : TRUTH_EMPTY;
}

static enum truth values_equal(const struct comparison *comparison, const struct fhirpath_item *a,
                               const struct fhirpath_item *b)
{
    if (is_number(a) && is_number(b)) {
        return truth_of(a->kind == FHIRPATH_INTEGER && b->kind == FHIRPATH_INTEGER
                            ? a->integer == b->integer
                            : decimal_compare(number_of(a), number_of(b)) == 0);
    }
    if (a->kind == FHIRPATH_QUANTITY || b->kind == FHIRPATH_QUANTITY) {
        return quantities_equal(a, b);
    }
    bool time_a = is_moment(a) || a->kind == FHIRPATH_TIME;
    bool time_b = is_moment(b) || b->kind == FHIRPATH_TIME;
    if (time_a && time_b) {
        return times_equal(comparison->zone, a, b);
    }
    if (a->kind != b->kind) {
        return TRUTH_FALSE;
    }
    if (a->kind == FHIRPATH_STRING) {
        return truth_of(str_equal(a->string, b->string));
    }
    if (a->kind == FHIRPATH_BOOLEAN) {
        return truth_of(a->boolean == b->boolean);
    }
    if (a->kind == FHIRPATH_TYPE) {
        return truth_of(str_equal(a->info.space, b->info.space) && str_equal(a->info.name, b->info.name));
    }
    if (a->node.value == NULL || b->node.value == NULL) {
        return truth_of(a->node.value == b->node.value &&
                        json_value_equal(comparison, a->node.extra, b->node.extra, false));
    }
    return truth_of(json_value_equal(comparison, a->node.value, b->node.value, false));
}

static enum truth equal_in(const struct comparison *comparison, const struct fhirpath_item *a,
                           const struct fhirpath_item *b)
{
    if (a->kind == FHIRPATH_NODE && b->kind == FHIRPATH_NODE && a->node.value != NULL &&
        a->node.value == b->node.value) {
        return TRUTH_TRUE;
    }
    struct fhirpath_item left = { 0 };
    struct fhirpath_item right = { 0 };
    both_to_system(comparison, a, b, &left, &right);
    return values_equal(comparison, &left, &right);
}

enum truth item_equal(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    struct comparison comparison = { .arena = run->arena, .zone = run_zone(run->context), .run = run };
    return equal_in(&comparison, a, b);
}

int fhirpath_equal(struct arena *arena, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    enum truth truth = equal_in(&(struct comparison){ .arena = arena }, a, b);
    return truth == TRUTH_EMPTY ? -1 : (truth == TRUTH_TRUE ? 1 : 0);
}

/* N1 6.1.2: decimals are compared at the precision of the less precise one. */
static bool decimals_equivalent(struct decimal a, struct decimal b)
{
    a = decimal_strip(a);
    b = decimal_strip(b);
    int scale = a.scale < b.scale ? a.scale : b.scale;
    struct decimal left = { 0 };
    struct decimal right = { 0 };
    return decimal_rescale(a, scale, DECIMAL_HALF_UP, &left) &&
           decimal_rescale(b, scale, DECIMAL_HALF_UP, &right) && decimal_compare(left, right) == 0;
}

static bool times_equivalent(const int *zone, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    int order = 0;
    return (a->kind == FHIRPATH_TIME) == (b->kind == FHIRPATH_TIME) &&
           datetime_compare(&a->time, &b->time, zone, &order) && order == 0;
}

static bool equivalent_in(const struct comparison *comparison, const struct fhirpath_item *a,
                          const struct fhirpath_item *b)
{
    struct fhirpath_item left = { 0 };
    struct fhirpath_item right = { 0 };
    both_to_system(comparison, a, b, &left, &right);
    if (is_number(&left) && is_number(&right)) {
        return decimals_equivalent(number_of(&left), number_of(&right));
    }
    if (left.kind == FHIRPATH_STRING && right.kind == FHIRPATH_STRING) {
        return text_equivalent(left.string, right.string);
    }
    bool time_a = is_moment(&left) || left.kind == FHIRPATH_TIME;
    bool time_b = is_moment(&right) || right.kind == FHIRPATH_TIME;
    if (time_a && time_b) {
        return times_equivalent(comparison->zone, &left, &right);
    }
    struct fhirpath_quantity quantity_a = { 0 };
    struct fhirpath_quantity quantity_b = { 0 };
    if (quantity_of(&left, &quantity_a) && quantity_of(&right, &quantity_b)) {
        return units_equivalent(&quantity_a, &quantity_b);
    }
    if (left.kind == FHIRPATH_NODE && right.kind == FHIRPATH_NODE && left.node.value != NULL &&
        right.node.value != NULL) {
        return json_value_equal(comparison, left.node.value, right.node.value, true);
    }
    return values_equal(comparison, &left, &right) == TRUTH_TRUE;
}

bool item_equivalent(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    struct comparison comparison = { .arena = run->arena, .zone = run_zone(run->context), .run = run };
    return spend(&comparison) && equivalent_in(&comparison, a, b);
}

bool fhirpath_equivalent(struct arena *arena, const struct fhirpath_item *a, const struct fhirpath_item *b)
{
    return equivalent_in(&(struct comparison){ .arena = arena }, a, b);
}

/* ---- lists ---- */

enum truth list_equal(struct run *run, const struct list *a, const struct list *b)
{
    if (a->count == 0 || b->count == 0) {
        return TRUTH_EMPTY;
    }
    if (a->count != b->count) {
        return TRUTH_FALSE;
    }
    enum truth all = TRUTH_TRUE;
    for (size_t i = 0; i < a->count; i++) {
        enum truth one = item_equal(run, &a->items[i], &b->items[i]);
        if (one == TRUTH_FALSE) {
            return TRUTH_FALSE;
        }
        all = one == TRUTH_EMPTY ? TRUTH_EMPTY : all;
    }
    return all;
}

/* In any order: each item of one finds a partner of its own in the other. */
bool list_equivalent(struct run *run, const struct list *a, const struct list *b)
{
    if (a->count != b->count) {
        return false;
    }
    bool *taken = arena_calloc(run->arena, b->count + 1, sizeof *taken);
    if (taken == NULL) {
        run->exhausted = true;
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        size_t j = 0;
        while (j < b->count && (taken[j] || !item_equivalent(run, &a->items[i], &b->items[j]))) {
            j++;
        }
        if (j == b->count) {
            return false;
        }
        taken[j] = true;
    }
    return true;
}

bool list_contains(struct run *run, const struct list *list, const struct fhirpath_item *item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (item_equal(run, &list->items[i], item) == TRUTH_TRUE) {
            return true;
        }
    }
    return false;
}

bool list_add_distinct(struct run *run, struct list *list, const struct list *more, struct error *error)
{
    struct item_set set = { .run = run };
    if (!item_set_add_all(&set, list, error) || !item_set_add_all(&set, more, error)) {
        return false;
    }
    *list = set.items;
    return true;
}

/* ---- order ---- */

static bool compare_quantities(const struct fhirpath_item *a, const struct fhirpath_item *b, int *order,
                               bool *known)
{
    struct fhirpath_quantity left = { 0 };
    struct fhirpath_quantity right = { 0 };
    if (!quantity_of(a, &left) || !quantity_of(b, &right)) {
        return false;
    }
    *known = units_compare(&left, &right, order) == UNITS_KNOWN;
    return true;
}

bool item_compare(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b, int *order,
                  bool *known)
{
    struct fhirpath_item left = { 0 };
    struct fhirpath_item right = { 0 };
    both_to_system(&(struct comparison){ .arena = run->arena, .run = run }, a, b, &left, &right);
    *known = true;
    if (is_number(&left) && is_number(&right)) {
        *order = decimal_compare(number_of(&left), number_of(&right));
        return true;
    }
    if (left.kind == FHIRPATH_STRING && right.kind == FHIRPATH_STRING) {
        *order = str_compare(left.string, right.string);
        return true;
    }
    if ((is_moment(&left) && is_moment(&right)) ||
        (left.kind == FHIRPATH_TIME && right.kind == FHIRPATH_TIME)) {
        *known = datetime_compare(&left.time, &right.time, run_zone(run->context), order);
        return true;
    }
    if (left.kind == FHIRPATH_QUANTITY || right.kind == FHIRPATH_QUANTITY) {
        return compare_quantities(&left, &right, order, known);
    }
    return false;
}
