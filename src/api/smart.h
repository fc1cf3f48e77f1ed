/* smart.h — what smart.c and smart_token.c share: addresses, audit records of apps. */
#ifndef SHANHAI_API_SMART_H
#define SHANHAI_API_SMART_H

#include "access/app.h"
#include "access/audit.h"
#include "api/call.h"

/* Our FHIR base URL, which is the issuer too, and the address of "/auth/…" beside it. */
struct str smart_base(struct http_request *request);
struct str smart_url(struct http_request *request, const char *path);

/* The first pair of that name; *twice is set when it stands there again (RFC 6749 section 3.1 forbids it). */
struct str smart_parameter(const struct http_request *request, struct str name, bool *twice);

/* A record "smart-…" of a session, or of nobody yet when it is NULL. */
bool smart_audit(struct http_request *request, const struct access_session *session, const char *operation,
                 enum audit_outcome outcome, struct error *error) MUST_CHECK;

#endif
