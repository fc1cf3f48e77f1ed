/* The form of statements and values for PostgreSQL, and what SQL of indicators may say there. Needs no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/postgresql_values.h"

static void expect_text(const char *sql, const char *wanted, int parameters)
{
    struct postgresql_text text;
    assert_true(postgresql_text_make(str_from_cstr(sql), &text, NULL));
    assert_string_equal(text.text.at, wanted);
    assert_int_equal(text.parameters_count, parameters);
    postgresql_text_free(&text);
}

static void parameters_are_numbered(void **state)
{
    (void)state;
    expect_text("SELECT ?1, ?2 FROM t WHERE a = ?1", "SELECT $1, $2 FROM t WHERE a = $1", 2);
    expect_text("VALUES(?1, ?2, ?3, ?, ?)", "VALUES($1, $2, $3, $4, $5)", 5);
    expect_text("x >= :start AND x < :end AND y = :start", "x >= $1 AND x < $2 AND y = $1", 2);
    expect_text("(:org IS NULL OR one_of(x, :org))", "($1::text IS NULL OR one_of(x, $1))", 1);
    expect_text("'?1 :x' || \"a?\" || ?1::bigint[]", "'?1 :x' || \"a?\" || $1::bigint[]", 1);
    expect_text("'it''s ?' || ?", "'it''s ?' || $1", 1);
    expect_text("'open ?", "'open ?", 0);
}

static void names_are_kept_and_bounded(void **state)
{
    (void)state;
    struct postgresql_text text;
    assert_true(postgresql_text_make(STR("SELECT :a + :b + :a"), &text, NULL));
    assert_int_equal(text.names_count, 2);
    assert_string_equal(text.names[0], ":a");
    assert_string_equal(text.names[1], ":b");
    assert_true(text.uses_first);
    postgresql_text_free(&text);
    struct error error = { 0 };
    assert_false(postgresql_text_make(STR("?99999999999999999999"), &text, &error));
    assert_int_equal(error.kind, ERROR_TOO_COSTLY);
    struct buf many = { .bytes_max = 4096 };
    for (int i = 0; i < POSTGRESQL_NAMES_MAX + 1; i++) {
        buf_printf(&many, " :n%d", i);
    }
    assert_false(postgresql_text_make(buf_str(&many), &text, &error));
    buf_deinit(&many);
    assert_true(postgresql_text_make(STR("SELECT count(*) WHERE x = ?2"), &text, NULL));
    assert_false(text.uses_first);
    postgresql_text_free(&text);
}

static void numbers_there_and_back(void **state)
{
    (void)state;
    static const int64_t integers[] = { 0, 1, -1, 255, -256, INT64_MAX, INT64_MIN };
    static const double reals[] = { 0, 1.5, -2.25, 1e300, -1e-300 };
    char room[32];
    bool binary = false;
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        struct store_value value = store_integer(integers[i]);
        struct str bytes = postgresql_encode(&value, POSTGRESQL_INT8, room, &binary);
        assert_true(binary);
        assert_int_equal(bytes.len, 8);
        assert_int_equal(postgresql_integer(bytes.at, bytes.len, true), integers[i]);
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        struct store_value value = store_real(reals[i]);
        struct str bytes = postgresql_encode(&value, POSTGRESQL_FLOAT8, room, &binary);
        assert_true(postgresql_real(bytes.at, bytes.len, POSTGRESQL_FLOAT8, true) == reals[i]);
    }
    /* A type that we have no bytes for gets text, which the server reads. */
    struct store_value value = store_integer(-7);
    struct str bytes = postgresql_encode(&value, POSTGRESQL_NUMERIC, room, &binary);
    assert_false(binary);
    assert_true(str_equal(bytes, STR("-7")));
    assert_int_equal(postgresql_integer("t", 1, false), 1);
    assert_int_equal(postgresql_kind(POSTGRESQL_NUMERIC, "12", 2, false), STORE_VALUE_INTEGER);
    assert_int_equal(postgresql_kind(POSTGRESQL_NUMERIC, "1.20", 4, false), STORE_VALUE_REAL);
    assert_int_equal(postgresql_kind(POSTGRESQL_NUMERIC, "NaN", 3, false), STORE_VALUE_REAL);
}

static void texts_have_no_zero_byte(void **state)
{
    (void)state;
    struct buf buf = { .bytes_max = 100 };
    postgresql_text_add(&buf, (struct str){ "a\0b", 3 });
    assert_true(str_equal(buf_str(&buf), (struct str){ "a\1b", 3 }));
    buf_deinit(&buf);
}

static const struct str schemas = { "\npublic\nshanhai_sql\ninformation_schema\n", 39 };

static void figures_read_views(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "SELECT count(DISTINCT t.id) AS value FROM task t JOIN step s ON s.task_id = t.id WHERE s.step = "
        "'sign'",
        "SELECT 100.0 * ratio(sum(CASE WHEN v = 'x' THEN 1 ELSE 0 END), count(*)) AS value FROM "
        "image_verdict",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT median((s.at - (SELECT min(x.at) FROM step x)) / 60000.0) AS value FROM step s",
        "select percentile(x, 0.9) from stay where one_of(org, :org) and local_day(at) in (1, 2)",
        "SELECT 'pg_read_file(''x''); DROP' AS value",
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct error error = { 0 };
        if (!postgresql_figure_check(str_from_cstr(fine[i]), schemas, &error)) {
            fail_msg("refused: %s: %s", fine[i], error.text);
        }
    }
}

static void figures_read_nothing_else(void **state)
{
    (void)state;
    static const char *const forbidden[] = {
        "",
        "DELETE FROM task",
        "INSERT INTO task SELECT 1",
        "SELECT 1; DROP TABLE version",
        "SELECT body FROM public.version",
        "SELECT body FROM PUBLIC . version",
        "SELECT * FROM \"public\".\"version\"",
        "SELECT * FROM pg_class",
        "SELECT * FROM information_schema.tables",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_sleep(1000)",
        "SELECT set_config('search_path', 'public', false)",
        "SELECT SET_CONFIG ('role', 'none', false)",
        "SELECT query_to_xml('select * from public.version', true, true, '')",
        "SELECT current_setting('data_directory')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT shanhai_sql.as_of_seq()",
        "SELECT x.median(1) FROM step x",
        "SELECT 1 -- ' FROM \n, pg_class",
        "SELECT 1 /* ' */",
        "SELECT E'\\'' , pg_sleep(1), ''",
        "SELECT $$x$$",
        "COPY task TO PROGRAM 'id'",
        "TABLE task",
        "EXPLAIN SELECT 1",
    };
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        struct error error = { 0 };
        if (postgresql_figure_check(str_from_cstr(forbidden[i]), schemas, &error)) {
            fail_msg("allowed: %s", forbidden[i]);
        }
        assert_int_equal(error.kind, ERROR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_numbered), cmocka_unit_test(names_are_kept_and_bounded),
        cmocka_unit_test(numbers_there_and_back),  cmocka_unit_test(texts_have_no_zero_byte),
        cmocka_unit_test(figures_read_views),      cmocka_unit_test(figures_read_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
