/* A folder that a released version left behind is brought forward at open, after a backup that is whole. The folder is
 * made from the released schema (store_released.h) and rows of its tables. */
#include "store_fixture.h"

#include <signal.h>
#include <time.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/file.h"
#include "store_released.h"

enum { ROWS = 5 };

/* Of each kind, so that every table of rows is brought forward. */
static void rows_fill(struct index_row *rows, struct str family)
{
    rows[0] = (struct index_row){ .kind = INDEX_TEXT, .parameter = 7, .text = family };
    rows[1] = (struct index_row){ .kind = INDEX_KEY, .parameter = 8, .key = 77, .reference = true };
    rows[2] = (struct index_row){ .kind = INDEX_DATE, .parameter = 9, .from_ms = 5000, .to_ms = 6000 };
    rows[3] = (struct index_row){ .kind = INDEX_NUMBER, .parameter = 10, .low = 1.5, .high = 2.5 };
    rows[4] =
        (struct index_row){ .kind = INDEX_NUMBER, .parameter = 10, .key = 3, .low = 36.6, .high = 36.6 };
}

static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                    struct index_rows *out, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    struct index_row *rows = ARENA_ARRAY(rows_arena, struct index_row, ROWS);
    if (rows == NULL || !json_read(rows_arena, resource, &tree, error)) {
        return false;
    }
    rows_fill(rows, JSON_TEXT(rows_arena, tree, "family"));
    *out = (struct index_rows){ rows, ROWS };
    return true;
}

static void put_family(struct store *store, const char *id, const char *family)
{
    struct index_row row[ROWS];
    struct index_rows rows = { row, ROWS };
    rows_fill(row, str_from_cstr(family));
    struct store_write write =
        write_of(id, STORE_METHOD_UPDATED, arena_printf(&arena, "},\"family\":\"%s\"}", family).at);
    write.index = &rows;
    assert_true(write_one(store, &write, NULL));
}

static size_t count_family(struct store *store, const char *family)
{
    struct search_value value = { .test = SEARCH_TEST_EQUAL, .parameter = 7, .text = str_from_cstr(family) };
    struct search_criteria criteria = {
        .kind = SEARCH_VALUES, .type = STR("Patient"), .values = &value, .values_count = 1
    };
    struct search_query query = { .type = STR("Patient"), .criteria = &criteria };
    struct store_search search = { .query = &query };
    struct store_hits hits = { 0 };
    struct store_reader *reader = NULL;
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_search(reader, &arena, &search, &hits, NULL));
    store_reader_end(reader);
    return hits.count;
}

static char *path_of(const char *name)
{
    return (char *)(uintptr_t)arena_printf(&arena, "%s/%s", folder, name).at;
}

static void run(sqlite3 *database, const char *sql)
{
    char *text = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &text) != SQLITE_OK) {
        fail_msg("%s: %s", sql, text);
    }
}

#define COPY(table) "INSERT INTO " #table " SELECT * FROM now." #table ";"

/* The records of the present store into tables that versions 1 to 4 have; the keys of these tests are all references. */
/* clang-format off */
#define COPY_FIRST                                                                                           \
    COPY(meta) COPY(setting) COPY(resource_type) COPY(dictionary) COPY(resource) COPY(history)               \
    COPY(index_key) COPY(index_text) COPY(index_date) COPY(index_number) COPY(grants) COPY(audit_outbox)     \
    COPY(job) COPY(feed_cursor) COPY(own_table) COPY(view_registry)                                          \
    "INSERT INTO version SELECT seq, resource, version, type, id, method, updated_ms, custodian, author,"    \
    " ended_seq, body FROM now.version;"                                                                     \
    "INSERT INTO reference_of SELECT seq, parameter, value FROM index_key;"                                  \
    "INSERT INTO text_of SELECT seq, parameter, value FROM index_text;"                                      \
    "INSERT INTO date_of SELECT seq, parameter, from_ms, to_ms FROM index_date;"                             \
    "INSERT INTO number_of SELECT seq, parameter, unit, low, high FROM index_number;"
/* clang-format on */

static const char copy_1[] = COPY_FIRST "UPDATE meta SET value = 1 WHERE name = 'schema_version'";
static const char copy_4[] = COPY_FIRST COPY(words) COPY(gram) "DELETE FROM index_mark;" COPY(index_mark)
    COPY(index_pending) "UPDATE meta SET value = 4 WHERE name = 'schema_version'";

/* clang-format off */
static const char copy_5[] =
    COPY(meta) COPY(setting) COPY(resource_type) COPY(dictionary) COPY(resource) COPY(history) COPY(version)
    COPY(index_key) COPY(index_text) COPY(index_date) COPY(index_number) COPY(grants) COPY(audit_outbox)
    COPY(job) COPY(feed_cursor) COPY(own_table) COPY(view_registry) COPY(words) COPY(gram)
    "DELETE FROM index_mark;" COPY(index_mark) COPY(index_pending)
    "UPDATE meta SET value = 5 WHERE name = 'schema_version'";
/* clang-format on */

/* Puts a store of the released schema with the same records in the place of the present one. */
static void make_released(const char *schema, const char *copy)
{
    sqlite3 *database = NULL;
    char sql[300];
    assert_int_equal(sqlite3_open(path_of("released.db"), &database), SQLITE_OK);
    run(database, "PRAGMA journal_mode = WAL");
    run(database, schema);
    (void)snprintf(sql, sizeof sql, "ATTACH '%s/store.db' AS now", folder);
    run(database, sql);
    run(database, copy);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(rename(path_of("released.db"), path_of("store.db")), 0);
}

static bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void released_is_brought_forward(void **state, int version, const char *schema, const char *copy)
{
    struct store *store = *state;
    const char *kept = arena_printf(&arena, "store-version-%d.db", version).at;
    put_family(store, "a", "zhang");
    put_family(store, "b", "zhang");
    put_family(store, "a", "li");
    store_close(store);
    make_released(schema, copy);
    struct store_options options = { .folder = folder, .index_rows = rows_of, .read_only = true };
    struct error error = { 0 };
    assert_false(store_open(&options, &store, &error)); /* checking alone changes nothing */
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_non_null(strstr(error.text, arena_printf(&arena, "older version (%d)", version).at));
    assert_false(is_there(kept));
    options.read_only = false;
    store = open_store(&options);
    assert_true(is_there(kept));
    expect_body(store, "a", "},\"family\":\"li\"}");
    assert_int_equal(count_family(store, "zhang"), 1);
    assert_int_equal(count_family(store, "li"), 1);
    put_family(store, "c", "zhang"); /* and it goes on from there */
    assert_int_equal(count_family(store, "zhang"), 2);
    struct store_check_report report = { .sample_count = 100, .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
    assert_int_equal(report.versions_count, 4);
    store_close(store);
    *state = open_store(&options); /* only once: no further backup */
    assert_int_equal(unlink(path_of(kept)), 0);
    store_close(*state);
    *state = open_store(&options);
    assert_false(is_there(kept));
}

static void a_released_folder_is_brought_forward(void **state)
{
    released_is_brought_forward(state, 1, released_1, copy_1);
}

static void a_folder_of_version_4_is_brought_forward(void **state)
{
    released_is_brought_forward(state, 4, released_4, copy_4);
}

static void a_folder_of_version_5_is_brought_forward(void **state)
{
    released_is_brought_forward(state, 5, released_5, copy_5);
}

/* A damaged store is not brought forward: it stays what it was, and says so. */
static void a_damaged_folder_stays_as_it_is(void **state)
{
    put_family(*state, "a", "zhang");
    store_close(*state);
    *state = NULL;
    make_released(released_1, copy_1);
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path_of("store.db"), &database), SQLITE_OK);
    /* The index of types points at a row that is not there. */
    run(database, "PRAGMA writable_schema = ON");
    run(database, "CREATE TABLE spare(a); INSERT INTO spare VALUES(1)");
    run(database,
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'spare')"
        " WHERE name = 'version_by_type'");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    struct store_options options = { .folder = folder };
    struct store *store = NULL;
    struct error error = { 0 };
    assert_false(store_open(&options, &store, &error));
    assert_non_null(strstr(error.text, "damaged"));
    assert_int_equal(sqlite3_open(path_of("store.db"), &database), SQLITE_OK);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT value FROM meta WHERE name = 'schema_version'", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 1);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

enum { UPGRADE_PATIENTS = 600, UPGRADE_KILLS = 20, UPGRADE_KILLS_LONG = 1000 };

/* The released store once more in the place of whatever the last round left. */
static void put_back(const char *kept)
{
    static const char *const left[] = { "store.db-wal", "store.db-shm", "store-version-1.db",
                                        "store-version-1.db-journal" };
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        (void)unlink(path_of(left[i]));
    }
    struct str bytes = STR_NONE;
    struct error error = { 0 };
    struct arena whole = { .bytes_max = 64u << 20 };
    assert_true(file_read_whole(&whole, kept, 32u << 20, &bytes, &error));
    FILE *file = fopen(path_of("store.db"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
    arena_deinit(&whole);
}

/* Opens the store in a child, which is killed after `us`; 0 lets it end. Says whether it had ended. */
static bool upgrade_in_child(int64_t us)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_options options = { .folder = folder, .index_rows = rows_of };
        struct store *store = NULL;
        bool ok = store_open(&options, &store, NULL);
        _exit(ok ? 0 : 1); /* without a clean close: that too is a kill */
    }
    if (us > 0) {
        struct timespec span = { us / 1000000, us % 1000000 * 1000 };
        (void)nanosleep(&span, NULL);
        (void)kill(child, SIGKILL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) {
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    return WIFEXITED(status);
}

/* Killed at any moment of being brought forward, a folder opens next time as if nothing had been: each record once, the
 * whole index as computed again. */
static void a_kill_while_it_is_brought_forward_loses_nothing(void **state)
{
    for (int i = 0; i < UPGRADE_PATIENTS; i++) {
        put_family(*state, arena_printf(&arena, "p%d", i).at, i % 2 == 0 ? "zhang" : "li");
    }
    store_close(*state);
    *state = NULL;
    make_released(released_1, copy_1);
    assert_int_equal(rename(path_of("store.db"), path_of("kept.db")), 0);
    put_back(path_of("kept.db"));
    int64_t begun = clock_monotonic_us();
    assert_true(upgrade_in_child(0));
    int64_t whole_us = clock_monotonic_us() - begun;
    int kills = getenv("SHANHAI_LONG") == NULL ? UPGRADE_KILLS : UPGRADE_KILLS_LONG;
    int hit = 0;
    for (int round = 0; round < kills; round++) {
        put_back(path_of("kept.db"));
        hit += upgrade_in_child(whole_us * (round + 1) / kills + 1) ? 0 : 1;
        struct store_options options = { .index_rows = rows_of };
        struct store *store = open_store(&options);
        assert_int_equal(count_family(store, "zhang"), 20); /* a page */
        expect_body(store, "p1", "},\"family\":\"li\"}");
        struct store_check_report report = { .whole_index = true };
        assert_true(store_check(store, &report, NULL));
        assert_int_equal(report.findings_count, 0);
        assert_int_equal(report.versions_count, UPGRADE_PATIENTS);
        store_close(store);
        arena_reset(&arena);
    }
    print_message(
        "%d kills while a store was brought forward, %d of them before it had ended: 0 records lost\n", kills,
        hit);
    *state = open_store(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(a_kill_while_it_is_brought_forward_loses_nothing),
        IN_STORE(a_released_folder_is_brought_forward),
        IN_STORE(a_folder_of_version_4_is_brought_forward),
        IN_STORE(a_folder_of_version_5_is_brought_forward),
        IN_STORE(a_damaged_folder_stays_as_it_is),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
