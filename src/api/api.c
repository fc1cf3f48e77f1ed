/* What every handler shares: session, formats, errors, the audit record of a read. */
#include "api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "access/audit.h"
#include "access/sign_in.h"
#include "api/call.h"
#include "base/parse.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/gzip.h"
#include "model/model.h"

#define FHIR_JSON "application/fhir+json; charset=utf-8"
#define PLAIN_JSON "application/json; charset=utf-8"

/* ---- errors ---- */

enum outcome_language api_language(const struct http_request *request)
{
    struct str rest = http_header(request, STR("Accept-Language"));
    struct str range = STR_NONE;
    enum outcome_language language = OUTCOME_CHINESE;
    double best = 0;
    /* RFC 9110 12.5.4: without a weight it is 1; of equal ones the first that was named. */
    while (rest.at != NULL && str_split_next(&rest, ',', &range)) {
        range = str_trim(range);
        size_t at = str_find(range, STR("q="));
        double weight = 1;
        bool english = str_starts_with(range, STR("en"));
        if (at < range.len && !parse_double(str_trim(str_skip(range, at + 2)), &weight)) {
            continue;
        }
        if (weight > best && (english || str_starts_with(range, STR("zh")))) {
            best = weight;
            language = english ? OUTCOME_ENGLISH : OUTCOME_CHINESE;
        }
    }
    return language;
}

/* The request id in the outcome: a person can read it out, and it is in the log. STR_NONE without memory. */
static struct str outcome_text(struct http_request *request, struct json *outcome)
{
    if (outcome == NULL) {
        return STR_NONE;
    }
    (void)json_add_text(&request->arena, outcome, STR("id"), request->id);
    return json_write_arena(&request->arena, outcome);
}

void api_on_error(struct http_request *request, const struct error *error)
{
    if (error->kind == ERROR_SIGN_IN) {
        http_add_header(request, STR("WWW-Authenticate"), STR("Bearer realm=\"shanhai\""));
    }
    struct json *outcome = outcome_of_error(&request->arena, error, api_language(request));
    struct str text = outcome_text(request, outcome);
    if (text.at == NULL) {
        text = STR("{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"fatal\",\"code\":"
                   "\"exception\","
                   "\"diagnostics\":\"request memory used up\"}]}");
    }
    http_respond(request, error_http_status(error->kind), STR(FHIR_JSON), text);
}

static bool is_id(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '.')) {
            return false;
        }
    }
    return text.len > 0 && text.len < ACCESS_ID_BYTES;
}

/* Who was refused what stands in the audit log too: 403, and 404 of a single record. */
static void audit_refusal(struct http_request *request, const struct error *error)
{
    const struct api_call *call = request->state;
    struct api *api = api_of(request);
    bool refused = error->kind == ERROR_FORBIDDEN || error->kind == ERROR_NOT_FOUND;
    if (!refused || call == NULL || call->session.actor == NULL || api->audit == NULL ||
        request->route == NULL) {
        return;
    }
    const struct api_row *row = request->route->data;
    struct str id = http_parameter(request, STR("id"));
    struct access_act act = { .interaction = row == NULL ? ACCESS_READ : row->interaction };
    struct audit_record record = audit_record_of(&call->session, act);
    record.time_ms = clock_now_ms();
    record.route = str_from_cstr(request->route->template);
    record.type = call->type;
    record.id = is_id(id) ? id : STR_NONE;
    record.outcome = AUDIT_REFUSED;
    record.count = 1;
    struct error ignored = { 0 };
    if (!audit_read_done(api->audit, &record, &ignored)) {
        LOG_ERROR("the audit log cannot be written: %s", ignored.text);
    }
}

void api_respond_error(struct http_request *request, const struct error *error, const struct outcome *outcome)
{
    audit_refusal(request, error);
    bool has_issues = outcome != NULL && outcome->count > 0;
    struct str text =
        has_issues ? outcome_text(request, outcome_to_json(outcome, api_language(request))) : STR_NONE;
    if (text.at == NULL) {
        http_respond_error(request, error); /* short, and with memory of its own */
        return;
    }
    if (error->kind == ERROR_BUSY) {
        http_add_header(request, STR("Retry-After"), STR("1"));
    }
    http_respond(request, error_http_status(error->kind), STR(FHIR_JSON), text);
}

enum http_verdict api_fail(struct http_request *request, const struct error *error)
{
    audit_refusal(request, error);
    http_respond_error(request, error);
    return HTTP_DONE;
}

/* ---- answers ---- */

void api_respond_text(struct http_request *request, int status, struct str body)
{
    http_respond(request, status, STR(FHIR_JSON), body);
}

void api_respond_buf(struct http_request *request, struct buf *body, bool pretty)
{
    struct json *tree = NULL;
    struct buf written = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    if (pretty && !body->failed && json_read(&request->arena, buf_str(body), &tree, NULL)) {
        json_write_pretty(&written, tree); /* the tree points into body until here */
        buf_deinit(body);
        *body = written;
    }
    http_respond_buf(request, 200, STR(FHIR_JSON), body);
}

void api_respond_json(struct http_request *request, int status, bool fhir, const struct json *value)
{
    struct str text = STR_NONE;
    if (value != NULL && str_equal(http_query_value(request, STR("_pretty")), STR("true"))) {
        struct buf buf = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
        json_write_pretty(&buf, value);
        text = buf.failed ? STR_NONE : arena_dup(&request->arena, buf_str(&buf));
        buf_deinit(&buf);
    } else if (value != NULL) {
        text = json_write_arena(&request->arena, value);
    }
    if (text.at == NULL) {
        struct error error = { 0 };
        (void)FAIL(&error, ERROR_TOO_LARGE, "the answer is too large");
        http_respond_error(request, &error);
        return;
    }
    http_respond(request, status, fhir ? STR(FHIR_JSON) : STR(PLAIN_JSON), text);
}

struct str api_etag(struct arena *arena, uint64_t version, bool masked)
{
    /* What a masking role sees is another text than the version's (design.md section 5). */
    return arena_printf(arena, "W/\"%llu%s\"", (unsigned long long)version, masked ? "-m" : "");
}

static void put_digits(char *at, int number, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* RFC 9110 section 5.6.7; names of days and months are English whatever the locale. */
struct str api_http_date(struct arena *arena, int64_t time_ms)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc = { 0 };
    (void)gmtime_r(&seconds, &utc);
    char text[] = "Sun, 00 Jan 0000 00:00:00 GMT"; /* each answer has one: put together without printf */
    memcpy(text, days[utc.tm_wday % 7], 3);
    put_digits(text + 5, utc.tm_mday, 2);
    memcpy(text + 8, months[utc.tm_mon % 12], 3);
    put_digits(text + 12, utc.tm_year + 1900, 4);
    put_digits(text + 17, utc.tm_hour, 2);
    put_digits(text + 20, utc.tm_min, 2);
    put_digits(text + 23, utc.tm_sec, 2);
    return arena_dup(arena, (struct str){ text, sizeof text - 1 });
}

/* Links must be absolute (R4 2.36.2). Without a setting the address that the client itself used is right; it is
 * only repeated to that client, and only when it looks like a host. */
static struct str api_base_url(struct http_request *request)
{
    const struct api *api = api_of(request);
    struct str host = http_header(request, STR("Host"));
    bool plain = host.len > 0 && host.len < 256;
    for (size_t i = 0; plain && i < host.len; i++) {
        char c = host.at[i];
        plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '.' || c == ':' || c == '[' || c == ']';
    }
    if (api->base_url.at != NULL || !plain) {
        return api->base_url.at != NULL ? api->base_url : STR("/fhir");
    }
    return arena_printf(&request->arena, "http%s://%.*s/fhir", api->tls ? "s" : "", STR_FMT(host));
}

struct str api_url(struct http_request *request, const char *format, ...)
{
    char path[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof path) {
        return STR_NONE;
    }
    struct str base = api_base_url(request);
    return arena_concat(&request->arena, base, (struct str){ path, (size_t)len });
}

/* ---- session and row ---- */

bool api_session(struct http_request *request, struct access_session *session, struct error *error)
{
    struct str origin = http_header(request, STR("Origin"));
    if (origin.at == NULL) {
        struct str referer = http_header(request, STR("Referer"));
        size_t scheme = str_find(referer, STR("://"));
        if (scheme < referer.len) {
            size_t host = scheme + 3;
            origin = str_slice(referer, 0, host + str_find_char(str_skip(referer, host), '/'));
        }
    }
    struct session_request asked = {
        .cookie = http_cookie(request, STR(SESSION_COOKIE_NAME)),
        .authorization = http_header(request, STR("Authorization")),
        .csrf = http_header(request, STR("X-CSRF-Token")),
        .origin = origin,
        .host = http_header(request, STR("Host")),
        .tls = api_of(request)->tls,
        .unsafe = request->method != HTTP_GET && request->method != HTTP_OPTIONS,
    };
    return session_of_request(api_of(request)->access, &request->arena, &asked, session, error);
}

/* "q=0" refuses a type (RFC 9110 12.4.2); fhirVersion names another FHIR than R4 (R4 3.1.0.1.11). */
static bool parameters_fit(struct str parameters)
{
    struct str parameter = STR_NONE;
    while (parameters.len > 0 && str_split_next(&parameters, ';', &parameter)) {
        parameter = str_trim(parameter);
        struct str value = str_skip(parameter, str_find_char(parameter, '=') + 1);
        bool never = str_starts_with(parameter, STR("q=0")) &&
                     (value.len == 1 || str_equal(value, STR("0.0")) || str_equal(value, STR("0.00")) ||
                      str_equal(value, STR("0.000")));
        bool version = str_starts_with(parameter, STR("fhirVersion="));
        if (never || (version && !str_starts_with(value, STR("4.0")))) {
            return false;
        }
    }
    return true;
}

/* One media range of Accept: is it JSON of ours? */
static bool is_json_range(struct str range)
{
    static const struct str known[] = {
        { "application/fhir+json", 21 }, { "application/json", 16 }, { "*/*", 3 },
        { "application/*", 13 },         { "text/json", 9 },         { "json", 4 },
        { "application/fhir json", 21 }, /* of a _format whose '+' was not encoded */
    };
    size_t end = str_find_char(range, ';');
    if (!parameters_fit(str_skip(range, end + 1))) {
        return false;
    }
    range = str_trim(str_slice(range, 0, end));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (str_equal_ignore_case(range, known[i])) {
            return true;
        }
    }
    return false;
}

bool api_check_accept(struct http_request *request, struct error *error)
{
    struct str asked = http_query_value(request, STR("_format"));
    if (asked.at == NULL) {
        asked = http_header(request, STR("Accept"));
    }
    if (asked.len == 0) {
        return true;
    }
    struct str rest = asked;
    struct str range = STR_NONE;
    while (str_split_next(&rest, ',', &range)) {
        if (is_json_range(range)) {
            return true;
        }
    }
    return FAIL(error, ERROR_NOT_ACCEPTABLE, "this server answers application/fhir+json only");
}

static void read_prefer(struct http_request *request, struct api_call *call)
{
    struct str rest = http_header(request, STR("Prefer"));
    struct str piece = STR_NONE;
    while (rest.at != NULL && str_split_next(&rest, ',', &piece)) {
        struct str inner = piece;
        struct str wish = STR_NONE;
        while (str_split_next(&inner, ';', &wish)) {
            wish = str_trim(wish);
            if (str_equal_ignore_case(wish, STR("return=minimal"))) {
                call->prefer = API_RETURN_MINIMAL;
            } else if (str_equal_ignore_case(wish, STR("return=OperationOutcome"))) {
                call->prefer = API_RETURN_OUTCOME;
            } else if (str_equal_ignore_case(wish, STR("return=representation"))) {
                call->prefer_resources = true;
            } else if (str_equal_ignore_case(wish, STR("handling=lenient"))) {
                call->lenient = true;
            }
        }
    }
}

/* "/fhir/Task/{id}/$transition" is about Task. */
static struct str type_of_template(const char *template)
{
    struct str path = str_from_cstr(template);
    path = str_skip(path, str_starts_with(path, STR("/fhir/")) ? sizeof "/fhir/" - 1 : 0);
    struct str type = str_slice(path, 0, str_find_char(path, '/'));
    return model_resource_find(type) == NULL ? STR_NONE : type;
}

static bool check_row(struct http_request *request, struct api_call *call, struct error *error)
{
    const struct api_row *row = request->route->data;
    switch (row->need) {
    case API_PUBLIC:
        return true;
    case API_SESSION:
        return call->session.means != ACCESS_BY_APP || row->apps ||
               FAIL(error, ERROR_FORBIDDEN, "this is for people at a screen, not for apps");
    case API_RIGHT:
        return access_need_right(&call->session, row->name, error);
    case API_TYPE:
        break;
    }
    call->type = http_parameter(request, STR("type"));
    bool operation = str_starts_with(call->type, STR("$")) ||
                     str_starts_with(http_parameter(request, STR("id")), STR("$"));
    if (operation) {
        return FAIL(error, ERROR_NOT_FOUND,
                    "there is no such operation at this address; /metadata lists all");
    }
    if (call->type.at != NULL && model_resource_find(call->type) == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "R4 has no resource type of that name");
    }
    if (call->type.at == NULL && row->name != NULL) {
        call->type = type_of_template(request->route->template);
    }
    struct access_act act = {
        .interaction = row->interaction,
        .type = call->type,
        .operation = row->interaction == ACCESS_OPERATION ? str_from_cstr(row->name) : STR_NONE,
    };
    return call->type.at == NULL || access_check(&call->session, act, error);
}

static bool refuse(struct http_request *request, const struct error *error)
{
    audit_refusal(request, error);
    http_respond_error(request, error);
    return false;
}

bool api_begin(struct http_request *request)
{
    struct error error = { 0 };
    struct api_call *call = ARENA_NEW(&request->arena, struct api_call);
    if (call == NULL) {
        (void)FAIL(&error, ERROR_BUSY, "request memory used up");
        return refuse(request, &error);
    }
    request->state = call;
    call->pretty = str_equal(http_query_value(request, STR("_pretty")), STR("true"));
    read_prefer(request, call);
    const struct api_row *row = request->route->data;
    if (!api_session(request, &call->session, &error) || !check_row(request, call, &error) ||
        (!row->any_format && !api_check_accept(request, &error))) {
        return refuse(request, &error);
    }
    return true;
}

bool api_begin_public(struct http_request *request)
{
    struct error error = { 0 };
    return api_check_accept(request, &error) || refuse(request, &error);
}

/* ---- bodies ---- */

bool api_read_json(struct http_request *request, struct json **value, struct error *error)
{
    struct str type = http_content_type(request);
    if (!str_equal(type, STR("application/fhir+json")) && !str_equal(type, STR("application/json")) &&
        !str_equal(type, STR("text/json"))) {
        return FAIL(error, ERROR_MEDIA_TYPE, "Content-Type must be application/fhir+json");
    }
    struct str charset = http_header(request, STR("Content-Type"));
    if (!parameters_fit(str_skip(charset, str_find_char(charset, ';') + 1))) {
        return FAIL(error, ERROR_MEDIA_TYPE, "this server knows FHIR R4 (fhirVersion=4.0) only");
    }
    size_t at = str_find(charset, STR("charset="));
    if (at < charset.len) {
        charset = str_skip(charset, at + 8);
        if (!str_equal_ignore_case(str_slice(charset, 0, 5), STR("utf-8")) &&
            !str_equal_ignore_case(str_slice(charset, 0, 7), STR("\"utf-8\""))) {
            return FAIL(error, ERROR_MEDIA_TYPE, "the body must be UTF-8");
        }
    }
    return json_read(&request->arena, request->body, value, error);
}

/* ---- rights and audit of reads ---- */

bool api_may_see(const struct api_look *look, const struct store_version *version, bool *may,
                 struct error *error)
{
    const struct store_filter *filter = NULL;
    struct access_act act = { .interaction = look->interaction, .type = version->type };
    return access_filter(look->session, act, look->arena, &filter, error) &&
           store_matches(look->reader, version, filter, may, error);
}

struct str api_patient_of(struct str type, struct str id, struct str body)
{
    if (str_equal(type, STR("Patient"))) {
        return id;
    }
    size_t at = str_find(body, STR("\"reference\":\"Patient/"));
    struct str found = str_skip(body, at == body.len ? at : at + 21);
    size_t len = 0;
    while (len < found.len && len < 64 && found.at[len] != '"' && found.at[len] != '/') {
        len++;
    }
    return len == 0 ? STR_NONE : str_slice(found, 0, len);
}

bool api_audit_read(struct http_request *request, const struct access_session *session,
                    const struct api_read *read, struct error *error)
{
    struct api *api = api_of(request);
    if (api->audit == NULL) {
        return true;
    }
    struct audit_record record = audit_record_of(session, read->act);
    record.time_ms = clock_now_ms();
    record.route = request->route == NULL ? STR("") : str_from_cstr(request->route->template);
    record.type = read->type;
    record.id = read->id;
    record.query_hash = read->query_hash;
    record.patients[0] = read->patient;
    record.outcome = AUDIT_SUCCESS;
    record.count = 1;
    return audit_read_done(api->audit, &record, error);
}

uint64_t api_owner(const struct access_session *session)
{
    return session->person.at != NULL ? hash_resource_key(STR("Practitioner"), session->person)
                                      : hash_resource_key(STR("PractitionerRole"), session->post);
}
