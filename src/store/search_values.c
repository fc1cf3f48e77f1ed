/* search_values.c — the values of a criterion against index rows: as a test of a version, and as a look-up. */
#include "store/search_sql.h"

/* R4 3.1.1.4.6, as search_date_matches says it: eq = the value's span contains the row's; gt, lt = the row reaches
 * beyond it; sa, eb = it lies wholly beyond; ap = they touch. */
static void add_date_test(struct builder *b, const struct search_value *value)
{
    switch (value->prefix) {
    case SEARCH_EQ: /* the third bound follows from the others and ends the look-up */
        add_sql(b, "(from_ms >= ");
        add_integer(b, value->from_ms);
        add_sql(b, " AND to_ms <= ");
        add_integer(b, value->to_ms);
        add_sql(b, " AND from_ms < ");
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
    case SEARCH_EQ: /* the third bound follows from the others and ends the look-up */
        add_sql(b, "(low >= ");
        add_real(b, value->low);
        add_sql(b, " AND high < ");
        add_real(b, value->high);
        add_sql(b, " AND low < ");
        add_real(b, value->high);
        break;
    case SEARCH_NE:
        add_sql(b, "NOT (low >= ");
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

/* The text after every text that begins with `prefix`: 0xF8 is in no UTF-8 text; where a text must be one, U+10FFFF, which
 * is no character. */
static struct str prefix_end(const struct builder *b, struct str prefix)
{
    bool sqlite = builder_dialect(b) == DIALECT_SQLITE;
    return arena_concat(b->arena, prefix, sqlite ? STR("\xf8") : STR("\xf4\x8f\xbf\xbf"));
}

static void add_text_test(struct builder *b, const struct search_value *value)
{
    struct str text = index_text_cut(value->text);
    switch ((int)value->test) {
    case SEARCH_TEST_PREFIX:
        add_sql(b, "(value >= ");
        add_text(b, text);
        add_sql(b, " AND value < ");
        add_text(b, prefix_end(b, text));
        break;
    case SEARCH_TEST_CONTAINS:
        add_sql(b, "(instr(value, ");
        add_text(b, text);
        add_sql(b, ") > 0");
        break;
    case SEARCH_TEST_ENDS: /* of the row, or before its mark */
        add_sql(b, "(substr(value, length(value) - length(");
        add_text(b, text);
        add_sql(b, ") + 1) = ");
        add_text(b, text);
        add_sql(b, " OR instr(value, ");
        add_text(b, arena_concat(b->arena, text, (struct str){ (const char[]){ INDEX_MARK_WHOLE }, 1 }));
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
           test == SEARCH_TEST_ABOVE || test == SEARCH_TEST_ENDS;
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

enum index_kind search_rows_kind(enum search_test test)
{
    if (test == SEARCH_TEST_DATE) {
        return INDEX_DATE;
    }
    if (test == SEARCH_TEST_NUMBER) {
        return INDEX_NUMBER;
    }
    return is_text_test(test) ? INDEX_TEXT : INDEX_KEY;
}

static const char *table_by_version(enum search_test test)
{
    if (test == SEARCH_TEST_DATE) {
        return "date_of";
    }
    return test == SEARCH_TEST_NUMBER ? "number_of" : "text_of";
}

/* The key values from `first` on that share its parameter, with what stands between two. */
static void add_key_values(struct builder *b, const struct search_criteria *criterion, size_t first,
                           const char *between)
{
    bool any = false;
    for (size_t i = first; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_KEY && value->parameter == criterion->values[first].parameter &&
            !value->brief) {
            add_sql(b, any ? between : "");
            add_key(b, value->key);
            any = true;
        }
    }
}

/* They as "parameter = … AND value IN (…)". */
static void add_keys(struct builder *b, const struct search_criteria *criterion, size_t first)
{
    add_sql(b, "parameter = ");
    add_integer(b, criterion->values[first].parameter);
    add_sql(b, " AND value IN (");
    if (criterion->values[first].brief) { /* too many codings to be written out (search_codings.c) */
        add_sql(b, "SELECT whole FROM coding WHERE brief = ");
        add_key(b, criterion->values[first].key);
    } else {
        add_key_values(b, criterion, first, ", ");
    }
    add_sql(b, ")");
}

/* "EXISTS(…)": the version has one of them. */
static void add_keys_test(struct builder *b, unsigned alias, const struct search_criteria *criterion,
                          size_t first)
{
    if (builder_has_blocks(b)) {
        add_sql(b, "EXISTS(SELECT 1 FROM (");
        if (criterion->values[first].brief) {
            add_sql(b, "SELECT whole FROM coding WHERE brief = ");
            add_key(b, criterion->values[first].key);
        } else {
            add_sql(b, "VALUES (");
            add_key_values(b, criterion, first, "::bigint), (");
            add_sql(b, "::bigint)");
        }
        add_sql(b, ") w(value)");
        add_block_test(b, criterion->values[first].parameter, arena_printf(b->arena, "v%u.seq", alias));
        add_sql(b, ")");
        return;
    }
    add_sql(b, "EXISTS(SELECT 1 FROM ");
    add_index(b, INDEX_KEY);
    add_sql(b, " WHERE ");
    add_keys(b, criterion, first);
    add_sql(b, " AND seq = ");
    add_column(b, alias, ".seq)");
}

/* Whether an earlier key value brought this one along. */
static bool is_gathered(const struct search_criteria *criterion, size_t at)
{
    for (size_t i = 0; i < at && !criterion->values[at].brief; i++) {
        if (criterion->values[i].test == SEARCH_TEST_KEY && !criterion->values[i].brief &&
            criterion->values[i].parameter == criterion->values[at].parameter) {
            return true;
        }
    }
    return false;
}

/* Places are few: each candidate is measured. */
static void add_near_test(struct builder *b, unsigned alias, const struct search_value *value)
{
    static const char *const names[] = { "x", "y", "z" };
    add_sql(b, "EXISTS(SELECT 1 FROM number_of x CROSS JOIN number_of y CROSS JOIN number_of z WHERE (0");
    for (size_t axis = 0; axis < 3; axis++) {
        for (int twice = 0; twice < 2; twice++) {
            add_sql(b, twice == 0 ? " + (" : " * (");
            add_sql(b, names[axis]);
            add_sql(b, ".low - ");
            add_real(b, value->place.at[axis]);
            add_sql(b, ")");
        }
    }
    add_sql(b, ") <= ");
    add_real(b, value->high);
    for (size_t axis = 0; axis < 3; axis++) {
        add_sql(b, " AND ");
        add_sql(b, names[axis]);
        add_sql(b, ".seq = ");
        add_column(b, alias, ".seq AND ");
        add_sql(b, names[axis]);
        add_sql(b, ".parameter = ");
        add_integer(b, value->axes[axis]);
    }
    add_sql(b, ")");
}

/* ---- pieces of text ---- */

static bool is_words_test(enum search_test test)
{
    return test == SEARCH_TEST_WORDS || test == SEARCH_TEST_WITHIN;
}

/* Values with one text under several numbers are asked together, by the first of them. */
static bool is_told(const struct search_criteria *criterion, size_t at)
{
    const struct search_value *value = &criterion->values[at];
    for (size_t i = 0; i < at; i++) {
        if (criterion->values[i].test == value->test && str_equal(criterion->values[i].text, value->text)) {
            return true;
        }
    }
    return false;
}

/* Keys of the pieces that have the phrase: those with all of its grams, then looked at. */
static void add_pieces(struct builder *b, const struct search_value *value)
{
    enum { GRAMS_ASKED = 6 };
    struct index_gram grams[GRAMS_ASKED];
    bool words = value->test == SEARCH_TEST_WORDS;
    size_t count = words ? index_grams(value->text, grams, GRAMS_ASKED) : 0;
    bool wide = value->text.len > 0 && (unsigned char)value->text.at[0] >= 0x80;
    add_sql(b, "SELECT w.key FROM words w WHERE ");
    for (size_t i = 0; i < count; i++) {
        add_sql(b, i == 0 ? "w.key IN (SELECT words FROM gram WHERE gram >= "
                          : " INTERSECT SELECT words FROM gram WHERE gram >= ");
        add_key(b, grams[i].first);
        add_sql(b, " AND gram <= ");
        add_key(b, grams[i].last);
    }
    add_sql(b, count > 0 ? ") AND " : "");
    add_sql(b, words && !wide ? "instr(' ' || w.value, ' ' || " : "instr(w.value, ");
    add_text(b, value->text);
    add_sql(b, ") > 0");
}

/* The versions that have one of these pieces. What no gram leads to (a text anywhere inside) begins with the rows. */
static void add_words_found(struct builder *b, const struct search_criteria *criterion, size_t first)
{
    const struct search_value *value = &criterion->values[first];
    bool any = false;
    add_sql(b, "SELECT k.seq AS seq FROM ");
    add_index(b, INDEX_KEY);
    add_sql(b, " k WHERE k.parameter IN (");
    for (size_t i = first; i < criterion->values_count; i++) {
        if (criterion->values[i].test == value->test && str_equal(criterion->values[i].text, value->text)) {
            add_sql(b, any ? ", " : "");
            add_integer(b, criterion->values[i].parameter);
            any = true;
        }
    }
    add_sql(b, value->test == SEARCH_TEST_WORDS ? ") AND k.value IN (" : ") AND EXISTS(");
    add_pieces(b, value);
    add_sql(b, value->test == SEARCH_TEST_WORDS ? ")" : " AND w.key = k.value)");
}

void add_values_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    add_sql(b, "(FALSE");
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_NOTHING ||
            (value->test == SEARCH_TEST_KEY && is_gathered(criterion, i)) ||
            (is_words_test(value->test) && is_told(criterion, i))) {
            continue;
        }
        if (is_words_test(value->test)) {
            add_sql(b, " OR ");
            add_found_begin(b, alias, ".seq", FOUND_TO_TEST);
            add_words_found(b, criterion, i);
            add_found_end(b, FOUND_TO_TEST);
            continue;
        }
        if (value->test == SEARCH_TEST_NEAR) {
            add_sql(b, " OR ");
            add_near_test(b, alias, value);
            continue;
        }
        add_sql(b, " OR ");
        if (value->test == SEARCH_TEST_KEY) {
            add_keys_test(b, alias, criterion, i);
            continue;
        }
        add_sql(b, "EXISTS(SELECT 1 FROM ");
        add_sql(b, table_by_version(value->test));
        add_sql(b, " WHERE ");
        add_row_test(b, value);
        add_sql(b, " AND seq = ");
        add_column(b, alias, ".seq)");
    }
    add_sql(b, ")");
}

/* Ascending, "after" would first walk over everything before. */
static bool is_open_above(enum search_prefix prefix)
{
    return prefix == SEARCH_GT || prefix == SEARCH_GE || prefix == SEARCH_SA;
}

void add_range_rows(struct builder *b, const struct search_value *value)
{
    bool date = value->test == SEARCH_TEST_DATE;
    add_sql(b, date ? "SELECT from_ms FROM " : "SELECT low FROM "); /* in order by merging: see add_index */
    add_index(b, search_rows_kind(value->test));
    add_sql(b, " WHERE ");
    add_row_test(b, value);
    if (is_open_above(value->prefix)) {
        add_sql(b, date ? " ORDER BY from_ms DESC" : " ORDER BY low DESC");
    }
}

void add_values_found(struct builder *b, const struct search_criteria *criterion)
{
    bool any = false;
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        if (value->test == SEARCH_TEST_NOTHING ||
            (value->test == SEARCH_TEST_KEY && is_gathered(criterion, i)) ||
            (is_words_test(value->test) && is_told(criterion, i))) {
            continue;
        }
        if (is_words_test(value->test)) {
            add_sql(b, any ? " UNION ALL " : "");
            add_words_found(b, criterion, i);
            any = true;
            continue;
        }
        add_sql(b, any ? " UNION ALL SELECT seq FROM " : "SELECT seq FROM ");
        any = true;
        if (value->test == SEARCH_TEST_KEY) {
            add_index(b, INDEX_KEY);
            add_sql(b, " WHERE ");
            add_keys(b, criterion, i);
        } else {
            add_index(b, search_rows_kind(value->test));
            add_sql(b, " WHERE ");
            add_row_test(b, value);
        }
    }
    if (!any) {
        add_sql(b, "SELECT 0 AS seq WHERE FALSE");
    }
}

/* lastUpdated never goes back along the sequence, so a bound on it is a bound on the sequence too. */
void add_updated_test(struct builder *b, unsigned alias, const struct search_criteria *criterion)
{
    add_sql(b, "(FALSE");
    for (size_t i = 0; i < criterion->values_count; i++) {
        const struct search_value *value = &criterion->values[i];
        add_sql(b, " OR EXISTS(SELECT 1 FROM (SELECT ");
        add_column(b, alias, ".updated_ms AS from_ms, ");
        add_column(b, alias, ".updated_ms + 1 AS to_ms) u WHERE ");
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
