/* access.h — who asks, and what they may see and do (docs/modules/access.md, docs/rights.md).
 *
 * A person (Practitioner) holds posts (PractitionerRole); a session acts under ONE post; a post has a
 * role at an organisation inside a tenant. the files of definitions/policies say what a role may see and do;
 * everything else is denied. An *actor* is a post with its rules made concrete: immutable, counted,
 * kept by its session. A *session* is what one request carries; it lives in the request's
 * arena and lets its actor go when the arena is reset.
 *
 * The order of questions for one request:
 *   1. session_of_cookie / session_of_token (session.h), or access_session_machine for jobs and devices
 *   2. access_check: may the role do this interaction on this type at all? else 403
 *   3. access_filter: which instances? given to the store with every read; unseen is 404
 *   4. writes only: access_may_write, with the new and the stored resource
 *   5. reads only: access_masks_type → access_mask; access_parameter_allowed for each search parameter
 *
 * Any thread may call everything here; an actor never changes after it was made. */
#ifndef SHANHAI_ACCESS_ACCESS_H
#define SHANHAI_ACCESS_ACCESS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

struct access;         /* the module, made in main.c: access_open */
struct access_actor;   /* opaque */
struct store_filter;   /* store/search.h */
struct store_reader;   /* store/read.h */
struct store_version;  /* store/read.h */
struct search_query;   /* fhir/search_query.h */
struct search_subject; /* fhir/search_query.h */

/* One file of definitions/policies. */
struct access_policy_file {
    struct str name;
    struct str text;
};

enum {
    ACCESS_ID_BYTES = 65,      /* R4 2.24.0.1: an id has at most 64 characters; and NUL */
    ACCESS_CSRF_HEX_BYTES = 33 /* 128 bits and NUL */
};

enum access_interaction {
    ACCESS_READ,    /* also vread of the current version; of an older one it is ACCESS_HISTORY */
    ACCESS_SEARCH,  /* also includes, chains, _has: each type that is passed through is asked for */
    ACCESS_HISTORY, /* of an instance, a type, the system */
    ACCESS_CREATE,
    ACCESS_UPDATE, /* PUT and PATCH */
    ACCESS_DELETE,
    ACCESS_OPERATION, /* $name: `operation` says which */
    ACCESS_INTERACTIONS_COUNT
};

/* What somebody wants to do: an interaction on a resource type. */
struct access_act {
    enum access_interaction interaction;
    struct str type;      /* resource type, for example "Task" */
    struct str operation; /* ACCESS_OPERATION: with its dollar sign, "$transition"; else absent */
};

enum access_means {
    ACCESS_BY_COOKIE,  /* a person at a screen: unsafe methods need Origin and CSRF token */
    ACCESS_BY_TOKEN,   /* a program with a bearer token */
    ACCESS_BY_MACHINE, /* the program itself: a job, a DICOM association */
    ACCESS_BY_APP      /* an app with scopes (app.h): what the post may do and they name */
};

/* One request's session. All text lives in the request's arena or in the actor. */
struct access_session {
    const struct access_actor *actor;
    enum access_means means;
    struct str person;         /* Practitioner id; absent for machines */
    struct str post;           /* PractitionerRole id; "system" or "device" for machines */
    struct str role;           /* code: "county-doctor", "consult-coordinator", … "system", "device" */
    struct str organization;   /* Organization id of the post: the custodian of what is written */
    struct str tenant;         /* its top Organization id */
    struct str language;       /* "zh" or "en" */
    struct str csrf;           /* ACCESS_BY_COOKIE: what X-CSRF-Token must hold */
    bool must_change_password; /* then only the change of password and sign-out are allowed (403 else) */
    uint64_t number;           /* stable for the session's life, not secret: for rate limits and events */
    struct str app;            /* ACCESS_BY_APP: its client_id */
    struct str scopes;         /* ACCESS_BY_APP: granted, as text */
    struct str patient;        /* ACCESS_BY_APP: id of the Patient in context, or absent */
};

/* ---- what a role may do ---- */

/* 403 with a text naming type and interaction when no rule of the role has them. */
bool access_check(const struct access_session *session, struct access_act act,
                  struct error *error) MUST_CHECK;

/* The same as a question, for /metadata and the screens. */
bool access_has(const struct access_session *session, struct access_act act);

/* Rights that are not about a resource type, for example "accounts", "audit", "figures", "dicom-send",
 * "sign" (docs/rights.md lists them). */
bool access_has_right(const struct access_session *session, const char *right);

/* access_has_right, or 403 that names the right. */
bool access_need_right(const struct access_session *session, const char *right,
                       struct error *error) MUST_CHECK;

/* Whether a policy exists for the role and people may hold it. */
bool access_role_is_for_people(const struct access *access, struct str role);

/* Whose figures a session may ask for: the tenant's own organisations and, for who has the right "reports", those that
 * it leads. `asked` (an Organization id) narrows it to that one and what is below it; absent = all of them. The ids, with
 * a blank between each two, in the arena; 403 when `asked` is none of them. Absent for a machine that belongs to no
 * organisation: it may count everything. */
bool access_figure_scope(const struct access_session *session, struct str asked, struct arena *arena,
                         struct str *organizations, struct error *error) MUST_CHECK;

/* ---- which instances ---- */

/* The predicate for an act over ALL types (a chain or an include asks for other types than act.type,
 * which may be absent here): the OR of the role's rules that have act's interaction. A type without a
 * rule matches nothing. Lives in `arena`, but points into the actor: use it while the session lives. */
bool access_filter(const struct access_session *session, struct access_act act, struct arena *arena,
                   const struct store_filter **filter, struct error *error) MUST_CHECK;

/* The top organisation (tenant) of an organisation: of two departments of one hospital it is the same. Itself when it is not
 * known here. */
bool access_tenant_of(struct access *access, struct arena *arena, struct str organization, struct str *tenant,
                      struct error *error) MUST_CHECK;

/* Ids of the organisations of the session's tenant: the hospital and what is below it. */
const struct str *access_organizations(const struct access_session *session, size_t *count);

/* ---- writing ---- */

struct access_write {
    struct access_act act;                        /* CREATE, UPDATE, DELETE, or an operation that writes */
    const struct json *resource;                  /* new content; NULL for a delete */
    const struct json *previous;                  /* stored content; NULL for a create */
    const struct store_version *previous_version; /* its row; NULL for a create */
    /* Keys "Type/id" of what the same transaction creates: references to it count as seen. May be NULL. */
    const struct table *created;
    struct store_reader *reader; /* where grants and the resources that a rule wants seen are looked up */
    int64_t now_ms;
};

/* Whether some rule of the role with this interaction and type accepts the write. One rule must fit as a
 * whole: its instance part (custodian, `when`, grants) on the stored version, its `write` constraint in
 * FHIRPath (over %resource, %previous, %practitioner, %post, %organization, %tenant, and %organizations:
 * the tenant's as references), and its `sees`: the
 * resources that these references name must be readable by the session. ERROR_NOT_FOUND when the stored
 * version is not even readable; else ERROR_FORBIDDEN with the text of the rule that came closest. Refused
 * also where the role sees elements of the type masked (design.md section 5). Workflow effects run with the
 * workflow's authority and do not ask here. */
bool access_may_write(const struct access_session *session, const struct access_write *write,
                      struct arena *arena, struct error *error) MUST_CHECK;

/* Whether what is to be written lies within an app's scopes: of one with a search or a patient the new content too,
 * not only the stored one. ERROR_FORBIDDEN. Always true for who is no app. `subject` has the rows of the new content. */
bool access_may_keep(const struct access_session *session, struct access_act act,
                     const struct search_subject *subject, struct error *error) MUST_CHECK;

/* ---- masking ---- */

/* Whether reads of this type must be parsed and masked; their ETag is then weak and of its own. */
bool access_masks_type(const struct access_session *session, struct str type);

/* Masks in place what this session may not see of `resource` (any depth: Bundles and contained too) and
 * adds the security label MASKED to meta. Fails only when memory runs out. */
bool access_mask(const struct access_session *session, struct arena *arena, struct json *resource,
                 struct error *error) MUST_CHECK;

/* 403 naming the parameter when it would search, sort or filter by a masked element (`name` of a
 * masked Patient, `_text`, `_content`). `name` is without modifier. */
bool access_parameter_allowed(const struct access_session *session, struct str type, struct str name,
                              struct error *error) MUST_CHECK;

/* The same for a whole search: its criteria, those behind chains and _has, and its order. Asked for every
 * search of a session, whatever route it comes by. */
bool access_query_allowed(const struct access_session *session, const struct search_query *query,
                          struct error *error) MUST_CHECK;

/* ---- limits on guessing ---- */

/* What somebody may try only so often, by a key like "break-glass:POST": ERROR_TOO_MANY while it has to wait, with the
 * seconds in *retry_after_s. A try that failed counts; `free` are without a wait, then it doubles (throttle.c). */
bool access_try_allowed(struct access *access, struct str key, uint32_t *retry_after_s,
                        struct error *error) MUST_CHECK;
void access_try_failed(struct access *access, struct str key, uint32_t failures_free);

/* ---- machines ---- */

/* A session of the program itself: role "system" (jobs: sees all, writes what its rules say) or
 * "device" (DICOM peer, measurement), on behalf of an organisation, which becomes the custodian. */
bool access_session_machine(struct access *access, struct arena *arena, const char *role,
                            struct str organization, struct access_session *session,
                            struct error *error) MUST_CHECK;

/* The session of a job that somebody asked for, a person or an app: the rights of that person's post as they are now,
 * within the scopes that the app had. ERROR_FORBIDDEN when the post has ended or is not the person's. */
struct access_asker {
    struct str person;
    struct str post;
    struct str app;
    struct str scopes;  /* absent: no app */
    struct str patient; /* in the app's context */
};
bool access_session_post(struct access *access, struct arena *arena, const struct access_asker *asker,
                         struct access_session *session, struct error *error) MUST_CHECK;

/* ---- grants ---- */

/* The key by which a grant names who gets it: "PractitionerRole/x" is one post; "PractitionerRole/x|kind" the
 * same post for rules that ask for grants of that kind (`grantedAs`); "Organization/x|role" is
 * everybody who holds a post of that role at that organisation or below it, now or later. 0 when the text is
 * neither. Goes into store_grant.post; sessions carry theirs in their filter. */
uint64_t access_grantee_key(struct str grantee);

/* To be called after a commit that touched Organization, OrganizationAffiliation, Practitioner or
 * PractitionerRole: actors are made anew at their next request. Cheap; any thread. */
void access_directory_changed(struct access *access);

#endif
