/* subscription_find.c — the next events of a subscription, from its place in the feed on. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "feed/subscription_internal.h"
#include "store/body.h"
#include "store/search.h"

enum { PAGE_VERSIONS = 256, UNSAVED_VERSIONS = 20000, EVENT_ARENA_BYTES = 4 * LIMIT_RESOURCE_BYTES };

/* One walk over a page. */
struct finding {
    struct subscriptions *subscriptions;
    struct subscription *subscription;
    const struct access_session *session;
    struct store_reader *reader;
    uint64_t *seqs;
    size_t seqs_count;
    size_t seqs_max;
};

static bool may_see(struct store_reader *reader, struct arena *arena, const struct access_session *session,
                    const struct store_version *version, bool *may, struct error *error)
{
    const struct access_act act = { .interaction = ACCESS_READ, .type = version->type };
    const struct store_filter *filter = NULL;
    *may = false;
    return !access_has(session, act) || (access_filter(session, act, arena, &filter, error) &&
                                         store_matches(reader, version, filter, may, error));
}

bool subscription_may_tell(struct store_reader *reader, struct arena *arena,
                           const struct access_session *session, const struct store_version *version,
                           struct store_version *current, bool *may, struct error *error)
{
    if (!may_see(reader, arena, session, version, may, error) || !*may) {
        return !*may;
    }
    if (version->ended_seq == 0) {
        *current = *version;
        return true;
    }
    return store_read_key(reader, arena, version->resource, current, error) &&
           may_see(reader, arena, session, current, may, error);
}

static bool read_tree(struct arena *arena, const struct store_version *version, const struct json **resource,
                      struct error *error)
{
    struct str text = STR_NONE;
    struct json *tree = NULL;
    if (version->method == STORE_METHOD_DELETED) {
        *resource = NULL;
        return true;
    }
    if (!store_body_text(arena, version, &text, error) || !json_read(arena, text, &tree, error)) {
        return false;
    }
    *resource = tree;
    return true;
}

static bool read_event(const struct finding *finding, struct arena *arena, uint64_t seq,
                       struct topic_event *event, struct error *error)
{
    struct store_version *version = ARENA_NEW(arena, struct store_version);
    struct store_version *previous = ARENA_NEW(arena, struct store_version);
    *event = (struct topic_event){ .arena = arena, .version = version, .previous_version = previous };
    if (version == NULL || previous == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!store_read_seqs(finding->reader, arena, &seq, 1, version, error) ||
        !read_tree(arena, version, &event->resource, error)) {
        return false;
    }
    return version->version <= 1 || (store_read_version(finding->reader, arena, version->type, version->id,
                                                        version->version - 1, previous, error) &&
                                     read_tree(arena, previous, &event->previous, error));
}

static bool look_at(struct finding *finding, const struct store_version *listed, bool *wanted,
                    struct error *error)
{
    const struct subscription_spec *spec = &finding->subscription->spec;
    const struct topic_set *topics = finding->subscriptions->options.topics;
    struct arena arena = { .bytes_max = EVENT_ARENA_BYTES };
    struct topic_event event = { 0 };
    struct store_version current = { 0 };
    bool fires = false;
    bool fits = false;
    struct error cause = { 0 };
    bool ok = read_event(finding, &arena, listed->seq, &event, error);
    bool judged = ok && topic_fires(topics, spec->topic, &event, &fires, &cause) &&
                  (!fires || topic_filters_fit(topics, spec->filters, &event, &fits, &cause));
    *wanted = false;
    if (ok && !judged) {
        bool passing = cause.kind == ERROR_BUSY || cause.kind == ERROR_FULL || cause.kind == ERROR_INTERNAL;
        LOG_WARNING("subscription: version %llu cannot be judged: %s", (unsigned long long)listed->seq,
                    cause.text);
        ok = !passing || FAIL(error, cause.kind, "%.150s", cause.text);
        fires = false; /* a record on which the topic's rule itself fails is no event, and holds up none */
    }
    ok = ok && (!fires || !fits ||
                subscription_may_tell(finding->reader, &arena, finding->session, event.version, &current,
                                      wanted, error));
    arena_deinit(&arena);
    return ok;
}

/* Up to the end of the page, or until there are events enough. */
static bool look_through(struct finding *finding, const struct store_page *page, struct error *error)
{
    struct subscription *subscription = finding->subscription;
    for (size_t i = 0; i < page->count && finding->seqs_count < finding->seqs_max; i++) {
        const struct store_version *version = &page->versions[i];
        bool wanted = false;
        if (topic_may_fire(subscription->spec.topic, version) && !look_at(finding, version, &wanted, error)) {
            return false;
        }
        if (wanted) {
            finding->seqs[finding->seqs_count++] = version->seq;
        }
        subscription->place = version->seq;
        subscription->place_ms = version->updated_ms;
    }
    return true;
}

bool subscription_find(struct subscriptions *subscriptions, struct subscription *subscription,
                       const struct access_session *session, size_t events_max, bool *more,
                       struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct finding finding = { .subscriptions = subscriptions,
                               .subscription = subscription,
                               .session = session,
                               .seqs = ARENA_ARRAY(&arena, uint64_t, events_max),
                               .seqs_max = events_max };
    struct store *store = subscriptions->options.store;
    struct store_page page = { 0 };
    const uint64_t place = subscription->place;
    const int64_t place_ms = subscription->place_ms;
    bool ok = finding.seqs != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    ok = ok && store_reader_begin(store, &finding.reader, error) &&
         store_read_feed(finding.reader, &arena, place, topic_type(subscription->spec.topic), PAGE_VERSIONS,
                         true, &page, error) &&
         look_through(&finding, &page, error);
    if (ok && !page.more && finding.seqs_count < finding.seqs_max) {
        subscription->place =
            store_reader_seq(finding.reader); /* what is behind the page is of other types */
        subscription->place_ms = clock_now_ms();
    }
    store_reader_end(finding.reader);
    subscription->number += ok ? finding.seqs_count : 0;
    *more = ok && subscription->place < store_seq(store);
    if (ok &&
        (finding.seqs_count > 0 || subscription->place > subscription->place_saved + UNSAVED_VERSIONS)) {
        ok = subscription_rows_save(store, subscription, finding.seqs, finding.seqs_count, error);
        subscription->number -= ok ? 0 : finding.seqs_count;
    }
    if (!ok) {
        subscription->place = place;
        subscription->place_ms = place_ms;
    }
    arena_deinit(&arena);
    return ok;
}
