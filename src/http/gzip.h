/* gzip.h — content codings, gzip (RFC 1952) for answers. Any thread. */
#ifndef SHANHAI_HTTP_GZIP_H
#define SHANHAI_HTTP_GZIP_H

#include "http/http.h"

/* Whether Accept-Encoding takes this coding, "gzip" or "br" (RFC 9110 section 12.5.3; q=0 refuses). */
bool http_accepts_coding(const struct http_request *request, struct str wanted);

/* Appends the gzip member of `plain` at the fastest level. False when memory or out's limit ran out. */
bool gzip_deflate(struct str plain, struct buf *out) MUST_CHECK;

/* The content of one member that is known to have `plain_bytes`; STR_NONE when it has not, or memory ran out. */
struct str gzip_inflate(struct arena *arena, struct str member, size_t plain_bytes);

/* http_respond for a larger text: compressed when the client takes it and it is worth it. For pool threads. Takes
 * the buffer's content over. */
void http_respond_buf(struct http_request *request, int status, struct str content_type, struct buf *body);

#endif
