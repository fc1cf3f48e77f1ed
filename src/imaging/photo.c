#include "imaging/photo.h"

#include <string.h>

static uint32_t u16_at(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t u32_at(const char *at)
{
    return u16_at(at) << 16 | u16_at(at + 2);
}

/* T.81 table B.1: a frame header is SOF0 … SOF15 without DHT, JPG and DAC between them. */
static bool is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* T.81 B.1.1.4, B.2.2: marker segments until the frame header. */
static bool read_jpeg(struct str bytes, struct photo *photo)
{
    size_t at = 2;
    while (bytes.len >= at + 4 && (unsigned char)bytes.at[at] == 0xff) {
        unsigned marker = (unsigned char)bytes.at[at + 1];
        if (marker == 0xff) { /* fill bytes */
            at++;
            continue;
        }
        size_t len = u16_at(bytes.at + at + 2);
        if (marker == 0xda || marker == 0xd9 || len < 2) {
            return false;
        }
        if (is_frame(marker)) {
            if (len < 8 || bytes.len < at + 9) {
                return false;
            }
            photo->rows = u16_at(bytes.at + at + 5);
            photo->columns = u16_at(bytes.at + at + 7);
            return true;
        }
        at += 2 + len;
    }
    return false;
}

/* RFC 2083 section 11.2.1: the header chunk comes first. */
static bool read_png(struct str bytes, struct photo *photo)
{
    if (bytes.len < 33 || u32_at(bytes.at + 8) != 13 || memcmp(bytes.at + 12, "IHDR", 4) != 0) {
        return false;
    }
    photo->columns = u32_at(bytes.at + 16);
    photo->rows = u32_at(bytes.at + 20);
    return true;
}

bool photo_read(struct str bytes, struct photo *photo, struct error *error)
{
    struct photo read = { 0 };
    bool ok = false;
    if (str_starts_with(bytes, STR("\xff\xd8\xff"))) {
        read.media_type = "image/jpeg";
        ok = read_jpeg(bytes, &read);
    } else if (str_starts_with(bytes, STR("\x89PNG\r\n\x1a\n"))) {
        read.media_type = "image/png";
        ok = read_png(bytes, &read);
    } else {
        return FAIL(error, ERROR_MEDIA_TYPE, "a photo is a JPEG or a PNG");
    }
    bool fits = read.columns >= PHOTO_SIDE_MIN && read.columns <= PHOTO_SIDE_MAX &&
                read.rows >= PHOTO_SIDE_MIN && read.rows <= PHOTO_SIDE_MAX;
    if (!ok || !fits) {
        return FAIL(error, ERROR_STRUCTURE, "the photo is damaged, or too small or too large a picture");
    }
    *photo = read;
    return true;
}
