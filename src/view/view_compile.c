/* ViewDefinitions (SQL on FHIR v2) from JSON to their compiled form. What a view must not say is ERROR_STRUCTURE. */
#include "base/limits.h"
#include "fhir/primitive.h"
#include "model/model.h"
#include "view/view_definition.h"

struct compiler {
    struct arena *arena;
    struct view *view;
    struct error *error;
    int depth;
};

static bool refuse(struct compiler *compiler, const char *what)
{
    return FAIL(compiler->error, ERROR_STRUCTURE, "ViewDefinition: %s", what);
}

static bool compile_path(struct compiler *compiler, const struct json *value, const struct fhirpath **path)
{
    struct str text = json_text(compiler->arena, value);
    if (text.at == NULL) {
        return refuse(compiler, "a path must be a text");
    }
    *path = fhirpath_compile(compiler->arena, text, compiler->error);
    if (*path == NULL) {
        compiler->error->kind = ERROR_STRUCTURE;
        return false;
    }
    const struct fhirpath_variable row_index = { .next = compiler->view->constants, .name = STR("rowIndex") };
    struct str unknown = fhirpath_unknown_variable(*path, &row_index);
    return unknown.at == NULL ||
           FAIL(compiler->error, ERROR_STRUCTURE, "ViewDefinition: no constant '%%%.*s'",
                STR_FMT(str_slice(unknown, 0, 64)));
}

/* [A-Za-z][A-Za-z0-9_]*: a name that SQL takes without quotes. */
static bool is_sql_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        if (!letter && (i == 0 || !(digit || c == '_'))) {
            return false;
        }
    }
    return name.len > 0;
}

static bool add_column(struct compiler *compiler, const struct json *column)
{
    struct view *view = compiler->view;
    struct view_column made = {
        .name = JSON_TEXT(compiler->arena, column, "name"),
        .type = JSON_TEXT(compiler->arena, column, "type"),
        .collection = json_is_true(JSON_GET(column, "collection")),
    };
    const struct json *collection = JSON_GET(column, "collection");
    if (collection != NULL && collection->kind != JSON_TRUE && collection->kind != JSON_FALSE) {
        return refuse(compiler, "collection is true or false");
    }
    if (!is_sql_name(made.name)) {
        return refuse(compiler, "a column needs a name of letters, digits and _");
    }
    for (size_t i = 0; i < view->columns_count; i++) {
        if (str_equal(view->columns[i].name, made.name)) {
            return refuse(compiler, "a column name stands twice");
        }
    }
    if (view->columns_count == VIEW_COLUMNS_MAX) {
        return refuse(compiler, "too many columns");
    }
    view->columns[view->columns_count++] = made;
    return true;
}

static bool compile_select(struct compiler *compiler, const struct json *definition,
                           struct view_select *select);

static bool compile_columns(struct compiler *compiler, const struct json *columns, struct view_select *select)
{
    select->first_column = compiler->view->columns_count;
    if (columns == NULL) {
        return true;
    }
    select->paths = ARENA_ARRAY(compiler->arena, const struct fhirpath *, columns->count + 1);
    if (select->paths == NULL || columns->kind != JSON_ARRAY) {
        return refuse(compiler, "column must be a list");
    }
    JSON_EACH(column, columns) {
        const struct fhirpath *path = NULL;
        if (!add_column(compiler, column) || !compile_path(compiler, JSON_GET(column, "path"), &path)) {
            return false;
        }
        select->paths[select->columns_count++] = path;
    }
    return true;
}

static bool compile_selects(struct compiler *compiler, const struct json *list, struct view_select **selects,
                            size_t *count)
{
    if (list == NULL) {
        return true;
    }
    if (list->kind != JSON_ARRAY || list->count == 0) {
        return refuse(compiler, "select must be a list that is not empty");
    }
    *selects = ARENA_ARRAY(compiler->arena, struct view_select, list->count);
    if (*selects == NULL) {
        return refuse(compiler, "too large");
    }
    JSON_EACH(definition, list) {
        if (!compile_select(compiler, definition, &(*selects)[*count])) {
            return false;
        }
        (*count)++;
    }
    return true;
}

/* Every branch must give the same columns in the same order; they share their places in the row. */
static bool compile_union(struct compiler *compiler, const struct json *list, struct view_select *select)
{
    struct view *view = compiler->view;
    size_t first = view->columns_count;
    size_t last = first;
    if (list == NULL) {
        return true;
    }
    if (list->kind != JSON_ARRAY || list->count == 0) {
        return refuse(compiler, "unionAll must be a list that is not empty");
    }
    select->branches = ARENA_ARRAY(compiler->arena, struct view_select, list->count + 1);
    if (select->branches == NULL) {
        return refuse(compiler, "too large");
    }
    JSON_EACH(definition, list) {
        struct view_column before[VIEW_COLUMNS_MAX];
        memcpy(before, view->columns, sizeof before);
        view->columns_count = first;
        if (!compile_select(compiler, definition, &select->branches[select->branches_count])) {
            return false;
        }
        for (size_t i = first; select->branches_count > 0 && i < last; i++) {
            bool same = view->columns_count == last && str_equal(before[i].name, view->columns[i].name);
            if (!same) {
                return refuse(compiler,
                              "the branches of a unionAll must have the same columns in the same order");
            }
        }
        if (select->branches_count > 0 && view->columns_count != last) {
            return refuse(compiler,
                          "the branches of a unionAll must have the same columns in the same order");
        }
        last = view->columns_count;
        select->branches_count++;
    }
    return true;
}

static bool compile_repeat(struct compiler *compiler, const struct json *repeat, struct view_select *select)
{
    if (repeat == NULL) {
        return true;
    }
    select->repeat = ARENA_ARRAY(compiler->arena, const struct fhirpath *, repeat->count + 1);
    if (select->repeat == NULL || repeat->kind != JSON_ARRAY || repeat->count == 0) {
        return refuse(compiler, "repeat must be a list of paths");
    }
    JSON_EACH(path, repeat) {
        if (!compile_path(compiler, path, &select->repeat[select->repeat_count++])) {
            return false;
        }
    }
    return true;
}

static bool compile_select(struct compiler *compiler, const struct json *definition,
                           struct view_select *select)
{
    const struct json *for_each = JSON_GET(definition, "forEach");
    const struct json *or_null = JSON_GET(definition, "forEachOrNull");
    if (definition->kind != JSON_OBJECT || ++compiler->depth > VIEW_DEPTH_MAX) {
        return refuse(compiler, "select must be an object, not nested too deeply");
    }
    bool repeats = JSON_GET(definition, "repeat") != NULL;
    if ((for_each != NULL ? 1 : 0) + (or_null != NULL ? 1 : 0) + (repeats ? 1 : 0) > 1) {
        return refuse(compiler, "forEach, forEachOrNull and repeat exclude each other");
    }
    select->or_null = or_null != NULL;
    const struct json *path = for_each != NULL ? for_each : or_null;
    bool ok =
        (path == NULL || compile_path(compiler, path, &select->for_each)) &&
        compile_repeat(compiler, JSON_GET(definition, "repeat"), select) &&
        compile_columns(compiler, JSON_GET(definition, "column"), select) &&
        compile_selects(compiler, JSON_GET(definition, "select"), &select->selects, &select->selects_count) &&
        compile_union(compiler, JSON_GET(definition, "unionAll"), select);
    compiler->depth--;
    return ok;
}

/* valueDateTime → the type "dateTime": FHIR's primitive types begin with a small letter. */
static struct str primitive_type(struct arena *arena, struct str name)
{
    char *copy = arena_cstr(arena, name);
    if (copy != NULL && copy[0] >= 'A' && copy[0] <= 'Z') {
        copy[0] = (char)(copy[0] | 0x20);
    }
    return (struct str){ copy, copy == NULL ? 0 : name.len };
}

/* integer64 is R5's, a text in JSON; in R4 it can only be a whole number. */
static bool read_integer64(struct arena *arena, const struct json *value, struct fhirpath_item *item)
{
    struct decimal number = { 0 };
    int64_t whole = 0;
    struct str text = value->kind == JSON_NUMBER ? value->raw : json_text(arena, value);
    if (text.len == 0 || !decimal_parse(text, &number) || !decimal_to_integer(number, &whole)) {
        return false;
    }
    *item = fhirpath_item_of_integer(whole);
    return true;
}

/* One value of a primitive type. */
static bool constant_value(struct compiler *compiler, const struct json *constant, struct fhirpath_item *item)
{
    const struct json *value = NULL;
    struct str type = STR_NONE;
    JSON_EACH(member, constant) {
        if (str_starts_with(member->name, STR("value"))) {
            if (value != NULL) {
                return false;
            }
            type = primitive_type(compiler->arena, str_skip(member->name, 5));
            value = member;
        }
    }
    if (value == NULL) {
        return false;
    }
    if (str_equal(type, STR("integer64"))) {
        return read_integer64(compiler->arena, value, item);
    }
    enum primitive primitive = primitive_of(type);
    bool is_boolean = value->kind == JSON_TRUE || value->kind == JSON_FALSE;
    bool fits = primitive == PRIMITIVE_BOOLEAN
                    ? is_boolean
                    : value->kind == (primitive_is_number(primitive) ? JSON_NUMBER : JSON_STRING);
    *item = fhirpath_item_of_node(value, type);
    return primitive != PRIMITIVE_NONE && fits;
}

static bool compile_constants(struct compiler *compiler, const struct json *constants)
{
    JSON_EACH(constant, constants) {
        struct fhirpath_variable *variable = ARENA_NEW(compiler->arena, struct fhirpath_variable);
        struct fhirpath_item *item = ARENA_NEW(compiler->arena, struct fhirpath_item);
        struct str name = JSON_TEXT(compiler->arena, constant, "name");
        if (variable == NULL || item == NULL || !is_sql_name(name) ||
            !constant_value(compiler, constant, item)) {
            return refuse(compiler, "a constant needs a name and one value of a primitive type");
        }
        for (const struct fhirpath_variable *other = compiler->view->constants; other != NULL;
             other = other->next) {
            if (str_equal(other->name, name)) {
                return refuse(compiler, "a constant stands twice");
            }
        }
        *variable = (struct fhirpath_variable){ .next = compiler->view->constants,
                                                .name = name,
                                                .value = { .items = item, .count = 1 } };
        compiler->view->constants = variable;
    }
    return true;
}

static bool compile_where(struct compiler *compiler, const struct json *where)
{
    if (where == NULL) {
        return true;
    }
    struct view *view = compiler->view;
    view->where = ARENA_ARRAY(compiler->arena, const struct fhirpath *, where->count + 1);
    if (view->where == NULL || where->kind != JSON_ARRAY) {
        return refuse(compiler, "where must be a list");
    }
    JSON_EACH(condition, where) {
        if (!compile_path(compiler, JSON_GET(condition, "path"), &view->where[view->where_count++])) {
            return false;
        }
    }
    return true;
}

bool view_compile(struct arena *arena, const struct json *definition, struct view **view, struct error *error)
{
    struct error unused = { 0 };
    struct compiler compiler = { .arena = arena, .error = error != NULL ? error : &unused };
    compiler.view = ARENA_NEW(arena, struct view);
    if (compiler.view == NULL) {
        return refuse(&compiler, "too large");
    }
    compiler.view->name = JSON_TEXT(arena, definition, "name");
    compiler.view->resource = JSON_TEXT(arena, definition, "resource");
    if (compiler.view->resource.at == NULL || JSON_GET(definition, "select") == NULL) {
        return refuse(&compiler, "resource and select are required");
    }
    if (model_resource_find(compiler.view->resource) == NULL) {
        return refuse(&compiler, "resource must be a resource type of R4");
    }
    bool ok = compile_constants(&compiler, JSON_GET(definition, "constant")) &&
              compile_where(&compiler, JSON_GET(definition, "where")) &&
              compile_selects(&compiler, JSON_GET(definition, "select"), &compiler.view->root.selects,
                              &compiler.view->root.selects_count);
    if (ok) {
        *view = compiler.view;
    }
    return ok;
}
