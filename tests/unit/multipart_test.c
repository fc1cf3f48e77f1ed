/* Multipart bodies, cut at every place, and header parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/multipart.h"

static bool on_begin(void *data, const struct multipart_part *part, struct error *error)
{
    (void)error;
    buf_printf(data, "<%u:%.*s:%.*s:%.*s>", part->index, STR_FMT(part->content_type),
               STR_FMT(part->content_location), STR_FMT(part->content_disposition));
    return true;
}

static bool on_bytes(void *data, struct str bytes, struct error *error)
{
    (void)error;
    assert_true(bytes.len > 0);
    buf_add(data, bytes);
    return true;
}

static bool on_end(void *data, struct error *error)
{
    (void)error;
    buf_add(data, STR("</>"));
    return true;
}

/* Parses `body` in pieces of `size`; the transcript, or NULL when it is refused. */
static const char *parse(struct buf *out, struct str body, size_t size, struct error *error)
{
    buf_clear(out);
    struct multipart_handler handler = { out, on_begin, on_bytes, on_end };
    struct multipart parser;
    if (!multipart_init(&parser, STR("multipart/related; type=\"a/b\"; boundary=\"B-1\""), &handler, error)) {
        return NULL;
    }
    for (size_t at = 0; at < body.len; at += size) {
        if (!multipart_feed(&parser, str_slice(body, at, at + size), error)) {
            return NULL;
        }
    }
    if (!multipart_finish(&parser, error)) {
        return NULL;
    }
    buf_add_char(out, '\0');
    return out->at;
}

static void parts_are_found_however_the_body_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *transcript;
    } cases[] = {
        { "--B-1\r\nContent-Type: a/b\r\n\r\nhello\r\n--B-1--\r\n", "<0:a/b::>hello</>" },
        { "preamble\r\n--B-1\r\n\r\none\r\n--B-1  \r\n\r\ntwo\r\n--B-1--", "<0:::>one</><1:::>two</>" },
        { "--B-1\r\ncontent-location: /x\r\nCONTENT-TYPE:  t ; q=\"1\"  \r\n\r\n\r\n--B-1--epilogue",
          "<0:t ; q=\"1\":/x:></>" },
        { "--B-1\r\n\r\n--B-1--\r\n", "<0:::></>" }, /* no content at all */
        { "--B-1\r\n\r\n\r\n\r\n--B-\r\n--B\r\n--B-1--", "<0:::>\r\n\r\n--B-\r\n--B</>" }, /* nearly */
        { "--B-1\r\n\r\n\r\r\n\r\r\n--B-1--", "<0:::>\r\r\n\r</>" },
        { "--B-1\r\n\r\n--B-2\r\n--B-1--", "<0:::>--B-2</>" }, /* the virtual line start is no content */
        { "--B-1\r\nContent-Disposition: form-data; name=\"f\"\r\n"
          "Content-Transfer-Encoding: binary\r\n\r\nx\r\n--B-1--",
          "<0:::form-data; name=\"f\">x</>" },
        { "--B-1--", "" },
    };
    struct buf out = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str body = str_from_cstr(cases[i].body);
        for (size_t size = 1; size <= body.len; size++) {
            const char *got = parse(&out, body, size, &error);
            assert_non_null(got);
            assert_string_equal(got, cases[i].transcript);
        }
    }
    buf_deinit(&out);
}

static void binary_content_comes_back_unchanged(void **state)
{
    (void)state;
    struct buf body = { .bytes_max = 1 << 20 };
    struct buf out = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    buf_add(&body, STR("--B-1\r\n\r\n"));
    for (int i = 0; i < 60000; i++) { /* dense in the delimiter's own bytes */
        buf_add_char(&body, "\r\n--B-\0x1"[(i * 7 + i / 9 + i / 131) % 9]);
    }
    size_t content = body.len - 9;
    buf_add(&body, STR("\r\n--B-1--"));
    for (size_t size = 1; size < 4000; size = size * 3 + 1) {
        assert_non_null(parse(&out, buf_str(&body), size, &error));
        assert_int_equal(out.len - 1, content + strlen("<0:::></>"));
        assert_memory_equal(out.at + 6, body.at + 9, content);
    }
    buf_deinit(&body);
    buf_deinit(&out);
}

static void what_is_not_multipart_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "no boundary at all",
        "--B-1\r\n",            /* headers do not end */
        "--B-1\r\n\r\ncontent", /* no closing delimiter */
        "--B-1\r\n\r\ncontent\r\n--B-1\r\n",
        "--B-1\r\n\r\ncontent\r\n--B-1-",
        "--B-1x\r\n\r\ncontent\r\n--B-1--", /* something behind the boundary */
        "--B-1 x\r\n\r\ncontent\r\n--B-1--",
        "--B-1\n\ncontent\n--B-1--", /* bare line feeds */
        "--B-1\r\nno colon\r\n\r\nx\r\n--B-1--",
        "--B-1\r\nContent Type: x\r\n\r\nx\r\n--B-1--", /* space in a name */
        "--B-1\r\nContent-Type: x\r\n folded\r\n\r\nx\r\n--B-1--",
        "--B-1\r\nContent-Type: x\ny: z\r\n\r\nx\r\n--B-1--",
        "--B-1\r\nContent-Type: x\r\nContent-Type: y\r\n\r\nx\r\n--B-1--",
        "--B-1\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--B-1--",
    };
    struct buf out = { .bytes_max = 1 << 20 };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct error error = { 0 };
        struct str body = str_from_cstr(bodies[i]);
        assert_null(parse(&out, body, body.len + 1, &error));
        assert_null(parse(&out, body, 1, &error));
        assert_int_not_equal(error.kind, ERROR_NONE);
    }
    static const char *const types[] = {
        "",
        "text/plain; boundary=x",
        "multipart/related",
        "multipart/related; boundary=",
        "multipart/related; boundary=\"a\x01\"",
        "multipart/related; boundary=\"ends with space \"",
        "multipart/related; boundary=\"x",
        ("multipart/related; boundary="
         "01234567890123456789012345678901234567890123456789012345678901234567890"),
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct multipart_handler handler = { &out, on_begin, on_bytes, on_end };
        struct multipart parser;
        struct error error = { 0 };
        assert_false(multipart_init(&parser, str_from_cstr(types[i]), &handler, &error));
    }
    buf_deinit(&out);
}

static void limits_hold(void **state)
{
    (void)state;
    struct buf body = { .bytes_max = 1 << 20 };
    struct buf out = { .bytes_max = 1 << 20 };
    struct error error = { 0 };
    buf_add(&body, STR("--B-1\r\nx: "));
    for (int i = 0; i < MULTIPART_HEADER_BYTES_MAX; i++) {
        buf_add_char(&body, 'y');
    }
    assert_null(parse(&out, buf_str(&body), 1000, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    buf_clear(&body);
    for (int i = 0; i < MULTIPART_PREAMBLE_BYTES_MAX + 10; i++) {
        buf_add_char(&body, 'y');
    }
    assert_null(parse(&out, buf_str(&body), 1000, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    buf_clear(&body);
    buf_add(&body, STR("--B-1\r\n"));
    for (int i = 0; i <= MULTIPART_HEADERS_MAX; i++) {
        buf_add(&body, STR("x: y\r\n"));
    }
    buf_add(&body, STR("\r\nx\r\n--B-1--"));
    assert_null(parse(&out, buf_str(&body), 1000, &error));
    assert_int_equal(error.kind, ERROR_TOO_LARGE);
    buf_deinit(&body);
    buf_deinit(&out);
}

static void parameters_are_taken_apart(void **state)
{
    (void)state;
    char text[32];
    struct str found = STR_NONE;
    struct str value = STR("form-data; name=\"a \\\"b\\\"; c\"; FileName=x.dcm ; empty=\"\"");
    assert_true(header_parameter(value, STR("name"), text, sizeof text, &found));
    assert_true(str_equal(found, STR("a \"b\"; c")));
    assert_true(header_parameter(value, STR("filename"), text, sizeof text, &found));
    assert_true(str_equal(found, STR("x.dcm")));
    assert_true(header_parameter(value, STR("empty"), text, sizeof text, &found));
    assert_int_equal(found.len, 0);
    assert_false(header_parameter(value, STR("absent"), text, sizeof text, &found));
    assert_false(header_parameter(value, STR("name"), text, 3, &found));
    assert_false(header_parameter(STR("x; name=\"open\\\""), STR("name"), text, sizeof text, &found));
    assert_true(str_equal(header_main_value(STR(" a/b ; c=d")), STR("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found_however_the_body_is_cut),
        cmocka_unit_test(binary_content_comes_back_unchanged),
        cmocka_unit_test(what_is_not_multipart_is_refused),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(parameters_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
