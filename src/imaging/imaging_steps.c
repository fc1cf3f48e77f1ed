/* Steps of the workflow ct-measurement that the program takes by itself, and the end of a measurement that a study has
 * outgrown. */
#include "imaging/imaging_internal.h"

#include "change/change.h"
#include "store/jobs.h"
#include "store/read.h"

enum { EARLIER_MEASUREMENTS_MAX = 50 };

struct json *imaging_step_parameters(struct arena *arena, struct str name, struct json **list)
{
    struct json *parameters = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, parameters, STR("resourceType"), STR("Parameters"));
    *list = json_add(parameters, STR("parameter"), json_new(arena, JSON_ARRAY));
    struct json *first = json_append(*list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, first, STR("name"), STR("transition"));
    (void)json_add_text(arena, first, STR("valueCode"), name);
    return parameters;
}

void imaging_step_add(struct arena *arena, struct json *list, struct str name, struct str member,
                      struct json *value)
{
    struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, parameter, STR("name"), name);
    (void)json_add(parameter, member, value);
}

bool imaging_step_take(struct imaging *imaging, const struct imaging_step *step, struct error *error)
{
    struct json *task = NULL;
    struct outcome *outcome = NULL;
    const struct change_transition request = {
        .arena = step->arena, .session = step->session, .task_id = step->task, .parameters = step->parameters
    };
    return change_take(imaging->options.change, &request, &task, &outcome, error);
}

bool imaging_task_state(struct imaging *imaging, struct arena *arena, struct str task, struct str *state,
                        struct error *error)
{
    struct json *tree = NULL;
    size_t count = 0;
    const struct imaging_search search = { .type = STR("Task"),
                                           .query = arena_printf(arena, "_id=%.*s", STR_FMT(task)) };
    *state = STR_NONE;
    if (!imaging_find_one(imaging, arena, &search, &tree, &count, error)) {
        return false;
    }
    JSON_EACH(coding, JSON_GET(JSON_GET(tree, "businessStatus"), "coding")) {
        *state = JSON_TEXT(arena, coding, "code");
    }
    return true;
}

/* ---- a study that grew ---- */

/* The jobs of a study's measurements, newest first. */
static bool jobs_of(struct imaging *imaging, struct arena *arena, struct str study, struct store_job **jobs,
                    size_t *count, struct error *error)
{
    struct store_reader *reader = NULL;
    const struct store_jobs_query query = { .kind = STR(IMAGING_JOB_KIND),
                                            .subject = study,
                                            .count = EARLIER_MEASUREMENTS_MAX };
    if (!store_reader_begin(imaging->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_job_list(reader, arena, &query, jobs, count, error);
    store_reader_end(reader);
    return ok;
}

bool imaging_measurements(struct imaging *imaging, struct arena *arena, struct str study_uid,
                          struct store_job **jobs, size_t *count, struct error *error)
{
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, study_uid) };
    struct str id = STR_NONE;
    *count = 0;
    if (!imaging_find_id(imaging, arena, &search, &id, error) || id.at == NULL) {
        return id.at == NULL;
    }
    return jobs_of(imaging, arena, arena_printf(arena, "ImagingStudy/%.*s", STR_FMT(id)), jobs, count, error);
}

bool imaging_progress(struct imaging *imaging, struct arena *arena, struct str study_uid,
                      struct imaging_progress *progress, struct error *error)
{
    static const char *const states[] = { [STORE_JOB_QUEUED] = "queued",
                                          [STORE_JOB_RUNNING] = "running",
                                          [STORE_JOB_DONE] = "done",
                                          [STORE_JOB_FAILED] = "failed" };
    struct store_job *jobs = NULL;
    size_t count = 0;
    *progress = (struct imaging_progress){ .state = "none" };
    if (!imaging_measurements(imaging, arena, study_uid, &jobs, &count, error)) {
        return false;
    }
    if (count > 0) {
        assert(jobs[0].state >= STORE_JOB_QUEUED && jobs[0].state <= STORE_JOB_FAILED);
        progress->state = states[jobs[0].state];
        progress->percent = jobs[0].state == STORE_JOB_DONE ? 100 : jobs[0].progress / 10;
    }
    return true;
}

static bool supersede(struct imaging *imaging, struct arena *arena, struct str organization, struct str task,
                      struct error *error)
{
    struct access_session session;
    struct json *list = NULL;
    struct error cause = { 0 };
    struct json *parameters = imaging_step_parameters(arena, STR("supersede"), &list);
    imaging_step_add(arena, list, STR("reason"), STR("valueString"),
                     json_new_string(arena, STR("检查又收到新的影像，改由包含全部影像的新测量取代")));
    if (!access_session_machine(imaging->options.access, arena, "system", organization, &session, error)) {
        return false;
    }
    const struct imaging_step step = {
        .arena = arena, .session = &session, .task = task, .parameters = parameters
    };
    /* Refused by the rules: a doctor reviewed it, or it failed, in this moment. Then it stays as it is. */
    return imaging_step_take(imaging, &step, &cause) || cause.kind == ERROR_RULE ||
           cause.kind == ERROR_FORBIDDEN || FAIL(error, cause.kind, "%s", cause.text);
}

bool imaging_supersede(struct imaging *imaging, struct arena *arena, struct str study,
                       struct str organization, bool *is_waiting, struct error *error)
{
    struct store_job *jobs = NULL;
    size_t count = 0;
    *is_waiting = false;
    if (!jobs_of(imaging, arena, study, &jobs, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct json *input = NULL;
        struct str state = STR_NONE;
        if (!json_read(arena, jobs[i].input, &input, error)) {
            return false;
        }
        struct str task = JSON_TEXT(arena, input, "task");
        if (!imaging_task_state(imaging, arena, task, &state, error)) {
            return false;
        }
        if (str_equal(state, STR("queued")) && !*is_waiting) {
            *is_waiting = true; /* it lists the images when it begins, so it measures the new ones too */
            continue;
        }
        bool is_live = str_equal(state, STR("queued")) || str_equal(state, STR("running")) ||
                       str_equal(state, STR("done"));
        if (is_live && !supersede(imaging, arena, organization, task, error)) {
            return false;
        }
    }
    return true;
}
