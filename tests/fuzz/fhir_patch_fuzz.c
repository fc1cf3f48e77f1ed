/* The input as a JSON patch and as a FHIRPath patch on a small patient: it changes a copy or is refused; what comes
 * out is JSON that reads back, and the patient is as it was. */
#include <assert.h>
#include <stdint.h>

#include "fhir/patch.h"

static const char patient[] = "{\"resourceType\":\"Patient\",\"active\":true,\"name\":[{\"family\":\"a\","
                              "\"given\":[\"x\",\"y\"]},{\"family\":"
                              "\"b\"}],\"deceasedBoolean\":false,\"contact\":[{\"gender\":\"male\"}]}";

static void check(struct arena *arena, const struct json *patched)
{
    struct json *again = NULL;
    struct error error = { 0 };
    struct str text = json_write_arena(arena, patched);
    bool ok = text.at == NULL || json_read(arena, text, &again, &error);
    assert(ok);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct error error = { 0 };
    struct json *resource = NULL;
    struct json *patch = NULL;
    struct json *patched = NULL;
    bool ok = json_read(&arena, (struct str){ patient, sizeof patient - 1 }, &resource, &error);
    assert(ok);
    if (json_read(&arena, (struct str){ (const char *)data, size }, &patch, &error)) {
        if (patch_json(&arena, resource, patch, &patched, &error)) {
            check(&arena, patched);
        }
        if (patch_fhirpath(&arena, resource, patch, &patched, &error)) {
            check(&arena, patched);
        }
        struct str after = json_write_arena(&arena, resource);
        assert(after.at == NULL || str_equal_cstr(after, patient));
    }
    arena_deinit(&arena);
    return 0;
}
