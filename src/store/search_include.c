/* search_include.c — what _include and _revinclude add to a page. Everything included must be current and visible to
 * who asks; each resource comes once; when the limit is passed the answer says which include was cut. */
#include "base/memory.h"
#include "store/search_run.h"

enum { SEEN_SLOTS = 16384 }; /* a power of two, more than twice the hits of a page */
static_assert(SEEN_SLOTS >= 2 * (LIMIT_SEARCH_INCLUDES + LIMIT_SEARCH_COUNT), "room for every hit");

struct include_run {
    struct search_run *run;
    struct store_hits *hits;
    size_t capacity;
    uint64_t *seen; /* resource keys, open addressing */
};

/* True when the key is new. */
static bool seen_add(struct include_run *include, uint64_t key)
{
    size_t at = (size_t)(key & (SEEN_SLOTS - 1));
    while (include->seen[at] != 0 && include->seen[at] != key) {
        at = (at + 1) & (SEEN_SLOTS - 1);
    }
    bool is_new = include->seen[at] == 0;
    include->seen[at] = key;
    return is_new;
}

static bool seen_has(const struct include_run *include, uint64_t key)
{
    size_t at = (size_t)(key & (SEEN_SLOTS - 1));
    while (include->seen[at] != 0 && include->seen[at] != key) {
        at = (at + 1) & (SEEN_SLOTS - 1);
    }
    return include->seen[at] == key;
}

static bool is_full(const struct include_run *include)
{
    return include->hits->count - include->hits->matches_count >= LIMIT_SEARCH_INCLUDES;
}

static bool hit_add(struct include_run *include, const struct store_version *version, struct error *error)
{
    struct store_hits *hits = include->hits;
    if (hits->count == include->capacity) {
        size_t capacity = 2 * include->capacity + 64;
        struct store_hit *grown = ARENA_ARRAY(include->run->arena, struct store_hit, capacity);
        if (grown == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        memcpy(grown, hits->hits, hits->count * sizeof *grown);
        hits->hits = grown;
        include->capacity = capacity;
    }
    hits->hits[hits->count] = (struct store_hit){ .version = *version, .included = true };
    hits->count++;
    return true;
}

/* Adds the current version of a resource unless it is there already, gone, of another type or not to be seen. */
static bool target_add(struct include_run *include, uint64_t key, struct str type, struct str cut_name,
                       struct error *error)
{
    struct search_run *run = include->run;
    if (seen_has(include, key)) {
        return true;
    }
    struct store_version version = { 0 };
    struct error why = { 0 };
    if (!store_read_key(run->reader, run->arena, key, &version, &why)) {
        if (why.kind != ERROR_NOT_FOUND && error != NULL) {
            *error = why;
        }
        return why.kind == ERROR_NOT_FOUND; /* a reference to what is elsewhere */
    }
    bool visible = false;
    if (version.method == STORE_METHOD_DELETED || (type.at != NULL && !str_equal(version.type, type))) {
        return true;
    }
    if (!store_matches(run->reader, &version, run->search->filter, &visible, error)) {
        return false;
    }
    if (!visible) {
        return true;
    }
    if (is_full(include)) {
        include->hits->include_cut = cut_name;
        return true;
    }
    (void)seen_add(include, key);
    return hit_add(include, &version, error);
}

static bool asks_for(const struct search_include *include, uint32_t parameter)
{
    if (!include->all) {
        return include->parameter == parameter;
    }
    for (size_t i = 0; i < include->parameters_count; i++) {
        if (include->parameters[i] == parameter) {
            return true;
        }
    }
    return false;
}

/* The targets of a hit's references. */
static bool forward(struct include_run *state, const struct search_include *include,
                    const struct store_version *version, struct error *error)
{
    struct search_run *run = state->run;
    if (include->source_type.at != NULL && !str_equal(include->source_type, version->type)) {
        return true;
    }
    struct statement *statement = connection_statement(run->reader->connection, SQL_REFERENCES_OF, error);
    if (statement == NULL) {
        return false;
    }
    bind_key(statement, 1, version->seq);
    struct store_rows rows = { 0 };
    bool ok = rows_collect(run->arena, statement, 2, LIMIT_STORE_ROWS, &rows, error);
    statement_reset(statement);
    for (size_t i = 0; ok && i < rows.rows_count; i++) {
        if (asks_for(include, (uint32_t)rows.values[2 * i].integer)) {
            ok = target_add(state, (uint64_t)rows.values[2 * i + 1].integer, include->target_type,
                            include->code, error);
        }
    }
    return ok;
}

static void add_parameters(struct builder *b, const struct search_include *include)
{
    if (!include->all) {
        add_integer(b, include->parameter);
        return;
    }
    for (size_t i = 0; i < include->parameters_count; i++) {
        add_sql(b, i == 0 ? "" : ", ");
        add_integer(b, include->parameters[i]);
    }
}

/* Who points at a hit. */
static bool reverse(struct include_run *state, const struct search_include *include,
                    const struct store_version *version, struct error *error)
{
    struct search_run *run = state->run;
    struct builder b;
    if (include->target_type.at != NULL && !str_equal(include->target_type, version->type)) {
        return true;
    }
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    unsigned alias = new_alias(&b);
    add_sql(&b, "SELECT DISTINCT v0.seq, v0.resource FROM ");
    add_index(&b, INDEX_KEY);
    add_sql(&b, " k");
    add_join(&b);
    add_sql(&b, "version v0 ON v0.seq = k.seq WHERE k.parameter IN (");
    add_parameters(&b, include);
    add_sql(&b, ") AND k.value = ");
    add_key(&b, version->resource);
    add_types(&b, alias, include->source_type, NULL, 0);
    add_current(&b, alias);
    add_visible(&b, alias, include->source_type, NULL, 0);
    add_sql(&b, " LIMIT ");
    add_integer(&b, LIMIT_SEARCH_INCLUDES + LIMIT_SEARCH_COUNT + 1);
    struct statement *statement = builder_statement(&b, error);
    struct store_rows rows = { 0 };
    bool ok = statement != NULL && rows_collect(run->arena, statement, 2, LIMIT_STORE_ROWS, &rows, error);
    connection_release(run->reader->connection, statement);
    builder_deinit(&b);
    for (size_t i = 0; ok && i < rows.rows_count; i++) {
        uint64_t seq = (uint64_t)rows.values[2 * i].integer;
        uint64_t key = (uint64_t)rows.values[2 * i + 1].integer;
        struct store_version source = { 0 };
        if (seen_has(state, key)) {
            continue;
        }
        if (is_full(state)) {
            state->hits->include_cut = include->code;
            break;
        }
        (void)seen_add(state, key);
        ok = store_read_seqs(run->reader, run->arena, &seq, 1, &source, error) &&
             hit_add(state, &source, error);
    }
    return ok;
}

static bool round_of(struct include_run *state, size_t from, size_t to, bool first, struct error *error)
{
    const struct search_query *query = state->run->query;
    for (size_t i = 0; i < query->includes_count; i++) {
        const struct search_include *include = &query->includes[i];
        if (!first && !include->iterate) {
            continue;
        }
        for (size_t h = from; h < to; h++) {
            struct store_version version = state->hits->hits[h].version; /* the array may grow under us */
            bool ok = include->reverse ? reverse(state, include, &version, error)
                                       : forward(state, include, &version, error);
            if (!ok) {
                return false;
            }
        }
    }
    return true;
}

bool search_include_all(struct search_run *run, struct store_hits *hits, struct error *error)
{
    if (run->query->includes_count == 0 || hits->count == 0 || run->search->without_bodies) {
        return true;
    }
    struct include_run state = { .run = run,
                                 .hits = hits,
                                 .capacity = hits->count,
                                 .seen = memory_new_array(SEEN_SLOTS, sizeof(uint64_t)) };
    if (state.seen == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    for (size_t i = 0; i < hits->count; i++) {
        (void)seen_add(&state, hits->hits[i].version.resource);
    }
    /* Each round looks at what the one before added; the limit on hits ends it. */
    bool ok = true;
    bool first = true;
    size_t from = 0;
    size_t to = hits->count;
    while (ok && from < to) {
        ok = round_of(&state, from, to, first, error);
        first = false;
        from = to;
        to = hits->count;
    }
    memory_free(state.seen);
    return ok;
}
