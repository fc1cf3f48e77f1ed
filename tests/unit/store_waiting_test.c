/* Index rows that wait in memory and move into the main index while everybody reads and writes: whatever has been merged,
 * a search finds each version that it should once, and nothing else. */
#include "store_fixture.h"

#include "store_ask.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PEOPLE = 60, STEPS = 600, CODES = 5, ALL = 99 };

/* What is true: a row of each kind a resource. */
struct person {
    uint64_t code;
    unsigned number;
    bool alive;
};

static uint64_t seed;

static unsigned noise(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

/* Rows are told by the body: {"code":c,"number":n}. */
static size_t rows_make(struct arena *rows_arena, struct index_row *rows, uint64_t code, unsigned number)
{
    size_t count = 0;
    rows[count++] = (struct index_row){ .kind = INDEX_KEY, .parameter = 1, .key = ALL };
    rows[count++] = (struct index_row){ .kind = INDEX_KEY, .parameter = 2, .key = code };
    rows[count++] = (struct index_row){ .kind = INDEX_TEXT,
                                        .parameter = 3,
                                        .text = arena_printf(rows_arena, "name %03u", number) };
    rows[count++] = (struct index_row){
        .kind = INDEX_DATE, .parameter = 4, .from_ms = number * 10, .to_ms = number * 10 + 10
    };
    rows[count++] =
        (struct index_row){ .kind = INDEX_NUMBER, .parameter = 5, .low = number / 2.0, .high = number / 2.0 };
    return count;
}

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
    uint64_t code = strtoull(arena_cstr(rows_arena, json_member(tree, STR("code"))->raw), NULL, 10);
    unsigned number =
        (unsigned)strtoul(arena_cstr(rows_arena, json_member(tree, STR("number"))->raw), NULL, 10);
    *out = (struct index_rows){ rows, rows_make(rows_arena, rows, code, number) };
    return true;
}

static bool person_write(struct store *store, struct arena *own, unsigned who, const struct person *person,
                         const struct store_condition *condition)
{
    struct index_row rows[5];
    struct index_rows index = { rows, rows_make(own, rows, person->code, person->number) };
    struct store_write write = {
        .type = STR("Patient"),
        .id = arena_printf(own, "p%u", who),
        .method = person->alive ? STORE_METHOD_UPDATED : STORE_METHOD_DELETED,
        .body = arena_printf(own, "},\"code\":%u,\"number\":%u}", (unsigned)person->code, person->number),
        .index = person->alive ? &index : NULL,
    };
    struct store_set set = { .arena = own,
                             .writes = &write,
                             .writes_count = 1,
                             .conditions = condition,
                             .conditions_count = condition == NULL ? 0 : 1 };
    return store_write_and_wait(store, &set, NULL);
}

static struct search_value key_is(uint32_t parameter, uint64_t key)
{
    return (struct search_value){ .test = SEARCH_TEST_KEY, .parameter = parameter, .key = key };
}

/* The ids that a search finds, as bits; each page of `count`, and no id twice. */
static uint64_t search_bits(struct store *store, struct arena *own, const struct search_value *value,
                            const struct search_sort *sort, uint32_t count)
{
    struct search_criteria criteria = {
        .kind = SEARCH_VALUES, .type = STR("Patient"), .values = value, .values_count = 1
    };
    struct search_query query = { .type = STR("Patient"),
                                  .criteria = &criteria,
                                  .count = count,
                                  .has_count = true,
                                  .sorts = sort,
                                  .sorts_count = sort == NULL ? 0 : 1,
                                  .total = SEARCH_TOTAL_ACCURATE };
    struct store_search search = { .query = &query };
    uint64_t bits = 0;
    uint64_t found = 0;
    do {
        struct store_hits hits = { 0 };
        struct store_reader *reader = NULL;
        struct error error = { 0 };
        assert_true(store_reader_begin(store, &reader, NULL));
        if (!store_search(reader, own, &search, &hits, &error)) {
            fail_msg("search: %s", error.text);
        }
        store_reader_end(reader);
        found += hits.count;
        for (size_t i = 0; i < hits.count; i++) {
            unsigned who = (unsigned)strtoul(arena_cstr(own, hits.hits[i].version.id) + 1, NULL, 10);
            assert_true(who < PEOPLE);
            assert_true((bits >> who & 1) == 0);
            bits |= UINT64_C(1) << who;
        }
        assert_true(hits.has_total);
        assert_true(hits.total >= hits.count);
        search.cursor = hits.next_cursor;
        assert_true(search.cursor.at != NULL || hits.total == found);
    } while (search.cursor.at != NULL);
    return bits;
}

static struct person people[PEOPLE];

static uint64_t expected(bool (*fits)(const struct person *, unsigned), unsigned value)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < PEOPLE; i++) {
        bits |= (uint64_t)(people[i].alive && fits(&people[i], value) ? 1 : 0) << i;
    }
    return bits;
}

static bool has_code(const struct person *person, unsigned code)
{
    return person->code == code;
}

static bool has_tens(const struct person *person, unsigned tens)
{
    return person->number / 10 == tens;
}

static bool is_from(const struct person *person, unsigned number)
{
    return person->number >= number;
}

static bool is_any(const struct person *person, unsigned value)
{
    (void)person;
    (void)value;
    return true;
}

static void look(struct store *store)
{
    static const struct search_sort by_name = {
        .by = SEARCH_SORT_ROWS, .rows = INDEX_TEXT, .parameter = 3, .descending = true
    };
    unsigned code = noise(CODES);
    unsigned number = noise(100);
    struct search_value key = key_is(2, code);
    struct search_value all = key_is(1, ALL);
    struct search_value text = { .test = SEARCH_TEST_PREFIX,
                                 .parameter = 3,
                                 .text = arena_printf(&arena, "name %02u", number / 10) };
    struct search_value date = { .test = SEARCH_TEST_DATE,
                                 .parameter = 4,
                                 .prefix = SEARCH_GE,
                                 .from_ms = number * 10,
                                 .to_ms = number * 10 + 10 };
    struct search_value real = {
        .test = SEARCH_TEST_NUMBER, .parameter = 5, .prefix = SEARCH_GE, .number = number / 2.0
    };
    assert_int_equal(search_bits(store, &arena, &key, NULL, 3), expected(has_code, code));
    assert_int_equal(search_bits(store, &arena, &key, &by_name, 4), expected(has_code, code));
    assert_int_equal(search_bits(store, &arena, &all, NULL, 20), expected(is_any, 0));
    assert_int_equal(search_bits(store, &arena, &text, NULL, 20), expected(has_tens, number / 10));
    assert_int_equal(search_bits(store, &arena, &date, NULL, 20), expected(is_from, number));
    assert_int_equal(search_bits(store, &arena, &real, NULL, 20), expected(is_from, number));
}

/* A condition that searches in the writer: none with this code may be there. */
static bool write_if_none(struct store *store, unsigned who, const struct person *person)
{
    struct search_value value = key_is(2, person->code);
    struct search_criteria criteria = {
        .kind = SEARCH_VALUES, .type = STR("Patient"), .values = &value, .values_count = 1
    };
    struct search_query query = { .type = STR("Patient"), .criteria = &criteria };
    struct store_condition condition = { .kind = STORE_CONDITION_QUERY, .query = &query };
    return person_write(store, &arena, who, person, &condition);
}

/* Row by row: every write is found at once, whatever is merged meanwhile; also after the store was opened anew. */
static void every_write_is_found_at_once(void **state)
{
    store_close(*state);
    *state = NULL;
    memset(people, 0, sizeof people);
    seed = 20261122;
    struct store_options options = { .index_rows = rows_of, .waiting_rows_max = 150 };
    struct store *store = open_store(&options);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned who = noise(PEOPLE);
        struct person next = { noise(CODES), noise(100), noise(10) > 0 };
        if (noise(8) == 0) {
            next.alive = true;
            bool none = expected(has_code, (unsigned)next.code) == 0;
            assert_int_equal(write_if_none(store, who, &next), none);
            people[who] = none ? next : people[who];
        } else {
            assert_true(person_write(store, &arena, who, &next, NULL));
            people[who] = next;
        }
        if (step % 4 == 0) {
            look(store);
        }
        if (step % 200 == 199) {
            store_close(store);
            store = open_store(&options);
            look(store);
            struct store_check_report report = { .whole_index = true };
            assert_true(store_check(store, &report, NULL));
            assert_int_equal(report.findings_count, 0);
        }
        arena_reset(&arena);
    }
    *state = store;
}

/* What a person's record says, by its id; the history of its versions, and whether a page asked for by id has it. */
static void look_at(struct store *store, unsigned who, uint64_t versions)
{
    struct person *person = &people[who];
    struct str id = arena_printf(&arena, "p%u", who);
    struct store_version version = { 0 };
    struct store_reader *reader = NULL;
    struct error error = { 0 };
    assert_true(store_reader_begin(store, &reader, NULL));
    bool found = store_read(reader, &arena, STR("Patient"), id, &version, &error);
    assert_int_equal(found, versions > 0);
    if (found) {
        assert_int_equal(version.version, versions);
        assert_int_equal(version.method == STORE_METHOD_DELETED, !person->alive);
        assert_int_equal(version.ended_seq, 0);
        struct store_history history = { .type = STR("Patient"), .id = id, .count = 1000 };
        struct store_page page = { 0 };
        uint64_t count = 0;
        assert_true(store_read_history(reader, &arena, &history, &page, NULL));
        assert_int_equal(page.count, versions);
        for (size_t i = 0; i < page.count; i++) {
            assert_int_equal(page.versions[i].version, versions - i);
        }
        assert_true(store_count_history(reader, &history, &count, NULL));
        assert_int_equal(count, versions);
    }
    struct search_criteria criteria = {
        .kind = SEARCH_ID, .type = STR("Patient"), .ids = &id, .ids_count = 1
    };
    struct search_query query = { .type = STR("Patient"), .criteria = &criteria };
    struct store_search search = { .query = &query };
    struct store_hits hits = { 0 };
    assert_true(store_search(reader, &arena, &search, &hits, NULL));
    assert_int_equal(hits.count, person->alive ? 1 : 0);
    store_reader_end(reader);
}

/* Where a resource's latest version is waits too: reads, histories and searches by id are never behind, while
 * heads are merged, and after the store was opened anew. */
static void a_head_that_waits_is_the_latest(void **state)
{
    store_close(*state);
    *state = NULL;
    memset(people, 0, sizeof people);
    seed = 20261123;
    uint64_t versions[PEOPLE] = { 0 };
    struct store_options options = { .index_rows = rows_of, .waiting_rows_max = 90 };
    struct store *store = open_store(&options);
    for (unsigned step = 0; step < 500; step++) {
        unsigned who = noise(PEOPLE);
        struct person next = { noise(CODES), noise(100), noise(6) > 0 };
        assert_true(person_write(store, &arena, who, &next, NULL));
        versions[who] +=
            next.alive || people[who].alive ? 1 : 0; /* deleting what is not there is no version */
        people[who] = next;
        look_at(store, who, versions[who]);
        who = noise(PEOPLE);
        look_at(store, who, versions[who]);
        if (step % 100 == 99) {
            store_close(store);
            store = open_store(&options);
            for (unsigned i = 0; i < PEOPLE; i++) {
                look_at(store, i, versions[i]);
            }
            expect_clean(store);
        }
        arena_reset(&arena);
    }
    *state = store;
}

struct traffic {
    struct store *store;
    _Atomic bool stop;
    _Atomic uint64_t searches;
};

static void *search_always(void *data)
{
    struct traffic *traffic = data;
    struct arena own = { .bytes_max = 16u << 20 };
    struct search_value all = key_is(1, ALL);
    while (!atomic_load(&traffic->stop)) {
        assert_int_equal(search_bits(traffic->store, &own, &all, NULL, 100), (UINT64_C(1) << PEOPLE) - 1);
        atomic_fetch_add(&traffic->searches, 1);
        arena_reset(&own);
    }
    arena_deinit(&own);
    return NULL;
}

/* While versions follow each other and rows are merged, frozen and dropped, every snapshot sees all sixty once. */
static void a_snapshot_sees_each_once(void **state)
{
    store_close(*state);
    *state = NULL;
    struct store_options options = { .index_rows = rows_of, .waiting_rows_max = 400 };
    struct traffic traffic = { .store = open_store(&options) };
    struct person person = { 1, 1, true };
    for (unsigned who = 0; who < PEOPLE; who++) {
        assert_true(person_write(traffic.store, &arena, who, &person, NULL));
    }
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, search_always, &traffic), 0);
    }
    for (unsigned i = 0; i < 700; i++) {
        person.number = i % 100;
        assert_true(person_write(traffic.store, &arena, i % PEOPLE, &person, NULL));
        arena_reset(&arena);
    }
    atomic_store(&traffic.stop, true);
    for (size_t i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_true(atomic_load(&traffic.searches) > 0);
    *state = traffic.store;
}

/* Closing merges what waits, so that the next start has nothing to read. */
static void closing_merges_what_waits(void **state)
{
    struct store *store = *state;
    struct person person = { 1, 7, true };
    for (unsigned who = 0; who < 20; who++) {
        assert_true(person_write(store, &arena, who, &person, NULL));
    }
    store_close(store);
    assert_int_equal(ask("SELECT count(*) FROM index_pending"), 0);
    assert_int_equal(ask("SELECT count(*) FROM index_key WHERE parameter = 2"), 20);
    assert_int_equal(ask("SELECT run + position FROM index_mark"), 0);
    *state = open_store(NULL);
}

/* A re-index that brings what is there already, waiting or merged, doubles nothing. */
static void a_refill_doubles_nothing(void **state)
{
    store_close(*state);
    *state = NULL;
    struct store_options options = { .index_rows = rows_of, .waiting_rows_max = 30 };
    struct store *store = open_store(&options);
    struct person person = { 3, 7, true };
    for (unsigned who = 0; who < 10; who++) {
        assert_true(person_write(store, &arena, who, &person, NULL));
    }
    struct index_row rows[6];
    size_t count = rows_make(&arena, rows, 3, 7);
    rows[count++] = (struct index_row){ .kind = INDEX_KEY, .parameter = 6, .key = 1 }; /* a new parameter */
    struct index_rows index = { rows, count };
    struct store_refill refills[10];
    for (size_t i = 0; i < 10; i++) {
        refills[i] = (struct store_refill){ .seq = i + 1, .index = &index };
    }
    struct store_set set = { .arena = &arena, .refills = refills, .refills_count = 10 };
    assert_true(store_write_and_wait(store, &set, NULL));
    struct search_value code = key_is(2, 3);
    struct search_value added = key_is(6, 1);
    assert_int_equal(search_bits(store, &arena, &code, NULL, 100), 1023);
    assert_int_equal(search_bits(store, &arena, &added, NULL, 100), 1023);
    store_close(store);
    assert_int_equal(ask("SELECT count(*) FROM index_key WHERE parameter IN (2, 6)"), 20);
    *state = open_store(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STORE(every_write_is_found_at_once), IN_STORE(a_head_that_waits_is_the_latest),
        IN_STORE(a_snapshot_sees_each_once),    IN_STORE(closing_merges_what_waits),
        IN_STORE(a_refill_doubles_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
