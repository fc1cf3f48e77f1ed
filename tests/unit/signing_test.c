/* Signing: what a signature holds to, whose key it is, and what a rotation changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/signing.h"
#include "scratch.h"
#include "base/file.h"

static const int64_t start_ms = 1770000000000;
static const int64_t day_ms = 24LL * 3600 * 1000;

struct fixture {
    char folder[64];
    int64_t now_ms;
    struct signing_keys *keys;
    struct arena arena;
};

static int64_t test_now(void *context)
{
    return *(int64_t *)context;
}

static struct signing_keys *open_keys(struct fixture *fixture)
{
    struct signing_keys *keys = NULL;
    struct error error = { 0 };
    struct signing_options options = { .folder = fixture->folder,
                                       .now_ms = test_now,
                                       .now_context = &fixture->now_ms };
    if (!signing_open(&options, &keys, &error)) {
        fail_msg("%s", error.text);
    }
    return keys;
}

static int set_up(void **state)
{
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/signing_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->now_ms = start_ms;
    fixture->arena.bytes_max = 1 << 20;
    fixture->keys = open_keys(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    signing_close(fixture->keys);
    scratch_remove(fixture->folder);
    arena_deinit(&fixture->arena);
    test_free(fixture);
    return 0;
}

static struct signature sign(struct fixture *fixture, const char *person, struct str data)
{
    struct signer signer = signing_signer(fixture->keys);
    struct signature signature = { 0 };
    struct error error = { 0 };
    if (!signer.sign(signer.context, str_from_cstr(person), data, &signature, &error)) {
        fail_msg("%s", error.text);
    }
    return signature;
}

static bool verify(struct fixture *fixture, const char *person, struct str data,
                   const struct signature *signature)
{
    struct signer signer = signing_signer(fixture->keys);
    struct error error = { 0 };
    bool valid = false;
    if (!signer.verify(signer.context, str_from_cstr(person), data, signature, &valid, &error)) {
        fail_msg("%s", error.text);
    }
    return valid;
}

static void a_signature_holds_only_for_its_data_and_person(void **state)
{
    struct fixture *fixture = *state;
    struct str data = STR("{\"resourceType\":\"Bundle\",\"type\":\"document\"}");
    struct signature signature = sign(fixture, "expert-1", data);
    assert_memory_equal(signature.number, "SM2-", 4);
    assert_int_equal(strlen(signature.number), 20);
    assert_int_equal(signature.time_ms, start_ms);
    assert_true(verify(fixture, "expert-1", data, &signature));
    assert_true(verify(fixture, "", data, &signature));
    assert_false(verify(fixture, "expert-2", data, &signature));
    assert_false(
        verify(fixture, "expert-1", STR("{\"resourceType\":\"Bundle\",\"type\":\"documenT\"}"), &signature));
    for (size_t i = 0; i < signature.len; i++) {
        struct signature bent = signature;
        bent.bytes[i] ^= 1;
        assert_false(verify(fixture, "expert-1", data, &bent));
    }
    struct signature cut = signature;
    cut.len = 3;
    assert_false(verify(fixture, "expert-1", data, &cut));
    struct signature early = signature;
    early.time_ms = start_ms - day_ms; /* before the key was made */
    assert_false(verify(fixture, "expert-1", data, &early));
}

static void a_person_keeps_the_key_over_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct signature first = sign(fixture, "expert-1", STR("a"));
    struct signature other = sign(fixture, "expert-2", STR("a"));
    signing_close(fixture->keys);
    fixture->keys = open_keys(fixture);
    struct signature second = sign(fixture, "expert-1", STR("b"));
    assert_string_equal(first.number, second.number);
    assert_string_not_equal(first.number, other.number);
    assert_true(verify(fixture, "expert-1", STR("a"), &first));
}

static void unknown_numbers_and_odd_people_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct signer signer = signing_signer(fixture->keys);
    struct signature signature = sign(fixture, "expert-1", STR("a"));
    struct error error = { 0 };
    bool valid = true;
    signature.number[5] = 'Z';
    assert_false(signer.verify(signer.context, STR_NONE, STR("a"), &signature, &valid, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_false(signer.sign(signer.context, STR_NONE, STR("a"), &signature, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
    assert_false(signer.sign(signer.context, STR("../x"), STR("a"), &signature, &error));
    assert_int_equal(error.kind, ERROR_INPUT);
}

static void rotation_overlaps_and_old_signatures_stay_valid(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    size_t count = 0;
    struct signature old = sign(fixture, "expert-1", STR("a"));
    (void)sign(fixture, "expert-2", STR("a"));
    fixture->now_ms = start_ms + day_ms;
    assert_true(signing_rotate(fixture->keys, STR_NONE, 7, &count, &error));
    assert_int_equal(count, 2);
    struct signature fresh = sign(fixture, "expert-1", STR("a"));
    assert_string_not_equal(old.number, fresh.number);
    assert_true(verify(fixture, "expert-1", STR("a"), &old));
    assert_true(verify(fixture, "expert-1", STR("a"), &fresh));

    struct signature late = old;
    late.time_ms = start_ms + 6 * day_ms; /* within the overlap */
    assert_true(verify(fixture, "expert-1", STR("a"), &late));
    late.time_ms = start_ms + 9 * day_ms; /* after it */
    assert_false(verify(fixture, "expert-1", STR("a"), &late));

    /* The new server.key opens what it sealed again, also after a restart. */
    signing_close(fixture->keys);
    fixture->keys = open_keys(fixture);
    assert_string_equal(sign(fixture, "expert-1", STR("b")).number, fresh.number);
    fixture->now_ms = start_ms + 30 * day_ms;
    assert_true(signing_rotate(fixture->keys, STR("expert-2"), 0, &count, &error));
    assert_int_equal(count, 1);
    assert_true(
        verify(fixture, "expert-1", STR("a"), &old)); /* its private key is wiped, the public one stays */

    struct json *list = NULL;
    assert_true(signing_public_keys(fixture->keys, &fixture->arena, &list, &error));
    assert_int_equal(list->count, 5);
}

static void files_are_private_and_a_foreign_server_key_does_not_open_them(void **state)
{
    struct fixture *fixture = *state;
    struct stat info;
    char path[128];
    struct error error = { 0 };
    struct signature signature = sign(fixture, "expert-1", STR("a"));
    (void)snprintf(path, sizeof path, "%s/server.key", fixture->folder);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 32);
    signing_close(fixture->keys);
    assert_true(file_write_atomically(path, STR("0123456789abcdef0123456789abcdef"), 0600, &error));
    fixture->keys = open_keys(fixture);
    struct signer signer = signing_signer(fixture->keys);
    assert_false(signer.sign(signer.context, STR("expert-1"), STR("b"), &signature, &error));
    assert_int_equal(error.kind, ERROR_INTERNAL);
    assert_non_null(strstr(error.text, "server.key"));
}

/* A document as sign writes it, with its signature over everything but id, meta and signature. */
static void a_document_is_verified_from_its_own_text(void **state)
{
    struct fixture *fixture = *state;
    struct error error = { 0 };
    struct json *document = NULL;
    struct str bytes = STR_NONE;
    struct signing_verdict verdict = { 0 };
    struct signer signer = signing_signer(fixture->keys);
    struct arena *arena = &fixture->arena;
    struct str text = STR("{\"type\":\"document\",\"id\":\"1\",\"resourceType\":\"Bundle\",\"total\": "
                          "1.50,\"meta\":{\"versionId\":\"1\"}}");
    assert_true(json_read(arena, text, &document, &error));
    assert_true(signing_canonical(arena, document, &bytes, &error));
    assert_true(str_equal(bytes, STR("{\"resourceType\":\"Bundle\",\"total\":1.50,\"type\":\"document\"}")));
    struct signature made = sign(fixture, "expert-1", bytes);
    struct str signature_text = arena_printf(
        arena,
        "{\"extension\":[{\"url\":\"urn:shanhai:ext:certificate-number\",\"valueString\":\"%s\"}],"
        "\"when\":\"2026-02-02T10:40:00.000+08:00\",\"sigFormat\":\"application/"
        "x-sm2-sm3\",\"data\":\"%.*s\"}",
        made.number, STR_FMT(signature_base64(arena, &made)));
    struct json *signature = NULL;
    assert_true(json_read(arena, signature_text, &signature, &error));
    assert_true(json_set(document, STR("signature"), signature) != NULL);
    assert_true(signing_verify(&signer, arena, document, signature, &verdict, &error));
    assert_true(verdict.valid);
    assert_string_equal(verdict.number, made.number);
    assert_int_equal(verdict.time_ms, start_ms);
    (void)json_add_text(arena, document, STR("language"), STR("zh"));
    assert_true(signing_verify(&signer, arena, document, signature, &verdict, &error));
    assert_false(verdict.valid);
    assert_false(signing_verify(&signer, arena, document, document, &verdict, &error));
    assert_int_equal(error.kind, ERROR_STRUCTURE);
}

static void base64_goes_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct signature signature = sign(fixture, "expert-1", STR("a"));
    struct signature back = { 0 };
    struct str text = signature_base64(&fixture->arena, &signature);
    assert_true(signature_from_base64(text, &back));
    assert_int_equal(back.len, signature.len);
    assert_memory_equal(back.bytes, signature.bytes, back.len);
    assert_false(signature_from_base64(STR("not base64!"), &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signature_holds_only_for_its_data_and_person, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_person_keeps_the_key_over_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_numbers_and_odd_people_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rotation_overlaps_and_old_signatures_stay_valid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_private_and_a_foreign_server_key_does_not_open_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_document_is_verified_from_its_own_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(base64_goes_both_ways, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
