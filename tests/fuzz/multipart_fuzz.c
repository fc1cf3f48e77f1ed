/* Multipart bodies cut anywhere: the first byte says how; the same body in one piece must be told alike. */
#include <stdint.h>

#include "base/buf.h"
#include "http/multipart.h"

static bool on_begin(void *data, const struct multipart_part *part, struct error *error)
{
    (void)error;
    buf_printf(data, "<%u %zu %zu>", part->index, part->content_type.len, part->content_location.len);
    char text[64];
    struct str found;
    (void)header_parameter(part->content_disposition, STR("filename"), text, sizeof text, &found);
    return true;
}

static bool on_bytes(void *data, struct str bytes, struct error *error)
{
    (void)error;
    assert(bytes.len > 0);
    buf_add(data, bytes);
    return true;
}

static bool on_end(void *data, struct error *error)
{
    (void)error;
    buf_add(data, STR("</>"));
    return true;
}

static bool parse(struct str body, size_t step, struct buf *transcript)
{
    struct multipart_handler handler = { transcript, on_begin, on_bytes, on_end };
    struct multipart parser;
    struct error error;
    if (!multipart_init(&parser, STR("multipart/related; boundary=b"), &handler, &error)) {
        return false;
    }
    for (size_t at = 0; at < body.len; at += step) {
        if (!multipart_feed(&parser, str_slice(body, at, at + step), &error)) {
            return false;
        }
    }
    return multipart_finish(&parser, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct str body = { (const char *)data + 1, size - 1 };
    struct buf whole = { .bytes_max = 1u << 22 };
    struct buf pieces = { .bytes_max = 1u << 22 };
    bool ok = parse(body, body.len + 1, &whole);
    bool same = parse(body, (size_t)(data[0] % 16) + 1, &pieces);
    assert(ok == same);
    assert(!ok || str_equal(buf_str(&whole), buf_str(&pieces)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
    return 0;
}
