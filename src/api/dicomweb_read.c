/* dicomweb_read.c — WADO-RS (PS3.18 section 10.4): metadata as it was kept, instances and frames out of the pack
 * files. What was received goes out as it is where the client takes any transfer syntax; else frames are decoded by
 * a worker process. */
#include "api/dicomweb.h"

#include "api/handlers.h"
#include <unistd.h>

#include "base/limits.h"
#include "base/parse.h"
#include "dicom/worker.h"
#include "http/multipart.h"
#include "http/multipart_write.h"

enum { FRAMES_MAX = 64 };

/* ---- metadata ---- */

static bool add_array_content(struct buf *all, struct str array)
{
    struct str inner = str_slice(array, 1, array.len - 1);
    buf_add(all, all->len > 1 && inner.len > 0 ? STR(",") : STR(""));
    buf_add(all, inner);
    return !all->failed;
}

/* The kept texts of all series of a study, joined. */
static bool study_metadata(struct http_request *request, struct str study, struct str *plain,
                           struct error *error)
{
    struct archive *archive = api_of(request)->archive;
    struct str *series = NULL;
    size_t count = 0;
    struct buf all = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
    bool ok = archive_list_series(archive, &request->arena, study, &series, &count, error);
    buf_add_char(&all, '[');
    for (size_t i = 0; ok && i < count; i++) {
        struct str packed;
        struct str etag;
        struct buf one = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
        ok = archive_series_metadata(archive, &request->arena, study, series[i], &packed, &etag, error) &&
             archive_gunzip(packed, &one, error) &&
             (add_array_content(&all, buf_str(&one)) ||
              FAIL(error, ERROR_TOO_COSTLY, "the metadata of this study is too large: ask for its series"));
        buf_deinit(&one);
    }
    buf_add_char(&all, ']');
    *plain = ok ? arena_dup(&request->arena, buf_str(&all)) : STR_NONE;
    buf_deinit(&all);
    return ok;
}

static bool instance_metadata(struct http_request *request, const struct dicomweb_path *path,
                              struct str *plain, struct error *error)
{
    struct archive *archive = api_of(request)->archive;
    struct archive_instance instance;
    struct buf out = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
    buf_add_char(&out, '[');
    bool ok = archive_find_instance(archive, path->study, path->series, path->sop, &instance, error) &&
              archive_instance_metadata(archive, &request->arena, &instance, &out, error);
    buf_add_char(&out, ']');
    *plain = ok ? arena_dup(&request->arena, buf_str(&out)) : STR_NONE;
    buf_deinit(&out);
    return ok;
}

enum http_verdict dicomweb_metadata(struct http_request *request)
{
    struct dicomweb_path path;
    struct str gzip = STR_NONE;
    struct str plain = STR_NONE;
    struct str etag = STR_NONE;
    struct error error = { 0 };
    bool ok = dicomweb_open(request, &path, &error);
    if (ok && path.sop.at != NULL) {
        ok = instance_metadata(request, &path, &plain, &error);
    } else if (ok && path.series.at != NULL) {
        ok = archive_series_metadata(api_of(request)->archive, &request->arena, path.study, path.series,
                                     &gzip, &etag, &error);
    } else if (ok) {
        ok = study_metadata(request, path.study, &plain, &error);
    }
    if (!ok) {
        return api_fail(request, &error);
    }
    if (etag.at == NULL || !dicomweb_not_modified(request, etag)) {
        dicomweb_respond_json(request, 200, gzip, plain);
    }
    return HTTP_DONE;
}

/* ---- what the client takes ---- */

static bool accepts(const struct http_request *request, const char *text)
{
    struct str accepted = http_header(request, STR("Accept"));
    return str_find(accepted, str_from_cstr(text)) < accepted.len;
}

/* PS3.18 8.7.3.5.2: `transfer-syntax=*`, or the one that is stored. Nothing said means explicit little endian. */
static bool accepts_stored(const struct http_request *request, const struct dicom_syntax *syntax)
{
    struct str accepted = http_header(request, STR("Accept"));
    struct str rest = accepted;
    struct str part;
    while (str_split_next(&rest, ',', &part)) {
        char text[DICOM_UID_BYTES_MAX + 1];
        struct str wanted = STR_NONE;
        if (header_parameter(part, STR("transfer-syntax"), text, sizeof text, &wanted) &&
            (str_equal(wanted, STR("*")) || str_equal_cstr(wanted, syntax->uid))) {
            return true;
        }
    }
    return syntax->media_type != NULL && str_find(accepted, str_from_cstr(syntax->media_type)) < accepted.len;
}

/* Whether a certain other syntax is demanded. */
static bool demands_other(const struct http_request *request, const struct dicom_syntax *syntax)
{
    return accepts(request, "transfer-syntax") && !accepts_stored(request, syntax);
}

/* ---- instances ---- */

struct instances {
    struct archive *archive;
    struct arena *arena;
    const struct archive_instance *list;
    size_t count;
    size_t at;
    int fd; /* of the pack `pack`, -1: none */
    char pack[ARCHIVE_PACK_BYTES];
};

static void close_pack(void *data)
{
    struct instances *instances = data;
    if (instances->fd >= 0) {
        (void)close(instances->fd);
        instances->fd = -1;
    }
}

static enum http_part_verdict next_instance(void *data, struct http_part *part)
{
    struct instances *instances = data;
    struct error error = { 0 };
    if (instances->at == instances->count) {
        return HTTP_PART_END;
    }
    const struct archive_instance *instance = &instances->list[instances->at++];
    if (instances->fd < 0 || strcmp(instances->pack, instance->pack) != 0) {
        close_pack(instances);
        if (!archive_open_pack(instances->archive, instance->pack, &instances->fd, &error)) {
            return HTTP_PART_ERROR;
        }
        memcpy(instances->pack, instance->pack, sizeof instances->pack);
    }
    *part = (struct http_part){ .fd = instances->fd, .offset = instance->offset, .len = instance->bytes };
    part->content_type =
        arena_printf(instances->arena, "application/dicom; transfer-syntax=%s", instance->syntax->uid);
    return HTTP_PART;
}

/* One instance as it is, not in parts: `Accept: application/dicom`. */
static bool respond_single(struct http_request *request, const struct archive_instance *instance,
                           struct error *error)
{
    struct http_file file = { .fd = -1, .offset = instance->offset, .len = instance->bytes };
    if (!archive_open_pack(api_of(request)->archive, instance->pack, &file.fd, error)) {
        return false;
    }
    http_respond_file(
        request, 200,
        arena_printf(&request->arena, "application/dicom; transfer-syntax=%s", instance->syntax->uid), file);
    return true;
}

static bool list_of(struct http_request *request, const struct dicomweb_path *path,
                    struct instances *instances, struct error *error)
{
    struct archive *archive = api_of(request)->archive;
    struct archive_instance *list = NULL;
    if (path->sop.at == NULL) {
        if (!archive_list_instances(archive, &request->arena, path->study, path->series, &list,
                                    &instances->count, error)) {
            return false;
        }
    } else {
        list = ARENA_NEW(&request->arena, struct archive_instance);
        instances->count = 1;
        if (list == NULL ||
            !archive_find_instance(archive, path->study, path->series, path->sop, list, error)) {
            return false;
        }
    }
    instances->list = list;
    return true;
}

enum http_verdict dicomweb_instances(struct http_request *request)
{
    struct dicomweb_path path;
    struct error error = { 0 };
    struct instances *instances = ARENA_NEW(&request->arena, struct instances);
    if (instances == NULL) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
        return api_fail(request, &error);
    }
    *instances =
        (struct instances){ .archive = api_of(request)->archive, .arena = &request->arena, .fd = -1 };
    if (!dicomweb_open(request, &path, &error) || !list_of(request, &path, instances, &error)) {
        return api_fail(request, &error);
    }
    for (size_t i = 0; i < instances->count; i++) {
        if (demands_other(request, instances->list[i].syntax)) {
            (void)FAIL(&error, ERROR_NOT_ACCEPTABLE,
                       "instances are sent as they are stored: ask with transfer-syntax=*");
            return api_fail(request, &error);
        }
    }
    bool is_single =
        path.sop.at != NULL && accepts(request, "application/dicom") && !accepts(request, "multipart");
    if (is_single) {
        return respond_single(request, instances->list, &error) ? HTTP_DONE : api_fail(request, &error);
    }
    if (!arena_on_reset(&request->arena, close_pack, instances)) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
        return api_fail(request, &error);
    }
    const struct http_multipart_source source = { .next = next_instance,
                                                  .data = instances,
                                                  .root_type = STR("application/dicom") };
    http_respond_multipart(request, 200, &source);
    return HTTP_DONE;
}

/* ---- frames ---- */

struct frames {
    struct str type; /* of each part */
    struct str bodies[FRAMES_MAX];
    size_t count;
    size_t at;
    struct http_file file; /* instead of bodies: the only frame, straight from its pack */
};

static void close_file(void *data)
{
    struct frames *frames = data;
    if (frames->file.fd >= 0) {
        (void)close(frames->file.fd);
    }
}

static enum http_part_verdict next_frame(void *data, struct http_part *part)
{
    struct frames *frames = data;
    if (frames->at == frames->count) {
        return HTTP_PART_END;
    }
    *part = (struct http_part){ .content_type = frames->type, .body = frames->bodies[frames->at++] };
    part->fd = frames->file.fd;
    part->offset = frames->file.offset;
    part->len = frames->file.len;
    return HTTP_PART;
}

/* "1,2,3": numbers from 1 (PS3.18 10.4.1.1.4). */
static bool take_numbers(struct str text, uint32_t numbers[FRAMES_MAX], size_t *count, struct error *error)
{
    struct str part;
    *count = 0;
    while (str_split_next(&text, ',', &part)) {
        uint64_t number = 0;
        if (*count == FRAMES_MAX || !parse_uint64(part, 1000000, &number) || number == 0) {
            return FAIL(error, ERROR_INPUT, "frames are up to %d numbers from 1, with commas", FRAMES_MAX);
        }
        numbers[(*count)++] = (uint32_t)number;
    }
    return true;
}

struct frame_source {
    struct http_request *request;
    struct dicom_file file;
    struct dicom_image image;
    bool as_stored;
};

static bool decode_frame(struct frame_source *source, struct str stored, struct str *out, struct error *error)
{
    struct arena *arena = &source->request->arena;
    struct decode_pool *pool = api_of(source->request)->decoders;
    struct buf buf = { .bytes_max = LIMIT_DICOM_FRAME_BYTES };
    bool is_native = source->image.codec == DICOM_CODEC_NATIVE;
    bool ok;
    if (is_native) {
        /* No stranger's compression to undo: only the byte order. */
        size_t bytes = dicom_image_frame_bytes(&source->image);
        char *room = buf_reserve(&buf, bytes);
        ok = room != NULL && dicom_frame_decode(&source->image, stored, room, bytes, error);
        buf.len = ok ? bytes : 0;
    } else {
        ok = decode_pool_frame(pool, &source->image, stored, &buf, error);
    }
    *out = ok ? arena_dup(arena, buf_str(&buf)) : STR_NONE;
    buf_deinit(&buf);
    return ok && (out->at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up"));
}

static bool take_frame(struct frame_source *source, uint32_t number, struct str *out, struct error *error)
{
    struct str stored;
    if (!dicom_frame_bytes(&source->request->arena, &source->file.dataset, &source->image, number - 1,
                           &stored, error)) {
        return false;
    }
    if (source->as_stored) {
        *out = stored;
        return true;
    }
    return decode_frame(source, stored, out, error);
}

static bool open_frames(struct http_request *request, const struct archive_instance *instance,
                        struct frame_source *source, struct error *error)
{
    struct str bytes;
    source->request = request;
    if (!archive_read_instance(api_of(request)->archive, &request->arena, instance, instance->bytes, &bytes,
                               error) ||
        !dicom_read_file(&request->arena, bytes, NULL, &source->file, error) ||
        !dicom_image_describe(&source->file.dataset, source->file.syntax, &source->image, error)) {
        return false;
    }
    /* Big endian is never handed on: no browser could read it. */
    bool is_plain = !source->file.syntax->is_encapsulated && !source->image.is_big_endian;
    source->as_stored = is_plain || accepts_stored(request, source->file.syntax);
    return true;
}

/* Most requests: the only frame of an instance, as it is stored. Its bytes are not even read here. */
static bool is_direct(const struct archive_instance *instance, uint32_t number, bool as_stored)
{
    const struct dicom_syntax *syntax = instance->syntax;
    return instance->frames_count == 1 && number == 1 && instance->frame_offset > 0 &&
           (syntax->is_encapsulated ? as_stored : !syntax->is_big_endian);
}

static bool take_direct(struct http_request *request, const struct archive_instance *instance,
                        struct frames *frames, struct error *error)
{
    frames->file.offset = instance->offset + instance->frame_offset;
    frames->file.len = instance->frame_bytes;
    frames->count = 1;
    return archive_open_pack(api_of(request)->archive, instance->pack, &frames->file.fd, error);
}

static bool take_all(struct http_request *request, const struct archive_instance *instance,
                     const uint32_t *numbers, size_t count, struct frames *frames, bool *is_compressed,
                     struct error *error)
{
    struct frame_source *source = ARENA_NEW(&request->arena, struct frame_source);
    if (source == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    bool ok = open_frames(request, instance, source, error);
    for (size_t i = 0; ok && i < count; i++) {
        ok = take_frame(source, numbers[i], &frames->bodies[frames->count++], error);
    }
    *is_compressed = source->as_stored && instance->syntax->is_encapsulated;
    return ok;
}

static bool respond_mapped(struct http_request *request, struct frames *frames, struct str type)
{
    const struct http_part part = { .content_type = frames->type,
                                    .fd = frames->file.fd,
                                    .offset = frames->file.offset,
                                    .len = frames->file.len };
    return http_respond_multipart_file(request, 200, type, &part);
}

static void respond_frames(struct http_request *request, struct frames *frames,
                           const struct dicom_syntax *stored)
{
    struct str type = stored != NULL ? str_from_cstr(stored->media_type) : STR("application/octet-stream");
    frames->type = arena_printf(&request->arena, "%.*s; transfer-syntax=%s", STR_FMT(type),
                                stored != NULL ? stored->uid : DICOM_EXPLICIT_LE);
    bool is_single =
        frames->count == 1 && !accepts(request, "multipart") && accepts(request, "application/octet-stream");
    if (is_single && frames->file.fd >= 0) {
        if (!http_respond_mapped(request, 200, frames->type, &frames->file, STR(""), STR(""))) {
            http_respond_file(request, 200, frames->type, frames->file); /* which closes it */
            frames->file.fd = -1;
        }
    } else if (is_single) {
        http_respond(request, 200, frames->type, frames->bodies[0]);
    } else if (frames->file.fd < 0 || !respond_mapped(request, frames, type)) {
        const struct http_multipart_source answer = { .next = next_frame, .data = frames, .root_type = type };
        http_respond_multipart(request, 200, &answer);
    }
}

enum http_verdict dicomweb_frames(struct http_request *request)
{
    struct archive_instance instance;
    struct error error = { 0 };
    uint32_t numbers[FRAMES_MAX];
    size_t count = 0;
    struct frames *frames = ARENA_NEW(&request->arena, struct frames);
    bool ok = frames != NULL || FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
    if (ok) {
        frames->file.fd = -1;
        ok = arena_on_reset(&request->arena, close_file, frames) ||
             FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
    }
    ok = ok && take_numbers(http_parameter(request, STR("frames")), numbers, &count, &error) &&
         dicomweb_instance(request, &instance, &error);
    if (!ok) {
        return api_fail(request, &error);
    }
    /* What a frame's number names never changes; only whether it is sent as stored or decoded. */
    bool as_stored = accepts_stored(request, instance.syntax);
    struct str etag = arena_printf(&request->arena, "\"%s%.32s\"", as_stored ? "s" : "d", instance.hash);
    http_add_header(request, STR("Vary"), STR("Accept"));
    if (dicomweb_not_modified(request, etag)) {
        return HTTP_DONE;
    }
    bool is_compressed = as_stored && instance.syntax->is_encapsulated;
    ok = count == 1 && is_direct(&instance, numbers[0], as_stored)
             ? take_direct(request, &instance, frames, &error)
             : take_all(request, &instance, numbers, count, frames, &is_compressed, &error);
    if (!ok) {
        return api_fail(request, &error);
    }
    respond_frames(request, frames, is_compressed ? instance.syntax : NULL);
    return HTTP_DONE;
}

/* ---- bulk data: what BulkDataURI in the metadata names ---- */

enum http_verdict dicomweb_bulk(struct http_request *request)
{
    struct archive_instance instance;
    struct error error = { 0 };
    struct str bytes;
    struct dicom_file file;
    struct frames *frames = ARENA_NEW(&request->arena, struct frames);
    uint32_t tag = dictionary_tag(http_parameter(request, STR("tag")));
    bool ok = frames != NULL || FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
    ok = ok && dicomweb_instance(request, &instance, &error) &&
         archive_read_instance(api_of(request)->archive, &request->arena, &instance, instance.bytes, &bytes,
                               &error) &&
         dicom_read_file(&request->arena, bytes, NULL, &file, &error);
    const struct dicom_element *element = ok && tag != 0 ? dicom_find(&file.dataset, tag) : NULL;
    if (ok && (element == NULL || element->vr == DICOM_VR_SQ)) {
        ok = FAIL(&error, ERROR_NOT_FOUND, "the instance has no such bulk data");
    }
    if (!ok) {
        return api_fail(request, &error);
    }
    frames->type = STR("application/octet-stream");
    frames->file.fd = -1;
    if (!element->is_encapsulated) {
        frames->bodies[frames->count++] = element->value;
    } else {
        /* Each frame a part (PS3.18 10.4.1.1.5); the offset table is none. */
        for (const struct dicom_item *item = element->items->next; item != NULL && frames->count < FRAMES_MAX;
             item = item->next) {
            frames->bodies[frames->count++] = item->bytes;
        }
    }
    const struct http_multipart_source answer = { .next = next_frame,
                                                  .data = frames,
                                                  .root_type = frames->type };
    http_respond_multipart(request, 200, &answer);
    return HTTP_DONE;
}
