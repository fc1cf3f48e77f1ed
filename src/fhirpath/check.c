/* The semantic check against a type. */
#include "fhirpath/engine.h"

bool fhirpath_check(const struct fhirpath *path, struct arena *arena, struct str type, struct error *error)
{
    (void)path;
    (void)arena;
    (void)type;
    (void)error;
    return true;
}
