/* Any JSON as the resource, under expressions that look at all of it: shapes that R4 does not have (an array for
 * an object, a "_name" of the wrong kind) must end in items or an error, never in a crash. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "fhirpath/fhirpath.h"

static const char *const expressions[] = {
    "descendants().select($this | extension.value | toString())",
    "descendants().ofType(Quantity).select($this = 1 'mg' or $this > 1 or $this ~ 1 'g')",
    "descendants().ofType(Reference).resolve().descendants()",
    "descendants().where($this is dateTime or $this is date).select(lowBoundary() < highBoundary())",
    "descendants().distinct().combine(children()).isDistinct()",
    "name.given.select($this & '-').join(',')",
    "value.exists() or value.empty() or (value as string) = 'x'",
    "contained.where(('#' + id) in %resource.descendants().reference).exists()",
    "repeat(children()).type().name",
    "text.`div`.htmlChecks()",
    "birthDate + 1 year > today() - 3 months",
    "descendants() ~ descendants()",
};
enum { EXPRESSIONS_COUNT = sizeof expressions / sizeof expressions[0] };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct error error = { 0 };
    struct json *resource = NULL;
    bool is_json = json_read(&arena, (struct str){ (const char *)data, size }, &resource, &error);
    for (size_t i = 0; is_json && i < EXPRESSIONS_COUNT; i++) {
        const struct fhirpath *path = fhirpath_compile(&arena, str_from_cstr(expressions[i]), &error);
        assert(path != NULL);
        struct fhirpath_context context = { .arena = &arena, .steps_max = 20000, .as_filters = true };
        struct fhirpath_collection result = { 0 };
        if (!fhirpath_evaluate_on_resource(path, &context, resource, &result, &error)) {
            assert(error.kind != ERROR_INTERNAL);
            continue;
        }
        for (size_t k = 0; k < result.count && k < 50; k++) {
            (void)fhirpath_item_text(&arena, &result.items[k]);
            (void)fhirpath_item_to_json(&arena, &result.items[k]);
            (void)fhirpath_item_path(&arena, &result.items[k]);
        }
    }
    arena_deinit(&arena);
    return 0;
}
