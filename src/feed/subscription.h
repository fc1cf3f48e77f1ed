/* subscription.h — subscriptions (HL7 FHIR Subscriptions R5 Backport 1.1 on R4). A subscription is a cursor in the feed:
 * nothing is queued, nothing is given up. Its events are found by walking the feed from the cursor, get their numbers in a
 * commit of their own before anybody is told (so they are the same after a crash), and are told until the endpoint has
 * taken them: at least once, in order. An endpoint that is away makes the status `error`; it is tried again with growing
 * pauses for as long as the subscription lasts.
 *
 * What is told is what the post that owns the subscription may see at the time of sending: the filter of its searches on
 * the version of the event and on the current one, masked as its reads are. When the post ends, so does the subscription.
 *
 * One thread works (subscriptions_start). Everything here may be called by any thread; calls may wait for a commit. */
#ifndef SHANHAI_FEED_SUBSCRIPTION_H
#define SHANHAI_FEED_SUBSCRIPTION_H

#include "access/access.h"
#include "feed/topic.h"
#include "http/stream.h"

struct audit;
struct change;
struct store_table;
struct subscriptions;

struct subscription_options {
    struct store *store;
    struct access *access;
    struct audit *audit;
    const struct topic_set *topics;
    const struct str *endpoints; /* what may be called, by whom the operator lists; none: no rest-hook */
    size_t endpoints_count;
    struct str base_url; /* "https://host/fhir"; absent: relative references */
    int offset_minutes;
    /* The text of a version as the session may see it (api/). */
    bool (*text)(const struct access_session *session, struct arena *arena,
                 const struct store_version *version, const struct str *elements, size_t elements_count,
                 struct str *text, struct error *error);
};

/* Rows that must be among the store's tables. */
enum { SUBSCRIPTION_TABLES = 2 };
void subscription_tables(const struct store_table *tables[SUBSCRIPTION_TABLES]);

/* Lives in the arena. The thread starts with the second call, which needs `change`. */
bool subscriptions_open(struct arena *arena, const struct subscription_options *options,
                        struct subscriptions **subscriptions, struct error *error) MUST_CHECK;
bool subscriptions_start(struct subscriptions *subscriptions, struct change *change,
                         struct error *error) MUST_CHECK;
void subscriptions_close(struct subscriptions *subscriptions); /* NULL is allowed */

/* Asked for each Subscription that somebody writes: whether it can be kept. Sets what is the server's: status (a
 * subscription that is wanted begins as `requested`), error, and whose it is. ERROR_RULE, ERROR_INPUT say what is wrong. */
bool subscription_guard(struct subscriptions *subscriptions, struct arena *arena,
                        const struct access_session *session, struct json *resource,
                        struct error *error) MUST_CHECK;

/* The Parameters of $status. The caller has asked whether the session may read the Subscription. */
bool subscription_status(struct subscriptions *subscriptions, struct arena *arena, struct str id,
                         struct json **parameters, struct error *error) MUST_CHECK;

/* $events: the numbered events, of which the session may see all, as a notification Bundle. */
enum { SUBSCRIPTION_EVENTS_MAX = 1000 };
struct subscription_range {
    struct str id;
    uint64_t from;      /* 0: from the oldest that is kept */
    uint64_t until;     /* 0: to the newest */
    struct str content; /* "empty", "id-only", "full-resource"; absent: as the subscription has it */
};
bool subscription_events(struct subscriptions *subscriptions, struct arena *arena,
                         const struct access_session *session, const struct subscription_range *range,
                         struct str *bundle, struct error *error) MUST_CHECK;

/* ---- server-sent events ---- */

struct subscription_stream {
    struct http_stream *stream; /* the reference goes to the subscription when attaching succeeds */
    bool (*alive)(
        void *data); /* whether the peer is there and its session stands; on the subscriptions' thread */
    void (*release)(void *data); /* the subscription needs `data` no more */
    void *data;
    bool has_after; /* Last-Event-ID: goes on after this number */
    uint64_t after;
};
/* Whether one may be attached: asked before the answer begins. */
bool subscription_may_stream(struct subscriptions *subscriptions, struct str id,
                             struct error *error) MUST_CHECK;
bool subscription_attach(struct subscriptions *subscriptions, struct str id,
                         const struct subscription_stream *stream, struct error *error) MUST_CHECK;
/* Something has changed that no commit tells, as the end of a stream. Takes no lock. */
void subscription_wake(struct subscriptions *subscriptions);

/* ---- for the operator ---- */

enum subscription_state {
    SUBSCRIPTION_REQUESTED,
    SUBSCRIPTION_ACTIVE,
    SUBSCRIPTION_ERROR,
    SUBSCRIPTION_OFF,
    SUBSCRIPTION_STATES
};
struct subscription_counts {
    size_t by_state[SUBSCRIPTION_STATES];
    uint64_t lag;      /* versions of the feed that the slowest wanted one has not looked at */
    uint64_t unsent;   /* events that have a number and were not taken yet, of all */
    uint64_t events;   /* told since the start */
    uint64_t failures; /* of endpoints, since the start */
    int64_t oldest_ms; /* time of the slowest's place in the feed; INT64_MAX without one */
};
void subscription_count(struct subscriptions *subscriptions, struct subscription_counts *counts);

#endif
