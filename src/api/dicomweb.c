#include "api/dicomweb.h"

#include "base/hash.h"
#include "base/limits.h"
#include "imaging/imaging.h"

static bool take_uid(struct http_request *request, const char *name, struct str *uid, struct error *error)
{
    *uid = http_parameter(request, str_from_cstr(name));
    return uid->at == NULL || dicom_uid_is_valid(*uid) ||
           FAIL(error, ERROR_INPUT, "the %s UID of the path is not a DICOM UID", name);
}

bool dicomweb_path(struct http_request *request, struct dicomweb_path *path, struct error *error)
{
    return take_uid(request, "study", &path->study, error) &&
           take_uid(request, "series", &path->series, error) && take_uid(request, "sop", &path->sop, error);
}

bool dicomweb_open(struct http_request *request, struct dicomweb_path *path, struct error *error)
{
    struct api *api = api_of(request);
    const struct access_session *session = &call_of(request)->session;
    bool may = false;
    if (api->archive == NULL) {
        return FAIL(error, ERROR_NOT_FOUND, "this server keeps no images");
    }
    if (!dicomweb_path(request, path, error) ||
        !imaging_may_see(api->imaging, session, &request->arena, path->study, &may, error)) {
        return false;
    }
    if (!may) {
        return FAIL(error, ERROR_NOT_FOUND, "there is no such study");
    }
    const struct api_read read = { .act = { .interaction = ACCESS_READ, .type = STR("ImagingStudy") },
                                   .type = STR("ImagingStudy"),
                                   .query_hash = hash64(path->study, 0) };
    return api_audit_read(request, session, &read, error);
}

bool dicomweb_instance(struct http_request *request, struct archive_instance *instance, struct error *error)
{
    struct dicomweb_path path;
    return dicomweb_open(request, &path, error) &&
           archive_find_instance(api_of(request)->archive, path.study, path.series, path.sop, instance,
                                 error);
}

bool dicomweb_not_modified(struct http_request *request, struct str etag)
{
    struct str known = http_header(request, STR("If-None-Match"));
    http_add_header(request, STR("ETag"), etag);
    /* Only the browser of the person who may see it keeps it, and asks each time whether that still holds. */
    http_add_header(request, STR("Cache-Control"), STR("private, no-cache"));
    if (known.len > 0 && str_find(known, etag) < known.len) {
        http_respond(request, 304, STR_NONE, STR(""));
        return true;
    }
    return false;
}

void dicomweb_respond_json(struct http_request *request, int status, struct str gzip, struct str plain)
{
    struct str accepted = http_header(request, STR("Accept-Encoding"));
    struct error error = { 0 };
    http_add_header(request, STR("Vary"), STR("Accept-Encoding"));
    if (gzip.at != NULL && str_find(accepted, STR("gzip")) < accepted.len) {
        http_add_header(request, STR("Content-Encoding"), STR("gzip"));
        http_respond(request, status, STR("application/dicom+json"), gzip);
        return;
    }
    if (gzip.at != NULL) {
        struct buf buf = { .bytes_max = LIMIT_DICOM_METADATA_BYTES };
        plain = archive_gunzip(gzip, &buf, &error) ? arena_dup(&request->arena, buf_str(&buf)) : STR_NONE;
        buf_deinit(&buf);
    }
    if (plain.at == NULL) {
        (void)FAIL(&error, ERROR_TOO_LARGE, "request memory used up");
        http_respond_error(request, &error);
        return;
    }
    http_respond(request, status, STR("application/dicom+json"), plain);
}
