/* frame_fuzz.h — for the harnesses of the decoders: the first FRAME_AT bytes choose the image, the rest is its frame. */
#ifndef SHANHAI_FUZZ_FRAME_FUZZ_H
#define SHANHAI_FUZZ_FRAME_FUZZ_H

#include <assert.h>
#include <stdlib.h>

#include "dicom/pixels.h"

enum { FRAME_AT = 4 };

static inline struct dicom_image frame_image(const uint8_t *data, enum dicom_codec codec)
{
    struct dicom_image image = { .rows = data[0] + 1u,
                                 .columns = data[1] + 1u,
                                 .frames_count = 1,
                                 .samples_per_pixel = (data[2] & 1) != 0 ? 3 : 1,
                                 .bits_allocated = (data[2] & 2) != 0 ? 16 : 8,
                                 .codec = codec };
    image.bits_stored = image.bits_allocated;
    image.high_bit = image.bits_stored - 1;
    return image;
}

typedef bool frame_decoder(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                           struct error *error);

/* Decodes into a buffer of just the size that a frame has; whether it was one. */
static inline bool frame_decode(const struct dicom_image *image, frame_decoder *decode, const uint8_t *data,
                                size_t size, struct error *error)
{
    size_t len = dicom_image_frame_bytes(image);
    uint8_t *out = malloc(len);
    assert(out != NULL);
    bool ok = decode(image, (struct str){ (const char *)data + FRAME_AT, size - FRAME_AT }, out, len, error);
    free(out);
    return ok;
}

#endif
