/* validate.h — structural validation of a resource against R4: known types and elements, duplicates, cardinality,
 * choice types, primitive formats, extensions of primitives, empty values, required bindings, targets of
 * references, contained resources, bundles, narrative. All issues up to LIMIT_OUTCOME_ISSUES at once, each with its
 * path. Invariants and profiles come on top of it (issue codes "invariant"), not inside.
 *
 * Any thread; the tree is not changed. */
#ifndef SHANHAI_FHIR_VALIDATE_H
#define SHANHAI_FHIR_VALIDATE_H

#include "fhir/outcome.h"

struct validate_options {
    struct str type; /* the type the route asks for ("PUT /Patient/1"); absent: any */
    bool full; /* also what stands in the text of R4 only: forms of references and of extension URLs, the
                        namespace of narrative; warnings of codes outside an extensible binding (R4 4.1.5.3) */
};

/* Adds what is wrong to the outcome; true when nothing of severity error or fatal was added. */
bool validate_resource(const struct json *resource, const struct validate_options *options,
                       struct outcome *outcome) MUST_CHECK;

#endif
