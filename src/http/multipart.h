/* multipart.h — reads multipart bodies (RFC 2046 section 5.1) piece by piece: multipart/related of
 * STOW-RS (RFC 2387, DICOM PS3.18 section 8.6.1) and multipart/form-data (RFC 7578). Feed it the bytes as
 * they come, cut anywhere; it calls back for each part. Knows nothing of HTTP, allocates nothing but
 * what it is given: one struct of about 10 KB.
 *
 * Strict where leniency is an attack: a boundary line with anything but blanks after it, a part without
 * header end, a body that ends before the closing delimiter are errors.
 *
 *     struct multipart parser;
 *     if (!multipart_init(&parser, content_type, &handler, error)) …
 *     while (more) if (!multipart_feed(&parser, piece, error)) …
 *     if (!multipart_finish(&parser, error)) …
 */
#ifndef SHANHAI_HTTP_MULTIPART_H
#define SHANHAI_HTTP_MULTIPART_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    MULTIPART_BOUNDARY_BYTES_MAX = 70, /* RFC 2046 section 5.1.1 */
    MULTIPART_HEADER_BYTES_MAX = 8 * 1024,
    MULTIPART_HEADERS_MAX = 32,
    MULTIPART_PREAMBLE_BYTES_MAX = 64 * 1024, /* before the first and after the last part */
    MULTIPART_PARTS_MAX = 100000
};

/* Headers of the part that begins. Slices are valid during the `begin` call only. */
struct multipart_part {
    struct str content_type;        /* as sent; absent when there is none */
    struct str content_location;    /* absent when there is none */
    struct str content_disposition; /* as sent: header_parameter() takes it apart */
    struct str content_id;
    uint32_t index; /* 0 for the first part */
};

struct multipart_handler {
    void *data;
    bool (*begin)(void *data, const struct multipart_part *part, struct error *error);
    bool (*bytes)(void *data, struct str bytes, struct error *error); /* a piece of the part's content */
    bool (*end)(void *data, struct error *error);
};

struct multipart {
    const struct multipart_handler *handler;
    int state;
    uint32_t parts_count;
    uint32_t skipped_bytes; /* preamble or epilogue so far */
    uint32_t matched;       /* bytes of the delimiter seen at the end of the last piece */
    uint32_t virtual_bytes; /* of them: not in the body, a line start stands for them */
    uint32_t header_len;
    uint32_t delimiter_len;
    char delimiter[4 + MULTIPART_BOUNDARY_BYTES_MAX]; /* CR LF - - boundary */
    char header[MULTIPART_HEADER_BYTES_MAX];
};

/* `content_type` is the header of the whole: "multipart/related; type=\"application/dicom\"; boundary=x".
 * Fails with ERROR_MEDIA_TYPE when it is not multipart/…, ERROR_STRUCTURE without a valid boundary.
 * The handler must outlive the parser. */
bool multipart_init(struct multipart *parser, struct str content_type,
                    const struct multipart_handler *handler, struct error *error) MUST_CHECK;

/* The next piece of the body. After a failure the parser is not used again. */
bool multipart_feed(struct multipart *parser, struct str piece, struct error *error) MUST_CHECK;

/* The body has ended: fails when the closing delimiter was not seen. */
bool multipart_finish(struct multipart *parser, struct error *error) MUST_CHECK;

/* Parameter of a header value such as `form-data; name="file"; filename="a.dcm"`: quoted-string with its
 * backslashes removed into `out` (cut never: false when it does not fit), or a token. Names in any case. */
bool header_parameter(struct str value, struct str name, char *out, size_t out_size, struct str *found);

/* The value before the first ';', trimmed. */
struct str header_main_value(struct str value);

#endif
