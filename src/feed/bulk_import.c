/* bulk_import.c — NDJSON in. Lines go in together, some hundred a commit, two such batches prepared at a time, each by a thread,
 * while the two before them are written; when one line of a batch is refused its lines are taken one by one, so that only what is wrong stays out. Each refused line is an OperationOutcome in the file of errors, its id
 * telling the line. Every so many lines it is written down how far the job is; what was stored after that and before a
 * crash is met again: a resource without id has one by its line, so it is not stored twice. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/table.h"
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

enum { LANES = 2 }; /* batches that are prepared at the same time */

struct line {
    uint64_t number;
    struct str text;
};

struct intake;

/* One batch on its way. */
struct lane {
    struct intake *intake;
    struct arena arena;
    struct line lines[BATCH_LINES];
    size_t count;
    struct change_entry *entries;
    struct change_set set;
    bool is_whole; /* it could be prepared as it is */
    bool is_sent;
    bool has_ended; /* guarded by intake->lock, with the next */
    bool is_stored;
};

/* Batches that go together, and the place behind them. */
struct round {
    struct lane lanes[LANES];
    struct str rest;
    uint64_t line;
};

struct intake {
    struct bulk_run *run;
    struct str text;      /* the whole file, mapped */
    struct str rest;      /* what is still to be read */
    uint64_t line;        /* number of the next line, from 1 */
    struct str done_rest; /* the same of what is stored or refused */
    uint64_t done_line;
    uint64_t stored;
    uint64_t rejected;
    uint64_t saved_line;
    FILE *errors;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct round rounds[2]; /* one is prepared while the other is written */
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

static struct change_set set_of(const struct intake *intake, struct arena *arena,
                                struct change_entry *entries, size_t count)
{
    return (struct change_set){ .arena = arena,
                                .session = &intake->run->session,
                                .route = STR("/fhir/$import"),
                                .operation = STR("$import"),
                                .brings_ids = true,
                                .entries = entries,
                                .entries_count = count };
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
    set = set_of(intake, &arena, &entry, 1);
    bool stored = read_entry(intake, &arena, line, &entry, &why) &&
                  change_apply(intake->run->bulk->options.change, &set, &why);
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

/* ---- batches ---- */

static void *prepare_lane(void *data)
{
    struct lane *lane = data;
    struct error why = { 0 };
    lane->entries = ARENA_ARRAY(&lane->arena, struct change_entry, lane->count + 1);
    lane->is_whole = lane->entries != NULL;
    for (size_t i = 0; lane->is_whole && i < lane->count; i++) {
        lane->is_whole = read_entry(lane->intake, &lane->arena, &lane->lines[i], &lane->entries[i], &why);
    }
    lane->set = set_of(lane->intake, &lane->arena, lane->entries, lane->count);
    lane->is_whole = lane->is_whole && lane->count > 0 &&
                     change_prepare(lane->intake->run->bulk->options.change, &lane->set, &why);
    return NULL;
}

static void prepare_round(struct round *round)
{
    pthread_t threads[LANES];
    bool runs[LANES] = { false };
    for (size_t i = 1; i < LANES; i++) {
        runs[i] = round->lanes[i].count > 0 &&
                  pthread_create(&threads[i], NULL, prepare_lane, &round->lanes[i]) == 0;
    }
    (void)prepare_lane(&round->lanes[0]);
    for (size_t i = 1; i < LANES; i++) {
        if (runs[i]) {
            (void)pthread_join(threads[i], NULL);
        } else {
            (void)prepare_lane(&round->lanes[i]);
        }
    }
}

/* Two batches that write one resource must not be on their way together: the later line is to win. */
static bool shares_resource(const struct lane *first, const struct lane *second)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct table ids = table_in(&arena);
    bool shared = !first->is_whole || !second->is_whole; /* who cannot say is written apart */
    for (size_t i = 0; !shared && i < first->count; i++) {
        shared = first->entries[i].kind == CHANGE_UPDATE &&
                 !table_set(&ids, first->entries[i].id, &first->entries[i]);
    }
    for (size_t i = 0; !shared && i < second->count; i++) {
        shared = second->entries[i].kind == CHANGE_UPDATE && table_get(&ids, second->entries[i].id) != NULL;
    }
    arena_deinit(&arena);
    return shared;
}

/* change_set.done, in the writer's thread. */
static void lane_done(struct change_set *set, const struct error *error)
{
    struct lane *lane = set->data;
    (void)pthread_mutex_lock(&lane->intake->lock);
    lane->is_stored = error == NULL;
    lane->has_ended = true;
    (void)pthread_cond_broadcast(&lane->intake->ended);
    (void)pthread_mutex_unlock(&lane->intake->lock);
}

static void send_round(struct intake *intake, struct round *round)
{
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &round->lanes[i];
        struct error why = { 0 };
        bool apart = i > 0 && shares_resource(&round->lanes[0], lane);
        lane->set.done = lane_done;
        lane->set.data = lane;
        lane->is_sent =
            lane->is_whole && !apart && change_submit(intake->run->bulk->options.change, &lane->set, &why);
    }
}

static void wait_for(struct lane *lane)
{
    (void)pthread_mutex_lock(&lane->intake->lock);
    while (lane->is_sent && !lane->has_ended) {
        (void)pthread_cond_wait(&lane->intake->ended, &lane->intake->lock);
    }
    (void)pthread_mutex_unlock(&lane->intake->lock);
}

static void empty_round(struct intake *intake, struct round *round)
{
    for (size_t i = 0; i < LANES; i++) {
        struct lane *lane = &round->lanes[i];
        lane->intake = intake;
        wait_for(lane);
        arena_deinit(&lane->arena);
        *lane = (struct lane){ .intake = intake, .arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES } };
    }
}

/* The round is on disk, or its lines were taken one by one; then it is behind us. */
static bool finish_round(struct intake *intake, struct round *round, struct error *error)
{
    bool ok = true;
    size_t count = 0;
    for (size_t i = 0; i < LANES; i++) {
        wait_for(&round->lanes[i]);
    }
    for (size_t i = 0; ok && i < LANES; i++) {
        struct lane *lane = &round->lanes[i];
        count += lane->count;
        intake->stored += lane->is_sent && lane->is_stored ? lane->count : 0;
        for (size_t k = 0; ok && !(lane->is_sent && lane->is_stored) && k < lane->count; k++) {
            ok = take_one(intake, &lane->lines[k], error);
        }
    }
    if (ok && count > 0) {
        intake->done_rest = round->rest;
        intake->done_line = round->line;
    }
    empty_round(intake, round);
    return ok;
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
    uint64_t offset = intake->text.len - intake->done_rest.len;
    bool ok = fflush(intake->errors) == 0 && fsync(fileno(intake->errors)) == 0;
    (void)json_add(state, STR("offset"), json_new_integer(&arena, (int64_t)offset));
    (void)json_add(state, STR("line"), json_new_integer(&arena, (int64_t)intake->done_line));
    (void)json_add(state, STR("stored"), json_new_integer(&arena, (int64_t)intake->stored));
    (void)json_add(state, STR("rejected"), json_new_integer(&arena, (int64_t)intake->rejected));
    (void)json_add(state, STR("errors"), json_new_integer(&arena, (int64_t)ftell(intake->errors)));
    ok = (ok || FAIL(error, ERROR_FULL, "the list of refused lines cannot be written: is the disk full?")) &&
         bulk_run_save(intake->run, state, error) &&
         store_job_progress(intake->run->bulk->options.store, intake->run->id,
                            (unsigned)(1000 * offset / (intake->text.len + 1)), error);
    arena_deinit(&arena);
    intake->saved_line = intake->done_line;
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
    intake->done_rest = intake->rest;
    return true;
}

/* Fills a round with the next lines; false at the end of the file. */
static bool fill_round(struct intake *intake, struct round *round)
{
    for (size_t i = 0; i < LANES; i++) {
        round->lanes[i].count = next_lines(intake, round->lanes[i].lines);
    }
    round->rest = intake->rest;
    round->line = intake->line;
    return round->lanes[0].count > 0;
}

static bool take_all(struct intake *intake, struct error *error)
{
    size_t at = 0;
    bool ok = true;
    for (; ok && fill_round(intake, &intake->rounds[at]); at = 1 - at) {
        ok = bulk_run_is_wanted(intake->run, error);
        if (!ok) {
            break;
        }
        prepare_round(&intake->rounds[at]);
        ok = finish_round(intake, &intake->rounds[1 - at], error);
        if (!ok) {
            break;
        }
        send_round(intake, &intake->rounds[at]);
        ok = intake->done_line - intake->saved_line < SAVE_LINES || save(intake, error);
    }
    ok = ok && finish_round(intake, &intake->rounds[1 - at], error);
    empty_round(intake, &intake->rounds[0]);
    empty_round(intake, &intake->rounds[1]);
    intake->done_rest = ok ? intake->rest : intake->done_rest; /* blank lines at the end */
    intake->done_line = ok ? intake->line : intake->done_line;
    return ok && save(intake, error);
}

static struct intake *intake_create(struct bulk_run *run, struct arena *arena)
{
    struct intake *intake = ARENA_NEW(arena, struct intake);
    if (intake == NULL) {
        return NULL;
    }
    intake->run = run;
    intake->line = bulk_number(run->state, STR("line"));
    intake->stored = bulk_number(run->state, STR("stored"));
    intake->rejected = bulk_number(run->state, STR("rejected"));
    intake->line = intake->line == 0 ? 1 : intake->line;
    intake->done_line = intake->line;
    intake->saved_line = intake->line;
    (void)pthread_mutex_init(&intake->lock, NULL);
    (void)pthread_cond_init(&intake->ended, NULL);
    empty_round(intake, &intake->rounds[0]);
    empty_round(intake, &intake->rounds[1]);
    return intake;
}

bool bulk_import_run(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                     struct error *error)
{
    struct bulk_run run;
    if (!bulk_run_begin(data, arena, job, &run, error) ||
        !access_need_right(&run.session, BULK_IMPORT, error)) {
        return false;
    }
    struct intake *intake = intake_create(&run, arena);
    if (intake == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    bool ok = map_input(intake, error) && open_errors(intake, error) && take_all(intake, error);
    if (intake->errors != NULL) {
        (void)fclose(intake->errors);
    }
    if (intake->text.len > 0) {
        (void)munmap((void *)(uintptr_t)intake->text.at,
                     intake->text.len); /* mapped read-only, so const above */
    }
    (void)pthread_cond_destroy(&intake->ended);
    (void)pthread_mutex_destroy(&intake->lock);
    *result = arena_printf(arena, "{\"stored\":%llu,\"rejected\":%llu}", (unsigned long long)intake->stored,
                           (unsigned long long)intake->rejected);
    return ok && (result->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up"));
}
