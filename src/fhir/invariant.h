/* invariant.h — the rules that R4 states in FHIRPath for its types and elements (definitions/r4/invariants.tsv): what
 * full validation asks on top of the structure (validate.h), which must have passed. Rules that the structure already
 * holds (ele-1, ext-1, ref-1, dom-2) are not evaluated again.
 *
 * struct invariants is made once and used by any number of threads. */
#ifndef SHANHAI_FHIR_INVARIANT_H
#define SHANHAI_FHIR_INVARIANT_H

#include "fhir/outcome.h"

struct invariants;

/* Compiles all rules (a few milliseconds). */
bool invariants_create(struct invariants **invariants, struct error *error) MUST_CHECK;
void invariants_destroy(struct invariants *invariants); /* NULL is fine */

/* Adds an issue of code "invariant" for each rule that does not hold, with its path and the rule's own words. True when
 * nothing of severity error was added. A rule that cannot be evaluated is a warning; so are those left when all rules
 * together have visited LIMIT_FHIRPATH_STEPS items. */
bool invariants_check(const struct invariants *invariants, const struct json *resource,
                      struct outcome *outcome) MUST_CHECK;

#endif
