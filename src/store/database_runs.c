#include "store/database_runs.h"

#include <stdio.h>

#include <sqlite3.h>

#include "base/memory.h"

/* Columns of a kind's table, in the order of its rows; the last is always seq. */
enum { COLUMNS_MAX = 5 };

enum field { FIELD_PARAMETER, FIELD_A, FIELD_TEXT, FIELD_B, FIELD_C, FIELD_B_REAL, FIELD_C_REAL, FIELD_SEQ };

struct shape {
    const char *name;
    const char *sql;
    int columns_count;
    enum field fields[COLUMNS_MAX];
};

static const struct shape shapes[] = {
    [RUN_HEAD] = { "head", "CREATE TABLE x(key INTEGER, seq INTEGER)", 2, { FIELD_A, FIELD_SEQ } },
    [INDEX_KEY] = { "key",
                    "CREATE TABLE x(parameter INTEGER, value INTEGER, seq INTEGER)",
                    3,
                    { FIELD_PARAMETER, FIELD_A, FIELD_SEQ } },
    [INDEX_TEXT] = { "text",
                     "CREATE TABLE x(parameter INTEGER, value TEXT, seq INTEGER)",
                     3,
                     { FIELD_PARAMETER, FIELD_TEXT, FIELD_SEQ } },
    [INDEX_DATE] = { "date",
                     "CREATE TABLE x(parameter INTEGER, from_ms INTEGER, to_ms INTEGER, seq INTEGER)",
                     4,
                     { FIELD_PARAMETER, FIELD_A, FIELD_B, FIELD_SEQ } },
    [INDEX_NUMBER] = { "number",
                       "CREATE TABLE x(parameter INTEGER, unit INTEGER, low REAL, high REAL, seq INTEGER)",
                       5,
                       { FIELD_PARAMETER, FIELD_A, FIELD_B_REAL, FIELD_C_REAL, FIELD_SEQ } },
};

/* What a module is registered with. */
struct place {
    enum index_kind kind;
    const struct run_view *view;
};

struct table {
    sqlite3_vtab base; /* first: the engine's */
    const struct place *place;
};

struct cursor {
    sqlite3_vtab_cursor base; /* first: the engine's */
    size_t from[RUNS_MAX];    /* of each span what is left: [from, to) */
    size_t to[RUNS_MAX];
    size_t spans[RUNS_MAX]; /* those that are not empty: numbers in the view */
    size_t spans_count;
    size_t at; /* place in `spans` of the present row */
    bool ordered;
    bool down;
};

/* ---- the plan: how many leading columns are given, and bounds for the next ---- */

enum {
    PLAN_EQUAL = 7, /* mask: number of columns with = */
    PLAN_LOWER = 8,
    PLAN_UPPER = 16,
    PLAN_ORDERED = 32,
    PLAN_DOWN = 64,
};

static int find_constraint(const sqlite3_index_info *info, int column, unsigned char first,
                           unsigned char second)
{
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->usable != 0 && c->iColumn == column && (c->op == first || c->op == second)) {
            return i;
        }
    }
    return -1;
}

/* Whether the rows come in the asked order: its columns, without those that are given, are the next ones. */
static bool order_fits(const sqlite3_index_info *info, int given, bool *down)
{
    int next = given;
    bool any = false;
    for (int i = 0; i < info->nOrderBy; i++) {
        int column = info->aOrderBy[i].iColumn;
        bool desc = info->aOrderBy[i].desc != 0;
        if (column >= 0 && column < given) {
            continue;
        }
        if (column != next || (any && desc != *down)) {
            return false;
        }
        *down = desc;
        any = true;
        next++;
    }
    return true;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct place *place = ((const struct table *)base)->place;
    const struct shape *shape = &shapes[place->kind];
    static const double costs[] = { 100000, 5000, 30, 10, 5, 5 };
    int given = 0;
    int arguments = 0;
    bool down = false;
    for (; given < shape->columns_count; given++) {
        int at = find_constraint(info, given, SQLITE_INDEX_CONSTRAINT_EQ, SQLITE_INDEX_CONSTRAINT_EQ);
        if (at < 0) {
            break;
        }
        info->aConstraintUsage[at].argvIndex = ++arguments;
    }
    info->idxNum = given;
    info->estimatedCost = costs[given];
    if (given < shape->columns_count) {
        int lower = find_constraint(info, given, SQLITE_INDEX_CONSTRAINT_GT, SQLITE_INDEX_CONSTRAINT_GE);
        int upper = find_constraint(info, given, SQLITE_INDEX_CONSTRAINT_LT, SQLITE_INDEX_CONSTRAINT_LE);
        if (lower >= 0) {
            info->aConstraintUsage[lower].argvIndex = ++arguments;
            info->idxNum |= PLAN_LOWER;
            info->estimatedCost /= 3;
        }
        if (upper >= 0) {
            info->aConstraintUsage[upper].argvIndex = ++arguments;
            info->idxNum |= PLAN_UPPER;
            info->estimatedCost /= 3;
        }
    }
    if (info->nOrderBy > 0 && order_fits(info, given, &down)) {
        info->orderByConsumed = 1;
        info->idxNum |= PLAN_ORDERED | (down ? PLAN_DOWN : 0);
    }
    info->estimatedRows = (sqlite3_int64)info->estimatedCost;
    return SQLITE_OK;
}

/* ---- looking up ---- */

/* A row's column against a given value, which is of the column's type (bound_trim). */
static int compare_field(const struct run *run, const struct run_row *row, enum field field,
                         sqlite3_value *value)
{
    int64_t mine = 0;
    switch (field) {
    case FIELD_TEXT: {
        const char *text = (const char *)sqlite3_value_text(value);
        return str_compare(run_row_text(run, row), (struct str){ text, (size_t)sqlite3_value_bytes(value) });
    }
    case FIELD_B_REAL:
    case FIELD_C_REAL: {
        double number = run_number(field == FIELD_B_REAL ? row->b : row->c);
        double asked = sqlite3_value_double(value);
        return (number > asked) - (number < asked);
    }
    case FIELD_PARAMETER:
        mine = run_row_parameter(row);
        break;
    case FIELD_A:
        mine = row->a;
        break;
    case FIELD_B:
        mine = row->b;
        break;
    case FIELD_C:
        mine = row->c;
        break;
    case FIELD_SEQ:
        mine = (int64_t)row->seq;
        break;
    }
    int64_t asked = sqlite3_value_int64(value);
    return (mine > asked) - (mine < asked);
}

struct bound {
    const struct shape *shape;
    enum index_kind kind;
    int given;
    sqlite3_value **values;
    sqlite3_value *next; /* for the column after those, or NULL */
};

static int compare_bound(const struct run *run, const struct run_row *row, const struct bound *bound)
{
    enum index_kind kind = run_row_kind(row);
    int order = (kind > bound->kind) - (kind < bound->kind);
    for (int i = 0; order == 0 && i < bound->given; i++) {
        order = compare_field(run, row, bound->shape->fields[i], bound->values[i]);
    }
    if (order == 0 && bound->next != NULL) {
        order = compare_field(run, row, bound->shape->fields[bound->given], bound->next);
    }
    return order;
}

/* The first row of a span that is not below the bound; with `after` the first above it. */
static size_t bound_find(const struct run_span *span, const struct bound *bound, bool after)
{
    size_t low = span->from;
    size_t high = span->to;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_bound(span->run, &span->run->rows[middle], bound);
        if (order < 0 || (after && order == 0)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether a value is of the type that the column's rows are ordered by. */
static bool value_fits(enum field field, sqlite3_value *value)
{
    int type = sqlite3_value_type(value);
    if (field == FIELD_TEXT) {
        return type == SQLITE_TEXT;
    }
    bool real = field == FIELD_B_REAL || field == FIELD_C_REAL;
    return type == SQLITE_INTEGER || (real && type == SQLITE_FLOAT);
}

/* Cuts a bound at the first value of another type (NULL, 1.5 for a whole number): what is found is wider then, and the
 * engine tests every row again. */
static void bound_trim(struct bound *bound)
{
    for (int i = 0; i < bound->given; i++) {
        if (!value_fits(bound->shape->fields[i], bound->values[i])) {
            bound->given = i;
            bound->next = NULL;
            return;
        }
    }
    if (bound->next != NULL && !value_fits(bound->shape->fields[bound->given], bound->next)) {
        bound->next = NULL;
    }
}

static const struct run_row *row_of(const struct cursor *cursor, const struct run_view *view, size_t at,
                                    const struct run **run)
{
    size_t span = cursor->spans[at];
    *run = view->spans[span].run;
    return &(*run)->rows[cursor->down ? cursor->to[span] - 1 : cursor->from[span]];
}

/* Drops spans that are used up and rows of versions that the snapshot does not have; then, when an order is asked for,
 * finds the span whose row is next. */
static void settle(struct cursor *cursor)
{
    const struct run_view *view = ((const struct table *)cursor->base.pVtab)->place->view;
    const struct run *best_run = NULL;
    const struct run_row *best = NULL;
    size_t kept = 0;
    size_t best_at = 0;
    for (size_t i = 0; i < cursor->spans_count; i++) {
        size_t span = cursor->spans[i];
        const struct run_row *rows = view->spans[span].run->rows;
        while (cursor->from[span] < cursor->to[span] &&
               rows[cursor->down ? cursor->to[span] - 1 : cursor->from[span]].seq > view->seq_max) {
            cursor->to[span] -= cursor->down ? 1 : 0;
            cursor->from[span] += cursor->down ? 0 : 1;
        }
        if (cursor->from[span] == cursor->to[span]) {
            continue;
        }
        cursor->spans[kept] = span;
        const struct run *run = NULL;
        const struct run_row *row = row_of(cursor, view, kept, &run);
        int order = best == NULL || !cursor->ordered ? 0 : run_rows_compare(run, row, best_run, best);
        if (best == NULL || (cursor->down ? order > 0 : order < 0)) {
            best = row;
            best_run = run;
            best_at = kept;
        }
        kept++;
    }
    cursor->spans_count = kept;
    cursor->at = best_at;
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *name, int count, sqlite3_value **values)
{
    (void)name;
    (void)count;
    struct cursor *cursor = (struct cursor *)base;
    const struct place *place = ((const struct table *)base->pVtab)->place;
    struct bound low = {
        .shape = &shapes[place->kind], .kind = place->kind, .given = plan & PLAN_EQUAL, .values = values
    };
    struct bound high = low;
    int next = low.given;
    if ((plan & PLAN_LOWER) != 0) {
        low.next = values[next];
        next++;
    }
    if ((plan & PLAN_UPPER) != 0) {
        high.next = values[next];
    }
    cursor->ordered = (plan & PLAN_ORDERED) != 0;
    cursor->down = (plan & PLAN_DOWN) != 0;
    cursor->spans_count = 0;
    bound_trim(&low);
    bound_trim(&high);
    for (size_t i = 0; i < place->view->count; i++) {
        cursor->from[i] = bound_find(&place->view->spans[i], &low, false);
        cursor->to[i] = bound_find(&place->view->spans[i], &high, true);
        cursor->to[i] = cursor->to[i] < cursor->from[i] ? cursor->from[i] : cursor->to[i];
        cursor->spans[cursor->spans_count] = i;
        cursor->spans_count += cursor->from[i] < cursor->to[i] ? 1 : 0;
    }
    settle(cursor);
    return SQLITE_OK;
}

/* ---- walking ---- */

static int next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    size_t span = cursor->spans[cursor->at];
    cursor->to[span] -= cursor->down ? 1 : 0;
    cursor->from[span] += cursor->down ? 0 : 1;
    settle(cursor);
    return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base)
{
    return ((const struct cursor *)base)->spans_count == 0 ? 1 : 0;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number)
{
    const struct cursor *cursor = (const struct cursor *)base;
    const struct place *place = ((const struct table *)base->pVtab)->place;
    const struct run *run = NULL;
    const struct run_row *row = row_of(cursor, place->view, cursor->at, &run);
    struct str text = STR_NONE;
    switch (shapes[place->kind].fields[number]) {
    case FIELD_PARAMETER:
        sqlite3_result_int64(context, run_row_parameter(row));
        break;
    case FIELD_A:
        sqlite3_result_int64(context, row->a);
        break;
    case FIELD_TEXT: /* runs are held for as long as the snapshot */
        text = run_row_text(run, row);
        sqlite3_result_text64(context, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case FIELD_B:
        sqlite3_result_int64(context, row->b);
        break;
    case FIELD_C:
        sqlite3_result_int64(context, row->c);
        break;
    case FIELD_B_REAL:
        sqlite3_result_double(context, run_number(row->b));
        break;
    case FIELD_C_REAL:
        sqlite3_result_double(context, run_number(row->c));
        break;
    case FIELD_SEQ:
        sqlite3_result_int64(context, (int64_t)row->seq);
        break;
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    const struct cursor *cursor = (const struct cursor *)base;
    size_t span = cursor->spans[cursor->at];
    *out = (sqlite3_int64)(span << 40 | cursor->from[span]);
    return SQLITE_OK;
}

/* ---- making and ending ---- */

static int table_connect(sqlite3 *engine, void *data, int count, const char *const *words, sqlite3_vtab **out,
                         char **text)
{
    (void)count;
    (void)words;
    (void)text;
    const struct place *place = data;
    int code = sqlite3_declare_vtab(engine, shapes[place->kind].sql);
    struct table *table = code == SQLITE_OK ? MEMORY_NEW(struct table) : NULL;
    if (table == NULL) {
        return code == SQLITE_OK ? SQLITE_NOMEM : code;
    }
    table->place = place;
    *out = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
    memory_free(base);
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    (void)base;
    struct cursor *cursor = MEMORY_NEW(struct cursor);
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *out = &cursor->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    memory_free(base);
    return SQLITE_OK;
}

/* Without xCreate: a table that is there by its name on this connection only, and in no file. */
static const sqlite3_module module = {
    .xConnect = table_connect,
    .xBestIndex = best_index,
    .xDisconnect = table_disconnect,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = filter,
    .xNext = next,
    .xEof = eof,
    .xColumn = column,
    .xRowid = rowid,
};

int database_runs_register(sqlite3 *engine, const char *prefix, const struct run_view *view)
{
    int code = SQLITE_OK;
    for (enum index_kind kind = RUN_HEAD; code == SQLITE_OK && kind <= INDEX_NUMBER; kind++) {
        char name[32];
        struct place *place = MEMORY_NEW(struct place);
        if (place == NULL) {
            return SQLITE_NOMEM;
        }
        *place = (struct place){ kind, view };
        (void)snprintf(name, sizeof name, "%s_%s", prefix, shapes[kind].name);
        code = sqlite3_create_module_v2(engine, name, &module, place, memory_free);
    }
    return code;
}
