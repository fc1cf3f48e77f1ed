/* query.h — percent-decoding and name=value pairs (RFC 3986; application/x-www-form-urlencoded of the
 * URL Living Standard), strictly: a '%' without two hex digits, a NUL, ill-formed UTF-8 are errors, not
 * guesses. Any thread. */
#ifndef SHANHAI_HTTP_QUERY_H
#define SHANHAI_HTTP_QUERY_H

#include "http/http.h"

/* Decoded text in *out: the input itself when nothing is to be decoded, else a copy in the arena.
 * `plus_is_space` for queries and forms, not for paths. ERROR_INPUT names no content. */
bool percent_decode(struct arena *arena, struct str text, bool plus_is_space, struct str *out,
                    struct error *error) MUST_CHECK;

/* Appends RFC 3986 unreserved characters as they are, all others as %XX. */
void percent_encode(struct buf *buf, struct str text);

/* Pairs in order; empty pieces ("&&") are skipped, a piece without '=' has an empty value.
 * ERROR_TOO_LARGE over LIMIT_HTTP_PAIRS. */
bool query_parse(struct arena *arena, struct str text, const struct http_pair **pairs, size_t *count,
                 struct error *error) MUST_CHECK;

#endif
