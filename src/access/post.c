/* post.c — posts of a person as the directory has them: role, organisation, tenant. */
#include <assert.h>

#include "access/actor.h"
#include "access/internal.h"
#include "access/row_json.h"
#include "base/clock.h"

#define ROLE_SYSTEM "urn:shanhai:codes:role"

enum { ORGANIZATION_DEPTH_MAX = 12, OFFSET_MINUTES = 480 };

/* "Organization/x" → x; STR_NONE for anything else. */
struct str reference_id(struct arena *arena, const struct json *reference, struct str type)
{
    struct str text = JSON_TEXT(arena, reference, "reference");
    if (!str_starts_with(text, type) || text.len <= type.len + 1 || text.at[type.len] != '/') {
        return STR_NONE;
    }
    struct str id = str_skip(text, type.len + 1);
    return str_find_char(id, '/') == id.len && id.len < ACCESS_ID_BYTES ? id : STR_NONE;
}

/* The first code of our system that a policy knows. Roles of machines are nobody's post. */
static const struct policy_role *role_of(const struct access *access, struct arena *arena,
                                         const struct json *post)
{
    JSON_EACH(concept, JSON_GET(post, "code")) {
        JSON_EACH(coding, JSON_GET(concept, "coding")) {
            if (!json_equals_text(JSON_GET(coding, "system"), STR(ROLE_SYSTEM))) {
                continue;
            }
            const struct policy_role *role =
                policy_role_find(&access->policies, JSON_TEXT(arena, coding, "code"));
            if (role != NULL && !role->machine) {
                return role;
            }
        }
    }
    return NULL;
}

/* Whether now lies in a Period; *ends_ms is its end when that is sooner. A damaged date ends the post. */
static bool period_holds(struct arena *arena, const struct json *period, int64_t now_ms, int64_t *ends_ms)
{
    struct date_span span;
    struct error ignored = { 0 };
    struct str start = JSON_TEXT(arena, period, "start");
    struct str end = JSON_TEXT(arena, period, "end");
    if (start.len > 0 && (!date_parse(start, OFFSET_MINUTES, &span, &ignored) || span.from_ms > now_ms)) {
        return false;
    }
    if (end.len > 0) {
        if (!date_parse(end, OFFSET_MINUTES, &span, &ignored) || span.to_ms <= now_ms) {
            return false;
        }
        *ends_ms = span.to_ms < *ends_ms ? span.to_ms : *ends_ms;
    }
    return true;
}

static bool organization_is(const struct json *organization, const char *kind)
{
    JSON_EACH(concept, JSON_GET(organization, "type")) {
        JSON_EACH(coding, JSON_GET(concept, "coding")) {
            if (json_equals_text(JSON_GET(coding, "code"), str_from_cstr(kind))) {
                return true;
            }
        }
    }
    return false;
}

/* Up by partOf. A hospital's tenant is the highest organisation below the authority (type govt): the
 * authority over several hospitals must not make them one tenant. From within the authority's own side
 * (govt, or a team or command under it) the way goes to the top. */
static bool tenant_climb(struct access *access, struct arena *arena, struct post_info *info,
                         struct error *error)
{
    const struct access_directory *directory = &access->options.directory;
    struct str id = info->organization;
    bool authority_side = false;
    info->line_count = 0;
    for (size_t depth = 0; depth < ORGANIZATION_DEPTH_MAX && id.len > 0; depth++) {
        struct json *organization = NULL;
        if (!directory->read(directory->context, arena, STR("Organization"), id, &organization, error)) {
            return false;
        }
        if (organization == NULL) {
            break;
        }
        bool govt = organization_is(organization, "govt");
        if (depth == 0) {
            authority_side = govt || organization_is(organization, "team");
            info->organization_name = JSON_TEXT(arena, organization, "name");
        } else if (govt && !authority_side) {
            break;
        }
        info->tenant = id;
        info->tenant_name = JSON_TEXT(arena, organization, "name");
        info->line[info->line_count++] = id;
        id = reference_id(arena, JSON_GET(organization, "partOf"), STR("Organization"));
    }
    return true;
}

bool access_tenant_of(struct access *access, struct arena *arena, struct str organization, struct str *tenant,
                      struct error *error)
{
    struct post_info info = { .organization = organization };
    if (organization.len > 0 && !tenant_climb(access, arena, &info, error)) {
        return false;
    }
    *tenant = info.tenant.len > 0 ? info.tenant : organization;
    return true;
}

bool post_read(struct access *access, struct arena *arena, const struct json *resource,
               struct post_info *info, struct error *error)
{
    struct post_info out = { .ends_ms = INT64_MAX };
    int64_t now_ms = access_now_ms(access);
    out.role = role_of(access, arena, resource);
    out.organization = reference_id(arena, JSON_GET(resource, "organization"), STR("Organization"));
    out.practitioner = reference_id(arena, JSON_GET(resource, "practitioner"), STR("Practitioner"));
    out.id = JSON_TEXT(arena, resource, "id");
    const struct json *active = JSON_GET(resource, "active");
    out.usable = out.role != NULL && out.organization.len > 0 && out.id.len > 0 &&
                 (active == NULL || json_is_true(active)) &&
                 period_holds(arena, JSON_GET(resource, "period"), now_ms, &out.ends_ms);
    if (out.usable) {
        if (!tenant_climb(access, arena, &out, error)) {
            return false;
        }
        out.usable = out.tenant.len > 0;
    }
    *info = out;
    return true;
}

/* The oldest first (ids grow): the post that a person had before others is the one to begin with. */
static void posts_sort(struct post_info *posts, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct post_info moved = posts[i];
        size_t at = i;
        for (; at > 0 && str_compare(moved.id, posts[at - 1].id) < 0; at--) {
            posts[at] = posts[at - 1];
        }
        posts[at] = moved;
    }
}

bool posts_of(struct access *access, struct arena *arena, struct str practitioner, struct post_info **posts,
              size_t *count, struct error *error)
{
    const struct access_directory *directory = &access->options.directory;
    struct json *resources = NULL;
    struct access_lookup lookup = { .type = STR("PractitionerRole"),
                                    .parameter = STR("practitioner"),
                                    .reference = arena_concat(arena, STR("Practitioner/"), practitioner) };
    struct post_info *list = ARENA_ARRAY(arena, struct post_info, ACCESS_POSTS_MAX);
    if (list == NULL || lookup.reference.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!directory->search(directory->context, arena, &lookup, &resources, error)) {
        return false;
    }
    size_t found = 0;
    JSON_EACH(resource, resources) {
        if (found == ACCESS_POSTS_MAX) {
            break; /* nobody holds so many at once; the rest can be reached by ending some */
        }
        if (!post_read(access, arena, resource, &list[found], error)) {
            return false;
        }
        if (list[found].usable && str_equal(list[found].practitioner, practitioner)) {
            found++;
        }
    }
    posts_sort(list, found);
    *posts = list;
    *count = found;
    return true;
}

bool access_role_is_for_people(const struct access *access, struct str role)
{
    const struct policy_role *found = policy_role_find(&access->policies, role);
    return found != NULL && !found->machine;
}

bool account_posts(struct access *access, struct arena *arena, struct str name, struct str *practitioner,
                   struct json **posts, struct error *error)
{
    struct account account;
    struct post_info *found = NULL;
    size_t count = 0;
    if (!account_copy(access, name, &account, error)) {
        return false;
    }
    struct str person = arena_dup(arena, str_from_cstr(account.practitioner));
    struct json *list = json_new(arena, JSON_ARRAY);
    if (!posts_of(access, arena, person, &found, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        (void)json_append(list, post_json(arena, &found[i]));
    }
    if (list == NULL || list->count != count) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *practitioner = person;
    *posts = list;
    return true;
}

static struct json *organization_json(struct arena *arena, struct str id, struct str name)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add(object, STR("id"), json_new_string(arena, id));
    (void)json_add(object, STR("name"), json_new_string(arena, name.at == NULL ? STR("") : name));
    return object;
}

struct json *post_json(struct arena *arena, const struct post_info *post)
{
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add(object, STR("id"), json_new_string(arena, post->id));
    (void)json_add(object, STR("role"), json_new_string(arena, post->role->code));
    struct json *title = json_add(object, STR("title"), json_new(arena, JSON_OBJECT));
    (void)json_add(title, STR("zh"), json_new_string(arena, post->role->title));
    (void)json_add(title, STR("en"), json_new_string(arena, post->role->title_en));
    (void)json_add(object, STR("organization"),
                   organization_json(arena, post->organization, post->organization_name));
    (void)json_add(object, STR("tenant"), organization_json(arena, post->tenant, post->tenant_name));
    return object;
}

/* The name as people write it: text, else family and given without a blank (Chinese order). */
static struct str person_name(struct arena *arena, const struct json *person)
{
    const struct json *name = json_at(JSON_GET(person, "name"), 0);
    struct str text = JSON_TEXT(arena, name, "text");
    if (text.len > 0) {
        return text;
    }
    struct str given = json_text(arena, json_at(JSON_GET(name, "given"), 0));
    return arena_concat(arena, JSON_TEXT(arena, name, "family"), given);
}

static struct json *person_json(struct access *access, struct arena *arena, struct str id,
                                struct error *error)
{
    const struct access_directory *directory = &access->options.directory;
    struct json *person = NULL;
    if (!directory->read(directory->context, arena, STR("Practitioner"), id, &person, error)) {
        return NULL;
    }
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add(object, STR("id"), json_new_string(arena, id));
    (void)json_add(object, STR("name"), json_new_string(arena, person_name(arena, person)));
    return object;
}

bool session_info(struct access *access, const struct access_session *session, struct arena *arena,
                  struct json **info, struct error *error)
{
    struct post_info *posts = NULL;
    size_t count = 0;
    struct session state;
    if (!session_state(access, session, &state, error) ||
        !posts_of(access, arena, session->person, &posts, &count, error)) {
        return false;
    }
    struct json *person = person_json(access, arena, session->person, error);
    if (person == NULL) {
        return false;
    }
    struct json *object = json_new(arena, JSON_OBJECT);
    (void)json_add(object, STR("person"), person);
    (void)json_add(object, STR("account"),
                   json_new_string(arena, arena_dup(arena, str_from_cstr(state.account))));
    struct json *list = json_new(arena, JSON_ARRAY);
    for (size_t i = 0; i < count; i++) {
        (void)json_append(list, post_json(arena, &posts[i]));
        if (str_equal(posts[i].id, session->post)) {
            (void)json_add(object, STR("post"), post_json(arena, &posts[i]));
        }
    }
    (void)json_add(object, STR("posts"), list);
    const struct policy_role *role = session->actor->role;
    struct json *rights = json_add(object, STR("rights"), json_new(arena, JSON_ARRAY));
    for (size_t i = 0; i < role->rights_count; i++) {
        (void)json_append(rights, json_new_string(arena, role->rights[i]));
    }
    (void)json_add(object, STR("csrf"),
                   json_new_string(arena, session->csrf.at == NULL ? STR("") : session->csrf));
    (void)json_add(object, STR("language"), json_new_string(arena, session->language));
    (void)json_add(object, STR("mustChangePassword"), json_new_bool(arena, session->must_change_password));
    (void)json_add(object, STR("idleSeconds"),
                   json_new_integer(arena, (int64_t)access->options.idle_seconds));
    if (json_add(object, STR("endsAt"), row_time_json(arena, state.ends_ms)) == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *info = object;
    return true;
}
