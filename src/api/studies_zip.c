/* POST /studies/zip: a folder or CD of images packed as a ZIP, unpacked here while it comes in, one file in memory at a time.
 * What is no image is left out and counted, what cannot be taken is refused by its name with a code, and the
 * directory of a CD says how many there should have been. */
#include "api/call.h"
#include "api/handlers.h"
#include "base/limits.h"
#include "dicom/archive.h"
#include "dicom/charset.h"
#include "dicom/dicomdir.h"
#include "dicom/zip_reader.h"

enum {
    ZIP_REST_MS = 1000,
    NAMED_MAX = 200, /* refused files that the answer names; it counts all */
    STUDIES_MAX = 200,
    DIRECTORY_BYTES_MAX = 32 << 20,
    PEEK_BYTES = 132
};

/* What a file turned out to be. */
enum kind { KIND_UNKNOWN, KIND_IMAGE, KIND_DIRECTORY, KIND_OTHER, KIND_NESTED };

struct upload {
    struct api_call call; /* first: what api_begin made, for all who look at request->state */
    struct http_request *request;
    struct zip_reader *zip;
    struct archive_batch *batch;
    struct buf part;
    struct str name;
    enum kind kind;
    bool has_directory;
    size_t files_count;
    size_t received_count;
    size_t already_count; /* of the received: they were here before */
    size_t refused_count;
    size_t skipped_count;
    size_t expected_count; /* by the directory */
    size_t full_count;
    struct json *refused;
    struct json *studies;
};

static void refuse(struct upload *upload, struct str name, const char *code)
{
    struct arena *arena = &upload->request->arena;
    if (upload->refused_count++ < NAMED_MAX) {
        struct json *item = json_append(upload->refused, json_new(arena, JSON_OBJECT));
        (void)json_add_text(arena, item, STR("name"), name);
        (void)json_add_text(arena, item, STR("code"), str_from_cstr(code));
    }
}

static const char *code_of(enum error_kind kind)
{
    if (kind == ERROR_CONFLICT) {
        return "other-content";
    }
    if (kind == ERROR_FULL) {
        return "disk-full";
    }
    return kind == ERROR_TOO_LARGE ? "too-large" : "not-readable";
}

static void note_study(struct upload *upload, const char *study)
{
    struct arena *arena = &upload->request->arena;
    JSON_EACH(known, upload->studies) {
        if (json_equals_text(known, str_from_cstr(study))) {
            return;
        }
    }
    if (upload->studies->count < STUDIES_MAX) {
        struct str kept = arena_dup(arena, str_from_cstr(study));
        (void)json_append(upload->studies, json_new_string(arena, kept));
    }
}

/* archive_batch_options.told; data is the name in the ZIP */
static void told(void *context, const struct archive_result *result)
{
    struct upload *upload = context;
    const struct str *name = result->data;
    if (result->outcome == ARCHIVE_REFUSED) {
        upload->full_count += result->error.kind == ERROR_FULL ? 1 : 0;
        refuse(upload, name == NULL ? STR_NONE : *name, code_of(result->error.kind));
        return;
    }
    upload->received_count++;
    upload->already_count += result->outcome == ARCHIVE_ALREADY ? 1 : 0;
    note_study(upload, result->study);
}

/* ---- files of the ZIP ---- */

static struct str base_name(struct str name)
{
    size_t from = 0;
    for (size_t i = 0; i < name.len; i++) {
        from = name.at[i] == '/' || name.at[i] == '\\' ? i + 1 : from;
    }
    return str_skip(name, from);
}

static bool file_begin(void *data, struct str name, enum zip_problem problem, struct error *error)
{
    struct upload *upload = data;
    struct str base = base_name(name);
    upload->files_count++;
    /* Names in old ZIPs have no declared character set (APPNOTE 4.4.4, bit 11). */
    upload->name = charset_to_utf8(&upload->request->arena, name, STR("ISO_IR 192"), "GB18030");
    upload->name = arena_dup(&upload->request->arena, upload->name);
    upload->kind = KIND_UNKNOWN;
    buf_clear(&upload->part);
    if (str_equal_ignore_case(base, STR("DICOMDIR"))) {
        upload->kind = KIND_DIRECTORY;
    } else if (str_ends_with(base, STR(".zip")) || str_ends_with(base, STR(".ZIP"))) {
        upload->kind = KIND_NESTED;
    }
    (void)problem;
    return upload->name.at != NULL || FAIL(error, ERROR_TOO_LARGE, "request memory used up");
}

/* Whether it is an image shows in its first bytes; of anything else no more is kept. */
static enum kind kind_by_bytes(struct str bytes)
{
    if (bytes.len >= 4 && memcmp(bytes.at, "PK\3\4", 4) == 0) {
        return KIND_NESTED;
    }
    if (bytes.len < PEEK_BYTES) {
        return KIND_UNKNOWN;
    }
    if (memcmp(bytes.at + 128, "DICM", 4) == 0) {
        return KIND_IMAGE;
    }
    /* Without preamble: group 0002 or 0008 begins it, little endian (PS3.10 7.1 asks for a preamble; not all obey). */
    bool is_bare = (bytes.at[0] == 2 || bytes.at[0] == 8) && bytes.at[1] == 0 && bytes.at[3] == 0;
    return is_bare ? KIND_IMAGE : KIND_OTHER;
}

static bool file_bytes(void *data, struct str bytes, struct error *error)
{
    struct upload *upload = data;
    (void)error;
    if (upload->kind == KIND_OTHER || upload->kind == KIND_NESTED) {
        return true;
    }
    if (upload->kind == KIND_DIRECTORY && upload->part.len + bytes.len > DIRECTORY_BYTES_MAX) {
        upload->kind = KIND_OTHER;
    } else {
        buf_add(&upload->part, bytes);
    }
    if (upload->kind == KIND_UNKNOWN) {
        upload->kind = kind_by_bytes(buf_str(&upload->part));
    }
    return true;
}

static void read_directory(struct upload *upload)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct error unreadable = { 0 }; /* then nothing is expected */
    size_t count = 0;
    if (dicomdir_count(&arena, buf_str(&upload->part), &count, &unreadable)) {
        upload->has_directory = true;
        upload->expected_count += count;
    }
    arena_deinit(&arena);
    upload->skipped_count++;
}

static bool add_image(struct upload *upload, struct error *error)
{
    struct str *name = ARENA_NEW(&upload->request->arena, struct str);
    if (name == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    *name = upload->name;
    if (upload->part.failed) {
        refuse(upload, upload->name, "too-large");
        return true;
    }
    const struct archive_incoming incoming = { .bytes = buf_str(&upload->part), .data = name };
    archive_batch_add(upload->batch, &incoming);
    return true;
}

static bool file_end(void *data, enum zip_problem problem, struct error *error)
{
    static const char *const codes[] = { [ZIP_FINE] = "",
                                         [ZIP_ENCRYPTED] = "encrypted",
                                         [ZIP_METHOD] = "method",
                                         [ZIP_PATH] = "path",
                                         [ZIP_DAMAGED] = "damaged" };
    struct upload *upload = data;
    if (problem != ZIP_FINE) {
        refuse(upload, upload->name, codes[problem]);
        return true;
    }
    switch (upload->kind) {
    case KIND_IMAGE:
        return add_image(upload, error);
    case KIND_DIRECTORY:
        read_directory(upload);
        return true;
    case KIND_NESTED:
        refuse(upload, upload->name, "nested");
        return true;
    case KIND_UNKNOWN: /* shorter than any image */
    case KIND_OTHER:
        upload->skipped_count++;
        return true;
    }
    return true;
}

/* ---- the request ---- */

static void release(void *data)
{
    struct upload *upload = data;
    archive_batch_destroy(upload->batch);
    zip_reader_destroy(upload->zip);
    buf_deinit(&upload->part);
}

static bool make_upload(struct http_request *request, struct error *error)
{
    struct api *api = api_of(request);
    struct arena *arena = &request->arena;
    struct upload *upload = ARENA_NEW(arena, struct upload);
    if (upload == NULL || !arena_on_reset(arena, release, upload)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (api->archive == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "this server keeps no images");
    }
    upload->call = *call_of(request);
    upload->request = request;
    upload->part.bytes_max = LIMIT_DICOM_INSTANCE_BYTES;
    upload->refused = json_new(arena, JSON_ARRAY);
    upload->studies = json_new(arena, JSON_ARRAY);
    const struct zip_handler handler = {
        .data = upload, .begin = file_begin, .bytes = file_bytes, .end = file_end
    };
    const struct archive_batch_options options = { .organization = upload->call.session.organization,
                                                   .told = told,
                                                   .context = upload,
                                                   .rest_ms = ZIP_REST_MS };
    if (upload->refused == NULL || upload->studies == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (!zip_reader_create(&handler, &upload->zip, error) ||
        !archive_batch_create(arena, api->archive, &options, &upload->batch, error)) {
        return false;
    }
    request->state = upload;
    return true;
}

bool studies_zip_begin(struct http_request *request)
{
    struct error error = { 0 };
    if (!api_begin(request)) {
        return false;
    }
    struct str type = http_content_type(request);
    bool is_zip =
        str_equal(type, STR("application/zip")) || str_equal(type, STR("application/x-zip-compressed"));
    if (!is_zip) {
        (void)FAIL(&error, ERROR_MEDIA_TYPE, "images are sent here as application/zip");
    }
    if (!is_zip || !make_upload(request, &error)) {
        http_respond_error(request, &error);
        return false;
    }
    return true;
}

bool studies_zip_data(struct http_request *request, struct str piece, struct error *error)
{
    struct upload *upload = request->state;
    if (zip_reader_feed(upload->zip, piece, error)) {
        return true;
    }
    archive_batch_end(upload->batch); /* what came whole before is kept: sending it again is harmless */
    return false;
}

static void add_count(struct arena *arena, struct json *answer, const char *name, size_t count)
{
    (void)json_add(answer, str_from_cstr(name), json_new_integer(arena, (int64_t)count));
}

enum http_verdict studies_zip(struct http_request *request)
{
    struct upload *upload = request->state;
    struct arena *arena = &request->arena;
    struct error error = { 0 };
    bool is_whole = zip_reader_finish(upload->zip, &error);
    archive_batch_end(upload->batch);
    buf_deinit(&upload->part);
    if (!is_whole) {
        return api_fail(request, &error);
    }
    if (upload->full_count > 0 && upload->received_count == 0) {
        (void)FAIL(&error, ERROR_FULL, "the disk is full: nothing of this request was stored");
        return api_fail(request, &error);
    }
    struct json *answer = json_new(arena, JSON_OBJECT);
    add_count(arena, answer, "files", upload->files_count);
    add_count(arena, answer, "received", upload->received_count);
    add_count(arena, answer, "already", upload->already_count);
    add_count(arena, answer, "skipped", upload->skipped_count);
    add_count(arena, answer, "refusedCount", upload->refused_count);
    if (upload->has_directory) {
        add_count(arena, answer, "expected", upload->expected_count);
    }
    (void)json_add(answer, STR("refused"), upload->refused);
    (void)json_add(answer, STR("studies"), upload->studies);
    api_respond_json(request, 200, false, answer);
    return HTTP_DONE;
}
