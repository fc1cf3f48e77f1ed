/* $everything of a Patient or an Encounter (R4 operations Patient-everything, Encounter-everything): the resource, then
 * what is in its compartment, type by type, as far as the session may search it; and what these refer to outside of
 * the compartment. A page's place is the type and the place in its search, so that no snapshot is held. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/table.h"
#include "base/uuid.h"
#include "http/query.h"
#include "model/model.h"

enum { EVERYTHING_COUNT = 100, EVERYTHING_PAIRS = 3, CARE_DATES_MAX = 2 };

struct everything {
    struct http_request *request;
    struct str compartment;
    struct str id;
    size_t count;     /* of a page */
    struct str types; /* _type, or absent */
    struct str since; /* _since */
    struct str start; /* of the care, inclusive */
    struct str end;
    size_t type_at;       /* 0: the resource itself; else the type's number plus 1 */
    struct str cursor;    /* in the search of that type */
    struct table entries; /* fullUrls of the page */
    size_t matches;
    struct buf out;
};

static bool has_word(struct str words, struct str word)
{
    struct str part = STR_NONE;
    while (words.at != NULL && str_split_next(&words, ',', &part)) {
        if (str_equal(str_trim(part), word)) {
            return true;
        }
    }
    return false;
}

/* "17.abc": the type's number and the search's own cursor. */
static bool read_cursor(struct everything *all, struct error *error)
{
    struct str text = http_query_value(all->request, STR("_cursor"));
    uint64_t number = 0;
    if (text.at == NULL) {
        return true;
    }
    size_t dot = str_find_char(text, '.');
    if (dot >= text.len || !parse_uint64(str_slice(text, 0, dot), 1000, &number)) {
        return FAIL(error, ERROR_INPUT, "_cursor is not of this operation");
    }
    all->type_at = (size_t)number;
    all->cursor = dot + 1 < text.len ? str_skip(text, dot + 1) : STR_NONE;
    return true;
}

static bool read_asked(struct everything *all, const struct json *body, struct error *error)
{
    static const char *const known[] = { "_since", "_type",   "_count",  "_cursor", "start",
                                         "end",    "_format", "_pretty", NULL };
    struct http_request *request = all->request;
    uint64_t count = EVERYTHING_COUNT;
    for (size_t i = 0; i < request->pairs_count; i++) {
        size_t k = 0;
        while (known[k] != NULL && !str_equal_cstr(request->pairs[i].name, known[k])) {
            k++;
        }
        if (known[k] == NULL) {
            return FAIL(error, ERROR_UNSUPPORTED, "$everything has no parameter %.*s here",
                        STR_FMT(str_slice(request->pairs[i].name, 0, 40)));
        }
    }
    struct str text = operation_parameter(request, body, STR("_count"));
    if (text.at != NULL && (!parse_uint64(text, UINT64_MAX, &count) || count == 0)) {
        return FAIL(error, ERROR_INPUT, "_count must be a number above 0");
    }
    all->count = count > LIMIT_SEARCH_COUNT ? LIMIT_SEARCH_COUNT : (size_t)count;
    all->types = operation_parameter(request, body, STR("_type"));
    all->since = operation_parameter(request, body, STR("_since"));
    all->start = operation_parameter(request, body, STR("start"));
    all->end = operation_parameter(request, body, STR("end"));
    struct date_span span; /* they become part of a _filter */
    int offset = api_of(request)->offset_minutes;
    return (all->start.at == NULL || date_parse(all->start, offset, &span, error)) &&
           (all->end.at == NULL || date_parse(all->end, offset, &span, error)) && read_cursor(all, error);
}

static bool add_once(struct everything *all, const struct store_version *version, const char *mode,
                     struct error *error)
{
    struct arena *arena = &all->request->arena;
    struct str key = arena_printf(arena, "%.*s/%.*s", STR_FMT(version->type), STR_FMT(version->id));
    if (table_get(&all->entries, key) != NULL) {
        return true;
    }
    if (!table_set(&all->entries, key, all)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    return operation_add_entry(all->request, version, mode, &all->out, error);
}

/* The dates of care of a type: the first two of these parameters that it has. */
static size_t care_dates(struct str type, struct str codes[CARE_DATES_MAX])
{
    static const char *const known[] = { "date",           "authoredon", "occurrence",    "effective",
                                         "effective-time", "onset-date", "recorded-date", "started",
                                         "collected",      "authored",   "authored-on",   "sent",
                                         "whenhandedover", "start-date", "identified",    "created",
                                         "period",         "datetime",   "issued",        "recorded" };
    size_t count = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known && count < CARE_DATES_MAX; i++) {
        struct str code = str_from_cstr(known[i]);
        if (model_search_find(type, code) != NULL) {
            codes[count] = code;
            count++;
        }
    }
    return count;
}

/* start and end (R4 Patient-everything) as a _filter: a date of care lies in the range, or there is none. Absent when the
 * type has no such date or no range was asked for. */
static struct str care_filter(const struct everything *all, struct str type)
{
    struct arena *arena = &all->request->arena;
    struct str codes[CARE_DATES_MAX];
    size_t count = care_dates(type, codes);
    struct str filter = STR("(");
    if (count == 0 || (all->start.at == NULL && all->end.at == NULL)) {
        return STR_NONE;
    }
    for (size_t i = 0; i < count; i++) {
        filter = arena_printf(arena, "%.*s%s(%.*s pr true", STR_FMT(filter), i == 0 ? "" : " or ",
                              STR_FMT(codes[i]));
        if (all->start.at != NULL) {
            filter = arena_printf(arena, "%.*s and %.*s ge %.*s", STR_FMT(filter), STR_FMT(codes[i]),
                                  STR_FMT(all->start));
        }
        if (all->end.at != NULL) {
            filter = arena_printf(arena, "%.*s and %.*s le %.*s", STR_FMT(filter), STR_FMT(codes[i]),
                                  STR_FMT(all->end));
        }
        filter = arena_concat(arena, filter, STR(")"));
    }
    for (size_t i = 0; i < count; i++) {
        filter = arena_printf(arena, "%.*s %s %.*s pr false", STR_FMT(filter), i == 0 ? "or (" : "and",
                              STR_FMT(codes[i]));
    }
    return arena_concat(arena, filter, STR("))"));
}

/* One more page of one type. With a full page it is only asked whether there is something, so that a next link never
 * leads to nothing. */
static bool add_type(struct everything *all, struct str type, bool *more, struct error *error)
{
    bool is_full = all->matches >= all->count;
    struct arena *arena = &all->request->arena;
    struct search_pair pairs[EVERYTHING_PAIRS] = { { .name = STR("_include"), .value = STR("*") } };
    size_t pairs_count = 1;
    struct str filter = care_filter(all, type);
    if (all->since.at != NULL) {
        pairs[pairs_count++] =
            (struct search_pair){ STR("_lastUpdated"), arena_printf(arena, "ge%.*s", STR_FMT(all->since)) };
    }
    if (filter.at != NULL) {
        pairs[pairs_count++] = (struct search_pair){ STR("_filter"), filter };
    }
    struct operation_search search = { .request = all->request,
                                       .options = { .type = type,
                                                    .now_ms = clock_now_ms(),
                                                    .compartment_type = all->compartment,
                                                    .compartment_id = all->id },
                                       .pairs = pairs,
                                       .pairs_count = pairs_count,
                                       .count = is_full ? 1 : all->count - all->matches,
                                       .cursor = all->cursor };
    if (!operation_search(&search, error)) {
        return false;
    }
    if (is_full) {
        *more = search.hits.matches_count > 0;
        return true;
    }
    for (size_t i = 0; i < search.hits.count; i++) {
        const struct store_hit *hit = &search.hits.hits[i];
        bool inside = model_compartment(all->compartment, hit->version.type).at != NULL ||
                      str_equal(hit->version.type, all->compartment);
        if (hit->included && inside) {
            continue; /* comes by itself when it is this one's */
        }
        all->matches += hit->included ? 0 : 1;
        if (!add_once(all, &hit->version, hit->included ? "include" : "match", error)) {
            return false;
        }
    }
    all->cursor = search.hits.next_cursor;
    *more = search.hits.next_cursor.at != NULL;
    return true;
}

/* Seen, or 404; then found by a search too, for what it refers to. */
static bool add_itself(struct everything *all, struct error *error)
{
    struct store_version version = { 0 };
    struct json *resource = NULL;
    const struct fhir_wanted wanted = { .type = all->compartment, .id = all->id };
    if (!operation_read(all->request, &wanted, &version, &resource, error)) {
        return false;
    }
    bool wanted_type = all->types.at == NULL || has_word(all->types, all->compartment);
    if (all->type_at > 0 || !wanted_type) {
        return true; /* only asked whether it may be seen */
    }
    bool more = false;
    return add_type(all, all->compartment, &more, error);
}

static bool add_types(struct everything *all, struct error *error)
{
    size_t count = 0;
    const struct model_type *const *types = model_resources(&count);
    const struct access_session *session = &call_of(all->request)->session;
    all->type_at = all->type_at == 0 ? 1 : all->type_at;
    bool more = false;
    while (all->type_at <= count && !(more && all->matches >= all->count)) {
        struct str type = types[all->type_at - 1]->name;
        const struct access_act act = { .interaction = ACCESS_SEARCH, .type = type };
        bool wanted = all->types.at == NULL || has_word(all->types, type);
        bool inside =
            model_compartment(all->compartment, type).at != NULL && !str_equal(type, all->compartment);
        more = false;
        if (wanted && inside && access_has(session, act) && !add_type(all, type, &more, error)) {
            return false;
        }
        all->type_at += more ? 0 : 1;
    }
    if (all->type_at > count) {
        all->type_at = 0; /* the end */
    }
    return true;
}

static void add_links(struct everything *all, struct buf *out)
{
    struct http_request *request = all->request;
    struct str base = api_url(request, "/%.*s/%.*s/$everything", STR_FMT(all->compartment), STR_FMT(all->id));
    struct buf query = { .bytes_max = LIMIT_URL_BYTES * 3u };
    const struct {
        const char *name;
        struct str value;
    } kept[] = {
        { "_type", all->types }, { "_since", all->since }, { "start", all->start }, { "end", all->end }
    };
    buf_printf(&query, "_count=%zu", all->count);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (kept[i].value.at != NULL) {
            buf_printf(&query, "&%s=", kept[i].name);
            percent_encode(&query, kept[i].value);
        }
    }
    buf_add(out, STR("\"link\":[{\"relation\":\"self\",\"url\":"));
    json_write_text(out, arena_printf(&request->arena, "%.*s?%.*s", STR_FMT(base), STR_FMT(buf_str(&query))));
    if (all->type_at > 0) {
        buf_printf(&query, "&_cursor=%zu.", all->type_at);
        percent_encode(&query, all->cursor);
        buf_add(out, STR("},{\"relation\":\"next\",\"url\":"));
        json_write_text(out,
                        arena_printf(&request->arena, "%.*s?%.*s", STR_FMT(base), STR_FMT(buf_str(&query))));
    }
    buf_add(out, STR("}]"));
    buf_deinit(&query);
}

static bool write_bundle(struct everything *all, struct buf *out, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    if (!uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    buf_printf(out, "{\"resourceType\":\"Bundle\",\"id\":\"%s\",\"type\":\"searchset\",", id);
    add_links(all, out);
    if (all->out.len > 0) {
        all->out.len--; /* the last comma */
        buf_add(out, STR(",\"entry\":["));
        buf_add(out, buf_str(&all->out));
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the page is too large: ask for less by _count");
}

enum http_verdict fhir_everything(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct str path = str_from_cstr(request->route->template);
    struct everything all = { .request = request,
                              .compartment = str_starts_with(path, STR("/fhir/Patient/")) ? STR("Patient")
                                                                                          : STR("Encounter"),
                              .id = http_parameter(request, STR("id")),
                              .entries = table_in(&request->arena),
                              .out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u } };
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u };
    bool ok = operation_body(request, &body, &error) && read_asked(&all, body, &error) &&
              add_itself(&all, &error) && add_types(&all, &error) && write_bundle(&all, &out, &error);
    const struct api_read read = {
        .act = { .interaction = ACCESS_OPERATION, .type = all.compartment, .operation = STR("$everything") },
        .type = all.compartment,
        .id = all.id,
        .patient = str_equal(all.compartment, STR("Patient")) ? all.id : STR_NONE
    };
    ok = ok && api_audit_read(request, &call_of(request)->session, &read, &error);
    buf_deinit(&all.out);
    if (!ok) {
        buf_deinit(&out);
        return api_fail(request, &error);
    }
    api_respond_buf(request, &out, call_of(request)->pretty);
    return HTTP_DONE;
}
