/* Any bytes as a policy file: they are refused with a reason, or understood; then every role has titles and every
 * rule a type and an interaction, so that nothing half-read can widen what is allowed. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "access/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    struct error error = { 0 };
    struct policy_set set = { 0 };
    struct access_policy_file files[2] = { { STR("a.json"), { (const char *)data, size } },
                                           { STR("set.json"), STR("{\"set\":\"signed-in\",\"rules\":[]}") } };
    if (policy_read(&arena, files, 2, &set, &error)) {
        for (size_t i = 0; i < set.roles_count; i++) {
            const struct policy_role *role = &set.roles[i];
            assert(role->code.len > 0 && role->title.len > 0);
            assert(policy_role_find(&set, role->code) == role);
            for (size_t k = 0; k < role->rules_count; k++) {
                assert(role->rules[k]->types_count > 0);
                assert(role->rules[k]->interactions != 0);
                assert(role->rules[k]->interactions >> ACCESS_INTERACTIONS_COUNT == 0);
            }
        }
    } else {
        assert(error.kind != ERROR_NONE && error.text[0] != '\0');
    }
    arena_deinit(&arena);
    return 0;
}
