/* Evaluating ViewDefinitions. The evaluation follows the algorithm of the specification
 * ("Processing Algorithm"): a select gives rows for each node of its forEach; columns, nested selects and
 * unionAll of one select are multiplied, branches of a unionAll are put one after the other. */
#include "base/limits.h"
#include "view/view_definition.h"

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
