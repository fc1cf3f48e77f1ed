/* bulk_ask.h — inside of src/api: what the kick-offs of bulk jobs share. */
#ifndef SHANHAI_API_BULK_ASK_H
#define SHANHAI_API_BULK_ASK_H

#include "api/call.h"
#include "feed/bulk.h"

/* Prefer: respond-async. */
bool bulk_wants_async(struct http_request *request);

/* Where a job is asked about, or a file of it is fetched (`name`, empty for the job). */
struct str bulk_job_url(struct http_request *request, uint64_t id, const char *name);

/* A parameter of the Parameters that were sent, or of the query. */
struct str bulk_asked(struct http_request *request, const struct json *body, struct str name);

bool bulk_audit(struct http_request *request, const char *operation, struct error *error) MUST_CHECK;

/* What $viewdefinition-export answers when it is done: one output a view, with the addresses of its files. */
struct json *view_export_result(struct http_request *request, uint64_t id, const struct bulk_status *status);

#endif
