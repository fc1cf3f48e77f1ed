/* GET /metrics: how the server is, in Prometheus' text form. Numbers and names of the program's own parts only: route
 * templates, kinds of jobs, states; nothing of a record and nobody's name. */
#include <fcntl.h>
#include <unistd.h>

#include "api/call.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "dicom/dimse_server.h"
#include "feed/subscription.h"
#include "store/jobs.h"
#include "view/view_set.h"

enum { STATUS_BYTES = 8192 };

static void release_buf(void *data)
{
    buf_deinit(data);
}

static void add(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    buf_printf(out, "# HELP shanhai_%s %s\n# TYPE shanhai_%s %s\nshanhai_%s %llu\n", name, help, name, type,
               name, (unsigned long long)value);
}

static void add_commits(const struct store_counts *counts, struct buf *out)
{
    uint64_t sum = 0;
    buf_add(out,
            STR("# HELP shanhai_store_commit_seconds From taking a group to its answers; sync included.\n"
                "# TYPE shanhai_store_commit_seconds histogram\n"));
    for (size_t i = 0; i < STORE_GROUP_BUCKETS; i++) {
        sum += counts->group_us[i];
        buf_printf(out, "shanhai_store_commit_seconds_bucket{le=\"%g\"} %llu\n",
                   (double)store_group_bucket_us[i] / 1e6, (unsigned long long)sum);
    }
    sum += counts->group_us[STORE_GROUP_BUCKETS];
    buf_printf(
        out,
        "shanhai_store_commit_seconds_bucket{le=\"+Inf\"} %llu\nshanhai_store_commit_seconds_count %llu\n"
        "shanhai_store_commit_seconds_sum %.6f\n"
        "# HELP shanhai_store_sync_seconds_total Of it waiting for the disk.\n"
        "# TYPE shanhai_store_sync_seconds_total counter\nshanhai_store_sync_seconds_total %.6f\n"
        "# TYPE shanhai_store_commit_seconds_max gauge\nshanhai_store_commit_seconds_max %.6f\n",
        (unsigned long long)sum, (unsigned long long)sum, (double)counts->group_us_sum / 1e6,
        (double)counts->sync_us_sum / 1e6, (double)counts->group_us_max / 1e6);
}

static void add_store(struct store *store, struct buf *out)
{
    struct store_counts counts = { 0 };
    store_counts(store, &counts);
    add(out, "store_sequence", "counter", "Versions stored; the place of the feed.", counts.seq);
    add(out, "store_commits_total", "counter", "Groups committed.", counts.groups);
    add(out, "store_sets_total", "counter", "Writes applied; by commits, the size of a group.", counts.sets);
    add(out, "store_sets_refused_total", "counter", "Writes refused.", counts.sets_refused);
    add(out, "store_group_sets_max", "gauge", "The largest group.", counts.group_sets_max);
    add(out, "store_sets_queued", "gauge", "Writes that wait.", counts.queue_sets);
    add(out, "store_index_rows_waiting", "gauge", "Index rows not yet in the main index.",
        counts.rows_waiting);
    add(out, "store_readers_used", "gauge", "Snapshots in use.", counts.readers_out);
    add(out, "store_readers_max", "gauge", "Snapshots there may be.", counts.readers_max);
    add(out, "store_database_up", "gauge", "1 when the database answers.", counts.database_up ? 1 : 0);
    if (counts.database_up) {
        add(out, "store_database_bytes", "gauge", "Size of the database.", counts.database_bytes);
    }
    add_commits(&counts, out);
}

/* ---- jobs, views, subscriptions ---- */

/* What the database alone knows; nothing while it is away (store_database_up says so): the rest is told all the same. */
static void add_jobs(struct store *store, struct arena *arena, struct buf *out)
{
    static const char *const states[] = { "", "queued", "running", "done", "failed" };
    struct store_reader *reader = NULL;
    struct store_job_count *counts = NULL;
    size_t count = 0;
    struct error error = { 0 };
    bool ok = store_reader_begin(store, &reader, &error) &&
              store_job_counts(reader, arena, &counts, &count, &error);
    store_reader_end(reader);
    if (!ok) {
        return;
    }
    buf_add(out, STR("# TYPE shanhai_jobs gauge\n"));
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "shanhai_jobs{kind=\"%.*s\",state=\"%s\"} %llu\n", STR_FMT(counts[i].kind),
                   states[counts[i].state], (unsigned long long)counts[i].count);
    }
}

static void add_views(const struct view_set *views, struct buf *out)
{
    struct str name = STR_NONE;
    unsigned per_mille = 0;
    buf_add(out, STR("# HELP shanhai_view_filled_ratio How far the back-fill of a view is.\n"
                     "# TYPE shanhai_view_filled_ratio gauge\n"));
    for (size_t i = 0; view_set_progress(views, i, &name, &per_mille); i++) {
        buf_printf(out, "shanhai_view_filled_ratio{view=\"%.*s\"} %.3f\n", STR_FMT(name), per_mille / 1000.0);
    }
}

static void add_subscriptions(struct subscriptions *subscriptions, struct buf *out)
{
    static const char *const states[SUBSCRIPTION_STATES] = { "requested", "active", "error", "off" };
    struct subscription_counts counts;
    subscription_count(subscriptions, &counts);
    buf_add(out, STR("# TYPE shanhai_subscriptions gauge\n"));
    for (size_t i = 0; i < SUBSCRIPTION_STATES; i++) {
        buf_printf(out, "shanhai_subscriptions{status=\"%s\"} %zu\n", states[i], counts.by_state[i]);
    }
    add(out, "subscription_lag_versions", "gauge", "Versions of the feed that the slowest has not looked at.",
        counts.lag);
    add(out, "subscription_events_waiting", "gauge", "Numbered events that no endpoint has taken yet.",
        counts.unsent);
    add(out, "subscription_events_total", "counter", "Events taken by endpoints.", counts.events);
    add(out, "subscription_failures_total", "counter", "Calls that endpoints did not take.", counts.failures);
}

/* ---- the process ---- */

/* "VmRSS:\t   12345 kB" of /proc/self/status, in bytes; 0 without. */
static uint64_t memory_of(struct str status, struct str name)
{
    size_t at = str_find(status, name);
    struct str rest = str_skip(status, at + name.len);
    struct str line = STR_NONE;
    uint64_t kilobytes = 0;
    bool found = at < status.len && str_split_next(&rest, '\n', &line);
    line = str_trim(line);
    line = str_slice(line, 0, str_find_char(line, ' '));
    return found && parse_uint64(line, UINT64_MAX / 1024, &kilobytes) ? kilobytes * 1024 : 0;
}

static void add_process(struct buf *out)
{
    char text[STATUS_BYTES];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (fd >= 0) {
        (void)close(fd);
    }
    const struct str status = { text, len < 0 ? 0 : (size_t)len };
    add(out, "memory_resident_bytes", "gauge", "Resident memory, mapped files included.",
        memory_of(status, STR("VmRSS:")));
    add(out, "memory_own_bytes", "gauge", "Resident memory of the program's own (anonymous).",
        memory_of(status, STR("RssAnon:")));
    add(out, "threads", "gauge", "Threads.", memory_of(status, STR("Threads:")) / 1024);
}

static void add_dimse(struct dimse_server *server, struct buf *out)
{
    struct dimse_counts counts = { 0 };
    if (server != NULL) {
        dimse_server_counts(server, &counts);
    }
    add(out, "dimse_associations_open", "gauge", "DICOM connections now.", counts.open);
    add(out, "dimse_associations_total", "counter", "DICOM connections since the start.", counts.total);
    add(out, "dimse_associations_refused_total", "counter", "No room for it, or not on the list.",
        counts.refused);
}

enum http_verdict api_metrics(struct http_request *request)
{
    struct api *api = api_of(request);
    struct buf *out = ARENA_NEW(&request->arena, struct buf);
    if (out == NULL) {
        struct error error = { 0 };
        (void)FAIL(&error, ERROR_BUSY, "request memory used up");
        return api_fail(request, &error);
    }
    *out = (struct buf){ .bytes_max = LIMIT_RESOURCE_BYTES };
    http_server_metrics(request->server, out);
    add_store(api->store, out);
    add_views(api->views, out);
    add_subscriptions(api->subscriptions, out);
    add_dimse(api->dimse, out);
    add_process(out);
    add_jobs(api->store, &request->arena, out);
    http_respond_owned(request, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(out),
                       release_buf, out);
    return HTTP_DONE;
}
