/* search_questions.h — random searches whose values are drawn from what is there, as text for the store and as conditions for
 * the oracle. Every test file that includes it has its own copy. */
#ifndef SHANHAI_TESTS_SEARCH_QUESTIONS_H
#define SHANHAI_TESTS_SEARCH_QUESTIONS_H

#include "search_world.h"

/* ---- questions ---- */

static inline struct str escape(struct str text)
{
    char *out = arena_alloc(&oracle_query, 2 * text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr(",|$\\", text.at[i]) != NULL) {
            out[len++] = '\\';
        }
        out[len++] = text.at[i];
    }
    return (struct str){ out, len };
}

static inline const struct oracle_resource *some_resource(struct str type)
{
    const struct oracle_resource *found = NULL;
    uint64_t seen = 0;
    for (size_t i = 0; i < world.count; i++) {
        if (str_equal(resources[i].type, type) && chance(++seen) == 0) {
            found = &resources[i];
        }
    }
    return found;
}

/* A value that some resource of the type has for the parameter; false when none of a few has one. */
static inline bool some_value(struct str type, const struct model_search_parameter *parameter,
                              struct fhirpath_item *item, const struct json **resource)
{
    for (int i = 0; i < 8; i++) {
        const struct oracle_resource *from = some_resource(type);
        struct fhirpath_collection values =
            from == NULL ? (struct fhirpath_collection){ 0 } : oracle_parameter_values(parameter, from->tree);
        if (values.count > 0) {
            *item = values.items[chance(values.count)];
            *resource = from->tree;
            return true;
        }
    }
    return false;
}

static inline struct str with_bar(struct str system, struct str code)
{
    switch (chance(5)) {
    case 0:
        return arena_printf(&oracle_query, "%.*s|", STR_FMT(escape(system)));
    case 1:
        return arena_printf(&oracle_query, "|%.*s", STR_FMT(escape(code)));
    case 2:
    case 3:
        return arena_printf(&oracle_query, "%.*s|%.*s", STR_FMT(escape(system)), STR_FMT(escape(code)));
    default:
        return escape(code);
    }
}

static inline size_t character_start(struct str text, size_t at)
{
    while (at > 0 && at < text.len && ((unsigned char)text.at[at] & 0xC0) == 0x80) {
        at--;
    }
    return at;
}

static inline struct str token_question(const struct fhirpath_item *item, struct str modifier)
{
    struct str type = fhirpath_item_type_name(item);
    const struct json *node = oracle_node(item);
    const struct json *coding = node;
    bool identifier = str_equal(type, STR("Identifier"));
    if (str_equal(type, STR("CodeableConcept"))) {
        const struct json *codings = JSON_GET(node, "coding");
        coding = codings == NULL ? NULL : json_at(codings, chance(codings->count));
    } else if (!str_equal(type, STR("Coding")) && !identifier) {
        struct str text = str_equal(type, STR("ContactPoint")) ? oracle_text(node, "value")
                                                               : fhirpath_item_text(&oracle_scratch, item);
        return escape(text);
    }
    struct str system = oracle_text(coding, "system");
    struct str code = oracle_text(coding, identifier ? "value" : "code");
    if (str_equal(modifier, STR("text"))) {
        struct str words = identifier       ? oracle_text(JSON_GET(node, "type"), "text")
                           : chance(2) == 0 ? oracle_text(node, "text")
                                            : oracle_text(coding, "display");
        size_t from = chance(2) == 0 ? 0 : str_find_char(words, ' ') + 1;
        words = str_skip(words, from);
        words = str_slice(words, 0, character_start(words, 1 + chance(words.len + 1)));
        return index_words(&oracle_scratch, words).len > 0 ? escape(words) : STR_NONE;
    }
    if (str_equal(modifier, STR("of-type"))) {
        const struct json *kind = json_at(JSON_GET(JSON_GET(node, "type"), "coding"), 0);
        return oracle_text(kind, "system").len == 0 || oracle_text(kind, "code").len == 0 || code.len == 0
                   ? STR_NONE
                   : arena_printf(&oracle_query, "%.*s|%.*s|%.*s",
                                  STR_FMT(escape(oracle_text(kind, "system"))),
                                  STR_FMT(escape(oracle_text(kind, "code"))), STR_FMT(escape(code)));
    }
    if (system.len == 0 || code.len == 0) {
        return escape(code);
    }
    return with_bar(system, code);
}

static inline struct str string_question(const struct fhirpath_item *item, struct str modifier)
{
    static const char *const parts[] = { "family", "text", "city", "country", "state", "postalCode" };
    const struct json *node = oracle_node(item);
    struct str text = fhirpath_item_text(&oracle_scratch, item);
    if (node != NULL && node->kind == JSON_OBJECT) {
        const struct json *list =
            JSON_GET(node, "given") != NULL ? JSON_GET(node, "given") : JSON_GET(node, "line");
        text = chance(2) == 0 && list != NULL ? json_text(&oracle_scratch, json_at(list, chance(list->count)))
                                              : oracle_text(node, parts[chance(6)]);
    }
    if (str_equal(modifier, STR("exact")) || text.len == 0) {
        return escape(text);
    }
    size_t limit = text.len > 60 ? 60 : text.len;
    size_t from = str_equal(modifier, STR("contains")) ? character_start(text, chance(limit)) : 0;
    size_t to = character_start(text, from + 1 + chance(limit - from));
    struct str cut = str_trim(str_slice(text, from, to > from ? to : limit));
    char *turned = arena_cstr(&oracle_query, cut);
    for (size_t i = 0; i < cut.len && chance(2) == 0; i++) {
        turned[i] = (char)(turned[i] >= 'a' && turned[i] <= 'z' ? turned[i] - 32 : turned[i]);
    }
    return escape((struct str){ turned, cut.len });
}

static inline struct str date_question(const struct fhirpath_item *item)
{
    static const char *const prefixes[] = { "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb" };
    static const size_t lengths[] = { 4, 7, 10, 16, 19, 29 };
    const struct json *node = oracle_node(item);
    struct str text = fhirpath_item_text(&oracle_scratch, item);
    if (node != NULL && node->kind == JSON_OBJECT) {
        const struct json *period = JSON_GET(JSON_GET(node, "repeat"), "boundsPeriod");
        period = period != NULL ? period : node;
        text = oracle_text(period, chance(2) == 0 ? "start" : "end");
        text = text.len > 0 ? text : json_text(&oracle_scratch, json_at(JSON_GET(node, "event"), 0));
    }
    struct str day = str_slice(text, 0, lengths[chance(6)]);
    struct date_span span;
    struct error error = { 0 };
    if (day.len == 0 || !date_parse(day, ORACLE_OFFSET_MINUTES, &span, &error)) {
        day = str_slice(text, 0, 4);
    }
    return day.len < 4 || !date_parse(day, ORACLE_OFFSET_MINUTES, &span, &error)
               ? STR_NONE
               : arena_printf(&oracle_query, "%s%.*s", prefixes[chance(9)], STR_FMT(day));
}

static inline struct str number_question(const struct fhirpath_item *item)
{
    static const char *const prefixes[] = { "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap" };
    static const struct {
        const char *code;
        const char *other;
        double factor;
    } units[] = { { "cm", "m", 0.01 },   { "kg", "g", 1000 },          { "mg/dL", "g/L", 0.01 },
                  { "g/dL", "g/L", 10 }, { "mm[Hg]", "kPa", 0.13332 }, { "mg", "g", 0.001 } };
    const struct json *node = oracle_node(item);
    const char *prefix = prefixes[chance(10)];
    if (node == NULL) {
        return STR_NONE;
    }
    if (node->kind == JSON_NUMBER) {
        return arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(node->raw));
    }
    if (JSON_GET(node, "value") == NULL) {
        node = JSON_GET(node, "low") != NULL ? JSON_GET(node, "low") : JSON_GET(node, "high");
    }
    const struct json *value = JSON_GET(node, "value");
    if (value == NULL) {
        return STR_NONE;
    }
    struct str system = oracle_text(node, "system");
    struct str code = oracle_text(node, "code");
    struct str digits = str_slice(value->raw, 0, 1 + chance(value->raw.len));
    double number = 0;
    if (!parse_double(digits, &number) || digits.at[digits.len - 1] == '.') {
        digits = value->raw;
    }
    switch (chance(4)) {
    case 0:
        return arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(digits));
    case 1:
        if (code.len > 0) {
            return arena_printf(&oracle_query, "%s%.*s||%.*s", prefix, STR_FMT(digits),
                                STR_FMT(escape(code)));
        }
        break;
    case 2:
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            if (str_equal_cstr(code, units[i].code) && parse_double(digits, &number)) {
                return arena_printf(&oracle_query, "%s%g|%.*s|%s", prefix, number * units[i].factor,
                                    STR_FMT(system), units[i].other);
            }
        }
        break;
    default:
        break;
    }
    return system.len > 0 && code.len > 0
               ? arena_printf(&oracle_query, "%s%.*s|%.*s|%.*s", prefix, STR_FMT(digits),
                              STR_FMT(escape(system)), STR_FMT(escape(code)))
               : arena_printf(&oracle_query, "%s%.*s", prefix, STR_FMT(digits));
}

static inline struct str question(const struct model_search_parameter *parameter,
                                  const struct fhirpath_item *item, const struct json *resource,
                                  struct str *modifier);

static inline struct str composite_question(const struct model_search_parameter *composite,
                                            const struct fhirpath_item *item, const struct json *resource)
{
    struct str made = STR_NONE;
    for (size_t i = 0; i < composite->components_count; i++) {
        const struct model_component *component = &composite->components[i];
        const struct model_search_parameter *parameter = model_search_find(composite->type, component->code);
        struct fhirpath_collection values = oracle_values(component->expression, item, resource);
        struct str none = STR("-");
        if (parameter == NULL || values.count == 0) {
            return STR_NONE;
        }
        struct str part = question(parameter, &values.items[chance(values.count)], resource, &none);
        if (part.len == 0 || (parameter->kind == MODEL_SEARCH_TOKEN && str_ends_with(part, STR("|")))) {
            return STR_NONE;
        }
        made = i == 0 ? part : arena_printf(&oracle_query, "%.*s$%.*s", STR_FMT(made), STR_FMT(part));
    }
    return made;
}

/* The value's question; *modifier "-" asks for none, else it is set. STR_NONE: nothing to ask by this value. */
static inline struct str question(const struct model_search_parameter *parameter,
                                  const struct fhirpath_item *item, const struct json *resource,
                                  struct str *modifier)
{
    bool plain = str_equal(*modifier, STR("-"));
    struct str picked = STR_NONE;
    struct str made = STR_NONE;
    bool identifier = str_equal(fhirpath_item_type_name(item), STR("Identifier"));
    switch (parameter->kind) {
    case MODEL_SEARCH_TOKEN:
        picked = chance(4) == 0                 ? STR("not")
                 : chance(4) == 0               ? STR("text")
                 : identifier && chance(3) == 0 ? STR("of-type")
                                                : STR_NONE;
        made = token_question(item, plain ? STR_NONE : picked);
        break;
    case MODEL_SEARCH_STRING:
        picked = chance(3) == 0 ? STR("exact") : chance(2) == 0 ? STR("contains") : STR_NONE;
        made = string_question(item, plain ? STR_NONE : picked);
        break;
    case MODEL_SEARCH_URI:
        picked = chance(3) == 0 ? STR("below") : chance(2) == 0 ? STR("above") : STR_NONE;
        made = escape(fhirpath_item_text(&oracle_scratch, item));
        picked = str_starts_with(made, STR("urn:")) ? STR_NONE : picked; /* nothing is above or below a URN */
        break;
    case MODEL_SEARCH_DATE:
        made = date_question(item);
        break;
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        made = number_question(item);
        break;
    case MODEL_SEARCH_REFERENCE: {
        struct str text = oracle_reference_of(item);
        struct str id = str_skip(text, str_find_last_char(text, '/') + 1);
        struct str type = str_slice(text, 0, str_find_char(text, '/'));
        const struct json *node = JSON_GET(oracle_node(item), "identifier");
        bool local = model_resource_find(type) != NULL;
        made = text.len == 0 || text.at[0] == '#' ? STR_NONE : escape(text);
        if (!plain && node != NULL) {
            struct fhirpath_item inner = fhirpath_item_of_node(node, STR("Identifier"));
            picked = STR("identifier");
            made = token_question(&inner, STR_NONE);
        } else if (!plain && local && chance(3) == 0) {
            made = escape(id);
            picked = chance(2) == 0 ? arena_dup(&oracle_query, type) : STR_NONE;
        }
        break;
    }
    case MODEL_SEARCH_COMPOSITE:
        made = composite_question(parameter, item, resource);
        break;
    case MODEL_SEARCH_SPECIAL:
        break;
    }
    *modifier = plain ? STR_NONE : picked;
    return arena_dup(&oracle_query, made);
}

static inline bool is_asked(const struct model_search_parameter *parameter)
{
    return parameter->expression.len > 0 && parameter->kind != MODEL_SEARCH_SPECIAL &&
           !str_equal(parameter->code, STR("_id")) && !str_equal(parameter->code, STR("_lastUpdated")) &&
           !str_equal(parameter->code, STR("phonetic")); /* is name */
}

static inline struct oracle_criterion *plain_criterion(struct str type)
{
    size_t count = 0;
    size_t common = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    const struct model_search_parameter *resource_list = model_search_list(STR("Resource"), &common);
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    struct fhirpath_item item;
    const struct json *resource = NULL;
    size_t at = chance(count + 1);
    const struct model_search_parameter *parameter = at < count ? &list[at] : &resource_list[chance(common)];
    if (!is_asked(parameter) || !some_value(type, parameter, &item, &resource)) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .type = type, .code = parameter->code, .parameter = parameter };
    if (chance(12) == 0 && parameter->kind != MODEL_SEARCH_COMPOSITE) {
        made->modifier = STR("missing");
        made->values[made->values_count++] = chance(2) == 0 ? STR("true") : STR("false");
        return made;
    }
    made->values[0] = question(parameter, &item, resource, &made->modifier);
    made->values_count = 1;
    for (size_t i = chance(ORACLE_ALTERNATIVES); i > 0 && some_value(type, parameter, &item, &resource);
         i--) {
        struct str same = STR("-");
        struct str value = made->modifier.len > 0 ? STR_NONE : question(parameter, &item, resource, &same);
        if (value.len > 0) {
            made->values[made->values_count++] = value;
        }
    }
    return made->values[0].len > 0 ? made : NULL;
}

/* Some reference parameter of the type; NULL when chance finds none. */
static inline const struct model_search_parameter *some_reference(struct str type)
{
    size_t count = 0;
    const struct model_search_parameter *list = model_search_list(type, &count);
    for (int i = 0; count > 0 && i < 12; i++) {
        const struct model_search_parameter *parameter = &list[chance(count)];
        if (parameter->kind == MODEL_SEARCH_REFERENCE && is_asked(parameter)) {
            return parameter;
        }
    }
    return NULL;
}

static inline struct oracle_criterion *some_criterion(struct str type, int depth);

static inline struct oracle_criterion *chain_criterion(struct str type, int depth)
{
    struct fhirpath_item item;
    const struct json *resource = NULL;
    const struct model_search_parameter *parameter = some_reference(type);
    if (parameter == NULL || !some_value(type, parameter, &item, &resource)) {
        return NULL;
    }
    struct str reference = arena_dup(&oracle_query, oracle_reference_of(&item));
    const struct oracle_resource *target = oracle_find(&world, reference);
    struct oracle_criterion *inner = target == NULL ? NULL : some_criterion(target->type, depth + 1);
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    if (inner == NULL) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .kind = ORACLE_CHAIN,
                                       .type = type,
                                       .code = parameter->code,
                                       .parameter = parameter,
                                       .other = target->type,
                                       .inner = inner };
    return made;
}

static inline struct oracle_criterion *has_criterion(struct str type, int depth)
{
    const struct oracle_resource *source = &resources[chance(world.count)];
    const struct model_search_parameter *parameter = some_reference(source->type);
    struct fhirpath_item item;
    const struct json *resource = NULL;
    if (parameter == NULL || !some_value(source->type, parameter, &item, &resource)) {
        return NULL;
    }
    struct str prefix = arena_printf(&oracle_query, "%.*s/", STR_FMT(type));
    struct oracle_criterion *inner =
        str_starts_with(oracle_reference_of(&item), prefix) ? some_criterion(source->type, depth + 1) : NULL;
    struct oracle_criterion *made = ARENA_NEW(&oracle_query, struct oracle_criterion);
    if (inner == NULL) {
        return NULL;
    }
    *made = (struct oracle_criterion){ .kind = ORACLE_HAS,
                                       .type = type,
                                       .code = parameter->code,
                                       .parameter = parameter,
                                       .other = source->type,
                                       .inner = inner };
    return made;
}

static inline struct oracle_criterion *some_criterion(struct str type, int depth)
{
    uint64_t kind = depth > 2 ? 9 : chance(10);
    if (kind < 2) {
        return chain_criterion(type, depth);
    }
    return kind < 4 ? has_criterion(type, depth) : plain_criterion(type);
}

static inline void write_name(struct buf *out, const struct oracle_criterion *criterion)
{
    switch (criterion->kind) {
    case ORACLE_PLAIN:
        buf_printf(out, "%.*s%s%.*s", STR_FMT(criterion->code), criterion->modifier.len > 0 ? ":" : "",
                   STR_FMT(criterion->modifier));
        break;
    case ORACLE_CHAIN:
        buf_printf(out, "%.*s:%.*s.", STR_FMT(criterion->code), STR_FMT(criterion->other));
        write_name(out, criterion->inner);
        break;
    case ORACLE_HAS:
        buf_printf(out, "_has:%.*s:%.*s:", STR_FMT(criterion->other), STR_FMT(criterion->code));
        write_name(out, criterion->inner);
        break;
    }
}

static inline struct search_pair pair_of(const struct oracle_criterion *criterion)
{
    struct buf name = { .bytes_max = 4096 };
    struct buf value = { .bytes_max = 65536 };
    const struct oracle_criterion *last = criterion;
    write_name(&name, criterion);
    while (last->kind != ORACLE_PLAIN) {
        last = last->inner;
    }
    for (size_t i = 0; i < last->values_count; i++) {
        buf_add(&value, i == 0 ? STR("") : STR(","));
        buf_add(&value, last->values[i]);
    }
    struct search_pair pair = { arena_dup(&oracle_query, buf_str(&name)),
                                arena_dup(&oracle_query, buf_str(&value)) };
    buf_deinit(&name);
    buf_deinit(&value);
    return pair;
}

#endif
