#include "fhirpath/regex.h"

#include <stdlib.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>

#include "base/limits.h"

enum {
    REGEX_TIME_LIMIT = 200,                 /* ICU's unit: about a millisecond */
    REGEX_STACK_BYTES = 1024 * 1024,        /* of backtracking */
    REGEX_TEXT_BYTES_MAX = 4 * 1024 * 1024, /* of text and of result */
};

struct regex_cache {
    URegularExpression *compiled;
    UChar *pattern_text; /* the text it was compiled from, to know it again */
    int32_t pattern_length;
};

/* UTF-8 as UTF-16, NULL when there is no memory; the caller frees. */
static UChar *to_utf16(struct str text, int32_t *length)
{
    if (text.len > REGEX_TEXT_BYTES_MAX) {
        return NULL;
    }
    UErrorCode status = U_ZERO_ERROR;
    int32_t capacity = (int32_t)text.len + 1;
    UChar *out = malloc((size_t)capacity * sizeof *out);
    if (out == NULL) {
        return NULL;
    }
    u_strFromUTF8(out, capacity, length, text.at == NULL ? "" : text.at, (int32_t)text.len, &status);
    if (U_FAILURE(status)) {
        free(out);
        return NULL;
    }
    return out;
}

static bool too_large(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "a text is too long for a regular expression");
}

/* Execution errors of ICU: the limits, or something we did not expect. */
static bool check(UErrorCode status, struct error *error)
{
    if (U_SUCCESS(status)) {
        return true;
    }
    if (status == U_REGEX_TIME_OUT || status == U_REGEX_STACK_OVERFLOW) {
        return FAIL(error, ERROR_TOO_COSTLY, "a regular expression takes too long");
    }
    return FAIL(error, ERROR_RULE, "a regular expression or its substitution is not well formed");
}

static bool compile(struct regex_cache **cache, struct str pattern, struct error *error)
{
    int32_t length = 0;
    UChar *text = to_utf16(pattern, &length);
    if (text == NULL) {
        return too_large(error);
    }
    if (*cache != NULL && (*cache)->pattern_length == length &&
        memcmp((*cache)->pattern_text, text, (size_t)length * sizeof *text) == 0) {
        free(text);
        return true;
    }
    regex_cache_free(*cache);
    *cache = calloc(1, sizeof **cache);
    if (*cache == NULL) {
        free(text);
        return too_large(error);
    }
    (*cache)->pattern_text = text;
    (*cache)->pattern_length = length;
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    (*cache)->compiled = uregex_open(text, length, UREGEX_DOTALL, &where, &status);
    if (U_FAILURE(status)) {
        regex_cache_free(*cache);
        *cache = NULL;
        return FAIL(error, ERROR_RULE, "a regular expression is not well formed");
    }
    uregex_setTimeLimit((*cache)->compiled, REGEX_TIME_LIMIT, &status);
    uregex_setStackLimit((*cache)->compiled, REGEX_STACK_BYTES, &status);
    return check(status, error);
}

bool regex_matches(struct regex_cache **cache, struct str pattern, struct str text, bool whole, bool *matches,
                   struct error *error)
{
    int32_t length = 0;
    if (!compile(cache, pattern, error)) {
        return false;
    }
    UChar *input = to_utf16(text, &length);
    if (input == NULL) {
        return too_large(error);
    }
    UErrorCode status = U_ZERO_ERROR;
    uregex_setText((*cache)->compiled, input, length, &status);
    UBool found = whole ? uregex_matches((*cache)->compiled, -1, &status)
                        : uregex_find((*cache)->compiled, -1, &status);
    free(input);
    if (!check(status, error)) {
        return false;
    }
    *matches = found != 0;
    return true;
}

static bool to_utf8(struct arena *arena, const UChar *text, int32_t length, struct str *out,
                    struct error *error)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t capacity = length * 3 + 1;
    int32_t written = 0;
    char *bytes = arena_alloc(arena, (size_t)capacity);
    if (bytes == NULL) {
        return too_large(error);
    }
    u_strToUTF8(bytes, capacity, &written, text, length, &status);
    *out = (struct str){ bytes, (size_t)written };
    return check(status, error);
}

/* Replaces into a buffer that grows until the result fits. */
static bool replace_all(struct regex_cache *cache, struct arena *arena, const UChar *substitution,
                        int32_t substitution_length, struct str *out, struct error *error)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t needed = uregex_replaceAll(cache->compiled, substitution, substitution_length, NULL, 0, &status);
    if (status != U_BUFFER_OVERFLOW_ERROR && !check(status, error)) {
        return false;
    }
    if (needed < 0 || needed > REGEX_TEXT_BYTES_MAX) {
        return too_large(error);
    }
    UChar *result = malloc(((size_t)needed + 1) * sizeof *result);
    if (result == NULL) {
        return too_large(error);
    }
    status = U_ZERO_ERROR;
    int32_t length =
        uregex_replaceAll(cache->compiled, substitution, substitution_length, result, needed + 1, &status);
    bool ok = check(status, error) && to_utf8(arena, result, length, out, error);
    free(result);
    return ok;
}

bool regex_replace(struct regex_cache **cache, struct arena *arena, const struct str texts[3],
                   struct str *out, struct error *error)
{
    int32_t length = 0;
    int32_t substitution_length = 0;
    if (!compile(cache, texts[1], error)) {
        return false;
    }
    UChar *input = to_utf16(texts[0], &length);
    UChar *substitution = to_utf16(texts[2], &substitution_length);
    bool ok = false;
    UErrorCode status = U_ZERO_ERROR;
    if (input == NULL || substitution == NULL) {
        (void)too_large(error);
        goto done;
    }
    uregex_setText((*cache)->compiled, input, length, &status);
    ok = check(status, error) && replace_all(*cache, arena, substitution, substitution_length, out, error);
done:
    free(substitution);
    free(input);
    return ok;
}

void regex_cache_free(struct regex_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    if (cache->compiled != NULL) {
        uregex_close(cache->compiled);
    }
    free(cache->pattern_text);
    free(cache);
}
