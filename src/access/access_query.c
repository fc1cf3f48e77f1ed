/* access_query.c — a search must not ask by what its reader sees masked: not directly, not through a chain, not by
 * _has, not by the order of the answer. */
#include "access/access.h"
#include "fhir/search_query.h"

enum { CRITERIA_DEPTH_MAX = 16 };

static bool criteria_allowed(const struct access_session *session, const struct search_criteria *criteria,
                             unsigned depth, struct error *error)
{
    if (depth > CRITERIA_DEPTH_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "the search is nested too deep");
    }
    for (; criteria != NULL; criteria = criteria->next) {
        /* Of _has the parameter belongs to the other side: it is a reference, and that side's criteria follow. */
        if (criteria->code.len > 0 && criteria->kind != SEARCH_HAS &&
            !access_parameter_allowed(session, criteria->type, criteria->code, error)) {
            return false;
        }
        for (size_t i = 0; i < criteria->links_count; i++) {
            if (!criteria_allowed(session, criteria->links[i].criteria, depth + 1, error)) {
                return false;
            }
        }
    }
    return true;
}

bool access_query_allowed(const struct access_session *session, const struct search_query *query,
                          struct error *error)
{
    if (!access_masks_type(session, query->type)) {
        return true;
    }
    for (size_t i = 0; i < query->sorts_count; i++) {
        if (query->sorts[i].code.len > 0 &&
            !access_parameter_allowed(session, query->type, query->sorts[i].code, error)) {
            return false;
        }
    }
    return criteria_allowed(session, query->criteria, 0, error);
}
