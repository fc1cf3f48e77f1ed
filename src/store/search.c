#include "store/search.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "store/body.h"
#include "store/search_codings.h"
#include "store/search_run.h"

enum { CURSOR_FIELDS = 6, CURSOR_BYTES = CURSOR_FIELDS * 16 };

/* ---- single versions ---- */

static bool rule_is_plain(const struct store_rule *rule)
{
    return rule->criteria == NULL && !rule->granted && rule->granted_through == 0;
}

static bool has_custodian(const struct store_rule *rule, uint64_t custodian)
{
    for (size_t i = 0; i < rule->custodians_count; i++) {
        if (rule->custodians[i] == custodian) {
            return true;
        }
    }
    return rule->custodians == NULL;
}

/* Rules that columns answer need no look-up; *ask is set when one is left that does. */
static bool matches_plainly(const struct store_version *version, const struct store_filter *filter, bool *ask)
{
    *ask = false;
    for (size_t i = 0; i < filter->rules_count; i++) {
        const struct store_rule *rule = &filter->rules[i];
        if ((!str_equal(rule->type, STR("*")) && !str_equal(rule->type, version->type)) ||
            !has_custodian(rule, version->custodian)) {
            continue;
        }
        if (rule_is_plain(rule)) {
            return true;
        }
        *ask = true;
    }
    return false;
}

bool store_matches(struct store_reader *reader, const struct store_version *version,
                   const struct store_filter *filter, bool *matches, struct error *error)
{
    bool ask = false;
    if (filter == NULL || matches_plainly(version, filter, &ask)) {
        *matches = true;
        return true;
    }
    if (!ask) {
        *matches = false;
        return true;
    }
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct builder b;
    enum step step = STEP_FAILED;
    if (search_expand_filter(reader, &arena, filter, &filter, error) &&
        builder_init(&b, reader, filter, &arena, version->seq, error)) {
        unsigned alias = new_alias(&b);
        add_sql(&b, "SELECT 1 FROM version v0 WHERE v0.seq = ?1");
        add_visible(&b, alias, version->type, NULL, 0);
        struct statement *statement = builder_statement(&b, error);
        step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
        connection_release(reader->connection, statement);
        builder_deinit(&b);
    }
    arena_deinit(&arena);
    if (step != STEP_FAILED) {
        *matches = step == STEP_ROW;
    }
    return step != STEP_FAILED;
}

bool version_rows(struct store_reader *reader, struct arena *arena, const struct store_version *version,
                  struct index_rows *rows, struct error *error)
{
    const struct store_options *options = &reader->store->options;
    struct str text = STR_NONE;
    if (options->index_rows == NULL) {
        return FAIL(error, ERROR_UNSUPPORTED, "this search needs the definitions of search parameters");
    }
    return store_body_text(arena, version, &text, error) &&
           options->index_rows(options->index_rows_data, arena, version->type, text, rows, error);
}

/* ---- cursors ---- */

/* What the search asks, without its place: a cursor of another search is refused. */
static uint64_t query_digest(const struct search_query *query)
{
    uint64_t digest = hash64(query->type, 1);
    for (size_t i = 0; i < query->pairs_count; i++) {
        if (str_equal(query->pairs[i].name, STR("_cursor"))) {
            continue;
        }
        digest = hash64_combine(digest, hash64(query->pairs[i].name, 2));
        digest = hash64_combine(digest, hash64(query->pairs[i].value, 3));
    }
    return digest;
}

/* Who asks: a page link is of no use to somebody else (and would give him nothing but what he may see). */
static uint64_t filter_digest(const struct store_filter *filter)
{
    uint64_t digest = 1;
    for (size_t i = 0; filter != NULL && i < filter->posts_count; i++) {
        digest = hash64_combine(digest, filter->posts[i]);
    }
    return digest;
}

static bool cursor_read(struct search_run *run, struct str text, struct error *error)
{
    uint64_t fields[CURSOR_FIELDS] = { 0 };
    bool ok = text.len == CURSOR_BYTES;
    for (size_t i = 0; ok && i < CURSOR_BYTES; i++) {
        char c = text.at[i];
        bool digit = c >= '0' && c <= '9';
        ok = digit || (c >= 'a' && c <= 'f');
        fields[i / 16] = fields[i / 16] << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
    }
    ok = ok && fields[0] >= MODE_SEQUENCE && fields[0] <= MODE_REST && fields[2] <= fields[1] &&
         fields[1] <= run->reader->seq && fields[4] == query_digest(run->query) &&
         fields[5] == filter_digest(run->search->filter);
    if (!ok) {
        return FAIL(error, ERROR_INPUT, "this page link does not belong to this search: begin again");
    }
    if (fields[1] < run->reader->swept) {
        return FAIL(error, ERROR_INPUT, "this page link is too old: begin again");
    }
    run->place = (struct search_place){ .mode = (enum search_mode)fields[0],
                                        .as_of_seq = fields[1],
                                        .last_seq = fields[2],
                                        .offset = fields[3] };
    return true;
}

static struct str cursor_write(const struct search_run *run, uint64_t last_seq, uint64_t offset)
{
    return arena_printf(run->arena,
                        "%016x%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
                        (unsigned)run->place.mode, run->place.as_of_seq, last_seq, offset,
                        query_digest(run->query), filter_digest(run->search->filter));
}

/* ---- a search ---- */

static bool is_count_only(const struct search_query *query)
{
    return query->summary == SEARCH_SUMMARY_COUNT || (query->has_count && query->count == 0);
}

static bool total_count(struct search_run *run, uint64_t *total, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    (void)add_matches(run, &b, "SELECT count(*) FROM ", 0, false);
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        *total = column_key(statement, 0);
    }
    connection_release(run->reader->connection, statement);
    builder_deinit(&b);
    return step == STEP_ROW;
}

static bool page_find(struct search_run *run, struct error *error)
{
    run->seqs = ARENA_ARRAY(run->arena, uint64_t, run->wanted);
    if (run->seqs == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    switch (run->place.mode) {
    case MODE_SEQUENCE:
        return search_page_sequence(run, error);
    case MODE_MEMORY:
        return search_page_memory(run, error);
    case MODE_SORTED:
    case MODE_REST:
        return search_page_sorted(run, error);
    }
    return FAIL(error, ERROR_INTERNAL, "no such mode");
}

static bool hits_read(struct search_run *run, struct store_hits *hits, struct error *error)
{
    size_t page = run->wanted - 1;
    bool more = run->seqs_count > page;
    size_t count = more ? page : run->seqs_count;
    hits->hits = ARENA_ARRAY(run->arena, struct store_hit, count + 1);
    if (hits->hits == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct store_version *versions = ARENA_ARRAY(run->arena, struct store_version, count + 1);
    if (versions == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!versions_read(run->reader, run->arena, run->seqs, count, run->search->without_bodies, versions,
                       error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        hits->hits[i].version = versions[i];
        if (run->search->with_places) {
            uint64_t before = i == 0 ? run->place.last_seq : run->seqs[i - 1];
            hits->hits[i].place = cursor_write(run, before, run->place.offset + i);
        }
    }
    hits->count = count;
    hits->matches_count = count;
    if (more) {
        hits->next_cursor = cursor_write(run, run->seqs[count - 1], run->place.offset + count);
        if (hits->next_cursor.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    }
    return true;
}

static bool total_find(struct search_run *run, struct store_hits *hits, struct error *error)
{
    const struct search_query *query = run->query;
    bool asked = query->total == SEARCH_TOTAL_ACCURATE || query->total == SEARCH_TOTAL_ESTIMATE;
    bool whole = run->place.last_seq == 0 && hits->next_cursor.at == NULL && !is_count_only(query);
    if (whole) { /* honest without counting: the page holds everything */
        hits->total = hits->matches_count;
        hits->has_total = query->total != SEARCH_TOTAL_NONE;
        return true;
    }
    if (asked || is_count_only(query)) {
        hits->has_total = true;
        return total_count(run, &hits->total, error);
    }
    return true;
}

static bool search_all(struct search_run *run, struct str cursor, struct store_hits *hits,
                       struct error *error)
{
    const struct search_query *query = run->query;
    if (!reader_numbers(run->reader, error)) {
        return false;
    }
    run->place = (struct search_place){ .mode = MODE_SEQUENCE, .as_of_seq = run->reader->seq };
    if (query->sorts_count > SORTS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "at most %d sort parameters", SORTS_MAX);
    }
    if (cursor.at != NULL && !cursor_read(run, cursor, error)) {
        return false;
    }
    if (!search_driver_choose(run, error)) {
        return false;
    }
    if (is_count_only(query)) {
        return total_find(run, hits, error);
    }
    if (cursor.at == NULL && !search_mode_choose(run, error)) {
        return false;
    }
    uint32_t count = query->has_count ? query->count : SEARCH_COUNT_DEFAULT;
    run->wanted = (count > LIMIT_SEARCH_COUNT ? LIMIT_SEARCH_COUNT : count) + (size_t)1;
    return page_find(run, error) && hits_read(run, hits, error) && total_find(run, hits, error) &&
           search_include_all(run, hits, error);
}

bool store_search(struct store_reader *reader, struct arena *arena, const struct store_search *search,
                  struct store_hits *out, struct error *error)
{
    assert(search->query != NULL);
    struct search_query query = { 0 };
    struct store_search expanded = *search;
    struct search_run run = { .reader = reader, .arena = arena, .search = &expanded, .query = &query };
    struct str cursor = search->cursor.at != NULL ? search->cursor : search->query->cursor;
    struct store_hits hits = { 0 };
    struct database *database = reader->connection->database;
    database_set_steps(database, SEARCH_STEPS);
    bool ok = search_expand_query(reader, arena, search->query, &query, error) &&
              search_expand_filter(reader, arena, search->filter, &expanded.filter, error);
    expanded.query = &query;
    ok = ok && search_all(&run, cursor, &hits, error);
    database_set_steps(database, 0);
    if (ok) {
        *out = hits;
    }
    return ok;
}

bool store_next_key(struct store_reader *reader, struct arena *arena, uint32_t parameter, int64_t after,
                    int64_t *key, bool *found, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, reader, NULL, arena, reader->seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT k.value FROM ");
    add_index(&b, INDEX_KEY);
    add_sql(&b, " k WHERE k.parameter = ");
    add_integer(&b, parameter);
    add_sql(&b, " AND k.value > ");
    add_integer(&b, after);
    add_sql(&b, " ORDER BY k.value LIMIT 1");
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    *found = step == STEP_ROW;
    *key = step == STEP_ROW ? column_integer(statement, 0) : 0;
    connection_release(reader->connection, statement);
    builder_deinit(&b);
    return step != STEP_FAILED;
}
