#include "cli/server.h"

#include <stdio.h>

#include "access/access_open.h"
#include "access/audit.h"
#include "access/store_side.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "change/change.h"
#include "cli/definitions.h"
#include "dicom/worker.h"
#include "feed/bulk.h"
#include "feed/erasure.h"
#include "feed/subscription.h"
#include "fhir/index.h"
#include "fhir/terminology.h"
#include "fhir/validation.h"
#include "http/outgoing.h"
#include "imaging/imaging.h"
#include "store/rows.h"
#include "store/search.h"
#include "store/upkeep.h"
#include "view/view_set.h"

enum {
    SWEEP_EVERY_MS = 60 * 1000,
    TRAIN_EVERY_MS = 10 * 60 * 1000,
    SWEEP_AFTER_MS = 24 * 3600 * 1000, /* page links live no longer */
    SERVER_ARENA_BYTES = 256 * 1024 * 1024,
    ACCESS_TICK_MS = 60 * 1000,
    FILL_EVERY_MS = 60 * 1000,
    TIMERS_EVERY_MS = 10 * 1000,
    PRUNE_EVERY_MS = 60 * 60 * 1000,
    REST_EVERY_MS = 10 * 1000,
    MARK_EVERY_MS = 5 * 1000
};

static const int64_t SWEEP_LATEST_MS = (int64_t)30 * 24 * 3600 * 1000;

static const char *path_in(struct server *server, const char *name)
{
    return arena_printf(&server->arena, "%s/%s", server->options.data_folder, name).at;
}

/* store_options.index_rows */
static bool index_rows(void *data, struct arena *arena, struct str type, struct str resource,
                       struct index_rows *rows, struct error *error)
{
    struct server *server = data;
    struct json *tree = NULL;
    (void)type;
    return json_read(arena, resource, &tree, error) &&
           fhir_index_rows(server->index, arena, tree, rows, error);
}

static bool open_store(struct server *server, struct error *error)
{
    const struct audit_options audit = { .folder = server->options.data_folder };
    const struct fhir_index_options index = { .base_url = str_from_cstr(server->options.base_url),
                                              .offset_minutes = server->options.offset_minutes };
    const struct store_table **list =
        ARENA_ARRAY(&server->arena, const struct store_table *, 3 + SUBSCRIPTION_TABLES + ERASURE_TABLES);
    if (list == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    list[0] = access_rows_table();
    list[1] = imaging_held_table();
    list[2] = imaging_part_table();
    subscription_tables(&list[3]);
    erasure_tables(&list[3 + SUBSCRIPTION_TABLES]);
    if (!audit_open(&server->arena, &audit, &server->audit, error) ||
        !fhir_index_create(&index, &server->index, error)) {
        return false;
    }
    struct store_audit_sink *sink = ARENA_NEW(&server->arena, struct store_audit_sink);
    if (sink == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    *sink = access_audit_sink(server->audit);
    const struct store_options options = { .folder = server->options.data_folder,
                                           .database = server->options.store,
                                           .lost = server->options.lost,
                                           .lost_data = server->options.lost_data,
                                           .tables = list,
                                           .tables_count = 3 + SUBSCRIPTION_TABLES + ERASURE_TABLES,
                                           .audit = sink,
                                           .accept_lost = server->options.accept_lost,
                                           .index_rows = index_rows,
                                           .index_rows_data = server };
    bool needed = false; /* asked here so that a new store learns by what it is indexed */
    return store_open(&options, &server->store, error) &&
           store_reindex_needed(server->store, fhir_index_digest(server->index), &needed, error);
}

static bool fetch_key_set(void *context, struct arena *arena, struct str url, size_t bytes_max,
                          struct str *text, struct error *error)
{
    const struct server *server = context;
    return outgoing_fetch(arena, url, bytes_max, server->options.key_sets_private, text, error);
}

static bool open_access(struct server *server, struct error *error)
{
    struct definition_file *files = NULL;
    size_t count = 0;
    if (!definitions_list(&server->arena, server->options.definitions_folder, "policies", &files, &count,
                          error)) {
        return false;
    }
    struct access_policy_file *policies = ARENA_ARRAY(&server->arena, struct access_policy_file, count + 1);
    if (policies == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    for (size_t i = 0; i < count; i++) {
        policies[i] =
            (struct access_policy_file){ .name = str_from_cstr(files[i].name), .text = files[i].text };
    }
    const struct access_options options = { .policies = policies,
                                            .policies_count = count,
                                            .rows = access_rows_of_store(server->store),
                                            .directory = access_directory_of_store(server->store),
                                            .key_sets = { server, fetch_key_set } };
    const struct signing_options signing = { .folder = path_in(server, "keys") };
    if (!access_open(&options, &server->access, error) || !signing_open(&signing, &server->keys, error)) {
        return false;
    }
    server->signer = signing_signer(server->keys);
    return true;
}

static void log_finding(void *data, const char *text)
{
    (void)data;
    LOG_ERROR("audit: %s", text);
}

/* Care goes on without the end of the log; that it was cut is said at each start and by `shanhai check`, for good. */
static bool open_audit_mark(struct server *server, struct error *error)
{
    const struct access_rows rows = access_rows_of_store(server->store);
    struct audit_mark_report report = { .remember = true, .now_ms = clock_now_ms(), .finding = log_finding };
    return server->options.offline || audit_mark_verify(server->options.data_folder, &rows, &report, error);
}

static bool chore_audit_mark(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    const struct access_rows rows = access_rows_of_store(server->store);
    *again = false;
    return audit_mark_keep(server->audit, &rows, &server->audit_kept, error);
}

/* Hands the text of each file of a folder to `add`. */
static bool load_folder(struct server *server, const char *folder,
                        bool (*add)(struct server *server, struct str text, struct error *error),
                        struct error *error)
{
    struct definition_file *files = NULL;
    size_t count = 0;
    if (!definitions_list(&server->arena, server->options.definitions_folder, folder, &files, &count,
                          error)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct error cause = { 0 };
        if (!add(server, files[i].text, &cause)) {
            return FAIL(error, cause.kind, "%s: %.150s", files[i].name, cause.text);
        }
    }
    return true;
}

static bool add_view(struct server *server, struct str text, struct error *error)
{
    return view_set_add(server->views, text, error);
}

static bool add_workflow(struct server *server, struct str text, struct error *error)
{
    return workflow_load(&server->workflows, text, error);
}

static bool add_indicator(struct server *server, struct str text, struct error *error)
{
    return indicator_set_add(&server->indicators, text, error);
}

static bool add_report(struct server *server, struct str text, struct error *error)
{
    return indicator_set_add_report(&server->indicators, text, error);
}

static bool add_topic(struct server *server, struct str text, struct error *error)
{
    return topic_add(&server->topics, text, error);
}

static bool open_subscriptions(struct server *server, struct error *error)
{
    server->topics = (struct topic_set){ .arena = &server->arena,
                                         .index = server->index,
                                         .offset_minutes = server->options.offset_minutes };
    const struct subscription_options options = { .store = server->store,
                                                  .access = server->access,
                                                  .audit = server->audit,
                                                  .topics = &server->topics,
                                                  .endpoints = server->options.endpoints,
                                                  .endpoints_count = server->options.endpoints_count,
                                                  .base_url = str_from_cstr(server->options.base_url),
                                                  .offset_minutes = server->options.offset_minutes,
                                                  .text = api_text };
    return load_folder(server, "topics", add_topic, error) &&
           subscriptions_open(&server->arena, &options, &server->subscriptions, error);
}

/* change_guard.allow */
static bool guard_subscription(void *data, struct arena *arena, const struct access_session *session,
                               struct json *resource, struct error *error)
{
    struct server *server = data;
    return subscription_guard(server->subscriptions, arena, session, resource, error);
}

static bool open_rules(struct server *server, struct error *error)
{
    server->workflows = (struct workflow_set){ .arena = &server->arena };
    server->indicators = (struct indicator_set){ .arena = &server->arena,
                                                 .store = server->store,
                                                 .offset_minutes = server->options.offset_minutes };
    return view_set_open(&server->arena, server->store, server->options.offset_minutes, &server->views,
                         error) &&
           load_folder(server, "views", add_view, error) &&
           load_folder(server, "workflows", add_workflow, error) &&
           load_folder(server, "indicators", add_indicator, error) &&
           load_folder(server, "reports", add_report, error) && open_subscriptions(server, error);
}

static bool open_change(struct server *server, struct error *error)
{
    struct change_options options = {
        .store = server->store,
        .access = server->access,
        .index = server->index,
        .views = server->views,
        .workflows = &server->workflows,
        .signer = &server->signer,
        .check_references = server->options.check_references,
        .validate_full = server->options.validate_full,
        .guard = { .type = "Subscription", .data = server, .allow = guard_subscription },
        .offset_minutes = server->options.offset_minutes
    };
    struct str profiles = STR_NONE;
    if (!definitions_read(&server->arena, NULL, "r4/profiles.json", &profiles, error) ||
        !validator_create(profiles, &server->validator, error)) {
        return false;
    }
    const struct str terms = definition_terminology();
    if (!terminology_create(terms, &server->terminology, error)) {
        return false;
    }
    options.validator = server->validator;
    options.terminology = server->terminology;
    return definitions_read(&server->arena, server->options.definitions_folder, "locks.json", &options.locks,
                            error) &&
           change_open(&server->arena, &options, &server->change, error);
}

/* ---- chores ---- */

static bool chore_access(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    *again = false;
    return access_tick(server->access, error);
}

/* Index rows of versions that were followed a day ago: page links live no longer than that. */
static bool chore_sweep(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    struct subscription_counts counts;
    subscription_count(server->subscriptions, &counts);
    int64_t before_ms = clock_now_ms() - SWEEP_AFTER_MS;
    int64_t longest_ms = clock_now_ms() - SWEEP_LATEST_MS;
    /* A subscriber who is behind is judged by the rows of versions that were followed since. */
    before_ms = counts.oldest_ms < before_ms ? counts.oldest_ms : before_ms;
    return store_sweep(server->store, before_ms < longest_ms ? longest_ms : before_ms, again, error);
}

static bool chore_train(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    return store_train(server->store, again, error);
}

/* Not those of measurements: by them a study's masks and earlier measurements are found. */
static bool chore_jobs(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    int64_t kept_ms = (int64_t)server->options.jobs_kept_days * 24 * 60 * 60 * 1000;
    return store_job_prune(server->store, clock_now_ms() - kept_ms,
                           str_from_cstr(imaging_job_kind(server->imaging).name), again, error);
}

static bool chore_rest(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    (void)error;
    *again = false;
    store_rest(server->store);
    return true;
}

/* A job, so that everybody sees how far it is; it goes on where it was after a restart. */
static bool job_reindex(void *data, struct arena *arena, const struct store_job *job, struct str *result,
                        struct error *error)
{
    struct server *server = data;
    unsigned per_mille = 0;
    (void)arena;
    (void)result;
    while (per_mille < 1000) {
        if (!store_reindex(server->store, fhir_index_digest(server->index), &per_mille, error) ||
            (per_mille < 1000 && !store_job_progress(server->store, job->id, per_mille, error))) {
            return false;
        }
        if (feed_is_stopping(server->feed)) {
            return FAIL(error, ERROR_BUSY, "goes on after the next start");
        }
    }
    return true;
}

static bool queue_reindex(struct server *server, struct error *error)
{
    bool needed = false;
    struct store_job_new job = { .kind = STR("reindex"), .unique = STR("reindex") };
    struct store_set set = { .arena = &server->arena, .jobs = &job, .jobs_count = 1 };
    return store_reindex_needed(server->store, fhir_index_digest(server->index), &needed, error) &&
           (!needed || store_write_and_wait(server->store, &set, error));
}

static bool chore_fill(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    bool done = false;
    if (!view_set_fill(server->views, &done, error)) {
        return false;
    }
    *again = !done;
    return true;
}

static bool chore_timers(void *data, bool *again, struct error *error)
{
    struct server *server = data;
    *again = false;
    return change_take_due(server->change, error);
}

static bool open_work(struct server *server, struct error *error)
{
    struct imaging_options imaging = { .store = server->store,
                                       .access = server->access,
                                       .change = server->change,
                                       .folder = path_in(server, "images"),
                                       .masks_folder = path_in(server, "masks"),
                                       .photos_folder = path_in(server, "photos"),
                                       .offset_minutes = server->options.offset_minutes };
    const struct decode_pool_options decoders = { 0 };
    const struct bulk_options bulk = { .store = server->store,
                                       .access = server->access,
                                       .change = server->change,
                                       .folder = path_in(server, "bulk"),
                                       .offset_minutes = server->options.offset_minutes,
                                       .text = api_text };
    const struct erasure_options erasure = { .store = server->store,
                                             .change = server->change,
                                             .access = server->access,
                                             .offset_minutes = server->options.offset_minutes };
    struct job_kind *kinds = ARENA_ARRAY(&server->arena, struct job_kind, 3 + BULK_JOB_KINDS);
    struct feed_chore *chores = ARENA_ARRAY(&server->arena, struct feed_chore, 9);
    if (kinds == NULL || chores == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    if (!imaging_open(&server->arena, &imaging, &server->imaging, error) ||
        !decode_pool_create(&server->arena, &decoders, &server->decoders, error) ||
        !bulk_open(&server->arena, &bulk, &server->bulk, error) ||
        !erasure_open(&server->arena, &erasure, &server->erasure, error)) {
        return false;
    }
    kinds[0] = imaging_job_kind(server->imaging);
    bulk_job_kinds(server->bulk, &kinds[1]);
    kinds[1 + BULK_JOB_KINDS] =
        (struct job_kind){ .name = "reindex", .data = server, .run = job_reindex, .is_lasting = true };
    kinds[2 + BULK_JOB_KINDS] = erasure_job_kind(server->erasure);
    chores[0] = (struct feed_chore){
        .name = "sessions", .data = server, .every_ms = ACCESS_TICK_MS, .run = chore_access
    };
    chores[1] =
        (struct feed_chore){ .name = "views", .data = server, .every_ms = FILL_EVERY_MS, .run = chore_fill };
    chores[2] = (struct feed_chore){
        .name = "timers", .data = server, .every_ms = TIMERS_EVERY_MS, .run = chore_timers
    };
    chores[3] = bulk_chore(server->bulk);
    chores[4] = (struct feed_chore){
        .name = "sweep", .data = server, .every_ms = SWEEP_EVERY_MS, .run = chore_sweep
    };
    chores[5] = (struct feed_chore){
        .name = "dictionaries", .data = server, .every_ms = TRAIN_EVERY_MS, .run = chore_train
    };
    chores[6] =
        (struct feed_chore){ .name = "rest", .data = server, .every_ms = REST_EVERY_MS, .run = chore_rest };
    chores[7] = (struct feed_chore){
        .name = "audit mark", .data = server, .every_ms = MARK_EVERY_MS, .run = chore_audit_mark
    };
    chores[8] =
        (struct feed_chore){ .name = "jobs", .data = server, .every_ms = PRUNE_EVERY_MS, .run = chore_jobs };
    const struct feed_options feed = { .store = server->store,
                                       .kinds = kinds,
                                       .kinds_count = 3 + BULK_JOB_KINDS,
                                       .chores = chores,
                                       .chores_count = 9,
                                       .workers = 2 };
    return queue_reindex(server, error) && feed_open(&server->arena, &feed, &server->feed, error) &&
           subscriptions_start(server->subscriptions, server->change, error);
}

static void fill_api(struct server *server)
{
    server->api = (struct api){
        .store = server->store,
        .access = server->access,
        .audit = server->audit,
        .change = server->change,
        .index = server->index,
        .signer = &server->signer,
        .terminology = server->terminology,
        .validator = server->validator,
        .profiles = change_profiles(server->change),
        .feed = server->feed,
        .bulk = server->bulk,
        .erasure = server->erasure,
        .subscriptions = server->subscriptions,
        .topics = &server->topics,
        .indicators = &server->indicators,
        .imaging = server->imaging,
        .archive = server->imaging == NULL ? NULL : imaging_archive(server->imaging),
        .decoders = server->decoders,
        .views = server->views,
        .workflows = &server->workflows,
        .base_url = str_from_cstr(server->options.base_url),
        .stow_rest_ms = (unsigned)server->options.stow_rest_ms, /* the table of options bounds both */
        .jobs_kept_days = (unsigned)server->options.jobs_kept_days,
        .version = STR(SHANHAI_VERSION),
        .offset_minutes = server->options.offset_minutes,
        .tls = server->options.tls,
        .cors = server->options.origins_count > 0,
    };
}

bool server_open(const struct server_options *options, struct server *server, struct error *error)
{
    *server = (struct server){ .arena = { .bytes_max = SERVER_ARENA_BYTES }, .options = *options };
    bool ok = open_store(server, error) && open_access(server, error) && open_audit_mark(server, error) &&
              open_rules(server, error) && open_change(server, error) &&
              (options->offline || open_work(server, error));
    if (!ok) {
        server_close(server);
        return false;
    }
    fill_api(server);
    return true;
}

void server_close(struct server *server)
{
    subscriptions_close(server->subscriptions);
    if (server->bulk != NULL) {
        bulk_stop(server->bulk);
    }
    feed_close(server->feed);
    imaging_close(server->imaging);
    decode_pool_destroy(server->decoders);
    signing_close(server->keys);
    access_close(server->access);
    if (server->store != NULL && server->audit != NULL && !server->options.offline) {
        struct error error = { 0 };
        bool again = false;
        if (!audit_sync(server->audit, &error) || !chore_audit_mark(server, &again, &error)) {
            LOG_WARNING("the end of the audit log is not marked in the store: %s", error.text);
        }
    }
    if (server->store != NULL) {
        store_close(server->store);
    }
    audit_close(server->audit);
    validator_destroy(server->validator);
    terminology_destroy(server->terminology);
    fhir_index_destroy(server->index);
    arena_deinit(&server->arena);
}
