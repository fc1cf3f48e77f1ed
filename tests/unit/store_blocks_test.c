/* Index rows as blocks in PostgreSQL: one row for the versions of a group that share a value. Without a server there is
 * nothing to test. */
#include "store_fixture.h"

#include "store_ask.h"

#include "store/upkeep.h"

enum { MANY = 300, SHARED = 1, OWN = 2, GIVEN = 5 };

static int64_t now_ms = 1000000;

static int64_t clock_now(void)
{
    return now_ms;
}

static bool given_to_all; /* whether the definitions have the last parameter for those of odd numbers too */

/* "{"ward":W,"n":N}": the ward under two parameters, the number and a day that it shares with a few; of each third version
 * the span of numbers is no point. */
static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                    struct index_rows *out, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    struct index_row *rows = ARENA_ARRAY(rows_arena, struct index_row, 8);
    if (rows == NULL || !json_read(rows_arena, resource, &tree, error)) {
        return false;
    }
    struct str ward = JSON_TEXT(rows_arena, tree, "ward");
    struct str text = JSON_TEXT(rows_arena, tree, "n");
    double n = strtod(arena_printf(rows_arena, "%.*s", STR_FMT(text)).at, NULL);
    size_t count = 0;
    rows[count++] = (struct index_row){
        .kind = INDEX_KEY, .parameter = SHARED, .key = hash64(ward, 1), .reference = true
    };
    rows[count++] = rows[0]; /* two paths with one value */
    rows[count++] = (struct index_row){ .kind = INDEX_KEY, .parameter = OWN, .key = hash64(text, 2) };
    rows[count++] = (struct index_row){ .kind = INDEX_DATE,
                                        .parameter = 3,
                                        .from_ms = 10 * ((int64_t)n / 7),
                                        .to_ms = 10 * ((int64_t)n / 7) + 9 };
    rows[count++] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 4, .low = n, .high = n + 0.5 };
    rows[count++] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 4, .key = 9, .low = 1, .high = 1 };
    rows[count++] = (struct index_row){ .kind = INDEX_TEXT, .parameter = 6, .text = ward };
    if (given_to_all || (int64_t)n % 2 == 0) {
        rows[count++] = (struct index_row){ .kind = INDEX_KEY, .parameter = GIVEN, .key = hash64(ward, 5) };
    }
    *out = (struct index_rows){ rows, count };
    return true;
}

static struct store_options options(void)
{
    return (struct store_options){ .index_rows = rows_of, .now_ms = clock_now };
}

/* So many resources from number `from` on in one set. */
static void put_many(struct store *store, unsigned from, unsigned count, const char *ward)
{
    struct store_write *writes = ARENA_ARRAY(&arena, struct store_write, count);
    struct index_rows *rows = ARENA_ARRAY(&arena, struct index_rows, count);
    for (unsigned i = 0; i < count; i++) {
        struct str body = arena_printf(&arena, "},\"ward\":\"%s\",\"n\":\"%u\"}", ward, from + i);
        writes[i] = write_of(arena_printf(&arena, "p%u", from + i).at, STORE_METHOD_UPDATED, body.at);
        assert_true(rows_of(NULL, &arena, STR("Patient"), arena_printf(&arena, "{\"x\":{%s", body.at),
                            &rows[i], NULL));
        writes[i].index = &rows[i];
    }
    struct store_set set = { .arena = &arena, .writes = writes, .writes_count = count };
    struct error error = { 0 };
    if (!store_write_and_wait(store, &set, &error)) {
        fail_msg("write: %s", error.text);
    }
}

/* All pages of a search, newest first: their numbers of hits, each version lower than the one before. */
static size_t found(struct store *store, uint32_t parameter, struct str text)
{
    struct search_value value = { .test = SEARCH_TEST_KEY,
                                  .parameter = parameter,
                                  .key = hash64(text, parameter == GIVEN ? 5 : parameter) };
    struct search_criteria criteria = {
        .kind = SEARCH_VALUES, .type = STR("Patient"), .values = &value, .values_count = 1
    };
    struct search_query query = {
        .type = STR("Patient"), .criteria = &criteria, .count = 37, .has_count = true
    };
    struct str cursor = STR_NONE;
    uint64_t last = UINT64_MAX;
    size_t count = 0;
    do {
        struct store_search asked = { .query = &query, .cursor = cursor };
        struct store_hits hits = { 0 };
        struct store_reader *reader = NULL;
        struct error error = { 0 };
        assert_true(store_reader_begin(store, &reader, NULL));
        if (!store_search(reader, &arena, &asked, &hits, &error)) {
            fail_msg("search: %s", error.text);
        }
        store_reader_end(reader);
        for (size_t i = 0; i < hits.count; i++) {
            assert_true(hits.hits[i].version.seq < last);
            last = hits.hits[i].version.seq;
        }
        count += hits.count;
        cursor = hits.next_cursor;
    } while (cursor.at != NULL);
    return count;
}

static void expect_whole(struct store *store)
{
    struct store_check_report report = { .whole_index = true };
    struct error error = { 0 };
    if (!store_check(store, &report, &error)) {
        fail_msg("check: %s", error.text);
    }
    assert_int_equal(report.findings_count, 0);
}

static void sweep_all(struct store *store)
{
    bool more = true;
    now_ms += 5000;
    while (more) {
        assert_true(store_sweep(store, now_ms, &more, NULL));
    }
}

static void versions_that_share_a_value_are_one_row(void **state)
{
    store_close(*state);
    const struct store_options with = options();
    struct store *store = open_store(&with);
    *state = store;
    if (test_server() == NULL) {
        skip();
    }
    given_to_all = true;
    put_many(store, 0, MANY, "a");
    put_many(store, MANY, 5, "b");
    put_many(store, MANY + 5, 1, "a");
    /* 300 are three blocks of at most 128; by hash partitions each is one by itself. */
    assert_int_equal(ask("SELECT count(*) FROM index_key WHERE parameter = 1"),
                     test_partitions() == 0 ? 3 + 1 + 1 : MANY + 6);
    assert_int_equal(ask("SELECT count(*) FROM index_key_row WHERE parameter = 1"), MANY + 6);
    assert_int_equal(found(store, SHARED, STR("a")), MANY + 1);
    assert_int_equal(found(store, SHARED, STR("b")), 5);
    assert_int_equal(found(store, OWN, STR("17")), 1);
    expect_whole(store);
    /* The first of a block, the last, some in the middle, a whole one, and what stands alone. */
    put_many(store, 0, 1, "c");
    put_many(store, 127, 2, "c");
    put_many(store, 200, 20, "c");
    put_many(store, MANY, 5, "c");
    put_many(store, MANY + 5, 1, "c");
    assert_int_equal(found(store, SHARED, STR("a")), MANY - 23);
    sweep_all(store);
    assert_int_equal(ask("SELECT count(*) FROM index_key_row WHERE parameter = 1"), MANY + 6);
    assert_int_equal(ask("SELECT count(*) FROM index_number_row"), 2 * (MANY + 6));
    assert_int_equal(found(store, SHARED, STR("a")), MANY - 23);
    assert_int_equal(found(store, SHARED, STR("b")), 0);
    assert_int_equal(found(store, SHARED, STR("c")), 29);
    expect_whole(store);
}

static void what_was_lacking_goes_between(void **state)
{
    store_close(*state);
    *state = NULL;
    folder_delete();
    folder_new();
    const struct store_options with = options();
    struct store *store = open_store(&with);
    *state = store;
    if (test_server() == NULL) {
        skip();
    }
    bool needed = true;
    assert_true(store_reindex_needed(store, 77, &needed, NULL));
    given_to_all = false; /* every second has the row: the others' places are inside its blocks */
    put_many(store, 0, MANY, "a");
    put_many(store, MANY, MANY, "b");
    assert_int_equal(found(store, GIVEN, STR("a")), MANY / 2);
    given_to_all = true;
    unsigned per_mille = 0;
    while (per_mille < 1000) {
        assert_true(store_reindex(store, 78, &per_mille, NULL));
    }
    assert_int_equal(found(store, GIVEN, STR("a")), MANY);
    assert_int_equal(found(store, GIVEN, STR("b")), MANY);
    expect_whole(store);
    sweep_all(store);
    expect_whole(store);
}

/* What the last version of the schema without blocks had. */
static const char version_7[] =
    "BEGIN;"
    "CREATE TABLE k5 AS SELECT r.parameter, r.value, r.seq, v.resource, (SELECT count(*) FROM reference_of o"
    " WHERE o.seq = r.seq AND o.parameter = r.parameter AND o.value = r.value) AS reference"
    " FROM index_key_row r JOIN version v ON v.seq = r.seq;"
    "CREATE TABLE d5 AS SELECT r.*, v.resource FROM index_date_row r JOIN version v ON v.seq = r.seq;"
    "CREATE TABLE n5 AS SELECT r.*, v.resource FROM index_number_row r JOIN version v ON v.seq = r.seq;"
    "DROP VIEW reference_of, date_of, number_of, index_text_row, index_key_row, index_date_row, "
    "index_number_row;"
    "DROP FUNCTION index_key_again, index_date_again, index_number_again, index_key_sweep, index_date_sweep,"
    " index_number_sweep;"
    "DELETE FROM index_key; DELETE FROM index_date; DELETE FROM index_number;"
    "ALTER TABLE index_key DROP COLUMN more, ADD COLUMN reference bigint NOT NULL;"
    "ALTER TABLE index_date DROP COLUMN more; ALTER TABLE index_number DROP COLUMN more;"
    "INSERT INTO index_key(parameter, value, seq, resource, reference) SELECT * FROM k5;"
    "INSERT INTO index_date SELECT parameter, from_ms, to_ms, seq, resource FROM d5;"
    "INSERT INTO index_number SELECT parameter, unit, low, high, seq, resource FROM n5;"
    "DROP TABLE k5, d5, n5;"
    "ALTER TABLE version DROP COLUMN reference_rows, DROP COLUMN date_rows, DROP COLUMN number_parameters,"
    " DROP COLUMN number_units, DROP COLUMN number_lows, DROP COLUMN number_highs;"
    "CREATE INDEX index_key_of ON index_key(seq, parameter) WHERE reference = 1;"
    "CREATE INDEX index_date_of ON index_date(seq, parameter, from_ms, to_ms);"
    "CREATE INDEX index_number_of ON index_number(seq, parameter, unit, low, high);"
    "CREATE VIEW reference_of AS SELECT seq, parameter, value FROM index_key WHERE reference = 1;"
    "CREATE VIEW date_of AS SELECT seq, parameter, from_ms, to_ms FROM index_date;"
    "CREATE VIEW number_of AS SELECT seq, parameter, unit, low, high FROM index_number;"
    "UPDATE meta SET value = 7 WHERE name = 'schema_version'; COMMIT";

static void a_store_without_blocks_is_brought_forward(void **state)
{
    store_close(*state);
    *state = NULL;
    folder_delete();
    folder_new();
    const struct store_options with = options();
    struct store *store = open_store(&with);
    *state = store;
    if (test_server() == NULL) {
        skip();
    }
    char url[512];
    given_to_all = true;
    put_many(store, 0, MANY, "a");
    put_many(store, 5, 20, "b");
    store_close(store);
    *state = NULL;
    test_database_url(folder, url);
    assert_int_equal(test_sql(url, version_7), 0);
    store = open_store(&with);
    *state = store;
    assert_int_equal(found(store, SHARED, STR("a")), MANY - 20);
    assert_int_equal(found(store, SHARED, STR("b")), 20);
    expect_whole(store);
    put_many(store, 0, MANY, "c"); /* blocks beside what is one by one */
    assert_int_equal(found(store, SHARED, STR("c")), MANY);
    sweep_all(store);
    assert_int_equal(found(store, SHARED, STR("a")), 0);
    assert_int_equal(ask("SELECT count(*) FROM index_key_row WHERE parameter = 1"), MANY);
    expect_whole(store);
    store_close(store);
    *state = NULL;
    assert_int_equal(ask("SELECT value FROM meta WHERE name = 'schema_version'") > 7, 1);
    /* A row by version that is not what the body says is found. */
    assert_int_equal(
        test_sql(url, "UPDATE version SET number_lows[1] = 99999 WHERE id = 'p7' AND ended_seq IS NULL;"
                      "UPDATE version SET date_rows = NULL WHERE id = 'p8' AND ended_seq IS NULL"),
        0);
    store = open_store(&with);
    *state = store;
    struct store_check_report report = { .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(versions_that_share_a_value_are_one_row),
        IN_STORE(what_was_lacking_goes_between),
        IN_STORE(a_store_without_blocks_is_brought_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
