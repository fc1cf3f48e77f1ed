/* Any text as an expression, on a small patient: it compiles or is refused with a place, it evaluates or is
 * refused within the budget, what it gives can be written as text, JSON and path, and a second evaluation
 * gives as many items. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "fhirpath/fhirpath.h"

static const char patient[] =
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"active\":true,\"name\":[{\"use\":\"official\",\"family\":"
    "\"张\","
    "\"given\":[\"三\",null],\"_given\":[null,{\"extension\":[{\"url\":\"u\",\"valueString\":\"x\"}]}]},"
    "{\"text\":\"b\"}],\"birthDate\":\"1974-12\",\"deceasedDateTime\":\"2020-01-02T03:04:05+08:00\","
    "\"multipleBirthInteger\":2,\"extension\":[{\"url\":\"q\",\"valueQuantity\":{\"value\":1.50,"
    "\"system\":\"http://unitsofmeasure.org\",\"code\":\"mg/dL\"}}],"
    "\"managingOrganization\":{\"reference\":\"Organization/1\"}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 16u << 20 };
    struct error error = { 0 };
    struct json *resource = NULL;
    struct str expression = { (const char *)data, size };
    bool ok = json_read(&arena, (struct str){ patient, sizeof patient - 1 }, &resource, &error);
    assert(ok);
    const struct fhirpath *path = fhirpath_compile(&arena, expression, &error);
    if (path != NULL) {
        struct fhirpath_context context = { .arena = &arena, .steps_max = 20000, .now_ms = 1600000000000 };
        struct fhirpath_collection result = { 0 };
        struct fhirpath_collection again = { 0 };
        if (fhirpath_evaluate_on_resource(path, &context, resource, &result, &error)) {
            for (size_t i = 0; i < result.count && i < 100; i++) {
                (void)fhirpath_item_text(&arena, &result.items[i]);
                (void)fhirpath_item_to_json(&arena, &result.items[i]);
                (void)fhirpath_item_path(&arena, &result.items[i]);
            }
            if (fhirpath_evaluate_on_resource(path, &context, resource, &again, &error)) {
                assert(again.count == result.count);
            }
        }
        bool fits = fhirpath_check(path, &arena, STR("Patient"), &error);
        assert(fits || error.kind != ERROR_NONE);
    }
    assert(error.kind != ERROR_INTERNAL);
    arena_deinit(&arena);
    return 0;
}
