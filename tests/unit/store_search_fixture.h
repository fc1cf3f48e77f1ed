/* store_search_fixture.h — a store with few patients and what hangs on them, rows made by a host that knows no FHIR, and short
 * ways to ask. Every test file that includes it has its own copy. */
#ifndef SHANHAI_TESTS_STORE_SEARCH_FIXTURE_H
#define SHANHAI_TESTS_STORE_SEARCH_FIXTURE_H

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
#include "base/limits.h"
#include "json/json.h"
#include "store/search.h"
#include "store_postgresql.h"

static char folder[64];
static struct arena arena = { .bytes_max = 256u << 20 };
static struct store *store;
static size_t
    waiting_rows_max; /* the whole file runs with index rows that wait, and with such that are merged soon */

#define P(type, code) hash_parameter(STR(type), STR(code))
#define KEY(type, id) hash_resource_key(STR(type), STR(id))

/* The world: patients with name, birth date, gender; observations of them with code, value, time.
 * Bodies are {"family":"…","birth":day,"gender":"…"} and {"subject":"id","code":"…","value":n,"day":n}. */

static inline struct str text_of(const struct json *tree, const char *name)
{
    return json_member_text(&arena, tree, str_from_cstr(name));
}

static inline int64_t number_of(const struct json *tree, const char *name)
{
    const struct json *value = json_member(tree, str_from_cstr(name));
    return value == NULL ? 0 : strtoll(arena_cstr(&arena, value->raw), NULL, 10);
}

static inline bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                           struct index_rows *out, struct error *error)
{
    (void)data;
    struct json *tree = NULL;
    struct index_row *rows = ARENA_ARRAY(rows_arena, struct index_row, 8);
    size_t count = 0;
    if (rows == NULL || !json_read(rows_arena, resource, &tree, error)) {
        return false;
    }
    const int64_t day_ms = 86400000;
    if (str_equal(type, STR("Patient"))) {
        struct str family = text_of(tree, "family");
        struct str given = text_of(tree, "given");
        struct str gender = text_of(tree, "gender");
        if (family.at != NULL) {
            rows[count++] =
                (struct index_row){ .kind = INDEX_TEXT, .parameter = P("Patient", "name"), .text = family };
        }
        if (given.at != NULL) {
            rows[count++] =
                (struct index_row){ .kind = INDEX_TEXT, .parameter = P("Patient", "name"), .text = given };
        }
        if (JSON_GET(tree, "birth") != NULL) {
            int64_t day = number_of(tree, "birth");
            rows[count++] = (struct index_row){ .kind = INDEX_DATE,
                                                .parameter = P("Patient", "birthdate"),
                                                .from_ms = day * day_ms,
                                                .to_ms = (day + 1) * day_ms };
        }
        if (gender.at != NULL) {
            rows[count++] = (struct index_row){ .kind = INDEX_KEY,
                                                .parameter = P("Patient", "gender"),
                                                .key = hash64(gender, 9),
                                                .text = gender };
        }
    } else if (str_equal(type, STR("Observation"))) {
        struct str subject = text_of(tree, "subject");
        struct str code = text_of(tree, "code");
        rows[count++] = (struct index_row){ .kind = INDEX_KEY,
                                            .parameter = P("Observation", "subject"),
                                            .key = hash_resource_key(STR("Patient"), subject),
                                            .reference = true,
                                            .text = subject };
        rows[count++] = (struct index_row){
            .kind = INDEX_KEY, .parameter = P("Observation", "code"), .key = hash64(code, 9), .text = code
        };
        double value = (double)number_of(tree, "value");
        rows[count++] = (struct index_row){
            .kind = INDEX_NUMBER, .parameter = P("Observation", "value"), .low = value, .high = value
        };
    }
    *out = (struct index_rows){ rows, count };
    return true;
}

static inline void put_as(const char *type, const char *id, const char *members, uint64_t custodian,
                          bool delete)
{
    struct error error = { 0 };
    struct str type_text = str_from_cstr(type);
    struct str id_text = str_from_cstr(id);
    struct str whole = arena_printf(&arena, "{%s}", members);
    struct str body = arena_printf(&arena, "}%s%s}", members[0] == '\0' ? "" : ",", members);
    struct index_rows rows = { 0 };
    assert_true(rows_of(NULL, &arena, type_text, whole, &rows, &error));
    struct store_write write = { .type = type_text,
                                 .id = id_text,
                                 .method = delete ? STORE_METHOD_DELETED : STORE_METHOD_UPDATED,
                                 .body = delete ? STR_NONE : body,
                                 .custodian = custodian,
                                 .index = delete ? NULL : &rows };
    struct store_set set = { .arena = &arena, .writes = &write, .writes_count = 1 };
    if (!store_write_and_wait(store, &set, &error)) {
        fail_msg("put: %s", error.text);
    }
}

static inline void put(const char *type, const char *id, const char *members)
{
    put_as(type, id, members, 0, false);
}

static inline int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/store-search-XXXXXX");
    assert_non_null(mkdtemp(folder));
    test_database_make(folder);
    struct store_options options = { .folder = folder,
                                     .partitions = test_partitions(),
                                     .index_rows = rows_of,
                                     .waiting_rows_max = waiting_rows_max };
    struct error error = { 0 };
    if (!store_open(&options, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    put_as("Patient", "zhang", "\"family\":\"zhang\",\"given\":\"san\",\"birth\":100,\"gender\":\"female\"",
           1, false);
    put_as("Patient", "li", "\"family\":\"li\",\"given\":\"zhao\",\"birth\":200,\"gender\":\"male\"", 2,
           false);
    put_as("Patient", "wang", "\"family\":\"wang\",\"birth\":300,\"gender\":\"male\"", 1, false);
    put_as("Patient", "nobody", "", 2, false);
    put("Observation", "o1", "\"subject\":\"zhang\",\"code\":\"a\",\"value\":10");
    put("Observation", "o2", "\"subject\":\"zhang\",\"code\":\"b\",\"value\":20");
    put("Observation", "o3", "\"subject\":\"li\",\"code\":\"a\",\"value\":30");
    put("Observation", "o4", "\"subject\":\"elsewhere\",\"code\":\"c\",\"value\":40");
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    store_close(store);
    store = NULL;
    arena_reset(&arena);
    test_database_drop(folder);
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return 0;
}

/* ---- asking ---- */

static const struct store_filter *asker; /* NULL: the system */

static inline struct store_hits search(const struct search_query *query)
{
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct error error = { 0 };
    struct store_search request = { .query = query, .filter = asker };
    assert_true(store_reader_begin(store, &reader, NULL));
    if (!store_search(reader, &arena, &request, &hits, &error)) {
        fail_msg("search: %s", error.text);
    }
    store_reader_end(reader);
    return hits;
}

static inline enum error_kind refused(const struct search_query *query)
{
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct error error = { 0 };
    struct store_search request = { .query = query, .filter = asker };
    assert_true(store_reader_begin(store, &reader, NULL));
    assert_false(store_search(reader, &arena, &request, &hits, &error));
    store_reader_end(reader);
    return error.kind;
}

/* "id id +included" in order. */
static inline void expect_hits(const struct store_hits *hits, const char *expected)
{
    struct buf buf = { .bytes_max = 100000 };
    for (size_t i = 0; i < hits->count; i++) {
        buf_add(&buf, i == 0 ? STR("") : STR(" "));
        buf_add(&buf, hits->hits[i].included ? STR("+") : STR(""));
        buf_add(&buf, hits->hits[i].version.id);
    }
    buf_add_char(&buf, '\0');
    assert_string_equal(buf.at, expected);
    buf_deinit(&buf);
}

static inline void expect(const char *type, const struct search_criteria *criteria, const char *expected)
{
    struct search_query query = { .type = str_from_cstr(type), .criteria = criteria };
    struct store_hits hits = search(&query);
    expect_hits(&hits, expected);
    assert_int_equal(hits.matches_count, hits.count);
}

static inline struct search_value key_value(uint32_t parameter, const char *text)
{
    return (struct search_value){ .test = SEARCH_TEST_KEY,
                                  .parameter = parameter,
                                  .key = hash64(str_from_cstr(text), 9) };
}

static inline struct search_value text_value(enum search_test test, const char *text)
{
    return (
        struct search_value){ .test = test, .parameter = P("Patient", "name"), .text = str_from_cstr(text) };
}

static inline struct search_value birth_value(enum search_prefix prefix, int64_t from_day, int64_t to_day)
{
    return (struct search_value){ .test = SEARCH_TEST_DATE,
                                  .prefix = prefix,
                                  .parameter = P("Patient", "birthdate"),
                                  .from_ms = from_day * 86400000,
                                  .to_ms = to_day * 86400000 };
}

static inline struct search_value number_value(enum search_prefix prefix, double number)
{
    return (struct search_value){ .test = SEARCH_TEST_NUMBER,
                                  .prefix = prefix,
                                  .parameter = P("Observation", "value"),
                                  .number = number,
                                  .low = number - 0.5,
                                  .high = number + 0.5 };
}

static inline struct search_criteria values_of(const char *type, const struct search_value *values,
                                               size_t count)
{
    return (struct search_criteria){
        .kind = SEARCH_VALUES, .type = str_from_cstr(type), .values = values, .values_count = count
    };
}

#endif
