/* What is an event of a topic, and by what a subscription may filter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "feed/topic.h"

static struct arena arena = { .bytes_max = 64u << 20 };
static struct topic_set topics;

static const char signed_topic[] =
    "{\"url\":\"urn:t:signed\",\"resourceTrigger\":[{\"resource\":\"ClinicalImpression\","
    "\"supportedInteraction\":"
    "[\"create\",\"update\"],\"queryCriteria\":{\"previous\":\"ClinicalImpression?status:not=completed\","
    "\"resultForCreate\":\"test-passes\",\"current\":\"ClinicalImpression?status=completed\",\"requireBoth\":"
    "true}}],"
    "\"canFilterBy\":[{\"resource\":\"ClinicalImpression\",\"filterParameter\":\"subject\"}]}";
static const char step_topic[] =
    "{\"url\":\"urn:t:step\",\"resourceTrigger\":[{\"resource\":\"Task\",\"fhirPathCriteria\":"
    "\"%previous.empty() or (%previous.status = %current.status).not()\"}],\"canFilterBy\":[]}";
static const char any_topic[] =
    "{\"url\":\"urn:t:any\",\"resourceTrigger\":[{\"resource\":\"Resource\"}],\"canFilterBy\":["
    "{\"resource\":\"Resource\",\"filterParameter\":\"_id\"},{\"resource\":\"Observation\","
    "\"filterParameter\":\"status\"}]}";

static int begin(void **state)
{
    (void)state;
    struct error error = { 0 };
    const struct fhir_index_options options = { .offset_minutes = 480 };
    topics = (struct topic_set){ .arena = &arena, .offset_minutes = 480 };
    return fhir_index_create(&options, &topics.index, &error) &&
                   topic_add(&topics, str_from_cstr(signed_topic), &error) &&
                   topic_add(&topics, str_from_cstr(step_topic), &error) &&
                   topic_add(&topics, str_from_cstr(any_topic), &error)
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    fhir_index_destroy(topics.index);
    arena_deinit(&arena);
    return 0;
}

static struct json *tree(const char *text)
{
    struct json *value = NULL;
    struct error error = { 0 };
    if (text != NULL && !json_read(&arena, str_from_cstr(text), &value, &error)) {
        fail_msg("%s", error.text);
    }
    return value;
}

static struct topic_event event_of(const char *type, const char *previous, const char *current)
{
    struct store_version *versions = ARENA_ARRAY(&arena, struct store_version, 2);
    versions[0] = (struct store_version){ .type = str_from_cstr(type), .id = STR("1"), .version = 1 };
    versions[1] = versions[0];
    versions[1].version = previous == NULL ? 1 : 2;
    versions[1].method = current == NULL    ? STORE_METHOD_DELETED
                         : previous == NULL ? STORE_METHOD_CREATED
                                            : STORE_METHOD_UPDATED;
    return (struct topic_event){ .arena = &arena,
                                 .version = &versions[1],
                                 .resource = tree(current),
                                 .previous_version = &versions[0],
                                 .previous = tree(previous) };
}

static bool fires(const char *url, const char *type, const char *previous, const char *current)
{
    struct error error = { 0 };
    const struct topic *topic = topic_find(&topics, str_from_cstr(url));
    const struct topic_event event = event_of(type, previous, current);
    bool result = false;
    assert_non_null(topic);
    if (!topic_fires(&topics, topic, &event, &result, &error)) {
        fail_msg("%s", error.text);
    }
    assert_true(!result || topic_may_fire(topic, event.version));
    return result;
}

#define OPINION(status) "{\"resourceType\":\"ClinicalImpression\",\"id\":\"1\",\"status\":\"" status "\"}"
#define TASK(status) "{\"resourceType\":\"Task\",\"id\":\"1\",\"status\":\"" status "\"}"

#define STEP(status, state)                                                                                  \
    "{\"resourceType\":\"Task\",\"id\":\"1\",\"status\":\"" status                                           \
    "\",\"businessStatus\":{\"coding\":[{\"system\":\"urn:s\",\"code\":\"" state "\"}]}}"
#define STUDY(status) "{\"resourceType\":\"ImagingStudy\",\"id\":\"1\",\"status\":\"" status "\"}"

static void an_event_is_a_change_that_the_topic_names(void **state)
{
    (void)state;
    assert_true(fires("urn:t:signed", "ClinicalImpression", OPINION("in-progress"), OPINION("completed")));
    assert_true(fires("urn:t:signed", "ClinicalImpression", NULL, OPINION("completed")));
    assert_false(fires("urn:t:signed", "ClinicalImpression", OPINION("in-progress"), OPINION("in-progress")));
    assert_false(fires("urn:t:signed", "ClinicalImpression", OPINION("completed"), OPINION("completed")));
    assert_false(fires("urn:t:signed", "ClinicalImpression", OPINION("completed"), NULL));
    assert_false(fires("urn:t:signed", "Task", NULL, TASK("requested")));
    assert_true(fires("urn:t:step", "Task", NULL, TASK("requested")));
    assert_true(fires("urn:t:step", "Task", TASK("requested"), TASK("accepted")));
    assert_false(fires("urn:t:step", "Task", TASK("accepted"), TASK("accepted")));
    assert_true(fires("urn:t:any", "Task", TASK("accepted"), NULL));
    assert_null(topic_find(&topics, STR("urn:t:none")));
    assert_ptr_equal(topic_find(&topics, STR("urn:t:any|1")), topic_find(&topics, STR("urn:t:any")));
    assert_true(str_equal(topic_type(topic_find(&topics, STR("urn:t:step"))), STR("Task")));
    assert_null(topic_type(topic_find(&topics, STR("urn:t:any"))).at);
}

static bool parses(const char *url, const char *text, struct topic_filter *filter)
{
    struct error error = { 0 };
    return topic_filter_parse(&topics, topic_find(&topics, str_from_cstr(url)), &arena, str_from_cstr(text),
                              filter, &error);
}

/* The rules that are shipped, as they are. */
static void the_topics_of_the_house(void **state)
{
    (void)state;
    static const char *const files[] = { "consult-opinion-signed", "imaging-study-arrived",
                                         "resource-changed", "task-state-changed" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct error error = { 0 };
        struct str text = STR_NONE;
        struct str path = arena_printf(&arena, "definitions/topics/%s.json", files[i]);
        assert_true(file_read_whole(&arena, path.at, 1 << 20, &text, &error));
        if (!topic_add(&topics, text, &error)) {
            fail_msg("%s: %s", files[i], error.text);
        }
    }
    static const char signed_url[] = "urn:shanhai:topic:consult-opinion-signed";
    static const char study_url[] = "urn:shanhai:topic:imaging-study-arrived";
    static const char step_url[] = "urn:shanhai:topic:task-state-changed";
    assert_true(fires(signed_url, "ClinicalImpression", OPINION("in-progress"), OPINION("completed")));
    assert_false(fires(signed_url, "ClinicalImpression", NULL, OPINION("in-progress")));
    assert_false(fires(signed_url, "ClinicalImpression", OPINION("completed"), OPINION("completed")));
    assert_true(fires(study_url, "ImagingStudy", NULL, STUDY("available")));
    assert_true(fires(study_url, "ImagingStudy", STUDY("registered"), STUDY("available")));
    assert_false(fires(study_url, "ImagingStudy", STUDY("available"), STUDY("available")));
    assert_true(fires(step_url, "Task", STEP("draft", "submitted"), STEP("draft", "allocated")));
    assert_true(fires(step_url, "Task", TASK("draft"), STEP("draft", "submitted")));
    assert_false(fires(step_url, "Task", STEP("draft", "submitted"), STEP("draft", "submitted")));
    assert_true(fires("urn:shanhai:topic:resource-changed", "Task", TASK("draft"), NULL));
    struct topic_filter filter;
    assert_true(parses(signed_url, "ClinicalImpression?patient=Patient/1", &filter));
    assert_true(parses(study_url, "ImagingStudy?modality=CT", &filter));
    assert_true(
        parses(step_url, "Task?code=urn:shanhai:codes:workflow|consult&business-status=submitted", &filter));
}

static void filters_are_those_that_the_topic_offers(void **state)
{
    (void)state;
    struct topic_filter filter;
    assert_true(parses("urn:t:signed", "ClinicalImpression?subject=Patient/1", &filter));
    assert_true(parses("urn:t:any", "Observation?status:not=final", &filter));
    assert_true(parses("urn:t:any", "Observation?", &filter));
    static const char *const bad[] = { "ClinicalImpression?status=completed",
                                       "ClinicalImpression?nonsense=1",
                                       "ClinicalImpression?subject:Patient.name=a",
                                       "Task?status=draft",
                                       "subject=1",
                                       "ClinicalImpression?_sort=date",
                                       "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parses("urn:t:signed", bad[i], &filter)) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
}

static bool fit(const struct topic_filter *filters, const struct topic_event *event)
{
    struct error error = { 0 };
    bool result = false;
    assert_true(topic_filters_fit(&topics, filters, event, &result, &error));
    return result;
}

static void filters_fit_together(void **state)
{
    (void)state;
    static const char final[] = "{\"resourceType\":\"Observation\",\"id\":\"1\",\"status\":\"final\"}";
    struct topic_filter one;
    struct topic_filter two;
    const struct topic_event made = event_of("Observation", NULL, final);
    const struct topic_event deleted = event_of("Observation", final, NULL);
    const struct topic_event other = event_of("Task", NULL, TASK("requested"));
    assert_true(parses("urn:t:any", "Observation?status=final", &one));
    assert_true(parses("urn:t:any", "Observation?_id=2", &two));
    assert_true(fit(NULL, &made));
    assert_true(fit(&one, &made));
    assert_true(fit(&one, &deleted)); /* by what was deleted */
    assert_false(fit(&one, &other));  /* a filter names the types that are wanted */
    one.next = &two;
    assert_false(fit(&one, &made));
}

static void a_wrong_topic_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"url\":\"urn:t:any\",\"resourceTrigger\":[{\"resource\":\"Task\"}]}",
        "{\"url\":\"urn:t:a\",\"resourceTrigger\":[{\"resource\":\"Nothing\"}]}",
        "{\"url\":\"urn:t:b\",\"resourceTrigger\":[{\"resource\":\"Task\",\"fhirPathCriteria\":\"((\"}]}",
        "{\"url\":\"urn:t:c\",\"resourceTrigger\":[{\"resource\":\"Task\",\"queryCriteria\":{\"current\":"
        "\"subject:Patient.name=x\"}}]}",
        "{\"url\":\"urn:t:d\",\"resourceTrigger\":[{\"resource\":\"Resource\",\"queryCriteria\":{\"current\":"
        "\"status=x\"}}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = { 0 };
        if (topic_add(&topics, str_from_cstr(bad[i]), &error)) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_true(error.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_a_change_that_the_topic_names),
        cmocka_unit_test(the_topics_of_the_house),
        cmocka_unit_test(filters_are_those_that_the_topic_offers),
        cmocka_unit_test(filters_fit_together),
        cmocka_unit_test(a_wrong_topic_is_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
