/* search_along.c — a page along the index of the first sort parameter: its rows come in the asked order, so that no more
 * of them are looked at than the page needs. With further parameters, those that share a first value are a group, sorted
 * in memory. Resources without a first value come last, in both directions. */
#include <stdlib.h>

#include "store/search_run.h"

enum {
    /* A first try along the index may look at so many: when few of its rows fit, to gather those that do is cheaper. */
    TRIAL_CANDIDATES = 4000,
    GATHERED_ROOM = 64, /* at first; it doubles */
};

struct sort_index { /* its columns, for SQL */
    const char *by_version;
    const char *columns; /* of the value */
    const char *columns_and_seq;
    const char *ordered; /* the same with the table's name */
    const char *down;    /* the same, descending */
    const char *first;   /* the one that groups are made by */
    const char *first_down;
};

static const struct sort_index sort_indexes[] = {
    [INDEX_TEXT] = { "text_of", "value", "value, seq", "s.value", "s.value DESC", "s.value", "s.value DESC" },
    [INDEX_DATE] = { "date_of", "from_ms, to_ms", "from_ms, to_ms, seq", "s.from_ms, s.to_ms",
                     "s.from_ms DESC, s.to_ms DESC", "s.from_ms", "s.from_ms DESC" },
    [INDEX_NUMBER] = { "number_of", "low, high", "low, high, seq", "s.low, s.high", "s.low DESC, s.high DESC",
                       "s.low", "s.low DESC" },
};

/* The value of the last hit (of the first parameter), read from the rows by version, so that no value of a record stands in a
 * page link. */
static void add_last_value(struct search_run *run, struct builder *b, const struct search_sort *sort,
                           const char *columns)
{
    const struct sort_index *index = &sort_indexes[sort->rows];
    add_sql(b, "(SELECT ");
    add_sql(b, columns);
    add_sql(b, " FROM ");
    add_sql(b, index->by_version);
    add_sql(b, " s WHERE seq = ");
    add_key(b, run->place.last_seq);
    add_sql(b, " AND parameter = ");
    add_integer(b, sort->parameter);
    add_sql(b, sort->rows == INDEX_NUMBER ? " AND unit = 0 ORDER BY " : " ORDER BY ");
    add_sql(b, sort->descending ? index->down : index->ordered);
    add_sql(b, " LIMIT 1)");
}

/* " AND (value, seq) > (value of the last hit, its seq)"; of groups " AND value >= …", since the rest of the last hit's
 * group comes too. Blocks are ordered by their values alone: that they are not before the last hit's is said too. */
static void add_after_last(struct search_run *run, struct builder *b, const struct search_sort *sort,
                           bool groups)
{
    const struct sort_index *index = &sort_indexes[sort->rows];
    add_sql(b, " AND (");
    add_sql(b, groups ? index->first : index->ordered);
    if (groups) {
        add_sql(b, sort->descending ? ") <= " : ") >= ");
        add_last_value(run, b, sort, index->first);
        return;
    }
    add_sql(b, sort->descending ? ", s.seq) < " : ", s.seq) > ");
    add_last_value(run, b, sort, index->columns_and_seq);
    if (builder_has_blocks(b)) {
        add_sql(b, " AND (");
        add_sql(b, index->ordered);
        add_sql(b, sort->descending ? ") <= " : ") >= ");
        add_last_value(run, b, sort, index->columns);
    }
}

/* A resource with several values stands where its smallest (descending: largest) is, and nowhere else. */
static void add_first_only(struct builder *b, const struct search_sort *sort)
{
    const struct sort_index *index = &sort_indexes[sort->rows];
    add_sql(b, " AND NOT EXISTS(SELECT 1 FROM ");
    add_sql(b, index->by_version);
    add_sql(b, " o WHERE o.seq = s.seq AND o.parameter = s.parameter");
    add_sql(b, sort->rows == INDEX_NUMBER ? " AND o.unit = 0 AND (" : " AND (");
    add_sql(b, index->columns);
    add_sql(b, sort->descending ? ") > (" : ") < (");
    add_sql(b, index->ordered);
    add_sql(b, "))");
}

/* " FROM … WHERE … ORDER BY …" of the rows of the first parameter's index whose resources fit, after the last page. */
static void add_along(struct search_run *run, struct builder *b)
{
    const struct search_query *query = run->query;
    const struct search_sort *sort = query->sorts;
    const struct sort_index *index = &sort_indexes[sort->rows];
    bool groups = query->sorts_count > 1;
    unsigned alias = new_alias(b);
    add_sql(b, " FROM ");
    add_index(b, sort->rows);
    add_sql(b, " s");
    add_join(b);
    add_sql(b, "version v0 ON v0.seq = s.seq WHERE s.parameter = ");
    add_integer(b, sort->parameter);
    add_sql(b, sort->rows == INDEX_NUMBER ? " AND s.unit = 0" : "");
    if (run->place.last_seq != 0) {
        add_after_last(run, b, sort, groups);
    }
    add_first_only(b, sort);
    add_types(b, alias, query->type, query->types, query->types_count);
    add_current(b, alias);
    add_visible(b, alias, query->type, query->types, query->types_count);
    add_criteria(b, alias, query->criteria, NULL);
    add_sql(b, " ORDER BY ");
    if (groups) {
        add_sql(b, sort->descending ? index->first_down : index->first);
        return;
    }
    add_sql(b, sort->descending ? index->down : index->ordered);
    add_sql(b, ", ");
    add_block_order(b, "s", sort->descending);
    add_sql(b, sort->descending ? "s.seq DESC LIMIT " : "s.seq LIMIT ");
    add_integer(b, (int64_t)run->wanted);
}

/* " AND NOT EXISTS(…)": no value of the first parameter. */
static void add_without_value(struct builder *b, const struct search_sort *sort)
{
    add_sql(b, " AND NOT EXISTS(SELECT 1 FROM ");
    add_sql(b, sort_indexes[sort->rows].by_version);
    add_sql(b, " WHERE seq = v0.seq AND parameter = ");
    add_integer(b, sort->parameter);
    add_sql(b, sort->rows == INDEX_NUMBER ? " AND unit = 0)" : ")");
}

/* ---- one parameter ---- */

static bool page_sorted(struct search_run *run, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT v0.seq, s.seq, ");
    add_sql(&b, sort_indexes[run->query->sorts->rows].ordered);
    add_along(run, &b);
    bool ok = search_seqs_collect(run, &b, error);
    builder_deinit(&b);
    return ok;
}

static bool page_rest(struct search_run *run, uint64_t last_seq, struct error *error)
{
    struct builder b;
    if (!builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_matches_in_sequence(run, &b, last_seq, false);
    add_without_value(&b, run->query->sorts);
    search_add_sequence_order(run, &b, false);
    bool ok = search_seqs_collect(run, &b, error);
    builder_deinit(&b);
    return ok;
}

/* ---- several parameters ---- */

struct gathered {
    struct search_candidate *candidates;
    size_t count;
    size_t room;
    size_t first_group;           /* of these have the first value of all */
    struct search_candidate last; /* hit of the page before; seq 0 = none */
};

static bool gathered_add(struct search_run *run, struct gathered *gathered,
                         const struct search_candidate *candidate, struct error *error)
{
    if (gathered->count == SORT_MEMORY_MAX) {
        return search_too_many(error);
    }
    if (gathered->count == gathered->room) {
        size_t room = gathered->room == 0 ? GATHERED_ROOM : 2 * gathered->room;
        struct search_candidate *grown = ARENA_ARRAY(run->arena, struct search_candidate, room);
        if (grown == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
        if (gathered->count > 0) {
            memcpy(grown, gathered->candidates, gathered->count * sizeof *grown);
        }
        gathered->candidates = grown;
        gathered->room = room;
    }
    gathered->candidates[gathered->count] = *candidate;
    gathered->count++;
    return true;
}

/* Whether the candidate begins a group that the page does not reach. Of the first group some stood on the page before. */
static bool is_enough(const struct search_run *run, struct gathered *gathered,
                      const struct search_candidate *candidate)
{
    if (gathered->count == 0 || search_values_compare(&gathered->candidates[gathered->count - 1].values[0],
                                                      &candidate->values[0]) == 0) {
        return false;
    }
    gathered->first_group = gathered->first_group == 0 ? gathered->count : gathered->first_group;
    size_t before = gathered->last.seq == 0 ? 0 : gathered->first_group;
    return gathered->count - before >= run->wanted;
}

static bool candidate_read(struct search_run *run, struct statement *statement,
                           struct search_candidate *candidate, struct error *error)
{
    candidate->seq = column_key(statement, 0);
    for (size_t i = 0; i < run->query->sorts_count; i++) {
        if (!column_value(run->arena, statement, (int)i + 1, &candidate->values[i], error)) {
            return false;
        }
    }
    return true;
}

static bool gather(struct search_run *run, struct builder *b, struct gathered *gathered, struct error *error)
{
    struct statement *statement = builder_statement(b, error);
    if (statement != NULL) {
        statement_stream(statement); /* the page ends it */
    }
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    bool enough = false;
    while (step == STEP_ROW && !enough) {
        struct search_candidate candidate = { 0 };
        bool ok = candidate_read(run, statement, &candidate, error);
        enough = ok && is_enough(run, gathered, &candidate);
        ok = ok && (enough || gathered_add(run, gathered, &candidate, error));
        step = !ok ? STEP_FAILED : enough ? STEP_DONE : statement_step(statement, error);
    }
    connection_release(run->reader->connection, statement);
    return step != STEP_FAILED;
}

/* In order into the page, but what stood on the pages before. */
static bool gathered_sort(struct search_run *run, struct gathered *gathered, struct error *error)
{
    void *query = (void *)(uintptr_t)run->query; /* qsort_r's argument is not const */
    if (!search_candidates_complete(run, gathered->candidates, gathered->count, error)) {
        return false;
    }
    if (gathered->count > 1) {
        qsort_r(gathered->candidates, gathered->count, sizeof *gathered->candidates,
                search_candidates_compare, query);
    }
    for (size_t i = 0; i < gathered->count && run->seqs_count < run->wanted; i++) {
        const struct search_candidate *candidate = &gathered->candidates[i];
        if (gathered->last.seq == 0 || search_candidates_compare(&gathered->last, candidate, query) < 0) {
            run->seqs[run->seqs_count] = candidate->seq;
            run->seqs_count++;
        }
    }
    return true;
}

static void add_sort_values(struct search_run *run, struct builder *b, size_t from)
{
    for (size_t i = from; i < run->query->sorts_count; i++) {
        add_sql(b, ", ");
        search_add_sort_value(b, &run->query->sorts[i]);
    }
}

/* The sort values of the last page's last hit, whoever may see it now. */
static bool last_read(struct search_run *run, struct search_candidate *last, struct error *error)
{
    struct builder b;
    if (run->place.last_seq == 0) {
        return true;
    }
    if (!builder_init(&b, run->reader, NULL, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT v0.seq");
    add_sort_values(run, &b, 0);
    add_sql(&b, " FROM version v0 WHERE v0.seq = ");
    add_key(&b, run->place.last_seq);
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    bool ok = step == STEP_DONE || (step == STEP_ROW && candidate_read(run, statement, last, error) &&
                                    search_candidates_complete(run, last, 1, error));
    connection_release(run->reader->connection, statement);
    builder_deinit(&b);
    return ok;
}

static bool page_groups(struct search_run *run, bool with_value, struct error *error)
{
    struct builder b;
    struct gathered gathered = { 0 };
    if (!last_read(run, &gathered.last, error) ||
        !builder_init(&b, run->reader, run->search->filter, run->arena, run->place.as_of_seq, error)) {
        return false;
    }
    if (with_value) {
        add_sql(&b, "SELECT v0.seq, ");
        add_sql(&b, sort_indexes[run->query->sorts->rows].first);
        add_sort_values(run, &b, 1);
        add_along(run, &b);
    } else {
        add_sql(&b, "SELECT v0.seq, NULL");
        add_sort_values(run, &b, 1);
        (void)add_matches(run, &b, " FROM ", 0, false);
        add_without_value(&b, run->query->sorts);
    }
    bool ok = gather(run, &b, &gathered, error);
    builder_deinit(&b);
    return ok && gathered_sort(run, &gathered, error);
}

/* ---- the page ---- */

/* The next page goes on among those without a value when this one reached them. */
static bool page_along(struct search_run *run, struct error *error)
{
    bool groups = run->query->sorts_count > 1;
    uint64_t rest_from = run->place.mode == MODE_REST ? run->place.last_seq : 0;
    if (run->place.mode == MODE_SORTED &&
        !(groups ? page_groups(run, true, error) : page_sorted(run, error))) {
        return false;
    }
    size_t page = run->wanted - 1;
    size_t with_value = run->seqs_count;
    if (with_value == run->wanted) {
        return true;
    }
    if (!(groups ? page_groups(run, false, error) : page_rest(run, rest_from, error))) {
        return false;
    }
    if (run->seqs_count > page && with_value < page) {
        run->place.mode = MODE_REST;
    }
    return true;
}

bool search_page_sorted(struct search_run *run, struct error *error)
{
    struct error why = { 0 };
    if (!run->trial) {
        return page_along(run, error);
    }
    struct database *database = run->reader->connection->database;
    struct connection *connection = run->reader->connection;
    /* A statement that is stopped takes PostgreSQL's transaction along, and the snapshot with it. */
    bool guarded = database_dialect(database) == DIALECT_POSTGRESQL;
    if (guarded && !connection_do(connection, SQL_SAVEPOINT, error)) {
        return false;
    }
    database_set_steps(database, (uint64_t)TRIAL_CANDIDATES * STEPS_A_CANDIDATE);
    bool ok = page_along(run, &why);
    database_set_steps(database, SEARCH_STEPS);
    if (guarded && !ok && database_in_transaction(database)) {
        connection_try(connection, SQL_SAVEPOINT_UNDO);
    }
    if (guarded && database_in_transaction(database)) {
        connection_try(connection, SQL_SAVEPOINT_RELEASE);
    }
    if (ok) {
        return true;
    }
    if (why.kind != ERROR_TOO_COSTLY) {
        if (error != NULL) {
            *error = why;
        }
        return false;
    }
    run->seqs_count = 0;
    run->place.mode = MODE_SORTED;
    uint64_t count = 0;
    if (!search_driver_count(run, SORT_STREAM_FROM + 1, &count, error)) {
        return false;
    }
    if (count > SORT_STREAM_FROM) {
        return page_along(run, error);
    }
    run->place.mode = MODE_MEMORY;
    return search_page_memory(run, error);
}
