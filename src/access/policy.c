#include "access/policy.h"

#include <assert.h>

#include "base/table.h"
#include "fhirpath/fhirpath.h"
#include "model/model.h"

struct reader {
    struct arena *arena;
    struct table sets; /* name → struct json: array of rules */
    struct str file;   /* being read, for messages */
    struct error *error;
};

static bool fail(struct reader *reader, const char *what, struct str which)
{
    return FAIL(reader->error, ERROR_STRUCTURE, "policy '%.*s': %s '%.*s'", STR_FMT(reader->file), what,
                STR_FMT(str_slice(which, 0, 60)));
}

static bool out_of_memory(struct reader *reader)
{
    return FAIL(reader->error, ERROR_TOO_LARGE, "the policies do not fit into memory");
}

static bool members_known(struct reader *reader, const struct json *object, const char *const *names)
{
    if (object == NULL || object->kind != JSON_OBJECT) {
        return fail(reader, "an object is expected, not", STR("a value"));
    }
    if (json_has_duplicates(object)) {
        return fail(reader, "a member stands twice in", STR("an object"));
    }
    JSON_EACH(member, object) {
        size_t i = 0;
        while (names[i] != NULL && !str_equal_cstr(member->name, names[i])) {
            i++;
        }
        if (names[i] == NULL) {
            return fail(reader, "unknown member", member->name);
        }
    }
    return true;
}

/* An array of texts into arena strings; absent gives none. */
static bool texts_read(struct reader *reader, const struct json *array, size_t count_max,
                       const struct str **texts, size_t *count)
{
    if (array == NULL) {
        *texts = NULL;
        *count = 0;
        return true;
    }
    if (array->kind != JSON_ARRAY || array->count > count_max) {
        return fail(reader, "a list of texts is expected, or it is too long:", array->name);
    }
    struct str *list = ARENA_ARRAY(reader->arena, struct str, array->count + 1);
    if (list == NULL) {
        return out_of_memory(reader);
    }
    size_t at = 0;
    JSON_EACH(value, array) {
        list[at] = arena_dup(reader->arena, json_text(reader->arena, value));
        if (list[at].len == 0) {
            return fail(reader, "an empty or wrong text in", array->name);
        }
        at++;
    }
    *texts = list;
    *count = at;
    return true;
}

static bool text_read(struct reader *reader, const struct json *object, struct str name, struct str *text)
{
    const struct json *member = json_member(object, name);
    if (member == NULL) {
        *text = STR_NONE;
        return true;
    }
    *text = arena_dup(reader->arena, json_text(reader->arena, member));
    return text->len > 0 ? true : fail(reader, "a text is expected in", name);
}

/* {"zh": …, "en": …} */
static bool two_texts_read(struct reader *reader, const struct json *object, struct str *zh, struct str *en)
{
    static const char *const names[] = { "zh", "en", NULL };
    if (object == NULL) {
        return true;
    }
    return members_known(reader, object, names) && text_read(reader, object, STR("zh"), zh) &&
           text_read(reader, object, STR("en"), en);
}

static bool interactions_read(struct reader *reader, const struct json *rule, struct policy_rule *out)
{
    static const char *const names[] = { "read", "search", "history", "create", "update", "delete" };
    const struct str *texts = NULL;
    size_t count = 0;
    if (!texts_read(reader, JSON_GET(rule, "interactions"), POLICY_OPERATIONS_MAX, &texts, &count)) {
        return false;
    }
    struct str *operations = ARENA_ARRAY(reader->arena, struct str, count + 1);
    if (operations == NULL) {
        return out_of_memory(reader);
    }
    for (size_t i = 0; i < count; i++) {
        if (texts[i].at[0] == '$' && texts[i].len > 1) {
            operations[out->operations_count++] = texts[i];
            out->interactions |= 1u << ACCESS_OPERATION;
            continue;
        }
        size_t known = 0;
        while (known < sizeof names / sizeof names[0] && !str_equal_cstr(texts[i], names[known])) {
            known++;
        }
        if (known == sizeof names / sizeof names[0]) {
            return fail(reader, "unknown interaction", texts[i]);
        }
        out->interactions |= 1u << known; /* in the order of enum access_interaction */
    }
    out->operations = operations;
    return out->interactions != 0 ? true : fail(reader, "a rule without", STR("interactions"));
}

static bool types_read(struct reader *reader, const struct json *rule, struct policy_rule *out)
{
    if (!texts_read(reader, JSON_GET(rule, "types"), POLICY_TYPES_MAX, &out->types, &out->types_count)) {
        return false;
    }
    for (size_t i = 0; i < out->types_count; i++) {
        bool all = out->types_count == 1 && str_equal(out->types[i], STR("*"));
        if (!all && model_resource_find(out->types[i]) == NULL) {
            return fail(reader, "unknown resource type", out->types[i]);
        }
    }
    return out->types_count > 0 ? true : fail(reader, "a rule without", STR("types"));
}

static bool custodian_read(struct reader *reader, const struct json *rule, struct policy_rule *out)
{
    struct str text = STR_NONE;
    if (!text_read(reader, rule, STR("custodian"), &text)) {
        return false;
    }
    if (str_equal(text, STR("own"))) {
        out->custodian = POLICY_CUSTODIAN_OWN;
    } else if (str_equal(text, STR("led"))) {
        out->custodian = POLICY_CUSTODIAN_LED;
    } else if (str_equal(text, STR("any"))) {
        out->custodian = POLICY_CUSTODIAN_ANY;
    } else {
        return fail(reader, "a rule must say custodian own, led or any, not", text);
    }
    return true;
}

/* Whether every type of the rule has this search parameter (of reference kind, when asked). */
static bool parameter_known(struct reader *reader, const struct policy_rule *rule, struct str code,
                            bool reference)
{
    for (size_t i = 0; i < rule->types_count; i++) {
        const struct model_search_parameter *found = model_search_find(rule->types[i], code);
        if (found == NULL || (reference && found->kind != MODEL_SEARCH_REFERENCE)) {
            return fail(reader, "a type of the rule lacks the search parameter", code);
        }
    }
    return true;
}

/* Chains would look at what the session may not see; _has too (design.md section 5: no chains). */
static bool when_is_plain(struct reader *reader, const struct policy_rule *rule)
{
    struct str rest = rule->when;
    struct str pair = STR_NONE;
    while (str_split_next(&rest, '&', &pair)) {
        struct str name = str_slice(pair, 0, str_find_char(pair, '='));
        if (name.len == pair.len || name.len == 0 || str_find_char(name, '.') < name.len ||
            name.at[0] == '_') {
            return fail(reader, "'when' takes plain parameters (no chain, no _…), not", name);
        }
        if (!parameter_known(reader, rule, str_slice(name, 0, str_find_char(name, ':')), false)) {
            return false;
        }
    }
    return true;
}

/* A list of FHIRPath expressions, each giving references. */
static bool list_of_paths_read(struct reader *reader, const struct json *rule, struct str name,
                               const struct fhirpath *const **paths, size_t *count)
{
    const struct str *texts = NULL;
    if (!texts_read(reader, json_member(rule, name), 8, &texts, count)) {
        return false;
    }
    const struct fhirpath **made = ARENA_ARRAY(reader->arena, const struct fhirpath *, *count + 1);
    if (made == NULL) {
        return out_of_memory(reader);
    }
    for (size_t i = 0; i < *count; i++) {
        made[i] = fhirpath_compile(reader->arena, texts[i], reader->error);
        if (made[i] == NULL) {
            return fail(reader, "not FHIRPath:", texts[i]);
        }
    }
    *paths = made;
    return true;
}

static bool paths_read(struct reader *reader, const struct json *rule, struct policy_rule *out)
{
    struct str write = STR_NONE;
    if (!text_read(reader, rule, STR("write"), &write) ||
        !list_of_paths_read(reader, rule, STR("sees"), &out->sees, &out->sees_count) ||
        !list_of_paths_read(reader, rule, STR("own"), &out->own, &out->own_count)) {
        return false;
    }
    if (write.at != NULL) {
        out->write = fhirpath_compile(reader->arena, write, reader->error);
        if (out->write == NULL) {
            return fail(reader, "the constraint is not FHIRPath:", write);
        }
    }
    return true;
}

static bool rule_read(struct reader *reader, const struct json *rule, struct policy_rule *out)
{
    static const char *const names[] = { "types",          "interactions", "custodian", "when", "granted",
                                         "grantedThrough", "grantedAs",    "write",     "sees", "own",
                                         "message",        "why",          NULL };
    *out = (struct policy_rule){ 0 };
    if (!members_known(reader, rule, names) || !types_read(reader, rule, out) ||
        !interactions_read(reader, rule, out) || !custodian_read(reader, rule, out)) {
        return false;
    }
    const struct json *granted = JSON_GET(rule, "granted");
    if (granted != NULL && granted->kind != JSON_TRUE && granted->kind != JSON_FALSE) {
        return fail(reader, "true or false is expected in", STR("granted"));
    }
    out->granted = json_is_true(granted);
    if (!text_read(reader, rule, STR("when"), &out->when) ||
        !text_read(reader, rule, STR("grantedThrough"), &out->granted_through) ||
        !text_read(reader, rule, STR("grantedAs"), &out->granted_as) || !paths_read(reader, rule, out)) {
        return false;
    }
    if (out->granted_as.at != NULL && !out->granted && out->granted_through.at == NULL) {
        return fail(reader, "'grantedAs' needs granted or grantedThrough:", out->granted_as);
    }
    return (out->when.at == NULL || when_is_plain(reader, out)) &&
           (out->granted_through.at == NULL || parameter_known(reader, out, out->granted_through, true)) &&
           two_texts_read(reader, JSON_GET(rule, "message"), &out->message, &out->message_en);
}

/* ---- masks ---- */

static bool mask_elements_read(struct reader *reader, const struct json *elements, struct policy_mask *mask)
{
    if (elements == NULL || elements->kind != JSON_OBJECT || elements->count == 0) {
        return fail(reader, "a mask names its elements, for", mask->type);
    }
    struct policy_mask_element *list =
        ARENA_ARRAY(reader->arena, struct policy_mask_element, elements->count);
    if (list == NULL) {
        return out_of_memory(reader);
    }
    JSON_EACH(element, elements) {
        struct policy_mask_element *out = &list[mask->elements_count++];
        out->name = arena_dup(reader->arena, element->name);
        if (json_equals_text(element, STR("remove"))) {
            out->kind = POLICY_MASK_REMOVE;
        } else if (json_equals_text(element, STR("initial"))) {
            out->kind = POLICY_MASK_INITIAL;
        } else if (json_equals_text(element, STR("year"))) {
            out->kind = POLICY_MASK_YEAR;
        } else {
            return fail(reader, "a mask is remove, initial or year, for", element->name);
        }
    }
    mask->elements = list;
    return true;
}

static bool masks_read(struct reader *reader, const struct json *array, struct policy_role *role)
{
    static const char *const names[] = { "type", "elements", "parameters", "why", NULL };
    if (array == NULL) {
        return true;
    }
    if (array->kind != JSON_ARRAY) {
        return fail(reader, "a list is expected in", STR("masked"));
    }
    struct policy_mask *masks = ARENA_ARRAY(reader->arena, struct policy_mask, array->count + 1);
    if (masks == NULL) {
        return out_of_memory(reader);
    }
    JSON_EACH(object, array) {
        struct policy_mask *mask = &masks[role->masks_count++];
        if (!members_known(reader, object, names) || !text_read(reader, object, STR("type"), &mask->type) ||
            !mask_elements_read(reader, JSON_GET(object, "elements"), mask) ||
            !texts_read(reader, JSON_GET(object, "parameters"), 64, &mask->parameters,
                        &mask->parameters_count)) {
            return false;
        }
        if (model_resource_find(mask->type) == NULL) {
            return fail(reader, "unknown resource type", mask->type);
        }
    }
    role->masks = masks;
    return true;
}

/* ---- roles ---- */

static bool rules_add(struct reader *reader, const struct json *array, const struct policy_rule **rules,
                      size_t *count)
{
    if (array == NULL || array->kind != JSON_ARRAY || *count + array->count > POLICY_RULES_MAX) {
        return fail(reader, "a list of rules is expected (at most 200):", STR("rules"));
    }
    struct policy_rule *read = ARENA_ARRAY(reader->arena, struct policy_rule, array->count + 1);
    if (read == NULL) {
        return out_of_memory(reader);
    }
    JSON_EACH(rule, array) {
        if (!rule_read(reader, rule, read)) {
            return false;
        }
        rules[(*count)++] = read++;
    }
    return true;
}

static bool role_rules_read(struct reader *reader, const struct json *file, struct policy_role *role)
{
    const struct str *includes = NULL;
    size_t includes_count = 0;
    const struct policy_rule **rules =
        ARENA_ARRAY(reader->arena, const struct policy_rule *, POLICY_RULES_MAX);
    if (rules == NULL) {
        return out_of_memory(reader);
    }
    if (!texts_read(reader, JSON_GET(file, "includes"), 16, &includes, &includes_count)) {
        return false;
    }
    for (size_t i = 0; i < includes_count; i++) {
        const struct json *set = table_get(&reader->sets, includes[i]);
        if (set == NULL) {
            return fail(reader, "there is no set of rules", includes[i]);
        }
        if (!rules_add(reader, set, rules, &role->rules_count)) {
            return false;
        }
    }
    role->rules = rules;
    return rules_add(reader, JSON_GET(file, "rules"), rules, &role->rules_count);
}

static bool role_read(struct reader *reader, const struct json *file, struct policy_role *role)
{
    static const char *const names[] = { "policy", "version", "title",  "description", "machine",
                                         "rights", "rules",   "masked", "includes",    NULL };
    if (!members_known(reader, file, names) || !text_read(reader, file, STR("policy"), &role->code) ||
        !two_texts_read(reader, JSON_GET(file, "title"), &role->title, &role->title_en) ||
        !texts_read(reader, JSON_GET(file, "rights"), 32, &role->rights, &role->rights_count)) {
        return false;
    }
    if (role->code.len == 0 || role->code.len >= ACCESS_ID_BYTES || role->title.len == 0 ||
        role->title_en.len == 0) {
        return fail(reader, "a role needs a code (policy) of 1 to 64 characters and two titles:", role->code);
    }
    role->machine = json_is_true(JSON_GET(file, "machine"));
    return role_rules_read(reader, file, role) && masks_read(reader, JSON_GET(file, "masked"), role);
}

/* First pass: trees of all files, and the sets by name. */
static bool files_parse(struct reader *reader, const struct access_policy_file *files, size_t count,
                        struct json **trees)
{
    static const char *const names[] = { "set", "version", "description", "rules", NULL };
    for (size_t i = 0; i < count; i++) {
        reader->file = files[i].name;
        if (files[i].text.len > POLICY_BYTES_MAX) {
            return fail(reader, "larger than a policy may be:", files[i].name);
        }
        struct str text = arena_dup(reader->arena, files[i].text);
        if (text.at == NULL) {
            return out_of_memory(reader);
        }
        if (!json_read(reader->arena, text, &trees[i], reader->error)) {
            return false;
        }
        struct str set = STR_NONE;
        if (!text_read(reader, trees[i], STR("set"), &set)) {
            return false;
        }
        if (set.at == NULL) {
            continue;
        }
        if (!members_known(reader, trees[i], names)) {
            return false;
        }
        if (JSON_GET(trees[i], "rules") == NULL || table_get(&reader->sets, set) != NULL) {
            return fail(reader, "a set without rules, or twice:", set);
        }
        if (!table_set(&reader->sets, set, JSON_GET(trees[i], "rules"))) {
            return out_of_memory(reader);
        }
        trees[i] = NULL;
    }
    return true;
}

bool policy_read(struct arena *arena, const struct access_policy_file *files, size_t files_count,
                 struct policy_set *set, struct error *error)
{
    struct reader reader = { .arena = arena, .sets = table_in(arena), .error = error };
    struct json **trees = ARENA_ARRAY(arena, struct json *, files_count + 1);
    struct policy_role *roles = ARENA_ARRAY(arena, struct policy_role, files_count + 1);
    struct policy_set made = { .roles = roles };
    if (trees == NULL || roles == NULL) {
        return out_of_memory(&reader);
    }
    if (!files_parse(&reader, files, files_count, trees)) {
        return false;
    }
    for (size_t i = 0; i < files_count; i++) {
        if (trees[i] == NULL) {
            continue;
        }
        reader.file = files[i].name;
        if (!role_read(&reader, trees[i], &roles[made.roles_count])) {
            return false;
        }
        if (policy_role_find(&made, roles[made.roles_count].code) != NULL) {
            return fail(&reader, "two files for the role", roles[made.roles_count].code);
        }
        made.roles_count++;
    }
    *set = made;
    return true;
}

const struct policy_role *policy_role_find(const struct policy_set *set, struct str code)
{
    for (size_t i = 0; i < set->roles_count; i++) {
        if (str_equal(set->roles[i].code, code)) {
            return &set->roles[i];
        }
    }
    return NULL;
}

bool policy_rule_has_type(const struct policy_rule *rule, struct str type)
{
    for (size_t i = 0; i < rule->types_count; i++) {
        if (str_equal(rule->types[i], type) || str_equal(rule->types[i], STR("*"))) {
            return true;
        }
    }
    return false;
}

bool policy_rule_has_act(const struct policy_rule *rule, struct access_act act)
{
    assert(act.interaction < ACCESS_INTERACTIONS_COUNT);
    if ((rule->interactions & (1u << act.interaction)) == 0) {
        return false;
    }
    if (act.interaction != ACCESS_OPERATION) {
        return true;
    }
    for (size_t i = 0; i < rule->operations_count; i++) {
        if (str_equal(rule->operations[i], act.operation)) {
            return true;
        }
    }
    return false;
}
