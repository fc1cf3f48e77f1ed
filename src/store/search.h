/* search.h — what a session may see, and searching.
 *
 * An index row (fhir/index.h) says: this version has this value for this search parameter. Rows are only added; a search joins
 * the versions that are current (or were, for later pages), so an update deletes nothing. Tokens, URIs and
 * references are 64-bit keys; a reference's key is the key of its target (hash_resource_key), so a chain is a join. */
#ifndef SHANHAI_STORE_SEARCH_H
#define SHANHAI_STORE_SEARCH_H

#include "fhir/index.h"
#include "fhir/search_query.h"
#include "store/read.h"

/* ---- rights ---- */

/* One way to be allowed to see a resource of `type`: all that is set must hold. */
struct store_rule {
    struct str type;                        /* "*" = every type */
    const struct search_criteria *criteria; /* must match; NULL = any */
    const uint64_t *custodians;             /* custodian must be one of these; NULL = any */
    size_t custodians_count;
    bool granted;             /* a living grant for the resource itself to one of filter->posts */
    uint32_t granted_through; /* parameter number of a reference whose target is granted; 0 = not asked */
    uint64_t granted_as;      /* only grants to this key count; 0 = those to any of filter->posts */
};

/* What a session may see: the rules of a resource's type are alternatives; a type without rules is not seen at all.
 * A NULL filter in the calls below means the system itself (jobs, checks): everything. */
struct store_filter {
    const struct store_rule *rules;
    size_t rules_count;
    const uint64_t *posts; /* keys of the posts by which grants count */
    size_t posts_count;
    int64_t now_ms; /* grants must be alive at this time */
};

/* Whether the version may be seen. At most one indexed look-up a rule that needs one. */
bool store_matches(struct store_reader *reader, const struct store_version *version,
                   const struct store_filter *filter, bool *matches, struct error *error) MUST_CHECK;

/* ---- searching ---- */

struct store_search {
    const struct search_query *query;
    const struct store_filter *filter;
    struct str cursor;   /* from a page before; absent = first page */
    int64_t now_ms;      /* for ap prefixes */
    bool without_bodies; /* only which they are: conditional writes (no includes then) */
    bool with_places;    /* hits tell their place: for who takes less than a page (only without sorts) */
};

struct store_hit {
    struct store_version version;
    bool included;    /* by _include or _revinclude: search.mode include */
    struct str place; /* a cursor that goes on with this hit; with_places */
};

struct store_hits {
    struct store_hit *hits; /* matches in order, then included ones, each once */
    size_t count;
    size_t matches_count;
    struct str next_cursor; /* opaque, without search values; absent on the last page */
    bool has_total;         /* asked for, or the page holds everything */
    uint64_t total;
    /* Included resources that passed the limit: the parameter's name for an outcome entry; absent = all are here. */
    struct str include_cut;
};

/* The next key above `after` (*found false: none) that an index row of a parameter has, whoever may see its resource: to walk over
 * the different values of a token or URI without walking over its rows. Begin with INT64_MIN. */
bool store_next_key(struct store_reader *reader, struct arena *arena, uint32_t parameter, int64_t after,
                    int64_t *key, bool *found, struct error *error) MUST_CHECK;

bool store_search(struct store_reader *reader, struct arena *arena, const struct store_search *search,
                  struct store_hits *hits, struct error *error) MUST_CHECK;

#endif
