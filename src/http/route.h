/* route.h — from a path to a row of the caller's table. The templates are taken apart once, at start;
 * matching goes through the patterns of the path's length, most specific first, and allocates nothing.
 * A table is immutable after route_table_init: any thread matches. */
#ifndef SHANHAI_HTTP_ROUTE_H
#define SHANHAI_HTTP_ROUTE_H

#include "base/limits.h"
#include "http/http.h"

enum { ROUTE_SEGMENTS_MAX = 24 };

struct route_pattern;

struct route_table {
    struct route_pattern *patterns; /* one for each different template, most specific first */
    size_t patterns_count;
};

struct route_match {
    const struct http_route *route; /* NULL: no row, or none for this method */
    unsigned methods_allowed;       /* bits 1 << enum http_method of all rows that match the path; 0: 404 */
    struct http_pair parameters[LIMIT_HTTP_PARAMETERS]; /* values as sent, not decoded */
    size_t parameters_count;
};

/* Fails on a template that is not one: no leading slash, braces that do not close, a rest parameter that
 * is not last, too many parameters, the same method and template twice. */
bool route_table_init(struct route_table *table, struct arena *arena, const struct http_route *routes,
                      size_t routes_count, struct error *error) MUST_CHECK;

/* `path` as sent, with its leading slash. An empty last segment ("/a/") is a segment of its own. */
void route_match(const struct route_table *table, enum http_method method, struct str path,
                 struct route_match *match);

#endif
