/* body.h — how a resource is kept and written out. The server owns resourceType, id, meta.versionId and
 * meta.lastUpdated; they are columns. All else is kept as a *tail*: the text that follows them, so that a
 * read is a prefix from columns and the tail, without parsing. Of
 *     {"resourceType":"Patient","id":"1","meta":{"versionId":"3","lastUpdated":"…","profile":["p"]},"active":true}
 * the tail is
 *     ,"profile":["p"]},"active":true}
 * and of a resource without other meta it is  },"active":true}  . White space outside strings is dropped, all
 * else (order, digits, escapes) is untouched. Any thread. */
#ifndef SHANHAI_STORE_BODY_H
#define SHANHAI_STORE_BODY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

struct store_version;

/* The tail of a resource tree. ERROR_STRUCTURE when it is no object. */
bool store_body_from_json(struct arena *arena, const struct json *resource, struct str *body,
                          struct error *error) MUST_CHECK;

/* The whole resource's text: prefix and tail. lastUpdated is written in UTC. */
void store_body_write(struct buf *buf, const struct store_version *version);
bool store_body_text(struct arena *arena, const struct store_version *version, struct str *text,
                     struct error *error) MUST_CHECK;

#endif
