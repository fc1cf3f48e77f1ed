/* Existence, filtering, subsetting, combining (N1 5.1 to 5.4), and the iterations. */
#include "fhirpath/functions.h"
#include "fhirpath/set.h"

bool function_empty(struct call *call, struct error *error)
{
    return list_add_boolean(call->run, call->out, call->in->count == 0, error);
}

/* Evaluates argument 0 as a condition on one item. */
static bool condition(struct call *call, size_t index, enum truth *truth, struct error *error)
{
    struct scope scope = { .self = &call->in->items[index],
                           .index = (int64_t)index,
                           .total = call->scope->total,
                           .variables = call->scope->variables };
    struct list list = { 0 };
    return call_argument_on(call, 0, &scope, &list, error) &&
           list_truth(call->run, call->expression, &list, truth, error);
}

bool function_exists(struct call *call, struct error *error)
{
    bool found = call->in->count > 0;
    if (call->expression->parts_count == 1) {
        found = false;
        for (size_t i = 0; i < call->in->count && !found; i++) {
            enum truth truth = TRUTH_EMPTY;
            if (!condition(call, i, &truth, error)) {
                return false;
            }
            found = truth == TRUTH_TRUE;
        }
    }
    return list_add_boolean(call->run, call->out, found, error);
}

bool function_all(struct call *call, struct error *error)
{
    bool all = true;
    for (size_t i = 0; i < call->in->count && all; i++) {
        enum truth truth = TRUTH_EMPTY;
        if (!condition(call, i, &truth, error)) {
            return false;
        }
        all = truth == TRUTH_TRUE;
    }
    return list_add_boolean(call->run, call->out, all, error);
}

/* Whether all (or any) items are `wanted`. */
static bool over_booleans(struct call *call, bool wanted, bool need_all, struct error *error)
{
    bool result = need_all;
    for (size_t i = 0; i < call->in->count; i++) {
        struct fhirpath_item value = run_value(call->run, &call->in->items[i]);
        if (value.kind != FHIRPATH_BOOLEAN) {
            return call_fail(call, "every item must be a boolean", error);
        }
        if (value.boolean == wanted && !need_all) {
            result = true;
        } else if (value.boolean != wanted && need_all) {
            result = false;
        }
    }
    return list_add_boolean(call->run, call->out, result, error);
}

bool function_all_true(struct call *call, struct error *error)
{
    return over_booleans(call, true, true, error);
}

bool function_any_true(struct call *call, struct error *error)
{
    return over_booleans(call, true, false, error);
}

bool function_all_false(struct call *call, struct error *error)
{
    return over_booleans(call, false, true, error);
}

bool function_any_false(struct call *call, struct error *error)
{
    return over_booleans(call, false, false, error);
}

static bool is_subset(struct call *call, const struct list *part, const struct list *whole, bool *answer,
                      struct error *error)
{
    struct item_set set = { .run = call->run };
    *answer = true;
    if (!item_set_add_all(&set, whole, error)) {
        return false;
    }
    for (size_t i = 0; i < part->count && *answer; i++) {
        if (!item_set_has(&set, &part->items[i], answer, error)) {
            return false;
        }
    }
    return true;
}

bool function_subset_of(struct call *call, struct error *error)
{
    struct list other = { 0 };
    bool answer = false;
    return call_argument(call, 0, &other, error) && is_subset(call, call->in, &other, &answer, error) &&
           list_add_boolean(call->run, call->out, answer, error);
}

bool function_superset_of(struct call *call, struct error *error)
{
    struct list other = { 0 };
    bool answer = false;
    return call_argument(call, 0, &other, error) && is_subset(call, &other, call->in, &answer, error) &&
           list_add_boolean(call->run, call->out, answer, error);
}

bool function_count(struct call *call, struct error *error)
{
    return list_add_integer(call->run, call->out, (int64_t)call->in->count, error);
}

bool function_distinct(struct call *call, struct error *error)
{
    return list_add_distinct(call->run, call->out, call->in, error);
}

bool function_is_distinct(struct call *call, struct error *error)
{
    struct list distinct = { 0 };
    return list_add_distinct(call->run, &distinct, call->in, error) &&
           list_add_boolean(call->run, call->out, distinct.count == call->in->count, error);
}

/* ---- filtering and projection ---- */

bool function_where(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        enum truth truth = TRUTH_EMPTY;
        if (!condition(call, i, &truth, error)) {
            return false;
        }
        if (truth == TRUTH_TRUE && !list_add(call->run, call->out, &call->in->items[i], error)) {
            return false;
        }
    }
    return true;
}

bool function_select(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        struct scope scope = { .self = &call->in->items[i],
                               .index = (int64_t)i,
                               .total = call->scope->total,
                               .variables = call->scope->variables };
        struct list list = { 0 };
        if (!call_argument_on(call, 0, &scope, &list, error) ||
            !list_add_all(call->run, call->out, &list, error)) {
            return false;
        }
    }
    return true;
}

/* N1 5.2.3: a result that is there already is not taken again, so it ends on a tree; the step budget ends
 * the rest (`repeat('a' & $this)`, repeatAll($this)). */
static bool repeat(struct call *call, bool distinct, struct error *error)
{
    struct item_set all = { .run = call->run };
    const struct list *from = call->in;
    size_t done = 0;
    bool first = true;
    while (first || done < all.items.count) {
        size_t end = from->count;
        for (size_t i = done; i < end; i++) {
            struct scope scope = { .self = &from->items[i],
                                   .index = (int64_t)i,
                                   .total = call->scope->total,
                                   .variables = call->scope->variables };
            struct list found;
            if (!call_argument_on(call, 0, &scope, &found, error)) {
                return false;
            }
            bool ok = distinct ? item_set_add_all(&all, &found, error)
                               : list_add_all(call->run, &all.items, &found, error);
            if (!ok) {
                return false;
            }
        }
        done = first ? 0 : end;
        first = false;
        from = &all.items;
    }
    *call->out = all.items;
    return true;
}

bool function_repeat(struct call *call, struct error *error)
{
    return repeat(call, true, error);
}

bool function_repeat_all(struct call *call, struct error *error)
{
    return repeat(call, false, error);
}

bool function_aggregate(struct call *call, struct error *error)
{
    struct list total = { 0 };
    if (!call_argument(call, 1, &total, error)) {
        return false;
    }
    for (size_t i = 0; i < call->in->count; i++) {
        struct scope scope = { .self = &call->in->items[i],
                               .index = (int64_t)i,
                               .total = &total,
                               .variables = call->scope->variables };
        struct list next = { 0 };
        if (!call_argument_on(call, 0, &scope, &next, error)) {
            return false;
        }
        total = next;
    }
    *call->out = (struct list){ .items = total.items, .count = total.count };
    return true;
}

/* ---- subsetting ---- */

static bool take_range(struct call *call, size_t from, size_t to)
{
    to = to > call->in->count ? call->in->count : to;
    if (from < to) {
        *call->out = (struct list){ .items = call->in->items + from, .count = to - from };
    }
    return true;
}

bool function_single(struct call *call, struct error *error)
{
    if (call->in->count > 1) {
        return call_fail(call, "there is more than one item", error);
    }
    return take_range(call, 0, 1);
}

bool function_first(struct call *call, struct error *error)
{
    (void)error;
    return take_range(call, 0, 1);
}

bool function_last(struct call *call, struct error *error)
{
    (void)error;
    return take_range(call, call->in->count == 0 ? 0 : call->in->count - 1, call->in->count);
}

bool function_tail(struct call *call, struct error *error)
{
    (void)error;
    return take_range(call, 1, call->in->count);
}

/* N1 4.4: an empty argument makes an empty result. */
static bool count_argument(struct call *call, size_t *count, bool *given, struct error *error)
{
    int64_t value = 0;
    if (!call_integer(call, 0, &value, given, error)) {
        return false;
    }
    *count = value < 0 ? 0 : (size_t)value;
    return true;
}

bool function_skip(struct call *call, struct error *error)
{
    size_t count = 0;
    bool given = false;
    return count_argument(call, &count, &given, error) &&
           (!given || take_range(call, count, call->in->count));
}

bool function_take(struct call *call, struct error *error)
{
    size_t count = 0;
    bool given = false;
    return count_argument(call, &count, &given, error) && (!given || take_range(call, 0, count));
}

/* ---- combining ---- */

/* The items of the input that are in the argument, or that are not. */
static bool keep_by_other(struct call *call, bool wanted, struct list *kept, struct error *error)
{
    struct list other = { 0 };
    struct item_set set = { .run = call->run };
    if (!call_argument(call, 0, &other, error) || !item_set_add_all(&set, &other, error)) {
        return false;
    }
    for (size_t i = 0; i < call->in->count; i++) {
        bool has = false;
        if (!item_set_has(&set, &call->in->items[i], &has, error) ||
            (has == wanted && !list_add(call->run, kept, &call->in->items[i], error))) {
            return false;
        }
    }
    return true;
}

bool function_intersect(struct call *call, struct error *error)
{
    struct list both = { 0 };
    return keep_by_other(call, true, &both, error) && list_add_distinct(call->run, call->out, &both, error);
}

bool function_exclude(struct call *call, struct error *error)
{
    return keep_by_other(call, false, call->out, error);
}

bool function_union(struct call *call, struct error *error)
{
    struct list other = { 0 };
    return call_argument(call, 0, &other, error) &&
           list_add_distinct(call->run, call->out, call->in, error) &&
           list_add_distinct(call->run, call->out, &other, error);
}

bool function_combine(struct call *call, struct error *error)
{
    struct list other = { 0 };
    struct list all = { 0 };
    if (!call_argument(call, 0, &other, error) || !list_add_all(call->run, &all, call->in, error) ||
        !list_add_all(call->run, &all, &other, error)) {
        return false;
    }
    *call->out = all;
    return true;
}

/* ---- conditions ---- */

/* N1 5.5.1. As a method, $this is its input, which may be one item at most. */
bool function_iif(struct call *call, struct error *error)
{
    struct scope scope = *call->scope;
    if (call->in->count > 1) {
        return call_fail(call, "the input must be one item at most", error);
    }
    if (call->in->count == 1) {
        scope.self = &call->in->items[0];
    }
    struct list criterion = { 0 };
    if (!call_argument_on(call, 0, &scope, &criterion, error)) {
        return false;
    }
    enum truth truth = TRUTH_EMPTY;
    if (criterion.count == 1) {
        struct fhirpath_item value = run_value(call->run, &criterion.items[0]);
        if (value.kind != FHIRPATH_BOOLEAN) {
            return call_fail(call, "the criterion must be a boolean", error);
        }
    }
    if (!list_truth(call->run, call->expression, &criterion, &truth, error)) {
        return false;
    }
    struct list result = { 0 };
    if (!call_argument_on(call, truth == TRUTH_TRUE ? 1 : 2, &scope, &result, error)) {
        return false;
    }
    *call->out = result;
    return true;
}

/* Trial use: the first argument that is not empty; those after it are not evaluated. */
bool function_coalesce(struct call *call, struct error *error)
{
    struct list found = { 0 };
    for (size_t i = 0; i < call->expression->parts_count && found.count == 0; i++) {
        if (!call_argument(call, i, &found, error)) {
            return false;
        }
    }
    *call->out = found;
    return true;
}

bool function_not(struct call *call, struct error *error)
{
    enum truth truth = TRUTH_EMPTY;
    if (!list_truth(call->run, call->expression, call->in, &truth, error)) {
        return false;
    }
    return truth == TRUTH_EMPTY || list_add_boolean(call->run, call->out, truth == TRUTH_FALSE, error);
}

/* ---- sorting (trial use): sort(), sort(key), sort(-key, key2) ---- */

struct sort_row {
    const struct fhirpath_item *item;
    const struct fhirpath_item *keys; /* one a key; kind FHIRPATH_NODE with nothing: no key */
};

enum { SORT_KEYS_MAX = 16 };

static bool is_descending(const struct call *call, size_t key)
{
    return key < call->expression->parts_count && call->expression->parts[key]->kind == EXPRESSION_NEGATE;
}

static bool sort_key(struct call *call, size_t key, const struct scope *scope, struct fhirpath_item *out,
                     struct error *error)
{
    struct list list = { 0 };
    if (key >= call->expression->parts_count) {
        *out = *scope->self;
        return true;
    }
    const struct expression *expression = call->expression->parts[key];
    expression = is_descending(call, key) ? expression->parts[0] : expression;
    if (!evaluate(call->run, expression, scope, &list, error)) {
        return false;
    }
    if (list.count > 1) {
        return call_fail(call, "a key gives more than one item", error);
    }
    *out = (struct fhirpath_item){ .kind = FHIRPATH_NODE };
    if (list.count == 1) {
        *out = list.items[0];
    }
    return true;
}

static bool has_key(const struct fhirpath_item *key)
{
    return key->kind != FHIRPATH_NODE || key->node.value != NULL;
}

/* Items without a key come first, in both directions. */
static bool compare_rows(struct call *call, const struct sort_row *a, const struct sort_row *b, int *order,
                         struct error *error)
{
    size_t keys = call->expression->parts_count == 0 ? 1 : call->expression->parts_count;
    *order = 0;
    for (size_t i = 0; i < keys && *order == 0; i++) {
        bool known = true;
        if (!has_key(&a->keys[i]) || !has_key(&b->keys[i])) {
            *order = (has_key(&a->keys[i]) ? 1 : 0) - (has_key(&b->keys[i]) ? 1 : 0);
            continue;
        }
        if (!item_compare(call->run, &a->keys[i], &b->keys[i], order, &known)) {
            return call_fail(call, "values of these types have no order", error);
        }
        *order = known ? (is_descending(call, i) ? -*order : *order) : 0;
    }
    return true;
}

/* Stable merge of rows[from, middle) and rows[middle, to) through `spare`. */
static bool merge(struct call *call, struct sort_row *rows, struct sort_row *spare, const size_t bounds[3],
                  struct error *error)
{
    size_t left = bounds[0];
    size_t right = bounds[1];
    for (size_t i = bounds[0]; i < bounds[2]; i++) {
        int order = 0;
        if (left < bounds[1] && right < bounds[2] &&
            (!run_spend(call->run, 1, error) ||
             !compare_rows(call, &rows[left], &rows[right], &order, error))) {
            return false;
        }
        bool take_left = right == bounds[2] || (left < bounds[1] && order <= 0);
        spare[i] = take_left ? rows[left++] : rows[right++];
    }
    memcpy(rows + bounds[0], spare + bounds[0], (bounds[2] - bounds[0]) * sizeof *rows);
    return true;
}

bool function_sort(struct call *call, struct error *error)
{
    size_t count = call->in->count;
    size_t keys = call->expression->parts_count == 0 ? 1 : call->expression->parts_count;
    struct sort_row *rows = ARENA_ARRAY(call->run->arena, struct sort_row, count * 2 + 1);
    struct fhirpath_item *values = ARENA_ARRAY(call->run->arena, struct fhirpath_item, count * keys + 1);
    if (rows == NULL || values == NULL) {
        return run_out_of_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        struct scope scope = { .self = &call->in->items[i],
                               .index = (int64_t)i,
                               .variables = call->scope->variables };
        for (size_t key = 0; key < keys; key++) {
            if (!sort_key(call, key, &scope, &values[i * keys + key], error)) {
                return false;
            }
        }
        rows[i] = (struct sort_row){ .item = scope.self, .keys = &values[i * keys] };
    }
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t from = 0; from + width < count; from += 2 * width) {
            size_t to = from + 2 * width < count ? from + 2 * width : count;
            if (!merge(call, rows, rows + count, (const size_t[]){ from, from + width, to }, error)) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!list_add(call->run, call->out, rows[i].item, error)) {
            return false;
        }
    }
    return true;
}
