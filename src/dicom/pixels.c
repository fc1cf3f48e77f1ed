#include "dicom/pixels.h"

#include <assert.h>
#include <math.h>

#include "base/limits.h"

static enum dicom_photometric photometric_of(struct arena *arena, const struct dicom_dataset *dataset)
{
    struct str name = dicom_text(arena, dataset, TAG_PHOTOMETRIC);
    if (str_equal(name, STR("MONOCHROME1"))) {
        return DICOM_MONOCHROME1;
    }
    if (str_equal(name, STR("MONOCHROME2"))) {
        return DICOM_MONOCHROME2;
    }
    if (str_equal(name, STR("RGB"))) {
        return DICOM_RGB;
    }
    if (str_equal(name, STR("YBR_FULL"))) {
        return DICOM_YBR_FULL;
    }
    return str_equal(name, STR("YBR_FULL_422")) ? DICOM_YBR_FULL_422 : DICOM_PHOTOMETRIC_OTHER;
}

/* Dimensions and depths are US or nothing: as UL they were how others' frame sizes overflowed. */
static bool describe_matrix(const struct dicom_dataset *dataset, struct dicom_image *image,
                            struct error *error)
{
    uint16_t rows = 0;
    uint16_t columns = 0;
    uint16_t samples = 1;
    uint16_t allocated = 0;
    uint16_t stored = 0;
    uint16_t high_bit = 0;
    uint16_t is_signed = 0;
    uint16_t planar = 0;
    if (!dicom_us(dataset, TAG_ROWS, &rows) || !dicom_us(dataset, TAG_COLUMNS, &columns) || rows == 0 ||
        columns == 0 || !dicom_us(dataset, TAG_BITS_ALLOCATED, &allocated)) {
        return FAIL(error, ERROR_STRUCTURE, "the image has no valid Rows, Columns and Bits Allocated");
    }
    (void)dicom_us(dataset, TAG_SAMPLES_PER_PIXEL, &samples);
    stored = dicom_us(dataset, TAG_BITS_STORED, &stored) ? stored : allocated;
    high_bit = dicom_us(dataset, TAG_HIGH_BIT, &high_bit) ? high_bit : (uint16_t)(stored - 1u);
    (void)dicom_us(dataset, TAG_PIXEL_REPRESENTATION, &is_signed);
    (void)dicom_us(dataset, TAG_PLANAR_CONFIGURATION, &planar);
    if ((allocated != 8 && allocated != 16) || (samples != 1 && samples != 3)) {
        return FAIL(error, ERROR_UNSUPPORTED, "images of %u bits and %u samples a pixel are kept, not shown",
                    (unsigned)allocated, (unsigned)samples);
    }
    if (stored == 0 || stored > allocated || high_bit >= allocated || high_bit + 1 < stored || planar > 1) {
        return FAIL(error, ERROR_STRUCTURE, "Bits Stored, High Bit and Bits Allocated contradict each other");
    }
    image->rows = rows;
    image->columns = columns;
    image->samples_per_pixel = samples;
    image->bits_allocated = allocated;
    image->bits_stored = stored;
    image->high_bit = high_bit;
    image->is_signed = is_signed == 1;
    image->is_planar = planar == 1 && samples > 1;
    if ((uint64_t)rows * columns * samples * (allocated / 8u) > LIMIT_DICOM_FRAME_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "one frame has more than %d bytes", LIMIT_DICOM_FRAME_BYTES);
    }
    return true;
}

static void describe_values(const struct dicom_dataset *dataset, struct dicom_image *image)
{
    double number;
    image->slope = dicom_number(dataset, TAG_RESCALE_SLOPE, &number) && number != 0.0 ? number : 1.0;
    image->intercept = dicom_number(dataset, TAG_RESCALE_INTERCEPT, &number) ? number : 0.0;
    image->has_window = dicom_number(dataset, TAG_WINDOW_CENTER, &image->window_center) &&
                        dicom_number(dataset, TAG_WINDOW_WIDTH, &image->window_width) &&
                        image->window_width >= 1.0;
    image->has_padding =
        dicom_number(dataset, TAG_PIXEL_PADDING, &number) && number >= INT16_MIN && number <= UINT16_MAX;
    image->padding = image->has_padding ? (int32_t)number : 0;
}

bool dicom_image_describe(const struct dicom_dataset *dataset, const struct dicom_syntax *syntax,
                          struct dicom_image *image, struct error *error)
{
    struct dicom_image read = { .codec = syntax->codec, .is_big_endian = dataset->big_endian };
    struct arena arena = { .bytes_max = LIMIT_ARENA_BLOCK_BYTES * 2 };
    double frames = 1.0;
    bool ok = false;
    const struct dicom_element *pixels = dicom_find(dataset, TAG_PIXEL_DATA);
    if (pixels == NULL) {
        (void)FAIL(error, ERROR_NOT_FOUND, "the instance has no pixel data");
        goto done;
    }
    if (!describe_matrix(dataset, &read, error)) {
        goto done;
    }
    if (dicom_number(dataset, TAG_NUMBER_OF_FRAMES, &frames) && (frames < 1.0 || frames > 1e6)) {
        (void)FAIL(error, ERROR_STRUCTURE, "Number of Frames is not between 1 and 1000000");
        goto done;
    }
    if (!pixels->is_encapsulated) {
        read.codec = DICOM_CODEC_NATIVE;
    }
    read.frames_count = (uint32_t)frames;
    read.photometric = photometric_of(&arena, dataset);
    describe_values(dataset, &read);
    *image = read;
    ok = true;
done:
    arena_deinit(&arena);
    return ok;
}

size_t dicom_image_frame_bytes(const struct dicom_image *image)
{
    size_t bytes =
        (size_t)image->rows * image->columns * image->samples_per_pixel * (image->bits_allocated / 8u);
    assert(bytes > 0);
    assert(bytes <= LIMIT_DICOM_FRAME_BYTES);
    return bytes;
}

static struct str join_fragments(struct arena *arena, const struct dicom_item *from,
                                 const struct dicom_item *to)
{
    size_t len = 0;
    if (from != NULL && from->next == to) {
        return from->bytes;
    }
    for (const struct dicom_item *item = from; item != to; item = item->next) {
        len += item->bytes.len; /* slices of one input: the sum cannot overflow */
    }
    char *joined = arena_alloc(arena, len + 1);
    char *at = joined;
    for (const struct dicom_item *item = from; joined != NULL && item != to; item = item->next) {
        memcpy(at, item->bytes.at, item->bytes.len);
        at += item->bytes.len;
    }
    return joined == NULL ? STR_NONE : (struct str){ joined, len };
}

static uint32_t offset_at(struct str table, size_t index)
{
    const uint8_t *at = (const uint8_t *)table.at + index * 4;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The fragment that begins `offset` bytes after the first fragment's item header (PS3.5 A.4), or NULL. */
static const struct dicom_item *fragment_at_offset(const struct dicom_item *first, uint64_t offset)
{
    uint64_t at = 0;
    for (const struct dicom_item *item = first; item != NULL; item = item->next) {
        if (at == offset) {
            return item;
        }
        at += 8u + item->bytes.len;
    }
    return NULL;
}

static bool encapsulated_frame(struct arena *arena, const struct dicom_element *pixels,
                               const struct dicom_image *image, uint32_t index, struct str *out,
                               struct error *error)
{
    const struct dicom_item *first = pixels->items->next;
    const struct dicom_item *from = first;
    const struct dicom_item *to = NULL;
    struct str table = pixels->items->bytes;
    uint32_t fragments_count = 0;
    for (const struct dicom_item *item = first; item != NULL; item = item->next) {
        fragments_count++;
    }
    if (image->frames_count == fragments_count) {
        for (uint32_t i = 0; i < index; i++) {
            from = from->next;
        }
        to = from->next;
    } else if (image->frames_count > 1 && table.len == (size_t)image->frames_count * 4) {
        from = fragment_at_offset(first, offset_at(table, index));
        bool is_last = index + 1 == image->frames_count;
        to = is_last ? NULL : fragment_at_offset(first, offset_at(table, index + 1));
        if (from == NULL || (!is_last && to == NULL) ||
            (!is_last && offset_at(table, index + 1) <= offset_at(table, index))) {
            return FAIL(error, ERROR_STRUCTURE, "the offset table of the pixel data is wrong");
        }
    } else if (image->frames_count > 1) {
        return FAIL(error, ERROR_UNSUPPORTED, "the frames of the pixel data cannot be told apart");
    }
    if (from == NULL) {
        return FAIL(error, ERROR_STRUCTURE, "the pixel data has no fragment");
    }
    struct str frame = join_fragments(arena, from, to);
    if (frame.at == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left for a frame");
    }
    *out = frame;
    return true;
}

bool dicom_frame_bytes(struct arena *arena, const struct dicom_dataset *dataset,
                       const struct dicom_image *image, uint32_t index, struct str *out, struct error *error)
{
    const struct dicom_element *pixels = dicom_find(dataset, TAG_PIXEL_DATA);
    if (pixels == NULL || index >= image->frames_count) {
        return FAIL(error, ERROR_NOT_FOUND, "the instance has no such frame");
    }
    if (pixels->is_encapsulated) {
        return encapsulated_frame(arena, pixels, image, index, out, error);
    }
    uint64_t frame_bytes = dicom_image_frame_bytes(image);
    if ((index + UINT64_C(1)) * frame_bytes > pixels->value.len) {
        return FAIL(error, ERROR_STRUCTURE, "the pixel data is shorter than Rows, Columns and frames say");
    }
    *out = str_slice(pixels->value, (size_t)(index * frame_bytes),
                     (size_t)((index + UINT64_C(1)) * frame_bytes));
    return true;
}

/* Colour by plane (RRR… GGG… BBB…) to colour by pixel. */
static void copy_native(const struct dicom_image *image, struct str frame, uint8_t *out)
{
    size_t pixels = (size_t)image->rows * image->columns;
    size_t bytes = image->bits_allocated / 8u;
    size_t samples = image->samples_per_pixel;
    const uint8_t *in = (const uint8_t *)frame.at;
    if (!image->is_planar) {
        memcpy(out, in, frame.len);
    } else {
        for (size_t sample = 0; sample < samples; sample++) {
            for (size_t i = 0; i < pixels; i++) {
                memcpy(out + (i * samples + sample) * bytes, in + (sample * pixels + i) * bytes, bytes);
            }
        }
    }
    for (size_t i = 0; image->is_big_endian && bytes == 2 && i < frame.len; i += 2) {
        uint8_t high = out[i];
        out[i] = out[i + 1];
        out[i + 1] = high;
    }
}

bool dicom_frame_decode(const struct dicom_image *image, struct str frame, void *out, size_t out_bytes,
                        struct error *error)
{
    assert(out_bytes == dicom_image_frame_bytes(image));
    switch (image->codec) {
    case DICOM_CODEC_NATIVE:
        if (frame.len != out_bytes) {
            return FAIL(error, ERROR_STRUCTURE, "the frame has not the size that Rows and Columns say");
        }
        copy_native(image, frame, out);
        return true;
    case DICOM_CODEC_RLE:
        return codec_rle_decode(image, frame, out, out_bytes, error);
    case DICOM_CODEC_JPEG:
        return codec_jpeg_decode(image, frame, out, out_bytes, error);
    case DICOM_CODEC_JPEG_LS:
        return codec_jpegls_decode(image, frame, out, out_bytes, error);
    case DICOM_CODEC_JPEG_LOSSLESS:
        return codec_jpeg_lossless_decode(image, frame, out, out_bytes, error);
    case DICOM_CODEC_JPEG_2000:
    case DICOM_CODEC_OTHER:
        break;
    }
    return FAIL(error, ERROR_UNSUPPORTED, "images in this compression are kept and sent, not decoded here");
}

static int16_t clamp_int16(double value)
{
    value = value < -32768.0 ? -32768.0 : value > 32767.0 ? 32767.0 : value;
    return (int16_t)lrint(value);
}

void dicom_frame_modality(const struct dicom_image *image, const void *samples, int16_t padding_value,
                          int16_t *out)
{
    assert(image->samples_per_pixel == 1);
    size_t pixels = (size_t)image->rows * image->columns;
    const uint8_t *in = samples;
    unsigned shift = image->high_bit + 1 - image->bits_stored;
    uint32_t mask = (UINT32_C(1) << image->bits_stored) - 1;
    uint32_t sign = image->is_signed ? UINT32_C(1) << (image->bits_stored - 1) : 0;
    /* Nearly every CT has slope 1 and a whole intercept: no floating point in the loop then. */
    bool is_whole =
        image->slope == 1.0 && image->intercept == floor(image->intercept) && fabs(image->intercept) < 1e6;
    int32_t offset = is_whole ? (int32_t)image->intercept : 0;
    for (size_t i = 0; i < pixels; i++) {
        uint32_t raw =
            image->bits_allocated == 8 ? in[i] : (uint32_t)in[2 * i] | (uint32_t)in[2 * i + 1] << 8;
        uint32_t bits = raw >> shift & mask;
        int32_t stored = (int32_t)bits - (int32_t)((bits & sign) << 1);
        int32_t whole = stored + offset;
        if (image->has_padding && stored == image->padding) {
            out[i] = padding_value;
        } else if (is_whole) {
            out[i] = (int16_t)(whole < -32768 ? -32768 : whole > 32767 ? 32767 : whole);
        } else {
            out[i] = clamp_int16(stored * image->slope + image->intercept);
        }
    }
}
