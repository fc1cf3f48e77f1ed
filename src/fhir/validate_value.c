/* Single values: formats of primitives, codes against bindings, references, extensions. */
#include "fhir/primitive.h"
#include "fhir/validate_run.h"

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

static void check_code(struct validate_run *run, const struct model_element *element, struct str code,
                       const struct outcome_place *place)
{
    if (model_value_set_has(element->value_set, STR_NONE, code)) {
        return;
    }
    struct str url = element->value_set->url;
    validate_tell(
        run, place,
        (struct validate_issue){
            .code = "code-invalid",
            .text = arena_printf(run->arena, "the code is not in the required value set %.*s", STR_FMT(url)),
            .chinese = arena_printf(run->arena, "代码不在必须使用的值集 %.*s 中", STR_FMT(url)) });
}

/* R4 2.4.0: of the outermost element. */
static bool has_namespace(struct str html)
{
    struct str tag = str_slice(html, 0, str_find_char(html, '>'));
    return str_find(tag, STR("http://www.w3.org/1999/xhtml")) < tag.len;
}

void validate_primitive(struct validate_run *run, const struct json *value,
                        const struct model_element *element, const struct outcome_place *place)
{
    enum primitive primitive = primitive_of(element->type->name);
    if (!kind_fits(primitive, value)) {
        validate_tell(run, place,
                      (struct validate_issue){
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
        validate_tell(
            run, place,
            (struct validate_issue){
                .code = text.len == 0 ? "required" : "value",
                .text = arena_printf(run->arena, "%.*s must be %s", STR_FMT(element->type->name), fault),
                .chinese =
                    arena_printf(run->arena, "%.*s 格式不正确（%s）", STR_FMT(element->type->name), fault) });
    } else if (primitive == PRIMITIVE_XHTML && run->full && !has_namespace(text)) {
        validate_tell(
            run, place,
            (struct validate_issue){
                .code = "value",
                .text = STR("the <div> must name its namespace: xmlns=\"http://www.w3.org/1999/xhtml\""),
                .chinese = STR("<div> 须写明命名空间 xmlns=\"http://www.w3.org/1999/xhtml\"") });
    } else if (element->strength == MODEL_BINDING_REQUIRED && element->value_set != NULL &&
               primitive == PRIMITIVE_CODE) {
        check_code(run, element, text, place);
    }
}

/* ---- codes and references ---- */

static bool coding_fits(struct validate_run *run, const struct model_value_set *set,
                        const struct json *coding)
{
    struct str system = JSON_TEXT(run->arena, coding, "system");
    struct str code = JSON_TEXT(run->arena, coding, "code");
    return model_value_set_has(set, system.at == NULL ? STR("") : system, code);
}

static bool fits_binding(struct validate_run *run, const struct json *value,
                         const struct model_element *element)
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

void validate_binding(struct validate_run *run, const struct json *value, const struct model_element *element,
                      const struct outcome_place *place)
{
    struct str url = element->value_set->url;
    if (fits_binding(run, value, element)) {
        return;
    }
    if (element->strength == MODEL_BINDING_REQUIRED) {
        validate_tell(
            run, place,
            (struct validate_issue){
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
        .path = outcome_path(run->arena, place),
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

/* What "#id" leads to: NULL when nothing. "#" is the container (R4 2.3.0.2). */
static const struct json *contained_find(struct validate_run *run, struct str id)
{
    if (id.len == 0) {
        return run->root;
    }
    JSON_EACH(resource, JSON_GET(run->root, "contained")) {
        if (json_equals_text(JSON_GET(resource, "id"), id)) {
            return resource;
        }
    }
    return NULL;
}

static bool has_scheme(struct str uri)
{
    size_t colon = str_find_char(uri, ':');
    bool is_name = colon > 0 && colon < uri.len;
    for (size_t i = 0; i < colon && is_name; i++) {
        char c = uri.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        is_name = letter || (i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
    }
    return is_name;
}

/* R4 2.3.0.1: what is no absolute URL is Type/id, with a version or not; a search (?) is for transactions. */
static bool is_relative_reference(struct str reference)
{
    struct str rest = str_slice(reference, 0, str_find_char(reference, '#'));
    struct str type = STR_NONE;
    struct str id = STR_NONE;
    struct str history = STR_NONE;
    struct str version = STR_NONE;
    if (str_find_char(reference, '?') < reference.len) {
        return true;
    }
    bool ok = str_split_next(&rest, '/', &type) && model_resource_find(type) != NULL &&
              str_split_next(&rest, '/', &id) && primitive_fault(PRIMITIVE_ID, id) == NULL;
    if (ok && str_split_next(&rest, '/', &history)) {
        ok = str_equal(history, STR("_history")) && str_split_next(&rest, '/', &version) &&
             primitive_fault(PRIMITIVE_ID, version) == NULL && rest.len == 0;
    }
    return ok;
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

/* R4 2.3.0.1 does not forbid addresses that are no FHIR server's, so it is a warning. */
static void warn_of_reference(struct validate_run *run, const struct outcome_place *place)
{
    const struct outcome_issue issue = {
        .severity = OUTCOME_WARNING,
        .code = "value",
        .path = outcome_path(run->arena, place),
        .text = STR(
            "leads nowhere on a FHIR server: write Type/id, an absolute URL or # and the id of a contained "
            "resource"),
        .chinese = STR("无法按此找到资源：请写“类型/id”、绝对地址，或 # 加内含资源的 id"),
    };
    outcome_add(run->outcome, issue);
}

void validate_reference(struct validate_run *run, const struct json *value,
                        const struct model_element *element, const struct outcome_place *place)
{
    struct str reference = JSON_TEXT(run->arena, value, "reference");
    struct str type = reference_type(reference);
    if (str_starts_with(reference, STR("#"))) {
        const struct json *target = contained_find(run, str_skip(reference, 1));
        if (target == NULL) {
            validate_tell(
                run, place,
                (struct validate_issue){ .code = "not-found",
                                         .text = STR("no contained resource has the id that is referred to"),
                                         .chinese = STR("所引用的内含资源不存在") });
        }
        type =
            target == NULL || target == run->root ? STR_NONE : JSON_TEXT(run->arena, target, "resourceType");
    } else if (run->full && reference.len > 0 && !has_scheme(reference) &&
               !is_relative_reference(reference)) {
        warn_of_reference(run, place);
        return;
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
        .path = outcome_path(run->arena, place),
        .text = arena_printf(run->arena, "a reference to %.*s is not allowed here; allowed: %.*s",
                             STR_FMT(type), STR_FMT(element->targets)),
        .chinese = arena_printf(run->arena, "此处不能引用 %.*s；可引用：%.*s", STR_FMT(type),
                                STR_FMT(element->targets)),
    };
    outcome_add(run->outcome, issue);
}

void validate_extension(struct validate_run *run, const struct json *value, const struct outcome_place *place)
{
    size_t values = 0;
    JSON_EACH(member, value) {
        bool is_value = str_starts_with(member->name, STR("value"));
        values += is_value || str_starts_with(member->name, STR("_value")) ? 1 : 0;
    }
    bool nested = JSON_GET(value, "extension") != NULL;
    if ((values > 0) == nested) { /* ext-1 */
        validate_tell(
            run, place,
            (struct validate_issue){ .code = "invariant",
                                     .text = STR("an extension has either a value or extensions (ext-1)"),
                                     .chinese = STR("扩展须有值或下级扩展，且只能有其一（ext-1）") });
    }
    /* R4 2.5.1.0.1: relative only inside another extension, whose definition says what it means. */
    struct str url = JSON_TEXT(run->arena, value, "url");
    bool inner = place->parent != NULL && str_ends_with(place->parent->name, STR("xtension"));
    if (run->full && url.len > 0 && !inner && !has_scheme(url)) {
        validate_tell(run, place,
                      (struct validate_issue){ .code = "value",
                                               .text = STR("the url of an extension must be absolute"),
                                               .chinese = STR("扩展的 url 须为绝对地址") });
    }
}
