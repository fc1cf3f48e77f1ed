/* audit_read.h — the reading side of the audit log: verifying the chain (`shanhai check`) and listing
 * records as AuditEvent for the administrator and auditors. Reads files only; any thread, also while the
 * log is written. */
#ifndef SHANHAI_ACCESS_AUDIT_READ_H
#define SHANHAI_ACCESS_AUDIT_READ_H

#include "access/audit.h"
#include "access/audit_format.h"

enum { AUDIT_PATH_BYTES = 4096 };

struct audit_verdict {
    uint64_t files;
    uint64_t records;
    uint64_t seals;
    uint64_t unsealed; /* records at the end that wait for their seal: right while the server runs */
    bool intact;
    char finding[192]; /* when not: the first broken record, by file and number */
};

/* Walks every file of FOLDER/audit and computes every seal. False only when reading itself failed. */
bool audit_verify(const char *folder, struct audit_verdict *verdict, struct error *error) MUST_CHECK;

/* What to list; absent texts and zeros do not filter. */
struct audit_query {
    int64_t from_ms;  /* inclusive */
    int64_t until_ms; /* exclusive; 0 is open */
    struct str person;
    struct str type;
    struct str id;
    struct str patient;
    const struct str *organizations; /* only what these did (ids), and what nobody signed in did; NULL: all */
    size_t organizations_count;
    size_t count;      /* of a page; 0 takes 50, at most 1000 */
    struct str cursor; /* of the page before */
};

/* A searchset Bundle of AuditEvent, newest first; *cursor is for the next page, absent on the last. Equal
 * records of one minute are shown as they lie in the log: the first, and one with the count of the rest. */
bool audit_list(const char *folder, struct arena *arena, const struct audit_query *query,
                struct json **bundle, struct str *cursor, struct error *error) MUST_CHECK;

/* One record as AuditEvent (R4), with `id` as its id. NULL when the arena is used up. */
struct json *audit_event_json(struct arena *arena, const struct audit_record *record, struct str id);

/* What of the log belongs to a copy of the store that knows commit groups up to `group`: its files from the first on, each
 * with the bytes up to its last fitting seal. */
struct audit_part {
    char path[AUDIT_PATH_BYTES];
    uint64_t bytes;
};
bool audit_backup_parts(struct arena *arena, const char *data_folder, uint64_t group,
                        struct audit_part **parts, size_t *count, struct error *error) MUST_CHECK;

/* ---- for audit.c ---- */

/* Path of file `number` in the log's own folder; false when it does not fit. */
bool audit_file_path(const char *log_folder, uint64_t number, char out[AUDIT_PATH_BYTES]) MUST_CHECK;

/* The highest number in the folder, 0 when there is none. */
bool audit_last_file(const char *log_folder, uint64_t *number, struct error *error) MUST_CHECK;

struct audit_tail {
    struct audit_seal seal; /* the last one, or the header's */
    size_t sealed;          /* offset behind it */
    size_t good;            /* offset behind the last whole record */
    uint32_t records;       /* between the two */
    bool damaged;           /* what comes behind `good` was sealed once */
};
bool audit_tail_find(struct str file, struct audit_tail *tail, struct error *error) MUST_CHECK;

#endif
