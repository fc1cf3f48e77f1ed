#include "store/body.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/limits.h"
#include "store/read.h"

enum { TYPICAL_BYTES = 4096, HEAD_BYTES = 256 /* type, id and the server's part of meta */ };

/* What of meta is not the server's. Its own members become columns; an extension on them (_versionId) stays. */
static bool is_owned(struct str name)
{
    return str_equal(name, STR("versionId")) || str_equal(name, STR("lastUpdated"));
}

static void add_member(struct buf *buf, const struct json *member)
{
    buf_add_char(buf, ',');
    json_write_text(buf, member->name);
    buf_add_char(buf, ':');
    json_write(buf, member);
}

bool store_body_from_json(struct arena *arena, const struct json *resource, struct str *body,
                          struct error *error)
{
    if (resource == NULL || resource->kind != JSON_OBJECT) {
        return FAIL(error, ERROR_STRUCTURE, "a resource must be a JSON object");
    }
    struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
    (void)buf_reserve(&buf, TYPICAL_BYTES); /* else it grows five times; a failure is seen at the end */
    JSON_EACH(member, JSON_GET(resource, "meta")) {
        if (!is_owned(member->name)) {
            add_member(&buf, member);
        }
    }
    buf_add_char(&buf, '}');
    JSON_EACH(member, resource) {
        if (!str_equal(member->name, STR("resourceType")) && !str_equal(member->name, STR("id")) &&
            !str_equal(member->name, STR("meta"))) {
            add_member(&buf, member);
        }
    }
    buf_add_char(&buf, '}');
    struct str copy = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    bool failed = copy.at == NULL;
    buf_deinit(&buf);
    if (failed) {
        return FAIL(error, ERROR_TOO_LARGE, "the resource is too large");
    }
    *body = copy;
    return true;
}

void store_body_write(struct buf *buf, const struct store_version *version)
{
    char instant[INSTANT_BYTES];
    size_t len = instant_format(version->updated_ms, 0, instant);
    buf_add(buf, STR("{\"resourceType\":\""));
    buf_add(buf, version->type);
    buf_add(buf, STR("\",\"id\":\""));
    buf_add(buf, version->id); /* type and id hold no character that JSON escapes (R4 2.24.0.1) */
    buf_printf(buf, "\",\"meta\":{\"versionId\":\"%" PRIu64 "\",\"lastUpdated\":\"", version->version);
    buf_add(buf, (struct str){ instant, len });
    buf_add_char(buf, '"');
    buf_add(buf, version->body.at == NULL ? STR("}}") : version->body);
}

bool store_body_text(struct arena *arena, const struct store_version *version, struct str *text,
                     struct error *error)
{
    struct buf buf = { .bytes_max = LIMIT_BUNDLE_BYTES };
    (void)buf_reserve(&buf, version->body.len + HEAD_BYTES);
    store_body_write(&buf, version);
    struct str copy = buf.failed ? STR_NONE : arena_dup(arena, buf_str(&buf));
    buf_deinit(&buf);
    if (copy.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *text = copy;
    return true;
}
