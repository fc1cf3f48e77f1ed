/* A request inside of a request: an entry of a batch that asks for a row of the table. It runs here and now, with the headers
 * of the one around it, and its answer is a text in that one's arena. */
#include "base/limits.h"
#include "http/internal.h"
#include "http/query.h"

/* These say something about the request around: not about this one. */
static bool is_own(struct str name)
{
    static const char *const own[] = {
        "Accept-Encoding", "Content-Encoding", "Content-Length",    "Content-Type",
        "Expect",          "If-Match",         "If-Modified-Since", "If-None-Exist",
        "If-None-Match",   "Prefer",           "Transfer-Encoding"
    };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (str_equal_ignore_case(name, str_from_cstr(own[i]))) {
            return true;
        }
    }
    return false;
}

static bool take_headers(struct http_exchange *inner, const struct http_exchange *around,
                         struct str content_type, struct error *error)
{
    inner->headers_capacity = around->headers_count + 1;
    inner->headers = ARENA_ARRAY(&inner->request.arena, struct http_pair, inner->headers_capacity);
    if (inner->headers == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < around->headers_count; i++) {
        if (!is_own(around->headers[i].name)) {
            inner->headers[inner->headers_count] = around->headers[i];
            inner->headers_count++;
        }
    }
    inner->headers[inner->headers_count] = (struct http_pair){ STR("Content-Type"), content_type };
    inner->headers_count++;
    return true;
}

static bool find_route(struct http_exchange *inner, struct error *error)
{
    struct http_request *request = &inner->request;
    struct route_match match;
    route_match(&request->server->table, request->method, request->path, &match);
    request->route = match.route;
    if (match.methods_allowed == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is nothing at this address");
    }
    if (match.route == NULL) {
        return FAIL(error, ERROR_METHOD, "this method is not offered at this address");
    }
    /* Only the pool may block, and only what is not streamed has an answer that is a text. */
    if ((match.route->flags & HTTP_ROUTE_POOL) == 0 || (match.route->flags & HTTP_ROUTE_STREAM) != 0) {
        return FAIL(error, ERROR_UNSUPPORTED, "this is not offered inside of a bundle");
    }
    if (request->body.len > match.route->body_bytes_max) {
        return FAIL(error, ERROR_TOO_LARGE, "the body is larger than this address takes");
    }
    return exchange_read_parameters(inner, &match, error) &&
           query_parse(&request->arena, request->query, &request->pairs, &request->pairs_count, error);
}

static bool take_answer(const struct http_exchange *inner, struct arena *arena, struct http_inside *inside,
                        struct error *error)
{
    const struct http_response *response = &inner->response;
    if (response->content != CONTENT_MEMORY && response->content != CONTENT_NONE) {
        return FAIL(error, ERROR_UNSUPPORTED, "this is not offered inside of a bundle");
    }
    inside->status = response->status;
    inside->answer = arena_dup(arena, response->body);
    return inside->answer.at != NULL || response->body.len == 0 ||
           FAIL(error, ERROR_TOO_LARGE, "the answer is too large for a bundle");
}

bool http_request_inside(struct http_request *around, struct http_inside *inside, struct error *error)
{
    assert(exchange_of(around)->in_pool);
    size_t question = str_find_char(inside->target, '?');
    struct http_exchange inner = {
        .request = { .arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES },
                     .server = around->server,
                     .method = inside->method,
                     .path = str_slice(inside->target, 0, question),
                     .query =
                         question < inside->target.len ? str_skip(inside->target, question + 1) : STR(""),
                     .body = inside->body,
                     .id = around->id,
                     .client_address = around->client_address,
                     .started_us = around->started_us,
                     .deadline_us = around->deadline_us,
                     .context = around->context },
        .in_pool = true,
    };
    struct http_request *request = &inner.request;
    bool ok = inside->target.len <= LIMIT_URL_BYTES ||
              FAIL(error, ERROR_TOO_LARGE, "the address is longer than %d bytes", (int)LIMIT_URL_BYTES);
    ok = ok && take_headers(&inner, exchange_of(around), inside->content_type, error) &&
         find_route(&inner, error);
    if (ok) {
        bool begun = request->route->begin == NULL || request->route->begin(request);
        if (begun) {
            enum http_verdict verdict = request->route->handle(request);
            assert(verdict == HTTP_DONE); /* a row of the pool waits by itself */
        }
        assert(inner.response.status != 0);
        ok = take_answer(&inner, &around->arena, inside, error);
    }
    response_end(&inner);
    arena_deinit(&request->arena);
    return ok;
}
