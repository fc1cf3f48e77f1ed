/* GET /metrics: how the server is, in Prometheus' text form. Numbers and names of the program's own parts only: route
 * templates, kinds of jobs, states; nothing of a record and nobody's name. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "feed/subscription.h"

static void release_buf(void *data)
{
    buf_deinit(data);
}

static void add_store(struct store *store, struct buf *out)
{
    struct store_counts counts = { 0 };
    store_counts(store, &counts);
    buf_printf(out,
               "# TYPE shanhai_store_sequence counter\nshanhai_store_sequence %llu\n"
               "# TYPE shanhai_store_commits_total counter\nshanhai_store_commits_total %llu\n"
               "# TYPE shanhai_store_sets_total counter\nshanhai_store_sets_total %llu\n"
               "# TYPE shanhai_store_sets_refused_total counter\nshanhai_store_sets_refused_total %llu\n"
               "# TYPE shanhai_store_sets_queued gauge\nshanhai_store_sets_queued %llu\n"
               "# TYPE shanhai_store_commit_seconds_max gauge\nshanhai_store_commit_seconds_max %.6f\n"
               "# TYPE shanhai_store_database_bytes gauge\nshanhai_store_database_bytes %llu\n",
               (unsigned long long)counts.seq, (unsigned long long)counts.groups,
               (unsigned long long)counts.sets, (unsigned long long)counts.sets_refused,
               (unsigned long long)counts.queue_sets, (double)counts.group_us_max / 1e6,
               (unsigned long long)counts.database_bytes);
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
    buf_printf(
        out,
        "# HELP shanhai_subscription_lag_versions Versions of the feed that the slowest has not looked at.\n"
        "# TYPE shanhai_subscription_lag_versions gauge\nshanhai_subscription_lag_versions %llu\n"
        "# HELP shanhai_subscription_events_waiting Numbered events that no endpoint has taken yet.\n"
        "# TYPE shanhai_subscription_events_waiting gauge\nshanhai_subscription_events_waiting %llu\n"
        "# TYPE shanhai_subscription_events_total counter\nshanhai_subscription_events_total %llu\n"
        "# TYPE shanhai_subscription_failures_total counter\nshanhai_subscription_failures_total %llu\n",
        (unsigned long long)counts.lag, (unsigned long long)counts.unsent, (unsigned long long)counts.events,
        (unsigned long long)counts.failures);
}

enum http_verdict api_metrics(struct http_request *request)
{
    struct buf *out = ARENA_NEW(&request->arena, struct buf);
    if (out == NULL) {
        struct error error = { 0 };
        (void)FAIL(&error, ERROR_BUSY, "request memory used up");
        return api_fail(request, &error);
    }
    *out = (struct buf){ .bytes_max = LIMIT_RESOURCE_BYTES };
    http_server_metrics(request->server, out);
    add_store(api_of(request)->store, out);
    add_subscriptions(api_of(request)->subscriptions, out);
    http_respond_owned(request, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(out),
                       release_buf, out);
    return HTTP_DONE;
}
