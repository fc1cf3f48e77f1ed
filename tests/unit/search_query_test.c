/* Searches: what is understood, how values are taken apart, what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_query.h"

static struct arena arena = { .bytes_max = 256u << 20 };

static const struct search_options patient_options = { .type = { "Patient", 7 }, .offset_minutes = 480 };
static const struct search_options observation_options = { .type = { "Observation", 11 },
                                                           .offset_minutes = 480 };

static struct search_query parse(const struct search_options *options, const char *text)
{
    struct search_query query = { 0 };
    struct error error = { 0 };
    if (!search_query_parse_text(&arena, options, str_from_cstr(text), &query, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    return query;
}

static void refuse(const struct search_options *options, const char *text, enum error_kind kind,
                   const char *because)
{
    struct search_query query = { .count = 7 };
    struct error error = { 0 };
    if (search_query_parse_text(&arena, options, str_from_cstr(text), &query, &error)) {
        fail_msg("%s was accepted", text);
    }
    if (error.kind != kind || strstr(error.text, because) == NULL) {
        fail_msg("%s: kind %d, %s", text, (int)error.kind, error.text);
    }
    assert_int_equal(query.count, 7);
}

static void conditions_are_resolved(void **state)
{
    (void)state;
    struct search_query query = parse(&patient_options, "gender=male,female&birthdate=ge2020-02-11");
    const struct search_criteria *gender = query.criteria;
    assert_int_equal(gender->kind, SEARCH_VALUES);
    assert_int_equal(gender->parameter, hash_parameter(STR("Patient"), STR("gender")));
    assert_int_equal(gender->values_count, 2);
    assert_int_equal(gender->values[1].key, index_token_key(STR_NONE, STR("female")));
    const struct search_criteria *birth = gender->next;
    assert_int_equal(birth->rows, INDEX_DATE);
    assert_int_equal(birth->values[0].prefix, SEARCH_GE);
    assert_int_equal(birth->values[0].from_ms, 1581350400000); /* local midnight at +08:00 */
    assert_int_equal(birth->values[0].to_ms - birth->values[0].from_ms, 86400000);
    assert_null(birth->next);
}

static void escapes_are_undone_after_splitting(void **state)
{
    (void)state;
    struct search_query query = parse(&patient_options, "family:exact=a%5C,b,c%5C%7Cd");
    assert_int_equal(query.criteria->values_count, 2);
    assert_int_equal(query.criteria->values[0].test, SEARCH_TEST_EQUAL);
    assert_true(str_equal(query.criteria->values[0].text, STR("a,b")));
    assert_true(str_equal(query.criteria->values[1].text, STR("c|d")));
    query = parse(&patient_options, "identifier=http://s%7Ca%5C%7Cb");
    assert_int_equal(query.criteria->values[0].key, index_token_key(STR("http://s"), STR("a|b")));
}

static void chains_lead_to_each_type_that_knows_the_rest(void **state)
{
    (void)state;
    struct search_query query = parse(&observation_options, "subject:Patient.name=zhang");
    assert_int_equal(query.criteria->kind, SEARCH_CHAIN);
    assert_int_equal(query.criteria->parameter, hash_parameter(STR("Observation"), STR("subject")));
    assert_int_equal(query.criteria->links_count, 1);
    assert_true(str_equal(query.criteria->links[0].type, STR("Patient")));
    assert_int_equal(query.criteria->links[0].criteria->parameter,
                     hash_parameter(STR("Patient"), STR("name")));
    query = parse(&observation_options, "subject.identifier=1");
    assert_true(query.criteria->links_count >= 3); /* Device, Group, Location, Patient */
    query = parse(&observation_options, "subject:Patient.organization.partof.name=x");
    const struct search_criteria *second = query.criteria->links[0].criteria;
    assert_int_equal(second->kind, SEARCH_CHAIN);
    assert_int_equal(second->links[0].criteria->kind, SEARCH_CHAIN);
    query = parse(&observation_options, "patient._id=p1");
    assert_int_equal(query.criteria->links[0].criteria->kind, SEARCH_ID);
}

static void has_may_be_nested(void **state)
{
    (void)state;
    struct search_query query = parse(&patient_options, "_has:Observation:patient:code=8480-6");
    const struct search_criteria *has = query.criteria;
    assert_int_equal(has->kind, SEARCH_HAS);
    assert_int_equal(has->parameter, hash_parameter(STR("Observation"), STR("patient")));
    assert_true(str_equal(has->links[0].type, STR("Observation")));
    assert_int_equal(has->links[0].criteria->parameter, hash_parameter(STR("Observation"), STR("code")));
    query = parse(&patient_options, "_has:Observation:patient:_has:AuditEvent:entity:agent-name=x");
    assert_int_equal(query.criteria->links[0].criteria->kind, SEARCH_HAS);
    query = parse(&patient_options, "_has:Encounter:patient:location.name=x");
    assert_int_equal(query.criteria->links[0].criteria->kind, SEARCH_CHAIN);
}

static void results_are_shaped(void **state)
{
    (void)state;
    struct search_query query = parse(
        &observation_options, "_sort=-date,_id&_count=5&_total=accurate&_summary=count&_elements=code,status&"
                              "_include=Observation:subject:Patient&_include:iterate=Patient:organization&"
                              "_revinclude=Provenance:target&_include=*&_format=json&_pretty=true");
    assert_int_equal(query.sorts_count, 2);
    assert_true(query.sorts[0].descending);
    assert_int_equal(query.sorts[0].rows, INDEX_DATE);
    assert_int_equal(query.sorts[1].by, SEARCH_SORT_ID);
    assert_int_equal(query.count, 5);
    assert_int_equal(query.total, SEARCH_TOTAL_ACCURATE);
    assert_int_equal(query.summary, SEARCH_SUMMARY_COUNT);
    assert_int_equal(query.elements_count, 2);
    assert_int_equal(query.includes_count, 4);
    assert_true(str_equal(query.includes[0].target_type, STR("Patient")));
    assert_true(query.includes[1].iterate);
    assert_true(query.includes[2].reverse);
    assert_true(query.includes[3].all);
    assert_true(query.includes[3].parameters_count > 5);
    assert_true(query.pretty);
    assert_null(query.criteria);
    assert_int_equal(parse(&patient_options, "_count=99999").count, LIMIT_SEARCH_COUNT);
    assert_int_equal(parse(&patient_options, "").count, SEARCH_COUNT_DEFAULT);
}

static void what_is_wrong_is_named_and_never_repeated(void **state)
{
    (void)state;
    refuse(&patient_options, "nmae=secret", ERROR_INPUT, "'nmae'");
    refuse(&patient_options, "birthdate=secret", ERROR_INPUT, "'birthdate'");
    refuse(&patient_options, "birthdate=2020-02-30", ERROR_INPUT, "'birthdate'");
    refuse(&patient_options, "birthdate=", ERROR_INPUT, "'birthdate'");
    refuse(&patient_options, "birthdate:exact=2020", ERROR_INPUT, "'birthdate:exact'");
    refuse(&patient_options, "gender:wrong=male", ERROR_INPUT, "'gender:wrong'");
    refuse(&patient_options, "gender:below=male", ERROR_UNSUPPORTED, "'gender:below'");
    refuse(&patient_options, "gender:in=http://nowhere", ERROR_UNSUPPORTED, "'gender:in'");
    refuse(&patient_options, "gender:missing=perhaps", ERROR_INPUT, "'gender:missing'");
    refuse(&patient_options, "gender=%7C", ERROR_INPUT, "'gender'");
    refuse(&patient_options, "gender=a%7Cb%7Cc", ERROR_INPUT, "'gender'");
    refuse(&patient_options, "name.family=a", ERROR_INPUT, "'name'");
    refuse(&patient_options, "organization:Nothing.name=a", ERROR_INPUT, "'organization:Nothing.name'");
    refuse(&patient_options, "organization.nothing=a", ERROR_INPUT, "'nothing'");
    refuse(&patient_options, "organization=%23x", ERROR_INPUT, "'organization'");
    refuse(&patient_options, "_has:Observation=a", ERROR_INPUT, "_has");
    refuse(&patient_options, "_has:Observation:code:status=a", ERROR_INPUT, "'code'");
    refuse(&patient_options, "_sort=nothing", ERROR_INPUT, "'_sort'");
    refuse(&patient_options, "_count=-1", ERROR_INPUT, "'_count'");
    refuse(&patient_options, "_total=many", ERROR_INPUT, "'_total'");
    refuse(&patient_options, "_include=Patient", ERROR_INPUT, "'_include'");
    refuse(&patient_options, "_include=Patient:name", ERROR_INPUT, "'_include'");
    refuse(&patient_options, "_include:all=Patient:link", ERROR_INPUT, "iterate");
    refuse(&patient_options, "_id=a%20b", ERROR_INPUT, "'_id'");
    refuse(&patient_options, "_query=a", ERROR_UNSUPPORTED, "'_query'");
    static const char *const filters[] = { "",
                                           "name",
                                           "name eq",
                                           "name eq \"x",
                                           "(name eq x",
                                           "name eq x)",
                                           "not name eq x",
                                           "name eq x and",
                                           "name eq x gender eq y",
                                           "nmae eq x",
                                           "birthdate eq tomorrow",
                                           "link[name eq x.name eq y",
                                           "link[name eq x] eq y",
                                           "link[].name eq y",
                                           "organization.nothing eq y",
                                           "name.x eq y",
                                           "link:Nothing.name eq y",
                                           "_has:Observation:code:status eq y",
                                           "_has:Observation eq y",
                                           "name:exact eq y",
                                           "name pr maybe" };
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "_filter=%s", filters[i]);
        refuse(&patient_options, text, ERROR_INPUT, "");
    }
    const struct search_options provenances = { .type = STR("Provenance") };
    refuse(&provenances, "target._has:Provenance:target:target._has:Provenance:target:target._id=x",
           ERROR_TOO_COSTLY, "too many types");
    const struct search_options places = { .type = STR("Location") };
    static const char *const nears[] = { "29",           "91|0|1|km",  "0|181|1|km", "0|0|-1|km",
                                         "0|0|1|parsec", "0|0|1|km|x", "a|b" };
    for (size_t i = 0; i < sizeof nears / sizeof *nears; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "near=%s", nears[i]);
        refuse(&places, text, ERROR_INPUT, "'near'");
    }
    refuse(&patient_options, "_filter=name gt x", ERROR_UNSUPPORTED, "'gt'");
    refuse(&patient_options, "_filter=gender co x", ERROR_UNSUPPORTED, "'co'");
    refuse(&patient_options, "name:ends=x", ERROR_INPUT, "'name:ends'");
    refuse(&patient_options, "birthdate=po2000", ERROR_INPUT, "'birthdate'");
    refuse(&patient_options, "name:whole=x", ERROR_INPUT, "'name:whole'");
    refuse(&patient_options, "a=%zz", ERROR_INPUT, "percent");
    refuse(&patient_options, "a=%ff", ERROR_INPUT, "percent");
    refuse(&patient_options, "Observation?code=a", ERROR_INPUT, "another type");
    refuse(&observation_options, "value-quantity=5%7Ckg", ERROR_INPUT, "'value-quantity'");
    refuse(&observation_options, "value-quantity=many", ERROR_INPUT, "'value-quantity'");
    refuse(&observation_options, "code-value-quantity=8480-6", ERROR_INPUT, "'code-value-quantity'");
    const struct search_options unknown = { .type = STR("Pacient") };
    refuse(&unknown, "", ERROR_NOT_FOUND, "resource type");
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct buf text = { .bytes_max = 1 << 20 };
    buf_add(&text, STR("gender=a"));
    for (int i = 0; i < LIMIT_SEARCH_VALUES; i++) {
        buf_add(&text, STR(",a"));
    }
    buf_add_char(&text, '\0');
    refuse(&patient_options, text.at, ERROR_TOO_COSTLY, "alternatives");
    buf_clear(&text);
    for (int i = 0; i <= LIMIT_SEARCH_CHAIN; i++) {
        buf_add(&text, STR("link:Patient."));
    }
    buf_add(&text, STR("name=a"));
    buf_add_char(&text, '\0');
    refuse(&patient_options, text.at, ERROR_TOO_COSTLY, "links");
    buf_clear(&text);
    for (int i = 0; i <= LIMIT_SEARCH_PARAMETERS; i++) {
        buf_add(&text, STR("active=true&"));
    }
    buf_add_char(&text, '\0');
    refuse(&patient_options, text.at, ERROR_TOO_COSTLY, "parameters");
    buf_deinit(&text);
}

static void lenient_forgives_what_is_unknown_only(void **state)
{
    (void)state;
    struct search_options lenient = patient_options;
    lenient.lenient = true;
    struct search_query query = parse(&lenient, "nmae=x&gender=male&_query=y");
    assert_true(query.warnings != NULL && query.warnings->next != NULL && query.warnings->next->next == NULL);
    assert_true(str_equal(query.criteria->code, STR("gender")));
    assert_true(str_equal_cstr(search_query_self(&arena, &query), "gender=male"));
    refuse(&lenient, "birthdate=x", ERROR_INPUT, "'birthdate'");
}

static void compartments_are_conditions(void **state)
{
    (void)state;
    struct search_options options = observation_options;
    options.compartment_type = STR("Patient");
    options.compartment_id = STR("p1");
    struct search_query query = parse(&options, "code=a");
    assert_int_equal(query.criteria->values_count, 2); /* subject, performer */
    assert_int_equal(query.criteria->values[0].key, hash_resource_key(STR("Patient"), STR("p1")));
    assert_true(str_equal(query.criteria->next->code, STR("code")));
    options.type = STR("Patient");
    assert_int_equal(parse(&options, "").criteria->kind, SEARCH_ID);
    options.type = STR("Medication");
    refuse(&options, "", ERROR_INPUT, "compartment");
    options.type = STR_NONE; /* "*": each type of it by its own parameters */
    query = parse(&options, "_type=Patient,Observation");
    assert_int_equal(query.criteria->kind, SEARCH_GROUP);
    assert_int_equal(query.criteria->links_count, 2);
    refuse(&options, "_type=Medication", ERROR_INPUT, "compartment");
}

static void a_search_over_types_asks_each(void **state)
{
    (void)state;
    const struct search_options all = { .offset_minutes = 480 };
    struct search_query query = parse(&all, "_type=Patient,Observation&_tag=x");
    assert_int_equal(query.types_count, 2);
    assert_int_equal(query.criteria->kind, SEARCH_GROUP);
    assert_int_equal(query.criteria->links_count, 2);
    assert_true(str_equal(query.criteria->links[1].type, STR("Observation")));
    assert_int_equal(query.criteria->links[1].criteria->values->parameter,
                     hash_parameter(STR("Observation"), STR("_tag")));
    assert_int_equal(parse(&all, "_type=Encounter,Task&patient.name=x").criteria->links[1].criteria->kind,
                     SEARCH_CHAIN);
    assert_true(str_equal(parse(&all, "_type=Patient&name=x").type, STR("Patient")));
    refuse(&all, "_type=Patient,Observation&name=x", ERROR_INPUT, "'name'");
    refuse(&all, "_type=Nothing", ERROR_INPUT, "'_type'");
}

static void combined_parameters_ask_both(void **state)
{
    (void)state;
    struct search_query query = parse(&observation_options, "combo-code=a");
    assert_int_equal(query.criteria->values_count, 2);
    assert_int_equal(query.criteria->values[0].parameter, hash_parameter(STR("Observation"), STR("code")));
    assert_int_equal(query.criteria->values[1].parameter,
                     hash_parameter(STR("Observation"), STR("component-code")));
}

static void the_self_link_reads_back(void **state)
{
    (void)state;
    struct search_query query = parse(&patient_options, "name=张+三&identifier=a%26b%7Cc&_count=3");
    struct str self = search_query_self(&arena, &query);
    assert_true(str_equal_cstr(self, "name=%E5%BC%A0%20%E4%B8%89&identifier=a%26b%7Cc&_count=3"));
    struct search_query again = parse(&patient_options, self.at);
    assert_int_equal(again.criteria->next->values[0].key, query.criteria->next->values[0].key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_resolved),
        cmocka_unit_test(escapes_are_undone_after_splitting),
        cmocka_unit_test(chains_lead_to_each_type_that_knows_the_rest),
        cmocka_unit_test(has_may_be_nested),
        cmocka_unit_test(results_are_shaped),
        cmocka_unit_test(what_is_wrong_is_named_and_never_repeated),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(lenient_forgives_what_is_unknown_only),
        cmocka_unit_test(compartments_are_conditions),
        cmocka_unit_test(a_search_over_types_asks_each),
        cmocka_unit_test(combined_parameters_ask_both),
        cmocka_unit_test(the_self_link_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
