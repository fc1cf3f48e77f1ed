#include "api/operation.h"

#include "base/clock.h"
#include "base/limits.h"

bool operation_search(struct operation_search *search, struct error *error)
{
    struct http_request *request = search->request;
    struct arena *arena = &request->arena;
    const struct access_session *session = &call_of(request)->session;
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = search->options.type };
    const struct store_filter *filter = NULL;
    struct store_reader *reader = NULL;
    search->options.base_url = api_of(request)->base_url;
    search->options.offset_minutes = api_of(request)->offset_minutes;
    if (!access_check(session, act, error) ||
        !search_query_parse(arena, &search->options, search->pairs, search->pairs_count, &search->query,
                            error) ||
        !access_query_allowed(session, &search->query, error) ||
        !access_filter(session, act, arena, &filter, error) ||
        !store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    search->query.has_count = search->query.has_count || search->count > 0;
    search->query.count = search->count > 0 ? (uint32_t)search->count : search->query.count;
    const struct store_search asked = {
        .query = &search->query, .filter = filter, .cursor = search->cursor, .now_ms = clock_now_ms()
    };
    bool ok = store_search(reader, arena, &asked, &search->hits, error);
    store_reader_end(reader);
    return ok;
}

bool operation_read(struct http_request *request, const struct fhir_wanted *wanted,
                    struct store_version *version, struct json **resource, struct error *error)
{
    const struct access_session *session = &call_of(request)->session;
    struct arena *arena = &request->arena;
    struct store_reader *reader = NULL;
    struct str text = STR_NONE;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct api_read read = { .act = { .interaction = ACCESS_READ, .type = wanted->type },
                             .type = wanted->type,
                             .id = wanted->id };
    if (!access_check(session, read.act, error) ||
        !store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    const struct api_look look = {
        .request = request, .reader = reader, .session = session, .arena = arena, .interaction = ACCESS_READ
    };
    bool ok = fhir_load(&look, wanted, version, error);
    store_reader_end(reader);
    read.patient = ok ? api_patient_of(version->type, version->id, version->body) : STR_NONE;
    return ok && api_audit_read(request, session, &read, error) &&
           fhir_text(session, arena, version, &view, &text, error) && json_read(arena, text, resource, error);
}

bool operation_add_entry(struct http_request *request, const struct store_version *version, const char *mode,
                         struct buf *out, struct error *error)
{
    struct str text = STR_NONE;
    const struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    if (!fhir_text(&call_of(request)->session, &request->arena, version, &view, &text, error)) {
        return false;
    }
    buf_add(out, STR("{\"fullUrl\":"));
    json_write_text(out, api_url(request, "/%.*s/%.*s", STR_FMT(version->type), STR_FMT(version->id)));
    buf_add(out, STR(",\"resource\":"));
    buf_add(out, text);
    buf_printf(out, ",\"search\":{\"mode\":\"%s\"}},", mode);
    return !out->failed || FAIL(error, ERROR_TOO_LARGE, "the page is too large: ask for less by _count");
}

struct str operation_parameter(struct http_request *request, const struct json *body, struct str name)
{
    struct str found = http_query_value(request, name);
    JSON_EACH(parameter, found.at != NULL ? NULL : JSON_GET(body, "parameter")) {
        if (!json_equals_text(JSON_GET(parameter, "name"), name)) {
            continue;
        }
        JSON_EACH(member, parameter) {
            bool is_value = str_starts_with(member->name, STR("value"));
            if (str_equal(member->name, STR("valueReference"))) {
                return JSON_TEXT(&request->arena, member, "reference");
            }
            if (is_value && member->kind == JSON_STRING) {
                return json_text(&request->arena, member);
            }
            if (is_value && (member->kind == JSON_TRUE || member->kind == JSON_FALSE)) {
                return member->kind == JSON_TRUE ? STR("true") : STR("false");
            }
            if (is_value && member->kind == JSON_NUMBER) {
                return member->raw;
            }
        }
    }
    return found;
}

bool operation_body(struct http_request *request, struct json **body, struct error *error)
{
    if (request->method != HTTP_POST || request->body.len == 0) {
        return true;
    }
    if (!api_read_json(request, body, error)) {
        return false;
    }
    return json_equals_text(JSON_GET(*body, "resourceType"), STR("Parameters")) ||
           FAIL(error, ERROR_STRUCTURE, "a Parameters resource was expected");
}

struct json *operation_parameters_of_meta(struct arena *arena, struct json *meta)
{
    struct json *parameters = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, parameters, STR("resourceType"), STR("Parameters"));
    struct json *list = json_add(parameters, STR("parameter"), json_new(arena, JSON_ARRAY));
    struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, parameter, STR("name"), STR("return"));
    (void)json_add(parameter, STR("valueMeta"), meta);
    return parameters;
}
