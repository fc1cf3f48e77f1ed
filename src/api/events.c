/* GET /events: a session's live events (docs/modules/consult.md section 3). A follower of the feed pushes type, id
 * and version of what the session may see; content is then read as always.
 *
 * Two threads end a stream, the network's (the peer has gone) and the feed's (the session has ended, the server
 * stops): whoever comes last frees. */
#include <stdatomic.h>

#include "access/sign_in.h"
#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "base/parse.h"
#include "feed/feed.h"
#include "http/stream.h"

struct events {
    struct arena arena; /* this struct and the texts below lie in it */
    struct api *api;
    struct session_request asked; /* who asked; looked at again at each event */
    struct http_stream *stream;
    struct feed_follower follower;
    _Atomic int refs; /* the feed's and the stream's */
};

static void events_unref(struct events *events)
{
    if (atomic_fetch_sub(&events->refs, 1) == 1) {
        struct arena arena = events->arena;
        arena_deinit(&arena);
    }
}

/* The session as it is now: ended ones end the stream, changed posts and grants count at once. */
static bool may_see(struct events *events, struct arena *arena, struct store_reader *reader,
                    const struct store_version *version, bool *may)
{
    struct access_session session = { 0 };
    const struct store_filter *filter = NULL;
    struct access_act act = { .interaction = ACCESS_READ, .type = version->type };
    struct error error = { 0 };
    *may = false;
    if (!session_of_request(events->api->access, arena, &events->asked, &session, &error)) {
        return false;
    }
    if (!access_filter(&session, act, arena, &filter, &error) ||
        !store_matches(reader, version, filter, may, &error)) {
        *may = false; /* an event that is lost costs a later look, not the stream */
    }
    return true;
}

static bool push_version(struct events *events, struct arena *arena, const struct store_version *version)
{
    struct http_event event = {
        .id = arena_printf(arena, "%llu", (unsigned long long)version->seq),
        .type = STR("change"),
        .data =
            arena_printf(arena, "{\"type\":\"%.*s\",\"id\":\"%.*s\",\"version\":\"%llu\"%s}",
                         STR_FMT(version->type), STR_FMT(version->id), (unsigned long long)version->version,
                         version->method == STORE_METHOD_DELETED ? ",\"deleted\":true" : ""),
    };
    return event.id.at != NULL && event.data.at != NULL && http_stream_push(events->stream, &event);
}

static bool events_deliver(void *data, struct store_reader *reader, const struct store_version *version)
{
    struct events *events = data;
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    bool may = false;
    bool alive = may_see(events, &arena, reader, version, &may);
    if (alive && may) {
        alive = push_version(events, &arena, version);
    }
    arena_deinit(&arena);
    return alive;
}

/* Said in passing about a resource: no number, for nobody reads it later. */
static bool events_hear(void *data, struct store_reader *reader, const struct store_version *subject,
                        struct str text)
{
    struct events *events = data;
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct http_event event = { .type = STR("word"), .data = text };
    bool may = false;
    bool alive = may_see(events, &arena, reader, subject, &may);
    arena_deinit(&arena);
    return alive && (!may || http_stream_push(events->stream, &event));
}

static void events_left(void *data)
{
    struct events *events = data;
    http_stream_close(events->stream);
    events_unref(events);
}

static void events_closed(struct http_stream *stream, void *data)
{
    struct events *events = data;
    (void)stream;
    feed_leave(events->api->feed, &events->follower);
    events_unref(events);
}

static struct events *events_create(struct http_request *request)
{
    struct arena arena = { .bytes_max = (size_t)LIMIT_ARENA_BLOCK_BYTES * 4 };
    struct events *events = ARENA_NEW(&arena, struct events);
    if (events == NULL) {
        return NULL;
    }
    events->api = api_of(request);
    events->asked = (struct session_request){
        .cookie = arena_dup(&arena, http_cookie(request, STR(SESSION_COOKIE_NAME))),
        .authorization = arena_dup(&arena, http_header(request, STR("Authorization"))),
        .host = arena_dup(&arena, http_header(request, STR("Host"))),
        .tls = events->api->tls,
        .passive = true,
    };
    if (http_header(request, STR("Authorization")).at == NULL) {
        events->asked.authorization = STR_NONE;
    }
    if (http_cookie(request, STR(SESSION_COOKIE_NAME)).at == NULL) {
        events->asked.cookie = STR_NONE;
    }
    uint64_t after = 0;
    struct str last = http_header(request, STR("Last-Event-ID"));
    (void)(last.at != NULL && parse_uint64(last, UINT64_MAX, &after));
    events->follower = (struct feed_follower){ .data = events,
                                               .deliver = events_deliver,
                                               .hear = events_hear,
                                               .left = events_left,
                                               .after_seq = after };
    atomic_store(&events->refs, 2);
    events->arena = arena;
    return events;
}

/* A client that was away too long reads anew: told by an event of its own, and it follows from now on. */
static bool follow(struct events *events, struct error *error)
{
    if (feed_follow(events->api->feed, &events->follower, error)) {
        return true;
    }
    if (error->kind != ERROR_GONE) {
        return false;
    }
    struct http_event event = { .type = STR("reset"), .data = STR("{}") };
    events->follower.after_seq = 0;
    return http_stream_push(events->stream, &event) &&
           feed_follow(events->api->feed, &events->follower, error);
}

enum http_verdict events_open(struct http_request *request)
{
    struct error error = { 0 };
    struct events *events = api_of(request)->feed == NULL ? NULL : events_create(request);
    if (events == NULL) {
        (void)FAIL(&error, ERROR_BUSY, "live events are not to be had now");
        return api_fail(request, &error);
    }
    struct http_stream_options options = { .on_closed = events_closed,
                                           .data = events,
                                           .owner = api_owner(&call_of(request)->session) };
    if (!http_stream_open(request, &options, &events->stream, &error)) {
        struct arena arena = events->arena;
        arena_deinit(&arena);
        return api_fail(request, &error);
    }
    if (!follow(events, &error)) {
        /* The answer has begun: the stream ends at once and the browser comes again later. */
        events_left(events);
    }
    return HTTP_DONE;
}
