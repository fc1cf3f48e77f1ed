/* scope.h — SMART App Launch 2.2 scopes ("Scopes and Launch Context"): what an app asks for, as data. A clinical
 * scope is patient|user|system / Type or * . a subset of "cruds" in that order, and optionally ?search. They never
 * add to what a post may do: actor.c crosses each of them with each rule of the post's role.
 *
 * What is not understood is no scope: it stands in `ignored`, is not granted and not told back. Texts point into
 * the text given. Any thread. */
#ifndef SHANHAI_ACCESS_SCOPE_H
#define SHANHAI_ACCESS_SCOPE_H

#include "access/access.h"

enum {
    SCOPE_BYTES_MAX = 2000, /* a whole list */
    SCOPES_MAX = 40
};

/* The letters of the standard. */
enum scope_act {
    SCOPE_CREATE = 1,
    SCOPE_READ = 2,
    SCOPE_UPDATE = 4,
    SCOPE_DELETE = 8,
    SCOPE_SEARCH = 16,
    SCOPE_EVERYTHING = 31
};

enum scope_context { SCOPE_PATIENT, SCOPE_USER, SCOPE_SYSTEM };

struct scope {
    enum scope_context context;
    struct str type;  /* a resource type, or "*" */
    unsigned acts;    /* enum scope_act */
    struct str query; /* behind the question mark; absent without */
    struct str text;  /* as it was asked */
};

struct scope_list {
    struct scope *scopes;
    size_t count;
    struct str *ignored;
    size_t ignored_count;
    bool openid;
    bool fhir_user;
    bool offline; /* offline_access */
    bool online;  /* online_access: refreshed as long as the person is signed in */
    bool launch;
    bool launch_patient; /* also when a patient/ scope is there: it needs one */
    bool launch_encounter;
};

/* ERROR_RULE when the list is too long. */
bool scope_list_read(struct arena *arena, struct str text, struct scope_list *list,
                     struct error *error) MUST_CHECK;

/* The list in words again: what is understood, in order; of clinical scopes those with kept[i]. */
struct str scope_list_text(struct arena *arena, const struct scope_list *list, const bool *kept);

/* Whether the scope has all of `acts` on the type; with `whole` only when neither a patient nor a search narrows it. */
bool scope_covers(const struct scope *scope, struct str type, unsigned acts, bool whole);

/* The bits that an interaction needs; 0 for an operation (scope_list_has_operation). History shows old versions of one
 * record and what a search would find: it needs both letters. */
unsigned scope_acts_of(enum access_interaction interaction);

/* Whether an operation on a type is within the scopes; an operation nobody has thought of is not. */
bool scope_list_has_operation(const struct scope_list *list, struct str operation, struct str type);

/* Whether a right that is no resource (docs/rights.md) is within the scopes. */
bool scope_list_has_right(const struct scope_list *list, struct str right);

#endif
