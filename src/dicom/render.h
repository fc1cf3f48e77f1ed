/* render.h — one decoded frame as a picture for people (PS3.18 8.3.5): window, MONOCHROME1 turned, shrunk
 * for weak links, a mask tinted over it. Runs in a worker process (the JPEG writer may end the process). */
#ifndef SHANHAI_DICOM_RENDER_H
#define SHANHAI_DICOM_RENDER_H

#include "base/buf.h"
#include "dicom/pixels.h"

enum { DICOM_OVERLAY_COLORS = 16, DICOM_RENDER_QUALITY = 80, DICOM_RENDER_SIDE_MAX = 8192 };

/* Plain data: travels to the worker as it is. */
struct dicom_render {
    bool has_window;      /* else the file's window, else the range of the frame */
    bool as_png;          /* else JPEG */
    int quality;          /* of JPEG, 1 … 100; 0 means DICOM_RENDER_QUALITY */
    uint32_t columns_max; /* the picture is shrunk to fit, never enlarged; 0 is no limit */
    uint32_t rows_max;
    double window_center;
    double window_width;
    /* Tint of each label of the overlay (0xRRGGBBAA); label 0 is never drawn. */
    uint32_t overlay_colors[DICOM_OVERLAY_COLORS];
};

/* Presets "lung" (-600/1500) and "mediastinum" (40/350), "bone" (480/2500). False for another name. */
bool dicom_render_preset(struct str name, struct dicom_render *render);

/* `samples` as dicom_frame_decode gives them. `overlay` is empty or one label a pixel (rows * columns). */
bool dicom_render_frame(const struct dicom_image *image, const void *samples, struct str overlay,
                        const struct dicom_render *render, struct buf *out, struct error *error) MUST_CHECK;

#endif
