/* Searching: every kind of criterion, rights on all that is passed through, order, pages while data changes,
 * includes, limits. Index rows are made by hand, so that what is tested is the store. */
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

static struct str text_of(const struct json *tree, const char *name)
{
    return json_member_text(&arena, tree, str_from_cstr(name));
}

static int64_t number_of(const struct json *tree, const char *name)
{
    const struct json *value = json_member(tree, str_from_cstr(name));
    return value == NULL ? 0 : strtoll(arena_cstr(&arena, value->raw), NULL, 10);
}

static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
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

static void put_as(const char *type, const char *id, const char *members, uint64_t custodian, bool delete)
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

static void put(const char *type, const char *id, const char *members)
{
    put_as(type, id, members, 0, false);
}

static int setup(void **state)
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

static int teardown(void **state)
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

static struct store_hits search(const struct search_query *query)
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

static enum error_kind refused(const struct search_query *query)
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
static void expect_hits(const struct store_hits *hits, const char *expected)
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

static void expect(const char *type, const struct search_criteria *criteria, const char *expected)
{
    struct search_query query = { .type = str_from_cstr(type), .criteria = criteria };
    struct store_hits hits = search(&query);
    expect_hits(&hits, expected);
    assert_int_equal(hits.matches_count, hits.count);
}

static struct search_value key_value(uint32_t parameter, const char *text)
{
    return (struct search_value){ .test = SEARCH_TEST_KEY,
                                  .parameter = parameter,
                                  .key = hash64(str_from_cstr(text), 9) };
}

static struct search_value text_value(enum search_test test, const char *text)
{
    return (
        struct search_value){ .test = test, .parameter = P("Patient", "name"), .text = str_from_cstr(text) };
}

static struct search_value birth_value(enum search_prefix prefix, int64_t from_day, int64_t to_day)
{
    return (struct search_value){ .test = SEARCH_TEST_DATE,
                                  .prefix = prefix,
                                  .parameter = P("Patient", "birthdate"),
                                  .from_ms = from_day * 86400000,
                                  .to_ms = to_day * 86400000 };
}

static struct search_value number_value(enum search_prefix prefix, double number)
{
    return (struct search_value){ .test = SEARCH_TEST_NUMBER,
                                  .prefix = prefix,
                                  .parameter = P("Observation", "value"),
                                  .number = number,
                                  .low = number - 0.5,
                                  .high = number + 0.5 };
}

static struct search_criteria values_of(const char *type, const struct search_value *values, size_t count)
{
    return (struct search_criteria){
        .kind = SEARCH_VALUES, .type = str_from_cstr(type), .values = values, .values_count = count
    };
}

/* ---- criteria ---- */

static void values_are_found(void **state)
{
    (void)state;
    struct search_value male = key_value(P("Patient", "gender"), "male");
    struct search_criteria gender = values_of("Patient", &male, 1);
    expect("Patient", &gender, "wang li");
    gender.negated = true; /* also those without a value */
    expect("Patient", &gender, "nobody zhang");
    struct search_value both[2] = { male, key_value(P("Patient", "gender"), "female") };
    gender = values_of("Patient", both, 2);
    expect("Patient", &gender, "wang li zhang");
    struct search_value nothing = { .test = SEARCH_TEST_NOTHING };
    gender = values_of("Patient", &nothing, 1);
    expect("Patient", &gender, "");
    expect("Patient", NULL, "nobody wang li zhang");
    expect("Device", NULL, "");
    struct search_query all = { .types = (struct str[]){ STR("Patient"), STR("Observation") },
                                .types_count = 2 };
    struct store_hits hits = search(&all);
    expect_hits(&hits, "o4 o3 o2 o1 nobody wang li zhang");
    all.types_count = 1;
    hits = search(&all);
    expect_hits(&hits, "nobody wang li zhang");

    static const struct {
        enum search_test test;
        const char *text;
        const char *expected;
    } texts[] = {
        { SEARCH_TEST_PREFIX, "zha", "li zhang" },
        { SEARCH_TEST_PREFIX, "ang", "" },
        { SEARCH_TEST_CONTAINS, "ang", "wang zhang" },
        { SEARCH_TEST_EQUAL, "zha", "" },
        { SEARCH_TEST_EQUAL, "zhao", "li" },
        { SEARCH_TEST_ABOVE, "li/x", "li" },
        { SEARCH_TEST_ABOVE, "lix", "" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct search_value value = text_value(texts[i].test, texts[i].text);
        struct search_criteria name = values_of("Patient", &value, 1);
        expect("Patient", &name, texts[i].expected);
        struct search_value first = male; /* the same as a check of few candidates */
        struct search_criteria check = values_of("Patient", &first, 1);
        name.negated = true;
        check.next = &name;
        expect("Patient", &check,
               strstr(texts[i].expected, "wang") != NULL ? "li"
               : strstr(texts[i].expected, "li") != NULL ? "wang"
                                                         : "wang li");
    }
}

static void dates_and_numbers_by_prefix(void **state)
{
    (void)state;
    static const struct {
        enum search_prefix prefix;
        int64_t from;
        int64_t to;
        const char *expected;
    } dates[] = {
        { SEARCH_EQ, 200, 201, "li" },         { SEARCH_EQ, 100, 301, "wang li zhang" },
        { SEARCH_NE, 200, 201, "wang zhang" }, { SEARCH_GT, 200, 201, "wang" },
        { SEARCH_LT, 200, 201, "zhang" },      { SEARCH_GE, 200, 201, "wang li" },
        { SEARCH_LE, 200, 201, "li zhang" },   { SEARCH_SA, 150, 200, "wang li" },
        { SEARCH_EB, 200, 250, "zhang" },      { SEARCH_AP, 150, 250, "li" },
    };
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        struct search_value value = birth_value(dates[i].prefix, dates[i].from, dates[i].to);
        struct search_criteria birth = values_of("Patient", &value, 1);
        expect("Patient", &birth, dates[i].expected);
    }
    static const struct {
        enum search_prefix prefix;
        double number;
        const char *expected;
    } numbers[] = {
        { SEARCH_EQ, 20, "o2" },    { SEARCH_NE, 20, "o4 o3 o1" }, { SEARCH_GT, 30, "o4" },
        { SEARCH_LT, 20, "o1" },    { SEARCH_GE, 30, "o4 o3" },    { SEARCH_LE, 20, "o2 o1" },
        { SEARCH_SA, 20, "o4 o3" }, { SEARCH_EB, 20, "o1" },       { SEARCH_AP, 10, "o1" },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct search_value value = number_value(numbers[i].prefix, numbers[i].number);
        struct search_criteria number = values_of("Observation", &value, 1);
        expect("Observation", &number, numbers[i].expected);
    }
    struct search_criteria missing = { .kind = SEARCH_MISSING,
                                       .rows = INDEX_DATE,
                                       .parameter = P("Patient", "birthdate") };
    expect("Patient", &missing, "nobody");
    missing.negated = true;
    expect("Patient", &missing, "wang li zhang");
    missing = (struct search_criteria){ .kind = SEARCH_MISSING,
                                        .rows = INDEX_KEY,
                                        .parameter = P("Patient", "gender") };
    expect("Patient", &missing, "nobody");
}

static void chains_and_has(void **state)
{
    (void)state;
    struct search_value zhang = text_value(SEARCH_TEST_PREFIX, "zhang");
    struct search_criteria name = values_of("Patient", &zhang, 1);
    struct search_link to_patient = { STR("Patient"), &name };
    struct search_criteria chain = {
        .kind = SEARCH_CHAIN, .parameter = P("Observation", "subject"), .links = &to_patient, .links_count = 1
    };
    expect("Observation", &chain, "o2 o1");
    struct search_value code = key_value(P("Observation", "code"), "a");
    struct search_criteria coded = values_of("Observation", &code, 1);
    coded.next = &chain;
    expect("Observation", &coded, "o1");
    chain.negated = true;
    expect("Observation", &coded, "o3");
    struct search_link exists = { STR("Patient"), NULL };
    chain = (struct search_criteria){
        .kind = SEARCH_CHAIN, .parameter = P("Observation", "subject"), .links = &exists, .links_count = 1
    };
    expect("Observation", &chain, "o3 o2 o1"); /* o4 points at nobody */

    struct search_value code_b = key_value(P("Observation", "code"), "b");
    struct search_criteria observed = values_of("Observation", &code_b, 1);
    struct search_link from_observation = { STR("Observation"), &observed };
    struct search_criteria has = { .kind = SEARCH_HAS,
                                   .parameter = P("Observation", "subject"),
                                   .links = &from_observation,
                                   .links_count = 1 };
    expect("Patient", &has, "zhang");
    has.negated = true;
    expect("Patient", &has, "nobody wang li");
    struct str ids[3] = { STR("li"), STR("o1"), STR("absent") };
    struct search_criteria id = { .kind = SEARCH_ID, .type = STR("Patient"), .ids = ids, .ids_count = 3 };
    expect("Patient", &id, "li");
    struct search_query any = { .criteria = &(struct search_criteria){
                                    .kind = SEARCH_ID, .ids = ids, .ids_count = 3 } };
    struct store_hits hits = search(&any);
    expect_hits(&hits, "o1 li");
    /* Nested deeper than the limit: refused, not tried. */
    struct search_criteria deep[3 * LIMIT_SEARCH_CHAIN + 2];
    struct search_link links[3 * LIMIT_SEARCH_CHAIN + 2];
    for (size_t i = 0; i < 3 * LIMIT_SEARCH_CHAIN + 2; i++) {
        links[i] = (struct search_link){ STR("Observation"), i == 0 ? NULL : &deep[i - 1] };
        deep[i] = (struct search_criteria){
            .kind = SEARCH_HAS, .parameter = P("Observation", "subject"), .links = &links[i], .links_count = 1
        };
    }
    struct search_query query = { .type = STR("Patient"), .criteria = &deep[3 * LIMIT_SEARCH_CHAIN + 1] };
    assert_int_equal(refused(&query), ERROR_TOO_COSTLY);
}

static void the_old_and_the_deleted_are_not_found(void **state)
{
    (void)state;
    struct search_value male = key_value(P("Patient", "gender"), "male");
    struct search_criteria gender = values_of("Patient", &male, 1);
    put("Patient", "li", "\"family\":\"li\",\"gender\":\"female\"");
    expect("Patient", &gender, "wang");
    put_as("Patient", "wang", "", 0, true);
    expect("Patient", &gender, "");
    expect("Patient", NULL, "li nobody zhang");
    struct search_value zhang = text_value(SEARCH_TEST_PREFIX, "zhang");
    struct search_criteria name = values_of("Patient", &zhang, 1);
    struct search_link link = { STR("Patient"), &name };
    struct search_criteria chain = {
        .kind = SEARCH_CHAIN, .parameter = P("Observation", "subject"), .links = &link, .links_count = 1
    };
    put_as("Patient", "zhang", "", 0, true);
    expect("Observation", &chain, "");
}

/* ---- rights ---- */

static void rights_hold_on_every_way(void **state)
{
    (void)state;
    uint64_t custodian = 1;
    uint64_t post = KEY("PractitionerRole", "expert");
    struct store_rule rules[4] = {
        { .type = STR("Patient"), .custodians = &custodian, .custodians_count = 1 },
        { .type = STR("Patient"), .granted = true },
        { .type = STR("Observation"), .granted_through = P("Observation", "subject") }
    };
    struct store_filter filter = {
        .rules = rules, .rules_count = 3, .posts = &post, .posts_count = 1, .now_ms = 1000
    };
    asker = &filter;
    expect("Patient", NULL, "wang zhang"); /* their custodian's own */
    expect("Observation", NULL, "");
    struct search_link exists = { STR("Patient"), NULL };
    struct search_criteria has = { .kind = SEARCH_HAS,
                                   .parameter = P("Observation", "subject"),
                                   .links = &(struct search_link){ STR("Observation"), NULL },
                                   .links_count = 1 };
    expect("Patient", &has, ""); /* what may not be seen cannot be felt through _has */

    struct store_grant grant = { .kind = STORE_GRANT_ADD,
                                 .resource = KEY("Patient", "li"),
                                 .post = post,
                                 .basis = KEY("Task", "consult"),
                                 .from_ms = 500,
                                 .until_ms = 2000 };
    struct store_set set = { .grants = &grant, .grants_count = 1 };
    assert_true(store_write_and_wait(store, &set, NULL));
    expect("Patient", NULL, "wang li zhang");
    expect("Observation", NULL, "o3");
    expect("Patient", &has, "li");
    struct search_criteria chain = {
        .kind = SEARCH_CHAIN, .parameter = P("Observation", "subject"), .links = &exists, .links_count = 1
    };
    expect("Observation", &chain, "o3");
    struct search_query query = { .type = STR("Observation"),
                                  .total = SEARCH_TOTAL_ACCURATE,
                                  .summary = SEARCH_SUMMARY_COUNT };
    struct store_hits hits = search(&query);
    assert_true(hits.has_total);
    assert_int_equal(hits.total, 1);
    struct search_include includes[2] = { { .source_type = STR("Observation"),
                                            .code = STR("subject"),
                                            .parameter = P("Observation", "subject") },
                                          { .reverse = true,
                                            .source_type = STR("Observation"),
                                            .code = STR("subject"),
                                            .parameter = P("Observation", "subject") } };
    query = (struct search_query){ .type = STR("Patient"), .includes = includes, .includes_count = 2 };
    hits = search(&query);
    expect_hits(&hits, "wang li zhang +o3");

    filter.now_ms = 2000; /* the end of a grant is its end */
    expect("Patient", NULL, "wang zhang");
    filter.now_ms = 499;
    expect("Observation", NULL, "");
    filter.now_ms = 1000;
    uint64_t other = KEY("PractitionerRole", "other");
    filter.posts = &other;
    expect("Observation", NULL, "");
    filter.posts = &post;

    /* Single versions by the same rules. */
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    bool matches = false;
    assert_true(store_reader_begin(store, &reader, NULL));
    static const struct {
        const char *type;
        const char *id;
        bool seen;
    } singles[] = { { "Patient", "zhang", true },
                    { "Patient", "li", true },
                    { "Patient", "nobody", false },
                    { "Observation", "o3", true },
                    { "Observation", "o1", false } };
    for (size_t i = 0; i < sizeof singles / sizeof *singles; i++) {
        assert_true(store_read(reader, &arena, str_from_cstr(singles[i].type), str_from_cstr(singles[i].id),
                               &version, NULL));
        assert_true(store_matches(reader, &version, &filter, &matches, NULL));
        assert_int_equal(matches, singles[i].seen);
    }
    assert_true(store_matches(reader, &version, NULL, &matches, NULL));
    assert_true(matches);
    struct store_filter nothing = { 0 };
    assert_true(store_matches(reader, &version, &nothing, &matches, NULL));
    assert_false(matches);
    store_reader_end(reader);

    grant = (struct store_grant){ .kind = STORE_GRANT_END_BASIS, .basis = KEY("Task", "consult") };
    assert_true(store_write_and_wait(store, &set, NULL));
    filter.now_ms = 1000; /* the grant's end is the commit's time, long after; ask at the present */
    filter.now_ms = INT64_MAX / 2;
    expect("Observation", NULL, "");

    struct search_value male = key_value(P("Patient", "gender"), "male");
    struct search_criteria gender = values_of("Patient", &male, 1);
    rules[0] = (struct store_rule){ .type = STR("Patient"), .criteria = &gender };
    filter.rules_count = 1;
    expect("Patient", NULL, "wang li");
    expect("Patient", NULL, "wang li");
    struct search_sort newest = { .by = SEARCH_SORT_UPDATED, .descending = true };
    query = (struct search_query){ .type = STR("Patient"),
                                   .sorts = &newest,
                                   .sorts_count = 1,
                                   .has_count = true,
                                   .count = 1,
                                   .total = SEARCH_TOTAL_ACCURATE };
    hits = search(&query); /* page by page along what may be seen */
    expect_hits(&hits, "wang");
    assert_int_equal(hits.total, 2);
    query.cursor = hits.next_cursor;
    put("Patient", "li", "\"family\":\"li\"");
    hits = search(&query);
    expect_hits(&hits, "li");
    assert_null(hits.next_cursor.at);
    put_as("Patient", "li", "\"family\":\"li\",\"given\":\"zhao\",\"birth\":200,\"gender\":\"male\"", 2,
           false);
    rules[0] = (struct store_rule){ .type = STR("*") };
    struct search_query all = { .has_count = true, .count = 100 };
    hits = search(&all);
    assert_int_equal(hits.count, 8);
    filter.rules_count = 0;
    expect("Patient", NULL, "");
    hits = search(&all);
    assert_int_equal(hits.count, 0);
    asker = NULL;
}

/* ---- order and pages ---- */

static void expect_order(const struct search_sort *sorts, size_t count, const char *expected)
{
    struct search_query query = { .type = STR("Patient"), .sorts = sorts, .sorts_count = count };
    struct store_hits hits = search(&query);
    expect_hits(&hits, expected);
}

static void order_by_anything(void **state)
{
    (void)state;
    struct search_sort birth = { .by = SEARCH_SORT_ROWS,
                                 .parameter = P("Patient", "birthdate"),
                                 .rows = INDEX_DATE };
    struct search_sort name = { .by = SEARCH_SORT_ROWS,
                                .parameter = P("Patient", "name"),
                                .rows = INDEX_TEXT };
    struct search_sort gender = { .by = SEARCH_SORT_ROWS,
                                  .parameter = P("Patient", "gender"),
                                  .rows = INDEX_KEY };
    struct search_sort updated = { .by = SEARCH_SORT_UPDATED };
    struct search_sort id = { .by = SEARCH_SORT_ID };
    expect_order(&birth, 1, "zhang li wang nobody");
    birth.descending = true;
    expect_order(&birth, 1, "wang li zhang nobody");
    expect_order(&name, 1, "li zhang wang nobody"); /* zhang's smallest name is "san" */
    name.descending = true;
    expect_order(&name, 1, "li zhang wang nobody"); /* li's largest is "zhao" */
    expect_order(&updated, 1, "zhang li wang nobody");
    updated.descending = true;
    expect_order(&updated, 1, "nobody wang li zhang");
    expect_order(&id, 1, "li nobody wang zhang");
    struct search_sort two[2] = { gender, birth };
    expect_order(two, 2, "zhang wang li nobody");
    name.descending = false;
    struct search_sort streamed[3] = { birth, gender, name };
    expect_order(streamed, 3, "wang li zhang nobody");
    struct search_sort too_many[5] = { birth, gender, name, updated, id };
    struct search_query query = { .type = STR("Patient"), .sorts = too_many, .sorts_count = 5 };
    assert_int_equal(refused(&query), ERROR_TOO_COSTLY);
}

/* Page after page, with changes between them: everything that was there at the first page comes exactly once. */
static void walk_pages(struct search_query *query, size_t all)
{
    struct store_hits hits = { 0 };
    size_t seen = 0;
    bool found[64] = { false };
    query->has_count = true;
    query->count = 3;
    query->cursor = STR_NONE;
    do {
        hits = search(query);
        for (size_t i = 0; i < hits.matches_count; i++) {
            long number = strtol(hits.hits[i].version.id.at + 1, NULL, 10);
            assert_in_range(number, 0, 63);
            assert_false(found[number]);
            found[number] = true;
            seen++;
        }
        query->cursor = hits.next_cursor;
        /* One that was seen changes, one that was not yet changes, a new one comes, one goes. */
        char id[8];
        (void)snprintf(id, sizeof id, "p%d", (int)(seen * 7 % all));
        put("Patient", id, "\"family\":\"changed\",\"birth\":5");
        (void)snprintf(id, sizeof id, "p%d", (int)(seen * 5 % all));
        put_as("Patient", id, "", 0, true);
        put("Patient", "new", "\"family\":\"new\",\"birth\":7");
    } while (hits.next_cursor.at != NULL);
    assert_int_equal(seen, all);
}

static void fill(size_t count)
{
    static const char *const known[] = { "zhang", "li", "wang", "nobody", "new" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        put_as("Patient", known[i], "", 0, true);
    }
    for (size_t i = 0; i < count; i++) {
        char id[8];
        char members[96];
        (void)snprintf(id, sizeof id, "p%d", (int)i);
        /* Few different values, and every fourth without one. */
        (void)snprintf(members, sizeof members, "\"gender\":\"male\",\"family\":\"n%d\"%s%d", (int)(i % 3),
                       i % 4 == 0 ? ",\"other\":" : ",\"birth\":", (int)(i % 5));
        put("Patient", id, members);
    }
}

static void pages_are_stable_while_data_changes(void **state)
{
    (void)state;
    struct search_value male = key_value(P("Patient", "gender"), "male");
    struct search_criteria gender = values_of("Patient", &male, 1);
    struct search_sort birth = { .by = SEARCH_SORT_ROWS,
                                 .parameter = P("Patient", "birthdate"),
                                 .rows = INDEX_DATE };
    struct search_sort updated = { .by = SEARCH_SORT_UPDATED };
    struct search_sort two[] = {
        birth, { .by = SEARCH_SORT_ROWS, .parameter = P("Patient", "name"), .rows = INDEX_TEXT }
    };
    struct search_sort key[] = {
        birth, { .by = SEARCH_SORT_ROWS, .parameter = P("Patient", "gender"), .rows = INDEX_KEY }
    };
    const struct search_sort *sorts[] = { NULL, &updated, &birth, two, key };
    const size_t counts[] = { 0, 1, 1, 2, 2 };
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        for (int driven = 0; driven < 2; driven++) {
            fill(23);
            struct search_query query = { .type = STR("Patient"),
                                          .criteria = driven == 1 ? &gender : NULL,
                                          .sorts = sorts[i],
                                          .sorts_count = counts[i] };
            walk_pages(&query, 23);
        }
    }
}

/* Many patients in sets of a thousand: every tenth without a birth date, dates in no order. */
static void fill_many(size_t count)
{
    struct error error = { 0 };
    for (size_t first = 0; first < count; first += 1000) {
        struct arena own = { .bytes_max = 64u << 20 };
        struct store_write *writes = ARENA_ARRAY(&own, struct store_write, 1000);
        struct index_rows *rows = ARENA_ARRAY(&own, struct index_rows, 1000);
        for (size_t i = 0; i < 1000; i++) {
            size_t number = first + i;
            struct str members = number % 10 == 0
                                     ? STR("\"gender\":\"a\"")
                                     : arena_printf(&own, "\"gender\":\"%s\",\"birth\":%zu",
                                                    number % 3 == 0 ? "a" : "b", number * 7919 % 5000);
            assert_true(rows_of(NULL, &own, STR("Patient"), arena_printf(&own, "{%.*s}", STR_FMT(members)),
                                &rows[i], &error));
            writes[i] = (struct store_write){ .type = STR("Patient"),
                                              .id = arena_printf(&own, "m%zu", number),
                                              .method = STORE_METHOD_CREATED,
                                              .body = arena_printf(&own, "},%.*s}", STR_FMT(members)),
                                              .index = &rows[i] };
        }
        struct store_set set = { .arena = &own, .writes = writes, .writes_count = 1000 };
        if (!store_write_and_wait(store, &set, &error)) {
            fail_msg("fill: %s", error.text);
        }
        arena_deinit(&own);
    }
}

/* Walks all pages, looks that each comes once and in order, gives their number. */
static size_t walk_many(struct search_query *query, bool descending, size_t highest)
{
    static bool found[30000];
    memset(found, 0, sizeof found);
    size_t seen = 0;
    int64_t last = descending ? INT64_MAX : INT64_MIN;
    bool without = false;
    query->has_count = true;
    query->count = 700;
    query->cursor = STR_NONE;
    do {
        struct arena *outer = &arena;
        struct store_hits hits = search(query);
        for (size_t i = 0; i < hits.matches_count; i++) {
            struct json *tree = NULL;
            struct str text = STR_NONE;
            size_t number = (size_t)strtoul(hits.hits[i].version.id.at + 1, NULL, 10);
            assert_true(number < highest);
            assert_false(found[number]);
            found[number] = true;
            seen++;
            text = arena_printf(outer, "{\"x\":{%.*s", STR_FMT(hits.hits[i].version.body));
            assert_true(json_read(outer, text, &tree, NULL));
            if (query->sorts_count > 0 && JSON_GET(tree, "birth") != NULL) {
                int64_t birth = number_of(tree, "birth");
                assert_false(without); /* those without a value come last */
                assert_true(descending ? birth <= last : birth >= last);
                last = birth;
            } else {
                without = query->sorts_count > 0;
            }
        }
        query->cursor = hits.next_cursor;
    } while (query->cursor.at != NULL);
    return seen;
}

static void many_are_streamed(void **state)
{
    (void)state;
    put_as("Patient", "zhang", "", 0, true);
    put_as("Patient", "li", "", 0, true);
    put_as("Patient", "wang", "", 0, true);
    put_as("Patient", "nobody", "", 0, true);
    fill_many(21000);
    struct search_sort birth = { .by = SEARCH_SORT_ROWS,
                                 .parameter = P("Patient", "birthdate"),
                                 .rows = INDEX_DATE };
    struct search_query query = { .type = STR("Patient"), .sorts = &birth, .sorts_count = 1 };
    assert_int_equal(walk_many(&query, false, 21000), 21000);
    birth.descending = true;
    assert_int_equal(walk_many(&query, true, 21000), 21000);
    struct search_value genders[2] = { key_value(P("Patient", "gender"), "a"),
                                       key_value(P("Patient", "gender"), "b") };
    struct search_criteria gender = values_of("Patient", genders, 2);
    query.criteria = &gender;
    assert_int_equal(walk_many(&query, true, 21000), 21000);
    query.sorts_count = 0; /* not selective: the type is walked, the criterion checked */
    assert_int_equal(walk_many(&query, false, 21000), 21000);
    gender.values_count = 1;
    assert_int_equal(walk_many(&query, false, 21000), 8400);
    struct search_value after = birth_value(SEARCH_GE, 2500, 2501);
    struct search_criteria late = values_of("Patient", &after, 1);
    query.criteria = &late;
    assert_int_equal(walk_many(&query, false, 21000), 9451);
    query.sorts_count =
        1; /* few fit at the end where the order begins: gathered after a try; many at the other end */
    birth.descending = false;
    assert_int_equal(walk_many(&query, false, 21000), 9451);
    birth.descending = true;
    assert_int_equal(walk_many(&query, true, 21000), 9451);
    struct search_sort two[2] = {
        birth, { .by = SEARCH_SORT_ROWS, .parameter = P("Patient", "gender"), .rows = INDEX_KEY }
    };
    query.sorts = two;
    query.sorts_count = 2;
    query.criteria = NULL;
    assert_int_equal(walk_many(&query, true, 21000), 21000);
    query.criteria = &late;
    query.sorts_count = 0;
    query.total = SEARCH_TOTAL_ACCURATE;
    query.cursor = STR_NONE;
    struct store_hits hits = search(&query);
    assert_int_equal(hits.total, 9451);
    struct search_sort key_sort = { .by = SEARCH_SORT_ROWS,
                                    .parameter = P("Patient", "gender"),
                                    .rows = INDEX_KEY };
    query = (struct search_query){ .type = STR("Patient"), .sorts = &key_sort, .sorts_count = 1 };
    assert_int_equal(refused(&query), ERROR_TOO_COSTLY); /* said, not cut */
}

static void page_links_are_bound(void **state)
{
    (void)state;
    struct search_pair pair = { STR("gender"), STR("male") };
    struct search_query query = { .type = STR("Patient"),
                                  .has_count = true,
                                  .count = 2,
                                  .pairs = &pair,
                                  .pairs_count = 1,
                                  .total = SEARCH_TOTAL_UNSAID };
    struct store_hits hits = search(&query);
    assert_non_null(hits.next_cursor.at);
    assert_false(hits.has_total); /* not asked, and the page is not all */
    query.total = SEARCH_TOTAL_ACCURATE;
    hits = search(&query);
    assert_true(hits.has_total);
    assert_int_equal(hits.total, 4);
    query.cursor = hits.next_cursor;
    hits = search(&query);
    expect_hits(&hits, "li zhang");
    assert_null(hits.next_cursor.at);
    pair.value = STR("female"); /* another search */
    assert_int_equal(refused(&query), ERROR_INPUT);
    pair.value = STR("male");
    uint64_t post = 4;
    struct store_rule rule = { .type = STR("*") };
    struct store_filter filter = { .rules = &rule, .rules_count = 1, .posts = &post, .posts_count = 1 };
    asker = &filter; /* another person */
    assert_int_equal(refused(&query), ERROR_INPUT);
    asker = NULL;
    query.cursor = STR("0123");
    assert_int_equal(refused(&query), ERROR_INPUT);
    query.cursor = STR("");
    assert_int_equal(refused(&query), ERROR_INPUT);
    query.cursor = STR_NONE;
    query.count = 50;
    query.total = SEARCH_TOTAL_UNSAID;
    hits = search(&query);
    assert_true(hits.has_total); /* the page holds everything */
    assert_int_equal(hits.total, 4);
    query.count = 0;
    hits = search(&query);
    assert_int_equal(hits.count, 0);
    assert_int_equal(hits.total, 4);
}

/* ---- includes ---- */

static void includes_follow_references(void **state)
{
    (void)state;
    struct search_include forward = { .source_type = STR("Observation"),
                                      .code = STR("subject"),
                                      .parameter = P("Observation", "subject") };
    struct search_query query = { .type = STR("Observation"), .includes = &forward, .includes_count = 1 };
    struct store_hits hits = search(&query);
    expect_hits(&hits, "o4 o3 o2 o1 +li +zhang"); /* each once, what is elsewhere not at all */
    assert_int_equal(hits.matches_count, 4);
    forward.target_type = STR("Group");
    hits = search(&query);
    expect_hits(&hits, "o4 o3 o2 o1");
    forward.target_type = STR_NONE;
    forward.all = true;
    forward.parameters = (uint32_t[]){ 1, P("Observation", "subject") };
    forward.parameters_count = 2;
    hits = search(&query);
    expect_hits(&hits, "o4 o3 o2 o1 +li +zhang");
    /* From the observation to its patient, and on to that patient's other observations. */
    struct search_value b = key_value(P("Observation", "code"), "b");
    struct search_criteria code = values_of("Observation", &b, 1);
    struct search_include both[2] = { { .source_type = STR("Observation"),
                                        .code = STR("subject"),
                                        .parameter = P("Observation", "subject") },
                                      { .reverse = true,
                                        .source_type = STR("Observation"),
                                        .code = STR("subject"),
                                        .parameter = P("Observation", "subject") } };
    query = (struct search_query){
        .type = STR("Observation"), .criteria = &code, .includes = both, .includes_count = 2
    };
    hits = search(&query);
    expect_hits(&hits, "o2 +zhang");
    both[1].iterate = true;
    hits = search(&query);
    expect_hits(&hits, "o2 +zhang +o1");
    assert_null(hits.include_cut.at);
}

static void conditions_ask_inside_the_writer(void **state)
{
    (void)state;
    struct search_value wang = text_value(SEARCH_TEST_EQUAL, "wang");
    struct search_criteria name = values_of("Patient", &wang, 1);
    struct search_query query = { .type = STR("Patient"), .criteria = &name };
    struct store_condition condition = { .kind = STORE_CONDITION_QUERY,
                                         .type = STR("Patient"),
                                         .query = &query };
    struct store_set set = { .conditions = &condition, .conditions_count = 1 };
    struct error error = { 0 };
    assert_false(store_write_and_wait(store, &set, &error));
    assert_int_equal(error.kind, ERROR_PRECONDITION);
    condition.id = STR("wang");
    set = (struct store_set){ .conditions = &condition, .conditions_count = 1 };
    assert_true(store_write_and_wait(store, &set, NULL));
    condition.id = STR("li");
    set = (struct store_set){ .conditions = &condition, .conditions_count = 1 };
    assert_false(store_write_and_wait(store, &set, &error));
    wang.text = STR("nobody");
    condition.id = STR_NONE;
    set = (struct store_set){ .conditions = &condition, .conditions_count = 1 };
    assert_true(store_write_and_wait(store, &set, NULL));
    struct store_check_report report = { .sample_count = 100 };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
}

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_STORE(values_are_found),
        IN_STORE(dates_and_numbers_by_prefix),
        IN_STORE(chains_and_has),
        IN_STORE(the_old_and_the_deleted_are_not_found),
        IN_STORE(rights_hold_on_every_way),
        IN_STORE(order_by_anything),
        IN_STORE(pages_are_stable_while_data_changes),
        IN_STORE(many_are_streamed),
        IN_STORE(page_links_are_bound),
        IN_STORE(includes_follow_references),
        IN_STORE(conditions_ask_inside_the_writer),
    };
    int failed = cmocka_run_group_tests_name("rows wait", tests, NULL, NULL);
    waiting_rows_max = 20;
    failed += cmocka_run_group_tests_name("rows are merged soon", tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
