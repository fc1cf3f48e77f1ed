/* multipart_write.h — answers of many parts: WADO-RS (DICOM PS3.18 section 8.7, multipart/related). The
 * parts are asked for one after the other while the answer goes out, so that a study of any size needs
 * no memory. Bytes come from memory or from a range of a file. */
#ifndef SHANHAI_HTTP_MULTIPART_WRITE_H
#define SHANHAI_HTTP_MULTIPART_WRITE_H

#include "http/http.h"

struct http_part {
    struct str content_type;     /* with its parameters: application/dicom; transfer-syntax=… */
    struct str content_location; /* absent leaves the header out */
    struct str body;             /* used when fd < 0; must live until the next call of `next` */
    int fd;                      /* ≥ 0: bytes [offset, offset + len) of this file; stays the caller's */
    uint64_t offset;
    uint64_t len;
};

enum http_part_verdict { HTTP_PART, HTTP_PART_END, HTTP_PART_ERROR };

struct http_multipart_source {
    /* Fills *part with the next part. Runs on a network thread: bounded work only. */
    enum http_part_verdict (*next)(void *data, struct http_part *part);
    void *data;           /* lives in the request's arena; arena_on_reset frees what hangs on it */
    struct str root_type; /* type of the parts: the `type` parameter of multipart/related */
};

/* Sets the response: Content-Type multipart/related; type="…"; boundary=…, chunked. */
void http_respond_multipart(struct http_request *request, int status,
                            const struct http_multipart_source *source);

/* The same for one part from a file, of known length (not chunked), without a copy. False, with nothing set, when that
 * cannot be; for the pool. */
bool http_respond_multipart_file(struct http_request *request, int status, struct str root_type,
                                 const struct http_part *part);

#endif
