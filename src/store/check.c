/* check.c — is the store whole? */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "store/body.h"
#include "store/internal.h"
#include "store/packed_rows.h"

enum { SAMPLE_ARENA_BYTES = 256 * 1024 * 1024, BODIES_PAGE = 200 };

static void found(struct store_check_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void found(struct store_check_report *report, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report->findings_count++;
    if (report->finding != NULL) {
        report->finding(report->data, text);
    }
}

static bool integrity_check(struct store_reader *reader, struct store_check_report *report,
                            struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_CHECK_INTEGRITY, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        struct str text = column_bytes(statement, 0);
        if (!str_equal(text, STR("ok"))) {
            found(report, "database: %.*s", STR_FMT(text));
        }
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool gaps_check(struct store_reader *reader, struct store_check_report *report, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_CHECK_GAPS, error);
    if (statement == NULL || statement_step(statement, error) != STEP_ROW) {
        statement_reset(statement);
        return false;
    }
    int64_t count = column_integer(statement, 0);
    int64_t last = column_integer(statement, 2);
    if (count > 0 && (column_integer(statement, 1) != 1 || count != last)) {
        found(report, "the sequence has gaps: %" PRId64 " versions up to number %" PRId64, count, last);
    }
    statement_reset(statement);
    return true;
}

static bool rows_check(struct store_reader *reader, enum sql which, const char *meaning,
                       struct store_check_report *report, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, which, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    while (step == STEP_ROW) {
        found(report, "%s: %" PRIu64, meaning, column_key(statement, 0));
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool counts_read(struct store_reader *reader, struct store_check_report *report, struct error *error)
{
    struct statement *statement = connection_statement(reader->connection, SQL_CHECK_COUNTS, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        report->versions_count = column_key(statement, 0);
        report->resources_count = column_key(statement, 1);
    }
    statement_reset(statement);
    return step == STEP_ROW;
}

/* Whether an index row that should be there is there. */
bool index_row_exists(struct store_reader *reader, const struct index_row *row, uint64_t seq, bool *exists,
                      struct error *error)
{
    static const enum sql asking[] = { [INDEX_KEY] = SQL_CHECK_HAS_KEY,
                                       [INDEX_TEXT] = SQL_CHECK_HAS_TEXT,
                                       [INDEX_DATE] = SQL_CHECK_HAS_DATE,
                                       [INDEX_NUMBER] = SQL_CHECK_HAS_NUMBER };
    struct statement *statement = connection_statement(reader->connection, asking[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_index_row(statement, row, seq);
    enum step step = statement_step(statement, error);
    *exists = step == STEP_ROW;
    statement_reset(statement);
    return step != STEP_FAILED;
}

/* ---- sums of rows ----
 * The rows that should be there and those that are, each kind as their number and the sum of a digest of each: equal
 * sums mean equal rows, in whatever order they come. */

struct index_sum {
    uint64_t count;
    uint64_t digest;
};

struct index_sums {
    struct index_sum kinds[INDEX_NUMBER + 1];
};

static void sum_add(struct index_sum *sum, const struct index_row *row, uint64_t seq)
{
    uint64_t digest = hash64_combine(hash64_combine(row->kind, row->parameter), seq);
    switch (row->kind) {
    case INDEX_KEY:
        digest = hash64_combine(digest, row->key);
        break;
    case INDEX_TEXT:
        digest = hash64_combine(digest, hash64(row->text, 1));
        break;
    case INDEX_DATE:
        digest = hash64_combine(hash64_combine(digest, (uint64_t)row->from_ms), (uint64_t)row->to_ms);
        break;
    case INDEX_NUMBER:
        digest = hash64_combine(digest, row->key);
        digest = hash64_combine(digest, (uint64_t)run_number_order(row->low));
        digest = hash64_combine(digest, (uint64_t)run_number_order(row->high));
        break;
    }
    sum->count++;
    sum->digest += digest;
}

/* The row as programs before store version 7 stored it; false when that is no other. */
static bool older_row(const struct index_row *row, struct index_row *older)
{
    *older = *row;
    older->key = row->whole;
    return !row->derived && row->whole != 0;
}

/* The rows that a version must have, and those that an older program may have left: derived ones, and such under an older
 * key, which take the place of the row. Only what is there of these is counted. */
struct expected {
    struct index_row *rows;
    size_t count;
};

static bool expected_add(struct expected *expected, struct store_reader *reader, const struct index_row *row,
                         uint64_t seq, struct error *error)
{
    struct index_row older;
    bool there = true;
    bool older_there = false;
    bool maybe = row->derived || older_row(row, &older);
    if (maybe && !index_row_exists(reader, row, seq, &there, error)) {
        return false;
    }
    if (older_row(row, &older) && !index_row_exists(reader, &older, seq, &older_there, error)) {
        return false;
    }
    if (there || (!row->derived && !older_there)) {
        expected->rows[expected->count++] = *row;
    }
    if (older_there) {
        expected->rows[expected->count++] = older;
    }
    return true;
}

static bool run_sums(struct index_sums *sums, const struct run *run, uint64_t seq)
{
    for (size_t i = 0; run != NULL && i < run->count; i++) {
        const struct run_row *from = &run->rows[i];
        enum index_kind kind = run_row_kind(from);
        const struct index_row row = { .kind = kind,
                                       .parameter = run_row_parameter(from),
                                       .key = (uint64_t)from->a,
                                       .text = kind == INDEX_TEXT ? run_row_text(run, from) : STR_NONE,
                                       .from_ms = from->a,
                                       .to_ms = from->b,
                                       .low = run_number(from->b),
                                       .high = run_number(from->c) };
        sum_add(&sums->kinds[kind], &row, seq);
    }
    return run != NULL;
}

/* A version's rows as the index has them: cut, and each once. */
static bool sums_of_version(struct index_sums *sums, struct store_reader *reader,
                            const struct index_rows *index, uint64_t seq, struct error *error)
{
    struct expected expected = { .rows = memory_new_array(2 * index->count + 1, sizeof *expected.rows) };
    struct run_entry *entries = memory_new_array(2 * index->count + 1, sizeof *entries);
    struct run *run = NULL;
    bool ok =
        (expected.rows != NULL && entries != NULL) || FAIL(error, ERROR_BUSY, "out of memory; try again");
    for (size_t i = 0; ok && i < index->count; i++) {
        ok = expected_add(&expected, reader, &index->rows[i], seq, error);
    }
    if (ok) {
        for (size_t i = 0; i < expected.count; i++) {
            entries[i] = (struct run_entry){ &expected.rows[i], seq, 0 };
        }
        run = run_create(entries, expected.count, 1);
        ok = run_sums(sums, run, seq) || FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    run_unref(run);
    memory_free(entries);
    memory_free(expected.rows);
    return ok;
}

/* Of what a statement gives: parameter, values, seq. */
static bool sum_of_rows(struct statement *statement, enum index_kind kind, struct index_sum *sum,
                        struct error *error)
{
    enum step step = statement_step(statement, error);
    while (step == STEP_ROW) {
        struct index_row row = { .kind = kind, .parameter = (uint32_t)column_integer(statement, 0) };
        int seq = statement_columns(statement) - 1;
        row.key = kind == INDEX_TEXT ? 0 : column_key(statement, 1);
        row.text = kind == INDEX_TEXT ? column_bytes(statement, 1) : STR_NONE;
        row.from_ms = (int64_t)row.key;
        row.to_ms = kind == INDEX_DATE ? column_integer(statement, 2) : 0;
        row.low = kind == INDEX_NUMBER ? column_real(statement, 2) : 0;
        row.high = kind == INDEX_NUMBER ? column_real(statement, 3) : 0;
        sum_add(sum, &row, column_key(statement, seq));
        step = statement_step(statement, error);
    }
    statement_reset(statement);
    return step == STEP_DONE;
}

static bool sum_of_index(struct store_reader *reader, enum index_kind kind, struct index_sum *sum,
                         struct error *error)
{
    static const enum sql asking[] = { [INDEX_KEY] = SQL_CHECK_ALL_KEY,
                                       [INDEX_TEXT] = SQL_CHECK_ALL_TEXT,
                                       [INDEX_DATE] = SQL_CHECK_ALL_DATE,
                                       [INDEX_NUMBER] = SQL_CHECK_ALL_NUMBER };
    struct statement *statement = connection_statement(reader->connection, asking[kind], error);
    if (statement == NULL) {
        return false;
    }
    statement_stream(statement);
    return sum_of_rows(statement, kind, sum, error);
}

/* ---- the rows by version ---- */

static bool packed_row_equal(const struct index_row *a, const struct index_row *b)
{
    return a->kind == b->kind && a->parameter == b->parameter && a->key == b->key &&
           str_equal(a->text, b->text) && a->from_ms == b->from_ms && a->to_ms == b->to_ms &&
           run_number_order(a->low) == run_number_order(b->low) &&
           run_number_order(a->high) == run_number_order(b->high);
}

/* Whether a row is among the packed ones. */
static enum packed packed_row_find(struct str bytes, const struct index_row *wanted)
{
    struct packed_reader reader;
    struct index_row row = { 0 };
    enum packed packed = packed_rows_begin(&reader, bytes);
    while (packed != PACKED_DAMAGED) {
        packed = packed_rows_next(&reader, &row);
        if (packed == PACKED_END || (packed == PACKED_ROW && packed_row_equal(&row, wanted))) {
            break;
        }
    }
    return packed;
}

static void packed_compare(struct str stored, struct str wanted, uint64_t seq,
                           struct store_check_report *report)
{
    struct packed_reader reader;
    struct index_row row = { 0 };
    if (str_equal(stored, wanted)) {
        return;
    }
    enum packed made = packed_rows_begin(&reader, wanted);
    enum packed there = PACKED_ROW;
    while (made != PACKED_DAMAGED && packed_rows_next(&reader, &row) == PACKED_ROW && there == PACKED_ROW) {
        there = packed_row_find(stored, &row);
    }
    if (there == PACKED_DAMAGED) {
        found(report, "version %" PRIu64 " has damaged rows of its own", seq);
    } else if (there == PACKED_END) {
        found(report, "version %" PRIu64 " lacks a row of its own of parameter %u", seq, row.parameter);
    }
}

/* The same as columns of arrays: whether a row is among them, as the searches see them. */
static bool own_row_exists(struct store_reader *reader, const struct index_row *row, uint64_t seq,
                           bool *exists, struct error *error)
{
    static const enum sql asking[] = { [INDEX_KEY] = SQL_CHECK_OF_REFERENCE,
                                       [INDEX_TEXT] = SQL_CHECK_HAS_TEXT,
                                       [INDEX_DATE] = SQL_CHECK_OF_DATE,
                                       [INDEX_NUMBER] = SQL_CHECK_OF_NUMBER };
    struct statement *statement = connection_statement(reader->connection, asking[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_index_row(statement, row, seq);
    enum step step = statement_step(statement, error);
    *exists = step == STEP_ROW;
    statement_reset(statement);
    return step != STEP_FAILED;
}

/* Rows beyond what the body says may be an older program's. */
static bool columns_check(struct store_reader *reader, uint64_t seq, const struct index_rows *index,
                          struct store_check_report *report, struct error *error)
{
    bool all = true;
    bool ok = true;
    for (size_t i = 0; ok && all && i < index->count; i++) {
        const struct index_row *row = &index->rows[i];
        if (!row->derived && (row->kind != INDEX_KEY || row->reference)) {
            ok = own_row_exists(reader, row, seq, &all, error);
        }
    }
    if (ok && !all) {
        found(report, "version %" PRIu64 ": its own rows are not what its body says", seq);
    }
    return ok;
}

/* The version's own column of rows against those that its body has. */
static bool packed_check(struct store_reader *reader, struct arena *arena, uint64_t seq,
                         const struct index_rows *index, struct store_check_report *report,
                         struct error *error)
{
    struct str wanted = STR_NONE;
    if (!database_packs_rows(reader->connection->database)) {
        return columns_check(reader, seq, index, report, error);
    }
    struct statement *statement = connection_statement(reader->connection, SQL_ROWS_GET, error);
    if (statement == NULL || !packed_rows_make(arena, index, &wanted, error)) {
        return false;
    }
    bind_key(statement, 1, seq);
    enum step step = statement_step(statement, error);
    if (step == STEP_ROW) {
        packed_compare(column_bytes(statement, 0), wanted, seq, report);
    }
    statement_reset(statement);
    return step != STEP_FAILED;
}

static bool row_or_older_exists(struct store_reader *reader, const struct index_row *row, uint64_t seq,
                                bool *exists, struct error *error)
{
    struct index_row older;
    return index_row_exists(reader, row, seq, exists, error) &&
           (*exists || !older_row(row, &older) || index_row_exists(reader, &older, seq, exists, error));
}

static bool sample_check(struct store_reader *reader, struct arena *arena,
                         const struct store_version *version, struct store_check_report *report,
                         struct error *error)
{
    const struct store_options *options = &reader->store->options;
    struct str text = STR_NONE;
    struct index_rows index = { 0 };
    if (!store_body_text(arena, version, &text, error)) {
        return false;
    }
    struct error why = { 0 };
    if (!options->index_rows(options->index_rows_data, arena, version->type, text, &index, &why)) {
        found(report, "version %" PRIu64 " cannot be indexed: %s", version->seq, why.text);
        return true;
    }
    for (size_t i = 0; i < index.count; i++) {
        const struct index_row *row = &index.rows[i];
        bool exists = row->derived && row->whole == 0; /* of a composite: its whole row is looked for */
        if (!exists && !(row->derived ? coding_exists(reader, row, &exists, error)
                                      : row_or_older_exists(reader, row, version->seq, &exists, error))) {
            return false;
        }
        if (!exists) {
            found(report, "version %" PRIu64 " lacks an index row of parameter %u", version->seq,
                  index.rows[i].parameter);
        }
    }
    return packed_check(reader, arena, version->seq, &index, report, error);
}

/* ---- the whole index ---- */

/* The rows of all current versions, computed again. */
static bool sums_compute(struct store_reader *reader, struct arena *arena, struct store_check_report *report,
                         struct index_sums *sums, struct error *error)
{
    const struct store_options *options = &reader->store->options;
    uint64_t after_seq = 0;
    bool more = true;
    bool ok = true;
    while (ok && more) {
        struct store_page page = { 0 };
        ok = store_read_feed(reader, arena, after_seq, STR_NONE, BODIES_PAGE, false, &page, error);
        for (size_t i = 0; ok && i < page.count; i++) {
            const struct store_version *version = &page.versions[i];
            struct str text = STR_NONE;
            struct index_rows index = { 0 };
            if (version->ended_seq == 0 && version->body.at != NULL) {
                ok = store_body_text(arena, version, &text, error) &&
                     options->index_rows(options->index_rows_data, arena, version->type, text, &index,
                                         error) &&
                     sums_of_version(sums, reader, &index, version->seq, error) &&
                     packed_check(reader, arena, version->seq, &index, report, error);
            }
        }
        after_seq = page.next_seq;
        more = page.more;
        if (ok && report->progress != NULL) {
            report->progress(report->data, more ? after_seq : report->versions_count, report->versions_count);
        }
        arena_reset(arena);
    }
    return ok;
}

static bool whole_index_check(struct store *store, struct store_check_report *report, struct error *error)
{
    static const char *const names[] = {
        [INDEX_KEY] = "keys", [INDEX_TEXT] = "texts", [INDEX_DATE] = "dates", [INDEX_NUMBER] = "numbers"
    };
    struct arena arena = { .bytes_max = SAMPLE_ARENA_BYTES };
    struct index_sums wanted = { 0 };
    struct store_reader *reader = NULL;
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    database_set_deadline(reader->connection->database, 0); /* one snapshot, however long it takes */
    bool ok = sums_compute(reader, &arena, report, &wanted, error);
    for (enum index_kind kind = INDEX_KEY; ok && kind <= INDEX_NUMBER; kind++) {
        struct index_sum there = { 0 };
        ok = sum_of_index(reader, kind, &there, error);
        if (ok && (there.count != wanted.kinds[kind].count || there.digest != wanted.kinds[kind].digest)) {
            found(report, "the index of %s is not what the bodies say: %" PRIu64 " rows of %" PRIu64,
                  names[kind], there.count, wanted.kinds[kind].count);
        }
    }
    store_reader_end(reader);
    arena_deinit(&arena);
    return ok;
}

/* One page of the feed: every body is unpacked; every n-th current version has its index rows computed again.
 * A fresh snapshot a page, so that checking a large store does not hold the log back. */
static bool page_check(struct store *store, struct arena *arena, uint64_t *after_seq, uint64_t sample_step,
                       struct store_check_report *report, bool *more, struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_page page = { 0 };
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    bool ok = store_read_feed(reader, arena, *after_seq, STR_NONE, BODIES_PAGE, true, &page, error);
    for (size_t i = 0; ok && i < page.count; i++) {
        struct store_version version = { 0 };
        struct error why = { 0 };
        uint64_t seq = page.versions[i].seq;
        if (!store_read_seqs(reader, arena, &seq, 1, &version, &why)) {
            found(report, "version %" PRIu64 " cannot be read: %s", seq, why.text);
            continue;
        }
        if (sample_step != 0 && seq % sample_step == 0 && version.ended_seq == 0 && version.body.at != NULL) {
            ok = sample_check(reader, arena, &version, report, error);
        }
    }
    store_reader_end(reader);
    *after_seq = page.next_seq;
    *more = page.more;
    return ok;
}

static bool bodies_check(struct store *store, struct store_check_report *report, struct error *error)
{
    uint64_t step = 0;
    if (report->sample_count > 0 && store->options.index_rows != NULL) {
        step = report->versions_count / report->sample_count;
        step = step == 0 ? 1 : step;
    }
    struct arena arena = { .bytes_max = SAMPLE_ARENA_BYTES };
    uint64_t after_seq = 0;
    bool more = true;
    bool ok = true;
    while (ok && more) {
        ok = page_check(store, &arena, &after_seq, step, report, &more, error);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return ok;
}

bool store_check(struct store *store, struct store_check_report *report, struct error *error)
{
    struct store_reader *reader = NULL;
    report->findings_count = 0;
    if (!store_reader_begin(store, &reader, error)) {
        return false;
    }
    database_set_deadline(reader->connection->database, 0); /* takes as long as it takes */
    bool ok = integrity_check(reader, report, error) && gaps_check(reader, report, error) &&
              rows_check(reader, SQL_CHECK_RESOURCES, "resource without its latest version", report, error) &&
              rows_check(reader, SQL_CHECK_CURRENT, "version that claims to be the latest", report, error) &&
              rows_check(reader, SQL_CHECK_CHAIN, "version whose follower is missing", report, error) &&
              counts_read(reader, report, error);
    store_reader_end(reader);
    return ok && bodies_check(store, report, error) &&
           (!report->whole_index || store->options.index_rows == NULL ||
            whole_index_check(store, report, error));
}
