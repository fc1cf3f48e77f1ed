/* Searching: every kind of criterion, and rights on all that is passed through. Index rows are made by hand, so that what is
 * tested is the store. Order, pages, includes: store_search_order_test.c. */
#include "store_search_fixture.h"

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
        IN_STORE(values_are_found),         IN_STORE(dates_and_numbers_by_prefix),
        IN_STORE(chains_and_has),           IN_STORE(the_old_and_the_deleted_are_not_found),
        IN_STORE(rights_hold_on_every_way), IN_STORE(conditions_ask_inside_the_writer),
    };
    int failed = cmocka_run_group_tests_name("rows wait", tests, NULL, NULL);
    waiting_rows_max = 20;
    failed += cmocka_run_group_tests_name("rows are merged soon", tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
