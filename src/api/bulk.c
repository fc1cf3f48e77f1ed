/* Bulk data: the kick-off of $export and $import, and what becomes of them under /bulk/{job} (HL7 FHIR Bulk Data Access,
 * asynchronous request pattern; GET as STU 2 has it and POST with Parameters as STU 3 on). */
#include <string.h>

#include "api/bulk_ask.h"
#include "api/handlers.h"
#include "api/operation.h"
#include "base/file.h"
#include "base/parse.h"

#define NDJSON "application/fhir+ndjson"

enum { ASK_AGAIN_S = 2 };

/* ---- kick-off ---- */

bool bulk_wants_async(struct http_request *request)
{
    struct str rest = http_header(request, STR("Prefer"));
    struct str wish = STR_NONE;
    while (rest.at != NULL && str_split_next(&rest, ',', &wish)) {
        if (str_equal_ignore_case(str_trim(wish), STR("respond-async"))) {
            return true;
        }
    }
    return false;
}

struct str bulk_job_url(struct http_request *request, uint64_t id, const char *name)
{
    struct str base = api_url(request, "%s", "");
    base = str_ends_with(base, STR("/fhir")) ? str_slice(base, 0, base.len - 5) : base;
    return arena_printf(&request->arena, "%.*s/bulk/%llu%s%s", STR_FMT(base), (unsigned long long)id,
                        name[0] == '\0' ? "" : "/", name);
}

static enum http_verdict accepted(struct http_request *request, uint64_t id)
{
    http_add_header(request, STR("Content-Location"), bulk_job_url(request, id, ""));
    http_respond(request, 202, STR_NONE, STR(""));
    return HTTP_DONE;
}

/* A parameter of the query, or of the Parameters that were sent. */
struct str bulk_asked(struct http_request *request, const struct json *body, struct str name)
{
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), name)) {
            JSON_EACH(member, parameter) {
                if (str_starts_with(member->name, STR("value"))) {
                    return json_text(&request->arena, member);
                }
            }
        }
    }
    return http_query_value(request, name);
}

/* A list that may also be said in several parameters. */
static struct str asked_list(struct http_request *request, const struct json *body, struct str name)
{
    struct str list = STR_NONE;
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        struct str value = JSON_TEXT(&request->arena, parameter, "valueString");
        if (json_equals_text(JSON_GET(parameter, "name"), name) && value.at != NULL) {
            list = arena_printf(&request->arena, "%.*s%s%.*s", STR_FMT(list), list.len > 0 ? "," : "",
                                STR_FMT(value));
        }
    }
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (str_equal(request->pairs[i].name, name)) {
            list = arena_printf(&request->arena, "%.*s%s%.*s", STR_FMT(list), list.len > 0 ? "," : "",
                                STR_FMT(request->pairs[i].value));
        }
    }
    return list;
}

/* What is not offered is refused, unless the client says that it can do without (Prefer: handling=lenient). */
static bool check_parameters(struct http_request *request, struct error *error)
{
    static const char *const known[] = { "_outputFormat", "_since",  "_type",  "_typeFilter",
                                         "_elements",     "_format", "_pretty" };
    for (size_t i = 0; i < request->pairs_count; i++) {
        bool found = call_of(request)->lenient;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            found = found || str_equal_cstr(request->pairs[i].name, known[k]);
        }
        if (!found) {
            return FAIL(error, ERROR_INPUT, "'%.*s' is not a parameter of $export here",
                        STR_FMT(str_slice(request->pairs[i].name, 0, 40)));
        }
    }
    return true;
}

static bool check_format(struct str format, struct error *error)
{
    return format.at == NULL || str_equal(format, STR(NDJSON)) || str_equal(format, STR("ndjson")) ||
           str_equal(format, STR("application/ndjson")) ||
           str_equal(format, STR("application/fhir ndjson")) ||
           FAIL(error, ERROR_UNSUPPORTED, "_outputFormat: exports are written as " NDJSON);
}

static bool export_read(struct http_request *request, struct bulk_export *export, struct error *error)
{
    struct json *body = NULL;
    bool has_body = request->method == HTTP_POST && request->body.len > 0;
    if (!bulk_wants_async(request)) {
        return FAIL(error, ERROR_INPUT, "an export takes its time: send 'Prefer: respond-async'");
    }
    if (!check_parameters(request, error) || (has_body && !api_read_json(request, &body, error)) ||
        !check_format(bulk_asked(request, body, STR("_outputFormat")), error)) {
        return false;
    }
    *export =
        (struct bulk_export){ .url = api_url(request, "%.*s%s%.*s",
                                             STR_FMT(str_skip(request->path, strlen("/fhir"))),
                                             request->query.len > 0 ? "?" : "", STR_FMT(request->query)),
                              .group = http_parameter(request, STR("id")),
                              .patients = str_equal(request->path, STR("/fhir/Patient/$export")),
                              .types = asked_list(request, body, STR("_type")),
                              .since = bulk_asked(request, body, STR("_since")),
                              .elements = bulk_asked(request, body, STR("_elements")),
                              .typefilter = asked_list(request, body, STR("_typeFilter")) };
    return true;
}

bool bulk_audit(struct http_request *request, const char *operation, struct error *error)
{
    const struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                            .operation = str_from_cstr(operation) } };
    return api_audit_read(request, &call_of(request)->session, &read, error);
}

/* Before anything is promised; the job looks once more. */
static bool group_exists(struct http_request *request, struct str group, struct error *error)
{
    const struct fhir_wanted wanted = { .type = STR("Group"), .id = group };
    struct store_version version = { 0 };
    struct json *tree = NULL;
    return group.at == NULL || operation_read(request, &wanted, &version, &tree, error);
}

enum http_verdict bulk_export_ask(struct http_request *request)
{
    struct error error = { 0 };
    struct bulk_export export = { 0 };
    uint64_t id = 0;
    if (!export_read(request, &export, &error) || !bulk_audit(request, "$export", &error) ||
        !group_exists(request, export.group, &error) ||
        !bulk_export_begin(api_of(request)->bulk, &call_of(request)->session, &request->arena, &export, &id,
                           &error)) {
        return api_fail(request, &error);
    }
    return accepted(request, id);
}

/* ---- $import: the body is written down as it comes ---- */

struct import {
    struct api_call call; /* first: what api_begin made, for all who look at request->state */
    struct bulk_upload upload;
};

static void import_release(void *data)
{
    bulk_import_drop(&((struct import *)data)->upload);
}

static bool import_open(struct http_request *request, struct error *error)
{
    struct import *import = ARENA_NEW(&request->arena, struct import);
    struct str type = http_content_type(request);
    if (!str_equal(type, STR(NDJSON)) && !str_equal(type, STR("application/ndjson")) &&
        !str_equal(type, STR("application/x-ndjson"))) {
        return FAIL(error, ERROR_MEDIA_TYPE, "$import takes resources as " NDJSON ", one a line");
    }
    if (import == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    import->call = *call_of(request);
    if (!bulk_import_open(api_of(request)->bulk, &import->upload, error)) {
        return false;
    }
    request->state = import;
    return arena_on_reset(&request->arena, import_release, import) ||
           FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

bool bulk_import_take(struct http_request *request)
{
    struct error error = { 0 };
    if (!api_begin(request)) {
        return false;
    }
    if (!import_open(request, &error)) {
        http_respond_error(request, &error);
        return false;
    }
    return true;
}

bool bulk_import_data(struct http_request *request, struct str piece, struct error *error)
{
    struct import *import = request->state;
    return file_write_all(import->upload.fd, piece.at, piece.len, error);
}

enum http_verdict bulk_import_ask(struct http_request *request)
{
    struct import *import = request->state;
    struct error error = { 0 };
    uint64_t id = 0;
    if (!bulk_audit(request, "$import", &error) ||
        !bulk_import_begin(&import->upload, &import->call.session, &request->arena, &id, &error)) {
        return api_fail(request, &error);
    }
    return accepted(request, id);
}

/* ---- what becomes of it ---- */

static bool job_id(struct http_request *request, uint64_t *id, struct error *error)
{
    return parse_uint64(http_parameter(request, STR("job")), UINT64_MAX, id) ||
           FAIL(error, ERROR_NOT_FOUND, "there is no such job of yours, or its files were removed");
}

static void answer_running(struct http_request *request, const struct bulk_status *status)
{
    http_add_header(request, STR("X-Progress"),
                    arena_printf(&request->arena, "%u.%u %%", status->progress / 10, status->progress % 10));
    http_add_header(request, STR("Retry-After"), arena_printf(&request->arena, "%d", ASK_AGAIN_S));
    http_respond(request, 202, STR_NONE, STR(""));
}

static struct json *manifest_of(struct http_request *request, uint64_t id, const struct bulk_status *status)
{
    struct arena *arena = &request->arena;
    struct json *manifest = json_new(arena, JSON_OBJECT);
    (void)json_add(manifest, STR("transactionTime"),
                   json_copy(arena, JSON_GET(status->result, "transactionTime"), false));
    (void)json_add(manifest, STR("request"), json_copy(arena, JSON_GET(status->result, "request"), false));
    (void)json_add(manifest, STR("requiresAccessToken"), json_new_bool(arena, true));
    struct json *output = json_add(manifest, STR("output"), json_new(arena, JSON_ARRAY));
    JSON_EACH(file, JSON_GET(status->result, "files")) {
        struct json *item = json_append(output, json_new(arena, JSON_OBJECT));
        const char *name = arena_cstr(arena, JSON_TEXT(arena, file, "name"));
        (void)json_add(item, STR("type"), json_copy(arena, JSON_GET(file, "type"), false));
        (void)json_add_text(arena, item, STR("url"), bulk_job_url(request, id, name == NULL ? "" : name));
        (void)json_add(item, STR("count"), json_copy(arena, JSON_GET(file, "count"), false));
    }
    (void)json_add(manifest, STR("error"), json_new(arena, JSON_ARRAY));
    return manifest;
}

static struct json *import_result(struct http_request *request, uint64_t id, const struct bulk_status *status)
{
    struct arena *arena = &request->arena;
    struct json *result = json_copy(arena, status->result, false);
    struct json *errors = json_add(result, STR("error"), json_new(arena, JSON_ARRAY));
    const struct json *rejected = JSON_GET(status->result, "rejected");
    if (rejected != NULL && !str_equal(rejected->raw, STR("0"))) {
        struct json *item = json_append(errors, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, item, STR("type"), STR("OperationOutcome"));
        (void)json_add_text(arena, item, STR("url"), bulk_job_url(request, id, "errors.ndjson"));
        (void)json_add(item, STR("count"), json_copy(arena, rejected, false));
    }
    return result;
}

enum http_verdict bulk_status_get(struct http_request *request)
{
    struct error error = { 0 };
    struct bulk_status status = { 0 };
    uint64_t id = 0;
    if (!job_id(request, &id, &error) ||
        !bulk_ask(api_of(request)->bulk, &call_of(request)->session, &request->arena, id, &status, &error)) {
        return api_fail(request, &error);
    }
    switch (status.state) {
    case STORE_JOB_QUEUED:
    case STORE_JOB_RUNNING:
        answer_running(request, &status);
        break;
    case STORE_JOB_FAILED:
        (void)FAIL(&error, ERROR_INTERNAL, "the job could not be finished: %.120s",
                   arena_cstr(&request->arena, status.reason));
        return api_fail(request, &error);
    case STORE_JOB_DONE:
        http_add_header(request, STR("Expires"), api_http_date(&request->arena, status.ends_ms));
        api_respond_json(request, 200, status.kind == BULK_KIND_VIEWS,
                         status.kind == BULK_KIND_EXPORT  ? manifest_of(request, id, &status)
                         : status.kind == BULK_KIND_VIEWS ? view_export_result(request, id, &status)
                                                          : import_result(request, id, &status));
        break;
    }
    return HTTP_DONE;
}

enum http_verdict bulk_file_get(struct http_request *request)
{
    struct error error = { 0 };
    struct bulk_file file = { .name = http_parameter(request, STR("file")), .fd = -1 };
    if (!job_id(request, &file.id, &error) || !bulk_audit(request, "$export", &error) ||
        !bulk_file_open(api_of(request)->bulk, &call_of(request)->session, &request->arena, &file, &error)) {
        return api_fail(request, &error);
    }
    http_respond_file(request, 200, str_from_cstr(file.type),
                      (struct http_file){ .fd = file.fd, .len = file.len });
    return HTTP_DONE;
}

enum http_verdict bulk_delete(struct http_request *request)
{
    struct error error = { 0 };
    uint64_t id = 0;
    if (!job_id(request, &id, &error) ||
        !bulk_cancel(api_of(request)->bulk, &call_of(request)->session, &request->arena, id, &error)) {
        return api_fail(request, &error);
    }
    http_respond(request, 202, STR_NONE, STR(""));
    return HTTP_DONE;
}
