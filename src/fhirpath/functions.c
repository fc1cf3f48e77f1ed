/* All functions by name, sorted for the search. */
#include "fhirpath/functions.h"

/* name, arguments least and most, flags, function */
static const struct function functions[] = {
    { "abs", 0, 0, 0, function_abs },
    { "aggregate", 1, 2, FUNCTION_PREDICATE, function_aggregate },
    { "all", 1, 1, FUNCTION_PREDICATE, function_all },
    { "allFalse", 0, 0, 0, function_all_false },
    { "allTrue", 0, 0, 0, function_all_true },
    { "anyFalse", 0, 0, 0, function_any_false },
    { "anyTrue", 0, 0, 0, function_any_true },
    { "as", 1, 1, FUNCTION_TYPE, function_as },
    { "ceiling", 0, 0, 0, function_ceiling },
    { "checkModifiers", 0, 16, 0, function_check_modifiers },
    { "children", 0, 0, FUNCTION_UNORDERED, function_children },
    { "coalesce", 1, 16, 0, function_coalesce },
    { "combine", 1, 1, 0, function_combine },
    { "comparable", 1, 1, 0, function_comparable },
    { "conformsTo", 1, 1, 0, function_conforms_to },
    { "contains", 1, 1, 0, function_contains },
    { "convertsToBoolean", 0, 0, 0, function_converts_to_boolean },
    { "convertsToDate", 0, 0, 0, function_converts_to_date },
    { "convertsToDateTime", 0, 0, 0, function_converts_to_datetime },
    { "convertsToDecimal", 0, 0, 0, function_converts_to_decimal },
    { "convertsToInteger", 0, 0, 0, function_converts_to_integer },
    { "convertsToQuantity", 0, 1, 0, function_converts_to_quantity },
    { "convertsToString", 0, 0, 0, function_converts_to_string },
    { "convertsToTime", 0, 0, 0, function_converts_to_time },
    { "count", 0, 0, 0, function_count },
    { "decode", 1, 1, 0, function_decode },
    { "defineVariable", 1, 2, FUNCTION_DEFINES, function_define_variable },
    { "descendants", 0, 0, FUNCTION_UNORDERED, function_descendants },
    { "distinct", 0, 0, 0, function_distinct },
    { "empty", 0, 0, 0, function_empty },
    { "encode", 1, 1, 0, function_encode },
    { "endsWith", 1, 1, 0, function_ends_with },
    { "escape", 1, 1, 0, function_escape },
    { "exclude", 1, 1, 0, function_exclude },
    { "exists", 0, 1, FUNCTION_PREDICATE, function_exists },
    { "exp", 0, 0, 0, function_exp },
    { "extension", 1, 1, 0, function_extension },
    { "first", 0, 0, FUNCTION_ORDER, function_first },
    { "floor", 0, 0, 0, function_floor },
    { "getReferenceKey", 0, 1, FUNCTION_TYPE, function_get_reference_key },
    { "getResourceKey", 0, 0, 0, function_get_resource_key },
    { "getValue", 0, 0, 0, function_get_value },
    { "hasValue", 0, 0, 0, function_has_value },
    { "highBoundary", 0, 1, 0, function_high_boundary },
    { "htmlChecks", 0, 0, 0, function_html_checks },
    { "htmlChecks2", 0, 0, 0, function_html_checks },
    { "iif", 2, 3, FUNCTION_PREDICATE, function_iif },
    { "indexOf", 1, 1, 0, function_index_of },
    { "intersect", 1, 1, 0, function_intersect },
    { "is", 1, 1, FUNCTION_TYPE, function_is },
    { "isDistinct", 0, 0, 0, function_is_distinct },
    { "join", 0, 1, 0, function_join },
    { "last", 0, 0, FUNCTION_ORDER, function_last },
    { "lastIndexOf", 1, 1, 0, function_last_index_of },
    { "length", 0, 0, 0, function_length },
    { "ln", 0, 0, 0, function_ln },
    { "log", 1, 1, 0, function_log },
    { "lowBoundary", 0, 1, 0, function_low_boundary },
    { "lower", 0, 0, 0, function_lower },
    { "matches", 1, 2, 0, function_matches },
    { "matchesFull", 1, 2, 0, function_matches_full },
    { "memberOf", 1, 1, 0, function_member_of },
    { "not", 0, 0, 0, function_not },
    { "now", 0, 0, 0, function_now },
    { "ofType", 1, 1, FUNCTION_TYPE, function_of_type },
    { "power", 1, 1, 0, function_power },
    { "precision", 0, 0, 0, function_precision },
    { "repeat", 1, 1, FUNCTION_PREDICATE, function_repeat },
    { "repeatAll", 1, 1, FUNCTION_PREDICATE, function_repeat_all },
    { "replace", 2, 2, 0, function_replace },
    { "replaceMatches", 2, 3, 0, function_replace_matches },
    { "resolve", 0, 0, 0, function_resolve },
    { "round", 0, 1, 0, function_round },
    { "select", 1, 1, FUNCTION_PREDICATE, function_select },
    { "single", 0, 0, 0, function_single },
    { "skip", 1, 1, FUNCTION_ORDER, function_skip },
    { "sort", 0, 16, FUNCTION_PREDICATE | FUNCTION_SORT, function_sort },
    { "split", 1, 1, 0, function_split },
    { "sqrt", 0, 0, 0, function_sqrt },
    { "startsWith", 1, 1, 0, function_starts_with },
    { "subsetOf", 1, 1, 0, function_subset_of },
    { "substring", 1, 2, 0, function_substring },
    { "supersetOf", 1, 1, 0, function_superset_of },
    { "tail", 0, 0, FUNCTION_ORDER, function_tail },
    { "take", 1, 1, FUNCTION_ORDER, function_take },
    { "timeOfDay", 0, 0, 0, function_time_of_day },
    { "toBoolean", 0, 0, 0, function_to_boolean },
    { "toChars", 0, 0, 0, function_to_chars },
    { "toDate", 0, 0, 0, function_to_date },
    { "toDateTime", 0, 0, 0, function_to_datetime },
    { "toDecimal", 0, 0, 0, function_to_decimal },
    { "toInteger", 0, 0, 0, function_to_integer },
    { "toQuantity", 0, 1, 0, function_to_quantity },
    { "toString", 0, 0, 0, function_to_string },
    { "toTime", 0, 0, 0, function_to_time },
    { "today", 0, 0, 0, function_today },
    { "trace", 1, 2, FUNCTION_PREDICATE, function_trace },
    { "trim", 0, 0, 0, function_trim },
    { "truncate", 0, 0, 0, function_truncate },
    { "type", 0, 0, 0, function_type },
    { "unescape", 1, 1, 0, function_unescape },
    { "union", 1, 1, 0, function_union },
    { "upper", 0, 0, 0, function_upper },
    { "where", 1, 1, FUNCTION_PREDICATE, function_where },
};

const struct function *function_find(struct str name)
{
    size_t low = 0;
    size_t high = sizeof functions / sizeof functions[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(name, str_from_cstr(functions[middle].name));
        if (order == 0) {
            return &functions[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
