/* subscription_read.c — a Subscription of the profile backport-subscription, read and guarded. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/parse.h"
#include "feed/subscription_internal.h"

enum {
    EVENTS_MAX = 100,
    EVENTS_DEFAULT = 20,
    TIMEOUT_DEFAULT_S = 10,
    TIMEOUT_MAX_S = 60,
    HEARTBEAT_MAX_S = 7 * 24 * 3600
};

static const char *const state_codes[SUBSCRIPTION_STATES] = { "requested", "active", "error", "off" };
static const char *const content_codes[] = { "empty", "id-only", "full-resource" };

const char *subscription_state_code(enum subscription_state state)
{
    return state_codes[state];
}

bool subscription_content_of(struct str code, enum subscription_content *content)
{
    for (size_t i = 0; i < sizeof content_codes / sizeof *content_codes; i++) {
        if (str_equal_cstr(code, content_codes[i])) {
            *content = (enum subscription_content)i;
            return true;
        }
    }
    return false;
}

static enum subscription_state state_of(const struct json *status)
{
    for (int i = 0; i < SUBSCRIPTION_STATES; i++) {
        if (json_equals_text(status, str_from_cstr(state_codes[i]))) {
            return (enum subscription_state)i;
        }
    }
    return SUBSCRIPTION_REQUESTED;
}

static const struct json *extension_of(const struct json *element, struct str url)
{
    JSON_EACH(extension, JSON_GET(element, "extension")) {
        if (json_equals_text(JSON_GET(extension, "url"), url)) {
            return extension;
        }
    }
    return NULL;
}

static bool read_number(const struct json *channel, struct str url, struct str value, uint64_t max,
                        uint64_t *number, struct error *error)
{
    const struct json *extension = extension_of(channel, url);
    const struct json *given = json_member(extension, value);
    if (extension == NULL) {
        return true;
    }
    bool fits =
        given != NULL && given->kind == JSON_NUMBER && parse_uint64(given->raw, max, number) && *number > 0;
    return fits || FAIL(error, ERROR_RULE, "the channel's heartbeat, timeout or maximum is out of bounds");
}

/* R4 2.46: a type of R4, or by the extension one of ours. */
static bool read_type(struct arena *arena, const struct json *channel, struct subscription_spec *spec,
                      struct error *error)
{
    const struct json *own = extension_of(JSON_GET(channel, "_type"), STR(BACKPORT "backport-channel-type"));
    struct str type = JSON_TEXT(arena, channel, "type");
    if (own != NULL) {
        const struct json *coding = JSON_GET(own, "valueCoding");
        spec->channel = SUBSCRIPTION_STREAM;
        return (json_equals_text(JSON_GET(coding, "system"), STR("urn:shanhai:codes:channel")) &&
                json_equals_text(JSON_GET(coding, "code"), STR("server-sent-events"))) ||
               FAIL(error, ERROR_RULE,
                    "channels are rest-hook, and urn:shanhai:codes:channel|server-sent-events");
    }
    spec->channel = SUBSCRIPTION_REST_HOOK;
    return str_equal(type, STR("rest-hook")) ||
           FAIL(error, ERROR_RULE,
                "channels are rest-hook, and urn:shanhai:codes:channel|server-sent-events");
}

static bool read_headers(struct arena *arena, const struct json *channel, struct subscription_spec *spec,
                         struct error *error)
{
    const struct json *list = JSON_GET(channel, "header");
    struct str *headers = ARENA_ARRAY(arena, struct str, list == NULL ? 1 : list->count);
    if (headers == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (list != NULL && list->count > LIMIT_SUBSCRIPTION_HEADERS) {
        return FAIL(error, ERROR_RULE, "a channel has at most %d headers", LIMIT_SUBSCRIPTION_HEADERS);
    }
    JSON_EACH(line, list) {
        headers[spec->headers_count] = json_text(arena, line);
        if (!outgoing_header_allowed(headers[spec->headers_count++], error)) {
            return false;
        }
    }
    spec->headers = headers;
    return true;
}

static bool read_channel(const struct subscription_options *options, struct arena *arena,
                         const struct json *channel, struct subscription_spec *spec, struct error *error)
{
    const struct json *wish =
        extension_of(JSON_GET(channel, "_payload"), STR(BACKPORT "backport-payload-content"));
    uint64_t heartbeat_s = 0;
    uint64_t timeout_s = TIMEOUT_DEFAULT_S;
    uint64_t events = EVENTS_DEFAULT;
    if (!read_type(arena, channel, spec, error) || !read_headers(arena, channel, spec, error)) {
        return false;
    }
    if (!json_equals_text(JSON_GET(channel, "payload"), STR("application/fhir+json"))) {
        return FAIL(error, ERROR_RULE, "channel.payload is application/fhir+json");
    }
    if (!subscription_content_of(JSON_TEXT(arena, wish, "valueCode"), &spec->content)) {
        return FAIL(error, ERROR_RULE, "backport-payload-content says empty, id-only or full-resource");
    }
    if (!read_number(channel, STR(BACKPORT "backport-heartbeat-period"), STR("valueUnsignedInt"),
                     HEARTBEAT_MAX_S, &heartbeat_s, error) ||
        !read_number(channel, STR(BACKPORT "backport-timeout"), STR("valueUnsignedInt"), TIMEOUT_MAX_S,
                     &timeout_s, error) ||
        !read_number(channel, STR(BACKPORT "backport-max-count"), STR("valuePositiveInt"), UINT32_MAX,
                     &events, error)) {
        return false;
    }
    spec->heartbeat_ms = (int64_t)heartbeat_s * 1000;
    spec->timeout_ms = (long)timeout_s * 1000;
    spec->events_max = events < EVENTS_MAX ? (size_t)events : EVENTS_MAX;
    spec->endpoint = JSON_TEXT(arena, channel, "endpoint");
    return spec->channel == SUBSCRIPTION_STREAM ||
           outgoing_allowed(arena, spec->endpoint, options->endpoints, options->endpoints_count, error);
}

static bool read_filters(const struct subscription_options *options, struct arena *arena,
                         const struct json *criteria, struct subscription_spec *spec, struct error *error)
{
    size_t count = 0;
    JSON_EACH(extension, JSON_GET(criteria, "extension")) {
        struct topic_filter *filter = ARENA_NEW(arena, struct topic_filter);
        if (!json_equals_text(JSON_GET(extension, "url"), STR(BACKPORT "backport-filter-criteria"))) {
            continue;
        }
        if (filter == NULL || ++count > LIMIT_SUBSCRIPTION_FILTERS) {
            return FAIL(error, ERROR_RULE, "a subscription has at most %d filters",
                        LIMIT_SUBSCRIPTION_FILTERS);
        }
        if (!topic_filter_parse(options->topics, spec->topic, arena,
                                JSON_TEXT(arena, extension, "valueString"), filter, error)) {
            return false;
        }
        filter->next = (struct topic_filter *)(uintptr_t)spec->filters; /* made here, so not constant yet */
        spec->filters = filter;
    }
    return true;
}

static struct str owner_of(struct arena *arena, const struct json *resource, struct str url, struct str type)
{
    const struct json *value = JSON_GET(extension_of(resource, url), "valueReference");
    struct str reference = JSON_TEXT(arena, value, "reference");
    return str_starts_with(reference, type) ? str_skip(reference, type.len) : STR_NONE;
}

bool subscription_spec_read(const struct subscription_options *options, struct arena *arena,
                            const struct json *resource, struct subscription_spec *spec, struct error *error)
{
    struct date_span end = { 0 };
    struct str ends = JSON_TEXT(arena, resource, "end");
    *spec = (struct subscription_spec){ .state = state_of(JSON_GET(resource, "status")) };
    spec->person = owner_of(arena, resource, STR(SUBSCRIBER_PERSON_URL), STR("Practitioner/"));
    spec->post = owner_of(arena, resource, STR(SUBSCRIBER_URL), STR("PractitionerRole/"));
    if (ends.at != NULL && !date_parse(ends, options->offset_minutes, &end, error)) {
        return false;
    }
    spec->ends_ms = ends.at == NULL ? 0 : end.from_ms;
    spec->topic = topic_find(options->topics, JSON_TEXT(arena, resource, "criteria"));
    if (spec->topic == NULL) {
        return FAIL(error, ERROR_RULE, "criteria is the canonical URL of a topic of this server");
    }
    return read_filters(options, arena, JSON_GET(resource, "_criteria"), spec, error) &&
           read_channel(options, arena, JSON_GET(resource, "channel"), spec, error);
}

/* ---- the guard ---- */

static void set_owner(struct arena *arena, struct json *resource, struct str url, struct str reference)
{
    struct json *list = JSON_GET(resource, "extension");
    struct json *old = NULL;
    list = list == NULL ? json_add(resource, STR("extension"), json_new(arena, JSON_ARRAY)) : list;
    JSON_EACH(extension, list) {
        old = json_equals_text(JSON_GET(extension, "url"), url) ? extension : old;
    }
    if (old != NULL) {
        (void)json_remove(list, old);
    }
    struct json *extension = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, extension, STR("url"), url);
    struct json *value = json_add(extension, STR("valueReference"), json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, value, STR("reference"), reference);
}

bool subscription_guard(struct subscriptions *subscriptions, struct arena *arena,
                        const struct access_session *session, struct json *resource, struct error *error)
{
    struct subscription_spec spec;
    bool off = json_equals_text(JSON_GET(resource, "status"), STR("off"));
    /* It would go on telling what the post may see, when the app's scopes name less and its token has ended. */
    if (session->means == ACCESS_BY_APP) {
        return FAIL(error, ERROR_RULE, "an app cannot subscribe: a person can, for the post");
    }
    if (session->person.at == NULL || session->post.at == NULL) {
        return FAIL(error, ERROR_FORBIDDEN, "a subscription belongs to a person's post");
    }
    if (!subscription_spec_read(&subscriptions->options, arena, resource, &spec, error)) {
        return false;
    }
    for (const struct topic_filter *filter = spec.filters; filter != NULL; filter = filter->next) {
        if (!access_query_allowed(session, &filter->query, error)) {
            return false;
        }
    }
    if (!off && atomic_load(&subscriptions->count) >= LIMIT_SUBSCRIPTIONS) {
        return FAIL(error, ERROR_TOO_MANY, "there are %d subscriptions already", LIMIT_SUBSCRIPTIONS);
    }
    (void)json_set(resource, STR("status"), json_new_string(arena, off ? STR("off") : STR("requested")));
    (void)json_remove_member(resource, STR("error"));
    set_owner(arena, resource, STR(SUBSCRIBER_URL),
              arena_printf(arena, "PractitionerRole/%.*s", STR_FMT(session->post)));
    set_owner(arena, resource, STR(SUBSCRIBER_PERSON_URL),
              arena_printf(arena, "Practitioner/%.*s", STR_FMT(session->person)));
    return true;
}
