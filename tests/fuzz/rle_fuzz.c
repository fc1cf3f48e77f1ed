/* rle_fuzz.c — an RLE frame (PS3.5 annex G). */
#include "frame_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FRAME_AT) {
        return 0;
    }
    struct error error = { 0 };
    struct dicom_image image = frame_image(data, DICOM_CODEC_RLE);
    if (!frame_decode(&image, codec_rle_decode, data, size, &error)) {
        assert(error.kind == ERROR_STRUCTURE);
    }
    return 0;
}
