#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    int http_status;
    const char *issue_code;
} kinds[ERROR_KINDS_COUNT] = {
    [ERROR_NONE] = { 200, "informational" },
    [ERROR_INPUT] = { 400, "invalid" },
    [ERROR_STRUCTURE] = { 400, "structure" },
    [ERROR_UNSUPPORTED] = { 400, "not-supported" },
    [ERROR_SIGN_IN] = { 401, "login" },
    [ERROR_FORBIDDEN] = { 403, "forbidden" },
    [ERROR_NOT_FOUND] = { 404, "not-found" },
    [ERROR_METHOD] = { 405, "not-supported" },
    [ERROR_NOT_ACCEPTABLE] = { 406, "not-supported" },
    [ERROR_CONFLICT] = { 409, "conflict" },
    [ERROR_GONE] = { 410, "deleted" },
    [ERROR_PRECONDITION] = { 412, "conflict" },
    [ERROR_TOO_LARGE] = { 413, "too-long" },
    [ERROR_MEDIA_TYPE] = { 415, "not-supported" },
    [ERROR_RULE] = { 422, "business-rule" },
    [ERROR_TOO_COSTLY] = { 422, "too-costly" },
    [ERROR_TOO_MANY] = { 429, "throttled" },
    [ERROR_INTERNAL] = { 500, "exception" },
    [ERROR_BUSY] = { 503, "transient" },
    [ERROR_FULL] = { 507, "no-store" },
};

bool error_set(struct error *error, enum error_kind kind, int os_errno, const char *where, const char *format,
               ...)
{
    if (error == NULL) {
        return false;
    }
    error->kind = kind;
    error->os_errno = os_errno;
    error->where = where;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

int error_http_status(enum error_kind kind)
{
    assert(kind < ERROR_KINDS_COUNT);
    return kinds[kind].http_status;
}

const char *error_issue_code(enum error_kind kind)
{
    assert(kind < ERROR_KINDS_COUNT);
    return kinds[kind].issue_code;
}

enum error_kind error_kind_from_errno(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
        return ERROR_FULL;
    case ENOENT:
        return ERROR_NOT_FOUND;
    default:
        return ERROR_INTERNAL;
    }
}
