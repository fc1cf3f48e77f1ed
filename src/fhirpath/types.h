/* types.h — inside of src/fhirpath: what the engine asks about types, answered by model/model.h. */
#ifndef SHANHAI_FHIRPATH_TYPES_H
#define SHANHAI_FHIRPATH_TYPES_H

#include "fhirpath/fhirpath.h"
#include "model/model.h"

/* A FHIR type or resource by name, or NULL. */
const struct model_type *type_find(struct str name);
/* The name as FHIRPath knows it: "BackboneElement" for the type of Patient.contact. */
struct str type_name(const struct model_type *type);
/* Whether `type` is `ancestor` or comes from it. */
bool type_descends(const struct model_type *type, const struct model_type *ancestor);
/* The System type of a primitive or Quantity; FHIRPATH_NODE for other types. */
enum fhirpath_kind type_system_kind(const struct model_type *type);

/* The element of that FHIRPath name, or the first variant of the choice of that name ("value", never
 * "valueQuantity"). NULL: no such element. */
const struct model_element *type_element(const struct model_type *type, struct str name);

/* When `member` is `name` with the name of a type after it ("valueQuantity"), that type; else NULL. */
const struct model_type *type_of_choice(struct str name, struct str member);

#endif
