#include "fhirpath/types.h"

struct model_type {
    const char *name;
    const char *base;
    enum fhirpath_kind system;
};

/* Until the model's tables are here: enough types to tell primitives from objects. */
static const struct model_type types[] = {
    { "boolean", NULL, FHIRPATH_BOOLEAN },
    { "integer", NULL, FHIRPATH_INTEGER },
    { "unsignedInt", "integer", FHIRPATH_INTEGER },
    { "positiveInt", "integer", FHIRPATH_INTEGER },
    { "decimal", NULL, FHIRPATH_DECIMAL },
    { "string", NULL, FHIRPATH_STRING },
    { "code", "string", FHIRPATH_STRING },
    { "id", "string", FHIRPATH_STRING },
    { "markdown", "string", FHIRPATH_STRING },
    { "uri", NULL, FHIRPATH_STRING },
    { "url", "uri", FHIRPATH_STRING },
    { "canonical", "uri", FHIRPATH_STRING },
    { "oid", "uri", FHIRPATH_STRING },
    { "uuid", "uri", FHIRPATH_STRING },
    { "base64Binary", NULL, FHIRPATH_STRING },
    { "date", NULL, FHIRPATH_DATE },
    { "dateTime", NULL, FHIRPATH_DATETIME },
    { "instant", NULL, FHIRPATH_DATETIME },
    { "time", NULL, FHIRPATH_TIME },
    { "Quantity", NULL, FHIRPATH_QUANTITY },
    { "Age", "Quantity", FHIRPATH_QUANTITY },
    { "Duration", "Quantity", FHIRPATH_QUANTITY },
    { "HumanName", NULL, FHIRPATH_NODE },
    { "Period", NULL, FHIRPATH_NODE },
    { "CodeableConcept", NULL, FHIRPATH_NODE },
    { "Coding", NULL, FHIRPATH_NODE },
    { "Reference", NULL, FHIRPATH_NODE },
    { "Resource", NULL, FHIRPATH_NODE },
    { "Patient", "Resource", FHIRPATH_NODE },
    { "Observation", "Resource", FHIRPATH_NODE },
};

const struct model_type *type_find(struct str name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (str_equal_cstr(name, types[i].name)) {
            return &types[i];
        }
    }
    return NULL;
}

struct str type_name(const struct model_type *type)
{
    return type == NULL ? STR_NONE : str_from_cstr(type->name);
}

bool type_descends(const struct model_type *type, const struct model_type *ancestor)
{
    while (type != NULL && type != ancestor) {
        type = type->base == NULL ? NULL : type_find(str_from_cstr(type->base));
    }
    return type != NULL;
}

bool type_is_primitive(const struct model_type *type)
{
    return type->system != FHIRPATH_NODE && type->system != FHIRPATH_QUANTITY;
}

bool type_is_abstract_resource(const struct model_type *type)
{
    return strcmp(type->name, "Resource") == 0;
}

enum fhirpath_kind type_system_kind(const struct model_type *type)
{
    return type->system;
}

bool type_child_named(const struct model_type *type, struct str name, struct type_child *child)
{
    (void)type;
    *child = (struct type_child){ .is_choice = str_equal(name, STR("value")) && !type_is_primitive(type) &&
                                               type->system != FHIRPATH_QUANTITY };
    return true;
}

const struct model_type *type_of_member(const struct model_type *type, struct str member)
{
    (void)type;
    (void)member;
    return NULL;
}

const struct model_type *type_of_choice(struct str name, struct str member)
{
    struct str suffix = str_skip(member, name.len);
    const struct model_type *type = type_find(suffix);
    if (type == NULL && suffix.len > 0 && suffix.len < 32) {
        char lower[32];
        memcpy(lower, suffix.at, suffix.len);
        lower[0] = (char)(lower[0] | 32);
        type = type_find((struct str){ lower, suffix.len });
    }
    return type;
}
