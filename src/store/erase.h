/* erase.h — what is stored of a resource is taken out for good: the bodies of all its versions, the rows by which they were
 * found, pieces of text that nobody else has, rows of views as they once were. What stays are the versions' numbers, type
 * and id, as deletions, so that the sequence has no gap and whoever asks is told that it is gone. */
#ifndef SHANHAI_STORE_ERASE_H
#define SHANHAI_STORE_ERASE_H

#include "store/read.h"

struct store_erased {
    uint64_t versions; /* whose bodies went in this call */
    char hash[65];     /* SHA-256 of the newest body that went, in hexadecimal; empty without one */
};

/* The resource must have been deleted before (ERROR_CONFLICT). Some versions at a time, each in a commit of its own: after
 * a crash the next call goes on. Blocks, and waits for a moment while rows are on their way into the main index; ERROR_BUSY
 * when that takes long: call again later. Needs store_options.index_rows. */
bool store_erase(struct store *store, struct str type, struct str id, struct store_erased *erased,
                 struct error *error) MUST_CHECK;

#endif
