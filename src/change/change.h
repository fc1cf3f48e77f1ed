/* change.h — the one way to write. REST, bundles, transitions, images, jobs and imports all pass here, so that
 * rights, validation, workflow locks, index and view rows and the audit record cannot be forgotten.
 *
 * change_prepare does the work that may run on any thread at once (it reads a snapshot, never writes) and leaves
 * a store_set with preconditions; the store's writer checks those again, so what was decided on an old
 * snapshot is refused and, in the calls that wait, made again.
 *
 * Memory: everything hangs on the set's arena, which the caller keeps until `done` was called. */
#ifndef SHANHAI_CHANGE_CHANGE_H
#define SHANHAI_CHANGE_CHANGE_H

#include <stdint.h>

#include "access/access.h"
#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"
#include "store/store.h"

struct change; /* the module, made in main.c */
struct fhir_index;
struct outcome;
struct profile_source;
struct signer;
struct store_version;
struct terminology;
struct validator;
struct view_set;
struct workflow_set;

/* A later floor's word on every write of one type by people and devices (feed/: Subscription), after the resource was found
 * valid R4 and before rights are asked; may change it. A write by the program itself is not asked. */
struct change_guard {
    const char *type; /* NULL: none */
    void *data;
    bool (*allow)(void *data, struct arena *arena, const struct access_session *session,
                  struct json *resource, struct error *error);
};

struct change_options {
    struct store *store;
    struct access *access;
    struct fhir_index *index;
    const struct view_set *views; /* NULL: none */
    const struct workflow_set *workflows;
    struct signer *signer;             /* NULL: nothing can be signed */
    struct terminology *terminology;   /* value sets of bindings in profiles; NULL: the model's only */
    const struct validator *validator; /* NULL: structure only */
    bool check_references; /* what is referred to exists, and what others refer to is not deleted */
    bool validate_full;    /* invariants for every write, not only where meta.profile claims a profile */
    struct str locks;      /* text of definitions/locks.json; absent: none */
    struct change_guard guard;
    int offset_minutes; /* site.timezone */
};

/* Lives in the arena; what the options point to must outlive it. */
bool change_open(struct arena *arena, const struct change_options *options, struct change **change,
                 struct error *error) MUST_CHECK;

enum change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

struct change_entry {
    enum change_kind kind;
    struct str type;
    struct str id;         /* CREATE: absent (one is made), or already chosen for references to it */
    bool id_is_ours;       /* UPDATE: the server made the id just now (conditional update without a match) */
    struct json *resource; /* NULL for a delete; the server's members of meta are ignored */
    const struct json
        *patch;           /* UPDATE, in place of resource: a JSON Patch array or FHIRPath Patch Parameters */
    struct str condition; /* UPDATE, DELETE, in place of id: search text (R4 3.1.0.4.3, 3.1.0.7.1) */
    struct str if_match;  /* version number, absent = none (R4 3.1.0.1.5.1) */
    bool if_absent;       /* UPDATE: only when there is none (If-None-Match: *) */
    struct str custodian; /* CREATE by a workflow: "Organization/ID" whose it is; absent: the session's */
    struct str if_none_exist; /* CREATE: search text; when it has one hit that is the answer (R4 3.1.0.8.1) */

    struct { /* filled in when done */
        struct str id;
        uint64_t version;
        uint64_t seq;
        int64_t updated_ms;
        int http_status; /* 200, 201, 204 */
        struct str body; /* tail as stored (store/body.h); absent for a delete */
    } result;
};

struct change_set {
    struct arena *arena;
    const struct access_session *session;
    struct str route;     /* template, for the audit record */
    struct str operation; /* "$transition" …; absent: plain interactions */
    struct change_entry *entries;
    size_t entries_count;
    struct outcome *outcome; /* made by change_prepare: what was found wrong, with paths */
    /* Called once, in the writer thread when it came that far: error NULL = on disk. Only signal here. */
    void (*done)(struct change_set *set, const struct error *error);
    void *data;
    /* More to be written in the same commit by modules above (rights, jobs, their tables); may be NULL. */
    const struct store_grant *grants;
    size_t grants_count;
    struct store_job_new *jobs;
    size_t jobs_count;
    bool (*apply)(void *data, struct store_transaction *transaction, struct error *error);
    void *apply_data;
    const struct store_condition *conditions;
    size_t conditions_count;
    bool may_repeat;  /* change_apply: nothing in the set depends on what the caller has read before */
    bool by_workflow; /* rights were decided by the workflow; states may change */
    bool brings_ids;  /* records come from elsewhere with the ids that they have there (import) */

    size_t refused; /* 1 + place of the entry that preparing refused; 0: none, or not one alone */

    struct store_set stored; /* the module's own */
};

/* Rights, validation, workflow locks, rows. False with *error; set->outcome then has the issues (at least one).
 * A single small resource takes well under 1 ms; bundles belong on a pool thread. */
bool change_prepare(struct change *change, struct change_set *set, struct error *error) MUST_CHECK;

/* Queues a prepared set. False: `done` will not be called. When every entry turned out to need no write
 * (If-None-Exist with a hit) `done` is called at once. */
bool change_submit(struct change *change, struct change_set *set, struct error *error) MUST_CHECK;

/* Prepares, writes and waits; done need not be set. What lost a race with another writer is made again up to
 * CHANGE_ATTEMPTS times where the set says so and asks for no version (If-Match). For pool threads and jobs. */
enum { CHANGE_ATTEMPTS = 4 };
bool change_apply(struct change *change, struct change_set *set, struct error *error) MUST_CHECK;

/* Whether the setting is on: deletes then look for referrers, which is work for the pool. */
bool change_checks_references(const struct change *change);

/* Profiles for $validate, for as long as the module is open. */
const struct profile_source *change_profiles(const struct change *change);

/* ---- bundles (change_bundle.c) ---- */

/* POST /fhir with a Bundle of type batch or transaction (R4 3.1.0.11): answers the response Bundle. References
 * between entries (urn:uuid, fullUrl) become ids. A transaction is one commit or nothing; a batch answers each
 * entry by itself. GET entries are answered by `read` (api/), after the writes. For pool threads. */
struct change_bundle {
    struct arena *arena;
    const struct access_session *session;
    struct json *bundle; /* references in it are rewritten */
    bool with_resources; /* Prefer: return=representation */
    bool chinese;        /* texts of what went wrong */
    /* Answers a GET or HEAD of a batch or transaction: the response entry's resource and status. */
    bool (*read)(void *data, struct arena *arena, struct str url, struct json **resource, int *http_status,
                 struct error *error);
    void *read_data;
    /* Runs an operation of a batch (of a transaction: by GET only): what it answers, refusals too. `body` NULL: GET. */
    bool (*operate)(void *data, struct str url, const struct json *body, struct json **resource,
                    int *http_status, struct error *error);
};
bool change_bundle(struct change *change, const struct change_bundle *request, struct json **response,
                   struct outcome **outcome, struct error *error) MUST_CHECK;

/* Whether a legal hold stands on the record of the patient whom a version is about. Also inside of store_set.decide. */
bool change_is_held(const struct change *change, struct store_reader *reader, struct arena *arena,
                    const struct store_version *version, bool *held, struct error *error) MUST_CHECK;

/* ---- workflow (change_transition.c) ---- */

/* GET Task/{id}/$transitions and POST Task/{id}/$transition. `outcome` has every reason of a refusal. For pool
 * threads. */
struct change_transition {
    struct arena *arena;
    const struct access_session *session;
    struct str task_id;
    const struct json *parameters; /* POST; NULL for the list */
    struct str if_match;           /* Task version, or absent */
};
bool change_transitions(struct change *change, const struct change_transition *request,
                        struct json **parameters, struct error *error) MUST_CHECK;
bool change_take(struct change *change, const struct change_transition *request, struct json **task,
                 struct outcome **outcome, struct error *error) MUST_CHECK;

/* Takes every timed step whose time has come (change_timer.c), for the program's own chore. One that is refused is
 * logged and looked at again the next time. */
bool change_take_due(struct change *change, struct error *error) MUST_CHECK;

#endif
