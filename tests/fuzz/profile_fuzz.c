/* A StructureDefinition of a stranger: checking a patient against it, under its own URL and as its own base, neither
 * crashes nor runs away. */
#include <stdint.h>

#include "fhir/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool find(void *data, struct arena *arena, struct str url, const struct json **structure,
                 struct error *error)
{
    (void)arena;
    (void)error;
    *structure = str_starts_with(url, STR("http://hl7.org/fhir/StructureDefinition/Patient")) ? NULL : data;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char patient[] = "{\"resourceType\":\"Patient\",\"id\":\"a\",\"gender\":\"male\",\"_"
                                  "gender\":{\"id\":\"b\"},\"extension\":[{\"url\":"
                                  "\"urn:a\",\"valueString\":\"c\"},{\"url\":\"urn:b\",\"extension\":[{"
                                  "\"url\":\"d\",\"valueCode\":\"e\"}]}],"
                                  "\"identifier\":[{\"system\":\"urn:id\",\"value\":\"1\"},{\"system\":\"urn:"
                                  "card\"}],\"name\":[{\"family\":\"f\","
                                  "\"given\":[\"g\",null],\"_given\":[null,{\"id\":\"h\"}]}],\"contained\":[{"
                                  "\"resourceType\":\"Organization\","
                                  "\"id\":\"o\",\"name\":\"i\"}],\"managingOrganization\":{\"reference\":\"#"
                                  "o\"},\"deceasedBoolean\":true,"
                                  "\"maritalStatus\":{\"coding\":[{\"system\":\"urn:x\",\"code\":\"M\"}]}}";
    struct arena arena = { .bytes_max = 256u << 20 };
    struct error error = { 0 };
    struct json *structure = NULL;
    struct json *resource = NULL;
    bool read = json_read(&arena, (struct str){ patient, sizeof patient - 1 }, &resource, &error);
    assert(read);
    if (json_read(&arena, (struct str){ (const char *)data, size }, &structure, &error)) {
        const struct profile_source source = { .data = structure, .find = find };
        const struct profile_wanted wanted = { .url = STR("urn:test:profile"), .required = true };
        struct outcome outcome = outcome_in(&arena);
        bool checked = profile_check(&source, resource, &wanted, &outcome, &error) &&
                       profile_check_extensions(&source, resource, &outcome, &error);
        assert(checked || error.kind != ERROR_NONE);
    }
    arena_deinit(&arena);
    return 0;
}
