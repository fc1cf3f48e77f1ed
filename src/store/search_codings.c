/* search_codings.c — before a search: a question for a code or a system alone becomes one for the whole codings that the store
 * has met (codings.c), so that all further steps see rows as they are stored. The key itself is asked for too where such
 * rows are: those of plain codes, and of versions that were written by an older program. Composites likewise: their rows
 * stand under a number made of the first component's key.
 *
 * What needs nothing of this keeps its place; the rest is copied into the search's arena. */
#include "store/search_codings.h"

enum {
    CODINGS_MAX = 64,      /* whole codings of a key that are written out; more are asked by a table */
    EXPAND_DEPTH_MAX = 64, /* links in links; the parser's limits are far below */
};

struct expansion {
    struct store_reader *reader;
    struct arena *arena;
    struct search_value *values;
    size_t count;
    size_t capacity;
    unsigned depth;
    struct error *error;
};

static bool no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* ---- what is there ---- */

/* Keys that a statement gives, up to CODINGS_MAX + 1. */
static bool keys_collect(struct expansion *expansion, struct builder *b, uint64_t *keys, size_t *count)
{
    struct statement *statement = builder_statement(b, expansion->error);
    enum step step = statement == NULL ? STEP_FAILED : statement_step(statement, expansion->error);
    while (step == STEP_ROW && *count <= CODINGS_MAX) {
        keys[(*count)++] = column_key(statement, 0);
        step = statement_step(statement, expansion->error);
    }
    connection_release(expansion->reader->connection, statement);
    return step != STEP_FAILED;
}

/* "(SELECT k.value FROM … WHERE it is `key` LIMIT 1)" */
static void add_key_if_there(struct builder *b, uint32_t parameter, uint64_t key)
{
    add_sql(b, "SELECT value FROM (SELECT k.value FROM ");
    add_index(b, INDEX_KEY);
    add_sql(b, " k WHERE k.parameter = ");
    add_integer(b, parameter);
    add_sql(b, " AND k.value = ");
    add_key(b, key);
    add_sql(b, " LIMIT 1) s");
}

/* The keys for which the parameter has rows: the whole codings of a key, and the key itself. */
static bool keys_there(struct expansion *expansion, uint32_t parameter, uint64_t key, uint64_t *keys,
                       size_t *count)
{
    struct builder b;
    if (!builder_init(&b, expansion->reader, NULL, expansion->arena, expansion->reader->seq,
                      expansion->error)) {
        return false;
    }
    add_key_if_there(&b, parameter, key);
    add_sql(&b, " UNION ALL SELECT c.whole FROM coding c WHERE c.brief = ");
    add_key(&b, key);
    add_sql(&b, " AND EXISTS(SELECT 1 FROM ");
    add_index(&b, INDEX_KEY);
    add_sql(&b, " k WHERE k.parameter = ");
    add_integer(&b, parameter);
    add_sql(&b, " AND k.value = c.whole) LIMIT ");
    add_integer(&b, CODINGS_MAX + 1);
    bool ok = keys_collect(expansion, &b, keys, count);
    builder_deinit(&b);
    return ok;
}

/* The whole codings of a key, whoever has them. */
static bool keys_known(struct expansion *expansion, uint64_t key, uint64_t *keys, size_t *count)
{
    struct builder b;
    if (!builder_init(&b, expansion->reader, NULL, expansion->arena, expansion->reader->seq,
                      expansion->error)) {
        return false;
    }
    add_sql(&b, "SELECT c.whole FROM coding c WHERE c.brief = ");
    add_key(&b, key);
    add_sql(&b, " LIMIT ");
    add_integer(&b, CODINGS_MAX + 1);
    bool ok = keys_collect(expansion, &b, keys, count);
    builder_deinit(&b);
    return ok;
}

/* Whether the number has any row of the kind that the value looks at. */
static bool number_there(struct expansion *expansion, const struct search_value *value, bool *there)
{
    struct builder b;
    uint64_t keys[CODINGS_MAX + 1];
    size_t count = 0;
    if (!builder_init(&b, expansion->reader, NULL, expansion->arena, expansion->reader->seq,
                      expansion->error)) {
        return false;
    }
    add_sql(&b, "SELECT 1 FROM ");
    add_index(&b, search_rows_kind(value->test));
    add_sql(&b, " k WHERE k.parameter = ");
    add_integer(&b, value->parameter);
    add_sql(&b, " LIMIT 1");
    bool ok = keys_collect(expansion, &b, keys, &count);
    *there = count > 0;
    builder_deinit(&b);
    return ok;
}

/* ---- values ---- */

static bool value_add(struct expansion *expansion, const struct search_value *value)
{
    if (expansion->count == expansion->capacity) {
        size_t capacity = expansion->capacity == 0 ? 8 : 2 * expansion->capacity;
        struct search_value *grown = ARENA_ARRAY(expansion->arena, struct search_value, capacity);
        if (grown == NULL) {
            return no_memory(expansion->error);
        }
        if (expansion->count > 0) {
            memcpy(grown, expansion->values, expansion->count * sizeof *grown);
        }
        expansion->values = grown;
        expansion->capacity = capacity;
    }
    expansion->values[expansion->count++] = *value;
    return true;
}

/* A value with its number settled. Too many codings to be written out (a system alone): asked by the table. */
static bool key_expand(struct expansion *expansion, struct search_value value)
{
    uint64_t keys[CODINGS_MAX + 1];
    size_t count = 0;
    if (!value.brief) {
        return value_add(expansion, &value);
    }
    if (!keys_there(expansion, value.parameter, value.key, keys, &count)) {
        return false;
    }
    if (count > CODINGS_MAX && !value_add(expansion, &value)) {
        return false;
    }
    value.brief = false;
    for (size_t i = 0; count <= CODINGS_MAX && i < count; i++) {
        value.key = keys[i];
        if (!value_add(expansion, &value)) {
            return false;
        }
    }
    return count <= CODINGS_MAX || value_add(expansion, &value); /* the key itself */
}

static bool value_expand(struct expansion *expansion, struct search_value value)
{
    uint64_t keys[CODINGS_MAX + 1];
    size_t count = 0;
    uint32_t composite = value.composite;
    if (composite == 0) {
        return key_expand(expansion, value);
    }
    if (!keys_known(expansion, value.composite_key, keys, &count)) {
        return false;
    }
    if (count > CODINGS_MAX) {
        return FAIL(expansion->error, ERROR_TOO_COSTLY, "the code stands in too many systems: name one");
    }
    value.composite = 0;
    for (size_t i = 0; i <= count; i++) { /* first its own number */
        bool there = false;
        value.parameter = i == 0 ? value.parameter : index_composite_parameter(composite, keys[i - 1]);
        if (!number_there(expansion, &value, &there) || (there && !key_expand(expansion, value))) {
            return false;
        }
    }
    return true;
}

/* ---- criteria ---- */

static bool is_concerned(const struct search_criteria *criteria, unsigned depth)
{
    bool any = false;
    for (; criteria != NULL && depth < EXPAND_DEPTH_MAX && !any; criteria = criteria->next) {
        for (size_t i = 0; criteria->kind == SEARCH_VALUES && i < criteria->values_count && !any; i++) {
            any = criteria->values[i].brief || criteria->values[i].composite != 0;
        }
        for (size_t i = 0; i < criteria->links_count && !any; i++) {
            any = is_concerned(criteria->links[i].criteria, depth + 1);
        }
    }
    return any;
}

static bool criteria_expand(struct expansion *expansion, const struct search_criteria *criteria,
                            const struct search_criteria **out);

static bool links_expand(struct expansion *expansion, struct search_criteria *made)
{
    struct search_link *links = ARENA_ARRAY(expansion->arena, struct search_link, made->links_count + 1);
    bool ok = links != NULL || no_memory(expansion->error);
    for (size_t i = 0; ok && i < made->links_count; i++) {
        links[i] = made->links[i];
        ok = criteria_expand(expansion, links[i].criteria, &links[i].criteria);
    }
    made->links = ok ? links : made->links;
    return ok;
}

static bool values_expand(struct expansion *expansion, struct search_criteria *made)
{
    expansion->values = NULL;
    expansion->count = 0;
    expansion->capacity = 0;
    for (size_t i = 0; i < made->values_count; i++) {
        if (!value_expand(expansion, made->values[i])) {
            return false;
        }
    }
    made->values = expansion->values;
    made->values_count = expansion->count;
    return true;
}

static bool criteria_expand(struct expansion *expansion, const struct search_criteria *criteria,
                            const struct search_criteria **out)
{
    struct search_criteria *first = NULL;
    struct search_criteria *last = NULL;
    if (!is_concerned(criteria, expansion->depth)) {
        *out = criteria;
        return true;
    }
    bool ok = true;
    expansion->depth++;
    for (; ok && criteria != NULL; criteria = criteria->next) {
        struct search_criteria *made = ARENA_NEW(expansion->arena, struct search_criteria);
        ok = made != NULL || no_memory(expansion->error);
        if (ok) {
            *made = *criteria;
            made->next = NULL;
            first = first == NULL ? made : first;
            if (last != NULL) {
                last->next = made;
            }
            last = made;
            ok = made->kind == SEARCH_VALUES ? values_expand(expansion, made) : links_expand(expansion, made);
        }
    }
    expansion->depth--;
    *out = first;
    return ok;
}

bool search_expand_query(struct store_reader *reader, struct arena *arena, const struct search_query *query,
                         struct search_query *expanded, struct error *error)
{
    struct expansion expansion = { .reader = reader, .arena = arena, .error = error };
    *expanded = *query;
    return criteria_expand(&expansion, query->criteria, &expanded->criteria);
}

bool search_expand_filter(struct store_reader *reader, struct arena *arena, const struct store_filter *filter,
                          const struct store_filter **expanded, struct error *error)
{
    struct expansion expansion = { .reader = reader, .arena = arena, .error = error };
    bool any = false;
    *expanded = filter;
    for (size_t i = 0; filter != NULL && i < filter->rules_count; i++) {
        any = any || is_concerned(filter->rules[i].criteria, 0);
    }
    if (!any) {
        return true;
    }
    struct store_filter *made = ARENA_NEW(arena, struct store_filter);
    struct store_rule *rules = ARENA_ARRAY(arena, struct store_rule, filter->rules_count);
    if (made == NULL || rules == NULL) {
        return no_memory(error);
    }
    bool ok = true;
    for (size_t i = 0; ok && i < filter->rules_count; i++) {
        rules[i] = filter->rules[i];
        ok = criteria_expand(&expansion, rules[i].criteria, &rules[i].criteria);
    }
    *made = *filter;
    made->rules = rules;
    *expanded = made;
    return ok;
}
