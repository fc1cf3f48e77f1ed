#include "view/indicator.h"

#include "base/clock.h"
#include "base/parse.h"

enum { MS_PER_DAY = 24 * 60 * 60 * 1000 };

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "the indicators need more memory than they may use");
}

static struct str member_of(struct arena *arena, const struct json *root, const char *name,
                            const char *language)
{
    return json_member_text(arena, json_member(root, str_from_cstr(name)), str_from_cstr(language));
}

/* A statement is a text or, to be read by people, a list of lines. */
static struct str statement_of(struct arena *arena, const struct json *value)
{
    struct str text = json_text(arena, value);
    JSON_EACH(line, value) {
        struct str so_far = text.at == NULL ? STR_NONE : arena_concat(arena, text, STR(" "));
        text = arena_concat(arena, so_far, json_text(arena, line));
    }
    return text;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/* In indicator SQL `x = :org` reads: x is one of the organisations that were asked for. The engines know no list as a
 * parameter, so the comparison becomes a call of one_of. */
static struct str with_organizations(struct arena *arena, struct str sql)
{
    const struct str compared = STR(" = :org");
    struct str made = STR("");
    struct str rest = sql;
    for (size_t at = str_find(rest, compared); at < rest.len; at = str_find(rest, compared)) {
        size_t name = at;
        while (name > 0 && is_name(rest.at[name - 1])) {
            name--;
        }
        made = arena_concat(arena, made, str_slice(rest, 0, name));
        made = arena_concat(arena, made,
                            arena_printf(arena, "one_of(%.*s, :org)", STR_FMT(str_slice(rest, name, at))));
        rest = str_skip(rest, at + compared.len);
    }
    return sql.at == NULL ? sql : arena_concat(arena, made, rest);
}

static bool check_sql(struct indicator_set *set, struct str code, struct str sql, struct error *error)
{
    struct error cause = { 0 };
    if (store_sql_check(set->store, sql, &cause)) {
        return true;
    }
    return FAIL(error, ERROR_STRUCTURE, "indicator %.*s: %.120s", STR_FMT(code), cause.text);
}

bool indicator_set_add(struct indicator_set *set, struct str text, struct error *error)
{
    struct json *root = NULL;
    struct indicator *made = ARENA_NEW(set->arena, struct indicator);
    uint64_t decimals = 0;
    if (made == NULL) {
        return no_memory(error);
    }
    if (!json_read(set->arena, arena_dup(set->arena, text), &root, error)) {
        return false;
    }
    const struct json *given = JSON_GET(root, "decimals");
    if (given != NULL && !parse_uint64(given->raw, 6, &decimals)) {
        return FAIL(error, ERROR_STRUCTURE, "an indicator's decimals are 0 to 6");
    }
    *made = (struct indicator){
        .code = JSON_TEXT(set->arena, root, "code"),
        .name_zh = member_of(set->arena, root, "name", "zh"),
        .name_en = member_of(set->arena, root, "name", "en"),
        .unit_zh = member_of(set->arena, root, "unit", "zh"),
        .unit_en = member_of(set->arena, root, "unit", "en"),
        .rule_zh = member_of(set->arena, root, "rule", "zh"),
        .rule_en = member_of(set->arena, root, "rule", "en"),
        .sql = with_organizations(set->arena, statement_of(set->arena, JSON_GET(root, "sql"))),
        .drill_sql = with_organizations(set->arena, statement_of(set->arena, JSON_GET(root, "drill"))),
        .decimals = (unsigned)decimals,
    };
    bool whole = made->code.at != NULL && made->name_zh.at != NULL && made->name_en.at != NULL &&
                 made->rule_zh.at != NULL && made->sql.at != NULL && made->drill_sql.at != NULL;
    if (!whole) {
        return FAIL(error, ERROR_STRUCTURE, "an indicator needs code, name, rule, sql and drill");
    }
    if (!check_sql(set, made->code, made->sql, error) ||
        !check_sql(set, made->code, made->drill_sql, error)) {
        return false;
    }
    if (set->indicators.arena == NULL) {
        set->indicators = table_in(set->arena);
    }
    return table_set(&set->indicators, made->code, made) || no_memory(error);
}

bool indicator_set_add_report(struct indicator_set *set, struct str text, struct error *error)
{
    struct json *root = NULL;
    if (!json_read(set->arena, arena_dup(set->arena, text), &root, error)) {
        return false;
    }
    struct str code = JSON_TEXT(set->arena, root, "code");
    if (code.at == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "a report needs a code");
    }
    JSON_EACH(section, JSON_GET(root, "sections")) {
        JSON_EACH(indicator, JSON_GET(section, "indicators")) {
            struct str named = json_text(set->arena, indicator);
            if (table_get(&set->indicators, named) == NULL) {
                return FAIL(error, ERROR_STRUCTURE, "report %.*s names the unknown indicator '%.*s'",
                            STR_FMT(code), STR_FMT(named));
            }
        }
    }
    if (set->reports == NULL) {
        set->reports = json_new(set->arena, JSON_OBJECT);
    }
    return json_set(set->reports, code, root) != NULL || no_memory(error);
}

static bool run_sql(const struct indicator_set *set, struct arena *arena, struct str text,
                    const struct indicator_scope *scope, struct store_sql_result *result, struct error *error)
{
    int64_t start_ms = scope->day * MS_PER_DAY - (int64_t)set->offset_minutes * 60000;
    const struct store_sql_parameter parameters[] = {
        { "org", store_text(scope->organizations) },
        { "start", store_integer(start_ms) },
        { "end", store_integer(start_ms + MS_PER_DAY) },
    };
    const struct store_sql sql = {
        .text = text,
        .parameters = parameters,
        .parameters_count = sizeof parameters / sizeof *parameters,
        .as_of_seq = scope->as_of_seq,
        .offset_minutes = set->offset_minutes,
    };
    return store_sql_run(set->store, arena, &sql, result, error);
}

static const struct store_value *cell(const struct store_sql_result *result, size_t row, const char *name)
{
    for (size_t i = 0; row < result->rows_count && i < result->columns_count; i++) {
        if (strcmp(result->columns[i], name) == 0) {
            return &result->values[row * result->columns_count + i];
        }
    }
    return NULL;
}

static bool number_of(const struct store_value *value, double *number)
{
    if (value == NULL || (value->kind != STORE_VALUE_INTEGER && value->kind != STORE_VALUE_REAL)) {
        return false;
    }
    *number = value->kind == STORE_VALUE_INTEGER ? (double)value->integer : value->real;
    return true;
}

bool indicator_value(const struct indicator_set *set, struct arena *arena, const struct indicator *indicator,
                     const struct indicator_scope *scope, struct indicator_value *value, struct error *error)
{
    struct store_sql_result result = { 0 };
    struct indicator_value made = { 0 };
    if (!run_sql(set, arena, indicator->sql, scope, &result, error)) {
        return false;
    }
    made.known = number_of(cell(&result, 0, "value"), &made.value);
    made.has_parts = number_of(cell(&result, 0, "numerator"), &made.numerator) &&
                     number_of(cell(&result, 0, "denominator"), &made.denominator);
    made.seq = result.seq;
    *value = made;
    return true;
}

bool indicator_drill(const struct indicator_set *set, struct arena *arena, const struct indicator *indicator,
                     const struct indicator_scope *scope, struct indicator_counted **counted, size_t *count,
                     struct error *error)
{
    struct store_sql_result result = { 0 };
    if (!run_sql(set, arena, indicator->drill_sql, scope, &result, error)) {
        return false;
    }
    struct indicator_counted *made = ARENA_ARRAY(arena, struct indicator_counted, result.rows_count + 1);
    if (made == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < result.rows_count; i++) {
        const struct store_value *key = cell(&result, i, "resource_key");
        const struct store_value *at = cell(&result, i, "at");
        made[i].resource = key == NULL ? 0 : (uint64_t)key->integer;
        made[i].has_value = number_of(cell(&result, i, "value"), &made[i].value);
        made[i].at_ms = at == NULL || at->kind != STORE_VALUE_INTEGER ? 0 : at->integer;
    }
    *counted = made;
    *count = result.rows_count;
    return true;
}
