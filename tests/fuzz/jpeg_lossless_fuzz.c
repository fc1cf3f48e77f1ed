/* jpeg_lossless_fuzz.c — a lossless JPEG frame (ITU T.81 process 14). */
#include "frame_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FRAME_AT) {
        return 0;
    }
    struct error error = { 0 };
    struct dicom_image image = frame_image(data, DICOM_CODEC_JPEG_LOSSLESS);
    if (!frame_decode(&image, codec_jpeg_lossless_decode, data, size, &error)) {
        assert(error.kind == ERROR_STRUCTURE);
    }
    return 0;
}
