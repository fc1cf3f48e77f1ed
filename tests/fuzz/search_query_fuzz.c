/* Search texts: the first byte chooses the type. Whatever is accepted gives a self link that is accepted again, and
 * can be matched against no rows. */
#include <stdint.h>

#include "fhir/search_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str types[] = { { "Patient", 7 }, { "Observation", 11 }, { "Task", 4 }, { NULL, 0 } };
    struct arena arena = { .bytes_max = 64u << 20 };
    struct search_query query = { 0 };
    struct search_query again = { 0 };
    struct error error = { 0 };
    if (size == 0) {
        return 0;
    }
    const struct search_options options = { .type = types[data[0] & 3],
                                            .offset_minutes = 480,
                                            .now_ms = 1583020800000,
                                            .lenient = (data[0] & 4) != 0 };
    const struct str text = { (const char *)data + 1, size - 1 };
    if (search_query_parse_text(&arena, &options, text, &query, &error)) {
        assert(query.pairs_count <= 64);
        struct str self = search_query_self(&arena, &query);
        if (self.at != NULL) {
            bool ok = search_query_parse_text(&arena, &options, self, &again, &error);
            assert(ok);
            assert(again.pairs_count == query.pairs_count);
        }
        const struct search_subject subject = { .id = STR("a") };
        bool known = false;
        (void)search_criteria_match(query.criteria, &subject, &known);
    } else {
        assert(error.kind != ERROR_NONE);
        assert(error.kind != ERROR_INTERNAL);
    }
    arena_deinit(&arena);
    return 0;
}
