/* The public ViewDefinition cases (SQL-on-FHIR v2), and what a view refuses. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "view/view.h"

/* What has been reached of 92; it may only grow. Each failing case is named in the output. */
enum { CASES_REACHED = 92 };

struct counts {
    int passed;
    int failed;
};

/* Rows of one case, as JSON objects. False when the view is refused or cannot be evaluated. */
static bool rows_of_case(struct arena *arena, const struct json *resources, const struct json *definition,
                         struct json *out, struct error *error)
{
    struct view *view = NULL;
    if (!view_compile(arena, definition, &view, error)) {
        return false;
    }
    JSON_EACH(resource, resources) {
        struct view_rows rows = { 0 };
        const struct view_input input = { .resource = resource };
        if (!view_evaluate(view, arena, &input, &rows, error)) {
            return false;
        }
        for (const struct view_row *row = rows.first; row != NULL; row = row->next) {
            (void)json_append(out, view_row_json(view, arena, row));
        }
    }
    return true;
}

/* The order of rows is not part of the expectation: each expected row is taken out once. Numbers by value. */
static bool same_value(const struct json *a, const struct json *b)
{
    if (a != NULL && b != NULL && a->kind == JSON_NUMBER && b->kind == JSON_NUMBER) {
        char left[64] = "";
        char right[64] = "";
        (void)snprintf(left, sizeof left, "%.*s", STR_FMT(a->raw));
        (void)snprintf(right, sizeof right, "%.*s", STR_FMT(b->raw));
        double difference = strtod(left, NULL) - strtod(right, NULL);
        return difference < 1e-12 && difference > -1e-12;
    }
    return json_equal(a, b);
}

static bool same_row(const struct json *expected, const struct json *row)
{
    JSON_EACH(member, expected) {
        const struct json *value = json_member(row, member->name);
        bool both_null = member->kind == JSON_NULL && (value == NULL || value->kind == JSON_NULL);
        if (!both_null && !same_value(member, value)) {
            return false;
        }
    }
    return true;
}

static bool same_rows(const struct json *expected, struct json *rows)
{
    if (expected->count != rows->count) {
        return false;
    }
    JSON_EACH(want, expected) {
        struct json *found = rows->first;
        while (found != NULL && !same_row(want, found)) {
            found = found->next;
        }
        if (found == NULL || !json_remove(rows, found)) {
            return false;
        }
    }
    return true;
}

static void run_case(const char *file, const struct json *resources, const struct json *test,
                     struct counts *counts)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct json *rows = json_new(&arena, JSON_ARRAY);
    bool made = rows_of_case(&arena, resources, JSON_GET(test, "view"), rows, &error);
    bool wants_error = json_is_true(JSON_GET(test, "expectError"));
    bool ok = wants_error ? !made : made && same_rows(JSON_GET(test, "expect"), rows);
    counts->passed += ok;
    counts->failed += !ok;
    if (!ok) {
        print_message("not passed: %s: %.*s %s\n", file, STR_FMT(json_text(&arena, JSON_GET(test, "title"))),
                      made ? "" : error.text);
    }
    arena_deinit(&arena);
}

static void public_view_cases(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    char folder[1024];
    struct counts counts = { 0 };
    (void)snprintf(folder, sizeof folder, "%s/suites/sql-on-fhir", shared == NULL ? "" : shared);
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        print_message("left out: the public ViewDefinition cases (SHANHAI_SHARED is not there)\n");
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[2048];
        struct arena arena = { .bytes_max = 64u << 20 };
        struct error error = { 0 };
        struct str text = STR_NONE;
        struct json *suite = NULL;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (str_ends_with(str_from_cstr(entry->d_name), STR(".json"))) {
            assert_true(file_read_whole(&arena, path, 16u << 20, &text, &error));
            assert_true(json_read(&arena, text, &suite, &error));
            JSON_EACH(test, JSON_GET(suite, "tests")) {
                run_case(entry->d_name, JSON_GET(suite, "resources"), test, &counts);
            }
        }
        arena_deinit(&arena);
    }
    (void)closedir(dir);
    print_message("public ViewDefinition cases: %d passed, %d failed\n", counts.passed, counts.failed);
    assert_true(counts.passed >= CASES_REACHED);
}

static void refuses(const char *text, const char *because)
{
    struct arena arena = { .bytes_max = 1u << 20 };
    struct json *definition = NULL;
    struct view *view = NULL;
    struct error error = { 0 };
    assert_true(json_read(&arena, str_from_cstr(text), &definition, &error));
    assert_false(view_compile(&arena, definition, &view, &error));
    assert_int_equal(error.kind, ERROR_STRUCTURE);
    assert_non_null(strstr(error.text, because));
    arena_deinit(&arena);
}

static void what_a_view_refuses(void **state)
{
    (void)state;
    refuses("{\"select\":[{\"column\":[]}]}", "resource");
    refuses("{\"resource\":\"Nobody\",\"select\":[{\"column\":[]}]}", "type of R4");
    refuses("{\"resource\":\"Patient\",\"select\":[{\"repeat\":[],\"column\":[]}]}", "repeat");
    refuses("{\"resource\":\"Patient\",\"select\":[{\"column\":[{\"name\":\"1x\",\"path\":\"id\"}]}]}",
            "name");
    refuses("{\"resource\":\"Patient\",\"select\":[{\"column\":[{\"name\":\"a\",\"path\":\"id\"},{\"name\":"
            "\"a\",\"path\":\"id\"}]}]}",
            "twice");
    refuses("{\"resource\":\"Patient\",\"select\":[{\"forEach\":\"name\",\"forEachOrNull\":\"name\","
            "\"column\":[]}]}",
            "exclude");
    refuses("{\"resource\":\"Patient\",\"select\":[{\"column\":[{\"name\":\"a\",\"path\":\"name..\"}]}]}",
            "");
}

/* Rows and steps of all paths together have an end, however the view is nested. */
static void a_costly_view_ends(void **state)
{
    (void)state;
    static const char *const views[] = {
        "{\"resource\":\"Patient\",\"select\":[{\"repeat\":[\"$this\",\"$this\"],\"column\":[{\"name\":\"a\","
        "\"path\":\"id\"}]}]}",
        "{\"resource\":\"Patient\",\"select\":[{\"forEach\":\"descendants()\",\"column\":[{\"name\":\"a\","
        "\"path\":"
        "\"%resource.descendants().select(%resource.descendants().select(%resource.descendants())).count()\"}"
        "]}]}",
    };
    struct buf text = { .bytes_max = 1u << 20 };
    buf_add(&text, STR("{\"resourceType\":\"Patient\",\"id\":\"p\",\"name\":["));
    for (int i = 0; i < 50; i++) {
        buf_add(&text, i == 0 ? STR("{\"family\":\"a\",\"given\":[\"b\",\"c\"]}")
                              : STR(",{\"family\":\"a\",\"given\":[\"b\",\"c\"]}"));
    }
    buf_add(&text, STR("]}"));
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        struct arena arena = { .bytes_max = 512u << 20 };
        struct json *definition = NULL;
        struct json *resource = NULL;
        struct view *view = NULL;
        struct view_rows rows = { 0 };
        struct error error = { 0 };
        assert_true(json_read(&arena, str_from_cstr(views[i]), &definition, &error));
        assert_true(json_read(&arena, buf_str(&text), &resource, &error));
        assert_true(view_compile(&arena, definition, &view, &error));
        const struct view_input input = { .resource = resource };
        assert_false(view_evaluate(view, &arena, &input, &rows, &error));
        assert_int_equal(error.kind, ERROR_TOO_COSTLY);
        arena_deinit(&arena);
    }
    buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_view_cases),
        cmocka_unit_test(what_a_view_refuses),
        cmocka_unit_test(a_costly_view_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
