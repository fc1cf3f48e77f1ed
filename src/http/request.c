/* The request line and headers, and what handlers ask a request for. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/parse.h"
#include "http/internal.h"
#include "http/query.h"

/* ---- asking ---- */

static const struct http_exchange *exchange_of_const(const struct http_request *request)
{
    return (const struct http_exchange *)request;
}

struct str http_header(const struct http_request *request, struct str name)
{
    const struct http_exchange *exchange = exchange_of_const(request);
    for (size_t i = 0; i < exchange->headers_count; i++) {
        if (str_equal_ignore_case(exchange->headers[i].name, name)) {
            return exchange->headers[i].value;
        }
    }
    return STR_NONE;
}

/* RFC 6265 section 4.2.1: name=value pairs, divided by "; ". */
struct str http_cookie(const struct http_request *request, struct str name)
{
    const struct http_exchange *exchange = exchange_of_const(request);
    for (size_t i = 0; i < exchange->headers_count; i++) {
        if (!str_equal_ignore_case(exchange->headers[i].name, STR("Cookie"))) {
            continue;
        }
        struct str rest = exchange->headers[i].value;
        struct str piece = STR_NONE;
        while (str_split_next(&rest, ';', &piece)) {
            piece = str_trim(piece);
            size_t equals = str_find_char(piece, '=');
            if (equals < piece.len && str_equal(str_slice(piece, 0, equals), name)) {
                return str_skip(piece, equals + 1);
            }
        }
    }
    return STR_NONE;
}

static struct str find_pair(const struct http_pair *pairs, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(pairs[i].name, name)) {
            return pairs[i].value;
        }
    }
    return STR_NONE;
}

struct str http_parameter(const struct http_request *request, struct str name)
{
    return find_pair(request->parameters, request->parameters_count, name);
}

struct str http_query_value(const struct http_request *request, struct str name)
{
    return find_pair(request->pairs, request->pairs_count, name);
}

struct str http_content_type(struct http_request *request)
{
    struct str value = http_header(request, STR("Content-Type"));
    value = str_trim(str_slice(value, 0, str_find_char(value, ';')));
    char *lower = arena_cstr(&request->arena, value);
    if (lower == NULL) {
        return STR("");
    }
    for (size_t i = 0; i < value.len; i++) {
        lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] + ('a' - 'A') : lower[i]);
    }
    return (struct str){ lower, value.len };
}

/* ---- reading the head ---- */

static enum MHD_Result add_header(void *data, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                  const char *value, size_t value_size)
{
    struct http_exchange *exchange = data;
    (void)kind;
    if (exchange->headers_count == exchange->headers_capacity) {
        return MHD_NO;
    }
    exchange->headers[exchange->headers_count++] = (struct http_pair){
        .name = { key, key_size },
        .value = { value == NULL ? "" : value, value_size },
    };
    return MHD_YES;
}

static bool read_headers(struct http_exchange *exchange, struct error *error)
{
    int count = MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, NULL, NULL);
    assert(count >= 0);
    exchange->headers = ARENA_ARRAY(&exchange->request.arena, struct http_pair, (size_t)count);
    if (exchange->headers == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    exchange->headers_capacity = (size_t)count;
    (void)MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, add_header, exchange);
    return true;
}

static size_t header_occurrences(const struct http_exchange *exchange, struct str name)
{
    size_t count = 0;
    for (size_t i = 0; i < exchange->headers_count; i++) {
        count += str_equal_ignore_case(exchange->headers[i].name, name) ? 1 : 0;
    }
    return count;
}

/* RFC 9112 section 6.3: two ways to say where a body ends are how requests are smuggled past a proxy. */
static bool check_framing(struct http_exchange *exchange, struct error *error)
{
    size_t lengths = header_occurrences(exchange, STR("Content-Length"));
    size_t encodings = header_occurrences(exchange, STR("Transfer-Encoding"));
    exchange->has_body = encodings > 0 || lengths > 0;
    exchange->framing_is_bad = true;
    if (lengths > 1 || encodings > 1 || lengths + encodings > 1) {
        return FAIL(error, ERROR_INPUT, "the length of the body is stated twice");
    }
    if (encodings == 1 &&
        !str_equal_ignore_case(http_header(&exchange->request, STR("Transfer-Encoding")), STR("chunked"))) {
        return FAIL(error, ERROR_INPUT, "Transfer-Encoding other than chunked is not known here");
    }
    exchange->framing_is_bad = false;
    if (header_occurrences(exchange, STR("Host")) > 1 ||
        header_occurrences(exchange, STR("Authorization")) > 1) {
        return FAIL(error, ERROR_INPUT, "Host or Authorization is stated twice");
    }
    uint64_t length = 0;
    if (lengths == 1 &&
        parse_uint64(http_header(&exchange->request, STR("Content-Length")), UINT64_MAX, &length)) {
        exchange->has_body = length > 0;
    }
    return true;
}

static bool read_method(struct http_exchange *exchange, const char *method, struct error *error)
{
    static const char *const names[HTTP_METHODS_COUNT] = {
        [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    };
    struct str name = str_from_cstr(method);
    exchange->request.is_head = str_equal(name, STR("HEAD"));
    if (exchange->request.is_head) {
        exchange->request.method = HTTP_GET;
        return true;
    }
    for (size_t i = 0; i < HTTP_METHODS_COUNT; i++) {
        if (str_equal_cstr(name, names[i])) {
            exchange->request.method = (enum http_method)i;
            return true;
        }
    }
    return FAIL(error, ERROR_METHOD, "this method is not known here");
}

static void read_client_address(struct http_exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *text = NULL;
    if (info != NULL && info->client_addr != NULL) {
        const void *address = info->client_addr;
        if (info->client_addr->sa_family == AF_INET) {
            const struct sockaddr_in *v4 = address;
            text =
                inet_ntop(AF_INET, &v4->sin_addr, exchange->client_address, sizeof exchange->client_address);
        } else if (info->client_addr->sa_family == AF_INET6) {
            const struct sockaddr_in6 *v6 = address;
            text = inet_ntop(AF_INET6, &v6->sin6_addr, exchange->client_address,
                             sizeof exchange->client_address);
        }
    }
    exchange->request.client_address = text == NULL ? STR("") : str_from_cstr(exchange->client_address);
}

bool exchange_read_parameters(struct http_exchange *exchange, const struct route_match *match,
                              struct error *error)
{
    struct http_request *request = &exchange->request;
    struct http_pair *parameters = ARENA_ARRAY(&request->arena, struct http_pair, match->parameters_count);
    if (parameters == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < match->parameters_count; i++) {
        parameters[i].name = match->parameters[i].name;
        if (!percent_decode(&request->arena, match->parameters[i].value, false, &parameters[i].value,
                            error)) {
            return false;
        }
    }
    request->parameters = parameters;
    request->parameters_count = match->parameters_count;
    return true;
}

bool exchange_read_head(struct http_exchange *exchange, const char *method, struct error *error)
{
    struct http_request *request = &exchange->request;
    request->started_us = clock_monotonic_us();
    request->deadline_us = request->started_us + (int64_t)request->server->options.deadline_ms * 1000;
    read_client_address(exchange);
    if (!read_headers(exchange, error) || !check_framing(exchange, error) ||
        !read_method(exchange, method, error)) {
        return false;
    }
    if (request->path.len + request->query.len > LIMIT_URL_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "the address is longer than %d bytes", (int)LIMIT_URL_BYTES);
    }
    struct route_match match;
    route_match(&request->server->table, request->method, request->path, &match);
    request->route = match.route;
    exchange->methods_allowed = match.methods_allowed;
    if (match.methods_allowed == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is nothing at this address");
    }
    if (match.route == NULL) {
        return request->method == HTTP_OPTIONS ||
               FAIL(error, ERROR_METHOD, "this method is not offered at this address");
    }
    return exchange_read_parameters(exchange, &match, error) &&
           query_parse(&request->arena, request->query, &request->pairs, &request->pairs_count, error);
}

bool exchange_read_form(struct http_exchange *exchange, struct error *error)
{
    struct http_request *request = &exchange->request;
    if (!str_equal(http_content_type(request), STR("application/x-www-form-urlencoded"))) {
        /* What was asked for must not be passed over: the answer would be to another question. */
        return request->body.len == 0 ||
               FAIL(error, ERROR_MEDIA_TYPE, "Content-Type must be application/x-www-form-urlencoded");
    }
    if (request->body.len > LIMIT_HTTP_FORM_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "a form is at most %d bytes", (int)LIMIT_HTTP_FORM_BYTES);
    }
    const struct http_pair *form = NULL;
    size_t form_count = 0;
    if (!query_parse(&request->arena, request->body, &form, &form_count, error)) {
        return false;
    }
    size_t total = request->pairs_count + form_count;
    if (total > LIMIT_HTTP_PAIRS) {
        return FAIL(error, ERROR_TOO_LARGE, "more than %d parameters", (int)LIMIT_HTTP_PAIRS);
    }
    struct http_pair *all = ARENA_ARRAY(&request->arena, struct http_pair, total);
    if (all == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (request->pairs_count > 0) {
        memcpy(all, request->pairs, request->pairs_count * sizeof *all);
    }
    if (form_count > 0) {
        memcpy(all + request->pairs_count, form, form_count * sizeof *all);
    }
    request->pairs = all;
    request->pairs_count = total;
    return true;
}
