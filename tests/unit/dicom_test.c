/* dicom_test.c — data sets in every syntax, lies and cuts, character sets, the JSON model, pixels. DCMTK
 * is the independent writer and decoder; what needs it, or the real CT, says so when it is absent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "dicom/charset.h"
#include "dicom/dicom_json.h"
#include "dicom/pixels.h"
#include "dicom/render.h"
#include "dicom_build.h"
#include "dicom/worker.h"
#include "json/json.h"
#include "shell.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"
static const struct build_image small = { .study = "2.25.100",
                                          .series = "2.25.101",
                                          .sop = "2.25.102",
                                          .rows = 5,
                                          .columns = 6,
                                          .bits = 16,
                                          .number = 3 };

struct fixture {
    struct arena arena;
    struct build build;
    struct error error;
    char folder[64];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->arena.bytes_max = 64u << 20;
    fixture->build.buf.bytes_max = 16u << 20;
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/shanhai-dicom-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    (void)shell_run("rm -rf '%s'", fixture->folder);
    buf_deinit(&fixture->build.buf);
    arena_deinit(&fixture->arena);
    free(fixture);
    return 0;
}

static bool has_dcmtk(void)
{
    if (shell_run("command -v dcmconv dcmcrle dcmcjpls dcmdjpls dcmcjpeg >/dev/null 2>&1") != 0) {
        print_message("left out: DCMTK is not installed\n");
        return false;
    }
    return true;
}

static struct str json_of(struct fixture *fixture, const struct dicom_dataset *dataset)
{
    struct buf buf = { .bytes_max = 8u << 20 };
    const struct dicom_json_options options = { .inline_bytes_max = 1024 };
    dicom_json_write(&buf, &fixture->arena, dataset, &options);
    assert_false(buf.failed);
    struct str text = arena_dup(&fixture->arena, buf_str(&buf));
    buf_deinit(&buf);
    struct json *value = NULL;
    assert_true(json_read(&fixture->arena, text, &value, &fixture->error));
    return text;
}

static bool read_build(struct fixture *fixture, const char *syntax, struct dicom_dataset *dataset)
{
    return dicom_read_dataset(&fixture->arena, buf_str(&fixture->build.buf),
                              dicom_syntax_find(str_from_cstr(syntax)), NULL, dataset, &fixture->error);
}

static void assert_json(struct fixture *fixture, const struct dicom_dataset *dataset, const char *part)
{
    struct str text = json_of(fixture, dataset);
    if (str_find(text, str_from_cstr(part)) == text.len) {
        fail_msg("'%s' is not in %.*s", part, STR_FMT(text));
    }
}

static void reads_a_file(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_file file;
    build_meta(&fixture->build, DICOM_EXPLICIT_LE, CT_CLASS, small.sop);
    build_ct(&fixture->build, &small);
    assert_true(dicom_read_file(&fixture->arena, buf_str(&fixture->build.buf), NULL, &file, &fixture->error));
    assert_string_equal(file.syntax->uid, DICOM_EXPLICIT_LE);
    assert_true(str_equal(dicom_uid(&file.dataset, TAG_STUDY_INSTANCE_UID), STR("2.25.100")));
    assert_true(str_equal(dicom_text(&fixture->arena, &file.dataset, TAG_PATIENT_ID), STR("P0001")));
    double number = 0;
    assert_true(dicom_number(&file.dataset, TAG_RESCALE_INTERCEPT, &number));
    assert_true(number == -1024.0);
    assert_json(fixture, &file.dataset,
                "\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Wang^XiaoDong\",\"Ideographic\":"
                "\"王^小东\"}]}");
    assert_json(fixture, &file.dataset, "\"00280010\":{\"vr\":\"US\",\"Value\":[5]}");
    assert_json(fixture, &file.dataset, "\"00281052\":{\"vr\":\"DS\",\"Value\":[-1024]}");
    assert_json(fixture, &file.dataset, "\"7FE00010\":{\"vr\":\"OW\"}");
}

static void reads_every_syntax_alike(void **state)
{
    struct fixture *fixture = *state;
    static const char *const options[] = { "+te", "+ti", "+tb", "+td" };
    char path[128];
    struct str expected = STR_NONE;
    if (!has_dcmtk()) {
        skip();
    }
    build_meta(&fixture->build, DICOM_EXPLICIT_LE, CT_CLASS, small.sop);
    build_ct(&fixture->build, &small);
    (void)snprintf(path, sizeof path, "%s/in.dcm", fixture->folder);
    assert_true(file_write_atomically(path, buf_str(&fixture->build.buf), 0600, &fixture->error));
    for (size_t i = 0; i < 8; i++) {
        /* The second round has undefined lengths and no meta information (deflated cannot be told then). */
        bool is_bare = i >= 4;
        if (i == 6 || i == 7) {
            continue;
        }
        assert_int_equal(shell_run("cd '%s' && dcmconv %s %s %s in.dcm out.dcm", fixture->folder,
                                   options[i % 4], is_bare ? "-e" : "+e", is_bare ? "-F" : "+F"),
                         0);
        (void)snprintf(path, sizeof path, "%s/out.dcm", fixture->folder);
        struct str bytes;
        struct dicom_file file;
        assert_true(file_read_whole(&fixture->arena, path, 1u << 20, &bytes, &fixture->error));
        if (!dicom_read_file(&fixture->arena, bytes, NULL, &file, &fixture->error)) {
            fail_msg("%s %s: %s", options[i % 4], is_bare ? "bare" : "file", fixture->error.text);
        }
        struct str text = json_of(fixture, &file.dataset);
        expected = expected.at == NULL ? text : expected;
        assert_true(str_equal(text, expected));
        struct dicom_image image;
        struct str frame;
        uint8_t samples[60];
        assert_true(dicom_image_describe(&file.dataset, file.syntax, &image, &fixture->error));
        assert_true(dicom_frame_bytes(&fixture->arena, &file.dataset, &image, 0, &frame, &fixture->error));
        assert_true(dicom_frame_decode(&image, frame, samples, sizeof samples, &fixture->error));
        for (uint32_t pixel = 0; pixel < 30; pixel++) {
            assert_int_equal(samples[2 * pixel] | samples[2 * pixel + 1] << 8, pixel * 7 + 3);
        }
    }
}

static void a_cut_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    build_meta(&fixture->build, DICOM_EXPLICIT_LE, CT_CLASS, small.sop);
    build_ct(&fixture->build, &small);
    size_t whole = fixture->build.buf.len;
    size_t accepted = 0;
    for (size_t len = 0; len < whole; len++) {
        struct dicom_file file;
        struct arena arena = { .bytes_max = 1u << 20 };
        /* A copy of exactly that size: reading past it is seen by the sanitizer. */
        char *copy = malloc(len + 1);
        memcpy(copy, fixture->build.buf.at, len);
        if (dicom_read_file(&arena, (struct str){ copy, len }, NULL, &file, &fixture->error)) {
            accepted++;
        }
        free(copy);
        arena_deinit(&arena);
    }
    /* Only a cut between two elements of the top level leaves a readable data set: 27 elements. */
    assert_true(accepted <= 27);
    struct dicom_file file;
    assert_false(dicom_read_file(&fixture->arena, (struct str){ fixture->build.buf.at, whole - 1 }, NULL,
                                 &file, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_STRUCTURE);
}

static void lying_lengths_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t lengths[] = { 100, 0x7FFFFFFFu, 0xFFFFFFFEu, 0xFFFFFFFFu };
    struct dicom_dataset dataset;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        buf_clear(&fixture->build.buf);
        build_text(&fixture->build, 0x00080060u, "CS", "CT");
        build_header(&fixture->build, 0x00091001u, "OB", lengths[i]);
        buf_add(&fixture->build.buf, STR("12345678"));
        assert_false(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
        assert_int_equal(fixture->error.kind, ERROR_STRUCTURE);
        buf_clear(&fixture->build.buf);
        build_header(&fixture->build, 0x00400275u, "SQ", 16);
        build_header(&fixture->build, TAG_ITEM, NULL, lengths[i]);
        buf_add(&fixture->build.buf, STR("12345678"));
        assert_false(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    }
}

static void deep_and_many_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_dataset dataset;
    for (int i = 0; i < 5000; i++) {
        build_header(&fixture->build, 0x00400275u, "SQ", 0xFFFFFFFFu);
        build_header(&fixture->build, TAG_ITEM, NULL, 0xFFFFFFFFu);
    }
    assert_false(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_int_equal(fixture->error.kind, ERROR_TOO_LARGE);
    buf_clear(&fixture->build.buf);
    build_header(&fixture->build, 0x00400275u, "SQ", 0xFFFFFFFFu);
    for (int i = 0; i <= LIMIT_DICOM_ELEMENTS; i++) {
        build_header(&fixture->build, TAG_ITEM, NULL, 0);
    }
    build_header(&fixture->build, TAG_SEQUENCE_END, NULL, 0);
    assert_false(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_int_equal(fixture->error.kind, ERROR_TOO_LARGE);
}

static void sequences_and_unknowns(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_dataset dataset;
    /* UN of undefined length is an implicit sequence (PS3.5 6.2.2). */
    build_header(&fixture->build, 0x00091010u, "UN", 0xFFFFFFFFu);
    build_header(&fixture->build, TAG_ITEM, NULL, 0xFFFFFFFFu);
    fixture->build.is_implicit = true;
    build_text(&fixture->build, 0x00080060u, "CS", "MR");
    fixture->build.is_implicit = false;
    build_header(&fixture->build, TAG_ITEM_END, NULL, 0);
    build_header(&fixture->build, TAG_SEQUENCE_END, NULL, 0);
    build_bytes(&fixture->build, 0x00091011u, "UN", STR("\1\2\3\4"));
    build_text(&fixture->build, 0x00200013u, "IS", "7");
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_json(fixture, &dataset,
                "{\"00091010\":{\"vr\":\"SQ\",\"Value\":[{\"00080060\":{\"vr\":\"CS\","
                "\"Value\":[\"MR\"]}}]},\"00091011\":{\"vr\":\"UN\",\"InlineBinary\":\"AQIDBA==\"},"
                "\"00200013\":{\"vr\":\"IS\",\"Value\":[7]}}");
}

static void numbers_as_json(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_dataset dataset;
    build_text(&fixture->build, 0x00281050u, "DS", "-0450\\+1.50\\.5\\5.\\\\abc");
    build_header(&fixture->build, 0x00189073u, "FD", 8);
    build_number(&fixture->build, 0x3FF8000000000000u, 8);
    build_header(&fixture->build, 0x00280009u, "AT", 4);
    build_tag(&fixture->build, 0x00181063u);
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_json(fixture, &dataset, "\"Value\":[-450,1.50,0.5,5,null,\"abc\"]");
    assert_json(fixture, &dataset, "\"00189073\":{\"vr\":\"FD\",\"Value\":[1.5]}");
    assert_json(fixture, &dataset, "\"00280009\":{\"vr\":\"AT\",\"Value\":[\"00181063\"]}");
    double numbers[6];
    assert_int_equal(dicom_numbers(&dataset, TAG_WINDOW_CENTER, numbers, 6), 4);
    assert_true(numbers[0] == -450.0);
    assert_true(numbers[3] == 5.0);
}

static void character_sets(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *declared;
        const char *bytes;
        const char *fallback;
        const char *expected;
    } cases[] = {
        { "ISO_IR 192", "\xE7\x8E\x8B", NULL, "王" },
        { "GB18030", "\xCD\xF5\xD0\xA1\xB6\xAB", NULL, "王小东" },
        { "GB18030", "\x82\x35\x95\x33", NULL, "鿢" },
        { "GBK", "\xCD\xF5", NULL, "王" },
        { "ISO_IR 100", "M\xFCller", NULL, "Müller" },
        { "ISO_IR 100",
          "cr\xE9\xE9"
          "e",
          NULL, "créée" },
        { "ISO_IR 100", "\xCD\xF5^\xD0\xA1\xB6\xAB", NULL, "王^小东" }, /* GBK under Latin-1 */
        { "ISO_IR 100", "\xE7\x8E\x8B", NULL, "王" },                   /* UTF-8 under Latin-1 */
        { "", "\xCD\xF5\xD0\xA1", NULL, "王小" },                       /* GBK under nothing */
        { "ISO_IR 192", "\xCD\xF5\xD0\xA1", NULL, "王小" },             /* GBK under UTF-8 */
        { "", "\xA4\xFD", "BIG5", "王" },                               /* the site's fallback */
        { "ISO_IR 192", "\xFF", NULL, "ÿ" },
        { "ISO_IR 192", "\xF5\xB5\xB1\xB7", NULL, "醯狈" }, /* UTF-8 beyond U+10FFFF to iconv */
        { "\\ISO 2022 IR 58", "Wang^XiaoDong=\033$)A\xCD\xF5^\033$)A\xD0\xA1\xB6\xAB=", NULL,
          "Wang^XiaoDong=王^小东=" },
        { "\\ISO 2022 IR 87", "Yamada^Tarou=\033$B;3ED\033(B^\033$BB@O:\033(B", NULL,
          "Yamada^Tarou=山田^太郎" },
        { "\\ISO 2022 IR 149", "Hong^Gildong=\033$)C\xFB\xF3^\033$)C\xD1\xCE\xD4\xD7", NULL,
          "Hong^Gildong=洪^吉洞" },
        { "ISO_IR 144", "\xBB\xEE\xDA", NULL, "Люк" },
        { "unheard of", "abc", NULL, "abc" },
        { "", "a\001b\177c", NULL, "abc" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str text = charset_to_utf8(&fixture->arena, str_from_cstr(cases[i].bytes),
                                          str_from_cstr(cases[i].declared), cases[i].fallback);
        if (!str_equal_cstr(text, cases[i].expected)) {
            fail_msg("case %zu: '%.*s' is not '%s'", i, STR_FMT(text), cases[i].expected);
        }
    }
    /* The second byte of a GBK character may be '\': values are split after conversion. */
    struct dicom_dataset dataset;
    build_text(&fixture->build, 0x00080005u, "CS", "GB18030");
    build_text(&fixture->build, 0x00100010u, "PN", "\x81\x5C");
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_json(fixture, &dataset, "\"Value\":[{\"Alphabetic\":\"乗\"}]");
    assert_json(fixture, &dataset, "\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]}");
}

static void impossible_images(void **state)
{
    struct fixture *fixture = *state;
    const struct dicom_syntax *syntax = dicom_syntax_find(STR(DICOM_EXPLICIT_LE));
    struct dicom_dataset dataset;
    struct dicom_image image;
    struct str frame;
    /* Rows as UL: how frame sizes of others overflowed. */
    build_header(&fixture->build, 0x00280010u, "UL", 4);
    build_number(&fixture->build, 0x10000001u, 4);
    build_us(&fixture->build, 0x00280011u, 16);
    build_us(&fixture->build, 0x00280100u, 16);
    build_bytes(&fixture->build, 0x7FE00010u, "OW", STR("1234"));
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_false(dicom_image_describe(&dataset, syntax, &image, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_STRUCTURE);
    /* 65535 x 65535 x 3 x 16 bit: 25 GB. */
    buf_clear(&fixture->build.buf);
    build_us(&fixture->build, 0x00280002u, 3);
    build_us(&fixture->build, 0x00280010u, 65535);
    build_us(&fixture->build, 0x00280011u, 65535);
    build_us(&fixture->build, 0x00280100u, 16);
    build_bytes(&fixture->build, 0x7FE00010u, "OW", STR("1234"));
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_false(dicom_image_describe(&dataset, syntax, &image, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_TOO_LARGE);
    /* Fewer pixels than announced, and more frames than there are. */
    buf_clear(&fixture->build.buf);
    build_text(&fixture->build, 0x00280008u, "IS", "1000000");
    build_us(&fixture->build, 0x00280010u, 4);
    build_us(&fixture->build, 0x00280011u, 4);
    build_us(&fixture->build, 0x00280100u, 16);
    build_bytes(&fixture->build, 0x7FE00010u, "OW", STR("1234"));
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_true(dicom_image_describe(&dataset, syntax, &image, &fixture->error));
    assert_false(dicom_frame_bytes(&fixture->arena, &dataset, &image, 0, &frame, &fixture->error));
    assert_false(dicom_frame_bytes(&fixture->arena, &dataset, &image, 999999, &frame, &fixture->error));
}

static void uids_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_dataset dataset;
    build_text(&fixture->build, 0x0020000Du, "UI", "../../etc/passwd");
    build_text(&fixture->build, 0x0020000Eu, "UI", "1.2.840.10008");
    assert_true(read_build(fixture, DICOM_EXPLICIT_LE, &dataset));
    assert_null(dicom_uid(&dataset, TAG_STUDY_INSTANCE_UID).at);
    assert_true(str_equal(dicom_uid(&dataset, TAG_SERIES_INSTANCE_UID), STR("1.2.840.10008")));
    assert_false(dicom_uid_is_valid(STR("")));
    assert_false(dicom_uid_is_valid(STR("1.2/3")));
    assert_false(dicom_uid_is_valid(STR("..")));
    assert_false(dicom_uid_is_valid(STR("1..2")));
    assert_false(dicom_uid_is_valid(STR(".1")));
    assert_false(dicom_uid_is_valid(STR("1.")));
    assert_false(
        dicom_uid_is_valid(STR("12345678901234567890123456789012345678901234567890123456789012345")));
}

static void modality_values(void **state)
{
    (void)state;
    struct dicom_image image = { .rows = 1,
                                 .columns = 4,
                                 .frames_count = 1,
                                 .samples_per_pixel = 1,
                                 .bits_allocated = 16,
                                 .bits_stored = 12,
                                 .high_bit = 11,
                                 .is_signed = true,
                                 .slope = 1,
                                 .intercept = -24,
                                 .has_padding = true,
                                 .padding = -2000 };
    const uint8_t samples[8] = { 0xFF, 0x0F, 0x30, 0xF8, 0x00, 0xF0, 0xFF, 0x07 }; /* -1, -2000, 0, 2047 */
    int16_t values[4];
    dicom_frame_modality(&image, samples, -3024, values);
    assert_int_equal(values[0], -25);
    assert_int_equal(values[1], -3024);
    assert_int_equal(values[2], -24);
    assert_int_equal(values[3], 2023);
    image.slope = 100.5;
    dicom_frame_modality(&image, samples, -3024, values);
    assert_int_equal(values[3], 32767);
}

/* Compressed by DCMTK, decoded by us: the samples must be those that went in. */
static void codecs_give_the_samples_back(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *command;
        uint16_t bits;
        unsigned tolerance;
    } cases[] = { { "dcmcrle", 16, 0 },
                  { "dcmcrle", 8, 0 },
                  { "dcmcjpls", 16, 0 },
                  { "dcmcjpls", 8, 0 },
                  { "dcmcjpeg +eb +q 100", 8, 3 },
                  { "dcmcjpeg +e1", 16, 0 },
                  { "dcmcjpeg +e1", 8, 0 },
                  { "dcmcjpeg +el +sv 2", 16, 0 },
                  { "dcmcjpeg +el +sv 3", 16, 0 },
                  { "dcmcjpeg +el +sv 4", 16, 0 },
                  { "dcmcjpeg +el +sv 5", 16, 0 },
                  { "dcmcjpeg +el +sv 6", 16, 0 },
                  { "dcmcjpeg +el +sv 7", 16, 0 } };
    if (!has_dcmtk()) {
        skip();
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct build_image wanted = small;
        wanted.rows = 16;
        wanted.columns = 24;
        wanted.bits = cases[i].bits;
        char path[128];
        (void)snprintf(path, sizeof path, "%s/in.dcm", fixture->folder);
        buf_clear(&fixture->build.buf);
        build_meta(&fixture->build, DICOM_EXPLICIT_LE, CT_CLASS, small.sop);
        build_ct(&fixture->build, &wanted);
        assert_true(file_write_atomically(path, buf_str(&fixture->build.buf), 0600, &fixture->error));
        assert_int_equal(
            shell_run("cd '%s' && %s in.dcm out.dcm 2>/dev/null", fixture->folder, cases[i].command), 0);
        (void)snprintf(path, sizeof path, "%s/out.dcm", fixture->folder);
        struct str bytes;
        struct dicom_file file;
        struct dicom_image image;
        struct str frame;
        assert_true(file_read_whole(&fixture->arena, path, 1u << 20, &bytes, &fixture->error));
        assert_true(dicom_read_file(&fixture->arena, bytes, NULL, &file, &fixture->error));
        assert_true(file.syntax->is_encapsulated);
        assert_true(dicom_image_describe(&file.dataset, file.syntax, &image, &fixture->error));
        assert_true(dicom_frame_bytes(&fixture->arena, &file.dataset, &image, 0, &frame, &fixture->error));
        uint8_t samples[16 * 24 * 2];
        size_t len = dicom_image_frame_bytes(&image);
        assert_int_equal(len, 16u * 24u * (cases[i].bits / 8u));
        if (!dicom_frame_decode(&image, frame, samples, len, &fixture->error)) {
            fail_msg("%s: %s", cases[i].command, fixture->error.text);
        }
        for (uint32_t pixel = 0; pixel < 16 * 24; pixel++) {
            int value =
                cases[i].bits == 8 ? samples[pixel] : samples[2 * pixel] | samples[2 * pixel + 1] << 8;
            int expected = (int)((pixel * 7 + 3) % (cases[i].bits == 8 ? 256 : 4096));
            assert_in_range(abs(value - expected), 0, cases[i].tolerance);
        }
        /* Every cut of the frame is refused or gives the whole (trailing bytes may not matter), never a crash. */
        for (size_t cut = 0; cases[i].tolerance == 0 && cut < frame.len; cut += 1 + frame.len / 64) {
            char *copy = malloc(cut + 1);
            memcpy(copy, frame.at, cut);
            bool ok = dicom_frame_decode(&image, (struct str){ copy, cut }, samples, len, &fixture->error);
            assert_true(!ok || cut > frame.len / 2);
            free(copy);
        }
    }
}

static void the_real_slice_decodes_as_dcmtk_does(void **state)
{
    struct fixture *fixture = *state;
    const char *shared = getenv("SHANHAI_SHARED");
    char path[512];
    (void)snprintf(path, sizeof path, "%s/data/ct/lidc-idri-0314/000100.dcm",
                   shared == NULL ? "../shared" : shared);
    if (access(path, R_OK) != 0 || !has_dcmtk()) {
        print_message("left out: the real CT is not there\n");
        skip();
    }
    assert_int_equal(shell_run("dcmdjpls '%s' '%s/out.dcm'", path, fixture->folder), 0);
    int16_t *values[2];
    for (size_t i = 0; i < 2; i++) {
        struct str bytes;
        struct dicom_file file;
        struct dicom_image image;
        struct str frame;
        if (i == 1) {
            (void)snprintf(path, sizeof path, "%s/out.dcm", fixture->folder);
        }
        assert_true(file_read_whole(&fixture->arena, path, 4u << 20, &bytes, &fixture->error));
        assert_true(dicom_read_file(&fixture->arena, bytes, NULL, &file, &fixture->error));
        assert_true(file.syntax->is_encapsulated == (i == 0));
        assert_true(dicom_image_describe(&file.dataset, file.syntax, &image, &fixture->error));
        assert_true(dicom_frame_bytes(&fixture->arena, &file.dataset, &image, 0, &frame, &fixture->error));
        size_t len = dicom_image_frame_bytes(&image);
        uint8_t *samples = arena_alloc(&fixture->arena, len);
        values[i] = arena_alloc(&fixture->arena, len);
        assert_true(dicom_frame_decode(&image, frame, samples, len, &fixture->error));
        dicom_frame_modality(&image, samples, -1024, values[i]);
        assert_true(image.intercept == -1000.0);
    }
    assert_memory_equal(values[0], values[1], 512 * 512 * 2);
    int16_t low = 0;
    for (size_t i = 0; i < 512 * 512; i++) {
        low = values[0][i] < low ? values[0][i] : low;
    }
    assert_int_equal(low, -1000);
}

static void rendering(void **state)
{
    struct fixture *fixture = *state;
    struct dicom_image image = { .rows = 4,
                                 .columns = 4,
                                 .frames_count = 1,
                                 .samples_per_pixel = 1,
                                 .bits_allocated = 8,
                                 .bits_stored = 8,
                                 .high_bit = 7,
                                 .slope = 1,
                                 .photometric = DICOM_MONOCHROME2 };
    uint8_t samples[16] = { 0 };
    struct dicom_render render = { .as_png = true };
    struct buf out = { .bytes_max = 1u << 20 };
    samples[5] = 200;
    assert_true(dicom_render_preset(STR("lung"), &render));
    assert_true(render.window_center == -600.0);
    assert_false(dicom_render_preset(STR("nothing"), &render));
    assert_true(dicom_render_frame(&image, samples, STR_NONE, &render, &out, &fixture->error));
    assert_memory_equal(out.at, "\x89PNG", 4);
    buf_clear(&out);
    render.as_png = false;
    render.columns_max = 2;
    assert_true(dicom_render_frame(&image, samples, STR_NONE, &render, &out, &fixture->error));
    assert_memory_equal(out.at, "\xFF\xD8", 2);
    assert_false(dicom_render_frame(&image, samples, STR("short"), &render, &out, &fixture->error));
    image.photometric = DICOM_PHOTOMETRIC_OTHER;
    assert_false(dicom_render_frame(&image, samples, STR_NONE, &render, &out, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_UNSUPPORTED);
    buf_deinit(&out);
}

/* A damaged frame ends its worker (JPEG) or is refused by it (JPEG-LS); the next frame is decoded all the same. */
static void workers_are_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct decode_pool *pool = NULL;
    const struct decode_pool_options options = { .workers_count = 1, .timeout_ms = 3000 };
    struct dicom_image image = { .rows = 4,
                                 .columns = 4,
                                 .frames_count = 1,
                                 .samples_per_pixel = 1,
                                 .bits_allocated = 8,
                                 .bits_stored = 8,
                                 .high_bit = 7,
                                 .slope = 1,
                                 .photometric = DICOM_MONOCHROME2 };
    struct buf out = { .bytes_max = 1u << 20 };
    uint64_t frames = 0;
    uint64_t replaced = 0;
    assert_true(decode_pool_create(&fixture->arena, &options, &pool, &fixture->error));
    assert_true(decode_pool_frame(pool, &image, STR("0123456789abcdef"), &out, &fixture->error));
    assert_true(str_equal(buf_str(&out), STR("0123456789abcdef")));
    image.codec = DICOM_CODEC_JPEG;
    assert_false(decode_pool_frame(pool, &image, STR("\xFF\xD8\xFF\xC0nonsense"), &out, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_STRUCTURE);
    image.codec = DICOM_CODEC_JPEG_LS;
    assert_false(decode_pool_frame(pool, &image, STR("\xFF\xD8\xFF\xF7nonsense"), &out, &fixture->error));
    assert_int_equal(fixture->error.kind, ERROR_STRUCTURE);
    image.codec = DICOM_CODEC_NATIVE;
    buf_clear(&out);
    const struct dicom_render render = { .quality = 90 };
    assert_true(
        decode_pool_render(pool, &image, STR("0123456789abcdef"), STR_NONE, &render, &out, &fixture->error));
    assert_memory_equal(out.at, "\xFF\xD8", 2);
    decode_pool_counts(pool, &frames, &replaced);
    assert_int_equal(frames, 4);
    assert_int_equal(replaced, 1);
    decode_pool_destroy(pool);
    buf_deinit(&out);
}

static void a_hanging_worker_is_ended(void **state)
{
    struct fixture *fixture = *state;
    struct decode_pool *pool = NULL;
    char program[128];
    char self[512];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    (void)snprintf(program, sizeof program, "%s/hang", fixture->folder);
    assert_int_equal(symlink(self, program), 0);
    const struct decode_pool_options options = { .program = program, .workers_count = 1, .timeout_ms = 200 };
    const struct dicom_image image = { .rows = 1,
                                       .columns = 1,
                                       .frames_count = 1,
                                       .samples_per_pixel = 1,
                                       .bits_allocated = 8,
                                       .bits_stored = 8,
                                       .high_bit = 7,
                                       .slope = 1 };
    struct buf out = { .bytes_max = 1024 };
    uint64_t frames = 0;
    uint64_t replaced = 0;
    assert_true(decode_pool_create(&fixture->arena, &options, &pool, &fixture->error));
    assert_false(decode_pool_frame(pool, &image, STR("x"), &out, &fixture->error));
    decode_pool_counts(pool, &frames, &replaced);
    assert_int_equal(replaced, 1);
    decode_pool_destroy(pool);
    buf_deinit(&out);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc == 3 && str_ends_with(str_from_cstr(argv[0]), STR("/hang"))) {
        return pause();
    }
    if (argc == 3 && str_equal_cstr(STR("worker"), argv[1])) {
        return worker_decode_main();
    }
    const struct CMUnitTest tests[] = {
        TEST(reads_a_file),
        TEST(reads_every_syntax_alike),
        TEST(a_cut_file_is_refused),
        TEST(lying_lengths_are_refused),
        TEST(deep_and_many_are_refused),
        TEST(sequences_and_unknowns),
        TEST(numbers_as_json),
        TEST(character_sets),
        TEST(impossible_images),
        TEST(uids_are_checked),
        TEST(modality_values),
        TEST(codecs_give_the_samples_back),
        TEST(the_real_slice_decodes_as_dcmtk_does),
        TEST(rendering),
        TEST(workers_are_replaced),
        TEST(a_hanging_worker_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
