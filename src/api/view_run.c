/* $run of ViewDefinition (SQL on FHIR v2): the rows that a definition sent along, or one of the server's own by its name,
 * makes of the resources sent along, or of all resources of its type that the session may see; JSON, NDJSON or CSV.
 * Nothing is kept. In the pool. */
#include "api/call.h"
#include "api/handlers.h"
#include "api/operation.h"
#include "api/view_ask.h"
#include "base/limits.h"
#include "base/parse.h"
#include "store/body.h"
#include "view/view_set.h"
#include "view/view_text.h"

enum { PAGE_RESOURCES = 500, RESOURCES_MAX = 50000, ROWS_MAX = 100000, PATIENTS_BYTES_MAX = 64 * 1024 };

struct view_job {
    struct http_request *request;
    struct json *body;
    const struct view *view;
    enum view_format format;
    bool header;
    uint64_t limit;
    uint64_t rows;
    struct buf out;
};

/* ---- the request ---- */

static const struct json *parameter_resource(const struct json *body, const char *name)
{
    JSON_EACH(parameter, JSON_GET(body, "parameter")) {
        if (json_equals_text(JSON_GET(parameter, "name"), str_from_cstr(name))) {
            return JSON_GET(parameter, "resource");
        }
    }
    return NULL;
}

static bool is_known(struct str name)
{
    static const struct str names[] = { { "viewResource", 12 }, { "viewReference", 13 }, { "resource", 8 },
                                        { "_format", 7 },       { "header", 6 },         { "_limit", 6 },
                                        { "patient", 7 },       { "group", 5 },          { "_since", 6 } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (str_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool read_format(struct view_job *job, struct error *error)
{
    struct str format = operation_parameter(job->request, job->body, STR("_format"));
    struct str header = operation_parameter(job->request, job->body, STR("header"));
    struct str limit = operation_parameter(job->request, job->body, STR("_limit"));
    job->header = !str_equal(header, STR("false"));
    job->limit = ROWS_MAX;
    if (limit.at != NULL && !parse_uint64(limit, ROWS_MAX, &job->limit)) {
        return FAIL(error, ERROR_INPUT, "_limit is a whole number up to %d", ROWS_MAX);
    }
    return view_format_of(format, &job->format, error);
}

static bool check_name(struct str name, struct error *error)
{
    if (str_equal(name, STR("source"))) {
        return FAIL(error, ERROR_UNSUPPORTED, VIEW_ASK_NO_SOURCE);
    }
    return is_known(name) || FAIL(error, ERROR_UNSUPPORTED, "$run has no parameter '%.*s' here",
                                  STR_FMT(str_slice(name, 0, 40)));
}

static bool check_names(struct view_job *job, struct error *error)
{
    const struct http_request *request = job->request;
    for (size_t i = 0; i < request->pairs_count; i++) {
        if (!str_equal(request->pairs[i].name, STR("_pretty")) &&
            !check_name(request->pairs[i].name, error)) {
            return false;
        }
    }
    JSON_EACH(parameter, JSON_GET(job->body, "parameter")) {
        if (!check_name(JSON_TEXT(&job->request->arena, parameter, "name"), error)) {
            return false;
        }
    }
    return true;
}

/* One of the server's own, by the id in the address or by viewReference ("ViewDefinition/patient"); or what was sent. */
static bool read_view(struct view_job *job, struct error *error)
{
    struct http_request *request = job->request;
    struct str name = http_parameter(request, STR("id"));
    struct str reference = operation_parameter(request, job->body, STR("viewReference"));
    const struct json *definition = parameter_resource(job->body, "viewResource");
    struct view *view = NULL;
    if (!check_names(job, error)) {
        return false;
    }
    if ((name.at != NULL) + (reference.at != NULL) + (definition != NULL) != 1) {
        return FAIL(error, ERROR_INPUT,
                    "$run wants one view: viewResource, viewReference or an id in the address");
    }
    if (definition != NULL) {
        bool ok = view_compile(&request->arena, definition, &view, error);
        job->view = view;
        return ok;
    }
    if (name.at == NULL) {
        name = view_ask_name(request, reference);
    }
    job->view = view_set_find(api_of(request)->views, name);
    return job->view != NULL || FAIL(error, ERROR_NOT_FOUND, "there is no ViewDefinition of that name here");
}

/* ---- whose ---- */

/* The ids with commas between, as a search wants them; absent when none is named. */
static bool read_patients(struct view_job *job, struct str *patients, struct error *error)
{
    struct buf list = { .bytes_max = PATIENTS_BYTES_MAX };
    struct json *ids = NULL;
    if (!view_ask_patients(job->request, job->body, &ids, error)) {
        return false;
    }
    JSON_EACH(id, ids) {
        buf_add(&list, list.len > 0 ? STR(",") : STR(""));
        buf_add(&list, json_text(&job->request->arena, id));
    }
    bool ok = !list.failed || FAIL(error, ERROR_TOO_COSTLY, "too many patients for one $run");
    *patients = ok && list.len > 0 ? arena_dup(&job->request->arena, buf_str(&list)) : STR_NONE;
    buf_deinit(&list);
    return ok;
}

/* ---- rows ---- */

static bool add_rows(struct view_job *job, struct arena *arena, const struct json *resource,
                     struct error *error)
{
    struct view_rows rows = { 0 };
    const struct view_input input = { .resource = resource,
                                      .offset_minutes = api_of(job->request)->offset_minutes };
    if (!view_evaluate(job->view, arena, &input, &rows, error)) {
        return false;
    }
    for (const struct view_row *row = rows.first; row != NULL && job->rows < job->limit; row = row->next) {
        if (!view_text_row(job->view, job->format, arena, row, job->rows++, &job->out)) {
            return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
        }
    }
    return !job->out.failed ||
           FAIL(error, ERROR_TOO_LARGE, "the rows are too many for one answer: set _limit");
}

/* Whether resources came along; then the store is not looked at. */
static bool rows_of_sent(struct view_job *job, bool *any, struct error *error)
{
    JSON_EACH(parameter, JSON_GET(job->body, "parameter")) {
        const struct json *resource = JSON_GET(parameter, "resource");
        if (resource == NULL || !json_equals_text(JSON_GET(parameter, "name"), STR("resource"))) {
            continue;
        }
        *any = true;
        if (!add_rows(job, &job->request->arena, resource, error)) {
            return false;
        }
    }
    return true;
}

static bool rows_of_page(struct view_job *job, const struct store_hits *hits, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_BUNDLE_BYTES };
    bool ok = true;
    for (size_t i = 0; ok && i < hits->matches_count && job->rows < job->limit; i++) {
        struct str text = STR_NONE;
        struct json *resource = NULL;
        ok = store_body_text(&arena, &hits->hits[i].version, &text, error) &&
             json_read(&arena, text, &resource, error) && add_rows(job, &arena, resource, error);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    return ok;
}

static bool rows_of_store(struct view_job *job, struct error *error)
{
    struct http_request *request = job->request;
    struct search_pair pairs[2];
    struct operation_search search = { .request = request,
                                       .options = { .type = view_resource(job->view) },
                                       .pairs = pairs,
                                       .count = PAGE_RESOURCES };
    struct str patients = STR_NONE;
    struct str since = operation_parameter(request, job->body, STR("_since"));
    size_t resources = 0;
    if (!read_patients(job, &patients, error)) {
        return false;
    }
    if (patients.at != NULL) {
        bool own = str_equal(view_resource(job->view), STR("Patient"));
        pairs[search.pairs_count++] = (struct search_pair){ own ? STR("_id") : STR("patient"), patients };
    }
    if (since.len > 0) {
        pairs[search.pairs_count++] =
            (struct search_pair){ STR("_lastUpdated"),
                                  arena_printf(&request->arena, "ge%.*s", STR_FMT(since)) };
    }
    if (access_masks_type(&call_of(request)->session, view_resource(job->view))) {
        return FAIL(error, ERROR_FORBIDDEN, "a view would reveal what is masked for this role");
    }
    do {
        search.hits = (struct store_hits){ 0 };
        if (!operation_search(&search, error) || !rows_of_page(job, &search.hits, error)) {
            return false;
        }
        resources += search.hits.matches_count;
        search.cursor = search.hits.next_cursor;
    } while (search.cursor.at != NULL && job->rows < job->limit && resources < RESOURCES_MAX);
    bool whole = search.cursor.at == NULL || job->rows >= job->limit;
    return whole || FAIL(error, ERROR_TOO_COSTLY, "more than %d resources: ask for less by patient or _since",
                         RESOURCES_MAX);
}

/* ---- the answer ---- */

static bool respond(struct view_job *job, struct error *error)
{
    struct str text = job->out.failed ? STR_NONE : arena_dup(&job->request->arena, buf_str(&job->out));
    if (text.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "the rows are too many for one answer: set _limit");
    }
    http_respond(job->request, 200, str_from_cstr(view_format_type(job->format)), text);
    return true;
}

enum http_verdict view_run(struct http_request *request)
{
    struct error error = { 0 };
    struct view_job job = { .request = request, .out = { .bytes_max = LIMIT_BUNDLE_BYTES } };
    bool sent = false;
    bool ok =
        operation_body(request, &job.body, &error) && read_view(&job, &error) && read_format(&job, &error);
    if (ok) {
        view_text_begin(job.view, job.format, job.header, &job.out);
    }
    ok = ok && rows_of_sent(&job, &sent, &error) && (sent || rows_of_store(&job, &error));
    view_text_end(job.format, &job.out);
    if (ok && !sent) {
        const struct api_read read = { .act = { .interaction = ACCESS_SEARCH,
                                                .type = view_resource(job.view) },
                                       .type = view_resource(job.view) };
        ok = api_audit_read(request, &call_of(request)->session, &read, &error);
    }
    ok = ok && respond(&job, &error);
    buf_deinit(&job.out);
    return ok ? HTTP_DONE : api_fail(request, &error);
}
