/* Reading a machine: every state, effect and expression is looked at once, at start, so that a mistake in a
 * file is told to whoever changed it and not to a doctor at night. */
#include "workflow/workflow_internal.h"

static const struct str code_system = { "urn:shanhai:codes:workflow",
                                        sizeof "urn:shanhai:codes:workflow" - 1 };

struct workflow_text workflow_text_of(struct arena *arena, const struct json *value)
{
    return (struct workflow_text){ .zh = JSON_TEXT(arena, value, "zh"), .en = JSON_TEXT(arena, value, "en") };
}

static bool compile_expression(struct workflow_set *set, struct workflow_machine *machine, struct str text,
                               struct error *error)
{
    if (table_get(&machine->expressions, text) != NULL) {
        return true;
    }
    struct error cause = { 0 };
    struct fhirpath *compiled = fhirpath_compile(set->arena, text, &cause);
    if (compiled == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: '%.*s': %.80s", STR_FMT(machine->code),
                    STR_FMT(str_slice(text, 0, 60)), cause.text);
    }
    return table_set(&machine->expressions, text, compiled) || WORKFLOW_NO_MEMORY(error);
}

/* Names whose string is an expression; in templates every string that begins with '=' is one. */
static bool is_expression_name(struct str name)
{
    static const char *const names[] = { "when",   "unless", "where",     "expression", "read",     "value",
                                         "at",     "$each",  "grant",     "to",         "revoke",   "share",
                                         "like",   "until",  "patch",     "sign",       "document", "include",
                                         "reason", "since",  "custodian", "until" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal_cstr(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool compile_template(struct workflow_set *set, struct workflow_machine *machine, struct json *value,
                             struct error *error)
{
    if (value->kind == JSON_STRING) {
        struct str text = json_text(set->arena, value);
        bool each = str_equal(value->name, STR("$each"));
        if (each || str_starts_with(text, STR("="))) {
            return compile_expression(set, machine, each ? text : str_skip(text, 1), error);
        }
        return true;
    }
    JSON_EACH(child, value) {
        if (!compile_template(set, machine, child, error)) {
            return false;
        }
    }
    return true;
}

static bool is_template_name(struct str name)
{
    return str_equal(name, STR("create")) || str_equal(name, STR("set")) || str_equal(name, STR("append"));
}

/* A search of the context: "Type?name=…{expression}…". */
static bool compile_search(struct workflow_set *set, struct workflow_machine *machine, struct str text,
                           struct error *error)
{
    for (;;) {
        size_t open = str_find_char(text, '{');
        if (open == text.len) {
            return true;
        }
        text = str_skip(text, open + 1);
        size_t close = str_find_char(text, '}');
        if (close == text.len) {
            return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a search has '{' without '}'",
                        STR_FMT(machine->code));
        }
        if (!compile_expression(set, machine, str_slice(text, 0, close), error)) {
            return false;
        }
        text = str_skip(text, close + 1);
    }
}

static bool compile_rules(struct workflow_set *set, struct workflow_machine *machine, struct json *value,
                          struct error *error)
{
    JSON_EACH(child, value) {
        bool ok = true;
        struct str text = json_text(set->arena, child);
        if (is_template_name(child->name)) {
            ok = compile_template(set, machine, child, error);
        } else if (child->kind >= JSON_ARRAY) {
            ok = compile_rules(set, machine, child, error);
        } else if (child->kind == JSON_STRING && str_equal(child->name, STR("search"))) {
            ok = compile_search(set, machine, text, error);
        } else if (child->kind == JSON_STRING && is_expression_name(child->name) &&
                   !(str_equal(child->name, STR("revoke")) && str_equal(text, STR("all")))) {
            ok = compile_expression(set, machine, text, error);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool load_states(struct workflow_set *set, struct workflow_machine *machine, const struct json *states,
                        struct error *error)
{
    JSON_EACH(state, states) {
        struct workflow_state *loaded = ARENA_NEW(set->arena, struct workflow_state);
        if (loaded == NULL) {
            return WORKFLOW_NO_MEMORY(error);
        }
        *loaded = (struct workflow_state){
            .code = JSON_TEXT(set->arena, state, "code"),
            .title = workflow_text_of(set->arena, JSON_GET(state, "title")),
            .task_status = JSON_TEXT(set->arena, state, "taskStatus"),
            .focus_status = JSON_TEXT(set->arena, state, "focusStatus"),
        };
        if (loaded->code.at == NULL || loaded->task_status.at == NULL) {
            return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a state needs code and taskStatus",
                        STR_FMT(machine->code));
        }
        if (!table_set(&machine->states, loaded->code, loaded)) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    return true;
}

static bool check_state(const struct workflow_machine *machine, struct arena *arena, const struct json *value,
                        struct error *error)
{
    struct str code = json_text(arena, value);
    bool known =
        code.at != NULL && (str_equal(code, STR("%same")) || table_get(&machine->states, code) != NULL);
    return known || FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a transition names an unknown state '%.*s'",
                         STR_FMT(machine->code), STR_FMT(code));
}

static bool check_transition(const struct workflow_machine *machine, struct arena *arena,
                             const struct json *transition, struct error *error)
{
    JSON_EACH(state, JSON_GET(transition, "from")) {
        if (!check_state(machine, arena, state, error)) {
            return false;
        }
    }
    const struct json *to = JSON_GET(transition, "to");
    if (to != NULL && to->kind == JSON_STRING && !check_state(machine, arena, to, error)) {
        return false;
    }
    if (to != NULL && to->kind == JSON_ARRAY) {
        JSON_EACH(option, to) {
            if (!check_state(machine, arena, JSON_GET(option, "state"), error)) {
                return false;
            }
        }
    }
    int64_t after_ms = 0;
    const struct json *after = JSON_GET(transition, "after");
    if (after != NULL && !workflow_duration(json_text(arena, after), &after_ms)) {
        return FAIL(error, ERROR_STRUCTURE,
                    "workflow %.*s: 'after' wants days, hours and minutes, like P7D or PT10M",
                    STR_FMT(machine->code));
    }
    if (json_is_true(JSON_GET(transition, "quiet")) && (to != NULL || after != NULL)) {
        return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a quiet step stays in its state and has no time",
                    STR_FMT(machine->code));
    }
    static const char *const kinds[] = { "create", "patch", "grant", "revoke", "share", "sign", "document" };
    JSON_EACH(effect, JSON_GET(transition, "effects")) {
        size_t known = 0;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            known += json_member(effect, str_from_cstr(kinds[i])) != NULL;
        }
        if (known != 1) {
            return FAIL(error, ERROR_STRUCTURE,
                        "workflow %.*s: an effect must be one of create, patch, grant, revoke, "
                        "share, sign, document",
                        STR_FMT(machine->code));
        }
    }
    return JSON_GET(transition, "name") != NULL && JSON_GET(transition, "who") != NULL
               ? true
               : FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a transition needs name and who",
                      STR_FMT(machine->code));
}

/* Every transition and every expression of one file. */
static bool check_file(struct workflow_set *set, struct workflow_machine *machine, const struct json *root,
                       struct error *error)
{
    JSON_EACH(transition, JSON_GET(root, "transitions")) {
        if (!check_transition(machine, set->arena, transition, error)) {
            return false;
        }
    }
    JSON_EACH(member, root) {
        if (member->kind >= JSON_ARRAY && !compile_rules(set, machine, member, error)) {
            return false;
        }
    }
    return true;
}

static bool append_all(struct arena *arena, struct json *list, const struct json *more, struct error *error)
{
    JSON_EACH(item, more) {
        if (json_append(list, json_copy(arena, item, true)) == NULL) {
            return WORKFLOW_NO_MEMORY(error);
        }
    }
    return true;
}

static struct json *transition_named(const struct workflow_machine *machine, struct str name)
{
    JSON_EACH(transition, machine->transitions) {
        if (json_equals_text(JSON_GET(transition, "name"), name)) {
            return transition;
        }
    }
    return NULL;
}

/* "also": guards and effects that are added to a transition of the machine that is extended. */
static bool extend_transitions(struct workflow_set *set, struct workflow_machine *machine,
                               const struct json *also, struct error *error)
{
    JSON_EACH(addition, also) {
        struct json *transition = transition_named(machine, addition->name);
        struct json *guards = transition == NULL ? NULL : JSON_GET(transition, "guards");
        struct json *effects = transition == NULL ? NULL : JSON_GET(transition, "effects");
        if (guards == NULL || effects == NULL) {
            return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: an extension names no transition: '%.*s'",
                        STR_FMT(machine->code), STR_FMT(addition->name));
        }
        if (!append_all(set->arena, guards, JSON_GET(addition, "guards"), error) ||
            !append_all(set->arena, effects, JSON_GET(addition, "effects"), error) ||
            !check_transition(machine, set->arena, transition, error)) {
            return false;
        }
    }
    return true;
}

/* A file that adds to a machine read before it: a feature of the consult stands in a file of its own. */
static bool load_extension(struct workflow_set *set, struct str code, const struct json *root,
                           struct error *error)
{
    struct workflow_machine *machine =
        set->machines.arena == NULL ? NULL : (struct workflow_machine *)table_get(&set->machines, code);
    if (machine == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "an extension needs the workflow '%.*s' before it",
                    STR_FMT(code));
    }
    JSON_EACH(entry, JSON_GET(root, "context")) {
        bool known = json_member(machine->context, entry->name) != NULL;
        if (known || json_add(machine->context, entry->name, json_copy(set->arena, entry, true)) == NULL) {
            return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: context '%.*s' is there already",
                        STR_FMT(code), STR_FMT(entry->name));
        }
    }
    JSON_EACH(transition, JSON_GET(root, "transitions")) {
        if (transition_named(machine, JSON_TEXT(set->arena, transition, "name")) != NULL) {
            return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: a transition is there twice", STR_FMT(code));
        }
    }
    return append_all(set->arena, machine->transitions, JSON_GET(root, "transitions"), error) &&
           extend_transitions(set, machine, JSON_GET(root, "also"), error) &&
           check_file(set, machine, root, error);
}

bool workflow_load(struct workflow_set *set, struct str text, struct error *error)
{
    struct json *root = NULL;
    struct str kept = arena_dup(set->arena, text);
    if (!json_read(set->arena, kept, &root, error)) {
        return false;
    }
    struct str extends = JSON_TEXT(set->arena, root, "extends");
    if (extends.at != NULL) {
        return load_extension(set, extends, root, error);
    }
    struct workflow_machine *machine = ARENA_NEW(set->arena, struct workflow_machine);
    if (machine == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    *machine = (struct workflow_machine){
        .code = JSON_TEXT(set->arena, root, "code"),
        .version = JSON_TEXT(set->arena, root, "version"),
        .focus = JSON_TEXT(set->arena, root, "focus"),
        .initial = JSON_TEXT(set->arena, root, "initial"),
        .created_by = JSON_GET(root, "createdBy"),
        .context = JSON_GET(root, "context"),
        .transitions = JSON_GET(root, "transitions"),
        .states = table_in(set->arena),
        .expressions = table_in(set->arena),
    };
    if (machine->code.at == NULL || machine->initial.at == NULL || machine->focus.at == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "a workflow needs code, focus and initial");
    }
    if (!load_states(set, machine, JSON_GET(root, "states"), error)) {
        return false;
    }
    if (table_get(&machine->states, machine->initial) == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "workflow %.*s: the initial state is unknown",
                    STR_FMT(machine->code));
    }
    if (!check_file(set, machine, root, error) || !compile_expression(set, machine, STR("now()"), error) ||
        !compile_expression(set, machine, STR("%input.reason"), error)) {
        return false;
    }
    if (set->machines.arena == NULL) {
        set->machines = table_in(set->arena);
    }
    return table_set(&set->machines, machine->code, machine) || WORKFLOW_NO_MEMORY(error);
}

const struct workflow_machine *workflow_of_task(const struct workflow_set *set, const struct json *task)
{
    JSON_EACH(coding, JSON_GET(JSON_GET(task, "code"), "coding")) {
        if (!json_equals_text(JSON_GET(coding, "system"), code_system)) {
            continue;
        }
        for (size_t i = 0; i < set->machines.count; i++) {
            if (json_equals_text(JSON_GET(coding, "code"), set->machines.entries[i].key)) {
                return set->machines.entries[i].value;
            }
        }
    }
    return NULL;
}

struct str workflow_state_of(const struct json *task)
{
    const struct json *code =
        JSON_GET(json_at(JSON_GET(JSON_GET(task, "businessStatus"), "coding"), 0), "code");
    /* Our own codes have no escapes. */
    return code == NULL || code->kind != JSON_STRING ? STR_NONE : code->raw;
}

static bool list_has(const struct json *list, struct str text)
{
    JSON_EACH(item, list) {
        if (json_equals_text(item, text)) {
            return true;
        }
    }
    return false;
}

bool workflow_check_new(const struct workflow_machine *machine, const struct json *task, struct str role,
                        struct error *error)
{
    if (!list_has(machine->created_by, role)) {
        return FAIL(error, ERROR_FORBIDDEN, "your role may not begin a %.*s", STR_FMT(machine->code));
    }
    const struct workflow_state *initial = table_get(&machine->states, machine->initial);
    if (!str_equal(workflow_state_of(task), machine->initial) ||
        !json_equals_text(JSON_GET(task, "status"), initial->task_status)) {
        return FAIL(error, ERROR_RULE, "a %.*s begins in state %.*s with status %.*s", STR_FMT(machine->code),
                    STR_FMT(machine->initial), STR_FMT(initial->task_status));
    }
    if (!workflow_timer_equal(NULL, task)) {
        return FAIL(error, ERROR_RULE, "only the program sets the timer of a %.*s", STR_FMT(machine->code));
    }
    if (JSON_GET(JSON_GET(task, "focus"), "reference") == NULL ||
        JSON_GET(JSON_GET(task, "for"), "reference") == NULL) {
        return FAIL(error, ERROR_RULE, "a %.*s needs focus and for", STR_FMT(machine->code));
    }
    return true;
}

bool workflow_check_update(const struct workflow_machine *machine, const struct json *previous,
                           const struct json *task, struct error *error)
{
    static const char *const owned[] = { "status",    "businessStatus", "code",      "focus", "for",
                                         "requester", "owner",          "encounter", "input", "output" };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        struct str name = str_from_cstr(owned[i]);
        if (!json_equal(json_member(previous, name), json_member(task, name))) {
            return FAIL(error, ERROR_RULE, "Task.%s of a %.*s changes only by $transition", owned[i],
                        STR_FMT(machine->code));
        }
    }
    return workflow_timer_equal(previous, task) ||
           FAIL(error, ERROR_RULE, "only the program sets the timer of a %.*s", STR_FMT(machine->code));
}
