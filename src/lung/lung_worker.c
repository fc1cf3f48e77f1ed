#include "lung/lung_worker.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/parse.h"
#include "lung/lung_measure.h"

extern char **environ;

enum { READ_BYTES = 256 * 1024, TICK_MS = 1000, REASON_BYTES_MAX = 4096, EXIT_UNFIT = 3 };

struct running {
    pid_t pid;
    int input;   /* we write */
    int output;  /* we read */
    int reasons; /* its standard error */
    struct buf answer;
    struct buf reason;
    size_t scanned; /* of the answer, for progress lines */
    unsigned percent;
    bool header_seen; /* "result" came: no more lines */
};

static void close_end(int *end)
{
    if (*end >= 0) {
        (void)close(*end);
        *end = -1;
    }
}

/* ---- starting ---- */

static bool start(struct running *running, const char *program, struct error *error)
{
    int in[2] = { -1, -1 };
    int out[2] = { -1, -1 };
    int err[2] = { -1, -1 };
    bool ok = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
    posix_spawn_file_actions_t actions;
    bool has_actions = ok && posix_spawn_file_actions_init(&actions) == 0;
    if (has_actions) {
        char name[] = "shanhai";
        char worker[] = "worker";
        char measure[] = "measure";
        char *const arguments[] = { name, worker, measure, NULL };
        ok = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO) == 0 &&
             posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO) == 0 &&
             posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO) == 0 &&
             posix_spawn(&running->pid, program, &actions, NULL, arguments, environ) == 0;
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    close_end(&in[0]);
    close_end(&out[1]);
    close_end(&err[1]);
    running->input = in[1];
    running->output = out[0];
    running->reasons = err[0];
    return (ok && has_actions) || FAIL_OS(error, ERROR_INTERNAL, "the measuring process cannot be started");
}

static bool send_sources(struct running *running, const struct lung_source *sources, size_t count,
                         struct error *error)
{
    struct buf list = { .bytes_max = 1 << 24 };
    for (size_t i = 0; i < count; i++) {
        const char *syntax = sources[i].syntax == NULL ? "" : sources[i].syntax;
        buf_printf(&list, "%s\t%llu\t%llu%s%s\n", sources[i].path, (unsigned long long)sources[i].offset,
                   (unsigned long long)sources[i].length, syntax[0] == '\0' ? "" : "\t", syntax);
    }
    /* The worker reads its whole input before it says anything, so this cannot block for ever. */
    bool ok = !list.failed ? file_write_all(running->input, list.at, list.len, error)
                           : FAIL(error, ERROR_TOO_LARGE, "the list of images is too long");
    buf_deinit(&list);
    close_end(&running->input);
    return ok;
}

/* ---- listening ---- */

static void scan_progress(struct running *running)
{
    struct str rest = str_skip(buf_str(&running->answer), running->scanned);
    while (!running->header_seen) {
        size_t end = str_find_char(rest, '\n');
        if (end == rest.len) {
            return;
        }
        struct str line = str_slice(rest, 0, end);
        uint64_t percent = 0;
        running->header_seen = str_starts_with(line, STR("result "));
        if (str_starts_with(line, STR("progress ")) && parse_uint64(str_skip(line, 9), 100, &percent)) {
            running->percent = (unsigned)percent;
        }
        running->scanned += end + 1;
        rest = str_skip(rest, end + 1);
    }
}

/* False at the end of the stream. */
static bool take(int *end, struct buf *into)
{
    char *room = buf_reserve(into, READ_BYTES);
    ssize_t got = room == NULL ? 0 : read(*end, room, READ_BYTES);
    if (got < 0 && errno == EINTR) {
        return true;
    }
    if (got <= 0) {
        close_end(end);
        return false;
    }
    into->len += (size_t)got;
    return true;
}

static bool listen_to(struct running *running, const struct lung_worker_options *options, struct error *error)
{
    unsigned seconds = options->seconds_max > 0 ? options->seconds_max : LUNG_WORKER_SECONDS_MAX;
    int64_t deadline_us = clock_monotonic_us() + (int64_t)seconds * 1000000;
    while (running->output >= 0 || running->reasons >= 0) {
        struct pollfd ends[2] = { { .fd = running->output, .events = POLLIN },
                                  { .fd = running->reasons, .events = POLLIN } };
        if (poll(ends, 2, TICK_MS) < 0 && errno != EINTR) {
            return FAIL_OS(error, ERROR_INTERNAL, "the measuring process cannot be heard");
        }
        if (ends[0].revents != 0 && take(&running->output, &running->answer)) {
            scan_progress(running);
        }
        if (ends[1].revents != 0) {
            (void)take(&running->reasons, &running->reason);
        }
        if (running->answer.failed) {
            return FAIL(error, ERROR_TOO_LARGE, "the measuring process says too much");
        }
        if (options->progress != NULL && !options->progress(options->context, running->percent)) {
            return FAIL(error, ERROR_BUSY, "the measurement was stopped");
        }
        if (clock_monotonic_us() > deadline_us) {
            return FAIL(error, ERROR_TOO_COSTLY, "the measurement took longer than %u s", seconds);
        }
    }
    return true;
}

static bool understand(struct running *running, int status, struct arena *arena, struct str *json,
                       struct str *mask, struct error *error)
{
    if (!WIFEXITED(status)) {
        return FAIL(error, ERROR_INTERNAL, "the measuring process was ended by signal %d", WTERMSIG(status));
    }
    if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != EXIT_UNFIT) {
        struct str reason = str_trim(buf_str(&running->reason));
        return FAIL(error, ERROR_STRUCTURE, "%.*s", STR_FMT(str_slice(reason, 0, 160)));
    }
    struct str json_part;
    struct str mask_part;
    if (!lung_worker_read_result(buf_str(&running->answer), &json_part, &mask_part, error)) {
        return false;
    }
    struct str json_copy = arena_dup(arena, json_part);
    struct str mask_copy = arena_dup(arena, mask_part);
    if (json_copy.at == NULL || mask_copy.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the result of a measurement");
    }
    struct lung_mask checked;
    if (mask_copy.len > 0 && !lung_mask_open(mask_copy, &checked, error)) {
        return false;
    }
    *json = json_copy;
    *mask = mask_copy;
    return true;
}

bool lung_worker_run(struct arena *arena, const struct lung_source *sources, size_t count,
                     const struct lung_worker_options *options, struct str *json, struct str *mask,
                     struct error *error)
{
    assert(options != NULL);
    struct running running = { .pid = -1,
                               .input = -1,
                               .output = -1,
                               .reasons = -1,
                               .answer = { .bytes_max = LUNG_WORKER_OUTPUT_BYTES_MAX },
                               .reason = { .bytes_max = REASON_BYTES_MAX + READ_BYTES } };
    int status = 0;
    const char *program = options->program == NULL ? "/proc/self/exe" : options->program;
    bool ok = start(&running, program, error) && send_sources(&running, sources, count, error) &&
              listen_to(&running, options, error);
    if (running.pid > 0) {
        if (!ok) {
            (void)kill(running.pid, SIGKILL);
        }
        while (waitpid(running.pid, &status, 0) < 0 && errno == EINTR) {}
    }
    ok = ok && understand(&running, status, arena, json, mask, error);
    close_end(&running.input);
    close_end(&running.output);
    close_end(&running.reasons);
    buf_deinit(&running.answer);
    buf_deinit(&running.reason);
    return ok;
}
