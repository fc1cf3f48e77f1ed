/* ZIPs cut anywhere: the first byte says how; the same bytes in one piece must be told alike. */
#include <stdint.h>

#include "base/buf.h"
#include "dicom/zip_reader.h"

static bool on_begin(void *data, struct str name, enum zip_problem problem, struct error *error)
{
    (void)error;
    buf_printf(data, "<%.*s %d>", STR_FMT(name), (int)problem);
    return true;
}

static bool on_bytes(void *data, struct str bytes, struct error *error)
{
    (void)error;
    assert(bytes.len > 0);
    buf_add(data, bytes);
    return true;
}

static bool on_end(void *data, enum zip_problem problem, struct error *error)
{
    (void)error;
    buf_printf(data, "</%d>", (int)problem);
    return true;
}

static bool parse(struct str bytes, size_t step, struct buf *transcript)
{
    const struct zip_handler handler = { transcript, on_begin, on_bytes, on_end };
    struct zip_reader *zip = NULL;
    struct error error;
    bool ok = zip_reader_create(&handler, &zip, &error);
    for (size_t at = 0; ok && at < bytes.len; at += step) {
        ok = zip_reader_feed(zip, str_slice(bytes, at, at + step), &error);
    }
    ok = ok && zip_reader_finish(zip, &error);
    zip_reader_destroy(zip);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct str bytes = { (const char *)data + 1, size - 1 };
    struct buf whole = { .bytes_max = 1u << 24 };
    struct buf pieces = { .bytes_max = 1u << 24 };
    bool ok = parse(bytes, bytes.len + 1, &whole);
    bool same = parse(bytes, (size_t)(data[0] % 16) + 1, &pieces);
    assert(ok == same);
    assert(!ok || whole.failed || str_equal(buf_str(&whole), buf_str(&pieces)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
    return 0;
}
