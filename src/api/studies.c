/* /studies/held: studies whose patient fits nobody, and a person's word whose they are; how far a study's measurement is. */
#include "api/call.h"
#include "api/dicomweb.h"
#include "api/handlers.h"
#include "base/hash.h"
#include "imaging/imaging.h"

static bool need_images(struct http_request *request, struct error *error)
{
    return api_of(request)->imaging != NULL || FAIL(error, ERROR_NOT_FOUND, "this server keeps no images");
}

enum http_verdict studies_held(struct http_request *request)
{
    struct error error = { 0 };
    struct json *list = NULL;
    const struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                            .operation = STR("studies-held") } };
    if (!need_images(request, &error) ||
        !imaging_held(api_of(request)->imaging, &call_of(request)->session, &request->arena, &list, &error) ||
        !api_audit_read(request, &call_of(request)->session, &read, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, false, list);
    return HTTP_DONE;
}

static bool audit_word(struct http_request *request, const char *operation, struct str study,
                       struct error *error)
{
    const struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                            .operation = str_from_cstr(operation) },
                                   .query_hash = hash64(study, 0) };
    return api_audit_read(request, &call_of(request)->session, &read, error);
}

/* The body, and the study of the path. */
static bool read_word(struct http_request *request, const char *operation, struct json **body,
                      struct str *study, struct error *error)
{
    *study = http_parameter(request, STR("study"));
    return need_images(request, error) && api_read_json(request, body, error) &&
           audit_word(request, operation, *study, error);
}

enum http_verdict studies_match(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct str study = STR_NONE;
    if (!read_word(request, "studies-match", &body, &study, &error)) {
        return api_fail(request, &error);
    }
    struct str patient = JSON_TEXT(&request->arena, body, "patient");
    const struct imaging_match match = { .study = study,
                                         .part = JSON_TEXT(&request->arena, body, "part"),
                                         .patient = patient,
                                         .is_confirmed = json_is_true(JSON_GET(body, "confirmed")) };
    if (!imaging_match(api_of(request)->imaging, &call_of(request)->session, &request->arena, &match,
                       &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, answer, STR("study"), study);
    (void)json_add_text(&request->arena, answer, STR("patient"), patient);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict studies_reject(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct str study = STR_NONE;
    if (!read_word(request, "studies-reject", &body, &study, &error) ||
        !imaging_reject(api_of(request)->imaging, &call_of(request)->session, &request->arena, study,
                        JSON_TEXT(&request->arena, body, "part"), &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, answer, STR("study"), study);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict studies_measurement(struct http_request *request)
{
    struct error error = { 0 };
    struct dicomweb_path path = { 0 };
    struct imaging_progress progress = { 0 };
    struct arena *arena = &request->arena;
    if (!need_images(request, &error) || !dicomweb_open(request, &path, &error) ||
        !imaging_progress(api_of(request)->imaging, arena, path.study, &progress, &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, answer, STR("state"), str_from_cstr(progress.state));
    (void)json_add(answer, STR("percent"), json_new_integer(arena, progress.percent));
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

enum http_verdict studies_measure(struct http_request *request)
{
    struct error error = { 0 };
    struct dicomweb_path path = { 0 };
    if (!need_images(request, &error) || !dicomweb_open(request, &path, &error) ||
        !imaging_measure_again(api_of(request)->imaging, &call_of(request)->session, &request->arena,
                               path.study, &error)) {
        return api_fail(request, &error);
    }
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, answer, STR("state"), STR("queued"));
    api_respond_json(request, 202, false, answer);
    return HTTP_DONE;
}
