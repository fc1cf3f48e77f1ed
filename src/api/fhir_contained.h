/* fhir_contained.h — inside of src/api: searches that look into contained resources. */
#ifndef SHANHAI_API_FHIR_CONTAINED_H
#define SHANHAI_API_FHIR_CONTAINED_H

#include "api/call.h"

struct contained_hit {
    struct store_version container;
    struct str id;   /* of the contained resource, as "#id" names it; absent: the container is the hit */
    struct str text; /* its JSON */
};

struct contained_hits {
    struct contained_hit *hits;
    size_t count;
};

/* All resources that the session may see and that contain one of the query's type which fits its criteria. Every candidate's
 * body is read: over CONTAINED_CANDIDATES_MAX of them, or over LIMIT_SEARCH_COUNT hits, ERROR_TOO_COSTLY; nothing is cut. */
bool fhir_contained_find(struct http_request *request, const struct search_query *query,
                         struct contained_hits *hits, struct error *error) MUST_CHECK;

#endif
