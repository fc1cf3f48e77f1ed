#include "access/actor.h"

enum { ACTOR_BYTES_MAX = 8 * 1024 * 1024, ORGANIZATIONS_MAX = 4096 };

/* ---- organisations below and led ---- */

struct keys {
    struct arena *arena; /* of the actor */
    uint64_t *list;
    struct str *ids; /* the same in text, while walking */
    size_t *above;
    size_t count;
};

/* What has nothing above it here. */
#define KEYS_TOP SIZE_MAX

static bool keys_add(struct keys *keys, struct str id, size_t above, struct error *error)
{
    uint64_t key = hash_resource_key(STR("Organization"), id);
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->list[i] == key) {
            return true;
        }
    }
    if (keys->count == ORGANIZATIONS_MAX) {
        return FAIL(error, ERROR_TOO_LARGE, "a tenant has at most %d organisations", ORGANIZATIONS_MAX);
    }
    keys->ids[keys->count] = id;
    keys->above[keys->count] = above == KEYS_TOP ? keys->count : above;
    keys->list[keys->count++] = key;
    return true;
}

static bool lookup(struct access *access, struct arena *arena, struct access_lookup *lookup, struct str id,
                   struct json **resources, struct error *error)
{
    const struct access_directory *directory = &access->options.directory;
    lookup->reference = arena_concat(arena, STR("Organization/"), id);
    if (lookup->reference.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    return directory->search(directory->context, arena, lookup, resources, error);
}

/* Everything below the organisations from position `from` on. */
static bool keys_descend(struct access *access, struct arena *scratch, struct keys *keys, size_t from,
                         struct error *error)
{
    for (size_t i = from; i < keys->count; i++) {
        struct access_lookup by = { .type = STR("Organization"), .parameter = STR("partof") };
        struct json *children = NULL;
        if (!lookup(access, scratch, &by, keys->ids[i], &children, error)) {
            return false;
        }
        JSON_EACH(child, children) {
            if (!keys_add(keys, JSON_TEXT(scratch, child, "id"), i, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool affiliation_leads(const struct json *affiliation)
{
    const struct json *active = JSON_GET(affiliation, "active");
    if (active != NULL && !json_is_true(active)) {
        return false;
    }
    JSON_EACH(concept, JSON_GET(affiliation, "code")) {
        JSON_EACH(coding, JSON_GET(concept, "coding")) {
            if (json_equals_text(JSON_GET(coding, "system"), STR("urn:shanhai:codes:affiliation")) &&
                json_equals_text(JSON_GET(coding, "code"), STR("command"))) {
                return true;
            }
        }
    }
    return false;
}

/* Those that the tenant leads by an OrganizationAffiliation of code command, and what is below them. */
static bool keys_lead(struct access *access, struct arena *scratch, struct keys *keys, struct str tenant,
                      struct error *error)
{
    struct access_lookup by = { .type = STR("OrganizationAffiliation"),
                                .parameter = STR("primary-organization") };
    struct json *affiliations = NULL;
    size_t from = keys->count;
    if (!lookup(access, scratch, &by, tenant, &affiliations, error)) {
        return false;
    }
    JSON_EACH(affiliation, affiliations) {
        struct str id =
            reference_id(scratch, JSON_GET(affiliation, "participatingOrganization"), STR("Organization"));
        if (affiliation_leads(affiliation) && id.len > 0 && !keys_add(keys, id, KEYS_TOP, error)) {
            return false;
        }
    }
    return keys_descend(access, scratch, keys, from, error);
}

static bool keys_keep(struct arena *arena, const struct keys *keys, const uint64_t **list, size_t *count,
                      struct error *error)
{
    uint64_t *copy = ARENA_ARRAY(arena, uint64_t, keys->count + 1);
    if (copy == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
    }
    memcpy(copy, keys->list, keys->count * sizeof *copy);
    *list = copy;
    *count = keys->count;
    return true;
}

/* The ids, for the administrator's rules and lists and for figures. */
static bool ids_keep(struct access_actor *actor, const struct keys *keys, struct error *error)
{
    struct str *ids = ARENA_ARRAY(&actor->arena, struct str, keys->count + 1);
    size_t *above = ARENA_ARRAY(&actor->arena, size_t, keys->count + 1);
    bool ok = ids != NULL && above != NULL;
    for (size_t i = 0; ok && i < keys->count; i++) {
        ids[i] = arena_dup(&actor->arena, keys->ids[i]);
        above[i] = keys->above[i];
        ok = ids[i].at != NULL;
    }
    actor->organizations = ids;
    actor->above = above;
    return ok ? true : FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
}

static bool organizations_find(struct access_actor *actor, struct arena *scratch, bool leads,
                               struct error *error)
{
    struct keys keys = { .list = ARENA_ARRAY(scratch, uint64_t, ORGANIZATIONS_MAX),
                         .ids = ARENA_ARRAY(scratch, struct str, ORGANIZATIONS_MAX),
                         .above = ARENA_ARRAY(scratch, size_t, ORGANIZATIONS_MAX) };
    if (keys.list == NULL || keys.ids == NULL || keys.above == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
    }
    if (actor->tenant.len == 0) {
        return true; /* a job that belongs to no organisation */
    }
    return keys_add(&keys, actor->tenant, KEYS_TOP, error) &&
           keys_descend(actor->access, scratch, &keys, 0, error) &&
           keys_keep(&actor->arena, &keys, &actor->own, &actor->own_count, error) &&
           (!leads || keys_lead(actor->access, scratch, &keys, actor->tenant, error)) &&
           keys_keep(&actor->arena, &keys, &actor->led, &actor->led_count, error) &&
           ids_keep(actor, &keys, error);
}

/* ---- posts by which grants count ---- */

uint64_t access_grantee_key(struct str grantee)
{
    static const struct str post = { "PractitionerRole/", 17 };
    static const struct str organization = { "Organization/", 13 };
    if (str_starts_with(grantee, post) && grantee.len > post.len) {
        return hash_resource_key(STR("PractitionerRole"), str_skip(grantee, post.len));
    }
    size_t bar = str_find_char(grantee, '|');
    if (str_starts_with(grantee, organization) && bar > organization.len && bar + 1 < grantee.len) {
        return hash_resource_key(STR("Organization"), str_skip(grantee, organization.len));
    }
    return 0;
}

static bool posts_make(struct access_actor *actor, struct arena *scratch, const struct post_info *info,
                       struct error *error)
{
    uint64_t *posts = ARENA_ARRAY(&actor->arena, uint64_t, info->line_count + 1);
    if (posts == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
    }
    posts[actor->posts_count++] = hash_resource_key(STR("PractitionerRole"), actor->post);
    for (size_t i = 0; i < info->line_count; i++) {
        struct str grantee = arena_printf(scratch, "Organization/%.*s|%.*s", STR_FMT(info->line[i]),
                                          STR_FMT(actor->role->code));
        if (grantee.at == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of a post");
        }
        posts[actor->posts_count++] = access_grantee_key(grantee);
    }
    actor->posts = posts;
    return true;
}

/* ---- making ---- */

/* An app's scopes, as texts of the actor's own. */
static bool scopes_take(struct access_actor *actor, const struct actor_start *start, struct error *error)
{
    struct scope_list *list = ARENA_NEW(&actor->arena, struct scope_list);
    struct str text = start->scopes.at == NULL ? STR_NONE : arena_dup(&actor->arena, start->scopes);
    if (start->scopes.at == NULL) {
        return true;
    }
    actor->patient = arena_dup(&actor->arena, start->patient);
    if (list == NULL || text.at == NULL || !scope_list_read(&actor->arena, text, list, error)) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the rights of an app");
    }
    actor->scopes = list;
    return true;
}

static bool start_look(struct access *access, struct arena *scratch, const struct actor_start *start,
                       struct post_info *info, struct error *error)
{
    const struct access_directory *directory = &access->options.directory;
    struct json *resource = NULL;
    if (start->role.len > 0) {
        *info = (struct post_info){ .id = start->role,
                                    .role = policy_role_find(&access->policies, start->role),
                                    .organization = start->organization,
                                    .tenant = start->organization,
                                    .ends_ms = INT64_MAX };
        return info->role != NULL && info->role->machine
                   ? true
                   : FAIL(error, ERROR_FORBIDDEN, "there is no policy for this machine's role");
    }
    if (!directory->read(directory->context, scratch, STR("PractitionerRole"), start->post, &resource,
                         error)) {
        return false;
    }
    if (resource != NULL && !post_read(access, scratch, resource, info, error)) {
        return false;
    }
    if (resource == NULL || !info->usable || !str_equal(info->practitioner, start->practitioner)) {
        return FAIL(error, ERROR_FORBIDDEN, "the post has ended or was taken away: sign in again");
    }
    return true;
}

bool actor_create(struct access *access, const struct actor_start *start, struct access_actor **actor,
                  struct error *error)
{
    struct arena scratch = { .bytes_max = 64 * 1024 * 1024 };
    struct arena arena = { .bytes_max = ACTOR_BYTES_MAX };
    struct post_info info = { 0 };
    bool ok = false;
    uint64_t epoch =
        atomic_load(&access->directory_epoch); /* before reading: a later change makes it stale */
    struct access_actor *made = ARENA_NEW(&arena, struct access_actor);
    if (made == NULL) {
        (void)FAIL(error, ERROR_BUSY, "no memory for the rights of a post");
        goto done;
    }
    made->arena = arena;
    made->access = access;
    made->epoch = epoch;
    atomic_init(&made->references, 1);
    if (!start_look(access, &scratch, start, &info, error)) {
        goto done;
    }
    made->role = info.role;
    made->ends_ms = info.ends_ms;
    made->person = arena_dup(&made->arena, start->practitioner);
    made->post = arena_dup(&made->arena, info.id);
    made->organization = arena_dup(&made->arena, info.organization);
    made->tenant = arena_dup(&made->arena, info.tenant);
    ok = organizations_find(made, &scratch, true, error) &&
         (info.role->machine || posts_make(made, &scratch, &info, error)) &&
         scopes_take(made, start, error) && actor_rules_make(made, &scratch, error);
done:
    arena_deinit(&scratch);
    if (ok) {
        *actor = made;
    } else if (made != NULL) {
        arena = made->arena;
        arena_deinit(&arena);
    }
    return ok;
}

struct access_actor *actor_ref(struct access_actor *actor)
{
    (void)atomic_fetch_add(&actor->references, 1);
    return actor;
}

void actor_unref(struct access_actor *actor)
{
    if (actor != NULL && atomic_fetch_sub(&actor->references, 1) == 1) {
        struct arena arena = actor->arena;
        arena_deinit(&arena);
    }
}

bool actor_is_stale(const struct access *access, const struct access_actor *actor)
{
    return actor->epoch != atomic_load(&access->directory_epoch) || access_now_ms(access) >= actor->ends_ms;
}

static void actor_let_go(void *actor)
{
    actor_unref(actor);
}

bool actor_attach(struct arena *arena, struct access_actor *actor, struct access_session *session,
                  struct error *error)
{
    if (!arena_on_reset(arena, actor_let_go, actor)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    session->actor = actor;
    session->person = actor->person;
    session->post = actor->post;
    session->role = actor->role->code;
    session->organization = actor->organization;
    session->tenant = actor->tenant;
    return true;
}

const struct store_rule *actor_rule_part(const struct actor_rule *rule, struct str type)
{
    for (size_t i = 0; i < rule->parts_count; i++) {
        if (str_equal(rule->parts[i].type, type) || str_equal(rule->parts[i].type, STR("*"))) {
            return &rule->parts[i];
        }
    }
    return NULL;
}

struct store_filter actor_filter(const struct access_actor *actor, const struct store_rule *rules,
                                 size_t count, int64_t now_ms)
{
    return (struct store_filter){ .rules = rules,
                                  .rules_count = count,
                                  .posts = actor->posts,
                                  .posts_count = actor->posts_count,
                                  .now_ms = now_ms };
}

/* ---- access.h ---- */

const struct str *access_organizations(const struct access_session *session, size_t *count)
{
    *count = session->actor->own_count;
    return session->actor->organizations;
}

bool access_filter(const struct access_session *session, struct access_act act, struct arena *arena,
                   const struct store_filter **filter, struct error *error)
{
    const struct access_actor *actor = session->actor;
    struct actor_filter found = { 0 };
    struct store_filter *out = ARENA_NEW(arena, struct store_filter);
    if (out == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (act.interaction != ACCESS_OPERATION) {
        found = actor->filters[act.interaction];
    } else if (!actor_rules_of_act(actor, act, arena, &found, error)) {
        return false;
    }
    *out = actor_filter(actor, found.rules, found.count, access_now_ms(actor->access));
    *filter = out;
    return true;
}
