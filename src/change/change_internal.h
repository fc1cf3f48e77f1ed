/* change_internal.h — what the files of this folder share. */
#ifndef SHANHAI_CHANGE_INTERNAL_H
#define SHANHAI_CHANGE_INTERNAL_H

#include "change/change.h"
#include "fhir/outcome.h"
#include "fhirpath/fhirpath.h"
#include "store/read.h"

struct change_lock {
    struct str type;
    const struct fhirpath *when;
    struct str zh;
    struct str en;
};

struct change {
    struct change_options options;
    struct change_lock *locks;
    size_t locks_count;
};

/* A stored version as a fresh tree. */
bool change_read_tree(struct arena *arena, const struct store_version *version, struct json **tree,
                      struct error *error) MUST_CHECK;

/* The current version of "Type/id"; *version.type absent when there is none or it was deleted. */
bool change_read_current(struct store_reader *reader, struct arena *arena, struct str type, struct str id,
                         struct store_version *version, struct error *error) MUST_CHECK;

/* Loads definitions/locks.json. */
bool change_load_locks(struct change *change, struct arena *arena, struct error *error) MUST_CHECK;

/* Adds an issue for each lock that closes this write; `previous` and `resource` may be NULL. */
bool change_check_locks(const struct change *change, struct arena *arena, struct str type,
                        const struct json *previous, const struct json *resource, struct outcome *outcome,
                        struct error *error) MUST_CHECK;

#define CHANGE_NO_MEMORY(error)                                                                              \
    FAIL((error), ERROR_TOO_LARGE, "the request needs more memory than it may use")

#endif
