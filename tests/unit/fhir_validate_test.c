/* Validation: every official example and Synthea bundle is valid, and each bad input is told with its path. */
#include "suite.h"

#include "base/clock.h"
#include "fhir/validate.h"

static struct arena arena = { .bytes_max = 512u << 20 };

static struct json *read_json(struct str text)
{
    struct json *value = NULL;
    struct error error = { 0 };
    if (!json_read(&arena, text, &value, &error)) {
        fail_msg("%s", error.text);
    }
    return value;
}

static void check_file(void *data, const char *name, const struct json *resource, struct arena *own)
{
    size_t *bad = data;
    struct outcome outcome = outcome_in(own);
    if (validate_resource(resource, NULL, &outcome)) {
        return;
    }
    (*bad)++;
    for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
        print_message("%s: %.*s: %.*s\n", name, STR_FMT(issue->path), STR_FMT(issue->text));
    }
}

static void accepts_the_official_examples(void **state)
{
    (void)state;
    size_t bad = 0;
    size_t count = suite_each("examples", check_file, &bad);
    print_message("R4 examples: %zu of %zu accepted\n", count - bad, count);
    assert_int_equal(bad, 0);
}

static void accepts_the_synthea_bundles(void **state)
{
    (void)state;
    size_t bad = 0;
    size_t count = suite_each("synthea", check_file, &bad);
    print_message("Synthea bundles: %zu of %zu accepted\n", count - bad, count);
    assert_int_equal(bad, 0);
}

static const struct bad_input {
    const char *json;
    const char *path;
    const char *code;
} bad_inputs[] = {
    { "[]", "Resource", "structure" },
    { "{}", "Resource", "structure" },
    { "{\"resourceType\":\"Pacient\"}", "Resource", "structure" },
    { "{\"resourceType\":\"DomainResource\"}", "Resource", "structure" },
    { "{\"resourceType\":\"HumanName\"}", "Resource", "structure" },
    { "{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\",\"id\":\"a\"}", "Patient", "structure" },
    { "{\"resourceType\":\"Patient\",\"nmae\":[{\"text\":\"a\"}]}", "Patient.nmae", "structure" },
    { "{\"resourceType\":\"Patient\",\"id\":\"a\",\"id\":\"a\"}", "Patient.id", "structure" },
    { "{\"resourceType\":\"Patient\",\"id\":\"a b\"}", "Patient.id", "value" },
    { "{\"resourceType\":\"Patient\",\"id\":\"\"}", "Patient.id", "required" },
    { "{\"resourceType\":\"Patient\",\"id\":7}", "Patient.id", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":{\"text\":\"a\"}}", "Patient.name", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[]}", "Patient.name", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[{}]}", "Patient.name[0]", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":null}", "Patient.name", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[null]}", "Patient.name[0]", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[\"a\"]}", "Patient.name[0]", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"a\",null]}]}", "Patient.name[0].given[1]",
      "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"a\"],\"_given\":[null,null]}]}",
      "Patient.name[0].given", "structure" },
    { "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\\u0000\"}]}", "Patient.name[0].family",
      "value" },
    { "{\"resourceType\":\"Patient\",\"gender\":[\"male\"]}", "Patient.gender", "structure" },
    { "{\"resourceType\":\"Patient\",\"gender\":\"M\"}", "Patient.gender", "code-invalid" },
    { "{\"resourceType\":\"Patient\",\"_gender\":{\"value\":1}}", "Patient._gender.value", "structure" },
    { "{\"resourceType\":\"Patient\",\"_name\":[{\"id\":\"a\"}]}", "Patient._name", "structure" },
    { "{\"resourceType\":\"Patient\",\"birthDate\":\"2020-02-30\"}", "Patient.birthDate", "value" },
    { "{\"resourceType\":\"Patient\",\"birthDate\":\"2020-2-3\"}", "Patient.birthDate", "value" },
    { "{\"resourceType\":\"Patient\",\"birthDate\":\"2020-02-11T10:00:00Z\"}", "Patient.birthDate", "value" },
    { "{\"resourceType\":\"Patient\",\"active\":\"true\"}", "Patient.active", "structure" },
    { "{\"resourceType\":\"Patient\",\"multipleBirthInteger\":1.5}", "Patient.multipleBirthInteger",
      "value" },
    { "{\"resourceType\":\"Patient\",\"deceasedBoolean\":true,\"deceasedDateTime\":\"2020\"}",
      "Patient.deceased[x]", "structure" },
    { "{\"resourceType\":\"Patient\",\"deceased\":true}", "Patient.deceased", "structure" },
    { "{\"resourceType\":\"Patient\",\"deceasedDateTime\":\"2020-01-01T10:00:00\"}",
      "Patient.deceasedDateTime", "value" },
    { "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"Patient/1\"}}",
      "Patient.managingOrganization", "value" },
    { "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"#o\"}}",
      "Patient.managingOrganization", "not-found" },
    { "{\"resourceType\":\"Patient\",\"link\":[{\"other\":{\"reference\":\"Patient/1\"}}]}",
      "Patient.link[0].type", "required" },
    { "{\"resourceType\":\"Patient\",\"extension\":[{\"valueString\":\"a\"}]}", "Patient.extension[0].url",
      "required" },
    { "{\"resourceType\":\"Patient\",\"extension\":[{\"url\":\"http://a.b\"}]}", "Patient.extension[0]",
      "invariant" },
    { "{\"resourceType\":\"Patient\",\"contained\":[{\"resourceType\":\"Organization\",\"name\":\"a\"}]}",
      "Patient.contained[0]", "required" },
    { "{\"resourceType\":\"Patient\",\"contained\":[{\"resourceType\":\"Organization\",\"id\":\"o\",\"x\":1}]"
      "}",
      "Patient.contained[0].x", "structure" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<p>a</p>\"}}",
      "Patient.text.div", "value" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<div><script>a</script></"
      "div>\"}}",
      "Patient.text.div", "value" },
    { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\"}}", "Patient.text.div", "required" },
    { "{\"resourceType\":\"Patient\",\"photo\":[{\"data\":\"abc\"}]}", "Patient.photo[0].data", "value" },
    { "{\"resourceType\":\"Patient\",\"_gender\":{\"id\":\"a\"}}", "Patient._gender",
      "invariant" }, /* ele-1 */
    { "{\"resourceType\":\"Patient\",\"name\":[{\"id\":\"a\"}]}", "Patient.name[0]", "invariant" },
    { "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[null],\"_given\":[{\"id\":\"a\"}]}]}",
      "Patient.name[0]._given[0]", "invariant" },
    { "{\"resourceType\":\"Patient\",\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"o\"}],"
      "\"managingOrganization\":{\"reference\":\"#o\"}}",
      "Patient.managingOrganization", "value" },
    { "{\"resourceType\":\"Observation\",\"code\":{\"text\":\"a\"}}", "Observation.status", "required" },
    { "{\"resourceType\":\"Observation\",\"status\":\"final\"}", "Observation.code", "required" },
    { "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"text\":\"a\"},"
      "\"valueQuantity\":{\"value\":\"1\"}}",
      "Observation.valueQuantity.value", "structure" },
    { "{\"resourceType\":\"MedicationRequest\",\"status\":\"active\",\"intent\":\"order\","
      "\"subject\":{\"reference\":\"Patient/1\"}}",
      "MedicationRequest.medication[x]", "required" },
    { "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":"
      "{\"resourceType\":\"Patient\",\"gender\":\"x\"}}]}",
      "Bundle.entry[0].resource.gender", "code-invalid" },
    { "{\"resourceType\":\"Bundle\",\"type\":\"collection\",\"entry\":[{\"resource\":{\"id\":\"a\"}}]}",
      "Bundle.entry[0].resource", "structure" },
};

static void tells_each_fault_with_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_inputs / sizeof bad_inputs[0]; i++) {
        struct outcome outcome = outcome_in(&arena);
        const struct bad_input *bad = &bad_inputs[i];
        assert_false(validate_resource(read_json(str_from_cstr(bad->json)), NULL, &outcome));
        if (outcome.first == NULL || outcome.count != 1 || !str_equal_cstr(outcome.first->path, bad->path) ||
            strcmp(outcome.first->code, bad->code) != 0) {
            fail_msg("%s: %zu issues, %.*s %s", bad->json, outcome.count, STR_FMT(outcome.first->path),
                     outcome.first->code);
        }
        assert_true(outcome.first->text.len > 0 && outcome.first->chinese.len > 0);
    }
}

static void accepts_what_looks_odd_and_is_right(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"resourceType\":\"Patient\",\"name\":[{\"given\":[null,\"a\"],\"_given\":[{\"extension\":[{"
        "\"url\":"
        "\"http://a.b\",\"valueCode\":\"x\"}]},null]}]}",
        "{\"resourceType\":\"Patient\",\"gender\":\"male\",\"_gender\":{\"id\":\"x\"}}",
        "{\"resourceType\":\"Patient\",\"_gender\":{\"extension\":[{\"url\":\"http://"
        "a.b\",\"valueCode\":\"x\"}]}}",
        "{\"resourceType\":\"Patient\",\"birthDate\":\"2020-02-29\",\"deceasedDateTime\":\"2020\"}",
        "{\"resourceType\":\"Patient\",\"contained\":[{\"resourceType\":\"Organization\",\"id\":\"o\"}],"
        "\"managingOrganization\":{\"reference\":\"#o\"}}",
        "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"https://a.b/fhir/"
        "Organization/1/_history/2\"}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct outcome outcome = outcome_in(&arena);
        if (!validate_resource(read_json(str_from_cstr(good[i])), NULL, &outcome)) {
            fail_msg("%s: %.*s", good[i], STR_FMT(outcome.first->text));
        }
    }
}

/* What R4 says in its text and not in its tables: only where the whole validation is asked for. */
static void tells_more_when_all_is_asked_for(void **state)
{
    (void)state;
    static const struct bad_input only_full[] = {
        { "{\"resourceType\":\"Patient\",\"extension\":[{\"url\":\"rel\",\"valueCode\":\"a\"}]}", /* 2.5.1.0.1 */
          "Patient.extension[0]", "value" },
        { "{\"resourceType\":\"Patient\",\"text\":{\"status\":\"generated\",\"div\":\"<div>a</div>\"}}",
          "Patient.text.div", "value" }, /* 2.4.0 */
    };
    static const char *const good[] = {
        "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"Organization/a/_history/"
        "2\"}}",
        "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"urn:uuid:0c3151bd-1cbf-4d64-"
        "b04d-"
        "cd9187a4c6e0\"}}",
        "{\"resourceType\":\"Patient\",\"extension\":[{\"url\":\"http://"
        "a.b\",\"extension\":[{\"url\":\"rel\","
        "\"valueCode\":\"a\"}]}]}",
    };
    static const char *const odd_references[] = { "Foo/1", "patient/1", "Organization/a b", "Organization/",
                                                  "hospital" };
    const struct validate_options full = { .full = true };
    for (size_t i = 0; i < sizeof odd_references / sizeof odd_references[0]; i++) { /* 2.3.0.1: a warning */
        struct outcome outcome = outcome_in(&arena);
        struct str text = arena_printf(
            &arena, "{\"resourceType\":\"Patient\",\"managingOrganization\":{\"reference\":\"%s\"}}",
            odd_references[i]);
        assert_true(validate_resource(read_json(text), &full, &outcome));
        assert_true(outcome.count == 1 && outcome.first->severity == OUTCOME_WARNING);
    }
    for (size_t i = 0; i < sizeof only_full / sizeof only_full[0]; i++) {
        struct outcome quick = outcome_in(&arena);
        struct outcome whole = outcome_in(&arena);
        struct json *resource = read_json(str_from_cstr(only_full[i].json));
        assert_true(validate_resource(resource, NULL, &quick));
        assert_false(validate_resource(resource, &full, &whole));
        assert_true(str_equal_cstr(whole.first->path, only_full[i].path));
        assert_string_equal(whole.first->code, only_full[i].code);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct outcome outcome = outcome_in(&arena);
        if (!validate_resource(read_json(str_from_cstr(good[i])), &full, &outcome)) {
            fail_msg("%s: %.*s", good[i], STR_FMT(outcome.first->text));
        }
    }
}

static void suggests_a_near_name(void **state)
{
    (void)state;
    struct outcome outcome = outcome_in(&arena);
    struct json *patient = read_json(STR("{\"resourceType\":\"Patient\",\"brithDate\":\"2020\"}"));
    assert_false(validate_resource(patient, NULL, &outcome));
    assert_non_null(strstr(outcome.first->text.at, "'birthDate'"));
}

static void lists_all_issues_up_to_the_limit(void **state)
{
    (void)state;
    struct buf text = { .bytes_max = 1 << 20 };
    buf_add(&text, STR("{\"resourceType\":\"Patient\""));
    for (int i = 0; i < 60; i++) {
        buf_printf(&text, ",\"x%d\":1", i);
    }
    buf_add(&text, STR("}"));
    struct outcome outcome = outcome_in(&arena);
    assert_false(validate_resource(read_json(buf_str(&text)), NULL, &outcome));
    assert_int_equal(outcome.count, 60);
    struct json *resource = outcome_to_json(&outcome, OUTCOME_CHINESE);
    assert_int_equal(JSON_GET(resource, "issue")->count, LIMIT_OUTCOME_ISSUES + 1);
    struct outcome of_outcome = outcome_in(&arena);
    assert_true(validate_resource(resource, NULL, &of_outcome));
    buf_deinit(&text);
}

/* Fifty warnings stood in the list and the one error did not: nobody could tell why the resource was refused. */
static void an_error_is_listed_before_any_warning(void **state)
{
    (void)state;
    struct outcome outcome = outcome_in(&arena);
    const struct outcome_issue warning = { .severity = OUTCOME_WARNING, .code = "value", .text = STR("w") };
    const struct outcome_issue error = { .severity = OUTCOME_ERROR, .code = "value", .text = STR("e") };
    for (int i = 0; i < LIMIT_OUTCOME_ISSUES + 12; i++) {
        outcome_add(&outcome, warning);
    }
    outcome_add(&outcome, error);
    outcome_add(&outcome, warning);
    outcome_add(&outcome, error);
    size_t errors = 0;
    size_t listed = 0;
    for (const struct outcome_issue *issue = outcome.first; issue != NULL; issue = issue->next) {
        errors += issue->severity == OUTCOME_ERROR ? 1 : 0;
        listed++;
    }
    assert_int_equal(errors, 2);
    assert_int_equal(listed, LIMIT_OUTCOME_ISSUES);
    assert_true(outcome.cut);
    assert_ptr_equal(outcome.last->next, NULL);
    for (int i = 0; i < LIMIT_OUTCOME_ISSUES * 2; i++) {
        outcome_add(&outcome, error);
    }
    assert_int_equal(outcome.errors_count, LIMIT_OUTCOME_ISSUES * 2 + 2);
    assert_true(outcome.first->severity == OUTCOME_ERROR);
}

static void refuses_another_type_than_the_route(void **state)
{
    (void)state;
    struct outcome outcome = outcome_in(&arena);
    const struct validate_options options = { .type = STR("Observation") };
    assert_false(
        validate_resource(read_json(STR("{\"resourceType\":\"Patient\",\"id\":\"a\"}")), &options, &outcome));
    assert_string_equal(outcome.first->code, "invalid");
}

static void an_outcome_tells_an_error(void **state)
{
    (void)state;
    struct error error = { 0 };
    (void)FAIL(&error, ERROR_NOT_FOUND, "no such thing");
    struct json *resource = outcome_of_error(&arena, &error, OUTCOME_ENGLISH);
    struct str text = json_write_arena(&arena, resource);
    assert_true(str_equal_cstr(text,
                               "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\","
                               "\"code\":\"not-found\",\"details\":{\"text\":\"no such thing\"},"
                               "\"diagnostics\":\"no such thing\"}]}"));
}

static struct str told_in_chinese(enum error_kind kind, const char *english)
{
    struct error error = { 0 };
    (void)FAIL(&error, kind, "%s", english);
    const struct json *outcome = outcome_of_error(&arena, &error, OUTCOME_CHINESE);
    const struct json *issue = JSON_GET(outcome, "issue")->first;
    assert_true(str_equal_cstr(JSON_TEXT(&arena, issue, "diagnostics"), english));
    return JSON_TEXT(&arena, JSON_GET(issue, "details"), "text");
}

/* The code of the sentence, "" where the table has none. */
static struct str code_told(enum outcome_language language, enum error_kind kind, const char *english)
{
    struct error error = { 0 };
    (void)FAIL(&error, kind, "%s", english);
    const struct json *outcome = outcome_of_error(&arena, &error, language);
    const struct json *coding = JSON_GET(JSON_GET(JSON_GET(outcome, "issue")->first, "details"), "coding");
    return coding == NULL ? STR("") : JSON_TEXT(&arena, coding->first, "code");
}

static void an_outcome_names_its_sentence_by_a_code_in_both_languages(void **state)
{
    (void)state;
    const enum outcome_language both[] = { OUTCOME_ENGLISH, OUTCOME_CHINESE };
    for (size_t i = 0; i < 2; i++) {
        assert_true(str_equal_cstr(code_told(both[i], ERROR_STRUCTURE, "the ZIP is damaged"), "zip-damaged"));
        assert_true(str_equal_cstr(code_told(both[i], ERROR_RULE,
                                             "the images name another name, sex or date of birth than the "
                                             "record: compare both and confirm"),
                                   "held-differs"));
        assert_int_equal(code_told(both[i], ERROR_INPUT, "what nobody has ever said").len, 0);
    }
}

static void an_outcome_tells_an_error_in_chinese(void **state)
{
    (void)state;
    assert_true(str_equal_cstr(told_in_chinese(ERROR_METHOD, "this method is not offered at this address"),
                               "这个地址不支持此操作方式"));
    assert_true(str_equal_cstr(told_in_chinese(ERROR_INPUT, "the only overlay is mask"),
                               "叠加层只有测量范围（mask）"));
    assert_true(str_equal_cstr(told_in_chinese(ERROR_FORBIDDEN, "the role expert lacks the right 'reports'"),
                               "当前岗位没有这项权限"));
    /* what has no sentence of its own: the kind, and the text behind it */
    assert_true(str_equal_cstr(told_in_chinese(ERROR_INPUT, "the only overlay is red"),
                               "请求的内容有误：the only overlay is red"));
    assert_true(str_equal_cstr(told_in_chinese(ERROR_FULL, ""), "服务器存储已满"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_the_official_examples),
        cmocka_unit_test(accepts_the_synthea_bundles),
        cmocka_unit_test(tells_each_fault_with_its_path),
        cmocka_unit_test(accepts_what_looks_odd_and_is_right),
        cmocka_unit_test(tells_more_when_all_is_asked_for),
        cmocka_unit_test(suggests_a_near_name),
        cmocka_unit_test(lists_all_issues_up_to_the_limit),
        cmocka_unit_test(an_error_is_listed_before_any_warning),
        cmocka_unit_test(refuses_another_type_than_the_route),
        cmocka_unit_test(an_outcome_tells_an_error),
        cmocka_unit_test(an_outcome_names_its_sentence_by_a_code_in_both_languages),
        cmocka_unit_test(an_outcome_tells_an_error_in_chinese),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
