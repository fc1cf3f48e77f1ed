/* check.c — is the store whole? */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "store/body.h"
#include "store/internal.h"

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
static bool index_row_exists(struct store_reader *reader, const struct index_row *row, uint64_t seq,
                             bool *exists, struct error *error)
{
    static const enum sql asking[] = { [INDEX_KEY] = SQL_CHECK_HAS_KEY,
                                       [INDEX_TEXT] = SQL_CHECK_HAS_TEXT,
                                       [INDEX_DATE] = SQL_CHECK_HAS_DATE,
                                       [INDEX_NUMBER] = SQL_CHECK_HAS_NUMBER };
    struct statement *statement = connection_statement(reader->connection, asking[row->kind], error);
    if (statement == NULL) {
        return false;
    }
    bind_integer(statement, 1, row->parameter);
    int at = 2;
    switch (row->kind) {
    case INDEX_KEY:
        bind_key(statement, at++, row->key);
        break;
    case INDEX_TEXT:
        bind_text(statement, at++, index_text_cut(row->text));
        break;
    case INDEX_DATE:
        bind_integer(statement, at++, row->from_ms);
        bind_integer(statement, at++, row->to_ms);
        break;
    case INDEX_NUMBER:
        bind_key(statement, at++, row->key);
        bind_real(statement, at++, row->low);
        bind_real(statement, at++, row->high);
        break;
    }
    bind_key(statement, at, seq);
    enum step step = statement_step(statement, error);
    *exists = step == STEP_ROW;
    statement_reset(statement);
    return step != STEP_FAILED;
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
        bool exists = false;
        if (!index_row_exists(reader, &index.rows[i], version->seq, &exists, error)) {
            return false;
        }
        if (!exists) {
            found(report, "version %" PRIu64 " lacks an index row of parameter %u", version->seq,
                  index.rows[i].parameter);
        }
    }
    return true;
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
    return ok && bodies_check(store, report, error);
}
