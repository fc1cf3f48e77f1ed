/* Patches: each operation, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fhir/patch.h"

static struct arena arena = { .bytes_max = 256u << 20 };

static const char patient[] =
    "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},"
    "{\"family\":\"b\"}],\"deceasedBoolean\":false}";

static struct json *read_json(const char *text)
{
    struct json *value = NULL;
    struct error error = { 0 };
    if (!json_read(&arena, str_from_cstr(text), &value, &error)) {
        fail_msg("%s: %s", text, error.text);
    }
    return value;
}

typedef bool patch_function(struct arena *, const struct json *, const struct json *, struct json **,
                            struct error *);

static void gives(patch_function *run, const char *patch, const char *expected)
{
    struct json *patched = NULL;
    struct error error = { 0 };
    struct json *before = read_json(patient);
    if (!run(&arena, before, read_json(patch), &patched, &error)) {
        fail_msg("%s: %s", patch, error.text);
    }
    assert_string_equal(json_write_arena(&arena, patched).at, expected);
    assert_string_equal(json_write_arena(&arena, before).at, patient);
}

static void refuses(patch_function *run, const char *patch, enum error_kind kind)
{
    struct json *patched = NULL;
    struct error error = { 0 };
    if (run(&arena, read_json(patient), read_json(patch), &patched, &error)) {
        fail_msg("%s was accepted", patch);
    }
    if (error.kind != kind) {
        fail_msg("%s: kind %d, %s", patch, (int)error.kind, error.text);
    }
    assert_null(patched);
}

#define REST                                                                                                 \
    ",\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},{\"family\":\"b\"}],\"deceasedBoolean\":false}"

static void json_patch_operations(void **state)
{
    (void)state;
    gives(patch_json, "[{\"op\":\"replace\",\"path\":\"/active\",\"value\":false}]",
          "{\"resourceType\":\"Patient\",\"active\":false" REST);
    gives(patch_json,
          "[{\"op\":\"remove\",\"path\":\"/name\"},{\"op\":\"test\",\"path\":\"/active\",\"value\":true}]",
          "{\"resourceType\":\"Patient\",\"active\":true,\"deceasedBoolean\":false}");
    gives(patch_json,
          "[{\"op\":\"remove\",\"path\":\"/name/1\"},{\"op\":\"add\",\"path\":\"/name/0/given/"
          "1\",\"value\":\"z\"},"
          "{\"op\":\"add\",\"path\":\"/name/0/given/-\",\"value\":\"w\"}]",
          "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"z\","
          "\"y\",\"w\"]}]"
          ",\"deceasedBoolean\":false}");
    gives(patch_json,
          "[{\"op\":\"move\",\"from\":\"/name/0\",\"path\":\"/name/1\"},{\"op\":\"copy\",\"from\":\"/name/0/"
          "family\","
          "\"path\":\"/name/1/given/0\"}]",
          "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"b\"},{\"family\":\"a\","
          "\"given\":"
          "[\"b\",\"x\",\"y\"]}],\"deceasedBoolean\":false}");
}

static void json_patch_refusals(void **state)
{
    (void)state;
    refuses(patch_json, "{}", ERROR_INPUT);
    refuses(patch_json, "[{}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"grow\",\"path\":\"/a\"}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"add\",\"path\":\"/a\"}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"remove\",\"path\":\"a\"}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"remove\",\"path\":\"/a~2\"}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"remove\",\"path\":\"/a\"}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"remove\",\"path\":\"\"}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"remove\",\"path\":\"/name/01\"}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"add\",\"path\":\"/name/9\",\"value\":{}}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"add\",\"path\":\"/active/x\",\"value\":{}}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"test\",\"path\":\"/active\",\"value\":false}]", ERROR_RULE);
    refuses(patch_json, "[{\"op\":\"move\",\"from\":\"/name\",\"path\":\"/name/0\"}]", ERROR_INPUT);
    refuses(patch_json, "[{\"op\":\"replace\",\"path\":\"\",\"value\":1}]", ERROR_RULE);
}

static void nesting_without_end_is_refused(void **state)
{
    (void)state;
    struct buf text = { .bytes_max = 1 << 16 };
    buf_add(&text, STR("[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/x\"}"));
    for (int i = 0; i < 80; i++) {
        buf_add(&text, STR(",{\"op\":\"copy\",\"from\":\"\",\"path\":\"/x\"}"));
    }
    buf_add(&text, STR("]"));
    buf_add_char(&text, '\0');
    refuses(patch_json, text.at, ERROR_RULE);
    buf_deinit(&text);
}

/* A list copied into itself is twice as large after each operation: it ends long before the request's memory does. */
static void doubling_without_end_is_refused(void **state)
{
    (void)state;
    struct buf text = { .bytes_max = 1 << 16 };
    for (int i = 0; i < 60; i++) {
        buf_add(&text, i == 0 ? STR("[") : STR(","));
        buf_add(&text, STR("{\"op\":\"copy\",\"from\":\"/name\",\"path\":\"/name/-\"}"));
    }
    buf_add(&text, STR("]"));
    buf_add_char(&text, '\0');
    refuses(patch_json, text.at, ERROR_TOO_LARGE);
    buf_deinit(&text);
}

#define OPERATION(parts)                                                                                     \
    "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"operation\",\"part\":[" parts "]}]}"
#define TYPE(type) "{\"name\":\"type\",\"valueCode\":\"" type "\"}"
#define PATH(path) ",{\"name\":\"path\",\"valueString\":\"" path "\"}"
#define NAME(name) ",{\"name\":\"name\",\"valueString\":\"" name "\"}"
#define VALUE(value) ",{\"name\":\"value\"," value "}"
#define NUMBER(name, value) ",{\"name\":\"" name "\",\"valueInteger\":" value "}"

static void fhirpath_patch_operations(void **state)
{
    (void)state;
    gives(
        patch_fhirpath,
        OPERATION(TYPE("add") PATH("Patient") NAME("birthDate") VALUE("\"valueDate\":\"1930\"")),
        "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},"
        "{\"family\":\"b\"}],\"deceasedBoolean\":false,\"birthDate\":\"1930\"}");
    gives(
        patch_fhirpath,
        OPERATION(TYPE("add") PATH("Patient.name.where(family='b')") NAME("given")
                      VALUE("\"valueString\":\"q\"")),
        "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},"
        "{\"family\":\"b\",\"given\":[\"q\"]}],\"deceasedBoolean\":false}");
    gives(
        patch_fhirpath,
        OPERATION(TYPE("replace") PATH("Patient.deceased") VALUE("\"valueDateTime\":\"2020-02-11\"")),
        "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},"
        "{\"family\":\"b\"}],\"deceasedDateTime\":\"2020-02-11\"}");
    gives(
        patch_fhirpath, OPERATION(TYPE("delete") PATH("Patient.name[1]")),
        "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]}],"
        "\"deceasedBoolean\":false}");
    gives(patch_fhirpath, OPERATION(TYPE("delete") PATH("Patient.birthDate")), patient);
    gives(patch_fhirpath,
          OPERATION(TYPE("insert") PATH("Patient.name.given") NUMBER("index", "1")
                        VALUE("\"valueString\":\"q\"")),
          "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"q\","
          "\"y\"]},"
          "{\"family\":\"b\"}],\"deceasedBoolean\":false}");
    gives(patch_fhirpath,
          OPERATION(TYPE("move") PATH("Patient.name") NUMBER("source", "1") NUMBER("destination", "0")),
          "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"b\"},{\"family\":\"a\","
          "\"given\":"
          "[\"x\",\"y\"]}],\"deceasedBoolean\":false}");
    gives(
        patch_fhirpath,
        OPERATION(TYPE("add") PATH("Patient") NAME("contact") VALUE(
            "\"part\":[{\"name\":\"name\",\"valueHumanName\":{\"text\":\"c\"}},{\"name\":\"gender\","
            "\"valueCode\":\"male\"}]")),
        "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\",\"given\":[\"x\",\"y\"]},"
        "{\"family\":\"b\"}],\"deceasedBoolean\":false,\"contact\":[{\"name\":{\"text\":\"c\"},\"gender\":"
        "\"male\"}]}");
}

static void fhirpath_patch_refusals(void **state)
{
    (void)state;
    refuses(patch_fhirpath, "[]", ERROR_INPUT);
    refuses(patch_fhirpath, "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"x\"}]}",
            ERROR_INPUT);
    refuses(patch_fhirpath, OPERATION(TYPE("grow")), ERROR_INPUT);
    refuses(patch_fhirpath, OPERATION(TYPE("delete")), ERROR_INPUT);
    refuses(patch_fhirpath, OPERATION(TYPE("delete") PATH("Patient.name")), ERROR_RULE);
    refuses(patch_fhirpath, OPERATION(TYPE("delete") PATH("Patient.name[")), ERROR_STRUCTURE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("replace") PATH("Patient.birthDate") VALUE("\"valueDate\":\"1930\"")), ERROR_RULE);
    refuses(patch_fhirpath, OPERATION(TYPE("replace") PATH("Patient.deceased") VALUE("\"valueQuantity\":{}")),
            ERROR_RULE);
    refuses(patch_fhirpath, OPERATION(TYPE("replace") PATH("1 + 1") VALUE("\"valueInteger\":3")), ERROR_RULE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("add") PATH("Patient") NAME("nothing") VALUE("\"valueDate\":\"1930\"")),
            ERROR_RULE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("add") PATH("Patient") NAME("active") VALUE("\"valueBoolean\":true")), ERROR_RULE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("insert") PATH("Patient.name") NUMBER("index", "7")
                          VALUE("\"valueHumanName\":{\"text\":\"c\"}")),
            ERROR_RULE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("move") PATH("Patient.name") NUMBER("source", "2") NUMBER("destination", "0")),
            ERROR_RULE);
    refuses(patch_fhirpath,
            OPERATION(TYPE("move") PATH("Patient.active") NUMBER("source", "0") NUMBER("destination", "0")),
            ERROR_RULE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_patch_operations),          cmocka_unit_test(json_patch_refusals),
        cmocka_unit_test(nesting_without_end_is_refused), cmocka_unit_test(doubling_without_end_is_refused),
        cmocka_unit_test(fhirpath_patch_operations),      cmocka_unit_test(fhirpath_patch_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
