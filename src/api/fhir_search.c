/* Searching a type, all types, or a compartment, by GET or POST _search (R4 3.1.1). In the pool: a search may look
 * at many rows. The bundle's text is put together from stored bodies, not parsed. */
#include <stdio.h>

#include "api/call.h"
#include "api/fhir_contained.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "fhir/outcome.h"
#include "fhir/search_query.h"
#include "http/query.h"
#include "model/model.h"
#include "store/body.h"

struct search_job {
    struct http_request *request;
    const struct access_session *session;
    struct arena *arena;
    struct search_options options;
    const struct search_pair *pairs;
    size_t pairs_count;
    struct search_query query;
    struct store_hits hits;
    struct contained_hits contained;
};

/* ---- asking the store ---- */

static uint64_t query_hash(const struct search_job *job)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < job->pairs_count; i++) {
        hash = hash64_combine(hash, hash64(job->pairs[i].name, 1));
        hash = hash64_combine(hash, hash64(job->pairs[i].value, 2));
    }
    return hash;
}

static bool is_count_only(const struct search_query *query)
{
    return query->summary == SEARCH_SUMMARY_COUNT || (query->has_count && query->count == 0);
}

/* Behind the last of the resources found as such, in what the page has room for. */
static bool find_contained(struct search_job *job, struct error *error)
{
    const struct search_query *query = &job->query;
    struct store_hits *hits = &job->hits;
    bool more = hits->next_cursor.at != NULL;
    bool alone = query->contained == SEARCH_CONTAINED_TRUE;
    bool first = query->cursor.at == NULL;
    struct contained_wanted wanted = {
        .room = query->has_count ? query->count : SEARCH_COUNT_DEFAULT,
        .count_all = first && (is_count_only(query) || query->total == SEARCH_TOTAL_ACCURATE ||
                               query->total == SEARCH_TOTAL_ESTIMATE),
    };
    wanted.room = more ? 0 : wanted.room - hits->matches_count;
    if (more && !wanted.count_all) {
        hits->has_total = false;
        return true;
    }
    if (!fhir_contained_find(job->request, query, &wanted, &job->contained, error)) {
        return false;
    }
    bool known = job->contained.has_total && (alone || hits->has_total);
    hits->has_total = known && query->total != SEARCH_TOTAL_NONE;
    hits->total += job->contained.total;
    hits->next_cursor = more ? hits->next_cursor : job->contained.next_cursor;
    return true;
}

static bool run_search(struct search_job *job, struct error *error)
{
    struct store_reader *reader = NULL;
    const struct store_filter *filter = NULL;
    struct access_act act = { .interaction = ACCESS_SEARCH, .type = job->options.type };
    if (!search_query_parse(job->arena, &job->options, job->pairs, job->pairs_count, &job->query, error) ||
        !access_query_allowed(job->session, &job->query, error) ||
        !access_filter(job->session, act, job->arena, &filter, error) ||
        !store_reader_begin(api_of(job->request)->store, &reader, error)) {
        return false;
    }
    struct store_search search = {
        .query = &job->query,
        .filter = filter,
        .cursor = job->query.cursor,
        .now_ms = clock_now_ms(),
        .without_bodies = job->query.summary == SEARCH_SUMMARY_COUNT,
    };
    bool inside = fhir_contained_is_cursor(job->query.cursor); /* on a page of hits in contained resources */
    bool ok = job->query.contained == SEARCH_CONTAINED_TRUE || inside ||
              store_search(reader, job->arena, &search, &job->hits, error);
    store_reader_end(reader);
    if (ok && job->query.contained != SEARCH_CONTAINED_FALSE) {
        ok = find_contained(job, error);
    }
    struct api_read read = { .act = act,
                             .type = job->options.type,
                             .query_hash = query_hash(job),
                             .patient = job->options.compartment_id };
    return ok && api_audit_read(job->request, job->session, &read, error);
}

/* ---- the bundle ---- */

static void add_link(struct buf *out, const char *relation, struct str url)
{
    buf_printf(out, "{\"relation\":\"%s\",\"url\":", relation);
    json_write_text(out, url);
    buf_add_char(out, '}');
}

static struct str search_base(const struct search_job *job)
{
    const struct search_options *options = &job->options;
    if (options->compartment_type.at != NULL) {
        struct str type = options->type.at == NULL ? STR("*") : options->type;
        return api_url(job->request, "/%.*s/%.*s/%.*s", STR_FMT(options->compartment_type),
                       STR_FMT(options->compartment_id), STR_FMT(type));
    }
    return options->type.at == NULL ? api_url(job->request, "%s", "")
                                    : api_url(job->request, "/%.*s", STR_FMT(options->type));
}

/* The query part of the self link; of the next link without this page's own place. */
static struct str self_query(const struct search_job *job, bool without_cursor)
{
    struct search_query query = job->query;
    struct search_pair *kept = ARENA_ARRAY(job->arena, struct search_pair, query.pairs_count);
    size_t count = 0;
    for (size_t i = 0; kept != NULL && i < query.pairs_count; i++) {
        if (!without_cursor || !str_equal(query.pairs[i].name, STR("_cursor"))) {
            kept[count++] = query.pairs[i];
        }
    }
    query.pairs = kept;
    query.pairs_count = count;
    return search_query_self(job->arena, &query);
}

static void add_links(const struct search_job *job, struct buf *out)
{
    struct str base = search_base(job);
    struct str self = self_query(job, false);
    struct str url =
        arena_printf(job->arena, "%.*s%s%.*s", STR_FMT(base), self.len > 0 ? "?" : "", STR_FMT(self));
    buf_add(out, STR("\"link\":["));
    add_link(out, "self", url);
    if (job->query.cursor.at != NULL) {
        buf_add_char(out, ',');
        struct str first = self_query(job, true);
        add_link(
            out, "first",
            arena_printf(job->arena, "%.*s%s%.*s", STR_FMT(base), first.len > 0 ? "?" : "", STR_FMT(first)));
    }
    if (job->hits.next_cursor.at != NULL && !is_count_only(&job->query)) {
        buf_add_char(out, ',');
        self = self_query(job, true);
        struct buf cursor = { .bytes_max = 64 * 1024 };
        percent_encode(&cursor, job->hits.next_cursor);
        url = arena_printf(job->arena, "%.*s?%.*s%s_cursor=%.*s", STR_FMT(base), STR_FMT(self),
                           self.len > 0 ? "&" : "", STR_FMT(buf_str(&cursor)));
        buf_deinit(&cursor);
        add_link(out, "next", url);
    }
    buf_add(out, STR("],"));
}

static bool add_hit(const struct search_job *job, const struct store_hit *hit, struct buf *out,
                    struct error *error)
{
    struct str text = STR_NONE;
    struct fhir_view view = { .summary = (int)job->query.summary,
                              .elements = job->query.elements,
                              .elements_count =
                                  hit->included ? 0 : job->query.elements_count }; /* R4 3.1.1.5.9 */
    bool whole = view.summary == SEARCH_SUMMARY_FALSE && view.elements_count == 0 &&
                 !access_masks_type(job->session, hit->version.type);
    if (!whole && !fhir_text(job->session, job->arena, &hit->version, &view, &text, error)) {
        return false;
    }
    buf_add(out, STR("{\"fullUrl\":"));
    json_write_text(
        out, api_url(job->request, "/%.*s/%.*s", STR_FMT(hit->version.type), STR_FMT(hit->version.id)));
    buf_add(out, STR(",\"resource\":"));
    if (whole) {
        store_body_write(out, &hit->version);
    } else {
        buf_add(out, text);
    }
    buf_printf(out, ",\"search\":{\"mode\":\"%s\"}},", hit->included ? "include" : "match");
    return true;
}

/* A contained resource has no address of its own but its container's with "#id". */
static bool add_contained(const struct search_job *job, const struct contained_hit *hit, struct buf *out,
                          struct error *error)
{
    if (hit->text.at == NULL) {
        const struct store_hit container = { .version = hit->container };
        return add_hit(job, &container, out, error);
    }
    buf_add(out, STR("{\"fullUrl\":"));
    json_write_text(out, api_url(job->request, "/%.*s/%.*s#%.*s", STR_FMT(hit->container.type),
                                 STR_FMT(hit->container.id), STR_FMT(hit->id)));
    buf_add(out, STR(",\"resource\":"));
    buf_add(out, hit->text);
    buf_add(out, STR(",\"search\":{\"mode\":\"match\"}},"));
    return true;
}

/* What was left out, told in an entry of mode outcome (R4 3.1.1.4.5). */
static void add_warnings(const struct search_job *job, struct buf *out)
{
    struct outcome outcome = outcome_in(job->arena);
    for (const struct search_warning *warning = job->query.warnings; warning != NULL;
         warning = warning->next) {
        outcome_add(&outcome, (struct outcome_issue){ .severity = OUTCOME_WARNING,
                                                      .code = "not-supported",
                                                      .path = warning->parameter,
                                                      .text = warning->text });
    }
    if (job->hits.include_cut.at != NULL) {
        outcome_add(&outcome, (struct outcome_issue){
                                  .severity = OUTCOME_WARNING,
                                  .code = "incomplete",
                                  .path = job->hits.include_cut,
                                  .text = STR("more resources would be included than one page takes"),
                                  .chinese = STR("要附带的资源超过一页的上限，未全部列出") });
    }
    if (outcome.count > 0) {
        buf_add(out, STR("{\"resource\":"));
        json_write(out, outcome_to_json(&outcome, api_language(job->request)));
        buf_add(out, STR(",\"search\":{\"mode\":\"outcome\"}},"));
    }
}

static bool write_bundle(const struct search_job *job, struct buf *out, struct error *error)
{
    char id[UUID_TEXT_BYTES];
    char time[INSTANT_BYTES];
    int64_t now_ms = clock_now_ms();
    if (!uuid_v7(now_ms, id, error)) {
        return false;
    }
    (void)instant_format(now_ms, 0, time);
    buf_printf(out,
               "{\"resourceType\":\"Bundle\",\"id\":\"%s\",\"meta\":{\"lastUpdated\":\"%s\"},\"type\":"
               "\"searchset\",",
               id, time);
    if (job->hits.has_total || job->query.summary == SEARCH_SUMMARY_COUNT) {
        buf_printf(out, "\"total\":%llu,", (unsigned long long)job->hits.total);
    }
    add_links(job, out);
    buf_add(out, STR("\"entry\":["));
    size_t before = out->len;
    for (size_t i = 0; i < job->hits.count && job->query.summary != SEARCH_SUMMARY_COUNT; i++) {
        if (!add_hit(job, &job->hits.hits[i], out, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < job->contained.count && job->query.summary != SEARCH_SUMMARY_COUNT; i++) {
        if (!add_contained(job, &job->contained.hits[i], out, error)) {
            return false;
        }
    }
    add_warnings(job, out);
    if (out->len > before) {
        out->len--; /* the last comma */
        buf_add(out, STR("]}"));
    } else {
        out->len -= sizeof ",\"entry\":[" - 1; /* R4: no empty arrays */
        buf_add_char(out, '}');
    }
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the page is too large: ask for less by _count");
}

static bool answer(struct search_job *job, struct error *error)
{
    struct http_request *request = job->request;
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u };
    if (!write_bundle(job, &out, error)) {
        buf_deinit(&out);
        return false;
    }
    api_respond_buf(request, &out, job->query.pretty);
    return true;
}

/* ---- handlers ---- */

static bool read_options(struct http_request *request, struct search_options *options, struct error *error)
{
    struct api *api = api_of(request);
    *options = (struct search_options){
        .type = http_parameter(request, STR("type")),
        .base_url = api->base_url,
        .offset_minutes = api->offset_minutes,
        .now_ms = clock_now_ms(),
        .terms = api_terminology(request),
        .hierarchy = api_hierarchy(request),
        .inside = api_inside(request),
        .lenient = call_of(request)->lenient,
        .contained = true,
        .ignore_empty = true,
        .compartment_type = http_parameter(request, STR("compartment")),
        .compartment_id = http_parameter(request, STR("id")),
    };
    struct str of = options->compartment_type;
    struct str type =
        options->type.at == NULL ? STR("Observation") : options->type; /* each compartment has it */
    if (of.at != NULL && model_compartment(of, type).len == 0 && !str_equal(of, options->type)) {
        return FAIL(error, ERROR_NOT_FOUND, "R4 has no compartment of that name with such a type in it");
    }
    return true;
}

static bool copy_pairs(struct arena *arena, const struct http_pair *from, size_t count,
                       struct search_job *job, struct error *error)
{
    struct search_pair *pairs = ARENA_ARRAY(arena, struct search_pair, count);
    if (pairs == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = (struct search_pair){ .name = from[i].name, .value = from[i].value };
    }
    job->pairs = pairs;
    job->pairs_count = count;
    return true;
}

enum http_verdict fhir_search(struct http_request *request)
{
    struct error error = { 0 };
    struct search_job job = { .request = request,
                              .session = &call_of(request)->session,
                              .arena = &request->arena };
    if (!read_options(request, &job.options, &error) ||
        !copy_pairs(&request->arena, request->pairs, request->pairs_count, &job, &error) ||
        !run_search(&job, &error) || !answer(&job, &error)) {
        return api_fail(request, &error);
    }
    return HTTP_DONE;
}

/* ---- GETs inside a bundle ---- */

static bool get_search(struct search_job *job, struct str query, struct json **resource, struct error *error)
{
    const struct http_pair *pairs = NULL;
    size_t count = 0;
    struct access_act act = { .interaction = ACCESS_SEARCH, .type = job->options.type };
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES };
    bool ok = access_check(job->session, act, error) &&
              query_parse(job->arena, query, &pairs, &count, error) &&
              copy_pairs(job->arena, pairs, count, job, error) && run_search(job, error) &&
              write_bundle(job, &out, error);
    struct str text = ok ? arena_dup(job->arena, buf_str(&out)) : STR_NONE;
    buf_deinit(&out);
    return ok && (text.at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up")) &&
           json_read(job->arena, text, resource, error);
}

static bool get_one(struct search_job *job, const struct fhir_wanted *wanted, struct json **resource,
                    struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    struct str text = STR_NONE;
    struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct api_read read = { .act = { .interaction = ACCESS_READ, .type = wanted->type },
                             .type = wanted->type,
                             .id = wanted->id };
    if (!access_check(job->session, read.act, error) ||
        !store_reader_begin(api_of(job->request)->store, &reader, error)) {
        return false;
    }
    struct api_look look = { .request = job->request,
                             .reader = reader,
                             .session = job->session,
                             .arena = job->arena,
                             .interaction = ACCESS_READ };
    bool ok = fhir_load(&look, wanted, &version, error);
    store_reader_end(reader);
    read.patient = ok ? api_patient_of(version.type, version.id, version.body) : STR_NONE;
    return ok && api_audit_read(job->request, job->session, &read, error) &&
           fhir_text(job->session, job->arena, &version, &view, &text, error) &&
           json_read(job->arena, text, resource, error);
}

bool fhir_get_url(struct http_request *request, const struct access_session *session, struct arena *arena,
                  struct str url, struct json **resource, int *http_status, struct error *error)
{
    struct search_job job = { .request = request, .session = session, .arena = arena };
    url = str_starts_with(url, STR("/")) ? str_skip(url, 1) : url;
    size_t question = str_find_char(url, '?');
    struct str path = str_slice(url, 0, question);
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    (void)str_split_next(&path, '/', &type);
    if (model_resource_find(type) == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "R4 has no resource type of that name");
    }
    *http_status = 200;
    if (path.at != NULL && str_split_next(&path, '/', &id)) {
        struct fhir_wanted wanted = { .type = type, .id = id };
        bool fits = path.at == NULL ||
                    (str_starts_with(path, STR("_history/")) &&
                     parse_uint64(str_skip(path, 9), UINT64_MAX, &wanted.version) && wanted.version > 0);
        return (fits || FAIL(error, ERROR_UNSUPPORTED,
                             "a bundle may read Type/id, Type/id/_history/n or search a type")) &&
               get_one(&job, &wanted, resource, error);
    }
    job.options = (struct search_options){ .type = type,
                                           .contained = true,
                                           .ignore_empty = true,
                                           .base_url = api_of(request)->base_url,
                                           .offset_minutes = api_of(request)->offset_minutes,
                                           .lenient = call_of(request)->lenient,
                                           .terms = api_terminology(request),
                                           .hierarchy = api_hierarchy(request),
                                           .inside = api_inside(request),
                                           .now_ms = clock_now_ms() };
    return get_search(&job, question < url.len ? str_skip(url, question + 1) : STR(""), resource, error);
}
