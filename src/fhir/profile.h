/* profile.h — checking a resource against a profile (R4 5.1): a StructureDefinition that restricts a type. */
#ifndef SHANHAI_FHIR_PROFILE_H
#define SHANHAI_FHIR_PROFILE_H

#include "fhir/outcome.h"

/* Where StructureDefinitions are found. Any thread. */
struct profile_source {
    void *data;
    /* *structure stays NULL when nothing of that canonical URL ("url" or "url|version") is known. The tree lives in
     * the arena or longer. */
    bool (*find)(void *data, struct arena *arena, struct str url, const struct json **structure,
                 struct error *error);
};

#endif
