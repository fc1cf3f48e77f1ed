#include "store/database_packed.h"

#include <sqlite3.h>

#include "base/limits.h"
#include "base/memory.h"
#include "store/packed_rows.h"

enum { COLUMN_SEQ, COLUMN_PARAMETER, COLUMN_VALUE };

struct shape {
    const char *name;
    const char *sql;
};

static const struct shape shapes[] = {
    [INDEX_KEY] = { "reference_of", "CREATE TABLE x(seq INTEGER, parameter INTEGER, value INTEGER)" },
    [INDEX_TEXT] = { "text_of", "CREATE TABLE x(seq INTEGER, parameter INTEGER, value TEXT)" },
    [INDEX_DATE] = { "date_of",
                     "CREATE TABLE x(seq INTEGER, parameter INTEGER, from_ms INTEGER, to_ms INTEGER)" },
    [INDEX_NUMBER] = { "number_of",
                       "CREATE TABLE x(seq INTEGER, parameter INTEGER, unit INTEGER, low REAL, high REAL)" },
};

struct cursor;

struct table {
    sqlite3_vtab base; /* first: the engine's */
    sqlite3 *engine;
    enum index_kind kind;
    struct cursor *resting; /* closed ones, whose statements are kept */
};

struct cursor {
    sqlite3_vtab_cursor base; /* first: the engine's */
    struct cursor *next;
    sqlite3_stmt *version; /* holds the bytes that are being read */
    struct packed_reader reader;
    struct index_row row;
    int64_t seq;
    int64_t parameter; /* the only one wanted; below 0: any */
    int64_t number;    /* of the row */
    bool ended;
};

/* ---- the plan: seq must be given, the parameter may be ---- */

enum { PLAN_PARAMETER = 1 };

static int find_equal(const sqlite3_index_info *info, int column)
{
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->usable != 0 && c->iColumn == column && c->op == SQLITE_INDEX_CONSTRAINT_EQ) {
            return i;
        }
    }
    return -1;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    int seq = find_equal(info, COLUMN_SEQ);
    int parameter = find_equal(info, COLUMN_PARAMETER);
    if (seq < 0) {
        return SQLITE_CONSTRAINT; /* another order of the tables may give it */
    }
    info->aConstraintUsage[seq].argvIndex = 1;
    info->idxNum = 0;
    info->estimatedCost = 12;
    info->estimatedRows = 10;
    if (parameter >= 0) {
        info->aConstraintUsage[parameter].argvIndex = 2;
        info->idxNum = PLAN_PARAMETER;
        info->estimatedCost = 10;
        info->estimatedRows = 2;
    }
    return SQLITE_OK;
}

/* ---- looking up and walking ---- */

/* The next row of the table's kind and the wanted parameter. */
static int next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    enum index_kind kind = ((const struct table *)base->pVtab)->kind;
    enum packed packed = PACKED_ROW;
    do {
        packed = packed_rows_next(&cursor->reader, &cursor->row);
    } while (packed == PACKED_ROW &&
             (cursor->row.kind < kind || (cursor->row.kind == kind && cursor->parameter >= 0 &&
                                          cursor->row.parameter != cursor->parameter)));
    cursor->number++;
    cursor->ended = packed != PACKED_ROW || cursor->row.kind > kind; /* kinds come in their order */
    return packed == PACKED_DAMAGED ? SQLITE_CORRUPT_VTAB : SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *name, int count, sqlite3_value **values)
{
    (void)name;
    (void)count;
    struct cursor *cursor = (struct cursor *)base;
    (void)sqlite3_reset(cursor->version);
    cursor->ended = true;
    cursor->number = 0;
    cursor->seq = sqlite3_value_int64(values[0]);
    cursor->parameter = (plan & PLAN_PARAMETER) != 0 ? sqlite3_value_int64(values[1]) : -1;
    if ((plan & PLAN_PARAMETER) != 0 && cursor->parameter < 0) {
        return SQLITE_OK; /* no parameter has such a number */
    }
    int code = sqlite3_bind_int64(cursor->version, 1, cursor->seq);
    code = code == SQLITE_OK ? sqlite3_step(cursor->version) : code;
    if (code != SQLITE_ROW) {
        return code == SQLITE_DONE ? SQLITE_OK : code;
    }
    const char *bytes = sqlite3_column_blob(cursor->version, 0);
    struct str packed = { bytes, (size_t)sqlite3_column_bytes(cursor->version, 0) };
    if (packed_rows_begin(&cursor->reader, bytes == NULL ? STR_NONE : packed) == PACKED_DAMAGED) {
        return SQLITE_CORRUPT_VTAB;
    }
    return next(base);
}

static int eof(sqlite3_vtab_cursor *base)
{
    return ((const struct cursor *)base)->ended ? 1 : 0;
}

static void value_result(sqlite3_context *context, const struct index_row *row, int number)
{
    switch (row->kind) {
    case INDEX_KEY:
        sqlite3_result_int64(context, (int64_t)row->key);
        break;
    case INDEX_TEXT: /* copied: the bytes go with the next version */
        sqlite3_result_text64(context, row->text.at, row->text.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case INDEX_DATE:
        sqlite3_result_int64(context, number == COLUMN_VALUE ? row->from_ms : row->to_ms);
        break;
    case INDEX_NUMBER:
        if (number == COLUMN_VALUE) {
            sqlite3_result_int64(context, (int64_t)row->key);
        } else {
            sqlite3_result_double(context, number == COLUMN_VALUE + 1 ? row->low : row->high);
        }
        break;
    }
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number)
{
    const struct cursor *cursor = (const struct cursor *)base;
    if (number == COLUMN_SEQ) {
        sqlite3_result_int64(context, cursor->seq);
    } else if (number == COLUMN_PARAMETER) {
        sqlite3_result_int64(context, cursor->row.parameter);
    } else {
        value_result(context, &cursor->row, number);
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = ((const struct cursor *)base)->number;
    return SQLITE_OK;
}

/* ---- making and ending ---- */

static int table_connect(sqlite3 *engine, void *data, int count, const char *const *words, sqlite3_vtab **out,
                         char **text)
{
    (void)count;
    (void)words;
    (void)text;
    const struct shape *shape = data;
    int code = sqlite3_declare_vtab(engine, shape->sql);
    struct table *table = code == SQLITE_OK ? MEMORY_NEW(struct table) : NULL;
    if (table == NULL) {
        return code == SQLITE_OK ? SQLITE_NOMEM : code;
    }
    table->engine = engine;
    table->kind = (enum index_kind)(shape - shapes);
    *out = &table->base;
    return SQLITE_OK;
}

static void cursor_free(struct cursor *cursor)
{
    (void)sqlite3_finalize(cursor->version);
    memory_free(cursor);
}

static int table_disconnect(sqlite3_vtab *base)
{
    struct table *table = (struct table *)base;
    while (table->resting != NULL) {
        struct cursor *cursor = table->resting;
        table->resting = cursor->next;
        cursor_free(cursor);
    }
    memory_free(table);
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct table *table = (struct table *)base;
    struct cursor *cursor = table->resting;
    if (cursor != NULL) {
        table->resting = cursor->next;
        *out = &cursor->base;
        return SQLITE_OK;
    }
    cursor = MEMORY_NEW(struct cursor);
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    int code = sqlite3_prepare_v3(table->engine, "SELECT rows FROM version WHERE seq = ?1", -1,
                                  SQLITE_PREPARE_PERSISTENT, &cursor->version, NULL);
    if (code != SQLITE_OK) {
        cursor_free(cursor);
        return code;
    }
    *out = &cursor->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    struct table *table = (struct table *)base->pVtab;
    (void)sqlite3_reset(cursor->version);
    cursor->next = table->resting;
    table->resting = cursor;
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

int database_packed_register(sqlite3 *engine)
{
    int code = SQLITE_OK;
    for (enum index_kind kind = INDEX_KEY; code == SQLITE_OK && kind <= INDEX_NUMBER; kind++) {
        void *shape = (void *)(uintptr_t)&shapes[kind]; /* the engine's data is not const */
        code = sqlite3_create_module_v2(engine, shapes[kind].name, &module, shape, NULL);
    }
    return code;
}

/* ---- from rows ---- */

/* The rows of one version, in memory of the aggregate's own. */
struct gathering {
    struct arena *arena;
    struct index_row *rows;
    size_t count;
    size_t room;
};

static bool gathering_add(struct gathering *gathering, const struct index_row *row)
{
    if (gathering->arena == NULL) {
        gathering->arena = MEMORY_NEW(struct arena);
        if (gathering->arena == NULL) {
            return false;
        }
        gathering->arena->bytes_max = LIMIT_REQUEST_ARENA_BYTES;
    }
    if (gathering->count == gathering->room) {
        size_t room = gathering->room == 0 ? 32 : 2 * gathering->room;
        struct index_row *grown = ARENA_ARRAY(gathering->arena, struct index_row, room);
        if (grown == NULL) {
            return false;
        }
        if (gathering->count > 0) {
            memcpy(grown, gathering->rows, gathering->count * sizeof *grown);
        }
        gathering->rows = grown;
        gathering->room = room;
    }
    struct index_row *copy = &gathering->rows[gathering->count];
    *copy = *row;
    copy->text = row->kind == INDEX_TEXT ? arena_dup(gathering->arena, row->text) : STR_NONE;
    gathering->count++;
    return row->kind != INDEX_TEXT || copy->text.at != NULL;
}

static void pack_step(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    struct gathering *gathering = sqlite3_aggregate_context(context, sizeof *gathering);
    struct index_row row = { .kind = (enum index_kind)sqlite3_value_int(values[0]),
                             .parameter = (uint32_t)sqlite3_value_int64(values[1]) };
    switch (row.kind) {
    case INDEX_KEY:
        row.key = (uint64_t)sqlite3_value_int64(values[2]);
        row.reference = true;
        break;
    case INDEX_TEXT:
        row.text.at = (const char *)sqlite3_value_text(values[2]);
        row.text.len = (size_t)sqlite3_value_bytes(values[2]);
        row.text = row.text.at == NULL ? STR("") : row.text;
        break;
    case INDEX_DATE:
        row.from_ms = sqlite3_value_int64(values[2]);
        row.to_ms = sqlite3_value_int64(values[3]);
        break;
    case INDEX_NUMBER:
        row.key = (uint64_t)sqlite3_value_int64(values[2]);
        row.low = sqlite3_value_double(values[3]);
        row.high = sqlite3_value_double(values[4]);
        break;
    }
    if (gathering == NULL || !gathering_add(gathering, &row)) {
        sqlite3_result_error_nomem(context);
    }
}

static void pack_end(sqlite3_context *context)
{
    struct gathering *gathering = sqlite3_aggregate_context(context, 0);
    struct str packed = STR_NONE;
    struct error error = { 0 };
    if (gathering == NULL || gathering->arena == NULL) {
        return; /* no rows: NULL */
    }
    struct index_rows rows = { gathering->rows, gathering->count };
    if (!packed_rows_make(gathering->arena, &rows, &packed, &error)) {
        sqlite3_result_error_nomem(context);
    } else if (packed.at != NULL) {
        sqlite3_result_blob64(context, packed.at, packed.len, SQLITE_TRANSIENT);
    }
    arena_deinit(gathering->arena);
    memory_free(gathering->arena);
}

int database_packed_register_pack(sqlite3 *engine)
{
    return sqlite3_create_function_v2(engine, "pack_rows", 5,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, NULL, NULL,
                                      pack_step, pack_end, NULL);
}
