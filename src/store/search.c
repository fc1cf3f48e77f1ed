#include "store/search.h"

#include "store/internal.h"

bool store_search(struct store_reader *reader, struct arena *arena, const struct store_search *search,
                  struct store_hits *hits, struct error *error)
{
    (void)reader;
    (void)arena;
    (void)search;
    (void)hits;
    return FAIL(error, ERROR_UNSUPPORTED, "searching is not there yet");
}
