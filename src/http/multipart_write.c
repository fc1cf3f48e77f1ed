#include "http/multipart_write.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_BYTES = 1024 };

struct writer {
    struct http_multipart_source source;
    struct http_part part;
    char boundary[32];
    char head[HEAD_BYTES]; /* delimiter and headers of the part, or the closing delimiter */
    size_t head_len;
    size_t head_sent;
    uint64_t body_sent;
    uint64_t body_len;
    bool first;
    bool last; /* the closing delimiter is in head */
};

/* The next part, or the closing delimiter, into head. False: the source failed. */
static bool writer_next(struct writer *writer)
{
    writer->part = (struct http_part){ .fd = -1 };
    enum http_part_verdict verdict = writer->source.next(writer->source.data, &writer->part);
    const char *start = writer->first ? "--" : "\r\n--";
    int len = -1;
    switch (verdict) {
    case HTTP_PART: {
        struct str location = writer->part.content_location;
        len = snprintf(writer->head, sizeof writer->head, "%s%s\r\nContent-Type: %.*s\r\n%s%.*s%s\r\n", start,
                       writer->boundary, STR_FMT(writer->part.content_type),
                       location.at == NULL ? "" : "Content-Location: ", STR_FMT(location),
                       location.at == NULL ? "" : "\r\n");
        break;
    }
    case HTTP_PART_END:
        len = snprintf(writer->head, sizeof writer->head, "%s%s--\r\n", start, writer->boundary);
        writer->last = true;
        break;
    case HTTP_PART_ERROR:
        break;
    }
    if (len < 0 || (size_t)len >= sizeof writer->head) {
        return false;
    }
    writer->first = false;
    writer->head_len = (size_t)len;
    writer->head_sent = 0;
    writer->body_sent = 0;
    writer->body_len = writer->last ? 0 : writer->part.fd >= 0 ? writer->part.len : writer->part.body.len;
    return true;
}

static ptrdiff_t copy_body(struct writer *writer, char *out, size_t size)
{
    uint64_t left = writer->body_len - writer->body_sent;
    size_t count = left < size ? (size_t)left : size;
    if (writer->part.fd < 0) {
        memcpy(out, writer->part.body.at + writer->body_sent, count);
        return (ptrdiff_t)count;
    }
    /* A file that is shorter than promised is an error of the archive: 0 bytes means cut. */
    ssize_t got = pread(writer->part.fd, out, count, (off_t)(writer->part.offset + writer->body_sent));
    return got <= 0 ? HTTP_PULL_ERROR : got;
}

static ptrdiff_t writer_pull(void *data, uint64_t position, char *out, size_t size)
{
    struct writer *writer = data;
    (void)position;
    size_t filled = 0;
    while (filled < size) {
        if (writer->head_sent < writer->head_len) {
            size_t left = writer->head_len - writer->head_sent;
            size_t count = left < size - filled ? left : size - filled;
            memcpy(out + filled, writer->head + writer->head_sent, count);
            writer->head_sent += count;
            filled += count;
        } else if (writer->body_sent < writer->body_len) {
            ptrdiff_t count = copy_body(writer, out + filled, size - filled);
            if (count < 0) {
                return count;
            }
            writer->body_sent += (uint64_t)count;
            filled += (size_t)count;
        } else if (writer->last) {
            break;
        } else if (!writer_next(writer)) {
            return HTTP_PULL_ERROR;
        }
    }
    return filled > 0 ? (ptrdiff_t)filled : HTTP_PULL_END;
}

void http_respond_multipart(struct http_request *request, int status,
                            const struct http_multipart_source *source)
{
    struct writer *writer = ARENA_NEW(&request->arena, struct writer);
    struct str type = STR_NONE;
    if (writer != NULL) {
        *writer = (struct writer){ .source = *source, .first = true };
        /* Unique a request: content that has it by chance would have to know the server's seed. */
        (void)snprintf(writer->boundary, sizeof writer->boundary, "part-%.*s", STR_FMT(request->id));
        type = arena_printf(&request->arena, "multipart/related; type=\"%.*s\"; boundary=%s",
                            STR_FMT(source->root_type), writer->boundary);
    }
    if (type.at == NULL) {
        struct error error = { 0 };
        (void)FAIL(&error, ERROR_BUSY, "request memory used up");
        http_respond_error(request, &error);
        return;
    }
    http_respond_pull(request, status, type, HTTP_LEN_UNKNOWN, writer_pull, writer);
}

bool http_respond_multipart_file(struct http_request *request, int status, struct str root_type,
                                 const struct http_part *part)
{
    struct arena *arena = &request->arena;
    const struct http_file file = { .fd = part->fd, .offset = part->offset, .len = part->len };
    struct str type = arena_printf(arena, "multipart/related; type=\"%.*s\"; boundary=part-%.*s",
                                   STR_FMT(root_type), STR_FMT(request->id));
    struct str head = arena_printf(arena, "--part-%.*s\r\nContent-Type: %.*s\r\n\r\n", STR_FMT(request->id),
                                   STR_FMT(part->content_type));
    struct str tail = arena_printf(arena, "\r\n--part-%.*s--\r\n", STR_FMT(request->id));
    return type.at != NULL && head.at != NULL && tail.at != NULL && part->content_location.at == NULL &&
           http_respond_mapped(request, status, type, &file, head, tail);
}
