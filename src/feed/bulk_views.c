/* bulk_views.c — $viewdefinition-export: the rows of views over all resources that the post may search, file by file, as
 * bulk_export.c does with the resources themselves: pages by key, each on a snapshot of its own; after each file it is
 * written down where the next one begins, so that a crash costs one file's work. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "feed/bulk_internal.h"
#include "fhir/search_query.h"
#include "store/body.h"
#include "store/search.h"
#include "view/view_text.h"

enum {
    FILE_RESOURCES = 100000,
    PAGE_RESOURCES = 500,
    PAGE_BYTES_MAX = 256 * 1024 * 1024,
    TEXT_BYTES_MAX = 64 * 1024 * 1024,
    VIEWS_MAX = 20,
    PATIENTS_TOGETHER = 100 /* in one search; a record of patients of two such slices comes twice */
};

/* ---- the request ---- */

/* The search of one slice of the patients; `slice` is 0 where none are named. */
struct slice {
    const struct json *input;
    struct str type;
    size_t slice;
};

static bool parse_query(struct arena *arena, const struct slice *slice, int offset_minutes,
                        struct search_query *query, struct error *error)
{
    const struct json *input = slice->input;
    struct str type = slice->type;
    const struct search_options options = { .type = type, .offset_minutes = offset_minutes };
    struct str since = JSON_TEXT(arena, input, "since");
    struct buf text = { .bytes_max = LIMIT_URL_BYTES };
    bool of_patient = str_equal(type, STR("Patient"));
    const char *separator = of_patient ? "&_id=" : "&patient=Patient/";
    buf_printf(&text, "_sort=_id&_count=%d&_lastUpdated=lt%.*s", PAGE_RESOURCES,
               STR_FMT(JSON_TEXT(arena, input, "time")));
    buf_printf(&text, "%s%.*s", since.len > 0 ? "&_lastUpdated=ge" : "", STR_FMT(since));
    size_t at = 0;
    JSON_EACH(patient, JSON_GET(slice->input, "patients")) {
        if (at++ / PATIENTS_TOGETHER == slice->slice) {
            buf_printf(&text, "%s%.*s", separator, STR_FMT(json_text(arena, patient)));
            separator = of_patient ? "," : ",Patient/";
        }
    }
    struct str kept = text.failed ? STR_NONE : arena_dup(arena, buf_str(&text));
    buf_deinit(&text);
    return (kept.at != NULL || FAIL(error, ERROR_TOO_LARGE, "too many patients for one export")) &&
           search_query_parse_text(arena, &options, kept, query, error);
}

/* Whether the post may have the view's rows: it may search the type, and nothing of it is masked for it. */
static bool check_view(const struct bulk *bulk, const struct access_session *session, struct arena *arena,
                       const struct json *input, const struct json *item, struct view **view,
                       struct error *error)
{
    struct search_query query = { 0 };
    if (!view_compile(arena, JSON_GET(item, "resource"), view, error)) {
        return false;
    }
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = view_resource(*view) };
    if (access_masks_type(session, act.type)) {
        return FAIL(error, ERROR_FORBIDDEN, "a view would reveal what is masked for this role");
    }
    return access_check(session, act, error) &&
           parse_query(arena, &(struct slice){ .input = input, .type = act.type },
                       bulk->options.offset_minutes, &query, error) &&
           access_query_allowed(session, &query, error);
}

static bool read_since(const struct bulk *bulk, struct arena *arena, const struct bulk_views *request,
                       struct json *input, struct error *error)
{
    char text[INSTANT_BYTES];
    struct date_span since;
    (void)instant_format(clock_now_ms(), 0, text);
    (void)json_add_text(arena, input, STR("time"), arena_dup(arena, str_from_cstr(text)));
    if (request->since.at == NULL) {
        return true;
    }
    if (!date_parse(request->since, bulk->options.offset_minutes, &since, error)) {
        return FAIL(error, ERROR_INPUT, "_since is not an instant");
    }
    (void)instant_format(since.from_ms, 0, text);
    (void)json_add_text(arena, input, STR("since"), arena_dup(arena, str_from_cstr(text)));
    return true;
}

bool bulk_views_begin(struct bulk *bulk, const struct access_session *session, struct arena *arena,
                      const struct bulk_views *request, uint64_t *id, struct error *error)
{
    char folder[UUID_TEXT_BYTES];
    enum view_format format = VIEW_JSON;
    struct json *input = json_new(arena, JSON_OBJECT);
    if (request->views->count == 0 || request->views->count > VIEWS_MAX) {
        return FAIL(error, ERROR_INPUT, "an export wants 1 to %d views", VIEWS_MAX);
    }
    if (!view_format_of(request->format, &format, error) || !read_since(bulk, arena, request, input, error)) {
        return false;
    }
    (void)json_add_text(arena, input, STR("url"), request->url);
    (void)json_add_text(arena, input, STR("format"), str_from_cstr(view_format_suffix(format)));
    (void)json_add(input, STR("header"), json_new_bool(arena, request->header));
    (void)json_add_text(arena, input, STR("tracking"), request->tracking);
    (void)json_add(input, STR("views"), json_copy(arena, request->views, false));
    (void)json_add(input, STR("patients"),
                   request->patients == NULL ? json_new(arena, JSON_ARRAY)
                                             : json_copy(arena, request->patients, false));
    JSON_EACH(item, request->views) {
        struct view *view = NULL;
        if (!check_view(bulk, session, arena, input, item, &view, error)) {
            return false;
        }
    }
    if (!bulk_folder_make(bulk, folder, error)) {
        return false;
    }
    (void)json_add_text(arena, input, STR("folder"), arena_dup(arena, str_from_cstr(folder)));
    return bulk_queue(bulk, session, arena, BULK_VIEWS, input, id, error);
}

/* ---- one file ---- */

struct walk {
    struct bulk_run *run;
    const struct json *views;
    struct view *view; /* the present one */
    struct json *files;
    size_t at;    /* index in views */
    size_t slice; /* of the patients */
    struct str cursor;
    enum view_format format;
    bool header;
    FILE *out;
    char part[BULK_PATH_BYTES];
    uint64_t resources; /* in the file */
    uint64_t rows;
};

static struct str part_name(const struct walk *walk, struct arena *arena)
{
    return arena_printf(arena, "view-%zu-%u.%s", walk->at + 1, walk->files->count + 1,
                        view_format_suffix(walk->format));
}

static bool write_text(struct walk *walk, struct buf *text, struct error *error)
{
    bool ok = !text->failed && fwrite(text->at, 1, text->len, walk->out) == text->len;
    buf_clear(text);
    return ok || FAIL(error, ERROR_FULL, "a file of the export cannot be written: is the disk full?");
}

static bool part_open(struct walk *walk, struct error *error)
{
    struct arena *arena = walk->run->arena;
    struct buf text = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct str name = arena_printf(arena, "%.*s.part", STR_FMT(part_name(walk, arena)));
    walk->resources = 0;
    walk->rows = 0;
    if (!bulk_path(walk->run->bulk, walk->run->folder, name, walk->part, error)) {
        return false;
    }
    walk->out = fopen(walk->part, "we");
    if (walk->out == NULL) {
        return FAIL(error, ERROR_FULL, "a file of the export cannot be written");
    }
    view_text_begin(walk->view, walk->format, walk->header, &text);
    bool ok = text.len == 0 || write_text(walk, &text, error);
    buf_deinit(&text);
    return ok;
}

static bool part_end(struct walk *walk, struct error *error)
{
    struct buf text = { .bytes_max = LIMIT_RESOURCE_BYTES };
    view_text_end(walk->format, &text);
    bool ok = text.len == 0 || write_text(walk, &text, error);
    buf_deinit(&text);
    bool synced = fflush(walk->out) == 0 && fsync(fileno(walk->out)) == 0;
    synced = fclose(walk->out) == 0 && synced;
    walk->out = NULL;
    return ok &&
           (synced || FAIL(error, ERROR_FULL, "a file of the export cannot be written: is the disk full?"));
}

/* The file under its own name and on disk. A view without rows has one file too. */
static bool part_close(struct walk *walk, struct error *error)
{
    struct bulk_run *run = walk->run;
    char path[BULK_PATH_BYTES];
    struct str name = part_name(walk, run->arena);
    if (!part_end(walk, error) || !bulk_path(run->bulk, run->folder, name, path, error)) {
        return false;
    }
    if (rename(walk->part, path) != 0) {
        return FAIL(error, ERROR_INTERNAL, "a file of the export cannot be named");
    }
    struct json *file = json_append(walk->files, json_new(run->arena, JSON_OBJECT));
    (void)json_add(file, STR("view"), json_new_integer(run->arena, (int64_t)walk->at));
    (void)json_add_text(run->arena, file, STR("name"), name);
    (void)json_add(file, STR("count"), json_new_integer(run->arena, (int64_t)walk->rows));
    return true;
}

static bool save(struct walk *walk, struct error *error)
{
    struct arena *arena = walk->run->arena;
    struct json *state = json_new(arena, JSON_OBJECT);
    (void)json_add(state, STR("view"), json_new_integer(arena, (int64_t)walk->at));
    (void)json_add(state, STR("slice"), json_new_integer(arena, (int64_t)walk->slice));
    (void)json_add_text(arena, state, STR("cursor"), walk->cursor);
    if (json_add(state, STR("files"), json_copy(arena, walk->files, false)) == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "the export has too many files");
    }
    return bulk_run_save(walk->run, state, error);
}

/* ---- pages ---- */

static bool write_rows(struct walk *walk, struct arena *arena, const struct store_version *version,
                       struct buf *text, struct error *error)
{
    struct str whole = STR_NONE;
    struct json *resource = NULL;
    struct view_rows rows = { 0 };
    struct view_input input = { .offset_minutes = walk->run->bulk->options.offset_minutes };
    if (!store_body_text(arena, version, &whole, error) || !json_read(arena, whole, &resource, error)) {
        return false;
    }
    input.resource = resource;
    if (!view_evaluate(walk->view, arena, &input, &rows, error)) {
        return false;
    }
    for (const struct view_row *row = rows.first; row != NULL; row = row->next) {
        if (!view_text_row(walk->view, walk->format, arena, row, walk->rows++, text)) {
            return FAIL(error, ERROR_TOO_LARGE, "the rows of one resource are too many");
        }
    }
    walk->resources++;
    return text->len == 0 || write_text(walk, text, error);
}

static bool write_hits(struct walk *walk, const struct store_hits *hits, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    struct buf text = { .bytes_max = TEXT_BYTES_MAX };
    bool ok = true;
    for (size_t i = 0; ok && i < hits->matches_count; i++) {
        ok = write_rows(walk, &arena, &hits->hits[i].version, &text, error);
        arena_reset(&arena);
    }
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok;
}

static bool write_page(struct walk *walk, bool *more, struct error *error)
{
    struct bulk_run *run = walk->run;
    struct arena arena = { .bytes_max = PAGE_BYTES_MAX };
    struct store_reader *reader = NULL;
    struct store_hits hits = { 0 };
    struct search_query query = { 0 };
    const struct access_act act = { .interaction = ACCESS_SEARCH, .type = view_resource(walk->view) };
    struct store_search search = { .query = &query, .cursor = walk->cursor, .now_ms = clock_now_ms() };
    const struct slice slice = { .input = run->input, .type = act.type, .slice = walk->slice };
    bool ok = parse_query(&arena, &slice, run->bulk->options.offset_minutes, &query, error) &&
              access_filter(&run->session, act, &arena, &search.filter, error) &&
              store_reader_begin(run->bulk->options.store, &reader, error);
    if (ok) {
        ok = store_search(reader, &arena, &search, &hits, error);
        store_reader_end(reader);
    }
    ok = ok && write_hits(walk, &hits, error);
    const struct json *patients = JSON_GET(run->input, "patients");
    walk->cursor = ok && hits.next_cursor.at != NULL ? arena_dup(run->arena, hits.next_cursor) : STR_NONE;
    walk->slice += walk->cursor.at == NULL;
    *more = ok && (walk->cursor.at != NULL ||
                   (patients != NULL && walk->slice * PATIENTS_TOGETHER < patients->count));
    arena_deinit(&arena);
    return ok;
}

static bool write_view(struct walk *walk, struct error *error)
{
    bool more = true;
    while (more) {
        if (!bulk_run_is_wanted(walk->run, error) || !write_page(walk, &more, error)) {
            return false;
        }
        if (more && walk->resources >= FILE_RESOURCES &&
            (!part_close(walk, error) || !save(walk, error) || !part_open(walk, error))) {
            return false;
        }
    }
    return part_close(walk, error);
}

static bool write_views(struct walk *walk, struct error *error)
{
    struct bulk_run *run = walk->run;
    while (walk->at < walk->views->count) {
        const struct json *item = json_at(walk->views, walk->at);
        bool ok = check_view(run->bulk, &run->session, run->arena, run->input, item, &walk->view, error) &&
                  part_open(walk, error) && write_view(walk, error);
        if (walk->out != NULL) {
            (void)fclose(walk->out);
            walk->out = NULL;
        }
        walk->at += ok;
        walk->slice = ok ? 0 : walk->slice;
        if (!ok || !save(walk, error) ||
            !store_job_progress(run->bulk->options.store, run->id,
                                (unsigned)(1000 * walk->at / walk->views->count), error)) {
            return false;
        }
    }
    return true;
}

/* ---- the job ---- */

bool bulk_views_run(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                    struct error *error)
{
    struct bulk_run run;
    char end[INSTANT_BYTES];
    struct json *object = json_new(arena, JSON_OBJECT);
    struct walk walk = { .run = &run };
    if (!bulk_run_begin(data, arena, job, &run, error) ||
        !view_format_of(JSON_TEXT(arena, run.input, "format"), &walk.format, error)) {
        return false;
    }
    struct str cursor = JSON_TEXT(arena, run.state, "cursor");
    const struct json *files = JSON_GET(run.state, "files");
    walk.views = JSON_GET(run.input, "views");
    walk.header = json_is_true(JSON_GET(run.input, "header"));
    walk.files = files == NULL ? json_new(arena, JSON_ARRAY) : json_copy(arena, files, false);
    walk.at = (size_t)bulk_number(run.state, STR("view"));
    walk.slice = (size_t)bulk_number(run.state, STR("slice"));
    walk.cursor = cursor.len > 0 ? cursor : STR_NONE;
    if (!write_views(&walk, error)) {
        return false;
    }
    (void)instant_format(clock_now_ms(), 0, end);
    (void)json_add_text(arena, object, STR("start"), JSON_TEXT(arena, run.input, "time"));
    (void)json_add_text(arena, object, STR("end"), arena_dup(arena, str_from_cstr(end)));
    (void)json_add(object, STR("files"), json_copy(arena, walk.files, false));
    *result = json_write_arena(arena, object);
    return result->at != NULL || FAIL(error, ERROR_TOO_LARGE, "the export has too many files");
}
