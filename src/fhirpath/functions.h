/* functions.h — inside of src/fhirpath: the functions of the table in functions.c. Each reads call->in
 * and its arguments, and writes call->out; false with *error when it cannot. */
#ifndef SHANHAI_FHIRPATH_FUNCTIONS_H
#define SHANHAI_FHIRPATH_FUNCTIONS_H

#include "fhirpath/engine.h"

bool function_empty(struct call *call, struct error *error) MUST_CHECK;
bool function_exists(struct call *call, struct error *error) MUST_CHECK;
bool function_all(struct call *call, struct error *error) MUST_CHECK;
bool function_all_true(struct call *call, struct error *error) MUST_CHECK;
bool function_any_true(struct call *call, struct error *error) MUST_CHECK;
bool function_all_false(struct call *call, struct error *error) MUST_CHECK;
bool function_any_false(struct call *call, struct error *error) MUST_CHECK;
bool function_subset_of(struct call *call, struct error *error) MUST_CHECK;
bool function_superset_of(struct call *call, struct error *error) MUST_CHECK;
bool function_count(struct call *call, struct error *error) MUST_CHECK;
bool function_distinct(struct call *call, struct error *error) MUST_CHECK;
bool function_is_distinct(struct call *call, struct error *error) MUST_CHECK;
bool function_where(struct call *call, struct error *error) MUST_CHECK;
bool function_select(struct call *call, struct error *error) MUST_CHECK;
bool function_repeat(struct call *call, struct error *error) MUST_CHECK;
bool function_repeat_all(struct call *call, struct error *error) MUST_CHECK;
bool function_aggregate(struct call *call, struct error *error) MUST_CHECK;
bool function_single(struct call *call, struct error *error) MUST_CHECK;
bool function_first(struct call *call, struct error *error) MUST_CHECK;
bool function_last(struct call *call, struct error *error) MUST_CHECK;
bool function_tail(struct call *call, struct error *error) MUST_CHECK;
bool function_skip(struct call *call, struct error *error) MUST_CHECK;
bool function_take(struct call *call, struct error *error) MUST_CHECK;
bool function_intersect(struct call *call, struct error *error) MUST_CHECK;
bool function_exclude(struct call *call, struct error *error) MUST_CHECK;
bool function_union(struct call *call, struct error *error) MUST_CHECK;
bool function_combine(struct call *call, struct error *error) MUST_CHECK;
bool function_iif(struct call *call, struct error *error) MUST_CHECK;
bool function_coalesce(struct call *call, struct error *error) MUST_CHECK;
bool function_define_variable(struct call *call, struct error *error) MUST_CHECK;
bool function_not(struct call *call, struct error *error) MUST_CHECK;
bool function_sort(struct call *call, struct error *error) MUST_CHECK;

bool function_is(struct call *call, struct error *error) MUST_CHECK;
bool function_as(struct call *call, struct error *error) MUST_CHECK;
bool function_of_type(struct call *call, struct error *error) MUST_CHECK;
bool function_type(struct call *call, struct error *error) MUST_CHECK;

bool function_children(struct call *call, struct error *error) MUST_CHECK;
bool function_descendants(struct call *call, struct error *error) MUST_CHECK;
bool function_trace(struct call *call, struct error *error) MUST_CHECK;
bool function_now(struct call *call, struct error *error) MUST_CHECK;
bool function_today(struct call *call, struct error *error) MUST_CHECK;
bool function_time_of_day(struct call *call, struct error *error) MUST_CHECK;
bool function_has_value(struct call *call, struct error *error) MUST_CHECK;
bool function_get_resource_key(struct call *call, struct error *error) MUST_CHECK;
bool function_get_reference_key(struct call *call, struct error *error) MUST_CHECK;
bool function_get_value(struct call *call, struct error *error) MUST_CHECK;
bool function_extension(struct call *call, struct error *error) MUST_CHECK;
bool function_resolve(struct call *call, struct error *error) MUST_CHECK;
bool function_member_of(struct call *call, struct error *error) MUST_CHECK;
bool function_conforms_to(struct call *call, struct error *error) MUST_CHECK;
bool function_html_checks(struct call *call, struct error *error) MUST_CHECK;
bool function_check_modifiers(struct call *call, struct error *error) MUST_CHECK;

bool function_abs(struct call *call, struct error *error) MUST_CHECK;
bool function_ceiling(struct call *call, struct error *error) MUST_CHECK;
bool function_floor(struct call *call, struct error *error) MUST_CHECK;
bool function_truncate(struct call *call, struct error *error) MUST_CHECK;
bool function_round(struct call *call, struct error *error) MUST_CHECK;
bool function_exp(struct call *call, struct error *error) MUST_CHECK;
bool function_ln(struct call *call, struct error *error) MUST_CHECK;
bool function_sqrt(struct call *call, struct error *error) MUST_CHECK;
bool function_log(struct call *call, struct error *error) MUST_CHECK;
bool function_power(struct call *call, struct error *error) MUST_CHECK;

bool function_low_boundary(struct call *call, struct error *error) MUST_CHECK;
bool function_high_boundary(struct call *call, struct error *error) MUST_CHECK;
bool function_precision(struct call *call, struct error *error) MUST_CHECK;
bool function_comparable(struct call *call, struct error *error) MUST_CHECK;

bool function_to_boolean(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_boolean(struct call *call, struct error *error) MUST_CHECK;
bool function_to_integer(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_integer(struct call *call, struct error *error) MUST_CHECK;
bool function_to_decimal(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_decimal(struct call *call, struct error *error) MUST_CHECK;
bool function_to_string(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_string(struct call *call, struct error *error) MUST_CHECK;
bool function_to_date(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_date(struct call *call, struct error *error) MUST_CHECK;
bool function_to_datetime(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_datetime(struct call *call, struct error *error) MUST_CHECK;
bool function_to_time(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_time(struct call *call, struct error *error) MUST_CHECK;
bool function_to_quantity(struct call *call, struct error *error) MUST_CHECK;
bool function_converts_to_quantity(struct call *call, struct error *error) MUST_CHECK;

bool function_index_of(struct call *call, struct error *error) MUST_CHECK;
bool function_last_index_of(struct call *call, struct error *error) MUST_CHECK;
bool function_substring(struct call *call, struct error *error) MUST_CHECK;
bool function_starts_with(struct call *call, struct error *error) MUST_CHECK;
bool function_ends_with(struct call *call, struct error *error) MUST_CHECK;
bool function_contains(struct call *call, struct error *error) MUST_CHECK;
bool function_upper(struct call *call, struct error *error) MUST_CHECK;
bool function_lower(struct call *call, struct error *error) MUST_CHECK;
bool function_replace(struct call *call, struct error *error) MUST_CHECK;
bool function_matches(struct call *call, struct error *error) MUST_CHECK;
bool function_matches_full(struct call *call, struct error *error) MUST_CHECK;
bool function_replace_matches(struct call *call, struct error *error) MUST_CHECK;
bool function_length(struct call *call, struct error *error) MUST_CHECK;
bool function_to_chars(struct call *call, struct error *error) MUST_CHECK;
bool function_trim(struct call *call, struct error *error) MUST_CHECK;
bool function_split(struct call *call, struct error *error) MUST_CHECK;
bool function_join(struct call *call, struct error *error) MUST_CHECK;

bool function_encode(struct call *call, struct error *error) MUST_CHECK;
bool function_decode(struct call *call, struct error *error) MUST_CHECK;
bool function_escape(struct call *call, struct error *error) MUST_CHECK;
bool function_unescape(struct call *call, struct error *error) MUST_CHECK;

#endif
