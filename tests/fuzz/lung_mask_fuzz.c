/* The mask comes back from a process that has touched strangers' bytes: whatever it says, reading it stays inside
 * its bounds, and a slice that reads has only known labels. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lung/lung_measure.h"

enum { PLANE_MAX = 1 << 20, SLICES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = { (const char *)data, size };
    struct error error = { 0 };
    struct lung_mask mask;
    if (lung_mask_open(input, &mask, &error) && mask.columns * mask.rows <= PLANE_MAX) {
        uint8_t *labels = malloc(mask.columns * mask.rows);
        for (size_t z = 0; labels != NULL && z < mask.slices && z < SLICES_MAX; z++) {
            if (lung_mask_read_slice(&mask, z, labels, &error)) {
                for (size_t i = 0; i < mask.columns * mask.rows; i++) {
                    assert(labels[i] <= LUNG_LABEL_EXCLUDED);
                }
                lung_mask_to_overlay(labels, mask.columns * mask.rows);
            }
        }
        size_t slice = 0;
        if (lung_mask_find(&mask, str_slice(input, 16, 40), &slice)) {
            assert(slice < mask.slices);
        }
        free(labels);
    }
    struct str json;
    struct str bytes;
    if (lung_worker_read_result(input, &json, &bytes, &error)) {
        assert(json.len + bytes.len <= size);
    }
    struct arena arena = { .bytes_max = 1 << 16 };
    struct lung_source source;
    if (lung_worker_read_source(&arena, input, &source, &error)) {
        assert(source.path != NULL);
    }
    arena_deinit(&arena);
    return 0;
}
