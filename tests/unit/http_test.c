/* The HTTP server, black box: a real server on a port of the system's choice and raw sockets, so that
 * what no proper client would send is sent too. */
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

static enum http_verdict hello(struct http_request *request)
{
    struct str text =
        arena_printf(&request->arena, "hello %.*s", STR_FMT(http_parameter(request, STR("name"))));
    http_respond(request, 200, STR("text/plain"), text);
    return HTTP_DONE;
}

static enum http_verdict echo(struct http_request *request)
{
    http_respond(request, 200, STR("application/octet-stream"), request->body);
    return HTTP_DONE;
}

static enum http_verdict pairs(struct http_request *request)
{
    struct str text = STR("");
    for (size_t i = 0; i < request->pairs_count; i++) {
        text = arena_printf(&request->arena, "%.*s[%.*s=%.*s]", STR_FMT(text),
                            STR_FMT(request->pairs[i].name), STR_FMT(request->pairs[i].value));
    }
    http_respond(request, 200, STR("text/plain; charset=utf-8"), text);
    return HTTP_DONE;
}

static enum http_verdict add_headers(struct http_request *request)
{
    http_add_header(request, STR("Location"), http_query_value(request, STR("to")));
    http_add_header(request, STR("Cache-Control"), STR("max-age=5"));
    http_respond(request, 201, STR_NONE, STR(""));
    return HTTP_DONE;
}

static enum http_verdict answer_held(struct http_request *request)
{
    http_respond(request, 200, STR("text/plain"), STR("resumed"));
    return HTTP_DONE;
}

static enum http_verdict hold_request(struct http_request *request)
{
    struct fixture *fixture = request->context;
    request->next = answer_held;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->held = request;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    return HTTP_LATER;
}

static enum http_verdict resume_at_once(struct http_request *request)
{
    request->next = answer_held;
    http_resume(request);
    return HTTP_LATER;
}

static enum http_verdict in_pool(struct http_request *request)
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

static enum http_verdict to_pool(struct http_request *request)
{
    return http_run_in_pool(request, in_pool);
}

/* In the pool, then held by another thread, then answered. */
static enum http_verdict pool_then_hold(struct http_request *request)
{
    return hold_request(request);
}

static bool count_upload(struct http_request *request, struct str piece, struct error *error)
{
    struct fixture *fixture = request->context;
    if (memchr(piece.at, '!', piece.len) != NULL) {
        return FAIL(error, ERROR_RULE, "no exclamation marks");
    }
    (void)atomic_fetch_add(&fixture->uploaded, piece.len);
    return true;
}

static enum http_verdict upload_done(struct http_request *request)
{
    struct fixture *fixture = request->context;
    http_respond(request, 200, STR("text/plain"),
                 arena_printf(&request->arena, "%zu bytes", atomic_load(&fixture->uploaded)));
    return HTTP_DONE;
}

static bool need_key(struct http_request *request)
{
    if (str_equal(http_header(request, STR("x-key")), STR("42"))) {
        return true;
    }
    struct error error = { 0 };
    (void)FAIL(&error, ERROR_SIGN_IN, "sign in first");
    http_respond_error(request, &error);
    return false;
}

static void stream_gone(struct http_stream *stream, void *data)
{
    (void)stream;
    struct fixture *fixture = data;
    (void)atomic_fetch_add(&fixture->streams_closed, 1);
}

static enum http_verdict events(struct http_request *request)
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

static enum http_verdict file_range(struct http_request *request)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    http_respond_file(request, 206, STR("application/octet-stream"),
                      (struct http_file){ .fd = fd, .offset = 1, .len = 3 });
    return HTTP_DONE;
}

/* A part that begins in the middle of a page; what lies behind the end of the file is refused. */
static enum http_verdict mapped_part(struct http_request *request)
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

static ptrdiff_t pull_numbers(void *data, uint64_t position, char *out, size_t size)
{
    (void)data;
    (void)position;
    int *next = data;
    if (*next == 20000) {
        return HTTP_PULL_END;
    }
    return (ptrdiff_t)snprintf(out, size, "%d,", (*next)++);
}

static enum http_verdict numbers(struct http_request *request)
{
    int *next = ARENA_NEW(&request->arena, int);
    http_respond_pull(request, 200, STR("text/plain"), HTTP_LEN_UNKNOWN, pull_numbers, next);
    return HTTP_DONE;
}

static enum http_part_verdict next_part(void *data, struct http_part *part)
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

static enum http_verdict parts(struct http_request *request)
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

static int start(void **state)
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

static int stop(void **state)
{
    struct fixture *fixture = *state;
    bool stopped = http_server_stop(fixture->server, 5000);
    http_stream_close(fixture->stream);
    arena_deinit(&fixture->arena);
    free(fixture);
    return stopped ? 0 : -1;
}

static int dial(struct fixture *fixture)
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

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads until `until` has come or the peer closes; what came, NUL-terminated. */
static const char *hear(struct fixture *fixture, int fd, const char *until)
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
static const char *ask(struct fixture *fixture, const char *text)
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

static struct http_request *take_held(struct fixture *fixture)
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

/* ---- routes and answers ---- */

static void rows_are_found_and_others_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /hello/%E5%B1%B1" REST), "hello 山");
    assert_has(ask(fixture, "GET /hello/world" REST), "Content-Length: 0");
    assert_has(ask(fixture, "GET /nothing" REST), "HTTP/1.1 404");
    const char *reply = ask(fixture, "DELETE /echo" REST);
    assert_has(reply, "HTTP/1.1 405");
    assert_has(reply, "Allow: POST, PUT, OPTIONS\r\n");
    assert_has(ask(fixture, "BREW /echo" REST), "HTTP/1.1 405");
    reply = ask(fixture, "OPTIONS /hello/x" REST);
    assert_has(reply, "HTTP/1.1 204");
    assert_has(reply, "Allow: GET, HEAD, OPTIONS\r\n");
}

static void head_is_get_without_body(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "HEAD /hello/you" REST);
    assert_has(reply, "HTTP/1.1 200");
    assert_has(reply, "Content-Length: 9\r\n");
    assert_has_not(reply, "hello you");
    assert_has_not(ask(fixture, "HEAD /numbers" REST), "1,2");
}

static void every_answer_has_the_security_headers(void **state)
{
    struct fixture *fixture = *state;
    const char *const requests[] = { "GET /hello/x" REST, "GET /nothing" REST, "POST /hello/x" REST };
    const char *const headers[] = { "Content-Security-Policy: default-src 'self'; ",
                                    "frame-ancestors 'none'",
                                    "X-Content-Type-Options: nosniff\r\n",
                                    "X-Frame-Options: DENY\r\n",
                                    "Referrer-Policy: no-referrer\r\n",
                                    "Cross-Origin-Opener-Policy: same-origin\r\n",
                                    "Cache-Control: no-store\r\n",
                                    "X-Request-Id: ",
                                    "Date: " };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        const char *reply = ask(fixture, requests[i]);
        for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++) {
            assert_has(reply, headers[k]);
        }
    }
}

static void no_value_starts_a_header_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "GET /headers?to=/a%0d%0aSet-Cookie:%20x=1" REST);
    assert_has(reply, "HTTP/1.1 201");
    assert_has(reply, "Location: /a%0D%0ASet-Cookie: x=1\r\n");
    assert_has_not(reply, "\r\nSet-Cookie");
    assert_has(reply, "Cache-Control: max-age=5\r\n");
    assert_has_not(reply, "no-store");
}

static void files_pulls_and_parts_arrive_whole(void **state)
{
    struct fixture *fixture = *state;
    const char *reply = ask(fixture, "GET /file" REST);
    assert_has(reply, "HTTP/1.1 206");
    assert_has(reply, "\r\n\r\nELF");
    reply = ask(fixture, "GET /mapped" REST);
    assert_has(reply, "HTTP/1.1 200");
    assert_has(reply, "Content-Length: ");
    assert_has_not(reply, "chunked");
    assert_has(reply, "\r\nContent-Type: application/octet-stream\r\n\r\nELF\r\n--part-");
    assert_true(str_ends_with(str_from_cstr(reply), STR("--\r\n")));
    reply = ask(fixture, "GET /numbers HTTP/1.0\r\n\r\n");
    assert_has(reply, "\r\n\r\n0,1,2,");
    assert_has(reply, ",19998,19999,");
    reply = ask(fixture, "GET /parts HTTP/1.0\r\n\r\n");
    assert_has(reply, "Content-Type: multipart/related; type=\"application/dicom\"; boundary=part-");
    const char *body = strstr(reply, "\r\n\r\n") + 4;
    size_t count = 0;
    for (const char *at = body; (at = strstr(at, "Content-Type: application/dicom\r\n")) != NULL; at++) {
        count++;
    }
    assert_int_equal(count, 3);
    assert_has(body, "\r\n\r\n--\r\n--content\r\n\r\n--part-");
    assert_true(str_ends_with(str_from_cstr(body), STR("--\r\n")));
}

/* ---- bodies ---- */

static void bodies_come_in_pieces_and_chunks(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
    (void)usleep(100000);
    say(fd, "def");
    assert_has(hear(fixture, fd, "abcdef"), "HTTP/1.1 200");
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
            "chunked\r\n\r\n3\r\nxyz\r\n2;a=b\r\n12\r\n0\r\n\r\n");
    assert_has(hear(fixture, fd, "xyz12"), "HTTP/1.1 200");
    (void)close(fd);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    const char *reply =
        ask(fixture, "GET /hello/a HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\n"
                     "Content-Length: 4\r\n\r\nbodyGET /at-once HTTP/1.1\r\nHost: x\r\n\r\n"
                     "GET /pool HTTP/1.1\r\nHost: x\r\n\r\nGET /hello/z" REST);
    const char *at = strstr(reply, "hello a");
    assert_non_null(at);
    const char *const next[] = { "\r\n\r\nbody", "resumed", "\r\n\r\npool", "hello z" };
    for (size_t i = 0; i < sizeof next / sizeof next[0]; i++) {
        at = strstr(at, next[i]);
        assert_non_null(at);
    }
}

static size_t resident_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long total = 0;
    long resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
    (void)fclose(file);
    return (size_t)resident * 4;
}

static void a_gigabyte_is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    size_t before_kb = resident_kb();
    static char block[64 * 1024];
    memset(block, 'x', sizeof block);
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
    for (int i = 0; i < 300; i++) { /* a client that sends on without looking */
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0) {
            break;
        }
    }
    const char *reply = hear(fixture, fd, NULL);
    assert_has(reply, "HTTP/1.1 413");
    assert_has(reply, "larger than the 1000 bytes");
    (void)close(fd);
    assert_true(resident_kb() < before_kb + 8 * 1024);
}

static void a_chunked_body_over_the_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char chunk[600];
    (void)snprintf(chunk, sizeof chunk, "1f4\r\n%0500d\r\n", 7);
    for (int i = 0; i < 10; i++) {
        say(fd, chunk);
    }
    say(fd, "0\r\n\r\n");
    assert_has(hear(fixture, fd, "bytes allowed here"), "HTTP/1.1 413");
    say(fd, "GET /hello/again HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "hello again"), "HTTP/1.1 200"); /* the connection lives */
    (void)close(fd);
}

static void a_body_that_does_not_come_is_cut(void **state)
{
    struct fixture *fixture = *state;
    int fd = dial(fixture);
    say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    int64_t begun_us = clock_monotonic_us();
    assert_string_equal(hear(fixture, fd, NULL), "");
    assert_true(clock_monotonic_us() - begun_us < 15 * 1000000);
    (void)close(fd);
}

static void uploads_stream_through(void **state)
{
    struct fixture *fixture = *state;
    const char *const paths[] = { "/upload", "/upload-pool" };
    static char block[1000000];
    memset(block, 'x', sizeof block);
    for (size_t p = 0; p < 2; p++) {
        atomic_store(&fixture->uploaded, 0);
        char head[200];
        (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n",
                       paths[p]);
        int fd = dial(fixture);
        say(fd, head);
        for (int i = 0; i < 20; i++) {
            for (size_t sent = 0; sent < sizeof block;) {
                ssize_t count = send(fd, block + sent, sizeof block - sent, MSG_NOSIGNAL);
                assert_true(count > 0);
                sent += (size_t)count;
            }
        }
        assert_has(hear(fixture, fd, " bytes"), "HTTP/1.1 200");
        assert_has(fixture->reply, "\r\n\r\n20000000 bytes");
        (void)close(fd);
    }
}

static void chunked_uploads_reach_the_pool_and_may_be_refused(void **state)
{
    struct fixture *fixture = *state;
    atomic_store(&fixture->uploaded, 0);
    char text[8000] = "POST /upload-pool HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 500; i++) {
        (void)strncat(text, "5\r\nabcde\r\n", sizeof text - strlen(text) - 1);
    }
    (void)strncat(text, "0\r\n\r\n", sizeof text - strlen(text) - 1);
    assert_has(ask(fixture, text), "2500 bytes");
    const char *reply = ask(fixture, "POST /upload-pool HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                     "Content-Length: 3\r\n\r\na!b");
    assert_has(reply, "HTTP/1.1 422");
    assert_has(reply, "no exclamation marks");
    assert_has(ask(fixture, "POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            "Content-Length: 3\r\n\r\na!b"),
               "HTTP/1.1 422");
}

static void the_gate_stands_before_the_body(void **state)
{
    struct fixture *fixture = *state;
    /* A large body is not read: the answer comes although nothing was sent. */
    assert_has(ask(fixture, "POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"),
               "HTTP/1.1 401");
    assert_has(ask(fixture, "POST /guarded HTTP/1.1\r\nHost: x\r\nX-Key: 42\r\nConnection: close\r\n"
                            "Content-Length: 2\r\n\r\nok"),
               "\r\n\r\nok");
    int fd = dial(fixture);
    say(fd, "GET /guarded HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "sign in first"), "HTTP/1.1 401");
    say(fd, "GET /hello/still HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_has(hear(fixture, fd, "hello still"), "HTTP/1.1 200");
    (void)close(fd);
}

static void bad_requests_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /pairs?a=%zz" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%4" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%00" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /pairs?a=%ff" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /hello/%c3%28" REST), "HTTP/1.1 400");
    assert_has(ask(fixture, "GET /hello/x HTTP/1.1\r\n\r\n"), "HTTP/1.1 400"); /* no Host */
    assert_has(
        ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
               "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), "HTTP/1.1 400");
    assert_has(ask(fixture, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
               "HTTP/1.1 400");
    static char longer[LIMIT_URL_BYTES + 200] = "GET /pairs?a=";
    memset(longer + strlen(longer), 'b', LIMIT_URL_BYTES);
    (void)snprintf(longer + strlen(longer), sizeof longer - strlen(longer), "%s", REST);
    assert_has(ask(fixture, longer), "HTTP/1.1 413");
}

static void queries_and_forms_are_decoded(void **state)
{
    struct fixture *fixture = *state;
    assert_has(ask(fixture, "GET /pairs?a=1&b=x+y%2B&&c&%E5%B1%B1=%e6%b5%b7" REST),
               "[a=1][b=x y+][c=][山=海]");
    assert_has(ask(fixture,
                   "POST /pairs?q=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n"
                   "Content-Type: Application/x-www-form-urlencoded; charset=utf-8\r\n\r\nf=2&g=a%3D"),
               "[q=1][f=2][g=a=]");
    assert_has(ask(fixture, "POST /pairs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n"
                            "Content-Type: application/x-www-form-urlencoded\r\n\r\na=%"),
               "HTTP/1.1 400");
}

/* ---- waiting ---- */

static void held_requests_are_resumed_from_other_threads(void **state)
{
    struct fixture *fixture = *state;
    const char *const paths[] = { "GET /hold" REST, "GET /pool-hold" REST };
    for (int i = 0; i < 50; i++) {
        int fd = dial(fixture);
        say(fd, paths[i % 2]);
        struct http_request *request = take_held(fixture);
        if (i % 3 == 0) {
            (void)usleep(2000); /* now and then after the handler has returned */
        }
        http_resume(request);
        assert_has(hear(fixture, fd, NULL), "\r\n\r\nresumed");
        (void)close(fd);
        assert_has(ask(fixture, "GET /at-once" REST), "\r\n\r\nresumed");
    }
}

static void a_full_pool_says_try_again(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = true;
    fixture->pool_entered = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    int fds[4];
    for (int i = 0; i < 4; i++) { /* two at work, two in the queue */
        fds[i] = dial(fixture);
        say(fds[i], i % 2 == 0 ? "GET /pool" REST : "GET /to-pool" REST);
        (void)pthread_mutex_lock(&fixture->lock);
        while (i < 2 && fixture->pool_entered <= i) {
            (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        (void)pthread_mutex_unlock(&fixture->lock);
    }
    /* The queue's two places may not be taken yet: the answer must come within some tries. */
    struct buf metrics = { .bytes_max = 1000000 };
    do {
        buf_clear(&metrics);
        http_server_metrics(fixture->server, &metrics);
        buf_add_char(&metrics, '\0');
    } while (strstr(metrics.at, "shanhai_http_pool_queued 2") == NULL);
    buf_deinit(&metrics);
    const char *const paths[] = { "GET /pool" REST, "GET /to-pool" REST };
    for (int i = 0; i < 2; i++) {
        const char *reply = ask(fixture, paths[i]);
        assert_has(reply, "HTTP/1.1 503");
        assert_has(reply, "Retry-After: 1\r\n");
    }
    assert_has(ask(fixture, "GET /hello/others" REST), "hello others");
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = false;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    for (int i = 0; i < 4; i++) {
        assert_has(hear(fixture, fds[i], NULL), "\r\n\r\npool");
        (void)close(fds[i]);
    }
}

static void work_that_waited_too_long_is_not_begun(void **state)
{
    struct fixture *fixture = *state;
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = true;
    fixture->pool_entered = 0;
    (void)pthread_mutex_unlock(&fixture->lock);
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(fixture);
        say(fds[i], "GET /pool" REST);
        (void)pthread_mutex_lock(&fixture->lock);
        while (i < 2 && fixture->pool_entered <= i) {
            (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
        }
        (void)pthread_mutex_unlock(&fixture->lock);
    }
    (void)usleep((DEADLINE_MS + 300) * 1000);
    (void)pthread_mutex_lock(&fixture->lock);
    fixture->pool_blocked = false;
    (void)pthread_cond_broadcast(&fixture->changed);
    (void)pthread_mutex_unlock(&fixture->lock);
    assert_has(hear(fixture, fds[0], NULL), "\r\n\r\npool");
    assert_has(hear(fixture, fds[1], NULL), "\r\n\r\npool");
    assert_has(hear(fixture, fds[2], NULL), "HTTP/1.1 503");
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
}

/* ---- event streams ---- */

static struct http_stream *open_stream(struct fixture *fixture, int *fd)
{
    *fd = dial(fixture);
    say(*fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)pthread_mutex_lock(&fixture->lock);
    while (fixture->stream == NULL) {
        (void)pthread_cond_wait(&fixture->changed, &fixture->lock);
    }
    struct http_stream *stream = fixture->stream;
    fixture->stream = NULL;
    (void)pthread_mutex_unlock(&fixture->lock);
    return stream;
}

static void wait_closed(struct fixture *fixture, int count)
{
    for (int i = 0; i < 2000 && atomic_load(&fixture->streams_closed) < count; i++) {
        (void)usleep(5000);
    }
    assert_int_equal(atomic_load(&fixture->streams_closed), count);
}

static void events_are_delivered_and_streams_end(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    struct http_stream *stream = open_stream(fixture, &fd);
    assert_has(hear(fixture, fd, ":\n\n"), "Content-Type: text/event-stream\r\n");
    for (int i = 0; i < 100; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        struct http_event event = { .id = str_from_cstr(id),
                                    .type = STR("Task"),
                                    .data = STR("one\ntwo\rdata: x") };
        assert_true(http_stream_push(stream, &event));
        if (i % 10 == 0) {
            (void)usleep(1000); /* some meet a suspended connection, some do not */
        }
    }
    struct http_event last = { .data = STR("last") };
    assert_true(http_stream_push(stream, &last));
    http_stream_close(stream);
    const char *reply = hear(fixture, fd, "\r\n0\r\n\r\n");
    assert_has(reply, "id: 0\nevent: Task\ndata: one\ndata: two\ndata: data: x\n\n");
    assert_has(reply, "id: 99\n");
    assert_has(reply, "data: last\n\n");
    wait_closed(fixture, 1);
    (void)close(fd);
}

static void readers_that_leave_or_lag_are_closed(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    struct http_stream *stream = open_stream(fixture, &fd);
    static char text[60000];
    memset(text, 'e', sizeof text);
    struct http_event event = { .data = { text, sizeof text } };
    int pushed = 0;
    while (http_stream_push(stream, &event)) { /* nobody reads: kernel buffers and our queue fill */
        assert_true(++pushed < 10000);
    }
    wait_closed(fixture, 2);
    assert_false(http_stream_push(stream, &event));
    http_stream_close(stream);
    (void)close(fd);

    stream = open_stream(fixture, &fd);
    (void)close(fd);
    while (http_stream_push(stream, &event)) {
        (void)usleep(2000);
    }
    wait_closed(fixture, 3);
    http_stream_close(stream);
}

static void streams_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct http_stream *streams[4];
    int fds[4];
    for (int i = 0; i < 4; i++) {
        streams[i] = open_stream(fixture, &fds[i]);
    }
    assert_has(ask(fixture, "GET /events" REST), "HTTP/1.1 503");
    for (int i = 0; i < 4; i++) {
        http_stream_close(streams[i]);
        (void)close(fds[i]);
    }
}

/* ---- metrics, stopping ---- */

static void metrics_name_templates_and_never_paths(void **state)
{
    struct fixture *fixture = *state;
    (void)ask(fixture, "GET /hello/secret-name?q=secret-query" REST);
    struct buf metrics = { .bytes_max = 1000000 };
    http_server_metrics(fixture->server, &metrics);
    buf_add_char(&metrics, '\0');
    assert_has(metrics.at,
               "shanhai_http_requests_total{method=\"GET\",route=\"/hello/{name}\",status=\"2xx\"}");
    assert_has(metrics.at,
               "shanhai_http_duration_seconds_bucket{method=\"GET\",route=\"/hello/{name}\",le=\"+Inf\"}");
    assert_has(metrics.at, "route=\"none\",status=\"4xx\"");
    assert_has_not(metrics.at, "secret");
    buf_deinit(&metrics);
}

static void stopping_waits_for_work_and_ends_streams(void **state)
{
    (void)state;
    void *own = NULL;
    assert_int_equal(start(&own), 0);
    struct fixture *fixture = own;
    int stream_fd = -1;
    struct http_stream *stream = open_stream(fixture, &stream_fd);
    int fd = dial(fixture);
    say(fd, "GET /hold" REST);
    struct http_request *request = take_held(fixture);
    assert_false(http_server_stop(fixture->server, 50)); /* somebody holds a request */
    struct http_event event = { .data = STR("late") };
    assert_false(http_stream_push(stream, &event));
    http_resume(request);
    assert_has(hear(fixture, fd, NULL), "resumed");
    http_stream_close(stream);
    (void)close(fd);
    (void)close(stream_fd);
    assert_int_equal(stop(&own), 0);
}

static void a_taken_port_and_a_bad_table_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct arena arena = { .bytes_max = 1 << 20 };
    struct http_options options = { .port = http_server_port(fixture->server) };
    struct http_server *server = NULL;
    struct error error = { 0 };
    assert_false(http_server_start(&arena, &options, &server, &error));
    assert_has(error.text, "port");
    const char *const bad[] = { "x", "/a/{b", "/a/b}", "/{a*}/b", "/a/{}" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_route row = { HTTP_GET, bad[i], .handle = hello };
        struct route_table table;
        assert_false(route_table_init(&table, &arena, &row, 1, &error));
    }
    struct http_route twice[] = { { HTTP_GET, "/a", .handle = hello }, { HTTP_GET, "/a", .handle = echo } };
    struct route_table table;
    assert_false(route_table_init(&table, &arena, twice, 2, &error));
    arena_deinit(&arena);
}

/* ---- matching ---- */

static void the_most_specific_row_wins(void **state)
{
    (void)state;
    static const struct http_route rows[] = {
        { HTTP_GET, "/{rest*}", .handle = hello },
        { HTTP_GET, "/fhir/{type}/{id}", .handle = hello },
        { HTTP_POST, "/fhir/{type}/_search", .handle = hello },
        { HTTP_GET, "/fhir/{type}/${name}", .handle = hello },
        { HTTP_GET, "/fhir/{type}/$export", .handle = hello },
        { HTTP_GET, "/fhir/metadata", .handle = hello },
        { HTTP_GET, "/fhir/{type}", .handle = hello },
        { HTTP_GET, "/img/{series}/{n}.jpg", .handle = hello },
        { HTTP_GET, "/assets/{file*}", .handle = hello },
        { HTTP_GET, "/assets", .handle = hello },
        { HTTP_GET, "/only/{file*}", .handle = hello },
    };
    static const struct {
        const char *path;
        const char *template;
        const char *first;
    } cases[] = {
        { "/fhir/Patient/1", "/fhir/{type}/{id}", "Patient" },
        { "/fhir/Patient/_search", "/fhir/{type}/{id}", "Patient" }, /* GET: the POST row does not hide it */
        { "/fhir/Patient/$export", "/fhir/{type}/$export", "Patient" },
        { "/fhir/Patient/$x", "/fhir/{type}/${name}", "Patient" },
        { "/fhir/Patient/$", "/fhir/{type}/{id}", "Patient" },
        { "/fhir/metadata", "/fhir/metadata", NULL },
        { "/fhir/Patient", "/fhir/{type}", "Patient" },
        { "/fhir/", "/{rest*}", "fhir/" },
        { "/fhir/Patient/1/_history", "/{rest*}", "fhir/Patient/1/_history" },
        { "/img/1.2/7.jpg", "/img/{series}/{n}.jpg", "1.2" },
        { "/img/1.2/.jpg", "/{rest*}", "img/1.2/.jpg" },
        { "/assets/a/b.js", "/assets/{file*}", "a/b.js" },
        { "/assets", "/assets", NULL },
        { "/only", "/only/{file*}", "" },
        { "/", "/{rest*}", "" },
        { "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z", "/{rest*}",
          "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z" },
    };
    struct arena arena = { .bytes_max = 1 << 20 };
    struct route_table table;
    struct error error = { 0 };
    assert_true(route_table_init(&table, &arena, rows, sizeof rows / sizeof rows[0], &error));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct route_match match;
        route_match(&table, HTTP_GET, str_from_cstr(cases[i].path), &match);
        assert_non_null(match.route);
        assert_string_equal(match.route->template, cases[i].template);
        if (cases[i].first != NULL) {
            assert_true(str_equal_cstr(match.parameters[0].value, cases[i].first));
        }
    }
    struct route_match match;
    route_match(&table, HTTP_PUT, STR("/fhir/Patient/_search"), &match);
    assert_null(match.route);
    assert_int_equal(match.methods_allowed, 1u << HTTP_GET | 1u << HTTP_POST);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_row_wins),
        cmocka_unit_test(rows_are_found_and_others_refused),
        cmocka_unit_test(head_is_get_without_body),
        cmocka_unit_test(every_answer_has_the_security_headers),
        cmocka_unit_test(no_value_starts_a_header_of_its_own),
        cmocka_unit_test(files_pulls_and_parts_arrive_whole),
        cmocka_unit_test(bodies_come_in_pieces_and_chunks),
        cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
        cmocka_unit_test(a_gigabyte_is_refused_at_once),
        cmocka_unit_test(a_chunked_body_over_the_limit_is_refused),
        cmocka_unit_test(a_body_that_does_not_come_is_cut),
        cmocka_unit_test(uploads_stream_through),
        cmocka_unit_test(chunked_uploads_reach_the_pool_and_may_be_refused),
        cmocka_unit_test(the_gate_stands_before_the_body),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(queries_and_forms_are_decoded),
        cmocka_unit_test(held_requests_are_resumed_from_other_threads),
        cmocka_unit_test(a_full_pool_says_try_again),
        cmocka_unit_test(work_that_waited_too_long_is_not_begun),
        cmocka_unit_test(events_are_delivered_and_streams_end),
        cmocka_unit_test(readers_that_leave_or_lag_are_closed),
        cmocka_unit_test(streams_are_counted),
        cmocka_unit_test(metrics_name_templates_and_never_paths),
        cmocka_unit_test(stopping_waits_for_work_and_ends_streams),
        cmocka_unit_test(a_taken_port_and_a_bad_table_are_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
