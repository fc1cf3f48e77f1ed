/* terms.h — inside of src/api: one terminology operation (R4 4.7, 4.8, 4.10), over R4's own definitions and those the
 * session may read. One thread; all it makes lives in the request's arena. */
#ifndef SHANHAI_API_TERMS_H
#define SHANHAI_API_TERMS_H

#include "api/operation.h"
#include "fhir/terminology.h"

struct terms {
    struct http_request *request;
    struct arena *arena;
    struct json *body; /* Parameters, or NULL */
    struct terminology_source source;
    struct terminology_run run;
    int64_t regex_us;
};

struct terms_coding {
    struct terminology_code code;
    struct str display; /* given */
};

bool terms_begin(struct http_request *request, struct terms *terms, struct error *error) MUST_CHECK;

/* A parameter of the query or the body, as text; the member of one in the body. Absent: STR_NONE, NULL. */
struct str terms_asked(const struct terms *terms, const char *name);
const struct json *terms_asked_value(const struct terms *terms, const char *name, const char *member);

/* `code` with `system`, a `coding`, or the codings of a `codeableConcept`: how many. */
size_t terms_codings(const struct terms *terms, struct terms_coding *codings, size_t max);

/* The resource meant: by the id in the address, a resource in the body (inline_name, may be NULL), or by its url.
 * ERROR_INPUT when none of them is given, ERROR_NOT_FOUND. */
bool terms_find(struct terms *terms, struct str type, const char *inline_name, const char *url_name,
                const struct json **resource, struct error *error) MUST_CHECK;

/* Parameters to answer with, its parts (an absent text adds none), and the answer. */
struct json *terms_parameters(struct terms *terms);
struct json *terms_add_part(struct terms *terms, struct json *list, const char *name);
void terms_add_text(struct terms *terms, struct json *made, const char *name, const char *member,
                    struct str text);
void terms_add_flag(struct terms *terms, struct json *made, const char *name, bool value);
enum http_verdict terms_finish(struct terms *terms, bool ok, const struct json *made,
                               const struct error *error);

#endif
