/* bundle.h — inside of src/change: a batch or transaction while it is worked on. */
#ifndef SHANHAI_CHANGE_BUNDLE_H
#define SHANHAI_CHANGE_BUNDLE_H

#include "base/table.h"
#include "change/change_internal.h"

/* In the order in which they are done (R4 3.1.0.11.2): PUT and PATCH are one step, GET and HEAD too. */
enum bundle_verb {
    BUNDLE_DELETE,
    BUNDLE_POST,
    BUNDLE_PUT,
    BUNDLE_PATCH,
    BUNDLE_GET,
    BUNDLE_HEAD,
    BUNDLE_VERBS_COUNT
};

struct bundle_entry {
    struct json *entry; /* in the request */
    struct json *resource;
    const struct json *patch;
    enum bundle_verb verb;
    struct str url;
    struct str type;
    struct str id;        /* of the address, of the match, or chosen */
    bool id_is_ours;      /* chosen */
    struct str condition; /* in the address after ?, or ifNoneExist */
    struct str if_match;
    struct str if_none_match;
    bool is_operation;                  /* "Patient/1/$everything" */
    bool is_settled;                    /* needs no write: ifNoneExist had a match, nothing to delete */
    struct store_version existing;      /* ifNoneExist: the match */
    const struct bundle_entry *same_as; /* an earlier entry makes what this one asks for */
    struct error error;                 /* batch: what is wrong with this entry alone */
    struct json *response;              /* the answer's entry */
    const struct change_entry *written;
};

struct bundle_run {
    struct change *change;
    const struct change_bundle *request;
    struct arena *arena;
    struct bundle_entry *entries;
    size_t count;
    bool is_transaction;
    bool has_conditions; /* in place of ids: an attempt that loses a race is made again */
    bool lost_race;
    struct table ids; /* fullUrl → "Type/id" (struct str *) */
    struct store_condition *conditions;
    size_t conditions_count;
    struct outcome *outcome;
};

/* False with an issue that names the entry. */
bool bundle_refuse(struct bundle_run *run, const struct bundle_entry *entry, enum error_kind kind,
                   const char *text, struct error *error) MUST_CHECK;

/* Entries of the request, `bundle` being the copy to work on. */
bool bundle_read_entries(struct bundle_run *run, struct json *bundle, struct error *error) MUST_CHECK;

/* Transaction: which resource each entry means, ids for what is made, nothing meant twice. */
bool bundle_settle(struct bundle_run *run, struct error *error) MUST_CHECK;

/* References to entries and searches in place of references become Type/id (R4 3.1.0.11.2.2). */
bool bundle_rewrite(struct bundle_run *run, struct bundle_entry *entry, struct error *error) MUST_CHECK;

#endif
