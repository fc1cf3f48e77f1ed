#include "fhir/validation.h"

#include <assert.h>

#include "fhir/invariant.h"
#include "fhir/validate.h"

struct validator {
    struct arena arena; /* holds this struct */
    struct invariants *invariants;
};

bool validator_create(struct validator **validator, struct error *error)
{
    struct arena arena = { .bytes_max = 1 << 20 };
    struct validator *made = ARENA_NEW(&arena, struct validator);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the rules of R4");
    }
    made->arena = arena;
    if (!invariants_create(&made->invariants, error)) {
        validator_destroy(made);
        return false;
    }
    *validator = made;
    return true;
}

void validator_destroy(struct validator *validator)
{
    if (validator != NULL) {
        struct arena arena = validator->arena;
        invariants_destroy(validator->invariants);
        arena_deinit(&arena);
    }
}

bool validation_has_claim(const struct json *resource)
{
    const struct json *claims = JSON_GET(JSON_GET(resource, "meta"), "profile");
    return claims != NULL && claims->count > 0;
}

bool validation_check(const struct validator *validator, const struct json *resource,
                      const struct validation_options *options, struct outcome *outcome)
{
    assert(validator != NULL);
    size_t errors_before = outcome->errors_count;
    const struct validate_options structure = { .type = options->type, .extensible = true };
    if (!validate_resource(resource, &structure, outcome)) {
        return false;
    }
    bool kept = invariants_check(validator->invariants, resource, outcome);
    return kept && outcome->errors_count == errors_before;
}
