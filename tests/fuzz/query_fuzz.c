/* Query strings and forms: what is accepted is UTF-8 without NUL, and encoding it again gives the same pairs. */
#include <stdint.h>

#include "base/limits.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 1u << 22 };
    const struct http_pair *pairs = NULL;
    const struct http_pair *again = NULL;
    size_t count = 0;
    size_t again_count = 0;
    struct error error;
    if (size < LIMIT_URL_BYTES &&
        query_parse(&arena, (struct str){ (const char *)data, size }, &pairs, &count, &error)) {
        struct buf text = { .bytes_max = 1u << 20 };
        for (size_t i = 0; i < count; i++) {
            assert(str_is_utf8(pairs[i].name));
            assert(str_find_char(pairs[i].value, '\0') == pairs[i].value.len);
            percent_encode(&text, pairs[i].name);
            buf_add_char(&text, '=');
            percent_encode(&text, pairs[i].value);
            buf_add_char(&text, '&');
        }
        assert(!text.failed);
        bool ok = query_parse(&arena, buf_str(&text), &again, &again_count, &error);
        assert(ok);
        assert(count == again_count);
        for (size_t i = 0; i < count; i++) {
            assert(str_equal(pairs[i].name, again[i].name));
            assert(str_equal(pairs[i].value, again[i].value));
        }
        buf_deinit(&text);
    }
    arena_deinit(&arena);
    return 0;
}
