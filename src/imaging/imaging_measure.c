/* The job "measure-ct": a chest CT is measured by `PROGRAM worker measure`, which sees paths and offsets of stored
 * instances and gives numbers and a mask; the server never holds a volume. Every step of it is a transition of the
 * workflow ct-measurement, so durations and faults are seen like those of people. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "change/change.h"
#include "imaging/imaging_internal.h"
#include "lung/lung_measure.h"
#include "lung/lung_report.h"

enum {
    MEASURE_OUTPUT_BYTES_MAX = 64 * 1024 * 1024,
    MEASURE_TIMEOUT_MS = 5 * 60 * 1000,
    WANTED_LOOK_MS = 500,
    MASK_PATH_BYTES = 1024
};

#define SUPERSEDED "superseded by a measurement of more images"

struct measuring {
    struct imaging *imaging;
    struct arena *arena;
    const struct store_job *job;
    struct str task;
    struct str study;
    struct str series;
    struct str organization;
    struct access_session session;
};

static bool begin_measuring(struct measuring *measuring, struct error *error)
{
    struct json *input = NULL;
    struct arena *arena = measuring->arena;
    if (!json_read(arena, measuring->job->input, &input, error)) {
        return false;
    }
    measuring->task = JSON_TEXT(arena, input, "task");
    measuring->study = JSON_TEXT(arena, input, "study");
    measuring->series = JSON_TEXT(arena, input, "series");
    measuring->organization = JSON_TEXT(arena, input, "organization");
    return access_session_machine(measuring->imaging->options.access, arena, "system",
                                  measuring->organization, &measuring->session, error);
}

static bool take(struct measuring *measuring, const struct json *parameters, struct error *error)
{
    const struct imaging_step step = { .arena = measuring->arena,
                                       .session = &measuring->session,
                                       .task = measuring->task,
                                       .parameters = parameters };
    return imaging_step_take(measuring->imaging, &step, error);
}

/* False when another measurement has taken this one's place (its study grew) or a doctor has stopped it. Not knowing is no
 * reason to stop. */
static bool is_wanted(const struct measuring *measuring)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct str state = STR_NONE;
    struct error ignored = { 0 };
    bool wanted = !imaging_task_state(measuring->imaging, &arena, measuring->task, &state, &ignored) ||
                  !(str_equal(state, STR("superseded")) || str_equal(state, STR("stopped")));
    arena_deinit(&arena);
    return wanted;
}

/* Images may have come since it was queued: the best series is chosen among all of them. */
static bool choose_series(struct measuring *measuring, struct error *error)
{
    struct archive_study study = { 0 };
    if (!archive_imaging_study(measuring->imaging->archive, measuring->arena, measuring->study, &study,
                               error)) {
        return false;
    }
    if (study.chest_ct_series.len > 0) {
        measuring->series = study.chest_ct_series;
    }
    return true;
}

/* ---- the worker ---- */

static bool sources_text(struct measuring *measuring, struct buf *text, struct error *error)
{
    struct archive_instance *instances = NULL;
    size_t count = 0;
    if (!archive_list_instances(measuring->imaging->archive, measuring->arena, measuring->study,
                                measuring->series, &instances, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char path[ARCHIVE_PATH_BYTES];
        if (!archive_pack_file(measuring->imaging->archive, instances[i].pack, path, error)) {
            return false;
        }
        buf_printf(text, "%s\t%llu\t%llu\n", path, (unsigned long long)instances[i].offset,
                   (unsigned long long)instances[i].bytes);
    }
    return !text->failed || FAIL(error, ERROR_TOO_LARGE, "the series has too many instances to be measured");
}

struct worker {
    pid_t pid;
    int in;  /* we write */
    int out; /* we read */
};

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            (void)close(pair[i]);
        }
    }
}

static bool start_worker(struct worker *worker, struct error *error)
{
    int in[2] = { -1, -1 };
    int out[2] = { -1, -1 };
    char program[] = "/proc/self/exe";
    char *arguments[] = { program, (char[]){ "worker" }, (char[]){ "measure" }, NULL };
    posix_spawn_file_actions_t actions;
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
        close_pair(in);
        return FAIL_OS(error, ERROR_BUSY, "no pipe for the measurement: %s", strerror(errno));
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    int failed = posix_spawn(&worker->pid, program, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(in[0]);
    (void)close(out[1]);
    if (failed != 0) {
        (void)close(in[1]);
        (void)close(out[0]);
        return FAIL(error, ERROR_BUSY, "the measurement could not be started: %s", strerror(failed));
    }
    worker->in = in[1];
    worker->out = out[0];
    return true;
}

/* "progress N" lines come before the result; the last whole one counts. */
static void tell_progress(struct measuring *measuring, struct str output, unsigned *told)
{
    uint64_t percent = 0;
    static const struct str mark = { "progress ", 9 };
    for (struct str rest = output; rest.len > 0;) {
        size_t end = str_find_char(rest, '\n');
        struct str line = str_slice(rest, 0, end);
        if (end == rest.len || !str_starts_with(line, mark)) {
            break;
        }
        uint64_t said = 0;
        percent = parse_uint64(str_skip(line, mark.len), 100, &said) ? said : percent;
        rest = str_skip(rest, end + 1);
    }
    if (percent >= *told + 10u) {
        *told = (unsigned)percent;
        struct error unimportant = { 0 };
        if (!store_job_progress(measuring->imaging->options.store, measuring->job->id, *told * 10,
                                &unimportant)) {
            return;
        }
    }
}

static bool read_output(struct measuring *measuring, const struct worker *worker, struct buf *output,
                        struct error *error)
{
    int64_t until_us = clock_monotonic_us() + (int64_t)MEASURE_TIMEOUT_MS * 1000;
    unsigned told = 0;
    for (;;) {
        int64_t left_ms = (until_us - clock_monotonic_us()) / 1000;
        int64_t look_ms = left_ms < WANTED_LOOK_MS ? left_ms : WANTED_LOOK_MS;
        struct pollfd wait = { .fd = worker->out, .events = POLLIN };
        int ready = left_ms <= 0 ? 0 : poll(&wait, 1, (int)look_ms);
        if (ready == 0 && left_ms > WANTED_LOOK_MS) {
            if (is_wanted(measuring)) {
                continue;
            }
            return FAIL(error, ERROR_RULE, "the measurement was stopped, or another takes its place");
        }
        if (ready == 0) {
            return FAIL(error, ERROR_TOO_COSTLY, "the measurement took longer than %d s",
                        MEASURE_TIMEOUT_MS / 1000);
        }
        char *room = ready < 0 ? NULL : buf_reserve(output, 64 * 1024);
        if (ready > 0 && room == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "the measurement's answer is too large");
        }
        ssize_t got = ready < 0 ? -1 : read(worker->out, room, 64 * 1024);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return FAIL_OS(error, ERROR_INTERNAL, "cannot read the measurement: %s", strerror(errno));
        }
        if (got == 0) {
            return true;
        }
        output->len += (size_t)got;
        tell_progress(measuring, buf_str(output), &told);
    }
}

static bool run_worker(struct measuring *measuring, struct str sources, struct buf *output, int *status,
                       struct error *error)
{
    struct worker worker = { 0 };
    if (!start_worker(&worker, error)) {
        return false;
    }
    /* The list is small beside a pipe's buffer or is taken in at once: the worker reads it whole before it begins. */
    struct error write_error = { 0 };
    bool ok = file_write_all(worker.in, sources.at, sources.len, &write_error);
    (void)close(worker.in);
    ok = read_output(measuring, &worker, output, error) && ok;
    (void)close(worker.out);
    if (!ok) {
        (void)kill(worker.pid, SIGKILL);
    }
    while (waitpid(worker.pid, status, 0) < 0 && errno == EINTR) {}
    return ok;
}

/* ---- results ---- */

/* A mask's file: by the Task of its measurement; older ones by their series. Never a path from a name that is neither. */
static bool mask_path(const struct imaging *imaging, struct str name, char path[MASK_PATH_BYTES])
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-' || (c == '.' && i > 0);
        if (!is_plain) {
            return false;
        }
    }
    int length =
        snprintf(path, MASK_PATH_BYTES, "%s/%.*s.mask", imaging->options.masks_folder, STR_FMT(name));
    return name.len > 0 && name.len <= 64 && length > 0 && length < MASK_PATH_BYTES;
}

/* *mask stays absent when there is no such file. */
static bool read_mask(const struct imaging *imaging, struct arena *arena, struct str name, struct str *mask,
                      struct error *error)
{
    char path[MASK_PATH_BYTES];
    struct error cause = { 0 };
    *mask = STR_NONE;
    if (!mask_path(imaging, name, path)) {
        return FAIL(error, ERROR_INPUT, "not the name of a measurement's mask");
    }
    return file_read_whole(arena, path, MEASURE_OUTPUT_BYTES_MAX, mask, &cause) ||
           cause.kind == ERROR_NOT_FOUND || FAIL(error, cause.kind, "%s", cause.text);
}

/* Whether the session may see the report of this measurement: in its hospital once it is there, elsewhere when a doctor
 * has agreed and the consult shares it. */
static bool may_see_report(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                           struct str task, bool *may, struct error *error)
{
    struct json *tree = NULL;
    size_t count = 0;
    const struct access_act read = { .interaction = ACCESS_READ, .type = STR("DiagnosticReport") };
    const struct imaging_search of_task = { .type = STR("Task"), .query = imaging_query(arena, "_id", task) };
    struct imaging_search of_report = { .type = read.type };
    *may = false;
    if (!imaging_find_one(imaging, arena, &of_task, &tree, &count, error)) {
        return false;
    }
    struct str report = JSON_TEXT(arena, JSON_GET(tree, "focus"), "reference");
    if (!str_starts_with(report, STR("DiagnosticReport/")) || !access_has(session, read)) {
        return true;
    }
    of_report.query = arena_printf(arena, "_id=%.*s&status=preliminary,final,amended,corrected",
                                   STR_FMT(str_skip(report, strlen("DiagnosticReport/"))));
    return access_filter(session, read, arena, &of_report.filter, error) &&
           imaging_exists(imaging, arena, &of_report, may, error);
}

bool imaging_mask(struct imaging *imaging, const struct access_session *session, struct arena *arena,
                  const struct archive_instance *instance, struct str *mask, struct error *error)
{
    struct store_job *jobs = NULL;
    size_t count = 0;
    *mask = STR_NONE;
    if (!imaging_measurements(imaging, arena, str_from_cstr(instance->study), &jobs, &count, error)) {
        return false;
    }
    for (size_t i = 0; i < count && mask->at == NULL; i++) {
        struct json *input = NULL;
        bool may = false;
        if (!json_read(arena, jobs[i].input, &input, error)) {
            return false;
        }
        struct str task = JSON_TEXT(arena, input, "task");
        if (!may_see_report(imaging, session, arena, task, &may, error)) {
            return false;
        }
        if (may && (!read_mask(imaging, arena, task, mask, error) ||
                    (mask->at == NULL &&
                     !read_mask(imaging, arena, str_from_cstr(instance->series), mask, error)))) {
            return false;
        }
    }
    return true;
}

static bool keep_mask(struct measuring *measuring, struct str mask, struct error *error)
{
    char path[MASK_PATH_BYTES];
    if (!mask_path(measuring->imaging, measuring->task, path)) {
        return FAIL(error, ERROR_INTERNAL, "the measurement's Task has no plain id");
    }
    return folder_create(measuring->imaging->options.masks_folder, error) &&
           file_write_atomically(path, mask, 0600, error);
}

/* The method as a Device, made at its first measurement. */
static bool ensure_device(struct measuring *measuring, struct json *device, struct error *error)
{
    struct str id = JSON_TEXT(measuring->arena, device, "id");
    struct json *known = NULL;
    size_t count = 0;
    const struct imaging_search search = { .type = STR("Device"),
                                           .query = arena_printf(measuring->arena, "_id=%.*s", STR_FMT(id)) };
    if (!imaging_find_one(measuring->imaging, measuring->arena, &search, &known, &count, error) ||
        known != NULL) {
        return known != NULL;
    }
    struct change_entry entry = { .kind = CHANGE_CREATE, .type = search.type, .id = id, .resource = device };
    struct change_set set = { .arena = measuring->arena,
                              .session = &measuring->session,
                              .route = STR("job"),
                              .entries = &entry,
                              .entries_count = 1,
                              .by_workflow = true };
    struct error cause = { 0 };
    if (change_apply(measuring->imaging->options.change, &set, &cause) || cause.kind == ERROR_CONFLICT ||
        cause.kind == ERROR_PRECONDITION) {
        return true;
    }
    return FAIL(error, cause.kind, "%s", cause.text);
}

static bool finish(struct measuring *measuring, const struct json *result, struct error *error)
{
    struct arena *arena = measuring->arena;
    struct json *list = NULL;
    struct json *study = NULL;
    size_t count = 0;
    struct lung_report made = { 0 };
    const struct imaging_search search = { .type = STR("ImagingStudy"),
                                           .query = imaging_study_query(arena, measuring->study) };
    if (!imaging_find_one(measuring->imaging, arena, &search, &study, &count, error)) {
        return false;
    }
    const struct lung_report_context context = {
        .patient = JSON_TEXT(arena, JSON_GET(study, "subject"), "reference"),
        .imaging_study = arena_printf(arena, "ImagingStudy/%.*s", STR_FMT(JSON_TEXT(arena, study, "id"))),
        .organization = arena_printf(arena, "Organization/%.*s", STR_FMT(measuring->organization)),
        .effective = JSON_TEXT(arena, study, "started"),
    };
    if (!lung_report_build(arena, result, &context, &made, error) ||
        !ensure_device(measuring, made.device, error)) {
        return false;
    }
    struct json *parameters = imaging_step_parameters(arena, STR("finish"), &list);
    JSON_EACH(observation, made.observations) {
        imaging_step_add(arena, list, STR("observation"), STR("resource"),
                         json_copy(arena, observation, false));
    }
    struct str device = arena_printf(arena, "Device/%.*s", STR_FMT(JSON_TEXT(arena, made.device, "id")));
    imaging_step_add(arena, list, STR("device"), STR("valueReference"), imaging_reference(arena, device));
    imaging_step_add(arena, list, STR("conclusion"), STR("valueString"),
                     json_new_string(arena, made.conclusion));
    return take(measuring, parameters, error);
}

static bool mark_unfit(struct measuring *measuring, const struct json *result, struct error *error)
{
    struct arena *arena = measuring->arena;
    struct json *list = NULL;
    struct json *parameters = imaging_step_parameters(arena, STR("mark-unfit"), &list);
    JSON_EACH(reason, lung_report_reasons(arena, result, LUNG_CHINESE)) {
        imaging_step_add(arena, list, STR("reason"), STR("valueString"), json_copy(arena, reason, false));
    }
    return take(measuring, parameters, error);
}

static bool use_output(struct measuring *measuring, struct str output, int status, struct error *error)
{
    struct str text = STR_NONE;
    struct str mask = STR_NONE;
    struct json *result = NULL;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code != 0 && code != 3) {
        return FAIL(error, ERROR_RULE,
                    "the images could not be measured (the measuring process ended with %d)", code);
    }
    if (!lung_worker_read_result(output, &text, &mask, error) ||
        !json_read(measuring->arena, text, &result, error)) {
        return false;
    }
    if (code == 3) {
        return mark_unfit(measuring, result, error);
    }
    return keep_mask(measuring, mask, error) && finish(measuring, result, error);
}

bool imaging_run_measurement(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                             struct error *error)
{
    struct measuring measuring = { .imaging = data, .arena = arena, .job = job };
    struct buf sources = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct buf output = { .bytes_max = MEASURE_OUTPUT_BYTES_MAX };
    struct json *list = NULL;
    int status = 0;
    if (!begin_measuring(&measuring, error)) {
        return false;
    }
    if (!is_wanted(&measuring)) {
        *result = STR(SUPERSEDED);
        return true;
    }
    bool ok = choose_series(&measuring, error) &&
              take(&measuring, imaging_step_parameters(arena, STR("run"), &list), error) &&
              sources_text(&measuring, &sources, error) &&
              run_worker(&measuring, buf_str(&sources), &output, &status, error) &&
              use_output(&measuring, buf_str(&output), status, error);
    buf_deinit(&sources);
    buf_deinit(&output);
    if (!ok && error->kind == ERROR_RULE && !is_wanted(&measuring)) {
        *error = (struct error){ 0 };
        *result = STR(SUPERSEDED);
        return true; /* nothing failed: the rules refused numbers that nobody wants any more */
    }
    return ok;
}

void imaging_measurement_given_up(void *data, struct arena *arena, const struct store_job *job,
                                  const struct error *error)
{
    struct measuring measuring = { .imaging = data, .arena = arena, .job = job };
    struct json *list = NULL;
    struct error ignored = { 0 }; /* the job's own row says what went wrong */
    if (!begin_measuring(&measuring, &ignored)) {
        return;
    }
    struct json *parameters = imaging_step_parameters(arena, STR("fail"), &list);
    imaging_step_add(arena, list, STR("reason"), STR("valueString"),
                     json_new_string(arena, arena_dup(arena, str_from_cstr(error->text))));
    if (!take(&measuring, parameters, &ignored)) {
        return;
    }
}
