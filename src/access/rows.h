/* rows.h — where accounts, sessions, tokens and keys are kept: small rows (kind, key, value) in the
 * store's file, written by its one writer thread. Access keeps all of them in memory and writes through;
 * nothing of a domain uses these rows and no FHIR route shows them.
 *
 * rows_store.c joins this to the store; tests use a table in memory. */
#ifndef SHANHAI_ACCESS_ROWS_H
#define SHANHAI_ACCESS_ROWS_H

#include "base/error.h"
#include "base/str.h"

/* Numbers are part of the store's format. */
enum rows_kind {
    ROWS_ACCOUNT = 1,
    ROWS_SESSION = 2,
    ROWS_TOKEN = 3,
    ROWS_KEY = 4,        /* "id-token": the server's own key */
    ROWS_APP = 5,        /* registered apps, by client_id */
    ROWS_GRANT = 6,      /* what a person allows an app for longer, with its current refresh token's hash */
    ROWS_ASSERTION = 7,  /* assertions that were used and have not expired yet */
    ROWS_AUDIT_MARK = 8, /* "last": the audit log's last seal; "cut-…": one that was found missing */
};

struct rows_change {
    enum rows_kind kind;
    struct str key;
    struct str value; /* JSON text; STR_NONE removes the row */
};

struct access_rows {
    void *context;
    /* Gives every row of a kind to `row`; stops and fails when that fails. */
    bool (*each)(void *context, enum rows_kind kind,
                 bool (*row)(void *data, struct str key, struct str value, struct error *error), void *data,
                 struct error *error);
    /* All changes in one transaction, on disk when it returns true. */
    bool (*write)(void *context, const struct rows_change *changes, size_t count, struct error *error);
};

#endif
