#include "feed/topic.h"

#include "base/clock.h"
#include "fhirpath/fhirpath.h"
#include "model/model.h"

enum { CREATED = 1, UPDATED = 2, DELETED = 4 };

/* R5 SubscriptionTopic.resourceTrigger: all that is said must hold. */
struct trigger {
    struct trigger *next;
    struct str type; /* absent: every type ("Resource") */
    unsigned interactions;
    bool has_previous;
    bool has_current;
    struct search_query previous;
    struct search_query current;
    bool create_passes; /* what `previous` says of a version that has none before it */
    bool delete_passes; /* what `current` says of a deletion */
    bool both;
    const struct fhirpath *path;
};

struct topic {
    struct topic *next;
    struct str url;
    const struct json *json;
    struct trigger *triggers;
};

/* ---- loading ---- */

/* Whether rows alone answer it: no chain, no _has, no list. */
static bool is_answerable(const struct search_criteria *criteria)
{
    for (; criteria != NULL; criteria = criteria->next) {
        if (criteria->kind == SEARCH_CHAIN || criteria->kind == SEARCH_HAS || criteria->kind == SEARCH_LIST ||
            criteria->kind == SEARCH_GROUP) {
            return false;
        }
    }
    return true;
}

static bool parse_query(const struct topic_set *topics, struct str type, struct str text, struct arena *arena,
                        struct search_query *query, struct error *error)
{
    const struct search_options options = { .type = type, .offset_minutes = topics->offset_minutes };
    return search_query_parse_text(arena, &options, text, query, error) &&
           (is_answerable(query->criteria) ||
            FAIL(error, ERROR_RULE,
                 "events are told by what is in the resource itself: no chains, no lists"));
}

static unsigned interactions_of(const struct json *list)
{
    unsigned all = 0;
    JSON_EACH(one, list) {
        all |= json_equals_text(one, STR("create"))   ? (unsigned)CREATED
               : json_equals_text(one, STR("update")) ? (unsigned)UPDATED
               : json_equals_text(one, STR("delete")) ? (unsigned)DELETED
                                                      : 0;
    }
    return all == 0 ? CREATED | UPDATED | DELETED : all;
}

static bool load_criteria(struct topic_set *topics, const struct json *criteria, struct trigger *trigger,
                          struct error *error)
{
    struct str previous = JSON_TEXT(topics->arena, criteria, "previous");
    struct str current = JSON_TEXT(topics->arena, criteria, "current");
    trigger->has_previous = previous.at != NULL;
    trigger->has_current = current.at != NULL;
    trigger->create_passes = !json_equals_text(JSON_GET(criteria, "resultForCreate"), STR("test-fails"));
    trigger->delete_passes = json_equals_text(JSON_GET(criteria, "resultForDelete"), STR("test-passes"));
    trigger->both = json_is_true(JSON_GET(criteria, "requireBoth"));
    if ((trigger->has_previous || trigger->has_current) && trigger->type.at == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "queryCriteria need a type");
    }
    return (!trigger->has_previous ||
            parse_query(topics, trigger->type, previous, topics->arena, &trigger->previous, error)) &&
           (!trigger->has_current ||
            parse_query(topics, trigger->type, current, topics->arena, &trigger->current, error));
}

static bool load_trigger(struct topic_set *topics, const struct json *json, struct topic *topic,
                         struct error *error)
{
    struct trigger *trigger = ARENA_NEW(topics->arena, struct trigger);
    struct str type = JSON_TEXT(topics->arena, json, "resource");
    struct str path = JSON_TEXT(topics->arena, json, "fhirPathCriteria");
    if (trigger == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the topics");
    }
    bool any = str_equal(type, STR("Resource"));
    if (!any && model_resource_find(type) == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "resourceTrigger.resource is no resource type of R4");
    }
    trigger->type = any ? STR_NONE : type;
    trigger->interactions = interactions_of(JSON_GET(json, "supportedInteraction"));
    if (!load_criteria(topics, JSON_GET(json, "queryCriteria"), trigger, error)) {
        return false;
    }
    if (path.at != NULL) {
        trigger->path = fhirpath_compile(topics->arena, path, error);
        if (trigger->path == NULL) {
            return false;
        }
    }
    trigger->next = topic->triggers;
    topic->triggers = trigger;
    return true;
}

bool topic_add(struct topic_set *topics, struct str text, struct error *error)
{
    struct json *json = NULL;
    struct topic *topic = ARENA_NEW(topics->arena, struct topic);
    struct str kept = arena_dup(topics->arena, text);
    if (topic == NULL || kept.at == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the topics");
    }
    if (!json_read(topics->arena, kept, &json, error)) {
        return false;
    }
    topic->json = json;
    topic->url = JSON_TEXT(topics->arena, json, "url");
    JSON_EACH(trigger, JSON_GET(json, "resourceTrigger")) {
        if (!load_trigger(topics, trigger, topic, error)) {
            return false;
        }
    }
    if (topic->url.len == 0 || topic->triggers == NULL || topic_find(topics, topic->url) != NULL) {
        return FAIL(error, ERROR_STRUCTURE, "a topic has an url of its own and a resourceTrigger");
    }
    topic->next = topics->first;
    topics->first = topic;
    return true;
}

/* ---- looking ---- */

const struct topic *topic_find(const struct topic_set *topics, struct str canonical)
{
    struct str url = str_slice(canonical, 0, str_find_char(canonical, '|'));
    for (const struct topic *topic = topics->first; topic != NULL; topic = topic->next) {
        if (str_equal(topic->url, url)) {
            return topic;
        }
    }
    return NULL;
}

const struct topic *topic_next(const struct topic_set *topics, const struct topic *topic)
{
    return topic == NULL ? topics->first : topic->next;
}

struct str topic_url(const struct topic *topic)
{
    return topic->url;
}

const struct json *topic_json(const struct topic *topic)
{
    return topic->json;
}

struct str topic_type(const struct topic *topic)
{
    return topic->triggers->next == NULL ? topic->triggers->type : STR_NONE;
}

static unsigned interaction_of(enum store_method method)
{
    switch (method) {
    case STORE_METHOD_CREATED:
        return CREATED;
    case STORE_METHOD_UPDATED:
        return UPDATED;
    case STORE_METHOD_DELETED:
        return DELETED;
    }
    return 0;
}

static bool may_fire(const struct trigger *trigger, const struct store_version *version)
{
    bool of_type = trigger->type.at == NULL || str_equal(trigger->type, version->type);
    return of_type && (trigger->interactions & interaction_of(version->method)) != 0;
}

bool topic_may_fire(const struct topic *topic, const struct store_version *version)
{
    for (const struct trigger *trigger = topic->triggers; trigger != NULL; trigger = trigger->next) {
        if (may_fire(trigger, version)) {
            return true;
        }
    }
    return false;
}

/* ---- an event ---- */

static bool fits(const struct topic_set *topics, const struct search_query *query, struct arena *arena,
                 const struct store_version *version, const struct json *resource, bool *fit,
                 struct error *error)
{
    struct index_rows rows = { 0 };
    bool known = false;
    if (!fhir_index_rows(topics->index, arena, resource, &rows, error)) {
        return false;
    }
    const struct search_subject subject = { .type = version->type,
                                            .id = version->id,
                                            .updated_ms = version->updated_ms,
                                            .rows = rows.rows,
                                            .rows_count = rows.count };
    *fit = search_criteria_match(query->criteria, &subject, &known);
    assert(known); /* chains and lists are refused when a query is read */
    return true;
}

static bool path_holds(const struct topic_set *topics, const struct trigger *trigger,
                       const struct topic_event *event, bool *holds, struct error *error)
{
    struct fhirpath_item items[2];
    struct fhirpath_variable previous = { .name = STR("previous") };
    struct fhirpath_variable current = { .next = &previous, .name = STR("current") };
    struct fhirpath_context context = { .arena = event->arena,
                                        .variables = &current,
                                        .offset_minutes = topics->offset_minutes,
                                        .has_offset = true };
    if (event->previous != NULL) {
        items[0] = fhirpath_item_of_resource(event->previous);
        previous.value = (struct fhirpath_collection){ .items = &items[0], .count = 1 };
    }
    if (event->resource != NULL) {
        items[1] = fhirpath_item_of_resource(event->resource);
        current.value = (struct fhirpath_collection){ .items = &items[1], .count = 1 };
    }
    return fhirpath_test(trigger->path, &context, NULL, holds, error);
}

static bool fires(const struct topic_set *topics, const struct trigger *trigger,
                  const struct topic_event *event, bool *result, struct error *error)
{
    bool previous = trigger->create_passes;
    bool current = trigger->delete_passes;
    bool path = true;
    if (trigger->has_previous && event->previous != NULL &&
        !fits(topics, &trigger->previous, event->arena, event->previous_version, event->previous, &previous,
              error)) {
        return false;
    }
    if (trigger->has_current && event->resource != NULL &&
        !fits(topics, &trigger->current, event->arena, event->version, event->resource, &current, error)) {
        return false;
    }
    if (trigger->path != NULL && !path_holds(topics, trigger, event, &path, error)) {
        return false;
    }
    bool query = true;
    if (trigger->has_previous && trigger->has_current) {
        query = trigger->both ? previous && current : previous || current;
    } else if (trigger->has_previous) {
        query = previous;
    } else if (trigger->has_current) {
        query = current;
    }
    *result = query && path;
    return true;
}

bool topic_fires(const struct topic_set *topics, const struct topic *topic, const struct topic_event *event,
                 bool *result, struct error *error)
{
    bool any = false;
    for (const struct trigger *trigger = topic->triggers; !any && trigger != NULL; trigger = trigger->next) {
        if (may_fire(trigger, event->version) && !fires(topics, trigger, event, &any, error)) {
            return false;
        }
    }
    *result = any;
    return true;
}

/* ---- filters ---- */

/* Names are compared without their modifier; one with a chain ("subject:Patient.name") is no name of the list. */
static bool can_filter(const struct topic *topic, struct str type, struct str name)
{
    struct str code = str_slice(name, 0, str_find_char(name, ':'));
    bool chained = str_find_char(name, '.') < name.len;
    JSON_EACH(entry, JSON_GET(topic->json, "canFilterBy")) {
        const struct json *resource = JSON_GET(entry, "resource");
        bool of_type = json_equals_text(resource, type) || json_equals_text(resource, STR("Resource"));
        if (!chained && of_type && json_equals_text(JSON_GET(entry, "filterParameter"), code)) {
            return true;
        }
    }
    return false;
}

static bool is_topics_type(const struct topic *topic, struct str type)
{
    for (const struct trigger *trigger = topic->triggers; trigger != NULL; trigger = trigger->next) {
        if (trigger->type.at == NULL || str_equal(trigger->type, type)) {
            return true;
        }
    }
    return false;
}

bool topic_filter_parse(const struct topic_set *topics, const struct topic *topic, struct arena *arena,
                        struct str text, struct topic_filter *filter, struct error *error)
{
    struct str query = text;
    struct str type = STR_NONE;
    bool shaped =
        text.at != NULL && str_find_char(text, '?') < text.len && str_split_next(&query, '?', &type);
    if (!shaped || model_resource_find(type) == NULL || !is_topics_type(topic, type)) {
        return FAIL(error, ERROR_RULE, "a filter is Type?query, of a type that the topic is about");
    }
    *filter = (struct topic_filter){ .type = type };
    if (!parse_query(topics, type, query, arena, &filter->query, error)) {
        return false;
    }
    for (size_t i = 0; i < filter->query.pairs_count; i++) {
        struct str name = filter->query.pairs[i].name;
        if (!can_filter(topic, type, name)) {
            return FAIL(error, ERROR_RULE, "the topic cannot be filtered by '%.*s'",
                        STR_FMT(str_slice(name, 0, 40)));
        }
    }
    return true;
}

bool topic_filters_fit(const struct topic_set *topics, const struct topic_filter *filters,
                       const struct topic_event *event, bool *fit, struct error *error)
{
    bool deleted = event->resource == NULL;
    const struct store_version *version = deleted ? event->previous_version : event->version;
    const struct json *resource = deleted ? event->previous : event->resource;
    bool named = filters == NULL;
    bool all = true;
    for (const struct topic_filter *filter = filters; all && filter != NULL; filter = filter->next) {
        if (!str_equal(filter->type, event->version->type)) {
            continue;
        }
        named = true;
        if (resource != NULL && !fits(topics, &filter->query, event->arena, version, resource, &all, error)) {
            return false;
        }
        all = all && resource != NULL;
    }
    *fit = all && named;
    return true;
}
