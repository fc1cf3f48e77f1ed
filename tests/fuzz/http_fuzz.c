/* Any bytes on a connection to a real server on loopback: it answers or closes, and afterwards still answers an ordinary
 * request. The first input starts the server; it lives as long as the process. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "http/http.h"
#include "http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WAIT_S = 5, LOOK_EVERY = 64 };

static enum http_verdict echo(struct http_request *request)
{
    (void)http_cookie(request, STR("session"));
    (void)http_content_type(request);
    (void)http_header(request, STR("Accept"));
    http_add_header(request, STR("X-Said"), http_query_value(request, STR("q")));
    http_add_header(request, STR("Location"), http_parameter(request, STR("id")));
    http_respond(request, 200, STR("text/plain"), request->body);
    return HTTP_DONE;
}

static bool take_piece(struct http_request *request, struct str piece, struct error *error)
{
    (void)request;
    return piece.len == 0 || piece.at[0] != '!' || FAIL(error, ERROR_RULE, "no exclamation marks");
}

static const struct http_route routes[] = {
    { .method = HTTP_GET, .template = "/a/{id}", .handle = echo },
    { .method = HTTP_PUT, .template = "/a/{id}/b/{more}", .handle = echo, .body_bytes_max = 1024 },
    { .method = HTTP_POST,
      .template = "/pool",
      .handle = echo,
      .body_bytes_max = 65536,
      .flags = HTTP_ROUTE_POOL },
    { .method = HTTP_POST,
      .template = "/form",
      .handle = echo,
      .body_bytes_max = 65536,
      .flags = HTTP_ROUTE_FORM_BODY },
    { .method = HTTP_POST,
      .template = "/stream",
      .handle = echo,
      .body_bytes_max = 65536,
      .flags = HTTP_ROUTE_STREAM | HTTP_ROUTE_POOL,
      .on_data = take_piece },
};

static uint16_t server_port(void)
{
    static _Atomic uint16_t port;
    if (port == 0) {
        static struct arena arena = { .bytes_max = 16u << 20 };
        static struct http_server *server;
        struct error error = { 0 };
        const struct http_options options = { .bind_address = "127.0.0.1",
                                              .network_threads = 1,
                                              .pool_threads = 1,
                                              .routes = routes,
                                              .routes_count = sizeof routes / sizeof *routes };
        bool ok = http_server_start(&arena, &options, &server, &error);
        assert(ok);
        port = http_server_port(server);
    }
    return port;
}

/* Sends, says that there is no more, and reads to the end. Gives the first bytes of the answer. */
static size_t talk(const void *bytes, size_t size, char *answer, size_t room)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(server_port()),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval wait = { .tv_sec = WAIT_S };
    char rest[4096];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    assert(ok);
    (void)!send(fd, bytes, size, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    ssize_t got = recv(fd, answer, room, 0);
    for (; got > 0; got = recv(fd, rest, sizeof rest, 0)) {
        len = len == 0 ? (size_t)got : len;
    }
    (void)close(fd);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;
    static const char fine[] = "GET /a/1?q=2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[256] = { 0 };
    if (size > 60000) {
        return 0;
    }
    size_t len = talk(data, size, answer, sizeof answer);
    assert(len < 9 || memcmp(answer, "HTTP/1.", 7) == 0);
    assert(len < 10 || answer[9] != '5' || memcmp(answer + 9, "503", 3) == 0 ||
           memcmp(answer + 9, "505", 3) == 0 || memcmp(answer + 9, "501", 3) == 0);
    if (count++ % LOOK_EVERY == 0) {
        len = talk(fine, sizeof fine - 1, answer, sizeof answer);
        assert(len > 12);
        assert(memcmp(answer, "HTTP/1.1 200", 12) == 0);
    }
    return 0;
}
