#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "http/internal.h"

static void apply_defaults(struct http_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores < 1 ? 1 : cores > 64 ? 64 : (unsigned)cores;
    options->network_threads = options->network_threads > 0 ? options->network_threads : threads;
    options->pool_threads = options->pool_threads > 0 ? options->pool_threads : 4;
    options->pool_queue_max = options->pool_queue_max > 0 ? options->pool_queue_max : 64;
    options->connections_max = options->connections_max > 0 ? options->connections_max : 1024;
    options->streams_max = options->streams_max > 0 ? options->streams_max : 256;
    options->idle_timeout_s = options->idle_timeout_s > 0 ? options->idle_timeout_s : 60;
    options->body_timeout_s = options->body_timeout_s > 0 ? options->body_timeout_s : 60;
    options->deadline_ms = options->deadline_ms > 0 ? options->deadline_ms : 30000;
    options->bind_address = options->bind_address != NULL ? options->bind_address : "127.0.0.1";
}

static bool read_address(const struct http_options *options, struct sockaddr_storage *address,
                         struct error *error)
{
    *address = (struct sockaddr_storage){ 0 };
    struct in_addr v4;
    struct in6_addr v6;
    void *raw = address;
    if (inet_pton(AF_INET, options->bind_address, &v4) == 1) {
        struct sockaddr_in *in = raw;
        *in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(options->port), .sin_addr = v4 };
        return true;
    }
    if (inet_pton(AF_INET6, options->bind_address, &v6) == 1) {
        struct sockaddr_in6 *in6 = raw;
        *in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                      .sin6_port = htons(options->port),
                                      .sin6_addr = v6 };
        return true;
    }
    return FAIL(error, ERROR_INPUT, "'%s' is no IPv4 or IPv6 address to listen on", options->bind_address);
}

static bool start_daemon(struct http_server *server, struct error *error)
{
    const struct http_options *options = &server->options;
    struct sockaddr_storage address;
    if (!read_address(options, &address, error)) {
        return false;
    }
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    if (address.ss_family == AF_INET6) {
        flags |= MHD_USE_IPv6;
    }
    struct MHD_OptionItem items[] = {
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_on_completed, server },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)exchange_on_connection, server },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)exchange_on_uri, server },
        { MHD_OPTION_SOCK_ADDR, 0, &address },
        { MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)options->network_threads, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)options->connections_max, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->idle_timeout_s, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)LIMIT_HTTP_CONNECTION_BYTES, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    server->daemon = MHD_start_daemon(flags, options->port, NULL, NULL, exchange_on_request, server,
                                      MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (server->daemon == NULL) {
        return FAIL_OS(error, ERROR_INTERNAL, "cannot listen on %s port %u%s", options->bind_address,
                       (unsigned)options->port, errno == EADDRINUSE ? ": another program has the port" : "");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info == NULL || info->port == 0 ? options->port : info->port;
    return true;
}

bool http_server_start(struct arena *arena, const struct http_options *options, struct http_server **out,
                       struct error *error)
{
    struct http_server *server = ARENA_NEW(arena, struct http_server);
    if (server == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the server");
    }
    server->options = *options;
    apply_defaults(&server->options);
    server->metrics = ARENA_ARRAY(arena, struct route_metric, options->routes_count + 1);
    if (server->metrics == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the server's counters");
    }
    if (!route_table_init(&server->table, arena, options->routes, options->routes_count, error) ||
        !random_bytes(&server->id_seed, sizeof server->id_seed, error)) {
        return false;
    }
    if (!housekeeping_start(&server->keeper, arena, &server->options, error)) {
        return false;
    }
    if (!pool_start(&server->pool, arena, &server->options, exchange_run_in_pool, error)) {
        housekeeping_stop(&server->keeper);
        return false;
    }
    if (!start_daemon(server, error)) {
        pool_stop(&server->pool);
        housekeeping_stop(&server->keeper);
        return false;
    }
    *out = server;
    return true;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

bool http_server_stop(struct http_server *server, unsigned grace_ms)
{
    if (server == NULL) {
        return true;
    }
    atomic_store(&server->stopping, true);
    MHD_socket listener = MHD_quiesce_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET) {
        (void)shutdown(listener, SHUT_RDWR); /* refuses at once; a worker may be looking at it still */
    }
    int64_t until_us = clock_monotonic_us() + (int64_t)grace_ms * 1000;
    for (;;) {
        (void)pthread_mutex_lock(&server->keeper.lock);
        streams_visit(&server->keeper, 0, true);
        (void)pthread_mutex_unlock(&server->keeper.lock);
        if (atomic_load(&server->requests_open) == 0) {
            break;
        }
        if (clock_monotonic_us() > until_us) {
            if (atomic_load(&server->requests_held) > 0) {
                return false; /* libmicrohttpd cannot close suspended connections */
            }
            break; /* only slow senders and readers are left */
        }
        (void)usleep(5000);
    }
    MHD_stop_daemon(server->daemon);
    if (listener != MHD_INVALID_SOCKET) {
        (void)close(listener);
    }
    pool_stop(&server->pool);
    housekeeping_stop(&server->keeper);
    return true;
}
