/* dicom_frame_fuzz.c — any bytes as a DICOM file whose frames are decoded here: native, RLE, JPEG-LS, JPEG lossless, as
 * the measurement does it, then its values and its picture's window. JPEG of 8 bits ends its process on an error
 * (codec_jpeg.c) and has a harness of its own. */
#include <assert.h>
#include <stdlib.h>

#include "dicom/pixels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct arena *arena, const struct dicom_file *file, const struct dicom_image *image)
{
    struct error error = { 0 };
    struct str frame;
    size_t len = dicom_image_frame_bytes(image);
    if (image->codec == DICOM_CODEC_JPEG || len > (4u << 20)) {
        return;
    }
    uint8_t *samples = malloc(len);
    int16_t *values = malloc((size_t)image->rows * image->columns * sizeof *values);
    assert(samples != NULL);
    assert(values != NULL);
    for (uint32_t i = 0; i < image->frames_count && i < 3; i++) {
        if (dicom_frame_bytes(arena, &file->dataset, image, i, &frame, &error) &&
            dicom_frame_decode(image, frame, samples, len, &error) && image->samples_per_pixel == 1) {
            dicom_frame_modality(image, samples, -1024, values);
        }
    }
    free(values);
    free(samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct error error = { 0 };
    struct dicom_file file;
    struct dicom_image image;
    if (dicom_read_file(&arena, (struct str){ (const char *)data, size }, NULL, &file, &error) &&
        dicom_image_describe(&file.dataset, file.syntax, &image, &error)) {
        decode(&arena, &file, &image);
    }
    arena_deinit(&arena);
    return 0;
}
