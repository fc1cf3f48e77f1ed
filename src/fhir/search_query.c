/* A whole search: the parameters that say what comes back (R4 3.1.1.5), conditions, the self link. */
#include "fhir/search_query.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "fhir/primitive.h"
#include "fhir/search_internal.h"

enum { SORTS_MAX = 8 };

static bool bad_value(const struct search_pair *pair, const char *expected, struct error *error)
{
    return FAIL(error, ERROR_INPUT, "the value of '%.*s' must be %s", STR_FMT(pair->name), expected);
}

/* ---- lists of words ---- */

static bool words_parse(struct search_parse *parse, const struct search_pair *pair, const struct str **words,
                        size_t *count, struct error *error)
{
    struct str *list = ARENA_ARRAY(parse->arena, struct str, LIMIT_SEARCH_VALUES);
    if (list == NULL) {
        return search_no_memory(error);
    }
    struct str rest = pair->value;
    struct str part = STR_NONE;
    size_t found = 0;
    while (str_split_next(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.len == 0 || found == LIMIT_SEARCH_VALUES) {
            return bad_value(pair, "a list of names with commas between them", error);
        }
        list[found++] = part;
    }
    *words = list;
    *count = found;
    return true;
}

static bool types_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    struct search_query *query = parse->query;
    if (!words_parse(parse, pair, &query->types, &query->types_count, error)) {
        return false;
    }
    for (size_t i = 0; i < query->types_count; i++) {
        if (model_resource_find(query->types[i]) == NULL) {
            return bad_value(pair, "a list of resource types", error);
        }
    }
    if (query->type.len == 0 && query->types_count == 1) {
        query->type = query->types[0];
    }
    return true;
}

/* ---- _sort ---- */

struct sorts {
    struct search_sort list[SORTS_MAX];
    size_t count;
};

static bool sort_add(struct sorts *sorts, struct search_sort sort, struct error *error)
{
    if (sorts->count == SORTS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY, "_sort has more than %d parts", SORTS_MAX);
    }
    sorts->list[sorts->count] = sort;
    sorts->count++;
    return true;
}

/* What has rows of one kind. A parameter that others answer for is sorted by their values. */
static bool sort_by_rows(struct search_parse *parse, struct search_sort sort, enum index_kind rows,
                         struct sorts *sorts, struct error *error)
{
    struct str aliases[INDEX_ALIASES_MAX];
    size_t count = index_aliases(parse->arena, parse->query->type, sort.code, aliases);
    sort.by = SEARCH_SORT_ROWS;
    sort.rows = rows;
    sort.parameter = hash_parameter(parse->query->type, aliases[0]);
    sort.also = count > 1 ? hash_parameter(parse->query->type, aliases[1]) : 0;
    return sort_add(sorts, sort, error);
}

static bool sort_by(struct search_parse *parse, const struct model_search_parameter *parameter,
                    struct search_sort sort, struct sorts *sorts, struct error *error)
{
    sort.code = parameter->code;
    switch (parameter->kind) {
    case MODEL_SEARCH_STRING:
    case MODEL_SEARCH_URI:
        return sort_by_rows(parse, sort, INDEX_TEXT, sorts, error);
    case MODEL_SEARCH_DATE:
        return sort_by_rows(parse, sort, INDEX_DATE, sorts, error);
    case MODEL_SEARCH_NUMBER:
    case MODEL_SEARCH_QUANTITY:
        return sort_by_rows(parse, sort, INDEX_NUMBER, sorts, error);
    case MODEL_SEARCH_TOKEN:
    case MODEL_SEARCH_REFERENCE:
        return sort_by_rows(parse, sort, INDEX_KEY, sorts, error);
    case MODEL_SEARCH_COMPOSITE: /* by its components, one after the other */
    case MODEL_SEARCH_SPECIAL:
        break;
    }
    for (size_t i = 0; i < parameter->components_count; i++) {
        const struct model_search_parameter *component =
            model_search_find(parse->query->type, parameter->components[i].code);
        if (component == NULL || component->kind == MODEL_SEARCH_COMPOSITE) {
            continue;
        }
        if (!sort_by(parse, component, sort, sorts, error)) {
            return false;
        }
    }
    parse->forgivable = parameter->components_count == 0;
    return parameter->components_count > 0 ||
           FAIL(error, ERROR_UNSUPPORTED, "sorting by '%.*s' is not offered", STR_FMT(parameter->code));
}

static bool sort_one(struct search_parse *parse, const struct search_pair *pair, struct str code,
                     struct sorts *sorts, struct error *error)
{
    struct search_sort sort = { .descending = str_starts_with(code, STR("-")) };
    sort.code = sort.descending ? str_skip(code, 1) : code;
    if (str_equal(sort.code, STR("_id"))) {
        sort.by = SEARCH_SORT_ID;
        return sort_add(sorts, sort, error);
    }
    if (str_equal(sort.code, STR("_lastUpdated"))) {
        sort.by = SEARCH_SORT_UPDATED;
        return sort_add(sorts, sort, error);
    }
    const struct model_search_parameter *parameter = model_search_find(parse->query->type, sort.code);
    if (parameter == NULL) {
        parse->forgivable = true;
        return FAIL(error, ERROR_INPUT, "'%.*s' names a parameter that %.*s does not have",
                    STR_FMT(pair->name), STR_FMT(parse->query->type));
    }
    return sort_by(parse, parameter, sort, sorts, error);
}

static bool sort_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    const struct str *words = NULL;
    size_t count = 0;
    struct sorts *sorts = ARENA_NEW(parse->arena, struct sorts);
    if (!words_parse(parse, pair, &words, &count, error)) {
        return false;
    }
    if (sorts == NULL) {
        return search_no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        if (!sort_one(parse, pair, words[i], sorts, error)) {
            return false;
        }
    }
    parse->query->sorts = sorts->list;
    parse->query->sorts_count = sorts->count;
    return true;
}

/* ---- _include, _revinclude ---- */

static bool has_word(struct str words, struct str wanted)
{
    struct str word = STR_NONE;
    while (words.at != NULL && str_split_next(&words, ' ', &word)) {
        if (str_equal(word, wanted)) {
            return true;
        }
    }
    return false;
}

/* The reference parameters of the include's source type, or of all types; in reverse those that may lead to what is asked. */
static bool include_all(struct search_parse *parse, struct search_include *include, struct error *error)
{
    size_t types_count = 0;
    const struct model_type *const *types = model_resources(&types_count);
    size_t room = 0;
    for (size_t t = 0; t < types_count; t++) {
        size_t count = 0;
        (void)model_search_list(types[t]->name, &count);
        room += count;
    }
    uint32_t *numbers = ARENA_ARRAY(parse->arena, uint32_t, room + 1);
    if (numbers == NULL) {
        return search_no_memory(error);
    }
    for (size_t t = 0; t < types_count; t++) {
        size_t count = 0;
        const struct model_search_parameter *list = model_search_list(types[t]->name, &count);
        if (include->source_type.at != NULL && !str_equal(include->source_type, types[t]->name)) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            bool leads_here = !include->reverse || include->iterate || parse->query->type.at == NULL ||
                              list[i].targets.len == 0 || has_word(list[i].targets, parse->query->type);
            if (list[i].kind == MODEL_SEARCH_REFERENCE && leads_here) {
                numbers[include->parameters_count++] = hash_parameter(types[t]->name, list[i].code);
            }
        }
    }
    include->all = true;
    include->parameters = numbers;
    return true;
}

static bool include_values(struct search_parse *parse, const struct search_pair *pair,
                           struct search_include *include, struct error *error)
{
    struct str rest = pair->value;
    struct str parts[3] = { STR_NONE, STR_NONE, STR_NONE };
    size_t count = 0;
    while (count < 3 && str_split_next(&rest, ':', &parts[count])) {
        count++;
    }
    if (rest.at != NULL) {
        return bad_value(pair, "Type:reference or Type:reference:Target", error);
    }
    if (count == 1 && str_equal(parts[0], STR("*"))) { /* R4 3.1.1.5.4: whatever refers, of any type */
        include->code = parts[0];
        return include_all(parse, include, error);
    }
    include->source_type = parts[0];
    include->code = parts[1];
    include->target_type = parts[2];
    bool type_ok = model_resource_find(parts[0]) != NULL;
    bool target_ok = parts[2].at == NULL || model_resource_find(parts[2]) != NULL;
    if (count < 2 || !type_ok || !target_ok) {
        return bad_value(pair, "*, Type:*, Type:reference or Type:reference:Target", error);
    }
    if (str_equal(parts[1], STR("*"))) {
        return include_all(parse, include, error);
    }
    const struct model_search_parameter *parameter = model_search_find(parts[0], parts[1]);
    if (parameter == NULL || parameter->kind != MODEL_SEARCH_REFERENCE) {
        return bad_value(pair, "Type:reference with a reference parameter of that type", error);
    }
    include->parameter = hash_parameter(parts[0], parts[1]);
    return true;
}

static bool include_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    struct search_query *query = parse->query;
    struct search_include *grown =
        ARENA_ARRAY(parse->arena, struct search_include, query->includes_count + 1);
    if (grown == NULL) {
        return search_no_memory(error);
    }
    for (size_t i = 0; i < query->includes_count; i++) {
        grown[i] = query->includes[i];
    }
    struct search_include *include = &grown[query->includes_count];
    size_t colon = str_find_char(pair->name, ':');
    struct str modifier = str_skip(pair->name, colon + 1);
    include->reverse = str_starts_with(pair->name, STR("_rev"));
    include->iterate = str_equal(modifier, STR("iterate")) || str_equal(modifier, STR("recurse"));
    if (colon < pair->name.len && !include->iterate) {
        return FAIL(error, ERROR_INPUT, "the modifier of '%.*s' must be iterate", STR_FMT(pair->name));
    }
    if (!include_values(parse, pair, include, error)) {
        return false;
    }
    query->includes = grown;
    query->includes_count++;
    return true;
}

/* ---- the others ---- */

static bool count_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    uint64_t count = 0;
    if (!parse_uint64(pair->value, UINT32_MAX, &count)) {
        return bad_value(pair, "a whole number from 0", error);
    }
    parse->query->count = count > LIMIT_SEARCH_COUNT ? LIMIT_SEARCH_COUNT : (uint32_t)count;
    parse->query->has_count = true;
    return true;
}

static bool total_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    if (str_equal(pair->value, STR("none"))) {
        parse->query->total = SEARCH_TOTAL_NONE;
    } else if (str_equal(pair->value, STR("estimate"))) {
        parse->query->total = SEARCH_TOTAL_ESTIMATE;
    } else if (str_equal(pair->value, STR("accurate"))) {
        parse->query->total = SEARCH_TOTAL_ACCURATE;
    } else {
        return bad_value(pair, "none, estimate or accurate", error);
    }
    return true;
}

static bool summary_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    static const struct {
        struct str name;
        enum search_summary summary;
    } table[] = { { { "false", 5 }, SEARCH_SUMMARY_FALSE },
                  { { "true", 4 }, SEARCH_SUMMARY_TRUE },
                  { { "text", 4 }, SEARCH_SUMMARY_TEXT },
                  { { "data", 4 }, SEARCH_SUMMARY_DATA },
                  { { "count", 5 }, SEARCH_SUMMARY_COUNT } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (str_equal(table[i].name, pair->value)) {
            parse->query->summary = table[i].summary;
            return true;
        }
    }
    return bad_value(pair, "true, text, data, count or false", error);
}

static bool elements_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    return words_parse(parse, pair, &parse->query->elements, &parse->query->elements_count, error);
}

static bool cursor_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    (void)error;
    parse->query->cursor = pair->value;
    return true;
}

static bool format_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    (void)error;
    parse->query->format = pair->value;
    return true;
}

static bool pretty_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    (void)error;
    parse->query->pretty = str_equal(pair->value, STR("true"));
    return true;
}

static bool type_seen(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    (void)parse;
    (void)pair;
    (void)error;
    return true; /* read before all others */
}

static bool not_offered(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    parse->forgivable = true;
    return FAIL(error, ERROR_UNSUPPORTED, "'%.*s' is not offered", STR_FMT(pair->name));
}

static bool contained_parse(struct search_parse *parse, const struct search_pair *pair, struct error *error)
{
    static const char *const words[] = { "false", "true", "both" };
    if (!parse->options->contained || parse->options->type.at == NULL) {
        return not_offered(parse, pair, error);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (str_equal_cstr(pair->value, words[i])) {
            parse->query->contained = (enum search_contained)i;
            return true;
        }
    }
    return FAIL(error, ERROR_INPUT, "_contained is true, false or both");
}

static bool contained_type_parse(struct search_parse *parse, const struct search_pair *pair,
                                 struct error *error)
{
    if (!parse->options->contained || parse->options->type.at == NULL) {
        return not_offered(parse, pair, error);
    }
    parse->query->contained_itself = str_equal(pair->value, STR("contained"));
    return parse->query->contained_itself || str_equal(pair->value, STR("container")) ||
           FAIL(error, ERROR_INPUT, "_containedType is container or contained");
}

static const struct {
    struct str name; /* before any : */
    bool (*parse)(struct search_parse *parse, const struct search_pair *pair, struct error *error);
} result_parameters[] = {
    { { "_sort", 5 }, sort_parse },
    { { "_count", 6 }, count_parse },
    { { "_total", 6 }, total_parse },
    { { "_summary", 8 }, summary_parse },
    { { "_elements", 9 }, elements_parse },
    { { "_include", 8 }, include_parse },
    { { "_revinclude", 11 }, include_parse },
    { { "_cursor", 7 }, cursor_parse },
    { { "_format", 7 }, format_parse },
    { { "_pretty", 7 }, pretty_parse },
    { { "_type", 5 }, type_seen },
    { { "_contained", 10 }, contained_parse },
    { { "_query", 6 }, not_offered },
    { { "_containedType", 14 }, contained_type_parse },
};

/* ---- compartments ---- */

/* R4 2.30: in a compartment is what points to its resource by any of the named parameters. */
static bool compartment_of(struct search_parse *parse, struct str type, struct search_criteria **criteria,
                           struct error *error)
{
    const struct search_options *options = parse->options;
    struct search_criteria *made = ARENA_NEW(parse->arena, struct search_criteria);
    struct str *id = ARENA_NEW(parse->arena, struct str);
    if (made == NULL || id == NULL) {
        return search_no_memory(error);
    }
    made->type = type;
    if (str_equal(options->compartment_type, type)) {
        *id = options->compartment_id;
        *made = (struct search_criteria){
            .kind = SEARCH_ID, .type = type, .code = STR("_id"), .ids = id, .ids_count = 1
        };
        *criteria = made;
        return true;
    }
    struct str rest = model_compartment(options->compartment_type, type);
    if (rest.len == 0) {
        return FAIL(error, ERROR_INPUT, "%.*s does not belong to the compartment of a %.*s", STR_FMT(type),
                    STR_FMT(options->compartment_type));
    }
    struct search_values list = { 0 };
    struct str code = STR_NONE;
    uint64_t key = hash_resource_key(options->compartment_type, options->compartment_id);
    while (str_split_next(&rest, ' ', &code)) {
        struct search_value value = { .test = SEARCH_TEST_KEY,
                                      .parameter = hash_parameter(type, code),
                                      .key = key };
        made->code = made->code.len == 0 ? code : made->code;
        if (!search_values_add(parse, &list, value, error)) {
            return false;
        }
    }
    made->rows = INDEX_KEY;
    made->parameter = list.values[0].parameter;
    made->values = list.values;
    made->values_count = list.count;
    *criteria = made;
    return true;
}

/* "Patient/1" with "*" behind it: every type of the compartment, each by its own parameters (R4 3.1.0.9). */
static bool compartment_parse(struct search_parse *parse, struct search_criteria **criteria,
                              struct error *error)
{
    const struct search_options *options = parse->options;
    const struct search_query *query = parse->query;
    if (query->type.at != NULL) {
        return compartment_of(parse, query->type, criteria, error);
    }
    size_t all_count = 0;
    const struct model_type *const *all = model_resources(&all_count);
    struct search_criteria *group = ARENA_NEW(parse->arena, struct search_criteria);
    if (group == NULL) {
        return search_no_memory(error);
    }
    size_t count = query->types_count > 0 ? query->types_count : all_count;
    for (size_t i = 0; i < count; i++) {
        struct search_criteria *inner = NULL;
        struct str type = query->types_count > 0 ? query->types[i] : all[i]->name;
        if (query->types_count == 0 && !str_equal(options->compartment_type, type) &&
            model_compartment(options->compartment_type, type).len == 0) {
            continue;
        }
        if (!compartment_of(parse, type, &inner, error) ||
            !search_group_add(parse, group, type, inner, error)) {
            return false;
        }
    }
    *criteria = group;
    return true;
}

/* ---- the whole ---- */

static bool pair_parse(struct search_parse *parse, const struct search_pair *pair,
                       struct search_criteria **criteria, struct error *error)
{
    struct str code = str_slice(pair->name, 0, str_find_char(pair->name, ':'));
    for (size_t i = 0; i < sizeof result_parameters / sizeof result_parameters[0]; i++) {
        if (str_equal(result_parameters[i].name, code)) {
            return result_parameters[i].parse(parse, pair, error);
        }
    }
    return search_criteria_parse(parse, parse->query->type, pair, 0, criteria, error);
}

/* Each of them says one thing of the whole answer; said twice, one of both would be passed over in silence. */
static bool is_said_twice(const struct search_pair *pairs, size_t at)
{
    struct str name = pairs[at].name;
    bool once = str_equal(name, STR("_type"));
    for (size_t i = 0; i < sizeof result_parameters / sizeof result_parameters[0]; i++) {
        bool repeats =
            result_parameters[i].parse == include_parse || result_parameters[i].parse == format_parse;
        once = once || (!repeats && str_equal(name, result_parameters[i].name));
    }
    for (size_t i = 0; once && i < at; i++) {
        if (str_equal(pairs[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool add_warning(struct search_parse *parse, const struct search_pair *pair, const struct error *why,
                        struct error *error)
{
    struct search_warning *warning = ARENA_NEW(parse->arena, struct search_warning);
    if (warning == NULL) {
        return search_no_memory(error);
    }
    *warning = (struct search_warning){ .next = parse->query->warnings,
                                        .parameter = pair->name,
                                        .text = arena_dup(parse->arena, str_from_cstr(why->text)) };
    parse->query->warnings = warning;
    return true;
}

static bool pairs_parse(struct search_parse *parse, const struct search_pair *pairs, size_t pairs_count,
                        struct search_criteria **last, struct error *error)
{
    struct search_pair *understood = ARENA_ARRAY(parse->arena, struct search_pair, pairs_count);
    if (understood == NULL) {
        return search_no_memory(error);
    }
    parse->query->pairs = understood;
    for (size_t i = 0; i < pairs_count; i++) {
        struct search_criteria *criteria = NULL;
        struct error why = { 0 };
        bool empty = pairs[i].value.len == 0 && parse->options->ignore_empty;
        parse->forgivable = false;
        if (is_said_twice(pairs, i)) {
            return FAIL(error, ERROR_INPUT, "'%.*s' is given twice", STR_FMT(pairs[i].name));
        }
        if (empty || !pair_parse(parse, &pairs[i], &criteria, &why)) {
            bool forgiven = empty || (parse->forgivable && parse->options->lenient);
            if (empty) {
                (void)FAIL(&why, ERROR_INPUT, "'%.*s' has no value and was left out", STR_FMT(pairs[i].name));
            }
            if (forgiven && add_warning(parse, &pairs[i], &why, error)) {
                continue;
            }
            return error == NULL || forgiven ? false : (*error = why, false);
        }
        understood[parse->query->pairs_count++] = pairs[i];
        if (criteria != NULL && *last == NULL) {
            parse->query->criteria = criteria;
        } else if (criteria != NULL) {
            (*last)->next = criteria;
        }
        *last = criteria != NULL ? criteria : *last;
    }
    return true;
}

bool search_query_parse(struct arena *arena, const struct search_options *options,
                        const struct search_pair *pairs, size_t pairs_count, struct search_query *query,
                        struct error *error)
{
    struct search_query made = { .type = options->type,
                                 .count = SEARCH_COUNT_DEFAULT,
                                 .total = SEARCH_TOTAL_UNSAID };
    struct search_parse parse = { .arena = arena, .options = options, .query = &made };
    parse.now_ms = options->now_ms != 0 ? options->now_ms : clock_now_ms();
    if (pairs_count > LIMIT_SEARCH_PARAMETERS) {
        return FAIL(error, ERROR_TOO_COSTLY, "a search has more than %d parameters", LIMIT_SEARCH_PARAMETERS);
    }
    if (options->type.len > 0 && model_resource_find(options->type) == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "no resource type of R4 has this name");
    }
    for (size_t i = 0; i < pairs_count; i++) {
        bool empty = pairs[i].value.len == 0 && options->ignore_empty;
        if (str_equal(pairs[i].name, STR("_type")) && !empty && !types_parse(&parse, &pairs[i], error)) {
            return false;
        }
    }
    struct search_criteria *last = NULL;
    if (options->compartment_type.len > 0) {
        if (!compartment_parse(&parse, &last, error)) {
            return false;
        }
        made.criteria = last;
    }
    if (!pairs_parse(&parse, pairs, pairs_count, &last, error)) {
        return false;
    }
    if (made.summary == SEARCH_SUMMARY_TEXT && made.includes_count > 0) { /* R4 3.1.1.5.8 */
        return FAIL(error, ERROR_INPUT, "_include and _revinclude cannot be mixed with _summary=text");
    }
    *query = made;
    return true;
}
