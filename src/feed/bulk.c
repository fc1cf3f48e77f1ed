/* bulk.c — what exports and imports share: their folders, whose they are, how far they are, and their end. */
#include "feed/bulk_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/parse.h"
#include "store/store.h"
#include "view/view_text.h"

enum { KEPT_MS = 24 * 60 * 60 * 1000, SWEEP_EVERY_MS = 60 * 60 * 1000, STATE_BYTES_MAX = 4 * 1024 * 1024 };

static const struct str STATE_FILE = { "state.json", 10 };
static const struct str CANCELLED_FILE = { "cancelled", 9 };

bool bulk_open(struct arena *arena, const struct bulk_options *options, struct bulk **bulk,
               struct error *error)
{
    struct bulk *made = ARENA_NEW(arena, struct bulk);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    made->options = *options;
    *bulk = made;
    return folder_create(options->folder, error);
}

void bulk_job_kinds(struct bulk *bulk, struct job_kind kinds[BULK_JOB_KINDS])
{
    kinds[0] =
        (struct job_kind){ .name = BULK_EXPORT, .data = bulk, .run = bulk_export_run, .is_lasting = true };
    kinds[1] =
        (struct job_kind){ .name = BULK_IMPORT, .data = bulk, .run = bulk_import_run, .is_lasting = true };
    kinds[2] =
        (struct job_kind){ .name = BULK_VIEWS, .data = bulk, .run = bulk_views_run, .is_lasting = true };
}

bool bulk_path(const struct bulk *bulk, struct str folder, struct str name, char path[BULK_PATH_BYTES],
               struct error *error)
{
    int len = snprintf(path, BULK_PATH_BYTES, "%s/%.*s%s%.*s", bulk->options.folder, STR_FMT(folder),
                       name.len == 0 ? "" : "/", STR_FMT(name));
    return (len > 0 && len < BULK_PATH_BYTES) || FAIL(error, ERROR_INTERNAL, "the folder's path is too long");
}

bool bulk_folder_make(struct bulk *bulk, char name[UUID_TEXT_BYTES], struct error *error)
{
    char path[BULK_PATH_BYTES];
    return uuid_v7(clock_now_ms(), name, error) &&
           bulk_path(bulk, str_from_cstr(name), STR_NONE, path, error) && folder_create(path, error);
}

uint64_t bulk_number(const struct json *object, struct str name)
{
    const struct json *value = json_member(object, name);
    uint64_t number = 0;
    bool is_number = value != NULL && value->kind == JSON_NUMBER;
    return is_number && parse_uint64(value->raw, UINT64_MAX, &number) ? number : 0;
}

/* ---- queueing ---- */

bool bulk_queue(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                const char *kind, struct json *input, uint64_t *id, struct error *error)
{
    (void)json_add_text(arena, input, STR("person"), session->person);
    (void)json_add_text(arena, input, STR("post"), session->post);
    if (session->scopes.at != NULL) {
        (void)json_add_text(arena, input, STR("app"), session->app);
        (void)json_add_text(arena, input, STR("scopes"), session->scopes);
        (void)json_add_text(arena, input, STR("patient"), session->patient);
    }
    struct str text = json_write_arena(arena, input);
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct store_job_new job = { .kind = str_from_cstr(kind), .input = text };
    struct store_set set = { .arena = arena, .jobs = &job, .jobs_count = 1 };
    if (!store_write_and_wait(bulk->options.store, &set, error)) {
        return false;
    }
    *id = job.id;
    return true;
}

/* ---- running ---- */

static bool read_state(struct bulk_run *run, struct error *error)
{
    char path[BULK_PATH_BYTES];
    struct str text = STR_NONE;
    struct error none = { 0 };
    run->state = json_new(run->arena, JSON_OBJECT);
    if (!bulk_path(run->bulk, run->folder, STATE_FILE, path, error)) {
        return false;
    }
    if (!file_read_whole(run->arena, path, STATE_BYTES_MAX, &text, &none)) {
        return none.kind == ERROR_NOT_FOUND || FAIL(error, none.kind, "%.150s", none.text);
    }
    return json_read(run->arena, text, &run->state, error);
}

bool bulk_run_begin(struct bulk *bulk, struct arena *arena, const struct store_job *job, struct bulk_run *run,
                    struct error *error)
{
    struct json *input = NULL;
    *run = (struct bulk_run){ .bulk = bulk, .arena = arena, .id = job->id };
    if (!json_read(arena, job->input, &input, error)) {
        return false;
    }
    run->input = input;
    run->folder = JSON_TEXT(arena, input, "folder");
    const struct access_asker asker = { .person = JSON_TEXT(arena, input, "person"),
                                        .post = JSON_TEXT(arena, input, "post"),
                                        .app = JSON_TEXT(arena, input, "app"),
                                        .scopes = JSON_TEXT(arena, input, "scopes"),
                                        .patient = JSON_TEXT(arena, input, "patient") };
    return read_state(run, error) &&
           access_session_post(bulk->options.access, arena, &asker, &run->session, error);
}

bool bulk_run_save(struct bulk_run *run, const struct json *state, struct error *error)
{
    char path[BULK_PATH_BYTES];
    struct buf text = { .bytes_max = STATE_BYTES_MAX };
    json_write(&text, state);
    bool ok = !text.failed || FAIL(error, ERROR_TOO_LARGE, "the job has too many parts");
    ok = ok && bulk_path(run->bulk, run->folder, STATE_FILE, path, error) &&
         file_write_atomically(path, buf_str(&text), 0600, error);
    buf_deinit(&text);
    return ok;
}

static bool is_cancelled(const struct bulk *bulk, struct str folder)
{
    char path[BULK_PATH_BYTES];
    struct error ignored = { 0 };
    return bulk_path(bulk, folder, CANCELLED_FILE, path, &ignored) && access(path, F_OK) == 0;
}

bool bulk_run_is_wanted(struct bulk_run *run, struct error *error)
{
    if (atomic_load(&run->bulk->stopping)) {
        return FAIL(error, ERROR_BUSY, "goes on after the next start");
    }
    return !is_cancelled(run->bulk, run->folder) || FAIL(error, ERROR_RULE, "cancelled");
}

void bulk_stop(struct bulk *bulk)
{
    atomic_store(&bulk->stopping, true);
}

/* ---- asking ---- */

static bool kind_of(struct str name, enum bulk_kind *kind)
{
    static const char *const names[] = {
        [BULK_KIND_EXPORT] = BULK_EXPORT, [BULK_KIND_IMPORT] = BULK_IMPORT, [BULK_KIND_VIEWS] = BULK_VIEWS
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal_cstr(name, names[i])) {
            *kind = (enum bulk_kind)i;
            return true;
        }
    }
    return false;
}

struct found {
    enum bulk_kind kind;
    struct store_job job;
    const struct json *input;
    struct str folder;
};

/* A job is the post's that asked, and an app's only with the scopes that it was asked with: its files hold no less. */
static bool is_of(const struct access_session *session, struct arena *arena, const struct json *input)
{
    return str_equal(JSON_TEXT(arena, input, "person"), session->person) &&
           str_equal(JSON_TEXT(arena, input, "post"), session->post) &&
           str_equal(JSON_TEXT(arena, input, "app"), session->app) &&
           str_equal(JSON_TEXT(arena, input, "scopes"), session->scopes) &&
           str_equal(JSON_TEXT(arena, input, "patient"), session->patient);
}

/* The job when it is this post's and still there; else there is none. */
static bool find(struct bulk *bulk, const struct access_session *session, struct arena *arena, uint64_t id,
                 struct found *found, struct error *error)
{
    struct store_reader *reader = NULL;
    struct json *input = NULL;
    if (!store_reader_begin(bulk->options.store, &reader, error)) {
        return false;
    }
    struct error none = { 0 };
    bool there = store_job_get(reader, arena, id, &found->job, &none);
    store_reader_end(reader);
    there = there && kind_of(found->job.kind, &found->kind) &&
            json_read(arena, found->job.input, &input, &none) && is_of(session, arena, input);
    found->input = input;
    found->folder = there ? JSON_TEXT(arena, input, "folder") : STR_NONE;
    there = there && !is_cancelled(bulk, found->folder) && clock_now_ms() - found->job.created_ms < KEPT_MS;
    return there || FAIL(error, ERROR_NOT_FOUND, "there is no such job of yours, or its files were removed");
}

bool bulk_ask(struct bulk *bulk, const struct access_session *session, struct arena *arena, uint64_t id,
              struct bulk_status *status, struct error *error)
{
    struct found found = { 0 };
    struct json *result = NULL;
    if (!find(bulk, session, arena, id, &found, error)) {
        return false;
    }
    bool is_done = found.job.state == STORE_JOB_DONE;
    if (is_done && !json_read(arena, found.job.result, &result, error)) {
        return false;
    }
    *status =
        (struct bulk_status){ .kind = found.kind,
                              .input = found.input,
                              .state = found.job.state,
                              .progress = found.job.progress,
                              .reason = found.job.state == STORE_JOB_FAILED ? found.job.result : STR_NONE,
                              .result = result,
                              .ends_ms = found.job.created_ms + KEPT_MS };
    return true;
}

/* Names that jobs give: letters, digits, '-' and one dot before what it is. Nothing that leads elsewhere. */
static bool is_part_name(enum bulk_kind kind, struct str name, const char **type)
{
    struct str rest = name;
    struct str stem = STR_NONE;
    enum view_format format = VIEW_JSON;
    struct error none = { 0 };
    bool split = !str_equal(name, STR(BULK_INPUT_FILE)) && str_split_next(&rest, '.', &stem) && stem.len > 0;
    bool is_known = kind == BULK_KIND_VIEWS
                        ? view_format_of(rest, &format, &none) && !str_equal(name, STATE_FILE)
                        : str_equal(rest, STR("ndjson"));
    if (!split || !is_known) {
        return false;
    }
    *type = kind == BULK_KIND_VIEWS ? view_format_type(format) : "application/fhir+ndjson";
    for (size_t i = 0; i < stem.len; i++) {
        char c = stem.at[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        if (!fits) {
            return false;
        }
    }
    return true;
}

bool bulk_file_open(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                    struct bulk_file *file, struct error *error)
{
    struct found found = { 0 };
    struct stat about;
    char path[BULK_PATH_BYTES];
    if (!find(bulk, session, arena, file->id, &found, error)) {
        return false;
    }
    if (found.job.state != STORE_JOB_DONE || !is_part_name(found.kind, file->name, &file->type)) {
        return FAIL(error, ERROR_NOT_FOUND, "the job has no such file");
    }
    if (!bulk_path(bulk, found.folder, file->name, path, error)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return FAIL(error, ERROR_NOT_FOUND, "the job has no such file");
    }
    file->fd = fd;
    file->len = (uint64_t)about.st_size;
    return true;
}

/* ---- ending ---- */

/* Files first, the folder last: what a crash leaves is swept later. */
static void remove_folder(const struct bulk *bulk, struct str folder, bool keep_marker)
{
    char path[BULK_PATH_BYTES];
    struct error ignored = { 0 };
    if (!bulk_path(bulk, folder, STR_NONE, path, &ignored)) {
        return;
    }
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        bool keep = item->d_name[0] == '.' || (keep_marker && str_equal_cstr(CANCELLED_FILE, item->d_name));
        if (!keep) {
            (void)unlinkat(dirfd(dir), item->d_name, 0);
        }
    }
    (void)closedir(dir);
    (void)rmdir(path); /* stays while something is in it */
}

bool bulk_cancel(struct bulk *bulk, const struct access_session *session, struct arena *arena, uint64_t id,
                 struct error *error)
{
    struct found found = { 0 };
    char path[BULK_PATH_BYTES];
    if (!find(bulk, session, arena, id, &found, error) ||
        !bulk_path(bulk, found.folder, CANCELLED_FILE, path, error) ||
        !file_write_atomically(path, STR(""), 0600, error)) {
        return false;
    }
    remove_folder(bulk, found.folder, true);
    return true;
}

bool bulk_cancel_job(struct bulk *bulk, struct arena *arena, const struct store_job *job, struct error *error)
{
    struct json *input = NULL;
    char path[BULK_PATH_BYTES];
    if (!json_read(arena, job->input, &input, error)) {
        return false;
    }
    struct str folder = JSON_TEXT(arena, input, "folder");
    if (!bulk_path(bulk, folder, CANCELLED_FILE, path, error) ||
        !file_write_atomically(path, STR(""), 0600, error)) {
        return false;
    }
    remove_folder(bulk, folder, true);
    return true;
}

/* Folders by their age: a job's folder is made with it, so none that is still in force is older. */
static bool sweep(void *data, bool *again, struct error *error)
{
    struct bulk *bulk = data;
    *again = false;
    DIR *dir = opendir(bulk->options.folder);
    if (dir == NULL) {
        return FAIL(error, ERROR_INTERNAL, "the folder of exports cannot be read");
    }
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        struct stat about;
        if (item->d_name[0] != '.' && fstatat(dirfd(dir), item->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(about.st_mode) && clock_now_ms() - (int64_t)about.st_mtime * 1000 > KEPT_MS) {
            remove_folder(bulk, str_from_cstr(item->d_name), false);
        }
    }
    (void)closedir(dir);
    return true;
}

struct feed_chore bulk_chore(struct bulk *bulk)
{
    return (struct feed_chore){ .name = "exports", .data = bulk, .every_ms = SWEEP_EVERY_MS, .run = sweep };
}
