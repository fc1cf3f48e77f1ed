/* subscription_internal.h — what the files of subscriptions share. */
#ifndef SHANHAI_FEED_SUBSCRIPTION_INTERNAL_H
#define SHANHAI_FEED_SUBSCRIPTION_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "feed/subscription.h"
#include "http/outgoing.h"

#define BACKPORT "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
#define SUBSCRIBER_URL "urn:shanhai:ext:subscriber"
#define SUBSCRIBER_PERSON_URL "urn:shanhai:ext:subscriber-person"

enum subscription_channel { SUBSCRIPTION_REST_HOOK, SUBSCRIPTION_STREAM };
enum subscription_content { SUBSCRIPTION_EMPTY, SUBSCRIPTION_ID_ONLY, SUBSCRIPTION_FULL };
enum subscription_notice { NOTICE_HANDSHAKE, NOTICE_HEARTBEAT, NOTICE_EVENTS, NOTICE_STATUS, NOTICE_QUERY };

/* What a Subscription resource says, in its arena. */
struct subscription_spec {
    enum subscription_state state;
    const struct topic *topic;
    const struct topic_filter *filters;
    enum subscription_channel channel;
    struct str endpoint;
    const struct str *headers;
    size_t headers_count;
    enum subscription_content content;
    int64_t heartbeat_ms; /* 0: none */
    long timeout_ms;
    size_t events_max; /* in one notification */
    int64_t ends_ms;   /* 0: open */
    struct str person;
    struct str post;
};

struct subscription {
    struct subscription *next;
    struct arena home;  /* this struct and its id lie in it */
    struct arena arena; /* of the spec */
    struct str id;
    struct subscription_spec spec;
    bool is_sound; /* the spec could be read */
    enum subscription_state state;
    uint64_t version;     /* of the resource */
    uint64_t place;       /* the feed was looked through up to here */
    int64_t place_ms;     /* when that was written */
    uint64_t place_saved; /* as in its row */
    uint64_t number;      /* of the newest event that has one */
    uint64_t sent;        /* of the newest that was taken */
    unsigned failures;    /* in a row */
    int64_t due_ms;       /* nothing is to be done before */
    int64_t spoke_ms;     /* the last notification that was taken */
    bool in_flight;
    enum subscription_notice flight;
    uint64_t flight_until; /* the newest event of the flight */
    bool gone;             /* deleted while a flight was under way */
    struct subscriptions *owner;
    struct subscription_stream stream; /* stream.stream NULL: nobody listens */
    bool greets;                       /* the stream has not had its handshake */
};

struct subscriptions {
    struct subscription_options options;
    struct change *change;
    struct outgoing *outgoing;
    pthread_t thread;
    bool running;
    _Atomic bool stopping;
    _Atomic size_t count;
    _Atomic int64_t woken_us;
    pthread_mutex_t lock; /* guards all below and every subscription */
    struct subscription *first;
    uint64_t known_seq; /* Subscriptions are read up to here */
    uint64_t events;
    uint64_t failures;
};

/* ---- subscription_read.c ---- */

bool subscription_spec_read(const struct subscription_options *options, struct arena *arena,
                            const struct json *resource, struct subscription_spec *spec,
                            struct error *error) MUST_CHECK;
const char *subscription_state_code(enum subscription_state state);
bool subscription_content_of(struct str code, enum subscription_content *content);

/* Lets the stream go, if there is one. */
void subscription_stream_end(struct subscription *subscription);

/* ---- subscription_rows.c ---- */

bool subscription_rows_load(struct store *store, struct subscription *subscription, bool *found,
                            struct error *error) MUST_CHECK;
/* Place, number and sent as they are in `subscription`, and the places of its newest `seqs_count` events. */
bool subscription_rows_save(struct store *store, struct subscription *subscription, const uint64_t *seqs,
                            size_t seqs_count, struct error *error) MUST_CHECK;
bool subscription_rows_remove(struct store *store, struct str id, struct error *error) MUST_CHECK;
struct subscription_event {
    uint64_t number;
    uint64_t seq;
};
bool subscription_rows_events(struct store_reader *reader, struct arena *arena, struct str id, uint64_t from,
                              uint64_t until, struct subscription_event **events, size_t *count,
                              struct error *error) MUST_CHECK;

/* ---- subscription_find.c ---- */

/* Looks at the next page of the feed, numbers up to events_max events in it and writes them down. *more: there is more
 * to look at. With the lock held. */
bool subscription_find(struct subscriptions *subscriptions, struct subscription *subscription,
                       const struct access_session *session, size_t events_max, bool *more,
                       struct error *error) MUST_CHECK;
/* Whether the session may be told of a version: it may see it, and what the resource is now. */
bool subscription_may_tell(struct store_reader *reader, struct arena *arena,
                           const struct access_session *session, const struct store_version *version,
                           struct store_version *current, bool *may, struct error *error) MUST_CHECK;

/* ---- subscription_notify.c ---- */

struct subscription_ask {
    const struct subscription *subscription;
    const struct access_session *session;
    enum subscription_notice notice;
    enum subscription_content content;
    uint64_t from;  /* events from … */
    uint64_t until; /* … to this number */
};
struct json *subscription_status_json(const struct subscriptions *subscriptions, struct arena *arena,
                                      const struct subscription *subscription,
                                      enum subscription_notice notice);
/* *told: how many events are in it. */
bool subscription_bundle(const struct subscriptions *subscriptions, struct arena *arena,
                         const struct subscription_ask *ask, struct str *text, size_t *told,
                         struct error *error) MUST_CHECK;

#endif
