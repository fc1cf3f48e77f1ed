/* archive_test.c — instances in, synced, found, told of once; the same again; other bytes; a torn tail; a lost index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <zlib.h>

#include "base/file.h"
#include "dicom/archive.h"
#include "dicom_build.h"
#include "json/json.h"
#include "shell.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"

struct fixture {
    struct arena arena;
    struct archive *archive;
    struct archive_options options;
    struct archive_batch *batch;
    struct error error;
    char folder[64];
    struct archive_result results[16];
    size_t results_count;
    _Atomic int changed_count;
};

static bool study_changed(void *context, struct str study_uid, struct error *error)
{
    struct fixture *fixture = context;
    (void)error;
    assert_true(str_starts_with(study_uid, STR("2.25.")));
    fixture->changed_count++;
    return true;
}

static void told(void *context, const struct archive_result *result)
{
    struct fixture *fixture = context;
    assert_true(fixture->results_count < 16);
    fixture->results[fixture->results_count++] = *result;
}

static void open_archive(struct fixture *fixture)
{
    const struct archive_batch_options options = { .organization = STR("org-1"),
                                                   .told = told,
                                                   .context = fixture };
    if (!archive_open(&fixture->arena, &fixture->options, &fixture->archive, &fixture->error)) {
        fail_msg("%s", fixture->error.text);
    }
    assert_true(
        archive_batch_create(&fixture->arena, fixture->archive, &options, &fixture->batch, &fixture->error));
}

static void close_archive(struct fixture *fixture)
{
    archive_batch_destroy(fixture->batch);
    archive_close(fixture->archive);
    fixture->archive = NULL;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->arena.bytes_max = 256u << 20;
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/shanhai-archive-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->options =
        (struct archive_options){ .folder = fixture->folder,
                                  .silence_ms = 60000,
                                  .offset_minutes = 480,
                                  .host = { .context = fixture, .study_changed = study_changed } };
    open_archive(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->archive != NULL) {
        close_archive(fixture);
    }
    (void)shell_run("rm -rf '%s'", fixture->folder);
    arena_deinit(&fixture->arena);
    free(fixture);
    return 0;
}

/* Adds slice `number` of the series; `salt` changes its pixels. */
static void add_slice(struct fixture *fixture, unsigned number, uint16_t salt, bool is_file)
{
    struct build build = { .buf = { .bytes_max = 1u << 20 } };
    char sop[32];
    (void)snprintf(sop, sizeof sop, "2.25.9%u", number);
    const struct build_image image = { .study = "2.25.100",
                                       .series = "2.25.101",
                                       .sop = sop,
                                       .rows = 4,
                                       .columns = 4,
                                       .bits = 16,
                                       .number = (uint16_t)(number + salt) };
    struct archive_incoming incoming = { 0 };
    if (is_file) {
        build_meta(&build, DICOM_EXPLICIT_LE, CT_CLASS, sop);
    } else {
        incoming.syntax = dicom_syntax_find(STR(DICOM_EXPLICIT_LE));
    }
    build_ct(&build, &image);
    incoming.bytes = buf_str(&build.buf);
    archive_batch_add(fixture->batch, &incoming);
    memset(build.buf.at, 0x55, build.buf.len); /* the bytes are not needed any more */
    buf_deinit(&build.buf);
}

static void wait_for_change(struct fixture *fixture, int count)
{
    for (int i = 0; i < 500 && fixture->changed_count < count; i++) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    assert_int_equal(fixture->changed_count, count);
}

static struct str find(struct fixture *fixture, struct archive_query query, size_t expected)
{
    struct buf out = { .bytes_max = 1u << 20 };
    size_t count = 0;
    bool more = false;
    assert_true(
        archive_find(fixture->archive, &fixture->arena, &query, &out, &count, &more, &fixture->error));
    assert_int_equal(count, expected);
    struct str text = arena_dup(&fixture->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

static void assert_has(struct str text, const char *part)
{
    if (str_find(text, str_from_cstr(part)) == text.len) {
        fail_msg("'%s' is not in %.*s", part, STR_FMT(text));
    }
}

static void stores_and_tells_once(void **state)
{
    struct fixture *fixture = *state;
    struct archive_study study;
    for (unsigned i = 1; i <= 3; i++) {
        add_slice(fixture, i, 0, i == 2);
    }
    assert_int_equal(fixture->results_count, 0);
    archive_batch_end(fixture->batch);
    assert_int_equal(fixture->results_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture->results[i].outcome, ARCHIVE_STORED);
        assert_string_equal(fixture->results[i].study, "2.25.100");
    }
    wait_for_change(fixture, 1);
    assert_true(
        archive_imaging_study(fixture->archive, &fixture->arena, STR("2.25.100"), &study, &fixture->error));
    struct str text = json_write_arena(&fixture->arena, study.imaging_study);
    assert_has(text,
               "{\"resourceType\":\"ImagingStudy\",\"identifier\":[{\"system\":\"urn:dicom:uid\",\"value\":"
               "\"urn:oid:2.25.100\"}");
    assert_has(text,
               "\"started\":\"2026-11-01T08:15:00+08:00\",\"numberOfInstances\":3,\"numberOfSeries\":1");
    assert_has(
        text,
        "\"uid\":\"2.25.92\",\"sopClass\":{\"system\":\"urn:ietf:rfc:3986\",\"code\":\"urn:oid:" CT_CLASS
        "\"},\"number\":2}");
    assert_true(str_equal(study.patient.id, STR("P0001")));
    assert_true(str_equal(study.patient.name_ideographic, STR("王小东")));
    assert_true(str_equal(study.patient.name_alphabetic, STR("Wang XiaoDong")));
    assert_true(str_equal(study.patient.birth_date, STR("1962-03-08")));
    assert_true(str_equal(study.patient.gender, STR("male")));
    assert_true(str_equal(study.organization, STR("org-1")));
    assert_null(study.chest_ct_series.at); /* three slices are no chest CT */
}

static void the_same_is_fine_and_other_bytes_are_refused(void **state)
{
    struct fixture *fixture = *state;
    add_slice(fixture, 1, 0, false);
    archive_batch_flush(fixture->batch);
    add_slice(fixture, 1, 0, true); /* as a file: another meta, the same data set */
    add_slice(fixture, 1, 5, false);
    archive_batch_end(fixture->batch);
    assert_int_equal(fixture->results[1].outcome, ARCHIVE_ALREADY);
    assert_int_equal(fixture->results[2].outcome, ARCHIVE_REFUSED);
    assert_int_equal(fixture->results[2].error.kind, ERROR_CONFLICT);
    /* Both in one batch: the first wins. */
    add_slice(fixture, 2, 0, false);
    add_slice(fixture, 2, 5, false);
    archive_batch_end(fixture->batch);
    assert_int_equal(fixture->results[3].outcome, ARCHIVE_STORED);
    assert_int_equal(fixture->results[4].outcome, ARCHIVE_REFUSED);
    (void)find(fixture, (struct archive_query){ .level = ARCHIVE_INSTANCES, .study = STR("2.25.100") }, 2);
}

static void bad_instances_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct build build = { .buf = { .bytes_max = 1u << 20 } };
    struct build_image image = { .study = "../../etc/passwd",
                                 .series = "2.25.101",
                                 .sop = "2.25.1",
                                 .rows = 4,
                                 .columns = 4,
                                 .bits = 16,
                                 .number = 1 };
    struct archive_incoming incoming = { .syntax = dicom_syntax_find(STR(DICOM_EXPLICIT_LE)) };
    build_ct(&build, &image);
    incoming.bytes = buf_str(&build.buf);
    archive_batch_add(fixture->batch, &incoming);
    incoming.bytes = STR("this is no DICOM at all, is it?");
    archive_batch_add(fixture->batch, &incoming);
    buf_clear(&build.buf);
    image.study = "2.25.7";
    build_ct(&build, &image);
    incoming.bytes = buf_str(&build.buf);
    incoming.expected_study = STR("2.25.8");
    archive_batch_add(fixture->batch, &incoming);
    archive_batch_end(fixture->batch);
    assert_int_equal(fixture->results_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fixture->results[i].outcome, ARCHIVE_REFUSED);
        assert_true(fixture->results[i].error.kind == ERROR_INPUT ||
                    fixture->results[i].error.kind == ERROR_STRUCTURE);
    }
    (void)find(fixture, (struct archive_query){ .level = ARCHIVE_STUDIES }, 0);
    buf_deinit(&build.buf);
}

static bool see_nothing(void *context, struct str study_uid)
{
    (void)context;
    (void)study_uid;
    return false;
}

static void queries(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 1; i <= 5; i++) {
        add_slice(fixture, i, 0, false);
    }
    archive_batch_end(fixture->batch);
    struct archive_query query = { .level = ARCHIVE_STUDIES };
    struct str text = find(fixture, query, 1);
    assert_has(text, "\"00080061\":{\"vr\":\"CS\",\"Value\":[\"CT\"]}");
    assert_has(text, "\"00081190\":{\"vr\":\"UR\",\"Value\":[\"/dicom-web/studies/2.25.100\"]}");
    assert_has(text, "\"00201208\":{\"vr\":\"IS\",\"Value\":[5]}");
    query.patient_name = STR("wang^*");
    (void)find(fixture, query, 1);
    query.patient_name = STR("王*");
    (void)find(fixture, query, 1);
    query.patient_name = STR("li*");
    (void)find(fixture, query, 0);
    query = (struct archive_query){ .level = ARCHIVE_STUDIES,
                                    .date_from = STR("20261101"),
                                    .date_to = STR("20261101") };
    (void)find(fixture, query, 1);
    query.date_to = STR("20261031");
    (void)find(fixture, query, 0);
    query =
        (struct archive_query){ .level = ARCHIVE_STUDIES, .patient_id = STR("P0001"), .modality = STR("MR") };
    (void)find(fixture, query, 0);
    query =
        (struct archive_query){ .level = ARCHIVE_SERIES, .accession = STR("A1001"), .modality = STR("CT") };
    assert_has(find(fixture, query, 1), "\"0020000E\":{\"vr\":\"UI\",\"Value\":[\"2.25.101\"]}");
    query = (struct archive_query){
        .level = ARCHIVE_INSTANCES, .study = STR("2.25.100"), .limit = 2, .offset = 3
    };
    text = find(fixture, query, 2);
    assert_has(text, "\"00080018\":{\"vr\":\"UI\",\"Value\":[\"2.25.94\"]}");
    assert_true(str_find(text, STR("2.25.91")) == text.len);
    query.may_see = see_nothing;
    (void)find(fixture, query, 0);
}

static void metadata_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct str packed;
    struct str etag;
    add_slice(fixture, 1, 0, false);
    add_slice(fixture, 2, 0, true);
    archive_batch_end(fixture->batch);
    wait_for_change(fixture, 1);
    for (unsigned round = 0; round < 2; round++) {
        char text[65536];
        assert_true(archive_series_metadata(fixture->archive, &fixture->arena, STR("2.25.100"),
                                            STR("2.25.101"), &packed, &etag, &fixture->error));
        z_stream stream = { .next_in = (Bytef *)(uintptr_t)packed.at,
                            .avail_in = (uInt)packed.len,
                            .next_out = (Bytef *)text,
                            .avail_out = sizeof text };
        assert_int_equal(inflateInit2(&stream, 15 + 32), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        struct str json = { text, stream.total_out };
        (void)inflateEnd(&stream);
        struct json *value = NULL;
        assert_true(json_read(&fixture->arena, arena_dup(&fixture->arena, json), &value, &fixture->error));
        assert_int_equal(value->count, 2 + round);
        assert_has(
            json, "\"7FE00010\":{\"vr\":\"OW\",\"BulkDataURI\":\"/dicom-web/studies/2.25.100/series/2.25.101/"
                  "instances/2.25.91/bulkdata/7FE00010\"}");
        /* One more: the kept text is old now and made again when asked for. */
        add_slice(fixture, 3, 0, false);
        archive_batch_flush(fixture->batch);
    }
    assert_false(archive_series_metadata(fixture->archive, &fixture->arena, STR("2.25.100"), STR("2.25.5"),
                                         &packed, &etag, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_NOT_FOUND);
}

/* The text cannot be written beside the pack (here: a folder has its name): it is made for each who asks. */
static void metadata_without_room(void **state)
{
    struct fixture *fixture = *state;
    struct str packed;
    struct str etag;
    add_slice(fixture, 1, 0, false);
    archive_batch_flush(fixture->batch);
    assert_int_equal(
        shell_run("cd '%s' && for p in */*.pack; do mkdir ${p%%.pack}.json.gz; done", fixture->folder), 0);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(archive_series_metadata(fixture->archive, &fixture->arena, STR("2.25.100"),
                                            STR("2.25.101"), &packed, &etag, &fixture->error));
        assert_true(packed.len > 20);
    }
}

static void reads_back_what_came(void **state)
{
    struct fixture *fixture = *state;
    struct archive_instance instance;
    struct str bytes;
    struct dicom_file file;
    add_slice(fixture, 4, 0, false);
    archive_batch_end(fixture->batch);
    assert_false(archive_find_instance(fixture->archive, STR("2.25.1"), STR_NONE, STR("2.25.94"), &instance,
                                       &fixture->error));
    assert_true(archive_find_instance(fixture->archive, STR("2.25.100"), STR("2.25.101"), STR("2.25.94"),
                                      &instance, &fixture->error));
    assert_true(archive_read_instance(fixture->archive, &fixture->arena, &instance, instance.bytes, &bytes,
                                      &fixture->error));
    assert_true(dicom_read_file(&fixture->arena, bytes, NULL, &file, &fixture->error));
    assert_int_equal(instance.frame_bytes, 32);
    const uint8_t *frame = (const uint8_t *)bytes.at + instance.frame_offset;
    assert_int_equal(frame[0] | frame[1] << 8, 4);
    assert_int_equal(frame[2] | frame[3] << 8, 11);
    assert_true(str_equal(dicom_uid(&file.meta, 0x00020003u), STR("2.25.94")));
}

static void count_findings(void *data, const char *text)
{
    (void)text;
    (*(int *)data)++;
}

static void a_torn_tail_and_a_lost_index_are_mended(void **state)
{
    struct fixture *fixture = *state;
    struct archive_query query = { .level = ARCHIVE_INSTANCES, .study = STR("2.25.100") };
    int findings = 0;
    struct archive_check_report report = { .finding = count_findings, .data = &findings };
    for (unsigned i = 1; i <= 3; i++) {
        add_slice(fixture, i, 0, false);
    }
    archive_batch_end(fixture->batch);
    wait_for_change(fixture, 1);
    close_archive(fixture);
    /* Half a record at the end, as a power cut leaves it; and the index is gone. */
    assert_int_equal(
        shell_run(
            "cd '%s' && for p in */*.pack; do head -c 700 $p | tail -c 600 >> $p; done; rm index.sqlite*",
            fixture->folder),
        0);
    open_archive(fixture);
    (void)find(fixture, query, 3);
    const struct archive_query studies = { .level = ARCHIVE_STUDIES };
    assert_has(find(fixture, studies, 1), "\"00100020\":{\"vr\":\"LO\",\"Value\":[\"P0001\"]}");
    assert_true(archive_check(fixture->archive, &report, &fixture->error));
    assert_int_equal(report.instances_count, 3);
    assert_int_equal(findings, 0);
    wait_for_change(fixture, 2); /* told again: the index could not know that it was */
    add_slice(fixture, 4, 0, false);
    archive_batch_end(fixture->batch);
    (void)find(fixture, query, 4);
    close_archive(fixture);
    /* The pack lost its last record: told and left alone, until somebody wants it forgotten. */
    assert_int_equal(shell_run("cd '%s' && for p in */*.pack; do truncate -s -20 $p; done", fixture->folder),
                     0);
    open_archive(fixture);
    const char *damaged = NULL;
    assert_int_equal(archive_damaged(fixture->archive, &damaged), 1);
    assert_int_equal(strlen(damaged), 32);
    assert_true(archive_check(fixture->archive, &report, &fixture->error));
    assert_int_equal(findings, 1);
    findings = 0;
    report.instances_count = 3;
    (void)find(fixture, query, 4);
    add_slice(fixture, 5, 0, false);
    archive_batch_end(fixture->batch);
    (void)find(fixture, query, 4); /* nothing is appended to a damaged pack */
    const struct archive_result *refused = &fixture->results[fixture->results_count - 1];
    assert_int_equal(refused->outcome, ARCHIVE_REFUSED);
    assert_non_null(strstr(refused->error.text, "damaged"));
    close_archive(fixture);
    fixture->options.forget_lost = true;
    open_archive(fixture);
    fixture->options.forget_lost = false;
    (void)find(fixture, query, 3);
    add_slice(fixture, 5, 0, false);
    archive_batch_end(fixture->batch);
    (void)find(fixture, query, 4);
    assert_true(archive_check(fixture->archive, &report, &fixture->error));
    assert_int_equal(report.instances_count, 3 + 4);
    assert_int_equal(findings, 0);
    close_archive(fixture);
    /* A bit turned in the middle is found and named. */
    assert_int_equal(shell_run("cd '%s' && for p in */*.pack; do printf X | dd of=$p bs=1 seek=1000 "
                               "conv=notrunc 2>/dev/null; done",
                               fixture->folder),
                     0);
    open_archive(fixture);
    assert_true(archive_check(fixture->archive, &report, &fixture->error));
    assert_int_equal(findings, 1);
}

static void instances_are(struct fixture *fixture, size_t listed)
{
    struct archive_instance *list = NULL;
    size_t count = 0;
    assert_true(archive_list_instances(fixture->archive, &fixture->arena, STR("2.25.100"), STR_NONE, &list,
                                       &count, &fixture->error));
    assert_int_equal(count, listed);
    const struct archive_query query = { .level = ARCHIVE_INSTANCES, .study = STR("2.25.100") };
    (void)find(fixture, query, listed);
    const struct archive_query studies = { .level = ARCHIVE_STUDIES };
    char counted[64];
    (void)snprintf(counted, sizeof counted, "\"00201208\":{\"vr\":\"IS\",\"Value\":[%zu]}", listed);
    assert_has(find(fixture, studies, 1), counted);
}

static void send_from(struct fixture *fixture, const char *organization, unsigned number)
{
    struct archive_batch *first = fixture->batch;
    const struct archive_batch_options options = { .organization = str_from_cstr(organization),
                                                   .told = told,
                                                   .context = fixture };
    assert_true(
        archive_batch_create(&fixture->arena, fixture->archive, &options, &fixture->batch, &fixture->error));
    add_slice(fixture, number, 0, false);
    archive_batch_end(fixture->batch);
    archive_batch_destroy(fixture->batch);
    fixture->batch = first;
}

static void decide(struct fixture *fixture, const char *organization, enum archive_verdict verdict)
{
    const struct archive_decision decision = { .study = STR("2.25.100"),
                                               .organization = str_from_cstr(organization),
                                               .patient_id = STR("P0001"),
                                               .verdict = verdict };
    if (!archive_decide(fixture->archive, &decision, &fixture->error)) {
        fail_msg("%s", fixture->error.text);
    }
}

static void another_source_is_hidden_until_decided(void **state)
{
    struct fixture *fixture = *state;
    struct archive_source *sources = NULL;
    struct archive_instance instance;
    size_t count = 0;
    send_from(fixture, "org-1", 1);
    send_from(fixture, "org-1", 2);
    send_from(fixture, "org-2", 3);
    send_from(fixture, "org-3", 4);
    instances_are(fixture, 2);
    assert_false(archive_find_instance(fixture->archive, STR_NONE, STR_NONE, STR("2.25.93"), &instance,
                                       &fixture->error));
    fixture->error = (struct error){ 0 };
    assert_true(archive_list_sources(fixture->archive, &fixture->arena, STR("2.25.100"), &sources, &count,
                                     &fixture->error));
    assert_int_equal(count, 2);
    assert_true(str_equal(sources[0].organization, STR("org-2")));
    assert_int_equal(sources[0].verdict, ARCHIVE_HELD);
    assert_int_equal(sources[0].instances_count, 1);
    decide(fixture, "org-2", ARCHIVE_RELEASED);
    decide(fixture, "org-3", ARCHIVE_REJECTED);
    instances_are(fixture, 3);
    send_from(fixture, "org-2", 5);
    send_from(fixture, "org-3", 6);
    instances_are(fixture, 4);
    assert_false(archive_find_instance(fixture->archive, STR_NONE, STR_NONE, STR("2.25.94"), &instance,
                                       &fixture->error));
    fixture->error = (struct error){ 0 };
    /* A stranger is not the first; what was seen so is turned round. */
    decide(fixture, "org-3", ARCHIVE_FIRST);
    instances_are(fixture, 4); /* two of org-3, two of org-2; org-1 is hidden */
    assert_false(archive_find_instance(fixture->archive, STR_NONE, STR_NONE, STR("2.25.91"), &instance,
                                       &fixture->error));
    fixture->error = (struct error){ 0 };
    decide(fixture, "org-1", ARCHIVE_RELEASED);
    instances_are(fixture, 6);
}

/* An index of version 2 knew only that others had sent too, and showed what they sent. */
static void an_older_index_is_read_again_where_several_sent(void **state)
{
    static const char downgrade[] =
        "ALTER TABLE instance DROP COLUMN hidden; ALTER TABLE instance DROP COLUMN source; DROP TABLE "
        "source; "
        "ALTER TABLE study ADD COLUMN other_patients INTEGER NOT NULL DEFAULT 0; "
        "CREATE TABLE sender(study TEXT NOT NULL, organization TEXT NOT NULL, PRIMARY KEY(study, "
        "organization)) "
        "WITHOUT ROWID; INSERT INTO sender VALUES('2.25.100', 'org-2'); PRAGMA user_version = 2;";
    struct fixture *fixture = *state;
    char path[128];
    sqlite3 *database = NULL;
    send_from(fixture, "org-1", 1);
    send_from(fixture, "org-2", 2);
    close_archive(fixture);
    (void)snprintf(path, sizeof path, "%s/index.sqlite", fixture->folder);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, downgrade, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(database);
    open_archive(fixture);
    instances_are(fixture, 1);
    send_from(fixture, "org-1", 3);
    instances_are(fixture, 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stores_and_tells_once),
        TEST(the_same_is_fine_and_other_bytes_are_refused),
        TEST(bad_instances_are_refused),
        TEST(queries),
        TEST(metadata_is_kept),
        TEST(metadata_without_room),
        TEST(reads_back_what_came),
        TEST(a_torn_tail_and_a_lost_index_are_mended),
        TEST(another_source_is_hidden_until_decided),
        TEST(an_older_index_is_read_again_where_several_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
