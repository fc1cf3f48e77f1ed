/* store_fixture.h — a store in a folder of its own for each test, and short ways to write and look. Every test file that
 * includes it has its own copy. */
#ifndef SHANHAI_TESTS_STORE_FIXTURE_H
#define SHANHAI_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "store/body.h"
#include "store/search.h"
#include "store_postgresql.h"

static char folder[64];
static struct arena arena = { .bytes_max = 64u << 20 };

static inline void folder_new(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/store-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    test_database_make(folder);
}

static inline void folder_delete(void)
{
    test_database_drop(folder);
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static inline struct store *open_store(const struct store_options *options)
{
    struct store_options all = options == NULL ? (struct store_options){ 0 } : *options;
    all.folder = folder;
    all.partitions = test_partitions();
    struct store *store = NULL;
    struct error error = { 0 };
    if (!store_open(&all, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    return store;
}

static inline int setup(void **state)
{
    folder_new();
    *state = open_store(NULL);
    return 0;
}

static inline int teardown(void **state)
{
    store_close(*state);
    arena_reset(&arena);
    folder_delete();
    return 0;
}

static inline struct store_write write_of(const char *id, enum store_method method, const char *body)
{
    return (struct store_write){
        .type = STR("Patient"), .id = str_from_cstr(id), .method = method, .body = str_from_cstr(body)
    };
}

static inline bool write_one(struct store *store, struct store_write *write, struct error *error)
{
    struct store_set set = { .arena = &arena, .writes = write, .writes_count = 1 };
    return store_write_and_wait(store, &set, error);
}

static inline uint64_t put(struct store *store, const char *id, const char *body)
{
    struct store_write write = write_of(id, STORE_METHOD_UPDATED, body);
    struct error error = { 0 };
    if (!write_one(store, &write, &error)) {
        fail_msg("put: %s", error.text);
    }
    return write.result.seq;
}

static inline void expect_body(struct store *store, const char *id, const char *body)
{
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_true(store_read(reader, &arena, STR("Patient"), str_from_cstr(id), &version, NULL));
    assert_int_equal(version.body.len, strlen(body));
    assert_memory_equal(version.body.at, body, strlen(body));
    store_reader_end(reader);
}

static inline void expect_clean(struct store *store)
{
    struct store_check_report report = { 0 };
    struct error error = { 0 };
    if (!store_check(store, &report, &error)) {
        fail_msg("check: %s", error.text);
    }
    assert_int_equal(report.findings_count, 0);
}

#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
