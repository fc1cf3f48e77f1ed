/* Types: is, as, ofType, type() (N1 6.3, 5.2.4, reflection). */
#include "fhirpath/functions.h"
#include "fhirpath/types.h"

/* The System types by kind (N1 2.1). */
static const char *const system_names[] = {
    [FHIRPATH_BOOLEAN] = "Boolean", [FHIRPATH_INTEGER] = "Integer",   [FHIRPATH_DECIMAL] = "Decimal",
    [FHIRPATH_STRING] = "String",   [FHIRPATH_DATE] = "Date",         [FHIRPATH_DATETIME] = "DateTime",
    [FHIRPATH_TIME] = "Time",       [FHIRPATH_QUANTITY] = "Quantity", [FHIRPATH_TYPE] = "SimpleTypeInfo",
};
enum { SYSTEM_NAMES_COUNT = sizeof system_names / sizeof system_names[0] };

static bool is_system_name(struct str name)
{
    for (size_t i = FHIRPATH_BOOLEAN; i < SYSTEM_NAMES_COUNT; i++) {
        if (str_equal_cstr(name, system_names[i])) {
            return true;
        }
    }
    return str_equal(name, STR("Any"));
}

void type_bind(struct expression *expression)
{
    bool any_space = expression->type_space.len == 0;
    if (any_space || str_equal(expression->type_space, STR("FHIR"))) {
        expression->type = type_find(expression->name);
    }
    expression->is_system_type =
        str_equal(expression->type_space, STR("System")) || (any_space && is_system_name(expression->name));
}

/* Any name may stand in System: what it does not have is the type of nothing (testType22). */
bool type_exists(const struct expression *expression)
{
    return expression->type != NULL || expression->is_system_type;
}

/* What can be told of an element of unknown type by its JSON. */
static bool json_is_type(const struct json *value, struct str name)
{
    if (value == NULL) {
        return false;
    }
    switch ((enum json_kind)value->kind) {
    case JSON_TRUE:
    case JSON_FALSE:
        return str_equal(name, STR("boolean"));
    case JSON_NUMBER:
        return str_equal(name, STR("decimal")) ||
               (str_equal(name, STR("integer")) && str_find_char(value->raw, '.') == value->raw.len);
    case JSON_STRING:
        return str_equal(name, STR("string"));
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

bool item_is_type(const struct fhirpath_item *item, const struct expression *expression, bool exact)
{
    const struct model_type *wanted = expression->type;
    if (item->kind != FHIRPATH_NODE) {
        return expression->is_system_type && (str_equal_cstr(expression->name, system_names[item->kind]) ||
                                              str_equal(expression->name, STR("Any")));
    }
    if (wanted == NULL || item->type == NULL) {
        return wanted != NULL && json_is_type(item->node.value, expression->name);
    }
    /* The R4 cases want ofType(string) to leave out a code, though code comes from string. */
    bool by_name = exact && item->type->kind == MODEL_PRIMITIVE && wanted->kind == MODEL_PRIMITIVE;
    return by_name ? item->type == wanted : type_descends(item->type, wanted);
}

static bool check_type(const struct expression *expression, struct error *error)
{
    if (!type_exists(expression)) {
        return FAIL(error, ERROR_INPUT, "FHIRPath, column %u: no type '%.*s%s%.*s'", expression->at + 1,
                    STR_FMT(str_slice(expression->type_space, 0, 32)),
                    expression->type_space.len > 0 ? "." : "", STR_FMT(str_slice(expression->name, 0, 64)));
    }
    return true;
}

bool type_is(struct run *run, const struct expression *expression, const struct list *in, struct list *out,
             struct error *error)
{
    if (!check_type(expression, error)) {
        return false;
    }
    if (in->count > 1) {
        return run_fail(run, expression, "more than one item where one is allowed", error);
    }
    return in->count == 0 ||
           list_add_boolean(run, out, item_is_type(&in->items[0], expression, false), error);
}

/* R4's search parameters write value.as(DateTime) of a dateTime. */
static bool is_loosely(const struct fhirpath_item *item, struct str name)
{
    enum fhirpath_kind kind =
        item->kind == FHIRPATH_NODE && item->type != NULL ? type_system_kind(item->type) : FHIRPATH_NODE;
    return kind != FHIRPATH_NODE && str_equal_cstr(name, system_names[kind]);
}

static bool keep_of_type(struct run *run, const struct expression *expression, const struct list *in,
                         struct list *out, struct error *error)
{
    for (size_t i = 0; i < in->count; i++) {
        bool keeps = item_is_type(&in->items[i], expression, true) ||
                     (run->context->as_filters && is_loosely(&in->items[i], expression->name));
        if (keeps && !list_add(run, out, &in->items[i], error)) {
            return false;
        }
    }
    return true;
}

bool type_as(struct run *run, const struct expression *expression, const struct list *in, struct list *out,
             struct error *error)
{
    if (!check_type(expression, error)) {
        return false;
    }
    if (in->count > 1 && !run->context->as_filters) {
        return run_fail(run, expression, "more than one item where one is allowed (ofType takes many)",
                        error);
    }
    return keep_of_type(run, expression, in, out, error);
}

bool function_is(struct call *call, struct error *error)
{
    return type_is(call->run, call->expression, call->in, call->out, error);
}

bool function_as(struct call *call, struct error *error)
{
    return type_as(call->run, call->expression, call->in, call->out, error);
}

bool function_of_type(struct call *call, struct error *error)
{
    return check_type(call->expression, error) &&
           keep_of_type(call->run, call->expression, call->in, call->out, error);
}

bool function_type(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        const struct fhirpath_item *item = &call->in->items[i];
        struct fhirpath_item info = { .kind = FHIRPATH_TYPE };
        bool is_node = item->kind == FHIRPATH_NODE;
        info.info.space = is_node ? STR("FHIR") : STR("System");
        info.info.name = is_node ? fhirpath_item_type_name(item) : str_from_cstr(system_names[item->kind]);
        if (info.info.name.at == NULL) {
            info.info.name = STR("Element");
        }
        if (!list_add(call->run, call->out, &info, error)) {
            return false;
        }
    }
    return true;
}
