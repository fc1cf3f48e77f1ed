/* $status, $events and $stream of Subscriptions (HL7 FHIR Subscriptions R5 Backport 1.1), and the topics there are. What
 * may be asked about is what the session may read: its own. */
#include <stdatomic.h>

#include "access/sign_in.h"
#include "api/call.h"
#include "api/handlers.h"
#include "api/operation.h"
#include "base/limits.h"
#include "base/parse.h"
#include "base/uuid.h"
#include "feed/subscription.h"

/* The Subscription of the path, read and audited as any read. */
static bool read_own(struct http_request *request, struct str *id, struct error *error)
{
    struct store_version version = { 0 };
    struct json *resource = NULL;
    *id = http_parameter(request, STR("id"));
    const struct fhir_wanted wanted = { .type = STR("Subscription"), .id = *id };
    return operation_read(request, &wanted, &version, &resource, error);
}

/* ---- $status ---- */

struct statuses {
    struct http_request *request;
    struct json *entries;
};

static bool add_status(struct statuses *statuses, struct str id, struct error *error)
{
    struct http_request *request = statuses->request;
    struct json *parameters = NULL;
    if (!subscription_status(api_of(request)->subscriptions, &request->arena, id, &parameters, error)) {
        return false;
    }
    struct json *entry = json_append(statuses->entries, json_new(&request->arena, JSON_OBJECT));
    (void)json_add_text(&request->arena, entry, STR("fullUrl"),
                        api_url(request, "/Subscription/%.*s/$status", STR_FMT(id)));
    (void)json_add(entry, STR("resource"), parameters);
    struct json *search = json_add(entry, STR("search"), json_new(&request->arena, JSON_OBJECT));
    (void)json_add_text(&request->arena, search, STR("mode"), STR("match"));
    return true;
}

/* Those of `id` (repeats), of `status`, or all. */
static bool add_pairs(struct http_request *request, const struct json *body, struct search_pair *pairs,
                      size_t *count, struct error *error)
{
    static const struct {
        struct str name, search;
    } known[] = { { { "id", 2 }, { "_id", 3 } }, { { "status", 6 }, { "status", 6 } } };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        struct str list = STR_NONE;
        for (size_t i = 0; i < request->pairs_count; i++) {
            if (str_equal(request->pairs[i].name, known[k].name)) {
                list = arena_printf(&request->arena, "%.*s%s%.*s", STR_FMT(list), list.len > 0 ? "," : "",
                                    STR_FMT(request->pairs[i].value));
            }
        }
        JSON_EACH(parameter, JSON_GET(body, "parameter")) {
            struct str value = JSON_TEXT(&request->arena, parameter, "valueId");
            value = value.at == NULL ? JSON_TEXT(&request->arena, parameter, "valueCode") : value;
            if (json_equals_text(JSON_GET(parameter, "name"), known[k].name) && value.at != NULL) {
                list = arena_printf(&request->arena, "%.*s%s%.*s", STR_FMT(list), list.len > 0 ? "," : "",
                                    STR_FMT(value));
            }
        }
        if (list.len > 0) {
            pairs[(*count)++] = (struct search_pair){ known[k].search, list };
        }
    }
    for (size_t i = 0; i < request->pairs_count; i++) {
        struct str name = request->pairs[i].name;
        if (!str_equal(name, STR("id")) && !str_equal(name, STR("status")) &&
            !str_starts_with(name, STR("_"))) {
            return FAIL(error, ERROR_INPUT, "$status takes id and status");
        }
    }
    return true;
}

static bool add_statuses(struct statuses *statuses, const struct json *body, struct error *error)
{
    struct search_pair pairs[2];
    struct operation_search search = { .request = statuses->request,
                                       .options = { .type = STR("Subscription") },
                                       .pairs = pairs,
                                       .count = LIMIT_SEARCH_COUNT };
    const struct api_read read = { .act = { .interaction = ACCESS_SEARCH, .type = STR("Subscription") },
                                   .type = STR("Subscription") };
    if (!add_pairs(statuses->request, body, pairs, &search.pairs_count, error) ||
        !operation_search(&search, error) ||
        !api_audit_read(statuses->request, &call_of(statuses->request)->session, &read, error)) {
        return false;
    }
    for (size_t i = 0; i < search.hits.matches_count; i++) {
        if (!add_status(statuses, search.hits.hits[i].version.id, error)) {
            return false;
        }
    }
    return true;
}

enum http_verdict subscriptions_status(struct http_request *request)
{
    struct error error = { 0 };
    struct json *body = NULL;
    struct str id = STR_NONE;
    char uuid[UUID_TEXT_BYTES];
    struct json *bundle = json_new(&request->arena, JSON_OBJECT);
    (void)json_add_text(&request->arena, bundle, STR("resourceType"), STR("Bundle"));
    (void)json_add_text(&request->arena, bundle, STR("type"), STR("searchset"));
    struct json *entries = json_new(&request->arena, JSON_ARRAY);
    struct statuses statuses = { request, entries };
    bool one = http_parameter(request, STR("id")).at != NULL;
    bool ok = operation_body(request, &body, &error) && uuid_v7(request->started_us / 1000, uuid, &error) &&
              (one ? read_own(request, &id, &error) && add_status(&statuses, id, &error)
                   : add_statuses(&statuses, body, &error));
    if (!ok) {
        return api_fail(request, &error);
    }
    (void)json_add(bundle, STR("total"), json_new_integer(&request->arena, (int64_t)entries->count));
    if (entries->count > 0) {
        (void)json_add(bundle, STR("entry"), entries);
    }
    api_respond_json(request, 200, true, bundle);
    return HTTP_DONE;
}

/* ---- $events ---- */

static bool read_range(struct http_request *request, struct subscription_range *range, struct error *error)
{
    struct json *body = NULL;
    if (!operation_body(request, &body, error)) {
        return false;
    }
    struct str from = operation_parameter(request, body, STR("eventsSinceNumber"));
    struct str until = operation_parameter(request, body, STR("eventsUntilNumber"));
    range->content = operation_parameter(request, body, STR("content"));
    return ((from.at == NULL || parse_uint64(from, INT64_MAX, &range->from)) &&
            (until.at == NULL || parse_uint64(until, INT64_MAX, &range->until))) ||
           FAIL(error, ERROR_INPUT, "eventsSinceNumber and eventsUntilNumber are whole numbers");
}

enum http_verdict subscriptions_events(struct http_request *request)
{
    struct error error = { 0 };
    struct subscription_range range = { 0 };
    struct str bundle = STR_NONE;
    if (!read_own(request, &range.id, &error) || !read_range(request, &range, &error) ||
        !subscription_events(api_of(request)->subscriptions, &request->arena, &call_of(request)->session,
                             &range, &bundle, &error)) {
        return api_fail(request, &error);
    }
    api_respond_text(request, 200, bundle);
    return HTTP_DONE;
}

/* ---- $stream: server-sent events ---- */

/* The stream's and the subscription's: whoever comes last frees. */
struct reader {
    struct arena arena; /* this struct and its texts lie in it */
    struct api *api;
    struct session_request asked;
    _Atomic bool has_left;
    _Atomic int refs;
};

static void reader_unref(void *data)
{
    struct reader *reader = data;
    if (atomic_fetch_sub(&reader->refs, 1) == 1) {
        struct arena arena = reader->arena;
        arena_deinit(&arena);
    }
}

static bool reader_alive(void *data)
{
    struct reader *reader = data;
    struct arena arena = { .bytes_max = LIMIT_RESOURCE_BYTES };
    struct access_session session = { 0 };
    struct error error = { 0 };
    bool alive = !atomic_load(&reader->has_left) &&
                 session_of_request(reader->api->access, &arena, &reader->asked, &session, &error);
    arena_deinit(&arena);
    return alive;
}

static void reader_closed(struct http_stream *stream, void *data)
{
    struct reader *reader = data;
    (void)stream;
    atomic_store(&reader->has_left, true);
    subscription_wake(reader->api->subscriptions);
    reader_unref(reader);
}

static struct str kept(struct arena *arena, struct str text)
{
    return text.at == NULL ? STR_NONE : arena_dup(arena, text);
}

static struct reader *reader_create(struct http_request *request)
{
    struct arena arena = { .bytes_max = (size_t)LIMIT_ARENA_BLOCK_BYTES * 4 };
    struct reader *reader = ARENA_NEW(&arena, struct reader);
    if (reader == NULL) {
        return NULL;
    }
    reader->api = api_of(request);
    reader->asked = (struct session_request){
        .cookie = kept(&arena, http_cookie(request, STR(SESSION_COOKIE_NAME))),
        .authorization = kept(&arena, http_header(request, STR("Authorization"))),
        .host = kept(&arena, http_header(request, STR("Host"))),
        .tls = reader->api->tls,
        .passive = true,
    };
    atomic_store(&reader->refs, 2);
    reader->arena = arena;
    return reader;
}

enum http_verdict subscriptions_stream(struct http_request *request)
{
    struct error error = { 0 };
    struct str id = STR_NONE;
    struct subscription_stream stream = { .alive = reader_alive, .release = reader_unref };
    struct str last = http_header(request, STR("Last-Event-ID"));
    stream.has_after = last.at != NULL && parse_uint64(last, INT64_MAX, &stream.after);
    if (!read_own(request, &id, &error) ||
        !subscription_may_stream(api_of(request)->subscriptions, id, &error)) {
        return api_fail(request, &error);
    }
    struct reader *reader = reader_create(request);
    if (reader == NULL) {
        (void)FAIL(&error, ERROR_BUSY, "no memory for an event stream");
        return api_fail(request, &error);
    }
    const struct http_stream_options options = { .on_closed = reader_closed,
                                                 .data = reader,
                                                 .owner = api_owner(&call_of(request)->session) };
    stream.data = reader;
    if (!http_stream_open(request, &options, &stream.stream, &error)) {
        struct arena arena = reader->arena;
        arena_deinit(&arena);
        return api_fail(request, &error);
    }
    if (!subscription_attach(api_of(request)->subscriptions, id, &stream, &error)) {
        http_stream_close(stream.stream); /* the answer has begun: it ends at once */
        reader_unref(reader);
    }
    return HTTP_DONE;
}

/* ---- topics ---- */

enum http_verdict subscription_topics(struct http_request *request)
{
    const struct topic_set *topics = api_of(request)->topics;
    struct json *object = json_new(&request->arena, JSON_OBJECT);
    struct json *list = json_add(object, STR("topics"), json_new(&request->arena, JSON_ARRAY));
    for (const struct topic *topic = topic_next(topics, NULL); topic != NULL;
         topic = topic_next(topics, topic)) {
        (void)json_append(list, json_copy(&request->arena, topic_json(topic), false));
    }
    api_respond_json(request, 200, false, object);
    return HTTP_DONE;
}
