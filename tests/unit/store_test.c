/* Writing: bodies, preconditions, groups in which a refused set harms no other; history and the feed. */
#include "store_fixture.h"

#include <pthread.h>

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

/* Readers beside a busy writer: every snapshot sees both halves of a pair or none, and never goes back. */
struct pairs {
    struct store *store;
    _Atomic bool over;
    _Atomic int wrong;
    _Atomic int looked;
};

static void *pairs_look(void *data)
{
    struct pairs *pairs = data;
    struct arena own = { .bytes_max = 8u << 20 };
    uint64_t last = 0;
    while (!pairs->over) {
        struct store_reader *reader = NULL;
        struct store_version left = { 0 };
        struct store_version right = { 0 };
        if (!store_reader_begin(pairs->store, &reader, NULL)) {
            pairs->wrong++;
            break;
        }
        bool has_left = store_read(reader, &own, STR("Patient"), STR("left"), &left, NULL);
        bool has_right = store_read(reader, &own, STR("Patient"), STR("right"), &right, NULL);
        bool same = has_left == has_right && str_equal(left.body, right.body) && left.version >= last;
        pairs->wrong += same ? 0 : 1;
        pairs->looked++;
        last = left.version;
        store_reader_end(reader);
        arena_reset(&own);
    }
    arena_deinit(&own);
    return NULL;
}

static void readers_never_see_half_a_set(void **state)
{
    struct pairs pairs = { .store = *state };
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, pairs_look, &pairs), 0);
    }
    for (int i = 0; i < 150; i++) {
        char body[32];
        (void)snprintf(body, sizeof body, "},\"n\":%d}", i);
        struct store_write writes[2] = { write_of("left", STORE_METHOD_UPDATED, body),
                                         write_of("right", STORE_METHOD_UPDATED, body) };
        struct store_set set = { .arena = &arena, .writes = writes, .writes_count = 2 };
        assert_true(store_write_and_wait(*state, &set, NULL));
        arena_reset(&arena);
    }
    pairs.over = true;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(pairs.wrong, 0);
    assert_true(pairs.looked > 0);
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
    assert_int_equal(store_reader_seq(reader), 1); /* the first look fixes the moment */
    (void)put(store, "a", "},\"n\":2}");
    assert_true(store_read(reader, &arena, STR("Patient"), STR("a"), &version, NULL));
    assert_int_equal(version.version, 1);
    assert_int_equal(store_reader_seq(reader), 1);
    store_reader_end(reader);
    expect_body(store, "a", "},\"n\":2}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_is_a_tail),       IN_STORE(versions_follow_each_other),
        IN_STORE(wrong_writes_are_refused),     IN_STORE(ids_of_both_kinds_come_back),
        IN_STORE(a_refused_set_harms_no_other), IN_STORE(a_set_is_whole_or_not_there),
        IN_STORE(readers_never_see_half_a_set), IN_STORE(history_goes_back_page_by_page),
        IN_STORE(time_never_goes_back),         IN_STORE(readers_see_one_moment),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
