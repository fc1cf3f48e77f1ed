/* access.c — what a role may do, write and see unmasked (access.h); which instances is actor.c. */
#include <assert.h>
#include <stdio.h>

#include "access/actor.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/table.h"
#include "fhirpath/fhirpath.h"

static const char *interaction_name(struct access_act act, char out[ACCESS_ID_BYTES])
{
    static const char *const names[] = { "read", "search", "history", "create", "update", "delete" };
    if (act.interaction != ACCESS_OPERATION) {
        return names[act.interaction];
    }
    (void)snprintf(out, ACCESS_ID_BYTES, "%.*s", STR_FMT(str_slice(act.operation, 0, 40)));
    return out;
}

bool access_has(const struct access_session *session, struct access_act act)
{
    const struct access_actor *actor = session->actor;
    if (session->must_change_password) {
        return false;
    }
    for (size_t i = 0; i < actor->rules_count; i++) {
        const struct actor_rule *rule = &actor->rules[i];
        if (actor_rule_has_act(actor, rule, act) && actor_rule_part(rule, act.type) != NULL) {
            return true;
        }
    }
    return false;
}

bool access_check(const struct access_session *session, struct access_act act, struct error *error)
{
    char name[ACCESS_ID_BYTES];
    if (session->must_change_password) {
        return FAIL(error, ERROR_FORBIDDEN, "change the password first");
    }
    if (access_has(session, act)) {
        return true;
    }
    return FAIL(error, ERROR_FORBIDDEN, "the role %.*s has no %s of %.*s", STR_FMT(session->role),
                interaction_name(act, name), STR_FMT(str_slice(act.type, 0, 40)));
}

bool access_has_right(const struct access_session *session, const char *right)
{
    const struct policy_role *role = session->actor->role;
    const struct scope_list *scopes = session->actor->scopes;
    if (scopes != NULL && !scope_list_has_right(scopes, str_from_cstr(right))) {
        return false;
    }
    for (size_t i = 0; i < role->rights_count && !session->must_change_password; i++) {
        if (str_equal_cstr(role->rights[i], right)) {
            return true;
        }
    }
    return false;
}

/* Whether one of the actor's organisations is, or lies below, the one at place `top`. */
static bool lies_below(const struct access_actor *actor, size_t at, size_t top)
{
    for (size_t steps = 0; at != top && actor->above[at] != at && steps < actor->led_count; steps++) {
        at = actor->above[at];
    }
    return at == top;
}

bool access_figure_scope(const struct access_session *session, struct str asked, struct arena *arena,
                         struct str *organizations, struct error *error)
{
    const struct access_actor *actor = session->actor;
    size_t count = access_has_right(session, "reports") ? actor->led_count : actor->own_count;
    size_t top = 0;
    if (asked.len == 0 && actor->tenant.len == 0) {
        *organizations = STR_NONE;
        return true;
    }
    while (asked.len > 0 && top < count && !str_equal(actor->organizations[top], asked)) {
        top++;
    }
    if (count == 0 || top == count) {
        return FAIL(error, ERROR_FORBIDDEN, "figures of this organisation are not yours to ask for");
    }
    struct buf list = { .bytes_max = LIMIT_RESOURCE_BYTES };
    for (size_t i = 0; i < count; i++) {
        if (asked.len == 0 || lies_below(actor, i, top)) {
            buf_add(&list, list.len == 0 ? STR("") : STR(" "));
            buf_add(&list, actor->organizations[i]);
        }
    }
    struct str made = list.failed ? STR_NONE : arena_dup(arena, buf_str(&list));
    buf_deinit(&list);
    if (made.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *organizations = made;
    return true;
}

bool access_need_right(const struct access_session *session, const char *right, struct error *error)
{
    if (session->must_change_password) {
        return FAIL(error, ERROR_FORBIDDEN, "change the password first");
    }
    return access_has_right(session, right)
               ? true
               : FAIL(error, ERROR_FORBIDDEN, "the role %.*s lacks the right '%s'", STR_FMT(session->role),
                      right);
}

/* ---- writing ---- */

static bool key_among(uint64_t key, const uint64_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i] == key) {
            return true;
        }
    }
    return false;
}

/* Whether the stored version fits one rule's instance part. */
static bool part_matches(const struct access_actor *actor, const struct access_write *write,
                         const struct store_rule *part, bool *matches, struct error *error)
{
    if (write->previous_version == NULL) {
        *matches = true;
        return true;
    }
    if (part->criteria == NULL && !part->granted && part->granted_through == 0) {
        *matches = part->custodians == NULL ||
                   key_among(write->previous_version->custodian, part->custodians, part->custodians_count);
        return true;
    }
    struct store_filter filter = actor_filter(actor, part, 1, write->now_ms);
    return store_matches(write->reader, write->previous_version, &filter, matches, error);
}

struct variables {
    struct fhirpath_variable list[7];
    struct fhirpath_item items[7];
    struct fhirpath_item *organizations;
};

/* %organizations: "Organization/x" for each of the tenant's. */
static bool organizations_fill(const struct access_actor *actor, struct arena *arena, struct variables *out,
                               struct error *error)
{
    out->organizations = ARENA_ARRAY(arena, struct fhirpath_item, actor->own_count + 1);
    bool ok = out->organizations != NULL;
    for (size_t i = 0; ok && i < actor->own_count; i++) {
        struct str text = arena_concat(arena, STR("Organization/"), actor->organizations[i]);
        out->organizations[i] = fhirpath_item_of_string(text);
        ok = text.at != NULL;
    }
    return ok ? true : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* %resource is FHIRPath's own; here come %previous and who asks. An absent one is empty. */
static const struct fhirpath_variable *variables_fill(const struct access_actor *actor,
                                                      const struct access_write *write, struct variables *out)
{
    const struct {
        struct str name;
        struct str text;
    } texts[] = { { STR("practitioner"), actor->person },
                  { STR("post"), actor->post },
                  { STR("organization"), actor->organization },
                  { STR("tenant"), actor->tenant } };
    size_t count = 0;
    for (; count < sizeof texts / sizeof texts[0]; count++) {
        out->items[count] = fhirpath_item_of_string(texts[count].text);
        out->list[count] =
            (struct fhirpath_variable){ .name = texts[count].name,
                                        .value = { &out->items[count], texts[count].text.len > 0 ? 1 : 0 } };
    }
    if (write->previous != NULL) {
        out->items[count] = fhirpath_item_of_resource(write->previous);
    }
    out->list[count] = (struct fhirpath_variable){ .name = STR("previous"),
                                                   .value = { &out->items[count], write->previous != NULL } };
    out->list[count + 1] = (struct fhirpath_variable){ .name = STR("organizations"),
                                                       .value = { out->organizations, actor->own_count } };
    for (size_t i = 0; i <= count; i++) {
        out->list[i].next = &out->list[i + 1];
    }
    return &out->list[0];
}

/* The stored resource that a reference names; *found is false when there is none. */
static bool reference_read(const struct access_write *write, struct arena *arena, struct str reference,
                           struct store_version *version, bool *found, struct error *error)
{
    struct error missing = { 0 };
    size_t slash = str_find_char(reference, '/');
    struct str type = str_slice(reference, 0, slash);
    struct str id = str_skip(reference, slash + 1);
    *found = false;
    if (slash == reference.len || str_find_char(id, '/') < id.len || write->reader == NULL) {
        return true;
    }
    *found = store_read_head(write->reader, arena, type, id, version, &missing);
    if (!*found && missing.kind != ERROR_NOT_FOUND && missing.kind != ERROR_INPUT) {
        *error = missing;
        return false;
    }
    return true;
}

struct reference_check {
    const struct access_session *session;
    const struct access_write *write;
    struct arena *arena;
};

/* May be read by the session, or is written in the same transaction. */
static bool reference_visible(const struct reference_check *check, struct str reference, bool *visible,
                              struct error *error)
{
    const struct store_filter *filter = NULL;
    struct store_version version;
    *visible = check->write->created != NULL && table_get(check->write->created, reference) != NULL;
    if (*visible) {
        return true;
    }
    bool found = false;
    if (!reference_read(check->write, check->arena, reference, &version, &found, error)) {
        return false;
    }
    if (!found) {
        return true;
    }
    return access_filter(check->session, (struct access_act){ .interaction = ACCESS_READ }, check->arena,
                         &filter, error) &&
           store_matches(check->write->reader, &version, filter, visible, error);
}

/* Is kept by the tenant itself. */
static bool reference_own(const struct reference_check *check, struct str reference, bool *own,
                          struct error *error)
{
    const struct access_actor *actor = check->session->actor;
    struct store_version version;
    bool found = false;
    *own = false;
    if (!reference_read(check->write, check->arena, reference, &version, &found, error)) {
        return false;
    }
    *own = found && key_among(version.custodian, actor->own, actor->own_count);
    return true;
}

/* Every reference that the expressions give passes; those inside one transaction (urn:uuid:) were made real before. */
static bool references_pass(const struct reference_check *check, const struct fhirpath *const *paths,
                            size_t count,
                            bool (*one)(const struct reference_check *check, struct str reference,
                                        bool *passes, struct error *error),
                            bool *pass, struct error *error)
{
    *pass = true;
    for (size_t i = 0; i < count && *pass; i++) {
        struct fhirpath_context context = { .arena = check->arena };
        struct fhirpath_collection found;
        if (!fhirpath_evaluate_on_resource(paths[i], &context, check->write->resource, &found, error)) {
            return false;
        }
        for (size_t k = 0; k < found.count && *pass; k++) {
            struct fhirpath_item text = fhirpath_item_to_system(check->arena, &found.items[k]);
            if (!one(check, fhirpath_item_text(check->arena, &text), pass, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool references_hold(const struct access_session *session, const struct access_write *write,
                            struct arena *arena, const struct policy_rule *rule, bool *hold,
                            struct error *error)
{
    const struct reference_check check = { .session = session, .write = write, .arena = arena };
    return references_pass(&check, rule->sees, rule->sees_count, reference_visible, hold, error) &&
           (!*hold || references_pass(&check, rule->own, rule->own_count, reference_own, hold, error));
}

static bool constraint_holds(const struct access_actor *actor, const struct access_write *write,
                             struct arena *arena, const struct policy_rule *rule, bool *holds,
                             struct error *error)
{
    struct variables variables = { 0 };
    const struct json *input = write->resource != NULL ? write->resource : write->previous;
    *holds = true;
    if (rule->write == NULL || input == NULL) {
        return true;
    }
    if (!organizations_fill(actor, arena, &variables, error)) {
        return false;
    }
    struct fhirpath_context context = { .arena = arena,
                                        .resource = write->resource,
                                        .variables = variables_fill(actor, write, &variables),
                                        .now_ms = write->now_ms };
    struct fhirpath_item item = fhirpath_item_of_resource(input);
    return fhirpath_test(rule->write, &context, &item, holds, error);
}

/* 404 when the stored version may not even be read. */
static bool previous_readable(const struct access_session *session, const struct access_write *write,
                              struct error *error)
{
    bool matches = false;
    const struct access_actor *actor = session->actor;
    struct access_act read = { .interaction = ACCESS_READ, .type = write->act.type };
    if (write->previous_version == NULL) {
        return true;
    }
    for (size_t i = 0; i < actor->rules_count && !matches; i++) {
        const struct store_rule *part = actor_rule_part(&actor->rules[i], write->act.type);
        if (part != NULL && actor_rule_has_act(actor, &actor->rules[i], read) &&
            !part_matches(actor, write, part, &matches, error)) {
            return false;
        }
    }
    return matches ? true
                   : FAIL(error, ERROR_NOT_FOUND, "there is no such resource, or it is not to be seen");
}

static const struct policy_mask *mask_of(const struct access_session *session, struct str type)
{
    const struct policy_role *role = session->actor->role;
    for (size_t i = 0; i < role->masks_count; i++) {
        if (str_equal(role->masks[i].type, type)) {
            return &role->masks[i];
        }
    }
    return NULL;
}

static bool refuse_with(const struct access_session *session, const struct policy_rule *closest,
                        struct access_act act, struct error *error)
{
    char name[ACCESS_ID_BYTES];
    if (closest != NULL && closest->message.len > 0) {
        bool english = str_equal(session->language, STR("en")) && closest->message_en.len > 0;
        return FAIL(error, ERROR_FORBIDDEN, "%.*s",
                    STR_FMT(english ? closest->message_en : closest->message));
    }
    return FAIL(error, ERROR_FORBIDDEN, "the role %.*s may not %s this %.*s", STR_FMT(session->role),
                interaction_name(act, name), STR_FMT(str_slice(act.type, 0, 40)));
}

bool access_may_write(const struct access_session *session, const struct access_write *write,
                      struct arena *arena, struct error *error)
{
    const struct access_actor *actor = session->actor;
    const struct policy_rule *closest = NULL;
    if (!access_check(session, write->act, error) || !previous_readable(session, write, error)) {
        return false;
    }
    if (write->previous != NULL && mask_of(session, write->act.type) != NULL) {
        return FAIL(error, ERROR_FORBIDDEN, "who sees a %.*s masked cannot change it",
                    STR_FMT(str_slice(write->act.type, 0, 40)));
    }
    for (size_t i = 0; i < actor->rules_count; i++) {
        const struct actor_rule *rule = &actor->rules[i];
        const struct store_rule *part = actor_rule_part(rule, write->act.type);
        bool fits = false;
        if (part == NULL || !actor_rule_has_act(actor, rule, write->act)) {
            continue;
        }
        if (!part_matches(actor, write, part, &fits, error)) {
            return false;
        }
        if (!fits) {
            continue;
        }
        closest = rule->rule;
        if (!constraint_holds(actor, write, arena, rule->rule, &fits, error) ||
            (fits && !references_hold(session, write, arena, rule->rule, &fits, error))) {
            return false;
        }
        if (fits) {
            return true;
        }
    }
    return refuse_with(session, closest, write->act, error);
}

/* ---- masking ---- */

bool access_masks_type(const struct access_session *session, struct str type)
{
    (void)type; /* a reference to a masked patient may carry the name as display in any type */
    return session->actor->role->masks_count > 0;
}

bool access_parameter_allowed(const struct access_session *session, struct str type, struct str name,
                              struct error *error)
{
    /* Over all types only common parameters are known; _text and its like would look into the masked ones too. */
    const struct policy_role *role = session->actor->role;
    const struct policy_mask *mask = type.len > 0            ? mask_of(session, type)
                                     : role->masks_count > 0 ? role->masks
                                                             : NULL;
    bool refused = mask != NULL && (str_equal(name, STR("_text")) || str_equal(name, STR("_content")) ||
                                    str_equal(name, STR("_filter")) || str_equal(name, STR("_query")));
    for (size_t i = 0; mask != NULL && i < mask->parameters_count && !refused; i++) {
        refused = str_equal(mask->parameters[i], name);
    }
    return refused ? FAIL(error, ERROR_FORBIDDEN,
                          "the parameter '%.*s' would reveal what is masked for this role",
                          STR_FMT(str_slice(name, 0, 40)))
                   : true;
}

/* Length of the first character of UTF-8 text. */
static size_t character_len(struct str text)
{
    size_t len = text.len > 0 ? 1 : 0;
    while (len < text.len && ((unsigned char)text.at[len] & 0xC0) == 0x80) {
        len++;
    }
    return len;
}

/* [{"text": "张**"}]: the first character of the family name, or of the text. */
static struct json *name_masked(struct arena *arena, const struct json *names)
{
    const struct json *name = names->kind == JSON_ARRAY ? json_at(names, 0) : names;
    struct str family = JSON_TEXT(arena, name, "family");
    family = family.len > 0 ? family : JSON_TEXT(arena, name, "text");
    struct json *masked = json_new(arena, JSON_OBJECT);
    struct str text = arena_concat(arena, str_slice(family, 0, character_len(family)), STR("**"));
    (void)json_add(masked, STR("text"), json_new_string(arena, text));
    if (names->kind != JSON_ARRAY) {
        return masked;
    }
    struct json *array = json_new(arena, JSON_ARRAY);
    (void)json_append(array, masked);
    return array;
}

static bool element_mask(struct arena *arena, struct json *resource,
                         const struct policy_mask_element *element)
{
    struct json *value = json_member(resource, element->name);
    struct str beside = arena_concat(arena, STR("_"), element->name);
    if (beside.at == NULL) {
        return false;
    }
    (void)json_remove_member(resource, beside);
    if (value == NULL) {
        return true;
    }
    switch (element->kind) {
    case POLICY_MASK_REMOVE:
        return json_remove_member(resource, element->name);
    case POLICY_MASK_INITIAL:
        return json_set(resource, element->name, name_masked(arena, value)) != NULL;
    case POLICY_MASK_YEAR:
        return json_set(resource, element->name,
                        json_new_string(arena, str_slice(json_text(arena, value), 0, 4))) != NULL;
    }
    return false;
}

static bool label_add(struct arena *arena, struct json *resource)
{
    struct json *meta = JSON_GET(resource, "meta");
    if (meta == NULL) {
        meta = json_add(resource, STR("meta"), json_new(arena, JSON_OBJECT));
    }
    struct json *security = JSON_GET(meta, "security");
    if (security == NULL && meta != NULL) {
        security = json_add(meta, STR("security"), json_new(arena, JSON_ARRAY));
    }
    struct json *label = json_new(arena, JSON_OBJECT);
    (void)json_add(label, STR("system"),
                   json_new_string(arena, STR("http://terminology.hl7.org/CodeSystem/v3-ObservationValue")));
    (void)json_add(label, STR("code"), json_new_string(arena, STR("MASKED")));
    return json_append(security, label) != NULL;
}

/* The display of a reference to a masked type tells what the resource itself hides. */
static void reference_mask(const struct access_session *session, struct json *object)
{
    const struct json *reference = JSON_GET(object, "reference");
    if (reference == NULL || reference->kind != JSON_STRING || JSON_GET(object, "display") == NULL) {
        return;
    }
    size_t slash = str_find_char(reference->raw, '/');
    if (mask_of(session, str_slice(reference->raw, 0, slash)) != NULL ||
        str_starts_with(reference->raw, STR("#")) ||
        str_find(reference->raw, STR("/Patient/")) < reference->raw.len) {
        (void)json_remove_member(object, STR("display"));
    }
}

/* Depth is bounded by LIMIT_JSON_DEPTH of the reader that made the tree. */
static bool tree_mask(const struct access_session *session, struct arena *arena, struct json *value)
{
    if (value->kind == JSON_OBJECT) {
        const struct policy_mask *mask = mask_of(session, JSON_TEXT(arena, value, "resourceType"));
        for (size_t i = 0; mask != NULL && i < mask->elements_count; i++) {
            if (!element_mask(arena, value, &mask->elements[i])) {
                return false;
            }
        }
        if (mask != NULL && !label_add(arena, value)) {
            return false;
        }
        reference_mask(session, value);
    }
    if (value->kind == JSON_OBJECT || value->kind == JSON_ARRAY) {
        JSON_EACH(child, value) {
            if (!tree_mask(session, arena, child)) {
                return false;
            }
        }
    }
    return true;
}

bool access_mask(const struct access_session *session, struct arena *arena, struct json *resource,
                 struct error *error)
{
    if (session->actor->role->masks_count == 0) {
        return true;
    }
    return tree_mask(session, arena, resource) ? true
                                               : FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}
