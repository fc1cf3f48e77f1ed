/* Pages of other origins (Fetch standard, "CORS protocol"): those that the operator lists may ask by script, with a token in
 * the Authorization header. Access-Control-Allow-Credentials is never sent, so no browser gives them an answer that
 * a cookie opened. */
#include "http/internal.h"

#define EXPOSED                                                                                              \
    "Content-Location, ETag, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Progress, "           \
    "X-Request-Id"
#define TAKEN                                                                                                \
    "Accept, Accept-Language, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, "     \
    "If-None-Match, Last-Event-ID, Prefer"

static bool is_below(struct str path, const char *const *tops)
{
    for (; tops != NULL && *tops != NULL; tops++) {
        struct str top = str_from_cstr(*tops);
        if (str_starts_with(path, top) && (path.len == top.len || path.at[top.len] == '/')) {
            return true;
        }
    }
    return false;
}

bool http_cors_origin_acceptable(struct str origin)
{
    size_t start = str_starts_with(origin, STR("https://"))  ? sizeof "https://" - 1
                   : str_starts_with(origin, STR("http://")) ? sizeof "http://" - 1
                                                             : origin.len;
    for (size_t i = start; i < origin.len; i++) {
        char c = origin.at[i];
        bool of_host = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == ':' ||
                       c == '[' || c == ']';
        if (!of_host) {
            return false;
        }
    }
    return start < origin.len && origin.len < 256;
}

static bool is_listed(const struct http_cors *cors, struct str origin)
{
    for (size_t i = 0; i < cors->origins_count; i++) {
        if (str_equal(cors->origins[i], origin)) {
            return true;
        }
    }
    return false;
}

void cors_add_headers(struct http_exchange *exchange)
{
    struct http_request *request = &exchange->request;
    const struct http_cors *cors = &request->server->options.cors;
    if (cors->origins_count == 0) {
        return;
    }
    bool open = is_below(request->path, cors->open_paths);
    if (!open && !is_below(request->path, cors->paths)) {
        return;
    }
    struct str origin = http_header(request, STR("Origin"));
    if (!open) {
        http_add_header(request, STR("Vary"), STR("Origin"));
    }
    if (!open && (origin.at == NULL || !is_listed(cors, origin))) {
        return;
    }
    http_add_header(request, STR("Access-Control-Allow-Origin"), open ? STR("*") : origin);
    if (request->method == HTTP_OPTIONS &&
        http_header(request, STR("Access-Control-Request-Method")).at != NULL) {
        http_add_header(request, STR("Access-Control-Allow-Methods"),
                        STR("GET, HEAD, POST, PUT, PATCH, DELETE"));
        http_add_header(request, STR("Access-Control-Allow-Headers"), STR(TAKEN));
        http_add_header(request, STR("Access-Control-Max-Age"), STR("600"));
    } else {
        http_add_header(request, STR("Access-Control-Expose-Headers"), STR(EXPOSED));
    }
}
