/* photo.h — what a picture file says of itself, as far as its kind and size: JPEG (ITU-T T.81 annex B) and PNG (RFC 2083).
 * Nothing is decoded; a browser does that. Any thread. */
#ifndef SHANHAI_IMAGING_PHOTO_H
#define SHANHAI_IMAGING_PHOTO_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { PHOTO_SIDE_MAX = 20000, PHOTO_SIDE_MIN = 16 };

struct photo {
    const char *media_type; /* "image/jpeg" or "image/png" */
    uint32_t columns;
    uint32_t rows;
};

/* ERROR_MEDIA_TYPE for another kind, ERROR_STRUCTURE when its head is damaged or its size impossible. */
bool photo_read(struct str bytes, struct photo *photo, struct error *error) MUST_CHECK;

#endif
