/* upkeep.h — what a store does to itself over the years, in small steps beside everything else: sweeping index rows of
 * versions long followed, indexing again after the definitions of search parameters changed, and training compression
 * dictionaries on what is stored. Each step is one
 * transaction of its own and knows where the last one ended, so that a crash costs nothing. One thread at a time. */
#ifndef SHANHAI_STORE_UPKEEP_H
#define SHANHAI_STORE_UPKEEP_H

#include "store/store.h"

/* Removes the index rows of versions that were followed before `before_ms`, oldest first, of some hundred at a time.
 * Pages of a search look as of its first page: page links from before what was swept are refused from then on.
 * *more: there is more to sweep. Needs store_options.index_rows. */
bool store_sweep(struct store *store, int64_t before_ms, bool *more, struct error *error) MUST_CHECK;

/* Whether the index was made by definitions with another digest. A new store takes the digest as its own. */
bool store_reindex_needed(struct store *store, uint64_t digest, bool *needed, struct error *error) MUST_CHECK;

/* Gives some hundred current versions the rows that they lack under the present definitions. *per_mille says how far it
 * is; 1000 when all is done, and the digest is the store's then. Rows of parameters that are no more stay and are not
 * asked for. */
bool store_reindex(struct store *store, uint64_t digest, unsigned *per_mille, struct error *error) MUST_CHECK;

/* To be called every few seconds: when hardly anybody has read since the last call, the free readers let go of the
 * pages of the database that they hold, and the program of freed memory. */
void store_rest(struct store *store);

/* Trains a compression dictionary on the newest bodies of one type that has enough of them, and has later bodies use it
 * when it saves a tenth or more of what the present one leaves. *more: another type may be due. Some tenths of a second
 * a call. A dictionary holds pieces of records: it lies in the store and is guarded as they are. */
bool store_train(struct store *store, bool *more, struct error *error) MUST_CHECK;

#endif
