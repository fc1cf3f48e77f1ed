/* error.h — errors are values: the kind decides the HTTP status and the OperationOutcome code,
 * the text is for a person. One table (error.c) maps kinds to both.
 *
 * A function that can fail returns bool (or a pointer) and takes `struct error *error` last. It writes
 * *error only when it fails and its outputs only when it succeeds. The text says what happened and
 * what to do, and never holds anything about a patient: not a name, not a value of a record.
 * Any thread; a struct error lives on the stack of the caller. */
#ifndef SHANHAI_BASE_ERROR_H
#define SHANHAI_BASE_ERROR_H

#include <assert.h>
#include <stdbool.h>

enum error_kind {
    ERROR_NONE,
    ERROR_INPUT,          /* 400 invalid: a value or a parameter is wrong */
    ERROR_STRUCTURE,      /* 400 structure: not JSON, not a resource, not DICOM */
    ERROR_UNSUPPORTED,    /* 400 not-supported: we know what is meant and do not offer it */
    ERROR_SIGN_IN,        /* 401 login */
    ERROR_FORBIDDEN,      /* 403 forbidden: the role lacks the type or the interaction */
    ERROR_NOT_FOUND,      /* 404 not-found: absent, or not to be seen */
    ERROR_METHOD,         /* 405 not-supported */
    ERROR_NOT_ACCEPTABLE, /* 406 not-supported */
    ERROR_CONFLICT,       /* 409 conflict */
    ERROR_GONE,           /* 410 deleted */
    ERROR_PRECONDITION,   /* 412 conflict: If-Match, conditional create */
    ERROR_TOO_LARGE,      /* 413 too-long */
    ERROR_MEDIA_TYPE,     /* 415 not-supported */
    ERROR_RULE,           /* 422 business-rule: well formed, but a rule of the domain refuses it */
    ERROR_TOO_COSTLY,     /* 422 too-costly: over the cost limit of an expression or a search */
    ERROR_TOO_MANY,       /* 429 throttled */
    ERROR_INTERNAL,       /* 500 exception: our fault */
    ERROR_BUSY,           /* 503 transient: try again */
    ERROR_FULL,           /* 507 no-store: the disk is full */
    ERROR_KINDS_COUNT
};

struct error {
    enum error_kind kind;
    int os_errno;      /* 0 when the kernel had no part in it */
    const char *where; /* __func__ of the first reporter */
    char text[192];    /* never holds patient data */
};
static_assert(sizeof(struct error) <= 256, "an error lives on the stack");

#define MUST_CHECK __attribute__((warn_unused_result))

/* Fills *error (which may be NULL) and returns false, so that `return FAIL(error, …)` reads well.
 * errno is kept in os_errno only by FAIL_OS. */
#define FAIL(error, kind, ...) error_set((error), (kind), 0, __func__, __VA_ARGS__)
#define FAIL_OS(error, kind, ...) error_set((error), (kind), errno, __func__, __VA_ARGS__)

bool error_set(struct error *error, enum error_kind kind, int os_errno, const char *where, const char *format,
               ...) __attribute__((format(printf, 5, 6)));

/* HTTP status of a kind, for example 404. */
int error_http_status(enum error_kind kind);

/* Code of the R4 value set issue-type for a kind, for example "not-found". */
const char *error_issue_code(enum error_kind kind);

/* Kind for an errno of a file or store operation: ENOSPC and EDQUOT become ERROR_FULL, ENOENT
 * ERROR_NOT_FOUND, all else ERROR_INTERNAL. */
enum error_kind error_kind_from_errno(int os_errno);

#endif
