/* bulk_import.c — NDJSON in. Lines go in together, some hundred a commit; when one of them is refused they are taken one
 * by one, so that only what is wrong stays out. Each refused line is an OperationOutcome in the file of errors, its id
 * telling the line. Every so many lines it is written down how far the job is; what was stored after that and before a
 * crash is met again: a resource without id has one by its line, so it is not stored twice. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "change/change.h"
#include "feed/bulk_internal.h"
#include "fhir/outcome.h"

enum { BATCH_LINES = 400, BATCH_BYTES = 8 * 1024 * 1024, SAVE_LINES = 4000 };

/* ---- the upload ---- */

bool bulk_import_open(struct bulk *bulk, struct bulk_upload *upload, struct error *error)
{
    char path[BULK_PATH_BYTES];
    *upload = (struct bulk_upload){ .bulk = bulk, .fd = -1 };
    if (!bulk_folder_make(bulk, upload->folder, error) ||
        !bulk_path(bulk, str_from_cstr(upload->folder), STR(BULK_INPUT_FILE), path, error)) {
        return false;
    }
    upload->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return upload->fd >= 0 || FAIL(error, ERROR_FULL, "the import cannot be written down: is the disk full?");
}

bool bulk_import_begin(struct bulk_upload *upload, const struct access_session *session, struct arena *arena,
                       uint64_t *id, struct error *error)
{
    struct json *input = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, input, STR("folder"), arena_dup(arena, str_from_cstr(upload->folder)));
    bool synced = fsync(upload->fd) == 0;
    (void)close(upload->fd);
    upload->fd = -1;
    return (synced || FAIL(error, ERROR_FULL, "the import cannot be written down: is the disk full?")) &&
           bulk_queue(upload->bulk, session, arena, BULK_IMPORT, input, id, error);
}

void bulk_import_drop(struct bulk_upload *upload)
{
    char path[BULK_PATH_BYTES];
    struct error ignored = { 0 };
    if (upload->fd < 0) {
        return;
    }
    (void)close(upload->fd);
    upload->fd = -1;
    if (bulk_path(upload->bulk, str_from_cstr(upload->folder), STR(BULK_INPUT_FILE), path, &ignored)) {
        (void)unlink(path);
    }
}

/* ---- lines ---- */

struct intake {
    struct bulk_run *run;
    struct str text; /* the whole file, mapped */
    struct str rest; /* what is still to be read */
    uint64_t line;   /* number of the next line, from 1 */
    uint64_t stored;
    uint64_t rejected;
    uint64_t saved_line;
    FILE *errors;
};

struct line {
    uint64_t number;
    struct str text;
};

static bool reject(struct intake *intake, const struct line *line, const struct outcome *outcome,
                   const struct error *why, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    enum outcome_language language =
        str_equal(intake->run->session.language, STR("en")) ? OUTCOME_ENGLISH : OUTCOME_CHINESE;
    struct json *tree = outcome != NULL && outcome->count > 0 ? outcome_to_json(outcome, language)
                                                              : outcome_of_error(&arena, why, language);
    (void)json_set(
        tree, STR("id"),
        json_new_string(&arena, arena_printf(&arena, "line-%llu", (unsigned long long)line->number)));
    struct buf text = { .bytes_max = LIMIT_RESOURCE_BYTES };
    json_write(&text, tree);
    buf_add_char(&text, '\n');
    bool ok = !text.failed && fwrite(text.at, 1, text.len, intake->errors) == text.len;
    buf_deinit(&text);
    arena_deinit(&arena);
    intake->rejected++;
    return ok || FAIL(error, ERROR_FULL, "the list of refused lines cannot be written: is the disk full?");
}

static bool read_entry(const struct intake *intake, struct arena *arena, const struct line *line,
                       struct change_entry *entry, struct error *error)
{
    struct json *tree = NULL;
    if (!json_read(arena, line->text, &tree, error)) {
        return false;
    }
    struct str id = JSON_TEXT(arena, tree, "id");
    *entry = (struct change_entry){ .kind = id.at == NULL ? CHANGE_CREATE : CHANGE_UPDATE,
                                    .type = JSON_TEXT(arena, tree, "resourceType"),
                                    .id = id,
                                    .resource = tree };
    if (id.at == NULL) {
        entry->id = arena_printf(arena, "import-%llu-%llu", (unsigned long long)intake->run->id,
                                 (unsigned long long)line->number);
    }
    return entry->type.at != NULL || FAIL(error, ERROR_STRUCTURE, "a line is a resource with resourceType");
}

static bool apply(struct intake *intake, struct arena *arena, struct change_entry *entries, size_t count,
                  struct change_set *set, struct error *error)
{
    *set = (struct change_set){ .arena = arena,
                                .session = &intake->run->session,
                                .route = STR("/fhir/$import"),
                                .operation = STR("$import"),
                                .brings_ids = true,
                                .entries = entries,
                                .entries_count = count };
    return change_apply(intake->run->bulk->options.change, set, error);
}

/* Whether trying the job again later may help; else the line itself is at fault. */
static bool is_passing(enum error_kind kind)
{
    return kind == ERROR_BUSY || kind == ERROR_FULL || kind == ERROR_INTERNAL;
}

static bool take_one(struct intake *intake, const struct line *line, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct change_entry entry = { 0 };
    struct change_set set = { 0 };
    struct error why = { 0 };
    bool ok = true;
    bool stored =
        read_entry(intake, &arena, line, &entry, &why) && apply(intake, &arena, &entry, 1, &set, &why);
    /* Its id is by its line: only this job can have stored it, before a crash. */
    bool was_there = !stored && entry.type.at != NULL && entry.kind == CHANGE_CREATE &&
                     (why.kind == ERROR_PRECONDITION || why.kind == ERROR_CONFLICT);
    if (stored || was_there) {
        intake->stored++;
    } else if (is_passing(why.kind)) {
        ok = FAIL(error, why.kind, "%.150s", why.text);
    } else {
        ok = reject(intake, line, set.outcome, &why, error);
    }
    arena_deinit(&arena);
    return ok;
}

static bool take_lines(struct intake *intake, const struct line *lines, size_t count, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct change_entry *entries = ARENA_ARRAY(&arena, struct change_entry, count);
    struct change_set set = { 0 };
    struct error why = { 0 };
    bool whole = entries != NULL;
    for (size_t i = 0; whole && i < count; i++) {
        whole = read_entry(intake, &arena, &lines[i], &entries[i], &why);
    }
    whole = whole && apply(intake, &arena, entries, count, &set, &why);
    arena_deinit(&arena);
    if (whole) {
        intake->stored += count;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_one(intake, &lines[i], error)) {
            return false;
        }
    }
    return true;
}

/* The next lines that go in together; empty ones are passed over. */
static size_t next_lines(struct intake *intake, struct line lines[BATCH_LINES])
{
    size_t count = 0;
    size_t bytes = 0;
    struct str text = STR_NONE;
    while (count < BATCH_LINES && bytes < BATCH_BYTES && intake->rest.len > 0 &&
           str_split_next(&intake->rest, '\n', &text)) {
        struct str line = str_trim(text);
        if (line.len > 0) {
            lines[count++] = (struct line){ .number = intake->line, .text = line };
            bytes += line.len;
        }
        intake->line++;
    }
    return count;
}

/* ---- the job ---- */

static bool save(struct intake *intake, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct json *state = json_new(&arena, JSON_OBJECT);
    uint64_t offset = intake->text.len - intake->rest.len;
    bool ok = fflush(intake->errors) == 0 && fsync(fileno(intake->errors)) == 0;
    (void)json_add(state, STR("offset"), json_new_integer(&arena, (int64_t)offset));
    (void)json_add(state, STR("line"), json_new_integer(&arena, (int64_t)intake->line));
    (void)json_add(state, STR("stored"), json_new_integer(&arena, (int64_t)intake->stored));
    (void)json_add(state, STR("rejected"), json_new_integer(&arena, (int64_t)intake->rejected));
    (void)json_add(state, STR("errors"), json_new_integer(&arena, (int64_t)ftell(intake->errors)));
    ok = (ok || FAIL(error, ERROR_FULL, "the list of refused lines cannot be written: is the disk full?")) &&
         bulk_run_save(intake->run, state, error) &&
         store_job_progress(intake->run->bulk->options.store, intake->run->id,
                            (unsigned)(1000 * offset / (intake->text.len + 1)), error);
    arena_deinit(&arena);
    intake->saved_line = intake->line;
    return ok;
}

/* What is behind the place that was saved is cut off: those lines are taken again. */
static bool open_errors(struct intake *intake, struct error *error)
{
    char path[BULK_PATH_BYTES];
    if (!bulk_path(intake->run->bulk, intake->run->folder, STR(BULK_ERRORS_FILE), path, error)) {
        return false;
    }
    off_t kept = (off_t)bulk_number(intake->run->state, STR("errors"));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, kept) != 0 || lseek(fd, kept, SEEK_SET) != kept) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return FAIL(error, ERROR_FULL, "the list of refused lines cannot be written: is the disk full?");
    }
    intake->errors = fdopen(fd, "w");
    if (intake->errors == NULL) {
        (void)close(fd);
    }
    return intake->errors != NULL || FAIL(error, ERROR_BUSY, "out of memory; try again");
}

static bool map_input(struct intake *intake, struct error *error)
{
    char path[BULK_PATH_BYTES];
    struct stat about;
    if (!bulk_path(intake->run->bulk, intake->run->folder, STR(BULK_INPUT_FILE), path, error)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return FAIL(error, ERROR_NOT_FOUND, "the file of the import is gone");
    }
    bool ok = fstat(fd, &about) == 0;
    size_t len = ok ? (size_t)about.st_size : 0;
    void *bytes = len == 0 ? NULL : mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (!ok || bytes == MAP_FAILED) {
        return FAIL(error, ERROR_BUSY, "the file of the import cannot be read; try again");
    }
    intake->text = (struct str){ bytes == NULL ? "" : bytes, len };
    size_t offset = (size_t)bulk_number(intake->run->state, STR("offset"));
    intake->rest = str_skip(intake->text, offset < len ? offset : len);
    return true;
}

static bool take_all(struct intake *intake, struct error *error)
{
    struct line lines[BATCH_LINES];
    for (size_t count = next_lines(intake, lines); count > 0; count = next_lines(intake, lines)) {
        if (!bulk_run_is_wanted(intake->run, error) || !take_lines(intake, lines, count, error)) {
            return false;
        }
        if (intake->line - intake->saved_line >= SAVE_LINES && !save(intake, error)) {
            return false;
        }
    }
    return save(intake, error);
}

bool bulk_import_run(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                     struct error *error)
{
    struct bulk_run run;
    if (!bulk_run_begin(data, arena, job, &run, error) ||
        !access_need_right(&run.session, BULK_IMPORT, error)) {
        return false;
    }
    struct intake intake = { .run = &run,
                             .line = bulk_number(run.state, STR("line")),
                             .stored = bulk_number(run.state, STR("stored")),
                             .rejected = bulk_number(run.state, STR("rejected")) };
    intake.line = intake.line == 0 ? 1 : intake.line;
    intake.saved_line = intake.line;
    bool ok = map_input(&intake, error) && open_errors(&intake, error) && take_all(&intake, error);
    if (intake.errors != NULL) {
        (void)fclose(intake.errors);
    }
    if (intake.text.len > 0) {
        (void)munmap((void *)(uintptr_t)intake.text.at,
                     intake.text.len); /* mapped read-only, so const above */
    }
    *result = arena_printf(arena, "{\"stored\":%llu,\"rejected\":%llu}", (unsigned long long)intake.stored,
                           (unsigned long long)intake.rejected);
    return ok && (result->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up"));
}
