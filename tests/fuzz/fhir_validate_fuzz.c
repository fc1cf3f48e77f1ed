/* JSON as a resource: the validator and the index neither crash nor run away, and what is told is itself a valid
 * OperationOutcome. */
#include <stdint.h>

#include "fhir/index.h"
#include "fhir/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct json *resource = NULL;
    struct fhir_index *index = NULL;
    const struct fhir_index_options options = { .offset_minutes = 480 };
    if (!json_read(&arena, (struct str){ (const char *)data, size }, &resource, &error)) {
        goto done;
    }
    struct outcome outcome = outcome_in(&arena);
    bool valid = validate_resource(resource, NULL, &outcome);
    assert(valid == (outcome.errors_count == 0));
    struct json *told = outcome_to_json(&outcome, OUTCOME_CHINESE);
    struct outcome of_told = outcome_in(&arena);
    bool told_valid = told == NULL || validate_resource(told, NULL, &of_told);
    assert(told_valid);
    if (fhir_index_create(&options, &index, &error)) {
        struct index_rows rows = { 0 };
        bool made = fhir_index_rows(index, &arena, resource, &rows, &error);
        assert(made || error.kind != ERROR_NONE);
    }
done:
    fhir_index_destroy(index);
    arena_deinit(&arena);
    return 0;
}
