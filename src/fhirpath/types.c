#include "fhirpath/types.h"

const struct model_type *type_find(struct str name)
{
    return name.len == 0 ? NULL : model_type_find(name);
}

struct str type_name(const struct model_type *type)
{
    if (type == NULL) {
        return STR_NONE;
    }
    return type->kind == MODEL_BACKBONE && type->base != NULL ? type->base->name : type->name;
}

bool type_descends(const struct model_type *type, const struct model_type *ancestor)
{
    while (type != NULL && type != ancestor) {
        type = type->base;
    }
    return type != NULL;
}

/* R4 fhirpath.html 2.9.1.2: FHIR primitives and the System types they become. */
enum fhirpath_kind type_system_kind(const struct model_type *type)
{
    static const struct {
        struct str name;
        enum fhirpath_kind kind;
    } kinds[] = {
        { { "boolean", 7 }, FHIRPATH_BOOLEAN },
        { { "integer", 7 }, FHIRPATH_INTEGER },
        { { "positiveInt", 11 }, FHIRPATH_INTEGER },
        { { "unsignedInt", 11 }, FHIRPATH_INTEGER },
        { { "decimal", 7 }, FHIRPATH_DECIMAL },
        { { "date", 4 }, FHIRPATH_DATE },
        { { "dateTime", 8 }, FHIRPATH_DATETIME },
        { { "instant", 7 }, FHIRPATH_DATETIME },
        { { "time", 4 }, FHIRPATH_TIME },
    };
    if (type->kind != MODEL_PRIMITIVE) {
        return type->kind == MODEL_COMPLEX && model_type_is_a(type, STR("Quantity")) ? FHIRPATH_QUANTITY
                                                                                     : FHIRPATH_NODE;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_equal(type->name, kinds[i].name)) {
            return kinds[i].kind;
        }
    }
    return FHIRPATH_STRING;
}

const struct model_element *type_element(const struct model_type *type, struct str name)
{
    for (size_t i = 0; i < type->elements_count; i++) {
        const struct model_element *element = &type->elements[i];
        if (str_equal(element->choice.len > 0 ? element->choice : element->name, name)) {
            return element;
        }
    }
    return NULL;
}

const struct model_type *type_of_choice(struct str name, struct str member)
{
    struct str suffix = str_skip(member, name.len);
    char lower[32];
    if (suffix.len == 0 || suffix.len >= sizeof lower || suffix.at[0] < 'A' || suffix.at[0] > 'Z') {
        return NULL;
    }
    const struct model_type *type = type_find(suffix);
    if (type == NULL) {
        memcpy(lower, suffix.at, suffix.len);
        lower[0] = (char)(lower[0] | 32);
        type = type_find((struct str){ lower, suffix.len });
    }
    return type;
}
