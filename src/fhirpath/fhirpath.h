/* fhirpath.h — FHIRPath (N1 normative, the FHIR R4 additions, and the trial-use functions that the
 * official cases use) on the JSON tree: compiled once, evaluated on a tree in an arena.
 *
 *     struct fhirpath *path = fhirpath_compile(&arena, STR("name.where(use = 'official').family"), error);
 *     struct fhirpath_context context = { .arena = request_arena };
 *     struct fhirpath_collection result;
 *     if (!fhirpath_evaluate_on_resource(path, &context, resource, &result, error)) …
 *
 * The compiled form lives in the arena given to compile, points into a copy of the expression kept there,
 * and never changes: any number of threads may evaluate it at once, each with a context of its own.
 * Results live in the context's arena and point into the resource's tree, which must outlive them.
 *
 * Errors: ERROR_STRUCTURE is a syntax error (with line and column), ERROR_INPUT a semantic one (unknown
 * function, unknown type, wrong number of arguments, in strict mode an unknown element), ERROR_RULE an
 * error of execution (two items where one is allowed, a text where a number is needed),
 * ERROR_TOO_LARGE and ERROR_TOO_COSTLY a limit. Texts name functions and types, never a value. */
#ifndef SHANHAI_FHIRPATH_FHIRPATH_H
#define SHANHAI_FHIRPATH_FHIRPATH_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "fhirpath/decimal.h"
#include "json/json.h"

struct model_type;
struct fhirpath;
struct fhirpath_grown;
struct fhirpath_item;
struct fhirpath_trunk;

enum fhirpath_kind {
    FHIRPATH_NODE, /* an element or resource of the tree */
    FHIRPATH_BOOLEAN,
    FHIRPATH_INTEGER,
    FHIRPATH_DECIMAL,
    FHIRPATH_STRING,
    FHIRPATH_DATE,
    FHIRPATH_DATETIME,
    FHIRPATH_TIME,
    FHIRPATH_QUANTITY,
    FHIRPATH_TYPE, /* what type() gives: namespace and name */
};

enum fhirpath_precision {
    FHIRPATH_YEAR,
    FHIRPATH_MONTH,
    FHIRPATH_DAY,
    FHIRPATH_HOUR,
    FHIRPATH_MINUTE,
    FHIRPATH_SECOND,
    FHIRPATH_FRACTION
};

/* A date, dateTime or time as far as it is known: parts after `precision` are 0 (month and day 1). */
struct fhirpath_time {
    int16_t year;
    uint8_t month;
    uint8_t day;
    uint8_t hour;
    uint8_t minute;
    uint8_t second;
    uint8_t precision;       /* enum fhirpath_precision */
    uint32_t nanosecond;     /* more than nine digits are cut */
    uint8_t fraction_digits; /* as written: 0 … 9 */
    bool has_zone;
    int16_t offset_minutes;
};

struct fhirpath_quantity {
    struct decimal value;
    struct str unit; /* UCUM code, or a calendar word: "year", "month" … always singular; "1" for none */
    bool calendar;
};

struct fhirpath_node {
    const struct json *value;  /* NULL: a primitive that has only extensions or an id */
    const struct json *extra;  /* the member "_name" beside a primitive, or NULL */
    const struct json *member; /* the member of the parent that holds it (its array), NULL at a root */
    const struct fhirpath_item *parent; /* NULL at a root */
};

struct fhirpath_item {
    uint8_t kind;                  /* enum fhirpath_kind */
    bool is_list;                  /* FHIRPATH_NODE: one of an array, at `index` */
    uint32_t index;                /* position in that array */
    const struct model_type *type; /* FHIRPATH_NODE: model/model.h; NULL when not known */
    union {
        struct fhirpath_node node;
        bool boolean;
        int64_t integer;
        struct decimal decimal;
        struct str string;
        struct fhirpath_time time; /* FHIRPATH_DATE, _DATETIME, _TIME */
        const struct fhirpath_quantity *quantity;
        struct {
            struct str space; /* "System" or "FHIR" */
            struct str name;
        } info; /* FHIRPATH_TYPE */
    };
};

struct fhirpath_collection {
    const struct fhirpath_item *items;
    size_t count;
};

/* A name of the caller: %task, %post … Links of a list that the caller keeps (often on its stack). */
struct fhirpath_variable {
    const struct fhirpath_variable *next;
    struct str name; /* without % */
    struct fhirpath_collection value;
};

/* What only a later floor can answer. Each function may be NULL. They return false on an error. */
struct fhirpath_host {
    void *data;
    /* *resource stays NULL when the reference leads nowhere the caller may see. */
    bool (*resolve)(void *data, struct arena *arena, struct str reference, const struct json **resource,
                    struct error *error);
    /* `item` is a code, string, Coding, CodeableConcept or Quantity. *known false: the value set is not known. */
    bool (*member_of)(void *data, const struct fhirpath_item *item, struct str value_set, bool *known,
                      bool *is_member, struct error *error);
    bool (*conforms_to)(void *data, const struct fhirpath_item *item, struct str profile, bool *known,
                        bool *conforms, struct error *error);
};

/* One evaluation after the other, one thread at a time. Zeroed but for `arena` is a ready context. */
struct fhirpath_context {
    struct arena *arena;
    const struct json *resource;      /* %resource; NULL: the input of evaluate_on_resource */
    const struct json *root_resource; /* %rootResource (container of a contained one); NULL: as %resource */
    const struct fhirpath_variable *variables;
    const struct fhirpath_host *host;   /* NULL: none of its functions */
    const struct fhirpath_grown *grown; /* of fhirpath_trunk_walk; NULL: each path walks by itself */
    int64_t now_ms;                     /* now() and today(); 0: the clock, read once for an evaluation */
    int offset_minutes;                 /* zone of now(); with has_offset also of times written without one */
    bool has_offset;    /* false: a time without zone compares to one with a zone only when sure */
    bool strict;        /* unknown elements are errors (fhirpath_check runs before) */
    bool as_filters;    /* `as` on many items keeps those of the type: R4 search parameters */
    bool joins_nothing; /* join() of nothing is '', as SQL on FHIR's cases want; else nothing */
    uint32_t steps_max; /* 0: LIMIT_FHIRPATH_STEPS */
    uint32_t steps;     /* out: items visited by the last evaluation */
    void (*trace)(void *data, struct str name, const struct fhirpath_collection *items); /* or NULL */
    void *trace_data;
};

/* Copies the expression into the arena. NULL and *error when it is not FHIRPath. */
struct fhirpath *fhirpath_compile(struct arena *arena, struct str expression, struct error *error) MUST_CHECK;

/* What many paths over one type of resource begin with is walked once for a resource, where they are put on a trunk when they
 * are compiled: before each resource one fhirpath_trunk_walk, which leaves context->grown, then fhirpath_evaluate of the
 * paths with the same context and root. Results are the same as without. A trunk lives in the arena, grows on one thread
 * and is then read by any; a path is on one at most. NULL: no memory. An unknown type makes a trunk without use. */
struct fhirpath_trunk *fhirpath_trunk_create(struct arena *arena, struct str type) MUST_CHECK;
bool fhirpath_trunk_add(struct fhirpath_trunk *trunk, struct fhirpath *path, struct error *error) MUST_CHECK;
bool fhirpath_trunk_walk(const struct fhirpath_trunk *trunk, struct fhirpath_context *context,
                         const struct fhirpath_item *root, struct error *error) MUST_CHECK;

/* Semantic check against a type ("Patient"): elements that no such type has, order-dependent functions
 * on collections without order. ERROR_INPUT. An unknown type is not checked. */
bool fhirpath_check(const struct fhirpath *path, struct arena *arena, struct str type,
                    struct error *error) MUST_CHECK;

/* The first %name that is neither of the standard, nor in `known`, nor made by defineVariable in the expression;
 * STR_NONE when there is none. */
struct str fhirpath_unknown_variable(const struct fhirpath *path, const struct fhirpath_variable *known);

/* Evaluates with `input` as context (%context, $this); NULL is the empty collection. */
bool fhirpath_evaluate(const struct fhirpath *path, struct fhirpath_context *context,
                       const struct fhirpath_item *input, struct fhirpath_collection *result,
                       struct error *error) MUST_CHECK;
bool fhirpath_evaluate_on_resource(const struct fhirpath *path, struct fhirpath_context *context,
                                   const struct json *resource, struct fhirpath_collection *result,
                                   struct error *error) MUST_CHECK;

/* Evaluates and takes the result as a condition (fhirpath_to_boolean). */
bool fhirpath_test(const struct fhirpath *path, struct fhirpath_context *context,
                   const struct fhirpath_item *input, bool *holds, struct error *error) MUST_CHECK;

/* ---- items ---- */

/* A resource, or any value with the model type of that name (NULL type: found from resourceType). */
struct fhirpath_item fhirpath_item_of_resource(const struct json *resource);
struct fhirpath_item fhirpath_item_of_node(const struct json *value, struct str type_name);
struct fhirpath_item fhirpath_item_of_string(struct str text);
struct fhirpath_item fhirpath_item_of_boolean(bool value);
struct fhirpath_item fhirpath_item_of_integer(int64_t value);

/* Singleton evaluation (N1 4.5) as R4 takes it for constraints: empty is false, one boolean is its value,
 * one item of another kind is true, more than one item is ERROR_RULE. */
bool fhirpath_to_boolean(const struct fhirpath_collection *collection, bool *value,
                         struct error *error) MUST_CHECK;

/* Name of the type: "Patient", "HumanName", "code" for nodes (STR_NONE when not known), "boolean",
 * "integer", "decimal", "string", "date", "dateTime", "time", "Quantity", "SimpleTypeInfo" else. */
struct str fhirpath_item_type_name(const struct fhirpath_item *item);

/* A primitive node as the value of its System type (a code becomes a string, a Quantity node a
 * quantity); items without such a value come back as they are. */
struct fhirpath_item fhirpath_item_to_system(struct arena *arena, const struct fhirpath_item *item);

/* Text of a primitive or computed value as toString() gives it ("1 'mg'"); STR_NONE for a complex node,
 * a primitive without value, or when the arena is used up. */
struct str fhirpath_item_text(struct arena *arena, const struct fhirpath_item *item);

/* The item as JSON: nodes as they are (not copied), computed values as FHIR writes them, a quantity as a
 * Quantity object. NULL when the arena is used up or a primitive has no value. */
const struct json *fhirpath_item_to_json(struct arena *arena, const struct fhirpath_item *item);

/* Where a node stands, from the root of the evaluation: "Patient.name[0].given[1]". STR_NONE for a
 * computed value. */
struct str fhirpath_item_path(struct arena *arena, const struct fhirpath_item *item);

/* `=` and `~` of two items; fhirpath_equal gives 1, 0, or -1 where the answer is empty. */
int fhirpath_equal(struct arena *arena, const struct fhirpath_item *a, const struct fhirpath_item *b);
bool fhirpath_equivalent(struct arena *arena, const struct fhirpath_item *a, const struct fhirpath_item *b);

#endif
