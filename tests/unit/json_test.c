/* The JSON reader and writer: what is kept, what is refused, and the public parsing cases. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "json/json.h"

static struct arena arena = { .bytes_max = 64u << 20 };

static struct json *must_read(const char *text)
{
    struct json *value = NULL;
    struct error error = { 0 };
    if (!json_read(&arena, str_from_cstr(text), &value, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    return value;
}

static void must_refuse(struct str text, const char *because)
{
    struct json *value = NULL;
    struct error error = { 0 };
    assert_false(json_read(&arena, text, &value, &error));
    assert_null(value);
    assert_non_null(strstr(error.text, because));
}

static void keeps_digits_escapes_and_order(void **state)
{
    (void)state;
    const char *text =
        "{\"b\":1.00,\"a\":[-0.0,1e-30,123456789012345678901234567890],\"c\":\"\\u5c71\\n\\/\"}";
    struct json *value = must_read(text);
    assert_string_equal(json_write_arena(&arena, value).at, text);
    struct str decoded = JSON_TEXT(&arena, value, "c");
    assert_int_equal(decoded.len, strlen("山\n/"));
    assert_memory_equal(decoded.at, "山\n/", decoded.len);
}

static void decodes_surrogate_pairs(void **state)
{
    (void)state;
    struct json *value = must_read("\"\\uD83D\\uDE00\"");
    assert_true(json_equals_text(value, STR("😀")));
}

static void refuses_with_place_and_reason(void **state)
{
    (void)state;
    must_refuse(STR("{\"a\":1,\n \"b\" 2}"), "line 2");
    must_refuse(STR("\"\\uD83D\""), "surrogate");
    must_refuse(STR("[1,]"), "value was expected");
    must_refuse(STR("\"\xc0\x80\""), "UTF-8");
    must_refuse(STR("01"), "start with 0");
    must_refuse(STR(""), "too early");
}

static void refuses_deep_nesting(void **state)
{
    (void)state;
    char text[2 * LIMIT_JSON_DEPTH + 8];
    memset(text, '[', sizeof text);
    must_refuse((struct str){ text, LIMIT_JSON_DEPTH + 1 }, "deeply");
}

static void builds_changes_and_copies(void **state)
{
    (void)state;
    struct json *object = json_new(&arena, JSON_OBJECT);
    json_add_text(&arena, object, STR("name"), STR("a \"quoted\"\nname"));
    json_add(object, STR("n"), json_new_integer(&arena, -42));
    json_set(object, STR("n"), json_new_bool(&arena, true));
    assert_string_equal(json_write_arena(&arena, object).at,
                        "{\"name\":\"a \\\"quoted\\\"\\nname\",\"n\":true}");
    struct json *copy = json_copy(&arena, object, true);
    assert_true(json_equal(copy, object));
    assert_true(json_remove_member(copy, STR("n")));
    assert_false(json_equal(copy, object));
    assert_int_equal(copy->count, 1);
    assert_ptr_equal(copy->first, copy->last);
}

static void canonical_form_sorts_and_keeps_digits(void **state)
{
    (void)state;
    struct json *value =
        must_read(" { \"é\" : 1.50, \"b\":{\"z\":null,\"a\":[ true ]}, \"B\":\"x\\u0041\" } ");
    struct buf buf = { .bytes_max = 4096 };
    struct error error = { 0 };
    assert_true(json_write_canonical(&buf, value, &error));
    buf_add_char(&buf, '\0');
    assert_string_equal(buf.at, "{\"B\":\"x\\u0041\",\"b\":{\"a\":[true],\"z\":null},\"é\":1.50}");
    buf_deinit(&buf);
    struct buf refused = { .bytes_max = 4096 };
    assert_false(json_write_canonical(&refused, must_read("{\"a\":1,\"a\":2}"), &error));
    buf_deinit(&refused);
}

static void memory_limit_is_an_error(void **state)
{
    (void)state;
    struct arena small = { .bytes_max = 32 * 1024 };
    char text[20001];
    memset(text, '[', 1);
    for (size_t i = 1; i < sizeof text - 1; i += 2) {
        text[i] = '1';
        text[i + 1] = ',';
    }
    text[sizeof text - 1] = ']';
    struct json *value = NULL;
    struct error error = { 0 };
    assert_false(json_read(&small, (struct str){ text, sizeof text }, &value, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    arena_deinit(&small);
}

/* y_ accepted, n_ refused, i_ harmless. What is accepted must read back as it was written. */
static void public_parsing_cases(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    char folder[1024];
    (void)snprintf(folder, sizeof folder, "%s/suites/json/test_parsing", shared == NULL ? "" : shared);
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        print_message("left out: the public JSON cases (SHANHAI_SHARED is not there)\n");
        skip();
    }
    int counted[3] = { 0, 0, 0 };
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[2048];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        struct arena one = { .bytes_max = 64u << 20 };
        struct error error = { 0 };
        struct str text = STR_NONE;
        struct json *value = NULL;
        if (!str_ends_with(str_from_cstr(entry->d_name), STR(".json"))) {
            continue;
        }
        assert_true(file_read_whole(&one, path, 16u << 20, &text, &error));
        bool accepted = json_read(&one, text, &value, &error);
        char kind = entry->d_name[0];
        if ((kind == 'y' && !accepted) || (kind == 'n' && accepted)) {
            fail_msg("%s: %s %s", entry->d_name, accepted ? "accepted" : "refused", error.text);
        }
        counted[kind == 'y' ? 0 : kind == 'n' ? 1 : 2]++;
        if (accepted) {
            struct json *again = NULL;
            assert_true(json_read(&one, json_write_arena(&one, value), &again, &error));
            assert_true(json_equal(value, again));
        }
        arena_deinit(&one);
    }
    (void)closedir(dir);
    print_message("public JSON cases: %d y_, %d n_, %d i_\n", counted[0], counted[1], counted[2]);
    assert_true(counted[0] > 0 && counted[1] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_digits_escapes_and_order),
        cmocka_unit_test(decodes_surrogate_pairs),
        cmocka_unit_test(refuses_with_place_and_reason),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(builds_changes_and_copies),
        cmocka_unit_test(canonical_form_sorts_and_keeps_digits),
        cmocka_unit_test(memory_limit_is_an_error),
        cmocka_unit_test(public_parsing_cases),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
