#include "fhir/validate.h"

#include "fhir/validate_run.h"

enum { MEMBERS_MAX = 512 /* members of one type: ElementDefinition has the most, below 400 */ };

static void validate_object(struct validate_run *run, const struct json *value, const struct model_type *type,
                            const struct outcome_place *place);
static void validate_nested_resource(struct validate_run *run, const struct json *value,
                                     const struct outcome_place *place);

static void tell_no_content(struct validate_run *run, const struct outcome_place *place)
{
    validate_tell(
        run, place,
        (struct validate_issue){ .code = "invariant",
                                 .text = STR("an element needs a value or children besides its id (ele-1)"),
                                 .chinese = STR("除 id 外，元素须有取值或下级元素（ele-1）") });
}

static bool has_only_id(const struct json *value)
{
    return value->kind == JSON_OBJECT && value->count == 1 && JSON_GET(value, "id") != NULL;
}

/* "_name": id and extensions of a primitive, an object of type Element, which may stand alone (R4 2.6.2.1). */
static void validate_extra(struct validate_run *run, const struct json *extra, bool has_value,
                           const struct outcome_place *place)
{
    validate_object(run, extra, model_type_find(STR("Element")), place);
    if (!has_value && has_only_id(extra)) {
        tell_no_content(run, place);
    }
}

/* ---- members ---- */

static void validate_item(struct validate_run *run, const struct json *value,
                          const struct model_element *element, const struct outcome_place *place)
{
    const struct model_type *type = element->type;
    if (type->kind == MODEL_PRIMITIVE) {
        validate_primitive(run, value, element, place);
        return;
    }
    if (str_equal(type->name, STR("Resource"))) {
        validate_nested_resource(run, value, place);
        return;
    }
    validate_object(run, value, type, place);
    if (value->kind != JSON_OBJECT) {
        return;
    }
    if (has_only_id(value)) {
        tell_no_content(run, place);
    }
    bool bound = element->strength == MODEL_BINDING_REQUIRED ||
                 (element->strength == MODEL_BINDING_EXTENSIBLE && run->full);
    if (bound && element->value_set != NULL) {
        validate_binding(run, value, element, place);
    }
    if (str_equal(type->name, STR("Reference"))) {
        validate_reference(run, value, element, place);
    } else if (str_equal(type->name, STR("Extension"))) {
        validate_extension(run, value, place);
    }
}

static void tell_empty(struct validate_run *run, const struct outcome_place *place)
{
    validate_tell(run, place,
                  (struct validate_issue){ .code = "structure",
                                           .text = STR("must not be null or empty; leave the element out"),
                                           .chinese = STR("不能为空；没有内容时请省去该元素") });
}

/* An array, with the array "_name" beside it when it is of primitives (R4 2.6.2.3). */
static void validate_list(struct validate_run *run, const struct json *value, const struct json *extra,
                          const struct model_element *element, struct outcome_place place)
{
    bool primitive = element->type->kind == MODEL_PRIMITIVE;
    place.index = 0;
    const struct json *beside = extra == NULL ? NULL : extra->first;
    JSON_EACH(item, value) {
        bool described = primitive && beside != NULL && beside->kind != JSON_NULL;
        if (item->kind != JSON_NULL) {
            validate_item(run, item, element, &place);
        } else if (!described) {
            tell_empty(run, &place);
        }
        place.index++;
        beside = beside == NULL ? NULL : beside->next;
    }
}

/* `values` are what stands beside it without the "_", or NULL. */
static void validate_extras(struct validate_run *run, const struct json *extra, const struct json *values,
                            const struct model_element *element, struct outcome_place place)
{
    if (!element->is_list) {
        validate_extra(run, extra, values != NULL, &place);
        return;
    }
    if (extra->kind != JSON_ARRAY || extra->count == 0) {
        validate_tell(run, &place,
                      (struct validate_issue){ .code = "structure",
                                               .text = STR("must be an array beside the array of values"),
                                               .chinese = STR("应为与取值数组对应的数组") });
        return;
    }
    place.index = 0;
    const struct json *value = values != NULL && values->kind == JSON_ARRAY ? values->first : NULL;
    JSON_EACH(item, extra) {
        bool has_value = value != NULL && value->kind != JSON_NULL;
        if (item->kind != JSON_NULL) {
            validate_extra(run, item, has_value, &place);
        } else if (values == NULL) {
            tell_no_content(run, &place);
        }
        place.index++;
        value = value == NULL ? NULL : value->next;
    }
}

static void validate_member(struct validate_run *run, const struct json *object, const struct json *member,
                            const struct model_element *element, const struct outcome_place *place)
{
    if (member->kind == JSON_NULL) {
        tell_empty(run, place);
        return;
    }
    if (!element->is_list) {
        if (member->kind == JSON_ARRAY) {
            validate_tell(run, place,
                          (struct validate_issue){ .code = "structure",
                                                   .text = STR("must be one value, not an array"),
                                                   .chinese = STR("只能有一个值，不应为数组") });
            return;
        }
        validate_item(run, member, element, place);
        return;
    }
    if (member->kind != JSON_ARRAY) {
        validate_tell(run, place,
                      (struct validate_issue){
                          .code = "structure", .text = STR("must be an array"), .chinese = STR("应为数组") });
        return;
    }
    if (member->count == 0) {
        tell_empty(run, place);
        return;
    }
    const struct json *extra = NULL;
    if (element->type->kind == MODEL_PRIMITIVE) {
        char name[80] = "_";
        if (member->name.len + 1 < sizeof name) {
            memcpy(name + 1, member->name.at, member->name.len);
            extra = json_member(object, (struct str){ name, member->name.len + 1 });
        }
        if (extra != NULL && extra->kind == JSON_ARRAY && extra->count != member->count) {
            validate_tell(
                run, place,
                (struct validate_issue){ .code = "structure",
                                         .text = STR("the array with _ before its name has another length"),
                                         .chinese = STR("对应的下划线数组长度不一致") });
        }
    }
    validate_list(run, member, extra, element, *place);
}

/* Members mostly stand in the order of the standard, so the search goes on where the last one was found. */
static const struct model_element *element_after(const struct model_type *type, size_t *hint, struct str name)
{
    for (size_t i = 0; i < type->elements_count; i++) {
        size_t at = *hint + i < type->elements_count ? *hint + i : *hint + i - type->elements_count;
        if (str_equal(type->elements[at].name, name)) {
            *hint = at;
            return &type->elements[at];
        }
    }
    return NULL;
}

/* Bits: bit i of the first half is the member, of the second half its "_" form. */
struct seen {
    uint64_t bits[2][MEMBERS_MAX / 64];
};

static bool seen_set(struct seen *seen, bool extra, size_t index)
{
    uint64_t bit = (uint64_t)1 << (index % 64);
    bool before = (seen->bits[extra][index / 64] & bit) != 0;
    seen->bits[extra][index / 64] |= bit;
    return before;
}

static bool seen_has(const struct seen *seen, size_t index)
{
    return (((seen->bits[0][index / 64] | seen->bits[1][index / 64]) >> (index % 64)) & 1) != 0;
}

static void check_count(struct validate_run *run, const struct model_element *element, size_t found,
                        const struct outcome_place *parent)
{
    struct str name = element->name;
    if (found == 1 || (found == 0 && element->min == 0)) {
        return;
    }
    if (element->choice.len > 0) {
        name = arena_printf(run->arena, "%.*s[x]", STR_FMT(element->choice));
    }
    const struct outcome_place place = { .parent = parent, .name = name, .index = -1 };
    if (found == 0 && element->min > 0) {
        validate_tell(run, &place,
                      (struct validate_issue){ .code = "required",
                                               .text = STR("is required and missing"),
                                               .chinese = STR("是必填项，缺失") });
    } else if (found > 1) {
        validate_tell(run, &place,
                      (struct validate_issue){ .code = "structure",
                                               .text = STR("only one type of this choice may be given"),
                                               .chinese = STR("该选择项只能给出一种类型") });
    }
}

/* Cardinality from below, and one variant a choice. */
static void check_counts(struct validate_run *run, const struct model_type *type, const struct seen *seen,
                         const struct outcome_place *place)
{
    for (size_t i = 0; i < type->elements_count;) {
        const struct model_element *element = &type->elements[i];
        if (element->choice.len == 0) {
            if (element->min > 0 && !seen_has(seen, i)) {
                check_count(run, element, 0, place);
            }
            i++;
            continue;
        }
        size_t found = 0;
        for (; i < type->elements_count && str_equal(type->elements[i].choice, element->choice); i++) {
            found += seen_has(seen, i) ? 1 : 0;
        }
        if (found != 1) {
            check_count(run, element, found, place);
        }
    }
}

static void validate_object(struct validate_run *run, const struct json *value, const struct model_type *type,
                            const struct outcome_place *place)
{
    assert(type != NULL);
    assert(type->elements_count <= MEMBERS_MAX);
    if (value->kind != JSON_OBJECT) {
        validate_tell(run, place,
                      (struct validate_issue){
                          .code = "structure",
                          .text = arena_printf(run->arena, "%.*s must be an object", STR_FMT(type->name)),
                          .chinese = arena_printf(run->arena, "%.*s 应为对象", STR_FMT(type->name)) });
        return;
    }
    if (value->count == 0) {
        tell_empty(run, place);
        return;
    }
    struct seen seen = { 0 };
    size_t hint = 0;
    bool is_resource = type->kind == MODEL_RESOURCE;
    JSON_EACH(member, value) {
        if (is_resource && str_equal(member->name, STR("resourceType"))) {
            continue;
        }
        bool extra = member->name.len > 1 && member->name.at[0] == '_';
        const struct outcome_place here = { .parent = place, .name = member->name, .index = -1 };
        const struct model_element *element =
            element_after(type, &hint, extra ? str_skip(member->name, 1) : member->name);
        if (element == NULL || (extra && element->type->kind != MODEL_PRIMITIVE)) {
            validate_tell_unknown(run, type, &here);
        } else if (seen_set(&seen, extra, hint)) {
            validate_tell(run, &here,
                          (struct validate_issue){ .code = "structure",
                                                   .text = STR("is given twice"),
                                                   .chinese = STR("重复出现") });
        } else if (extra) {
            validate_extras(run, member, json_member(value, str_skip(member->name, 1)), element, here);
        } else {
            validate_member(run, value, member, element, &here);
        }
    }
    check_counts(run, type, &seen, place);
}

/* ---- resources ---- */

static const struct model_type *type_of_resource(struct validate_run *run, const struct json *value,
                                                 const struct outcome_place *place)
{
    struct validate_issue issue = { .code = "structure" };
    const struct json *named = JSON_GET(value, "resourceType");
    const struct model_type *type = NULL;
    if (value->kind != JSON_OBJECT) {
        issue.text = STR("a resource must be a JSON object");
        issue.chinese = STR("资源应为 JSON 对象");
    } else if (named == NULL || named->kind != JSON_STRING) {
        issue.text = STR("resourceType is missing: name the type of the resource");
        issue.chinese = STR("缺少 resourceType（资源类型）");
    } else {
        type = model_resource_find(json_text(run->arena, named));
        issue.text = STR("resourceType is no resource type of FHIR R4");
        issue.chinese = STR("resourceType 不是 FHIR R4 的资源类型");
    }
    if (type == NULL) {
        validate_tell(run, place, issue);
    }
    return type;
}

static bool has_resource_type_twice(const struct json *value)
{
    size_t count = 0;
    JSON_EACH(member, value) {
        count += str_equal(member->name, STR("resourceType")) ? 1 : 0;
    }
    return count > 1;
}

static void validate_whole(struct validate_run *run, const struct json *value, const struct model_type *type,
                           const struct outcome_place *place)
{
    if (has_resource_type_twice(value)) {
        validate_tell(run, place,
                      (struct validate_issue){ .code = "structure",
                                               .text = STR("resourceType is given twice"),
                                               .chinese = STR("resourceType 重复出现") });
    }
    validate_object(run, value, type, place);
}

/* In Bundle.entry, Parameters.parameter or contained. */
static void validate_nested_resource(struct validate_run *run, const struct json *value,
                                     const struct outcome_place *place)
{
    const struct model_type *type = type_of_resource(run, value, place);
    if (type == NULL) {
        return;
    }
    bool contained = str_equal(place->name, STR("contained"));
    if (!contained) {
        struct validate_run inner = {
            .outcome = run->outcome, .arena = run->arena, .root = value, .full = run->full
        };
        validate_whole(&inner, value, type, place);
        return;
    }
    if (JSON_GET(value, "contained") != NULL) { /* dom-2 */
        validate_tell(
            run, place,
            (struct validate_issue){ .code = "structure",
                                     .text = STR("a contained resource must not contain others (dom-2)"),
                                     .chinese = STR("内含资源不能再内含其他资源（dom-2）") });
    }
    if (JSON_GET(value, "id") == NULL) {
        validate_tell(run, place,
                      (struct validate_issue){ .code = "required",
                                               .text = STR("a contained resource needs an id"),
                                               .chinese = STR("内含资源须有 id") });
    }
    validate_whole(run, value, type, place);
}

bool validate_resource(const struct json *resource, const struct validate_options *options,
                       struct outcome *outcome)
{
    assert(resource != NULL);
    size_t errors_before = outcome->errors_count;
    struct validate_run run = { .outcome = outcome, .arena = outcome->arena, .root = resource };
    run.full = options != NULL && options->full;
    struct outcome_place place = { .name = STR("Resource"), .index = -1 };
    const struct model_type *type = type_of_resource(&run, resource, &place);
    if (type != NULL) {
        place.name = type->name;
        if (options != NULL && options->type.len > 0 && !str_equal(options->type, type->name)) {
            validate_tell(
                &run, &place,
                (struct validate_issue){
                    .code = "invalid",
                    .text = arena_printf(run.arena, "the request is about %.*s, the resource is a %.*s",
                                         STR_FMT(options->type), STR_FMT(type->name)),
                    .chinese = arena_printf(run.arena, "请求针对 %.*s，但资源是 %.*s", STR_FMT(options->type),
                                            STR_FMT(type->name)) });
        }
        validate_whole(&run, resource, type, &place);
    }
    return outcome->errors_count == errors_before;
}
