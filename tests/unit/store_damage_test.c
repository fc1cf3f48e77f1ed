/* Settings and backup, and what must not hurt: a second process, a newer store, a turned byte, a full disk. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/file.h"

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

static void a_newer_schema_is_refused(void **state)
{
    store_close(*state);
    *state = NULL;
    char path[96];
    sqlite3 *database = NULL;
    (void)snprintf(path, sizeof path, "%s/store.db", folder);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(database, "UPDATE meta SET value = 99 WHERE name = 'schema_version'", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    struct store_options options = { .folder = folder };
    struct store *store = NULL;
    struct error error = { 0 };
    assert_false(store_open(&options, &store, &error));
    assert_non_null(strstr(error.text, "version 99"));
    assert_non_null(strstr(error.text, "newer program"));
}

/* What the checks are for: each kind of damage that the engine itself does not see is named. */
static void a_tampered_store_is_found(void **state)
{
    static const char *const damages[] = {
        "DELETE FROM version WHERE seq = 2",
        "UPDATE resource SET seq = 1 WHERE seq = 4",
        "UPDATE version SET ended_seq = NULL WHERE seq = 1",
        "DELETE FROM history",
        "UPDATE version SET ended_seq = 3 WHERE seq = 1",
        "UPDATE version SET body = NULL WHERE seq = 4",
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        (void)teardown(state);
        (void)setup(state);
        (void)put(*state, "a", "},\"n\":1}");
        (void)put(*state, "b", "},\"n\":1}");
        (void)put(*state, "c", "},\"n\":1}");
        (void)put(*state, "a", "},\"n\":2}");
        expect_clean(*state);
        store_close(*state);
        char path[96];
        sqlite3 *database = NULL;
        (void)snprintf(path, sizeof path, "%s/store.db", folder);
        assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, damages[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_close(database), SQLITE_OK);
        *state = open_store(NULL);
        struct store_check_report report = { 0 };
        assert_true(store_check(*state, &report, NULL));
        if (report.findings_count == 0) {
            fail_msg("not found: %s", damages[i]);
        }
    }
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
    const struct CMUnitTest tests[] = {
        IN_STORE(settings_and_backup),       IN_STORE(a_second_process_and_a_newer_store_are_refused),
        IN_STORE(a_newer_schema_is_refused), IN_STORE(a_tampered_store_is_found),
        IN_STORE(damage_is_found),           IN_STORE(a_full_disk_refuses_and_keeps_reading),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
