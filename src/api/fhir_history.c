/* History of an instance, a type, the system (R4 3.1.0.9), newest first. What the session may not see is left out before
 * the page is cut, so that a page holds _count versions while there are any. A page that would have to look at more
 * than LIMIT_HISTORY_CANDIDATES ends early, with a link to go on. In the pool. */
#include <stdlib.h>

#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "fhir/search_query.h"
#include "http/query.h"

enum { HISTORY_COUNT_DEFAULT = 50, HISTORY_CHUNK = 200, HISTORY_LISTED_MAX = 1000 };

/* What an item of a List names: a resource, or one version of it. */
struct history_listed {
    struct str type;
    struct str id;
    uint64_t version; /* 0: all */
};

struct history_asked {
    struct store_history history; /* count is that of the page */
    struct str list;              /* _list: id of a List, or absent */
    struct history_listed *listed;
    size_t listed_count;
    bool has_at;
    int64_t at_from_ms; /* _at: versions that were current at some moment of this span */
    int64_t at_to_ms;
};

/* A page of what may be seen. */
struct history_page {
    struct store_version *versions;
    size_t count;
    bool more;
    uint64_t next_seq;
};

static bool read_number(const struct http_request *request, struct str name, uint64_t max, uint64_t *value,
                        struct error *error)
{
    struct str text = http_query_value(request, name);
    return text.at == NULL || parse_uint64(text, max, value) ||
           FAIL(error, ERROR_INPUT, "%.*s must be a number", STR_FMT(name));
}

static bool check_names(const struct http_request *request, struct error *error)
{
    static const char *const known[] = { "_count", "_since",  "_at",     "_cursor",
                                         "_sort",  "_format", "_pretty", "_list" };
    for (size_t i = 0; i < request->pairs_count; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            found = found || str_equal_cstr(request->pairs[i].name, known[k]);
        }
        if (!found) {
            return FAIL(error, ERROR_INPUT, "unknown parameter of a history: %.*s",
                        STR_FMT(str_slice(request->pairs[i].name, 0, 60)));
        }
    }
    return true;
}

/* R5's _sort of a history: by time only. */
static bool read_order(const struct http_request *request, struct history_asked *asked, struct error *error)
{
    struct str sort = http_query_value(request, STR("_sort"));
    asked->history.oldest_first = str_equal(sort, STR("_lastUpdated"));
    return sort.at == NULL || asked->history.oldest_first || str_equal(sort, STR("-_lastUpdated")) ||
           FAIL(error, ERROR_INPUT, "a history is sorted by _lastUpdated or -_lastUpdated");
}

static bool read_list(const struct http_request *request, struct history_asked *asked, struct error *error)
{
    asked->list = http_query_value(request, STR("_list"));
    if (str_starts_with(asked->list, STR("List/"))) {
        asked->list = str_skip(asked->list, sizeof "List/" - 1);
    }
    bool ok = asked->list.at == NULL || (asked->list.len > 0 && asked->history.id.at == NULL);
    return ok ||
           FAIL(error, ERROR_INPUT, "_list is the id of a List, for histories of a type or of the system");
}

static bool read_asked(struct http_request *request, struct history_asked *asked, struct error *error)
{
    uint64_t count = HISTORY_COUNT_DEFAULT;
    struct date_span span = { 0 };
    int offset = api_of(request)->offset_minutes;
    struct store_history *history = &asked->history;
    struct str since = http_query_value(request, STR("_since"));
    struct str at = http_query_value(request, STR("_at"));
    if (!check_names(request, error) || !read_order(request, asked, error) ||
        !read_list(request, asked, error) ||
        !read_number(request, STR("_count"), UINT64_MAX, &count, error) ||
        !read_number(request, STR("_cursor"), UINT64_MAX, &history->before_seq, error) ||
        (since.at != NULL && !date_parse(since, offset, &span, error))) {
        return false;
    }
    history->since_ms = span.from_ms;
    if (at.at != NULL && !date_parse(at, offset, &span, error)) {
        return false;
    }
    asked->has_at = at.at != NULL;
    asked->at_from_ms = span.from_ms;
    asked->at_to_ms = span.to_ms;
    history->count = count == 0 || count > LIMIT_SEARCH_COUNT ? LIMIT_SEARCH_COUNT : (size_t)count;
    return true;
}

/* R4 2.36.4: request and response say what happened and stand in every entry. */
static bool add_version(const struct api_look *look, const struct store_version *version, struct buf *out,
                        struct error *error)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
    struct str text = STR_NONE;
    struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    bool deleted = version->method == STORE_METHOD_DELETED;
    if (!deleted && !fhir_text(look->session, look->arena, version, &view, &text, error)) {
        return false;
    }
    char time[INSTANT_BYTES];
    (void)instant_format(version->updated_ms, 0, time);
    buf_add(out, STR("{\"fullUrl\":"));
    json_write_text(out, api_url(look->request, "/%.*s/%.*s", STR_FMT(version->type), STR_FMT(version->id)));
    if (!deleted) {
        buf_add(out, STR(",\"resource\":"));
        buf_add(out, text);
    }
    bool created = version->method == STORE_METHOD_CREATED;
    buf_printf(out, ",\"request\":{\"method\":\"%s\",\"url\":\"%.*s%s%.*s\"}", methods[version->method],
               STR_FMT(version->type), created ? "" : "/", STR_FMT(created ? STR("") : version->id));
    buf_printf(out, ",\"response\":{\"status\":\"%s\",\"etag\":\"W/\\\"%llu\\\"\",\"lastModified\":\"%s\"}},",
               created   ? "201"
               : deleted ? "204"
                         : "200",
               (unsigned long long)version->version, time);
    return true;
}

/* ---- the page ---- */

/* Whether a version was current in the span: the one after it came later than its begin. */
static bool was_current(const struct store_version *version, uint64_t seq_before_span)
{
    return version->ended_seq == 0 || version->ended_seq > seq_before_span;
}

/* Of the versions looked at, which ones the page is about. */
struct history_scope {
    uint64_t seq_before_span; /* _at: current after this one … */
    uint64_t seq_to;          /* … and made at or before this one */
    uint64_t version;         /* 0: any */
    size_t looked;
};

static bool take_chunk(const struct api_look *look, const struct store_page *chunk, size_t wanted,
                       const struct history_scope *scope, struct history_page *page, struct error *error)
{
    for (size_t i = 0; i < chunk->count && page->count <= wanted; i++) {
        const struct store_version *version = &chunk->versions[i];
        bool may = was_current(version, scope->seq_before_span) && version->seq <= scope->seq_to &&
                   (scope->version == 0 || scope->version == version->version);
        if (may && !api_may_see(look, version, &may, error)) {
            return false;
        }
        if (may) {
            page->versions[page->count++] = *version;
        }
    }
    return true;
}

/* Up to one version more than the page is to have, from a walk in its order. `more` when that looked at too many. */
static bool walk_page(const struct api_look *look, struct store_history walk, struct history_scope *scope,
                      struct history_page *page, struct error *error)
{
    size_t wanted = walk.count;
    bool more = true;
    walk.without_bodies = true;
    walk.count = wanted + 1 > HISTORY_CHUNK ? HISTORY_CHUNK : wanted + 1;
    while (more && page->count <= wanted) {
        struct store_page chunk = { 0 };
        if (scope->looked >= LIMIT_HISTORY_CANDIDATES) {
            page->more = true;
            page->next_seq = walk.before_seq;
            return true;
        }
        if (!store_read_history(look->reader, look->arena, &walk, &chunk, error) ||
            !take_chunk(look, &chunk, wanted, scope, page, error)) {
            return false;
        }
        scope->looked += chunk.count;
        more = chunk.more;
        walk.before_seq = chunk.next_seq;
        walk.count = HISTORY_CHUNK;
    }
    return true;
}

/* ---- of a list ---- */

static bool read_item(struct arena *arena, const struct json *item, struct history_listed *listed)
{
    struct str rest = json_member_text(arena, JSON_GET(item, "item"), STR("reference"));
    struct str part = STR_NONE;
    *listed = (struct history_listed){ 0 };
    if (rest.at == NULL || !str_split_next(&rest, '/', &listed->type) ||
        !str_split_next(&rest, '/', &listed->id)) {
        return false;
    }
    bool versioned = str_split_next(&rest, '/', &part) && str_equal(part, STR("_history"));
    return !versioned || parse_uint64(rest, UINT64_MAX, &listed->version);
}

/* The resources that a visible List names here; of the history's type when it has one. */
static bool find_listed(const struct api_look *look, struct history_asked *asked, struct error *error)
{
    const struct fhir_wanted wanted = { .type = STR("List"), .id = asked->list };
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    const struct access_act act = { .interaction = ACCESS_READ, .type = wanted.type };
    struct api_look reading = *look;
    struct store_version version = { 0 };
    struct json *list = NULL;
    struct str text = STR_NONE;
    reading.interaction = ACCESS_READ;
    if (!access_check(look->session, act, error) || !fhir_load(&reading, &wanted, &version, error) ||
        !fhir_text(look->session, look->arena, &version, &view, &text, error) ||
        !json_read(look->arena, text, &list, error)) {
        return false;
    }
    asked->listed = ARENA_ARRAY(look->arena, struct history_listed, HISTORY_LISTED_MAX);
    if (asked->listed == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    JSON_EACH(item, JSON_GET(list, "entry")) {
        struct history_listed listed;
        if (!read_item(look->arena, item, &listed) ||
            (asked->history.type.at != NULL && !str_equal(listed.type, asked->history.type))) {
            continue;
        }
        if (asked->listed_count == HISTORY_LISTED_MAX) {
            return FAIL(error, ERROR_TOO_COSTLY, "the list names more than %d resources", HISTORY_LISTED_MAX);
        }
        asked->listed[asked->listed_count] = listed;
        asked->listed_count++;
    }
    return true;
}

static int compare_newest(const void *left, const void *right)
{
    const struct store_version *a = left;
    const struct store_version *b = right;
    return (a->seq < b->seq) - (a->seq > b->seq);
}

static int compare_oldest(const void *left, const void *right)
{
    return compare_newest(right, left);
}

/* What is listed twice stands in the page once. */
static size_t drop_doubles(struct store_version *versions, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || versions[kept - 1].seq != versions[i].seq) {
            versions[kept] = versions[i];
            kept++;
        }
    }
    return kept;
}

/* The first of what all listed resources have, kept in order as they come. */
static bool walk_listed(const struct api_look *look, const struct history_asked *asked,
                        struct history_scope *scope, struct history_page *page, struct error *error)
{
    size_t room = asked->history.count + 1;
    struct history_page one = { .versions = ARENA_ARRAY(look->arena, struct store_version, 2 * room) };
    if (one.versions == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct store_version *both = one.versions;
    for (size_t i = 0; i < asked->listed_count; i++) {
        struct store_history walk = asked->history;
        walk.type = asked->listed[i].type;
        walk.id = asked->listed[i].id;
        scope->version = asked->listed[i].version;
        one = (struct history_page){ .versions = both + page->count };
        if (!walk_page(look, walk, scope, &one, error)) {
            return false;
        }
        if (one.more) {
            return FAIL(error, ERROR_TOO_COSTLY, "the history of this list has too many versions");
        }
        size_t count = page->count + one.count;
        qsort(both, count, sizeof *both, walk.oldest_first ? compare_oldest : compare_newest);
        count = drop_doubles(both, count);
        page->count = count > room ? room : count;
    }
    page->versions = both;
    return true;
}

/* One version more than the page is looked for: only then is there a next one. */
static bool find_page(const struct api_look *look, const struct history_asked *asked,
                      struct history_page *page, struct error *error)
{
    struct store_history walk = asked->history;
    struct history_scope scope = { .seq_to = UINT64_MAX };
    size_t wanted = walk.count;
    page->versions = ARENA_ARRAY(look->arena, struct store_version, wanted + 1);
    if (page->versions == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (asked->has_at) {
        if (!store_seq_before(look->reader, asked->at_from_ms, &scope.seq_before_span, error) ||
            !store_seq_before(look->reader, asked->at_to_ms, &scope.seq_to, error)) {
            return false;
        }
        bool first = walk.before_seq == 0 || walk.before_seq > scope.seq_to + 1;
        walk.before_seq = first && !walk.oldest_first ? scope.seq_to + 1 : walk.before_seq;
    }
    bool ok = asked->list.at != NULL ? walk_listed(look, asked, &scope, page, error)
                                     : walk_page(look, walk, &scope, page, error);
    if (!ok || page->more) {
        return ok;
    }
    page->more = page->count > wanted;
    page->count = page->more ? wanted : page->count;
    page->next_seq = page->count > 0 ? page->versions[page->count - 1].seq : 0;
    return true;
}

static bool add_page(const struct api_look *look, const struct history_page *page, struct buf *out,
                     struct error *error)
{
    uint64_t *seqs = ARENA_ARRAY(look->arena, uint64_t, page->count + 1);
    struct store_version *whole = ARENA_ARRAY(look->arena, struct store_version, page->count + 1);
    if (seqs == NULL || whole == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < page->count; i++) {
        seqs[i] = page->versions[i].seq;
    }
    if (page->count > 0 && !store_read_seqs(look->reader, look->arena, seqs, page->count, whole, error)) {
        return false;
    }
    for (size_t i = 0; i < page->count; i++) {
        if (!add_version(look, &whole[i], out, error)) {
            return false;
        }
    }
    return true;
}

static void add_history_links(struct http_request *request, const struct history_page *page, struct buf *out)
{
    struct str path =
        str_starts_with(request->path, STR("/fhir")) ? str_skip(request->path, 5) : request->path;
    struct buf kept = { .bytes_max = LIMIT_URL_BYTES * 3u };
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (!str_equal(request->pairs[i].name, STR("_cursor"))) {
            percent_encode(&kept, request->pairs[i].name);
            buf_add_char(&kept, '=');
            percent_encode(&kept, request->pairs[i].value);
            buf_add_char(&kept, '&');
        }
    }
    struct str self = arena_printf(&request->arena, "%.*s%s%.*s",
                                   STR_FMT(api_url(request, "%.*s", STR_FMT(path))), kept.len > 0 ? "?" : "",
                                   STR_FMT(str_slice(buf_str(&kept), 0, kept.len > 0 ? kept.len - 1 : 0)));
    buf_add(out, STR("\"link\":[{\"relation\":\"self\",\"url\":"));
    json_write_text(out, self);
    if (page->more) {
        struct str next = arena_printf(&request->arena, "%.*s?%.*s_cursor=%llu",
                                       STR_FMT(api_url(request, "%.*s", STR_FMT(path))),
                                       STR_FMT(buf_str(&kept)), (unsigned long long)page->next_seq);
        buf_add(out, STR("},{\"relation\":\"next\",\"url\":"));
        json_write_text(out, next);
    }
    buf_deinit(&kept);
    buf_add(out, STR("}],"));
}

static bool write_history(struct api_look *look, struct history_asked *asked, struct buf *out,
                          struct error *error)
{
    struct history_page page = { 0 };
    const struct store_history *history = &asked->history;
    char id[UUID_TEXT_BYTES];
    if ((asked->list.at != NULL && !find_listed(look, asked, error)) ||
        !find_page(look, asked, &page, error) || !uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    bool first = history->before_seq == 0;
    /* An instance of which nothing may be seen is not there. */
    if (page.count == 0 && history->id.at != NULL && first && history->since_ms == 0 && !asked->has_at) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no resource with that id");
    }
    buf_printf(out, "{\"resourceType\":\"Bundle\",\"id\":\"%s\",\"type\":\"history\",", id);
    if (first && !page.more) {
        buf_printf(out, "\"total\":%zu,", page.count);
    }
    add_history_links(look->request, &page, out);
    buf_add(out, STR("\"entry\":["));
    if (!add_page(look, &page, out, error)) {
        return false;
    }
    if (page.count > 0) {
        out->len--;
        buf_add(out, STR("]}"));
    } else {
        out->len -= sizeof ",\"entry\":[" - 1;
        buf_add_char(out, '}');
    }
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the page is too large: ask for less by _count");
}

enum http_verdict fhir_history(struct http_request *request)
{
    struct error error = { 0 };
    struct api_call *call = call_of(request);
    struct history_asked asked = { .history = { .type = http_parameter(request, STR("type")),
                                                .id = http_parameter(request, STR("id")) } };
    struct store_reader *reader = NULL;
    struct api_read read = { .act = { .interaction = ACCESS_HISTORY, .type = asked.history.type },
                             .type = asked.history.type,
                             .id = asked.history.id };
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u };
    if (!read_asked(request, &asked, &error) ||
        !store_reader_begin(api_of(request)->store, &reader, &error)) {
        return api_fail(request, &error);
    }
    struct api_look look = { .request = request,
                             .reader = reader,
                             .session = &call->session,
                             .arena = &request->arena,
                             .interaction = ACCESS_HISTORY };
    bool ok = write_history(&look, &asked, &out, &error);
    store_reader_end(reader);
    if (!ok || !api_audit_read(request, &call->session, &read, &error)) {
        buf_deinit(&out);
        return api_fail(request, &error);
    }
    api_respond_buf(request, &out, call->pretty);
    return HTTP_DONE;
}
