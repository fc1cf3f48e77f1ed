/* profile_run.h — inside of src/fhir: one check of a resource against a profile. */
#ifndef SHANHAI_FHIR_PROFILE_RUN_H
#define SHANHAI_FHIR_PROFILE_RUN_H

#include "fhir/profile_tree.h"

struct profile_run {
    const struct profile_source *source;
    struct arena *arena;
    struct outcome *outcome;
    const struct profile_tree *tree;
    const struct json *root;     /* the resource that is checked, for #contained and %rootResource */
    const struct json *resource; /* %resource */
    struct error *error;         /* of a look-up */
    bool failed;
    int depth;           /* of profiles in profiles */
    size_t items_left;   /* PROFILE_ITEMS_MAX in all */
    uint32_t steps_left; /* of the profiles' rules, in all */
};

/* A value of an element: what the JSON has, and its type. */
struct profile_item {
    const struct json *value; /* NULL: a primitive with extensions only */
    const struct json *extra;
    const struct model_type *type;
    const struct model_element *element; /* NULL: a whole resource or extension */
    struct str member;                   /* "valueQuantity" */
    int64_t index;                       /* in its array, or -1 */
};

struct profile_items {
    struct profile_item *items;
    size_t count;
};

/* The values of an element in an object of a type; choices in all their variants. */
struct profile_items profile_gather(struct profile_run *run, const struct json *owner,
                                    const struct model_type *type, struct str name);

/* Takes from what one check may cost; false when it is used up (ERROR_TOO_COSTLY, run->failed). */
bool profile_spend(struct profile_run *run, size_t items);

/* Fixed and pattern values: true when there are none. */
bool profile_value_fits(const struct profile_node *node, const struct json *value);

/* Whether the item is of the slice, by the discriminators of `sliced`. */
bool profile_slice_has(struct profile_run *run, const struct profile_node *sliced,
                       const struct profile_node *slice, const struct profile_item *item);

/* Whether the node's required binding, if it has one that is known, has the value's code. */
bool profile_binding_fits(struct profile_run *run, const struct profile_node *node,
                          const struct profile_item *item, bool *known);

/* The same check with the issues thrown away. */
bool profile_conforms(struct profile_run *run, struct str url, const struct profile_item *item, bool *known);

/* The same with its issues told; false when there are errors. *known false: no such profile. */
bool profile_check_against(struct profile_run *run, struct str url, const struct profile_item *item,
                           const struct outcome_place *place, bool *known);

struct profile_run profile_run_of(const struct profile_source *source, const struct json *resource,
                                  struct outcome *outcome, struct error *error);
void profile_tell_error(struct profile_run *run, const struct outcome_place *place, const char *code,
                        struct str text, struct str chinese);

/* Resource type named by a reference, or absent. */
struct str profile_reference_type(struct arena *arena, const struct json *reference);
/* The contained resource or bundle entry that a reference leads to, or NULL. */
const struct json *profile_resolve(const struct profile_run *run, const struct json *reference);

#endif
