/* actor_rules.c — the rules of a role made concrete for one post; and, for an app, each of them crossed with each of
 * its scopes: what results is again rules, so that every way of asking meets both. */
#include <assert.h>

#include "access/actor.h"
#include "fhir/search_query.h"
#include "model/model.h"

enum { WHEN_BYTES_MAX = 1024 + SCOPE_BYTES_MAX, CROSSINGS_MAX = 2000 };

struct actor_access_pair {
    const char *name;
    struct str value;
};

/* ---- rules of a post ---- */

/* Fills in the variables of a `when`. *known is false when the actor lacks one: the rule then gives nothing. */
static bool when_fill(const struct access_actor *actor, struct arena *scratch, struct str when,
                      struct str *filled, bool *known, struct error *error)
{
    const struct actor_access_pair variables[] = { { "%practitioner", actor->person },
                                                   { "%post", actor->post },
                                                   { "%organization", actor->organization },
                                                   { "%tenant", actor->tenant } };
    struct buf buf = { .bytes_max = WHEN_BYTES_MAX };
    *known = true;
    while (when.len > 0) {
        size_t percent = str_find_char(when, '%');
        buf_add(&buf, str_slice(when, 0, percent));
        when = str_skip(when, percent);
        size_t i = 0;
        while (when.len > 0 && i < sizeof variables / sizeof variables[0] &&
               !str_starts_with(when, str_from_cstr(variables[i].name))) {
            i++;
        }
        if (when.len > 0 && i < sizeof variables / sizeof variables[0]) {
            *known = *known && variables[i].value.len > 0;
            buf_add(&buf, variables[i].value); /* an id: nothing in it needs encoding */
            when = str_skip(when, strlen(variables[i].name));
        } else if (when.len > 0) {
            buf_add_char(&buf, '%'); /* a percent-encoded byte */
            when = str_skip(when, 1);
        }
    }
    *filled = buf.failed ? STR_NONE : arena_dup(scratch, buf_str(&buf));
    buf_deinit(&buf);
    return filled->at != NULL ? true : FAIL(error, ERROR_STRUCTURE, "a policy's 'when' is too long");
}

/* What a rule asks of resources: its `when`, the scope's search, the patient in context. */
static bool criteria_make(struct access_actor *actor, const struct scope *scope, struct str type,
                          struct str when, const struct search_criteria **criteria, struct error *error)
{
    struct search_options options = { .type = type, .offset_minutes = 480 };
    struct search_query query = { 0 };
    struct str text = when;
    if (scope != NULL && scope->query.at != NULL) {
        text = when.len == 0 ? scope->query
                             : arena_printf(&actor->arena, "%.*s&%.*s", STR_FMT(when), STR_FMT(scope->query));
    }
    if (scope != NULL && scope->context == SCOPE_PATIENT) {
        options.compartment_type = STR("Patient");
        options.compartment_id = actor->patient;
    }
    *criteria = NULL;
    if (text.len == 0 && options.compartment_type.len == 0) {
        return true;
    }
    if (!search_query_parse_text(&actor->arena, &options, text, &query, error)) {
        return false;
    }
    *criteria = query.criteria;
    return true;
}

static bool part_make(struct access_actor *actor, const struct actor_rule *of, struct str type,
                      struct str when, struct store_rule *part, struct error *error)
{
    const struct policy_rule *rule = of->rule;
    *part = (struct store_rule){ .type = type, .granted = rule->granted };
    if (rule->custodian != POLICY_CUSTODIAN_ANY) {
        bool own = rule->custodian == POLICY_CUSTODIAN_OWN;
        part->custodians = own ? actor->own : actor->led;
        part->custodians_count = own ? actor->own_count : actor->led_count;
    }
    if (rule->granted_through.len > 0) {
        part->granted_through = hash_parameter(type, rule->granted_through);
    }
    if (rule->granted_as.len > 0) {
        struct str grantee = arena_printf(&actor->arena, "PractitionerRole/%.*s|%.*s", STR_FMT(actor->post),
                                          STR_FMT(rule->granted_as));
        if (grantee.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
        }
        part->granted_as = access_grantee_key(grantee);
    }
    return criteria_make(actor, of->scope, type, when, &part->criteria, error);
}

/* An empty custodian list would mean "any" to the store: such a rule gives nothing instead. */
static bool rule_gives_nothing(const struct access_actor *actor, const struct policy_rule *rule)
{
    return rule->custodian != POLICY_CUSTODIAN_ANY && actor->own_count == 0;
}

/* Whether what the scope means by "its patient" can be asked of a type: what is outside of the patient's compartment (a
 * hospital, a doctor) is nobody's, and not given. */
static bool scope_reaches(const struct access_actor *actor, const struct scope *scope, struct str type)
{
    if (scope == NULL || !(str_equal(scope->type, STR("*")) || str_equal(scope->type, type))) {
        return scope == NULL;
    }
    return scope->context != SCOPE_PATIENT ||
           (actor->patient.len > 0 &&
            (str_equal(type, STR("Patient")) || model_compartment(STR("Patient"), type).len > 0));
}

/* A scope that searches by what the role sees masked would tell it. */
static bool scope_unmasks(const struct access_actor *actor, const struct scope *scope, struct str type)
{
    for (size_t i = 0; scope != NULL && scope->query.at != NULL && i < actor->role->masks_count; i++) {
        if (str_equal(actor->role->masks[i].type, type)) {
            return true;
        }
    }
    return false;
}

static bool rule_make(struct access_actor *actor, struct arena *scratch, struct actor_rule *out,
                      struct error *error)
{
    const struct policy_rule *rule = out->rule;
    struct str when = STR_NONE;
    bool known = true;
    if (rule->when.len > 0 && !when_fill(actor, scratch, rule->when, &when, &known, error)) {
        return false;
    }
    if (!known || rule_gives_nothing(actor, rule)) {
        return true;
    }
    struct store_rule *parts = ARENA_ARRAY(&actor->arena, struct store_rule, rule->types_count);
    if (parts == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
    }
    size_t count = 0;
    for (size_t i = 0; i < rule->types_count; i++) {
        /* A rule about every type ("*", machines only) is narrowed to the scope's type. */
        bool every = str_equal(rule->types[i], STR("*")) && out->scope != NULL;
        struct str type = every ? out->scope->type : rule->types[i];
        if (!scope_reaches(actor, out->scope, type) || scope_unmasks(actor, out->scope, type)) {
            continue;
        }
        if (!part_make(actor, out, type, when, &parts[count], error)) {
            return false;
        }
        count++;
    }
    out->parts = parts;
    out->parts_count = count;
    return true;
}

bool actor_rule_has_act(const struct access_actor *actor, const struct actor_rule *rule,
                        struct access_act act)
{
    if (!policy_rule_has_act(rule->rule, act)) {
        return false;
    }
    if (rule->scope == NULL) {
        return true;
    }
    if (act.interaction == ACCESS_OPERATION) {
        return scope_list_has_operation(actor->scopes, act.operation, act.type);
    }
    unsigned needed = scope_acts_of(act.interaction);
    return (rule->scope->acts & needed) == needed;
}

bool actor_rules_of_act(const struct access_actor *actor, struct access_act act, struct arena *arena,
                        struct actor_filter *filter, struct error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < actor->rules_count; i++) {
        count += actor_rule_has_act(actor, &actor->rules[i], act) ? actor->rules[i].parts_count : 0;
    }
    struct store_rule *rules = ARENA_ARRAY(arena, struct store_rule, count + 1);
    if (rules == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
    }
    size_t at = 0;
    for (size_t i = 0; i < actor->rules_count; i++) {
        const struct actor_rule *rule = &actor->rules[i];
        if (actor_rule_has_act(actor, rule, act) && rule->parts_count > 0) {
            memcpy(&rules[at], rule->parts, rule->parts_count * sizeof *rules);
            at += rule->parts_count;
        }
    }
    assert(at == count);
    *filter = (struct actor_filter){ .rules = rules, .count = count };
    return true;
}

/* What the scopes ask of new content, type by type. */
static bool reaches_make(struct access_actor *actor, struct error *error)
{
    size_t max = actor->scopes->count;
    struct actor_reach *reaches = NULL;
    size_t types_count = 0;
    const struct model_type *const *types = model_resources(&types_count);
    for (size_t i = 0; i < actor->scopes->count; i++) {
        max += actor->scopes->scopes[i].context == SCOPE_PATIENT ? types_count : 0;
    }
    reaches = ARENA_ARRAY(&actor->arena, struct actor_reach, max + 1);
    if (reaches == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of an app");
    }
    actor->reaches = reaches;
    for (size_t i = 0; i < actor->scopes->count; i++) {
        const struct scope *scope = &actor->scopes->scopes[i];
        bool each = scope->context == SCOPE_PATIENT && str_equal(scope->type, STR("*"));
        for (size_t k = 0; k < (each ? types_count : 1); k++) {
            struct actor_reach *reach = &reaches[actor->reaches_count];
            *reach = (struct actor_reach){ .scope = scope, .type = each ? types[k]->name : scope->type };
            if (!scope_reaches(actor, scope, reach->type) || scope_unmasks(actor, scope, reach->type)) {
                continue;
            }
            if (!criteria_make(actor, scope, reach->type, STR_NONE, &reach->criteria, error)) {
                return false;
            }
            actor->reaches_count++;
        }
    }
    return true;
}

bool actor_rules_make(struct access_actor *actor, struct arena *scratch, struct error *error)
{
    size_t scopes = actor->scopes == NULL ? 1 : actor->scopes->count;
    size_t count = actor->role->rules_count * scopes;
    struct actor_rule *rules =
        count > CROSSINGS_MAX ? NULL : ARENA_ARRAY(&actor->arena, struct actor_rule, count + 1);
    if (rules == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "too many rules for the rights of a post");
    }
    for (size_t i = 0; i < count; i++) {
        rules[i] =
            (struct actor_rule){ .rule = actor->role->rules[i / scopes],
                                 .scope = actor->scopes == NULL ? NULL : &actor->scopes->scopes[i % scopes] };
        if (!rule_make(actor, scratch, &rules[i], error)) {
            return false;
        }
    }
    actor->rules = rules;
    actor->rules_count = count;
    for (int i = 0; i < ACCESS_OPERATION; i++) {
        struct access_act act = { .interaction = (enum access_interaction)i };
        if (!actor_rules_of_act(actor, act, &actor->arena, &actor->filters[i], error)) {
            return false;
        }
    }
    return actor->scopes == NULL || reaches_make(actor, error);
}

bool access_may_keep(const struct access_session *session, struct access_act act,
                     const struct search_subject *subject, struct error *error)
{
    const struct access_actor *actor = session->actor;
    unsigned needed = scope_acts_of(act.interaction);
    for (size_t i = 0; i < actor->reaches_count; i++) {
        const struct actor_reach *reach = &actor->reaches[i];
        bool known = true;
        bool of_type = str_equal(reach->type, STR("*")) || str_equal(reach->type, subject->type);
        if (of_type && (reach->scope->acts & needed) == needed &&
            search_criteria_match(reach->criteria, subject, &known) && known) {
            return true;
        }
    }
    return actor->scopes == NULL ||
           FAIL(error, ERROR_FORBIDDEN, "what is written is outside of the app's scopes");
}
