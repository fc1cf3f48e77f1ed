/* The one route table of the program: what there is, who may ask, how large a body may be, what /metadata says. A
 * path that is not here does not exist; a row without a public need has a session before its body is read. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"

enum { SMALL_BODY_BYTES = 64 * 1024 };

#define ROW(...)                                                                                             \
    &(const struct api_row)                                                                                  \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define PUBLIC ROW(.need = API_PUBLIC)
#define SESSION ROW(.need = API_SESSION)
/* Also for an app: what it gives is asked for type by type. */
#define SESSION_APPS(...) ROW(.need = API_SESSION, .apps = true, __VA_ARGS__)
#define RIGHT(right) ROW(.need = API_RIGHT, .name = (right))
/* An interaction on the type in the path, and its code in /metadata (R4 value set restful-interaction). */
#define TYPE(act, code) ROW(.need = API_TYPE, .interaction = (act), .metadata = (code))
/* An operation and the canonical URL of its definition for /metadata. */
#define OPERATION(title, definition)                                                                         \
    ROW(.need = API_TYPE, .interaction = ACCESS_OPERATION, .name = (title), .metadata = (definition))
/* One that asks for no right of its own but that of an interaction. */
#define ACT_OPERATION(act, title, definition)                                                                \
    ROW(.need = API_TYPE, .interaction = (act), .name = (title),                                             \
        .metadata = "http://hl7.org/fhir/OperationDefinition/" definition)
#define HL7_OPERATION(title, definition)                                                                     \
    OPERATION(title, "http://hl7.org/fhir/OperationDefinition/" definition)

#define SUBSCRIPTION(title, definition)                                                                      \
    OPERATION(title, "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"                    \
                     "backport-subscription-" definition)

#define FIGURES ROW(.need = API_RIGHT, .name = "figures", .any_format = true)
#define IMAGES(right) ROW(.need = API_RIGHT, .name = (right), .any_format = true)
#define BULK(right, definition)                                                                              \
    ROW(.need = API_RIGHT, .name = (right), .metadata = (definition), .any_format = true)
#define BULK_DATA "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
#define SQL_ON_FHIR "http://sql-on-fhir.org/OperationDefinition/"
#define BULK_JOB SESSION_APPS(.any_format = true)
#define AUTH_FORM                                                                                            \
    PUBLIC, .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY
#define DICOM_WEB "/dicom-web"
#define DICOM_STUDY DICOM_WEB "/studies/{study}"
#define DICOM_SERIES DICOM_STUDY "/series/{series}"
#define DICOM_INSTANCE DICOM_SERIES "/instances/{sop}"
#define DICOM_READ .flags = HTTP_ROUTE_POOL, .begin = api_begin
#define DICOM_READ_LARGE .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_NO_DEADLINE, .begin = api_begin
#define DICOM_STORE                                                                                          \
    .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_STREAM | HTTP_ROUTE_NO_DEADLINE, .begin = dicomweb_store_begin,    \
    .on_data = dicomweb_store_data

static const struct http_route routes[] = {
    /* FHIR: one resource */
    { HTTP_GET, "/fhir/{type}/{id}", fhir_read, TYPE(ACCESS_READ, "read"), .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/{id}/_history/{version}", fhir_vread, TYPE(ACCESS_READ, "vread"),
      .begin = api_begin },
    { HTTP_POST, "/fhir/{type}", fhir_create, TYPE(ACCESS_CREATE, "create"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .begin = api_begin },
    { HTTP_PUT, "/fhir/{type}/{id}", fhir_update, TYPE(ACCESS_UPDATE, "update"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .begin = api_begin },
    { HTTP_PATCH, "/fhir/{type}/{id}", fhir_patch, TYPE(ACCESS_UPDATE, "patch"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .begin = api_begin },
    { HTTP_DELETE, "/fhir/{type}/{id}", fhir_delete, TYPE(ACCESS_DELETE, "delete"), .begin = api_begin },
    { HTTP_PUT, "/fhir/{type}", fhir_update, TYPE(ACCESS_UPDATE, NULL),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .begin = api_begin },
    { HTTP_PATCH, "/fhir/{type}", fhir_patch, TYPE(ACCESS_UPDATE, NULL),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .begin = api_begin },
    { HTTP_DELETE, "/fhir/{type}", fhir_delete, TYPE(ACCESS_DELETE, NULL), .begin = api_begin },

    /* FHIR: many */
    { HTTP_GET, "/fhir/{type}", fhir_search, TYPE(ACCESS_SEARCH, "search-type"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/_search", fhir_search, TYPE(ACCESS_SEARCH, NULL),
      .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY,
      .begin = api_begin },
    { HTTP_GET, "/fhir/{compartment}/{id}/{type}", fhir_search, TYPE(ACCESS_SEARCH, NULL),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{compartment}/{id}/{type}/_search", fhir_search, TYPE(ACCESS_SEARCH, NULL),
      .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY,
      .begin = api_begin },
    { HTTP_GET, "/fhir/{compartment}/{id}/*", fhir_search, SESSION_APPS(.metadata = NULL),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{compartment}/{id}/*/_search", fhir_search, SESSION_APPS(.metadata = NULL),
      .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY,
      .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/{id}/_history", fhir_history, TYPE(ACCESS_HISTORY, "history-instance"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/_history", fhir_history, TYPE(ACCESS_HISTORY, "history-type"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/_history", fhir_history, SESSION_APPS(.metadata = "history-system"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir", fhir_search, SESSION_APPS(.metadata = "search-system"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_GET, "/fhir/", fhir_search, SESSION_APPS(.metadata = NULL), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin }, /* as some write it */
    { HTTP_POST, "/fhir/_search", fhir_search, SESSION_APPS(.metadata = NULL),
      .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY,
      .begin = api_begin },
    { HTTP_POST, "/fhir", fhir_bundle, SESSION_APPS(.metadata = "transaction batch"),
      .body_bytes_max = LIMIT_BUNDLE_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG, .begin = api_begin },
    { HTTP_POST, "/fhir/", fhir_bundle, SESSION_APPS(.metadata = NULL), .body_bytes_max = LIMIT_BUNDLE_BYTES,
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG, .begin = api_begin }, /* as some clients write it */
    { HTTP_GET, "/fhir/metadata", fhir_metadata, PUBLIC, .flags = HTTP_ROUTE_POOL,
      .begin = api_begin_public },

    { HTTP_POST, "/fhir/ViewDefinition/$run", view_run,
      SESSION_APPS(.any_format = true, .metadata = SQL_ON_FHIR "$run"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG,
      .begin = api_begin },
    { HTTP_GET, "/fhir/ViewDefinition/$run", view_run,
      SESSION_APPS(.any_format = true, .metadata = SQL_ON_FHIR "$run"),
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG, .begin = api_begin },
    { HTTP_GET, "/fhir/ViewDefinition/{id}/$run", view_run,
      SESSION_APPS(.any_format = true, .metadata = SQL_ON_FHIR "$run"),
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG, .begin = api_begin },
    { HTTP_POST, "/fhir/ViewDefinition/{id}/$run", view_run,
      SESSION_APPS(.any_format = true, .metadata = SQL_ON_FHIR "$run"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG,
      .begin = api_begin },

    /* operations on any type */
    { HTTP_POST, "/fhir/{type}/$validate", fhir_validate, HL7_OPERATION("$validate", "Resource-validate"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/{id}/$validate", fhir_validate, HL7_OPERATION("$validate", "Resource-validate"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/{id}/$validate", fhir_validate,
      HL7_OPERATION("$validate", "Resource-validate"), .body_bytes_max = LIMIT_RESOURCE_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/$meta", fhir_meta_all,
      SESSION_APPS(.metadata = "http://hl7.org/fhir/OperationDefinition/Resource-meta"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/$meta", fhir_meta_all, ACT_OPERATION(ACCESS_SEARCH, "$meta", "Resource-meta"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/{id}/$meta", fhir_meta, ACT_OPERATION(ACCESS_READ, "$meta", "Resource-meta"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{type}/{id}/_history/{version}/$meta", fhir_meta,
      ACT_OPERATION(ACCESS_READ, "$meta", "Resource-meta"), .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    /* R4 3.2.0.2: an operation that changes nothing may be asked by GET; POST is always there. */
    { HTTP_POST, "/fhir/$meta", fhir_meta_all,
      SESSION_APPS(.metadata = "http://hl7.org/fhir/OperationDefinition/Resource-meta"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/$meta", fhir_meta_all, ACT_OPERATION(ACCESS_SEARCH, "$meta", "Resource-meta"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/{id}/$meta", fhir_meta, ACT_OPERATION(ACCESS_READ, "$meta", "Resource-meta"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/{id}/_history/{version}/$meta", fhir_meta,
      ACT_OPERATION(ACCESS_READ, "$meta", "Resource-meta"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/{id}/$meta-add", fhir_meta_add,
      ACT_OPERATION(ACCESS_UPDATE, "$meta-add", "Resource-meta-add"), .body_bytes_max = LIMIT_RESOURCE_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/{type}/{id}/$meta-delete", fhir_meta_delete,
      ACT_OPERATION(ACCESS_UPDATE, "$meta-delete", "Resource-meta-delete"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* operations of one type */
    { HTTP_GET, "/fhir/Patient/{id}/$everything", fhir_everything,
      HL7_OPERATION("$everything", "Patient-everything"), .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Encounter/{id}/$everything", fhir_everything,
      HL7_OPERATION("$everything", "Encounter-everything"), .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Composition/{id}/$document", fhir_document,
      ACT_OPERATION(ACCESS_READ, "$document", "Composition-document"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_GET, "/fhir/Observation/$lastn", fhir_lastn,
      ACT_OPERATION(ACCESS_SEARCH, "$lastn", "Observation-lastn"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/fhir/Patient/{id}/$everything", fhir_everything,
      HL7_OPERATION("$everything", "Patient-everything"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Encounter/{id}/$everything", fhir_everything,
      HL7_OPERATION("$everything", "Encounter-everything"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Composition/{id}/$document", fhir_document,
      ACT_OPERATION(ACCESS_READ, "$document", "Composition-document"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Observation/$lastn", fhir_lastn,
      ACT_OPERATION(ACCESS_SEARCH, "$lastn", "Observation-lastn"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },

/* terminology */
#define TERMS(method, path, handler, title, definition)                                                      \
    {                                                                                                        \
        method, path, handler, HL7_OPERATION(title, definition),                                             \
            .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin             \
    }
    TERMS(HTTP_GET, "/fhir/ValueSet/$expand", fhir_expand, "$expand", "ValueSet-expand"),
    TERMS(HTTP_GET, "/fhir/ValueSet/{id}/$expand", fhir_expand, "$expand", "ValueSet-expand"),
    TERMS(HTTP_POST, "/fhir/ValueSet/$expand", fhir_expand, "$expand", "ValueSet-expand"),
    TERMS(HTTP_POST, "/fhir/ValueSet/{id}/$expand", fhir_expand, "$expand", "ValueSet-expand"),
    TERMS(HTTP_GET, "/fhir/ValueSet/$validate-code", fhir_validate_code, "$validate-code",
          "ValueSet-validate-code"),
    TERMS(HTTP_GET, "/fhir/ValueSet/{id}/$validate-code", fhir_validate_code, "$validate-code",
          "ValueSet-validate-code"),
    TERMS(HTTP_POST, "/fhir/ValueSet/$validate-code", fhir_validate_code, "$validate-code",
          "ValueSet-validate-code"),
    TERMS(HTTP_POST, "/fhir/ValueSet/{id}/$validate-code", fhir_validate_code, "$validate-code",
          "ValueSet-validate-code"),
    TERMS(HTTP_GET, "/fhir/CodeSystem/$validate-code", fhir_validate_code_system, "$validate-code",
          "CodeSystem-validate-code"),
    TERMS(HTTP_GET, "/fhir/CodeSystem/{id}/$validate-code", fhir_validate_code_system, "$validate-code",
          "CodeSystem-validate-code"),
    TERMS(HTTP_POST, "/fhir/CodeSystem/$validate-code", fhir_validate_code_system, "$validate-code",
          "CodeSystem-validate-code"),
    TERMS(HTTP_POST, "/fhir/CodeSystem/{id}/$validate-code", fhir_validate_code_system, "$validate-code",
          "CodeSystem-validate-code"),
    TERMS(HTTP_GET, "/fhir/CodeSystem/$lookup", fhir_lookup, "$lookup", "CodeSystem-lookup"),
    TERMS(HTTP_POST, "/fhir/CodeSystem/$lookup", fhir_lookup, "$lookup", "CodeSystem-lookup"),
    TERMS(HTTP_GET, "/fhir/CodeSystem/$subsumes", fhir_subsumes, "$subsumes", "CodeSystem-subsumes"),
    TERMS(HTTP_POST, "/fhir/CodeSystem/$subsumes", fhir_subsumes, "$subsumes", "CodeSystem-subsumes"),
    TERMS(HTTP_GET, "/fhir/CodeSystem/{id}/$subsumes", fhir_subsumes, "$subsumes", "CodeSystem-subsumes"),
    TERMS(HTTP_POST, "/fhir/CodeSystem/{id}/$subsumes", fhir_subsumes, "$subsumes", "CodeSystem-subsumes"),
    TERMS(HTTP_GET, "/fhir/ConceptMap/$translate", fhir_translate, "$translate", "ConceptMap-translate"),
    TERMS(HTTP_GET, "/fhir/ConceptMap/{id}/$translate", fhir_translate, "$translate", "ConceptMap-translate"),
    TERMS(HTTP_POST, "/fhir/ConceptMap/$translate", fhir_translate, "$translate", "ConceptMap-translate"),
    TERMS(HTTP_POST, "/fhir/ConceptMap/{id}/$translate", fhir_translate, "$translate",
          "ConceptMap-translate"),

    /* the workflow of a Task */
    { HTTP_GET, "/fhir/Task/{id}/$transitions", fhir_transitions,
      OPERATION("$transitions", "urn:shanhai:operation:Task-transitions"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/fhir/Task/{id}/$transition", fhir_transition,
      OPERATION("$transition", "urn:shanhai:operation:Task-transition"),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    /* subscriptions */
    { HTTP_GET, "/fhir/Subscription/$status", subscriptions_status, SUBSCRIPTION("$status", "status"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Subscription/$status", subscriptions_status, SUBSCRIPTION("$status", "status"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Subscription/{id}/$status", subscriptions_status, SUBSCRIPTION("$status", "status"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Subscription/{id}/$status", subscriptions_status, SUBSCRIPTION("$status", "status"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Subscription/{id}/$events", subscriptions_events, SUBSCRIPTION("$events", "events"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Subscription/{id}/$events", subscriptions_events, SUBSCRIPTION("$events", "events"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Subscription/{id}/$stream", subscriptions_stream,
      ROW(.need = API_TYPE, .interaction = ACCESS_OPERATION, .name = "$stream",
          .metadata = "urn:shanhai:operation:Subscription-stream", .any_format = true),
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_NO_DEADLINE, .begin = api_begin },
    { HTTP_GET, "/subscription-topics", subscription_topics, SESSION, .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    /* 紧急调阅 */
    { HTTP_POST, "/fhir/Patient/$break-glass", fhir_break_glass, RIGHT("break-glass"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/{rest*}", api_nothing_here, PUBLIC, .flags = 0 },

    /* many at once: HL7 Bulk Data Access */
    { HTTP_GET, "/fhir/$export", bulk_export_ask, BULK("export", BULK_DATA "export"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/$export", bulk_export_ask, BULK("export", BULK_DATA "export"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Patient/$export", bulk_export_ask, BULK("export", BULK_DATA "patient-export"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Patient/$export", bulk_export_ask, BULK("export", BULK_DATA "patient-export"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/fhir/Group/{id}/$export", bulk_export_ask, BULK("export", BULK_DATA "group-export"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/Group/{id}/$export", bulk_export_ask, BULK("export", BULK_DATA "group-export"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/$viewdefinition-export", bulk_views_ask,
      ROW(.need = API_SESSION, .metadata = SQL_ON_FHIR "$viewdefinition-export", .any_format = true),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/ViewDefinition/$viewdefinition-export", bulk_views_ask,
      ROW(.need = API_SESSION, .metadata = SQL_ON_FHIR "$viewdefinition-export", .any_format = true),
      .body_bytes_max = LIMIT_RESOURCE_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/fhir/$import", bulk_import_ask, BULK("import", "urn:shanhai:operation:import"),
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_STREAM | HTTP_ROUTE_NO_DEADLINE, .begin = bulk_import_take,
      .on_data = bulk_import_data },
    { HTTP_GET, "/bulk/{job}", bulk_status_get, BULK_JOB, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_DELETE, "/bulk/{job}", bulk_delete, BULK_JOB, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/bulk/{job}/{file}", bulk_file_get, BULK_JOB,
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_NO_DEADLINE, .begin = api_begin },

    /* the way in */
    { HTTP_POST, "/session", session_sign_in, PUBLIC, .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL },
    { HTTP_GET, "/session", session_get, SESSION, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/session/post", session_post, SESSION, .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/session/password", session_password, SESSION, .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_DELETE, "/session", session_delete, SESSION, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* apps of others: SMART App Launch, docs/smart.md */
    { HTTP_GET, "/fhir/.well-known/smart-configuration", smart_configuration, PUBLIC, .flags = 0 },
    { HTTP_GET, "/fhir/.well-known/openid-configuration", smart_openid_configuration, PUBLIC, .flags = 0 },
    { HTTP_GET, "/auth/jwks", smart_keys, PUBLIC, .flags = HTTP_ROUTE_POOL },
    { HTTP_GET, "/auth/authorize", smart_authorize, PUBLIC, .flags = HTTP_ROUTE_POOL },
    { HTTP_GET, "/auth/consent", smart_consent_get, SESSION, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/auth/consent", smart_consent, SESSION, .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/auth/apps", smart_apps, SESSION, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/auth/launch", smart_launch, SESSION, .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/auth/token", smart_token, AUTH_FORM },
    { HTTP_POST, "/auth/introspect", smart_introspect, AUTH_FORM },
    { HTTP_POST, "/auth/revoke", smart_revoke, AUTH_FORM },

    /* the administrator's */
    { HTTP_GET, "/admin/accounts", accounts_list, RIGHT("accounts"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/admin/accounts", accounts_add, RIGHT("accounts"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/admin/accounts/{name}/{action}", accounts_act, RIGHT("accounts"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* for good: two persons (feed/erasure.h) */
    { HTTP_POST, "/fhir/{type}/{id}/$erase", erasures_ask,
      ROW(.need = API_RIGHT, .name = "erase", .metadata = "urn:shanhai:operation:erase"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/admin/erasures", erasures_list, RIGHT("erase"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/admin/erasures/{id}/{action}", erasures_decide, RIGHT("erase"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    { HTTP_GET, "/admin/jobs", jobs_list, RIGHT("jobs"), .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/admin/jobs/{job}/{action}", jobs_act, RIGHT("jobs"), .body_bytes_max = SMALL_BODY_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    { HTTP_GET, "/fhir/AuditEvent", audit_events, RIGHT("audit"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/fhir/AuditEvent/_search", audit_events, RIGHT("audit"),
      .body_bytes_max = LIMIT_HTTP_FORM_BYTES, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_FORM_BODY,
      .begin = api_begin },

    /* studies that wait to be matched */
    { HTTP_GET, "/studies/held", studies_held, RIGHT("studies-match"), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_POST, "/studies/held/{study}/match", studies_match, RIGHT("studies-match"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    { HTTP_POST, "/studies/held/{study}/reject", studies_reject, RIGHT("studies-match"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* how far a study's measurement is; the handler asks whether the session may see the study */
    { HTTP_GET, "/studies/{study}/measurement", studies_measurement, RIGHT("dicom-read"),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/studies/{study}/measurement", studies_measure, RIGHT("measure"),
      .body_bytes_max = SMALL_BODY_BYTES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* photos of film: marked, never for diagnosis; the handlers ask for the rights on Media and Patient */
    { HTTP_POST, "/photos", photos_add, SESSION_APPS(.metadata = NULL), .body_bytes_max = LIMIT_PHOTO_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/photos/{id}", photos_get, SESSION_APPS(.any_format = true), .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },

    /* a folder or CD packed as a ZIP */
    { HTTP_POST, "/studies/zip", studies_zip, RIGHT("dicom-send"),
      .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_STREAM | HTTP_ROUTE_NO_DEADLINE, .begin = studies_zip_begin,
      .on_data = studies_zip_data },

    /* images: STOW-RS, QIDO-RS, WADO-RS; each handler asks whether the session may see the study */
    { HTTP_POST, DICOM_WEB "/studies", dicomweb_store, IMAGES("dicom-send"), DICOM_STORE },
    { HTTP_POST, DICOM_STUDY, dicomweb_store, IMAGES("dicom-send"), DICOM_STORE },
    { HTTP_GET, DICOM_WEB "/studies", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_WEB "/series", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_WEB "/instances", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_STUDY "/series", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_STUDY "/instances", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_SERIES "/instances", dicomweb_query, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_STUDY "/metadata", dicomweb_metadata, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_SERIES "/metadata", dicomweb_metadata, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_INSTANCE "/metadata", dicomweb_metadata, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_STUDY, dicomweb_instances, IMAGES("dicom-read"), DICOM_READ_LARGE },
    { HTTP_GET, DICOM_SERIES, dicomweb_instances, IMAGES("dicom-read"), DICOM_READ_LARGE },
    { HTTP_GET, DICOM_INSTANCE, dicomweb_instances, IMAGES("dicom-read"), DICOM_READ_LARGE },
    { HTTP_GET, DICOM_INSTANCE "/frames/{frames}", dicomweb_frames, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_INSTANCE "/frames/{frames}/rendered", dicomweb_rendered, IMAGES("dicom-read"),
      DICOM_READ },
    { HTTP_GET, DICOM_INSTANCE "/rendered", dicomweb_rendered, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_INSTANCE "/bulkdata/{tag}", dicomweb_bulk, IMAGES("dicom-read"), DICOM_READ },
    { HTTP_GET, DICOM_WEB "/{rest*}", api_nothing_here, PUBLIC, .flags = 0 },

    /* a printed report, by its QR code */
    { HTTP_GET, "/verify/{document}/{mark}", verify_document, PUBLIC, .flags = HTTP_ROUTE_POOL },

    /* figures */
    { HTTP_GET, "/indicators", figures_list, FIGURES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/indicators/{code}/resources", figures_drill, FIGURES, .flags = HTTP_ROUTE_POOL,
      .begin = api_begin },
    { HTTP_GET, "/reports/{code}", reports_get, FIGURES, .flags = HTTP_ROUTE_POOL, .begin = api_begin },

    /* live events, the machine's own figures, the screens */
    { HTTP_GET, "/events", events_open, SESSION_APPS(.any_format = true), .flags = HTTP_ROUTE_NO_DEADLINE,
      .begin = api_begin },
    { HTTP_GET, "/workflows/times", rule_times, SESSION, .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_POST, "/live/Encounter/{id}", live_say, SESSION, .body_bytes_max = LIMIT_FEED_WORD_BYTES,
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/metrics", api_metrics, ROW(.need = API_RIGHT, .name = "settings", .any_format = true),
      .flags = HTTP_ROUTE_POOL, .begin = api_begin },
    { HTTP_GET, "/health", api_health, PUBLIC, .flags = 0 },
    { HTTP_GET, "/{path*}", assets_get, PUBLIC, .flags = 0 },
};

const struct http_route *api_routes(size_t *count)
{
    *count = sizeof routes / sizeof routes[0];
    return routes;
}

enum http_verdict api_nothing_here(struct http_request *request)
{
    struct error error = { 0 };
    (void)FAIL(&error, ERROR_NOT_FOUND, "there is nothing at this address");
    return api_fail(request, &error);
}

/* For a supervisor: the server answers and the store can be read. Says nothing of what is in it. */
enum http_verdict api_health(struct http_request *request)
{
    struct error error = { 0 };
    struct store_reader *reader = NULL;
    if (!store_reader_begin(api_of(request)->store, &reader, &error)) {
        return api_fail(request, &error);
    }
    store_reader_end(reader);
    http_respond(request, 200, STR("application/json"), STR("{\"status\":\"ok\"}\n"));
    return HTTP_DONE;
}
