/* Reading one resource (R4 3.1.0.2, 3.1.0.3): by id and by version. */
#include <time.h>

#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/search_query.h"
#include "model/model.h"
#include "store/body.h"

/* R4 2.24.0.1: [A-Za-z0-9\-\.]{1,64}. Anything else cannot exist. */
static bool id_is_valid(struct str id)
{
    bool valid = id.len >= 1 && id.len <= 64;
    for (size_t i = 0; valid && i < id.len; i++) {
        char c = id.at[i];
        valid = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '.';
    }
    return valid;
}

bool fhir_load(const struct api_look *look, const struct fhir_wanted *wanted, struct store_version *version,
               struct error *error)
{
    bool may = false;
    if (!id_is_valid(wanted->id)) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no resource with that id");
    }
    bool found = wanted->version == 0
                     ? store_read(look->reader, look->arena, wanted->type, wanted->id, version, error)
                     : store_read_version(look->reader, look->arena, wanted->type, wanted->id,
                                          wanted->version, version, error);
    if (!found || !api_may_see(look, version, &may, error)) {
        return false;
    }
    if (!may) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no resource with that id");
    }
    return version->method != STORE_METHOD_DELETED ||
           FAIL(error, ERROR_GONE, "the resource has been deleted");
}

/* ---- less than the whole ---- */

/* R4 3.1.1.5.9, 3.1.1.5.10: mandatory elements stay, id and meta always, and the text is marked SUBSETTED. */
static bool keeps_member(const struct model_type *type, struct str name, const struct fhir_view *view)
{
    if (str_equal(name, STR("resourceType")) || str_equal(name, STR("id")) || str_equal(name, STR("meta"))) {
        return true;
    }
    if (view->summary == SEARCH_SUMMARY_DATA) {
        return !str_equal(name, STR("text"));
    }
    struct str plain = str_starts_with(name, STR("_")) ? str_skip(name, 1) : name;
    const struct model_element *element = type == NULL ? NULL : model_element_find(type, plain);
    if (element != NULL && (element->min > 0 || element->is_modifier)) {
        return true;
    }
    if (view->summary == SEARCH_SUMMARY_TRUE) {
        return element != NULL && element->is_summary;
    }
    if (view->summary == SEARCH_SUMMARY_TEXT) {
        return str_equal(name, STR("text"));
    }
    for (size_t i = 0; i < view->elements_count; i++) {
        struct str wish = str_slice(view->elements[i], 0, str_find_char(view->elements[i], '.'));
        bool is_choice = element != NULL && element->choice.at != NULL && str_equal(wish, element->choice);
        if (str_equal(wish, plain) || is_choice) {
            return true;
        }
    }
    return false;
}

static bool mark_subsetted(struct arena *arena, struct json *resource)
{
    struct json *meta = JSON_GET(resource, "meta");
    if (meta == NULL) {
        meta = json_set(resource, STR("meta"), json_new(arena, JSON_OBJECT));
    }
    struct json *tags = JSON_GET(meta, "tag");
    if (tags == NULL) {
        tags = json_set(meta, STR("tag"), json_new(arena, JSON_ARRAY));
    }
    struct json *tag = json_append(tags, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, tag, STR("system"),
                        STR("http://terminology.hl7.org/CodeSystem/v3-ObservationValue"));
    return json_add_text(arena, tag, STR("code"), STR("SUBSETTED")) != NULL;
}

static bool subset(struct arena *arena, struct json *resource, struct str type_name,
                   const struct fhir_view *view)
{
    const struct model_type *type = model_resource_find(type_name);
    struct json *next = NULL;
    for (struct json *member = resource->first; member != NULL; member = next) {
        next = member->next;
        if (!keeps_member(type, member->name, view)) {
            (void)json_remove(resource, member);
        }
    }
    return mark_subsetted(arena, resource);
}

bool fhir_text(const struct access_session *session, struct arena *arena, const struct store_version *version,
               const struct fhir_view *view, struct str *text, struct error *error)
{
    bool masked = access_masks_type(session, version->type);
    bool less = view->elements_count > 0 || (view->summary != SEARCH_SUMMARY_FALSE);
    if (!store_body_text(arena, version, text, error)) {
        return false;
    }
    if (!masked && !less && !view->pretty) {
        return true;
    }
    struct json *resource = NULL;
    if (!json_read(arena, *text, &resource, error) ||
        (masked && !access_mask(session, arena, resource, error))) {
        return false;
    }
    if (less && !subset(arena, resource, version->type, view)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct buf buf = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    if (view->pretty) {
        json_write_pretty(&buf, resource);
    } else {
        json_write(&buf, resource);
    }
    *text = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool api_text(const struct access_session *session, struct arena *arena, const struct store_version *version,
              const struct str *elements, size_t elements_count, struct str *text, struct error *error)
{
    const struct fhir_view view = { .elements = elements, .elements_count = elements_count };
    return fhir_text(session, arena, version, &view, text, error);
}

/* ---- handlers ---- */

static bool read_view(struct http_request *request, struct fhir_view *view, struct error *error)
{
    view->pretty = call_of(request)->pretty;
    struct str summary = http_query_value(request, STR("_summary"));
    struct str elements = http_query_value(request, STR("_elements"));
    if (str_equal(summary, STR("true"))) {
        view->summary = SEARCH_SUMMARY_TRUE;
    } else if (str_equal(summary, STR("text"))) {
        view->summary = SEARCH_SUMMARY_TEXT;
    } else if (str_equal(summary, STR("data"))) {
        view->summary = SEARCH_SUMMARY_DATA;
    } else if (summary.at != NULL && !str_equal(summary, STR("false"))) {
        return FAIL(error, ERROR_INPUT,
                    "_summary is one of true, text, data, false when one resource is read");
    }
    struct str *list =
        elements.len == 0 ? NULL : ARENA_ARRAY(&request->arena, struct str, LIMIT_SEARCH_VALUES);
    struct str piece = STR_NONE;
    while (list != NULL && elements.len > 0 && view->elements_count < LIMIT_SEARCH_VALUES &&
           str_split_next(&elements, ',', &piece)) {
        list[view->elements_count++] = str_trim(piece);
    }
    view->elements = list;
    return true;
}

/* RFC 9110 section 13.1.2: weak comparison, a list, or *. */
static bool etag_matches(struct str list, struct str etag)
{
    struct str piece = STR_NONE;
    while (list.at != NULL && str_split_next(&list, ',', &piece)) {
        piece = str_trim(piece);
        piece = str_starts_with(piece, STR("W/")) ? str_skip(piece, 2) : piece;
        if (str_equal(piece, STR("*")) || str_equal(piece, str_skip(etag, 2))) {
            return true;
        }
    }
    return false;
}

/* RFC 9110 13.1.3: only when there is no If-None-Match; a date that is none is ignored. Seconds are what it can say. */
static bool is_unmodified(const struct http_request *request, int64_t updated_ms)
{
    struct str text = str_trim(http_header(request, STR("If-Modified-Since")));
    char date[40];
    struct tm utc = { 0 };
    if (text.len == 0 || text.len >= sizeof date) {
        return false;
    }
    memcpy(date, text.at, text.len);
    date[text.len] = '\0';
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    return end != NULL && *end == '\0' && updated_ms / 1000 <= (int64_t)timegm(&utc);
}

static bool answer_version(struct http_request *request, const struct store_version *version,
                           struct error *error)
{
    struct api_call *call = call_of(request);
    struct fhir_view view = { .summary = SEARCH_SUMMARY_FALSE };
    struct str text = STR_NONE;
    struct api_read read = {
        .act = { .interaction = ACCESS_READ, .type = version->type },
        .type = version->type,
        .id = version->id,
        .patient = api_patient_of(version->type, version->id, version->body),
    };
    bool masked = access_masks_type(&call->session, version->type);
    struct str etag = api_etag(&request->arena, version->version, masked);
    if (!read_view(request, &view, error) || !api_audit_read(request, &call->session, &read, error)) {
        return false;
    }
    struct str if_none_match = http_header(request, STR("If-None-Match"));
    bool unchanged = if_none_match.at != NULL ? etag_matches(if_none_match, etag)
                                              : is_unmodified(request, version->updated_ms);
    if (!unchanged && !fhir_text(&call->session, &request->arena, version, &view, &text, error)) {
        return false;
    }
    http_add_header(request, STR("ETag"), etag);
    http_add_header(request, STR("Last-Modified"), api_http_date(&request->arena, version->updated_ms));
    if (unchanged) {
        http_respond(request, 304, STR_NONE, STR(""));
    } else {
        api_respond_text(request, 200, text);
    }
    return true;
}

static enum http_verdict read_wanted(struct http_request *request, const struct fhir_wanted *wanted)
{
    struct error error = { 0 };
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    if (!store_reader_begin(api_of(request)->store, &reader, &error)) {
        return api_fail(request, &error);
    }
    struct api_look look = { .request = request,
                             .reader = reader,
                             .session = &call_of(request)->session,
                             .arena = &request->arena,
                             .interaction = ACCESS_READ };
    bool ok = fhir_load(&look, wanted, &version, &error);
    store_reader_end(reader);
    if (!ok || !answer_version(request, &version, &error)) {
        http_respond_error(request, &error);
    }
    return HTTP_DONE;
}

enum http_verdict fhir_read(struct http_request *request)
{
    struct fhir_wanted wanted = { .type = call_of(request)->type, .id = http_parameter(request, STR("id")) };
    return read_wanted(request, &wanted);
}

enum http_verdict fhir_vread(struct http_request *request)
{
    struct error error = { 0 };
    struct fhir_wanted wanted = { .type = call_of(request)->type, .id = http_parameter(request, STR("id")) };
    if (!parse_uint64(http_parameter(request, STR("version")), UINT64_MAX, &wanted.version) ||
        wanted.version == 0) {
        (void)FAIL(&error, ERROR_NOT_FOUND, "there is no such version");
        return api_fail(request, &error);
    }
    return read_wanted(request, &wanted);
}
