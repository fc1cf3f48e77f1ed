/* codec_jpeg.h — writing JPEG for /rendered. Only in a worker process (see codec_jpeg.c). */
#ifndef SHANHAI_DICOM_CODEC_JPEG_H
#define SHANHAI_DICOM_CODEC_JPEG_H

#include "base/buf.h"
#include "dicom/pixels.h"

enum { CODEC_JPEG_EXIT = 41 };

/* Grey (samples 1) or RGB (samples 3), 8 bits, quality 1 … 100, appended to `out`. */
bool codec_jpeg_encode(const uint8_t *pixels, uint32_t columns, uint32_t rows, unsigned samples, int quality,
                       struct buf *out) MUST_CHECK;

#endif
