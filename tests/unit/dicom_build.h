/* dicom_build.h — data sets for tests, written element by element: right or wrong as the test wants. */
#ifndef SHANHAI_TESTS_DICOM_BUILD_H
#define SHANHAI_TESTS_DICOM_BUILD_H

#include <stdint.h>

#include "base/buf.h"
#include "dicom/dictionary.h"

struct build {
    struct buf buf;
    bool is_implicit;
};

static inline void build_number(struct build *build, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        buf_add_char(&build->buf, (char)(uint8_t)(value >> (8 * i)));
    }
}

static inline void build_tag(struct build *build, uint32_t tag)
{
    build_number(build, tag >> 16, 2);
    build_number(build, tag & 0xFFFFu, 2);
}

/* Header with any length, also a false one. */
static inline void build_header(struct build *build, uint32_t tag, const char *vr, uint32_t length)
{
    build_tag(build, tag);
    if (vr == NULL || build->is_implicit) {
        build_number(build, length, 4);
        return;
    }
    buf_add(&build->buf, (struct str){ vr, 2 });
    if (vr_has_long_length(DICOM_VR(vr[0], vr[1]))) {
        build_number(build, 0, 2);
        build_number(build, length, 4);
    } else {
        build_number(build, length, 2);
    }
}

static inline void build_bytes(struct build *build, uint32_t tag, const char *vr, struct str value)
{
    build_header(build, tag, vr, (uint32_t)(value.len + value.len % 2));
    buf_add(&build->buf, value);
    if (value.len % 2 == 1) {
        buf_add_char(&build->buf, vr[0] == 'U' && vr[1] == 'I' ? '\0' : ' ');
    }
}

static inline void build_text(struct build *build, uint32_t tag, const char *vr, const char *text)
{
    build_bytes(build, tag, vr, str_from_cstr(text));
}

static inline void build_us(struct build *build, uint32_t tag, uint16_t value)
{
    build_header(build, tag, "US", 2);
    build_number(build, value, 2);
}

/* Preamble and meta information of a Part 10 file. */
static inline void build_meta(struct build *build, const char *syntax, const char *class_uid,
                              const char *sop_uid)
{
    for (unsigned i = 0; i < 128; i++) {
        buf_add_char(&build->buf, '\0');
    }
    buf_add(&build->buf, STR("DICM"));
    struct build group = { .buf = { .bytes_max = 4096 } };
    build_bytes(&group, 0x00020001u, "OB", STR("\0\1"));
    build_text(&group, 0x00020002u, "UI", class_uid);
    build_text(&group, 0x00020003u, "UI", sop_uid);
    build_text(&group, 0x00020010u, "UI", syntax);
    build_text(&group, 0x00020012u, "UI", "2.25.1");
    build_header(build, 0x00020000u, "UL", 4);
    build_number(build, group.buf.len, 4);
    buf_add(&build->buf, buf_str(&group.buf));
    buf_deinit(&group.buf);
}

struct build_image {
    const char *study;
    const char *series;
    const char *sop;
    uint16_t rows;
    uint16_t columns;
    uint16_t bits; /* 8 or 16 */
    uint16_t number;
};

/* A small CT slice whose sample i is (i * 7 + number) cut to 12 or 8 bits. */
static inline void build_ct(struct build *build, const struct build_image *image)
{
    build_text(build, 0x00080005u, "CS", "ISO_IR 192");
    build_text(build, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
    build_text(build, 0x00080018u, "UI", image->sop);
    build_text(build, 0x00080020u, "DA", "20261101");
    build_text(build, 0x00080030u, "TM", "081500");
    build_text(build, 0x00080050u, "SH", "A1001");
    build_text(build, 0x00080060u, "CS", "CT");
    build_text(build, 0x00081030u, "LO", "\xE8\x83\xB8\xE9\x83\xA8\xE5\xB9\xB3\xE6\x89\xAB");
    build_text(build, 0x00100010u, "PN", "Wang^XiaoDong=\xE7\x8E\x8B^\xE5\xB0\x8F\xE4\xB8\x9C");
    build_text(build, 0x00100020u, "LO", "P0001");
    build_text(build, 0x00100030u, "DA", "19620308");
    build_text(build, 0x00100040u, "CS", "M");
    build_text(build, 0x0020000Du, "UI", image->study);
    build_text(build, 0x0020000Eu, "UI", image->series);
    build_text(build, 0x00200011u, "IS", "2");
    char text[16];
    (void)snprintf(text, sizeof text, "%u", (unsigned)image->number);
    build_text(build, 0x00200013u, "IS", text);
    build_us(build, 0x00280002u, 1);
    build_text(build, 0x00280004u, "CS", "MONOCHROME2");
    build_us(build, 0x00280010u, image->rows);
    build_us(build, 0x00280011u, image->columns);
    build_us(build, 0x00280100u, image->bits);
    build_us(build, 0x00280101u, image->bits == 16 ? 12 : 8);
    build_us(build, 0x00280102u, image->bits == 16 ? 11 : 7);
    build_us(build, 0x00280103u, 0);
    build_text(build, 0x00281052u, "DS", "-1024");
    build_text(build, 0x00281053u, "DS", "1");
    uint32_t samples = (uint32_t)image->rows * image->columns;
    build_header(build, 0x7FE00010u, "OW", samples * (image->bits / 8u));
    for (uint32_t i = 0; i < samples; i++) {
        uint32_t sample = i * 7 + image->number;
        build_number(build, image->bits == 16 ? sample % 4096 : sample % 256, image->bits / 8u);
    }
}

#endif
