/* change_internal.h — what the files of this folder share. */
#ifndef SHANHAI_CHANGE_INTERNAL_H
#define SHANHAI_CHANGE_INTERNAL_H

#include <stdatomic.h>

#include "base/table.h"
#include "change/change.h"
#include "fhir/outcome.h"
#include "fhir/profile.h"
#include "fhirpath/fhirpath.h"
#include "store/read.h"

struct change_lock {
    struct str type;
    const struct fhirpath *when;
    struct str zh;
    struct str en;
    const struct fhirpath *zh_path; /* a message that begins with '=': FHIRPath that gives the text */
    const struct fhirpath *en_path;
    bool asks_hold; /* names %hold: the legal holds of the patient, searched for only then */
};

struct change {
    struct change_options options;
    struct change_lock *locks;
    size_t locks_count;
    struct profile_source profiles; /* R4's and uploaded ones; filled in at open */
    /* Sets that place or lift a legal hold: whose turn in the writer has come, and which are on disk or refused. */
    _Atomic uint64_t holds_begun;
    _Atomic uint64_t holds_ended;
};

/* A stored version as a fresh tree. */
bool change_read_tree(struct arena *arena, const struct store_version *version, struct json **tree,
                      struct error *error) MUST_CHECK;

/* The current version of "Type/id"; *version.type absent when there is none or it was deleted. */
bool change_read_current(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                         struct store_version *version, struct error *error) MUST_CHECK;

/* Loads definitions/locks.json. */
bool change_load_locks(struct change *change, struct arena *arena, struct error *error) MUST_CHECK;

/* One write as the locks see it; `previous` and `resource` may be NULL. */
struct change_lock_ask {
    struct store_reader *reader;
    struct arena *arena;
    struct str type;
    const struct json *previous;
    const struct json *resource;
    bool by_machine; /* the program's own jobs may add to a record under hold, never delete */
    int64_t now_ms;
    bool *asks_hold; /* set when legal holds were looked for */
};

/* Adds an issue for each lock that closes this write. */
/* Whether the entry places or lifts a legal hold. */
bool change_moves_hold(const struct change_entry *entry);
bool change_check_locks(const struct change *change, const struct change_lock_ask *ask,
                        struct outcome *outcome, struct error *error) MUST_CHECK;

/* A search that decides which resource is meant, as the session may search (R4 3.1.0.8.1). */
struct change_condition {
    const struct access_session *session;
    struct str type;
    struct str text;
    int64_t now_ms;
    /* Answers: the one visible match with its body; none (type absent); several are ERROR_PRECONDITION. */
    struct store_version hit;
    const struct search_query *query;  /* for a store_condition: "still none" … */
    const struct store_filter *filter; /* … of what the person sees: else a 412 would tell what is hidden */
};
bool change_find(const struct change *change, struct store_reader *reader, struct arena *arena,
                 struct change_condition *condition, struct error *error) MUST_CHECK;

/* Referential integrity of one set (change_references.c); NULL when memory ran out. */
struct change_references;
struct change_references *change_references_begin(const struct change *change, struct change_set *set,
                                                  const struct store_filter *filter,
                                                  struct store_reader *reader);
/* What the entry refers to exists (422); what it deletes is not referred to (409). Issues go to the set's outcome. */
bool change_references_check(struct change_references *references, struct store_reader *reader,
                             const struct change_entry *entry, struct error *error) MUST_CHECK;
/* store_set.decide: the same once more when somebody wrote since. */
bool change_references_again(struct change_references *references, struct store_reader *inside,
                             struct error *error) MUST_CHECK;

/* At open. */
const struct profile_source *change_profile_source(struct change *change);

/* What a patch makes of the stored resource. */
bool change_patch(struct arena *arena, const struct json *stored, const struct json *patch,
                  struct json **patched, struct error *error) MUST_CHECK;

/* A set while it is made ready (change.c), entry by entry (change_entry.c). */
struct preparing {
    struct change *change;
    struct change_set *set;
    struct store_reader *reader;
    const struct store_filter *read_filter;
    struct store_condition *conditions;
    size_t conditions_count;
    int64_t now_ms;
    struct table written;                 /* "Type/id" of what this set creates or updates */
    struct change_references *references; /* NULL: not asked for */
    bool *asks_hold;                      /* set when an entry depends on a patient's legal holds */
};

enum access_interaction change_interaction(enum change_kind kind);

/* Asks everything that is to be asked of one entry and fills its write. *needed: false when there is nothing to be written. */
bool change_prepare_entry(struct preparing *at, struct change_entry *entry, struct store_write *write,
                          bool *needed, struct error *error) MUST_CHECK;

#define CHANGE_NO_MEMORY(error)                                                                              \
    FAIL((error), ERROR_TOO_LARGE, "the request needs more memory than it may use")

#endif
