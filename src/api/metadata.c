/* GET /fhir/metadata: the CapabilityStatement (R4 3.1.0.12), made from the route table and the model, so that it
 * says what there is. In the pool: it lists every type. */
#include "api/call.h"
#include "api/handlers.h"
#include "api/metadata.h"
#include "feed/topic.h"
#include "api/smart.h"
#include "base/clock.h"
#include "model/model.h"

/* Release of the program's interface; the date of a CapabilityStatement is required. */
#define STATEMENT_DATE "2026-11-22"

static struct json *add_object(struct arena *arena, struct json *parent, struct str name)
{
    return json_add(parent, name, json_new(arena, JSON_OBJECT));
}

static struct json *add_array(struct arena *arena, struct json *parent, struct str name)
{
    return json_add(parent, name, json_new(arena, JSON_ARRAY));
}

static struct str kind_code(enum model_search_kind kind)
{
    switch (kind) {
    case MODEL_SEARCH_NUMBER:
        return STR("number");
    case MODEL_SEARCH_DATE:
        return STR("date");
    case MODEL_SEARCH_STRING:
        return STR("string");
    case MODEL_SEARCH_TOKEN:
        return STR("token");
    case MODEL_SEARCH_REFERENCE:
        return STR("reference");
    case MODEL_SEARCH_COMPOSITE:
        return STR("composite");
    case MODEL_SEARCH_QUANTITY:
        return STR("quantity");
    case MODEL_SEARCH_URI:
        return STR("uri");
    case MODEL_SEARCH_SPECIAL:
        return STR("special");
    }
    return STR("special");
}

/* "$everything" of "/fhir/Patient/{id}/$everything"; absent for a row that is no operation. */
static struct str operation_name(const struct http_route *route)
{
    struct str template = str_from_cstr(route->template);
    struct str last = str_skip(template, str_find_last_char(template, '/') + 1);
    return str_starts_with(last, STR("$")) ? str_skip(last, 1) : STR_NONE;
}

/* Rows of the table whose metadata is not NULL and whose template is (or is not) about one type. */
static void add_interactions(struct arena *arena, struct json *parent, bool of_type)
{
    size_t count = 0;
    const struct http_route *routes = api_routes(&count);
    struct json *list = add_array(arena, parent, STR("interaction"));
    for (size_t i = 0; i < count; i++) {
        const struct api_row *row = routes[i].data;
        struct str template = str_from_cstr(routes[i].template);
        bool typed = str_find(template, STR("{type}")) < template.len;
        if (row == NULL || row->metadata == NULL || operation_name(&routes[i]).at != NULL ||
            typed != of_type) {
            continue;
        }
        struct str codes = str_from_cstr(row->metadata);
        struct str code = STR_NONE;
        while (str_split_next(&codes, ' ', &code)) {
            struct json *interaction = json_append(list, json_new(arena, JSON_OBJECT));
            (void)json_add_text(arena, interaction, STR("code"), code);
        }
    }
}

/* One entry a name: GET and POST, type and instance are rows of the same operation. */
static void add_operation(struct arena *arena, struct json *owner, const struct http_route *route)
{
    const struct api_row *row = route->data;
    struct json *list = JSON_GET(owner, "operation");
    struct str name = operation_name(route);
    if (list == NULL) {
        list = add_array(arena, owner, STR("operation"));
    }
    JSON_EACH(operation, list) {
        if (json_equals_text(JSON_GET(operation, "name"), name)) {
            return;
        }
    }
    struct json *operation = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, operation, STR("name"), name);
    (void)json_add_text(arena, operation, STR("definition"), str_from_cstr(row->metadata));
}

/* Rows of the type itself ("/fhir/Task/…") and of every type ("/fhir/{type}/…"). */
static void add_operations(struct arena *arena, struct json *resource, struct str type)
{
    size_t count = 0;
    const struct http_route *routes = api_routes(&count);
    struct str own = arena_printf(arena, "/fhir/%.*s/", STR_FMT(type));
    for (size_t i = 0; i < count; i++) {
        const struct api_row *row = routes[i].data;
        struct str template = str_from_cstr(routes[i].template);
        bool about = str_starts_with(template, own) || str_starts_with(template, STR("/fhir/{type}/"));
        if (row != NULL && operation_name(&routes[i]).at != NULL && row->metadata != NULL && about) {
            add_operation(arena, resource, &routes[i]);
        }
    }
}

/* Rows of the system ("/fhir/$export"), and those of ViewDefinition, which R4 has no type for. */
static void add_system_operations(struct arena *arena, struct json *rest)
{
    size_t count = 0;
    const struct http_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        const struct api_row *row = routes[i].data;
        struct str template = str_from_cstr(routes[i].template);
        bool about = str_starts_with(template, STR("/fhir/$")) ||
                     str_starts_with(template, STR("/fhir/ViewDefinition/"));
        if (row != NULL && row->metadata != NULL && about) {
            add_operation(arena, rest, &routes[i]);
        }
    }
}

/* What _include takes of a type, as it is written there. */
static void add_includes(struct arena *arena, struct json *resource, struct str type)
{
    size_t count = 0;
    const struct model_search_parameter *parameters = model_search_list(type, &count);
    struct json *list = add_array(arena, resource, STR("searchInclude"));
    (void)json_append(list, json_new_string(arena, STR("*")));
    for (size_t i = 0; i < count; i++) {
        if (parameters[i].kind == MODEL_SEARCH_REFERENCE) {
            struct str text = arena_printf(arena, "%.*s:%.*s", STR_FMT(type), STR_FMT(parameters[i].code));
            (void)json_append(list, json_new_string(arena, text));
        }
    }
}

static void add_compartments(struct arena *arena, struct json *rest)
{
    static const char *const names[] = { "Patient", "Encounter", "RelatedPerson", "Practitioner", "Device" };
    struct json *list = add_array(arena, rest, STR("compartment"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)json_append(
            list, json_new_string(
                      arena, arena_printf(arena, "http://hl7.org/fhir/CompartmentDefinition/%s", names[i])));
    }
}

static void add_parameters(struct arena *arena, struct json *list, struct str type)
{
    size_t count = 0;
    const struct model_search_parameter *parameters = model_search_list(type, &count);
    for (size_t i = 0; i < count; i++) {
        /* Not offered: see docs/modules/api.md. */
        if (str_equal(parameters[i].code, STR("_query"))) {
            continue;
        }
        struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, parameter, STR("name"), parameters[i].code);
        (void)json_add_text(arena, parameter, STR("type"), kind_code(parameters[i].kind));
    }
}

static struct json *add_resource(struct arena *arena, struct json *list, struct str type, bool enforced)
{
    struct json *resource = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, resource, STR("type"), type);
    add_interactions(arena, resource, true);
    (void)json_add_text(arena, resource, STR("versioning"), STR("versioned-update"));
    (void)json_add(resource, STR("readHistory"), json_new_bool(arena, true));
    (void)json_add(resource, STR("updateCreate"), json_new_bool(arena, true));
    (void)json_add(resource, STR("conditionalCreate"), json_new_bool(arena, true));
    (void)json_add_text(arena, resource, STR("conditionalRead"), STR("full-support"));
    (void)json_add(resource, STR("conditionalUpdate"), json_new_bool(arena, true));
    (void)json_add_text(arena, resource, STR("conditionalDelete"), STR("single"));
    struct json *policy = add_array(arena, resource, STR("referencePolicy"));
    (void)json_append(policy, json_new_string(arena, STR("literal")));
    (void)json_append(policy, json_new_string(arena, STR("logical")));
    if (enforced) {
        (void)json_append(policy, json_new_string(arena, STR("enforced")));
    }
    add_includes(arena, resource, type);
    struct json *parameters = add_array(arena, resource, STR("searchParam"));
    add_parameters(arena, parameters, STR("Resource"));
    add_parameters(arena, parameters, STR("DomainResource"));
    add_parameters(arena, parameters, type);
    add_operations(arena, resource, type);
    return resource;
}

/* Where R4 has no SubscriptionTopic, its server says the topics' canonical URLs here. */
static void add_topics(struct arena *arena, struct json *resource, const struct topic_set *topics)
{
    struct json *list = json_new(arena, JSON_ARRAY);
    for (const struct topic *topic = topic_next(topics, NULL); topic != NULL;
         topic = topic_next(topics, topic)) {
        struct json *extension = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, extension, STR("url"),
                            STR("http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
                                "capability-subscriptiontopic-canonical"));
        (void)json_add_text(arena, extension, STR("valueCanonical"), topic_url(topic));
    }
    (void)json_add(resource, STR("extension"), list);
}

/* SMART App Launch: where apps are allowed. The .well-known document says the same and more. */
static void add_smart(struct http_request *request, struct json *security)
{
    static const struct {
        const char *name;
        const char *path;
    } uris[] = { { "authorize", "/auth/authorize" },
                 { "token", "/auth/token" },
                 { "introspect", "/auth/introspect" },
                 { "revoke", "/auth/revoke" } };
    struct arena *arena = &request->arena;
    struct json *extension =
        json_append(add_array(arena, security, STR("extension")), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, extension, STR("url"),
                        STR("http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"));
    struct json *list = add_array(arena, extension, STR("extension"));
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct json *one = json_append(list, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, one, STR("url"), str_from_cstr(uris[i].name));
        (void)json_add_text(arena, one, STR("valueUri"), smart_url(request, uris[i].path));
    }
    struct json *service =
        json_append(add_array(arena, security, STR("service")), json_new(arena, JSON_OBJECT));
    struct json *coding = json_append(add_array(arena, service, STR("coding")), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, coding, STR("system"),
                        STR("http://terminology.hl7.org/CodeSystem/restful-security-service"));
    (void)json_add_text(arena, coding, STR("code"), STR("SMART-on-FHIR"));
}

static void add_security(struct http_request *request, struct json *rest)
{
    struct arena *arena = &request->arena;
    struct json *security = add_object(arena, rest, STR("security"));
    add_smart(request, security);
    (void)json_add(security, STR("cors"), json_new_bool(arena, api_of(request)->cors));
    (void)json_add_text(
        arena, security, STR("description"),
        STR("A session cookie (POST /session) with X-CSRF-Token and a same-origin Origin for unsafe "
            "methods, or Authorization: Bearer. Denied by default; see the manual on roles."));
}

/* What both statements begin with. */
static struct json *begin_statement(struct http_request *request, const char *type)
{
    struct arena *arena = &request->arena;
    struct api *api = api_of(request);
    struct json *statement = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, statement, STR("resourceType"), str_from_cstr(type));
    (void)json_add_text(arena, statement, STR("status"), STR("active"));
    (void)json_add_text(arena, statement, STR("date"), STR(STATEMENT_DATE));
    (void)json_add_text(arena, statement, STR("kind"), STR("instance"));
    struct json *software = add_object(arena, statement, STR("software"));
    (void)json_add_text(arena, software, STR("name"), STR("Shanhai 山海"));
    (void)json_add_text(arena, software, STR("version"), api->version.at == NULL ? STR("0") : api->version);
    struct json *implementation = add_object(arena, statement, STR("implementation"));
    (void)json_add_text(arena, implementation, STR("description"),
                        STR("Paired medical assistance on FHIR R4"));
    if (api->base_url.at != NULL) {
        (void)json_add_text(arena, implementation, STR("url"), api->base_url);
    }
    return statement;
}

static struct json *capability_statement(struct http_request *request)
{
    struct arena *arena = &request->arena;
    struct api *api = api_of(request);
    struct json *statement = begin_statement(request, "CapabilityStatement");
    (void)json_add_text(arena, statement, STR("fhirVersion"), STR("4.0.1"));
    struct json *formats = add_array(arena, statement, STR("format"));
    (void)json_append(formats, json_new_string(arena, STR("application/fhir+json")));
    (void)json_append(formats, json_new_string(arena, STR("json")));
    struct json *patches = add_array(arena, statement, STR("patchFormat"));
    (void)json_append(patches, json_new_string(arena, STR("application/json-patch+json")));
    (void)json_append(patches, json_new_string(arena, STR("application/fhir+json")));
    struct json *rest = json_append(add_array(arena, statement, STR("rest")), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, rest, STR("mode"), STR("server"));
    add_security(request, rest);
    struct json *resources = add_array(arena, rest, STR("resource"));
    size_t count = 0;
    const struct model_type *const *types = model_resources(&count);
    for (size_t i = 0; i < count; i++) {
        struct json *resource =
            add_resource(arena, resources, types[i]->name, change_checks_references(api->change));
        if (str_equal(types[i]->name, STR("Subscription"))) {
            add_topics(arena, resource, api->topics);
        }
    }
    add_interactions(arena, rest, false);
    add_system_operations(arena, rest);
    add_compartments(arena, rest);
    return statement;
}

/* R4 3.1.0.9: mode full, normative or terminology; what is normative is not told apart here. */
enum http_verdict fhir_metadata(struct http_request *request)
{
    struct error error = { 0 };
    struct str mode = http_query_value(request, STR("mode"));
    bool terms = str_equal(mode, STR("terminology"));
    if (!terms && mode.at != NULL && !str_equal(mode, STR("full")) && !str_equal(mode, STR("normative"))) {
        (void)FAIL(&error, ERROR_INPUT, "mode is full, normative or terminology");
        return api_fail(request, &error);
    }
    const struct json *statement =
        terms ? metadata_terminology(request, begin_statement(request, "TerminologyCapabilities"))
              : capability_statement(request);
    http_add_header(request, STR("Cache-Control"), STR("no-cache"));
    api_respond_json(request, 200, true, statement);
    return HTTP_DONE;
}
