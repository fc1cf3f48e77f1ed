/* Compiling and evaluating ViewDefinitions. The evaluation follows the algorithm of the specification
 * ("Processing Algorithm"): a select gives rows for each node of its forEach; columns, nested selects and
 * unionAll of one select are multiplied, branches of a unionAll are put one after the other. */
#include "view/view.h"

#include "base/limits.h"
#include "fhir/primitive.h"
#include "model/model.h"

enum { VIEW_COLUMNS_MAX = 128, VIEW_DEPTH_MAX = 16 };

struct view_select {
    const struct fhirpath *for_each; /* NULL: the element itself */
    bool or_null;
    const struct fhirpath **repeat; /* NULL: none */
    size_t repeat_count;
    const struct fhirpath **paths; /* of its own columns */
    size_t first_column;           /* position in the row */
    size_t columns_count;
    struct view_select *selects;
    size_t selects_count;
    struct view_select *branches; /* unionAll */
    size_t branches_count;
};

struct view {
    struct str name;
    struct str resource;
    struct view_select root;
    const struct fhirpath **where;
    size_t where_count;
    struct fhirpath_variable *constants;
    struct view_column columns[VIEW_COLUMNS_MAX];
    size_t columns_count;
};

/* ---- compiling ---- */

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

struct str view_name(const struct view *view)
{
    return view->name;
}

struct str view_resource(const struct view *view)
{
    return view->resource;
}

const struct view_column *view_columns(const struct view *view, size_t *count)
{
    *count = view->columns_count;
    return view->columns;
}

/* ---- evaluating ---- */

struct evaluator {
    const struct view *view;
    struct arena *arena;
    struct fhirpath_context context;
    struct error *error;
    size_t rows_made;
    uint32_t steps_left; /* of LIMIT_VIEW_STEPS, for all paths together */
};

static bool evaluate_path(struct evaluator *evaluator, const struct fhirpath *path,
                          const struct fhirpath_item *item, struct fhirpath_collection *values)
{
    bool enough = evaluator->steps_left > 0;
    evaluator->context.steps_max =
        evaluator->steps_left < LIMIT_FHIRPATH_STEPS ? evaluator->steps_left : LIMIT_FHIRPATH_STEPS;
    bool ok = enough ? fhirpath_evaluate(path, &evaluator->context, item, values, evaluator->error)
                     : FAIL(evaluator->error, ERROR_TOO_COSTLY,
                            "a view takes more than %d steps for one resource", LIMIT_VIEW_STEPS);
    uint32_t spent = evaluator->context.steps + 1;
    evaluator->steps_left = spent < evaluator->steps_left ? evaluator->steps_left - spent : 0;
    return ok;
}

static struct view_row *new_row(struct evaluator *evaluator)
{
    struct view_row *row = ARENA_NEW(evaluator->arena, struct view_row);
    if (row != NULL) {
        row->values =
            ARENA_ARRAY(evaluator->arena, struct fhirpath_collection, evaluator->view->columns_count + 1);
    }
    if (row == NULL || row->values == NULL || ++evaluator->rows_made > LIMIT_VIEW_ROWS) {
        (void)FAIL(evaluator->error, ERROR_TOO_COSTLY, "a view gives more than %d rows for one resource",
                   LIMIT_VIEW_ROWS);
        return NULL;
    }
    return row;
}

static void append_row(struct view_rows *rows, struct view_row *row)
{
    row->next = NULL;
    if (rows->last == NULL) {
        rows->first = row;
    } else {
        rows->last->next = row;
    }
    rows->last = row;
    rows->count++;
}

/* Every row of `left` with every row of `right`; their columns do not overlap. */
static bool multiply(struct evaluator *evaluator, struct view_rows *left, const struct view_rows *right)
{
    struct view_rows product = { 0 };
    for (const struct view_row *a = left->first; a != NULL; a = a->next) {
        for (const struct view_row *b = right->first; b != NULL; b = b->next) {
            struct view_row *row = new_row(evaluator);
            if (row == NULL) {
                return false;
            }
            for (size_t i = 0; i < evaluator->view->columns_count; i++) {
                row->values[i] = a->values[i].count > 0 ? a->values[i] : b->values[i];
            }
            append_row(&product, row);
        }
    }
    *left = product;
    return true;
}

static bool select_rows(struct evaluator *evaluator, const struct view_select *select,
                        const struct fhirpath_item *element, struct view_rows *rows);

static bool column_values(struct evaluator *evaluator, const struct view_select *select,
                          const struct fhirpath_item *node, struct view_row *row)
{
    for (size_t i = 0; i < select->columns_count; i++) {
        struct fhirpath_collection *value = &row->values[select->first_column + i];
        const struct view_column *column = &evaluator->view->columns[select->first_column + i];
        if (!evaluate_path(evaluator, select->paths[i], node, value)) {
            return false;
        }
        if (value->count > 1 && !column->collection) {
            return FAIL(evaluator->error, ERROR_RULE, "column '%.*s' has several values and is no collection",
                        STR_FMT(column->name));
        }
    }
    return true;
}

/* Rows of one node of a select; node NULL is the row of nulls of forEachOrNull. */
static bool node_rows(struct evaluator *evaluator, const struct view_select *select,
                      const struct fhirpath_item *node, struct view_rows *rows)
{
    struct view_rows made = { 0 };
    struct view_row *row = new_row(evaluator);
    if (row == NULL || !column_values(evaluator, select, node, row)) {
        return false;
    }
    append_row(&made, row);
    for (size_t i = 0; node != NULL && i < select->selects_count; i++) {
        struct view_rows nested = { 0 };
        if (!select_rows(evaluator, &select->selects[i], node, &nested) ||
            !multiply(evaluator, &made, &nested)) {
            return false;
        }
    }
    if (node != NULL && select->branches_count > 0) {
        struct view_rows all = { 0 };
        for (size_t i = 0; i < select->branches_count; i++) {
            if (!select_rows(evaluator, &select->branches[i], node, &all)) {
                return false;
            }
        }
        if (!multiply(evaluator, &made, &all)) {
            return false;
        }
    }
    for (struct view_row *next = NULL, *at = made.first; at != NULL; at = next) {
        next = at->next;
        append_row(rows, at);
    }
    return true;
}

/* %rowIndex: position of the node in the innermost forEach or repeat, 0 outside. */
static bool indexed_rows(struct evaluator *evaluator, const struct view_select *select,
                         const struct fhirpath_item *node, size_t index, struct view_rows *rows)
{
    struct fhirpath_item position = fhirpath_item_of_integer((int64_t)index);
    const struct fhirpath_variable *outer = evaluator->context.variables;
    struct fhirpath_variable variable = { .next = outer,
                                          .name = STR("rowIndex"),
                                          .value = { .items = &position, .count = 1 } };
    struct fhirpath_item *kept = ARENA_NEW(evaluator->arena, struct fhirpath_item);
    if (kept == NULL) {
        return FAIL(evaluator->error, ERROR_TOO_LARGE, "a view needs more memory than a request may use");
    }
    *kept = position; /* a column may give %rowIndex itself */
    variable.value.items = kept;
    evaluator->context.variables = &variable;
    bool ok = node_rows(evaluator, select, node, rows);
    evaluator->context.variables = outer;
    return ok;
}

static bool repeat_rows(struct evaluator *evaluator, const struct view_select *select,
                        const struct fhirpath_item *element, size_t *index, int depth, struct view_rows *rows)
{
    if (depth > LIMIT_JSON_DEPTH) {
        return FAIL(evaluator->error, ERROR_TOO_COSTLY, "repeat goes too deep");
    }
    for (size_t i = 0; i < select->repeat_count; i++) {
        struct fhirpath_collection nodes = { 0 };
        if (!evaluate_path(evaluator, select->repeat[i], element, &nodes)) {
            return false;
        }
        for (size_t k = 0; k < nodes.count; k++) {
            if (!indexed_rows(evaluator, select, &nodes.items[k], (*index)++, rows) ||
                !repeat_rows(evaluator, select, &nodes.items[k], index, depth + 1, rows)) {
                return false;
            }
        }
    }
    return true;
}

static bool select_rows(struct evaluator *evaluator, const struct view_select *select,
                        const struct fhirpath_item *element, struct view_rows *rows)
{
    struct fhirpath_collection nodes = { 0 };
    size_t index = 0;
    if (select->repeat_count > 0) {
        return repeat_rows(evaluator, select, element, &index, 0, rows);
    }
    if (select->for_each == NULL) {
        return node_rows(evaluator, select, element, rows);
    }
    if (!evaluate_path(evaluator, select->for_each, element, &nodes)) {
        return false;
    }
    if (nodes.count == 0 && select->or_null) {
        return indexed_rows(evaluator, select, NULL, 0, rows);
    }
    for (size_t i = 0; i < nodes.count; i++) {
        if (!indexed_rows(evaluator, select, &nodes.items[i], i, rows)) {
            return false;
        }
    }
    return true;
}

static bool passes_where(struct evaluator *evaluator, const struct fhirpath_item *root, bool *passes)
{
    *passes = true;
    for (size_t i = 0; *passes && i < evaluator->view->where_count; i++) {
        struct fhirpath_collection result = { 0 };
        if (!evaluate_path(evaluator, evaluator->view->where[i], root, &result)) {
            return false;
        }
        struct fhirpath_item value = result.count == 1
                                         ? fhirpath_item_to_system(evaluator->arena, &result.items[0])
                                         : (struct fhirpath_item){ 0 };
        if (result.count > 1 || (result.count == 1 && value.kind != FHIRPATH_BOOLEAN)) {
            return FAIL(evaluator->error, ERROR_STRUCTURE, "ViewDefinition: where must give a boolean");
        }
        *passes = result.count == 1 && value.boolean;
    }
    return true;
}

bool view_evaluate(const struct view *view, struct arena *arena, const struct view_input *input,
                   struct view_rows *rows, struct error *error)
{
    static const struct fhirpath_item zero = { .kind = FHIRPATH_INTEGER };
    struct fhirpath_variable row_index = { .next = view->constants,
                                           .name = STR("rowIndex"),
                                           .value = { .items = &zero, .count = 1 } };
    struct error unused = { 0 };
    struct evaluator evaluator = {
        .view = view, .arena = arena, .error = error != NULL ? error : &unused, .steps_left = LIMIT_VIEW_STEPS
    };
    evaluator.context = (struct fhirpath_context){
        .arena = arena,
        .resource = input->resource,
        .variables = &row_index,
        .now_ms = input->now_ms,
        .offset_minutes = input->offset_minutes,
        .has_offset = true,
        .joins_nothing = true,
    };
    *rows = (struct view_rows){ 0 };
    if (!json_equals_text(JSON_GET(input->resource, "resourceType"), view->resource)) {
        return true;
    }
    struct fhirpath_item root = fhirpath_item_of_resource(input->resource);
    bool passes = false;
    return passes_where(&evaluator, &root, &passes) &&
           (!passes || node_rows(&evaluator, &view->root, &root, rows));
}

struct json *view_row_json(const struct view *view, struct arena *arena, const struct view_row *row)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; i < view->columns_count; i++) {
        const struct fhirpath_collection *value = &row->values[i];
        struct json *made = NULL;
        if (view->columns[i].collection) {
            made = json_new(arena, JSON_ARRAY);
            for (size_t k = 0; k < value->count; k++) {
                (void)json_append(made,
                                  json_copy(arena, fhirpath_item_to_json(arena, &value->items[k]), false));
            }
        } else {
            const struct json *json =
                value->count == 0 ? NULL : fhirpath_item_to_json(arena, &value->items[0]);
            made = json == NULL ? json_new(arena, JSON_NULL) : json_copy(arena, json, false);
        }
        (void)json_add(object, view->columns[i].name, made);
    }
    return object;
}
