/* The kick-off of $viewdefinition-export (SQL on FHIR v2) and what it answers in the end; the job is feed/bulk_views.c. */
#include <string.h>

#include "api/bulk_ask.h"
#include "api/handlers.h"
#include "api/view_ask.h"
#include "view/view_set.h"

static bool is_known(struct str name)
{
    static const struct str known[] = {
        { "view", 4 },  { "_format", 7 }, { "header", 6 },           { "patient", 7 },
        { "group", 5 }, { "_since", 6 },  { "clientTrackingId", 16 }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (str_equal(name, known[i])) {
            return true;
        }
    }
    return false;
}

static bool check_names(struct http_request *request, const struct json *body, struct error *error)
{
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        struct str name = JSON_TEXT(&request->arena, parameter, "name");
        if (str_equal(name, STR("source"))) {
            return FAIL(error, ERROR_UNSUPPORTED, VIEW_ASK_NO_SOURCE);
        }
        if (!is_known(name)) {
            return FAIL(error, ERROR_UNSUPPORTED, "$viewdefinition-export has no parameter '%.*s' here",
                        STR_FMT(str_slice(name, 0, 40)));
        }
    }
    return true;
}

/* One of the server's own, as it is now: what is written down with the job does not change when the program is renewed. */
static const struct json *definition_of(struct http_request *request, const struct json *part,
                                        struct error *error)
{
    struct str name = view_ask_name(request, view_ask_reference(&request->arena, part));
    const struct json *found = view_set_definition(api_of(request)->views, name);
    if (found == NULL) {
        (void)FAIL(error, ERROR_NOT_FOUND, "there is no ViewDefinition of that name here");
    }
    return found;
}

/* A parameter `view`: the parts name, and viewResource or viewReference. */
static bool add_view(struct http_request *request, const struct json *parameter, struct json *views,
                     struct error *error)
{
    struct arena *arena = &request->arena;
    struct json *item = json_append(views, json_new(arena, JSON_OBJECT));
    size_t definitions = 0;
    JSON_EACH(part, JSON_GET(parameter, "part")) {
        const struct json *name = JSON_GET(part, "name");
        const struct json *definition = NULL;
        if (json_equals_text(name, STR("name"))) {
            (void)json_add_text(arena, item, STR("name"), JSON_TEXT(arena, part, "valueString"));
            continue;
        }
        if (json_equals_text(name, STR("viewResource"))) {
            definition = JSON_GET(part, "resource");
        } else if (json_equals_text(name, STR("viewReference"))) {
            definition = definition_of(request, part, error);
            if (definition == NULL) {
                return false;
            }
        } else {
            return FAIL(error, ERROR_UNSUPPORTED,
                        "a view has the parts name, viewResource and viewReference");
        }
        definitions += definition != NULL;
        (void)json_add(item, STR("resource"), json_copy(arena, definition, false));
    }
    return definitions == 1 ||
           FAIL(error, ERROR_INPUT, "a view wants one ViewDefinition: viewResource or viewReference");
}

static bool views_read(struct http_request *request, struct bulk_views *views, struct error *error)
{
    struct arena *arena = &request->arena;
    struct json *body = NULL;
    struct json *patients = NULL;
    struct json *list = json_new(arena, JSON_ARRAY);
    if (!bulk_wants_async(request)) {
        return FAIL(error, ERROR_INPUT, "an export takes its time: send 'Prefer: respond-async'");
    }
    if (!api_read_json(request, &body, error) || !check_names(request, body, error)) {
        return false;
    }
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), STR("view")) &&
            !add_view(request, parameter, list, error)) {
            return false;
        }
    }
    if (!view_ask_patients(request, body, &patients, error)) {
        return false;
    }
    *views =
        (struct bulk_views){ .url =
                                 api_url(request, "%.*s", STR_FMT(str_skip(request->path, strlen("/fhir")))),
                             .views = list,
                             .format = bulk_asked(request, body, STR("_format")),
                             .header = !str_equal(bulk_asked(request, body, STR("header")), STR("false")),
                             .patients = patients,
                             .since = bulk_asked(request, body, STR("_since")),
                             .tracking = bulk_asked(request, body, STR("clientTrackingId")) };
    return true;
}

static struct json *add_output(struct arena *arena, struct json *list, struct str name, struct str value_name,
                               struct str value)
{
    struct json *parameter = value.at == NULL ? NULL : json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, parameter, STR("name"), name);
    (void)json_add_text(arena, parameter, value_name, value);
    return parameter;
}

/* What the operation answers, at first and in the end. */
static struct json *views_answer(struct http_request *request, uint64_t id, const char *status,
                                 struct str tracking)
{
    struct arena *arena = &request->arena;
    struct json *parameters = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, parameters, STR("resourceType"), STR("Parameters"));
    struct json *list = json_add(parameters, STR("parameter"), json_new(arena, JSON_ARRAY));
    (void)add_output(arena, list, STR("exportId"), STR("valueString"),
                     arena_printf(arena, "%llu", (unsigned long long)id));
    (void)add_output(arena, list, STR("clientTrackingId"), STR("valueString"), tracking);
    (void)add_output(arena, list, STR("status"), STR("valueCode"), str_from_cstr(status));
    (void)add_output(arena, list, STR("location"), STR("valueUri"), bulk_job_url(request, id, ""));
    (void)add_output(arena, list, STR("cancelUrl"), STR("valueUri"), bulk_job_url(request, id, ""));
    return parameters;
}

enum http_verdict bulk_views_ask(struct http_request *request)
{
    struct error error = { 0 };
    struct bulk_views views = { 0 };
    uint64_t id = 0;
    if (!views_read(request, &views, &error) || !bulk_audit(request, "$viewdefinition-export", &error) ||
        !bulk_views_begin(api_of(request)->bulk, &call_of(request)->session, &request->arena, &views, &id,
                          &error)) {
        return api_fail(request, &error);
    }
    http_add_header(request, STR("Content-Location"), bulk_job_url(request, id, ""));
    api_respond_json(request, 202, true, views_answer(request, id, "accepted", views.tracking));
    return HTTP_DONE;
}

/* One output a view, with the addresses of its files. */
struct json *view_export_result(struct http_request *request, uint64_t id, const struct bulk_status *status)
{
    struct arena *arena = &request->arena;
    struct json *parameters =
        views_answer(request, id, "completed", JSON_TEXT(arena, status->input, "tracking"));
    struct json *list = JSON_GET(parameters, "parameter");
    int64_t at = 0;
    (void)add_output(arena, list, STR("_format"), STR("valueCode"),
                     JSON_TEXT(arena, status->input, "format"));
    (void)add_output(arena, list, STR("exportStartTime"), STR("valueInstant"),
                     JSON_TEXT(arena, status->result, "start"));
    (void)add_output(arena, list, STR("exportEndTime"), STR("valueInstant"),
                     JSON_TEXT(arena, status->result, "end"));
    JSON_EACH(view, JSON_GET(status->input, "views")) {
        struct json *output = json_append(list, json_new(arena, JSON_OBJECT));
        struct str number = arena_printf(arena, "%lld", (long long)at++);
        struct str name = JSON_TEXT(arena, view, "name");
        name = name.at == NULL ? JSON_TEXT(arena, JSON_GET(view, "resource"), "name") : name;
        (void)json_add_text(arena, output, STR("name"), STR("output"));
        struct json *parts = json_add(output, STR("part"), json_new(arena, JSON_ARRAY));
        (void)add_output(arena, parts, STR("name"), STR("valueString"),
                         name.at == NULL ? arena_printf(arena, "view_%.*s", STR_FMT(number)) : name);
        JSON_EACH(file, JSON_GET(status->result, "files")) {
            const struct json *of = JSON_GET(file, "view");
            const char *part = arena_cstr(arena, JSON_TEXT(arena, file, "name"));
            if (of != NULL && str_equal(of->raw, number)) {
                (void)add_output(arena, parts, STR("location"), STR("valueUri"),
                                 bulk_job_url(request, id, part == NULL ? "" : part));
            }
        }
    }
    return parameters;
}
