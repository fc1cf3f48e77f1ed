#include "fhir/profile.h"

#include "base/limits.h"
#include "fhir/profile_run.h"
#include "fhirpath/fhirpath.h"

enum { PROFILE_COST = 50 }; /* items that building a profile's tree counts for */

#define CORE_PREFIX "http://hl7.org/fhir/StructureDefinition/"

/* A differential that says "valueQuantity" for value[x] means this type and no other (R4 5.1.0.15: the short cut for a
 * closed slicing by type); several such children allow several types. */
static void check_other_variants(struct profile_run *run, const struct profile_node *node,
                                 const struct profile_node *child, const struct profile_item *owner,
                                 const struct outcome_place *place)
{
    const struct model_element *named = model_element_find(owner->type, child->name);
    if (named == NULL || named->choice.len == 0 || child->layers == NULL) {
        return;
    }
    const struct model_element *other = model_choice_next(owner->type, named->choice, NULL);
    for (; other != NULL; other = model_choice_next(owner->type, named->choice, other)) {
        if (json_member(owner->value, other->name) != NULL && profile_child(node, other->name) == NULL) {
            const struct outcome_place here = { .parent = place, .name = other->name, .index = -1 };
            profile_tell_error(run, &here, "structure",
                               arena_printf(run->arena, "the profile allows %.*s only", STR_FMT(child->name)),
                               arena_printf(run->arena, "该规范只允许 %.*s", STR_FMT(child->name)));
        }
    }
}

static void check_children(struct profile_run *run, const struct profile_node *node,
                           const struct profile_item *item, const struct outcome_place *place);

/* ---- telling ---- */

static void tell(struct profile_run *run, const struct outcome_place *place, struct outcome_issue issue)
{
    issue.path = outcome_path(run->arena, place);
    struct str url = run->tree->url;
    issue.text = arena_printf(run->arena, "%.*s (profile %.*s)", STR_FMT(issue.text), STR_FMT(url));
    if (issue.chinese.len > 0) {
        issue.chinese = arena_printf(run->arena, "%.*s（规范 %.*s）", STR_FMT(issue.chinese), STR_FMT(url));
    }
    /* An extension is met by its own definition and by the profile that names it. */
    for (const struct outcome_issue *told = run->outcome->first; told != NULL; told = told->next) {
        if (str_equal(told->path, issue.path) && str_equal(told->text, issue.text)) {
            return;
        }
    }
    outcome_add(run->outcome, issue);
}

void profile_tell_error(struct profile_run *run, const struct outcome_place *place, const char *code,
                        struct str text, struct str chinese)
{
    tell(run, place,
         (struct outcome_issue){ .severity = OUTCOME_ERROR, .code = code, .text = text, .chinese = chinese });
}

/* ---- counts ---- */

static int64_t number_of(const struct json *value)
{
    int64_t number = 0;
    for (size_t i = 0; value != NULL && value->kind == JSON_NUMBER && i < value->raw.len && i < 9; i++) {
        char c = value->raw.at[i];
        number = c >= '0' && c <= '9' ? number * 10 + (c - '0') : number;
    }
    return number;
}

/* A maximum of "*" or none is -1. */
static int64_t maximum_of(struct arena *arena, const struct profile_node *node)
{
    struct str text = json_text(arena, profile_get(node, STR("max")));
    int64_t number = 0;
    if (text.len == 0 || str_equal(text, STR("*"))) {
        return -1;
    }
    for (size_t i = 0; i < text.len && i < 9; i++) {
        number = text.at[i] >= '0' && text.at[i] <= '9' ? number * 10 + (text.at[i] - '0') : number;
    }
    return number;
}

static void check_count(struct profile_run *run, const struct profile_node *node, size_t count,
                        const struct outcome_place *parent)
{
    struct arena *arena = run->arena;
    const struct outcome_place place = { .parent = parent, .name = node->name, .index = -1 };
    int64_t min = number_of(profile_get(node, STR("min")));
    int64_t max = maximum_of(arena, node);
    struct str slice =
        node->slice.len > 0 ? arena_printf(arena, "slice '%.*s' ", STR_FMT(node->slice)) : STR("");
    struct str chinese =
        node->slice.len > 0 ? arena_printf(arena, "切片“%.*s”", STR_FMT(node->slice)) : STR("");
    if ((int64_t)count < min) {
        profile_tell_error(run, &place, "required",
                           arena_printf(arena, "%.*sneeds at least %lld, found %zu: add what is missing",
                                        STR_FMT(slice), (long long)min, count),
                           arena_printf(arena, "%.*s至少需要 %lld 个，现有 %zu 个", STR_FMT(chinese),
                                        (long long)min, count));
    }
    if (max >= 0 && (int64_t)count > max) {
        profile_tell_error(run, &place, "structure",
                           arena_printf(arena, "%.*sallows at most %lld, found %zu: remove the others",
                                        STR_FMT(slice), (long long)max, count),
                           arena_printf(arena, "%.*s最多允许 %lld 个，现有 %zu 个", STR_FMT(chinese),
                                        (long long)max, count));
    }
}

/* ---- types ---- */

/* Extension.url, Patient.id and the like have FHIRPath's types in snapshots. */
static bool type_has_code(struct str code, const struct model_type *type)
{
    return str_starts_with(code, STR("http://hl7.org/fhirpath/")) || model_type_is_a(type, code) ||
           type->kind == MODEL_BACKBONE || str_equal(code, STR("Resource"));
}

static const struct json *type_of_item(struct profile_run *run, const struct profile_node *node,
                                       const struct profile_item *item, bool *restricted)
{
    const struct json *types = profile_get(node, STR("type"));
    *restricted = types != NULL && types->count > 0;
    JSON_EACH(type, types) {
        if (type_has_code(JSON_TEXT(run->arena, type, "code"), item->type)) {
            return type;
        }
    }
    return NULL;
}

/* One of the profiles has to be met; the issues of a single one are told in full. */
static void check_type_profiles(struct profile_run *run, const struct json *profiles,
                                const struct profile_item *item, const struct outcome_place *place)
{
    bool any_known = false;
    bool known = false;
    if (profiles == NULL || profiles->count == 0 || item->value == NULL) {
        return;
    }
    if (profiles->count == 1) {
        (void)profile_check_against(run, json_text(run->arena, profiles->first), item, place, &known);
        return;
    }
    JSON_EACH(profile, profiles) {
        if (profile_conforms(run, json_text(run->arena, profile), item, &known)) {
            return;
        }
        any_known = any_known || known;
    }
    if (any_known) {
        profile_tell_error(run, place, "value", STR("meets none of the profiles that are allowed here"),
                           STR("不符合此处允许的任何一个规范"));
    }
}

static void check_target(struct profile_run *run, const struct json *targets, const struct profile_item *item,
                         const struct outcome_place *place)
{
    struct str found = profile_reference_type(run->arena, item->value);
    const struct json *resolved = profile_resolve(run, item->value);
    struct str allowed = STR("");
    if (targets == NULL || targets->count == 0 || (found.len == 0 && resolved == NULL)) {
        return;
    }
    if (resolved != NULL) {
        found = JSON_TEXT(run->arena, resolved, "resourceType");
    }
    const struct profile_item target = { .value = resolved, .type = model_resource_find(found), .index = -1 };
    JSON_EACH(entry, targets) {
        struct str url = json_text(run->arena, entry);
        struct str name = str_skip(url, str_starts_with(url, STR(CORE_PREFIX)) ? sizeof CORE_PREFIX - 1 : 0);
        const struct profile_tree *tree = NULL;
        if (str_equal(name, STR("Resource")) || str_equal(name, found)) {
            return;
        }
        if (model_resource_find(name) == NULL) {
            if (!profile_tree_build(run->source, run->arena, url, &tree, run->error)) {
                run->failed = true;
                return;
            }
            bool known = false;
            bool fits = tree == NULL || str_equal(tree->type, found);
            if (fits && (resolved == NULL || target.type == NULL ||
                         profile_conforms(run, url, &target, &known) || !known)) {
                return; /* what lies elsewhere is taken by its type */
            }
        }
        allowed = arena_printf(run->arena, "%.*s%s%.*s", STR_FMT(allowed), allowed.len > 0 ? ", " : "",
                               STR_FMT(name));
    }
    profile_tell_error(
        run, place, "value",
        arena_printf(run->arena, "a reference to %.*s is not allowed; allowed: %.*s", STR_FMT(found),
                     STR_FMT(allowed)),
        arena_printf(run->arena, "此处不能引用 %.*s；可引用：%.*s", STR_FMT(found), STR_FMT(allowed)));
}

static void check_type(struct profile_run *run, const struct profile_node *node,
                       const struct profile_item *item, const struct outcome_place *place)
{
    bool restricted = false;
    const struct json *type = type_of_item(run, node, item, &restricted);
    if (!restricted) {
        return;
    }
    if (type == NULL) {
        profile_tell_error(
            run, place, "structure",
            arena_printf(run->arena, "the type %.*s is not allowed here", STR_FMT(item->type->name)),
            arena_printf(run->arena, "此处不允许类型 %.*s", STR_FMT(item->type->name)));
        return;
    }
    check_type_profiles(run, JSON_GET(type, "profile"), item, place);
    if (item->value != NULL && str_equal(item->type->name, STR("Reference"))) {
        check_target(run, JSON_GET(type, "targetProfile"), item, place);
    }
}

/* ---- values ---- */

static void check_value(struct profile_run *run, const struct profile_node *node,
                        const struct profile_item *item, const struct outcome_place *place)
{
    const struct json *fixed = profile_get_prefixed(node, STR("fixed"));
    const struct json *given = fixed != NULL ? fixed : profile_get_prefixed(node, STR("pattern"));
    if (given != NULL && !profile_value_fits(node, item->value)) {
        struct str wanted = json_write_arena(run->arena, given);
        bool shown = wanted.len > 0 && wanted.len <= 300; /* the profile's value, not the record's */
        wanted = shown ? wanted : STR("the profile's value");
        struct buf text = { .bytes_max = 1024 };
        struct buf other = { .bytes_max = 1024 };
        buf_add(&text, fixed != NULL ? STR("must be exactly ") : STR("must have at least "));
        buf_add(&text, wanted);
        buf_add(&other, fixed != NULL ? STR("必须为 ") : STR("至少应包含 "));
        buf_add(&other, wanted);
        profile_tell_error(run, place, "value", arena_dup(run->arena, buf_str(&text)),
                           arena_dup(run->arena, buf_str(&other)));
        buf_deinit(&text);
        buf_deinit(&other);
    }
    int64_t length_max = number_of(profile_get(node, STR("maxLength")));
    struct str text = json_text(run->arena, item->value);
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        characters += ((unsigned char)text.at[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    if (length_max > 0 && characters > (size_t)length_max) {
        profile_tell_error(run, place, "value",
                           arena_printf(run->arena, "has more than %lld characters", (long long)length_max),
                           arena_printf(run->arena, "超过 %lld 个字符", (long long)length_max));
    }
}

/* "minValueDate" and the like: the type that the limit is of. */
static const struct model_type *limit_type(struct arena *arena, struct str member, size_t prefix)
{
    struct str name = arena_dup(arena, str_skip(member, prefix));
    const struct model_type *type = model_type_find(name);
    char *first = (char *)(uintptr_t)name.at; /* our own copy */
    if (type == NULL && name.len > 0 && *first >= 'A' && *first <= 'Z') {
        *first = (char)(*first - 'A' + 'a');
        type = model_type_find(name);
    }
    return type;
}

/* R4 ElementDefinition.minValue[x], maxValue[x]. What cannot be compared (a date that is not exact enough) is not told. */
static void check_limit(struct profile_run *run, const struct profile_node *node,
                        const struct profile_item *item, const struct outcome_place *place, bool is_min)
{
    struct str prefix = is_min ? STR("minValue") : STR("maxValue");
    const struct json *limit = profile_get_prefixed(node, prefix);
    const struct model_type *type = limit == NULL ? NULL : limit_type(run->arena, limit->name, prefix.len);
    struct error cause = { 0 };
    bool holds = true;
    struct fhirpath_collection result = { 0 };
    if (type == NULL || item->value == NULL) {
        return;
    }
    const struct fhirpath_item bound = { .kind = FHIRPATH_NODE, .type = type, .node = { .value = limit } };
    const struct fhirpath_variable variable = { .name = STR("limit"),
                                                .value = { .items = &bound, .count = 1 } };
    const struct fhirpath_item input = { .kind = FHIRPATH_NODE,
                                         .type = item->type,
                                         .node = { .value = item->value, .extra = item->extra } };
    struct fhirpath_context context = {
        .arena = run->arena, .resource = run->resource, .variables = &variable, .steps_max = run->steps_left
    };
    const struct fhirpath *path =
        fhirpath_compile(run->arena, is_min ? STR("$this >= %limit") : STR("$this <= %limit"), &cause);
    bool done = path != NULL && run->steps_left > 0 &&
                fhirpath_evaluate(path, &context, &input, &result, &cause) &&
                (result.count == 0 || fhirpath_to_boolean(&result, &holds, &cause));
    run->steps_left -= context.steps < run->steps_left ? context.steps : run->steps_left;
    if (done && !holds) {
        struct str shown = json_write_arena(run->arena, limit); /* the profile's value, not the record's */
        struct str word = is_min ? STR("least") : STR("most");
        profile_tell_error(
            run, place, "value",
            arena_printf(run->arena, "must be at %.*s %.*s", STR_FMT(word), STR_FMT(shown)),
            arena_printf(run->arena, "%s %.*s", is_min ? "不得小于" : "不得大于", STR_FMT(shown)));
    }
}

/* What R4 itself binds has been asked already. */
static bool is_of_model(const struct profile_item *item, struct str url)
{
    return item->element != NULL && item->element->value_set != NULL &&
           str_equal(item->element->value_set->url, str_slice(url, 0, str_find_char(url, '|')));
}

static void check_binding(struct profile_run *run, const struct profile_node *node,
                          const struct profile_item *item, const struct outcome_place *place)
{
    const struct json *binding = profile_get(node, STR("binding"));
    struct str strength = JSON_TEXT(run->arena, binding, "strength");
    struct str url = JSON_TEXT(run->arena, binding, "valueSet");
    bool required = str_equal(strength, STR("required"));
    bool known = false;
    if (binding == NULL || item->value == NULL || (!required && !str_equal(strength, STR("extensible")))) {
        return;
    }
    bool fits = profile_binding_fits(run, node, item, &known);
    bool told = !required && is_of_model(item, url);
    if (known && !fits && !told) {
        tell(run, place,
             (struct outcome_issue){
                 .severity = required ? OUTCOME_ERROR : OUTCOME_WARNING,
                 .code = "code-invalid",
                 .text = arena_printf(run->arena, "no code of the %.*s value set %.*s is given",
                                      STR_FMT(strength), STR_FMT(url)),
                 .chinese = arena_printf(run->arena, "没有给出值集 %.*s 中的代码", STR_FMT(url)) });
    }
}

/* ---- rules ---- */

static bool is_of_r4(struct str key)
{
    size_t count = 0;
    const struct model_invariant *list = model_invariants(&count);
    for (size_t i = 0; i < count; i++) {
        if (str_equal(list[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void check_rule(struct profile_run *run, const struct json *rule, const struct profile_item *item,
                       const struct outcome_place *place)
{
    struct arena *arena = run->arena;
    struct str key = JSON_TEXT(arena, rule, "key");
    struct str expression = JSON_TEXT(arena, rule, "expression");
    struct error cause = { 0 };
    bool holds = true;
    struct fhirpath_collection result = { 0 };
    if (expression.len == 0 || is_of_r4(key)) {
        return;
    }
    struct fhirpath_context context = { .arena = arena,
                                        .resource = run->resource,
                                        .root_resource = run->root,
                                        .as_filters = true,
                                        .steps_max = run->steps_left };
    const struct fhirpath_item input = { .kind = FHIRPATH_NODE,
                                         .type = item->type,
                                         .node = { .value = item->value, .extra = item->extra } };
    const struct fhirpath *path = fhirpath_compile(arena, expression, &cause);
    bool done = path != NULL && run->steps_left > 0 &&
                fhirpath_evaluate(path, &context, &input, &result, &cause) &&
                (result.count == 0 || fhirpath_to_boolean(&result, &holds, &cause));
    run->steps_left -= context.steps < run->steps_left ? context.steps : run->steps_left;
    if (done && holds) {
        return;
    }
    bool warning = !done || json_equals_text(JSON_GET(rule, "severity"), STR("warning"));
    struct str human = JSON_TEXT(arena, rule, "human");
    tell(run, place,
         (struct outcome_issue){
             .severity = warning ? OUTCOME_WARNING : OUTCOME_ERROR,
             .code = done ? "invariant" : "not-supported",
             .text = done ? arena_printf(arena, "%.*s: %.*s", STR_FMT(key), STR_FMT(human))
                          : arena_printf(arena, "rule %.*s could not be evaluated", STR_FMT(key)),
             .chinese = done ? arena_printf(arena, "不满足规则 %.*s：%.*s", STR_FMT(key), STR_FMT(human))
                             : arena_printf(arena, "规则 %.*s 无法计算", STR_FMT(key)) });
}

static void check_rules(struct profile_run *run, const struct profile_node *node,
                        const struct profile_item *item, const struct outcome_place *place)
{
    for (const struct profile_layer *layer = node->layers; layer != NULL; layer = layer->next) {
        JSON_EACH(rule, JSON_GET(layer->element, "constraint")) {
            check_rule(run, rule, item, place);
        }
    }
}

/* ---- walking ---- */

static void check_item(struct profile_run *run, const struct profile_node *node,
                       const struct profile_item *item, const struct outcome_place *place)
{
    check_type(run, node, item, place);
    check_value(run, node, item, place);
    check_limit(run, node, item, place, true);
    check_limit(run, node, item, place, false);
    check_binding(run, node, item, place);
    check_rules(run, node, item, place);
    check_children(run, node, item, place);
}

static struct outcome_place item_place(const struct profile_item *item, const struct outcome_place *parent)
{
    return (struct outcome_place){ .parent = parent, .name = item->member, .index = item->index };
}

/* slicing.ordered, and openAtEnd: what fits no slice stands behind all that do. `taken` has the number of each item's slice
 * from 1; 0 = none. */
static void check_order(struct profile_run *run, const struct json *slicing,
                        const struct profile_items *items, const size_t *taken,
                        const struct outcome_place *parent)
{
    bool ordered = JSON_GET(slicing, "ordered") != NULL && JSON_GET(slicing, "ordered")->kind == JSON_TRUE;
    bool at_end = json_equals_text(JSON_GET(slicing, "rules"), STR("openAtEnd"));
    size_t last = 0;
    bool others = false;
    for (size_t i = 0; i < items->count; i++) {
        struct outcome_place place = item_place(&items->items[i], parent);
        if (taken[i] != 0 && ordered && taken[i] < last) {
            profile_tell_error(run, &place, "structure",
                               STR("stands behind a later slice: keep the profile's order"),
                               STR("切片顺序与规范不符"));
        }
        if (taken[i] != 0 && at_end && others) {
            profile_tell_error(run, &place, "structure",
                               STR("stands behind what fits no slice: put it before"),
                               STR("应排在不属于任何切片的内容之前"));
        }
        last = taken[i] > last ? taken[i] : last;
        others = others || taken[i] == 0;
    }
}

static void check_slices(struct profile_run *run, const struct profile_node *sliced,
                         const struct profile_items *items, const struct outcome_place *parent)
{
    const struct json *slicing = profile_get(sliced, STR("slicing"));
    bool closed = json_equals_text(JSON_GET(slicing, "rules"), STR("closed"));
    size_t *taken = ARENA_ARRAY(run->arena, size_t, items->count + 1);
    size_t number = 0;
    for (const struct profile_node *slice = sliced->slices; taken != NULL && slice != NULL;
         slice = slice->next) {
        size_t count = 0;
        number++;
        for (size_t i = 0; i < items->count; i++) {
            if (!profile_slice_has(run, sliced, slice, &items->items[i])) {
                continue;
            }
            struct outcome_place place = item_place(&items->items[i], parent);
            taken[i] = taken[i] == 0 ? number : taken[i];
            count++;
            check_item(run, slice, &items->items[i], &place);
        }
        check_count(run, slice, count, parent);
    }
    for (size_t i = 0; taken != NULL && closed && i < items->count; i++) {
        struct outcome_place place = item_place(&items->items[i], parent);
        if (taken[i] == 0) {
            profile_tell_error(run, &place, "structure",
                               STR("fits none of the slices, and no others are allowed"),
                               STR("不符合任何切片，且不允许其他内容"));
        }
    }
    if (taken != NULL) {
        check_order(run, slicing, items, taken, parent);
    }
}

static void check_children(struct profile_run *run, const struct profile_node *node,
                           const struct profile_item *item, const struct outcome_place *place)
{
    bool is_primitive = item->type->kind == MODEL_PRIMITIVE;
    const struct json *owner = is_primitive ? item->extra : item->value;
    const struct model_type *type = is_primitive ? model_type_find(STR("Element")) : item->type;
    bool is_open = is_primitive || (owner != NULL && owner->kind == JSON_OBJECT);
    for (const struct profile_node *child = node->first; is_open && child != NULL; child = child->next) {
        if (is_primitive && str_equal(child->name, STR("value"))) {
            continue;
        }
        struct profile_items items = profile_gather(run, owner, type, child->name);
        if (child->layers != NULL) {
            check_count(run, child, items.count, place);
        }
        if (!is_primitive) {
            check_other_variants(run, node, child, item, place);
        }
        for (size_t i = 0; i < items.count; i++) {
            struct outcome_place here = item_place(&items.items[i], place);
            check_item(run, child, &items.items[i], &here);
        }
        if (child->slices != NULL) {
            check_slices(run, child, &items, place);
        }
    }
}

bool profile_check_against(struct profile_run *run, struct str url, const struct profile_item *item,
                           const struct outcome_place *place, bool *known)
{
    const struct profile_tree *tree = NULL;
    *known = false;
    if (run->depth >= PROFILE_DEPTH_MAX || run->failed || !profile_spend(run, PROFILE_COST)) {
        return true;
    }
    if (!profile_tree_build(run->source, run->arena, url, &tree, run->error)) {
        run->failed = true;
        return false;
    }
    if (tree == NULL) {
        return true;
    }
    *known = true;
    size_t errors_before = run->outcome->errors_count;
    struct profile_run inner = *run;
    inner.tree = tree;
    inner.depth++;
    if (item->type->kind == MODEL_RESOURCE && item->value != NULL) {
        inner.resource = item->value;
    }
    if (!model_type_is_a(item->type, tree->type)) {
        profile_tell_error(&inner, place, "structure",
                           arena_printf(run->arena, "the profile is for %.*s, this is a %.*s",
                                        STR_FMT(tree->type), STR_FMT(item->type->name)),
                           arena_printf(run->arena, "该规范针对 %.*s，此处为 %.*s", STR_FMT(tree->type),
                                        STR_FMT(item->type->name)));
    } else {
        check_rules(&inner, tree->root, item, place);
        check_value(&inner, tree->root, item, place);
        check_children(&inner, tree->root, item, place);
    }
    if (tree->base_missing.len > 0) {
        tell(&inner, place,
             (struct outcome_issue){
                 .severity = OUTCOME_WARNING,
                 .code = "not-found",
                 .text = arena_printf(run->arena, "its base %.*s is not known and was not checked",
                                      STR_FMT(tree->base_missing)),
                 .chinese =
                     arena_printf(run->arena, "其上级规范 %.*s 未知，未检查", STR_FMT(tree->base_missing)) });
    }
    run->failed = inner.failed;
    run->items_left = inner.items_left;
    run->steps_left = inner.steps_left;
    return run->outcome->errors_count == errors_before;
}

bool profile_conforms(struct profile_run *run, struct str url, const struct profile_item *item, bool *known)
{
    struct outcome thrown_away = outcome_in(run->arena);
    struct outcome *outcome = run->outcome;
    const struct outcome_place place = { .name = STR("x"), .index = -1 };
    run->outcome = &thrown_away;
    bool conforms = profile_check_against(run, url, item, &place, known);
    run->outcome = outcome;
    return conforms;
}

/* ---- from outside ---- */

struct profile_run profile_run_of(const struct profile_source *source, const struct json *resource,
                                  struct outcome *outcome, struct error *error)
{
    return (struct profile_run){ .source = source,
                                 .arena = outcome->arena,
                                 .outcome = outcome,
                                 .root = resource,
                                 .resource = resource,
                                 .error = error,
                                 .items_left = PROFILE_ITEMS_MAX,
                                 .steps_left = LIMIT_FHIRPATH_STEPS };
}

bool profile_check(const struct profile_source *source, const struct json *resource,
                   const struct profile_wanted *wanted, struct outcome *outcome, struct error *error)
{
    struct error cause = { 0 };
    struct profile_run run = profile_run_of(source, resource, outcome, &cause);
    struct str type = JSON_TEXT(outcome->arena, resource, "resourceType");
    const struct profile_item item = { .value = resource, .type = model_resource_find(type), .index = -1 };
    const struct outcome_place place = { .name = type, .index = -1 };
    bool known = false;
    struct str core = str_skip(wanted->url, sizeof CORE_PREFIX - 1);
    bool is_core = str_starts_with(wanted->url, STR(CORE_PREFIX)) && str_equal(core, type);
    if (item.type == NULL || is_core) {
        return true;
    }
    (void)profile_check_against(&run, wanted->url, &item, &place, &known);
    if (run.failed) {
        *error = cause;
        return false;
    }
    if (!known) {
        outcome_add(
            outcome,
            (struct outcome_issue){
                .severity = wanted->required ? OUTCOME_ERROR : OUTCOME_WARNING,
                .code = "not-found",
                .path = type,
                .text = arena_printf(outcome->arena,
                                     "the profile %.*s is not known: upload its StructureDefinition",
                                     STR_FMT(wanted->url)),
                .chinese = arena_printf(outcome->arena, "规范 %.*s 未知：请先上传其 StructureDefinition",
                                        STR_FMT(wanted->url)) });
    }
    return true;
}
