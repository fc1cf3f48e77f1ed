/* Timers: a transition with `after` is taken by the program itself. Its time is written into the Task when
 * the state begins, under the rule then in force, so that whoever reads the Task knows it too:
 * extension urn:shanhai:ext:timer with step (code) and due (instant). */
#include "base/parse.h"
#include "workflow/workflow_internal.h"

static const struct str timer_url = { "urn:shanhai:ext:timer", sizeof "urn:shanhai:ext:timer" - 1 };

bool workflow_duration(struct str text, int64_t *duration_ms)
{
    enum { NUMBER_MAX = 100000, MS_PER_MINUTE = 60 * 1000 };
    int64_t total = 0;
    size_t from = 1;
    bool in_time = false;
    bool ends_with_unit = false;
    if (text.len < 3 || text.at[0] != 'P') {
        return false;
    }
    for (size_t i = 1; i < text.len; i++) {
        char c = text.at[i];
        uint64_t number = 0;
        ends_with_unit = c == 'D' || c == 'H' || c == 'M';
        if (c >= '0' && c <= '9') {
            continue;
        }
        if (c == 'T' && !in_time && from == i) {
            in_time = true;
        } else {
            int64_t minutes = c == 'D' && !in_time  ? 24 * 60
                              : c == 'H' && in_time ? 60
                              : c == 'M' && in_time ? 1
                                                    : 0;
            if (minutes == 0 || !parse_uint64(str_slice(text, from, i), NUMBER_MAX, &number)) {
                return false;
            }
            total += (int64_t)number * minutes * MS_PER_MINUTE;
        }
        from = i + 1;
    }
    *duration_ms = total;
    return ends_with_unit;
}

static struct json *timer_of(const struct json *task)
{
    JSON_EACH(extension, JSON_GET(task, "extension")) {
        if (json_equals_text(JSON_GET(extension, "url"), timer_url)) {
            return extension;
        }
    }
    return NULL;
}

static const struct json *part_of(const struct json *timer, struct str name)
{
    JSON_EACH(part, JSON_GET(timer, "extension")) {
        if (json_equals_text(JSON_GET(part, "url"), name)) {
            return part;
        }
    }
    return NULL;
}

struct str workflow_timer(struct arena *arena, const struct json *task, struct str *due)
{
    const struct json *timer = timer_of(task);
    *due = JSON_TEXT(arena, part_of(timer, STR("due")), "valueInstant");
    return JSON_TEXT(arena, part_of(timer, STR("step")), "valueCode");
}

bool workflow_timer_equal(const struct json *previous, const struct json *task)
{
    return json_equal(timer_of(previous), timer_of(task));
}

static bool has_state(const struct json *states, struct str state)
{
    JSON_EACH(item, states) {
        if (json_equals_text(item, state)) {
            return true;
        }
    }
    return false;
}

/* The first timed transition that leaves the state and whose `when` holds, or NULL. */
static bool find_timed(struct workflow_run *run, struct str state, const struct json **timed,
                       struct error *error)
{
    *timed = NULL;
    JSON_EACH(transition, run->machine->transitions) {
        bool candidate =
            JSON_GET(transition, "after") != NULL && has_state(JSON_GET(transition, "from"), state);
        struct str when = JSON_TEXT(run->arena, transition, "when");
        if (candidate && when.at != NULL && !workflow_test(run, when, &candidate, error)) {
            return false;
        }
        if (candidate) {
            *timed = transition;
            return true;
        }
    }
    return true;
}

/* From when the time counts: `since`, or this very step. */
static bool start_of(struct workflow_run *run, const struct json *timed, int64_t *start_ms,
                     struct error *error)
{
    struct str since = JSON_TEXT(run->arena, timed, "since");
    struct fhirpath_collection value = { 0 };
    *start_ms = run->request->now_ms;
    if (since.at == NULL) {
        return true;
    }
    if (!workflow_evaluate(run, since, NULL, &value, error)) {
        return false;
    }
    struct date_span span = { 0 };
    if (value.count > 0) {
        struct str text = fhirpath_item_text(run->arena, &value.items[0]);
        if (!date_parse(text, run->request->offset_minutes, &span, error)) {
            return false;
        }
        *start_ms = span.from_ms;
    }
    return true;
}

static bool add_timer(struct workflow_run *run, const struct json *timed, struct error *error)
{
    struct json *task = run->request->task;
    int64_t after_ms = 0;
    int64_t start_ms = 0;
    char due[INSTANT_BYTES];
    if (!workflow_duration(JSON_TEXT(run->arena, timed, "after"), &after_ms)) {
        return FAIL(error, ERROR_INTERNAL, "workflow %.*s: a timer without a duration",
                    STR_FMT(run->machine->code));
    }
    if (!start_of(run, timed, &start_ms, error)) {
        return false;
    }
    (void)instant_format(start_ms + after_ms, run->request->offset_minutes, due);
    struct json *list = json_member(task, STR("extension"));
    if (list == NULL) {
        list = json_add(task, STR("extension"), json_new(run->arena, JSON_ARRAY));
    }
    struct json *timer = json_append(list, json_new(run->arena, JSON_OBJECT));
    struct json *parts = json_add(timer, STR("extension"), json_new(run->arena, JSON_ARRAY));
    (void)json_add_text(run->arena, timer, STR("url"), timer_url);
    struct json *step = json_append(parts, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, step, STR("url"), STR("step"));
    (void)json_add_text(run->arena, step, STR("valueCode"), JSON_TEXT(run->arena, timed, "name"));
    struct json *time = json_append(parts, json_new(run->arena, JSON_OBJECT));
    (void)json_add_text(run->arena, time, STR("url"), STR("due"));
    struct json *kept =
        json_add_text(run->arena, time, STR("valueInstant"), arena_dup(run->arena, str_from_cstr(due)));
    return kept != NULL || WORKFLOW_NO_MEMORY(error);
}

bool workflow_set_timer(struct workflow_run *run, const struct json *transition, struct str before,
                        struct error *error)
{
    struct json *task = run->request->task;
    struct json *old = timer_of(task);
    struct str state = workflow_state_of(task);
    const struct json *timed = NULL;
    if (!find_timed(run, state, &timed, error)) {
        return false;
    }
    struct str due = STR_NONE;
    struct str step = workflow_timer(run->arena, task, &due);
    /* A step that leaves the state as it was does not begin its time anew, the timed one itself does. */
    bool goes_on = old != NULL && timed != NULL && timed != transition && str_equal(state, before) &&
                   json_equals_text(JSON_GET(timed, "name"), step);
    if (goes_on) {
        return true;
    }
    struct json *list = json_member(task, STR("extension"));
    if (old != NULL &&
        (!json_remove(list, old) || (list->count == 0 && !json_remove_member(task, STR("extension"))))) {
        return FAIL(error, ERROR_INTERNAL, "a timer could not be taken off its Task");
    }
    return timed == NULL || add_timer(run, timed, error);
}
