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
                           .values = ARENA_ARRAY(arena, struct store_value, FIRST_VALUES),
                           .values_room = FIRST_VALUES };
    if (b->values == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    b->values[0] = store_integer((int64_t)as_of_seq);
    b->values_count = 1;
    return true;
}

void builder_deinit(struct builder *b)
{
    buf_deinit(&b->text);
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

static void add_column(struct builder *b, unsigned alias, const char *column)
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
    struct statement *statement = connection_composed(b->reader->connection, buf_str(&b->text), error);
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
    add_sql(b, " AND ");
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

static void add_posts(struct builder *b)
{
    const struct store_filter *filter = b->filter;
    add_sql(b, "g.post IN (");
    for (size_t i = 0; i < filter->posts_count; i++) {
        add_sql(b, i == 0 ? "" : ", ");
        add_key(b, filter->posts[i]);
    }
    add_sql(b, ") AND g.from_ms <= ");
    add_integer(b, filter->now_ms);
    add_sql(b, " AND g.until_ms > ");
    add_integer(b, filter->now_ms);
}

static void add_rule(struct builder *b, unsigned alias, const struct store_rule *rule)
{
    add_sql(b, "(1");
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
        add_posts(b);
        add_sql(b, ")");
    }
    if (rule->granted_through != 0) {
        add_sql(b, " AND EXISTS(SELECT 1 FROM grants g INDEXED BY grants_by_post CROSS JOIN index_key gk"
                   " ON gk.parameter = ");
        add_integer(b, rule->granted_through);
        add_sql(b, " AND gk.value = g.resource AND gk.seq = ");
        add_column(b, alias, ".seq WHERE ");
        add_posts(b);
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

/* A type without a rule is not seen at all: the alternatives begin with "never". */
void add_visible(struct builder *b, unsigned alias, struct str type, const struct str *types,
                 size_t types_count)
{
    const struct store_filter *filter = b->filter;
    if (filter == NULL) {
        return;
    }
    add_sql(b, " AND (0");
    for (size_t i = 0; i < filter->rules_count; i++) {
        const struct store_rule *rule = &filter->rules[i];
        if (!rule_is_for(rule, type, types, types_count)) {
            continue;
        }
        add_sql(b, " OR (");
        if (str_equal(rule->type, STR("*")) || type.at != NULL) {
            add_sql(b, "1");
        } else {
            add_type_is(b, alias, rule->type);
        }
        add_sql(b, " AND ");
        add_rule(b, alias, rule);
        add_sql(b, ")");
    }
    add_sql(b, ")");
}

/* ---- values against rows ---- */

/* R4 3.1.1.4.6, as search_date_matches says it: eq = the value's span contains the row's; gt, lt = the row reaches
 * beyond it; sa, eb = it lies wholly beyond; ap = they touch. */
static void add_date_test(struct builder *b, const struct search_value *value)
{
    switch (value->prefix) {
    case SEARCH_EQ:
        add_sql(b, "(from_ms >= ");
        add_integer(b, value->from_ms);
        add_sql(b, " AND to_ms <= ");
        add_integer(b, value->to_ms);
        break;
    case SEARCH_NE:
        add_sql(b, "NOT (from_ms >= ");
        add_integer(b, value->from_ms);
        add_sql(b, " AND to_ms <= ");
        add_integer(b, value->to_ms);
        break;
    case SEARCH_GT:
        add_sql(b, "(to_ms > ");
        add_integer(b, value->to_ms);
        break;
    case SEARCH_LT:
        add_sql(b, "(from_ms < ");
        add_integer(b, value->from_ms);
        break;
    case SEARCH_GE: /* gt or eq: every row that begins in the span or later, or reaches beyond it */
        add_sql(b, "(to_ms > ");
        add_integer(b, value->to_ms);
        add_sql(b, " OR from_ms >= ");
        add_integer(b, value->from_ms);
        break;
    case SEARCH_LE:
        add_sql(b, "(from_ms < ");
        add_integer(b, value->from_ms);
        add_sql(b, " OR to_ms <= ");
        add_integer(b, value->to_ms);
        break;
    case SEARCH_SA:
        add_sql(b, "(from_ms >= ");
        add_integer(b, value->to_ms);
        break;
    case SEARCH_EB:
        add_sql(b, "(to_ms <= ");
        add_integer(b, value->from_ms);
        break;
    case SEARCH_AP:
        add_sql(b, "(from_ms < ");
        add_integer(b, value->to_ms);
        add_sql(b, " AND to_ms > ");
        add_integer(b, value->from_ms);
        break;
    }
    add_sql(b, ")");
}

/* As search_number_matches says it: rows of plain values are points, so eq takes the half-open range that the
 * digits cover. */
static void add_number_test(struct builder *b, const struct search_value *value)
{
    switch (value->prefix) {
    case SEARCH_EQ:
    case SEARCH_NE:
        add_sql(b, value->prefix == SEARCH_NE ? "NOT (low >= " : "(low >= ");
        add_real(b, value->low);
        add_sql(b, " AND high < ");
        add_real(b, value->high);
        break;
    case SEARCH_GT:
    case SEARCH_SA:
        add_sql(b, value->prefix == SEARCH_SA ? "(low > " : "(high > ");
        add_real(b, value->number);
        break;
    case SEARCH_LT:
    case SEARCH_EB:
        add_sql(b, value->prefix == SEARCH_EB ? "(high < " : "(low < ");
        add_real(b, value->number);
        break;
    case SEARCH_GE:
        add_sql(b, "(high >= ");
        add_real(b, value->number);
        break;
    case SEARCH_LE:
        add_sql(b, "(low <= ");
        add_real(b, value->number);
        break;
    case SEARCH_AP:
        add_sql(b, "(low <= ");
        add_real(b, value->high);
        add_sql(b, " AND high >= ");
        add_real(b, value->low);
        break;
    }
    add_sql(b, ")");
}

/* The text after every text that begins with `prefix`: 0xF8 is in no UTF-8 text. */
static struct str prefix_end(struct arena *arena, struct str prefix)
{
    return arena_concat(arena, prefix, STR("\xf8"));
}

static void add_text_test(struct builder *b, const struct search_value *value)
{
    struct str text = index_text_cut(value->text);
    switch ((int)value->test) {
    case SEARCH_TEST_PREFIX:
        add_sql(b, "(value >= ");
        add_text(b, text);
        add_sql(b, " AND value < ");
        add_text(b, prefix_end(b->arena, text));
        break;
    case SEARCH_TEST_CONTAINS:
        add_sql(b, "(instr(value, ");
        add_text(b, text);
        add_sql(b, ") > 0");
        break;
    case SEARCH_TEST_ABOVE: /* the row is the text or a part of it that ends where a path ends */
        add_sql(b, "(value = ");
        add_text(b, text);
        add_sql(b, " OR substr(");
        add_text(b, text);
        add_sql(b, ", 1, length(rtrim(value, '/')) + 1) = rtrim(value, '/') || '/'");
        break;
    default: /* SEARCH_TEST_EQUAL */
        add_sql(b, "(value = ");
        add_text(b, text);
        break;
    }
    add_sql(b, ")");
}

static bool is_text_test(enum search_test test)
{
    return test == SEARCH_TEST_PREFIX || test == SEARCH_TEST_CONTAINS || test == SEARCH_TEST_EQUAL ||
           test == SEARCH_TEST_ABOVE;
}

/* "parameter = … AND (test)" over a row of the value's table; without the key test, which keys() gathers. */
static void add_row_test(struct builder *b, const struct search_value *value)
{
    add_sql(b, "parameter = ");
    add_integer(b, value->parameter);
    add_sql(b, " AND ");
    if (is_text_test(value->test)) {
        add_text_test(b, value);
    } else if (value->test == SEARCH_TEST_DATE) {
        add_date_test(b, value);
    } else {
        add_sql(b, "unit = ");
        add_key(b, value->key);
        add_sql(b, " AND ");
        add_number_test(b, value);
    }
}

static const char *table_by_value(enum search_test test)
{
    if (test == SEARCH_TEST_DATE) {
        return "index_date";
    }
    return test == SEARCH_TEST_NUMBER ? "index_number" : "index_text";
}

static const char *table_by_version(enum search_test test)
{
    if (test == SEARCH_TEST_DATE) {
        return "date_of";
    }
    return test == SEARCH_TEST_NUMBER ? "number_of" : "text_of";
}

/* The key values from `first` on that share its parameter, as "parameter = … AND value IN (…)". */
static void add_keys(struct builder *b, const struct search_criteria *criterion, size_t first)
{
    uint32_t parameter = criterion->values[first].parameter;
    add_sql(b, "parameter = ");
    add_integer(b, parameter);
    add_sql(b, " AND value IN (");
    bool any = false;
    for (size_t i = first; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_KEY && value->parameter == parameter) {
            add_sql(b, any ? ", " : "");
            add_key(b, value->key);
            any = true;
        }
    }
    add_sql(b, ")");
}

/* Whether an earlier key value brought this one along. */
static bool is_gathered(const struct search_criteria *criterion, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (criterion->values[i].test == SEARCH_TEST_KEY &&
            criterion->values[i].parameter == criterion->values[at].parameter) {
            return true;
        }
    }
    return false;
}

static void add_values_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    add_sql(b, "(0");
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_NOTHING ||
            (value->test == SEARCH_TEST_KEY && is_gathered(criterion, i))) {
            continue;
        }
        add_sql(b, " OR EXISTS(SELECT 1 FROM ");
        if (value->test == SEARCH_TEST_KEY) {
            add_sql(b, "index_key WHERE ");
            add_keys(b, criterion, i);
            add_sql(b, " AND seq = ");
        } else {
            add_sql(b, table_by_version(value->test));
            add_sql(b, " WHERE ");
            add_row_test(b, value);
            add_sql(b, " AND seq = ");
        }
        add_column(b, alias, ".seq)");
    }
    add_sql(b, ")");
}

static void add_values_found(struct builder *b, const struct search_criteria *criterion)
{
    bool any = false;
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_NOTHING ||
            (value->test == SEARCH_TEST_KEY && is_gathered(criterion, i))) {
            continue;
        }
        add_sql(b, any ? " UNION ALL SELECT seq FROM " : "SELECT seq FROM ");
        any = true;
        if (value->test == SEARCH_TEST_KEY) {
            add_sql(b, "index_key WHERE ");
            add_keys(b, criterion, i);
        } else {
            add_sql(b, table_by_value(value->test));
            add_sql(b, " WHERE ");
            add_row_test(b, value);
        }
    }
    if (!any) {
        add_sql(b, "SELECT 0 WHERE 0");
    }
}

/* lastUpdated never goes back along the sequence, so a bound on it is a bound on the sequence too. */
static void add_updated_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    add_sql(b, "(0");
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        add_sql(b, " OR EXISTS(SELECT 1 FROM (SELECT ");
        add_column(b, alias, ".updated_ms AS from_ms, ");
        add_column(b, alias, ".updated_ms + 1 AS to_ms) WHERE ");
        add_date_test(b, value);
        add_sql(b, ")");
    }
    add_sql(b, ")");
    if (criterion->values_count != 1 || criterion->negated) {
        return;
    }
    const struct search_value *value = criterion->values;
    bool lower = value->prefix == SEARCH_GE || value->prefix == SEARCH_EQ || value->prefix == SEARCH_GT ||
                 value->prefix == SEARCH_SA;
    uint64_t seq = 0;
    if (lower && store_seq_before(b->reader, value->from_ms, &seq, NULL)) {
        add_sql(b, " AND ");
        add_column(b, alias, ".seq > ");
        add_key(b, seq);
    }
}

/* ---- criteria by kind ---- */

static void add_missing_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    static const char *const tables[] = {
        [INDEX_TEXT] = "text_of", [INDEX_DATE] = "date_of", [INDEX_NUMBER] = "number_of"
    };
    if (criterion->rows == INDEX_KEY) {
        add_sql(b, "+");
        add_column(b, alias, ".seq NOT IN (SELECT seq FROM index_key WHERE parameter = ");
        add_integer(b, criterion->parameter);
    } else {
        add_sql(b, "NOT EXISTS(SELECT 1 FROM ");
        add_sql(b, tables[criterion->rows]);
        add_sql(b, " WHERE parameter = ");
        add_integer(b, criterion->parameter);
        add_sql(b, " AND seq = ");
        add_column(b, alias, ".seq");
    }
    add_sql(b, ")");
}

/* Keys of the ids: of the criterion's type, or, in a search over all types, of every type there is. */
static void add_id_keys(struct builder *b, const struct search_criteria *criterion)
{
    size_t types = atomic_load(&b->reader->store->types_count);
    bool any = false;
    for (size_t i = 0; i < criterion->ids_count; i++) {
        for (uint32_t number = 1; number <= (criterion->type.at != NULL ? 1 : types); number++) {
            struct str type =
                criterion->type.at != NULL ? criterion->type : store_type_name(b->reader->store, number);
            add_sql(b, any ? ", " : "");
            add_key(b, hash_resource_key(type, criterion->ids[i]));
            any = true;
        }
    }
}

/* SELECT of `column` over all resources of a link's type that may be seen and fit: the other side of a chain. */
static void add_link_select(struct builder *b, const struct search_link *link, const char *column)
{
    unsigned alias = new_alias(b);
    const struct search_criteria *driver = NULL;
    for (const struct search_criteria *c = link->criteria; c != NULL && driver == NULL; c = c->next) {
        driver = criterion_drives(c) ? c : NULL;
    }
    add_sql(b, "SELECT ");
    add_column(b, alias, column);
    add_sql(b, " FROM version ");
    add_alias(b, alias);
    add_sql(b, " WHERE ");
    if (driver != NULL) {
        add_column(b, alias,
                   criterion_gives_keys(driver) ? ".seq IN (SELECT seq FROM resource WHERE key IN ("
                                                : ".seq IN (");
        add_found(b, driver);
        add_sql(b, criterion_gives_keys(driver) ? "))" : ")");
        add_types(b, alias, link->type, NULL, 0);
    } else {
        add_column(b, alias, ".type = ");
        add_integer(b, store_type_number(b->reader->store, link->type));
    }
    add_current(b, alias);
    add_visible(b, alias, link->type, NULL, 0);
    add_criteria(b, alias, link->criteria, driver);
}

static void add_chain_found(struct builder *b, const struct search_criteria *criterion)
{
    for (size_t i = 0; i < criterion->links_count; i++) {
        add_sql(b, i == 0 ? "SELECT seq FROM index_key WHERE parameter = "
                          : " UNION ALL SELECT seq FROM index_key WHERE parameter = ");
        add_integer(b, criterion->parameter);
        add_sql(b, " AND value IN (");
        add_link_select(b, &criterion->links[i], ".resource");
        add_sql(b, ")");
    }
    if (criterion->links_count == 0) {
        add_sql(b, "SELECT 0 WHERE 0");
    }
}

/* Somebody who may be seen and fits points at this resource: from the candidate's side by its key. */
static void add_has_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    assert(criterion->links_count == 1);
    const struct search_link *link = criterion->links;
    unsigned source = new_alias(b);
    add_sql(b, "EXISTS(SELECT 1 FROM index_key k CROSS JOIN version ");
    add_alias(b, source);
    add_sql(b, " ON ");
    add_column(b, source, ".seq = k.seq WHERE k.parameter = ");
    add_integer(b, criterion->parameter);
    add_sql(b, " AND k.value = ");
    add_column(b, alias, ".resource");
    add_types(b, source, link->type, NULL, 0);
    add_current(b, source);
    add_visible(b, source, link->type, NULL, 0);
    add_criteria(b, source, link->criteria, NULL);
    add_sql(b, ")");
}

static void add_list_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    unsigned list = new_alias(b);
    struct str id = criterion->ids_count > 0 ? criterion->ids[0] : STR("");
    add_sql(b, "EXISTS(SELECT 1 FROM resource r CROSS JOIN version ");
    add_alias(b, list);
    add_sql(b, " ON ");
    add_column(b, list, ".seq = r.seq CROSS JOIN index_key k ON k.parameter = ");
    add_integer(b, criterion->parameter);
    add_sql(b, " AND k.value = ");
    add_column(b, alias, ".resource AND k.seq = r.seq WHERE r.key = ");
    add_key(b, hash_resource_key(STR("List"), id));
    add_current(b, list);
    add_visible(b, list, STR("List"), NULL, 0);
    add_sql(b, ")");
}

static void add_criterion(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    if (b->depth == LIMIT_SEARCH_CHAIN) {
        b->failed = true;
        return;
    }
    b->depth++;
    add_sql(b, criterion->negated ? "NOT (" : "(");
    switch (criterion->kind) {
    case SEARCH_VALUES:
        add_values_test(b, alias, criterion);
        break;
    case SEARCH_MISSING:
        add_missing_test(b, alias, criterion);
        break;
    case SEARCH_ID:
        add_column(b, alias, ".resource IN (");
        add_id_keys(b, criterion);
        add_sql(b, ")");
        break;
    case SEARCH_UPDATED:
        add_updated_test(b, alias, criterion);
        break;
    case SEARCH_CHAIN:
        add_sql(b, "+");
        add_column(b, alias, ".seq IN (");
        add_chain_found(b, criterion);
        add_sql(b, ")");
        break;
    case SEARCH_HAS:
        add_has_test(b, alias, criterion);
        break;
    case SEARCH_LIST:
        add_list_test(b, alias, criterion);
        break;
    }
    add_sql(b, ")");
    b->depth--;
}

void add_criteria(struct builder *b, unsigned alias, const struct search_criteria *criteria,
                  const struct search_criteria *without)
{
    for (const struct search_criteria *c = criteria; c != NULL; c = c->next) {
        if (c != without) {
            add_sql(b, " AND ");
            add_criterion(b, alias, c);
        }
    }
}

/* ---- beginning with a criterion ---- */

static bool has_ne(const struct search_criteria *criterion)
{
    for (size_t i = 0; i < criterion->values_count; i++) {
        if (criterion->values[i].prefix == SEARCH_NE) {
            return true;
        }
    }
    return false;
}

bool criterion_drives(const struct search_criteria *criterion)
{
    if (criterion->negated) {
        return false;
    }
    switch (criterion->kind) {
    case SEARCH_VALUES:
        return !has_ne(criterion);
    case SEARCH_ID:
    case SEARCH_CHAIN:
        return true;
    case SEARCH_MISSING:
    case SEARCH_UPDATED:
    case SEARCH_HAS:
    case SEARCH_LIST:
        return false;
    }
    return false;
}

bool criterion_gives_keys(const struct search_criteria *criterion)
{
    return criterion->kind == SEARCH_ID;
}

void add_found(struct builder *b, const struct search_criteria *criterion)
{
    assert(criterion_drives(criterion));
    if (b->depth == LIMIT_SEARCH_CHAIN) {
        b->failed = true;
        return;
    }
    b->depth++;
    if (criterion->kind == SEARCH_ID) {
        add_id_keys(b, criterion);
    } else if (criterion->kind == SEARCH_CHAIN) {
        add_chain_found(b, criterion);
    } else {
        add_values_found(b, criterion);
    }
    b->depth--;
}

bool criterion_count(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                     uint64_t as_of_seq, const struct search_criteria *criterion, uint64_t most,
                     uint64_t *count, struct error *error)
{
    if (criterion->kind == SEARCH_ID) {
        *count = criterion->ids_count;
        return true;
    }
    struct builder b;
    if (!builder_init(&b, reader, filter, arena, as_of_seq, error)) {
        return false;
    }
    add_sql(&b, "SELECT count(*) FROM (SELECT 1 FROM (");
    add_found(&b, criterion);
    add_sql(&b, ") LIMIT ");
    add_integer(&b, (int64_t)most);
    add_sql(&b, ")");
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        *count = column_key(statement, 0);
    }
    connection_release(reader->connection, statement);
    builder_deinit(&b);
    return step == STEP_ROW;
}

/* A chain is counted last: counting it is doing it. */
bool criterion_choose(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                      uint64_t as_of_seq, const struct search_criteria *criteria, uint64_t most,
                      const struct search_criteria **chosen, uint64_t *count, struct error *error)
{
    *chosen = NULL;
    *count = UINT64_MAX;
    for (int chains = 0; chains < 2; chains++) {
        for (const struct search_criteria *c = criteria; c != NULL; c = c->next) {
            if (!criterion_drives(c) || (c->kind == SEARCH_CHAIN) != (chains == 1) ||
                (chains == 1 && *count < most)) {
                continue;
            }
            uint64_t rows = 0;
            if (!criterion_count(reader, arena, filter, as_of_seq, c, most, &rows, error)) {
                return false;
            }
            if (rows < *count) {
                *chosen = c;
                *count = rows;
            }
        }
    }
    return true;
}
