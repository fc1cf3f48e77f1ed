/* search_sql.h — puts a search together: fragments of SQL and the values bound to them. Inside store/ only.
 *
 * Aliases are v0, v1, … (version rows: the candidates, the targets of chains). Parameter ?1 is always the sequence
 * number as of which the search looks, so that later pages see what the first saw. */
#ifndef SHANHAI_STORE_SEARCH_SQL_H
#define SHANHAI_STORE_SEARCH_SQL_H

#include "fhir/search_query.h"
#include "store/internal.h"

enum { SEARCH_SQL_BYTES = 512 * 1024, SEARCH_SQL_VALUES = 8192, SEARCH_SQL_ALIASES = 200 };

struct builder {
    struct store_reader *reader;
    const struct store_filter *filter; /* NULL: everything */
    struct arena *arena;
    struct buf text;
    struct buf with; /* "c0 AS (…), c1 AS (…)": the other sides of links, told before the statement */
    unsigned withs;
    unsigned inside;            /* correlated tests of links around what is being written */
    struct store_value *values; /* ?1, ?2, … */
    size_t values_count;
    size_t values_room;
    unsigned aliases;
    unsigned depth; /* of criteria in criteria */
    bool failed;    /* too long, too many values, too deep, or out of memory */
};

bool builder_init(struct builder *b, struct store_reader *reader, const struct store_filter *filter,
                  struct arena *arena, uint64_t as_of_seq, struct error *error) MUST_CHECK;
void builder_deinit(struct builder *b);

/* Fragments and values; once something failed they do nothing. */
void add_sql(struct builder *b, const char *fragment);
void add_integer(struct builder *b, int64_t value);
void add_key(struct builder *b, uint64_t value);
void add_real(struct builder *b, double value);
void add_text(struct builder *b, struct str value);
void add_alias(struct builder *b, unsigned alias); /* "v3" */
void add_column(struct builder *b, unsigned alias,
                const char *column); /* "v3.seq"; the column with its dot */
unsigned new_alias(struct builder *b);
/* " JOIN " whose left side is looked at first; an ON must follow. */
void add_join(struct builder *b);
enum dialect builder_dialect(const struct builder *b);
/* The index rows of a kind by value, as what stands after FROM: KEY (parameter, value, seq), TEXT (parameter, value,
 * seq), DATE (parameter, from_ms, to_ms, seq), NUMBER (parameter, unit, low, high, seq). No other place names where
 * these rows lie (some wait in memory, docs/modules/store.md), and each comes once. To stream them in an order, the
 * columns of the ORDER BY must be among those that the SELECT gives: only then the engine merges instead of sorting. */
void add_index(struct builder *b, enum index_kind kind);
/* Whether they are blocks of versions (schema_postgresql.c): then a further column `first` has the index's order, before seq,
 * and goes before it in an ORDER BY; and a version is looked for in the block that may have it. */
bool builder_has_blocks(const struct builder *b);
/* "v3.seq IN (SELECT …)" and its end, of a SELECT without anything of around it. To begin with: those are found first. To
 * test: looked up. PostgreSQL has to be told which of them is meant, blocks have no index by version. */
enum found_use { FOUND_TO_BEGIN, FOUND_TO_TEST };
void add_found_begin(struct builder *b, unsigned alias, const char *column, enum found_use use);
void add_found_end(struct builder *b, enum found_use use);
/* The test of a version's seq, in a table of values w(value): " CROSS JOIN LATERAL …" to its end. */
void add_block_test(struct builder *b, uint32_t parameter, struct str seq);
/* " ORDER BY" part and bounds of blocks: "s.first, " or "s.first DESC, "; nothing where there are none. */
void add_block_order(struct builder *b, const char *table, bool descending);
/* " AND s.first …" that follows from s.seq < (ascending: >) seq, and that the index knows. */
void add_block_bound(struct builder *b, const char *table, uint64_t seq, bool ascending);
/* Where resources' latest versions are, (key, seq), as what stands after FROM. A resource may come twice, with an older
 * version too: what stands around it must look whether the version is current (add_current). */
void add_heads(struct builder *b);

/* What is written between the two stands before the statement under a name of its own, "c7", which add_name writes. The
 * engine's parser takes about a hundred open brackets: links within links go there instead of deeper. */
struct outer {
    struct buf text;
    unsigned inside;
};
struct outer with_begin(struct builder *b);
unsigned with_end(struct builder *b, struct outer outer);
void add_name(struct builder *b, unsigned name);

/* " AND …" over an alias: was current, is of the type (types: any of them; both absent: every type), may be seen,
 * fits all criteria but `without`. */
void add_current(struct builder *b, unsigned alias);
void add_types(struct builder *b, unsigned alias, struct str type, const struct str *types,
               size_t types_count);
void add_visible(struct builder *b, unsigned alias, struct str type, const struct str *types,
                 size_t types_count);
void add_criteria(struct builder *b, unsigned alias, const struct search_criteria *criteria,
                  const struct search_criteria *without);

/* The values of a criterion (search_values.c): as a test of an alias, as SELECT of the sequence numbers that have
 * them, and those of SEARCH_UPDATED. */
void add_values_test(struct builder *b, unsigned alias, const struct search_criteria *criterion);
void add_values_found(struct builder *b, const struct search_criteria *criterion);
/* The kind of the rows that a test looks at. */
enum index_kind search_rows_kind(enum search_test test);
/* Rows of one DATE or NUMBER value, those that fit first, to be counted. */
void add_range_rows(struct builder *b, const struct search_value *value);
void add_updated_test(struct builder *b, unsigned alias, const struct search_criteria *criterion);

/* Whether a criterion can find resources by itself, and the SELECT of their sequence numbers (of all versions; the
 * caller adds add_current). */
bool criterion_drives(const struct search_criteria *criterion);
void add_found(struct builder *b, const struct search_criteria *criterion);

/* Whether finding it means reading much (chains, _has, a text inside others). */
bool criterion_is_costly(const struct search_criteria *criterion);

/* Whether all rules for a type lead to few resources by themselves (grants, a criterion), and the SELECT of their
 * sequence numbers. */
bool filter_drives(const struct store_filter *filter, struct str type);
void add_filter_found(struct builder *b, struct str type);

/* Whether the search is as of an earlier moment than the snapshot: a version in force then may have been followed by
 * others, and is to be looked for in the history too. */
bool looks_back(const struct builder *b);

/* How many rows the criterion's own look-up has, counted up to `most`. */
bool criterion_count(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                     uint64_t as_of_seq, const struct search_criteria *criterion, uint64_t most,
                     uint64_t *count, struct error *error) MUST_CHECK;
/* The criterion to begin with; NULL when none can. *count is its number of rows up to `most`. */
bool criterion_choose(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                      uint64_t as_of_seq, const struct search_criteria *criteria, uint64_t most,
                      const struct search_criteria **chosen, uint64_t *count, struct error *error) MUST_CHECK;

/* Prepares (or finds again) the statement and binds its values. NULL on failure. */
struct statement *builder_statement(struct builder *b, struct error *error);

#endif
