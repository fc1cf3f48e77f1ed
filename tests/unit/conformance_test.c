/* Our own cases from the text of the standards, each under the section it comes from: tests/conformance/fhirpath.json
 * (FHIRPath N1 and R4's page on it), validate.json (R4) and view.json (SQL on FHIR v2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/file.h"
#include "fhir/validation.h"
#include "view/view.h"

enum { FILE_BYTES_MAX = 16 << 20, CASE_BYTES_MAX = 64 << 20 };

struct counts {
    size_t right;
    size_t wrong;
};

static struct arena arena = { .bytes_max = 256u << 20 };

static struct json *read_cases(const char *name)
{
    struct error error = { 0 };
    struct str text = STR_NONE;
    struct json *value = NULL;
    char path[256];
    (void)snprintf(path, sizeof path, "tests/conformance/%s", name);
    if (!file_read_whole(&arena, path, FILE_BYTES_MAX, &text, &error) ||
        !json_read(&arena, text, &value, &error)) {
        fail_msg("%s: %s", path, error.text);
    }
    return value;
}

static void count(struct counts *counts, bool right, struct str section, struct str what, const char *why)
{
    counts->right += right ? 1 : 0;
    counts->wrong += right ? 0 : 1;
    if (!right) {
        print_message("%.*s: %.*s %s\n", STR_FMT(section), STR_FMT(what), why);
    }
}

/* ---- FHIRPath ---- */

/* As `shanhai fhirpath` prints it. */
static struct json *printed(struct arena *own, const struct fhirpath_collection *result)
{
    struct json *list = json_new(own, JSON_ARRAY);
    for (size_t i = 0; i < result->count; i++) {
        const struct fhirpath_item *item = &result->items[i];
        struct json *object = json_new(own, JSON_OBJECT);
        const struct json *value = item->kind == FHIRPATH_QUANTITY
                                       ? json_new_string(own, fhirpath_item_text(own, item))
                                       : fhirpath_item_to_json(own, item);
        value = value == NULL ? json_new(own, JSON_NULL) : value;
        struct str type = fhirpath_item_type_name(item);
        (void)json_add(object, STR("type"), json_new_string(own, type.at == NULL ? STR("Element") : type));
        (void)json_add(object, STR("value"), json_copy(own, value, false));
        (void)json_append(list, object);
    }
    return list;
}

static bool ask(struct arena *own, const struct json *test, const struct json *resource, struct error *error)
{
    struct fhirpath_context context = { .arena = own, .strict = true };
    struct fhirpath_collection result = { 0 };
    const struct json *fails = JSON_GET(test, "fails");
    struct fhirpath *path = fhirpath_compile(own, JSON_TEXT(own, test, "ask"), error);
    bool syntax = path == NULL && error->kind == ERROR_STRUCTURE;
    if (fails != NULL) {
        bool evaluated =
            path != NULL && fhirpath_evaluate_on_resource(path, &context, resource, &result, error);
        return !evaluated && syntax == json_equals_text(fails, STR("syntax"));
    }
    return path != NULL && fhirpath_evaluate_on_resource(path, &context, resource, &result, error) &&
           json_equal(printed(own, &result), JSON_GET(test, "gives"));
}

static void fhirpath_says_what_its_text_says(void **state)
{
    (void)state;
    struct counts counts = { 0 };
    const struct json *resources = read_cases("resources.json");
    JSON_EACH(section, read_cases("fhirpath.json")) {
        JSON_EACH(test, JSON_GET(section, "cases")) {
            struct arena own = { .bytes_max = CASE_BYTES_MAX };
            struct error error = { 0 };
            const struct json *resource = json_member(resources, JSON_TEXT(&own, test, "on"));
            bool right = ask(&own, test, resource, &error);
            count(&counts, right, JSON_TEXT(&own, section, "section"), JSON_TEXT(&own, test, "ask"),
                  error.text);
            arena_deinit(&own);
        }
    }
    print_message("FHIRPath by section: %zu right, %zu wrong\n", counts.right, counts.wrong);
    assert_int_equal(counts.wrong, 0);
    assert_true(counts.right > 1000);
}

/* ---- validation ---- */

static bool find_profile(void *data, struct arena *own, struct str url, const struct json **structure,
                         struct error *error)
{
    (void)own;
    (void)error;
    *structure = profile_set_find(validator_profiles(data), url);
    return true;
}

/* The resource with the members of the case; "@remove" takes one away. */
static struct json *changed(struct arena *own, const struct json *resource, const struct json *set)
{
    struct json *made = json_new(own, JSON_OBJECT);
    JSON_EACH(member, resource) {
        if (json_member(set, member->name) == NULL) {
            (void)json_add(made, member->name, json_copy(own, member, false));
        }
    }
    JSON_EACH(member, set) {
        if (!json_equals_text(member, STR("@remove"))) {
            (void)json_add(made, member->name, json_copy(own, member, false));
        }
    }
    return made;
}

/* Every path named is told as an error. */
static bool tells(const struct outcome *outcome, struct arena *own, const struct json *wrong)
{
    size_t found = 0;
    JSON_EACH(path, wrong) {
        bool told = false;
        for (const struct outcome_issue *issue = outcome->first; issue != NULL; issue = issue->next) {
            told = told || (issue->severity == OUTCOME_ERROR && str_equal(issue->path, json_text(own, path)));
        }
        found += told ? 1 : 0;
    }
    return found == wrong->count;
}

static void validation_refuses_what_r4_refuses_and_nothing_else(void **state)
{
    (void)state;
    struct counts counts = { 0 };
    struct error error = { 0 };
    struct str profiles = STR_NONE;
    struct validator *validator = NULL;
    assert_true(file_read_whole(&arena, "definitions/r4/profiles.json", FILE_BYTES_MAX, &profiles, &error));
    assert_true(validator_create(profiles, &validator, &error));
    const struct profile_source source = { .data = validator, .find = find_profile };
    const struct validation_options options = { .source = &source };
    const struct json *cases = read_cases("validate.json");
    JSON_EACH(section, JSON_GET(cases, "sections")) {
        JSON_EACH(test, JSON_GET(section, "cases")) {
            struct arena own = { .bytes_max = CASE_BYTES_MAX };
            struct outcome outcome = outcome_in(&own);
            const struct json *base = json_member(JSON_GET(cases, "resources"), JSON_TEXT(&own, test, "on"));
            bool valid =
                validation_check(validator, changed(&own, base, JSON_GET(test, "set")), &options, &outcome);
            const struct json *wrong = JSON_GET(test, "wrong");
            bool right = valid == (wrong->count == 0) && tells(&outcome, &own, wrong);
            count(&counts, right, JSON_TEXT(&own, section, "section"),
                  json_write_arena(&own, JSON_GET(test, "set")), "");
            arena_deinit(&own);
        }
    }
    validator_destroy(validator);
    print_message("validation by section: %zu right, %zu wrong\n", counts.right, counts.wrong);
    assert_int_equal(counts.wrong, 0);
    assert_true(counts.right > 200);
}

/* ---- views ---- */

static bool rows_are(struct arena *own, const struct json *resources, const struct json *test,
                     struct error *error)
{
    struct view *view = NULL;
    struct json *all = json_new(own, JSON_ARRAY);
    bool fails = json_is_true(JSON_GET(test, "fails"));
    if (!view_compile(own, JSON_GET(test, "view"), &view, error)) {
        return fails;
    }
    JSON_EACH(resource, resources) {
        struct view_rows rows = { 0 };
        const struct view_input input = { .resource = resource };
        if (!view_evaluate(view, own, &input, &rows, error)) {
            return fails;
        }
        for (const struct view_row *row = rows.first; row != NULL; row = row->next) {
            (void)json_append(all, view_row_json(view, own, row));
        }
    }
    return !fails && json_equal(all, JSON_GET(test, "rows"));
}

static void views_give_their_rows(void **state)
{
    (void)state;
    struct counts counts = { 0 };
    const struct json *cases = read_cases("view.json");
    JSON_EACH(test, JSON_GET(cases, "cases")) {
        struct arena own = { .bytes_max = CASE_BYTES_MAX };
        struct error error = { 0 };
        count(&counts, rows_are(&own, JSON_GET(cases, "resources"), test, &error), STR("SQL on FHIR"),
              json_write_arena(&own, JSON_GET(test, "view")), error.text);
        arena_deinit(&own);
    }
    print_message("views: %zu right, %zu wrong\n", counts.right, counts.wrong);
    assert_int_equal(counts.wrong, 0);
    assert_true(counts.right > 100);
}

static int tear_down(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fhirpath_says_what_its_text_says),
        cmocka_unit_test(validation_refuses_what_r4_refuses_and_nothing_else),
        cmocka_unit_test(views_give_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
