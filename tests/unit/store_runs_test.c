/* Runs of waiting index rows: order, merging, bytes and back, and what a snapshot sees of a set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "store/runs.h"

static struct index_row key_row(uint32_t parameter, uint64_t key)
{
    return (struct index_row){ .kind = INDEX_KEY, .parameter = parameter, .key = key };
}

static struct index_row text_row(uint32_t parameter, const char *text)
{
    return (struct index_row){ .kind = INDEX_TEXT, .parameter = parameter, .text = str_from_cstr(text) };
}

static struct run *run_of(const struct index_row *rows, size_t count, uint64_t seq, uint64_t commit)
{
    struct run_entry entries[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct run_entry){ &rows[i], seq, 0 };
    }
    struct run *run = run_create(entries, count, commit);
    assert_non_null(run);
    return run;
}

static void test_numbers_keep_their_order(void **state)
{
    (void)state;
    static const double numbers[] = { -1e300, -2.5, -1e-300, 0, 1e-300, 1, 1.0000001, 2.5, 1e300 };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        assert_true(run_number(run_number_order(numbers[i])) == numbers[i]);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++) {
            assert_int_equal(numbers[i] < numbers[j],
                             run_number_order(numbers[i]) < run_number_order(numbers[j]));
        }
    }
    assert_true(run_number_order(-0.0) == run_number_order(0.0));
}

static void test_rows_are_sorted_and_come_once(void **state)
{
    (void)state;
    const struct index_row rows[] = { text_row(1, "zhang"),
                                      text_row(1, "li"),
                                      key_row(2, 5),
                                      key_row(1, UINT64_MAX - 1),
                                      key_row(2, 5),
                                      text_row(1, "lix"),
                                      text_row(1, "lix.long-after-eight"),
                                      text_row(1, "lix.long-after-ei") };
    struct run *run = run_of(rows, 8, 7, 3);
    assert_int_equal(run->count, 7);
    assert_int_equal(run->first, 3);
    assert_int_equal(run->last, 3);
    for (size_t i = 1; i < run->count; i++) {
        assert_true(run_rows_compare(run, &run->rows[i - 1], run, &run->rows[i]) < 0);
    }
    assert_int_equal(run_row_kind(&run->rows[0]), INDEX_KEY);
    assert_int_equal(run_row_parameter(&run->rows[0]), 1);
    assert_true(run->rows[0].a == -2); /* the same 64 bits, signed as in the database */
    assert_true(str_equal(run_row_text(run, &run->rows[2]), STR("li")));
    assert_true(str_equal(run_row_text(run, &run->rows[4]), STR("lix.long-after-ei")));
    run_unref(run);
}

static void test_a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char text[200];
    for (size_t i = 0; i + 3 <= sizeof text - 1; i += 3) {
        memcpy(text + i, "山", 3);
    }
    text[198] = '\0';
    struct index_row row = text_row(1, text);
    struct run *run = run_of(&row, 1, 1, 1);
    struct str kept = run_row_text(run, &run->rows[0]);
    assert_int_equal(kept.len, LIMIT_STORE_INDEX_TEXT_BYTES / 3 * 3);
    run_unref(run);
}

static void test_merging_keeps_all_once(void **state)
{
    (void)state;
    const struct index_row older[] = { key_row(1, 1), key_row(1, 3), text_row(9, "b"), text_row(9, "d") };
    const struct index_row newer[] = { key_row(1, 2), key_row(1, 3), text_row(9, "a"), text_row(9, "d") };
    struct run *a = run_of(older, 4, 1, 1);
    struct run *b = run_of(newer, 4, 1, 2);
    struct run *both = run_merge(a, b);
    assert_non_null(both);
    assert_int_equal(both->count, 6);
    assert_int_equal(both->first, 1);
    assert_int_equal(both->last, 2);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(both->rows[i].a, i + 1);
    }
    assert_true(str_equal(run_row_text(both, &both->rows[3]), STR("a")));
    assert_true(str_equal(run_row_text(both, &both->rows[5]), STR("d")));
    run_unref(both);
    run_unref(a);
    run_unref(b);
}

static void test_bytes_and_back(void **state)
{
    (void)state;
    const struct index_row rows[] = {
        key_row(1, 77),
        key_row(2, UINT64_MAX),
        text_row(3, ""),
        text_row(3, "罗平"),
        { .kind = INDEX_DATE, .parameter = 4, .from_ms = INDEX_DATE_FIRST, .to_ms = INDEX_DATE_LAST },
        { .kind = INDEX_NUMBER, .parameter = 5, .key = 8, .low = -1.5, .high = 2.25 },
    };
    struct run *run = run_of(rows, 6, 12, 9);
    struct buf buf = { .bytes_max = 4096 };
    run_write(run, &buf);
    struct run *back = NULL;
    struct error error = { 0 };
    assert_true(run_read(buf_str(&buf), 9, &back, &error));
    assert_int_equal(back->count, run->count);
    for (size_t i = 0; i < run->count; i++) {
        assert_int_equal(run_rows_compare(run, &run->rows[i], back, &back->rows[i]), 0);
    }
    assert_true(run_number(back->rows[5].b) == -1.5);
    run_unref(back);
    /* Every cut of the bytes, and every byte turned over, is refused or gives a run in order: nothing is read past the
     * end (the sanitizer build looks). */
    for (size_t len = 1; len < buf.len; len++) {
        back = NULL;
        if (run_read((struct str){ buf.at, len }, 9, &back, &error)) {
            assert_true(back->count < run->count);
            run_unref(back);
        } else {
            assert_int_equal(error.kind, ERROR_INTERNAL);
        }
    }
    for (size_t i = 0; i < buf.len; i++) {
        buf.at[i] = (char)(buf.at[i] ^ 0x55);
        back = NULL;
        if (run_read(buf_str(&buf), 9, &back, NULL)) {
            run_unref(back);
        }
        buf.at[i] = (char)(buf.at[i] ^ 0x55);
    }
    buf_deinit(&buf);
    run_unref(run);
}

/* What versions share stands once in the bytes, and each row has its own again: they can be merged. */
static void test_equal_values_stand_once(void **state)
{
    (void)state;
    const struct index_row rows[] = {
        text_row(3, "chongqing"),
        key_row(1, 77),
        { .kind = INDEX_DATE, .parameter = 4, .from_ms = 1000, .to_ms = 2000 },
        { .kind = INDEX_NUMBER, .parameter = 5, .key = 8, .low = 128, .high = 128 },
    };
    struct run_entry entries[100];
    for (size_t i = 0; i < 100; i++) {
        entries[i] = (struct run_entry){ &rows[i % 4], 1000000 + i / 4 * 3, 0 };
    }
    struct run *run = run_create(entries, 100, 9);
    struct buf one = { .bytes_max = 4096 };
    struct buf all = { .bytes_max = 4096 };
    struct run *back = NULL;
    assert_non_null(run);
    run_write(run, &all);
    struct run *first = run_create(entries, 4, 9);
    run_write(first, &one);
    assert_true(all.len < one.len + 100); /* 96 more rows, a byte each */
    assert_true(run_read(buf_str(&all), 9, &back, NULL));
    assert_int_equal(back->count, 100);
    assert_int_equal(back->seq_first, 1000000);
    struct run *both = run_merge(back, run);
    assert_non_null(both);
    assert_int_equal(both->count, 100); /* equal rows once */
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(run_rows_compare(both, &both->rows[i], run, &run->rows[i]), 0);
    }
    run_unref(both);
    run_unref(back);
    run_unref(first);
    run_unref(run);
    buf_deinit(&one);
    buf_deinit(&all);
}

/* As stores up to version 5 have them: kind, parameter, number of rows; seq and value of each. */
static void test_bytes_of_an_older_store(void **state)
{
    (void)state;
    static const char bytes[] = "\x01\x07\0\0\0\x02\0\0\0"
                                "\x05\0\0\0\0\0\0\0\x4d\0\0\0\0\0\0\0"
                                "\x06\0\0\0\0\0\0\0\x4d\0\0\0\0\0\0\0"
                                "\x02\x03\0\0\0\x01\0\0\0"
                                "\x05\0\0\0\0\0\0\0\x02li";
    struct run *run = NULL;
    assert_true(run_read((struct str){ bytes, sizeof bytes - 1 }, 4, &run, NULL));
    assert_int_equal(run->count, 3);
    assert_int_equal(run->seq_first, 5);
    assert_int_equal(run->rows[1].a, 77);
    assert_int_equal(run->rows[1].seq, 6);
    assert_int_equal(run_row_parameter(&run->rows[2]), 3);
    assert_true(str_equal(run_row_text(run, &run->rows[2]), STR("li")));
    run_unref(run);
    for (size_t len = 1; len + 1 < sizeof bytes; len++) {
        run = NULL;
        if (run_read((struct str){ bytes, len }, 4, &run, NULL)) {
            assert_int_equal(run->count, 2); /* cut where a group ends */
            run_unref(run);
        }
    }
}

/* A set of commits 1 … count, one row each with seq = commit. */
static struct runs *set_of(uint64_t count)
{
    struct runs *runs = runs_create(0);
    for (uint64_t commit = 1; commit <= count; commit++) {
        struct index_row row = key_row(1, commit * 7919 % 101);
        struct runs *next = runs_with(runs, run_of(&row, 1, commit, commit), 0);
        assert_non_null(next);
        runs_unref(runs);
        runs = next;
    }
    return runs;
}

static size_t seen(const struct run_view *view)
{
    size_t rows = 0;
    for (size_t i = 0; i < view->count; i++) {
        rows += view->spans[i].to - view->spans[i].from;
    }
    return rows;
}

static void test_a_set_has_few_runs(void **state)
{
    (void)state;
    struct runs *runs = set_of(1000);
    assert_int_equal(runs->rows_count, 1000);
    assert_true(runs->count <= 11);
    assert_int_equal(runs->runs[0]->first, 1);
    assert_int_equal(runs->runs[runs->count - 1]->last, 1000);
    for (size_t i = 1; i < runs->count; i++) {
        assert_int_equal(runs->runs[i]->first, runs->runs[i - 1]->last + 1);
    }
    runs_unref(runs);
}

static void test_a_snapshot_sees_each_row_once(void **state)
{
    (void)state;
    struct runs *loose = set_of(50);
    struct runs *frozen = runs_frozen(loose);
    struct run_view view = { 0 };
    struct run_mark before = { 0 };
    /* A snapshot from before the freezing sees all of it; one from within the merging the rest. */
    assert_true(runs_view(frozen, &before, 50, &view));
    assert_int_equal(seen(&view), 50);
    struct run_mark within = { .run = 50, .position = 20 };
    assert_true(runs_view(frozen, &within, 50, &view));
    assert_int_equal(seen(&view), 30);
    assert_int_equal(view.spans[0].from, 20);
    /* Newer commits wait behind it and are not merged into it. */
    struct index_row row = key_row(2, 1);
    struct runs *more = runs_with(frozen, run_of(&row, 1, 51, 51), 1);
    assert_int_equal(more->count, 2);
    assert_true(runs_view(more, &within, 51, &view));
    assert_int_equal(seen(&view), 31);
    /* A snapshot that has all of the first run in its main index leaves it out, whether the set has dropped it or
     * not. */
    struct run_mark after = { .merged = 50 };
    assert_true(runs_view(more, &after, 51, &view));
    assert_int_equal(seen(&view), 1);
    struct runs *rest = runs_without_first(more);
    assert_int_equal(rest->merged, 50);
    assert_true(runs_view(rest, &after, 51, &view));
    assert_int_equal(seen(&view), 1);
    /* One that needs a dropped run is told so. */
    assert_false(runs_view(rest, &within, 51, &view));
    assert_false(runs_view(rest, &before, 51, &view));
    runs_unref(rest);
    runs_unref(more);
    runs_unref(frozen);
    runs_unref(loose);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_keep_their_order),
        cmocka_unit_test(test_rows_are_sorted_and_come_once),
        cmocka_unit_test(test_a_long_text_is_cut_between_characters),
        cmocka_unit_test(test_merging_keeps_all_once),
        cmocka_unit_test(test_bytes_and_back),
        cmocka_unit_test(test_equal_values_stand_once),
        cmocka_unit_test(test_bytes_of_an_older_store),
        cmocka_unit_test(test_a_set_has_few_runs),
        cmocka_unit_test(test_a_snapshot_sees_each_row_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
