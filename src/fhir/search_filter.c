/* _filter (R4 3.1.3): comparisons with and, or, not and brackets over the same conditions that parameters make. "and" and "or"
 * are taken from left to right, neither before the other. A path is followed type by type, as far as its parameters are known
 * there; what stands in its square brackets is asked of the same resource as the rest of it. */
#include "base/hash.h"
#include "base/limits.h"
#include "fhir/search_internal.h"

enum { FILTER_DEPTH_MAX = 16, FILTER_TERMS_MAX = 128 };

struct filter {
    struct search_parse *parse;
    struct str rest;
    size_t depth; /* of links around the filter, and of brackets */
    size_t terms;
    struct error *error;
};

/* Conditions that all hold, by next. */
struct conditions {
    struct search_criteria *first;
    struct search_criteria *last;
};

static bool filter_list(struct filter *filter, struct str type, struct conditions *made);

static void append(struct conditions *list, struct conditions more)
{
    if (list->last == NULL) {
        *list = more;
    } else {
        list->last->next = more.first;
        list->last = more.last;
    }
}

static bool ill_formed(struct filter *filter, const char *expected)
{
    return FAIL(filter->error, ERROR_INPUT, "_filter: %s is expected %zu characters before its end", expected,
                filter->rest.len);
}

/* ---- words ---- */

static bool take_until(struct filter *filter, const char *ends, struct str *word)
{
    size_t end = 0;
    while (end < filter->rest.len && strchr(ends, filter->rest.at[end]) == NULL) {
        end++;
    }
    *word = str_slice(filter->rest, 0, end);
    filter->rest = str_skip(filter->rest, end);
    return end > 0;
}

static bool take_word(struct filter *filter, struct str *word)
{
    filter->rest = str_trim(filter->rest);
    return take_until(filter, " ()]\"", word);
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

static bool take_char(struct filter *filter, char wanted)
{
    bool found = filter->rest.len > 0 && filter->rest.at[0] == wanted;
    filter->rest = found ? str_skip(filter->rest, 1) : filter->rest;
    return found;
}

static bool take_bracket(struct filter *filter, char bracket)
{
    filter->rest = str_trim(filter->rest);
    return take_char(filter, bracket);
}

/* A quoted text, its escapes turned into those of a query; or a word as it stands (a token keeps its bar). */
static bool take_value(struct filter *filter, struct str *value)
{
    filter->rest = str_trim(filter->rest);
    if (filter->rest.len == 0 || filter->rest.at[0] != '"') {
        return take_until(filter, " )]", value) || ill_formed(filter, "a value");
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

/* ---- operators ---- */

/* What an operator is in a query: a modifier, a prefix of the value, or the opposite of another. */
struct operator
{
    const char *name;
    const char *kinds; /* letters of model_search_kind: n d s t r c q u */
    const char *modifier;
    const char *prefix;
    enum {
        OPERATOR_PLAIN,
        OPERATOR_UNEQUAL, /* there is a value, and none of them is that */
        OPERATOR_NONE,    /* of all that the path leads to none is that, or there is nothing */
        OPERATOR_PRESENT,
    } way;
};

static const char kind_letters[] = {
    [MODEL_SEARCH_NUMBER] = 'n',   [MODEL_SEARCH_DATE] = 'd',      [MODEL_SEARCH_STRING] = 's',
    [MODEL_SEARCH_TOKEN] = 't',    [MODEL_SEARCH_REFERENCE] = 'r', [MODEL_SEARCH_COMPOSITE] = 'c',
    [MODEL_SEARCH_QUANTITY] = 'q', [MODEL_SEARCH_URI] = 'u',       [MODEL_SEARCH_SPECIAL] = 'x'
};

static const struct operator operators[] = {
    { "eq", "ndq", "", "eq", OPERATOR_PLAIN },
    { "eq", "s", ":whole", "", OPERATOR_PLAIN },
    { "eq", "trcu", "", "", OPERATOR_PLAIN },
    { "ne", "ndq", "", "ne", OPERATOR_PLAIN },
    { "ne", "s", ":whole", "", OPERATOR_UNEQUAL },
    { "ne", "tru", "", "", OPERATOR_UNEQUAL },
    { "co", "su", ":contains", "", OPERATOR_PLAIN },
    { "sw", "s", "", "", OPERATOR_PLAIN },
    { "sw", "u", ":below", "", OPERATOR_PLAIN },
    { "ew", "su", ":ends", "", OPERATOR_PLAIN },
    { "gt", "ndq", "", "gt", OPERATOR_PLAIN },
    { "lt", "ndq", "", "lt", OPERATOR_PLAIN },
    { "ge", "ndq", "", "ge", OPERATOR_PLAIN },
    { "le", "ndq", "", "le", OPERATOR_PLAIN },
    { "ap", "ndq", "", "ap", OPERATOR_PLAIN },
    { "sa", "ndq", "", "sa", OPERATOR_PLAIN },
    { "eb", "ndq", "", "eb", OPERATOR_PLAIN },
    { "po", "d", "", "po", OPERATOR_PLAIN },
    { "ss", "t", ":below", "", OPERATOR_PLAIN }, /* the value subsumes what is there */
    { "sb", "t", ":above", "", OPERATOR_PLAIN },
    { "in", "t", ":in", "", OPERATOR_PLAIN },
    { "ni", "t", ":in", "", OPERATOR_NONE },
    { "re", "r", "", "", OPERATOR_PLAIN },
    { "pr", "ndstrqu", ":missing", "", OPERATOR_PRESENT },
};

static const struct operator* operator_find(struct str name, char kind)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (str_equal_cstr(name, operators[i].name) && strchr(operators[i].kinds, kind) != NULL) {
            return &operators[i];
        }
    }
    return NULL;
}

/* ---- a comparison ---- */

/* What a path has led to; `negated`: what it says is said of the whole path, and turned round. */
struct leaf {
    struct conditions list;
    bool negated;
};

static bool condition(struct filter *filter, struct str type, struct search_pair pair,
                      struct conditions *list)
{
    struct search_criteria *made = NULL;
    if (pair.name.at == NULL || pair.value.at == NULL) {
        return search_no_memory(filter->error);
    }
    if (!search_criteria_parse(filter->parse, type, &pair, filter->depth + 1, &made, filter->error)) {
        return false;
    }
    append(list, (struct conditions){ made, made });
    return true;
}

static bool unknown(struct filter *filter, struct str type, struct str code)
{
    filter->parse->forgivable = true;
    return FAIL(filter->error, ERROR_INPUT, "_filter: %.*s has no search parameter '%.*s'", STR_FMT(type),
                STR_FMT(code));
}

/* "id" is said for "_id" there (R4 3.1.3). */
static struct str full_code(struct str code)
{
    return str_equal(code, STR("id")) ? STR("_id") : code;
}

/* The operator and the value behind the name of a parameter. */
static bool comparison(struct filter *filter, struct str type, struct str code, struct leaf *leaf)
{
    struct arena *arena = filter->parse->arena;
    struct str name = STR_NONE;
    struct str value = STR_NONE;
    code = full_code(code);
    const struct model_search_parameter *parameter = model_search_find(type, code);
    if (!take_word(filter, &name)) {
        return ill_formed(filter, "a parameter, an operator and a value");
    }
    if (parameter == NULL) {
        return unknown(filter, type, code);
    }
    const struct operator* operator= operator_find(name, kind_letters[parameter->kind]);
    if (operator== NULL) {
        filter->parse->forgivable = true;
        return FAIL(filter->error, ERROR_UNSUPPORTED,
                    "_filter: the operator '%.*s' is not offered for '%.*s'", STR_FMT(name), STR_FMT(code));
    }
    if (!take_value(filter, &value)) {
        return false;
    }
    bool present = operator->way == OPERATOR_PRESENT;
    leaf->negated = operator->way == OPERATOR_NONE ||(present &&str_equal(value, STR("false")));
    if (present && (str_equal(value, STR("true")) || leaf->negated)) {
        value = STR("false"); /* not missing */
    }
    const struct search_pair pair = {
        .name = arena_printf(arena, "%.*s%s", STR_FMT(code), operator->modifier),
        .value = arena_printf(arena, "%s%.*s", operator->prefix, STR_FMT(value)),
    };
    if (!condition(filter, type, pair, &leaf->list) || operator->way != OPERATOR_UNEQUAL) {
        return leaf->list.first != NULL;
    }
    leaf->list.first->negated = !leaf->list.first->negated;
    const struct search_pair there = { arena_printf(arena, "%.*s:missing", STR_FMT(code)), STR("false") };
    bool always = str_equal(code, STR("_id")); /* every resource has one */
    return always || condition(filter, type, there, &leaf->list);
}

static struct search_criteria *new_link(struct filter *filter, enum search_kind kind, struct str type,
                                        struct str code)
{
    struct search_criteria *made = ARENA_NEW(filter->parse->arena, struct search_criteria);
    if (made == NULL || ++filter->parse->criteria_count > LIMIT_SEARCH_CRITERIA) {
        (void)FAIL(filter->error, ERROR_TOO_COSTLY, "_filter reaches too many types: name them");
        return NULL;
    }
    *made = (struct search_criteria){ .kind = kind, .type = type, .code = code, .rows = INDEX_KEY };
    return made;
}

static bool add_link(struct filter *filter, struct search_criteria *criteria, struct str type,
                     const struct search_criteria *inner)
{
    enum search_kind kind = criteria->kind;
    if (!search_group_add(filter->parse, criteria, type, inner, filter->error)) {
        return false;
    }
    criteria->kind = kind;
    return true;
}

static bool path(struct filter *filter, struct str type, struct leaf *leaf);

/* "_has:Type:reference:…", the path going on from the other side. */
static bool has_path(struct filter *filter, struct str type, struct leaf *leaf)
{
    struct str source = STR_NONE;
    struct str code = STR_NONE;
    struct leaf inner = { 0 };
    if (!take_until(filter, ": .()[]\"", &source) || !take_char(filter, ':') ||
        !take_until(filter, ": .()[]\"", &code) || !take_char(filter, ':')) {
        return ill_formed(filter, "_has:Type:reference:parameter");
    }
    const struct model_search_parameter *parameter = model_search_find(source, code);
    if (model_resource_find(source) == NULL || parameter == NULL ||
        parameter->kind != MODEL_SEARCH_REFERENCE) {
        return unknown(filter, source, code);
    }
    struct search_criteria *made = new_link(filter, SEARCH_HAS, type, code);
    if (made == NULL || !path(filter, source, &inner) || !add_link(filter, made, source, inner.list.first)) {
        return false;
    }
    made->parameter = hash_parameter(source, code);
    *leaf = (struct leaf){ .list = { made, made }, .negated = inner.negated };
    return true;
}

/* The rest of a path, behind "reference" or "reference:Type", for one type that it may lead to. */
static bool step_into(struct filter *filter, struct str type, struct leaf *leaf)
{
    struct conditions list = { 0 };
    if (take_char(filter, '[')) {
        if (!filter_list(filter, type, &list)) {
            return false;
        }
        if (!take_bracket(filter, ']')) {
            return ill_formed(filter, "]");
        }
    }
    if (!take_char(filter, '.')) {
        return ill_formed(filter, ".");
    }
    if (!path(filter, type, leaf)) {
        return false;
    }
    append(&list, leaf->list);
    leaf->list = list;
    return true;
}

static bool leads_to(struct str targets, struct str type)
{
    struct str target = STR_NONE;
    bool found = targets.len == 0 || str_equal(targets, STR("Resource"));
    while (!found && str_split_next(&targets, ' ', &target)) {
        found = str_equal(target, type);
    }
    return found;
}

/* Every type that the reference may lead to and that knows the rest of the path. */
static bool chain_path(struct filter *filter, const struct model_search_parameter *parameter, struct str type,
                       struct str target, struct leaf *leaf)
{
    size_t count = 0;
    const struct model_type *const *all = model_resources(&count);
    struct search_criteria *made = new_link(filter, SEARCH_CHAIN, type, parameter->code);
    const struct str from = filter->rest;
    struct str behind = STR_NONE;
    if (made == NULL) {
        return false;
    }
    made->parameter = hash_parameter(type, parameter->code);
    for (size_t i = 0; i < count; i++) {
        struct leaf inner = { 0 };
        bool wanted =
            target.len > 0 ? str_equal(target, all[i]->name) : leads_to(parameter->targets, all[i]->name);
        if (!wanted) {
            continue;
        }
        filter->rest = from;
        filter->parse->forgivable = false;
        if (!step_into(filter, all[i]->name, &inner)) {
            if (filter->parse->forgivable) { /* not of this type */
                continue;
            }
            return false;
        }
        behind = filter->rest;
        leaf->negated = inner.negated;
        if (!add_link(filter, made, all[i]->name, inner.list.first)) {
            return false;
        }
    }
    leaf->list = (struct conditions){ made, made };
    filter->parse->forgivable = made->links_count == 0; /* the last type's error stands */
    filter->rest = behind;
    return made->links_count > 0 && search_look_inside(filter->parse, made, filter->error);
}

static bool path(struct filter *filter, struct str type, struct leaf *leaf)
{
    struct str code = STR_NONE;
    struct str target = STR_NONE;
    filter->rest = str_trim(filter->rest);
    if (filter->depth > FILTER_DEPTH_MAX) {
        return FAIL(filter->error, ERROR_TOO_COSTLY, "_filter is nested too deep");
    }
    if (!take_until(filter, ": .()[]\"", &code)) {
        return ill_formed(filter, "a parameter, an operator and a value");
    }
    filter->depth++;
    bool ok = false;
    bool colon = take_char(filter, ':');
    if (colon && str_equal(code, STR("_has"))) {
        ok = has_path(filter, type, leaf);
        filter->depth--;
        return ok;
    }
    if (colon) {
        (void)take_until(filter, ": .()[]\"", &target);
    }
    bool goes_on = filter->rest.len > 0 && strchr(".[", filter->rest.at[0]) != NULL;
    const struct model_search_parameter *parameter = model_search_find(type, code);
    if (!goes_on) {
        ok = !colon ? comparison(filter, type, code, leaf) : ill_formed(filter, ". behind a type");
    } else if (parameter == NULL) {
        ok = unknown(filter, type, code);
    } else if (parameter->kind != MODEL_SEARCH_REFERENCE || (colon && model_resource_find(target) == NULL)) {
        ok = FAIL(filter->error, ERROR_INPUT, "_filter: '%.*s' is no reference or names no type",
                  STR_FMT(code));
    } else {
        ok = chain_path(filter, parameter, type, target, leaf);
    }
    filter->depth--;
    return ok;
}

/* ---- and, or, not ---- */

/* A list as one condition, so that it can be turned round or stand in another. */
static bool as_one(struct filter *filter, struct str type, struct conditions list, bool negated,
                   struct conditions *made)
{
    if (list.first->next == NULL && !negated) {
        *made = list;
        return true;
    }
    struct search_criteria *group = ARENA_NEW(filter->parse->arena, struct search_criteria);
    if (group == NULL) {
        return search_no_memory(filter->error);
    }
    group->type = type;
    group->negated = negated;
    *made = (struct conditions){ group, group };
    return search_group_add(filter->parse, group, STR_NONE, list.first, filter->error);
}

static bool term(struct filter *filter, struct str type, struct conditions *made)
{
    bool negated = take(filter, "not");
    if (!take_bracket(filter, '(')) {
        struct leaf leaf = { 0 };
        if (negated) {
            return ill_formed(filter, "(");
        }
        if (++filter->terms > FILTER_TERMS_MAX) {
            return FAIL(filter->error, ERROR_TOO_COSTLY, "_filter has more than %d comparisons",
                        FILTER_TERMS_MAX);
        }
        return path(filter, type, &leaf) && as_one(filter, type, leaf.list, leaf.negated, made);
    }
    if (++filter->depth > FILTER_DEPTH_MAX) {
        return FAIL(filter->error, ERROR_TOO_COSTLY, "_filter is nested too deep");
    }
    struct conditions list = { 0 };
    bool ok = filter_list(filter, type, &list) && (take_bracket(filter, ')') || ill_formed(filter, ")"));
    filter->depth--;
    return ok && as_one(filter, type, list, negated, made);
}

/* One more alternative; what was made by "or" before takes it in, so that a hundred of them are not a hundred deep. */
static bool add_alternative(struct filter *filter, struct str type, struct conditions *made, bool *is_either,
                            struct conditions next)
{
    if (!*is_either) {
        struct search_criteria *group = ARENA_NEW(filter->parse->arena, struct search_criteria);
        if (group == NULL) {
            return search_no_memory(filter->error);
        }
        group->type = type;
        if (!search_group_add(filter->parse, group, STR_NONE, made->first, filter->error)) {
            return false;
        }
        *made = (struct conditions){ group, group };
        *is_either = true;
    }
    return search_group_add(filter->parse, made->first, STR_NONE, next.first, filter->error);
}

/* From left to right, "and" and "or" alike (R4 3.1.3.1): a list of conditions that all hold. */
static bool filter_list(struct filter *filter, struct str type, struct conditions *made)
{
    bool is_either = false; /* *made is a group of alternatives made here */
    bool ok = term(filter, type, made);
    while (ok) {
        struct conditions next = { 0 };
        bool both = take(filter, "and");
        if (!both && !take(filter, "or")) {
            break;
        }
        ok = term(filter, type, &next);
        if (ok && both) {
            append(made, next);
            is_either = false;
        } else if (ok) {
            ok = add_alternative(filter, type, made, &is_either, next);
        }
    }
    return ok;
}

bool search_filter_parse(struct search_parse *parse, struct str type, struct str text, size_t depth,
                         struct search_criteria *criteria, struct error *error)
{
    struct error unused = { 0 };
    struct filter filter = {
        .parse = parse, .rest = text, .depth = depth, .error = error != NULL ? error : &unused
    };
    struct conditions made = { 0 };
    bool inside = parse->inside_filter;
    parse->inside_filter = true;
    bool ok = filter_list(&filter, type, &made);
    parse->inside_filter = inside;
    if (!ok) {
        return false;
    }
    if (str_trim(filter.rest).len > 0) {
        return ill_formed(&filter, "and, or, or nothing");
    }
    return search_group_add(parse, criteria, STR_NONE, made.first, error);
}
