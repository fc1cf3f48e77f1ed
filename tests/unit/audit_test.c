/* The audit log: what comes back, what is merged, how damage is found and a torn tail cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/audit_read.h"
#include "scratch.h"

static const int64_t start_ms = 1770000000000;

struct fixture {
    char folder[64];
    int64_t now_ms;
    uint64_t file_bytes_max;
    struct arena module;
    struct arena arena;
    struct audit *audit;
};

static int64_t test_now(void *context)
{
    return *(int64_t *)context;
}

static void audit_start(struct fixture *fixture)
{
    struct error error = { 0 };
    struct audit_options options = { .folder = fixture->folder,
                                     .file_bytes_max = fixture->file_bytes_max,
                                     .now_ms = test_now,
                                     .now_context = &fixture->now_ms };
    if (!audit_open(&fixture->module, &options, &fixture->audit, &error)) {
        fail_msg("%s", error.text);
    }
}

static void audit_restart(struct fixture *fixture)
{
    audit_close(fixture->audit);
    audit_start(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/audit_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->now_ms = start_ms;
    fixture->module.bytes_max = 64u << 20;
    fixture->arena.bytes_max = 64u << 20;
    audit_start(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    audit_close(fixture->audit);
    scratch_remove(fixture->folder);
    arena_deinit(&fixture->arena);
    arena_deinit(&fixture->module);
    test_free(fixture);
    return 0;
}

static struct audit_record read_of(struct fixture *fixture, const char *id)
{
    return (struct audit_record){ .time_ms = fixture->now_ms,
                                  .person = STR("0192a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"),
                                  .post = STR("post-1"),
                                  .organization = STR("org-1"),
                                  .route = STR("/fhir/{type}/{id}"),
                                  .interaction = ACCESS_READ,
                                  .type = STR("Observation"),
                                  .id = str_from_cstr(id),
                                  .patients = { STR("pat-1") },
                                  .outcome = AUDIT_SUCCESS,
                                  .count = 1 };
}

static void read_done(struct fixture *fixture, const char *id)
{
    struct audit_record record = read_of(fixture, id);
    struct error error = { 0 };
    if (!audit_read_done(fixture->audit, &record, &error)) {
        fail_msg("%s", error.text);
    }
}

static void write_done(struct fixture *fixture, uint64_t group, const char *id)
{
    struct audit_record record = read_of(fixture, id);
    struct error error = { 0 };
    struct str bytes = STR_NONE;
    record.interaction = ACCESS_CREATE;
    record.version = 1;
    assert_true(audit_encode(&fixture->arena, &record, &bytes, &error));
    assert_true(audit_append(fixture->audit, group, &bytes, 1, &error));
}

static struct audit_verdict verified(struct fixture *fixture)
{
    struct audit_verdict verdict = { 0 };
    struct error error = { 0 };
    if (!audit_verify(fixture->folder, &verdict, &error)) {
        fail_msg("%s", error.text);
    }
    return verdict;
}

static struct json *listed(struct fixture *fixture, const struct audit_query *query, struct str *cursor)
{
    struct json *bundle = NULL;
    struct error error = { 0 };
    if (!audit_list(fixture->folder, &fixture->arena, query, &bundle, cursor, &error)) {
        fail_msg("%s", error.text);
    }
    struct json *entries = JSON_GET(bundle, "entry");
    return entries == NULL ? json_new(&fixture->arena, JSON_ARRAY) : entries;
}

static void synced(struct fixture *fixture)
{
    struct error error = { 0 };
    assert_true(audit_sync(fixture->audit, &error));
}

static const char *entry_text(struct fixture *fixture, const struct json *entries, size_t index)
{
    return arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, json_at(entries, index)));
}

static void what_goes_in_comes_out_as_audit_events(void **state)
{
    struct fixture *fixture = *state;
    struct str cursor = STR_NONE;
    read_done(fixture, "obs-1");
    fixture->now_ms += 1000;
    write_done(fixture, 5, "obs-2");
    synced(fixture);
    assert_int_equal(audit_groups_durable(fixture->audit), 5);
    struct json *entries = listed(fixture, &(struct audit_query){ 0 }, &cursor);
    assert_int_equal(entries->count, 2);
    assert_null(cursor.at);
    const char *newest = entry_text(fixture, entries, 0);
    assert_non_null(strstr(newest, "\"resourceType\":\"AuditEvent\""));
    assert_non_null(strstr(newest, "Observation/obs-2/_history/1"));
    assert_non_null(strstr(newest, "\"action\":\"C\""));
    assert_non_null(strstr(newest, "Patient/pat-1"));
    const char *oldest = entry_text(fixture, entries, 1);
    assert_non_null(strstr(oldest, "\"recorded\":\"2026-02-02T02:40:00.000Z\""));
    assert_non_null(strstr(oldest, "Practitioner/0192a0b1-c2d3-7e4f-8a5b-6c7d8e9f0a1b"));
    assert_non_null(strstr(oldest, "\"code\":\"read\""));
    struct audit_verdict verdict = verified(fixture);
    assert_true(verdict.intact);
    assert_int_equal(verdict.records, 2);
}

static void the_list_filters_and_pages(void **state)
{
    struct fixture *fixture = *state;
    char id[32];
    for (int i = 0; i < 25; i++) {
        (void)snprintf(id, sizeof id, "obs-%d", i);
        read_done(fixture, id);
        fixture->now_ms += 10;
    }
    synced(fixture);
    struct audit_query query = { .count = 10 };
    struct str cursor = STR_NONE;
    size_t seen = 0;
    int expected = 24;
    do {
        struct json *entries = listed(fixture, &query, &cursor);
        JSON_EACH(entry, entries) {
            (void)snprintf(id, sizeof id, "obs-%d\"", expected--);
            assert_non_null(
                strstr(arena_cstr(&fixture->arena, json_write_arena(&fixture->arena, entry)), id));
            seen++;
        }
        query.cursor = cursor;
    } while (cursor.at != NULL);
    assert_int_equal(seen, 25);

    struct audit_query one = { .id = STR("obs-7"), .type = STR("Observation") };
    assert_int_equal(listed(fixture, &one, &cursor)->count, 1);
    struct audit_query nobody = { .person = STR("someone-else") };
    assert_int_equal(listed(fixture, &nobody, &cursor)->count, 0);
    struct audit_query patient = { .patient = STR("pat-1"),
                                   .from_ms = start_ms + 100,
                                   .until_ms = start_ms + 150 };
    assert_int_equal(listed(fixture, &patient, &cursor)->count, 5);
    struct audit_query bad = { .cursor = STR("x-y") };
    struct json *bundle = NULL;
    struct error error = { 0 };
    assert_false(audit_list(fixture->folder, &fixture->arena, &bad, &bundle, &cursor, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
}

static void equal_reads_of_a_minute_are_one_record_and_a_count(void **state)
{
    struct fixture *fixture = *state;
    struct str cursor = STR_NONE;
    for (int i = 0; i < 7; i++) {
        read_done(fixture, "obs-1");
        fixture->now_ms += 1000;
    }
    assert_int_equal(verified(fixture).records, 1); /* the first is there at once */
    fixture->now_ms += 60 * 1000;
    read_done(fixture, "obs-1"); /* a new minute: the six repetitions come out, then this one */
    synced(fixture);
    struct json *entries = listed(fixture, &(struct audit_query){ 0 }, &cursor);
    assert_int_equal(entries->count, 3);
    assert_non_null(strstr(entry_text(fixture, entries, 1), "{\"type\":\"count\",\"valueString\":\"6\"}"));
    read_done(fixture, "obs-2");
    struct audit_record refused = read_of(fixture, "obs-2");
    refused.outcome = AUDIT_REFUSED; /* not the same thing */
    struct error error = { 0 };
    assert_true(audit_read_done(fixture->audit, &refused, &error));
    assert_int_equal(listed(fixture, &(struct audit_query){ .id = STR("obs-2") }, &cursor)->count, 2);
}

static void the_chain_goes_on_over_restart_and_rotation(void **state)
{
    struct fixture *fixture = *state;
    char id[32];
    audit_close(fixture->audit);
    fixture->file_bytes_max = 2000;
    audit_start(fixture);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(id, sizeof id, "obs-%d", i);
        write_done(fixture, (uint64_t)i + 1, id);
        if (i % 10 == 9) {
            synced(fixture);
        }
        if (i == 30) {
            audit_restart(fixture);
        }
    }
    synced(fixture);
    struct audit_verdict verdict = verified(fixture);
    assert_true(verdict.intact);
    assert_int_equal(verdict.records, 60);
    assert_true(verdict.files >= 4);
    struct str cursor = STR_NONE;
    assert_int_equal(listed(fixture, &(struct audit_query){ .count = 1000 }, &cursor)->count, 60);

    char path[128];
    (void)snprintf(path, sizeof path, "%s/audit/000002.log", fixture->folder);
    assert_int_equal(unlink(path), 0);
    verdict = verified(fixture);
    assert_false(verdict.intact);
    assert_string_equal(verdict.finding, "audit file 000002, record 0: the file is missing");
}

static void a_group_is_taken_once(void **state)
{
    struct fixture *fixture = *state;
    write_done(fixture, 3, "obs-1");
    write_done(fixture, 3, "obs-1");
    write_done(fixture, 2, "obs-0");
    audit_restart(fixture);
    assert_int_equal(audit_groups_durable(fixture->audit), 3);
    write_done(fixture, 3, "obs-1");
    write_done(fixture, 4, "obs-2");
    assert_int_equal(verified(fixture).records, 2);
}

static long log_size(struct fixture *fixture, char path[128])
{
    struct stat info;
    (void)snprintf(path, 128, "%s/audit/000001.log", fixture->folder);
    assert_int_equal(stat(path, &info), 0);
    return (long)info.st_size;
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    int c = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 1, file), c ^ 1);
    assert_int_equal(fclose(file), 0);
}

static void every_changed_byte_is_found(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    write_done(fixture, 1, "obs-1");
    write_done(fixture, 2, "obs-2");
    synced(fixture);
    audit_close(fixture->audit);
    fixture->audit = NULL;
    long size = log_size(fixture, path);
    assert_true(verified(fixture).intact);
    for (long at = 0; at < size; at++) {
        flip(path, at);
        struct audit_verdict verdict = verified(fixture);
        if (verdict.intact) {
            fail_msg("a changed byte at %ld was not found", at);
        }
        assert_true(strstr(verdict.finding, "audit file 000001") == verdict.finding);
        flip(path, at);
    }
    assert_true(verified(fixture).intact);
}

static void removing_a_sealed_record_is_found(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    write_done(fixture, 1, "obs-1");
    long first = log_size(fixture, path);
    write_done(fixture, 2, "obs-2");
    long second = log_size(fixture, path);
    write_done(fixture, 3, "obs-3");
    audit_close(fixture->audit);
    fixture->audit = NULL;
    char bytes[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    assert_int_equal(fclose(file), 0);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, (size_t)first, file), (size_t)first);
    assert_int_equal(fwrite(bytes + second, 1, len - (size_t)second, file), len - (size_t)second);
    assert_int_equal(fclose(file), 0);
    struct audit_verdict verdict = verified(fixture);
    assert_false(verdict.intact);
    assert_non_null(strstr(verdict.finding, "record 2:"));
}

static void a_torn_tail_is_cut_and_unsealed_records_are_kept(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    write_done(fixture, 1, "obs-1");
    long sealed = log_size(fixture, path);
    read_done(fixture, "obs-2"); /* as kill -9 leaves it: in the file, not sealed */
    long with_record = log_size(fixture, path);
    assert_true(with_record > sealed);
    char bytes[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, (size_t)with_record, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(len, with_record);
    audit_close(fixture->audit);

    for (long torn = 0; torn < 40; torn += 13) { /* whole, then followed by pieces of a frame */
        file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, len, file), len);
        assert_int_equal(fwrite(bytes + sealed, 1, (size_t)torn, file), (size_t)torn);
        assert_int_equal(fclose(file), 0);
        audit_start(fixture);
        assert_int_equal(audit_groups_durable(fixture->audit), 1);
        read_done(fixture, "obs-3");
        audit_close(fixture->audit);
        struct audit_verdict verdict = verified(fixture);
        assert_true(verdict.intact);
        assert_int_equal(verdict.records, 3);
        assert_int_equal(verdict.unsealed, 0);
    }
    audit_start(fixture);
}

static void damage_before_a_seal_is_kept_and_named(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    write_done(fixture, 1, "obs-1");
    write_done(fixture, 2, "obs-2");
    audit_close(fixture->audit);
    long size = log_size(fixture, path);
    flip(path, AUDIT_HEADER_BYTES + 20);
    audit_start(fixture);
    write_done(fixture, 3, "obs-3");
    audit_restart(fixture);
    assert_int_equal(log_size(fixture, path), size);
    struct audit_verdict verdict = verified(fixture);
    assert_false(verdict.intact);
    assert_non_null(strstr(verdict.finding, "audit file 000001, record 1:"));
}

static void a_second_writer_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct audit *second = NULL;
    struct audit_options options = { .folder = fixture->folder };
    assert_false(audit_open(&fixture->module, &options, &second, &error));
    assert_int_equal(error.kind, ERROR_CONFLICT);
    assert_null(second);
}

static void too_long_fields_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char route[200];
    struct error error = { 0 };
    memset(route, 'x', sizeof route);
    struct audit_record record = read_of(fixture, "obs-1");
    record.route = (struct str){ route, sizeof route };
    assert_false(audit_read_done(fixture->audit, &record, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    record = read_of(fixture, "\xff\xfe"); /* a record that no reader would take would look like damage */
    assert_false(audit_read_done(fixture->audit, &record, &error));
    assert_int_equal(verified(fixture).records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_goes_in_comes_out_as_audit_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_filters_and_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_reads_of_a_minute_are_one_record_and_a_count, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_chain_goes_on_over_restart_and_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_is_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removing_a_sealed_record_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_and_unsealed_records_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_before_a_seal_is_kept_and_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_writer_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_long_fields_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
