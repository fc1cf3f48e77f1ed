/* $validate (R4 operation-resource-validate), on a type and on an instance: what is wrong with a resource, and with
 * `mode` whether this session could create, update or delete it. Nothing is written. In the pool. */
#include "api/call.h"
#include "api/handlers.h"
#include "fhir/validation.h"

enum { PROFILES_MAX = 16 };

struct validate_job {
    struct http_request *request;
    struct arena *arena;
    struct json *resource; /* NULL: mode=delete */
    struct str id;         /* of the address, or absent */
    struct str mode;
    struct str profiles[PROFILES_MAX];
    size_t profiles_count;
    struct outcome outcome;
};

static bool add_profile(struct validate_job *job, struct str url, struct error *error)
{
    if (url.len == 0) {
        return true;
    }
    if (job->profiles_count == PROFILES_MAX) {
        return FAIL(error, ERROR_INPUT, "more than %d profiles", PROFILES_MAX);
    }
    job->profiles[job->profiles_count++] = url;
    return true;
}

/* The body is the resource itself or Parameters with `resource`, `mode` and `profile`. */
static bool read_parameters(struct validate_job *job, struct json *body, struct error *error)
{
    struct arena *arena = job->arena;
    bool wrapped = json_equals_text(JSON_GET(body, "resourceType"), STR("Parameters")) &&
                   !str_equal(call_of(job->request)->type, STR("Parameters"));
    if (!wrapped) {
        job->resource = body;
        return true;
    }
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        struct str name = JSON_TEXT(arena, parameter, "name");
        if (str_equal(name, STR("resource"))) {
            job->resource = JSON_GET(parameter, "resource");
        } else if (str_equal(name, STR("mode"))) {
            struct str code = JSON_TEXT(arena, parameter, "valueCode");
            job->mode = code.at != NULL ? code : JSON_TEXT(arena, parameter, "valueString");
        } else if (str_equal(name, STR("profile"))) {
            struct str url = JSON_TEXT(arena, parameter, "valueUri");
            if (!add_profile(job, url.at != NULL ? url : JSON_TEXT(arena, parameter, "valueCanonical"),
                             error)) {
                return false;
            }
        } else {
            return FAIL(error, ERROR_INPUT, "$validate has no parameter '%.*s'",
                        STR_FMT(str_slice(name, 0, 40)));
        }
    }
    return true;
}

static bool read_request(struct validate_job *job, struct error *error)
{
    struct http_request *request = job->request;
    struct json *body = NULL;
    job->id = http_parameter(request, STR("id"));
    job->mode = http_query_value(request, STR("mode"));
    if (!add_profile(job, http_query_value(request, STR("profile")), error)) {
        return false;
    }
    bool sent = request->body.len > 0;
    if (sent && (!api_read_json(request, &body, error) || !read_parameters(job, body, error))) {
        return false;
    }
    bool known = job->mode.at == NULL || str_equal(job->mode, STR("create")) ||
                 str_equal(job->mode, STR("update")) || str_equal(job->mode, STR("delete")) ||
                 str_equal(job->mode, STR("profile"));
    return known || FAIL(error, ERROR_INPUT, "mode is one of create, update, delete, profile");
}

/* Without a resource in the request the stored one is meant. */
static bool read_stored(struct validate_job *job, struct error *error)
{
    struct http_request *request = job->request;
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    struct str text = STR_NONE;
    const struct fhir_view view = { .summary = 0 };
    const struct access_session *session = &call_of(request)->session;
    const struct fhir_wanted wanted = { .type = call_of(request)->type, .id = job->id };
    struct api_look look = { .request = request, .session = session, .arena = job->arena };
    look.interaction = ACCESS_READ;
    if (!store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    look.reader = reader;
    bool ok = fhir_load(&look, &wanted, &version, error);
    store_reader_end(reader);
    struct api_read read = { .act = { .interaction = ACCESS_READ, .type = wanted.type },
                             .type = wanted.type,
                             .id = wanted.id };
    read.patient = ok ? api_patient_of(version.type, version.id, version.body) : STR_NONE;
    return ok && api_audit_read(request, session, &read, error) &&
           (job->resource != NULL || (fhir_text(session, job->arena, &version, &view, &text, error) &&
                                      json_read(job->arena, text, &job->resource, error)));
}

/* What the same write would be answered: rights, rules, references. */
static void try_write(struct validate_job *job)
{
    struct error error = { 0 };
    struct api_call *call = call_of(job->request);
    struct change_entry entry = { .kind = CHANGE_UPDATE, .type = call->type, .id = job->id };
    if (str_equal(job->mode, STR("create"))) {
        entry.kind = CHANGE_CREATE;
        entry.id = STR_NONE;
    } else if (str_equal(job->mode, STR("delete"))) {
        entry.kind = CHANGE_DELETE;
    }
    if (entry.kind != CHANGE_DELETE) {
        entry.resource = json_copy(job->arena, job->resource, false);
    }
    if (entry.id.at == NULL && entry.kind == CHANGE_UPDATE) {
        entry.id = JSON_TEXT(job->arena, job->resource, "id");
    }
    struct change_set set = { .arena = job->arena,
                              .session = &call->session,
                              .route = str_from_cstr(job->request->route->template),
                              .entries = &entry,
                              .entries_count = 1 };
    if (change_prepare(api_of(job->request)->change, &set, &error)) {
        return;
    }
    for (const struct outcome_issue *issue = set.outcome->first; issue != NULL; issue = issue->next) {
        outcome_add(&job->outcome, *issue);
    }
}

static bool run_validate(struct validate_job *job, struct error *error)
{
    struct api *api = api_of(job->request);
    const struct validation_options options = { .type = call_of(job->request)->type,
                                                .profiles = job->profiles,
                                                .profiles_count = job->profiles_count,
                                                .source = api->profiles };
    bool deletes = str_equal(job->mode, STR("delete"));
    if (job->id.at != NULL && (job->resource == NULL || deletes) && !read_stored(job, error)) {
        return false;
    }
    if (deletes && job->id.at == NULL) {
        return FAIL(error, ERROR_INPUT, "mode=delete is asked at the resource: Type/id/$validate");
    }
    if (job->resource == NULL) {
        return FAIL(error, ERROR_INPUT, "send the resource, or Parameters with it in 'resource'");
    }
    if (job->id.at != NULL && !json_equals_text(JSON_GET(job->resource, "id"), job->id)) {
        outcome_add(&job->outcome,
                    (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                            .code = "invalid",
                                            .path = STR("Resource.id"),
                                            .text = STR("the resource's id must be the one in the address"),
                                            .chinese = STR("资源的 id 应与地址中的一致") });
    }
    bool valid = deletes || validation_check(api->validator, job->resource, &options, &job->outcome);
    bool tried = job->mode.at != NULL && !str_equal(job->mode, STR("profile"));
    if (valid && tried && job->outcome.errors_count == 0) {
        try_write(job);
    }
    return true;
}

enum http_verdict fhir_validate(struct http_request *request)
{
    struct error error = { 0 };
    struct validate_job job = { .request = request, .arena = &request->arena };
    job.outcome = outcome_in(&request->arena);
    if (!read_request(&job, &error) || !run_validate(&job, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, true, outcome_to_json(&job.outcome, api_language(request)));
    return HTTP_DONE;
}
