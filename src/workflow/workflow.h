/* workflow.h — state machines read from the files of definitions/workflows (docs/modules/workflow.md).
 *
 * A machine's state stands in a Task (businessStatus). This module says what an actor may do now, and
 * turns a transition into a *plan*: resources made or changed and rights opened or ended. It writes
 * nothing; change/ commits the plan in one transaction with the versions that were read as preconditions.
 * All rules are FHIRPath in the file; C knows only the kinds of effect.
 *
 * A loaded set never changes and may be used by many threads; a run lives in its request's arena. */
#ifndef SHANHAI_WORKFLOW_WORKFLOW_H
#define SHANHAI_WORKFLOW_WORKFLOW_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/table.h"
#include "json/json.h"

struct workflow_machine;

struct workflow_set {
    struct arena *arena;   /* keeps the definitions and their compiled expressions */
    struct table machines; /* code → struct workflow_machine */
};

/* Adds a machine from the text of its file (kept by the caller's arena in *set). Refuses an unknown state,
 * an unknown effect, an expression that does not compile: ERROR_STRUCTURE naming the place. */
bool workflow_load(struct workflow_set *set, struct str text, struct error *error) MUST_CHECK;

/* The times that the rules give, for screens that tell them: machine → {"after": {step: "PT10M"}, "limits": {name: "15 minutes"}};
 * a limit is an entry of `context` whose value is a time and nothing else. NULL without memory. */
struct json *workflow_times(const struct workflow_set *set, struct arena *arena);

/* The machine that a Task belongs to (Task.code in urn:shanhai:codes:workflow), or NULL. */
const struct workflow_machine *workflow_of_task(const struct workflow_set *set, const struct json *task);

/* Code of Task.businessStatus, STR_NONE without. */
struct str workflow_state_of(const struct json *task);

/* A Task with a machine must be made in its first state, by a role that may: 422 or 403 otherwise. */
bool workflow_check_new(const struct workflow_machine *machine, const struct json *task, struct str role,
                        struct error *error) MUST_CHECK;

/* PUT and PATCH may not touch what the machine owns (status, businessStatus, code, focus, for,
 * requester, owner, encounter, output): 422. */
bool workflow_check_update(const struct workflow_machine *machine, const struct json *previous,
                           const struct json *task, struct error *error) MUST_CHECK;

struct workflow_signature {
    struct str data;        /* base64 */
    struct str format;      /* for Signature.sigFormat */
    struct str certificate; /* number of the certificate or key */
};

struct workflow_list {
    struct json **items;
    size_t count;
};

/* "Type?a=b". With `kept` only what these organisations ("Organization/x"), or those below them, keep. */
struct workflow_query {
    struct str text;
    bool kept;
    const struct str *keepers;
    size_t keepers_count;
};

/* What a run asks of the floors above. Reads and searches have the workflow's authority. Trees are fresh
 * (the run changes them), with id and meta. */
struct workflow_host {
    void *data;
    /* *resource stays NULL when there is none. */
    bool (*read)(void *data, struct arena *arena, struct str reference, struct json **resource,
                 struct error *error);
    bool (*search)(void *data, struct arena *arena, const struct workflow_query *query,
                   struct workflow_list *hits, struct error *error);
    /* Principals that a resource is opened to now (see workflow_grant.principal). */
    bool (*principals)(void *data, struct arena *arena, struct str reference, struct str **list,
                       size_t *count, struct error *error);
    /* Checks the actor's password, once before anything is signed. */
    bool (*confirm)(void *data, struct str password, struct error *error);
    /* Rows of a statement over views, as a JSON array of objects; the statement may name :focus (its id) and
     * :now. NULL: nothing is suggested. */
    bool (*suggest)(void *data, struct arena *arena, struct str sql, struct str focus_id, struct json **rows,
                    struct error *error);
    bool (*sign)(void *data, struct arena *arena, struct str canonical, struct workflow_signature *signature,
                 struct error *error);
};

struct workflow_actor {
    struct str role;         /* code, "system" for the program itself */
    struct str post;         /* "PractitionerRole/ID" */
    struct str organization; /* "Organization/ID" */
    struct str person;       /* "Practitioner/ID" */
};

struct workflow_request {
    const struct workflow_machine *machine;
    const struct workflow_host *host;
    const struct workflow_actor *actor;
    struct json *task;             /* fresh tree with id and meta */
    const struct json *parameters; /* of $transition: a Parameters resource; NULL for a list */
    int64_t now_ms;
    int offset_minutes;
};

/* Why not: every message at once. */
struct workflow_message {
    struct workflow_message *next;
    struct str zh;
    struct str en;
};

struct workflow_refusal {
    enum error_kind kind; /* ERROR_FORBIDDEN (not this person) or ERROR_RULE (gaps) */
    struct workflow_message *first;
};

struct workflow_write {
    struct workflow_write *next;
    struct json *resource; /* with its id */
    struct str type;
    struct str id;
    struct str version;   /* that was read; STR_NONE: the resource is made */
    struct str custodian; /* "Organization/ID" whose the made resource is; STR_NONE: the actor's */
    bool changed;         /* false: only read, its version is a precondition */
};

struct workflow_grant {
    struct workflow_grant *next;
    struct str reference; /* "Type/id" */
    struct str principal; /* a post "PractitionerRole/ID", or a role at a place "Organization/ID|role" */
    bool lasting;         /* stays when the basis ends: the archive copy */
    int64_t until_ms;     /* ends by itself then; 0 = open end */
};

struct workflow_revoke {
    struct workflow_revoke *next;
    struct str principal; /* STR_NONE: all grants of this basis that are not lasting */
};

struct workflow_plan {
    struct workflow_write *writes;   /* first made, first in the list */
    struct workflow_revoke *revokes; /* before the grants */
    struct workflow_grant *grants;
    struct str transition;
    struct json *task;
};

/* Parameters for GET $transitions (docs/modules/consult.md section 3). */
bool workflow_transitions(const struct workflow_request *request, struct arena *arena,
                          struct json **parameters, struct error *error) MUST_CHECK;

/* Takes the transition named in request->parameters. False with *error for what is wrong with the request
 * or the rules; true with refusal->first set when a person or a guard is refused; else the plan is whole. */
bool workflow_take(const struct workflow_request *request, struct arena *arena, struct workflow_plan *plan,
                   struct workflow_refusal *refusal, struct error *error) MUST_CHECK;

/* The step that the program itself takes in this Task, and when ("…T…+08:00"), as written into it when its state
 * began; STR_NONE without one. */
struct str workflow_timer(struct arena *arena, const struct json *task, struct str *due);

#endif
