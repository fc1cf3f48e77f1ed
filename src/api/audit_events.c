/* GET /fhir/AuditEvent: the audit log as FHIR, for who has the right "audit". The records lie in files of their own,
 * not in the store, so only these parameters are offered: date, agent, entity, patient, _count, _cursor. */
#include "access/audit_read.h"
#include "api/break_glass.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"

/* "Practitioner/x" or "x" → x. */
static struct str id_of(struct str value, struct str type)
{
    bool typed = str_starts_with(value, type) && value.len > type.len && value.at[type.len] == '/';
    return typed ? str_skip(value, type.len + 1) : value;
}

/* ge and gt move the beginning, lt and le the end; without a prefix the whole span is meant (R4 3.1.1.4.4). */
static bool date_read(struct str value, int offset_minutes, struct audit_query *query, struct error *error)
{
    struct date_span span;
    struct str prefix = str_slice(value, 0, 2);
    bool known = str_equal(prefix, STR("ge")) || str_equal(prefix, STR("gt")) ||
                 str_equal(prefix, STR("le")) || str_equal(prefix, STR("lt")) || str_equal(prefix, STR("eq"));
    if (!date_parse(str_skip(value, known ? 2 : 0), offset_minutes, &span, error)) {
        return FAIL(error, ERROR_INPUT, "the parameter 'date' is no date");
    }
    bool begins = str_equal(prefix, STR("ge")) || str_equal(prefix, STR("gt"));
    bool ends = str_equal(prefix, STR("le")) || str_equal(prefix, STR("lt"));
    if (!ends) {
        query->from_ms = str_equal(prefix, STR("gt")) ? span.to_ms : span.from_ms;
    }
    if (!begins) {
        query->until_ms = str_equal(prefix, STR("lt")) ? span.from_ms : span.to_ms;
    }
    return true;
}

static bool pair_read(const struct http_pair *pair, int offset_minutes, struct audit_query *query,
                      struct error *error)
{
    uint64_t count = 0;
    if (str_equal(pair->name, STR("date"))) {
        return date_read(pair->value, offset_minutes, query, error);
    }
    if (str_equal(pair->name, STR("agent"))) {
        query->person = id_of(pair->value, STR("Practitioner"));
    } else if (str_equal(pair->name, STR("patient"))) {
        query->patient = id_of(pair->value, STR("Patient"));
    } else if (str_equal(pair->name, STR("entity"))) {
        size_t slash = str_find_char(pair->value, '/');
        query->type = str_slice(pair->value, 0, slash);
        query->id = str_skip(pair->value, slash + 1);
    } else if (str_equal(pair->name, STR("_cursor"))) {
        query->cursor = pair->value;
    } else if (str_equal(pair->name, STR("_count"))) {
        if (!parse_uint64(pair->value, LIMIT_SEARCH_COUNT, &count)) {
            return FAIL(error, ERROR_INPUT, "the parameter '_count' is a number up to %d",
                        LIMIT_SEARCH_COUNT);
        }
        query->count = (size_t)count;
    } else if (!str_equal(pair->name, STR("_format")) && !str_equal(pair->name, STR("_pretty"))) {
        return FAIL(error, ERROR_INPUT, "AuditEvent has no search parameter '%.*s' here",
                    STR_FMT(str_slice(pair->name, 0, 40)));
    }
    return true;
}

static void add_encoded(struct buf *buf, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '.' || c == '/' || c == ':';
        if (plain) {
            buf_add_char(buf, c);
        } else {
            buf_printf(buf, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

/* The same filters again with the cursor: they are ids and dates, never names. */
static void link_add(struct http_request *request, struct json *bundle, struct str cursor, size_t count)
{
    struct arena *arena = &request->arena;
    struct json *links = json_add(bundle, STR("link"), json_new(arena, JSON_ARRAY));
    struct json *next = json_append(links, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, next, STR("relation"), STR("next"));
    struct buf buf = { .bytes_max = LIMIT_URL_BYTES };
    buf_printf(&buf, "/AuditEvent?_count=%zu&_cursor=%.*s", count, STR_FMT(cursor));
    for (size_t i = 0; i < request->pairs_count; i++) {
        const struct http_pair *pair = &request->pairs[i];
        if (pair->name.at[0] != '_') {
            buf_printf(&buf, "&%.*s=", STR_FMT(pair->name));
            add_encoded(&buf, pair->value);
        }
    }
    struct str url = api_url(request, "%.*s", STR_FMT(buf_str(&buf)));
    (void)json_add(next, STR("url"), json_new_string(arena, url));
    buf_deinit(&buf);
}

static bool mark_break_glass(struct http_request *request, struct json *bundle, struct error *error)
{
    struct store_reader *reader = NULL;
    if (!store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    bool ok = break_glass_mark(reader, &request->arena, bundle, error);
    store_reader_end(reader);
    return ok;
}

enum http_verdict audit_events(struct http_request *request)
{
    struct api *api = api_of(request);
    struct error error = { 0 };
    struct audit_query query = { .count = 50 };
    struct json *bundle = NULL;
    struct str cursor = STR_NONE;
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (!pair_read(&request->pairs[i], api->offset_minutes, &query, &error)) {
            return api_fail(request, &error);
        }
    }
    query.organizations = access_organizations(&call_of(request)->session, &query.organizations_count);
    struct api_read read = { .act = { .interaction = ACCESS_SEARCH, .type = STR("AuditEvent") },
                             .type = STR("AuditEvent") };
    if (!api_audit_read(request, &call_of(request)->session, &read, &error) ||
        !audit_list(audit_data_folder(api->audit), &request->arena, &query, &bundle, &cursor, &error) ||
        !mark_break_glass(request, bundle, &error)) {
        return api_fail(request, &error);
    }
    if (cursor.at != NULL) {
        link_add(request, bundle, cursor, query.count);
    }
    api_respond_json(request, 200, true, bundle);
    return HTTP_DONE;
}
