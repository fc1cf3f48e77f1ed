/* Index rows: every type compiles, every kind of parameter gives the rows that its questions look for. */
#include "suite.h"

#include "base/hash.h"
#include "fhir/search_query.h"
#include "model/model.h"

static struct arena arena = { .bytes_max = 512u << 20 };
static struct fhir_index *fhir_index;

static const struct fhir_index_options index_options = { .base_url = { "https://own.example/fhir", 24 },
                                                         .offset_minutes = 480 };

static int set_up(void **state)
{
    (void)state;
    struct error error = { 0 };
    return fhir_index_create(&index_options, &fhir_index, &error) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fhir_index_destroy(fhir_index);
    arena_deinit(&arena);
    return 0;
}

static struct index_rows rows_of(const char *text)
{
    struct json *value = NULL;
    struct error error = { 0 };
    struct index_rows rows = { 0 };
    if (!json_read(&arena, str_from_cstr(text), &value, &error) ||
        !fhir_index_rows(fhir_index, &arena, value, &rows, &error)) {
        fail_msg("%s", error.text);
    }
    return rows;
}

/* Whether "Type?query" finds the resource by its rows. */
static bool finds(const char *resource, const char *question)
{
    struct str text = str_from_cstr(question);
    struct index_rows rows = rows_of(resource);
    struct search_query query = { 0 };
    struct error error = { 0 };
    const struct search_options options = { .type = str_slice(text, 0, str_find_char(text, '?')),
                                            .base_url = index_options.base_url,
                                            .offset_minutes = 480,
                                            .now_ms = 1583020800000 };
    if (!search_query_parse_text(&arena, &options, text, &query, &error)) {
        fail_msg("%s: %s", question, error.text);
    }
    const struct search_subject subject = { .id = STR("p1"), .rows = rows.rows, .rows_count = rows.count };
    bool known = false;
    bool fits = search_criteria_match(query.criteria, &subject, &known);
    assert_true(known);
    return fits;
}

static void every_type_compiles(void **state)
{
    (void)state;
    size_t count = 0;
    const struct model_type *const *types = model_resources(&count);
    assert_true(count > 140);
    for (size_t i = 0; i < count; i++) {
        struct str text =
            arena_printf(&arena, "{\"resourceType\":\"%.*s\",\"id\":\"a\"}", STR_FMT(types[i]->name));
        (void)rows_of(text.at);
    }
}

struct counted {
    size_t total;
    size_t without;
};

static void count_rows(void *data, const char *name, const struct json *resource, struct arena *own)
{
    struct counted *counted = data;
    struct index_rows rows = { 0 };
    struct error error = { 0 };
    if (!fhir_index_rows(fhir_index, own, resource, &rows, &error)) {
        fail_msg("%s: %s", name, error.text);
    }
    counted->total += rows.count;
    counted->without += rows.count == 0 ? 1 : 0;
}

static void the_official_examples_have_rows(void **state)
{
    (void)state;
    struct counted counted = { 0 };
    size_t files = suite_each("examples", count_rows, &counted);
    print_message("R4 examples: %zu resources, %zu index rows, %zu resources without any\n", files,
                  counted.total, counted.without);
    assert_true(counted.total > files * 5);
    assert_true(counted.without < 20);
}

static const char patient[] =
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"meta\":{\"tag\":[{\"system\":\"http://"
    "t\",\"code\":\"x\"}],"
    "\"profile\":[\"http://p/A|1.0\"]},\"active\":true,"
    "\"identifier\":[{\"type\":{\"coding\":[{\"system\":\"http://v2\",\"code\":\"MR\"}]},\"system\":\"http://"
    "ids\","
    "\"value\":\"66-1\"}],"
    "\"name\":[{\"family\":\"张\",\"given\":[\"三\"],\"text\":\"张三\"},{\"family\":\"Müller\",\"given\":["
    "\"Jane "
    "Ann\"]}],"
    "\"telecom\":[{\"system\":\"phone\",\"value\":\"15400000001\"},{\"system\":\"email\",\"value\":\"a@b.c\"}"
    "],"
    "\"gender\":\"male\",\"birthDate\":\"1980-05\",\"deceasedDateTime\":\"2020-02-11T14:30:00+08:00\","
    "\"address\":[{\"line\":[\"汉葭街道 1\"],\"city\":\"彭水\"}],"
    "\"generalPractitioner\":[{\"reference\":\"Practitioner/d1\"},{\"identifier\":{\"system\":\"http://d\","
    "\"value\":\"9\"}}],"
    "\"managingOrganization\":{\"reference\":\"https://own.example/fhir/Organization/o1/_history/2\"}}";

static void tokens_are_found_four_ways(void **state)
{
    (void)state;
    assert_true(finds(patient, "Patient?identifier=66-1"));
    assert_true(finds(patient, "Patient?identifier=http://ids|66-1"));
    assert_true(finds(patient, "Patient?identifier=http://ids|"));
    assert_false(finds(patient, "Patient?identifier=|66-1"));
    assert_false(finds(patient, "Patient?identifier=http://other|66-1"));
    assert_true(finds(patient, "Patient?identifier:of-type=http://v2|MR|66-1"));
    assert_false(finds(patient, "Patient?identifier:of-type=http://v2|SS|66-1"));
    assert_true(finds(patient, "Patient?gender=male"));
    assert_true(finds(patient, "Patient?gender=http://hl7.org/fhir/administrative-gender|male"));
    assert_false(finds(patient, "Patient?gender=http://other|male"));
    assert_true(finds(patient, "Patient?gender=female,male"));
    assert_false(finds(patient, "Patient?gender:not=male"));
    assert_true(finds(patient, "Patient?gender:not=female"));
    assert_true(finds(patient, "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender"));
    assert_true(finds(patient, "Patient?active=true"));
    assert_true(finds(patient, "Patient?deceased=true"));
    assert_true(finds(patient, "Patient?phone=15400000001"));
    assert_false(finds(patient, "Patient?email=15400000001"));
    assert_true(finds(patient, "Patient?_tag=http://t|x"));
    assert_true(finds(patient, "Patient?_profile=http://p/A"));
    assert_true(finds(patient, "Patient?_id=p1,p2"));
    assert_false(finds(patient, "Patient?_id=p2"));
}

static void strings_ignore_case_and_accents_and_names_have_pinyin(void **state)
{
    (void)state;
    assert_true(finds(patient, "Patient?family=mull"));
    assert_true(finds(patient, "Patient?family=M%C3%9CLL"));
    assert_false(finds(patient, "Patient?family:exact=muller"));
    assert_true(finds(patient, "Patient?family:exact=M%C3%BCller"));
    assert_true(finds(patient, "Patient?given:exact=%E4%B8%89"));
    assert_false(finds(patient, "Patient?given:exact=jane+ann"));
    assert_true(finds(patient, "Patient?given:exact=Jane+Ann"));
    assert_true(finds(patient, "Patient?family:contains=lle"));
    assert_false(finds(patient, "Patient?family=lle"));
    assert_true(finds(patient, "Patient?name=张三"));
    assert_true(finds(patient, "Patient?name=zhang"));
    assert_true(finds(patient, "Patient?name=zhang%20san"));
    assert_true(finds(patient, "Patient?name=ZS"));
    assert_true(finds(patient, "Patient?phonetic=zs"));
    assert_true(finds(patient, "Patient?family=zhang"));
    assert_true(finds(patient, "Patient?name=jane+ann+m"));
    assert_false(finds(patient, "Patient?name=wang"));
    assert_true(finds(patient, "Patient?address=汉葭"));
    assert_true(finds(patient, "Patient?address-city=彭水"));
    assert_true(finds(patient, "Patient?address-country:missing=true"));
    assert_true(finds(patient, "Patient?address-city:missing=false"));
    assert_true(finds("{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"单雄信\"}]}", "Patient?name=sxx"));
    assert_true(
        finds("{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"曾国藩\"}]}", "Patient?name=zeng"));
    assert_true(finds("{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"仇\"}]}", "Patient?family=qiu"));
}

/* definitions/surnames.tsv: every reading, surnames of two characters, and what they are not read as. */
static void surnames_have_all_their_readings(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *found; /* blank-separated */
        const char *missed;
    } cases[] = { { "单雄信", "dan shan sxx dxx danxiongxin", "chan" },
                  { "曾国藩", "zeng zgf zengguofan", "zheng" },
                  { "覃塞", "qin tan qs", "jin" },
                  { "解缙", "xie xj jie", "hai" },
                  { "朴槿惠", "piao pu pjh", "bao" },
                  { "吕布", "lv lu lb lvbu lubu", "liu" },
                  { "尉迟恭", "yuchi yuchigong ycg wei", "yc2" },
                  { "万俟卨", "moqi mq wan", "muqi" },
                  { "单于", "chanyu dan shan", "shanyi" },
                  { "长孙无忌", "zhangsun zhangsunwuji zswj", "zhongsun" },
                  { "欧阳修", "ouyang ouyangxiu oyx", "quyang" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        char query[64];
        struct str words = str_from_cstr(cases[i].found);
        struct str word = STR_NONE;
        (void)snprintf(text, sizeof text, "{\"resourceType\":\"Patient\",\"name\":[{\"text\":\"%s\"}]}",
                       cases[i].name);
        while (str_split_next(&words, ' ', &word)) {
            (void)snprintf(query, sizeof query, "Patient?name=%.*s", STR_FMT(word));
            if (!finds(text, query)) {
                fail_msg("%s is not found by %s", cases[i].name, query);
            }
        }
        (void)snprintf(query, sizeof query, "Patient?name=%s", cases[i].missed);
        assert_false(finds(text, query));
    }
}

static void long_strings_are_exact_too(void **state)
{
    (void)state;
    char text[400];
    int len = snprintf(text, sizeof text, "{\"resourceType\":\"Organization\",\"name\":\"%0200d Y\"}", 0);
    assert_true(len > 200);
    char question[400];
    (void)snprintf(question, sizeof question, "Organization?name=%0150d", 0);
    assert_true(finds(text, question));
    (void)snprintf(question, sizeof question, "Organization?name:exact=%0200d+Y", 0);
    assert_true(finds(text, question));
    (void)snprintf(question, sizeof question, "Organization?name:exact=%0200d+y", 0);
    assert_false(finds(text, question));
}

static void references_are_keys(void **state)
{
    (void)state;
    assert_true(finds(patient, "Patient?organization=Organization/o1"));
    assert_true(finds(patient, "Patient?organization=o1"));
    assert_true(finds(patient, "Patient?organization=https://own.example/fhir/Organization/o1"));
    assert_true(finds(patient, "Patient?organization:Organization=o1"));
    assert_false(finds(patient, "Patient?organization=Organization/o2"));
    assert_true(finds(patient, "Patient?general-practitioner=Practitioner/d1"));
    assert_false(finds(patient, "Patient?general-practitioner:Organization=d1"));
    assert_true(finds(patient, "Patient?general-practitioner:identifier=http://d|9"));
    const char *observation = "{\"resourceType\":\"Observation\",\"subject\":{\"reference\":\"Group/g\"}}";
    assert_true(finds(observation, "Observation?subject=Group/g"));
    assert_true(finds(observation, "Observation?patient:missing=true"));
    const char *questionnaire =
        "{\"resourceType\":\"QuestionnaireResponse\",\"questionnaire\":\"http://q/1|2.0\"}";
    assert_true(finds(questionnaire, "QuestionnaireResponse?questionnaire=http://q/1"));
    assert_true(finds(questionnaire, "QuestionnaireResponse?questionnaire=http://q/1%7C2.0"));
    const char *value_set = "{\"resourceType\":\"ValueSet\",\"url\":\"http://a.b/vs/one\"}";
    assert_true(finds(value_set, "ValueSet?url=http://a.b/vs/one"));
    assert_true(finds(value_set, "ValueSet?url:below=http://a.b/vs"));
    assert_true(finds(value_set, "ValueSet?url:above=http://a.b/vs/one/two"));
    assert_false(finds(value_set, "ValueSet?url:above=http://a.b/vs/on"));
}

static void dates_are_spans(void **state)
{
    (void)state;
    assert_true(finds(patient, "Patient?birthdate=1980"));
    assert_true(finds(patient, "Patient?birthdate=1980-05"));
    assert_false(finds(patient, "Patient?birthdate=1980-05-01"));
    assert_true(finds(patient, "Patient?birthdate=ge1980-05-01&birthdate=lt1980-06"));
    assert_false(finds(patient, "Patient?birthdate=gt1980-05"));
    assert_true(finds(patient, "Patient?birthdate=sa1980-04"));
    assert_true(finds(patient, "Patient?birthdate=eb1981"));
    assert_true(finds(patient, "Patient?birthdate=ne1981"));
    assert_true(finds(patient, "Patient?birthdate=ap1981"));
    assert_true(finds(patient, "Patient?death-date=2020-02-11"));
    assert_true(finds(patient, "Patient?death-date=2020-02-11T06:30:00Z"));
    assert_true(finds(patient, "Patient?death-date=2020-02-11T14:30"));
    assert_false(finds(patient, "Patient?death-date=2020-02-11T14:30:01%2B08:00"));
    const char *open = "{\"resourceType\":\"Encounter\",\"period\":{\"start\":\"2020-02-11\"}}";
    assert_true(finds(open, "Encounter?date=ge2021"));
    assert_false(finds(open, "Encounter?date=lt2020"));
    assert_false(finds(open, "Encounter?date=2020-02-11"));
}

static const char observation[] =
    "{\"resourceType\":\"Observation\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":\"http://"
    "loinc.org\","
    "\"code\":\"85354-9\"}]},\"component\":["
    "{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"8480-6\"}]},"
    "\"valueQuantity\":{\"value\":107,\"unit\":\"mmHg\",\"system\":\"http://"
    "unitsofmeasure.org\",\"code\":\"mm[Hg]\"}},"
    "{\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"8462-4\"}]},"
    "\"valueQuantity\":{\"value\":60,\"unit\":\"mmHg\",\"system\":\"http://"
    "unitsofmeasure.org\",\"code\":\"mm[Hg]\"}}]}";

static void quantities_know_units_and_digits(void **state)
{
    (void)state;
    assert_true(finds(observation, "Observation?component-value-quantity=107"));
    assert_true(finds(observation, "Observation?component-value-quantity=1.07e2"));
    assert_true(finds(observation, "Observation?component-value-quantity=1.1e2"));
    assert_false(finds(observation, "Observation?component-value-quantity=110"));
    assert_true(
        finds(observation, "Observation?component-value-quantity=107%7Chttp://unitsofmeasure.org%7Cmm[Hg]"));
    assert_true(finds(observation, "Observation?component-value-quantity=107%7C%7CmmHg"));
    assert_false(finds(observation, "Observation?component-value-quantity=107%7C%7Ckg"));
    assert_true(finds(observation, "Observation?combo-value-quantity=gt100"));
    assert_false(finds(observation, "Observation?combo-value-quantity=gt107"));
    assert_true(finds(observation, "Observation?combo-value-quantity=ap115"));
    const char *less =
        "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":5,\"comparator\":\"<\"}}";
    assert_true(finds(less, "Observation?value-quantity=lt1"));
    assert_false(finds(less, "Observation?value-quantity=gt5"));
}

static void units_are_converted(void **state)
{
    (void)state;
    const char *weight =
        "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":72.5,\"unit\":\"kg\","
        "\"system\":\"http://unitsofmeasure.org\",\"code\":\"kg\"}}";
    assert_true(finds(weight, "Observation?value-quantity=72500%7Chttp://unitsofmeasure.org%7Cg"));
    assert_true(finds(weight, "Observation?value-quantity=72.5%7Chttp://unitsofmeasure.org%7Ckg"));
    assert_true(finds(weight, "Observation?value-quantity=le72500%7Chttp://unitsofmeasure.org%7Cg"));
    assert_false(finds(weight, "Observation?value-quantity=gt72500%7Chttp://unitsofmeasure.org%7Cg"));
    assert_false(finds(weight, "Observation?value-quantity=72500%7Chttp://unitsofmeasure.org%7Cm"));
    assert_false(finds(weight, "Observation?value-quantity=72.5%7Chttp://unitsofmeasure.org%7Cg"));
    assert_true(finds(weight, "Observation?value-quantity=72.5%7C%7Ckg"));
    const char *fever = "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":39.0,"
                        "\"system\":\"http://unitsofmeasure.org\",\"code\":\"Cel\"}}";
    assert_true(finds(fever, "Observation?value-quantity=102.2%7Chttp://unitsofmeasure.org%7C[degF]"));
    assert_true(finds(fever, "Observation?value-quantity=gt100%7Chttp://unitsofmeasure.org%7C[degF]"));
    assert_true(finds(fever, "Observation?value-quantity=39%7Chttp://unitsofmeasure.org%7CCel"));
    const char *odd = "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":3,"
                      "\"system\":\"http://unitsofmeasure.org\",\"code\":\"no-unit\"}}";
    assert_true(finds(odd, "Observation?value-quantity=3%7Chttp://unitsofmeasure.org%7Cno-unit"));
}

static void composites_keep_values_together(void **state)
{
    (void)state;
    assert_true(finds(observation, "Observation?component-code-value-quantity=8480-6$gt100"));
    assert_true(
        finds(observation, "Observation?component-code-value-quantity=http://loinc.org%7C8480-6$107"));
    assert_true(finds(observation, "Observation?combo-code-value-quantity=8480-6$gt100"));
    assert_false(finds(observation, "Observation?component-code-value-quantity=8462-4$gt100"));
    const char *dated = "{\"resourceType\":\"Observation\",\"code\":{\"coding\":[{\"code\":\"c\"}]},"
                        "\"valueDateTime\":\"2020-02-11\"}";
    assert_true(finds(dated, "Observation?code-value-date=c$2020-02"));
    assert_false(finds(dated, "Observation?code-value-date=c$2021"));
}

static void equal_rows_are_there_once(void **state)
{
    (void)state;
    struct index_rows rows = rows_of(patient);
    for (size_t i = 0; i < rows.count; i++) {
        for (size_t j = i + 1; j < rows.count; j++) {
            const struct index_row *a = &rows.rows[i];
            const struct index_row *b = &rows.rows[j];
            bool same = a->kind == b->kind && a->parameter == b->parameter && a->key == b->key &&
                        (a->kind == INDEX_KEY || str_equal(a->text, b->text)) && a->from_ms == b->from_ms &&
                        a->to_ms == b->to_ms;
            assert_false(same && a->kind != INDEX_NUMBER);
        }
    }
}

static void too_many_values_are_refused(void **state)
{
    (void)state;
    struct buf text = { .bytes_max = 4 << 20 };
    buf_add(&text, STR("{\"resourceType\":\"Patient\",\"identifier\":[{\"value\":\"a\"}"));
    for (int i = 0; i < LIMIT_STORE_INDEX_ROWS; i++) {
        buf_printf(&text, ",{\"value\":\"%d\"}", i);
    }
    buf_add(&text, STR("]}"));
    struct json *value = NULL;
    struct error error = { 0 };
    struct index_rows rows = { 0 };
    assert_true(json_read(&arena, buf_str(&text), &value, &error));
    assert_false(fhir_index_rows(fhir_index, &arena, value, &rows, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    buf_deinit(&text);
}

static void the_numbers_of_parameters_are_distinct(void **state)
{
    (void)state;
    uint32_t *numbers = ARENA_ARRAY(&arena, uint32_t, 8192);
    size_t count = 0;
    size_t types_count = 0;
    const struct model_type *const *types = model_resources(&types_count);
    for (size_t i = 0; i < types_count; i++) {
        size_t own = 0;
        const struct model_search_parameter *list = model_search_list(types[i]->name, &own);
        for (size_t j = 0; j < own; j++) {
            static const struct str further[] = { { "identifier", 10 }, { "of-type", 7 } };
            numbers[count++] = hash_parameter(types[i]->name, list[j].code);
            for (size_t k = 0; k < 2; k++) {
                numbers[count++] = index_parameter_with(types[i]->name, list[j].code, further[k]);
            }
            assert_true(count < 8192);
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            assert_int_not_equal(numbers[i], numbers[j]);
        }
    }
}

/* Both rows of an identifier lie together, and differ for each issuer. */
static void test_identifier_keys_lie_together(void **state)
{
    (void)state;
    uint64_t alone = index_token_key(STR_NONE, STR("B-1"));
    uint64_t one = index_identifier_key(STR("urn:a"), STR("B-1"));
    uint64_t other = index_identifier_key(STR("urn:b"), STR("B-1"));
    assert_int_equal(alone >> 32, one >> 32);
    assert_int_equal(alone >> 32, other >> 32);
    assert_true(alone != one && alone != other && one != other);
    assert_true(index_identifier_key(STR(""), STR("B-1")) != alone);
    assert_true(index_identifier_key(STR("urn:a"), STR("B-2")) >> 32 != one >> 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identifier_keys_lie_together),
        cmocka_unit_test(every_type_compiles),
        cmocka_unit_test(the_official_examples_have_rows),
        cmocka_unit_test(tokens_are_found_four_ways),
        cmocka_unit_test(strings_ignore_case_and_accents_and_names_have_pinyin),
        cmocka_unit_test(surnames_have_all_their_readings),
        cmocka_unit_test(long_strings_are_exact_too),
        cmocka_unit_test(references_are_keys),
        cmocka_unit_test(dates_are_spans),
        cmocka_unit_test(quantities_know_units_and_digits),
        cmocka_unit_test(units_are_converted),
        cmocka_unit_test(composites_keep_values_together),
        cmocka_unit_test(equal_rows_are_there_once),
        cmocka_unit_test(too_many_values_are_refused),
        cmocka_unit_test(the_numbers_of_parameters_are_distinct),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
