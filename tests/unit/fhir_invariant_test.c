/* The rules of R4: official examples keep them, broken ones are told. */
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
#include "fhir/invariant.h"

static struct arena arena = { .bytes_max = 256u << 20 };
static struct invariants *invariants;

static int set_up(void **state)
{
    (void)state;
    struct error error = { 0 };
    bool ok = invariants_create(&invariants, &error);
    if (!ok) {
        print_message("%s\n", error.text);
    }
    return ok ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    invariants_destroy(invariants);
    arena_deinit(&arena);
    return 0;
}

static void the_official_examples_keep_the_rules(void **state)
{
    (void)state;
    const char *shared = getenv("SHANHAI_SHARED");
    struct str path = arena_printf(&arena, "%s/suites/examples", shared == NULL ? "../shared" : shared);
    DIR *folder = opendir(path.at);
    if (folder == NULL) {
        print_message("left out: no suites/examples in SHANHAI_SHARED\n");
        skip();
    }
    size_t files = 0;
    size_t bad = 0;
    size_t broken = 0;
    size_t unknown = 0;
    for (struct dirent *entry = NULL; (entry = readdir(folder)) != NULL;) {
        struct str name = str_from_cstr(entry->d_name);
        if (!str_ends_with(name, STR(".json")) || str_equal(name, STR("package.json"))) {
            continue;
        }
        struct arena own = { .bytes_max = 512u << 20 };
        struct error error = { 0 };
        struct str text = STR_NONE;
        struct json *resource = NULL;
        struct str file = arena_printf(&own, "%.*s/%s", STR_FMT(path), entry->d_name);
        assert_true(file_read_whole(&own, file.at, LIMIT_BUNDLE_BYTES, &text, &error));
        assert_true(json_read(&own, text, &resource, &error));
        struct outcome outcome = outcome_in(&own);
        files++;
        bool kept = invariants_check(invariants, resource, &outcome);
        for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
            if (issue->severity == OUTCOME_ERROR) {
                print_message("%s: %.*s: %.*s\n", entry->d_name, STR_FMT(issue->path), STR_FMT(issue->text));
                broken++;
            }
            unknown += strcmp(issue->code, "invariant") == 0 ? 0 : 1;
        }
        bad += kept ? 0 : 1;
        arena_deinit(&own);
    }
    (void)closedir(folder);
    print_message("R4 examples: %zu of %zu keep the invariants, %zu rules not evaluated\n", files - bad,
                  files, unknown);
    assert_int_equal(broken, 0);
    assert_int_equal(bad, 0);
    assert_true(unknown <= 4); /* rng-2 over units that are not of UCUM */
}

static const struct broken {
    const char *json;
    const char *path;
    const char *key;
} broken_rules[] = {
    { "{\"resourceType\":\"Patient\",\"contact\":[{\"gender\":\"male\"}]}", "Patient.contact[0]", "pat-1" },
    { "{\"resourceType\":\"Patient\",\"telecom\":[{\"value\":\"1\"}]}", "Patient.telecom[0]", "cpt-2" },
    { "{\"resourceType\":\"Encounter\",\"period\":{\"start\":\"2021\",\"end\":\"2020\"}}", "Encounter.period",
      "per-1" },
    { "{\"resourceType\":\"Organization\",\"active\":true}", "Organization", "org-1" },
    { "{\"resourceType\":\"Organization\",\"name\":\"a\",\"telecom\":[{\"use\":\"home\"}]}",
      "Organization.telecom[0]", "org-3" },
    { "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":1,\"code\":\"kg\"}}",
      "Observation.valueQuantity", "qty-3" },
    { "{\"resourceType\":\"Observation\",\"dataAbsentReason\":{\"text\":\"a\"},\"valueString\":\"b\"}",
      "Observation", "obs-6" },
    { "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"total\":1}", "Bundle", "bdl-1" },
    { "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"fullUrl\":\"urn:a\",\"resource\":"
      "{\"resourceType\":\"Organization\",\"active\":true}}]}",
      "Bundle.entry[0].resource", "org-1" },
    { "{\"resourceType\":\"Patient\",\"contained\":[{\"resourceType\":\"Organization\",\"id\":\"o\",\"name\":"
      "\"a\"}]}",
      "Patient", "dom-3" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<div "
      "xmlns=\\\"http://www.w3.org/1999/xhtml\\\"></div>\"}}",
      "Patient.text.div", "txt-2" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<div "
      "xmlns=\\\"http://www.w3.org/1999/xhtml\\\"><script> </script> </div>\"}}",
      "Patient.text.div", "txt-1" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<div "
      "xmlns=\\\"http://www.w3.org/1999/xhtml\\\"><script>a</script></div>\"}}",
      "Patient.text.div", "txt-1" },
};

static void broken_rules_are_told_with_their_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_rules / sizeof broken_rules[0]; i++) {
        const struct broken *broken = &broken_rules[i];
        struct json *resource = NULL;
        struct error error = { 0 };
        struct outcome outcome = outcome_in(&arena);
        assert_true(json_read(&arena, str_from_cstr(broken->json), &resource, &error));
        if (invariants_check(invariants, resource, &outcome)) {
            fail_msg("%s was accepted", broken->json);
        }
        bool told = false;
        for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
            told = told || (issue->severity == OUTCOME_ERROR && str_equal_cstr(issue->path, broken->path) &&
                            str_starts_with(issue->text, str_from_cstr(broken->key)));
        }
        if (!told) {
            fail_msg("%s: %.*s: %.*s", broken->json, STR_FMT(outcome.first->path),
                     STR_FMT(outcome.first->text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_official_examples_keep_the_rules),
        cmocka_unit_test(broken_rules_are_told_with_their_path),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
