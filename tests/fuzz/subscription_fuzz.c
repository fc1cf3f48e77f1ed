/* Any bytes as a Subscription: refused with a reason, or understood; then its endpoint is one of the list, its headers are
 * single lines, and its bounds hold. The first line may be a topic of the operator instead. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "feed/subscription_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char topic[] =
    "{\"url\":\"urn:t:any\",\"resourceTrigger\":[{\"resource\":\"Resource\"}],\"canFilterBy\":["
    "{\"resource\":\"Resource\",\"filterParameter\":\"_id\"},{\"resource\":\"Observation\","
    "\"filterParameter\":\"status\"},"
    "{\"resource\":\"Observation\",\"filterParameter\":\"patient\"}]}";

static void look_at(const struct subscription_options *options, struct arena *arena, struct str text)
{
    struct json *resource = NULL;
    struct subscription_spec spec;
    struct error error = { 0 };
    if (!json_read(arena, text, &resource, &error) ||
        !subscription_spec_read(options, arena, resource, &spec, &error)) {
        assert(error.kind != ERROR_NONE && error.text[0] != '\0');
        return;
    }
    assert(spec.topic != NULL);
    assert(spec.events_max >= 1 && spec.timeout_ms >= 1000 && spec.heartbeat_ms >= 0);
    for (size_t i = 0; i < spec.headers_count; i++) {
        assert(str_find_char(spec.headers[i], '\n') == spec.headers[i].len);
        assert(str_find_char(spec.headers[i], '\r') == spec.headers[i].len);
    }
    bool called = spec.channel == SUBSCRIPTION_REST_HOOK;
    assert(!called || str_starts_with(spec.endpoint, STR("http")) ||
           str_starts_with(spec.endpoint, STR("HTTP")) ||
           str_find(spec.endpoint, STR("hook")) < spec.endpoint.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 32u << 20 };
    const struct str endpoint = STR("https://peer.example.org/hook");
    struct topic_set topics = { .arena = &arena, .offset_minutes = 480 };
    const struct subscription_options options = { .topics = &topics,
                                                  .endpoints = &endpoint,
                                                  .endpoints_count = 1 };
    struct str text = { (const char *)data, size };
    struct error error = { 0 };
    bool loaded = topic_add(&topics, str_from_cstr(topic), &error);
    assert(loaded);
    look_at(&options, &arena, text);
    if (!topic_add(&topics, text, &error)) {
        assert(error.text[0] != '\0');
    }
    arena_deinit(&arena);
    return 0;
}
