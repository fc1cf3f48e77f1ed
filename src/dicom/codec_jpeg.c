/* codec_jpeg.c — JPEG of 8 bits (PS3.5 8.2.1) by libjpeg-turbo, both ways; the only file that includes
 * its header. The library reports an error by a function that must not return, and we do not use
 * longjmp: the process ends with CODEC_JPEG_EXIT. So this code runs only in a worker process, whose end
 * is an error for that one frame (worker.h). */
#include "dicom/codec_jpeg.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jpeglib.h>

static void exit_worker(j_common_ptr info)
{
    (void)info;
    _exit(CODEC_JPEG_EXIT);
}

static void say_nothing(j_common_ptr info)
{
    (void)info;
}

static void set_errors(struct jpeg_error_mgr *errors)
{
    (void)jpeg_std_error(errors);
    errors->error_exit = exit_worker;
    errors->output_message = say_nothing;
}

static bool header_fits(const struct jpeg_decompress_struct *info, const struct dicom_image *image)
{
    return info->image_width == image->columns && info->image_height == image->rows &&
           info->num_components == (int)image->samples_per_pixel && info->data_precision == 8;
}

static void read_rows(struct jpeg_decompress_struct *info, const struct dicom_image *image, uint8_t *out)
{
    size_t row_bytes = (size_t)image->columns * image->samples_per_pixel;
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = out + (size_t)info->output_scanline * row_bytes;
        (void)jpeg_read_scanlines(info, &row, 1);
    }
}

/* Samples of 8 bits in 16 allocated: spread from the end, in place. */
static void widen(uint8_t *out, size_t samples)
{
    for (size_t i = samples; i-- > 0;) {
        out[2 * i] = out[i];
        out[2 * i + 1] = 0;
    }
}

bool codec_jpeg_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                       struct error *error)
{
    struct jpeg_decompress_struct info = { 0 };
    struct jpeg_error_mgr errors;
    bool ok = false;
    size_t samples = (size_t)image->rows * image->columns * image->samples_per_pixel;
    if (frame.len < 4 || out_bytes < samples) {
        return FAIL(error, ERROR_STRUCTURE, "the JPEG frame is empty");
    }
    set_errors(&errors);
    info.err = &errors;
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, (const unsigned char *)frame.at, (unsigned long)frame.len);
    (void)jpeg_read_header(&info, TRUE);
    if (!header_fits(&info, image)) {
        (void)FAIL(error, ERROR_STRUCTURE, "the JPEG frame does not fit the image, or is not of 8 bits");
        goto done;
    }
    if (image->samples_per_pixel == 3) {
        /* Without an Adobe marker the library takes three components for YCbCr. */
        bool is_rgb = image->photometric == DICOM_RGB && info.saw_Adobe_marker == FALSE;
        info.jpeg_color_space = is_rgb ? JCS_RGB : info.jpeg_color_space;
        info.out_color_space = JCS_RGB;
    }
    (void)jpeg_start_decompress(&info);
    read_rows(&info, image, out);
    (void)jpeg_finish_decompress(&info);
    if (errors.num_warnings > 0) {
        (void)FAIL(error, ERROR_STRUCTURE, "the JPEG frame is damaged");
        goto done;
    }
    if (image->bits_allocated == 16) {
        widen(out, samples);
    }
    ok = true;
done:
    jpeg_destroy_decompress(&info);
    return ok;
}

bool codec_jpeg_encode(const uint8_t *pixels, uint32_t columns, uint32_t rows, unsigned samples, int quality,
                       struct buf *out)
{
    struct jpeg_compress_struct info = { 0 };
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long bytes_len = 0;
    set_errors(&errors);
    info.err = &errors;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &bytes_len);
    info.image_width = columns;
    info.image_height = rows;
    info.input_components = (int)samples;
    info.in_color_space = samples == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)info.next_scanline * columns * samples);
        (void)jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    buf_add(out, (struct str){ (const char *)bytes, bytes_len });
    free(bytes); /* the library's own memory */
    return !out->failed;
}
