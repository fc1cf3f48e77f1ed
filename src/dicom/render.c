#include "dicom/render.h"

#include <assert.h>
#include <math.h>

#include <png.h>

#include "base/limits.h"
#include "dicom/codec_jpeg.h"

struct picture {
    uint8_t *at; /* grey or RGB, 8 bits */
    uint32_t columns;
    uint32_t rows;
    unsigned samples;
};

bool dicom_render_preset(struct str name, struct dicom_render *render)
{
    static const struct {
        const char *name;
        double center;
        double width;
    } presets[] = { { "lung", -600, 1500 }, { "mediastinum", 40, 350 }, { "bone", 480, 2500 } };
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (str_equal_cstr(name, presets[i].name)) {
            render->has_window = true;
            render->window_center = presets[i].center;
            render->window_width = presets[i].width;
            return true;
        }
    }
    return false;
}

static void range_of(const int16_t *values, size_t count, double *center, double *width)
{
    int16_t low = INT16_MAX;
    int16_t high = INT16_MIN;
    for (size_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    *center = (low + high) / 2.0 + 0.5;
    *width = high - low < 1 ? 1.0 : high - low + 1.0;
}

/* PS3.3 C.11.2.1.2.1: the linear window over every value that an int16 can have. */
static void fill_lut(uint8_t lut[65536], double center, double width, bool is_inverse)
{
    for (int32_t value = -32768; value <= 32767; value++) {
        double y = width <= 1.0 ? (value <= center - 0.5 ? 0.0 : 1.0)
                                : (value - (center - 0.5)) / (width - 1.0) + 0.5;
        y = y < 0.0 ? 0.0 : y > 1.0 ? 1.0 : y;
        uint8_t grey = (uint8_t)lrint(y * 255.0);
        lut[value + 32768] = is_inverse ? (uint8_t)(255 - grey) : grey;
    }
}

static bool grey_of(const struct dicom_image *image, const void *samples, const struct dicom_render *render,
                    uint8_t *out)
{
    size_t pixels = (size_t)image->rows * image->columns;
    struct buf buf = { .bytes_max = pixels * sizeof(int16_t) + 65536 };
    int16_t *values = (int16_t *)(void *)buf_reserve(&buf, pixels * sizeof(int16_t) + 65536);
    if (values == NULL) {
        return false;
    }
    uint8_t *lut = (uint8_t *)values + pixels * sizeof(int16_t);
    double center = render->has_window ? render->window_center : image->window_center;
    double width = render->has_window ? render->window_width : image->window_width;
    dicom_frame_modality(image, samples, -32768, values);
    if (!render->has_window && !image->has_window) {
        range_of(values, pixels, &center, &width);
    }
    fill_lut(lut, center, width, image->photometric == DICOM_MONOCHROME1);
    for (size_t i = 0; i < pixels; i++) {
        out[i] = lut[values[i] + 32768];
    }
    buf_deinit(&buf);
    return true;
}

static uint8_t clamp_byte(double value)
{
    return (uint8_t)lrint(value < 0.0 ? 0.0 : value > 255.0 ? 255.0 : value);
}

/* PS3.3 C.7.6.3.1.2: YBR_FULL of native and RLE frames; the JPEG reader gives RGB already. */
static void color_of(const struct dicom_image *image, const uint8_t *in, uint8_t *out)
{
    size_t pixels = (size_t)image->rows * image->columns;
    size_t bytes = image->bits_allocated / 8u;
    bool is_ybr = image->photometric == DICOM_YBR_FULL && image->codec != DICOM_CODEC_JPEG;
    for (size_t i = 0; i < pixels; i++) {
        uint8_t part[3];
        for (size_t sample = 0; sample < 3; sample++) {
            part[sample] = in[(i * 3 + sample) * bytes + (bytes - 1)];
        }
        uint8_t *to = out + i * 3;
        if (is_ybr) {
            double y = part[0];
            double cb = part[1] - 128.0;
            double cr = part[2] - 128.0;
            to[0] = clamp_byte(y + 1.402 * cr);
            to[1] = clamp_byte(y - 0.344136 * cb - 0.714136 * cr);
            to[2] = clamp_byte(y + 1.772 * cb);
        } else {
            memcpy(to, part, 3);
        }
    }
}

/* Mean over the source pixels under each target pixel, in place: the target never overtakes the source. */
static void shrink(struct picture *picture, uint32_t columns, uint32_t rows)
{
    unsigned samples = picture->samples;
    for (uint32_t y = 0; y < rows; y++) {
        size_t y_from = (size_t)y * picture->rows / rows;
        size_t y_to = (size_t)(y + 1) * picture->rows / rows;
        for (uint32_t x = 0; x < columns; x++) {
            size_t x_from = (size_t)x * picture->columns / columns;
            size_t x_to = (size_t)(x + 1) * picture->columns / columns;
            for (unsigned sample = 0; sample < samples; sample++) {
                uint32_t sum = 0;
                for (size_t sy = y_from; sy < y_to; sy++) {
                    for (size_t sx = x_from; sx < x_to; sx++) {
                        sum += picture->at[(sy * picture->columns + sx) * samples + sample];
                    }
                }
                uint32_t count = (uint32_t)((y_to - y_from) * (x_to - x_from));
                picture->at[((size_t)y * columns + x) * samples + sample] =
                    (uint8_t)((sum + count / 2) / count);
            }
        }
    }
    picture->columns = columns;
    picture->rows = rows;
}

static void fit(struct picture *picture, const struct dicom_render *render)
{
    double scale = 1.0;
    if (render->columns_max > 0 && picture->columns > render->columns_max) {
        scale = (double)render->columns_max / picture->columns;
    }
    if (render->rows_max > 0 && picture->rows * scale > render->rows_max) {
        scale = (double)render->rows_max / picture->rows;
    }
    if (scale < 1.0) {
        uint32_t columns = (uint32_t)lrint(picture->columns * scale);
        uint32_t rows = (uint32_t)lrint(picture->rows * scale);
        shrink(picture, columns == 0 ? 1 : columns, rows == 0 ? 1 : rows);
    }
}

/* Labels are laid on at full size and shrink with the picture. */
static void tint(struct picture *picture, struct str overlay, const struct dicom_render *render)
{
    size_t pixels = (size_t)picture->rows * picture->columns;
    assert(picture->samples == 3);
    for (size_t i = 0; i < pixels; i++) {
        uint8_t label = (uint8_t)overlay.at[i];
        uint32_t color = label == 0 || label >= DICOM_OVERLAY_COLORS ? 0 : render->overlay_colors[label];
        uint32_t alpha = color & 0xFFu;
        for (unsigned sample = 0; alpha > 0 && sample < 3; sample++) {
            uint32_t part = color >> (24 - 8 * sample) & 0xFFu;
            uint8_t *to = &picture->at[i * 3 + sample];
            *to = (uint8_t)((*to * (255 - alpha) + part * alpha + 127) / 255);
        }
    }
}

/* Grey to RGB, from the end, in place. */
static void spread(struct picture *picture)
{
    for (size_t i = (size_t)picture->rows * picture->columns; i-- > 0;) {
        uint8_t grey = picture->at[i];
        picture->at[3 * i] = grey;
        picture->at[3 * i + 1] = grey;
        picture->at[3 * i + 2] = grey;
    }
    picture->samples = 3;
}

static bool write_png(const struct picture *picture, struct buf *out)
{
    png_image image = { .version = PNG_IMAGE_VERSION, .width = picture->columns, .height = picture->rows };
    image.format = picture->samples == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    image.flags = PNG_IMAGE_FLAG_FAST;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    char *room = buf_reserve(out, size);
    if (room == NULL || png_image_write_to_memory(&image, room, &size, 0, picture->at, 0, NULL) == 0) {
        return false;
    }
    out->len += size;
    return true;
}

bool dicom_render_frame(const struct dicom_image *image, const void *samples, struct str overlay,
                        const struct dicom_render *render, struct buf *out, struct error *error)
{
    size_t pixels = (size_t)image->rows * image->columns;
    bool is_color = image->samples_per_pixel == 3;
    bool ok = false;
    bool is_known = is_color
                        ? image->photometric == DICOM_RGB || image->photometric == DICOM_YBR_FULL ||
                              image->codec == DICOM_CODEC_JPEG
                        : image->photometric == DICOM_MONOCHROME1 || image->photometric == DICOM_MONOCHROME2;
    if (!is_known) {
        return FAIL(error, ERROR_UNSUPPORTED, "pictures of this photometric interpretation are not rendered");
    }
    if (overlay.len > 0 && overlay.len != pixels) {
        return FAIL(error, ERROR_INPUT, "the overlay has not the size of the image");
    }
    struct buf work = { .bytes_max = pixels * 3 };
    struct picture picture = { .at = (uint8_t *)buf_reserve(&work, pixels * 3),
                               .columns = image->columns,
                               .rows = image->rows,
                               .samples = is_color ? 3 : 1 };
    if (picture.at == NULL) {
        goto done;
    }
    if (is_color) {
        color_of(image, samples, picture.at);
    } else if (!grey_of(image, samples, render, picture.at)) {
        goto done;
    }
    if (overlay.len > 0) {
        if (!is_color) {
            spread(&picture);
        }
        tint(&picture, overlay, render);
    }
    fit(&picture, render);
    int quality = render->quality < 1 || render->quality > 100 ? DICOM_RENDER_QUALITY : render->quality;
    ok = render->as_png
             ? write_png(&picture, out)
             : codec_jpeg_encode(picture.at, picture.columns, picture.rows, picture.samples, quality, out);
done:
    buf_deinit(&work);
    return ok || FAIL(error, ERROR_TOO_LARGE, "no memory left to render a frame");
}
