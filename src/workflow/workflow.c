/* Listing what may be done and taking a transition. */
#include "workflow/workflow.h"

#include "base/parse.h"
#include "workflow/workflow_internal.h"

static bool list_has_text(const struct json *list, struct str text)
{
    JSON_EACH(item, list) {
        if (json_equals_text(item, text)) {
            return true;
        }
    }
    return false;
}

static bool check_guards(struct workflow_run *run, const struct json *transition,
                         struct workflow_refusal *refusal, struct error *error)
{
    JSON_EACH(guard, JSON_GET(transition, "guards")) {
        bool holds = false;
        if (!workflow_test(run, JSON_TEXT(run->arena, guard, "expression"), &holds, error)) {
            return false;
        }
        struct workflow_text message = workflow_text_of(run->arena, JSON_GET(guard, "message"));
        if (!holds && !workflow_refuse(run->arena, refusal, ERROR_RULE, message, error)) {
            return false;
        }
    }
    return true;
}

/* ---- $transitions ---- */

static struct json *add_part(struct workflow_run *run, struct json *parts, struct str name,
                             struct str value_name, struct json *value)
{
    struct json *part = json_append(parts, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, part, STR("name"), name);
    return json_add(part, value_name, value);
}

static void add_text_part(struct workflow_run *run, struct json *parts, struct str name, struct str text)
{
    if (text.at != NULL) {
        (void)add_part(run, parts, name, STR("valueString"), json_new_string(run->arena, text));
    }
}

static struct json *add_group(struct workflow_run *run, struct json *list, struct str name)
{
    struct json *group = json_append(list, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, group, STR("name"), name);
    return json_add(group, STR("part"), json_new(run->arena, JSON_ARRAY));
}

/* Whom the rules suggest for an input, best first, each with the reasons: one part a column of its statement. */
static bool add_suggestions(struct workflow_run *run, struct json *input, const struct json *declared,
                            struct error *error)
{
    const struct workflow_host *host = run->request->host;
    const struct json *lines = JSON_GET(declared, "suggest");
    struct str focus = JSON_TEXT(run->arena, JSON_GET(run->request->task, "focus"), "reference");
    struct str sql = STR("");
    struct json *rows = NULL;
    if (lines == NULL || host->suggest == NULL) {
        return true;
    }
    JSON_EACH(line, lines) {
        sql = arena_printf(run->arena, "%.*s %.*s", STR_FMT(sql), STR_FMT(json_text(run->arena, line)));
    }
    if (sql.at == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    if (!host->suggest(host->data, run->arena, sql, str_skip(focus, str_find_char(focus, '/') + 1), &rows,
                       error)) {
        return false;
    }
    JSON_EACH(row, rows) {
        struct json *suggestion = add_group(run, input, STR("suggestion"));
        JSON_EACH(column, row) {
            struct json *value = json_copy(run->arena, column, false);
            bool is_text = column->kind == JSON_STRING;
            (void)add_part(run, suggestion, column->name, is_text ? STR("valueString") : STR("valueInteger"),
                           value);
        }
    }
    return true;
}

static bool add_input(struct workflow_run *run, struct json *parts, const struct json *declared, bool may,
                      struct error *error)
{
    struct json *input = add_group(run, parts, STR("input"));
    struct workflow_text title = workflow_text_of(run->arena, JSON_GET(declared, "title"));
    add_text_part(run, input, STR("name"), JSON_TEXT(run->arena, declared, "name"));
    add_text_part(run, input, STR("type"), JSON_TEXT(run->arena, declared, "type"));
    (void)add_part(run, input, STR("required"), STR("valueBoolean"),
                   json_new_bool(run->arena, json_is_true(JSON_GET(declared, "required"))));
    (void)add_part(run, input, STR("repeats"), STR("valueBoolean"),
                   json_new_bool(run->arena, json_is_true(JSON_GET(declared, "repeats"))));
    add_text_part(run, input, STR("title"), title.zh);
    add_text_part(run, input, STR("titleEn"), title.en);
    add_text_part(run, input, STR("target"), JSON_TEXT(run->arena, declared, "target"));
    JSON_EACH(option, JSON_GET(declared, "option")) {
        struct workflow_text option_title = workflow_text_of(run->arena, JSON_GET(option, "title"));
        struct json *coding = json_new(run->arena, JSON_OBJECT);
        (void)json_add_text(run->arena, coding, STR("code"), JSON_TEXT(run->arena, option, "code"));
        (void)json_add_text(run->arena, coding, STR("display"), option_title.zh);
        (void)json_add_text(run->arena, coding, STR("version"), option_title.en);
        (void)add_part(run, input, STR("option"), STR("valueCoding"), coding);
    }
    return !may || add_suggestions(run, input, declared, error);
}

/* Guards that speak of what the person will fill in cannot be judged before. */
static bool guard_needs_input(struct workflow_run *run, const struct json *guard)
{
    struct str expression = JSON_TEXT(run->arena, guard, "expression");
    if (str_find(expression, STR("%input")) < expression.len) {
        return true;
    }
    /* A guard over a context entry that is read from an input. */
    JSON_EACH(entry, run->machine->context) {
        struct str read = JSON_TEXT(run->arena, entry, "read");
        struct str name = arena_printf(run->arena, "%%%.*s", STR_FMT(entry->name));
        size_t at = str_find(expression, name);
        bool named = at < expression.len;
        char after = at + name.len < expression.len ? expression.at[at + name.len] : ' ';
        bool whole = named && !((after >= 'a' && after <= 'z') || (after >= 'A' && after <= 'Z'));
        if (whole && read.at != NULL && str_find(read, STR("%input")) < read.len) {
            return true;
        }
    }
    return false;
}

static bool open_guards(struct workflow_run *run, const struct json *transition,
                        struct workflow_refusal *refusal, struct error *error)
{
    JSON_EACH(guard, JSON_GET(transition, "guards")) {
        bool holds = true;
        if (!guard_needs_input(run, guard) &&
            !workflow_test(run, JSON_TEXT(run->arena, guard, "expression"), &holds, error)) {
            return false;
        }
        struct workflow_text message = workflow_text_of(run->arena, JSON_GET(guard, "message"));
        if (!holds && !workflow_refuse(run->arena, refusal, ERROR_RULE, message, error)) {
            return false;
        }
    }
    return true;
}

static bool list_transition(struct workflow_run *run, const struct json *transition, struct json *list,
                            struct error *error)
{
    struct workflow_refusal refusal = { 0 };
    bool may = false;
    if (!workflow_may(run, transition, &may, &refusal, error) ||
        (may && !open_guards(run, transition, &refusal, error))) {
        return false;
    }
    struct workflow_text title = workflow_text_of(run->arena, JSON_GET(transition, "title"));
    struct json *parts = add_group(run, list, STR("transition"));
    (void)add_part(run, parts, STR("name"), STR("valueCode"),
                   json_new_string(run->arena, JSON_TEXT(run->arena, transition, "name")));
    add_text_part(run, parts, STR("title"), title.zh);
    add_text_part(run, parts, STR("titleEn"), title.en);
    (void)add_part(run, parts, STR("mine"), STR("valueBoolean"), json_new_bool(run->arena, may));
    (void)add_part(run, parts, STR("allowed"), STR("valueBoolean"),
                   json_new_bool(run->arena, refusal.first == NULL));
    (void)add_part(run, parts, STR("primary"), STR("valueBoolean"),
                   json_new_bool(run->arena, json_is_true(JSON_GET(transition, "primary"))));
    for (const struct workflow_message *message = refusal.first; message != NULL; message = message->next) {
        add_text_part(run, parts, STR("reason"), message->zh);
        add_text_part(run, parts, STR("reasonEn"), message->en);
    }
    JSON_EACH(input, JSON_GET(transition, "inputs")) {
        if (!add_input(run, parts, input, may, error)) {
            return false;
        }
    }
    return true;
}

/* Steps that only the program itself takes are of no use on a screen. */
static bool is_own_step(const struct json *transition)
{
    JSON_EACH(who, JSON_GET(transition, "who")) {
        JSON_EACH(role, JSON_GET(who, "roles")) {
            if (!json_equals_text(role, STR("system"))) {
                return false;
            }
        }
    }
    return true;
}

bool workflow_transitions(const struct workflow_request *request, struct arena *arena,
                          struct json **parameters, struct error *error)
{
    struct workflow_run run;
    struct workflow_plan plan = { 0 };
    struct str state = workflow_state_of(request->task);
    if (!workflow_run_begin(&run, request, arena, error)) {
        return false;
    }
    run.plan = &plan;
    struct json *root = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, root, STR("resourceType"), STR("Parameters"));
    struct json *list = json_new(arena, JSON_ARRAY);
    if (list == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    JSON_EACH(transition, request->machine->transitions) {
        bool of_state = list_has_text(JSON_GET(transition, "from"), state);
        bool for_people = !is_own_step(transition);
        if (of_state && for_people && !list_transition(&run, transition, list, error)) {
            return false;
        }
    }
    if (list->count > 0) { /* R4 2.6.1: arrays are never empty */
        (void)json_add(root, STR("parameter"), list);
    }
    *parameters = root;
    return root != NULL || WORKFLOW_NO_MEMORY(error);
}

/* ---- $transition ---- */

static bool next_state(struct workflow_run *run, const struct json *transition, struct str *state,
                       struct error *error)
{
    const struct json *to = JSON_GET(transition, "to");
    struct str code = to == NULL ? STR("%same") : json_text(run->arena, to);
    if (to != NULL && to->kind == JSON_ARRAY) {
        JSON_EACH(option, to) {
            struct str when = JSON_TEXT(run->arena, option, "when");
            bool holds = true;
            if (when.at != NULL && !workflow_test(run, when, &holds, error)) {
                return false;
            }
            if (holds) {
                code = JSON_TEXT(run->arena, option, "state");
                break;
            }
        }
    }
    *state = str_equal(code, STR("%same")) ? workflow_state_of(run->request->task) : code;
    return state->at != NULL ||
           FAIL(error, ERROR_INTERNAL, "workflow %.*s: no state follows", STR_FMT(run->machine->code));
}

static struct json *now_json(struct workflow_run *run)
{
    char now[INSTANT_BYTES];
    (void)instant_format(run->request->now_ms, run->request->offset_minutes, now);
    return json_new_string(run->arena, arena_dup(run->arena, str_from_cstr(now)));
}

static struct json *concept_of(struct workflow_run *run, struct str system, struct str code,
                               struct str display)
{
    struct json *concept = json_new(run->arena, JSON_OBJECT);
    struct json *codings = json_add(concept, STR("coding"), json_new(run->arena, JSON_ARRAY));
    struct json *coding = json_append(codings, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, coding, STR("system"), system);
    (void)json_add_text(run->arena, coding, STR("code"), code);
    if (display.at != NULL) {
        (void)json_add_text(run->arena, coding, STR("display"), display);
    }
    return concept;
}

static bool set_state(struct workflow_run *run, struct str code, struct error *error)
{
    const struct workflow_state *state = table_get(&run->machine->states, code);
    struct json *task = run->request->task;
    struct str system = arena_printf(run->arena, "urn:shanhai:codes:%.*s-state", STR_FMT(run->machine->code));
    (void)json_set(task, STR("status"), json_new_string(run->arena, state->task_status));
    (void)json_set(task, STR("lastModified"), now_json(run));
    struct json *status =
        json_set(task, STR("businessStatus"), concept_of(run, system, code, state->title.zh));
    workflow_touched(run, task)->changed = true;
    if (status == NULL) {
        return WORKFLOW_NO_MEMORY(error);
    }
    struct str focus = JSON_TEXT(run->arena, JSON_GET(task, "focus"), "reference");
    struct workflow_write *write = workflow_touched_reference(run, focus);
    bool differs = state->focus_status.at != NULL &&
                   !json_equals_text(JSON_GET(write->resource, "status"), state->focus_status);
    if (differs) {
        (void)json_set(write->resource, STR("status"), json_new_string(run->arena, state->focus_status));
        write->changed = true;
    }
    return true;
}

/* The step's own record: durations and the status line come from it. */
static bool add_provenance(struct workflow_run *run, const struct json *transition, struct error *error)
{
    const struct workflow_actor *actor = run->request->actor;
    struct workflow_text title = workflow_text_of(run->arena, JSON_GET(transition, "title"));
    struct str reason_expression = JSON_TEXT(run->arena, transition, "reason");
    struct fhirpath_collection reason = { 0 };
    struct str expression = reason_expression.at != NULL ? reason_expression : STR("%input.reason");
    if (!workflow_evaluate(run, expression, NULL, &reason, error)) {
        return false;
    }
    uint64_t version = 0;
    struct str read_version = workflow_touched(run, run->request->task)->version;
    if (!parse_uint64(read_version, UINT32_MAX, &version)) {
        return FAIL(error, ERROR_INTERNAL, "the Task has no version");
    }
    struct json *provenance = json_new(run->arena, JSON_OBJECT);
    (void)json_add_text(run->arena, provenance, STR("resourceType"), STR("Provenance"));
    struct json *targets = json_add(provenance, STR("target"), json_new(run->arena, JSON_ARRAY));
    struct json *target = json_append(targets, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, target, STR("reference"),
                        arena_printf(run->arena, "Task/%.*s/_history/%llu",
                                     STR_FMT(JSON_TEXT(run->arena, run->request->task, "id")),
                                     (unsigned long long)version + 1));
    (void)json_add(provenance, STR("recorded"), now_json(run));
    (void)json_add(provenance, STR("activity"),
                   concept_of(run, STR("urn:shanhai:codes:transition"),
                              JSON_TEXT(run->arena, transition, "name"), title.zh));
    struct json *agents = json_add(provenance, STR("agent"), json_new(run->arena, JSON_ARRAY));
    struct json *agent = json_append(agents, json_new(run->arena, JSON_OBJECT));
    struct json *who = json_add(agent, STR("who"), json_new(run->arena, JSON_OBJECT));
    if (actor->post.at != NULL) {
        (void)json_add_text(run->arena, who, STR("reference"), actor->post);
        struct json *behalf = json_add(agent, STR("onBehalfOf"), json_new(run->arena, JSON_OBJECT));
        (void)json_add_text(run->arena, behalf, STR("reference"), actor->organization);
    } else {
        (void)json_add_text(run->arena, who, STR("display"), actor->role);
    }
    if (reason.count > 0) {
        struct json *reasons = json_add(provenance, STR("reason"), json_new(run->arena, JSON_ARRAY));
        struct json *text = json_append(reasons, json_new(run->arena, JSON_OBJECT));
        (void)json_add_text(run->arena, text, STR("text"), fhirpath_item_text(run->arena, &reason.items[0]));
    }
    return workflow_make(run, provenance, STR("transitionRecord"), error);
}

static bool needs_signature(const struct json *transition)
{
    JSON_EACH(effect, JSON_GET(transition, "effects")) {
        if (JSON_GET(effect, "sign") != NULL || JSON_GET(effect, "document") != NULL) {
            return true;
        }
    }
    return false;
}

static bool apply_transition(struct workflow_run *run, const struct json *transition, struct error *error)
{
    struct str state = STR_NONE;
    struct str before = workflow_state_of(run->request->task);
    if (!next_state(run, transition, &state, error)) {
        return false;
    }
    JSON_EACH(effect, JSON_GET(transition, "effects")) {
        if (!workflow_apply(run, effect, error)) {
            return false;
        }
    }
    /* A quiet step leaves the Task as it is, so that nobody's If-Match fails by it: what it writes is its record. */
    if (json_is_true(JSON_GET(transition, "quiet"))) {
        return true;
    }
    return set_state(run, state, error) && workflow_set_timer(run, transition, before, error) &&
           add_provenance(run, transition, error);
}

static const struct json *find_transition(const struct workflow_run *run, struct str name, struct str state)
{
    JSON_EACH(transition, run->machine->transitions) {
        if (json_equals_text(JSON_GET(transition, "name"), name)) {
            return list_has_text(JSON_GET(transition, "from"), state) ? transition : NULL;
        }
    }
    return NULL;
}

static struct str requested_name(const struct workflow_request *request, struct arena *arena)
{
    JSON_EACH(parameter, JSON_GET(request->parameters, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), STR("transition"))) {
            struct str code = JSON_TEXT(arena, parameter, "valueCode");
            return code.at != NULL ? code : JSON_TEXT(arena, parameter, "valueString");
        }
    }
    return STR_NONE;
}

bool workflow_take(const struct workflow_request *request, struct arena *arena, struct workflow_plan *plan,
                   struct workflow_refusal *refusal, struct error *error)
{
    struct workflow_run run;
    struct str name = requested_name(request, arena);
    struct str state = workflow_state_of(request->task);
    if (name.at == NULL) {
        return FAIL(error, ERROR_INPUT, "Parameters without 'transition'");
    }
    if (!workflow_run_begin(&run, request, arena, error)) {
        return false;
    }
    *plan = (struct workflow_plan){ .task = request->task, .transition = name };
    *refusal = (struct workflow_refusal){ 0 };
    run.plan = plan;
    const struct json *transition = find_transition(&run, name, state);
    if (transition == NULL) {
        return FAIL(error, ERROR_RULE, "'%.*s' cannot be done in state '%.*s'",
                    STR_FMT(str_slice(name, 0, 40)), STR_FMT(state));
    }
    bool may = false;
    struct json *input = NULL;
    struct str password = STR_NONE;
    if (!workflow_may(&run, transition, &may, refusal, error) || !may) {
        return refusal->first != NULL;
    }
    if (!workflow_read_input(&run, transition, &input, &password, refusal, error)) {
        return false;
    }
    if (!workflow_bind_json(&run, STR("input"), input)) {
        return WORKFLOW_NO_MEMORY(error);
    }
    if (!check_guards(&run, transition, refusal, error) || refusal->first != NULL) {
        return refusal->first != NULL;
    }
    if (needs_signature(transition) && !request->host->confirm(request->host->data, password, error)) {
        return false;
    }
    if (!apply_transition(&run, transition, error)) {
        return false;
    }
    plan->writes = run.resources;
    return true;
}
