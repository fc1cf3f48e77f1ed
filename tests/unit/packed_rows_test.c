/* Rows of one version as bytes and back: nothing is lost, equal rows are equal bytes, few bytes, and damage is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/limits.h"
#include "store/packed_rows.h"

static struct arena arena = { .bytes_max = 64u << 20 };

static struct index_row reference_row(uint32_t parameter, uint64_t key)
{
    return (struct index_row){ .kind = INDEX_KEY, .parameter = parameter, .key = key, .reference = true };
}

static struct index_row text_row(uint32_t parameter, const char *text)
{
    return (struct index_row){ .kind = INDEX_TEXT, .parameter = parameter, .text = str_from_cstr(text) };
}

static struct index_row date_row(uint32_t parameter, int64_t from_ms, int64_t to_ms)
{
    return (
        struct index_row){ .kind = INDEX_DATE, .parameter = parameter, .from_ms = from_ms, .to_ms = to_ms };
}

static struct index_row number_row(uint32_t parameter, uint64_t unit, double low, double high)
{
    return (struct index_row){
        .kind = INDEX_NUMBER, .parameter = parameter, .key = unit, .low = low, .high = high
    };
}

static struct str pack(const struct index_row *rows, size_t count)
{
    struct index_rows all = { (struct index_row *)(uintptr_t)rows, count };
    struct str packed = STR_NONE;
    assert_true(packed_rows_make(&arena, &all, &packed, NULL));
    return packed;
}

/* How often a row is among the packed ones. */
static size_t times_of(struct str packed, const struct index_row *wanted)
{
    struct packed_reader reader;
    struct index_row row = { 0 };
    size_t times = 0;
    assert_int_equal(packed_rows_begin(&reader, packed), PACKED_END);
    enum packed step = packed_rows_next(&reader, &row);
    for (; step == PACKED_ROW; step = packed_rows_next(&reader, &row)) {
        times += row.kind == wanted->kind && row.parameter == wanted->parameter && row.key == wanted->key &&
                 str_equal(row.text, wanted->text) && row.from_ms == wanted->from_ms &&
                 row.to_ms == wanted->to_ms && row.low == wanted->low && row.high == wanted->high;
    }
    assert_int_equal(step, PACKED_END);
    return times;
}

static size_t rows_of(struct str packed)
{
    struct packed_reader reader;
    struct index_row row = { 0 };
    size_t count = 0;
    assert_int_equal(packed_rows_begin(&reader, packed), PACKED_END);
    while (packed_rows_next(&reader, &row) == PACKED_ROW) {
        count++;
    }
    return count;
}

static void rows_come_back_as_they_were(void **state)
{
    (void)state;
    const struct index_row rows[] = {
        number_row(UINT32_MAX, 9, 36.6, 36.6),
        number_row(UINT32_MAX, 0, 36.6, 36.6),
        number_row(7, 0, -1e300, 1e300),
        number_row(7, UINT64_MAX, 0.1 + 0.2, 1.0 / 3),
        number_row(7, 5, 9007199254740993.0, 1e-14),
        number_row(8, 5, -0.000001, 15998.6405066),
        number_row(9, 0, 0, 0),
        date_row(1, 1604016000000, 1604102400000),
        date_row(1, INDEX_DATE_FIRST, INDEX_DATE_LAST),
        date_row(2, 1604016000001, 1604016000002),
        date_row(3, 5, -7),
        date_row(4, INT64_MIN, INT64_MAX),
        date_row(4, INT64_MAX, INT64_MIN),
        text_row(3, "张三"),
        text_row(4, "张三"),
        text_row(4, ""),
        text_row(2, "zhang san"),
        reference_row(5, 1),
        reference_row(6, 1),
        reference_row(6, UINT64_MAX),
        reference_row(6, 0),
    };
    size_t count = sizeof rows / sizeof *rows;
    struct str packed = pack(rows, count);
    assert_int_equal(rows_of(packed), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(times_of(packed, &rows[i]), 1);
    }
}

static void only_what_is_asked_by_version_is_kept(void **state)
{
    (void)state;
    struct index_row rows[] = { reference_row(1, 5), reference_row(1, 6), text_row(2, "li") };
    rows[0].reference = false; /* a code: found by its value alone */
    struct str packed = pack(rows, 3);
    assert_int_equal(rows_of(packed), 2);
    assert_int_equal(times_of(packed, &rows[0]), 0);
    assert_null(pack(rows, 1).at);
    assert_null(pack(rows, 0).at);
    assert_int_equal(rows_of(STR_NONE), 0);
}

static void equal_rows_are_equal_bytes(void **state)
{
    (void)state;
    const struct index_row one[] = { text_row(2, "li"), number_row(3, 0, 0.0, 0.0), text_row(1, "li"),
                                     text_row(2, "li"), date_row(9, 0, 1000) };
    const struct index_row other[] = { date_row(9, 0, 1000), text_row(1, "li"), text_row(2, "li"),
                                       number_row(3, 0, -0.0, -0.0) };
    struct str packed = pack(one, 5);
    assert_int_equal(rows_of(packed), 4);
    assert_true(str_equal(packed, pack(other, 4)));
}

static void long_texts_are_cut_as_in_the_index(void **state)
{
    (void)state;
    char text[LIMIT_STORE_INDEX_TEXT_BYTES + 40];
    memset(text, 'x', sizeof text);
    struct index_row row = text_row(1, "");
    row.text = (struct str){ text, sizeof text };
    struct index_row cut = row;
    cut.text.len = LIMIT_STORE_INDEX_TEXT_BYTES;
    assert_int_equal(times_of(pack(&row, 1), &cut), 1);
}

/* More values than are remembered: those that are far away are written out again. */
static void many_rows_come_back(void **state)
{
    (void)state;
    struct index_row rows[900];
    char texts[300][8];
    for (uint32_t i = 0; i < 300; i++) {
        (void)memcpy(texts[i], "t000000", 8);
        texts[i][1] = (char)('0' + i / 100);
        texts[i][2] = (char)('0' + i / 10 % 10);
        texts[i][3] = (char)('0' + i % 10);
        rows[3 * i] = reference_row(1 + i % 3, i % 90);
        rows[3 * i + 1] = text_row(1 + i % 2, texts[i]);
        rows[3 * i + 2] = number_row(i % 5, i % 70, i, i + i % 2);
    }
    struct str packed = pack(rows, 900);
    for (size_t i = 0; i < 900; i++) {
        assert_int_equal(times_of(packed, &rows[i]), 1);
    }
}

/* What a blood pressure has: both references to the patient, a time, and each value under its units. */
static void few_bytes_do(void **state)
{
    (void)state;
    const struct index_row rows[] = {
        reference_row(0xc0000001, 0x1234567812345678),        reference_row(0xc0000002, 0x1234567812345678),
        date_row(0xd0000001, 1774139400000, 1774139401000),   number_row(0xe0000001, 0, 120, 120),
        number_row(0xe0000001, 0x7777777777777777, 120, 120), number_row(0xe0000002, 0, 80, 80),
        number_row(0xe0000002, 0x7777777777777777, 80, 80),
    };
    assert_true(pack(rows, sizeof rows / sizeof *rows).len <= 70);
}

static void damage_is_told_or_harmless(void **state)
{
    (void)state;
    const struct index_row rows[] = { text_row(1, "li"), number_row(3, 4, 1, 2), reference_row(1, 5),
                                      date_row(9, 0, 1000), text_row(2, "li") };
    struct str packed = pack(rows, 5);
    struct packed_reader reader;
    struct index_row row = { 0 };
    size_t told = 0;
    assert_int_equal(packed_rows_begin(&reader, STR("")), PACKED_DAMAGED);
    assert_int_equal(packed_rows_begin(&reader, STR("\x02xx")), PACKED_DAMAGED);
    for (size_t len = 1; len < packed.len; len++) {
        assert_int_equal(packed_rows_begin(&reader, (struct str){ packed.at, len }), PACKED_END);
        enum packed step = PACKED_ROW;
        while (step == PACKED_ROW) {
            step = packed_rows_next(&reader, &row);
        }
        told += step == PACKED_DAMAGED ? 1 : 0;
    }
    assert_int_equal(told, packed.len - 1 - 5); /* but at the beginning, and where a group has just ended */
    /* A distance to what never was, and a text beyond the end. */
    static const char distance[] = "\x01\x08\x01\x00\x00\x00\x05";
    static const char text[] = "\x01\x09\x01\x00\x00\x00\x7e"
                               "ab";
    assert_int_equal(packed_rows_begin(&reader, (struct str){ distance, sizeof distance - 1 }), PACKED_END);
    assert_int_equal(packed_rows_next(&reader, &row), PACKED_DAMAGED);
    assert_int_equal(packed_rows_begin(&reader, (struct str){ text, sizeof text - 1 }), PACKED_END);
    assert_int_equal(packed_rows_next(&reader, &row), PACKED_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_they_were),
        cmocka_unit_test(only_what_is_asked_by_version_is_kept),
        cmocka_unit_test(equal_rows_are_equal_bytes),
        cmocka_unit_test(long_texts_are_cut_as_in_the_index),
        cmocka_unit_test(many_rows_come_back),
        cmocka_unit_test(few_bytes_do),
        cmocka_unit_test(damage_is_told_or_harmless),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
