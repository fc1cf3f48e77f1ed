/* Searches as clients write them, against resources as they come: fhir's index rows and parsed queries on the
 * store's plans. The same questions are asked of small candidate sets and of whole types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fhir/index.h"
#include "fhir/search_query.h"
#include "json/json.h"
#include "store/body.h"
#include "store/search.h"
#include "store_postgresql.h"

static char folder[64];
static struct arena arena = { .bytes_max = 256u << 20 };
static struct store *store;
static struct fhir_index *index_of;

static const char *const world[] = {
    "{\"resourceType\":\"Organization\",\"id\":\"county\",\"name\":\"Pengshui County "
    "Hospital\",\"active\":true}",
    "{\"resourceType\":\"Organization\",\"id\":\"ward\",\"name\":\"Ward 3\",\"partOf\":{\"reference\":"
    "\"Organization/county\"}}",
    "{\"resourceType\":\"Practitioner\",\"id\":\"doctor\",\"name\":[{\"text\":\"王医生\",\"family\":\"王\"}]"
    "}",
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"identifier\":[{\"system\":\"urn:id\",\"value\":"
    "\"660101199001010011\"}],\"name\":[{\"family\":\"张\",\"given\":[\"三\"],\"text\":\"张三\"}],\"gender\":"
    "\"female\",\"birthDate\":\"1990-01-01\",\"managingOrganization\":{\"reference\":\"Organization/"
    "county\"}}",
    "{\"resourceType\":\"Patient\",\"id\":\"p2\",\"name\":[{\"family\":\"Müller\",\"given\":[\"Anna\"]}],"
    "\"gender\":\"female\",\"birthDate\":\"1985-06\",\"generalPractitioner\":[{\"reference\":"
    "\"Practitioner/doctor\"}]}",
    "{\"resourceType\":\"Patient\",\"id\":\"p3\",\"gender\":\"male\",\"active\":true,\"meta\":{\"tag\":[{"
    "\"system\":"
    "\"urn:tag\",\"code\":\"demo\"}]}}",
    "{\"resourceType\":\"Encounter\",\"id\":\"e1\",\"status\":\"in-progress\",\"class\":{\"code\":\"IMP\"},"
    "\"subject\":{\"reference\":\"Patient/p1\"},\"serviceProvider\":{\"reference\":\"Organization/ward\"},"
    "\"period\":{\"start\":\"2020-02-01T08:00:00+08:00\"}}",
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"code\":{\"coding\":[{\"system\":"
    "\"http://"
    "loinc.org\",\"code\":\"8310-5\"}],\"text\":\"Temperature\"},\"subject\":{\"reference\":\"Patient/p1\"},"
    "\"encounter\":{\"reference\":\"Encounter/e1\"},\"effectiveDateTime\":\"2020-02-11\",\"valueQuantity\":{"
    "\"value\":38.5,\"unit\":\"Cel\",\"system\":\"http://unitsofmeasure.org\",\"code\":\"Cel\"}}",
    "{\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"preliminary\",\"code\":{\"coding\":[{"
    "\"system\":"
    "\"http://loinc.org\",\"code\":\"8867-4\"}]},\"subject\":{\"reference\":\"Patient/"
    "p2\"},\"effectiveDateTime\":"
    "\"2020-02-12T10:00:00+08:00\",\"valueQuantity\":{\"value\":80,\"unit\":\"/min\"}}",
    "{\"resourceType\":\"Task\",\"id\":\"t1\",\"status\":\"requested\",\"intent\":\"order\",\"priority\":"
    "\"stat\","
    "\"for\":{\"reference\":\"Patient/p1\"},\"owner\":{\"reference\":\"Practitioner/doctor\"},\"authoredOn\":"
    "\"2020-02-11T09:00:00+08:00\",\"groupIdentifier\":{\"system\":\"urn:g\",\"value\":\"7\"}}",
};

static bool rows_of(void *data, struct arena *rows_arena, struct str type, struct str resource,
                    struct index_rows *rows, struct error *error)
{
    (void)data;
    (void)type;
    struct json *tree = NULL;
    return json_read(rows_arena, resource, &tree, error) &&
           fhir_index_rows(index_of, rows_arena, tree, rows, error);
}

static void put(const char *text)
{
    struct json *tree = NULL;
    struct index_rows rows = { 0 };
    struct str body = STR_NONE;
    struct error error = { 0 };
    if (!json_read(&arena, str_from_cstr(text), &tree, &error) ||
        !fhir_index_rows(index_of, &arena, tree, &rows, &error) ||
        !store_body_from_json(&arena, tree, &body, &error)) {
        fail_msg("put: %s", error.text);
    }
    struct store_write write = { .type = JSON_TEXT(&arena, tree, "resourceType"),
                                 .id = JSON_TEXT(&arena, tree, "id"),
                                 .method = STORE_METHOD_CREATED,
                                 .body = body,
                                 .index = &rows };
    struct store_set set = { .arena = &arena, .writes = &write, .writes_count = 1 };
    if (!store_write_and_wait(store, &set, &error)) {
        fail_msg("put: %s", error.text);
    }
}

static const char *const more_of_the_world[] = {
    "{\"resourceType\":\"Task\",\"id\":\"t2\",\"status\":\"draft\",\"intent\":\"order\",\"owner\":{"
    "\"display\":\"王医生\"}}",
    "{\"resourceType\":\"Location\",\"id\":\"pengshui\",\"position\":{\"longitude\":108.1655,\"latitude\":29."
    "2937}}",
    "{\"resourceType\":\"Location\",\"id\":\"chongqing\",\"position\":{\"longitude\":106.5516,\"latitude\":"
    "29.5630}}",
    "{\"resourceType\":\"Location\",\"id\":\"nowhere\",\"name\":\"x\"}",
    "{\"resourceType\":\"MolecularSequence\",\"id\":\"m1\",\"coordinateSystem\":0,\"referenceSeq\":{"
    "\"referenceSeqId\":{"
    "\"coding\":[{\"system\":\"urn:seq\",\"code\":\"NC_1\"}]},\"windowStart\":100,\"windowEnd\":200},"
    "\"variant\":[{\"start\":10,"
    "\"end\":20},{\"start\":30,\"end\":40}]}",
};

/* 张三丰's chest: words of codes, a narrative, a text over two pieces of the index. */
static void put_texts(void)
{
    struct buf text = { .bytes_max = 1 << 16 };
    buf_add(&text, STR("{\"resourceType\":\"DiagnosticReport\",\"id\":\"r1\",\"status\":\"final\",\"text\":{"
                       "\"status\":\"generated\","
                       "\"div\":\"<div>双肺磨玻璃影，<b>CT</b>&nbsp;score 12 &amp; "
                       "rising</div>\"},\"code\":{\"text\":\"胸部CT平扫\",\"coding\":[{"
                       "\"system\":\"urn:c\",\"code\":\"ct\",\"display\":\"Chest CT without "
                       "contrast\"}]},\"conclusion\":\""));
    for (int i = 0; i < 150; i++) {
        buf_add(&text, STR("无异常 normal. "));
    }
    buf_add(&text, STR("右下肺实变\",\"contained\":[{\"resourceType\":\"Practitioner\",\"name\":[{\"text\":"
                       "\"李时珍\"}]}]}"));
    buf_add_char(&text, '\0');
    put(text.at);
    buf_clear(&text);
    buf_add(&text, STR("{\"resourceType\":\"Library\",\"id\":\"l1\",\"status\":\"draft\",\"type\":{\"text\":"
                       "\"x\"},\"description\":\""));
    for (int i = 0; i < 60; i++) {
        buf_add(&text, STR("Fieber, Husten; "));
    }
    buf_add(&text, STR("Schlusswort.\"}"));
    buf_add_char(&text, '\0');
    put(text.at);
    buf_deinit(&text);
}

static int setup_empty(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/store-fhir-XXXXXX");
    assert_non_null(mkdtemp(folder));
    test_database_make(folder);
    struct error error = { 0 };
    struct fhir_index_options index_options = { .offset_minutes = 480 };
    struct store_options options = { .folder = folder,
                                     .index_rows = rows_of,
                                     .partitions = test_partitions() };
    if (!fhir_index_create(&index_options, &index_of, &error) || !store_open(&options, &store, &error)) {
        fail_msg("open: %s", error.text);
    }
    return 0;
}

static int setup(void **state)
{
    int failed = setup_empty(state);
    for (size_t i = 0; i < sizeof world / sizeof *world; i++) {
        put(world[i]);
    }
    for (size_t i = 0; i < sizeof more_of_the_world / sizeof *more_of_the_world; i++) {
        put(more_of_the_world[i]);
    }
    put_texts();
    return failed;
}

static int teardown(void **state)
{
    (void)state;
    store_close(store);
    fhir_index_destroy(index_of);
    arena_reset(&arena);
    test_database_drop(folder);
    pid_t child = fork();
    if (child == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return 0;
}

static void expect(const char *type, const char *text, const char *expected)
{
    struct search_options options = { .type = type[0] == '\0' ? STR_NONE : str_from_cstr(type),
                                      .offset_minutes = 480 };
    struct search_query query = { 0 };
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct error error = { 0 };
    if (!search_query_parse_text(&arena, &options, str_from_cstr(text), &query, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    struct store_search search = { .query = &query };
    assert_true(store_reader_begin(store, &reader, NULL));
    if (!store_search(reader, &arena, &search, &hits, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    store_reader_end(reader);
    struct buf buf = { .bytes_max = 100000 };
    for (size_t i = 0; i < hits.count; i++) {
        buf_add(&buf, i == 0 ? STR("") : STR(" "));
        buf_add(&buf, hits.hits[i].included ? STR("+") : STR(""));
        buf_add(&buf, hits.hits[i].version.id);
    }
    buf_add_char(&buf, '\0');
    if (strcmp(buf.at, expected) != 0) {
        fail_msg("%s?%s: '%s' instead of '%s'", type, text, buf.at, expected);
    }
    buf_deinit(&buf);
}

static void searches_as_clients_write_them(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "Patient", "", "p3 p2 p1" },
        { "Patient", "gender=female", "p2 p1" },
        { "Patient", "gender:not=female", "p3" },
        { "Patient", "gender=male,female&birthdate=ge1986", "p1" },
        { "Patient", "birthdate=1985", "p2" },
        { "Patient", "birthdate=lt1986", "p2" },
        { "Patient", "birthdate:missing=true", "p3" },
        { "Patient", "active:missing=false", "p3" },
        { "Patient", "name=muller", "p2" },
        { "Patient", "name:exact=Müller", "p2" },
        { "Patient", "name:exact=muller", "" },
        { "Patient", "name:contains=lle", "p2" },
        { "Patient", "name=张", "p1" },
        { "Patient", "name=zhang", "p1" },
        { "Patient", "identifier=urn:id|660101199001010011", "p1" },
        { "Patient", "identifier=660101199001010011", "p1" },
        { "Patient", "identifier=urn:other|660101199001010011", "" },
        { "Patient", "identifier=urn:id|", "p1" },
        { "Patient", "identifier=|660101199001010011", "" },
        { "Patient", "identifier:not=urn:id|660101199001010011&gender=female", "p2" },
        { "Patient", "identifier=urn:other|660101199001010011,urn:id|660101199001010011", "p1" },
        { "Patient", "_id=p1,p3", "p3 p1" },
        { "Patient", "_tag=urn:tag|demo", "p3" },
        { "Patient", "_lastUpdated=gt2020", "p3 p2 p1" },
        { "Patient", "_lastUpdated=lt2020", "" },
        { "Patient", "organization.name=pengshui", "p1" },
        { "Patient", "general-practitioner:Practitioner.name=王", "p2" },
        { "Patient", "_has:Observation:patient:code=8310-5", "p1" },
        { "Patient", "_has:Encounter:patient:service-provider.partof.name=pengshui", "p1" },
        { "Observation", "subject=Patient/p1", "o1" },
        { "Observation", "patient=p2", "o2" },
        { "Observation", "subject:Patient.name=zhang&status=final", "o1" },
        { "Observation", "patient.gender=female&_sort=-date", "o2 o1" },
        { "Observation", "patient.gender=female&_sort=date", "o1 o2" },
        { "Observation", "patient.birthdate=gt1986", "o1" },
        { "Observation", "code=http://loinc.org|8310-5", "o1" },
        { "Observation", "value-quantity=gt38", "o2 o1" },
        { "Observation", "value-quantity=gt38||Cel", "o1" },
        { "Observation", "value-quantity=38.5", "o1" },
        { "Observation", "value-quantity=39.0", "" },
        { "Observation", "code-value-quantity=8310-5$ge38", "o1" },
        { "Observation", "code-value-quantity=8867-4$lt50", "" },
        { "Observation", "date=2020-02-11", "o1" },
        { "Observation", "date=sa2020-02-11", "o2" },
        { "Observation", "encounter.service-provider=Organization/ward", "o1" },
        { "Observation", "_include=Observation:subject&_sort=_id", "o1 o2 +p1 +p2" },
        { "Observation",
          "status=final&_include=Observation:encounter&_include:iterate=Encounter:service-provider",
          "o1 +e1 +ward" },
        { "Patient", "_id=p1&_revinclude=Observation:subject&_revinclude=Task:patient", "p1 +o1 +t1" },
        { "Patient", "_id=p1&_revinclude=Observation:*", "p1 +o1" },
        { "Task", "status=requested&priority=stat&owner=Practitioner/doctor", "t1" },
        { "Task", "authored-on=2020-02-11&patient.name=zhangsan", "t1" },
        { "Task", "group-identifier=urn:g|7", "t1" },
        { "Task", "owner:missing=false", "t2 t1" }, /* only a name is a value too */
        { "Task", "patient:missing=true", "t2" },
        { "Observation", "combo-code:missing=false", "o2 o1" },
        { "Observation", "combo-value-concept:missing=true", "o2 o1" },
        { "MolecularSequence", "referenceseqid-window-coordinate=NC_1$100$200", "m1" },
        { "MolecularSequence", "referenceseqid-window-coordinate=urn:seq|NC_1$lt101$ge200,NC_2$1$2", "m1" },
        { "MolecularSequence", "referenceseqid-window-coordinate=NC_1$100$201", "" },
        { "MolecularSequence", "referenceseqid-variant-coordinate=NC_1$30$40", "m1" },
        { "MolecularSequence", "referenceseqid-variant-coordinate=NC_1$10$40", "" }, /* of two repetitions */
        { "Patient", "_filter=gender eq female and birthdate ge 1986", "p1" },
        { "Patient", "_filter=gender eq female and not (birthdate ge 1986)", "p2" },
        { "Patient", "_filter=name eq \"müller\" or (gender eq male and active eq true)", "p3 p2" },
        { "Patient", "_filter=name eq mull", "" }, /* the whole */
        { "Patient", "_filter=name sw mull or name co \"NN\"", "p2" },
        { "Patient", "_filter=name ne \"Müller\" and gender eq female", "p1" },
        { "Patient", "_filter=birthdate pr false", "p3" },
        { "Patient", "_filter=birthdate pr true and gender ne male", "p2 p1" },
        { "Patient", "_filter=identifier eq urn:id|660101199001010011", "p1" },
        { "Patient", "gender=female&_filter=general-practitioner re Practitioner/doctor", "p2" },
        { "Observation", "_filter=subject:Patient.name sw zhang or value-quantity gt 79", "o2 o1" },
        { "Observation", "_filter=code eq http://loinc.org|8310-5 and value-quantity lt 39", "o1" },
        { "", "_type=Encounter,Observation&_filter=patient eq Patient/p1", "o1 e1" },
        { "Encounter", "patient._filter=gender eq female", "e1" },
        { "Location", "near=29.2937|108.1655|1|km", "pengshui" },
        { "Location", "near=29.29|108.17", "pengshui" },
        { "Location", "near=29.2937|108.1655|158|km", "pengshui" }, /* 159.2 km away */
        { "Location", "near=29.2937|108.1655|160000|m", "chongqing pengshui" },
        { "Location", "near=29.563|106.5516|0.001", "chongqing" },
        { "Location", "near=-29|-72|20000|km", "chongqing pengshui" },
        { "Location", "near=0|0|1|km,29.563|106.5516|1|km", "chongqing" },
        { "Location", "near:missing=true", "nowhere" },
        { "DiagnosticReport", "_text=磨玻璃", "r1" },
        { "DiagnosticReport", "_text=肺", "r1" },
        { "DiagnosticReport", "_text=玻璃磨", "" },
        { "DiagnosticReport", "_text=score rising", "r1" },
        { "DiagnosticReport", "_text=\"score rising\"", "" },
        { "DiagnosticReport", "_text=\"12 %26 rising\"", "r1" },
        { "DiagnosticReport", "_text=core", "" }, /* not the beginning of a word */
        { "DiagnosticReport", "_text=sco", "r1" },
        { "DiagnosticReport", "_text=nothing OR 双肺", "r1" },
        { "DiagnosticReport", "_text=nothing,双肺", "r1" },
        { "DiagnosticReport", "_text=右下肺", "" }, /* is in the conclusion */
        { "DiagnosticReport", "_content=右下肺实变", "r1" },
        { "DiagnosticReport", "_content=胸部CT 双肺 李时珍", "r1" },
        { "DiagnosticReport", "_content=胸部MR", "" },
        { "DiagnosticReport", "_content=contrast", "r1" },
        { "DiagnosticReport", "_content=final", "" },     /* codes are no prose */
        { "Patient", "_content=660101199001010011", "" }, /* nor is what its own parameter is asked for */
        { "Patient", "identifier=660101199001010011", "p1" },
        { "Observation", "_content=cel", "" },
        { "DiagnosticReport", "code:text=胸部ct", "r1" },
        { "DiagnosticReport", "code:text=chest ct with", "r1" },
        { "DiagnosticReport", "code:text=CT chest", "" },
        { "DiagnosticReport", "code:text=双肺", "" },
        { "Observation", "code:text=temper&_content=temperature", "o1" },
        { "", "_type=Observation,DiagnosticReport&_content=temperature,平扫", "r1 o1" },
        { "Library", "description:contains=lusswort", "l1" },
        { "Library", "description:contains=husten; fie", "l1" },
        { "Library", "description:contains=husten fie", "" },
        { "", "_type=Encounter,Observation&patient.name=zhang", "o1 e1" },
        { "", "_type=Encounter,Task&patient:missing=false&_sort=_lastUpdated", "e1 t1" },
        { "", "_type=Patient,Organization&_has:Encounter:service-provider:patient.name=zhang", "ward" },
        { "Encounter", "date=ge2020-02-05&status=in-progress", "e1" },
        { "Organization", "partof.name=pengshui", "ward" },
        { "Organization", "name=ward&_sort=name", "ward" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(cases[i][0], cases[i][1], cases[i][2]);
    }
    struct store_check_report report = { .sample_count = 1000 };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
}

/* An Observation of one coding, with a value of another; `system` may be empty. */
static void put_coded(const char *id, const char *system, const char *code, int value)
{
    const char *own = system[0] == '\0' ? "" : arena_printf(&arena, "\"system\":\"%s\",", system).at;
    put(arena_printf(&arena,
                     "{\"resourceType\":\"Observation\",\"id\":\"%s\",\"status\":\"final\",\"code\":{"
                     "\"coding\":[{%s\"code\":\"%s\"}]},\"valueQuantity\":{\"value\":%d}}",
                     id, own, code, value)
            .at);
}

/* Codes alone and systems alone are asked of whole codings: none is missed, none of another system is found. */
static void codings_are_found_by_their_parts(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "Observation", "code=x", "c3 c2 c1" },
        { "Observation", "code=urn:a|x", "c1" },
        { "Observation", "code=urn:b|x", "c2" },
        { "Observation", "code=|x", "c3" },
        { "Observation", "code=urn:a|", "c4 c1" },
        { "Observation", "code=urn:c|", "" },
        { "Observation", "code=nowhere", "" },
        { "Observation", "code=x,y&_sort=code,-_lastUpdated", "c3 c2 c1 c4" },
        { "Observation", "code:not=x&code=urn:a|,urn:b|", "c4" },
        { "Observation", "code:not=urn:a|&code=x", "c3 c2" },
        { "Observation", "combo-code=x", "c3 c2 c1" },
        { "Observation", "code=urn:a|x,urn:b|x", "c2 c1" },
        { "Observation", "code-value-quantity=x$2", "c2" },
        { "Observation", "code-value-quantity=x$gt1", "c3 c2" },
        { "Observation", "code-value-quantity=urn:a|x$gt0", "c1" },
        { "Observation", "code-value-quantity=urn:a|x$2", "" },
        { "Observation", "code-value-quantity=|x$3", "c3" },
        { "Observation", "code-value-quantity=x$1,y$4", "c4 c1" },
        { "Observation", "combo-code-value-quantity=x$lt3", "c2 c1" },
        { "Observation", "_filter=code eq x and value-quantity gt 1", "c3 c2" },
        { "Observation", "code:missing=true", "" },
    };
    put_coded("c1", "urn:a", "x", 1);
    put_coded("c2", "urn:b", "x", 2);
    put_coded("c3", "", "x", 3);
    put_coded("c4", "urn:a", "y", 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(cases[i][0], cases[i][1], cases[i][2]);
    }
    /* A system of more codes than are written out is asked by the table. */
    enum { MANY = 70 };
    struct buf all = { .bytes_max = 10000 };
    for (int i = 0; i < MANY; i++) {
        put_coded(arena_printf(&arena, "m%d", i).at, "urn:many", arena_printf(&arena, "m%d", i).at, i);
        buf_printf(&all, "%sm%d", i == 0 ? "" : " ", MANY - 1 - i);
    }
    buf_add_char(&all, '\0');
    expect("Observation", "code=urn:many|&_count=100", all.at);
    expect("Observation", "code=urn:many|,urn:a|y&value-quantity=lt2", "m1 m0");
    expect("Observation", "code=urn:many|&value-quantity=5", "m5");
    expect("Observation", "code:not=urn:many|&value-quantity=4", "c4");
    buf_deinit(&all);
    struct store_check_report report = { .sample_count = 1000, .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
}

/* What an older program has written: rows of codes alone, and nothing known of codings. */
static void codings_of_older_versions_are_found(void **state)
{
    (void)state;
    struct json *tree = NULL;
    struct index_rows rows = { 0 };
    struct str body = STR_NONE;
    const char *text = "{\"resourceType\":\"Observation\",\"id\":\"old\",\"identifier\":[{\"system\":\"urn:"
                       "i\",\"value\":\"7\"}],\"status\":\"final\",\"code\":{"
                       "\"coding\":[{\"system\":\"urn:a\",\"code\":\"x\"}]},\"valueQuantity\":{\"value\":7}}";
    assert_true(json_read(&arena, str_from_cstr(text), &tree, NULL));
    assert_true(fhir_index_rows(index_of, &arena, tree, &rows, NULL));
    assert_true(store_body_from_json(&arena, tree, &body, NULL));
    size_t derived = 0;
    for (size_t i = 0; i < rows.count; i++) {
        struct index_row *row = &rows.rows[i];
        derived += row->derived ? 1 : 0;
        row->key = !row->derived && row->whole != 0 ? row->whole : row->key;
        row->derived = false;
        row->whole = 0;
    }
    assert_true(derived > 3);
    struct store_write write = { .type = STR("Observation"),
                                 .id = STR("old"),
                                 .method = STORE_METHOD_CREATED,
                                 .body = body,
                                 .index = &rows };
    struct store_set set = { .arena = &arena, .writes = &write, .writes_count = 1 };
    assert_true(store_write_and_wait(store, &set, NULL));
    static const char *const cases[][3] = {
        { "Observation", "code=x", "old" },
        { "Observation", "code=urn:a|", "old" },
        { "Observation", "code=urn:a|x", "old" },
        { "Observation", "code-value-quantity=x$7", "old" },
        { "Observation", "identifier=urn:i|7", "old" },
        { "Observation", "identifier=7", "old" },
        { "Observation", "identifier=urn:j|7", "" },
        { "Observation", "identifier:not=urn:i|7", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(cases[i][0], cases[i][1], cases[i][2]);
    }
    put_coded("new", "urn:b", "x", 7);
    put_coded("newer", "urn:a", "x", 7); /* now the older one is found by both */
    expect("Observation", "code=x", "newer new old");
    expect("Observation", "code=x&_total=accurate&_count=1", "newer");
    expect("Observation", "code=urn:a|", "newer old");
    expect("Observation", "code-value-quantity=x$7", "newer new old");
    struct store_check_report report = { .sample_count = 1000, .whole_index = true };
    assert_true(store_check(store, &report, NULL));
    assert_int_equal(report.findings_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(searches_as_clients_write_them, setup, teardown),
        cmocka_unit_test_setup_teardown(codings_are_found_by_their_parts, setup_empty, teardown),
        cmocka_unit_test_setup_teardown(codings_of_older_versions_are_found, setup_empty, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_deinit(&arena);
    return failed;
}
