/* Searching: order, pages while data changes, includes, limits. */
#include "store_search_fixture.h"

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

int main(void)
{
#define IN_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_STORE(order_by_anything),          IN_STORE(pages_are_stable_while_data_changes),
        IN_STORE(many_are_streamed),          IN_STORE(page_links_are_bound),
        IN_STORE(includes_follow_references),
    };
    int failed = cmocka_run_group_tests_name("rows wait", tests, NULL, NULL);
    waiting_rows_max = 20;
    failed += cmocka_run_group_tests_name("rows are merged soon", tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
