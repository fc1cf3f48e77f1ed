/* http.h — an HTTP/1.1 server that knows no FHIR: a table of routes, requests in an arena, responses
 * from memory, files, pull functions and event streams (docs/modules/http.md). On libmicrohttpd, whose
 * header is included nowhere outside this folder.
 *
 * Ownership: a request and all that hangs on it (arena, slices of headers, parameters, body) lives until
 * the answer has left; nobody frees it. The caller's route table and options outlive the server.
 *
 * Threads: `begin`, `handle` and `on_data` of a route run on a network thread and do only work bounded
 * to about 2 ms, or, for routes flagged HTTP_ROUTE_POOL, on a pool thread where blocking is allowed.
 * A request is used by one thread at a time. http_resume, http_stream_* and http_server_* may be called
 * from any thread.
 *
 *     static enum http_verdict hello(struct http_request *request)
 *     {
 *         http_respond(request, 200, STR("text/plain"), STR("hello"));
 *         return HTTP_DONE;
 *     }
 *     static const struct http_route routes[] = { { HTTP_GET, "/hello/{name}", hello } };
 */
#ifndef SHANHAI_HTTP_HTTP_H
#define SHANHAI_HTTP_HTTP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

struct http_server;
struct http_request;

enum http_method {
    HTTP_GET, /* HEAD arrives as HTTP_GET with request->is_head; the body of the answer is dropped */
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS, /* without a row of its own it is answered 204 with Allow */
    HTTP_METHODS_COUNT
};

/* What a handler says. HTTP_DONE: the response is set. HTTP_LATER: somebody holds the request and will
 * call http_resume exactly once, from any thread, however it ends; then request->next (or, when that is
 * NULL, the route's handler) is called again. The holder resumes even when he only has bad news: a
 * request that is never resumed keeps the server from stopping. */
enum http_verdict { HTTP_DONE, HTTP_LATER };

enum http_route_flags {
    HTTP_ROUTE_POOL = 1,        /* handle (and on_data) run in the pool; 503 when its queue is full */
    HTTP_ROUTE_STREAM = 2,      /* the body goes to on_data in pieces; body_bytes_max 0 means no limit */
    HTTP_ROUTE_FORM_BODY = 4,   /* an application/x-www-form-urlencoded body is added to the pairs */
    HTTP_ROUTE_NO_DEADLINE = 8, /* uploads, streams, large answers: begun however late */
    /* With HTTP_ROUTE_POOL: one request may ask for thousands of things. Half of the pool's threads and of its queue at
     * most are given to such, so that what others ask one by one is answered beside them. */
    HTTP_ROUTE_LONG = 16
};

/* One row. Templates: "/fhir/{type}/{id}"; a parameter fills one segment and may have text before and
 * after it ("/fhir/{type}/${name}"); a last "{rest*}" takes whatever is left, slashes included, also
 * nothing. The most specific row wins: literal before parameter with text before bare parameter before
 * rest, from left to right. */
struct http_route {
    enum http_method method;
    const char *template;
    enum http_verdict (*handle)(struct http_request *request);
    const void *data; /* the table owner's: rights, resource types, … */
    size_t body_bytes_max;
    unsigned flags; /* enum http_route_flags */
    /* Optional, on a network thread, when the headers are there and before any of the body is read.
     * False: the response is set (401, 413, 415 …) and the body is not read. */
    bool (*begin)(struct http_request *request);
    /* HTTP_ROUTE_STREAM: the next piece of the body. False refuses with *error; the rest is dropped. */
    bool (*on_data)(struct http_request *request, struct str piece, struct error *error);
};

struct http_pair {
    struct str name;
    struct str value;
};

/* Bytes of an open file. The response takes the descriptor over and closes it. */
struct http_file {
    int fd;
    uint64_t offset;
    uint64_t len;
};

struct http_request {
    struct arena arena; /* LIMIT_REQUEST_ARENA_BYTES; freed when the answer has left */
    struct http_server *server;
    const struct http_route *route; /* NULL in on_error when no row matched */
    enum http_method method;
    bool is_head;
    struct str path;                    /* as sent: not decoded, without query */
    struct str query;                   /* as sent */
    const struct http_pair *parameters; /* of the template, decoded; in order */
    size_t parameters_count;
    const struct http_pair *pairs; /* of the query, then of a form body; decoded, checked UTF-8, in order */
    size_t pairs_count;
    struct str body;           /* whole; empty for HTTP_ROUTE_STREAM */
    struct str id;             /* request id, sent as X-Request-Id and logged */
    struct str client_address; /* "127.0.0.1", "::1" */
    int64_t started_us;        /* clock_monotonic_us when the headers were there */
    int64_t deadline_us;       /* work after this is of no use to anybody */
    void *state;               /* the handler's */
    void *context;             /* options.context: the program */
    enum http_verdict (*next)(
        struct http_request *request); /* called on a network thread after http_resume */
};

/* ---- asking ---- */

/* First header of that name in any case, or STR_NONE. */
struct str http_header(const struct http_request *request, struct str name);
struct str http_cookie(const struct http_request *request, struct str name);

/* Path parameter, or STR_NONE when the template has none of that name. */
struct str http_parameter(const struct http_request *request, struct str name);

/* First pair of that name, or STR_NONE. */
struct str http_query_value(const struct http_request *request, struct str name);

/* Media type of the request's body: lower case, without parameters; empty when absent. */
struct str http_content_type(struct http_request *request);

/* ---- answering: the first of these wins; each may be called once ---- */

/* `body` lives as long as the request (arena, constant). An absent type leaves Content-Type out. */
void http_respond(struct http_request *request, int status, struct str content_type, struct str body);

/* `release(data)` runs when the body is no longer needed. */
void http_respond_owned(struct http_request *request, int status, struct str content_type, struct str body,
                        void (*release)(void *data), void *data);

/* sendfile. Takes file.fd over in every case. */
void http_respond_file(struct http_request *request, int status, struct str content_type,
                       struct http_file file);

/* A range of a file between two texts (in the arena, may be empty), of known length and without a copy of our own: its
 * pages are mapped and read in here, so call it in the pool. The file stays the caller's. False, with nothing set, when it
 * cannot be mapped or is shorter than said. */
bool http_respond_mapped(struct http_request *request, int status, struct str content_type,
                         const struct http_file *file, struct str head, struct str tail);

/* Pull: fills `out` and returns the count of bytes (> 0), HTTP_PULL_END or HTTP_PULL_ERROR (the
 * connection is cut, so that the client sees that the answer is not whole). Runs on a network thread.
 * `len` is the whole length or HTTP_LEN_UNKNOWN (chunked). `data` lives in the arena. */
enum { HTTP_PULL_END = -1, HTTP_PULL_ERROR = -2 };
#define HTTP_LEN_UNKNOWN UINT64_MAX
void http_respond_pull(struct http_request *request, int status, struct str content_type, uint64_t len,
                       ptrdiff_t (*pull)(void *data, uint64_t position, char *out, size_t size), void *data);

/* The server's error text for *error, by options.on_error. `retry_after_s` 0 leaves the header out. */
void http_respond_error(struct http_request *request, const struct error *error);

/* Adds a header to the answer, before or after http_respond. Name and value are copied. Control bytes in
 * the value (CR, LF, NUL …) are written as %0D, so that no value can start a header of its own.
 * Cache-Control replaces the default `no-store`, Content-Security-Policy the default policy. */
void http_add_header(struct http_request *request, struct str name, struct str value);

/* ---- waiting and blocking ---- */

/* The holder of an HTTP_LATER request gives it back. After this call the request is not the caller's. */
void http_resume(struct http_request *request);

/* From a handler on a network thread: go on with `run` on a pool thread. Returns HTTP_LATER, or
 * HTTP_DONE with 503 and Retry-After set when the pool's queue is full: `return http_run_in_pool(…)`. */
enum http_verdict http_run_in_pool(struct http_request *request,
                                   enum http_verdict (*run)(struct http_request *request));

/* ---- a request inside of a request ---- */

/* Runs a row of the table as if it had been asked by itself, with the headers of the request around it (not those about
 * its body and its conditions). On a pool thread; only for rows of the pool that take no stream. `answer` is copied into
 * the arena around. False: there is no such row, or it cannot be asked so; whatever the row answers is true. */
struct http_inside {
    enum http_method method;
    struct str target; /* "/path?query" */
    struct str content_type;
    struct str body;
    int status;
    struct str answer;
};
bool http_request_inside(struct http_request *around, struct http_inside *inside,
                         struct error *error) MUST_CHECK;

/* ---- the server ---- */

/* Which pages of other origins may ask by script, cors.c. Paths are lists that end with NULL, each with what is below it. */
struct http_cors {
    const struct str *origins; /* "https://app.example", compared byte by byte; none: nobody */
    size_t origins_count;
    const char *const *paths;      /* for these origins */
    const char *const *open_paths; /* for any, once there is a list at all: what is public anyway */
};

/* Scheme, host in small letters, and port where it is not the scheme's own; no "*", no path. */
bool http_cors_origin_acceptable(struct str origin);

struct http_options {
    const char *bind_address; /* "127.0.0.1", "::1", "0.0.0.0" */
    uint16_t port;            /* 0: the system chooses; http_server_port tells */
    unsigned network_threads; /* 0: one a core */
    unsigned pool_threads;    /* 0: 4 */
    unsigned pool_queue_max;  /* 0: 64 */
    unsigned connections_max; /* 0: 1024 */
    unsigned streams_max;     /* event streams; 0: 256 */
    unsigned idle_timeout_s;  /* 0: 60; a connection without traffic */
    unsigned body_timeout_s;  /* 0: 60, plus a second for each 16 KB received */
    unsigned deadline_ms;     /* 0: 30000; request->deadline_us */
    bool access_log;          /* a line a request: never a query, an id, a body */
    const struct http_route *routes;
    size_t routes_count;
    /* Sets the response for an error of this layer: no row (404), method (405, `allow` is then the list for
     * Allow, already added), path or query not decodable (400), body too large (413), pool full (503), and of
     * http_respond_error. NULL: plain text. Runs on network and pool threads. */
    void (*on_error)(struct http_request *request, const struct error *error);
    void *context; /* request->context */
    struct http_cors cors;
};

/* Listens when it returns true. */
bool http_server_start(struct arena *arena, const struct http_options *options, struct http_server **server,
                       struct error *error) MUST_CHECK;

uint16_t http_server_port(const struct http_server *server);

/* Takes no new connections, ends event streams, lets requests in work finish (at most grace_ms), then
 * closes. False: requests were still held by somebody; threads and memory are then left as they are, and
 * the process should end. NULL gives true. */
bool http_server_stop(struct http_server *server, unsigned grace_ms);

/* Counters and histograms of every route in Prometheus' text form. */
void http_server_metrics(struct http_server *server, struct buf *out);

#endif
