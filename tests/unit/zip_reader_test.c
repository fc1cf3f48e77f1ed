/* ZIPs as programs write them, cut anywhere, and ZIPs that were made to harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/buf.h"
#include "dicom/zip_reader.h"

/* ---- making them ---- */

struct made {
    struct buf bytes;
    const char *name;
    uint16_t flags;
    uint16_t method;
    bool descriptor;
    bool lies;
};

static void add_u16(struct buf *buf, unsigned value)
{
    buf_add_char(buf, (char)(value & 0xff));
    buf_add_char(buf, (char)(value >> 8 & 0xff));
}

static void add_u32(struct buf *buf, uint32_t value)
{
    add_u16(buf, value & 0xffff);
    add_u16(buf, value >> 16);
}

static void deflate_into(struct buf *out, struct str plain)
{
    z_stream stream = { 0 };
    union {
        const char *constant;
        Bytef *bytes;
    } in = { .constant = plain.at };
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char *room = buf_reserve(out, deflateBound(&stream, plain.len));
    assert_non_null(room);
    stream.next_in = in.bytes;
    stream.avail_in = (uInt)plain.len;
    stream.next_out = (Bytef *)room;
    stream.avail_out = (uInt)deflateBound(&stream, plain.len);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len += stream.total_out;
    (void)deflateEnd(&stream);
}

static void add_file(struct made *made, struct str plain)
{
    struct buf packed = { .bytes_max = (size_t)512 << 20 };
    uint32_t checksum = (uint32_t)crc32(0, (const Bytef *)plain.at, (uInt)plain.len) + (made->lies ? 1 : 0);
    if (made->method == 8) {
        deflate_into(&packed, plain);
    } else {
        buf_add(&packed, plain);
    }
    buf_add(&made->bytes, STR("PK\3\4"));
    add_u16(&made->bytes, 20);
    add_u16(&made->bytes, made->flags | (made->descriptor ? 8u : 0u));
    add_u16(&made->bytes, made->method);
    add_u32(&made->bytes, 0);
    add_u32(&made->bytes, made->descriptor ? 0 : checksum);
    add_u32(&made->bytes, made->descriptor ? 0 : (uint32_t)packed.len);
    add_u32(&made->bytes, made->descriptor ? 0 : (uint32_t)plain.len);
    add_u16(&made->bytes, (unsigned)str_from_cstr(made->name).len);
    add_u16(&made->bytes, 0);
    buf_add(&made->bytes, str_from_cstr(made->name));
    buf_add(&made->bytes, buf_str(&packed));
    if (made->descriptor) {
        buf_add(&made->bytes, STR("PK\7\10"));
        add_u32(&made->bytes, checksum);
        add_u32(&made->bytes, (uint32_t)packed.len);
        add_u32(&made->bytes, (uint32_t)plain.len);
    }
    buf_deinit(&packed);
}

static void end_zip(struct made *made)
{
    buf_add(&made->bytes, STR("PK\5\6"));
    for (int i = 0; i < 18; i++) {
        buf_add_char(&made->bytes, 0);
    }
    assert_false(made->bytes.failed);
}

/* ---- reading them: "name:problem{bytes}problem;" ---- */

static bool on_begin(void *data, struct str name, enum zip_problem problem, struct error *error)
{
    (void)error;
    buf_printf(data, "%.*s:%d{", STR_FMT(name), (int)problem);
    return true;
}

static bool on_bytes(void *data, struct str bytes, struct error *error)
{
    (void)error;
    buf_add(data, bytes);
    return true;
}

static bool on_end(void *data, enum zip_problem problem, struct error *error)
{
    (void)error;
    buf_printf(data, "}%d;", (int)problem);
    return true;
}

static bool read_zip(struct str bytes, size_t step, struct buf *transcript, struct error *error)
{
    const struct zip_handler handler = { transcript, on_begin, on_bytes, on_end };
    struct zip_reader *zip = NULL;
    bool ok = true;
    *error = (struct error){ 0 };
    assert_true(zip_reader_create(&handler, &zip, error));
    for (size_t at = 0; ok && at < bytes.len; at += step) {
        ok = zip_reader_feed(zip, str_slice(bytes, at, at + step), error);
    }
    ok = ok && zip_reader_finish(zip, error);
    zip_reader_destroy(zip);
    return ok;
}

static void expect(struct made *made, const char *transcript)
{
    static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, 1 << 20 };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct buf found = { .bytes_max = 1 << 20 };
        struct error error;
        if (!read_zip(buf_str(&made->bytes), steps[i], &found, &error)) {
            fail_msg("step %zu: %s", steps[i], error.text);
        }
        buf_add_char(&found, '\0');
        assert_string_equal(found.at, transcript);
        buf_deinit(&found);
    }
    buf_deinit(&made->bytes);
}

static void expect_refused(struct made *made, enum error_kind kind)
{
    struct buf found = { .bytes_max = 600 << 20 };
    struct error error;
    assert_false(read_zip(buf_str(&made->bytes), 4096, &found, &error));
    assert_int_equal(error.kind, kind);
    buf_deinit(&found);
    buf_deinit(&made->bytes);
}

static struct made fresh(void)
{
    return (struct made){ .bytes = { .bytes_max = 64 << 20 }, .method = 8, .name = "a" };
}

static void test_files_in_every_form(void **state)
{
    (void)state;
    struct made made = fresh();
    add_file(&made, STR("deflated deflated deflated"));
    made.name = "DIR/";
    made.method = 0;
    add_file(&made, STR(""));
    made.name = "DIR/b.dcm";
    add_file(&made, STR("stored"));
    made.name = "c";
    made.method = 8;
    made.descriptor = true;
    add_file(&made, STR("with a descriptor"));
    made.name = "empty";
    add_file(&made, STR(""));
    made.name = "last";
    made.descriptor = false;
    add_file(&made, STR(""));
    end_zip(&made);
    expect(&made, "a:0{deflated deflated deflated}0;DIR/b.dcm:0{stored}0;c:0{with a descriptor}0;empty:0{}0;"
                  "last:0{}0;");
}

static void test_one_bad_file_is_refused_alone(void **state)
{
    (void)state;
    struct made made = fresh();
    made.flags = 1;
    made.name = "secret";
    add_file(&made, STR("encrypted"));
    made.flags = 0;
    made.name = "lzma";
    made.method = 14;
    add_file(&made, STR("packed in another way"));
    made.method = 0;
    static const char *const names[] = { "../up", "a/../../b", "/etc/x", "C:\\x", "..\\x", "\\\\host\\x" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        made.name = names[i];
        add_file(&made, STR("p"));
    }
    made.method = 8;
    made.name = "lies";
    made.lies = true;
    add_file(&made, STR("checksum"));
    made.lies = false;
    made.name = "..fine..";
    add_file(&made, STR("fine"));
    end_zip(&made);
    expect(&made, "secret:1{}1;lzma:2{}2;../up:3{}3;a/../../b:3{}3;/etc/x:3{}3;C:\\x:3{}3;..\\x:3{}3;"
                  "\\\\host\\x:3{}3;lies:0{checksum}4;..fine..:0{fine}0;");
}

static void test_damage_inside_a_file(void **state)
{
    (void)state;
    struct made made = fresh();
    add_file(&made, STR("some text that will be damaged"));
    made.bytes.at[31] = (char)0xff; /* the first block's type becomes a reserved one (RFC 1951 3.2.3) */
    made.name = "b";
    add_file(&made, STR("whole"));
    end_zip(&made);
    expect(&made, "a:0{}4;b:0{whole}0;");
}

static void test_what_has_no_end_is_refused(void **state)
{
    (void)state;
    struct made made = fresh();
    buf_add(&made.bytes, STR("GIF89a, not a ZIP at all"));
    expect_refused(&made, ERROR_STRUCTURE);
    made = fresh();
    expect_refused(&made, ERROR_STRUCTURE);
    made = fresh();
    add_file(&made, STR("no directory follows"));
    expect_refused(&made, ERROR_STRUCTURE);
    made = fresh();
    add_file(&made, STR("cut short"));
    made.bytes.len -= 3;
    expect_refused(&made, ERROR_STRUCTURE);
    made = fresh();
    made.flags = 1;
    made.descriptor = true;
    add_file(&made, STR("encrypted, of unknown length"));
    end_zip(&made);
    expect_refused(&made, ERROR_UNSUPPORTED);
    made = fresh();
    made.method = 0;
    made.descriptor = true;
    add_file(&made, STR("stored, of unknown length"));
    end_zip(&made);
    expect_refused(&made, ERROR_UNSUPPORTED);
}

/* 300 MB of zeros in 300 KB: the reader gives up long before they are unpacked. */
static void test_zip_bomb(void **state)
{
    (void)state;
    size_t size = (size_t)300 << 20;
    char *zeros = calloc(1, size);
    assert_non_null(zeros);
    struct made made = fresh();
    add_file(&made, (struct str){ zeros, size });
    end_zip(&made);
    free(zeros);
    assert_true(made.bytes.len < 400 * 1024);
    struct buf found = { .bytes_max = size };
    struct error error;
    assert_false(read_zip(buf_str(&made.bytes), 4096, &found, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    assert_true(found.len < (size_t)100 << 20);
    buf_deinit(&found);
    buf_deinit(&made.bytes);
}

static void test_too_many_files(void **state)
{
    (void)state;
    struct made made = fresh();
    made.method = 0;
    for (int i = 0; i <= ZIP_FILES_MAX; i++) {
        add_file(&made, STR("x"));
    }
    end_zip(&made);
    expect_refused(&made, ERROR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_in_every_form),
        cmocka_unit_test(test_one_bad_file_is_refused_alone),
        cmocka_unit_test(test_damage_inside_a_file),
        cmocka_unit_test(test_what_has_no_end_is_refused),
        cmocka_unit_test(test_zip_bomb),
        cmocka_unit_test(test_too_many_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
