/* topic.h — what one can subscribe to: SubscriptionTopics in the shape of R5, read from definitions/topics. R4 has no such
 * resource, so a topic is known by its canonical URL (Subscriptions R5 Backport 1.1). A topic says which interactions on
 * which type are events (queryCriteria on the version and the one before it, fhirPathCriteria over %previous and
 * %current) and by what a subscription may filter. Read-only once loaded; any thread asks. */
#ifndef SHANHAI_FEED_TOPIC_H
#define SHANHAI_FEED_TOPIC_H

#include "fhir/index.h"
#include "fhir/search_query.h"
#include "json/json.h"
#include "store/read.h"

struct topic;

struct topic_set {
    struct arena *arena;
    struct fhir_index *index;
    int offset_minutes;
    struct topic *first;
};

/* Adds the text of one file. ERROR_STRUCTURE names what is not understood. */
bool topic_add(struct topic_set *topics, struct str text, struct error *error) MUST_CHECK;

/* By canonical URL, with or without "|version"; NULL when there is none. */
const struct topic *topic_find(const struct topic_set *topics, struct str canonical);
const struct topic *topic_next(const struct topic_set *topics,
                               const struct topic *topic); /* NULL: the first */
struct str topic_url(const struct topic *topic);
const struct json *topic_json(const struct topic *topic);

/* The one type that the topic is about; absent when there are several. */
struct str topic_type(const struct topic *topic);
/* Whether a version of this kind can be an event at all: asked before its body is read. */
bool topic_may_fire(const struct topic *topic, const struct store_version *version);

/* A version with its content; `resource` is NULL for a deletion, `previous` for the first version. */
struct topic_event {
    struct arena *arena;
    const struct store_version *version;
    const struct json *resource;
    const struct store_version *previous_version;
    const struct json *previous;
};
bool topic_fires(const struct topic_set *topics, const struct topic *topic, const struct topic_event *event,
                 bool *fires, struct error *error) MUST_CHECK;

/* ---- filters of a subscription ---- */

/* "Observation?status=final&patient=Patient/1", or "Observation?" for all of that type. */
struct topic_filter {
    struct topic_filter *next;
    struct str type;
    struct search_query query;
};

/* ERROR_RULE when the topic knows no such filter; chains and lists are none. */
bool topic_filter_parse(const struct topic_set *topics, const struct topic *topic, struct arena *arena,
                        struct str text, struct topic_filter *filter, struct error *error) MUST_CHECK;

/* All filters of the version's type must fit; where there are filters, a type without one does not. A deletion is
 * judged by what was deleted. */
bool topic_filters_fit(const struct topic_set *topics, const struct topic_filter *filters,
                       const struct topic_event *event, bool *fit, struct error *error) MUST_CHECK;

#endif
