/* Three lines: a pattern, a substitution, a text. It ends within its limit, a whole match is a match, and what does not
 * match is not replaced. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "fhirpath/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct str rest = { (const char *)data, size };
    struct regex_question question = { .pattern = STR(""), .substitution = STR("") };
    (void)str_split_next(&rest, '\n', &question.pattern);
    if (rest.at != NULL) {
        (void)str_split_next(&rest, '\n', &question.substitution);
    }
    question.text = rest.at == NULL ? STR("") : rest;
    struct regex_cache *cache = NULL;
    struct error error = { 0 };
    bool whole = false;
    bool part = false;
    struct str out = STR_NONE;
    if (size > 0 && str_is_utf8((struct str){ (const char *)data, size })) {
        question.whole = true;
        bool told = regex_matches(&cache, &arena, &question, &whole, &error);
        question.whole = false;
        if (told && regex_matches(&cache, &arena, &question, &part, &error)) {
            assert(!whole || part);
            if (regex_replace(&cache, &arena, &question, &out, &error)) {
                assert(part || str_equal(out, question.text));
                assert(str_is_utf8(out));
            }
        }
        assert(error.kind != ERROR_INTERNAL);
    }
    regex_cache_close(cache);
    arena_deinit(&arena);
    return 0;
}
