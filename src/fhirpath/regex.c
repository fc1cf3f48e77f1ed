#include "fhirpath/regex.h"

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
    struct str pattern; /* what it was compiled from, to know it again */
    uint32_t flags;
    UChar *scratch; /* for the text, used again and again */
    size_t scratch_capacity;
};

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

/* UTF-8 as UTF-16 in the arena. */
static UChar *to_utf16(struct arena *arena, struct str text, int32_t *length, struct error *error)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar *out = text.len > REGEX_TEXT_BYTES_MAX ? NULL : arena_alloc(arena, (text.len + 1) * sizeof *out);
    if (out == NULL) {
        (void)too_large(error);
        return NULL;
    }
    u_strFromUTF8(out, (int32_t)text.len + 1, length, text.at == NULL ? "" : text.at, (int32_t)text.len,
                  &status);
    return check(status, error) ? out : NULL;
}

/* The text to be looked at, in the scratch memory of the cache, handed to the expression. */
static bool set_text(struct regex_cache *cache, struct arena *arena, struct str text, struct error *error)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    if (text.len > REGEX_TEXT_BYTES_MAX) {
        return too_large(error);
    }
    if (cache->scratch_capacity < text.len + 1) {
        cache->scratch = arena_alloc(arena, (text.len * 2 + 64) * sizeof *cache->scratch);
        cache->scratch_capacity = cache->scratch == NULL ? 0 : text.len * 2 + 64;
        if (cache->scratch == NULL) {
            return too_large(error);
        }
    }
    u_strFromUTF8(cache->scratch, (int32_t)cache->scratch_capacity, &length, text.at == NULL ? "" : text.at,
                  (int32_t)text.len, &status);
    if (!check(status, error)) {
        return false;
    }
    uregex_setText(cache->compiled, cache->scratch, length, &status);
    return check(status, error);
}

static bool read_flags(struct str text, uint32_t *flags, struct error *error)
{
    *flags = UREGEX_DOTALL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != 'i' && text.at[i] != 'm') {
            return FAIL(error, ERROR_RULE, "a regular expression knows the flags i and m only");
        }
        *flags |= text.at[i] == 'i' ? UREGEX_CASE_INSENSITIVE : UREGEX_MULTILINE;
    }
    return true;
}

static bool compile(struct regex_cache **cache, struct arena *arena, const struct regex_question *question,
                    struct error *error)
{
    int32_t length = 0;
    uint32_t flags = 0;
    /* ICU refuses the empty pattern, which is everywhere. */
    struct str pattern = question->pattern.len == 0 ? STR("(?:)") : question->pattern;
    if (!read_flags(question->flags, &flags, error)) {
        return false;
    }
    if (*cache != NULL && (*cache)->flags == flags && str_equal((*cache)->pattern, pattern)) {
        return true;
    }
    regex_cache_close(*cache);
    *cache = NULL;
    struct regex_cache *fresh = ARENA_NEW(arena, struct regex_cache);
    UChar *text = fresh == NULL ? NULL : to_utf16(arena, pattern, &length, error);
    if (fresh == NULL) {
        return too_large(error);
    }
    if (text == NULL) {
        return false;
    }
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    fresh->compiled = uregex_open(text, length, flags, &where, &status);
    if (U_FAILURE(status)) {
        return FAIL(error, ERROR_RULE, "a regular expression is not well formed");
    }
    fresh->pattern = pattern;
    fresh->flags = flags;
    *cache = fresh;
    uregex_setTimeLimit(fresh->compiled, REGEX_TIME_LIMIT, &status);
    uregex_setStackLimit(fresh->compiled, REGEX_STACK_BYTES, &status);
    return check(status, error);
}

bool regex_matches(struct regex_cache **cache, struct arena *arena, const struct regex_question *question,
                   bool *matches, struct error *error)
{
    if (!compile(cache, arena, question, error) || !set_text(*cache, arena, question->text, error)) {
        return false;
    }
    UErrorCode status = U_ZERO_ERROR;
    UBool found = question->whole ? uregex_matches((*cache)->compiled, -1, &status)
                                  : uregex_find((*cache)->compiled, -1, &status);
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

/* ICU first says how long the result is, then writes it. */
bool regex_replace(struct regex_cache **cache, struct arena *arena, const struct regex_question *question,
                   struct str *out, struct error *error)
{
    int32_t length = 0;
    UErrorCode status = U_ZERO_ERROR;
    if (!compile(cache, arena, question, error) || !set_text(*cache, arena, question->text, error)) {
        return false;
    }
    UChar *substitution = to_utf16(arena, question->substitution, &length, error);
    if (substitution == NULL) {
        return false;
    }
    int32_t needed = uregex_replaceAll((*cache)->compiled, substitution, length, NULL, 0, &status);
    if (status != U_BUFFER_OVERFLOW_ERROR && !check(status, error)) {
        return false;
    }
    if (needed < 0 || needed > REGEX_TEXT_BYTES_MAX) {
        return too_large(error);
    }
    UChar *result = arena_alloc(arena, ((size_t)needed + 1) * sizeof *result);
    if (result == NULL) {
        return too_large(error);
    }
    status = U_ZERO_ERROR;
    int32_t written =
        uregex_replaceAll((*cache)->compiled, substitution, length, result, needed + 1, &status);
    return check(status, error) && to_utf8(arena, result, written, out, error);
}

void regex_cache_close(struct regex_cache *cache)
{
    if (cache != NULL && cache->compiled != NULL) {
        uregex_close(cache->compiled);
        cache->compiled = NULL;
    }
}
