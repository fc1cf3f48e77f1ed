/* jpegls_fuzz.c — the first bytes choose the image, the rest is its JPEG-LS frame. */
#include <assert.h>
#include <stdlib.h>

#include "dicom/pixels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    struct dicom_image image = { .rows = data[0] + 1u,
                                 .columns = data[1] + 1u,
                                 .frames_count = 1,
                                 .samples_per_pixel = (data[2] & 1) != 0 ? 3 : 1,
                                 .bits_allocated = (data[2] & 2) != 0 ? 16 : 8,
                                 .codec = DICOM_CODEC_JPEG_LS };
    image.bits_stored = image.bits_allocated;
    image.high_bit = image.bits_stored - 1;
    size_t len = dicom_image_frame_bytes(&image);
    uint8_t *out = malloc(len);
    struct error error = { 0 };
    assert(out != NULL);
    (void)!codec_jpegls_decode(&image, (struct str){ (const char *)data + 4, size - 4 }, out, len, &error);
    free(out);
    return 0;
}
