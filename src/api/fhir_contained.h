/* fhir_contained.h — inside of src/api: searches that look into contained resources (R4 3.1.1.5.5). */
#ifndef SHANHAI_API_FHIR_CONTAINED_H
#define SHANHAI_API_FHIR_CONTAINED_H

#include "api/call.h"
#include "fhir/search_query.h"

struct contained_hit {
    struct store_version container;
    struct str id;   /* of the contained resource, as "#id" names it; absent: the container is the hit */
    struct str text; /* its JSON */
};

struct contained_hits {
    struct contained_hit *hits;
    size_t count;
    struct str next_cursor; /* absent: this was all */
    bool has_total;
    uint64_t total;
};

struct contained_wanted {
    size_t room; /* hits that the page has room for */
    bool
        count_all; /* the total too, without which only a page that begins at the beginning and holds everything tells it */
};

/* Whether a page link leads to hits in contained resources. */
bool fhir_contained_is_cursor(struct str cursor);

/* A page of the resources that the session may see and that contain one of the query's type which fits its criteria, or of the
 * contained ones. Bodies are read: a page ends early, with a link to go on, when it would have looked into more than
 * CONTAINED_CANDIDATES_MAX of them; a total or a _sort that would is ERROR_TOO_COSTLY. */
bool fhir_contained_find(struct http_request *request, const struct search_query *query,
                         const struct contained_wanted *wanted, struct contained_hits *hits,
                         struct error *error) MUST_CHECK;

/* ---- fhir_contained_fit.c ---- */

/* One contained resource against the query's criteria. What its references lead to is looked for in the same container and in the
 * store, as the session may see it. */
struct contained_fit {
    struct http_request *request;
    struct arena *arena; /* of the container */
    struct store_reader *reader;
    const struct store_filter *filter;
    const struct json *container;
    int64_t updated_ms;
    size_t *looked_up; /* resources asked for in the store so far */
};
bool contained_fits(const struct contained_fit *fit, const struct json *contained,
                    const struct search_criteria *criteria, struct index_rows *rows, bool *fits,
                    struct error *error) MUST_CHECK;

#endif
