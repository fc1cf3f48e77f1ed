/* dicomdir_fuzz.c — any bytes as the directory of a CD. */
#include <assert.h>

#include "base/limits.h"
#include "dicom/dicomdir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct error error = { 0 };
    size_t count = 0;
    if (dicomdir_count(&arena, (struct str){ (const char *)data, size }, &count, &error)) {
        assert(count <= LIMIT_DICOM_ELEMENTS);
    }
    arena_deinit(&arena);
    return 0;
}
