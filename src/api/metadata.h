/* metadata.h — inside of src/api: the two statements about the program at /metadata. */
#ifndef SHANHAI_API_METADATA_H
#define SHANHAI_API_METADATA_H

#include "api/call.h"

/* Completes a TerminologyCapabilities whose head (software, date …) is there. */
struct json *metadata_terminology(struct http_request *request, struct json *head);

#endif
