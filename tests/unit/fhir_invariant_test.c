/* The rules of R4: official examples keep them, broken ones are told. */
#include "suite.h"

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

struct kept {
    size_t bad;
    size_t broken;
    size_t unknown;
};

static void check_example(void *data, const char *name, const struct json *resource, struct arena *own)
{
    struct kept *kept = data;
    struct outcome outcome = outcome_in(own);
    kept->bad += invariants_check(invariants, resource, &outcome) ? 0 : 1;
    for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
        if (issue->severity == OUTCOME_ERROR) {
            print_message("%s: %.*s: %.*s\n", name, STR_FMT(issue->path), STR_FMT(issue->text));
            kept->broken++;
        }
        kept->unknown += strcmp(issue->code, "invariant") == 0 ? 0 : 1;
    }
}

static void the_official_examples_keep_the_rules(void **state)
{
    (void)state;
    struct kept kept = { 0 };
    size_t files = suite_each("examples", check_example, &kept);
    print_message("R4 examples: %zu of %zu keep the invariants, %zu rules not evaluated\n", files - kept.bad,
                  files, kept.unknown);
    assert_int_equal(kept.broken, 0);
    assert_int_equal(kept.bad, 0);
    assert_true(kept.unknown <= 4); /* rng-2 over units that are not of UCUM */
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
