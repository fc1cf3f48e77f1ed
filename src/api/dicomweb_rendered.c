/* dicomweb_rendered.c — a slice as a picture for weak links (PS3.18 10.4.1.1.3 and 8.3.5): JPEG or PNG, windowed,
 * shrunk, with the measurement's mask over it when asked for. Decoded and drawn by a worker process. */
#include "api/dicomweb.h"

#include "api/handlers.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "dicom/worker.h"
#include "imaging/imaging.h"
#include "lung/lung_mask.h"

static bool take_side(struct str text, uint32_t *side, struct error *error)
{
    uint64_t number = 0;
    if (!parse_uint64(text, DICOM_RENDER_SIDE_MAX, &number) || number == 0) {
        return FAIL(error, ERROR_INPUT, "viewport must be width,height in pixels, each from 1 to %d",
                    DICOM_RENDER_SIDE_MAX);
    }
    *side = (uint32_t)number;
    return true;
}

static bool take_viewport(struct str text, struct dicom_render *render, struct error *error)
{
    struct str part;
    if (text.at == NULL) {
        return true;
    }
    if (!str_split_next(&text, ',', &part) || !take_side(part, &render->columns_max, error)) {
        return false;
    }
    return text.at == NULL ||
           (str_split_next(&text, ',', &part) && take_side(part, &render->rows_max, error) &&
            (text.at == NULL || FAIL(error, ERROR_UNSUPPORTED, "viewport takes no source region")));
}

/* "lung", "mediastinum", "bone", or "center,width[,function]" (PS3.18 8.3.5.1.4). */
static bool take_window(struct str text, struct dicom_render *render, struct error *error)
{
    struct str center;
    struct str width;
    if (text.at == NULL || dicom_render_preset(text, render)) {
        return true;
    }
    if (!str_split_next(&text, ',', &center) || !str_split_next(&text, ',', &width) ||
        !parse_double(center, &render->window_center) || !parse_double(width, &render->window_width) ||
        render->window_width < 1.0 || render->window_width > 65536.0) {
        return FAIL(error, ERROR_INPUT, "window must be lung, mediastinum, bone or center,width");
    }
    if (text.at != NULL && !str_equal_ignore_case(text, STR("linear"))) {
        return FAIL(error, ERROR_UNSUPPORTED, "only the linear window function is offered");
    }
    render->has_window = true;
    return true;
}

static bool take_query(struct http_request *request, struct dicom_render *render, struct error *error)
{
    struct str quality = http_query_value(request, STR("quality"));
    struct str accepted = http_header(request, STR("Accept"));
    uint64_t number = 0;
    if (quality.at != NULL) {
        if (!parse_uint64(quality, 100, &number) || number == 0) {
            return FAIL(error, ERROR_INPUT, "quality must be a number from 1 to 100");
        }
        render->quality = (int)number;
    }
    bool takes_jpeg = accepted.at == NULL || str_find(accepted, STR("image/jpeg")) < accepted.len ||
                      str_find(accepted, STR("*/*")) < accepted.len ||
                      str_find(accepted, STR("image/*")) < accepted.len;
    render->as_png = !takes_jpeg || str_starts_with(accepted, STR("image/png"));
    if (!takes_jpeg && str_find(accepted, STR("image/png")) == accepted.len) {
        return FAIL(error, ERROR_NOT_ACCEPTABLE, "pictures are rendered as image/jpeg or image/png");
    }
    return take_window(http_query_value(request, STR("window")), render, error) &&
           take_viewport(http_query_value(request, STR("viewport")), render, error);
}

/* The measurement's labels for this slice; empty where the slice was not measured or the person may not see it. */
static bool take_overlay(struct http_request *request, const struct archive_instance *instance,
                         const struct dicom_image *image, struct dicom_render *render, struct str *overlay,
                         struct error *error)
{
    struct str wanted = http_query_value(request, STR("overlay"));
    struct str bytes = STR_NONE;
    struct lung_mask mask;
    size_t slice = 0;
    if (wanted.at == NULL) {
        return true;
    }
    if (!str_equal(wanted, STR("mask"))) {
        return FAIL(error, ERROR_INPUT, "the only overlay is mask");
    }
    if (!imaging_mask(api_of(request)->imaging, &call_of(request)->session, &request->arena, instance, &bytes,
                      error)) {
        return false;
    }
    if (bytes.at == NULL) {
        return true;
    }
    if (!lung_mask_open(bytes, &mask, error)) {
        return false;
    }
    if (mask.columns != image->columns || mask.rows != image->rows ||
        !lung_mask_find(&mask, str_from_cstr(instance->sop), &slice)) {
        return true;
    }
    uint8_t *labels = arena_alloc(&request->arena, mask.columns * mask.rows);
    if (labels == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!lung_mask_read_slice(&mask, slice, labels, error)) {
        return false;
    }
    lung_mask_to_overlay(labels, mask.columns * mask.rows);
    memcpy(render->overlay_colors, lung_overlay_colors, sizeof render->overlay_colors);
    *overlay = (struct str){ (const char *)labels, mask.columns * mask.rows };
    return true;
}

static bool render(struct http_request *request, const struct archive_instance *instance,
                   uint32_t frame_number, struct dicom_render *options, struct buf *out, struct error *error)
{
    struct str bytes;
    struct str frame;
    struct str overlay = STR_NONE;
    struct dicom_file file;
    struct dicom_image image;
    return archive_read_instance(api_of(request)->archive, &request->arena, instance, instance->bytes, &bytes,
                                 error) &&
           dicom_read_file(&request->arena, bytes, NULL, &file, error) &&
           dicom_image_describe(&file.dataset, file.syntax, &image, error) &&
           dicom_frame_bytes(&request->arena, &file.dataset, &image, frame_number - 1, &frame, error) &&
           take_overlay(request, instance, &image, options, &overlay, error) &&
           decode_pool_render(api_of(request)->decoders, &image, frame, overlay, options, out, error);
}

enum http_verdict dicomweb_rendered(struct http_request *request)
{
    struct archive_instance instance;
    struct dicom_render options = { 0 };
    struct error error = { 0 };
    struct str frames = http_parameter(request, STR("frames"));
    uint64_t number = 1;
    bool ok = frames.at == NULL || (parse_uint64(frames, 1000000, &number) && number > 0) ||
              FAIL(&error, ERROR_INPUT, "one frame is rendered at a time, by its number from 1");
    ok = ok && take_query(request, &options, &error) && dicomweb_instance(request, &instance, &error);
    if (!ok) {
        return api_fail(request, &error);
    }
    /* A mask may come or change later: no tag then. */
    bool has_overlay = http_query_value(request, STR("overlay")).at != NULL;
    uint64_t key = hash64(request->query, number * 2 + (options.as_png ? 1 : 0));
    struct str etag =
        arena_printf(&request->arena, "\"r%.32s-%016llx\"", instance.hash, (unsigned long long)key);
    if (!has_overlay && dicomweb_not_modified(request, etag)) {
        return HTTP_DONE;
    }
    struct buf out = { .bytes_max = LIMIT_DICOM_FRAME_BYTES };
    ok = render(request, &instance, (uint32_t)number, &options, &out, &error);
    struct str picture = ok ? arena_dup(&request->arena, buf_str(&out)) : STR_NONE;
    buf_deinit(&out);
    if (!ok || picture.at == NULL) {
        return api_fail(request, &error);
    }
    http_respond(request, 200, options.as_png ? STR("image/png") : STR("image/jpeg"), picture);
    return HTTP_DONE;
}
