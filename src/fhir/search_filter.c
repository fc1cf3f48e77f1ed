/* _filter (R4 3.1.3): comparisons of parameters with and, or, not and brackets, turned into groups of the same conditions
 * that parameters make. Left out, and said so: ew, po, ss, sb, and filters inside a path. */
#include "base/limits.h"
#include "fhir/search_internal.h"

enum { FILTER_DEPTH_MAX = 16, FILTER_TERMS_MAX = 128 };

struct filter {
    struct search_parse *parse;
    struct str type;
    struct str rest;
    size_t depth; /* of links around the filter, and of brackets */
    size_t terms;
    struct error *error;
};

static bool ill_formed(struct filter *filter, const char *expected)
{
    return FAIL(filter->error, ERROR_INPUT, "_filter: %s is expected %zu characters before its end", expected,
                filter->rest.len);
}

static bool take_word(struct filter *filter, struct str *word)
{
    filter->rest = str_trim(filter->rest);
    size_t end = 0;
    while (end < filter->rest.len && strchr(" ()\"", filter->rest.at[end]) == NULL) {
        end++;
    }
    *word = str_slice(filter->rest, 0, end);
    filter->rest = str_skip(filter->rest, end);
    return end > 0;
}

/* Takes the next word when it is this one. */
static bool take(struct filter *filter, const char *text)
{
    struct filter ahead = *filter;
    struct str word = STR_NONE;
    if (!take_word(&ahead, &word) || !str_equal_ignore_case(word, str_from_cstr(text))) {
        return false;
    }
    filter->rest = ahead.rest;
    return true;
}

static bool take_bracket(struct filter *filter, char bracket)
{
    filter->rest = str_trim(filter->rest);
    bool found = filter->rest.len > 0 && filter->rest.at[0] == bracket;
    filter->rest = found ? str_skip(filter->rest, 1) : filter->rest;
    return found;
}

/* A quoted text, its escapes turned into those of a query; or a word as it stands (a token keeps its bar). */
static bool take_value(struct filter *filter, struct str *value)
{
    filter->rest = str_trim(filter->rest);
    if (filter->rest.len == 0 || filter->rest.at[0] != '"') {
        return take_word(filter, value) || ill_formed(filter, "a value");
    }
    char *out = arena_alloc(filter->parse->arena, 2 * filter->rest.len);
    size_t len = 0;
    size_t at = 1;
    for (; out != NULL && at < filter->rest.len && filter->rest.at[at] != '"'; at++) {
        if (filter->rest.at[at] == '\\' && at + 1 < filter->rest.len) {
            at++;
        }
        if (strchr(",|$\\", filter->rest.at[at]) != NULL) {
            out[len++] = '\\';
        }
        out[len++] = filter->rest.at[at];
    }
    if (out == NULL) {
        return search_no_memory(filter->error);
    }
    if (at >= filter->rest.len) {
        return ill_formed(filter, "a closing quote");
    }
    filter->rest = str_skip(filter->rest, at + 1);
    *value = (struct str){ out, len };
    return true;
}

/* What an operator is in a query: a modifier, a prefix of the value, or the opposite of another. */
struct operator
{
    const char *name;
    const char *kinds; /* letters of model_search_kind: n d s t r c q u */
    const char *modifier;
    const char *prefix;
    bool negated;
};

static const char kind_letters[] = {
    [MODEL_SEARCH_NUMBER] = 'n',   [MODEL_SEARCH_DATE] = 'd',      [MODEL_SEARCH_STRING] = 's',
    [MODEL_SEARCH_TOKEN] = 't',    [MODEL_SEARCH_REFERENCE] = 'r', [MODEL_SEARCH_COMPOSITE] = 'c',
    [MODEL_SEARCH_QUANTITY] = 'q', [MODEL_SEARCH_URI] = 'u',       [MODEL_SEARCH_SPECIAL] = 'x'
};

static const struct operator operators[] = {
    { "eq", "ndq", "", "eq", false },      { "eq", "s", ":whole", "", false },
    { "eq", "trcu", "", "", false },       { "ne", "ndq", "", "eq", true },
    { "ne", "s", ":whole", "", true },     { "ne", "trcu", "", "", true },
    { "co", "s", ":contains", "", false }, { "sw", "s", "", "", false },
    { "sw", "u", ":below", "", false },    { "gt", "ndq", "", "gt", false },
    { "lt", "ndq", "", "lt", false },      { "ge", "ndq", "", "ge", false },
    { "le", "ndq", "", "le", false },      { "ap", "ndq", "", "ap", false },
    { "sa", "ndq", "", "sa", false },      { "eb", "ndq", "", "eb", false },
    { "in", "t", ":in", "", false },       { "ni", "t", ":not-in", "", false },
    { "re", "r", "", "", false },          { "pr", "ndstrqu", ":missing", "", true },
};

/* The parameter at the end of a path says what an operator means. */
static const struct model_search_parameter *last_parameter(struct str type, struct str path)
{
    const struct model_search_parameter *parameter = NULL;
    struct str step = STR_NONE;
    while (str_split_next(&path, '.', &step)) {
        size_t colon = str_find_char(step, ':');
        parameter = model_search_find(type, str_slice(step, 0, colon));
        if (parameter == NULL) {
            return NULL;
        }
        struct str targets = parameter->targets;
        type =
            colon < step.len ? str_skip(step, colon + 1) : str_slice(targets, 0, str_find_char(targets, ' '));
    }
    return parameter;
}

static const struct operator* operator_find(struct str name, char kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (str_equal_cstr(name, operators[i].name) && strchr(operators[i].kinds, kind) != NULL) {
            return &operators[i];
        }
    }
    return NULL;
}

static bool comparison(struct filter *filter, struct search_criteria **made)
{
    struct arena *arena = filter->parse->arena;
    struct str path = STR_NONE;
    struct str name = STR_NONE;
    struct str value = STR_NONE;
    if (++filter->terms > FILTER_TERMS_MAX) {
        return FAIL(filter->error, ERROR_TOO_COSTLY, "_filter has more than %d comparisons",
                    FILTER_TERMS_MAX);
    }
    if (!take_word(filter, &path) || !take_word(filter, &name)) {
        return ill_formed(filter, "a parameter, an operator and a value");
    }
    const struct model_search_parameter *parameter = last_parameter(filter->type, path);
    if (parameter == NULL) {
        filter->parse->forgivable = true;
        return FAIL(filter->error, ERROR_INPUT, "_filter: %.*s has no search parameter '%.*s'",
                    STR_FMT(filter->type), STR_FMT(path));
    }
    const struct operator* operator= operator_find(name, kind_letters[parameter->kind]);
    if (operator== NULL) {
        filter->parse->forgivable = true;
        return FAIL(filter->error, ERROR_UNSUPPORTED,
                    "_filter: the operator '%.*s' is not offered for '%.*s'", STR_FMT(name), STR_FMT(path));
    }
    if (!take_value(filter, &value)) {
        return false;
    }
    struct search_pair pair = {
        .name = arena_printf(arena, "%.*s%s", STR_FMT(path), operator->modifier),
        .value = arena_printf(arena, "%s%.*s", operator->prefix, STR_FMT(value)),
    };
    if (pair.name.at == NULL || pair.value.at == NULL) {
        return search_no_memory(filter->error);
    }
    if (!search_criteria_parse(filter->parse, filter->type, &pair, filter->depth + 1, made, filter->error)) {
        return false;
    }
    (*made)->negated = (*made)->negated != operator->negated;
    return true;
}

static bool alternatives(struct filter *filter, struct search_criteria **made);

static bool term(struct filter *filter, struct search_criteria **made)
{
    bool negated = take(filter, "not");
    if (!take_bracket(filter, '(')) {
        return negated ? ill_formed(filter, "(") : comparison(filter, made);
    }
    if (++filter->depth > FILTER_DEPTH_MAX) {
        return FAIL(filter->error, ERROR_TOO_COSTLY, "_filter is nested too deep");
    }
    bool ok = alternatives(filter, made) && (take_bracket(filter, ')') || ill_formed(filter, ")"));
    filter->depth--;
    if (ok && negated) {
        (*made)->negated = !(*made)->negated;
    }
    return ok;
}

/* Terms with "and" between them, as a list of conditions; "or" is weaker. */
static bool conjunction(struct filter *filter, struct search_criteria **first)
{
    struct search_criteria *last = NULL;
    if (!term(filter, first)) {
        return false;
    }
    for (last = *first; take(filter, "and");) {
        struct search_criteria *next = NULL;
        if (!term(filter, &next)) {
            return false;
        }
        last->next = next;
        last = next;
    }
    return true;
}

static bool alternatives(struct filter *filter, struct search_criteria **made)
{
    struct search_criteria *group = ARENA_NEW(filter->parse->arena, struct search_criteria);
    if (group == NULL) {
        return search_no_memory(filter->error);
    }
    group->type = filter->type;
    do {
        struct search_criteria *list = NULL;
        if (!conjunction(filter, &list) ||
            !search_group_add(filter->parse, group, STR_NONE, list, filter->error)) {
            return false;
        }
    } while (take(filter, "or"));
    *made = group;
    return true;
}

bool search_filter_parse(struct search_parse *parse, struct str type, struct str text, size_t depth,
                         struct search_criteria *criteria, struct error *error)
{
    struct filter filter = { .parse = parse, .type = type, .rest = text, .depth = depth, .error = error };
    struct error unused = { 0 };
    struct search_criteria *made = NULL;
    filter.error = error != NULL ? error : &unused;
    parse->inside_filter = true;
    bool ok = alternatives(&filter, &made);
    parse->inside_filter = false;
    if (!ok) {
        return false;
    }
    if (str_trim(filter.rest).len > 0) {
        return ill_formed(&filter, "and, or, or nothing");
    }
    criteria->kind = SEARCH_GROUP;
    criteria->links = made->links;
    criteria->links_count = made->links_count;
    return true;
}
