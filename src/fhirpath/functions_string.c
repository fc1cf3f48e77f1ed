/* Strings (N1 5.6) and their trial-use additions. A character is a Unicode code point. */
#include "base/clock.h"
#include "base/limits.h"
#include "fhirpath/functions.h"
#include "fhirpath/regex.h"
#include "fhirpath/text.h"

/* Steps a microsecond of regular expression costs, so that many of them cannot take longer than the budget of
 * one evaluation means (about 0.1 s). */
enum { REGEX_STEPS_A_MICROSECOND = 20 };
enum { BYTE_PAIRS_A_STEP = 1024 }; /* of a search that looks at every place */

static bool spend_time(struct call *call, int64_t began_us, struct error *error)
{
    int64_t spent_us = clock_thread_us() - began_us;
    return run_spend(call->run, spent_us <= 0 ? 1 : (size_t)spent_us * REGEX_STEPS_A_MICROSECOND, error);
}

/* Input and argument 0 as strings; *given only when both are there. */
static bool two_strings(struct call *call, struct str *input, struct str *other, bool *given,
                        struct error *error)
{
    bool has_input = false;
    bool has_other = false;
    if (!call_input_string(call, input, &has_input, error) ||
        !call_string(call, 0, other, &has_other, error)) {
        return false;
    }
    *given = has_input && has_other;
    return true;
}

bool function_index_of(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str other = { 0 };
    bool given = false;
    if (!two_strings(call, &input, &other, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    size_t at = str_find(input, other);
    bool found = at < input.len || other.len == 0;
    return list_add_integer(call->run, call->out, found ? (int64_t)text_count(str_slice(input, 0, at)) : -1,
                            error);
}

bool function_last_index_of(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str other = { 0 };
    bool given = false;
    if (!two_strings(call, &input, &other, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    int64_t found = -1;
    if (!run_spend(call->run, input.len * other.len / BYTE_PAIRS_A_STEP, error)) {
        return false;
    }
    for (size_t at = input.len + 1; at-- > 0 && found < 0;) {
        if (str_starts_with(str_skip(input, at), other)) {
            found = (int64_t)text_count(str_slice(input, 0, at));
        }
    }
    return list_add_integer(call->run, call->out, found, error);
}

bool function_substring(struct call *call, struct error *error)
{
    struct str input = { 0 };
    int64_t start = 0;
    int64_t length = 0;
    bool given = false;
    bool start_given = false;
    bool length_given = false;
    if (!call_input_string(call, &input, &given, error) ||
        !call_integer(call, 0, &start, &start_given, error) ||
        !call_integer(call, 1, &length, &length_given, error)) {
        return false;
    }
    if (!given || !start_given || start < 0 || (uint64_t)start >= text_count(input)) {
        return true;
    }
    struct str rest = str_skip(input, text_offset(input, (size_t)start));
    if (length_given) {
        rest = str_slice(rest, 0, length <= 0 ? 0 : text_offset(rest, (size_t)length));
    }
    return list_add_string(call->run, call->out, rest, error);
}

bool function_starts_with(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str other = { 0 };
    bool given = false;
    return two_strings(call, &input, &other, &given, error) &&
           (!given || list_add_boolean(call->run, call->out, str_starts_with(input, other), error));
}

bool function_ends_with(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str other = { 0 };
    bool given = false;
    return two_strings(call, &input, &other, &given, error) &&
           (!given || list_add_boolean(call->run, call->out, str_ends_with(input, other), error));
}

bool function_contains(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str other = { 0 };
    bool given = false;
    if (!two_strings(call, &input, &other, &given, error)) {
        return false;
    }
    return !given || list_add_boolean(call->run, call->out,
                                      other.len == 0 || str_find(input, other) < input.len, error);
}

/* One code point for one. */
static bool map_case(struct call *call, uint32_t (*map)(uint32_t code), struct error *error)
{
    struct str input = { 0 };
    bool given = false;
    if (!call_input_string(call, &input, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    /* The other case of a letter takes at most 3 bytes where it took 2 or 1. */
    char *out = arena_alloc(call->run->arena, input.len * 3 + STR_UTF8_BYTES_MAX);
    if (out == NULL) {
        return run_out_of_memory(error);
    }
    size_t written = 0;
    for (size_t at = 0; at < input.len;) {
        written += str_put_utf8(map(text_next(input, &at)), out + written);
    }
    return list_add_string(call->run, call->out, (struct str){ out, written }, error);
}

bool function_upper(struct call *call, struct error *error)
{
    return map_case(call, text_upper, error);
}

bool function_lower(struct call *call, struct error *error)
{
    return map_case(call, text_lower, error);
}

/* Adds to a buffer whose size is bounded like a resource. */
static bool add_buffer(struct call *call, struct buf *buf, struct error *error)
{
    bool ok = false;
    if (buf->failed) {
        (void)FAIL(error, ERROR_TOO_LARGE, "FHIRPath: %s() makes too long a text",
                   call->expression->function->name);
    } else {
        ok = list_add_string(call->run, call->out, arena_dup(call->run->arena, buf_str(buf)), error);
    }
    buf_deinit(buf);
    return ok;
}

/* N1 5.6.8: an empty pattern stands around each character. */
static void replace_all(struct buf *buf, struct str input, struct str pattern, struct str substitution)
{
    if (pattern.len == 0) {
        buf_add(buf, substitution);
        for (size_t at = 0; at < input.len;) {
            size_t start = at;
            (void)text_next(input, &at);
            buf_add(buf, str_slice(input, start, at));
            buf_add(buf, substitution);
        }
        return;
    }
    for (;;) {
        size_t at = str_find(input, pattern);
        buf_add(buf, str_slice(input, 0, at));
        if (at >= input.len || buf->failed) {
            return;
        }
        buf_add(buf, substitution);
        input = str_skip(input, at + pattern.len);
    }
}

bool function_replace(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str pattern = { 0 };
    struct str substitution = { 0 };
    bool given = false;
    bool substitution_given = false;
    if (!two_strings(call, &input, &pattern, &given, error) ||
        !call_string(call, 1, &substitution, &substitution_given, error)) {
        return false;
    }
    if (!given || !substitution_given) {
        return true;
    }
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    replace_all(&buf, input, pattern, substitution);
    return add_buffer(call, &buf, error);
}

static bool matches(struct call *call, bool whole, struct error *error)
{
    struct regex_question question = { .whole = whole };
    bool given = false;
    bool found = false;
    bool has_flags = false;
    if (!two_strings(call, &question.text, &question.pattern, &given, error) ||
        !call_string(call, 1, &question.flags, &has_flags, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    int64_t began_us = clock_thread_us();
    return regex_matches(&call->run->regex, call->run->arena, &question, &found, error) &&
           spend_time(call, began_us, error) && list_add_boolean(call->run, call->out, found, error);
}

bool function_matches(struct call *call, struct error *error)
{
    return matches(call, false, error);
}

bool function_matches_full(struct call *call, struct error *error)
{
    return matches(call, true, error);
}

bool function_replace_matches(struct call *call, struct error *error)
{
    struct regex_question question = { 0 };
    struct str out = { 0 };
    bool given = false;
    bool substitution_given = false;
    bool has_flags = false;
    if (!two_strings(call, &question.text, &question.pattern, &given, error) ||
        !call_string(call, 1, &question.substitution, &substitution_given, error) ||
        !call_string(call, 2, &question.flags, &has_flags, error)) {
        return false;
    }
    if (!given || !substitution_given) {
        return true;
    }
    if (question.pattern.len == 0) {
        return list_add_string(call->run, call->out, question.text, error);
    }
    int64_t began_us = clock_thread_us();
    return regex_replace(&call->run->regex, call->run->arena, &question, &out, error) &&
           spend_time(call, began_us, error) && list_add_string(call->run, call->out, out, error);
}

bool function_length(struct call *call, struct error *error)
{
    struct str input = { 0 };
    bool given = false;
    return call_input_string(call, &input, &given, error) &&
           (!given || list_add_integer(call->run, call->out, (int64_t)text_count(input), error));
}

bool function_to_chars(struct call *call, struct error *error)
{
    struct str input = { 0 };
    bool given = false;
    if (!call_input_string(call, &input, &given, error)) {
        return false;
    }
    for (size_t at = 0; given && at < input.len;) {
        size_t start = at;
        (void)text_next(input, &at);
        if (!list_add_string(call->run, call->out, str_slice(input, start, at), error)) {
            return false;
        }
    }
    return true;
}

bool function_trim(struct call *call, struct error *error)
{
    struct str input = { 0 };
    bool given = false;
    return call_input_string(call, &input, &given, error) &&
           (!given || list_add_string(call->run, call->out, str_trim(input), error));
}

bool function_split(struct call *call, struct error *error)
{
    struct str input = { 0 };
    struct str separator = { 0 };
    bool given = false;
    if (!two_strings(call, &input, &separator, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    if (separator.len == 0) {
        return function_to_chars(call, error);
    }
    for (;;) {
        size_t at = str_find(input, separator);
        if (!list_add_string(call->run, call->out, str_slice(input, 0, at), error)) {
            return false;
        }
        if (at >= input.len) {
            return true;
        }
        input = str_skip(input, at + separator.len);
    }
}

bool function_join(struct call *call, struct error *error)
{
    struct str separator = STR("");
    bool given = false;
    if (!call_string(call, 0, &separator, &given, error)) {
        return false;
    }
    if (call->in->count == 0 && !call->run->context->joins_nothing) {
        return true;
    }
    struct buf buf = { .bytes_max = LIMIT_RESOURCE_BYTES };
    for (size_t i = 0; i < call->in->count; i++) {
        struct fhirpath_item value = run_value(call->run, &call->in->items[i]);
        if (value.kind != FHIRPATH_STRING) {
            buf_deinit(&buf);
            return call_fail(call, "strings are needed", error);
        }
        if (i > 0 && given) {
            buf_add(&buf, separator);
        }
        buf_add(&buf, value.string);
    }
    return add_buffer(call, &buf, error);
}
