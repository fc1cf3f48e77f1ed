/* The screens: files of web/dist out of the program itself, compressed as they lie there. */
#include "api/assets.h"

#include <stdlib.h>

#include "api/call.h"
#include "api/handlers.h"
#include "base/str.h"
#include "http/gzip.h"

static int asset_compare(const void *key, const void *element)
{
    const struct str *path = key;
    const struct asset *asset = element;
    return str_compare(*path, str_from_cstr(asset->path));
}

static const struct asset *asset_find(struct str path)
{
    return bsearch(&path, asset_table, asset_table_count, sizeof asset_table[0], asset_compare);
}

/* The page of a path that is no file: the screens have routes of their own (history API). A file name, or a program
 * that does not ask for HTML, gets 404. */
static const struct asset *page_for(const struct http_request *request, struct str path)
{
    struct str last = str_skip(path, str_find_last_char(path, '/') + 1);
    struct str accept = http_header(request, STR("Accept"));
    bool wants_page = str_find(accept, STR("text/html")) < accept.len || str_equal(path, STR("/"));
    if (str_find_char(last, '.') < last.len || !wants_page) {
        return NULL;
    }
    const struct asset *page = NULL;
    if (str_equal(path, STR("/m")) || str_starts_with(path, STR("/m/"))) {
        page = asset_find(STR("/m.html"));
    } else if (str_equal(path, STR("/screen")) || str_starts_with(path, STR("/screen/"))) {
        page = asset_find(STR("/screen.html"));
    }
    return page != NULL ? page : asset_find(STR("/index.html"));
}

static bool is_unchanged(const struct http_request *request, const struct asset *asset)
{
    struct str list = http_header(request, STR("If-None-Match"));
    return list.at != NULL && str_find(list, str_from_cstr(asset->etag)) < list.len;
}

enum http_verdict assets_get(struct http_request *request)
{
    struct error error = { 0 };
    struct str path = arena_concat(&request->arena, STR("/"), http_parameter(request, STR("path")));
    const struct asset *asset = asset_find(path);
    if (asset == NULL) {
        asset = page_for(request, path);
    }
    if (asset == NULL) {
        (void)FAIL(&error, ERROR_NOT_FOUND, "there is nothing at this address");
        return api_fail(request, &error);
    }
    bool brotli = asset->brotli_bytes > 0 && http_accepts_coding(request, STR("br"));
    bool gzip = !brotli && http_accepts_coding(request, STR("gzip"));
    struct str body = { asset_blob + asset->offset, asset->gzip_bytes };
    if (brotli) {
        body = (struct str){ asset_blob + asset->brotli_offset, asset->brotli_bytes };
    } else if (!gzip && !is_unchanged(request, asset)) {
        body = gzip_inflate(&request->arena, body, asset->plain_bytes);
        if (body.at == NULL) {
            (void)FAIL(&error, ERROR_BUSY, "no memory for this file now");
            return api_fail(request, &error);
        }
    }
    http_add_header(request, STR("ETag"), str_from_cstr(asset->etag));
    http_add_header(request, STR("Vary"), STR("Accept-Encoding"));
    http_add_header(request, STR("Cache-Control"),
                    asset->immutable ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
    if (is_unchanged(request, asset)) {
        http_respond(request, 304, STR_NONE, STR(""));
        return HTTP_DONE;
    }
    if (brotli || gzip) {
        http_add_header(request, STR("Content-Encoding"), brotli ? STR("br") : STR("gzip"));
    }
    http_respond(request, 200, str_from_cstr(asset->content_type), body);
    return HTTP_DONE;
}
