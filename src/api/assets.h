/* assets.h — the screens inside the program: one blob of gzip members and Brotli streams, and a table made at build time by
 * tools/generate_assets.py from web/dist. Constant; any thread. */
#ifndef SHANHAI_API_ASSETS_H
#define SHANHAI_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct asset {
    const char *path; /* "/assets/index-1a2b3c4d.js" */
    const char *content_type;
    const char *etag; /* with its quotes */
    size_t offset;    /* of the gzip member in asset_blob */
    size_t gzip_bytes;
    size_t brotli_offset; /* of the Brotli stream (RFC 7932) */
    size_t brotli_bytes;  /* 0 when there is none */
    size_t plain_bytes;
    bool immutable; /* the name holds a hash of the content */
};

extern const struct asset asset_table[]; /* sorted by path */
extern const size_t asset_table_count;
extern const char asset_blob[];
extern const size_t asset_blob_bytes;

#endif
