/* engine.h — inside of src/fhirpath: one evaluation, and the table of functions.
 *
 * A list is a collection under construction. Its items never move once another item points at them: a
 * list that grows copies to new memory and the arena keeps the old. A finished list is shared, never changed. */
#ifndef SHANHAI_FHIRPATH_ENGINE_H
#define SHANHAI_FHIRPATH_ENGINE_H

#include "fhirpath/expression.h"

struct model_element;
struct regex_cache;

struct list {
    struct fhirpath_item *items;
    size_t count;
    size_t capacity; /* 0: the items belong to somebody else */
};

/* One evaluation of one expression. */
struct run {
    const struct fhirpath *path;
    struct fhirpath_context *context;
    struct arena *arena;
    const struct fhirpath_item *input; /* %context */
    const struct list *branches;       /* what the walk over the path's trunk found, or NULL */
    struct regex_cache *regex;         /* last pattern compiled, or NULL */
    int64_t now_ms;                    /* 0 until asked for */
    uint32_t steps;
    uint32_t steps_max;
    bool
        exhausted; /* a value could not be made for want of memory and counted as absent: the end is an error */
};

/* What $this, $index and $total mean at a place of the expression. */
struct scope {
    const struct fhirpath_item *self;          /* NULL: nothing */
    int64_t index;                             /* -1: no $index */
    const struct list *total;                  /* NULL: no $total */
    const struct fhirpath_variable *variables; /* of defineVariable, the newest first */
};

/* A call of a function in a path: `in` is what stands before the dot. */
struct call {
    struct run *run;
    const struct expression *expression;
    const struct scope *scope;
    const struct list *in;
    struct list *out; /* empty at first */
};

/* Both sides of an operator. */
struct operands {
    struct run *run;
    const struct expression *expression;
    const struct list *left;
    const struct list *right;
    struct list *out;
};

struct function {
    const char *name;
    uint8_t arguments_min;
    uint8_t arguments_max;
    uint8_t flags; /* FUNCTION_… */
    bool (*run)(struct call *call, struct error *error);
};

enum {
    FUNCTION_TYPE = 1,      /* the argument is a type specifier, kept in type_space and name */
    FUNCTION_ORDER = 2,     /* the order of the input matters */
    FUNCTION_UNORDERED = 4, /* the output has no order */
    FUNCTION_PREDICATE = 8, /* arguments are evaluated once for each item with $this as that item */
    FUNCTION_SORT = 16,     /* arguments may begin with - for "descending", or end with asc or desc */
    FUNCTION_DEFINES = 32,  /* what comes after it in the path sees the variable that it names */
};

/* NULL when there is no function of that name. */
const struct function *function_find(struct str name);

/* ---- lists ---- */
bool list_add(struct run *run, struct list *list, const struct fhirpath_item *item,
              struct error *error) MUST_CHECK;
bool list_add_all(struct run *run, struct list *list, const struct list *more,
                  struct error *error) MUST_CHECK;
bool list_add_boolean(struct run *run, struct list *list, bool value, struct error *error) MUST_CHECK;
bool list_add_integer(struct run *run, struct list *list, int64_t value, struct error *error) MUST_CHECK;
bool list_add_decimal(struct run *run, struct list *list, struct decimal value,
                      struct error *error) MUST_CHECK;
/* STR_NONE is "out of memory". */
bool list_add_string(struct run *run, struct list *list, struct str text, struct error *error) MUST_CHECK;
bool list_add_quantity(struct run *run, struct list *list, struct fhirpath_quantity quantity,
                       struct error *error) MUST_CHECK;
bool run_out_of_memory(struct error *error); /* always false */

/* Counts work against the budget: ERROR_TOO_COSTLY. */
bool run_spend(struct run *run, size_t steps, struct error *error) MUST_CHECK;
int64_t run_now_ms(struct run *run);
/* fhirpath_item_to_system that notices when memory ran out. */
struct fhirpath_item run_value(struct run *run, const struct fhirpath_item *item);

/* ---- evaluation ---- */
bool evaluate(struct run *run, const struct expression *expression, const struct scope *scope,
              struct list *out, struct error *error) MUST_CHECK;

/* ---- variables (variables.c) ---- */
bool evaluate_variable(struct run *run, const struct expression *expression, const struct scope *scope,
                       struct list *out, struct error *error) MUST_CHECK;
/* defineVariable: `inner` is the scope of the steps after it. */
bool define_variable(struct call *call, struct scope *inner, struct error *error) MUST_CHECK;

/* The argument evaluated in the scope of the call. */
bool call_argument(struct call *call, size_t index, struct list *out, struct error *error) MUST_CHECK;
/* The argument evaluated with $this as an item. */
bool call_argument_on(struct call *call, size_t index, const struct scope *scope, struct list *out,
                      struct error *error) MUST_CHECK;
/* The argument as a single value; *given false when it is empty or left out. ERROR_RULE for another kind. */
bool call_string(struct call *call, size_t index, struct str *text, bool *given,
                 struct error *error) MUST_CHECK;
bool call_integer(struct call *call, size_t index, int64_t *value, bool *given,
                  struct error *error) MUST_CHECK;
/* The input as a single System value; *given false when it is empty. ERROR_RULE for more than one item. */
bool call_input(struct call *call, struct fhirpath_item *value, bool *given, struct error *error) MUST_CHECK;
bool call_input_string(struct call *call, struct str *text, bool *given, struct error *error) MUST_CHECK;
/* ERROR_RULE with the function's name and place. Always false. */
bool call_fail(const struct call *call, const char *what, struct error *error);
bool run_fail(const struct run *run, const struct expression *at, const char *what, struct error *error);

/* Three values of logic. */
enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_EMPTY };
/* N1 4.5: empty, one boolean, or one item of another kind as true; ERROR_RULE else. */
bool list_truth(struct run *run, const struct expression *at, const struct list *list, enum truth *truth,
                struct error *error) MUST_CHECK;

/* ---- navigation (navigate.c) ---- */
bool node_children_named(struct run *run, const struct fhirpath_item *item, struct str name, struct list *out,
                         struct error *error) MUST_CHECK;
/* The same for a node of a type that has that element. */
bool node_children_known(struct run *run, const struct fhirpath_item *item, const struct model_element *known,
                         struct list *out, struct error *error) MUST_CHECK;
bool node_children(struct run *run, const struct fhirpath_item *item, struct list *out,
                   struct error *error) MUST_CHECK;
bool node_descendants(struct run *run, const struct list *in, struct list *out,
                      struct error *error) MUST_CHECK;

/* ---- beginnings that paths share (trunk.c) ---- */
/* The lists of a walk from that input over the path's trunk; NULL when it was another or none. */
const struct list *grown_lists(const struct fhirpath_grown *grown, const struct fhirpath *path,
                               const struct fhirpath_item *input);
/* Whether nothing was found for any branch of a hollow expression. */
bool grown_is_bare(const struct list *lists, const struct expression *expression);

/* ---- types (types.c) ---- */
/* Looks up the type that type_space and name say, once, when compiling. */
void type_bind(struct expression *expression);
/* Whether an expression with a type names one that exists. */
bool type_exists(const struct expression *expression);
/* Whether the item is of the type; with `exact` a subtype of a primitive does not count. */
bool item_is_type(const struct fhirpath_item *item, const struct expression *expression, bool exact);

/* `is` and `as` with the type_space and name of the expression. */
bool type_is(struct run *run, const struct expression *expression, const struct list *in, struct list *out,
             struct error *error) MUST_CHECK;
bool type_as(struct run *run, const struct expression *expression, const struct list *in, struct list *out,
             struct error *error) MUST_CHECK;

/* ---- operators (compare.c, arithmetic.c) ---- */
/* a = b by N1 6.1.1. */
enum truth item_equal(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b);
bool item_equivalent(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b);
enum truth list_equal(struct run *run, const struct list *a, const struct list *b);
bool list_equivalent(struct run *run, const struct list *a, const struct list *b);
/* The distinct items of both, in order. */
bool list_add_distinct(struct run *run, struct list *list, const struct list *more,
                       struct error *error) MUST_CHECK;
bool list_contains(struct run *run, const struct list *list, const struct fhirpath_item *item);
/* Order of two values: *known false is empty; false is "cannot be compared". */
bool item_compare(struct run *run, const struct fhirpath_item *a, const struct fhirpath_item *b, int *order,
                  bool *known) MUST_CHECK;
bool evaluate_arithmetic(const struct operands *operands, struct error *error) MUST_CHECK;
/* -x and +x. */
bool evaluate_sign(struct run *run, const struct expression *expression, const struct list *in,
                   struct list *out, struct error *error) MUST_CHECK;

#endif
