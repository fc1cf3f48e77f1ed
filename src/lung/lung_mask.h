/* lung_mask.h — the labelled mask of a measurement as a compact blob for overlays: runs a slice, with the SOP
 * Instance UIDs inside, so that a picture finds its slice. The format is in docs/modules/lung.md. Reading does
 * not trust the bytes. Any thread; views point into the caller's bytes. */
#ifndef SHANHAI_LUNG_LUNG_MASK_H
#define SHANHAI_LUNG_LUNG_MASK_H

#include "base/buf.h"
#include "lung/lung.h"

#define LUNG_MASK_MEDIA_TYPE "application/x-shanhai-lung-mask"
enum { LUNG_MASK_BYTES_MAX = 256 * 1024 * 1024, LUNG_OVERLAY_LABELS = 16 };

/* What a picture shows: both sides alike. Tints (0xRRGGBBAA): lung_overlay_colors[]. */
enum lung_overlay {
    LUNG_OVERLAY_NONE = 0,
    LUNG_OVERLAY_CLASS = 1, /* + enum lung_class */
    LUNG_OVERLAY_AIRWAY = LUNG_OVERLAY_CLASS + LUNG_CLASSES_COUNT,
    LUNG_OVERLAY_EXCLUDED
};
extern const uint32_t lung_overlay_colors[LUNG_OVERLAY_LABELS];

struct lung_mask {
    size_t columns;
    size_t rows;
    size_t slices;
    size_t slices_joined; /* instances that share a slice */
    struct str uids;      /* LUNG_UID_BYTES - 1 bytes each, NUL-padded, from feet to head */
    struct str offsets;   /* slices + 1 numbers of 32 bits */
    struct str runs;
};

/* Appends the blob. instance_uids has slices * slices_joined rows. Failure shows in buf->failed. */
void lung_mask_write(struct buf *buf, const struct lung_volume *volume, const uint8_t *labels,
                     char (*instance_uids)[LUNG_UID_BYTES], size_t slices_joined);

/* Opens a blob: checks sizes and offsets (ERROR_STRUCTURE). */
bool lung_mask_open(struct str bytes, struct lung_mask *mask, struct error *error) MUST_CHECK;

/* Slice of an instance; false when the instance was not measured. */
bool lung_mask_find(const struct lung_mask *mask, struct str instance_uid, size_t *slice);

/* Labels of one slice (enum lung_label, columns * rows bytes into `out`); ERROR_STRUCTURE for damaged runs. */
bool lung_mask_read_slice(const struct lung_mask *mask, size_t slice, uint8_t *out,
                          struct error *error) MUST_CHECK;

/* enum lung_label → enum lung_overlay, in place. */
void lung_mask_to_overlay(uint8_t *labels, size_t count);

#endif
