/* Timed steps: what the view `timer` says is due is taken here, under the system's authority and with the same
 * Provenance as a person's step. Nothing is kept in memory: after a kill the next round finds the same rows, and a
 * step that was committed has taken its row away, so each is taken once. */
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "change/change_internal.h"
#include "store/views.h"
#include "workflow/workflow.h"

enum { TIMER_PAGE_ROWS = 100, TIMER_ARENA_BYTES = 16 * 1024 * 1024 };

struct due_step {
    struct str task;
    struct str step;
    int64_t due_ms;
};

/* The next waiting steps after `last`, the oldest first. */
static bool list_due(struct change *change, struct arena *arena, const struct due_step *last,
                     struct due_step *steps, size_t *count, struct error *error)
{
    const struct store_sql_parameter parameters[] = {
        { "now", store_integer(clock_now_ms()) },
        { "due", store_integer(last->due_ms) },
        { "id", store_text(last->task.at == NULL ? STR("") : last->task) },
    };
    const struct store_sql sql = {
        .text = STR("SELECT id, step, due FROM timer WHERE due <= :now AND"
                    " (due > :due OR (due = :due AND id > :id)) ORDER BY due, id LIMIT 100"),
        .parameters = parameters,
        .parameters_count = sizeof parameters / sizeof *parameters,
    };
    struct store_sql_result result = { 0 };
    if (!store_sql_run(change->options.store, arena, &sql, &result, error)) {
        return false;
    }
    *count = result.rows_count < TIMER_PAGE_ROWS ? result.rows_count : TIMER_PAGE_ROWS;
    for (size_t i = 0; i < *count; i++) {
        const struct store_value *row = &result.values[i * 3];
        steps[i] = (struct due_step){ .task = row[0].text, .step = row[1].text, .due_ms = row[2].integer };
    }
    return true;
}

/* The Task's version, whether it still waits for this step, and the hospital that keeps it. */
static bool read_waiting(struct change *change, struct arena *arena, const struct due_step *step,
                         struct str *version_text, struct str *organization, struct error *error)
{
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    struct json *task = NULL;
    struct str type = STR_NONE;
    if (!store_reader_begin(change->options.store, &reader, error)) {
        return false;
    }
    bool ok = change_read_current(reader, arena, STR("Task"), step->task, &version, error) &&
              (version.type.at == NULL || change_read_tree(arena, &version, &task, error)) &&
              (version.custodian == 0 ||
               store_resource_name(reader, arena, version.custodian, &type, organization, error));
    store_reader_end(reader);
    struct str due = STR_NONE;
    if (ok && task != NULL && str_equal(workflow_timer(arena, task, &due), step->step)) {
        *version_text = arena_printf(arena, "%llu", (unsigned long long)version.version);
    }
    return ok;
}

static struct json *parameters_of(struct arena *arena, struct str step)
{
    struct json *parameters = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, parameters, STR("resourceType"), STR("Parameters"));
    struct json *list = json_add(parameters, STR("parameter"), json_new(arena, JSON_ARRAY));
    struct json *first = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, first, STR("name"), STR("transition"));
    return json_add_text(arena, first, STR("valueCode"), step) == NULL ? NULL : parameters;
}

/* If-Match: a Task that a person moves at this moment is left to the next round. */
static bool take_due(struct change *change, struct arena *arena, const struct due_step *step,
                     struct error *error)
{
    struct access_session session = { 0 };
    struct str version = STR_NONE;
    struct str organization = STR_NONE;
    struct json *task = NULL;
    struct outcome *outcome = NULL;
    if (!read_waiting(change, arena, step, &version, &organization, error)) {
        return false;
    }
    if (version.at == NULL) {
        return true;
    }
    struct json *parameters = parameters_of(arena, step->step);
    const struct change_transition request = { .arena = arena,
                                               .session = &session,
                                               .task_id = step->task,
                                               .parameters = parameters,
                                               .if_match = version };
    return (parameters != NULL || CHANGE_NO_MEMORY(error)) &&
           access_session_machine(change->options.access, arena, "system", organization, &session, error) &&
           change_take(change, &request, &task, &outcome, error);
}

bool change_take_due(struct change *change, struct error *error)
{
    struct arena pages = { .bytes_max = TIMER_ARENA_BYTES };
    struct arena arena = { .bytes_max = TIMER_ARENA_BYTES };
    struct due_step steps[TIMER_PAGE_ROWS];
    struct due_step last = { .due_ms = INT64_MIN };
    size_t count = 0;
    bool ok = true;
    do {
        ok = list_due(change, &pages, &last, steps, &count, error);
        for (size_t i = 0; ok && i < count; i++) {
            struct error cause = { 0 };
            /* One that cannot be taken must not keep the others waiting. */
            if (!take_due(change, &arena, &steps[i], &cause)) {
                LOG_WARNING("timed step %.*s: %s", STR_FMT(steps[i].step), cause.text);
            }
            arena_reset(&arena);
        }
        last = count == 0 ? last : steps[count - 1];
    } while (ok && count == TIMER_PAGE_ROWS);
    arena_deinit(&arena);
    arena_deinit(&pages);
    return ok;
}
