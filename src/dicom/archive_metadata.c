/* archive_metadata.c — the DICOM JSON of a series, made once when its study comes to rest and kept gzipped beside
 * the pack file: asking for it costs one read. Made from the beginnings of the instances, up to their pixels. */
#include "dicom/archive_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include <zlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "dicom/dicom_json.h"

enum { INLINE_BYTES_MAX = 1024 };

bool archive_instance_metadata(struct archive *archive, struct arena *arena,
                               const struct archive_instance *instance, struct buf *out, struct error *error)
{
    struct str bytes;
    struct dicom_file file;
    const struct dicom_read_options options = { .charset_fallback = archive->options.charset_fallback,
                                                .stop_at_pixels = true };
    uint64_t wanted = instance->header_bytes == 0 ? instance->bytes : instance->header_bytes;
    if (!archive_read_instance(archive, arena, instance, wanted, &bytes, error) ||
        !dicom_read_file(arena, bytes, &options, &file, error)) {
        return false;
    }
    struct dicom_json_options json = { .inline_bytes_max = INLINE_BYTES_MAX };
    json.bulk_uri = arena_printf(arena, "%s/studies/%s/series/%s/instances/%s/bulkdata/",
                                 archive->options.web_root, instance->study, instance->series, instance->sop);
    dicom_json_write(out, arena, &file.dataset, &json);
    return !out->failed ||
           FAIL(error, ERROR_TOO_LARGE, "the metadata is larger than %d bytes", LIMIT_DICOM_METADATA_BYTES);
}

/* RFC 1952, fast: the text is repetitive and shrinks to a twentieth all the same. */
static bool gzip(struct str text, struct buf *out, struct error *error)
{
    enum { GZIP_WINDOW = 15 + 16, LEVEL = 4 };
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)text.at, .avail_in = (uInt)text.len };
    if (deflateInit2(&stream, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to compress metadata");
    }
    uLong bound = deflateBound(&stream, (uLong)text.len);
    char *room = buf_reserve(out, bound);
    bool ok = room != NULL;
    if (ok) {
        stream.next_out = (Bytef *)room;
        stream.avail_out = (uInt)bound;
        ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        out->len += ok ? stream.total_out : 0;
    }
    (void)deflateEnd(&stream);
    return ok || FAIL(error, ERROR_TOO_LARGE, "no memory left to compress metadata");
}

static bool make_metadata(struct archive *archive, struct str study, struct str series, struct buf *out,
                          int64_t *instances_count, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct arena scratch = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct buf text = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
    struct archive_instance *instances = NULL;
    size_t count = 0;
    bool ok = archive_index_instances(archive->index, &arena, study, series, &instances, &count, error);
    for (size_t i = 0; ok && i < count; i++) {
        buf_add(&text, i == 0 ? STR("[") : STR(","));
        ok = archive_instance_metadata(archive, &scratch, &instances[i], &text, error);
        arena_reset(&scratch);
    }
    buf_add_char(&text, ']');
    ok = ok && gzip(buf_str(&text), out, error);
    *instances_count = (int64_t)count;
    buf_deinit(&text);
    arena_deinit(&scratch);
    arena_deinit(&arena);
    return ok;
}

/* Under metadata_lock. A full disk does not stop reading: then the text is made anew each time. */
static bool keep_metadata(struct archive *archive, struct str study, const struct archive_series_row *series,
                          struct buf *out, struct error *error)
{
    char path[1200];
    int64_t instances_count = 0;
    char name[ARCHIVE_PACK_BYTES];
    struct error not_kept = { 0 };
    archive_pack_name(series->uid, name);
    if (!make_metadata(archive, study, series->uid, out, &instances_count, error)) {
        return false;
    }
    bool is_kept = archive_pack_path(archive, name, ".json.gz", path, sizeof path, &not_kept) &&
                   file_write_atomically(path, buf_str(out), 0600, &not_kept) &&
                   archive_index_set_metadata(archive->index, series->uid, instances_count, &not_kept);
    (void)is_kept;
    return true;
}

bool archive_metadata_refresh(struct archive *archive, struct str study, struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct archive_series_row *series = NULL;
    size_t count = 0;
    bool ok = archive_index_series(archive->index, &arena, study, STR_NONE, &series, &count, error);
    (void)pthread_mutex_lock(&archive->metadata_lock);
    for (size_t i = 0; ok && i < count; i++) {
        if (series[i].metadata_instances != series[i].instances) {
            struct buf out = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
            ok = keep_metadata(archive, study, &series[i], &out, error);
            buf_deinit(&out);
        }
    }
    (void)pthread_mutex_unlock(&archive->metadata_lock);
    arena_deinit(&arena);
    return ok;
}

bool archive_series_metadata(struct archive *archive, struct arena *arena, struct str study,
                             struct str series, struct str *gzip_text, struct str *etag, struct error *error)
{
    struct archive_series_row *row = NULL;
    size_t count = 0;
    char path[1200];
    char name[ARCHIVE_PACK_BYTES];
    bool ok = false;
    if (!archive_index_series(archive->index, arena, study, series, &row, &count, error)) {
        return false;
    }
    if (count == 0) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such series");
    }
    archive_pack_name(series, name);
    struct error unreadable = { 0 };
    bool is_kept = row->metadata_instances == row->instances &&
                   archive_pack_path(archive, name, ".json.gz", path, sizeof path, error) &&
                   file_read_whole(arena, path, LIMIT_DICOM_METADATA_BYTES, gzip_text, &unreadable);
    if (!is_kept) {
        struct buf out = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
        (void)pthread_mutex_lock(&archive->metadata_lock);
        ok = keep_metadata(archive, study, row, &out, error);
        (void)pthread_mutex_unlock(&archive->metadata_lock);
        *gzip_text = ok ? arena_dup(arena, buf_str(&out)) : STR_NONE;
        buf_deinit(&out);
        if (!ok) {
            return false;
        }
    }
    *etag = arena_printf(arena, "\"m%s-%lld\"", name, (long long)row->instances);
    return (gzip_text->at != NULL && etag->at != NULL) ||
           FAIL(error, ERROR_TOO_LARGE, "no memory left to send metadata");
}

bool archive_gunzip(struct str packed, struct buf *out, struct error *error)
{
    enum { STEP_BYTES = 1 << 18 };
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)packed.at, .avail_in = (uInt)packed.len };
    int result = inflateInit2(&stream, MAX_WBITS + 16);
    while (result == Z_OK) {
        char *room = buf_reserve(out, STEP_BYTES);
        if (room == NULL) {
            break;
        }
        stream.next_out = (Bytef *)room;
        stream.avail_out = STEP_BYTES;
        result = inflate(&stream, Z_NO_FLUSH);
        out->len += STEP_BYTES - stream.avail_out;
    }
    (void)inflateEnd(&stream);
    return result == Z_STREAM_END || FAIL(error, ERROR_TOO_LARGE, "kept metadata cannot be unpacked");
}
