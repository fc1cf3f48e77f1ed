#include "api/fhir_contained.h"

#include "base/clock.h"
#include "base/limits.h"
#include "fhir/index.h"
#include "fhir/search_query.h"

enum { CONTAINED_CANDIDATES_MAX = 10000, CONTAINED_PAGE = 500 };

struct contained_run {
    struct http_request *request;
    const struct search_query *query;
    struct contained_hits *hits;
    size_t candidates;
};

/* The criteria are asked of the contained resource's own rows, so nothing that lies elsewhere can be among them. */
static bool fits(const struct contained_run *run, const struct json *contained,
                 const struct store_version *container, bool *matches, struct error *error)
{
    struct arena *arena = &run->request->arena;
    struct index_rows rows = { 0 };
    if (!fhir_index_rows(api_of(run->request)->index, arena, contained, &rows, error)) {
        return false;
    }
    const struct search_subject subject = { .type = run->query->type,
                                            .id = JSON_TEXT(arena, contained, "id"),
                                            .updated_ms = container->updated_ms,
                                            .rows = rows.rows,
                                            .rows_count = rows.count };
    bool known = true;
    *matches = search_criteria_match(run->query->criteria, &subject, &known);
    return known || FAIL(error, ERROR_UNSUPPORTED, "chains, _has and _list are not offered with _contained");
}

static bool add_hit(struct contained_run *run, const struct store_version *container,
                    const struct json *contained, struct error *error)
{
    struct arena *arena = &run->request->arena;
    struct contained_hit hit = { .container = *container };
    if (run->hits->count == LIMIT_SEARCH_COUNT) {
        return FAIL(error, ERROR_TOO_COSTLY, "more than %d hits in contained resources: add a criterion",
                    LIMIT_SEARCH_COUNT);
    }
    if (run->query->contained_itself) {
        hit.id = JSON_TEXT(arena, contained, "id");
        hit.text = json_write_arena(arena, contained);
    }
    run->hits->hits[run->hits->count] = hit;
    run->hits->count++;
    return !run->query->contained_itself || hit.text.at != NULL ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* Read as it goes out to this session: what it sees masked it does not find. */
static bool look_into(struct contained_run *run, const struct store_version *container, struct error *error)
{
    struct arena *arena = &run->request->arena;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct str text = STR_NONE;
    struct json *tree = NULL;
    if (!fhir_text(&call_of(run->request)->session, arena, container, &view, &text, error) ||
        !json_read(arena, text, &tree, error)) {
        return false;
    }
    JSON_EACH(contained, JSON_GET(tree, "contained")) {
        bool matches = false;
        if (!json_equals_text(JSON_GET(contained, "resourceType"), run->query->type)) {
            continue;
        }
        if (!fits(run, contained, container, &matches, error) ||
            (matches && !add_hit(run, container, contained, error))) {
            return false;
        }
        if (matches && !run->query->contained_itself) {
            return true; /* a container stands once */
        }
    }
    return true;
}

static bool look_at_page(struct contained_run *run, struct store_reader *reader,
                         const struct store_search *search, struct str *cursor, struct error *error)
{
    struct store_hits found = { 0 };
    if (!store_search(reader, &run->request->arena, search, &found, error)) {
        return false;
    }
    run->candidates += found.count;
    if (run->candidates > CONTAINED_CANDIDATES_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY,
                    "more than %d resources contain one of that type: too many to look into",
                    CONTAINED_CANDIDATES_MAX);
    }
    for (size_t i = 0; i < found.count; i++) {
        if (!look_into(run, &found.hits[i].version, error)) {
            return false;
        }
    }
    *cursor = found.next_cursor;
    return true;
}

bool fhir_contained_find(struct http_request *request, const struct search_query *query,
                         struct contained_hits *hits, struct error *error)
{
    struct arena *arena = &request->arena;
    const struct access_session *session = &call_of(request)->session;
    const struct access_act act = { .interaction = ACCESS_SEARCH };
    const struct search_value value = { .test = SEARCH_TEST_KEY,
                                        .parameter = index_contained_parameter(),
                                        .key = index_contained_key(query->type) };
    const struct search_criteria criteria = { .kind = SEARCH_VALUES,
                                              .rows = INDEX_KEY,
                                              .parameter = value.parameter,
                                              .values = &value,
                                              .values_count = 1 };
    const struct search_query containers = {
        .criteria = &criteria, .has_count = true, .count = CONTAINED_PAGE, .total = SEARCH_TOTAL_NONE
    };
    struct store_search search = { .query = &containers, .now_ms = clock_now_ms() };
    struct contained_run run = { .request = request, .query = query, .hits = hits };
    struct store_reader *reader = NULL;
    *hits = (struct contained_hits){ .hits = ARENA_ARRAY(arena, struct contained_hit, LIMIT_SEARCH_COUNT) };
    if (hits->hits == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (query->sorts_count > 0 || query->includes_count > 0) {
        return FAIL(error, ERROR_UNSUPPORTED, "_sort and _include are not offered with _contained");
    }
    if (access_masks_type(session, query->type)) {
        return FAIL(error, ERROR_FORBIDDEN, "who sees a %.*s masked cannot look for contained ones",
                    STR_FMT(query->type));
    }
    if (!access_filter(session, act, arena, &search.filter, error) ||
        !store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    bool ok = true;
    do {
        ok = look_at_page(&run, reader, &search, &search.cursor, error);
    } while (ok && search.cursor.at != NULL);
    store_reader_end(reader);
    return ok;
}
