/* store.h — the one folder of data: opening it, and the one way to write into it.
 *
 * All content is versions of resources in one gapless sequence (`seq`, which is also the feed). A *set*
 * (struct store_set) is what one request wants to write: it is applied whole or not at all. One writer thread
 * takes the waiting sets in order, checks each against what the earlier ones wrote, applies them in one
 * transaction, syncs once, and only then calls their `done`. A refused set harms no other.
 *
 * Resources are known by a 64-bit key of "Type/id" (hash_resource_key): organisations, posts, patients in
 * grants and index rows are such keys too. Bodies are kept as *tails* (store/body.h).
 *
 * Who owns what: the caller owns a set and all that it points to until `done` was called. `struct store` may be
 * used by any thread. `decide`, `apply` and `done` run in the writer thread: they are short, do not block, and
 * never call store_write_and_wait. Reading: store/read.h; search and rights: store/search.h; tables of other
 * modules: store/rows.h; jobs: store/jobs.h; views: store/views.h. */
#ifndef SHANHAI_STORE_STORE_H
#define SHANHAI_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct store;             /* an open store */
struct store_reader;      /* a snapshot: store/read.h */
struct store_transaction; /* the writer's transaction, as `apply` sees it: store/rows.h */
struct store_table;       /* a table of another module: store/rows.h */
struct store_view_rows;   /* rows of one view for one resource: store/views.h */
struct index_rows;        /* the rows by which a version is found: fhir/index.h */

/* ---- writing ---- */

enum store_method { STORE_METHOD_CREATED = 1, STORE_METHOD_UPDATED = 2, STORE_METHOD_DELETED = 3 };

enum store_expect {
    STORE_EXPECT_ANY,     /* whatever is there */
    STORE_EXPECT_ABSENT,  /* no current version (never was, or deleted); else ERROR_PRECONDITION (412) */
    STORE_EXPECT_VERSION, /* the current version is `version` (If-Match); else ERROR_PRECONDITION (412) */
};

/* One new version. CREATED of an id that has a current version is ERROR_CONFLICT whatever `expect` says;
 * UPDATED of an absent or deleted one creates it (result.method tells); DELETED of an absent one does nothing and
 * succeeds (result.seq is 0). A resource may be in a set once. */
struct store_write {
    struct str type;
    struct str id; /* [A-Za-z0-9.-]{1,64}; new ones by uuid_v7 */
    enum store_method method;
    enum store_expect expect;
    uint64_t version;               /* for STORE_EXPECT_VERSION */
    struct str body;                /* tail (store/body.h), plain; absent for DELETED */
    uint64_t custodian;             /* key of the Organization; kept from the version before when 0 */
    uint64_t author;                /* key of the PractitionerRole (post) that writes; 0 for the system */
    const struct index_rows *index; /* rows to search by; NULL for DELETED */
    const struct store_view_rows *view_rows; /* one entry a view of this type */
    size_t view_rows_count;

    struct { /* written by the store before `done` */
        uint64_t version;
        uint64_t seq;
        int64_t updated_ms;
        enum store_method method;
    } result;
    struct str packed;      /* the store's own: the compressed body (store_set_prepare) */
    struct str packed_rows; /* and its rows by version */
};

/* A condition on a resource that the set does not write, or that the set's entries share. */
struct store_condition {
    enum { STORE_CONDITION_VERSION, STORE_CONDITION_ABSENT, STORE_CONDITION_QUERY } kind;
    struct str type;
    struct str id;    /* VERSION, ABSENT; QUERY: the only hit that is allowed, absent = none is allowed */
    uint64_t version; /* VERSION */
    const struct search_query *query;  /* QUERY: "this query has none, or exactly this hit" (R4 3.1.0.8.1) */
    const struct store_filter *filter; /* QUERY: whose hits count; NULL = everything there is */
};

/* Opens or ends what `post` may see of `resource` (a resource, or a patient whose record it opens). `basis` is
 * the resource by whose existence it is granted (a consult's Task …): its end ends all its grants at once. */
struct store_grant {
    enum {
        STORE_GRANT_ADD,
        STORE_GRANT_END,
        STORE_GRANT_END_BASIS
    } kind; /* END: this one; END_BASIS: all of it */
    uint64_t resource;
    uint64_t post;
    uint64_t basis;
    int64_t from_ms;  /* ADD; 0 = the time of the commit */
    int64_t until_ms; /* ADD; 0 = open end. END and END_BASIS set it to the time of the commit */
};

/* A job to be queued in the same commit (store/jobs.h). */
struct store_job_new {
    struct str kind;
    struct str subject; /* what it is about, for example "ImagingStudy/123"; may be absent */
    struct str input;   /* the kind's own, for example JSON */
    int64_t run_after_ms;
    struct str unique; /* when given: not queued when one with this text is queued or running */
    uint64_t id;       /* written by the store */
};

/* Index and view rows for a version that is stored already (re-index, a view added later). Left out silently
 * when `seq` is no longer current: the newer version brought its own. */
struct store_refill {
    uint64_t seq;
    const struct index_rows *index; /* NULL: none */
    const struct store_view_rows *view_rows;
    size_t view_rows_count;
};

struct store_set {
    struct arena *arena; /* for what store_set_prepare makes */
    struct store_write *writes;
    size_t writes_count; /* at most LIMIT_BUNDLE_ENTRIES */
    const struct store_condition *conditions;
    size_t conditions_count;
    const struct store_grant *grants;
    size_t grants_count;
    struct store_job_new *jobs;
    size_t jobs_count;
    const struct store_refill *refills;
    size_t refills_count;
    /* The epoch of the definitions under which the set was made; when the store's is newer the set is refused
     * with ERROR_BUSY and the caller makes it again. 0 = does not depend on definitions. */
    uint64_t definitions_epoch;
    /* In the writer thread when the set's turn has come, before its preconditions are looked at. Reads nothing of the store:
     * for what other modules keep in memory. False refuses the set. May be NULL. */
    bool (*turn)(void *data, struct error *error);
    /* A rule that looks beyond the set (stock >= 0; one bed one person). Sees all earlier sets of the group.
     * Returns false with an error (mostly ERROR_RULE or ERROR_CONFLICT) to refuse the set. May be NULL. */
    bool (*decide)(void *data, struct store_reader *inside, struct error *error);
    /* Changes the tables of other modules (store/rows.h) in the same transaction. False refuses the set and undoes
     * what it did. May be NULL. */
    bool (*apply)(void *data, struct store_transaction *transaction, struct error *error);
    /* Called once in the writer thread: error NULL = the set is on disk and the results are filled in; else
     * nothing of it is stored. Must not be NULL with store_submit. */
    void (*done)(struct store_set *set, const struct error *error);
    void *data;              /* handed to decide and apply; for done: set->data */
    struct str audit_record; /* opaque; goes to the sink, see below. Absent = none */
    bool repair;             /* frees room (erase, sweep): may use the reserve when the disk is full */

    uint64_t seq_last; /* written by the store: the last sequence number of the commit */
    /* The store's own. */
    struct store_set *next;
    struct store_waiter *waiter;
    bool prepared;
};

/* Compresses the bodies into set->arena and checks shape and limits; on the caller's thread, so that the writer
 * need not. store_submit and store_write_and_wait call it when it was not called before. */
bool store_set_prepare(struct store *store, struct store_set *set, struct error *error) MUST_CHECK;

/* Queues a set. False (ERROR_BUSY: the queue is full; ERROR_INPUT …) means `done` will not be called. */
bool store_submit(struct store *store, struct store_set *set, struct error *error) MUST_CHECK;

/* The same, and waits until it is on disk or refused; set->done is called when given, with `data`. */
bool store_write_and_wait(struct store *store, struct store_set *set, struct error *error) MUST_CHECK;

/* ---- the audit log's side (filled by access/) ---- */

/* A write's audit record is stored in its transaction (an outbox row a group), handed to `append` after the
 * commit and before any `done`, and removed from the outbox once `groups_durable` says that the log has it on disk.
 * After a crash store_open hands over again what is left. So the record of an acknowledged write is never lost and
 * costs no second sync. */
struct store_audit_sink {
    void *data;
    /* `group` grows by any step; a group at or below the last one appended is ignored by the sink. */
    bool (*append)(void *data, uint64_t group, const struct str *records, size_t records_count,
                   struct error *error);
    uint64_t (*groups_durable)(void *data); /* the last group that survives a power cut */
};

/* ---- opening ---- */

struct store_options {
    const char *folder; /* made when absent (mode 0700) */
    /* "postgresql://…": resources and tables lie in this database; blobs, audit log, keys and all else stay in the folder.
     * It is written to FOLDER/store.url, so that it need not be said again. NULL: what that file says, else FOLDER/store.db. */
    const char *database;
    unsigned
        partitions; /* of a new PostgreSQL store: tables of resources distributed by hash over so many; 0: not */
    /* Called in the writer thread when this process must write no more: another server has taken over, or a commit's end could
     * not be found out. May be NULL. */
    void (*lost)(void *data, const char *text);
    void *lost_data;
    const struct store_table *const *tables; /* of other modules: made or migrated at open */
    size_t tables_count;
    const struct store_audit_sink *audit; /* may be NULL: records are then refused */
    size_t readers_max;                   /* snapshots at a time; 0 = LIMIT_STORE_READERS */
    /* Index rows that wait in memory before they are merged into the main index; 0 = LIMIT_STORE_WAITING_ROWS. Tests
     * have few wait, to see them merged. */
    size_t waiting_rows_max;
    bool read_only;          /* for check and export beside nothing else: no writer thread */
    int64_t (*now_ms)(void); /* NULL = clock_now_ms */
    bool accept_lost;        /* go on although the audit log knows commits that the store has lost */
    /* The index rows of a stored version, for store_check, sorting and checking few candidates without an index
     * (fhir/ through main.c): `resource` is the whole resource's text. May be NULL. */
    bool (*index_rows)(void *data, struct arena *arena, struct str type, struct str resource,
                       struct index_rows *index, struct error *error);
    void *index_rows_data;
};

/* Opens or makes the store, migrates it forward, starts the writer. Fails with a clear text when the store is of a
 * newer version, when another process has it open, or when a file is damaged. */
bool store_open(const struct store_options *options, struct store **store, struct error *error) MUST_CHECK;

/* Lets the queued sets end, stops the writer, truncates the write-ahead log. All readers must have ended. */
void store_close(struct store *store);

/* ---- state of the whole ---- */

/* Folder of blobs (pack files of images): "FOLDER/blobs", made at open; what lies in it is dicom's. */
const char *store_blob_folder(const struct store *store);

/* The last committed sequence number, and the epoch of the definitions in force. */
uint64_t store_seq(const struct store *store);
uint64_t store_definitions_epoch(const struct store *store);

/* Raises the epoch by one (definitions changed): sets made under the old one are refused from now on. */
bool store_raise_definitions_epoch(struct store *store, uint64_t *epoch, struct error *error) MUST_CHECK;

/* Waits until store_seq() > after_seq or the time is over; gives the sequence number then. */
uint64_t store_wait(struct store *store, uint64_t after_seq, int64_t timeout_ms);

/* Has `wake(data, seq_last)` called in the writer thread after each commit (at most 16 of them; never taken back
 * before the store is closed). For live events and workers: only signal, do not work there. */
bool store_on_commit(struct store *store, void (*wake)(void *data, uint64_t seq_last), void *data,
                     struct error *error) MUST_CHECK;

/* Small settings of other modules, by area and name ("access", "demo"). Setting writes and waits. */
bool store_setting_get(struct store *store, struct arena *arena, struct str area, struct str name,
                       struct str *value, struct error *error) MUST_CHECK; /* absent: STR_NONE, true */
bool store_setting_set(struct store *store, struct str area, struct str name, struct str value,
                       struct error *error) MUST_CHECK;

enum { STORE_GROUP_BUCKETS = 9 };
struct store_counts {
    uint64_t seq;
    uint64_t groups; /* commits since the start */
    uint64_t sets;   /* applied since the start */
    uint64_t sets_refused;
    uint64_t queue_sets;   /* waiting now */
    uint64_t group_us_max; /* the longest group: transaction and sync */
    uint64_t group_us[STORE_GROUP_BUCKETS +
                      1]; /* groups by duration: up to store_group_bucket_us[i]; the rest last */
    uint64_t group_us_sum;
    uint64_t sync_us_sum;    /* of it in the commit itself, which waits for the disk */
    uint64_t group_sets_max; /* of one group */
    uint64_t rows_waiting;   /* index rows in runs */
    uint64_t readers_out;    /* snapshots in use now */
    uint64_t readers_max;
    uint64_t database_bytes; /* tables and indexes, where it is a PostgreSQL server's */
    bool database_up;        /* it answered just now */
};
extern const uint64_t store_group_bucket_us[STORE_GROUP_BUCKETS];
void store_counts(struct store *store, struct store_counts *counts);

/* A consistent copy of the database while writing goes on, into a file that must not exist. */
bool store_backup(struct store *store, const char *path, struct error *error) MUST_CHECK;

/* The same of a PostgreSQL database, by pg_dump, with the numbers that hold in the copy; and back, into an empty database. */
bool store_dump(struct store *store, const char *path, uint64_t *seq, uint64_t *audit_group,
                struct error *error) MUST_CHECK;
bool store_undump(const char *url, const char *path, struct error *error) MUST_CHECK;
/* Whether the store is such a database. */
bool store_is_remote(const struct store *store);

/* The last commit group whose audit records the store knows (as struct store_audit_sink counts them). */
bool store_audit_group(struct store *store, uint64_t *group, struct error *error) MUST_CHECK;

/* Integrity: the database's own check, gapless sequence, one current version a resource, the chain of versions,
 * every body readable, and the index rows of a sample of `sample_count` computed again and compared. Each finding
 * is one line to `finding`. False only when checking itself failed. */
struct store_check_report {
    void (*finding)(void *data, const char *text);
    void *data;
    size_t sample_count;
    /* All current versions have their rows computed again, and the index must hold these and no others for them, each
     * once: minutes for a million resources. */
    bool whole_index;
    /* With whole_index: told after each some hundred versions how many of how many were looked at; may be NULL. */
    void (*progress)(void *data, uint64_t done, uint64_t all);
    uint64_t versions_count;
    uint64_t resources_count;
    uint64_t findings_count;
};
bool store_check(struct store *store, struct store_check_report *report, struct error *error) MUST_CHECK;

#endif
