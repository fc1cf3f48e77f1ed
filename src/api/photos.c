/* /photos: a photo of film comes in as its bytes and becomes a Media that is marked as not for diagnosis. */
#include "api/call.h"
#include "api/handlers.h"
#include "imaging/imaging.h"

static bool need_images(struct http_request *request, struct error *error)
{
    return api_of(request)->imaging != NULL || FAIL(error, ERROR_NOT_FOUND, "this server keeps no images");
}

/* POST /photos?patient=Patient/… with the picture as the body. */
enum http_verdict photos_add(struct http_request *request)
{
    struct error error = { 0 };
    struct json *media = NULL;
    struct str type = http_content_type(request);
    const struct imaging_photo photo = { .arena = &request->arena,
                                         .session = &call_of(request)->session,
                                         .patient = http_query_value(request, STR("patient")),
                                         .bytes = request->body };
    if (!str_equal(type, STR("image/jpeg")) && !str_equal(type, STR("image/png"))) {
        (void)FAIL(&error, ERROR_MEDIA_TYPE, "a photo is sent as image/jpeg or image/png");
        return api_fail(request, &error);
    }
    if (!need_images(request, &error) ||
        !imaging_keep_photo(api_of(request)->imaging, &photo, &media, &error)) {
        return api_fail(request, &error);
    }
    api_respond_json(request, 201, true, media);
    return HTTP_DONE;
}

enum http_verdict photos_get(struct http_request *request)
{
    struct error error = { 0 };
    struct imaging_photo_bytes photo = { 0 };
    struct str id = http_parameter(request, STR("id"));
    const struct api_read read = { .act = { .interaction = ACCESS_READ, .type = STR("Media") },
                                   .type = STR("Media"),
                                   .id = id };
    if (!need_images(request, &error) ||
        !imaging_read_photo(api_of(request)->imaging, &call_of(request)->session, &request->arena, id, &photo,
                            &error) ||
        !api_audit_read(request, &call_of(request)->session, &read, &error)) {
        return api_fail(request, &error);
    }
    http_add_header(request, STR("Cache-Control"), STR("private, no-cache"));
    http_respond(request, 200, photo.media_type, photo.bytes);
    return HTTP_DONE;
}
