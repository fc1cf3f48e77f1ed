/* Tree navigation, utilities, and what FHIR R4 adds (fhirpath.html 2.9.1.3). */
#include "base/clock.h"
#include "fhirpath/datetime.h"
#include "fhirpath/functions.h"
#include "fhirpath/html.h"
#include "fhirpath/types.h"

bool function_children(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        if (!node_children(call->run, &call->in->items[i], call->out, error)) {
            return false;
        }
    }
    return true;
}

bool function_descendants(struct call *call, struct error *error)
{
    return node_descendants(call->run, call->in, call->out, error);
}

bool function_trace(struct call *call, struct error *error)
{
    struct fhirpath_context *context = call->run->context;
    struct str name = STR_NONE;
    bool given = false;
    struct list shown = *call->in;
    if (!call_string(call, 0, &name, &given, error)) {
        return false;
    }
    if (call->expression->parts_count == 2) {
        shown = (struct list){ 0 };
        for (size_t i = 0; i < call->in->count; i++) {
            struct scope scope = { .self = &call->in->items[i],
                                   .index = (int64_t)i,
                                   .variables = call->scope->variables };
            struct list part;
            if (!call_argument_on(call, 1, &scope, &part, error) ||
                !list_add_all(call->run, &shown, &part, error)) {
                return false;
            }
        }
    }
    if (context->trace != NULL) {
        context->trace(context->trace_data, name,
                       &(struct fhirpath_collection){ .items = shown.items, .count = shown.count });
    }
    return list_add_all(call->run, call->out, call->in, error);
}

/* ---- the clock: one reading for a whole evaluation (N1 5.8.2) ---- */

static struct fhirpath_time now(struct call *call)
{
    return datetime_from_ms(run_now_ms(call->run), call->run->context->offset_minutes);
}

bool function_now(struct call *call, struct error *error)
{
    struct fhirpath_item item = { .kind = FHIRPATH_DATETIME, .time = now(call) };
    return list_add(call->run, call->out, &item, error);
}

bool function_today(struct call *call, struct error *error)
{
    struct fhirpath_time time = now(call);
    struct fhirpath_item item = {
        .kind = FHIRPATH_DATE,
        .time = { .year = time.year, .month = time.month, .day = time.day, .precision = FHIRPATH_DAY }
    };
    return list_add(call->run, call->out, &item, error);
}

bool function_time_of_day(struct call *call, struct error *error)
{
    struct fhirpath_item item = { .kind = FHIRPATH_TIME, .time = now(call) };
    item.time.year = 0;
    item.time.month = 1;
    item.time.day = 1;
    item.time.has_zone = false;
    item.time.offset_minutes = 0;
    return list_add(call->run, call->out, &item, error);
}

/* ---- primitives ---- */

bool function_has_value(struct call *call, struct error *error)
{
    bool has = false;
    if (call->in->count == 1) {
        const struct fhirpath_item *item = &call->in->items[0];
        has =
            item->kind != FHIRPATH_NODE || (item->node.value != NULL && item->node.value->kind < JSON_ARRAY);
    }
    return list_add_boolean(call->run, call->out, has, error);
}

bool function_get_value(struct call *call, struct error *error)
{
    if (call->in->count != 1) {
        return true;
    }
    struct fhirpath_item value = run_value(call->run, &call->in->items[0]);
    return value.kind == FHIRPATH_NODE || list_add(call->run, call->out, &value, error);
}

bool function_extension(struct call *call, struct error *error)
{
    struct str url = STR_NONE;
    bool given = false;
    if (!call_string(call, 0, &url, &given, error)) {
        return false;
    }
    if (!given) {
        return true;
    }
    struct list all = { 0 };
    for (size_t i = 0; i < call->in->count; i++) {
        if (!node_children_named(call->run, &call->in->items[i], STR("extension"), &all, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < all.count; i++) {
        if (json_equals_text(JSON_GET(all.items[i].node.value, "url"), url) &&
            !list_add(call->run, call->out, &all.items[i], error)) {
            return false;
        }
    }
    return true;
}

/* ---- references ---- */

static const struct json *find_contained(const struct json *resource, struct str id)
{
    JSON_EACH(contained, JSON_GET(resource, "contained")) {
        if (json_equals_text(JSON_GET(contained, "id"), id)) {
            return contained;
        }
    }
    return NULL;
}

/* The resource of a Bundle whose fullUrl is the reference, or ends with it when it is relative (R4 bundle.html 2.36.4.1). */
static const struct json *find_entry(struct arena *arena, const struct json *bundle, struct str reference)
{
    if (!json_equals_text(JSON_GET(bundle, "resourceType"), STR("Bundle"))) {
        return NULL;
    }
    JSON_EACH(entry, JSON_GET(bundle, "entry")) {
        struct str url = JSON_TEXT(arena, entry, "fullUrl");
        bool is_end = url.len > reference.len && str_ends_with(url, reference) &&
                      url.at[url.len - reference.len - 1] == '/';
        if (url.at != NULL && (str_equal(url, reference) || is_end)) {
            return JSON_GET(entry, "resource");
        }
    }
    return NULL;
}

/* "http://host/fhir/Patient/1/_history/2" names a Patient and the id 1. NULL when it names no type. */
static const struct model_type *parse_reference(struct str reference, struct str *id)
{
    reference = str_slice(reference, 0, str_find(reference, STR("/_history/")));
    size_t slash = str_find_last_char(reference, '/');
    if (slash >= reference.len) {
        return NULL;
    }
    struct str before = str_slice(reference, 0, slash);
    size_t start = str_find_last_char(before, '/');
    *id = str_skip(reference, slash + 1);
    return model_resource_find(start >= before.len ? before : str_skip(before, start + 1));
}

/* R4 2.3.0.2: "#id" is looked for in the resource that holds the item, in a Bundle that of the entry; in a contained
 * one in its container. NULL when the item tells of none. */
static const struct json *container_of(const struct fhirpath_item *item)
{
    while (item != NULL && item->kind == FHIRPATH_NODE) {
        bool is_resource = item->type != NULL && item->type->kind == MODEL_RESOURCE;
        bool is_contained = item->node.member != NULL && str_equal(item->node.member->name, STR("contained"));
        if (is_resource && !is_contained) {
            return item->node.value;
        }
        item = item->node.parent;
    }
    return NULL;
}

/* What a reference leads to: contained, in the bundle, or by the host. */
static bool look_up(struct call *call, const struct fhirpath_item *item, struct str reference,
                    const struct json **resource, struct error *error)
{
    const struct fhirpath_context *context = call->run->context;
    const struct json *root = context->root_resource != NULL ? context->root_resource : context->resource;
    *resource = NULL;
    if (str_starts_with(reference, STR("#"))) {
        struct str id = str_skip(reference, 1);
        const struct json *container = container_of(item);
        container = container == NULL || context->root_resource != NULL ? root : container;
        *resource = id.len == 0 ? container : find_contained(container, id);
        return true;
    }
    *resource = find_entry(call->run->arena, root, reference);
    if (*resource == NULL && context->host != NULL && context->host->resolve != NULL) {
        return context->host->resolve(context->host->data, call->run->arena, reference, resource, error);
    }
    return true;
}

/* R4: without somebody to ask, a node that only has the type that the reference names, so that
 * `resolve() is Patient` has its answer (all search parameters need no more). */
static bool add_resolved(struct call *call, const struct fhirpath_item *item, struct str reference,
                         struct error *error)
{
    const struct fhirpath_context *context = call->run->context;
    const struct json *resource = NULL;
    if (!run_spend(call->run, 1, error) || !look_up(call, item, reference, &resource, error)) {
        return false;
    }
    if (resource != NULL) {
        struct fhirpath_item found = fhirpath_item_of_resource(resource);
        return list_add(call->run, call->out, &found, error);
    }
    if (context->host != NULL && context->host->resolve != NULL) {
        return true;
    }
    struct str id = STR_NONE;
    const struct model_type *type = parse_reference(reference, &id);
    if (type == NULL && item->kind == FHIRPATH_NODE) {
        type = type_find(JSON_TEXT(call->run->arena, item->node.value, "type"));
    }
    struct fhirpath_item found = { .kind = FHIRPATH_NODE, .type = type };
    return type == NULL || list_add(call->run, call->out, &found, error);
}

bool function_resolve(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        const struct fhirpath_item *item = &call->in->items[i];
        struct str reference = STR_NONE;
        if (item->kind == FHIRPATH_NODE && item->node.value != NULL &&
            item->node.value->kind == JSON_OBJECT) {
            reference = JSON_TEXT(call->run->arena, item->node.value, "reference");
        } else {
            struct fhirpath_item value = run_value(call->run, item);
            reference = value.kind == FHIRPATH_STRING ? value.string : STR_NONE;
        }
        if (reference.at != NULL && !add_resolved(call, item, reference, error)) {
            return false;
        }
    }
    return true;
}

/* SQL on FHIR: the keys by which the rows of two views are joined. A resource's key is its id, and so is that of a
 * reference to it. */
bool function_get_resource_key(struct call *call, struct error *error)
{
    for (size_t i = 0; i < call->in->count; i++) {
        const struct fhirpath_item *item = &call->in->items[i];
        bool is_resource =
            item->kind == FHIRPATH_NODE && item->type != NULL && item->type->kind == MODEL_RESOURCE;
        struct str id = is_resource ? JSON_TEXT(call->run->arena, item->node.value, "id") : STR_NONE;
        if (id.at != NULL && !list_add_string(call->run, call->out, id, error)) {
            return false;
        }
    }
    return true;
}

bool function_get_reference_key(struct call *call, struct error *error)
{
    struct str wanted = call->expression->name;
    if (wanted.len > 0 && model_resource_find(wanted) == NULL) {
        return FAIL(error, ERROR_INPUT, "FHIRPath, column %u: no resource type '%.*s'",
                    call->expression->at + 1, STR_FMT(str_slice(wanted, 0, 64)));
    }
    for (size_t i = 0; i < call->in->count; i++) {
        const struct fhirpath_item *item = &call->in->items[i];
        struct str id = STR_NONE;
        const struct model_type *type = NULL;
        if (item->kind == FHIRPATH_NODE) {
            type = parse_reference(JSON_TEXT(call->run->arena, item->node.value, "reference"), &id);
        }
        bool keeps = type != NULL && (wanted.len == 0 || str_equal(type->name, wanted));
        if (keeps && !list_add_string(call->run, call->out, id, error)) {
            return false;
        }
    }
    return true;
}

/* ---- terminology and profiles: answered by the host ---- */

static bool coding_is_member(struct arena *arena, const struct model_value_set *set,
                             const struct json *coding)
{
    struct str code = JSON_TEXT(arena, coding, "code");
    return code.at != NULL && model_value_set_has(set, JSON_TEXT(arena, coding, "system"), code);
}

/* The sets whose codes the model has written out: a code, a Coding, or one coding of a CodeableConcept. */
static bool ask_model(struct arena *arena, const struct fhirpath_item *item, struct str url, bool *known,
                      bool *is_member)
{
    const struct model_value_set *set = model_value_set_find(str_slice(url, 0, str_find_char(url, '|')));
    const struct json *node = item->kind == FHIRPATH_NODE ? item->node.value : NULL;
    *known = set != NULL && set->systems_count > 0;
    *is_member = false;
    if (!*known) {
        return true;
    }
    if (node == NULL || node->kind != JSON_OBJECT) {
        struct fhirpath_item value = fhirpath_item_to_system(arena, item);
        *is_member = value.kind == FHIRPATH_STRING && model_value_set_has(set, STR_NONE, value.string);
        return true;
    }
    *is_member = coding_is_member(arena, set, node);
    JSON_EACH(coding, JSON_GET(node, "coding")) {
        *is_member = *is_member || coding_is_member(arena, set, coding);
    }
    return true;
}

bool function_member_of(struct call *call, struct error *error)
{
    const struct fhirpath_host *host = call->run->context->host;
    bool has_host = host != NULL && host->member_of != NULL;
    struct str value_set = STR_NONE;
    bool given = false;
    bool known = false;
    bool is_member = false;
    if (!call_string(call, 0, &value_set, &given, error)) {
        return false;
    }
    if (call->in->count > 1) {
        return call_fail(call, "more than one item where one is allowed", error);
    }
    if (!given || call->in->count == 0) {
        return true;
    }
    const struct fhirpath_item *item = &call->in->items[0];
    bool answered = has_host ? host->member_of(host->data, item, value_set, &known, &is_member, error)
                             : ask_model(call->run->arena, item, value_set, &known, &is_member);
    if (!answered) {
        return false;
    }
    if (!known && !has_host) {
        return FAIL(error, ERROR_UNSUPPORTED, "FHIRPath: memberOf() has no terminology to ask here");
    }
    return !known || list_add_boolean(call->run, call->out, is_member, error);
}

/* The base definition of a type is known without a host. */
static bool conforms_to_base(const struct fhirpath_item *item, struct str profile, bool *conforms)
{
    struct str prefix = STR("http://hl7.org/fhir/StructureDefinition/");
    const struct model_type *type =
        str_starts_with(profile, prefix) ? type_find(str_skip(profile, prefix.len)) : NULL;
    if (type == NULL) {
        return false;
    }
    *conforms = item->kind == FHIRPATH_NODE && item->type != NULL && type_descends(item->type, type);
    return true;
}

bool function_conforms_to(struct call *call, struct error *error)
{
    const struct fhirpath_host *host = call->run->context->host;
    struct str profile = STR_NONE;
    bool given = false;
    bool known = false;
    bool conforms = false;
    if (!call_string(call, 0, &profile, &given, error)) {
        return false;
    }
    if (call->in->count > 1) {
        return call_fail(call, "more than one item where one is allowed", error);
    }
    if (!given || call->in->count == 0) {
        return true;
    }
    if (!conforms_to_base(&call->in->items[0], profile, &conforms)) {
        if (host != NULL && host->conforms_to != NULL &&
            !host->conforms_to(host->data, &call->in->items[0], profile, &known, &conforms, error)) {
            return false;
        }
        if (!known) {
            return call_fail(call, "this profile is not known", error);
        }
    }
    return list_add_boolean(call->run, call->out, conforms, error);
}

bool function_html_checks(struct call *call, struct error *error)
{
    struct str html = STR_NONE;
    bool given = false;
    if (!call_input_string(call, &html, &given, error)) {
        return false;
    }
    return !given || list_add_boolean(call->run, call->out, html_is_safe(html), error);
}

/* R4: an error when an item has a modifier extension that is not among the arguments. */
bool function_check_modifiers(struct call *call, struct error *error)
{
    struct list allowed = { 0 };
    for (size_t i = 0; i < call->expression->parts_count; i++) {
        struct list one = { 0 };
        if (!call_argument(call, i, &one, error) || !list_add_all(call->run, &allowed, &one, error)) {
            return false;
        }
    }
    struct list found = { 0 };
    for (size_t i = 0; i < call->in->count; i++) {
        if (!node_children_named(call->run, &call->in->items[i], STR("modifierExtension"), &found, error)) {
            return false;
        }
    }
    for (size_t i = 0; i < found.count; i++) {
        struct fhirpath_item url =
            fhirpath_item_of_string(JSON_TEXT(call->run->arena, found.items[i].node.value, "url"));
        if (url.string.at == NULL || !list_contains(call->run, &allowed, &url)) {
            return call_fail(call, "there is a modifier extension that is not allowed", error);
        }
    }
    return list_add_all(call->run, call->out, call->in, error);
}
