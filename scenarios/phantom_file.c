#include "phantom_file.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/hash.h"

#define CT_IMAGE_STORAGE "1.2.840.10008.5.1.4.1.1.2"
#define EXPLICIT_LITTLE_ENDIAN "1.2.840.10008.1.2.1"
#define IMPLEMENTATION_UID "2.25.314159265358979323846"

enum { UID_STUDY = 1, UID_SERIES, UID_INSTANCE, UID_FRAME, STORED_PADDING = -2000 };

void phantom_uid(char out[65], uint64_t seed, unsigned kind, uint64_t number)
{
    const uint64_t parts[3] = { seed, kind, number };
    uint64_t hash = hash64((struct str){ (const char *)parts, sizeof parts }, 2025);
    (void)snprintf(out, 65, "2.25.%llu", (unsigned long long)(hash | 1));
}

/* ---- elements ---- */

static void put_u16(struct buf *buf, unsigned value)
{
    buf_add_char(buf, (char)(value & 0xff));
    buf_add_char(buf, (char)(value >> 8 & 0xff));
}

static void put_u32(struct buf *buf, uint32_t value)
{
    put_u16(buf, value & 0xffff);
    put_u16(buf, value >> 16);
}

/* PS3.5 7.1.2: short form, values padded to even length (UI with NUL, text with a blank). */
static void put(struct buf *buf, uint32_t tag, const char *vr, const char *text)
{
    size_t len = strlen(text);
    size_t even = len + (len & 1);
    put_u16(buf, tag >> 16);
    put_u16(buf, tag & 0xffff);
    buf_add(buf, (struct str){ vr, 2 });
    put_u16(buf, (unsigned)even);
    buf_add(buf, (struct str){ text, len });
    if (even != len) {
        buf_add_char(buf, strcmp(vr, "UI") == 0 ? '\0' : ' ');
    }
}

static void put_us(struct buf *buf, uint32_t tag, const char *vr, int value)
{
    put_u16(buf, tag >> 16);
    put_u16(buf, tag & 0xffff);
    buf_add(buf, (struct str){ vr, 2 });
    put_u16(buf, 2);
    put_u16(buf, (unsigned)value & 0xffff);
}

static void put_long(struct buf *buf, uint32_t tag, const char *vr, struct str bytes)
{
    put_u16(buf, tag >> 16);
    put_u16(buf, tag & 0xffff);
    buf_add(buf, (struct str){ vr, 2 });
    put_u16(buf, 0);
    put_u32(buf, (uint32_t)bytes.len);
    buf_add(buf, bytes);
}

static void put_numbers(struct buf *buf, uint32_t tag, const double *numbers, size_t count)
{
    char text[128];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.6g", i == 0 ? "" : "\\", numbers[i]);
        assert(len < sizeof text);
    }
    put(buf, tag, "DS", text);
}

static void put_integer(struct buf *buf, uint32_t tag, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", value);
    put(buf, tag, "IS", text);
}

/* ---- modules ---- */

static void put_meta(struct buf *buf, const char *instance_uid)
{
    char *preamble = buf_reserve(buf, 128);
    if (preamble != NULL) {
        memset(preamble, 0, 128);
        buf->len += 128;
    }
    buf_add(buf, STR("DICM"));
    struct buf meta = { .bytes_max = 4096 };
    put_long(&meta, 0x00020001, "OB", (struct str){ "\0\1", 2 });
    put(&meta, 0x00020002, "UI", CT_IMAGE_STORAGE);
    put(&meta, 0x00020003, "UI", instance_uid);
    put(&meta, 0x00020010, "UI", EXPLICIT_LITTLE_ENDIAN);
    put(&meta, 0x00020012, "UI", IMPLEMENTATION_UID);
    put_u16(buf, 0x0002);
    put_u16(buf, 0x0000);
    buf_add(buf, STR("UL"));
    put_u16(buf, 4);
    put_u32(buf, (uint32_t)meta.len);
    buf_add(buf, buf_str(&meta));
    buf_deinit(&meta);
}

static void put_identity(struct buf *buf, const struct phantom_series *series, const char *instance_uid)
{
    put(buf, 0x00080005, "CS", "ISO_IR 192");
    put(buf, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    put(buf, 0x00080016, "UI", CT_IMAGE_STORAGE);
    put(buf, 0x00080018, "UI", instance_uid);
    put(buf, 0x00080020, "DA", series->study_date);
    put(buf, 0x00080030, "TM", "090000");
    put(buf, 0x00080050, "SH", series->accession);
    put(buf, 0x00080060, "CS", "CT");
    put(buf, 0x00080070, "LO", "Shanhai phantom");
    put(buf, 0x00080090, "PN", "");
    put(buf, 0x00081030, "LO", "CHEST CT");
    put(buf, 0x0008103E, "LO", series->description);
    put(buf, 0x00100010, "PN", series->patient_name);
    put(buf, 0x00100020, "LO", series->patient_id);
    put(buf, 0x00100030, "DA", series->patient_birth);
    put(buf, 0x00100040, "CS", series->patient_sex);
}

static void put_geometry(struct buf *buf, const struct phantom *phantom, const struct phantom_series *series,
                         size_t slice)
{
    double angle = phantom->options.tilt_degrees * 3.14159265358979 / 180;
    double orientation[6] = { 1, 0, 0, 0, cos(angle), -sin(angle) };
    double position[3];
    phantom_position(phantom, slice, position);
    if (series->prone) {
        double extent = phantom->options.pixel_mm * ((double)phantom->options.columns - 1);
        for (int i = 0; i < 3; i++) {
            position[i] += extent * (orientation[i] + orientation[3 + i]);
        }
        for (int i = 0; i < 6; i++) {
            orientation[i] = -orientation[i];
        }
    }
    put_numbers(buf, 0x00200032, position, 3);
    put_numbers(buf, 0x00200037, orientation, 6);
}

static void put_image(struct buf *buf, const struct phantom *phantom, const struct phantom_series *series)
{
    const double spacing[2] = { phantom->options.pixel_mm, phantom->options.pixel_mm };
    const double slope = 1;
    int columns = (int)phantom->options.columns;
    put_us(buf, 0x00280002, "US", 1);
    put(buf, 0x00280004, "CS", "MONOCHROME2");
    put_us(buf, 0x00280010, "US", columns);
    put_us(buf, 0x00280011, "US", columns);
    put_numbers(buf, 0x00280030, spacing, 2);
    put_us(buf, 0x00280100, "US", 16);
    put_us(buf, 0x00280101, "US", series->is_signed ? 16 : 12);
    put_us(buf, 0x00280102, "US", series->is_signed ? 15 : 11);
    put_us(buf, 0x00280103, "US", series->is_signed);
    if (series->padding) {
        put_us(buf, 0x00280120, "SS", STORED_PADDING);
    }
    put(buf, 0x00281050, "DS", "-600");
    put(buf, 0x00281051, "DS", "1500");
    put_numbers(buf, 0x00281052, &series->intercept, 1);
    put_numbers(buf, 0x00281053, &slope, 1);
}

/* HU → stored values, in place. */
static void store_pixels(const struct phantom *phantom, const struct phantom_series *series, int16_t *hu)
{
    size_t side = phantom->options.columns;
    size_t count = side * side;
    int intercept = (int)series->intercept;
    int low = series->is_signed ? INT16_MIN : 0;
    int high = series->is_signed ? INT16_MAX : 4095;
    for (size_t i = 0; i < count; i++) {
        int value = hu[i] - intercept;
        hu[i] = (int16_t)(value < low ? low : value > high ? high : value);
        double dx = (double)(i % side) - (double)side / 2;
        double dy = (double)(i / side) - (double)side / 2;
        if (series->padding && dx * dx + dy * dy > (double)(side * side) / 4) {
            hu[i] = STORED_PADDING;
        }
    }
    for (size_t i = 0; series->prone && i < count / 2; i++) {
        int16_t other = hu[count - 1 - i];
        hu[count - 1 - i] = hu[i];
        hu[i] = other;
    }
}

void phantom_file_write(const struct phantom *phantom, const struct phantom_series *series, size_t slice,
                        unsigned series_key, unsigned instance, int16_t *hu, struct buf *buf)
{
    const struct phantom_options *options = &phantom->options;
    char uid[65];
    char study[65];
    char series_uid[65];
    char frame[65];
    phantom_uid(uid, options->seed, UID_INSTANCE + 16 * series_key, instance);
    phantom_uid(study, options->seed, UID_STUDY, 0);
    phantom_uid(series_uid, options->seed, UID_SERIES, series->number);
    phantom_uid(frame, options->seed, UID_FRAME, 0);
    buf_clear(buf);
    put_meta(buf, uid);
    put_identity(buf, series, uid);
    if (series->contrast) {
        put(buf, 0x00180010, "LO", "Iohexol 350");
    }
    put(buf, 0x00180015, "CS", "CHEST");
    put_numbers(buf, 0x00180050, &series->thickness_mm, 1);
    put(buf, 0x00180060, "DS", "120");
    put_numbers(buf, 0x00181120, &options->tilt_degrees, 1);
    put(buf, 0x00181210, "SH", series->kernel);
    put(buf, 0x00185100, "CS", series->prone ? "HFP" : "HFS");
    put(buf, 0x0020000D, "UI", study);
    put(buf, 0x0020000E, "UI", series_uid);
    put(buf, 0x00200010, "SH", "1");
    put_integer(buf, 0x00200011, series->number);
    put_integer(buf, 0x00200013, instance);
    put_geometry(buf, phantom, series, slice);
    put(buf, 0x00200052, "UI", frame);
    put_image(buf, phantom, series);
    store_pixels(phantom, series, hu);
    put_long(buf, 0x7FE00010, "OW",
             (struct str){ (const char *)hu, options->columns * options->columns * sizeof *hu });
}
