/* One evaluation: the walk over the compiled form. */
#include "base/limits.h"
#include "fhirpath/engine.h"
#include "fhirpath/regex.h"
#include "fhirpath/types.h"

/* ---- logic ---- */

static enum truth logic_and(enum truth a, enum truth b)
{
    if (a == TRUTH_FALSE || b == TRUTH_FALSE) {
        return TRUTH_FALSE;
    }
    return a == TRUTH_EMPTY || b == TRUTH_EMPTY ? TRUTH_EMPTY : TRUTH_TRUE;
}

static enum truth logic_not(enum truth a)
{
    return a == TRUTH_EMPTY ? TRUTH_EMPTY : (a == TRUTH_TRUE ? TRUTH_FALSE : TRUTH_TRUE);
}

static enum truth logic_or(enum truth a, enum truth b)
{
    return logic_not(logic_and(logic_not(a), logic_not(b)));
}

static enum truth logic_xor(enum truth a, enum truth b)
{
    if (a == TRUTH_EMPTY || b == TRUTH_EMPTY) {
        return TRUTH_EMPTY;
    }
    return a != b ? TRUTH_TRUE : TRUTH_FALSE;
}

static bool add_truth(struct run *run, struct list *out, enum truth truth, struct error *error)
{
    return truth == TRUTH_EMPTY || list_add_boolean(run, out, truth == TRUTH_TRUE, error);
}

/* The right side is left out where the left decides; N1 does not promise it, and nothing can tell. */
static bool evaluate_logic(struct run *run, const struct expression *expression, const struct scope *scope,
                           struct list *out, struct error *error)
{
    struct list left = { 0 };
    struct list right = { 0 };
    enum truth a = TRUTH_EMPTY;
    enum truth b = TRUTH_EMPTY;
    if (!evaluate(run, expression->parts[0], scope, &left, error) ||
        !list_truth(run, expression, &left, &a, error)) {
        return false;
    }
    bool decided = (expression->operation == OPERATION_AND && a == TRUTH_FALSE) ||
                   (expression->operation == OPERATION_OR && a == TRUTH_TRUE) ||
                   (expression->operation == OPERATION_IMPLIES && a == TRUTH_FALSE);
    if (!decided && (!evaluate(run, expression->parts[1], scope, &right, error) ||
                     !list_truth(run, expression, &right, &b, error))) {
        return false;
    }
    enum truth truth = expression->operation == OPERATION_AND   ? logic_and(a, b)
                       : expression->operation == OPERATION_OR  ? logic_or(a, b)
                       : expression->operation == OPERATION_XOR ? logic_xor(a, b)
                                                                : logic_or(logic_not(a), b);
    return add_truth(run, out, truth, error);
}

/* ---- operators ---- */

static bool evaluate_order(const struct operands *operands, struct error *error)
{
    const struct expression *expression = operands->expression;
    const struct list *left = operands->left;
    const struct list *right = operands->right;
    if (left->count == 0 || right->count == 0) {
        return true;
    }
    if (left->count > 1 || right->count > 1) {
        return run_fail(operands->run, expression, "more than one item to compare", error);
    }
    int order = 0;
    bool known = false;
    if (!item_compare(operands->run, &left->items[0], &right->items[0], &order, &known)) {
        return run_fail(operands->run, expression, "values of these types have no order", error);
    }
    if (!known) {
        return true;
    }
    bool holds = expression->operation == OPERATION_LESS         ? order < 0
                 : expression->operation == OPERATION_LESS_EQUAL ? order <= 0
                 : expression->operation == OPERATION_GREATER    ? order > 0
                                                                 : order >= 0;
    return list_add_boolean(operands->run, operands->out, holds, error);
}

static bool evaluate_membership(const struct operands *operands, struct error *error)
{
    bool is_in = operands->expression->operation == OPERATION_IN;
    const struct list *item = is_in ? operands->left : operands->right;
    const struct list *list = is_in ? operands->right : operands->left;
    if (item->count == 0) {
        return true;
    }
    if (item->count > 1) {
        return run_fail(operands->run, operands->expression, "one item can be looked for, not more", error);
    }
    return run_spend(operands->run, list->count, error) &&
           list_add_boolean(operands->run, operands->out, list_contains(operands->run, list, &item->items[0]),
                            error);
}

/* `system = 'http://loinc.org'` on an element whose type says what "system" is: no list is needed. False: not of that
 * form, or not as plain as that. */
static bool equal_at_once(const struct expression *expression, const struct scope *scope, enum truth *truth)
{
    const struct expression *path = expression->parts[0];
    const struct expression *literal = expression->parts[1];
    const struct fhirpath_item *self = scope->self;
    if (expression->operation != OPERATION_EQUAL || path->kind != EXPRESSION_PATH || path->parts_count != 1 ||
        path->branch != 0 || path->parts[0]->kind != EXPRESSION_MEMBER || path->parts[0]->type != NULL ||
        literal->kind != EXPRESSION_LITERAL || literal->literal.kind != FHIRPATH_STRING || self == NULL ||
        self->kind != FHIRPATH_NODE || self->type == NULL || self->node.value == NULL ||
        self->node.value->kind != JSON_OBJECT) {
        return false;
    }
    struct str name = path->parts[0]->name;
    const struct model_element *element = model_element_find(self->type, name);
    const struct json *value = json_member(self->node.value, name);
    if (element == NULL || element->choice.len > 0 || element->type->kind != MODEL_PRIMITIVE ||
        value == NULL || value->kind != JSON_STRING || value->escaped ||
        type_system_kind(element->type) != FHIRPATH_STRING) {
        return false;
    }
    *truth = str_equal(value->raw, literal->literal.string) ? TRUTH_TRUE : TRUTH_FALSE;
    return true;
}

static bool evaluate_binary(struct run *run, const struct expression *expression, const struct scope *scope,
                            struct list *out, struct error *error)
{
    enum { PLAIN_STEPS = 4 }; /* two terms, two items */
    enum truth plain = TRUTH_EMPTY;
    if (expression->operation >= OPERATION_AND) {
        return evaluate_logic(run, expression, scope, out, error);
    }
    if (equal_at_once(expression, scope, &plain)) {
        return run_spend(run, PLAIN_STEPS, error) && add_truth(run, out, plain, error);
    }
    struct list left = { 0 };
    struct list right = { 0 };
    if (!evaluate(run, expression->parts[0], scope, &left, error) ||
        !evaluate(run, expression->parts[1], scope, &right, error)) {
        return false;
    }
    const struct operands operands = {
        .run = run, .expression = expression, .left = &left, .right = &right, .out = out
    };
    enum truth truth = TRUTH_EMPTY;
    switch (expression->operation) {
    case OPERATION_EQUAL:
        truth = list_equal(run, &left, &right);
        break;
    case OPERATION_NOT_EQUAL:
        truth = logic_not(list_equal(run, &left, &right));
        break;
    case OPERATION_EQUIVALENT:
        truth = list_equivalent(run, &left, &right) ? TRUTH_TRUE : TRUTH_FALSE;
        break;
    case OPERATION_NOT_EQUIVALENT:
        truth = list_equivalent(run, &left, &right) ? TRUTH_FALSE : TRUTH_TRUE;
        break;
    case OPERATION_LESS:
    case OPERATION_LESS_EQUAL:
    case OPERATION_GREATER:
    case OPERATION_GREATER_EQUAL:
        return evaluate_order(&operands, error);
    case OPERATION_IN:
    case OPERATION_CONTAINS:
        return evaluate_membership(&operands, error);
    default:
        return evaluate_arithmetic(&operands, error);
    }
    return run_spend(run, left.count + right.count, error) && add_truth(run, out, truth, error);
}

static bool evaluate_union(struct run *run, const struct expression *expression, const struct scope *scope,
                           struct list *out, struct error *error)
{
    struct list all = { 0 };
    for (uint32_t i = 0; i < expression->parts_count; i++) {
        struct list part = { 0 };
        if (!evaluate(run, expression->parts[i], scope, &part, error) ||
            !list_add_all(run, &all, &part, error)) {
            return false;
        }
    }
    return list_add_distinct(run, out, &all, error);
}

static bool evaluate_type(struct run *run, const struct expression *expression, const struct scope *scope,
                          struct list *out, struct error *error)
{
    struct list in = { 0 };
    return evaluate(run, expression->parts[0], scope, &in, error) &&
           (expression->operation == OPERATION_IS ? type_is(run, expression, &in, out, error)
                                                  : type_as(run, expression, &in, out, error));
}

/* ---- terms and paths ---- */

static bool evaluate_item_at(struct call *call, struct error *error)
{
    struct list index = { 0 };
    if (!evaluate(call->run, call->expression->parts[0], call->scope, &index, error)) {
        return false;
    }
    if (index.count == 0) {
        return true;
    }
    struct fhirpath_item value = run_value(call->run, &index.items[0]);
    if (index.count > 1 || value.kind != FHIRPATH_INTEGER) {
        return call_fail(call, "the index must be one integer", error);
    }
    if (value.integer < 0 || (uint64_t)value.integer >= call->in->count) {
        return true;
    }
    *call->out = (struct list){ .items = call->in->items + value.integer, .count = 1 };
    return true;
}

static bool evaluate_member(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        if (!node_children_named(call->run, &call->in->items[i], call->expression->name, call->out, error)) {
            return false;
        }
    }
    return true;
}

static bool evaluate_step(struct call *call, struct error *error)
{
    *call->out = (struct list){ 0 };
    if (!run_spend(call->run, 1, error)) {
        return false;
    }
    if (call->expression->kind == EXPRESSION_MEMBER) {
        return evaluate_member(call, error);
    }
    if (call->expression->kind == EXPRESSION_ITEM) {
        return evaluate_item_at(call, error);
    }
    assert(call->expression->kind == EXPRESSION_CALL);
    return call->expression->function->run(call, error);
}

static struct list list_of_self(const struct scope *scope)
{
    /* A list never changes an item that it does not own, so the cast loses nothing. */
    return (struct list){ .items = (struct fhirpath_item *)(uintptr_t)scope->self,
                          .count = scope->self == NULL ? 0 : 1 };
}

static bool evaluate_path(struct run *run, const struct expression *path, const struct scope *scope,
                          struct list *out, struct error *error)
{
    struct list list = { 0 };
    uint32_t first = 1;
    const struct expression *head = path->parts[0];
    if (path->branch != 0 && run->branches != NULL) {
        const struct list *found = &run->branches[path->branch - 1]; /* shared, so without its capacity */
        list = (struct list){ .items = found->items, .count = found->count };
        first = path->branch_parts;
    } else if (head->kind == EXPRESSION_MEMBER || head->kind == EXPRESSION_CALL) {
        list = list_of_self(scope);
        /* N1 2.1.1: a path may begin with the name of the type it starts from. */
        bool is_type_name = head->kind == EXPRESSION_MEMBER && head->type != NULL && scope->self != NULL &&
                            scope->self->kind == FHIRPATH_NODE &&
                            type_descends(scope->self->type, head->type);
        first = is_type_name ? 1 : 0;
    } else if (!evaluate(run, head, scope, &list, error)) {
        return false;
    }
    struct scope inner = *scope; /* with the variables that the path's own steps define */
    for (uint32_t i = first; i < path->parts_count; i++) {
        const struct expression *step = path->parts[i];
        struct list next = { 0 };
        struct call call = { .run = run, .expression = step, .scope = &inner, .in = &list, .out = &next };
        bool defines = step->kind == EXPRESSION_CALL && (step->function->flags & FUNCTION_DEFINES) != 0;
        if (!(defines ? define_variable(&call, &inner, error) : evaluate_step(&call, error))) {
            return false;
        }
        list = next;
    }
    *out = list;
    return true;
}

static bool evaluate_term(struct run *run, const struct expression *expression, const struct scope *scope,
                          struct list *out, struct error *error)
{
    switch ((enum expression_kind)expression->kind) {
    case EXPRESSION_EMPTY:
        return true;
    case EXPRESSION_LITERAL:
        /* Shared and never changed, as in list_of_self. */
        *out = (struct list){ .items = (struct fhirpath_item *)(uintptr_t)&expression->literal, .count = 1 };
        return true;
    case EXPRESSION_REFUSED:
        return run_fail(run, expression, "a time of day has no zone", error);
    case EXPRESSION_THIS:
        *out = list_of_self(scope);
        return true;
    case EXPRESSION_INDEX:
        return scope->index < 0 ? run_fail(run, expression, "$index has no meaning here", error)
                                : list_add_integer(run, out, scope->index, error);
    case EXPRESSION_TOTAL:
        if (scope->total != NULL) {
            *out = (struct list){ .items = scope->total->items, .count = scope->total->count };
        }
        return true;
    case EXPRESSION_VARIABLE:
        return evaluate_variable(run, expression, scope, out, error);
    case EXPRESSION_PATH:
    case EXPRESSION_MEMBER:
    case EXPRESSION_CALL:
    case EXPRESSION_ITEM:
    case EXPRESSION_NEGATE:
    case EXPRESSION_PLUS:
    case EXPRESSION_BINARY:
    case EXPRESSION_UNION:
    case EXPRESSION_TYPE:
        break;
    }
    return FAIL(error, ERROR_INTERNAL, "a step stands where a term must be");
}

bool evaluate(struct run *run, const struct expression *expression, const struct scope *scope,
              struct list *out, struct error *error)
{
    assert(expression != NULL);
    *out = (struct list){ 0 };
    struct list in = { 0 };
    switch ((enum expression_kind)expression->kind) {
    case EXPRESSION_PATH:
        return evaluate_path(run, expression, scope, out, error);
    case EXPRESSION_BINARY:
        return evaluate_binary(run, expression, scope, out, error);
    case EXPRESSION_UNION:
        return evaluate_union(run, expression, scope, out, error);
    case EXPRESSION_TYPE:
        return evaluate_type(run, expression, scope, out, error);
    case EXPRESSION_NEGATE:
    case EXPRESSION_PLUS:
        return evaluate(run, expression->parts[0], scope, &in, error) &&
               evaluate_sign(run, expression, &in, out, error);
    case EXPRESSION_EMPTY:
    case EXPRESSION_LITERAL:
    case EXPRESSION_REFUSED:
    case EXPRESSION_THIS:
    case EXPRESSION_INDEX:
    case EXPRESSION_TOTAL:
    case EXPRESSION_VARIABLE:
    case EXPRESSION_MEMBER:
    case EXPRESSION_CALL:
    case EXPRESSION_ITEM:
        break;
    }
    return run_spend(run, 1, error) && evaluate_term(run, expression, scope, out, error);
}

/* ---- the public doors ---- */

bool fhirpath_evaluate(const struct fhirpath *path, struct fhirpath_context *context,
                       const struct fhirpath_item *input, struct fhirpath_collection *result,
                       struct error *error)
{
    assert(path != NULL);
    assert(context != NULL);
    assert(context->arena != NULL);
    const struct list *branches = grown_lists(context->grown, path, input);
    if (branches != NULL && path->hollow && !context->strict && grown_is_bare(branches, path->root)) {
        context->steps = 0;
        *result = (struct fhirpath_collection){ 0 };
        return true;
    }
    const struct expression *root = path->root;
    if (branches != NULL && root->branch != 0 && root->branch_parts == root->parts_count &&
        !context->strict) {
        const struct list *found = &branches[root->branch - 1];
        context->steps = 0;
        *result = (struct fhirpath_collection){ .items = found->items, .count = found->count };
        return true;
    }
    struct fhirpath_item *kept = NULL;
    if (input != NULL) {
        /* Results point at it as their parent, so it must live as long as they do. */
        kept = arena_alloc(context->arena, sizeof *kept);
        if (kept == NULL) {
            return run_out_of_memory(error);
        }
        *kept = *input;
    }
    struct run run = { .path = path,
                       .context = context,
                       .arena = context->arena,
                       .input = kept,
                       .branches = branches,
                       .steps_max = context->steps_max != 0 ? context->steps_max : LIMIT_FHIRPATH_STEPS };
    if (context->strict && kept != NULL &&
        !fhirpath_check(path, context->arena, fhirpath_item_type_name(kept), error)) {
        return false;
    }
    struct scope scope = { .self = kept, .index = -1 };
    struct list out = { 0 };
    bool ok = evaluate(&run, path->root, &scope, &out, error);
    regex_cache_close(run.regex);
    context->steps = run.steps;
    if (ok && run.exhausted) {
        return run_out_of_memory(error);
    }
    if (ok) {
        *result = (struct fhirpath_collection){ .items = out.items, .count = out.count };
    }
    return ok;
}

bool fhirpath_evaluate_on_resource(const struct fhirpath *path, struct fhirpath_context *context,
                                   const struct json *resource, struct fhirpath_collection *result,
                                   struct error *error)
{
    if (resource == NULL) {
        return fhirpath_evaluate(path, context, NULL, result, error);
    }
    const struct json *before = context->resource;
    if (before == NULL) {
        context->resource = resource;
    }
    struct fhirpath_item item = fhirpath_item_of_resource(resource);
    bool ok = fhirpath_evaluate(path, context, &item, result, error);
    context->resource = before;
    return ok;
}

bool fhirpath_test(const struct fhirpath *path, struct fhirpath_context *context,
                   const struct fhirpath_item *input, bool *holds, struct error *error)
{
    struct fhirpath_collection result = { 0 };
    return fhirpath_evaluate(path, context, input, &result, error) &&
           fhirpath_to_boolean(&result, holds, error);
}
