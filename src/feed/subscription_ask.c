/* subscription_ask.c — what others ask of a subscription: $status, $events, a stream, counts. */
#include "base/clock.h"
#include "base/limits.h"
#include "feed/subscription_internal.h"

enum { CATCH_UP_PAGES = 40 };

static struct subscription *find_by_id(const struct subscriptions *subscriptions, struct str id,
                                       struct error *error)
{
    struct subscription *one = subscriptions->first;
    while (one != NULL && (one->gone || !str_equal(one->id, id))) {
        one = one->next;
    }
    if (one == NULL) {
        (void)FAIL(error, ERROR_BUSY, "the subscription is just being taken up; try again");
    }
    return one;
}

/* Numbers what has happened so far, with the rights of the subscriber as they are now. A busy feed is caught up with as
 * far as the pages go; a subscription that is off has no events. */
static bool catch_up(struct subscriptions *subscriptions, struct subscription *subscription,
                     struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct access_session session = { 0 };
    const struct access_asker asker = { .person = subscription->spec.person,
                                        .post = subscription->spec.post };
    bool more = subscription->is_sound && subscription->state != SUBSCRIPTION_OFF &&
                subscription->place < store_seq(subscriptions->options.store);
    bool ok = !more || access_session_post(subscriptions->options.access, &arena, &asker, &session, error);
    for (int page = 0; ok && more && page < CATCH_UP_PAGES; page++) {
        ok = subscription_find(subscriptions, subscription, &session, SUBSCRIPTION_EVENTS_MAX, &more, error);
    }
    arena_deinit(&arena);
    return ok;
}

bool subscription_status(struct subscriptions *subscriptions, struct arena *arena, struct str id,
                         struct json **parameters, struct error *error)
{
    (void)pthread_mutex_lock(&subscriptions->lock);
    struct subscription *one = find_by_id(subscriptions, id, error);
    bool ok = one != NULL && catch_up(subscriptions, one, error);
    if (ok) {
        *parameters = subscription_status_json(subscriptions, arena, one, NOTICE_STATUS);
    }
    (void)pthread_mutex_unlock(&subscriptions->lock);
    return ok && (*parameters != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up"));
}

static bool events_of(struct subscriptions *subscriptions, struct arena *arena, struct subscription *one,
                      const struct access_session *session, const struct subscription_range *range,
                      struct str *bundle, struct error *error)
{
    size_t told = 0;
    uint64_t oldest =
        one->number > LIMIT_SUBSCRIPTION_EVENTS_KEPT ? one->number - LIMIT_SUBSCRIPTION_EVENTS_KEPT : 1;
    struct subscription_ask ask = { .subscription = one,
                                    .session = session,
                                    .notice = NOTICE_QUERY,
                                    .content = one->spec.content,
                                    .from = range->from == 0 ? oldest : range->from,
                                    .until = range->until == 0 ? one->number : range->until };
    ask.until = ask.until < one->number ? ask.until : one->number;
    if (range->content.at != NULL && !subscription_content_of(range->content, &ask.content)) {
        return FAIL(error, ERROR_INPUT, "content is empty, id-only or full-resource");
    }
    if (ask.until >= ask.from && ask.until - ask.from >= SUBSCRIPTION_EVENTS_MAX) {
        return FAIL(error, ERROR_TOO_COSTLY,
                    "at most %d events at once: say eventsSinceNumber and eventsUntilNumber",
                    SUBSCRIPTION_EVENTS_MAX);
    }
    return subscription_bundle(subscriptions, arena, &ask, bundle, &told, error);
}

bool subscription_events(struct subscriptions *subscriptions, struct arena *arena,
                         const struct access_session *session, const struct subscription_range *range,
                         struct str *bundle, struct error *error)
{
    (void)pthread_mutex_lock(&subscriptions->lock);
    struct subscription *one = find_by_id(subscriptions, range->id, error);
    bool ok = one != NULL && catch_up(subscriptions, one, error) &&
              events_of(subscriptions, arena, one, session, range, bundle, error);
    (void)pthread_mutex_unlock(&subscriptions->lock);
    return ok;
}

void subscription_stream_end(struct subscription *subscription)
{
    struct subscription_stream *stream = &subscription->stream;
    if (stream->stream != NULL) {
        http_stream_close(stream->stream);
        stream->release(stream->data);
    }
    subscription->stream = (struct subscription_stream){ 0 };
}

static bool may_stream(const struct subscription *one, struct error *error)
{
    bool offers = one->spec.channel == SUBSCRIPTION_STREAM && one->is_sound && one->state != SUBSCRIPTION_OFF;
    return offers || FAIL(error, ERROR_RULE, "the subscription is off, or not one of server-sent events");
}

bool subscription_may_stream(struct subscriptions *subscriptions, struct str id, struct error *error)
{
    (void)pthread_mutex_lock(&subscriptions->lock);
    struct subscription *one = find_by_id(subscriptions, id, error);
    bool ok = one != NULL && may_stream(one, error);
    (void)pthread_mutex_unlock(&subscriptions->lock);
    return ok;
}

bool subscription_attach(struct subscriptions *subscriptions, struct str id,
                         const struct subscription_stream *stream, struct error *error)
{
    (void)pthread_mutex_lock(&subscriptions->lock);
    struct subscription *one = find_by_id(subscriptions, id, error);
    bool ok = one != NULL && may_stream(one, error);
    if (ok) {
        subscription_stream_end(one); /* one reader at a time: the newest */
        one->stream = *stream;
        one->greets = true;
        one->due_ms = 0;
        one->sent = stream->has_after && stream->after < one->number ? stream->after : one->sent;
    }
    (void)pthread_mutex_unlock(&subscriptions->lock);
    outgoing_wake(subscriptions->outgoing);
    return ok;
}

void subscription_wake(struct subscriptions *subscriptions)
{
    outgoing_wake(subscriptions->outgoing);
}

void subscription_count(struct subscriptions *subscriptions, struct subscription_counts *counts)
{
    uint64_t seq = store_seq(subscriptions->options.store);
    (void)pthread_mutex_lock(&subscriptions->lock);
    *counts = (struct subscription_counts){ .events = subscriptions->events,
                                            .failures = subscriptions->failures,
                                            .oldest_ms = INT64_MAX };
    for (const struct subscription *one = subscriptions->first; one != NULL; one = one->next) {
        counts->by_state[one->state]++;
        if (one->gone || one->state == SUBSCRIPTION_OFF) {
            continue;
        }
        counts->unsent += one->number - one->sent;
        counts->lag = one->place < seq && seq - one->place > counts->lag ? seq - one->place : counts->lag;
        bool behind = one->place < seq;
        counts->oldest_ms = behind && one->place_ms < counts->oldest_ms ? one->place_ms : counts->oldest_ms;
    }
    (void)pthread_mutex_unlock(&subscriptions->lock);
}
