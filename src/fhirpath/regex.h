/* regex.h — inside of src/fhirpath: regular expressions by ICU, with a limit of time and of stack, so
 * that a pattern made to run for ever ends in ERROR_TOO_COSTLY. `.` matches line ends too (N1 5.6.9).
 * A cache belongs to one evaluation: it keeps the last pattern compiled. */
#ifndef SHANHAI_FHIRPATH_REGEX_H
#define SHANHAI_FHIRPATH_REGEX_H

#include "base/arena.h"
#include "base/error.h"

struct regex_cache;

/* Finds the pattern anywhere, or over the whole text. ERROR_RULE for a pattern that is none. */
bool regex_matches(struct regex_cache **cache, struct str pattern, struct str text, bool whole, bool *matches,
                   struct error *error) MUST_CHECK;

/* Each match replaced; `substitution` may name groups ($1, ${name}). */
bool regex_replace(struct regex_cache **cache, struct arena *arena, const struct str texts[3],
                   struct str *out, struct error *error) MUST_CHECK;

/* NULL is allowed. */
void regex_cache_free(struct regex_cache *cache);

#endif
