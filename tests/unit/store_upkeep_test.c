/* Sweeping rows of versions long followed, and indexing again after the definitions changed. */
#include "store_fixture.h"

#include "store_ask.h"

#include "store/upkeep.h"

static int64_t now_ms = 1000000;

static int64_t clock_now(void)
{
    return now_ms;
}

static bool with_given; /* whether the definitions have the second parameter already */

static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                    struct index_rows *out, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    struct index_row *rows = ARENA_ARRAY(rows_arena, struct index_row, 5);
    if (rows == NULL || !json_read(rows_arena, resource, &tree, error)) {
        return false;
    }
    struct str family = JSON_TEXT(rows_arena, tree, "family");
    rows[0] = (struct index_row){ .kind = INDEX_TEXT, .parameter = 1, .text = family };
    rows[1] =
        (struct index_row){ .kind = INDEX_KEY, .parameter = 2, .key = hash64(family, 1), .reference = true };
    rows[2] = (struct index_row){ .kind = INDEX_DATE, .parameter = 3, .from_ms = 5, .to_ms = 6 };
    rows[3] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 4, .low = 1.5, .high = 2.5 };
    rows[4] =
        (struct index_row){ .kind = INDEX_KEY, .parameter = 5, .key = hash64(family, 5), .reference = true };
    *out = (struct index_rows){ rows, with_given ? 5 : 4 };
    return true;
}

static void put_family(struct store *store, const char *id, const char *family)
{
    struct index_rows rows = { 0 };
    struct str body = arena_printf(&arena, "},\"family\":\"%s\"}", family);
    struct store_write write = write_of(id, STORE_METHOD_UPDATED, body.at);
    assert_true(
        rows_of(NULL, &arena, STR("Patient"), arena_printf(&arena, "{\"x\":{%s", body.at), &rows, NULL));
    write.index = &rows;
    assert_true(write_one(store, &write, NULL));
}

static struct store_hits search(struct store *store, uint32_t parameter, uint64_t key, uint32_t count,
                                struct str cursor, struct error *error)
{
    struct search_value value = { .test = SEARCH_TEST_KEY, .parameter = parameter, .key = key };
    struct search_criteria criteria = {
        .kind = SEARCH_VALUES, .type = STR("Patient"), .values = &value, .values_count = 1
    };
    struct search_query query = {
        .type = STR("Patient"), .criteria = &criteria, .count = count, .has_count = true
    };
    struct store_search asked = { .query = &query, .cursor = cursor };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    assert_true(store_reader_begin(store, &reader, NULL));
    if (!store_search(reader, &arena, &asked, &hits, error)) {
        hits.count = SIZE_MAX;
    }
    store_reader_end(reader);
    return hits;
}

/* So many versions have their index rows, four each, and their rows of their own. */
static void expect_rows_of(int64_t versions)
{
    assert_int_equal(ask("SELECT (SELECT count(*) FROM index_key) + (SELECT count(*) FROM index_text)"
                         " + (SELECT count(*) FROM index_date) + (SELECT count(*) FROM index_number)"),
                     4 * versions);
    if (test_server() == NULL) {
        assert_int_equal(ask("SELECT count(*) FROM version WHERE rows IS NOT NULL"), versions);
    }
}

static void sweep_all(struct store *store, int64_t before_ms)
{
    bool more = true;
    struct error error = { 0 };
    while (more) {
        if (!store_sweep(store, before_ms, &more, &error)) {
            fail_msg("sweep: %s", error.text);
        }
    }
}

static void rows_of_versions_long_followed_go(void **state)
{
    store_close(*state);
    *state = NULL;
    with_given = false;
    now_ms = 1000000;
    struct store_options options = { .index_rows = rows_of, .now_ms = clock_now };
    struct store *store = open_store(&options);
    for (int i = 0; i < 300; i++) {
        put_family(store, "a", "zhang");
    }
    put_family(store, "b", "zhang");
    put_family(store, "c", "zhang");
    uint64_t key = hash64(STR("zhang"), 1);
    struct error error = { 0 };
    struct store_hits first = search(store, 2, key, 1, STR_NONE, &error);
    assert_int_equal(first.count, 1);
    struct str link = first.next_cursor;
    assert_non_null(link.at);
    now_ms += 5000;
    put_family(store, "b", "li"); /* followed later than what is swept */
    store_close(store);           /* all rows are in the main index now */
    expect_rows_of(303);
    store = open_store(&options);
    sweep_all(store, now_ms - 1000);
    assert_int_equal(search(store, 2, key, 10, STR_NONE, &error).count, 2);
    assert_int_equal(search(store, 2, hash64(STR("li"), 1), 10, STR_NONE, &error).count, 1);
    /* A page link from a moment whose rows are all there goes on; what was followed since is found as it was. */
    assert_int_equal(search(store, 2, key, 10, link, &error).count, 2);
    expect_body(store, "b", "},\"family\":\"li\"}");
    store_close(store);
    expect_rows_of(4);
    store = open_store(&options);
    now_ms += 5000;
    put_family(store, "d", "wang");
    store_close(store);
    store = open_store(&options);
    sweep_all(store, now_ms); /* now the version that the link needs goes too */
    store_close(store);
    expect_rows_of(4);
    store = open_store(&options);
    assert_int_equal(search(store, 2, key, 10, link, &error).count, SIZE_MAX);
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_non_null(strstr(error.text, "too old"));
    struct store_check_report report = { .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
    *state = store;
}

static void waiting_rows_are_not_swept(void **state)
{
    store_close(*state);
    *state = NULL;
    with_given = false;
    now_ms = 1000000;
    struct store_options options = { .index_rows = rows_of, .now_ms = clock_now };
    struct store *store = open_store(&options);
    put_family(store, "a", "zhang");
    put_family(store, "a", "li");
    now_ms += 5000;
    put_family(store, "b", "li");
    bool more = true;
    assert_true(store_sweep(store, now_ms, &more, NULL)); /* nothing, or what was merged meanwhile: no half */
    assert_false(more);
    assert_int_equal(search(store, 2, hash64(STR("li"), 1), 10, STR_NONE, NULL).count, 2);
    store_close(store);
    *state = open_store(&options);
    sweep_all(*state, now_ms);
    store_close(*state);
    expect_rows_of(2);
    *state = open_store(&options);
}

static void a_new_parameter_is_indexed_for_what_was_there(void **state)
{
    store_close(*state);
    *state = NULL;
    folder_delete();
    folder_new();
    with_given = false;
    now_ms = 1000000;
    struct store_options options = { .index_rows = rows_of, .now_ms = clock_now };
    struct store *store = open_store(&options);
    bool needed = true;
    assert_true(store_reindex_needed(store, 77, &needed, NULL)); /* a new store takes the digest */
    assert_false(needed);
    for (int i = 0; i < 450; i++) {
        put_family(store, arena_printf(&arena, "p%d", i % 430).at, "zhang");
    }
    assert_true(store_reindex_needed(store, 77, &needed, NULL));
    assert_false(needed);
    with_given = true;
    uint64_t key = hash64(STR("zhang"), 5);
    put_family(store, "new", "zhang");
    assert_true(store_reindex_needed(store, 78, &needed, NULL));
    assert_true(needed);
    assert_int_equal(search(store, 5, key, 1000, STR_NONE, NULL).count, 1);
    unsigned before = 0;
    unsigned per_mille = 0;
    unsigned steps = 0;
    while (per_mille < 1000) {
        before = per_mille;
        assert_true(store_reindex(store, 78, &per_mille, NULL));
        assert_true(per_mille > before);
        steps++;
        store_close(store); /* it goes on where it was */
        store = open_store(&options);
    }
    assert_true(steps > 1);
    assert_int_equal(search(store, 5, key, 1000, STR_NONE, NULL).count, 431);
    assert_true(store_reindex_needed(store, 78, &needed, NULL));
    assert_false(needed);
    struct store_check_report report = { .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
    store_close(store);
    if (test_server() == NULL) { /* a row by version that is lost, or not to be read, is found too */
        assert_int_equal(ask("UPDATE version SET rows = NULL WHERE id = 'p429' RETURNING 1"), 1);
        assert_int_equal(ask("UPDATE version SET rows = x'017f' WHERE id = 'new' RETURNING 1"), 1);
    }
    store = open_store(&options);
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, test_server() == NULL ? 2 : 0);
    *state = store;
}

static int64_t body_bytes(const char *id)
{
    return ask(str_equal(str_from_cstr(id), STR("after"))
                   ? "SELECT length(body) FROM version WHERE id = 'after'"
                   : "SELECT length(body) FROM version WHERE id = 'w3'");
}

/* What a ward writes all day, in words that the program's own dictionary does not have. */
static const char *ward_body(unsigned i)
{
    return arena_printf(&arena,
                        "},\"dressing\":{\"material\":\"hydrocolloid-%u\",\"appearance\":\"granulating\","
                        "\"exudate\":\"serous moderate\",\"edges\":\"attached, epithelialising\","
                        "\"surroundings\":\"macerated at 5 o'clock\",\"odour\":\"none %u\"}}",
                        i % 7, i * 7919 % 1000)
        .at;
}

static void a_dictionary_is_trained_on_what_is_stored(void **state)
{
    struct store *store = *state;
    bool more = true;
    enum { MANY = 2100, A_SET = 700 };
    assert_true(store_train(store, &more, NULL)); /* nothing to train on */
    assert_false(more);
    for (unsigned from = 0; from < MANY; from += A_SET) {
        struct store_write writes[A_SET];
        for (unsigned i = 0; i < A_SET; i++) {
            writes[i] =
                write_of(arena_printf(&arena, "w%u", from + i).at, STORE_METHOD_CREATED, ward_body(from + i));
        }
        struct store_set set = { .arena = &arena, .writes = writes, .writes_count = A_SET };
        assert_true(store_write_and_wait(store, &set, NULL));
    }
    more = false;
    assert_true(store_train(store, &more, NULL));
    assert_true(more);
    assert_true(store_train(store, &more, NULL)); /* once, until there are many more */
    assert_false(more);
    (void)put(store, "after", ward_body(3));
    expect_body(store, "w3", ward_body(3));
    expect_body(store, "after", ward_body(3));
    store_close(store);
    assert_int_equal(ask("SELECT count(*) FROM dictionary WHERE type = 'Patient'"), 1);
    assert_true(body_bytes("after") * 10 < body_bytes("w3") * 6);
    *state = open_store(NULL); /* the frame names its dictionary */
    expect_body(*state, "w3", ward_body(3));
    expect_body(*state, "after", ward_body(3));
    expect_clean(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(rows_of_versions_long_followed_go),
        IN_STORE(waiting_rows_are_not_swept),
        IN_STORE(a_new_parameter_is_indexed_for_what_was_there),
        IN_STORE(a_dictionary_is_trained_on_what_is_stored),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
