#include "http/outgoing.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <curl/curl.h>

enum { CONNECT_TIMEOUT_MS = 10000, ADDRESS_BYTES_MAX = 2048, PATH_END = '/' };

struct flight {
    struct flight *next;
    struct arena arena; /* this struct and what the call says lie in it */
    CURL *easy;
    struct curl_slist *headers;
    void (*done)(void *data, int status, const char *why);
    void *data;
};

struct outgoing {
    CURLM *
        multi; /* NULL before the first call: getting ready for TLS takes 2 MB that most servers never need */
    int wake_fd;
    struct flight *flights;
    size_t flights_count;
};

static void release(void *data);

bool outgoing_create(struct arena *arena, struct outgoing **outgoing, struct error *error)
{
    struct outgoing *made = ARENA_NEW(arena, struct outgoing);
    if (made == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no memory for outgoing requests");
    }
    made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made->wake_fd < 0) {
        return FAIL_OS(error, error_kind_from_errno(errno), "outgoing requests cannot be woken");
    }
    *outgoing = made;
    return arena_on_reset(arena, release, made) ||
           FAIL(error, ERROR_INTERNAL, "no memory for outgoing requests");
}

/* On the thread of outgoing_wait, which is the only one that uses the library. */
static bool get_ready(struct outgoing *outgoing, struct error *error)
{
    if (outgoing->multi == NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        outgoing->multi = curl_multi_init();
    }
    return outgoing->multi != NULL || FAIL(error, ERROR_BUSY, "out of memory; try again");
}

static void flight_end(struct outgoing *outgoing, struct flight *flight)
{
    struct flight **link = &outgoing->flights;
    while (*link != flight) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = flight->next;
    outgoing->flights_count--;
    (void)curl_multi_remove_handle(outgoing->multi, flight->easy);
    curl_easy_cleanup(flight->easy);
    curl_slist_free_all(flight->headers);
    struct arena arena = flight->arena;
    arena_deinit(&arena);
}

/* At the reset of the arena. */
static void release(void *data)
{
    struct outgoing *outgoing = data;
    while (outgoing->flights != NULL) {
        flight_end(outgoing, outgoing->flights);
    }
    if (outgoing->multi != NULL) {
        (void)curl_multi_cleanup(outgoing->multi);
        curl_global_cleanup();
    }
    (void)close(outgoing->wake_fd);
}

/* What an endpoint answers beside its status is of no use to us. */
static size_t drop(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

static bool add_header(struct flight *flight, struct str line)
{
    char *text = arena_cstr(&flight->arena, line);
    struct curl_slist *longer = text == NULL ? NULL : curl_slist_append(flight->headers, text);
    flight->headers = longer == NULL ? flight->headers : longer;
    return longer != NULL;
}

static bool set_up(struct flight *flight, const struct outgoing_call *call)
{
    char *url = arena_cstr(&flight->arena, call->url);
    struct str body = arena_dup(&flight->arena, call->body);
    bool ok = url != NULL && body.at != NULL &&
              add_header(flight, arena_concat(&flight->arena, STR("Content-Type: "), call->content_type)) &&
              add_header(flight, STR("Expect:"));
    for (size_t i = 0; ok && i < call->headers_count; i++) {
        ok = add_header(flight, call->headers[i]);
    }
    if (!ok) {
        return false;
    }
    CURL *easy = flight->easy;
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, call->timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.at) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, flight->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, flight) == CURLE_OK;
}

bool outgoing_send(struct outgoing *outgoing, const struct outgoing_call *call, struct error *error)
{
    struct arena arena = { .bytes_max = call->body.len + call->url.len + (size_t)256 * 1024 };
    assert(call->done != NULL);
    if (outgoing->flights_count >= OUTGOING_CALLS_MAX) {
        return FAIL(error, ERROR_TOO_MANY, "too many requests are on their way");
    }
    if (!get_ready(outgoing, error)) {
        return false;
    }
    struct flight *flight = ARENA_NEW(&arena, struct flight);
    if (flight == NULL) {
        arena_deinit(&arena);
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    flight->arena = arena;
    flight->done = call->done;
    flight->data = call->data;
    flight->easy = curl_easy_init();
    flight->next = outgoing->flights;
    outgoing->flights = flight;
    outgoing->flights_count++;
    if (flight->easy == NULL || !set_up(flight, call) ||
        curl_multi_add_handle(outgoing->multi, flight->easy) != CURLM_OK) {
        flight_end(outgoing, flight);
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    return true;
}

/* Plain words that hold nothing of the request: libcurl's own texts name hosts. */
static const char *why_of(CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return "the endpoint did not answer in time";
    }
    if (code == CURLE_COULDNT_RESOLVE_HOST) {
        return "the endpoint's host is not known";
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR) {
        return "the endpoint's certificate is not trusted";
    }
    return "the endpoint cannot be reached";
}

static void take_ended(struct outgoing *outgoing)
{
    int left = 0;
    for (CURLMsg *message = curl_multi_info_read(outgoing->multi, &left); message != NULL;
         message = curl_multi_info_read(outgoing->multi, &left)) {
        char *private = NULL;
        long status = 0;
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        struct flight *flight = (struct flight *)(void *)private;
        void (*done)(void *, int, const char *) = flight->done;
        void *data = flight->data;
        flight_end(outgoing, flight);
        done(data, code == CURLE_OK ? (int)status : 0, code == CURLE_OK ? "" : why_of(code));
    }
}

void outgoing_wait(struct outgoing *outgoing, int timeout_ms)
{
    uint64_t wakes = 0;
    if (outgoing->multi == NULL) {
        struct pollfd wake = { .fd = outgoing->wake_fd, .events = POLLIN };
        (void)poll(&wake, 1, timeout_ms);
    } else {
        int running = 0;
        struct curl_waitfd wake = { .fd = outgoing->wake_fd, .events = CURL_WAIT_POLLIN };
        (void)curl_multi_perform(outgoing->multi, &running);
        (void)curl_multi_poll(outgoing->multi, &wake, 1, timeout_ms, NULL);
        (void)curl_multi_perform(outgoing->multi, &running);
        take_ended(outgoing);
    }
    if (read(outgoing->wake_fd, &wakes, sizeof wakes) < 0) {
        return; /* nobody has woken it */
    }
}

void outgoing_wake(struct outgoing *outgoing)
{
    static const uint64_t once = 1;
    if (write(outgoing->wake_fd, &once, sizeof once) < 0) {
        return; /* full: it is awake */
    }
}

/* ---- where to ---- */

struct address {
    struct str scheme;
    struct str host;
    struct str port;
    struct str path;
};

static bool part_of(struct arena *arena, CURLU *url, CURLUPart what, unsigned flags, struct str *part)
{
    char *text = NULL;
    if (curl_url_get(url, what, &text, flags) != CURLUE_OK) {
        return false;
    }
    *part = arena_dup(arena, str_from_cstr(text));
    curl_free(text);
    return part->at != NULL;
}

/* Read by the library that will call it, so that both understand the same text in the same way. */
static bool read_address(struct arena *arena, struct str text, struct address *address)
{
    char *line = text.len > ADDRESS_BYTES_MAX || memchr(text.at, '\0', text.len) != NULL
                     ? NULL
                     : arena_cstr(arena, text);
    CURLU *url = line == NULL ? NULL : curl_url();
    struct str unwanted = STR_NONE;
    bool ok = url != NULL && curl_url_set(url, CURLUPART_URL, line, 0) == CURLUE_OK &&
              part_of(arena, url, CURLUPART_SCHEME, 0, &address->scheme) &&
              part_of(arena, url, CURLUPART_HOST, 0, &address->host) &&
              part_of(arena, url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &address->port) &&
              part_of(arena, url, CURLUPART_PATH, 0, &address->path) &&
              !part_of(arena, url, CURLUPART_USER, 0, &unwanted) &&
              !part_of(arena, url, CURLUPART_PASSWORD, 0, &unwanted) &&
              !part_of(arena, url, CURLUPART_FRAGMENT, 0, &unwanted) &&
              (str_equal(address->scheme, STR("http")) || str_equal(address->scheme, STR("https")));
    curl_url_cleanup(url);
    return ok;
}

/* "/hook/%2e%2e/" may be read as "/hook/../" where it arrives. */
static bool has_hidden_dots(struct str path)
{
    for (size_t i = 0; i + 3 <= path.len; i++) {
        if (str_equal_ignore_case(str_slice(path, i, i + 3), STR("%2e"))) {
            return true;
        }
    }
    return false;
}

static bool is_below(struct str path, struct str top)
{
    bool whole = top.len > 0 && top.at[top.len - 1] == PATH_END;
    return str_starts_with(path, top) && (path.len == top.len || whole || path.at[top.len] == PATH_END);
}

bool outgoing_allowed(struct arena *arena, struct str url, const struct str *allowed, size_t allowed_count,
                      struct error *error)
{
    struct address asked = { 0 };
    if (url.at == NULL || !read_address(arena, url, &asked) || has_hidden_dots(asked.path)) {
        return FAIL(error, ERROR_RULE,
                    "the endpoint is an address of http or https without user, password and fragment");
    }
    for (size_t i = 0; i < allowed_count; i++) {
        struct address one = { 0 };
        if (read_address(arena, allowed[i], &one) && str_equal(one.scheme, asked.scheme) &&
            str_equal_ignore_case(one.host, asked.host) && str_equal(one.port, asked.port) &&
            is_below(asked.path, one.path)) {
            return true;
        }
    }
    return FAIL(error, ERROR_RULE, "the endpoint is not on this server's list: ask who looks after it");
}

bool outgoing_header_allowed(struct str line, struct error *error)
{
    static const struct str kept[] = { { "Host", 4 },
                                       { "Content-Length", 14 },
                                       { "Content-Type", 12 },
                                       { "Connection", 10 },
                                       { "Transfer-Encoding", 17 },
                                       { "Expect", 6 },
                                       { "Upgrade", 7 },
                                       { "TE", 2 },
                                       { "Trailer", 7 } };
    struct str name = str_slice(line, 0, str_find_char(line, ':'));
    bool fits = name.len > 0 && name.len < line.len && line.len <= ADDRESS_BYTES_MAX;
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.at[i];
        bool of_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
        fits = fits && (i < name.len ? of_name : c >= ' ' && c != 0x7f);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        fits = fits && !str_equal_ignore_case(name, kept[i]);
    }
    return fits || FAIL(error, ERROR_RULE, "a header is 'Name: value', and not one of the request's own");
}
