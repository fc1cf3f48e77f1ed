#include "http/gzip.h"

#include <zlib.h>

enum { GZIP_WORTH_BYTES = 1400, GZIP_WINDOW = 16 + MAX_WBITS, GZIP_MEMORY_LEVEL = 8 };

bool http_accepts_coding(const struct http_request *request, struct str wanted)
{
    struct str rest = http_header(request, STR("Accept-Encoding"));
    struct str piece = STR_NONE;
    while (rest.at != NULL && str_split_next(&rest, ',', &piece)) {
        struct str coding = str_trim(str_slice(piece, 0, str_find_char(piece, ';')));
        bool refused = str_find(piece, STR("q=0")) < piece.len && str_find(piece, STR("q=0.")) == piece.len;
        if (!refused && (str_equal_ignore_case(coding, wanted) || str_equal(coding, STR("*")))) {
            return true;
        }
    }
    return false;
}

/* zlib only reads its input, but takes it without const. */
static Bytef *input_of(struct str text)
{
    union {
        const char *constant;
        Bytef *bytes;
    } input = { .constant = text.at };
    return input.bytes;
}

bool gzip_deflate(struct str plain, struct buf *out)
{
    z_stream stream = { 0 };
    if (plain.len > UINT32_MAX / 2 || deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW,
                                                   GZIP_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    uLong bound = deflateBound(&stream, (uLong)plain.len);
    char *room = buf_reserve(out, bound);
    bool ok = false;
    if (room != NULL) {
        stream.next_in = input_of(plain);
        stream.avail_in = (uInt)plain.len;
        stream.next_out = (Bytef *)room;
        stream.avail_out = (uInt)bound;
        ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        out->len += ok ? stream.total_out : 0;
    }
    (void)deflateEnd(&stream);
    return ok;
}

struct str gzip_inflate(struct arena *arena, struct str member, size_t plain_bytes)
{
    char *plain = arena_alloc(arena, plain_bytes + 1);
    z_stream stream = { 0 };
    struct str text = STR_NONE;
    if (plain == NULL || plain_bytes > UINT32_MAX / 2 || inflateInit2(&stream, GZIP_WINDOW) != Z_OK) {
        return STR_NONE;
    }
    stream.next_in = input_of(member);
    stream.avail_in = (uInt)member.len;
    stream.next_out = (Bytef *)plain;
    stream.avail_out = (uInt)plain_bytes + 1;
    if (inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == plain_bytes) {
        text = (struct str){ plain, plain_bytes };
    }
    (void)inflateEnd(&stream);
    return text;
}

static void release_buf(void *data)
{
    buf_deinit(data);
}

void http_respond_buf(struct http_request *request, int status, struct str content_type, struct buf *body)
{
    struct buf *kept = ARENA_NEW(&request->arena, struct buf);
    if (kept == NULL || body->failed) {
        struct error error = { 0 };
        (void)FAIL(&error, ERROR_TOO_LARGE, "the answer is too large");
        buf_deinit(body);
        http_respond_error(request, &error);
        return;
    }
    struct buf packed = { .bytes_max = body->len + 4096 };
    bool worth = body->len >= GZIP_WORTH_BYTES;
    if (worth) {
        http_add_header(request, STR("Vary"), STR("Accept-Encoding"));
    }
    if (worth && http_accepts_coding(request, STR("gzip")) && gzip_deflate(buf_str(body), &packed)) {
        http_add_header(request, STR("Content-Encoding"), STR("gzip"));
        buf_deinit(body);
        *kept = packed;
    } else {
        buf_deinit(&packed);
        *kept = *body;
        *body = (struct buf){ 0 };
    }
    http_respond_owned(request, status, content_type, buf_str(kept), release_buf, kept);
}
