/* search_oracle.h — what a search should find, said a second time and as plainly as possible: the parameter's own
 * FHIRPath over a resource, its values compared with the question as R4 3.1.1.4 reads. No index rows, no SQL. Slow on
 * purpose. Included by search_world.h. */
#ifndef SHANHAI_TESTS_SEARCH_ORACLE_H
#define SHANHAI_TESTS_SEARCH_ORACLE_H

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/parse.h"
#include "fhir/index.h"
#include "fhirpath/fhirpath.h"
#include "fhirpath/units.h"
#include "model/model.h"

enum { ORACLE_ALTERNATIVES = 3, ORACLE_OFFSET_MINUTES = 480 };

struct oracle_resource {
    struct str type;
    struct str id;
    const struct json *tree;
    bool hidden; /* from the foreign session */
};

struct oracle_world {
    struct oracle_resource *resources; /* sorted by type and id */
    size_t count;
    bool foreign; /* the session that does not see what is hidden */
};

enum oracle_kind { ORACLE_PLAIN, ORACLE_CHAIN, ORACLE_HAS };

struct oracle_criterion {
    enum oracle_kind kind;
    struct str type;
    struct str code;
    const struct model_search_parameter *parameter; /* HAS: of the other side */
    struct str modifier;
    struct str values[ORACLE_ALTERNATIVES]; /* as they stand in the query, escapes and all */
    size_t values_count;
    struct str other; /* CHAIN: type asked for, or absent; HAS: type that points here */
    struct oracle_criterion *inner;
    struct str *pointed_at; /* HAS: whom those that fit point at, sorted; found once a question */
    size_t pointed_at_count;
};

/* Set when a comparison lies so near its limit that rounding decides: the question is then left out. */
static bool oracle_is_close;

static struct arena oracle_arena = { .bytes_max = 1u << 30 };     /* compiled expressions */
static struct arena oracle_query = { .bytes_max = 256u << 20 };   /* of one question */
static struct arena oracle_scratch = { .bytes_max = 512u << 20 }; /* of one resource and question */

/* ---- values of a parameter ---- */

struct oracle_path {
    struct oracle_path *next;
    struct str expression;
    struct fhirpath *path;
};

static struct fhirpath *oracle_compile(struct str expression)
{
    static struct oracle_path *paths[1024];
    size_t slot = 0;
    for (size_t i = 0; i < expression.len; i++) {
        slot = (slot * 31 + (unsigned char)expression.at[i]) % 1024;
    }
    for (struct oracle_path *p = paths[slot]; p != NULL; p = p->next) {
        if (str_equal(p->expression, expression)) {
            return p->path;
        }
    }
    struct error error = { 0 };
    struct oracle_path *made = ARENA_NEW(&oracle_arena, struct oracle_path);
    struct str text = expression;
    size_t wrong = str_find(text, STR("as(DateTime)")); /* the standard's own slip in code-value-date */
    if (wrong < text.len) {
        text = arena_printf(&oracle_arena, "%.*sas(dateTime)%.*s", (int)wrong, text.at,
                            STR_FMT(str_skip(text, wrong + 12)));
    }
    *made = (struct oracle_path){ paths[slot], expression, fhirpath_compile(&oracle_arena, text, &error) };
    paths[slot] = made;
    return made->path;
}

static struct fhirpath_collection oracle_values(struct str expression, const struct fhirpath_item *input,
                                                const struct json *resource)
{
    struct fhirpath_collection values = { 0 };
    struct error error = { 0 };
    struct fhirpath_context context = { .arena = &oracle_scratch,
                                        .resource = resource,
                                        .as_filters = true,
                                        .has_offset = true,
                                        .offset_minutes = ORACLE_OFFSET_MINUTES };
    struct fhirpath *path = oracle_compile(expression);
    bool ok = path != NULL && fhirpath_evaluate(path, &context, input, &values, &error);
    assert(ok);
    return values;
}

static struct fhirpath_collection oracle_parameter_values(const struct model_search_parameter *parameter,
                                                          const struct json *resource)
{
    struct fhirpath_item root = fhirpath_item_of_resource(resource);
    struct fhirpath_item *kept = ARENA_NEW(&oracle_scratch, struct fhirpath_item);
    *kept = root;
    return oracle_values(parameter->expression, kept, resource);
}

static const struct json *oracle_node(const struct fhirpath_item *item)
{
    return item->kind == FHIRPATH_NODE ? item->node.value : NULL;
}

static struct str oracle_text(const struct json *object, const char *name)
{
    return json_member_text(&oracle_scratch, object, str_from_cstr(name));
}

/* ---- the question's text ---- */

/* Parts between unescaped separators, without escapes. */
static size_t oracle_split(struct str text, char separator, struct str *parts, size_t most)
{
    size_t count = 0;
    char *out = arena_alloc(&oracle_scratch, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i <= text.len; i++) {
        bool end = i == text.len || text.at[i] == separator;
        if (end) {
            assert(count < most);
            parts[count++] = (struct str){ out, len };
            out += len;
            len = 0;
            continue;
        }
        if (text.at[i] == '\\' && i + 1 < text.len) {
            i++;
        }
        out[len++] = text.at[i];
    }
    return count;
}

/* The same with escapes left in. */
static size_t oracle_split_raw(struct str text, char separator, struct str *parts, size_t most)
{
    size_t count = 0;
    size_t from = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.at[i] == '\\') {
            i++;
            continue;
        }
        if (i >= text.len || text.at[i] == separator) {
            assert(count < most);
            parts[count++] = str_slice(text, from, i);
            from = i + 1;
        }
    }
    return count;
}

static struct str oracle_prefix(struct str *text)
{
    static const char *const prefixes[] = { "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap" };
    for (size_t i = 0; i < 9; i++) {
        if (str_starts_with(*text, str_from_cstr(prefixes[i]))) {
            *text = str_skip(*text, 2);
            return str_from_cstr(prefixes[i]);
        }
    }
    return STR("eq");
}

/* ---- token ---- */

static bool oracle_pair(struct str system, struct str code, const struct str *parts, size_t count)
{
    if (count == 1) {
        return code.len > 0 && str_equal(code, parts[0]);
    }
    if (parts[1].len == 0) {
        return str_equal(system, parts[0]);
    }
    return str_equal(system, parts[0]) && str_equal(code, parts[1]); /* "|code": without a system */
}

static bool oracle_token(const struct fhirpath_item *item, struct str value)
{
    struct str parts[3];
    size_t count = oracle_split(value, '|', parts, 3);
    struct str type = fhirpath_item_type_name(item);
    const struct json *node = oracle_node(item);
    if (str_equal(type, STR("CodeableConcept"))) {
        JSON_EACH(coding, JSON_GET(node, "coding")) {
            if (oracle_pair(oracle_text(coding, "system"), oracle_text(coding, "code"), parts, count)) {
                return true;
            }
        }
        return false;
    }
    if (str_equal(type, STR("Coding"))) {
        return oracle_pair(oracle_text(node, "system"), oracle_text(node, "code"), parts, count);
    }
    if (str_equal(type, STR("Identifier"))) {
        return oracle_pair(oracle_text(node, "system"), oracle_text(node, "value"), parts, count);
    }
    struct str code = str_equal(type, STR("ContactPoint")) ? oracle_text(node, "value")
                                                           : fhirpath_item_text(&oracle_scratch, item);
    if (str_equal(type, STR("string"))) { /* R4 3.1.1.4.10: not case sensitive */
        code = index_normalise(&oracle_scratch, code);
        parts[count - 1] = index_normalise(&oracle_scratch, parts[count - 1]);
    }
    return code.len > 0 && str_equal(code, parts[count - 1]);
}

static bool oracle_of_type(const struct fhirpath_item *item, struct str value)
{
    struct str parts[3];
    size_t count = oracle_split(value, '|', parts, 3);
    const struct json *node = oracle_node(item);
    JSON_EACH(coding, JSON_GET(JSON_GET(node, "type"), "coding")) {
        if (count == 3 && str_equal(oracle_text(coding, "system"), parts[0]) &&
            str_equal(oracle_text(coding, "code"), parts[1]) &&
            str_equal(oracle_text(node, "value"), parts[2])) {
            return true;
        }
    }
    return false;
}

static bool oracle_words_of(const struct json *concept, struct str phrase)
{
    bool fits = index_words_match(index_words(&oracle_scratch, oracle_text(concept, "text")), phrase);
    JSON_EACH(coding, JSON_GET(concept, "coding")) {
        fits =
            fits || index_words_match(index_words(&oracle_scratch, oracle_text(coding, "display")), phrase);
    }
    return fits;
}

/* :text looks into the words of codes, from the beginning of a word. */
static bool oracle_token_words(const struct fhirpath_item *item, struct str value)
{
    struct str asked[1];
    (void)oracle_split(value, '\0', asked, 1);
    struct str phrase = index_words(&oracle_scratch, asked[0]);
    struct str type = fhirpath_item_type_name(item);
    const struct json *node = oracle_node(item);
    if (str_equal(type, STR("Coding"))) {
        return index_words_match(index_words(&oracle_scratch, oracle_text(node, "display")), phrase);
    }
    bool identifier = str_equal(type, STR("Identifier"));
    return (identifier || str_equal(type, STR("CodeableConcept"))) &&
           oracle_words_of(identifier ? JSON_GET(node, "type") : node, phrase);
}

/* ---- string ---- */

static bool oracle_string(struct str text, struct str modifier, struct str value)
{
    if (text.len == 0) {
        return false;
    }
    if (str_equal(modifier, STR("exact"))) {
        return str_equal(text, value);
    }
    struct str row = index_normalise(&oracle_scratch, text);
    struct str asked = index_normalise(&oracle_scratch, value);
    return str_equal(modifier, STR("contains")) ? str_find(row, asked) < row.len
                                                : str_starts_with(row, asked);
}

static bool oracle_strings(const struct json *value, struct str modifier, struct str asked)
{
    bool fits = value != NULL && value->kind == JSON_STRING &&
                oracle_string(json_text(&oracle_scratch, value), modifier, asked);
    if (value != NULL && value->kind == JSON_ARRAY) {
        JSON_EACH(part, value) {
            fits = fits || oracle_string(json_text(&oracle_scratch, part), modifier, asked);
        }
    }
    return fits;
}

static bool oracle_string_item(const struct fhirpath_item *item, struct str modifier, struct str value)
{
    static const char *const name_parts[] = { "family", "given", "prefix", "suffix", "text" };
    static const char *const address_parts[] = { "text",  "line",    "city",      "district",
                                                 "state", "country", "postalCode" };
    struct str type = fhirpath_item_type_name(item);
    const struct json *node = oracle_node(item);
    struct str asked[1];
    (void)oracle_split(value, '\0', asked, 1);
    bool is_name = str_equal(type, STR("HumanName"));
    if (!is_name && !str_equal(type, STR("Address"))) {
        return oracle_string(fhirpath_item_text(&oracle_scratch, item), modifier, asked[0]);
    }
    bool fits = false;
    for (size_t i = 0; i < (is_name ? 5u : 7u); i++) {
        const char *part = is_name ? name_parts[i] : address_parts[i];
        fits = fits || oracle_strings(json_member(node, str_from_cstr(part)), modifier, asked[0]);
    }
    /* "Jane Doe" where the text does not say it is our own addition (fhir/index_values.c). */
    struct str given = json_text(&oracle_scratch, json_at(JSON_GET(node, "given"), 0));
    struct str family = oracle_text(node, "family");
    if (is_name && !fits && given.len > 0 && family.len > 0 && JSON_GET(node, "text") == NULL) {
        fits = oracle_string(arena_printf(&oracle_scratch, "%.*s %.*s", STR_FMT(given), STR_FMT(family)),
                             modifier, asked[0]);
    }
    return fits;
}

/* ---- reference, uri ---- */

static struct str oracle_reference_of(const struct fhirpath_item *item)
{
    const struct json *node = oracle_node(item);
    if (node == NULL) {
        return STR_NONE;
    }
    if (node->kind == JSON_STRING) {
        return json_text(&oracle_scratch, node);
    }
    if (JSON_GET(node, "resourceType") != NULL) {
        return JSON_GET(node, "id") == NULL
                   ? STR_NONE
                   : arena_printf(&oracle_scratch, "%.*s/%.*s", STR_FMT(oracle_text(node, "resourceType")),
                                  STR_FMT(oracle_text(node, "id")));
    }
    struct str text = oracle_text(node, "reference");
    return str_slice(text, 0, str_find(text, STR("/_history/")));
}

static bool oracle_is_target(const struct model_search_parameter *parameter, struct str type)
{
    struct str rest = parameter->targets;
    struct str one = STR_NONE;
    bool found = rest.len == 0 || str_equal(rest, STR("Resource"));
    while (!found && str_split_next(&rest, ' ', &one)) {
        found = str_equal(one, type);
    }
    return found && model_resource_find(type) != NULL;
}

/* Bundle.entry[0].resource is whatever comes first, the parameter asks for a Composition or MessageHeader. */
static bool oracle_is_stranger(const struct model_search_parameter *parameter,
                               const struct fhirpath_item *item)
{
    const struct json *type = JSON_GET(oracle_node(item), "resourceType");
    return type != NULL && !oracle_is_target(parameter, json_text(&oracle_scratch, type));
}

static bool oracle_reference(const struct model_search_parameter *parameter, const struct fhirpath_item *item,
                             struct str modifier, struct str value)
{
    struct str asked[1];
    (void)oracle_split(value, '\0', asked, 1);
    if (str_equal(modifier, STR("identifier"))) {
        const struct json *identifier = JSON_GET(oracle_node(item), "identifier");
        struct fhirpath_item inner = fhirpath_item_of_node(identifier, STR("Identifier"));
        return identifier != NULL && oracle_token(&inner, value);
    }
    struct str text = oracle_reference_of(item);
    if (text.len == 0 || text.at[0] == '#' || oracle_is_stranger(parameter, item)) {
        return false;
    }
    if (modifier.len > 0) {
        struct str own = arena_printf(&oracle_scratch, "%.*s/%.*s", STR_FMT(modifier), STR_FMT(asked[0]));
        return str_equal(text, own);
    }
    if (str_find_char(asked[0], '/') == asked[0].len && str_find_char(asked[0], ':') == asked[0].len) {
        size_t slash = str_find_char(text, '/');
        return slash < text.len && oracle_is_target(parameter, str_slice(text, 0, slash)) &&
               str_equal(str_skip(text, slash + 1), asked[0]);
    }
    return str_equal(text, asked[0]) || str_equal(str_slice(text, 0, str_find_char(text, '|')), asked[0]);
}

static bool oracle_uri(const struct fhirpath_item *item, struct str modifier, struct str value)
{
    struct str asked[1];
    (void)oracle_split(value, '\0', asked, 1);
    struct str text = fhirpath_item_text(&oracle_scratch, item);
    if (str_equal(modifier, STR("below"))) {
        return str_starts_with(text, asked[0]);
    }
    if (str_equal(modifier, STR("above"))) {
        bool boundary = text.len == asked[0].len || (text.len > 0 && text.at[text.len - 1] == '/') ||
                        (text.len < asked[0].len && asked[0].at[text.len] == '/');
        return text.len > 0 && str_starts_with(asked[0], text) && boundary;
    }
    return str_equal(text, asked[0]) || str_equal(str_slice(text, 0, str_find_char(text, '|')), asked[0]);
}

/* ---- date ---- */

struct oracle_span {
    int64_t from;
    int64_t to;
};

static bool oracle_instant(const struct json *value, struct oracle_span *span)
{
    struct date_span read;
    struct error error = { 0 };
    struct str text = json_text(&oracle_scratch, value);
    if (text.len == 0 || !date_parse(text, ORACLE_OFFSET_MINUTES, &read, &error)) {
        return false;
    }
    *span = (struct oracle_span){ read.from_ms, read.to_ms };
    return true;
}

static size_t oracle_spans(const struct fhirpath_item *item, struct oracle_span spans[2])
{
    const struct json *node = oracle_node(item);
    struct str type = fhirpath_item_type_name(item);
    const struct json *period = node;
    size_t count = 0;
    if (str_equal(type, STR("Timing"))) {
        struct oracle_span all = { INT64_MAX, INT64_MIN };
        JSON_EACH(event, JSON_GET(node, "event")) {
            struct oracle_span one;
            if (oracle_instant(event, &one)) {
                all.from = one.from < all.from ? one.from : all.from;
                all.to = one.to > all.to ? one.to : all.to;
            }
        }
        if (all.from < all.to) {
            spans[count++] = all;
        }
        period = JSON_GET(JSON_GET(node, "repeat"), "boundsPeriod");
    } else if (!str_equal(type, STR("Period"))) {
        return node != NULL && node->kind == JSON_STRING && oracle_instant(node, &spans[0]) ? 1 : 0;
    }
    struct oracle_span start = { INDEX_DATE_FIRST, 0 };
    struct oracle_span end = { 0, INDEX_DATE_LAST };
    bool has_start = oracle_instant(JSON_GET(period, "start"), &start);
    bool has_end = oracle_instant(JSON_GET(period, "end"), &end);
    if ((has_start || has_end) && start.from < end.to) {
        spans[count++] = (struct oracle_span){ start.from, end.to };
    }
    return count;
}

static bool oracle_date_fits(struct oracle_span row, struct str prefix, struct oracle_span asked)
{
    bool contained = asked.from <= row.from && row.to <= asked.to;
    bool above = row.to > asked.to;
    bool below = row.from < asked.from;
    if (str_equal(prefix, STR("eq"))) {
        return contained;
    }
    if (str_equal(prefix, STR("ne"))) {
        return !contained;
    }
    if (str_equal(prefix, STR("gt")) || str_equal(prefix, STR("ge"))) {
        return above || (prefix.at[1] == 'e' && contained);
    }
    if (str_equal(prefix, STR("lt")) || str_equal(prefix, STR("le"))) {
        return below || (prefix.at[1] == 'e' && contained);
    }
    if (str_equal(prefix, STR("sa"))) {
        return row.from >= asked.to;
    }
    if (str_equal(prefix, STR("eb"))) {
        return row.to <= asked.from;
    }
    return false;
}

static bool oracle_date(const struct fhirpath_item *item, struct str value)
{
    struct oracle_span spans[2];
    struct oracle_span asked;
    struct str prefix = oracle_prefix(&value);
    struct date_span read;
    struct error error = { 0 };
    bool ok = date_parse(value, ORACLE_OFFSET_MINUTES, &read, &error);
    assert(ok);
    asked = (struct oracle_span){ read.from_ms, read.to_ms };
    size_t count = oracle_spans(item, spans);
    bool fits = false;
    for (size_t i = 0; i < count; i++) {
        fits = fits || oracle_date_fits(spans[i], prefix, asked);
    }
    return fits;
}

/* ---- number, quantity ---- */

static bool oracle_less(double a, double b)
{
    double size = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    if (isfinite(size) && fabs(a - b) < 1e-9 * size) {
        oracle_is_close = oracle_is_close || fabs(a - b) > 0;
        return false;
    }
    return a < b;
}

static bool oracle_range_fits(double low, double high, struct str prefix, double number, double from,
                              double to)
{
    bool within = !oracle_less(low, from) && oracle_less(high, to);
    if (str_equal(prefix, STR("eq"))) {
        return within;
    }
    if (str_equal(prefix, STR("ne"))) {
        return !within;
    }
    if (str_equal(prefix, STR("gt"))) {
        return oracle_less(number, high);
    }
    if (str_equal(prefix, STR("ge"))) {
        return !oracle_less(high, number);
    }
    if (str_equal(prefix, STR("lt"))) {
        return oracle_less(low, number);
    }
    if (str_equal(prefix, STR("le"))) {
        return !oracle_less(number, low);
    }
    if (str_equal(prefix, STR("sa"))) {
        return oracle_less(number, low);
    }
    if (str_equal(prefix, STR("eb"))) {
        return oracle_less(high, number);
    }
    return !oracle_less(number + 0.1 * fabs(number), low) && !oracle_less(high, number - 0.1 * fabs(number));
}

/* The value in base units; the dimension stays absent for what is no UCUM. */
static double oracle_base(double number, struct str system, struct str code, struct str *dimension)
{
    double zero = 0;
    double one = 0;
    if (!str_equal(system, STR("http://unitsofmeasure.org")) ||
        !units_canonical(&oracle_scratch, decimal_from_integer(0), code, &zero, dimension) ||
        !units_canonical(&oracle_scratch, decimal_from_integer(1), code, &one, dimension)) {
        *dimension = STR_NONE;
        return number;
    }
    return zero + number * (one - zero);
}

static bool oracle_quantity_node(const struct json *low_node, const struct json *high_node, struct str value)
{
    struct str parts[3] = { STR_NONE, STR_NONE, STR_NONE };
    size_t count = oracle_split(value, '|', parts, 3);
    struct str prefix = oracle_prefix(&parts[0]);
    const struct json *unit_node = low_node != NULL ? low_node : high_node;
    double low = -HUGE_VAL;
    double high = HUGE_VAL;
    double number = 0;
    double from = 0;
    double to = 0;
    bool ok = parse_double(parts[0], &number) && index_number_range(parts[0], &from, &to);
    assert(ok);
    const struct json *low_value = JSON_GET(low_node, "value");
    const struct json *high_value = JSON_GET(high_node, "value");
    bool has_low = low_value != NULL && parse_double(low_value->raw, &low);
    bool has_high = high_value != NULL && parse_double(high_value->raw, &high);
    if (!has_low && !has_high) {
        return false;
    }
    struct str comparator = oracle_text(low_node, "comparator");
    if (low_node == high_node && comparator.len > 0) {
        low = comparator.at[0] == '<' ? -HUGE_VAL : low;
        high = comparator.at[0] == '>' ? HUGE_VAL : high;
    }
    struct str system = oracle_text(unit_node, "system");
    struct str code = oracle_text(unit_node, "code");
    if (JSON_GET(unit_node, "currency") != NULL) {
        system = STR("urn:iso:std:iso:4217");
        code = oracle_text(unit_node, "currency");
    }
    if (count == 3 && parts[1].len == 0 && parts[2].len > 0) {
        if (!str_equal(code, parts[2]) && !str_equal(oracle_text(unit_node, "unit"), parts[2])) {
            return false;
        }
    } else if (count == 3 && parts[2].len > 0) {
        struct str own = STR_NONE;
        struct str asked = STR_NONE;
        low = oracle_base(low, system, code, &own);
        high = oracle_base(high, system, code, &own);
        double number_base = oracle_base(number, parts[1], parts[2], &asked);
        from = oracle_base(from, parts[1], parts[2], &asked);
        to = oracle_base(to, parts[1], parts[2], &asked);
        number = number_base;
        bool same = asked.at != NULL ? own.at != NULL && str_equal(own, asked)
                                     : str_equal(system, parts[1]) && str_equal(code, parts[2]);
        if (!same) {
            return false;
        }
    }
    return oracle_range_fits(low, high, prefix, number, from, to);
}

static bool oracle_number(const struct fhirpath_item *item, struct str value)
{
    const struct json *node = oracle_node(item);
    if (node == NULL) {
        return false;
    }
    if (node->kind == JSON_NUMBER) {
        double own = 0;
        double number = 0;
        double from = 0;
        double to = 0;
        struct str prefix = oracle_prefix(&value);
        struct str digits = str_slice(value, 0, str_find_char(value, '|'));
        bool ok = parse_double(digits, &number) && index_number_range(digits, &from, &to) &&
                  parse_double(node->raw, &own);
        assert(ok);
        return oracle_range_fits(own, own, prefix, number, from, to);
    }
    if (str_equal(fhirpath_item_type_name(item), STR("Range"))) {
        return oracle_quantity_node(JSON_GET(node, "low"), JSON_GET(node, "high"), value);
    }
    return oracle_quantity_node(node, node, value);
}

/* ---- a parameter ---- */

static bool oracle_item(const struct model_search_parameter *parameter, const struct fhirpath_item *item,
                        struct str modifier, struct str value)
{
    switch (parameter->kind) {
    case MODEL_SEARCH_TOKEN:
        if (str_equal(modifier, STR("text"))) {
            return oracle_token_words(item, value);
        }
        return str_equal(modifier, STR("of-type")) ? oracle_of_type(item, value) : oracle_token(item, value);
    case MODEL_SEARCH_STRING:
        return oracle_string_item(item, modifier, value);
    case MODEL_SEARCH_REFERENCE:
        return oracle_reference(parameter, item, modifier, value);
    case MODEL_SEARCH_URI:
        return oracle_uri(item, modifier, value);
    case MODEL_SEARCH_DATE:
        return oracle_date(item, value);
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        return oracle_number(item, value);
    case MODEL_SEARCH_COMPOSITE:
    case MODEL_SEARCH_SPECIAL:
        break;
    }
    return false;
}

/* All components by the values of one repetition. */
static bool oracle_composite(const struct model_search_parameter *composite, const struct json *resource,
                             const struct fhirpath_item *item, struct str value)
{
    struct str parts[4];
    size_t count = oracle_split_raw(value, '$', parts, 4);
    assert(count == composite->components_count);
    for (size_t i = 0; i < count; i++) {
        const struct model_component *component = &composite->components[i];
        const struct model_search_parameter *parameter = model_search_find(composite->type, component->code);
        struct fhirpath_collection values = oracle_values(component->expression, item, resource);
        bool fits = false;
        for (size_t k = 0; parameter != NULL && k < values.count && !fits; k++) {
            fits = oracle_item(parameter, &values.items[k], STR_NONE, parts[i]);
        }
        if (!fits) {
            return false;
        }
    }
    return true;
}

static bool oracle_plain(const struct oracle_criterion *criterion, const struct json *resource)
{
    const struct model_search_parameter *parameter = criterion->parameter;
    struct fhirpath_collection values = oracle_parameter_values(parameter, resource);
    bool fits = false;
    for (size_t i = 0; i < values.count && !fits; i++) {
        for (size_t v = 0; v < criterion->values_count && !fits; v++) {
            struct str value = criterion->values[v];
            fits = parameter->kind == MODEL_SEARCH_COMPOSITE
                       ? oracle_composite(parameter, resource, &values.items[i], value)
                       : oracle_item(parameter, &values.items[i], criterion->modifier, value);
        }
    }
    return fits != str_equal(criterion->modifier, STR("not"));
}

/* Whether there is something that the index could hold: R4 says "has a value". */
static bool oracle_missing(const struct oracle_criterion *criterion, const struct json *resource)
{
    struct fhirpath_collection values = oracle_parameter_values(criterion->parameter, resource);
    return (values.count == 0) == str_equal(criterion->values[0], STR("true"));
}

/* ---- over the world ---- */

static int oracle_compare(const void *left, const void *right)
{
    const struct oracle_resource *a = left;
    const struct oracle_resource *b = right;
    int order = str_compare(a->type, b->type);
    return order != 0 ? order : str_compare(a->id, b->id);
}

static const struct oracle_resource *oracle_find(const struct oracle_world *world, struct str reference)
{
    size_t slash = str_find_char(reference, '/');
    struct oracle_resource key = { .type = str_slice(reference, 0, slash),
                                   .id = str_skip(reference, slash + 1) };
    const struct oracle_resource *found =
        world->count == 0
            ? NULL
            : bsearch(&key, world->resources, world->count, sizeof *world->resources, oracle_compare);
    return found == NULL || (world->foreign && found->hidden) ? NULL : found;
}

static bool oracle_fits(const struct oracle_world *world, struct oracle_criterion *criterion,
                        const struct oracle_resource *resource);

static bool oracle_chain(const struct oracle_world *world, struct oracle_criterion *criterion,
                         const struct oracle_resource *resource)
{
    struct fhirpath_collection values = oracle_parameter_values(criterion->parameter, resource->tree);
    for (size_t i = 0; i < values.count; i++) {
        const struct oracle_resource *target = oracle_find(world, oracle_reference_of(&values.items[i]));
        struct oracle_criterion *inner = criterion->inner;
        if (target == NULL || oracle_is_stranger(criterion->parameter, &values.items[i]) ||
            (criterion->other.len > 0 && !str_equal(target->type, criterion->other))) {
            continue;
        }
        inner->type = target->type;
        if (inner->kind != ORACLE_HAS) {
            inner->parameter = model_search_find(target->type, inner->code);
        }
        if (inner->parameter != NULL && oracle_fits(world, inner, target)) {
            return true;
        }
    }
    return false;
}

static int oracle_compare_text(const void *left, const void *right)
{
    return str_compare(*(const struct str *)left, *(const struct str *)right);
}

static void oracle_point(const struct oracle_world *world, struct oracle_criterion *criterion)
{
    size_t room = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct oracle_resource *source = &world->resources[i];
        if (!str_equal(source->type, criterion->other) || (world->foreign && source->hidden) ||
            !oracle_fits(world, criterion->inner, source)) {
            continue;
        }
        struct fhirpath_collection values = oracle_parameter_values(criterion->parameter, source->tree);
        for (size_t k = 0; k < values.count; k++) {
            if (oracle_is_stranger(criterion->parameter, &values.items[k])) {
                continue;
            }
            if (criterion->pointed_at_count == room) {
                room = 2 * room + 64;
                struct str *grown = ARENA_ARRAY(&oracle_query, struct str, room);
                if (criterion->pointed_at_count > 0) {
                    memcpy(grown, criterion->pointed_at, criterion->pointed_at_count * sizeof *grown);
                }
                criterion->pointed_at = grown;
            }
            criterion->pointed_at[criterion->pointed_at_count++] =
                arena_dup(&oracle_query, oracle_reference_of(&values.items[k]));
        }
    }
    if (criterion->pointed_at == NULL) {
        criterion->pointed_at = ARENA_ARRAY(&oracle_query, struct str, 1);
    }
    qsort(criterion->pointed_at, criterion->pointed_at_count, sizeof(struct str), oracle_compare_text);
}

static bool oracle_has(const struct oracle_world *world, struct oracle_criterion *criterion,
                       const struct oracle_resource *resource)
{
    struct str own =
        arena_printf(&oracle_scratch, "%.*s/%.*s", STR_FMT(resource->type), STR_FMT(resource->id));
    if (criterion->pointed_at == NULL) {
        oracle_point(world, criterion);
    }
    return criterion->pointed_at_count > 0 &&
           bsearch(&own, criterion->pointed_at, criterion->pointed_at_count, sizeof own,
                   oracle_compare_text) != NULL;
}

static bool oracle_fits(const struct oracle_world *world, struct oracle_criterion *criterion,
                        const struct oracle_resource *resource)
{
    switch (criterion->kind) {
    case ORACLE_PLAIN:
        return str_equal(criterion->modifier, STR("missing")) ? oracle_missing(criterion, resource->tree)
                                                              : oracle_plain(criterion, resource->tree);
    case ORACLE_CHAIN:
        return oracle_chain(world, criterion, resource);
    case ORACLE_HAS:
        return oracle_has(world, criterion, resource);
    }
    return false;
}

#endif
