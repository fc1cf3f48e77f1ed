/* One alternative of a search parameter, from text to the form of index rows (R4 3.1.1.4). */
#include <math.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/primitive.h"
#include "fhir/search_internal.h"

bool search_no_memory(struct error *error)
{
    return FAIL(error, ERROR_TOO_LARGE, "the search needs more memory than a request may use");
}

bool search_values_add(struct search_parse *parse, struct search_values *list, struct search_value value,
                       struct error *error)
{
    if (list->count == LIMIT_SEARCH_VALUES) {
        return FAIL(error, ERROR_TOO_COSTLY, "a search parameter has more than %d alternatives",
                    LIMIT_SEARCH_VALUES);
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : list->capacity * 2;
        struct search_value *grown = arena_alloc(parse->arena, capacity * sizeof *grown);
        if (grown == NULL) {
            return search_no_memory(error);
        }
        if (list->count > 0) {
            memcpy(grown, list->values, list->count * sizeof *grown);
        }
        list->values = grown;
        list->capacity = capacity;
    }
    list->values[list->count++] = value;
    return true;
}

bool search_split(struct str *rest, char separator, struct str *part)
{
    if (rest->at == NULL) {
        return false;
    }
    size_t at = 0;
    while (at < rest->len && rest->at[at] != separator) {
        at += rest->at[at] == '\\' && at + 1 < rest->len ? 2 : 1;
    }
    *part = str_slice(*rest, 0, at);
    *rest = at < rest->len ? str_skip(*rest, at + 1) : STR_NONE;
    return true;
}

struct str search_unescape(struct arena *arena, struct str text)
{
    if (str_find_char(text, '\\') == text.len) {
        return text;
    }
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < text.len; i++) {
        bool escape = text.at[i] == '\\' && i + 1 < text.len && strchr(",|$\\", text.at[i + 1]) != NULL;
        i += escape ? 1 : 0;
        out[len++] = text.at[i];
    }
    return out == NULL ? STR_NONE : (struct str){ out, len };
}

static bool bad_value(const struct search_target *target, const char *expected, struct error *error)
{
    return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be %s", STR_FMT(target->name), expected);
}

static uint32_t number_of(const struct search_target *target)
{
    return hash_parameter(target->type, target->parameter->code);
}

static uint32_t number_with(const struct search_target *target, struct str modifier)
{
    return index_parameter_with(target->type, target->parameter->code, modifier);
}

static struct search_value key_value(uint32_t parameter, uint64_t key)
{
    return (struct search_value){ .test = SEARCH_TEST_KEY, .parameter = parameter, .key = key };
}

/* ---- prefixes ---- */

static enum search_prefix take_prefix(struct str *text)
{
    static const struct {
        struct str name;
        enum search_prefix prefix;
    } prefixes[] = { { { "eq", 2 }, SEARCH_EQ }, { { "ne", 2 }, SEARCH_NE }, { { "gt", 2 }, SEARCH_GT },
                     { { "lt", 2 }, SEARCH_LT }, { { "ge", 2 }, SEARCH_GE }, { { "le", 2 }, SEARCH_LE },
                     { { "sa", 2 }, SEARCH_SA }, { { "eb", 2 }, SEARCH_EB }, { { "ap", 2 }, SEARCH_AP } };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (str_starts_with(*text, prefixes[i].name)) {
            *text = str_skip(*text, 2);
            return prefixes[i].prefix;
        }
    }
    return SEARCH_EQ;
}

/* ---- date ---- */

static bool date_value(struct search_parse *parse, const struct search_target *target, struct str text,
                       uint32_t parameter, struct search_values *list, struct error *error)
{
    struct search_value value = { .test = SEARCH_TEST_DATE, .parameter = parameter };
    bool overlaps = parse->inside_filter && str_starts_with(text, STR("po")); /* R4 3.1.3.2 */
    text = overlaps ? str_skip(text, 2) : text;
    value.prefix = overlaps ? SEARCH_AP : take_prefix(&text);
    struct date_span span;
    struct error unused = { 0 };
    if (!date_parse(text, parse->options->offset_minutes, &span, &unused)) {
        return bad_value(target, "a date such as 2020-02-11, ge2020-02 or lt2020-02-11T14:30:00+08:00",
                         error);
    }
    value.from_ms = span.from_ms;
    value.to_ms = span.to_ms;
    if (value.prefix == SEARCH_AP &&
        !overlaps) { /* R4 3.1.1.4.6: 10 % of the time between now and the date */
        int64_t gap =
            (parse->now_ms > span.from_ms ? parse->now_ms - span.from_ms : span.from_ms - parse->now_ms);
        value.from_ms -= gap / 10;
        value.to_ms += gap / 10;
    }
    return search_values_add(parse, list, value, error);
}

/* ---- number, quantity ---- */

static bool number_value(struct search_parse *parse, const struct search_target *target, struct str text,
                         uint32_t parameter, struct search_values *list, struct error *error)
{
    struct search_value value = { .test = SEARCH_TEST_NUMBER, .parameter = parameter };
    struct str rest = text;
    struct str digits = STR_NONE;
    struct str system = STR_NONE;
    struct str code = STR_NONE;
    (void)search_split(&rest, '|', &digits);
    bool has_unit = search_split(&rest, '|', &system);
    bool has_code = search_split(&rest, '|', &code);
    value.prefix = take_prefix(&digits);
    bool plain = target->parameter->kind == MODEL_SEARCH_NUMBER;
    if (!parse_double(digits, &value.number) || !index_number_range(digits, &value.low, &value.high) ||
        has_unit != has_code || rest.at != NULL || (plain && has_unit)) {
        return bad_value(target, plain ? "a number" : "number, number|system|code or number||unit", error);
    }
    system = search_unescape(parse->arena, system);
    code = search_unescape(parse->arena, code);
    if (code.len == 0 && system.len > 0) {
        return bad_value(target, "number|system|code with a code", error);
    }
    if (value.prefix == SEARCH_AP) { /* R4 3.1.1.4.6: 10 % of the value */
        value.low = value.number - 0.1 * fabs(value.number);
        value.high = value.number + 0.1 * fabs(value.number);
    }
    struct index_scale scale;
    if (code.len > 0 && index_scale_of(parse->arena, system, code, &scale)) {
        value.key = scale.key;
        value.low = value.low * scale.slope + scale.offset;
        value.high = value.high * scale.slope + scale.offset;
        value.number = index_to_base(&scale, value.number);
    } else if (code.len > 0) {
        value.key = index_token_key(system.len == 0 ? STR_NONE : system, code);
    }
    return search_values_add(parse, list, value, error);
}

/* ---- token ---- */

/* The element that "Type.a.where(…).b" leads to; NULL for other expressions. */
static const struct model_element *target_element(const struct search_target *target)
{
    struct str rest = target->parameter->expression;
    rest = str_trim(str_slice(rest, 0, str_find_char(rest, '|')));
    struct str part = STR_NONE;
    if (!str_split_next(&rest, '.', &part)) {
        return NULL;
    }
    const struct model_type *type = model_type_find(part);
    const struct model_element *element = NULL;
    while (str_split_next(&rest, '.', &part)) {
        if (str_starts_with(part, STR("where("))) {
            continue;
        }
        element = model_element_find(type, part);
        if (element == NULL) {
            return NULL;
        }
        type = element->type;
    }
    return element;
}

/* The same when it is of a primitive type: its codes have the system of the definition, which index rows leave out. */
static const struct model_element *primitive_element(const struct search_target *target)
{
    const struct model_element *element = target_element(target);
    return element != NULL && element->type->kind == MODEL_PRIMITIVE ? element : NULL;
}

static bool element_is(const struct model_element *element, const char *type)
{
    return element != NULL && str_equal_cstr(element->type->name, type);
}

/* All codes of a system in a value set: "system|" of a code element, and :in. */
static bool add_codes(struct search_parse *parse, const struct model_value_set *set, struct str system,
                      bool with_system, uint32_t parameter, struct search_values *list, struct error *error)
{
    for (size_t i = 0; set != NULL && i < set->systems_count; i++) {
        const struct model_codes *codes = &set->systems[i];
        for (size_t j = 0; j < codes->codes_count; j++) {
            bool wanted = system.at == NULL || str_equal(system, codes->system);
            uint64_t key = index_token_key(with_system ? codes->system : STR_NONE, codes->codes[j]);
            if (wanted && !search_values_add(parse, list, key_value(parameter, key), error)) {
                return false;
            }
        }
    }
    return true;
}

static bool code_value(struct search_parse *parse, const struct model_element *element, struct str system,
                       struct str code, uint32_t parameter, struct search_values *list, struct error *error)
{
    const struct model_value_set *set = element->value_set;
    bool known = set != NULL && set->systems_count > 0;
    if (system.len == 0) {
        return search_values_add(parse, list, key_value(parameter, index_token_key(STR_NONE, code)), error);
    }
    if (code.len == 0 && known) {
        return add_codes(parse, set, system, false, parameter, list, error);
    }
    struct search_value value = { .test = SEARCH_TEST_NOTHING, .parameter = parameter };
    if (!known || model_value_set_has(set, system, code)) {
        value = key_value(parameter, index_token_key(STR_NONE, code));
    }
    return search_values_add(parse, list, value, error);
}

/* code, system|code, |code, system| */
static bool token_value(struct search_parse *parse, const struct search_target *target, struct str text,
                        uint32_t parameter, struct search_values *list, struct error *error)
{
    struct str rest = text;
    struct str first = STR_NONE;
    struct str second = STR_NONE;
    (void)search_split(&rest, '|', &first);
    bool has_bar = search_split(&rest, '|', &second);
    first = search_unescape(parse->arena, first);
    second = search_unescape(parse->arena, second);
    if (rest.at != NULL || (first.len == 0 && second.len == 0)) {
        return bad_value(target, "code, system|code, |code or system|", error);
    }
    const struct model_element *element = target_element(target);
    if (has_bar && (element_is(element, "ContactPoint") || element_is(element, "boolean") ||
                    element_is(element, "uri"))) {
        return bad_value(target, "the value alone, without |", error); /* R4 3.1.1.4.10 */
    }
    if (element_is(element, "string")) {
        first = index_normalise(parse->arena, first);
        second = index_normalise(parse->arena, second);
    }
    if (element != NULL && element->type->kind == MODEL_PRIMITIVE) {
        size_t from = list->count;
        bool ok = code_value(parse, element, has_bar ? first : STR_NONE, has_bar ? second : first, parameter,
                             list, error);
        struct str paths = target->parameter->expression;
        for (; ok && from < list->count; from++) { /* a further path may lead to codings */
            list->values[from].brief = str_find_char(paths, '|') < paths.len;
        }
        return ok;
    }
    struct search_value value = key_value(parameter, index_token_key(STR_NONE, first));
    if (has_bar) {
        value.key = index_token_key(first, second.len == 0 ? STR_NONE : second);
    }
    bool coding = element_is(element, "Coding") || element_is(element, "CodeableConcept");
    value.brief = !has_bar || second.len == 0 || !coding;
    if (!search_values_add(parse, list, value, error)) {
        return false;
    }
    if (coding || !has_bar || second.len == 0) {
        return true;
    }
    value.key = index_identifier_key(first, second);
    return search_values_add(parse, list, value, error);
}

/* R4 3.1.1.4.11: system|code|value of an identifier's type. */
static bool of_type_value(struct search_parse *parse, const struct search_target *target, struct str text,
                          struct search_values *list, struct error *error)
{
    struct str rest = text;
    struct str parts[3] = { STR_NONE, STR_NONE, STR_NONE };
    size_t count = 0;
    while (count < 3 && search_split(&rest, '|', &parts[count])) {
        parts[count] = search_unescape(parse->arena, parts[count]);
        count++;
    }
    if (count != 3 || rest.at != NULL || parts[1].len == 0 || parts[2].len == 0) {
        return bad_value(target, "system|code|value", error);
    }
    uint64_t type = index_token_key(parts[0], parts[1]);
    uint64_t key = hash64_combine(type, index_token_key(STR_NONE, parts[2]));
    return search_values_add(parse, list, key_value(number_with(target, STR("of-type")), key), error);
}

static bool in_value(struct search_parse *parse, const struct search_target *target, struct str text,
                     struct search_values *list, struct error *error)
{
    struct str url = search_unescape(parse->arena, text);
    const struct model_value_set *set = model_value_set_find(str_slice(url, 0, str_find_char(url, '|')));
    bool with_system = primitive_element(target) == NULL;
    bool found = false;
    if (set != NULL && set->systems_count > 0) {
        return add_codes(parse, set, STR_NONE, with_system, number_of(target), list, error);
    }
    if (!search_set_codes(parse, target, url, with_system, number_of(target), list, &found, error)) {
        return false;
    }
    return found ||
           FAIL(error, ERROR_UNSUPPORTED, "the value set of '%.*s' is not known here", STR_FMT(target->name));
}

static bool is_mime_type(const struct model_element *element)
{
    return element != NULL && element->value_set != NULL &&
           str_ends_with(element->value_set->url, STR("/mimetypes"));
}

/* system|code; of a code element the system of its definition may be left out. */
static bool side_value(struct search_parse *parse, const struct search_target *target, struct str text,
                       struct search_values *list, struct error *error)
{
    struct str rest = text;
    struct str system = STR_NONE;
    struct str code = STR_NONE;
    const struct model_element *element = primitive_element(target);
    (void)search_split(&rest, '|', &system);
    if (!search_split(&rest, '|', &code)) {
        code = system;
        system = STR_NONE;
    }
    if (is_mime_type(element) && str_equal(target->modifier, STR("below"))) { /* R4 3.1.1.4.10.1 */
        uint64_t key = index_token_key(STR_NONE, search_unescape(parse->arena, code));
        return search_values_add(parse, list, key_value(number_of(target), key), error) &&
               search_values_add(parse, list, key_value(number_with(target, STR("below")), key), error);
    }
    if (system.len == 0 && element != NULL && element->value_set != NULL &&
        element->value_set->systems_count == 1) {
        system = element->value_set->systems[0].system;
    }
    return search_code_side(parse, target, search_unescape(parse->arena, system),
                            search_unescape(parse->arena, code), element == NULL, list, error);
}

static bool any_token_value(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_values *list, struct error *error)
{
    struct str modifier = target->modifier;
    if (str_equal(modifier, STR("of-type"))) {
        return of_type_value(parse, target, text, list, error);
    }
    if (str_equal(modifier, STR("text"))) {
        return search_code_words(parse, target, text, list, error);
    }
    if (str_equal(modifier, STR("below")) || str_equal(modifier, STR("above"))) {
        return side_value(parse, target, text, list, error);
    }
    if (str_equal(modifier, STR("in")) || str_equal(modifier, STR("not-in"))) {
        return in_value(parse, target, text, list, error);
    }
    return token_value(parse, target, text, number_of(target), list, error);
}

/* ---- reference ---- */

static bool reference_value(struct search_parse *parse, const struct search_target *target, struct str text,
                            uint32_t parameter, struct search_values *list, struct error *error)
{
    if (str_equal(target->modifier, STR("identifier"))) {
        return token_value(parse, target, text, number_with(target, STR("identifier")), list, error);
    }
    return search_reference_value(parse, target, text, parameter, list, error);
}

/* ---- string, uri ---- */

/* As many bytes of the text as are whole characters and at most `max`. */
static size_t whole_characters(struct str text, size_t max)
{
    size_t end = text.len < max ? text.len : max;
    while (end < text.len && end > 0 && ((unsigned char)text.at[end] & 0xC0) == 0x80) {
        end--;
    }
    return end;
}

static bool add_text(struct search_parse *parse, uint32_t parameter, enum search_test test, struct str text,
                     struct search_values *list, struct error *error)
{
    size_t end = whole_characters(text, LIMIT_STORE_INDEX_TEXT_BYTES); /* rows are cut there too */
    struct search_value value = { .test = test, .parameter = parameter, .text = str_slice(text, 0, end) };
    return search_values_add(parse, list, value, error);
}

static struct str without_blanks(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; out != NULL && i < text.len; i++) {
        if (text.at[i] != ' ') {
            out[len++] = text.at[i];
        }
    }
    return out == NULL ? STR_NONE : (struct str){ out, len };
}

/* _filter's ew: the end of a row, or of what was too long for one. */
static bool ends_value(struct search_parse *parse, const struct search_target *target, struct str text,
                       struct search_values *list, struct error *error)
{
    size_t from = text.len > INDEX_STRING_BYTES ? text.len - INDEX_STRING_BYTES : 0;
    while (from > 0 && from < text.len && ((unsigned char)text.at[from] & 0xC0) == 0x80) {
        from++;
    }
    text = str_skip(text, from);
    return add_text(parse, number_of(target), SEARCH_TEST_ENDS, text, list, error) &&
           add_text(parse, number_with(target, STR("end")), SEARCH_TEST_ENDS, text, list, error);
}

static bool string_value(struct search_parse *parse, const struct search_target *target, struct str text,
                         uint32_t parameter, struct search_values *list, struct error *error)
{
    struct str value = search_unescape(parse->arena, text);
    if (str_equal(target->modifier, STR("exact"))) {
        struct str marked = index_string_text(parse->arena, value);
        return marked.at == NULL ? search_no_memory(error)
                                 : add_text(parse, parameter, SEARCH_TEST_EQUAL, marked, list, error);
    }
    struct str normal = index_normalise(parse->arena, value);
    if (normal.at == NULL) {
        return search_no_memory(error);
    }
    if (normal.len == 0) {
        return bad_value(target, "a text", error);
    }
    if (str_equal(target->modifier, STR("ends"))) {
        return ends_value(parse, target, normal, list, error);
    }
    const char mark[1] = { normal.len > INDEX_STRING_BYTES ? INDEX_MARK_CUT : INDEX_MARK_WHOLE };
    normal = str_slice(normal, 0, whole_characters(normal, INDEX_STRING_BYTES));
    if (str_equal(target->modifier,
                  STR("whole"))) { /* _filter's eq: with and without the mark of its exact bytes */
        struct str marked = arena_concat(parse->arena, normal, (struct str){ mark, 1 });
        return marked.at == NULL ? search_no_memory(error)
                                 : add_text(parse, parameter, SEARCH_TEST_EQUAL, normal, list, error) &&
                                       add_text(parse, parameter, SEARCH_TEST_PREFIX, marked, list, error);
    }
    bool contains = str_equal(target->modifier, STR("contains"));
    enum search_test test = contains ? SEARCH_TEST_CONTAINS : SEARCH_TEST_PREFIX;
    struct search_value within = { .test = SEARCH_TEST_WITHIN,
                                   .parameter = number_with(target, STR("contains")),
                                   .text = normal };
    if (!add_text(parse, parameter, test, normal, list, error) ||
        (contains && !search_values_add(parse, list, within, error))) {
        return false;
    }
    /* "zhang san" and 张 三 as people type them; pinyin and Chinese names are kept without blanks. */
    const struct model_element *element = model_element_find(model_type_find(target->type), STR("name"));
    bool name = str_equal(target->parameter->code, STR("name")) && element != NULL &&
                str_equal(element->type->name, STR("HumanName"));
    if (!name || contains || str_find_char(normal, ' ') == normal.len) {
        return true;
    }
    struct str joined = without_blanks(parse->arena, normal);
    return joined.at == NULL ? search_no_memory(error)
                             : add_text(parse, parameter, test, joined, list, error);
}

static bool uri_value(struct search_parse *parse, const struct search_target *target, struct str text,
                      uint32_t parameter, struct search_values *list, struct error *error)
{
    struct str value = search_unescape(parse->arena, text);
    if (value.len == 0) {
        return bad_value(target, "a URI", error);
    }
    if (str_equal(target->modifier, STR("contains"))) {
        return add_text(parse, parameter, SEARCH_TEST_CONTAINS, value, list, error);
    }
    if (str_equal(target->modifier, STR("ends"))) {
        return add_text(parse, parameter, SEARCH_TEST_ENDS, value, list, error);
    }
    if (target->modifier.len > 0 && !parse->inside_filter && str_starts_with(value, STR("urn:"))) {
        return bad_value(target, "a URL: a URN has nothing above or below it", error); /* R4 3.1.1.4.9 */
    }
    if (str_equal(target->modifier, STR("below"))) {
        return add_text(parse, parameter, SEARCH_TEST_PREFIX, value, list, error);
    }
    if (str_equal(target->modifier, STR("above"))) {
        return add_text(parse, parameter, SEARCH_TEST_ABOVE, value, list, error);
    }
    return search_values_add(parse, list, key_value(parameter, index_uri_key(value)), error);
}

/* ---- near ---- */

/* R4 Location: latitude|longitude|distance|units; without a distance 10 km. */
static bool near_value(struct search_parse *parse, const struct search_target *target, struct str text,
                       struct search_values *list, struct error *error)
{
    static const struct {
        struct str name;
        double metres;
    } units[] = { { { "km", 2 }, 1000 },
                  { { "m", 1 }, 1 },
                  { { "[mi_i]", 6 }, 1609.344 },
                  { { "[mi_us]", 7 }, 1609.347 },
                  { { "[nmi_i]", 7 }, 1852 } };
    struct str rest = text;
    struct str parts[4] = { STR_NONE, STR_NONE, STR("10"), STR("km") };
    double numbers[3] = { 0, 0, 10 };
    size_t count = 0;
    for (struct str part = STR_NONE; count < 4 && search_split(&rest, '|', &part); count++) {
        parts[count] = part.len > 0 || count < 2 ? part : parts[count];
    }
    bool ok = count >= 2 && rest.at == NULL;
    for (size_t i = 0; i < 3 && ok; i++) {
        ok = parse_double(parts[i], &numbers[i]);
    }
    struct search_value value = { .test = SEARCH_TEST_NEAR, .parameter = number_of(target) };
    double metres = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        metres = str_equal(parts[3], units[i].name) ? numbers[2] * units[i].metres : metres;
    }
    if (!ok || numbers[2] < 0 || (metres <= 0 && numbers[2] > 0) ||
        !index_place_of(numbers[0], numbers[1], &value.place)) {
        return bad_value(target, "latitude|longitude|distance|units such as 29.3|108.1|50|km", error);
    }
    value.high = index_chord_squared(metres);
    for (size_t axis = 0; axis < 3; axis++) {
        value.axes[axis] = index_place_number(target->type, target->parameter->code, axis);
    }
    return search_values_add(parse, list, value, error);
}

/* ---- composite ---- */

static bool value_of_kind(struct search_parse *parse, const struct search_target *target, struct str text,
                          uint32_t parameter, struct search_values *list, struct error *error)
{
    switch (target->parameter->kind) {
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        return number_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_DATE:
        return date_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_STRING:
        return string_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_TOKEN:
        return token_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_REFERENCE:
        return reference_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_URI:
        return uri_value(parse, target, text, parameter, list, error);
    case MODEL_SEARCH_SPECIAL:
        return near_value(parse, target, text, list, error);
    case MODEL_SEARCH_COMPOSITE:
        break;
    }
    return FAIL(error, ERROR_UNSUPPORTED, "'%.*s' cannot be searched by", STR_FMT(target->name));
}

bool search_first_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                        struct search_values *list, struct error *error)
{
    struct search_target first = *target;
    first.parameter = model_search_find(target->type, target->parameter->components[0].code);
    assert(first.parameter != NULL);
    if (str_ends_with(text, STR("|")) && primitive_element(&first) == NULL) {
        return bad_value(target, "of a code or system|code first: pairs are not kept by a whole system",
                         error);
    }
    return token_value(parse, &first, text, 0, list, error);
}

static bool composite_value(struct search_parse *parse, const struct search_target *target, struct str text,
                            struct search_values *list, struct error *error)
{
    const struct model_search_parameter *composite = target->parameter;
    struct str rest = text;
    struct str first = STR_NONE;
    struct str second = STR_NONE;
    bool two = search_split(&rest, '$', &first) && search_split(&rest, '$', &second) && rest.at == NULL;
    struct search_target part = *target;
    struct search_values firsts = { 0 };
    if (!two) {
        return bad_value(target, "two values with $ between them", error);
    }
    if (!search_first_parse(parse, target, first, &firsts, error)) {
        return false;
    }
    part.parameter = model_search_find(target->type, composite->components[1].code);
    for (size_t i = 0; part.parameter != NULL && i < firsts.count; i++) {
        uint32_t number = index_composite_parameter(number_of(target), firsts.values[i].key);
        size_t from = list->count;
        if (!value_of_kind(parse, &part, second, number, list, error)) {
            return false;
        }
        for (; firsts.values[i].brief && from < list->count; from++) {
            list->values[from].composite = number_of(target);
            list->values[from].composite_key = firsts.values[i].key;
        }
    }
    return true;
}

bool search_part_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                       uint32_t parameter, struct search_values *list, struct error *error)
{
    if (text.len == 0) {
        return bad_value(target, "given", error);
    }
    return value_of_kind(parse, target, text, parameter, list, error);
}

bool search_value_parse(struct search_parse *parse, const struct search_target *target, struct str text,
                        struct search_values *list, struct error *error)
{
    if (text.len == 0) {
        return bad_value(target, "given", error);
    }
    if (target->parameter->kind == MODEL_SEARCH_TOKEN) {
        return any_token_value(parse, target, text, list, error);
    }
    if (target->parameter->kind == MODEL_SEARCH_COMPOSITE) {
        return composite_value(parse, target, text, list, error);
    }
    return value_of_kind(parse, target, text, number_of(target), list, error);
}
