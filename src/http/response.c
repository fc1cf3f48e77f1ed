/* Answers: what handlers set, and how it becomes libmicrohttpd's response. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/internal.h"

/* Screens: antd needs inline styles, wasm decoders need 'wasm-unsafe-eval'; everything else comes from here. */
#define DEFAULT_POLICY                                                                                       \
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "           \
    "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; "                          \
    "connect-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "            \
    "form-action 'self'; frame-ancestors 'none'"

static const struct {
    const char *name;
    const char *value;
    bool replaceable; /* a handler's own header of that name takes its place */
} default_headers[] = {
    { "Cache-Control", "no-store", true },          { "Content-Security-Policy", DEFAULT_POLICY, true },
    { "X-Content-Type-Options", "nosniff", false }, { "X-Frame-Options", "DENY", false },
    { "Referrer-Policy", "no-referrer", false },    { "Cross-Origin-Opener-Policy", "same-origin", false },
};
enum {
    DEFAULT_HEADERS_COUNT = sizeof default_headers / sizeof default_headers[0],
    RESERVE_BYTES = 256 * 1024
};

/* ---- what handlers call ---- */

static struct http_response *response_begin(struct http_request *request, int status, struct str content_type)
{
    struct http_response *response = &exchange_of(request)->response;
    assert(response->status == 0);
    assert(status >= 200 && status <= 599);
    response->status = status;
    response->content_type = content_type;
    return response;
}

void http_respond(struct http_request *request, int status, struct str content_type, struct str body)
{
    struct http_response *response = response_begin(request, status, content_type);
    response->content = CONTENT_MEMORY;
    response->body = body;
}

void http_respond_owned(struct http_request *request, int status, struct str content_type, struct str body,
                        void (*release)(void *data), void *data)
{
    http_respond(request, status, content_type, body);
    exchange_of(request)->response.release = release;
    exchange_of(request)->response.release_data = data;
}

void http_respond_file(struct http_request *request, int status, struct str content_type,
                       struct http_file file)
{
    assert(file.fd >= 0);
    struct http_response *response = response_begin(request, status, content_type);
    response->content = CONTENT_FILE;
    response->file = file;
}

bool http_respond_mapped(struct http_request *request, int status, struct str content_type,
                         const struct http_file *file, struct str head, struct str tail)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t skip = file->offset % page;
    struct stat known;
    /* Beyond the end of a file there is nothing to map: a read of it would be a fault. */
    if (file->len == 0 || file->len > SIZE_MAX - page || fstat(file->fd, &known) != 0 || known.st_size < 0 ||
        (uint64_t)known.st_size < file->offset || (uint64_t)known.st_size - file->offset < file->len) {
        return false;
    }
    size_t len = (size_t)(file->len + skip);
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, file->fd, (off_t)(file->offset - skip));
    if (map == MAP_FAILED) {
        return false;
    }
    struct http_response *response = response_begin(request, status, content_type);
    response->content = CONTENT_MAPPED;
    response->map = map;
    response->map_len = len;
    response->mapped = (struct str){ (const char *)map + skip, (size_t)file->len };
    response->mapped_head = head;
    response->mapped_tail = tail;
    return true;
}

void http_respond_pull(struct http_request *request, int status, struct str content_type, uint64_t len,
                       ptrdiff_t (*pull)(void *data, uint64_t position, char *out, size_t size), void *data)
{
    assert(pull != NULL);
    struct http_response *response = response_begin(request, status, content_type);
    response->content = CONTENT_PULL;
    response->len = len;
    response->pull = pull;
    response->pull_data = data;
}

/* A request that has used up its memory must still be told so: headers and a refusal have some of their own. */
static void response_take_reserve(struct http_request *request)
{
    struct http_response *response = &exchange_of(request)->response;
    if (!response->reserve_taken) {
        request->arena.bytes_max += RESERVE_BYTES;
        response->reserve_taken = true;
    }
}

void http_respond_error(struct http_request *request, const struct error *error)
{
    assert(error->kind != ERROR_NONE);
    response_take_reserve(request);
    if (error->kind == ERROR_BUSY) {
        http_add_header(request, STR("Retry-After"), STR("1"));
    }
    const struct http_options *options = &request->server->options;
    if (options->on_error != NULL) {
        options->on_error(request, error);
        assert(exchange_of(request)->response.status != 0);
        return;
    }
    struct str text = arena_printf(&request->arena, "%s\n", error->text);
    http_respond(request, error_http_status(error->kind), STR("text/plain; charset=utf-8"),
                 text.at == NULL ? STR("request memory used up\n") : text);
}

/* Control bytes would end the header and begin one of the sender's choice: they go out as %XX. */
static const char *header_text(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len * 3 + 1);
    if (out == NULL) {
        return NULL;
    }
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            (void)snprintf(out + len, 4, "%%%02X", (unsigned)c);
            len += 3;
        } else {
            out[len++] = (char)c;
        }
    }
    out[len] = '\0';
    return out;
}

void http_add_header(struct http_request *request, struct str name, struct str value)
{
    assert(name.len > 0);
    struct http_response *response = &exchange_of(request)->response;
    struct http_header_out *header = NULL;
    for (int tries = 0; tries < 2; tries++) {
        header = ARENA_NEW(&request->arena, struct http_header_out);
        if (header != NULL) {
            header->name = header_text(&request->arena, name);
            header->value = header_text(&request->arena, value);
        }
        if (header != NULL && header->name != NULL && header->value != NULL) {
            break;
        }
        response_take_reserve(request);
    }
    if (header == NULL || header->name == NULL || header->value == NULL) {
        response->failed = true; /* the arena is used up: better no answer than one without a header */
        return;
    }
    if (response->headers_last == NULL) {
        response->headers = header;
    } else {
        response->headers_last->next = header;
    }
    response->headers_last = header;
}

/* ---- handing over to libmicrohttpd ---- */

static ssize_t pull_content(void *data, uint64_t position, char *out, size_t size)
{
    struct http_exchange *exchange = data;
    ptrdiff_t count = exchange->response.pull(exchange->response.pull_data, position, out, size);
    assert(count != 0);
    assert(count < 0 || (size_t)count <= size);
    if (count == HTTP_PULL_END) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (count < 0) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    exchange->response.bytes_sent += (uint64_t)count;
    return count;
}

static ssize_t stream_content(void *data, uint64_t position, char *out, size_t size)
{
    struct http_exchange *exchange = data;
    (void)position;
    ptrdiff_t count = stream_read(exchange->response.stream, out, size);
    if (count < 0) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    exchange->response.bytes_sent += (uint64_t)count;
    return count;
}

enum { PULL_BLOCK_BYTES = 32 * 1024 };

/* The kernel alone reads the mapped pages, so a failing disk ends the connection and not the process. */
static struct MHD_Response *create_mapped(struct http_response *response)
{
    const struct str pieces[] = { response->mapped_head, response->mapped, response->mapped_tail };
    struct MHD_IoVec vector[3];
    unsigned count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (pieces[i].len > 0) {
            vector[count++] = (struct MHD_IoVec){ .iov_base = pieces[i].at, .iov_len = pieces[i].len };
        }
    }
    return MHD_create_response_from_iovec(vector, count, NULL, NULL);
}

static struct MHD_Response *create_response(struct http_exchange *exchange)
{
    struct http_response *response = &exchange->response;
    struct MHD_Response *out = NULL;
    switch (response->content) {
    case CONTENT_NONE:
    case CONTENT_MEMORY: {
        /* libmicrohttpd takes a pointer to non-const but does not write to persistent memory. */
        union {
            const char *constant;
            void *pointer;
        } body = { .constant = response->body.at };
        out = MHD_create_response_from_buffer(response->body.len, body.pointer, MHD_RESPMEM_PERSISTENT);
        break;
    }
    case CONTENT_FILE:
        out = MHD_create_response_from_fd_at_offset64(response->file.len, response->file.fd,
                                                      response->file.offset);
        if (out != NULL) {
            response->file.fd = -1; /* closed with the response */
        }
        break;
    case CONTENT_MAPPED:
        out = create_mapped(response);
        break;
    case CONTENT_PULL:
        out = MHD_create_response_from_callback(response->len == HTTP_LEN_UNKNOWN ? MHD_SIZE_UNKNOWN
                                                                                  : response->len,
                                                PULL_BLOCK_BYTES, pull_content, exchange, NULL);
        break;
    case CONTENT_STREAM:
        out = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PULL_BLOCK_BYTES, stream_content, exchange,
                                                NULL);
        break;
    }
    return out;
}

static bool has_header(const struct http_response *response, const char *name)
{
    for (const struct http_header_out *header = response->headers; header != NULL; header = header->next) {
        if (str_equal_ignore_case(str_from_cstr(header->name), str_from_cstr(name))) {
            return true;
        }
    }
    return false;
}

/* libmicrohttpd refuses an empty value, which then simply stays out. */
static bool add_header(struct MHD_Response *out, const char *name, const char *value)
{
    return value[0] == '\0' || MHD_add_response_header(out, name, value) == MHD_YES;
}

/* False when memory ran out: better no answer than one without a header. */
static bool add_headers(struct http_exchange *exchange, struct MHD_Response *out)
{
    struct http_response *response = &exchange->response;
    bool ok = add_header(out, "X-Request-Id", exchange->id);
    response_take_reserve(&exchange->request);
    for (size_t i = 0; ok && i < DEFAULT_HEADERS_COUNT; i++) {
        if (!default_headers[i].replaceable || !has_header(response, default_headers[i].name)) {
            ok = add_header(out, default_headers[i].name, default_headers[i].value);
        }
    }
    if (ok && response->content_type.at != NULL) {
        const char *type = header_text(&exchange->request.arena, response->content_type);
        ok = type != NULL && add_header(out, "Content-Type", type);
    }
    for (const struct http_header_out *header = response->headers; ok && header != NULL;
         header = header->next) {
        ok = add_header(out, header->name, header->value);
    }
    return ok;
}

enum MHD_Result response_queue(struct http_exchange *exchange)
{
    struct http_response *response = &exchange->response;
    assert(response->status != 0);
    struct MHD_Response *out = response->failed ? NULL : create_response(exchange);
    if (out == NULL) {
        return MHD_NO;
    }
    enum MHD_Result queued = add_headers(exchange, out)
                                 ? MHD_queue_response(exchange->connection, (unsigned)response->status, out)
                                 : MHD_NO;
    MHD_destroy_response(out);
    if (queued == MHD_NO) {
        return MHD_NO;
    }
    exchange->step = STEP_ANSWERED;
    return queued;
}

void response_end(struct http_exchange *exchange)
{
    struct http_response *response = &exchange->response;
    if (response->content == CONTENT_FILE && response->file.fd >= 0) {
        (void)close(response->file.fd);
    }
    if (response->content == CONTENT_MAPPED) {
        (void)munmap(response->map, response->map_len);
    }
    if (response->content == CONTENT_STREAM) {
        stream_detach(response->stream);
    }
    if (response->release != NULL) {
        response->release(response->release_data);
    }
}
