/* The store: preconditions, groups, history, rights by grants, jobs, tables, views, checks, a full disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "store/body.h"
#include "store/jobs.h"
#include "store/search.h"
#include "store/views.h"

static char folder[64];
static struct arena arena = { .bytes_max = 64u << 20 };

/* ---- helpers ---- */

static void folder_new(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void folder_delete(void)
{
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static struct store *open_store(const struct store_options *options)
{
    struct store_options all = options == NULL ? (struct store_options){ 0 } : *options;
    all.folder = folder;
    struct store *store = NULL;
    struct error error = { 0 };
    if (!store_open(&all, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    return store;
}

static int setup(void **state)
{
    folder_new();
    *state = open_store(NULL);
    return 0;
}

static int teardown(void **state)
{
    store_close(*state);
    arena_reset(&arena);
    folder_delete();
    return 0;
}

static struct store_write write_of(const char *id, enum store_method method, const char *body)
{
    return (struct store_write){
        .type = STR("Patient"), .id = str_from_cstr(id), .method = method, .body = str_from_cstr(body)
    };
}

static bool write_one(struct store *store, struct store_write *write, struct error *error)
{
    struct store_set set = { .arena = &arena, .writes = write, .writes_count = 1 };
    return store_write_and_wait(store, &set, error);
}

static uint64_t put(struct store *store, const char *id, const char *body)
{
    struct store_write write = write_of(id, STORE_METHOD_UPDATED, body);
    struct error error = { 0 };
    if (!write_one(store, &write, &error)) {
        fail_msg("put: %s", error.text);
    }
    return write.result.seq;
}

static void expect_body(struct store *store, const char *id, const char *body)
{
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_read(reader, &arena, STR("Patient"), str_from_cstr(id), &version, NULL));
    assert_int_equal(version.body.len, strlen(body));
    assert_memory_equal(version.body.at, body, strlen(body));
    store_reader_end(reader);
}

static void expect_clean(struct store *store)
{
    struct store_check_report report = { 0 };
    struct error error = { 0 };
    if (!store_check(store, &report, &error)) {
        fail_msg("check: %s", error.text);
    }
    assert_int_equal(report.findings_count, 0);
}

/* ---- bodies ---- */

static void body_is_a_tail(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "{\"resourceType\":\"Patient\",\"id\":\"9\",\"meta\":{\"versionId\":\"3\",\"profile\":[\"p\"],"
          "\"lastUpdated\":\"x\"},\"active\":true}",
          ",\"profile\":[\"p\"]},\"active\":true}" },
        { "{ \"active\" : 1.00 , \"resourceType\":\"Patient\"}", "},\"active\":1.00}" },
        { "{\"resourceType\":\"Patient\"}", "}}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json *tree = NULL;
        struct str body = STR_NONE;
        assert_true(json_read(&arena, str_from_cstr(cases[i][0]), &tree, NULL));
        assert_true(store_body_from_json(&arena, tree, &body, NULL));
        assert_true(str_equal_cstr(body, cases[i][1]));
        struct store_version version = {
            .type = STR("Patient"), .id = STR("a"), .version = 2, .updated_ms = 1581402600123, .body = body
        };
        struct str text = STR_NONE;
        assert_true(store_body_text(&arena, &version, &text, NULL));
        assert_true(
            str_starts_with(text, STR("{\"resourceType\":\"Patient\",\"id\":\"a\",\"meta\":{\"versionId\":"
                                      "\"2\",\"lastUpdated\":\"2020-02-11T06:30:00.123Z\"")));
        assert_true(json_read(&arena, text, &tree, NULL));
    }
    struct json *tree = NULL;
    struct str body = STR_NONE;
    assert_true(json_read(&arena, STR("[1]"), &tree, NULL));
    assert_false(store_body_from_json(&arena, tree, &body, NULL));
    arena_reset(&arena);
}

/* ---- single writes ---- */

static void versions_follow_each_other(void **state)
{
    struct store *store = *state;
    struct store_write write = write_of("a", STORE_METHOD_CREATED, "},\"n\":1}");
    write.custodian = 77;
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.version, 1);
    assert_int_equal(write.result.seq, 1);
    assert_int_equal(write.result.method, STORE_METHOD_CREATED);
    assert_int_equal(put(store, "a", "},\"n\":2}"), 2);
    expect_body(store, "a", "},\"n\":2}");

    struct error error = { 0 };
    write = write_of("a", STORE_METHOD_CREATED, "}}");
    assert_false(write_one(store, &write, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    write = write_of("a", STORE_METHOD_UPDATED, "},\"n\":3}");
    write.expect = STORE_EXPECT_VERSION;
    write.version = 1;
    assert_false(write_one(store, &write, &error));
    assert_int_equal(error.kind, ERROR_PRECONDITION);
    write.version = 2;
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.version, 3);

    write = write_of("a", STORE_METHOD_DELETED, NULL);
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.version, 4);
    write = write_of("a", STORE_METHOD_DELETED, NULL);
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.seq, 0);
    write = write_of("a", STORE_METHOD_UPDATED, "},\"n\":5}");
    write.expect = STORE_EXPECT_ABSENT;
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.version, 5);
    assert_int_equal(write.result.method, STORE_METHOD_CREATED);

    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_int_equal(store_reader_seq(reader), 5);
    assert_true(store_read_version(reader, &arena, STR("Patient"), STR("a"), 1, &version, NULL));
    assert_true(str_equal_cstr(version.body, "},\"n\":1}"));
    assert_int_equal(version.ended_seq, 2);
    assert_int_equal(version.custodian, 77);
    assert_true(store_read_version(reader, &arena, STR("Patient"), STR("a"), 4, &version, NULL));
    assert_int_equal(version.method, STORE_METHOD_DELETED);
    assert_null(version.body.at);
    assert_int_equal(version.custodian, 77); /* kept from version to version */
    assert_false(store_read_version(reader, &arena, STR("Patient"), STR("a"), 6, &version, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_false(store_read(reader, &arena, STR("Observation"), STR("a"), &version, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_true(store_read_as_of(reader, &arena, STR("Patient"), STR("a"), 2, &version, NULL));
    assert_int_equal(version.version, 2);
    assert_false(store_read_as_of(reader, &arena, STR("Patient"), STR("a"), 0, &version, NULL));
    store_reader_end(reader);
    expect_clean(store);
}

static void wrong_writes_are_refused(void **state)
{
    struct store *store = *state;
    struct error error = { 0 };
    static const char *const bad_ids[] = {
        "", "a/b", "a b", "é", "12345678901234567890123456789012345678901234567890123456789012345"
    };
    for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++) {
        struct store_write write = write_of(bad_ids[i], STORE_METHOD_UPDATED, "}}");
        assert_false(write_one(store, &write, &error));
        assert_int_equal(error.kind, ERROR_INPUT);
    }
    struct store_write twice[2] = { write_of("a", STORE_METHOD_UPDATED, "}}"),
                                    write_of("a", STORE_METHOD_UPDATED, "}}") };
    struct store_set set = { .arena = &arena, .writes = twice, .writes_count = 2 };
    assert_false(store_write_and_wait(store, &set, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    struct store_write stale = write_of("b", STORE_METHOD_UPDATED, "}}");
    set = (struct store_set){ .arena = &arena, .writes = &stale, .writes_count = 1, .definitions_epoch = 1 };
    uint64_t epoch = 0;
    assert_true(store_raise_definitions_epoch(store, &epoch, NULL));
    assert_int_equal(epoch, 2);
    assert_false(store_write_and_wait(store, &set, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_int_equal(store_seq(store), 0);
}

static void ids_of_both_kinds_come_back(void **state)
{
    struct store *store = *state;
    static const char *const ids[] = { "0190a6f2-7c00-7abc-8def-0123456789ab",
                                       "0190A6F2-7C00-7ABC-8DEF-0123456789AB", "sixteen-bytes-id", "1" };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        (void)put(store, ids[i], "}}");
    }
    struct store_reader *reader = NULL;
    struct store_page page = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_read_feed(reader, &arena, 0, STR_NONE, 10, false, &page, NULL));
    assert_int_equal(page.count, 4);
    for (size_t i = 0; i < page.count; i++) {
        assert_true(str_equal_cstr(page.versions[i].id, ids[i]));
    }
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    assert_true(
        store_resource_name(reader, &arena, hash_resource_key(STR("Patient"), STR("1")), &type, &id, NULL));
    assert_true(str_equal_cstr(type, "Patient") && str_equal_cstr(id, "1"));
    store_reader_end(reader);
}

/* ---- groups ---- */

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ended;
    int refused;
    bool held; /* keeps the writer inside a decide until the crowd is queued */
};

static void crowd_done(struct store_set *set, const struct error *error)
{
    struct crowd *crowd = set->data;
    (void)pthread_mutex_lock(&crowd->lock);
    crowd->ended++;
    crowd->refused += error != NULL ? 1 : 0;
    (void)pthread_cond_broadcast(&crowd->changed);
    (void)pthread_mutex_unlock(&crowd->lock);
}

static bool hold(void *data, struct store_reader *inside, struct error *error)
{
    (void)inside;
    (void)error;
    struct crowd *crowd = data;
    (void)pthread_mutex_lock(&crowd->lock);
    while (crowd->held) {
        (void)pthread_cond_wait(&crowd->changed, &crowd->lock);
    }
    (void)pthread_mutex_unlock(&crowd->lock);
    return true;
}

static void crowd_wait(struct crowd *crowd, int count)
{
    (void)pthread_mutex_lock(&crowd->lock);
    while (crowd->ended < count) {
        (void)pthread_cond_wait(&crowd->changed, &crowd->lock);
    }
    (void)pthread_mutex_unlock(&crowd->lock);
}

/* One bed, one person: sees what the sets before it in the same group wrote. */
static bool bed_is_free(void *data, struct store_reader *inside, struct error *error)
{
    (void)data;
    struct store_version version = { 0 };
    if (store_read(inside, &arena, STR("Patient"), STR("bed"), &version, NULL)) {
        return FAIL(error, ERROR_RULE, "the bed is taken");
    }
    return true;
}

static bool broken_apply(void *data, struct store_transaction *transaction, struct error *error)
{
    (void)data;
    (void)transaction;
    return FAIL(error, ERROR_CONFLICT, "not like this");
}

static void a_refused_set_harms_no_other(void **state)
{
    struct store *store = *state;
    struct crowd crowd = { .lock = PTHREAD_MUTEX_INITIALIZER,
                           .changed = PTHREAD_COND_INITIALIZER,
                           .held = true };
    enum { SETS = 12 };
    struct store_write writes[SETS];
    struct store_set sets[SETS];
    char ids[SETS][16];
    for (int i = 0; i < SETS; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "p%d", i);
        writes[i] = write_of(ids[i], STORE_METHOD_CREATED, "}}");
        sets[i] = (struct store_set){
            .arena = &arena, .writes = &writes[i], .writes_count = 1, .done = crowd_done, .data = &crowd
        };
    }
    sets[0].decide = hold;    /* the rest queues behind it and becomes one group */
    writes[3].id = STR("p2"); /* exists by then */
    writes[5].id = STR("bed");
    sets[5].decide = bed_is_free;
    writes[6].id = STR("bed");
    writes[6].method = STORE_METHOD_UPDATED;
    sets[6].decide = bed_is_free; /* the second taker */
    sets[8].apply = broken_apply;
    writes[9].expect = STORE_EXPECT_VERSION;
    writes[9].method = STORE_METHOD_UPDATED;
    writes[9].version = 4;
    for (int i = 0; i < SETS; i++) {
        assert_true(store_submit(store, &sets[i], NULL));
    }
    (void)pthread_mutex_lock(&crowd.lock);
    crowd.held = false;
    (void)pthread_cond_broadcast(&crowd.changed);
    (void)pthread_mutex_unlock(&crowd.lock);
    crowd_wait(&crowd, SETS);
    assert_int_equal(crowd.refused, 4);
    assert_int_equal(store_seq(store), SETS - 4);
    struct store_counts counts = { 0 };
    store_counts(store, &counts);
    assert_int_equal(counts.sets_refused, 4);
    assert_true(counts.groups <= 3);
    expect_body(store, "bed", "}}");
    expect_clean(store);
}

static void a_set_is_whole_or_not_there(void **state)
{
    struct store *store = *state;
    (void)put(store, "there", "}}");
    struct store_write writes[3] = { write_of("x", STORE_METHOD_CREATED, "}}"),
                                     write_of("y", STORE_METHOD_CREATED, "}}"),
                                     write_of("there", STORE_METHOD_CREATED, "}}") };
    struct store_set set = { .arena = &arena, .writes = writes, .writes_count = 3 };
    struct error error = { 0 };
    assert_false(store_write_and_wait(store, &set, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_int_equal(store_seq(store), 1);
    struct store_condition condition = {
        .kind = STORE_CONDITION_VERSION, .type = STR("Patient"), .id = STR("there"), .version = 9
    };
    set = (struct store_set){
        .arena = &arena, .writes = writes, .writes_count = 2, .conditions = &condition, .conditions_count = 1
    };
    assert_false(store_write_and_wait(store, &set, &error));
    assert_int_equal(error.kind, ERROR_PRECONDITION);
    condition.version = 1;
    assert_true(store_write_and_wait(store, &set, NULL));
    assert_int_equal(store_seq(store), 3);
}

/* ---- history, feed, time ---- */

static int64_t test_now_ms;
static int64_t test_now(void)
{
    return test_now_ms;
}

static void history_goes_back_page_by_page(void **state)
{
    store_close(*state);
    test_now_ms = 1000000;
    struct store *store = open_store(&(struct store_options){ .now_ms = test_now });
    *state = store;
    for (int i = 1; i <= 7; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "},\"n\":%d}", i);
        test_now_ms = 1000000 + i * 1000;
        (void)put(store, "a", body);
        (void)put(store, "b", body);
    }
    struct store_reader *reader = NULL;
    assert_true(store_reader_begin(store, &reader, NULL));
    struct store_history history = { .type = STR("Patient"), .id = STR("a"), .count = 3 };
    struct store_page page = { 0 };
    uint64_t expected = 7;
    do {
        assert_true(store_read_history(reader, &arena, &history, &page, NULL));
        for (size_t i = 0; i < page.count; i++) {
            assert_int_equal(page.versions[i].version, expected);
            expected--;
        }
        history.before_seq = page.next_seq;
    } while (page.more);
    assert_int_equal(expected, 0);
    history = (struct store_history){
        .type = STR("Patient"), .since_ms = 1003000, .until_ms = 1005000, .count = 10
    };
    assert_true(store_read_history(reader, &arena, &history, &page, NULL));
    assert_int_equal(page.count, 4);
    assert_int_equal(page.versions[0].seq, 8);
    uint64_t count = 0;
    assert_true(store_count_history(reader, &history, &count, NULL));
    assert_int_equal(count, 4);
    history = (struct store_history){ .type = STR("Observation"), .count = 10 };
    assert_true(store_read_history(reader, &arena, &history, &page, NULL));
    assert_int_equal(page.count, 0);
    history = (struct store_history){ .count = 14, .without_bodies = true };
    assert_true(store_read_history(reader, &arena, &history, &page, NULL));
    assert_int_equal(page.count, 14);
    assert_false(page.more);
    assert_null(page.versions[0].body.at);
    uint64_t seq = 0;
    assert_true(store_seq_before(reader, 1003000, &seq, NULL));
    assert_int_equal(seq, 4);
    assert_true(store_seq_before(reader, 1, &seq, NULL));
    assert_int_equal(seq, 0);
    assert_true(store_seq_before(reader, INT64_MAX, &seq, NULL));
    assert_int_equal(seq, 14);
    store_reader_end(reader);
    assert_int_equal(store_wait(store, 13, 1000), 14);
    assert_int_equal(store_wait(store, 14, 5), 14);
    assert_true(store_cursor_set(store, STR("one"), 12, NULL));
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_cursor_get(reader, STR("one"), &seq, NULL));
    assert_int_equal(seq, 12);
    assert_true(store_cursor_get(reader, STR("two"), &seq, NULL));
    assert_int_equal(seq, 0);
    store_reader_end(reader);
}

static void time_never_goes_back(void **state)
{
    store_close(*state);
    test_now_ms = 10000000;
    struct store *store = open_store(&(struct store_options){ .now_ms = test_now });
    *state = store;
    (void)put(store, "a", "}}");
    test_now_ms -= 60000; /* a minute back: the time of the last change is used again */
    struct store_write write = write_of("b", STORE_METHOD_CREATED, "}}");
    assert_true(write_one(store, &write, NULL));
    assert_int_equal(write.result.updated_ms, 10000000);
    test_now_ms -= 300000;
    struct error error = { 0 };
    write = write_of("c", STORE_METHOD_CREATED, "}}");
    assert_false(write_one(store, &write, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_non_null(strstr(error.text, "clock"));
    expect_body(store, "a", "}}");
    test_now_ms = 10000001;
    assert_true(write_one(store, &write, NULL));
}

static void readers_see_one_moment(void **state)
{
    struct store *store = *state;
    (void)put(store, "a", "},\"n\":1}");
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    (void)put(store, "a", "},\"n\":2}");
    assert_true(store_read(reader, &arena, STR("Patient"), STR("a"), &version, NULL));
    assert_int_equal(version.version, 1);
    assert_int_equal(store_reader_seq(reader), 1);
    store_reader_end(reader);
    expect_body(store, "a", "},\"n\":2}");
}

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
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
        "SELECT count(*) FROM n JOIN main.version",
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

/* ---- settings, locks, damage ---- */

static void settings_and_backup(void **state)
{
    struct store *store = *state;
    struct str value = STR_NONE;
    assert_true(store_setting_get(store, &arena, STR("demo"), STR("x"), &value, NULL));
    assert_null(value.at);
    assert_true(store_setting_set(store, STR("demo"), STR("x"), STR("1"), NULL));
    assert_true(store_setting_set(store, STR("demo"), STR("x"), STR("2"), NULL));
    assert_true(store_setting_get(store, &arena, STR("demo"), STR("x"), &value, NULL));
    assert_true(str_equal_cstr(value, "2"));
    (void)put(store, "a", "},\"n\":1}");
    char copy[96];
    (void)snprintf(copy, sizeof copy, "%s/copy", folder);
    assert_int_equal(mkdir(copy, 0700), 0);
    (void)snprintf(copy, sizeof copy, "%s/copy/store.db", folder);
    assert_true(store_backup(store, copy, NULL));
    assert_false(store_backup(store, copy, NULL));
    (void)put(store, "a", "},\"n\":2}");
    char copy_folder[96];
    (void)snprintf(copy_folder, sizeof copy_folder, "%s/copy", folder);
    struct store_options options = { .folder = copy_folder };
    struct store *restored = NULL;
    assert_true(store_open(&options, &restored, NULL));
    expect_body(restored, "a", "},\"n\":1}");
    expect_clean(restored);
    store_close(restored);
}

static void a_second_process_and_a_newer_store_are_refused(void **state)
{
    struct store *store = *state;
    struct store_options options = { .folder = folder };
    struct store *second = NULL;
    struct error error = { 0 };
    assert_false(store_open(&options, &second, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    options.read_only = true;
    assert_true(store_open(&options, &second, NULL));
    struct store_write write = write_of("a", STORE_METHOD_CREATED, "}}");
    assert_false(write_one(second, &write, &error));
    assert_int_equal(error.kind, ERROR_FORBIDDEN);
    store_close(second);
    store_close(store);
    *state = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    assert_true(file_write_atomically(path,
                                      STR("this is no database at all, but long enough to be looked at by "
                                          "the engine, which reads the first hundred bytes of its header"),
                                      0600, NULL));
    options.read_only = false;
    assert_false(store_open(&options, &second, &error));
    assert_non_null(strstr(error.text, "damaged"));
    options.folder = "/dev/null/nowhere";
    assert_false(store_open(&options, &second, &error));
}

static void damage_is_found(void **state)
{
    struct store *store = *state;
    for (int i = 0; i < 200; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "p%d", i);
        (void)put(store, id,
                  "},\"name\":[{\"family\":\"Zhang\",\"given\":[\"San\"]}],\"gender\":\"female\"}");
    }
    store_close(store);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct str whole = STR_NONE;
    assert_true(file_read_whole(&arena, path, 8u << 20, &whole, NULL));
    size_t at = str_find(whole, STR("\x28\xb5\x2f\xfd")); /* a zstd frame: turn a byte of its content over */
    assert_true(at < whole.len);
    char byte = (char)(whole.at[at + 24] ^ 0x20);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at + 24), 1);
    assert_int_equal(close(fd), 0);
    *state = open_store(NULL);
    struct store_check_report report = { 0 };
    assert_true(store_check(*state, &report, NULL));
    assert_int_equal(report.findings_count, 1);
    assert_int_equal(report.versions_count, 200);
}

/* In a process of its own, because the limit on file sizes cannot be taken back safely. */
static int fill_the_disk(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    struct store *store = open_store(NULL);
    (void)put(store, "kept", "},\"n\":1}");
    struct rlimit limit = { 6u << 20, 6u << 20 };
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    static char body[200000];
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof body; i++) { /* does not compress */
        noise = noise * 1664525 + 1013904223;
        body[i] = (char)('!' + (noise >> 24) % 90);
    }
    struct error error = { 0 };
    int written = 0;
    for (; written < 200; written++) {
        char id[16];
        (void)snprintf(id, sizeof id, "f%d", written);
        struct store_write write = write_of(id, STORE_METHOD_CREATED, "}}");
        write.body = (struct str){ body, sizeof body };
        arena_reset(&arena);
        if (!write_one(store, &write, &error)) {
            break;
        }
    }
    if (written == 200 || error.kind != ERROR_FULL || error_http_status(error.kind) != 507) {
        return 3;
    }
    expect_body(store, "kept", "},\"n\":1}"); /* reads go on */
    struct store_write small = write_of("small", STORE_METHOD_CREATED, "}}");
    bool small_fits = write_one(store, &small, &error);
    if (!small_fits && error.kind != ERROR_FULL) {
        return 4;
    }
    if (store_seq(store) != (uint64_t)written + 1 + (small_fits ? 1 : 0)) {
        return 5;
    }
    expect_clean(store);
    store_close(store);
    return 0;
}

static void a_full_disk_refuses_and_keeps_reading(void **state)
{
    store_close(*state);
    *state = NULL;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(fill_the_disk());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    *state = open_store(NULL); /* with room again everything goes on */
    (void)put(*state, "later", "}}");
    expect_body(*state, "kept", "},\"n\":1}");
    expect_clean(*state);
}

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_is_a_tail),
        IN_STORE(versions_follow_each_other),
        IN_STORE(wrong_writes_are_refused),
        IN_STORE(ids_of_both_kinds_come_back),
        IN_STORE(a_refused_set_harms_no_other),
        IN_STORE(a_set_is_whole_or_not_there),
        IN_STORE(history_goes_back_page_by_page),
        IN_STORE(time_never_goes_back),
        IN_STORE(readers_see_one_moment),
        IN_STORE(jobs_run_once_and_survive),
        IN_STORE(tables_of_modules_migrate),
        IN_STORE(views_keep_what_was_known),
        IN_STORE(audit_records_are_never_lost),
        IN_STORE(settings_and_backup),
        IN_STORE(a_second_process_and_a_newer_store_are_refused),
        IN_STORE(damage_is_found),
        IN_STORE(a_full_disk_refuses_and_keeps_reading),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
