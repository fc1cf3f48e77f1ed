/* The JSON reader and writers: what we write we read again, and it says the same. */
#include <assert.h>

#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 1u << 22 };
    struct json *value = NULL;
    struct json *again = NULL;
    struct error error = { 0 };
    struct buf canonical = { .bytes_max = 1u << 20 };
    if (json_read(&arena, (struct str){ (const char *)data, size }, &value, &error)) {
        struct str text = json_write_arena(&arena, value);
        if (text.at != NULL && json_read(&arena, text, &again, &error)) {
            assert(json_equal(value, again));
        } else {
            assert(text.at == NULL || error.kind == ERROR_TOO_LARGE);
        }
        if (json_write_canonical(&canonical, value, &error)) {
            assert(canonical.len > 0);
        }
    }
    buf_deinit(&canonical);
    arena_deinit(&arena);
    return 0;
}
