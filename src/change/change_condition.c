/* Which resource is meant when a search stands in place of an id, and what a patch makes of it. */
#include "change/change_internal.h"
#include "fhir/patch.h"
#include "fhir/search_query.h"
#include "store/search.h"

bool change_find(const struct change *change, struct store_reader *reader, struct arena *arena,
                 struct change_condition *condition, struct error *error)
{
    struct search_query *query = ARENA_NEW(arena, struct search_query);
    struct store_hits hits = { 0 };
    struct search_options options = { .type = condition->type,
                                      .offset_minutes = change->options.offset_minutes };
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = condition->type };
    struct store_search search = { .query = query, .now_ms = condition->now_ms };
    if (query == NULL) {
        return CHANGE_NO_MEMORY(error);
    }
    if (!access_check(condition->session, act, error) ||
        !access_filter(condition->session, act, arena, &search.filter, error) ||
        !search_query_parse_text(arena, &options, condition->text, query, error) ||
        !access_query_allowed(condition->session, query, error)) {
        return false;
    }
    /* Without a criterion every resource fits: that is a slip, not a condition. */
    if (query->criteria == NULL) {
        return FAIL(error, ERROR_PRECONDITION, "a condition must name at least one search parameter");
    }
    if (!store_search(reader, arena, &search, &hits, error)) {
        return false;
    }
    if (hits.matches_count > 1) {
        return FAIL(error, ERROR_PRECONDITION, "the condition has more than one match: make it narrower");
    }
    condition->query = query;
    condition->filter = search.filter;
    condition->hit = hits.matches_count == 1 ? hits.hits[0].version : (struct store_version){ 0 };
    return true;
}

bool change_patch(struct arena *arena, const struct json *stored, const struct json *patch,
                  struct json **patched, struct error *error)
{
    return patch->kind == JSON_ARRAY ? patch_json(arena, stored, patch, patched, error)
                                     : patch_fhirpath(arena, stored, patch, patched, error);
}
