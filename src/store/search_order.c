/* search_order.c — from the matches to a page in the asked order. Pages are found by the place after the last hit,
 * never by skipping rows, and always as of the first page's sequence number: what changes meanwhile neither
 * doubles nor hides a hit. */
#include <stdlib.h>

#include "store/search_run.h"

/* ---- matches ---- */

static bool is_single_key(const struct search_criteria *driver)
{
    return driver->kind == SEARCH_VALUES && driver->values_count == 1 &&
           driver->values->test == SEARCH_TEST_KEY && !driver->values->brief;
}

static void add_driver(struct search_run *run, struct builder *b, unsigned alias)
{
    const struct search_criteria *driver = run->driver;
    if (run->by_filter) {
        add_sql(b, "version ");
        add_alias(b, alias);
        add_sql(b, " WHERE ");
        add_found_begin(b, alias, ".seq", FOUND_TO_BEGIN);
        add_filter_found(b, run->query->type);
        add_found_end(b, FOUND_TO_BEGIN);
        add_types(b, alias, run->query->type, NULL, 0);
        return;
    }
    if (driver == NULL) {
        add_sql(b, "version ");
        add_alias(b, alias);
        add_sql(b, run->query->type.at != NULL && builder_dialect(b) == DIALECT_SQLITE
                       ? " INDEXED BY version_by_type WHERE "
                       : " WHERE ");
        if (run->query->type.at != NULL) {
            add_alias(b, alias);
            add_sql(b, ".type = ");
            add_integer(b, store_type_number(b->reader->store, run->query->type));
        } else {
            add_sql(b, "TRUE");
            add_types(b, alias, STR_NONE, run->query->types, run->query->types_count);
        }
        return;
    }
    if (is_single_key(driver)) { /* its rows lie in the order of the sequence: the page ends the look-up */
        add_index(b, INDEX_KEY);
        add_sql(b, " k");
        add_join(b);
        add_sql(b, "version ");
        add_alias(b, alias);
        add_sql(b, " ON ");
        add_alias(b, alias);
        add_sql(b, ".seq = k.seq WHERE k.parameter = ");
        add_integer(b, driver->values->parameter);
        add_sql(b, " AND k.value = ");
        add_key(b, driver->values->key);
    } else {
        add_sql(b, "version ");
        add_alias(b, alias);
        add_sql(b, " WHERE ");
        add_found_begin(b, alias, ".seq", FOUND_TO_BEGIN);
        add_found(b, driver);
        add_found_end(b, FOUND_TO_BEGIN);
    }
    add_types(b, alias, run->query->type, run->query->types, run->query->types_count);
}

/* The column that has the driver's order. */
static const char *sequence_column(const struct search_run *run)
{
    return run->driver != NULL && is_single_key(run->driver) ? "k.seq" : "v0.seq";
}

unsigned add_matches(struct search_run *run, struct builder *b, const char *select, uint64_t last_seq,
                     bool ascending)
{
    unsigned alias = new_alias(b);
    assert(alias == 0); /* the outermost: sequence_column() and the callers call it v0 */
    add_sql(b, select);
    add_driver(run, b, alias);
    if (last_seq != 0) {
        add_sql(b, " AND ");
        add_sql(b, sequence_column(run));
        add_sql(b, ascending ? " > " : " < ");
        add_key(b, last_seq);
        if (run->driver != NULL && is_single_key(run->driver)) {
            add_block_bound(b, "k", last_seq, ascending);
        }
    }
    add_current(b, alias);
    add_visible(b, alias, run->query->type, run->query->types, run->query->types_count);
    add_criteria(b, alias, run->query->criteria, run->driver);
    return alias;
}

/* The matches in the order of the sequence. When the first criterion alone has thousands of rows in another order,
 * gathering them costs more than walking the type until the page is full. */
void add_matches_in_sequence(struct search_run *run, struct builder *b, uint64_t last_seq, bool ascending)
{
    const struct search_criteria *driver = run->driver;
    if (driver != NULL && run->driver_count >= DRIVER_COUNT_MAX && !is_single_key(driver) &&
        run->query->type.at != NULL) {
        run->driver = NULL;
    }
    bool by_key = driver != NULL && run->driver == driver && is_single_key(driver);
    run->sequence_column = sequence_column(run);
    run->sequence_by_key = by_key;
    (void)add_matches(run, b, by_key ? "SELECT v0.seq, k.seq FROM " : "SELECT v0.seq FROM ", last_seq,
                      ascending);
    run->driver = driver;
}

void search_add_sequence_order(const struct search_run *run, struct builder *b, bool ascending)
{
    add_sql(b, " ORDER BY ");
    if (run->sequence_by_key) {
        add_block_order(b, "k", !ascending);
    }
    add_sql(b, run->sequence_column);
    add_sql(b, ascending ? " LIMIT " : " DESC LIMIT ");
    add_integer(b, (int64_t)run->wanted);
}

bool search_seqs_collect(struct search_run *run, struct builder *b, struct error *error)
{
    struct statement *statement = builder_statement(b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW && run->seqs_count < run->wanted) {
        run->seqs[run->seqs_count] = column_key(statement, 0);
        run->seqs_count++;
        step = statement_step(statement, error);
    }
    connection_release(run->reader->connection, statement);
    return step != STEP_FAILED;
}

/* ---- by the sequence ---- */

static bool is_ascending(const struct search_query *query)
{
    return query->sorts_count > 0 && query->sorts->by == SEARCH_SORT_UPDATED && !query->sorts->descending;
}

bool search_page_sequence(struct search_run *run, struct error *error)
{
    struct builder b;
    bool ascending = is_ascending(run->query);
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_matches_in_sequence(run, &b, run->place.last_seq, ascending);
    search_add_sequence_order(run, &b, ascending);
    bool ok = search_seqs_collect(run, &b, error);
    builder_deinit(&b);
    return ok;
}

/* ---- in memory ---- */

static const char *const sort_tables[] = {
    [INDEX_TEXT] = "text_of", [INDEX_DATE] = "date_of", [INDEX_NUMBER] = "number_of"
};
static const char *const sort_columns[] = {
    [INDEX_TEXT] = "value", [INDEX_DATE] = "from_ms", [INDEX_NUMBER] = "low"
};

/* Ascending by the smallest value of a resource, descending by the largest (R4 3.1.1.4.12 leaves it open). */
void search_add_sort_value(struct builder *b, const struct search_sort *sort)
{
    if (sort->by == SEARCH_SORT_ID) {
        add_sql(b, "v0.id");
    } else if (sort->by == SEARCH_SORT_UPDATED) {
        add_sql(b, "v0.seq");
    } else if (sort->rows == INDEX_KEY) {
        add_sql(b, "NULL"); /* the index has only keys: read from the body */
    } else {
        add_sql(b, sort->descending ? "(SELECT max(" : "(SELECT min(");
        add_sql(b, sort_columns[sort->rows]);
        add_sql(b, ") FROM ");
        add_sql(b, sort_tables[sort->rows]);
        add_sql(b, " WHERE seq = v0.seq AND parameter IN (");
        add_integer(b, sort->parameter);
        add_sql(b, ", ");
        add_integer(b, sort->also != 0 ? sort->also : sort->parameter);
        add_sql(b, ")");
        add_sql(b, sort->rows == INDEX_NUMBER ? " AND unit = 0)" : ")");
    }
}

int search_values_compare(const struct store_value *a, const struct store_value *b)
{
    if (a->kind == STORE_VALUE_INTEGER) {
        return (a->integer > b->integer) - (a->integer < b->integer);
    }
    if (a->kind == STORE_VALUE_REAL) {
        return (a->real > b->real) - (a->real < b->real);
    }
    return str_compare(a->text, b->text);
}

int search_candidates_compare(const void *left, const void *right, void *data)
{
    const struct search_query *query = data;
    const struct search_candidate *a = left;
    const struct search_candidate *b = right;
    for (size_t i = 0; i < query->sorts_count; i++) {
        bool a_none = a->values[i].kind == STORE_VALUE_NULL;
        bool b_none = b->values[i].kind == STORE_VALUE_NULL;
        if (a_none || b_none) {
            if (a_none != b_none) {
                return a_none ? 1 : -1; /* without a value: last, in both directions */
            }
            continue;
        }
        int order = search_values_compare(&a->values[i], &b->values[i]);
        if (order != 0) {
            return query->sorts[i].descending ? -order : order;
        }
    }
    return a->seq > b->seq ? -1 : a->seq < b->seq; /* newest first */
}

/* Codes and references order by their text, which only the body has. */
static bool values_from_body(struct search_run *run, struct search_candidate *candidate, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct store_version version = { 0 };
    struct index_rows rows = { 0 };
    bool ok = store_read_seqs(run->reader, &arena, &candidate->seq, 1, &version, error) &&
              version_rows(run->reader, &arena, &version, &rows, error);
    for (size_t s = 0; ok && s < run->query->sorts_count; s++) {
        const struct search_sort *sort = &run->query->sorts[s];
        struct str best = STR_NONE;
        if (sort->by != SEARCH_SORT_ROWS || sort->rows != INDEX_KEY) {
            continue;
        }
        for (size_t r = 0; r < rows.count; r++) {
            const struct index_row *row = &rows.rows[r];
            bool mine =
                row->parameter == sort->parameter || (sort->also != 0 && row->parameter == sort->also);
            if (row->kind != INDEX_KEY || !mine || row->text.at == NULL) {
                continue;
            }
            int order = best.at == NULL ? -1 : str_compare(row->text, best);
            best = best.at == NULL || (sort->descending ? order > 0 : order < 0) ? row->text : best;
        }
        if (best.at != NULL) {
            candidate->values[s] = store_text(arena_dup(run->arena, best));
        }
    }
    arena_deinit(&arena);
    return ok;
}

static bool needs_bodies(const struct search_query *query)
{
    for (size_t i = 0; i < query->sorts_count; i++) {
        if (query->sorts[i].by == SEARCH_SORT_ROWS && query->sorts[i].rows == INDEX_KEY) {
            return true;
        }
    }
    return false;
}

bool search_candidates_complete(struct search_run *run, struct search_candidate *candidates, size_t count,
                                struct error *error)
{
    if (!needs_bodies(run->query)) {
        return true;
    }
    bool ok = count <= SORT_BODIES_MAX || search_too_many(error);
    for (size_t i = 0; ok && i < count; i++) {
        ok = values_from_body(run, &candidates[i], error);
    }
    return ok;
}

bool search_too_many(struct error *error)
{
    return FAIL(error, ERROR_TOO_COSTLY, "too many resources to sort: add a more selective criterion");
}

static bool candidates_read(struct search_run *run, struct builder *b, struct search_candidate **out,
                            size_t *count, struct error *error)
{
    struct statement *statement = builder_statement(b, error);
    if (statement == NULL) {
        return false;
    }
    struct store_rows rows = { 0 };
    size_t columns = 1 + run->query->sorts_count;
    struct error why = { 0 };
    bool ok = rows_collect(run->arena, statement, columns, SORT_MEMORY_MAX, &rows, &why);
    connection_release(run->reader->connection, statement);
    struct search_candidate *candidates =
        ok ? ARENA_ARRAY(run->arena, struct search_candidate, rows.rows_count + 1) : NULL;
    if (candidates == NULL) {
        if (!ok && error != NULL) {
            *error = why;
        }
        return ok ? FAIL(error, ERROR_TOO_LARGE, "request memory used up") : false;
    }
    for (size_t i = 0; i < rows.rows_count; i++) {
        candidates[i].seq = (uint64_t)rows.values[i * columns].integer;
        memcpy(candidates[i].values, &rows.values[i * columns + 1], (columns - 1) * sizeof *rows.values);
    }
    *out = candidates;
    *count = rows.rows_count;
    return true;
}

bool search_page_memory(struct search_run *run, struct error *error)
{
    const struct search_query *query = run->query;
    struct builder b;
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT v0.seq");
    for (size_t i = 0; i < query->sorts_count; i++) {
        add_sql(&b, ", ");
        search_add_sort_value(&b, &query->sorts[i]);
    }
    (void)add_matches(run, &b, " FROM ", 0, false);
    struct search_candidate *candidates = NULL;
    size_t count = 0;
    bool ok = candidates_read(run, &b, &candidates, &count, error);
    builder_deinit(&b);
    if (!ok || !search_candidates_complete(run, candidates, count, error)) {
        return false;
    }
    qsort_r(candidates, count, sizeof *candidates, search_candidates_compare, (void *)(uintptr_t)query);
    size_t from = run->place.offset < count ? (size_t)run->place.offset : count;
    for (size_t i = 0; run->place.last_seq != 0 && i < count; i++) {
        if (candidates[i].seq == run->place.last_seq) {
            from = i + 1; /* a right that ended meanwhile may have moved the rest up */
        }
    }
    for (size_t i = from; i < count && run->seqs_count < run->wanted; i++) {
        run->seqs[run->seqs_count] = candidates[i].seq;
        run->seqs_count++;
    }
    return true;
}

/* ---- which way ---- */

static bool filter_count(struct search_run *run, uint64_t most, uint64_t *count, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT count(*) FROM (SELECT 1 FROM (");
    add_filter_found(&b, run->query->type);
    add_sql(&b, ") f LIMIT ");
    add_integer(&b, (int64_t)most);
    add_sql(&b, ") n");
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        *count = column_key(statement, 0);
    }
    connection_release(run->reader->connection, statement);
    builder_deinit(&b);
    return step == STEP_ROW;
}

/* Whether the rows of an index stand in the order of the first sort parameter. */
static bool has_index(const struct search_query *query)
{
    const struct search_sort *sort = query->sorts;
    return query->sorts_count > 0 && sort->by == SEARCH_SORT_ROWS && sort->rows != INDEX_KEY &&
           sort->also == 0;
}

bool search_driver_choose(struct search_run *run, struct error *error)
{
    const struct search_query *query = run->query;
    const struct store_filter *filter = run->search->filter;
    uint64_t as_of_seq = run->place.as_of_seq;
    uint64_t most = query->sorts_count == 0 || has_index(query) ? DRIVER_COUNT_MAX : SORT_MEMORY_MAX + 1;
    if (!criterion_choose(run->reader, run->arena, filter, as_of_seq, query->criteria, DRIVER_COUNT_MAX,
                          &run->driver, &run->driver_count, error)) {
        return false;
    }
    /* Whether they can be sorted in memory is asked of the chosen one only. */
    if (run->driver != NULL && run->driver_count >= DRIVER_COUNT_MAX && most > DRIVER_COUNT_MAX &&
        !criterion_count(run->reader, run->arena, filter, as_of_seq, run->driver, most, &run->driver_count,
                         error)) {
        return false;
    }
    /* Somebody who may see little should not wait for all that he may not see to be looked at. */
    uint64_t visible = 0;
    if (run->driver_count >= DRIVER_COUNT_MAX && filter_drives(filter, query->type)) {
        if (!filter_count(run, most, &visible, error)) {
            return false;
        }
        if (visible < run->driver_count && visible < most) {
            run->by_filter = true;
            run->driver = NULL;
            run->driver_count = visible;
        }
    }
    return true;
}

bool search_driver_count(struct search_run *run, uint64_t most, uint64_t *count, struct error *error)
{
    return run->by_filter ? filter_count(run, most, count, error)
                          : criterion_count(run->reader, run->arena, run->search->filter,
                                            run->place.as_of_seq, run->driver, most, count, error);
}

static bool type_count(struct search_run *run, uint64_t *count, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, run->reader, NULL, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT count(*) FROM (SELECT 1 FROM version WHERE type = ");
    add_integer(&b, store_type_number(run->reader->store, run->query->type));
    add_sql(&b, " LIMIT ");
    add_integer(&b, SORT_MEMORY_MAX + 1);
    add_sql(&b, ") n");
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        *count = column_key(statement, 0);
    }
    connection_release(run->reader->connection, statement);
    builder_deinit(&b);
    return step == STEP_ROW;
}

bool search_mode_choose(struct search_run *run, struct error *error)
{
    const struct search_query *query = run->query;
    if (query->sorts_count == 0 || query->sorts->by == SEARCH_SORT_UPDATED) {
        run->place.mode = MODE_SEQUENCE; /* no two resources have one place in it: further keys say nothing */
        return true;
    }
    bool anything = run->driver == NULL && !run->by_filter;
    uint64_t count = run->driver_count;
    if (has_index(query) && (anything || count >= DRIVER_COUNT_MAX)) {
        run->place.mode = MODE_SORTED;
        run->trial = !anything;
        return true;
    }
    if (anything && !type_count(run, &count, error)) {
        return false;
    }
    run->place.mode = MODE_MEMORY;
    return count <= SORT_MEMORY_MAX || search_too_many(error);
}
