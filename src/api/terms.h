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
    struct terminology_memo memo;
    int64_t regex_us;
};

struct terms_coding {
    struct terminology_code code;
    struct str display; /* given */
};

/* `known` are the names that the operation takes, with a blank between each two: any other is ERROR_UNSUPPORTED, unless
 * the client can do without (Prefer: handling=lenient). */
bool terms_begin(struct http_request *request, const char *known, struct terms *terms,
                 struct error *error) MUST_CHECK;

/* A parameter of the query or the body, as text; the member of one in the body. Absent: STR_NONE, NULL. */
struct str terms_asked(const struct terms *terms, const char *name);
const struct json *terms_asked_value(const struct terms *terms, const char *name, const char *member);

/* `code` with `system`, a `coding`, or the codings of a `codeableConcept`: how many. */
size_t terms_codings(const struct terms *terms, struct terms_coding *codings, size_t max);

/* A flag of the query or the body: false without. ERROR_INPUT for what is neither true nor false. */
bool terms_flag(const struct terms *terms, const char *name, bool *flag, struct error *error) MUST_CHECK;

/* The resource meant: by the id in the address, a resource in the body, or by its url and version. ERROR_INPUT when none
 * of them is given, ERROR_NOT_FOUND. */
struct terms_names {
    struct str type;
    const char *sent;    /* the parameter that a resource in the body has; may be NULL */
    const char *url;     /* that its url has */
    const char *version; /* that its version has */
};
bool terms_find(struct terms *terms, const struct terms_names *names, const struct json **resource,
                struct error *error) MUST_CHECK;

/* What a CodeSystem says of a concept (R4 4.8.10): no code to be used by itself; no longer in use. NULL: neither. */
bool terms_is_abstract(const struct json *concept);
bool terms_is_inactive(struct arena *arena, const struct json *concept);

/* The designation in a language (BCP 47: "zh" also finds "zh-CN"), of the list that a value set keeps or of the concept
 * itself; else `otherwise`. */
struct str terms_display(struct arena *arena, const struct terminology_code *code, struct str language,
                         struct str otherwise);

/* Whether a text is the display of the code or one of its designations. */
bool terms_has_display(struct arena *arena, const struct json *concept, struct str text);

/* Parameters to answer with, its parts (an absent text adds none), and the answer. */
struct json *terms_parameters(struct terms *terms);
struct json *terms_add_part(struct terms *terms, struct json *list, const char *name);
void terms_add_text(struct terms *terms, struct json *made, const char *name, const char *member,
                    struct str text);
void terms_add_flag(struct terms *terms, struct json *made, const char *name, bool value);
enum http_verdict terms_finish(struct terms *terms, bool ok, const struct json *made,
                               const struct error *error);

#endif
