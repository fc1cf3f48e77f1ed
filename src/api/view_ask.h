/* view_ask.h — inside of src/api: what $run and $viewdefinition-export are asked alike (SQL on FHIR v2): which of the
 * server's own views, and whose records. */
#ifndef SHANHAI_API_VIEW_ASK_H
#define SHANHAI_API_VIEW_ASK_H

#include "api/operation.h"

#define VIEW_ASK_NO_SOURCE "source: rows are made of this server's own records only"

/* The name of the server's own view that a viewReference means: "ViewDefinition/patient", also with our address before
 * it. Empty when it is none. */
struct str view_ask_name(struct http_request *request, struct str reference);

/* The text of a parameter that is a reference: valueReference, or a plain value. */
struct str view_ask_reference(struct arena *arena, const struct json *parameter);

/* The ids of the patients that all `patient` and `group` of query and body name, each once, as a list of texts; empty
 * when none is named. A group is read as the session may (audited). ERROR_RULE for one without patients. */
bool view_ask_patients(struct http_request *request, const struct json *body, struct json **ids,
                       struct error *error) MUST_CHECK;

#endif
