/* search_run.h — the parts of a running search that search.c, search_order.c and search_include.c share. */
#ifndef SHANHAI_STORE_SEARCH_RUN_H
#define SHANHAI_STORE_SEARCH_RUN_H

#include "store/search_sql.h"

/* How the page is found; part of the cursor, so that all pages of a search are found the same way. */
enum search_mode {
    MODE_SEQUENCE = 1, /* in the order of the sequence, streamed */
    MODE_MEMORY = 2,   /* all candidates sorted in memory */
    MODE_SORTED = 3,   /* streamed along the index of the sort parameter */
    MODE_REST = 4,     /* after those: resources without a value for it */
};

enum {
    DRIVER_COUNT_MAX = 2000,
    SORT_STREAM_FROM = 20000, /* candidates that are not gathered where an index has the order */
    SORT_MEMORY_MAX = 200000, /* candidates sorted in memory where none has */
    SORT_BODIES_MAX = 10000,  /* by codes or references, whose text only the body has */
    SORTS_MAX = 4,
    /* Engine steps a candidate costs, roughly: turns the limit on candidates into one the engine can hold. */
    STEPS_A_CANDIDATE = 40,
};

#define SEARCH_STEPS ((uint64_t)LIMIT_SEARCH_CANDIDATES * STEPS_A_CANDIDATE)

struct search_place { /* where the next page begins */
    enum search_mode mode;
    uint64_t as_of_seq;
    uint64_t last_seq; /* of the page before; 0 = first page */
    uint64_t offset;   /* of hits given so far */
};

struct search_run {
    struct store_reader *reader;
    struct arena *arena;
    const struct store_search *search;
    const struct search_query *query;
    struct search_place place;
    const struct search_criteria *driver; /* NULL: walk the type */
    bool by_filter;                       /* begin with what the session may see instead */
    bool trial;                           /* along the index of the order first, and only if that is cheap */
    uint64_t driver_count;
    const char *sequence_column; /* that has the order of the sequence in the statement last made */
    bool sequence_by_key;        /* it is the one of the index of keys */
    uint64_t *seqs;              /* the page, one more than asked when there is more */
    size_t seqs_count;
    size_t wanted; /* page and one */
};

/* "FROM … WHERE …" of all matches over a new alias, which is returned. `last_seq` 0 = from the start. */
unsigned add_matches(struct search_run *run, struct builder *b, const char *select, uint64_t last_seq,
                     bool ascending);

/* Fill run->seqs by run->place (search_order.c). */
bool search_page_sequence(struct search_run *run, struct error *error) MUST_CHECK;
bool search_page_memory(struct search_run *run, struct error *error) MUST_CHECK;
bool search_page_sorted(struct search_run *run, struct error *error) MUST_CHECK;

/* " ORDER BY … LIMIT …" of the statement that add_matches_in_sequence has made. */
void search_add_sequence_order(const struct search_run *run, struct builder *b, bool ascending);

/* ---- between search_order.c and search_along.c ---- */

struct search_candidate {
    uint64_t seq;
    struct store_value values[SORTS_MAX];
};
void add_matches_in_sequence(struct search_run *run, struct builder *b, uint64_t last_seq, bool ascending);
/* The seqs of a statement's first column into the page, as far as it has room. */
bool search_seqs_collect(struct search_run *run, struct builder *b, struct error *error) MUST_CHECK;
/* The value of version v0 by which it is sorted; NULL for what only the body has, */
void search_add_sort_value(struct builder *b, const struct search_sort *sort);
/* which this reads. */
bool search_candidates_complete(struct search_run *run, struct search_candidate *candidates, size_t count,
                                struct error *error) MUST_CHECK;
int search_values_compare(const struct store_value *a, const struct store_value *b);
int search_candidates_compare(const void *left, const void *right, void *query);
bool search_too_many(struct error *error);
/* Rows that the driver, or the filter in its place, leads to; at most `most`. */
bool search_driver_count(struct search_run *run, uint64_t most, uint64_t *count,
                         struct error *error) MUST_CHECK;

/* ---- planning ---- */

/* Where to begin: the criterion or the filter with the fewest rows, or the type. */
bool search_driver_choose(struct search_run *run, struct error *error) MUST_CHECK;
bool search_mode_choose(struct search_run *run, struct error *error) MUST_CHECK;

/* Adds what the query includes to the matches (search_include.c). */
bool search_include_all(struct search_run *run, struct store_hits *hits, struct error *error) MUST_CHECK;

/* The index rows of a stored version by the host's function. */
bool version_rows(struct store_reader *reader, struct arena *arena, const struct store_version *version,
                  struct index_rows *rows, struct error *error) MUST_CHECK;

#endif
