/* Heads of pictures: what is accepted has a kind and a size within bounds. */
#include <stdint.h>

#include "base/error.h"
#include "imaging/photo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct photo photo = { 0 };
    struct error error = { 0 };
    if (photo_read((struct str){ (const char *)data, size }, &photo, &error)) {
        assert(photo.media_type != NULL);
        assert(photo.columns >= PHOTO_SIDE_MIN && photo.columns <= PHOTO_SIDE_MAX);
        assert(photo.rows >= PHOTO_SIDE_MIN && photo.rows <= PHOTO_SIDE_MAX);
    }
    return 0;
}
