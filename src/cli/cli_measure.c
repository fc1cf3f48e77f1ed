#include "cli/cli_measure.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/parse.h"
#include "lung/lung_measure.h"

/* Address space, not memory in use: stacks and freed blocks count too. */
#define WORKER_MEMORY_BYTES ((rlim_t)2 << 30)

enum {
    EXIT_MEASURED = 0,
    EXIT_UNREADABLE = 2,
    EXIT_UNFIT = 3,
    JSON_BYTES_MAX = 16 * 1024 * 1024,
    READ_BYTES = 65536
};

static int usage(void)
{
    (void)fputs("shanhai measure-ct FOLDER [--mask FILE] [--threads N]\n"
                "Measures the chest CT in a folder of DICOM files and prints the result as JSON.\n"
                "It is a quantitative measurement, not a diagnosis.\n"
                "Exit status: 0 measured, 3 not fit to be measured, 2 unreadable.\n",
                stderr);
    return EXIT_UNREADABLE;
}

static int complain(const struct error *error)
{
    (void)fprintf(stderr, "%s\n", error->text);
    return EXIT_UNREADABLE;
}

struct measure_arguments {
    const char *folder;
    const char *mask_path;
    struct lung_options options;
};

static bool read_arguments(int argc, char **argv, struct measure_arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        uint64_t threads = 0;
        if (strcmp(argv[i], "--mask") == 0 && i + 1 < argc) {
            arguments->mask_path = argv[++i];
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc &&
                   parse_uint64(str_from_cstr(argv[i + 1]), LUNG_THREADS_MAX, &threads)) {
            arguments->options.threads = (unsigned)threads;
            i++;
        } else if (argv[i][0] != '-' && arguments->folder == NULL) {
            arguments->folder = argv[i];
        } else {
            return false;
        }
    }
    return arguments->folder != NULL;
}

static bool print_json(const struct lung_measurement *measurement, struct error *error)
{
    struct arena arena = { .bytes_max = JSON_BYTES_MAX };
    struct buf text = { .bytes_max = JSON_BYTES_MAX };
    struct json *json = lung_measurement_json(&arena, measurement);
    if (json != NULL) {
        json_write_pretty(&text, json);
        buf_add_char(&text, '\n');
    }
    bool ok = json != NULL && !text.failed;
    ok = ok ? file_write_all(STDOUT_FILENO, text.at, text.len, error)
            : FAIL(error, ERROR_TOO_LARGE, "no memory for the result");
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok;
}

int cli_measure_ct(int argc, char **argv)
{
    struct measure_arguments arguments = { 0 };
    if (!read_arguments(argc, argv, &arguments)) {
        return usage();
    }
    struct error error = { 0 };
    struct arena arena = { .bytes_max = (size_t)1 << 26 };
    struct lung_measurement measurement = { 0 };
    struct lung_source *sources = NULL;
    size_t count = 0;
    bool ok = lung_sources_of_folder(&arena, arguments.folder, &sources, &count, &error) &&
              lung_measure_series(sources, count, &arguments.options, &measurement, &error) &&
              print_json(&measurement, &error);
    if (ok && arguments.mask_path != NULL && measurement.mask.len > 0) {
        ok = file_write_atomically(arguments.mask_path, buf_str(&measurement.mask), 0600, &error);
    }
    int status = !ok                                           ? complain(&error)
                 : lung_notes_unfit(&measurement.result.notes) ? EXIT_UNFIT
                                                               : EXIT_MEASURED;
    lung_measurement_deinit(&measurement);
    arena_deinit(&arena);
    return status;
}

/* ---- the worker ---- */

static void tell_progress(void *context, unsigned percent)
{
    (void)context;
    char line[32];
    struct error ignored = { 0 };
    int len = snprintf(line, sizeof line, "progress %u\n", percent);
    if (len > 0 && !file_write_all(STDOUT_FILENO, line, (size_t)len, &ignored)) {
        return; /* nobody listens any more; the result will say so */
    }
}

static bool read_input(struct buf *input, struct error *error)
{
    for (;;) {
        char *room = buf_reserve(input, READ_BYTES);
        if (room == NULL) {
            return FAIL(error, ERROR_TOO_LARGE, "the list of images is too long");
        }
        ssize_t got = read(STDIN_FILENO, room, READ_BYTES);
        if (got < 0) {
            return FAIL(error, ERROR_INPUT, "the list of images cannot be read");
        }
        if (got == 0) {
            return true;
        }
        input->len += (size_t)got;
    }
}

static bool read_sources(struct arena *arena, struct str text, struct lung_source **sources, size_t *count,
                         struct error *error)
{
    *sources = ARENA_ARRAY(arena, struct lung_source, LUNG_SOURCES_MAX);
    *count = 0;
    if (*sources == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the list of images");
    }
    struct str line;
    while (str_split_next(&text, '\n', &line)) {
        if (line.len == 0) {
            continue;
        }
        if (*count == LUNG_SOURCES_MAX) {
            return FAIL(error, ERROR_TOO_LARGE, "more than %d images", LUNG_SOURCES_MAX);
        }
        if (!lung_worker_read_source(arena, line, &(*sources)[*count], error)) {
            return false;
        }
        (*count)++;
    }
    return true;
}

static bool answer(const struct lung_measurement *measurement, struct error *error)
{
    struct arena arena = { .bytes_max = JSON_BYTES_MAX };
    struct buf out = { .bytes_max = LUNG_MASK_BYTES_MAX + JSON_BYTES_MAX };
    struct str text = json_write_arena(&arena, lung_measurement_json(&arena, measurement));
    bool ok = text.at != NULL;
    if (ok) {
        lung_worker_write_result(&out, text, buf_str(&measurement->mask));
    }
    ok = ok && !out.failed ? file_write_all(STDOUT_FILENO, out.at, out.len, error)
                           : FAIL(error, ERROR_TOO_LARGE, "no memory for the result");
    buf_deinit(&out);
    arena_deinit(&arena);
    return ok;
}

/* The bytes come from strangers: bounded memory, no core file, and no life beyond the server's. */
static void confine(void)
{
    const struct rlimit core = { 0, 0 };
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they reserve terabytes */
    const struct rlimit memory = { WORKER_MEMORY_BYTES, WORKER_MEMORY_BYTES };
    (void)setrlimit(RLIMIT_AS, &memory);
#endif
    (void)setrlimit(RLIMIT_CORE, &core);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, 5); /* people who wait for a page go first */
}

int cli_worker_measure(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return usage();
    }
    confine();
    struct error error = { 0 };
    struct arena arena = { .bytes_max = (size_t)1 << 26 };
    struct buf input = { .bytes_max = 1 << 24 };
    struct lung_measurement measurement = { 0 };
    const struct lung_options options = { .progress = tell_progress };
    struct lung_source *sources = NULL;
    size_t count = 0;
    bool ok = read_input(&input, &error) && read_sources(&arena, buf_str(&input), &sources, &count, &error) &&
              lung_measure_series(sources, count, &options, &measurement, &error) &&
              answer(&measurement, &error);
    int status = !ok                                           ? complain(&error)
                 : lung_notes_unfit(&measurement.result.notes) ? EXIT_UNFIT
                                                               : EXIT_MEASURED;
    lung_measurement_deinit(&measurement);
    buf_deinit(&input);
    arena_deinit(&arena);
    return status;
}
