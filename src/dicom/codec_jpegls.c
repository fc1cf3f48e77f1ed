/* codec_jpegls.c — JPEG-LS lossless and near-lossless (PS3.5 8.2.3) by CharLS; the only file that
 * includes its header. */
#include "dicom/pixels.h"

#include <charls/charls.h>

#include "base/buf.h"
#include "base/limits.h"

static bool header_fits(const charls_frame_info *info, const struct dicom_image *image)
{
    int32_t bits = info->bits_per_sample;
    return info->width == image->columns && info->height == image->rows &&
           info->component_count == (int32_t)image->samples_per_pixel && bits >= 2 &&
           bits <= (int32_t)image->bits_allocated;
}

/* CharLS gives one byte a sample up to 8 bits and planes when the scans were not interleaved. */
static void place(const struct dicom_image *image, const uint8_t *in, size_t in_bytes, bool is_planar,
                  uint8_t *out)
{
    size_t pixels = (size_t)image->rows * image->columns;
    size_t samples = image->samples_per_pixel;
    size_t bytes = image->bits_allocated / 8u;
    for (size_t sample = 0; sample < samples; sample++) {
        for (size_t i = 0; i < pixels; i++) {
            size_t from = is_planar ? sample * pixels + i : i * samples + sample;
            uint8_t *to = out + (i * samples + sample) * bytes;
            to[0] = in[from * in_bytes];
            if (bytes == 2) {
                to[1] = in_bytes == 2 ? in[from * 2 + 1] : 0;
            }
        }
    }
}

static bool decode(charls_jpegls_decoder *decoder, const struct dicom_image *image, uint8_t *out,
                   size_t out_bytes, struct error *error)
{
    charls_frame_info info;
    charls_interleave_mode mode;
    size_t size = 0;
    struct buf buf = { .bytes_max = LIMIT_DICOM_FRAME_BYTES };
    bool ok = false;
    if (charls_jpegls_decoder_read_header(decoder) != CHARLS_JPEGLS_ERRC_SUCCESS ||
        charls_jpegls_decoder_get_frame_info(decoder, &info) != CHARLS_JPEGLS_ERRC_SUCCESS ||
        charls_jpegls_decoder_get_interleave_mode(decoder, &mode) != CHARLS_JPEGLS_ERRC_SUCCESS ||
        charls_jpegls_decoder_get_destination_size(decoder, 0, &size) != CHARLS_JPEGLS_ERRC_SUCCESS) {
        return FAIL(error, ERROR_STRUCTURE, "the JPEG-LS frame has no readable header");
    }
    size_t in_bytes = info.bits_per_sample > 8 ? 2 : 1;
    size_t expected = (size_t)image->rows * image->columns * image->samples_per_pixel * in_bytes;
    if (!header_fits(&info, image) || size != expected) {
        return FAIL(error, ERROR_STRUCTURE, "the JPEG-LS frame does not fit the image");
    }
    bool is_planar = mode == CHARLS_INTERLEAVE_MODE_NONE && image->samples_per_pixel > 1;
    bool is_direct = size == out_bytes && !is_planar;
    void *to = is_direct ? (void *)out : buf_reserve(&buf, size);
    if (to == NULL) {
        (void)FAIL(error, ERROR_TOO_LARGE, "no memory left to decode a frame");
        goto done;
    }
    if (charls_jpegls_decoder_decode_to_buffer(decoder, to, size, 0) != CHARLS_JPEGLS_ERRC_SUCCESS) {
        (void)FAIL(error, ERROR_STRUCTURE, "the JPEG-LS frame is damaged");
        goto done;
    }
    if (!is_direct) {
        place(image, to, in_bytes, is_planar, out);
    }
    ok = true;
done:
    buf_deinit(&buf);
    return ok;
}

/* ISO/IEC 14495-1 annex C: a stream ends with EOI (DICOM may pad it to an even length). CharLS spends minutes on
 * one that does not. */
static bool has_end(struct str frame)
{
    while (frame.len > 0 && frame.at[frame.len - 1] == '\0') {
        frame.len--;
    }
    return str_ends_with(frame, STR("\xff\xd9"));
}

bool codec_jpegls_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                         struct error *error)
{
    charls_jpegls_decoder *decoder = charls_jpegls_decoder_create();
    if (decoder == NULL) {
        return FAIL(error, ERROR_INTERNAL, "no JPEG-LS decoder");
    }
    bool ok = false;
    if (!has_end(frame)) {
        (void)FAIL(error, ERROR_STRUCTURE, "the JPEG-LS frame is cut short");
    } else if (charls_jpegls_decoder_set_source_buffer(decoder, frame.at, frame.len) !=
               CHARLS_JPEGLS_ERRC_SUCCESS) {
        (void)FAIL(error, ERROR_STRUCTURE, "the JPEG-LS frame is empty");
    } else {
        ok = decode(decoder, image, out, out_bytes, error);
    }
    charls_jpegls_decoder_destroy(decoder);
    return ok;
}
