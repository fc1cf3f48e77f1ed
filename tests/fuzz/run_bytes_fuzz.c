/* run_bytes_fuzz.c — any bytes as a row of index_pending: a run in order or told to be damaged; what was read is written again
 * and then reads the same, and can be merged with itself. */
#include <assert.h>
#include <stddef.h>

#include "store/runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *run = NULL;
    struct run *again = NULL;
    struct buf bytes = { .bytes_max = 16u << 20 };
    struct error error = { 0 };
    if (!run_read((struct str){ (const char *)data, size }, 7, &run, &error)) {
        assert(error.kind == ERROR_INTERNAL || error.kind == ERROR_BUSY);
        return 0;
    }
    run_write(run, &bytes);
    bool ok = run_read(buf_str(&bytes), 7, &again, &error);
    assert(ok);
    assert(again->count == run->count);
    struct run *both = run_merge(run, again);
    assert(both != NULL);
    assert(both->count == run->count);
    for (size_t i = 0; i < run->count; i++) {
        assert(run_rows_compare(both, &both->rows[i], run, &run->rows[i]) == 0);
    }
    run_unref(both);
    run_unref(again);
    run_unref(run);
    buf_deinit(&bytes);
    return 0;
}
