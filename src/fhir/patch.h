/* patch.h — changing a resource in place of sending it whole (R4 3.1.0.9): JSON Patch (RFC 6902) and FHIRPath Patch
 * (a Parameters resource). The tree that comes back is new where it was changed and else shares the text of the old
 * one and of the patch, which must outlive it; the old tree is untouched. The result is not validated here.
 *
 * ERROR_INPUT: the patch itself is wrong. ERROR_RULE: it does not fit the resource (no such place, a test fails, a
 * path with several items); then nothing is changed. Texts name operations by number, never a value. */
#ifndef SHANHAI_FHIR_PATCH_H
#define SHANHAI_FHIR_PATCH_H

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

/* `patch` is the array of operations. */
bool patch_json(struct arena *arena, const struct json *resource, const struct json *patch,
                struct json **patched, struct error *error) MUST_CHECK;

/* `parameters` is the Parameters resource with its operations: add, insert, delete, replace, move. */
bool patch_fhirpath(struct arena *arena, const struct json *resource, const struct json *parameters,
                    struct json **patched, struct error *error) MUST_CHECK;

#endif
