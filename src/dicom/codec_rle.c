/* codec_rle.c — RLE compression (PS3.5 annex G): a header with the number of segments and their offsets,
 * then one PackBits segment for each byte plane, the most significant first, colours one after another. */
#include "dicom/pixels.h"

enum { HEADER_BYTES = 64, SEGMENTS_MAX = 15 };

static uint32_t little_endian_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* One byte plane to every `step`-th byte of out. False when the segment ends early or overruns. */
static bool decode_segment(const uint8_t *in, size_t in_len, uint8_t *out, size_t count, size_t step)
{
    size_t at = 0;
    size_t done = 0;
    while (done < count) {
        if (at >= in_len) {
            return false;
        }
        uint8_t control = in[at++];
        if (control == 128) {
            continue; /* G.3.1: no operation */
        }
        size_t run = control < 128 ? control + 1u : 257u - control;
        size_t need = control < 128 ? run : 1;
        if (need > in_len - at) {
            return false;
        }
        run = run > count - done ? count - done : run; /* padding of the last run is dropped */
        for (size_t i = 0; i < run; i++) {
            out[(done + i) * step] = in[control < 128 ? at + i : at];
        }
        at += need;
        done += run;
    }
    return true;
}

bool codec_rle_decode(const struct dicom_image *image, struct str frame, uint8_t *out, size_t out_bytes,
                      struct error *error)
{
    size_t bytes = image->bits_allocated / 8u;
    size_t pixels = (size_t)image->rows * image->columns;
    size_t segments = image->samples_per_pixel * bytes;
    const uint8_t *in = (const uint8_t *)frame.at;
    if (frame.len < HEADER_BYTES || little_endian_at(in) != segments || segments > SEGMENTS_MAX ||
        out_bytes != pixels * segments) {
        return FAIL(error, ERROR_STRUCTURE, "the RLE header does not fit the image");
    }
    for (size_t i = 0; i < segments; i++) {
        size_t from = little_endian_at(in + 4 + 4 * i);
        size_t to = i + 1 < segments ? little_endian_at(in + 8 + 4 * i) : frame.len;
        if (from < HEADER_BYTES || from > to || to > frame.len) {
            return FAIL(error, ERROR_STRUCTURE, "an RLE segment lies outside the frame");
        }
        size_t sample = i / bytes;
        size_t byte = bytes - 1 - i % bytes;
        if (!decode_segment(in + from, to - from, out + sample * bytes + byte, pixels, segments)) {
            return FAIL(error, ERROR_STRUCTURE, "an RLE segment is cut short");
        }
    }
    return true;
}
