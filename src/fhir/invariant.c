#include "fhir/invariant.h"

#include "base/limits.h"
#include "base/table.h"
#include "fhirpath/fhirpath.h"
#include "fhirpath/html.h"
#include "model/model.h"

enum {
    INVARIANT_ARENA_BYTES = 8 * 1024 * 1024,
    ELEMENT_RULES_MAX = 64, /* rules that stand at an element: R4 has 14 */
};

struct rule {
    const struct rule *next; /* of the same type */
    const struct model_invariant *said;
    const struct fhirpath *path;
};

/* A rule for an element of a type, Organization.telecom. */
struct element_rule {
    const struct model_type *type;
    struct str name; /* of the element, or of the choice */
    struct rule rule;
};

struct invariants {
    struct arena arena; /* holds everything, this struct too */
    struct table rules; /* name of a type to its struct rule */
    struct element_rule element_rules[ELEMENT_RULES_MAX];
    size_t element_rules_count;
};

struct run {
    const struct invariants *invariants;
    struct outcome *outcome;
    struct fhirpath_context context;
    uint32_t steps_left;
};

/* ---- compiling ---- */

static bool is_held_by_structure(struct str key)
{
    return str_equal(key, STR("ele-1")) || str_equal(key, STR("ext-1")) || str_equal(key, STR("ref-1")) ||
           str_equal(key, STR("dom-2"));
}

/* que-7 of the standard says Boolean, which in FHIRPath is the type of computed values only. */
static struct fhirpath *compile(struct arena *arena, struct str expression, struct error *error)
{
    struct str wrong = STR("is Boolean)");
    size_t at = str_find(expression, wrong);
    if (at < expression.len) {
        expression = arena_printf(arena, "%.*sis boolean)%.*s", (int)at, expression.at,
                                  STR_FMT(str_skip(expression, at + wrong.len)));
    }
    return fhirpath_compile(arena, expression, error);
}

static bool add_rule(struct invariants *made, const struct model_invariant *said, struct error *error)
{
    struct rule rule = { .said = said, .path = compile(&made->arena, said->expression, error) };
    if (rule.path == NULL) {
        return false;
    }
    const struct model_type *type = model_type_find(said->path);
    if (type != NULL) {
        struct rule *kept = ARENA_NEW(&made->arena, struct rule);
        rule.next = table_get(&made->rules, type->name);
        if (kept != NULL) {
            *kept = rule;
        }
        return (kept != NULL && table_set(&made->rules, type->name, kept)) ||
               FAIL(error, ERROR_INTERNAL, "no memory for the rules of R4");
    }
    size_t dot = str_find_last_char(said->path, '.');
    struct str name = str_skip(said->path, dot + 1);
    type = model_type_find(str_slice(said->path, 0, dot));
    if (type == NULL || made->element_rules_count == ELEMENT_RULES_MAX) {
        return FAIL(error, ERROR_INTERNAL, "rule %.*s has no place", STR_FMT(said->key));
    }
    name = str_ends_with(name, STR("[x]")) ? str_slice(name, 0, name.len - 3) : name;
    made->element_rules[made->element_rules_count++] = (struct element_rule){ type, name, rule };
    return true;
}

bool invariants_create(struct invariants **invariants, struct error *error)
{
    struct arena arena = { .bytes_max = INVARIANT_ARENA_BYTES };
    struct invariants *made = ARENA_NEW(&arena, struct invariants);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the rules of R4");
    }
    made->arena = arena;
    made->rules = table_in(&made->arena);
    size_t count = 0;
    const struct model_invariant *list = model_invariants(&count);
    for (size_t i = 0; i < count; i++) {
        if (!is_held_by_structure(list[i].key) && !add_rule(made, &list[i], error)) {
            invariants_destroy(made);
            return false;
        }
    }
    *invariants = made;
    return true;
}

void invariants_destroy(struct invariants *invariants)
{
    if (invariants != NULL) {
        struct arena arena = invariants->arena;
        arena_deinit(&arena);
    }
}

/* ---- checking ---- */

static void tell(struct run *run, const struct outcome_place *place, enum outcome_severity severity,
                 const struct model_invariant *said, bool evaluated)
{
    struct arena *arena = run->outcome->arena;
    struct outcome_issue issue = { .severity = severity,
                                   .code = evaluated ? "invariant" : "not-supported",
                                   .path = outcome_path(arena, place) };
    if (evaluated) {
        issue.text = arena_printf(arena, "%.*s: %.*s", STR_FMT(said->key), STR_FMT(said->human));
        issue.chinese =
            arena_printf(arena, "不满足规则 %.*s：%.*s", STR_FMT(said->key), STR_FMT(said->human));
    } else {
        issue.text = arena_printf(arena, "rule %.*s could not be evaluated", STR_FMT(said->key));
        issue.chinese = arena_printf(arena, "规则 %.*s 无法计算", STR_FMT(said->key));
    }
    outcome_add(run->outcome, issue);
}

/* Four official examples have a generated narrative of white space only: txt-1 and txt-2 refuse it, we warn. Nothing
 * else may be wrong with it: with a letter in its place it must be fine. */
static bool is_blank_narrative(struct arena *arena, const struct rule *rule, const struct fhirpath_item *item)
{
    if (!str_equal(rule->said->key, STR("txt-1")) && !str_equal(rule->said->key, STR("txt-2"))) {
        return false;
    }
    struct str html = json_text(arena, item->node.value);
    size_t last = str_find_last_char(html, '<');
    bool blank = last < html.len && last > 0 && html.at[last - 1] != '>';
    bool in_tag = false;
    for (size_t i = 0; blank && i < html.len; i++) {
        char c = html.at[i];
        in_tag = in_tag ? c != '>' : c == '<';
        blank = in_tag || c == '>' || c == ' ' || c == '\n' || c == '\t' || c == '\r';
    }
    return blank &&
           html_is_safe(arena_printf(arena, "%.*sa%.*s", (int)last, html.at, STR_FMT(str_skip(html, last))));
}

static void check_rule(struct run *run, const struct rule *rule, const struct fhirpath_item *item,
                       const struct outcome_place *place)
{
    struct fhirpath_collection result = { 0 };
    struct error error = { 0 };
    bool holds = true; /* an empty answer (a range of which only one end is known) breaks no rule */
    run->context.steps_max = run->steps_left;
    bool evaluated = run->steps_left > 0 &&
                     fhirpath_evaluate(rule->path, &run->context, item, &result, &error) &&
                     (result.count == 0 || fhirpath_to_boolean(&result, &holds, &error));
    run->steps_left -= run->context.steps < run->steps_left ? run->context.steps : run->steps_left;
    if (!evaluated) {
        tell(run, place, OUTCOME_WARNING, rule->said, false);
    } else if (!holds) {
        bool forgiven = rule->said->is_warning || is_blank_narrative(run->context.arena, rule, item);
        tell(run, place, forgiven ? OUTCOME_WARNING : OUTCOME_ERROR, rule->said, true);
    }
}

static void check_resource(struct run *run, const struct json *resource, const struct outcome_place *place);

static void check_node(struct run *run, const struct json *value, const struct model_type *type,
                       const struct outcome_place *place);

static void check_value(struct run *run, const struct json *value, const struct model_type *owner,
                        const struct model_element *element, const struct outcome_place *place)
{
    const struct fhirpath_item item = { .kind = FHIRPATH_NODE,
                                        .type = element->type,
                                        .node = { .value = value } };
    for (size_t i = 0; i < run->invariants->element_rules_count; i++) {
        const struct element_rule *rule = &run->invariants->element_rules[i];
        bool named = str_equal(rule->name, element->name) || str_equal(rule->name, element->choice);
        if (rule->type == owner && named) {
            check_rule(run, &rule->rule, &item, place);
        }
    }
    if (value->kind != JSON_OBJECT) {
        return;
    }
    if (str_equal(element->type->name, STR("Resource"))) {
        check_resource(run, value, place);
    } else {
        check_node(run, value, element->type, place);
    }
}

static void check_node(struct run *run, const struct json *value, const struct model_type *type,
                       const struct outcome_place *place)
{
    const struct fhirpath_item item = { .kind = FHIRPATH_NODE, .type = type, .node = { .value = value } };
    for (const struct model_type *at = type; at != NULL; at = at->base) {
        for (const struct rule *rule = table_get(&run->invariants->rules, at->name); rule != NULL;
             rule = rule->next) {
            check_rule(run, rule, &item, place);
        }
    }
    JSON_EACH(member, value) {
        const struct model_element *element = model_element_find(type, member->name);
        struct outcome_place here = { .parent = place, .name = member->name, .index = -1 };
        if (element == NULL) {
            continue; /* resourceType, "_name" */
        }
        if (member->kind != JSON_ARRAY) {
            check_value(run, member, type, element, &here);
            continue;
        }
        here.index = 0;
        JSON_EACH(child, member) {
            check_value(run, child, type, element, &here);
            here.index++;
        }
    }
}

/* A resource inside another: its own %resource; a contained one keeps the container as %rootResource. */
static void check_resource(struct run *run, const struct json *resource, const struct outcome_place *place)
{
    const struct model_type *type =
        model_resource_find(JSON_TEXT(run->context.arena, resource, "resourceType"));
    if (type == NULL) {
        return;
    }
    struct fhirpath_context before = run->context;
    bool contained = str_equal(place->name, STR("contained"));
    run->context.resource = resource;
    run->context.root_resource = contained ? before.resource : resource;
    check_node(run, resource, type, place);
    run->context.resource = before.resource;
    run->context.root_resource = before.root_resource;
}

bool invariants_check(const struct invariants *invariants, const struct json *resource,
                      struct outcome *outcome)
{
    assert(invariants != NULL);
    size_t errors_before = outcome->errors_count;
    struct run run = { .invariants = invariants, .outcome = outcome, .steps_left = LIMIT_FHIRPATH_STEPS };
    run.context.arena = outcome->arena;
    run.context.as_filters = true; /* dom-3 asks descendants().as(canonical) */
    struct str name = JSON_TEXT(outcome->arena, resource, "resourceType");
    const struct outcome_place place = { .name = name, .index = -1 };
    check_resource(&run, resource, &place);
    return outcome->errors_count == errors_before;
}
