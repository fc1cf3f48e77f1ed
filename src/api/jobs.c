/* /admin/jobs: what the program does in the background, for the administrator (right "jobs"): kind, state, how far, how often
 * tried, why it failed. Never what a job is about by name, only the type of it; jobs of another hospital's people and
 * records are not there. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/parse.h"
#include "feed/bulk.h"
#include "fhir/outcome_words.h"
#include "store/jobs.h"
#include "view/view_set.h"

enum { LIST_MAX = 200 };

static const char *const state_codes[] = { "", "queued", "running", "done", "failed" };

/* Kinds that can be begun anew after they failed; a measurement's failure is a state of its own record. */
static bool is_repeatable(struct str kind)
{
    return str_equal(kind, STR("export")) || str_equal(kind, STR("import")) ||
           str_equal(kind, STR("view-export")) || str_equal(kind, STR("reindex")) ||
           str_equal(kind, STR("erase"));
}

static bool is_bulk(struct str kind)
{
    return is_repeatable(kind) && !str_equal(kind, STR("reindex")) && !str_equal(kind, STR("erase"));
}

/* ---- whose a job is ---- */

static bool is_own_key(const struct access_session *session, uint64_t custodian)
{
    size_t count = 0;
    const struct str *organizations = access_organizations(session, &count);
    for (size_t i = 0; i < count; i++) {
        if (hash_resource_key(STR("Organization"), organizations[i]) == custodian) {
            return true;
        }
    }
    return false;
}

/* A record's by its custodian, a person's by the post that asked, else the program's own. */
static bool is_visible(struct http_request *request, struct store_reader *reader, const struct store_job *job)
{
    const struct access_session *session = &call_of(request)->session;
    struct store_version version = { 0 };
    struct error ignored = { 0 };
    struct json *input = NULL;
    struct str id = job->subject;
    struct str type = STR_NONE;
    if (job->subject.at != NULL) {
        return str_split_next(&id, '/', &type) &&
               store_read(reader, &request->arena, type, id, &version, &ignored) &&
               is_own_key(session, version.custodian);
    }
    if (!is_bulk(job->kind) && !str_equal(job->kind, STR("erase"))) {
        return true;
    }
    struct str post = json_read(&request->arena, job->input, &input, &ignored)
                          ? JSON_TEXT(&request->arena, input, "post")
                          : STR_NONE;
    return post.at != NULL &&
           store_read(reader, &request->arena, STR("PractitionerRole"), post, &version, &ignored) &&
           is_own_key(session, version.custodian);
}

/* ---- the list ---- */

static void add_time(struct arena *arena, struct json *item, struct str name, int64_t time_ms,
                     int offset_minutes)
{
    char text[INSTANT_BYTES];
    (void)instant_format(time_ms, offset_minutes, text);
    (void)json_add_text(arena, item, name, arena_dup(arena, str_from_cstr(text)));
}

/* Jobs keep the English sentence; the person reads his own language. "cancelled" is a word of ours, as it stands. */
static struct str reason_of(struct http_request *request, const struct store_job *job)
{
    bool as_it_is = api_language(request) == OUTCOME_ENGLISH || str_equal(job->result, STR("cancelled"));
    return as_it_is ? job->result : outcome_words_of(&request->arena, ERROR_INTERNAL, job->result).chinese;
}

static void add_job(struct http_request *request, struct json *list, const struct store_job *job)
{
    struct arena *arena = &request->arena;
    struct json *item = json_append(list, json_new(arena, JSON_OBJECT));
    struct json *actions = json_new(arena, JSON_ARRAY);
    bool waits = job->state == STORE_JOB_QUEUED;
    int offset = api_of(request)->offset_minutes;
    (void)json_add_text(arena, item, STR("id"), arena_printf(arena, "%llu", (unsigned long long)job->id));
    (void)json_add_text(arena, item, STR("kind"), job->kind);
    (void)json_add_text(arena, item, STR("about"),
                        str_slice(job->subject, 0, str_find_char(job->subject, '/')));
    (void)json_add_text(arena, item, STR("state"), str_from_cstr(state_codes[job->state]));
    (void)json_add(item, STR("perMille"), json_new_integer(arena, job->progress));
    (void)json_add(item, STR("attempts"), json_new_integer(arena, job->attempts));
    add_time(arena, item, STR("created"), job->created_ms, offset);
    add_time(arena, item, STR("updated"), job->updated_ms, offset);
    if (waits) {
        add_time(arena, item, STR("next"), job->run_after_ms, offset);
    }
    if (job->state == STORE_JOB_FAILED || (waits && job->result.at != NULL)) {
        (void)json_add_text(arena, item, STR("error"), reason_of(request, job));
    }
    if (job->state == STORE_JOB_FAILED && is_repeatable(job->kind) &&
        !str_equal(job->result, STR("cancelled"))) {
        (void)json_append(actions, json_new_string(arena, STR("retry")));
    }
    if (is_bulk(job->kind) && (waits || job->state == STORE_JOB_RUNNING)) {
        (void)json_append(actions, json_new_string(arena, STR("cancel")));
    }
    (void)json_add(item, STR("actions"), actions);
}

/* Views that were added later and have not yet met all of the feed. */
static void add_fills(struct http_request *request, struct json *answer)
{
    struct arena *arena = &request->arena;
    struct json *list = json_add(answer, STR("fills"), json_new(arena, JSON_ARRAY));
    struct str name = STR_NONE;
    unsigned per_mille = 0;
    for (size_t i = 0; view_set_progress(api_of(request)->views, i, &name, &per_mille); i++) {
        if (per_mille < 1000) {
            struct json *item = json_append(list, json_new(arena, JSON_OBJECT));
            (void)json_add_text(arena, item, STR("view"), name);
            (void)json_add(item, STR("perMille"), json_new_integer(arena, per_mille));
        }
    }
}

static bool read_query(struct http_request *request, struct store_jobs_query *query, struct error *error)
{
    struct str state = http_query_value(request, STR("state"));
    struct str before = http_query_value(request, STR("before"));
    *query = (struct store_jobs_query){ .count = LIST_MAX };
    for (int i = STORE_JOB_QUEUED; i <= STORE_JOB_FAILED; i++) {
        query->state = str_equal_cstr(state, state_codes[i]) ? (enum store_job_state)i : query->state;
    }
    if (state.at != NULL && query->state == 0) {
        return FAIL(error, ERROR_INPUT, "state is queued, running, done or failed");
    }
    return before.at == NULL || parse_uint64(before, INT64_MAX, &query->before_id) ||
           FAIL(error, ERROR_INPUT, "before is the number of a job");
}

enum http_verdict jobs_list(struct http_request *request)
{
    struct error error = { 0 };
    struct store_reader *reader = NULL;
    struct store_jobs_query query;
    struct store_job *jobs = NULL;
    size_t count = 0;
    struct json *answer = json_new(&request->arena, JSON_OBJECT);
    struct json *list = json_add(answer, STR("jobs"), json_new(&request->arena, JSON_ARRAY));
    if (!read_query(request, &query, &error) ||
        !store_reader_begin(api_of(request)->store, &reader, &error)) {
        return api_fail(request, &error);
    }
    bool ok = store_job_list(reader, &request->arena, &query, &jobs, &count, &error);
    for (size_t i = 0; ok && i < count; i++) {
        if (is_visible(request, reader, &jobs[i])) {
            add_job(request, list, &jobs[i]);
        }
    }
    store_reader_end(reader);
    if (!ok) {
        return api_fail(request, &error);
    }
    if (count == LIST_MAX) {
        (void)json_add_text(&request->arena, answer, STR("before"),
                            arena_printf(&request->arena, "%llu", (unsigned long long)jobs[count - 1].id));
    }
    (void)json_add(answer, STR("keptDays"),
                   json_new_integer(&request->arena, api_of(request)->jobs_kept_days));
    add_fills(request, answer);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}

/* ---- an administrator's word ---- */

static bool read_job(struct http_request *request, struct store_job *job, struct error *error)
{
    struct store_reader *reader = NULL;
    struct error none = { 0 };
    uint64_t id = 0;
    if (!store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    bool there = parse_uint64(http_parameter(request, STR("job")), INT64_MAX, &id) &&
                 store_job_get(reader, &request->arena, id, job, &none) && is_visible(request, reader, job);
    store_reader_end(reader);
    return there || FAIL(error, ERROR_NOT_FOUND, "there is no such job");
}

static bool cancel(struct http_request *request, const struct store_job *job, struct error *error)
{
    struct api *api = api_of(request);
    bool goes_on = job->state == STORE_JOB_QUEUED || job->state == STORE_JOB_RUNNING;
    if (!goes_on || !is_bulk(job->kind)) {
        return FAIL(error, ERROR_CONFLICT, "this job cannot be cancelled");
    }
    return bulk_cancel_job(api->bulk, &request->arena, job, error) &&
           (job->state == STORE_JOB_RUNNING ||
            store_job_cancel(api->store, job->id, STR("cancelled"), error));
}

static bool retry(struct http_request *request, const struct store_job *job, struct error *error)
{
    if (!is_repeatable(job->kind) || str_equal(job->result, STR("cancelled"))) {
        return FAIL(error, ERROR_CONFLICT, "this job cannot be tried again");
    }
    return store_job_retry(api_of(request)->store, job->id, error);
}

enum http_verdict jobs_act(struct http_request *request)
{
    struct error error = { 0 };
    struct store_job job = { 0 };
    struct str action = http_parameter(request, STR("action"));
    bool again = str_equal(action, STR("retry"));
    const struct api_read read = { .act = { .interaction = ACCESS_OPERATION,
                                            .operation = again ? STR("job-retry") : STR("job-cancel") } };
    if (!again && !str_equal(action, STR("cancel"))) {
        (void)FAIL(&error, ERROR_NOT_FOUND, "a job is cancelled or tried again, nothing else");
        return api_fail(request, &error);
    }
    if (!read_job(request, &job, &error) ||
        !api_audit_read(request, &call_of(request)->session, &read, &error) ||
        !(again ? retry(request, &job, &error) : cancel(request, &job, &error))) {
        return api_fail(request, &error);
    }
    http_respond(request, 204, STR_NONE, STR(""));
    return HTTP_DONE;
}
