/* subscription_notify.c — what a subscriber is sent: a Bundle of type history whose first entry is the status
 * (Parameters, profile backport-subscription-status-r4), the others the resources of the events. */
#include "access/audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uuid.h"
#include "feed/subscription_internal.h"
#include "store/body.h"

static const char *const notice_codes[] = { [NOTICE_HANDSHAKE] = "handshake",
                                            [NOTICE_HEARTBEAT] = "heartbeat",
                                            [NOTICE_EVENTS] = "event-notification",
                                            [NOTICE_STATUS] = "query-status",
                                            [NOTICE_QUERY] = "query-event" };

static struct json *add_parameter(struct arena *arena, struct json *list, struct str name,
                                  struct str value_name, struct str value)
{
    struct json *parameter = json_append(list, json_new(arena, JSON_OBJECT));
    (void)json_add_text(arena, parameter, STR("name"), name);
    if (str_equal(value_name, STR("valueReference"))) {
        struct json *reference = json_add(parameter, value_name, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, reference, STR("reference"), value);
    } else if (value_name.at != NULL) {
        (void)json_add_text(arena, parameter, value_name, value);
    }
    return parameter;
}

static struct str address_of(const struct subscriptions *subscriptions, struct arena *arena, struct str type,
                             struct str id)
{
    struct str base = subscriptions->options.base_url;
    return arena_printf(arena, "%.*s%s%.*s/%.*s", STR_FMT(base), base.len > 0 ? "/" : "", STR_FMT(type),
                        STR_FMT(id));
}

struct json *subscription_status_json(const struct subscriptions *subscriptions, struct arena *arena,
                                      const struct subscription *subscription,
                                      enum subscription_notice notice)
{
    struct json *status = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, status, STR("resourceType"), STR("Parameters"));
    struct json *meta = json_add(status, STR("meta"), json_new(arena, JSON_OBJECT));
    struct json *profiles = json_add(meta, STR("profile"), json_new(arena, JSON_ARRAY));
    (void)json_append(profiles, json_new_string(arena, STR(BACKPORT "backport-subscription-status-r4")));
    struct json *list = json_add(status, STR("parameter"), json_new(arena, JSON_ARRAY));
    (void)add_parameter(arena, list, STR("subscription"), STR("valueReference"),
                        address_of(subscriptions, arena, STR("Subscription"), subscription->id));
    if (subscription->spec.topic != NULL) {
        (void)add_parameter(arena, list, STR("topic"), STR("valueCanonical"),
                            topic_url(subscription->spec.topic));
    }
    (void)add_parameter(arena, list, STR("status"), STR("valueCode"),
                        str_from_cstr(subscription_state_code(subscription->state)));
    (void)add_parameter(arena, list, STR("type"), STR("valueCode"), str_from_cstr(notice_codes[notice]));
    (void)add_parameter(arena, list, STR("events-since-subscription-start"), STR("valueString"),
                        arena_printf(arena, "%llu", (unsigned long long)subscription->number));
    return status;
}

/* What is being written. */
struct writing {
    const struct subscriptions *subscriptions;
    const struct subscription_ask *ask;
    struct arena *arena;
    struct store_reader *reader;
    struct json *parameters; /* of the status */
    struct buf entries;
    struct str *written; /* addresses of resources that are in the Bundle already */
    size_t written_count;
    size_t told;
};

static void add_event(struct writing *writing, const struct subscription_event *event,
                      const struct store_version *version)
{
    struct arena *arena = writing->arena;
    char time[INSTANT_BYTES];
    (void)instant_format(version->updated_ms, writing->subscriptions->options.offset_minutes, time);
    struct json *item =
        add_parameter(arena, writing->parameters, STR("notification-event"), STR_NONE, STR_NONE);
    struct json *parts = json_add(item, STR("part"), json_new(arena, JSON_ARRAY));
    (void)add_parameter(arena, parts, STR("event-number"), STR("valueString"),
                        arena_printf(arena, "%llu", (unsigned long long)event->number));
    (void)add_parameter(arena, parts, STR("timestamp"), STR("valueInstant"),
                        arena_dup(arena, str_from_cstr(time)));
    if (writing->ask->content != SUBSCRIPTION_EMPTY) {
        (void)add_parameter(arena, parts, STR("focus"), STR("valueReference"),
                            address_of(writing->subscriptions, arena, version->type, version->id));
    }
    writing->told++;
}

/* One entry a resource, as it is now (R4 bdl-3, bdl-4: with request and response). */
static bool add_entry(struct writing *writing, const struct store_version *current, struct error *error)
{
    const struct subscription_options *options = &writing->subscriptions->options;
    struct str address = address_of(writing->subscriptions, writing->arena, current->type, current->id);
    bool deleted = current->method == STORE_METHOD_DELETED;
    struct str text = STR_NONE;
    for (size_t i = 0; i < writing->written_count; i++) {
        if (str_equal(writing->written[i], address)) {
            return true;
        }
    }
    writing->written[writing->written_count++] = address;
    if (!deleted && writing->ask->content == SUBSCRIPTION_FULL &&
        !options->text(writing->ask->session, writing->arena, current, NULL, 0, &text, error)) {
        return false;
    }
    buf_add(&writing->entries, STR(",{"));
    if (options->base_url.len > 0) {
        buf_add(&writing->entries, STR("\"fullUrl\":"));
        json_write_text(&writing->entries, address);
        buf_add_char(&writing->entries, ',');
    }
    if (text.at != NULL) {
        buf_add(&writing->entries, STR("\"resource\":"));
        buf_add(&writing->entries, text);
        buf_add_char(&writing->entries, ',');
    }
    buf_printf(&writing->entries, "\"request\":{\"method\":\"%s\",\"url\":\"%.*s/%.*s\"},",
               deleted ? "DELETE" : "PUT", STR_FMT(current->type), STR_FMT(current->id));
    buf_printf(&writing->entries, "\"response\":{\"status\":\"%s\"}}",
               deleted                 ? "204"
               : current->version == 1 ? "201"
                                       : "200");
    return true;
}

/* Who is told of a record has read it. */
static bool audit(const struct writing *writing, const struct store_version *version, struct error *error)
{
    const struct access_act act = { .interaction = ACCESS_READ, .type = version->type };
    struct audit_record record = audit_record_of(writing->ask->session, act);
    bool is_patient = str_equal(version->type, STR("Patient"));
    record.time_ms = clock_now_ms();
    record.route = STR("subscription");
    record.type = version->type;
    record.id = version->id;
    record.patients[0] = is_patient ? version->id : STR_NONE;
    record.outcome = AUDIT_SUCCESS;
    record.count = 1;
    return writing->subscriptions->options.audit == NULL || writing->ask->content == SUBSCRIPTION_EMPTY ||
           audit_read_done(writing->subscriptions->options.audit, &record, error);
}

/* What may no longer be seen is left out, with its number. */
static bool write_event(struct writing *writing, const struct subscription_event *event, struct error *error)
{
    struct store_version version = { 0 };
    struct store_version current = { 0 };
    bool may = false;
    if (!store_read_seqs(writing->reader, writing->arena, &event->seq, 1, &version, error) ||
        !subscription_may_tell(writing->reader, writing->arena, writing->ask->session, &version, &current,
                               &may, error)) {
        return false;
    }
    if (!may) {
        return true;
    }
    add_event(writing, event, &version);
    return (writing->ask->content == SUBSCRIPTION_EMPTY || add_entry(writing, &current, error)) &&
           audit(writing, &version, error);
}

static bool write_events(struct writing *writing, struct error *error)
{
    const struct subscription_ask *ask = writing->ask;
    struct subscription_event *events = NULL;
    size_t count = 0;
    if (ask->notice != NOTICE_EVENTS && ask->notice != NOTICE_QUERY) {
        return true;
    }
    if (!subscription_rows_events(writing->reader, writing->arena, ask->subscription->id, ask->from,
                                  ask->until, &events, &count, error)) {
        return false;
    }
    writing->written = ARENA_ARRAY(writing->arena, struct str, count + 1);
    bool ok = writing->written != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    for (size_t i = 0; ok && i < count; i++) {
        ok = write_event(writing, &events[i], error);
    }
    return ok;
}

static bool assemble(struct writing *writing, const struct json *status, struct str *text,
                     struct error *error)
{
    struct arena *arena = writing->arena;
    struct buf out = { .bytes_max = LIMIT_BUNDLE_BYTES };
    char id[UUID_TEXT_BYTES];
    char now[INSTANT_BYTES];
    if (!uuid_v7(clock_now_ms(), id, error)) {
        return false;
    }
    (void)instant_format(clock_now_ms(), writing->subscriptions->options.offset_minutes, now);
    buf_printf(&out,
               "{\"resourceType\":\"Bundle\",\"meta\":{\"profile\":[\"" BACKPORT
               "backport-subscription-notification-r4\"]},\"type\":\"history\",\"timestamp\":\"%s\","
               "\"entry\":[{\"fullUrl\":\"urn:uuid:%s\",\"resource\":",
               now, id);
    json_write(&out, status);
    buf_printf(&out,
               ",\"request\":{\"method\":\"GET\",\"url\":\"Subscription/%.*s/$status\"},"
               "\"response\":{\"status\":\"200\"}}",
               STR_FMT(writing->ask->subscription->id));
    buf_add(&out, buf_str(&writing->entries));
    buf_add(&out, STR("]}"));
    *text = out.failed || writing->entries.failed ? STR_NONE : arena_dup(arena, buf_str(&out));
    buf_deinit(&out);
    return text->at != NULL ||
           FAIL(error, ERROR_TOO_LARGE, "the notification is too large: ask for fewer events");
}

bool subscription_bundle(const struct subscriptions *subscriptions, struct arena *arena,
                         const struct subscription_ask *ask, struct str *text, size_t *told,
                         struct error *error)
{
    struct json *status = subscription_status_json(subscriptions, arena, ask->subscription, ask->notice);
    struct writing writing = { .subscriptions = subscriptions,
                               .ask = ask,
                               .arena = arena,
                               .parameters = JSON_GET(status, "parameter"),
                               .entries = { .bytes_max = LIMIT_BUNDLE_BYTES } };
    bool ok = store_reader_begin(subscriptions->options.store, &writing.reader, error) &&
              write_events(&writing, error) && assemble(&writing, status, text, error);
    store_reader_end(writing.reader);
    buf_deinit(&writing.entries);
    *told = writing.told;
    return ok;
}
