/* POST /live/Encounter/{id}: what a presenter shows his colleagues in a consult, passed on by /events and kept nowhere
 * (docs/modules/consult.md section 11). Who may speak in the discussion may point; who reads the encounter sees it. */
#include "api/handlers.h"
#include "api/operation.h"
#include "base/clock.h"
#include "base/limits.h"
#include "feed/feed.h"

enum { WORD_TEXT_BYTES = 64 };

/* Nothing but identifiers and numbers: no text of anybody passes here. */
static const struct {
    const char *name;
    enum json_kind kind;
} members[] = {
    { "from", JSON_STRING },   { "study", JSON_STRING }, { "series", JSON_STRING }, { "slice", JSON_STRING },
    { "center", JSON_NUMBER }, { "width", JSON_NUMBER }, { "zoom", JSON_NUMBER },   { "x", JSON_NUMBER },
    { "y", JSON_NUMBER },      { "atX", JSON_NUMBER },   { "atY", JSON_NUMBER },    { "ends", JSON_TRUE },
};

static bool is_identifier(struct str text)
{
    bool ok = text.len > 0 && text.len <= WORD_TEXT_BYTES;
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.at[i];
        ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
             c == '-';
    }
    return ok;
}

static bool is_known(const struct json *member)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (str_equal(member->name, str_from_cstr(members[i].name)) && member->kind == members[i].kind) {
            return member->kind != JSON_STRING || is_identifier(member->raw);
        }
    }
    return false;
}

static bool read_word(struct http_request *request, struct json **word, struct error *error)
{
    if (!json_read(&request->arena, request->body, word, error)) {
        return false;
    }
    bool ok = (*word)->kind == JSON_OBJECT && !json_has_duplicates(*word);
    JSON_EACH(member, ok ? *word : NULL) {
        ok = ok && is_known(member);
    }
    return ok || FAIL(error, ERROR_INPUT,
                      "a place in images has from, study, series, slice, center, width, zoom, "
                      "x, y, atX, atY or ends, and nothing else");
}

/* As if it were said in the discussion: the rights are those of a Communication in this encounter. */
static bool may_speak(struct http_request *request, struct str encounter, struct str post,
                      struct error *error)
{
    struct arena *arena = &request->arena;
    struct store_reader *reader = NULL;
    struct json *said = json_new(arena, JSON_OBJECT);
    (void)json_add_text(arena, said, STR("resourceType"), STR("Communication"));
    (void)json_add_text(arena, said, STR("status"), STR("completed"));
    (void)json_add_text(arena, json_add(said, STR("encounter"), json_new(arena, JSON_OBJECT)),
                        STR("reference"), encounter);
    struct json *sender = json_add(said, STR("sender"), json_new(arena, JSON_OBJECT));
    if (json_add_text(arena, sender, STR("reference"), post) == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!store_reader_begin(api_of(request)->store, &reader, error)) {
        return false;
    }
    const struct access_write write = {
        .act = { .interaction = ACCESS_CREATE, .type = STR("Communication") },
        .resource = said,
        .reader = reader,
        .now_ms = clock_now_ms(),
    };
    bool may = access_may_write(&call_of(request)->session, &write, arena, error);
    store_reader_end(reader);
    return may;
}

static bool say(struct http_request *request, struct error *error)
{
    struct arena *arena = &request->arena;
    const struct fhir_wanted wanted = { .type = STR("Encounter"), .id = http_parameter(request, STR("id")) };
    struct store_version version = { 0 };
    struct json *encounter = NULL;
    struct json *word = NULL;
    struct str post = arena_concat(arena, STR("PractitionerRole/"), call_of(request)->session.post);
    struct str reference = arena_concat(arena, STR("Encounter/"), wanted.id);
    if (!operation_read(request, &wanted, &version, &encounter, error) ||
        !may_speak(request, reference, post, error) || !read_word(request, &word, error)) {
        return false;
    }
    if (!json_equals_text(JSON_GET(encounter, "status"), STR("in-progress"))) {
        return FAIL(error, ERROR_RULE, "the session of this encounter is not running");
    }
    (void)json_add_text(arena, word, STR("encounter"), wanted.id);
    (void)json_add_text(arena, word, STR("speaker"), post);
    const struct feed_word said = {
        .type = wanted.type, .id = wanted.id, .speaker = post, .text = json_write_arena(arena, word)
    };
    return said.text.at == NULL ? FAIL(error, ERROR_TOO_LARGE, "request memory used up")
                                : feed_say(api_of(request)->feed, &said, error);
}

enum http_verdict live_say(struct http_request *request)
{
    struct error error = { 0 };
    if (api_of(request)->feed == NULL) {
        (void)FAIL(&error, ERROR_BUSY, "live events are not to be had now");
        return api_fail(request, &error);
    }
    if (!say(request, &error)) {
        return api_fail(request, &error);
    }
    http_respond(request, 204, STR_NONE, STR(""));
    return HTTP_DONE;
}
