/* internal.h — what the files of this folder share: the exchange (a request with its answer and its place
 * in the state machine) and the server. Nobody outside includes it.
 *
 * One exchange is worked on by one thread at a time. `turn` is the only thing two threads race for: the
 * thread that runs a handler says WAITING when the handler answered HTTP_LATER, http_resume says WOKEN;
 * whoever comes second hands the connection back to its network thread. */
#ifndef SHANHAI_HTTP_INTERNAL_H
#define SHANHAI_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/route.h"
#include "http/stream.h"

enum http_turn { TURN_RUNNING, TURN_WAITING, TURN_WOKEN };

/* What the network thread does when the connection comes back to it. */
enum http_step {
    STEP_HEADERS,  /* first callback */
    STEP_BODY,     /* pieces of the body; then the handler */
    STEP_RESUMED,  /* request->next or the handler once more */
    STEP_ANSWER,   /* the response is set: send it */
    STEP_ANSWERED, /* it is on its way */
};

enum http_content {
    CONTENT_NONE,
    CONTENT_MEMORY,
    CONTENT_FILE,
    CONTENT_MAPPED,
    CONTENT_PULL,
    CONTENT_STREAM
};

struct http_header_out {
    struct http_header_out *next;
    const char *name; /* NUL-terminated, in the arena */
    const char *value;
};

struct http_response {
    enum http_content content;
    int status;
    struct str content_type;
    struct str body;
    struct http_file file;
    struct str mapped_head; /* before and after the mapped bytes, in the arena */
    struct str mapped_tail;
    struct str mapped; /* of the file, within `map` */
    void *map;         /* unmapped when the answer has left, or in response_end when it never went */
    size_t map_len;
    uint64_t len; /* of a pull, or HTTP_LEN_UNKNOWN */
    ptrdiff_t (*pull)(void *data, uint64_t position, char *out, size_t size);
    void *pull_data;
    struct http_stream *stream;
    void (*release)(void *data);
    void *release_data;
    struct http_header_out *headers; /* in order */
    struct http_header_out *headers_last;
    uint64_t bytes_sent; /* of a pull or stream */
    bool failed;         /* the arena was used up while headers were added */
    bool reserve_taken;  /* see response_take_reserve */
};

/* What the housekeeping thread may know of a connection; the fields are its alone or atomic. */
enum connection_phase {
    CONNECTION_UNUSED,
    CONNECTION_RECEIVING_HEADERS,
    CONNECTION_RECEIVING_BODY,
    CONNECTION_BUSY
};

struct http_connection {
    _Atomic int phase;
    _Atomic int64_t until_us; /* RECEIVING_…: cut after this */
    int fd;
    struct http_connection *next_free;
    struct http_exchange *exchange; /* under way on it; only its network thread looks */
};

struct http_exchange {
    struct http_request request; /* first member: a request is an exchange */
    struct MHD_Connection *connection;
    struct http_connection *slot;
    struct http_response response;
    struct http_pair *headers;
    size_t headers_count;
    size_t headers_capacity;
    _Atomic int turn;    /* enum http_turn */
    enum http_step step; /* of the thread that has the exchange */
    bool in_pool;        /* a pool thread runs the handler */
    bool refused;        /* the response is set before the body was read: what comes is dropped */
    bool linger;         /* after closing: drain what the client still sends */
    bool has_body;
    bool framing_is_bad;     /* where the body ends is not known: the connection ends with the answer */
    bool held;               /* counted in requests_held */
    _Atomic bool piece_busy; /* a pool thread has the piece */
    enum http_verdict (*pool_run)(struct http_request *request);
    unsigned methods_allowed; /* for Allow */
    struct buf body;          /* the whole body, or the piece being gathered for on_data in the pool */
    uint64_t body_bytes;      /* received so far */
    char id[17];
    char client_address[46];
};

/* ---- pool.c: a few threads and a bounded queue of exchanges ---- */

struct http_pool {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;
    struct http_exchange **queue; /* a ring of queue_max */
    unsigned queue_max;
    unsigned first;
    unsigned queued;
    unsigned reserved; /* places taken by exchanges that are being suspended */
    /* HTTP_ROUTE_LONG: in the queue or about to be, on a thread, and how many of each there may be */
    unsigned long_waiting;
    unsigned long_running;
    unsigned long_waiting_max;
    unsigned long_running_max;
    bool stopping;
    pthread_t *threads;
    unsigned threads_count;
    void (*run)(struct http_exchange *exchange);
};

bool pool_start(struct http_pool *pool, struct arena *arena, const struct http_options *options,
                void (*run)(struct http_exchange *exchange), struct error *error) MUST_CHECK;
void pool_stop(struct http_pool *pool);
bool pool_reserve(struct http_pool *pool, const struct http_exchange *exchange) MUST_CHECK;
void pool_push(struct http_pool *pool, struct http_exchange *exchange);

/* ---- metrics.c ---- */

enum { METRIC_BUCKETS_COUNT = 14 };

struct route_metric {
    _Atomic uint64_t by_status_class[6]; /* 1xx … 5xx at 1 … 5; 0: cut before the end */
    _Atomic uint64_t throttled;          /* 429 */
    _Atomic uint64_t busy;               /* 503 */
    _Atomic uint64_t duration_us;
    _Atomic uint64_t response_bytes;
    _Atomic uint64_t buckets[METRIC_BUCKETS_COUNT + 1]; /* the last: longer than all */
};

void metric_add(struct route_metric *metric, int status, bool complete, int64_t duration_us, uint64_t bytes);

/* ---- connections.c: slots, slow senders, draining of refused bodies, heartbeats ---- */

struct http_lingering {
    int fd;
    int64_t until_us;
    uint64_t bytes;
};

struct http_housekeeping {
    pthread_mutex_t
        lock; /* guards slots' use, lingering, streams; taken before a stream's lock, never after */
    struct http_connection *slots;
    size_t slots_count;
    struct http_connection *free_slot;
    struct http_lingering lingering[LIMIT_HTTP_LINGERING];
    size_t lingering_count;
    struct http_stream *streams; /* all open ones */
    unsigned streams_count;
    unsigned streams_max;
    bool stopping;
    int wake_fd;
    pthread_t thread;
    bool thread_runs;
};

bool housekeeping_start(struct http_housekeeping *keeper, struct arena *arena,
                        const struct http_options *options, struct error *error) MUST_CHECK;
void housekeeping_stop(struct http_housekeeping *keeper);
struct http_connection *connection_begin(struct http_housekeeping *keeper, int fd, int64_t until_us);
void connection_end(struct http_housekeeping *keeper, struct http_connection *connection);

/* Answers have left on `fd` but the peer may still be sending: reads and drops until it ends, so that
 * the kernel does not reset the connection and take the answer with it. Duplicates the descriptor. */
void linger_begin(struct http_housekeeping *keeper, int fd);

/* ---- the server ---- */

struct http_server {
    struct http_options options;
    struct route_table table;
    struct MHD_Daemon *daemon;
    struct http_pool pool;
    struct http_housekeeping keeper;
    struct route_metric *metrics;   /* one a route, and one for what no route took */
    _Atomic uint64_t requests_open; /* exchanges from the first callback to their end */
    _Atomic uint64_t requests_held; /* of them: suspended, with the pool or with a holder */
    _Atomic uint64_t requests_begun;
    _Atomic bool stopping;
    uint64_t id_seed;
    uint16_t port;
};

/* ---- exchange.c: libmicrohttpd's callbacks ---- */

void *exchange_on_uri(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_on_request(void *server, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload_data,
                                    size_t *upload_data_size, void **context);
void exchange_on_completed(void *server, struct MHD_Connection *connection, void **context,
                           enum MHD_RequestTerminationCode code);
void exchange_on_connection(void *server, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode code);
void exchange_run_in_pool(struct http_exchange *exchange);

/* ---- headers.c: the request line and headers ---- */

/* Reads what the first callback gives: method, headers, route, parameters, query. False: *error says how
 * the request is refused. `method` unknown gives ERROR_METHOD. */
bool exchange_read_head(struct http_exchange *exchange, const char *method, struct error *error) MUST_CHECK;

/* What a matched row's path has in its braces, decoded. */
bool exchange_read_parameters(struct http_exchange *exchange, const struct route_match *match,
                              struct error *error) MUST_CHECK;

/* The form body's pairs behind those of the query. */
bool exchange_read_form(struct http_exchange *exchange, struct error *error) MUST_CHECK;

/* ---- cors.c ---- */

/* What a page of another origin is told, on every answer; nothing where http_options.cors lists nobody. */
void cors_add_headers(struct http_exchange *exchange);

/* ---- response.c ---- */

/* Builds and queues libmicrohttpd's response. */
enum MHD_Result response_queue(struct http_exchange *exchange);

/* Gives up what the response holds (files, release, stream). */
void response_end(struct http_exchange *exchange);

/* ---- stream.c ---- */

/* For libmicrohttpd: bytes of events; 0 when there are none (the connection is then suspended until there
 * are); -1 at the end. */
ptrdiff_t stream_read(struct http_stream *stream, char *out, size_t size);
/* The connection has ended. */
void stream_detach(struct http_stream *stream);
/* A comment for every stream that was silent for a while; with `end`, the end of all. keeper->lock is held. */
void streams_visit(struct http_housekeeping *keeper, int64_t now_us, bool end);

static inline struct http_exchange *exchange_of(struct http_request *request)
{
    return (struct http_exchange *)request;
}

#endif
