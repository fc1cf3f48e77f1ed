/* pixels.h — from a data set to samples: what the image module says (PS3.3 C.7.6.3), the bytes of one
 * frame, decoding, and the modality transform (C.11.1).
 *
 * Decoding here is DIRECT, in this process: only a worker process (worker.h, the CT measurement) may call
 * dicom_frame_decode on bytes from outside; a codec library may end the process on hostile input. The
 * server asks decode_pool_* of worker.h. */
#ifndef SHANHAI_DICOM_PIXELS_H
#define SHANHAI_DICOM_PIXELS_H

#include "dicom/dataset.h"

enum dicom_photometric {
    DICOM_MONOCHROME1,
    DICOM_MONOCHROME2,
    DICOM_RGB,
    DICOM_YBR_FULL,
    DICOM_YBR_FULL_422,
    DICOM_PHOTOMETRIC_OTHER, /* palette, YBR_ICT …: stored and served, not rendered */
};

/* Plain data: travels to the worker as it is. */
struct dicom_image {
    uint32_t rows; /* 1 … 65535 */
    uint32_t columns;
    uint32_t frames_count;      /* at least 1 */
    uint32_t samples_per_pixel; /* 1 or 3 */
    uint32_t bits_allocated;    /* 8 or 16 */
    uint32_t bits_stored;       /* 1 … bits_allocated */
    uint32_t high_bit;
    enum dicom_photometric photometric;
    enum dicom_codec codec;
    bool is_big_endian;
    bool is_signed;
    bool is_planar; /* Planar Configuration 1 */
    bool has_window;
    bool has_padding;
    int32_t padding;      /* Pixel Padding Value as a stored value */
    double slope;         /* rescale, 1 when absent */
    double intercept;     /* 0 when absent */
    double window_center; /* the file's first window */
    double window_width;
};

/* Checks and describes. ERROR_UNSUPPORTED for what we do not decode (bits 1 or 32, other samples),
 * ERROR_STRUCTURE for impossible dimensions or depths, ERROR_NOT_FOUND without pixel data. */
bool dicom_image_describe(const struct dicom_dataset *dataset, const struct dicom_syntax *syntax,
                          struct dicom_image *image, struct error *error) MUST_CHECK;

/* Bytes of one decoded frame: rows * columns * samples * bits_allocated / 8. */
size_t dicom_image_frame_bytes(const struct dicom_image *image);

/* Stored bytes of frame `index` (from 0): a slice of native pixel data, or the frame's fragments (joined in
 * the arena when there are several). ERROR_NOT_FOUND beyond the last frame. */
bool dicom_frame_bytes(struct arena *arena, const struct dicom_dataset *dataset,
                       const struct dicom_image *image, uint32_t index, struct str *out,
                       struct error *error) MUST_CHECK;

/* Decodes to little endian, native samples of bits_allocated, colour by pixel; `out` has
 * dicom_image_frame_bytes. Native frames are copied (and swapped). Direct: see above. */
bool dicom_frame_decode(const struct dicom_image *image, struct str frame, void *out, size_t out_bytes,
                        struct error *error) MUST_CHECK;

/* Decoded samples of one grey frame → modality values (HU for CT): bits above and below the stored ones
 * are cut off, the sign extended, slope and intercept applied, rounded and clamped to int16. Padding gives
 * `padding_value`. */
void dicom_frame_modality(const struct dicom_image *image, const void *samples, int16_t padding_value,
                          int16_t *out);

/* One codec each; `out` is filled whole or the call fails. */
bool codec_rle_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                      struct error *error) MUST_CHECK;
bool codec_jpegls_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                         struct error *error) MUST_CHECK;
bool codec_jpeg_lossless_decode(const struct dicom_image *image, struct str frame, uint8_t *out,
                                size_t out_bytes, struct error *error) MUST_CHECK;
bool codec_jpeg_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                       struct error *error) MUST_CHECK;

#endif
