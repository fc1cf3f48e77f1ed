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

static bool contained_has(struct validate_run *run, struct str id)
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

void validate_reference(struct validate_run *run, const struct json *value,
                        const struct model_element *element, const struct outcome_place *place)
{
    struct str reference = JSON_TEXT(run->arena, value, "reference");
    struct str type = reference_type(reference);
    if (str_starts_with(reference, STR("#")) && !contained_has(run, str_skip(reference, 1))) {
        validate_tell(
            run, place,
            (struct validate_issue){ .code = "not-found",
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
}
