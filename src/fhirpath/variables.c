/* Names of the environment (N1 1.5, R4 fhirpath.html 2.9.1.1), of the caller, and of defineVariable. */
#include "fhirpath/functions.h"

static bool add_resource(struct run *run, const struct json *resource, struct list *out, struct error *error)
{
    if (resource == NULL) {
        return true;
    }
    struct fhirpath_item item = fhirpath_item_of_resource(resource);
    return list_add(run, out, &item, error);
}

/* N1 1.5 and R4 fhirpath.html 2.9.1.1: names of the environment. */
static bool evaluate_standard_variable(struct run *run, struct str name, struct list *out, bool *found,
                                       struct error *error)
{
    static const struct {
        const char *name;
        const char *value;
    } systems[] = {
        { "ucum", "http://unitsofmeasure.org" },
        { "sct", "http://snomed.info/sct" },
        { "loinc", "http://loinc.org" },
    };
    *found = true;
    if (str_equal(name, STR("context"))) {
        return run->input == NULL || list_add(run, out, run->input, error);
    }
    if (str_equal(name, STR("resource"))) {
        return add_resource(run, run->context->resource, out, error);
    }
    if (str_equal(name, STR("rootResource"))) {
        const struct json *root = run->context->root_resource;
        return add_resource(run, root != NULL ? root : run->context->resource, out, error);
    }
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        if (str_equal_cstr(name, systems[i].name)) {
            return list_add_string(run, out, str_from_cstr(systems[i].value), error);
        }
    }
    if (str_starts_with(name, STR("vs-"))) {
        return list_add_string(
            run, out, arena_concat(run->arena, STR("http://hl7.org/fhir/ValueSet/"), str_skip(name, 3)),
            error);
    }
    if (str_starts_with(name, STR("ext-"))) {
        return list_add_string(
            run, out,
            arena_concat(run->arena, STR("http://hl7.org/fhir/StructureDefinition/"), str_skip(name, 4)),
            error);
    }
    *found = false;
    return true;
}

/* Names that defineVariable cannot take. */
static bool is_standard_variable(struct str name)
{
    static const char *const names[] = { "context", "resource", "rootResource", "ucum", "sct", "loinc" };
    bool is = str_starts_with(name, STR("vs-")) || str_starts_with(name, STR("ext-"));
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !is; i++) {
        is = str_equal_cstr(name, names[i]);
    }
    return is;
}

static bool find_variable(const struct fhirpath_variable *variable, struct str name, struct list *out)
{
    while (variable != NULL && !str_equal(variable->name, name)) {
        variable = variable->next;
    }
    if (variable != NULL) {
        /* Shared and never changed, as in list_of_self. */
        out->items = (struct fhirpath_item *)(uintptr_t)variable->value.items;
        out->count = variable->value.count;
    }
    return variable != NULL;
}

bool evaluate_variable(struct run *run, const struct expression *expression, const struct scope *scope,
                       struct list *out, struct error *error)
{
    if (find_variable(scope->variables, expression->name, out) ||
        find_variable(run->context->variables, expression->name, out)) {
        return true;
    }
    bool found = false;
    if (!evaluate_standard_variable(run, expression->name, out, &found, error)) {
        return false;
    }
    if (!found) {
        return FAIL(error, ERROR_INPUT, "FHIRPath: no variable '%%%.*s'",
                    STR_FMT(str_slice(expression->name, 0, 64)));
    }
    return true;
}

/* defineVariable (trial use): name and value, or the input for a value; a name in use is an error. The value
 * is evaluated with the input as $this where that is one item. */
bool define_variable(struct call *call, struct scope *inner, struct error *error)
{
    struct str name = STR_NONE;
    bool given = false;
    struct list value = *call->in;
    if (!call_string(call, 0, &name, &given, error)) {
        return false;
    }
    bool taken = !given || is_standard_variable(name);
    for (const struct fhirpath_variable *known = inner->variables; known != NULL && !taken;
         known = known->next) {
        taken = str_equal(known->name, name);
    }
    if (taken) {
        return call_fail(call, "the variable needs a name of its own", error);
    }
    struct scope scope = *inner;
    if (call->in->count == 1) {
        scope.self = &call->in->items[0];
    }
    struct fhirpath_variable *variable = ARENA_NEW(call->run->arena, struct fhirpath_variable);
    if (call->expression->parts_count == 2 && !call_argument_on(call, 1, &scope, &value, error)) {
        return false;
    }
    if (variable == NULL) {
        return run_out_of_memory(error);
    }
    *variable = (struct fhirpath_variable){ .next = inner->variables, .name = name };
    variable->value = (struct fhirpath_collection){ .items = value.items, .count = value.count };
    inner->variables = variable;
    *call->out = (struct list){ .items = call->in->items, .count = call->in->count };
    return true;
}

/* The table needs a function; a path evaluates the step by define_variable. */
bool function_define_variable(struct call *call, struct error *error)
{
    struct scope scope = *call->scope;
    return define_variable(call, &scope, error);
}

static bool has_definition(const struct expression *expression)
{
    bool has = expression->kind == EXPRESSION_CALL && (expression->function->flags & FUNCTION_DEFINES) != 0;
    for (uint32_t i = 0; i < expression->parts_count && !has; i++) {
        has = has_definition(expression->parts[i]);
    }
    return has;
}

static struct str first_unknown(const struct expression *expression, const struct fhirpath_variable *known)
{
    struct list unused = { 0 };
    struct str found = STR_NONE;
    if (expression->kind == EXPRESSION_VARIABLE && !is_standard_variable(expression->name) &&
        !find_variable(known, expression->name, &unused)) {
        return expression->name;
    }
    for (uint32_t i = 0; i < expression->parts_count && found.at == NULL; i++) {
        found = first_unknown(expression->parts[i], known);
    }
    return found;
}

struct str fhirpath_unknown_variable(const struct fhirpath *path, const struct fhirpath_variable *known)
{
    assert(path != NULL);
    return has_definition(path->root) ? STR_NONE : first_unknown(path->root, known);
}
