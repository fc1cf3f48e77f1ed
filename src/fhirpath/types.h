/* types.h — inside of src/fhirpath: what the engine asks about types, answered by model/model.h. */
#ifndef SHANHAI_FHIRPATH_TYPES_H
#define SHANHAI_FHIRPATH_TYPES_H

#include "fhirpath/fhirpath.h"

struct type_child {
    const struct model_type *type; /* NULL: a choice, or not known */
    bool is_choice;                /* "value" of value[x] */
};

/* A FHIR type or resource by name, or NULL. */
const struct model_type *type_find(struct str name);
struct str type_name(const struct model_type *type);
/* Whether `type` is `ancestor` or comes from it. */
bool type_descends(const struct model_type *type, const struct model_type *ancestor);
bool type_is_primitive(const struct model_type *type);
bool type_is_abstract_resource(const struct model_type *type);
/* The System type of a primitive or Quantity; FHIRPATH_NODE for other types. */
enum fhirpath_kind type_system_kind(const struct model_type *type);

/* The element of that FHIRPath name ("value", never "valueQuantity"). False: no such element. */
bool type_child_named(const struct model_type *type, struct str name, struct type_child *child) MUST_CHECK;

/* The type of a member by its JSON name ("valueQuantity" too). NULL when not known. */
const struct model_type *type_of_member(const struct model_type *type, struct str member);

/* When `member` is `name` with the name of a type after it ("valueQuantity"), that type; else NULL. */
const struct model_type *type_of_choice(struct str name, struct str member);

#endif
