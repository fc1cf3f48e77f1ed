/* http_fixture.h — a server with a handler of each kind, and a plain socket to ask it by. Every test file that includes it has
 * its own copy. */
#ifndef SHANHAI_TESTS_HTTP_FIXTURE_H
#define SHANHAI_TESTS_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "http/http.h"
#include "http/multipart.h"
#include "http/multipart_write.h"
#include "http/query.h"
#include "http/route.h"
#include "http/stream.h"

enum { DEADLINE_MS = 3000 };

struct fixture {
    struct arena arena;
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct http_request *held;
    struct http_stream *stream;
    bool pool_blocked;
    int pool_entered;
    _Atomic int streams_closed;
    _Atomic size_t uploaded;
    char reply[4 * 1024 * 1024];
};

/* ---- handlers ---- */

static inline enum http_verdict hello(struct http_request *request)
{
    struct str text =
        arena_printf(&request->arena, "hello %.*s", STR_FMT(http_parameter(request, STR("name"))));
    http_respond(request, 200, STR("text/plain"), text);
    return HTTP_DONE;
}

static inline enum http_verdict echo(struct http_request *request)
{
    http_respond(request, 200, STR("application/octet-stream"), request->body);
    return HTTP_DONE;
}

static inline enum http_verdict pairs(struct http_request *request)
{
    struct str text = STR("");
    for (size_t i = 0; i < request->pairs_count; i++) {
        text = arena_printf(&request->arena, "%.*s[%.*s=%.*s]", STR_FMT(text),
                            STR_FMT(request->pairs[i].name), STR_FMT(request->pairs[i].value));
    }
    http_respond(request, 200, STR("text/plain; charset=utf-8"), text);
    return HTTP_DONE;
}

static inline enum http_verdict add_headers(struct http_request *request)
{
    http_add_header(request, STR("Location"), http_query_value(request, STR("to")));
    http_add_header(request, STR("Cache-Control"), STR("max-age=5"));
    http_respond(request, 201, STR_NONE, STR(""));
    return HTTP_DONE;
}

static inline enum http_verdict answer_held(struct http_request *request)
{
    http_respond(request, 200, STR("text/plain"), STR("resumed"));
    return HTTP_DONE;
}

static inline enum http_verdict hold_request(struct http_request *request)
{
    struct fixture *fixture = request->context;
    request->next = answer_held;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->held = request;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    return HTTP_LATER;
}

static inline enum http_verdict resume_at_once(struct http_request *request)
{
    request->next = answer_held;
    http_resume(request);
    return HTTP_LATER;
}

static inline enum http_verdict in_pool(struct http_request *request)
{
    struct fixture *fixture = request->context;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_entered++;
    (void)pthread_cond_broadcast(&fixture->changed);
    while (fixture->pool_blocked) {
        (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    (void)pthread_mutex_unlock(&fixture->lock);
    http_respond(request, 200, STR("text/plain"), STR("pool"));
    return HTTP_DONE;
}

static inline enum http_verdict to_pool(struct http_request *request)
{
    return http_run_in_pool(request, in_pool);
}

/* In the pool, then held by another thread, then answered. */
static inline enum http_verdict pool_then_hold(struct http_request *request)
{
    return hold_request(request);
}

static inline bool count_upload(struct http_request *request, struct str piece, struct error *error)
{
    struct fixture *fixture = request->context;
    if (memchr(piece.at, '!', piece.len) != NULL) {
        return FAIL(error, ERROR_RULE, "no exclamation marks");
    }
    (void)atomic_fetch_add(&fixture->uploaded, piece.len);
    return true;
}

static inline enum http_verdict upload_done(struct http_request *request)
{
    struct fixture *fixture = request->context;
    http_respond(request, 200, STR("text/plain"),
                 arena_printf(&request->arena, "%zu bytes", atomic_load(&fixture->uploaded)));
    return HTTP_DONE;
}

static inline bool need_key(struct http_request *request)
{
    if (str_equal(http_header(request, STR("x-key")), STR("42"))) {
        return true;
    }
    struct error error = { 0 };
    (void)FAIL(&error, ERROR_SIGN_IN, "sign in first");
    http_respond_error(request, &error);
    return false;
}

static inline void stream_gone(struct http_stream *stream, void *data)
{
    (void)stream;
    struct fixture *fixture = data;
    (void)atomic_fetch_add(&fixture->streams_closed, 1);
}

static inline enum http_verdict events(struct http_request *request)
{
    struct fixture *fixture = request->context;
    struct error error = { 0 };
    struct http_stream *stream = NULL;
    struct http_stream_options options = { .on_closed = stream_gone, .data = fixture };
    if (!http_stream_open(request, &options, &stream, &error)) {
        http_respond_error(request, &error);
        return HTTP_DONE;
    }
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->stream = stream;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    return HTTP_DONE;
}

static inline enum http_verdict file_range(struct http_request *request)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    http_respond_file(request, 206, STR("application/octet-stream"),
                      (struct http_file){ .fd = fd, .offset = 1, .len = 3 });
    return HTTP_DONE;
}

/* A part that begins in the middle of a page; what lies behind the end of the file is refused. */
static inline enum http_verdict mapped_part(struct http_request *request)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct http_part part = {
        .content_type = STR("application/octet-stream"), .fd = fd, .offset = 1, .len = UINT64_C(1) << 40
    };
    assert_true(fd >= 0);
    assert_false(http_respond_multipart_file(request, 200, STR("application/octet-stream"), &part));
    part.offset = UINT64_C(1) << 40;
    part.len = 3;
    assert_false(http_respond_multipart_file(request, 200, STR("application/octet-stream"), &part));
    part.offset = 1;
    assert_true(http_respond_multipart_file(request, 200, STR("application/octet-stream"), &part));
    (void)close(fd);
    return HTTP_DONE;
}

static inline ptrdiff_t pull_numbers(void *data, uint64_t position, char *out, size_t size)
{
    (void)data;
    (void)position;
    int *next = data;
    if (*next == 20000) {
        return HTTP_PULL_END;
    }
    return (ptrdiff_t)snprintf(out, size, "%d,", (*next)++);
}

static inline enum http_verdict numbers(struct http_request *request)
{
    int *next = ARENA_NEW(&request->arena, int);
    http_respond_pull(request, 200, STR("text/plain"), HTTP_LEN_UNKNOWN, pull_numbers, next);
    return HTTP_DONE;
}

static inline enum http_part_verdict next_part(void *data, struct http_part *part)
{
    int *count = data;
    if (*count == 3) {
        return HTTP_PART_END;
    }
    part->content_type = STR("application/dicom");
    part->body = *count == 1 ? STR("") : STR("--\r\n--content\r\n");
    (*count)++;
    return HTTP_PART;
}

static inline enum http_verdict parts(struct http_request *request)
{
    int *count = ARENA_NEW(&request->arena, int);
    struct http_multipart_source source = { .next = next_part,
                                            .data = count,
                                            .root_type = STR("application/dicom") };
    http_respond_multipart(request, 200, &source);
    return HTTP_DONE;
}

static const struct http_route routes[] = {
    { HTTP_GET, "/hello/{name}", .handle = hello },
    { HTTP_GET, "/hello/world", .handle = echo },
    { HTTP_POST, "/echo", .handle = echo, .body_bytes_max = 1000 },
    { HTTP_PUT, "/echo", .handle = echo, .body_bytes_max = 8 * 1024 * 1024 },
    { HTTP_GET, "/pairs", .handle = pairs },
    { HTTP_POST, "/pairs", .handle = pairs, .body_bytes_max = 1000000, .flags = HTTP_ROUTE_FORM_BODY },
    { HTTP_GET, "/headers", .handle = add_headers },
    { HTTP_GET, "/hold", .handle = hold_request },
    { HTTP_GET, "/at-once", .handle = resume_at_once },
    { HTTP_GET, "/pool", .handle = in_pool, .flags = HTTP_ROUTE_POOL },
    { HTTP_GET, "/long", .handle = in_pool, .flags = HTTP_ROUTE_POOL | HTTP_ROUTE_LONG },
    { HTTP_GET, "/to-pool", .handle = to_pool },
    { HTTP_GET, "/pool-hold", .handle = pool_then_hold, .flags = HTTP_ROUTE_POOL },
    { HTTP_POST, "/upload", .handle = upload_done, .flags = HTTP_ROUTE_STREAM, .on_data = count_upload },
    { HTTP_POST, "/upload-pool", .handle = upload_done, .flags = HTTP_ROUTE_STREAM | HTTP_ROUTE_POOL,
      .on_data = count_upload },
    { HTTP_POST, "/guarded", .handle = echo, .body_bytes_max = 1000000, .begin = need_key },
    { HTTP_GET, "/guarded", .handle = hello, .begin = need_key },
    { HTTP_GET, "/events", .handle = events },
    { HTTP_GET, "/file", .handle = file_range },
    { HTTP_GET, "/mapped", .handle = mapped_part, .flags = HTTP_ROUTE_POOL },
    { HTTP_GET, "/numbers", .handle = numbers },
    { HTTP_GET, "/parts", .handle = parts },
};

/* ---- the fixture ---- */

static inline int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->arena.bytes_max = 16 * 1024 * 1024;
    (void)pthread_mutex_init(&fixture->lock, NULL);
    (void)pthread_cond_init(&fixture->changed, NULL);
    struct http_options options = {
        .network_threads = 2,
        .pool_threads = 2,
        .pool_queue_max = 2,
        .body_timeout_s = 1,
        .deadline_ms = DEADLINE_MS,
        .streams_max = 4,
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .context = fixture,
    };
    struct error error = { 0 };
    bool ok = http_server_start(&fixture->arena, &options, &fixture->server, &error);
    if (!ok) {
        print_error("%s\n", error.text);
    }
    *state = fixture;
    return ok ? 0 : -1;
}

static inline int stop(void **state)
{
    struct fixture *fixture = *state;
    bool stopped = http_server_stop(fixture->server, 5000);
    http_stream_close(fixture->stream);
    arena_deinit(&fixture->arena);
    free(fixture);
    return stopped ? 0 : -1;
}

static inline int dial(struct fixture *fixture)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(http_server_port(fixture->server)),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct timeval timeout = { .tv_sec = 20 };
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads until `until` has come or the peer closes; what came, NUL-terminated. */
static inline const char *hear(struct fixture *fixture, int fd, const char *until)
{
    size_t len = 0;
    fixture->reply[0] = '\0';
    while (len + 1 < sizeof fixture->reply && (until == NULL || strstr(fixture->reply, until) == NULL)) {
        ssize_t count = recv(fd, fixture->reply + len, sizeof fixture->reply - len - 1, 0);
        if (count <= 0) {
            break;
        }
        len += (size_t)count;
        fixture->reply[len] = '\0';
    }
    return fixture->reply;
}

/* One request on its own connection; "Connection: close" is part of `text`. */
static inline const char *ask(struct fixture *fixture, const char *text)
{
    int fd = dial(fixture);
    say(fd, text);
    (void)hear(fixture, fd, NULL);
    (void)close(fd);
    return fixture->reply;
}

#define REST " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define assert_has(text, part)                                                                               \
    do {                                                                                                     \
        if (strstr((text), (part)) == NULL) {                                                                \
            fail_msg("'%s' is not in:\n%.2000s", (part), (text));                                            \
        }                                                                                                    \
    } while (0)
#define assert_has_not(text, part) assert_null(strstr((text), (part)))

static inline struct http_request *take_held(struct fixture *fixture)
{
    (void)pthread_mutex_lock(&fixture->lock);
    while (fixture->held == NULL) {
        (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    struct http_request *request = fixture->held;
    fixture->held = NULL;
    (void)pthread_mutex_unlock(&fixture->lock);
    return request;
}

#endif
