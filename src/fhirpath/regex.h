/* regex.h — inside of src/fhirpath: regular expressions by ICU, with a limit of time and of stack, so
 * that a pattern made to run for ever ends in ERROR_TOO_COSTLY. `.` matches line ends too (N1 5.6.9).
 * A cache belongs to one evaluation: it keeps the last pattern compiled. */
#ifndef SHANHAI_FHIRPATH_REGEX_H
#define SHANHAI_FHIRPATH_REGEX_H

#include "base/arena.h"
#include "base/error.h"

struct regex_cache;

struct regex_question {
    struct str pattern; /* must live as long as the cache */
    struct str text;
    struct str substitution; /* for replace; may name groups ($1, ${name}) */
    struct str flags;        /* of "i" (case does not matter) and "m" (^ and $ also at line ends) */
    bool whole;              /* the pattern must cover the whole text */
};

/* ERROR_RULE for a pattern that is none. */
bool regex_matches(struct regex_cache **cache, struct arena *arena, const struct regex_question *question,
                   bool *matches, struct error *error) MUST_CHECK;

/* The text with each match replaced. */
bool regex_replace(struct regex_cache **cache, struct arena *arena, const struct regex_question *question,
                   struct str *out, struct error *error) MUST_CHECK;

/* Ends the compiled pattern; the memory goes with the arena. NULL is allowed. */
void regex_cache_close(struct regex_cache *cache);

#endif
