/* The values of an element, what they are compared with, and which slice they are of (R4 5.1.0.13). */
#include "fhir/profile_run.h"

/* ---- values ---- */

bool profile_spend(struct profile_run *run, size_t items)
{
    if (run->items_left < items) {
        run->failed = true;
        return FAIL(run->error, ERROR_TOO_COSTLY, "the profiles ask too much of this resource");
    }
    run->items_left -= items;
    return true;
}

static void add_item(struct profile_run *run, struct profile_items *items, size_t max,
                     struct profile_item item)
{
    if (items->count < max && profile_spend(run, 1)) {
        items->items[items->count++] = item;
    }
}

static const struct json *extra_of(struct profile_run *run, const struct json *owner, struct str name)
{
    return json_member(owner, arena_printf(run->arena, "_%.*s", STR_FMT(name)));
}

/* In Bundle.entry.resource and contained the value itself says its type. */
static const struct model_type *type_of_value(struct profile_run *run, const struct model_element *element,
                                              const struct json *value)
{
    if (str_equal(element->type->name, STR("Resource"))) {
        const struct model_type *own = model_resource_find(JSON_TEXT(run->arena, value, "resourceType"));
        return own != NULL ? own : element->type;
    }
    return element->type;
}

static void gather_element(struct profile_run *run, const struct json *owner,
                           const struct model_element *element, struct profile_items *items, size_t max)
{
    const struct json *value = json_member(owner, element->name);
    bool primitive = element->type->kind == MODEL_PRIMITIVE;
    const struct json *extra = primitive ? extra_of(run, owner, element->name) : NULL;
    struct profile_item item = { .element = element, .member = element->name, .index = -1 };
    if (value == NULL && extra == NULL) {
        return;
    }
    bool is_list = (value != NULL ? value : extra)->kind == JSON_ARRAY;
    if (!is_list) {
        item.value = value;
        item.extra = extra;
        item.type = type_of_value(run, element, value);
        add_item(run, items, max, item);
        return;
    }
    const struct json *at = value == NULL ? NULL : value->first;
    const struct json *beside = extra == NULL ? NULL : extra->first;
    for (item.index = 0; at != NULL || beside != NULL; item.index++) {
        item.value = at == NULL || at->kind == JSON_NULL ? NULL : at;
        item.extra = beside == NULL || beside->kind == JSON_NULL ? NULL : beside;
        item.type = type_of_value(run, element, item.value);
        add_item(run, items, max, item);
        at = at == NULL ? NULL : at->next;
        beside = beside == NULL ? NULL : beside->next;
    }
}

static size_t values_count(const struct json *owner, struct str name)
{
    const struct json *value = json_member(owner, name);
    return value == NULL ? 1 : value->kind == JSON_ARRAY ? value->count + 1 : 1;
}

struct profile_items profile_gather(struct profile_run *run, const struct json *owner,
                                    const struct model_type *type, struct str name)
{
    struct profile_items items = { 0 };
    bool is_choice = str_ends_with(name, STR("[x]"));
    const struct model_element *element = is_choice ? NULL : model_element_find(type, name);
    struct str choice = is_choice ? str_slice(name, 0, name.len - 3) : STR_NONE;
    size_t max = 8;
    if (element != NULL) {
        max += values_count(owner, name);
        const struct json *extra = element->type->kind == MODEL_PRIMITIVE ? extra_of(run, owner, name) : NULL;
        max += extra != NULL ? extra->count : 0;
    }
    items.items = ARENA_ARRAY(run->arena, struct profile_item, max);
    if (items.items == NULL) {
        return items;
    }
    if (element != NULL) {
        gather_element(run, owner, element, &items, max);
    }
    const struct model_element *variant = is_choice ? model_choice_next(type, choice, NULL) : NULL;
    for (; variant != NULL; variant = model_choice_next(type, choice, variant)) {
        gather_element(run, owner, variant, &items, max);
    }
    return items;
}

/* ---- fixed and pattern ---- */

/* R4 ElementDefinition.pattern[x]: what the pattern has must be there; arrays have each of its values somewhere. */
static bool pattern_fits(const struct json *pattern, const struct json *value, int levels)
{
    if (value == NULL || levels == 0 || pattern->kind != value->kind) {
        return false;
    }
    if (pattern->kind < JSON_ARRAY) {
        return json_equal(pattern, value);
    }
    JSON_EACH(wanted, pattern) {
        bool found = false;
        if (pattern->kind == JSON_OBJECT) {
            found = pattern_fits(wanted, json_member(value, wanted->name), levels - 1);
        }
        for (const struct json *item = pattern->kind == JSON_ARRAY ? value->first : NULL;
             item != NULL && !found; item = item->next) {
            found = pattern_fits(wanted, item, levels - 1);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

bool profile_value_fits(const struct profile_node *node, const struct json *value)
{
    const struct json *fixed = profile_get_prefixed(node, STR("fixed"));
    const struct json *pattern = profile_get_prefixed(node, STR("pattern"));
    return (fixed == NULL || (value != NULL && json_equal(fixed, value))) &&
           (pattern == NULL || pattern_fits(pattern, value, PROFILE_DEPTH_MAX));
}

/* ---- bindings ---- */

static bool has_code(struct profile_run *run, struct str url, struct str system, struct str code, bool *known)
{
    const struct model_value_set *set = model_value_set_find(str_slice(url, 0, str_find_char(url, '|')));
    bool is_member = true;
    if (set != NULL && set->systems_count > 0) {
        *known = true;
        return model_value_set_has(set, system, code);
    }
    if (run->source->member_of != NULL && !run->source->member_of(run->source->data, run->arena, url, system,
                                                                  code, known, &is_member, run->error)) {
        run->failed = true;
    }
    return is_member;
}

bool profile_binding_fits(struct profile_run *run, const struct profile_node *node,
                          const struct profile_item *item, bool *known)
{
    struct str url = JSON_TEXT(run->arena, profile_get(node, STR("binding")), "valueSet");
    const struct json *value = item->value;
    *known = false;
    if (url.len == 0 || value == NULL) {
        return true;
    }
    if (value->kind == JSON_STRING) {
        return has_code(run, url, STR_NONE, json_text(run->arena, value), known);
    }
    bool concept = str_equal(item->type->name, STR("CodeableConcept"));
    const struct json *codings = concept ? JSON_GET(value, "coding") : NULL;
    if (!concept) {
        struct str code = JSON_TEXT(run->arena, value, "code");
        struct str system = JSON_TEXT(run->arena, value, "system");
        return code.len == 0 || has_code(run, url, system.at == NULL ? STR("") : system, code, known);
    }
    bool fits = codings == NULL;
    JSON_EACH(coding, codings) {
        struct str system = JSON_TEXT(run->arena, coding, "system");
        fits = fits || has_code(run, url, system.at == NULL ? STR("") : system,
                                JSON_TEXT(run->arena, coding, "code"), known);
    }
    return fits;
}

/* ---- references ---- */

struct str profile_reference_type(struct arena *arena, const struct json *reference)
{
    struct str text = JSON_TEXT(arena, reference, "reference");
    struct str said = JSON_TEXT(arena, reference, "type");
    struct str rest = str_slice(text, 0, str_find(text, STR("/_history/")));
    size_t slash = str_find_last_char(rest, '/');
    struct str before = str_slice(rest, 0, slash < rest.len ? slash : 0);
    size_t start = str_find_last_char(before, '/');
    struct str name = start < before.len ? str_skip(before, start + 1) : before;
    if (model_resource_find(name) != NULL) {
        return name;
    }
    return model_resource_find(said) != NULL ? said : STR_NONE;
}

const struct json *profile_resolve(const struct profile_run *run, const struct json *reference)
{
    struct str text = JSON_TEXT(run->arena, reference, "reference");
    if (str_starts_with(text, STR("#"))) {
        JSON_EACH(contained, JSON_GET(run->resource, "contained")) {
            if (json_equals_text(JSON_GET(contained, "id"), str_skip(text, 1))) {
                return contained;
            }
        }
    }
    JSON_EACH(entry, JSON_GET(run->root, "entry")) {
        struct str url = JSON_TEXT(run->arena, entry, "fullUrl");
        bool relative = text.len > 0 && str_ends_with(url, text) && url.len > text.len &&
                        url.at[url.len - text.len - 1] == '/';
        if (text.len > 0 && (str_equal(url, text) || relative)) {
            return JSON_GET(entry, "resource");
        }
    }
    return NULL;
}

/* ---- slices ---- */

struct discriminator {
    struct str type;
    struct str path; /* what is left of it */
};

static bool leaf_has(struct profile_run *run, const struct profile_node *node,
                     const struct profile_item *item, int levels);

/* Below the place of the discriminator the values may stand in children: coding.code, or a slice of codings. */
static bool children_have(struct profile_run *run, const struct profile_node *node,
                          const struct profile_item *item, int levels)
{
    for (const struct profile_node *child = node->first; child != NULL && levels > 0; child = child->next) {
        struct profile_items items = profile_gather(run, item->value, item->type, child->name);
        bool wanted = profile_get_prefixed(child, STR("fixed")) != NULL ||
                      profile_get_prefixed(child, STR("pattern")) != NULL || child->first != NULL;
        bool found = !wanted;
        for (size_t i = 0; i < items.count && !found; i++) {
            found = leaf_has(run, child, &items.items[i], levels - 1);
        }
        for (const struct profile_node *slice = child->slices; found && slice != NULL; slice = slice->next) {
            const struct json *min = profile_get(slice, STR("min"));
            bool needed = min != NULL && !str_equal(min->raw, STR("0"));
            bool has = !needed;
            for (size_t i = 0; i < items.count && !has; i++) {
                has = leaf_has(run, slice, &items.items[i], levels - 1);
            }
            found = has;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool leaf_has(struct profile_run *run, const struct profile_node *node,
                     const struct profile_item *item, int levels)
{
    bool given = profile_get_prefixed(node, STR("fixed")) != NULL ||
                 profile_get_prefixed(node, STR("pattern")) != NULL;
    bool known = false;
    if (given) {
        return profile_value_fits(node, item->value);
    }
    bool required =
        json_equals_text(JSON_GET(profile_get(node, STR("binding")), "strength"), STR("required"));
    if (required && !profile_binding_fits(run, node, item, &known)) {
        return false;
    }
    return item->value == NULL || item->value->kind != JSON_OBJECT || children_have(run, node, item, levels);
}

/* The types of the node, or the targets of its references where the item is one that was to be resolved. */
static bool type_has(struct profile_run *run, const struct profile_node *node,
                     const struct profile_item *item, bool resolved, bool with_profile)
{
    const struct json *types = profile_get(node, STR("type"));
    bool known = false;
    struct str target = resolved ? profile_reference_type(run->arena, item->value) : STR_NONE;
    const struct json *found = resolved ? profile_resolve(run, item->value) : NULL;
    if (found != NULL) {
        target = JSON_TEXT(run->arena, found, "resourceType");
    }
    const struct profile_item there = { .value = found, .type = model_resource_find(target), .index = -1 };
    JSON_EACH(type, types) {
        struct str code = JSON_TEXT(run->arena, type, "code");
        const struct json *profiles = json_member(type, resolved ? STR("targetProfile") : STR("profile"));
        if (!resolved && !with_profile && model_type_is_a(item->type, code)) {
            return true;
        }
        JSON_EACH(profile, resolved || with_profile ? profiles : NULL) {
            struct str url = json_text(run->arena, profile);
            struct str name = str_skip(url, str_find_last_char(url, '/') + 1);
            bool by_name = resolved && target.len > 0 && str_equal(name, target);
            const struct profile_item *meant = resolved ? &there : item;
            bool open = meant->type != NULL && meant->value != NULL;
            if (by_name || (open && profile_conforms(run, url, meant, &known) && known)) {
                return true;
            }
        }
    }
    return types == NULL;
}

/* An extension slice is known by the URL of its profile. */
static bool extension_url_fits(struct profile_run *run, const struct profile_node *slice,
                               const struct profile_item *item)
{
    struct str url = JSON_TEXT(run->arena, item->value, "url");
    const struct json *types = profile_get(slice, STR("type"));
    JSON_EACH(type, types) {
        JSON_EACH(profile, JSON_GET(type, "profile")) {
            struct str wanted = json_text(run->arena, profile);
            if (str_equal(str_slice(wanted, 0, str_find_char(wanted, '|')), url)) {
                return true;
            }
        }
    }
    return false;
}

static bool walk(struct profile_run *run, const struct profile_node *node, const struct profile_item *item,
                 struct discriminator at, int levels);

/* Of an element that is sliced only the slices may say what the rest of the path leads to. */
static bool says_more(const struct profile_node *node, struct str path)
{
    bool given = profile_get_prefixed(node, STR("fixed")) != NULL ||
                 profile_get_prefixed(node, STR("pattern")) != NULL;
    struct str next = str_slice(path, 0, str_find_char(path, '.'));
    return node->slices == NULL || given || (next.len > 0 && profile_child(node, next) != NULL);
}

static bool step_into(struct profile_run *run, const struct profile_node *node,
                      const struct profile_item *item, struct discriminator at, int levels)
{
    struct str segment = STR_NONE;
    (void)str_split_next(&at.path, '.', &segment);
    const struct profile_node *child = profile_child(node, segment);
    child =
        child != NULL ? child : profile_child(node, arena_printf(run->arena, "%.*s[x]", STR_FMT(segment)));
    struct profile_items items = { 0 };
    if (item->value != NULL && item->value->kind == JSON_OBJECT) {
        struct str choice = arena_printf(run->arena, "%.*s[x]", STR_FMT(segment));
        items = profile_gather(run, item->value, item->type, segment);
        items = items.count > 0 ? items : profile_gather(run, item->value, item->type, choice);
    }
    bool last = at.path.at == NULL;
    if (last && child != NULL && str_equal(at.type, STR("exists"))) {
        bool none = json_equals_text(profile_get(child, STR("max")), STR("0"));
        const struct json *min = profile_get(child, STR("min"));
        bool needed = min != NULL && !str_equal(min->raw, STR("0"));
        return none ? items.count == 0 : !needed || items.count > 0;
    }
    if (child == NULL) {
        return true; /* nothing is said of it: an ancestor's pattern has been asked */
    }
    for (size_t i = 0; i < items.count && says_more(child, at.path); i++) {
        if (walk(run, child, &items.items[i], at, levels - 1)) {
            return true;
        }
    }
    /* A slice may be known by the slices of an element on the way. */
    for (const struct profile_node *slice = child->slices; slice != NULL && items.count > 0;
         slice = slice->next) {
        for (size_t i = 0; i < items.count; i++) {
            if (walk(run, slice, &items.items[i], at, levels - 1)) {
                return true;
            }
        }
    }
    return false;
}

/* extension('url') stands for the extensions with that URL. */
static bool walk_extension(struct profile_run *run, const struct profile_node *node,
                           const struct profile_item *item, struct discriminator at, int levels)
{
    size_t end = str_find_char(at.path, ')');
    struct str argument = str_slice(at.path, sizeof "extension(" - 1, end);
    struct str url = argument.len >= 2 ? str_slice(argument, 1, argument.len - 1) : STR_NONE;
    struct str rest = str_skip(at.path, end + 1);
    at.path = rest.len > 1 ? str_skip(rest, 1) : STR_NONE;
    const struct profile_node *extensions = profile_child(node, STR("extension"));
    struct profile_items items = profile_gather(run, item->value, item->type, STR("extension"));
    for (size_t i = 0; i < items.count; i++) {
        if (!json_equals_text(JSON_GET(items.items[i].value, "url"), url)) {
            continue;
        }
        for (const struct profile_node *slice = extensions == NULL ? NULL : extensions->slices; slice != NULL;
             slice = slice->next) {
            if (extension_url_fits(run, slice, &items.items[i]) &&
                walk(run, slice, &items.items[i], at, levels - 1)) {
                return true;
            }
        }
    }
    return false;
}

static bool walk(struct profile_run *run, const struct profile_node *node, const struct profile_item *item,
                 struct discriminator at, int levels)
{
    if (levels <= 0) {
        return false;
    }
    if (str_starts_with(at.path, STR("$this"))) {
        at.path = at.path.len > 6 ? str_skip(at.path, 6) : STR_NONE;
    }
    bool resolved = str_starts_with(at.path, STR("resolve()"));
    bool by_type = str_equal(at.type, STR("type"));
    bool by_profile = str_equal(at.type, STR("profile"));
    if (resolved) {
        return type_has(run, node, item, true, by_profile);
    }
    if (str_starts_with(at.path, STR("ofType("))) {
        struct str type = str_slice(at.path, 7, str_find_char(at.path, ')'));
        struct str rest = str_skip(at.path, str_find_char(at.path, ')') + 1);
        at.path = rest.len > 1 ? str_skip(rest, 1) : STR_NONE;
        return model_type_is_a(item->type, type) && walk(run, node, item, at, levels - 1);
    }
    if (at.path.len == 0) {
        return by_type || by_profile ? type_has(run, node, item, false, by_profile)
                                     : leaf_has(run, node, item, levels);
    }
    if (!profile_value_fits(node, item->value)) {
        return false;
    }
    if (str_starts_with(at.path, STR("extension("))) {
        return walk_extension(run, node, item, at, levels);
    }
    bool is_extension = str_equal(item->type->name, STR("Extension")) && str_equal(at.path, STR("url"));
    if (is_extension && profile_child(node, STR("url")) == NULL) {
        return extension_url_fits(run, node, item);
    }
    return step_into(run, node, item, at, levels);
}

bool profile_slice_has(struct profile_run *run, const struct profile_node *sliced,
                       const struct profile_node *slice, const struct profile_item *item)
{
    const struct json *list = JSON_GET(profile_get(sliced, STR("slicing")), "discriminator");
    struct discriminator at = { 0 };
    JSON_EACH(discriminator, list) {
        at.type = JSON_TEXT(run->arena, discriminator, "type");
        at.path = JSON_TEXT(run->arena, discriminator, "path");
        if (!walk(run, slice, item, at, PROFILE_DEPTH_MAX)) {
            return false;
        }
    }
    if (list != NULL) {
        return true;
    }
    /* Left out by many: extensions are told apart by url, choices by type, all else by the values. */
    bool choice = str_ends_with(sliced->name, STR("[x]"));
    bool extension = str_equal(item->type->name, STR("Extension"));
    at.type = choice ? STR("type") : STR("value");
    at.path = extension ? STR("url") : STR("$this");
    return walk(run, slice, item, at, PROFILE_DEPTH_MAX);
}
