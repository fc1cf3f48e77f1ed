/* model.h — what R4 (4.0.1) says of types, elements, bindings, search parameters and compartments, as constant
 * tables made at build time from definitions/r4 (tools/generate_model.py). No work at start, no memory of its own;
 * everything lives as long as the program. Any thread. */
#ifndef SHANHAI_MODEL_MODEL_H
#define SHANHAI_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum model_kind { MODEL_PRIMITIVE, MODEL_COMPLEX, MODEL_BACKBONE, MODEL_RESOURCE };

enum model_strength { MODEL_BINDING_NONE, MODEL_BINDING_EXTENSIBLE, MODEL_BINDING_REQUIRED };

struct model_type;

/* A set of codes that can be written out. */
struct model_codes {
    struct str system;
    const struct str *codes; /* sorted by bytes */
    size_t codes_count;
};

struct model_value_set {
    struct str url;
    const struct model_codes *systems;
    size_t systems_count; /* 0: the set is known by name only (filters, foreign code systems) */
};

/* A member as it stands in JSON: each variant of a choice is one ("valueQuantity" of choice "value"). */
struct model_element {
    struct str name;
    struct str choice; /* STR_NONE when it is no choice */
    const struct model_type *type;
    struct str targets; /* Reference, canonical: resource types, blank-separated; empty = any */
    const struct model_value_set *value_set; /* NULL without */
    enum model_strength strength;
    uint8_t min;
    bool is_list; /* max is more than 1: an array in JSON */
    bool is_summary;
    bool is_modifier;
};

struct model_type {
    struct str name;                      /* "Patient", "Patient.contact", "HumanName", "code" */
    const struct model_type *base;        /* NULL for Element and Resource */
    const struct model_element *elements; /* in the order of the standard, inherited ones first */
    uint16_t elements_count;
    enum model_kind kind;
};

/* NULL when there is no such type. Backbone types by path ("Observation.component"). */
const struct model_type *model_type_find(struct str name);

/* A resource type by name, NULL for other types and for the abstract Resource and DomainResource. */
const struct model_type *model_resource_find(struct str name);

/* Whether type is base or derived from it ("Age" is a "Quantity", "Patient" a "DomainResource"). */
bool model_type_is_a(const struct model_type *type, struct str base);

/* The member with that JSON name, or NULL. */
const struct model_element *model_element_find(const struct model_type *type, struct str name);

/* The next variant of a choice after `after` (NULL: the first), or NULL: model_choice_next(type, STR("value"), NULL). */
const struct model_element *model_choice_next(const struct model_type *type, struct str choice,
                                              const struct model_element *after);

/* All resource types, sorted by name. */
const struct model_type *const *model_resources(size_t *count);

/* Whether a set has a code; an absent system asks whether any of its systems has it. A set that is known by
 * name only has every code. */
bool model_value_set_has(const struct model_value_set *set, struct str system, struct str code);
const struct model_value_set *model_value_set_find(struct str url);

/* ---- search parameters ---- */

enum model_search_kind {
    MODEL_SEARCH_NUMBER,
    MODEL_SEARCH_DATE,
    MODEL_SEARCH_STRING,
    MODEL_SEARCH_TOKEN,
    MODEL_SEARCH_REFERENCE,
    MODEL_SEARCH_COMPOSITE,
    MODEL_SEARCH_QUANTITY,
    MODEL_SEARCH_URI,
    MODEL_SEARCH_SPECIAL,
};

struct model_component {
    struct str code;       /* of the parameter of the same type that says how the value is searched */
    struct str expression; /* relative to the composite's expression */
};

struct model_search_parameter {
    struct str type;       /* resource type */
    struct str code;       /* "birthdate" */
    struct str targets;    /* reference: resource types, blank-separated */
    struct str expression; /* FHIRPath for this type */
    const struct model_component *components;
    uint8_t components_count;
    enum model_search_kind kind;
};

/* Of a type itself or of Resource and DomainResource ("_tag"); NULL when there is none. */
const struct model_search_parameter *model_search_find(struct str type, struct str code);

/* All parameters defined for exactly that type, sorted by code ("Resource" and "DomainResource" too). */
const struct model_search_parameter *model_search_list(struct str type, size_t *count);

/* Parameters by which a type belongs to a compartment ("Patient", "Observation" → "performer subject"), blank-
 * separated; STR_NONE when it does not. */
struct str model_compartment(struct str compartment, struct str type);

/* ---- rules ---- */

/* A rule in FHIRPath on a type ("Patient.contact") or an element ("Organization.telecom"). */
struct model_invariant {
    struct str path;
    struct str key;
    struct str human;
    struct str expression;
    bool is_warning;
};
const struct model_invariant *model_invariants(size_t *count);

#endif
