#include <inttypes.h>
#include <stdio.h>

#include "http/internal.h"

static const int64_t bucket_us[METRIC_BUCKETS_COUNT] = { 250,    500,     1000,    2500,    5000,
                                                         10000,  25000,   50000,   100000,  250000,
                                                         500000, 1000000, 2500000, 10000000 };
static const char *const method_names[HTTP_METHODS_COUNT] = { "GET",   "POST",   "PUT",
                                                              "PATCH", "DELETE", "OPTIONS" };

void metric_add(struct route_metric *metric, int status, bool complete, int64_t duration_us, uint64_t bytes)
{
    size_t class = complete && status >= 100 && status < 600 ? (size_t)status / 100 : 0;
    size_t bucket = 0;
    while (bucket < METRIC_BUCKETS_COUNT && duration_us > bucket_us[bucket]) {
        bucket++;
    }
    (void)atomic_fetch_add_explicit(&metric->by_status_class[class], 1, memory_order_relaxed);
    if (complete && (status == 429 || status == 503)) {
        (void)atomic_fetch_add_explicit(status == 429 ? &metric->throttled : &metric->busy, 1,
                                        memory_order_relaxed);
    }
    (void)atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->duration_us, (uint64_t)duration_us, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->response_bytes, bytes, memory_order_relaxed);
}

static void write_counts(const struct route_metric *metric, const char *labels, struct buf *out)
{
    static const char *const classes[] = { "cut", "1xx", "2xx", "3xx", "4xx", "5xx" };
    for (size_t i = 0; i < 6; i++) {
        uint64_t count = atomic_load_explicit(&metric->by_status_class[i], memory_order_relaxed);
        if (count > 0) {
            buf_printf(out, "shanhai_http_requests_total{%s,status=\"%s\"} %" PRIu64 "\n", labels, classes[i],
                       count);
        }
    }
}

/* What was refused to protect the server, or a password. */
static void write_refused(const struct route_metric *metric, const char *labels, struct buf *out)
{
    uint64_t throttled = atomic_load_explicit(&metric->throttled, memory_order_relaxed);
    uint64_t busy = atomic_load_explicit(&metric->busy, memory_order_relaxed);
    if (throttled > 0) {
        buf_printf(out, "shanhai_http_refused_total{%s,status=\"429\"} %" PRIu64 "\n", labels, throttled);
    }
    if (busy > 0) {
        buf_printf(out, "shanhai_http_refused_total{%s,status=\"503\"} %" PRIu64 "\n", labels, busy);
    }
}

static void write_bytes(const struct route_metric *metric, const char *labels, struct buf *out)
{
    buf_printf(out, "shanhai_http_response_bytes_total{%s} %" PRIu64 "\n", labels,
               atomic_load_explicit(&metric->response_bytes, memory_order_relaxed));
}

static void write_histogram(const struct route_metric *metric, const char *labels, struct buf *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= METRIC_BUCKETS_COUNT; i++) {
        sum += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        if (i < METRIC_BUCKETS_COUNT) {
            buf_printf(out, "shanhai_http_duration_seconds_bucket{%s,le=\"%g\"} %" PRIu64 "\n", labels,
                       (double)bucket_us[i] / 1e6, sum);
        }
    }
    buf_printf(out, "shanhai_http_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", labels, sum);
    buf_printf(out, "shanhai_http_duration_seconds_count{%s} %" PRIu64 "\n", labels, sum);
    buf_printf(out, "shanhai_http_duration_seconds_sum{%s} %.6f\n", labels,
               (double)atomic_load_explicit(&metric->duration_us, memory_order_relaxed) / 1e6);
}

/* The label of a route: its method and template; the last metric is of requests that no route took. */
static void route_labels(const struct http_server *server, size_t index, char *out, size_t size)
{
    const struct http_route *route =
        index < server->options.routes_count ? &server->options.routes[index] : NULL;
    (void)snprintf(out, size, "method=\"%s\",route=\"%s\"", route == NULL ? "" : method_names[route->method],
                   route == NULL ? "none" : route->template);
}

static bool metric_used(const struct route_metric *metric)
{
    for (size_t i = 0; i < 6; i++) {
        if (atomic_load_explicit(&metric->by_status_class[i], memory_order_relaxed) > 0) {
            return true;
        }
    }
    return false;
}

/* The lines of one family stand together, as the text format asks. */
static void write_family(const struct http_server *server, const char *head,
                         void (*write)(const struct route_metric *metric, const char *labels,
                                       struct buf *out),
                         struct buf *out)
{
    char labels[256];
    buf_add(out, str_from_cstr(head));
    for (size_t i = 0; i <= server->options.routes_count; i++) {
        if (metric_used(&server->metrics[i])) {
            route_labels(server, i, labels, sizeof labels);
            write(&server->metrics[i], labels, out);
        }
    }
}

void http_server_metrics(struct http_server *server, struct buf *out)
{
    write_family(server,
                 "# HELP shanhai_http_requests_total Answers by route and status class.\n"
                 "# TYPE shanhai_http_requests_total counter\n",
                 write_counts, out);
    write_family(server,
                 "# HELP shanhai_http_refused_total Too many tries (429) or too much at once (503).\n"
                 "# TYPE shanhai_http_refused_total counter\n",
                 write_refused, out);
    write_family(server, "# TYPE shanhai_http_response_bytes_total counter\n", write_bytes, out);
    write_family(server,
                 "# HELP shanhai_http_duration_seconds From the headers to the last byte of the answer.\n"
                 "# TYPE shanhai_http_duration_seconds histogram\n",
                 write_histogram, out);
    (void)pthread_mutex_lock(&server->keeper.lock);
    unsigned streams = server->keeper.streams_count;
    (void)pthread_mutex_unlock(&server->keeper.lock);
    (void)pthread_mutex_lock(&server->pool.lock);
    unsigned queued = server->pool.queued;
    (void)pthread_mutex_unlock(&server->pool.lock);
    buf_printf(out,
               "# TYPE shanhai_http_requests_open gauge\nshanhai_http_requests_open %" PRIu64 "\n"
               "# TYPE shanhai_http_streams_open gauge\nshanhai_http_streams_open %u\n"
               "# TYPE shanhai_http_pool_queued gauge\nshanhai_http_pool_queued %u\n",
               atomic_load(&server->requests_open), streams, queued);
}
