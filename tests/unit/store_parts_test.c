/* What lies beside the resources: jobs, tables of other modules, views and their SQL, audit records. */
#include "store_fixture.h"

#include "store/jobs.h"
#include "store/views.h"

/* ---- jobs ---- */

static void jobs_run_once_and_survive(void **state)
{
    struct store *store = *state;
    struct store_job_new jobs[3] = {
        { .kind = STR("measure"), .subject = STR("ImagingStudy/1"), .unique = STR("m1"), .input = STR("{}") },
        { .kind = STR("measure"), .unique = STR("m1") }, /* is waiting already */
        { .kind = STR("export"), .run_after_ms = INT64_MAX - 1 },
    };
    struct store_set set = { .jobs = jobs, .jobs_count = 3 };
    assert_true(store_write_and_wait(store, &set, NULL));
    assert_int_equal(jobs[0].id, jobs[1].id);
    struct str kinds[2] = { STR("export"), STR("measure") };
    struct store_job job = { 0 };
    bool found = false;
    assert_true(store_job_take(store, &arena, kinds, 2, &job, &found, NULL));
    assert_true(found);
    assert_true(str_equal_cstr(job.kind, "measure") && str_equal_cstr(job.input, "{}"));
    assert_int_equal(job.attempts, 1);
    assert_true(store_job_progress(store, job.id, 500, NULL));
    struct store_job again = { 0 };
    assert_true(store_job_take(store, &arena, kinds, 2, &again, &found, NULL));
    assert_false(found);
    store_close(store); /* dies while it runs: is queued again */
    store = open_store(NULL);
    *state = store;
    assert_true(store_job_take(store, &arena, kinds, 2, &again, &found, NULL));
    assert_true(found);
    assert_int_equal(again.id, job.id);
    assert_int_equal(again.attempts, 2);
    struct store_job_end end = { .id = job.id, .state = STORE_JOB_DONE, .result = STR("ok") };
    assert_true(store_job_end(store, &end, NULL));
    struct error error = { 0 };
    assert_false(store_job_end(store, &end, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    struct store_reader *reader = NULL;
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_job_get(reader, &arena, job.id, &job, NULL));
    assert_int_equal(job.state, STORE_JOB_DONE);
    assert_int_equal(job.progress, 1000);
    assert_true(str_equal_cstr(job.result, "ok"));
    struct store_job *list = NULL;
    size_t count = 0;
    struct store_jobs_query query = { .state = STORE_JOB_QUEUED, .count = 10 };
    assert_true(store_job_list(reader, &arena, &query, &list, &count, NULL));
    assert_int_equal(count, 1);
    assert_true(str_equal_cstr(list[0].kind, "export"));
    assert_false(store_job_get(reader, &arena, 999, &job, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    store_reader_end(reader);
}

/* ---- tables of other modules ---- */

static const struct store_column account_columns[] = { { "name", STORE_VALUE_TEXT, 1 },
                                                       { "hash", STORE_VALUE_BYTES, 1 },
                                                       { "failures", STORE_VALUE_INTEGER, 1 },
                                                       { "email", STORE_VALUE_TEXT, 2 } };
static const struct store_table_index account_indexes[] = { { { "failures", NULL }, false, 1 },
                                                            { { "email", NULL }, true, 2 } };
static const struct store_table account_old = {
    "test_account", 1, account_columns, 3, 1, account_indexes, 1
};
static const struct store_table account_new = {
    "test_account", 2, account_columns, 4, 1, account_indexes, 2
};

struct account_change {
    const struct store_table *table;
    const char *name;
    int64_t failures;
    bool then_fail;
};

static bool account_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    const struct account_change *change = data;
    struct store_value row[4] = { store_text(str_from_cstr(change->name)),
                                  store_bytes(STR("\1\2")),
                                  store_integer(change->failures),
                                  { .kind = STORE_VALUE_NULL } };
    if (!store_rows_insert(transaction, change->table, row, error)) {
        return false;
    }
    return !change->then_fail || FAIL(error, ERROR_RULE, "changed my mind");
}

static bool account_touch(void *data, struct store_transaction *transaction, struct error *error)
{
    uint64_t *count = data;
    struct store_where where = { "failures", STORE_AT_LEAST, store_integer(2) };
    struct store_rows_query query = { .where = &where, .where_count = 1 };
    struct store_change change = { "email", store_text(STR("x")) };
    uint64_t updated = 0;
    if (!store_rows_update(transaction, &account_new, &query, &change, 1, &updated, error)) {
        return false;
    }
    where = (struct store_where){ "failures", STORE_LESS, store_integer(2) };
    if (!store_rows_delete(transaction, &account_new, &query, count, error)) {
        return false;
    }
    *count = *count * 10 + updated;
    return true;
}

static void tables_of_modules_migrate(void **state)
{
    store_close(*state);
    const struct store_table *tables[1] = { &account_old };
    struct store *store = open_store(&(struct store_options){ .tables = tables, .tables_count = 1 });
    struct account_change change = { &account_old, "county", 1, false };
    assert_true(store_apply_and_wait(store, account_apply, &change, STR_NONE, NULL));
    struct error error = { 0 };
    assert_false(store_apply_and_wait(store, account_apply, &change, STR_NONE, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    change.name = "nobody";
    change.then_fail = true;
    assert_false(store_apply_and_wait(store, account_apply, &change, STR_NONE, &error));
    assert_int_equal(error.kind, ERROR_RULE);
    store_close(store);

    tables[0] = &account_new;
    store = open_store(&(struct store_options){ .tables = tables, .tables_count = 1 });
    *state = store;
    change = (struct account_change){ &account_new, "expert", 2, false };
    assert_true(store_apply_and_wait(store, account_apply, &change, STR_NONE, NULL));
    struct store_reader *reader = NULL;
    const struct store_value *row = NULL;
    struct store_value key = store_text(STR("county"));
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_rows_get(reader, &arena, &account_new, &key, &row, NULL));
    assert_non_null(row);
    assert_int_equal(row[2].integer, 1);
    assert_int_equal(row[3].kind, STORE_VALUE_NULL);
    key = store_text(STR("nobody")); /* undone with its set */
    assert_true(store_rows_get(reader, &arena, &account_new, &key, &row, NULL));
    assert_null(row);
    struct store_rows rows = { 0 };
    struct store_rows_query query = { .order = { "failures" }, .descending = true };
    assert_true(store_rows_find(reader, &arena, &account_new, &query, &rows, NULL));
    assert_int_equal(rows.rows_count, 2);
    assert_true(str_equal_cstr(store_rows_value(&account_new, &rows, 0, "name")->text, "expert"));
    store_reader_end(reader);
    uint64_t count = 0;
    assert_true(store_apply_and_wait(store, account_touch, &count, STR_NONE, NULL));
    assert_int_equal(count, 11);
    store_close(store);

    tables[0] = &account_old; /* an older program */
    struct store_options options = { .folder = folder, .tables = tables, .tables_count = 1 };
    assert_false(store_open(&options, &store, &error));
    assert_non_null(strstr(error.text, "newer"));
    *state = open_store(NULL);
}

/* ---- views ---- */

static const struct store_column stay_columns[] = { { "ward", STORE_VALUE_TEXT, 1 },
                                                    { "days", STORE_VALUE_INTEGER, 1 } };
static const struct store_view stay_view = { "stay", "Patient", stay_columns, 2, true, 1 };

static void stay_put(struct store *store, const char *id, const char *ward, int64_t days)
{
    struct store_value values[2] = { store_text(str_from_cstr(ward)), store_integer(days) };
    struct store_view_rows rows = { STR("stay"), values, 2, 1 };
    struct store_write write = write_of(id, STORE_METHOD_UPDATED, "}}");
    write.view_rows = &rows;
    write.view_rows_count = 1;
    struct error error = { 0 };
    if (!write_one(store, &write, &error)) {
        fail_msg("stay: %s", error.text);
    }
}

static double figure(struct store *store, const char *text, uint64_t as_of_seq)
{
    struct store_sql_parameter parameter = { "ward", store_text(STR("A")) };
    struct store_sql sql = { .text = str_from_cstr(text),
                             .parameters = &parameter,
                             .parameters_count = 1,
                             .as_of_seq = as_of_seq,
                             .offset_minutes = 480 };
    struct store_sql_result result = { 0 };
    struct error error = { 0 };
    if (!store_sql_run(store, &arena, &sql, &result, &error)) {
        fail_msg("figure: %s", error.text);
    }
    assert_int_equal(result.columns_count, 1);
    assert_int_equal(result.rows_count, 1);
    if (result.values->kind == STORE_VALUE_NULL) {
        return -1;
    }
    return result.values->kind == STORE_VALUE_INTEGER ? (double)result.values->integer : result.values->real;
}

static void expect_number(double value, double expected)
{
    assert_true(value > expected - 1e-9 && value < expected + 1e-9);
}

static void views_keep_what_was_known(void **state)
{
    struct store *store = *state;
    uint64_t filled = 0;
    assert_true(store_view_define(store, &stay_view, &filled, NULL));
    assert_true(filled > 0); /* nothing to fill in an empty store */
    stay_put(store, "a", "A", 3);
    stay_put(store, "b", "A", 10);
    stay_put(store, "c", "B", 5);
    stay_put(store, "a", "B", 4); /* seq 4 */
    struct store_write gone = write_of("c", STORE_METHOD_DELETED, NULL);
    assert_true(write_one(store, &gone, NULL));
    expect_number(figure(store, "SELECT count(*) FROM stay WHERE ward = :ward", 0), 1);
    expect_number(figure(store, "SELECT count(*) FROM stay", 0), 2);
    expect_number(figure(store, "SELECT count(*) FROM stay WHERE ward = :ward", 3), 2);
    expect_number(figure(store, "SELECT sum(days) FROM stay", 3), 18);
    expect_number(figure(store, "SELECT sum(days) FROM stay", 4), 19);
    expect_number(figure(store, "SELECT sum(days) FROM stay", 1), 3);
    expect_number(figure(store, "SELECT median(days) FROM stay", 3), 5);
    expect_number(figure(store, "SELECT percentile(days, 0.75) FROM stay", 3), 7.5);
    expect_number(figure(store, "SELECT median(days) FROM stay WHERE days > 100", 0), -1);
    expect_number(figure(store, "SELECT ratio(1, 0)", 0), -1);
    expect_number(figure(store, "SELECT ratio(1, 4)", 0), 0.25);
    expect_number(figure(store, "SELECT days_between(0, 129600000)", 0), 1.5);
    expect_number(figure(store, "SELECT local_day(57600000)", 0),
                  1); /* 16:00 UTC is the next day at +08:00 */
    expect_number(figure(store,
                         "WITH w AS (SELECT ward, count(*) AS c FROM stay GROUP BY ward) "
                         "SELECT max(c) FROM w",
                         0),
                  1);
    static const char *const forbidden[] = {
        "SELECT body FROM version",
        "SELECT count(*) FROM version",
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
         "SELECT count(*) FROM n JOIN main.version"),
        "SELECT count(*) FROM sqlite_master",
        "DELETE FROM view_stay",
        "WITH view_x AS (SELECT * FROM version) SELECT seq FROM view_x",
        "PRAGMA query_only",
        "ATTACH '/tmp/x' AS x",
        "SELECT nothing FROM stay",
        "SELECT 1; SELECT 2",
        "SELECT load_extension('x')",
        "SELECT * FROM grants",
        ""
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        struct error error = { 0 };
        if (store_sql_check(store, str_from_cstr(forbidden[i]), &error)) {
            fail_msg("allowed: %s", forbidden[i]);
        }
        assert_int_equal(error.kind, ERROR_INPUT);
    }
    assert_true(store_sql_check(store, STR("SELECT resource_key, ward FROM stay WHERE days > :least"), NULL));
    struct store_sql endless = { .text =
                                     STR("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
                                         "SELECT count(*) FROM n"),
                                 .time_ms_max = 20 };
    struct store_sql_result result = { 0 };
    struct error error = { 0 };
    assert_false(store_sql_run(store, &arena, &endless, &result, &error));
    assert_int_equal(error.kind, ERROR_TOO_COSTLY);
    /* Another definition empties it; a refill brings the rows of what is there. */
    uint64_t epoch = store_definitions_epoch(store);
    struct store_view other = stay_view;
    other.digest = 2;
    assert_true(store_view_define(store, &other, &filled, NULL));
    assert_int_equal(filled, 0);
    assert_int_equal(store_definitions_epoch(store), epoch + 1);
    expect_number(figure(store, "SELECT count(*) FROM stay", 0), 0);
    struct store_value values[2] = { store_text(STR("A")), store_integer(8) };
    struct store_view_rows rows = { STR("stay"), values, 2, 1 };
    struct store_refill refills[2] = { { .seq = 2, .view_rows = &rows, .view_rows_count = 1 },
                                       { .seq = 1, .view_rows = &rows, .view_rows_count = 1 } };
    struct store_set set = { .refills = refills, .refills_count = 2 };
    assert_true(store_write_and_wait(store, &set, NULL));
    expect_number(figure(store, "SELECT sum(days) FROM stay", 0), 8); /* version 1 is no longer current */
    assert_true(store_view_set_filled(store, STR("stay"), 5, NULL));
    assert_true(store_view_define(store, &other, &filled, NULL));
    assert_int_equal(filled, 5);
    assert_true(store_view_drop(store, STR("stay"), NULL));
    assert_false(store_sql_check(store, STR("SELECT 1 FROM stay"), NULL));
}

/* ---- audit ---- */

struct sink {
    char text[256];
    size_t len;
    uint64_t last;
    uint64_t durable;
    bool failing;
};

static bool sink_append(void *data, uint64_t group, const struct str *records, size_t count,
                        struct error *error)
{
    struct sink *sink = data;
    if (sink->failing) {
        return FAIL(error, ERROR_FULL, "full");
    }
    if (group <= sink->last) {
        return true;
    }
    sink->last = group;
    for (size_t i = 0; i < count; i++) {
        memcpy(sink->text + sink->len, records[i].at, records[i].len);
        sink->len += records[i].len;
    }
    return true;
}

static uint64_t sink_durable(void *data)
{
    const struct sink *sink = data;
    return sink->durable;
}

static bool broken_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    (void)data;
    (void)transaction;
    return FAIL(error, ERROR_CONFLICT, "not like this");
}

static bool nothing(void *data, struct store_transaction *transaction, struct error *error)
{
    (void)data;
    (void)transaction;
    (void)error;
    return true;
}

static void audit_records_are_never_lost(void **state)
{
    store_close(*state);
    struct sink sink = { .last = 0 };
    struct store_audit_sink wiring = { &sink, sink_append, sink_durable };
    struct store_options options = { .audit = &wiring };
    struct store *store = open_store(&options);
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("a"), NULL));
    assert_false(store_apply_and_wait(store, broken_apply, NULL, STR("no"), NULL));
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("b"), NULL));
    sink.failing = true;
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("c"), NULL));
    sink.failing = false;
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("d"), NULL));
    assert_int_equal(sink.len, 4);
    assert_memory_equal(sink.text, "abcd", 4);
    sink.durable = sink.last;
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("e"), NULL));
    store_close(store);
    sink.last--; /* a power cut took the log's last group: it comes again */
    sink.len = 4;
    store = open_store(&options);
    assert_int_equal(sink.len, 5);
    assert_memory_equal(sink.text, "abcde", 5);
    assert_true(store_apply_and_wait(store, nothing, NULL, STR("f"), NULL));
    assert_memory_equal(sink.text, "abcdef", 6);
    *state = store;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(jobs_run_once_and_survive),
        IN_STORE(tables_of_modules_migrate),
        IN_STORE(views_keep_what_was_known),
        IN_STORE(audit_records_are_never_lost),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
