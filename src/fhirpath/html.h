/* html.h — of src/fhirpath and the rules of src/fhir: what R4 allows in a narrative (narrative.html 2.4.0.1, txt-1, txt-2). */
#ifndef SHANHAI_FHIRPATH_HTML_H
#define SHANHAI_FHIRPATH_HTML_H

#include <stdbool.h>

#include "base/str.h"

/* Well-formed XHTML whose elements and attributes R4 allows, with a div at its root and some content:
 * no scripts, forms, frames, objects, event attributes, no javascript: or external entities. */
bool html_is_safe(struct str html);

#endif
