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

bool type_exists(struct str space, struct str name)
{
    if (str_equal(space, STR("System"))) {
        return is_system_name(name);
    }
    if (str_equal(space, STR("FHIR"))) {
        return type_find(name) != NULL;
    }
    return space.len == 0 && (type_find(name) != NULL || is_system_name(name));
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

bool item_is_type(const struct fhirpath_item *item, struct str space, struct str name, bool exact)
{
    bool may_be_fhir = space.len == 0 || str_equal(space, STR("FHIR"));
    bool may_be_system = space.len == 0 || str_equal(space, STR("System"));
    if (item->kind != FHIRPATH_NODE) {
        return may_be_system &&
               (str_equal_cstr(name, system_names[item->kind]) || str_equal(name, STR("Any")));
    }
    if (!may_be_fhir) {
        return false;
    }
    if (item->type == NULL) {
        return json_is_type(item->node.value, name);
    }
    const struct model_type *wanted = type_find(name);
    if (wanted == NULL) {
        return false;
    }
    /* The R4 cases want ofType(string) to leave out a code, though code comes from string. */
    return exact && item->type->kind == MODEL_PRIMITIVE ? item->type == wanted
                                                        : type_descends(item->type, wanted);
}

bool item_is_named_type(const struct fhirpath_item *item, struct str name)
{
    return item->kind == FHIRPATH_NODE && item->type != NULL && item_is_type(item, STR("FHIR"), name, false);
}

/* A name that the System space does not have is the type of nothing (testType22); elsewhere it is a mistake. */
static bool check_type(const struct expression *expression, struct error *error)
{
    if (!str_equal(expression->type_space, STR("System")) &&
        !type_exists(expression->type_space, expression->name)) {
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
           list_add_boolean(
               run, out, item_is_type(&in->items[0], expression->type_space, expression->name, false), error);
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
        bool keeps = item_is_type(&in->items[i], expression->type_space, expression->name, true) ||
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
