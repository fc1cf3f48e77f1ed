/* Inputs of a transition, and who may take it: every gap is told at once, never one after the other. */
#include "base/parse.h"
#include "workflow/workflow_internal.h"

bool workflow_refuse(struct arena *arena, struct workflow_refusal *refusal, enum error_kind kind,
                     struct workflow_text message, struct error *error)
{
    struct workflow_message *made = ARENA_NEW(arena, struct workflow_message);
    if (made == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    *made = (struct workflow_message){ .zh = message.zh, .en = message.en };
    struct workflow_message **end = &refusal->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = made;
    refusal->kind = kind;
    return true;
}

static bool refuse_input(struct workflow_run *run, const struct json *declared,
                         struct workflow_refusal *refusal, const char *zh, const char *en,
                         struct error *error)
{
    struct workflow_text title = workflow_text_of(run->arena, JSON_GET(declared, "title"));
    struct workflow_text message = {
        .zh = arena_printf(run->arena, "%s：%.*s", zh, STR_FMT(title.zh)),
        .en = arena_printf(run->arena, "%s: %.*s", en, STR_FMT(title.en)),
    };
    return workflow_refuse(run->arena, refusal, ERROR_RULE, message, error);
}

static const struct json *declared_input(const struct json *transition, struct str name)
{
    JSON_EACH(input, JSON_GET(transition, "inputs")) {
        if (json_equals_text(JSON_GET(input, "name"), name)) {
            return input;
        }
    }
    return NULL;
}

/* value[x] of a Parameters.parameter, or NULL. */
static const struct json *parameter_value(const struct json *parameter)
{
    JSON_EACH(member, parameter) {
        if (str_starts_with(member->name, STR("value")) || str_equal(member->name, STR("resource"))) {
            return member;
        }
    }
    return NULL;
}

static bool option_exists(struct workflow_run *run, const struct json *declared, const struct json *value)
{
    const struct json *options = JSON_GET(declared, "option");
    struct str code = json_text(run->arena, value);
    if (options == NULL) {
        return true;
    }
    JSON_EACH(option, options) {
        if (json_equals_text(JSON_GET(option, "code"), code)) {
            return true;
        }
    }
    return false;
}

/* identity: parts `kind` and `value` become one object. NULL when a part is missing. */
static struct json *identity_value(struct workflow_run *run, const struct json *declared,
                                   const struct json *parameter)
{
    struct json *object = json_new(run->arena, JSON_OBJECT);
    JSON_EACH(part, JSON_GET(parameter, "part")) {
        struct str name = JSON_TEXT(run->arena, part, "name");
        (void)json_add(object, name, json_copy(run->arena, parameter_value(part), false));
    }
    bool whole = json_text(run->arena, JSON_GET(object, "kind")).len > 0 &&
                 str_trim(json_text(run->arena, JSON_GET(object, "value"))).len > 0 &&
                 option_exists(run, declared, JSON_GET(object, "kind"));
    return whole ? object : NULL;
}

/* The value in the form that its declared type wants, or NULL when it does not fit. */
static struct json *input_value(struct workflow_run *run, const struct json *declared,
                                const struct json *parameter)
{
    const struct json *value = parameter_value(parameter);
    struct str type = JSON_TEXT(run->arena, declared, "type");
    if (str_equal(type, STR("identity"))) {
        return identity_value(run, declared, parameter);
    }
    if (value == NULL) {
        return NULL;
    }
    struct date_span span = { 0 };
    bool fits = false;
    if (str_equal(type, STR("integer"))) {
        fits = value->kind == JSON_NUMBER;
    } else if (str_equal(type, STR("Reference"))) {
        struct str reference = JSON_TEXT(run->arena, value, "reference");
        struct str target = JSON_TEXT(run->arena, declared, "target");
        fits = str_starts_with(reference, target) && reference.len > target.len + 1 &&
               reference.at[target.len] == '/';
    } else if (str_equal(type, STR("resource"))) {
        struct str target = JSON_TEXT(run->arena, declared, "target");
        fits = json_equals_text(JSON_GET(value, "resourceType"), target);
    } else if (str_equal(type, STR("dateTime"))) {
        fits = date_parse(json_text(run->arena, value), run->request->offset_minutes, &span, NULL);
    } else {
        fits = str_trim(json_text(run->arena, value)).len > 0 && option_exists(run, declared, value);
    }
    return fits ? json_copy(run->arena, value, false) : NULL;
}

/* Puts one parameter into the object of inputs. */
static bool take_parameter(struct workflow_run *run, const struct json *declared,
                           const struct json *parameter, struct json *input, struct workflow_refusal *refusal,
                           struct error *error)
{
    struct str name = JSON_TEXT(run->arena, declared, "name");
    struct json *value = input_value(run, declared, parameter);
    if (value == NULL) {
        return refuse_input(run, declared, refusal, "内容不正确", "Not a fitting value", error);
    }
    struct json *before = json_member(input, name);
    if (!json_is_true(JSON_GET(declared, "repeats"))) {
        if (before != NULL) {
            return refuse_input(run, declared, refusal, "只能填一项", "Given more than once", error);
        }
        return json_add(input, name, value) != NULL || WORKFLOW_NO_MEMORY(error);
    }
    if (before == NULL) {
        before = json_add(input, name, json_new(run->arena, JSON_ARRAY));
    }
    return json_append(before, value) != NULL || WORKFLOW_NO_MEMORY(error);
}

static bool check_complete(struct workflow_run *run, const struct json *transition, const struct json *input,
                           struct workflow_refusal *refusal, struct error *error)
{
    JSON_EACH(declared, JSON_GET(transition, "inputs")) {
        const struct json *given = json_member(input, JSON_TEXT(run->arena, declared, "name"));
        const struct json *minimum = JSON_GET(declared, "minimum");
        bool missing = given == NULL && json_is_true(JSON_GET(declared, "required"));
        uint64_t least = 0;
        bool few = given != NULL && minimum != NULL && parse_uint64(minimum->raw, 100, &least) &&
                   given->count < least;
        if ((missing || few) && !refuse_input(run, declared, refusal, "未填写", "Missing", error)) {
            return false;
        }
    }
    return true;
}

bool workflow_read_input(struct workflow_run *run, const struct json *transition, struct json **input,
                         struct str *password, struct workflow_refusal *refusal, struct error *error)
{
    struct json *object = json_new(run->arena, JSON_OBJECT);
    if (object == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    JSON_EACH(parameter, JSON_GET(run->request->parameters, "parameter")) {
        struct str name = JSON_TEXT(run->arena, parameter, "name");
        if (str_equal(name, STR("transition"))) {
            continue;
        }
        const struct json *declared = declared_input(transition, name);
        if (declared == NULL) {
            return FAIL(error, ERROR_INPUT, "this transition has no input '%.*s'",
                        STR_FMT(str_slice(name, 0, 40)));
        }
        if (!take_parameter(run, declared, parameter, object, refusal, error)) {
            return false;
        }
    }
    if (!check_complete(run, transition, object, refusal, error)) {
        return false;
    }
    *password = JSON_TEXT(run->arena, object, "password");
    (void)json_remove_member(object, STR("password"));
    *input = object;
    return true;
}

static bool role_listed(const struct json *who, struct str role)
{
    JSON_EACH(listed, JSON_GET(who, "roles")) {
        if (json_equals_text(listed, role)) {
            return true;
        }
    }
    return false;
}

bool workflow_may(struct workflow_run *run, const struct json *transition, bool *may,
                  struct workflow_refusal *refusal, struct error *error)
{
    const struct json *nearest = NULL; /* of the right role, but not this person */
    const struct json *last = NULL;
    *may = false;
    JSON_EACH(who, JSON_GET(transition, "who")) {
        last = last == NULL ? who : last;
        if (!role_listed(who, run->request->actor->role)) {
            continue;
        }
        nearest = nearest == NULL ? who : nearest;
        if (!workflow_test(run, JSON_TEXT(run->arena, who, "when"), may, error)) {
            return false;
        }
        if (*may) {
            return true;
        }
    }
    struct workflow_text text =
        workflow_text_of(run->arena, JSON_GET(nearest != NULL ? nearest : last, "otherwise"));
    if (text.zh.at == NULL) {
        text = (struct workflow_text){ .zh = STR("您的岗位不能办理此步"),
                                       .en = STR("Your post may not do this") };
    }
    return workflow_refuse(run->arena, refusal, ERROR_FORBIDDEN, text, error);
}
