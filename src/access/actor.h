/* actor.h — a post with the rules of its role made concrete (ids filled in, custodians as keys). Made when a
 * session is first used and again when the directory changed; never changes; counted. Nobody outside
 * access/ includes this. */
#ifndef SHANHAI_ACCESS_ACTOR_H
#define SHANHAI_ACCESS_ACTOR_H

#include <stdatomic.h>

#include "access/internal.h"
#include "access/scope.h"
#include "store/search.h"

/* One rule of the policy for this post: one store_rule for each of its types. Of an app's actor there is one for each
 * rule and scope that meet, its parts narrowed by both. */
struct actor_rule {
    const struct policy_rule *rule;
    const struct store_rule *parts;
    size_t parts_count;
    const struct scope *scope; /* NULL: not an app */
};

/* What a scope asks of a resource of a type, without the policy's part: new content must fit it too. */
struct actor_reach {
    const struct scope *scope;
    struct str type; /* "*": of every type, without criteria */
    const struct search_criteria *criteria;
};

struct actor_filter {
    const struct store_rule *rules;
    size_t count;
};

struct access_actor {
    _Atomic uint32_t references;
    struct arena arena; /* holds the actor itself */
    struct access *access;
    const struct policy_role *role;
    uint64_t epoch;  /* of the directory */
    int64_t ends_ms; /* the post's period ends */
    struct str person;
    struct str post;
    struct str organization;
    struct str tenant;
    const uint64_t *own; /* keys of the tenant's organisations */
    size_t own_count;
    const uint64_t *led; /* the same and those that it leads */
    size_t led_count;
    const struct str *organizations; /* led as ids: the own ones are the first own_count */
    const size_t *above;             /* of each: the place of the one it is part of, or its own at a top */
    const uint64_t *posts;           /* keys by which grants count */
    size_t posts_count;
    const struct actor_rule *rules;
    size_t rules_count;
    const struct scope_list *scopes; /* NULL: not an app */
    const struct actor_reach *reaches;
    size_t reaches_count;
    struct str patient; /* in context, for patient/ scopes; absent: these give nothing */
    struct actor_filter
        filters[ACCESS_OPERATION]; /* by interaction; operations are put together when asked */
};

/* ---- the instance part of one rule ---- */

/* ---- actor_rules.c ---- */

bool actor_rules_make(struct access_actor *actor, struct arena *scratch, struct error *error) MUST_CHECK;
bool actor_rules_of_act(const struct access_actor *actor, struct access_act act, struct arena *arena,
                        struct actor_filter *filter, struct error *error) MUST_CHECK;

/* Whether rule, scope and operation let the act be. */
bool actor_rule_has_act(const struct access_actor *actor, const struct actor_rule *rule,
                        struct access_act act);

/* The rule's part for a type, or NULL. */
const struct store_rule *actor_rule_part(const struct actor_rule *rule, struct str type);

/* A filter of rules of this actor. */
struct store_filter actor_filter(const struct access_actor *actor, const struct store_rule *rules,
                                 size_t count, int64_t now_ms);

#endif
