/* api.h — the program's interfaces over HTTP: one route table (routes.c), one context, and what every handler
 * shares: the session, errors as OperationOutcome, the audit record of a read.
 *
 * A handler finds the program in request->context (struct api *). Handlers that may block (searches, bundles,
 * transitions, images) are routes flagged HTTP_ROUTE_POOL; a single create or update is prepared on the network
 * thread, queued, and answered when the commit is on disk (HTTP_LATER, http_resume from change's `done`). */
#ifndef SHANHAI_API_API_H
#define SHANHAI_API_API_H

#include "access/access.h"
#include "fhir/outcome.h"
#include "http/http.h"
#include "json/json.h"

struct archive;
struct audit;
struct bulk;
struct change;
struct decode_pool;
struct dimse_server;
struct erasure;
struct feed;
struct imaging;
struct indicator_set;
struct profile_source;
struct store;
struct signer;
struct subscriptions;
struct terminology;
struct topic_set;
struct validator;
struct view_set;
struct workflow_set;

/* Made and filled in main.c (cli/serve.c); constant while the server runs. */
struct api {
    struct store *store;
    struct access *access;
    struct audit *audit;
    struct change *change;
    struct feed *feed;
    struct bulk *bulk;
    struct erasure *erasure;
    struct subscriptions *subscriptions;
    const struct topic_set *topics; /* what can be subscribed to */
    struct indicator_set *indicators;
    struct imaging *imaging;      /* studies, held ones, measurements; NULL: /dicom-web answers 404 */
    struct archive *archive;      /* imaging's instances */
    struct decode_pool *decoders; /* of strangers' pixels */
    struct dimse_server *dimse;   /* the DICOM listener; NULL: none */
    const struct view_set *views; /* kept ones, for how far they are filled */
    const struct workflow_set *workflows;
    const struct signer *signer;     /* verifies documents; NULL: none is genuine */
    struct terminology *terminology; /* R4's code systems */
    struct fhir_index *index;        /* rows of contained resources */
    const struct validator *validator;
    const struct profile_source *profiles; /* StructureDefinitions for $validate; NULL: none */
    struct str base_url;                   /* "https://host/fhir"; absent: relative links */
    struct str version;                    /* of the program */
    int offset_minutes;                    /* site.timezone */
    unsigned stow_rest_ms;                 /* a study is at rest so long after a STOW request */
    unsigned jobs_kept_days;               /* done jobs are listed for so long */
    bool tls;                              /* a trusted proxy in front speaks TLS */
    bool cors;                             /* pages of other origins are listed */
};

/* bulk_options.text: what a read of the version would answer. */
bool api_text(const struct access_session *session, struct arena *arena, const struct store_version *version,
              const struct str *elements, size_t elements_count, struct str *text,
              struct error *error) MUST_CHECK;

/* All rows, for http_options.routes. */
const struct http_route *api_routes(size_t *count);

/* http_options.on_error: an OperationOutcome in the language that Accept-Language asks for. */
void api_on_error(struct http_request *request, const struct error *error);

/* The session of a request (cookie or bearer token; 401, 403). */
bool api_session(struct http_request *request, struct access_session *session,
                 struct error *error) MUST_CHECK;

/* Answers with an outcome's issues (or the error's one), status by the error's kind, with the request id. */
void api_respond_error(struct http_request *request, const struct error *error,
                       const struct outcome *outcome);

/* Answers with JSON. `fhir` says application/fhir+json, else application/json; pretty by the request's _pretty. */
void api_respond_json(struct http_request *request, int status, bool fhir, const struct json *value);

/* zh unless Accept-Language prefers en. */
enum outcome_language api_language(const struct http_request *request);

/* The body as JSON: 400 or 415 when it is none. */
bool api_read_json(struct http_request *request, struct json **value, struct error *error) MUST_CHECK;

/* Writes down what was read, before the answer leaves. `patient` may be absent. */
struct api_read {
    struct access_act act;
    struct str type;
    struct str id;
    struct str patient; /* id */
    uint64_t query_hash;
};
bool api_audit_read(struct http_request *request, const struct access_session *session,
                    const struct api_read *read, struct error *error) MUST_CHECK;

#endif
