/* Extensions wherever they stand: each against its own definition, and whether it may stand there (R4
 * StructureDefinition.context, contextInvariant). One walk over the resource with the model's types beside it. */
#include "fhir/profile_run.h"
#include "fhirpath/fhirpath.h"

/* What an extension stands on. */
struct owner {
    const struct model_type *type;
    struct str path;   /* "Patient.contact.name", from the resource that it lies in */
    struct str choice; /* the same for a choice: "Observation.value[x]" */
    const struct model_type *parent;
    struct str name;          /* of the element in its parent, absent at the top */
    const struct json *value; /* NULL: a primitive that has only extensions */
    const struct json *extra; /* its twin "_name" */
    const struct json *resource;
    struct str url; /* of the extension that it is */
};

/* ---- where it may stand ---- */

/* "Address.line", "DomainResource.text": a type or one that it derives from, and the element. */
static bool is_element_of(struct arena *arena, const struct owner *owner, struct str expression)
{
    for (const struct model_type *type = owner->parent; type != NULL && owner->name.len > 0;
         type = type->base) {
        struct str local = arena_printf(arena, "%.*s.%.*s", STR_FMT(type->name), STR_FMT(owner->name));
        if (str_equal(local, expression)) {
            return true;
        }
    }
    return false;
}

static bool element_fits(struct arena *arena, const struct owner *owner, struct str expression)
{
    return str_equal(expression, owner->path) || str_equal(expression, owner->choice) ||
           model_type_is_a(owner->type, expression) || is_element_of(arena, owner, expression);
}

static bool evaluate(struct profile_run *run, struct str expression, const struct fhirpath_item *input,
                     const struct fhirpath_variable *variables, struct fhirpath_collection *result)
{
    struct error cause = { 0 };
    struct fhirpath_context context = { .arena = run->arena,
                                        .resource = run->resource,
                                        .root_resource = run->root,
                                        .variables = variables,
                                        .as_filters = true,
                                        .steps_max = run->steps_left };
    const struct fhirpath *path = fhirpath_compile(run->arena, expression, &cause);
    bool done =
        path != NULL && run->steps_left > 0 && fhirpath_evaluate(path, &context, input, result, &cause);
    run->steps_left -= context.steps < run->steps_left ? context.steps : run->steps_left;
    return done;
}

/* The expression over the resource gives the element. One that cannot be evaluated is not held against it. */
static bool path_fits(struct profile_run *run, const struct owner *owner, struct str expression)
{
    struct fhirpath_collection result = { 0 };
    const struct fhirpath_item input = fhirpath_item_of_resource(owner->resource);
    if (!evaluate(run, expression, &input, NULL, &result)) {
        return true;
    }
    for (size_t i = 0; i < result.count; i++) {
        const struct fhirpath_item *item = &result.items[i];
        bool same = item->kind == FHIRPATH_NODE && (owner->value != NULL ? item->node.value == owner->value
                                                                         : item->node.extra == owner->extra);
        if (same) {
            return true;
        }
    }
    return false;
}

static bool context_fits(struct profile_run *run, const struct json *context, const struct owner *owner)
{
    struct str type = JSON_TEXT(run->arena, context, "type");
    struct str expression = JSON_TEXT(run->arena, context, "expression");
    if (str_equal(type, STR("element"))) {
        return element_fits(run->arena, owner, expression);
    }
    if (str_equal(type, STR("extension"))) {
        return owner->url.len > 0 &&
               str_equal(str_slice(expression, 0, str_find_char(expression, '#')), owner->url);
    }
    return !str_equal(type, STR("fhirpath")) || path_fits(run, owner, expression);
}

/* %extension is the extension itself. */
static bool invariant_holds(struct profile_run *run, struct str expression, const struct json *extension,
                            const struct owner *owner)
{
    struct error cause = { 0 };
    bool holds = true;
    struct fhirpath_collection result = { 0 };
    const struct fhirpath_item self = { .kind = FHIRPATH_NODE,
                                        .type = model_type_find(STR("Extension")),
                                        .node = { .value = extension } };
    const struct fhirpath_variable variable = { .name = STR("extension"),
                                                .value = { .items = &self, .count = 1 } };
    const struct fhirpath_item input = { .kind = FHIRPATH_NODE,
                                         .type = owner->type,
                                         .node = { .value = owner->value, .extra = owner->extra } };
    return !evaluate(run, expression, &input, &variable, &result) || result.count == 0 ||
           !fhirpath_to_boolean(&result, &holds, &cause) || holds;
}

static void check_context(struct profile_run *run, const struct profile_item *item,
                          const struct outcome_place *place, const struct owner *owner)
{
    struct arena *arena = run->arena;
    struct str url = JSON_TEXT(arena, item->value, "url");
    const struct profile_tree *tree = NULL;
    if (!profile_tree_build(run->source, arena, url, &tree, run->error)) {
        run->failed = true;
        return;
    }
    struct profile_run told = *run;
    const struct json *contexts = tree == NULL ? NULL : JSON_GET(tree->structure, "context");
    struct str allowed = STR("");
    bool fits = contexts == NULL || contexts->count == 0;
    told.tree = tree;
    JSON_EACH(context, contexts) {
        fits = fits || context_fits(run, context, owner);
        struct str expression = JSON_TEXT(arena, context, "expression");
        allowed = arena_printf(arena, "%.*s%s%.*s", STR_FMT(allowed), allowed.len > 0 ? ", " : "",
                               STR_FMT(expression));
    }
    if (!fits) {
        profile_tell_error(
            &told, place, "structure",
            arena_printf(arena, "this extension may not stand here; it may on: %.*s", STR_FMT(allowed)),
            arena_printf(arena, "此扩展不能用在这里；可用于：%.*s", STR_FMT(allowed)));
    }
    JSON_EACH(rule, tree == NULL ? NULL : JSON_GET(tree->structure, "contextInvariant")) {
        struct str expression = json_text(arena, rule);
        if (fits && !invariant_holds(run, expression, item->value, owner)) {
            profile_tell_error(
                &told, place, "invariant",
                arena_printf(arena, "this extension may stand here only where %.*s", STR_FMT(expression)),
                arena_printf(arena, "仅当 %.*s 时才可使用此扩展", STR_FMT(expression)));
        }
    }
}

/* ---- the walk ---- */

static void walk(struct profile_run *run, const struct json *object, const struct owner *owner,
                 const struct outcome_place *place);

static void check_extensions(struct profile_run *run, const struct json *list, const struct owner *owner,
                             const struct outcome_place *place)
{
    int64_t index = 0;
    JSON_EACH(extension, list) {
        struct str url = JSON_TEXT(run->arena, extension, "url");
        const struct profile_item item = { .value = extension,
                                           .type = model_type_find(STR("Extension")),
                                           .member = list->name,
                                           .index = index };
        const struct outcome_place here = { .parent = place, .name = list->name, .index = index };
        bool known = false;
        index++;
        /* Parts of a complex extension have short names and are checked with the whole. */
        if (str_find_char(url, ':') < url.len && !run->failed) {
            (void)profile_check_against(run, url, &item, &here, &known);
            if (known) {
                check_context(run, &item, &here, owner);
            }
        }
        struct owner inner = *owner;
        inner.type = item.type;
        inner.parent = NULL;
        inner.name = STR("");
        inner.path = inner.choice = STR("Extension");
        inner.value = extension;
        inner.extra = NULL;
        inner.url = url;
        walk(run, extension, &inner, &here);
    }
}

static struct owner owner_of(struct profile_run *run, const struct model_element *element,
                             const struct owner *parent)
{
    struct arena *arena = run->arena;
    bool choice = element->choice.at != NULL && element->choice.len > 0;
    struct owner owner = { .type = element->type,
                           .path = arena_printf(arena, "%.*s.%.*s", STR_FMT(parent->path),
                                                STR_FMT(element->name)),
                           .parent = parent->type,
                           .name = element->name,
                           .resource = parent->resource };
    owner.choice = owner.path;
    if (choice) {
        owner.name = arena_printf(arena, "%.*s[x]", STR_FMT(element->choice));
        owner.choice = arena_printf(arena, "%.*s.%.*s", STR_FMT(parent->path), STR_FMT(owner.name));
    }
    return owner;
}

/* One value of an element. A resource in another begins its paths anew. */
static void walk_value(struct profile_run *run, const struct json *value, struct owner owner,
                       const struct outcome_place *place)
{
    if (value->kind != JSON_OBJECT) {
        return;
    }
    owner.value = value;
    const struct model_type *resource = NULL;
    if (model_type_is_a(owner.type, STR("Resource"))) {
        resource = model_resource_find(JSON_TEXT(run->arena, value, "resourceType"));
    }
    if (resource != NULL) {
        owner.type = resource;
        owner.path = owner.choice = resource->name;
        owner.resource = value;
    }
    walk(run, value, &owner, place);
}

/* The twins "_name" of primitives: extensions stand on the primitive. */
static void walk_extras(struct profile_run *run, const struct json *extras, const struct json *values,
                        struct owner owner, const struct outcome_place *place)
{
    bool is_list = extras->kind == JSON_ARRAY;
    size_t count = is_list ? extras->count : 1;
    for (size_t i = 0; i < count; i++) {
        const struct json *extra = is_list ? json_at(extras, i) : extras;
        const struct outcome_place here = { .parent = place,
                                            .name = str_skip(extras->name, 1),
                                            .index = is_list ? (int64_t)i : -1 };
        owner.extra = extra;
        owner.value = is_list ? json_at(values, i) : values;
        owner.value = owner.value != NULL && owner.value->kind == JSON_NULL ? NULL : owner.value;
        const struct json *list = extra == NULL ? NULL : JSON_GET(extra, "extension");
        if (list != NULL && list->kind == JSON_ARRAY) {
            check_extensions(run, list, &owner, &here);
        }
    }
}

static void walk(struct profile_run *run, const struct json *object, const struct owner *owner,
                 const struct outcome_place *place)
{
    if (object == NULL || object->kind != JSON_OBJECT || run->failed) {
        return;
    }
    JSON_EACH(member, object) {
        bool twin = str_starts_with(member->name, STR("_"));
        struct str name = twin ? str_skip(member->name, 1) : member->name;
        const struct model_element *element = model_element_find(owner->type, name);
        if (element == NULL) {
            continue;
        }
        if (str_equal(name, STR("extension")) || str_equal(name, STR("modifierExtension"))) {
            if (member->kind == JSON_ARRAY) {
                check_extensions(run, member, owner, place);
            }
            continue;
        }
        const struct owner inner = owner_of(run, element, owner);
        if (twin) {
            walk_extras(run, member, json_member(object, name), inner, place);
            continue;
        }
        int64_t index = 0;
        const struct outcome_place alone = { .parent = place, .name = name, .index = -1 };
        walk_value(run, member, inner, &alone);
        for (const struct json *item = member->kind == JSON_ARRAY ? member->first : NULL; item != NULL;
             item = item->next) {
            const struct outcome_place here = { .parent = place, .name = name, .index = index };
            index++;
            walk_value(run, item, inner, &here);
        }
    }
}

bool profile_check_extensions(const struct profile_source *source, const struct json *resource,
                              struct outcome *outcome, struct error *error)
{
    struct error cause = { 0 };
    struct profile_run run = profile_run_of(source, resource, outcome, &cause);
    struct str type = JSON_TEXT(outcome->arena, resource, "resourceType");
    const struct outcome_place place = { .name = type, .index = -1 };
    const struct owner owner = { .type = model_resource_find(type),
                                 .path = type,
                                 .choice = type,
                                 .value = resource,
                                 .resource = resource };
    if (owner.type != NULL) {
        walk(&run, resource, &owner, &place);
    }
    if (run.failed) {
        *error = cause;
    }
    return !run.failed;
}
