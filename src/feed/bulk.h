/* bulk.h — many resources at once, as files: out (HL7 FHIR Bulk Data Access STU 2, $export), in ($import), and as rows of
 * views (SQL on FHIR v2, $viewdefinition-export). All are jobs: they go on after a crash from the last part that was safe on disk, and act with the rights of the post
 * that asked, as these are while the job runs. Their files lie in a folder of their own; whoever did not
 * ask is told that there is no such job. A day after a job was asked for its files are removed.
 *
 * Any thread; begin, status, cancel and file may block on the disk. */
#ifndef SHANHAI_FEED_BULK_H
#define SHANHAI_FEED_BULK_H

#include "access/access.h"
#include "base/uuid.h"
#include "feed/feed.h"

struct bulk;
struct change;

struct bulk_options {
    struct store *store;
    struct access *access;
    struct change *change;
    const char *folder; /* made when absent */
    int offset_minutes; /* site.timezone */
    /* The text of a version as the session may see it, cut to `elements` when there are any (api/). */
    bool (*text)(const struct access_session *session, struct arena *arena,
                 const struct store_version *version, const struct str *elements, size_t elements_count,
                 struct str *text, struct error *error);
};

/* Lives in the arena, which must outlive the feed. */
bool bulk_open(struct arena *arena, const struct bulk_options *options, struct bulk **bulk,
               struct error *error) MUST_CHECK;

/* The program ends: running jobs stop at the next good place, to go on after the next start. Any thread. */
void bulk_stop(struct bulk *bulk);

enum { BULK_JOB_KINDS = 3 };
void bulk_job_kinds(struct bulk *bulk, struct job_kind kinds[BULK_JOB_KINDS]);
struct feed_chore bulk_chore(struct bulk *bulk);

/* ---- out ---- */

struct bulk_export {
    struct str url;      /* as it was asked, for the manifest */
    struct str group;    /* only the records of this Group's patients; absent: all */
    bool patients;       /* only types of the Patient compartment */
    struct str types;    /* _type, a comma list; absent: every type that the session may search */
    struct str since;    /* _since, an instant; absent: from the beginning */
    struct str elements; /* _elements, a comma list; absent: whole */
    struct str
        typefilter; /* _typeFilter: "Observation?status=final,Condition?…"; several of a type: any of them */
};

/* Queues the job. ERROR_INPUT names what is wrong with the request. */
bool bulk_export_begin(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                       const struct bulk_export *request, uint64_t *id, struct error *error) MUST_CHECK;

/* ---- in ---- */

/* A file for the body of an import, which the caller fills; bulk_import_begin takes it over and queues the job, else
 * bulk_import_drop removes it. */
struct bulk_upload {
    struct bulk *bulk;
    int fd;
    char folder[UUID_TEXT_BYTES];
};
bool bulk_import_open(struct bulk *bulk, struct bulk_upload *upload, struct error *error) MUST_CHECK;
bool bulk_import_begin(struct bulk_upload *upload, const struct access_session *session, struct arena *arena,
                       uint64_t *id, struct error *error) MUST_CHECK;
void bulk_import_drop(struct bulk_upload *upload);

/* ---- rows of views ---- */

struct bulk_views {
    struct str url;           /* as it was asked */
    const struct json *views; /* [{"name", "resource": a ViewDefinition}] */
    struct str format;        /* json, ndjson, csv; absent: json */
    bool header;              /* of CSV */
    const struct json
        *patients;       /* ids of those whose records are wanted, each once; empty or NULL: everybody's */
    struct str since;    /* absent: from the beginning */
    struct str tracking; /* the client's own name for it */
};
bool bulk_views_begin(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                      const struct bulk_views *request, uint64_t *id, struct error *error) MUST_CHECK;

/* ---- asking ---- */

enum bulk_kind { BULK_KIND_EXPORT, BULK_KIND_IMPORT, BULK_KIND_VIEWS };

struct bulk_status {
    enum bulk_kind kind;
    enum store_job_state state;
    unsigned progress; /* per mille */
    struct str reason; /* FAILED: a text for a person */
    /* DONE: export {"transactionTime","request","files":[{"type","name","count"}]},
     * import {"stored","rejected"}, views {"start","end","files":[{"view","name","count"}]} */
    const struct json *result;
    const struct json *input; /* as it was queued: {"url", "time", "format", "tracking" …} */
    int64_t ends_ms;          /* its files are removed then */
};
bool bulk_ask(struct bulk *bulk, const struct access_session *session, struct arena *arena, uint64_t id,
              struct bulk_status *status, struct error *error) MUST_CHECK; /* ERROR_NOT_FOUND */

/* A finished part, opened for reading; the caller closes it. */
struct bulk_file {
    uint64_t id;
    struct str name;
    int fd;
    uint64_t len;
    const char *type; /* of its content */
};
bool bulk_file_open(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                    struct bulk_file *file, struct error *error) MUST_CHECK;

/* An administrator ends a job that is not his: its folder is told. */
bool bulk_cancel_job(struct bulk *bulk, struct arena *arena, const struct store_job *job,
                     struct error *error) MUST_CHECK;

/* Ends a running job and removes its files. */
bool bulk_cancel(struct bulk *bulk, const struct access_session *session, struct arena *arena, uint64_t id,
                 struct error *error) MUST_CHECK;

#endif
