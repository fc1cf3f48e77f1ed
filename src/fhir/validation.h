/* validation.h — full validation, the one that $validate, `shanhai validate` and validate=full ask for: the structure
 * (validate.h), extensible bindings, the invariants of R4 (invariant.h) and the profiles that the resource claims or the
 * caller names (profile.h).
 *
 * struct validator is made once and used by any number of threads. */
#ifndef SHANHAI_FHIR_VALIDATION_H
#define SHANHAI_FHIR_VALIDATION_H

#include "fhir/outcome.h"
#include "fhir/profile.h"

struct validator;

/* Compiles the rules of R4 and reads its profiles (the text of definitions/r4/profiles.json, which is constant; may be
 * absent): a few milliseconds. */
bool validator_create(struct str profiles, struct validator **validator, struct error *error) MUST_CHECK;
void validator_destroy(struct validator *validator); /* NULL is fine */

struct validation_options {
    struct str type;            /* the type the route asks for; absent: any */
    const struct str *profiles; /* canonical URLs to be met beside those in meta.profile */
    size_t profiles_count;
    const struct profile_source *source; /* where profiles are found; NULL: none is known */
};

/* Adds what is wrong to the outcome; true when nothing of severity error was added. Invariants and profiles are asked
 * only of what has a sound structure. A claimed profile that is not known is a warning, a named one an error. */
bool validation_check(const struct validator *validator, const struct json *resource,
                      const struct validation_options *options, struct outcome *outcome) MUST_CHECK;

/* R4's own profiles and extensions. */
const struct profile_set *validator_profiles(const struct validator *validator);

/* Whether the resource claims a profile in meta.profile. */
bool validation_has_claim(const struct json *resource);

#endif
