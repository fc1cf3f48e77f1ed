#include "http/stream.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "http/internal.h"

enum { HEARTBEAT_S = 15 };

struct http_stream {
    struct arena arena;       /* the stream itself lies in it */
    struct http_stream *next; /* in keeper->streams, under keeper->lock */
    struct http_housekeeping *keeper;
    struct http_stream_options options;
    struct MHD_Connection *connection;
    int fd;
    pthread_mutex_t lock; /* guards all below */
    int refs;             /* the opener's and the server's */
    struct buf queue;
    size_t sent; /* bytes of the queue that are gone */
    int64_t written_us;
    bool suspended; /* the connection waits for bytes */
    bool ended;     /* takes no more events; what is queued still goes out */
    bool detached;  /* the connection is gone */
};

static void stream_unref(struct http_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    assert(stream->refs > 0);
    bool last = --stream->refs == 0;
    (void)pthread_mutex_unlock(&stream->lock);
    if (last) {
        (void)pthread_mutex_destroy(&stream->lock);
        buf_deinit(&stream->queue);
        struct arena arena = stream->arena;
        arena_deinit(&arena);
    }
}

static void stream_give_up(struct http_stream *stream);

/* Ends the oldest of an owner who has as many as one may: it is most likely a window that was closed, which a silent
 * stream notices late. With the keeper's lock held; the newest are first. */
static void make_room(struct http_housekeeping *keeper, uint64_t owner)
{
    struct http_stream *oldest = NULL;
    unsigned own = 0;
    for (struct http_stream *stream = keeper->streams; stream != NULL; stream = stream->next) {
        (void)pthread_mutex_lock(&stream->lock);
        bool counts = stream->options.owner == owner && !stream->ended;
        (void)pthread_mutex_unlock(&stream->lock);
        own += counts ? 1 : 0;
        oldest = counts ? stream : oldest;
    }
    if (own >= LIMIT_HTTP_STREAMS_OF_ONE) {
        (void)pthread_mutex_lock(&oldest->lock);
        stream_give_up(oldest);
        (void)pthread_mutex_unlock(&oldest->lock);
    }
}

bool http_stream_open(struct http_request *request, const struct http_stream_options *options,
                      struct http_stream **out, struct error *error)
{
    struct http_exchange *exchange = exchange_of(request);
    struct http_housekeeping *keeper = &request->server->keeper;
    struct arena arena = { .bytes_max = (size_t)LIMIT_ARENA_BLOCK_BYTES * 2 };
    struct http_stream *stream = ARENA_NEW(&arena, struct http_stream);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (stream == NULL || info == NULL) {
        arena_deinit(&arena);
        return FAIL(error, ERROR_BUSY, "no memory for an event stream");
    }
    *stream = (struct http_stream){
        .arena = arena,
        .keeper = keeper,
        .connection = exchange->connection,
        .fd = info->connect_fd,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .refs = 2,
        .queue = { .bytes_max = LIMIT_HTTP_STREAM_QUEUE_BYTES },
        .written_us = clock_monotonic_us(),
    };
    if (options != NULL) {
        stream->options = *options;
    }
    (void)pthread_mutex_lock(&keeper->lock);
    if (stream->options.owner != 0) {
        make_room(keeper, stream->options.owner);
    }
    bool room = keeper->streams_count < keeper->streams_max && !atomic_load(&request->server->stopping);
    if (room) {
        stream->next = keeper->streams;
        keeper->streams = stream;
        keeper->streams_count++;
    }
    (void)pthread_mutex_unlock(&keeper->lock);
    if (!room) {
        (void)pthread_mutex_destroy(&stream->lock);
        arena_deinit(&arena);
        return FAIL(error, ERROR_BUSY, "there are already %u event streams", keeper->streams_max);
    }
    /* A first comment makes proxies and browsers show the stream as open at once. */
    buf_add(&stream->queue, STR(":\n\n"));
    struct http_response *response = &exchange->response;
    assert(response->status == 0);
    response->status = 200;
    response->content = CONTENT_STREAM;
    response->content_type = STR("text/event-stream");
    response->stream = stream;
    http_add_header(request, STR("X-Accel-Buffering"), STR("no"));
    *out = stream;
    return true;
}

/* The connection goes on: there are bytes, or an end. The lock is held. */
static void stream_wake(struct http_stream *stream)
{
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
}

static void add_line(struct buf *queue, struct str field, struct str value)
{
    if (value.at != NULL) {
        buf_add(queue, field);
        buf_add(queue, value);
        buf_add_char(queue, '\n');
    }
}

static void add_event(struct buf *queue, const struct http_event *event)
{
    assert(str_find_char(event->id, '\n') == event->id.len);
    assert(str_find_char(event->type, '\n') == event->type.len);
    add_line(queue, STR("id: "), event->id);
    add_line(queue, STR("event: "), event->type);
    struct str rest = event->data.at == NULL ? STR("") : event->data;
    struct str line = STR_NONE;
    while (str_split_next(&rest, '\n', &line)) {
        /* A carriage return alone would end the line too. */
        struct str piece = STR_NONE;
        if (str_ends_with(line, STR("\r"))) {
            line.len--;
        }
        while (str_split_next(&line, '\r', &piece)) {
            add_line(queue, STR("data: "), piece);
        }
    }
    buf_add_char(queue, '\n');
}

/* Too slow: what is queued is given up and the connection is cut. The lock is held. */
static void stream_give_up(struct http_stream *stream)
{
    stream->ended = true;
    buf_clear(&stream->queue);
    stream->sent = 0;
    if (stream->suspended) {
        stream_wake(stream);
    } else if (!stream->detached) {
        (void)shutdown(stream->fd, SHUT_RDWR);
    }
}

bool http_stream_push(struct http_stream *stream, const struct http_event *event)
{
    (void)pthread_mutex_lock(&stream->lock);
    bool ok = !stream->ended && !stream->detached;
    if (ok) {
        add_event(&stream->queue, event);
        ok = !stream->queue.failed;
        if (ok) {
            stream_wake(stream);
        } else {
            stream_give_up(stream);
        }
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return ok;
}

void http_stream_close(struct http_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    if (!stream->detached) {
        stream_wake(stream);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    stream_unref(stream);
}

ptrdiff_t stream_read(struct http_stream *stream, char *out, size_t size)
{
    ptrdiff_t count = 0;
    (void)pthread_mutex_lock(&stream->lock);
    size_t waiting = stream->queue.len - stream->sent;
    if (waiting > 0) {
        size_t taken = waiting < size ? waiting : size;
        memcpy(out, stream->queue.at + stream->sent, taken);
        stream->sent += taken;
        stream->written_us = clock_monotonic_us();
        count = (ptrdiff_t)taken;
        if (stream->sent == stream->queue.len) {
            buf_clear(&stream->queue);
            stream->sent = 0;
        } else if (stream->sent > stream->queue.len / 2) {
            memmove(stream->queue.at, stream->queue.at + stream->sent, stream->queue.len - stream->sent);
            stream->queue.len -= stream->sent;
            stream->sent = 0;
        }
    } else if (stream->ended) {
        count = -1;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return count;
}

void stream_detach(struct http_stream *stream)
{
    struct http_housekeeping *keeper = stream->keeper;
    (void)pthread_mutex_lock(&keeper->lock);
    struct http_stream **link = &keeper->streams;
    while (*link != stream) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = stream->next;
    keeper->streams_count--;
    (void)pthread_mutex_unlock(&keeper->lock);
    (void)pthread_mutex_lock(&stream->lock);
    stream->detached = true;
    stream->ended = true;
    (void)pthread_mutex_unlock(&stream->lock);
    if (stream->options.on_closed != NULL) {
        stream->options.on_closed(stream, stream->options.data);
    }
    stream_unref(stream);
}

void streams_visit(struct http_housekeeping *keeper, int64_t now_us, bool end)
{
    for (struct http_stream *stream = keeper->streams; stream != NULL; stream = stream->next) {
        (void)pthread_mutex_lock(&stream->lock);
        if (end) {
            stream->ended = true;
            stream_wake(stream);
        } else if (!stream->ended && stream->suspended &&
                   now_us - stream->written_us > (int64_t)HEARTBEAT_S * 1000000) {
            buf_add(&stream->queue, STR(":\n\n"));
            stream_wake(stream);
        }
        (void)pthread_mutex_unlock(&stream->lock);
    }
}

size_t http_stream_waiting(struct http_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    size_t bytes = stream->queue.len - stream->sent;
    (void)pthread_mutex_unlock(&stream->lock);
    return bytes;
}
