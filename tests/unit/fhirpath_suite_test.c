/* The official FHIRPath cases for R4 (shared/suites/fhirpath/cases.json), those with a JSON input or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "fhirpath/fhirpath.h"

enum { PASSED_AT_LEAST = 611, CASE_ARENA_BYTES = 64 << 20 };

static struct arena arena = { .bytes_max = 256u << 20 };
static struct arena case_arena = { .bytes_max = CASE_ARENA_BYTES };

static bool read_json(struct arena *into, const char *folder, struct str name, struct json **value)
{
    char path[512];
    struct str text;
    struct error error;
    (void)snprintf(path, sizeof path, "%s/%.*s", folder, STR_FMT(name));
    return file_read_whole(into, path, LIMIT_RESOURCE_BYTES, &text, &error) &&
           json_read(into, text, value, &error);
}

/* "@2015-02-04" and "@T14:34" as they stand in FHIR. */
static struct str without_at(struct str expected)
{
    if (str_starts_with(expected, STR("@T"))) {
        return str_skip(expected, 2);
    }
    return str_starts_with(expected, STR("@")) ? str_skip(expected, 1) : expected;
}

static bool item_is(const struct fhirpath_item *item, const struct json *expected)
{
    struct str type = JSON_TEXT(&case_arena, expected, "type");
    struct str value = JSON_TEXT(&case_arena, expected, "value");
    if (type.at != NULL && !str_equal(type, fhirpath_item_type_name(item))) {
        return false;
    }
    return value.at == NULL || str_equal(without_at(value), fhirpath_item_text(&case_arena, item));
}

static bool results_are(const struct fhirpath_collection *result, const struct json *outputs, bool ordered)
{
    if (result->count != outputs->count) {
        return false;
    }
    size_t i = 0;
    JSON_EACH(expected, outputs) {
        bool found = item_is(&result->items[i++], expected);
        for (size_t j = 0; j < result->count && !ordered && !found; j++) {
            found = item_is(&result->items[j], expected);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool evaluate_case(const struct json *test, const struct fhirpath *path, const struct json *resource,
                          struct error *error)
{
    struct fhirpath_context context = { .arena = &case_arena,
                                        .strict = json_equals_text(JSON_GET(test, "mode"), STR("strict")) };
    struct fhirpath_collection result = { 0 };
    bool invalid = JSON_GET(test, "invalid") != NULL;
    if (!fhirpath_evaluate_on_resource(path, &context, resource, &result, error)) {
        return invalid && error->kind != ERROR_STRUCTURE && error->kind != ERROR_INTERNAL;
    }
    if (json_equals_text(JSON_GET(test, "predicate"), STR("true"))) {
        static struct fhirpath_item condition;
        bool holds = false;
        if (!fhirpath_to_boolean(&result, &holds, error)) {
            return false;
        }
        condition = fhirpath_item_of_boolean(holds);
        result = (struct fhirpath_collection){ .items = &condition, .count = 1 };
    }
    bool ordered = !json_equals_text(JSON_GET(test, "ordered"), STR("false"));
    return !invalid && results_are(&result, JSON_GET(test, "output"), ordered);
}

static bool run_case(const struct json *test, const char *inputs, bool *left_out)
{
    struct error error = { 0 };
    struct json *resource = NULL;
    struct str input = JSON_TEXT(&case_arena, test, "input");
    struct str expression = JSON_TEXT(&case_arena, test, "expression");
    *left_out = input.len > 0 && !read_json(&case_arena, inputs, input, &resource);
    if (*left_out) {
        return false;
    }
    struct fhirpath *path = fhirpath_compile(&case_arena, expression, &error);
    bool ok = false;
    if (path != NULL) {
        ok = evaluate_case(test, path, resource, &error);
    } else {
        const struct json *invalid = JSON_GET(test, "invalid");
        bool syntax = json_equals_text(invalid, STR("syntax"));
        ok = invalid != NULL && syntax == (error.kind == ERROR_STRUCTURE);
    }
    if (!ok) {
        struct str name = JSON_TEXT(&case_arena, test, "name");
        print_message("failed: %.*s: %.*s (%s)\n", STR_FMT(name), STR_FMT(expression), error.text);
    }
    return ok;
}

static void passes_the_official_cases(void **state)
{
    (void)state;
    char folder[400];
    char inputs[512];
    struct json *cases = NULL;
    const char *shared = getenv("SHANHAI_SHARED");
    (void)snprintf(folder, sizeof folder, "%s/suites/fhirpath",
                   shared == NULL || *shared == '\0' ? "../shared" : shared);
    (void)snprintf(inputs, sizeof inputs, "%s/input", folder);
    if (!read_json(&arena, folder, STR("cases.json"), &cases)) {
        print_message("left out: the public FHIRPath cases are not here\n");
        skip();
    }
    size_t passed = 0;
    size_t failed = 0;
    size_t left_out = 0;
    JSON_EACH(test, cases) {
        bool without_input = false;
        bool ok = run_case(test, inputs, &without_input);
        passed += ok ? 1 : 0;
        failed += !ok && !without_input ? 1 : 0;
        left_out += without_input ? 1 : 0;
        arena_reset(&case_arena);
    }
    print_message("FHIRPath cases: %zu passed, %zu failed, %zu without a JSON input\n", passed, failed,
                  left_out);
    assert_true(passed >= PASSED_AT_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_the_official_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
