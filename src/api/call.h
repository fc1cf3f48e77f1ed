/* call.h — what the handlers of this folder share: a row's rights, the call of one request, content negotiation,
 * and FHIR reads that also bundles use. */
#ifndef SHANHAI_API_CALL_H
#define SHANHAI_API_CALL_H

#include "api/api.h"
#include "change/change.h"
#include "store/search.h"

/* http_route.data: what a row of the table asks for before the body is read. */
struct api_row {
    enum {
        API_PUBLIC,  /* no session: sign-in, /metadata, the screens */
        API_SESSION, /* any session; the handler asks for more */
        API_TYPE, /* `interaction` on the resource type of the path: 404 for an unknown type, 403 without right */
        API_RIGHT, /* the right named `name` */
    } need;
    enum access_interaction interaction;
    const char *name;     /* API_RIGHT: the right; ACCESS_OPERATION: "$transition" */
    const char *metadata; /* codes of the interaction in /metadata, blank-separated, or NULL */
    bool any_format;      /* Accept is the handler's business: images are no FHIR JSON */
    bool apps;            /* API_SESSION: also for an app's token; the handler asks by type, so scopes hold */
};

enum api_return { API_RETURN_REPRESENTATION, API_RETURN_MINIMAL, API_RETURN_OUTCOME };

/* request->state of every row that needs a session. */
struct api_call {
    struct access_session session;
    struct str type; /* resource type of the path, checked; absent without one */
    enum api_return prefer;
    bool prefer_resources; /* return=representation was said */
    bool lenient;          /* Prefer: handling=lenient */
    bool pretty;
    struct change_set set; /* of a write */
    struct change_entry entry;
    struct change_entry asked; /* as it was before preparing, to do it again */
    struct error error;        /* what `done` said */
    bool failed;
};

static inline struct api *api_of(const struct http_request *request)
{
    return request->context;
}
static inline struct api_call *call_of(const struct http_request *request)
{
    return request->state;
}

/* http_route.begin of every row with a session: session, row's right, formats. */
bool api_begin(struct http_request *request);
/* The same for public rows that are asked in FHIR's format (/metadata). */
bool api_begin_public(struct http_request *request);

/* R4 3.1.0.1.11: _format before Accept; JSON only (406). */
bool api_check_accept(struct http_request *request, struct error *error) MUST_CHECK;

/* Whom limits by address are about: behind the trusted proxy the person's address, not the proxy's. */
struct str api_client_address(const struct http_request *request);

/* Answers with an error and says HTTP_DONE. */
enum http_verdict api_fail(struct http_request *request, const struct error *error);

/* FHIR text that is ready to go. `body` lives as long as the request. */
void api_respond_text(struct http_request *request, int status, struct str body);

/* 200 with a larger FHIR text, compressed when the client takes that; its content is taken over. Pool threads. */
void api_respond_buf(struct http_request *request, struct buf *body, bool pretty);

/* The session's filter for an act, joined with a reader's look at one version: false with ERROR_NOT_FOUND when it
 * may not be seen. */
struct api_look {
    struct http_request *request;
    struct store_reader *reader;
    const struct access_session *session;
    struct arena *arena;
    enum access_interaction interaction;
};
bool api_may_see(const struct api_look *look, const struct store_version *version, bool *may,
                 struct error *error) MUST_CHECK;

/* "W/\"3\"", "2020-02-11T…" as HTTP date, absolute URL of something under /fhir. */
struct str api_etag(struct arena *arena, uint64_t version, bool masked);
struct str api_http_date(struct arena *arena, int64_t time_ms);
struct str api_url(struct http_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The patient that a stored text is about: the id of the first reference to a Patient, or absent. */
struct str api_patient_of(struct str type, struct str id, struct str body);

/* R4's code systems and value sets, and those uploaded that the session sees, for searches; NULL without. */
struct terminology_run;
const struct terminology_run *api_terminology(struct http_request *request);

/* Which types are contained somewhere, for the chains of searches; NULL: no memory. */
struct search_inside;
const struct search_inside *api_inside(struct http_request *request);

/* Hierarchies of resources as the session sees them, for the references of searches; NULL: no memory. */
struct search_hierarchy;
const struct search_hierarchy *api_hierarchy(struct http_request *request);

/* ---- fhir_search.c, fhir_read.c: also for the GETs of a bundle ---- */

/* "Patient/1", "Patient/1/_history/2", "Patient?name=x": the resource or searchset as a tree. */
bool fhir_get_url(struct http_request *request, const struct access_session *session, struct arena *arena,
                  struct str url, struct json **resource, int *http_status, struct error *error) MUST_CHECK;

/* A visible version of a resource as text, masked where the session needs that. ERROR_GONE for a deleted one. */
struct fhir_wanted {
    struct str type;
    struct str id;
    uint64_t version; /* 0: the current one */
};
bool fhir_load(const struct api_look *look, const struct fhir_wanted *wanted, struct store_version *version,
               struct error *error) MUST_CHECK;

/* The text that goes out: stored, or parsed when the session sees it masked, or less was asked for. */
struct fhir_view {
    bool pretty;
    int summary;                /* enum search_summary */
    const struct str *elements; /* _elements */
    size_t elements_count;
};
bool fhir_text(const struct access_session *session, struct arena *arena, const struct store_version *version,
               const struct fhir_view *view, struct str *text, struct error *error) MUST_CHECK;

/* Whose something is that one person may have only so many of: the person, or the post of a machine. */
uint64_t api_owner(const struct access_session *session);

#endif
