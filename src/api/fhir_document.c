/* Composition/$document (R4 operation Composition-document): the composition and what it refers to directly as one
 * Bundle of type document. What may not be seen cannot be left out of a document, so the answer then is a refusal. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/table.h"
#include "base/uuid.h"
#include "model/model.h"

enum { DOCUMENT_RESOURCES_MAX = 500 };

struct document {
    struct http_request *request;
    struct table entries; /* "Type/id" */
    struct json *list;
    size_t missing;
};

static bool add_resource(struct document *document, struct str reference, struct json *resource)
{
    struct arena *arena = &document->request->arena;
    struct json *entry = json_append(document->list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, entry, STR("fullUrl"),
                        api_url(document->request, "/%.*s", STR_FMT(reference)));
    return json_add(entry, STR("resource"), resource) != NULL &&
           table_set(&document->entries, reference, resource);
}

/* "Type/id" alone: versions, contained and foreign ones stay as they are. */
static bool is_local(struct str reference, struct fhir_wanted *wanted)
{
    size_t slash = str_find_char(reference, '/');
    wanted->type = str_slice(reference, 0, slash);
    wanted->id = str_skip(reference, slash + 1);
    return slash < reference.len && wanted->id.len > 0 && str_find_char(wanted->id, '/') == wanted->id.len &&
           model_resource_find(wanted->type) != NULL;
}

static bool add_reference(struct document *document, struct str reference, struct error *error)
{
    struct fhir_wanted wanted = { 0 };
    struct store_version version = { 0 };
    struct json *resource = NULL;
    struct error cause = { 0 };
    if (!is_local(reference, &wanted) || table_get(&document->entries, reference) != NULL) {
        return true;
    }
    if (document->list->count >= DOCUMENT_RESOURCES_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "a document has at most %d resources", DOCUMENT_RESOURCES_MAX);
    }
    if (operation_read(document->request, &wanted, &version, &resource, &cause)) {
        return add_resource(document, reference, resource) ||
               FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    bool unseen = cause.kind == ERROR_NOT_FOUND || cause.kind == ERROR_GONE || cause.kind == ERROR_FORBIDDEN;
    document->missing += unseen ? 1 : 0;
    if (!unseen) {
        *error = cause;
    }
    return unseen;
}

/* Depth is bounded by the reader. */
static bool add_references(struct document *document, const struct json *value, struct error *error)
{
    struct str reference = JSON_TEXT(&document->request->arena, value, "reference");
    if (reference.at != NULL && !add_reference(document, reference, error)) {
        return false;
    }
    JSON_EACH(child, value) {
        if (child->kind >= JSON_ARRAY && !add_references(document, child, error)) {
            return false;
        }
    }
    return true;
}

static struct json *bundle_of(struct document *document, struct error *error)
{
    struct arena *arena = &document->request->arena;
    char id[UUID_TEXT_BYTES];
    char time[INSTANT_BYTES];
    int64_t now_ms = clock_now_ms();
    struct json *bundle = json_new(arena, JSON_OBJECT);
    if (!uuid_v7(now_ms, id, error)) {
        return NULL;
    }
    (void)instant_format(now_ms, 0, time);
    (void)json_add_text(arena, bundle, STR("resourceType"), STR("Bundle"));
    struct json *identifier = json_add(bundle, STR("identifier"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, identifier, STR("system"), STR("urn:ietf:rfc:3986"));
    (void)json_add_text(arena, identifier, STR("value"), arena_printf(arena, "urn:uuid:%s", id));
    (void)json_add_text(arena, bundle, STR("type"), STR("document"));
    (void)json_add_text(arena, bundle, STR("timestamp"), arena_dup(arena, str_from_cstr(time)));
    if (json_add(bundle, STR("entry"), document->list) == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        return NULL;
    }
    return bundle;
}

static bool persist(struct http_request *request, struct json *bundle, struct error *error)
{
    struct change_entry entry = { .kind = CHANGE_CREATE, .type = STR("Bundle"), .resource = bundle };
    struct change_set set = { .arena = &request->arena,
                              .session = &call_of(request)->session,
                              .route = str_from_cstr(request->route->template),
                              .entries = &entry,
                              .entries_count = 1 };
    if (!change_apply(api_of(request)->change, &set, error)) {
        return false;
    }
    http_add_header(request, STR("Location"),
                    api_url(request, "/Bundle/%.*s/_history/1", STR_FMT(entry.result.id)));
    return true;
}

static bool make_document(struct document *document, struct json **bundle, struct error *error)
{
    struct arena *arena = &document->request->arena;
    struct store_version version = { 0 };
    struct json *composition = NULL;
    const struct fhir_wanted wanted = { .type = STR("Composition"),
                                        .id = http_parameter(document->request, STR("id")) };
    if (!operation_read(document->request, &wanted, &version, &composition, error)) {
        return false;
    }
    struct str own = arena_printf(arena, "Composition/%.*s", STR_FMT(wanted.id));
    if (!add_resource(document, own, composition)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!add_references(document, composition, error)) {
        return false;
    }
    if (document->missing > 0) {
        return FAIL(error, ERROR_RULE,
                    "%zu of the resources that the document refers to do not exist or are not yours to see",
                    document->missing);
    }
    *bundle = bundle_of(document, error);
    return *bundle != NULL;
}

enum http_verdict fhir_document(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct json *bundle = NULL;
    struct document document = { .request = request,
                                 .entries = table_in(&request->arena),
                                 .list = json_new(&request->arena, JSON_ARRAY) };
    if (document.list == NULL || !operation_body(request, &body, &error) ||
        !make_document(&document, &bundle, &error)) {
        return api_fail(request, &error);
    }
    bool keep = str_equal(operation_parameter(request, body, STR("persist")), STR("true"));
    if (keep && (request->method != HTTP_POST || !persist(request, bundle, &error))) {
        if (error.kind == ERROR_NONE) {
            (void)FAIL(&error, ERROR_METHOD, "persist=true writes: send it by POST");
        }
        return api_fail(request, &error);
    }
    api_respond_json(request, 200, true, bundle);
    return HTTP_DONE;
}
