/* jpegls_fuzz.c — a JPEG-LS frame; the library says in its own words what is wrong with it. */
#include "frame_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FRAME_AT) {
        return 0;
    }
    struct error error = { 0 };
    struct dicom_image image = frame_image(data, DICOM_CODEC_JPEG_LS);
    (void)frame_decode(&image, codec_jpegls_decode, data, size, &error);
    return 0;
}
