/* stream.h — server-sent events (HTML Living Standard, section 9.2). A handler opens a stream as the
 * answer to its request; then any thread pushes events until the stream is closed by either side.
 *
 * Each stream has a queue of LIMIT_HTTP_STREAM_QUEUE_BYTES: a reader that is slower than its events is
 * disconnected (EventSource reconnects with Last-Event-ID and reads what it missed from the feed). A
 * comment goes out every 15 s, so that proxies keep the line and dead peers are found. There are at most
 * options.streams_max streams; then opening fails with ERROR_BUSY.
 *
 * Ownership: counted. http_stream_open gives the caller one reference, given back by
 * http_stream_close. The request must not be touched after its handler returned; the stream may. */
#ifndef SHANHAI_HTTP_STREAM_H
#define SHANHAI_HTTP_STREAM_H

#include "http/http.h"

struct http_stream;

struct http_stream_options {
    /* Called exactly once, on a network thread, when the connection has ended: the peer has gone, was too slow,
     * or the end by http_stream_close has been sent. `data` must live until then; the stream itself only while
     * the opener has his reference. May be NULL. */
    void (*on_closed)(struct http_stream *stream, void *data);
    void *data;
    /* Whose it is, a number of the caller's; of one there are at most LIMIT_HTTP_STREAMS_OF_ONE, the oldest gives way, so
     * that one person's forgotten windows leave room for others. 0: not counted. */
    uint64_t owner;
};

/* Sets the request's response; the handler then returns HTTP_DONE. */
bool http_stream_open(struct http_request *request, const struct http_stream_options *options,
                      struct http_stream **stream, struct error *error) MUST_CHECK;

struct http_event {
    struct str id;   /* Last-Event-ID; absent leaves it out */
    struct str type; /* "event:"; absent means "message" */
    struct str data; /* any text; a line each becomes a data: line */
};

/* Queues one event. False when the stream is closed or this event closed it (queue full). */
bool http_stream_push(struct http_stream *stream, const struct http_event *event);

/* Bytes that have not left yet: who has much to say waits until there are few. */
size_t http_stream_waiting(struct http_stream *stream);

/* Ends the stream after what is queued, and gives the reference back. NULL is allowed. */
void http_stream_close(struct http_stream *stream);

#endif
