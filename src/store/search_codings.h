/* search_codings.h — questions for codes and systems alone, as questions for whole codings. Inside store/ only. */
#ifndef SHANHAI_STORE_SEARCH_CODINGS_H
#define SHANHAI_STORE_SEARCH_CODINGS_H

#include "store/search_sql.h"

/* The query with its criteria so; what it shares with the given one is not copied. */
bool search_expand_query(struct store_reader *reader, struct arena *arena, const struct search_query *query,
                         struct search_query *expanded, struct error *error) MUST_CHECK;
/* The filter itself when no rule asks so; NULL stays NULL. */
bool search_expand_filter(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                          const struct store_filter **expanded, struct error *error) MUST_CHECK;

#endif
