/* History of an instance, a type, the system (R4 3.1.0.9), newest first. What the session may not see is left out:
 * a page may hold less than _count although more follow. In the pool. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "fhir/search_query.h"
#include "http/query.h"

enum { HISTORY_COUNT_DEFAULT = 50 };

static bool read_number(const struct http_request *request, struct str name, uint64_t max, uint64_t *value,
                        struct error *error)
{
    struct str text = http_query_value(request, name);
    return text.at == NULL || parse_uint64(text, max, value) ||
           FAIL(error, ERROR_INPUT, "%.*s must be a number", STR_FMT(name));
}

static bool read_asked(struct http_request *request, struct store_history *history, struct error *error)
{
    static const char *const known[] = { "_count", "_since", "_at", "_cursor", "_format", "_pretty" };
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
    uint64_t count = HISTORY_COUNT_DEFAULT;
    struct date_span span = { 0 };
    int offset = api_of(request)->offset_minutes;
    struct str since = http_query_value(request, STR("_since"));
    struct str at = http_query_value(request, STR("_at"));
    if (!read_number(request, STR("_count"), UINT64_MAX, &count, error) ||
        !read_number(request, STR("_cursor"), UINT64_MAX, &history->before_seq, error) ||
        (since.at != NULL && !date_parse(since, offset, &span, error))) {
        return false;
    }
    history->since_ms = span.from_ms;
    if (at.at != NULL) {
        if (!date_parse(at, offset, &span, error)) {
            return false;
        }
        history->since_ms = span.from_ms;
        history->until_ms = span.to_ms;
    }
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

static bool add_page(const struct api_look *look, const struct store_page *page, struct buf *out,
                     size_t *shown, struct error *error)
{
    for (size_t i = 0; i < page->count; i++) {
        bool may = false;
        if (!api_may_see(look, &page->versions[i], &may, error)) {
            return false;
        }
        if (may) {
            (*shown)++;
            if (!add_version(look, &page->versions[i], out, error)) {
                return false;
            }
        }
    }
    return true;
}

static void add_history_links(struct http_request *request, const struct store_page *page, struct buf *out)
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

static bool write_history(struct api_look *look, const struct store_history *history, struct buf *out,
                          struct error *error)
{
    struct store_page page = { 0 };
    char id[UUID_TEXT_BYTES];
    size_t shown = 0;
    if (!store_read_history(look->reader, look->arena, history, &page, error) ||
        !uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    buf_printf(out, "{\"resourceType\":\"Bundle\",\"id\":\"%s\",\"type\":\"history\",", id);
    add_history_links(look->request, &page, out);
    buf_add(out, STR("\"entry\":["));
    if (!add_page(look, &page, out, &shown, error)) {
        return false;
    }
    if (shown > 0) {
        out->len--;
        buf_add(out, STR("]}"));
    } else {
        out->len -= sizeof ",\"entry\":[" - 1;
        buf_add_char(out, '}');
    }
    /* An instance of which nothing may be seen is not there. */
    if (shown == 0 && history->id.at != NULL && history->before_seq == 0 && history->since_ms == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no resource with that id");
    }
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the page is too large: ask for less by _count");
}

enum http_verdict fhir_history(struct http_request *request)
{
    struct error error = { 0 };
    struct api_call *call = call_of(request);
    struct store_history history = { .type = http_parameter(request, STR("type")),
                                     .id = http_parameter(request, STR("id")) };
    struct store_reader *reader = NULL;
    struct api_read read = { .act = { .interaction = ACCESS_HISTORY, .type = history.type },
                             .type = history.type,
                             .id = history.id };
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES * 4u };
    if (!read_asked(request, &history, &error) ||
        !store_reader_begin(api_of(request)->store, &reader, &error)) {
        return api_fail(request, &error);
    }
    struct api_look look = { .request = request,
                             .reader = reader,
                             .session = &call->session,
                             .arena = &request->arena,
                             .interaction = ACCESS_HISTORY };
    bool ok = write_history(&look, &history, &out, &error);
    store_reader_end(reader);
    if (!ok || !api_audit_read(request, &call->session, &read, &error)) {
        buf_deinit(&out);
        return api_fail(request, &error);
    }
    api_respond_buf(request, &out, call->pretty);
    return HTTP_DONE;
}
