/* profile_tree.h — inside of src/fhir: a profile's elements as a tree, the layers of its bases under each other. */
#ifndef SHANHAI_FHIR_PROFILE_TREE_H
#define SHANHAI_FHIR_PROFILE_TREE_H

#include "base/table.h"
#include "fhir/profile.h"
#include "model/model.h"

enum { PROFILE_BASES_MAX = 8, PROFILE_DEPTH_MAX = 24, PROFILE_ITEMS_MAX = 100000 };

/* One ElementDefinition: of the profile itself, then of its base … */
struct profile_layer {
    struct profile_layer *next;
    const struct json *element;
};

struct profile_node {
    struct profile_node *next; /* sibling, in the order of the profile */
    struct profile_node *first;
    struct profile_node *last;
    struct profile_node *slices;
    struct profile_node *slices_last;
    struct str name;  /* "category", "value[x]"; of the root the type */
    struct str slice; /* its name, or absent */
    struct profile_layer *layers;
    struct profile_layer *layers_last;
};

struct profile_tree {
    struct str url;
    struct str type;              /* "Observation", "Extension" */
    const struct json *structure; /* the StructureDefinition itself */
    struct profile_node *root;
    struct str base_missing; /* a base that is not known: its rules are not checked */
};

/* *tree stays NULL when the profile is not known. */
bool profile_tree_build(const struct profile_source *source, struct arena *arena, struct str url,
                        const struct profile_tree **tree, struct error *error) MUST_CHECK;

/* The member of the most derived layer that has it. */
const struct json *profile_get(const struct profile_node *node, struct str name);
/* "fixed…" or "pattern…", whatever its type. */
const struct json *profile_get_prefixed(const struct profile_node *node, struct str prefix);
struct profile_node *profile_child(const struct profile_node *node, struct str name);

#define PROFILE_NO_MEMORY(error)                                                                             \
    FAIL((error), ERROR_TOO_LARGE, "the profile needs more memory than it may use")

#endif
