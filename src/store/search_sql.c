#include "store/search_sql.h"

enum { FIRST_VALUES = 32 };

/* ---- pieces ---- */

bool builder_init(struct builder *b, struct store_reader *reader, const struct store_filter *filter,
                  struct arena *arena, uint64_t as_of_seq, struct error *error)
{
    *b = (struct builder){ .reader = reader,
                           .filter = filter,
                           .arena = arena,
                           .text = { .bytes_max = SEARCH_SQL_BYTES },
                           .with = { .bytes_max = SEARCH_SQL_BYTES },
                           .values = ARENA_ARRAY(arena, struct store_value, FIRST_VALUES),
                           .values_room = FIRST_VALUES };
    if (b->values == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!reader_numbers(reader, error)) {
        return false;
    }
    b->values[0] = store_integer((int64_t)as_of_seq);
    b->values_count = 1;
    return true;
}

void builder_deinit(struct builder *b)
{
    buf_deinit(&b->text);
    buf_deinit(&b->with);
}

struct outer with_begin(struct builder *b)
{
    struct outer outer = { .text = b->text, .inside = b->inside };
    b->text = (struct buf){ .bytes_max = SEARCH_SQL_BYTES };
    b->inside = 0;
    return outer;
}

unsigned with_end(struct builder *b, struct outer outer)
{
    buf_printf(&b->with, "%sc%u AS MATERIALIZED (", b->withs == 0 ? "" : ", ", b->withs);
    buf_add(&b->with, buf_str(&b->text));
    buf_add(&b->with, STR(")"));
    b->failed = b->failed || b->text.failed || b->with.failed;
    buf_deinit(&b->text);
    b->text = outer.text;
    b->inside = outer.inside;
    return b->withs++;
}

void add_name(struct builder *b, unsigned name)
{
    buf_printf(&b->text, "c%u", name);
}

void add_sql(struct builder *b, const char *fragment)
{
    buf_add(&b->text, str_from_cstr(fragment));
}

static bool values_grow(struct builder *b)
{
    size_t room = 4 * b->values_room;
    struct store_value *grown =
        room > SEARCH_SQL_VALUES ? NULL : ARENA_ARRAY(b->arena, struct store_value, room);
    if (grown == NULL) {
        return false;
    }
    memcpy(grown, b->values, b->values_count * sizeof *grown);
    b->values = grown;
    b->values_room = room;
    return true;
}

static void add_value(struct builder *b, struct store_value value)
{
    if (b->values_count == b->values_room && !values_grow(b)) {
        b->failed = true;
        return;
    }
    b->values[b->values_count] = value;
    b->values_count++;
    buf_printf(&b->text, "?%zu", b->values_count);
}

void add_integer(struct builder *b, int64_t value)
{
    add_value(b, store_integer(value));
}

void add_key(struct builder *b, uint64_t value)
{
    add_value(b, store_integer((int64_t)value)); /* the same 64 bits */
}

void add_real(struct builder *b, double value)
{
    add_value(b, store_real(value));
}

void add_text(struct builder *b, struct str value)
{
    add_value(b, store_text(value));
}

void add_alias(struct builder *b, unsigned alias)
{
    buf_printf(&b->text, "v%u", alias);
}

unsigned new_alias(struct builder *b)
{
    b->failed = b->failed || b->aliases == SEARCH_SQL_ALIASES;
    return b->aliases++;
}

void add_index(struct builder *b, enum index_kind kind)
{
    static const char *const tables[][2] = {
        [INDEX_KEY] = { "index_key", "index_key_row" },
        [INDEX_TEXT] = { "index_text", "index_text_row" },
        [INDEX_DATE] = { "index_date", "index_date_row" },
        [INDEX_NUMBER] = { "index_number", "index_number_row" },
    };
    /* The engine puts the test of each use into both parts, and merges them where an order is asked for. */
    static const char *const with_runs[] = {
        [INDEX_KEY] = "(SELECT parameter, value, seq FROM index_key UNION ALL"
                      " SELECT parameter, value, seq FROM run_key)",
        [INDEX_TEXT] = "(SELECT parameter, value, seq FROM index_text UNION ALL"
                       " SELECT parameter, value, seq FROM run_text)",
        [INDEX_DATE] = "(SELECT parameter, from_ms, to_ms, seq FROM index_date UNION ALL"
                       " SELECT parameter, from_ms, to_ms, seq FROM run_date)",
        [INDEX_NUMBER] = "(SELECT parameter, unit, low, high, seq FROM index_number UNION ALL"
                         " SELECT parameter, unit, low, high, seq FROM run_number)"
    };
    bool waiting = database_runs(b->reader->connection->database)->count > 0;
    add_sql(b, waiting ? with_runs[kind] : tables[kind][builder_has_blocks(b) ? 1 : 0]);
}

bool builder_has_blocks(const struct builder *b)
{
    return builder_dialect(b) == DIALECT_POSTGRESQL;
}

void add_found_begin(struct builder *b, unsigned alias, const char *column, enum found_use use)
{
    add_sql(b, use == FOUND_TO_TEST ? "(" : "");
    add_column(b, alias, column);
    add_sql(b, use == FOUND_TO_BEGIN && builder_has_blocks(b) ? " = ANY(ARRAY(" : " IN (");
}

void add_found_end(struct builder *b, enum found_use use)
{
    bool blocks = builder_has_blocks(b);
    if (use == FOUND_TO_TEST) {
        add_sql(b, blocks ? ")) IS TRUE" : "))"); /* so that it is no join, but a look into a hash */
    } else {
        add_sql(b, blocks ? "))" : ")");
    }
}

void add_block_test(struct builder *b, uint32_t parameter, struct str seq)
{
    assert(builder_has_blocks(b));
    add_sql(b, " CROSS JOIN LATERAL (SELECT i.seq, i.more FROM index_key i WHERE i.parameter = ");
    add_integer(b, parameter);
    buf_printf(&b->text,
               " AND i.value = w.value AND i.seq <= %.*s ORDER BY i.seq DESC LIMIT 1) i"
               " WHERE i.seq = %.*s OR %.*s = ANY(i.more)",
               STR_FMT(seq), STR_FMT(seq), STR_FMT(seq));
}

void add_block_order(struct builder *b, const char *table, bool descending)
{
    if (builder_has_blocks(b)) {
        add_sql(b, table);
        add_sql(b, descending ? ".first DESC, " : ".first, ");
    }
}

void add_block_bound(struct builder *b, const char *table, uint64_t seq, bool ascending)
{
    if (builder_has_blocks(b)) {
        add_sql(b, " AND ");
        add_sql(b, table);
        add_sql(b, ascending ? ".first > " : ".first < ");
        add_integer(b, ascending ? (int64_t)seq - STORE_BLOCK_REACH : (int64_t)seq);
    }
}

void add_heads(struct builder *b)
{
    bool waiting = database_runs(b->reader->connection->database)->count > 0;
    add_sql(b,
            waiting ? "(SELECT key, seq FROM resource UNION ALL SELECT key, seq FROM run_head)" : "resource");
}

enum dialect builder_dialect(const struct builder *b)
{
    return database_dialect(b->reader->connection->database);
}

/* In SQLite a CROSS JOIN is what keeps the order; PostgreSQL keeps it as the connection is set (postgresql_line.c). */
void add_join(struct builder *b)
{
    add_sql(b, builder_dialect(b) == DIALECT_SQLITE ? " CROSS JOIN " : " JOIN ");
}

void add_column(struct builder *b, unsigned alias, const char *column)
{
    add_alias(b, alias);
    add_sql(b, column);
}

struct statement *builder_statement(struct builder *b, struct error *error)
{
    if (b->failed || b->text.failed) {
        (void)FAIL(error, ERROR_TOO_COSTLY, "the search has too many parts");
        return NULL;
    }
    struct str sql = buf_str(&b->text);
    if (b->withs > 0) {
        sql = arena_printf(b->arena, "WITH %.*s %.*s", STR_FMT(buf_str(&b->with)), STR_FMT(sql));
    }
    if (sql.at == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        return NULL;
    }
    struct statement *statement = connection_composed(b->reader->connection, sql, error);
    if (statement == NULL) {
        return NULL;
    }
    int count = bind_count(statement);
    for (int at = 1; at <= count && (size_t)at <= b->values_count; at++) {
        bind_value(statement, at, &b->values[at - 1]);
    }
    return statement;
}

/* ---- the version as such ---- */

void add_current(struct builder *b, unsigned alias)
{
    /* Nearly all rows fit: that must not become what a plan begins with. */
    add_sql(b, builder_dialect(b) == DIALECT_SQLITE ? " AND " : " AND +");
    add_column(b, alias, ".seq <= ?1 AND (");
    add_column(b, alias, ".ended_seq IS NULL OR ");
    add_column(b, alias, ".ended_seq > ?1) AND ");
    add_column(b, alias, ".method <> 3");
}

/* The plus keeps the engine from walking the index of types instead of what we chose. */
static void add_type_is(struct builder *b, unsigned alias, struct str type)
{
    add_sql(b, "+");
    add_column(b, alias, ".type = ");
    add_integer(b, store_type_number(b->reader->store, type));
}

void add_types(struct builder *b, unsigned alias, struct str type, const struct str *types,
               size_t types_count)
{
    if (type.at != NULL) {
        add_sql(b, " AND ");
        add_type_is(b, alias, type);
    } else if (types_count > 0) {
        add_sql(b, " AND +");
        add_column(b, alias, ".type IN (");
        for (size_t i = 0; i < types_count; i++) {
            add_sql(b, i == 0 ? "" : ", ");
            add_integer(b, store_type_number(b->reader->store, types[i]));
        }
        add_sql(b, ")");
    }
}

/* ---- rights ---- */

bool looks_back(const struct builder *b)
{
    return (uint64_t)b->values[0].integer < b->reader->seq;
}

static void add_posts(struct builder *b, const struct store_rule *rule)
{
    const struct store_filter *filter = b->filter;
    const uint64_t *posts = rule->granted_as != 0 ? &rule->granted_as : filter->posts;
    size_t posts_count = rule->granted_as != 0 ? 1 : filter->posts_count;
    add_sql(b, "g.post IN (");
    for (size_t i = 0; i < posts_count; i++) {
        add_sql(b, i == 0 ? "" : ", ");
        add_key(b, posts[i]);
    }
    add_sql(b, ") AND g.from_ms <= ");
    add_integer(b, filter->now_ms);
    add_sql(b, " AND g.until_ms > ");
    add_integer(b, filter->now_ms);
}

static void add_rule(struct builder *b, unsigned alias, const struct store_rule *rule)
{
    add_sql(b, "(TRUE");
    if (rule->custodians != NULL) {
        add_sql(b, " AND ");
        add_column(b, alias, ".custodian IN (");
        for (size_t i = 0; i < rule->custodians_count; i++) {
            add_sql(b, i == 0 ? "" : ", ");
            add_key(b, rule->custodians[i]);
        }
        add_sql(b, ")");
    }
    if (rule->granted) {
        add_sql(b, " AND EXISTS(SELECT 1 FROM grants g WHERE g.resource = ");
        add_column(b, alias, ".resource AND ");
        add_posts(b, rule);
        add_sql(b, ")");
    }
    if (rule->granted_through != 0) {
        add_sql(b, " AND EXISTS(SELECT 1 FROM reference_of f");
        add_join(b);
        add_sql(b, "grants g ON g.resource = f.value WHERE f.seq = ");
        add_column(b, alias, ".seq AND f.parameter = ");
        add_integer(b, rule->granted_through);
        add_sql(b, " AND ");
        add_posts(b, rule);
        add_sql(b, ")");
    }
    /* What a policy's own criteria pass through was chosen by who wrote it: looked at as the system. */
    const struct store_filter *filter = b->filter;
    b->filter = NULL;
    add_criteria(b, alias, rule->criteria, NULL);
    b->filter = filter;
    add_sql(b, ")");
}

static bool rule_is_for(const struct store_rule *rule, struct str type, const struct str *types,
                        size_t types_count)
{
    if (str_equal(rule->type, STR("*")) || (type.at == NULL && types_count == 0)) {
        return true;
    }
    if (type.at != NULL) {
        return str_equal(rule->type, type);
    }
    for (size_t i = 0; i < types_count; i++) {
        if (str_equal(rule->type, types[i])) {
            return true;
        }
    }
    return false;
}

/* ---- beginning with what may be seen ---- */

static const struct search_criteria *rule_criterion(const struct store_rule *rule)
{
    for (const struct search_criteria *c = rule->criteria; c != NULL; c = c->next) {
        if (criterion_drives(c) && !criterion_is_costly(c)) {
            return c;
        }
    }
    return NULL;
}

bool filter_drives(const struct store_filter *filter, struct str type)
{
    if (filter == NULL || type.at == NULL) {
        return false;
    }
    for (size_t i = 0; i < filter->rules_count; i++) {
        const struct store_rule *rule = &filter->rules[i];
        if (rule_is_for(rule, type, NULL, 0) && !rule->granted && rule->granted_through == 0 &&
            rule_criterion(rule) == NULL) {
            return false; /* whatever a custodian has, or everything: no look-up finds that */
        }
    }
    return true;
}

static void add_rule_found(struct builder *b, const struct store_rule *rule)
{
    if (rule->granted) {
        add_sql(b, " UNION ALL SELECT seq FROM ");
        add_heads(b);
        add_sql(b, " WHERE key IN (SELECT g.resource FROM grants g WHERE ");
        add_posts(b, rule);
        add_sql(b, ")");
        if (looks_back(b)) {
            add_sql(b, " UNION ALL SELECT seq FROM history WHERE resource IN (SELECT g.resource FROM grants "
                       "g WHERE ");
            add_posts(b, rule);
            add_sql(b, ")");
        }
    } else if (rule->granted_through != 0) {
        add_sql(b, " UNION ALL SELECT seq FROM ");
        add_index(b, INDEX_KEY);
        add_sql(b, " WHERE parameter = ");
        add_integer(b, rule->granted_through);
        add_sql(b, " AND value IN (SELECT g.resource FROM grants g WHERE ");
        add_posts(b, rule);
        add_sql(b, ")");
    } else {
        add_sql(b, " UNION ALL ");
        add_found(b, rule_criterion(rule));
    }
}

void add_filter_found(struct builder *b, struct str type)
{
    add_sql(b, "SELECT 0 WHERE FALSE");
    for (size_t i = 0; i < b->filter->rules_count; i++) {
        if (rule_is_for(&b->filter->rules[i], type, NULL, 0)) {
            add_rule_found(b, &b->filter->rules[i]);
        }
    }
}

/* A type without a rule is not seen at all: the alternatives begin with "never". */
void add_visible(struct builder *b, unsigned alias, struct str type, const struct str *types,
                 size_t types_count)
{
    const struct store_filter *filter = b->filter;
    if (filter == NULL) {
        return;
    }
    add_sql(b, " AND (FALSE");
    for (size_t i = 0; i < filter->rules_count; i++) {
        const struct store_rule *rule = &filter->rules[i];
        if (!rule_is_for(rule, type, types, types_count)) {
            continue;
        }
        add_sql(b, " OR (");
        if (str_equal(rule->type, STR("*")) || type.at != NULL) {
            add_sql(b, "TRUE");
        } else {
            add_type_is(b, alias, rule->type);
        }
        add_sql(b, " AND ");
        add_rule(b, alias, rule);
        add_sql(b, ")");
    }
    add_sql(b, ")");
}
