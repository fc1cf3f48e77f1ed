#include "lung/lung_mask.h"

#include <assert.h>

#include "base/parse.h"

enum { HEADER_BYTES = 16, VERSION = 1, UID_BYTES = LUNG_UID_BYTES - 1, LABEL_LAST = LUNG_LABEL_EXCLUDED };

const uint32_t lung_overlay_colors[LUNG_OVERLAY_LABELS] = {
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_EMPHYSEMA] = 0x2f6bff70,
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_AERATED] = 0x00000000, /* healthy lung is left as it is */
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_GROUND_GLASS] = 0xffd40080,
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_MIXED] = 0xff8a0080,
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_CONSOLIDATION] = 0xff2a2a80,
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_VESSEL] = 0xc46bff60,
    [LUNG_OVERLAY_CLASS + LUNG_CLASS_EDGE] = 0x00000000,
    [LUNG_OVERLAY_AIRWAY] = 0x36d0d060,
    [LUNG_OVERLAY_EXCLUDED] = 0xa05cff80,
};
static_assert((int)LUNG_OVERLAY_EXCLUDED < (int)LUNG_OVERLAY_LABELS, "a renderer has so many tints");

/* ---- writing ---- */

static void put_u16(struct buf *buf, size_t value)
{
    buf_add_char(buf, (char)(value & 0xff));
    buf_add_char(buf, (char)(value >> 8 & 0xff));
}

static void put_u32(struct buf *buf, size_t value)
{
    put_u16(buf, value & 0xffff);
    put_u16(buf, value >> 16 & 0xffff);
}

static void put_runs(struct buf *buf, const uint8_t *labels, size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        uint64_t eight = labels[i] * UINT64_C(0x0101010101010101);
        uint64_t next = eight;
        while (end + sizeof next <= count && next == eight) { /* most of a slice is one long run */
            memcpy(&next, labels + end, sizeof next);
            end += next == eight ? sizeof next : 0;
        }
        while (end < count && labels[end] == labels[i]) {
            end++;
        }
        buf_add_char(buf, (char)labels[i]);
        size_t length = end - i;
        while (length >= 0x80) {
            buf_add_char(buf, (char)(0x80 | (length & 0x7f)));
            length >>= 7;
        }
        buf_add_char(buf, (char)length);
        i = end;
    }
}

void lung_mask_write(struct buf *buf, const struct lung_volume *volume, const uint8_t *labels,
                     char (*instance_uids)[LUNG_UID_BYTES], size_t slices_joined)
{
    assert(volume->columns <= UINT16_MAX && volume->rows <= UINT16_MAX);
    assert(volume->slices <= UINT16_MAX && slices_joined <= UINT16_MAX);
    size_t plane = volume->columns * volume->rows;
    buf_add(buf, STR("SHLM"));
    put_u16(buf, VERSION);
    put_u16(buf, volume->columns);
    put_u16(buf, volume->rows);
    put_u16(buf, volume->slices);
    put_u16(buf, slices_joined);
    put_u16(buf, 0);
    for (size_t i = 0; i < volume->slices * slices_joined; i++) {
        buf_add(buf, (struct str){ instance_uids[i], UID_BYTES });
    }
    struct buf runs = { .bytes_max = LUNG_MASK_BYTES_MAX };
    for (size_t z = 0; z < volume->slices; z++) {
        put_u32(buf, runs.len);
        put_runs(&runs, labels + z * plane, plane);
    }
    put_u32(buf, runs.len);
    buf_add(buf, buf_str(&runs));
    buf->failed = buf->failed || runs.failed;
    buf_deinit(&runs);
}

/* ---- reading ---- */

static size_t get_u16(struct str bytes, size_t at)
{
    const unsigned char *b = (const unsigned char *)bytes.at + at;
    return (size_t)b[0] | (size_t)b[1] << 8;
}

static size_t get_u32(struct str bytes, size_t at)
{
    return get_u16(bytes, at) | get_u16(bytes, at + 2) << 16;
}

bool lung_mask_open(struct str bytes, struct lung_mask *mask, struct error *error)
{
    if (bytes.len < HEADER_BYTES || memcmp(bytes.at, "SHLM", 4) != 0 || get_u16(bytes, 4) != VERSION) {
        return FAIL(error, ERROR_STRUCTURE, "not a lung mask of version %d", VERSION);
    }
    struct lung_mask read = { .columns = get_u16(bytes, 6),
                              .rows = get_u16(bytes, 8),
                              .slices = get_u16(bytes, 10),
                              .slices_joined = get_u16(bytes, 12) };
    /* Products of 16-bit numbers: no overflow in 64 bits. */
    size_t uids_len = read.slices * read.slices_joined * UID_BYTES;
    size_t offsets_len = (read.slices + 1) * 4;
    if (read.columns == 0 || read.rows == 0 || read.slices == 0 || read.slices_joined == 0 ||
        bytes.len - HEADER_BYTES < uids_len || bytes.len - HEADER_BYTES - uids_len < offsets_len) {
        return FAIL(error, ERROR_STRUCTURE, "the lung mask is cut short");
    }
    read.uids = str_slice(bytes, HEADER_BYTES, HEADER_BYTES + uids_len);
    read.offsets = str_slice(bytes, HEADER_BYTES + uids_len, HEADER_BYTES + uids_len + offsets_len);
    read.runs = str_skip(bytes, HEADER_BYTES + uids_len + offsets_len);
    size_t before = 0;
    for (size_t z = 0; z <= read.slices; z++) {
        size_t offset = get_u32(read.offsets, 4 * z);
        if (offset < before || offset > read.runs.len) {
            return FAIL(error, ERROR_STRUCTURE, "the lung mask has a wrong offset");
        }
        before = offset;
    }
    *mask = read;
    return true;
}

bool lung_mask_find(const struct lung_mask *mask, struct str instance_uid, size_t *slice)
{
    if (instance_uid.len == 0 || instance_uid.len > UID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < mask->slices * mask->slices_joined; i++) {
        const char *uid = mask->uids.at + i * UID_BYTES;
        bool ends = instance_uid.len == UID_BYTES || uid[instance_uid.len] == '\0';
        if (ends && memcmp(uid, instance_uid.at, instance_uid.len) == 0) {
            *slice = i / mask->slices_joined;
            return true;
        }
    }
    return false;
}

bool lung_mask_read_slice(const struct lung_mask *mask, size_t slice, uint8_t *out, struct error *error)
{
    if (slice >= mask->slices) {
        return FAIL(error, ERROR_NOT_FOUND, "the lung mask has no such slice");
    }
    size_t at = get_u32(mask->offsets, 4 * slice);
    size_t end = get_u32(mask->offsets, 4 * slice + 4);
    const unsigned char *runs = (const unsigned char *)mask->runs.at;
    size_t count = mask->columns * mask->rows;
    size_t done = 0;
    while (at < end) {
        uint8_t label = runs[at++];
        size_t length = 0;
        unsigned shift = 0;
        bool more = true;
        while (more && at < end && shift <= 28) {
            length |= (size_t)(runs[at] & 0x7f) << shift;
            more = (runs[at++] & 0x80) != 0;
            shift += 7;
        }
        if (more || label > LABEL_LAST || length == 0 || length > count - done) {
            return FAIL(error, ERROR_STRUCTURE, "the lung mask has a damaged run");
        }
        memset(out + done, label, length);
        done += length;
    }
    return done == count || FAIL(error, ERROR_STRUCTURE, "the lung mask has too few runs");
}

void lung_mask_to_overlay(uint8_t *labels, size_t count)
{
    uint8_t table[256] = { 0 };
    for (uint8_t class = 0; class < LUNG_CLASSES_COUNT; class ++) {
        table[LUNG_LABEL_RIGHT + class] = (uint8_t)(LUNG_OVERLAY_CLASS + class);
        table[LUNG_LABEL_LEFT + class] = (uint8_t)(LUNG_OVERLAY_CLASS + class);
    }
    table[LUNG_LABEL_AIRWAY] = LUNG_OVERLAY_AIRWAY;
    table[LUNG_LABEL_EXCLUDED] = LUNG_OVERLAY_EXCLUDED;
    for (size_t i = 0; i < count; i++) {
        labels[i] = table[labels[i]];
    }
}
