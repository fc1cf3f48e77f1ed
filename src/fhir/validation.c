#include "fhir/validation.h"

#include <assert.h>

#include "fhir/invariant.h"
#include "fhir/validate.h"

struct validator {
    struct arena arena; /* holds this struct */
    struct invariants *invariants;
    struct profile_set *profiles;
};

bool validator_create(struct str profiles, struct validator **validator, struct error *error)
{
    struct arena arena = { .bytes_max = 16 << 20 };
    struct validator *made = ARENA_NEW(&arena, struct validator);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the rules of R4");
    }
    made->arena = arena;
    if (!invariants_create(&made->invariants, error) ||
        !profile_set_create(&made->arena, profiles, &made->profiles, error)) {
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

const struct profile_set *validator_profiles(const struct validator *validator)
{
    return validator->profiles;
}

bool validation_has_claim(const struct json *resource)
{
    const struct json *claims = JSON_GET(JSON_GET(resource, "meta"), "profile");
    return claims != NULL && claims->count > 0;
}

static bool check_profiles(const struct json *resource, const struct validation_options *options,
                           struct outcome *outcome, struct error *error)
{
    JSON_EACH(claim, JSON_GET(JSON_GET(resource, "meta"), "profile")) {
        const struct profile_wanted wanted = { .url = json_text(outcome->arena, claim) };
        if (!profile_check(options->source, resource, &wanted, outcome, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < options->profiles_count; i++) {
        const struct profile_wanted wanted = { .url = options->profiles[i], .required = true };
        if (!profile_check(options->source, resource, &wanted, outcome, error)) {
            return false;
        }
    }
    return profile_check_extensions(options->source, resource, outcome, error);
}

bool validation_check(const struct validator *validator, const struct json *resource,
                      const struct validation_options *options, struct outcome *outcome)
{
    assert(validator != NULL);
    size_t errors_before = outcome->errors_count;
    const struct validate_options structure = { .type = options->type, .full = true };
    if (!validate_resource(resource, &structure, outcome)) {
        return false;
    }
    bool kept = invariants_check(validator->invariants, resource, outcome);
    struct error error = { 0 };
    if (options->source != NULL && !check_profiles(resource, options, outcome, &error)) {
        outcome_add_error(outcome, &error);
        kept = false;
    }
    return kept && outcome->errors_count == errors_before;
}
