/* operation.h — inside of src/api: what the FHIR operations share. All run in the pool. */
#ifndef SHANHAI_API_OPERATION_H
#define SHANHAI_API_OPERATION_H

#include "api/call.h"

/* One search as the session may search; `search.query` and `hits` are filled in. Audited by the caller. */
struct operation_search {
    struct http_request *request;
    struct search_options options;
    const struct search_pair *pairs;
    size_t pairs_count;
    struct str cursor;
    size_t count; /* of this page; no pair, so that a cursor fits pages of any size. 0: by _count */
    struct search_query query;
    struct store_hits hits;
};
bool operation_search(struct operation_search *search, struct error *error) MUST_CHECK;

/* A visible resource as a tree, masked where the session needs that, and audited as read. */
bool operation_read(struct http_request *request, const struct fhir_wanted *wanted,
                    struct store_version *version, struct json **resource, struct error *error) MUST_CHECK;

/* {"fullUrl", "resource", "search": {"mode"}} and a comma. */
bool operation_add_entry(struct http_request *request, const struct store_version *version, const char *mode,
                         struct buf *out, struct error *error) MUST_CHECK;

/* A parameter of the query, or of a Parameters body that is posted; absent when there is none. */
struct str operation_parameter(struct http_request *request, const struct json *body, struct str name);

/* Parameters with a meta as "return". */
struct json *operation_parameters_of_meta(struct arena *arena, struct json *meta);

/* The Parameters of a POST; *body stays NULL without one. */
bool operation_body(struct http_request *request, struct json **body, struct error *error) MUST_CHECK;

#endif
