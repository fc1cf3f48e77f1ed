/* packed_rows_fuzz.c — any bytes as the packed rows of a version: read to an end or told to be damaged; what was read is
 * packed again, and then reads the same. */
#include <assert.h>
#include <stdlib.h>

#include "store/packed_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 3000 };

static size_t rows_read(struct str bytes, struct index_row *rows)
{
    struct packed_reader reader;
    size_t count = 0;
    if (packed_rows_begin(&reader, bytes) == PACKED_DAMAGED) {
        return 0;
    }
    while (count < ROWS_MAX && packed_rows_next(&reader, &rows[count]) == PACKED_ROW) {
        count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 16u << 20 };
    struct index_row *rows = calloc(2 * ROWS_MAX, sizeof *rows);
    assert(rows != NULL);
    size_t count = rows_read((struct str){ (const char *)data, size }, rows);
    struct index_rows found = { rows, count };
    struct str packed = STR_NONE;
    struct str again = STR_NONE;
    struct error error = { 0 };
    bool ok = packed_rows_make(&arena, &found, &packed, &error);
    assert(ok);
    size_t kept = rows_read(packed, rows + ROWS_MAX);
    assert(kept <= count);
    assert(kept > 0 || count == 0);
    found = (struct index_rows){ rows + ROWS_MAX, kept };
    ok = packed_rows_make(&arena, &found, &again, &error);
    assert(ok);
    assert(str_equal(packed, again));
    free(rows);
    arena_deinit(&arena);
    return 0;
}
