#include "http/route.h"

#include <stdint.h>
#include <stdlib.h>

struct route_segment {
    struct str before; /* literal text; for a parameter what stands before it */
    struct str after;  /* what stands after a parameter */
    struct str name;   /* of the parameter; absent in a literal segment */
    bool is_rest;      /* {name*} */
};

struct route_pattern {
    struct str template;
    struct route_segment segments[ROUTE_SEGMENTS_MAX];
    size_t segments_count;
    unsigned methods; /* bits of by_method that are set */
    const struct http_route *by_method[HTTP_METHODS_COUNT];
};

static bool segment_parse(struct str text, struct route_segment *segment, struct error *error)
{
    size_t open = str_find_char(text, '{');
    if (open == text.len) {
        *segment = (struct route_segment){ .before = text };
        return str_find_char(text, '}') == text.len ||
               FAIL(error, ERROR_INTERNAL, "route template: '}' without '{'");
    }
    size_t close = str_find_char(text, '}');
    if (close == text.len || close < open + 2) {
        return FAIL(error, ERROR_INTERNAL, "route template: '{' without a name and '}'");
    }
    *segment = (struct route_segment){
        .before = str_slice(text, 0, open),
        .name = str_slice(text, open + 1, close),
        .after = str_skip(text, close + 1),
    };
    if (str_ends_with(segment->name, STR("*"))) {
        segment->is_rest = true;
        segment->name.len--;
        if (segment->before.len > 0 || segment->after.len > 0) {
            return FAIL(error, ERROR_INTERNAL, "route template: text beside a rest parameter");
        }
    }
    return true;
}

static bool pattern_parse(struct route_pattern *pattern, struct str template, struct error *error)
{
    *pattern = (struct route_pattern){ .template = template };
    if (!str_starts_with(template, STR("/"))) {
        return FAIL(error, ERROR_INTERNAL, "route template without leading slash");
    }
    struct str rest = str_skip(template, 1);
    struct str part = STR_NONE;
    size_t parameters_count = 0;
    while (str_split_next(&rest, '/', &part)) {
        if (pattern->segments_count == ROUTE_SEGMENTS_MAX) {
            return FAIL(error, ERROR_INTERNAL, "route template: too many segments");
        }
        if (pattern->segments_count > 0 && pattern->segments[pattern->segments_count - 1].is_rest) {
            return FAIL(error, ERROR_INTERNAL, "route template: a rest parameter is not last");
        }
        struct route_segment *segment = &pattern->segments[pattern->segments_count++];
        if (!segment_parse(part, segment, error)) {
            return false;
        }
        parameters_count += segment->name.at == NULL ? 0 : 1;
    }
    return parameters_count <= LIMIT_HTTP_PARAMETERS ||
           FAIL(error, ERROR_INTERNAL, "route template: too many parameters");
}

/* Literal (3) before parameter with text around it (2) before bare parameter (1) before rest (0). */
static int segment_rank(const struct route_segment *segment)
{
    if (segment->name.at == NULL) {
        return 3;
    }
    if (segment->is_rest) {
        return 0;
    }
    return segment->before.len + segment->after.len > 0 ? 2 : 1;
}

/* More specific first. Where one is the beginning of the other they only meet when the longer one goes on with a
 * rest that takes nothing: then the shorter one is the specific one. */
static int pattern_compare(const void *a, const void *b)
{
    const struct route_pattern *left = a;
    const struct route_pattern *right = b;
    for (size_t i = 0; i < left->segments_count && i < right->segments_count; i++) {
        int difference = segment_rank(&right->segments[i]) - segment_rank(&left->segments[i]);
        if (difference != 0) {
            return difference;
        }
    }
    if (left->segments_count != right->segments_count) {
        return left->segments_count < right->segments_count ? -1 : 1;
    }
    return str_compare(left->template, right->template);
}

bool route_table_init(struct route_table *table, struct arena *arena, const struct http_route *routes,
                      size_t routes_count, struct error *error)
{
    assert(routes != NULL || routes_count == 0);
    struct route_pattern *patterns = ARENA_ARRAY(arena, struct route_pattern, routes_count);
    if (patterns == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for the route table");
    }
    size_t count = 0;
    for (size_t i = 0; i < routes_count; i++) {
        assert(routes[i].handle != NULL);
        assert(routes[i].method < HTTP_METHODS_COUNT);
        struct str template = str_from_cstr(routes[i].template);
        size_t at = 0;
        while (at < count && !str_equal(patterns[at].template, template)) {
            at++;
        }
        if (at == count) {
            if (!pattern_parse(&patterns[count], template, error)) {
                return false;
            }
            count++;
        }
        if (patterns[at].by_method[routes[i].method] != NULL) {
            return FAIL(error, ERROR_INTERNAL, "route %s is in the table twice", routes[i].template);
        }
        patterns[at].by_method[routes[i].method] = &routes[i];
        patterns[at].methods |= 1u << routes[i].method;
    }
    if (count > 0) {
        qsort(patterns, count, sizeof *patterns, pattern_compare);
    }
    *table = (struct route_table){ .patterns = patterns, .patterns_count = count };
    return true;
}

static bool segment_matches(const struct route_segment *segment, struct str text)
{
    if (segment->name.at == NULL) {
        return str_equal(segment->before, text);
    }
    return text.len > segment->before.len + segment->after.len && str_starts_with(text, segment->before) &&
           str_ends_with(text, segment->after);
}

/* Fills match->parameters as far as the pattern matches. */
static bool pattern_matches(const struct route_pattern *pattern, const struct str *segments, size_t count,
                            struct str path, struct route_match *match)
{
    bool has_rest = pattern->segments[pattern->segments_count - 1].is_rest;
    size_t fixed = pattern->segments_count - (has_rest ? 1 : 0);
    if (has_rest ? count < fixed : count != fixed) {
        return false;
    }
    match->parameters_count = 0;
    for (size_t i = 0; i < fixed; i++) {
        const struct route_segment *segment = &pattern->segments[i];
        if (!segment_matches(segment, segments[i])) {
            return false;
        }
        if (segment->name.at != NULL) {
            match->parameters[match->parameters_count++] = (struct http_pair){
                .name = segment->name,
                .value = str_slice(segments[i], segment->before.len, segments[i].len - segment->after.len),
            };
        }
    }
    if (has_rest) {
        struct str rest = STR("");
        if (fixed < count) {
            rest = str_skip(path, (size_t)(segments[fixed].at - path.at));
        }
        match->parameters[match->parameters_count++] =
            (struct http_pair){ .name = pattern->segments[fixed].name, .value = rest };
    }
    return true;
}

void route_match(const struct route_table *table, enum http_method method, struct str path,
                 struct route_match *match)
{
    match->route = NULL;
    match->methods_allowed = 0;
    match->parameters_count = 0;
    struct str segments[ROUTE_SEGMENTS_MAX];
    size_t count = 0;
    struct str rest = str_skip(path, 1);
    struct str part = STR_NONE;
    /* A path with more segments than any template can only match a rest parameter: cutting is fine. */
    while (count < ROUTE_SEGMENTS_MAX && str_split_next(&rest, '/', &part)) {
        segments[count++] = part;
    }
    if (!str_starts_with(path, STR("/"))) {
        return;
    }
    for (size_t i = 0; i < table->patterns_count; i++) {
        const struct route_pattern *pattern = &table->patterns[i];
        if (!pattern_matches(pattern, segments, count, path, match)) {
            continue;
        }
        match->methods_allowed |= pattern->methods;
        if (pattern->by_method[method] != NULL) {
            match->route = pattern->by_method[method];
            return;
        }
    }
    match->parameters_count = 0;
}
