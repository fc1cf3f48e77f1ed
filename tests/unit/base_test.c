/* The ground floor: slices, arenas, buffers, dates, numbers, tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "base/table.h"
#include "base/uuid.h"

static void str_splits_and_trims(void **state)
{
    (void)state;
    struct str rest = STR("a,,b");
    struct str part = STR_NONE;
    assert_true(str_split_next(&rest, ',', &part) && str_equal(part, STR("a")));
    assert_true(str_split_next(&rest, ',', &part) && part.len == 0);
    assert_true(str_split_next(&rest, ',', &part) && str_equal(part, STR("b")));
    assert_false(str_split_next(&rest, ',', &part));
    assert_true(str_equal(str_trim(STR(" \t x y \n")), STR("x y")));
    assert_true(str_compare(STR("ab"), STR("abc")) < 0);
    assert_false(str_is_utf8((struct str){ "\xed\xa0\x80", 3 }));
}

static int cleaned;
static void count_cleanup(void *data)
{
    cleaned += *(int *)data;
}

static void arena_has_a_limit_and_cleans_up(void **state)
{
    (void)state;
    struct arena arena = { .bytes_max = 64 * 1024 };
    int one = 1;
    assert_true(arena_on_reset(&arena, count_cleanup, &one));
    assert_non_null(arena_alloc(&arena, 40 * 1024));
    assert_null(arena_alloc(&arena, 60 * 1024));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
    arena_reset(&arena);
    assert_int_equal(cleaned, 1);
    assert_non_null(arena_alloc(&arena, 40 * 1024));
    arena_deinit(&arena);
    assert_int_equal(cleaned, 1);
}

static void buf_stops_at_its_maximum(void **state)
{
    (void)state;
    struct buf buf = { .bytes_max = 8 };
    buf_add(&buf, STR("12345678"));
    assert_false(buf.failed);
    buf_add_char(&buf, '9');
    assert_true(buf.failed);
    buf_clear(&buf);
    buf_add(&buf, STR("ok"));
    assert_true(!buf.failed && buf.len == 2);
    buf_deinit(&buf);
}

static void expect_span(const char *text, const char *from, const char *to)
{
    struct date_span span = { 0 };
    struct error error = { 0 };
    char out[INSTANT_BYTES];
    assert_true(date_parse(str_from_cstr(text), 480, &span, &error));
    (void)instant_format(span.from_ms, 0, out);
    assert_string_equal(out, from);
    (void)instant_format(span.to_ms, 0, out);
    assert_string_equal(out, to);
}

static void dates_are_spans(void **state)
{
    (void)state;
    expect_span("2020", "2019-12-31T16:00:00.000Z", "2020-12-31T16:00:00.000Z");
    expect_span("2020-12", "2020-11-30T16:00:00.000Z", "2020-12-31T16:00:00.000Z");
    expect_span("2020-02-29", "2020-02-28T16:00:00.000Z", "2020-02-29T16:00:00.000Z");
    expect_span("2020-02-11T14:30:00+08:00", "2020-02-11T06:30:00.000Z", "2020-02-11T06:30:01.000Z");
    expect_span("2020-02-11T14:30:00.1239Z", "2020-02-11T14:30:00.123Z", "2020-02-11T14:30:00.124Z");
    static const char *const bad[] = { "",
                                       "20",
                                       "2020-13",
                                       "2021-02-29",
                                       "2020-02-11T",
                                       "2020-02-11T25:00:00Z",
                                       "2020-02-11T10:00:00+15:00",
                                       "2020-2-1",
                                       "2020-02-11x",
                                       "0000" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct date_span span = { 0 };
        assert_false(date_parse(str_from_cstr(bad[i]), 0, &span, NULL));
    }
    struct date_span span = { 0 };
    assert_true(date_parse(STR("2020-02-11T15:59:59Z"), 0, &span, NULL));
    assert_int_equal(local_day(span.from_ms, 480), days_from_civil(2020, 2, 11));
    assert_int_equal(local_day(span.from_ms + 1000, 480), days_from_civil(2020, 2, 12));
    assert_int_equal(days_from_civil(1970, 1, 1), 0);
}

static void numbers_are_whole_or_refused(void **state)
{
    (void)state;
    uint64_t value = 0;
    assert_true(parse_uint64(STR("18446744073709551615"), UINT64_MAX, &value));
    assert_false(parse_uint64(STR("18446744073709551616"), UINT64_MAX, &value));
    assert_false(parse_uint64(STR("12x"), 100, &value));
    assert_false(parse_uint64(STR(""), 100, &value));
    int64_t number = 0;
    assert_true(parse_int64(STR("-5"), -5, 5, &number) && number == -5);
    assert_false(parse_int64(STR("6"), -5, 5, &number));
    double real = 0;
    assert_true(parse_double(STR("-2.5e3"), &real));
    assert_true(real == -2500.0);
    assert_false(parse_double(STR("nan"), &real));
    size_t sum = 0;
    assert_false(size_add_checked(SIZE_MAX, 1, &sum));
}

static void tables_find_what_was_set(void **state)
{
    (void)state;
    struct arena arena = { .bytes_max = 8u << 20 };
    struct table table = table_in(&arena);
    static int values[1000];
    for (int i = 0; i < 1000; i++) {
        values[i] = i;
        assert_true(table_set(&table, arena_printf(&arena, "key-%d", i), &values[i]));
    }
    for (int i = 0; i < 1000; i++) {
        int *found = table_get(&table, arena_printf(&arena, "key-%d", i));
        assert_non_null(found);
        assert_int_equal(*found, i);
    }
    assert_null(table_get(&table, STR("key-1000")));
    arena_deinit(&arena);
}

static void ids_and_digests(void **state)
{
    (void)state;
    char id[UUID_TEXT_BYTES];
    assert_true(uuid_v7(0x0123456789AB, id, NULL));
    assert_memory_equal(id, "01234567-89ab-7", 15);
    uint8_t digest[SHA256_BYTES];
    char hex[HASH_HEX_BYTES + 1];
    assert_true(hash_sm3(STR("abc"), digest, NULL)); /* GB/T 32905-2016 annex A.1 */
    hash_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    assert_true(hash64(STR("a"), 1) != hash64(STR("a"), 2));
}

static void writes_instants(void **state)
{
    static const struct {
        int64_t time_ms;
        int offset_minutes;
        const char *text;
    } cases[] = {
        { 0, 0, "1970-01-01T00:00:00.000Z" },
        { 951782399999, 0, "2000-02-28T23:59:59.999Z" },
        { 951868799001, 0, "2000-02-29T23:59:59.001Z" },
        { -1, 0, "1969-12-31T23:59:59.999Z" },
        { 253402300799999, 0, "9999-12-31T23:59:59.999Z" },
        { 1795327806050, 480, "2026-11-22T14:10:06.050+08:00" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[INSTANT_BYTES];
        size_t len = instant_format(cases[i].time_ms, cases[i].offset_minutes, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(len, strlen(cases[i].text));
    }
}

/* What fits where it stands and what needs more room than is left. */
static void prints_into_what_is_left(void **state)
{
    (void)state;
    struct arena arena = { .bytes_max = 1 << 20 };
    for (size_t len = 0; len < 40000; len = len * 2 + 1) {
        struct str text = arena_printf(&arena, "%*s|", (int)len, "");
        struct str next = arena_printf(&arena, "%d", 42);
        assert_int_equal(text.len, len + 1);
        assert_int_equal(text.at[len], '|');
        assert_true(str_equal(next, STR("42")));
    }
    struct buf buf = { .bytes_max = 1000 };
    for (size_t i = 0; i < 300; i++) {
        buf_printf(&buf, "%03zu", i);
    }
    assert_false(buf.failed);
    assert_int_equal(buf.len, 900);
    assert_memory_equal(buf.at, "000001002", 9);
    assert_memory_equal(buf.at + 891, "297298299", 9);
    buf_printf(&buf, "%200s", "x");
    assert_true(buf.failed);
    buf_deinit(&buf);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_instants),
        cmocka_unit_test(prints_into_what_is_left),
        cmocka_unit_test(str_splits_and_trims),
        cmocka_unit_test(arena_has_a_limit_and_cleans_up),
        cmocka_unit_test(buf_stops_at_its_maximum),
        cmocka_unit_test(dates_are_spans),
        cmocka_unit_test(numbers_are_whole_or_refused),
        cmocka_unit_test(tables_find_what_was_set),
        cmocka_unit_test(ids_and_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
