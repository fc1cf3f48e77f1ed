/* erasure_internal.h — what the files of erasure share. */
#ifndef SHANHAI_FEED_ERASURE_INTERNAL_H
#define SHANHAI_FEED_ERASURE_INTERNAL_H

#include "change/change.h"
#include "feed/erasure.h"
#include "store/read.h"

#define ERASURE_HELD "the record is under a legal hold: nothing of it can be erased"

struct erasure {
    struct erasure_options options;
};

/* What would go: texts "Type/id", the target last; and how many records of other hospitals stay. */
struct erasure_found {
    struct json *records;
    uint64_t kept;
};
bool erasure_find(struct erasure *erasure, const struct access_session *session, struct arena *arena,
                  const struct erasure_ask *ask, struct erasure_found *found, struct error *error) MUST_CHECK;

#endif
