#include "fhir/validate.h"

#include "fhir/primitive.h"
#include "model/model.h"

enum {
    MEMBERS_MAX = 512,   /* members of one type: ElementDefinition has the most, below 400 */
    NEAR_NAME_BYTES = 64 /* longer names have no near name */
};

/* Where we are; the text of the path is made only when something is wrong. */
struct place {
    const struct place *parent;
    struct str name; /* of the member, or of the root's type */
    int64_t index;   /* position in an array, -1: none */
};

struct run {
    struct outcome *outcome;
    struct arena *arena;
    const struct json *root; /* resource whose `contained` a "#id" looks into */
    bool extensible;         /* warn of codes outside an extensible binding */
};

struct issue_text {
    const char *code;
    struct str text;
    struct str chinese;
};

static void validate_object(struct run *run, const struct json *value, const struct model_type *type,
                            const struct place *place);
static void validate_nested_resource(struct run *run, const struct json *value, const struct place *place);

/* ---- telling ---- */

static void path_write(struct buf *buf, const struct place *place)
{
    if (place->parent != NULL) {
        path_write(buf, place->parent);
        buf_add_char(buf, '.');
    }
    buf_add(buf, place->name);
    if (place->index >= 0) {
        buf_printf(buf, "[%lld]", (long long)place->index);
    }
}

static struct str path_text(struct arena *arena, const struct place *place)
{
    struct buf buf = { .bytes_max = 4096 };
    path_write(&buf, place);
    struct str text = buf.failed ? STR("") : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    return text;
}

static void tell(struct run *run, const struct place *place, struct issue_text issue)
{
    outcome_add(run->outcome, (struct outcome_issue){ .severity = OUTCOME_ERROR,
                                                      .code = issue.code,
                                                      .path = path_text(run->arena, place),
                                                      .text = issue.text,
                                                      .chinese = issue.chinese });
}

/* Number of single-letter changes between two names, cut at 3. */
static size_t name_distance(struct str a, struct str b)
{
    size_t row[NEAR_NAME_BYTES + 1];
    for (size_t j = 0; j <= b.len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = diagonal + (a.at[i - 1] == b.at[j - 1] ? 0 : 1);
            size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b.len];
}

static struct str near_name(const struct model_type *type, struct str name)
{
    struct str best = STR_NONE;
    size_t best_distance = 3;
    for (size_t i = 0; name.len <= NEAR_NAME_BYTES && i < type->elements_count; i++) {
        struct str candidate = type->elements[i].name;
        if (candidate.len > NEAR_NAME_BYTES || candidate.len + 3 < name.len || name.len + 3 < candidate.len) {
            continue;
        }
        size_t distance = str_equal_ignore_case(candidate, name) ? 0 : name_distance(candidate, name);
        if (distance < best_distance && distance * 2 < name.len) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

static void tell_unknown(struct run *run, const struct model_type *type, const struct place *place)
{
    struct str choice_first = STR_NONE;
    for (size_t i = 0; i < type->elements_count && choice_first.len == 0; i++) {
        if (str_equal(type->elements[i].choice, place->name)) {
            choice_first = type->elements[i].name;
        }
    }
    struct str near = choice_first.len > 0 ? choice_first : near_name(type, place->name);
    struct issue_text issue = { .code = "structure" };
    if (near.len > 0) {
        issue.text = arena_printf(run->arena, "%.*s has no such element; did you mean '%.*s'?",
                                  STR_FMT(type->name), STR_FMT(near));
        issue.chinese = arena_printf(run->arena, "%.*s 没有这个元素；是否应为“%.*s”？", STR_FMT(type->name),
                                     STR_FMT(near));
    } else {
        issue.text = arena_printf(run->arena, "%.*s has no such element; remove it.", STR_FMT(type->name));
        issue.chinese = arena_printf(run->arena, "%.*s 没有这个元素，请删除。", STR_FMT(type->name));
    }
    tell(run, place, issue);
}

/* ---- primitives ---- */

static bool kind_fits(enum primitive primitive, const struct json *value)
{
    if (primitive == PRIMITIVE_BOOLEAN) {
        return value->kind == JSON_TRUE || value->kind == JSON_FALSE;
    }
    return value->kind == (primitive_is_number(primitive) ? JSON_NUMBER : JSON_STRING);
}

static const char *kind_name(enum primitive primitive, bool chinese)
{
    if (primitive == PRIMITIVE_BOOLEAN) {
        return chinese ? "true 或 false" : "true or false";
    }
    if (primitive_is_number(primitive)) {
        return chinese ? "数字（不带引号）" : "a number without quotes";
    }
    return chinese ? "带引号的文本" : "a text in quotes";
}

static void check_code(struct run *run, const struct model_element *element, struct str code,
                       const struct place *place)
{
    if (model_value_set_has(element->value_set, STR_NONE, code)) {
        return;
    }
    struct str url = element->value_set->url;
    tell(run, place,
         (struct issue_text){
             .code = "code-invalid",
             .text = arena_printf(run->arena, "the code is not in the required value set %.*s", STR_FMT(url)),
             .chinese = arena_printf(run->arena, "代码不在必须使用的值集 %.*s 中", STR_FMT(url)) });
}

static void validate_primitive(struct run *run, const struct json *value, const struct model_element *element,
                               const struct place *place)
{
    enum primitive primitive = primitive_of(element->type->name);
    if (!kind_fits(primitive, value)) {
        tell(run, place,
             (struct issue_text){
                 .code = "structure",
                 .text = arena_printf(run->arena, "%.*s must be %s", STR_FMT(element->type->name),
                                      kind_name(primitive, false)),
                 .chinese = arena_printf(run->arena, "%.*s 应为%s", STR_FMT(element->type->name),
                                         kind_name(primitive, true)) });
        return;
    }
    if (value->kind != JSON_STRING && value->kind != JSON_NUMBER) {
        return;
    }
    struct str text = value->kind == JSON_NUMBER ? value->raw : json_text(run->arena, value);
    const char *fault = primitive_fault(primitive, text);
    if (fault != NULL) {
        tell(run, place,
             (struct issue_text){
                 .code = text.len == 0 ? "required" : "value",
                 .text = arena_printf(run->arena, "%.*s must be %s", STR_FMT(element->type->name), fault),
                 .chinese = arena_printf(run->arena, "%.*s 格式不正确（%s）", STR_FMT(element->type->name),
                                         fault) });
    } else if (element->strength == MODEL_BINDING_REQUIRED && element->value_set != NULL &&
               primitive == PRIMITIVE_CODE) {
        check_code(run, element, text, place);
    }
}

/* "_name": id and extensions of a primitive, an object of type Element. */
static void validate_extra(struct run *run, const struct json *extra, const struct place *place)
{
    validate_object(run, extra, model_type_find(STR("Element")), place);
}

/* ---- codes and references ---- */

static bool coding_fits(struct run *run, const struct model_value_set *set, const struct json *coding)
{
    struct str system = JSON_TEXT(run->arena, coding, "system");
    struct str code = JSON_TEXT(run->arena, coding, "code");
    return model_value_set_has(set, system.at == NULL ? STR("") : system, code);
}

static bool fits_binding(struct run *run, const struct json *value, const struct model_element *element)
{
    const struct model_value_set *set = element->value_set;
    if (str_equal(element->type->name, STR("Coding"))) {
        return JSON_GET(value, "code") == NULL || coding_fits(run, set, value);
    }
    if (!str_equal(element->type->name, STR("CodeableConcept"))) {
        return true;
    }
    const struct json *codings = JSON_GET(value, "coding");
    bool fits = codings == NULL;
    JSON_EACH(coding, codings) {
        fits = fits || coding_fits(run, set, coding);
    }
    return fits;
}

static void check_binding(struct run *run, const struct json *value, const struct model_element *element,
                          const struct place *place)
{
    struct str url = element->value_set->url;
    if (fits_binding(run, value, element)) {
        return;
    }
    if (element->strength == MODEL_BINDING_REQUIRED) {
        tell(run, place,
             (struct issue_text){
                 .code = "code-invalid",
                 .text = arena_printf(run->arena,
                                      "no code of the required value set %.*s is given (system and code)",
                                      STR_FMT(url)),
                 .chinese = arena_printf(run->arena, "没有给出必须使用的值集 %.*s 中的代码（系统和代码）",
                                         STR_FMT(url)) });
        return;
    }
    /* R4 4.1.5.3: another code is right where the set has none for the concept, which only a person can say. */
    const struct outcome_issue issue = {
        .severity = OUTCOME_WARNING,
        .code = "code-invalid",
        .path = path_text(run->arena, place),
        .text =
            arena_printf(run->arena, "no code of the extensible value set %.*s is given; use one if it fits",
                         STR_FMT(url)),
        .chinese =
            arena_printf(run->arena, "没有给出可扩展值集 %.*s 中的代码；如有合适代码应当使用", STR_FMT(url)),
    };
    outcome_add(run->outcome, issue);
}

static bool list_has_word(struct str words, struct str word)
{
    struct str part = STR_NONE;
    while (str_split_next(&words, ' ', &part)) {
        if (str_equal(part, word)) {
            return true;
        }
    }
    return false;
}

/* Type shown by "Type/id", ".../Type/id" or ".../Type/id/_history/1"; STR_NONE when it shows none. */
static struct str reference_type(struct str reference)
{
    size_t history = str_find(reference, STR("/_history/"));
    struct str rest = str_slice(reference, 0, history);
    size_t slash = str_find_last_char(rest, '/');
    if (slash >= rest.len) {
        return STR_NONE;
    }
    struct str before = str_slice(rest, 0, slash);
    size_t start = str_find_last_char(before, '/');
    struct str name = start >= before.len ? before : str_skip(before, start + 1);
    return model_resource_find(name) == NULL ? STR_NONE : name;
}

static bool contained_has(struct run *run, struct str id)
{
    if (id.len == 0) {
        return true; /* "#" is the container (R4 2.3.0.2) */
    }
    JSON_EACH(resource, JSON_GET(run->root, "contained")) {
        if (json_equals_text(JSON_GET(resource, "id"), id)) {
            return true;
        }
    }
    return false;
}

/* Official R4 examples refer to a Practitioner where an Organization is asked for and to a DeviceDefinition where a
 * Device is; such a neighbour is warned of, any other type refused. */
static bool is_neighbour(struct str type, struct str targets)
{
    const struct str families[] = { STR("Organization Practitioner PractitionerRole CareTeam"),
                                    STR("Device DeviceDefinition DeviceMetric") };
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        struct str rest = families[i];
        struct str member = STR_NONE;
        bool own = list_has_word(families[i], type);
        while (own && str_split_next(&rest, ' ', &member)) {
            if (list_has_word(targets, member)) {
                return true;
            }
        }
    }
    return false;
}

static void check_reference(struct run *run, const struct json *value, const struct model_element *element,
                            const struct place *place)
{
    struct str reference = JSON_TEXT(run->arena, value, "reference");
    struct str type = reference_type(reference);
    if (str_starts_with(reference, STR("#")) && !contained_has(run, str_skip(reference, 1))) {
        tell(run, place,
             (struct issue_text){ .code = "not-found",
                                  .text = STR("no contained resource has the id that is referred to"),
                                  .chinese = STR("所引用的内含资源不存在") });
    }
    struct str said = JSON_TEXT(run->arena, value, "type");
    if (type.len == 0 && model_resource_find(said) != NULL) {
        type = said;
    }
    if (type.len == 0 || element->targets.len == 0 || list_has_word(element->targets, type)) {
        return;
    }
    const struct outcome_issue issue = {
        .severity = is_neighbour(type, element->targets) ? OUTCOME_WARNING : OUTCOME_ERROR,
        .code = "value",
        .path = path_text(run->arena, place),
        .text = arena_printf(run->arena, "a reference to %.*s is not allowed here; allowed: %.*s",
                             STR_FMT(type), STR_FMT(element->targets)),
        .chinese = arena_printf(run->arena, "此处不能引用 %.*s；可引用：%.*s", STR_FMT(type),
                                STR_FMT(element->targets)),
    };
    outcome_add(run->outcome, issue);
}

static void check_extension(struct run *run, const struct json *value, const struct place *place)
{
    size_t values = 0;
    JSON_EACH(member, value) {
        bool is_value = str_starts_with(member->name, STR("value"));
        values += is_value || str_starts_with(member->name, STR("_value")) ? 1 : 0;
    }
    bool nested = JSON_GET(value, "extension") != NULL;
    if ((values > 0) == nested) { /* ext-1 */
        tell(run, place,
             (struct issue_text){ .code = "invariant",
                                  .text = STR("an extension has either a value or extensions (ext-1)"),
                                  .chinese = STR("扩展须有值或下级扩展，且只能有其一（ext-1）") });
    }
}

/* ---- members ---- */

static void validate_item(struct run *run, const struct json *value, const struct model_element *element,
                          const struct place *place)
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
    bool bound = element->strength == MODEL_BINDING_REQUIRED ||
                 (element->strength == MODEL_BINDING_EXTENSIBLE && run->extensible);
    if (bound && element->value_set != NULL) {
        check_binding(run, value, element, place);
    }
    if (str_equal(type->name, STR("Reference"))) {
        check_reference(run, value, element, place);
    } else if (str_equal(type->name, STR("Extension"))) {
        check_extension(run, value, place);
    }
}

static void tell_empty(struct run *run, const struct place *place)
{
    tell(run, place,
         (struct issue_text){ .code = "structure",
                              .text = STR("must not be null or empty; leave the element out"),
                              .chinese = STR("不能为空；没有内容时请省去该元素") });
}

/* An array, with the array "_name" beside it when it is of primitives (R4 2.6.2.3). */
static void validate_list(struct run *run, const struct json *value, const struct json *extra,
                          const struct model_element *element, struct place place)
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

static void validate_extras(struct run *run, const struct json *extra, const struct model_element *element,
                            struct place place)
{
    if (!element->is_list) {
        validate_extra(run, extra, &place);
        return;
    }
    if (extra->kind != JSON_ARRAY || extra->count == 0) {
        tell(run, &place,
             (struct issue_text){ .code = "structure",
                                  .text = STR("must be an array beside the array of values"),
                                  .chinese = STR("应为与取值数组对应的数组") });
        return;
    }
    place.index = 0;
    for (const struct json *item = extra->first; item != NULL; item = item->next) {
        if (item->kind != JSON_NULL) {
            validate_extra(run, item, &place);
        }
        place.index++;
    }
}

static void validate_member(struct run *run, const struct json *object, const struct json *member,
                            const struct model_element *element, const struct place *place)
{
    if (member->kind == JSON_NULL) {
        tell_empty(run, place);
        return;
    }
    if (!element->is_list) {
        if (member->kind == JSON_ARRAY) {
            tell(run, place,
                 (struct issue_text){ .code = "structure",
                                      .text = STR("must be one value, not an array"),
                                      .chinese = STR("只能有一个值，不应为数组") });
            return;
        }
        validate_item(run, member, element, place);
        return;
    }
    if (member->kind != JSON_ARRAY) {
        tell(run, place,
             (struct issue_text){
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
            tell(run, place,
                 (struct issue_text){ .code = "structure",
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

static void check_count(struct run *run, const struct model_element *element, size_t found,
                        const struct place *parent)
{
    bool choice = element->choice.len > 0;
    struct str name = element->name;
    if (choice) {
        name = arena_printf(run->arena, "%.*s[x]", STR_FMT(element->choice));
    }
    const struct place place = { .parent = parent, .name = name, .index = -1 };
    if (found == 0 && element->min > 0) {
        tell(run, &place,
             (struct issue_text){ .code = "required",
                                  .text = STR("is required and missing"),
                                  .chinese = STR("是必填项，缺失") });
    } else if (found > 1) {
        tell(run, &place,
             (struct issue_text){ .code = "structure",
                                  .text = STR("only one type of this choice may be given"),
                                  .chinese = STR("该选择项只能给出一种类型") });
    }
}

/* Cardinality from below, and one variant a choice. */
static void check_counts(struct run *run, const struct model_type *type, const struct seen *seen,
                         const struct place *place)
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

static void validate_object(struct run *run, const struct json *value, const struct model_type *type,
                            const struct place *place)
{
    assert(type != NULL);
    assert(type->elements_count <= MEMBERS_MAX);
    if (value->kind != JSON_OBJECT) {
        tell(run, place,
             (struct issue_text){
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
        const struct place here = { .parent = place, .name = member->name, .index = -1 };
        const struct model_element *element =
            element_after(type, &hint, extra ? str_skip(member->name, 1) : member->name);
        if (element == NULL || (extra && element->type->kind != MODEL_PRIMITIVE)) {
            tell_unknown(run, type, &here);
        } else if (seen_set(&seen, extra, hint)) {
            tell(run, &here,
                 (struct issue_text){
                     .code = "structure", .text = STR("is given twice"), .chinese = STR("重复出现") });
        } else if (extra) {
            validate_extras(run, member, element, here);
        } else {
            validate_member(run, value, member, element, &here);
        }
    }
    check_counts(run, type, &seen, place);
}

/* ---- resources ---- */

static const struct model_type *type_of_resource(struct run *run, const struct json *value,
                                                 const struct place *place)
{
    struct issue_text issue = { .code = "structure" };
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
        tell(run, place, issue);
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

static void validate_whole(struct run *run, const struct json *value, const struct model_type *type,
                           const struct place *place)
{
    if (has_resource_type_twice(value)) {
        tell(run, place,
             (struct issue_text){ .code = "structure",
                                  .text = STR("resourceType is given twice"),
                                  .chinese = STR("resourceType 重复出现") });
    }
    validate_object(run, value, type, place);
}

/* In Bundle.entry, Parameters.parameter or contained. */
static void validate_nested_resource(struct run *run, const struct json *value, const struct place *place)
{
    const struct model_type *type = type_of_resource(run, value, place);
    if (type == NULL) {
        return;
    }
    bool contained = str_equal(place->name, STR("contained"));
    if (!contained) {
        struct run inner = {
            .outcome = run->outcome, .arena = run->arena, .root = value, .extensible = run->extensible
        };
        validate_whole(&inner, value, type, place);
        return;
    }
    if (JSON_GET(value, "contained") != NULL) { /* dom-2 */
        tell(run, place,
             (struct issue_text){ .code = "structure",
                                  .text = STR("a contained resource must not contain others (dom-2)"),
                                  .chinese = STR("内含资源不能再内含其他资源（dom-2）") });
    }
    if (JSON_GET(value, "id") == NULL) {
        tell(run, place,
             (struct issue_text){ .code = "required",
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
    struct run run = { .outcome = outcome, .arena = outcome->arena, .root = resource };
    run.extensible = options != NULL && options->extensible;
    struct place place = { .name = STR("Resource"), .index = -1 };
    const struct model_type *type = type_of_resource(&run, resource, &place);
    if (type != NULL) {
        place.name = type->name;
        if (options != NULL && options->type.len > 0 && !str_equal(options->type, type->name)) {
            tell(&run, &place,
                 (struct issue_text){
                     .code = "invalid",
                     .text = arena_printf(run.arena, "the request is about %.*s, the resource is a %.*s",
                                          STR_FMT(options->type), STR_FMT(type->name)),
                     .chinese = arena_printf(run.arena, "请求针对 %.*s，但资源是 %.*s",
                                             STR_FMT(options->type), STR_FMT(type->name)) });
        }
        validate_whole(&run, resource, type, &place);
    }
    return outcome->errors_count == errors_before;
}
