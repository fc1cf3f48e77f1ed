/* What a search finds in contained resources: every resource has an index row for each type that it contains; those that the
 * session may see are read as they go out to it, newest first, and looked into. */
#include "api/fhir_contained.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/index.h"

enum {
    CONTAINED_CANDIDATES_MAX = 10000, /* looked into for one page, one total, one sorted answer */
    CONTAINED_LOOKED_UP_MAX = 2000,   /* resources asked for because a chain leads to them */
    CONTAINED_PAGE = 200,
    CONTAINED_SORTS_MAX = 4,
};

/* "inside.7.…": the page begins with the hit of that number in the container at that place; of a sorted search with the hit
 * of that number of all. */
static const struct str cursor_word = { "inside.", 7 };

struct contained_sorted {
    struct contained_hit hit;
    struct index_row values[CONTAINED_SORTS_MAX]; /* kind 0: none */
};

struct contained_run {
    struct http_request *request;
    const struct search_query *query;
    const struct contained_wanted *wanted;
    struct contained_hits *hits;
    struct store_reader *reader;
    const struct store_filter *filter;
    uint64_t skip;
    struct str begin; /* place of the first container */
    size_t candidates;
    size_t looked_up;
    uint64_t found;
    bool ended; /* the page is full, or has looked at enough */
    struct contained_sorted *sorted;
};

/* ---- page links ---- */

bool fhir_contained_is_cursor(struct str cursor)
{
    return str_starts_with(cursor, cursor_word);
}

static bool cursor_read(struct contained_run *run, struct str cursor, struct error *error)
{
    struct str rest = fhir_contained_is_cursor(cursor) ? str_skip(cursor, cursor_word.len) : STR("0.");
    size_t dot = str_find_char(rest, '.');
    run->begin = dot + 1 < rest.len ? str_skip(rest, dot + 1) : STR_NONE;
    return parse_uint64(str_slice(rest, 0, dot), UINT32_MAX, &run->skip) ||
           FAIL(error, ERROR_INPUT, "this page link does not belong to this search: begin again");
}

static bool end_page(struct contained_run *run, uint64_t number, struct str place, struct error *error)
{
    run->ended = true;
    run->hits->next_cursor = arena_printf(&run->request->arena, "%.*s%" PRIu64 ".%.*s", STR_FMT(cursor_word),
                                          number, STR_FMT(place));
    return run->hits->next_cursor.at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* ---- order ---- */

static int rows_compare(const struct index_row *a, const struct index_row *b)
{
    if (a->kind == INDEX_DATE) {
        return (a->from_ms > b->from_ms) - (a->from_ms < b->from_ms);
    }
    if (a->kind == INDEX_NUMBER) {
        return (a->low > b->low) - (a->low < b->low);
    }
    return str_compare(a->text, b->text);
}

/* The smallest of a parameter's values, descending the largest. */
static struct index_row sort_value(const struct search_sort *sort, const struct index_rows *rows)
{
    struct index_row best = { 0 };
    for (size_t i = 0; i < rows->count; i++) {
        const struct index_row *row = &rows->rows[i];
        bool own = row->parameter == sort->parameter || (sort->also != 0 && row->parameter == sort->also);
        bool usable = own && row->kind == sort->rows && !(row->kind == INDEX_NUMBER && row->key != 0) &&
                      !(row->kind == INDEX_KEY && row->text.at == NULL);
        if (usable && (best.kind == 0 || (rows_compare(row, &best) < 0) != sort->descending)) {
            best = *row;
        }
    }
    return best;
}

static bool add_sorted(struct contained_run *run, const struct contained_hit *hit,
                       const struct json *contained, const struct index_rows *rows, struct error *error)
{
    struct arena *arena = &run->request->arena;
    struct contained_sorted *sorted = &run->sorted[run->found];
    if (run->found == CONTAINED_CANDIDATES_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "more than %d contained resources to be sorted: add a criterion",
                    CONTAINED_CANDIDATES_MAX);
    }
    sorted->hit = *hit;
    for (size_t i = 0; i < run->query->sorts_count; i++) {
        const struct search_sort *sort = &run->query->sorts[i];
        struct index_row value = { .kind = INDEX_DATE, .from_ms = (int64_t)hit->container.seq };
        if (sort->by == SEARCH_SORT_ID) {
            value = (struct index_row){ .kind = INDEX_KEY, .text = JSON_TEXT(arena, contained, "id") };
        } else if (sort->by == SEARCH_SORT_ROWS) {
            value = sort_value(sort, rows);
        }
        value.text = arena_dup(arena, value.text);
        sorted->values[i] = value;
    }
    return true;
}

static int sorted_compare(const void *left, const void *right, void *data)
{
    const struct search_query *query = data;
    const struct contained_sorted *a = left;
    const struct contained_sorted *b = right;
    for (size_t i = 0; i < query->sorts_count; i++) {
        bool a_none = a->values[i].kind == 0;
        bool b_none = b->values[i].kind == 0;
        if (a_none || b_none) {
            if (a_none != b_none) {
                return a_none ? 1 : -1; /* without a value: last, in both directions */
            }
            continue;
        }
        int order = rows_compare(&a->values[i], &b->values[i]);
        if (order != 0) {
            return query->sorts[i].descending ? -order : order;
        }
    }
    int order =
        a->hit.container.seq > b->hit.container.seq ? -1 : a->hit.container.seq < b->hit.container.seq;
    return order != 0 ? order : str_compare(a->hit.id, b->hit.id);
}

/* The page's part of what was gathered. */
static bool take_sorted(struct contained_run *run, struct error *error)
{
    struct contained_hits *hits = run->hits;
    struct search_query query = *run->query;
    qsort_r(run->sorted, run->found, sizeof *run->sorted, sorted_compare, &query);
    for (uint64_t i = run->skip; i < run->found && hits->count < run->wanted->room; i++) {
        hits->hits[hits->count++] = run->sorted[i].hit;
    }
    uint64_t next = run->skip + hits->count;
    return next >= run->found || end_page(run, next, run->begin, error);
}

/* ---- looking ---- */

static bool add_hit(struct contained_run *run, const struct store_hit *container,
                    const struct json *contained, const struct index_rows *rows, uint64_t number,
                    struct error *error)
{
    struct contained_hit hit = { .container = container->version };
    if (run->query->contained_itself) {
        hit.id = arena_dup(&run->request->arena, JSON_TEXT(&run->request->arena, contained, "id"));
        hit.text = json_write_arena(&run->request->arena, contained);
        if (hit.text.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    }
    if (run->sorted != NULL) {
        bool ok = add_sorted(run, &hit, contained, rows, error);
        run->found++;
        return ok;
    }
    run->found++;
    if (run->hits->next_cursor.at != NULL) {
        return true; /* counted only */
    }
    if (run->hits->count == run->wanted->room) {
        return end_page(run, number, container->place, error);
    }
    run->hits->hits[run->hits->count++] = hit;
    return true;
}

static bool is_done(const struct contained_run *run)
{
    return run->ended && !run->wanted->count_all;
}

/* Read as it goes out to this session: what it sees masked it does not find. */
static bool look_into(struct contained_run *run, const struct store_hit *container, struct arena *arena,
                      struct error *error)
{
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct str text = STR_NONE;
    struct json *tree = NULL;
    if (!fhir_text(&call_of(run->request)->session, arena, &container->version, &view, &text, error) ||
        !json_read(arena, text, &tree, error)) {
        return false;
    }
    const struct contained_fit fit = { .request = run->request,
                                       .arena = arena,
                                       .reader = run->reader,
                                       .filter = run->filter,
                                       .container = tree,
                                       .updated_ms = container->version.updated_ms,
                                       .looked_up = &run->looked_up };
    uint64_t number = 0;
    uint64_t skip = run->sorted == NULL ? run->skip : 0;
    JSON_EACH(contained, JSON_GET(tree, "contained")) {
        struct index_rows rows = { 0 };
        bool fits = false;
        if (is_done(run) || !json_equals_text(JSON_GET(contained, "resourceType"), run->query->type)) {
            continue;
        }
        if (!contained_fits(&fit, contained, run->query->criteria, &rows, &fits, error)) {
            return false;
        }
        if (fits && number++ >= skip && !add_hit(run, container, contained, &rows, number - 1, error)) {
            return false;
        }
        if (fits && !run->query->contained_itself) {
            break; /* a container stands once */
        }
    }
    return true;
}

static bool has_looked_enough(struct contained_run *run, struct str place, struct error *error)
{
    if (run->candidates < CONTAINED_CANDIDATES_MAX && run->looked_up < CONTAINED_LOOKED_UP_MAX) {
        return true;
    }
    if (run->wanted->count_all || run->sorted != NULL) {
        return FAIL(
            error, ERROR_TOO_COSTLY,
            "more than %d resources contain one of that type, or too many are to be looked up for a chain: "
            "ask without a total and without _sort",
            CONTAINED_CANDIDATES_MAX);
    }
    return end_page(run, 0, place, error);
}

static bool look_at_page(struct contained_run *run, const struct store_search *search, struct str *cursor,
                         struct error *error)
{
    struct store_hits found = { 0 };
    if (!store_search(run->reader, &run->request->arena, search, &found, error)) {
        return false;
    }
    if (run->begin.at == NULL && found.count > 0) {
        run->begin = found.hits[0].place;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < found.count && !is_done(run); i++) {
        struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
        ok = has_looked_enough(run, found.hits[i].place, error) &&
             (is_done(run) || look_into(run, &found.hits[i], &arena, error));
        arena_deinit(&arena);
        run->candidates++;
        run->skip = run->sorted == NULL ? 0 : run->skip;
    }
    *cursor = found.next_cursor;
    return ok;
}

static bool look_at_all(struct contained_run *run, struct error *error)
{
    const struct search_value value = { .test = SEARCH_TEST_KEY,
                                        .parameter = index_contained_parameter(),
                                        .key = index_contained_key(run->query->type) };
    const struct search_criteria criteria = { .kind = SEARCH_VALUES,
                                              .rows = INDEX_KEY,
                                              .parameter = value.parameter,
                                              .values = &value,
                                              .values_count = 1 };
    const struct search_query containers = {
        .criteria = &criteria,
        .has_count = true,
        .count = CONTAINED_PAGE,
        .total = SEARCH_TOTAL_NONE,
        .pairs = run->query->pairs, /* a page link belongs to what was asked */
        .pairs_count = run->query->pairs_count,
    };
    struct store_search search = { .query = &containers,
                                   .filter = run->filter,
                                   .now_ms = clock_now_ms(),
                                   .cursor = run->begin,
                                   .with_places = true };
    bool ok = true;
    do {
        ok = look_at_page(run, &search, &search.cursor, error);
    } while (ok && search.cursor.at != NULL && !is_done(run));
    return ok;
}

bool fhir_contained_find(struct http_request *request, const struct search_query *query,
                         const struct contained_wanted *wanted, struct contained_hits *hits,
                         struct error *error)
{
    const struct access_session *session = &call_of(request)->session;
    const struct access_act act = { .interaction = ACCESS_SEARCH };
    struct contained_run run = { .request = request, .query = query, .wanted = wanted, .hits = hits };
    *hits = (struct contained_hits){ .hits = ARENA_ARRAY(&request->arena, struct contained_hit,
                                                         wanted->room + 1) };
    bool sorts = query->sorts_count > 0;
    run.sorted =
        sorts ? ARENA_ARRAY(&request->arena, struct contained_sorted, CONTAINED_CANDIDATES_MAX) : NULL;
    if (hits->hits == NULL || (sorts && run.sorted == NULL)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (query->sorts_count > CONTAINED_SORTS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "at most %d sort parameters", CONTAINED_SORTS_MAX);
    }
    if (query->includes_count > 0) {
        return FAIL(error, ERROR_UNSUPPORTED, "_include is not offered with _contained");
    }
    if (access_masks_type(session, query->type)) {
        return FAIL(error, ERROR_FORBIDDEN, "who sees a %.*s masked cannot look for contained ones",
                    STR_FMT(query->type));
    }
    if (!cursor_read(&run, query->cursor, error) ||
        !access_filter(session, act, &request->arena, &run.filter, error) ||
        !store_reader_begin(api_of(request)->store, &run.reader, error)) {
        return false;
    }
    bool first = !fhir_contained_is_cursor(query->cursor);
    bool ok = look_at_all(&run, error) && (!sorts || take_sorted(&run, error));
    store_reader_end(run.reader);
    hits->has_total = (sorts || first) && (wanted->count_all || sorts || !run.ended);
    hits->total = run.found;
    return ok;
}
