/* profile.h — checking a resource against a profile (R4 5.1): a StructureDefinition that restricts a type. Its snapshot is
 * used when it has one; of a profile with a differential only, the differentials of its bases are laid over each other.
 * Checked are cardinality, types and their profiles, fixed and pattern values, slices, bindings to value sets that are
 * known, the profile's own FHIRPath rules, and targets of references; what R4 itself says is validate.h's and
 * invariant.h's work.
 *
 * Any thread; nothing is kept between calls. */
#ifndef SHANHAI_FHIR_PROFILE_H
#define SHANHAI_FHIR_PROFILE_H

#include "fhir/outcome.h"

/* Where StructureDefinitions are found, and which codes a value set has. Any thread. */
struct profile_source {
    void *data;
    /* *structure stays NULL when nothing of that canonical URL ("url" or "url|version") is known. The tree lives in
     * the arena or longer. */
    bool (*find)(void *data, struct arena *arena, struct str url, const struct json **structure,
                 struct error *error);
    /* May be NULL: then only the value sets of the model are known. *known stays false when the set is not. */
    bool (*member_of)(void *data, struct arena *arena, struct str value_set, struct str system,
                      struct str code, bool *known, bool *is_member, struct error *error);
};

/* A fixed set of StructureDefinitions: the text of definitions/r4/profiles.json, an array. */
struct profile_set;
bool profile_set_create(struct arena *arena, struct str text, struct profile_set **set,
                        struct error *error) MUST_CHECK;
const struct json *profile_set_find(const struct profile_set *set, struct str url);

/* Adds what breaks the profile. `required` says whether an unknown profile is an error or a warning. False only when
 * looking up failed. */
struct profile_wanted {
    struct str url;
    bool required;
};
bool profile_check(const struct profile_source *source, const struct json *resource,
                   const struct profile_wanted *wanted, struct outcome *outcome,
                   struct error *error) MUST_CHECK;

/* Every extension in the resource whose definition is known is checked against it. */
bool profile_check_extensions(const struct profile_source *source, const struct json *resource,
                              struct outcome *outcome, struct error *error) MUST_CHECK;

#endif
