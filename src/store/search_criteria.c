/* search_criteria.c — criteria by kind, chains and _has from both sides, and the choice of where to begin. */
#include "store/search_sql.h"

enum {
    LINKS_INSIDE_MAX = 2, /* correlated tests in each other; further ones are found from the other side */
    CRITERIA_DEPTH_MAX = 3 * LIMIT_SEARCH_CHAIN, /* links and the groups between them */
};

/* ---- criteria by kind ---- */

static void add_missing_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    static const char *const tables[] = {
        [INDEX_TEXT] = "text_of", [INDEX_DATE] = "date_of", [INDEX_NUMBER] = "number_of"
    };
    if (criterion->rows == INDEX_KEY) {
        add_sql(b, "+");
        add_column(b, alias, ".seq NOT IN (SELECT seq FROM ");
        add_index(b, INDEX_KEY);
        add_sql(b, " WHERE parameter = ");
        add_integer(b, criterion->parameter);
        if (builder_has_blocks(b)) { /* of no effect, but that they are not thought too many to be gathered */
            add_sql(b, " LIMIT ");
            add_integer(b, INT64_MAX);
        }
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

/* The criterion that an alternative of a group or a link begins with; NULL when none can. */
static const struct search_criteria *link_driver(const struct search_link *link)
{
    const struct search_criteria *costly = NULL;
    for (const struct search_criteria *c = link->criteria; c != NULL; c = c->next) {
        if (criterion_drives(c) && !criterion_is_costly(c)) {
            return c;
        }
        costly = costly == NULL && criterion_drives(c) ? c : costly;
    }
    return costly;
}

/* SELECT of `column` over all resources of a link's type that may be seen and fit: the other side of a chain. */
static void add_link_select(struct builder *b, const struct search_link *link, const char *column)
{
    struct outer outer = with_begin(b);
    unsigned alias = new_alias(b);
    const struct search_criteria *driver = link_driver(link);
    add_sql(b, "SELECT ");
    add_column(b, alias, ".seq, ");
    add_column(b, alias, ".resource FROM version ");
    add_alias(b, alias);
    add_sql(b, " WHERE ");
    if (driver != NULL) {
        add_found_begin(b, alias, ".seq", FOUND_TO_BEGIN);
        add_found(b, driver);
        add_found_end(b, FOUND_TO_BEGIN);
        add_types(b, alias, link->type, NULL, 0);
    } else {
        add_column(b, alias, ".type = ");
        add_integer(b, store_type_number(b->reader->store, link->type));
    }
    add_current(b, alias);
    add_visible(b, alias, link->type, NULL, 0);
    add_criteria(b, alias, link->criteria, driver);
    unsigned name = with_end(b, outer);
    add_sql(b, "SELECT ");
    add_sql(b, column);
    add_sql(b, " FROM ");
    add_name(b, name);
}

static void add_chain_found(struct builder *b, const struct search_criteria *criterion);
static void add_has_found(struct builder *b, const struct search_criteria *criterion);

/* Joins the versions of what c.value leads to. PostgreSQL would look at every version whether it is IN those of the resource. */
static void add_target(struct builder *b, unsigned target)
{
    bool beside = builder_dialect(b) == DIALECT_POSTGRESQL;
    if (beside) {
        add_sql(b, " CROSS JOIN LATERAL (");
    } else {
        add_join(b);
        add_sql(b, "version ");
        add_alias(b, target);
        add_sql(b, " ON ");
        add_column(b, target, ".seq IN (");
    }
    add_sql(b, "SELECT seq FROM ");
    add_heads(b);
    add_sql(b, " WHERE key = c.value");
    add_sql(b, looks_back(b) ? " UNION ALL SELECT seq FROM history WHERE resource = c.value)" : ")");
    if (beside) {
        add_sql(b, " h JOIN version ");
        add_alias(b, target);
        add_sql(b, " ON ");
        add_column(b, target, ".seq = h.seq");
    }
}

/* From the candidate's side: one of its references leads to somebody who may be seen and fits. */
static void add_chain_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    if (b->inside >= LINKS_INSIDE_MAX) {
        add_found_begin(b, alias, ".seq", FOUND_TO_TEST);
        add_chain_found(b, criterion);
        add_found_end(b, FOUND_TO_TEST);
        return;
    }
    b->inside++;
    add_sql(b, "(FALSE");
    for (size_t i = 0; i < criterion->links_count; i++) {
        const struct search_link *link = &criterion->links[i];
        unsigned target = new_alias(b);
        add_sql(b, " OR EXISTS(SELECT 1 FROM reference_of c");
        add_target(b, target);
        add_sql(b, " WHERE c.seq = ");
        add_column(b, alias, ".seq AND c.parameter = ");
        add_integer(b, criterion->parameter);
        add_types(b, target, link->type, NULL, 0);
        add_current(b, target);
        add_visible(b, target, link->type, NULL, 0);
        add_criteria(b, target, link->criteria, NULL);
        add_sql(b, ")");
    }
    add_sql(b, ")");
    b->inside--;
}

static void add_chain_found(struct builder *b, const struct search_criteria *criterion)
{
    for (size_t i = 0; i < criterion->links_count; i++) {
        add_sql(b, i == 0 ? "SELECT seq FROM " : " UNION ALL SELECT seq FROM ");
        add_index(b, INDEX_KEY);
        add_sql(b, " WHERE parameter = ");
        add_integer(b, criterion->parameter);
        add_sql(b, " AND value IN (");
        add_link_select(b, &criterion->links[i], "resource");
        add_sql(b, ")");
    }
    if (criterion->links_count == 0) {
        add_sql(b, "SELECT 0 AS seq WHERE FALSE");
    }
}

/* Somebody who may be seen and fits points at this resource: from the candidate's side by its key. */
static void add_has_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    assert(criterion->links_count == 1);
    const struct search_link *link = criterion->links;
    if (b->inside >= LINKS_INSIDE_MAX) {
        add_found_begin(b, alias, ".resource", FOUND_TO_TEST);
        add_has_found(b, criterion);
        add_found_end(b, FOUND_TO_TEST);
        return;
    }
    b->inside++;
    unsigned source = new_alias(b);
    add_sql(b, "EXISTS(SELECT 1 FROM ");
    add_index(b, INDEX_KEY);
    add_sql(b, " k");
    add_join(b);
    add_sql(b, "version ");
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
    b->inside--;
}

/* The same from the other side: keys of all that they point at. */
static void add_has_found(struct builder *b, const struct search_criteria *criterion)
{
    add_sql(b, "SELECT value FROM reference_of WHERE parameter = ");
    add_integer(b, criterion->parameter);
    add_sql(b, builder_has_blocks(b) ? " AND seq = ANY(ARRAY(" : " AND seq IN (");
    add_link_select(b, criterion->links, "seq");
    add_found_end(b, FOUND_TO_BEGIN);
}

static void add_list_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    unsigned list = new_alias(b);
    add_sql(b, "EXISTS(SELECT 1 FROM ");
    add_heads(b);
    add_sql(b, " r");
    add_join(b);
    add_sql(b, "version ");
    add_alias(b, list);
    add_sql(b, " ON ");
    add_column(b, list, ".seq = r.seq");
    if (builder_has_blocks(b)) {
        add_sql(b, " WHERE EXISTS(SELECT 1 FROM (VALUES (");
        add_column(b, alias, ".resource)) w(value)");
        add_block_test(b, criterion->parameter, STR("r.seq"));
        add_sql(b, ") AND r.key IN (");
    } else {
        add_join(b);
        add_index(b, INDEX_KEY);
        add_sql(b, " k ON k.parameter = ");
        add_integer(b, criterion->parameter);
        add_sql(b, " AND k.value = ");
        add_column(b, alias, ".resource AND k.seq = r.seq WHERE r.key IN (");
    }
    for (size_t i = 0; i < criterion->ids_count; i++) {
        add_sql(b, i == 0 ? "" : ", ");
        add_key(b, hash_resource_key(STR("List"), criterion->ids[i]));
    }
    add_sql(b, ")");
    add_current(b, list);
    add_visible(b, list, STR("List"), NULL, 0);
    add_sql(b, ")");
}

static void add_group_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    add_sql(b, "FALSE");
    for (size_t i = 0; i < criterion->links_count; i++) {
        add_sql(b, " OR (TRUE");
        if (criterion->links[i].type.len > 0) {
            add_types(b, alias, criterion->links[i].type, NULL, 0);
        }
        add_criteria(b, alias, criterion->links[i].criteria, NULL);
        add_sql(b, ")");
    }
}

static void add_criterion(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    if (b->depth == CRITERIA_DEPTH_MAX) {
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
        add_chain_test(b, alias, criterion);
        break;
    case SEARCH_HAS:
        add_has_test(b, alias, criterion);
        break;
    case SEARCH_LIST:
        add_list_test(b, alias, criterion);
        break;
    case SEARCH_GROUP:
        add_group_test(b, alias, criterion);
        break;
    }
    add_sql(b, ")");
    b->depth--;
}

void add_criteria(struct builder *b, unsigned alias, const struct search_criteria *criteria,
                  const struct search_criteria *without)
{
    for (const struct search_criteria *c = criteria; c != NULL; c = c->next) {
        /* cppcheck-suppress nullPointerRedundantCheck ; `without` may be NULL, `c` is not */
        if (c != without || c->kind == SEARCH_GROUP) { /* what a group begins with is only a part of it */
            add_sql(b, " AND ");
            add_criterion(b, alias, c);
        }
    }
}

/* ---- beginning with a criterion ---- */

/* "not that" and "near that" find nothing by themselves. */
static bool has_ne(const struct search_criteria *criterion)
{
    for (size_t i = 0; i < criterion->values_count; i++) {
        if (criterion->values[i].prefix == SEARCH_NE || criterion->values[i].test == SEARCH_TEST_NEAR) {
            return true;
        }
    }
    return false;
}

static bool group_drives(const struct search_criteria *group)
{
    for (size_t i = 0; i < group->links_count; i++) {
        if (link_driver(&group->links[i]) == NULL) {
            return false;
        }
    }
    return true;
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
    case SEARCH_HAS:
        return true;
    case SEARCH_GROUP:
        return group_drives(criterion);
    case SEARCH_MISSING:
    case SEARCH_UPDATED:
    case SEARCH_LIST:
        return false;
    }
    return false;
}

static bool criterion_gives_keys(const struct search_criteria *criterion)
{
    return criterion->kind == SEARCH_ID || criterion->kind == SEARCH_HAS;
}

static void add_group_found(struct builder *b, const struct search_criteria *group)
{
    add_sql(b, "SELECT 0 AS seq WHERE FALSE");
    for (size_t i = 0; i < group->links_count; i++) {
        add_sql(b, " UNION ALL SELECT seq FROM (");
        add_found(b, link_driver(&group->links[i]));
        add_sql(b, ") f");
    }
}

static void add_keys_or_seqs(struct builder *b, const struct search_criteria *criterion)
{
    switch ((int)criterion->kind) {
    case SEARCH_GROUP:
        add_group_found(b, criterion);
        break;
    case SEARCH_ID:
        add_id_keys(b, criterion);
        break;
    case SEARCH_HAS:
        add_has_found(b, criterion);
        break;
    case SEARCH_CHAIN:
        add_chain_found(b, criterion);
        break;
    default: /* SEARCH_VALUES */
        add_values_found(b, criterion);
        break;
    }
}

void add_found(struct builder *b, const struct search_criteria *criterion)
{
    assert(criterion_drives(criterion));
    if (b->depth == CRITERIA_DEPTH_MAX) {
        b->failed = true;
        return;
    }
    b->depth++;
    if (criterion_gives_keys(criterion)) {
        add_sql(b, "SELECT seq FROM ");
        add_heads(b);
        add_sql(b, " WHERE key IN (");
        add_keys_or_seqs(b, criterion);
        add_sql(b, ")");
        if (looks_back(b)) {
            add_sql(b, " UNION ALL SELECT seq FROM history WHERE resource IN (");
            add_keys_or_seqs(b, criterion);
            add_sql(b, ")");
        }
    } else {
        add_keys_or_seqs(b, criterion);
    }
    b->depth--;
}

static bool is_one_range(const struct search_criteria *criterion)
{
    return criterion->kind == SEARCH_VALUES && criterion->values_count == 1 &&
           (criterion->values->test == SEARCH_TEST_DATE || criterion->values->test == SEARCH_TEST_NUMBER);
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
    add_sql(&b, "SELECT count(*) FROM (");
    if (is_one_range(criterion)) {
        add_range_rows(&b, criterion->values);
    } else {
        add_sql(&b, "SELECT 1 FROM (");
        add_found(&b, criterion);
        add_sql(&b, ") f");
    }
    add_sql(&b, " LIMIT ");
    add_integer(&b, (int64_t)most);
    add_sql(&b, ") n");
    struct statement *statement = builder_statement(&b, error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, error);
    if (step == STEP_ROW) {
        *count = column_key(statement, 0);
    }
    connection_release(reader->connection, statement);
    builder_deinit(&b);
    return step == STEP_ROW;
}

/* Counting a chain or a _has is doing it, and a text inside others is found by reading all of them: they come last,
 * and only when nothing else is selective. */
bool criterion_is_costly(const struct search_criteria *criterion)
{
    for (size_t i = 0; i < criterion->values_count; i++) {
        enum search_test test = criterion->values[i].test;
        if (test == SEARCH_TEST_CONTAINS || test == SEARCH_TEST_WITHIN || test == SEARCH_TEST_ABOVE ||
            test == SEARCH_TEST_ENDS) {
            return true;
        }
    }
    for (size_t i = 0; criterion->kind == SEARCH_GROUP && i < criterion->links_count; i++) {
        const struct search_criteria *driver = link_driver(&criterion->links[i]);
        if (driver != NULL && criterion_is_costly(driver)) {
            return true;
        }
    }
    return criterion->kind == SEARCH_CHAIN || criterion->kind == SEARCH_HAS;
}

bool criterion_choose(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                      uint64_t as_of_seq, const struct search_criteria *criteria, uint64_t most,
                      const struct search_criteria **chosen, uint64_t *count, struct error *error)
{
    *chosen = NULL;
    *count = UINT64_MAX;
    for (int costly = 0; costly < 2; costly++) {
        for (const struct search_criteria *c = criteria; c != NULL; c = c->next) {
            if (!criterion_drives(c) || criterion_is_costly(c) != (costly == 1) ||
                (costly == 1 && *count < most)) {
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
