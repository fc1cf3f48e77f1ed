/* dicomweb_store.c — STOW-RS (PS3.18 section 10.5): a multipart body of any length, chunked or not, taken in piece by
 * piece; one instance at a time is in memory. The answer names every instance that was stored and every one that
 * was refused, with the reason. */
#include "api/dicomweb.h"

#include "api/handlers.h"
#include "base/limits.h"
#include "dicom/dicom_json.h"
#include "http/multipart.h"

/* FailureReason (0008,1197), PS3.18 table I.2-2. */
enum reason {
    REASON_PROCESSING = 0x0110,
    REASON_NOT_AUTHORIZED = 0x0124,
    REASON_OUT_OF_RESOURCES = 0xA700,
    REASON_CANNOT_UNDERSTAND = 0xC000,
    REASON_OTHER_CONTENT = 0xC111
};

struct told {
    struct told *next;
    struct archive_result result;
};

struct stow {
    struct api_call call; /* first: what api_begin made, for all who look at request->state */
    struct http_request *request;
    struct dicomweb_path path;
    struct multipart parser;
    struct multipart_handler handler;
    struct archive_batch *batch;
    struct buf part;
    bool is_dicom; /* the part in work */
    struct told *first;
    struct told *last;
    size_t stored_count;
    size_t refused_count;
    size_t full_count; /* refused because the disk is full */
};

static void told(void *context, const struct archive_result *result)
{
    struct stow *stow = context;
    struct told *entry = ARENA_NEW(&stow->request->arena, struct told);
    stow->stored_count += result->outcome == ARCHIVE_REFUSED ? 0 : 1;
    stow->refused_count += result->outcome == ARCHIVE_REFUSED ? 1 : 0;
    stow->full_count += result->outcome == ARCHIVE_REFUSED && result->error.kind == ERROR_FULL ? 1 : 0;
    if (entry == NULL) {
        return; /* then the answer fails as a whole, see dicomweb_store */
    }
    entry->result = *result;
    if (stow->last == NULL) {
        stow->first = entry;
    } else {
        stow->last->next = entry;
    }
    stow->last = entry;
}

static bool part_begin(void *data, const struct multipart_part *part, struct error *error)
{
    struct stow *stow = data;
    (void)error;
    buf_clear(&stow->part);
    stow->is_dicom = part->content_type.len == 0 ||
                     str_equal_ignore_case(header_main_value(part->content_type), STR("application/dicom"));
    return true;
}

/* An instance that is too large fails alone, in part_end. */
static bool part_bytes(void *data, struct str bytes, struct error *error)
{
    struct stow *stow = data;
    (void)error;
    if (stow->is_dicom) {
        buf_add(&stow->part, bytes);
    }
    return true;
}

static bool part_end(void *data, struct error *error)
{
    struct stow *stow = data;
    struct archive_result refused = { .outcome = ARCHIVE_REFUSED };
    (void)error;
    if (!stow->is_dicom) {
        (void)FAIL(&refused.error, ERROR_MEDIA_TYPE, "a part is not application/dicom");
        told(stow, &refused);
    } else if (stow->part.failed) {
        (void)FAIL(&refused.error, ERROR_TOO_LARGE, "an instance is too large");
        told(stow, &refused);
    } else {
        const struct archive_incoming incoming = { .bytes = buf_str(&stow->part),
                                                   .expected_study = stow->path.study };
        archive_batch_add(stow->batch, &incoming);
    }
    return true;
}

static void release(void *data)
{
    struct stow *stow = data;
    archive_batch_destroy(stow->batch);
    buf_deinit(&stow->part);
}

static bool make_stow(struct http_request *request, struct error *error)
{
    struct api *api = api_of(request);
    struct stow *stow = ARENA_NEW(&request->arena, struct stow);
    if (stow == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    if (api->archive == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "this server keeps no images");
    }
    stow->call = *call_of(request);
    stow->request = request;
    stow->part.bytes_max = LIMIT_DICOM_INSTANCE_BYTES;
    stow->handler =
        (struct multipart_handler){ .data = stow, .begin = part_begin, .bytes = part_bytes, .end = part_end };
    const struct archive_batch_options options = { .organization = stow->call.session.organization,
                                                   .told = told,
                                                   .context = stow,
                                                   .rest_ms = api->stow_rest_ms };
    struct str type = http_header(request, STR("Content-Type"));
    if (!dicomweb_path(request, &stow->path, error) ||
        !multipart_init(&stow->parser, type, &stow->handler, error) ||
        !archive_batch_create(&request->arena, api->archive, &options, &stow->batch, error)) {
        return false;
    }
    request->state = stow;
    if (!arena_on_reset(&request->arena, release, stow)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    return true;
}

bool dicomweb_store_begin(struct http_request *request)
{
    struct error error = { 0 };
    if (!api_begin(request)) {
        return false;
    }
    if (!str_equal(http_content_type(request), STR("multipart/related"))) {
        (void)FAIL(&error, ERROR_MEDIA_TYPE,
                   "instances are sent as multipart/related; type=\"application/dicom\"");
        http_respond_error(request, &error);
        return false;
    }
    if (!make_stow(request, &error)) {
        http_respond_error(request, &error);
        return false;
    }
    return true;
}

bool dicomweb_store_data(struct http_request *request, struct str piece, struct error *error)
{
    struct stow *stow = request->state;
    return multipart_feed(&stow->parser, piece, error);
}

static unsigned reason_of(enum error_kind kind)
{
    if (kind == ERROR_FULL || kind == ERROR_BUSY || kind == ERROR_TOO_LARGE || kind == ERROR_TOO_MANY) {
        return REASON_OUT_OF_RESOURCES;
    }
    if (kind == ERROR_CONFLICT) {
        return REASON_OTHER_CONTENT;
    }
    if (kind == ERROR_FORBIDDEN) {
        return REASON_NOT_AUTHORIZED;
    }
    bool is_input = kind == ERROR_INPUT || kind == ERROR_STRUCTURE || kind == ERROR_UNSUPPORTED ||
                    kind == ERROR_MEDIA_TYPE;
    return is_input ? REASON_CANNOT_UNDERSTAND : REASON_PROCESSING;
}

static void write_item(struct buf *out, const struct archive_result *result, bool is_first)
{
    bool is_refused = result->outcome == ARCHIVE_REFUSED;
    buf_add(out, is_first ? STR("{") : STR(",{"));
    dicom_json_write_attribute(out, TAG_REFERENCED_SOP_CLASS_UID, DICOM_VR('U', 'I'),
                               str_from_cstr(result->class_uid));
    buf_add_char(out, ',');
    dicom_json_write_attribute(out, TAG_REFERENCED_SOP_INSTANCE_UID, DICOM_VR('U', 'I'),
                               str_from_cstr(result->sop));
    if (is_refused) {
        buf_printf(out, ",\"%08X\":{\"vr\":\"US\",\"Value\":[%u]}", TAG_FAILURE_REASON,
                   reason_of(result->error.kind));
    } else {
        buf_printf(out,
                   ",\"%08X\":{\"vr\":\"UR\",\"Value\":[\"/dicom-web/studies/%s/series/%s/instances/%s\"]}",
                   TAG_RETRIEVE_URL, result->study, result->series, result->sop);
    }
    buf_add_char(out, '}');
}

static void write_list(struct buf *out, const struct stow *stow, uint32_t tag, bool of_refused)
{
    bool is_first = true;
    buf_printf(out, "\"%08X\":{\"vr\":\"SQ\",\"Value\":[", tag);
    for (const struct told *entry = stow->first; entry != NULL; entry = entry->next) {
        if ((entry->result.outcome == ARCHIVE_REFUSED) == of_refused) {
            write_item(out, &entry->result, is_first);
            is_first = false;
        }
    }
    buf_add(out, STR("]}"));
}

/* PS3.18 10.5.3: the Store Instances Response Module. */
static struct str write_answer(struct stow *stow)
{
    struct buf out = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
    buf_add_char(&out, '{');
    if (stow->path.study.at != NULL) {
        buf_printf(&out, "\"%08X\":{\"vr\":\"UR\",\"Value\":[\"/dicom-web/studies/%.*s\"]}", TAG_RETRIEVE_URL,
                   STR_FMT(stow->path.study));
    }
    if (stow->refused_count > 0) {
        buf_add(&out, out.len > 1 ? STR(",") : STR(""));
        write_list(&out, stow, TAG_FAILED_SOP_SEQUENCE, true);
    }
    if (stow->stored_count > 0) {
        buf_add(&out, out.len > 1 ? STR(",") : STR(""));
        write_list(&out, stow, TAG_REFERENCED_SOP_SEQUENCE, false);
    }
    buf_add_char(&out, '}');
    struct str text = out.failed ? STR_NONE : arena_dup(&stow->request->arena, buf_str(&out));
    buf_deinit(&out);
    return text;
}

enum http_verdict dicomweb_store(struct http_request *request)
{
    struct stow *stow = request->state;
    struct error error = { 0 };
    bool is_whole = multipart_finish(&stow->parser, &error);
    /* What came whole before the body broke off is stored: sending it again is harmless. */
    archive_batch_end(stow->batch);
    buf_deinit(&stow->part);
    if (!is_whole) {
        return api_fail(request, &error);
    }
    if (stow->stored_count + stow->refused_count == 0) {
        (void)FAIL(&error, ERROR_INPUT, "the body has no part");
        return api_fail(request, &error);
    }
    if (stow->full_count > 0 && stow->stored_count == 0) {
        (void)FAIL(&error, ERROR_FULL, "the disk is full: nothing of this request was stored");
        return api_fail(request, &error);
    }
    struct str text = write_answer(stow);
    /* PS3.18 table 10.5.3-1: 202 some, 409 none. */
    int status = stow->refused_count == 0 ? 200 : stow->stored_count == 0 ? 409 : 202;
    dicomweb_respond_json(request, status, STR_NONE, text);
    return HTTP_DONE;
}
