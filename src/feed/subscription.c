/* subscription.c — the thread that works: learns of Subscriptions from the feed itself, finds their events, sends them,
 * and keeps their status. docs/modules/feed.md has the states. */
#include "feed/subscription.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "change/change.h"
#include "feed/subscription_internal.h"
#include "store/body.h"

enum {
    IDLE_MS = 1000,
    CHECK_MS = 60 * 1000, /* whether the post still stands is looked at so often without an event */
    RETRY_MS = 1000,
    RETRY_MS_MAX = 5 * 60 * 1000,
    STREAM_BYTES_MAX = 64 * 1024, /* more are waiting in a stream: no more is pushed */
    STREAM_NOTICE_BYTES = 160 * 1024,
    STREAM_PAUSE_MS = 20,
    QUIET_WAKE_US = 100000,
    LEARN_PAGE = 256,
    FIND_PAGES = 8, /* of the feed in one turn: then another subscription has its turn */
    HOME_BYTES = 64 * 1024,
    SPEC_BYTES = 4 * 1024 * 1024
};

/* ---- the resource ---- */

/* Under the version that was read: whoever wrote meanwhile is read first. */
static bool write_status(struct subscriptions *subscriptions, struct subscription *subscription,
                         enum subscription_state state, const char *why, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct access_session session = { 0 };
    struct store_reader *reader = NULL;
    struct store_version version = { 0 };
    struct str text = STR_NONE;
    struct json *resource = NULL;
    bool ok =
        access_session_machine(subscriptions->options.access, &arena, "system", STR_NONE, &session, error) &&
        store_reader_begin(subscriptions->options.store, &reader, error) &&
        store_read(reader, &arena, STR("Subscription"), subscription->id, &version, error);
    store_reader_end(reader);
    ok = ok &&
         (version.version == subscription->version || FAIL(error, ERROR_PRECONDITION, "written meanwhile")) &&
         store_body_text(&arena, &version, &text, error) && json_read(&arena, text, &resource, error);
    if (ok) {
        (void)json_set(resource, STR("status"),
                       json_new_string(&arena, str_from_cstr(subscription_state_code(state))));
        (void)json_remove_member(resource, STR("error"));
        if (why[0] != '\0') {
            (void)json_add_text(&arena, resource, STR("error"), str_from_cstr(why));
        }
        struct change_entry entry = { .kind = CHANGE_UPDATE,
                                      .type = STR("Subscription"),
                                      .id = subscription->id,
                                      .resource = resource,
                                      .if_match =
                                          arena_printf(&arena, "%llu", (unsigned long long)version.version) };
        struct change_set set = { .arena = &arena,
                                  .session = &session,
                                  .route = STR("subscription"),
                                  .entries = &entry,
                                  .entries_count = 1 };
        ok = change_apply(subscriptions->change, &set, error);
        subscription->version = ok ? entry.result.version : subscription->version;
    }
    arena_deinit(&arena);
    return ok;
}

static void set_state(struct subscriptions *subscriptions, struct subscription *subscription,
                      enum subscription_state state, const char *why)
{
    struct error error = { 0 };
    if (subscription->state == state) {
        return;
    }
    if (write_status(subscriptions, subscription, state, why, &error)) {
        subscription->state = state;
    } else if (error.kind != ERROR_PRECONDITION && error.kind != ERROR_NOT_FOUND &&
               error.kind != ERROR_GONE) {
        LOG_WARNING("subscription: the status cannot be written: %s", error.text);
        subscription->due_ms = clock_now_ms() + IDLE_MS;
    }
}

/* ---- learning ---- */

static struct subscription *find_by_id(const struct subscriptions *subscriptions, struct str id)
{
    struct subscription *subscription = subscriptions->first;
    while (subscription != NULL && (subscription->gone || !str_equal(subscription->id, id))) {
        subscription = subscription->next;
    }
    return subscription;
}

static void subscription_free(struct subscriptions *subscriptions, struct subscription *subscription)
{
    struct subscription **link = &subscriptions->first;
    while (*link != subscription) {
        link = &(*link)->next;
    }
    *link = subscription->next;
    subscription_stream_end(subscription);
    arena_deinit(&subscription->arena);
    struct arena home = subscription->home;
    arena_deinit(&home);
}

static struct subscription *subscription_add(struct subscriptions *subscriptions, struct str id)
{
    struct arena home = { .bytes_max = HOME_BYTES };
    struct subscription *made = ARENA_NEW(&home, struct subscription);
    if (made == NULL) {
        return NULL;
    }
    made->id = arena_dup(&home, id);
    made->home = home;
    made->owner = subscriptions;
    made->arena = (struct arena){ .bytes_max = SPEC_BYTES };
    made->next = subscriptions->first;
    subscriptions->first = made;
    return made;
}

static void read_spec(struct subscriptions *subscriptions, struct subscription *subscription,
                      const struct store_version *version)
{
    struct str text = STR_NONE;
    struct json *resource = NULL;
    struct error error = { 0 };
    arena_reset(&subscription->arena);
    subscription->spec = (struct subscription_spec){ 0 };
    subscription->is_sound = store_body_text(&subscription->arena, version, &text, &error) &&
                             json_read(&subscription->arena, text, &resource, &error) &&
                             subscription_spec_read(&subscriptions->options, &subscription->arena, resource,
                                                    &subscription->spec, &error);
}

/* One version of a Subscription, in the order of the feed; at a start all of them pass by. */
static bool learn_version(struct subscriptions *subscriptions, const struct store_version *version,
                          struct error *error)
{
    struct subscription *known = find_by_id(subscriptions, version->id);
    bool found = known != NULL;
    if (version->method == STORE_METHOD_DELETED) {
        bool of_before = known != NULL && known->place < version->seq;
        if (known != NULL) {
            known->gone = true;
            if (!known->in_flight) {
                subscription_free(subscriptions, known);
            }
        }
        return !of_before || subscription_rows_remove(subscriptions->options.store, version->id, error);
    }
    if (known != NULL && version->version <= known->version) {
        return true; /* what this thread wrote itself */
    }
    if (known == NULL) {
        known = subscription_add(subscriptions, version->id);
        if (known == NULL) {
            return FAIL(error, ERROR_BUSY, "no memory for a subscription");
        }
        if (!subscription_rows_load(subscriptions->options.store, known, &found, error)) {
            subscription_free(subscriptions, known);
            return false;
        }
        known->state = SUBSCRIPTION_OFF;
    }
    bool was_off = known->state == SUBSCRIPTION_OFF;
    read_spec(subscriptions, known, version);
    known->version = version->version;
    known->state = known->spec.state;
    known->failures = 0;
    known->due_ms = 0;
    if (was_off && known->place < version->seq && (!found || known->state == SUBSCRIPTION_REQUESTED)) {
        known->place = version->seq; /* what happened while it was off is not told */
        known->place_ms = version->updated_ms;
        return subscription_rows_save(subscriptions->options.store, known, NULL, 0, error);
    }
    return true;
}

static void recount(struct subscriptions *subscriptions)
{
    size_t count = 0;
    for (const struct subscription *one = subscriptions->first; one != NULL; one = one->next) {
        count += !one->gone && one->state != SUBSCRIPTION_OFF;
    }
    atomic_store(&subscriptions->count, count);
}

static bool learn(struct subscriptions *subscriptions, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    bool more = store_seq(subscriptions->options.store) > subscriptions->known_seq;
    bool ok = true;
    while (ok && more) {
        struct store_reader *reader = NULL;
        struct store_page page = { 0 };
        ok = store_reader_begin(subscriptions->options.store, &reader, error) &&
             store_read_feed(reader, &arena, subscriptions->known_seq, STR("Subscription"), LEARN_PAGE, false,
                             &page, error);
        uint64_t reached = ok && !page.more ? store_reader_seq(reader) : page.next_seq;
        store_reader_end(reader);
        for (size_t i = 0; ok && i < page.count; i++) {
            ok = learn_version(subscriptions, &page.versions[i], error);
            subscriptions->known_seq = ok ? page.versions[i].seq : subscriptions->known_seq;
        }
        subscriptions->known_seq = ok ? reached : subscriptions->known_seq;
        more = ok && page.more;
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    recount(subscriptions);
    return ok;
}

/* ---- sending ---- */

static int64_t pause_ms(unsigned failures)
{
    int64_t pause = RETRY_MS;
    while (failures-- > 1 && pause < RETRY_MS_MAX) {
        pause *= 2;
    }
    return pause < RETRY_MS_MAX ? pause : RETRY_MS_MAX;
}

static void taken(struct subscriptions *subscriptions, struct subscription *subscription)
{
    struct error error = { 0 };
    subscription->failures = 0;
    subscription->due_ms = 0;
    subscription->spoke_ms = clock_now_ms();
    if (subscription->flight == NOTICE_EVENTS) {
        subscriptions->events += subscription->flight_until - subscription->sent;
        subscription->sent = subscription->flight_until;
        if (!subscription_rows_save(subscriptions->options.store, subscription, NULL, 0, &error)) {
            LOG_WARNING("subscription: %s", error.text); /* it is told once more after a crash */
        }
    }
    set_state(subscriptions, subscription, SUBSCRIPTION_ACTIVE, "");
}

static void refused(struct subscriptions *subscriptions, struct subscription *subscription, int status,
                    const char *why)
{
    char text[80];
    struct str reason = str_from_cstr(why);
    if (status != 0) {
        (void)snprintf(text, sizeof text, "the endpoint answered %d", status);
        reason = str_from_cstr(text);
    }
    subscriptions->failures++;
    subscription->failures++;
    set_state(subscriptions, subscription, SUBSCRIPTION_ERROR, reason.at);
    subscription->due_ms = clock_now_ms() + pause_ms(subscription->failures);
}

static void flight_done(void *data, int status, const char *why)
{
    struct subscription *subscription = data;
    struct subscriptions *subscriptions = subscription->owner;
    (void)pthread_mutex_lock(&subscriptions->lock);
    subscription->in_flight = false;
    if (subscription->gone) {
        subscription_free(subscriptions, subscription);
    } else if (subscription->state != SUBSCRIPTION_OFF) {
        if (status >= 200 && status < 300) {
            taken(subscriptions, subscription);
        } else {
            refused(subscriptions, subscription, status, why);
        }
    }
    (void)pthread_mutex_unlock(&subscriptions->lock);
}

static bool call_endpoint(struct subscriptions *subscriptions, struct subscription *subscription,
                          struct str text, struct error *error)
{
    const struct subscription_spec *spec = &subscription->spec;
    const struct outgoing_call call = { .url = spec->endpoint,
                                        .content_type = STR("application/fhir+json"),
                                        .headers = spec->headers,
                                        .headers_count = spec->headers_count,
                                        .body = text,
                                        .timeout_ms = spec->timeout_ms,
                                        .done = flight_done,
                                        .data = subscription };
    subscription->in_flight = outgoing_send(subscriptions->outgoing, &call, error);
    return subscription->in_flight;
}

/* What is queued in the stream counts as taken: a client that lost it says so by Last-Event-ID. */
static bool push(struct subscriptions *subscriptions, struct subscription *subscription, struct str text)
{
    struct arena arena = { .bytes_max = HOME_BYTES };
    const struct http_event event = {
        .id = subscription->flight == NOTICE_EVENTS
                  ? arena_printf(&arena, "%llu", (unsigned long long)subscription->flight_until)
                  : STR_NONE,
        .type = STR("notification"),
        .data = text,
    };
    bool ok = http_stream_push(subscription->stream.stream, &event);
    arena_deinit(&arena);
    if (ok) {
        taken(subscriptions, subscription);
    } else {
        subscription_stream_end(subscription);
    }
    return ok;
}

/* A stream holds only so much: fewer events go together, and one that is too large by itself goes without its resource. */
static bool write_notice(struct subscriptions *subscriptions, struct arena *arena,
                         struct subscription_ask *ask, struct str *text, size_t *told, struct error *error)
{
    bool by_stream = ask->subscription->spec.channel == SUBSCRIPTION_STREAM;
    while (subscription_bundle(subscriptions, arena, ask, text, told, error)) {
        if (!by_stream || text->len <= STREAM_NOTICE_BYTES || ask->content != SUBSCRIPTION_FULL) {
            return true;
        }
        if (ask->until > ask->from) {
            ask->until = ask->from + (ask->until - ask->from) / 2;
        } else {
            ask->content = SUBSCRIPTION_ID_ONLY;
        }
    }
    return false;
}

static bool notify(struct subscriptions *subscriptions, struct subscription *subscription,
                   const struct access_session *session, enum subscription_notice notice, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    uint64_t last = subscription->sent + subscription->spec.events_max;
    struct subscription_ask ask = { .subscription = subscription,
                                    .session = session,
                                    .notice = notice,
                                    .content = subscription->spec.content,
                                    .from = subscription->sent + 1,
                                    .until = last < subscription->number ? last : subscription->number };
    struct str text = STR_NONE;
    size_t told = 0;
    bool ok = write_notice(subscriptions, &arena, &ask, &text, &told, error);
    subscription->flight = notice;
    subscription->flight_until = ask.until;
    if (ok && notice == NOTICE_EVENTS && told == 0) {
        taken(subscriptions, subscription); /* nothing of it may be seen any more */
    } else if (ok && subscription->spec.channel == SUBSCRIPTION_STREAM) {
        (void)push(subscriptions, subscription, text);
    } else if (ok) {
        ok = call_endpoint(subscriptions, subscription, text, error);
    }
    arena_deinit(&arena);
    return ok;
}

/* ---- one turn of one subscription ---- */

/* The session by which it is judged what may be told, or the end of the subscription. */
static bool judge(struct subscriptions *subscriptions, struct subscription *subscription, struct arena *arena,
                  struct access_session *session)
{
    struct error error = { 0 };
    const struct subscription_spec *spec = &subscription->spec;
    if (spec->ends_ms != 0 && clock_now_ms() >= spec->ends_ms) {
        set_state(subscriptions, subscription, SUBSCRIPTION_OFF, "its end has come");
        return false;
    }
    const struct access_asker asker = { .person = spec->person, .post = spec->post };
    bool stands = access_session_post(subscriptions->options.access, arena, &asker, session, &error);
    const struct access_act act = { .interaction = ACCESS_CREATE, .type = STR("Subscription") };
    stands = stands && access_check(session, act, &error);
    for (const struct topic_filter *filter = spec->filters; stands && filter != NULL; filter = filter->next) {
        stands = access_query_allowed(session, &filter->query, &error);
    }
    if (!stands && (error.kind == ERROR_BUSY || error.kind == ERROR_INTERNAL || error.kind == ERROR_FULL)) {
        subscription->due_ms = clock_now_ms() + IDLE_MS;
    } else if (!stands) {
        set_state(subscriptions, subscription, SUBSCRIPTION_OFF, "the post of the subscriber has ended");
    }
    return stands;
}

static bool is_time_for_heartbeat(const struct subscription *subscription)
{
    int64_t every_ms = subscription->spec.heartbeat_ms;
    return every_ms > 0 && clock_now_ms() - subscription->spoke_ms >= every_ms;
}

static bool find_events(struct subscriptions *subscriptions, struct subscription *subscription,
                        const struct access_session *session, struct error *error)
{
    bool more = subscription->place < store_seq(subscriptions->options.store);
    for (int page = 0; more && page < FIND_PAGES && subscription->number == subscription->sent; page++) {
        if (!subscription_find(subscriptions, subscription, session, subscription->spec.events_max, &more,
                               error)) {
            return false;
        }
    }
    return true;
}

static bool speak(struct subscriptions *subscriptions, struct subscription *subscription,
                  const struct access_session *session, struct error *error)
{
    bool by_hook = subscription->spec.channel == SUBSCRIPTION_REST_HOOK;
    if (by_hook ? subscription->state == SUBSCRIPTION_REQUESTED : subscription->greets) {
        subscription->greets = false;
        return notify(subscriptions, subscription, session, NOTICE_HANDSHAKE, error);
    }
    if (!find_events(subscriptions, subscription, session, error)) {
        return false;
    }
    if (subscription->number > subscription->sent) {
        return notify(subscriptions, subscription, session, NOTICE_EVENTS, error);
    }
    if (subscription->state == SUBSCRIPTION_ERROR || is_time_for_heartbeat(subscription)) {
        return notify(subscriptions, subscription, session,
                      subscription->state == SUBSCRIPTION_ERROR ? NOTICE_HANDSHAKE : NOTICE_HEARTBEAT, error);
    }
    return true;
}

/* Whether a stream takes something now; without one the cursor waits. */
static bool stream_is_ready(struct subscriptions *subscriptions, struct subscription *subscription)
{
    struct subscription_stream *stream = &subscription->stream;
    if (subscription->state == SUBSCRIPTION_REQUESTED) {
        set_state(subscriptions, subscription, SUBSCRIPTION_ACTIVE, "");
    }
    if (stream->stream != NULL && !stream->alive(stream->data)) {
        subscription_stream_end(subscription);
    }
    if (stream->stream == NULL) {
        subscription->due_ms = clock_now_ms() + CHECK_MS;
        return false;
    }
    if (http_stream_waiting(stream->stream) > STREAM_BYTES_MAX) {
        subscription->due_ms = clock_now_ms() + STREAM_PAUSE_MS;
        return false;
    }
    return true;
}

static bool has_work(const struct subscriptions *subscriptions, const struct subscription *subscription)
{
    return subscription->state != SUBSCRIPTION_ACTIVE || subscription->greets ||
           subscription->number > subscription->sent ||
           subscription->place < store_seq(subscriptions->options.store) ||
           is_time_for_heartbeat(subscription) ||
           (subscription->spec.ends_ms != 0 && clock_now_ms() >= subscription->spec.ends_ms);
}

static void turn(struct subscriptions *subscriptions, struct subscription *subscription)
{
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct access_session session = { 0 };
    struct error error = { 0 };
    bool idle = subscription->in_flight || subscription->gone || subscription->state == SUBSCRIPTION_OFF ||
                clock_now_ms() < subscription->due_ms ||
                (!has_work(subscriptions, subscription) && subscription->stream.stream == NULL);
    if (idle) {
        return;
    }
    if (!subscription->is_sound) {
        set_state(subscriptions, subscription, SUBSCRIPTION_ERROR,
                  "the topic, a filter or the endpoint is no longer offered");
        subscription->due_ms = clock_now_ms() + CHECK_MS;
        return;
    }
    bool ready = judge(subscriptions, subscription, &arena, &session) &&
                 (subscription->spec.channel == SUBSCRIPTION_REST_HOOK ||
                  stream_is_ready(subscriptions, subscription));
    if (ready && !speak(subscriptions, subscription, &session, &error)) {
        LOG_WARNING("subscription: %s", error.text);
        subscription->failures++;
        subscription->due_ms = clock_now_ms() + pause_ms(subscription->failures);
    }
    arena_deinit(&arena);
}

/* How long nothing will be due. */
static int rest_ms(const struct subscriptions *subscriptions)
{
    int64_t now_ms = clock_now_ms();
    int64_t rest = IDLE_MS;
    for (const struct subscription *one = subscriptions->first; one != NULL; one = one->next) {
        bool waits = one->in_flight || one->gone || one->state == SUBSCRIPTION_OFF;
        int64_t left = one->due_ms > now_ms           ? one->due_ms - now_ms
                       : has_work(subscriptions, one) ? 0
                                                      : IDLE_MS;
        rest = !waits && left < rest ? left : rest;
    }
    return (int)rest;
}

static void *work(void *data)
{
    struct subscriptions *subscriptions = data;
    while (!atomic_load(&subscriptions->stopping)) {
        struct error error = { 0 };
        (void)pthread_mutex_lock(&subscriptions->lock);
        bool learned = learn(subscriptions, &error);
        for (struct subscription *one = subscriptions->first, *next = NULL; learned && one != NULL;
             one = next) {
            next = one->next;
            turn(subscriptions, one);
        }
        recount(subscriptions);
        int rest = learned ? rest_ms(subscriptions) : IDLE_MS;
        (void)pthread_mutex_unlock(&subscriptions->lock);
        if (!learned) {
            LOG_WARNING("subscriptions: %s", error.text);
        }
        outgoing_wait(subscriptions->outgoing, rest);
    }
    return NULL;
}

/* ---- opening and closing ---- */

static void wake(struct subscriptions *subscriptions)
{
    atomic_store(&subscriptions->woken_us, clock_monotonic_us());
    outgoing_wake(subscriptions->outgoing);
}

/* Without a subscription a busy writer wakes the thread ten times a second at most: it only looks for new ones. */
static void on_commit(void *data, uint64_t seq_last)
{
    struct subscriptions *subscriptions = data;
    (void)seq_last;
    bool quiet = atomic_load(&subscriptions->count) == 0 &&
                 clock_monotonic_us() - atomic_load(&subscriptions->woken_us) < QUIET_WAKE_US;
    if (!quiet) {
        wake(subscriptions);
    }
}

bool subscriptions_open(struct arena *arena, const struct subscription_options *options,
                        struct subscriptions **subscriptions, struct error *error)
{
    struct subscriptions *made = ARENA_NEW(arena, struct subscriptions);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory to start");
    }
    made->options = *options;
    (void)pthread_mutex_init(&made->lock, NULL);
    *subscriptions = made;
    return outgoing_create(arena, &made->outgoing, error);
}

bool subscriptions_start(struct subscriptions *subscriptions, struct change *change, struct error *error)
{
    subscriptions->change = change;
    if (!store_on_commit(subscriptions->options.store, on_commit, subscriptions, error)) {
        return false;
    }
    subscriptions->running = pthread_create(&subscriptions->thread, NULL, work, subscriptions) == 0;
    return subscriptions->running ||
           FAIL(error, ERROR_INTERNAL, "the thread of subscriptions could not be started");
}

void subscriptions_close(struct subscriptions *subscriptions)
{
    if (subscriptions == NULL) {
        return;
    }
    atomic_store(&subscriptions->stopping, true);
    if (subscriptions->running) {
        wake(subscriptions);
        (void)pthread_join(subscriptions->thread, NULL);
    }
    subscriptions->running = false;
    /* `outgoing` lives as long as the arena: on_commit may be called until the store is closed. */
    while (subscriptions->first != NULL) {
        subscription_free(subscriptions, subscriptions->first);
    }
}
