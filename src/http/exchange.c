/* libmicrohttpd's callbacks: one exchange from its first byte to its last.
 *
 *     on_uri → HEADERS → BODY → handler ─ DONE ─────────────→ ANSWER → completed
 *                  │ refused   │  └ LATER … http_resume … RESUMED ┘
 *                  └───────────┴ in the pool: suspended until the pool thread is done
 *
 * An answer given in the first callback closes the connection (libmicrohttpd reads no body then), so that
 * is done only where a body is refused; everything else is answered in the callback after the body. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/parse.h"
#include "http/internal.h"

enum {
    DROP_BYTES_A_SECOND = 1024 * 1024,
    RESERVED_BYTES_MAX =
        240 * 1024, /* for a body before more of it has come; larger blocks are the system's */
    DROP_BODY_BYTES_MAX = 64 * 1024, /* of a refused body that is read so that the connection lives on */
    HEADERS_GRACE_S = 15,            /* on top of the idle time: then the headers are late */
    BODY_BYTES_A_SECOND = 16 * 1024, /* the slowest line we wait for */
};

/* A chunked body does not say how long it is, and libmicrohttpd answers only behind it: so much of one that was refused is
 * read and dropped before its sender can be told why. */
static const uint64_t refused_bytes_max = 2ull * 1024 * 1024 * 1024;

/* ---- connections ---- */

static int64_t headers_until_us(const struct http_server *server)
{
    return clock_monotonic_us() + ((int64_t)server->options.idle_timeout_s + HEADERS_GRACE_S) * 1000000;
}

static int connection_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

static void exchange_end(struct http_exchange *exchange)
{
    struct http_server *server = exchange->request.server;
    if (exchange->held) { /* the client went away between the resume and our turn */
        (void)atomic_fetch_sub(&server->requests_held, 1);
    }
    if (exchange->slot != NULL) {
        exchange->slot->exchange = NULL;
    }
    response_end(exchange);
    buf_deinit(&exchange->body);
    struct arena arena = exchange->request.arena;
    arena_deinit(&arena);
    (void)atomic_fetch_sub(&server->requests_open, 1);
}

/* libmicrohttpd tells no end of a request that it refused itself before our first turn (a length that is no number): the
 * connection remembers it. */
static void end_forgotten(struct http_connection *slot)
{
    if (slot != NULL && slot->exchange != NULL) {
        exchange_end(slot->exchange);
    }
}

void exchange_on_connection(void *data, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = data;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context =
            connection_begin(&server->keeper, connection_fd(connection), headers_until_us(server));
    } else {
        end_forgotten(*socket_context);
        connection_end(&server->keeper, *socket_context);
        *socket_context = NULL;
    }
}

static void connection_phase(struct http_exchange *exchange, enum connection_phase phase, int64_t until_us)
{
    if (exchange->slot != NULL) {
        atomic_store_explicit(&exchange->slot->until_us, until_us, memory_order_relaxed);
        atomic_store_explicit(&exchange->slot->phase, phase, memory_order_release);
    }
}

/* ---- begin and end ---- */

static void split_uri(struct http_request *request, struct str uri)
{
    size_t fragment = str_find_char(uri, '#'); /* no client sends one; nothing after it counts */
    uri = str_slice(uri, 0, fragment);
    size_t question = str_find_char(uri, '?');
    request->path = str_slice(uri, 0, question);
    request->query = question < uri.len ? str_skip(uri, question + 1) : STR("");
}

void *exchange_on_uri(void *data, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = data;
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct http_exchange *exchange = ARENA_NEW(&arena, struct http_exchange);
    struct str copy = exchange == NULL ? STR_NONE : arena_dup(&arena, str_from_cstr(uri));
    if (copy.at == NULL) {
        arena_deinit(&arena);
        return NULL;
    }
    exchange->request.arena = arena;
    exchange->request.server = server;
    exchange->request.context = server->options.context;
    exchange->connection = connection;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->slot = info == NULL ? NULL : info->socket_context;
    if (exchange->slot != NULL) {
        end_forgotten(exchange->slot);
        exchange->slot->exchange = exchange;
    }
    split_uri(&exchange->request, copy);
    uint64_t number = atomic_fetch_add_explicit(&server->requests_begun, 1, memory_order_relaxed);
    (void)snprintf(exchange->id, sizeof exchange->id, "%016llx",
                   (unsigned long long)hash64_combine(server->id_seed, number));
    exchange->request.id = str_from_cstr(exchange->id);
    (void)atomic_fetch_add(&server->requests_open, 1);
    return exchange;
}

static uint64_t response_bytes(const struct http_exchange *exchange)
{
    const struct http_response *response = &exchange->response;
    if (exchange->request.is_head) {
        return 0;
    }
    switch (response->content) {
    case CONTENT_NONE:
    case CONTENT_MEMORY:
        return response->body.len;
    case CONTENT_FILE:
        return response->file.len;
    case CONTENT_MAPPED:
        return response->mapped_head.len + response->mapped.len + response->mapped_tail.len;
    case CONTENT_PULL:
    case CONTENT_STREAM:
        return response->bytes_sent;
    }
    return 0;
}

static void log_request(const struct http_exchange *exchange, bool complete, int64_t duration_us)
{
    static const char *const names[HTTP_METHODS_COUNT] = {
        "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"
    };
    const struct http_request *request = &exchange->request;
    const struct log_field fields[] = {
        { "method", request->is_head ? "HEAD" : names[request->method], 0 },
        { "route", request->route == NULL ? "-" : request->route->template, 0 },
        { "status", NULL, exchange->response.status },
        { "bytes", NULL, (int64_t)response_bytes(exchange) },
        { "us", NULL, duration_us },
        { "request", exchange->id, 0 },
        { "end", complete ? "whole" : "cut", 0 },
    };
    log_event(LOG_LEVEL_INFO, "http", fields, sizeof fields / sizeof *fields - complete);
}

void exchange_on_completed(void *data, struct MHD_Connection *connection, void **context,
                           enum MHD_RequestTerminationCode code)
{
    struct http_server *server = data;
    struct http_exchange *exchange = *context;
    *context = NULL;
    if (exchange == NULL) {
        return;
    }
    bool complete = code == MHD_REQUEST_TERMINATED_COMPLETED_OK && exchange->step == STEP_ANSWERED;
    int64_t started_us = exchange->request.started_us;
    int64_t duration_us = started_us == 0 ? 0 : clock_monotonic_us() - started_us;
    size_t index = exchange->request.route == NULL
                       ? server->options.routes_count
                       : (size_t)(exchange->request.route - server->options.routes);
    metric_add(&server->metrics[index], exchange->response.status, complete, duration_us,
               response_bytes(exchange));
    if (server->options.access_log) {
        log_request(exchange, complete, duration_us);
    }
    connection_phase(exchange, CONNECTION_RECEIVING_HEADERS, headers_until_us(server));
    if (exchange->linger) {
        linger_begin(&server->keeper, connection_fd(connection));
    }
    exchange_end(exchange);
}

/* ---- refusing ---- */

static void add_allow(struct http_exchange *exchange)
{
    static const char *const names[HTTP_METHODS_COUNT] = { "GET, HEAD", "POST",   "PUT",
                                                           "PATCH",     "DELETE", "OPTIONS" };
    char text[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < HTTP_METHODS_COUNT; i++) {
        if ((exchange->methods_allowed & (1u << i)) != 0 || i == HTTP_OPTIONS) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len == 0 ? "" : ", ", names[i]);
        }
    }
    assert(len < sizeof text);
    http_add_header(&exchange->request, STR("Allow"), (struct str){ text, len });
}

static void refuse(struct http_exchange *exchange, const struct error *error)
{
    exchange->refused = true;
    if (error->kind == ERROR_METHOD) {
        add_allow(exchange);
    }
    http_respond_error(&exchange->request, error);
}

/* Content-Length of a body that has one and is not over; UINT64_MAX for a chunked one. */
static uint64_t declared_length(const struct http_exchange *exchange)
{
    uint64_t length = 0;
    if (!exchange->has_body) {
        return 0;
    }
    struct str text = http_header(&exchange->request, STR("Content-Length"));
    return text.at != NULL && parse_uint64(text, UINT64_MAX, &length) ? length : UINT64_MAX;
}

/* ---- first callback: the headers are there ---- */

static bool check_declared_length(struct http_exchange *exchange, struct error *error)
{
    const struct http_route *route = exchange->request.route;
    uint64_t length = declared_length(exchange);
    bool unlimited = route != NULL && (route->flags & HTTP_ROUTE_STREAM) != 0 && route->body_bytes_max == 0;
    size_t max = route == NULL ? DROP_BODY_BYTES_MAX : route->body_bytes_max;
    if (length == 0 || length == UINT64_MAX || unlimited || length <= max) {
        return true;
    }
    return FAIL(error, ERROR_TOO_LARGE, "the body is larger than the %zu bytes allowed here", max);
}

static enum MHD_Result on_headers(struct http_exchange *exchange, const char *method)
{
    struct http_server *server = exchange->request.server;
    struct error error = { 0 };
    exchange->step = STEP_BODY;
    bool read = exchange_read_head(exchange, method, &error);
    cors_add_headers(exchange); /* a refusal must be readable too */
    if (!read) {
        refuse(exchange, &error);
    } else if (atomic_load(&server->stopping)) {
        (void)FAIL(&error, ERROR_BUSY, "the server is stopping");
        refuse(exchange, &error);
    } else if (exchange->request.route == NULL) {
        assert(exchange->request.method == HTTP_OPTIONS);
        exchange->refused = true; /* answered without looking at a body */
        add_allow(exchange);
        http_respond(&exchange->request, 204, STR_NONE, STR(""));
    } else if (!check_declared_length(exchange, &error)) {
        refuse(exchange, &error);
    } else if (exchange->request.route->begin != NULL) {
        exchange->refused = !exchange->request.route->begin(&exchange->request);
        assert(!exchange->refused || exchange->response.status != 0);
    }
    if (exchange->refused && (exchange->framing_is_bad || declared_length(exchange) > DROP_BODY_BYTES_MAX)) {
        exchange->linger = true;
        return response_queue(exchange);
    }
    if (exchange->has_body) {
        connection_phase(exchange, CONNECTION_RECEIVING_BODY,
                         exchange->request.started_us + (int64_t)server->options.body_timeout_s * 1000000);
        const struct http_route *route = exchange->request.route;
        bool streamed = route != NULL && (route->flags & HTTP_ROUTE_STREAM) != 0;
        exchange->body.bytes_max = route == NULL ? 1
                                   : streamed    ? LIMIT_HTTP_PIECE_BYTES
                                                 : route->body_bytes_max;
    }
    return MHD_YES;
}

/* ---- the body ---- */

/* Held exchanges keep the server from stopping: their connections are suspended. */
static void hold(struct http_exchange *exchange)
{
    exchange->held = true;
    (void)atomic_fetch_add(&exchange->request.server->requests_held, 1);
}

static void unhold(struct http_exchange *exchange)
{
    if (exchange->held && !atomic_load(&exchange->piece_busy)) {
        exchange->held = false;
        (void)atomic_fetch_sub(&exchange->request.server->requests_held, 1);
    }
}

static void suspend_for_pool(struct http_exchange *exchange,
                             enum http_verdict (*run)(struct http_request *request))
{
    exchange->pool_run = run;
    exchange->in_pool = true;
    hold(exchange);
    MHD_suspend_connection(exchange->connection);
    pool_push(&exchange->request.server->pool, exchange);
}

/* In the pool: the gathered piece goes to on_data. */
static enum http_verdict deliver_piece(struct http_request *request)
{
    struct http_exchange *exchange = exchange_of(request);
    struct error error = { 0 };
    if (!request->route->on_data(request, buf_str(&exchange->body), &error)) {
        refuse(exchange, &error);
    }
    buf_clear(&exchange->body);
    return HTTP_DONE;
}

static bool begin_piece(struct http_exchange *exchange)
{
    if (!pool_reserve(&exchange->request.server->pool, exchange)) {
        return false;
    }
    atomic_store(&exchange->piece_busy, true);
    suspend_for_pool(exchange, deliver_piece);
    return true;
}

static void refuse_busy(struct http_exchange *exchange)
{
    struct error error = { 0 };
    (void)FAIL(&error, ERROR_BUSY, "the server has too much to do; try again in a moment");
    refuse(exchange, &error);
}

/* Pieces for a pool thread are gathered, so that 300 MB are some thousand hand-overs and not ten times that. */
static size_t gather_piece(struct http_exchange *exchange, struct str data)
{
    size_t room = LIMIT_HTTP_PIECE_BYTES - exchange->body.len;
    size_t taken = data.len < room ? data.len : room;
    buf_add(&exchange->body, str_slice(data, 0, taken));
    if (exchange->body.failed) {
        refuse_busy(exchange); /* no memory */
    } else if (exchange->body.len == LIMIT_HTTP_PIECE_BYTES && !begin_piece(exchange)) {
        refuse_busy(exchange);
    }
    return taken;
}

/* Takes what it can of `data` and says how much. */
static size_t take_body(struct http_exchange *exchange, struct str data)
{
    const struct http_route *route = exchange->request.route;
    struct error error = { 0 };
    bool streamed = (route->flags & HTTP_ROUTE_STREAM) != 0;
    bool unlimited = streamed && route->body_bytes_max == 0;
    if (!unlimited && exchange->body_bytes + data.len > route->body_bytes_max) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "the body is larger than the %zu bytes allowed here",
                   route->body_bytes_max);
        refuse(exchange, &error);
        return data.len;
    }
    if (streamed && (route->flags & HTTP_ROUTE_POOL) != 0) {
        return gather_piece(exchange, data);
    }
    if (streamed) {
        if (!route->on_data(&exchange->request, data, &error)) {
            refuse(exchange, &error);
        }
        return data.len;
    }
    if (exchange->body.at == NULL) { /* as much as was told, so that a body does not grow a dozen times */
        uint64_t told = declared_length(exchange) == UINT64_MAX ? 0 : declared_length(exchange);
        uint64_t most =
            exchange->body.bytes_max < RESERVED_BYTES_MAX ? exchange->body.bytes_max : RESERVED_BYTES_MAX;
        (void)buf_reserve(&exchange->body, (size_t)(told < most ? told : most));
    }
    buf_add(&exchange->body, data);
    if (exchange->body.failed) {
        refuse_busy(exchange); /* no memory: the limit was looked at above */
    }
    return data.len;
}

static enum MHD_Result on_body(struct http_exchange *exchange, const char *data, size_t *size)
{
    if (atomic_load(&exchange->piece_busy)) {
        return MHD_YES; /* libmicrohttpd calls for the next chunk although the connection is suspended */
    }
    size_t taken = *size;
    if (!exchange->refused) {
        taken = take_body(exchange, (struct str){ data, *size });
    } else if (exchange->body_bytes > refused_bytes_max) {
        return MHD_NO; /* told nothing and sends on: cut */
    }
    exchange->body_bytes += taken;
    *size -= taken;
    /* What is only dropped has to come fast. */
    uint64_t bytes_a_second = exchange->refused ? DROP_BYTES_A_SECOND : BODY_BYTES_A_SECOND;
    int64_t allowance_s = (int64_t)(exchange->body_bytes / bytes_a_second);
    connection_phase(exchange, CONNECTION_RECEIVING_BODY,
                     exchange->request.started_us +
                         (exchange->request.server->options.body_timeout_s + allowance_s) * 1000000);
    return MHD_YES;
}

/* ---- handlers ---- */

enum http_verdict http_run_in_pool(struct http_request *request,
                                   enum http_verdict (*run)(struct http_request *request))
{
    struct http_exchange *exchange = exchange_of(request);
    if (exchange->in_pool) {
        return run(request);
    }
    if (!pool_reserve(&request->server->pool, exchange)) {
        refuse_busy(exchange);
        return HTTP_DONE;
    }
    exchange->pool_run = run;
    return HTTP_LATER;
}

/* Who is to be called after http_resume. */
static enum http_verdict call_resumed(struct http_request *request)
{
    enum http_verdict (*next)(struct http_request * request) = request->next;
    request->next = NULL;
    if (next != NULL) {
        return next(request);
    }
    if ((request->route->flags & HTTP_ROUTE_POOL) != 0) {
        return http_run_in_pool(request, request->route->handle);
    }
    return request->route->handle(request);
}

/* Calls `run` on this network thread until the answer is set or the connection is suspended. */
static enum MHD_Result run_here(struct http_exchange *exchange,
                                enum http_verdict (*run)(struct http_request *request))
{
    for (;;) {
        exchange->pool_run = NULL;
        atomic_store(&exchange->turn, TURN_RUNNING);
        if (run(&exchange->request) == HTTP_DONE) {
            return response_queue(exchange);
        }
        if (exchange->pool_run != NULL) {
            suspend_for_pool(exchange, exchange->pool_run);
            return MHD_YES;
        }
        run = call_resumed;
        if (atomic_load(&exchange->turn) == TURN_WOKEN) {
            continue; /* the news came before the handler returned */
        }
        /* After the exchange of `turn` the holder may resume at once: nothing is touched behind it. */
        struct MHD_Connection *connection = exchange->connection;
        exchange->step = STEP_RESUMED;
        hold(exchange);
        MHD_suspend_connection(connection);
        int running = TURN_RUNNING;
        if (!atomic_compare_exchange_strong(&exchange->turn, &running, TURN_WAITING)) {
            MHD_resume_connection(connection);
        }
        return MHD_YES;
    }
}

/* It waited so long that nobody waits for it any more: better to say so than to do the work. */
static bool is_late(const struct http_exchange *exchange)
{
    return (exchange->request.route->flags & HTTP_ROUTE_NO_DEADLINE) == 0 &&
           clock_monotonic_us() > exchange->request.deadline_us;
}

/* On a pool thread; the connection is suspended and comes back to its network thread by a resume. */
void exchange_run_in_pool(struct http_exchange *exchange)
{
    struct MHD_Connection *connection = exchange->connection;
    if (exchange->pool_run == deliver_piece) {
        (void)deliver_piece(&exchange->request);
        exchange->in_pool = false;
        atomic_store(&exchange->piece_busy, false);
        MHD_resume_connection(connection);
        return;
    }
    atomic_store(&exchange->turn, TURN_RUNNING);
    enum http_verdict verdict = HTTP_DONE;
    if (is_late(exchange)) {
        refuse_busy(exchange);
    } else {
        verdict = exchange->pool_run(&exchange->request);
    }
    exchange->in_pool = false;
    exchange->step = verdict == HTTP_DONE ? STEP_ANSWER : STEP_RESUMED;
    int running = TURN_RUNNING;
    if (verdict == HTTP_DONE || !atomic_compare_exchange_strong(&exchange->turn, &running, TURN_WAITING)) {
        MHD_resume_connection(connection);
    }
}

void http_resume(struct http_request *request)
{
    struct http_exchange *exchange = exchange_of(request);
    struct MHD_Connection *connection = exchange->connection;
    int before = atomic_exchange(&exchange->turn, TURN_WOKEN);
    assert(before != TURN_WOKEN);
    if (before == TURN_WAITING) {
        MHD_resume_connection(connection);
    }
}

/* The body is whole: the last piece, the form, then the handler. */
static enum MHD_Result on_whole(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const struct http_route *route = request->route;
    connection_phase(exchange, CONNECTION_BUSY, 0);
    /* A slow line is not the server's lateness: time counts from the end of the body. */
    request->deadline_us = clock_monotonic_us() + (int64_t)request->server->options.deadline_ms * 1000;
    if (exchange->refused) {
        return response_queue(exchange);
    }
    if ((route->flags & HTTP_ROUTE_STREAM) != 0) {
        if (exchange->body.len > 0) {
            if (begin_piece(exchange)) {
                return MHD_YES;
            }
            refuse_busy(exchange);
            return response_queue(exchange);
        }
    } else {
        request->body = buf_str(&exchange->body);
    }
    struct error error = { 0 };
    if ((route->flags & HTTP_ROUTE_FORM_BODY) != 0 && !exchange_read_form(exchange, &error)) {
        refuse(exchange, &error);
        return response_queue(exchange);
    }
    return run_here(exchange, call_resumed);
}

enum MHD_Result exchange_on_request(void *data, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload_data,
                                    size_t *upload_data_size, void **context)
{
    (void)data;
    (void)connection;
    (void)url;
    (void)version;
    struct http_exchange *exchange = *context;
    if (exchange == NULL) {
        return MHD_NO; /* no memory when the request began */
    }
    unhold(exchange);
    switch (exchange->step) {
    case STEP_HEADERS:
        return on_headers(exchange, method);
    case STEP_BODY:
        return *upload_data_size > 0 ? on_body(exchange, upload_data, upload_data_size) : on_whole(exchange);
    case STEP_RESUMED:
        return run_here(exchange, call_resumed);
    case STEP_ANSWER:
        return response_queue(exchange);
    case STEP_ANSWERED:
        break;
    }
    return MHD_YES;
}
