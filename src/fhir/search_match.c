/* Criteria against rows in memory: policies on what is being written, subscriptions, few candidates. */
#include "fhir/search_query.h"

bool search_date_matches(const struct search_value *value, int64_t from_ms, int64_t to_ms)
{
    bool within = from_ms >= value->from_ms && to_ms <= value->to_ms;
    switch (value->prefix) {
    case SEARCH_EQ:
        return within;
    case SEARCH_NE:
        return !within;
    case SEARCH_GT:
        return to_ms > value->to_ms;
    case SEARCH_LT:
        return from_ms < value->from_ms;
    case SEARCH_GE:
        return within || to_ms > value->to_ms;
    case SEARCH_LE:
        return within || from_ms < value->from_ms;
    case SEARCH_SA:
        return from_ms >= value->to_ms;
    case SEARCH_EB:
        return to_ms <= value->from_ms;
    case SEARCH_AP:
        return from_ms < value->to_ms && to_ms > value->from_ms;
    }
    return false;
}

bool search_number_matches(const struct search_value *value, double low, double high)
{
    bool within = low >= value->low && high < value->high;
    switch (value->prefix) {
    case SEARCH_EQ:
        return within;
    case SEARCH_NE:
        return !within;
    case SEARCH_GT:
        return high > value->number;
    case SEARCH_LT:
        return low < value->number;
    case SEARCH_GE:
        return high >= value->number;
    case SEARCH_LE:
        return low <= value->number;
    case SEARCH_SA:
        return low > value->number;
    case SEARCH_EB:
        return high < value->number;
    case SEARCH_AP:
        return low <= value->high && high >= value->low;
    }
    return false;
}

/* By which the row's text begins, at a boundary of the path (uri :above). */
static bool is_above(struct str row, struct str text)
{
    bool boundary = row.len == text.len ||
                    (row.len < text.len && (text.at[row.len] == '/' || row.at[row.len - 1] == '/'));
    return row.len > 0 && boundary && str_starts_with(text, row);
}

static bool row_matches(const struct search_value *value, const struct index_row *row)
{
    if (row->parameter != value->parameter) {
        return false;
    }
    switch (value->test) {
    case SEARCH_TEST_KEY:
        return row->kind == INDEX_KEY && row->key == value->key;
    case SEARCH_TEST_PREFIX:
        return row->kind == INDEX_TEXT && str_starts_with(row->text, value->text);
    case SEARCH_TEST_CONTAINS:
        return row->kind == INDEX_TEXT && str_find(row->text, value->text) < row->text.len;
    case SEARCH_TEST_EQUAL:
        return row->kind == INDEX_TEXT && str_equal(row->text, value->text);
    case SEARCH_TEST_ENDS: /* before the mark, or where there is none */
        return row->kind == INDEX_TEXT &&
               str_ends_with(str_slice(row->text, 0, str_find_char(row->text, INDEX_MARK_WHOLE)),
                             value->text);
    case SEARCH_TEST_ABOVE:
        return row->kind == INDEX_TEXT && is_above(row->text, value->text);
    case SEARCH_TEST_DATE:
        return row->kind == INDEX_DATE && search_date_matches(value, row->from_ms, row->to_ms);
    case SEARCH_TEST_NUMBER:
        return row->kind == INDEX_NUMBER && row->key == value->key &&
               search_number_matches(value, row->low, row->high);
    case SEARCH_TEST_WORDS:
        return row->words && index_words_match(row->text, value->text);
    case SEARCH_TEST_WITHIN:
        return row->words && str_find(row->text, value->text) < row->text.len;
    case SEARCH_TEST_NEAR: /* near_matches */
    case SEARCH_TEST_NOTHING:
        break;
    }
    return false;
}

static bool near_matches(const struct search_value *value, const struct search_subject *subject)
{
    double sum = 0;
    size_t found = 0;
    for (size_t j = 0; j < subject->rows_count; j++) {
        for (size_t axis = 0; axis < 3; axis++) {
            if (subject->rows[j].kind == INDEX_NUMBER && subject->rows[j].parameter == value->axes[axis]) {
                double way = subject->rows[j].low - value->place.at[axis];
                sum += way * way;
                found++;
            }
        }
    }
    return found == 3 && sum <= value->high;
}

static bool any_value(const struct search_criteria *criteria, const struct search_subject *subject)
{
    for (size_t i = 0; i < criteria->values_count; i++) {
        if (criteria->values[i].test == SEARCH_TEST_NEAR && near_matches(&criteria->values[i], subject)) {
            return true;
        }
        for (size_t j = 0; j < subject->rows_count; j++) {
            if (row_matches(&criteria->values[i], &subject->rows[j])) {
                return true;
            }
        }
    }
    return false;
}

static bool has_rows(const struct search_criteria *criteria, const struct search_subject *subject)
{
    for (size_t j = 0; j < subject->rows_count; j++) {
        if (subject->rows[j].parameter == criteria->parameter) {
            return true;
        }
    }
    return false;
}

static bool any_id(const struct search_criteria *criteria, struct str id)
{
    for (size_t i = 0; i < criteria->ids_count; i++) {
        if (str_equal(criteria->ids[i], id)) {
            return true;
        }
    }
    return false;
}

static bool updated_within(const struct search_criteria *criteria, int64_t updated_ms)
{
    for (size_t i = 0; i < criteria->values_count; i++) {
        if (search_date_matches(&criteria->values[i], updated_ms, updated_ms + 1)) {
            return true;
        }
    }
    return false;
}

/* Three answers, since a group may hold what only the store can say. */
enum answer { ANSWER_NO, ANSWER_YES, ANSWER_UNKNOWN };

static enum answer all_criteria(const struct search_criteria *criteria, const struct search_subject *subject);

static enum answer group_matches(const struct search_criteria *group, const struct search_subject *subject)
{
    enum answer any = ANSWER_NO;
    for (size_t i = 0; i < group->links_count && any != ANSWER_YES; i++) {
        const struct search_link *link = &group->links[i];
        bool of_type = link->type.len == 0 || str_equal(link->type, subject->type);
        enum answer one = of_type ? all_criteria(link->criteria, subject) : ANSWER_NO;
        any = one == ANSWER_NO ? any : one;
    }
    return any;
}

static enum answer yes_if(bool fits)
{
    return fits ? ANSWER_YES : ANSWER_NO;
}

static enum answer one_criterion(const struct search_criteria *criteria, const struct search_subject *subject)
{
    switch (criteria->kind) {
    case SEARCH_VALUES:
        return yes_if(any_value(criteria, subject));
    case SEARCH_MISSING:
        return yes_if(!has_rows(criteria, subject));
    case SEARCH_ID:
        return yes_if(any_id(criteria, subject->id));
    case SEARCH_UPDATED:
        return yes_if(updated_within(criteria, subject->updated_ms));
    case SEARCH_GROUP:
        return group_matches(criteria, subject);
    case SEARCH_CHAIN:
    case SEARCH_HAS:
    case SEARCH_LIST:
        break;
    }
    return ANSWER_UNKNOWN;
}

/* What does not fit by its rows does not fit, whatever the rest may be. */
static enum answer all_criteria(const struct search_criteria *criteria, const struct search_subject *subject)
{
    enum answer all = ANSWER_YES;
    for (; criteria != NULL && all != ANSWER_NO; criteria = criteria->next) {
        enum answer one = one_criterion(criteria, subject);
        if (criteria->negated && one != ANSWER_UNKNOWN) {
            one = one == ANSWER_YES ? ANSWER_NO : ANSWER_YES;
        }
        all = one == ANSWER_YES ? all : one;
    }
    return all;
}

bool search_criteria_match(const struct search_criteria *criteria, const struct search_subject *subject,
                           bool *known)
{
    enum answer answer = all_criteria(criteria, subject);
    *known = answer != ANSWER_UNKNOWN;
    return answer != ANSWER_NO;
}
